//! The session description.

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};

use crate::address::{Connection, Origin};
use crate::attribute::Direction;
use crate::error::{Error, Fault};
use crate::line::{Line, Lines, Time, split};
use crate::media::{Media, is_ice};
use crate::verbatim::Verbatim;

/// Most media descriptions taken of one session.
pub const MEDIA_MAX: usize = 64;

/// A session description, RFC 8866.
///
/// Holds every line it was parsed from in order, so that what is not changed is written as it came, but for
/// line ends, which are CRLF. `o=` and `s=` must stand first, `t=` must be there, and each stream in use needs
/// a `c=`; otherwise lines may stand in any order within their section, and kinds of lines not known are kept.
///
/// ```
/// let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
///             m=audio 49170 RTP/AVP 0\r\n";
/// let mut session = sdp::Session::parse(text.as_bytes())?;
/// assert_eq!(session.to_string(), text);
/// assert_eq!(session.rtp_address(0), Some(([192, 0, 2, 1], 49170).into()));
///
/// session.set_endpoint(0, ([198, 51, 100, 7], 4000).into(), None);
/// assert!(session.to_string().ends_with("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 198.51.100.7\r\n"));
/// # Ok::<(), sdp::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `o=`.
    pub origin: Verbatim<Origin>,
    /// The lines from `s=` to the first `m=`.
    pub lines: Lines,
    /// The media descriptions. Their number never shrinks within a dialog (RFC 3264 section 8).
    pub media: Vec<Media>,
}

impl Session {
    /// A description without media: `s=-` and `t=0 0`.
    pub fn new(origin: Origin) -> Self {
        let mut lines = Lines::default();
        lines.push(Line::Other {
            kind: 's',
            value: "-".into(),
        });
        lines.push(Line::Time(Time::default().into()));
        Self {
            origin: origin.into(),
            lines,
            media: Vec::new(),
        }
    }

    /// Parses a description.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line and its fault, [`Error::Limit`] past a bound.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let raws = split(text)?;
        let end = raws.len() as u32 + 1;
        let head = |index: usize, kind: char, name: &'static str| match raws.get(index) {
            Some(raw) if raw.kind == kind => Ok(raw),
            other => Err(Error::malformed(
                other.map_or(end, |raw| raw.number),
                Fault::Missing(name),
            )),
        };
        let version = head(0, 'v', "v=")?;
        if version.value.trim_end() != "0" {
            return Err(Error::malformed(version.number, Fault::Version));
        }
        let origin = head(1, 'o', "o=")?;
        head(2, 's', "s=")?;
        let mut session = Self {
            origin: Origin::parse(origin.value)
                .map(|value| Verbatim::parsed(value, origin.value))
                .map_err(|fault| Error::malformed(origin.number, fault))?,
            lines: Lines::default(),
            media: Vec::new(),
        };
        let mut media_lines = Vec::new();
        for (index, raw) in raws.iter().enumerate().skip(2) {
            if raw.kind == 'm' {
                if session.media.len() == MEDIA_MAX {
                    return Err(Error::Limit {
                        line: raw.number,
                        what: "media descriptions",
                        max: MEDIA_MAX,
                    });
                }
                media_lines.push(raw.number);
                session.media.push(Media::parse_head(raw)?);
            } else if let Some(media) = session.media.last_mut() {
                media.push(raw)?;
            } else {
                let again = match raw.kind {
                    'v' | 'o' => true,
                    's' => index > 2,
                    'c' => session.lines.connection().is_some(),
                    _ => false,
                };
                if again {
                    return Err(Error::malformed(raw.number, Fault::Repeated(raw.kind)));
                }
                session.lines.push(Line::parse(raw, false)?);
            }
        }
        session.check(&media_lines, end)?;
        Ok(session)
    }

    /// What the session must have as a whole. A refused stream needs no `c=`: many leave it out.
    fn check(&self, media_lines: &[u32], end: u32) -> Result<(), Error> {
        if self.lines.times().next().is_none() {
            let line = media_lines.first().copied().unwrap_or(end);
            return Err(Error::malformed(line, Fault::Missing("t=")));
        }
        for (media, &line) in self.media.iter().zip(media_lines) {
            let connection = media.lines.connection().or(self.lines.connection());
            if connection.is_none() && !media.is_rejected() {
                return Err(Error::malformed(line, Fault::NoConnection));
            }
        }
        Ok(())
    }

    /// The connection of a stream: its own, else that of the session (RFC 8866 5.7).
    pub fn connection(&self, media: usize) -> Option<&Connection> {
        let own = self.media.get(media)?.lines.connection();
        own.or(self.lines.connection())
    }

    /// Where the stream wants its RTP; `None` when it is refused, or named by a domain name.
    pub fn rtp_address(&self, media: usize) -> Option<SocketAddr> {
        let port = self.media.get(media)?.head.port;
        let ip = self.connection(media)?.ip()?;
        (port != 0).then(|| SocketAddr::new(ip, port))
    }

    /// Where the stream wants its RTCP when it is not multiplexed: `a=rtcp` (RFC 3605), else the next port.
    pub fn rtcp_address(&self, media: usize) -> Option<SocketAddr> {
        let rtp = self.rtp_address(media)?;
        self.media.get(media)?.lines.rtcp_address(rtp)
    }

    /// The direction of a stream: its own attribute, else that of the session, else `sendrecv`
    /// (RFC 8866 6.7). An unspecified address only sends: the hold of RFC 2543 (RFC 3264 8.4).
    pub fn direction(&self, media: usize) -> Direction {
        let own = self.media.get(media).and_then(|m| m.lines.direction());
        let said = own.or(self.lines.direction()).unwrap_or_default();
        match self.connection(media) {
            Some(connection) if connection.is_unspecified() => said.held(),
            _ => said,
        }
    }

    /// `a=ptime` of a stream in milliseconds.
    pub fn ptime_ms(&self, media: usize) -> Option<u32> {
        self.media.get(media)?.lines.ptime_ms()
    }

    /// Sets where a stream is received. The `c=` of the session stays for the other streams; see
    /// [`Session::set_session_ip`].
    pub fn set_endpoint(&mut self, media: usize, rtp: SocketAddr, rtcp: Option<SocketAddr>) {
        let same = self.lines.connection().and_then(Connection::ip) == Some(rtp.ip());
        let Some(media) = self.media.get_mut(media) else {
            return;
        };
        let inherits = media.lines.connection().is_none();
        media.set_endpoint(rtp, rtcp);
        if inherits && same {
            media.lines.retain(|line| line.kind() != 'c');
        }
    }

    /// Replaces the addresses of `o=` and, where there is one, of the session's `c=`: what a border function
    /// does before it sets its own endpoint on each stream.
    pub fn set_session_ip(&mut self, ip: IpAddr) {
        self.origin.set_ip(ip);
        if self.lines.connection().is_some() {
            self.lines.set_connection(ip);
        }
    }

    /// Removes what belongs to ICE (RFC 8839) everywhere; returns how many lines.
    pub fn remove_ice(&mut self) -> usize {
        let session = self.lines.remove_attributes(|a| is_ice(a.name()));
        session + self.media.iter_mut().map(Media::remove_ice).sum::<usize>()
    }

    /// Appends the description to a message body.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
    }

    fn write(&self, out: &mut impl Write) -> fmt::Result {
        write!(out, "v=0\r\no={}\r\n", self.origin)?;
        self.lines.write(out)?;
        self.media.iter().try_for_each(|media| media.write(out))
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}
