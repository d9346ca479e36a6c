//! A home network, its users, and what happens between them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base::{Entropy, Instant};
use control::config::{ControlFile, MediaFile, Role};
use control::store::{Aka, Impi, Impu, Subscriber};
use control::{ControlConfig, auth};
use load::phone::Voices;
use load::ua::{CallId, Config, Event, Policy, Secret};
use load::usim::Usim;
use sim::{Link, Network, NodeId, StreamEvent, Transmit};

use crate::{ControlHost, PhoneHost};

/// Home network domain of every world.
pub const REALM: &str = "ims.test";
/// How long a call flow may take on virtual time, loss included.
const PATIENCE: Duration = Duration::from_secs(200);

/// How the entities are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All in one process, passing values.
    OneProcess,
    /// P-CSCF, I- and S-CSCF, and HSS: SIP and Diameter on the wire.
    ThreeProcesses,
}

/// What carries the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// The telephones send to each other.
    Direct,
}

/// How a user proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// AKAv1-MD5.
    Aka,
    /// MD5.
    Digest,
}

/// A node of the world.
pub enum Host {
    /// A control process.
    Control(Box<ControlHost>),
    /// A telephone.
    Phone(Box<PhoneHost>),
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
    proxy: SocketAddr,
    phones: Vec<NodeId>,
}

impl World {
    /// A home network with these users provisioned: the n-th is `userN@ims.test`.
    pub fn new(seed: u64, layout: Layout, media: Media, users: &[User]) -> World {
        let mut network = Network::new(seed);
        network.set_link(Link {
            delay: Duration::from_millis(5),
            ..Link::PERFECT
        });
        let subscribers: Vec<Subscriber> = users
            .iter()
            .enumerate()
            .map(|(index, user)| subscriber(index, *user))
            .collect();
        let now = network.now();
        let proxy = address(1, 5060);
        let media = MediaFile {
            anchor: Some(media != Media::Direct),
            ..MediaFile::default()
        };
        let mut add = |name: &str, number: u8, file: ControlFile, people: &[Subscriber]| {
            let sip = vec![address(number, 5060)];
            let file = ControlFile {
                sip: Some(sip),
                media: Some(media.clone()),
                ..file
            };
            let config: ControlConfig = file.validate().expect("the test's configuration");
            let host = ControlHost::new(config, now, seed ^ u64::from(number), people);
            network.add(name, &[ip(number)], Host::Control(Box::new(host)))
        };
        let file = |roles: &[Role]| ControlFile {
            roles: Some(roles.to_vec()),
            mgc: Some(address(1, 2944)),
            ..ControlFile::default()
        };
        let (pcscf, scscf, hss) = match layout {
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
                    ..file(&[Role::Icscf, Role::Scscf])
                };
                let serving = add("serving", 2, serving, &[]);
                let proxy = ControlFile {
                    icscf: Some(address(2, 5060)),
                    ..file(&[Role::Pcscf])
                };
                (add("proxy", 1, proxy, &[]), serving, hss)
            }
        };
        let mut world = World {
            network,
            pcscf,
            scscf,
            hss,
            proxy,
            phones: Vec::new(),
        };
        // Diameter connections come up.
        world.network.run_for(Duration::from_secs(1));
        for (index, user) in users.iter().enumerate() {
            world.add_phone(
                index,
                *user,
                u8::try_from(index).expect("few users"),
                |_| {},
            );
        }
        world
    }

    /// Adds a telephone of user `user` in place `place`; a user may have several.
    pub fn add_phone(
        &mut self,
        user: usize,
        kind: User,
        place: u8,
        change: impl FnOnce(&mut Config),
    ) -> usize {
        let local = address(100 + place, 5060);
        let secret = match kind {
            User::Aka => Secret::Aka(Box::new(Usim::new(key(user), OPC))),
            User::Digest => Secret::Password(password(user)),
        };
        let mut config = Config::new(&identity(user), secret, local, self.proxy);
        config.timers = sip::transaction::Timers::GM;
        config.expires = 3600;
        change(&mut config);
        let voices = Voices {
            own: u32::from(place),
            other: None,
        };
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
                Host::Control(_) => unreachable!("telephones are telephones"),
            })
    }

    /// Changes how a telephone behaves.
    pub fn policy(&mut self, phone: usize, change: impl FnOnce(&mut Policy)) {
        self.act(phone, |agent, _| change(agent.policy_mut()));
    }

    /// A telephone.
    pub fn phone(&self, phone: usize) -> &PhoneHost {
        match self.network.host(self.phones[phone]) {
            Host::Phone(phone) => phone,
            Host::Control(_) => unreachable!("telephones are telephones"),
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
            Host::Phone(_) => unreachable!("control processes are control processes"),
        }
    }

    /// Runs until a telephone was told something.
    ///
    /// # Panics
    /// When it is not told in time.
    pub fn expect(&mut self, phone: usize, what: &str, is_it: impl Fn(&Event) -> bool) {
        let node = self.phones[phone];
        let told = |network: &Network<Host>| match network.host(node) {
            Host::Phone(phone) => phone.events().iter().any(&is_it),
            Host::Control(_) => false,
        };
        if !self.network.run_until_met(PATIENCE, told) {
            let events = self.phone(phone).events();
            panic!("telephone {phone} was not told: {what}; it was told {events:#?}");
        }
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
        let target = format!("sip:{}", identity(callee));
        self.act(caller, |agent, now| {
            agent.call(now, &target).expect("may call")
        })
    }

    /// Waits until both telephones have established a call; returns the callee's name for it.
    pub fn established(&mut self, caller: usize, callee: usize) -> CallId {
        for phone in [caller, callee] {
            self.expect(phone, "established", |event| {
                matches!(event, Event::Established { .. })
            });
        }
        let incoming = self
            .phone(callee)
            .events()
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Incoming { call, .. } => Some(*call),
                _ => None,
            });
        incoming.expect("a call that was established came in")
    }

    /// Runs until every transaction and dialog must be over, and asserts that nothing is left.
    ///
    /// # Panics
    /// When something is.
    pub fn assert_clean(&mut self) {
        self.network.run_for(Duration::from_secs(150));
        let now = self.network.now();
        for node in [self.pcscf, self.scscf, self.hss] {
            let status = self.control(node).status(now);
            let left = (
                status.dialogs,
                status.transactions.client,
                status.transactions.server,
                status.contexts,
            );
            assert_eq!(
                left,
                (0, 0, 0, 0),
                "dialogs, transactions or contexts are left"
            );
        }
    }
}

/// The identity of a user.
pub fn identity(user: usize) -> String {
    format!("user{user}@{REALM}")
}

const OPC: [u8; 16] = [0xcd; 16];

fn key(user: usize) -> [u8; 16] {
    let mut key = [0x46; 16];
    key[0] = u8::try_from(user).expect("few users");
    key
}

fn password(user: usize) -> String {
    format!("secret{user}")
}

fn subscriber(user: usize, kind: User) -> Subscriber {
    let impi = Impi::parse(&identity(user)).expect("a private identity");
    let impu = Impu::parse(&format!("sip:{}", identity(user))).expect("a public identity");
    let mut subscriber = Subscriber::new(impi, vec![impu]);
    match kind {
        User::Aka => {
            subscriber.aka = Some(Aka {
                k: auth::Secret(key(user)),
                opc: auth::Secret(OPC),
                amf: [0x80, 0],
                sqn: auth::Sqn::default(),
            });
        }
        User::Digest => {
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
        }
    }

    fn inner_mut(&mut self) -> &mut dyn sim::Host {
        match self {
            Host::Control(host) => host.as_mut(),
            Host::Phone(host) => host.as_mut(),
        }
    }
}
