//! The caller's side of an INVITE, RFC 3261 13.2.

use base::Instant;
use sdp::{Agent, Origin};
use sip::dialog::{Dialog, ReliableOrder};
use sip::digest::Request;
use sip::{Contact, Draft, HeaderName, Message, Method};

use super::authentication::Answer;
use super::call::{Call, LEGS_MAX, Leg, Role, State};
use super::config::{CallId, Cause, Error, Event, Reliable};
use super::core::{ALLOW, Core, Purpose};
use super::talk::{SDP, SessionTimer, Talk, description};

/// Most contacts of redirections that are tried.
const CONTACTS_MAX: usize = 16;

impl Call {
    /// Calls somebody.
    pub fn dial(
        id: CallId,
        now: Instant,
        core: &mut Core,
        port: u16,
        target: &str,
    ) -> Result<Self, Error> {
        let local = (core.config.media_ip, port).into();
        let origin = Origin::new(core.entropy.next_u32().into(), core.config.media_ip);
        let protects = core.config.protects_media;
        let talk = Talk::new(Agent::new(origin), local, protects, &mut core.entropy);
        let mut call = Self::new(id, Role::Caller, talk, core);
        call.caller.call_id = core.entropy.token_string();
        call.caller.target = target.to_owned();
        let opened = core.outputs.len();
        core.event(Event::Port { call: id, local });
        call.send_invite(now, core, None)
            .inspect_err(|_| core.outputs.truncate(opened))?;
        Ok(call)
    }

    /// Sends the INVITE, or sends it anew with what a response asked for.
    fn send_invite(
        &mut self,
        now: Instant,
        core: &mut Core,
        credentials: Option<(HeaderName, String)>,
    ) -> Result<(), Error> {
        self.caller.cseq += 1;
        self.legs.clear();
        let impu = core.associated.first().unwrap_or(&core.config.impu).clone();
        let target = &self.caller.target;
        let mut draft = Draft::request(&Method::Invite, target);
        draft.append(HeaderName::MaxForwards, "70");
        for route in core.routes() {
            draft.append(HeaderName::Route, &route);
        }
        draft
            .append(
                HeaderName::From,
                &format!("<{impu}>;tag={}", self.local_tag),
            )
            .append(HeaderName::To, &format!("<{target}>"))
            .append(HeaderName::CallId, &self.caller.call_id)
            .append(HeaderName::CSeq, &format!("{} INVITE", self.caller.cseq))
            .append(HeaderName::Contact, &core.contact())
            .append(HeaderName::Allow, ALLOW)
            .append(HeaderName::Accept, SDP)
            .append(HeaderName::PEarlyMedia, "supported");
        if core.config.policy.preferred_identity {
            draft.append(HeaderName::PPreferredIdentity, &format!("<{impu}>"));
        }
        self.describe_extensions(core, &mut draft);
        if let Some((name, value)) = &credentials {
            draft.append(*name, value);
        }
        if core.config.policy.early_offer {
            self.talk.withdraw();
            draft.set_body(SDP, self.talk.offer(&core.config));
        }
        let purpose = Purpose::Invite(self.id);
        let (client, invite) = core.send(now, core.proxy(), draft, purpose)?;
        self.caller.client = Some(client);
        self.invite = Some(invite);
        Ok(())
    }

    fn describe_extensions(&self, core: &Core, draft: &mut Draft) {
        let policy = &core.config.policy;
        draft.append(HeaderName::Supported, core.supported());
        if policy.reliable == Reliable::Required {
            draft.append(HeaderName::Require, "100rel");
        }
        let min_se = self.caller.min_se;
        if let Some(interval) = policy.session_expires.max(min_se) {
            draft.append(HeaderName::SessionExpires, &interval.to_string());
        }
        if let Some(min_se) = min_se {
            draft.append(HeaderName::MinSe, &min_se.to_string());
        }
    }

    /// Takes a response to the INVITE; 408 or 503 without one stand for none.
    pub fn handle_invite_response(
        &mut self,
        now: Instant,
        core: &mut Core,
        status: u16,
        response: Option<&Message>,
    ) {
        match (status, response) {
            (100, _) => {}
            (101..200, Some(response)) => self.handle_progress(now, core, status, response),
            (200..300, Some(response)) => self.handle_success(now, core, response),
            // A branch that failed after another answered says nothing any more.
            _ if self.state != State::Ringing => {}
            (_, Some(response)) => self.handle_failure(now, core, status, response),
            (_, None) => self.give_up(now, core, status, "No response"),
        }
    }

    fn handle_progress(&mut self, now: Instant, core: &mut Core, status: u16, response: &Message) {
        if self.state != State::Ringing {
            return;
        }
        let tag = response.to_tag().unwrap_or_default().to_owned();
        let call = self.id;
        let Some(index) = self.leg_of(response) else {
            // Without a dialog it can only be told.
            return core.event(Event::Progress { call, status, tag });
        };
        let leg = &mut self.legs[index];
        let rseq = response.rseq().ok().flatten();
        let reliable = rseq.filter(|_| response.has_token(HeaderName::Require, "100rel"));
        if let Some(rseq) = reliable
            && leg.rseq.receive(rseq) != ReliableOrder::Next
        {
            return;
        }
        core.event(Event::Progress { call, status, tag });
        let mut answer = None;
        let mut agreed = None;
        if let Some(body) = description(response) {
            if leg.talk.awaits_answer() {
                let before = leg.talk.agreed.clone();
                agreed = leg.talk.take_answer(body, reliable.is_some());
                agreed = agreed.filter(|agreed| Some(agreed) != before.as_ref());
            } else if reliable.is_some() && leg.talk.agreed.is_none() {
                answer = leg.talk.take_offer(body, &core.config).ok();
                agreed = leg.talk.agreed.clone();
            }
        }
        if reliable.is_some() {
            self.send_prack(now, core, index, response, answer);
        }
        self.tell_media(core, agreed);
    }

    /// Acknowledges a reliable provisional response, RFC 3262 4.
    fn send_prack(
        &mut self,
        now: Instant,
        core: &mut Core,
        index: usize,
        response: &Message,
        answer: Option<String>,
    ) {
        let leg = &mut self.legs[index];
        let Ok(mut draft) = leg.dialog.prack(response) else {
            return;
        };
        if let Some(answer) = answer {
            draft.set_body(SDP, answer);
        }
        let hop = core.hop(leg.dialog.next_hop());
        // Without room for it the response comes again, and so does the chance.
        let _ = core.send(now, hop, draft, Purpose::Prack(self.id));
    }

    /// The leg a response belongs to, made where it is new.
    fn leg_of(&mut self, response: &Message) -> Option<usize> {
        let tag = response.to_tag().unwrap_or_default();
        if let Some(index) = self.leg(tag) {
            return Some(index);
        }
        let dialog = Dialog::as_uac(self.invite.as_ref()?, response).ok()?;
        if self.legs.len() == LEGS_MAX {
            return None;
        }
        self.legs.push(Leg::new(dialog, self.talk.clone()));
        Some(self.legs.len() - 1)
    }

    fn handle_success(&mut self, now: Instant, core: &mut Core, response: &Message) {
        let Some(index) = self.leg_of(response) else {
            // No Contact: there is nobody to acknowledge to.
            return;
        };
        if self.legs[index].answered {
            let leg = &self.legs[index];
            if let Some(ack) = leg.ack.clone() {
                core.layer
                    .send_stateless(core.hop(leg.dialog.next_hop()), ack);
            }
            return;
        }
        let leg = &mut self.legs[index];
        leg.answered = true;
        leg.allow(response);
        // What it cannot read it leaves as the provisional response had it.
        let _ = leg.dialog.confirm(response);
        let described = self.read_final_description(core, index, response);
        let answer = described.as_ref().ok().cloned().flatten();
        if let Some(invite) = self.invite.clone() {
            self.send_ack(core, index, &invite, answer);
        }
        if self.state != State::Ringing {
            return self.say_farewell(now, core, index);
        }
        // The call is this leg from here on; the other early dialogs are over (RFC 3261 13.2.2.4).
        self.legs.swap(0, index);
        self.legs.truncate(1);
        if let Some(cause) = self.cause.take() {
            return self.bye(now, core, cause);
        }
        self.state = State::Confirmed;
        if described.is_err() || self.legs[0].talk.agreed.is_none() {
            return self.bye(now, core, Cause::NoMedia);
        }
        self.timer = SessionTimer::of_response(now, response);
        let call = self.id;
        core.event(Event::Established { call });
        let agreed = self.legs[0].talk.agreed.clone();
        self.tell_media(core, agreed);
    }

    /// Reads the description of a 2xx: the answer, or an offer to be answered in ACK.
    fn read_final_description(
        &mut self,
        core: &Core,
        index: usize,
        response: &Message,
    ) -> Result<Option<String>, ()> {
        let talk = &mut self.legs[index].talk;
        match description(response) {
            Some(body) if talk.awaits_answer() => {
                talk.take_answer(body, true).map(|_| None).ok_or(())
            }
            Some(body) if talk.agreed.is_none() => {
                talk.take_offer(body, &core.config).map(Some).map_err(drop)
            }
            // The answer came before; one that is repeated says nothing new (RFC 3261 13.2.1).
            _ => Ok(None),
        }
    }

    /// Acknowledges a 2xx to this INVITE.
    pub fn send_ack(
        &mut self,
        core: &mut Core,
        index: usize,
        invite: &Message,
        answer: Option<String>,
    ) {
        let leg = &mut self.legs[index];
        let draft = leg.dialog.ack(invite).ok();
        let Some(mut draft) = draft.filter(|_| !core.config.policy.never_ack) else {
            return;
        };
        if let Some(answer) = answer {
            draft.set_body(SDP, answer);
        }
        let hop = core.hop(leg.dialog.next_hop());
        leg.ack = core.send_ack(hop, draft);
    }

    /// Ends a leg that answered when the call was somebody else's already.
    fn say_farewell(&mut self, now: Instant, core: &mut Core, index: usize) {
        let leg = &mut self.legs[index];
        let draft = leg.dialog.request(&Method::Bye);
        let hop = core.hop(leg.dialog.next_hop());
        let _ = core.send(now, hop, draft, Purpose::Farewell);
    }

    fn handle_failure(&mut self, now: Instant, core: &mut Core, status: u16, response: &Message) {
        self.caller.client = None;
        if self.cause.is_none() && self.try_again(now, core, status, response) {
            return;
        }
        self.give_up(now, core, status, response.reason());
    }

    /// Sends the INVITE anew where the response says how: credentials, session interval, another
    /// contact.
    fn try_again(
        &mut self,
        now: Instant,
        core: &mut Core,
        status: u16,
        response: &Message,
    ) -> bool {
        let credentials = match status {
            401 | 407 if !self.caller.challenged => {
                self.caller.challenged = true;
                match self.answer_challenge(core, status, response) {
                    Some(credentials) => Some(credentials),
                    None => return false,
                }
            }
            422 => match response.min_se().ok().flatten() {
                Some(min_se) if self.caller.min_se.is_none_or(|before| before < min_se) => {
                    self.caller.min_se = Some(min_se);
                    None
                }
                _ => return false,
            },
            300..=399 if core.config.policy.follow_redirects => {
                let contacts = response.contacts().flatten().filter_map(Contact::addr);
                // Each is tried once (RFC 3261 8.1.3.4).
                for uri in contacts.map(|contact| contact.uri.without_headers()) {
                    let known = self.caller.contacts.iter().any(|known| known == uri);
                    if !known && self.caller.contacts.len() < CONTACTS_MAX {
                        self.caller.contacts.push(uri.to_owned());
                    }
                }
                None
            }
            _ => None,
        };
        let again = matches!(status, 401 | 407 | 422);
        if !again {
            let Some(contact) = self.caller.contacts.get(self.caller.contacts_tried) else {
                return false;
            };
            self.caller.target = contact.clone();
            self.caller.contacts_tried += 1;
        }
        self.send_invite(now, core, credentials).is_ok()
    }

    fn answer_challenge(
        &self,
        core: &mut Core,
        status: u16,
        response: &Message,
    ) -> Option<(HeaderName, String)> {
        let (challenge, name) = match status {
            401 => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            _ => (
                HeaderName::ProxyAuthenticate,
                HeaderName::ProxyAuthorization,
            ),
        };
        let request = Request {
            method: "INVITE",
            uri: &self.caller.target,
            body: b"",
        };
        let entropy = &mut core.entropy;
        let authenticator = &mut core.proxy_authenticator;
        match authenticator.answer(response, challenge, request, entropy) {
            Answer::Credentials(value) => Some((name, value)),
            _ => None,
        }
    }

    fn give_up(&mut self, now: Instant, core: &mut Core, status: u16, reason: &str) {
        let reason = reason.to_owned();
        let cause = self.cause.take();
        self.end(
            now,
            core,
            cause.unwrap_or(Cause::Refused { status, reason }),
        );
    }
}
