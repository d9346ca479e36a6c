//! What is particular to the `af_xdp` back-end: what it leaves to the kernel and asks it for.
//!
//! Needs root, iproute2 and network namespaces; where these are not to be had the tests fail and
//! say so.

mod namespace;

use base::Instant;
use dataplane::io::af_xdp::{self, AfXdpConfig, InterfaceConfig, SetupError};
use dataplane::{
    Backend, Burst, DropCounts, DropReason, FlowId, Frame, LocalAddress, LocalAddresses, Outgoing,
    PacketIo,
};
use namespace::{Pair, Way};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

const NOW: Instant = Instant::from_secs(1_800_000_000);
const FLOW: FlowId = FlowId(0);
const PORT: u16 = 20_000;

/// A back-end on the near end of a pair, and a kernel socket on the far end.
struct Rig {
    backend: Backend,
    far: UdpSocket,
    local: SocketAddr,
    drops: DropCounts,
    pair: Pair,
}

fn config(workers: usize) -> AfXdpConfig {
    AfXdpConfig {
        interfaces: vec![InterfaceConfig {
            name: "near".into(),
            ..InterfaceConfig::default()
        }],
        workers,
        ring: 256,
        frames: af_xdp::FRAMES_MIN,
        ..AfXdpConfig::default()
    }
}

fn addresses(ip: IpAddr) -> LocalAddresses {
    LocalAddresses::new(&[LocalAddress::new(ip, PORT..=PORT + 7)]).unwrap()
}

impl Rig {
    fn new(way: Way) -> Self {
        Self::with(Pair::new(1), way, 1)
    }

    fn with(pair: Pair, way: Way, workers: usize) -> Self {
        pair.enter_near();
        let (near, other) = pair.addresses(way);
        let opened = af_xdp::open(&addresses(near), &config(workers));
        let mut backend = opened.unwrap_or_else(|fault| panic!("{fault}")).backend;
        let far = pair.in_far(|| UdpSocket::bind((other, 0)).unwrap());
        far.set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let local = backend.addresses.local(FLOW).unwrap();
        let endpoint = backend.endpoints.open(FLOW, local).unwrap();
        for io in &mut backend.ios {
            io.open(FLOW, endpoint.clone(), &mut DropCounts::default());
        }
        Self {
            backend,
            far,
            local,
            drops: DropCounts::default(),
            pair,
        }
    }

    fn io(&mut self) -> &mut dyn PacketIo {
        &mut *self.backend.ios[0]
    }

    fn far_address(&self) -> SocketAddr {
        self.far.local_addr().unwrap()
    }

    /// Sends one datagram from the near end.
    fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        let mut frames: Vec<Frame> = Vec::with_capacity(1);
        self.io().alloc(&mut frames, 1);
        let mut frame = frames.pop().expect("a frame is free");
        assert!(frame.fill(payload));
        let mut outgoing = vec![Outgoing {
            frame,
            local: FLOW,
            destination: to,
            traffic_class: 0,
        }];
        let Self { backend, drops, .. } = self;
        backend.ios[0].tx_burst(&mut outgoing, drops);
    }

    /// What a worker receives within a short time.
    fn receive_by(&mut self, worker: usize) -> Vec<Vec<u8>> {
        let Self { backend, drops, .. } = self;
        let io = &mut backend.ios[worker];
        let mut burst = Burst::new();
        for _ in 0..3 {
            io.rx_burst(NOW, &mut burst, drops);
            if !burst.is_empty() {
                break;
            }
            io.wait(Some(Duration::from_millis(5)));
        }
        let mut payloads = Vec::new();
        let mut frames = Vec::new();
        for datagram in burst.drain() {
            payloads.push(datagram.payload().to_vec());
            frames.push(datagram.frame);
        }
        io.free(&mut frames);
        payloads
    }

    fn receive(&mut self) -> Vec<Vec<u8>> {
        self.receive_by(0)
    }

    fn arrives_far(&mut self) -> bool {
        let to = self.far_address();
        self.send(to, b"to the far end");
        let mut buffer = [0; 64];
        match self.far.recv_from(&mut buffer) {
            Ok((length, from)) => {
                assert_eq!(
                    (&buffer[..length], from),
                    (&b"to the far end"[..], self.local)
                );
                true
            }
            Err(_) => false,
        }
    }

    fn arrives_near(&mut self) -> bool {
        // Refused while the link is down.
        let _ = self.far.send_to(b"to the near end", self.local);
        self.receive() == [b"to the near end"]
    }

    /// Tries until something holds; the kernel takes its time over links and neighbours.
    fn eventually(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        for _ in 0..500 {
            if holds(self) {
                return;
            }
            self.receive();
        }
        panic!("in vain: {what}; drops: {:?}", self.drops);
    }

    /// Datagrams sent by the kernel of the near end.
    fn sent_by_kernel(&self, way: Way) -> u64 {
        let read = |path| std::fs::read_to_string(path).unwrap();
        match way {
            Way::V4 => {
                let text = read("/proc/thread-self/net/snmp");
                let lines: Vec<&str> = text
                    .lines()
                    .filter(|line| line.starts_with("Ip:"))
                    .collect();
                let place = lines[0]
                    .split(' ')
                    .position(|name| name == "OutRequests")
                    .unwrap();
                lines[1].split(' ').nth(place).unwrap().parse().unwrap()
            }
            Way::V6 => {
                let text = read("/proc/thread-self/net/snmp6");
                let line = text
                    .lines()
                    .find(|line| line.starts_with("Ip6OutRequests"))
                    .unwrap();
                line.split_whitespace().nth(1).unwrap().parse().unwrap()
            }
        }
    }
}

#[test]
fn once_the_neighbour_is_known_frames_go_past_the_kernel() {
    for way in [Way::V4, Way::V6] {
        let mut rig = Rig::new(way);
        rig.eventually("a frame past the kernel", |rig| {
            let before = rig.sent_by_kernel(way);
            rig.arrives_far() && rig.sent_by_kernel(way) == before
        });
        let before = rig.sent_by_kernel(way);
        for _ in 0..20 {
            assert!(rig.arrives_far());
        }
        // One may be the kernel's, that makes sure of the neighbour.
        assert!(rig.sent_by_kernel(way) <= before + 2);
        assert_eq!(rig.drops.total(), 0);
    }
}

#[test]
fn fragments_are_left_to_the_kernel() {
    for way in [Way::V4, Way::V6] {
        let mut rig = Rig::new(way);
        let kernel = UdpSocket::bind(rig.local).unwrap();
        kernel
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        // More than the MTU of 3 000.
        rig.far.send_to(&[7; 4000], rig.local).unwrap();
        let mut buffer = [0; 5000];
        assert_eq!(kernel.recv(&mut buffer).unwrap(), 4000);
        assert!(rig.arrives_near());
        assert!(rig.receive().is_empty());
    }
}

#[test]
fn other_ports_and_addresses_are_the_kernels() {
    let mut rig = Rig::new(Way::V4);
    for local in [
        SocketAddr::new(rig.local.ip(), PORT - 1),
        SocketAddr::new(rig.local.ip(), PORT + 8),
        SocketAddr::new(rig.pair.addresses(Way::V6).0, PORT),
    ] {
        let kernel = UdpSocket::bind(local).unwrap();
        kernel
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        let far = rig.pair.in_far(|| {
            let any = if local.is_ipv4() {
                "0.0.0.0:0"
            } else {
                "[::]:0"
            };
            UdpSocket::bind(any).unwrap()
        });
        far.send_to(b"kernel", local).unwrap();
        assert_eq!(kernel.recv(&mut [0; 16]).unwrap(), 6, "{local}");
    }
    assert!(rig.receive().is_empty());
    assert!(rig.arrives_near());
}

#[test]
fn a_neighbour_that_moves_is_followed() {
    for way in [Way::V4, Way::V6] {
        let mut rig = Rig::new(way);
        rig.eventually("the way is found", |rig| {
            let before = rig.sent_by_kernel(way);
            rig.arrives_far() && rig.sent_by_kernel(way) == before
        });
        let (_, far) = rig.pair.addresses(way);
        rig.pair.ip_far("link set far address 02:00:00:00:00:77");
        let neighbour = format!("neigh replace {far} dev near lladdr 02:00:00:00:00:77");
        rig.pair.ip_near(&format!("{neighbour} nud reachable"));
        rig.eventually("the new place is used, past the kernel", |rig| {
            let before = rig.sent_by_kernel(way);
            rig.arrives_far() && rig.sent_by_kernel(way) == before
        });
    }
}

#[test]
fn a_host_that_does_not_answer_is_counted_and_tried_again() {
    let mut rig = Rig::new(Way::V4);
    let nobody: SocketAddr = "192.0.2.200:4000".parse().unwrap();
    rig.eventually("nobody answers", |rig| {
        rig.send(nobody, b"anybody?");
        rig.drops.of(DropReason::TxRefused) > 0
    });
    rig.pair.ip_far("addr add 192.0.2.200/24 dev far");
    let late = rig.pair.in_far(|| UdpSocket::bind(nobody).unwrap());
    late.set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    rig.eventually("somebody came", |rig| {
        rig.send(nobody, b"and now?");
        late.recv(&mut [0; 16]).is_ok()
    });
    assert_eq!(rig.drops.total(), rig.drops.of(DropReason::TxRefused));
}

#[test]
fn routes_that_come_and_go_are_followed() {
    for way in [Way::V4, Way::V6] {
        let mut rig = Rig::new(way);
        let (_, router) = rig.pair.addresses(way);
        let (host, network): (SocketAddr, &str) = match way {
            Way::V4 => ("203.0.113.9:4000".parse().unwrap(), "203.0.113.0/24"),
            Way::V6 => ("[2001:db8:9::9]:4000".parse().unwrap(), "2001:db8:9::/48"),
        };
        rig.pair.ip_far(&format!("addr add {} dev lo", host.ip()));
        let socket = rig.pair.in_far(|| {
            loop {
                // An IPv6 address is usable a moment after it was added.
                if let Ok(socket) = UdpSocket::bind(host) {
                    break socket;
                }
            }
        });
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        rig.send(host, b"?");
        rig.eventually("it is refused", |rig| {
            rig.drops.of(DropReason::TxRefused) == 1
        });
        for round in 0..2 {
            rig.pair
                .ip_near(&format!("route add {network} via {router}"));
            rig.eventually("there is a way, past the kernel", |rig| {
                let before = rig.sent_by_kernel(way);
                rig.send(host, b"?");
                let arrived = socket.recv(&mut [0; 16]).is_ok();
                arrived && rig.sent_by_kernel(way) == before
            });
            rig.pair
                .ip_near(&format!("route del {network} via {router}"));
            let before = rig.drops.of(DropReason::TxRefused);
            rig.eventually("there is no way", |rig| {
                rig.send(host, b"?");
                rig.drops.of(DropReason::TxRefused) > before
            });
            while socket.recv(&mut [0; 16]).is_ok() {}
            assert_eq!(
                rig.drops.total(),
                rig.drops.of(DropReason::TxRefused),
                "round {round}"
            );
        }
    }
}

#[test]
fn a_link_that_was_down_works_again() {
    let mut rig = Rig::new(Way::V4);
    rig.eventually("it works", |rig| rig.arrives_far() && rig.arrives_near());
    for _ in 0..2 {
        rig.pair.ip_near("link set near down");
        rig.eventually("it is down", |rig| {
            let before = rig.drops.of(DropReason::TxRefused);
            !rig.arrives_far() && rig.drops.of(DropReason::TxRefused) > before
        });
        rig.pair.ip_near("link set near up");
        rig.eventually("it works again", |rig| {
            rig.arrives_far() && rig.arrives_near()
        });
    }
    // The other end's cable was pulled.
    rig.pair.ip_far("link set far down");
    rig.eventually("nothing arrives", |rig| !rig.arrives_far());
    rig.pair.ip_far("link set far up");
    rig.eventually("it works again", |rig| {
        rig.arrives_far() && rig.arrives_near()
    });
}

#[test]
fn a_datagram_with_a_wrong_checksum_is_counted() {
    for way in [Way::V4, Way::V6] {
        let mut rig = Rig::new(way);
        let (from, to) = (rig.far_address(), rig.local);
        let headers = inet::Headers::new(&from, &to).unwrap();
        let mut memory = [0; 128];
        let start = headers.write_packet_before(&mut memory, 64, 20).unwrap();
        let raw = rig.pair.in_far(|| ::af_xdp::RawSocket::open().unwrap());
        raw.send(&memory[start..84], from.ip(), to).unwrap();
        assert_eq!(rig.receive(), [[0; 20]]);
        memory[70] ^= 1;
        raw.send(&memory[start..84], from.ip(), to).unwrap();
        assert!(rig.receive().is_empty());
        assert_eq!(rig.drops.of(DropReason::Malformed), 1);
        assert_eq!(rig.drops.total(), 1);
    }
}

#[test]
fn a_datagram_beyond_the_mtu_is_refused_and_one_of_its_size_is_not() {
    let mut rig = Rig::new(Way::V4);
    rig.eventually("it works", Rig::arrives_far);
    rig.pair.ip_near("link set near mtu 1000");
    let to = rig.far_address();
    rig.eventually("the new MTU is known", |rig| {
        rig.send(to, &[1; 1000 - 28 + 1]);
        let arrived = rig.far.recv(&mut [0; 2000]).is_ok();
        !arrived && rig.drops.of(DropReason::TxRefused) > 0
    });
    rig.send(to, &[1; 1000 - 28]);
    assert_eq!(rig.far.recv(&mut [0; 2000]).unwrap(), 1000 - 28);
}

#[test]
fn every_queue_is_served_by_one_worker_or_by_several() {
    for workers in [1, 2] {
        let mut rig = Rig::with(Pair::new(4), Way::V4, workers);
        let mut senders = Vec::new();
        for _ in 0..64 {
            let (_, far) = rig.pair.addresses(Way::V4);
            senders.push(rig.pair.in_far(|| UdpSocket::bind((far, 0)).unwrap()));
        }
        for sender in &senders {
            sender.send_to(b"x", rig.local).unwrap();
        }
        let mut received = vec![0; workers];
        for _ in 0..10 {
            for (worker, received) in received.iter_mut().enumerate() {
                *received += rig.receive_by(worker).len();
            }
        }
        assert_eq!(
            received.iter().sum::<usize>(),
            senders.len(),
            "{received:?}"
        );
        assert!(
            received.iter().all(|received| *received > 0),
            "{received:?}"
        );
        assert!(rig.arrives_far());
    }
}

#[test]
fn a_back_end_that_ends_leaves_nothing_and_another_starts_at_once() {
    let mut rig = Rig::new(Way::V4);
    for _ in 0..3 {
        assert!(rig.pair.ip_near("-d link show near").contains("prog/xdp"));
        let Rig { backend, pair, .. } = rig;
        drop(backend);
        // A command that another test starts has its descriptors for a moment.
        let is_gone = |_| !pair.ip_near("-d link show near").contains("xdp");
        assert!((0..100).any(is_gone));
        rig = Rig::with(pair, Way::V4, 1);
        assert!(rig.arrives_near());
    }
}

#[test]
fn nothing_is_allocated_per_packet() {
    let mut rig = Rig::new(Way::V4);
    let (to, nobody) = (rig.far_address(), "203.0.113.9:9".parse().unwrap());
    rig.eventually("it works", |rig| rig.arrives_far() && rig.arrives_near());
    let Rig {
        backend,
        far,
        local,
        drops,
        ..
    } = &mut rig;
    let io = &mut *backend.ios[0];
    let mut burst = Burst::new();
    let mut outgoing = Vec::with_capacity(64);
    let mut frames = Vec::with_capacity(64);
    for round in 0..300_u32 {
        for _ in 0..8 {
            far.send_to(b"some payload", *local).unwrap();
        }
        let allocated = allocation_counter::measure(|| {
            io.wait(Some(Duration::from_millis(5)));
            io.rx_burst(NOW, &mut burst, drops);
            for datagram in burst.drain() {
                outgoing.push(Outgoing {
                    frame: datagram.frame,
                    local: FLOW,
                    // A way that has to be asked for anew each time, now and then.
                    destination: if round % 10 == 0 { nobody } else { to },
                    traffic_class: 0,
                });
            }
            io.tx_burst(&mut outgoing, drops);
            io.alloc(&mut frames, 16);
            io.free(&mut frames);
        });
        assert_eq!(allocated.count_total, 0, "round {round}");
        while far.recv(&mut [0; 16]).is_ok_and(|_| round % 50 == 0) {}
    }
}

#[test]
fn what_cannot_be_opened_is_named() {
    let pair = Pair::new(1);
    pair.enter_near();
    let (near, _) = pair.addresses(Way::V4);
    let fault =
        |addresses: &LocalAddresses, config: &AfXdpConfig| match af_xdp::open(addresses, config) {
            Ok(_) => panic!("it was opened"),
            Err(fault) => fault,
        };
    let ours = addresses(near);
    let mut wrong = config(1);
    wrong.interfaces[0].name = "absent".into();
    assert!(matches!(fault(&ours, &wrong), SetupError::NoInterface(name) if name == "absent"));
    assert!(matches!(
        fault(&ours, &config(2)),
        SetupError::TooFewQueues { queues: 1, .. }
    ));
    let theirs = addresses([192, 0, 2, 77].into());
    assert!(matches!(
        fault(&theirs, &config(1)),
        SetupError::NoAddress(_)
    ));
    let mut missing = config(1);
    missing.interfaces[0].queues = Some(vec![9]);
    assert!(matches!(fault(&ours, &missing), SetupError::Bind(_, 9, _)));
    let mut zero_copy = config(1);
    zero_copy.interfaces[0].copying = af_xdp::Copying::ZeroCopy;
    let refused = fault(&ours, &zero_copy);
    assert!(matches!(refused, SetupError::Bind(..)), "{refused}");
    let mut twice = config(1);
    twice.interfaces.push(twice.interfaces[0].clone());
    assert!(matches!(fault(&ours, &twice), SetupError::Misuse(_)));
    let mut ring = config(1);
    ring.ring = 100;
    assert!(matches!(fault(&ours, &ring), SetupError::Misuse(_)));
    // Nothing of all this stays.
    assert!(af_xdp::open(&ours, &config(1)).is_ok());
}

#[test]
fn without_privileges_what_is_open_goes_on() {
    let pair = Pair::new(1);
    let (near, other) = pair.addresses(Way::V4);
    let far = pair.in_far(|| UdpSocket::bind((other, 0)).unwrap());
    far.set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    // On a thread of its own: this one deletes the namespaces.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pair.enter_near();
            echo_without_privileges(near, &far);
        });
    });
}

fn echo_without_privileges(near: IpAddr, far: &UdpSocket) {
    let dropping = AfXdpConfig {
        drop_privileges: true,
        ..config(1)
    };
    let mut backend = af_xdp::open(&addresses(near), &dropping).unwrap().backend;
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    let local = backend.addresses.local(FLOW).unwrap();
    let endpoint = backend.endpoints.open(FLOW, local).unwrap();
    let io = &mut backend.ios[0];
    let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
    io.open(FLOW, endpoint, &mut drops);
    for _ in 0..20 {
        far.send_to(b"echo", local).unwrap();
        io.wait(Some(Duration::from_millis(100)));
        io.rx_burst(NOW, &mut burst, &mut drops);
        let mut outgoing: Vec<Outgoing> = burst
            .drain()
            .map(|datagram| Outgoing {
                destination: datagram.source,
                local: datagram.flow,
                frame: datagram.frame,
                traffic_class: 0,
            })
            .collect();
        io.tx_burst(&mut outgoing, &mut drops);
        assert_eq!(far.recv(&mut [0; 16]).unwrap(), 4);
    }
    assert_eq!(drops.total(), 0);
}
