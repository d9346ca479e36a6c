//! Requests within a call: BYE, re-INVITE, UPDATE, and refreshes of the session.

use std::time::Duration;

use base::Instant;
use sdp::Direction;
use sip::dialog::DialogId;
use sip::transaction::ServerId;
use sip::{HeaderName, Message, Method};

use super::call::{Call, Change, Role, State};
use super::config::{Cause, Error, Event};
use super::core::{ALLOW, Core, Purpose};
use super::talk::{SDP, SessionTimer, description};

/// What cannot be taken now is to be tried again in less than so many seconds (RFC 3261 14.2).
const RETRY_AFTER_BOUND_S: u64 = 10;

impl Call {
    /// Changes the direction of the stream: hold and resume.
    pub fn change(
        &mut self,
        now: Instant,
        core: &mut Core,
        method: Method,
        direction: Direction,
    ) -> Result<(), Error> {
        let busy = self.change.is_some() || self.retry.is_some();
        if self.state != State::Confirmed || busy {
            return Err(Error::Unexpected);
        }
        let change = Change {
            method,
            direction: Some(direction),
            request: None,
            sent: now,
        };
        self.send_change(now, core, change);
        Ok(())
    }

    /// Refreshes the session (RFC 4028 7.4).
    pub fn refresh(&mut self, now: Instant, core: &mut Core) {
        // A change under way refreshes as well.
        if self.state != State::Confirmed || self.change.is_some() {
            return;
        }
        let allowed = self.legs.first().is_some_and(|leg| leg.allows_update);
        let method = match core.config.policy.refresh_by_update && allowed {
            true => Method::Update,
            false => Method::Invite,
        };
        let change = Change {
            method,
            direction: None,
            request: None,
            sent: now,
        };
        self.send_change(now, core, change);
    }

    pub fn send_change(&mut self, now: Instant, core: &mut Core, mut change: Change) {
        let interval = self.timer.map(|timer| timer.interval);
        let min_se = self.caller.min_se;
        let purpose = Purpose::Change(self.id);
        let Some(leg) = self.legs.first_mut() else {
            return;
        };
        let mut draft = leg.dialog.request(&change.method);
        draft
            .append(HeaderName::Contact, &core.contact())
            .append(HeaderName::Allow, ALLOW)
            .append(HeaderName::Supported, "timer");
        if let Some(interval) = interval.or(core.config.policy.session_expires) {
            let value = format!("{};refresher=uac", interval.max(min_se.unwrap_or(0)));
            draft.append(HeaderName::SessionExpires, &value);
        }
        if let Some(min_se) = min_se {
            draft.append(HeaderName::MinSe, &min_se.to_string());
        }
        match change.direction {
            Some(direction) => {
                draft.set_body(SDP, leg.talk.offer_direction(&core.config, direction));
            }
            None if change.method == Method::Invite => {
                draft.set_body(SDP, leg.talk.offer(&core.config));
            }
            None => {}
        }
        let hop = core.hop(leg.dialog.next_hop());
        match core.send(now, hop, draft, purpose) {
            Ok((_, request)) => {
                change.request = Some(request);
                change.sent = now;
                self.change = Some(change);
            }
            Err(_) => self.withdraw(core, 500),
        }
    }

    fn withdraw(&mut self, core: &mut Core, status: u16) {
        if let Some(leg) = self.legs.first_mut() {
            leg.talk.withdraw();
        }
        let call = self.id;
        core.event(Event::ChangeRefused { call, status });
    }

    /// Takes a response to a re-INVITE or UPDATE; 408 or 503 without one stand for none.
    pub fn handle_change_response(
        &mut self,
        now: Instant,
        core: &mut Core,
        status: u16,
        response: Option<&Message>,
    ) {
        if status < 200 {
            return;
        }
        let number = |message: &Message| message.cseq().ok().map(|cseq| cseq.number);
        let answered = response.map(number);
        let asked = self
            .change
            .as_ref()
            .map(|change| change.request.as_ref().and_then(number));
        // A response to an earlier one: none of these waits for it any more.
        let again = answered.is_some_and(|answered| asked != Some(answered)) || asked.is_none();
        match (status, response) {
            // The 2xx came again: so must the ACK.
            (200..300, Some(_)) if again => {
                if let Some(leg) = self.legs.first()
                    && let Some(ack) = leg.ack.clone()
                    && Some(number(&ack)) == answered
                {
                    core.layer
                        .send_stateless(core.hop(leg.dialog.next_hop()), ack);
                }
            }
            _ if again => {}
            (200..300, Some(response)) => self.handle_change_success(now, core, response),
            _ => self.handle_change_failure(now, core, status, response),
        }
    }

    fn handle_change_success(&mut self, now: Instant, core: &mut Core, response: &Message) {
        let sent = self.change.as_ref().map_or(now, |change| change.sent);
        let request = self.change.take().and_then(|change| change.request);
        if let Some(invite) = request.filter(|request| request.is_method(&Method::Invite))
            && !self.legs.is_empty()
        {
            self.send_ack(core, 0, &invite, None);
        }
        let Some(leg) = self.legs.first_mut() else {
            return;
        };
        // A target that cannot be read stays as it was.
        let _ = leg.dialog.refresh_target(response);
        let before = leg.talk.agreed.clone();
        if leg.talk.awaits_answer() {
            let answer = description(response);
            if answer
                .and_then(|body| leg.talk.take_answer(body, true))
                .is_none()
            {
                leg.talk.withdraw();
                return self.leave_without_media(now, core);
            }
        }
        let agreed = leg
            .talk
            .agreed
            .clone()
            .filter(|new| before.as_ref() != Some(new));
        let call = self.id;
        if self.state != State::Confirmed {
            return;
        }
        // Without Session-Expires there is no session timer from here on (RFC 4028 7.2).
        // Counted from the request: the other end counts from when that came, not from when its
        // answer was heard.
        self.timer = SessionTimer::of_response(sent, response);
        if self.timer.is_some() {
            core.event(Event::Refreshed { call });
        }
        self.tell_media(core, agreed);
    }

    fn leave_without_media(&mut self, now: Instant, core: &mut Core) {
        if self.state == State::Confirmed {
            self.bye(now, core, Cause::NoMedia);
        }
    }

    fn handle_change_failure(
        &mut self,
        now: Instant,
        core: &mut Core,
        status: u16,
        response: Option<&Message>,
    ) {
        let Some(change) = self.change.take() else {
            return;
        };
        if self.state != State::Confirmed {
            return;
        }
        if let Some(leg) = self.legs.first_mut() {
            leg.talk.withdraw();
        }
        let change = Change {
            request: None,
            ..change
        };
        let min_se = response.and_then(|response| response.min_se().ok().flatten());
        let retry_after = response
            .and_then(|response| response.retry_after().ok().flatten())
            .map(|after| u64::from(after.seconds));
        match (status, min_se) {
            // RFC 3261 14.1: the owner of the Call-ID waits longer.
            (491, _) => {
                let tens_of_ms = match self.role {
                    Role::Caller => 210 + core.entropy.below(190),
                    Role::Callee => core.entropy.below(200),
                };
                let wait = Duration::from_millis(10 * tens_of_ms);
                self.retry = Some((now + wait, change));
            }
            // It came before something else was over (RFC 3261 14.2, RFC 3311 5.2).
            (500, _) if retry_after.is_some_and(|seconds| seconds <= RETRY_AFTER_BOUND_S) => {
                let wait = Duration::from_secs(retry_after.unwrap_or_default());
                self.retry = Some((now + wait, change));
            }
            (422, Some(min_se)) if self.caller.min_se.is_none_or(|old| old < min_se) => {
                self.caller.min_se = Some(min_se);
                self.send_change(now, core, change);
            }
            // RFC 3261 12.2.1.2, and 14.1 for a re-INVITE.
            (408 | 481, _) | (503, _) if response.is_none() || status != 503 => {
                self.bye(now, core, Cause::Lost);
            }
            _ => {
                let call = self.id;
                core.event(Event::ChangeRefused { call, status });
            }
        }
    }

    /// Takes a request within the call.
    pub fn handle_request(
        &mut self,
        now: Instant,
        core: &mut Core,
        server: ServerId,
        request: &Message,
        id: &DialogId,
    ) {
        let Some(index) = self.legs.iter().position(|leg| leg.dialog.id == *id) else {
            return;
        };
        if index > 0 && self.state != State::Ringing {
            // A leg that answered too late: its BYE crosses ours.
            let is_bye = request.is_method(&Method::Bye);
            let status = if is_bye { 200 } else { 481 };
            return self.respond(now, core, server, request, status);
        }
        // Of early dialogs none comes first but the one spoken to.
        self.legs.swap(0, index);
        if let Err(error) = self.legs[0].dialog.receive_request(request) {
            let draft = self.response(core, request, error.status(), "");
            core.respond(now, server, draft);
            return;
        }
        match request.method() {
            Some(Method::Bye) => self.handle_bye(now, core, server, request),
            _ if matches!(self.state, State::Leaving | State::Ended) => {
                self.respond(now, core, server, request, 481);
            }
            Some(Method::Prack) => self.handle_prack(now, core, server, request),
            Some(Method::Invite | Method::Update) => self.handle_change(now, core, server, request),
            Some(Method::Options) => self.respond(now, core, server, request, 200),
            _ => {
                let mut draft = self.response(core, request, 405, "");
                draft.append(HeaderName::Allow, ALLOW);
                core.respond(now, server, draft);
            }
        }
    }

    fn respond(
        &mut self,
        now: Instant,
        core: &mut Core,
        server: ServerId,
        request: &Message,
        status: u16,
    ) {
        let draft = self.response(core, request, status, "");
        core.respond(now, server, draft);
    }

    fn handle_bye(&mut self, now: Instant, core: &mut Core, server: ServerId, request: &Message) {
        self.respond(now, core, server, request, 200);
        match (self.role, self.state) {
            (Role::Callee, State::Ringing) => self.refuse(now, core, 487, Cause::HungUpThere),
            // Both hung up at once: the response to our BYE ends the call.
            (_, State::Leaving) => {}
            _ => self.end(now, core, Cause::HungUpThere),
        }
    }

    /// Takes a re-INVITE or an UPDATE.
    fn handle_change(
        &mut self,
        now: Instant,
        core: &mut Core,
        server: ServerId,
        request: &Message,
    ) {
        let is_invite = request.is_method(&Method::Invite);
        let offer = description(request);
        if let Some(status) = self.check_change(core, is_invite, offer.is_some()) {
            let mut draft = self.response(core, request, status, "");
            if status == 500 {
                // RFC 3261 14.2.
                let seconds = core.entropy.below(RETRY_AFTER_BOUND_S);
                draft.append(HeaderName::RetryAfter, &seconds.to_string());
            }
            core.respond(now, server, draft);
            return;
        }
        let Some(leg) = self.legs.first_mut() else {
            return;
        };
        let before = leg.talk.agreed.clone();
        let mut body = None;
        if let Some(offer) = offer {
            match leg.talk.take_offer(offer, &core.config) {
                Ok(answer) => body = Some(answer),
                Err((status, reason)) => {
                    let draft = self.response(core, request, status, &reason);
                    core.respond(now, server, draft);
                    return;
                }
            }
        } else if is_invite {
            body = Some(leg.talk.offer(&core.config));
        }
        // A target that cannot be read stays as it was.
        let _ = leg.dialog.refresh_target(request);
        let agreed = leg
            .talk
            .agreed
            .clone()
            .filter(|new| before.as_ref() != Some(new));
        let mut draft = self.response(core, request, 200, "");
        if let Some(body) = body {
            draft.set_body(SDP, body);
        }
        if self.state == State::Confirmed {
            self.start_session_timer(now, core, request, &mut draft);
        }
        match is_invite {
            true => self.succeed(now, core, server, draft),
            false => drop(core.respond(now, server, draft)),
        }
        if self.timer.is_some() && self.state == State::Confirmed {
            let call = self.id;
            core.event(Event::Refreshed { call });
        }
        self.tell_media(core, agreed);
    }

    /// Why a change cannot be taken now (RFC 3261 14.2, RFC 3311 5.2), or must not by the policy.
    fn check_change(&self, core: &Core, is_invite: bool, has_offer: bool) -> Option<u16> {
        let leg = self.legs.first()?;
        let offers = is_invite || has_offer;
        let own = self.change.as_ref();
        let glare = own.is_some_and(|own| own.method == Method::Invite && is_invite)
            || offers && leg.talk.awaits_answer();
        // An INVITE of theirs that has no answer yet.
        let unanswered = offers && self.callee.answer.is_some();
        if glare {
            Some(491)
        } else if unanswered
            || is_invite && (leg.success.is_some() || self.state != State::Confirmed)
        {
            Some(500)
        } else {
            core.config.policy.refuse_changes.filter(|_| offers)
        }
    }
}
