//! A leg: one dialog's passage through the P-CSCF, with the media it anchors.

use std::collections::VecDeque;

use base::TimerId;
use sip::{HeaderName, Message};

use super::media::Media;
use super::registration::RegistrationKey;
use crate::mgc::{AnchorId, Plan, Side};
use crate::proxy::ContextId;
use crate::stack::Flow;

/// Messages of one leg that may wait for its media gateway; a UE that sends more is not obeyed.
pub const TASKS_MAX: usize = 32;

/// Names a leg, and is written into Record-Route: unguessable, so that it also proves who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegKey(pub u64);

/// Which end of the call the UE of this leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegKind {
    /// The UE calls.
    Originating,
    /// The UE is called.
    Terminating,
}

/// Where a leg is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegState {
    /// INVITE under way.
    Early,
    /// Answered.
    Confirmed,
    /// BYE under way.
    Ending,
}

/// One leg.
#[derive(Debug)]
pub struct Leg {
    /// Originating or terminating.
    pub kind: LegKind,
    /// Its state.
    pub state: LegState,
    /// How the UE is reached.
    pub flow: Flow,
    /// The UE's registration.
    pub registration: Option<RegistrationKey>,
    /// Call-ID.
    pub call_id: String,
    /// The two ends of the dialog, by [`Side`].
    pub parties: [Party; 2],
    /// The context of the initial INVITE, until it is answered.
    pub invite: Option<ContextId>,
    /// Its media.
    pub media: Media,
    /// Where its media is anchored, if anywhere.
    pub anchor: Option<AnchorId>,
    /// The media is anchored at the other leg of this P-CSCF: descriptions pass as they are.
    pub alone: bool,
    /// What waits for the media gateway.
    pub waiting: Option<(Task, Plan)>,
    /// What comes after it.
    pub tasks: VecDeque<Task>,
    /// Fires when nobody refreshed the session (RFC 4028 10).
    pub session_timer: Option<TimerId>,
    /// To be ended by BYE when the ACK has passed, and why.
    pub doomed: Option<&'static str>,
}

/// What the P-CSCF has to know of one end in order to send it a BYE.
#[derive(Clone, Debug, Default)]
pub struct Party {
    /// From or To of its own requests, tag included.
    pub address: String,
    /// Tag.
    pub tag: String,
    /// Remote target.
    pub target: String,
    /// Routes from here to it.
    pub routes: Vec<String>,
    /// Number of its last request.
    pub cseq: u32,
}

/// A message of a leg on its way through.
#[derive(Debug)]
pub enum Task {
    /// A request from `side`.
    Request {
        /// Its context.
        context: ContextId,
        /// The request as it will be forwarded, but for its media.
        prepared: Message,
        /// Where it came from.
        side: Side,
    },
    /// The ACK of a 2xx from `side`.
    Ack {
        /// The ACK.
        request: Message,
        /// Where it came from.
        side: Side,
    },
    /// A response from `side`.
    Response {
        /// Its context.
        context: ContextId,
        /// The response, our Via removed.
        response: Message,
        /// Where it came from.
        side: Side,
    },
}

impl Task {
    /// Where the message came from.
    pub const fn side(&self) -> Side {
        match self {
            Task::Request { side, .. } | Task::Ack { side, .. } | Task::Response { side, .. } => {
                *side
            }
        }
    }
}

impl Leg {
    /// The side from which the calling end's messages come.
    pub const fn caller(&self) -> Side {
        match self.kind {
            LegKind::Originating => Side::Access,
            LegKind::Terminating => Side::Core,
        }
    }

    /// The side from which a request of the dialog comes, by its From tag.
    pub fn side_of(&self, request: &Message) -> Side {
        let caller = self.caller();
        let calling = &self.parties[caller.index()].tag;
        if request.from_tag() == Some(calling) {
            caller
        } else {
            caller.other()
        }
    }

    /// Whether a message belongs to the answered dialog, rather than to another fork of it.
    pub fn is_confirmed_dialog(&self, message: &Message) -> bool {
        let callee = &self.parties[self.caller().other().index()].tag;
        [message.from_tag(), message.to_tag()].contains(&Some(callee.as_str()))
    }

    /// Notes the caller as the INVITE shows it.
    pub fn note_invite(&mut self, invite: &Message) {
        let party = &mut self.parties[self.caller().index()];
        party.address = invite
            .header(HeaderName::From)
            .unwrap_or_default()
            .to_owned();
        party.tag = invite.from_tag().unwrap_or_default().to_owned();
        party.target = target(invite);
        party.routes = invite
            .values(HeaderName::RecordRoute)
            .map(str::to_owned)
            .collect();
        party.cseq = invite.cseq().map_or(0, |cseq| cseq.number);
    }

    /// Notes the callee as the 2xx shows it. `is_own` tells our own Record-Route entries.
    pub fn note_answer(&mut self, response: &Message, is_own: impl Fn(&str) -> bool) {
        let party = &mut self.parties[self.caller().other().index()];
        party.address = response
            .header(HeaderName::To)
            .unwrap_or_default()
            .to_owned();
        party.tag = response.to_tag().unwrap_or_default().to_owned();
        party.target = target(response);
        let beyond = response
            .values(HeaderName::RecordRoute)
            .take_while(|value| !is_own(value));
        party.routes = beyond.map(str::to_owned).collect();
        party.routes.reverse();
    }

    /// Notes what a request of the dialog changes: the sequence number, and the target when it refreshes it.
    pub fn note_request(&mut self, request: &Message, side: Side) {
        let party = &mut self.parties[side.index()];
        if let Ok(cseq) = request.cseq() {
            party.cseq = party.cseq.max(cseq.number);
        }
        let refreshes = [
            sip::Method::Invite,
            sip::Method::Update,
            sip::Method::Subscribe,
        ]
        .iter()
        .any(|method| request.is_method(method));
        let contact = target(request);
        if refreshes && !contact.is_empty() {
            party.target = contact;
        }
    }
}

fn target(message: &Message) -> String {
    message
        .contact()
        .map(|contact| contact.uri.as_str().to_owned())
        .unwrap_or_default()
}
