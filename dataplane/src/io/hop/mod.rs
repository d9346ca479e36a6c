//! Next hops: what a worker knows of them, and how it is told by whoever finds neighbours.
//!
//! A worker looks up the way of a flow's packets in its own [`Egresses`] and asks over a ring when
//! it is not known. At the other end of the rings, the [`Teller`] of each worker, is the thread
//! that knows routes and neighbours: the follower of the kernel's tables for `af_xdp`, a host's
//! ARP and neighbour discovery of our own for `dpdk`. Packets whose way is not known yet are that
//! thread's to send: it is given them over a ring, too.

mod egress;
mod parcel;
mod teller;

pub(super) use egress::{Egresses, FIRST_VERSION, Request};
pub(super) use parcel::{Losses, Parcel, parcels, put, take};
pub(super) use teller::Teller;

/// The number of a next hop, the same for all workers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct HopId(pub(super) u16);

impl HopId {
    /// Packets that go the slow way.
    pub(super) const SLOW: HopId = HopId(0);
    /// Packets to which no way leads.
    pub(super) const UNREACHABLE: HopId = HopId(1);
    /// The first that is in a table.
    pub(super) const FIRST: usize = 2;
}

/// What a worker does with packets for a next hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hop {
    /// Whoever finds neighbours is to send them: it has not found this one yet, or their way leads
    /// over an interface that is not ours.
    Slow,
    /// The neighbour could not be found.
    Unreachable,
    /// They go out with this header.
    Direct {
        /// Which of our interfaces.
        interface: u16,
        /// Longest IP packet.
        mtu: u16,
        link: inet::Link,
        /// The next one goes the slow way all the same, so that the neighbour is made sure of.
        confirm: bool,
    },
}

/// Next hops of one process: routers, and hosts on its links. Beyond, all are forgotten and found
/// again.
pub(super) const HOPS_MAX: usize = 4096;

const _: () = assert!(HOPS_MAX <= u16::MAX as usize);
