//! A media process in the simulated network: a gateway of the house, its TrGW, and workers whose
//! packets the network carries.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ::sim::{StreamEvent, Transmit};
use base::{Entropy, Instant};
use dataplane::io::sim::{self, Network};
use dataplane::{DropReason, Function, LocalAddress, LocalAddresses, Turn, Worker, runtime};
use dtls::Identity;
use h248::encoding::Encoding;
use h248::transaction::Transport;
use h248::transport::Protocol;
use h248::transport::tpkt::{self, Framer};
use mg::{GatewayConfig, GatewayStatus, MediaGateway, Output, RealmAddress};
use trgw::{Relay, Trgw};

const WORKERS: usize = 2;
const FRAMES: usize = 512;
/// How often workers that receive nothing look at the time.
const TICK: Duration = Duration::from_secs(1);
/// Turns after which workers that never rest are taken to spin.
const TURNS_MAX: usize = 10_000;

/// What a media process is.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Where it receives H.248.
    pub mid: SocketAddr,
    /// Its controller.
    pub mgc: SocketAddr,
    /// Encoding of H.248, if not the usual one.
    pub encoding: Option<Encoding>,
    /// Transport of H.248, if not the usual one.
    pub protocol: Option<Protocol>,
    /// Its addresses for media, and the IP realm of each.
    pub addresses: Vec<(IpAddr, &'static str)>,
    /// Its ports for media, of each address.
    pub ports: RangeInclusive<u16>,
}

/// A media process.
pub struct MediaHost {
    mid: SocketAddr,
    network: Network,
    workers: Vec<Worker>,
    trgw: Trgw,
    mg: MediaGateway,
    tick: Instant,
    transmits: VecDeque<Transmit>,
    transport: Transport,
    /// The connection to the controller, where it has one; it is on its way while its own end has
    /// no address.
    link: Option<Link>,
}

fn identity() -> Identity {
    // Where virtual time begins in that of the library does not matter.
    Identity::generate(std::time::Instant::now()).expect("a certificate")
}

struct Link {
    local: Option<SocketAddr>,
    framer: Framer,
}

impl MediaHost {
    /// A process that announces itself to its controller.
    pub fn new(config: &MediaConfig, now: Instant, seed: u64) -> Self {
        let locals = config.addresses.iter();
        let locals: Vec<LocalAddress> = locals
            .map(|(ip, _)| LocalAddress::new(*ip, config.ports.clone()))
            .collect();
        let addresses = LocalAddresses::new(&locals).expect("the test's addresses");
        let (backend, network) = sim::backend(&addresses, WORKERS, FRAMES);
        let relay = |flows| Box::new(Relay::new(flows)) as Box<dyn Function>;
        let settings = dataplane::Config::default();
        let (control, workers) = runtime(&settings, backend, relay).expect("workers of a test");
        let mut gateway = GatewayConfig::new(config.mid, &mg::TRGW);
        gateway.association.mgcs = vec![config.mgc];
        gateway.encoding = config.encoding.unwrap_or(gateway.encoding);
        let protocol = config.protocol.unwrap_or(Protocol::Udp);
        gateway.transport = protocol.transport();
        gateway.association.restart_wait_max = Duration::ZERO;
        gateway.ports = config.ports.clone();
        gateway.addresses = config
            .addresses
            .iter()
            .map(|(ip, realm)| RealmAddress {
                realm: Some((*realm).to_owned()),
                ip: *ip,
            })
            .collect();
        let mut host = Self {
            mid: config.mid,
            network,
            workers,
            trgw: Trgw::new(control).with_dtls(identity()),
            mg: MediaGateway::new(gateway, now, Entropy::from_u64(seed)),
            tick: now + TICK,
            transmits: VecDeque::new(),
            transport: protocol.transport(),
            link: None,
        };
        host.mg.start(now, &mut host.trgw);
        host.settle(now);
        host
    }

    /// What the gateway says of itself.
    pub fn status(&self) -> GatewayStatus {
        self.mg.status()
    }

    /// What the gateway counted.
    pub fn counters(&self) -> mg::Counters {
        self.mg.counters()
    }

    /// Datagrams that the workers dropped, by reason.
    pub fn drops(&self) -> BTreeMap<&'static str, u64> {
        let mut drops = BTreeMap::new();
        for worker in self.trgw.control().worker_stats() {
            for &reason in DropReason::ALL {
                *drops.entry(reason.name()).or_default() += worker.drops.of(reason);
            }
        }
        drops.retain(|_, count| *count > 0);
        drops
    }

    /// Lets everything happen that needs no time.
    fn settle(&mut self, now: Instant) {
        for _ in 0..TURNS_MAX {
            let mut rests = true;
            for worker in &mut self.workers {
                rests &= worker.turn(now) == Turn::Idle;
            }
            while let Some(event) = self.trgw.poll_event(now) {
                self.mg.handle_event(now, &mut self.trgw, &event);
                rests = false;
            }
            if self.trgw.next_timeout().is_some_and(|at| at <= now) {
                self.trgw.handle_timeout(now);
                rests = false;
            }
            if rests && !self.trgw.is_behind() {
                return self.drain();
            }
        }
        panic!("the workers do not come to rest");
    }

    fn connect(&mut self, mgc: SocketAddr) {
        if self.link.is_none() {
            self.link = Some(Link {
                local: None,
                framer: Framer::default(),
            });
            self.transmits.push_back(Transmit::Connect {
                local: SocketAddr::new(self.mid.ip(), 0),
                remote: mgc,
            });
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.mg.poll_output() {
            match output {
                Output::Transmit { to, bytes } if self.transport == Transport::Datagram => {
                    let (local, remote) = (self.mid, to);
                    self.transmits.push_back(Transmit::Datagram {
                        local,
                        remote,
                        bytes,
                    });
                }
                Output::Transmit { to, bytes } => match &self.link {
                    Some(Link {
                        local: Some(local), ..
                    }) => self.transmits.push_back(Transmit::Stream {
                        local: *local,
                        remote: to,
                        bytes: tpkt::frame(&bytes).expect("the engine knows how much fits"),
                    }),
                    _ => self.connect(to),
                },
                Output::Connect { to } => self.connect(to),
                Output::Disconnect { from } => {
                    if let Some(Link {
                        local: Some(local), ..
                    }) = self.link.take()
                    {
                        self.transmits.push_back(Transmit::Close {
                            local,
                            remote: from,
                        });
                    }
                }
                Output::Association(_) => {}
            }
        }
        while let Some(packet) = self.network.receive() {
            self.transmits.push_back(Transmit::Datagram {
                local: packet.source,
                remote: packet.destination,
                bytes: packet.payload,
            });
        }
    }
}

impl ::sim::Host for MediaHost {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        if local == self.mid {
            self.mg.handle_input(now, &mut self.trgw, remote, bytes);
        } else {
            // As a NIC would: by the addresses, so that one flow stays with one worker.
            let worker = usize::from((local.port() / 2) ^ (remote.port() / 2)) % WORKERS;
            self.network.send(worker, remote, local, bytes);
        }
        self.settle(now);
    }

    fn handle_stream(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        event: StreamEvent<'_>,
    ) {
        let own = self.link.as_mut();
        let Some(link) = own.filter(|link| link.local.is_none_or(|own| own == local)) else {
            return;
        };
        match event {
            StreamEvent::Accepted => {}
            StreamEvent::Connected => {
                link.local = Some(local);
                self.mg.handle_connected(now, &mut self.trgw, remote);
            }
            StreamEvent::Refused | StreamEvent::Closed => {
                self.link = None;
                self.mg.handle_closed(now, &mut self.trgw, remote);
            }
            StreamEvent::Received(bytes) => {
                link.framer.push(bytes);
                while let Some(message) = link.framer.next_message().expect("TPKTs") {
                    self.mg.handle_input(now, &mut self.trgw, remote, message);
                }
            }
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.mg.next_timeout().is_some_and(|at| at <= now) {
            self.mg.handle_timeout(now, &mut self.trgw);
        }
        self.trgw.handle_timeout(now);
        if self.tick <= now {
            self.tick = now + TICK;
        }
        self.settle(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let next = self.mg.next_timeout().into_iter();
        next.chain(self.trgw.next_timeout())
            .chain([self.tick])
            .min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn listens(&self, _: SocketAddr) -> bool {
        false
    }
}
