//! Loss, servers that fail, truncation, and answers that somebody else made up.

use super::super::resolver::UNEXPECTED_MAX;
use super::*;

fn n_test() -> Question {
    question("n.test", RecordType::A)
}

/// Asks, lets every server be silent, and says who was asked after how many seconds each.
fn ask_in_vain(bench: &mut Bench, asked: &Question) -> Vec<(SocketAddr, u64)> {
    assert_eq!(bench.ask(asked, 1), None);
    let mut tried = Vec::new();
    loop {
        let sent = bench.sent();
        if sent.is_empty() {
            break;
        }
        assert_eq!(sent.len(), 1);
        let waited = bench.time_out();
        tried.push((sent[0].server, waited.as_secs()));
    }
    assert_eq!(bench.answers(), [(1, Answer::Nothing)]);
    tried
}

#[test]
fn each_server_is_asked_twice_and_the_failure_is_remembered() {
    let mut bench = Bench::new(&[server(1), server(2)]);
    let tried = ask_in_vain(&mut bench, &n_test());
    let expected = [
        (server(1), 1),
        (server(2), 1),
        (server(1), 2),
        (server(2), 2),
    ];
    assert_eq!(tried, expected);
    bench.assert_idle();
    let totals = bench.resolver.totals();
    assert_eq!((totals.timeouts, totals.failed), (4, 1));
    bench.now += 4 * SECOND;
    assert_eq!(bench.ask(&n_test(), 2), Some(Answer::Nothing));
    bench.now += SECOND;
    assert_eq!(bench.ask(&n_test(), 3), None);
}

#[test]
fn silent_servers_are_asked_last_and_once_until_they_speak() {
    let mut bench = Bench::new(&[server(1), server(2)]);
    ask_in_vain(&mut bench, &n_test());
    // Both are silent: each has one chance.
    let tried = ask_in_vain(&mut bench, &question("m.test", RecordType::A));
    assert_eq!(tried, [(server(1), 1), (server(2), 1)]);
    // The second speaks, and is first.
    bench.ask(&question("l.test", RecordType::A), 1);
    let first = bench.sent_one();
    bench.time_out();
    let second = bench.sent_one();
    assert_eq!((first.server, second.server), (server(1), server(2)));
    bench.reply(&second, &found(&second.bytes, 60, 9));
    bench.answers();
    bench.ask(&question("k.test", RecordType::A), 1);
    assert_eq!(bench.sent_one().server, server(2));
    // After a while the first has its chance again.
    bench.now += 30 * SECOND;
    bench.ask(&question("j.test", RecordType::A), 1);
    assert_eq!(bench.sent_one().server, server(1));
}

#[test]
fn a_late_answer_is_as_good() {
    let mut bench = Bench::new(&[server(1), server(2)]);
    bench.ask(&n_test(), 1);
    let first = bench.sent_one();
    // The second server was not asked yet.
    let early = Sent {
        server: server(2),
        ..first.clone()
    };
    bench.reply(&early, &found(&first.bytes, 60, 6));
    assert_eq!(bench.answers(), []);
    bench.time_out();
    let second = bench.sent_one();
    bench.reply(&first, &found(&first.bytes, 60, 9));
    assert_eq!(bench.answers(), [(1, addresses(9))]);
    // What comes after it is nobody's.
    bench.reply(&second, &found(&second.bytes, 60, 8));
    assert_eq!(bench.resolver.totals().unexpected, 2);
    bench.assert_idle();
}

#[test]
fn a_server_that_cannot_tell_is_left_at_once() {
    let codes = [
        ResponseCode::ServFail,
        ResponseCode::Refused,
        ResponseCode::NotAuth,
        ResponseCode::BADVERS,
    ];
    for code in codes {
        let mut bench = Bench::new(&[server(1), server(2)]);
        bench.ask(&n_test(), 1);
        let first = bench.sent_one();
        bench.reply(&first, &refused(&first.bytes, code));
        let second = bench.sent_one();
        assert_eq!(second.server, server(2), "{code}");
        // Saying it again does not skip the next.
        bench.reply(&first, &refused(&first.bytes, code));
        assert!(bench.sent().is_empty());
        bench.reply(&second, &found(&second.bytes, 60, 9));
        assert_eq!(bench.answers(), [(1, addresses(9))]);
    }
}

#[test]
fn servers_that_all_refuse_end_the_question_without_waiting() {
    let mut bench = Bench::new(&[server(1), server(2)]);
    bench.ask(&n_test(), 1);
    for _ in 0..4 {
        let sent = bench.sent_one();
        bench.reply(&sent, &refused(&sent.bytes, ResponseCode::ServFail));
    }
    assert_eq!(bench.answers(), [(1, Answer::Nothing)]);
    bench.assert_idle();
}

#[test]
fn a_server_without_edns_is_asked_without_from_then_on() {
    for code in [ResponseCode::FormErr, ResponseCode::NotImp] {
        let mut bench = Bench::new(&[server(1)]);
        bench.ask(&n_test(), 1);
        let with = bench.sent_one();
        assert_eq!(with.bytes[11], 1);
        let header_only = {
            let mut reply = with.bytes[..12].to_vec();
            reply[2] |= 0x80;
            reply[3] = u16::from(code) as u8;
            reply[4..12].fill(0);
            reply
        };
        bench.reply(&with, &header_only);
        let without = bench.sent_one();
        assert_eq!((without.bytes[11], without.server), (0, server(1)));
        bench.reply(&without, &found(&without.bytes, 60, 9));
        assert_eq!(bench.answers(), [(1, addresses(9))]);
        bench.ask(&question("m.test", RecordType::A), 1);
        assert_eq!(bench.sent_one().bytes[11], 0);
    }
}

#[test]
fn what_is_not_the_reply_is_not_believed() {
    let mut bench = Bench::new(&[server(1), server(2)]);
    bench.ask(&n_test(), 1);
    let sent = bench.sent_one();
    let right = found(&sent.bytes, 60, 9);
    let forged = found(&sent.bytes, 60, 66);

    let other_source = Sent {
        server: SocketAddr::new(server(1).ip(), 5353),
        ..sent.clone()
    };
    let other_server = Sent {
        server: server(2),
        ..sent.clone()
    };
    let other_socket = Sent {
        socket: sent.socket ^ 1,
        ..sent.clone()
    };
    for from in [other_source, other_server, other_socket] {
        bench.reply(&from, &forged);
    }
    let mut other_id = forged.clone();
    other_id[1] ^= 1;
    let mut a_query = forged.clone();
    a_query[2] &= 0x7f;
    let mut other_name = empty(&sent.bytes);
    other_name.queries[0].set_name(name("m.test"));
    other_name.add_answer(a("n.test", 60, 66));
    for reply in [&other_id, &a_query, &bytes(&other_name), &forged[..11], &[]] {
        bench.reply(&sent, reply);
    }
    assert_eq!(bench.resolver.totals().unexpected, 8);
    assert_eq!(bench.answers(), []);
    assert!(bench.sent().is_empty());

    bench.reply(&sent, &right);
    assert_eq!(bench.answers(), [(1, addresses(9))]);
}

/// Opens a question and has it truncated; the stream that follows, and the question on it.
fn truncated(bench: &mut Bench) -> (Sent, StreamId, Vec<u8>) {
    bench.ask(&n_test(), 1);
    let sent = bench.sent_one();
    let mut reply = empty(&sent.bytes);
    reply.metadata.truncation = true;
    // Whatever came with it does not count.
    reply.add_answer(a("n.test", 60, 66));
    bench.reply(&sent, &bytes(&reply));
    let streams = bench.streams();
    let [Stream::Connect(stream, peer), Stream::Send(on, question)] = &streams[..] else {
        panic!("{streams:?}");
    };
    assert_eq!((stream, *peer), (on, sent.server));
    let length = usize::from(u16::from_be_bytes([question[0], question[1]]));
    assert_eq!(length, question.len() - 2);
    assert_eq!(bench.answers(), []);
    (sent, *stream, question[2..].to_vec())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
    bytes.extend(message);
    bytes
}

#[test]
fn what_is_truncated_is_asked_over_tcp() {
    for portion in [1, 7, 1000] {
        let mut bench = Bench::new(&[server(1)]);
        let (sent, stream, asked) = truncated(&mut bench);
        // A datagram does not count any more.
        bench.reply(&sent, &found(&sent.bytes, 60, 66));
        for bytes in framed(&found(&asked, 60, 9)).chunks(portion) {
            assert_eq!(bench.answers(), []);
            bench.resolver.handle_received(bench.now, stream, bytes);
        }
        assert_eq!(bench.answers(), [(1, addresses(9))]);
        assert_eq!(bench.streams(), [Stream::Close(stream)]);
        bench.assert_idle();
        assert_eq!(bench.ask(&n_test(), 2), Some(addresses(9)));
        // What still comes on the stream is nobody's.
        bench.resolver.handle_received(bench.now, stream, b"\0\0");
        bench.resolver.handle_closed(bench.now, stream);
        bench.assert_idle();
    }
}

#[test]
fn a_stream_that_leads_to_nothing_is_left_for_the_next_server() {
    let nonsense = |bench: &mut Bench, stream, _: &[u8]| {
        let reply = framed(b"nonsense and more of it");
        bench.resolver.handle_received(bench.now, stream, &reply);
    };
    let again_truncated = |bench: &mut Bench, stream, asked: &[u8]| {
        let mut reply = empty(asked);
        reply.metadata.truncation = true;
        let reply = framed(&bytes(&reply));
        bench.resolver.handle_received(bench.now, stream, &reply);
    };
    let failure = |bench: &mut Bench, stream, asked: &[u8]| {
        let reply = framed(&refused(asked, ResponseCode::ServFail));
        bench.resolver.handle_received(bench.now, stream, &reply);
    };
    let closed = |bench: &mut Bench, stream, _: &[u8]| {
        bench.resolver.handle_closed(bench.now, stream);
    };
    let silence = |bench: &mut Bench, _, _: &[u8]| {
        assert_eq!(bench.time_out(), 2 * SECOND);
    };
    let endless = |bench: &mut Bench, stream, _: &[u8]| {
        for _ in 0..3 {
            let filler = [0xff; 40_000];
            bench.resolver.handle_received(bench.now, stream, &filler);
        }
    };
    type Fault = fn(&mut Bench, StreamId, &[u8]);
    let faults: [(Fault, bool); 6] = [
        (nonsense, true),
        (again_truncated, true),
        (failure, true),
        (closed, false),
        (silence, true),
        (endless, true),
    ];
    for (number, (fault, closes)) in faults.into_iter().enumerate() {
        let mut bench = Bench::new(&[server(1), server(2)]);
        let (_, stream, asked) = truncated(&mut bench);
        fault(&mut bench, stream, &asked);
        let (sent, streams) = bench.outputs();
        let expected: &[Stream] = if closes {
            &[Stream::Close(stream)]
        } else {
            &[]
        };
        assert_eq!(streams, expected, "fault {number}");
        assert_eq!((sent.len(), sent[0].server), (1, server(2)));
        bench.reply(&sent[0], &found(&sent[0].bytes, 60, 9));
        assert_eq!(bench.answers(), [(1, addresses(9))]);
        bench.assert_idle();
    }
}

#[test]
fn where_somebody_guesses_ids_the_answer_is_taken_over_tcp() {
    let mut bench = Bench::new(&[server(1)]);
    bench.ask(&n_test(), 1);
    let sent = bench.sent_one();
    let forged = found(&sent.bytes, 60, 66);
    let right = u16::from_be_bytes([forged[0], forged[1]]);
    for guess in 0..=UNEXPECTED_MAX as u16 {
        let mut reply = forged.clone();
        reply[..2].copy_from_slice(&(right ^ (guess + 1)).to_be_bytes());
        bench.reply(&sent, &reply);
    }
    // Now the guess is right, or it is the server: who can tell?
    bench.reply(&sent, &forged);
    assert_eq!(bench.answers(), []);
    let streams = bench.streams();
    let [Stream::Connect(stream, _), Stream::Send(_, asked)] = &streams[..] else {
        panic!("{streams:?}");
    };
    let reply = framed(&found(&asked[2..], 60, 9));
    bench.resolver.handle_received(bench.now, *stream, &reply);
    assert_eq!(bench.answers(), [(1, addresses(9))]);
}

/// One run of many questions over a network that loses, doubles, delays, breaks and makes up
/// replies.
fn run(seed: u64) {
    let mut bench = Bench::new(&[server(1), server(2)]);
    let mut dice = Entropy::from_u64(seed);
    // Replies under way: when, on which socket, from whom, what.
    let mut wire: Vec<(Instant, Sent, Vec<u8>)> = Vec::new();
    let mut streams: Vec<(Instant, StreamId, Option<Vec<u8>>)> = Vec::new();
    let (mut waiting, mut heard) = (0_u32, 0);
    for step in 0..400 {
        if step < 300 {
            let asked = question(&format!("n{}.test", dice.below(40)), RecordType::A);
            waiting += u32::from(bench.ask(&asked, step).is_none());
        }
        let (sent, touched) = bench.outputs();
        for sent in sent {
            for _ in 0..dice.below(3) {
                let at = bench.now + Duration::from_millis(dice.below(2500));
                let mut reply = match dice.below(8) {
                    0 => refused(&sent.bytes, ResponseCode::ServFail),
                    1 => {
                        let mut reply = empty(&sent.bytes);
                        reply.metadata.truncation = true;
                        bytes(&reply)
                    }
                    _ => found(&sent.bytes, dice.below(20) as u32, 9),
                };
                if dice.chance(200) {
                    let place = dice.below(reply.len() as u64) as usize;
                    reply[place] ^= 1 << dice.below(8);
                }
                wire.push((at, sent.clone(), reply));
            }
        }
        for touched in touched {
            let at = bench.now + Duration::from_millis(dice.below(1500));
            match touched {
                Stream::Send(stream, asked) if dice.chance(600) => {
                    streams.push((at, stream, Some(framed(&found(&asked[2..], 5, 9)))));
                }
                Stream::Send(stream, _) if dice.chance(500) => streams.push((at, stream, None)),
                _ => {}
            }
        }
        bench.now += Duration::from_millis(dice.below(300));
        let now = bench.now;
        wire.retain(|(at, sent, reply)| {
            if *at <= now {
                bench
                    .resolver
                    .handle_datagram(now, sent.socket, sent.server, reply);
            }
            *at > now
        });
        streams.retain(|(at, stream, reply)| {
            if *at <= now {
                match reply {
                    Some(reply) => bench.resolver.handle_received(now, *stream, reply),
                    None => bench.resolver.handle_closed(now, *stream),
                }
            }
            *at > now
        });
        bench.resolver.handle_timeout(now);
        heard += bench.answers().len();
    }
    while bench.resolver.next_timeout().is_some() {
        bench.time_out();
        heard += bench.answers().len();
    }
    assert_eq!(heard, waiting as usize, "seed {seed}: everyone hears once");
    bench.assert_idle();
    let totals = bench.resolver.totals();
    assert_eq!(totals.asked, 300);
    assert!(totals.sent > 20 && totals.timeouts > 0 && totals.truncated > 0);
}

#[test]
fn whatever_the_network_does_everyone_who_waits_hears_once() {
    for seed in 0..100 {
        run(seed);
    }
}
