//! Proxy-CSCF with its IMS-ALG (TS 23.228 4.6.1 and Annex G, TS 24.229 5.2): the UE's first
//! contact.
//!
//! It writes itself into the path of registrations and the routes of dialogs, says on the UE's
//! behalf who it is, anchors media in a TrGW, and ends calls that can go on no longer. Every dialog
//! it is in is a *leg*; the messages of a leg pass one after the other, also while they wait
//! for the media gateway.

mod anchoring;
mod call;
mod fork;
mod kept_call;
mod leg;
mod media;
mod negotiation;
mod protection;
mod reach;
mod reg_event;
mod register;
mod registration;
mod release;
mod restore;

use base::IdMap;
use sip::session_timer::Passage;
use sip::transaction::ServerId;
use sip::{HeaderName, Message, Method, NameAddr};

use super::{Actions, Event, restoration};
use crate::config::Role;
use crate::mgc::{AnchorId, Side};
use crate::proxy::{self, ContextId, Passing, Proxy, Upstream};
use crate::stack::{BranchId, NextHop, Origin};
use leg::{Leg, LegKey, LegKind};
use reg_event::{SubscriptionKey, Subscriptions};
use registration::{Registering, RegistrationKey, Registrations};

/// Timers of the P-CSCF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Timer C of a branch (RFC 3261 16.8).
    C(BranchId),
    /// A registration ended without being refreshed.
    Registration(RegistrationKey),
    /// A subscription wants attention.
    Subscription(SubscriptionKey),
    /// A session was not refreshed (RFC 4028 10).
    Session(LegKey),
}

/// The entity.
#[derive(Debug)]
pub struct Pcscf {
    proxy: Proxy<Proxied>,
    registrations: Registrations,
    subscriptions: Subscriptions,
    legs: IdMap<LegKey, Leg>,
}

/// What the P-CSCF keeps of a request it proxies.
#[derive(Debug)]
enum Proxied {
    /// REGISTER.
    Register(Registering),
    /// A request of a leg.
    Call {
        leg: LegKey,
        /// Where the request came from.
        from: Side,
        /// Whether the request carried an offer.
        offer: bool,
        /// Whether a response carried an offer.
        offer_in_response: bool,
        /// The offer of a request within the dialog was answered.
        settled: bool,
        /// Its session interval, of INVITE and UPDATE.
        passage: Option<Passage>,
    },
    /// Any other.
    Other {
        /// Whose it is, where it opens something or stands alone.
        sender: Option<RegistrationKey>,
    },
}

impl Proxied {
    /// A request of a leg that has not been looked into.
    const fn call(leg: LegKey, from: Side, passage: Option<Passage>) -> Self {
        Proxied::Call {
            leg,
            from,
            offer: false,
            offer_in_response: false,
            settled: false,
            passage,
        }
    }
}

/// What the user part of one of our URIs names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// In Path, and in Record-Route of dialogs without media.
    Registration(RegistrationKey),
    /// In Record-Route.
    Leg(LegKey),
    /// In Contact of our own subscriptions.
    Subscription(SubscriptionKey),
}

impl Token {
    fn parse(text: &str) -> Option<Token> {
        let key = |hex: &str| {
            u64::from_str_radix(hex, 16)
                .ok()
                .filter(|_| hex.len() == 16)
        };
        match text.split_at_checked(1)? {
            ("r", hex) => key(hex).map(|key| Token::Registration(RegistrationKey(key))),
            ("d", hex) => key(hex).map(|key| Token::Leg(LegKey(key))),
            ("s", hex) => key(hex).map(|key| Token::Subscription(SubscriptionKey(key))),
            _ => None,
        }
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Registration(RegistrationKey(key)) => write!(f, "r{key:016x}"),
            Token::Leg(LegKey(key)) => write!(f, "d{key:016x}"),
            Token::Subscription(SubscriptionKey(key)) => write!(f, "s{key:016x}"),
        }
    }
}

impl Default for Pcscf {
    fn default() -> Self {
        Self::new()
    }
}

impl Pcscf {
    /// A P-CSCF that knows nobody.
    pub fn new() -> Self {
        Self {
            proxy: Proxy::new(Role::Pcscf),
            registrations: Registrations::default(),
            subscriptions: Subscriptions::default(),
            legs: IdMap::default(),
        }
    }

    /// Contacts registered through here.
    pub fn registrations(&self) -> usize {
        self.registrations.len()
    }

    /// Subscriptions to these at the S-CSCF.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Where the media of the call with this Call-ID is anchored: it has a leg for each end that
    /// this P-CSCF serves. All legs are looked at, which is for people only.
    pub fn anchors_of(&self, call_id: &str) -> Vec<AnchorId> {
        let legs = self.legs.values().filter(|leg| leg.call_id == call_id);
        legs.filter_map(|leg| leg.anchor).collect()
    }

    /// Dialogs, a leg each.
    pub fn dialogs(&self) -> usize {
        self.legs.len()
    }

    /// Requests under way.
    pub fn pending(&self) -> usize {
        self.proxy.len()
    }

    /// Lets something happen.
    pub fn handle(&mut self, event: Event, actions: &mut Actions<'_>) {
        match event {
            Event::Request {
                origin,
                server,
                request,
            } => {
                self.handle_request(actions, &origin, server, request);
            }
            Event::Ack { origin, request } => self.handle_ack(actions, &origin, request),
            Event::Cancel { server } => self.handle_cancel(actions, server),
            Event::Response {
                branch,
                response,
                has_own_via,
            } => {
                if self.handle_subscribe_response(actions, branch, &response) {
                    return;
                }
                let upstream = self
                    .proxy
                    .handle_response(actions, branch, response, has_own_via);
                self.pass_upstream(actions, upstream);
            }
            Event::Failed { branch, status } => {
                if self.handle_subscribe_failure(actions, branch, status) {
                    return;
                }
                let upstream = self.proxy.handle_failure(actions, branch, status);
                self.pass_upstream(actions, upstream);
            }
            Event::Ended { branch } => {
                if !self.handle_subscribe_ended(branch) {
                    let ended = self.proxy.handle_ended(actions, branch);
                    self.forget_opening(ended);
                }
            }
            Event::Anchor { owner, event, .. } => {
                self.handle_anchor(actions, LegKey(owner), event);
            }
            Event::Cx { .. } | Event::CxRequest { .. } | Event::Room(_) => {}
        }
    }

    /// Lets time pass.
    pub fn handle_timer(&mut self, timer: Timer, actions: &mut Actions<'_>) {
        match timer {
            Timer::C(branch) => self.proxy.handle_timer_c(actions, branch),
            // The S-CSCF has counted it: it ends here by the same REGISTER that did not come.
            Timer::Registration(key) => self.forget(actions, key),
            Timer::Subscription(key) => self.handle_subscription_timer(actions, key),
            Timer::Session(key) => self.release(actions, key, "Session expired"),
        }
    }

    fn handle_request(
        &mut self,
        actions: &mut Actions<'_>,
        origin: &Origin,
        server: ServerId,
        request: Message,
    ) {
        if let Err(objection) = proxy::check(&request) {
            return proxy::object(actions, server, &request, &objection);
        }
        if request.is_method(&Method::Register) {
            return self.handle_register(actions, origin, server, request);
        }
        if let Some(Token::Subscription(key)) = target_token(actions, &request) {
            return self.handle_notify(actions, server, &request, key);
        }
        match own_token(actions, &request) {
            Some(Token::Leg(key)) => {
                self.handle_in_dialog(actions, origin, server, request, key);
            }
            Some(Token::Registration(key)) => {
                self.handle_towards_ue(actions, origin, server, request, key);
            }
            Some(Token::Subscription(_)) => {
                actions.stack.reject(actions.now, server, &request, 481, "");
            }
            None if is_for_us(actions, &request) => answer_ourselves(actions, server, &request),
            None if request.is_in_dialog() => {
                actions.stack.reject(actions.now, server, &request, 481, "");
            }
            None => self.handle_from_ue(actions, origin, server, request),
        }
    }

    /// A request that starts something, or stands alone, from a UE (TS 24.229 5.2.6.3).
    fn handle_from_ue(
        &mut self,
        actions: &mut Actions<'_>,
        origin: &Origin,
        server: ServerId,
        request: Message,
    ) {
        let sender = origin
            .flow()
            .and_then(|flow| Some((flow, self.registrations.sender(flow.peer(), &request)?)));
        let Some((flow, registration)) = sender else {
            return actions
                .stack
                .reject(actions.now, server, &request, 403, "Not registered");
        };
        let mut draft = request.edit();
        for name in [
            HeaderName::PPreferredIdentity,
            HeaderName::PAssertedIdentity,
        ] {
            draft.remove_all(name);
        }
        if let Some(identity) = registration.asserted(&request) {
            draft.append(HeaderName::PAssertedIdentity, identity);
        }
        // What a UE must not say of itself (TS 24.229 4.4).
        for name in [
            HeaderName::PChargingVector,
            HeaderName::PChargingFunctionAddresses,
        ] {
            draft.remove_all(name);
        }
        let icid = charging_vector(actions);
        draft.append(HeaderName::PChargingVector, &icid);
        // The preloaded Route of a UE must be its Service-Route: it is replaced by what was granted
        // (TS 24.229 5.2.6.3.1).
        draft.remove_all(HeaderName::Route);
        for route in &registration.service_route {
            draft.append(HeaderName::Route, route);
        }
        let next = registration.service_route.first().cloned();
        let key =
            self.registrations
                .key_of(flow.peer(), &registration.registered, &registration.contact);
        if request.is_method(&Method::Invite) {
            return self.start_originating(actions, server, request, draft, flow, key);
        }
        if let Some(key) = key
            && makes_dialog(&request)
        {
            record_route(
                actions,
                &mut draft,
                Token::Registration(key),
                flow,
                Side::Access,
            );
        }
        let id = self
            .proxy
            .open(server, request, Proxied::Other { sender: key });
        let next = next
            .as_deref()
            .and_then(|route| NameAddr::parse(route).ok());
        let hop = match &next {
            Some(route) => NextHop::Uri(route.uri),
            None => NextHop::Entity(Role::Icscf),
        };
        self.proxy.forward(actions, id, draft, hop);
    }

    /// A request along the Path of a registration, or of a dialog without media (TS 24.229
    /// 5.2.6.4).
    fn handle_towards_ue(
        &mut self,
        actions: &mut Actions<'_>,
        origin: &Origin,
        server: ServerId,
        request: Message,
        key: RegistrationKey,
    ) {
        let flow = self
            .registrations
            .flow(actions.now, key, request.is_in_dialog());
        let Some(flow) = flow else {
            // RFC 5626 5.3.1: the flow is gone.
            return actions
                .stack
                .reject(actions.now, server, &request, 430, "Flow Failed");
        };
        let mut draft = request.edit();
        remove_own_routes(actions, &request, &mut draft);
        // In a dialog without media the UE's own requests come this way too.
        if origin.flow().is_some_and(|from| from.peer() == flow.peer()) {
            let id = self
                .proxy
                .open(server, request, Proxied::Other { sender: None });
            self.forward_to_core(actions, id, draft);
            return;
        }
        if request.is_method(&Method::Invite) && !request.is_in_dialog() {
            return self.start_terminating(actions, server, request, draft, flow, key);
        }
        if makes_dialog(&request) && !request.is_in_dialog() {
            record_route(
                actions,
                &mut draft,
                Token::Registration(key),
                flow,
                Side::Core,
            );
        }
        let id = self
            .proxy
            .open(server, request, Proxied::Other { sender: None });
        self.proxy.forward(actions, id, draft, NextHop::Flow(flow));
    }

    /// Forwards where the remaining routes, or else the Request-URI, lead.
    fn forward_to_core(
        &mut self,
        actions: &mut Actions<'_>,
        id: ContextId,
        draft: sip::Draft,
    ) -> Option<BranchId> {
        match proxy::next_hop(&draft) {
            Some(uri) => {
                let next = NextHop::Uri(uri.view());
                self.proxy.forward(actions, id, draft, next)
            }
            None => {
                self.proxy.reject(actions, id, 404, "");
                None
            }
        }
    }

    fn handle_cancel(&mut self, actions: &mut Actions<'_>, server: ServerId) {
        if let Some(Proxied::Call { leg, .. }) = self.proxy.handle_cancel(actions, server) {
            // Cancelled while it waited for the media gateway.
            self.end_leg_if_early(actions, leg);
        }
    }

    /// The response to a request that failed without one.
    ///
    /// Where nothing answered at all, it is the network that timed out (TS 24.229 5.2.2.1), and the
    /// UE is to register anew when it was to begin something (5.2.6.3.2A).
    fn failure(
        &mut self,
        actions: &mut Actions<'_>,
        id: ContextId,
        status: u16,
    ) -> Option<Message> {
        let context = self.proxy.get(id)?;
        let silent = !context.was_heard() && !context.is_cancelled();
        let sender = match &context.state {
            // Also where the I-CSCF said that it was trying: no 408 may be sent (RFC 4320 4.2).
            Proxied::Register(_) if silent || status == 408 => {
                return self.proxy.failure(actions, id, 504);
            }
            Proxied::Call { leg, .. } if !context.request()?.is_in_dialog() => {
                let leg = self.legs.get(leg);
                leg.filter(|leg| leg.kind == LegKind::Originating)
                    .and_then(|leg| leg.registration)
            }
            Proxied::Other { sender } => *sender,
            Proxied::Register(_) | Proxied::Call { .. } => None,
        };
        let Some(key) = sender.filter(|_| silent) else {
            return self.proxy.failure(actions, id, status);
        };
        let tag = actions.stack.token();
        let token = Token::Registration(key).to_string();
        let own = actions.stack.addresses().uri(Role::Pcscf, &token, 0);
        let mut draft = restoration::response(context.request()?, &tag, &own, "S-CSCF is silent");
        draft.finish().ok()
    }

    fn pass_upstream(&mut self, actions: &mut Actions<'_>, upstream: Upstream) {
        let (id, passing) = match upstream {
            Upstream::Nothing => return,
            Upstream::Response {
                context, passing, ..
            } => (context, passing),
            Upstream::Failure { context, status } => {
                let Some(response) = self.failure(actions, context, status) else {
                    return;
                };
                (context, Passing::from(response))
            }
        };
        let Some(context) = self.proxy.get(id) else {
            return;
        };
        match &context.state {
            Proxied::Register(registering) => {
                let registering = registering.clone();
                self.pass_register_response(actions, id, &registering, passing);
            }
            Proxied::Call { leg, from, .. } => {
                let (leg, side) = (*leg, from.other());
                self.pass_call_response(actions, leg, id, passing, side);
            }
            Proxied::Other { .. } => self.proxy.respond(actions, id, passing.draft),
        }
    }
}

/// The token of the topmost Route, when that is ours.
fn own_token(actions: &Actions<'_>, request: &Message) -> Option<Token> {
    let route = request.routes().next()?.ok()?;
    let own = actions.stack.addresses().own(route.uri)?;
    if own.role == Role::Pcscf {
        Token::parse(own.token)
    } else {
        None
    }
}

/// The token of the Request-URI, when that is ours and nothing comes before it.
fn target_token(actions: &Actions<'_>, request: &Message) -> Option<Token> {
    if request.routes().next().is_some() {
        return None;
    }
    let own = actions.stack.addresses().own(request.uri().ok()?)?;
    if own.role == Role::Pcscf {
        Token::parse(own.token)
    } else {
        None
    }
}

/// Removes the topmost routes that are ours: two where both sides of us were recorded (RFC 5658).
fn remove_own_routes(actions: &Actions<'_>, request: &Message, draft: &mut sip::Draft) {
    for route in request.routes() {
        let own = route
            .ok()
            .and_then(|route| actions.stack.addresses().own(route.uri));
        if own.is_none_or(|own| own.role != Role::Pcscf) {
            return;
        }
        draft.remove_first_value(HeaderName::Route);
    }
}

/// Records us in the route of a dialog: once, or a URI for each side where these differ (RFC 5658).
fn record_route(
    actions: &Actions<'_>,
    draft: &mut sip::Draft,
    token: Token,
    flow: crate::stack::Flow,
    from: Side,
) {
    let token = token.to_string();
    let addresses = actions.stack.addresses();
    let core = format!("<{};lr>", addresses.uri(Role::Pcscf, &token, 0));
    let is_stream = matches!(flow, crate::stack::Flow::Stream { .. });
    let transport = if is_stream { ";transport=tcp" } else { "" };
    let own = addresses.uri(Role::Pcscf, &token, flow.listener());
    let access = format!("<{own}{transport};lr>");
    if core == access {
        draft.push_front(HeaderName::RecordRoute, &core);
        return;
    }
    let (far, near) = match from {
        Side::Access => (&core, &access),
        Side::Core => (&access, &core),
    };
    draft.push_front(HeaderName::RecordRoute, near);
    draft.push_front(HeaderName::RecordRoute, far);
}

/// P-Charging-Vector with a new ICID (TS 24.229 5.2.6.3, TS 32.260).
fn charging_vector(actions: &mut Actions<'_>) -> String {
    let icid = actions.stack.token();
    let place = actions.stack.addresses().listener(0);
    let host = place
        .map(|address| address.ip().to_string())
        .unwrap_or_default();
    format!(
        "icid-value={icid}{:x};icid-generated-at=\"{host}\"",
        actions.now.as_secs()
    )
}

fn makes_dialog(request: &Message) -> bool {
    [Method::Subscribe, Method::Refer]
        .iter()
        .any(|method| request.is_method(method))
}

/// True for a request to the P-CSCF itself: no user, or our name.
fn is_for_us(actions: &Actions<'_>, request: &Message) -> bool {
    if request.routes().next().is_some() {
        return false;
    }
    let Ok(uri) = request.uri() else { return false };
    let address = uri.host().and_then(|host| host.ip());
    let named = actions.stack.addresses().own(uri).is_some();
    let ours = address.is_some_and(|ip| actions.config.sip.iter().any(|own| own.ip() == ip));
    named || (uri.user().is_none() && ours)
}

/// OPTIONS is a ping; nothing else can be done with a proxy (RFC 3261 11.2).
fn answer_ourselves(actions: &mut Actions<'_>, server: ServerId, request: &Message) {
    let tag = actions.stack.token();
    let status = if request.is_method(&Method::Options) {
        200
    } else {
        405
    };
    let mut draft = request.response(status, "");
    draft.to_tag(&tag).append(HeaderName::Allow, "OPTIONS");
    actions.stack.respond(actions.now, server, &mut draft);
}

#[cfg(test)]
mod tests;
