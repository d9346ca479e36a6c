//! AF_XDP behind a safe interface: packet memory and rings shared with the kernel, and the XDP
//! program that chooses what comes by them.
//!
//! - [`Umem`] is the packet memory of one thread. Each of its chunks is owned by exactly one side:
//!   as `&'static mut [u8]` by the program, or by the kernel while it is in a ring.
//! - [`Socket`] is one queue of one interface: rings for receiving and sending, and those by which
//!   chunks go to the kernel and come back. Sockets of one thread share its UMEM.
//! - [`Attachment`] is the XDP program on an interface. It takes unfragmented UDP for chosen
//!   addresses and ports, with or without one VLAN tag, and leaves everything else to the kernel.
//!   It goes when its descriptor does, so that a process that dies leaves the interface as it was.
//! - [`RouteSocket`] and [`RawSocket`] speak to the kernel as router: what the way to a host is,
//!   and packets that it is to send itself.
//!
//! What it deliberately does not do: it parses no packet and knows no protocol above.

mod attachment;
mod bpf;
mod interface;
mod privileges;
mod program;
mod raw_socket;
mod ring;
mod route_socket;
mod socket;
mod system;
mod umem;

pub use attachment::{ATTACHED_ADDRESSES_MAX, Attachment, Mode, Served};
pub use interface::{index as interface_index, queues as interface_queues};
pub use privileges::drop_capabilities;
pub use raw_socket::RawSocket;
pub use route_socket::{Groups, RouteSocket};
pub use socket::{Copying, Received, Socket, Statistics};
pub use umem::{CHUNK_BYTES, Umem};
