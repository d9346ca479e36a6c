//! A seeded virtual network on virtual time, for tests of whole nodes.
//!
//! A [`Network`] carries datagrams and byte streams between sans-IO [`Host`]s. Nothing in it sleeps
//! and nothing reads a clock: time jumps from event to event, and one seed gives one run, octet for
//! octet. Datagrams suffer what their [`Link`] says; streams are delayed but keep order and
//! content. Nodes crash, lose power, restart and are cut off from one another. When a test panics,
//! the network prints its seed and its last events; `SIM_SEED` runs that seed again (see
//! [`seeds`]).
//!
//! ```
//! use std::collections::VecDeque;
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! use base::Instant;
//! use sim::{Host, Link, Network, StreamEvent, Transmit};
//!
//! /// Answers every datagram of others with the same octets, and counts.
//! #[derive(Default)]
//! struct Echo {
//!     out: VecDeque<Transmit>,
//!     count: usize,
//! }
//!
//! impl Host for Echo {
//!     fn handle_datagram(
//!         &mut self,
//!         _: Instant,
//!         local: SocketAddr,
//!         remote: SocketAddr,
//!         bytes: &[u8],
//!     ) {
//!         self.count += 1;
//!         self.out.push_back(Transmit::Datagram { local, remote, bytes: bytes.to_vec() });
//!     }
//!     fn handle_stream(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, _: StreamEvent<'_>) {}
//!     fn handle_timeout(&mut self, _: Instant) {}
//!     fn next_timeout(&self) -> Option<Instant> {
//!         None
//!     }
//!     fn poll_transmit(&mut self) -> Option<Transmit> {
//!         self.out.pop_front()
//!     }
//! }
//!
//! let a: SocketAddr = "192.0.2.1:5060".parse().unwrap();
//! let b: SocketAddr = "192.0.2.2:5060".parse().unwrap();
//! let mut network = Network::new(7);
//! network.set_link(Link { delay: Duration::from_millis(10), ..Link::PERFECT });
//! let alice = network.add("alice", &[a.ip()], Echo::default());
//! network.add("bob", &[b.ip()], Echo::default());
//! network.with(alice, |echo, _| {
//!     echo.out.push_back(Transmit::Datagram { local: a, remote: b, bytes: vec![1] });
//! });
//! network.run_until(network.now() + Duration::from_millis(100));
//! assert_eq!(network.host(alice).count, 5);
//! ```

mod host;
mod link;
mod network;
mod stream;

pub use host::{Host, StreamEvent, Transmit};
pub use link::Link;
pub use network::{Counters, Network, NodeId, Recorded};

/// The seeds a test runs with: `0..count`, or the one in the environment variable `SIM_SEED`, or as
/// many as `SIM_SEEDS` says.
pub fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    match (number("SIM_SEED"), number("SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, many) => 0..many.unwrap_or(count),
    }
}
