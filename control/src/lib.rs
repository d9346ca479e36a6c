//! The control process: IMS functional entities on one event loop.
//!
//! Sockets and time are the [`event_loop`]'s; everything else is the [`node::Node`], which is fed
//! with what happened and asked what is to be done. Within it the [`stack`] carries SIP, the
//! [`mgc`] H.248, [`cx`] Diameter, and the [`entity`] modules decide.

pub mod admin;
pub mod auth;
pub mod clock;
pub mod config;
pub mod counters;
pub mod cx;
pub mod dns;
pub mod entity;
pub mod event_loop;
pub mod identity;
pub mod journal;
pub mod mgc;
pub mod node;
mod process;
pub mod proxy;
pub mod reginfo;
pub mod stack;
pub mod store;
pub mod subscriber;

pub use config::{ConfigError, ControlConfig, ControlFile, Role};
pub use process::Process;
