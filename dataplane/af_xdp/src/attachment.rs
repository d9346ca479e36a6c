//! The XDP program on an interface.

use crate::Socket;
use crate::bpf::{self, MapKind};
use crate::program::{self, Action, KEY_BYTES, VALUE_BYTES};
use crate::system::until_free;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The XDP program on an interface, from [`Attachment::new`] until it is dropped, or the process
/// dies.
#[derive(Debug)]
pub struct Attachment {
    sockets: OwnedFd,
    mode: Mode,
    /// The program stays as long as this is open.
    _link: OwnedFd,
}

/// Where in the kernel the program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// In the driver, before the kernel makes a packet of its own.
    Native,
    /// Behind it: every driver can.
    Skb,
}

/// Datagrams to be taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Served {
    /// To this address,
    pub address: IpAddr,
    /// with the tag of this VLAN, or none,
    pub vlan: Option<u16>,
    /// to one of these ports.
    pub ports: RangeInclusive<u16>,
}

impl Attachment {
    /// Attaches the program; `mode` is what is asked for, `None` the best there is. Nothing comes
    /// yet: see [`Attachment::direct`].
    ///
    /// # Errors
    /// What the system answers: `PermissionDenied` without CAP_BPF and CAP_NET_ADMIN, `EBUSY` when
    /// another program is attached and stays, `EOPNOTSUPP` for a mode that the driver has not,
    /// `ERANGE` for an MTU too large for native mode.
    pub fn new(interface: u32, served: &[Served], mode: Option<Mode>) -> io::Result<Self> {
        let tables = Tables::new(served)?;
        let (addresses, sockets) = (tables.addresses.as_fd(), tables.sockets.as_fd());
        let instructions = program::redirect(addresses, sockets, Action::Pass);
        let program = bpf::load(c"strowger", &instructions)?;
        let attach = |mode: Mode| {
            let flags = match mode {
                Mode::Native => FLAG_NATIVE,
                Mode::Skb => FLAG_SKB,
            };
            until_free(|| bpf::link(program.as_fd(), interface, flags)).map(|link| (link, mode))
        };
        let (link, mode) = match mode {
            Some(mode) => attach(mode)?,
            None => attach(Mode::Native).or_else(|error| match error.raw_os_error() {
                Some(libc::EBUSY | libc::EPERM) => Err(error),
                _ => attach(Mode::Skb),
            })?,
        };
        // The program holds the tables; of these, the sockets are still to come.
        Ok(Self {
            sockets: tables.sockets,
            mode,
            _link: link,
        })
    }

    /// Where the program runs.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Gives what comes by `queue` to a socket, which is bound there.
    ///
    /// # Errors
    /// What the system answers; `InvalidInput` for a queue beyond the 256th.
    pub fn direct(&self, queue: u32, socket: &Socket) -> io::Result<()> {
        if queue as usize >= QUEUES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let descriptor = socket.as_fd().as_raw_fd() as u32;
        bpf::set(
            self.sockets.as_fd(),
            &queue.to_ne_bytes(),
            &descriptor.to_ne_bytes(),
        )
    }
}

/// What the program looks up.
pub(crate) struct Tables {
    pub(crate) addresses: OwnedFd,
    pub(crate) sockets: OwnedFd,
}

impl Tables {
    pub(crate) fn new(served: &[Served]) -> io::Result<Self> {
        if served.is_empty() || served.len() > ATTACHED_ADDRESSES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let addresses = bpf::create_map(
            MapKind::Hash,
            c"addresses",
            KEY_BYTES,
            VALUE_BYTES,
            served.len(),
        )?;
        for each in served {
            bpf::set(addresses.as_fd(), &key(each), &value(each))?;
        }
        let sockets = bpf::create_map(MapKind::Sockets, c"sockets", 4, 4, QUEUES_MAX)?;
        Ok(Self { addresses, sockets })
    }
}

fn key(served: &Served) -> [u8; KEY_BYTES] {
    let address: Ipv6Addr = match served.address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let mut key = [0; KEY_BYTES];
    key[..16].copy_from_slice(&address.octets());
    key[16..].copy_from_slice(&u32::from(served.vlan.unwrap_or(0)).to_ne_bytes());
    key
}

fn value(served: &Served) -> [u8; VALUE_BYTES] {
    let mut value = [0; VALUE_BYTES];
    value[..2].copy_from_slice(&served.ports.start().to_ne_bytes());
    value[2..].copy_from_slice(&served.ports.end().to_ne_bytes());
    value
}

/// Most pairs of address and VLAN on one interface.
pub const ATTACHED_ADDRESSES_MAX: usize = 4096;

/// Most queues of an interface.
pub(crate) const QUEUES_MAX: usize = 256;

// XDP_FLAGS_SKB_MODE and XDP_FLAGS_DRV_MODE of linux/if_link.h.
const FLAG_SKB: u32 = 1 << 1;
const FLAG_NATIVE: u32 = 1 << 2;
