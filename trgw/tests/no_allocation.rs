//! A worker allocates and frees nothing once it runs: not for packets, events, commands, timers or
//! drops.

mod context;

use base::Instant;
use context::{RTCP, Rig, V4, V6, at, event_packet, rtp_packet};
use dataplane::io::udp;
use dataplane::{
    Config, DropReason, EventFormat, Function, Latch, LocalAddress, LocalAddresses, Marking, Path,
    Policing, Turn, Worker, runtime,
};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use trgw::{LegTones, Relay};

const ALICE: &str = "203.0.113.1";
const BOB: &str = "2001:db8:b0b::1";

/// One turn, in which this thread's allocator must not be asked for anything.
fn turn(worker: &mut Worker, now: Instant) -> Turn {
    let mut turn = Turn::Idle;
    let measured = allocation_counter::measure(|| turn = worker.turn(now));
    assert_eq!(measured.count_total, 0, "allocations in a turn");
    assert_eq!(
        measured.count_current, 0,
        "allocations less frees in a turn"
    );
    turn
}

fn settle(rig: &mut Rig) {
    for _ in 0..1000 {
        let now = rig.now;
        let turns: Vec<Turn> = rig
            .workers
            .iter_mut()
            .map(|worker| turn(worker, now))
            .collect();
        if turns.iter().all(|turn| *turn == Turn::Idle) {
            return;
        }
    }
    panic!("the workers do not come to rest");
}

#[test]
fn the_measure_sees_an_allocation() {
    let measured = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 100])));
    assert!(measured.count_total > 0);
}

#[test]
fn turns_on_the_simulated_network_allocate_nothing() {
    let mut rig = Rig::new(2);
    let mut legs = [
        rig.leg(at(V4, 10_000), at(ALICE, 4000)),
        rig.leg(at(V6, 10_000), at(BOB, 5000)),
    ];
    legs[0].latch = Latch::First { request: 1 };
    legs[0].inactivity = Some(Duration::from_secs(1));
    legs[0].report_first_packet = true;
    legs[0].policing = Policing::OFF.with_sustained(20_000, 1000);
    legs[1].marking = Marking::Keep;
    let events = EventFormat {
        payload_type: 101,
        clock_hz: 8000,
    };
    legs[0].tones = LegTones {
        detects: Some(events),
        sends: Some(events),
        outward: Some((1, 5)),
        inward: None,
    };
    let inner = [
        rig.leg(at(V4, 10_002), at(V4, 10_004)),
        rig.leg(at(V4, 10_004), at(V4, 10_002)),
    ];
    for (flow, path) in [&legs, &inner]
        .into_iter()
        .flat_map(|legs| trgw::compile(legs, &[]).unwrap())
    {
        rig.control.set_path(flow, path).unwrap();
    }
    settle(&mut rig);
    for round in 0..300_u16 {
        let media = rtp_packet(round, u32::from(round) * 160);
        let digit = event_packet(round, u32::from(round) * 160);
        let spoken = if round % 2 == 0 { &media } else { &digit };
        // Both workers, both directions, digits, RTCP, spoofed, invalid, to ourselves, too long, to
        // nobody.
        for worker in 0..2 {
            let network = &mut rig.network;
            network.send(worker, at(ALICE, 4000), at(V4, 10_000), spoken);
            network.send(worker, at(ALICE, 4000), at(V4, 10_001), &RTCP);
            network.send(worker, at(BOB, 5000), at(V6, 10_000), &media);
            network.send(worker, at(ALICE, 6666), at(V4, 10_000), &media);
            network.send(worker, at(ALICE, 4000), at(V4, 10_000), b"no RTP");
            network.send(worker, at(ALICE, 4000), at(V4, 10_002), &media);
            network.send(worker, at(ALICE, 4000), at(V4, 10_000), &[0x80; 1900]);
            network.send(worker, at(ALICE, 4000), at(V4, 10_100), &media);
        }
        settle(&mut rig);
        rig.network.discard();
        if round % 50 == 0 {
            // Silence, then commands: paths replaced, flows closed and opened.
            rig.now += Duration::from_secs(3);
            settle(&mut rig);
            rig.set(&legs);
            let other = rig.control.open_flow(rig.now, at(V4, 10_010)).unwrap();
            rig.control
                .set_path(other, Path::to(legs[0].flow, at(ALICE, 4000)))
                .unwrap();
            settle(&mut rig);
            rig.control.close_flow(other).unwrap();
            settle(&mut rig);
            rig.events();
            rig.now += Duration::from_secs(10);
        }
        rig.now += Duration::from_millis(20);
    }
    assert_eq!(rig.stats(legs[0].flow).packets_received, 600);
    for reason in [
        DropReason::SourceMismatch,
        DropReason::NotRtp,
        DropReason::Truncated,
        DropReason::HopLimit,
    ] {
        assert!(rig.drops(reason) > 0, "{}", reason.name());
    }
    assert!(
        rig.control
            .worker_stats()
            .any(|stats| stats.handed_over > 0)
    );
}

#[test]
fn turns_on_kernel_sockets_allocate_nothing() {
    let ip = [127, 8, 7, 31];
    let addresses = LocalAddresses::new(&[LocalAddress::new(ip.into(), 22_000..=22_007)]).unwrap();
    let backend = udp::backend(&addresses, &udp::UdpConfig::default()).unwrap();
    let relay = |flows| Box::new(Relay::new(flows)) as Box<dyn Function>;
    let (mut control, mut workers) = runtime(&Config::default(), backend, relay).unwrap();
    let worker = &mut workers[0];
    let host = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    };
    let ((alice, alice_address), (bob, bob_address)) = (host(), host());
    let mut now = Instant::from_secs(1_800_000_000);
    let (first, second) = (
        SocketAddr::from((ip, 22_000)),
        SocketAddr::from((ip, 22_002)),
    );
    let a = control.open_flow(now, first).unwrap();
    let b = control.open_flow(now, second).unwrap();
    control.set_path(a, Path::to(b, bob_address)).unwrap();
    control.set_path(b, Path::to(a, alice_address)).unwrap();
    while turn(worker, now) == Turn::Busy {}
    let mut buffer = [0; 2048];
    for number in 0..200_u32 {
        let payload = number.to_be_bytes();
        alice.send_to(&payload, first).unwrap();
        alice.send_to(&[0; 2000], first).unwrap();
        bob.send_to(&payload, second).unwrap();
        now += Duration::from_millis(20);
        // Loopback delivers within the call that sends.
        while turn(worker, now) == Turn::Busy {}
        assert_eq!(bob.recv_from(&mut buffer).unwrap(), (4, second));
        assert_eq!(alice.recv_from(&mut buffer).unwrap(), (4, first));
    }
    // Towards a host that is gone, ICMP errors come back.
    drop(bob);
    for _ in 0..20 {
        alice.send_to(b"still there?", first).unwrap();
        while turn(worker, now) == Turn::Busy {}
    }
    let drops = control.worker_stats().next().unwrap().drops;
    assert_eq!(drops.of(DropReason::Truncated), 200);
    assert_eq!(control.stats(a).packets_received, 220);
    control.close_flow(a).unwrap();
    while turn(worker, now) == Turn::Busy {}
}
