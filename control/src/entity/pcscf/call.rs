//! Calls through the P-CSCF: INVITE and everything of the dialog it makes (TS 24.229 5.2.6 to
//! 5.2.9).

use std::collections::VecDeque;
use std::time::Duration;

use base::Pii;
use sip::dialog::ProxyDialog;
use sip::session_timer::{self, Passage};
use sip::transaction::ServerId;
use sip::{Draft, HeaderName, Message, Method, NameAddr};
use tracing::info;

use super::fork::Forks;
use super::leg::{Leg, LegKey, LegKind, TASKS_MAX, Task, TaskKind};
use super::media::{Media, Step};
use super::negotiation::describe;
use super::protection::Fault;
use super::registration::RegistrationKey;
use super::release::Why;
use super::{Pcscf, Proxied, Timer, Token, own_token, record_route, remove_own_routes};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::{self, Actions};
use crate::journal::Kind;
use crate::mgc::Side;
use crate::proxy::{self, Context, ContextId, Passing};
use crate::stack::{Flow, NextHop, Origin};

const SDP: &str = "application/sdp";

impl Pcscf {
    // ---- the beginning of a leg ----

    pub(super) fn start_originating(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: Message,
        draft: Draft,
        flow: Flow,
        registration: Option<RegistrationKey>,
    ) {
        self.start(
            actions,
            server,
            request,
            draft,
            LegKind::Originating,
            flow,
            registration,
        );
    }

    pub(super) fn start_terminating(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: Message,
        draft: Draft,
        flow: Flow,
        registration: RegistrationKey,
    ) {
        self.start(
            actions,
            server,
            request,
            draft,
            LegKind::Terminating,
            flow,
            Some(registration),
        );
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of one INVITE, used once"
    )]
    fn start(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: Message,
        mut draft: Draft,
        kind: LegKind,
        flow: Flow,
        registration: Option<RegistrationKey>,
    ) {
        actions.counters.count(Counter::CallAttempted);
        if self.legs.len() >= actions.config.limits.dialogs_max {
            actions.counters.count(Counter::SipRefusedFull);
            return entity::refuse_for_load(actions, server, &request);
        }
        let Some(passage) = self.judge_interval(actions, server, &request) else {
            return;
        };
        let key = LegKey(actions.entropy.next_u64());
        let from = kind.caller();
        record_route(actions, &mut draft, Token::Leg(key), flow, from);
        passage.write(&mut draft);
        let call_id = request.call_id().unwrap_or_default().to_owned();
        let caller_tag = request.from_tag().unwrap_or_default().to_owned();
        let is_emergency = is_emergency(&request);
        let proxied = Proxied::call(key, from, Some(passage));
        let context = self.proxy.open(server, request.clone(), proxied);
        let leg = Leg {
            kind,
            invite: Some(context),
            opening: Some(request.clone()),
            forks: Forks::default(),
            flow,
            registration,
            call_id,
            is_emergency,
            caller_tag,
            media: Media::default(),
            anchor: None,
            anchored_at: None,
            far_sources: Vec::new(),
            waiting: None,
            tasks: VecDeque::new(),
            session_timer: None,
            session_ends_at: None,
            is_acknowledged: false,
            is_kept: false,
            doomed: None,
        };
        self.legs.insert(key, leg);
        let task = Task::new(TaskKind::Request(context), from, request, draft);
        self.push(actions, key, task);
    }

    /// Judges the session interval of an INVITE or UPDATE (RFC 4028 8.1); `None` when it was
    /// refused.
    fn judge_interval(
        &self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
    ) -> Option<Passage> {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let policy = session_timer::Policy {
            interval: seconds(actions.config.session.expires),
            min_se: seconds(actions.config.session.min_se),
            ..session_timer::Policy::default()
        };
        match Passage::of(&policy, request) {
            Ok(passage) => Some(passage),
            Err(session_timer::Refusal::TooSmall(small)) => {
                let tag = actions.stack.token();
                let mut refusal = request.response(422, "");
                refusal
                    .to_tag(&tag)
                    .append(HeaderName::MinSe, &small.min_se.to_string());
                actions.stack.respond(actions.now, server, &mut refusal);
                None
            }
            Err(session_timer::Refusal::Invalid(invalid)) => {
                let (status, reason) = (invalid.status(), invalid.reason());
                actions
                    .stack
                    .reject(actions.now, server, request, status, &reason);
                None
            }
        }
    }

    // ---- the rest of a leg ----

    pub(super) fn handle_in_dialog(
        &mut self,
        actions: &mut Actions<'_>,
        origin: &Origin,
        server: ServerId,
        request: Message,
        key: LegKey,
    ) {
        let foreign = |leg: &Leg| !leg.is_expected(leg.side_of(&request), origin);
        if self.legs.get(&key).is_some_and(foreign) {
            actions.counters.count(Counter::SipSourceForeign);
            return actions
                .stack
                .reject(actions.now, server, &request, 403, "Not from there");
        }
        let passage = match request.method() {
            Some(Method::Invite | Method::Update) => {
                match self.judge_interval(actions, server, &request) {
                    Some(passage) => Some(passage),
                    None => return,
                }
            }
            _ => None,
        };
        self.reconnect(actions, key, origin, &request);
        let Some(leg) = self.legs.get_mut(&key) else {
            return actions.stack.reject(actions.now, server, &request, 481, "");
        };
        let side = leg.side_of(&request);
        if let Some(dialog) = leg.forks.dialog_of(&request) {
            dialog.observe_request(&request);
        }
        let runs_ahead = leg.is_kept && leg.forks.run_ahead();
        if request.is_method(&Method::Bye) {
            leg.forks.note_bye(&request);
        }
        let mut draft = request.edit();
        remove_own_routes(actions, &request, &mut draft);
        if let Some(passage) = &passage {
            passage.write(&mut draft);
        }
        if runs_ahead {
            self.keep_call(actions, key);
        }
        let proxied = Proxied::call(key, side, passage);
        let context = self.proxy.open(server, request.clone(), proxied);
        let task = Task::new(TaskKind::Request(context), side, request, draft);
        self.push(actions, key, task);
    }

    pub(super) fn handle_ack(
        &mut self,
        actions: &mut Actions<'_>,
        origin: &Origin,
        request: Message,
    ) {
        let Some(Token::Leg(key)) = own_token(actions, &request) else {
            return actions.counters.count(Counter::SipAckStray);
        };
        let Some(leg) = self.legs.get(&key) else {
            return actions.counters.count(Counter::SipAckStray);
        };
        let side = leg.side_of(&request);
        if !leg.is_expected(side, origin) {
            return actions.counters.count(Counter::SipSourceForeign);
        }
        let mut draft = request.edit();
        remove_own_routes(actions, &request, &mut draft);
        let task = Task::new(TaskKind::Ack, side, request, draft);
        self.push(actions, key, task);
    }

    pub(super) fn pass_call_response(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        context: ContextId,
        passing: Passing,
        side: Side,
    ) {
        if self.legs.contains_key(&key) {
            let Passing { response, draft } = passing;
            let task = Task::new(TaskKind::Response(context), side, response, draft);
            self.push(actions, key, task);
        } else {
            self.proxy.respond(actions, context, passing.draft);
        }
    }

    // ---- one message after the other ----

    fn push(&mut self, actions: &mut Actions<'_>, key: LegKey, task: Task) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if leg.waiting.is_some() {
            if leg.tasks.len() < TASKS_MAX {
                leg.tasks.push_back(task);
            } else {
                self.refuse_task(actions, task, 503);
            }
            return;
        }
        self.run(actions, key, task);
    }

    /// Runs a task, and those behind it until one waits.
    fn run(&mut self, actions: &mut Actions<'_>, key: LegKey, task: Task) {
        let mut next = Some(task);
        while let Some(task) = next {
            self.begin(actions, key, task);
            next = match self.legs.get_mut(&key) {
                Some(leg) if leg.waiting.is_none() => leg.tasks.pop_front(),
                _ => None,
            };
        }
    }

    /// Looks at the media of a message. It passes at once, or waits until the gateway has what it
    /// needs.
    fn begin(&mut self, actions: &mut Actions<'_>, key: LegKey, mut task: Task) {
        let described = describe(&mut task);
        let negotiation = match described.and_then(|()| self.negotiation(key, &task)) {
            Ok(negotiation) => negotiation,
            Err((status, reason)) => return self.refuse_with(actions, key, task, status, &reason),
        };
        match self.media_step(actions, key, &task, negotiation) {
            Ok(Step::Keep) => self.finish(actions, key, task),
            Ok(Step::Apply(plan)) => self.apply(actions, key, Some(task), plan),
            Err(fault) => self.refuse_protection(actions, key, task, fault),
        }
    }

    pub(super) fn run_next(&mut self, actions: &mut Actions<'_>, key: LegKey) {
        let task = self
            .legs
            .get_mut(&key)
            .and_then(|leg| leg.tasks.pop_front());
        if let Some(task) = task {
            self.run(actions, key, task);
        }
    }

    /// A message whose media cannot be had or makes no sense. A request is refused; a response and
    /// an ACK pass, and the call ends as soon as it may.
    pub(super) fn refuse_with(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        task: Task,
        status: u16,
        reason: &str,
    ) {
        match task.kind {
            TaskKind::Request(context) => {
                self.proxy.reject(actions, context, status, reason);
                self.end_leg_if_early(actions, key);
            }
            TaskKind::Response(_) | TaskKind::Ack => {
                if let Some(leg) = self.legs.get_mut(&key) {
                    leg.doomed = Some("Media could not be had".into());
                }
                self.finish(actions, key, task);
            }
        }
    }

    /// A message whose media cannot be protected as it says. A request is refused with a Warning
    /// that tells why (RFC 3261 20.43); a response and an ACK pass, and the call ends as soon as it
    /// may.
    fn refuse_protection(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        task: Task,
        fault: Fault,
    ) {
        actions.counters.count(Counter::MediaUnprotected);
        let TaskKind::Request(context) = task.kind else {
            if let Some(leg) = self.legs.get_mut(&key) {
                let text = format!("Media security: {fault}").into();
                leg.doomed = Some(Why { status: 488, text });
            }
            return self.finish(actions, key, task);
        };
        if let Some(mut refusal) = self
            .proxy
            .failure(actions, context, 488)
            .as_ref()
            .map(Message::edit)
        {
            let agent = &actions.config.realm;
            refusal.append(HeaderName::Warning, &format!("306 {agent} \"{fault}\""));
            self.proxy.respond(actions, context, refusal);
        }
        self.end_leg_if_early(actions, key);
    }

    fn refuse_task(&mut self, actions: &mut Actions<'_>, task: Task, status: u16) {
        actions.counters.count(Counter::SipRefusedFull);
        match task.kind {
            TaskKind::Request(context) => self.proxy.reject(actions, context, status, ""),
            TaskKind::Response(context) => self.proxy.respond(actions, context, task.draft),
            TaskKind::Ack => {}
        }
    }

    /// Sends a message on, its media being in place.
    pub(super) fn finish(&mut self, actions: &mut Actions<'_>, key: LegKey, task: Task) {
        match task.kind {
            TaskKind::Request(context) => self.finish_request(actions, key, context, task),
            TaskKind::Ack => self.finish_ack(actions, key, task),
            TaskKind::Response(context) => self.finish_response(actions, key, context, task),
        }
    }

    fn finish_request(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        context: ContextId,
        mut task: Task,
    ) {
        let Some(leg) = self.legs.get(&key) else {
            return self.proxy.reject(actions, context, 481, "");
        };
        rewrite_body(leg, &mut task);
        let draft = task.draft;
        let branch = match task.side {
            Side::Core => {
                let flow = leg.flow;
                self.proxy
                    .forward(actions, context, draft, NextHop::Flow(flow))
            }
            Side::Access => self.forward_to_core(actions, context, draft),
        };
        if branch.is_none() {
            self.end_leg_if_early(actions, key);
        }
    }

    fn finish_ack(&mut self, actions: &mut Actions<'_>, key: LegKey, mut task: Task) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        rewrite_body(leg, &mut task);
        let (mut draft, side) = (task.draft, task.side);
        draft.decrement_max_forwards();
        let doomed = leg.doomed.take();
        let confirms = !std::mem::replace(&mut leg.is_acknowledged, true);
        let is_news = confirms || !task.message.body().is_empty();
        let next = match side {
            Side::Core => None,
            Side::Access => proxy::next_hop(&draft),
        };
        let hop = match (side, &next) {
            (Side::Core, _) => Some(NextHop::Flow(leg.flow)),
            (Side::Access, next) => next.as_ref().map(|uri| NextHop::Uri(uri.view())),
        };
        if let Some(hop) = hop {
            actions.stack.send_ack(actions.now, Role::Pcscf, draft, hop);
        }
        if let Some(reason) = doomed {
            self.release(actions, key, reason);
        } else if is_news {
            self.keep_call(actions, key);
        }
    }

    fn finish_response(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        context: ContextId,
        mut task: Task,
    ) {
        let status = task.message.status().unwrap_or_default();
        let Some(leg) = self.legs.get_mut(&key) else {
            return self.proxy.respond(actions, context, task.draft);
        };
        rewrite_body(leg, &mut task);
        let (response, mut draft, side) = (task.message, task.draft, task.side);
        if side == Side::Access {
            let is_initial = leg.invite == Some(context) && leg.kind == LegKind::Terminating;
            assert_identity(&self.registrations, leg, &response, is_initial, &mut draft);
        }
        let is_initial = leg.invite == Some(context);
        let request = self.proxy.get(context).and_then(Context::request);
        let ended = request.filter(|request| status >= 200 && request.is_method(&Method::Bye));
        let removes = ended.is_some();
        let ends = ended.is_some_and(|bye| leg.forks.remove(bye));
        if (200..300).contains(&status) {
            self.note_success(actions, key, context, &response, side, &mut draft);
        }
        self.proxy.respond(actions, context, draft);
        if is_initial && status >= 300 && self.is_early(key) {
            actions.counters.count(Counter::CallFailed);
            self.end_leg(actions, key);
        } else if ends {
            actions.counters.count(Counter::CallEnded);
            self.end_leg(actions, key);
        } else if removes {
            self.keep_call(actions, key);
        }
    }

    /// A 2xx passes: the first one to the INVITE makes the dialog, others belong to other forks;
    /// those to re-INVITE and UPDATE refresh targets and the session.
    fn note_success(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        context: ContextId,
        response: &Message,
        side: Side,
        draft: &mut Draft,
    ) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let Some(proxied) = self.proxy.get(context) else {
            return;
        };
        let Proxied::Call { passage, .. } = &proxied.state else {
            return;
        };
        let addresses = actions.stack.addresses();
        let is_own = |route: &NameAddr<'_>| {
            let own = addresses.own(route.uri);
            own.and_then(|own| Token::parse(own.token)) == Some(Token::Leg(key))
        };
        if leg.invite == Some(context) {
            let opening = leg.opening.as_ref();
            let answered = opening.map(|invite| {
                leg.forks
                    .answered(response, || ProxyDialog::new(invite, response, is_own))
            });
            match answered {
                Some(Ok(true)) => {
                    actions.counters.count(Counter::CallAnswered);
                    info!(call_id = %Pii(&leg.call_id), kind = ?leg.kind, "dialog confirmed");
                }
                Some(Ok(false)) | None => {}
                // Without Contact nobody could end it: the UE will not get far either.
                Some(Err(_)) => leg.doomed = Some("Answer is no use".into()),
            }
        } else if let Some(request) = proxied.request()
            && let Some(dialog) = leg.forks.dialog_of(request)
        {
            let requester = leg.kind.end_at(side.other());
            // A target that cannot be read stays as it was.
            let _ = dialog.observe_success(requester, request, response, is_own);
        }
        let agreed = passage.and_then(|passage| passage.handle_success(response, draft).ok());
        if let Some(Some(interval)) = agreed
            && leg.forks.is_confirmed()
        {
            actions.cancel_timer(leg.session_timer.take());
            let after = Duration::from_secs(interval.seconds.into());
            let timer = entity::Timer::Pcscf(Timer::Session(key));
            leg.session_timer = Some(actions.set_timer(after, timer));
            leg.session_ends_at = Some(actions.now + after);
        }
        if passage.is_some() {
            self.keep_call(actions, key);
        }
    }

    // ---- the end of a leg ----

    /// A context is over: where it was that of the INVITE, no further end answers it.
    pub(super) fn forget_opening(&mut self, ended: Option<Proxied>) {
        if let Some(Proxied::Call { leg, .. }) = ended
            && let Some(leg) = self.legs.get_mut(&leg)
            && leg
                .invite
                .is_some_and(|invite| self.proxy.get(invite).is_none())
        {
            leg.opening = None;
        }
    }

    pub(super) fn end_leg_if_early(&mut self, actions: &mut Actions<'_>, key: LegKey) {
        if self.is_early(key) {
            actions.counters.count(Counter::CallFailed);
            self.end_leg(actions, key);
        }
    }

    fn is_early(&self, key: LegKey) -> bool {
        self.legs.get(&key).is_some_and(|leg| leg.forks.is_early())
    }

    pub(super) fn end_leg(&mut self, actions: &mut Actions<'_>, key: LegKey) {
        let Some(leg) = self.legs.remove(&key) else {
            return;
        };
        if !leg.forks.is_early() {
            info!(call_id = %Pii(&leg.call_id), kind = ?leg.kind, "dialog ended");
        }
        if leg.is_kept {
            actions.journal.remove(Kind::Leg, key.0);
        }
        actions.cancel_timer(leg.session_timer);
        if let (Some(anchor), Some(mgc)) = (leg.anchor, actions.mgc.as_deref_mut()) {
            mgc.release(actions.now, anchor);
        }
        for task in leg
            .waiting
            .and_then(|(task, _)| task)
            .into_iter()
            .chain(leg.tasks)
        {
            match task.kind {
                TaskKind::Request(context) => self.proxy.reject(actions, context, 481, ""),
                TaskKind::Response(context) => self.proxy.respond(actions, context, task.draft),
                TaskKind::Ack => {}
            }
        }
    }
}

/// True for a call to an emergency service (RFC 5031 4.2).
fn is_emergency(invite: &Message) -> bool {
    let service = "urn:service:sos";
    let uri = invite.request_uri();
    let (head, tail) = uri.split_at_checked(service.len()).unwrap_or((uri, ""));
    head.eq_ignore_ascii_case(service) && (tail.is_empty() || tail.starts_with('.'))
}

/// Puts the gateway's addresses into a description that passes.
fn rewrite_body(leg: &Leg, task: &mut Task) {
    if leg.anchor.is_none() {
        return;
    }
    if let Some(mut session) = task.description.take() {
        leg.media.rewrite(task.side, &mut session);
        let mut body = Vec::with_capacity(task.message.body().len() + 64);
        session.write_to(&mut body);
        task.draft.set_body(SDP, body);
    }
}

/// P-Asserted-Identity of the called UE (TS 24.229 5.2.6.4.4).
fn assert_identity(
    registrations: &super::Registrations,
    leg: &Leg,
    response: &Message,
    is_initial: bool,
    draft: &mut Draft,
) {
    let Some(registration) = leg.registration.and_then(|key| registrations.get(key)) else {
        return;
    };
    for name in [
        HeaderName::PPreferredIdentity,
        HeaderName::PAssertedIdentity,
    ] {
        draft.remove_all(name);
    }
    if is_initial && let Some(identity) = registration.asserted(response) {
        draft.append(HeaderName::PAssertedIdentity, identity);
    }
}
