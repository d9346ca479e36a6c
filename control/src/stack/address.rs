//! Our own addresses, the URIs that name our entities, and where other names lead.
//!
//! An entity's URI is `sip:ENTITY@ADDRESS` or `sip:ENTITY.TOKEN@ADDRESS`, ENTITY being a role's name: numeric
//! addresses, so that any UE can follow a Route without DNS, and the user part, so that entities that share an
//! address can be told apart.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use sip::header::Transport;
use sip::{Host, Uri};

use crate::config::{ControlConfig, Role};

/// Port of SIP where none is given (RFC 3261 19.1.2).
const SIP_PORT: u16 = 5060;

/// Names and addresses known without asking anybody.
#[derive(Debug)]
pub struct Addresses {
    listeners: Vec<SocketAddr>,
    roles: Vec<Role>,
    hosts: BTreeMap<String, Vec<SocketAddr>>,
    icscf: Option<SocketAddr>,
}

/// A URI that names one of our entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own<'a> {
    /// The entity.
    pub role: Role,
    /// What follows the entity's name; empty when nothing does.
    pub token: &'a str,
}

/// A transport address to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Located {
    pub transport: Transport,
    pub address: SocketAddr,
    /// UDP after TCP failed: stays UDP whatever the size (RFC 3261 18.1.1).
    pub fallback: bool,
}

impl Located {
    const fn new(transport: Transport, address: SocketAddr) -> Self {
        Self {
            transport,
            address,
            fallback: false,
        }
    }
}

impl Addresses {
    pub(super) fn new(config: &ControlConfig) -> Self {
        Self {
            listeners: config.sip.clone(),
            roles: config.roles.clone(),
            hosts: config.hosts.clone(),
            icscf: config.icscf,
        }
    }

    /// The n-th SIP address.
    pub fn listener(&self, index: u16) -> Option<SocketAddr> {
        self.listeners.get(usize::from(index)).copied()
    }

    /// The first SIP address of the family of `peer`, or the first of all.
    pub fn listener_towards(&self, peer: IpAddr) -> u16 {
        let same = |address: &SocketAddr| address.is_ipv6() == peer.is_ipv6();
        let index = self.listeners.iter().position(same).unwrap_or(0);
        u16::try_from(index).unwrap_or(0)
    }

    /// Whether this process plays `role`.
    pub fn plays(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The URI of one of our entities at the n-th SIP address.
    pub fn uri(&self, role: Role, token: &str, listener: u16) -> String {
        let name = role.name();
        let dot = if token.is_empty() { "" } else { "." };
        match self.listener(listener) {
            Some(address) => format!("sip:{name}{dot}{token}@{address}"),
            None => format!("sip:{name}{dot}{token}@invalid"),
        }
    }

    /// Which of our entities a URI names, if any.
    pub fn own<'a>(&self, uri: Uri<'a>) -> Option<Own<'a>> {
        if !uri.is_sip() {
            return None;
        }
        let address = SocketAddr::new(uri.host()?.ip()?, uri.port().unwrap_or(SIP_PORT));
        if !self.listeners.contains(&address) {
            return None;
        }
        let user = uri.user()?;
        let (name, token) = user.split_once('.').unwrap_or((user, ""));
        let role = name.parse().ok().filter(|&role| self.plays(role))?;
        Some(Own { role, token })
    }

    /// Where the entry point of the home network is when it is another process.
    pub(super) fn icscf(&self) -> Option<Located> {
        self.icscf
            .map(|address| Located::new(Transport::Udp, address))
    }

    /// Where a URI leads: numeric addresses and the static host table (RFC 3263 4.2).
    pub(super) fn locate(&self, uri: Uri<'_>) -> Vec<Located> {
        let Some(host) = uri.host().filter(|_| uri.is_sip()) else {
            return Vec::new();
        };
        let transport = match uri.param("transport").map(Transport::parse) {
            Some(Transport::Tcp) => Transport::Tcp,
            None | Some(Transport::Udp) => Transport::Udp,
            Some(_) => return Vec::new(),
        };
        let port = uri.port();
        match host {
            Host::Ip(ip) => {
                vec![Located::new(
                    transport,
                    SocketAddr::new(ip, port.unwrap_or(SIP_PORT)),
                )]
            }
            Host::Name(name) => {
                let listed = self.hosts.get(&name.to_ascii_lowercase());
                listed
                    .into_iter()
                    .flatten()
                    .map(|listed| {
                        let port = port.unwrap_or(listed.port());
                        Located::new(transport, SocketAddr::new(listed.ip(), port))
                    })
                    .collect()
            }
        }
    }
}
