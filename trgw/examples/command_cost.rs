//! What the commands of a call cost a gateway: parsing, execution and replies, without media.
//!
//! `cargo run --release -p trgw --example command_cost [CALLS]`
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use dataplane::Clock;
use h248::message::{
    ActionReply, CommandReply, ContextId, Mid, ReplyBody, ServiceChangeReply, TransactionId,
};
use h248::text;
use h248::transaction::{Config, Endpoint, Output as Out};
use mg::{
    GatewayConfig, Leg, MediaGateway, MediaPlane, OpenError, Output, RealmAddress, Statistics,
};

/// Carries nothing.
struct Nowhere;

impl MediaPlane for Nowhere {
    fn open(&mut self, _: Instant, _: SocketAddr) -> Result<(), OpenError> {
        Ok(())
    }
    fn close(&mut self, _: SocketAddr) {}
    fn connect(&mut self, _: &[Leg]) {}
    fn statistics(&self, _: SocketAddr) -> Statistics {
        Statistics::default()
    }
}

struct Pair {
    now: Instant,
    clock: Clock,
    mg: MediaGateway,
    mgc: Endpoint<u32>,
    mg_at: SocketAddr,
    mgc_at: SocketAddr,
    /// Time spent in the gateway.
    spent: Duration,
}

impl Pair {
    fn new() -> Self {
        let (mg_at, mgc_at) = (([192, 0, 2, 1], 2944).into(), ([192, 0, 2, 2], 2944).into());
        let now = Instant::from_secs(1_800_000_000);
        let mut config = GatewayConfig::new(mg_at, &mg::TRGW);
        config.association.mgcs = vec![mgc_at];
        config.addresses = vec![RealmAddress {
            realm: None,
            ip: [192, 0, 2, 3].into(),
        }];
        config.ports = 10_000..=59_999;
        let mgc = Config::new(Mid::from(mgc_at), TransactionId(1));
        Self {
            now,
            clock: Clock::start(),
            mg: MediaGateway::new(config, now, Entropy::from_u64(1)),
            mgc: Endpoint::new(mgc, Entropy::from_u64(2)),
            mg_at,
            mgc_at,
            spent: Duration::ZERO,
        }
    }

    /// Exchanges messages until there are none, and returns the last reply.
    fn exchange(&mut self) -> Option<ReplyBody> {
        let mut last = None;
        loop {
            let mut is_idle = true;
            while let Some(output) = self.mg.poll_output() {
                if let Output::Transmit { bytes, .. } = output {
                    self.mgc.handle_input(self.now, self.mg_at, &bytes);
                    is_idle = false;
                }
            }
            while let Some(output) = self.mgc.poll_output() {
                is_idle = false;
                match output {
                    Out::Transmit { bytes, .. } => {
                        let from = self.clock.now();
                        self.mg
                            .handle_input(self.now, &mut Nowhere, self.mgc_at, &bytes);
                        self.spent += self.clock.now() - from;
                    }
                    Out::Request { handle, .. } => {
                        let reply = CommandReply::ServiceChange(ServiceChangeReply {
                            terminations: ["ROOT".into()].into_iter().collect(),
                            result: Ok(Box::default()),
                        });
                        let reply = ActionReply::new(ContextId::Null, vec![reply]);
                        let body = ReplyBody::Actions(vec![reply]);
                        if self.mgc.reply(self.now, handle, body).is_err() {
                            return None;
                        }
                    }
                    Out::Reply { body, .. } => last = Some(body),
                    _ => {}
                }
            }
            if is_idle {
                return last;
            }
        }
    }

    fn ask(&mut self, actions: &str) -> Option<ReplyBody> {
        let actions = text::parse_actions(actions.as_bytes()).ok()?;
        let (now, to) = (self.now, self.mg_at);
        self.mgc.send_request(now, to, actions, 1).ok()?;
        self.exchange()
    }
}

const ADD: &str = "Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive }, \
                   Local { v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 96\n } } } }";
const REMOTE: &str = "{ Media { Stream = 1 { Remote { v=0\nc=IN IP4 198.51.100.9\n\
                      m=audio 4000 RTP/AVP 96\n } } } }";

fn main() {
    let calls = std::env::args()
        .nth(1)
        .and_then(|calls| calls.parse().ok())
        .unwrap_or(10_000_u32);
    let mut pair = Pair::new();
    pair.mg.start(pair.now, &mut Nowhere);
    pair.exchange();
    pair.spent = Duration::ZERO;
    let mut contexts = Vec::new();
    for _ in 0..calls.min(20_000) {
        pair.now += Duration::from_millis(1);
        let reply = pair.ask(&format!("Context = $ {{ {ADD}, {ADD} }}"));
        let Some(ReplyBody::Actions(actions)) = reply else {
            panic!("no reply");
        };
        let id = actions[0].context.as_u32();
        pair.ask(&format!("Context = {id} {{ Modify = ip/1/* {REMOTE} }}"));
        contexts.push(id);
    }
    for id in &contexts {
        pair.ask(&format!(
            "Context = {id} {{ W-Subtract = * {{ Audit {{ }} }} }}"
        ));
    }
    let per_call = pair.spent / contexts.len().max(1) as u32;
    println!("{} calls, {per_call:?} each in the gateway", contexts.len());
}
