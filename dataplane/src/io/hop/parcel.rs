//! Frames and packets between a worker and the thread that finds neighbours, which does for it what
//! takes a system call of its own.

use crate::{DropCounts, DropReason};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A frame or packet, copied: frames of the back-end stay with their worker.
#[derive(Debug)]
pub(in crate::io) struct Parcel<About> {
    about: About,
    bytes: u16,
    room: [u8; PARCEL_BYTES],
}

impl<About> Parcel<About> {
    /// What is to be known of it.
    pub(in crate::io) fn about(&self) -> &About {
        &self.about
    }

    /// The frame or packet.
    pub(in crate::io) fn bytes(&self) -> &[u8] {
        &self.room[..usize::from(self.bytes)]
    }
}

impl<About: Default> Default for Parcel<About> {
    fn default() -> Self {
        Self {
            about: About::default(),
            bytes: 0,
            room: [0; PARCEL_BYTES],
        }
    }
}

/// A ring for so many parcels.
pub(in crate::io) fn parcels<About>(
    parcels_max: usize,
) -> (Producer<Parcel<About>>, Consumer<Parcel<About>>) {
    RingBuffer::new(parcels_max)
}

/// Copies something into a ring; false when that is full, or the thing too long.
pub(in crate::io) fn put<About: Default>(
    ring: &mut Producer<Parcel<About>>,
    about: About,
    bytes: &[u8],
) -> bool {
    if bytes.len() > PARCEL_BYTES {
        return false;
    }
    let Ok(mut chunk) = ring.write_chunk(1) else {
        return false;
    };
    if let Some(parcel) = chunk.as_mut_slices().0.first_mut() {
        parcel.about = about;
        parcel.bytes = bytes.len() as u16;
        parcel.room[..bytes.len()].copy_from_slice(bytes);
    }
    chunk.commit_all();
    true
}

/// Looks at the oldest parcel in a ring and removes it; false when there is none.
pub(in crate::io) fn take<About>(
    ring: &mut Consumer<Parcel<About>>,
    look: impl FnOnce(&Parcel<About>),
) -> bool {
    let Ok(chunk) = ring.read_chunk(1) else {
        return false;
    };
    let parcel = chunk.as_slices().0.first();
    let is_there = parcel.is_some();
    if let Some(parcel) = parcel {
        look(parcel);
    }
    chunk.commit_all();
    is_there
}

/// What the thread dropped, and no worker has counted yet.
#[derive(Debug, Default)]
pub(in crate::io) struct Losses {
    any: AtomicBool,
    packets: [AtomicU64; DropReason::ALL.len()],
}

impl Losses {
    /// Adds some.
    pub(in crate::io) fn add(&self, reason: DropReason, packets: u64) {
        self.packets[reason as usize].fetch_add(packets, Ordering::Relaxed);
        self.any.store(true, Ordering::Release);
    }

    /// Moves what there is into a worker's counts.
    pub(in crate::io) fn count(&self, drops: &mut DropCounts) {
        if !self.any.load(Ordering::Relaxed) || !self.any.swap(false, Ordering::Acquire) {
            return;
        }
        for (reason, lost) in DropReason::ALL.iter().zip(&self.packets) {
            drops.add(*reason, lost.swap(0, Ordering::Relaxed));
        }
    }
}

/// Memory of a parcel: a frame of the longest payload with all of its headers.
const PARCEL_BYTES: usize = crate::PAYLOAD_BYTES_MAX + 128;

const _: () = assert!(PARCEL_BYTES > inet::HEADERS_BYTES_MAX + crate::PAYLOAD_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_taken_out_in_order_until_the_ring_is_full() {
        let (mut to, mut from) = parcels::<u8>(2);
        assert!(put(&mut to, 1, b"first") && put(&mut to, 2, b""));
        assert!(!put(&mut to, 3, b"no room"));
        let mut taken = Vec::new();
        while take(&mut from, |parcel| {
            taken.push((*parcel.about(), parcel.bytes().to_vec()));
        }) {}
        assert_eq!(taken, [(1, b"first".to_vec()), (2, Vec::new())]);
        assert!(put(&mut to, 4, &[0; PARCEL_BYTES]));
        assert!(!put(&mut to, 5, &[0; PARCEL_BYTES + 1]));
    }

    #[test]
    fn a_loss_is_counted_once() {
        let losses = Losses::default();
        let mut drops = DropCounts::default();
        losses.add(DropReason::TxFull, 2);
        losses.add(DropReason::TxRefused, 1);
        for _ in 0..2 {
            losses.count(&mut drops);
            assert_eq!(drops.of(DropReason::TxFull), 2);
            assert_eq!(drops.total(), 3);
        }
    }
}
