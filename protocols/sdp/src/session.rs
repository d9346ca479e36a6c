//! The session description.

use std::net::{IpAddr, SocketAddr};

use crate::address::{Connection, Origin};
use crate::attribute::Direction;
use crate::error::{Error, Fault};
use crate::line::{Line, Lines, Time, split};
use crate::media::{Media, is_ice};
use crate::verbatim::Verbatim;
use crate::write::{Sink, Written, display};

/// Most media descriptions taken of one session.
pub const MEDIA_MAX: usize = 64;

/// A session description, RFC 8866.
///
/// Holds every line it was parsed from in order, so that what is not changed is written as it came,
/// but for line ends, which are CRLF. `o=` and `s=` must stand first, `t=` must be there, and each
/// stream in use needs a `c=`; otherwise lines may stand in any order within their section, and
/// kinds of lines not known are kept.
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

    /// Where the stream wants its RTCP when it is not multiplexed: `a=rtcp` (RFC 3605), else the
    /// next port.
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

    /// Replaces the addresses of `o=` and, where there is one, of the session's `c=`: what a border
    /// function does before it sets its own endpoint on each stream.
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
        self.write(out);
    }
}

impl Written for Session {
    fn write(&self, out: &mut impl Sink) {
        out.text("v=0\r\no=");
        self.origin.write(out);
        out.text("\r\n");
        self.lines.write(out);
        for media in &self.media {
            media.write(out);
        }
    }
}

display!(Session);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Session {
        Session::parse(text.as_bytes()).unwrap()
    }

    fn webrtc() -> Session {
        parse(include_str!("../testdata/webrtc_offer.sdp"))
    }

    fn volte() -> Session {
        parse(include_str!("../testdata/volte_offer.sdp"))
    }

    fn odd() -> Session {
        parse(include_str!("../testdata/odd_but_valid.sdp"))
    }

    #[test]
    fn typed_readers_see_a_volte_offer() {
        let session = volte();
        let rtp = "[2001:db8:1::5]:49120".parse().unwrap();
        assert_eq!(session.rtp_address(0), Some(rtp));
        assert_eq!(session.rtcp_address(0).map(|a| a.port()), Some(49_121));
        assert_eq!(session.ptime_ms(0), Some(20));
        let lines = &session.media[0].lines;
        assert_eq!(lines.maxptime_ms(), Some(240));
        assert_eq!(
            (lines.bandwidth("AS"), lines.bandwidth("rs")),
            (Some(49), Some(625))
        );
        assert_eq!(lines.values("des").count(), 2);
        assert_eq!(lines.values("curr").next(), Some("qos local none"));
        let codecs: Vec<_> = session.media[0].codecs().collect();
        assert_eq!(codecs.len(), 6);
        assert_eq!((&*codecs[2].encoding, codecs[2].clock_hz), ("AMR", 8000));
        assert_eq!(codecs[5].fmtp.as_deref(), Some("0-15"));
        assert!(codecs[4].is_auxiliary());
    }

    #[test]
    fn a_stream_inherits_what_it_does_not_say() {
        let session = odd();
        assert_eq!(session.direction(0), Direction::Inactive);
        assert_eq!(session.direction(1), Direction::RecvOnly);
        assert_eq!(session.connection(1).map(|c| &*c.multicast), Some("/127/3"));
        assert_eq!(session.media[0].head.port, 49_170);
        assert_eq!(session.media[0].head.port_count, 2);
        assert!(session.media[3].is_rejected());
        assert_eq!(session.rtp_address(3), None);
        assert_eq!(
            session.lines.other('x'),
            Some("unknown line of the session")
        );
        assert_eq!(session.media[0].lines.values("crypto").count(), 1);
    }

    #[test]
    fn anchoring_rewrites_addresses_and_leaves_no_candidate() {
        let mut session = webrtc();
        let ip = IpAddr::from([198, 51, 100, 1]);
        session.set_session_ip(ip);
        assert_eq!(session.remove_ice(), 7);
        session.set_endpoint(0, (ip, 30_000).into(), Some((ip, 30_001).into()));
        session.set_endpoint(1, (ip, 30_010).into(), Some((ip, 40_000).into()));
        let text = session.to_string();
        assert!(!text.contains("203.0.113") && !text.contains("candidate"));
        assert!(
            !session.media[0].lines.has("rtcp"),
            "the next port needs no a=rtcp"
        );
        assert_eq!(session.media[1].lines.attribute("rtcp"), Some("40000"));
        assert_eq!(session.rtcp_address(1), Some((ip, 40_000).into()));
        assert!(
            text.contains(
                "m=audio 30000 UDP/TLS/RTP/SAVPF 96 0 8 97 98\r\nc=IN IP4 198.51.100.1\r\n"
            )
        );
        assert!(text.contains("o=- 4962303333179871722 1 IN IP4 198.51.100.1\r\n"));
    }

    #[test]
    fn an_endpoint_of_the_other_family_gets_its_own_connection() {
        let mut session = volte();
        let rtp: SocketAddr = "198.51.100.1:4000".parse().unwrap();
        session.set_endpoint(0, rtp, None);
        assert_eq!(session.rtp_address(0), Some(rtp));
        assert!(
            session
                .to_string()
                .contains("RTP/AVP 96 97 98 99 100 101\r\nc=IN IP4 198.51.100.1\r\nb=AS:49")
        );
        session.set_session_ip(rtp.ip());
        session.media[0].lines.retain(|line| line.kind() != 'c');
        session.set_endpoint(0, rtp, None);
        assert_eq!(
            session.media[0].lines.connection(),
            None,
            "the session says it already"
        );
        assert_eq!(session.rtp_address(0), Some(rtp));
    }

    #[test]
    fn rtcp_elsewhere_is_said_with_its_address() {
        let mut session = volte();
        let rtp: SocketAddr = "198.51.100.1:65535".parse().unwrap();
        session.set_endpoint(0, rtp, None);
        assert_eq!(
            session.rtcp_address(0),
            None,
            "there is no port after the last"
        );
        let rtcp: SocketAddr = "[2001:db8::7]:9".parse().unwrap();
        session.set_endpoint(0, rtp, Some(rtcp));
        assert_eq!(
            session.media[0].lines.attribute("rtcp"),
            Some("9 IN IP6 2001:db8::7")
        );
        assert_eq!(session.rtcp_address(0), Some(rtcp));
    }

    #[test]
    fn setting_what_is_there_changes_nothing() {
        let mut session = odd();
        let before = session.to_string();
        session.media[0].lines.set_direction(Direction::Inactive);
        let connection = session.media[0].lines.connection().unwrap().clone();
        session.media[0].lines.set_connection(connection);
        assert_eq!(session.to_string(), before);
        session.media[0].lines.set_direction(Direction::SendOnly);
        assert_eq!(
            session.to_string(),
            before.replace("a=inactive", "a=sendonly")
        );
    }

    #[test]
    fn a_rejected_stream_keeps_its_place_and_formats() {
        let mut session = odd();
        session.media[0].reject();
        assert!(
            session
                .to_string()
                .contains("m=audio 0 RTP/AVP 0 8\r\nc=IN IP4 0.0.0.0\r\nm=image")
        );
    }
}
