//! A stack before which messages wait, on virtual time.

use std::time::Duration;

use super::*;
use crate::config::{ControlFile, DnsFile};
use crate::entity::Event;
use crate::node::{Output, Payload};
use crate::stack::admission::{NEW_MAX, SOJOURN_MAX};

struct Bench {
    stack: Stack,
    now: Instant,
    counters: Counters,
}

/// Which message, as its entity would know it.
fn name(message: &Message) -> String {
    let what = match message.method() {
        Some(method) => method.as_str().to_owned(),
        None => message.status().unwrap_or_default().to_string(),
    };
    format!("{what} {}", message.call_id().unwrap_or_default())
}

fn text(method: &str, call: &str, uri: &str, more: &str) -> String {
    let to_tag = if more.contains("To:") {
        ""
    } else {
        "To: <sip:b@test>\r\n"
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{call}\r\n\
         From: <sip:a@test>;tag=1\r\n{to_tag}Call-ID: {call}\r\nCSeq: 1 {method}\r\n\
         Max-Forwards: 70\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

const BOB: &str = "sip:b@test";
const IN_DIALOG: &str = "To: <sip:b@test>;tag=2\r\n";

impl Bench {
    fn new(role: Role) -> Self {
        let address = |text: &str| text.parse().expect("an address");
        let file = ControlFile {
            roles: Some(vec![role]),
            hss: (role == Role::Scscf).then(|| "192.0.2.2:3868".to_owned()),
            icscf: Some(address("192.0.2.3:5060")),
            sip: Some(vec![address("192.0.2.1:5060")]),
            dns: Some(DnsFile {
                servers: Some(Vec::new()),
                ..DnsFile::default()
            }),
            ..ControlFile::default()
        };
        let config = file.validate().expect("the test's configuration");
        Self {
            stack: Stack::new(&config, Entropy::from_u64(1)),
            now: Instant::from_secs(1000),
            counters: Counters::default(),
        }
    }

    fn offer(&mut self, method: &str, call: &str, more: &str) {
        self.offer_text(&text(method, call, BOB, more));
    }

    fn offer_text(&mut self, text: &str) {
        let source = "192.0.2.9:5060".parse().expect("an address");
        self.stack
            .handle_datagram(self.now, &mut self.counters, 0, source, text.as_bytes());
    }

    /// Serves one message and says what an entity is told of it, if anything.
    fn serve(&mut self) -> Option<String> {
        assert!(
            self.stack.serve(self.now, &mut self.counters),
            "something waits"
        );
        let (_, event) = self.stack.poll_event(self.now, &mut self.counters)?;
        Some(match event {
            Event::Request { request, .. } | Event::Ack { request, .. } => name(&request),
            Event::Cancel { .. } => "cancelled".to_owned(),
            other => panic!("{other:?}"),
        })
    }

    /// Serves all that waits.
    fn served(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while self.stack.has_waiting() {
            all.extend(self.serve());
        }
        all
    }

    /// Takes the responses that were sent.
    fn responses(&mut self) -> Vec<Message> {
        let outputs = std::iter::from_fn(|| self.stack.poll_output());
        let responses = outputs.filter_map(|output| match output {
            Output::Datagram {
                bytes: Payload::Message(message),
                ..
            } => Some(message),
            _ => None,
        });
        responses.collect()
    }

    fn count(&self, counter: Counter) -> u64 {
        self.counters.value(counter)
    }
}

#[test]
fn what_goes_on_comes_before_what_begins() {
    let mut bench = Bench::new(Role::Scscf);
    bench.offer("INVITE", "new", "");
    bench.offer("REGISTER", "first", "");
    let empty = "Authorization: Digest username=\"a\", nonce=\"\", response=\"\"\r\n";
    bench.offer("REGISTER", "first-aka", empty);
    let digest = "Authorization: Digest username=\"a\", nonce=\"n\", response=\"0123\"\r\n";
    bench.offer("REGISTER", "again", digest);
    bench.offer("INVITE", "priority", "Resource-Priority: esnet.0\r\n");
    bench.offer_text(&text("INVITE", "help", "urn:service:sos.fire", ""));
    bench.offer("BYE", "old", IN_DIALOG);
    bench.offer("INVITE", "old-2", IN_DIALOG);
    bench.offer("ACK", "old-3", IN_DIALOG);
    bench.offer("OPTIONS", "ping", "");
    let expected = [
        "BYE old",
        "INVITE old-2",
        "ACK old-3",
        "INVITE priority",
        "INVITE help",
        "REGISTER again",
        "INVITE new",
        "REGISTER first",
        "REGISTER first-aka",
        "OPTIONS ping",
    ];
    assert_eq!(bench.served(), expected);
}

#[test]
fn a_registration_that_was_challenged_goes_on() {
    let mut bench = Bench::new(Role::Scscf);
    bench.offer("REGISTER", "1", "");
    assert!(bench.stack.serve(bench.now, &mut bench.counters));
    let Some((
        _,
        Event::Request {
            server, request, ..
        },
    )) = bench.stack.poll_event(bench.now, &mut bench.counters)
    else {
        panic!("nobody is told");
    };
    bench.stack.reject(bench.now, server, &request, 401, "");
    let with_credentials = |branch: &str| {
        let digest = "Authorization: Digest username=\"a\", nonce=\"n\", response=\"0123\"\r\n";
        let again = text("REGISTER", "1", BOB, digest);
        again.replace("z9hG4bK1", &format!("z9hG4bK{branch}"))
    };
    bench.offer_text(&with_credentials("2"));
    // Another that knows the Call-ID is nothing special.
    bench.offer_text(&with_credentials("3"));
    let waiting = bench.stack.admission(bench.now).waiting;
    assert_eq!((waiting["ongoing"], waiting["refresh"]), (1, 1));
}

#[test]
fn a_ue_cannot_claim_a_priority() {
    let mut bench = Bench::new(Role::Pcscf);
    bench.offer("INVITE", "new", "");
    bench.offer("INVITE", "claimed", "Resource-Priority: esnet.0\r\n");
    bench.offer_text(&text("INVITE", "help", "URN:service:sos", ""));
    bench.offer_text(&text("INVITE", "soso", "urn:service:sosx", ""));
    let expected = ["INVITE help", "INVITE new", "INVITE claimed", "INVITE soso"];
    assert_eq!(bench.served(), expected);
}

#[test]
fn what_waited_too_long_is_refused_without_a_transaction() {
    let mut bench = Bench::new(Role::Scscf);
    bench.offer("INVITE", "1", "");
    bench.now += SOJOURN_MAX + Duration::from_nanos(1);
    assert_eq!(bench.serve(), None);
    let refusal = bench.responses().remove(0);
    assert_eq!(refusal.status(), Some(503));
    let after = refusal.retry_after().expect("valid").expect("there");
    assert!((3..=10).contains(&after.seconds), "{after:?}");
    assert_eq!(bench.count(Counter::SipRefusedInitial), 1);
    assert_eq!(bench.stack.transactions().server, 0);
    // Its ACK ends here; one with another tag does not.
    let tag = refusal.to_tag().expect("a tag");
    let ack = |tag: &str| format!("To: <sip:b@test>;tag={tag}\r\n");
    bench.offer("ACK", "1", &ack(tag));
    assert!(!bench.stack.has_waiting());
    assert_eq!(bench.count(Counter::SipAckRefused), 1);
    bench.offer("ACK", "1", &ack("other"));
    assert_eq!(bench.served(), ["ACK 1"]);
    // Sent again, perhaps before the refusal was there, it is refused again and by the same tag.
    bench.offer("INVITE", "1", "");
    assert!(!bench.stack.has_waiting());
    assert_eq!(bench.responses().remove(0).to_tag(), Some(tag));
    bench.offer("INVITE", "2", "");
    assert_eq!(bench.served(), ["INVITE 2"]);
}

#[test]
fn no_more_refusals_are_remembered_than_there_is_room_for() {
    let mut recent = Recent::new(2);
    for key in 1..=3 {
        recent.note(key);
    }
    assert_eq!([1, 2, 3].map(|key| recent.has(key)), [false, true, true]);
    assert!(recent.forget(2) && !recent.has(2));
    assert_eq!((recent.keys.len(), recent.order.len()), (1, 2));
}

#[test]
fn those_refused_together_are_asked_to_return_at_different_times() {
    let mut bench = Bench::new(Role::Scscf);
    for call in 0..100 {
        bench.offer("INVITE", &call.to_string(), "");
    }
    bench.now += Duration::from_secs(1);
    bench.stack.refuse_late(bench.now, &mut bench.counters);
    let mut counts = [0; 11];
    for refusal in bench.responses() {
        counts[refusal
            .retry_after()
            .expect("valid")
            .expect("there")
            .seconds as usize] += 1;
    }
    assert!(counts[3..].iter().all(|&count| count > 3), "{counts:?}");
}

#[test]
fn more_than_may_wait_are_refused_at_once() {
    let mut bench = Bench::new(Role::Scscf);
    for call in 0..=NEW_MAX {
        bench.offer("INVITE", &call.to_string(), "");
    }
    assert_eq!(bench.responses().len(), 1);
    assert_eq!(bench.count(Counter::SipRefusedInitial), 1);
    let waiting = bench.stack.admission(bench.now).waiting;
    assert_eq!(waiting["initial"], NEW_MAX);
    assert_eq!(bench.served().len(), NEW_MAX);
}

#[test]
fn a_retransmission_changes_nothing() {
    let mut bench = Bench::new(Role::Scscf);
    bench.offer("INVITE", "1", "");
    bench.offer("INVITE", "1", "");
    assert_eq!(bench.count(Counter::SipAbsorbed), 1);
    assert_eq!(bench.served(), ["INVITE 1"]);
    // It has a transaction now, and comes before what is new, however late.
    bench.offer("OPTIONS", "2", "");
    bench.offer("INVITE", "1", "");
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.serve(), None);
    assert_eq!(bench.count(Counter::SipRefusedInitial), 0);
    assert_eq!(bench.serve(), None);
    assert_eq!(bench.count(Counter::SipRefusedInitial), 1);
}

#[test]
fn a_cancel_does_not_overtake_its_invite() {
    let mut bench = Bench::new(Role::Scscf);
    bench.offer("INVITE", "1", "");
    bench.offer("CANCEL", "1", "");
    assert_eq!(bench.served(), ["INVITE 1", "cancelled"]);
    // Of one that is refused nothing is left to cancel.
    bench.responses();
    bench.offer("INVITE", "2", "");
    bench.offer("CANCEL", "2", "");
    bench.now += Duration::from_secs(1);
    assert!(bench.served().is_empty());
    let answers: Vec<_> = bench.responses().iter().map(Message::status).collect();
    assert_eq!(answers, [Some(503), Some(481)]);
}

#[test]
fn a_process_that_drains_goes_on_with_what_it_has() {
    let mut bench = Bench::new(Role::Scscf);
    bench.offer("INVITE", "before", "");
    bench.stack.drain();
    bench.offer("INVITE", "new", "");
    bench.offer_text(&text("INVITE", "help", "urn:service:sos", ""));
    bench.offer("REGISTER", "first", "");
    let digest = "Authorization: Digest username=\"a\", nonce=\"n\", response=\"0123\"\r\n";
    bench.offer("REGISTER", "again", digest);
    bench.offer("BYE", "old", IN_DIALOG);
    let refused = bench.responses();
    assert_eq!(refused.len(), 3);
    for refusal in refused {
        assert_eq!(refusal.status(), Some(503));
        let after = refusal.retry_after().expect("valid").expect("there");
        assert!((30..=60).contains(&after.seconds), "{after:?}");
    }
    assert_eq!(bench.count(Counter::SipRefusedDrain), 3);
    assert_eq!(
        bench.served(),
        ["BYE old", "REGISTER again", "INVITE before"]
    );
    assert!(bench.stack.admission(bench.now).is_draining);
}
