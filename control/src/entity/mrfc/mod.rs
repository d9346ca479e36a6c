//! Multimedia Resource Function Controller (TS 23.228 4.7, TS 24.229 5.8, TS 24.147): answers calls
//! in the place of a media server and has MRFPs play, record and mix for them.
//!
//! A call is a SIP dialog and a termination. What it is for is told by its Request-URI: an
//! announcement or a mix (netann, RFC 4240), a dialog or a conference told by MSML (RFC 5707), a
//! conference with a focus (RFC 4579).

mod administration;
mod body;
mod broker;
mod call;
mod conference;
mod focus;
mod job;
mod kept_call;
mod markup;
mod media;
mod prompt;
mod requests;
mod restore;
mod roster;
mod service;
mod speakers;

pub use service::escape_parameter;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base::IdMap;
use sip::dialog::DialogId;
use sip::transaction::ServerId;
use sip::{HeaderName, Message, Method};
use tracing::warn;

use super::{Actions, Event};
use crate::admin::MrfStatus;
use crate::config::ControlConfig;
use crate::mgc::{Observed, RoomEvent, RoomId};
use crate::stack::{Addresses, BranchId};
use call::Call;
use conference::Conference;
pub use roster::SubscriptionId;

/// Methods that we take.
const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, SUBSCRIBE, NOTIFY";
/// Extensions that we know.
const SUPPORTED: &[&str] = &["100rel", "timer", "norefersub", "recipient-list-invite"];
/// Bodies that we take.
const ACCEPT: &str = "application/sdp, application/msml+xml, application/mrb-consumer+xml";

/// Names a call, its member and the room that it has to itself.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct CallKey(u64);

/// Timers of the MRFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Something of a call is due.
    Call(CallKey),
    /// It may be told again who talks in a conference.
    Speakers(RoomId),
    /// Nobody has come to a conference that was opened for people.
    Empty(RoomId),
    /// A subscription to a conference expires.
    Subscription(SubscriptionId),
}

/// The entity.
#[derive(Debug)]
pub struct Mrfc {
    /// User part of the conference factory's URI.
    factory: String,
    calls_max: usize,
    members_max: usize,
    calls: BTreeMap<CallKey, Call>,
    by_dialog: HashMap<DialogId, CallKey>,
    by_server: IdMap<ServerId, CallKey>,
    by_branch: IdMap<BranchId, CallKey>,
    conferences: BTreeMap<String, Conference>,
    /// Subscriptions to conferences.
    subscriptions: BTreeMap<SubscriptionId, roster::Subscription>,
    /// NOTIFYs under way.
    by_notify: IdMap<BranchId, SubscriptionId>,
    /// INVITEs of ours that were given up and may still be answered.
    unwanted: IdMap<BranchId, Message>,
    /// Dialogs of MSML, by the call at which they run.
    dialogs: BTreeMap<CallKey, markup::Dialog>,
    /// Documents of MSML that wait, by the call that sent them.
    scripts: BTreeMap<CallKey, markup::Script>,
    /// What people have asked for, by its number.
    jobs: BTreeMap<u64, job::Job>,
    /// Jobs by the members of rooms that do them.
    by_member: BTreeMap<CallKey, u64>,
    /// Calls of which the journal is to hear.
    touched: BTreeSet<CallKey>,
    /// What was promised to application servers.
    broker: broker::Broker,
    /// The number dealt last, to a call, a room or a job.
    number: u64,
}

impl Mrfc {
    /// An MRFC without calls.
    pub fn new(config: &ControlConfig) -> Self {
        Self {
            factory: config.mrf.factory.clone(),
            calls_max: config.mrf.calls_max,
            members_max: config.mrf.members_max,
            calls: BTreeMap::new(),
            by_dialog: HashMap::new(),
            by_server: IdMap::default(),
            by_branch: IdMap::default(),
            conferences: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            by_notify: IdMap::default(),
            unwanted: IdMap::default(),
            dialogs: BTreeMap::new(),
            scripts: BTreeMap::new(),
            jobs: BTreeMap::new(),
            by_member: BTreeMap::new(),
            touched: BTreeSet::new(),
            broker: broker::Broker::default(),
            number: 0,
        }
    }

    /// Calls there are.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// What people are told.
    pub fn status(&self, addresses: &Addresses) -> MrfStatus {
        MrfStatus {
            calls: self.calls.len(),
            conferences: self.conference_status(addresses),
            subscriptions: self.subscriptions.len(),
        }
    }

    /// Ends every call because the process does.
    pub fn release_calls(&mut self, actions: &mut Actions<'_>, why: &str) {
        let keys: Vec<CallKey> = self.calls.keys().copied().collect();
        for key in keys {
            self.end_call(actions, key, 503, why);
        }
    }

    /// Lets something happen.
    pub fn handle(&mut self, event: Event, actions: &mut Actions<'_>) {
        match event {
            Event::Request {
                server, request, ..
            } => self.handle_request(actions, server, &request),
            Event::Ack { request, .. } => self.handle_ack(actions, &request),
            Event::Cancel { server } => self.handle_cancel(actions, server),
            Event::Response {
                branch, response, ..
            } => {
                let status = response.status().unwrap_or_default();
                if !self.notified(actions, branch, status) {
                    self.handle_response(actions, branch, &response);
                }
            }
            Event::Failed { branch, status } => {
                if !self.notified(actions, branch, status) {
                    self.handle_failure(actions, branch, status);
                }
            }
            Event::Ended { branch } => {
                self.by_branch.remove(&branch);
                self.by_notify.remove(&branch);
                self.unwanted.remove(&branch);
            }
            Event::Room(event) => self.handle_room(actions, event),
            Event::Cx { .. } | Event::CxRequest { .. } | Event::Anchor { .. } => {}
        }
        self.keep_touched(actions);
    }

    /// Lets time pass.
    pub fn handle_timer(&mut self, timer: Timer, actions: &mut Actions<'_>) {
        match timer {
            Timer::Call(key) => self.handle_call_timer(actions, key),
            Timer::Speakers(room) => self.handle_speakers_timer(actions, room),
            Timer::Empty(room) => self.handle_empty_timer(actions, room),
            Timer::Subscription(id) => self.handle_subscription_timer(actions, id),
        }
        self.keep_touched(actions);
    }

    const fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn handle_request(&mut self, actions: &mut Actions<'_>, server: ServerId, request: &Message) {
        let unknown = request.values(HeaderName::Require).filter(|option| {
            !SUPPORTED
                .iter()
                .any(|known| option.eq_ignore_ascii_case(known))
        });
        let unknown: Vec<&str> = unknown.collect();
        if !unknown.is_empty() {
            let mut draft = refusal(actions, request, 420, "");
            draft.append(HeaderName::Unsupported, &unknown.join(", "));
            return actions.stack.respond(actions.now, server, &mut draft);
        }
        let is_subscribe = request.is_method(&Method::Subscribe);
        if request.is_in_dialog() {
            if is_subscribe && self.refresh_subscription(actions, server, request) {
                return;
            }
            return self.handle_in_dialog(actions, server, request);
        }
        match request.method() {
            Some(Method::Invite) => self.handle_invite(actions, server, request),
            Some(Method::Options) => answer_options(actions, server, request),
            Some(Method::Subscribe) => self.handle_subscribe(actions, server, request),
            Some(Method::Refer) => self.handle_refer(actions, server, request, None),
            _ => {
                let mut draft = refusal(actions, request, 405, "");
                draft.append(HeaderName::Allow, ALLOW);
                actions.stack.respond(actions.now, server, &mut draft);
            }
        }
    }

    fn handle_room(&mut self, actions: &mut Actions<'_>, event: RoomEvent) {
        if self.job_observes(actions, &event) {
            return;
        }
        match event {
            RoomEvent::Applied { member, local } => {
                self.media_ready(actions, CallKey(member.0), local);
            }
            RoomEvent::Failed {
                member,
                error,
                is_gone,
            } => self.media_failed(actions, CallKey(member.0), error, is_gone),
            RoomEvent::Observed {
                member,
                observed: Observed::Talks { is_on, level_dbov },
                ..
            } => self.talks(actions, CallKey(member.0), is_on, level_dbov),
            RoomEvent::Observed {
                member,
                task,
                observed,
            } => self.observe(actions, CallKey(member.0), task, observed),
            RoomEvent::MemberLost { member } => {
                self.end_call(actions, CallKey(member.0), 503, "Media lost");
            }
            RoomEvent::Lost { room, members } => {
                self.taps_lost(actions, &members);
                let lost = members.into_iter().map(|member| CallKey(member.0));
                let lost: Vec<CallKey> = lost.filter(|key| self.calls.contains_key(key)).collect();
                let count = lost.len();
                let moved = lost.into_iter();
                let moved = moved.filter(|key| self.media_lost(actions, *key)).count();
                warn!(room = room.0, moved, ended = count - moved, "room lost");
            }
        }
    }
}

/// A refusal with a tag.
fn refusal(actions: &mut Actions<'_>, request: &Message, status: u16, reason: &str) -> sip::Draft {
    let tag = actions.stack.token();
    let mut draft = request.response(status, reason);
    draft.to_tag(&tag);
    draft
}

/// What we are able to do (RFC 3261 11.2).
fn answer_options(actions: &mut Actions<'_>, server: ServerId, request: &Message) {
    let mut draft = refusal(actions, request, 200, "");
    capabilities(&mut draft);
    actions.stack.respond(actions.now, server, &mut draft);
}

fn capabilities(draft: &mut sip::Draft) {
    draft
        .append(HeaderName::Allow, ALLOW)
        .append(HeaderName::Accept, ACCEPT)
        .append(HeaderName::Supported, &SUPPORTED.join(", "))
        .append(HeaderName::AllowEvents, roster::EVENT);
}
