//! The lines of one section: of the session, or of one media description.

use std::net::SocketAddr;

use smallvec::SmallVec;

use crate::address::{Connection, digits};
use crate::attribute::{Attribute, Direction, Rtcp, RtpMap};
use crate::crypto::Crypto;
use crate::dtls::{Fingerprint, Setup};
use crate::error::{Error, Fault};
use crate::verbatim::Verbatim;
use crate::write::{Sink, Written, display};

/// Most lines taken of one description.
pub const LINES_MAX: usize = 2048;
/// Most security descriptions looked at in one stream: there are fewer suites.
pub const CRYPTOS_MAX: usize = 16;
/// Most fingerprints looked at in one stream: one of each hash function, of several certificates.
pub const FINGERPRINTS_MAX: usize = 8;
/// Lines that the description of a gateway's stream has at most, as a rule.
const LINES_SHORT: usize = 8;
/// Lines that a longer description usually has at most, and its bytes at least.
const LINES_USUAL: usize = 32;
const BYTES_USUAL: usize = 256;
/// Most bytes taken of one description: what fits in a UDP datagram.
pub const BYTES_MAX: usize = 65_535;

/// The lines of a section below its head (`v=`/`o=`, or `m=`), in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(Vec<Line>);

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line {
    /// `c=`, RFC 8866 5.7.
    Connection(Verbatim<Connection>),
    /// `b=`, RFC 8866 5.8.
    Bandwidth(Verbatim<Bandwidth>),
    /// `t=`, RFC 8866 5.9.
    Time(Verbatim<Time>),
    /// `a=`, RFC 8866 5.13.
    Attribute(Attribute),
    /// Any other, known or not, kept as it came.
    Other {
        /// The letter before the `=`.
        kind: char,
        /// What follows it.
        value: Box<str>,
    },
}

/// Bandwidth, RFC 8866 5.8: kilobits per second for `AS` and `CT`, bits per second for `TIAS`, `RS`
/// and `RR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// `AS`, `CT`, `TIAS` (RFC 3890), `RS`, `RR` (RFC 3556).
    pub kind: Box<str>,
    /// In the unit of its kind.
    pub value: u64,
}

/// Time active, RFC 8866 5.9: NTP seconds, 0 for unbounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// First second.
    pub start: u64,
    /// Last second.
    pub stop: u64,
}

impl Bandwidth {
    fn parse(text: &str) -> Result<Self, Fault> {
        let (kind, value) = text.split_once(':').ok_or(Fault::Bandwidth)?;
        if kind.is_empty() || kind.contains(char::is_whitespace) {
            return Err(Fault::Bandwidth);
        }
        Ok(Self {
            kind: kind.into(),
            value: digits(value.trim()).ok_or(Fault::Bandwidth)?,
        })
    }
}

impl Written for Bandwidth {
    fn write(&self, out: &mut impl Sink) {
        out.text(&self.kind);
        out.text(":");
        out.number(self.value);
    }
}

impl Time {
    fn parse(text: &str) -> Result<Self, Fault> {
        let mut fields = text.split_ascii_whitespace().map(digits);
        match (fields.next(), fields.next(), fields.next()) {
            (Some(Some(start)), Some(Some(stop)), None) => Ok(Self { start, stop }),
            _ => Err(Fault::Time),
        }
    }
}

impl Written for Time {
    fn write(&self, out: &mut impl Sink) {
        out.number(self.start);
        out.text(" ");
        out.number(self.stop);
    }
}

impl Line {
    pub(crate) fn parse(raw: &Raw<'_>, wildcards: bool) -> Result<Self, Error> {
        let text = raw.value;
        let line = match raw.kind {
            'c' => Connection::parse(text, wildcards)
                .map(|c| Self::Connection(Verbatim::parsed(c, text))),
            'b' => Bandwidth::parse(text).map(|b| Self::Bandwidth(Verbatim::parsed(b, text))),
            't' => Time::parse(text).map(|t| Self::Time(Verbatim::parsed(t, text))),
            'a' => Attribute::parse(text).map(Self::Attribute),
            kind => Ok(Self::Other {
                kind,
                value: text.into(),
            }),
        };
        line.map_err(|fault| Error::malformed(raw.number, fault))
    }

    /// The letter before the `=`.
    pub fn kind(&self) -> char {
        match self {
            Self::Connection(_) => 'c',
            Self::Bandwidth(_) => 'b',
            Self::Time(_) => 't',
            Self::Attribute(_) => 'a',
            Self::Other { kind, .. } => *kind,
        }
    }

    /// Where RFC 8866 section 9 wants a line of this kind.
    fn rank(&self) -> usize {
        let order = "osiuepcbtrzka";
        order.find(self.kind()).unwrap_or(order.len())
    }
}

impl Written for Line {
    fn write(&self, out: &mut impl Sink) {
        out.text(self.kind().encode_utf8(&mut [0; 4]));
        out.text("=");
        match self {
            Self::Connection(value) => value.write(out),
            Self::Bandwidth(value) => value.write(out),
            Self::Time(value) => value.write(out),
            Self::Attribute(value) => value.write(out),
            Self::Other { value, .. } => out.text(value),
        }
    }
}

display!(Bandwidth, Time, Line);

impl Lines {
    /// All lines in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Line> {
        self.0.iter()
    }

    /// Puts a line after the last of its kind, or where RFC 8866 section 9 wants the first.
    pub fn insert(&mut self, line: Line) {
        let rank = line.rank();
        let after = self.0.iter().rposition(|other| other.rank() == rank);
        let place = match after {
            Some(place) => place + 1,
            None => self
                .0
                .iter()
                .position(|other| other.rank() > rank)
                .unwrap_or(self.0.len()),
        };
        self.0.insert(place, line);
    }

    pub(crate) fn push(&mut self, line: Line) {
        self.0.push(line);
    }

    /// Keeps only the lines `keep` says true of.
    pub fn retain(&mut self, keep: impl FnMut(&Line) -> bool) {
        self.0.retain(keep);
    }

    /// The first `c=`.
    pub fn connection(&self) -> Option<&Connection> {
        self.0.iter().find_map(|line| match line {
            Line::Connection(connection) => Some(&**connection),
            _ => None,
        })
    }

    /// Replaces every `c=` by this one; inserts it where there is none.
    pub fn set_connection(&mut self, connection: impl Into<Connection>) {
        let connection = connection.into();
        let mut first = Some(connection.clone());
        self.0.retain_mut(|line| {
            let Line::Connection(old) = line else {
                return true;
            };
            let Some(new) = first.take() else {
                return false;
            };
            if **old != new {
                **old = new;
            }
            true
        });
        if first.is_some() {
            self.insert(Line::Connection(connection.into()));
        }
    }

    /// The `b=` lines.
    pub fn bandwidths(&self) -> impl Iterator<Item = &Bandwidth> {
        self.0.iter().filter_map(|line| match line {
            Line::Bandwidth(bandwidth) => Some(&**bandwidth),
            _ => None,
        })
    }

    /// The value of the first `b=` of this kind.
    pub fn bandwidth(&self, kind: &str) -> Option<u64> {
        self.bandwidths()
            .find(|b| b.kind.eq_ignore_ascii_case(kind))
            .map(|b| b.value)
    }

    /// The `t=` lines.
    pub fn times(&self) -> impl Iterator<Item = Time> {
        self.0.iter().filter_map(|line| match line {
            Line::Time(time) => Some(**time),
            _ => None,
        })
    }

    /// The value of the first line of another kind, as `i` or `s`.
    pub fn other(&self, letter: char) -> Option<&str> {
        self.0.iter().find_map(|line| match line {
            Line::Other { kind, value } if *kind == letter => Some(&**value),
            _ => None,
        })
    }

    /// The `a=` lines in order.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.0.iter().filter_map(|line| match line {
            Line::Attribute(attribute) => Some(attribute),
            _ => None,
        })
    }

    /// The values of the attributes of this name, in order: `crypto`, `candidate`, `curr`, `des`,
    /// `conf`…
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes()
            .filter(move |attribute| attribute.name() == name)
            .map(Attribute::value)
    }

    /// The value of the first attribute of this name, empty for a flag.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes()
            .find(|attribute| attribute.name() == name)
            .map(Attribute::value)
    }

    /// True when the attribute is there.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// Adds an attribute after the others.
    pub fn add_attribute(&mut self, attribute: Attribute) {
        self.insert(Line::Attribute(attribute));
    }

    /// Puts an attribute in the place of the first of its name and removes the others of that name;
    /// adds it where there is none.
    pub fn set_attribute(&mut self, attribute: Attribute) {
        let mut new = Some(attribute);
        let name: Box<str> = new.as_ref().map_or("", Attribute::name).into();
        self.0.retain_mut(|line| match line {
            Line::Attribute(old) if old.name() == &*name => match new.take() {
                Some(new) => {
                    *old = new;
                    true
                }
                None => false,
            },
            _ => true,
        });
        if let Some(new) = new {
            self.add_attribute(new);
        }
    }

    /// Removes the attributes that `remove` says true of; returns how many.
    pub fn remove_attributes(&mut self, mut remove: impl FnMut(&Attribute) -> bool) -> usize {
        let before = self.0.len();
        self.0
            .retain(|line| !matches!(line, Line::Attribute(a) if remove(a)));
        before - self.0.len()
    }

    /// The direction attribute of this section, RFC 8866 6.7; the first where there are several.
    pub fn direction(&self) -> Option<Direction> {
        self.attributes()
            .find_map(|attribute| Direction::from_name(attribute.name()))
    }

    /// Puts the direction attribute in the place of any that is there.
    pub fn set_direction(&mut self, direction: Direction) {
        if self.direction() == Some(direction) {
            return;
        }
        let mut new = Some(Attribute::flag(direction.name()));
        self.0.retain_mut(|line| match line {
            Line::Attribute(old) if Direction::from_name(old.name()).is_some() => {
                match new.take() {
                    Some(new) => {
                        *old = new;
                        true
                    }
                    None => false,
                }
            }
            _ => true,
        });
        if let Some(new) = new {
            self.add_attribute(new);
        }
    }

    /// `a=rtpmap` of a payload type, RFC 8866 6.6.
    pub fn rtpmap(&self, payload_type: u8) -> Option<RtpMap<'_>> {
        self.values("rtpmap")
            .filter_map(RtpMap::parse)
            .find(|map| map.payload_type == payload_type)
    }

    /// The parameters of `a=fmtp` of a format, RFC 8866 6.15.
    pub fn fmtp(&self, format: &str) -> Option<&str> {
        self.values("fmtp").find_map(|value| {
            let (name, parameters) = value.split_once(' ')?;
            (name == format).then(|| parameters.trim())
        })
    }

    /// `a=ptime` in milliseconds, RFC 8866 6.4. A fraction is cut off.
    pub fn ptime_ms(&self) -> Option<u32> {
        milliseconds(self.attribute("ptime")?)
    }

    /// `a=maxptime` in milliseconds, RFC 8866 6.5.
    pub fn maxptime_ms(&self) -> Option<u32> {
        milliseconds(self.attribute("maxptime")?)
    }

    /// `a=rtcp`, RFC 3605; `None` also when it is malformed.
    pub fn rtcp(&self) -> Option<Rtcp> {
        Rtcp::parse(self.attribute("rtcp")?)
    }

    /// Where RTCP goes of a stream whose RTP goes to `rtp`: `a=rtcp`, else the next port of that
    /// address.
    pub(crate) fn rtcp_address(&self, rtp: SocketAddr) -> Option<SocketAddr> {
        let Some(rtcp) = self.rtcp() else {
            return Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?));
        };
        let ip = match &rtcp.connection {
            Some(connection) => connection.ip()?,
            None => rtp.ip(),
        };
        Some(SocketAddr::new(ip, rtcp.port))
    }

    /// The security descriptions that can be used, in order (RFC 4568); of more than
    /// [`CRYPTOS_MAX`] the first.
    pub fn crypto(&self) -> impl Iterator<Item = Crypto> {
        let values = self.values("crypto").take(CRYPTOS_MAX);
        values.filter_map(|value| Crypto::parse(value).ok())
    }

    /// The fingerprints that can be used, in order (RFC 8122 5); of more than
    /// [`FINGERPRINTS_MAX`] the first.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> {
        let values = self.values("fingerprint").take(FINGERPRINTS_MAX);
        values.filter_map(|value| value.parse().ok())
    }

    /// `a=setup`, RFC 4145 4.
    pub fn setup(&self) -> Option<Setup> {
        self.attribute("setup").and_then(Setup::from_name)
    }

    /// True when RTP and RTCP may share a port, RFC 5761 5.1.1.
    pub fn rtcp_mux(&self) -> bool {
        self.has("rtcp-mux")
    }
}

impl Written for Lines {
    fn write(&self, out: &mut impl Sink) {
        for line in &self.0 {
            line.write(out);
            out.text("\r\n");
        }
    }
}

fn milliseconds(text: &str) -> Option<u32> {
    digits(text.split('.').next()?.trim()).filter(|&ms| ms > 0)
}

/// A line split at its `=`.
pub(crate) struct Raw<'a> {
    pub number: u32,
    pub kind: char,
    pub value: &'a str,
}

/// Splits a description into lines; takes CRLF and LF, and blank lines at the end only.
pub(crate) fn split(text: &[u8]) -> Result<SmallVec<[Raw<'_>; LINES_SHORT]>, Error> {
    if text.len() > BYTES_MAX {
        return Err(Error::Limit {
            line: 1,
            what: "bytes",
            max: BYTES_MAX,
        });
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let valid = &text[..error.valid_up_to()];
        let line = valid.iter().filter(|&&b| b == b'\n').count() as u32 + 1;
        Error::malformed(line, Fault::NotUtf8)
    })?;
    let mut lines = SmallVec::with_capacity(match text.len() {
        BYTES_USUAL.. => LINES_USUAL,
        _ => LINES_SHORT,
    });
    let mut number = 0;
    let mut rest = Some(text.trim_end_matches(['\r', '\n']));
    while let Some(line) = rest {
        let line = match simd::find(line.as_bytes(), b'\n') {
            Some(len) => {
                rest = Some(&line[len + 1..]);
                &line[..len]
            }
            None => {
                rest = None;
                line
            }
        };
        number += 1;
        if lines.len() == LINES_MAX {
            return Err(Error::Limit {
                line: number,
                what: "lines",
                max: LINES_MAX,
            });
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        let control = |found, &byte: &u8| found | (byte == b'\r') | (byte == 0);
        if line.as_bytes().iter().fold(false, control) {
            return Err(Error::malformed(number, Fault::ControlCharacter));
        }
        let mut chars = line.chars();
        match (chars.next(), chars.next()) {
            (Some(kind), Some('=')) if kind.is_ascii_alphabetic() => lines.push(Raw {
                number,
                kind,
                value: chars.as_str(),
            }),
            (None, None) if text.trim().is_empty() => {}
            _ => return Err(Error::malformed(number, Fault::NotALine)),
        }
    }
    Ok(lines)
}
