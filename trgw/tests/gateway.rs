//! A gateway and its TrGW: H.248 commands in, packets through.

mod rig;

use std::net::SocketAddr;
use std::time::Duration;

use ::dtls::{Association, Progress, Role};
use base::Entropy;
use dataplane::DropReason;
use dataplane::io::sim::Packet;
use h248::message::{AuditReturn, CommandReply, ReplyBody};
use rig::{
    ALICE, ALICE_6, BOB, REST, RTCP, Rig, add, amms, at, errors, identity, locals, next, remote,
    rtp_packet, sdp, statistic,
};
use trgw::Silence;

#[test]
fn commands_make_packets_pass_both_ways() {
    let mut rig = Rig::new(2, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    let media = rtp_packet(1);
    let sent = rig.through(ALICE, access, &media);
    assert_eq!((sent[0].source, sent[0].destination), (core, at(BOB)));
    assert_eq!(sent[0].payload, media);
    assert_eq!(rig.reaches(BOB, core, &media), Some(at(ALICE)));
    let alice_rtcp = next(at(ALICE)).to_string();
    let sent = rig.through(&alice_rtcp, next(access), &RTCP);
    assert_eq!(
        (sent[0].source, sent[0].destination),
        (next(core), next(at(BOB)))
    );
    rig.subtract(context);
    assert_eq!(rig.reaches(ALICE, access, &media), None);
    rig.assert_empty();
}

#[test]
fn the_families_are_joined() {
    let mut rig = Rig::new(1, 4096);
    let (_, access, core) = rig.call("IP6", ALICE_6, BOB);
    assert!(access.is_ipv6() && core.is_ipv4());
    assert_eq!(rig.reaches(ALICE_6, access, &rtp_packet(1)), Some(at(BOB)));
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(1)), Some(at(ALICE_6)));
}

#[test]
fn hold_stops_media_but_not_rtcp_and_resume_lets_it_pass() {
    let mut rig = Rig::new(1, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    let mode =
        |mode: &str| format!("Media {{ Stream = 1 {{ LocalControl {{ Mode = {mode} }} }} }}");
    let bob_rtcp = next(at(BOB)).to_string();
    for (said, to_bob, to_alice) in [
        ("SendOnly", false, true),
        ("ReceiveOnly", true, false),
        ("Inactive", false, false),
        ("SendReceive", true, true),
    ] {
        rig.modify(context, &mode(said));
        let there = rig.reaches(ALICE, access, &rtp_packet(1));
        assert_eq!(there.is_some(), to_bob, "{said}");
        let back = rig.reaches(BOB, core, &rtp_packet(1));
        assert_eq!(back.is_some(), to_alice, "{said}");
        let rtcp = rig.reaches(&bob_rtcp, next(core), &RTCP);
        assert_eq!(rtcp, Some(next(at(ALICE))), "{said}");
    }
}

#[test]
fn a_changed_remote_address_holds_at_once() {
    let mut rig = Rig::new(1, 4096);
    let (context, _, core) = rig.call("IP4", ALICE, BOB);
    let elsewhere = "203.0.113.77:7000";
    rig.modify(
        context,
        &format!("Media {{ Stream = 1 {{ {} }} }}", remote(elsewhere)),
    );
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(1)), Some(at(elsewhere)));
    rig.modify(context, "Media { Stream = 1 { Remote { } } }");
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(2)), None);
}

#[test]
fn latching_follows_the_first_valid_packet() {
    let mut rig = Rig::new(1, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    rig.modify(
        context,
        "Events = 4 { g/sc }, Signals { ipnapt/latch { NotifyCompletion = { TimeOut }, \
         napt = LATCH } }",
    );
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(1)), None);
    let behind_nat = "203.0.113.99:61000";
    assert_eq!(rig.reaches(behind_nat, access, b"not RTP"), None);
    assert!(rig.notified.is_empty());
    assert_eq!(
        rig.reaches(behind_nat, access, &rtp_packet(1)),
        Some(at(BOB))
    );
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(2)), Some(at(behind_nat)));
    assert_eq!(rig.notified.len(), 1);
    assert_eq!(rig.reaches(ALICE, access, &rtp_packet(3)), None);
    assert_eq!(rig.drops(DropReason::SourceMismatch), 1);
    // A hold does not forget it, a new demand does when another speaks.
    let hold = "Media { Stream = 1 { LocalControl { Mode = SendReceive } } }";
    rig.modify(context, hold);
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(4)), Some(at(behind_nat)));
    rig.modify(context, "Signals { ipnapt/latch { napt = RELATCH } }");
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(5)), Some(at(behind_nat)));
    assert_eq!(rig.reaches(ALICE, access, &rtp_packet(6)), Some(at(BOB)));
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(7)), Some(at(ALICE)));
}

#[test]
fn a_source_filter_admits_the_remote_side_only() {
    let mut rig = Rig::new(1, 4096);
    let (context, access, _) = rig.call("IP4", ALICE, BOB);
    let filter = |filter: &str| format!("Media {{ Stream = 1 {{ LocalControl {{ {filter} }} }} }}");
    rig.modify(context, &filter("gm/saf = ON"));
    assert!(
        rig.reaches("203.0.113.50:4999", access, &rtp_packet(1))
            .is_some()
    );
    assert!(
        rig.reaches("203.0.113.51:4000", access, &rtp_packet(2))
            .is_none()
    );
    rig.modify(context, &filter("gm/spf = ON"));
    assert!(
        rig.reaches("203.0.113.50:4999", access, &rtp_packet(3))
            .is_none()
    );
    assert!(rig.reaches(ALICE, access, &rtp_packet(4)).is_some());
    let alice_rtcp = next(at(ALICE)).to_string();
    assert!(rig.reaches(&alice_rtcp, next(access), &RTCP).is_some());
    assert!(rig.reaches(ALICE, next(access), &RTCP).is_none());
    rig.modify(
        context,
        &filter("gm/sam = [\"203.0.113.0/24\"], gm/spf = OFF"),
    );
    assert!(
        rig.reaches("203.0.113.51:4000", access, &rtp_packet(5))
            .is_some()
    );
    assert_eq!(rig.drops(DropReason::SourceFiltered), 3);
}

#[test]
fn statistics_come_with_subtract() {
    let mut rig = Rig::new(1, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    for sequence in [1, 2, 4, 5] {
        rig.through(ALICE, access, &rtp_packet(sequence));
        rig.pass(Duration::from_millis(100));
    }
    rig.through(BOB, core, &rtp_packet(1));
    let reply = rig.subtract(context);
    // The first termination is in the core.
    for (termination, received, sent) in [(0, 1, 4), (1, 4, 1)] {
        assert_eq!(statistic(&reply, termination, "rtp/pr"), received);
        assert_eq!(statistic(&reply, termination, "rtp/ps"), sent);
        assert_eq!(statistic(&reply, termination, "nt/or"), received * 172);
        assert_eq!(statistic(&reply, termination, "nt/os"), sent * 172);
        assert_eq!(statistic(&reply, termination, "nt/dur"), 400);
    }
    assert_eq!(statistic(&reply, 1, "rtp/pl"), 20);
    rig.assert_empty();
    // What comes next does not inherit them.
    rig.pass(REST);
    let (context, ..) = rig.call("IP4", ALICE, BOB);
    let reply = rig.subtract(context);
    assert_eq!(statistic(&reply, 1, "rtp/pr"), 0);
}

#[test]
fn how_speech_sounded_is_told_while_it_lasts_and_with_subtract() {
    let mut rig = Rig::new(1, 4096);
    let (context, access, _) = rig.call("IP4", ALICE, BOB);
    let audit =
        format!("Context = {context} {{ AuditValue = ip/2/* {{ Audit {{ Statistics }} }} }}");
    let unknown = u64::from(h248::package::rtcpxr::MOS_UNAVAILABLE);
    let mut scores = Vec::new();
    // Nothing, all of it, half of it.
    for sequences in [0..0, 1..50, 51..200] {
        for sequence in sequences {
            if sequence < 50 || sequence % 2 == 0 {
                rig.through(ALICE, access, &rtp_packet(sequence));
            }
            rig.pass(Duration::from_millis(20));
        }
        let reply = rig.say(&audit);
        let score = statistic(&reply, 0, "rtcpxr/moslq");
        // The playout buffer that jitter needs takes a little from who converses.
        assert!(statistic(&reply, 0, "rtcpxr/moscq") <= score);
        scores.push(score);
    }
    let [silence, clean, lossy] = scores[..] else {
        unreachable!()
    };
    // G.711 without loss: R = 93.2, MOS = 4.4 (G.107).
    assert_eq!((silence, clean), (unknown, 44));
    assert!((10..35).contains(&lossy), "{lossy}");
    let reply = rig.subtract(context);
    assert_eq!(statistic(&reply, 1, "rtcpxr/moslq"), lossy);
    // Nothing came from the core.
    assert_eq!(statistic(&reply, 0, "rtcpxr/moslq"), unknown);
}

#[test]
fn silence_is_notified_once_and_again_after_more_media() {
    let mut rig = Rig::new(1, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    rig.modify(context, "Events = 8 { adid/ipstop { dt = 10, dir = IN } }");
    for sequence in 1..20 {
        rig.through(ALICE, access, &rtp_packet(sequence));
        rig.pass(Duration::from_secs(1));
    }
    assert!(rig.notified.is_empty());
    rig.pass(Duration::from_secs(12));
    assert_eq!(rig.notified.len(), 1);
    let observed = rig.notified[0].observed.as_ref().expect("events");
    assert_eq!(observed.request_id.0, 8);
    rig.pass(Duration::from_secs(60));
    assert_eq!(rig.notified.len(), 1);
    rig.through(ALICE, access, &rtp_packet(20));
    rig.pass(Duration::from_secs(12));
    assert_eq!(rig.notified.len(), 2);
    // Both ways: the other side speaks.
    rig.modify(
        context,
        "Events = 9 { adid/ipstop { dt = 10, dir = BOTH } }",
    );
    for sequence in 1..30 {
        rig.through(BOB, core, &rtp_packet(sequence));
        rig.pass(Duration::from_secs(1));
    }
    assert_eq!(rig.notified.len(), 2);
    rig.pass(Duration::from_secs(12));
    assert_eq!(rig.notified.len(), 3);
}

#[test]
fn media_of_one_call_into_another_stay_in_memory() {
    let mut rig = Rig::new(2, 4096);
    let (first, access, _) = rig.call("IP4", ALICE, BOB);
    let (_, far_access, far_core) = rig.call("IP4", "203.0.113.60:6000", BOB);
    let to_far = format!(
        "Context = {first} {{ Modify = ip/1/* {{ Media {{ Stream = 1 {{ {} }} }} }} }}",
        remote(&far_core.to_string())
    );
    rig.say(&to_far);
    let sent = rig.through(ALICE, access, &rtp_packet(1));
    assert_eq!(sent.len(), 1);
    let way = (sent[0].source, sent[0].destination);
    assert_eq!(way, (far_access, at("203.0.113.60:6000")));
    let delivered: u64 = rig
        .trgw
        .control()
        .worker_stats()
        .map(|worker| worker.delivered)
        .sum();
    assert_eq!(delivered, 1);
}

#[test]
fn a_way_that_the_topology_closes_is_closed() {
    let mut rig = Rig::new(1, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    rig.say(&format!(
        "Context = {context} {{ Topology {{ ip/1/1, ip/2/2, Oneway }} }}"
    ));
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(1)), Some(at(ALICE)));
    assert_eq!(rig.reaches(ALICE, access, &rtp_packet(1)), None);
    rig.say(&format!(
        "Context = {context} {{ Topology {{ ip/1/1, ip/2/2, Isolate }} }}"
    ));
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(2)), None);
    rig.say(&format!(
        "Context = {context} {{ Topology {{ ip/1/1, ip/2/2, Bothway }} }}"
    ));
    assert_eq!(rig.reaches(BOB, core, &rtp_packet(3)), Some(at(ALICE)));
}

/// Random commands, with room for few of them at the workers: nothing is left, and no port is used
/// by two.
#[test]
fn random_commands_leak_nothing() {
    for seed in 1..=12 {
        let mut rig = Rig::new(2, 16);
        let mut entropy = Entropy::from_u64(seed);
        for _ in 0..80 {
            let contexts = rig.mg.status().contexts as u64;
            let family = if entropy.chance(500) { "IP4" } else { "IP6" };
            let of = if family == "IP4" { ALICE } else { ALICE_6 };
            let actions = match entropy.below(8) {
                0..=2 if contexts < 12 => {
                    let (one, two) = (add("core", "IP4", BOB), add("access", family, of));
                    format!("Context = $ {{ {one}, {two} }}")
                }
                3 => "Context = * { O-Modify = * { Media { Stream = 1 { LocalControl { Mode = \
                      Inactive } } } } }"
                    .into(),
                4 => "Context = * { O-Modify = ip/2/* { Signals { ipnapt/latch { napt = LATCH } \
                      } } }"
                    .into(),
                5 => "Context = * { O-Subtract = ip/1/* }".into(),
                6 => {
                    let number = entropy.below(60);
                    format!("Context = * {{ O-Subtract = ip/2/{number} }}")
                }
                _ => {
                    let sdp = sdp("IP6", "$", "$");
                    format!(
                        "Context = * {{ O-Modify = ip/2/* {{ Media {{ Stream = 1 {{ Local {{ {sdp} }}, Remote {{ }} }} }} }} }}"
                    )
                }
            };
            let codes = errors(&rig.ask(&actions));
            let expected = [430, 431, 449, 510, 511];
            let odd = codes.iter().find(|code| !expected.contains(code));
            assert_eq!(odd, None, "seed {seed}: {actions}");
            rig.pass(Duration::from_millis(entropy.below(2000)));
        }
        rig.ask("Context = * { O-W-Subtract = * { Audit { } } }");
        rig.assert_empty();
    }
}

#[test]
fn leaving_closes_everything() {
    let mut rig = Rig::new(2, 4096);
    for _ in 0..5 {
        rig.call("IP4", ALICE, BOB);
    }
    rig.mg.leave(rig.now, &mut rig.trgw, Duration::ZERO);
    rig.settle();
    assert!(rig.mg.is_ended());
    rig.assert_empty();
}

/// A termination towards the access whose media is SRTP, with these keys in Local and Remote.
fn add_protected(near: &[u8], far: &[u8]) -> String {
    use sdp::crypto::{Crypto, CryptoSuite, InlineKey};
    let crypto = |octets: &[u8]| {
        let key = InlineKey::new(octets);
        format!(
            "a=crypto:{}",
            Crypto::new(1, CryptoSuite::AesCm128HmacSha1_80, key)
        )
    };
    let plain = add("access", "IP4", ALICE).replace("RTP/AVP", "RTP/SAVP");
    let ends: Vec<&str> = plain.split(" 8\n").collect();
    let [start, middle, end] = ends[..] else {
        panic!("{plain}");
    };
    let (near, far) = (crypto(near), crypto(far));
    format!("{start} 8\n{near}\n{middle} 8\n{far}\n{end}")
}

#[test]
fn srtp_ends_at_the_termination_that_has_keys() {
    use srtp::{MasterKey, Receiver, Sender, Suite};
    let mut rig = Rig::new(2, 64);
    let reply = rig.say(&format!(
        "Context = $ {{ {}, {} }}",
        add("core", "IP4", BOB),
        add_protected(&[1; 30], &[2; 30])
    ));
    let ports = locals(&reply);
    let ReplyBody::Actions(actions) = &reply else {
        unreachable!()
    };
    let context = actions[0].context.as_u32();
    let key = |seed| MasterKey::new(Suite::AesCm128HmacSha1_80, &[seed; 30]).expect("a key");
    let (alice, hears) = (Sender::new(&key(2)), Receiver::new(&[key(1)]));
    let (alice, hears) = (alice.expect("a key"), hears.expect("a key"));
    for number in 0..3 {
        let media = rtp_packet(number);
        let mut packet = [&media[..], &[0; 64]].concat();
        let len = alice
            .protect(&mut packet, media.len())
            .expect("there is room");
        let sent = rig.through(ALICE, ports[1], &packet[..len]);
        assert_eq!((sent[0].destination, &sent[0].payload), (at(BOB), &media));
        let mut sent = rig.through(BOB, ports[0], &media).remove(0);
        assert_eq!(sent.destination, at(ALICE));
        let len = hears.unprotect(&mut sent.payload).expect("it is for Alice");
        assert_eq!(sent.payload[..len], media);
        // A Modify that says nothing of keys leaves their state as it is.
        let mode = "Media { Stream = 1 { LocalControl { Mode = SendReceive } } }";
        rig.modify(context, mode);
    }
    assert!(rig.through(ALICE, ports[1], &rtp_packet(9)).is_empty());
    assert_eq!(rig.drops(DropReason::SrtpAuthentication), 1);
    rig.subtract(context);
    rig.assert_empty();
}

/// A termination towards the access whose keys DTLS tells.
fn add_dtls(of: &str, near: &str, far: &str) -> String {
    let plain = add("access", "IP4", of).replace("RTP/AVP", "UDP/TLS/RTP/SAVPF");
    let ends: Vec<&str> = plain.split(" 8\n").collect();
    let [start, middle, end] = ends[..] else {
        panic!("{plain}");
    };
    format!("{start} 8\n{near}{middle} 8\n{far}{end}")
}

/// The other end of such a termination, at one of its ports.
struct Peer {
    local: SocketAddr,
    association: Association,
}

impl Peer {
    /// Answers what the gateway sent, until it is silent.
    fn shake_hands(&mut self, rig: &mut Rig, port: SocketAddr) {
        self.association.handle_timeout(rig.now);
        for _ in 0..20 {
            let mut any = false;
            while let Some(datagram) = self.association.poll_output() {
                assert!(rig.network.send(0, self.local, port, &datagram));
                any = true;
            }
            rig.settle();
            while let Some(sent) = rig.network.receive() {
                assert_eq!((sent.source, sent.destination), (port, self.local));
                self.association.handle_datagram(rig.now, &sent.payload);
                any = true;
            }
            if !any {
                return;
            }
        }
        panic!("the handshake has no end");
    }

    fn keys(&self) -> (srtp::Sender, srtp::Receiver) {
        assert_eq!(self.association.progress(), Progress::Done);
        let keys = self.association.keys().expect("it is done");
        let sender = srtp::Sender::new(&keys.sends).expect("a key");
        let receiver = srtp::Receiver::new(&[keys.receives]).expect("a key");
        (sender, receiver)
    }
}

fn seal(sender: &srtp::Sender, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [packet, &[0; 64]].concat();
    let len = sender.protect(&mut buffer, packet.len());
    buffer.truncate(len.expect("there is room"));
    buffer
}

fn open(receiver: &srtp::Receiver, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    let len = receiver.unprotect(&mut buffer).expect("it is for us");
    buffer.truncate(len);
    buffer
}

fn own_fingerprint(reply: &ReplyBody, of: usize) -> sdp::dtls::Fingerprint {
    let media = amms(reply).filter_map(|item| match item {
        AuditReturn::Media(media) => Some(media),
        _ => None,
    });
    let mut streams = media.flat_map(|media| media.streams());
    let (_, parms) = streams.nth(of).expect("a stream");
    let local = parms.local.as_ref().expect("what was chosen");
    let local = sdp::h248::Description::parse(local.as_bytes()).expect("SDP");
    let media = &local.first().expect("a description").media[0];
    assert_eq!(media.lines.setup(), Some(sdp::dtls::Setup::Passive));
    media.lines.fingerprints().next().expect("a fingerprint")
}

#[test]
fn dtls_tells_the_keys_of_media_and_of_rtcp() {
    let mut rig = Rig::new(2, 64);
    let phone = identity();
    let far = format!("a=fingerprint:{}\na=setup:actpass\n", phone.fingerprint());
    let near = "a=fingerprint:sha-256 $\na=setup:$\n";
    let reply = rig.say(&format!(
        "Context = $ {{ {}, {} }}",
        add("core", "IP4", BOB),
        add_dtls(ALICE, &near.replace("setup:$", "setup:passive"), &far)
    ));
    let ports = locals(&reply);
    let shown = own_fingerprint(&reply, 1);
    let media = rtp_packet(1);
    // Without keys nothing passes in either direction.
    assert!(rig.through(BOB, ports[0], &media).is_empty());
    assert!(rig.through(ALICE, ports[1], &media).is_empty());
    assert_eq!(rig.drops(DropReason::SrtpNoKey), 2);
    let mut ends = [at(ALICE), next(at(ALICE))].map(|local| Peer {
        local,
        association: Association::new(&phone, Role::Client, rig.now),
    });
    let [rtp, rtcp] = &mut ends;
    rtp.shake_hands(&mut rig, ports[1]);
    rtcp.shake_hands(&mut rig, next(ports[1]));
    assert!(rtp.association.is_with(&[shown]) && rtcp.association.is_with(&[shown]));
    let ((alice, hears), (rtcp_alice, rtcp_hears)) = (rtp.keys(), rtcp.keys());
    for number in 2..6 {
        let media = rtp_packet(number);
        let sent = rig.through(ALICE, ports[1], &seal(&alice, &media));
        assert_eq!((sent[0].destination, &sent[0].payload), (at(BOB), &media));
        let sent = rig.through(BOB, ports[0], &media);
        assert_eq!(sent[0].destination, at(ALICE));
        assert_eq!(open(&hears, &sent[0].payload), media);
    }
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    let mut sealed = [&report[..], &[0; 64]].concat();
    let len = rtcp_alice.protect_rtcp(&mut sealed, report.len());
    let from = next(at(ALICE)).to_string();
    let sent = rig.through(
        &from,
        next(ports[1]),
        &sealed[..len.expect("there is room")],
    );
    assert_eq!(
        (sent[0].destination, &sent[0].payload[..]),
        (next(at(BOB)), &report[..])
    );
    let mut sent = rig.through(&next(at(BOB)).to_string(), next(ports[0]), &report);
    assert_eq!(sent[0].destination, next(at(ALICE)));
    let len = rtcp_hears
        .unprotect_rtcp(&mut sent[0].payload)
        .expect("it is for Alice");
    assert_eq!(sent[0].payload[..len], report);
    let (counts, going) = rig.trgw.dtls();
    assert_eq!((counts.agreed, going), (2, 0));
    // A Modify that says the same again leaves the keys as they are.
    let ReplyBody::Actions(actions) = &reply else {
        unreachable!()
    };
    let context = actions[0].context.as_u32();
    let [ip, port] = [ports[1].ip().to_string(), ports[1].port().to_string()];
    let local = sdp("IP4", &ip, &port).replace("RTP/AVP", "UDP/TLS/RTP/SAVPF");
    rig.modify(
        context,
        &format!(
            "Media {{ Stream = 1 {{ LocalControl {{ Mode = SendReceive }}, \
             Local {{ {local}a=fingerprint:{shown}\na=setup:passive\n }} }} }}"
        ),
    );
    let media = rtp_packet(7);
    assert_eq!(
        rig.through(ALICE, ports[1], &seal(&alice, &media))[0].payload,
        media
    );
    rig.subtract(context);
    rig.assert_empty();
    let report = std::iter::from_fn(|| rig.trgw.poll_report()).find(|leg| leg.local == ports[1]);
    let report = report.expect("it has ended");
    assert_eq!(
        (report.dtls, report.silence()),
        (Some(trgw::DtlsOutcome::Agreed), None)
    );
}

#[test]
fn the_gateway_begins_where_the_other_side_waits_for_it() {
    let mut rig = Rig::new(2, 64);
    let phone = identity();
    let far = format!(
        "a=rtcp-mux\na=fingerprint:{}\na=setup:passive\n",
        phone.fingerprint()
    );
    let reply = rig.say(&format!(
        "Context = $ {{ {}, {} }}",
        add("core", "IP4", BOB),
        add_dtls(ALICE, "a=rtcp-mux\na=fingerprint:$\na=setup:active\n", &far)
    ));
    let ports = locals(&reply);
    let mut peer = Peer {
        local: at(ALICE),
        association: Association::new(&phone, Role::Server, rig.now),
    };
    peer.shake_hands(&mut rig, ports[1]);
    let (alice, hears) = peer.keys();
    let media = rtp_packet(1);
    assert_eq!(
        rig.through(ALICE, ports[1], &seal(&alice, &media))[0].payload,
        media
    );
    assert_eq!(
        open(&hears, &rig.through(BOB, ports[0], &media)[0].payload),
        media
    );
    assert_eq!(rig.trgw.dtls().0.agreed, 1);
}

#[test]
fn who_shows_another_certificate_hears_nothing_and_the_leg_says_why() {
    let mut rig = Rig::new(1, 64);
    let far = format!(
        "a=fingerprint:{}\na=setup:active\n",
        identity().fingerprint()
    );
    let reply = rig.say(&format!(
        "Context = $ {{ {}, {} }}",
        add("core", "IP4", BOB),
        add_dtls(ALICE, "a=fingerprint:$\na=setup:passive\n", &far)
    ));
    let ports = locals(&reply);
    let mut mallory = Peer {
        local: at(ALICE),
        association: Association::new(&identity(), Role::Client, rig.now),
    };
    mallory.shake_hands(&mut rig, ports[1]);
    // To Mallory all is well, but what it says is not heard.
    let (sender, _) = mallory.keys();
    assert!(
        rig.through(ALICE, ports[1], &seal(&sender, &rtp_packet(1)))
            .is_empty()
    );
    assert!(rig.through(BOB, ports[0], &rtp_packet(1)).is_empty());
    assert_eq!(rig.drops(DropReason::SrtpNoKey), 2);
    let ReplyBody::Actions(actions) = &reply else {
        unreachable!()
    };
    rig.subtract(actions[0].context.as_u32());
    rig.assert_empty();
    let report = std::iter::from_fn(|| rig.trgw.poll_report()).find(|leg| leg.local == ports[1]);
    assert_eq!(
        report.and_then(|leg| leg.silence()),
        Some(Silence::WrongCertificate)
    );
}

#[test]
fn descriptions_of_dtls_that_make_no_sense_are_refused() {
    let mut rig = Rig::new(1, 64);
    let own = "a=fingerprint:sha-256 $\n";
    let other = format!("a=fingerprint:{}\n", identity().fingerprint());
    for (near, far, code) in [
        (own, "", 473),
        (own, "a=fingerprint:sha-1 00\n", 449),
        ("a=fingerprint:sha-512 $\n", &*other, 449),
        (&*other, &*other, 449),
    ] {
        let reply = rig.ask(&format!("Context = $ {{ {} }}", add_dtls(ALICE, near, far)));
        assert_eq!(errors(&reply).last(), Some(&code), "{near} {far}");
    }
    // Without a fingerprint in Local it passes from end to end.
    let reply = rig.say(&format!(
        "Context = $ {{ {} }}",
        add_dtls(ALICE, "", &other)
    ));
    assert_eq!(locals(&reply).len(), 1);
}

/// Adds a termination for copies, which is not to be heard by the others.
fn add_listener(
    rig: &mut Rig,
    context: u32,
    add: &str,
    hears: &[&str],
    not: &[&str],
) -> SocketAddr {
    let reply = rig.say(&format!(
        "Context = {context} {{ {} }}",
        add.replace("SendReceive", "SendOnly")
    ));
    let ReplyBody::Actions(actions) = &reply else {
        unreachable!()
    };
    let CommandReply::Add(added) = &actions[0].commands[0] else {
        panic!("{reply:?}");
    };
    let name = added.terminations[0].to_string();
    let oneway = hears.iter().map(|from| format!("{from}, {name}, Oneway"));
    let isolate = not.iter().map(|from| format!("{from}, {name}, Isolate"));
    let topology: Vec<String> = oneway.chain(isolate).collect();
    rig.say(&format!(
        "Context = {context} {{ Topology {{ {} }} }}",
        topology.join(", ")
    ));
    locals(&reply)[0]
}

const COPIES: &str = "198.51.100.70:7000";
const MORE_COPIES: &str = "198.51.100.70:7100";

fn ports_of(mut sent: Vec<Packet>, payload: &[u8]) -> Vec<u16> {
    assert!(sent.iter().all(|packet| packet.payload == payload));
    sent.sort_by_key(|packet| packet.destination.port());
    let ports = sent.iter().map(|packet| packet.destination.port());
    ports.collect()
}

#[test]
fn a_third_termination_gets_copies_and_is_heard_by_nobody() {
    let mut rig = Rig::new(2, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    let add = add("core", "IP4", COPIES);
    let third = add_listener(&mut rig, context, &add, &["ip/1/1", "ip/2/2"], &[]);
    for number in 0..3 {
        let media = rtp_packet(number);
        let sent = rig.through(ALICE, access, &media);
        assert_eq!(ports_of(sent, &media), [5000, 7000]);
        let sent = rig.through(BOB, core, &media);
        assert_eq!(ports_of(sent, &media), [4000, 7000]);
        assert!(rig.through(COPIES, third, &media).is_empty());
    }
    let sent = rig.through("203.0.113.50:4001", next(access), &RTCP);
    assert_eq!(ports_of(sent, &RTCP), [5001, 7001]);
    let sent = rig.through("198.51.100.70:7001", next(third), &RTCP);
    assert!(sent.is_empty(), "RTCP of who gets copies is not heard of");
    assert_eq!(rig.drops(DropReason::NotReceiving), 3);

    // What cannot be copied passes all the same, and nobody calls it silent.
    let latch = "Signals { ipnapt/latch { napt = LATCH } }";
    rig.say(&format!(
        "Context = {context} {{ Modify = ip/1/3 {{ {latch} }} }}"
    ));
    let media = rtp_packet(9);
    assert_eq!(ports_of(rig.through(ALICE, access, &media), &media), [5000]);
    let reply = rig.say(&format!("Context = {context} {{ Subtract = ip/1/3 }}"));
    assert_eq!(statistic(&reply, 0, "rtp/ps"), 6);
    let media = rtp_packet(10);
    assert_eq!(ports_of(rig.through(BOB, core, &media), &media), [4000]);
    rig.subtract(context);
    rig.assert_empty();
    let reports: Vec<_> = std::iter::from_fn(|| rig.trgw.poll_report()).collect();
    let silent = |local| {
        let report = reports.iter().find(|report| report.local == local);
        report.expect("it has ended").silence()
    };
    assert_eq!([access, core].map(silent), [None, None]);
    assert_eq!(silent(third), Some(Silence::NotReceiving));
}

#[test]
fn copies_of_each_direction_go_where_each_is_to() {
    let mut rig = Rig::new(1, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    let forth = add("core", "IP4", COPIES);
    add_listener(&mut rig, context, &forth, &["ip/1/1"], &["ip/2/2"]);
    let back = add("core", "IP4", MORE_COPIES);
    let others = ["ip/1/1", "ip/1/3"];
    add_listener(&mut rig, context, &back, &["ip/2/2"], &others);
    let media = rtp_packet(1);
    let sent = rig.through(BOB, core, &media);
    assert_eq!(ports_of(sent, &media), [4000, 7000]);
    let sent = rig.through(ALICE, access, &media);
    assert_eq!(ports_of(sent, &media), [5000, 7100]);
    let fifth = rig.ask(&format!("Context = {context} {{ {back} }}"));
    assert!(errors(&fifth).is_empty());
    let sixth = rig.ask(&format!("Context = {context} {{ {back} }}"));
    assert_eq!(errors(&sixth), [434]);
    rig.subtract(context);
    rig.assert_empty();
}

#[test]
fn copies_are_protected_by_keys_of_their_own() {
    use srtp::{MasterKey, Receiver, Suite};
    let mut rig = Rig::new(2, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    let add = add_protected(&[1; 30], &[2; 30]);
    add_listener(&mut rig, context, &add, &["ip/1/1", "ip/2/2"], &[]);
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[1; 30]).expect("a key");
    let hears = Receiver::new(&[key]).expect("a key");
    // The two sides are of different sources, as they are in calls.
    for number in 0..5 {
        for (from, to, ssrc, other) in [(BOB, core, 1, ALICE), (ALICE, access, 2, BOB)] {
            let mut media = rtp_packet(number);
            media[11] = ssrc;
            let mut sent = rig.through(from, to, &media);
            assert_eq!(sent.len(), 2);
            let is_plain = |packet: &Packet| packet.payload == media;
            let plain = sent.iter().position(is_plain).expect("one is plain");
            assert_eq!(sent.remove(plain).destination, at(other));
            let copy = &mut sent[0].payload;
            let len = hears.unprotect(copy).expect("it is for the listener");
            assert_eq!(copy[..len], media);
        }
    }
    let sent = rig.through("198.51.100.50:5001", next(core), &RTCP);
    let copy = sent.iter().find(|packet| packet.payload != RTCP);
    let mut copy = copy.expect("a copy").payload.clone();
    let len = hears.unprotect_rtcp(&mut copy).expect("authentic");
    assert_eq!(copy[..len], RTCP);
    rig.subtract(context);
    rig.assert_empty();
}

/// Alice moves: her new place is added before the old one is left, and both hear Bob meanwhile.
#[test]
fn a_call_is_handed_over_without_a_packet_lost() {
    let mut rig = Rig::new(2, 4096);
    let (context, access, core) = rig.call("IP4", ALICE, BOB);
    let mut sequence = 0;
    let mut media = || {
        sequence += 1;
        rtp_packet(sequence)
    };
    let packet = media();
    assert_eq!(ports_of(rig.through(BOB, core, &packet), &packet), [4000]);
    let moved = "203.0.113.60:4500";
    let reply = rig.say(&format!(
        "Context = {context} {{ {} }}",
        add("access", "IP4", moved)
    ));
    rig.say(&format!(
        "Context = {context} {{ Topology {{ ip/2/2, ip/2/3, Isolate }} }}"
    ));
    let new = locals(&reply)[0];
    for _ in 0..3 {
        let packet = media();
        let sent = rig.through(BOB, core, &packet);
        assert_eq!(ports_of(sent, &packet), [4000, 4500]);
        for (from, to) in [(ALICE, access), (moved, new)] {
            let packet = media();
            assert_eq!(ports_of(rig.through(from, to, &packet), &packet), [5000]);
        }
    }
    rig.say(&format!("Context = {context} {{ Subtract = ip/2/2 }}"));
    let packet = media();
    assert_eq!(ports_of(rig.through(BOB, core, &packet), &packet), [4500]);
    assert!(rig.through(ALICE, access, &media()).is_empty());
    let packet = media();
    assert_eq!(ports_of(rig.through(moved, new, &packet), &packet), [5000]);
    rig.subtract(context);
    rig.assert_empty();
}

#[test]
fn rates_are_policed_and_packets_marked_as_local_control_says() {
    let mut rig = Rig::new(1, 1024);
    let (context, alice, bob) = rig.call("IP4", ALICE, BOB);
    let control =
        |properties: &str| format!("Media {{ Stream = 1 {{ LocalControl {{ {properties} }} }} }}");
    rig.modify(context, &control("ds/dscp = 2E"));
    let media = rtp_packet(1);
    let packet_octets = media.len() + 28;
    assert_eq!(rig.through(BOB, bob, &media)[0].traffic_class, 46 << 2);
    assert_eq!(rig.through(ALICE, alice, &media)[0].traffic_class, 0);
    // A burst of three packets, and one in 20 ms.
    let (rate, burst) = (50 * packet_octets, 3 * packet_octets);
    let police = format!("tman/pol = ON, tman/sdr = {rate}, tman/mbs = {burst}");
    rig.modify(context, &control(&police));
    let passed = |rig: &mut Rig, from, to, number| {
        let packets = (0..number).map(|_| rig.through(from, to, &media).len());
        packets.sum::<usize>()
    };
    assert_eq!(passed(&mut rig, ALICE, alice, 10), 3);
    assert_eq!(passed(&mut rig, BOB, bob, 10), 10);
    rig.pass(Duration::from_millis(40));
    assert_eq!(passed(&mut rig, ALICE, alice, 10), 2);
    assert_eq!(rig.drops(DropReason::Policed), 15);
    rig.modify(context, &control("tman/pol = OFF, ds/dscp = 0"));
    assert_eq!(passed(&mut rig, ALICE, alice, 10), 10);
    assert_eq!(rig.through(BOB, bob, &media)[0].traffic_class, 0);
    rig.modify(context, &control("ds/dscp = 2E"));
    rig.say(&format!(
        "Context = {context} {{ Modify = ip/1/* {{ {} }} }}",
        control("ds/tb = ON")
    ));
    assert!(rig.network.send_marked(0, at(ALICE), alice, &media, 0x21));
    rig.settle();
    assert_eq!(
        rig.network.receive().expect("it passes").traffic_class,
        0x20
    );
    rig.subtract(context);
    rig.assert_empty();
}

/// Local and Remote with telephone events of this payload type.
fn with_events(of: &str, payload_type: u8) -> String {
    let (address, events) = (at(of), format!("RTP/AVP 8 {payload_type}"));
    let map = format!("a=rtpmap:{payload_type} telephone-event/8000");
    format!(
        "Media {{ Stream = 1 {{ Local {{ v=0\nc=IN IP4 $\nm=audio $ {events}\n{map}\n }}, \
         Remote {{ v=0\nc=IN IP4 {}\nm=audio {} {events}\n{map}\n }} }} }}",
        address.ip(),
        address.port()
    )
}

/// A packet of a telephone event.
fn event_packet(sequence: u16, timestamp: u32, event: rtp::Event) -> Vec<u8> {
    let header = rtp::Header {
        marker: false,
        payload_type: 101,
        sequence,
        timestamp,
        ssrc: 7,
    };
    let mut packet = vec![0; rtp::HEADER_BYTES];
    header.write_to(&mut packet).expect("there is room");
    packet.extend_from_slice(&event.to_bytes());
    packet
}

#[test]
fn digits_that_pass_as_telephone_events_are_collected() {
    for workers in [1, 2] {
        let mut rig = Rig::new(workers, 1024);
        let (context, alice, _) = rig.call("IP4", ALICE, BOB);
        rig.modify(context, &with_events(ALICE, 101));
        // Events are detected whatever the mode.
        rig.modify(
            context,
            "Media { Stream = 1 { LocalControl { Mode = SendOnly } } }, Events = 7 { dd/ce { \
             DigitMap = { S:2, (12|12x) } } }",
        );
        let mut sequence = 0;
        for (index, code) in [1, 2].into_iter().enumerate() {
            let timestamp = 1000 + 2000 * index as u32;
            for (duration, end) in [(160, false), (320, false), (480, true), (480, true)] {
                sequence += 1;
                let event = rtp::Event {
                    code,
                    end,
                    volume: 10,
                    duration,
                };
                let packet = event_packet(sequence, timestamp, event);
                assert!(rig.through(ALICE, alice, &packet).is_empty());
                rig.pass(Duration::from_millis(20));
            }
        }
        assert!(rig.notified.is_empty());
        rig.pass(Duration::from_secs(3));
        let observed = rig.notified[0].observed.as_ref().expect("an event");
        let event = &observed.events[0];
        let parameter = |name| event.parameter(name).and_then(|value| value.as_single());
        assert_eq!((observed.request_id.0, event.name.as_str()), (7, "dd/ce"));
        assert_eq!(parameter("ds").expect("digits").as_str(), "12");
        assert_eq!(parameter("Meth").expect("a method").as_str(), "FM");
        rig.subtract(context);
        rig.assert_empty();
    }
}

#[test]
fn a_digit_is_sent_in_the_place_of_audio() {
    let mut rig = Rig::new(1, 1024);
    let (context, alice, bob) = rig.call("IP4", ALICE, BOB);
    rig.modify(context, &with_events(ALICE, 101));
    let play = "Signals { dg/d5 { NotifyCompletion = { TimeOut } } }, Events = 3 { g/sc }";
    rig.modify(context, play);
    let mut sent = Vec::new();
    for sequence in 1..=10 {
        let packet = rig.through(BOB, bob, &rtp_packet(sequence)).remove(0);
        assert_eq!(packet.destination, at(ALICE));
        let packet = rtp::Packet::new(packet.payload).expect("it is RTP");
        assert_eq!(packet.sequence(), sequence);
        sent.push(match packet.payload_type() {
            101 => rtp::Event::parse(packet.payload()).ok(),
            _ => None,
        });
        // The other way nothing is different.
        let packet = rtp_packet(sequence);
        assert_eq!(rig.through(ALICE, alice, &packet)[0].payload, packet);
        rig.pass(Duration::from_millis(20));
    }
    let events: Vec<_> = sent.iter().flatten().collect();
    assert_eq!(events.len(), 8, "{sent:?}");
    assert!(events.iter().all(|event| event.code == 5));
    assert_eq!(events.iter().filter(|event| event.end).count(), 3);
    assert_eq!((sent[8], sent[9]), (None, None));
    let observed = rig.notified[0].observed.as_ref().expect("an event");
    assert_eq!(observed.events[0].name.as_str(), "g/sc");
    rig.subtract(context);
    rig.assert_empty();
}

#[test]
fn a_leg_that_ends_tells_what_came_or_why_nothing_was_heard() {
    let mut rig = Rig::new(1, 1024);
    let (context, alice, bob) = rig.call("IP4", ALICE, BOB);
    rig.modify(
        context,
        "Media { Stream = 1 { LocalControl { gm/saf = ON, gm/spf = ON } } }",
    );
    for number in 0..50 {
        assert!(
            rig.through("192.0.2.77:4000", alice, &rtp_packet(number))
                .is_empty()
        );
        if number != 20 {
            assert_eq!(rig.reaches(BOB, bob, &rtp_packet(number)), Some(at(ALICE)));
        }
        rig.pass(Duration::from_millis(20));
    }
    rig.subtract(context);
    rig.assert_empty();
    let mut reports: Vec<_> = std::iter::from_fn(|| rig.trgw.poll_report()).collect();
    reports.sort_by_key(|report| report.local != alice);
    let [alice_report, bob_report] = &reports[..] else {
        panic!("{reports:?}");
    };
    assert_eq!((alice_report.local, bob_report.local), (alice, bob));
    assert_eq!(alice_report.silence(), Some(Silence::WrongSource));
    assert_eq!((bob_report.silence(), bob_report.loss()), (None, 0.02));
    assert!(bob_report.mos().is_some_and(|mos| mos > 3.6));
    let ended = rig.trgw.ended();
    assert_eq!((ended.ended, ended.silent.iter().sum()), (2, 1));
}

#[test]
fn all_this_holds_for_packets_that_arrive_at_different_workers() {
    rig::spread::run_again("all_this_holds_for_packets_that_arrive_at_different_workers");
}
