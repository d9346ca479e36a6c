//! Addresses: `o=`, `c=` and the address part of `a=rtcp`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smol_str::SmolStr;

use crate::error::Fault;
use crate::write::{Sink, Written, display};

/// An address as written: an IP address, a domain name, or the wildcards `$` and `*` of H.248.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    text: SmolStr,
    ip: Option<IpAddr>,
}

impl Host {
    /// The wildcard CHOOSE, H.248.1 7.1.8: the media gateway is to choose the address.
    pub fn choose() -> Self {
        Self {
            text: "$".into(),
            ip: None,
        }
    }

    /// The IP address; `None` for a domain name or a wildcard.
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// True for `$`, which only H.248 descriptors hold.
    pub fn is_choose(&self) -> bool {
        &*self.text == "$"
    }

    /// The address as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn parse(address_type: &AddressType, text: &str, wildcards: bool) -> Result<Self, Fault> {
        if wildcards && matches!(text, "$" | "*") {
            return Ok(Self {
                text: text.into(),
                ip: None,
            });
        }
        let ip = match address_type {
            AddressType::Ip4 => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            AddressType::Ip6 => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            AddressType::Other(_) => None,
        };
        let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let valid = match address_type {
            AddressType::Other(_) => !text.is_empty(),
            // A name of digits and dots only is an address with a mistake in it.
            AddressType::Ip4 | AddressType::Ip6 => {
                ip.is_some()
                    || (!text.is_empty()
                        && text.bytes().all(name)
                        && text.bytes().any(|b| b.is_ascii_alphabetic()))
            }
        };
        if valid {
            Ok(Self {
                text: text.into(),
                ip,
            })
        } else {
            Err(Fault::Address)
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self {
            text: {
                let mut text = String::with_capacity(IPV4_LEN_MAX);
                text.ip(ip);
                text.into()
            },
            ip: Some(ip),
        }
    }
}

impl Written for Host {
    fn write(&self, out: &mut impl Sink) {
        out.text(&self.text);
    }
}

/// Network type, RFC 8866 8.2.6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkType {
    /// `IN`.
    Internet,
    /// Any other, as `PSTN` (RFC 7195) or the `$` of H.248.
    Other(Box<str>),
}

/// Address type, RFC 8866 8.2.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressType {
    /// `IP4`.
    Ip4,
    /// `IP6`.
    Ip6,
    /// Any other, as `E164` or the `$` of H.248.
    Other(Box<str>),
}

impl AddressType {
    fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::Ip4 } else { Self::Ip6 }
    }
}

impl Written for NetworkType {
    fn write(&self, out: &mut impl Sink) {
        out.text(match self {
            Self::Internet => "IN",
            Self::Other(text) => text,
        });
    }
}

impl Written for AddressType {
    fn write(&self, out: &mut impl Sink) {
        out.text(match self {
            Self::Ip4 => "IP4",
            Self::Ip6 => "IP6",
            Self::Other(text) => text,
        });
    }
}

/// Connection information: `c=`, RFC 8866 5.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `IN` for the Internet.
    pub network: NetworkType,
    /// `IP4` or `IP6`.
    pub address_type: AddressType,
    /// The base address.
    pub host: Host,
    /// TTL and number of multicast addresses as written (`/127/3`); empty for unicast.
    pub multicast: Box<str>,
}

impl Connection {
    /// The IP address, when it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.ip
    }

    /// True for the hold of RFC 2543: `0.0.0.0` or `::`. RFC 3264 8.4 asks to understand it.
    pub fn is_unspecified(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }

    pub(crate) fn parse(text: &str, wildcards: bool) -> Result<Self, Fault> {
        let mut fields = text.split_ascii_whitespace();
        let (Some(network), Some(address_type), Some(address), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Fault::Connection);
        };
        let address_type = parse_address_type(address_type);
        let (base, multicast) = match address.find('/') {
            Some(slash) => address.split_at(slash),
            None => (address, ""),
        };
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !multicast.is_empty() && !multicast[1..].split('/').all(number) {
            return Err(Fault::Address);
        }
        Ok(Self {
            network: parse_network(network),
            host: Host::parse(&address_type, base, wildcards)?,
            address_type,
            multicast: multicast.into(),
        })
    }
}

impl From<IpAddr> for Connection {
    fn from(ip: IpAddr) -> Self {
        Self {
            network: NetworkType::Internet,
            address_type: AddressType::of(ip),
            host: ip.into(),
            multicast: "".into(),
        }
    }
}

impl Written for Connection {
    fn write(&self, out: &mut impl Sink) {
        self.network.write(out);
        out.text(" ");
        self.address_type.write(out);
        out.text(" ");
        self.host.write(out);
        out.text(&self.multicast);
    }
}

/// Origin: `o=`, RFC 8866 5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// User name, `-` for none.
    pub username: Box<str>,
    /// Session identifier: with the username and address it names the description.
    pub session_id: u64,
    /// Grows by one with each changed description (RFC 3264 section 8).
    pub version: u64,
    /// `IN` for the Internet.
    pub network: NetworkType,
    /// `IP4` or `IP6`.
    pub address_type: AddressType,
    /// The machine that made the description.
    pub host: Host,
}

impl Origin {
    /// An origin with the username `-` and version 1.
    pub fn new(session_id: u64, ip: IpAddr) -> Self {
        Self {
            username: "-".into(),
            session_id,
            version: 1,
            network: NetworkType::Internet,
            address_type: AddressType::of(ip),
            host: ip.into(),
        }
    }

    /// Replaces the address, as a border function does that hides its network.
    pub fn set_ip(&mut self, ip: IpAddr) {
        self.network = NetworkType::Internet;
        self.address_type = AddressType::of(ip);
        self.host = ip.into();
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let mut fields = text.split_ascii_whitespace();
        let mut next = || fields.next().ok_or(Fault::Origin);
        let (username, id, version) = (next()?, next()?, next()?);
        let (network, address_type, host) = (next()?, next()?, next()?);
        if fields.next().is_some() {
            return Err(Fault::Origin);
        }
        let number = |text: &str| digits(text).ok_or(Fault::OriginNumber);
        let address_type = parse_address_type(address_type);
        Ok(Self {
            username: username.into(),
            session_id: number(id)?,
            version: number(version)?,
            network: parse_network(network),
            host: Host::parse(&address_type, host, false)?,
            address_type,
        })
    }
}

impl Written for Origin {
    fn write(&self, out: &mut impl Sink) {
        out.text(&self.username);
        for number in [self.session_id, self.version] {
            out.text(" ");
            out.number(number);
        }
        out.text(" ");
        self.network.write(out);
        out.text(" ");
        self.address_type.write(out);
        out.text(" ");
        self.host.write(out);
    }
}

display!(Host, NetworkType, AddressType, Connection, Origin);

/// Longest text of an IPv4 address.
const IPV4_LEN_MAX: usize = 15;

/// A number of digits only: `str::parse` alone would take a sign.
pub(crate) fn digits<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn parse_network(text: &str) -> NetworkType {
    if text.eq_ignore_ascii_case("IN") {
        NetworkType::Internet
    } else {
        NetworkType::Other(text.into())
    }
}

fn parse_address_type(text: &str) -> AddressType {
    if text.eq_ignore_ascii_case("IP4") {
        AddressType::Ip4
    } else if text.eq_ignore_ascii_case("IP6") {
        AddressType::Ip6
    } else {
        AddressType::Other(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_of_its_address_type() {
        let parse = |text| Connection::parse(text, false);
        assert_eq!(
            parse("IN IP4 192.0.2.1").map(|c| c.ip()),
            Ok(Some(IpAddr::from([192, 0, 2, 1])))
        );
        assert_eq!(parse("IN IP6 192.0.2.1"), Err(Fault::Address));
        assert_eq!(parse("IN IP4 2001:db8::1"), Err(Fault::Address));
        assert_eq!(parse("IN IP4 256.0.0.1"), Err(Fault::Address));
        assert_eq!(parse("IN IP4 $"), Err(Fault::Address));
        assert_eq!(parse("IN IP4"), Err(Fault::Connection));
        assert_eq!(
            parse("IN IP4 224.2.36.42/127").map(|c| c.to_string()),
            Ok("IN IP4 224.2.36.42/127".into())
        );
        assert_eq!(parse("IN IP4 224.2.36.42/x"), Err(Fault::Address));
        assert_eq!(parse("IN IP4 host.example").map(|c| c.ip()), Ok(None));
        assert_eq!(
            parse("PSTN E164 +15551234").map(|c| c.to_string()),
            Ok("PSTN E164 +15551234".into())
        );
    }

    #[test]
    fn an_origin_has_six_fields_and_numbers() {
        let origin = Origin::parse("jdoe 2890844526 2890842807 IN IP4 10.47.16.5");
        assert_eq!(origin.map(|o| o.version), Ok(2_890_842_807));
        assert_eq!(
            Origin::parse("- +1 1 IN IP4 10.0.0.1"),
            Err(Fault::OriginNumber)
        );
        assert_eq!(
            Origin::parse("- 18446744073709551616 1 IN IP4 10.0.0.1"),
            Err(Fault::OriginNumber)
        );
        assert_eq!(Origin::parse("- 1 1 IN IP4"), Err(Fault::Origin));
        assert_eq!(Origin::parse("- 1 1 IN IP4 10.0.0.1 x"), Err(Fault::Origin));
    }
}
