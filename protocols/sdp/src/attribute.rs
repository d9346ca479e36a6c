//! Attributes and the typed values of those the IMS reads.

use std::fmt;

use smol_str::SmolStr;

use crate::address::{Connection, digits};
use crate::error::Fault;
use crate::write::{Sink, Written, display};

/// An attribute: `name` or `name:value`, RFC 8866 5.13.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    text: SmolStr,
    name_len: u32,
}

impl Attribute {
    /// A property attribute: `a=sendonly`.
    pub fn flag(name: &str) -> Self {
        Self {
            text: name.into(),
            name_len: name.len() as u32,
        }
    }

    /// A value attribute: `a=ptime:20`.
    pub fn new(name: &str, value: impl fmt::Display) -> Self {
        Self {
            text: format!("{name}:{value}").into(),
            name_len: name.len() as u32,
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let name_len = simd::find(text.as_bytes(), b':').unwrap_or(text.len());
        if name_len == 0 || text.as_bytes()[..name_len].contains(&b' ') {
            return Err(Fault::Attribute);
        }
        Ok(Self {
            text: text.into(),
            name_len: name_len as u32,
        })
    }

    /// The name. Attribute names are case-sensitive.
    pub fn name(&self) -> &str {
        &self.text[..self.name_len as usize]
    }

    /// What follows the colon; empty for a property.
    pub fn value(&self) -> &str {
        self.text.get(self.name_len as usize + 1..).unwrap_or("")
    }
}

impl Written for Attribute {
    fn write(&self, out: &mut impl Sink) {
        out.text(&self.text);
    }
}

display!(Attribute);

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a={}", self.text)
    }
}

/// Media direction, RFC 8866 6.7, as seen by who sends the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Sends and receives: what holds where nothing is said.
    #[default]
    SendRecv,
    /// Only sends: puts the other side on hold.
    SendOnly,
    /// Only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The direction that sends and receives as told.
    pub fn new(send: bool, recv: bool) -> Self {
        match (send, recv) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// The direction an attribute of this name gives.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "sendrecv" => Self::SendRecv,
            "sendonly" => Self::SendOnly,
            "recvonly" => Self::RecvOnly,
            "inactive" => Self::Inactive,
            _ => return None,
        })
    }

    /// The name of its attribute.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// True when its owner sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// True when its owner receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same stream as the other end sees it.
    pub fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both allow.
    pub fn and(self, other: Self) -> Self {
        Self::new(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }

    /// What to answer to this offered direction when this end `wants` a direction (RFC 3264 6.1).
    pub fn answer(self, wants: Self) -> Self {
        self.reversed().and(wants)
    }

    /// True when `answer` is one RFC 3264 6.1 allows to this offered direction.
    pub fn allows(self, answer: Self) -> bool {
        self.reversed().and(answer) == answer
    }

    /// The direction to offer to put the other side on hold (RFC 3264 8.4): keeps sending if it
    /// did.
    pub fn held(self) -> Self {
        self.and(Self::SendOnly)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `a=rtpmap`, RFC 8866 6.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpMap<'a> {
    /// The payload type it defines, 0 to 127.
    pub payload_type: u8,
    /// Encoding name; compares without case.
    pub encoding: &'a str,
    /// RTP clock in hertz.
    pub clock_hz: u32,
    /// Audio channels, 1 where nothing is said.
    pub channels: u8,
}

impl<'a> RtpMap<'a> {
    pub(crate) fn parse(value: &'a str) -> Option<Self> {
        let (payload_type, encoding) = value.trim().split_once(' ')?;
        let mut parts = encoding.trim().split('/');
        Some(Self {
            payload_type: digits(payload_type).filter(|&number: &u8| number < 128)?,
            encoding: parts.next().filter(|name| !name.is_empty())?,
            clock_hz: digits(parts.next()?).filter(|&hz| hz > 0)?,
            channels: match parts.next() {
                Some(channels) => digits(channels)?,
                None => 1,
            },
        })
    }
}

impl fmt::Display for RtpMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            payload_type,
            encoding,
            clock_hz,
            channels,
        } = self;
        write!(f, "{payload_type} {encoding}/{clock_hz}")?;
        if *channels != 1 {
            write!(f, "/{channels}")?;
        }
        Ok(())
    }
}

/// `a=rtcp`, RFC 3605 2.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtcp {
    /// Port of RTCP.
    pub port: u16,
    /// Its address, where it is not that of RTP.
    pub connection: Option<Connection>,
}

impl Rtcp {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        let (port, rest) = value.split_once(' ').unwrap_or((value, ""));
        Some(Self {
            port: digits(port)?,
            connection: match rest.trim() {
                "" => None,
                rest => Some(Connection::parse(rest, false).ok()?),
            },
        })
    }
}

impl fmt::Display for Rtcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.port)?;
        match &self.connection {
            Some(connection) => write!(f, " {connection}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Direction; 4] = [
        Direction::SendRecv,
        Direction::SendOnly,
        Direction::RecvOnly,
        Direction::Inactive,
    ];

    #[test]
    fn answers_are_those_of_rfc_3264_6_1() {
        use Direction::*;
        // Rows: the offer; columns: what the answerer wants, in the order of ALL.
        let table = [
            (SendRecv, [SendRecv, SendOnly, RecvOnly, Inactive]),
            (SendOnly, [RecvOnly, Inactive, RecvOnly, Inactive]),
            (RecvOnly, [SendOnly, SendOnly, Inactive, Inactive]),
            (Inactive, [Inactive; 4]),
        ];
        for (offer, answers) in table {
            for (wants, expected) in ALL.into_iter().zip(answers) {
                assert_eq!(offer.answer(wants), expected, "{offer} {wants}");
                assert!(offer.allows(expected));
            }
        }
        assert!(!SendOnly.allows(SendRecv));
        assert!(!RecvOnly.allows(RecvOnly));
        assert!(!Inactive.allows(SendOnly));
    }

    #[test]
    fn hold_keeps_what_was_sent_and_no_more() {
        use Direction::*;
        assert_eq!(
            ALL.map(Direction::held),
            [SendOnly, SendOnly, Inactive, Inactive]
        );
        for direction in ALL {
            assert_eq!(direction.reversed().reversed(), direction);
            assert_eq!(Direction::from_name(direction.name()), Some(direction));
        }
    }

    #[test]
    fn an_rtpmap_is_read_with_and_without_channels() {
        let map = RtpMap::parse("96 AMR-WB/16000/1").map(|m| (m.clock_hz, m.channels));
        assert_eq!(map, Some((16_000, 1)));
        assert_eq!(
            RtpMap::parse("111 opus/48000/2").map(|m| m.to_string()),
            Some("111 opus/48000/2".into())
        );
        for bad in ["", "96", "96 AMR", "128 X/8000", "96 /8000", "0 PCMU/+8000"] {
            assert_eq!(RtpMap::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_rtcp_attribute_may_carry_an_address() {
        let text = "53020 IN IP6 2001:2345:6789:ABCD:EF01:2345:6789:ABCD";
        let rtcp = Rtcp::parse(text);
        assert_eq!(rtcp.as_ref().map(|r| r.port), Some(53_020));
        assert_eq!(rtcp.map(|r| r.to_string()), Some(text.into()));
        assert_eq!(Rtcp::parse("70000"), None);
        assert_eq!(Rtcp::parse("53020 IN IP4 ::1"), None);
    }
}
