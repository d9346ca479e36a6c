//! The part of DPDK 22.11 that the `dpdk` back-end needs, behind a safe interface.
//!
//! [`start`] brings the environment abstraction layer up, once in a process. A [`Pool`] has packet
//! buffers; a [`Device`] is opened with a [`Queue`] for each pool that it is given, and runs until
//! the last of them is dropped. An [`Mbuf`] is one packet, owned by whoever has it; a packet of a
//! pool can be exchanged for its memory ([`Pool::open`]) and back ([`Pool::close`]), which costs
//! nothing and copies nothing.
//!
//! Drivers are those of the system: DPDK loads them from its folder when it starts. With the
//! feature `native` off, there is nothing here, so that a machine without DPDK builds all else.
//!
//! ```no_run
//! # #[cfg(feature = "native")]
//! # fn main() -> Result<(), dpdk_sys::Error> {
//! use dpdk_sys::{Device, Pool};
//!
//! let eal = dpdk_sys::start(&["--no-huge", "-m", "256", "--no-pci"].map(String::from))?;
//! let pool = Pool::new(eal, 4096, None)?;
//! let (device, mut queues) = Device::open(eal, "net_null0", &[pool], 512)?;
//! println!("{} is driven by {}", device.mac_octets()[5], device.driver());
//! let mut packets = Vec::with_capacity(64);
//! queues[0].receive(&mut packets, 64);
//! // What is not sent stays in the list, and what is dropped goes back to its pool.
//! queues[0].send(&mut packets);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "native"))]
//! # fn main() {}
//! ```
//!
//! It knows frames, and nothing of what is in them.

#![cfg(feature = "native")]

mod bindings;
mod device;
mod eal;
mod error;
mod mbuf;
mod pool;

pub use device::{BURST_MAX, Device, Queue, Statistics};
pub use eal::{Eal, join_thread, start};
pub use error::Error;
pub use mbuf::Mbuf;
pub use pool::{HEADROOM_BYTES, MBUFS_MAX, MEMORY_BYTES, PRIVATE_BYTES, Pool};
