//! Damaged messages through transactions, dialogs, session timers, digest and locating: no panic,
//! no leak.

use base::{Entropy, Instant};
use sip::dialog::{Dialog, ProxyDialog, Side};
use sip::digest::{AuthenticationInfo, Challenge, Credentials};
use sip::locate::{Answer, Capabilities, Locator, Next, ResponseRoute, mark_source};
use sip::session_timer::{Answer as TimerAnswer, Caller, Passage, Policy};
use sip::transaction::{ClientState, Config, Layer, Received};
use sip::{HeaderName, Message, Method, Transport};
use std::time::Duration;

const INVITE: &str = "INVITE sip:bob@b.test;transport=udp SIP/2.0\r\n\
    Via: SIP/2.0/UDP a.test:5060;branch=z9hG4bK1;rport;received=192.0.2.1\r\n\
    Max-Forwards: 70\r\nRecord-Route: <sip:p2.test;lr>, <sip:p1.test;lr>\r\n\
    Route: <sip:p3.test;lr>\r\nFrom: \"A\" <sip:alice@a.test>;tag=a\r\nTo: <sip:bob@b.test>\r\n\
    Call-ID: c1@a.test\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.1:5060>\r\n\
    Supported: timer, 100rel\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n\
    Authorization: Digest username=\"alice\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"\", \
    algorithm=MD5, qop=auth, nc=00000001, cnonce=\"x\"\r\n\
    Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";

const SUCCESS: &str = "SIP/2.0 200 OK\r\n\
    Via: SIP/2.0/UDP a.test:5060;branch=z9hG4bK1;rport=5060;received=192.0.2.1\r\n\
    Record-Route: <sip:p2.test;lr>, <sip:p1.test;lr>\r\nFrom: \"A\" <sip:alice@a.test>;tag=a\r\n\
    To: <sip:bob@b.test>;tag=b\r\nCall-ID: c1@a.test\r\nCSeq: 1 INVITE\r\n\
    Contact: <sip:bob@192.0.2.2>\r\nRSeq: 7\r\nRequire: timer\r\n\
    Session-Expires: 1800;refresher=uas\r\n\
    WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256\r\n\
    Authentication-Info: qop=auth, rspauth=\"0\", cnonce=\"x\", nc=00000001\r\n\r\n";

const CAN: Capabilities = Capabilities {
    transports: &[Transport::Udp, Transport::Tcp],
    ipv4: true,
    ipv6: true,
};

/// One to four octets flipped, removed, doubled or replaced by something with a meaning.
fn damage(text: &str, entropy: &mut Entropy) -> Vec<u8> {
    const MEANINGFUL: &[u8] = b"\r\n ,;:<>\"@=\\%()[]\0\xff0-9";
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=entropy.below(4) {
        let at = entropy.below(bytes.len() as u64) as usize;
        match entropy.below(4) {
            0 => bytes[at] ^= 1 << entropy.below(8),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, bytes[at]),
            _ => bytes[at] = MEANINGFUL[entropy.below(MEANINGFUL.len() as u64) as usize],
        }
    }
    bytes
}

fn read_all(invite: &Message, response: &Message, entropy: &mut Entropy) {
    let own = |route: &sip::NameAddr<'_>| route.uri.host_str() == "p2.test";
    if let Ok(mut dialog) = Dialog::as_uac(invite, response) {
        let _ = dialog.request(&Method::Bye).finish();
        let _ = dialog.prack(response).map(|mut prack| prack.finish());
        let _ = dialog.ack(invite).map(|mut ack| ack.finish());
        let _ = (dialog.confirm(response), dialog.next_hop().len());
    }
    if let Ok(mut dialog) = Dialog::as_uas(invite, response) {
        let _ = dialog.receive_request(invite);
        let _ = dialog.refresh_target(invite);
        let _ = dialog.request(&Method::Update).finish();
    }
    if let Ok(mut dialog) = ProxyDialog::new(invite, response, own) {
        let _ = dialog.observe_request(invite);
        let _ = dialog.observe_success(Side::Caller, invite, response, own);
        let _ = dialog.request(Side::Callee, &Method::Bye).finish();
    }
    let policy = Policy::default();
    if let Ok(answer) = TimerAnswer::to(&policy, invite) {
        answer.write(&mut invite.response(200, ""));
    }
    if let Ok(passage) = Passage::of(&policy, invite) {
        passage.write(&mut invite.edit());
        let _ = passage.handle_success(response, &mut response.edit());
    }
    let mut caller = Caller::new(policy);
    let _ = (
        caller.handle_success(response),
        caller.handle_too_small(response),
    );
    for value in invite.headers(HeaderName::Authorization) {
        let _ = Credentials::parse(value.as_bytes());
    }
    for value in response.headers(HeaderName::WwwAuthenticate) {
        let _ = Challenge::parse(value.as_bytes());
    }
    for value in response.headers(HeaderName::AuthenticationInfo) {
        let _ = AuthenticationInfo::parse(value.as_bytes());
    }
    let source = "192.0.2.7:4711".parse().unwrap();
    let marked = mark_source(invite, source);
    if let Ok(Some(marked)) = &marked {
        let via = marked.top_via().unwrap();
        assert_eq!(via.received(), Some(source.ip()));
    }
    if let Ok(via) = invite.top_via() {
        let _ = ResponseRoute::of(&via, Transport::Udp);
        let _ = Locator::of_sent_by(&via, CAN).map(|locator| exhaust(locator, entropy));
    }
    let uris = invite.routes().filter_map(|route| Some(route.ok()?.uri));
    for uri in uris.chain(invite.uri()) {
        let _ = Locator::of_uri(uri, CAN).map(|locator| exhaust(locator, entropy));
    }
}

fn exhaust(mut locator: Locator, entropy: &mut Entropy) {
    for _ in 0..100 {
        match locator.poll_next() {
            Next::Ask(_) => locator.handle_answer(Answer::Nothing, entropy),
            Next::Target(_) => {}
            Next::Waiting | Next::End => return,
        }
    }
    panic!("the locator does not end");
}

#[test]
fn damaged_messages_break_no_engine() {
    let mut entropy = Entropy::from_u64(2024);
    let mut read = 0;
    for _ in 0..6000 {
        let invite = Message::parse(damage(INVITE, &mut entropy));
        let success = Message::parse(damage(SUCCESS, &mut entropy));
        if let (Ok(invite), Ok(success)) = (&invite, &success) {
            read_all(invite, success, &mut entropy);
            read += 1;
        }
    }
    assert!(read > 1000, "only {read} were read");
}

#[test]
fn truncated_messages_break_no_engine() {
    let mut entropy = Entropy::from_u64(7);
    let success = Message::parse(SUCCESS).unwrap();
    let lines: Vec<&str> = INVITE.split_inclusive("\r\n").collect();
    for skipped in 1..lines.len() {
        let text = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != skipped)
            .map(|(_, line)| *line);
        let text: String = text.collect();
        if let Ok(invite) = Message::parse(text) {
            read_all(&invite, &success, &mut entropy);
        }
    }
}

#[test]
fn damaged_traffic_leaves_no_transaction_behind() {
    let mut entropy = Entropy::from_u64(99);
    let config = Config {
        servers_max: 500,
        ..Config::default()
    };
    let mut layer: Layer<Transport, u32> = Layer::new(config, &mut entropy);
    let mut now = Instant::from_secs(1);
    let requests = [
        INVITE.to_owned(),
        INVITE.replace("INVITE", "ACK"),
        INVITE.replace("INVITE", "CANCEL"),
        INVITE.replace("INVITE", "OPTIONS"),
        INVITE.replace("z9hG4bK", ""),
    ];
    for round in 0..4000_u32 {
        now += Duration::from_millis(entropy.below(50));
        if round % 10 == 0 {
            let text = INVITE.replace("z9hG4bK1", &format!("z9hG4bK{}", entropy.token_string()));
            let _ = layer.send_request(now, Transport::Udp, Message::parse(text).unwrap(), round);
        }
        let hop = if entropy.chance(500) {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let which = entropy.below(6) as usize;
        let text = requests.get(which).map_or(SUCCESS, String::as_str);
        let text = text.replace("branch=z9hG4bK1", &format!("branch=z9hG4bK{}", round / 4));
        let Ok(message) = Message::parse(damage(&text, &mut entropy)) else {
            continue;
        };
        let received = layer.handle_message(now, hop, message);
        if let Received::Request { server, message }
        | Received::Cancel {
            server, message, ..
        } = received
        {
            let status = [180, 200, 302, 408, 486][entropy.below(5) as usize];
            if let Ok(response) = message.response(status, "").to_tag("b").finish() {
                let _ = layer.respond(now, server, response);
            }
            if status == 180
                && let Ok(response) = message.response(487, "").to_tag("b").finish()
            {
                layer.respond(now, server, response).unwrap();
            }
        }
        layer.handle_timeout(now);
        while layer.poll_output().is_some() {}
    }
    while let Some(at) = layer.next_timeout() {
        layer.handle_timeout(at);
        while layer.poll_output().is_some() {}
    }
    // A client INVITE that a damaged 1xx reached waits for its user; none was made here.
    assert_eq!(
        layer.client_count(ClientState::Proceeding),
        layer.clients_len()
    );
    assert_eq!(layer.servers_len(), 0);
    assert_eq!(layer.timers_len(), 0);
    assert!(layer.counters().servers_made > 500);
}
