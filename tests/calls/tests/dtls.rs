//! DTLS-SRTP between a UE and the gateway, and media in the clear in the core: offers and answers,
//! and the voice.

use std::net::SocketAddr;
use std::time::Duration;

use base::Entropy;
use calls::{BY_HAND, ByHand, DTLS_PORT, REALM, Setup, User, World, in_both};
use control::config::DtlsScope;
use dtls::Role;
use load::media::Report;
use load::ua::{CallId, Event};
use sdp::Session;
use sdp::dtls::{Described, Setup as Begins};
use sip::{Draft, HeaderName, Message, Method};

const SSRC: [u8; 4] = *b"dtls";

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest]).anchored().audible()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// User 1, whose telephone speaks DTLS; what it says is written here.
struct Ue {
    hand: ByHand,
    /// The 2xx to the INVITE of its call.
    dialog: Option<Message>,
    /// RTP packets sent.
    sent: u16,
}

impl Ue {
    /// Registers; where it is `secure`, by `mediasec` with DTLS.
    fn register(world: &mut World, secure: bool) -> Self {
        let mut hand = ByHand::new(world, 1, BY_HAND, 1);
        let contact = hand.contact();
        let mut answer = None;
        for _ in 0..2 {
            let mut draft = hand.register(&[&contact], 3600);
            if secure {
                draft
                    .append(HeaderName::SecurityClient, "dtls-srtp;mediasec")
                    .append(HeaderName::Require, "mediasec")
                    .append(HeaderName::ProxyRequire, "mediasec");
            }
            let response = hand.ask(world, &mut draft);
            let told = response.header(HeaderName::SecurityServer);
            assert_eq!(told, secure.then_some("dtls-srtp;mediasec"));
            if response.status() == Some(401) {
                hand.take_challenge(&response);
            }
            answer = response.status();
        }
        assert_eq!(answer, Some(200));
        Self {
            hand,
            dialog: None,
            sent: 0,
        }
    }

    /// A description of its media, with these lines.
    fn description(world: &mut World, lines: &str) -> String {
        let ip = world.phone(1).phone().agent().config().local.ip();
        let fingerprint = world.act_dtls(1, |end, _| end.fingerprint());
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {DTLS_PORT} UDP/TLS/RTP/SAVPF 8\r\na=rtpmap:8 PCMA/8000\r\n\
             a=fingerprint:{fingerprint}\r\na=rtcp-mux\r\n{lines}"
        )
    }

    /// Calls user 0 with this description; returns the final response.
    fn call(&mut self, world: &mut World, description: &str) -> Message {
        let target = format!("sip:user0@{REALM}");
        let mut invite = self.hand.request(&Method::Invite, &target);
        invite.append(HeaderName::Contact, &self.hand.contact());
        self.offer(world, invite, description)
    }

    /// Offers another description in the dialog that it began.
    fn offer_again(&mut self, world: &mut World, description: &str) -> Message {
        let mut invite = self.in_dialog(&Method::Invite);
        invite.append(HeaderName::Contact, &self.hand.contact());
        self.offer(world, invite, description)
    }

    fn offer(&mut self, world: &mut World, mut invite: Draft, description: &str) -> Message {
        invite.set_body("application/sdp", description.as_bytes());
        let invite = invite.finish().expect("a request");
        let response = world.ask_by_hand(1, &invite);
        if response.status() == Some(200) {
            self.dialog.get_or_insert_with(|| response.clone());
            let cseq = self.hand.cseq - 1;
            let mut ack = self.in_dialog(&Method::Ack);
            self.hand.cseq -= 1;
            ack.replace(HeaderName::CSeq, &format!("{cseq} ACK"));
            world.send_by_hand(1, &ack.finish().expect("an ACK"));
            world.network.run_for(seconds(1));
        }
        response
    }

    fn in_dialog(&mut self, method: &Method) -> Draft {
        let accepted = self.dialog.as_ref().expect("a dialog");
        let target = accepted.contact().expect("a Contact").uri;
        let mut draft = self.hand.request(method, target.as_str());
        draft.replace(HeaderName::To, accepted.header(HeaderName::To).expect("To"));
        let recorded: Vec<&str> = accepted.values(HeaderName::RecordRoute).collect();
        for route in recorded.iter().rev() {
            draft.append(HeaderName::Route, route);
        }
        draft
    }

    /// Shakes hands with the gateway as its description has it.
    fn shake_hands(world: &mut World, told: &Message) -> Begins {
        let session = Session::parse(told.body()).expect("a description");
        let described = Described::of(&session, 0).expect("DTLS");
        let remote = session.rtp_address(0).expect("an address");
        let setup = described.setup.expect("who begins");
        let role = match setup {
            Begins::Active => Role::Server,
            _ => Role::Client,
        };
        world.act_dtls(1, |end, now| end.begin(now, role, remote));
        world.network.run_for(seconds(5));
        assert!(world.phone(1).dtls().is_with(&described.fingerprints));
        setup
    }

    /// Says so many packets, and an RTCP report at the same port.
    fn talk(&mut self, world: &mut World, packets: u16) {
        for _ in 0..packets {
            self.sent += 1;
            let packet = voice(self.sent);
            world.act_dtls(1, |end, _| end.send(&packet));
            world.network.run_for(Duration::from_millis(20));
        }
        let report = [&[0x80, 200, 0, 6], &SSRC[..], &[0; 20]].concat();
        world.act_dtls(1, |end, _| end.send(&report));
        world.network.run_for(seconds(6));
    }

    fn hang_up(&mut self, world: &mut World) {
        let mut bye = self.in_dialog(&Method::Bye);
        let ended = self.hand.ask(world, &mut bye);
        assert_eq!(ended.status(), Some(200), "{}", ended.to_text());
    }
}

fn voice(number: u16) -> Vec<u8> {
    let stamp = u32::from(number) * 160;
    let mut packet = vec![0x80, 8];
    packet.extend(number.to_be_bytes());
    packet.extend(stamp.to_be_bytes());
    packet.extend(SSRC);
    packet.resize(172, 0xD5);
    packet
}

/// Telephone 0 was called: its name for the call.
fn incoming(world: &mut World) -> CallId {
    match world.expect(0, "a call", |event| matches!(event, Event::Incoming { .. })) {
        Event::Incoming { call, .. } => call,
        _ => unreachable!("it is what was expected"),
    }
}

fn report(world: &World, call: CallId) -> Report {
    world.phone(0).report(call)
}

fn body(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}

/// What telephone 0 heard of media is what anybody may have.
fn assert_clear(world: &World) {
    let heard = world.phone(0).heard().iter().map(body);
    let described: Vec<String> = heard.filter(|body| body.contains("m=audio")).collect();
    assert!(!described.is_empty());
    for body in described {
        assert!(body.contains(" RTP/AVP "), "{body}");
        for secret in ["fingerprint", "setup", "tls-id", "crypto", "3ge2ae"] {
            assert!(!body.contains(secret), "{body}");
        }
    }
}

/// Both have heard each other: RTCP came on the port of media and went to one of its own.
fn assert_heard(world: &World, call: CallId, ue: &Ue) {
    let report = report(world, call);
    assert_eq!(report.received, u64::from(ue.sent), "{report:?}");
    assert_eq!((report.refused, report.opened), (0, 0), "{report:?}");
    assert!(report.rtcp_received > 0, "{report:?}");
    let end = world.phone(1).dtls();
    assert_eq!(end.refused(), 0);
    assert!(end.heard().len() > 200, "{}", end.heard().len());
    assert!(!end.heard_rtcp().is_empty());
}

#[test]
fn a_caller_with_dtls_and_a_callee_without_hear_each_other() {
    // Who begins, as the UE offers it and as it is answered.
    for (offered, answered) in [
        ("actpass", Begins::Active),
        ("active", Begins::Passive),
        ("passive", Begins::Active),
    ] {
        in_both(&pair(), |world| {
            world.register(&[0]);
            let mut ue = Ue::register(world, false);
            let lines = format!("a=3ge2ae:requested\r\na=setup:{offered}\r\n");
            let description = Ue::description(world, &lines);
            let answer = ue.call(world, &description);
            assert_eq!(answer.status(), Some(200), "{}", answer.to_text());
            let call = incoming(world);
            let told = body(&answer);
            assert!(told.contains(" UDP/TLS/RTP/SAVPF 8\r\n"), "{told}");
            assert!(told.contains("a=rtcp-mux\r\n"), "{told}");
            assert_eq!(Ue::shake_hands(world, &answer), answered, "{told}");
            ue.talk(world, 100);
            assert_clear(world);
            assert_heard(world, call, &ue);

            // Hold and resume: the keys stay.
            for lines in ["a=sendonly\r\n", "a=sendrecv\r\n"] {
                let lines = format!("a=setup:actpass\r\n{lines}");
                let description = Ue::description(world, &lines);
                let answer = ue.offer_again(world, &description);
                let told = body(&answer);
                assert!(told.contains(&format!("a=setup:{answered}\r\n")), "{told}");
            }
            ue.talk(world, 50);
            assert_clear(world);
            assert_heard(world, call, &ue);

            // Another certificate: other keys.
            world.act_dtls(1, |end, _| end.renew());
            let description = Ue::description(world, "a=setup:actpass\r\n");
            let answer = ue.offer_again(world, &description);
            assert_eq!(answer.status(), Some(200), "{}", answer.to_text());
            Ue::shake_hands(world, &answer);
            ue.talk(world, 50);
            assert_clear(world);
            let report = report(world, call);
            assert_eq!(report.received, u64::from(ue.sent), "{report:?}");
            ue.hang_up(world);
            world.expect_end(0);
        });
    }
}

#[test]
fn malformed_records_disturb_neither_the_voice_nor_another_handshake() {
    let mut world = pair().build();
    world.register(&[0]);
    let mut ue = Ue::register(&mut world, false);
    let lines = "a=3ge2ae:requested\r\na=setup:actpass\r\n";
    let description = Ue::description(&mut world, lines);
    let answer = ue.call(&mut world, &description);
    let call = incoming(&mut world);
    Ue::shake_hands(&mut world, &answer);
    let mut entropy = Entropy::from_u64(7);
    // Anything that begins as DTLS does (RFC 7983 7).
    let mut rubbish = |world: &mut World, datagrams: usize| {
        for _ in 0..datagrams {
            let mut datagram = vec![0; 1 + entropy.below(200) as usize];
            entropy.fill(&mut datagram);
            datagram[0] = 20 + datagram[0] % 44;
            world.act_dtls(1, |end, _| end.send_raw(&datagram));
        }
    };
    for _ in 0..10 {
        rubbish(&mut world, 100);
        ue.talk(&mut world, 5);
    }
    assert_heard(&world, call, &ue);
    world.act_dtls(1, |end, _| end.renew());
    let description = Ue::description(&mut world, "a=setup:actpass\r\n");
    rubbish(&mut world, 100);
    let answer = ue.offer_again(&mut world, &description);
    rubbish(&mut world, 100);
    Ue::shake_hands(&mut world, &answer);
    ue.talk(&mut world, 20);
    let report = report(&world, call);
    assert_eq!(report.received, u64::from(ue.sent), "{report:?}");
    ue.hang_up(&mut world);
    world.expect_end(0);
}

/// The INVITE that the UE was sent.
fn invited(world: &mut World) -> Message {
    let invite = |message: &Message| {
        message.is_method(&Method::Invite) && message.request_uri().contains("byhand")
    };
    world.expect_heard(1, "INVITE", invite)
}

/// Its answer, from the contact address of the UE.
fn accept(world: &mut World, ue: &Ue, invite: &Message, description: &str) {
    let mut answer = invite.response(200, "OK");
    for route in invite.values(HeaderName::RecordRoute) {
        answer.append(HeaderName::RecordRoute, route);
    }
    answer
        .to_tag("callee")
        .append(HeaderName::Contact, &ue.hand.contact())
        .set_body("application/sdp", description.as_bytes());
    let answer = answer.finish().expect("an answer");
    world.send_by_hand(1, &answer);
}

fn callee_with_dtls(setup: &Setup, registers: bool) {
    for begins in [Begins::Active, Begins::Passive] {
        in_both(setup, |world| {
            world.register(&[0]);
            let mut ue = Ue::register(world, registers);
            let call = world.call(0, 1);
            let invite = invited(world);
            let offered = body(&invite);
            for line in [
                " UDP/TLS/RTP/SAVP ",
                "a=setup:actpass\r\n",
                "a=rtcp-mux\r\n",
                "a=3ge2ae:applied\r\n",
            ] {
                assert!(offered.contains(line), "{offered}");
            }
            let description = Ue::description(world, &format!("a=setup:{begins}\r\n"));
            let description = description.replace("SAVPF", "SAVP");
            accept(world, &ue, &invite, &description);
            let established = |event: &Event| matches!(event, Event::Established { .. });
            world.expect(0, "established", established);
            let session = Session::parse(invite.body()).expect("a description");
            let described = Described::of(&session, 0).expect("DTLS");
            let remote: SocketAddr = session.rtp_address(0).expect("an address");
            let role = match begins {
                Begins::Active => Role::Client,
                _ => Role::Server,
            };
            world.act_dtls(1, |end, now| end.begin(now, role, remote));
            world.network.run_for(seconds(5));
            assert!(world.phone(1).dtls().is_with(&described.fingerprints));
            ue.talk(world, 100);
            assert_clear(world);
            assert_heard(world, call, &ue);
            world.act(0, |agent, now| agent.hang_up(now, call).expect("a call"));
            let bye = world.expect_heard(1, "BYE", |message| message.is_method(&Method::Bye));
            let answer = bye.response(200, "OK").finish().expect("an answer");
            world.send_by_hand(1, &answer);
            world.expect_end(0);
        });
    }
}

#[test]
fn a_callee_that_registered_with_dtls_is_offered_it() {
    callee_with_dtls(&pair(), true);
}

#[test]
fn every_callee_is_offered_dtls_where_that_is_the_policy() {
    let setup = pair().with(|file| {
        let media = file.media.get_or_insert_default();
        media.dtls = Some(DtlsScope::Offered);
    });
    callee_with_dtls(&setup, false);
}

#[test]
fn certificates_that_cannot_be_checked_are_refused_with_a_warning() {
    in_both(&pair(), |world| {
        world.register(&[0]);
        let mut ue = Ue::register(world, false);
        let good = Ue::description(world, "a=3ge2ae:requested\r\na=setup:actpass\r\n");
        let (before, rest) = good.split_once("a=fingerprint:").expect("one");
        let (_, after) = rest.split_once("\r\n").expect("a line");
        for (line, warning) in [
            ("", "no fingerprint"),
            (
                "a=fingerprint:sha-1 00:01\r\n",
                "hash function of fingerprint is not provided",
            ),
            ("a=fingerprint:sha-256 00:01\r\n", "malformed fingerprint"),
        ] {
            let refused = ue.call(world, &format!("{before}{line}{after}"));
            assert_eq!(refused.status(), Some(488), "{}", refused.to_text());
            let told = refused.header(HeaderName::Warning).expect("a Warning");
            assert_eq!(told, format!("306 {REALM} \"{warning}\""));
            ue.hand.call_id.push('x');
        }
        assert_eq!(world.counter("media.unprotected"), 3);
        assert_eq!(
            world.heard(0, |message| message.is_method(&Method::Invite)),
            0
        );
    });
}

#[test]
fn a_callee_that_shows_no_certificate_ends_the_call_and_both_are_told_why() {
    in_both(&pair(), |world| {
        world.register(&[0]);
        let ue = Ue::register(world, true);
        world.call(0, 1);
        let invite = invited(world);
        let description = Ue::description(world, "a=setup:active\r\n");
        accept(
            world,
            &ue,
            &invite,
            &description.replace("fingerprint", "thumb"),
        );
        for phone in [0, 1] {
            let bye = world.expect_heard(phone, "BYE", |message| message.is_method(&Method::Bye));
            let reason = bye.header(HeaderName::Reason);
            let expected = "SIP;cause=488;text=\"Media security: no fingerprint\"";
            assert_eq!(reason, Some(expected));
            if phone == 1 {
                let answer = bye.response(200, "OK").finish().expect("an answer");
                world.send_by_hand(1, &answer);
            }
        }
        world.expect_end(0);
        assert_eq!(world.counter("media.unprotected"), 1);
    });
}

#[test]
fn a_restart_of_the_controller_leaves_the_association_as_it_is() {
    let mut world = pair().build();
    world.register(&[0]);
    let mut ue = Ue::register(&mut world, false);
    let lines = "a=3ge2ae:requested\r\na=setup:actpass\r\n";
    let description = Ue::description(&mut world, lines);
    let answer = ue.call(&mut world, &description);
    let call = incoming(&mut world);
    Ue::shake_hands(&mut world, &answer);
    ue.talk(&mut world, 20);
    world.restart(world.pcscf);
    world.network.run_for(seconds(2));
    let description = Ue::description(&mut world, "a=setup:actpass\r\na=sendonly\r\n");
    let held = ue.offer_again(&mut world, &description);
    assert!(
        body(&held).contains("a=setup:active\r\n"),
        "{}",
        body(&held)
    );
    let fingerprint = |message: &Message| {
        let told = body(message);
        let line = told.lines().find(|line| line.starts_with("a=fingerprint"));
        line.map(str::to_owned)
    };
    assert_eq!(fingerprint(&held), fingerprint(&answer));
    let description = Ue::description(&mut world, "a=setup:actpass\r\n");
    ue.offer_again(&mut world, &description);
    ue.talk(&mut world, 50);
    assert_heard(&world, call, &ue);
    ue.hang_up(&mut world);
    world.expect_end(0);
}
