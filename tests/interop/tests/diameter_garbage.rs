//! Malformed messages, strangers and silence at the HSS's Diameter port while there are calls and
//! registrations: these are not disturbed, and what can be answered is, as RFC 6733 7 says.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use diameter::cx::{
    AuthScheme, Envelope, Lir, Mar, Request, Sar, ServerAssignmentType, SipAuthDataItem, Uar,
};
use diameter::dictionary::{self, AvpDef, base};
use diameter::endpoint::STRANGERS_MAX;
use diameter::{Framer, Header, Message, Origin, ResultCode, Writer};
use interop::garbage::{self, Random};
use interop::network::{CX, Family, HSS, Layout, Network, Ues};
use interop::peer::{self, Peer, Reaction};

const SEED: u64 = 0x5eed_2026;
/// Damaged messages of each kind.
const MUTATIONS: u64 = 60;
/// Time for what happens at once.
const SOON: Duration = Duration::from_secs(5);
/// The HSS gives a connection 10 s to say who it is.
const STRANGER_LIMIT: Duration = Duration::from_secs(15);
/// Strangers beyond those that the HSS listens to.
const TOO_MANY: usize = 16;

fn hss() -> SocketAddr {
    CX.parse().expect("a socket address")
}

fn origin(host: &str) -> Origin {
    Origin {
        host: host.to_owned(),
        realm: "ims.test".to_owned(),
    }
}

/// Somebody of the home realm, whom the HSS serves without knowing him.
fn guest() -> Origin {
    origin("guest.ims.test")
}

/// Requests about somebody who does not exist, so that no damage makes them hit a subscriber.
fn requests() -> Vec<Vec<u8>> {
    let (user_name, public_identity) = ("nobody@ims.test", "sip:nobody@ims.test");
    let requests = [
        Request::UserAuthorization(Uar {
            user_name: user_name.to_owned(),
            public_identity: public_identity.to_owned(),
            visited_network_identifier: "ims.test".to_owned(),
            ..Uar::default()
        }),
        Request::MultimediaAuth(Mar {
            user_name: user_name.to_owned(),
            public_identity: public_identity.to_owned(),
            sip_auth_data_item: SipAuthDataItem {
                scheme: Some(AuthScheme::DigestAkaV1Md5),
                ..SipAuthDataItem::default()
            },
            sip_number_auth_items: 1,
            server_name: "sip:guest.ims.test".to_owned(),
            ..Mar::default()
        }),
        Request::ServerAssignment(Sar {
            user_name: Some(user_name.to_owned()),
            public_identities: vec![public_identity.to_owned()],
            wildcarded_public_identity: None,
            server_name: "sip:guest.ims.test".to_owned(),
            server_assignment_type: ServerAssignmentType::Registration,
            user_data_already_available: false,
            scscf_restoration_info: None,
            multiple_registration: false,
            session_priority: None,
            pcscf_restoration: false,
            supported_features: Vec::new(),
        }),
        Request::LocationInfo(Lir {
            public_identity: public_identity.to_owned(),
            ..Lir::default()
        }),
    ];
    let envelope = Envelope {
        session_id: "guest.ims.test;1;1".to_owned(),
        origin: guest(),
        destination_host: None,
        destination_realm: "ims.test".to_owned(),
    };
    let bytes = |request: &Request| request.to_message(&envelope).expect("it is short");
    requests.iter().map(bytes).collect()
}

fn uar() -> Vec<u8> {
    requests().swap_remove(0)
}

/// A message without an AVP, or with another value of it.
fn rewritten(bytes: &[u8], def: &AvpDef, value: Option<&[u8]>) -> Vec<u8> {
    let message = Message::parse(bytes).expect("it is ours");
    let mut writer = Writer::new(message.header);
    for avp in message.avps() {
        match value {
            _ if !avp.is(def) => writer.copy(&avp),
            Some(value) => writer.octets(def, value),
            None => {}
        }
    }
    writer.finish().expect("it is short")
}

/// A message with more AVPs behind its own.
fn extended(bytes: &[u8], avps: &[u8]) -> Vec<u8> {
    let mut bytes = [bytes, avps].concat();
    set_length(&mut bytes);
    bytes
}

fn set_length(bytes: &mut [u8]) {
    let length = u32::try_from(bytes.len()).expect("it is short");
    bytes[1..4].copy_from_slice(&length.to_be_bytes()[1..]);
}

/// A message with other octets at a place.
fn patched(mut bytes: Vec<u8>, at: usize, octets: &[u8]) -> Vec<u8> {
    bytes[at..at + octets.len()].copy_from_slice(octets);
    bytes
}

/// Faulty requests, the result each must have, and whether the connection outlives them: where
/// the length or the version is wrong, nobody knows where the next message begins.
fn faulty_requests() -> Vec<(&'static str, Vec<u8>, ResultCode, bool)> {
    let realm = rewritten(&uar(), &base::DESTINATION_REALM, Some(b"elsewhere.test"));
    let host = {
        let mut writer = Writer::new(Header::parse(&uar()).expect("it is ours"));
        writer.raw(&uar()[20..]);
        writer.text(&base::DESTINATION_HOST, "other.ims.test");
        writer.finish().expect("it is short")
    };
    let identity = &dictionary::cx::PUBLIC_IDENTITY;
    let unknown = [0, 0, 0x27, 0x0f, 0x40, 0, 0, 8];
    let reserved = [0, 0, 0x27, 0x0f, 0x01, 0, 0, 8];
    let too_long = [0, 0, 0, 1, 0x40, 0, 0x40, 0];
    let twice = [0, 0, 0, 1, 0x40, 0, 0, 12, b'a', b'b', b'c', b'd'];
    let kind = &dictionary::cx::USER_AUTHORIZATION_TYPE;
    let kind = rewritten(&uar(), kind, Some(&[0, 0, 0, 99]));
    let both_bits = uar()[4] | 0x20;
    vec![
        ("realm", realm, ResultCode::REALM_NOT_SERVED, true),
        ("host", host, ResultCode::UNABLE_TO_DELIVER, true),
        (
            "R and E",
            patched(uar(), 4, &[both_bits]),
            ResultCode::INVALID_HDR_BITS,
            true,
        ),
        (
            "command",
            patched(uar(), 5, &[0, 3, 0xe7]),
            ResultCode::COMMAND_UNSUPPORTED,
            true,
        ),
        (
            "application",
            patched(uar(), 8, &[0, 0, 0, 4]),
            ResultCode::APPLICATION_UNSUPPORTED,
            true,
        ),
        (
            "unknown AVP",
            extended(&uar(), &unknown),
            ResultCode::AVP_UNSUPPORTED,
            true,
        ),
        (
            "reserved AVP bit",
            extended(&uar(), &reserved),
            ResultCode::INVALID_AVP_BITS,
            true,
        ),
        (
            "AVP beyond the end",
            extended(&uar(), &too_long),
            ResultCode::INVALID_AVP_LENGTH,
            true,
        ),
        (
            "AVP twice",
            extended(&uar(), &twice),
            ResultCode::AVP_OCCURS_TOO_MANY_TIMES,
            true,
        ),
        (
            "missing AVP",
            rewritten(&uar(), identity, None),
            ResultCode::MISSING_AVP,
            true,
        ),
        (
            "value out of range",
            kind,
            ResultCode::INVALID_AVP_VALUE,
            true,
        ),
        (
            "odd length",
            patched(uar(), 3, &[uar()[3] + 2]),
            ResultCode::INVALID_MESSAGE_LENGTH,
            false,
        ),
        (
            "length below a header",
            patched(uar(), 1, &[0, 0, 16]),
            ResultCode::INVALID_MESSAGE_LENGTH,
            false,
        ),
        (
            "oversized length",
            patched(uar(), 1, &[0xff, 0xff, 0xfc]),
            ResultCode::INVALID_MESSAGE_LENGTH,
            false,
        ),
        (
            "version",
            patched(uar(), 0, &[2]),
            ResultCode::UNSUPPORTED_VERSION,
            false,
        ),
    ]
}

/// Every fault is answered with its code, the E bit and Failed-AVP as RFC 6733 7.1.3, 7.1.5, 7.2
/// and 7.5 want them.
fn faults_are_answered() {
    for (name, request, result, outlives) in faulty_requests() {
        let mut peer = Peer::open(hss(), &guest());
        let answer = peer.ask(&request);
        assert_eq!(peer::result_code(&answer), Some(result), "{name}");
        assert_answers(name, &answer, &request);
        let message = Message::parse(&answer).expect("it has a result");
        let shows_avp = message.find(&base::FAILED_AVP).is_some();
        let names_avp = [
            ResultCode::INVALID_AVP_BITS,
            ResultCode::AVP_UNSUPPORTED,
            ResultCode::INVALID_AVP_VALUE,
            ResultCode::MISSING_AVP,
            ResultCode::AVP_OCCURS_TOO_MANY_TIMES,
            ResultCode::INVALID_AVP_LENGTH,
        ];
        assert_eq!(shows_avp, names_avp.contains(&result), "{name}");
        let watched = peer.watch();
        assert_eq!(watched, outlives.then(Vec::new), "{name}");
    }
}

/// Asserts that `answer` is one, to `request`, and has the E bit as its result wants it.
fn assert_answers(name: &str, answer: &[u8], request: &[u8]) {
    let message = Message::parse(answer).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let header = message.header;
    assert!(!header.flags.is_request(), "{name}");
    assert_eq!(
        header.hop_by_hop.to_be_bytes(),
        request[12..16],
        "{name}: of another request"
    );
    match peer::result_code(answer) {
        Some(result) => assert_eq!(
            header.flags.is_error(),
            result.is_protocol_error(),
            "{name}: {result}"
        ),
        None => assert!(
            message.find(&base::EXPERIMENTAL_RESULT).is_some(),
            "{name}: no result"
        ),
    }
}

/// Who does not begin with a CER that the HSS can accept is told so where that is possible, and is
/// left.
fn strangers_are_refused() {
    let address = hss().ip();
    let cer = |host: &str, realm: &str| {
        let realm = realm.to_owned();
        let host = host.to_owned();
        peer::capabilities_request(&Origin { host, realm }, address)
    };
    let known = || cer("guest.ims.test", "ims.test");
    let no_common = {
        let message = known();
        let message = Message::parse(&message).expect("it is ours");
        let mut writer = Writer::new(message.header);
        let theirs = |avp: &diameter::Avp<'_>| !avp.is(&base::VENDOR_SPECIFIC_APPLICATION_ID);
        message
            .avps()
            .filter(theirs)
            .for_each(|avp| writer.copy(&avp));
        writer.u32(&base::AUTH_APPLICATION_ID, 1);
        writer.finish().expect("it is short")
    };
    let no_product = rewritten(&known(), &base::PRODUCT_NAME, None);
    let openings = [
        ("noise", b"\x16\x03\x01 what?".repeat(40), None),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: hss\r\n\r\n".to_vec(),
            None,
        ),
        ("no CER", uar(), None),
        (
            "foreign realm",
            cer("guest.elsewhere.test", "elsewhere.test"),
            Some(ResultCode::UNKNOWN_PEER),
        ),
        (
            "our own name",
            cer("hss.ims.test", "ims.test"),
            Some(ResultCode::UNKNOWN_PEER),
        ),
        (
            "no common application",
            no_common,
            Some(ResultCode::NO_COMMON_APPLICATION),
        ),
        ("no product", no_product, Some(ResultCode::MISSING_AVP)),
    ];
    for (name, opening, result) in openings {
        let mut peer = Peer::connect(hss(), &guest()).expect("the HSS listens");
        peer.send(&opening);
        if let Some(result) = result {
            let Reaction::Message(answer) = peer.receive(SOON) else {
                panic!("{name}: no answer");
            };
            assert_eq!(peer::result_code(&answer), Some(result), "{name}");
            assert_answers(name, &answer, &opening);
        }
        assert_eq!(peer.receive(SOON), Reaction::Closed, "{name}");
    }
}

/// Damaged messages, each over an open connection: whatever is answered is an answer to it.
fn damage_is_survived() {
    let mut random = Random::new(SEED);
    let mut open = Vec::new();
    let messages = [
        requests(),
        vec![
            peer::capabilities_request(&guest(), hss().ip()),
            peer::watchdog_request(&guest(), 7),
        ],
    ]
    .concat();
    for message in messages {
        for mutation in 0..MUTATIONS {
            let mut damaged = message.clone();
            garbage::damage(&mut damaged, mutation, &mut random);
            let mut peer = open.pop().unwrap_or_else(|| Peer::open(hss(), &guest()));
            peer.send(&damaged);
            if ends_in_a_message(&damaged) {
                if let Some(answers) = peer.watch() {
                    for answer in answers {
                        assert_answers("damaged", &answer, &damaged);
                    }
                    open.push(peer);
                }
            } else {
                // The HSS waits for the rest, which does not come.
                peer.close_sending();
                while peer.receive(SOON) != Reaction::Closed {}
            }
        }
    }
}

/// Whether a reader of the stream knows where the next message begins.
fn ends_in_a_message(bytes: &[u8]) -> bool {
    let mut framer = Framer::default();
    framer.push(bytes);
    while let Ok(Some(_)) = framer.next_message() {}
    framer.rest().is_empty()
}

/// Damaged first messages: the HSS talks to whom it can understand and leaves the others.
fn damaged_openings_are_survived() {
    let mut random = Random::new(SEED);
    for mutation in 0..MUTATIONS {
        let mut damaged = peer::capabilities_request(&guest(), hss().ip());
        garbage::damage(&mut damaged, mutation, &mut random);
        let mut peer = Peer::connect(hss(), &guest()).expect("the HSS listens");
        peer.send(&damaged);
        peer.close_sending();
        while let Reaction::Message(answer) = peer.receive(SOON) {
            assert_answers("damaged", &answer, &damaged);
        }
    }
}

/// Somebody with the name of the S-CSCF that is connected is not let in (RFC 6733 5.6).
fn a_twin_is_refused() {
    let mut twin = Peer::connect(hss(), &guest()).expect("the HSS listens");
    let twins = origin("icscf-127-0-0-3-5060.ims.test");
    twin.send(&peer::capabilities_request(&twins, hss().ip()));
    assert_eq!(twin.receive(SOON), Reaction::Closed);
}

#[test]
fn calls_and_registrations_survive_garbage_at_the_diameter_port() {
    println!("seed {SEED}");
    let ues = Ues::new(Family::V4, Family::V4);
    let network = Network::whole(Layout::Apart);
    network.import(&ues);
    let route = network.register(&ues.alice);
    network.register(&ues.dave);
    let register = || {
        for ue in [&ues.carol, &ues.bob] {
            network.register(ue);
            network.deregister(ue);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| network.call(&ues.alice, &route, &ues.dave));
        scope.spawn(register);
        network.namespace().inside(|| {
            faults_are_answered();
            strangers_are_refused();
            damage_is_survived();
            damaged_openings_are_survived();
            a_twin_is_refused();
        });
    });
    let faults = faulty_requests().len() as u64;
    let counted = network.counter(HSS, "diameter.malformed");
    assert!(counted >= faults, "{counted} of {faults} faults counted");

    // Those who connect and say nothing are listened to up to a number, and not for long.
    network.namespace().inside(|| {
        let connect = |_| Peer::connect(hss(), &guest()).expect("the HSS listens");
        let mut silent: Vec<Peer> = (0..STRANGERS_MAX + TOO_MANY).map(connect).collect();
        for peer in silent.drain(STRANGERS_MAX..) {
            let mut peer = peer;
            assert_eq!(peer.receive(SOON), Reaction::Closed);
        }
        register();
        for mut peer in silent {
            assert_eq!(peer.receive(STRANGER_LIMIT), Reaction::Closed);
        }
        Peer::open(hss(), &guest());
    });
    assert_eq!(
        network.counter(HSS, "diameter.refused.stranger"),
        TOO_MANY as u64
    );

    network.call(&ues.dave, &network.register(&ues.dave), &ues.alice);
    for ue in [&ues.alice, &ues.dave] {
        network.deregister(ue);
    }
    network.finish(|_| ());
}
