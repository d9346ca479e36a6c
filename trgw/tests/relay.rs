//! The relay between two terminations, on virtual time.

mod context;

use base::Entropy;
use context::{RTCP, Rig, V4, V6, at, next, rtp_packet};
use dataplane::{DropReason, Event, Latch, Marking, Policing, Refusal, SourceFilter, Translation};
use h248::message::StreamMode;
use std::net::SocketAddr;
use std::time::Duration;
use trgw::{Leg, LegMedia, Rtcp, compile};

const ALICE: &str = "203.0.113.1";
const BOB: &str = "198.51.100.1";
const BOB_SIX: &str = "2001:db8:b0b::1";

fn call(rig: &mut Rig) -> [Leg; 2] {
    let legs = [
        rig.leg(at(V4, 10_000), at(ALICE, 4000)),
        rig.leg(at(V4, 10_002), at(BOB, 5000)),
    ];
    rig.set(&legs);
    legs
}

fn destinations(
    rig: &mut Rig,
    from: SocketAddr,
    to: SocketAddr,
    payload: &[u8],
) -> Vec<SocketAddr> {
    rig.through(from, to, payload)
        .iter()
        .map(|packet| packet.destination)
        .collect()
}

#[test]
fn rtp_and_rtcp_cross_unchanged_between_the_families() {
    let mut rig = Rig::new(1);
    let legs = [
        rig.leg(at(V4, 10_000), at(ALICE, 4000)),
        rig.leg(at(V6, 10_000), at(BOB_SIX, 5000)),
    ];
    rig.set(&legs);
    let media = rtp_packet(1, 160);
    for (from, to, source, destination) in [
        (
            at(ALICE, 4000),
            at(V4, 10_000),
            at(V6, 10_000),
            at(BOB_SIX, 5000),
        ),
        (
            at(BOB_SIX, 5000),
            at(V6, 10_000),
            at(V4, 10_000),
            at(ALICE, 4000),
        ),
    ] {
        let sent = rig.through(from, to, &media);
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].source, sent[0].destination), (source, destination));
        assert_eq!(sent[0].payload, media);
        let sent = rig.through(next(from), next(to), &RTCP);
        assert_eq!(sent.len(), 1);
        assert_eq!(
            (sent[0].source, sent[0].destination),
            (next(source), next(destination))
        );
        assert_eq!(sent[0].payload, RTCP);
    }
    assert_eq!(rig.all_drops(), 0);
}

/// Every pair of modes: what the one side's packets lead to.
#[test]
fn modes_let_media_pass_as_they_say_and_rtcp_always() {
    use StreamMode::{Inactive, Loopback, ReceiveOnly, SendOnly, SendReceive};
    let modes = [SendOnly, ReceiveOnly, SendReceive, Inactive, Loopback];
    for near in modes {
        for far in modes {
            let mut rig = Rig::new(1);
            let mut legs = call(&mut rig);
            (legs[0].mode, legs[1].mode) = (near, far);
            rig.set(&legs);
            let (alice, bob) = (at(ALICE, 4000), at(BOB, 5000));
            let media = destinations(&mut rig, alice, at(V4, 10_000), &rtp_packet(1, 160));
            let expected = match (near, far) {
                (Loopback, _) => vec![alice],
                (ReceiveOnly | SendReceive, SendOnly | SendReceive) => vec![bob],
                _ => vec![],
            };
            assert_eq!(media, expected, "{near:?} {far:?}");
            let let_in = matches!(near, ReceiveOnly | SendReceive | Loopback);
            assert_eq!(rig.stats(legs[0].flow).packets_received, u64::from(let_in));
            assert_eq!(rig.drops(DropReason::NotReceiving), u64::from(!let_in));
            let dead_end = let_in && expected.is_empty();
            assert_eq!(rig.drops(DropReason::NoEgress), u64::from(dead_end));
            assert_eq!(
                rig.stats(legs[1].flow).packets_sent,
                u64::from(expected == [bob])
            );

            let rtcp = destinations(&mut rig, next(alice), at(V4, 10_001), &RTCP);
            let expected = match (near, far) {
                (Loopback, _) => vec![next(alice)],
                (_, Loopback) => vec![],
                _ => vec![next(bob)],
            };
            assert_eq!(rtcp, expected, "{near:?} {far:?}");
        }
    }
}

#[test]
fn rtcp_on_the_media_port_is_told_apart_and_split_for_the_other_side() {
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    legs[0].rtcp = Rtcp::Muxed;
    rig.set(&legs);
    let (alice, bob) = (at(ALICE, 4000), at(BOB, 5000));
    assert_eq!(
        destinations(&mut rig, alice, at(V4, 10_000), &rtp_packet(1, 160)),
        [bob]
    );
    assert_eq!(
        destinations(&mut rig, alice, at(V4, 10_000), &RTCP),
        [next(bob)]
    );
    let back = rig.through(next(bob), at(V4, 10_003), &RTCP);
    assert_eq!(
        (back[0].source, back[0].destination),
        (at(V4, 10_000), alice)
    );
    assert_eq!(
        rig.stats(legs[0].flow).packets_received,
        1,
        "RTCP is not counted"
    );

    legs[1].rtcp = Rtcp::Muxed;
    rig.set(&legs);
    assert_eq!(destinations(&mut rig, alice, at(V4, 10_000), &RTCP), [bob]);
}

#[test]
fn formats_are_translated_within_the_payload_alone() {
    static INVERTED: [u8; 256] = {
        let mut table = [0; 256];
        let mut octet = 0;
        while octet < 256 {
            table[octet] = !(octet as u8);
            octet += 1;
        }
        table
    };
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    let translation = |from, to, octets| Translation { from, to, octets };
    legs[0].translations = Some(
        [
            translation(8, 0, Some(&INVERTED)),
            translation(101, 96, None),
        ]
        .into(),
    );
    rig.set(&legs);
    let (alice, bob, port) = (at(ALICE, 4000), at(BOB, 5000), at(V4, 10_000));
    // Marker, one contributing source, an extension of one word, and four octets of padding.
    let mut packet = vec![0xb1, 0x88, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8];
    packet.extend([0xbe, 0xde, 0, 1, 0x10, 0x20, 0x30, 0x40]);
    packet.extend([0x00, 0x55, 0xd5, 0xff]);
    packet.extend([0, 0, 0, 4]);
    let mut expected = packet.clone();
    expected[1] = 0x80;
    expected[24..28].copy_from_slice(&[0xff, 0xaa, 0x2a, 0x00]);
    let sent = rig.through(alice, port, &packet);
    assert_eq!(
        (sent[0].destination, &*sent[0].payload),
        (bob, &expected[..])
    );

    let mut event = rtp_packet(2, 4);
    event[1] = 101;
    let sent = rig.through(alice, port, &event);
    assert_eq!(
        (sent[0].payload[1], &sent[0].payload[2..]),
        (96, &event[2..])
    );
    // What is not named leaves as it came, and so does what comes the other way.
    let mut other = rtp_packet(3, 160);
    other[1] = 18;
    assert_eq!(rig.through(alice, port, &other)[0].payload, other);
    packet[1] = 8;
    let back = rig.through(bob, at(V4, 10_002), &packet);
    assert_eq!(back[0].payload, packet);
}

#[test]
fn what_is_not_rtp_does_not_pass_where_rtp_is_agreed() {
    let mut rig = Rig::new(1);
    call(&mut rig);
    let (alice, port) = (at(ALICE, 4000), at(V4, 10_000));
    let mut version_one = rtp_packet(1, 160);
    version_one[0] = 0x40;
    let mut sources_beyond_the_end = rtp_packet(1, 160)[..20].to_vec();
    sources_beyond_the_end[0] |= 0x0f;
    let stun = [
        0_u8, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let bad: [&[u8]; 5] = [
        b"",
        &[0x80; 11],
        &version_one,
        &sources_beyond_the_end,
        &stun,
    ];
    for (count, packet) in bad.into_iter().enumerate() {
        assert!(rig.through(alice, port, packet).is_empty());
        assert_eq!(rig.drops(DropReason::NotRtp), count as u64 + 1);
    }
    let bad: [&[u8]; 3] = [b"", &RTCP[..7], &rtp_packet(1, 160)];
    for (count, packet) in bad.into_iter().enumerate() {
        assert!(rig.through(next(alice), next(port), packet).is_empty());
        assert_eq!(rig.drops(DropReason::NotRtcp), count as u64 + 1);
    }
}

#[test]
fn padding_and_extensions_pass_and_are_not_judged() {
    let mut rig = Rig::new(1);
    call(&mut rig);
    let mut packet = rtp_packet(1, 160);
    packet[0] |= 0x20 | 0x10;
    (packet[14], packet[15]) = (0, 2);
    *packet.last_mut().unwrap() = 0xff;
    let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), &packet);
    assert_eq!(sent[0].payload, packet);
}

#[test]
fn any_udp_passes_where_the_media_are_not_rtp() {
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    for leg in &mut legs {
        (leg.media, leg.rtcp) = (LegMedia::Udp, Rtcp::None);
    }
    rig.set(&legs);
    for payload in [
        b"".as_slice(),
        b"\x00\x01\x06\xc0\x01\x80\x00\x00\xff",
        &RTCP,
    ] {
        let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), payload);
        assert_eq!(
            (sent[0].destination, &sent[0].payload[..]),
            (at(BOB, 5000), payload)
        );
    }
    assert_eq!(rig.stats(legs[0].flow).packets_received, 3);
    assert_eq!(rig.stats(legs[1].flow).packets_sent, 3);
}

fn latching(rig: &mut Rig) -> [Leg; 2] {
    let mut legs = call(rig);
    legs[0].latch = Latch::First { request: 1 };
    rig.set(&legs);
    legs
}

#[test]
fn only_a_valid_packet_sets_the_latch_and_spoofed_ones_are_dropped() {
    let mut rig = Rig::new(2);
    let legs = latching(&mut rig);
    let (nat, spoofer) = (at("203.0.113.77", 33_000), at("203.0.113.66", 33_000));
    let (port, media) = (at(V4, 10_000), rtp_packet(1, 160));
    // Bob's media have nowhere to go, the remote descriptor notwithstanding.
    assert!(
        rig.through_worker(1, at(BOB, 5000), at(V4, 10_002), &media)
            .is_empty()
    );
    assert_eq!(rig.drops(DropReason::NotLatched), 1);
    assert!(rig.through(spoofer, port, b"not RTP").is_empty());
    assert!(rig.events().is_empty());

    assert_eq!(destinations(&mut rig, nat, port, &media), [at(BOB, 5000)]);
    assert_eq!(
        rig.events(),
        [Event::Latched {
            flow: legs[0].flow,
            source: nat
        }]
    );
    assert!(rig.through(spoofer, port, &media).is_empty());
    assert!(
        rig.through(at("203.0.113.77", 33_001), port, &media)
            .is_empty()
    );
    assert_eq!(rig.drops(DropReason::SourceMismatch), 2);
    assert_eq!(rig.stats(legs[0].flow).packets_received, 1);
    let back = rig.through_worker(1, at(BOB, 5000), at(V4, 10_002), &media);
    assert_eq!(back[0].destination, nat);
}

#[test]
fn rtcp_latches_on_its_own() {
    let mut rig = Rig::new(1);
    let legs = latching(&mut rig);
    let Rtcp::Port { flow: rtcp, .. } = legs[0].rtcp else {
        panic!("the leg has an RTCP port");
    };
    let (nat, other) = (at("203.0.113.77", 33_000), at("203.0.113.77", 41_000));
    rig.through(nat, at(V4, 10_000), &rtp_packet(1, 160));
    rig.events();
    assert!(rig.through(at(BOB, 5001), at(V4, 10_003), &RTCP).is_empty());
    rig.through(other, at(V4, 10_001), &RTCP);
    assert_eq!(
        rig.events(),
        [Event::Latched {
            flow: rtcp,
            source: other
        }]
    );
    assert_eq!(
        destinations(&mut rig, at(BOB, 5001), at(V4, 10_003), &RTCP),
        [other]
    );
}

#[test]
fn a_termination_that_only_sends_can_still_be_latched_to() {
    let mut rig = Rig::new(1);
    let mut legs = latching(&mut rig);
    legs[0].mode = StreamMode::SendOnly;
    rig.set(&legs);
    let nat = at("203.0.113.77", 33_000);
    assert!(
        rig.through(nat, at(V4, 10_000), &rtp_packet(1, 160))
            .is_empty()
    );
    assert_eq!(rig.drops(DropReason::NotReceiving), 1);
    rig.events();
    assert_eq!(
        destinations(&mut rig, at(BOB, 5000), at(V4, 10_002), &rtp_packet(1, 160)),
        [nat]
    );
}

#[test]
fn relatching_follows_a_terminal_that_moved() {
    let mut rig = Rig::new(1);
    let mut legs = latching(&mut rig);
    let (old, new) = (at("203.0.113.77", 33_000), at("203.0.113.88", 34_000));
    let (port, media) = (at(V4, 10_000), rtp_packet(1, 160));
    rig.through(old, port, &media);
    rig.events();
    legs[0].latch = Latch::Again { request: 2 };
    rig.set(&legs);
    assert_eq!(
        destinations(&mut rig, at(BOB, 5000), at(V4, 10_002), &media),
        [old]
    );
    assert_eq!(destinations(&mut rig, old, port, &media), [at(BOB, 5000)]);
    rig.through(new, port, &media);
    assert_eq!(
        rig.events(),
        [Event::Latched {
            flow: legs[0].flow,
            source: new
        }]
    );
    assert_eq!(
        destinations(&mut rig, at(BOB, 5000), at(V4, 10_002), &media),
        [new]
    );
    assert!(rig.through(old, port, &media).is_empty());
}

#[test]
fn the_source_filter_comes_before_the_latch() {
    let mut rig = Rig::new(1);
    let mut legs = latching(&mut rig);
    let network = SourceFilter::ANY
        .network("203.0.113.0".parse().unwrap(), 24)
        .ports(30_000..=39_999);
    (legs[0].filter, legs[0].rtcp_filter) = (network, network);
    rig.set(&legs);
    let media = rtp_packet(1, 160);
    for (from, count) in [
        (at("203.0.114.1", 33_000), 1),
        (at("203.0.113.1", 29_999), 2),
    ] {
        assert!(rig.through(from, at(V4, 10_000), &media).is_empty());
        assert_eq!(rig.drops(DropReason::SourceFiltered), count);
    }
    assert!(
        rig.through(at("203.0.114.1", 33_000), at(V4, 10_001), &RTCP)
            .is_empty()
    );
    assert_eq!(rig.drops(DropReason::SourceFiltered), 3);
    assert!(rig.events().is_empty());
    assert_eq!(
        destinations(&mut rig, at("203.0.113.1", 30_000), at(V4, 10_000), &media),
        [at(BOB, 5000)]
    );
}

/// 172 octets of RTP are 200 with the headers of IPv4 and UDP, 220 with those of IPv6.
#[test]
fn what_exceeds_the_rate_is_dropped_and_takes_nothing_from_what_conforms() {
    let mut rig = Rig::new(1);
    let mut legs = [
        rig.leg(at(V4, 10_000), at(ALICE, 4000)),
        rig.leg(at(V6, 10_000), at(BOB_SIX, 5000)),
    ];
    for leg in &mut legs {
        leg.policing = Policing::OFF.with_sustained(10_000, 400);
    }
    rig.set(&legs);
    // Twice as much as may come: the half of it passes, and one at the beginning.
    let mut passed = [0; 2];
    for number in 0..100_u16 {
        let media = rtp_packet(number, u32::from(number) * 160);
        let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), &media);
        passed[0] += sent.len();
        let sent = rig.through(at(BOB_SIX, 5000), at(V6, 10_000), &media);
        passed[1] += sent.len();
        rig.pass(Duration::from_millis(10));
    }
    // In 990 ms come 9 900 octets, and 400 were there.
    assert_eq!(passed, [10_300 / 200, 10_300 / 220]);
    let (policed, stats) = (rig.drops(DropReason::Policed), rig.stats(legs[0].flow));
    assert_eq!(policed, 200 - passed.iter().sum::<usize>() as u64);
    assert_eq!(
        (stats.packets_received, stats.refused(Refusal::Rate)),
        (51, 49)
    );
    // What is policed comes from the right source, but does not count as received.
    let silent = stats.last_arrival.map(|last| rig.now.since(last));
    assert_eq!(silent, Some(Duration::from_millis(10)));
    // RTCP has the same rates for itself; a flood from elsewhere takes none of them.
    legs[0].filter = SourceFilter::ANY.network(ALICE.parse().unwrap(), 32);
    rig.set(&legs);
    rig.pass(Duration::from_secs(1));
    for _ in 0..50 {
        let media = rtp_packet(100, 16_000);
        assert!(
            rig.through(at(BOB, 4000), at(V4, 10_000), &media)
                .is_empty()
        );
        assert_eq!(rig.through(at(ALICE, 4001), at(V4, 10_001), &RTCP).len(), 1);
        rig.pass(Duration::from_millis(4));
    }
    let media = rtp_packet(101, 16_160);
    assert_eq!(
        rig.through(at(ALICE, 4000), at(V4, 10_000), &media).len(),
        1
    );
}

#[test]
fn what_is_sent_is_marked_with_the_code_point_of_its_termination() {
    let mut rig = Rig::new(2);
    let mut legs = call(&mut rig);
    legs[0].marking = Marking::Dscp(46);
    legs[1].marking = Marking::Keep;
    rig.set(&legs);
    let media = rtp_packet(1, 160);
    let (alice, bob) = (at(ALICE, 4000), at(BOB, 5000));
    for (received, kept) in [(0, 0), (0xb8, 0xb8), (0xbb, 0xb8), (0x21, 0x20)] {
        for (payload, offset) in [(&media[..], 0), (&RTCP, 1)] {
            for (from, to, mark) in [(alice, 10_000, kept), (bob, 10_002, 46 << 2)] {
                let from = SocketAddr::new(from.ip(), from.port() + offset);
                let to = at(V4, to + offset);
                // By either worker: the other hands it over.
                for worker in 0..2 {
                    let network = &mut rig.network;
                    assert!(network.send_marked(worker, from, to, payload, received));
                }
                rig.settle();
                let sent: Vec<_> = std::iter::from_fn(|| rig.network.receive()).collect();
                assert_eq!(sent.len(), 2);
                assert!(sent.iter().all(|packet| packet.traffic_class == mark));
            }
        }
    }
}

#[test]
fn loss_and_jitter_are_measured_over_reordering_duplicates_and_wrap() {
    let mut rig = Rig::new(1);
    let legs = call(&mut rig);
    let mut entropy = Entropy::from_u64(5);
    let mut lost = 0;
    let total = 2_000_u64;
    // Begins below the wrap of the sequence number; each packet comes on its 20 ms, give or take 2.
    for number in 0..total {
        let sequence = 64_000_u16.wrapping_add(number as u16);
        rig.now += Duration::from_micros(18_000 + entropy.below(4_001));
        let edge = number == 0 || number == total - 1;
        if !edge && entropy.chance(50) {
            lost += 1;
            continue;
        }
        let packet = rtp_packet(sequence, number as u32 * 160);
        let copies = 1 + usize::from(entropy.chance(20));
        for _ in 0..copies {
            assert_eq!(
                rig.through(at(ALICE, 4000), at(V4, 10_000), &packet).len(),
                1
            );
        }
    }
    let reception = rig.stats(legs[0].flow).reception;
    assert_eq!((reception.expected, reception.lost), (total, lost));
    // Transit times differ by up to 2 ms from one packet to the next: 16 ticks at most, 8 on
    // average.
    assert!((3..=16).contains(&reception.jitter_ticks), "{reception:?}");
}

#[test]
fn reception_goes_on_when_the_clock_changes() {
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    for sequence in [1, 2, 4] {
        rig.through(
            at(ALICE, 4000),
            at(V4, 10_000),
            &rtp_packet(sequence, u32::from(sequence) * 160),
        );
        rig.pass(Duration::from_millis(20));
    }
    legs[0].media = LegMedia::Rtp { clock_hz: 16_000 };
    rig.set(&legs);
    for sequence in [5, 7] {
        rig.through(
            at(ALICE, 4000),
            at(V4, 10_000),
            &rtp_packet(sequence, u32::from(sequence) * 320),
        );
        rig.pass(Duration::from_millis(20));
    }
    let reception = rig.stats(legs[0].flow).reception;
    assert_eq!((reception.expected, reception.lost), (7, 2));
}

#[test]
fn packets_of_one_call_may_arrive_at_different_workers() {
    let mut rig = Rig::new(3);
    let legs = call(&mut rig);
    for number in 0..60_u16 {
        let packet = rtp_packet(number, u32::from(number) * 160);
        let worker = usize::from(number % 3);
        assert_eq!(
            rig.through_worker(worker, at(ALICE, 4000), at(V4, 10_000), &packet)
                .len(),
            1
        );
        assert_eq!(
            rig.through_worker(2 - worker, at(BOB, 5000), at(V4, 10_002), &packet)
                .len(),
            1
        );
        rig.pass(Duration::from_millis(20));
    }
    for leg in &legs {
        let stats = rig.stats(leg.flow);
        assert_eq!((stats.packets_received, stats.packets_sent), (60, 60));
        assert_eq!((stats.reception.expected, stats.reception.lost), (60, 0));
        assert_eq!(stats.octets_received, 60 * 172);
    }
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_call_between_two_of_our_own_contexts_stays_in_memory() {
    let mut rig = Rig::new(2);
    // Each context has one termination towards a terminal and one towards the other context.
    let (inner_one, inner_two) = (at(V4, 10_002), at(V4, 10_004));
    let one = [
        rig.leg(at(V4, 10_000), at(ALICE, 4000)),
        rig.leg(inner_one, inner_two),
    ];
    let two = [
        rig.leg(inner_two, inner_one),
        rig.leg(at(V4, 10_006), at(BOB, 5000)),
    ];
    rig.set(&one);
    rig.set(&two);
    let media = rtp_packet(1, 160);
    let there = rig.through(at(ALICE, 4000), at(V4, 10_000), &media);
    assert_eq!(
        (there[0].source, there[0].destination),
        (at(V4, 10_006), at(BOB, 5000))
    );
    let back = rig.through_worker(1, at(BOB, 5000), at(V4, 10_006), &media);
    assert_eq!(
        (back[0].source, back[0].destination),
        (at(V4, 10_000), at(ALICE, 4000))
    );
    let rtcp = rig.through(at(ALICE, 4001), at(V4, 10_001), &RTCP);
    assert_eq!(
        (rtcp[0].source, rtcp[0].destination),
        (at(V4, 10_007), at(BOB, 5001))
    );
    for leg in one.iter().chain(&two) {
        let stats = rig.stats(leg.flow);
        assert_eq!((stats.packets_received, stats.packets_sent), (1, 1));
    }
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn a_silent_termination_is_reported() {
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    legs[0].inactivity = Some(Duration::from_secs(10));
    rig.set(&legs);
    let asked = rig.now;
    // RTCP and what is no RTP are no sign of media.
    for _ in 0..102 {
        rig.through(at(ALICE, 4001), at(V4, 10_001), &RTCP);
        rig.through(at(ALICE, 4000), at(V4, 10_000), b"keep-alive");
        rig.pass(Duration::from_millis(100));
    }
    assert_eq!(
        rig.events(),
        [Event::Inactive {
            flow: legs[0].flow,
            since: asked
        }]
    );
}

#[test]
fn a_subtracted_termination_neither_receives_nor_sends() {
    let mut rig = Rig::new(1);
    let legs = call(&mut rig);
    rig.through(at(ALICE, 4000), at(V4, 10_000), &rtp_packet(1, 160));
    rig.control.close_flow(legs[1].flow).unwrap();
    rig.settle();
    assert!(
        rig.through(at(BOB, 5000), at(V4, 10_002), &rtp_packet(1, 160))
            .is_empty()
    );
    assert_eq!(rig.drops(DropReason::RestingPort), 1);
    assert!(
        rig.through(at(ALICE, 4000), at(V4, 10_000), &rtp_packet(2, 320))
            .is_empty()
    );
    assert_eq!(rig.drops(DropReason::NoEgress), 1);
    assert_eq!(rig.stats(legs[1].flow).packets_sent, 1);
}

#[test]
fn three_terminations_hear_each_other_and_a_fifth_other_is_too_many() {
    let mut rig = Rig::new(1);
    let mut legs: Vec<Leg> = (0..3_u16)
        .map(|number| rig.leg(at(V4, 10_000 + 2 * number), at(ALICE, 4000 + 10 * number)))
        .collect();
    legs[2].mode = StreamMode::SendOnly;
    rig.set(&legs);
    let mut sent = destinations(
        &mut rig,
        at(ALICE, 4000),
        at(V4, 10_000),
        &rtp_packet(1, 160),
    );
    sent.sort();
    assert_eq!(sent, [at(ALICE, 4010), at(ALICE, 4020)]);
    for number in 3..6_u16 {
        legs.push(rig.leg(at(V4, 10_000 + 2 * number), at(ALICE, 4000 + 10 * number)));
    }
    assert!(compile(&legs[..5], &[]).is_some());
    assert!(compile(&legs, &[]).is_none());
    // Nor do those count that it does not reach.
    let isolated = [3, 4, 5].map(|from| (from, 0));
    assert!(compile(&legs, &isolated).is_none());
    let all: Vec<(usize, usize)> = (0..6).map(|from| (from, (from + 1) % 6)).collect();
    assert!(compile(&legs, &all).is_some());
}

/// Nothing that can be sent makes the relay panic or send anything else than it received.
#[test]
fn mutated_packets_pass_unchanged_or_are_counted() {
    let mut rig = Rig::new(2);
    let mut legs = call(&mut rig);
    let mut entropy = Entropy::from_u64(77);
    for round in 0..4_000_u64 {
        if round % 500 == 0 {
            legs[0].rtcp = if round % 1000 == 0 {
                Rtcp::Muxed
            } else {
                Rtcp::None
            };
            legs[0].media = if round % 1500 == 0 {
                LegMedia::Udp
            } else {
                LegMedia::Rtp { clock_hz: 8000 }
            };
            rig.set(&legs);
        }
        let mut packet = if entropy.chance(300) {
            RTCP.to_vec()
        } else {
            rtp_packet(round as u16, round as u32)
        };
        for _ in 0..entropy.below(4) {
            let at = entropy.below(packet.len() as u64) as usize;
            packet[at] ^= 1 << entropy.below(8);
        }
        packet.truncate(entropy.below(packet.len() as u64 * 3 / 2) as usize);
        let (port, worker) = (10_000 + entropy.below(4) as u16, entropy.below(2) as usize);
        let before = rig.all_drops();
        let sent = rig.through_worker(worker, at(ALICE, 4000), at(V4, port), &packet);
        assert_eq!(
            sent.len() as u64 + rig.all_drops() - before,
            1,
            "round {round}"
        );
        assert!(sent.iter().all(|sent| sent.payload == packet));
    }
}

#[test]
fn all_this_holds_for_packets_that_arrive_at_different_workers() {
    context::spread::run_again("all_this_holds_for_packets_that_arrive_at_different_workers");
}
