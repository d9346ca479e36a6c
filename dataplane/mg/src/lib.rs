//! H.248 media gateway side, sans-IO: association, contexts, terminations, port pool, profile.
//!
//! A [`MediaGateway`] is one virtual MG: it registers with an MGC, executes its commands and
//! notifies it of events. What carries the media is a [`MediaPlane`], which the caller passes in;
//! several gateways may share one. No socket and no clock is in here.
//!
//! ```
//! use base::{Entropy, Instant};
//! use mg::{
//!     ContextStream, GatewayConfig, Leg, MediaGateway, MediaPlane, OpenError, Output, Statistics,
//! };
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! /// Opens everything and carries nothing.
//! struct Nowhere;
//! impl MediaPlane for Nowhere {
//!     fn open(&mut self, _: Instant, _: SocketAddr) -> Result<(), OpenError> {
//!         Ok(())
//!     }
//!     fn close(&mut self, _: SocketAddr) {}
//!     fn connect(&mut self, _: ContextStream, _: &[Leg], _: &[(usize, usize)]) {}
//!     fn statistics(&self, _: SocketAddr) -> Statistics {
//!         Statistics::default()
//!     }
//! }
//!
//! let mgc: SocketAddr = "192.0.2.2:2944".parse().unwrap();
//! let mut config = GatewayConfig::new("192.0.2.1:2944".parse().unwrap(), &mg::TRGW);
//! config.association.mgcs = vec![mgc];
//! let now = Instant::from_secs(1_800_000_000);
//! let mut gateway = MediaGateway::new(config, now, Entropy::from_u64(7));
//! gateway.start(now, &mut Nowhere);
//! let Some(Output::Transmit { to, bytes }) = gateway.poll_output() else { panic!() };
//! assert_eq!(to, mgc);
//! assert!(String::from_utf8(bytes).unwrap().contains("901 Cold Boot"));
//! ```
//!
//! What it deliberately does not do: it knows no packet and opens no port itself; media functions
//! that transcode or mix bring their own [`Profile`] and [`MediaPlane`].

mod association;
mod audit;
mod command;
mod connection_model;
mod context;
mod detection;
mod digit_maps;
mod dtls;
mod error;
mod event_processor;
mod execute;
mod gateway;
mod performance;
mod plane;
mod player;
mod port_pool;
mod profile;
mod property;
mod reply;
mod reserver;
mod root;
mod script;
mod scripts;
mod signal;
mod statistics;
mod stream;
mod termination;
mod time_stamp;
mod tone;
mod watch;

pub use association::{AssociationConfig, AssociationEvent};
pub use gateway::{Counters, GatewayConfig, GatewayStatus, MediaGateway, Output};
pub use performance::{
    Announced, Announcement, Ending as PerformanceEnd, Performance, Performed, Recording,
};
pub use plane::{
    ContextStream, Leg, LegAudio, LegDtls, LegDtlsRole, LegEvents, LegFilter, LegLatch, LegMarking,
    LegMedia, LegPerformance, LegPolicing, LegRtcp, LegSpeech, LegSrtp, LegTone, LegVolume,
    MediaEvent, MediaPlane, OpenError, Score, Statistics,
};
pub use port_pool::RealmAddress;
pub use profile::{CommandKind, DescriptorKind, IQ, IX, MN, MP, Profile, Support, TRGW};
