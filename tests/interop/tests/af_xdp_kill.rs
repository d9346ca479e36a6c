//! A media process on AF_XDP is killed by SIGKILL while more comes than it can carry: the interface
//! is the kernel's again, nothing of the process stays, and started anew it relays at once.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use interop::Namespace;
use interop::controller::{Controller, locals_of};
use interop::gateway::{Gateway, Keys, Leg, context};
use interop::hosts::{Cable, ip};
use sdp::crypto::CryptoSuite;

/// Addresses of each host, by version of IP.
const NEAR: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const FAR: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
/// Who speaks, and who hears it by SRTP.
const SPEAKER: u16 = 41_000;
const HEARER: u16 = 41_002;
/// Where the kernel of the near host echoes: outside the ports of media.
const ECHO: u16 = 7;
/// Calls that are relayed, by turns of either version of IP.
const CALLS: usize = 32;
/// Where the synchronisation source is in RTP, which SRTP leaves as it is.
const SSRC: std::ops::Range<usize> = 8..12;
/// For what takes milliseconds where the machine has nothing else to do.
const LIMIT: Duration = Duration::from_secs(60);
/// What a restart takes at most, where the machine lets it, and what the kernel does.
const AT_ONCE: Duration = Duration::from_secs(1);

/// When the process is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// It relays.
    Relaying,
    /// It relays, and contexts are being added.
    Adding,
}

/// What a kill took, and how much of it nobody had a core for.
#[derive(Clone, Copy, Debug)]
struct Taken {
    /// Until the kernel had everything.
    kernel: Span,
    /// From the start of another process until it relayed.
    restart: Span,
}

/// A span of time.
#[derive(Clone, Copy, Debug)]
struct Span {
    lasted: Duration,
    /// What the thread of the test and those of the process waited for a core meanwhile, in sum.
    waited: Duration,
}

/// Where a span begins.
struct Start {
    at: Instant,
    /// What the thread of the test had waited until then.
    waited: Duration,
}

impl Start {
    fn now() -> Self {
        Start {
            at: Instant::now(),
            waited: waited(Path::new("/proc/thread-self")),
        }
    }

    /// The span from here on, of which a process began in it.
    fn until_now(&self, process: Option<u32>) -> Span {
        let lasted = self.at.elapsed();
        let threads = process.map(|id| std::fs::read_dir(format!("/proc/{id}/task")));
        let threads = threads.into_iter().flatten().flatten().flatten();
        let of_process: Duration = threads.map(|thread| waited(&thread.path())).sum();
        let of_test = waited(Path::new("/proc/thread-self")).saturating_sub(self.waited);
        Span {
            lasted,
            waited: of_test + of_process,
        }
    }
}

impl Span {
    /// What is left of it on a machine that does nothing else, or somewhat less.
    fn own(&self) -> Duration {
        self.lasted.saturating_sub(self.waited)
    }
}

/// How long a thread has waited for a core since it began: the second of three figures.
fn waited(thread: &Path) -> Duration {
    let text = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let nanos = text.split_whitespace().nth(1).map(str::parse);
    Duration::from_nanos(nanos.and_then(Result::ok).unwrap_or(0))
}

#[test]
fn the_interface_is_the_kernels_at_once_and_media_passes_again_within_a_second() {
    let mut taken = Vec::new();
    for (mode, workers, when) in [
        ("native", 1, When::Relaying),
        ("skb", 1, When::Adding),
        ("native", 2, When::Adding),
        ("skb", 2, When::Relaying),
    ] {
        let each = Rig::new(mode, workers).kill(when);
        println!("{mode}, {workers} workers, {when:?}: {each:?}");
        taken.push(each);
    }
    // Where the machine does much else, what is not of ours may take longer, but not each time.
    let best = |of: fn(&Taken) -> Duration| taken.iter().map(of).min();
    assert!(best(|it| it.kernel.own()) < Some(AT_ONCE), "{taken:?}");
    assert!(best(|it| it.restart.own()) < Some(AT_ONCE), "{taken:?}");
}

/// A gateway that is flooded.
struct Rig {
    // Dropped first, since it floods namespaces of the gateway.
    flood: Flood,
    gateway: Gateway,
    /// None while the process is killed.
    controller: Option<Controller<usize>>,
    mode: &'static str,
}

impl Rig {
    fn new(mode: &'static str, workers: u32) -> Self {
        let cores = if workers > 1 { "cores = \"0,1\"\n" } else { "" };
        let io = format!(
            "io = \"af_xdp\"\n{cores}[[af_xdp.interface]]\nname = \"near\"\nmode = \"{mode}\""
        );
        let mut gateway = Gateway::new(Cable::lay_with_queues(workers), &io);
        let controller = Some(gateway.start());
        let flood = gateway.cable().far.inside(Flood::start);
        let mut rig = Rig {
            flood,
            gateway,
            controller,
            mode,
        };
        rig.add_calls();
        rig
    }

    /// Adds calls, floods them, and waits until something of the flood comes out, of both versions
    /// of IP.
    fn add_calls(&mut self) {
        let legs: Vec<[Leg; 2]> = (0..CALLS).map(|at| legs(at % 2)).collect();
        let mut targets = [Vec::new(), Vec::new()];
        let add = |at: usize| context([&legs[at][0], &legs[at][1]]);
        let controller = self.controller.as_mut().expect("it runs");
        controller.each(CALLS, 8, add, |at, reply| {
            targets[at % 2].push(locals_of(reply)[0]);
        });
        let generation = self.flood.aim(targets);
        wait_for("media passes", || self.flood.heard(generation));
    }

    /// Kills the process at its busiest and starts another.
    fn kill(mut self, when: When) -> Taken {
        self.wait_for_overload();
        let near = &self.gateway.cable().near;
        assert!(has_program(near, self.mode) && af_xdp_sockets(near) > 0);
        // What the process takes from the kernel, it gets: two of the ports that are flooded.
        let kernels = near.inside(|| self.flood.targets().map(|all| bind(all[0])));
        let echo = near.inside(|| bind(SocketAddr::new(address(NEAR[0]), ECHO)));
        let asker = self.gateway.cable().far.inside(|| {
            let asker = bind(SocketAddr::new(address(FAR[0]), 0));
            asker.connect((NEAR[0], ECHO)).expect("there is a way");
            asker
        });
        if when == When::Adding {
            self.begin_adding();
        }
        assert!(!kernels.iter().any(has_come), "it is AF_XDP's");

        let killed = Start::now();
        self.gateway.kill();
        let near = &self.gateway.cable().near;
        wait_for("nothing is attached", || !has_program(near, self.mode));
        wait_for("no AF_XDP socket is left", || af_xdp_sockets(near) == 0);
        wait_for("the kernel gets the flood", || kernels.iter().all(has_come));
        wait_for("the kernel answers", || {
            let _ = asker.send(b"?");
            thread::sleep(Duration::from_millis(1));
            if let Ok((length, from)) = echo.recv_from(&mut [0; 64]) {
                let _ = echo.send_to(&[b'!'; 64][..length], from);
            }
            thread::sleep(Duration::from_millis(1));
            has_come(&asker)
        });
        let kernel = killed.until_now(None);
        ping(&self.gateway.cable().far);
        drop(kernels);

        // What it asked for comes to nothing, and its address is free.
        self.controller = None;
        let started = Start::now();
        self.controller = Some(self.gateway.start());
        let id = self.gateway.media().id();
        self.add_calls();
        Taken {
            kernel,
            restart: started.until_now(Some(id)),
        }
    }

    /// Waits until a good part of what is sent does not reach the process.
    fn wait_for_overload(&self) {
        let received = || {
            let status = self.gateway.status();
            let received = status["counters"]["packets.received"].as_u64();
            (received.expect("it counts"), self.flood.sent())
        };
        wait_for("more comes than it can carry", || {
            let before = received();
            thread::sleep(Duration::from_millis(100));
            let after = received();
            let (received, sent) = (after.0 - before.0, after.1 - before.1);
            received > 0 && sent * 10 > received * 11
        });
    }

    /// Has the process at work for more calls.
    fn begin_adding(&mut self) {
        let [one, other] = legs(0);
        let add = context([&one, &other]);
        let mut added = 0;
        let controller = self.controller.as_mut().expect("it runs");
        for index in 0..32 {
            controller.send(index, &add);
        }
        wait_for("calls are added", || {
            let replies = controller.replies().len();
            for index in 0..replies {
                controller.send(index, &add);
            }
            added += replies;
            added > CALLS
        });
        assert!(controller.waiting() > 0);
    }
}

/// A call from who speaks to who hears it by SRTP, which takes some time.
fn legs(version: usize) -> [Leg; 2] {
    let suite = CryptoSuite::AesCm128HmacSha1_80;
    let key = |octet| vec![octet; suite.key_and_salt_bytes()];
    let leg = |port, keys| Leg {
        remote: SocketAddr::new(address(FAR[version]), port),
        keys,
    };
    let keys = Keys {
        suite,
        ours: key(1),
        theirs: key(2),
    };
    [leg(SPEAKER, None), leg(HEARER, Some(keys))]
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A socket that does not wait.
fn bind(at: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(at).unwrap_or_else(|fault| panic!("cannot bind {at}: {fault}"));
    socket.set_nonblocking(true).expect("a socket can be");
    socket
}

fn has_come(socket: &UdpSocket) -> bool {
    socket.recv(&mut [0; 2048]).is_ok()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a program is attached to the near interface; it is in this mode.
fn has_program(near: &Namespace, mode: &str) -> bool {
    let link = ip(&format!("-n {} -d link show near", near.name()));
    let word = if mode == "skb" {
        " xdpgeneric"
    } else {
        " xdp "
    };
    let has_program = link.contains("prog/xdp");
    assert_eq!(has_program, link.contains(word), "{link}");
    has_program
}

/// The sockets of AF_XDP on a host.
fn af_xdp_sockets(host: &Namespace) -> u64 {
    let table = host.inside(|| std::fs::read_to_string("/proc/thread-self/net/protocols"));
    let table = table.expect("there is a table");
    let row = table.lines().find(|line| line.starts_with("XDP "));
    let count = row.and_then(|row| row.split_whitespace().nth(2)?.parse().ok());
    count.expect("the kernel has AF_XDP")
}

/// The kernel answers pings too, among all that comes.
fn ping(far: &Namespace) {
    for near in NEAR {
        let mut ping = far.command("ping");
        ping.args(["-c", "20", "-i", "0.01", "-W", "2", near]);
        let run = ping.output().expect("ping (apt install iputils-ping)");
        let said = String::from_utf8_lossy(&run.stdout);
        // Success is an answer to one of them.
        assert!(run.status.success(), "{said}");
    }
}

/// RTP as fast as it goes, to calls of both versions of IP, and what comes out.
struct Flood {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Where it goes, by version of IP.
    targets: RwLock<[Vec<SocketAddr>; 2]>,
    /// How often it has been aimed: its synchronisation source.
    generation: AtomicU32,
    sent: AtomicU64,
    /// The latest synchronisation source that came out, by version of IP.
    heard: [AtomicU32; 2],
    is_over: AtomicBool,
}

impl Flood {
    /// Starts it, on the host of the calling thread, without an aim.
    fn start() -> Self {
        let shared = Arc::new(Shared {
            targets: RwLock::default(),
            generation: AtomicU32::new(0),
            sent: AtomicU64::new(0),
            heard: [AtomicU32::new(0), AtomicU32::new(0)],
            is_over: AtomicBool::new(false),
        });
        let mut threads = Vec::new();
        for (version, far) in FAR.iter().enumerate() {
            let [speaker, hearer] =
                [SPEAKER, HEARER].map(|port| UdpSocket::bind((*far, port)).expect("it is free"));
            let wait = hearer.set_read_timeout(Some(Duration::from_millis(50)));
            wait.expect("a socket can wait");
            let of = Arc::clone(&shared);
            threads.push(thread::spawn(move || of.speak(version, &speaker)));
            let of = Arc::clone(&shared);
            threads.push(thread::spawn(move || of.hear(version, &hearer)));
        }
        Flood { shared, threads }
    }

    /// Aims it; returns what tells it from what was sent before.
    fn aim(&self, targets: [Vec<SocketAddr>; 2]) -> u32 {
        let mut aimed = self.shared.targets.write();
        **aimed.as_mut().unwrap_or_else(|broken| broken.get_mut()) = targets;
        self.shared.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn targets(&self) -> [Vec<SocketAddr>; 2] {
        self.shared.targets()
    }

    fn heard(&self, generation: u32) -> bool {
        let mut heard = self.shared.heard.iter();
        heard.all(|heard| heard.load(Ordering::Relaxed) == generation)
    }

    fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn targets(&self) -> [Vec<SocketAddr>; 2] {
        let targets = self.targets.read();
        targets.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn speak(&self, version: usize, socket: &UdpSocket) {
        let mut packet = [0xD5; 172];
        let (mut sequence, mut generation, mut targets) = (0_u16, 0, Vec::new());
        while !self.is_over.load(Ordering::Relaxed) {
            let aimed = self.generation.load(Ordering::Relaxed);
            if aimed != generation {
                (generation, sequence) = (aimed, 0);
                targets = self.targets()[version].clone();
            }
            if targets.is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
            let header = rtp::Header {
                payload_type: 8,
                sequence,
                timestamp: 160 * u32::from(sequence),
                ssrc: generation,
                ..rtp::Header::default()
            };
            header.write_to(&mut packet).expect("there is room");
            for target in &targets {
                // What the interface does not take is not sent.
                let sent = socket.send_to(&packet, target).is_ok();
                self.sent.fetch_add(sent.into(), Ordering::Relaxed);
            }
            sequence = sequence.wrapping_add(1);
        }
    }

    fn hear(&self, version: usize, socket: &UdpSocket) {
        let mut packet = [0; 2048];
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok(length) = socket.recv(&mut packet) else {
                continue;
            };
            let ssrc = packet[..length].get(SSRC).map(<[u8; 4]>::try_from);
            if let Some(Ok(ssrc)) = ssrc {
                let ssrc = u32::from_be_bytes(ssrc);
                self.heard[version].store(ssrc, Ordering::Relaxed);
            }
        }
    }
}
