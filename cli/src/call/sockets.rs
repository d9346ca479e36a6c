//! The sockets of a call, and the loop that carries it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::control::clock::Clock;
use base::Instant;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token};
use sip::Transport;

use super::streams::Streams;
use crate::failure::Failure;

/// All sockets have the same token, since all are asked whenever one is ready.
pub const ANY: Token = Token(0);
/// Tries for two ports that belong together and are both free.
const PAIR_TRIES: usize = 64;
/// The longest datagram; longer ones cannot be sent over UDP.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Datagrams taken from one socket before the others have their turn.
const BURST_MAX: usize = 64;
/// How often it is looked whether to stop.
const STOP_POLL: Duration = Duration::from_millis(100);
/// A keep-alive (RFC 5626 3.5.1), to which every SIP element may be silent.
const KEEP_ALIVE: &[u8] = b"\r\n\r\n";

/// A socket of one telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// SIP over this transport.
    Sip(Transport),
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
}

/// A datagram to be sent.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// By the telephone at this place.
    pub place: usize,
    /// From this socket of it.
    pub from: Socket,
    /// To this address.
    pub to: SocketAddr,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Telephones that [`run`] gives datagrams and time, each with a [`Place`] of its own.
pub trait Telephones {
    /// Takes a datagram that a socket of one of them received.
    fn handle_input(
        &mut self,
        now: Instant,
        place: usize,
        at: Socket,
        from: SocketAddr,
        datagram: &[u8],
    );

    /// The network says that nobody receives at this address.
    fn handle_unreachable(&mut self, now: Instant, place: usize, peer: SocketAddr);

    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant);

    /// When to call that; none when all is over.
    fn next_timeout(&self) -> Option<Instant>;

    /// What is to be sent next.
    fn poll_output(&mut self) -> Option<Transmit>;

    /// Ends all in order: somebody wants it so, or the system does.
    fn stop(&mut self, now: Instant, why: Failure);

    /// Keeps in mind what is bad but ends nothing.
    fn blame(&mut self, fault: String);
}

/// The sockets of one telephone, on ports that the system chose.
pub struct Place {
    proxy: SocketAddr,
    signal: UdpSocket,
    streams: Streams,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// Connected to the P-CSCF: the system tells when nobody is there.
    probe: Option<UdpSocket>,
    signal_address: SocketAddr,
    media_port: u16,
}

impl Place {
    /// Opens sockets at `local`, by default the address from which the P-CSCF is reached. With
    /// `probe` it is looked whether anybody is there over UDP.
    ///
    /// # Errors
    /// There is no way to the P-CSCF, or no socket to be had at that address.
    pub fn open(local: Option<IpAddr>, proxy: SocketAddr, probe: bool) -> Result<Self, Failure> {
        let local = match local {
            Some(local) => local,
            None => source_address(proxy).map_err(|fault| no_way(proxy).because(fault))?,
        };
        if local.is_ipv4() != proxy.is_ipv4() {
            return Err(no_way(proxy)
                .because(format_args!("{local} is of the other IP version"))
                .remedy("Give --local an address of the same IP version as --proxy."));
        }
        let no_socket = |fault: io::Error| {
            Failure::new(format!("cannot open a socket at {local}"))
                .because(fault)
                .remedy("Give --local an address of this machine.")
        };
        let (signal, streams) = bind_signal(local).map_err(no_socket)?;
        let (rtp, rtcp) = bind_pair(local).map_err(no_socket)?;
        let probe = match probe {
            true => Some(self::probe(local, proxy).map_err(|fault| no_way(proxy).because(fault))?),
            false => None,
        };
        Ok(Self {
            proxy,
            signal_address: signal.local_addr().map_err(no_socket)?,
            media_port: rtp.local_addr().map_err(no_socket)?.port(),
            signal,
            streams,
            rtp,
            rtcp,
            probe,
        })
    }

    /// The P-CSCF.
    pub fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// Where SIP is received.
    pub fn signal_address(&self) -> SocketAddr {
        self.signal_address
    }

    /// Where RTP is received; RTCP is at the next port.
    pub fn media_port(&self) -> u16 {
        self.media_port
    }

    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let sockets = [&mut self.signal, &mut self.rtp, &mut self.rtcp];
        for socket in sockets.into_iter().chain(&mut self.probe) {
            registry.register(socket, ANY, Interest::READABLE)?;
        }
        self.streams.register(registry)
    }

    /// Sends a datagram or a message.
    fn send(&mut self, registry: &Registry, transmit: &Transmit) -> io::Result<()> {
        let Transmit {
            from, to, bytes, ..
        } = transmit;
        let socket = match from {
            Socket::Sip(Transport::Udp) => &self.signal,
            Socket::Sip(Transport::Tcp) => return self.streams.send(registry, *to, bytes),
            Socket::Sip(_) => return Err(ErrorKind::Unsupported.into()),
            Socket::Rtp => &self.rtp,
            Socket::Rtcp => &self.rtcp,
        };
        match socket.send_to(bytes, *to) {
            // A full queue drops it, as any network may.
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => Ok(()),
            sent => sent.map(drop),
        }
    }
}

/// Carries the telephones to their end.
///
/// # Errors
/// The system cannot wait for sockets. What happens to single sockets is told to the telephones.
pub fn run(
    phones: &mut impl Telephones,
    places: &mut [Place],
    clock: &Clock,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let cannot = |fault: io::Error| Failure::new("cannot wait for sockets").because(fault);
    let mut poll = Poll::new().map_err(cannot)?;
    for place in places.iter_mut() {
        place.register(poll.registry()).map_err(cannot)?;
    }
    let mut events = Events::with_capacity(8);
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut is_stopped = false;
    loop {
        send(phones, places, clock, poll.registry());
        let Some(next) = phones.next_timeout() else {
            return Ok(());
        };
        if !is_stopped && stop.load(Ordering::Acquire) {
            is_stopped = true;
            let why = Failure::new("the call was stopped before its end");
            phones.stop(clock.now(), why);
            continue;
        }
        // The system waits for whole milliseconds. The rest passes awake: what is waited too long
        // would be taken for jitter of the network.
        let wait = next.since(clock.now()).min(STOP_POLL).as_millis() as u64;
        let wait = Duration::from_millis(wait);
        match poll.poll(&mut events, Some(wait)) {
            Err(fault) if fault.kind() != ErrorKind::Interrupted => return Err(cannot(fault)),
            _ => {}
        }
        // All are asked, whichever was ready: readiness is told once only, and there are few.
        while receive(phones, places, clock, poll.registry(), &mut buffer) {
            send(phones, places, clock, poll.registry());
        }
        let now = clock.now();
        if phones.next_timeout().is_some_and(|next| next <= now) {
            phones.handle_timeout(now);
        }
    }
}

/// Sends what is to be sent.
fn send(phones: &mut impl Telephones, places: &mut [Place], clock: &Clock, registry: &Registry) {
    while let Some(transmit) = phones.poll_output() {
        let (place, to) = (transmit.place, transmit.to);
        match places[place].send(registry, &transmit) {
            Ok(()) => {}
            Err(fault) if fault.kind() == ErrorKind::ConnectionRefused => {
                phones.handle_unreachable(clock.now(), place, to);
            }
            Err(fault) if matches!(transmit.from, Socket::Sip(_)) => {
                let failure = Failure::new(format!("cannot send to {to}")).because(fault);
                phones.stop(clock.now(), failure);
            }
            Err(fault) => phones.blame(format!("cannot send audio to {to}: {fault}")),
        }
    }
}

/// Receives a burst from every socket; true when more may be there.
fn receive(
    phones: &mut impl Telephones,
    places: &mut [Place],
    clock: &Clock,
    registry: &Registry,
    buffer: &mut [u8],
) -> bool {
    let mut is_more = false;
    for (index, place) in places.iter_mut().enumerate() {
        let sockets = [
            (Socket::Rtp, &place.rtp),
            (Socket::Rtcp, &place.rtcp),
            (Socket::Sip(Transport::Udp), &place.signal),
        ];
        for (at, socket) in sockets {
            for count in 1..=BURST_MAX {
                match socket.recv_from(buffer) {
                    Ok((length, from)) => {
                        let datagram = &buffer[..length];
                        phones.handle_input(clock.now(), index, at, from, datagram);
                    }
                    Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
                    // What one datagram met on its way is no fault of the socket.
                    Err(_) => {}
                }
                is_more |= count == BURST_MAX;
            }
        }
        place.streams.receive(registry, buffer, |peer, received| {
            let (now, at) = (clock.now(), Socket::Sip(Transport::Tcp));
            match received {
                Some(message) => phones.handle_input(now, index, at, peer, message),
                None => phones.handle_unreachable(now, index, peer),
            }
        });
        if let Some(probe) = &place.probe {
            for _ in 0..BURST_MAX {
                match probe.recv(buffer) {
                    Ok(_) => {}
                    Err(fault) if fault.kind() == ErrorKind::ConnectionRefused => {
                        phones.handle_unreachable(clock.now(), index, place.proxy);
                    }
                    Err(_) => break,
                }
            }
        }
    }
    is_more
}

fn no_way(proxy: SocketAddr) -> Failure {
    Failure::new(format!("no way to the P-CSCF at {proxy}"))
}

/// The address that the system would send from.
fn source_address(to: SocketAddr) -> io::Result<IpAddr> {
    let any = match to {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

fn bind(local: IpAddr, port: u16) -> io::Result<UdpSocket> {
    UdpSocket::bind(SocketAddr::new(local, port))
}

/// A socket that the system tells of it when nobody is at the other end.
fn probe(local: IpAddr, proxy: SocketAddr) -> io::Result<UdpSocket> {
    let probe = bind(local, 0)?;
    probe.connect(proxy)?;
    probe.send(KEEP_ALIVE)?;
    Ok(probe)
}

/// SIP over UDP and TCP at one port: whoever has a long message for us sends it over TCP (RFC 3261
/// 18.1.1).
fn bind_signal(local: IpAddr) -> io::Result<(UdpSocket, Streams)> {
    for _ in 0..PAIR_TRIES {
        let signal = bind(local, 0)?;
        if let Ok(streams) = Streams::listen(signal.local_addr()?) {
            return Ok((signal, streams));
        }
    }
    Err(no_ports())
}

fn no_ports() -> io::Error {
    io::Error::new(
        ErrorKind::AddrInUse,
        "no two ports that belong together are free",
    )
}

/// RTP at an even port, RTCP at the next (RFC 3550 11).
fn bind_pair(local: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..PAIR_TRIES {
        let one = bind(local, 0)?;
        let port = one.local_addr()?.port();
        if let Ok(other) = bind(local, port ^ 1) {
            return Ok(if port % 2 == 0 {
                (one, other)
            } else {
                (other, one)
            });
        }
    }
    Err(no_ports())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

    #[test]
    fn media_has_an_even_port_and_the_next() {
        let place = Place::open(None, PROXY, false).expect("loopback");
        let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
        assert_eq!(place.media_port() % 2, 0);
        assert_eq!(port(&place.rtp), place.media_port());
        assert_eq!(port(&place.rtcp), place.media_port() + 1);
        assert_eq!(place.signal_address().ip(), Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn an_address_of_the_other_ip_version_is_refused() {
        let local = Some(IpAddr::V6(Ipv6Addr::LOCALHOST));
        let Err(failure) = Place::open(local, PROXY, false) else {
            panic!("accepted");
        };
        assert!(failure.to_string().contains("--local"), "{failure}");
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let local = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let Err(failure) = Place::open(local, PROXY, false) else {
            panic!("accepted");
        };
        assert!(failure.to_string().contains("192.0.2.1"), "{failure}");
    }
}
