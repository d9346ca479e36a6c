//! Subscriber of the reg event package (RFC 3680 and RFC 6665, TS 24.229 5.2.3): learns from the
//! S-CSCF what becomes of the registrations through here, and ends them as it says (5.2.5.2).
//!
//! One subscription for each implicit registration set, named by its default identity, for as long
//! as a registration of the set is here. What the S-CSCF no longer lists is not ended: a
//! registration made since may be meant, and each has its timer.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use base::{IdMap, Instant, Pii, TimerId};
use serde::{Deserialize, Serialize};
use sip::dialog::{Dialog, SequenceError};
use sip::transaction::ServerId;
use sip::{Draft, HeaderName, Message, Method, Uri};
use smallvec::SmallVec;
use tracing::{info, warn};

use super::register::EXPIRY_GRACE;
use super::registration::{News, RegistrationKey};
use super::{Pcscf, Timer, Token, charging_vector};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::{self, Actions};
use crate::journal::{self, KeptDialog, Kind};
use crate::reginfo::{CONTENT_TYPE, EVENT, Reginfo};
use crate::stack::{BranchId, NextHop};

/// How much longer than a registration its subscription is to last (TS 24.229 5.2.3): so long that
/// it is refreshed when the registration has been, and not at all when it has not.
const MARGIN: Duration = Duration::from_secs(1200);
/// A subscription that lasts longer is refreshed [`AHEAD`] before its end, others at half time.
const LONG: Duration = Duration::from_secs(1200);
/// How long before its end a long subscription is refreshed (TS 24.229 5.2.3).
const AHEAD: Duration = Duration::from_secs(600);
/// No refresh sooner than this.
const REFRESH_MIN: Duration = Duration::from_secs(30);
/// How long a subscription outlives the last registration of its set: the S-CSCF ends it, or the UE
/// is back.
const LINGER: Duration = Duration::from_secs(5);
/// Between the end of a subscription that the S-CSCF wants renewed and the next one.
const RENEW_AFTER: Duration = Duration::from_secs(5);
/// Longest wait that the S-CSCF can ask for.
const RENEW_MAX: Duration = Duration::from_secs(3600);
/// Timer N of RFC 6665 4.1.2.4, in T1.
const TIMER_N: u32 = 64;

/// Names a subscription, and is written into Contact: unguessable, so that it also proves that a
/// NOTIFY comes from where the SUBSCRIBE went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionKey(pub u64);

/// All subscriptions of the P-CSCF.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    // Boxed: of a table's places up to a half are empty.
    by_key: IdMap<SubscriptionKey, Box<Subscription>>,
    /// By the default identity of the set; those that are being ended are not here.
    by_identity: HashMap<String, SubscriptionKey>,
    /// The subscription of each registration that is watched.
    by_member: IdMap<RegistrationKey, SubscriptionKey>,
    /// SUBSCRIBEs under way.
    by_branch: IdMap<BranchId, SubscriptionKey>,
}

#[derive(Debug)]
struct Subscription {
    /// Default identity of the set.
    identity: String,
    /// Registrations of the set.
    members: SmallVec<[RegistrationKey; 1]>,
    state: State,
    /// What is asked for.
    lifetime: Duration,
    /// When it ends by itself.
    expires_at: Instant,
    /// Version of the last document.
    version: Option<u32>,
    timer: Option<TimerId>,
}

#[derive(Debug)]
enum State {
    /// To be asked for when the timer fires; of an earlier one the last NOTIFY may still come.
    Due { before: Option<Box<Dialog>> },
    /// SUBSCRIBE has gone; no NOTIFY has come till the timer fires (Timer N).
    Asked { call_id: String, tag: String },
    /// The timer refreshes it, or ends it when no registration is left.
    Active(Box<Dialog>),
    /// It was asked to end; the timer forgets it.
    Ending(Box<Dialog>),
}

impl Subscriptions {
    /// Subscriptions held.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    fn remove(&mut self, actions: &mut Actions<'_>, key: SubscriptionKey) -> Option<Subscription> {
        let subscription = self.by_key.remove(&key)?;
        subscription.forget(actions, key);
        actions.cancel_timer(subscription.timer);
        if self.by_identity.get(&subscription.identity) == Some(&key) {
            self.by_identity.remove(&subscription.identity);
        }
        for member in &subscription.members {
            self.by_member.remove(member);
        }
        Some(*subscription)
    }
}

/// A [`Subscription`] that is active, in the journal. Its registrations are those of its identity.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptSubscription<'a> {
    identity: Cow<'a, str>,
    dialog: KeptDialog<'a>,
    lifetime: Duration,
    #[serde(with = "journal::instant")]
    expires_at: Instant,
    version: Option<u32>,
}

impl Subscription {
    /// Keeps an active subscription as it is now.
    fn keep(&self, actions: &mut Actions<'_>, key: SubscriptionKey) {
        let State::Active(dialog) = &self.state else {
            return;
        };
        let kept = KeptSubscription {
            identity: Cow::Borrowed(&self.identity),
            dialog: KeptDialog::from(&**dialog),
            lifetime: self.lifetime,
            expires_at: self.expires_at,
            version: self.version,
        };
        actions.journal.put(Kind::AccessSubscription, key.0, &kept);
    }

    /// Keeps it no longer, if it was active.
    fn forget(&self, actions: &mut Actions<'_>, key: SubscriptionKey) {
        if let State::Active(_) = self.state {
            actions.journal.remove(Kind::AccessSubscription, key.0);
        }
    }

    fn restart_timer(&mut self, actions: &mut Actions<'_>, key: SubscriptionKey, after: Duration) {
        actions.cancel_timer(self.timer.take());
        let timer = entity::Timer::Pcscf(Timer::Subscription(key));
        self.timer = Some(actions.set_timer(after, timer));
    }

    /// When an active subscription wants attention.
    fn watch(&mut self, actions: &mut Actions<'_>, key: SubscriptionKey) {
        let left = self.expires_at - actions.now;
        let after = if self.members.is_empty() {
            LINGER
        } else if left > LONG {
            left - AHEAD
        } else {
            (left / 2).max(REFRESH_MIN)
        };
        self.restart_timer(actions, key, after);
    }
}

impl Pcscf {
    // ---- which registrations are watched ----

    /// Subscribes to what becomes of a registration, unless its set is watched already.
    pub(super) fn subscribe(
        &mut self,
        actions: &mut Actions<'_>,
        registration: RegistrationKey,
        granted: Duration,
    ) {
        let Some(watched) = self.registrations.get(registration) else {
            return;
        };
        let identity = watched.default_identity();
        let before = self.subscriptions.by_member.get(&registration).copied();
        let known = self.subscriptions.by_identity.get(&identity).copied();
        if before.is_some() && before != known {
            self.unsubscribe(actions, registration);
        }
        let (key, is_new) = match known {
            Some(key) => (key, false),
            None => (SubscriptionKey(actions.entropy.next_u64()), true),
        };
        let lifetime = granted + MARGIN;
        let subscription = self.subscriptions.by_key.entry(key).or_insert_with(|| {
            Box::new(Subscription {
                identity: identity.clone(),
                members: SmallVec::new(),
                state: State::Due { before: None },
                lifetime,
                expires_at: actions.now,
                version: None,
                timer: None,
            })
        });
        subscription.lifetime = lifetime;
        let alone = subscription.members.is_empty();
        if !subscription.members.contains(&registration) {
            subscription.members.push(registration);
        }
        if let (State::Active(_), true) = (&subscription.state, alone) {
            subscription.watch(actions, key);
        }
        self.subscriptions.by_member.insert(registration, key);
        if is_new {
            self.subscriptions.by_identity.insert(identity, key);
            self.ask(actions, key);
        }
    }

    /// A registration is gone: its subscription goes with the last one of its set.
    pub(super) fn unsubscribe(&mut self, actions: &mut Actions<'_>, registration: RegistrationKey) {
        let Some(key) = self.subscriptions.by_member.remove(&registration) else {
            return;
        };
        let Some(subscription) = self.subscriptions.by_key.get_mut(&key) else {
            return;
        };
        subscription
            .members
            .retain(|member| *member != registration);
        if !subscription.members.is_empty() {
            return;
        }
        match subscription.state {
            State::Active(_) => subscription.watch(actions, key),
            State::Due { .. } => self.drop_subscription(actions, key),
            State::Asked { .. } | State::Ending(_) => {}
        }
    }

    // ---- after a restart ----

    /// A subscription of an earlier life goes on.
    pub(super) fn restore_subscription(
        &mut self,
        actions: &mut Actions<'_>,
        key: SubscriptionKey,
        kept: KeptSubscription<'static>,
    ) {
        let identity = kept.identity.into_owned();
        self.subscriptions.by_identity.insert(identity.clone(), key);
        let subscription = Subscription {
            identity,
            members: SmallVec::new(),
            state: State::Active(Box::new(kept.dialog.into())),
            lifetime: kept.lifetime,
            expires_at: kept.expires_at,
            version: kept.version,
            timer: None,
        };
        let subscription = self
            .subscriptions
            .by_key
            .entry(key)
            .insert_entry(Box::new(subscription));
        subscription.into_mut().watch(actions, key);
    }

    /// Every restored registration is watched: by the restored subscription of its set, or by a new
    /// one.
    pub(super) fn watch_restored(&mut self, actions: &mut Actions<'_>) {
        let mut keys: Vec<RegistrationKey> = self.registrations.keys().collect();
        keys.sort_unstable();
        for key in keys {
            let Some(registration) = self.registrations.get(key) else {
                continue;
            };
            let left = registration.ends_at - actions.now;
            if left > EXPIRY_GRACE {
                self.subscribe(actions, key, left - EXPIRY_GRACE);
            }
        }
    }

    /// Keeps all subscriptions anew.
    pub(super) fn keep_subscriptions(&self, actions: &mut Actions<'_>) {
        for (key, subscription) in &self.subscriptions.by_key {
            subscription.keep(actions, *key);
        }
    }

    // ---- SUBSCRIBE ----

    /// The SUBSCRIBE that makes a subscription (TS 24.229 5.2.3).
    fn ask(&mut self, actions: &mut Actions<'_>, key: SubscriptionKey) {
        let asserted = self.asserted(actions, key);
        let Some(subscription) = self.subscriptions.by_key.get_mut(&key) else {
            return;
        };
        let (call_id, tag) = (actions.stack.token(), actions.stack.token());
        let own = actions.stack.addresses().uri(Role::Pcscf, "", 0);
        let identity = &subscription.identity;
        let mut draft = Draft::request(&Method::Subscribe, identity);
        draft
            .append(HeaderName::MaxForwards, &sip::MAX_FORWARDS.to_string())
            .append(HeaderName::From, &format!("<{own}>;tag={tag}"))
            .append(HeaderName::To, &format!("<{identity}>"))
            .append(HeaderName::CallId, &call_id)
            .append(HeaderName::CSeq, "1 SUBSCRIBE");
        complete(actions, &mut draft, key, &asserted, subscription.lifetime);
        subscription.state = State::Asked { call_id, tag };
        subscription.version = None;
        let timer_n = actions.config.core.t1() * TIMER_N;
        subscription.restart_timer(actions, key, timer_n);
        let hop = NextHop::Entity(Role::Icscf);
        let branch = actions.stack.send(actions.now, Role::Pcscf, draft, hop);
        self.subscriptions.by_branch.insert(branch, key);
    }

    /// A SUBSCRIBE within the dialog: a refresh, or with no duration the end.
    fn ask_again(&mut self, actions: &mut Actions<'_>, key: SubscriptionKey, lifetime: Duration) {
        let asserted = self.asserted(actions, key);
        let Some(subscription) = self.subscriptions.by_key.get_mut(&key) else {
            return;
        };
        let (State::Active(dialog) | State::Ending(dialog)) = &mut subscription.state else {
            return;
        };
        let mut draft = dialog.request(&Method::Subscribe);
        complete(actions, &mut draft, key, &asserted, lifetime);
        let next = dialog.next_hop().to_owned();
        subscription.keep(actions, key);
        let Some(next) = Uri::parse(&next) else {
            return;
        };
        let (now, next) = (actions.now, NextHop::Uri(next));
        let branch = actions.stack.send(now, Role::Pcscf, draft, next);
        self.subscriptions.by_branch.insert(branch, key);
    }

    /// P-Asserted-Identity of our SUBSCRIBEs: the URI that we put into Path.
    fn asserted(&self, actions: &Actions<'_>, key: SubscriptionKey) -> String {
        let subscription = self.subscriptions.by_key.get(&key);
        let member = subscription.and_then(|subscription| subscription.members.first());
        let token = member.map(|member| Token::Registration(*member).to_string());
        let addresses = actions.stack.addresses();
        addresses.uri(Role::Pcscf, &token.unwrap_or_default(), 0)
    }

    /// A response on a branch; false when it is none of a SUBSCRIBE of ours.
    pub(super) fn handle_subscribe_response(
        &mut self,
        actions: &mut Actions<'_>,
        branch: BranchId,
        response: &Message,
    ) -> bool {
        let Some(&key) = self.subscriptions.by_branch.get(&branch) else {
            return false;
        };
        match response.status() {
            Some(200..300) => {
                if let Some(subscription) = self.subscriptions.by_key.get_mut(&key) {
                    let granted = response.expires().ok().flatten();
                    let granted = granted.map(|seconds| Duration::from_secs(seconds.into()));
                    let granted = granted.unwrap_or(subscription.lifetime);
                    subscription.expires_at = actions.now + granted;
                    if let State::Active(_) = subscription.state {
                        subscription.keep(actions, key);
                        subscription.watch(actions, key);
                    }
                }
            }
            Some(status @ 300..) => self.subscribe_failed(actions, key, status),
            _ => {}
        }
        true
    }

    /// No response comes on a branch; false when it is none of a SUBSCRIBE of ours.
    pub(super) fn handle_subscribe_failure(
        &mut self,
        actions: &mut Actions<'_>,
        branch: BranchId,
        status: u16,
    ) -> bool {
        let Some(&key) = self.subscriptions.by_branch.get(&branch) else {
            return false;
        };
        self.subscribe_failed(actions, key, status);
        true
    }

    /// A branch is over; false when it is none of a SUBSCRIBE of ours.
    pub(super) fn handle_subscribe_ended(&mut self, branch: BranchId) -> bool {
        self.subscriptions.by_branch.remove(&branch).is_some()
    }

    /// RFC 6665 4.1.2.3: a subscription that the S-CSCF does not know is made anew; one that could
    /// not be refreshed is tried again while it lasts; one that was refused waits for the next
    /// REGISTER.
    fn subscribe_failed(&mut self, actions: &mut Actions<'_>, key: SubscriptionKey, status: u16) {
        let Some(subscription) = self.subscriptions.by_key.get_mut(&key) else {
            return;
        };
        match &subscription.state {
            State::Due { .. } => {}
            State::Asked { .. } => {
                actions.counters.count(Counter::SubscriptionRefused);
                warn!(identity = %Pii(&subscription.identity), status, "subscription refused");
                self.drop_subscription(actions, key);
            }
            State::Active(_) => {
                let left = subscription.expires_at - actions.now;
                if status == 481 || left < 2 * REFRESH_MIN {
                    self.renew(actions, key, RENEW_AFTER);
                } else {
                    subscription.restart_timer(actions, key, left / 2);
                }
            }
            State::Ending(_) => self.drop_subscription(actions, key),
        }
    }

    /// The timer of a subscription.
    pub(super) fn handle_subscription_timer(
        &mut self,
        actions: &mut Actions<'_>,
        key: SubscriptionKey,
    ) {
        let Some(subscription) = self.subscriptions.by_key.get_mut(&key) else {
            return;
        };
        subscription.timer = None;
        let idle = subscription.members.is_empty();
        if idle {
            subscription.forget(actions, key);
        }
        match std::mem::replace(&mut subscription.state, State::Due { before: None }) {
            State::Due { .. } => self.ask(actions, key),
            State::Asked { .. } | State::Ending(_) => self.drop_subscription(actions, key),
            State::Active(dialog) if idle => {
                subscription.state = State::Ending(dialog);
                let timer_n = actions.config.core.t1() * TIMER_N;
                subscription.restart_timer(actions, key, timer_n);
                let identity = subscription.identity.clone();
                self.subscriptions.by_identity.remove(&identity);
                self.ask_again(actions, key, Duration::ZERO);
            }
            State::Active(dialog) => {
                let (left, lifetime) =
                    (subscription.expires_at - actions.now, subscription.lifetime);
                subscription.state = State::Active(dialog);
                if left.is_zero() {
                    return self.renew(actions, key, RENEW_AFTER);
                }
                // Should nothing come of it, not even a failure.
                subscription.restart_timer(actions, key, left);
                self.ask_again(actions, key, lifetime);
            }
        }
    }

    /// A subscription that has ended is made anew, while registrations of its set are left.
    fn renew(&mut self, actions: &mut Actions<'_>, key: SubscriptionKey, after: Duration) {
        let Some(subscription) = self.subscriptions.by_key.get_mut(&key) else {
            return;
        };
        if subscription.members.is_empty() {
            return self.drop_subscription(actions, key);
        }
        subscription.forget(actions, key);
        let before = match std::mem::replace(&mut subscription.state, State::Due { before: None }) {
            State::Active(dialog) => Some(dialog),
            _ => None,
        };
        subscription.state = State::Due { before };
        subscription.restart_timer(actions, key, after);
    }

    fn drop_subscription(&mut self, actions: &mut Actions<'_>, key: SubscriptionKey) {
        self.subscriptions.remove(actions, key);
    }

    // ---- NOTIFY ----

    /// A request to the Contact of a subscription.
    pub(super) fn handle_notify(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
        key: SubscriptionKey,
    ) {
        let taken = self.take_notify(actions, key, request);
        let (document, state) = match taken {
            Ok(taken) => taken,
            Err(status) => {
                let tag = actions.stack.token();
                let mut draft = request.response(status, "");
                draft.to_tag(&tag);
                match status {
                    405 => draft.append(HeaderName::Allow, "NOTIFY"),
                    415 => draft.append(HeaderName::Accept, CONTENT_TYPE),
                    489 => draft.append(HeaderName::AllowEvents, EVENT),
                    _ => &mut draft,
                };
                return actions.stack.respond(actions.now, server, &mut draft);
            }
        };
        actions.stack.reject(actions.now, server, request, 200, "");
        let is_over = matches!(state, SubscriptionState::Terminated { .. });
        if let Some(document) = document {
            self.learn(actions, key, &document, is_over);
        }
        let Some(subscription) = self.subscriptions.by_key.get_mut(&key) else {
            return;
        };
        match state {
            SubscriptionState::Terminated { retry: Some(after) } => {
                self.renew(actions, key, after);
            }
            SubscriptionState::Terminated { retry: None } => self.drop_subscription(actions, key),
            SubscriptionState::Active { left } => {
                if let Some(left) = left {
                    subscription.expires_at = actions.now + left;
                }
                if let State::Active(_) = subscription.state {
                    subscription.keep(actions, key);
                    subscription.watch(actions, key);
                }
            }
        }
    }

    /// Checks a NOTIFY against its subscription, and reads it; the status to refuse it with.
    fn take_notify(
        &mut self,
        actions: &mut Actions<'_>,
        key: SubscriptionKey,
        request: &Message,
    ) -> Result<(Option<Reginfo>, SubscriptionState), u16> {
        let subscription = self.subscriptions.by_key.get_mut(&key).ok_or(481_u16)?;
        if !request.is_method(&Method::Notify) {
            return Err(405);
        }
        let event = request.event().ok().flatten().ok_or(489_u16)?;
        if !event.token.eq_ignore_ascii_case(EVENT) {
            return Err(489);
        }
        let state = SubscriptionState::of(request).ok_or(400_u16)?;
        let document = document(request)?;
        subscription.receive(actions, request)?;
        let last = subscription.version;
        // One that was overtaken tells nothing new (RFC 3680 5.1).
        let document = document.filter(|document| last.is_none_or(|last| document.version > last));
        if let Some(document) = &document {
            subscription.version = Some(document.version);
        }
        Ok((document, state))
    }

    /// What the S-CSCF says of the registrations of a set (TS 24.229 5.2.3, 5.2.5.2).
    fn learn(
        &mut self,
        actions: &mut Actions<'_>,
        key: SubscriptionKey,
        document: &Reginfo,
        is_over: bool,
    ) {
        let subscription = self.subscriptions.by_key.get(&key);
        let members = subscription.map(|subscription| subscription.members.clone());
        for member in members.unwrap_or_default() {
            let Some(registration) = self.registrations.get_mut(member) else {
                continue;
            };
            let news: News = registration.learn(document, is_over);
            if !news.ended {
                if news.changed {
                    self.keep_registration(actions, member);
                }
                continue;
            }
            let by_network = news.by_network;
            info!(identity = %Pii(&registration.registered), by_network, "deregistered");
            self.forget(actions, member);
            if by_network {
                self.release_all(actions, member, "Deregistered");
            }
        }
    }
}

impl Subscription {
    /// Checks that a NOTIFY belongs to the subscription; the first one makes its dialog (RFC 6665
    /// 4.4.1).
    fn receive(&mut self, actions: &mut Actions<'_>, request: &Message) -> Result<(), u16> {
        let asked = match &mut self.state {
            State::Due { before: None } => return Err(481),
            State::Asked { call_id, tag } => (call_id, tag),
            State::Active(dialog)
            | State::Ending(dialog)
            | State::Due {
                before: Some(dialog),
            } => {
                let id = sip::dialog::DialogId::of_received_request(request);
                if id != Ok(dialog.id.clone()) {
                    return Err(481);
                }
                dialog
                    .receive_request(request)
                    .map_err(|error: SequenceError| error.status())?;
                return dialog.refresh_target(request).map_err(|_| 400);
            }
        };
        let (call_id, tag) = asked;
        if request.call_id() != Ok(call_id) || request.to_tag() != Some(tag) {
            return Err(481);
        }
        // What the answer adds to the dialog, the NOTIFY has: our tag is in its To.
        let answer = request.response(200, "").finish().map_err(|_| 400_u16)?;
        let mut dialog = Dialog::as_uas(request, &answer).map_err(|_| 400_u16)?;
        dialog.local_cseq = FIRST_CSEQ;
        self.state = State::Active(Box::new(dialog));
        self.expires_at = self.expires_at.max(actions.now + REFRESH_MIN);
        Ok(())
    }
}

/// CSeq number of the SUBSCRIBE that makes a subscription.
const FIRST_CSEQ: u32 = 1;

/// Subscription-State, RFC 6665 4.1.3.
enum SubscriptionState {
    Active {
        left: Option<Duration>,
    },
    Terminated {
        /// When the subscriber may subscribe anew.
        retry: Option<Duration>,
    },
}

impl SubscriptionState {
    fn of(notify: &Message) -> Option<Self> {
        let state = notify.subscription_state().ok()??;
        let param = |name| state.params.get(name);
        if !state.token.eq_ignore_ascii_case("terminated") {
            let left = param("expires").and_then(|text| text.parse().ok());
            let left = left.map(Duration::from_secs);
            return Some(SubscriptionState::Active { left });
        }
        let never = ["rejected", "noresource", "invariant"];
        let is_never = param("reason")
            .is_some_and(|reason| never.iter().any(|never| reason.eq_ignore_ascii_case(never)));
        let after = param("retry-after").and_then(|text| text.parse().ok());
        let after = after.map_or(RENEW_AFTER, Duration::from_secs);
        let retry = (!is_never).then_some(after.clamp(RENEW_AFTER, RENEW_MAX));
        Some(SubscriptionState::Terminated { retry })
    }
}

/// The document of a NOTIFY, if it has one; the status to refuse it with.
fn document(notify: &Message) -> Result<Option<Reginfo>, u16> {
    if notify.body().is_empty() {
        return Ok(None);
    }
    let (main, sub) = CONTENT_TYPE.split_once('/').unwrap_or_default();
    match notify.content_type() {
        Ok(Some(content_type)) if content_type.is(main, sub) => {}
        _ => return Err(415),
    }
    Reginfo::parse(notify.body()).map(Some).map_err(|_| 400)
}

/// What all SUBSCRIBEs have.
fn complete(
    actions: &mut Actions<'_>,
    draft: &mut Draft,
    key: SubscriptionKey,
    asserted: &str,
    lifetime: Duration,
) {
    let token = Token::Subscription(key).to_string();
    let contact = actions.stack.addresses().uri(Role::Pcscf, &token, 0);
    let vector = charging_vector(actions);
    draft
        .append(HeaderName::Contact, &format!("<{contact}>"))
        .append(HeaderName::Event, EVENT)
        .append(HeaderName::Accept, CONTENT_TYPE)
        .append(HeaderName::Expires, &lifetime.as_secs().to_string())
        .append(HeaderName::PAssertedIdentity, &format!("<{asserted}>"))
        .append(HeaderName::PChargingVector, &vector);
}
