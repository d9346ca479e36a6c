//! What of `usrsctp.h` 0.9.5.0 is used.

use std::ffi::{c_char, c_int, c_uint, c_void};

use crate::address::Storage;

/// A socket of the library's.
#[repr(C)]
pub(crate) struct Socket {
    _opaque: [u8; 0],
}

/// `struct sctp_rcvinfo`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct ReceiveInfo {
    pub stream: u16,
    pub ssn: u16,
    pub flags: u16,
    /// In network order.
    pub ppid: u32,
    pub tsn: u32,
    pub cumulative_tsn: u32,
    pub context: u32,
    pub association: u32,
}

/// `struct sctp_sndinfo`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct SendInfo {
    pub stream: u16,
    pub flags: u16,
    /// In network order.
    pub ppid: u32,
    pub context: u32,
    pub association: u32,
}

/// `struct sctp_event`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct EventOption {
    pub association: u32,
    pub kind: u16,
    pub is_on: u8,
}

/// `struct sctp_initmsg`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct InitMessage {
    pub streams_out: u16,
    pub streams_in_max: u16,
    pub attempts_max: u16,
    /// Milliseconds.
    pub timeout_max: u16,
}

/// `struct sctp_rtoinfo`, milliseconds.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct RtoInfo {
    pub association: u32,
    pub initial: u32,
    pub max: u32,
    pub min: u32,
}

/// `struct sctp_assocparams`; 0 leaves a value alone.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct AssociationParameters {
    pub association: u32,
    pub peer_window: u32,
    pub local_window: u32,
    pub cookie_life: u32,
    pub retransmissions_max: u16,
    pub peer_addresses: u16,
}

/// `struct sctp_paddrparams`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct PathParameters {
    pub address: Storage,
    pub association: u32,
    /// Milliseconds.
    pub heartbeat: u32,
    pub mtu: u32,
    pub flags: u32,
    pub flow_label: u32,
    pub retransmissions_max: u16,
    pub dscp: u8,
}

/// `struct sctp_paddrinfo`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct PathInfo {
    pub address: Storage,
    pub association: u32,
    pub state: i32,
    pub window: u32,
    /// Milliseconds.
    pub rtt: u32,
    /// Milliseconds.
    pub rto: u32,
    pub mtu: u32,
}

/// `struct sctp_setprim`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct PrimaryPath {
    pub address: Storage,
    pub association: u32,
    pub padding: [u8; 4],
}

/// `struct sctp_udpencaps`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct UdpEncapsulation {
    pub address: Storage,
    pub association: u32,
    /// In network order.
    pub port: u16,
}

/// `struct sctp_sack_info`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct SackInfo {
    pub association: u32,
    /// Milliseconds.
    pub delay: u32,
    pub frequency: u32,
}

pub(crate) const IPPROTO_SCTP: c_int = 132;

pub(crate) const SCTP_BINDX_ADD_ADDR: c_int = 0x8001;
pub(crate) const SCTP_RTOINFO: c_int = 0x01;
pub(crate) const SCTP_ASSOCINFO: c_int = 0x02;
pub(crate) const SCTP_INITMSG: c_int = 0x03;
pub(crate) const SCTP_NODELAY: c_int = 0x04;
pub(crate) const SCTP_PRIMARY_ADDR: c_int = 0x07;
pub(crate) const SCTP_PEER_ADDR_PARAMS: c_int = 0x0a;
pub(crate) const SCTP_I_WANT_MAPPED_V4_ADDR: c_int = 0x0d;
pub(crate) const SCTP_DELAYED_SACK: c_int = 0x0f;
pub(crate) const SCTP_EVENT: c_int = 0x1e;
pub(crate) const SCTP_RECVRCVINFO: c_int = 0x1f;
pub(crate) const SCTP_REMOTE_UDP_ENCAPS_PORT: c_int = 0x24;
pub(crate) const SCTP_GET_PEER_ADDR_INFO: c_int = 0x101;

pub(crate) const SPP_HB_ENABLE: u32 = 0x01;
pub(crate) const SPP_HB_DISABLE: u32 = 0x02;

pub(crate) const SCTP_EOF: u16 = 0x0100;
pub(crate) const SCTP_ABORT: u16 = 0x0200;

pub(crate) const MSG_NOTIFICATION: c_int = 0x2000;

pub(crate) const SCTP_RECVV_RCVINFO: c_uint = 1;
pub(crate) const SCTP_SENDV_SNDINFO: c_uint = 1;

/// Called on threads of the library.
pub(crate) type Upcall = unsafe extern "C" fn(*mut Socket, *mut c_void, c_int);
/// Lower layer of `AF_CONN`, which is not used.
pub(crate) type ConnOutput = unsafe extern "C" fn(*mut c_void, *mut c_void, usize, u8, u8) -> c_int;
/// Where the library prints, which it does when it was built for that.
pub(crate) type DebugPrint = unsafe extern "C" fn(*const c_char, ...);
/// Takes messages on threads of the library, which is not used.
pub(crate) type Receive = unsafe extern "C" fn();
/// Tells of room on threads of the library, which is not used.
pub(crate) type Send = unsafe extern "C" fn();

unsafe extern "C" {
    pub(crate) fn usrsctp_init(
        udp_port: u16,
        output: Option<ConnOutput>,
        print: Option<DebugPrint>,
    );
    pub(crate) fn usrsctp_socket(
        domain: c_int,
        kind: c_int,
        protocol: c_int,
        receive: Option<Receive>,
        send: Option<Send>,
        threshold: u32,
        info: *mut c_void,
    ) -> *mut Socket;
    pub(crate) fn usrsctp_setsockopt(
        socket: *mut Socket,
        level: c_int,
        name: c_int,
        value: *const c_void,
        length: libc::socklen_t,
    ) -> c_int;
    pub(crate) fn usrsctp_getsockopt(
        socket: *mut Socket,
        level: c_int,
        name: c_int,
        value: *mut c_void,
        length: *mut libc::socklen_t,
    ) -> c_int;
    pub(crate) fn usrsctp_bindx(
        socket: *mut Socket,
        addresses: *mut libc::sockaddr,
        count: c_int,
        flags: c_int,
    ) -> c_int;
    pub(crate) fn usrsctp_connectx(
        socket: *mut Socket,
        addresses: *const libc::sockaddr,
        count: c_int,
        association: *mut u32,
    ) -> c_int;
    pub(crate) fn usrsctp_listen(socket: *mut Socket, backlog: c_int) -> c_int;
    pub(crate) fn usrsctp_close(socket: *mut Socket);
    pub(crate) fn usrsctp_set_non_blocking(socket: *mut Socket, on: c_int) -> c_int;
    pub(crate) fn usrsctp_set_upcall(
        socket: *mut Socket,
        upcall: Option<Upcall>,
        argument: *mut c_void,
    ) -> c_int;
    pub(crate) fn usrsctp_getpaddrs(
        socket: *mut Socket,
        association: u32,
        addresses: *mut *mut libc::sockaddr,
    ) -> c_int;
    pub(crate) fn usrsctp_freepaddrs(addresses: *mut libc::sockaddr);
    pub(crate) fn usrsctp_sendv(
        socket: *mut Socket,
        data: *const c_void,
        length: usize,
        to: *mut libc::sockaddr,
        count: c_int,
        info: *mut c_void,
        info_length: libc::socklen_t,
        info_type: c_uint,
        flags: c_int,
    ) -> isize;
    pub(crate) fn usrsctp_recvv(
        socket: *mut Socket,
        data: *mut c_void,
        length: usize,
        from: *mut libc::sockaddr,
        from_length: *mut libc::socklen_t,
        info: *mut c_void,
        info_length: *mut libc::socklen_t,
        info_type: *mut c_uint,
        flags: *mut c_int,
    ) -> isize;
    pub(crate) fn usrsctp_sysctl_set_sctp_auth_enable(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_asconf_enable(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_auto_asconf(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_reconfig_enable(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_nrsack_enable(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_pktdrop_enable(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_no_csum_on_loopback(value: u32) -> c_int;
    pub(crate) fn usrsctp_sysctl_set_sctp_blackhole(value: u32) -> c_int;
}
