//! The library itself, of which a process has one.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::config::{Carrier, Config};
use crate::{ffi, seam};

static STARTED: Mutex<Option<Carrier>> = Mutex::new(None);

/// No answer to packets for which there is no association (RFC 9260 8.4).
const ANSWER_NOTHING: u32 = 2;
/// An ABORT to them.
const ANSWER: u32 = 0;

/// True where the system has SCTP too, and has begun to answer packets.
pub fn kernel_has_sctp() -> bool {
    Path::new("/proc/net/sctp").exists()
}

/// What to do about an endpoint that could not be opened.
pub fn remedy(config: &Config, fault: &io::Error) -> &'static str {
    match (config.carrier, fault.kind()) {
        (Carrier::Raw, io::ErrorKind::PermissionDenied) => {
            "raw SCTP needs CAP_NET_RAW: run as root, or let packets go in UDP by udp_port"
        }
        (Carrier::Raw, io::ErrorKind::Unsupported) => {
            "unload the module, or let packets go in UDP by udp_port"
        }
        (Carrier::Udp { .. }, io::ErrorKind::AddrInUse) => {
            "another process has the UDP port, or another endpoint the SCTP port: choose others"
        }
        (_, io::ErrorKind::AddrNotAvailable) => "no interface of this host has that address",
        _ => "check the addresses, the ports and udp_port",
    }
}

/// Starts the library, or finds it started.
///
/// # Errors
/// The port or the privilege is not to be had, the system has SCTP itself, or the library was
/// started with another carrier.
pub(crate) fn start(carrier: Carrier) -> io::Result<()> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    match *started {
        Some(before) if before == carrier => return Ok(()),
        Some(Carrier::Udp { local, .. }) if is_at(carrier, local) => return Ok(()),
        Some(_) => {
            let text = "all endpoints of a process are raw, or in UDP on one port";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        None => {}
    }
    let udp_port = match carrier {
        Carrier::Raw => {
            check_raw()?;
            0
        }
        Carrier::Udp { local, .. } => {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, local))?;
            local
        }
    };
    seam::set_raw(carrier == Carrier::Raw);
    // SAFETY: called once, before everything else of the library; neither lower layer nor printing
    // is asked for, which null says.
    unsafe { ffi::usrsctp_init(udp_port, None, None) };
    set_options(carrier);
    *started = Some(carrier);
    // Of its sockets the library says nothing.
    if udp_port != 0 && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, udp_port)).is_ok() {
        let text = "the port was not taken by the library";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    Ok(())
}

/// True for encapsulation at this port of ours.
fn is_at(carrier: Carrier, port: u16) -> bool {
    matches!(carrier, Carrier::Udp { local, .. } if local == port)
}

fn check_raw() -> io::Result<()> {
    if kernel_has_sctp() {
        let text = "the kernel has SCTP itself (module sctp) and would answer in our place";
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: takes integers.
    let descriptor = unsafe { libc::socket(libc::AF_INET, kind, ffi::IPPROTO_SCTP) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened and is nobody else's.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    Ok(())
}

/// Options of the whole library. A refusal changes nothing that its user relies on.
fn set_options(carrier: Carrier) {
    let blackhole = match carrier {
        Carrier::Raw => ANSWER_NOTHING,
        Carrier::Udp { .. } => ANSWER,
    };
    type Set = unsafe extern "C" fn(u32) -> std::ffi::c_int;
    let options: [(Set, u32); 8] = [
        // ASCONF wants AUTH, so it goes first.
        (ffi::usrsctp_sysctl_set_sctp_auto_asconf, 0),
        (ffi::usrsctp_sysctl_set_sctp_asconf_enable, 0),
        (ffi::usrsctp_sysctl_set_sctp_auth_enable, 0),
        (ffi::usrsctp_sysctl_set_sctp_reconfig_enable, 0),
        (ffi::usrsctp_sysctl_set_sctp_nrsack_enable, 0),
        (ffi::usrsctp_sysctl_set_sctp_pktdrop_enable, 0),
        // Checksums on loopback too.
        (ffi::usrsctp_sysctl_set_sctp_no_csum_on_loopback, 0),
        (ffi::usrsctp_sysctl_set_sctp_blackhole, blackhole),
    ];
    for (set, value) in options {
        // SAFETY: takes an integer, and the library is started.
        unsafe { set(value) };
    }
}
