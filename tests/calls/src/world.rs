//! A home network, its users, and what happens between them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use base::{Entropy, Instant};
use control::admin::{MrfReply, MrfRequest};
use control::config::{ControlFile, MediaFile, Role};
use control::store::{Aka, Impi, Impu, Operation, Outcome, Subscriber};
use control::{ControlConfig, auth};
use h248::transport::Carriage;
use load::phone::Voices;
use load::ua::{CallId, Cause, Config, Event, Policy, Secret};
use load::usim::Usim;
use sdp::Direction;
use sim::{Network, NodeId, StreamEvent, Transmit};
use sip::Message;
use sip::digest::Algorithm;

use crate::mrfp_host::mrfp_ip;
use crate::{
    Access, ControlHost, DtlsEnd, GOOD, Layout, Media, MediaConfig, MediaHost, MrfpHost, PhoneHost,
    ROUGH, Setup, User, WireHost,
};

/// Home network domain of every world.
pub const REALM: &str = "ims.test";
/// How long a call flow may take on virtual time, loss included.
const PATIENCE: Duration = Duration::from_secs(400);
/// How long the last transaction of a call may take to end, loss included: twice 64 T1 of Gm and
/// some.
const OVER_AFTER: Duration = Duration::from_secs(400);
/// Number of the wire's address.
const WIRE: u8 = 99;
/// Where the wire sends from and listens: nobody has ever heard of it.
pub const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, WIRE)), 5060);

/// Why a flow could not go on, though nothing is wrong: what unwinds from [`World::expect`].
pub(crate) struct GivenUp(pub String);

/// A node of the world.
pub enum Host {
    /// A control process.
    Control(Box<ControlHost>),
    /// A telephone.
    Phone(Box<PhoneHost>),
    /// A media process.
    Media(Box<MediaHost>),
    /// An MRFP that a test plays.
    Mrfp(Box<MrfpHost>),
    /// What the test sends and gets by hand.
    Wire(Box<WireHost>),
}

/// A home network and its users.
pub struct World {
    /// The network.
    pub network: Network<Host>,
    /// The process with the P-CSCF.
    pub pcscf: NodeId,
    /// The process with the S-CSCF.
    pub scscf: NodeId,
    /// The process with the HSS.
    pub hss: NodeId,
    wire: NodeId,
    /// Where the P-CSCF receives SIP.
    pub proxy: SocketAddr,
    phones: Vec<NodeId>,
    gateways: Vec<NodeId>,
    mrfps: Vec<NodeId>,
    audible: bool,
    compared: bool,
    rough: bool,
    h248: Carriage,
    restarts: u64,
    /// Control processes that were ended.
    killed: Vec<(NodeId, Box<ControlHost>)>,
}

impl World {
    /// A home network with its users provisioned.
    pub(crate) fn new(setup: &Setup) -> World {
        let seed = setup.seed;
        let mut network = Network::new(seed);
        network.set_link(GOOD);
        if setup.recorded {
            network.record();
        }
        let subscribers: Vec<Subscriber> = setup
            .users
            .iter()
            .enumerate()
            .map(|(index, user)| subscriber(index, *user))
            .collect();
        let now = network.now();
        let media = MediaFile {
            anchor: Some(setup.media != Media::Direct),
            ..MediaFile::default()
        };
        let mut add = |name: &str, number: u8, file: ControlFile, people: &[Subscriber]| {
            let file = ControlFile {
                sip: Some(vec![
                    address(number, 5060),
                    SocketAddr::new(ip6(number), 5060),
                ]),
                media: Some(media.clone()),
                ..file
            };
            let file = file.overridden_by(setup.control.clone());
            let config: ControlConfig = file.validate().expect("the test's configuration");
            let host = ControlHost::new(config, now, seed ^ u64::from(number), people);
            let ips = [ip(number), ip6(number)];
            network.add(name, &ips, Host::Control(Box::new(host)))
        };
        let (pcscf, scscf, hss) = match setup.layout {
            Layout::OneProcess => {
                let one = add("control", 1, file(&Role::ALL), &subscribers);
                (one, one, one)
            }
            Layout::ThreeProcesses => {
                let diameter = address(3, 3868);
                let hss = ControlFile {
                    diameter: Some(diameter),
                    ..file(&[Role::Hss])
                };
                let hss = add("hss", 3, hss, &subscribers);
                let serving = ControlFile {
                    hss: Some(diameter.to_string()),
                    mgc: Some(address(2, 2944)),
                    ..file(&[Role::Icscf, Role::Scscf, Role::Mrfc])
                };
                let serving = add("serving", 2, serving, &[]);
                let proxy = ControlFile {
                    icscf: Some(address(2, 5060)),
                    ..file(&[Role::Pcscf])
                };
                (add("proxy", 1, proxy, &[]), serving, hss)
            }
        };
        let wire = Host::Wire(Box::default());
        let wire = network.add("wire", &[ip(WIRE)], wire);
        let mut world = World {
            network,
            pcscf,
            scscf,
            hss,
            wire,
            proxy: address(1, 5060),
            phones: Vec::new(),
            gateways: Vec::new(),
            mrfps: Vec::new(),
            audible: setup.audible,
            compared: setup.compared,
            rough: setup.rough,
            h248: setup.h248.clone(),
            restarts: 0,
            killed: Vec::new(),
        };
        if setup.media == Media::Anchored {
            world.add_gateway();
        }
        // Diameter connections come up, and the gateway registers.
        world.network.run_for(Duration::from_secs(1));
        if setup.rough {
            world.network.set_link(ROUGH);
        }
        for (index, user) in setup.users.iter().enumerate() {
            let place = u8::try_from(index).expect("few users");
            let access = setup.access.get(index).copied().unwrap_or(Access::Ip4);
            let protects = setup.protected.contains(&index);
            world.add_phone_by(access, index, *user, place, |config| {
                config.protects_media = protects;
            });
        }
        world
    }

    /// Whether things are lost here.
    pub fn is_rough(&self) -> bool {
        self.rough
    }

    /// Adds a media gateway; it is in service after the second it takes to register.
    pub fn add_gateway(&mut self) -> usize {
        let number = u8::try_from(self.gateways.len()).expect("few gateways");
        let config = gateway_config(number, &self.h248);
        let mut ips = vec![config.mid.ip()];
        ips.extend(config.addresses.iter().map(|(ip, _)| *ip));
        let seed = self.network.seed() ^ (u64::from(number) << 40);
        let host = MediaHost::new(&config, self.network.now(), seed);
        let host = Host::Media(Box::new(host));
        let node = self.network.add(&format!("gateway{number}"), &ips, host);
        self.gateways.push(node);
        self.gateways.len() - 1
    }

    /// Adds an MRFP for the MRFC, in service when it has registered.
    pub fn add_mrfp(&mut self) -> usize {
        let number = u8::try_from(self.mrfps.len()).expect("few MRFPs");
        let host = self.new_mrfp(number);
        let node = self
            .network
            .add(&format!("mrfp{number}"), &[mrfp_ip(number)], host);
        self.mrfps.push(node);
        self.mrfps.len() - 1
    }

    fn new_mrfp(&mut self, number: u8) -> Host {
        self.restarts += 1;
        let seed = self.network.seed() ^ (self.restarts << 44);
        let mgc = match self.pcscf == self.scscf {
            true => address(1, 2944),
            false => address(2, 2944),
        };
        let own = SocketAddr::new(mrfp_ip(number), 2944);
        Host::Mrfp(Box::new(MrfpHost::new(own, mgc, self.network.now(), seed)))
    }

    /// Ends an MRFP at once.
    pub fn stop_mrfp(&mut self, mrfp: usize) {
        drop(self.network.crash(self.mrfps[mrfp]));
    }

    /// Starts an MRFP anew that was ended.
    pub fn start_mrfp(&mut self, mrfp: usize) {
        let host = self.new_mrfp(u8::try_from(mrfp).expect("few MRFPs"));
        self.network.restart(self.mrfps[mrfp], host);
    }

    /// An MRFP.
    pub fn mrfp(&self, mrfp: usize) -> &MrfpHost {
        match self.network.host(self.mrfps[mrfp]) {
            Host::Mrfp(host) => host,
            _ => unreachable!("MRFPs are MRFPs"),
        }
    }

    /// Has an MRFP do something.
    pub fn act_mrfp<T>(&mut self, mrfp: usize, act: impl FnOnce(&mut MrfpHost, Instant) -> T) -> T {
        self.network.with(self.mrfps[mrfp], |host, now| match host {
            Host::Mrfp(host) => act(host, now),
            _ => unreachable!("MRFPs are MRFPs"),
        })
    }

    /// Ends a media process at once.
    pub fn stop_gateway(&mut self, gateway: usize) {
        drop(self.network.crash(self.gateways[gateway]));
    }

    /// Starts a media process anew that was ended.
    pub fn start_gateway(&mut self, gateway: usize) {
        let number = u8::try_from(gateway).expect("few gateways");
        let config = gateway_config(number, &self.h248);
        self.restarts += 1;
        let seed = self.network.seed() ^ (self.restarts << 48);
        let host = MediaHost::new(&config, self.network.now(), seed);
        let host = Host::Media(Box::new(host));
        self.network.restart(self.gateways[gateway], host);
    }

    /// A media process.
    pub fn gateway(&self, gateway: usize) -> &MediaHost {
        match self.network.host(self.gateways[gateway]) {
            Host::Media(media) => media,
            _ => unreachable!("gateways are gateways"),
        }
    }

    /// Datagrams that the media processes dropped, by reason.
    pub fn drops(&self) -> BTreeMap<&'static str, u64> {
        let mut drops = BTreeMap::new();
        for &node in &self.gateways {
            if self.network.is_up(node)
                && let Host::Media(host) = self.network.host(node)
            {
                for (reason, count) in host.drops() {
                    *drops.entry(reason).or_default() += count;
                }
            }
        }
        drops
    }

    /// The node of a media process.
    pub fn gateway_node(&self, gateway: usize) -> NodeId {
        self.gateways[gateway]
    }

    /// Adds a telephone of user `user` in place `place`; a user may have several.
    pub fn add_phone(
        &mut self,
        user: usize,
        kind: User,
        place: u8,
        change: impl FnOnce(&mut Config),
    ) -> usize {
        self.add_phone_by(Access::Ip4, user, kind, place, change)
    }

    /// The same by another kind of access.
    pub fn add_phone_by(
        &mut self,
        access: Access,
        user: usize,
        kind: User,
        place: u8,
        change: impl FnOnce(&mut Config),
    ) -> usize {
        let (local, proxy) = match access {
            Access::Ip4 | Access::Nat => (ip(100 + place), self.proxy),
            Access::Ip6 => (ip6(100 + place), SocketAddr::new(ip6(1), 5060)),
        };
        let local = SocketAddr::new(local, 5060);
        let secret = match kind {
            User::Aka => Secret::Aka(Box::new(World::usim(user))),
            User::Digest | User::Sha256 => Secret::Password(password(user)),
        };
        let mut config = Config::new(&identity(user), secret, local, proxy);
        if access == Access::Nat {
            config.media_ip = IpAddr::from([10, 0, 0, place]);
        }
        config.timers = self.control(self.pcscf).config().gm;
        config.expires = 3600;
        if kind == User::Sha256 {
            config.algorithm = Algorithm::Sha256;
        }
        change(&mut config);
        let voices = self.audible.then_some(Voices {
            own: u32::from(place),
            // Of the first two, who call each other.
            other: (self.compared && place < 2).then(|| u32::from(1 - place)),
        });
        let seed = self.network.seed() ^ (u64::from(place) << 32);
        let host = PhoneHost::new(config, voices, Entropy::from_u64(seed));
        let host = Host::Phone(Box::new(host));
        let node = self
            .network
            .add(&format!("phone{place}"), &[local.ip()], host);
        self.phones.push(node);
        self.phones.len() - 1
    }

    /// Has a telephone do something.
    pub fn act<T>(
        &mut self,
        phone: usize,
        act: impl FnOnce(&mut load::ua::UserAgent, Instant) -> T,
    ) -> T {
        self.network
            .with(self.phones[phone], |host, now| match host {
                Host::Phone(phone) => phone.act(now, |agent| act(agent, now)),
                _ => unreachable!("telephones are telephones"),
            })
    }

    /// Has a telephone talk in a call or fall silent, without a word of it in signalling.
    pub fn set_talking(&mut self, phone: usize, call: CallId, talking: bool) {
        self.network
            .with(self.phones[phone], |host, now| match host {
                Host::Phone(phone) => phone.set_talking(now, call, talking),
                _ => unreachable!("telephones are telephones"),
            });
    }

    /// Changes how a telephone behaves.
    pub fn policy(&mut self, phone: usize, change: impl FnOnce(&mut Policy)) {
        self.act(phone, |agent, _| change(agent.policy_mut()));
    }

    /// A telephone.
    pub fn phone(&self, phone: usize) -> &PhoneHost {
        match self.network.host(self.phones[phone]) {
            Host::Phone(phone) => phone,
            _ => unreachable!("telephones are telephones"),
        }
    }

    /// The node of a telephone.
    pub fn phone_node(&self, phone: usize) -> NodeId {
        self.phones[phone]
    }

    /// A control process.
    pub fn control(&self, node: NodeId) -> &ControlHost {
        match self.network.host(node) {
            Host::Control(control) => control,
            _ => unreachable!("control processes are control processes"),
        }
    }

    /// Has the wire's node do something.
    pub fn wire<T>(&mut self, act: impl FnOnce(&mut WireHost) -> T) -> T {
        self.network.with(self.wire, |host, _| match host {
            Host::Wire(wire) => act(wire),
            _ => unreachable!("the wire is the wire"),
        })
    }

    /// Has the media of a telephone with DTLS do something.
    pub fn act_dtls<T>(&mut self, phone: usize, act: impl FnOnce(&mut DtlsEnd, Instant) -> T) -> T {
        self.network
            .with(self.phones[phone], |host, now| match host {
                Host::Phone(phone) => phone.act_dtls(|end| act(end, now)),
                _ => unreachable!("telephones are telephones"),
            })
    }

    /// Sends a message from the port of a telephone that its Via names, past its user agent.
    pub fn send_by_hand(&mut self, phone: usize, message: &Message) {
        let proxy = self.proxy;
        let port = message.top_via().ok().and_then(|via| via.port);
        let port = port.unwrap_or(5060);
        let node = self.phones[phone];
        self.network.with(node, |host, now| match host {
            Host::Phone(phone) => phone.send_by_hand(now, port, proxy, message),
            _ => unreachable!("telephones are telephones"),
        });
    }

    /// Sends a request from a telephone's address and runs until its final response is there.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn ask_by_hand(&mut self, phone: usize, request: &Message) -> Message {
        self.send_by_hand(phone, request);
        let node = self.phones[phone];
        let answer = |network: &Network<Host>| match network.host(node) {
            Host::Phone(phone) => final_response(phone, request),
            _ => None,
        };
        let came = self
            .network
            .run_until_met(PATIENCE, |network| answer(network).is_some());
        assert!(came, "no answer to {}", request.to_text());
        answer(&self.network).expect("it came")
    }

    /// Runs until a telephone was told something that the test has not read yet, and reads up to
    /// there.
    ///
    /// # Panics
    /// When it is not told in time.
    pub fn expect(&mut self, phone: usize, what: &str, is_it: impl Fn(&Event) -> bool) -> Event {
        let node = self.phones[phone];
        let read = self.phone(phone).read;
        let told = |network: &Network<Host>| match network.host(node) {
            Host::Phone(phone) => phone.events()[read..].iter().position(&is_it),
            _ => None,
        };
        let met = |network: &Network<Host>| told(network).is_some();
        let came = self.network.run_until_met(PATIENCE, met);
        self.check_given_up();
        if !came {
            for index in 0..self.phones.len() {
                eprintln!(
                    "telephone {index}:\n{}",
                    self.phone(index).ladder().join("\n")
                );
            }
            let events = &self.phone(phone).events()[read..];
            panic!("telephone {phone} was not told: {what}; it was told {events:#?}");
        }
        let at = read + told(&self.network).expect("it was told");
        self.network.with(node, |host, _| match host {
            Host::Phone(phone) => {
                phone.read = at + 1;
                phone.events()[at].clone()
            }
            _ => unreachable!("telephones are telephones"),
        })
    }

    /// Runs until a telephone has heard such a message.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn expect_heard(
        &mut self,
        phone: usize,
        what: &str,
        is_it: impl Fn(&Message) -> bool,
    ) -> Message {
        let node = self.phones[phone];
        let heard = |network: &Network<Host>| match network.host(node) {
            Host::Phone(phone) => phone.heard().iter().find(|message| is_it(message)).cloned(),
            _ => None,
        };
        let met = |network: &Network<Host>| heard(network).is_some();
        let came = self.network.run_until_met(PATIENCE, met);
        assert!(came, "telephone {phone} did not hear {what}");
        heard(&self.network).expect("it was heard")
    }

    /// Unwinds when a telephone has given a call up though nobody wanted it to: on a rough network
    /// a 2xx or its ACK can be lost as often as it is sent, and then BYE ends the call after 64 T1
    /// (RFC 3261 13.3.1.4, RFC 3262 3). The flow cannot go on.
    ///
    /// [`World::expect`] looks after this; flows that only let time pass do so themselves.
    pub fn check_given_up(&self) {
        if !self.rough {
            return;
        }
        let policies = (0..self.phones.len()).map(|index| {
            let agent = self.phone(index).phone().agent();
            (index, &agent.config().policy)
        });
        if policies
            .clone()
            .any(|(_, policy)| policy.deaf || policy.never_ack)
        {
            return;
        }
        for (index, _) in policies {
            let events = self.phone(index).events();
            let is_established = |of: CallId| {
                let mut events = events.iter();
                events.any(|event| matches!(event, Event::Established { call } if *call == of))
            };
            let lost = events.iter().find(|event| match event {
                Event::Ended { cause, call } => match cause {
                    Cause::NoAck | Cause::NoPrack => true,
                    // It waited for the ACK longer than for a refresh.
                    Cause::SessionExpired => !is_established(*call),
                    _ => false,
                },
                _ => false,
            });
            if let Some(event) = lost {
                let what = format!("telephone {index}: {event:?}");
                std::panic::resume_unwind(Box::new(GivenUp(what)));
            }
        }
    }

    /// Ends what is left of calls after a flow that was given up.
    pub(crate) fn clear(&mut self) {
        self.network.heal();
        for _ in 0..10 {
            for phone in 0..self.phones.len() {
                let left: Vec<CallId> = self.phone(phone).phone().agent().calls().collect();
                for call in left {
                    // One that is being ended already cannot be ended.
                    let _ = self.act(phone, |agent, now| agent.hang_up(now, call));
                }
            }
            self.network.run_for(Duration::from_secs(60));
        }
    }

    /// Reads all that a telephone was told so far.
    pub fn read_up(&mut self, phone: usize) {
        let node = self.phones[phone];
        self.network.with(node, |host, _| match host {
            Host::Phone(phone) => phone.read = phone.events().len(),
            _ => unreachable!("telephones are telephones"),
        });
    }

    /// Whether a telephone was ever told something.
    pub fn was_told(&self, phone: usize, is_it: impl Fn(&Event) -> bool) -> bool {
        self.phone(phone).events().iter().any(is_it)
    }

    /// Registers telephones and waits for it.
    pub fn register(&mut self, phones: &[usize]) {
        for &phone in phones {
            self.act(phone, |agent, now| {
                agent.register(now).expect("may register")
            });
        }
        for &phone in phones {
            self.expect(phone, "registered", |event| {
                matches!(event, Event::Registered { .. })
            });
        }
    }

    /// Calls user `callee` from a telephone.
    pub fn call(&mut self, caller: usize, callee: usize) -> CallId {
        self.dial(caller, &format!("sip:{}", identity(callee)))
    }

    /// Calls a URI from a telephone.
    pub fn dial(&mut self, caller: usize, target: &str) -> CallId {
        self.act(caller, |agent, now| {
            agent.call(now, target).expect("may call")
        })
    }

    /// Waits until both telephones have established a call; returns the callee's name for it.
    pub fn established(&mut self, caller: usize, callee: usize) -> CallId {
        let incoming = self.expect(callee, "a call", |event| {
            matches!(event, Event::Incoming { .. })
        });
        let Event::Incoming { call: incoming, .. } = incoming else {
            unreachable!("it is what was expected");
        };
        for phone in [caller, callee] {
            self.expect(phone, "established", |event| {
                matches!(event, Event::Established { .. })
            });
        }
        incoming
    }

    /// Has a telephone hang up, and waits until both are told that the call is over.
    pub fn hang_up(&mut self, phone: usize, call: CallId, other: usize) {
        self.act(phone, |agent, now| {
            agent.hang_up(now, call).expect("a call to end")
        });
        for phone in [phone, other] {
            self.expect_end(phone);
        }
    }

    /// Waits until a call of a telephone is over, and says why.
    pub fn expect_end(&mut self, phone: usize) -> Cause {
        let ended = |event: &Event| matches!(event, Event::Ended { .. });
        match self.expect(phone, "ended", ended) {
            Event::Ended { cause, .. } => cause,
            _ => unreachable!("it is what was expected"),
        }
    }

    /// Waits until the INVITE of a telephone is refused, and says by which status.
    ///
    /// # Panics
    /// When the call ends in another way.
    pub fn expect_refusal(&mut self, phone: usize) -> u16 {
        match self.expect_end(phone) {
            Cause::Refused { status, .. } => status,
            cause => panic!("the call was not refused: {cause:?}"),
        }
    }

    /// Waits until a caller hears a provisional response.
    pub fn expect_progress(&mut self, phone: usize, status: u16) {
        self.expect(
            phone,
            "progress",
            |event| matches!(event, Event::Progress { status: got, .. } if *got == status),
        );
    }

    /// Waits until a telephone's audio goes in this direction.
    pub fn expect_direction(&mut self, phone: usize, direction: Direction) {
        self.expect(
            phone,
            direction.name(),
            |event| matches!(event, Event::Media { agreed, .. } if agreed.direction == direction),
        );
    }

    /// Messages a telephone heard that are so.
    pub fn heard(&self, phone: usize, is_so: impl Fn(&Message) -> bool) -> usize {
        let heard = self.phone(phone).heard().iter();
        heard.filter(|message| is_so(message)).count()
    }

    /// A counter of the process with the P-CSCF.
    pub fn counter(&self, name: &str) -> u64 {
        self.control(self.pcscf).counter(self.network.now(), name)
    }

    /// A counter of the process with the S-CSCF.
    pub fn serving_counter(&self, name: &str) -> u64 {
        self.control(self.scscf).counter(self.network.now(), name)
    }

    /// Something for the store of the HSS, past the HSS.
    pub fn store(&mut self, operation: Operation) -> Outcome {
        self.network.with(self.hss, |host, _| match host {
            Host::Control(control) => control.store(operation),
            _ => unreachable!("the HSS is a control process"),
        })
    }

    /// Whether the disk under the store of the HSS works.
    pub fn break_store(&mut self, is_broken: bool) {
        self.network.with(self.hss, |host, _| match host {
            Host::Control(control) => control.break_store(is_broken),
            _ => unreachable!("the HSS is a control process"),
        });
    }

    /// A counter of the process with the HSS.
    pub fn home_counter(&self, name: &str) -> u64 {
        self.control(self.hss).counter(self.network.now(), name)
    }

    /// Something for the store of the HSS, by way of the HSS, which tells those whom it concerns.
    pub fn administer(&mut self, operation: Operation) {
        self.network.with(self.hss, |host, now| match host {
            Host::Control(control) => control.administer(now, operation),
            Host::Phone(_) | Host::Media(_) | Host::Mrfp(_) | Host::Wire(_) => {
                unreachable!("the HSS is a control process")
            }
        });
    }

    /// Something for the MRFC: what an operator asks, and what he is told.
    pub fn ask_mrfc(&mut self, request: MrfRequest) -> MrfReply {
        self.network.with(self.scscf, |host, now| match host {
            Host::Control(control) => control.ask_mrfc(now, request),
            _ => unreachable!("the MRFC is in a control process"),
        })
    }

    /// The card of a user, as the network dealt it out.
    pub fn usim(user: usize) -> Usim {
        Usim::new(key(user), OPC)
    }

    /// Ends a control process and starts it anew at once, with its store and its journal.
    pub fn restart(&mut self, node: NodeId) {
        self.start_anew(node, ControlHost::restarted);
    }

    /// Ends a control process and starts it anew at once, with its store and without anything else.
    pub fn restart_without_state(&mut self, node: NodeId) {
        self.start_anew(node, ControlHost::restarted_without_state);
    }

    fn start_anew(
        &mut self,
        node: NodeId,
        start: impl FnOnce(ControlHost, Instant, u64) -> ControlHost,
    ) {
        let before = self.network.crash(node);
        let Some(Host::Control(before)) = before else {
            unreachable!("control processes are control processes");
        };
        self.restarts += 1;
        let seed = self.network.seed() ^ (self.restarts << 48);
        let after = start(*before, self.network.now(), seed);
        self.network.restart(node, Host::Control(Box::new(after)));
    }

    /// Ends a control process at once.
    pub fn kill(&mut self, node: NodeId) {
        let Some(Host::Control(host)) = self.network.crash(node) else {
            unreachable!("control processes are control processes");
        };
        self.killed.push((node, host));
    }

    /// Starts the control processes that were ended, with their stores and their journals.
    pub fn revive(&mut self) {
        for (node, before) in std::mem::take(&mut self.killed) {
            self.restarts += 1;
            let seed = self.network.seed() ^ (self.restarts << 48);
            let after = before.restarted(self.network.now(), seed);
            self.network.restart(node, Host::Control(Box::new(after)));
        }
    }

    /// Runs until every transaction and dialog must be over, and asserts that nothing is left.
    ///
    /// # Panics
    /// When something is.
    pub fn assert_clean(&mut self) {
        let end = self.network.now() + OVER_AFTER;
        let mut left = self.left();
        while !left.is_empty() && self.network.now() < end {
            self.network.run_for(Duration::from_secs(10));
            left = self.left();
        }
        assert!(left.is_empty(), "left at the end: {left:?}");
        for node in [self.pcscf, self.scscf] {
            // A registration and a subscription have one timer each, and the challenges of all
            // together another.
            let status = self.control(node).status(self.network.now());
            let registered = status.contacts + status.access_registrations;
            let timers = registered + status.subscriptions + status.access_subscriptions + 1;
            assert!(status.timers <= timers, "timers are left: {status:#?}");
        }
    }

    /// What is under way, wherever it is.
    fn left(&self) -> Vec<String> {
        let now = self.network.now();
        let mut left = Vec::new();
        for node in [self.pcscf, self.scscf, self.hss] {
            let status = self.control(node).status(now);
            let counts = [
                ("dialogs", status.dialogs),
                ("client transactions", status.transactions.client),
                ("server transactions", status.transactions.server),
                ("contexts", status.contexts),
            ];
            let some = counts.iter().filter(|(_, count)| *count > 0);
            left.extend(some.map(|(what, count)| format!("{count} {what} of {:?}", status.roles)));
        }
        for &node in &self.gateways {
            if self.network.is_up(node)
                && let Host::Media(host) = self.network.host(node)
                && host.status().contexts + host.status().terminations > 0
            {
                left.push(format!("{:?}", host.status()));
            }
        }
        for (phone, &node) in self.phones.iter().enumerate() {
            if let Host::Phone(host) = self.network.host(node)
                && host.phone().agent().calls().next().is_some()
            {
                left.push(format!("a call of telephone {phone}"));
            }
        }
        left
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for index in 0..self.phones.len() {
                let ladder = self.phone(index).ladder().join("\n");
                eprintln!("telephone {index}:\n{ladder}");
            }
        }
    }
}

/// The final response that a telephone heard to a request, by its branch.
fn final_response(phone: &PhoneHost, request: &Message) -> Option<Message> {
    let branch = |message: &Message| {
        let via = message.top_via().ok()?;
        via.branch().map(str::to_owned)
    };
    let own = branch(request);
    let answers = |message: &&Message| {
        message.status().is_some_and(|status| status >= 200) && branch(message) == own
    };
    phone.heard().iter().find(answers).cloned()
}

fn file(roles: &[Role]) -> ControlFile {
    ControlFile {
        roles: Some(roles.to_vec()),
        mgc: Some(address(1, 2944)),
        ..ControlFile::default()
    }
}

/// The identity of a user.
pub fn identity(user: usize) -> String {
    format!("user{user}@{REALM}")
}

/// The number of a user: another public identity, of the same implicit registration set.
pub fn number(user: usize) -> String {
    format!("tel:+4930100{user}")
}

const OPC: [u8; 16] = [0xcd; 16];

fn key(user: usize) -> [u8; 16] {
    let mut key = [0x46; 16];
    key[0] = u8::try_from(user).expect("few users");
    key
}

pub(crate) fn password(user: usize) -> String {
    format!("secret{user}")
}

fn subscriber(user: usize, kind: User) -> Subscriber {
    let impi = Impi::parse(&identity(user)).expect("a private identity");
    let impu = Impu::parse(&format!("sip:{}", identity(user))).expect("a public identity");
    let tel = Impu::parse(&number(user)).expect("a public identity");
    let mut subscriber = Subscriber::new(impi, vec![impu, tel]);
    match kind {
        User::Aka => {
            subscriber.aka = Some(Aka {
                k: auth::Secret(key(user)),
                opc: auth::Secret(OPC),
                amf: [0x80, 0],
                sqn: auth::Sqn::default(),
            });
        }
        User::Digest | User::Sha256 => {
            let hash = auth::DigestHash::of_password(&identity(user), REALM, &password(user));
            subscriber.digest = Some(hash);
        }
    }
    subscriber
}

fn ip(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

fn address(number: u8, port: u16) -> SocketAddr {
    SocketAddr::new(ip(number), port)
}

fn ip6(number: u8) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)])
}

fn gateway_config(number: u8, h248: &Carriage) -> MediaConfig {
    let address6 = IpAddr::from([0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1 + u16::from(number)]);
    MediaConfig {
        mid: address(40 + number, 2944),
        mgc: address(1, 2944),
        encoding: h248.encoding,
        protocol: h248.protocols.first().copied(),
        addresses: vec![
            (IpAddr::from([203, 0, 113, 1 + number]), "access"),
            (address6, "access"),
            (IpAddr::from([198, 51, 100, 1 + number]), "core"),
        ],
        ports: 20_000..=20_199,
    }
}

impl sim::Host for Host {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        self.inner_mut().handle_datagram(now, local, remote, bytes);
    }

    fn handle_stream(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        event: StreamEvent<'_>,
    ) {
        self.inner_mut().handle_stream(now, local, remote, event);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.inner_mut().handle_timeout(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.inner().next_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.inner_mut().poll_transmit()
    }

    fn listens(&self, local: SocketAddr) -> bool {
        self.inner().listens(local)
    }
}

impl Host {
    fn inner(&self) -> &dyn sim::Host {
        match self {
            Host::Control(host) => host.as_ref(),
            Host::Phone(host) => host.as_ref(),
            Host::Media(host) => host.as_ref(),
            Host::Mrfp(host) => host.as_ref(),
            Host::Wire(host) => host.as_ref(),
        }
    }

    fn inner_mut(&mut self) -> &mut dyn sim::Host {
        match self {
            Host::Control(host) => host.as_mut(),
            Host::Phone(host) => host.as_mut(),
            Host::Media(host) => host.as_mut(),
            Host::Mrfp(host) => host.as_mut(),
            Host::Wire(host) => host.as_mut(),
        }
    }
}
