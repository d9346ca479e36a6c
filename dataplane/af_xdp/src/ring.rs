//! One ring between the program and the kernel.

use crate::system::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// A ring that the program puts entries into.
#[derive(Debug)]
pub(crate) struct Producer<T: Copy>(Ring<T>);

/// A ring that the program takes entries from.
#[derive(Debug)]
pub(crate) struct Consumer<T: Copy>(Ring<T>);

/// Entries and two cursors in shared memory, each with one writer: `own` and `far` are the last
/// values known here of our cursor and of the other side's, so that the shared ones are touched
/// once per burst.
#[derive(Debug)]
struct Ring<T> {
    entries: NonNull<T>,
    own_cursor: NonNull<AtomicU32>,
    far_cursor: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    size: u32,
    own: u32,
    far: u32,
    /// Unmapped with the ring; tests have none.
    _mapping: Option<Mapping>,
}

// SAFETY: a ring has one end in this process, and moving that to another thread moves the only
// reference to its side. The cursors are atomic.
unsafe impl<T: Copy + Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    fn own_cursor(&self) -> &AtomicU32 {
        // SAFETY: the cursor lies in the mapping, which lives as long as the ring.
        unsafe { self.own_cursor.as_ref() }
    }

    fn far_cursor(&self) -> &AtomicU32 {
        // SAFETY: the cursor lies in the mapping, which lives as long as the ring.
        unsafe { self.far_cursor.as_ref() }
    }

    fn needs_wakeup(&self) -> bool {
        // SAFETY: the flags lie in the mapping, which lives as long as the ring.
        let flags = unsafe { self.flags.as_ref() };
        flags.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    fn entry(&self, cursor: u32) -> NonNull<T> {
        let index = (cursor & (self.size - 1)) as usize;
        // SAFETY: the index is below the size, and so many entries are mapped.
        unsafe { self.entries.add(index) }
    }
}

impl<T: Copy> Producer<T> {
    /// Entries that can be put in; the other side's cursor is read only when there seem to be
    /// fewer than `wanted`.
    pub(crate) fn room(&mut self, wanted: u32) -> u32 {
        let ring = &mut self.0;
        let room = ring.size - ring.own.wrapping_sub(ring.far);
        if room >= wanted {
            return room;
        }
        ring.far = ring.far_cursor().load(Ordering::Acquire);
        ring.size.saturating_sub(ring.own.wrapping_sub(ring.far))
    }

    /// Puts an entry in, to be seen after [`Producer::publish`]; false when there is no room.
    pub(crate) fn push(&mut self, entry: T) -> bool {
        if self.room(1) == 0 {
            return false;
        }
        let place = self.0.entry(self.0.own);
        // SAFETY: the entry is free, as the other side's cursor has passed it, and that side does
        // not look at it before our cursor is published.
        unsafe { place.write(entry) };
        self.0.own = self.0.own.wrapping_add(1);
        true
    }

    /// Shows the other side what has been put in.
    pub(crate) fn publish(&mut self) {
        self.0.own_cursor().store(self.0.own, Ordering::Release);
    }

    /// True when the other side has taken everything.
    pub(crate) fn is_drained(&mut self) -> bool {
        let size = self.0.size;
        self.room(size) == size
    }

    /// The kernel sleeps and wants to be told when there are entries.
    pub(crate) fn needs_wakeup(&self) -> bool {
        self.0.needs_wakeup()
    }
}

impl<T: Copy> Consumer<T> {
    /// Takes an entry out, whose place is free after [`Consumer::release`].
    pub(crate) fn pop(&mut self) -> Option<T> {
        let ring = &mut self.0;
        if ring.own == ring.far {
            ring.far = ring.far_cursor().load(Ordering::Acquire);
            if ring.own == ring.far {
                return None;
            }
        }
        let place = ring.entry(ring.own);
        ring.own = ring.own.wrapping_add(1);
        // SAFETY: the other side has published this entry and does not touch it before our cursor
        // passes it.
        Some(unsafe { place.read() })
    }

    /// Gives the places of the entries taken out back.
    pub(crate) fn release(&mut self) {
        self.0.own_cursor().store(self.0.own, Ordering::Release);
    }
}

/// Which ring of a socket.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// The option that sets its size.
    pub(crate) size_option: libc::c_int,
    /// What to map it by.
    pub(crate) page_offset: u64,
}

/// Sets the size of a ring, which is a power of two.
pub(crate) fn set_size(socket: BorrowedFd<'_>, kind: Kind, size: u32) -> io::Result<()> {
    // SAFETY: the number lives as long as the call, which reads it.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            kind.size_option,
            std::ptr::from_ref(&size).cast(),
            crate::system::length::<u32>(),
        )
    })
    .map(drop)
}

/// Maps a ring that the program puts entries into.
///
/// # Safety
/// The ring at `kind` has entries of this type and is of this size, `offsets` are its own, and it
/// is mapped once.
pub(crate) unsafe fn map_producer<T: Copy>(
    socket: BorrowedFd<'_>,
    kind: Kind,
    offsets: &libc::xdp_ring_offset,
    size: u32,
) -> io::Result<Producer<T>> {
    let (own, far) = (offsets.producer, offsets.consumer);
    // SAFETY: as the caller says.
    unsafe { map(socket, kind, offsets, own, far, size) }.map(Producer)
}

/// Maps a ring that the program takes entries from.
///
/// # Safety
/// As [`map_producer`].
pub(crate) unsafe fn map_consumer<T: Copy>(
    socket: BorrowedFd<'_>,
    kind: Kind,
    offsets: &libc::xdp_ring_offset,
    size: u32,
) -> io::Result<Consumer<T>> {
    let (own, far) = (offsets.consumer, offsets.producer);
    // SAFETY: as the caller says.
    unsafe { map(socket, kind, offsets, own, far, size) }.map(Consumer)
}

/// # Safety
/// As [`map_producer`]; `own` and `far` are the offsets of the cursors.
unsafe fn map<T: Copy>(
    socket: BorrowedFd<'_>,
    kind: Kind,
    offsets: &libc::xdp_ring_offset,
    own: u64,
    far: u64,
    size: u32,
) -> io::Result<Ring<T>> {
    let bytes = offsets.desc as usize + size as usize * size_of::<T>();
    let mapping = Mapping::new(socket, kind.page_offset, bytes)?;
    // SAFETY: the kernel's offset is within the ring's memory.
    let entries = unsafe { mapping.at(offsets.desc) }.cast();
    // SAFETY: the kernel's offset is within the ring's memory.
    let own_cursor = unsafe { mapping.at(own) }.cast();
    // SAFETY: the kernel's offset is within the ring's memory.
    let far_cursor = unsafe { mapping.at(far) }.cast();
    // SAFETY: the kernel's offset is within the ring's memory.
    let flags = unsafe { mapping.at(offsets.flags) }.cast();
    let mut ring = Ring {
        entries,
        own_cursor,
        far_cursor,
        flags,
        size,
        own: 0,
        far: 0,
        _mapping: Some(mapping),
    };
    ring.own = ring.own_cursor().load(Ordering::Acquire);
    ring.far = ring.far_cursor().load(Ordering::Acquire);
    Ok(ring)
}

/// Memory shared with the kernel, unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    fn new(socket: BorrowedFd<'_>, page_offset: u64, bytes: usize) -> io::Result<Self> {
        // SAFETY: a new mapping, whose place the system chooses, touches no memory that is in use.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                socket.as_raw_fd(),
                page_offset as libc::off_t,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(memory.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, bytes })
    }

    /// # Safety
    /// The offset is within the mapping.
    unsafe fn at(&self, offset: u64) -> NonNull<u8> {
        // SAFETY: by the caller's word.
        unsafe { self.base.add(offset as usize) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length, and its ring, which has the only
        // references into it, is being dropped.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory of a ring, and both its ends.
    fn ring(size: u32, start: u32) -> (Producer<u64>, Consumer<u64>) {
        let leak = |value| NonNull::from(Box::leak(Box::new(AtomicU32::new(value))));
        let (producer, consumer, flags) = (leak(start), leak(start), leak(0));
        let entries = Box::leak(vec![0_u64; size as usize].into_boxed_slice());
        let entries = NonNull::from(entries).cast::<u64>();
        let end = |own_cursor, far_cursor| Ring {
            entries,
            own_cursor,
            far_cursor,
            flags,
            size,
            own: start,
            far: start,
            _mapping: None,
        };
        (
            Producer(end(producer, consumer)),
            Consumer(end(consumer, producer)),
        )
    }

    #[test]
    fn nothing_is_seen_before_it_is_published() {
        let (mut producer, mut consumer) = ring(4, u32::MAX - 1);
        for value in 0..4 {
            assert!(producer.push(value));
        }
        assert!(!producer.push(4));
        assert_eq!(consumer.pop(), None);
        producer.publish();
        assert_eq!((consumer.pop(), consumer.pop()), (Some(0), Some(1)));
        assert!(!producer.push(4) && !producer.is_drained());
        consumer.release();
        assert_eq!(producer.room(4), 2);
        assert!(producer.push(4));
        producer.publish();
        assert_eq!(std::iter::from_fn(|| consumer.pop()).last(), Some(4));
        consumer.release();
        assert!(producer.is_drained());
    }

    #[test]
    fn two_threads_lose_nothing_and_keep_the_order() {
        const COUNT: u64 = if cfg!(miri) { 500 } else { 100_000 };
        let (mut producer, mut consumer) = ring(8, u32::MAX - 100);
        let sending = std::thread::spawn(move || {
            let mut next = 0;
            while next < COUNT {
                if producer.push(next) {
                    next += 1;
                } else {
                    producer.publish();
                    std::thread::yield_now();
                }
            }
            producer.publish();
        });
        let mut expected = 0;
        while expected < COUNT {
            match consumer.pop() {
                Some(value) => {
                    assert_eq!(value, expected);
                    expected += 1;
                }
                None => {
                    consumer.release();
                    std::thread::yield_now();
                }
            }
        }
        sending.join().unwrap();
    }

    #[test]
    fn the_kernels_wish_to_be_woken_is_read() {
        let (producer, _) = ring(2, 0);
        assert!(!producer.needs_wakeup());
        // SAFETY: the flags live for good.
        let flags = unsafe { producer.0.flags.as_ref() };
        flags.store(libc::XDP_RING_NEED_WAKEUP, Ordering::Relaxed);
        assert!(producer.needs_wakeup());
    }
}
