//! From a configuration to a back-end.

use super::resolver::Resolver;
use super::{AfXdpEndpoints, AfXdpIo, Port, WAKEUP};
use crate::flow_set::FlowSet;
use crate::{BURST_MAX, Backend, Frame, LocalAddresses};
use ::af_xdp::{
    ATTACHED_ADDRESSES_MAX, Attachment, Copying, Mode, RawSocket, Served, Socket, Umem,
};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use udp_batch::{Epoll, EventFd, Events};

/// What the `af_xdp` back-end can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AfXdpConfig {
    /// The interfaces, at least one.
    pub interfaces: Vec<InterfaceConfig>,
    /// Workers, at least one and no more than any interface has queues.
    pub workers: usize,
    /// Frames of each worker for datagrams on their way, at least [`FRAMES_MIN`]; those in rings
    /// come on top.
    pub frames: usize,
    /// Entries of each ring of each queue, a power of two.
    pub ring: u32,
    /// Give up every capability of the calling thread, and of those it starts, once all is open.
    pub drop_privileges: bool,
}

impl Default for AfXdpConfig {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            workers: 1,
            frames: 2048,
            ring: 2048,
            drop_privileges: false,
        }
    }
}

/// One interface.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InterfaceConfig {
    /// Its name.
    pub name: String,
    /// The queues to use; `None`: all that there are. What comes by another one is the kernel's.
    pub queues: Option<Vec<u32>>,
    /// Where the program is to run; `None`: in the driver if it can.
    pub mode: Option<Mode>,
    /// Whether to copy.
    pub copying: Copying,
}

/// What was opened.
pub struct Opened {
    /// The back-end.
    pub backend: Backend,
    /// What is in force on each interface.
    pub interfaces: Vec<InterfaceStatus>,
}

/// What is in force on an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Where the program runs; `None` when no address is served here and there is no program.
    pub mode: Option<Mode>,
    /// Its queues.
    pub queues: Vec<QueueStatus>,
}

/// What is in force on a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueStatus {
    /// Its number.
    pub queue: u32,
    /// The worker that serves it.
    pub worker: usize,
    /// Packets come and go without a copy.
    pub zero_copy: bool,
}

/// Why the back-end cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// There is none of this name.
    NoInterface(String),
    /// An interface or queue is named twice, or none is.
    Misuse(&'static str),
    /// An interface has fewer queues than there are workers.
    TooFewQueues {
        /// The interface.
        name: String,
        /// Its queues.
        queues: usize,
        /// Workers.
        workers: usize,
    },
    /// No interface of this host has this address.
    NoAddress(IpAddr),
    /// The XDP program cannot be attached.
    Attach(String, io::Error),
    /// A queue cannot be opened.
    Bind(String, u32, io::Error),
    /// Something else cannot be had from the system.
    Io(&'static str, io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::NoInterface(name) => write!(f, "there is no interface {name}"),
            SetupError::Misuse(what) => f.write_str(what),
            SetupError::TooFewQueues {
                name,
                queues,
                workers,
            } => write!(f, "{name} has {queues} queues for {workers} workers"),
            SetupError::NoAddress(address) => {
                write!(f, "no interface of this host has the address {address}")
            }
            SetupError::Attach(name, error) => {
                write!(f, "cannot attach the XDP program to {name}: {error}")
            }
            SetupError::Bind(name, queue, error) => {
                write!(f, "cannot open queue {queue} of {name}: {error}")
            }
            SetupError::Io(what, error) => write!(f, "cannot open {what}: {error}"),
        }
    }
}

impl std::error::Error for SetupError {}

impl SetupError {
    /// What the system answered, if it was asked.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            SetupError::Attach(_, error)
            | SetupError::Bind(_, _, error)
            | SetupError::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

/// An interface whose queues are known.
struct Interface<'a> {
    config: &'a InterfaceConfig,
    index: u32,
    queues: Vec<u32>,
    attachment: Option<Attachment>,
}

/// Opens the back-end for `addresses`, each of which some interface must have.
///
/// An address of one of the configured interfaces, or of a VLAN of it, is served there; one that
/// belongs to none of them (loopback, for one) is served on all, with and without their VLANs'
/// tags.
///
/// # Errors
/// What cannot be had.
pub fn open(addresses: &LocalAddresses, config: &AfXdpConfig) -> Result<Opened, SetupError> {
    let mut interfaces = find_interfaces(config)?;
    let indices: Vec<u32> = interfaces.iter().map(|interface| interface.index).collect();
    let routes = |error| SetupError::Io("the routing socket", error);
    let mut resolver = Resolver::new(indices).map_err(routes)?;
    attach(addresses, &mut interfaces, &mut resolver)?;
    let mut ios: Vec<Box<dyn crate::PacketIo>> = Vec::new();
    let mut status: Vec<InterfaceStatus> = interfaces.iter().map(Interface::status).collect();
    for worker in 0..config.workers.max(1) {
        let io = open_worker(
            worker,
            addresses,
            config,
            &interfaces,
            &mut resolver,
            &mut status,
        )?;
        ios.push(Box::new(io));
    }
    for each in &mut status {
        each.queues.sort_by_key(|queue| queue.queue);
    }
    let kernel = RawSocket::open().map_err(|error| SetupError::Io("a raw socket", error))?;
    let resolver = resolver
        .start(kernel, config.drop_privileges)
        .map_err(|error| SetupError::Io("a thread", error))?;
    if config.drop_privileges {
        ::af_xdp::drop_capabilities()
            .map_err(|error| SetupError::Io("a process without capabilities", error))?;
    }
    let attachments = interfaces.into_iter().filter_map(|each| each.attachment);
    let endpoints = Box::new(AfXdpEndpoints {
        _resolver: resolver,
        _attachments: attachments.collect(),
    });
    let backend = Backend {
        addresses: addresses.clone(),
        ios,
        endpoints,
    };
    Ok(Opened {
        backend,
        interfaces: status,
    })
}

fn find_interfaces(config: &AfXdpConfig) -> Result<Vec<Interface<'_>>, SetupError> {
    if config.interfaces.is_empty() {
        return Err(SetupError::Misuse("no interface is named"));
    }
    if !config.ring.is_power_of_two() || !(RING_MIN..=RING_MAX).contains(&config.ring) {
        return Err(SetupError::Misuse(
            "the size of rings is no power of two from 64 to 65536",
        ));
    }
    let mut interfaces: Vec<Interface<'_>> = Vec::new();
    for each in &config.interfaces {
        let name = || each.name.clone();
        let index =
            ::af_xdp::interface_index(&each.name).map_err(|_| SetupError::NoInterface(name()))?;
        if interfaces.iter().any(|known| known.index == index) {
            return Err(SetupError::Misuse("an interface is named twice"));
        }
        let queues = match &each.queues {
            Some(queues) => queues.clone(),
            None => {
                let count = ::af_xdp::interface_queues(&each.name)
                    .map_err(|error| SetupError::Bind(name(), 0, error))?;
                (0..count).collect()
            }
        };
        if queues.iter().collect::<BTreeSet<_>>().len() != queues.len() {
            return Err(SetupError::Misuse("a queue is named twice"));
        }
        if queues.len() < config.workers.max(1) {
            return Err(SetupError::TooFewQueues {
                name: name(),
                queues: queues.len(),
                workers: config.workers.max(1),
            });
        }
        interfaces.push(Interface {
            config: each,
            index,
            queues,
            attachment: None,
        });
    }
    Ok(interfaces)
}

impl Interface<'_> {
    fn status(&self) -> InterfaceStatus {
        InterfaceStatus {
            name: self.config.name.clone(),
            mode: self.attachment.as_ref().map(Attachment::mode),
            queues: Vec::new(),
        }
    }
}

/// Attaches the program to each interface that serves an address.
fn attach(
    addresses: &LocalAddresses,
    interfaces: &mut [Interface<'_>],
    resolver: &mut Resolver,
) -> Result<(), SetupError> {
    let routes = |error| SetupError::Io("the routing socket", error);
    let held = resolver.addresses().map_err(routes)?;
    let links = resolver.links().map_err(routes)?;
    let ours: Vec<u32> = interfaces.iter().map(|interface| interface.index).collect();
    // Each interface of ours and each of its VLANs: its number, ours, and the tag.
    let mut places: Vec<(u32, u32, Option<u16>)> = Vec::new();
    places.extend(ours.iter().map(|index| (*index, *index, None)));
    for link in &links {
        if let Some((parent, vlan)) = link.vlan_of
            && ours.contains(&parent)
        {
            places.push((link.index, parent, Some(vlan)));
        }
    }
    let mut served: Vec<Vec<Served>> = vec![Vec::new(); interfaces.len()];
    for (address, ports) in addresses.ranges() {
        let holders: Vec<u32> = held
            .iter()
            .filter(|(_, held)| *held == address)
            .map(|(holder, _)| *holder)
            .collect();
        if holders.is_empty() {
            return Err(SetupError::NoAddress(address));
        }
        let is_ours = |(index, ..): &&(u32, u32, Option<u16>)| holders.contains(index);
        let anywhere = !places.iter().any(|place| is_ours(&place));
        for (_, parent, vlan) in places.iter().filter(|place| anywhere || is_ours(place)) {
            let place = ours.iter().position(|index| index == parent).unwrap_or(0);
            served[place].push(Served {
                address,
                vlan: *vlan,
                ports: ports.clone(),
            });
        }
    }
    for (interface, served) in interfaces.iter_mut().zip(served) {
        if served.is_empty() {
            continue;
        }
        if served.len() > ATTACHED_ADDRESSES_MAX {
            return Err(SetupError::Misuse(
                "too many addresses and VLANs on one interface",
            ));
        }
        let attachment = Attachment::new(interface.index, &served, interface.config.mode)
            .map_err(|error| SetupError::Attach(interface.config.name.clone(), error))?;
        interface.attachment = Some(attachment);
    }
    Ok(())
}

/// Opens the sockets of one worker: on every interface each queue whose turn it is.
fn open_worker(
    worker: usize,
    addresses: &LocalAddresses,
    config: &AfXdpConfig,
    interfaces: &[Interface<'_>],
    resolver: &mut Resolver,
    status: &mut [InterfaceStatus],
) -> Result<AfXdpIo, SetupError> {
    let workers = config.workers.max(1);
    let mine = |interface: &Interface<'_>| -> Vec<u32> {
        interface
            .queues
            .iter()
            .copied()
            .skip(worker)
            .step_by(workers)
            .collect()
    };
    let queues: usize = interfaces
        .iter()
        .map(|interface| mine(interface).len())
        .sum();
    let frames = config.frames.max(FRAMES_MIN);
    let ring = config.ring as usize;
    // Those to receive into, those on their way out, and those in the worker's hands.
    let (umem, mut chunks) = Umem::new(queues * ring * 2 + frames)
        .map_err(|error| SetupError::Io("packet memory", error))?;
    let umem = Arc::new(umem);
    let mut ports: Vec<Port> = Vec::new();
    let mut senders = Vec::new();
    for (interface, status) in interfaces.iter().zip(status) {
        senders.push(ports.len());
        for queue in mine(interface) {
            let bind = |error| SetupError::Bind(interface.config.name.clone(), queue, error);
            let first = ports.first().map(|port| &port.socket);
            let at = (interface.index, queue);
            let copying = interface.config.copying;
            let mut socket = Socket::bind(&umem, at, config.ring, copying, first).map_err(bind)?;
            for chunk in chunks.drain(chunks.len() - ring..) {
                // The ring is new and takes as many.
                let filled = socket.fill(chunk);
                debug_assert!(filled.is_ok(), "a new ring has room");
            }
            socket.submit();
            if let Some(attachment) = &interface.attachment {
                attachment.direct(queue, &socket).map_err(bind)?;
            }
            status.queues.push(QueueStatus {
                queue,
                worker,
                zero_copy: socket.is_zero_copy().map_err(bind)?,
            });
            ports.push(Port::new(socket));
        }
    }
    let descriptors = |error| SetupError::Io("descriptors", error);
    let epoll = Epoll::new().map_err(descriptors)?;
    let wakeup = Arc::new(EventFd::new().map_err(descriptors)?);
    epoll.add(&*wakeup, WAKEUP).map_err(descriptors)?;
    for (index, port) in ports.iter().enumerate() {
        epoll.add(&port.socket, index as u64).map_err(descriptors)?;
    }
    Ok(AfXdpIo {
        addresses: addresses.clone(),
        events: Events::new(ports.len() + 1),
        ports,
        senders: senders.into(),
        next: 0,
        pool: pool(chunks, queues * ring),
        batch: Vec::with_capacity(BURST_MAX),
        open: FlowSet::new(addresses.flows()),
        resolver: resolver.add_worker(addresses.flows(), &wakeup),
        epoll,
        wakeup,
        turns: 0,
    })
}

/// The frames outside rings, and room for all there are, so that the pool never grows.
fn pool(chunks: Vec<&'static mut [u8]>, in_rings: usize) -> Vec<Frame> {
    let mut pool = Vec::with_capacity(chunks.len() + in_rings);
    pool.extend(chunks.into_iter().map(Frame::new));
    pool
}

/// Fewest frames of a worker outside its rings.
pub const FRAMES_MIN: usize = crate::worker::FRAMES_IN_FLIGHT_MAX;

/// Fewest entries of a ring: a burst.
pub(super) const RING_MIN: u32 = 64;

/// Most entries of a ring.
const RING_MAX: u32 = 65_536;
