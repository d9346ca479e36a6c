//! What every packet back-end must do, and the rigs to try it on.

#[cfg(feature = "dpdk")]
mod dpdk;
#[cfg(feature = "dpdk")]
pub use dpdk::dpdk_rig;

use crate::namespace::{Pair, Way};
use base::Instant;
use dataplane::io::{af_xdp, sim, udp};
use dataplane::{
    BURST_MAX, Backend, Burst, DropCounts, DropReason, Endpoint, FlowId, Frame, HEADROOM_BYTES,
    LocalAddress, LocalAddresses, Outgoing, PAYLOAD_BYTES_MAX, PacketIo,
};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use udp_batch::{Epoll, Events, ReceiveBatch, SendBatch, Socket};

/// A back-end with one worker, and somebody on the other side.
pub struct Rig {
    pub backend: Backend,
    pub other_side: Box<dyn OtherSide>,
    /// A destination of the other side's family that the network refuses.
    pub refused: SocketAddr,
    open: Vec<FlowId>,
}

/// A host on the network of the back-end, with one address and port.
pub trait OtherSide {
    fn address(&self) -> SocketAddr;
    fn send(&mut self, to: SocketAddr, payload: &[u8]);
    /// Marks what is sent from now on.
    fn mark(&mut self, traffic_class: u8);
    /// Waits for the next datagram a short time: source and payload.
    fn receive(&mut self) -> Option<(SocketAddr, Vec<u8>)>;
    /// DSCP and ECN of the datagram received last.
    fn traffic_class(&self) -> u8;
}

/// Ports of the rigs: enough to have several flows.
const PORTS: u16 = 8;

/// What holds, and how it is tried.
pub type Property = (&'static str, fn(Rig));

/// The properties, each on a rig of its own.
pub const PROPERTIES: &[Property] = &[
    ("a datagram arrives in place with all about it", arrives),
    ("what is sent comes from the flow's port, unchanged", sends),
    ("what is sent is marked", marks),
    ("marks are told when asked for", tells_marks),
    ("a payload can be changed in place", changes_in_place),
    (
        "a burst is bounded and nothing is lost or reordered",
        bursts_are_bounded,
    ),
    (
        "a datagram beyond a frame is counted and others are not hurt",
        counts_truncated,
    ),
    ("frames are neither lost nor made", frames_are_conserved),
    (
        "without frames datagrams are counted, and later ones arrive",
        counts_no_frame,
    ),
    (
        "alloc keeps to count, capacity and pool",
        alloc_keeps_to_its_limits,
    ),
    (
        "what the network refuses is counted and its frame kept",
        counts_refused,
    ),
    (
        "a closed flow gives its endpoint back once and receives nothing",
        closes,
    ),
    ("a flow can be opened again", opens_again),
    (
        "what came while a flow was closed does not reach its next use",
        forgets_what_came_between,
    ),
    ("a wait ends", wait_ends),
];

impl Rig {
    fn io(&mut self) -> &mut dyn PacketIo {
        &mut *self.backend.ios[0]
    }

    fn local(&self, flow: FlowId) -> SocketAddr {
        self.backend.addresses.local(flow).unwrap()
    }

    /// Opens the flow with this number, on both sides of the back-end.
    fn open(&mut self, number: u32) -> FlowId {
        let flow = FlowId(number);
        let local = self.local(flow);
        let endpoint = self.backend.endpoints.open(flow, local).unwrap();
        self.open.push(flow);
        self.io().open(flow, endpoint, &mut DropCounts::default());
        flow
    }

    fn close(&mut self, flow: FlowId) -> Option<Endpoint> {
        let is_open = self.open.iter().position(|open| *open == flow);
        let keep = is_open.is_some_and(|index| {
            self.open.remove(index);
            self.backend.endpoints.stop(flow)
        });
        self.io().close(flow, keep)
    }

    /// Receives until there are `count` or nothing comes for a while.
    fn receive(&mut self, burst: &mut Burst, drops: &mut DropCounts, count: usize) {
        for _ in 0..100 {
            self.io().rx_burst(NOW, burst, drops);
            if burst.len() >= count {
                return;
            }
            self.io().wait(Some(Duration::from_millis(2)));
        }
    }

    /// Waits for the next datagram at the other side: source and payload. The back-end has its
    /// turns meanwhile, which it may need to find a neighbour.
    fn arrived(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        for _ in 0..TURNS_MAX {
            let arrived = self.other_side.receive();
            if arrived.is_some() {
                return arrived;
            }
            let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
            self.io().rx_burst(NOW, &mut burst, &mut drops);
            let mut frames = burst.drain().map(|datagram| datagram.frame).collect();
            self.io().free(&mut frames);
        }
        None
    }

    /// Number of frames in the pool.
    fn frames(&mut self) -> usize {
        let mut frames = Vec::with_capacity(10_000);
        self.io().alloc(&mut frames, 10_000);
        let count = frames.len();
        self.io().free(&mut frames);
        count
    }

    fn outgoing(&mut self, local: FlowId, destination: SocketAddr, payload: &[u8]) -> Outgoing {
        let mut frames = Vec::with_capacity(1);
        self.io().alloc(&mut frames, 1);
        let mut frame = frames.pop().expect("a frame is free");
        assert!(frame.fill(payload));
        Outgoing {
            frame,
            local,
            destination,
            traffic_class: 0,
        }
    }
}

/// Turns in which what was sent arrives.
const TURNS_MAX: usize = 5;

const NOW: Instant = Instant::from_secs(1_800_000_000);

fn arrives(mut rig: Rig) {
    let flow = rig.open(3);
    let (local, from) = (rig.local(flow), rig.other_side.address());
    rig.other_side.send(local, b"hello");
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    rig.receive(&mut burst, &mut drops, 1);
    assert_eq!(burst.len(), 1);
    let datagram = &burst[0];
    assert_eq!(datagram.payload(), b"hello");
    assert_eq!(
        (datagram.flow, datagram.source, datagram.arrival),
        (flow, from, NOW)
    );
    assert!(datagram.frame.headroom() >= HEADROOM_BYTES);
    assert!(datagram.frame.tailroom() >= 64);
    assert_eq!(drops.total(), 0);
}

fn sends(mut rig: Rig) {
    let (a, b) = (rig.open(2), rig.open(5));
    let to = rig.other_side.address();
    let mut outgoing = Vec::new();
    for (flow, payload) in [(a, b"1".as_slice()), (a, b"22"), (b, b""), (a, b"4444")] {
        outgoing.push(rig.outgoing(flow, to, payload));
    }
    let mut drops = DropCounts::default();
    rig.io().tx_burst(&mut outgoing, &mut drops);
    assert!(outgoing.is_empty());
    assert_eq!(drops.total(), 0);
    let received: Vec<_> = std::iter::from_fn(|| rig.arrived()).collect();
    let (a, b) = (rig.local(a), rig.local(b));
    let expected: [(SocketAddr, &[u8]); 4] = [(a, b"1"), (a, b"22"), (b, b""), (a, b"4444")];
    assert_eq!(received.len(), 4);
    for ((source, payload), (from, bytes)) in received.iter().zip(expected) {
        assert_eq!((*source, &payload[..]), (from, bytes));
    }
}

fn marks(mut rig: Rig) {
    let (a, b) = (rig.open(2), rig.open(5));
    let to = rig.other_side.address();
    let sent = [(a, 46), (a, 46), (b, 8), (a, 0), (b, 8), (a, 46)];
    let (mut outgoing, mut drops) = (Vec::new(), DropCounts::default());
    for (flow, dscp) in sent {
        let unmarked = rig.outgoing(flow, to, &[dscp]);
        outgoing.push(Outgoing {
            traffic_class: dscp << 2,
            ..unmarked
        });
    }
    rig.io().tx_burst(&mut outgoing, &mut drops);
    for (_, dscp) in sent {
        let (_, payload) = rig.arrived().expect("it was sent");
        assert_eq!(
            (payload[0], rig.other_side.traffic_class()),
            (dscp, dscp << 2)
        );
    }
    assert_eq!(drops.total(), 0);
    // The next use of the port starts without.
    drop(rig.close(a));
    let flow = rig.open(2);
    let mut outgoing = vec![rig.outgoing(flow, to, b"new")];
    rig.io().tx_burst(&mut outgoing, &mut drops);
    assert!(rig.arrived().is_some());
    assert_eq!(rig.other_side.traffic_class(), 0);
}

fn tells_marks(mut rig: Rig) {
    let flow = rig.open(3);
    let local = rig.local(flow);
    rig.backend.endpoints.tell_marks(flow, true);
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    let marks = [46 << 2, 0, (8 << 2) + 1];
    for mark in marks {
        rig.other_side.mark(mark);
        rig.other_side.send(local, b"marked");
    }
    rig.receive(&mut burst, &mut drops, marks.len());
    let told: Vec<u8> = burst
        .iter()
        .map(|datagram| datagram.traffic_class)
        .collect();
    assert_eq!(told, marks);
}

fn changes_in_place(mut rig: Rig) {
    let flow = rig.open(0);
    let (local, to) = (rig.local(flow), rig.other_side.address());
    rig.other_side.send(local, b"....relay me");
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    rig.receive(&mut burst, &mut drops, 1);
    let mut frame = burst.drain().next().unwrap().frame;
    frame.payload_mut()[4] = b'R';
    let start = frame.headroom() + 4;
    assert!(frame.set_payload(start, 8));
    let mut outgoing = vec![Outgoing {
        frame,
        local: flow,
        destination: to,
        traffic_class: 0,
    }];
    rig.io().tx_burst(&mut outgoing, &mut drops);
    assert_eq!(rig.arrived().unwrap().1, b"Relay me");
}

fn bursts_are_bounded(mut rig: Rig) {
    let flows = [rig.open(0), rig.open(1), rig.open(2)];
    let total = 2 * BURST_MAX + 7;
    for number in 0..total {
        let local = rig.local(flows[number % 3]);
        rig.other_side.send(local, &(number as u32).to_be_bytes());
    }
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    let mut last = [None; 3];
    let mut received = 0;
    while received < total {
        rig.receive(&mut burst, &mut drops, 1);
        assert!((1..=BURST_MAX).contains(&burst.len()), "after {received}");
        received += burst.len();
        let mut frames: Vec<Frame> = Vec::new();
        for datagram in burst.drain() {
            let number = u32::from_be_bytes(datagram.payload().try_into().unwrap());
            let last = &mut last[flows
                .iter()
                .position(|flow| *flow == datagram.flow)
                .unwrap()];
            assert!(last.is_none_or(|last| last < number));
            *last = Some(number);
            frames.push(datagram.frame);
        }
        rig.io().free(&mut frames);
    }
    assert_eq!(drops.total(), 0);
    // A full burst takes nothing more.
    rig.other_side
        .send(rig.backend.addresses.local(flows[0]).unwrap(), b"late");
    let mut full = Burst::new();
    let mut frames = Vec::with_capacity(BURST_MAX);
    rig.io().alloc(&mut frames, BURST_MAX);
    for frame in frames {
        let datagram = dataplane::Datagram::new(frame, flows[0], rig.refused, NOW);
        assert!(full.push(datagram).is_ok());
    }
    rig.io().rx_burst(NOW, &mut full, &mut drops);
    assert_eq!(full.len(), BURST_MAX);
    rig.receive(&mut burst, &mut drops, 1);
    assert_eq!(burst[0].payload(), b"late");
}

fn counts_truncated(mut rig: Rig) {
    let flow = rig.open(1);
    let local = rig.local(flow);
    rig.other_side.send(local, &[1; PAYLOAD_BYTES_MAX + 1]);
    rig.other_side.send(local, &[2; PAYLOAD_BYTES_MAX]);
    rig.other_side.send(local, &[3; 3]);
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    rig.receive(&mut burst, &mut drops, 2);
    assert_eq!(drops.of(DropReason::Truncated), 1);
    assert_eq!(drops.total(), 1);
    assert_eq!(burst[0].payload(), [2; PAYLOAD_BYTES_MAX]);
    assert_eq!(burst[1].payload(), [3; 3]);
}

fn frames_are_conserved(mut rig: Rig) {
    let flow = rig.open(1);
    let (local, to) = (rig.local(flow), rig.other_side.address());
    let before = rig.frames();
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    for round in 0..before.div_ceil(3) + 10 {
        rig.other_side.send(local, &[0; PAYLOAD_BYTES_MAX + 1]);
        for _ in 0..3 {
            rig.other_side.send(local, b"x");
        }
        rig.receive(&mut burst, &mut drops, 3);
        assert_eq!(burst.len(), 3, "round {round}");
        let mut frames: Vec<Frame> = burst.drain().map(|datagram| datagram.frame).collect();
        let sent = frames.pop().map(|frame| Outgoing {
            frame,
            local: flow,
            destination: to,
            traffic_class: 0,
        });
        let refused = frames.pop().map(|frame| Outgoing {
            frame,
            local: flow,
            destination: rig.refused,
            traffic_class: 0,
        });
        let mut outgoing: Vec<Outgoing> = sent.into_iter().chain(refused).collect();
        rig.io().tx_burst(&mut outgoing, &mut drops);
        rig.io().free(&mut frames);
        rig.arrived().unwrap();
    }
    assert_eq!(rig.frames(), before);
}

fn counts_no_frame(mut rig: Rig) {
    let flow = rig.open(1);
    let local = rig.local(flow);
    let mut all = Vec::with_capacity(10_000);
    rig.io().alloc(&mut all, 10_000);
    rig.other_side.send(local, b"nowhere to go");
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    for _ in 0..100 {
        rig.io().rx_burst(NOW, &mut burst, &mut drops);
        if drops.total() > 0 {
            break;
        }
        rig.io().wait(Some(Duration::from_millis(2)));
    }
    assert_eq!((burst.len(), drops.of(DropReason::NoFrame)), (0, 1));
    rig.io().free(&mut all);
    rig.other_side.send(local, b"welcome");
    rig.receive(&mut burst, &mut drops, 1);
    assert_eq!(burst[0].payload(), b"welcome");
}

fn alloc_keeps_to_its_limits(mut rig: Rig) {
    let mut few = Vec::with_capacity(4);
    rig.io().alloc(&mut few, 2);
    assert_eq!(few.len(), 2);
    rig.io().alloc(&mut few, 100);
    assert_eq!(few.len(), few.capacity());
    let mut rest = Vec::with_capacity(10_000);
    rig.io().alloc(&mut rest, 10_000);
    let mut none = Vec::with_capacity(1);
    rig.io().alloc(&mut none, 1);
    assert!(none.is_empty());
    let total = few.len() + rest.len();
    rig.io().free(&mut few);
    rig.io().free(&mut rest);
    assert!(few.is_empty() && rest.is_empty());
    assert_eq!(rig.frames(), total);
}

fn counts_refused(mut rig: Rig) {
    let flow = rig.open(1);
    let (to, refused) = (rig.other_side.address(), rig.refused);
    let before = rig.frames();
    let mut outgoing = Vec::new();
    for destination in [to, refused, refused, to] {
        outgoing.push(rig.outgoing(flow, destination, b"x"));
    }
    let mut drops = DropCounts::default();
    rig.io().tx_burst(&mut outgoing, &mut drops);
    // Of what a neighbour is to be found for it is known later.
    let mut burst = Burst::new();
    for _ in 0..1000 {
        if drops.total() >= 2 {
            break;
        }
        rig.io().wait(Some(Duration::from_millis(2)));
        rig.io().rx_burst(NOW, &mut burst, &mut drops);
    }
    assert!(burst.is_empty());
    assert_eq!(drops.of(DropReason::TxRefused), 2);
    assert_eq!(drops.total(), 2);
    assert_eq!(std::iter::from_fn(|| rig.arrived()).count(), 2);
    assert_eq!(rig.frames(), before);
}

fn closes(mut rig: Rig) {
    let (flow, other) = (rig.open(0), rig.open(1));
    let kept = rig.backend.endpoints.kept();
    let given_back = rig.close(flow).is_some();
    assert_ne!(given_back, rig.backend.endpoints.kept() > kept);
    if given_back {
        assert!(rig.close(flow).is_none());
    }
    assert!(rig.io().close(FlowId(2), false).is_none());
    let (closed, open) = (rig.local(flow), rig.local(other));
    rig.other_side.send(closed, b"to a closed port");
    rig.other_side.send(open, b"to an open port");
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    rig.receive(&mut burst, &mut drops, 2);
    // A back-end may leave it to the worker to know what is open; it must not invent flows.
    assert!(
        burst
            .iter()
            .all(|datagram| [flow, other].contains(&datagram.flow))
    );
    assert!(
        burst
            .iter()
            .any(|datagram| datagram.payload() == b"to an open port")
    );
}

fn opens_again(mut rig: Rig) {
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    for round in 0..3_u8 {
        let flow = rig.open(4);
        let local = rig.local(flow);
        rig.other_side.send(local, &[round]);
        rig.receive(&mut burst, &mut drops, 1);
        let mut frames: Vec<Frame> = burst
            .drain()
            .map(|datagram| {
                assert_eq!(datagram.payload(), [round]);
                datagram.frame
            })
            .collect();
        assert_eq!(frames.len(), 1);
        rig.io().free(&mut frames);
        drop(rig.close(flow));
    }
}

fn forgets_what_came_between(mut rig: Rig) {
    let flow = rig.open(3);
    let local = rig.local(flow);
    drop(rig.close(flow));
    for late in 0..40_u8 {
        rig.other_side.send(local, &[late]);
    }
    // Time for them to be there.
    let _ = rig.other_side.receive();
    let endpoint = rig.backend.endpoints.open(flow, local).unwrap();
    let is_kept = matches!(endpoint, Endpoint::Kept);
    let mut drops = DropCounts::default();
    rig.io().open(flow, endpoint, &mut drops);
    if is_kept {
        assert_eq!(drops.of(DropReason::RestingPort), 40);
        assert_eq!(rig.backend.endpoints.kept(), 0);
        rig.other_side.send(local, b"new");
        let mut burst = Burst::new();
        rig.receive(&mut burst, &mut drops, 1);
        assert_eq!((burst.len(), burst[0].payload()), (1, &b"new"[..]));
    }
}

fn wait_ends(mut rig: Rig) {
    let flow = rig.open(0);
    let local = rig.local(flow);
    rig.io().wait(Some(Duration::from_millis(1)));
    rig.other_side.send(local, b"x");
    rig.io().wait(None);
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    rig.receive(&mut burst, &mut drops, 1);
    assert_eq!(burst.len(), 1);
    let waker = rig.io().waker();
    let waking = std::thread::spawn(move || waker.wake());
    rig.io().wait(None);
    waking.join().unwrap();
    // What woke it is no datagram, and does not keep it awake.
    let before = burst.len();
    rig.io().rx_burst(NOW, &mut burst, &mut drops);
    assert_eq!((burst.len(), drops.total()), (before, 0));
}

/// A rig on the simulated network.
pub fn sim_rig(local: IpAddr, other: SocketAddr) -> Rig {
    let addresses =
        LocalAddresses::new(&[LocalAddress::new(local, 20_000..=20_000 + PORTS - 1)]).unwrap();
    let (backend, mut network) = sim::backend(&addresses, 1, 128);
    let refused = SocketAddr::new(other.ip(), 9);
    network.refuse(Some(refused));
    Rig {
        backend,
        other_side: Box::new(SimHost {
            network,
            address: other,
            marks: 0,
            traffic_class: 0,
        }),
        refused,
        open: Vec::new(),
    }
}

struct SimHost {
    network: sim::Network,
    address: SocketAddr,
    marks: u8,
    traffic_class: u8,
}

impl OtherSide for SimHost {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        let (from, mark) = (self.address, self.marks);
        assert!(self.network.send_marked(0, from, to, payload, mark));
    }

    fn mark(&mut self, traffic_class: u8) {
        self.marks = traffic_class;
    }

    fn receive(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let packet = self.network.receive()?;
        assert_eq!(packet.destination, self.address);
        self.traffic_class = packet.traffic_class;
        Some((packet.source, packet.payload))
    }

    fn traffic_class(&self) -> u8 {
        self.traffic_class
    }
}

/// A rig of kernel sockets on the loopback interface.
pub fn udp_rig(local: IpAddr, kept_max: usize) -> Rig {
    let first = free_ports(local, PORTS);
    let addresses =
        LocalAddresses::new(&[LocalAddress::new(local, first..=first + PORTS - 1)]).unwrap();
    let config = udp::UdpConfig {
        kept_max,
        ..udp::UdpConfig::default()
    };
    let backend = udp::backend(&addresses, &config).unwrap();
    let socket = Socket::bind(SocketAddr::new(local, 0)).unwrap();
    // Broadcasting needs to be asked for; an IPv6 socket does not reach IPv4.
    let refused = match local {
        IpAddr::V4(_) => "255.255.255.255:9".parse().unwrap(),
        IpAddr::V6(_) => "[::ffff:127.0.0.1]:9".parse().unwrap(),
    };
    Rig {
        backend,
        other_side: Box::new(KernelHost::new(socket)),
        refused,
        open: Vec::new(),
    }
}

struct KernelHost {
    socket: Socket,
    epoll: Epoll,
    batch: ReceiveBatch,
    traffic_class: u8,
}

impl KernelHost {
    fn new(socket: Socket) -> Self {
        socket.receive_traffic_class(true).unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.add(&socket, 0).unwrap();
        Self {
            socket,
            epoll,
            batch: ReceiveBatch::new(1),
            traffic_class: 0,
        }
    }
}

impl OtherSide for KernelHost {
    fn address(&self) -> SocketAddr {
        self.socket.local_address().unwrap()
    }

    fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        // A closed port answers by an ICMP error; that is its own affair.
        SendBatch::new(1).send(&self.socket, &[(payload, to)]);
    }

    fn mark(&mut self, traffic_class: u8) {
        self.socket.set_traffic_class(traffic_class).unwrap();
    }

    fn receive(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let mut buffer = [[0; 4096]];
        for _ in 0..2 {
            if self.batch.receive(&self.socket, &mut buffer).ok()? == 1 {
                let message = self.batch.message(0);
                self.traffic_class = message.traffic_class;
                return Some((message.source, buffer[0][..message.bytes].to_vec()));
            }
            let pause = Some(Duration::from_millis(20));
            self.epoll.wait(&mut Events::new(1), pause).ok()?;
        }
        None
    }

    fn traffic_class(&self) -> u8 {
        self.traffic_class
    }
}

/// The first of so many consecutive ports, even, that are free at the moment.
pub fn free_ports(local: IpAddr, count: u16) -> u16 {
    let offset = (std::process::id() % 500) as u16 * 40;
    (0..400)
        .map(|step| 20_000 + (offset + step * count.next_multiple_of(2)) % 12_000)
        .find(|first| {
            (*first..first + count)
                .all(|port| UdpSocket::bind(SocketAddr::new(local, port)).is_ok())
        })
        .expect("the system has free ports")
}

/// A rig of an AF_XDP socket on one end of a veth pair, and a kernel socket on the other, each in a
/// network namespace; the calling thread stays in that of the back-end.
///
/// Needs root, and says so otherwise.
pub fn af_xdp_rig(pair: &Pair, way: Way, mode: af_xdp::Mode) -> Rig {
    let (local, other) = pair.addresses(way);
    pair.enter_near();
    let addresses =
        LocalAddresses::new(&[LocalAddress::new(local, 20_000..=20_000 + PORTS - 1)]).unwrap();
    let config = af_xdp::AfXdpConfig {
        interfaces: vec![af_xdp::InterfaceConfig {
            name: "near".into(),
            mode: Some(mode),
            ..af_xdp::InterfaceConfig::default()
        }],
        ring: 256,
        frames: af_xdp::FRAMES_MIN,
        ..af_xdp::AfXdpConfig::default()
    };
    let opened = af_xdp::open(&addresses, &config).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(opened.interfaces[0].mode, Some(mode));
    assert!(!opened.interfaces[0].queues[0].zero_copy);
    let socket = pair.in_far(|| Socket::bind(SocketAddr::new(other, 0)).unwrap());
    // No route leads there.
    let refused = match local {
        IpAddr::V4(_) => "203.0.113.9:9".parse().unwrap(),
        IpAddr::V6(_) => "[2001:db8:ffff::9]:9".parse().unwrap(),
    };
    Rig {
        backend: opened.backend,
        other_side: Box::new(KernelHost::new(socket)),
        refused,
        open: Vec::new(),
    }
}
