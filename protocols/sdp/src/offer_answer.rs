//! Offer and answer, RFC 3264.

use std::net::SocketAddr;

use smol_str::SmolStr;

use crate::address::Origin;
use crate::attribute::{Attribute, Direction};
use crate::codec::Codec;
use crate::crypto::{self, Crypto};
use crate::error::{Error, Mismatch};
use crate::media::{Media, MediaLine};
use crate::session::Session;

/// What an agent will do with one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `audio`, `video`…
    pub kind: SmolStr,
    /// `RTP/AVP`…; an offer with another is refused.
    pub protocol: SmolStr,
    /// Codecs by preference; those that only accompany others ([`Codec::is_auxiliary`]) last.
    pub codecs: Vec<Codec>,
    /// Where RTP is received.
    pub rtp: SocketAddr,
    /// Where RTCP is received, when not at the next port.
    pub rtcp: Option<SocketAddr>,
    /// True to offer, and take, RTP and RTCP on one port (RFC 5761).
    pub rtcp_mux: bool,
    /// What is wanted.
    pub direction: Direction,
    /// Packet length wanted, in milliseconds.
    pub ptime_ms: Option<u32>,
    /// Keys to offer, by preference, or to choose from for an answer (RFC 4568); the protocol then
    /// has to be one that they protect.
    pub crypto: Vec<Crypto>,
}

impl Terms {
    /// An audio stream both ways in packets of 20 ms.
    pub fn audio(rtp: SocketAddr, codecs: Vec<Codec>) -> Self {
        Self {
            kind: "audio".into(),
            protocol: "RTP/AVP".into(),
            codecs,
            rtp,
            rtcp: None,
            rtcp_mux: false,
            direction: Direction::SendRecv,
            ptime_ms: Some(20),
            crypto: Vec::new(),
        }
    }

    /// The same, protected with one of these keys.
    pub fn protected(self, crypto: Vec<Crypto>) -> Self {
        Self {
            protocol: crypto::protected(&self.protocol).into(),
            crypto,
            ..self
        }
    }

    fn media(
        &self,
        codecs: &[Codec],
        direction: Direction,
        rtcp_mux: bool,
        crypto: &[Crypto],
    ) -> Media {
        let mut media = Media::new(MediaLine {
            kind: self.kind.clone(),
            port: self.rtp.port(),
            port_count: 1,
            protocol: self.protocol.clone(),
            formats: codecs
                .iter()
                .map(|codec| codec.payload_type.to_string().into())
                .collect(),
        });
        media.set_endpoint(self.rtp, self.rtcp);
        for codec in codecs {
            media
                .lines
                .add_attribute(Attribute::new("rtpmap", codec.rtpmap()));
            if let Some(fmtp) = &codec.fmtp {
                let value = format!("{} {fmtp}", codec.payload_type);
                media.lines.add_attribute(Attribute::new("fmtp", value));
            }
        }
        if let Some(ptime_ms) = self.ptime_ms {
            media.lines.add_attribute(Attribute::new("ptime", ptime_ms));
        }
        if rtcp_mux {
            media.lines.add_attribute(Attribute::flag("rtcp-mux"));
        }
        for crypto in crypto {
            media.lines.add_attribute(crypto.attribute());
        }
        media.lines.set_direction(direction);
        media
    }

    /// The key to answer with: for the first description of the offer that can be used and whose
    /// suite there is a key for, under its tag (RFC 4568 5.1.2). `None` when there is none.
    fn answer_crypto(&self, offer: &Media) -> Option<Vec<Crypto>> {
        if self.crypto.is_empty() {
            return Some(Vec::new());
        }
        offer.lines.crypto().find_map(|offered| {
            let own = self.crypto.iter().find(|own| own.suite == offered.suite)?;
            let tag = offered.tag;
            Some(vec![Crypto { tag, ..own.clone() }])
        })
    }

    /// The codecs of the offer that these terms take, in the order and under the payload types of
    /// the offer.
    fn common(&self, offer: &Media) -> Vec<Codec> {
        let mut taken: Vec<Codec> = Vec::new();
        for offered in offer.codecs() {
            let Some(own) = self.codecs.iter().find(|own| own.same_encoding(&offered)) else {
                continue;
            };
            taken.push(Codec {
                fmtp: own.fmtp.clone(),
                ..offered
            });
        }
        let clocks: Vec<u32> = taken
            .iter()
            .filter(|codec| !codec.is_auxiliary())
            .map(|codec| codec.clock_hz)
            .collect();
        taken.retain(|codec| clocks.contains(&codec.clock_hz));
        taken
    }
}

/// One end of an offer/answer dialogue: makes offers and answers, and numbers them.
///
/// Keeps its last description, because the next must have the same `o=` but for a version that
/// grows when something changed, and no fewer media descriptions (RFC 3264 section 8).
#[derive(Clone, Debug)]
pub struct Agent {
    origin: Origin,
    local: Option<Session>,
    before: Option<Session>,
    withdrawn: bool,
}

impl Agent {
    /// An agent that names its descriptions by this origin.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            local: None,
            before: None,
            withdrawn: false,
        }
    }

    /// An agent that goes on from the description that it made last.
    pub fn restored(local: Session) -> Self {
        Self {
            origin: Origin::clone(&local.origin),
            local: Some(local),
            before: None,
            withdrawn: false,
        }
    }

    /// The description last made.
    pub fn local(&self) -> Option<&Session> {
        self.local.as_ref()
    }

    /// Takes the last description back because it was refused: the one before it is in force again.
    /// Its version is not used a second time.
    pub fn withdraw(&mut self) {
        self.local = self.before.take();
        self.withdrawn = true;
    }

    /// Offers these streams (RFC 3264 section 5, and 8 for a further offer). Streams of an earlier
    /// description beyond them are ended.
    pub fn offer(&mut self, terms: &[Terms]) -> Session {
        let mut media: Vec<Media> = terms
            .iter()
            .map(|terms| {
                let (direction, mux) = (terms.direction, terms.rtcp_mux);
                terms.media(&terms.codecs, direction, mux, &terms.crypto)
            })
            .collect();
        if let Some(local) = &self.local {
            media.extend(local.media.iter().skip(media.len()).map(rejected));
        }
        self.describe(media)
    }

    /// Offers one stream in the place that it has (RFC 3264 section 8); the others stay ended, or
    /// end.
    pub fn offer_at(&mut self, place: usize, terms: &Terms) -> Session {
        let before = self.local.iter().flat_map(|local| local.media.iter());
        let mut media: Vec<Media> = before.map(rejected).collect();
        let (direction, mux) = (terms.direction, terms.rtcp_mux);
        let offered = terms.media(&terms.codecs, direction, mux, &terms.crypto);
        match media.get_mut(place) {
            Some(old) => *old = offered,
            None => media.push(offered),
        }
        self.describe(media)
    }

    /// Answers an offer (RFC 3264 section 6): each offered stream is met with the first terms of
    /// its medium and protocol that share a codec with it, and refused where there are none.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when no stream can be taken: to be answered 488.
    pub fn answer(&mut self, offer: &Session, terms: &[Terms]) -> Result<Session, Error> {
        let mut used = vec![false; terms.len()];
        let mut media = Vec::with_capacity(offer.media.len());
        for (index, offered) in offer.media.iter().enumerate() {
            let fits = terms.iter().enumerate().find_map(|(place, terms)| {
                if used[place] || offered.is_rejected() || !same_stream(&offered.head, terms) {
                    return None;
                }
                let codecs = terms.common(offered);
                let crypto = terms.answer_crypto(offered)?;
                (!codecs.is_empty()).then_some((place, codecs, crypto))
            });
            media.push(match fits {
                Some((place, codecs, crypto)) => {
                    used[place] = true;
                    let terms = &terms[place];
                    let direction = offer.direction(index).answer(terms.direction);
                    let mux = terms.rtcp_mux && offered.lines.rtcp_mux();
                    terms.media(&codecs, direction, mux, &crypto)
                }
                None => rejected(offered),
            });
        }
        // An offer that itself ends every stream, or has none yet, is agreed to.
        let wanted = offer.media.iter().any(|media| !media.is_rejected());
        if wanted && !used.contains(&true) {
            return Err(Error::Unsupported);
        }
        Ok(self.describe(media))
    }

    fn describe(&mut self, media: Vec<Media>) -> Session {
        let mut session = Session::new(self.origin.clone());
        session.media = media;
        let changed = |last: &Session| last.media != session.media || last.lines != session.lines;
        if self.withdrawn || self.local.as_ref().is_some_and(changed) {
            self.origin.version = self.origin.version.saturating_add(1);
            session.origin.version = self.origin.version;
        }
        self.withdrawn = false;
        self.before = self.local.replace(session.clone());
        session
    }
}

/// A stream both descriptions agree on, as the local end sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Codecs to send with, best first, under the payload types of the remote description.
    pub send: Vec<Codec>,
    /// Codecs that may be received, under the payload types of the local description.
    pub receive: Vec<Codec>,
    /// Where to send RTP.
    pub rtp: SocketAddr,
    /// Where to send RTCP.
    pub rtcp: SocketAddr,
    /// What this end does.
    pub direction: Direction,
    /// Packet length the remote end wants, in milliseconds.
    pub ptime_ms: Option<u32>,
    /// The keys, where the stream is protected by security descriptions.
    pub keys: Option<AgreedKeys>,
}

/// The descriptions of one tag and suite in an offer and its answer: each end sends with its own
/// (RFC 4568 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedKeys {
    /// Of the local description.
    pub sends: Crypto,
    /// Of the remote description.
    pub receives: Crypto,
}

/// What two descriptions, one the answer to the other, agree on for a stream; `None` when it is
/// refused, has no IP address, or is to be protected and has no keys.
pub fn agreed(local: &Session, remote: &Session, index: usize) -> Option<Agreed> {
    let (own, other) = (local.media.get(index)?, remote.media.get(index)?);
    let rtp = remote.rtp_address(index)?;
    if own.is_rejected() {
        return None;
    }
    let both = |codecs: &Media, with: &Media| -> Vec<Codec> {
        let with: Vec<Codec> = with.codecs().collect();
        codecs
            .codecs()
            .filter(|codec| with.iter().any(|other| other.same_encoding(codec)))
            .collect()
    };
    let mux = own.lines.rtcp_mux() && other.lines.rtcp_mux();
    let keys = agreed_keys(own, other);
    if keys.is_none() && own.lines.has("crypto") && is_keyed(own) {
        return None;
    }
    Some(Agreed {
        send: both(other, own),
        receive: both(own, other),
        rtp,
        rtcp: if mux {
            rtp
        } else {
            remote.rtcp_address(index)?
        },
        direction: remote.direction(index).answer(local.direction(index)),
        ptime_ms: other.lines.ptime_ms(),
        keys,
    })
}

fn is_keyed(media: &Media) -> bool {
    crypto::unprotected(&media.head.protocol).is_some()
}

fn agreed_keys(own: &Media, other: &Media) -> Option<AgreedKeys> {
    if !is_keyed(own) || !is_keyed(other) {
        return None;
    }
    own.lines.crypto().find_map(|sends| {
        let is_it = |crypto: &Crypto| (crypto.tag, crypto.suite) == (sends.tag, sends.suite);
        let receives = other.lines.crypto().find(is_it)?;
        Some(AgreedKeys { sends, receives })
    })
}

/// Checks an answer against its offer (RFC 3264 section 6).
///
/// # Errors
/// [`Error::Unexpected`] with the first stream that departs, and how.
pub fn check_answer(offer: &Session, answer: &Session) -> Result<(), Error> {
    let unexpected = |media, mismatch| Err(Error::Unexpected { media, mismatch });
    if offer.media.len() != answer.media.len() {
        return unexpected(answer.media.len(), Mismatch::MediaCount);
    }
    for (index, (offered, answered)) in offer.media.iter().zip(&answer.media).enumerate() {
        if !offered.head.kind.eq_ignore_ascii_case(&answered.head.kind) {
            return unexpected(index, Mismatch::MediaKind);
        }
        if answered.is_rejected() {
            continue;
        }
        if offered.is_rejected() {
            return unexpected(index, Mismatch::Revived);
        }
        let (of, by) = (&offered.head.protocol, &answered.head.protocol);
        if !of.eq_ignore_ascii_case(by) {
            return unexpected(index, Mismatch::Protocol);
        }
        if !share_a_format(offered, answered) {
            return unexpected(index, Mismatch::Formats);
        }
        if !offer.direction(index).allows(answer.direction(index)) {
            return unexpected(index, Mismatch::Direction);
        }
    }
    Ok(())
}

fn share_a_format(offered: &Media, answered: &Media) -> bool {
    if !offered.is_rtp() {
        let formats = &offered.head.formats;
        return answered.head.formats.iter().any(|f| formats.contains(f));
    }
    let codecs: Vec<Codec> = offered.codecs().collect();
    answered
        .codecs()
        .any(|codec| codecs.iter().any(|other| other.same_encoding(&codec)))
}

fn same_stream(head: &MediaLine, terms: &Terms) -> bool {
    head.kind.eq_ignore_ascii_case(&terms.kind)
        && head.protocol.eq_ignore_ascii_case(&terms.protocol)
}

fn rejected(media: &Media) -> Media {
    Media::new(MediaLine {
        port: 0,
        port_count: 1,
        ..MediaLine::clone(&media.head)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn here(port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::from([192, 0, 2, 1]), port)
    }

    fn there(port: u16) -> SocketAddr {
        SocketAddr::new("2001:db8::2".parse().unwrap(), port)
    }

    fn agent(address: SocketAddr) -> Agent {
        Agent::new(Origin::new(7, address.ip()))
    }

    fn speech(address: SocketAddr) -> Terms {
        let event = Codec::telephone_event(101, 8000);
        Terms::audio(address, vec![Codec::pcmu(), Codec::pcma(), event])
    }

    fn key(tag: u32, suite: crypto::CryptoSuite, seed: u8) -> Crypto {
        let octets = vec![seed; suite.key_and_salt_bytes()];
        Crypto::new(tag, suite, crypto::InlineKey::new(&octets))
    }

    #[test]
    fn keys_are_agreed_on_under_the_tag_of_the_offer() {
        use crypto::CryptoSuite::{AeadAes128Gcm, AesCm128HmacSha1_32, AesCm128HmacSha1_80};
        let offered = vec![
            key(1, AeadAes128Gcm, 1),
            key(7, AesCm128HmacSha1_80, 2),
            key(9, AesCm128HmacSha1_32, 3),
        ];
        let own = vec![
            key(1, AesCm128HmacSha1_32, 4),
            key(2, AesCm128HmacSha1_80, 5),
        ];
        let offer = agent(here(4000)).offer(&[speech(here(4000)).protected(offered)]);
        assert_eq!(&*offer.media[0].head.protocol, "RTP/SAVP");
        let terms = speech(there(5000)).protected(own);
        let answer = agent(there(5000))
            .answer(&offer, std::slice::from_ref(&terms))
            .unwrap();
        assert_eq!(check_answer(&offer, &answer), Ok(()));
        let keys = agreed(&offer, &answer, 0).unwrap().keys.unwrap();
        assert_eq!(keys.sends, key(7, AesCm128HmacSha1_80, 2));
        assert_eq!(keys.receives, key(7, AesCm128HmacSha1_80, 5));
        let there_too = agreed(&answer, &offer, 0).unwrap().keys.unwrap();
        assert_eq!(
            (there_too.sends, there_too.receives),
            (keys.receives, keys.sends)
        );
        // Without a suite in common, or a key at all, the stream is refused.
        let gcm = speech(here(4000)).protected(vec![key(1, AeadAes128Gcm, 1)]);
        let offer = agent(here(4000)).offer(std::slice::from_ref(&gcm));
        let refused = agent(there(5000)).answer(&offer, std::slice::from_ref(&terms));
        assert_eq!(refused, Err(Error::Unsupported));
        let clear = speech(there(5000));
        let refused = agent(there(5000)).answer(&offer, std::slice::from_ref(&clear));
        assert_eq!(refused, Err(Error::Unsupported));
        let mut keyless = agent(there(5000)).answer(&offer, &[gcm]).unwrap();
        keyless.media[0]
            .lines
            .remove_attributes(|a| a.name() == "crypto");
        assert_eq!(agreed(&offer, &keyless, 0), None);
    }

    fn offer_of(media: &str) -> Session {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}"
        );
        Session::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_offer_and_its_answer_agree() {
        let (mut alice, mut bob) = (agent(here(0)), agent(there(0)));
        let offer = alice.offer(&[speech(here(4000))]);
        let mut terms = speech(there(6000));
        terms.codecs.remove(0);
        let answer = bob.answer(&offer, &[terms]).unwrap();
        assert_eq!(check_answer(&offer, &answer), Ok(()));
        assert_eq!(
            answer.to_string(),
            "v=0\r\no=- 7 1 IN IP6 2001:db8::2\r\ns=-\r\nt=0 0\r\n\
             m=audio 6000 RTP/AVP 8 101\r\nc=IN IP6 2001:db8::2\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
        );
        let at_alice = agreed(&offer, &answer, 0).unwrap();
        let at_bob = agreed(&answer, &offer, 0).unwrap();
        assert_eq!(at_alice.send[0].payload_type, 8);
        assert_eq!((at_alice.rtp, at_alice.rtcp), (there(6000), there(6001)));
        assert_eq!((at_bob.rtp, at_bob.rtcp), (here(4000), here(4001)));
        assert_eq!(at_alice.direction, Direction::SendRecv);
    }

    #[test]
    fn payload_types_are_those_of_the_offer() {
        let offer = offer_of(
            "m=audio 4000 RTP/AVP 118 96 97\r\na=rtpmap:118 amr-wb/16000\r\n\
             a=rtpmap:96 TELEPHONE-EVENT/16000\r\na=rtpmap:97 telephone-event/8000\r\n",
        );
        let mut terms = Terms::audio(here(6000), vec![Codec::new(100, "AMR-WB", 16_000)]);
        terms.codecs.push(Codec::telephone_event(101, 8000));
        terms.codecs.push(Codec::telephone_event(102, 16_000));
        let answer = agent(here(0)).answer(&offer, &[terms]).unwrap();
        let formats: Vec<&str> = answer.media[0].head.formats.iter().map(|f| &**f).collect();
        assert_eq!(
            formats,
            ["118", "96"],
            "events go with the clock of a codec"
        );
    }

    #[test]
    fn streams_without_terms_are_refused_in_place() {
        let offer = offer_of(
            "m=video 5000 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\n\
             m=audio 0 RTP/AVP 0\r\n",
        );
        let answer = agent(here(0))
            .answer(&offer, &[speech(here(6000))])
            .unwrap();
        let ports: Vec<u16> = answer.media.iter().map(|m| m.head.port).collect();
        assert_eq!(ports, [0, 6000, 0, 0]);
        assert_eq!(check_answer(&offer, &answer), Ok(()));
        assert_eq!(agreed(&answer, &offer, 0), None);
    }

    #[test]
    fn an_offer_with_nothing_in_common_is_unsupported() {
        for media in [
            "m=audio 4000 RTP/AVP 18\r\n",
            "m=audio 4000 RTP/SAVP 0\r\n",
            "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
            "m=video 4000 RTP/AVP 31\r\n",
        ] {
            let refused = agent(here(0)).answer(&offer_of(media), &[speech(here(6000))]);
            assert_eq!(refused, Err(Error::Unsupported), "{media}");
        }
        let none = agent(here(0)).answer(&offer_of(""), &[speech(here(6000))]);
        assert_eq!(none.map(|answer| answer.media.len()), Ok(0));
    }

    #[test]
    fn the_version_grows_by_one_with_each_change_and_only_then() {
        let mut alice = agent(here(0));
        let mut terms = speech(here(4000));
        assert_eq!(alice.offer(&[terms.clone()]).origin.version, 1);
        assert_eq!(alice.offer(&[terms.clone()]).origin.version, 1);
        terms.direction = Direction::SendRecv.held();
        assert_eq!(alice.offer(&[terms.clone()]).origin.version, 2);
        terms.direction = Direction::SendRecv;
        assert_eq!(alice.offer(&[terms]).origin.version, 3);
    }

    #[test]
    fn a_refused_offer_leaves_the_last_description_in_force() {
        let mut alice = agent(here(0));
        let mut terms = speech(here(4000));
        let first = alice.offer(&[terms.clone()]);
        terms.direction = Direction::SendOnly;
        assert_eq!(alice.offer(&[terms.clone()]).origin.version, 2);
        alice.withdraw();
        assert_eq!(alice.local(), Some(&first));
        terms.direction = Direction::Inactive;
        assert_eq!(alice.offer(&[terms]).origin.version, 3);
    }

    #[test]
    fn a_later_offer_keeps_the_place_of_an_ended_stream() {
        let mut alice = agent(here(0));
        alice.offer(&[speech(here(4000)), speech(here(4002))]);
        let second = alice.offer(&[speech(here(4000))]);
        assert_eq!(second.media.len(), 2);
        assert!(second.media[1].is_rejected());
    }

    #[test]
    fn hold_and_resume_go_through_both_ends() {
        let (mut alice, mut bob) = (agent(here(0)), agent(there(0)));
        let (mut own, other) = (speech(here(4000)), speech(there(6000)));
        own.direction = own.direction.held();
        let offer = alice.offer(&[own.clone()]);
        let answer = bob.answer(&offer, std::slice::from_ref(&other)).unwrap();
        assert_eq!(answer.direction(0), Direction::RecvOnly);
        assert_eq!(
            agreed(&offer, &answer, 0).unwrap().direction,
            Direction::SendOnly
        );
        own.direction = Direction::SendRecv;
        let offer = alice.offer(&[own]);
        let answer = bob.answer(&offer, &[other]).unwrap();
        assert_eq!(
            agreed(&answer, &offer, 0).unwrap().direction,
            Direction::SendRecv
        );
    }

    #[test]
    fn the_hold_of_rfc_2543_is_understood() {
        let offer = offer_of("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n");
        assert_eq!(offer.direction(0), Direction::SendOnly);
        let answer = agent(here(0))
            .answer(&offer, &[speech(here(6000))])
            .unwrap();
        assert_eq!(answer.direction(0), Direction::RecvOnly);
    }

    #[test]
    fn an_answer_that_departs_from_its_offer_is_told() {
        let offer = offer_of("m=audio 4000 RTP/AVP 0 8\r\na=sendonly\r\nm=audio 0 RTP/AVP 0\r\n");
        let cases = [
            (
                "m=audio 1 RTP/AVP 0\r\na=recvonly\r\n",
                1,
                Mismatch::MediaCount,
            ),
            (
                "m=text 1 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n",
                0,
                Mismatch::MediaKind,
            ),
            (
                "m=audio 1 RTP/SAVP 0\r\nm=audio 0 RTP/AVP 0\r\n",
                0,
                Mismatch::Protocol,
            ),
            (
                "m=audio 1 RTP/AVP 18\r\nm=audio 0 RTP/AVP 0\r\n",
                0,
                Mismatch::Formats,
            ),
            (
                "m=audio 1 RTP/AVP 0\r\nm=audio 0 RTP/AVP 0\r\n",
                0,
                Mismatch::Direction,
            ),
            (
                "m=audio 0 RTP/AVP 0\r\nm=audio 9 RTP/AVP 0\r\n",
                1,
                Mismatch::Revived,
            ),
        ];
        for (media, index, mismatch) in cases {
            let found = check_answer(&offer, &offer_of(media));
            let expected = Error::Unexpected {
                media: index,
                mismatch,
            };
            assert_eq!(found, Err(expected), "{media}");
        }
    }

    #[test]
    fn rtcp_mux_needs_both_ends() {
        let mut terms = speech(here(4000));
        terms.rtcp_mux = true;
        let offer = agent(here(0)).offer(&[terms.clone()]);
        assert!(offer.media[0].lines.rtcp_mux());
        let plain = agent(there(0))
            .answer(&offer, &[speech(there(6000))])
            .unwrap();
        assert_eq!(agreed(&offer, &plain, 0).unwrap().rtcp, there(6001));
        terms.rtp = there(6000);
        let muxed = agent(there(0)).answer(&offer, &[terms]).unwrap();
        assert_eq!(agreed(&offer, &muxed, 0).unwrap().rtcp, there(6000));
    }
}
