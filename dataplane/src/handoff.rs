//! Datagrams on their way from one worker to another.

use crate::{Datagram, FlowId, Frame, PAYLOAD_BYTES_MAX};
use base::Instant;
use rtrb::{Consumer, Producer};
use std::net::{Ipv4Addr, SocketAddr};

/// A datagram copied out of its frame: frames stay with the back-end whose they are.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) flow: FlowId,
    /// The use of the port the sender meant.
    pub(crate) generation: u32,
    source: SocketAddr,
    arrival: Instant,
    traffic_class: u8,
    hops: u8,
    bytes: u16,
    payload: [u8; PAYLOAD_BYTES_MAX],
}

impl Default for Parcel {
    fn default() -> Self {
        Self {
            flow: FlowId(0),
            generation: 0,
            source: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            arrival: Instant::ZERO,
            traffic_class: 0,
            hops: 0,
            bytes: 0,
            payload: [0; PAYLOAD_BYTES_MAX],
        }
    }
}

impl Parcel {
    /// Unpacks for the mg thread.
    pub(crate) fn unpack_punt(&self, worker: u16) -> Punt {
        Punt {
            flow: self.flow,
            worker,
            source: self.source,
            payload: self.payload[..usize::from(self.bytes)].to_vec(),
        }
    }

    /// Unpacks into an empty frame.
    pub(crate) fn unpack(&self, mut frame: Frame) -> Datagram {
        // What one frame held fits another.
        frame.fill(&self.payload[..usize::from(self.bytes)]);
        let mut datagram = Datagram::new(frame, self.flow, self.source, self.arrival)
            .with_traffic_class(self.traffic_class);
        datagram.hops = self.hops;
        datagram
    }
}

/// A datagram that a worker passed to the mg thread ([`crate::Verdict::Punt`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Punt {
    /// Where it came.
    pub flow: FlowId,
    /// Who received it.
    pub worker: u16,
    /// From where.
    pub source: SocketAddr,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

/// Copies a datagram into the ring; false when that is full or the payload longer than any frame of
/// our pools.
pub(crate) fn hand_over(ring: &mut Producer<Parcel>, datagram: &Datagram, generation: u32) -> bool {
    let payload = datagram.payload();
    if payload.len() > PAYLOAD_BYTES_MAX {
        return false;
    }
    let Ok(mut chunk) = ring.write_chunk(1) else {
        return false;
    };
    if let Some(parcel) = chunk.as_mut_slices().0.first_mut() {
        parcel.flow = datagram.flow;
        parcel.generation = generation;
        parcel.source = datagram.source;
        parcel.arrival = datagram.arrival;
        parcel.traffic_class = datagram.traffic_class;
        parcel.hops = datagram.hops;
        parcel.bytes = payload.len() as u16;
        parcel.payload[..payload.len()].copy_from_slice(payload);
    }
    chunk.commit_all();
    true
}

/// Looks at the oldest parcel and, when `take` returns true, removes it.
pub(crate) fn receive(ring: &mut Consumer<Parcel>, take: impl FnOnce(&Parcel) -> bool) -> bool {
    let Ok(chunk) = ring.read_chunk(1) else {
        return false;
    };
    let taken = chunk.as_slices().0.first().is_some_and(take);
    if taken {
        chunk.commit_all();
    }
    taken
}

/// Parcels in the ring between two workers: one burst, and another while that is handled.
pub(crate) const HANDOFF_MAX: usize = 2 * crate::BURST_MAX;

/// Parcels in the ring from a worker to the mg thread: a flood beyond is not worth its time.
pub(crate) const PUNTS_MAX: usize = crate::BURST_MAX;
