//! RTP at a rate through what a media process relays, and what has become of it.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rtp::{Header, Packet};
use rustix::net::sockopt;

/// A packet of G.711 and 20 ms.
const PACKET_BYTES: usize = 172;
/// Packets sent before it is looked what came.
const BURST: u64 = 32;
/// How long the generator sleeps when nothing is due and nothing came.
const IDLE: Duration = Duration::from_micros(200);
/// Nothing came for so long after the last was sent: nothing comes any more.
const SETTLE: Duration = Duration::from_secs(2);
/// What a far end has room for while the generator waits for its core.
const RECEIVE_BYTES: usize = 64 << 20;

/// The two far ends of all streams. A packet goes from one of them to the process and comes out at
/// the other.
pub type Ends = [UdpSocket; 2];

/// One direction of a context.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Index of the end that sends it.
    pub from: usize,
    /// Where the process receives it.
    pub to: SocketAddr,
}

/// What has become of the packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Packets sent.
    pub sent: u64,
    /// Packets that came out.
    pub received: u64,
    /// Packets that came out in another order, or more than once.
    pub disordered: u64,
    /// Packets that are of no stream, or came out at the wrong end.
    pub strange: u64,
    /// How long it went on.
    pub lasted: Duration,
    /// The longest from send to receipt, waits of the generator for its own core included.
    pub longest: Duration,
}

/// Opens sockets at these addresses with room for what comes while the generator has no core.
pub fn open(at: [SocketAddr; 2]) -> Ends {
    at.map(|at| {
        let socket = UdpSocket::bind(at).expect("the address is free");
        socket.set_nonblocking(true).expect("a socket can be");
        let forced = sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BYTES);
        if let Err(fault) = forced {
            eprintln!("no room for {RECEIVE_BYTES} octets at {at}: {fault}");
        }
        socket
    })
}

/// Packets that pass until they are told to end.
pub struct Traffic {
    running: JoinHandle<Outcome>,
    is_over: Arc<AtomicBool>,
}

impl Traffic {
    /// Starts it on a thread of its own, at so many packets a second over all streams.
    pub fn start(ends: Ends, streams: Vec<Stream>, rate: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let running = thread::spawn(move || Generator::new(ends, streams).run(rate, &told));
        Traffic { running, is_over }
    }

    /// Sends no more and waits for what is under way.
    pub fn finish(self) -> Outcome {
        self.is_over.store(true, Ordering::Relaxed);
        self.running.join().expect("the generator ends")
    }
}

struct Generator {
    ends: Ends,
    streams: Vec<Stream>,
    /// The stream whose turn it is, and the sequence number of its packet.
    turn: (usize, u16),
    /// Sequence number that each stream comes out with next.
    expected: Vec<u16>,
    packet: [u8; PACKET_BYTES],
    started: Instant,
    outcome: Outcome,
}

impl Generator {
    fn new(ends: Ends, streams: Vec<Stream>) -> Self {
        Generator {
            ends,
            expected: vec![0; streams.len()],
            streams,
            turn: (0, 0),
            packet: [0x55; PACKET_BYTES],
            started: Instant::now(),
            outcome: Outcome::default(),
        }
    }

    fn run(mut self, rate: u64, is_over: &AtomicBool) -> Outcome {
        while !is_over.load(Ordering::Relaxed) {
            let due = (self.started.elapsed().as_secs_f64() * rate as f64) as u64;
            let burst = due.saturating_sub(self.outcome.sent).min(BURST);
            let has_sent = (0..burst).all(|_| self.send()) && burst > 0;
            if !self.receive() && !has_sent {
                thread::sleep(IDLE);
            }
        }
        self.outcome.lasted = self.started.elapsed();
        let mut last = Instant::now();
        while self.outcome.received < self.outcome.sent && last.elapsed() < SETTLE {
            if self.receive() {
                last = Instant::now();
            } else {
                thread::sleep(IDLE);
            }
        }
        self.outcome
    }

    /// Sends the packet of the next stream; false when it does not go now.
    fn send(&mut self) -> bool {
        let (index, sequence) = self.turn;
        let Some(&Stream { from, to }) = self.streams.get(index) else {
            return false;
        };
        let header = Header {
            payload_type: 8,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: index as u32,
            ..Header::default()
        };
        header
            .write_to(&mut self.packet)
            .expect("it is longer than a header");
        let now = self.started.elapsed().as_nanos() as u64;
        self.packet[STAMP].copy_from_slice(&now.to_be_bytes());
        match self.ends[from].send_to(&self.packet, to) {
            Ok(_) => {}
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => return false,
            Err(fault) => panic!("cannot send to {to}: {fault}"),
        }
        self.outcome.sent += 1;
        self.turn = match index + 1 {
            next if next == self.streams.len() => (0, sequence.wrapping_add(1)),
            next => (next, sequence),
        };
        true
    }

    /// Takes what has come out; false when nothing has.
    fn receive(&mut self) -> bool {
        let mut buffer = [0; 2048];
        let before = self.outcome.received + self.outcome.strange;
        for end in 0..self.ends.len() {
            // As many as were sent in the meantime, twice over.
            for _ in 0..2 * BURST {
                let Ok(length) = self.ends[end].recv(&mut buffer) else {
                    break;
                };
                self.take(end, &buffer[..length]);
            }
        }
        before < self.outcome.received + self.outcome.strange
    }

    fn take(&mut self, end: usize, bytes: &[u8]) {
        let outcome = &mut self.outcome;
        let packet = Packet::new(bytes)
            .ok()
            .filter(|_| bytes.len() == PACKET_BYTES);
        let stream = packet.and_then(|packet| {
            let index = packet.ssrc() as usize;
            let stream = self.streams.get(index)?;
            (stream.from != end).then_some((index, packet.sequence()))
        });
        let Some((index, sequence)) = stream else {
            outcome.strange += 1;
            return;
        };
        outcome.received += 1;
        let expected = &mut self.expected[index];
        // What is ahead leaves a gap, which the difference to what was sent tells.
        if sequence.wrapping_sub(*expected) >= 1 << 15 {
            outcome.disordered += 1;
        } else {
            *expected = sequence.wrapping_add(1);
        }
        let stamp = bytes[STAMP].try_into().map(u64::from_be_bytes);
        let sent = Duration::from_nanos(stamp.unwrap_or(0));
        let delay = self.started.elapsed().saturating_sub(sent);
        outcome.longest = outcome.longest.max(delay);
    }
}

/// Where a packet has the time it was sent at, in nanoseconds.
const STAMP: std::ops::Range<usize> = 12..20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn ends() -> (Ends, [SocketAddr; 2]) {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let ends = open([any, any]);
        let at = [0, 1].map(|end: usize| ends[end].local_addr().expect("it is bound"));
        (ends, at)
    }

    #[test]
    fn what_passes_is_counted_and_nothing_is_missed() {
        // Each end sends to the other without a relay between them.
        let (ends, at) = ends();
        let streams = [(0, at[1]), (1, at[0]), (0, at[1])];
        let streams = streams.map(|(from, to)| Stream { from, to });
        let traffic = Traffic::start(ends, streams.to_vec(), 1000);
        thread::sleep(Duration::from_millis(100));
        let outcome = traffic.finish();
        assert!(outcome.sent > 0, "{outcome:?}");
        assert_eq!(outcome.received, outcome.sent);
        assert_eq!((outcome.disordered, outcome.strange), (0, 0));
    }

    #[test]
    fn packets_lost_repeated_and_of_the_wrong_end_are_told_apart() {
        let (ends, at) = ends();
        let stream = Stream { from: 0, to: at[1] };
        let mut generator = Generator::new(ends, vec![stream]);
        let packets: Vec<_> = (0..4)
            .map(|_| {
                assert!(generator.send());
                generator.packet
            })
            .collect();
        for at in [0, 2, 2, 1] {
            generator.take(1, &packets[at]);
        }
        generator.take(0, &packets[3]);
        generator.take(1, b"neither");
        let outcome = generator.outcome;
        assert_eq!((outcome.sent, outcome.received), (4, 4));
        assert_eq!((outcome.disordered, outcome.strange), (2, 2));
    }
}
