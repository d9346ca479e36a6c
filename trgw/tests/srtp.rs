//! SRTP on one side of the relay, or on both with keys of their own.

mod context;

use base::Entropy;
use context::{RTCP, Rig, V4, V6, at, next, rtp_packet};
use dataplane::{DropReason, Latch, Refusal, Srtp};
use srtp::{MasterKey, Receiver, Sender, Suite};
use std::sync::Arc;
use trgw::{Leg, Protection, Rtcp};

const ALICE: &str = "203.0.113.1";
const BOB: &str = "198.51.100.1";
const BOB_SIX: &str = "2001:db8:b0b::1";

fn key(suite: Suite, seed: u8) -> MasterKey {
    let octets = vec![seed; suite.key_bytes() + suite.salt_bytes()];
    MasterKey::new(suite, &octets).unwrap()
}

fn sender(suite: Suite, seed: u8) -> Sender {
    Sender::new(&key(suite, seed)).unwrap()
}

fn receiver(suite: Suite, seed: u8) -> Receiver {
    Receiver::new(&[key(suite, seed)]).unwrap()
}

/// The other end of a leg: what it sends with, and what it opens with.
struct Peer(Sender, Receiver);

/// Protects a leg: it takes what is under the one key and sends under the other.
fn protect(leg: &mut Leg, suite: Suite, seeds: [u8; 2]) -> Peer {
    leg.srtp = Protection {
        receives: Srtp::On(Arc::new(receiver(suite, seeds[0]))),
        sends: Srtp::On(Arc::new(sender(suite, seeds[1]))),
    };
    leg.rtcp_srtp = leg.srtp.clone();
    Peer(sender(suite, seeds[0]), receiver(suite, seeds[1]))
}

impl Peer {
    fn rtp(&self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = [packet, &[0; 64]].concat();
        let len = self.0.protect(&mut buffer, packet.len()).unwrap();
        buffer.truncate(len);
        buffer
    }

    fn rtcp(&self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = [packet, &[0; 64]].concat();
        let len = self.0.protect_rtcp(&mut buffer, packet.len()).unwrap();
        buffer.truncate(len);
        buffer
    }

    fn open(&self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        let len = self.1.unprotect(&mut buffer).unwrap();
        buffer.truncate(len);
        buffer
    }

    fn open_rtcp(&self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        let len = self.1.unprotect_rtcp(&mut buffer).unwrap();
        buffer.truncate(len);
        buffer
    }
}

fn call(rig: &mut Rig) -> [Leg; 2] {
    [
        rig.leg(at(V4, 10_000), at(ALICE, 4000)),
        rig.leg(at(V4, 10_002), at(BOB, 5000)),
    ]
}

#[test]
fn rtp_of_one_side_is_srtp_of_the_other_and_rtcp_likewise() {
    for suite in Suite::ALL {
        let mut rig = Rig::new(1);
        let mut legs = [
            rig.leg(at(V4, 10_000), at(ALICE, 4000)),
            rig.leg(at(V6, 10_000), at(BOB_SIX, 5000)),
        ];
        let bob = protect(&mut legs[1], suite, [1, 2]);
        rig.set(&legs);
        // Across the end of the sequence numbers.
        for step in 0..200_u16 {
            let media = rtp_packet(65_436_u16.wrapping_add(step), 160);
            let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), &media);
            assert_eq!(sent.len(), 1);
            assert_ne!(sent[0].payload[12..172], media[12..]);
            assert_eq!(bob.open(&sent[0].payload), media, "{suite}");
            let back = rig.through(at(BOB_SIX, 5000), at(V6, 10_000), &bob.rtp(&media));
            assert_eq!(back[0].payload, media, "{suite}");
        }
        let sent = rig.through(at(ALICE, 4001), at(V4, 10_001), &RTCP);
        assert_eq!(sent[0].destination, at(BOB_SIX, 5001));
        assert_eq!(bob.open_rtcp(&sent[0].payload), RTCP, "{suite}");
        let back = rig.through(at(BOB_SIX, 5001), at(V6, 10_001), &bob.rtcp(&RTCP));
        assert_eq!(back[0].payload, RTCP, "{suite}");
        assert_eq!(rig.all_drops(), 0);
        // Octets are counted as the packets are on each side.
        let [alice, bob] = [&legs[0], &legs[1]].map(|leg| rig.stats(leg.flow));
        assert_eq!(
            (alice.packets_received, alice.octets_received),
            (200, 200 * 172)
        );
        assert_eq!(
            (bob.packets_received, bob.octets_received),
            (200, 200 * 172)
        );
        let protected = 172 + suite.rtp_tag_bytes() as u64;
        assert_eq!((bob.packets_sent, bob.octets_sent), (200, 200 * protected));
        assert_eq!(bob.reception.lost, 0);
    }
}

#[test]
fn both_sides_have_keys_and_suites_of_their_own() {
    let mut rig = Rig::new(2);
    let mut legs = call(&mut rig);
    let alice = protect(&mut legs[0], Suite::AesCm128HmacSha1_80, [1, 2]);
    let bob = protect(&mut legs[1], Suite::AeadAes256Gcm, [3, 4]);
    rig.set(&legs);
    for step in 0..10 {
        let media = rtp_packet(step, 160);
        let worker = usize::from(step) % 2;
        let sent = rig.through_worker(worker, at(ALICE, 4000), at(V4, 10_000), &alice.rtp(&media));
        assert_eq!(bob.open(&sent[0].payload), media);
        let back = rig.through_worker(worker, at(BOB, 5000), at(V4, 10_002), &bob.rtp(&media));
        assert_eq!(alice.open(&back[0].payload), media);
    }
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn rtcp_on_the_media_port_is_protected_as_rtcp() {
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    legs[0].rtcp = Rtcp::Muxed;
    let alice = protect(&mut legs[0], Suite::AesCm128HmacSha1_32, [1, 2]);
    rig.set(&legs);
    let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), &alice.rtcp(&RTCP));
    assert_eq!(
        (sent[0].destination, &sent[0].payload[..]),
        (at(BOB, 5001), &RTCP[..])
    );
    let back = rig.through(at(BOB, 5001), at(V4, 10_003), &RTCP);
    assert_eq!(back[0].destination, at(ALICE, 4000));
    assert_eq!(alice.open_rtcp(&back[0].payload), RTCP);
    let media = rtp_packet(1, 160);
    let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), &alice.rtp(&media));
    assert_eq!(sent[0].payload, media);
}

#[test]
fn nothing_but_an_authentic_packet_latches_counts_or_passes() {
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    legs[0].latch = Latch::First { request: 1 };
    let alice = protect(&mut legs[0], Suite::AesCm128HmacSha1_80, [1, 2]);
    rig.set(&legs);
    let (spoofer, nat, port) = (at("203.0.113.66", 3), at("203.0.113.77", 4), at(V4, 10_000));
    let media = rtp_packet(1, 160);
    let protected = alice.rtp(&media);
    let mut altered = protected.clone();
    altered[40] ^= 1;
    for packet in [&media, &altered] {
        assert!(rig.through(spoofer, port, packet).is_empty());
    }
    assert!(rig.through(spoofer, next(port), &RTCP).is_empty());
    assert!(rig.events().is_empty());
    assert_eq!(rig.drops(DropReason::SrtpAuthentication), 2);
    // RTCP too short for any tag is none.
    assert_eq!(rig.drops(DropReason::NotRtcp), 1);
    assert_eq!(rig.stats(legs[0].flow).packets_received, 0);
    assert_eq!(rig.stats(legs[0].flow).refused(Refusal::Srtp), 2);

    assert_eq!(rig.through(nat, port, &protected)[0].payload, media);
    assert_eq!(rig.events().len(), 1);
    // Who replays it from elsewhere gets nowhere, and no further than that.
    assert!(rig.through(spoofer, port, &protected).is_empty());
    assert_eq!(rig.drops(DropReason::SrtpReplay), 1);
    assert_eq!(rig.stats(legs[0].flow).packets_received, 1);
}

#[test]
fn without_keys_nothing_passes_that_is_to_be_protected() {
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    (legs[1].srtp, legs[1].rtcp_srtp) = (Protection::NO_KEY, Protection::NO_KEY);
    rig.set(&legs);
    let media = rtp_packet(1, 160);
    assert!(
        rig.through(at(ALICE, 4000), at(V4, 10_000), &media)
            .is_empty()
    );
    assert!(
        rig.through(at(BOB, 5000), at(V4, 10_002), &media)
            .is_empty()
    );
    assert!(rig.through(at(BOB, 5001), at(V4, 10_003), &RTCP).is_empty());
    assert_eq!(rig.drops(DropReason::SrtpNoKey), 3);
}

#[test]
fn every_egress_has_keys_of_its_own() {
    let mut rig = Rig::new(1);
    let mut legs = vec![
        rig.leg(at(V4, 10_000), at(ALICE, 4000)),
        rig.leg(at(V4, 10_002), at(BOB, 5000)),
        rig.leg(at(V4, 10_004), at(BOB, 6000)),
        rig.leg(at(V4, 10_006), at(BOB, 7000)),
    ];
    let peers = [
        protect(&mut legs[1], Suite::AesCm128HmacSha1_80, [1, 2]),
        protect(&mut legs[2], Suite::AeadAes128Gcm, [3, 4]),
    ];
    rig.set(&legs);
    let media = rtp_packet(1, 160);
    let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), &media);
    let ports: Vec<u16> = sent
        .iter()
        .map(|packet| packet.destination.port())
        .collect();
    assert_eq!(ports, [5000, 6000, 7000]);
    assert_eq!(peers[0].open(&sent[0].payload), media);
    assert_eq!(peers[1].open(&sent[1].payload), media);
    assert_eq!(sent[2].payload, media);
}

#[test]
fn between_two_contexts_of_one_gateway_packets_are_protected_in_memory() {
    let mut rig = Rig::new(1);
    let mut first = [
        rig.leg(at(V4, 10_000), at(ALICE, 4000)),
        rig.leg(at(V4, 10_002), at(V4, 10_004)),
    ];
    let mut second = [
        rig.leg(at(V4, 10_004), at(V4, 10_002)),
        rig.leg(at(V4, 10_006), at(BOB, 5000)),
    ];
    let suite = Suite::AesCm128HmacSha1_80;
    first[1].srtp.sends = Srtp::On(Arc::new(sender(suite, 1)));
    second[0].srtp.receives = Srtp::On(Arc::new(receiver(suite, 1)));
    rig.set(&first);
    rig.set(&second);
    let media = rtp_packet(1, 160);
    let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), &media);
    assert_eq!(
        (sent[0].destination, &sent[0].payload),
        (at(BOB, 5000), &media)
    );
}

#[test]
fn keys_change_without_a_packet_lost() {
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    let suite = Suite::AesCm128HmacSha1_80;
    let after = key(suite, 9);
    let state = Arc::new(receiver(suite, 1));
    legs[0].srtp.receives = Srtp::On(Arc::clone(&state));
    rig.set(&legs);
    let mut sends = sender(suite, 1);
    for number in 0..40_u16 {
        if number == 20 {
            sends = sends.rekeyed(&after).unwrap();
        }
        let media = rtp_packet(65_530_u16.wrapping_add(number), 160);
        let mut buffer = [&media[..], &[0; 64]].concat();
        let len = sends.protect(&mut buffer, media.len()).unwrap();
        // The gateway learns of the key before the first packet under it.
        if number == 15 {
            legs[0].srtp.receives = Srtp::On(Arc::new(
                state.rekeyed(std::slice::from_ref(&after)).unwrap(),
            ));
            rig.set(&legs);
        }
        let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), &buffer[..len]);
        assert_eq!(sent.len(), 1, "{number}");
        assert_eq!(sent[0].payload, media);
    }
    assert_eq!(rig.all_drops(), 0);
}

#[test]
fn random_damage_never_passes() {
    let mut rig = Rig::new(1);
    let mut legs = call(&mut rig);
    let alice = protect(&mut legs[0], Suite::AeadAes128Gcm, [1, 2]);
    rig.set(&legs);
    let mut entropy = Entropy::from_u64(5);
    for number in 0..500_u16 {
        let mut packet = alice.rtp(&rtp_packet(number, 160));
        let at_octet = entropy.below(packet.len() as u64) as usize;
        packet[at_octet] ^= 1 << entropy.below(8);
        let sent = rig.through(at(ALICE, 4000), at(V4, 10_000), &packet);
        assert!(sent.is_empty(), "{number}");
    }
    assert_eq!(rig.all_drops(), 500);
}

#[test]
fn all_this_holds_for_packets_that_arrive_at_different_workers() {
    context::spread::run_again("all_this_holds_for_packets_that_arrive_at_different_workers");
}
