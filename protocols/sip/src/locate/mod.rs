//! Where to send: RFC 3263 from a URI to addresses, RFC 3261 18 and RFC 3581 for responses.
//!
//! A [`Locator`] asks DNS questions and yields targets one by one, so that a caller whose first
//! target fails goes on to the next (RFC 3263 4.3), in a new transaction each. It resolves nothing
//! itself.
//!
//! ```
//! use base::Entropy;
//! use sip::locate::{Answer, Capabilities, Locator, Next, RecordType};
//! use sip::{Transport, Uri};
//!
//! let mut entropy = Entropy::from_u64(1);
//! let transports = &[Transport::Udp, Transport::Tcp];
//! let can = Capabilities { transports, ipv4: true, ipv6: false };
//! let uri = Uri::parse("sip:bob@pcscf.test:5070").unwrap();
//! let mut locator = Locator::of_uri(uri, can).unwrap();
//! let Next::Ask(question) = locator.poll_next() else { panic!() };
//! assert_eq!((question.record, question.name.as_str()), (RecordType::A, "pcscf.test"));
//! locator.handle_answer(Answer::Addresses(vec!["192.0.2.1".parse().unwrap()]), &mut entropy);
//! let Next::Target(target) = locator.poll_next() else { panic!() };
//! assert_eq!(target.address.to_string(), "192.0.2.1:5070");
//! assert_eq!(target.transport, Transport::Udp);
//! assert_eq!(locator.poll_next(), Next::End);
//! ```

mod records;
mod response;

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use base::Entropy;

use crate::header::Transport;
use crate::{Host, Scheme, Uri, Via};

pub use records::{Naptr, RECORDS_MAX, Srv};
pub use response::{
    REQUEST_BYTES_UDP_MAX, ResponseRoute, ResponseTarget, mark_source, request_transport,
};

use records::in_order;

/// What this element can use, most wanted transport first.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// Transports to send over.
    pub transports: &'static [Transport],
    /// Ask for A records.
    pub ipv4: bool,
    /// Ask for AAAA records, before A records.
    pub ipv6: bool,
}

impl Capabilities {
    fn allows(&self, transport: Transport) -> bool {
        self.transports.contains(&transport)
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        if address.is_ipv4() {
            self.ipv4
        } else {
            self.ipv6
        }
    }
}

/// Type of a DNS record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// RFC 3403.
    Naptr,
    /// RFC 2782.
    Srv,
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
}

/// A question for a resolver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Domain name.
    pub name: String,
    /// Wanted records.
    pub record: RecordType,
}

/// What a resolver found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// NAPTR records, in any order.
    Naptr(Vec<Naptr>),
    /// SRV records, in any order.
    Srv(Vec<Srv>),
    /// Addresses, in the order to use them.
    Addresses(Vec<IpAddr>),
    /// No such name, no such record, or no answer.
    Nothing,
}

/// Where a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Transport.
    pub transport: Transport,
    /// Address and port.
    pub address: SocketAddr,
}

/// What [`Locator::poll_next`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Resolve this and call [`Locator::handle_answer`].
    Ask(Question),
    /// Try this; when it fails, ask for the next.
    Target(Target),
    /// A question is still open.
    Waiting,
    /// There are no more targets: 503 if none of them answered (RFC 3263 4.3).
    End,
}

/// Why there is nothing to locate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocateError {
    /// Neither sip nor sips: 416.
    NotSip,
    /// The URI asks for a transport that this element has not.
    Transport,
}

impl fmt::Display for LocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LocateError::NotSip => "not a sip or sips URI",
            LocateError::Transport => "no such transport here",
        })
    }
}

impl std::error::Error for LocateError {}

/// The way from one URI, or from the sent-by of a Via, to targets.
#[derive(Clone, Debug)]
pub struct Locator {
    can: Capabilities,
    secure: bool,
    candidates: VecDeque<Candidate>,
    open: Option<Open>,
    /// Some SRV record was found, so names are not looked up for addresses directly.
    srv_found: bool,
    targets: usize,
}

/// Most targets of one request; each costs a transaction of up to 32 s.
pub const TARGETS_MAX: usize = 16;

/// Most candidates waiting: the records of one SRV answer and of a NAPTR answer.
const CANDIDATES_MAX: usize = 2 * RECORDS_MAX;

/// A step yet to be taken, the best first.
#[derive(Clone, Debug)]
enum Candidate {
    Naptr {
        name: String,
    },
    Srv {
        name: String,
        transport: Transport,
    },
    /// A name to look up for addresses; `last_resort` only where no SRV record was found.
    Host {
        name: String,
        port: u16,
        transport: Transport,
        last_resort: bool,
    },
    /// The same, AAAA already asked for.
    HostV4 {
        name: String,
        port: u16,
        transport: Transport,
    },
    Address(Target),
}

/// The question that waits for its answer.
#[derive(Clone, Debug)]
enum Open {
    Naptr { name: String },
    Srv { transport: Transport },
    Addresses { port: u16, transport: Transport },
}

impl Locator {
    /// The way to a Request-URI or the topmost Route: RFC 3263 4.
    ///
    /// # Errors
    /// `NotSip`, `Transport`.
    pub fn of_uri(uri: Uri<'_>, can: Capabilities) -> Result<Self, LocateError> {
        let secure = match uri.scheme() {
            Scheme::Sip => false,
            Scheme::Sips => true,
            _ => return Err(LocateError::NotSip),
        };
        // maddr takes the place of the host (RFC 3263 4).
        let host = uri.param("maddr").and_then(Host::parse).or(uri.host());
        let host = host.ok_or(LocateError::NotSip)?;
        let named = uri
            .param("transport")
            .map(|name| with_tls(Transport::parse(name), secure));
        if named.is_some_and(|transport| !can.allows(transport)) {
            return Err(LocateError::Transport);
        }
        Self::new(host, uri.port(), named, secure, can)
    }

    /// The way back to the sent-by of a Via over the transport it names: RFC 3263 5.
    ///
    /// # Errors
    /// `Transport`.
    pub fn of_sent_by(via: &Via<'_>, can: Capabilities) -> Result<Self, LocateError> {
        let transport = via.transport();
        if !can.allows(transport) {
            return Err(LocateError::Transport);
        }
        let secure = is_secure(transport);
        Self::new(via.host, via.port, Some(transport), secure, can)
    }

    fn new(
        host: Host<'_>,
        port: Option<u16>,
        named: Option<Transport>,
        secure: bool,
        can: Capabilities,
    ) -> Result<Self, LocateError> {
        let mut locator = Self {
            can,
            secure,
            candidates: VecDeque::new(),
            open: None,
            srv_found: false,
            targets: 0,
        };
        let default = match named {
            Some(transport) => transport,
            None => locator.default_transport()?,
        };
        let name = match host {
            Host::Name(name) => name.trim_end_matches('.').to_ascii_lowercase(),
            Host::Ip(ip) => {
                let target = Target {
                    transport: default,
                    address: SocketAddr::new(ip, port.unwrap_or(default_port(default))),
                };
                locator.push(Candidate::Address(target));
                return Ok(locator);
            }
        };
        match (named, port) {
            (_, Some(port)) => locator.push(host_candidate(name, port, default, false)),
            (Some(transport), None) => {
                locator.push_srv(&name, transport);
                locator.push(host_candidate(
                    name,
                    default_port(transport),
                    transport,
                    true,
                ));
            }
            (None, None) => locator.push(Candidate::Naptr { name }),
        }
        Ok(locator)
    }

    /// What to do next.
    pub fn poll_next(&mut self) -> Next {
        if self.open.is_some() {
            return Next::Waiting;
        }
        while let Some(candidate) = self.candidates.pop_front() {
            match candidate {
                Candidate::Naptr { name } => {
                    self.open = Some(Open::Naptr { name: name.clone() });
                    return ask(name, RecordType::Naptr);
                }
                Candidate::Srv { name, transport } => {
                    self.open = Some(Open::Srv { transport });
                    return ask(name, RecordType::Srv);
                }
                Candidate::Host {
                    last_resort: true, ..
                } if self.srv_found => {}
                Candidate::Host {
                    name,
                    port,
                    transport,
                    ..
                } => {
                    if self.can.ipv4 {
                        let name = name.clone();
                        let next = Candidate::HostV4 {
                            name,
                            port,
                            transport,
                        };
                        self.candidates.push_front(next);
                    }
                    if self.can.ipv6 {
                        self.open = Some(Open::Addresses { port, transport });
                        return ask(name, RecordType::Aaaa);
                    }
                }
                Candidate::HostV4 {
                    name,
                    port,
                    transport,
                } => {
                    self.open = Some(Open::Addresses { port, transport });
                    return ask(name, RecordType::A);
                }
                Candidate::Address(target) => {
                    if self.targets == TARGETS_MAX {
                        break;
                    }
                    if self.can.allows_address(target.address.ip()) {
                        self.targets += 1;
                        return Next::Target(target);
                    }
                }
            }
        }
        self.candidates.clear();
        Next::End
    }

    /// Takes the answer to the open question; one of another kind counts as nothing.
    ///
    /// `entropy` draws among SRV records of the same priority (RFC 2782).
    pub fn handle_answer(&mut self, answer: Answer, entropy: &mut Entropy) {
        let Some(open) = self.open.take() else {
            return;
        };
        match (open, answer) {
            (Open::Naptr { name }, Answer::Naptr(records)) => self.take_naptr(name, records),
            (Open::Naptr { name }, _) => self.take_naptr(name, Vec::new()),
            (Open::Srv { transport }, Answer::Srv(records)) => {
                self.srv_found |= !records.is_empty();
                for srv in in_order(records, entropy).into_iter().rev() {
                    // A target of "." says that the service is not offered (RFC 2782).
                    let name = srv.target.trim_end_matches('.').to_ascii_lowercase();
                    if !name.is_empty() {
                        self.push_front(host_candidate(name, srv.port, transport, false));
                    }
                }
            }
            (Open::Addresses { port, transport }, Answer::Addresses(addresses)) => {
                for ip in addresses.into_iter().take(RECORDS_MAX).rev() {
                    let address = SocketAddr::new(ip, port);
                    self.push_front(Candidate::Address(Target { transport, address }));
                }
            }
            (Open::Srv { .. } | Open::Addresses { .. }, _) => {}
        }
    }

    /// RFC 3263 4.1: the services offered, or SRV for every transport when there are no NAPTR
    /// records.
    fn take_naptr(&mut self, name: String, mut records: Vec<Naptr>) {
        records.truncate(RECORDS_MAX);
        records.sort_by_key(|record| (record.order, record.preference));
        let offered = records.iter().filter(|record| record.is_terminal_srv());
        let mut first = None;
        for record in offered {
            let Some(transport) = service_transport(&record.service) else {
                continue;
            };
            if self.can.allows(transport) && (!self.secure || is_secure(transport)) {
                first = first.or(Some(transport));
                let name = record
                    .replacement
                    .trim_end_matches('.')
                    .to_ascii_lowercase();
                self.push(Candidate::Srv { name, transport });
            }
        }
        if first.is_none() {
            for &transport in self.can.transports {
                if is_secure(transport) == self.secure {
                    self.push_srv(&name, transport);
                }
            }
        }
        let Some(transport) = first.or(self.default_transport().ok()) else {
            return;
        };
        self.push(host_candidate(
            name,
            default_port(transport),
            transport,
            true,
        ));
    }

    fn push_srv(&mut self, domain: &str, transport: Transport) {
        if let Some(prefix) = srv_prefix(transport) {
            let name = format!("{prefix}.{domain}");
            self.push(Candidate::Srv { name, transport });
        }
    }

    /// UDP for sip, TLS for sips (RFC 3263 4.1); where this element has no UDP, the first transport
    /// it has.
    fn default_transport(&self) -> Result<Transport, LocateError> {
        let usual = if self.secure {
            Transport::Tls
        } else {
            Transport::Udp
        };
        if self.can.allows(usual) {
            return Ok(usual);
        }
        let fitting = |transport: &&Transport| !self.secure || is_secure(**transport);
        self.can
            .transports
            .iter()
            .find(fitting)
            .copied()
            .ok_or(LocateError::Transport)
    }

    fn push(&mut self, candidate: Candidate) {
        if self.candidates.len() < CANDIDATES_MAX {
            self.candidates.push_back(candidate);
        }
    }

    fn push_front(&mut self, candidate: Candidate) {
        if self.candidates.len() < CANDIDATES_MAX {
            self.candidates.push_front(candidate);
        }
    }
}

/// Port of a transport without another (RFC 3261 19.1.2, RFC 7118 for WebSocket).
pub fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Tls | Transport::TlsSctp => 5061,
        Transport::Ws => 80,
        Transport::Wss => 443,
        _ => 5060,
    }
}

fn host_candidate(name: String, port: u16, transport: Transport, last_resort: bool) -> Candidate {
    Candidate::Host {
        name,
        port,
        transport,
        last_resort,
    }
}

fn ask(name: String, record: RecordType) -> Next {
    Next::Ask(Question { name, record })
}

fn is_secure(transport: Transport) -> bool {
    matches!(
        transport,
        Transport::Tls | Transport::TlsSctp | Transport::Wss
    )
}

/// The transport parameter of a sips URI names what is below TLS (RFC 3261 26.2.2).
fn with_tls(transport: Transport, secure: bool) -> Transport {
    match transport {
        Transport::Udp | Transport::Tcp if secure => Transport::Tls,
        Transport::Sctp if secure => Transport::TlsSctp,
        Transport::Ws if secure => Transport::Wss,
        other => other,
    }
}

fn srv_prefix(transport: Transport) -> Option<&'static str> {
    match transport {
        Transport::Udp => Some("_sip._udp"),
        Transport::Tcp => Some("_sip._tcp"),
        Transport::Tls => Some("_sips._tcp"),
        Transport::Sctp => Some("_sip._sctp"),
        Transport::TlsSctp => Some("_sips._sctp"),
        Transport::Ws | Transport::Wss | Transport::Other => None,
    }
}

/// The NAPTR service fields of RFC 3263 4.1, RFC 4168 5.1 and RFC 7118 8.2.
fn service_transport(service: &str) -> Option<Transport> {
    let known = [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
        ("SIP+D2S", Transport::Sctp),
        ("SIPS+D2S", Transport::TlsSctp),
    ];
    let found = known
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(service));
    found.map(|&(_, transport)| transport)
}

#[cfg(test)]
mod tests;
