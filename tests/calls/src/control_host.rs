//! A control process in the simulated network: the node as it is, its sockets and its store made of
//! values.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use base::Instant;
use control::ControlConfig;
use control::admin::{self, MrfReply, MrfRequest, Status};
use control::journal::Replay;
use control::node::{Input, Node, Output, Service, Socket, StreamId};
use control::store::{self, MemoryStore, Operation, Outcome, PutMode, Store, Subscriber};
use sim::{StreamEvent, Transmit};

/// The ports of a process's DNS sockets begin here; it listens on none above.
const DNS_PORT_FIRST: u16 = 40_000;

/// A control process.
pub struct ControlHost {
    node: Node,
    config: ControlConfig,
    store: MemoryStore,
    /// No operation of the node's succeeds.
    store_is_broken: bool,
    journal: Vec<u8>,
    streams: HashMap<(SocketAddr, SocketAddr), StreamId>,
    ends: HashMap<StreamId, (SocketAddr, SocketAddr)>,
    connecting: VecDeque<(StreamId, SocketAddr)>,
    /// Sent on streams that are not open yet.
    waiting: HashMap<StreamId, Vec<Vec<u8>>>,
    transmits: VecDeque<Transmit>,
    /// What the MRFC last said to an operator.
    said: Option<MrfReply>,
}

impl ControlHost {
    /// A process of this configuration with these subscribers.
    pub fn new(config: ControlConfig, now: Instant, seed: u64, subscribers: &[Subscriber]) -> Self {
        let mut store = MemoryStore::default();
        for subscriber in subscribers {
            put(&mut store, subscriber.clone());
        }
        Self::with_store(config, store, now, seed)
    }

    /// The same process after its end: its store and its journal are what is left of it.
    #[must_use]
    pub fn restarted(self, now: Instant, seed: u64) -> Self {
        let mut replay = Replay::default();
        replay.read(&self.journal);
        assert_eq!(replay.skipped(), 0, "the journal is whole");
        let mut host = Self::with_store(self.config, self.store, now, seed);
        host.journal = self.journal;
        host.node.restore(now, &mut replay);
        host.drain(now);
        host
    }

    /// The same process after its end, its state directory lost.
    #[must_use]
    pub fn restarted_without_state(self, now: Instant, seed: u64) -> Self {
        Self::with_store(self.config, self.store, now, seed)
    }

    fn with_store(config: ControlConfig, store: MemoryStore, now: Instant, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            node: Node::new(config.clone(), now, bytes),
            config,
            store,
            store_is_broken: false,
            journal: Vec::new(),
            streams: HashMap::new(),
            ends: HashMap::new(),
            connecting: VecDeque::new(),
            waiting: HashMap::new(),
            transmits: VecDeque::new(),
            said: None,
        }
    }

    /// How it is configured.
    pub fn config(&self) -> &ControlConfig {
        &self.config
    }

    /// What the process says of itself.
    pub fn status(&self, now: Instant) -> Status {
        self.node.status(now)
    }

    /// The contexts that it has for a call.
    pub fn contexts_of(&self, call_id: &str) -> Vec<admin::CallContext> {
        self.node.contexts_of(call_id)
    }

    /// One of its counters.
    pub fn counter(&self, now: Instant, name: &str) -> u64 {
        self.status(now)
            .counters
            .get(name)
            .copied()
            .unwrap_or_default()
    }

    /// Something for the store, past the node: what an operator does while no HSS runs.
    pub fn store(&mut self, operation: Operation) -> Outcome {
        self.store.execute(vec![operation]).swap_remove(0)
    }

    /// Whether the disk under the store works.
    pub fn break_store(&mut self, is_broken: bool) {
        self.store_is_broken = is_broken;
    }

    /// Something for the store, by way of the HSS: what an operator does while it runs.
    pub fn administer(&mut self, now: Instant, operation: Operation) {
        let request = admin::Request::Store(Box::new(operation));
        self.feed(now, Input::Admin { id: 1, request });
    }

    /// Something for the MRFC: what an operator does while it runs, and what he is told.
    pub fn ask_mrfc(&mut self, now: Instant, request: MrfRequest) -> MrfReply {
        let request = admin::Request::Mrf(Box::new(request));
        self.feed(now, Input::Admin { id: 2, request });
        self.said.take().expect("it is answered at once")
    }

    fn feed(&mut self, now: Instant, input: Input<'_>) {
        self.node.handle_input(now, input);
        self.drain(now);
    }

    fn socket_of(&self, local: SocketAddr) -> Option<Socket> {
        if self.config.mgc == Some(local) {
            return Some(Socket::H248);
        }
        if let Some(index) = local.port().checked_sub(DNS_PORT_FIRST) {
            return Some(Socket::Dns(index));
        }
        let index = self
            .config
            .sip
            .iter()
            .position(|address| *address == local)?;
        Some(Socket::Sip(u16::try_from(index).ok()?))
    }

    fn address_of(&self, socket: Socket) -> Option<SocketAddr> {
        match socket {
            Socket::H248 => self.config.mgc,
            Socket::Sip(index) => self.config.sip.get(usize::from(index)).copied(),
            // Nobody answers to names in these worlds.
            Socket::Dns(index) => {
                let ip = self.config.sip.first()?.ip();
                Some(SocketAddr::new(ip, DNS_PORT_FIRST + index))
            }
        }
    }

    fn service_of(&self, local: SocketAddr) -> Option<Service> {
        if self.config.diameter == Some(local) {
            return Some(Service::Diameter);
        }
        if self.config.mgc == Some(local) {
            return Some(Service::H248);
        }
        let index = self
            .config
            .sip
            .iter()
            .position(|address| *address == local)?;
        Some(Service::Sip(u16::try_from(index).ok()?))
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Datagram {
                    socket,
                    destination,
                    bytes,
                } => {
                    if let Some(local) = self.address_of(socket) {
                        let (remote, bytes) = (destination, bytes.as_ref().to_vec());
                        self.transmits.push_back(Transmit::Datagram {
                            local,
                            remote,
                            bytes,
                        });
                    }
                }
                Output::Connect { stream, peer, .. } => {
                    let ip = self.own_ip(peer);
                    self.connecting.push_back((stream, peer));
                    let local = SocketAddr::new(ip, 0);
                    self.transmits.push_back(Transmit::Connect {
                        local,
                        remote: peer,
                    });
                }
                Output::Send { stream, bytes } => {
                    let bytes = bytes.as_ref().to_vec();
                    match self.ends.get(&stream) {
                        Some(&(local, remote)) => {
                            self.transmits.push_back(Transmit::Stream {
                                local,
                                remote,
                                bytes,
                            });
                        }
                        None => self.waiting.entry(stream).or_default().push(bytes),
                    }
                }
                Output::Close(stream) => {
                    if let Some((local, remote)) = self.ends.remove(&stream) {
                        self.streams.remove(&(local, remote));
                        self.transmits.push_back(Transmit::Close { local, remote });
                    }
                }
                Output::Store { id, operation } => {
                    let outcome = if self.store_is_broken {
                        Outcome::Failed(store::Error {
                            path: "subscribers.redb".into(),
                            fault: store::Fault::Closed,
                        })
                    } else {
                        self.store(operation)
                    };
                    self.node.handle_input(now, Input::Store { id, outcome });
                }
                Output::Journal(records) => self.journal.extend(records),
                Output::Admin {
                    reply: admin::Reply::Mrf(reply),
                    ..
                } => self.said = Some(reply),
                Output::Admin { .. } => {}
            }
        }
    }

    fn own_ip(&self, peer: SocketAddr) -> std::net::IpAddr {
        let own = self.config.sip.iter().chain(&self.config.diameter);
        own.map(SocketAddr::ip)
            .find(|ip| ip.is_ipv6() == peer.is_ipv6())
            .expect("the process has an address of the family it connects to")
    }
}

/// Puts a subscriber into a store.
fn put(store: &mut MemoryStore, subscriber: Subscriber) {
    let (subscriber, mode) = (Box::new(subscriber), PutMode::CreateOrReplace);
    let outcome = store
        .execute(vec![Operation::Put { subscriber, mode }])
        .swap_remove(0);
    assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
}

impl sim::Host for ControlHost {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        if let Some(socket) = self.socket_of(local) {
            self.feed(
                now,
                Input::Datagram {
                    socket,
                    source: remote,
                    bytes,
                },
            );
        }
    }

    fn handle_stream(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        event: StreamEvent<'_>,
    ) {
        let key = (local, remote);
        match event {
            StreamEvent::Accepted => {
                let Some(service) = self.service_of(local) else {
                    return;
                };
                let stream = self.node.handle_accepted(now, service, remote);
                self.streams.insert(key, stream);
                self.ends.insert(stream, key);
                self.drain(now);
            }
            StreamEvent::Connected | StreamEvent::Refused => {
                let at = self.connecting.iter().position(|(_, peer)| *peer == remote);
                let Some((stream, _)) = at.and_then(|at| self.connecting.remove(at)) else {
                    return;
                };
                let waiting = self.waiting.remove(&stream).unwrap_or_default();
                if event == StreamEvent::Refused {
                    return self.feed(now, Input::Closed(stream));
                }
                self.streams.insert(key, stream);
                self.ends.insert(stream, key);
                for bytes in waiting {
                    self.transmits.push_back(Transmit::Stream {
                        local,
                        remote,
                        bytes,
                    });
                }
                self.feed(now, Input::Connected(stream));
            }
            StreamEvent::Received(bytes) => {
                if let Some(&stream) = self.streams.get(&key) {
                    self.feed(now, Input::Received { stream, bytes });
                }
            }
            StreamEvent::Closed => {
                if let Some(stream) = self.streams.remove(&key) {
                    self.ends.remove(&stream);
                    self.feed(now, Input::Closed(stream));
                }
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
        self.drain(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.node.next_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn listens(&self, local: SocketAddr) -> bool {
        self.service_of(local).is_some()
    }
}
