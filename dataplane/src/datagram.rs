//! What a media function sees of the network.

use crate::{FlowId, Frame};
use base::Instant;
use std::net::SocketAddr;

/// One received UDP datagram: payload in place, and where and when it came from and to.
#[derive(Debug)]
pub struct Datagram {
    /// The payload, with room before and behind it.
    pub frame: Frame,
    /// The local address and port it was sent to.
    pub flow: FlowId,
    /// Who sent it.
    pub source: SocketAddr,
    /// When the burst with it was taken from the back-end.
    pub arrival: Instant,
    /// DSCP and ECN that it came with; 0 where a back-end was not asked for them
    /// ([`crate::Endpoints::tell_marks`]).
    pub traffic_class: u8,
    /// How often it was delivered in memory since it came from the network.
    pub(crate) hops: u8,
}

impl Datagram {
    /// A datagram from the network.
    #[inline]
    pub fn new(frame: Frame, flow: FlowId, source: SocketAddr, arrival: Instant) -> Self {
        Self {
            frame,
            flow,
            source,
            arrival,
            traffic_class: 0,
            hops: 0,
        }
    }

    /// The same, with DSCP and ECN.
    #[inline]
    pub fn with_traffic_class(self, traffic_class: u8) -> Self {
        Self {
            traffic_class,
            ..self
        }
    }

    /// The datagram, of which one without a frame is left.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            frame: self.frame.take(),
            ..*self
        }
    }

    /// The UDP payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.frame.payload()
    }

    /// The UDP payload, to be changed in place.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        self.frame.payload_mut()
    }

    /// Puts another payload in its place; false, and none is left, when it is too long.
    pub fn replace_payload(&mut self, payload: &[u8]) -> bool {
        self.frame.fill(payload)
    }
}

/// At most [`BURST_MAX`] datagrams. Its memory is allocated once, by `new`.
#[derive(Debug)]
pub struct Burst {
    datagrams: Vec<Datagram>,
}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}

impl Burst {
    /// An empty burst.
    pub fn new() -> Self {
        Self {
            datagrams: Vec::with_capacity(BURST_MAX),
        }
    }

    /// Appends a datagram.
    ///
    /// # Errors
    /// The datagram itself, when the burst is full.
    #[inline]
    pub fn push(&mut self, datagram: Datagram) -> Result<(), Datagram> {
        if self.is_full() {
            return Err(datagram);
        }
        self.datagrams.push(datagram);
        Ok(())
    }

    /// How many more datagrams fit.
    #[inline]
    pub fn room(&self) -> usize {
        BURST_MAX - self.datagrams.len()
    }

    /// True when no more fits.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.datagrams.len() >= BURST_MAX
    }

    /// Leaves nothing of the burst; frames are taken from its datagrams before.
    pub(crate) fn clear(&mut self) {
        debug_assert!(
            self.datagrams
                .iter()
                .all(|datagram| datagram.frame.is_taken())
        );
        self.datagrams.clear();
    }

    /// Takes all datagrams out, in order.
    #[inline]
    pub fn drain(&mut self) -> impl Iterator<Item = Datagram> + '_ {
        self.datagrams.drain(..)
    }
}

impl std::ops::Deref for Burst {
    type Target = [Datagram];

    fn deref(&self) -> &[Datagram] {
        &self.datagrams
    }
}

impl std::ops::DerefMut for Burst {
    fn deref_mut(&mut self) -> &mut [Datagram] {
        &mut self.datagrams
    }
}

/// Datagrams handled together: enough to spread the cost of a call, few enough to stay in the
/// first-level cache.
pub const BURST_MAX: usize = 64;
