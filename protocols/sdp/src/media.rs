//! Media descriptions.

use std::fmt;
use std::net::SocketAddr;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::address::{Connection, digits};
use crate::attribute::{Attribute, Rtcp};
use crate::codec::Codec;
use crate::error::{Error, Fault};
use crate::line::{Line, Lines, Raw};
use crate::verbatim::Verbatim;
use crate::write::{Sink, Written};

/// Most formats taken of one `m=` line: the payload types there are, and as many again.
pub const FORMATS_MAX: usize = 256;

/// A media description: `m=` and the lines below it, RFC 8866 5.14.
///
/// `P` is the type of its port: [`u16`] in SIP, [`crate::h248::Wild`] in H.248.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media<P = u16> {
    /// The `m=` line.
    pub head: Verbatim<MediaLine<P>>,
    /// The lines below it.
    pub lines: Lines,
}

/// An `m=` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaLine<P = u16> {
    /// `audio`, `video`, `text`, `application`, `message`, `image`.
    pub kind: SmolStr,
    /// Port of RTP; 0 refuses or ends the stream (RFC 3264 6, 8.2).
    pub port: P,
    /// Number of ports, 1 where nothing is said.
    pub port_count: u16,
    /// `RTP/AVP`, `RTP/SAVP`, `RTP/AVPF`, `udptl`, `TCP/MSRP`…
    pub protocol: SmolStr,
    /// Payload types of RTP, or what the protocol wants.
    pub formats: SmallVec<[SmolStr; 1]>,
}

/// What may stand in the place of a port.
pub trait Port: Sized + fmt::Display {
    /// True where the wildcards of H.248 are allowed.
    const WILDCARDS: bool;

    /// Reads the field.
    fn parse(text: &str) -> Option<Self>;

    /// The number.
    ///
    /// # Errors
    /// The wildcard in its place.
    fn number(&self) -> Result<u16, &'static str>;
}

impl Port for u16 {
    const WILDCARDS: bool = false;

    fn parse(text: &str) -> Option<Self> {
        digits(text)
    }

    fn number(&self) -> Result<u16, &'static str> {
        Ok(*self)
    }
}

impl<P: Port> MediaLine<P> {
    fn parse(text: &str) -> Result<Self, Fault> {
        let mut fields = text.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(Fault::Media);
        };
        let formats: SmallVec<_> = fields.take(FORMATS_MAX + 1).map(SmolStr::from).collect();
        if formats.is_empty() {
            return Err(Fault::Media);
        }
        let (port, count) = match port.split_once('/') {
            Some((port, count)) => (port, digits(count).ok_or(Fault::Port)?),
            None => (port, 1),
        };
        Ok(Self {
            kind: kind.into(),
            port: P::parse(port).ok_or(Fault::Port)?,
            port_count: count,
            protocol: protocol.into(),
            formats,
        })
    }
}

impl<P: Port> Written for MediaLine<P> {
    fn write(&self, out: &mut impl Sink) {
        out.text(&self.kind);
        out.text(" ");
        match self.port.number() {
            Ok(port) => out.number(u64::from(port)),
            Err(wildcard) => out.text(wildcard),
        }
        if self.port_count != 1 {
            out.text("/");
            out.number(u64::from(self.port_count));
        }
        out.text(" ");
        out.text(&self.protocol);
        for format in &self.formats {
            out.text(" ");
            out.text(format);
        }
    }
}

impl<P: Port> fmt::Display for MediaLine<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.format(f)
    }
}

impl<P: Port> Media<P> {
    /// A media description with no lines below its head.
    pub fn new(head: MediaLine<P>) -> Self {
        Self {
            head: head.into(),
            lines: Lines::default(),
        }
    }

    pub(crate) fn parse_head(raw: &Raw<'_>) -> Result<Self, Error> {
        let head = MediaLine::parse(raw.value).map_err(|f| Error::malformed(raw.number, f))?;
        if head.formats.len() > FORMATS_MAX {
            return Err(Error::Limit {
                line: raw.number,
                what: "formats",
                max: FORMATS_MAX,
            });
        }
        Ok(Self {
            head: Verbatim::parsed(head, raw.value),
            lines: Lines::default(),
        })
    }

    pub(crate) fn push(&mut self, raw: &Raw<'_>) -> Result<(), Error> {
        if matches!(raw.kind, 'v' | 'o' | 's' | 't') {
            return Err(Error::malformed(raw.number, Fault::Repeated(raw.kind)));
        }
        self.lines.push(Line::parse(raw, P::WILDCARDS)?);
        Ok(())
    }
}

impl<P: Port> Written for Media<P> {
    fn write(&self, out: &mut impl Sink) {
        out.text("m=");
        self.head.write(out);
        out.text("\r\n");
        self.lines.write(out);
    }
}

impl<P> Media<P> {
    /// True for a stream over RTP.
    pub fn is_rtp(&self) -> bool {
        self.head.protocol.contains("RTP/")
    }

    /// The codecs of its formats in order of preference; formats without a meaning are left out.
    pub fn codecs(&self) -> impl Iterator<Item = Codec> + '_ {
        let payload_types = self.head.formats.iter().filter_map(|format| digits(format));
        payload_types.filter_map(|payload_type| self.codec(payload_type))
    }

    /// Encoding and RTP clock of each payload type that [`Media::codecs`] tells of.
    pub fn clocks(&self) -> impl Iterator<Item = (&str, u32)> + '_ {
        let payload_types = self.head.formats.iter().filter_map(|format| digits(format));
        payload_types.filter_map(|payload_type: u8| match self.lines.rtpmap(payload_type) {
            Some(map) => Some((map.encoding, map.clock_hz)),
            None => Codec::fixed_parts(payload_type).map(|(encoding, clock, _)| (encoding, clock)),
        })
    }

    /// The codec of a payload type: its `a=rtpmap`, else the static assignment of RFC 3551 section
    /// 6.
    pub fn codec(&self, payload_type: u8) -> Option<Codec> {
        let mut codec = match self.lines.rtpmap(payload_type) {
            Some(map) => Codec::from(map),
            None => Codec::fixed(payload_type)?,
        };
        codec.fmtp = self.lines.fmtp(&payload_type.to_string()).map(Box::from);
        Some(codec)
    }
}

impl Media {
    /// True when the stream is refused or ended.
    pub fn is_rejected(&self) -> bool {
        self.head.port == 0
    }

    /// Ends or refuses the stream (RFC 3264 6 and 8.2): port 0, and no attributes but those a `=0`
    /// line needs.
    pub fn reject(&mut self) {
        self.head.port = 0;
        self.head.port_count = 1;
        self.lines.retain(|line| line.kind() == 'c');
    }

    /// Sets where this stream is received: its own `c=`, the port, and `a=rtcp` (RFC 3605).
    ///
    /// `a=rtcp` goes away where RTCP is at the next port of the same address, which is where it is
    /// looked for by default.
    pub fn set_endpoint(&mut self, rtp: SocketAddr, rtcp: Option<SocketAddr>) {
        self.lines.set_connection(rtp.ip());
        if self.head.port != rtp.port() {
            self.head.port = rtp.port();
        }
        match rtcp {
            Some(rtcp)
                if rtp.ip() != rtcp.ip() || Some(rtcp.port()) != rtp.port().checked_add(1) =>
            {
                let connection = (rtcp.ip() != rtp.ip()).then(|| Connection::from(rtcp.ip()));
                let port = rtcp.port();
                self.lines
                    .set_attribute(Attribute::new("rtcp", Rtcp { port, connection }));
            }
            _ => {
                self.lines.remove_attributes(|a| a.name() == "rtcp");
            }
        }
    }

    /// Removes what belongs to ICE (RFC 8839), as a function that ends it must (TS 23.228 Annex G).
    pub fn remove_ice(&mut self) -> usize {
        self.lines.remove_attributes(|a| is_ice(a.name()))
    }
}

pub(crate) fn is_ice(name: &str) -> bool {
    matches!(
        name,
        "candidate" | "remote-candidates" | "end-of-candidates"
    ) || name.starts_with("ice-")
}
