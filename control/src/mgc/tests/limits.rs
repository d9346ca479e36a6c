//! Named maxima, at and past.

use std::collections::BTreeSet;

use base::{Entropy, Instant};
use h248::message::{MessageBody, Transaction};

use super::gateway_model::{Answer, Kind, body};
use super::world::*;
use crate::mgc::{AnchorError, Config, Mgc, MgcOutput, Plan, TRANSACTIONS_PER_MS};

fn config(contexts_max: usize, gateways_max: usize) -> Config {
    Config {
        contexts_max,
        gateways_max,
        ..Config::new(address(MGC))
    }
}

#[test]
fn contexts_are_counted_until_they_are_subtracted() {
    let mut world = World::with_config(1, config(3, 1));
    world.register(0, "RS", "901 Cold Boot");
    world.settle();
    let ids: Vec<_> = (0..3).map(|_| world.opened(offered()).0).collect();
    let past = world.mgc.open(world.now, 9, spec(), offered());
    assert_eq!(past, Err(AnchorError::Limit));
    world.answer(Kind::Subtract, Answer::Say(body("511")));
    world.release(ids[0]);
    world.settle();
    let past = world.mgc.open(world.now, 9, spec(), offered());
    assert_eq!(past, Err(AnchorError::Limit));
    world.run(secs(6));
    world.opened(offered());
}

#[test]
fn a_plan_has_no_more_streams_than_a_session_description() {
    let mut world = World::new();
    let plan = |streams| Plan {
        streams: vec![stream(None, None); streams],
    };
    let (id, locals) = world.opened(plan(sdp::MEDIA_MAX));
    assert_eq!(locals.addresses().count(), 2 * sdp::MEDIA_MAX);
    let past = plan(sdp::MEDIA_MAX + 1);
    assert_eq!(
        world.mgc.apply(world.now, id, past.clone()),
        Err(AnchorError::Limit)
    );
    assert_eq!(
        world.mgc.open(world.now, 1, spec(), past),
        Err(AnchorError::Limit)
    );
    assert_eq!(world.mgc.contexts(), 1);
}

#[test]
fn requests_that_wait_for_a_gateway_are_limited() {
    let mut world = World::new();
    let (ready, _) = world.opened(offered());
    let (gone, _) = world.opened(offered());
    world.gateways[0].is_deaf = true;
    let now = world.now;
    let mut open = 0;
    while world.mgc.open(now, 1, spec(), offered()).is_ok() {
        open += 1;
    }
    assert_eq!(open, 4096);
    assert_eq!(world.mgc.contexts(), open + 2);
    assert_eq!(
        world.mgc.apply(now, ready, answered()),
        Err(AnchorError::Limit)
    );
    // What cannot be subtracted now is not forgotten.
    world.mgc.release(now, gone);
    assert_eq!(world.mgc.gateways()[0].contexts, open + 2);
    world.gateways[0].is_deaf = false;
    world.drain();
    world.run(secs(10));
    assert_eq!(world.mgc.gateways()[0].contexts, open + 1);
    assert_eq!(world.gateways[0].contexts.len(), open + 1);
    world.apply(ready, answered());
}

#[test]
fn gateways_past_the_limit_are_refused_unless_one_is_gone() {
    let mut world = World::with_config(3, config(10, 2));
    for index in 0..3 {
        world.register(index, "RS", "901 Cold Boot");
        world.settle();
    }
    assert!(format!("{:?}", world.gateways[2].replies).contains("510"));
    assert_eq!(world.states(), ["in service", "in service"]);
    world.register(0, "FO", "908 Leaving");
    world.settle();
    world.register(2, "RS", "901 Cold Boot");
    world.settle();
    assert_eq!(world.states(), ["in service", "in service"]);
    assert_eq!(world.mgc.gateways()[0].mid, "192.0.2.12:2944");
    // Whoever was forgotten is a stranger.
    world.ask(0, "C=-{N=ROOT{OE=1{it/ito}}}");
    world.settle();
    assert!(format!("{:?}", world.gateways[0].replies.last()).contains("505"));
    world.opened(offered());
    world.opened(offered());
    assert_eq!(world.gateways[2].contexts.len(), 1);
    // Gone for longest goes first.
    world.gateways[1].is_deaf = true;
    world.gateways[2].is_deaf = true;
    world.run(secs(15));
    world.gateways[2].is_deaf = false;
    world.run(secs(5));
    world.gateways[2].is_deaf = true;
    world.run(secs(60));
    assert_eq!(world.states(), ["does not answer", "does not answer"]);
    world.register(0, "RS", "901 Cold Boot");
    world.settle();
    assert_eq!(world.mgc.gateways()[1].mid, "192.0.2.10:2944");
    assert_eq!(world.states(), ["does not answer", "in service"]);
}

/// Numbers of the transactions that a controller uses from `start` on, at `per_second` for
/// `seconds`.
fn numbers(start: Instant, seconds: u64, per_second: u64) -> BTreeSet<u32> {
    let mut mgc = Mgc::new(Config::new(address(MGC)), start, Entropy::from_u64(1));
    let mut counters = crate::counters::Counters::default();
    let register = b"!/3 [192.0.2.10]:2944 T=1{C=-{SC=ROOT{SV{MT=RS,RE=\"901 Cold Boot\"}}}}";
    let gateway = address("192.0.2.10:2944");
    mgc.handle_datagram(start, &mut counters, gateway, register);
    let mut used = BTreeSet::new();
    for second in 0..seconds {
        let now = start + secs(second);
        for _ in 0..per_second {
            let _ = mgc.open(now, 1, spec(), offered());
            while let Some(output) = mgc.poll_output() {
                let MgcOutput::Transmit { bytes, .. } = output else {
                    continue;
                };
                let message = h248::text::parse_message(&bytes).unwrap();
                let MessageBody::Transactions(transactions) = message.body else {
                    continue;
                };
                for transaction in transactions {
                    if let Transaction::Request(request) = transaction {
                        let root = h248::message::ContextId::Null;
                        let starts = request.actions[0].context == root;
                        let reply = if starts {
                            "C=-{MF=ROOT}"
                        } else {
                            "ER=510{\"no\"}"
                        };
                        let reply = format!("!/3 [192.0.2.10]:2944 P={}{{{reply}}}", request.id);
                        mgc.handle_datagram(now, &mut counters, gateway, reply.as_bytes());
                        used.insert(request.id.0);
                    }
                }
            }
        }
    }
    used
}

#[test]
fn a_restart_repeats_no_transaction_number() {
    let start = Instant::from_secs(1_785_000_000);
    let first = numbers(start, 3, 500);
    assert!(first.len() > 1000);
    for later in [3, 4, 30] {
        let second = numbers(start + secs(later), 1, 500);
        assert!(first.is_disjoint(&second));
    }
    // Another life begins as soon as a process can.
    let second = numbers(
        start + secs(2) + std::time::Duration::from_millis(50),
        1,
        500,
    );
    assert!(first.is_disjoint(&second));
}

#[test]
fn numbers_begin_anew_behind_the_last() {
    // The seconds at which the first number is 0, which is none.
    let wrap_ms = (1_u64 << 32) / TRANSACTIONS_PER_MS;
    let start = Instant::ZERO + std::time::Duration::from_millis(wrap_ms * 6000);
    let used = numbers(start, 1, 3);
    assert!(used.contains(&1) && !used.contains(&0));
}
