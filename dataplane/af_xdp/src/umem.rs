//! The packet memory that a thread shares with the kernel.

use crate::system::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// Packet memory in chunks of [`CHUNK_BYTES`].
///
/// It is never unmapped. A chunk is owned as `&'static mut [u8]`; giving it to a ring of a
/// [`crate::Socket`] moves it to the kernel, and taking it from a ring brings it back.
#[derive(Debug)]
pub struct Umem {
    base: NonNull<u8>,
    chunks: usize,
}

// SAFETY: it is an address and a length, and the memory there lasts as long as the process. The
// memory is reached through chunks alone, each owned by one side.
unsafe impl Send for Umem {}
// SAFETY: as above; no method changes anything.
unsafe impl Sync for Umem {}

impl Umem {
    /// Maps memory for so many chunks, and returns each of them.
    ///
    /// # Errors
    /// `InvalidInput` for none or more than 4 GiB of them; what the system answers when there is
    /// not enough memory.
    pub fn new(chunks: usize) -> io::Result<(Self, Vec<&'static mut [u8]>)> {
        if chunks == 0 || chunks > CHUNKS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = chunks * CHUNK_BYTES;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping, whose place the system chooses, touches no memory that
        // is in use.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Large pages spare the processor's address cache; without them all works as well.
        // SAFETY: the mapping was just made with this length.
        let _ = unsafe { libc::madvise(memory, bytes, libc::MADV_HUGEPAGE) };
        let base = NonNull::new(memory.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let umem = Self { base, chunks };
        // SAFETY: each chunk is within the mapping, and each is made once.
        let all = (0..chunks).map(|index| unsafe { umem.chunk(index) });
        let all = all.collect();
        Ok((umem, all))
    }

    /// Registers the memory with the first socket that uses it.
    pub(crate) fn register(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let registration = libc::xdp_umem_reg {
            addr: self.base.as_ptr() as u64,
            len: (self.chunks * CHUNK_BYTES) as u64,
            chunk_size: CHUNK_BYTES as u32,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        // SAFETY: the structure lives as long as the call, and describes memory that is mapped for
        // good. What the kernel writes there is in chunks that the rings have given it.
        check(unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_XDP,
                libc::XDP_UMEM_REG,
                std::ptr::from_ref(&registration).cast(),
                crate::system::length::<libc::xdp_umem_reg>(),
            )
        })
        .map(drop)
    }

    /// Where a chunk is within the memory; `None` for what is no whole chunk of this one.
    pub(crate) fn address(&self, chunk: &[u8]) -> Option<u64> {
        let offset = (chunk.as_ptr() as usize).checked_sub(self.base.as_ptr() as usize)?;
        let is_chunk = chunk.len() == CHUNK_BYTES && offset.is_multiple_of(CHUNK_BYTES);
        (is_chunk && offset / CHUNK_BYTES < self.chunks).then_some(offset as u64)
    }

    /// The chunk that an address of the kernel lies in, and where in it.
    ///
    /// # Safety
    /// The address came out of a ring into which its chunk had been put, and nobody else takes it
    /// for that.
    pub(crate) unsafe fn take(&self, address: u64) -> Option<(&'static mut [u8], usize)> {
        let address = usize::try_from(address).ok()?;
        let (index, offset) = (address / CHUNK_BYTES, address % CHUNK_BYTES);
        if index >= self.chunks {
            return None;
        }
        // SAFETY: the index is within the mapping. The chunk was given away as a whole when it was
        // put into the ring, and the caller vouches that it comes back once.
        Some((unsafe { self.chunk(index) }, offset))
    }

    /// # Safety
    /// `index` is below the number of chunks, and nobody has this chunk.
    unsafe fn chunk(&self, index: usize) -> &'static mut [u8] {
        // SAFETY: the offset is within the mapping.
        let start = unsafe { self.base.add(index * CHUNK_BYTES) };
        // SAFETY: these bytes are mapped, initialised to zero by the system, stay mapped for good,
        // and by the caller's word nobody else has them.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), CHUNK_BYTES) }
    }
}

/// One page: what every driver takes. The kernel keeps the first 256 bytes free when it receives.
pub const CHUNK_BYTES: usize = 4096;

/// Most chunks of one memory: 4 GiB.
pub const CHUNKS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_apart_and_known() {
        let (umem, mut chunks) = Umem::new(3).unwrap();
        for (index, chunk) in chunks.iter_mut().enumerate() {
            assert_eq!(umem.address(chunk), Some((index * CHUNK_BYTES) as u64));
            chunk.fill(index as u8);
        }
        for (index, chunk) in chunks.iter().enumerate() {
            assert!(chunk.iter().all(|&byte| byte == index as u8));
        }
    }

    #[test]
    fn what_is_no_chunk_of_this_memory_is_refused() {
        let (umem, mut chunks) = Umem::new(2).unwrap();
        let (_, others) = Umem::new(1).unwrap();
        assert_eq!(umem.address(others[0]), None);
        assert_eq!(umem.address(&[0; CHUNK_BYTES]), None);
        let (half, rest) = chunks.pop().unwrap().split_at_mut(CHUNK_BYTES / 2);
        assert_eq!((umem.address(half), umem.address(rest)), (None, None));
        assert!(Umem::new(0).is_err() && Umem::new(CHUNKS_MAX + 1).is_err());
    }

    #[test]
    fn an_address_beyond_the_memory_is_no_chunk() {
        let (umem, chunks) = Umem::new(1).unwrap();
        drop(chunks);
        // SAFETY: nobody has the chunk, and it is taken once.
        let (chunk, offset) = unsafe { umem.take(300) }.unwrap();
        assert_eq!((umem.address(chunk), offset), (Some(0), 300));
        for address in [CHUNK_BYTES as u64, u64::MAX] {
            // SAFETY: there is no chunk at this address.
            assert!(unsafe { umem.take(address) }.is_none());
        }
    }
}
