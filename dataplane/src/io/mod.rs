//! Packet back-ends: where datagrams come from and go to.

pub mod af_xdp;
#[cfg(feature = "dpdk")]
pub mod dpdk;
mod hop;
pub mod impair;
pub mod sim;
pub mod tap;
pub mod udp;

use crate::{Burst, DropCounts, FlowId, Frame, LocalAddresses};
use base::Instant;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use udp_batch::{EventFd, Socket};

/// One worker's way to the network: a queue of a NIC, or a set of sockets.
///
/// It deals in datagrams; what is before the UDP payload it parses and builds itself, in the
/// headroom. The frames are its own: each comes from `rx_burst` or `alloc` and goes back by
/// `tx_burst` or `free`. No method blocks but `wait`, and none allocates after construction.
pub trait PacketIo: Send {
    /// Takes received datagrams into `burst`, which is empty, as many as are best handled at a
    /// time; none only if nothing waits. Each arrived at `now`.
    ///
    /// What cannot be taken is counted: longer than a frame, or no frame free.
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts);

    /// Adds up to `count` empty frames to `frames`, as far as there are any and `frames` has
    /// capacity.
    fn alloc(&mut self, frames: &mut Vec<Frame>, count: usize);

    /// Sends all of `outgoing` in order, and leaves it empty. What the network does not take is
    /// counted and freed. What a neighbour is to be found for leaves, or is counted, in one of the
    /// next calls.
    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, drops: &mut DropCounts);

    /// Takes frames back, and leaves `frames` empty.
    fn free(&mut self, frames: &mut Vec<Frame>);

    /// Datagrams of `flow` may now come, and be sent from it. What has waited at an endpoint that
    /// was kept is dropped.
    fn open(&mut self, flow: FlowId, endpoint: Endpoint, drops: &mut DropCounts);

    /// The end of what `open` began. Its endpoint comes back, unless the flow is not open or the
    /// endpoint is to be kept: then datagrams of the closed flow may come, and are received lest
    /// they wait for its next use.
    fn close(&mut self, flow: FlowId, keep: bool) -> Option<Endpoint>;

    /// Waits until something can be received, [`Waker::wake`] is called, or `timeout` (`None`: for
    /// ever) has passed.
    fn wait(&mut self, timeout: Option<Duration>);

    /// What ends a `wait`, from another thread.
    fn waker(&self) -> Waker;
}

/// The mg thread's side of a back-end: opens and closes what a port needs.
pub trait Endpoints: Send {
    /// Opens `local`, the address and port of `flow`, for all workers.
    ///
    /// # Errors
    /// What the system answers.
    fn open(&mut self, flow: FlowId, local: SocketAddr) -> io::Result<Endpoint>;

    /// The use of a flow ends. True when its endpoint is kept for the next: `open` then answers
    /// [`Endpoint::Kept`]. Otherwise reception stops, and the endpoint is dropped when all workers
    /// have handed it back.
    fn stop(&mut self, flow: FlowId) -> bool;

    /// From now on the datagrams of a flow are to come with their DSCP and ECN, or need not any
    /// more. A back-end that reads headers tells them always.
    fn tell_marks(&mut self, flow: FlowId, wanted: bool) {
        let _ = (flow, wanted);
    }

    /// Endpoints that are kept and not in use.
    fn kept(&self) -> usize {
        0
    }
}

/// What one open port needs in a back-end. The mg thread makes it, and the last copy is dropped
/// there.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A kernel socket.
    Socket(Arc<Socket>),
    /// The one that the flow had before: the workers have it.
    Kept,
    /// Nothing that belongs to the port alone.
    Virtual,
}

/// A datagram on its way out.
#[derive(Debug)]
pub struct Outgoing {
    /// The payload.
    pub frame: Frame,
    /// The flow from whose address and port it is sent.
    pub local: FlowId,
    /// Where it goes; of the local address's family.
    pub destination: SocketAddr,
    /// DSCP (RFC 2474) in the upper six bits, ECN in the others.
    pub traffic_class: u8,
}

/// Ends the `wait` of a back-end from another thread.
#[derive(Clone, Debug)]
pub struct Waker(Option<Arc<EventFd>>);

impl Waker {
    /// One that signals `event`.
    pub fn new(event: Arc<EventFd>) -> Self {
        Self(Some(event))
    }

    /// One for a back-end that never waits.
    pub fn none() -> Self {
        Self(None)
    }

    /// Ends the present wait, or the next.
    pub fn wake(&self) {
        if let Some(event) = &self.0 {
            event.signal();
        }
    }
}

/// A back-end for a number of workers.
pub struct Backend {
    /// The local addresses it serves.
    pub addresses: LocalAddresses,
    /// One for each worker.
    pub ios: Vec<Box<dyn PacketIo>>,
    /// The mg thread's side.
    pub endpoints: Box<dyn Endpoints>,
}

/// Moves up to `count` frames from a pool, as far as `frames` has capacity.
fn move_frames(pool: &mut Vec<Frame>, frames: &mut Vec<Frame>, count: usize) {
    let room = frames.capacity() - frames.len();
    let count = count.min(room).min(pool.len());
    frames.extend(pool.drain(pool.len() - count..));
}
