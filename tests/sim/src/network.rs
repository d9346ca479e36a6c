//! The network: nodes, links, and the events between them in the order of time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base::{Entropy, Instant};

use crate::host::{Host, StreamEvent, Transmit};
use crate::link::Link;
use crate::stream::{EndKey, Segment, Streams};

/// Names a node of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// Nodes of type `H` (an enum or a `Box<dyn Host>` where they differ) and what is between them.
///
/// Calls cost O(log events) and O(nodes) for each event.
pub struct Network<H: Host> {
    seed: u64,
    entropy: Entropy,
    now: Instant,
    nodes: Vec<Node<H>>,
    addresses: BTreeMap<IpAddr, NodeId>,
    link: Link,
    links: BTreeMap<(NodeId, NodeId), Link>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    streams: Streams,
    /// Segments that arrived at a cut, in the order they did.
    stalled: Vec<Event>,
    events: BinaryHeap<Reverse<Event>>,
    sequence: u64,
    /// Steps since time last moved.
    steps: usize,
    counters: Counters,
    log: VecDeque<String>,
    recording: Option<Vec<Recorded>>,
}

struct Node<H> {
    name: String,
    /// `None` while crashed or without power.
    host: Option<H>,
    /// Its operating system answers.
    has_power: bool,
}

/// What happened to datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Handed to a node, doubled ones counted twice.
    pub delivered: u64,
    /// Lost on a link.
    pub lost: u64,
    /// Sent to nobody, to a node that is down, or into a cut.
    pub unreachable: u64,
}

/// Something that a node sent, as it was before the links did anything to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When.
    pub at: Instant,
    /// From.
    pub local: SocketAddr,
    /// To.
    pub remote: SocketAddr,
    /// On a stream, else as a datagram.
    pub is_stream: bool,
    /// A datagram, or what was written to a stream at once.
    pub bytes: Vec<u8>,
}

/// An arrival, ordered by time and then by when it was sent.
struct Event {
    at: Instant,
    sequence: u64,
    delivery: Delivery,
}

struct Delivery {
    from: NodeId,
    local: SocketAddr,
    remote: SocketAddr,
    content: Content,
}

enum Content {
    Datagram(Vec<u8>),
    Segment { stream: u64, segment: Segment },
}

/// Time after which an attempt to open a stream to nobody ends.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest portion in which octets of a stream arrive.
const SEGMENT_BYTES_MAX: u64 = 1460;

/// Steps at one instant after which a node is taken to spin.
const STEPS_PER_INSTANT_MAX: usize = 1_000_000;

/// Events printed when a test panics.
const LOG_LINES_MAX: usize = 60;

impl<H: Host> Network<H> {
    /// A network without nodes, in 2026, whose links are [`Link::PERFECT`].
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            entropy: Entropy::from_u64(seed),
            now: Instant::from_secs(1_767_225_600),
            nodes: Vec::new(),
            addresses: BTreeMap::new(),
            link: Link::PERFECT,
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            streams: Streams::default(),
            stalled: Vec::new(),
            events: BinaryHeap::new(),
            sequence: 0,
            steps: 0,
            counters: Counters::default(),
            log: VecDeque::new(),
            recording: None,
        }
    }

    /// Adds a node that owns all ports of these addresses. What it has to send goes out at once.
    ///
    /// # Panics
    /// When an address is another node's.
    pub fn add(&mut self, name: &str, addresses: &[IpAddr], host: H) -> NodeId {
        let id = NodeId(self.nodes.len());
        for &address in addresses {
            let before = self.addresses.insert(address, id);
            assert!(before.is_none(), "{address} has a node already");
        }
        self.nodes.push(Node {
            name: name.to_owned(),
            host: Some(host),
            has_power: true,
        });
        self.drain(id);
        id
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The seed: what tells one run from another.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What happened to datagrams so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Records from now on what nodes send.
    pub fn record(&mut self) {
        self.recording.get_or_insert_default();
    }

    /// What was recorded so far; recording goes on anew.
    pub fn take_recorded(&mut self) -> Vec<Recorded> {
        self.recording
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Has a datagram arrive now that says it comes from `source`, whoever has that address.
    pub fn inject(&mut self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        let Some(to) = self.node_of(destination) else {
            panic!("{destination} is nobody's address");
        };
        let from = self.node_of(source).unwrap_or(to);
        let content = Content::Datagram(bytes.to_vec());
        self.push(self.now, from, source, destination, content);
    }

    /// Has octets follow what the node at `local` has written to its open stream with `remote`.
    pub fn inject_on_stream(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let open = self.streams.end((local, remote)).filter(|end| end.is_open);
        if let Some(stream) = open.map(|end| end.id) {
            self.send_bytes((local, remote), stream, bytes);
        }
    }

    /// Whether a node is up.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes[node.0].host.is_some()
    }

    /// A node that is up.
    ///
    /// # Panics
    /// When it is down.
    pub fn host(&self, node: NodeId) -> &H {
        let Node { name, host, .. } = &self.nodes[node.0];
        match host {
            Some(host) => host,
            None => panic!("{name} is down"),
        }
    }

    /// Lets the test act on a node; what the node has to send then goes out.
    ///
    /// # Panics
    /// When it is down.
    pub fn with<R>(&mut self, node: NodeId, act: impl FnOnce(&mut H, Instant) -> R) -> R {
        let now = self.now;
        let Node { name, host, .. } = &mut self.nodes[node.0];
        let result = match host {
            Some(host) => act(host, now),
            None => panic!("{name} is down"),
        };
        self.drain(node);
        result
    }

    /// The link between all nodes that have none of their own.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    /// The link from one node to another, one way.
    pub fn set_link_between(&mut self, from: NodeId, to: NodeId, link: Link) {
        self.links.insert((from, to), link);
    }

    /// Cuts every node of `these` off from every node of `those`, both ways. Datagrams are lost;
    /// octets of streams wait.
    pub fn cut(&mut self, these: &[NodeId], those: &[NodeId]) {
        for &one in these {
            for &other in those {
                self.cuts.insert((one, other));
                self.cuts.insert((other, one));
            }
        }
    }

    /// Ends all cuts.
    pub fn heal(&mut self) {
        self.cuts.clear();
        let now = self.now;
        // Under their old sequence they stay before all that was sent after them.
        let stalled = self.stalled.drain(..);
        self.events
            .extend(stalled.map(|event| Reverse(Event { at: now, ..event })));
    }

    /// Breaks every stream between two nodes, as something between them that resets it would: both
    /// are told, and what is on the way is lost.
    pub fn break_streams(&mut self, one: NodeId, other: NodeId) {
        for (from, to) in [(one, other), (other, one)] {
            for ((local, remote), stream) in self.ends_of(to) {
                if self.node_of(remote) == Some(from) {
                    let segment = Segment::Fin;
                    let content = Content::Segment { stream, segment };
                    self.push(self.now, from, remote, local, content);
                }
            }
        }
    }

    /// Ends the process of a node. Its operating system closes its streams.
    pub fn crash(&mut self, node: NodeId) -> Option<H> {
        for (key, stream) in self.ends_of(node) {
            self.send_segment(key, stream, Segment::Fin);
            self.streams.remove(key);
        }
        self.nodes[node.0].host.take()
    }

    /// Takes a node's power. Nobody is told; its streams are found broken when they are next used.
    pub fn power_off(&mut self, node: NodeId) -> Option<H> {
        for (key, _) in self.ends_of(node) {
            self.streams.remove(key);
        }
        self.nodes[node.0].has_power = false;
        self.nodes[node.0].host.take()
    }

    /// Puts a node in the place of one that is down.
    ///
    /// # Panics
    /// When it is up.
    pub fn restart(&mut self, node: NodeId, host: H) {
        let place = &mut self.nodes[node.0];
        assert!(place.host.is_none(), "{} is up", place.name);
        place.host = Some(host);
        place.has_power = true;
        self.drain(node);
    }

    /// Runs to `end`.
    ///
    /// # Panics
    /// When a node spins.
    pub fn run_until(&mut self, end: Instant) {
        while self.advance(end) {}
    }

    /// Runs for a while.
    ///
    /// # Panics
    /// When a node spins.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Runs until `is_met`, which is asked after every step. True if it was within `limit`.
    ///
    /// # Panics
    /// When a node spins.
    #[must_use]
    pub fn run_until_met(&mut self, limit: Duration, is_met: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !is_met(self) {
            if !self.advance(end) {
                return is_met(self);
            }
        }
        true
    }

    /// Moves to the next event and does it. At `end`, when there is none before, false.
    fn advance(&mut self, end: Instant) -> bool {
        let Some(at) = self.next_event().filter(|&at| at <= end) else {
            self.now = self.now.max(end);
            return false;
        };
        self.steps = if at > self.now { 0 } else { self.steps + 1 };
        assert!(
            self.steps < STEPS_PER_INSTANT_MAX,
            "time stands still: a node spins"
        );
        self.now = self.now.max(at);
        self.step();
        true
    }

    /// When the next arrival or timeout is due.
    fn next_event(&self) -> Option<Instant> {
        let timeouts = self
            .nodes
            .iter()
            .filter_map(|node| node.host.as_ref()?.next_timeout());
        let arrival = self.events.peek().map(|Reverse(event)| event.at);
        timeouts.chain(arrival).min()
    }

    /// One arrival that is due, else all timeouts that are.
    fn step(&mut self) {
        let now = self.now;
        if self
            .events
            .peek()
            .is_some_and(|Reverse(event)| event.at <= now)
        {
            if let Some(Reverse(event)) = self.events.pop() {
                self.deliver(event);
            }
            return;
        }
        for index in 0..self.nodes.len() {
            if let Some(host) = &mut self.nodes[index].host
                && host.next_timeout().is_some_and(|at| at <= now)
            {
                host.handle_timeout(now);
                self.drain(NodeId(index));
            }
        }
    }

    fn node_of(&self, address: SocketAddr) -> Option<NodeId> {
        self.addresses.get(&address.ip()).copied()
    }

    fn link_between(&self, from: NodeId, to: NodeId) -> Link {
        *self.links.get(&(from, to)).unwrap_or(&self.link)
    }

    fn ends_of(&self, node: NodeId) -> Vec<(EndKey, u64)> {
        self.streams
            .of(|address| self.node_of(address) == Some(node))
    }

    /// Sends what a node has to send.
    fn drain(&mut self, node: NodeId) {
        while let Some(host) = &mut self.nodes[node.0].host
            && let Some(transmit) = host.poll_transmit()
        {
            self.transmit(node, transmit);
        }
    }

    fn transmit(&mut self, node: NodeId, transmit: Transmit) {
        self.take_down(&transmit);
        match transmit {
            Transmit::Datagram {
                local,
                remote,
                bytes,
            } => self.send_datagram(node, local, remote, bytes),
            Transmit::Connect { local, remote } => self.connect(node, local, remote),
            Transmit::Stream {
                local,
                remote,
                bytes,
            } => {
                let key = (local, remote);
                let end = self.streams.end(key).filter(|end| end.is_open);
                if let Some(stream) = end.map(|end| end.id) {
                    self.send_bytes(key, stream, &bytes);
                }
            }
            Transmit::Close { local, remote } => {
                let key = (local, remote);
                if let Some(stream) = self.streams.end(key).map(|end| end.id) {
                    self.send_segment(key, stream, Segment::Fin);
                    self.streams.remove(key);
                }
            }
        }
    }

    fn take_down(&mut self, transmit: &Transmit) {
        let (local, remote, bytes, is_stream) = match transmit {
            Transmit::Datagram {
                local,
                remote,
                bytes,
            } => (local, remote, bytes, false),
            Transmit::Stream {
                local,
                remote,
                bytes,
            } => (local, remote, bytes, true),
            Transmit::Connect { .. } | Transmit::Close { .. } => return,
        };
        if let Some(recording) = &mut self.recording {
            recording.push(Recorded {
                at: self.now,
                local: *local,
                remote: *remote,
                is_stream,
                bytes: bytes.clone(),
            });
        }
    }

    fn connect(&mut self, node: NodeId, local: SocketAddr, remote: SocketAddr) {
        let Some(stream) = self.streams.open((local, remote)) else {
            panic!("{local} and {remote} have a stream already: take another port");
        };
        self.send_segment((local, remote), stream, Segment::Syn);
        // The timer of the attempt: it means nothing after an answer.
        let segment = Segment::Refuse;
        let content = Content::Segment { stream, segment };
        self.push(self.now + CONNECT_TIMEOUT, node, remote, local, content);
    }

    fn send_datagram(
        &mut self,
        node: NodeId,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: Vec<u8>,
    ) {
        let Some(to) = self.node_of(remote) else {
            self.counters.unreachable += 1;
            return self.note(format_args!("{local} → {remote}: no such node"));
        };
        let arrivals = self.link_between(node, to).arrivals(&mut self.entropy);
        if arrivals == [None, None] {
            self.counters.lost += 1;
            self.note(format_args!(
                "{local} → {remote}: {} octets lost",
                bytes.len()
            ));
        }
        for after in arrivals.into_iter().flatten() {
            let content = Content::Datagram(bytes.clone());
            self.push(self.now + after, node, local, remote, content);
        }
    }

    /// Octets arrive in portions that are not those they were sent in.
    fn send_bytes(&mut self, key: EndKey, stream: u64, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let bound = SEGMENT_BYTES_MAX.min(rest.len() as u64);
            let portion = match self.entropy.chance(500) {
                true => bound,
                false => self.entropy.below(bound) + 1,
            };
            let (segment, left) = rest.split_at(portion as usize);
            self.send_segment(key, stream, Segment::Bytes(segment.to_vec()));
            rest = left;
        }
    }

    /// Sends from the end at `key` to the other, behind all it sent before.
    fn send_segment(&mut self, (local, remote): EndKey, stream: u64, segment: Segment) {
        let (Some(from), Some(to)) = (self.node_of(local), self.node_of(remote)) else {
            return;
        };
        let link = self.link_between(from, to);
        let mut at = self.now + link.stream_delay(&mut self.entropy);
        if let Some(end) = self.streams.end_of((local, remote), stream) {
            at = at.max(end.last_arrival);
            end.last_arrival = at;
        }
        self.push(
            at,
            from,
            local,
            remote,
            Content::Segment { stream, segment },
        );
    }

    fn push(
        &mut self,
        at: Instant,
        from: NodeId,
        remote: SocketAddr,
        local: SocketAddr,
        content: Content,
    ) {
        self.sequence += 1;
        self.events.push(Reverse(Event {
            at,
            sequence: self.sequence,
            delivery: Delivery {
                from,
                local,
                remote,
                content,
            },
        }));
    }

    fn deliver(&mut self, event: Event) {
        let Delivery {
            from,
            local,
            remote,
            ..
        } = event.delivery;
        let Some(node) = self.node_of(local) else {
            return;
        };
        let cut = self.cuts.contains(&(from, node));
        match event.delivery.content {
            Content::Datagram(bytes) => self.deliver_datagram(node, cut, local, remote, &bytes),
            Content::Segment { .. } if cut => self.stalled.push(event),
            Content::Segment { stream, segment } => {
                self.deliver_segment(node, (local, remote), stream, segment);
            }
        }
    }

    fn deliver_datagram(
        &mut self,
        node: NodeId,
        cut: bool,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        let now = self.now;
        let length = bytes.len();
        match &mut self.nodes[node.0].host {
            Some(host) if !cut => {
                host.handle_datagram(now, local, remote, bytes);
                self.counters.delivered += 1;
                self.note(format_args!("{remote} → {local}: {length} octets"));
                self.drain(node);
            }
            _ => {
                self.counters.unreachable += 1;
                self.note(format_args!("{remote} → {local}: unreachable"));
            }
        }
    }

    fn deliver_segment(&mut self, node: NodeId, key: EndKey, stream: u64, segment: Segment) {
        let (local, remote) = key;
        let Node {
            host, has_power, ..
        } = &self.nodes[node.0];
        if !has_power {
            return;
        }
        let listens = host.as_ref().is_some_and(|host| host.listens(local));
        let end = self.streams.end_of(key, stream);
        let is_open = end.map(|end| end.is_open);
        match (segment, is_open) {
            (Segment::Syn, _) if listens => {
                if self.streams.accept(key, stream) {
                    self.hand_over(node, local, remote, StreamEvent::Closed);
                }
                self.send_segment(key, stream, Segment::SynAck);
                self.hand_over(node, local, remote, StreamEvent::Accepted);
            }
            (Segment::Syn, _) => self.send_segment(key, stream, Segment::Refuse),
            (Segment::SynAck, Some(false)) => {
                if let Some(end) = self.streams.end_of(key, stream) {
                    end.is_open = true;
                }
                self.hand_over(node, local, remote, StreamEvent::Connected);
            }
            (Segment::Refuse | Segment::Fin, Some(false)) => {
                self.streams.remove(key);
                self.hand_over(node, local, remote, StreamEvent::Refused);
            }
            (Segment::Bytes(bytes), Some(true)) => {
                self.hand_over(node, local, remote, StreamEvent::Received(&bytes));
            }
            (Segment::Fin, Some(true)) => {
                self.streams.remove(key);
                self.hand_over(node, local, remote, StreamEvent::Closed);
            }
            // This end is closed: the other is to know.
            (Segment::SynAck | Segment::Bytes(_), None) => {
                self.send_segment(key, stream, Segment::Fin);
            }
            (Segment::Refuse | Segment::Fin, _)
            | (Segment::SynAck, Some(true))
            | (Segment::Bytes(_), Some(false)) => {}
        }
    }

    fn hand_over(
        &mut self,
        node: NodeId,
        local: SocketAddr,
        remote: SocketAddr,
        event: StreamEvent<'_>,
    ) {
        match event {
            StreamEvent::Received(bytes) => {
                let length = bytes.len();
                self.note(format_args!(
                    "{remote} → {local}: {length} octets of stream"
                ));
            }
            event => self.note(format_args!("{remote} → {local}: {event:?}")),
        }
        if let Some(host) = &mut self.nodes[node.0].host {
            host.handle_stream(self.now, local, remote, event);
            self.drain(node);
        }
    }

    fn note(&mut self, line: std::fmt::Arguments<'_>) {
        if self.log.len() == LOG_LINES_MAX {
            self.log.pop_front();
        }
        self.log.push_back(format!("{:?} {line}", self.now));
    }
}

impl<H: Host> Drop for Network<H> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in &self.log {
                eprintln!("{line}");
            }
            eprintln!("virtual network of seed {} at {:?}", self.seed, self.now);
        }
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}
