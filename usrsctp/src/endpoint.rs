//! An endpoint: a one-to-many socket (RFC 6458 3) and its associations.

use std::collections::{HashMap, VecDeque};
use std::ffi::{c_int, c_uint, c_void};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::address::{self, Storage};
use crate::config::{Carrier, Config, Timing};
use crate::ffi;
use crate::notification::{self, Change, Notification, PathState};
use crate::{seam, stack};

/// After so long an endpoint is to be polled even if its `wake` was not called: the library tells
/// nobody of what its clock has found out.
pub const POLL_AFTER: Duration = Duration::from_millis(100);

/// Associations of one endpoint; more are cut off.
const ASSOCIATIONS_MAX: usize = 4096;
/// Octets that wait for a slow peer, besides what the library holds for it; beyond them the
/// association is cut off.
const BACKLOG_BYTES_MAX: usize = 4 << 20;
/// Octets read at once; longer messages come in parts.
const READ_BYTES: usize = 65_536;
/// Addresses of a peer.
const PEER_ADDRESSES_MAX: usize = 8;
/// Associations that wait to be taken, which in a one-to-many socket none does.
const LISTEN_BACKLOG: c_int = 1;
/// How often peers are looked at that are to say goodbye.
const CLOSE_POLL: Duration = Duration::from_millis(5);
/// How long the library may take for its last packet.
const LAST_PACKET: Duration = Duration::from_millis(20);
/// Every so many packets are acknowledged at once.
const SACK_FREQUENCY: u32 = 2;
/// The others after this: less than any RTO.
const SACK_DELAY_MS: u32 = 50;

/// Names an association of an endpoint; not dealt again before very many others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssociationId(u32);

/// What happened to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An association is there.
    Up {
        /// The association.
        association: AssociationId,
        /// The addresses of the peer, the one used first.
        peers: Vec<SocketAddr>,
        /// We asked for it.
        is_ours: bool,
    },
    /// The peer has begun anew (RFC 9260 5.2): what was under way is lost.
    Restarted {
        /// The association.
        association: AssociationId,
        /// The addresses of the peer, the one used first.
        peers: Vec<SocketAddr>,
    },
    /// A message came.
    Message {
        /// The association.
        association: AssociationId,
        /// The stream.
        stream: u16,
        /// Payload protocol identifier.
        ppid: u32,
        /// The message.
        message: Vec<u8>,
    },
    /// A path to a peer has failed, or works.
    Path {
        /// The association.
        association: AssociationId,
        /// The address of the peer.
        peer: SocketAddr,
        /// What the path is now.
        state: PathState,
    },
    /// An association is gone, or could not be made.
    Down {
        /// The association.
        association: AssociationId,
        /// Why.
        reason: Reason,
    },
}

/// Why an association is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The peer does not answer, or does not want it any more (ABORT).
    Lost,
    /// The peer ended it in order (SHUTDOWN).
    ShutDown,
    /// It could not be made.
    Refused,
    /// The peer sent a message that is too long.
    TooLong,
    /// The peer takes messages so slowly that no more may wait for it.
    Slow,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Lost => "lost",
            Reason::ShutDown => "shut down by the peer",
            Reason::Refused => "refused, or nobody answers",
            Reason::TooLong => "cut off: a message was too long",
            Reason::Slow => "cut off: the peer is too slow",
        })
    }
}

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// It is empty, which SCTP does not know, or too long.
    Length,
    /// There is no such association, or not yet.
    Gone,
    /// Too much waits for the peer: the association was cut off.
    Slow,
}

/// One path of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStatus {
    /// The address of the peer.
    pub peer: SocketAddr,
    /// Whether it is reached there.
    pub state: PathState,
    /// Smoothed round trip time.
    pub rtt: Duration,
    /// What is waited for an acknowledgement.
    pub rto: Duration,
}

/// An endpoint. Dropped, it ends its associations in order, without waiting for that.
#[derive(Debug)]
pub struct Endpoint {
    socket: NonNull<ffi::Socket>,
    shared: &'static Shared,
    port: u16,
    message_len_max: usize,
    associations: HashMap<u32, Association>,
    /// Associations for which something waits to be sent.
    backlogs: usize,
    events: VecDeque<Event>,
    buffer: Box<[u8]>,
}

// SAFETY: the library locks its sockets itself; they belong to no thread.
unsafe impl Send for Endpoint {}

/// What the threads of the library touch. It is never freed: they may still do so for a moment
/// after the socket was closed.
struct Shared {
    has_news: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Association {
    state: State,
    /// Whom we connected to; empty where the peer did.
    asked: Vec<SocketAddr>,
    /// Streams of ours.
    streams: u16,
    /// The message of which a part has come.
    partial: Vec<u8>,
    /// What waits to be sent: stream, payload protocol identifier, message.
    backlog: VecDeque<(u16, u32, Vec<u8>)>,
    backlog_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Up,
    /// Its owner has let go of it.
    Closing,
}

/// Something that the library gave.
enum Received {
    Data(ffi::ReceiveInfo),
    Notification,
}

impl Endpoint {
    /// Opens an endpoint, and starts the library if it is the first of the process. `wake` is
    /// called on threads of the library when there may be something to poll.
    ///
    /// # Errors
    /// `InvalidInput` for a configuration that cannot be, else those of the system: no privilege,
    /// addresses not ours, ports taken.
    pub fn open(config: &Config, wake: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        let has_v6 = config.addresses.iter().any(IpAddr::is_ipv6);
        let unspecified = config.addresses.iter().any(IpAddr::is_unspecified);
        let count = config.addresses.len();
        if count == 0 || count > PEER_ADDRESSES_MAX || unspecified || config.port == 0 {
            let text = format!("give a port and 1 to {PEER_ADDRESSES_MAX} addresses of this host");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        stack::start(config.carrier)?;
        if !seam::claim(config.port, &config.addresses) {
            let text = "another endpoint of this process has the port";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        let domain = if has_v6 {
            libc::AF_INET6
        } else {
            libc::AF_INET
        };
        let kind = libc::SOCK_SEQPACKET;
        // SAFETY: no callback is given, and so nothing for it.
        let socket = unsafe {
            let info = ptr::null_mut();
            ffi::usrsctp_socket(domain, kind, ffi::IPPROTO_SCTP, None, None, 0, info)
        };
        let Some(socket) = NonNull::new(socket) else {
            let fault = io::Error::last_os_error();
            seam::release(config.port);
            return Err(fault);
        };
        let shared: &'static Shared = Box::leak(Box::new(Shared {
            has_news: AtomicBool::new(false),
            wake: Box::new(wake),
        }));
        // From here on the socket is closed and the port released by drop.
        let endpoint = Self {
            socket,
            shared,
            port: config.port,
            message_len_max: config.message_len_max,
            associations: HashMap::new(),
            backlogs: 0,
            events: VecDeque::new(),
            buffer: vec![0; READ_BYTES].into(),
        };
        endpoint.set_options(config)?;
        endpoint.bind(config)?;
        Ok(endpoint)
    }

    fn set_options(&self, config: &Config) -> io::Result<()> {
        // SAFETY: the socket is open.
        check(unsafe { ffi::usrsctp_set_non_blocking(self.socket.as_ptr(), 1) })?;
        let argument = ptr::from_ref(self.shared).cast_mut().cast();
        // SAFETY: the socket is open, and the argument outlives it: it is never freed.
        check(unsafe { ffi::usrsctp_set_upcall(self.socket.as_ptr(), Some(upcall), argument) })?;
        self.set(ffi::SCTP_NODELAY, &1_i32)?;
        self.set(ffi::SCTP_RECVRCVINFO, &1_i32)?;
        if config.addresses.iter().any(IpAddr::is_ipv6) {
            self.set(ffi::SCTP_I_WANT_MAPPED_V4_ADDR, &0_i32)?;
        }
        for kind in [
            notification::kind::ASSOCIATION_CHANGE,
            notification::kind::PATH_CHANGE,
            notification::kind::SEND_FAILED,
        ] {
            let event = ffi::EventOption {
                association: 0,
                kind,
                is_on: 1,
            };
            self.set(ffi::SCTP_EVENT, &event)?;
        }
        let sack = ffi::SackInfo {
            association: 0,
            delay: SACK_DELAY_MS,
            frequency: SACK_FREQUENCY,
        };
        self.set(ffi::SCTP_DELAYED_SACK, &sack)?;
        self.set_timing(config.timing)?;
        let init = ffi::InitMessage {
            streams_out: config.streams,
            streams_in_max: config.streams,
            attempts_max: config.timing.init_retransmissions_max,
            timeout_max: u16::try_from(millis(config.timing.rto_max)).unwrap_or(u16::MAX),
        };
        self.set(ffi::SCTP_INITMSG, &init)?;
        if let Carrier::Udp { peer, .. } = config.carrier {
            let encapsulation = ffi::UdpEncapsulation {
                address: Storage::NONE,
                association: 0,
                port: peer.to_be(),
            };
            self.set(ffi::SCTP_REMOTE_UDP_ENCAPS_PORT, &encapsulation)?;
        }
        Ok(())
    }

    fn set_timing(&self, timing: Timing) -> io::Result<()> {
        let rto = ffi::RtoInfo {
            association: 0,
            initial: millis(timing.rto_initial),
            max: millis(timing.rto_max),
            min: millis(timing.rto_min),
        };
        self.set(ffi::SCTP_RTOINFO, &rto)?;
        let association = ffi::AssociationParameters {
            association: 0,
            peer_window: 0,
            local_window: 0,
            cookie_life: 0,
            retransmissions_max: timing.association_retransmissions_max,
            peer_addresses: 0,
        };
        self.set(ffi::SCTP_ASSOCINFO, &association)?;
        let has_heartbeat = !timing.heartbeat.is_zero();
        let path = ffi::PathParameters {
            address: Storage::NONE,
            association: 0,
            heartbeat: millis(timing.heartbeat),
            mtu: 0,
            flags: if has_heartbeat {
                ffi::SPP_HB_ENABLE
            } else {
                ffi::SPP_HB_DISABLE
            },
            flow_label: 0,
            retransmissions_max: timing.path_retransmissions_max,
            dscp: 0,
        };
        self.set(ffi::SCTP_PEER_ADDR_PARAMS, &path)
    }

    fn bind(&self, config: &Config) -> io::Result<()> {
        let all = config.addresses.iter();
        let mut octets: Vec<u8> = all
            .flat_map(|&ip| address::encode(SocketAddr::new(ip, config.port)))
            .collect();
        let count = config.addresses.len() as c_int;
        let first = octets.as_mut_ptr().cast();
        let flags = ffi::SCTP_BINDX_ADD_ADDR;
        // SAFETY: the socket is open, and `first` points to `count` address structures, one behind
        // the other, which the library reads and writes octet by octet.
        check(unsafe { ffi::usrsctp_bindx(self.socket.as_ptr(), first, count, flags) })?;
        if config.listens {
            // SAFETY: the socket is open.
            check(unsafe { ffi::usrsctp_listen(self.socket.as_ptr(), LISTEN_BACKLOG) })?;
        }
        Ok(())
    }

    fn set<T>(&self, name: c_int, value: &T) -> io::Result<()> {
        let length = size_of::<T>() as libc::socklen_t;
        let value = ptr::from_ref(value).cast();
        let level = ffi::IPPROTO_SCTP;
        // SAFETY: the socket is open; the value is there for its length, and the library checks
        // that this is the length of what it expects.
        check(unsafe { ffi::usrsctp_setsockopt(self.socket.as_ptr(), level, name, value, length) })
    }

    /// Starts to connect to a peer at any of these addresses, all of one port; [`Event::Up`] or
    /// [`Event::Down`] follows. What is left of an association with that peer is cut off first.
    ///
    /// # Errors
    /// Those of the library: there is an association with the peer, or the address is of a family
    /// that the endpoint has not.
    pub fn connect(&mut self, peers: &[SocketAddr]) -> io::Result<AssociationId> {
        if peers.is_empty() || peers.len() > PEER_ADDRESSES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let is_left = |association: &Association| {
            association.state == State::Closing
                && association.asked.iter().any(|peer| peers.contains(peer))
        };
        let left = self.associations.iter().filter(|(_, each)| is_left(each));
        let left: Vec<u32> = left.map(|(&id, _)| id).collect();
        for id in left {
            self.abort(AssociationId(id));
        }
        let octets: Vec<u8> = peers
            .iter()
            .flat_map(|&peer| address::encode(peer))
            .collect();
        let mut id = 0;
        let first = octets.as_ptr().cast();
        let count = peers.len() as c_int;
        // SAFETY: the socket is open, and `first` points to `count` address structures, one behind
        // the other, which the library reads octet by octet.
        check(unsafe { ffi::usrsctp_connectx(self.socket.as_ptr(), first, count, &raw mut id) })?;
        let association = Association::new(State::Connecting, peers.to_vec());
        self.associations.insert(id, association);
        Ok(AssociationId(id))
    }

    /// Sends a message in order on a stream; streams that the peer has not granted are the first
    /// one. What the library cannot take now waits here.
    ///
    /// # Errors
    /// [`SendError::Slow`] ends the association, of which [`Event::Down`] tells too.
    pub fn send(
        &mut self,
        id: AssociationId,
        stream: u16,
        ppid: u32,
        message: &[u8],
    ) -> Result<(), SendError> {
        if message.is_empty() || message.len() > self.message_len_max {
            return Err(SendError::Length);
        }
        let known = self.associations.get_mut(&id.0);
        let association = known
            .filter(|each| each.state == State::Up)
            .ok_or(SendError::Gone)?;
        let stream = if stream < association.streams {
            stream
        } else {
            0
        };
        if association.backlog.is_empty() {
            match transmit(self.socket, id.0, (stream, 0), ppid, message) {
                Ok(()) => return Ok(()),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(SendError::Gone),
            }
        }
        if association.backlog_bytes + message.len() > BACKLOG_BYTES_MAX {
            self.cut_off(id, Reason::Slow);
            return Err(SendError::Slow);
        }
        self.backlogs += usize::from(association.backlog.is_empty());
        association.backlog_bytes += message.len();
        association
            .backlog
            .push_back((stream, ppid, message.to_vec()));
        Ok(())
    }

    /// Ends an association in order, behind what was sent (RFC 9260 9.2); nothing more is told of
    /// it.
    pub fn shutdown(&mut self, id: AssociationId) {
        let Some(association) = self.associations.get_mut(&id.0) else {
            return;
        };
        if association.state == State::Connecting {
            return self.abort(id);
        }
        association.state = State::Closing;
        if association.backlog.is_empty() {
            self.say_goodbye(id.0);
        }
        self.forget_events(id);
    }

    /// Ends an association at once (RFC 9260 9.1); nothing more is told of it.
    pub fn abort(&mut self, id: AssociationId) {
        let Some(association) = self.associations.remove(&id.0) else {
            return;
        };
        self.backlogs -= usize::from(!association.backlog.is_empty());
        // Where it is gone already there is nothing to end.
        let _ = transmit(self.socket, id.0, (0, ffi::SCTP_ABORT), 0, &[]);
        self.forget_events(id);
    }

    fn cut_off(&mut self, id: AssociationId, reason: Reason) {
        self.abort(id);
        let association = id;
        self.events.push_back(Event::Down {
            association,
            reason,
        });
    }

    fn forget_events(&mut self, id: AssociationId) {
        self.events.retain(|event| event.association() != id);
    }

    /// True when there may be something to poll, without `wake` being called again.
    pub fn has_news(&self) -> bool {
        !self.events.is_empty() || self.shared.has_news.load(Ordering::Acquire)
    }

    /// What happened next; `None` until `wake` is called, or for [`POLL_AFTER`].
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            // Before it is looked, so that what comes while it is looked is told.
            self.shared.has_news.store(false, Ordering::Release);
            let (received, length, is_whole) = self.receive()?;
            // There may be more.
            self.shared.has_news.store(true, Ordering::Release);
            match received {
                Received::Data(info) => self.handle_data(info, length, is_whole),
                Received::Notification => {
                    if let Some(notification) = notification::parse(&self.buffer[..length]) {
                        self.handle_notification(notification);
                    }
                }
            }
        }
    }

    /// Reads into the buffer what is there, how much of it, and whether it ends there.
    fn receive(&mut self) -> Option<(Received, usize, bool)> {
        let mut info = ffi::ReceiveInfo::default();
        let mut info_length = size_of::<ffi::ReceiveInfo>() as libc::socklen_t;
        let mut info_type: c_uint = 0;
        let mut flags: c_int = 0;
        let mut from = Storage::NONE;
        let mut from_length = size_of::<Storage>() as libc::socklen_t;
        // SAFETY: the socket is open, and every pointer is good for the length given with it; no
        // more is written than that.
        let count = unsafe {
            ffi::usrsctp_recvv(
                self.socket.as_ptr(),
                self.buffer.as_mut_ptr().cast(),
                self.buffer.len(),
                (&raw mut from).cast(),
                &raw mut from_length,
                (&raw mut info).cast(),
                &raw mut info_length,
                &raw mut info_type,
                &raw mut flags,
            )
        };
        let Some(length) = usize::try_from(count).ok().filter(|&length| length > 0) else {
            self.flush();
            return None;
        };
        let length = length.min(self.buffer.len());
        let is_whole = flags & libc::MSG_EOR != 0;
        if flags & ffi::MSG_NOTIFICATION != 0 {
            return Some((Received::Notification, length, is_whole));
        }
        if info_type != ffi::SCTP_RECVV_RCVINFO {
            info.association = 0;
        }
        Some((Received::Data(info), length, is_whole))
    }

    fn handle_data(&mut self, info: ffi::ReceiveInfo, length: usize, is_whole: bool) {
        let id = AssociationId(info.association);
        let Some(association) = self.associations.get_mut(&id.0) else {
            return;
        };
        if association.state != State::Up {
            return;
        }
        if association.partial.len() + length > self.message_len_max {
            return self.cut_off(id, Reason::TooLong);
        }
        association
            .partial
            .extend_from_slice(&self.buffer[..length]);
        if is_whole {
            self.events.push_back(Event::Message {
                association: id,
                stream: info.stream,
                ppid: u32::from_be(info.ppid),
                message: std::mem::take(&mut association.partial),
            });
        }
    }

    fn handle_notification(&mut self, notification: Notification) {
        match notification {
            Notification::Association(id, change) => self.handle_change(id, change),
            Notification::Path(id, peer, state) => {
                let known = self.associations.get(&id);
                if known.is_some_and(|each| each.state == State::Up) {
                    let association = AssociationId(id);
                    self.events.push_back(Event::Path {
                        association,
                        peer,
                        state,
                    });
                }
            }
            // The association is about to end, and who sent finds out by what is not answered.
            Notification::SendFailed(_) => {}
        }
    }

    fn handle_change(&mut self, id: u32, change: Change) {
        let association = AssociationId(id);
        match change {
            Change::Up { streams } => self.come_up(id, streams),
            Change::Restarted { streams } => {
                let Some(known) = self.associations.get_mut(&id) else {
                    return self.come_up(id, streams);
                };
                known.streams = streams;
                known.partial.clear();
                let peers = self.peers(association);
                self.events
                    .push_back(Event::Restarted { association, peers });
            }
            Change::Lost | Change::ShutDown | Change::Refused => {
                let Some(gone) = self.associations.remove(&id) else {
                    return;
                };
                self.backlogs -= usize::from(!gone.backlog.is_empty());
                let reason = match change {
                    Change::ShutDown => Reason::ShutDown,
                    Change::Refused => Reason::Refused,
                    _ if gone.state == State::Connecting => Reason::Refused,
                    _ => Reason::Lost,
                };
                if gone.state != State::Closing {
                    self.events.push_back(Event::Down {
                        association,
                        reason,
                    });
                }
            }
        }
    }

    fn come_up(&mut self, id: u32, streams: u16) {
        let association = AssociationId(id);
        if !self.associations.contains_key(&id) && self.associations.len() >= ASSOCIATIONS_MAX {
            let _ = transmit(self.socket, id, (0, ffi::SCTP_ABORT), 0, &[]);
            return;
        }
        let known = self.associations.entry(id);
        let known = known.or_insert_with(|| Association::new(State::Up, Vec::new()));
        if known.state == State::Closing {
            return;
        }
        known.state = State::Up;
        known.streams = streams;
        let is_ours = !known.asked.is_empty();
        let peers = self.peers(association);
        self.events.push_back(Event::Up {
            association,
            peers,
            is_ours,
        });
    }

    /// Sends what waits, as far as there is room.
    fn flush(&mut self) {
        if self.backlogs == 0 {
            return;
        }
        let mut done = Vec::new();
        let waiting = self.associations.iter_mut();
        for (&id, association) in waiting.filter(|(_, each)| !each.backlog.is_empty()) {
            while let Some((stream, ppid, message)) = association.backlog.front() {
                match transmit(self.socket, id, (*stream, 0), *ppid, message) {
                    Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => break,
                    // Of another error the end of the association tells.
                    _ => association.backlog_bytes -= message.len(),
                }
                association.backlog.pop_front();
            }
            if association.backlog.is_empty() {
                self.backlogs -= 1;
                done.push((id, association.state));
            }
        }
        for (id, state) in done {
            if state == State::Closing {
                self.say_goodbye(id);
            }
        }
    }

    fn say_goodbye(&mut self, id: u32) {
        if transmit(self.socket, id, (0, ffi::SCTP_EOF), 0, &[]).is_err() {
            self.associations.remove(&id);
        }
    }

    /// The addresses of a peer, the one used first.
    fn peers(&self, id: AssociationId) -> Vec<SocketAddr> {
        let mut first: *mut libc::sockaddr = ptr::null_mut();
        // SAFETY: the socket is open; the library allocates the list and writes where it is.
        let count = unsafe { ffi::usrsctp_getpaddrs(self.socket.as_ptr(), id.0, &raw mut first) };
        let mut peers = Vec::new();
        let Some(list) = NonNull::new(first) else {
            return peers;
        };
        let mut at = list.cast::<u8>();
        for _ in 0..count.clamp(0, PEER_ADDRESSES_MAX as c_int) {
            // SAFETY: one of `count` structures stands here, of which the shortest is that long.
            let octets = unsafe { at.cast::<[u8; 16]>().read_unaligned() };
            let is_v6 = u16::from_ne_bytes([octets[0], octets[1]]) == libc::AF_INET6 as u16;
            let decoded = if is_v6 {
                // SAFETY: this one is a `sockaddr_in6`.
                let octets = unsafe { at.cast::<[u8; 28]>().read_unaligned() };
                address::decode(&octets)
            } else {
                address::decode(&octets)
            };
            let Some((peer, length)) = decoded else {
                break;
            };
            peers.push(peer);
            // SAFETY: the next structure stands right behind, or the list ends there.
            at = unsafe { at.add(length) };
        }
        // SAFETY: it is the list that the library made, and nothing of it is kept.
        unsafe { ffi::usrsctp_freepaddrs(list.as_ptr()) };
        if let Some(first) = self.primary(id) {
            // Stable: the others keep their order.
            peers.sort_by_key(|peer| *peer != first);
        }
        peers
    }

    /// The paths of an association.
    pub fn paths(&self, id: AssociationId) -> Vec<PathStatus> {
        let peers = self.peers(id).into_iter();
        peers.filter_map(|peer| self.path(id, peer)).collect()
    }

    fn path(&self, id: AssociationId, peer: SocketAddr) -> Option<PathStatus> {
        let mut info = ffi::PathInfo {
            address: Storage::of(peer),
            association: id.0,
            state: 0,
            window: 0,
            rtt: 0,
            rto: 0,
            mtu: 0,
        };
        self.read_option(ffi::SCTP_GET_PEER_ADDR_INFO, &mut info)
            .ok()?;
        Some(PathStatus {
            peer,
            state: match info.state {
                1 => PathState::Reachable,
                2 => PathState::Unreachable,
                _ => PathState::Unconfirmed,
            },
            rtt: Duration::from_millis(info.rtt.into()),
            rto: Duration::from_millis(info.rto.into()),
        })
    }

    /// The address of a peer that is used first.
    fn primary(&self, id: AssociationId) -> Option<SocketAddr> {
        let mut primary = ffi::PrimaryPath {
            address: Storage::NONE,
            association: id.0,
            padding: [0; 4],
        };
        self.read_option(ffi::SCTP_PRIMARY_ADDR, &mut primary)
            .ok()?;
        address::decode(&primary.address.0).map(|(address, _)| address)
    }

    /// Has the library fill in a structure of which it reads what it needs.
    fn read_option<T: Copy>(&self, name: c_int, value: &mut T) -> io::Result<()> {
        let mut length = size_of::<T>() as libc::socklen_t;
        // SAFETY: the socket is open; the value is there for the length given with it, and consists
        // of integers, as the structures of `ffi` do.
        check(unsafe {
            ffi::usrsctp_getsockopt(
                self.socket.as_ptr(),
                ffi::IPPROTO_SCTP,
                name,
                ptr::from_mut(value).cast(),
                &raw mut length,
            )
        })
    }

    /// Ends every association in order and waits until the peers have agreed, but no longer than
    /// `limit`.
    pub fn close(mut self, limit: Duration) {
        let until = Instant::now() + limit;
        let all: Vec<u32> = self.associations.keys().copied().collect();
        for id in all {
            self.shutdown(AssociationId(id));
        }
        while !self.associations.is_empty() && Instant::now() < until {
            while self.poll_event().is_some() {}
            std::thread::sleep(CLOSE_POLL);
        }
        // The library tells of the end before it sends SHUTDOWN COMPLETE.
        std::thread::sleep(LAST_PACKET);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // SAFETY: the socket is open, and not used after this.
        unsafe { ffi::usrsctp_close(self.socket.as_ptr()) };
        seam::release(self.port);
    }
}

impl Event {
    /// The association that it is about.
    pub const fn association(&self) -> AssociationId {
        match self {
            Event::Up { association, .. }
            | Event::Restarted { association, .. }
            | Event::Message { association, .. }
            | Event::Path { association, .. }
            | Event::Down { association, .. } => *association,
        }
    }
}

impl Association {
    fn new(state: State, asked: Vec<SocketAddr>) -> Self {
        Self {
            state,
            asked,
            streams: 1,
            partial: Vec::new(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
        }
    }
}

/// Hands a message to the library, or an order to end the association.
fn transmit(
    socket: NonNull<ffi::Socket>,
    association: u32,
    (stream, flags): (u16, u16),
    ppid: u32,
    message: &[u8],
) -> io::Result<()> {
    let mut info = ffi::SendInfo {
        stream,
        flags,
        ppid: ppid.to_be(),
        context: 0,
        association,
    };
    // SAFETY: the socket is open as long as the endpoint lives, which called this. The message is
    // read for its length before the call is over, the information is of the type that is named.
    let count = unsafe {
        ffi::usrsctp_sendv(
            socket.as_ptr(),
            message.as_ptr().cast(),
            message.len(),
            ptr::null_mut(),
            0,
            (&raw mut info).cast(),
            size_of::<ffi::SendInfo>() as libc::socklen_t,
            ffi::SCTP_SENDV_SNDINFO,
            0,
        )
    };
    match count {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Notes that there is news, and wakes the owner, once until it has looked.
///
/// # Safety
/// `argument` is what was given with it: a [`Shared`], which lives for ever.
unsafe extern "C" fn upcall(_: *mut ffi::Socket, argument: *mut c_void, _: c_int) {
    // SAFETY: by the contract; it is shared by reference only.
    let shared = unsafe { &*argument.cast_const().cast::<Shared>() };
    if !shared.has_news.swap(true, Ordering::AcqRel) {
        (shared.wake)();
    }
}

fn check(outcome: c_int) -> io::Result<()> {
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whole milliseconds, as many as there is room for.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
