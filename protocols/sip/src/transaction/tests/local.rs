//! Transactions whose two ends are users of one layer.

use super::*;

/// A hop between two users of the layer.
#[derive(Clone, Copy, Debug)]
struct Within;

impl Hop for Within {
    fn is_reliable(&self) -> bool {
        true
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// A layer of which the test is both users.
struct Pair {
    layer: Layer<Within, u32>,
    now: Instant,
    /// Handed over, and not passed on yet.
    under_way: Vec<(ClientId, Message)>,
    said: Vec<String>,
}

impl Pair {
    fn new(config: Config) -> Self {
        Self {
            layer: Layer::new(config, &mut Entropy::from_u64(1)),
            now: Instant::from_secs(100),
            under_way: Vec::new(),
            said: Vec::new(),
        }
    }

    /// A request without Via.
    fn send(&mut self, method: &str) -> ClientId {
        let text = request(method, 1);
        let (first, rest) = text.split_once("Via").expect("a Via");
        let rest = rest.split_once("\r\n").expect("a line").1;
        let request = message(&[first, rest].concat());
        let sent = self.layer.send_request(self.now, Within, request, 7);
        self.drain();
        sent.expect("it is sent")
    }

    fn drain(&mut self) {
        while let Some(output) = self.layer.poll_output() {
            match output {
                Output::HandOver {
                    client, message, ..
                } => self.under_way.push((client, message)),
                Output::Transmit { .. } => panic!("nothing leaves"),
                other => self.said.push(in_words(other)),
            }
        }
    }

    /// Passes on the one message that is under way.
    fn pass(&mut self) -> Received<u32> {
        let (client, message) = self.under_way.remove(0);
        assert!(self.under_way.is_empty());
        let received = self.layer.handle_local(self.now, Within, client, message);
        self.drain();
        received
    }

    fn pass_request(&mut self) -> (ServerId, Message) {
        match self.pass() {
            Received::Request { server, message } => (server, message),
            other => panic!("{other:?}"),
        }
    }

    /// Answers, and passes the response on; its status where it is delivered.
    fn respond(&mut self, server: ServerId, request: &Message, status: u16) -> Option<u16> {
        let response = request.response(status, "").finish().expect("a response");
        let taken = self.layer.respond(self.now, server, response);
        assert_eq!(taken, Ok(()), "{status}");
        self.drain();
        match self.pass() {
            Received::Response {
                message, context, ..
            } => {
                assert_eq!(context, 7);
                message.status()
            }
            _ => None,
        }
    }

    fn said(&mut self) -> String {
        std::mem::take(&mut self.said).join(", ")
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.layer.handle_timeout(self.now);
        self.drain();
    }

    fn is_over(&self) -> bool {
        let layer = &self.layer;
        layer.clients_len() + layer.servers_len() + layer.timers_len() == 0
    }
}

#[test]
fn a_request_and_its_answer_need_no_via() {
    let mut pair = Pair::new(Config::default());
    pair.send("BYE");
    let (server, bye) = pair.pass_request();
    assert_eq!(pair.respond(server, &bye, 200), Some(200));
    assert_eq!(pair.said(), "ended, ended 7");
    assert!(pair.is_over());
}

#[test]
fn every_2xx_to_invite_is_delivered_for_64_t1() {
    let mut pair = Pair::new(Config::default());
    pair.send("INVITE");
    let (server, invite) = pair.pass_request();
    for status in [180, 200, 200] {
        assert_eq!(pair.respond(server, &invite, status), Some(status));
    }
    assert_eq!(pair.said(), "");
    pair.wait(Timers::CORE.t1_64());
    assert_eq!(pair.said(), "ended, ended 7");
    assert!(pair.is_over());
}

#[test]
fn a_refusal_is_acknowledged_without_an_ack() {
    let mut pair = Pair::new(Config::default());
    pair.send("INVITE");
    let (server, invite) = pair.pass_request();
    assert_eq!(pair.respond(server, &invite, 486), Some(486));
    assert_eq!(pair.said(), "ended, ended 7");
    assert!(pair.is_over());
}

#[test]
fn a_cancel_waits_for_a_provisional_response_and_then_is_told() {
    let mut pair = Pair::new(Config::default());
    let client = pair.send("INVITE");
    let (server, invite) = pair.pass_request();
    let cancelled = pair.layer.cancel(pair.now, client, &[]);
    assert_eq!(cancelled, Ok(Cancelled::Deferred));
    // The automatic 100 sets it free.
    pair.wait(Duration::from_millis(200));
    pair.pass();
    assert_eq!(pair.said(), "cancelled");
    assert_eq!(
        pair.layer.cancel(pair.now, client, &[]),
        Ok(Cancelled::Ignored)
    );
    assert_eq!(pair.respond(server, &invite, 487), Some(487));
    assert_eq!(pair.said(), "ended, ended 7");
    assert!(pair.is_over());
}

#[test]
fn a_cancelled_invite_that_nobody_answers_ends_as_timed_out() {
    let mut pair = Pair::new(Config::default());
    let client = pair.send("INVITE");
    let (server, invite) = pair.pass_request();
    assert_eq!(pair.respond(server, &invite, 180), Some(180));
    let cancelled = pair.layer.cancel(pair.now, client, &[]);
    assert_eq!(cancelled, Ok(Cancelled::Sent));
    pair.drain();
    pair.wait(Timers::CORE.t1_64());
    assert_eq!(pair.said(), "cancelled, timeout 7, ended 7");
    // What is answered after that goes nowhere, and waits for no ACK but the time it takes.
    assert_eq!(pair.respond(server, &invite, 487), None);
    pair.wait(Timers::CORE.t1_64());
    assert_eq!(pair.said(), "no ACK, ended");
    assert!(pair.is_over());
}

#[test]
fn a_request_that_is_not_answered_times_out() {
    for method in ["INVITE", "BYE"] {
        let mut pair = Pair::new(Config {
            trying_after: None,
            ..Config::default()
        });
        pair.send(method);
        let (server, request) = pair.pass_request();
        pair.wait(Timers::CORE.t1_64());
        assert!(pair.said().ends_with("timeout 7, ended 7"), "{method}");
        pair.under_way.clear();
        assert_eq!(pair.respond(server, &request, 500), None);
        pair.wait(Timers::CORE.t1_64());
        assert!(pair.is_over(), "{method}");
    }
}

#[test]
fn one_that_was_given_up_on_its_way_is_absorbed() {
    let mut pair = Pair::new(Config::default());
    let client = pair.send("BYE");
    let origin = Origin::Client(client);
    pair.layer.handle_transport_error(pair.now, origin);
    pair.drain();
    assert!(matches!(pair.pass(), Received::Absorbed));
    assert_eq!(pair.said(), "unreachable, ended 7");
    assert!(pair.is_over());
}

#[test]
fn a_full_layer_refuses_and_the_sender_hears_of_it() {
    let mut pair = Pair::new(Config {
        servers_max: 0,
        ..Config::default()
    });
    pair.send("INVITE");
    let why = Refusal::Limit;
    assert!(matches!(pair.pass(), Received::Refused { why: said, .. } if said == why));
    assert_eq!(pair.said(), "unreachable, ended 7");
    assert_eq!(pair.layer.counters().requests_refused, 1);
    assert!(pair.is_over());
}
