//! A user agent of ours with SIP over TCP that listens nowhere, as behind a NAT: it is reached by
//! the connection that it made.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use base::{Entropy, Instant};
use load::ua::{CallId, Config, Event, Output, Secret, UserAgent};
use sip::{Frame, Framer, Transport};

use crate::Namespace;
use crate::sipp::{Credentials, Ue};

/// Octets read at once.
const READ_BYTES: usize = 65_536;
/// How often a connection is looked at.
const POLL: Duration = Duration::from_millis(5);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One user agent with its connection.
pub struct TcpUe {
    agent: UserAgent,
    connection: Option<(TcpStream, Framer)>,
    started: std::time::Instant,
    events: Vec<Event>,
}

impl TcpUe {
    /// The user of a UE of SIPp, not connected; it must have a password.
    pub fn new(ue: &Ue, proxy: SocketAddr) -> Self {
        let Credentials::Password(password) = &ue.credentials else {
            panic!("{} has no password", ue.user);
        };
        let secret = Secret::Password((*password).to_owned());
        let mut config = Config::new(&ue.impi(), secret, ue.address, proxy);
        config.transport = Transport::Tcp;
        let seed = ue
            .user
            .bytes()
            .fold(0, |seed, byte| seed * 31 + u64::from(byte));
        TcpUe {
            agent: UserAgent::new(config, Entropy::from_u64(seed)),
            connection: None,
            started: std::time::Instant::now(),
            events: Vec::new(),
        }
    }

    /// Connects to its P-CSCF.
    pub fn connect(&mut self, namespace: &Namespace) {
        let proxy = self.agent.config().proxy;
        let stream = namespace.inside(|| TcpStream::connect(proxy));
        let stream = stream.unwrap_or_else(|fault| panic!("cannot connect to {proxy}: {fault}"));
        let modes = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_nonblocking(true));
        modes.expect("a socket has modes");
        self.connection = Some((stream, Framer::new()));
    }

    /// Whether its connection is open.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Has the agent do something.
    pub fn act<T>(&mut self, what: impl FnOnce(&mut UserAgent, Instant) -> T) -> T {
        let now = self.now();
        let result = what(&mut self.agent, now);
        self.drain();
        result
    }

    /// What it has told so far and was not taken.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Its only call.
    pub fn call(&self) -> Option<CallId> {
        self.agent.calls().next()
    }

    fn now(&self) -> Instant {
        Instant::from_secs(1_000) + self.started.elapsed()
    }

    fn turn(&mut self) {
        let now = self.now();
        if self.agent.next_timeout().is_some_and(|at| at <= now) {
            self.agent.handle_timeout(now);
        }
        self.read(now);
        self.drain();
    }

    fn read(&mut self, now: Instant) {
        let Some((stream, framer)) = &mut self.connection else {
            return;
        };
        let mut buffer = [0; READ_BYTES];
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => framer.handle_input(&buffer[..length]),
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => return,
            Ok(0) | Err(_) => {
                self.connection = None;
                return;
            }
        }
        let proxy = self.agent.config().proxy;
        while let Some(frame) = framer.poll_frame() {
            if let Frame::Message(message) = frame {
                let bytes = message.as_bytes();
                self.agent.handle_input(now, Transport::Tcp, proxy, bytes);
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Transmit { bytes, .. } => {
                    // A message fits what a socket takes at once; what finds no connection is lost.
                    if let Some((stream, _)) = &mut self.connection
                        && stream.write_all(&bytes).is_err()
                    {
                        self.connection = None;
                    }
                }
            }
        }
    }
}

/// Has user agents go on until one of them, or all, have come so far.
pub fn until<const N: usize>(
    mut ues: [&mut TcpUe; N],
    what: &str,
    mut holds: impl FnMut(&mut [&mut TcpUe; N]) -> bool,
) {
    let started = std::time::Instant::now();
    while !holds(&mut ues) {
        assert!(
            started.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        ues.iter_mut().for_each(|ue| ue.turn());
        thread::sleep(POLL);
    }
}
