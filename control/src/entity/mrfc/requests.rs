//! Requests and responses of calls with the MRFC.

use std::net::SocketAddr;
use std::time::Duration;

use sip::dialog::{Acknowledgement, Dialog, DialogId, Retransmission};
use sip::header::{Refresher, SessionExpires};
use sip::session_timer::{Answer, Caller, Policy, Refusal as TimerRefusal, SessionTimer};
use sip::transaction::ServerId;
use sip::{HeaderName, Message, Method};

use msml::mrb::{self, Status};

use super::call::{Change, Reinvite, Stage, send};
use super::media::Media;
use super::service;
use super::{ALLOW, CallKey, Mrfc, body, capabilities, refusal};
use crate::config::Role;
use crate::entity::Actions;
use crate::mgc::{Family, MemberId};
use crate::stack::{BranchId, NextHop};

/// What we want of session timers (RFC 4028): the client refreshes where it can.
pub(super) fn session_policy(actions: &Actions<'_>) -> Policy {
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    Policy {
        interval: seconds(actions.config.session.expires),
        min_se: seconds(actions.config.session.min_se),
        refresher: Refresher::Uac,
    }
}

impl Mrfc {
    /// An INVITE outside of any dialog.
    pub(super) fn handle_invite(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        invite: &Message,
    ) {
        let reject = |actions: &mut Actions<'_>, status, reason| {
            actions
                .stack
                .reject(actions.now, server, invite, status, reason);
        };
        if let Err(TimerRefusal::TooSmall(least)) = Answer::to(&session_policy(actions), invite) {
            let mut draft = refusal(actions, invite, 422, "");
            draft.append(HeaderName::MinSe, &least.min_se.to_string());
            return actions.stack.respond(actions.now, server, &mut draft);
        }
        let Ok(uri) = invite.uri() else {
            return reject(actions, 416, "");
        };
        let own = actions.stack.addresses().own(uri);
        let token = own
            .filter(|own| own.role == Role::Mrfc)
            .map(|own| own.token);
        let service = match service::named(uri, &self.factory, token) {
            Ok(service) => service,
            Err(fault) => return reject(actions, fault.status, fault.reason),
        };
        let Some(parts) = body::parts(invite) else {
            return reject(actions, 400, "No usable body");
        };
        let offer = parts.iter().find(|part| part.kind == "application/sdp");
        let script = parts.iter().find(|part| part.kind == msml::CONTENT_TYPE);
        let script = script.map(|part| part.content.to_vec());
        let list = parts.iter().find(|part| part.kind == super::focus::LIST);
        let script = match service {
            service::Service::Factory => list.map(|part| part.content.to_vec()),
            _ => script,
        };
        let is_told = script.is_some() && service == service::Service::Msml;
        if offer.is_none() && !parts.is_empty() && !is_told {
            let mut draft = refusal(actions, invite, 415, "");
            draft.append(HeaderName::Accept, super::ACCEPT);
            return actions.stack.respond(actions.now, server, &mut draft);
        }
        let session_id = actions.entropy.next_u64() >> 1;
        let media = match offer {
            Some(offer) => Media::of_offer(session_id, offer.content),
            None => {
                let listener = actions.stack.addresses().listener(0);
                let family = listener.map_or(Family::V4, Family::of);
                Ok(Media::to_offer(session_id, family))
            }
        };
        let consumer = parts.iter().find(|part| part.kind == mrb::CONTENT_TYPE);
        let consumer = consumer.map(|part| part.content);
        match media {
            Ok(media) => {
                let advice = consumer.map(|asked| self.consult_in_line(actions, asked));
                if let Some(advice) = advice.as_ref().filter(|it| it.status != Status::Found) {
                    // RFC 6917 leaves it open with which status the dialog fails.
                    let mut draft = refusal(actions, invite, 503, "No such media resource");
                    draft.set_body(mrb::CONTENT_TYPE, advice.text.clone());
                    return actions.stack.respond(actions.now, server, &mut draft);
                }
                self.open_call(actions, server, invite, service, media, script);
                if let Some(advice) = advice {
                    self.set_brokered(self.by_server.get(&server).copied(), advice);
                }
            }
            Err(fault) => {
                let (status, reason) = fault.status();
                reject(actions, status, reason);
            }
        }
    }

    /// A request of a dialog.
    pub(super) fn handle_in_dialog(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
    ) {
        let id = DialogId::of_received_request(request).ok();
        let key = id.and_then(|id| self.by_dialog.get(&id).copied());
        let call = key.and_then(|key| self.calls.get_mut(&key));
        let (Some(key), Some(dialog)) = (key, call.and_then(|call| call.dialog.as_mut())) else {
            return actions.stack.reject(actions.now, server, request, 481, "");
        };
        if let Err(error) = dialog.receive_request(request) {
            let status = error.status();
            return actions
                .stack
                .reject(actions.now, server, request, status, "");
        }
        match request.method() {
            Some(Method::Bye) => {
                let _ = dialog;
                self.answer(actions, server, request, 200);
                if let Some(call) = self.forget_call(actions, key)
                    && let Some(server) = call.server
                {
                    // RFC 3261 15.1.2: what is pending ends too.
                    let mut draft = call.invite.response(487, "");
                    draft.to_tag(&call.tag);
                    actions.stack.respond(actions.now, server, &mut draft);
                }
            }
            Some(Method::Invite | Method::Update) => {
                self.handle_offer(actions, key, server, request);
            }
            Some(Method::Prack) => self.handle_prack(actions, key, server, request),
            Some(Method::Options) => {
                let mut draft = request.response(200, "");
                capabilities(&mut draft);
                actions.stack.respond(actions.now, server, &mut draft);
            }
            Some(Method::Refer) => self.handle_refer(actions, server, request, Some(key)),
            Some(Method::Info) => self.handle_info(actions, key, server, request),
            _ => {
                let mut draft = request.response(405, "");
                draft.append(HeaderName::Allow, ALLOW);
                actions.stack.respond(actions.now, server, &mut draft);
            }
        }
    }

    pub(super) fn answer(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
        status: u16,
    ) {
        let mut draft = request.response(status, "");
        actions.stack.respond(actions.now, server, &mut draft);
    }

    /// A re-INVITE, or an UPDATE (RFC 3261 14.2, RFC 3311 5.2).
    fn handle_offer(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        server: ServerId,
        request: &Message,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let is_update = request.is_method(&Method::Update);
        // One exchange at a time (RFC 3261 14.2, RFC 3311 5.2).
        if call.change.is_some() || call.has_offered || (!is_update && call.server.is_some()) {
            return self.answer(actions, server, request, 491);
        }
        let policy = session_policy(actions);
        if let Err(TimerRefusal::TooSmall(least)) = Answer::to(&policy, request) {
            let mut draft = request.response(422, "");
            draft.append(HeaderName::MinSe, &least.min_se.to_string());
            return actions.stack.respond(actions.now, server, &mut draft);
        }
        let parts = body::parts(request).unwrap_or_default();
        let offer = parts.iter().find(|part| part.kind == "application/sdp");
        let taken = offer.map(|offer| call.media.take_offer(offer.content));
        if let Some(Err(fault)) = taken {
            let (status, reason) = fault.status();
            return actions
                .stack
                .reject(actions.now, server, request, status, reason);
        }
        let before = actions
            .mgc
            .as_ref()
            .and_then(|mgc| mgc.local_of(MemberId(key.0)));
        let Some(local) = before else {
            return self.answer(actions, server, request, 500);
        };
        call.change = Some(Change::Offer(server, Box::new(request.clone())));
        if let (Some(Ok(())), Some(mgc)) = (taken, &mut actions.mgc) {
            let plan = call.media.plan();
            if mgc.set_member(actions.now, MemberId(key.0), plan) {
                return;
            }
        }
        // Nothing changes at the gateway.
        call.change = None;
        self.answer_offer(actions, key, server, request, local);
    }

    /// A further offer is in force: it is answered, or one is made where there was none.
    pub(super) fn answer_offer(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        server: ServerId,
        request: &Message,
        local: SocketAddr,
    ) {
        let contact = self.contact(actions, key);
        let policy = session_policy(actions);
        self.touch(key);
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let is_invite = request.is_method(&Method::Invite);
        let mut draft = request.response(200, "");
        draft
            .append(HeaderName::Contact, &contact)
            .append(HeaderName::Allow, ALLOW);
        let offers = call.media.is_to_offer();
        if is_invite || !offers {
            let description = call.media.describe(local);
            draft.set_body("application/sdp", description.to_string());
        }
        call.has_offered = is_invite && offers;
        if let Ok(answer) = Answer::to(&policy, request) {
            answer.write(&mut draft);
            let role = Some(Refresher::Uas);
            call.session = Some(SessionTimer::new(actions.now, answer.expires, role));
        }
        if let Some(dialog) = &mut call.dialog {
            // Without a usable Contact the target stays.
            let _ = dialog.refresh_target(request);
        }
        match draft.finish() {
            Ok(response) => {
                if is_invite {
                    let timers = actions.config.core;
                    let again = Retransmission::of_success(actions.now, timers, response.clone());
                    call.success = Some((server, again));
                }
                actions.stack.respond_with(actions.now, server, response);
            }
            Err(_) => self.answer(actions, server, request, 500),
        }
        self.restart_timer(actions, key);
        self.roster_changed(actions, key);
    }

    fn handle_prack(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        server: ServerId,
        request: &Message,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let rack = request.rack().ok().flatten();
        let provisionals = call.provisionals.as_mut();
        let taken = provisionals
            .zip(rack)
            .and_then(|(provisionals, rack)| provisionals.handle_prack(actions.now, &rack).ok());
        match taken {
            Some(Acknowledgement::Accepted(next)) => {
                if let (Some(next), Some(server)) = (next, call.server) {
                    actions.stack.respond_with(actions.now, server, next);
                }
                self.answer(actions, server, request, 200);
                self.take_answer(actions, key, request);
            }
            _ => self.answer(actions, server, request, 481),
        }
    }

    /// The ACK of a 2xx.
    pub(super) fn handle_ack(&mut self, actions: &mut Actions<'_>, ack: &Message) {
        let id = DialogId::of_received_request(ack).ok();
        let Some(key) = id.and_then(|id| self.by_dialog.get(&id).copied()) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.success.take().is_none() {
            return;
        }
        if call.stage == Stage::Answered {
            call.stage = Stage::Confirmed;
            self.touched.insert(key);
        }
        self.take_answer(actions, key, ack);
    }

    /// What a call is for begins, with the answer to our offer where we made one: it is in an ACK,
    /// or in a PRACK (RFC 3262 5).
    fn take_answer(&mut self, actions: &mut Actions<'_>, key: CallKey, request: &Message) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if !std::mem::take(&mut call.has_offered) {
            self.start(actions, key);
            return self.restart_timer(actions, key);
        }
        let parts = body::parts(request).unwrap_or_default();
        let answer = parts.iter().find(|part| part.kind == "application/sdp");
        let taken = answer.map(|answer| call.media.take_answer(answer.content));
        match taken {
            Some(Ok(())) => {
                self.touched.insert(key);
                let plan = call.media.plan();
                call.change = Some(Change::Answer);
                let mgc = actions.mgc.as_mut();
                if !mgc.is_some_and(|mgc| mgc.set_member(actions.now, MemberId(key.0), plan)) {
                    call.change = None;
                    self.start(actions, key);
                }
                self.restart_timer(actions, key);
            }
            _ => self.end_call(actions, key, 488, "No usable answer"),
        }
    }

    /// An INVITE was cancelled.
    pub(super) fn handle_cancel(&mut self, actions: &mut Actions<'_>, server: ServerId) {
        if let Some(&key) = self.by_server.get(&server) {
            self.end_call(actions, key, 487, "");
        }
    }

    // ---- requests of ours ----

    /// Offers the same again, from where the gateway receives now.
    pub(super) fn reinvite_from_here(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        reinvite: Reinvite,
    ) {
        let mgc = actions.mgc.as_ref();
        if let Some(local) = mgc.and_then(|mgc| mgc.local_of(MemberId(key.0))) {
            self.reinvite(actions, key, local, reinvite);
        }
    }

    /// Offers the same again, from here. While the peer is being answered, or has still to answer
    /// us, it waits (RFC 3261 14.1).
    pub(super) fn reinvite(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        local: SocketAddr,
        reinvite: Reinvite,
    ) {
        let contact = self.contact(actions, key);
        let caller = Caller::new(session_policy(actions));
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.has_offered || call.change.is_some() || call.success.is_some() {
            return self.reinvite_later(actions, key, reinvite);
        }
        let Some(dialog) = &mut call.dialog else {
            return;
        };
        let mut draft = dialog.request(&Method::Invite);
        draft
            .append(HeaderName::Contact, &contact)
            .append(HeaderName::Allow, ALLOW);
        if let Some(session) = &call.session {
            // Who refreshes stays the one who did (RFC 4028 7.4).
            let refresher = match session.refresh().is_some() || reinvite == Reinvite::Refresh {
                true => Refresher::Uac,
                false => Refresher::Uas,
            };
            caller.write(&mut draft, Some(refresher));
        }
        let description = call.media.describe(local);
        draft.set_body("application/sdp", description.to_string());
        call.has_offered = true;
        call.reinvite = Some((reinvite, None));
        if let Some(branch) = send(actions, dialog, draft) {
            self.by_branch.insert(branch, key);
        }
        self.touch(key);
    }

    /// A re-INVITE crossed with one of the peer, or the like: it is tried again in a while (RFC
    /// 3261 14.1).
    pub(super) fn reinvite_later(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        reinvite: Reinvite,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let tens = match call.is_dialed_out {
            true => 210 + actions.entropy.below(191),
            false => actions.entropy.below(201),
        };
        let at = actions.now + Duration::from_millis(10 * tens);
        call.reinvite = Some((reinvite, Some(at)));
        self.restart_timer(actions, key);
    }

    /// The peer has answered a re-INVITE of ours.
    fn reinvited(&mut self, actions: &mut Actions<'_>, key: CallKey, response: &Message) {
        let policy = session_policy(actions);
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(dialog) = &mut call.dialog else {
            return;
        };
        let _ = dialog.refresh_target(response);
        acknowledge(actions, dialog, response);
        if call.reinvite.take().is_none() {
            // The same 2xx again.
            return;
        }
        call.has_offered = false;
        self.touched.insert(key);
        if call.session.is_some() {
            // A peer that does not know of timers says nothing of them: we refresh.
            let agreed = Caller::new(policy).handle_success(response).ok().flatten();
            let expires = agreed.unwrap_or(SessionExpires {
                seconds: policy.interval,
                refresher: Some(Refresher::Uac),
            });
            let timer = SessionTimer::new(actions.now, expires, Some(Refresher::Uac));
            call.session = Some(timer);
        }
        let parts = body::parts(response).unwrap_or_default();
        let answer = parts.iter().find(|part| part.kind == "application/sdp");
        let taken = answer.map(|answer| call.media.take_answer(answer.content));
        let plan = call.media.plan();
        match taken {
            Some(Ok(())) => {
                if let Some(mgc) = &mut actions.mgc {
                    mgc.set_member(actions.now, MemberId(key.0), plan);
                }
                self.restart_timer(actions, key);
                self.roster_changed(actions, key);
            }
            _ => self.end_call(actions, key, 488, "No usable answer"),
        }
    }

    /// The peer has refused a re-INVITE of ours (RFC 3261 12.2.1.2, 14.1).
    fn reinvite_refused(&mut self, actions: &mut Actions<'_>, key: CallKey, status: u16) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let Some((reinvite, _)) = call.reinvite.take() else {
            return;
        };
        call.has_offered = false;
        call.media.withdraw();
        match (status, reinvite) {
            (408 | 481, _) => self.end_call(actions, key, 408, ""),
            (491, _) => self.reinvite_later(actions, key, reinvite),
            (_, Reinvite::Move) => self.end_call(actions, key, 500, "Media cannot be moved"),
            // All is as before; the session ends when it is not refreshed.
            (_, Reinvite::Refresh) => self.touch(key),
        }
    }

    /// A response to a request of ours.
    pub(super) fn handle_response(
        &mut self,
        actions: &mut Actions<'_>,
        branch: BranchId,
        response: &Message,
    ) {
        if let Some(invite) = self.unwanted.get(&branch) {
            if let (Some(200..300), Ok(mut dialog)) =
                (response.status(), Dialog::as_uac(invite, response))
            {
                acknowledge(actions, &dialog, response);
                let bye = dialog.request(&Method::Bye);
                send(actions, &dialog, bye);
            }
            return;
        }
        let Some(&key) = self.by_branch.get(&branch) else {
            return;
        };
        let Ok(cseq) = response.cseq() else { return };
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        if call.is_dialed_out && cseq.method == Method::Invite && cseq.number == 1 {
            return self.handle_callee(actions, key, response);
        }
        match (response.status(), cseq.method) {
            (Some(200..300), Method::Invite) => self.reinvited(actions, key, response),
            (Some(status @ 300..), Method::Invite) => self.reinvite_refused(actions, key, status),
            (Some(408 | 481), _) => self.end_call(actions, key, 408, ""),
            (Some(200..), Method::Info) => self.informed(actions, key),
            _ => {}
        }
    }

    /// No response comes to a request of ours.
    pub(super) fn handle_failure(
        &mut self,
        actions: &mut Actions<'_>,
        branch: BranchId,
        status: u16,
    ) {
        if let Some(&key) = self.by_branch.get(&branch) {
            if let Some(call) = self.calls.get_mut(&key) {
                call.branch = None;
            }
            self.refer_outcome(actions, key, status);
            self.end_call(actions, key, status, "");
        }
    }
}

/// The ACK of a 2xx to an INVITE of ours.
pub(super) fn acknowledge(actions: &mut Actions<'_>, dialog: &Dialog, response: &Message) {
    let Ok(draft) = dialog.ack(response) else {
        return;
    };
    if let Some(next) = sip::UriBuf::parse(dialog.next_hop()) {
        let next = NextHop::Uri(next.view());
        actions.stack.send_ack(actions.now, Role::Mrfc, draft, next);
    }
}
