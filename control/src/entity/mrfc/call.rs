//! A call with the MRFC: its dialog, its media and how it ends.

use std::net::SocketAddr;

use base::{Instant, Pii, TimerId};
use sip::dialog::{Dialog, Due, Provisionals, Retransmission};
use sip::header::Refresher;
use sip::session_timer::{SessionEvent, SessionTimer};
use sip::transaction::ServerId;
use sip::{Draft, HeaderName, Message, Method, UriBuf};
use tracing::{info, warn};

use super::broker::Brokered;
use super::focus::Referral;
use super::markup::Informs;
use super::media::Media;
use super::service::{Announcement, Service};
use super::{ALLOW, CallKey, Mrfc, SUPPORTED, Timer};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::{self, Actions};
use crate::journal::Kind;
use crate::mgc::{AnchorError, MemberId, Mix, Observed, RoomId, Task};
use crate::stack::{BranchId, NextHop};

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub purpose: Purpose,
    pub stage: Stage,
    /// The INVITE that opened it.
    pub invite: Message,
    /// Our tag.
    pub tag: String,
    pub dialog: Option<Dialog>,
    /// The transaction of the INVITE, while it has no final response.
    pub server: Option<ServerId>,
    pub media: Media,
    /// Where it is mixed.
    pub room: RoomId,
    /// The conference it is in.
    pub conference: Option<String>,
    /// What the broker promised to it.
    pub brokered: Option<Brokered>,
    /// What MSML asks in its INVITE.
    pub script: Option<Vec<u8>>,
    /// It ends when it has been told everything.
    pub ends_when_informed: bool,
    /// What waits for the gateway.
    pub change: Option<Change>,
    /// We made the offer that is not answered yet.
    pub has_offered: bool,
    /// The 2xx that is not acknowledged yet.
    pub success: Option<(ServerId, Retransmission)>,
    pub provisionals: Option<Provisionals>,
    pub session: Option<SessionTimer>,
    /// A re-INVITE of ours that is under way, or is to be tried again then.
    pub reinvite: Option<(Reinvite, Option<Instant>)>,
    /// It ends then in any case.
    pub ends_at: Option<Instant>,
    /// Who it is with, as others in its conference hear of it.
    pub user: String,
    /// We called.
    pub is_dialed_out: bool,
    pub answered_at: Option<Instant>,
    /// Our INVITE, while it has no final response.
    pub branch: Option<BranchId>,
    /// Who is told what becomes of our INVITE.
    pub referral: Option<Referral>,
    /// The last task given to its member.
    pub task: u32,
    pub timer: Option<TimerId>,
}

/// What a call is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// An announcement is heard.
    Announcement(Announcement),
    /// It is in the conference of this name.
    Conference(String),
    /// MSML tells; these are told back.
    Msml(Informs),
    /// It is played to or recorded because somebody asked for that.
    Job(u64),
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The gateway is asked for a termination.
    Opening,
    /// A provisional response has answered the offer.
    Early,
    /// A 2xx was sent.
    Answered,
    /// The ACK came, or we have sent it.
    Confirmed,
    /// We call.
    Calling,
}

/// What a re-INVITE of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reinvite {
    /// The session goes on (RFC 4028 7.4).
    Refresh,
    /// The peer is to send its media elsewhere.
    Move,
}

/// What waits for the gateway.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// The INVITE is to be answered.
    Open,
    /// A further offer is to be answered.
    Offer(ServerId, Box<Message>),
    /// The peer's answer comes into force.
    Answer,
    /// The member has another gateway, which the peer is to be told.
    Moved,
    /// A user is to be called.
    Call,
}

impl Call {
    /// A call of which nothing has come yet.
    pub fn new(purpose: Purpose, invite: Message, tag: String, media: Media, room: RoomId) -> Self {
        let conference = match &purpose {
            Purpose::Conference(name) => Some(name.clone()),
            _ => None,
        };
        Self {
            purpose,
            stage: Stage::Opening,
            user: user_of(&invite),
            invite,
            tag,
            dialog: None,
            server: None,
            media,
            room,
            conference,
            brokered: None,
            script: None,
            ends_when_informed: false,
            change: None,
            has_offered: false,
            success: None,
            provisionals: None,
            session: None,
            reinvite: None,
            ends_at: None,
            is_dialed_out: false,
            answered_at: None,
            branch: None,
            referral: None,
            task: 0,
            timer: None,
        }
    }

    const fn member(key: CallKey) -> MemberId {
        MemberId(key.0)
    }

    /// When something is due.
    fn next_timeout(&self) -> Option<Instant> {
        let provisionals = self
            .provisionals
            .as_ref()
            .and_then(Provisionals::next_timeout);
        let success = self.success.as_ref().map(|(_, again)| again.next_timeout());
        let session = self.session.as_ref().map(SessionTimer::next_timeout);
        let again = self.reinvite.and_then(|(_, at)| at);
        let times = [provisionals, success, session, again, self.ends_at];
        times.into_iter().flatten().min()
    }
}

impl Mrfc {
    // ---- opening ----

    /// Opens a call for an INVITE whose service is known.
    pub(super) fn open_call(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        invite: &Message,
        service: Service,
        media: Media,
        script: Option<Vec<u8>>,
    ) {
        if self.calls.len() >= self.calls_max {
            return entity::refuse_for_load(actions, server, invite);
        }
        let key = CallKey(self.next_number());
        let (purpose, room) = match service {
            Service::Announcement(announcement) => {
                (Purpose::Announcement(announcement), RoomId(key.0))
            }
            Service::Mix(_) | Service::Factory | Service::Focus(_) => {
                match self.join(actions, key, &service) {
                    Ok(joined) => joined,
                    Err((status, reason)) => {
                        return actions
                            .stack
                            .reject(actions.now, server, invite, status, reason);
                    }
                }
            }
            Service::Msml => (Purpose::Msml(Informs::default()), RoomId(key.0)),
        };
        let tag = actions.stack.token();
        let plan = media.plan();
        let mut call = Call::new(purpose, invite.clone(), tag, media, room);
        call.server = Some(server);
        call.change = Some(Change::Open);
        call.script = script;
        self.calls.insert(key, call);
        self.by_server.insert(server, key);
        actions.counters.count(Counter::MrfcCallAttempted);
        let Some(mgc) = &mut actions.mgc else {
            return self.end_call(actions, key, 503, "No media here");
        };
        mgc.open_room(room);
        if let Err(error) = mgc.add_member(actions.now, room, Call::member(key), plan) {
            self.media_failed(actions, key, error, true);
        }
    }

    /// A member's plan is in force.
    pub(super) fn media_ready(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        local: SocketAddr,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        match call.change.take() {
            None => self.script_waited(actions, key, None),
            Some(Change::Answer) => self.start(actions, key),
            Some(Change::Open) => self.answer_invite(actions, key, local),
            Some(Change::Offer(server, request)) => {
                self.answer_offer(actions, key, server, &request, local);
            }
            Some(Change::Moved) => self.reinvite(actions, key, local, Reinvite::Move),
            Some(Change::Call) => self.send_invite(actions, key, local),
        }
    }

    /// A member's plan could not be had.
    pub(super) fn media_failed(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        error: AnchorError,
        is_gone: bool,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        actions.counters.count(Counter::MediaFailed);
        let (status, reason) = match error {
            AnchorError::Refused(515 | 449 | 474) => (488, "Media not supported"),
            AnchorError::NoGateway => (503, "No media resource"),
            AnchorError::Overload => (503, "Media resources overloaded"),
            AnchorError::Limit | AnchorError::Busy => (503, "No media capacity"),
            AnchorError::Timeout => (503, "Media resource does not answer"),
            AnchorError::Refused(_) => (503, "Media resource refused"),
            AnchorError::Nonsense | AnchorError::Lost | AnchorError::Elsewhere => {
                (500, "Media resource failed")
            }
        };
        let task = call.task;
        match call.change.take() {
            Some(Change::Offer(server, request)) if !is_gone => {
                actions
                    .stack
                    .reject(actions.now, server, &request, status, reason);
            }
            Some(_) => {
                self.refer_outcome(actions, key, status);
                self.end_call(actions, key, status, reason);
            }
            None if is_gone => self.end_call(actions, key, status, reason),
            None if self.is_waited_for(key) => {
                // A gateway that does not know how it was to be mixed is not asked again.
                if let Some(call) = self.calls.get_mut(&key) {
                    call.media.mix = Mix::default();
                }
                self.script_waited(actions, key, Some(error));
            }
            // What it was to play it will not.
            None => self.observe(actions, key, task, Observed::Failed { code: 0 }),
        }
    }

    /// A call's room is lost: a conference goes on at another gateway, where there is one. True
    /// where it does.
    pub(super) fn media_lost(&mut self, actions: &mut Actions<'_>, key: CallKey) -> bool {
        actions.counters.count(Counter::MediaLost);
        let Some(call) = self.calls.get_mut(&key) else {
            return false;
        };
        let moves =
            matches!(call.purpose, Purpose::Conference(_)) && call.stage == Stage::Confirmed;
        if let (true, None, Some(mgc)) = (moves, &call.change, &mut actions.mgc) {
            let (member, plan) = (Call::member(key), call.media.plan());
            if mgc.add_member(actions.now, call.room, member, plan).is_ok() {
                call.change = Some(Change::Moved);
                return true;
            }
        }
        self.end_call(actions, key, 503, "Media resource lost");
        false
    }

    // ---- answering ----

    /// The INVITE is answered, now that it is known where media is received.
    fn answer_invite(&mut self, actions: &mut Actions<'_>, key: CallKey, local: SocketAddr) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(server) = call.server else { return };
        let is_reliable = [HeaderName::Supported, HeaderName::Require]
            .iter()
            .any(|name| call.invite.has_token(*name, "100rel"));
        let is_early = match &call.purpose {
            // An offer of ours has to come reliably (RFC 3262 5).
            Purpose::Announcement(announcement) => {
                announcement.early && (is_reliable || !call.media.is_to_offer())
            }
            Purpose::Conference(_) | Purpose::Msml(_) | Purpose::Job(_) => false,
        };
        let is_reliable = is_early && is_reliable;
        call.has_offered = call.media.is_to_offer();
        let description = call.media.describe(local);
        let (invite, tag) = (call.invite.clone(), call.tag.clone());
        let status = if is_early { 183 } else { 200 };
        let contact = self.contact(actions, key);
        let mut draft = invite.response(status, "");
        draft
            .to_tag(&tag)
            .copy(HeaderName::RecordRoute)
            .append(HeaderName::Contact, &contact)
            .append(HeaderName::Allow, ALLOW);
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        match &call.brokered {
            Some(brokered) => {
                let boundary = actions.stack.token();
                let (kind, body) = brokered.with(&boundary, &description.to_string());
                draft.set_body(&kind, body);
            }
            None => {
                draft.set_body("application/sdp", description.to_string());
            }
        }
        if is_early {
            draft.append(HeaderName::PEarlyMedia, "sendonly");
            let mut provisionals = Provisionals::new(actions.config.core, actions.entropy);
            let response = match is_reliable {
                true => provisionals.send(actions.now, draft),
                false => draft.finish().map(Some),
            };
            let Ok(Some(response)) = response else {
                return self.end_call(actions, key, 500, "");
            };
            call.dialog = Dialog::as_uas(&invite, &response).ok();
            call.stage = Stage::Early;
            call.provisionals = is_reliable.then_some(provisionals);
            if let Some(dialog) = &call.dialog {
                self.by_dialog.insert(dialog.id.clone(), key);
            }
            actions.stack.respond_with(actions.now, server, response);
            // Who has to acknowledge is played to when it has.
            if !is_reliable {
                self.start(actions, key);
            }
            return self.restart_timer(actions, key);
        }
        draft.append(HeaderName::Supported, &SUPPORTED.join(", "));
        let policy = super::requests::session_policy(actions);
        if let Ok(answer) = sip::session_timer::Answer::to(&policy, &invite) {
            answer.write(&mut draft);
            let role = Some(Refresher::Uas);
            call.session = Some(SessionTimer::new(actions.now, answer.expires, role));
        }
        let Ok(response) = draft.finish() else {
            return self.end_call(actions, key, 500, "");
        };
        match Dialog::as_uas(&invite, &response) {
            Ok(dialog) => {
                self.by_dialog.insert(dialog.id.clone(), key);
                call.dialog = Some(dialog);
            }
            Err(_) => return self.end_call(actions, key, 400, "No usable Contact"),
        }
        call.stage = Stage::Answered;
        call.answered_at = Some(actions.now);
        call.server = None;
        self.by_server.remove(&server);
        let timers = actions.config.core;
        let again = Retransmission::of_success(actions.now, timers, response.clone());
        call.success = Some((server, again));
        actions.counters.count(Counter::MrfcCallAnswered);
        info!(call_id = %Pii(&invite.call_id().unwrap_or_default()), "call answered");
        actions.stack.respond_with(actions.now, server, response);
        self.restart_timer(actions, key);
        self.touch(key);
        self.roster_changed(actions, key);
    }

    /// What a call is for begins: its media passes.
    pub(super) fn start(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        self.touch(key);
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        match &call.purpose {
            Purpose::Announcement(announcement) => {
                if call.task != 0 {
                    return;
                }
                call.ends_at = announcement.duration.map(|duration| actions.now + duration);
                let task = Task {
                    signal: Some(announcement.signal()),
                    digits: None,
                };
                if let Some(mgc) = &mut actions.mgc {
                    call.task = mgc.set_task(actions.now, Call::member(key), task);
                }
                self.restart_timer(actions, key);
            }
            Purpose::Conference(name) => {
                let name = name.clone();
                if let Some(list) = call.script.take() {
                    self.invite_list(actions, &name, &list);
                }
            }
            Purpose::Msml(_) => {
                if let Some(script) = call.script.take() {
                    self.begin_script(actions, key, &script, None);
                }
            }
            Purpose::Job(job) => {
                let job = *job;
                self.start_job(actions, job, key);
            }
        }
    }

    /// Something was observed at a member.
    pub(super) fn observe(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        task: u32,
        observed: Observed,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.task != task || task == 0 {
            return;
        }
        match (&call.purpose, observed) {
            (Purpose::Announcement(_), Observed::Played { .. } | Observed::Interrupted) => {
                self.finish(actions, key);
            }
            (Purpose::Announcement(announcement), Observed::Failed { code }) => {
                warn!(
                    play = announcement.play,
                    code, "announcement cannot be played"
                );
                let status = if announcement.early {
                    announcement.cause
                } else {
                    500
                };
                self.end_call(actions, key, status, "Announcement cannot be played");
            }
            (Purpose::Msml(_), observed) => self.observe_dialog(actions, key, observed),
            _ => {}
        }
    }

    /// An announcement has been heard.
    fn finish(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        let Some(call) = self.calls.get(&key) else {
            return;
        };
        let status = match &call.purpose {
            Purpose::Announcement(announcement) => announcement.cause,
            Purpose::Conference(_) | Purpose::Msml(_) | Purpose::Job(_) => 200,
        };
        self.end_call(actions, key, status, "");
    }

    // ---- time ----

    /// Sets the timer of what is due next.
    pub(super) fn restart_timer(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        actions.cancel_timer(call.timer.take());
        if let Some(at) = call.next_timeout() {
            let timer = entity::Timer::Mrfc(Timer::Call(key));
            call.timer = Some(actions.set_timer(at - actions.now, timer));
        }
    }

    pub(super) fn handle_call_timer(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        call.timer = None;
        let now = actions.now;
        if call.ends_at.is_some_and(|at| at <= now) {
            if matches!(call.purpose, Purpose::Msml(_)) {
                self.limit_dialog(actions, key);
                return self.restart_timer(actions, key);
            }
            return self.finish(actions, key);
        }
        if let (Some(server), Some(provisionals)) = (call.server, &mut call.provisionals) {
            match provisionals.handle_timeout(now) {
                Some(Due::Again(response)) => actions.stack.respond_with(now, server, response),
                // RFC 3262 3.
                Some(Due::Expired) => return self.end_call(actions, key, 504, "No PRACK"),
                None => {}
            }
        }
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if let Some((server, success)) = &mut call.success {
            match success.handle_timeout(now) {
                // Its transaction lingers for that (RFC 6026 7.1).
                Some(Due::Again(response)) => actions.stack.respond_with(now, *server, response),
                // RFC 3261 13.3.1.4.
                Some(Due::Expired) => return self.end_call(actions, key, 408, "No ACK"),
                None => {}
            }
        }
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        match call.session.as_mut().and_then(|it| it.handle_timeout(now)) {
            Some(SessionEvent::Expired) => {
                return self.end_call(actions, key, 408, "Session expired");
            }
            Some(SessionEvent::Refresh) => self.reinvite_from_here(actions, key, Reinvite::Refresh),
            None => {}
        }
        let again = self.calls.get(&key).and_then(|call| call.reinvite);
        if let Some((reinvite, Some(at))) = again
            && at <= now
        {
            self.reinvite_from_here(actions, key, reinvite);
        }
        self.restart_timer(actions, key);
    }

    // ---- the end ----

    /// Ends a call: its INVITE is refused with this status, or its dialog ends with BYE.
    pub(super) fn end_call(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        status: u16,
        reason: &str,
    ) {
        let Some(mut call) = self.forget_call(actions, key) else {
            return;
        };
        if let Some(Change::Offer(server, request)) = &call.change {
            actions
                .stack
                .reject(actions.now, *server, request, 500, reason);
        }
        if let Some(server) = call.server {
            let status = if status < 300 { 487 } else { status };
            let mut draft = call.invite.response(status, reason);
            draft.to_tag(&call.tag);
            actions.counters.count(Counter::MrfcCallFailed);
            return actions.stack.respond(actions.now, server, &mut draft);
        }
        if let Some(branch) = call.branch {
            // Whoever answers all the same is told that it is not wanted.
            self.unwanted.insert(branch, call.invite.clone());
            actions.counters.count(Counter::MrfcCallFailed);
            return actions.stack.cancel(actions.now, branch);
        }
        actions.counters.count(Counter::MrfcCallReleased);
        let Some(dialog) = &mut call.dialog else {
            return;
        };
        let mut bye = dialog.request(&Method::Bye);
        if status >= 300 && !reason.is_empty() {
            let value = format!("SIP;cause={status};text=\"{reason}\"");
            bye.append(HeaderName::Reason, &value);
        }
        send(actions, dialog, bye);
    }

    /// Forgets a call and lets go of its media.
    pub(super) fn forget_call(&mut self, actions: &mut Actions<'_>, key: CallKey) -> Option<Call> {
        let mut call = self.calls.remove(&key)?;
        if matches!(call.stage, Stage::Answered | Stage::Confirmed) {
            actions.journal.remove(Kind::MrfcCall, key.0);
        }
        actions.cancel_timer(call.timer.take());
        if let Some(server) = call.server {
            self.by_server.remove(&server);
        }
        if let Some(dialog) = &call.dialog {
            self.by_dialog.remove(&dialog.id);
        }
        self.give_back(call.brokered.take());
        if matches!(call.purpose, Purpose::Msml(_)) {
            self.script_waited(actions, key, Some(AnchorError::Lost));
            self.lose_player(actions, key);
            self.lose_control(actions, key);
        }
        self.job_member_left(actions, key);
        if let Some(mgc) = &mut actions.mgc {
            mgc.remove_member(actions.now, Call::member(key));
            if !matches!(call.purpose, Purpose::Conference(_)) {
                mgc.close_room(actions.now, RoomId(key.0));
            }
        }
        if let Some(name) = &call.conference {
            self.leave(actions, key, name);
            self.tell_roster(actions, name, &call.user);
        }
        Some(call)
    }

    /// Contact of a call: where it is in a conference with a focus, the conference's URI.
    pub(super) fn contact(&self, actions: &Actions<'_>, key: CallKey) -> String {
        let call = self.calls.get(&key);
        let focus = call.and_then(|call| match &call.purpose {
            Purpose::Conference(name) => self.focus_uri(actions, name),
            Purpose::Announcement(_) | Purpose::Msml(_) | Purpose::Job(_) => None,
        });
        match focus {
            Some(uri) => format!("<{uri}>;isfocus"),
            None => format!("<{}>", actions.stack.addresses().uri(Role::Mrfc, "", 0)),
        }
    }
}

/// Who calls, as others hear of it: nobody where it wants so (RFC 3323).
fn user_of(invite: &Message) -> String {
    let hides = invite
        .values(HeaderName::Privacy)
        .flat_map(|value| value.split(';'))
        .any(|value| ["id", "user", "header"].contains(&value.trim()));
    if hides {
        return "sip:anonymous@anonymous.invalid".into();
    }
    let asserted = invite.asserted_identities().find_map(Result::ok);
    let user = asserted.or_else(|| invite.from().ok());
    user.map_or_else(String::new, |user| user.uri.canonical())
}

/// Sends a request of a dialog.
pub(super) fn send(actions: &mut Actions<'_>, dialog: &Dialog, draft: Draft) -> Option<BranchId> {
    let next = UriBuf::parse(dialog.next_hop())?;
    let next = NextHop::Uri(next.view());
    Some(actions.stack.send(actions.now, Role::Mrfc, draft, next))
}
