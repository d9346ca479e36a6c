//! The `bpf` system call: maps, programs, links.

use crate::program::Instruction;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kinds of map that are used.
#[derive(Clone, Copy)]
pub(crate) enum MapKind {
    /// BPF_MAP_TYPE_HASH.
    Hash = 1,
    /// BPF_MAP_TYPE_XSKMAP: queue to AF_XDP socket.
    Sockets = 17,
}

/// Makes a map.
pub(crate) fn create_map(
    kind: MapKind,
    name: &CStr,
    key_bytes: usize,
    value_bytes: usize,
    entries: usize,
) -> io::Result<OwnedFd> {
    let attributes = MapCreate {
        map_type: kind as u32,
        key_size: key_bytes as u32,
        value_size: value_bytes as u32,
        max_entries: entries as u32,
        map_flags: 0,
        inner_map_fd: 0,
        numa_node: 0,
        map_name: short_name(name),
    };
    // SAFETY: the attributes hold no address.
    let fd = unsafe { bpf(MAP_CREATE, &attributes) }?;
    // SAFETY: the call has made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets an entry of a map whose keys and values are of these types.
pub(crate) fn set<const K: usize, const V: usize>(
    map: BorrowedFd<'_>,
    key: &[u8; K],
    value: &[u8; V],
) -> io::Result<()> {
    let attributes = MapUpdate {
        map_fd: map.as_raw_fd() as u32,
        padding: 0,
        key: key.as_ptr() as u64,
        value: value.as_ptr() as u64,
        flags: 0,
    };
    // SAFETY: key and value live as long as the call, which reads as many bytes as the map was
    // made for: callers use the constants it was made with.
    unsafe { bpf(MAP_UPDATE, &attributes) }.map(drop)
}

/// Loads an XDP program. What the verifier objects to is in the error.
pub(crate) fn load(name: &CStr, instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let mut log = vec![0_u8; LOG_BYTES];
    let mut attributes = ProgramLoad {
        program_type: PROGRAM_TYPE_XDP,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: short_name(name),
        interface: 0,
        attach_type: ATTACH_TYPE_XDP,
    };
    // SAFETY: program and license live as long as the call, which reads them.
    let mut loaded = unsafe { bpf(PROGRAM_LOAD, &attributes) };
    if loaded.is_err() {
        attributes.log_level = 1;
        attributes.log_size = log.len() as u32;
        attributes.log = log.as_mut_ptr() as u64;
        // SAFETY: as before, and the log is as long as said.
        loaded = unsafe { bpf(PROGRAM_LOAD, &attributes) };
    }
    match loaded {
        // SAFETY: the call has made this descriptor, and nobody else has it.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(error) => {
            let text = CStr::from_bytes_until_nul(&log).unwrap_or_default();
            let text = text.to_string_lossy();
            match text.lines().rev().nth(1) {
                Some(last) => Err(io::Error::new(error.kind(), format!("{error}: {last}"))),
                None => Err(error),
            }
        }
    }
}

/// Attaches an XDP program to an interface, as long as the descriptor is open.
pub(crate) fn link(program: BorrowedFd<'_>, interface: u32, flags: u32) -> io::Result<OwnedFd> {
    let attributes = LinkCreate {
        program: program.as_raw_fd() as u32,
        interface,
        attach_type: ATTACH_TYPE_XDP,
        flags,
    };
    // SAFETY: the attributes hold no address.
    let fd = unsafe { bpf(LINK_CREATE, &attributes) }?;
    // SAFETY: the call has made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What an XDP program decides about a frame, without an interface.
#[cfg(test)]
pub(crate) fn test_run(program: BorrowedFd<'_>, frame: &[u8]) -> io::Result<u32> {
    let mut attributes = TestRun {
        program: program.as_raw_fd() as u32,
        result: 0,
        input_bytes: frame.len() as u32,
        output_bytes: 0,
        input: frame.as_ptr() as u64,
        output: 0,
        repeat: 1,
        duration: 0,
    };
    let bytes = size_of::<TestRun>();
    // SAFETY: the frame lives as long as the call, which reads it, and the attributes too, which
    // it writes.
    let result = unsafe { libc::syscall(libc::SYS_bpf, TEST_RUN, &raw mut attributes, bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(attributes.result)
}

/// # Safety
/// The addresses in `attributes` are those of memory that lives as long as the call and is as long
/// as the command reads or writes.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_int> {
    let bytes = size_of::<T>();
    // SAFETY: the attributes live as long as the call and are as long as said; what they point to
    // is the caller's word.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            bytes,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as libc::c_int)
}

/// At most 15 bytes, and a zero.
fn short_name(name: &CStr) -> [u8; 16] {
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().take(15).zip(name.to_bytes()) {
        *to = *from;
    }
    short
}

// The attributes of linux/bpf.h, as far as they are used; the kernel takes the rest for zero.

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
}

#[repr(C)]
struct MapUpdate {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgramLoad {
    program_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

#[cfg(test)]
#[repr(C)]
struct TestRun {
    program: u32,
    result: u32,
    input_bytes: u32,
    output_bytes: u32,
    input: u64,
    output: u64,
    repeat: u32,
    duration: u32,
}

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const PROGRAM_LOAD: libc::c_int = 5;
#[cfg(test)]
const TEST_RUN: libc::c_int = 10;
const LINK_CREATE: libc::c_int = 28;

const PROGRAM_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
const LICENSE: &CStr = c"Dual MIT/GPL";
const LOG_BYTES: usize = 64 << 10;
