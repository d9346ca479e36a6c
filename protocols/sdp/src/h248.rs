//! The session descriptions of H.248 Local and Remote descriptors, H.248.1 7.1.8.
//!
//! They depart from RFC 8866: `o=`, `s=` and `t=` may be left out; fields may be `$` (the gateway
//! chooses) or `*` (all); and a descriptor may hold several descriptions, each begun by `v=0`,
//! alternatives in order of preference or, with ReserveGroup, all to be reserved.
//!
//! ```
//! use sdp::h248::Description;
//!
//! let mut local = Description::parse(b"v=0\r\nc=IN IP4 $\r\nm=audio $ RTP/AVP 0\r\n")?;
//! let group = &mut local.groups[0];
//! assert!(group.media[0].head.port.is_choose());
//! assert!(group.connection(0).is_some_and(|c| c.host.is_choose()));
//!
//! group.set_endpoint(0, ([192, 0, 2, 9], 30_000).into());
//! assert_eq!(local.to_string(), "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 30000 RTP/AVP 0\r\n");
//! # Ok::<(), sdp::Error>(())
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::address::{Connection, digits};
use crate::error::{Error, Fault};
use crate::line::{Line, Lines, Raw, split};
use crate::media::Port;
use crate::session::MEDIA_MAX;
use crate::write::{Sink, Written, display};

/// Most alternatives taken of one descriptor.
pub const GROUPS_MAX: usize = 32;

/// A media description whose port may be a wildcard.
pub type Media = crate::media::Media<Wild<u16>>;
/// An `m=` line whose port may be a wildcard.
pub type MediaLine = crate::media::MediaLine<Wild<u16>>;

/// A field that may be left to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wild<T> {
    /// `$`: the gateway chooses.
    Choose,
    /// `*`: every value.
    All,
    /// Given.
    Value(T),
}

impl<T: Copy> Wild<T> {
    /// The value, if given.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Choose | Self::All => None,
        }
    }

    /// True for `$`.
    pub fn is_choose(self) -> bool {
        matches!(self, Self::Choose)
    }
}

impl<T: fmt::Display> fmt::Display for Wild<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choose => f.write_str("$"),
            Self::All => f.write_str("*"),
            Self::Value(value) => value.fmt(f),
        }
    }
}

impl Port for Wild<u16> {
    const WILDCARDS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        match text {
            "$" => Some(Self::Choose),
            "*" => Some(Self::All),
            _ => digits(text).map(Self::Value),
        }
    }

    fn number(&self) -> Result<u16, &'static str> {
        match self {
            Self::Choose => Err("$"),
            Self::All => Err("*"),
            Self::Value(port) => Ok(*port),
        }
    }
}

/// The content of a Local or Remote descriptor: alternatives in order of preference, none when it
/// is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// One per `v=`.
    pub groups: Vec<Group>,
}

/// One session description of a descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The lines after `v=` and before the first `m=`; `o=`, `s=` and `t=` among them where given.
    pub lines: Lines,
    /// The media descriptions; a descriptor of one H.248 stream has one.
    pub media: Vec<Media>,
}

impl Description {
    /// Parses the content of a descriptor. `v=` may be left out before the first description.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line and its fault, [`Error::Limit`] past a bound.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut groups: Vec<Group> = Vec::new();
        for raw in &split(text.trim_ascii_start())? {
            if raw.kind == 'v' && raw.value.trim_end() != "0" {
                return Err(Error::malformed(raw.number, Fault::Version));
            }
            if raw.kind == 'v' || groups.is_empty() {
                if groups.len() == GROUPS_MAX {
                    return Err(limit(raw.number, "alternatives", GROUPS_MAX));
                }
                groups.push(Group::default());
            }
            if let Some(group) = groups.last_mut() {
                group.push(raw)?;
            }
        }
        Ok(Self { groups })
    }

    /// A descriptor of one description.
    pub fn from_group(group: Group) -> Self {
        Self {
            groups: vec![group],
        }
    }

    /// True for an empty descriptor, which says that the gateway is to keep nothing (H.248.1
    /// 7.1.8).
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// True when a field is left to the gateway, or several alternatives are: it is then
    /// underspecified and must be answered with what was chosen.
    pub fn is_underspecified(&self) -> bool {
        self.groups.len() > 1 || self.groups.iter().any(Group::is_underspecified)
    }

    /// Appends the content of the descriptor.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    /// The first alternative.
    pub fn first(&self) -> Option<&Group> {
        self.groups.first()
    }
}

impl Group {
    /// `v=0`, `c=` with this address (`$` when `None`, of the family of `IP6` if `ip6`) and one
    /// `m=` line.
    pub fn new(ip: Option<IpAddr>, ip6: bool, head: MediaLine) -> Self {
        let mut group = Self::default();
        group.lines.set_connection(match ip {
            Some(ip) => Connection::from(ip),
            None => Connection::choose(ip6),
        });
        group.media.push(Media::new(head));
        group
    }

    fn push(&mut self, raw: &Raw<'_>) -> Result<(), Error> {
        match raw.kind {
            'v' => {}
            'm' if self.media.len() == MEDIA_MAX => {
                return Err(limit(raw.number, "media descriptions", MEDIA_MAX));
            }
            'm' => self.media.push(Media::parse_head(raw)?),
            _ => match self.media.last_mut() {
                Some(media) => media.push(raw)?,
                None => self.lines.push(Line::parse(raw, true)?),
            },
        }
        Ok(())
    }

    /// The connection of a stream: its own, else that of the description.
    pub fn connection(&self, media: usize) -> Option<&Connection> {
        let own = self.media.get(media)?.lines.connection();
        own.or(self.lines.connection())
    }

    /// Where the stream is received; `None` while either part is a wildcard, or the port is 0.
    pub fn rtp_address(&self, media: usize) -> Option<SocketAddr> {
        let port = self.media.get(media)?.head.port.value()?;
        let ip = self.connection(media)?.ip()?;
        (port != 0).then(|| SocketAddr::new(ip, port))
    }

    /// Where RTCP of the stream is received: `a=rtcp` (RFC 3605), else the next port.
    pub fn rtcp_address(&self, media: usize) -> Option<SocketAddr> {
        let rtp = self.rtp_address(media)?;
        self.media.get(media)?.lines.rtcp_address(rtp)
    }

    /// True when the address or port of a stream, or any format, is a wildcard.
    pub fn is_underspecified(&self) -> bool {
        let wild = |text: &str| matches!(text, "$" | "*");
        (0..self.media.len()).any(|index| {
            let head = &self.media[index].head;
            let address = self.connection(index).map(|c| c.host.as_str());
            head.port.value().is_none()
                || address.is_some_and(wild)
                || wild(&head.kind)
                || wild(&head.protocol)
                || head.formats.iter().any(|format| wild(format))
        })
    }

    /// Fills in the address and port of a stream, in the `c=` it uses.
    pub fn set_endpoint(&mut self, media: usize, rtp: SocketAddr) {
        let Some(stream) = self.media.get_mut(media) else {
            return;
        };
        if stream.head.port != Wild::Value(rtp.port()) {
            stream.head.port = Wild::Value(rtp.port());
        }
        let lines = if stream.lines.connection().is_some() {
            &mut stream.lines
        } else {
            &mut self.lines
        };
        lines.set_connection(rtp.ip());
    }
}

impl Connection {
    /// `IN IP4 $` or `IN IP6 $`: the gateway is to choose.
    pub fn choose(ip6: bool) -> Self {
        use crate::address::{AddressType, Host, NetworkType};
        Self {
            network: NetworkType::Internet,
            address_type: if ip6 {
                AddressType::Ip6
            } else {
                AddressType::Ip4
            },
            host: Host::choose(),
            multicast: "".into(),
        }
    }
}

impl Written for Description {
    fn write(&self, out: &mut impl Sink) {
        for group in &self.groups {
            group.write(out);
        }
    }
}

impl Written for Group {
    fn write(&self, out: &mut impl Sink) {
        out.text("v=0\r\n");
        self.lines.write(out);
        for media in &self.media {
            media.write(out);
        }
    }
}

display!(Description, Group);

fn limit(line: u32, what: &'static str, max: usize) -> Error {
    Error::Limit { line, what, max }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_begins_an_alternative_and_may_be_left_out_of_the_first() {
        let text = include_bytes!("../testdata/alternatives.h248sdp");
        let description = Description::parse(text).unwrap();
        assert_eq!(description.groups.len(), 4);
        assert!(description.is_underspecified());
        let underspecified: Vec<bool> = description
            .groups
            .iter()
            .map(Group::is_underspecified)
            .collect();
        assert_eq!(underspecified, [true, true, true, false]);
        let last = &description.groups[3];
        assert_eq!(
            last.rtp_address(0),
            Some(([124, 124, 124, 222], 2222).into())
        );
        let bare = Description::parse(b"\r\nc=IN IP4 192.0.2.1\nm=audio 4 RTP/AVP 0").unwrap();
        assert_eq!(bare.groups.len(), 1);
        assert!(!bare.is_underspecified());
        assert!(Description::parse(b" \r\n").unwrap().is_empty());
    }

    #[test]
    fn a_chosen_endpoint_takes_the_place_of_the_wildcards() {
        let head = MediaLine {
            kind: "-".into(),
            port: Wild::Choose,
            port_count: 1,
            protocol: "udp".into(),
            formats: ["-".into()].into(),
        };
        let mut group = Group::new(None, true, head);
        assert_eq!(group.to_string(), "v=0\r\nc=IN IP6 $\r\nm=- $ udp -\r\n");
        assert_eq!(group.rtp_address(0), None);
        let rtp: SocketAddr = "[2001:db8::9]:30000".parse().unwrap();
        group.set_endpoint(0, rtp);
        assert_eq!(group.rtp_address(0), Some(rtp));
        assert_eq!(group.rtcp_address(0).map(|a| a.port()), Some(30_001));
        assert_eq!(
            group.to_string(),
            "v=0\r\nc=IN IP6 2001:db8::9\r\nm=- 30000 udp -\r\n"
        );
    }

    #[test]
    fn wildcards_stand_only_where_h248_allows_them() {
        for text in [
            "m=audio x RTP/AVP 0",
            "c=IN IP4 $$",
            "v=1",
            "m=audio $ RTP/AVP",
        ] {
            assert!(Description::parse(text.as_bytes()).is_err(), "{text}");
        }
        let all = Description::parse(b"c=IN IP4 *\nm=audio * RTP/AVP *").unwrap();
        assert_eq!(all.groups[0].media[0].head.port, Wild::All);
    }
}
