//! `GET /tap?local=IP:PORT,…&seconds=N`: a capture of what passes at local addresses.

use std::io::{self, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dataplane::FlowId;
use dataplane::io::tap::{Capture, Tap};

/// How often what has passed is taken.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a capture may take.
const SECONDS_MAX: u64 = 3600;
/// How long one takes, unless it is said.
const SECONDS_DEFAULT: u64 = 60;
/// Bytes of one capture.
const BYTES_MAX: usize = 1 << 30;
/// Local addresses of one capture.
const LOCALS_MAX: usize = 64;

/// The tap of this process, if it has one: for one client at a time.
#[derive(Clone)]
pub struct Tapping(Option<Arc<Mutex<Tap>>>);

/// Why there is no capture: HTTP status and a word.
pub type Refusal = (&'static str, &'static str);

impl Tapping {
    /// Clients may have what passes `tap`.
    pub fn new(tap: Option<Tap>) -> Self {
        Self(tap.map(|tap| Arc::new(Mutex::new(tap))))
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
        let Some(tap) = &self.0 else {
            let word = "the process was started without --tap";
            return refuse(("403 Forbidden", word));
        };
        let Ok(mut tap) = tap.try_lock() else {
            return refuse(("409 Conflict", "somebody taps already"));
        };
        match parse(query, &tap) {
            Ok((flows, time)) => send(&mut tap, &flows, time, client),
            Err(word) => refuse(("400 Bad Request", word)),
        }
    }
}

/// The flows that are meant, RTCP at the next port with them, and for how long.
fn parse(query: &str, tap: &Tap) -> Result<(Vec<FlowId>, Duration), &'static str> {
    let (mut flows, mut seconds) = (Vec::new(), SECONDS_DEFAULT);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "local" => {
                for local in value.split(',').take(LOCALS_MAX) {
                    let local: SocketAddr = local.parse().map_err(|_| "local is IP:PORT")?;
                    flows.push(tap.flow(local).ok_or("it is no local address and port")?);
                    let rtcp = SocketAddr::new(local.ip(), local.port().saturating_add(1));
                    flows.extend(tap.flow(rtcp).filter(|_| local.port().is_multiple_of(2)));
                }
            }
            "seconds" => {
                seconds = value.parse().map_err(|_| "seconds is a number")?;
            }
            _ => return Err("there are local and seconds"),
        }
    }
    if flows.is_empty() {
        return Err("local is missing");
    }
    Ok((flows, Duration::from_secs(seconds.min(SECONDS_MAX))))
}

fn send(tap: &mut Tap, flows: &[FlowId], time: Duration, mut client: &TcpStream) -> io::Result<()> {
    client.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-pcapng\r\nConnection: close\r\n\r\n",
    )?;
    // What is left of an earlier capture is not of this one.
    tap.drain(&mut Capture::new(io::sink(), 0)?)?;
    flows.iter().for_each(|flow| tap.set(*flow, true));
    let sent = capture(tap, time, client);
    flows.iter().for_each(|flow| tap.set(*flow, false));
    sent
}

fn capture(tap: &mut Tap, time: Duration, mut client: &TcpStream) -> io::Result<()> {
    let until = Instant::now() + time;
    let mut capture = Capture::new(BufWriter::new(client), BYTES_MAX)?;
    // Reading is both the pause and how it is noticed that the client has gone.
    client.set_read_timeout(Some(PAUSE))?;
    while Instant::now() < until && capture.packets().1 == 0 {
        tap.drain(&mut capture)?;
        capture.flush()?;
        match client.read(&mut [0; 64]) {
            Ok(0) => break,
            Ok(_) => {}
            Err(fault) if is_pause(&fault) => {}
            Err(fault) => return Err(fault),
        }
    }
    tap.drain(&mut capture)?;
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
        let tapping = Tapping::new(Some(tap));
        admin::serve(admin, || Value::Null, tapping).expect("the port is free");
        let out = std::env::temp_dir().join(format!("tapping-{}.pcapng", std::process::id()));
        let args = TapArgs {
            local: vec![at("192.0.2.1:10000")],
            out: out.clone(),
            seconds: 1,
            bytes: 1 << 20,
            admin,
        };
        let client = std::thread::spawn(move || tap::run(&args));
        let io: &mut dyn PacketIo = &mut *backend.ios[0];
        while !client.is_finished() {
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
        client.join().expect("it ends").expect("there is a file");
        let file = std::fs::read(&out).expect("the file");
        let _ = std::fs::remove_file(&out);
        let passed = |octet: u8| file.windows(100).any(|bytes| bytes == [octet; 100]);
        assert!(file.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]));
        assert_eq!([0, 1, 2, 3].map(passed), [true, true, false, false]);

        let refused = |local: &str, seconds| {
            let args = TapArgs {
                local: vec![at(local)],
                out: out.clone(),
                seconds,
                bytes: 1,
                admin,
            };
            tap::run(&args).expect_err("it is refused").to_string()
        };
        let failure = refused("192.0.2.9:10000", 1);
        assert!(failure.contains("no local address"), "{failure}");
    }
}
