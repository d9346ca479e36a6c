//! Processes that find each other by name: RFC 3263 over a DNS server of the test.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base::{Entropy, Instant};
use calls::{ControlHost, FAST, GOOD, PhoneHost, REALM, ROUGH, identity};
use control::auth::DigestHash;
use control::config::{ControlFile, DnsFile, MediaFile, Role};
use control::store::{Impi, Impu, Subscriber};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, NAPTR, SRV};
use hickory_proto::rr::{Name, RData, Record};
use load::ua::{CallId, Config, Event, Secret};
use sim::{Link, Network, NodeId, StreamEvent, Transmit};

const PCSCF: u8 = 1;
const ICSCF: u8 = 2;
const HSS: u8 = 3;
const SCSCF: u8 = 4;
const SPARE: u8 = 5;
const DNS: u8 = 53;
const PHONE: u8 = 100;
/// An address that nobody has.
const NOBODY: u8 = 9;
const PATIENCE: Duration = Duration::from_secs(400);
/// Rough networks that each flow goes through.
const SEEDS: u64 = 4;

fn ip(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn sip_at(n: u8) -> SocketAddr {
    SocketAddr::new(ip(n), 5060)
}

/// A name server with a zone; `truncates` all that has records, so that it is asked over TCP.
struct DnsHost {
    zone: Vec<Record>,
    truncates: bool,
    questions: Vec<String>,
    streams: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    transmits: VecDeque<Transmit>,
}

impl DnsHost {
    fn reply(&mut self, question: &[u8], truncates: bool) -> Vec<u8> {
        let mut message = Message::from_vec(question)
            .expect("a question")
            .into_response();
        let query = message.queries[0].clone();
        self.questions
            .push(format!("{} {}", query.name(), query.query_type()));
        let is_of = |each: &&Record| each.name == *query.name();
        if !self.zone.iter().any(|each| is_of(&each)) {
            message.metadata.response_code = ResponseCode::NXDomain;
        }
        let fits = |each: &&Record| is_of(each) && each.record_type() == query.query_type();
        let found: Vec<_> = self.zone.iter().filter(fits).cloned().collect();
        message.metadata.truncation = truncates && !found.is_empty();
        if !message.metadata.truncation {
            message.add_answers(found);
        }
        message.to_vec().expect("it can be written")
    }
}

impl sim::Host for DnsHost {
    fn handle_datagram(&mut self, _: Instant, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let bytes = self.reply(bytes, self.truncates);
        self.transmits.push_back(Transmit::Datagram {
            local,
            remote,
            bytes,
        });
    }

    fn handle_stream(
        &mut self,
        _: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        event: StreamEvent<'_>,
    ) {
        let at = self
            .streams
            .iter()
            .position(|(own, peer, _)| (*own, *peer) == (local, remote));
        match (event, at) {
            (StreamEvent::Accepted, _) => self.streams.push((local, remote, Vec::new())),
            (StreamEvent::Received(bytes), Some(at)) => {
                let received = &mut self.streams[at].2;
                received.extend(bytes);
                let Some((length, question)) = received.split_first_chunk::<2>() else {
                    return;
                };
                if question.len() < usize::from(u16::from_be_bytes(*length)) {
                    return;
                }
                let question = question.to_vec();
                let reply = self.reply(&question, false);
                let mut bytes = (reply.len() as u16).to_be_bytes().to_vec();
                bytes.extend(reply);
                self.transmits.push_back(Transmit::Stream {
                    local,
                    remote,
                    bytes,
                });
            }
            (StreamEvent::Closed, Some(at)) => drop(self.streams.swap_remove(at)),
            _ => {}
        }
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn next_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn listens(&self, local: SocketAddr) -> bool {
        local.port() == 53
    }
}

/// A node of this network.
enum Host {
    Control(Box<ControlHost>),
    Phone(Box<PhoneHost>),
    Dns(Box<DnsHost>),
}

impl Host {
    fn inner(&self) -> &dyn sim::Host {
        match self {
            Host::Control(host) => host.as_ref(),
            Host::Phone(host) => host.as_ref(),
            Host::Dns(host) => host.as_ref(),
        }
    }

    fn inner_mut(&mut self) -> &mut dyn sim::Host {
        match self {
            Host::Control(host) => host.as_mut(),
            Host::Phone(host) => host.as_mut(),
            Host::Dns(host) => host.as_mut(),
        }
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

fn record(owner: &str, data: RData) -> Record {
    let owner = Name::from_ascii(owner).expect("a name");
    Record::from_rdata(owner, 300, data)
}

fn naptr(owner: &str, service: &str, replacement: &str) -> Record {
    let replacement = Name::from_ascii(replacement).expect("a name");
    let text = |text: &str| text.as_bytes().into();
    let data = NAPTR::new(1, 1, text("s"), text(service), text(""), replacement);
    record(owner, RData::NAPTR(data))
}

fn srv(owner: &str, priority: u16, port: u16, target: &str) -> Record {
    let target = Name::from_ascii(target).expect("a name");
    record(owner, RData::SRV(SRV::new(priority, 1, port, target)))
}

fn a(owner: &str, n: u8) -> Record {
    record(owner, RData::A(A::new(192, 0, 2, n)))
}

/// `scscf.ims.test` by NAPTR and SRV: these addresses, in this order.
fn zone(service: &str, protocol: &str, order: &[u8]) -> Vec<Record> {
    let name = format!("_sip.{protocol}.scscf.ims.test.");
    let mut zone = vec![naptr("scscf.ims.test.", service, &name)];
    for (priority, &n) in (1..).zip(order) {
        let target = format!("scscf{n}.ims.test.");
        zone.push(srv(&name, priority, 5060, &target));
        zone.push(a(&target, n));
    }
    zone
}

fn subscriber(user: usize) -> Subscriber {
    let impi = Impi::parse(&identity(user)).expect("a private identity");
    let impu = Impu::parse(&format!("sip:{}", identity(user))).expect("a public identity");
    let mut subscriber = Subscriber::new(impi, vec![impu]);
    subscriber.digest = Some(DigestHash::of_password(&identity(user), REALM, "secret"));
    subscriber
}

/// P-CSCF, I-CSCF, HSS and two S-CSCFs, each a process, and two telephones. The I-CSCF knows the
/// S-CSCFs by one name.
struct Home {
    network: Network<Host>,
    is_rough: bool,
    controls: Vec<NodeId>,
    dns: NodeId,
    icscf: NodeId,
    scscf: NodeId,
    spare: NodeId,
    phones: [NodeId; 2],
}

impl Home {
    fn new(seed: u64, link: Link, zone: Vec<Record>, truncates: bool) -> Self {
        let mut network = Network::new(seed);
        network.set_link(GOOD);
        let now = network.now();
        let diameter = SocketAddr::new(ip(HSS), 3868);
        let mut add = |n: u8, roles: &[Role], change: &dyn Fn(&mut ControlFile)| {
            let mut file = ControlFile {
                roles: Some(roles.to_vec()),
                realm: Some(REALM.to_owned()),
                sip: Some(vec![sip_at(n)]),
                icscf: Some(sip_at(ICSCF)),
                media: Some(MediaFile {
                    anchor: Some(false),
                    ..MediaFile::default()
                }),
                dns: Some(DnsFile {
                    servers: Some(vec![SocketAddr::new(ip(DNS), 53)]),
                    ..DnsFile::default()
                }),
                gm: Some(FAST),
                ..ControlFile::default()
            };
            change(&mut file);
            let config = file.validate().expect("the test's configuration");
            let subscribers: &[Subscriber] = match roles {
                [Role::Hss] => &[subscriber(0), subscriber(1)],
                _ => &[],
            };
            let host = ControlHost::new(config, now, seed ^ u64::from(n), subscribers);
            network.add(
                &format!("{}{n}", roles[0].name()),
                &[ip(n)],
                Host::Control(Box::new(host)),
            )
        };
        let remote = |file: &mut ControlFile| file.hss = Some(diameter.to_string());
        let hss = add(HSS, &[Role::Hss], &|file| {
            file.diameter = Some(diameter);
            file.icscf = None;
        });
        let scscf = add(SCSCF, &[Role::Scscf], &remote);
        let spare = add(SPARE, &[Role::Scscf], &remote);
        let icscf = add(ICSCF, &[Role::Icscf], &|file| {
            remote(file);
            file.icscf = None;
            file.scscf = Some(vec!["sip:scscf@scscf.ims.test".to_owned()]);
        });
        let pcscf = add(PCSCF, &[Role::Pcscf], &|_| {});
        let controls = vec![hss, scscf, spare, icscf, pcscf];
        let dns = DnsHost {
            zone,
            truncates,
            questions: Vec::new(),
            streams: Vec::new(),
            transmits: VecDeque::new(),
        };
        let dns = network.add("dns", &[ip(DNS)], Host::Dns(Box::new(dns)));
        let phones = [0, 1].map(|user| {
            let local = sip_at(PHONE + user as u8);
            let secret = Secret::Password("secret".to_owned());
            let mut config = Config::new(&identity(user), secret, local, sip_at(PCSCF));
            config.timers = sip::transaction::Timers::CORE;
            let phone = PhoneHost::new(config, None, Entropy::from_u64(seed + user as u64));
            let name = format!("phone{user}");
            network.add(&name, &[local.ip()], Host::Phone(Box::new(phone)))
        });
        network.run_for(Duration::from_secs(1));
        network.set_link(link);
        Self {
            is_rough: link == ROUGH,
            controls,
            network,
            dns,
            icscf,
            scscf,
            spare,
            phones,
        }
    }

    fn act<T>(
        &mut self,
        phone: usize,
        act: impl FnOnce(&mut load::ua::UserAgent, Instant) -> T,
    ) -> T {
        self.network
            .with(self.phones[phone], |host, now| match host {
                Host::Phone(phone) => phone.act(now, |agent| act(agent, now)),
                Host::Control(_) | Host::Dns(_) => unreachable!("telephones are telephones"),
            })
    }

    /// Runs until a telephone has been told something, and how often it has been.
    fn expect(&mut self, phone: usize, what: &str, is_it: impl Fn(&Event) -> bool) {
        let node = self.phones[phone];
        let told = |network: &Network<Host>| match network.host(node) {
            Host::Phone(phone) => phone.events().iter().any(&is_it),
            Host::Control(_) | Host::Dns(_) => false,
        };
        assert!(
            self.network.run_until_met(PATIENCE, told),
            "telephone {phone} was not told: {what}"
        );
    }

    fn register(&mut self, phone: usize) {
        self.act(phone, |agent, now| {
            agent.register(now).expect("may register")
        });
        self.expect(phone, "registered", |event| {
            matches!(event, Event::Registered { .. })
        });
    }

    /// Registers a telephone, again as often as that is refused.
    fn register_somehow(&mut self, phone: usize) {
        let node = self.phones[phone];
        let count = |network: &Network<Host>, is_it: fn(&Event) -> bool| match network.host(node) {
            Host::Phone(phone) => phone.events().iter().filter(|event| is_it(event)).count(),
            Host::Control(_) | Host::Dns(_) => 0,
        };
        let registered = |network: &Network<Host>| {
            count(network, |event| matches!(event, Event::Registered { .. })) > 0
        };
        let failed = |network: &Network<Host>| {
            count(network, |event| {
                matches!(event, Event::RegistrationFailed { .. })
            })
        };
        for attempt in 0..20 {
            self.act(phone, |agent, now| {
                agent.register(now).expect("may register")
            });
            let heard = |network: &Network<Host>| registered(network) || failed(network) > attempt;
            assert!(self.network.run_until_met(PATIENCE, heard));
            if registered(&self.network) {
                return;
            }
            // A failure is remembered for some seconds.
            self.network.run_for(Duration::from_secs(6));
        }
        panic!("telephone {phone} cannot register");
    }

    fn call(&mut self) -> CallId {
        let target = format!("sip:{}", identity(1));
        self.act(0, |agent, now| agent.call(now, &target).expect("may call"))
    }

    /// A call from the first telephone to the second, and its end.
    fn call_and_hang_up(&mut self) {
        let call = self.call();
        for phone in [0, 1] {
            self.expect(phone, "established", |event| {
                matches!(event, Event::Established { .. })
            });
        }
        self.network.run_for(Duration::from_secs(2));
        self.act(0, |agent, now| agent.hang_up(now, call).expect("a call"));
        for phone in [0, 1] {
            self.expect(phone, "ended", |event| matches!(event, Event::Ended { .. }));
        }
    }

    fn questions(&self) -> Vec<String> {
        match self.network.host(self.dns) {
            Host::Dns(dns) => dns.questions.clone(),
            Host::Control(_) | Host::Phone(_) => unreachable!("the DNS is the DNS"),
        }
    }

    /// The questions asked, each where it was asked first.
    fn first_questions(&self) -> Vec<String> {
        let mut first: Vec<String> = Vec::new();
        for question in self.questions() {
            if !first.contains(&question) {
                first.push(question);
            }
        }
        first
    }

    /// Asserts that no transaction and no dialog is left when all must be over.
    fn assert_clean(&mut self) {
        self.network.run_for(PATIENCE);
        for &node in &self.controls {
            if let Host::Control(control) = self.network.host(node) {
                let status = control.status(self.network.now());
                let left = status.transactions.client + status.transactions.server + status.dialogs;
                assert_eq!(left, 0, "left at the end: {status:?}");
            }
        }
    }

    fn registrations(&self, node: NodeId) -> usize {
        match self.network.host(node) {
            Host::Control(control) => control.status(self.network.now()).registrations,
            Host::Phone(_) | Host::Dns(_) => unreachable!("a control process"),
        }
    }

    fn counter(&self, name: &str) -> u64 {
        match self.network.host(self.icscf) {
            Host::Control(control) => control.counter(self.network.now(), name),
            Host::Phone(_) | Host::Dns(_) => unreachable!("a control process"),
        }
    }
}

/// Runs a flow over a network without fault and over rough ones; nothing may be left of it. The
/// seeds are printed.
fn everywhere(zone: &[Record], truncates: bool, flow: impl Fn(&mut Home)) {
    for (link, seed) in [(GOOD, 1)]
        .into_iter()
        .chain(sim::seeds(SEEDS).map(|seed| (ROUGH, seed)))
    {
        let is_rough = link == ROUGH;
        eprintln!("rough: {is_rough}, seed {seed}");
        let mut home = Home::new(seed, link, zone.to_vec(), truncates);
        flow(&mut home);
        home.assert_clean();
    }
}

#[test]
fn an_scscf_is_found_by_its_name() {
    for truncates in [false, true] {
        let zone = zone("SIP+D2U", "_udp", &[SCSCF, SPARE]);
        everywhere(&zone, truncates, |home| {
            for phone in [0, 1] {
                home.register_somehow(phone);
            }
            assert_eq!(home.registrations(home.scscf), 2);
            assert_eq!(home.registrations(home.spare), 0);
            home.call_and_hang_up();
            let expected = [
                "scscf.ims.test. NAPTR",
                "_sip._udp.scscf.ims.test. SRV",
                "scscf4.ims.test. A",
            ];
            let truncated = home.counter("dns.truncated");
            assert_eq!(home.first_questions(), expected);
            if home.is_rough {
                assert_eq!(truncated > 0, truncates);
            } else {
                assert_eq!(truncated, 3 * u64::from(truncates));
                // Each once, and by TCP where that was truncated; then they are known.
                assert_eq!(home.questions().len(), 3 * (1 + usize::from(truncates)));
            }
        });
    }
}

#[test]
fn where_one_scscf_does_not_answer_the_next_serves() {
    let zone = zone("SIP+D2U", "_udp", &[NOBODY, SPARE, SCSCF]);
    everywhere(&zone, false, |home| {
        // The P-CSCF gives the first REGISTER up just when the I-CSCF does; those after it go past
        // the silent one.
        home.register_somehow(0);
        home.register_somehow(1);
        assert_eq!(home.registrations(home.spare), 2);
        home.call_and_hang_up();
    });
}

#[test]
fn where_one_scscf_refuses_the_connection_the_next_serves_at_once() {
    let zone = zone("SIP+D2T", "_tcp", &[NOBODY, SPARE]);
    everywhere(&zone, false, |home| {
        for phone in [0, 1] {
            home.register(phone);
        }
        assert_eq!(home.registrations(home.spare), 2);
        home.call_and_hang_up();
    });
}

#[test]
fn a_name_that_leads_nowhere_is_a_refusal() {
    everywhere(&[], false, |home| {
        home.act(0, |agent, now| agent.register(now).expect("may register"));
        home.expect(0, "refused", |event| {
            let Event::RegistrationFailed { status, .. } = event else {
                return false;
            };
            (500..600).contains(status)
        });
        let expected = [
            "scscf.ims.test. NAPTR",
            "_sip._udp.scscf.ims.test. SRV",
            "_sip._tcp.scscf.ims.test. SRV",
            "scscf.ims.test. A",
        ];
        assert_eq!(home.first_questions(), expected);
    });
}

#[test]
fn a_dns_that_loses_much_is_asked_until_it_answers() {
    let lossy = Link {
        loss_per_mille: 250,
        ..ROUGH
    };
    for seed in sim::seeds(20) {
        let zone = zone("SIP+D2U", "_udp", &[SCSCF]);
        let mut home = Home::new(seed, GOOD, zone, seed % 2 == 1);
        let (dns, icscf) = (home.dns, home.icscf);
        home.network.set_link_between(icscf, dns, lossy);
        home.network.set_link_between(dns, icscf, lossy);
        // A question fails when both its rounds are lost; then the telephone has to try again.
        for phone in [0, 1] {
            home.register_somehow(phone);
        }
        home.call_and_hang_up();
        home.assert_clean();
    }
}
