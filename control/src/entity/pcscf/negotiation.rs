//! What the messages of a call mean for its media: offers and answers (RFC 3264, RFC 6337).

use std::net::IpAddr;

use sdp::Session;
use sip::{HeaderName, Message, Method};

use super::leg::{Leg, LegKey, Task, TaskKind};
use super::media::Step;
use super::protection::{Fault, Protection};
use super::{Pcscf, Proxied};
use crate::config::MediaPolicy;
use crate::entity::Actions;
use crate::mgc::{Family, Mgc, Side};

/// What the description of a message does to the media of its leg.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Negotiation {
    /// There is none, or it says nothing new.
    None,
    /// It offers.
    Offer,
    /// It answers.
    Answer,
}

impl Pcscf {
    /// Which part of an offer/answer exchange a message is (RFC 3264, RFC 6337 2.1).
    ///
    /// # Errors
    /// Status and reason for a request that cannot be part of one.
    pub(super) fn negotiation(
        &mut self,
        key: LegKey,
        task: &Task,
    ) -> Result<Negotiation, (u16, String)> {
        let Some(leg) = self.legs.get_mut(&key) else {
            return Ok(Negotiation::None);
        };
        if task.description.is_none() {
            return Ok(Negotiation::None);
        }
        let (message, side) = (&task.message, task.side);
        match task.kind {
            // An ACK that came again answers nothing.
            TaskKind::Ack if leg.media.offered_by() != Some(side.other()) => Ok(Negotiation::None),
            TaskKind::Ack => Ok(Negotiation::Answer),
            TaskKind::Request(context) => {
                let offered_by = leg.media.offered_by();
                if message.is_method(&Method::Prack) && offered_by == Some(side.other()) {
                    return Ok(Negotiation::Answer);
                }
                match offered_by {
                    // RFC 3311 5.2, RFC 3261 14.2: one exchange at a time.
                    Some(by) if by == side => Err((500, "Offer under way".into())),
                    Some(_) => Err((491, String::new())),
                    None => {
                        if let Some(Proxied::Call { offer, .. }) = self
                            .proxy
                            .get_mut(context)
                            .map(|context| &mut context.state)
                        {
                            *offer = true;
                        }
                        Ok(Negotiation::Offer)
                    }
                }
            }
            TaskKind::Response(context) => {
                let is_initial = leg.invite == Some(context);
                let Some(Proxied::Call {
                    offer,
                    offer_in_response,
                    settled,
                    ..
                }) = self
                    .proxy
                    .get_mut(context)
                    .map(|context| &mut context.state)
                else {
                    return Ok(Negotiation::None);
                };
                let reliable = is_reliable(message);
                if *offer {
                    // Only the first answer counts, of each end that the INVITE was forked to.
                    let open = match is_initial {
                        true => leg.forks.may_answer(message),
                        false => !std::mem::replace(settled, reliable),
                    };
                    return Ok(match open {
                        true => Negotiation::Answer,
                        false => Negotiation::None,
                    });
                }
                // An INVITE without offer: the first reliable response makes it (RFC 3261 13.2.1).
                if *offer_in_response || !reliable {
                    return Ok(Negotiation::None);
                }
                *offer_in_response = true;
                Ok(Negotiation::Offer)
            }
        }
    }

    pub(super) fn media_step(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        task: &Task,
        negotiation: Negotiation,
    ) -> Result<Step, Fault> {
        let Some(leg) = self.legs.get_mut(&key) else {
            return Ok(Step::Keep);
        };
        let side = task.side;
        let described = task.description.as_deref();
        let session = described.filter(|_| negotiation != Negotiation::None);
        if let Some(anchoring) = leg.anchored_at {
            if let Some(session) = session {
                self.tell_source(key, anchoring, side, session);
            }
            return Ok(Step::Keep);
        }
        let media = &actions.config.media;
        let Some(mgc) = actions.mgc.as_deref().filter(|_| media.anchor) else {
            return Ok(Step::Keep);
        };
        let Some(session) = session else {
            return Ok(self.media_step_without_description(key, task));
        };
        let nat = media_ip(session).and_then(|described| leg.signalling_ip(side, described));
        let registration = leg.registration.and_then(|key| self.registrations.get(key));
        let mut protection = Protection {
            entropy: &mut *actions.entropy,
            mechanism: registration.and_then(|known| known.mechanism),
            dtls: media.dtls,
        };
        match negotiation {
            Negotiation::Offer => {
                // What is protected towards this UE cannot be anchored where it is not.
                if leg.anchor.is_none()
                    && protection.offered().is_none()
                    && let Some(anchoring) = anchored_elsewhere(mgc, media, leg, side, session)
                {
                    leg.anchored_at = Some(anchoring);
                    return Ok(Step::Keep);
                }
                leg.media.offer(side, session, nat, &mut protection)
            }
            Negotiation::Answer | Negotiation::None => {
                let step = leg.media.answer(side, session, nat)?;
                if let TaskKind::Response(context) = task.kind
                    && leg.invite == Some(context)
                {
                    let (response, plan) = (&task.message, leg.media.agreed().clone());
                    leg.forks.note_answer(response, plan, is_reliable(response));
                }
                Ok(step)
            }
        }
    }

    /// A UE behind a NAT describes its media to the leg where that is anchored.
    fn tell_source(&mut self, key: LegKey, anchoring: LegKey, side: Side, session: &Session) {
        let source = self.legs.get(&key).map(|leg| leg.flow.peer().ip());
        let described = media_ip(session).filter(|_| side == Side::Access);
        if let (Some(described), Some(source)) = (described, source)
            && described != source
            && let Some(leg) = self.legs.get_mut(&anchoring)
        {
            leg.note_far_source(described, source);
        }
    }

    /// Messages that say nothing of media but decide over it.
    fn media_step_without_description(&mut self, key: LegKey, task: &Task) -> Step {
        let Some(leg) = self.legs.get_mut(&key) else {
            return Step::Keep;
        };
        match task.kind {
            // One of several ends that answered is hung up on: the other is heard.
            TaskKind::Request(_) if task.message.is_method(&Method::Bye) => {
                match leg.forks.answer_left().cloned() {
                    Some(plan) => leg.media.turn_to(&plan),
                    None => Step::Keep,
                }
            }
            TaskKind::Response(context) => {
                let response = &task.message;
                let status = response.status().unwrap_or_default();
                if leg.invite == Some(context) {
                    // One of several ends that were heard before answers the call. That it was
                    // refused ends the leg, and its media with it.
                    let answer = leg.forks.answer_of(response).cloned();
                    return match answer.filter(|_| (200..300).contains(&status)) {
                        Some(plan) if leg.forks.is_early() => leg.media.turn_to(&plan),
                        _ => Step::Keep,
                    };
                }
                let offered = matches!(
                    self.proxy.get(context).map(|context| &context.state),
                    Some(Proxied::Call { offer: true, .. })
                );
                match offered && status >= 300 {
                    true => leg.media.refuse(),
                    false => Step::Keep,
                }
            }
            TaskKind::Request(_) | TaskKind::Ack => Step::Keep,
        }
    }
}

/// Reads what a message says of media.
///
/// # Errors
/// Status and reason, where that is no description.
pub(super) fn describe(task: &mut Task) -> Result<(), (u16, String)> {
    let message = &task.message;
    let content = message.content_type().ok().flatten();
    let is_sdp = content.is_some_and(|content| content.is("application", "sdp"));
    if is_sdp && !message.body().is_empty() {
        let session = Session::parse(message.body());
        let session = session.map_err(|fault| (400, format!("Bad SDP: {fault}")))?;
        task.description = Some(Box::new(session));
    }
    Ok(())
}

/// A description in it holds: it is final, or provisional and will be acknowledged (RFC 3262).
fn is_reliable(response: &Message) -> bool {
    response.status().is_some_and(|status| status >= 200)
        || response.has_token(HeaderName::Require, "100rel")
}

/// Where an end wants its media, by the first of its streams that is in use.
fn media_ip(session: &Session) -> Option<IpAddr> {
    let used = (0..session.media.len()).filter(|index| !session.media[*index].is_rejected());
    used.filter_map(|index| session.rtp_address(index))
        .map(|rtp| rtp.ip())
        .next()
}

/// The other leg of this P-CSCF that put the addresses into an offer from the core, when the UE can
/// use all of them: the media is anchored once.
fn anchored_elsewhere(
    mgc: &Mgc,
    media: &MediaPolicy,
    leg: &Leg,
    side: Side,
    session: &Session,
) -> Option<LegKey> {
    if side != Side::Core || !media.realms_connected {
        return None;
    }
    let family = Family::of(leg.flow.peer());
    let used = (0..session.media.len()).filter(|index| !session.media[*index].is_rejected());
    let mut owners = used.map(|index| {
        let rtp = session.rtp_address(index)?;
        mgc.owner_of(rtp).filter(|_| Family::of(rtp) == family)
    });
    let owner = owners.next()??;
    let same = owners.all(|other| other == Some(owner));
    same.then_some(LegKey(owner))
}
