//! What every SIP proxy among the entities does alike: RFC 3261 16.
//!
//! A [`Proxy`] holds the response contexts of one entity. The entity decides where a request goes
//! and what it looks like there; the proxy keeps what follows from it: branches, the best response,
//! Timer C, CANCEL.
//!
//! ```text
//! Request ─► check ─► open ─► forward … forward            (entity chooses targets)
//! Response ─► handle_response ─► Upstream(response) ─► respond      (entity may edit in between)
//! Cancel ─► handle_cancel           Failed ─► handle_failure           Ended ─► handle_ended
//! ```

use std::time::Duration;

use base::{IdMap, Slab, SlabId, SteadyMap, TimerId};
use sip::transaction::ServerId;
use sip::{Draft, HeaderName, Message, Method, NameAddr, UriBuf};
use smallvec::SmallVec;

use crate::config::Role;
use crate::entity::{Actions, Timer};
use crate::stack::{BranchId, NextHop};

/// Options that the proxies understand in Proxy-Require (RFC 3261 16.3 step 5).
const PROXY_OPTIONS: [&str; 6] = [
    "path",
    "timer",
    "100rel",
    "precondition",
    "gruu",
    "mediasec",
];

/// Branches of one request; more contacts than this are not tried at once.
pub const BRANCHES_MAX: usize = 16;

/// Names a response context; stale after its last branch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(SlabId);

impl ContextId {
    /// The id as a token to be given back by others.
    pub const fn token(self) -> u64 {
        self.0.token()
    }

    /// The id of a token; one that was never made names nothing.
    pub const fn from_token(token: u64) -> Self {
        ContextId(SlabId::from_token(token))
    }
}

/// The response contexts of one entity, each with what the entity keeps of it.
#[derive(Debug)]
pub struct Proxy<T> {
    role: Role,
    contexts: Slab<Context<T>>,
    by_branch: SteadyMap<BranchId, ContextId>,
    /// Of those that are not answered.
    by_server: IdMap<ServerId, ContextId>,
}

/// One request being proxied.
#[derive(Debug)]
pub struct Context<T> {
    /// The transaction to answer.
    pub server: ServerId,
    /// What was received, until it is answered for good: the context stays for as long as its
    /// branches, 64 times T1 and more.
    request: Option<Message>,
    is_invite: bool,
    /// What the entity keeps.
    pub state: T,
    branches: SmallVec<[Branch; 1]>,
    /// The best final response so far that was not sent on (RFC 3261 16.7 step 6).
    best: Option<Box<Best>>,
    /// A final response went upstream, or the entity has it to send.
    answered: bool,
    /// The entity has it: it may wait with it for longer than the branch lasts.
    owed: bool,
    cancelled: bool,
}

#[derive(Debug)]
struct Branch {
    id: BranchId,
    /// No final response yet.
    pending: bool,
    /// Something answered, if only 100.
    heard: bool,
    /// The client transaction is over.
    ended: bool,
    timer_c: Option<TimerId>,
}

#[derive(Debug)]
struct Best {
    status: u16,
    /// None for a failure without a response: one is made up.
    response: Option<Passing>,
}

/// A response on its way upstream.
#[derive(Clone, Debug)]
pub struct Passing {
    /// As it came.
    pub response: Message,
    /// As it goes on: our Via removed, and what the entity changes.
    pub draft: Draft,
}

impl From<Message> for Passing {
    /// One made here.
    fn from(response: Message) -> Self {
        let draft = response.edit();
        Self { response, draft }
    }
}

/// What is to be sent upstream.
#[derive(Debug)]
pub enum Upstream {
    /// Nothing now.
    Nothing,
    /// This response.
    Response {
        /// Whose.
        context: ContextId,
        /// On which branch it came; none for the best of several.
        branch: Option<BranchId>,
        /// The response.
        passing: Passing,
    },
    /// A failure of our own, as nothing better came.
    Failure {
        /// Whose.
        context: ContextId,
        /// Its status.
        status: u16,
    },
}

impl<T> Proxy<T> {
    /// No contexts.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            contexts: Slab::new(),
            by_branch: SteadyMap::default(),
            by_server: IdMap::default(),
        }
    }

    /// Contexts held.
    pub fn len(&self) -> usize {
        self.contexts.len()
    }

    /// True when nothing is being proxied.
    pub fn is_empty(&self) -> bool {
        self.contexts.is_empty()
    }

    /// A context.
    pub fn get(&self, id: ContextId) -> Option<&Context<T>> {
        self.contexts.get(id.0)
    }

    /// A context, to change what the entity keeps.
    pub fn get_mut(&mut self, id: ContextId) -> Option<&mut Context<T>> {
        self.contexts.get_mut(id.0)
    }

    /// The context of a server transaction without a final response.
    fn of_server(&self, server: ServerId) -> Option<ContextId> {
        self.by_server.get(&server).copied()
    }

    /// The context of a branch.
    pub fn of_branch(&self, branch: BranchId) -> Option<ContextId> {
        self.by_branch.get(&branch).copied()
    }

    /// Opens a context for a request that will be forwarded.
    pub fn open(&mut self, server: ServerId, request: Message, state: T) -> ContextId {
        let context = Context {
            server,
            is_invite: request.is_method(&Method::Invite),
            request: Some(request),
            state,
            branches: SmallVec::new(),
            best: None,
            answered: false,
            owed: false,
            cancelled: false,
        };
        let id = ContextId(self.contexts.insert(context));
        self.by_server.insert(server, id);
        id
    }

    /// Forwards the request as `draft` to `next`. Max-Forwards is counted down here; Via is the
    /// stack's.
    pub fn forward(
        &mut self,
        actions: &mut Actions<'_>,
        id: ContextId,
        mut draft: Draft,
        next: NextHop<'_>,
    ) -> Option<BranchId> {
        let context = self.contexts.get_mut(id.0)?;
        if context.cancelled || context.answered || context.branches.len() >= BRANCHES_MAX {
            return None;
        }
        draft.decrement_max_forwards();
        let branch = actions.stack.send(actions.now, self.role, draft, next);
        let timer_c = context.is_invite.then(|| {
            let after = actions.config.session.timer_c;
            self.role
                .timer_c(branch)
                .map(|timer| actions.set_timer(after, timer))
        });
        let timer_c = timer_c.flatten();
        context.branches.push(Branch {
            id: branch,
            pending: true,
            heard: false,
            ended: false,
            timer_c,
        });
        self.by_branch.insert(branch, id);
        Some(branch)
    }

    /// A response came on a branch, our Via on top of it or not.
    pub fn handle_response(
        &mut self,
        actions: &mut Actions<'_>,
        branch: BranchId,
        response: Message,
        has_own_via: bool,
    ) -> Upstream {
        let Some(status) = response.status() else {
            return Upstream::Nothing;
        };
        let Some(&id) = self.by_branch.get(&branch) else {
            return Upstream::Nothing;
        };
        let Some(context) = self.contexts.get_mut(id.0) else {
            return Upstream::Nothing;
        };
        if let Some(entry) = context.branches.iter_mut().find(|entry| entry.id == branch) {
            entry.heard = true;
            match status {
                101..200 => restart_timer_c(actions, self.role, entry),
                200..700 => {
                    entry.pending = false;
                    actions.cancel_timer(entry.timer_c.take());
                }
                _ => {}
            }
        }
        let mut passing = Passing::from(response);
        if has_own_via {
            passing.draft.remove_first_value(HeaderName::Via);
        }
        match status {
            // 100 is hop by hop (RFC 3261 16.7 step 4).
            100 => Upstream::Nothing,
            101..200 if context.answered => Upstream::Nothing,
            200..300 if context.answered && !context.is_invite => Upstream::Nothing,
            101..300 => {
                if status >= 200 {
                    context.answered = true;
                    context.owed = true;
                    context.cancel_pending(actions);
                }
                Upstream::Response {
                    context: id,
                    branch: Some(branch),
                    passing,
                }
            }
            _ => {
                if status >= 600 {
                    context.cancel_pending(actions);
                }
                let status = for_upstream(status, &mut passing.draft);
                context.consider(status, Some(passing));
                self.best_if_complete(id)
            }
        }
    }

    /// Keeps what would have gone upstream for comparison with what branches that follow come to.
    pub fn set_aside(&mut self, upstream: Upstream) {
        let (id, status, passing) = match upstream {
            Upstream::Nothing => return,
            Upstream::Failure { context, status } => (context, status, None),
            Upstream::Response {
                context, passing, ..
            } => {
                let status = passing.draft.status();
                (context, status.unwrap_or_default(), Some(passing))
            }
        };
        if let Some(context) = self.contexts.get_mut(id.0) {
            context.consider(status, passing);
        }
    }

    /// No final response comes on a branch.
    pub fn handle_failure(
        &mut self,
        actions: &mut Actions<'_>,
        branch: BranchId,
        status: u16,
    ) -> Upstream {
        let Some(&id) = self.by_branch.get(&branch) else {
            return Upstream::Nothing;
        };
        let Some(context) = self.contexts.get_mut(id.0) else {
            return Upstream::Nothing;
        };
        if let Some(entry) = context.branches.iter_mut().find(|entry| entry.id == branch) {
            entry.pending = false;
            actions.cancel_timer(entry.timer_c.take());
        }
        let status = match status {
            _ if context.cancelled => 487,
            503 => 500,
            status => status,
        };
        context.consider(status, None);
        self.best_if_complete(id)
    }

    /// Timer C of a branch fired (RFC 3261 16.8).
    pub fn handle_timer_c(&mut self, actions: &mut Actions<'_>, branch: BranchId) {
        let Some(&id) = self.by_branch.get(&branch) else {
            return;
        };
        let Some(context) = self.contexts.get_mut(id.0) else {
            return;
        };
        let entry = context
            .branches
            .iter_mut()
            .find(|entry| entry.id == branch && entry.pending);
        if let Some(entry) = entry {
            entry.timer_c = None;
            actions.stack.cancel(actions.now, branch);
        }
    }

    /// The request was cancelled: so are its branches, from which 487 comes back (RFC 3261 16.10).
    ///
    /// A request that no branch carries yet is answered 487 here, and its context is gone: what the
    /// entity kept is returned.
    pub fn handle_cancel(&mut self, actions: &mut Actions<'_>, server: ServerId) -> Option<T> {
        let id = self.of_server(server)?;
        let context = self.contexts.get_mut(id.0)?;
        if context.answered {
            return None;
        }
        context.cancelled = true;
        context.cancel_pending(actions);
        if !context.branches.is_empty() {
            return None;
        }
        context.answered = true;
        if let Some(request) = context.request.take() {
            actions.stack.reject(actions.now, server, &request, 487, "");
        }
        self.remove(id)
    }

    /// A branch is over. The context goes with its last branch; what the entity kept is returned.
    pub fn handle_ended(&mut self, actions: &mut Actions<'_>, branch: BranchId) -> Option<T> {
        let id = self.by_branch.remove(&branch)?;
        let context = self.contexts.get_mut(id.0)?;
        if let Some(entry) = context.branches.iter_mut().find(|entry| entry.id == branch) {
            entry.ended = true;
            entry.pending = false;
            actions.cancel_timer(entry.timer_c.take());
        }
        self.remove_if_over(id)
    }

    /// Sends a response upstream. A final one that comes after all branches have ended frees the
    /// context.
    pub fn respond(&mut self, actions: &mut Actions<'_>, id: ContextId, mut draft: Draft) {
        let Some(context) = self.contexts.get_mut(id.0) else {
            return;
        };
        let server = context.server;
        let request = match draft.status() {
            Some(200..) => {
                self.by_server.remove(&server);
                context.take_answered()
            }
            _ => None,
        };
        match (draft.finish(), request) {
            (Ok(response), _) => actions.stack.respond_with(actions.now, server, response),
            // Too long, with what was added to it.
            (Err(_), Some(request)) => {
                actions.stack.reject(actions.now, server, &request, 500, "");
            }
            (Err(_), None) => {}
        }
        self.remove_if_over(id);
    }

    /// Answers the request ourselves.
    pub fn reject(&mut self, actions: &mut Actions<'_>, id: ContextId, status: u16, reason: &str) {
        let Some(context) = self.contexts.get_mut(id.0) else {
            return;
        };
        let server = context.server;
        let request = match status {
            200.. => {
                self.by_server.remove(&server);
                context.take_answered()
            }
            _ => context.request.clone(),
        };
        if let Some(request) = request {
            actions
                .stack
                .reject(actions.now, server, &request, status, reason);
        }
        self.remove_if_over(id);
    }

    /// The response that stands for a failure without one, to be edited and sent like any other.
    pub fn failure(
        &self,
        actions: &mut Actions<'_>,
        id: ContextId,
        status: u16,
    ) -> Option<Message> {
        let tag = actions.stack.token();
        self.get(id)?
            .request()?
            .response(status, "")
            .to_tag(&tag)
            .finish()
            .ok()
    }

    /// Answers an unanswered request ourselves and cancels its branches.
    pub fn give_up(&mut self, actions: &mut Actions<'_>, id: ContextId, status: u16, reason: &str) {
        let Some(context) = self.contexts.get_mut(id.0) else {
            return;
        };
        if !context.answered {
            context.cancel_pending(actions);
            self.reject(actions, id, status, reason);
        }
    }

    fn remove_if_over(&mut self, id: ContextId) -> Option<T> {
        let context = self.contexts.get(id.0)?;
        let is_answered = context.answered && !context.owed;
        if is_answered && context.branches.iter().all(|entry| entry.ended) {
            return self.remove(id);
        }
        None
    }

    fn remove(&mut self, id: ContextId) -> Option<T> {
        let context = self.contexts.remove(id.0)?;
        self.by_server.remove(&context.server);
        Some(context.state)
    }

    fn best_if_complete(&mut self, id: ContextId) -> Upstream {
        let Some(context) = self.contexts.get_mut(id.0) else {
            return Upstream::Nothing;
        };
        if context.answered || context.branches.iter().any(|entry| entry.pending) {
            return Upstream::Nothing;
        }
        let Some(best) = context.best.take() else {
            return Upstream::Nothing;
        };
        match best.response {
            Some(passing) => Upstream::Response {
                context: id,
                branch: None,
                passing,
            },
            None => Upstream::Failure {
                context: id,
                status: best.status,
            },
        }
    }
}

impl<T> Context<T> {
    /// The request as it was received, until a final response was sent.
    pub fn request(&self) -> Option<&Message> {
        self.request.as_ref()
    }

    /// A final response goes upstream: takes the request, if it is the first.
    fn take_answered(&mut self) -> Option<Message> {
        (self.answered, self.owed) = (true, false);
        self.request.take()
    }

    /// True once CANCEL came.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// True once something answered, if only 100.
    pub fn was_heard(&self) -> bool {
        self.branches.iter().any(|entry| entry.heard)
    }

    /// True while some branch has no final response.
    pub fn is_pending(&self) -> bool {
        self.branches.iter().any(|entry| entry.pending)
    }

    fn cancel_pending(&mut self, actions: &mut Actions<'_>) {
        for entry in self.branches.iter().filter(|entry| entry.pending) {
            actions.stack.cancel(actions.now, entry.id);
        }
    }

    /// Keeps the better of two final responses (RFC 3261 16.7 step 6): 6xx, then the lowest class,
    /// and within 4xx those first that tell the client how to try again.
    fn consider(&mut self, status: u16, response: Option<Passing>) {
        let rank = |status: u16| match status {
            600.. => (0, status),
            401 | 407 | 415 | 420 | 484 => (status / 100, 0),
            408 => (4, u16::MAX),
            _ => (status / 100, status),
        };
        let better = self
            .best
            .as_ref()
            .is_none_or(|best| rank(status) < rank(best.status));
        if better {
            self.best = Some(Box::new(Best { status, response }));
        }
    }
}

/// A failure as it goes upstream: a 503 as 500, because it says that its sender can serve nobody,
/// which is not so of us (RFC 3261 16.7 step 6). Returns its status then.
fn for_upstream(status: u16, draft: &mut Draft) -> u16 {
    if status != 503 {
        return status;
    }
    draft.set_status(500, "").remove_all(HeaderName::RetryAfter);
    500
}

/// Where a request leads: its first Route, else its Request-URI. None where that is no URI.
pub fn next_hop(draft: &Draft) -> Option<UriBuf> {
    let route = draft.first_value(HeaderName::Route);
    match route.and_then(|route| NameAddr::parse(route).ok()) {
        Some(route) => Some(route.uri.to_owned()),
        None => UriBuf::parse(draft.request_uri()),
    }
}

fn restart_timer_c(actions: &mut Actions<'_>, role: Role, entry: &mut Branch) {
    if entry.timer_c.is_none() {
        return;
    }
    actions.cancel_timer(entry.timer_c.take());
    let after: Duration = actions.config.session.timer_c;
    entry.timer_c = role
        .timer_c(entry.id)
        .map(|timer| actions.set_timer(after, timer));
}

impl Role {
    /// Timer C of a branch of this entity.
    const fn timer_c(self, branch: BranchId) -> Option<Timer> {
        use crate::entity::{icscf, pcscf, scscf};
        match self {
            Role::Pcscf => Some(Timer::Pcscf(pcscf::Timer::C(branch))),
            Role::Icscf => Some(Timer::Icscf(icscf::Timer::C(branch))),
            Role::Scscf => Some(Timer::Scscf(scscf::Timer::C(branch))),
            Role::Mrfc | Role::Hss => None,
        }
    }
}

/// What a proxy finds wrong with a request before it looks at it closely (RFC 3261 16.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Status to answer with.
    pub status: u16,
    /// Reason phrase; empty for the usual one.
    pub reason: &'static str,
    /// Options for Unsupported.
    pub unsupported: Option<String>,
}

/// Checks of RFC 3261 16.3: scheme, Max-Forwards, Proxy-Require.
///
/// # Errors
/// 416, 483 or 420.
pub fn check(request: &Message) -> Result<(), Objection> {
    let objection = |status| Objection {
        status,
        reason: "",
        unsupported: None,
    };
    match request.uri() {
        Ok(uri) if uri.is_sip() || uri.scheme() == sip::Scheme::Tel || is_service(uri) => {}
        _ => return Err(objection(416)),
    }
    if matches!(request.max_forwards(), Ok(Some(0))) {
        return Err(objection(483));
    }
    let unknown: Vec<&str> = request
        .values(HeaderName::ProxyRequire)
        .filter(|option| {
            !PROXY_OPTIONS
                .iter()
                .any(|known| known.eq_ignore_ascii_case(option))
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Objection {
        status: 420,
        reason: "",
        unsupported: Some(unknown.join(", ")),
    })
}

fn is_service(uri: sip::Uri<'_>) -> bool {
    uri.urn()
        .is_some_and(|(namespace, _)| namespace.eq_ignore_ascii_case("service"))
}

/// Answers a request that did not pass [`check`].
pub fn object(
    actions: &mut Actions<'_>,
    server: ServerId,
    request: &Message,
    objection: &Objection,
) {
    let tag = actions.stack.token();
    let mut draft = request.response(objection.status, objection.reason);
    draft.to_tag(&tag);
    if let Some(unsupported) = &objection.unsupported {
        draft.append(HeaderName::Unsupported, unsupported);
    }
    actions.stack.respond(actions.now, server, &mut draft);
}

#[cfg(test)]
mod tests;
