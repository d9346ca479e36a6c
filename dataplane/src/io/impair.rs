//! An impaired network before any back-end: what comes is lost, doubled, late or overtaken.
//!
//! For tests and demonstrations: what a function makes of a bad network can be looked at without
//! one. The same seed and the same arrivals have the same fate.

use super::{Backend, Endpoint, Outgoing, PacketIo, Waker};
use crate::{BURST_MAX, Burst, Datagram, DropCounts, FlowId, Frame};
use base::{Entropy, Instant};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What happens to datagrams, to each by itself. The default is a perfect network.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Impairments {
    /// Of a thousand, how many never come.
    pub lost_per_mille: u16,
    /// Of a thousand, how many come twice.
    pub doubled_per_mille: u16,
    /// How long each is under way.
    pub delay: Duration,
    /// How much longer at most, each duration as likely: what is late is overtaken.
    pub jitter: Duration,
    /// Of a thousand, how many are late by [`Impairments::overtaken_by`] on top.
    pub overtaken_per_mille: u16,
    /// How late those are.
    pub overtaken_by: Duration,
}

/// Puts an impaired network before each of the back-end's queues. Up to [`HELD_MAX`] of a queue's
/// frames are on their way in it.
pub fn wrap(backend: Backend, impairments: Impairments, seed: u64) -> Backend {
    let ios = backend.ios.into_iter().enumerate();
    let impaired = |(worker, io): (usize, Box<dyn PacketIo>)| {
        Box::new(ImpairedIo {
            io,
            arriving: Burst::new(),
            line: Line {
                impairments,
                entropy: Entropy::from_u64(seed.wrapping_add(worker as u64)),
                held: BinaryHeap::with_capacity(HELD_MAX),
                numbered: 0,
                spare: Vec::with_capacity(2 * BURST_MAX),
            },
            now: Instant::ZERO,
        }) as Box<dyn PacketIo>
    };
    Backend {
        ios: ios.map(impaired).collect(),
        ..backend
    }
}

struct ImpairedIo {
    io: Box<dyn PacketIo>,
    /// Empty between calls.
    arriving: Burst,
    line: Line,
    /// When the last burst was received.
    now: Instant,
}

/// What lies between the senders and a queue.
struct Line {
    impairments: Impairments,
    entropy: Entropy,
    /// What is on its way, the next to come at the top.
    held: BinaryHeap<Reverse<Held>>,
    /// Datagrams that were held so far.
    numbered: u64,
    /// Frames of lost datagrams, and to copy into; empty between calls.
    spare: Vec<Frame>,
}

/// A datagram on its way.
struct Held {
    due: Instant,
    /// Among those due at once the first comes first.
    number: u64,
    datagram: Datagram,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl Line {
    /// Decides what becomes of a datagram.
    fn take(&mut self, now: Instant, datagram: Datagram, io: &mut dyn PacketIo) {
        let is_lost = self.happens(self.impairments.lost_per_mille);
        let is_doubled = self.happens(self.impairments.doubled_per_mille);
        if is_lost {
            return self.spare.push(datagram.frame);
        }
        if is_doubled && let Some(copy) = self.copy(&datagram, io) {
            self.hold(now, copy);
        }
        self.hold(now, datagram);
    }

    fn happens(&mut self, per_mille: u16) -> bool {
        self.entropy.chance(per_mille.into())
    }

    /// Puts a datagram on its way; where that is full, it is lost.
    fn hold(&mut self, now: Instant, datagram: Datagram) {
        if self.held.len() >= HELD_MAX {
            return self.spare.push(datagram.frame);
        }
        let Impairments {
            delay,
            jitter,
            overtaken_per_mille,
            overtaken_by,
            ..
        } = self.impairments;
        let jitter = u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(self.entropy.below(jitter.saturating_add(1)));
        let mut due = now + delay + jitter;
        if self.happens(overtaken_per_mille) {
            due += overtaken_by;
        }
        self.numbered += 1;
        self.held.push(Reverse(Held {
            due,
            number: self.numbered,
            datagram,
        }));
    }

    /// The next that has come.
    fn next(&mut self, now: Instant) -> Option<Datagram> {
        let is_due = self.held.peek().is_some_and(|next| next.0.due <= now);
        let next = if is_due { self.held.pop() } else { None };
        next.map(|Reverse(held)| held.datagram)
    }

    fn copy(&mut self, datagram: &Datagram, io: &mut dyn PacketIo) -> Option<Datagram> {
        if self.spare.is_empty() {
            io.alloc(&mut self.spare, 1);
        }
        let mut frame = self.spare.pop()?;
        if !frame.fill(datagram.payload()) {
            self.spare.push(frame);
            return None;
        }
        let copy = Datagram::new(frame, datagram.flow, datagram.source, datagram.arrival);
        Some(copy.with_traffic_class(datagram.traffic_class))
    }
}

impl PacketIo for ImpairedIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        self.now = now;
        self.io.rx_burst(now, &mut self.arriving, drops);
        for datagram in self.arriving.drain() {
            self.line.take(now, datagram, &mut *self.io);
        }
        if !self.line.spare.is_empty() {
            self.io.free(&mut self.line.spare);
        }
        while !burst.is_full()
            && let Some(mut datagram) = self.line.next(now)
        {
            datagram.arrival = now;
            if let Err(datagram) = burst.push(datagram) {
                self.line.spare.push(datagram.frame);
            }
        }
    }

    fn alloc(&mut self, frames: &mut Vec<Frame>, count: usize) {
        self.io.alloc(frames, count);
    }

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, drops: &mut DropCounts) {
        self.io.tx_burst(outgoing, drops);
    }

    fn free(&mut self, frames: &mut Vec<Frame>) {
        self.io.free(frames);
    }

    fn open(&mut self, flow: FlowId, endpoint: Endpoint, drops: &mut DropCounts) {
        self.io.open(flow, endpoint, drops);
    }

    fn close(&mut self, flow: FlowId, keep: bool) -> Option<Endpoint> {
        self.io.close(flow, keep)
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        let next = self.line.held.peek();
        let next = next.map(|next| next.0.due.since(self.now));
        self.io.wait(timeout.into_iter().chain(next).min());
    }

    fn waker(&self) -> Waker {
        self.io.waker()
    }
}

/// Datagrams of a queue that can be on their way: 20 calls for half a second.
pub const HELD_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::sim::{self, Network};
    use crate::{LocalAddress, LocalAddresses};
    use std::net::SocketAddr;

    const FRAMES: usize = HELD_MAX + 256;
    const START: Instant = Instant::from_secs(1_000);
    const NONE: Impairments = Impairments {
        lost_per_mille: 0,
        doubled_per_mille: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        overtaken_per_mille: 0,
        overtaken_by: Duration::ZERO,
    };

    struct Rig {
        io: Box<dyn PacketIo>,
        network: Network,
        now: Instant,
        drops: DropCounts,
    }

    fn local() -> SocketAddr {
        "192.0.2.1:10000".parse().unwrap()
    }

    impl Rig {
        fn new(impairments: Impairments, seed: u64) -> Self {
            let local = LocalAddress::new(local().ip(), 10_000..=10_001);
            let addresses = LocalAddresses::new(&[local]).unwrap();
            let (backend, network) = sim::backend(&addresses, 1, FRAMES);
            let mut io = wrap(backend, impairments, seed).ios.pop().unwrap();
            let mut drops = DropCounts::default();
            io.open(FlowId(0), Endpoint::Virtual, &mut drops);
            Self {
                io,
                network,
                now: START,
                drops,
            }
        }

        fn send(&mut self, number: u16) {
            let from = "203.0.113.9:5000".parse().unwrap();
            assert!(self.network.send(0, from, local(), &number.to_be_bytes()));
        }

        /// The numbers of what comes now.
        fn receive(&mut self) -> Vec<u16> {
            let mut burst = Burst::new();
            self.io.rx_burst(self.now, &mut burst, &mut self.drops);
            let mut frames = Vec::new();
            for datagram in burst.drain() {
                assert_eq!(datagram.arrival, self.now);
                frames.push(datagram.frame);
            }
            let number = |frame: &Frame| u16::from_be_bytes(frame.payload().try_into().unwrap());
            let numbers = frames.iter().map(number).collect();
            self.io.free(&mut frames);
            numbers
        }

        /// Sends so many, a millisecond apart, and returns all that come.
        fn run(&mut self, count: u16) -> Vec<u16> {
            let mut came = Vec::new();
            for number in 0..count {
                self.send(number);
                came.extend(self.receive());
                self.now += Duration::from_millis(1);
            }
            for _ in 0..2_000 {
                came.extend(self.receive());
                self.now += Duration::from_millis(1);
            }
            assert_eq!(self.drops, DropCounts::default());
            assert_eq!(self.network.frames_free(0), FRAMES, "no frame is lost");
            came
        }
    }

    #[test]
    fn a_perfect_network_passes_all_in_order_and_at_once() {
        let mut rig = Rig::new(NONE, 1);
        rig.send(7);
        assert_eq!(rig.receive(), [7]);
        assert_eq!(rig.run(500), (0..500).collect::<Vec<_>>());
        assert_eq!(Impairments::default(), NONE);
    }

    #[test]
    fn the_share_that_is_lost_never_comes() {
        let lossy = Impairments {
            lost_per_mille: 100,
            ..NONE
        };
        let came = Rig::new(lossy, 2).run(5_000);
        assert!(came.is_sorted_by(|a, b| a < b));
        assert!((4_400..4_600).contains(&came.len()), "{}", came.len());
        let all_lost = Impairments {
            lost_per_mille: 1000,
            ..NONE
        };
        assert_eq!(Rig::new(all_lost, 2).run(100), []);
    }

    #[test]
    fn what_is_doubled_comes_twice() {
        let doubling = Impairments {
            doubled_per_mille: 1000,
            ..NONE
        };
        let expected: Vec<u16> = (0..100).flat_map(|number| [number, number]).collect();
        assert_eq!(Rig::new(doubling, 3).run(100), expected);
    }

    #[test]
    fn what_is_delayed_comes_when_it_is_due_and_in_order() {
        let far = Impairments {
            delay: Duration::from_millis(40),
            ..NONE
        };
        let mut rig = Rig::new(far, 4);
        rig.send(1);
        assert_eq!(rig.receive(), []);
        rig.now += Duration::from_nanos(39_999_999);
        rig.send(2);
        assert_eq!(rig.receive(), []);
        rig.now += Duration::from_nanos(1);
        assert_eq!(rig.receive(), [1]);
        rig.now += Duration::from_millis(40);
        assert_eq!(rig.receive(), [2]);
        assert_eq!(rig.run(300), (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_late_is_overtaken() {
        let jittery = Impairments {
            jitter: Duration::from_millis(10),
            ..NONE
        };
        let overtaking = Impairments {
            delay: Duration::from_millis(5),
            overtaken_per_mille: 50,
            overtaken_by: Duration::from_millis(3),
            ..NONE
        };
        for impairments in [jittery, overtaking] {
            let mut came = Rig::new(impairments, 5).run(1_000);
            assert!(!came.is_sorted());
            came.sort_unstable();
            assert_eq!(came, (0..1_000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_same_seed_has_the_same_fate() {
        let bad = Impairments {
            lost_per_mille: 30,
            doubled_per_mille: 30,
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(30),
            overtaken_per_mille: 20,
            overtaken_by: Duration::from_millis(100),
        };
        let first = Rig::new(bad, 6).run(1_000);
        assert_eq!(Rig::new(bad, 6).run(1_000), first);
        assert_ne!(Rig::new(bad, 7).run(1_000), first);
    }

    #[test]
    fn no_more_is_on_its_way_than_there_is_room_for() {
        let slow = Impairments {
            delay: Duration::from_secs(1),
            doubled_per_mille: 1000,
            ..NONE
        };
        let mut rig = Rig::new(slow, 8);
        for number in 0..HELD_MAX as u16 {
            rig.send(number);
            assert_eq!(rig.receive(), []);
        }
        rig.now += Duration::from_secs(1);
        let came: usize = (0..64).map(|_| rig.receive().len()).sum();
        assert_eq!(came, HELD_MAX);
        assert_eq!(rig.network.frames_free(0), FRAMES);
    }
}
