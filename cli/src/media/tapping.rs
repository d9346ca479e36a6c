//! `GET /tap?local=IP:PORT,…&context=N,…&termination=NAME,…&seconds=N`: a capture of what passes at
//! local addresses, or where contexts and terminations receive, as these change.

use std::io::{self, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dataplane::FlowId;
use dataplane::io::tap::{Capture, Tap};
use h248::message::TerminationId;

/// How often what has passed is taken.
const PAUSE: Duration = Duration::from_millis(10);
/// How often it is asked where contexts and terminations receive.
const FOLLOWED_EVERY: Duration = Duration::from_secs(1);
/// How long a capture may take.
const SECONDS_MAX: u64 = 3600;
/// How long one takes, unless it is said.
const SECONDS_DEFAULT: u64 = 60;
/// Bytes of one capture.
const BYTES_MAX: usize = 1 << 30;
/// Local addresses of one capture, and contexts, and terminations.
const LOCALS_MAX: usize = 64;

/// The tap of this process, if it has one: for one client at a time.
#[derive(Clone)]
pub struct Tapping {
    tap: Option<Arc<Mutex<Tap>>>,
    locate: Arc<Locate>,
}

/// Where a part of the connection model receives media now.
pub type Locate = dyn Fn(&Part) -> Vec<SocketAddr> + Send + Sync;

/// A part of the connection model (H.248.1 6), at every gateway of the process that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A context.
    Context(u32),
    /// A termination.
    Termination(TerminationId),
}

/// Why there is no capture: HTTP status and a word.
pub type Refusal = (&'static str, &'static str);

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    flows: Vec<FlowId>,
    parts: Vec<Part>,
    time: Duration,
}

impl Tapping {
    /// Clients may have what passes `tap`; `locate` is asked while they do, and may wait.
    pub fn new(
        tap: Option<Tap>,
        locate: impl Fn(&Part) -> Vec<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        Self {
            tap: tap.map(|tap| Arc::new(Mutex::new(tap))),
            locate: Arc::new(locate),
        }
    }

    /// Sends a capture to a client until it has had enough; `refuse` answers where there can be
    /// none.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn serve(
        &self,
        query: &str,
        client: &TcpStream,
        refuse: impl FnOnce(Refusal) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(tap) = &self.tap else {
            let word = "the process was started without --tap";
            return refuse(("403 Forbidden", word));
        };
        let Ok(mut tap) = tap.try_lock() else {
            return refuse(("409 Conflict", "somebody taps already"));
        };
        let wish = match parse(query, &tap) {
            Ok(wish) => wish,
            Err(word) => return refuse(("400 Bad Request", word)),
        };
        // What is left of an earlier capture is not of this one.
        tap.drain(&mut Capture::new(io::sink(), 0)?)?;
        let mut tapped = Tapped {
            tap: &mut tap,
            flows: Vec::new(),
        };
        tapped.follow(&wish, &*self.locate);
        if tapped.flows.is_empty() {
            return refuse(("404 Not Found", "there is no such context or termination"));
        }
        send(&mut tapped, &wish, &*self.locate, client)
    }
}

/// What is meant, and for how long.
fn parse(query: &str, tap: &Tap) -> Result<Wish, &'static str> {
    let (mut flows, mut parts, mut seconds) = (Vec::new(), Vec::new(), SECONDS_DEFAULT);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let values = value.split(',').take(LOCALS_MAX);
        match name {
            "local" => {
                for local in values {
                    let local: SocketAddr = local.parse().map_err(|_| "local is IP:PORT")?;
                    let known = flows_of(tap, local);
                    flows.extend(known.ok_or("it is no local address and port")?);
                }
            }
            "context" => {
                for number in values {
                    let number = number.parse().map_err(|_| "context is a number")?;
                    parts.push(Part::Context(number));
                }
            }
            "termination" => {
                let names = values.map(|name| Part::Termination(TerminationId::new(name)));
                parts.extend(names);
            }
            "seconds" => {
                seconds = value.parse().map_err(|_| "seconds is a number")?;
            }
            _ => return Err("there are local, context, termination and seconds"),
        }
    }
    if flows.is_empty() && parts.is_empty() {
        return Err("one of local, context and termination is missing");
    }
    Ok(Wish {
        flows,
        parts,
        time: Duration::from_secs(seconds.min(SECONDS_MAX)),
    })
}

/// The flow of an address, and that of RTCP at the next port with it.
fn flows_of(tap: &Tap, local: SocketAddr) -> Option<impl Iterator<Item = FlowId>> {
    let flow = tap.flow(local)?;
    let rtcp = SocketAddr::new(local.ip(), local.port().saturating_add(1));
    let rtcp = tap.flow(rtcp).filter(|_| local.port().is_multiple_of(2));
    Some(std::iter::once(flow).chain(rtcp))
}

/// The flows that are tapped for a client, until it has had enough.
struct Tapped<'a> {
    tap: &'a mut Tap,
    flows: Vec<FlowId>,
}

impl Tapped<'_> {
    /// Taps what is wanted by now, and nothing else: ports are soon those of other calls.
    fn follow(&mut self, wish: &Wish, locate: &Locate) {
        let mut flows = wish.flows.clone();
        for local in wish.parts.iter().flat_map(locate) {
            flows.extend(flows_of(self.tap, local).into_iter().flatten());
        }
        for flow in self.flows.iter().filter(|flow| !flows.contains(flow)) {
            self.tap.set(*flow, false);
        }
        flows.iter().for_each(|flow| self.tap.set(*flow, true));
        self.flows = flows;
    }
}

impl Drop for Tapped<'_> {
    fn drop(&mut self) {
        self.flows
            .iter()
            .for_each(|flow| self.tap.set(*flow, false));
    }
}

fn send(
    tapped: &mut Tapped<'_>,
    wish: &Wish,
    locate: &Locate,
    mut client: &TcpStream,
) -> io::Result<()> {
    client.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-pcapng\r\nConnection: close\r\n\r\n",
    )?;
    let mut now = Instant::now();
    let until = now + wish.time;
    let mut next = now + FOLLOWED_EVERY;
    let mut capture = Capture::new(BufWriter::new(client), BYTES_MAX)?;
    // Reading is both the pause and how it is noticed that the client has gone.
    client.set_read_timeout(Some(PAUSE))?;
    // A capture of calls ends with them.
    while now < until && capture.packets().1 == 0 && !tapped.flows.is_empty() {
        if now >= next && !wish.parts.is_empty() {
            next = now + FOLLOWED_EVERY;
            tapped.follow(wish, locate);
        }
        tapped.tap.drain(&mut capture)?;
        capture.flush()?;
        match client.read(&mut [0; 64]) {
            Ok(0) => break,
            Ok(_) => {}
            Err(fault) if is_pause(&fault) => {}
            Err(fault) => return Err(fault),
        }
        now = Instant::now();
    }
    tapped.tap.drain(&mut capture)?;
    capture.flush()
}

fn is_pause(fault: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(fault.kind(), Interrupted | TimedOut | WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::admin;
    use crate::tap::{self, TapArgs};
    use base::Instant as Now;
    use dataplane::io::sim;
    use dataplane::{Burst, DropCounts, LocalAddress, LocalAddresses, PacketIo};
    use serde_json::Value;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_passes_meanwhile_is_in_the_file() {
        let local = LocalAddress::new([192, 0, 2, 1].into(), 10_000..=10_003);
        let addresses = LocalAddresses::new(&[local]).expect("they are good");
        let (backend, mut network) = sim::backend(&addresses, 1, 64);
        let (mut backend, tap) = dataplane::io::tap::wrap(backend);
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let admin = free.expect("a free port");
        let (ended, ends) = (
            Arc::new(AtomicBool::new(false)),
            Duration::from_millis(1500),
        );
        let is_over = Arc::clone(&ended);
        let tapping = Tapping::new(Some(tap), move |part| match part {
            Part::Context(7) if !is_over.load(Ordering::Relaxed) => vec![at("192.0.2.1:10002")],
            Part::Termination(name) if name.as_str() == "ip/1/1" => vec![at("192.0.2.1:10000")],
            _ => Vec::new(),
        });
        admin::serve(admin, || Value::Null, tapping).expect("the port is free");
        let out = std::env::temp_dir().join(format!("tapping-{}.pcapng", std::process::id()));
        let args = TapArgs {
            out: out.clone(),
            seconds: 1,
            bytes: 1 << 20,
            media: admin,
            ..TapArgs::default()
        };
        let local = vec![at("192.0.2.1:10000")];
        let io: &mut dyn PacketIo = &mut *backend.ios[0];
        let mut captured = |args: TapArgs| {
            let began = Instant::now();
            let client = std::thread::spawn(move || tap::run(&args));
            while !client.is_finished() {
                if began.elapsed() > ends {
                    ended.store(true, Ordering::Relaxed);
                }
                for port in 0..4 {
                    let to = SocketAddr::new([192, 0, 2, 1].into(), 10_000 + port);
                    network.send(0, at("203.0.113.9:5000"), to, &[port as u8; 100]);
                }
                let mut burst = Burst::new();
                io.rx_burst(Now::from_secs(1), &mut burst, &mut DropCounts::default());
                let mut frames = burst.drain().map(|datagram| datagram.frame).collect();
                io.free(&mut frames);
                std::thread::sleep(PAUSE);
            }
            client
                .join()
                .expect("it ends")
                .map_err(|failure| failure.to_string())?;
            let file = std::fs::read(&out).expect("the file");
            let _ = std::fs::remove_file(&out);
            let passed = |octet: u8| file.windows(100).any(|bytes| bytes == [octet; 100]);
            assert!(file.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]));
            Ok::<_, String>([0, 1, 2, 3].map(passed))
        };
        let by_address = TapArgs {
            local: local.clone(),
            ..args.clone()
        };
        assert_eq!(captured(by_address), Ok([true, true, false, false]));
        let by_termination = TapArgs {
            termination: vec!["ip/1/1".into()],
            ..args.clone()
        };
        assert_eq!(captured(by_termination), Ok([true, true, false, false]));
        // It ends with the context, long before its time.
        let by_context = TapArgs {
            context: vec![7],
            seconds: 600,
            ..args.clone()
        };
        assert_eq!(captured(by_context.clone()), Ok([false, false, true, true]));
        let failure = captured(by_context).expect_err("it is over");
        assert!(failure.contains("no such context"), "{failure}");
        let elsewhere = TapArgs {
            local: vec![at("192.0.2.9:10000")],
            ..args
        };
        let failure = captured(elsewhere).expect_err("it is refused");
        assert!(failure.contains("no local address"), "{failure}");
    }
}
