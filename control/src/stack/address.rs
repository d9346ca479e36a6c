//! Our own addresses, the URIs that name our entities, and where other names lead without asking
//! the DNS.
//!
//! An entity's URI is `sip:ENTITY@ADDRESS` or `sip:ENTITY.TOKEN@ADDRESS`, ENTITY being a role's
//! name: numeric addresses, so that any UE can follow a Route without DNS, and the user part, so
//! that entities that share an address can be told apart.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use sip::header::Transport;
use sip::locate::{Answer, Capabilities, Question, RecordType, Target};
use sip::{Host, Scheme, Uri};

use crate::config::{ControlConfig, Role};

/// Port of SIP where none is given (RFC 3261 19.1.2).
pub(crate) const SIP_PORT: u16 = 5060;

/// Transports that this process speaks, most wanted first.
const TRANSPORTS: &[Transport] = &[Transport::Udp, Transport::Tcp];

/// Names and addresses known without asking anybody.
#[derive(Debug)]
pub struct Addresses {
    listeners: Vec<SocketAddr>,
    /// The same in text.
    listeners_str: Vec<String>,
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

impl From<Target> for Located {
    fn from(target: Target) -> Self {
        Self::new(target.transport, target.address)
    }
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
        let hosts = config.hosts.iter();
        let hosts = hosts.map(|(name, listed)| (host_key(name), listed.clone()));
        Self {
            listeners: config.sip.clone(),
            listeners_str: config.sip.iter().map(SocketAddr::to_string).collect(),
            roles: config.roles.clone(),
            hosts: hosts.collect(),
            icscf: config.icscf,
        }
    }

    /// The n-th SIP address in text.
    pub fn listener_str(&self, index: u16) -> Option<&str> {
        self.listeners_str
            .get(usize::from(index))
            .map(String::as_str)
    }

    /// The n-th SIP address.
    pub fn listener(&self, index: u16) -> Option<SocketAddr> {
        self.listeners.get(usize::from(index)).copied()
    }

    /// The index of one of our SIP addresses.
    pub fn index_of(&self, address: SocketAddr) -> Option<u16> {
        let index = self.listeners.iter().position(|own| *own == address)?;
        u16::try_from(index).ok()
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
        let address = self.listener_str(listener).unwrap_or("invalid");
        ["sip:", name, dot, token, "@", address].concat()
    }

    /// Which of our entities a URI names, if any.
    pub fn own<'a>(&self, uri: Uri<'a>) -> Option<Own<'a>> {
        if !uri.is_sip() {
            return None;
        }
        if !self.is_ours(uri.host()?, uri.port()) {
            return None;
        }
        let user = uri.user()?;
        let (name, token) = user.split_once('.').unwrap_or((user, ""));
        let role = name.parse().ok().filter(|&role| self.plays(role))?;
        Some(Own { role, token })
    }

    /// Whether a host is one of our SIP addresses, or a name that the static host table gives one
    /// of them.
    fn is_ours(&self, host: Host<'_>, port: Option<u16>) -> bool {
        let name = match host {
            Host::Ip(ip) => {
                let address = SocketAddr::new(ip, port.unwrap_or(SIP_PORT));
                return self.listeners.contains(&address);
            }
            Host::Name(_) if self.hosts.is_empty() => return false,
            Host::Name(name) => host_key(name),
        };
        let listed = self.hosts.get(&name).into_iter().flatten();
        listed
            .filter(|listed| port.is_none_or(|port| port == listed.port()))
            .any(|listed| self.listeners.contains(listed))
    }

    /// Where the entry point of the home network is when it is another process.
    pub(super) fn icscf(&self) -> Option<Located> {
        self.icscf
            .map(|address| Located::new(Transport::Udp, address))
    }

    /// What can be sent over, and the address families in which there is something to send from.
    pub(super) fn capabilities(&self) -> Capabilities {
        Capabilities {
            transports: TRANSPORTS,
            ipv4: self.listeners.iter().any(SocketAddr::is_ipv4),
            ipv6: self.listeners.iter().any(SocketAddr::is_ipv6),
        }
    }

    /// Where a URI leads by the static host table; `None` when its host is not listed there.
    pub(super) fn listed(&self, uri: Uri<'_>) -> Option<Vec<Located>> {
        let Host::Name(name) = target_of(uri)? else {
            return None;
        };
        let listed = self.hosts.get(&host_key(name))?;
        let transport = match uri.param("transport").map(Transport::parse) {
            // sips wants TLS on every hop (RFC 3261 26.2.2).
            _ if uri.scheme() != Scheme::Sip => return Some(Vec::new()),
            Some(Transport::Tcp) => Transport::Tcp,
            None | Some(Transport::Udp) => Transport::Udp,
            Some(_) => return Some(Vec::new()),
        };
        let port = uri.port();
        let located = listed.iter().map(|listed| {
            let port = port.unwrap_or(listed.port());
            Located::new(transport, SocketAddr::new(listed.ip(), port))
        });
        Some(located.collect())
    }

    /// The static host table's answer to a question for addresses, its ports left aside: those of
    /// SRV records count.
    pub(super) fn listed_addresses(&self, question: &Question) -> Option<Answer> {
        let ipv6 = match question.record {
            RecordType::A => false,
            RecordType::Aaaa => true,
            RecordType::Naptr | RecordType::Srv => return None,
        };
        let listed = self.hosts.get(&host_key(&question.name))?;
        let family = listed.iter().filter(|listed| listed.is_ipv6() == ipv6);
        Some(Answer::Addresses(family.map(SocketAddr::ip).collect()))
    }
}

/// Whether a URI leads to an address without resolving a name.
pub(super) fn is_numeric(uri: Uri<'_>) -> bool {
    matches!(target_of(uri), Some(Host::Ip(_)))
}

/// The TARGET of RFC 3263 4: maddr takes the place of the host.
fn target_of(uri: Uri<'_>) -> Option<Host<'_>> {
    let maddr = uri.param("maddr").and_then(Host::parse);
    maddr.or(uri.host())
}

/// How a name is written in the host table.
fn host_key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
