//! Many user agents: they register, and call each other in pairs.
//!
//! The agents are those of `load`, so that what arrives at our processes is what a UE sends. Each
//! has an address of its own, as far as there are sockets; where some share one, the user part of a
//! message says whose it is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use base::{Entropy, Instant};
use load::ua::{Cause, Config, Event, Output, Secret, UserAgent};
use load::usim::Usim;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use sip::Transport;
use sip::transaction::Timers;

use crate::rig::REALM;
use crate::sqn::SqnWatch;

/// Where the callers are.
const CALLERS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));
/// Where the called are.
const CALLED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 2));
/// The first user's port.
const PORT: u16 = 10_000;
/// Sockets of one side; more users than these share them.
const SOCKETS_MAX: usize = 4_000;
/// Sockets looked at before timers are.
const EVENTS_PER_TURN_MAX: usize = 256;
/// Longest SIP message received.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Digits of the number in a user's name.
const DIGITS: usize = 7;

/// Which side of a call a user is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Calls.
    Caller,
    /// Is called.
    Called,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Registrations, again or for the first time.
    pub registered: u64,
    /// Registrations given up.
    pub deregistered: u64,
    /// Registrations that came to nothing.
    pub registrations_failed: u64,
    /// Calls that were answered.
    pub established: u64,
    /// Calls that ended as the caller wanted.
    pub ended: u64,
    /// Calls that ended otherwise.
    pub failed: u64,
}

/// What a user knows of its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The network has confirmed that it is registered.
    Registered,
    /// The network has confirmed that it is not, or it never was.
    Gone,
    /// A REGISTER is under way, or the last one came to nothing.
    Unsure,
}

/// The user agents of both sides.
pub struct Crowd {
    callers: Half,
    called: Half,
    started: std::time::Instant,
    tally: Tally,
}

struct Half {
    side: Side,
    sockets: Vec<UdpSocket>,
    poll: Poll,
    events: Events,
    agents: Vec<UserAgent>,
    /// When an agent wants attention; an entry may be out of date, none is missing.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The earliest entry of each agent.
    next: Vec<Option<Instant>>,
    standings: Vec<Standing>,
    sqns: SqnWatch,
    last_failure: String,
}

/// Name of a user without its domain.
pub fn user(side: Side, number: usize) -> String {
    match side {
        Side::Caller => format!("a{number:0DIGITS$}"),
        Side::Called => format!("b{number:0DIGITS$}"),
    }
}

/// Subscriber key and OPc of a user.
fn keys(side: Side, number: usize) -> ([u8; 16], [u8; 16]) {
    let mut k = [0x5a; 16];
    k[..8].copy_from_slice(&(number as u64).to_be_bytes());
    k[15] = side as u8;
    let opc = k.map(|octet| octet ^ 0xa5);
    (k, opc)
}

/// The subscribers in the form that `strowger subscriber import` reads.
pub fn import_file(users: usize) -> String {
    let mut text = String::from("impi,impus,k,opc\n");
    let hex = |octets: [u8; 16]| octets.map(|octet| format!("{octet:02x}")).concat();
    for side in [Side::Caller, Side::Called] {
        for number in 0..users {
            let identity = format!("{}@{REALM}", user(side, number));
            let (k, opc) = keys(side, number);
            let (k, opc) = (hex(k), hex(opc));
            text.push_str(&format!("{identity},sip:{identity},{k},{opc}\n"));
        }
    }
    text
}

impl Half {
    fn open(
        side: Side,
        ip: IpAddr,
        proxy: SocketAddr,
        users: usize,
        timers: Timers,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut sockets = Vec::new();
        for index in 0..users.min(SOCKETS_MAX) {
            let mut socket = UdpSocket::bind(address(ip, index))?;
            let registry = poll.registry();
            registry.register(&mut socket, Token(index), Interest::READABLE)?;
            sockets.push(socket);
        }
        let agent = |number| {
            let (k, opc) = keys(side, number);
            let secret = Secret::Aka(Box::new(Usim::new(k, opc)));
            let identity = format!("{}@{REALM}", user(side, number));
            let local = address(ip, number % sockets.len());
            let mut config = Config::new(&identity, secret, local, proxy);
            config.timers = timers;
            config.access_network =
                Some("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010000001".to_owned());
            let seed = 2 * number as u64 + side as u64 + 1;
            UserAgent::new(config, Entropy::from_u64(seed))
        };
        Ok(Half {
            side,
            agents: (0..users).map(agent).collect(),
            sockets,
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN_MAX),
            due: BinaryHeap::new(),
            next: vec![None; users],
            standings: vec![Standing::Gone; users],
            sqns: SqnWatch::new(users),
            last_failure: String::new(),
        })
    }

    /// Reads what came; false when there was nothing.
    fn read(&mut self, now: Instant, tally: &mut Tally) -> bool {
        if self
            .poll
            .poll(&mut self.events, Some(Duration::ZERO))
            .is_err()
        {
            return false;
        }
        let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for &index in &ready {
            self.read_socket(now, index, tally);
        }
        !ready.is_empty()
    }

    fn read_socket(&mut self, now: Instant, socket: usize, tally: &mut Tally) {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            let (length, from) = match self.sockets[socket].recv_from(&mut buffer) {
                Ok(received) => received,
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return,
                // What the network says of datagrams sent earlier.
                Err(_) => continue,
            };
            let datagram = &buffer[..length];
            let Some(index) = addressee(datagram).filter(|&index| index < self.agents.len()) else {
                continue;
            };
            if let Secret::Aka(usim) = &self.agents[index].config().secret {
                self.sqns.note(index, usim, datagram);
            }
            self.agents[index].handle_input(now, Transport::Udp, from, datagram);
            self.settle(now, index, tally);
        }
    }

    fn fire(&mut self, now: Instant, tally: &mut Tally) {
        while let Some(&Reverse((at, index))) = self.due.peek() {
            if at > now {
                return;
            }
            self.due.pop();
            if self.next[index] == Some(at) {
                self.next[index] = None;
                self.agents[index].handle_timeout(now);
                self.settle(now, index, tally);
            }
        }
    }

    /// Does what an agent asks for after something happened to it.
    fn settle(&mut self, now: Instant, index: usize, tally: &mut Tally) {
        while let Some(output) = self.agents[index].poll_output() {
            match output {
                // What does not leave is sent again by timer.
                Output::Transmit { to, bytes, .. } => {
                    let socket = &self.sockets[index % self.sockets.len()];
                    let _ = socket.send_to(&bytes, to);
                }
                Output::Event(event) => self.note(now, index, &event, tally),
            }
        }
        if let Some(at) = self.agents[index].next_timeout()
            && self.next[index].is_none_or(|next| at < next)
        {
            self.next[index] = Some(at);
            self.due.push(Reverse((at, index)));
        }
    }

    fn note(&mut self, now: Instant, index: usize, event: &Event, tally: &mut Tally) {
        match event {
            Event::Registered { .. } => {
                tally.registered += 1;
                self.standings[index] = Standing::Registered;
            }
            Event::Deregistered => {
                tally.deregistered += 1;
                self.standings[index] = Standing::Gone;
            }
            Event::RegistrationFailed { status, reason } => {
                tally.registrations_failed += 1;
                if tally.registrations_failed == 1 {
                    eprintln!("the first registration that failed: {status} {reason}");
                }
            }
            Event::Established { call } if self.side == Side::Caller => {
                tally.established += 1;
                if self.agents[index].hang_up(now, *call).is_err() {
                    tally.failed += 1;
                }
            }
            Event::Ended { cause, .. } if self.side == Side::Caller => match cause {
                Cause::HungUp => tally.ended += 1,
                other => {
                    tally.failed += 1;
                    if tally.failed == 1 {
                        eprintln!("the first call that failed: {other:?}");
                    }
                    self.last_failure = format!("{other:?}");
                }
            },
            _ => {}
        }
    }
}

impl Crowd {
    /// `users` on each side, none of them registered; `proxy` is their P-CSCF.
    ///
    /// # Errors
    /// A socket cannot be opened.
    pub fn open(proxy: SocketAddr, users: usize) -> io::Result<Self> {
        Self::open_with(proxy, users, Timers::GM)
    }

    /// The same with other timers than those of Gm.
    ///
    /// # Errors
    /// As [`Crowd::open`].
    pub fn open_with(proxy: SocketAddr, users: usize, timers: Timers) -> io::Result<Self> {
        Ok(Crowd {
            callers: Half::open(Side::Caller, CALLERS, proxy, users, timers)?,
            called: Half::open(Side::Called, CALLED, proxy, users, timers)?,
            started: std::time::Instant::now(),
            tally: Tally::default(),
        })
    }

    fn now(&self) -> Instant {
        // User agents begin at some time after zero, as if they had run before.
        Instant::from_secs(1_000) + self.started.elapsed()
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Has a user register.
    pub fn register(&mut self, side: Side, number: usize) {
        let now = self.now();
        let half = self.half_mut(side);
        half.standings[number] = Standing::Unsure;
        // One that is under way goes on.
        let _ = half.agents[number].register(now);
        self.settle(side, number);
    }

    /// Has a user give its registration up.
    pub fn deregister(&mut self, side: Side, number: usize) {
        let now = self.now();
        let half = self.half_mut(side);
        if half.agents[number].deregister(now).is_ok() {
            half.standings[number] = Standing::Unsure;
        }
        self.settle(side, number);
    }

    /// What a user knows of its registration.
    pub fn standing(&self, side: Side, number: usize) -> Standing {
        self.half(side).standings[number]
    }

    /// Whether a user may call: registered, as it believes.
    pub fn is_registered(&self, side: Side, number: usize) -> bool {
        self.half(side).agents[number].is_registered()
    }

    /// What the users of a side were challenged with.
    pub fn sqns(&self, side: Side) -> &SqnWatch {
        &self.half(side).sqns
    }

    /// How the last call ended that failed.
    pub fn last_failure(&self) -> &str {
        &self.callers.last_failure
    }

    /// Has a caller call the user of the same number, who answers at once; the caller hangs up when
    /// he hears that.
    pub fn call(&mut self, number: usize) {
        let now = self.now();
        let target = format!("sip:{}@{REALM}", user(Side::Called, number));
        if self.callers.agents[number].call(now, &target).is_err() {
            self.tally.failed += 1;
        }
        self.settle(Side::Caller, number);
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Caller => &self.callers,
            Side::Called => &self.called,
        }
    }

    fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Caller => &mut self.callers,
            Side::Called => &mut self.called,
        }
    }

    fn settle(&mut self, side: Side, number: usize) {
        let now = self.now();
        let mut tally = self.tally;
        self.half_mut(side).settle(now, number, &mut tally);
        self.tally = tally;
    }

    /// Takes what came and does what is due; rests a little when nothing came.
    pub fn turn(&mut self) {
        let now = self.now();
        let mut busy = false;
        for half in [&mut self.callers, &mut self.called] {
            busy |= half.read(now, &mut self.tally);
            half.fire(now, &mut self.tally);
        }
        if !busy {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

fn address(ip: IpAddr, index: usize) -> SocketAddr {
    let port = u16::try_from(index).map_or(u16::MAX, |index| PORT.saturating_add(index));
    SocketAddr::new(ip, port)
}

/// The number of the user that a message is for: in the Request-URI of a request, in From of a
/// response.
fn addressee(message: &[u8]) -> Option<usize> {
    let is_response = message.starts_with(b"SIP/2.0 ");
    let line = if is_response {
        let mut lines = message.split(|&octet| octet == b'\n');
        lines.find(|line| line.starts_with(b"From:") || line.starts_with(b"f:"))?
    } else {
        message.split(|&octet| octet == b'\n').next()?
    };
    let at = line.windows(4).position(|four| four == b"sip:")? + 4;
    // The letter of the side, then digits.
    let digits = line.get(at + 1..at + 1 + DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_in_the_request_uri_or_in_from() {
        let invite = b"INVITE sip:b0000042@127.0.1.2:5060 SIP/2.0\r\nFrom: <sip:a0000007@x>\r\n";
        assert_eq!(addressee(invite), Some(42));
        let ok =
            b"SIP/2.0 200 OK\r\nVia: x\r\nFrom: <sip:a0000007@x>;tag=1\r\nTo: <sip:b0000042@x>";
        assert_eq!(addressee(ok), Some(7));
        assert_eq!(addressee(b"\r\n\r\n"), None);
        assert_eq!(addressee(b"NOTIFY sip:x SIP/2.0\r\n"), None);
    }

    #[test]
    fn every_subscriber_has_a_line_and_keys_of_its_own() {
        let text = import_file(3);
        assert_eq!(text.lines().count(), 7);
        let keys: std::collections::BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.split(',').nth(2))
            .collect();
        assert_eq!(keys.len(), 7);
    }
}
