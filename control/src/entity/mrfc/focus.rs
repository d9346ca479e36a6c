//! The focus of a conference brings users in and takes them out: REFER (RFC 4579 5.5, 5.11, TS
//! 24.147 5.3.2.5), and lists of recipients (RFC 5366).

use sip::dialog::Dialog;
use sip::transaction::ServerId;
use sip::{Draft, HeaderName, Message, Method, NameAddr, Uri, UriBuf};

use super::call::{Call, Change, Purpose, Stage, send};
use super::media::Media;
use super::requests::acknowledge;
use super::{ALLOW, CallKey, Mrfc};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::Actions;
use crate::mgc::{Family, MemberId, RoomId};
use crate::stack::NextHop;
use msml::uris_of_list;

/// Content-Type of lists of recipients.
pub(super) const LIST: &str = "application/resource-lists+xml";
/// Recipients of one list.
const RECIPIENTS_MAX: usize = 64;

/// What an INVITE says besides whom it is to, as a REFER has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Invitation {
    /// The dialog that it is to replace (RFC 3891).
    replaces: Option<String>,
    /// Who refers (RFC 3892).
    referred_by: Option<String>,
}

impl Invitation {
    /// Of a REFER to this URI; `None` where the URI asks for what cannot be.
    fn of(request: &Message, target: Uri<'_>) -> Option<Self> {
        let mut replaces = target
            .headers()
            .filter(|(name, _)| name.eq_ignore_ascii_case("Replaces"))
            .map(|(_, value)| sip::uri::unescape(value).into_owned());
        let (first, second) = (replaces.next(), replaces.next());
        let is_whole = |value: &String| {
            let tags = [";to-tag=", ";from-tag="]
                .iter()
                .all(|it| value.contains(it));
            tags && value.bytes().all(|octet| octet.is_ascii_graphic())
        };
        let is_good = second.is_none() && first.iter().all(is_whole);
        is_good.then(|| Self {
            replaces: first,
            referred_by: request.header(HeaderName::ReferredBy).map(str::to_owned),
        })
    }

    fn write(&self, draft: &mut Draft) {
        if let Some(replaces) = &self.replaces {
            draft
                .append(HeaderName::Replaces, replaces)
                .append(HeaderName::Require, "replaces");
        }
        if let Some(referred_by) = &self.referred_by {
            draft.append(HeaderName::ReferredBy, referred_by);
        }
    }
}

/// Who is told what becomes of a REFER (RFC 3515 2.4.4).
#[derive(Debug)]
pub(super) struct Referral {
    /// A dialog of its own, or that of a call.
    dialog: Option<Dialog>,
    call: Option<CallKey>,
    /// `refer;id=` of its CSeq.
    event: String,
}

impl Mrfc {
    /// REFER, in a dialog of a call or outside of any.
    pub(super) fn handle_refer(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
        call: Option<CallKey>,
    ) {
        let reject = |actions: &mut Actions<'_>, status, reason| {
            actions
                .stack
                .reject(actions.now, server, request, status, reason);
        };
        let name = match call.and_then(|key| self.calls.get(&key)) {
            Some(call) => call.roster_name().map(str::to_owned),
            None => self.focus_of(actions, request),
        };
        let Some(name) = name.filter(|name| self.focus_uri(actions, name).is_some()) else {
            return reject(actions, 403, "No conference to refer to");
        };
        let mut values = request.headers(HeaderName::ReferTo);
        let (Some(target), None) = (values.next(), values.next()) else {
            return reject(actions, 400, "One Refer-To");
        };
        let Ok(target) = NameAddr::parse(target) else {
            return reject(actions, 400, "Bad Refer-To");
        };
        let method = target
            .uri
            .param("method")
            .unwrap_or("INVITE")
            .to_ascii_uppercase();
        let Some(invitation) = Invitation::of(request, target.uri) else {
            return reject(actions, 400, "Bad Replaces");
        };
        let target = plain(target.uri);
        let is_told = !request
            .header(HeaderName::ReferSub)
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        match method.as_str() {
            "INVITE" | "BYE" => {}
            _ => return reject(actions, 501, "Only INVITE and BYE"),
        }
        let Some(mut referral) = self.accept_refer(actions, server, request, call, &name, is_told)
        else {
            return;
        };
        if method == "BYE" {
            let expelled = self.expel(actions, &name, &target);
            let status = if expelled { "200 OK" } else { "404 Not Found" };
            if is_told {
                self.tell_referral(actions, &mut referral, status, true);
            }
            return;
        }
        if is_told {
            self.tell_referral(actions, &mut referral, "100 Trying", false);
        }
        let referral = is_told.then_some(referral);
        self.dial_out(actions, &name, &target, &invitation, referral);
    }

    /// 202, and the subscription that goes with it.
    fn accept_refer(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
        call: Option<CallKey>,
        name: &str,
        is_told: bool,
    ) -> Option<Referral> {
        let uri = actions.stack.addresses().uri(Role::Mrfc, name, 0);
        let mut draft = request.response(202, "");
        if call.is_none() {
            let tag = actions.stack.token();
            draft.to_tag(&tag).copy(HeaderName::RecordRoute);
        }
        draft.append(HeaderName::Contact, &format!("<{uri}>;isfocus"));
        if !is_told {
            // RFC 4488 4: no subscription has begun.
            draft.append(HeaderName::ReferSub, "false");
        }
        let response = draft.finish().ok()?;
        let dialog = match call {
            Some(_) => None,
            None => Some(Dialog::as_uas(request, &response).ok()?),
        };
        actions.stack.respond_with(actions.now, server, response);
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        Some(Referral {
            dialog,
            call,
            event: format!("refer;id={number}"),
        })
    }

    fn tell_referral(
        &mut self,
        actions: &mut Actions<'_>,
        referral: &mut Referral,
        status: &str,
        is_last: bool,
    ) {
        let call = referral.call.and_then(|key| self.calls.get_mut(&key));
        let dialog = match (&mut referral.dialog, call) {
            (Some(dialog), _) => dialog,
            (
                None,
                Some(Call {
                    dialog: Some(dialog),
                    ..
                }),
            ) => dialog,
            _ => return,
        };
        let mut draft = dialog.request(&Method::Notify);
        let uri = actions.stack.addresses().uri(Role::Mrfc, "", 0);
        let state = match is_last {
            true => "terminated;reason=noresource",
            false => "active;expires=60",
        };
        draft
            .append(HeaderName::Contact, &format!("<{uri}>"))
            .append(HeaderName::Event, &referral.event)
            .append(HeaderName::SubscriptionState, state);
        draft.set_body(
            "message/sipfrag;version=2.0",
            format!("SIP/2.0 {status}\r\n"),
        );
        send(actions, dialog, draft);
        self.touched.extend(referral.call);
    }

    /// Takes a user out of a conference; false when it is not in it.
    fn expel(&mut self, actions: &mut Actions<'_>, name: &str, target: &str) -> bool {
        let members = self.conferences.get(name).map(|it| it.members.clone());
        let is_meant = |call: &Call| {
            let contact = call
                .dialog
                .as_ref()
                .map(|dialog| dialog.remote_target.as_str());
            let uris = [Some(call.user.as_str()), contact];
            uris.into_iter().flatten().any(|uri| is_same(uri, target))
        };
        let meant: Vec<CallKey> = members
            .unwrap_or_default()
            .into_iter()
            .filter(|key| self.calls.get(key).is_some_and(is_meant))
            .collect();
        for key in &meant {
            self.end_call(actions, *key, 200, "");
        }
        !meant.is_empty()
    }

    /// Invites who is named by a list of an INVITE to the factory (RFC 5366).
    pub(super) fn invite_list(&mut self, actions: &mut Actions<'_>, name: &str, list: &[u8]) {
        for uri in uris_of_list(list, RECIPIENTS_MAX) {
            self.dial_out(actions, name, &uri, &Invitation::default(), None);
        }
    }

    /// Calls a user into a conference: the member, if there is one.
    pub(super) fn dial_out(
        &mut self,
        actions: &mut Actions<'_>,
        name: &str,
        target: &str,
        invitation: &Invitation,
        referral: Option<Referral>,
    ) -> Option<CallKey> {
        let conference = self.conferences.get(name);
        let conference = conference.filter(|it| it.members.len() < self.members_max);
        let room = conference.map(|it| it.room);
        let purpose = Purpose::Conference(name.to_owned());
        let invite = self.dial_out_invite(actions, &purpose, target, invitation);
        let (Some(room), Some((tag, invite))) = (room, invite) else {
            if let Some(mut referral) = referral {
                self.tell_referral(actions, &mut referral, "503 Service Unavailable", true);
            }
            return None;
        };
        self.call_out(actions, purpose, Some(room), (tag, invite), referral)
    }

    /// Calls a user who is to hear or say something.
    pub(super) fn dial_for_job(
        &mut self,
        actions: &mut Actions<'_>,
        job: u64,
        target: &str,
    ) -> Option<CallKey> {
        let purpose = Purpose::Job(job);
        let invitation = Invitation::default();
        let invite = self.dial_out_invite(actions, &purpose, target, &invitation)?;
        self.call_out(actions, purpose, None, invite, None)
    }

    /// Begins a call of ours, in this room or one of its own.
    fn call_out(
        &mut self,
        actions: &mut Actions<'_>,
        purpose: Purpose,
        room: Option<RoomId>,
        (tag, invite): (String, Message),
        referral: Option<Referral>,
    ) -> Option<CallKey> {
        if self.calls.len() >= self.calls_max {
            if let Some(mut referral) = referral {
                self.tell_referral(actions, &mut referral, "503 Service Unavailable", true);
            }
            return None;
        }
        let key = CallKey(self.next_number());
        let room = room.unwrap_or(RoomId(key.0));
        let listener = actions.stack.addresses().listener(0);
        let family = listener.map_or(Family::V4, Family::of);
        let session_id = actions.entropy.next_u64() >> 1;
        let media = Media::to_offer(session_id, family);
        let plan = media.plan();
        let target = invite.request_uri().to_owned();
        let mut call = Call::new(purpose, invite, tag, media, room);
        call.stage = Stage::Calling;
        call.change = Some(Change::Call);
        call.has_offered = true;
        call.is_dialed_out = true;
        call.user = target;
        call.referral = referral;
        let conference = call.conference.clone();
        if let Purpose::Job(job) = call.purpose {
            self.job_calls(job, key);
        }
        self.calls.insert(key, call);
        if let Some(conference) = conference.and_then(|name| self.conferences.get_mut(&name)) {
            conference.members.push(key);
        }
        actions.counters.count(Counter::MrfcCallAttempted);
        let added = actions.mgc.as_mut().map(|mgc| {
            mgc.open_room(room);
            mgc.add_member(actions.now, room, MemberId(key.0), plan)
        });
        match added {
            Some(Ok(())) => {}
            Some(Err(error)) => self.media_failed(actions, key, error, true),
            None => self.end_call(actions, key, 503, "No media here"),
        }
        self.calls.contains_key(&key).then_some(key)
    }

    /// The INVITE to a user, without its offer.
    fn dial_out_invite(
        &self,
        actions: &mut Actions<'_>,
        purpose: &Purpose,
        target: &str,
        invitation: &Invitation,
    ) -> Option<(String, Message)> {
        UriBuf::parse(target)?;
        let tag = actions.stack.token();
        let (name, focus) = match purpose {
            Purpose::Conference(name) => (name.as_str(), ";isfocus"),
            _ => ("", ""),
        };
        let uri = actions.stack.addresses().uri(Role::Mrfc, name, 0);
        let call_id = actions.stack.token();
        let mut draft = Draft::request(&Method::Invite, target);
        draft
            .append(HeaderName::MaxForwards, "70")
            .append(HeaderName::From, &format!("<{uri}>;tag={tag}"))
            .append(HeaderName::To, &format!("<{target}>"))
            .append(HeaderName::CallId, &call_id)
            .append(HeaderName::CSeq, "1 INVITE")
            .append(HeaderName::Contact, &format!("<{uri}>{focus}"))
            .append(HeaderName::PAssertedIdentity, &format!("<{uri}>"))
            .append(HeaderName::Allow, ALLOW);
        invitation.write(&mut draft);
        Some((tag, draft.finish().ok()?))
    }

    /// The INVITE to a user leaves, now that it is known where media is received.
    pub(super) fn send_invite(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        local: std::net::SocketAddr,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let mut draft = call.invite.edit();
        let description = call.media.describe(local);
        draft.set_body("application/sdp", description.to_string());
        let Ok(invite) = draft.finish() else {
            return self.end_call(actions, key, 500, "");
        };
        call.invite = invite.clone();
        let uri = UriBuf::parse(invite.request_uri());
        let realm = &actions.config.realm;
        let is_home = uri.as_ref().is_some_and(|uri| {
            let uri = uri.view();
            !uri.is_sip() || uri.host_str().eq_ignore_ascii_case(realm)
        });
        let icscf = actions.config.icscf.map(|address| format!("sip:{address}"));
        let icscf = icscf.and_then(|uri| UriBuf::parse(&uri));
        let next = match (is_home, &uri, &icscf) {
            (true, ..) if actions.config.plays(Role::Icscf) => NextHop::Entity(Role::Icscf),
            (true, _, Some(icscf)) => NextHop::Uri(icscf.view()),
            (_, Some(uri), _) => NextHop::Uri(uri.view()),
            (_, None, _) => return self.end_call(actions, key, 404, ""),
        };
        let branch = actions
            .stack
            .send(actions.now, Role::Mrfc, invite.edit(), next);
        call.branch = Some(branch);
        self.by_branch.insert(branch, key);
        if let Some(name) = self.calls.get(&key).and_then(Call::roster_name) {
            let (name, user) = (name.to_owned(), self.calls[&key].user.clone());
            self.tell_roster(actions, &name, &user);
        }
    }

    /// A response to an INVITE that calls a user.
    pub(super) fn handle_callee(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        response: &Message,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let status = response.status().unwrap_or_default();
        if status < 200 {
            return;
        }
        if status >= 300 {
            call.branch = None;
            self.refer_outcome(actions, key, status);
            return self.end_call(actions, key, status, "");
        }
        let Ok(dialog) = Dialog::as_uac(&call.invite, response) else {
            return self.end_call(actions, key, 500, "");
        };
        acknowledge(actions, &dialog, response);
        if let Some(known) = &call.dialog {
            // Another of several answers: it is not wanted (RFC 3261 13.2.2.4).
            if known.id != dialog.id {
                let mut other = dialog;
                let bye = other.request(&Method::Bye);
                send(actions, &other, bye);
            }
            return;
        }
        self.by_dialog.insert(dialog.id.clone(), key);
        call.dialog = Some(dialog);
        call.stage = Stage::Confirmed;
        call.branch = None;
        call.has_offered = false;
        actions.counters.count(Counter::MrfcCallAnswered);
        let parts = super::body::parts(response).unwrap_or_default();
        let answer = parts.iter().find(|part| part.kind == "application/sdp");
        let taken = answer.map(|answer| call.media.take_answer(answer.content));
        if !matches!(taken, Some(Ok(()))) {
            self.refer_outcome(actions, key, 488);
            return self.end_call(actions, key, 488, "No usable answer");
        }
        call.answered_at = Some(actions.now);
        call.change = Some(Change::Answer);
        self.touched.insert(key);
        let plan = call.media.plan();
        if let Some(mgc) = &mut actions.mgc {
            mgc.set_member(actions.now, MemberId(key.0), plan);
        }
        self.refer_outcome(actions, key, 200);
        self.roster_changed(actions, key);
    }

    /// Who referred to a user, or asked for something to be done, is told what came of the call.
    pub(super) fn refer_outcome(&mut self, actions: &mut Actions<'_>, key: CallKey, status: u16) {
        self.job_outcome(key, status);
        let referral = self
            .calls
            .get_mut(&key)
            .and_then(|call| call.referral.take());
        if let Some(mut referral) = referral {
            let reason = sip::reason_phrase(status);
            self.tell_referral(actions, &mut referral, &format!("{status} {reason}"), true);
        }
    }

    /// Something of a call has changed that others in its conference hear of.
    pub(super) fn roster_changed(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        if let Some(call) = self.calls.get(&key)
            && let Some(name) = call.roster_name()
        {
            let (name, user) = (name.to_owned(), call.user.clone());
            self.tell_roster(actions, &name, &user);
        }
    }
}

/// A URI without what is of REFER alone.
fn plain(uri: Uri<'_>) -> String {
    let text = uri.without_headers();
    let mut kept = text.split(';');
    let mut plain = kept.next().unwrap_or_default().to_owned();
    for parameter in kept.filter(|it| !it.to_ascii_lowercase().starts_with("method=")) {
        plain.push(';');
        plain.push_str(parameter);
    }
    plain
}

fn is_same(one: &str, other: &str) -> bool {
    match (Uri::parse(one), Uri::parse(other)) {
        (Some(one), Some(other)) => one.canonical() == other.canonical(),
        _ => false,
    }
}
