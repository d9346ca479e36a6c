//! Asking the DNS where SIP goes: a stub resolver for the questions of RFC 3263.
//!
//! A [`Resolver`] asks recursive name servers, one after the other, over UDP, and over TCP what
//! does not fit or smells of forgery. It does no I/O: the [`stack`](crate::stack) feeds it and
//! passes on what it wants sent. The decisions of RFC 3263 are those of [`sip::locate::Locator`],
//! whose questions it answers.
//!
//! Answers are not authenticated (no DNSSEC). Against forgery stand a random id, one of several
//! sockets drawn for each question, the comparison of server and question, and that no question is
//! asked twice at a time (RFC 5452). The sockets' ports are drawn by the system at start, not for
//! each question.

mod cache;
mod resolv_conf;
mod resolver;
mod wire;

pub use resolv_conf::{PATH as RESOLV_CONF, nameservers};
pub use resolver::{Resolver, SERVERS_MAX, Totals, local_addresses};

#[cfg(test)]
mod tests;
