//! Every reason to drop a datagram can be reached from the network, and is counted under its own
//! name; where it says something about a flow, at that flow too.

mod context;

use context::{RTCP, Rig, V4, at, rtp_packet};
use dataplane::{
    BURST_MAX, Config, DropReason, Egress, FlowId, Ingress, Latch, PAYLOAD_BYTES_MAX, Path,
    Policing, Remote, SourceFilter, Srtp,
};
use h248::message::StreamMode;
use srtp::{MasterKey, Receiver, SSRCS_MAX, Sender, Suite};
use std::sync::Arc;
use std::time::Duration;
use trgw::Leg;

const ALICE: &str = "203.0.113.1";
const BOB: &str = "198.51.100.1";

#[test]
fn every_drop_reason_is_reached() {
    for &reason in DropReason::ALL {
        // A back-end of the smallest allowed size never runs out of frames; this one is smaller.
        let frames = if reason == DropReason::NoFrame {
            100
        } else {
            1024
        };
        let rig = provoke(reason, frames);
        assert!(rig.drops(reason) > 0, "{} was not reached", reason.name());
        if let Some(refusal) = reason.refusal() {
            let flows = (0..rig.control.addresses().flows() as u32).map(FlowId);
            let told: u64 = flows.map(|flow| rig.stats(flow).refused(refusal)).sum();
            assert!(told > 0, "{} is not told of a flow", reason.name());
        }
        for worker in 0..rig.workers.len() {
            assert_eq!(
                rig.network.frames_free(worker),
                frames,
                "{} loses frames",
                reason.name()
            );
        }
    }
}

fn call(rig: &mut Rig) -> [Leg; 2] {
    let legs = [
        rig.leg(at(V4, 10_000), at(ALICE, 4000)),
        rig.leg(at(V4, 10_002), at(BOB, 5000)),
    ];
    rig.set(&legs);
    legs
}

/// Brings about a drop for this reason.
fn provoke(reason: DropReason, frames: usize) -> Rig {
    let config = Config {
        rest: Duration::ZERO,
        ..Config::default()
    };
    let mut rig = Rig::with(2, frames, config);
    let mut legs = call(&mut rig);
    let (alice, port, media) = (at(ALICE, 4000), at(V4, 10_000), rtp_packet(1, 160));
    match reason {
        DropReason::Truncated => {
            rig.through(alice, port, &[0x80; PAYLOAD_BYTES_MAX + 1]);
        }
        DropReason::Malformed => {
            assert!(rig.network.send_damaged(0, alice, port, &media));
            rig.settle();
        }
        DropReason::UnknownFlow => {
            rig.through(alice, at(V4, 10_100), &media);
        }
        DropReason::RestingPort => {
            rig.control.close_flow(legs[0].flow).unwrap();
            rig.settle();
            rig.through(alice, port, &media);
        }
        DropReason::StaleFlow => {
            rig.through_worker(1, alice, port, &media);
            assert!(rig.network.send(0, alice, port, &media));
            rig.workers[0].turn(rig.now);
            rig.control.close_flow(legs[0].flow).unwrap();
        }
        DropReason::NoPath => {
            rig.control.open_flow(rig.now, at(V4, 10_100)).unwrap();
            rig.through(alice, at(V4, 10_100), &media);
        }
        DropReason::NotReceiving => {
            legs[0].mode = StreamMode::SendOnly;
            rig.set(&legs);
            rig.through(alice, port, &media);
        }
        DropReason::NoEgress => {
            legs[1].mode = StreamMode::ReceiveOnly;
            rig.set(&legs);
            rig.through(alice, port, &media);
        }
        DropReason::SourceFiltered => {
            legs[0].filter = SourceFilter::ANY.network(BOB.parse().unwrap(), 32);
            rig.set(&legs);
            rig.through(alice, port, &media);
        }
        DropReason::SourceMismatch => {
            legs[0].latch = Latch::First { request: 1 };
            rig.set(&legs);
            rig.through(alice, port, &media);
            rig.through(at(ALICE, 4001), port, &media);
        }
        DropReason::Policed => {
            legs[0].policing = Policing::OFF.with_sustained(10_000, 300);
            rig.set(&legs);
            rig.through(alice, port, &media);
            rig.through(alice, port, &media);
        }
        DropReason::NotRtp => {
            rig.through(alice, port, b"what?");
        }
        DropReason::NotRtcp => {
            rig.through(alice, at(V4, 10_001), &media);
        }
        DropReason::SrtpAuthentication
        | DropReason::SrtpReplay
        | DropReason::SrtpNoKey
        | DropReason::SrtpKeyExpired
        | DropReason::SrtpSource => provoke_srtp(&mut rig, &mut legs, reason),
        DropReason::NotLatched => {
            legs[1].latch = Latch::First { request: 1 };
            rig.set(&legs);
            rig.through(alice, port, &media);
        }
        DropReason::NoFrame => {
            fork_to_ourselves(&mut rig, &legs);
            flood(&mut rig, BURST_MAX);
        }
        DropReason::HopLimit => {
            let (a, b) = (legs[0].flow, legs[1].flow);
            rig.control
                .set_path(a, Path::to(b, at(V4, 10_002)))
                .unwrap();
            rig.control
                .set_path(b, Path::to(a, at(V4, 10_000)))
                .unwrap();
            rig.settle();
            rig.through(alice, port, &media);
        }
        DropReason::LocalQueueFull => {
            fork_to_ourselves(&mut rig, &legs);
            flood(&mut rig, 2 * BURST_MAX);
        }
        DropReason::HandoffFull => {
            rig.through_worker(1, alice, port, &media);
            for _ in 0..4 * BURST_MAX {
                assert!(rig.network.send(0, alice, port, &media));
            }
            rig.workers[0].turn(rig.now);
        }
        DropReason::PuntFull => {
            legs[0].has_dtls = true;
            rig.set(&legs);
            for _ in 0..2 * BURST_MAX {
                assert!(rig.network.send(0, alice, port, &[22, 254, 253]));
            }
            rig.settle();
        }
        DropReason::TxFull => {
            rig.network.set_capacity(0);
            rig.through(alice, port, &media);
        }
        DropReason::TxRefused => {
            rig.network.refuse(Some(at(BOB, 5000)));
            rig.through(alice, port, &media);
        }
    }
    rig.settle();
    rig.network.discard();
    rig
}

/// The first leg is to receive SRTP, and does not.
fn provoke_srtp(rig: &mut Rig, legs: &mut [Leg; 2], reason: DropReason) {
    let suite = Suite::AesCm128HmacSha1_80;
    let key = MasterKey::new(suite, &[1; 30]).unwrap();
    let sender = Sender::new(&key).unwrap();
    let key = match reason {
        DropReason::SrtpKeyExpired => key.with_lifetime(1),
        _ => key,
    };
    legs[0].srtp.receives = match reason {
        DropReason::SrtpNoKey => Srtp::NoKey,
        _ => Srtp::On(Arc::new(Receiver::new(std::slice::from_ref(&key)).unwrap())),
    };
    rig.set(legs);
    for number in 0..=SSRCS_MAX as u16 {
        let mut packet = rtp_packet(number, 160);
        // A receiver knows as many sources as a sender: the last packet comes from another one.
        let other = Sender::new(&key).unwrap();
        let mut sender = &sender;
        if reason == DropReason::SrtpSource {
            packet[11] = number as u8;
            sender = &other;
        }
        packet.resize(172 + 64, 0);
        let len = sender.protect(&mut packet, 172).unwrap();
        if reason == DropReason::SrtpAuthentication {
            packet[20] ^= 1;
        }
        rig.through(at(ALICE, 4000), at(V4, 10_000), &packet[..len]);
        if reason == DropReason::SrtpReplay {
            rig.through(at(ALICE, 4000), at(V4, 10_000), &packet[..len]);
        }
    }
}

/// The first leg's media go four times to the second leg's own address, which drops them.
fn fork_to_ourselves(rig: &mut Rig, legs: &[Leg; 2]) {
    let mut path = Path::new(Ingress::default());
    for _ in 0..4 {
        assert!(path.push(Egress::new(legs[1].flow, Remote::Fixed(at(V4, 10_002)))));
    }
    rig.control.set_path(legs[0].flow, path).unwrap();
    rig.settle();
}

fn flood(rig: &mut Rig, datagrams: usize) {
    for _ in 0..datagrams {
        assert!(rig.network.send(0, at(ALICE, 4000), at(V4, 10_000), &RTCP));
    }
    rig.settle();
}
