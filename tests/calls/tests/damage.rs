//! Damage thrown at nodes in mid-call: messages of this very call cut off and with bits flipped,
//! and the torture set. Strangers disturb nothing; what claims to come from a peer may change the
//! call, but nothing stops and a new one works.

#[path = "../../../protocols/sip/tests/torture/cases.rs"]
#[expect(dead_code, reason = "the tests of the parser read all of it")]
mod cases;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base::Entropy;
use calls::{Layout, STRANGER, Setup, User, WireHost, World};
use cases::Outcome;
use control::config::MediaFile;
use load::ua::{CallId, Event};
use sdp::Direction::{RecvOnly, SendOnly, SendRecv};
use sim::Recorded;
use sip::{HeaderName, Message, Method, ParseError};

/// What a message is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Sip,
    H248,
    Diameter,
    Media,
}

/// A message that went to a node of ours.
#[derive(Clone, Debug)]
struct Target {
    protocol: Protocol,
    message: Recorded,
}

fn pair() -> Setup {
    let mut setup = Setup::new(&[User::Aka, User::Digest]).anchored();
    setup.seed = sim::seeds(1).next().unwrap_or_default();
    setup
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Holds the other end and takes it back.
fn hold_and_resume(world: &mut World, calls: [CallId; 2]) {
    world.act(0, |agent, now| {
        agent.hold(now, calls[0]).expect("established")
    });
    world.expect_direction(1, RecvOnly);
    world.expect_direction(0, SendOnly);
    world.act(0, |agent, now| {
        agent.resume(now, calls[0]).expect("established")
    });
    world.expect_direction(1, SendRecv);
    world.expect_direction(0, SendRecv);
}

/// A call that has been held and resumed, its name at each end.
fn call_up(world: &mut World) -> [CallId; 2] {
    world.register(&[0, 1]);
    call_of_registered(world)
}

fn call_of_registered(world: &mut World) -> [CallId; 2] {
    let outgoing = world.call(0, 1);
    let calls = [outgoing, world.established(0, 1)];
    world.network.run_for(millis(1000));
    hold_and_resume(world, calls);
    world.network.run_for(millis(1000));
    calls
}

/// One message of each kind that goes to a node of ours from its start to the end of a call: with
/// the same seed, those that this call is yet to send as well.
fn rehearse(setup: &Setup) -> Vec<Target> {
    let mut world = setup.clone().recorded().build();
    let calls = call_up(&mut world);
    world.hang_up(1, calls[1], 0);
    let mut known = BTreeSet::new();
    let recorded = world.network.take_recorded();
    let targets = recorded.into_iter().filter_map(|message| {
        let protocol = protocol(&message)?;
        let kind = (message.remote.ip(), kind(protocol, &message.bytes));
        known.insert(kind).then_some(Target { protocol, message })
    });
    targets.collect()
}

fn is_control(address: SocketAddr) -> bool {
    (1..=3).any(|number| address.ip() == IpAddr::from([192, 0, 2, number]))
}

fn protocol(message: &Recorded) -> Option<Protocol> {
    let to = message.remote;
    match to.port() {
        _ if is_control(to) && Message::parse(message.bytes.as_slice()).is_ok() => {
            Some(Protocol::Sip)
        }
        _ if message.is_stream => Some(Protocol::Diameter),
        2944 => Some(Protocol::H248),
        20_000..=20_199 => Some(Protocol::Media),
        _ => None,
    }
}

/// What tells one kind of message from another.
fn kind(protocol: Protocol, bytes: &[u8]) -> String {
    match protocol {
        Protocol::Sip => {
            let message = Message::parse(bytes).expect("a message of ours");
            let of = message.cseq().expect("CSeq").method.to_string();
            let has =
                [HeaderName::Authorization, HeaderName::ContentType].map(|name| message.has(name));
            format!(
                "{:?} {of} {has:?} {}",
                message.status(),
                message.is_in_dialog()
            )
        }
        Protocol::H248 => {
            let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic());
            letters.map(|&byte| char::from(byte)).collect()
        }
        Protocol::Diameter => format!("{:?}", &bytes[4..8]),
        Protocol::Media => (bytes[1] & 0x7f).to_string(),
    }
}

impl Target {
    /// Where it goes.
    fn door(&self) -> SocketAddr {
        let to = self.message.remote;
        match self.protocol {
            // Over TCP as well, from a port that is nobody's.
            Protocol::Sip => SocketAddr::new(to.ip(), 5060),
            _ => to,
        }
    }

    /// Whether it came from another of our nodes, over a network that only they have (TS 33.210):
    /// what is no message is thrown away there as anywhere, what is one is believed.
    fn is_inside(&self) -> bool {
        self.protocol == Protocol::Sip && is_control(self.message.local)
    }

    /// The message cut off at every offset and with one bit of every octet flipped.
    fn damaged(&self, entropy: &mut Entropy) -> Vec<Vec<u8>> {
        let bytes = &self.message.bytes;
        let mut all = Vec::new();
        for at in 0..bytes.len() {
            all.push(bytes[..at].to_vec());
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << entropy.below(8);
            all.push(flipped);
        }
        all
    }

    /// Whether these octets in place of it are no message, and must be counted as such.
    fn is_malformed(&self, bytes: &[u8]) -> bool {
        match self.protocol {
            Protocol::Sip => !sip::is_keep_alive(bytes) && Message::parse(bytes).is_err(),
            Protocol::H248 => h248::text::parse_message(bytes).is_err(),
            // On a stream, what is cut off waits for its rest.
            Protocol::Diameter => {
                bytes.get(..4) == self.message.bytes.get(..4)
                    && bytes.len() == self.message.bytes.len()
                    && diameter::Message::parse(bytes).is_err()
            }
            Protocol::Media => true,
        }
    }

    /// What the node it goes to has counted of such.
    fn counted(&self, world: &World) -> u64 {
        let ip = self.message.remote.ip();
        let node = [(1, world.pcscf), (2, world.scscf), (3, world.hss)];
        let node = node
            .iter()
            .find(|(number, _)| ip == IpAddr::from([192, 0, 2, *number]));
        let now = world.network.now();
        let count =
            |name: &str| node.map_or(0, |(_, node)| world.control(*node).counter(now, name));
        match self.protocol {
            Protocol::Sip => count("sip.malformed.answered") + count("sip.malformed.dropped"),
            Protocol::H248 if node.is_some() => count("h248.malformed"),
            Protocol::H248 => world.gateway(0).counters().malformed,
            Protocol::Diameter => count("diameter.malformed"),
            Protocol::Media => world.drops().values().sum(),
        }
    }
}

/// Sends all this to where the message would go, as from `source` or, where it goes over a stream,
/// over streams of the stranger's own.
fn throw(world: &mut World, target: &Target, source: SocketAddr, damaged: &[Vec<u8>]) {
    if target.protocol != Protocol::Diameter {
        for bytes in damaged {
            world.network.inject(source, target.door(), bytes);
        }
        return world.network.run_for(millis(50));
    }
    // So many strangers at once are heard.
    for some in damaged.chunks(32) {
        for port in (10_000..).take(some.len()) {
            let local = SocketAddr::new(STRANGER.ip(), port);
            world.wire(|wire| wire.connect(local, target.door()));
        }
        world.network.run_for(millis(50));
        for (port, bytes) in (10_000..).zip(some) {
            let local = SocketAddr::new(STRANGER.ip(), port);
            world.network.inject_on_stream(local, target.door(), bytes);
        }
        world.network.run_for(millis(50));
        world.wire(WireHost::close);
        world.network.run_for(millis(50));
    }
}

/// Throws what is left of a message and sees that what is no message was counted as such.
fn throw_counted(world: &mut World, target: &Target, source: SocketAddr, damaged: &[Vec<u8>]) {
    let malformed = damaged.iter().filter(|bytes| target.is_malformed(bytes));
    let malformed = malformed.count() as u64;
    let before = target.counted(world);
    world.wire(|wire| wire.datagrams.clear());
    throw(world, target, source, damaged);
    if target.protocol == Protocol::Media {
        // The workers say what they dropped once in a while.
        world.network.run_for(millis(1500));
    }
    let counted = target.counted(world) - before;
    let what = kind(target.protocol, &target.message.bytes);
    assert!(counted >= malformed, "{what}: {counted} of {malformed}");
}

/// Everything that can be answered though it is no request was, with 400 (or 505) and a reason.
fn assert_answered(world: &mut World, damaged: &[Vec<u8>]) {
    let is_answerable = |bytes: &&Vec<u8>| {
        let fault = Message::parse(bytes.as_slice()).err();
        let request = fault.as_ref().and_then(ParseError::answerable);
        request.is_some_and(|request| !request.is_method(&Method::Ack))
    };
    let expected = damaged.iter().filter(is_answerable).count();
    let heard = world.wire(|wire| std::mem::take(&mut wire.datagrams));
    let answers = heard.iter().filter(|(_, from, _)| from.port() == 5060);
    let answers = answers.filter_map(|(_, _, bytes)| {
        let answer = Message::parse(bytes.as_slice())
            .unwrap_or_else(|fault| panic!("{fault}: {}", String::from_utf8_lossy(bytes)));
        assert!(!answer.reason().is_empty());
        [400, 505].contains(&answer.status()?).then_some(())
    });
    let answered = answers.count();
    assert!(answered >= expected, "{answered} of {expected}");
}

#[test]
fn strangers_do_not_disturb_a_call() {
    for layout in Layout::ALL {
        let setup = pair().audible().layout(layout);
        eprintln!("{layout:?}, seed {}", setup.seed);
        let targets = rehearse(&setup);
        let mut entropy = Entropy::from_u64(setup.seed);
        let mut world = setup.build();
        let calls = call_up(&mut world);
        let told = [0, 1].map(|phone| world.phone(phone).events().len());
        for target in &targets {
            // Nobody listens at the end that connected.
            if target.protocol == Protocol::Diameter && target.door().port() != 3868 {
                continue;
            }
            let mut damaged = target.damaged(&mut entropy);
            if target.is_inside() {
                damaged.retain(|bytes| target.is_malformed(bytes));
            }
            throw_counted(&mut world, target, STRANGER, &damaged);
            if target.protocol == Protocol::Sip {
                assert_answered(&mut world, &damaged);
            }
        }
        for phone in [0, 1] {
            let events = &world.phone(phone).events()[told[phone]..];
            assert!(events.is_empty(), "telephone {phone}: {events:?}");
        }
        hold_and_resume(&mut world, calls);
        hear_out(&mut world, calls);
        world.assert_clean();
    }
}

/// Ends the call when all that was said has been heard, and checks that it was.
fn hear_out(world: &mut World, calls: [CallId; 2]) {
    for phone in [0, 1] {
        world.set_talking(phone, calls[phone], false);
    }
    world.network.run_for(millis(500));
    world.hang_up(0, calls[0], 1);
    let reports = [0, 1].map(|phone| world.phone(phone).report(calls[phone]));
    for (report, other) in [(reports[0], reports[1]), (reports[1], reports[0])] {
        // While it was held, one of the two was not heard.
        assert!(report.received <= other.sent && report.received > 100);
        assert_eq!((report.lost, report.duplicates, report.refused), (0, 0, 0));
    }
}

/// Ends what is left of calls and lets time pass until nothing is under way.
fn come_to_rest(world: &mut World) {
    for _ in 0..20 {
        for phone in [0, 1] {
            let left: Vec<CallId> = world.phone(phone).phone().agent().calls().collect();
            for call in left {
                // One that is being ended already cannot be ended.
                let _ = world.act(phone, |agent, now| agent.hang_up(now, call));
            }
        }
        world.network.run_for(Duration::from_secs(60));
    }
    for phone in [0, 1] {
        world.read_up(phone);
    }
}

/// Registers a telephone, again as often as that is refused: the HSS may have been told of an
/// S-CSCF that is not there, which the I-CSCF finds out and remembers.
fn register_again(world: &mut World, phone: usize) {
    for _ in 0..5 {
        let told = world.phone(phone).events().len();
        world.act(phone, |agent, now| {
            agent.register(now).expect("may register")
        });
        world.network.run_for(Duration::from_secs(150));
        let events = &world.phone(phone).events()[told..];
        let is_registered = |event: &Event| matches!(event, Event::Registered { .. });
        if events.iter().any(is_registered) {
            return world.read_up(phone);
        }
    }
    panic!("telephone {phone} cannot register");
}

#[test]
fn peers_that_send_nonsense_leave_a_network_that_works() {
    for layout in Layout::ALL {
        let setup = pair().layout(layout);
        eprintln!("{layout:?}, seed {}", setup.seed);
        let targets = rehearse(&setup);
        let mut entropy = Entropy::from_u64(setup.seed);
        for protocol in [
            Protocol::Sip,
            Protocol::H248,
            Protocol::Diameter,
            Protocol::Media,
        ] {
            let mut world = setup.build();
            call_up(&mut world);
            for target in targets.iter().filter(|target| target.protocol == protocol) {
                let mut damaged = target.damaged(&mut entropy);
                if protocol == Protocol::Sip {
                    // Each that is still an INVITE is a call, and rings for a while.
                    damaged.retain(|_| entropy.chance(250));
                }
                if protocol == Protocol::Diameter {
                    let Recorded { local, remote, .. } = target.message;
                    for bytes in damaged {
                        world.network.inject_on_stream(local, remote, &bytes);
                        world.network.run_for(millis(200));
                    }
                    continue;
                }
                let mut source = target.message.local;
                if target.message.is_stream {
                    source.set_port(5060);
                }
                throw(&mut world, target, source, &damaged);
            }
            come_to_rest(&mut world);
            for phone in [0, 1] {
                register_again(&mut world, phone);
            }
            let calls = call_of_registered(&mut world);
            world.hang_up(0, calls[0], 1);
            // What a gateway was told by its controller, as it must believe, nobody takes back.
            world.stop_gateway(0);
            world.assert_clean();
        }
    }
}

/// The statuses of the final responses to a message of the set that a node sent.
fn answers(recorded: &[Recorded], door: SocketAddr, sent: &[u8]) -> Vec<u16> {
    let name = |message: &Message| {
        let header = |name| message.header(name).map(str::to_owned);
        (header(HeaderName::CallId), header(HeaderName::CSeq))
    };
    let parsed = Message::parse(sent);
    let sent = match &parsed {
        Ok(message) => Some(name(message)),
        Err(fault) => fault.partial().map(name),
    };
    let messages = recorded.iter().filter(|sent| sent.local == door);
    let statuses = messages.filter_map(|message| {
        let answer = Message::parse(message.bytes.as_slice()).ok()?;
        let status = answer.status().filter(|&status| status >= 200)?;
        assert!(!answer.reason().is_empty());
        (Some(name(&answer)) == sent).then_some(status)
    });
    let mut statuses: Vec<u16> = statuses.collect();
    // Those of INVITE come again and again where nobody acknowledges them.
    statuses.dedup();
    statuses
}

/// What the P-CSCF says to a message of the set: from a stranger, or from a UE whose home network
/// knows no others and no name server.
fn expected(name: &str, message: &Message, is_ue: bool) -> Option<u16> {
    let method = message.method()?;
    match name {
        "unkscm" | "novelsc" => return Some(416),
        "bext01" => return Some(420),
        "zeromf" => return Some(483),
        // In a dialog that there is not.
        "wsinv" => return Some(481),
        // It wants two families on one side, which the gateway has not.
        "mult-ip-in-sdp" if is_ue => return Some(503),
        _ => {}
    }
    let goes_to_literal = message
        .uri()
        .ok()?
        .host()
        .is_some_and(|host| host.ip().is_some());
    match method {
        // Nobody registers here under such a name, nor is anybody else served.
        Method::Register => Some(403),
        _ if !is_ue => Some(403),
        // There is nobody; what is no INVITE gets no 408 (RFC 4320 4.2).
        Method::Invite if goes_to_literal => Some(408),
        _ if goes_to_literal => None,
        // The name cannot be resolved: a 503, which is not passed on (RFC 3261 16.7).
        _ => Some(500),
    }
}

#[test]
fn torture_messages_are_answered_as_the_rfcs_say() {
    for layout in Layout::ALL {
        // It takes hours, and nobody says a word.
        let setup = pair().recorded().with(|file| {
            file.media = Some(MediaFile {
                anchor: Some(true),
                inactivity_s: Some(0),
                ..MediaFile::default()
            });
        });
        let mut world = setup.layout(layout).build();
        let calls = call_up(&mut world);
        let ue = world.phone(0).phone().agent().config().local;
        let mut refused = 0;
        for source in [STRANGER, ue] {
            for (name, bytes, outcome) in cases::all() {
                world.network.take_recorded();
                world.network.inject(source, world.proxy, bytes);
                // Some are of the same transaction as others: each is to be over before the next.
                world.network.run_for(Duration::from_secs(150));
                let recorded = world.network.take_recorded();
                let parsed = Message::parse(*bytes);
                let expected = match (outcome, &parsed) {
                    (Outcome::Malformed(_, status), _) => *status,
                    // Its Via does not say to whom.
                    (Outcome::Invalid(_), _) if *name == "badinv01" => None,
                    (Outcome::Invalid(_), Ok(message)) => message.method().map(|_| 400),
                    (Outcome::Valid(_), Ok(message)) => expected(name, message, source == ue),
                    (_, Err(fault)) => panic!("{name}: {fault}"),
                };
                refused += u64::from(!matches!(outcome, Outcome::Valid(_)));
                let statuses = answers(&recorded, world.proxy, bytes);
                let expected: Vec<u16> = expected.into_iter().collect();
                assert_eq!(statuses, expected, "{name} from {source}, {layout:?}");
            }
        }
        let counted =
            world.counter("sip.malformed.answered") + world.counter("sip.malformed.dropped");
        assert_eq!(counted, refused);
        hold_and_resume(&mut world, calls);
        world.hang_up(0, calls[0], 1);
        world.assert_clean();
    }
}
