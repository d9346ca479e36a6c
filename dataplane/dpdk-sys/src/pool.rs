//! Packet buffers.

use crate::{Eal, Error, Mbuf, bindings};
use std::ffi::{CString, c_void};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Buffers of one size. They stay as long as the process.
///
/// A buffer with all of its headroom is [`MEMORY_BYTES`] of memory, which can be owned in two ways:
/// as a packet ([`Mbuf`]), or as that memory alone.
#[derive(Debug)]
pub struct Pool {
    pool: NonNull<bindings::rte_mempool>,
    mbufs: u32,
    /// The lowest address of any buffer's memory.
    first: usize,
    /// One bit for each [`UNIT_BYTES`] from there on, set where the memory of a buffer begins.
    beginnings: Box<[u64]>,
}

// SAFETY: a pool of DPDK is made to be used by many threads at once; all else here is constant.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Makes one with so many buffers, in the memory of a socket (NUMA node) if one is named.
    ///
    /// # Errors
    /// `Misuse` for none or more than [`MBUFS_MAX`]; `Refused` when there is no memory.
    pub fn new(eal: &Eal, mbufs: u32, socket: Option<u32>) -> Result<Arc<Self>, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if mbufs == 0 || mbufs > MBUFS_MAX {
            return Err(Error::Misuse("a pool has 1 to 1048576 buffers"));
        }
        let _changes = eal.changes();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("frames{number}"));
        let name = name.map_err(|_| Error::Misuse("a name has a zero octet"))?;
        // What is lent to a thread must leave something for the others.
        let cache = CACHE_MBUFS.min(mbufs / 4);
        let private = PRIVATE_BYTES as u16;
        let room = (MEMORY_BYTES - PRIVATE_BYTES) as u16;
        let socket = socket
            .and_then(|it| i32::try_from(it).ok())
            .unwrap_or(ANY_SOCKET);
        // SAFETY: DPDK was started, as `eal` proves; the name lives as long as the call.
        let pool = unsafe {
            bindings::rte_pktmbuf_pool_create(name.as_ptr(), mbufs, cache, private, room, socket)
        };
        let pool = NonNull::new(pool).ok_or_else(|| Error::noted("make a pool of buffers"))?;
        let mut addresses: Vec<usize> = Vec::with_capacity(mbufs as usize);
        let collected = std::ptr::from_mut(&mut addresses).cast::<c_void>();
        // SAFETY: the pool was just made and nobody else knows it, so that no buffer is in use
        // while it is looked at; `collect` is given what it expects.
        unsafe { bindings::rte_mempool_obj_iter(pool.as_ptr(), Some(collect), collected) };
        let (first, beginnings) = index(&addresses)?;
        Ok(Arc::new(Self {
            pool,
            mbufs,
            first,
            beginnings,
        }))
    }

    /// Buffers there are, in use or not.
    pub fn mbufs(&self) -> u32 {
        self.mbufs
    }

    pub(crate) fn as_ptr(&self) -> *mut bindings::rte_mempool {
        self.pool.as_ptr()
    }

    /// Adds `count` empty packets to `packets`, or none: false, when there are not as many.
    pub fn allocate(&self, packets: &mut Vec<Mbuf>, count: usize) -> bool {
        packets.reserve(count);
        let (Some(free), Ok(number)) = (
            packets.spare_capacity_mut().get_mut(..count),
            u32::try_from(count),
        ) else {
            return false;
        };
        let places = free.as_mut_ptr().cast::<*mut bindings::rte_mbuf>();
        // SAFETY: there is room for as many, and an `Mbuf` is a pointer to a packet.
        let error = unsafe { bindings::shim_alloc(self.as_ptr(), places, number) };
        if error != 0 {
            return false;
        }
        // SAFETY: as many packets were written there, each allocated for this caller alone.
        unsafe { packets.set_len(packets.len() + count) };
        true
    }

    /// Exchanges a packet for its buffer's memory: that, and where in it the packet begins and how
    /// long it is.
    ///
    /// # Errors
    /// The packet itself, when it is not one of this pool in one piece.
    #[inline]
    pub fn open(&self, packet: Mbuf) -> Result<(&'static mut [u8], usize, usize), Mbuf> {
        // SAFETY: both are allocated, and the packet is the caller's.
        if unsafe { bindings::shim_is_plain(packet.as_ptr(), self.as_ptr()) } == 0 {
            return Err(packet);
        }
        let mbuf = packet.into_raw();
        // SAFETY: the packet is allocated, and it was the caller's alone.
        let (buffer, offset, bytes) = unsafe {
            let mbuf = &*mbuf.as_ptr();
            (mbuf.buf_addr, mbuf.data_off, mbuf.data_len)
        };
        // SAFETY: before each buffer of this pool is its private memory, of this length.
        let start = unsafe { buffer.cast::<u8>().sub(PRIVATE_BYTES) };
        // SAFETY: all of it belongs to the packet, was initialised when the pool was made and is
        // never freed; the packet was owned and is given up, so that nobody else has it.
        let memory = unsafe { std::slice::from_raw_parts_mut(start, MEMORY_BYTES) };
        Ok((
            memory,
            PRIVATE_BYTES + usize::from(offset),
            usize::from(bytes),
        ))
    }

    /// Exchanges the memory of a buffer for a packet: the `bytes` from offset `start` on.
    ///
    /// # Errors
    /// The memory itself, when it is not the whole memory of a buffer of this pool, or the packet
    /// would begin before [`PRIVATE_BYTES`] or end behind the memory.
    #[inline]
    pub fn close(
        &self,
        memory: &'static mut [u8],
        start: usize,
        bytes: usize,
    ) -> Result<Mbuf, &'static mut [u8]> {
        let end = start.saturating_add(bytes);
        if !self.is_buffer(memory) || start < PRIVATE_BYTES || end > MEMORY_BYTES {
            return Err(memory);
        }
        let header = memory.as_ptr().addr() - size_of::<bindings::rte_mbuf>();
        let mbuf = std::ptr::with_exposed_provenance_mut::<bindings::rte_mbuf>(header);
        let (offset, bytes) = ((start - PRIVATE_BYTES) as u16, bytes as u16);
        // SAFETY: a packet's header is before the private memory of each buffer of this pool. The
        // packet is allocated, since its memory is in somebody's hands, and these were the only
        // ones. Offset and length are within the buffer, which is shorter than 64 KiB.
        unsafe { bindings::shim_prepare(mbuf, offset, bytes) };
        let mbuf = NonNull::new(mbuf).ok_or(memory)?;
        // SAFETY: as above.
        Ok(unsafe { Mbuf::from_raw(mbuf) })
    }

    /// Makes a packet of this pool one of these bytes, behind the headroom. False, and the packet
    /// as it was, when they do not fit or it is not one of this pool in one piece.
    pub fn write(&self, packet: &mut Mbuf, bytes: &[u8]) -> bool {
        // SAFETY: both are allocated, and the packet is the caller's.
        let is_plain = unsafe { bindings::shim_is_plain(packet.as_ptr(), self.as_ptr()) } != 0;
        if !is_plain || bytes.len() > MEMORY_BYTES - PRIVATE_BYTES - HEADROOM_BYTES {
            return false;
        }
        // SAFETY: the packet is allocated, and only its owner changes it.
        let buffer = unsafe { (*packet.as_ptr()).buf_addr };
        // SAFETY: the buffer is longer than its headroom.
        let start = unsafe { buffer.cast::<u8>().add(HEADROOM_BYTES) };
        // SAFETY: as many bytes fit behind the headroom of a buffer of this pool, and what is
        // borrowed is no part of a packet that is borrowed alone.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
        // SAFETY: the packet is allocated, and offset and length are within its buffer.
        unsafe {
            bindings::shim_prepare(packet.as_ptr(), HEADROOM_BYTES as u16, bytes.len() as u16);
        }
        true
    }

    /// True for the memory of a buffer of this pool, and all of it.
    #[inline]
    fn is_buffer(&self, memory: &[u8]) -> bool {
        let Some(offset) = memory.as_ptr().addr().checked_sub(self.first) else {
            return false;
        };
        let (unit, rest) = (offset / UNIT_BYTES, offset % UNIT_BYTES);
        let word = self.beginnings.get(unit / 64).copied().unwrap_or(0);
        rest == 0 && memory.len() == MEMORY_BYTES && word >> (unit % 64) & 1 == 1
    }
}

/// Notes where the memory of a buffer begins, and makes it initialised memory.
///
/// # Safety
/// `object` is a packet of a pool of this module's geometry that nobody uses, and `collected` the
/// list of addresses.
unsafe extern "C" fn collect(
    _: *mut bindings::rte_mempool,
    collected: *mut c_void,
    object: *mut c_void,
    _: u32,
) {
    // SAFETY: by the caller's word, and nobody else has the list while objects are looked at.
    let addresses = unsafe { &mut *collected.cast::<Vec<usize>>() };
    // SAFETY: the private memory is behind the packet's header, in the same object.
    let memory = unsafe { object.cast::<u8>().add(size_of::<bindings::rte_mbuf>()) };
    // SAFETY: private memory and buffer are as long together, and nobody uses them.
    unsafe { memory.write_bytes(0, MEMORY_BYTES) };
    // Packets are found again by the address of their memory.
    object.expose_provenance();
    addresses.push(memory.addr());
}

/// The lowest address, and the bits of all.
fn index(addresses: &[usize]) -> Result<(usize, Box<[u64]>), Error> {
    let first = addresses.iter().copied().min().unwrap_or(0);
    let last = addresses.iter().copied().max().unwrap_or(0);
    let units = (last - first) / UNIT_BYTES + 1;
    if units / 64 > BEGINNINGS_MAX || addresses.iter().any(|it| (it - first) % UNIT_BYTES != 0) {
        return Err(Error::Misuse("the buffers of a pool are spread too far"));
    }
    let mut beginnings = vec![0_u64; units.div_ceil(64)];
    for address in addresses {
        let unit = (address - first) / UNIT_BYTES;
        beginnings[unit / 64] |= 1 << (unit % 64);
    }
    Ok((first, beginnings.into()))
}

/// Bytes of the memory of a buffer: private memory, headroom, and what a device may fill.
pub const MEMORY_BYTES: usize = PRIVATE_BYTES + HEADROOM_BYTES + 2048;

/// Bytes at the beginning of the memory in which no packet may begin: it is the owner's own.
pub const PRIVATE_BYTES: usize = 128;

/// Bytes that devices leave free behind the private memory.
pub const HEADROOM_BYTES: usize = bindings::RTE_PKTMBUF_HEADROOM as usize;

/// Most buffers of a pool: 2.4 GiB.
pub const MBUFS_MAX: u32 = 1 << 20;

/// Buffers that a thread keeps at hand.
const CACHE_MBUFS: u32 = 256;

/// Objects are aligned to the lines of the processor's cache, and their headers fill such.
const UNIT_BYTES: usize = 64;

/// Words of the index: that of the largest pool, and as much again for gaps.
const BEGINNINGS_MAX: usize = 2 * MBUFS_MAX as usize * (MEMORY_BYTES / UNIT_BYTES + 8) / 64;

/// Memory of any socket.
const ANY_SOCKET: i32 = -1;

const _: () = assert!(size_of::<bindings::rte_mbuf>().is_multiple_of(UNIT_BYTES));
const _: () = assert!(PRIVATE_BYTES.is_multiple_of(UNIT_BYTES));
const _: () = assert!(MEMORY_BYTES <= u16::MAX as usize);
const _: () = assert!(size_of::<Mbuf>() == size_of::<*mut bindings::rte_mbuf>());
