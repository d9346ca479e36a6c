mod encoding;

use std::collections::BTreeMap;
use std::time::Duration;

use base::{Entropy, Instant};

use super::*;
use crate::message::{
    ActionReply, AmmsReply, AuditDescriptor, AuditRequest, Command, CommandReply, ContextId,
    Segment,
};
use crate::text;

const MG: &str = "192.0.2.1:2944";
const MGC: &str = "192.0.2.2:2944";

fn address(text: &str) -> PeerAddress {
    text.parse().unwrap()
}

fn endpoint(own: &str) -> Endpoint<u32> {
    let config = Config::new(Mid::from(address(own)), TransactionId(1000));
    Endpoint::new(config, Entropy::from_u64(1))
}

fn audit(termination: &str) -> Vec<ActionRequest> {
    let request = AuditRequest::new(termination, AuditDescriptor::default());
    vec![ActionRequest::new(
        ContextId::Null,
        vec![Command::AuditValue(request).into()],
    )]
}

fn done(termination: &str) -> ReplyBody {
    let reply = CommandReply::Modify(AmmsReply::new(termination, Vec::new()));
    ReplyBody::Actions(vec![ActionReply::new(ContextId::Null, vec![reply])])
}

fn drain<T: Copy>(endpoint: &mut Endpoint<T>) -> Vec<Output<T>> {
    std::iter::from_fn(|| endpoint.poll_output()).collect()
}

fn messages<T>(outputs: &[Output<T>]) -> Vec<String> {
    let text = |output: &Output<T>| match output {
        Output::Transmit { bytes, .. } => Some(String::from_utf8(bytes.clone()).unwrap()),
        _ => None,
    };
    outputs.iter().filter_map(text).collect()
}

fn bytes<T>(outputs: &[Output<T>]) -> Vec<u8> {
    match outputs {
        [Output::Transmit { bytes, .. }] => bytes.clone(),
        _ => panic!("not one message: {}", outputs.len()),
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A gateway that has a request to execute, with the message that carried it.
fn executing(now: Instant) -> (Endpoint<u32>, RequestHandle, Vec<u8>) {
    let (mut mgc, mut mg) = (endpoint(MGC), endpoint(MG));
    mgc.send_request(now, address(MG), audit("ROOT"), 1)
        .unwrap();
    let message = bytes(&drain(&mut mgc));
    mg.handle_input(now, address(MGC), &message);
    let [Output::Request { handle, .. }] = drain(&mut mg)[..] else {
        panic!()
    };
    (mg, handle, message)
}

#[test]
fn a_repeated_request_is_executed_once_and_answered_again() {
    let now = Instant::from_secs(1);
    let (mut mg, handle, message) = executing(now);
    mg.reply(now, handle, done("ROOT")).unwrap();
    let reply = bytes(&drain(&mut mg));
    mg.handle_input(now + secs(29), address(MGC), &message);
    assert_eq!(bytes(&drain(&mut mg)), reply);
    assert_eq!(mg.counters().requests_received, 1);
    assert_eq!(
        mg.reply(now, handle, done("ROOT")),
        Err(Error::UnknownRequest)
    );
}

#[test]
fn a_reply_is_forgotten_after_long_timer() {
    let now = Instant::from_secs(1);
    let (mut mg, handle, message) = executing(now);
    mg.reply(now, handle, done("ROOT")).unwrap();
    drain(&mut mg);
    assert_eq!(mg.next_timeout(), Some(now + LONG_TIMER));
    mg.handle_timeout(now + LONG_TIMER);
    assert_eq!((mg.transactions_len(), mg.peers_len()), (0, 0));
    mg.handle_input(now + LONG_TIMER, address(MGC), &message);
    assert!(matches!(drain(&mut mg)[..], [Output::Request { .. }]));
}

#[test]
fn an_acknowledged_request_that_comes_again_is_dropped() {
    let now = Instant::from_secs(1);
    let (mut mg, handle, message) = executing(now);
    mg.reply(now, handle, done("ROOT")).unwrap();
    drain(&mut mg);
    mg.handle_input(now, address(MGC), b"!/3 [192.0.2.2] K{900-1000,1007}");
    mg.handle_input(now, address(MGC), &message);
    assert_eq!(drain(&mut mg), []);
    assert_eq!(mg.transactions_len(), 1);
    mg.handle_timeout(now + LONG_TIMER);
    assert_eq!(mg.transactions_len(), 0);
}

#[test]
fn a_slow_execution_sends_pending_and_its_reply_insists_on_an_acknowledgement() {
    let now = Instant::from_secs(1);
    let (mut mg, handle, message) = executing(now);
    mg.handle_timeout(now + secs(1));
    assert_eq!(
        messages(&drain(&mut mg)),
        ["!/3 [192.0.2.1]:2944\nPN=1000{}"]
    );
    // A repetition is answered by Pending at once.
    mg.handle_input(now + secs(1), address(MGC), &message);
    assert_eq!(
        messages(&drain(&mut mg)),
        ["!/3 [192.0.2.1]:2944\nPN=1000{}"]
    );
    let now = now + Duration::from_millis(1500);
    mg.reply(now, handle, done("ROOT")).unwrap();
    let reply = messages(&drain(&mut mg));
    assert_eq!(reply, ["!/3 [192.0.2.1]:2944\nP=1000{IA,C=-{MF=ROOT}}"]);
    // Not acknowledged, it is repeated.
    mg.handle_timeout(now + Duration::from_millis(500));
    assert_eq!(messages(&drain(&mut mg)), reply);
    mg.handle_input(now + secs(1), address(MGC), b"!/3 [192.0.2.2] K{1000}");
    assert_eq!(mg.next_timeout(), Some(now + LONG_TIMER));
}

#[test]
fn too_many_pendings_end_in_error_506() {
    let mut now = Instant::from_secs(1);
    let (mut mg, handle, _) = executing(now);
    let mut sent = Vec::new();
    while mg.counters().pending_limit_exceeded == 0 {
        now = mg.next_timeout().unwrap();
        mg.handle_timeout(now);
        sent.extend(messages(&drain(&mut mg)));
    }
    assert_eq!(sent.len(), 21);
    assert!(sent[20].contains("P=1000{IA,ER=506{"), "{}", sent[20]);
    assert_eq!(
        mg.reply(now, handle, done("ROOT")),
        Err(Error::UnknownRequest)
    );
}

#[test]
fn a_request_is_repeated_with_growing_intervals_until_t_max() {
    let start = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    mgc.send_request(start, address(MG), audit("ROOT"), 7)
        .unwrap();
    let first = messages(&drain(&mut mgc));
    let (mut repetitions, mut last) = (0, start);
    loop {
        let now = mgc.next_timeout().unwrap();
        assert!(now - last <= RTO_MAX);
        last = now;
        mgc.handle_timeout(now);
        let outputs = drain(&mut mgc);
        if let [
            Output::Failed {
                token: 7,
                reason: Failure::Timeout,
                ..
            },
        ] = outputs[..]
        {
            break;
        }
        assert_eq!(messages(&outputs), first);
        repetitions += 1;
    }
    assert_eq!(last - start, T_MAX);
    assert!((6..=14).contains(&repetitions), "{repetitions}");
    assert_eq!((mgc.requests_len(), mgc.peers_len()), (0, 0));
}

#[test]
fn nothing_is_repeated_over_a_reliable_transport() {
    let now = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    let reliable = Association {
        transport: Transport::Reliable,
        ..Association::default()
    };
    mgc.set_association(address(MG), reliable);
    mgc.send_request(now, address(MG), audit("ROOT"), 7)
        .unwrap();
    drain(&mut mgc);
    assert_eq!(mgc.next_timeout(), Some(now + T_MAX));
    mgc.handle_input(now, address(MG), b"!/3 [192.0.2.1] P=1000{C=-{AV=ROOT}}");
    assert!(matches!(
        drain(&mut mgc)[..],
        [Output::Reply { token: 7, .. }]
    ));
    assert_eq!(mgc.next_timeout(), None);
}

#[test]
fn pending_slows_repetition_and_prolongs_the_wait() {
    let start = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    mgc.send_request(start, address(MG), audit("ROOT"), 7)
        .unwrap();
    drain(&mut mgc);
    let now = start + Duration::from_millis(100);
    mgc.handle_input(now, address(MG), b"!/3 [192.0.2.1] PN=1000{}");
    assert_eq!(drain(&mut mgc), [Output::Pending { token: 7 }]);
    assert_eq!(mgc.next_timeout(), Some(now + secs(2)));
    // The reply is acknowledged at once, though it does not ask for it.
    mgc.handle_input(now, address(MG), b"!/3 [192.0.2.1] P=1000{C=-{AV=ROOT}}");
    let outputs = drain(&mut mgc);
    assert!(matches!(outputs[0], Output::Reply { token: 7, .. }));
    assert_eq!(messages(&outputs), ["!/3 [192.0.2.2]:2944\nK{1000}"]);
    // A Pending that was overtaken means nothing.
    mgc.handle_input(now, address(MG), b"!/3 [192.0.2.1] PN=1000{}");
    assert_eq!(drain(&mut mgc), []);
}

#[test]
fn a_reply_that_comes_again_is_acknowledged_again_and_not_told() {
    let now = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    mgc.handle_input(now, address(MG), b"!/3 [192.0.2.1] P=5{IA,C=-{AV=ROOT}}");
    assert_eq!(messages(&drain(&mut mgc)), ["!/3 [192.0.2.2]:2944\nK{5}"]);
    assert_eq!(mgc.counters().replies_unexpected, 1);
}

#[test]
fn acknowledgements_go_with_the_next_message_or_by_themselves() {
    let now = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    for token in 0..3 {
        mgc.send_request(now, address(MG), audit("ROOT"), token)
            .unwrap();
    }
    drain(&mut mgc);
    let replies = b"!/3 [192.0.2.1] P=1000{C=-{AV=ROOT}} P=1001{C=-{AV=ROOT}}";
    mgc.handle_input(now, address(MG), replies);
    assert_eq!(messages(&drain(&mut mgc)), [""; 0]);
    mgc.send_request(now, address(MG), audit("ROOT"), 4)
        .unwrap();
    let sent = messages(&drain(&mut mgc));
    assert!(
        sent[0].starts_with("!/3 [192.0.2.2]:2944\nK{1000-1001}T=1003{"),
        "{}",
        sent[0]
    );
    let replies = b"!/3 [192.0.2.1] P=1002{C=-{AV=ROOT}} P=1003{C=-{AV=ROOT}}";
    mgc.handle_input(now, address(MG), replies);
    drain(&mut mgc);
    mgc.handle_timeout(now + Duration::from_millis(200));
    assert_eq!(
        messages(&drain(&mut mgc)),
        ["!/3 [192.0.2.2]:2944\nK{1002-1003}"]
    );
}

#[test]
fn transactions_of_one_turn_share_messages_up_to_the_limit() {
    let now = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    for token in 0..100 {
        mgc.send_request(now, address(MG), audit("ROOT"), token)
            .unwrap();
    }
    let sent = messages(&drain(&mut mgc));
    assert!(sent.iter().all(|message| message.len() <= BUNDLE_LEN_MAX));
    assert!(sent.len() <= 3, "{}", sent.len());
    let carried: usize = sent
        .iter()
        .map(|message| message.matches("T=").count())
        .sum();
    assert_eq!(carried, 100);
}

#[test]
fn one_bad_transaction_is_refused_and_the_others_are_executed() {
    let now = Instant::from_secs(1);
    let mut mg = endpoint(MG);
    let message = b"!/3 [192.0.2.2] T=1{C=-{AV=ROOT{AT{}}}} T=2{C=-{Frobnicate=ROOT}}
        T=3{C=-{AV=ROOT{AT{M}}}}";
    mg.handle_input(now, address(MGC), message);
    let outputs = drain(&mut mg);
    let ids: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Request { handle, .. } => Some(handle.id.0),
            _ => None,
        })
        .collect();
    assert_eq!(ids, [1, 3]);
    assert!(messages(&outputs)[0].contains("P=2{ER=443{"));
    assert_eq!(mg.counters().transactions_malformed, 1);
}

#[test]
fn a_malformed_message_is_answered_by_a_message_error_and_that_by_nothing() {
    let now = Instant::from_secs(1);
    let (mut mg, mut mgc) = (endpoint(MG), endpoint(MGC));
    mg.handle_input(
        now,
        address(MGC),
        b"!/4 [192.0.2.2] T=1{C=-{AV=ROOT{AT{}}}}",
    );
    let outputs = drain(&mut mg);
    let sent = messages(&outputs);
    assert!(
        sent[0].starts_with("!/3 [192.0.2.1]:2944\nER=406{"),
        "{}",
        sent[0]
    );
    mgc.handle_input(now, address(MG), sent[0].as_bytes());
    let outputs = drain(&mut mgc);
    let [
        Output::MessageError {
            fault: Fault::Reported(error),
            ..
        },
    ] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!(error.code, ErrorCode::VERSION_NOT_SUPPORTED);
    assert_eq!((mg.peers_len(), mgc.peers_len()), (0, 0));
}

#[test]
fn an_unreadable_reply_ends_its_request() {
    let now = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    mgc.send_request(now, address(MG), audit("ROOT"), 7)
        .unwrap();
    drain(&mut mgc);
    mgc.handle_input(
        now,
        address(MG),
        b"!/3 [192.0.2.1] P=1000{C=-{AV=ROOT{M{Nonsense}}}}",
    );
    let outputs = drain(&mut mgc);
    let failed = |output: &Output<u32>| {
        matches!(
            output,
            Output::Failed {
                token: 7,
                reason: Failure::MalformedReply(_),
                ..
            }
        )
    };
    assert_eq!(outputs.iter().filter(|output| failed(output)).count(), 1);
}

#[test]
fn limits_refuse() {
    let now = Instant::from_secs(1);
    let mut config = Config::new(Mid::from(address(MGC)), TransactionId(u32::MAX));
    (
        config.requests_max,
        config.executions_max,
        config.strangers_max,
    ) = (2, 1, 1);
    let mut mgc = Endpoint::<u32>::new(config, Entropy::from_u64(1));
    let ids: Vec<_> = (0..3)
        .map(|token| mgc.send_request(now, address(MG), audit("ROOT"), token))
        .collect();
    let right = [
        Ok(TransactionId(u32::MAX)),
        Ok(TransactionId(1)),
        Err(Error::TooManyRequests),
    ];
    assert_eq!(ids, right);
    let other = mgc.send_request(now, address(MGC), audit("ROOT"), 0);
    assert_eq!(other, Err(Error::TooManyPeers));
    drain(&mut mgc);
    let requests = b"!/3 [192.0.2.1] T=1{C=-{AV=ROOT{AT{}}}} T=2{C=-{AV=ROOT{AT{}}}}";
    mgc.handle_input(now, address(MG), requests);
    assert!(matches!(drain(&mut mgc)[..], [Output::Request { .. }]));
    assert_eq!(mgc.counters().requests_refused, 1);
    mgc.handle_input(now, address(MGC), requests);
    assert_eq!(mgc.counters().strangers_refused, 1);
    mgc.disconnect(address(MG));
    let failed = drain(&mut mgc);
    assert_eq!(failed.len(), 2);
    assert_eq!(
        (mgc.requests_len(), mgc.transactions_len(), mgc.peers_len()),
        (0, 0, 0)
    );
    assert_eq!(mgc.next_timeout(), None);
}

#[test]
fn requests_given_up_fail_and_those_of_the_peer_go_on() {
    let now = Instant::from_secs(1);
    let (mut mg, handle, _) = executing(now);
    mg.send_request(now, address(MGC), audit("ROOT"), 5)
        .unwrap();
    drain(&mut mg);
    mg.give_up_requests(address(MGC));
    let failed = drain(&mut mg);
    let reason = Failure::Disconnected;
    assert!(
        matches!(&failed[..], [Output::Failed { token: 5, reason: why, .. }] if *why == reason)
    );
    mg.reply(now, handle, done("ROOT")).unwrap();
    assert!(messages(&drain(&mut mg))[0].contains("P=1000{"));
    assert_eq!(mg.next_timeout(), Some(now + LONG_TIMER));
}

#[test]
fn a_peer_whose_association_ended_is_forgotten_when_it_is_idle() {
    let now = Instant::from_secs(1);
    let (mut mg, handle, _) = executing(now);
    mg.set_association(address(MGC), Association::default());
    mg.end_association(address(MGC));
    mg.end_association(address(MGC));
    mg.reply(now, handle, done("ROOT")).unwrap();
    assert!(messages(&drain(&mut mg))[0].contains("P=1000{"));
    mg.handle_timeout(now + LONG_TIMER);
    assert_eq!(mg.peers_len(), 0);
    mg.set_association(address(MGC), Association::default());
    assert_eq!(mg.peers_len(), 1);
    mg.end_association(address(MGC));
    assert_eq!(mg.peers_len(), 0);
}

#[test]
fn segments_are_acknowledged_and_joined_in_order() {
    let now = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    mgc.send_request(now, address(MG), audit("*"), 7).unwrap();
    drain(&mut mgc);
    mgc.handle_input(
        now,
        address(MG),
        b"!/3 [192.0.2.1] P=1000/2/&{C=-{AV=b,AV=c}}",
    );
    assert_eq!(
        messages(&drain(&mut mgc)),
        ["!/3 [192.0.2.2]:2944\nSM=1000/2/&"]
    );
    mgc.handle_input(now, address(MG), b"!/3 [192.0.2.1] P=1000/1{C=-{AV=a}}");
    let outputs = drain(&mut mgc);
    let Output::Reply {
        body: ReplyBody::Actions(actions),
        ..
    } = &outputs[0]
    else {
        panic!()
    };
    assert_eq!((actions.len(), actions[0].commands.len()), (1, 3));
    let segment = Transaction::SegmentReply(
        TransactionId(1000),
        Segment {
            number: 1,
            complete: false,
        },
    );
    let sent = text::parse_message(messages(&outputs)[0].as_bytes()).unwrap();
    let crate::message::MessageBody::Transactions(sent) = sent.body else {
        panic!()
    };
    assert!(sent.contains(&segment));
}

/// An answer of `count` commands with names of `len` characters.
fn long_body(count: usize, len: usize) -> ReplyBody {
    let replies = (0..count).map(|_| {
        CommandReply::AuditValue(crate::message::AuditReply::Terminations(AmmsReply::new(
            "x".repeat(len).as_str(),
            Vec::new(),
        )))
    });
    ReplyBody::Actions(vec![ActionReply::new(ContextId::Null, replies.collect())])
}

#[test]
fn an_answer_too_long_for_a_message_becomes_error_533_where_it_cannot_be_segmented() {
    let now = Instant::from_secs(1);
    let old = Association {
        version: 2,
        ..Association::default()
    };
    let small = Association {
        message_len_max: 1000,
        ..Association::default()
    };
    for (association, body) in [(old, long_body(1200, 60)), (small, long_body(1, 1000))] {
        let (mut mg, handle, _) = executing(now);
        mg.set_association(address(MGC), association);
        mg.reply(now, handle, body).unwrap();
        let sent = &messages(&drain(&mut mg))[0];
        assert!(sent.contains("ER=533{"), "{}", sent.len());
    }
}

#[test]
fn a_long_answer_is_sent_in_segments_and_the_lost_ones_are_repeated() {
    for encoding in [Encoding::default(), Encoding::Binary] {
        let mut now = Instant::from_secs(1);
        let association = Association {
            message_len_max: 1000,
            encoding,
            follow_peer: false,
            ..Association::default()
        };
        let (mut mg, mut mgc) = (endpoint(MG), endpoint(MGC));
        mg.set_association(address(MGC), association.clone());
        mgc.set_association(address(MG), association);
        mgc.send_request(now, address(MG), audit("*"), 7).unwrap();
        let asked = transmitted(&drain(&mut mgc));
        mg.handle_input(now, address(MGC), &asked[0]);
        let Some(Output::Request { handle, .. }) = mg.poll_output() else {
            panic!()
        };
        // Binary has room for terminations of eight octets.
        mg.reply(now, handle, long_body(600, 3)).unwrap();
        let segments = transmitted(&drain(&mut mg));
        assert!(segments.len() > 2, "{encoding:?}");
        assert!(segments.iter().all(|segment| segment.len() <= 1000));
        // The second is lost, the others come in reverse.
        for segment in segments.iter().rev() {
            if *segment != segments[1] {
                mgc.handle_input(now, address(MG), segment);
            }
        }
        let outputs = drain(&mut mgc);
        assert!(!outputs.iter().any(|o| matches!(o, Output::Reply { .. })));
        for acknowledgement in transmitted(&outputs) {
            mg.handle_input(now, address(MGC), &acknowledgement);
        }
        assert!(drain(&mut mg).is_empty());
        now += Duration::from_secs(1);
        mg.handle_timeout(now);
        let repeated = transmitted(&drain(&mut mg));
        assert_eq!(repeated, segments[1..2]);
        mgc.handle_input(now, address(MG), &repeated[0]);
        let outputs = drain(&mut mgc);
        let Some(Output::Reply { body, .. }) = outputs
            .iter()
            .find(|output| matches!(output, Output::Reply { .. }))
        else {
            panic!("{encoding:?}")
        };
        assert_eq!(*body, long_body(600, 3));
        for acknowledgement in transmitted(&outputs) {
            mg.handle_input(now, address(MGC), &acknowledgement);
        }
        mg.handle_timeout(now + T_MAX);
        assert!(drain(&mut mg).is_empty(), "nothing is left to repeat");
    }
}

fn transmitted(outputs: &[Output<u32>]) -> Vec<Vec<u8>> {
    let bytes = outputs.iter().filter_map(|output| match output {
        Output::Transmit { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    bytes.collect()
}

/// What a request is answered with: one in five with more than goes into a message.
fn answer(id: TransactionId) -> ReplyBody {
    if !id.0.is_multiple_of(5) {
        return done("ROOT");
    }
    let replies = (0..150).map(|number| {
        let reply = AmmsReply::new(format!("ip/1/{number}").as_str(), Vec::new());
        CommandReply::AuditValue(crate::message::AuditReply::Terminations(reply))
    });
    ReplyBody::Actions(vec![ActionReply::new(ContextId::Null, replies.collect())])
}

/// Two entities and a network between them that loses, repeats and reorders.
struct World {
    now: Instant,
    entropy: Entropy,
    loss_per_mille: u64,
    ends: [Endpoint<u32>; 2],
    in_flight: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sequence: u64,
    /// Executions to finish.
    work: BTreeMap<(Instant, RequestHandle), usize>,
    executed: [BTreeMap<TransactionId, u32>; 2],
    outcomes: [BTreeMap<u32, (u32, bool)>; 2],
}

impl World {
    fn new(seed: u64, loss_per_mille: u64) -> Self {
        // Text, text that turns to binary with the peer, or binary.
        let encodings = [
            [Encoding::default(), Encoding::default()],
            [Encoding::default(), Encoding::Binary],
            [Encoding::Binary, Encoding::Binary],
        ][(seed % 3) as usize];
        let end = |own, entropy| {
            let mut config = Config::new(Mid::from(address(own)), TransactionId(1));
            config.association.encoding = encodings[usize::from(own == MGC)];
            config.association.message_len_max = 700;
            Endpoint::new(config, Entropy::from_u64(entropy))
        };
        Self {
            now: Instant::from_secs(1),
            entropy: Entropy::from_u64(seed),
            loss_per_mille,
            ends: [end(MG, seed ^ 1), end(MGC, seed ^ 2)],
            in_flight: BTreeMap::new(),
            sequence: 0,
            work: BTreeMap::new(),
            executed: Default::default(),
            outcomes: Default::default(),
        }
    }

    fn drain(&mut self, end: usize) {
        while let Some(output) = self.ends[end].poll_output() {
            match output {
                Output::Transmit { bytes, .. } => self.transmit(end, &bytes),
                Output::Request { handle, .. } => {
                    *self.executed[end].entry(handle.id).or_default() += 1;
                    // One in ten takes up to eight seconds, so that Pending comes into play.
                    let slow = self.entropy.chance(100);
                    let millis = self.entropy.below(if slow { 8000 } else { 20 });
                    self.work
                        .insert((self.now + Duration::from_millis(millis), handle), end);
                }
                Output::Reply {
                    token, id, body, ..
                } => {
                    assert_eq!(body, answer(id));
                    let outcome = self.outcomes[end].entry(token).or_default();
                    (outcome.0, outcome.1) = (outcome.0 + 1, true);
                }
                Output::Failed { token, .. } => self.outcomes[end].entry(token).or_default().0 += 1,
                Output::Pending { token } => assert!(!self.outcomes[end].contains_key(&token)),
                Output::MessageError { fault, .. } => panic!("{fault:?}"),
            }
        }
    }

    fn transmit(&mut self, from: usize, bytes: &[u8]) {
        let copies = if self.entropy.chance(100) { 2 } else { 1 };
        for _ in 0..copies {
            if self.entropy.chance(self.loss_per_mille) {
                continue;
            }
            let late = if self.entropy.chance(100) { 300 } else { 20 };
            let delay = Duration::from_millis(1 + self.entropy.below(late));
            self.sequence += 1;
            self.in_flight.insert(
                (self.now + delay, self.sequence),
                (1 - from, bytes.to_vec()),
            );
        }
    }

    /// Does what comes next; false when nothing ever will.
    fn step(&mut self) -> bool {
        let message = self.in_flight.keys().next().map(|key| key.0);
        let work = self.work.keys().next().map(|key| key.0);
        let timeouts = self.ends.each_ref().map(Endpoint::next_timeout);
        let Some(next) = [message, work].into_iter().chain(timeouts).flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        if message == Some(next) {
            let (_, (to, bytes)) = self.in_flight.pop_first().unwrap();
            let from = address([MGC, MG][to]);
            self.ends[to].handle_input(self.now, from, &bytes);
        } else if work == Some(next) {
            let ((_, handle), end) = self.work.pop_first().unwrap();
            self.ends[end]
                .reply(self.now, handle, answer(handle.id))
                .unwrap();
        } else {
            self.ends
                .iter_mut()
                .for_each(|end| end.handle_timeout(self.now));
        }
        self.drain(0);
        self.drain(1);
        true
    }
}

#[test]
fn every_request_is_executed_once_over_a_bad_network() {
    for seed in 0..25 {
        println!("seed {seed}");
        let mut world = World::new(seed, 300);
        let mut token = 0;
        for _ in 0..60 {
            for end in 0..2 {
                for _ in 0..=world.entropy.below(2) {
                    let peer = address([MGC, MG][end]);
                    let now = world.now;
                    world.ends[end]
                        .send_request(now, peer, audit("ROOT"), token)
                        .unwrap();
                    token += 1;
                }
                world.drain(end);
            }
            for _ in 0..world.entropy.below(30) {
                world.step();
            }
        }
        while world.step() {}
        let outcomes: Vec<_> = world.outcomes.iter().flat_map(BTreeMap::values).collect();
        assert_eq!(outcomes.len(), token as usize, "seed {seed}");
        assert!(outcomes.iter().all(|outcome| outcome.0 == 1), "seed {seed}");
        let answered = outcomes.iter().filter(|outcome| outcome.1).count();
        // Ten transmissions at 51 % round trip loss: about one in a thousand is given up.
        assert!(
            answered * 100 >= outcomes.len() * 97,
            "seed {seed}: {answered}"
        );
        for executed in &world.executed {
            assert!(executed.values().all(|&times| times == 1), "seed {seed}");
        }
        let executed: usize = world.executed.iter().map(BTreeMap::len).sum();
        assert!(executed >= answered, "seed {seed}");
        for end in &world.ends {
            let left = (end.requests_len(), end.transactions_len(), end.peers_len());
            assert_eq!(left, (0, 0, 0), "seed {seed}");
        }
    }
}

#[test]
fn nothing_is_repeated_over_a_good_network() {
    let mut world = World::new(1, 0);
    world.entropy = Entropy::from_u64(5);
    for token in 0..50 {
        let now = world.now;
        world.ends[1]
            .send_request(now, address(MG), audit("ROOT"), token)
            .unwrap();
    }
    world.drain(1);
    while world.step() {}
    assert_eq!(
        world.outcomes[1]
            .values()
            .filter(|outcome| outcome.1)
            .count(),
        50
    );
    assert_eq!(world.ends[1].counters().timeouts, 0);
}

#[test]
fn pendings_prolong_a_request_only_so_often() {
    let mut now = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    mgc.send_request(now, address(MG), audit("ROOT"), 7)
        .unwrap();
    drain(&mut mgc);
    let mut failed = false;
    for _ in 0..=PENDINGS_MAX + 40 {
        mgc.handle_input(now, address(MG), b"!/3 [192.0.2.1] PN=1000{}");
        now += secs(1);
        mgc.handle_timeout(now);
        failed |= drain(&mut mgc)
            .iter()
            .any(|output| matches!(output, Output::Failed { .. }));
    }
    assert!(failed);
}

#[test]
fn a_request_too_long_for_its_transport_is_not_sent() {
    let now = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    let many = vec![audit(&"x".repeat(60)).remove(0); 1200];
    let refused = mgc.send_request(now, address(MG), many, 7);
    assert_eq!(refused, Err(Error::TooLong));
    assert_eq!((mgc.requests_len(), mgc.next_timeout()), (0, None));
}

#[test]
fn a_full_entity_drops_datagrams_and_refuses_on_reliable_transports() {
    let now = Instant::from_secs(1);
    for (transport, answers) in [(Transport::Datagram, 0), (Transport::Reliable, 1)] {
        let mut config = Config::new(Mid::from(address(MG)), TransactionId(1));
        config.executions_max = 1;
        config.association.transport = transport;
        let mut mg = Endpoint::<u32>::new(config, Entropy::from_u64(1));
        let requests = b"!/3 [192.0.2.2] T=1{C=-{AV=ROOT{AT{}}}} T=2{C=-{AV=ROOT{AT{}}}}";
        mg.handle_input(now, address(MGC), requests);
        let outputs = drain(&mut mg);
        let sent = messages(&outputs);
        assert_eq!(sent.len(), answers);
        assert!(sent.iter().all(|message| message.contains("P=2{ER=510{")));
        assert_eq!(mg.counters().requests_refused, 1);
    }
}

#[test]
fn a_reply_from_elsewhere_answers_nothing() {
    let now = Instant::from_secs(1);
    let mut mgc = endpoint(MGC);
    mgc.send_request(now, address(MG), audit("ROOT"), 7)
        .unwrap();
    drain(&mut mgc);
    let other = address("192.0.2.9:2944");
    mgc.handle_input(
        now,
        other,
        b"!/3 [192.0.2.1] P=1000{C=-{AV=ROOT}} PN=1000{}",
    );
    assert_eq!(drain(&mut mgc), []);
    assert_eq!((mgc.requests_len(), mgc.peers_len()), (1, 1));
}

#[test]
fn garbage_of_any_kind_leaves_no_state() {
    let mut now = Instant::from_secs(1);
    let mut mg = endpoint(MG);
    let mut entropy = Entropy::from_u64(3);
    let message = b"!/3 [192.0.2.2] T=1{C=-{AV=ROOT{AT{}}}} P=9{C=1} PN=8{} K{1-4294967295} SM=1/1";
    for _ in 0..5000 {
        let mut bytes = message.to_vec();
        for _ in 0..=entropy.below(3) {
            let at = entropy.below(bytes.len() as u64) as usize;
            bytes[at] = entropy.next_u32() as u8;
        }
        mg.handle_input(now, address(MGC), &bytes);
        for output in drain(&mut mg) {
            if let Output::Request { handle, .. } = output {
                mg.reply(now, handle, done("ROOT")).unwrap();
            }
        }
        drain(&mut mg);
        now += Duration::from_millis(entropy.below(20));
    }
    while let Some(next) = mg.next_timeout() {
        now = next;
        mg.handle_timeout(now);
        drain(&mut mg);
    }
    assert_eq!(
        (mg.requests_len(), mg.transactions_len(), mg.peers_len()),
        (0, 0, 0)
    );
}
