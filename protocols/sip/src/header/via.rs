//! Via, RFC 3261 20.42, RFC 3581.

use super::Params;
use crate::scan::{decimal, is_blank, is_token, split_once, trim};
use crate::{Host, Why};
use std::fmt;
use std::net::IpAddr;

/// Transport of a Via or of a `transport` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// SCTP, RFC 4168.
    Sctp,
    /// TLS over SCTP, RFC 4168.
    TlsSctp,
    /// WebSocket, RFC 7118.
    Ws,
    /// WebSocket over TLS, RFC 7118.
    Wss,
    /// Any other token.
    Other,
}

impl Transport {
    const KNOWN: [(&'static str, Transport); 7] = [
        ("UDP", Transport::Udp),
        ("TCP", Transport::Tcp),
        ("TLS", Transport::Tls),
        ("SCTP", Transport::Sctp),
        ("TLS-SCTP", Transport::TlsSctp),
        ("WS", Transport::Ws),
        ("WSS", Transport::Wss),
    ];

    /// The transport that `text` names, whatever its case.
    pub fn parse(text: &str) -> Transport {
        let found = Self::KNOWN
            .iter()
            .find(|(name, _)| text.eq_ignore_ascii_case(name));
        found.map_or(Transport::Other, |&(_, transport)| transport)
    }

    /// The name in a Via, upper case; `OTHER` for any other.
    pub fn as_str(self) -> &'static str {
        let found = Self::KNOWN
            .iter()
            .find(|&&(_, transport)| transport == self);
        found.map_or("OTHER", |&(name, _)| name)
    }

    /// True where the transport retransmits itself, so that the transaction need not (RFC 3261 17).
    pub fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp | Transport::Other)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One value of Via.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// Protocol name and version: `SIP/2.0`, without the blanks there may be.
    protocol: (&'a str, &'a str),
    /// Transport as it was spelled.
    pub transport_str: &'a str,
    /// Host of `sent-by`.
    pub host: Host<'a>,
    /// Host of `sent-by` as it was spelled.
    pub host_str: &'a str,
    /// Port of `sent-by`.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Parses one value.
    ///
    /// # Errors
    /// [`Why::Syntax`].
    pub fn parse(text: &'a str) -> Result<Via<'a>, Why> {
        parse(text).ok_or(Why::Syntax)
    }

    /// True for `SIP/2.0`.
    pub fn is_sip_2(&self) -> bool {
        self.protocol.0.eq_ignore_ascii_case("SIP") && self.protocol.1 == "2.0"
    }

    /// The transport.
    pub fn transport(&self) -> Transport {
        Transport::parse(self.transport_str)
    }

    /// `branch`.
    pub fn branch(&self) -> Option<&'a str> {
        self.params
            .get("branch")
            .filter(|branch| !branch.is_empty())
    }

    /// `branch` when it starts with the magic cookie and has more than that (RFC 3261 8.1.1.7).
    pub fn rfc3261_branch(&self) -> Option<&'a str> {
        let magic = |branch: &&str| {
            branch
                .get(..7)
                .is_some_and(|start| start.eq_ignore_ascii_case("z9hG4bK"))
                && branch.len() > 7
        };
        self.branch().filter(magic)
    }

    /// `received`: an address, with or without brackets (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        Host::parse(text)
            .and_then(Host::ip)
            .or_else(|| text.parse().ok())
    }

    /// `maddr`.
    pub fn maddr(&self) -> Option<Host<'a>> {
        Host::parse(self.params.get("maddr")?)
    }

    /// `ttl`.
    pub fn ttl(&self) -> Option<u8> {
        u8::try_from(decimal(self.params.get("ttl")?)?).ok()
    }

    /// True when `rport` stands there, with or without value (RFC 3581 3).
    pub fn wants_rport(&self) -> bool {
        self.params.contains("rport")
    }

    /// Value of `rport`.
    pub fn rport(&self) -> Option<u16> {
        u16::try_from(decimal(self.params.get("rport")?)?).ok()
    }
}

/// `sent-protocol LWS sent-by *( SEMI via-params )`, blanks wherever the grammar has LWS.
fn parse(text: &str) -> Option<Via<'_>> {
    let text = trim(text);
    let (name, rest) = split_once(text, b'/')?;
    let (version, rest) = split_once(rest, b'/')?;
    let (name, version, rest) = (trim(name), trim(version), trim(rest));
    let transport_len = rest.bytes().position(is_blank)?;
    let (transport, rest) = rest.split_at(transport_len);
    if ![name, version, transport]
        .iter()
        .all(|part| is_token(part.as_bytes()))
    {
        return None;
    }
    let rest = trim(rest);
    let (host, host_len) = Host::prefix(rest)?;
    let (port, params) = port(&rest[host_len..])?;
    Some(Via {
        protocol: (name, version),
        transport_str: transport,
        host,
        host_str: &rest[..host_len],
        port,
        params: Params::parse(params).ok()?,
    })
}

/// `[ COLON port ]` and what follows it.
fn port(text: &str) -> Option<(Option<u16>, &str)> {
    let rest = trim(text);
    let Some(rest) = rest.strip_prefix(':') else {
        return Some((None, rest));
    };
    let rest = trim(rest);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let port = u16::try_from(decimal(&rest[..digits])?).ok()?;
    Some((Some(port), &rest[digits..]))
}
