//! Questions, answers and the cache, with servers that do what they should.

use super::super::resolver::{QUERIES_MAX, SOCKETS_PER_FAMILY, WAITERS_MAX};
use super::*;
use crate::dns::local_addresses;

#[test]
fn an_answer_comes_to_who_waits_and_is_kept_for_its_time() {
    let mut bench = Bench::new(&[server(1)]);
    let asked = question("n.test", RecordType::A);
    assert_eq!(bench.ask(&asked, 1), None);
    let sent = bench.sent_one();
    assert_eq!(sent.server, server(1));
    bench.reply(&sent, &found(&sent.bytes, 60, 9));
    assert_eq!(bench.answers(), [(1, addresses(9))]);
    bench.assert_idle();

    bench.now += 59 * SECOND;
    assert_eq!(bench.ask(&asked, 2), Some(addresses(9)));
    bench.now += SECOND;
    assert_eq!(bench.ask(&asked, 3), None);
    let again = bench.sent_one();
    bench.reply(&again, &found(&again.bytes, 0, 8));
    assert_eq!(bench.answers(), [(3, addresses(8))]);
    // A TTL of zero serves those who wait and nobody after them.
    assert_eq!(bench.ask(&asked, 4), None);
    let totals = bench.resolver.totals();
    assert_eq!((totals.asked, totals.cached, totals.sent), (4, 1, 3));
}

#[test]
fn that_there_is_nothing_is_kept_too() {
    let mut bench = Bench::new(&[server(1)]);
    let asked = question("n.test", RecordType::A);
    bench.ask(&asked, 1);
    let sent = bench.sent_one();
    let mut reply = empty(&sent.bytes);
    reply.metadata.response_code = ResponseCode::NXDomain;
    reply.add_authority(soa("test", 900, 30));
    bench.reply(&sent, &bytes(&reply));
    assert_eq!(bench.answers(), [(1, Answer::Nothing)]);
    bench.now += 29 * SECOND;
    assert_eq!(bench.ask(&asked, 2), Some(Answer::Nothing));
    bench.now += SECOND;
    assert_eq!(bench.ask(&asked, 3), None);
    let sent = bench.sent_one();
    bench.reply(&sent, &bytes(&empty(&sent.bytes)));
    assert_eq!(bench.answers(), [(3, Answer::Nothing)]);
    // Without SOA it is not.
    assert_eq!(bench.ask(&asked, 4), None);
}

#[test]
fn equal_questions_are_asked_once() {
    let mut bench = Bench::new(&[server(1)]);
    let asked = question("n.test", RecordType::A);
    assert_eq!(bench.ask(&asked, 1), None);
    assert_eq!(bench.ask(&asked, 2), None);
    assert_eq!(bench.ask(&question("n.test", RecordType::Aaaa), 3), None);
    let sent = bench.sent();
    assert_eq!(sent.len(), 2);
    bench.reply(&sent[0], &found(&sent[0].bytes, 60, 9));
    assert_eq!(bench.answers(), [(1, addresses(9)), (2, addresses(9))]);
    assert_eq!(bench.resolver.queries(), 1);
}

#[test]
fn ids_and_sockets_are_drawn_for_each_question() {
    let mut bench = Bench::new(&[server(1)]);
    let (mut ids, mut sockets) = (Vec::new(), [0; SOCKETS_PER_FAMILY as usize]);
    for n in 0..1000 {
        bench.ask(&question(&format!("n{n}.test"), RecordType::A), n);
        let sent = bench.sent_one();
        ids.push(u16::from_be_bytes([sent.bytes[0], sent.bytes[1]]));
        sockets[usize::from(sent.socket)] += 1;
    }
    assert!(sockets.iter().all(|&times| times > 20), "{sockets:?}");
    let rising = ids.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((400..600).contains(&rising), "{rising}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1000, "no id is used twice at a time");
}

#[test]
fn what_needs_no_server_is_answered_at_once() {
    let mut bench = Bench::new(&[server(1)]);
    let nothing = Some(Answer::Nothing);
    let long = "a".repeat(64);
    for name in ["anonymous.invalid", "Invalid.", "a..b", "", &long] {
        assert_eq!(bench.ask(&question(name, RecordType::A), 1), nothing);
    }
    let loopback = |text: &str| {
        let ip = text.parse().expect("an address");
        Some(Answer::Addresses(vec![ip]))
    };
    let local = |record| question("pcscf.localhost", record);
    assert_eq!(bench.ask(&local(RecordType::A), 1), loopback("127.0.0.1"));
    assert_eq!(bench.ask(&local(RecordType::Aaaa), 1), loopback("::1"));
    assert_eq!(bench.ask(&local(RecordType::Srv), 1), nothing);
    assert!(bench.sent().is_empty());
    bench.assert_idle();

    let mut alone = Bench::new(&[]);
    assert_eq!(alone.ask(&question("n.test", RecordType::A), 1), nothing);
    assert!(alone.sent().is_empty());
}

#[test]
fn each_family_has_its_sockets() {
    let ipv6: SocketAddr = "[2001:db8::53]:53".parse().expect("an address");
    let per_family = usize::from(SOCKETS_PER_FAMILY);
    assert_eq!(local_addresses(&[]), []);
    for only in [server(1), ipv6] {
        let bound = local_addresses(&[only]);
        assert_eq!(bound.len(), per_family);
        assert!(bound.iter().all(|at| at.is_ipv6() == only.is_ipv6()));
        let mut bench = Bench::new(&[only]);
        bench.ask(&question("n.test", RecordType::A), 1);
        let sent = bench.sent_one();
        assert!(usize::from(sent.socket) < per_family);
        bench.reply(&sent, &found(&sent.bytes, 60, 9));
        assert_eq!(bench.answers(), [(1, addresses(9))]);
    }
    let bound = local_addresses(&[ipv6, server(1)]);
    assert_eq!(bound.len(), 2 * per_family);
    let mut bench = Bench::new(&[ipv6, server(1)]);
    bench.ask(&question("n.test", RecordType::A), 1);
    let first = bench.sent_one();
    assert!(bound[usize::from(first.socket)].is_ipv6());
    bench.time_out();
    let second = bench.sent_one();
    assert!(bound[usize::from(second.socket)].is_ipv4());
    assert_eq!(first.bytes, second.bytes);
    bench.reply(&first, &found(&first.bytes, 60, 9));
    assert_eq!(bench.answers(), [(1, addresses(9))]);
}

#[test]
fn too_many_questions_and_waiters_are_refused() {
    let mut bench = Bench::new(&[server(1)]);
    for n in 0..QUERIES_MAX {
        let asked = question(&format!("n{n}.test"), RecordType::A);
        assert_eq!(bench.ask(&asked, 0), None);
    }
    let one_more = question("more.test", RecordType::A);
    assert_eq!(bench.ask(&one_more, 0), Some(Answer::Nothing));
    let first = question("n0.test", RecordType::A);
    for _ in QUERIES_MAX..WAITERS_MAX {
        assert_eq!(bench.ask(&first, 0), None);
    }
    assert_eq!(bench.ask(&first, 0), Some(Answer::Nothing));
    assert_eq!(bench.resolver.totals().refused, 2);
    // All of them hear, and then there is room again.
    while bench.resolver.queries() > 0 {
        bench.time_out();
    }
    assert_eq!(bench.answers().len(), WAITERS_MAX);
    bench.outputs();
    bench.now += 60 * SECOND;
    assert_eq!(bench.ask(&one_more, 0), None);
}
