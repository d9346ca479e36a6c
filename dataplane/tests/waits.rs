//! How long relayed packets wait beside a function that works, on virtual time: each piece of work
//! takes some, packets come at any moment of it, and what is sent is looked at before time goes on.

use base::Instant;
use dataplane::io::sim::{self, Network};
use dataplane::{
    Config, Context, Control, Datagram, Egress, FlowId, Function, Ingress, LocalAddress,
    LocalAddresses, Outlet, Path, Remote, Sends, Turn, Worker, runtime,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a piece of work takes: speech in AMR-WB encoded.
const PIECE: Duration = Duration::from_micros(180);
/// How long what a function sends may wait for more, beside one piece of work.
const HELD_MAX: Duration = Duration::from_millis(1);

/// The time, what is on its way, and what has arrived.
struct World {
    now: Instant,
    network: Network,
    /// Packets to be relayed, by when they come.
    coming: VecDeque<Instant>,
    /// How long each waited that was relayed.
    relayed: Vec<Duration>,
    /// The same for what the function sent of its own accord.
    sent: Vec<Duration>,
    /// When the packets came and were sent, by the numbers that they carry.
    moments: Vec<Instant>,
}

impl World {
    /// What has left by now has left now.
    fn collect(&mut self) {
        while let Some(packet) = self.network.receive() {
            let (kind, number) = packet.payload.split_first().expect("it has a kind");
            let number = u64::from_le_bytes(number.try_into().expect("a number"));
            let waited = self.now.since(self.moments[number as usize]);
            match kind {
                0 => self.relayed.push(waited),
                _ => self.sent.push(waited),
            }
        }
    }

    /// The payload of a packet of this kind that is made now.
    fn payload(&mut self, kind: u8, at: Instant) -> [u8; 9] {
        let mut payload = [kind; 9];
        payload[1..].copy_from_slice(&(self.moments.len() as u64).to_le_bytes());
        self.moments.push(at);
        payload
    }

    /// Time goes on, and packets come meanwhile.
    fn pass(&mut self, time: Duration) {
        self.collect();
        self.now += time;
        while let Some(at) = self.coming.pop_front_if(|at| *at <= self.now) {
            let payload = self.payload(0, at);
            assert!(self.network.send(0, remote(), at_port(10_000), &payload));
        }
    }
}

type Shared = Arc<Mutex<World>>;

/// Works in ticks of 20 ms, so many pieces in each, and sends something after every piece.
struct Codecs {
    world: Option<Shared>,
    flow: FlowId,
    pieces: u32,
    done: u32,
    release: Instant,
}

impl Function for Codecs {
    fn handle_burst(
        &mut self,
        _: &mut Context<'_>,
        _: &mut [Datagram],
        _: &mut [dataplane::Verdict],
    ) {
    }

    fn handle_mail(&mut self, now: Instant, mail: dataplane::Mail) -> Option<dataplane::Mail> {
        let (world, pieces) = mail
            .downcast_ref::<(Shared, u32)>()
            .expect("nothing else is sent");
        (self.world, self.pieces) = (Some(Arc::clone(world)), *pieces);
        self.release = now;
        Some(mail)
    }

    fn work(&mut self, outlet: &mut Outlet<'_>) -> bool {
        let world = self.world.clone().expect("it has begun");
        let payload = {
            let mut world = world.lock().expect("nobody panics");
            world.pass(PIECE);
            let now = world.now;
            world.payload(1, now)
        };
        assert!(outlet.send(self.flow, Sends::Rtp, |buffer| {
            buffer[..payload.len()].copy_from_slice(&payload);
            payload.len()
        }));
        self.done += 1;
        if self.done == self.pieces {
            self.done = 0;
            self.release += Duration::from_millis(20);
        }
        true
    }

    fn next_work(&self) -> Option<Instant> {
        self.world.as_ref().map(|_| self.release)
    }
}

fn at_port(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn remote() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], 4000))
}

/// Packets come so far apart: never at the same moment of a tick.
const EVERY: Duration = Duration::from_nanos(377_137);

/// Runs for a time with so many pieces in each tick.
fn run(pieces: u32, time: Duration) -> (Shared, Control, Worker) {
    let local = LocalAddress::new([192, 0, 2, 1].into(), 10_000..=10_019);
    let addresses = LocalAddresses::new(&[local]).unwrap();
    let (backend, network) = sim::backend(&addresses, 1, 1024);
    let idle = Codecs {
        world: None,
        flow: FlowId(0),
        pieces: 0,
        done: 0,
        release: Instant::ZERO,
    };
    let mut idle = Some(idle);
    let function = |_| Box::new(idle.take().expect("one worker")) as Box<dyn Function>;
    let (mut control, mut workers) = runtime(&Config::default(), backend, function).unwrap();
    let mut worker = workers.remove(0);
    let start = Instant::from_secs(1_800_000_000);
    let flow = control.open_flow(start, at_port(10_000)).unwrap();
    let mut path = Path::new(Ingress::default()).at_worker(0);
    assert!(path.push(Egress::new(flow, Remote::Fixed(remote()))));
    control.set_path(flow, path).unwrap();
    let world = Arc::new(Mutex::new(World {
        now: start,
        network,
        coming: (1..)
            .map(|number| start + EVERY * number)
            .take_while(|at| at.since(start) < time)
            .collect(),
        relayed: Vec::new(),
        sent: Vec::new(),
        moments: Vec::new(),
    }));
    let order: dataplane::Mail = Box::new((Arc::clone(&world), pieces));
    assert!(control.send(0, order).is_ok());
    let now = || world.lock().expect("nobody panics").now;
    while now().since(start) < time {
        let turn = worker.turn_on(&now);
        let mut world = world.lock().expect("nobody panics");
        world.collect();
        if turn == Turn::Idle {
            // The worker sleeps until something happens.
            world.pass(Duration::from_micros(10));
        }
    }
    (world, control, worker)
}

/// The share of its time that the worker had for the function, in percent.
fn load(pieces: u32) -> u32 {
    pieces * PIECE.as_micros() as u32 / 200
}

#[test]
fn a_relayed_packet_waits_for_one_piece_of_work_at_most() {
    // The last is more than there is time for.
    for (pieces, percent) in [(56, 50), (106, 95), (200, 180)] {
        assert_eq!(load(pieces), percent);
        let (world, ..) = run(pieces, Duration::from_secs(2));
        let world = world.lock().unwrap();
        assert!(world.coming.is_empty() && world.relayed.len() > 5_000);
        let longest = world.relayed.iter().max().copied().unwrap_or_default();
        // Some do come at the beginning of a piece, and none waits for a second.
        let bounds = PIECE * 9 / 10..=PIECE;
        assert!(bounds.contains(&longest), "{percent} %: {longest:?}");
    }
}

#[test]
fn what_a_function_sends_waits_for_a_millisecond_and_one_piece_of_work_at_most() {
    for pieces in [3, 56, 106] {
        let (world, ..) = run(pieces, Duration::from_secs(1));
        let world = world.lock().unwrap();
        let ticks = 50;
        assert!(world.sent.len() >= (pieces * (ticks - 1)) as usize);
        let longest = world.sent.iter().max().copied().unwrap_or_default();
        assert!(longest <= HELD_MAX + PIECE, "{pieces}: {longest:?}");
    }
}

#[test]
fn where_the_time_went_is_told() {
    let (_, control, _) = run(56, Duration::from_secs(2));
    let stats = control.worker_stats().next().expect("one worker");
    let times = &stats.times;
    let pieces = times.work.len();
    assert!((5_500..=5_600).contains(&pieces), "{pieces}");
    assert_eq!(times.work.total(), PIECE * pieces as u32);
    // Moving packets takes no time here.
    assert_eq!(times.packets, Duration::ZERO);
    assert_eq!(times.looks.len(), pieces);
    let (longest, _) = times.looks.below().last().expect("there are some");
    assert!((PIECE..PIECE * 9 / 8).contains(&longest), "{longest:?}");
}
