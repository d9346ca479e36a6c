//! A leg: one call's passage through the P-CSCF, with the media it anchors.

use std::collections::VecDeque;
use std::net::IpAddr;

use base::{Instant, TimerId};
use sdp::Session;
use sip::dialog::Side as DialogSide;
use sip::{Draft, Message};

use super::fork::Forks;
use super::media::Media;
use super::registration::RegistrationKey;
use super::release::Why;
use crate::mgc::{AnchorId, Plan, Side};
use crate::proxy::ContextId;
use crate::stack::{Flow, Origin};

/// Messages of one leg that may wait for its media gateway; a UE that sends more is not obeyed.
pub const TASKS_MAX: usize = 32;

/// Far ends behind NATs that a leg knows of; those beyond are heard where they say they are.
const FAR_SOURCES_MAX: usize = 16;

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

/// One leg.
#[derive(Debug)]
pub struct Leg {
    /// Originating or terminating.
    pub kind: LegKind,
    /// The context of its INVITE; none in a life after the one in which that came.
    pub invite: Option<ContextId>,
    /// Its INVITE as it came, while further ends may answer it.
    pub opening: Option<Message>,
    /// Who responded to the INVITE, and the dialogs that came of it.
    pub forks: Forks,
    /// How the UE is reached.
    pub flow: Flow,
    /// The UE's registration.
    pub registration: Option<RegistrationKey>,
    /// Call-ID.
    pub call_id: String,
    /// It calls for help.
    pub is_emergency: bool,
    /// Tag of the caller.
    pub caller_tag: String,
    /// Its media.
    pub media: Media,
    /// Where its media is anchored, if anywhere.
    pub anchor: Option<AnchorId>,
    /// The media is anchored at this other leg of the P-CSCF: descriptions pass as they are.
    pub anchored_at: Option<LegKey>,
    /// Where the media of far ends comes from whose own address is behind a NAT, by what they
    /// describe: told by the legs that are anchored here.
    pub far_sources: Vec<(IpAddr, IpAddr)>,
    /// A plan on its way to the media gateway, and what waits for it.
    pub waiting: Option<(Option<Task>, Plan)>,
    /// What comes after it.
    pub tasks: VecDeque<Task>,
    /// Fires when nobody refreshed the session (RFC 4028 10).
    pub session_timer: Option<TimerId>,
    /// When that is.
    pub session_ends_at: Option<Instant>,
    /// The ACK of its first 2xx has passed.
    pub is_acknowledged: bool,
    /// It is in the journal.
    pub is_kept: bool,
    /// To be ended by BYE when the ACK has passed, and why.
    pub doomed: Option<Why>,
}

/// A message of a leg on its way through.
#[derive(Debug)]
pub struct Task {
    /// What it is.
    pub kind: TaskKind,
    /// Where it came from.
    pub side: Side,
    /// The message as it came.
    pub message: Message,
    /// As it goes on, but for its media.
    pub draft: Draft,
    /// What it says of media.
    pub description: Option<Box<Session>>,
}

/// What a message of a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// A request, and its context.
    Request(ContextId),
    /// The ACK of a 2xx.
    Ack,
    /// A response, and the context of its request.
    Response(ContextId),
}

impl LegKind {
    /// The side from which the calling end's messages come.
    pub const fn caller(self) -> Side {
        match self {
            LegKind::Originating => Side::Access,
            LegKind::Terminating => Side::Core,
        }
    }

    /// Which end of the dialog is on `side`.
    pub const fn end_at(self, side: Side) -> DialogSide {
        match (self, side) {
            (LegKind::Originating, Side::Access) | (LegKind::Terminating, Side::Core) => {
                DialogSide::Caller
            }
            _ => DialogSide::Callee,
        }
    }
}

impl Task {
    /// A message from `side` that nobody has looked into.
    pub const fn new(kind: TaskKind, side: Side, message: Message, draft: Draft) -> Self {
        Self {
            kind,
            side,
            message,
            draft,
            description: None,
        }
    }
}

impl Leg {
    /// The side from which a request of the dialog comes, by its From tag.
    pub fn side_of(&self, request: &Message) -> Side {
        let caller = self.kind.caller();
        if request.from_tag() == Some(&self.caller_tag) {
            caller
        } else {
            caller.other()
        }
    }

    /// Whether a request of the dialog on `side` may come from there: the UE's from its own
    /// address, whatever port or transport it sends from now; nobody else's from where it is
    /// registered.
    pub fn is_expected(&self, side: Side, origin: &Origin) -> bool {
        let peer = origin.flow().map(|flow| flow.peer());
        match side {
            Side::Access => peer.is_some_and(|peer| peer.ip() == self.flow.peer().ip()),
            Side::Core => peer != Some(self.flow.peer()),
        }
    }

    /// The address from which the signalling of the end comes that describes its media as at
    /// `described`; media may come from there in place of it.
    pub fn signalling_ip(&self, side: Side, described: IpAddr) -> Option<IpAddr> {
        let mut far = self.far_sources.iter();
        match side {
            Side::Access => Some(self.flow.peer().ip()),
            Side::Core => far
                .find(|(address, _)| *address == described)
                .map(|(_, source)| *source),
        }
    }

    /// Notes that a far end's signalling comes from elsewhere than it says its media does.
    pub fn note_far_source(&mut self, described: IpAddr, source: IpAddr) {
        self.far_sources
            .retain(|(address, _)| *address != described);
        if self.far_sources.len() < FAR_SOURCES_MAX {
            self.far_sources.push((described, source));
        }
    }
}
