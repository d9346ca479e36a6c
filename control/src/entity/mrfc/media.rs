//! The MRFC's side of offer and answer (RFC 3264): one stream of audio, one codec and DTMF.

use std::net::{IpAddr, SocketAddr};

use sdp::{Agent, Codec, Direction, Origin, Session, Terms};
use serde::{Deserialize, Serialize};

use crate::journal;
use crate::mgc::{Family, MemberPlan, Mix, Mode, RemoteMedia, RtpEndpoint};

/// Media of one call.
#[derive(Clone, Debug)]
pub struct Media {
    family: Family,
    session_id: u64,
    agent: Option<Agent>,
    /// The peer's offer that is not answered yet.
    offer: Option<Session>,
    /// Which `m=` line it is.
    index: usize,
    protocol: String,
    /// What we receive, the codec first, under our payload types.
    receive: Vec<Codec>,
    remote: Option<RemoteMedia>,
    /// What the peer does.
    peer: Direction,
    /// The peer is not to be heard.
    pub is_muted: bool,
    /// The peer is not to hear.
    pub is_deaf: bool,
    /// How it takes part in the mix.
    pub mix: Mix,
}

/// [`Media`] in the journal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptMedia {
    family: Family,
    session_id: u64,
    /// Our last description.
    local: Option<String>,
    index: usize,
    protocol: String,
    #[serde(with = "journal::codecs")]
    receive: Vec<Codec>,
    remote: Option<RemoteMedia>,
    /// What the peer does, as an attribute says it.
    peer: String,
    is_muted: bool,
    is_deaf: bool,
    mix: Mix,
}

/// Why a description cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAcceptable {
    /// It is no session description: 400.
    Malformed,
    /// There is no audio in a codec of ours: 488.
    NoCodec,
}

impl NotAcceptable {
    /// Status and reason of the response.
    pub const fn status(self) -> (u16, &'static str) {
        match self {
            Self::Malformed => (400, "No usable session description"),
            Self::NoCodec => (488, ""),
        }
    }
}

impl Media {
    /// For a peer that made this offer.
    ///
    /// # Errors
    /// 400 or 488.
    pub fn of_offer(session_id: u64, description: &[u8]) -> Result<Self, NotAcceptable> {
        let mut media = Self::new(session_id, Family::V4);
        media.take_offer(description)?;
        let address = media.remote.as_ref().map(|remote| remote.endpoint.rtp);
        media.family = address.map_or(Family::V4, Family::of);
        Ok(media)
    }

    /// For a peer that is to be made an offer.
    pub fn to_offer(session_id: u64, family: Family) -> Self {
        Self::new(session_id, family)
    }

    fn new(session_id: u64, family: Family) -> Self {
        Self {
            family,
            session_id,
            agent: None,
            offer: None,
            index: 0,
            protocol: "RTP/AVP".into(),
            receive: own_codecs(),
            remote: None,
            peer: Direction::Inactive,
            is_muted: false,
            is_deaf: false,
            mix: Mix::default(),
        }
    }

    /// Takes a further offer of the peer.
    ///
    /// # Errors
    /// 400 or 488; what was agreed on still is.
    pub fn take_offer(&mut self, description: &[u8]) -> Result<(), NotAcceptable> {
        let offer = Session::parse(description).map_err(|_| NotAcceptable::Malformed)?;
        let (index, codec) = choose(&offer).ok_or(NotAcceptable::NoCodec)?;
        let media = &offer.media[index];
        let event = event_for(&codec, media.codecs());
        let remote = [Some(codec.clone()), event.clone()];
        self.remember(&offer, index, remote.into_iter().flatten().collect());
        let own = Codec {
            fmtp: own_parameters(&codec),
            ..codec
        };
        let event = event.map(|event| Codec::telephone_event(event.payload_type, event.clock_hz));
        self.receive = [Some(own), event].into_iter().flatten().collect();
        self.protocol = media.head.protocol.to_string();
        self.index = index;
        self.offer = Some(offer);
        Ok(())
    }

    /// Takes the peer's answer to our offer.
    ///
    /// # Errors
    /// 400 or 488: the call cannot go on.
    pub fn take_answer(&mut self, description: &[u8]) -> Result<(), NotAcceptable> {
        let answer = Session::parse(description).map_err(|_| NotAcceptable::Malformed)?;
        let media = answer.media.get(self.index).filter(|it| !it.is_rejected());
        let media = media.ok_or(NotAcceptable::NoCodec)?;
        let codec = media.codecs().find(is_ours).ok_or(NotAcceptable::NoCodec)?;
        let event = event_for(&codec, media.codecs());
        let is_kept = |own: &Codec| {
            let both = [Some(&codec), event.as_ref()];
            both.into_iter().flatten().any(|it| it.same_encoding(own))
        };
        let kept: Vec<Codec> = self
            .receive
            .iter()
            .filter(|own| is_kept(own))
            .cloned()
            .collect();
        if kept.is_empty() {
            return Err(NotAcceptable::NoCodec);
        }
        self.receive = kept;
        let remote = [Some(codec), event].into_iter().flatten().collect();
        self.remember(&answer, self.index, remote);
        Ok(())
    }

    fn remember(&mut self, description: &Session, index: usize, codecs: Vec<Codec>) {
        self.peer = description.direction(index);
        let before = self.remote.as_ref().map(|remote| remote.endpoint);
        let held = description
            .connection(index)
            .is_some_and(sdp::Connection::is_unspecified);
        // A hold by an unspecified address keeps the address that was there (RFC 3264 8.4).
        let endpoint = match description.rtp_address(index).filter(|_| !held) {
            Some(rtp) => {
                let rtcp = description.rtcp_address(index);
                let next = rtp.port().checked_add(1);
                let rtcp = rtcp.filter(|rtcp| rtcp.ip() != rtp.ip() || Some(rtcp.port()) != next);
                Some(RtpEndpoint {
                    rtp,
                    rtcp,
                    mux: false,
                })
            }
            None => before,
        };
        let ptime_ms = description.ptime_ms(index);
        self.remote = endpoint.map(|endpoint| RemoteMedia {
            endpoint,
            codecs,
            ptime_ms,
        });
    }

    /// For the journal: an offer that was not answered yet is not in it.
    pub(super) fn kept(&self) -> KeptMedia {
        let local = self.agent.as_ref().and_then(Agent::local);
        KeptMedia {
            family: self.family,
            session_id: self.session_id,
            local: local.map(ToString::to_string),
            index: self.index,
            protocol: self.protocol.clone(),
            receive: self.receive.clone(),
            remote: self.remote.clone(),
            peer: self.peer.name().to_owned(),
            is_muted: self.is_muted,
            is_deaf: self.is_deaf,
            mix: self.mix,
        }
    }

    /// From the journal.
    pub(super) fn restored(kept: KeptMedia) -> Self {
        let local = kept.local.as_ref();
        let local = local.and_then(|text| Session::parse(text.as_bytes()).ok());
        Self {
            family: kept.family,
            session_id: kept.session_id,
            agent: local.map(Agent::restored),
            offer: None,
            index: kept.index,
            protocol: kept.protocol,
            receive: kept.receive,
            remote: kept.remote,
            peer: Direction::from_name(&kept.peer).unwrap_or(Direction::Inactive),
            is_muted: kept.is_muted,
            is_deaf: kept.is_deaf,
            mix: kept.mix,
        }
    }

    /// The peer does not want to hear.
    pub fn is_held(&self) -> bool {
        !self.peer.receives()
    }

    /// What passes, as the peer sees it (RFC 4575 5.8.3).
    pub fn status(&self) -> &'static str {
        self.peer.name()
    }

    /// True when the next description is an offer.
    pub fn is_to_offer(&self) -> bool {
        self.offer.is_none()
    }

    /// What is wanted of the gateway.
    pub fn plan(&self) -> MemberPlan {
        MemberPlan {
            family: self.family,
            receive: self.receive.clone(),
            remote: self.remote.clone(),
            mode: Mode::new(
                self.peer.receives() && !self.is_deaf,
                self.peer.sends() && !self.is_muted,
            ),
            mix: self.mix,
        }
    }

    /// The answer to the offer taken last, from where the gateway receives; an offer where there is
    /// none.
    pub fn describe(&mut self, local: SocketAddr) -> Session {
        let terms = Terms {
            protocol: self.protocol.as_str().into(),
            ..Terms::audio(local, self.receive.clone())
        };
        let (ip, id) = (local.ip(), self.session_id);
        let agent = self.agent.get_or_insert_with(|| Agent::new(origin(id, ip)));
        if let Some(mut offer) = self.offer.take() {
            // Of several payload types of one encoding, the one chosen.
            let wanted = self
                .receive
                .iter()
                .map(|codec| codec.payload_type.to_string());
            let wanted: Vec<String> = wanted.collect();
            for (index, media) in offer.media.iter_mut().enumerate() {
                if index == self.index {
                    let formats = &mut media.head.formats;
                    formats.retain(|format| wanted.iter().any(|it| **it == **format));
                } else if media.head.kind.eq_ignore_ascii_case("audio") {
                    media.reject();
                }
            }
            if let Ok(answer) = agent.answer(&offer, std::slice::from_ref(&terms)) {
                return answer;
            }
        }
        agent.offer_at(self.index, &terms)
    }

    /// Our last offer was refused: what was agreed on before still is.
    pub fn withdraw(&mut self) {
        if let Some(agent) = &mut self.agent {
            agent.withdraw();
        }
    }
}

fn origin(session_id: u64, ip: IpAddr) -> Origin {
    Origin::new(session_id, ip)
}

/// The first audio stream with a codec of ours, and the codec.
fn choose(offer: &Session) -> Option<(usize, Codec)> {
    let audio = offer.media.iter().enumerate().filter(|(_, media)| {
        let protocol = &media.head.protocol;
        let is_clear = ["RTP/AVP", "RTP/AVPF"]
            .iter()
            .any(|known| protocol.eq_ignore_ascii_case(known));
        media.head.kind.eq_ignore_ascii_case("audio") && !media.is_rejected() && is_clear
    });
    let mut chosen =
        audio.filter_map(|(index, media)| Some((index, media.codecs().find(is_ours)?)));
    chosen.next()
}

/// Codecs of the MRFP.
fn is_ours(codec: &Codec) -> bool {
    own_codecs()
        .iter()
        .any(|own| !own.is_auxiliary() && own.same_encoding(codec))
}

/// The telephone events that go along with a codec (RFC 4733 2.6: of the same clock).
fn event_for(codec: &Codec, mut codecs: impl Iterator<Item = Codec>) -> Option<Codec> {
    codecs.find(|other| {
        other.encoding.eq_ignore_ascii_case("telephone-event") && other.clock_hz == codec.clock_hz
    })
}

/// Parameters to answer with: those of AMR are of the whole stream (RFC 4867 8.3.1).
fn own_parameters(codec: &Codec) -> Option<Box<str>> {
    let is_amr = codec.encoding.to_ascii_uppercase().starts_with("AMR");
    codec.fmtp.clone().filter(|_| is_amr)
}

/// What the MRFP codes, the best first.
fn own_codecs() -> Vec<Codec> {
    let opus = Codec {
        channels: 2,
        ..Codec::new(111, "opus", 48_000)
    };
    vec![
        opus,
        Codec::new(98, "AMR-WB", 16_000),
        Codec::new(97, "AMR", 8000),
        Codec::new(9, "G722", 8000),
        Codec::pcma(),
        Codec::pcmu(),
        Codec::telephone_event(103, 48_000),
        Codec::telephone_event(102, 16_000),
        Codec::telephone_event(101, 8000),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(media: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{media}")
            .into_bytes()
    }

    fn answered(media: &str) -> String {
        let mut taken = Media::of_offer(7, &offer(media)).unwrap();
        taken
            .describe("198.51.100.1:4000".parse().unwrap())
            .to_string()
    }

    #[test]
    fn the_first_codec_of_ours_is_taken_with_events_of_its_clock() {
        let answer = answered(
            "m=audio 6000 RTP/AVP 18 98 0 100 101\r\na=rtpmap:98 AMR-WB/16000\r\n\
             a=fmtp:98 octet-align=1;mode-set=0,1,2\r\na=rtpmap:100 telephone-event/16000\r\n\
             a=rtpmap:101 telephone-event/8000\r\n",
        );
        assert!(
            answer.contains("m=audio 4000 RTP/AVP 98 100\r\n"),
            "{answer}"
        );
        assert!(
            answer.contains("a=fmtp:98 octet-align=1;mode-set=0,1,2"),
            "{answer}"
        );
    }

    #[test]
    fn one_of_two_payload_types_of_an_encoding_is_answered() {
        let answer = answered(
            "m=audio 6000 RTP/AVP 96 97\r\na=rtpmap:96 AMR/8000\r\na=rtpmap:97 AMR/8000\r\n\
             a=fmtp:97 octet-align=1\r\n",
        );
        assert!(answer.contains("m=audio 4000 RTP/AVP 96\r\n"), "{answer}");
    }

    #[test]
    fn other_streams_are_refused_and_no_codec_is_488() {
        let answer = answered("m=video 6002 RTP/AVP 99\r\nm=audio 6000 RTP/AVP 0\r\n");
        assert!(answer.contains("m=video 0 RTP/AVP 99"), "{answer}");
        assert!(answer.contains("m=audio 4000 RTP/AVP 0\r\n"), "{answer}");
        let refused = |media: &str| Media::of_offer(7, &offer(media)).map(drop).unwrap_err();
        assert_eq!(
            refused("m=audio 6000 RTP/AVP 18\r\n"),
            NotAcceptable::NoCodec
        );
        assert_eq!(
            refused("m=audio 6000 RTP/SAVP 0\r\n"),
            NotAcceptable::NoCodec
        );
        assert_eq!(refused("m=audio 0 RTP/AVP 0\r\n"), NotAcceptable::NoCodec);
        assert_eq!(
            Media::of_offer(7, b"v=1").unwrap_err(),
            NotAcceptable::Malformed
        );
    }

    #[test]
    fn a_hold_and_a_mute_change_the_mode() {
        let both = "m=audio 6000 RTP/AVP 0\r\n";
        let mut media = Media::of_offer(7, &offer(both)).unwrap();
        assert_eq!(media.plan().mode, Mode::SendReceive);
        media
            .take_offer(&offer(&format!("{both}a=sendonly\r\n")))
            .unwrap();
        assert_eq!(media.plan().mode, Mode::ReceiveOnly);
        media.take_offer(&offer(both)).unwrap();
        media.is_muted = true;
        assert_eq!(media.plan().mode, Mode::SendOnly);
        let before = media.plan().remote.unwrap().endpoint;
        let held = "m=audio 6000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n";
        media.take_offer(&offer(held)).unwrap();
        assert_eq!(media.plan().remote.unwrap().endpoint, before);
    }

    #[test]
    fn what_was_kept_goes_on_with_the_next_version_of_its_description() {
        let local = "198.51.100.1:4000".parse().unwrap();
        let both =
            "m=audio 6000 RTP/AVP 98\r\na=rtpmap:98 AMR-WB/16000\r\na=fmtp:98 octet-align=1\r\n";
        let mut media = Media::of_offer(7, &offer(both)).unwrap();
        media.describe(local);
        media.is_muted = true;
        let bytes = postcard::to_allocvec(&media.kept()).unwrap();
        let mut restored = Media::restored(postcard::from_bytes(&bytes).unwrap());
        assert_eq!(restored.plan(), media.plan());
        assert_eq!(restored.status(), "sendrecv");
        let held = offer(&format!("{both}a=inactive\r\n"));
        for media in [&mut media, &mut restored] {
            media.take_offer(&held).unwrap();
        }
        assert_eq!(restored.describe(local), media.describe(local));
    }

    #[test]
    fn an_offer_of_ours_keeps_streams_in_their_places() {
        let local = "198.51.100.1:4000".parse().unwrap();
        let both = offer("m=video 6002 RTP/AVP 99\r\nm=audio 6000 RTP/AVP 0\r\n");
        let mut media = Media::of_offer(7, &both).unwrap();
        media.describe(local);
        let offered = media.describe(local).to_string();
        let places = "m=video 0 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 0\r\n";
        let places: Vec<_> = places.lines().collect();
        let lines = offered.lines().filter(|line| line.starts_with("m="));
        assert_eq!(lines.collect::<Vec<_>>(), places);
        let answer = offer("m=video 0 RTP/AVP 99\r\nm=audio 6000 RTP/AVP 0\r\n");
        assert_eq!(media.take_answer(&answer), Ok(()));
    }

    #[test]
    fn an_answer_leaves_one_codec_of_our_offer() {
        let mut media = Media::to_offer(7, Family::V4);
        assert_eq!(media.plan().mode, Mode::Inactive);
        let described = media.describe("198.51.100.1:4000".parse().unwrap());
        assert_eq!(described.media[0].head.formats.len(), 9);
        let answer = "m=audio 6000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
        media.take_answer(&offer(answer)).unwrap();
        let plan = media.plan();
        let types: Vec<u8> = plan
            .receive
            .iter()
            .map(|codec| codec.payload_type)
            .collect();
        assert_eq!((types, plan.mode), (vec![8, 101], Mode::SendReceive));
        assert!(
            media
                .take_answer(&offer("m=audio 0 RTP/AVP 0\r\n"))
                .is_err()
        );
    }
}
