mod local;
mod network;
mod tables;

use base::{Entropy, Instant};
use std::time::Duration;

use super::*;
use crate::{HeaderName, Method, Transport};

/// A layer at a virtual time, and what came out of it in words.
struct Rig {
    layer: Layer<Transport, u32>,
    hop: Transport,
    now: Instant,
}

impl Rig {
    fn new(hop: Transport) -> Self {
        Self::with(Config::default(), hop)
    }

    fn with(config: Config, hop: Transport) -> Self {
        let layer = Layer::new(config, &mut Entropy::from_u64(1));
        Self {
            layer,
            hop,
            now: Instant::from_secs(100),
        }
    }

    fn send(&mut self, text: &str) -> ClientId {
        let request = message(text);
        self.layer
            .send_request(self.now, self.hop, request, 7)
            .unwrap()
    }

    fn receive(&mut self, text: &str) -> Received<u32> {
        self.layer.handle_message(self.now, self.hop, message(text))
    }

    fn receive_request(&mut self, text: &str) -> ServerId {
        match self.receive(text) {
            Received::Request { server, .. } | Received::Cancel { server, .. } => server,
            other => panic!("{other:?}"),
        }
    }

    /// Lets all timers act that are due within `millis`.
    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.layer.next_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.layer.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.layer.poll_output())
            .map(in_words)
            .collect()
    }

    fn drain(&mut self) -> String {
        self.outputs().join(", ")
    }

    fn is_empty(&self) -> bool {
        self.layer.clients_len() == 0
            && self.layer.servers_len() == 0
            && self.layer.timers_len() == 0
            && ClientState::ALL
                .iter()
                .all(|&state| self.layer.client_count(state) == 0)
            && ServerState::ALL
                .iter()
                .all(|&state| self.layer.server_count(state) == 0)
    }
}

fn in_words<H>(output: Output<H, u32>) -> String {
    match output {
        Output::Transmit { message, .. } | Output::HandOver { message, .. } => {
            match message.status() {
                Some(status) => status.to_string(),
                None => message.method().unwrap().to_string(),
            }
        }
        Output::Cancelled { .. } => "cancelled".to_owned(),
        Output::ClientTimeout { context, .. } => format!("timeout {context}"),
        Output::ClientTransportError { answered: true, .. } => "ACK lost".to_owned(),
        Output::ClientTransportError { .. } => "unreachable".to_owned(),
        Output::ClientEnded { context, .. } => format!("ended {context}"),
        Output::AckMissing { .. } => "no ACK".to_owned(),
        Output::ServerTransportError { .. } => "unreachable".to_owned(),
        Output::ServerEnded { .. } => "ended".to_owned(),
    }
}

fn message(text: &str) -> Message {
    Message::parse(text.as_bytes()).unwrap()
}

/// A request of transaction `n`.
fn request(method: &str, n: u32) -> String {
    format!(
        "{method} sip:bob@b.test SIP/2.0\r\nVia: SIP/2.0/UDP a.test:5060;branch=z9hG4bK{n}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@a.test>;tag=a\r\nTo: <sip:bob@b.test>\r\n\
         Call-ID: call{n}@a.test\r\nCSeq: {n} {method}\r\nRoute: <sip:p.test;lr>\r\n\r\n"
    )
}

/// A response to it.
fn response(method: &str, n: u32, status: u16) -> String {
    format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP a.test:5060;branch=z9hG4bK{n}\r\n\
         From: <sip:alice@a.test>;tag=a\r\nTo: <sip:bob@b.test>;tag=b\r\n\
         Call-ID: call{n}@a.test\r\nCSeq: {n} {method}\r\n\r\n"
    )
}

/// The same request from an element of RFC 2543: no magic cookie.
fn request_2543(method: &str, n: u32) -> String {
    request(method, n).replace(";branch=z9hG4bK", ";branch=")
}

#[test]
fn invite_is_retransmitted_at_doubling_intervals_until_timer_b() {
    let mut rig = Rig::new(Transport::Udp);
    rig.send(&request("INVITE", 1));
    let mut at = Vec::new();
    let start = rig.now;
    for _ in 0..330 {
        let outputs = rig.outputs();
        at.extend(
            outputs
                .into_iter()
                .map(|word| (rig.now.since(start).as_millis(), word)),
        );
        rig.wait(100);
    }
    let sent: Vec<_> = at
        .iter()
        .filter(|(_, word)| word == "INVITE")
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(sent, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    let last: Vec<_> = at.iter().filter(|(_, word)| word != "INVITE").collect();
    assert_eq!(
        last,
        [
            &(32_000, "timeout 7".to_owned()),
            &(32_000, "ended 7".to_owned())
        ]
    );
    assert!(rig.is_empty());
    assert_eq!(rig.layer.counters().requests_resent, 6);
    assert_eq!(rig.layer.counters().timeouts, 1);
}

#[test]
fn other_requests_are_retransmitted_up_to_t2_and_at_t2_once_proceeding() {
    let mut rig = Rig::new(Transport::Udp);
    rig.send(&request("OPTIONS", 1));
    let start = rig.now;
    let mut sent = Vec::new();
    for step in 0..330 {
        let now = rig.now.since(start).as_millis();
        sent.extend(
            rig.outputs()
                .into_iter()
                .filter(|word| word == "OPTIONS")
                .map(|_| now),
        );
        if step == 40 {
            rig.receive(&response("OPTIONS", 1, 100));
        }
        rig.wait(100);
    }
    assert_eq!(
        sent,
        [
            0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
        ]
    );
    assert!(rig.is_empty());

    rig.send(&request("OPTIONS", 2));
    rig.receive(&response("OPTIONS", 2, 100));
    rig.drain();
    rig.wait(500);
    assert_eq!(rig.drain(), "OPTIONS");
    rig.wait(3999);
    assert_eq!(rig.drain(), "");
    rig.wait(1);
    assert_eq!(rig.drain(), "OPTIONS");
}

#[test]
fn timers_on_gm_are_four_times_as_long() {
    #[derive(Clone)]
    struct Gm;
    impl Hop for Gm {
        fn is_reliable(&self) -> bool {
            false
        }
        fn timers(&self) -> Timers {
            Timers::GM
        }
    }
    let mut layer = Layer::new(Config::default(), &mut Entropy::from_u64(1));
    let now = Instant::from_secs(1);
    layer
        .send_request(now, Gm, message(&request("REGISTER", 1)), ())
        .unwrap();
    let mut at = Vec::new();
    while let Some(next) = layer.next_timeout() {
        layer.handle_timeout(next);
        at.push(next.since(now).as_secs());
        while layer.poll_output().is_some() {}
    }
    assert_eq!(at, [2, 6, 14, 30, 46, 62, 78, 94, 110, 126, 128]);
}

#[test]
fn what_comes_from_elsewhere_belongs_to_no_transaction() {
    #[derive(Clone)]
    struct From(u8);
    impl Hop for From {
        fn is_reliable(&self) -> bool {
            false
        }
        fn is_peer(&self, received: &Self) -> bool {
            self.0 == received.0
        }
    }
    let (peer, stranger) = (From(1), From(2));
    let mut layer = Layer::new(Config::default(), &mut Entropy::from_u64(1));
    let now = Instant::from_secs(1);
    let invite = message(&request("INVITE", 1));
    layer.send_request(now, peer.clone(), invite, ()).unwrap();
    for (status, is_heard) in [(180, true), (200, true), (200, false)] {
        let hop = if is_heard { &peer } else { &stranger };
        let answer = message(&response("INVITE", 1, status));
        let received = layer.handle_message(now, hop.clone(), answer);
        match received {
            Received::Response { .. } => assert!(is_heard),
            Received::StrayResponse { .. } => assert!(!is_heard),
            other => panic!("{other:?}"),
        }
    }
    for (number, hop) in [(2, &peer), (3, &stranger)] {
        let invite = message(&request("INVITE", number));
        layer.handle_message(now, peer.clone(), invite);
        let cancel = message(&request("CANCEL", number));
        let Received::Cancel { invite, .. } = layer.handle_message(now, hop.clone(), cancel) else {
            panic!("a CANCEL");
        };
        assert_eq!(invite.is_some(), number == 2);
    }
}

#[test]
fn invite_error_response_is_repeated_until_the_ack_or_timer_h() {
    let mut rig = Rig::new(Transport::Udp);
    let server = rig.receive_request(&request("INVITE", 1));
    let busy = message(&response("INVITE", 1, 486));
    rig.layer.respond(rig.now, server, busy).unwrap();
    let start = rig.now;
    let mut at = Vec::new();
    for _ in 0..330 {
        let now = rig.now.since(start).as_millis();
        at.extend(rig.outputs().into_iter().map(|word| (now, word)));
        rig.wait(100);
    }
    let sent: Vec<_> = at
        .iter()
        .filter(|(_, word)| word == "486")
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(
        sent,
        [
            0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
        ]
    );
    assert!(at.contains(&(32_000, "no ACK".to_owned())));
    assert!(rig.is_empty());
    assert_eq!(rig.layer.counters().acks_missing, 1);
}

#[test]
fn invite_gets_100_after_200_ms_unless_the_user_answers() {
    let mut rig = Rig::new(Transport::Udp);
    let first = rig.receive_request(&request("INVITE", 1));
    rig.receive_request(&request("INVITE", 2));
    rig.wait(199);
    let ringing = message(&response("INVITE", 1, 180));
    rig.layer.respond(rig.now, first, ringing).unwrap();
    assert_eq!(rig.drain(), "180");
    rig.wait(1);
    assert_eq!(rig.drain(), "100");
    rig.receive(&request("INVITE", 2));
    assert_eq!(rig.drain(), "100");

    for (trying_after, expected) in [(Some(Duration::ZERO), "100"), (None, "")] {
        let config = Config {
            trying_after,
            ..Config::default()
        };
        let mut rig = Rig::with(config, Transport::Tcp);
        rig.receive_request(&request("INVITE", 3));
        assert_eq!(rig.drain(), expected);
        rig.wait(1000);
        assert_eq!(rig.drain(), "");
    }
}

/// RFC 4320 4.1, 4.2.
#[test]
fn non_invite_gets_only_a_late_100_and_never_408() {
    let mut rig = Rig::new(Transport::Udp);
    let server = rig.receive_request(&request("OPTIONS", 1));
    let respond = |rig: &mut Rig, status| {
        rig.layer
            .respond(rig.now, server, message(&response("OPTIONS", 1, status)))
    };
    assert_eq!(respond(&mut rig, 100), Err(Error::Provisional));
    assert_eq!(respond(&mut rig, 180), Err(Error::Provisional));
    rig.wait(3499);
    assert_eq!(rig.drain(), "");
    rig.wait(1);
    assert_eq!(rig.drain(), "100");
    assert_eq!(
        rig.layer.server_state(server),
        Some(ServerState::Proceeding)
    );
    assert_eq!(respond(&mut rig, 100), Ok(()));
    assert_eq!(rig.drain(), "100");
    assert_eq!(respond(&mut rig, 408), Ok(()));
    rig.receive(&request("OPTIONS", 1));
    assert_eq!(rig.drain(), "");
    assert_eq!(respond(&mut rig, 200), Err(Error::Answered));
    rig.wait(32_000);
    assert_eq!(rig.drain(), "ended");
    assert_eq!(respond(&mut rig, 200), Err(Error::Gone));
    assert!(rig.is_empty());
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut rig = Rig::new(Transport::Udp);
    let client = rig.send(&request("INVITE", 1));
    rig.drain();
    let reason = [(HeaderName::Reason, "SIP;cause=200")];
    assert_eq!(
        rig.layer.cancel(rig.now, client, &reason),
        Ok(Cancelled::Deferred)
    );
    assert_eq!(
        rig.layer.cancel(rig.now, client, &[]),
        Ok(Cancelled::Ignored)
    );
    assert_eq!(rig.drain(), "");
    rig.receive(&response("INVITE", 1, 100));
    let cancel = match rig.layer.poll_output() {
        Some(Output::Transmit { message, .. }) => message,
        other => panic!("{other:?}"),
    };
    assert!(cancel.is_method(&Method::Cancel));
    assert_eq!(cancel.header(HeaderName::Reason), Some("SIP;cause=200"));
    assert_eq!(cancel.top_via().unwrap().branch(), Some("z9hG4bK1"));
    assert_eq!(cancel.header(HeaderName::Route), Some("<sip:p.test;lr>"));
    rig.wait(500);
    assert_eq!(rig.drain(), "CANCEL");
    assert!(matches!(
        rig.receive(&response("CANCEL", 1, 200)),
        Received::Absorbed
    ));
    assert!(matches!(
        rig.receive(&response("INVITE", 1, 487)),
        Received::Response { context: 7, .. }
    ));
    rig.wait(32_000);
    assert_eq!(rig.drain(), "ACK, ended 7");
    assert!(rig.is_empty());
}

#[test]
fn a_cancelled_invite_times_out_64_t1_after_the_cancel() {
    let mut rig = Rig::new(Transport::Tcp);
    let client = rig.send(&request("INVITE", 1));
    rig.receive(&response("INVITE", 1, 180));
    rig.wait(100_000);
    rig.drain();
    assert_eq!(rig.layer.cancel(rig.now, client, &[]), Ok(Cancelled::Sent));
    assert_eq!(rig.drain(), "CANCEL");
    rig.receive(&response("CANCEL", 1, 200));
    rig.wait(31_999);
    rig.receive(&response("INVITE", 1, 180));
    assert_eq!(rig.drain(), "");
    rig.wait(1);
    assert_eq!(rig.drain(), "timeout 7, ended 7");
    assert!(rig.is_empty());
}

#[test]
fn a_deferred_cancel_is_forgotten_when_a_final_response_comes_first() {
    let mut rig = Rig::new(Transport::Udp);
    let client = rig.send(&request("INVITE", 1));
    rig.layer.cancel(rig.now, client, &[]).unwrap();
    rig.receive(&response("INVITE", 1, 200));
    rig.wait(64_000);
    assert_eq!(rig.drain(), "INVITE, ended 7");
    assert_eq!(
        rig.layer.cancel(rig.now, client, &[]),
        Ok(Cancelled::Ignored)
    );
    let bye = rig.send(&request("BYE", 2));
    assert_eq!(rig.layer.cancel(rig.now, bye, &[]), Ok(Cancelled::Ignored));
}

#[test]
fn cancel_is_matched_to_its_invite_and_answered_by_the_user() {
    let mut rig = Rig::new(Transport::Udp);
    let invite = rig.receive_request(&request("INVITE", 1));
    rig.layer.set_server_context(invite, 42);
    let Received::Cancel {
        server,
        invite: found,
        ..
    } = rig.receive(&request("CANCEL", 1))
    else {
        panic!("no CANCEL");
    };
    assert_eq!(found, Some(invite));
    assert_eq!(rig.layer.server_context(invite), Some(&42));
    let ok = message(&response("CANCEL", 1, 200));
    rig.layer.respond(rig.now, server, ok).unwrap();
    assert!(matches!(
        rig.receive(&request("CANCEL", 1)),
        Received::Absorbed
    ));
    assert_eq!(rig.drain(), "200, 200");
    assert!(matches!(
        rig.receive(&request("CANCEL", 2)),
        Received::Cancel { invite: None, .. }
    ));
}

#[test]
fn the_ack_of_a_2xx_goes_to_the_user_and_that_of_an_error_does_not() {
    let mut rig = Rig::new(Transport::Udp);
    let first = rig.receive_request(&request("INVITE", 1));
    let ok = message(&response("INVITE", 1, 200));
    rig.layer.respond(rig.now, first, ok.clone()).unwrap();
    rig.layer.respond(rig.now, first, ok).unwrap();
    assert_eq!(rig.drain(), "200, 200");
    assert!(matches!(
        rig.receive(&request("ACK", 9)),
        Received::Ack { server: None, .. }
    ));
    assert!(matches!(
        rig.receive(&request("ACK", 1)),
        Received::Ack { server: Some(id), .. } if id == first
    ));
    let second = rig.receive_request(&request("INVITE", 2));
    let busy = message(&response("INVITE", 2, 486));
    rig.layer.respond(rig.now, second, busy).unwrap();
    assert!(matches!(
        rig.receive(&request("ACK", 2)),
        Received::Absorbed
    ));
    assert!(matches!(
        rig.receive(&request("ACK", 2)),
        Received::Absorbed
    ));
    assert_eq!(rig.layer.server_state(second), Some(ServerState::Confirmed));
    rig.wait(5000);
    assert_eq!(rig.drain(), "486, ended");
}

/// RFC 3261 17.2.3, second half.
#[test]
fn elements_without_magic_cookie_are_matched_as_rfc_2543_did() {
    let mut rig = Rig::new(Transport::Udp);
    let invite = rig.receive_request(&request_2543("INVITE", 1));
    assert!(matches!(
        rig.receive(&request_2543("INVITE", 1)),
        Received::Absorbed
    ));
    let other = request_2543("INVITE", 1).replace("call1@", "other@");
    rig.receive_request(&other);
    let Received::Cancel { invite: found, .. } = rig.receive(&request_2543("CANCEL", 1)) else {
        panic!("no CANCEL");
    };
    assert_eq!(found, Some(invite));
    let busy = message(&response("INVITE", 1, 487));
    rig.layer.respond(rig.now, invite, busy).unwrap();
    let ack = request_2543("ACK", 1);
    assert!(matches!(
        rig.receive(&ack),
        Received::Ack { server: None, .. }
    ));
    let ack = ack.replace("To: <sip:bob@b.test>", "To: <sip:bob@b.test>;tag=b");
    assert!(matches!(rig.receive(&ack), Received::Absorbed));
    assert_eq!(rig.layer.server_state(invite), Some(ServerState::Confirmed));
}

#[test]
fn the_same_branch_from_another_sender_is_another_transaction() {
    let mut rig = Rig::new(Transport::Udp);
    rig.receive_request(&request("INVITE", 1));
    rig.receive_request(&request("INVITE", 1).replace("a.test:5060;", "a.test:5061;"));
    rig.receive_request(&request("INVITE", 1).replace("a.test:5060;", "c.test:5060;"));
    let shouted = request("INVITE", 1).replace("UDP a.test", "UDP A.TEST");
    assert!(matches!(rig.receive(&shouted), Received::Absorbed));
    // A client of the same node may have the same branch: elements that share a layer do not clash.
    rig.send(&request("INVITE", 1));
    assert_eq!(rig.layer.servers_len(), 3);
    assert_eq!(rig.layer.clients_len(), 1);
}

#[test]
fn at_the_limit_what_only_lingers_makes_room() {
    let config = Config {
        clients_max: 2,
        servers_max: 2,
        trying_after: None,
    };
    let mut rig = Rig::with(config, Transport::Udp);
    let pending = rig.receive_request(&request("INVITE", 1));
    for number in 2..=5 {
        let answered = rig.receive_request(&request("OPTIONS", number));
        let ok = message(&response("OPTIONS", number, 200));
        rig.layer.respond(rig.now, answered, ok).unwrap();
        assert_eq!(rig.layer.servers_len(), 2);
    }
    assert_eq!(rig.layer.counters().cut_short, 3);
    assert_eq!(rig.layer.counters().requests_refused, 0);
    assert_eq!(
        rig.layer.server_state(pending),
        Some(ServerState::Proceeding)
    );
    // What made room is a new request when it comes again, what lingers still is absorbed.
    assert!(matches!(
        rig.receive(&request("OPTIONS", 5)),
        Received::Absorbed
    ));
    assert!(matches!(
        rig.receive(&request("OPTIONS", 4)),
        Received::Request { .. }
    ));

    let pending = rig.send(&request("INVITE", 1));
    for number in 2..=5 {
        rig.send(&request("OPTIONS", number));
        rig.receive(&response("OPTIONS", number, 200));
        assert_eq!(rig.layer.clients_len(), 2);
    }
    assert_eq!(rig.layer.counters().clients_refused, 0);
    assert_eq!(rig.layer.client_state(pending), Some(ClientState::Calling));
}

#[test]
fn limits_refuse_new_transactions_and_count() {
    let config = Config {
        clients_max: 1,
        servers_max: 1,
        trying_after: None,
    };
    let mut rig = Rig::with(config, Transport::Udp);
    let client = rig.send(&request("INVITE", 1));
    let again = message(&request("INVITE", 2));
    assert_eq!(
        rig.layer.send_request(rig.now, rig.hop, again, 0),
        Err(Error::Limit)
    );
    rig.receive(&response("INVITE", 1, 180));
    assert_eq!(rig.layer.cancel(rig.now, client, &[]), Ok(Cancelled::Sent));
    rig.receive_request(&request("INVITE", 1));
    assert!(matches!(
        rig.receive(&request("INVITE", 2)),
        Received::Refused {
            why: Refusal::Limit,
            ..
        }
    ));
    assert!(matches!(
        rig.receive(&request("INVITE", 1)),
        Received::Absorbed
    ));
    assert_eq!(rig.layer.counters().requests_refused, 1);
    assert_eq!(rig.layer.counters().clients_refused, 1);
    assert_eq!(rig.layer.client_count(ClientState::Proceeding), 1);
    assert_eq!(rig.layer.client_count(ClientState::Trying), 1);
    assert_eq!(rig.layer.server_count(ServerState::Proceeding), 1);
}

#[test]
fn messages_that_no_transaction_can_hold_are_refused() {
    let mut rig = Rig::new(Transport::Udp);
    let whole = request("OPTIONS", 1);
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let line = whole.lines().find(|line| line.starts_with(name)).unwrap();
        let text = whole.replacen(&format!("{line}\r\n"), "", 1);
        assert!(
            matches!(
                rig.receive(&text),
                Received::Refused {
                    why: Refusal::Invalid(_),
                    ..
                }
            ),
            "{name}"
        );
    }
    let mismatch = whole.replace("1 OPTIONS", "1 INFO");
    assert!(matches!(rig.receive(&mismatch), Received::Refused { .. }));
    let stray = response("OPTIONS", 1, 200);
    assert!(matches!(
        rig.receive(&stray),
        Received::StrayResponse { .. }
    ));
    let bare = stray.replace(";branch=z9hG4bK1", "");
    assert!(matches!(rig.receive(&bare), Received::Refused { .. }));
    let (now, hop) = (rig.now, rig.hop);
    for (text, error) in [(stray, Error::Misuse), (request("ACK", 1), Error::Misuse)] {
        assert_eq!(
            rig.layer.send_request(now, hop, message(&text), 0),
            Err(error)
        );
    }
    rig.send(&whole);
    assert_eq!(
        rig.layer.send_request(now, hop, message(&whole), 0),
        Err(Error::Duplicate)
    );
    assert_eq!(rig.layer.counters().invalid, 7);
}

#[test]
fn a_lost_connection_fails_the_clients_that_wait_on_it() {
    let mut rig = Rig::new(Transport::Tcp);
    rig.send(&request("OPTIONS", 1));
    rig.hop = Transport::Tls;
    rig.send(&request("OPTIONS", 2));
    rig.drain();
    rig.layer
        .handle_hop_lost(rig.now, |&hop| hop == Transport::Tcp);
    assert_eq!(rig.drain(), "unreachable, ended 7");
    assert_eq!(rig.layer.clients_len(), 1);
}
