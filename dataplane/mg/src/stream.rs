//! A stream of a termination: LocalControl, Local and Remote, H.248.1 7.1.6 to 7.1.8.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use h248::error::ErrorCode;
use h248::message::{LocalControl, OctetString, StreamId, StreamMode, StreamParms};
use sdp::crypto::{Crypto, CryptoFault};
use sdp::h248::{Description, Group, Media, Wild};
use sdp::{AddressType, Codec, NetworkType};
use smallvec::SmallVec;

use crate::dtls;
use crate::error::{Result, about, error};
use crate::plane::{
    Leg, LegAudio, LegDtls, LegEvents, LegLatch, LegMedia, LegRtcp, LegSpeech, LegSrtp, MediaPlane,
};
use crate::port_pool::Wanted;
use crate::property::Properties;
use crate::reserver::Reserver;

/// One stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub id: StreamId,
    pub mode: StreamMode,
    pub reserve_value: bool,
    pub reserve_group: bool,
    pub properties: Properties,
    local: Option<Arc<Description>>,
    remote: Option<Arc<Description>>,
    /// What Local says.
    near: Near,
    /// What Remote says.
    far: Far,
    /// Where it receives; an address and port of the pool.
    pub reservation: Option<SocketAddr>,
    pub latch: LegLatch,
    /// How its speech is coded, where media are processed.
    audio: Option<Arc<LegAudio>>,
}

/// What a Local description says of the stream.
#[derive(Clone, Copy, Debug)]
struct Near {
    media: LegMedia,
    is_muxed: bool,
    events: Option<LegEvents>,
    /// DTLS ends at the gateway.
    has_dtls: bool,
}

/// What a Remote description says of the stream.
#[derive(Clone, Copy, Debug, Default)]
struct Far {
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    is_muxed: bool,
    events: Option<LegEvents>,
}

/// What a Local description asks for.
struct Place {
    is_ipv6: Option<bool>,
    ip: Option<std::net::IpAddr>,
    /// `None`: any. 0: none.
    port: Option<u16>,
}

impl Stream {
    pub fn new(id: StreamId) -> Self {
        Self {
            id,
            mode: StreamMode::Inactive,
            reserve_value: false,
            reserve_group: false,
            properties: Properties::default(),
            local: None,
            remote: None,
            near: Near::NONE,
            far: Far::default(),
            reservation: None,
            latch: LegLatch::Off,
            audio: None,
        }
    }

    /// Takes over what a Stream descriptor says, and returns what was left to the gateway.
    ///
    /// # Errors
    /// What cannot be done. The stream is then half changed and of no use; the reserver knows what
    /// to undo.
    pub fn apply(
        &mut self,
        parms: &StreamParms,
        reserver: &mut Reserver<'_>,
    ) -> Result<StreamParms> {
        if parms
            .statistics
            .as_ref()
            .is_some_and(|kept| !kept.is_empty())
        {
            return Err(error(ErrorCode::STATISTIC_ON_STREAM));
        }
        let realm = self.properties.realm;
        if let Some(control) = &parms.local_control {
            self.apply_control(control, reserver)?;
        }
        let mut chosen = StreamParms::default();
        match &parms.local {
            None if self.properties.realm != realm && self.reservation.is_some() => {
                return Err(about(ErrorCode::CONFLICTING_VALUES, "ipdc/realm"));
            }
            None => {}
            Some(text) => chosen.local = self.apply_local(text, reserver)?,
        }
        if let Some(text) = &parms.remote {
            chosen.remote = self.apply_remote(text)?;
        }
        self.check(reserver)?;
        if reserver.profile.processes_media && (parms.local.is_some() || parms.remote.is_some()) {
            self.audio = self.audio().map(Arc::new);
        }
        Ok(chosen)
    }

    /// True when nothing is left of it: empty Local and Remote end a stream.
    pub fn is_ended(&self) -> bool {
        self.local.is_none() && self.remote.is_none()
    }

    fn apply_control(&mut self, control: &LocalControl, reserver: &mut Reserver<'_>) -> Result<()> {
        self.mode = control.mode.unwrap_or(self.mode);
        self.reserve_value = control.reserve_value.unwrap_or(self.reserve_value);
        self.reserve_group = control.reserve_group.unwrap_or(self.reserve_group);
        let (profile, pool) = (reserver.profile, &*reserver.pool);
        self.properties.set(profile, pool, &control.properties)
    }

    fn apply_local(
        &mut self,
        text: &OctetString,
        reserver: &mut Reserver<'_>,
    ) -> Result<Option<OctetString>> {
        let mut kept = parse(text)?;
        if kept.is_empty() {
            if let Some(local) = self.reservation.take() {
                reserver.release(local);
            }
            self.local = None;
            self.near = Near::NONE;
            return Ok(None);
        }
        let asked = kept.groups.len();
        let own = reserver.plane.fingerprint();
        keep_usable(&mut kept.groups, |group| {
            place(group)?;
            dtls::check_local(group, own)?;
            media(group).map(|_| ())
        })?;
        if !self.reserve_group {
            kept.groups.truncate(1);
        }
        // The alternatives that are kept share one address, so they are of one family.
        let wanted = place(&kept.groups[0])?;
        if kept.groups.len() > 1 {
            let is_alike = |place: Place| place.is_ipv6 == wanted.is_ipv6;
            kept.groups.retain(|group| place(group).is_ok_and(is_alike));
        }
        let before = self.reservation;
        self.reserve(&wanted, reserver)?;
        if let Some(before) = before.filter(|_| self.reservation != before) {
            reserver.release(before);
        }
        let mut is_chosen = kept.groups.len() != asked;
        for group in &mut kept.groups {
            if let Some(local) = self.reservation {
                is_chosen |= fill_in(group, local);
            }
            if reserver.profile.processes_media {
                is_chosen |= keep_supported_codecs(group, &*reserver.plane)?;
            }
            if !self.reserve_value {
                is_chosen |= keep_one_codec(group);
            }
            keep_one_crypto(group);
            if let Some(own) = own {
                let remote = self.remote.as_deref().and_then(Description::first);
                is_chosen |= dtls::fill_in(group, own, remote);
            }
        }
        let answer = is_chosen.then(|| octets(&kept));
        self.near = Near::of(&kept.groups[0]);
        self.local = Some(Arc::new(kept));
        Ok(answer)
    }

    /// Keeps the reservation there is, or makes one.
    fn reserve(&mut self, place: &Place, reserver: &mut Reserver<'_>) -> Result<()> {
        if place.port == Some(0) {
            self.reservation = None;
            return Ok(());
        }
        let realm = self.properties.realm.or(reserver.realm);
        let wanted = |is_ipv6| Wanted {
            realm,
            ip: place.ip,
            is_ipv6,
        };
        if let Some(local) = self.reservation {
            let fits = place.port.is_none_or(|port| port == local.port())
                && place.ip.is_none_or(|ip| ip == local.ip())
                && place
                    .is_ipv6
                    .is_none_or(|is_ipv6| is_ipv6 == local.is_ipv6())
                && reserver.pool.is_within(local, wanted(local.is_ipv6()));
            if fits {
                return Ok(());
            }
        }
        self.reservation = Some(match (place.ip, place.port) {
            (Some(ip), Some(port)) => {
                let local = SocketAddr::new(ip, port);
                reserver.reserve_exactly(local)?;
                local
            }
            (None, Some(_)) => return Err(about(ErrorCode::UNKNOWN_VALUE, "m=")),
            (_, None) => {
                let any = place.ip.map(|ip| ip.is_ipv6()).or(place.is_ipv6);
                let is_ipv6 = any.unwrap_or_else(|| !reserver.pool.can_suit(wanted(false)));
                reserver.reserve(wanted(is_ipv6))?
            }
        });
        Ok(())
    }

    fn apply_remote(&mut self, text: &OctetString) -> Result<Option<OctetString>> {
        let mut kept = parse(text)?;
        if kept.is_empty() {
            self.remote = None;
            self.far = Far::default();
            return Ok(None);
        }
        let asked = kept.groups.len();
        keep_usable(&mut kept.groups, |group| {
            media(group)?;
            dtls::check_remote(group)?;
            check_remote(group, self.reservation)
        })?;
        kept.groups.truncate(1);
        let answer = (kept.groups.len() != asked).then(|| octets(&kept));
        self.far = Far::of(&kept.groups[0]);
        self.remote = Some(Arc::new(kept));
        Ok(answer)
    }

    /// What holds between the descriptors, whichever of them changed.
    fn check(&self, reserver: &Reserver<'_>) -> Result<()> {
        if let Some(local) = self.reservation {
            debug_assert!(reserver.pool.owns(local));
            self.properties.check_source(local)?;
        }
        let unkeyed = |srtp: &LegSrtp| srtp.sends.is_some() && srtp.receives.is_none();
        let is_keyed = |group: &Group| cryptos(group).map(|cryptos| !cryptos.is_empty());
        let remote = self.remote.as_deref().and_then(Description::first);
        if remote.map(is_keyed).transpose()? == Some(true)
            && self.srtp().as_ref().is_some_and(unkeyed)
        {
            return Err(about(ErrorCode::CONFLICTING_VALUES, "a=crypto"));
        }
        let is_shown = remote.is_none_or(|remote| !dtls::fingerprints(remote).is_empty());
        if self.near.has_dtls && self.far.rtp.is_some() && !is_shown {
            return Err(about(ErrorCode::CONFLICTING_VALUES, "a=fingerprint"));
        }
        let Some(remote) = self.far.rtp else {
            return Ok(());
        };
        match self.reservation {
            None => Err(about(ErrorCode::MISSING_REMOTE_OR_LOCAL, "Local")),
            // All else about Remote was looked at when it came.
            Some(local) => check_family(local, remote),
        }
    }

    /// The keys of Local and Remote; `None` without any, when what is protected end to end passes
    /// as it is. The Remote one is that with the tag and suite of the Local one (RFC 4568 5.1.2).
    fn srtp(&self) -> Option<LegSrtp> {
        let all = |description: Option<&Description>| {
            let group = description.and_then(Description::first);
            group
                .and_then(|group| cryptos(group).ok())
                .unwrap_or_default()
        };
        let (near, far) = (all(self.local.as_deref()), all(self.remote.as_deref()));
        let is_it = |crypto: &Crypto| {
            let told = near.first();
            told.is_none_or(|told| (told.tag, told.suite) == (crypto.tag, crypto.suite))
        };
        let receives = far.iter().find(|crypto| is_it(crypto)).cloned();
        (!near.is_empty() || !far.is_empty()).then(|| LegSrtp {
            sends: near.into_iter().next(),
            receives,
        })
    }

    /// DTLS that ends here, by Local and Remote.
    fn dtls(&self) -> Option<LegDtls> {
        let local = self.local.as_deref().and_then(Description::first);
        let remote = self.remote.as_deref().and_then(Description::first);
        let local = local.filter(|_| self.near.has_dtls)?;
        Some(dtls::leg(local, remote))
    }

    /// The leg that this stream is; `None` while it has no address.
    pub fn leg(&self, in_service: bool, inactivity: Option<Duration>) -> Option<Leg> {
        let local = self.reservation?;
        let Near {
            media, is_muxed, ..
        } = self.near;
        let remote = self.far.rtp.filter(is_sent_to);
        let rtcp_remote = self
            .far
            .rtcp
            .filter(|rtcp| is_sent_to(rtcp) && rtcp.is_ipv6() == local.is_ipv6());
        let rtcp = match media {
            LegMedia::Udp => LegRtcp::None,
            LegMedia::Rtp { .. } if is_muxed && self.far.is_muxed => LegRtcp::Muxed,
            LegMedia::Rtp { .. } if self.properties.with_rtcp() => LegRtcp::Port {
                remote: rtcp_remote,
            },
            LegMedia::Rtp { .. } => LegRtcp::None,
        };
        Some(Leg {
            local,
            media,
            remote,
            rtcp,
            srtp: self.srtp(),
            dtls: self.dtls(),
            mode: if in_service {
                self.mode
            } else {
                StreamMode::Inactive
            },
            latch: self.latch,
            filter: self.properties.filter(remote, rtcp_remote),
            policing: self.properties.policing(),
            marking: self.properties.marking(),
            inactivity,
            detects: None,
            sends_events: None,
            plays_outward: None,
            plays_inward: None,
            audio: self.audio.clone(),
            heeds_tones: false,
            heeds_talk: false,
            volume: self.properties.volume,
            performs: Vec::new(),
        })
    }

    /// True for a stream of speech that is processed.
    pub fn is_audio(&self) -> bool {
        self.audio.is_some()
    }

    /// How its speech is coded; `None` for what is no audio over RTP.
    fn audio(&self) -> Option<LegAudio> {
        let first = |description: &Description| description.first()?.media.first().cloned();
        let near = self.local.as_deref().and_then(first)?;
        if !is_audio(&near) {
            return None;
        }
        let far = self.remote.as_deref().and_then(first);
        let far = far.filter(is_audio);
        let ptime_ms = far.as_ref().and_then(|media| media.lines.ptime_ms());
        Some(LegAudio {
            receives: codecs(&near),
            sends: far.as_ref().map(codecs).unwrap_or_default(),
            ptime: ptime_ms.map(|ms| Duration::from_millis(ms.into())),
        })
    }

    /// How it receives telephone events, by Local.
    pub fn near_events(&self) -> Option<LegEvents> {
        self.near.events
    }

    /// How it sends telephone events: by Remote, else as it receives them.
    pub fn far_events(&self) -> Option<LegEvents> {
        match self.remote {
            Some(_) => self.far.events,
            None => self.near.events,
        }
    }

    /// Its parameters, for an audit.
    pub fn parms(&self) -> StreamParms {
        StreamParms {
            local_control: Some(LocalControl {
                mode: Some(self.mode),
                reserve_value: Some(self.reserve_value),
                reserve_group: Some(self.reserve_group),
                properties: self.properties.given().to_vec(),
            }),
            local: self.local.as_deref().map(octets),
            remote: self.remote.as_deref().map(octets),
            statistics: None,
        }
    }
}

fn parse(text: &OctetString) -> Result<Description> {
    Description::parse(text.as_bytes()).map_err(|fault| about(ErrorCode::INVALID_SDP, fault))
}

/// Octets of a description, as a rule.
const DESCRIPTION_USUAL: usize = 256;

fn octets(description: &Description) -> OctetString {
    let mut text = Vec::with_capacity(DESCRIPTION_USUAL);
    description.write_to(&mut text);
    OctetString::new(text)
}

impl Near {
    const NONE: Self = Self {
        media: LegMedia::Udp,
        is_muxed: false,
        events: None,
        has_dtls: false,
    };

    fn of(group: &Group) -> Self {
        Self {
            media: media(group).unwrap_or(LegMedia::Udp),
            is_muxed: is_muxed(group),
            events: telephone_events(group),
            has_dtls: dtls::ends_here(group),
        }
    }
}

impl Far {
    fn of(group: &Group) -> Self {
        Self {
            rtp: group.rtp_address(0),
            rtcp: group.rtcp_address(0),
            is_muxed: is_muxed(group),
            events: telephone_events(group),
        }
    }
}

/// Telephone events that a description offers: of several clocks that of the media, else the one
/// that comes first. What is protected end to end has none that could be read.
fn telephone_events(group: &Group) -> Option<LegEvents> {
    let media = group.media.first().filter(|media| media.is_rtp())?;
    let is_protected = sdp::crypto::unprotected(&media.head.protocol).is_some();
    if is_protected && !media.lines.has("crypto") {
        return None;
    }
    if dtls::is_offered(group) && !dtls::ends_here(group) {
        return None;
    }
    let maps = media.head.formats.iter().filter_map(|format| {
        let map = media.lines.rtpmap(format.parse().ok()?)?;
        let is_it = map.encoding.eq_ignore_ascii_case("telephone-event");
        is_it.then_some(LegEvents {
            payload_type: map.payload_type,
            clock_hz: map.clock_hz,
        })
    });
    let all: Vec<LegEvents> = maps.collect();
    let clock_hz = match all.len() {
        0 | 1 => 0,
        _ => clock_hz(media),
    };
    let fitting = all.iter().find(|events| events.clock_hz == clock_hz);
    fitting.or(all.first()).copied()
}

fn is_muxed(group: &Group) -> bool {
    let media = group.media.first();
    media.is_some_and(|media| media.lines.rtcp_mux())
}

/// Keeps the alternatives that can be used, at least one; else says what is wrong with the first.
fn keep_usable(groups: &mut Vec<Group>, check: impl Fn(&Group) -> Result<()>) -> Result<()> {
    let mut first_fault = None;
    groups.retain(|group| match check(group) {
        Ok(()) => true,
        Err(fault) => {
            first_fault.get_or_insert(fault);
            false
        }
    });
    match first_fault {
        Some(fault) if groups.is_empty() => Err(fault),
        _ => Ok(()),
    }
}

/// The one media description of a stream.
fn only_media(group: &Group) -> Result<&Media> {
    match group.media.as_slice() {
        [media] => Ok(media),
        _ => Err(about(ErrorCode::INVALID_SDP, "a stream has one m= line")),
    }
}

/// What a stream carries, from its `m=` line.
fn media(group: &Group) -> Result<LegMedia> {
    let media = only_media(group)?;
    let protocol: &str = &media.head.protocol;
    let octets = protocol.as_bytes();
    let starts_with = |start: &str| {
        let begin = octets.get(..start.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()))
    };
    let has_rtp = || {
        octets
            .windows(4)
            .any(|four| four.eq_ignore_ascii_case(b"RTP/"))
    };
    let carries = match () {
        // Handshakes and media share the port, and pass where none of them ends here.
        () if starts_with("UDP/TLS/") && !dtls::ends_here(group) => LegMedia::Udp,
        () if has_rtp() && !starts_with("TCP") => LegMedia::Rtp {
            clock_hz: clock_hz(media),
            speech: speech(media),
        },
        () if ["UDP", "UDPTL", "-"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(protocol)) =>
        {
            LegMedia::Udp
        }
        () => return Err(about(ErrorCode::UNSUPPORTED_MEDIA_TYPE, protocol)),
    };
    cryptos(group)?;
    let is_wild = |format: &&str| matches!(*format, "$" | "*");
    let formats = media.head.formats.iter().map(|format| &**format);
    match formats.into_iter().find(is_wild) {
        Some(_) => Err(about(ErrorCode::UNKNOWN_VALUE, "m=")),
        None => Ok(carries),
    }
}

/// The security descriptions that can be used, of a stream that is to be protected by them.
fn cryptos(group: &Group) -> Result<Vec<Crypto>> {
    let media = only_media(group)?;
    if sdp::crypto::unprotected(&media.head.protocol).is_none() {
        return Ok(Vec::new());
    }
    let mut usable = Vec::new();
    let mut first_fault = None;
    for value in media.lines.values("crypto").take(sdp::CRYPTOS_MAX) {
        match Crypto::parse(value) {
            Ok(crypto) => usable.push(crypto),
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    match first_fault {
        Some(CryptoFault::Malformed) if usable.is_empty() => {
            Err(about(ErrorCode::INVALID_SDP, "a=crypto"))
        }
        Some(_) if usable.is_empty() => Err(about(ErrorCode::UNKNOWN_VALUE, "a=crypto")),
        _ => Ok(usable),
    }
}

/// Of several security descriptions the first that can be used is kept: what is sent is protected
/// in one way.
fn keep_one_crypto(group: &mut Group) {
    let Some(kept) = cryptos(group)
        .ok()
        .and_then(|usable| usable.into_iter().next())
    else {
        return;
    };
    let Some(media) = group.media.first_mut() else {
        return;
    };
    if media.lines.values("crypto").nth(1).is_some() {
        media.lines.set_attribute(kept.attribute());
    }
}

/// The clock that all codecs share; 0 when they do not.
fn clock_hz(media: &Media) -> u32 {
    let mut clocks = media
        .clocks()
        .filter(|(encoding, _)| !Codec::names_auxiliary(encoding))
        .map(|(_, clock_hz)| clock_hz);
    let first = clocks.next().unwrap_or(0);
    if clocks.all(|clock| clock == first) {
        first
    } else {
        0
    }
}

/// The codec of speech that comes first.
fn speech(media: &Media) -> Option<LegSpeech> {
    let is_audio = media.head.kind.eq_ignore_ascii_case("audio");
    let mut encodings = media.clocks().map(|(encoding, _)| encoding);
    is_audio
        .then(|| encodings.find_map(LegSpeech::of))
        .flatten()
}

/// Where a Local description wants to receive.
fn place(group: &Group) -> Result<Place> {
    let wrong = |what: &str| about(ErrorCode::UNKNOWN_VALUE, what);
    let media = only_media(group)?;
    if media.head.port_count != 1 {
        return Err(wrong("m="));
    }
    let port = match media.head.port {
        Wild::Choose => None,
        Wild::Value(port) => Some(port),
        Wild::All => return Err(wrong("m=")),
    };
    let Some(connection) = group.connection(0) else {
        return Err(about(ErrorCode::INFORMATION_MISSING, "c="));
    };
    let is_ipv6 = match (&connection.network, &connection.address_type) {
        (NetworkType::Internet, AddressType::Ip4) => Some(false),
        (NetworkType::Internet, AddressType::Ip6) => Some(true),
        (_, AddressType::Other(kind)) if &**kind == "$" => None,
        _ => return Err(wrong("c=")),
    };
    let ip = match connection.ip() {
        Some(ip) => Some(ip),
        None if connection.host.is_choose() => None,
        None => return Err(wrong("c=")),
    };
    Ok(Place { is_ipv6, ip, port })
}

/// Puts the reserved address in the place of the wildcards; true when that changes something.
fn fill_in(group: &mut Group, local: SocketAddr) -> bool {
    let is_there = group.rtp_address(0) == Some(local);
    if !is_there {
        group.set_endpoint(0, local);
    }
    let media = group.media.first_mut();
    let Some(media) = media.filter(|media| media.lines.has("rtcp")) else {
        return !is_there;
    };
    let before = media.lines.clone();
    let port = local.port() + 1;
    media.lines.set_attribute(sdp::Attribute::new("rtcp", port));
    !is_there || media.lines != before
}

fn is_audio(media: &Media) -> bool {
    media.is_rtp() && media.head.kind.eq_ignore_ascii_case("audio")
}

/// The codecs of a description in its order.
fn codecs(media: &Media) -> Vec<Codec> {
    let formats = media.head.formats.iter();
    formats
        .filter_map(|format| media.codec(format.parse().ok()?))
        .collect()
}

/// Of audio keeps the codecs that can be processed; true when others are given up.
///
/// # Errors
/// 515 when none is left.
fn keep_supported_codecs(group: &mut Group, plane: &dyn MediaPlane) -> Result<bool> {
    let Some(media) = group.media.first_mut().filter(|media| is_audio(media)) else {
        return Ok(false);
    };
    let codec_of = |format: &str| media.codec(format.parse().ok()?);
    let kept: Vec<bool> = media
        .head
        .formats
        .iter()
        .map(|format| {
            codec_of(format).is_some_and(|codec| codec.is_auxiliary() || plane.supports(&codec))
        })
        .collect();
    let is_main = |format: &str| codec_of(format).is_some_and(|codec| !codec.is_auxiliary());
    let mut pairs = media.head.formats.iter().zip(&kept);
    if !pairs.any(|(format, kept)| *kept && is_main(format)) {
        return Err(about(ErrorCode::UNSUPPORTED_MEDIA_TYPE, "m="));
    }
    Ok(drop_formats(media, |index| kept[index]))
}

/// Without ReserveValue one codec is kept of several, with the auxiliary formats that go with any
/// (H.248.1 7.1.7). True when others are given up.
fn keep_one_codec(group: &mut Group) -> bool {
    let Some(media) = group.media.first_mut().filter(|media| media.is_rtp()) else {
        return false;
    };
    if media.head.formats.len() < 2 {
        return false;
    }
    let is_auxiliary = |format: &str| {
        let payload_type = format.parse().ok();
        let codec = payload_type.and_then(|payload_type| media.codec(payload_type));
        codec.is_some_and(|codec| codec.is_auxiliary())
    };
    let formats = &media.head.formats;
    let first = formats.iter().position(|format| !is_auxiliary(format));
    let is_kept = |index: usize| Some(index) == first || is_auxiliary(&formats[index]);
    let kept: SmallVec<[bool; 16]> = (0..formats.len()).map(is_kept).collect();
    drop_formats(media, |index| kept[index])
}

/// Keeps some formats, by their index; true when others are given up.
fn drop_formats(media: &mut Media, is_kept: impl Fn(usize) -> bool + Copy) -> bool {
    let formats = &media.head.formats;
    let of = |kept: bool| {
        let chosen = (0..formats.len()).filter(move |&index| is_kept(index) == kept);
        chosen.map(|index| formats[index].clone())
    };
    let dropped: Vec<_> = of(false).collect();
    if dropped.is_empty() {
        return false;
    }
    let kept = of(true).collect();
    media.head.formats = kept;
    media.lines.remove_attributes(|attribute| {
        let about_format = matches!(attribute.name(), "rtpmap" | "fmtp" | "rtcp-fb");
        let format = attribute
            .value()
            .split_ascii_whitespace()
            .next()
            .unwrap_or("");
        about_format && dropped.iter().any(|dropped| dropped == format)
    });
    true
}

/// A Remote description must say where to send, in the family of the local address.
fn check_remote(group: &Group, local: Option<SocketAddr>) -> Result<()> {
    let media = only_media(group)?;
    let wrong = |what: &str| Err(about(ErrorCode::UNKNOWN_VALUE, what));
    let Some(port) = media.head.port.value() else {
        return wrong("m=");
    };
    if port == 0 {
        return Ok(());
    }
    let ips = [group.rtp_address(0), group.rtcp_address(0)];
    let Some(rtp) = ips[0] else {
        return wrong("c=");
    };
    for ip in ips.into_iter().flatten().map(|address| address.ip()) {
        let is_broadcast = ip == std::net::IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
        if ip.is_multicast() || is_broadcast {
            return wrong("c=");
        }
    }
    local.map_or(Ok(()), |local| check_family(local, rtp))
}

fn check_family(local: SocketAddr, remote: SocketAddr) -> Result<()> {
    match local.is_ipv6() == remote.is_ipv6() {
        true => Ok(()),
        false => Err(about(ErrorCode::CONFLICTING_VALUES, "c=")),
    }
}

/// Nothing is sent to the unspecified address: a hold of the old kind.
fn is_sent_to(address: &SocketAddr) -> bool {
    !address.ip().is_unspecified() && address.port() != 0
}
