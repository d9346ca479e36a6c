//! The IMS-ALG's view of one leg's media: from session descriptions to plans and back.
//!
//! Offer and answer are treated alike: a description that passes from one side tells where that
//! side receives, and leaves with the gateway's addresses of the other side (TS 23.334 5.1, TS
//! 24.229 5.2.6 and 6.7.2).
//!
//! How it is protected on the UE's side is told in [`protection`].

use std::net::IpAddr;

use sdp::{Attribute, Direction, Session};

use super::protection::{self, Fault, Protection};
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
    ///
    /// # Errors
    /// Nothing of it can be used, since it cannot be protected as it asks for; all is as it was.
    pub fn offer(
        &mut self,
        side: Side,
        description: &Session,
        nat: Option<IpAddr>,
        protection: &mut Protection<'_>,
    ) -> Result<Step, Fault> {
        let mut plan = self.applied.clone();
        let mut fault = None;
        for index in 0..description.media.len() {
            let before = plan.streams.get(index);
            let mut described = describe(description, index, side, nat, before);
            let protected = protection.offer(side, description, index, before, &mut described);
            if let Err(why) = protected {
                described.used = false;
                fault = fault.or(Some(why));
            }
            let (near, far) = (side.index(), side.other().index());
            if description.direction(index).receives() {
                described.sides[near].mode = described.sides[near].mode.and_sending();
                described.sides[far].mode = described.sides[far].mode.and_receiving();
            }
            offer_mux(side, &description.media[index], &mut described);
            match plan.streams.get_mut(index) {
                Some(stream) => *stream = described,
                None => plan.streams.push(described),
            }
        }
        check(fault, &plan)?;
        self.offered_by = Some(side);
        Ok(self.step(plan))
    }

    /// Takes an answer from `side`: the offer's directions come into force.
    ///
    /// # Errors
    /// Nothing of it can be used, since it is not protected as it was offered; what was in force
    /// still is.
    pub fn answer(
        &mut self,
        side: Side,
        description: &Session,
        nat: Option<IpAddr>,
    ) -> Result<Step, Fault> {
        self.offered_by = None;
        let mut plan = self.applied.clone();
        let mut fault = None;
        for (index, stream) in plan.streams.iter_mut().enumerate() {
            let Some(media) = description.media.get(index) else {
                continue;
            };
            if media.is_rejected() {
                stream.used = false;
                continue;
            }
            *stream = describe(description, index, side, nat, Some(stream));
            if side == Side::Access
                && let Err(why) = protection::take_answer(description, index, stream)
            {
                stream.used = false;
                fault = fault.or(Some(why));
                continue;
            }
            let (near, far) = (side.index(), side.other().index());
            if protection::is_dtls_from_end_to_end(stream) {
                stream.sides[far].mux &= stream.sides[near].is_muxed();
            }
            let direction = description.direction(index);
            stream.sides[near].mode = mode(direction);
            stream.sides[far].mode = mode(direction.reversed());
        }
        check(fault, &plan)?;
        self.agreed = plan.clone();
        Ok(self.step(plan))
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
        let is_offer = self.offered_by == Some(side);
        for index in 0..description.media.len() {
            if let Some(stream) = self.applied.streams.get(index) {
                let media = &mut description.media[index];
                let certificate = self.locals.fingerprint(index);
                protection::pass(side, is_offer, stream, certificate, media);
                pass_mux(stream.sides[towards.index()].mux, media);
            }
            if description.media[index].is_rejected() {
                continue;
            }
            match local(index) {
                Some(local) => description.set_endpoint(index, local, None),
                None => description.media[index].reject(),
            }
        }
        protection::pass_session(&self.applied.streams, description);
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
    let mut sides = before.map_or([SidePlan::IDLE; 2], |stream| stream.sides);
    // A hold by an unspecified address keeps the address that was there (RFC 3264 8.4).
    let held = description
        .connection(index)
        .is_some_and(sdp::Connection::is_unspecified);
    if let Some(rtp) = description.rtp_address(index).filter(|_| !held) {
        let rtcp = description.rtcp_address(index);
        let next = rtp.port().checked_add(1);
        let rtcp = rtcp.filter(|rtcp| rtcp.ip() != rtp.ip() || Some(rtcp.port()) != next);
        let own = &mut sides[side.index()];
        let mux = media.lines.rtcp_mux();
        own.remote = Some(RtpEndpoint { rtp, rtcp, mux });
        own.latch = nat.is_some_and(|source| source != rtp.ip());
    }
    let srtp = before.and_then(|stream| stream.srtp.clone());
    let is_protected = |srtp: &SrtpPlan| srtp.unprotected(&media.head.protocol).is_some();
    // What is protected here is in the clear on the other side, as it was.
    let clear = before.filter(|_| srtp.as_ref().is_some_and(is_protected));
    let clear = clear.map(|stream| stream.protocol.clone());
    StreamPlan {
        used: !media.is_rejected(),
        kind: media.head.kind.as_str().into(),
        protocol: clear.unwrap_or_else(|| media.head.protocol.as_str().into()),
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

/// What an offer means for RTCP on the port of RTP (RFC 5761 5.1.1): who offers it gets it from the
/// gateway, and the other side is offered it too; what there is there stays.
fn offer_mux(side: Side, media: &sdp::Media, stream: &mut StreamPlan) {
    let is_offered = media.lines.rtcp_mux();
    let far = stream.sides[side.other().index()];
    // One port takes one handshake less.
    let has_dtls = stream
        .srtp_at(side.other())
        .is_some_and(|srtp| srtp.dtls().is_some());
    let is_kept = far.is_muxed() && !protection::is_dtls_from_end_to_end(stream);
    stream.sides[side.index()].mux = is_offered;
    stream.sides[side.other().index()].mux = is_offered || has_dtls || is_kept;
}

/// Tells of RTCP on the port of RTP, or does not.
fn pass_mux(is_told: bool, media: &mut sdp::Media) {
    if media.lines.rtcp_mux() == is_told || media.is_rejected() {
        return;
    }
    match is_told {
        true => media.lines.add_attribute(Attribute::flag(MUX)),
        false => {
            let is_its = |attribute: &Attribute| attribute.name().starts_with(MUX);
            media.lines.remove_attributes(is_its);
        }
    }
}

/// A description of which nothing can be used is refused for the first reason.
fn check(fault: Option<Fault>, plan: &Plan) -> Result<(), Fault> {
    match fault {
        Some(fault) if !plan.streams.iter().any(|stream| stream.used) => Err(fault),
        _ => Ok(()),
    }
}

/// The mode of the termination towards a peer with this direction: the gateway receives what the
/// peer sends.
fn mode(peer: Direction) -> Mode {
    Mode::new(peer.receives(), peer.sends())
}

/// RFC 5761 5.1.1; `rtcp-mux-only` of RFC 8858 begins with it too.
const MUX: &str = "rtcp-mux";
