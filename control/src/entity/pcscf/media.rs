//! The IMS-ALG's view of one leg's media: from session descriptions to plans and back.
//!
//! Offer and answer are treated alike: a description that passes from one side tells where that
//! side receives, and leaves with the gateway's addresses of the other side (TS 23.334 5.1, TS
//! 24.229 5.2.6 and 6.7.2).

use std::net::IpAddr;

use sdp::{Direction, Session};

use crate::mgc::{Locals, Mode, Plan, RtpEndpoint, Side, SidePlan, StreamPlan};

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
    pub fn offer(&mut self, side: Side, description: &Session, nat: Option<IpAddr>) -> Step {
        self.offered_by = Some(side);
        let mut plan = self.applied.clone();
        for index in 0..description.media.len() {
            let mut described = describe(description, index, side, nat, plan.streams.get(index));
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
    StreamPlan {
        used: !media.is_rejected(),
        kind: media.head.kind.clone(),
        protocol: media.head.protocol.clone(),
        formats: media.head.formats.clone(),
        sides,
    }
}

/// The mode of the termination towards a peer with this direction: the gateway receives what the
/// peer sends.
fn mode(peer: Direction) -> Mode {
    Mode::new(peer.receives(), peer.sends())
}
