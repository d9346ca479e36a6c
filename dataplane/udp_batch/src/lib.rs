//! Batched UDP sockets: `recvmmsg` and `sendmmsg` behind a safe interface, and `epoll` over many of
//! them.
//!
//! Nothing blocks but [`Epoll::wait`], and nothing allocates after construction. ICMP errors that
//! the kernel hands to a socket (RFC 1122 4.1.3.3) concern one datagram sent earlier; they are
//! counted and otherwise ignored.
//!
//! ```
//! use std::time::Duration;
//! use udp_batch::{Epoll, Events, ReceiveBatch, SendBatch, Socket};
//!
//! let a = Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
//! let b = Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
//! let epoll = Epoll::new().unwrap();
//! epoll.add(&b, 7).unwrap();
//!
//! let mut send = SendBatch::new(8);
//! let datagrams = [("one", b.local_address().unwrap()), ("two", b.local_address().unwrap())];
//! assert_eq!(send.send(&a, &datagrams).sent, 2);
//!
//! let mut events = Events::new(16);
//! epoll.wait(&mut events, Some(Duration::from_secs(1))).unwrap();
//! assert_eq!(events.tokens().next(), Some(7));
//!
//! let mut receive = ReceiveBatch::new(8);
//! let mut buffers = [[0_u8; 1500]; 8];
//! assert_eq!(receive.receive(&b, &mut buffers).unwrap(), 2);
//! assert_eq!(&buffers[0][..receive.message(0).bytes], b"one");
//! assert_eq!(receive.message(1).source, a.local_address().unwrap());
//! ```

mod address;
mod descriptors;
mod epoll;
mod event;
mod precedence;
mod receive;
mod send;
mod socket;

pub use descriptors::raise_descriptor_limit;
pub use epoll::{Epoll, Events};
pub use event::EventFd;
pub use precedence::{allow_precedence, take_precedence};
pub use receive::{Message, ReceiveBatch};
pub use send::{SendBatch, SendDatagram, Sent};
pub use socket::Socket;

/// Most datagrams in one system call; the kernel's own limit is 1 024 (`UIO_MAXIOV`).
pub const BATCH_MAX: usize = 256;
