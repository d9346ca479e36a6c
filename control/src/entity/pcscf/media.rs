//! The IMS-ALG's view of one leg's media: from session descriptions to plans and back.
//!
//! Offer and answer are treated alike: a description that passes from one side tells where that
//! side receives, and leaves with the gateway's addresses of the other side (TS 23.334 5.1, TS
//! 24.229 5.2.6 and 6.7.2).
//!
//! Where the UE wants its media protected as far as the gateway (`a=3ge2ae`, TS 24.229 7.5.2, TS
//! 33.328 5.4), keys are exchanged with it here and the core sees the media in the clear.

use std::net::IpAddr;

use base::Entropy;
use sdp::crypto::{self, Crypto, CryptoSuite, InlineKey};
use sdp::{Attribute, Direction, Session};

use crate::mgc::{Locals, Mode, Plan, RtpEndpoint, Side, SidePlan, SrtpPlan, StreamPlan};

/// Media of one leg.
#[derive(Clone, Debug, Default)]
pub struct Media {
    /// In force at the gateway.
    applied: Plan,
    /// In force at the last completed offer/answer exchange.
    agreed: Plan,
    /// The gateway's addresses.
    locals: Locals,
    /// Who made the offer that is not answered yet.
    offered_by: Option<Side>,
}

/// How media towards the UE is protected.
pub struct Protection<'a> {
    /// Where keys come from.
    pub entropy: &'a mut Entropy,
    /// The UE takes offers with SRTP that ends at the gateway: it said so when it registered.
    pub is_offered: bool,
}

/// What a passing description asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Bring this plan into force before the message goes on.
    Apply(Plan),
    /// What is in force will do.
    Keep,
}

impl Media {
    /// As a life before this one had it: what was offered and not answered is not to be.
    pub fn restored(applied: Plan, agreed: Plan, locals: Locals) -> Self {
        Self {
            applied,
            agreed,
            locals,
            offered_by: None,
        }
    }

    /// Whether what is agreed is in force.
    pub fn is_settled(&self) -> bool {
        self.applied == self.agreed
    }

    /// Who made the offer that is not answered yet.
    pub fn offered_by(&self) -> Option<Side> {
        self.offered_by
    }

    /// Takes an offer from `side`. `nat` is the address from which the side's signalling comes,
    /// where the media may come from elsewhere than the description says.
    ///
    /// Who offers to receive is ready to (RFC 3264 5.1): the other end may send before its answer
    /// has come this far.
    pub fn offer(
        &mut self,
        side: Side,
        description: &Session,
        nat: Option<IpAddr>,
        protection: &mut Protection<'_>,
    ) -> Step {
        self.offered_by = Some(side);
        let mut plan = self.applied.clone();
        for index in 0..description.media.len() {
            let before = plan.streams.get(index);
            let mut described = describe(description, index, side, nat, before);
            protection.offer(side, &description.media[index], before, &mut described);
            if description.direction(index).receives() {
                let (near, far) = (side.index(), side.other().index());
                described.sides[near].mode = described.sides[near].mode.and_sending();
                described.sides[far].mode = described.sides[far].mode.and_receiving();
            }
            match plan.streams.get_mut(index) {
                Some(stream) => *stream = described,
                None => plan.streams.push(described),
            }
        }
        self.step(plan)
    }

    /// Takes an answer from `side`: the offer's directions come into force.
    pub fn answer(&mut self, side: Side, description: &Session, nat: Option<IpAddr>) -> Step {
        self.offered_by = None;
        let mut plan = self.applied.clone();
        for (index, stream) in plan.streams.iter_mut().enumerate() {
            let Some(media) = description.media.get(index) else {
                continue;
            };
            if media.is_rejected() {
                stream.used = false;
                continue;
            }
            *stream = describe(description, index, side, nat, Some(stream));
            if side == Side::Access && !answer_keys(media, stream) {
                stream.used = false;
                continue;
            }
            let direction = description.direction(index);
            stream.sides[side.index()].mode = mode(direction);
            stream.sides[side.other().index()].mode = mode(direction.reversed());
        }
        self.agreed = plan.clone();
        self.step(plan)
    }

    /// What is agreed now.
    pub fn agreed(&self) -> &Plan {
        &self.agreed
    }

    /// Another of several dialogs is the one that is heard, with what was agreed in it.
    pub fn turn_to(&mut self, plan: &Plan) -> Step {
        self.agreed = plan.clone();
        self.step(plan.clone())
    }

    /// The offer was refused: what was agreed before holds (RFC 3264 8, RFC 6141).
    pub fn refuse(&mut self) -> Step {
        self.offered_by = None;
        let plan = self.agreed.clone();
        self.step(plan)
    }

    fn step(&self, plan: Plan) -> Step {
        if plan == self.applied {
            Step::Keep
        } else {
            Step::Apply(plan)
        }
    }

    /// The gateway has `plan` in force with these addresses.
    pub fn applied(&mut self, plan: Plan, locals: Locals) {
        self.applied = plan;
        self.locals = locals;
    }

    /// Puts the gateway's addresses of the other side into a description that came from `side`.
    ///
    /// Streams for which the gateway has no address are refused. What belongs to ICE ends here
    /// (TS 23.228 Annex G).
    pub fn rewrite(&self, side: Side, description: &mut Session) {
        let towards = side.other();
        let local = |index| self.locals.get(index, towards);
        if let Some(first) = (0..description.media.len()).find_map(local) {
            description.set_session_ip(first.ip());
        }
        for index in 0..description.media.len() {
            let stream = self.applied.streams.get(index);
            if let Some(srtp) = stream.and_then(|stream| stream.srtp.as_ref()) {
                let is_offer = self.offered_by == Some(side);
                pass_protection(side, is_offer, srtp, &mut description.media[index]);
            }
            if description.media[index].is_rejected() {
                continue;
            }
            match local(index) {
                Some(local) => description.set_endpoint(index, local, None),
                None => description.media[index].reject(),
            }
        }
        description.remove_ice();
    }
}

/// The stream of one `m=` line as `side` describes it; the other side stays as it was.
fn describe(
    description: &Session,
    index: usize,
    side: Side,
    nat: Option<IpAddr>,
    before: Option<&StreamPlan>,
) -> StreamPlan {
    let media = &description.media[index];
    let idle = SidePlan {
        remote: None,
        mode: Mode::SendReceive,
        latch: false,
    };
    let mut sides = before.map_or([idle, idle], |stream| stream.sides);
    // A hold by an unspecified address keeps the address that was there (RFC 3264 8.4).
    let held = description
        .connection(index)
        .is_some_and(sdp::Connection::is_unspecified);
    if let Some(rtp) = description.rtp_address(index).filter(|_| !held) {
        let rtcp = description.rtcp_address(index);
        let next = rtp.port().checked_add(1);
        let rtcp = rtcp.filter(|rtcp| rtcp.ip() != rtp.ip() || Some(rtcp.port()) != next);
        let own = &mut sides[side.index()];
        own.remote = Some(RtpEndpoint { rtp, rtcp });
        own.latch = nat.is_some_and(|source| source != rtp.ip());
    }
    let srtp = before.and_then(|stream| stream.srtp.clone());
    let clear = crypto::unprotected(&media.head.protocol).filter(|_| srtp.is_some());
    StreamPlan {
        used: !media.is_rejected(),
        kind: media.head.kind.as_str().into(),
        protocol: clear.unwrap_or(&media.head.protocol).into(),
        formats: (media
            .head
            .formats
            .iter()
            .map(|format| format.as_str().into()))
        .collect(),
        sides,
        srtp,
    }
}

impl Protection<'_> {
    /// What an offer means for the protection of a stream: the UE may ask for it (TS 24.229
    /// 6.7.2.2), or it is offered to the UE.
    fn offer(
        &mut self,
        side: Side,
        media: &sdp::Media,
        before: Option<&StreamPlan>,
        stream: &mut StreamPlan,
    ) {
        if media.is_rejected() {
            return;
        }
        let is_protected = crypto::unprotected(&media.head.protocol).is_some();
        let kept = before.and_then(|stream| stream.srtp.as_ref());
        match side {
            Side::Access if is_protected && (is_requested(media) || kept.is_some()) => {
                let Some(theirs) = media.lines.crypto().next() else {
                    // What is asked for cannot be had: the stream is refused (RFC 4568 5.1.2).
                    stream.used = false;
                    return;
                };
                stream.srtp = Some(SrtpPlan {
                    local: self.answer(&theirs, kept),
                    remote: Some(theirs.to_string().into()),
                });
            }
            Side::Access => stream.srtp = None,
            Side::Core if kept.is_some() => {}
            Side::Core if self.is_offered && is_clear(&media.head.protocol) => {
                stream.srtp = Some(SrtpPlan {
                    local: self.key(OFFERED_TAG, OFFERED_SUITE),
                    remote: None,
                });
            }
            Side::Core => {}
        }
        if stream.srtp.is_some()
            && let Some(clear) = crypto::unprotected(&media.head.protocol)
        {
            stream.protocol = clear.into();
        }
    }

    /// The gateway's description in answer to the UE's: the same tag and suite, and the key that
    /// there is already, if there is one of that suite (RFC 4568 5.1.2).
    fn answer(&mut self, theirs: &Crypto, kept: Option<&SrtpPlan>) -> Box<str> {
        let ours = kept.and_then(|srtp| Crypto::parse(&srtp.local).ok());
        match ours.filter(|ours| ours.suite == theirs.suite) {
            Some(ours) => Crypto {
                tag: theirs.tag,
                ..ours
            }
            .to_string()
            .into(),
            None => self.key(theirs.tag, theirs.suite),
        }
    }

    fn key(&mut self, tag: u32, suite: CryptoSuite) -> Box<str> {
        let mut key_and_salt = vec![0; suite.key_and_salt_bytes()];
        self.entropy.fill(&mut key_and_salt);
        let key = InlineKey::new(&key_and_salt);
        Crypto::new(tag, suite, key).to_string().into()
    }
}

/// Takes the UE's key from its answer to an offer of protection; false when it has none that fits.
fn answer_keys(media: &sdp::Media, stream: &mut StreamPlan) -> bool {
    let Some(srtp) = &mut stream.srtp else {
        return true;
    };
    let Ok(ours) = Crypto::parse(&srtp.local) else {
        return false;
    };
    let fits = |theirs: &Crypto| (theirs.tag, theirs.suite) == (ours.tag, ours.suite);
    let theirs = media.lines.crypto().find(fits);
    srtp.remote = theirs.map(|theirs| theirs.to_string().into());
    srtp.remote.is_some() && crypto::unprotected(&media.head.protocol).is_some()
}

/// Ends the protection of a description from the UE, and adds it to one for it (TS 24.229 6.7.2.2).
fn pass_protection(from: Side, is_offer: bool, srtp: &SrtpPlan, media: &mut sdp::Media) {
    let is_of_protection = |attribute: &Attribute| matches!(attribute.name(), "crypto" | E2AE);
    media.lines.remove_attributes(is_of_protection);
    match from {
        Side::Access => {
            if let Some(clear) = crypto::unprotected(&media.head.protocol) {
                media.head.protocol = clear.into();
            }
        }
        Side::Core => {
            let protocol = crypto::protected(&media.head.protocol);
            if protocol != &*media.head.protocol {
                media.head.protocol = protocol.to_owned().into();
            }
            if media.is_rejected() {
                return;
            }
            media
                .lines
                .add_attribute(Attribute::new("crypto", &srtp.local));
            if is_offer {
                media.lines.add_attribute(Attribute::new(E2AE, "applied"));
            }
        }
    }
}

fn is_requested(media: &sdp::Media) -> bool {
    let mut values = media.lines.values(E2AE);
    values.any(|value| value.trim().eq_ignore_ascii_case("requested"))
}

fn is_clear(protocol: &str) -> bool {
    crypto::protected(protocol) != protocol
}

/// The mode of the termination towards a peer with this direction: the gateway receives what the
/// peer sends.
fn mode(peer: Direction) -> Mode {
    Mode::new(peer.receives(), peer.sends())
}

/// The attribute that tells of protection as far as the access edge (TS 24.229 7.5.2).
const E2AE: &str = "3ge2ae";

/// What a UE is offered: the suite that TS 33.328 has every UE support.
const OFFERED_SUITE: CryptoSuite = CryptoSuite::AesCm128HmacSha1_80;

const OFFERED_TAG: u32 = 1;
