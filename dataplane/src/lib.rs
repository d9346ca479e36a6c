//! The media runtime: workers, bursts, flows, paths, timers, packet back-ends.
//!
//! A *flow* is one local UDP port receiving; a *path* is what the mg thread compiled for it: how
//! its datagrams are admitted and where they go. The mg thread owns a [`Control`]; each pinned
//! thread runs a [`Worker`], which moves datagrams between a [`PacketIo`] and a media [`Function`].
//! The two sides share bounded rings, a table of claims and counters, and nothing else: no lock,
//! and after start-up no allocation on the worker.
//!
//! ```
//! use base::Instant;
//! use dataplane::io::sim;
//! use dataplane::{Config, Context, Datagram, Function, Path, Verdict};
//! use dataplane::{LocalAddress, LocalAddresses};
//!
//! /// Forwards whatever comes.
//! struct Pipe;
//! impl Function for Pipe {
//!     fn handle_burst(
//!         &mut self,
//!         _: &mut Context<'_>,
//!         _: &mut [Datagram],
//!         verdicts: &mut [Verdict],
//!     ) {
//!         verdicts.fill(Verdict::Forward);
//!     }
//! }
//!
//! let local = LocalAddress::new([192, 0, 2, 1].into(), 10_000..=10_999);
//! let addresses = LocalAddresses::new(&[local]).unwrap();
//! let (backend, mut network) = sim::backend(&addresses, 1, 64);
//! let function = |_| Box::new(Pipe) as Box<dyn Function>;
//! let (mut control, mut workers) =
//!     dataplane::runtime(&Config::default(), backend, function).unwrap();
//!
//! let now = Instant::ZERO;
//! let a = control.open_flow(now, "192.0.2.1:10000".parse().unwrap()).unwrap();
//! let b = control.open_flow(now, "192.0.2.1:10002".parse().unwrap()).unwrap();
//! let path = Path::to(b, "198.51.100.7:4000".parse().unwrap());
//! control.set_path(a, path).unwrap();
//!
//! let (far, near) = ("203.0.113.9:5000".parse().unwrap(), "192.0.2.1:10000".parse().unwrap());
//! network.send(0, far, near, b"hello");
//! workers[0].turn(now);
//! let sent = network.receive().unwrap();
//! assert_eq!(sent.source, "192.0.2.1:10002".parse().unwrap());
//! assert_eq!(sent.payload, b"hello");
//! ```
//!
//! SRTP is opened when a function asks for it ([`Flow::open_rtp`]) and applied to each copy of a
//! packet by the egress that it leaves by, since every egress has its own keys.
//!
//! A function may also send of its own accord, as one that mixes does: what it is to do and with
//! what it gets from the mg thread as [`Mail`], and it does it bit by bit ([`Function::work`]) when
//! what has come is dealt with. The flows of such work are one worker's ([`Path::at_worker`]); what
//! others receive for them they hand over.
//!
//! What it deliberately does not do: it knows no RTP beyond that, no codec and no H.248. Those are
//! the functions' matter.

mod address;
mod clock;
mod control;
mod counters;
mod datagram;
mod drop_reason;
mod flow;
mod flow_set;
mod frame;
mod function;
mod handoff;
pub mod io;
mod latch;
mod outlet;
mod path;
mod policer;
mod protection;
mod runtime;
mod timer;
mod times;
mod tones;
mod worker;

pub use address::{ADDRESSES_MAX, AddressIndex, FlowId, LocalAddress, LocalAddresses};
pub use clock::Clock;
pub use control::{Control, Error, Event};
pub use counters::{FlowStats, Reception, WorkerStats};
pub use datagram::{BURST_MAX, Burst, Datagram};
pub use drop_reason::{DropCounts, DropReason, Refusal};
pub use frame::{FRAME_BYTES, Frame, HEADROOM_BYTES, PAYLOAD_BYTES_MAX};
pub use function::{Carried, Context, Flow, Function, Verdict};
pub use handoff::Punt;
pub use io::{Backend, Endpoint, Endpoints, Outgoing, PacketIo};
pub use outlet::{Mail, Outlet, Sends};
pub use path::{
    EGRESSES_MAX, Egress, Ingress, Latch, Marking, Media, Path, Remote, SourceFilter, Translation,
};
pub use policer::Policing;
pub use protection::Srtp;
pub use runtime::{Config, Idle, WORKERS_MAX, runtime};
pub use times::{Durations, Times, Took};
pub use tones::{DetectedTone, EventFormat, PlayedTone, Tones};
pub use worker::{Turn, Worker};
