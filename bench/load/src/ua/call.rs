//! A call: what both of its ends have in common.

use std::collections::VecDeque;

use base::Instant;
use sdp::{Agreed, Direction};
use sip::dialog::{Dialog, DialogId, Due, Provisionals, Retransmission, RseqWatch};
use sip::transaction::{ClientId, ServerId};
use sip::{Draft, HeaderName, Message, Method};

use super::config::{CallId, Cause, Error, Event, Step};
use super::core::{ALLOW, Core, Purpose};
use super::talk::{SessionTimer, Talk};

/// Most legs of one call: answers of forked branches beyond are ignored.
pub(super) const LEGS_MAX: usize = 32;

/// A call of one user agent.
pub(super) struct Call {
    pub id: CallId,
    pub role: Role,
    pub state: State,
    /// Why the call will be over when its BYE or CANCEL is answered.
    pub cause: Option<Cause>,
    pub local_tag: String,
    /// The INVITE that opened the call, as sent last or received.
    pub invite: Option<Message>,
    /// Dialogs with those that answer: one for a callee, and one once the call is confirmed.
    pub legs: Vec<Leg>,
    /// The offer of the INVITE; each leg takes a copy along.
    pub talk: Talk,
    pub timer: Option<SessionTimer>,
    /// A re-INVITE or UPDATE of this end that has no final response.
    pub change: Option<Change>,
    /// One that met another of the other end, to be tried again (RFC 3261 14.1).
    pub retry: Option<(Instant, Change)>,
    /// When an ended call is forgotten.
    pub linger_until: Instant,
    pub caller: Caller,
    pub callee: Callee,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Caller,
    Callee,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No final response to the INVITE.
    Ringing,
    /// The callee sent 2xx and waits for ACK.
    Answered,
    /// Established.
    Confirmed,
    /// BYE was sent.
    Leaving,
    /// Over.
    Ended,
}

/// What only the caller has.
#[derive(Default)]
pub(super) struct Caller {
    pub call_id: String,
    pub target: String,
    pub cseq: u32,
    pub client: Option<ClientId>,
    pub challenged: bool,
    /// Session interval and its least that a 422 asked for.
    pub min_se: Option<u32>,
    /// Contacts of 3xx.
    pub contacts: Vec<String>,
    /// How many of them were tried.
    pub contacts_tried: usize,
}

/// What only the callee has.
#[derive(Default)]
pub(super) struct Callee {
    pub server: Option<ServerId>,
    /// Where the caller takes reliable provisional responses.
    pub provisionals: Option<Provisionals>,
    pub steps: VecDeque<Step>,
    pub step_at: Option<Instant>,
    /// The answer to the offer of the INVITE, until it went out in a 2xx or reliably.
    pub answer: Option<String>,
    /// A description went out reliably in a provisional response.
    pub described: bool,
    /// The 2xx waits for a PRACK (RFC 3262 3).
    pub answer_waits: bool,
}

/// One dialog of a call.
pub(super) struct Leg {
    pub dialog: Dialog,
    pub talk: Talk,
    pub rseq: RseqWatch,
    /// The other end takes UPDATE (RFC 3311 4).
    pub allows_update: bool,
    /// A 2xx to the INVITE that opened it came.
    pub answered: bool,
    /// The ACK of the last 2xx, to be sent when that comes again.
    pub ack: Option<Message>,
    /// The 2xx sent last, until its ACK.
    pub success: Option<(ServerId, Retransmission)>,
    /// That 2xx made an offer, and its ACK has the answer.
    pub offered_in_success: bool,
}

/// A re-INVITE or UPDATE of this end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub method: Method,
    /// Direction to offer; `None` only refreshes, with no offer in an UPDATE.
    pub direction: Option<Direction>,
    /// The request as sent.
    pub request: Option<Message>,
    /// When.
    pub sent: Instant,
}

impl Leg {
    pub fn new(dialog: Dialog, talk: Talk) -> Self {
        Self {
            dialog,
            talk,
            rseq: RseqWatch::default(),
            allows_update: false,
            answered: false,
            ack: None,
            success: None,
            offered_in_success: false,
        }
    }

    /// Takes note of what the other end allows; without Allow nothing is known to be.
    pub fn allow(&mut self, message: &Message) {
        self.allows_update = message.has_token(HeaderName::Allow, "UPDATE");
    }
}

impl Call {
    pub fn new(id: CallId, role: Role, talk: Talk, core: &mut Core) -> Self {
        Self {
            id,
            role,
            state: State::Ringing,
            cause: None,
            local_tag: core.entropy.token_string(),
            invite: None,
            legs: Vec::new(),
            talk,
            timer: None,
            change: None,
            retry: None,
            linger_until: Instant::ZERO,
            caller: Caller::default(),
            callee: Callee::default(),
        }
    }

    /// True when this dialog is one of the call's.
    pub fn has(&self, id: &DialogId) -> bool {
        self.legs.iter().any(|leg| leg.dialog.id == *id)
    }

    pub fn is_over(&self) -> bool {
        self.state == State::Ended
    }

    pub fn leg(&self, tag: &str) -> Option<usize> {
        self.legs
            .iter()
            .position(|leg| leg.dialog.id.remote_tag == tag)
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        if self.is_over() {
            return Some(self.linger_until);
        }
        let success = self
            .legs
            .iter()
            .filter_map(|leg| Some(leg.success.as_ref()?.1.next_timeout()));
        let provisionals = self.callee.provisionals.as_ref();
        let others = [
            self.timer.map(|timer| timer.next_timeout()),
            self.retry.as_ref().map(|(at, _)| *at),
            self.callee.step_at,
            provisionals.and_then(Provisionals::next_timeout),
        ];
        success.chain(others.into_iter().flatten()).min()
    }

    pub fn handle_timeout(&mut self, now: Instant, core: &mut Core) {
        if self.is_over() {
            return;
        }
        self.repeat_success(now, core);
        self.repeat_provisional(now, core);
        if self.callee.step_at.take_if(|at| *at <= now).is_some() {
            self.run_steps(now, core);
        }
        if let Some((_, change)) = self.retry.take_if(|(at, _)| *at <= now) {
            self.send_change(now, core, change);
        }
        let Some(timer) = &mut self.timer else {
            return;
        };
        if timer.expire_at <= now {
            self.bye(now, core, Cause::SessionExpired);
        } else if timer.refresh_at.take_if(|at| *at <= now).is_some() {
            self.refresh(now, core);
        }
    }

    /// Sends a 2xx again that has no ACK, or gives up (RFC 3261 13.3.1.4).
    fn repeat_success(&mut self, now: Instant, core: &mut Core) {
        let mut unacknowledged = false;
        for leg in &mut self.legs {
            let Some((server, repeat)) = &mut leg.success else {
                continue;
            };
            match repeat.handle_timeout(now) {
                Some(Due::Again(message)) => core.respond_again(now, *server, message),
                Some(Due::Expired) => {
                    leg.success = None;
                    unacknowledged = true;
                }
                None => {}
            }
        }
        if unacknowledged {
            self.bye(now, core, Cause::NoAck);
        }
    }

    /// Sends a reliable provisional response again that has no PRACK, or gives up (RFC 3262 3).
    fn repeat_provisional(&mut self, now: Instant, core: &mut Core) {
        let provisionals = self.callee.provisionals.as_mut();
        let due = provisionals.and_then(|provisionals| provisionals.handle_timeout(now));
        match (due, self.callee.server) {
            (Some(Due::Again(message)), Some(server)) => core.respond_again(now, server, message),
            (Some(Due::Expired), _) => self.refuse(now, core, 504, Cause::NoPrack),
            _ => {}
        }
    }

    /// Ends the call in the way its state asks for.
    pub fn hang_up(&mut self, now: Instant, core: &mut Core) -> Result<(), Error> {
        match (self.role, self.state) {
            (_, State::Leaving | State::Ended) => return Err(Error::NoCall),
            (_, State::Confirmed) => self.bye(now, core, Cause::HungUp),
            // The callee sends no BYE before the ACK (RFC 3261 15).
            (_, State::Answered) => self.cause = Some(Cause::HungUp),
            (Role::Callee, State::Ringing) => self.refuse(now, core, 603, Cause::HungUp),
            (Role::Caller, State::Ringing) => {
                self.cause = Some(Cause::HungUp);
                if let Some(client) = self.caller.client {
                    // It can be written because the INVITE could.
                    let _ = core.layer.cancel(now, client, &[]);
                }
            }
        }
        Ok(())
    }

    /// Sends BYE; the call is over with its final response.
    pub fn bye(&mut self, now: Instant, core: &mut Core, cause: Cause) {
        self.state = State::Leaving;
        self.timer = None;
        self.retry = None;
        let id = self.id;
        let sent = self.legs.first_mut().is_some_and(|leg| {
            leg.success = None;
            let draft = leg.dialog.request(&Method::Bye);
            let hop = core.hop(leg.dialog.next_hop());
            core.send(now, hop, draft, Purpose::Bye(id)).is_ok()
        });
        match sent {
            true => self.cause = Some(cause),
            false => self.end(now, core, cause),
        }
    }

    /// The call is over. A caller's lingers, to get rid of answers that still come from branches.
    pub fn end(&mut self, now: Instant, core: &mut Core, cause: Cause) {
        if self.is_over() {
            return;
        }
        self.state = State::Ended;
        self.timer = None;
        self.retry = None;
        self.linger_until = match self.role {
            Role::Caller => now + core.timers().t1_64(),
            Role::Callee => now,
        };
        let call = self.id;
        core.event(Event::Ended { call, cause });
    }

    /// Tells what was agreed.
    pub fn tell_media(&self, core: &mut Core, agreed: Option<Agreed>) {
        let Some(agreed) = agreed else {
            return;
        };
        core.event(Event::Media {
            call: self.id,
            early: self.state == State::Ringing,
            local: self.talk.local(),
            agreed,
        });
    }

    /// A response to a request of this call, with what each of them carries.
    pub fn response(&self, core: &Core, request: &Message, status: u16, reason: &str) -> Draft {
        let mut draft = request.response(status, reason);
        draft.to_tag(&self.local_tag);
        if status < 300 {
            draft
                .copy(HeaderName::RecordRoute)
                .append(HeaderName::Contact, &core.contact())
                .append(HeaderName::Allow, ALLOW)
                .append(HeaderName::Supported, core.supported());
        }
        draft
    }
}
