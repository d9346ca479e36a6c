//! What is below UDP, for back-ends that see whole frames: Ethernet with an IEEE 802.1Q tag, IPv4,
//! IPv6, UDP, ARP, neighbour discovery and ICMP echo.
//!
//! A view checks its bytes once and then reads them in place; a writer fills a buffer of the
//! caller. [`UdpFrame`] finds the datagram in a received frame, [`Headers`] writes everything
//! before a payload, checksums included. Nothing here allocates, keeps state or time, so the packet
//! path may use all of it.
//!
//! ```
//! use inet::{Headers, Link, MacAddress, UdpFrame};
//!
//! let link = Link::new(MacAddress([2, 0, 0, 0, 0, 2]), MacAddress([2, 0, 0, 0, 0, 1]), None);
//! let (from, to) = ("192.0.2.1:4000".parse().unwrap(), "198.51.100.7:5000".parse().unwrap());
//! let headers = Headers::new(&from, &to).expect("both are of one family");
//!
//! let mut frame = [0; 128];
//! frame[64..69].copy_from_slice(b"hello");
//! let start = headers.write_before(&link, &mut frame, 64, 5).expect("there is room");
//!
//! let received = UdpFrame::parse(&frame[start..69])?;
//! assert_eq!((received.source, received.destination), (from, to));
//! assert_eq!(&frame[start..69][received.payload], b"hello");
//! # Ok::<(), inet::Error>(())
//! ```
//!
//! Not here: fragments, IP options' meaning, IPv6 extension headers, TCP. Whoever owns the
//! address, the kernel or nobody, deals with these.

pub mod arp;
pub mod checksum;
mod error;
pub mod ethernet;
mod headers;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod ndp;
pub mod udp;
mod udp_frame;

pub use error::Error;
pub use ethernet::{Link, MacAddress};
pub use headers::{HEADERS_BYTES_MAX, Headers};
pub use udp_frame::UdpFrame;
