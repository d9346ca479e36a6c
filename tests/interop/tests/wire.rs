//! Every stream that a gateway relays, protected in every way, over every back-end: what passed on
//! the wire and what `strowger tap` has of it, opened by libsrtp with the keys that were agreed on,
//! is octet for octet what was sent, and tshark has nothing to say about it.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use interop::controller::{Controller, context_of, locals_of};
use interop::gateway::{ADMIN, Gateway, Keys, Leg, context};
use interop::hosts::Cable;
use interop::libsrtp::{Kind, Libsrtp, Party, Work};
use interop::{Analysis, Capture, Datagram, Process, strowger};
use sdp::crypto::CryptoSuite;

const SUITES: [CryptoSuite; 4] = [
    CryptoSuite::AesCm128HmacSha1_80,
    CryptoSuite::AesCm128HmacSha1_32,
    CryptoSuite::AeadAes128Gcm,
    CryptoSuite::AeadAes256Gcm,
];
/// Where the far ends are, by version of IP.
const FAR: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
/// RTP of the first far end: at ports that tshark knows no protocol of. RTCP is at the next one.
const PORTS_FIRST: u16 = 41_000;
/// Packets of RTP from each end; sequence numbers end and begin anew within them.
const PACKETS: u16 = 48;
const SEQUENCE_FIRST: u16 = 65_512;
/// RTCP goes behind these packets: before and after.
const REPORTED: [u16; 2] = [8, 40];
const LIMIT: Duration = Duration::from_secs(60);

/// One end of a call.
struct End {
    leg: Leg,
    /// Where the gateway receives from it.
    local: SocketAddr,
    /// What it sends, and the same as it passes the wire.
    said: Vec<(Kind, Vec<u8>)>,
    sent: Vec<Vec<u8>>,
}

/// Both ways of every call, and whose turn it is to send.
struct Calls {
    libsrtp: Libsrtp,
    /// Two and two are a call.
    ends: Vec<End>,
    contexts: Vec<String>,
}

#[test]
fn over_sockets() {
    check(Gateway::new(Cable::lay(), "io = \"udp\""), "udp");
}

#[test]
fn over_af_xdp() {
    let io = "io = \"af_xdp\"\n[[af_xdp.interface]]\nname = \"near\"";
    check(Gateway::new(Cable::lay(), io), "af_xdp");
}

fn check(mut gateway: Gateway, io: &str) {
    let mut controller = gateway.start();
    let calls = Calls::set_up(&mut controller, &gateway);
    assert_eq!(gateway.status()["io"], io);
    let far = &gateway.cable().far;
    let wire = Capture::start_towards(far, "far", "192.0.2.1", gateway.folder());
    let tapped = gateway.folder().file("tapped.pcapng");
    let contexts = calls.contexts.join(",");
    let mut command = strowger::command(
        &gateway.cable().near,
        &["tap", "--admin", ADMIN, "--context", &contexts, "--out"],
    );
    let tap = Process::start("tap", command.arg(&tapped), gateway.folder().path());
    strowger::wait_until(LIMIT, "the tap begins", || {
        std::fs::metadata(&tapped).is_ok_and(|file| file.len() > 0)
    });
    far.inside(|| calls.pass(&tapped));
    // A tap ends with its contexts.
    let contexts = &calls.contexts;
    let subtract = |at: usize| format!("C={}{{W-S=*{{AT{{}}}}}}", contexts[at]);
    controller.each(contexts.len(), 8, subtract, |_, _| {});
    tap.wait(LIMIT).expect_success("tap");
    calls.judge(&wire.stop(), &gateway);
    let tapped = Analysis::of(&tapped);
    tapped.assert_checksums();
    calls.judge(&tapped, &gateway);
    let status = gateway.status();
    let counters = status["counters"].as_object().expect("there are counters");
    let dropped = counters
        .iter()
        .filter(|(name, count)| name.starts_with("drop.") && **count != 0);
    assert_eq!(dropped.collect::<Vec<_>>(), []);
}

impl Calls {
    /// One side protected and both, by each suite, from each version of IP to each.
    fn set_up(controller: &mut Controller<usize>, gateway: &Gateway) -> Self {
        let mut legs = Vec::new();
        let nexts = SUITES.iter().cycle().skip(1);
        for (&suite, &next) in SUITES.iter().zip(nexts) {
            for protected in [[None, Some(suite)], [Some(suite), Some(next)]] {
                for versions in [[0, 0], [1, 1], [0, 1], [1, 0]] {
                    for (suite, version) in protected.into_iter().zip(versions) {
                        legs.push(leg(legs.len(), suite, version));
                    }
                }
            }
        }
        let pairs: Vec<&[Leg]> = legs.chunks(2).collect();
        let mut locals = vec![Vec::new(); pairs.len()];
        let mut contexts = vec![String::new(); pairs.len()];
        controller.each(
            pairs.len(),
            8,
            |at| context([&pairs[at][0], &pairs[at][1]]),
            |at, reply| {
                locals[at] = locals_of(reply);
                contexts[at] = context_of(reply);
            },
        );
        let locals = locals.into_iter().flatten();
        let ends = legs.into_iter().zip(locals).zip(1..);
        let ends = ends.map(|((leg, local), ssrc)| End {
            said: said(ssrc),
            sent: Vec::new(),
            leg,
            local,
        });
        let mut calls = Calls {
            libsrtp: Libsrtp::build(gateway.folder()),
            ends: ends.collect(),
            contexts,
        };
        calls.protect();
        calls
    }

    /// Has libsrtp protect what is said.
    fn protect(&mut self) {
        let mut work = Work::default();
        for end in &self.ends {
            let Some(keys) = &end.leg.keys else {
                continue;
            };
            let sender = work.add_sender(keys.suite, &keys.theirs);
            for (kind, packet) in &end.said {
                work.pass(sender, *kind, packet);
            }
        }
        let mut sealed = self.libsrtp.run(&work).into_iter();
        for end in &mut self.ends {
            let said = end.said.iter().map(|(_, packet)| packet.clone());
            end.sent = match end.leg.keys {
                None => said.collect(),
                Some(_) => said
                    .map(|_| sealed.next().expect("each").expect("it is protected"))
                    .collect(),
            };
        }
    }

    /// Sends it all, each end in turn, and waits until as much has come out. The tap, which takes
    /// what passes in and out but has room for little that waits, is waited for all the way.
    fn pass(&self, tapped: &Path) {
        let bind = |at: SocketAddr| {
            let socket = UdpSocket::bind(at).expect("it is free");
            socket.set_read_timeout(Some(LIMIT)).expect("it can wait");
            socket
        };
        let sockets: Vec<[UdpSocket; 2]> = self
            .ends
            .iter()
            .map(|end| [Kind::Rtp, Kind::Rtcp].map(|kind| bind(at(end.leg.remote, kind))))
            .collect();
        let rounds = self.ends.iter().map(|end| end.sent.len()).max();
        for round in 0..rounds.unwrap_or(0) {
            let passed = 2 * round * self.ends.len();
            wait_for_packets(tapped, passed);
            for (end, sockets) in self.ends.iter().zip(&sockets) {
                let kind = end.said[round].0;
                let sent = sockets[kind as usize].send_to(&end.sent[round], at(end.local, kind));
                sent.expect("it leaves");
            }
        }
        let expected = [usize::from(PACKETS), REPORTED.len()];
        for (end, sockets) in self.ends.iter().zip(&sockets) {
            for (socket, expected) in sockets.iter().zip(expected) {
                for count in 0..expected {
                    let came = socket.recv(&mut [0; 2048]);
                    assert!(came.is_ok(), "{count} of {expected} at {:?}", end.leg);
                }
            }
        }
    }

    /// What passed each leg both ways is what was said, and media of which tshark says nothing bad.
    fn judge(&self, capture: &Analysis, gateway: &Gateway) {
        let passed = capture.datagrams("udp.dstport >= 20000");
        let ways = self.ways();
        let mut work = Work::default();
        let mut parties: HashMap<usize, Party> = HashMap::new();
        for datagram in &passed {
            let (way, kind) = ways[&(datagram.from, datagram.to)];
            if let Some((suite, key)) = self.key_of(way) {
                let party = parties
                    .entry(way)
                    .or_insert_with(|| work.add_receiver(suite, key));
                work.pass(*party, kind, &datagram.payload);
            }
        }
        let mut opened = self.libsrtp.run(&work).into_iter();
        let mut heard = vec![Vec::new(); 2 * self.ends.len()];
        let mut clear = Vec::new();
        for datagram in passed {
            let (way, kind) = ways[&(datagram.from, datagram.to)];
            let payload = match self.key_of(way) {
                None => datagram.payload,
                Some((suite, _)) => {
                    let opened = opened.next().expect("one for each");
                    opened.unwrap_or_else(|status| panic!("{suite:?}, {kind:?}: {status}"))
                }
            };
            heard[way].push((kind, payload.clone()));
            clear.push(Datagram {
                payload,
                ..datagram
            });
        }
        for (way, heard) in heard.iter().enumerate() {
            let end = &self.ends[self.speaker(way)];
            // RTCP has a port of its own and may overtake.
            for kind in [Kind::Rtp, Kind::Rtcp] {
                let of = |all: &[(Kind, Vec<u8>)]| -> Vec<Vec<u8>> {
                    let of_kind = all.iter().filter(|(this, _)| *this == kind);
                    of_kind.map(|(_, packet)| packet.clone()).collect()
                };
                assert!(of(heard) == of(&end.said), "{kind:?} of {:?}", end.leg);
            }
        }
        let clear = Analysis::of_datagrams(&clear, &gateway.folder().file("clear.pcap"));
        let streams = clear.assert_media();
        assert_eq!(streams.len(), 2 * self.ends.len());
        for stream in streams {
            assert_eq!((stream.packets, stream.lost), (u64::from(PACKETS), 0));
            assert!(!stream.has_problem, "{stream:?}");
        }
    }

    /// Which way a datagram goes: an even one from an end to the gateway, the next one back.
    fn ways(&self) -> HashMap<(SocketAddr, SocketAddr), (usize, Kind)> {
        let ends = self.ends.iter().enumerate();
        let ways = ends.flat_map(|(index, end)| {
            [Kind::Rtp, Kind::Rtcp].into_iter().flat_map(move |kind| {
                let (remote, local) = (at(end.leg.remote, kind), at(end.local, kind));
                [
                    ((remote, local), (2 * index, kind)),
                    ((local, remote), (2 * index + 1, kind)),
                ]
            })
        });
        ways.collect()
    }

    /// Whose words go this way: of the end itself, or of the other one of its call.
    fn speaker(&self, way: usize) -> usize {
        let end = way / 2;
        if way.is_multiple_of(2) { end } else { end ^ 1 }
    }

    /// What protects this way, if anything does.
    fn key_of(&self, way: usize) -> Option<(CryptoSuite, &[u8])> {
        let keys = self.ends[way / 2].leg.keys.as_ref()?;
        let key = if way.is_multiple_of(2) {
            &keys.theirs
        } else {
            &keys.ours
        };
        Some((keys.suite, key))
    }
}

/// Waits until a capture that is being written has so many packets.
fn wait_for_packets(file: &Path, count: usize) {
    let deadline = Instant::now() + LIMIT;
    while packets_in(file) < count {
        assert!(Instant::now() < deadline, "no {count} packets were tapped");
        thread::sleep(Duration::from_millis(2));
    }
}

/// How many packets a capture that is being written has so far (pcapng 4.3).
fn packets_in(file: &Path) -> usize {
    const ENHANCED_PACKET: u32 = 6;
    let written = std::fs::read(file).unwrap_or_default();
    let (mut rest, mut packets) = (&written[..], 0);
    while let Some((kind, rest_of)) = rest.split_first_chunk::<4>() {
        let length = rest_of.first_chunk::<4>().map(|it| u32::from_le_bytes(*it));
        let Some(after) = length.and_then(|length| rest.get(length as usize..)) else {
            break;
        };
        packets += usize::from(u32::from_le_bytes(*kind) == ENHANCED_PACKET);
        rest = after;
    }
    packets
}

/// The leg of an end: everybody has ports and keys of their own.
fn leg(index: usize, suite: Option<CryptoSuite>, version: usize) -> Leg {
    let port = PORTS_FIRST + 2 * index as u16;
    let remote = SocketAddr::new(FAR[version].parse().expect("an address"), port);
    let key = |suite: CryptoSuite, way| {
        let seed = (2 * index + way) as u8;
        let octets = (0..suite.key_and_salt_bytes()).map(|at| seed ^ (at as u8).wrapping_mul(37));
        octets.collect()
    };
    let keys = suite.map(|suite| Keys {
        suite,
        ours: key(suite, 0),
        theirs: key(suite, 1),
    });
    Leg { remote, keys }
}

/// Where the RTP of these addresses, or their RTCP, is.
fn at(rtp: SocketAddr, kind: Kind) -> SocketAddr {
    let port = rtp.port() + u16::from(kind == Kind::Rtcp);
    SocketAddr::new(rtp.ip(), port)
}

/// What one end says, in order.
fn said(ssrc: u32) -> Vec<(Kind, Vec<u8>)> {
    let mut said = Vec::new();
    for index in 0..PACKETS {
        said.push((Kind::Rtp, rtp(ssrc, index)));
        if REPORTED.contains(&index) {
            said.push((Kind::Rtcp, report(ssrc, index)));
        }
    }
    said
}

/// 20 ms of octets that compress to nothing: every one counts.
fn rtp(ssrc: u32, index: u16) -> Vec<u8> {
    let header = rtp::Header {
        payload_type: 8,
        sequence: SEQUENCE_FIRST.wrapping_add(index),
        timestamp: 160 * u32::from(index),
        ssrc,
        ..rtp::Header::default()
    };
    let mut packet = vec![0; 172];
    header.write_to(&mut packet).expect("there is room");
    let mut state = ssrc << 16 | u32::from(index);
    for octet in &mut packet[12..] {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *octet = (state >> 24) as u8;
    }
    packet
}

/// A report of a sender, and its name (RFC 3550 6.4.1, 6.5).
fn report(ssrc: u32, index: u16) -> Vec<u8> {
    let count = u32::from(index) + 1;
    let mut packet = vec![0x80, 200, 0, 6];
    for word in [
        ssrc,
        0xE9F0_0000 + u32::from(index),
        0,
        160 * u32::from(index),
        count,
        160 * count,
    ] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend([0x81, 202, 0, 3]);
    packet.extend(ssrc.to_be_bytes());
    // CNAME, then the end of items.
    packet.extend(b"\x01\x05e@far\0");
    packet
}
