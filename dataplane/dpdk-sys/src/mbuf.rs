//! One packet.

use crate::bindings;
use std::ptr::NonNull;

/// A packet, in one or several pieces, with exactly one owner. Dropped, it goes back to its pool.
#[derive(Debug)]
#[repr(transparent)]
pub struct Mbuf(NonNull<bindings::rte_mbuf>);

// SAFETY: whoever has it, has it alone; its pool is made for many threads.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// # Safety
    /// The packet is allocated and nobody else has it.
    #[inline]
    pub(crate) unsafe fn from_raw(mbuf: NonNull<bindings::rte_mbuf>) -> Self {
        Self(mbuf)
    }

    /// The packet itself, for somebody else to own.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<bindings::rte_mbuf> {
        let mbuf = self.0;
        std::mem::forget(self);
        mbuf
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut bindings::rte_mbuf {
        self.0.as_ptr()
    }

    /// The first piece of the packet, which is all of it unless [`Mbuf::is_chained`].
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let start = self.start();
        // SAFETY: the packet is allocated, and only its owner changes it.
        let length = unsafe { (*self.0.as_ptr()).data_len };
        // SAFETY: a packet's data is within its buffer, which is initialised memory of its pool and
        // as long borrowed as the packet is.
        unsafe { std::slice::from_raw_parts(start, usize::from(length)) }
    }

    /// True when the packet goes on in further buffers.
    #[inline]
    pub fn is_chained(&self) -> bool {
        // SAFETY: the packet is allocated, and only its owner changes it.
        unsafe { (*self.0.as_ptr()).nb_segs > 1 }
    }

    #[inline]
    fn start(&self) -> *const u8 {
        // SAFETY: the packet is allocated, and only its owner changes it.
        let (buffer, offset) = unsafe {
            let mbuf = &*self.0.as_ptr();
            (mbuf.buf_addr, mbuf.data_off)
        };
        // SAFETY: the offset of the data is within the buffer.
        unsafe { buffer.cast::<u8>().add(usize::from(offset)) }
    }
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: the packet is allocated, nobody else has it, and it is not used any more.
        unsafe { bindings::shim_free(self.0.as_ptr()) };
    }
}
