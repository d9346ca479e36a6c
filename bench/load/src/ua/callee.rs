//! The callee's side of an INVITE, RFC 3261 13.3.

use base::Instant;
use sdp::{Agent, Origin};
use sip::dialog::{Acknowledgement, Dialog, Provisionals, Retransmission};
use sip::transaction::ServerId;
use sip::{Draft, HeaderName, Message};

use super::call::{Call, Leg, Role, State};
use super::config::{CallId, Cause, Error, Event, Reliable, Step};
use super::core::Core;
use super::talk::{SDP, SessionTimer, Talk, description};

/// A refusal of a request: status, reason phrase, and a header that explains it.
pub(super) struct Refusal {
    pub status: u16,
    pub reason: String,
    pub header: Option<(HeaderName, String)>,
}

impl Refusal {
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            header: None,
        }
    }

    fn with(status: u16, name: HeaderName, value: impl Into<String>) -> Self {
        Self {
            header: Some((name, value.into())),
            ..Self::new(status, "")
        }
    }
}

impl Call {
    /// Takes an INVITE that opens a call.
    ///
    /// # Errors
    /// How to refuse it.
    pub fn receive(
        id: CallId,
        now: Instant,
        core: &mut Core,
        port: u16,
        server: ServerId,
        request: &Message,
    ) -> Result<Self, Refusal> {
        check_extensions(core, request)?;
        let local = (core.config.media_ip, port).into();
        let origin = Origin::new(core.entropy.next_u32().into(), core.config.media_ip);
        let protects = core.config.protects_media;
        let talk = Talk::new(Agent::new(origin), local, protects, &mut core.entropy);
        let mut call = Self::new(id, Role::Callee, talk, core);
        // The dialog is that of any response with the tag; a 180 stands for it.
        let opened = call.response(core, request, 180, "").finish();
        let opened = opened.map_err(|error| Refusal::new(400, error.to_string()))?;
        let dialog = Dialog::as_uas(request, &opened);
        let dialog = dialog.map_err(|invalid| Refusal::new(400, invalid.reason()))?;
        let mut leg = Leg::new(dialog, call.talk.clone());
        if let Some(body) = description(request) {
            let answer = leg.talk.take_offer(body, &core.config);
            let answer = answer.map_err(|(status, reason)| Refusal::new(status, reason))?;
            call.callee.answer = Some(answer);
        } else if !request.body().is_empty() {
            return Err(Refusal::with(415, HeaderName::Accept, SDP));
        }
        call.legs.push(leg);
        call.invite = Some(request.clone());
        call.callee.server = Some(server);
        call.callee.steps = core.config.policy.incoming.iter().cloned().collect();
        let takes = |name| request.has_token(name, "100rel");
        let wanted = takes(HeaderName::Supported) || takes(HeaderName::Require);
        if wanted && core.config.policy.reliable != Reliable::Unsupported {
            let provisionals = Provisionals::new(core.timers(), &mut core.entropy);
            call.callee.provisionals = Some(provisionals);
        }
        call.legs[0].allow(request);
        core.event(Event::Port { call: id, local });
        call.tell_incoming(core, request);
        call.run_steps(now, core);
        Ok(call)
    }

    fn tell_incoming(&self, core: &mut Core, request: &Message) {
        let from = request.from().map(|from| from.uri.as_str().to_owned());
        let asserted = request.asserted_identities().flatten().next();
        core.event(Event::Incoming {
            call: self.id,
            from: from.unwrap_or_default(),
            asserted: asserted.map(|addr| addr.uri.as_str().to_owned()),
        });
    }

    /// Does what the policy has for an incoming call, up to the next pause.
    pub fn run_steps(&mut self, now: Instant, core: &mut Core) {
        while self.state == State::Ringing
            && let Some(step) = self.callee.steps.pop_front()
        {
            match step {
                Step::Wait(duration) => {
                    self.callee.step_at = Some(now + duration);
                    return;
                }
                Step::Ring => self.ring(now, core, 180),
                Step::Progress => self.ring(now, core, 183),
                Step::Answer => drop(self.answer(now, core)),
                Step::Reject(status) => {
                    let reason = sip::reason_phrase(status).to_owned();
                    self.refuse(now, core, status, Cause::Refused { status, reason });
                }
                Step::Redirect(contacts) => self.redirect(now, core, &contacts),
            }
        }
    }

    /// Sends a provisional response; 183 describes early media.
    pub fn ring(&mut self, now: Instant, core: &mut Core, status: u16) {
        let (Some(server), Some(invite)) = (self.callee.server, self.invite.clone()) else {
            return;
        };
        if self.state != State::Ringing {
            return;
        }
        let mut draft = self.response(core, &invite, status, "");
        let mut agreed = None;
        if status == 183 {
            agreed = self.describe_early(core, &mut draft);
        }
        match &mut self.callee.provisionals {
            Some(provisionals) => {
                // More than wait for PRACK already are not sent: the call goes on without.
                if let Ok(Some(message)) = provisionals.send(now, draft) {
                    core.respond_again(now, server, message);
                }
            }
            None => drop(core.respond(now, server, draft)),
        }
        self.tell_media(core, agreed);
    }

    /// Adds the answer, or an offer where the INVITE had none and the response is reliable.
    fn describe_early(&mut self, core: &Core, draft: &mut Draft) -> Option<sdp::Agreed> {
        let reliable = self.callee.provisionals.is_some();
        let talk = &mut self.legs.first_mut()?.talk;
        if let Some(answer) = self.callee.answer.clone() {
            draft.set_body(SDP, answer);
            draft.append(HeaderName::PEarlyMedia, "sendrecv");
            if reliable {
                self.callee.answer = None;
                self.callee.described = true;
            }
            return talk.agreed.clone();
        }
        if reliable && talk.agreed.is_none() && !talk.awaits_answer() {
            draft.set_body(SDP, talk.offer(&core.config));
            self.callee.described = true;
        }
        None
    }

    /// Answers: 200, as soon as no PRACK is missing that it must wait for (RFC 3262 3).
    pub fn answer(&mut self, now: Instant, core: &mut Core) -> Result<(), Error> {
        let (Some(server), Some(invite)) = (self.callee.server, self.invite.clone()) else {
            return Err(Error::Unexpected);
        };
        if self.role != Role::Callee || self.state != State::Ringing {
            return Err(Error::Unexpected);
        }
        let provisionals = self.callee.provisionals.as_mut();
        if self.callee.described && provisionals.is_some_and(|p| p.is_pending()) {
            self.callee.answer_waits = true;
            return Ok(());
        }
        if let Some(provisionals) = &mut self.callee.provisionals {
            provisionals.stop();
        }
        let mut draft = self.response(core, &invite, 200, "");
        let talk = &mut self.legs.first_mut().ok_or(Error::Unexpected)?.talk;
        if let Some(answer) = self.callee.answer.take() {
            draft.set_body(SDP, answer);
        } else if talk.agreed.is_none() && !talk.awaits_answer() {
            draft.set_body(SDP, talk.offer(&core.config));
        }
        let agreed = talk.agreed.clone();
        self.start_session_timer(now, core, &invite, &mut draft);
        self.state = State::Answered;
        self.succeed(now, core, server, draft);
        self.tell_media(core, agreed);
        Ok(())
    }

    /// Runs the session timer the request asks for, and says so in its 2xx.
    pub fn start_session_timer(
        &mut self,
        now: Instant,
        core: &Core,
        request: &Message,
        draft: &mut Draft,
    ) {
        let asked = SessionTimer::of_request(now, request, &core.config);
        self.timer = asked.as_ref().map(|(timer, _)| *timer);
        for (name, value) in asked.iter().flat_map(|(_, headers)| headers) {
            if !value.is_empty() {
                draft.append(*name, value);
            }
        }
    }

    /// Sends a 2xx to INVITE, again and again until its ACK.
    pub fn succeed(&mut self, now: Instant, core: &mut Core, server: ServerId, draft: Draft) {
        let message = core.respond(now, server, draft);
        let (Some(message), Some(leg)) = (message, self.legs.first_mut()) else {
            return self.end(now, core, Cause::Lost);
        };
        leg.offered_in_success = description(&message).is_some() && leg.talk.awaits_answer();
        leg.dialog.state = sip::dialog::DialogState::Confirmed;
        let repeat = Retransmission::of_success(now, core.timers(), message);
        leg.success = Some((server, repeat));
    }

    /// Refuses the INVITE.
    pub fn refuse(&mut self, now: Instant, core: &mut Core, status: u16, cause: Cause) {
        if let (Some(server), Some(invite)) = (self.callee.server, self.invite.clone()) {
            let draft = self.response(core, &invite, status, "");
            core.respond(now, server, draft);
        }
        self.end(now, core, cause);
    }

    fn redirect(&mut self, now: Instant, core: &mut Core, contacts: &[String]) {
        if let (Some(server), Some(invite)) = (self.callee.server, self.invite.clone()) {
            let mut draft = self.response(core, &invite, 302, "");
            for contact in contacts {
                draft.append(HeaderName::Contact, &format!("<{contact}>"));
            }
            core.respond(now, server, draft);
        }
        let (status, reason) = (302, sip::reason_phrase(302).to_owned());
        self.end(now, core, Cause::Refused { status, reason });
    }

    /// The caller gave up (RFC 3261 9.2).
    pub fn handle_cancel(&mut self, now: Instant, core: &mut Core) {
        if self.state == State::Ringing {
            self.refuse(now, core, 487, Cause::Cancelled);
        }
    }

    /// Takes a PRACK, RFC 3262 3.
    pub fn handle_prack(
        &mut self,
        now: Instant,
        core: &mut Core,
        server: ServerId,
        request: &Message,
    ) {
        let rack = request.rack().ok().flatten();
        let provisionals = self.callee.provisionals.as_mut();
        let taken = provisionals
            .zip(rack)
            .map(|(provisionals, rack)| provisionals.handle_prack(now, &rack));
        let next = match taken {
            Some(Ok(Acknowledgement::Accepted(next))) => next,
            _ => {
                let draft = self.response(core, request, 481, "");
                core.respond(now, server, draft);
                return;
            }
        };
        let mut draft = self.response(core, request, 200, "");
        let mut agreed = None;
        if let (Some(body), Some(leg)) = (description(request), self.legs.first_mut()) {
            if leg.talk.awaits_answer() {
                agreed = leg.talk.take_answer(body, true);
            } else if let Ok(answer) = leg.talk.take_offer(body, &core.config) {
                draft.set_body(SDP, answer);
                agreed = leg.talk.agreed.clone();
            }
        }
        core.respond(now, server, draft);
        self.tell_media(core, agreed);
        if let (Some(message), Some(invite)) = (next, self.callee.server) {
            core.respond_again(now, invite, message);
        }
        if std::mem::take(&mut self.callee.answer_waits) {
            // It was to be answered, and only waited for this.
            let _ = self.answer(now, core);
        }
    }

    /// Takes the ACK of a 2xx.
    pub fn handle_ack(&mut self, now: Instant, core: &mut Core, ack: &Message) {
        let Some(leg) = self.legs.first_mut() else {
            return;
        };
        let number = |message: &Message| message.cseq().ok().map(|cseq| cseq.number);
        let answered = leg
            .success
            .as_ref()
            .map(|(_, repeat)| number(repeat.response()));
        if answered != Some(number(ack)) {
            return;
        }
        leg.success = None;
        let mut agreed = None;
        let mut missing = false;
        // An offer of this end in a later UPDATE or re-INVITE is answered there.
        if leg.offered_in_success && leg.talk.awaits_answer() {
            agreed = description(ack).and_then(|body| leg.talk.take_answer(body, true));
            missing = agreed.is_none();
        }
        if self.state == State::Answered {
            self.state = State::Confirmed;
            let call = self.id;
            core.event(Event::Established { call });
        }
        self.tell_media(core, agreed);
        if self.state != State::Confirmed {
            return;
        }
        if missing {
            self.bye(now, core, Cause::NoMedia);
        } else if let Some(cause) = self.cause.take() {
            self.bye(now, core, cause);
        }
    }
}

/// What an INVITE may require, and the least session interval.
fn check_extensions(core: &Core, request: &Message) -> Result<(), Refusal> {
    let policy = &core.config.policy;
    let known = |tag: &str| match tag.to_ascii_lowercase().as_str() {
        "100rel" => policy.reliable != Reliable::Unsupported,
        "timer" => true,
        _ => false,
    };
    let unknown: Vec<&str> = request
        .values(HeaderName::Require)
        .filter(|tag| !known(tag))
        .collect();
    if !unknown.is_empty() {
        let value = unknown.join(", ");
        return Err(Refusal::with(420, HeaderName::Unsupported, value));
    }
    match request.session_expires() {
        Ok(Some(asked)) if asked.seconds < policy.min_se => {
            let value = policy.min_se.to_string();
            Err(Refusal::with(422, HeaderName::MinSe, value))
        }
        Ok(_) => Ok(()),
        Err(invalid) => Err(Refusal::new(400, invalid.reason())),
    }
}
