//! Notifier of the reg event package (RFC 3680 and RFC 6665, TS 24.229 5.4.2.1): tells UEs and
//! P-CSCFs what becomes of the registrations that concern them.
//!
//! A subscription is to an implicit registration set and ends with it. Its NOTIFYs go out one after
//! the other: what happens while one is under way, or sooner than RFC 3680 4.10 allows the next,
//! is told together.

mod document;

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use base::{IdMap, Instant, Pii, TimerId};
use serde::{Deserialize, Serialize};
use sip::dialog::{Dialog, DialogId};
use sip::header::RetryAfter;
use sip::transaction::ServerId;
use sip::{HeaderName, Message, Method, NameAddr, Uri};
use smallvec::SmallVec;
use tracing::info;

use super::registrar::{Change, Registrar, RegistrationSet, SetId};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::{self, Actions};
use crate::identity;
use crate::journal::{self, KeptDialog, Kind, Replay};
use crate::reginfo::{CONTENT_TYPE, ContactEvent, EVENT, Reginfo};
use crate::stack::{BranchId, NextHop};

/// Token of our URI in Contact of the subscriptions' dialogs.
const NOTIFIER: &str = "reg";
/// Subscriptions to one registration set: each of its UEs' and its P-CSCFs' several times over.
pub(super) const PER_SET_MAX: usize = 32;
/// Changes kept for one NOTIFY; beyond it the full state is told instead.
pub(super) const CHANGES_MAX: usize = 64;
/// Granted where SUBSCRIBE asks for nothing, RFC 3680 4.4.
const EXPIRES_DEFAULT: Duration = Duration::from_secs(3761);
/// No SUBSCRIBE for as long as this is too brief, RFC 6665 4.2.1.1.
const BRIEF_MAX: Duration = Duration::from_secs(3600);
/// Between NOTIFYs of changes, RFC 3680 4.10.
const NOTIFY_INTERVAL: Duration = Duration::from_secs(5);
/// Longest wait that Retry-After of a subscriber is heeded.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// Names a subscription; stale after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(u64);

/// Why all subscriptions to a set end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetEnd {
    /// Its contacts have ended so.
    Ended(ContactEvent),
    /// Another S-CSCF serves it now, and is to be asked.
    Elsewhere,
}

/// All subscriptions of the S-CSCF.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    // Boxed: of a table's places up to a half are empty.
    subscriptions: IdMap<SubscriptionId, Box<Subscription>>,
    /// By our tag, which no two dialogs have in common.
    by_tag: HashMap<Box<str>, SubscriptionId>,
    by_set: IdMap<SetId, SmallVec<[SubscriptionId; 1]>>,
    /// NOTIFYs under way whose answer matters.
    by_branch: IdMap<BranchId, SubscriptionId>,
    made: u64,
}

#[derive(Debug)]
struct Subscription {
    set: SetId,
    dialog: Dialog,
    /// Event, with the `id` that the subscriber gave it.
    event: String,
    expires_at: Instant,
    /// No NOTIFY of changes before.
    quiet_until: Instant,
    /// Fires when the subscription expires, or when a NOTIFY that had to wait may go out.
    timer: Option<TimerId>,
    /// Version of the next document.
    version: u32,
    notifying: bool,
    due: Due,
}

/// What the next NOTIFY has to tell.
#[derive(Debug, Default)]
struct Due {
    full: bool,
    changes: Vec<Change>,
    /// Public identities that could be used before the set's identities changed.
    before: Vec<String>,
}

/// Why a SUBSCRIBE is refused.
enum Refusal {
    Status(u16, &'static str),
    /// 423.
    TooBrief(Duration),
    /// 489.
    BadEvent,
    /// 503.
    Full,
}

impl Notifier {
    /// Subscriptions held.
    pub fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether a request is for us, rather than to be routed: SUBSCRIBE to the registration of a
    /// user of ours, or to our own URI.
    pub fn is_for(actions: &Actions<'_>, registrar: &Registrar, request: &Message) -> bool {
        let Ok(uri) = request.uri() else { return false };
        if !request.is_method(&Method::Subscribe) {
            return false;
        }
        let own = actions.stack.addresses().own(uri);
        own.is_some_and(|own| own.role == Role::Scscf)
            || (!request.is_in_dialog()
                && event(request).is_some()
                && registrar.find(&identity::public_identity(uri)).is_some())
    }

    /// A SUBSCRIBE that is for us.
    pub fn handle_subscribe(
        &mut self,
        actions: &mut Actions<'_>,
        registrar: &Registrar,
        server: ServerId,
        request: &Message,
    ) {
        let done = if request.is_in_dialog() {
            self.refresh(actions, registrar, server, request)
        } else {
            self.subscribe(actions, registrar, server, request)
        };
        let Err(refusal) = done else { return };
        actions.counters.count(Counter::SubscriptionRejected);
        let (status, reason) = match refusal {
            Refusal::Full => return entity::refuse_for_load(actions, server, request),
            Refusal::Status(status, reason) => (status, reason),
            Refusal::TooBrief(_) => (423, ""),
            Refusal::BadEvent => (489, ""),
        };
        let tag = actions.stack.token();
        let mut draft = request.response(status, reason);
        draft.to_tag(&tag);
        match refusal {
            Refusal::TooBrief(least) => {
                draft.append(HeaderName::MinExpires, &least.as_secs().to_string());
            }
            Refusal::BadEvent => {
                draft.append(HeaderName::AllowEvents, EVENT);
            }
            _ => {}
        }
        actions.stack.respond(actions.now, server, &mut draft);
    }

    /// A SUBSCRIBE outside a dialog (TS 24.229 5.4.2.1.1, RFC 6665 4.2.1).
    fn subscribe(
        &mut self,
        actions: &mut Actions<'_>,
        registrar: &Registrar,
        server: ServerId,
        request: &Message,
    ) -> Result<(), Refusal> {
        let event = event(request).ok_or(Refusal::BadEvent)?;
        let uri = request.uri().map_err(|_| Refusal::Status(400, ""))?;
        let (set_id, set) = registrar
            .find(&identity::public_identity(uri))
            .ok_or(Refusal::Status(404, ""))?;
        if !may_subscribe(set, request) {
            return Err(Refusal::Status(403, "Not of this user"));
        }
        if !accepts_reginfo(request) {
            return Err(Refusal::Status(406, ""));
        }
        let expires = granted(actions, request)?;
        let of_set = self.by_set.get(&set_id).map_or(0, SmallVec::len);
        if of_set >= PER_SET_MAX {
            return Err(Refusal::Full);
        }
        let response = accept(actions, request, expires)?;
        // The response has all that a dialog takes from it; the request may not.
        let dialog = Dialog::as_uas(request, &response);
        let dialog = dialog.map_err(|_| Refusal::Status(400, "No usable Contact"))?;
        actions.stack.respond_with(actions.now, server, response);
        actions.counters.count(Counter::SubscriptionAccepted);
        info!(call_id = %Pii(&dialog.id.call_id), "subscribed to registrations");

        self.made += 1;
        let id = SubscriptionId(self.made);
        self.by_tag.insert(tag_of(&dialog), id);
        self.by_set.entry(set_id).or_default().push(id);
        let subscription = Subscription {
            set: set_id,
            dialog,
            event,
            expires_at: actions.now + expires,
            quiet_until: actions.now,
            timer: None,
            version: 0,
            notifying: false,
            due: Due::default(),
        };
        self.subscriptions.insert(id, Box::new(subscription));
        self.answer_with_state(actions, registrar, id);
        Ok(())
    }

    /// A SUBSCRIBE of a subscription: refreshes it, or ends it (RFC 6665 4.2.1.4).
    fn refresh(
        &mut self,
        actions: &mut Actions<'_>,
        registrar: &Registrar,
        server: ServerId,
        request: &Message,
    ) -> Result<(), Refusal> {
        let dialog = DialogId::of_received_request(request);
        let dialog = dialog.map_err(|_| Refusal::Status(400, ""))?;
        let known = self.by_tag.get(dialog.local_tag.as_str()).copied();
        let found = known.and_then(|id| Some((id, self.subscriptions.get_mut(&id)?)));
        let found = found.filter(|(_, subscription)| subscription.dialog.id == dialog);
        let (id, subscription) = found.ok_or(Refusal::Status(481, ""))?;
        if event(request).as_ref() != Some(&subscription.event) {
            return Err(Refusal::BadEvent);
        }
        subscription
            .dialog
            .receive_request(request)
            .map_err(|error| Refusal::Status(error.status(), ""))?;
        let expires = granted(actions, request)?;
        subscription
            .dialog
            .refresh_target(request)
            .map_err(|_| Refusal::Status(400, "Bad Contact"))?;
        let response = accept(actions, request, expires)?;
        actions.stack.respond_with(actions.now, server, response);
        subscription.expires_at = actions.now + expires;
        self.answer_with_state(actions, registrar, id);
        Ok(())
    }

    /// The NOTIFY that each SUBSCRIBE is followed by (RFC 6665 4.2.1.2); the last one where it
    /// asked for no duration.
    fn answer_with_state(
        &mut self,
        actions: &mut Actions<'_>,
        registrar: &Registrar,
        id: SubscriptionId,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if subscription.expires_at <= actions.now {
            return self.time_out(actions, registrar, id);
        }
        subscription.due.full = true;
        subscription.quiet_until = actions.now;
        self.flush(actions, registrar, id);
    }

    // ---- after a restart ----

    /// Takes up the subscriptions of an earlier life. Where it did not come to tell something, or
    /// to hear that it was heard, all is told.
    pub fn restore(
        &mut self,
        replay: &mut Replay,
        registrar: &Registrar,
        actions: &mut Actions<'_>,
    ) {
        for (number, kept) in replay.take::<KeptSubscription<'static>>(Kind::Subscription) {
            let set = SetId(kept.set);
            self.made = self.made.max(number);
            if registrar.get(set).is_none() {
                actions.journal.remove(Kind::Subscription, number);
                continue;
            }
            let id = SubscriptionId(number);
            let subscription = Subscription {
                set,
                dialog: kept.dialog.into(),
                event: kept.event.into_owned(),
                expires_at: kept.expires_at,
                quiet_until: actions.now,
                timer: None,
                version: kept.version,
                notifying: false,
                due: Due {
                    full: kept.is_due,
                    ..Due::default()
                },
            };
            self.by_tag.insert(tag_of(&subscription.dialog), id);
            self.by_set.entry(set).or_default().push(id);
            let entry = self.subscriptions.entry(id);
            let entry = entry.insert_entry(Box::new(subscription));
            entry.into_mut().restart_timer(actions, id);
        }
    }

    /// Keeps everything anew.
    pub fn keep_all(&self, actions: &mut Actions<'_>) {
        for (id, subscription) in &self.subscriptions {
            subscription.keep(actions, *id);
        }
    }

    // ---- what happens to registrations ----

    /// Contacts of a set have changed.
    pub fn tell(
        &mut self,
        actions: &mut Actions<'_>,
        registrar: &Registrar,
        set: SetId,
        changes: &[Change],
    ) {
        if changes.is_empty() {
            return;
        }
        for id in self.of_set(set) {
            let Some(subscription) = self.subscriptions.get_mut(&id) else {
                continue;
            };
            // It waits for its time or for an answer, as is known already.
            let waits = subscription.is_due();
            subscription.due.add(changes);
            if !waits {
                self.flush(actions, registrar, id);
            }
        }
    }

    /// The identities of a set have changed; `before` are those that could be used till now.
    pub fn tell_identities(
        &mut self,
        actions: &mut Actions<'_>,
        registrar: &Registrar,
        set: SetId,
        before: &[String],
    ) {
        for id in self.of_set(set) {
            if let Some(subscription) = self.subscriptions.get_mut(&id) {
                subscription.due.full = true;
                subscription.due.add_before(before);
            }
            self.flush(actions, registrar, id);
        }
    }

    /// A set has ended: the last NOTIFY of each of its subscriptions (TS 24.229 5.4.2.1.2).
    pub fn end_set(
        &mut self,
        actions: &mut Actions<'_>,
        id: SetId,
        set: &RegistrationSet,
        end: SetEnd,
    ) {
        for id in self.of_set(id) {
            let Some(mut subscription) = self.remove(actions, id) else {
                continue;
            };
            let (reason, document) = match end {
                SetEnd::Elsewhere => ("deactivated", None),
                SetEnd::Ended(event) => {
                    let due = std::mem::take(&mut subscription.due);
                    let version = subscription.version;
                    let document = document::of_ended(version, set, event, &due.changes);
                    ("noresource", Some(document))
                }
            };
            let state = format!("terminated;reason={reason}");
            subscription.notify(actions, &state, document.as_ref());
        }
    }

    fn of_set(&self, set: SetId) -> SmallVec<[SubscriptionId; 1]> {
        self.by_set.get(&set).cloned().unwrap_or_default()
    }

    // ---- what happens to NOTIFYs ----

    /// A response on a branch; false when it is none of ours.
    pub fn handle_response(
        &mut self,
        actions: &mut Actions<'_>,
        registrar: &Registrar,
        branch: BranchId,
        response: &Message,
    ) -> bool {
        let Some(&id) = self.by_branch.get(&branch) else {
            return false;
        };
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return true;
        };
        let retry = match response.retry_after() {
            Ok(Some(RetryAfter { seconds, .. })) => Some(Duration::from_secs(seconds.into())),
            _ => None,
        };
        match response.status() {
            Some(200..300) => {
                subscription.notifying = false;
                self.flush(actions, registrar, id);
            }
            Some(300..) => match retry {
                // It is to be told again, and all of it.
                Some(after) => {
                    subscription.notifying = false;
                    subscription.due.full = true;
                    subscription.quiet_until = actions.now + after.min(RETRY_MAX);
                    self.flush(actions, registrar, id);
                }
                None => self.lose(actions, id),
            },
            _ => {}
        }
        true
    }

    /// No response comes on a branch; false when it is none of ours.
    pub fn handle_failure(&mut self, actions: &mut Actions<'_>, branch: BranchId) -> bool {
        let Some(&id) = self.by_branch.get(&branch) else {
            return false;
        };
        self.lose(actions, id);
        true
    }

    /// A branch is over; false when it is none of ours.
    pub fn handle_ended(&mut self, branch: BranchId) -> bool {
        self.by_branch.remove(&branch).is_some()
    }

    /// A subscription expires, or a NOTIFY that waited may go out.
    pub fn handle_timer(
        &mut self,
        actions: &mut Actions<'_>,
        registrar: &Registrar,
        id: SubscriptionId,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        subscription.timer = None;
        if subscription.expires_at <= actions.now {
            self.time_out(actions, registrar, id);
        } else {
            self.flush(actions, registrar, id);
        }
    }

    /// Tells what is due, now or when it may be told, and sets the timer for it.
    fn flush(&mut self, actions: &mut Actions<'_>, registrar: &Registrar, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let set = registrar.get(subscription.set);
        let waits = subscription.quiet_until > actions.now;
        if let (Some(set), false, false) = (set, subscription.notifying, waits)
            && !subscription.due.is_empty()
        {
            let due = std::mem::take(&mut subscription.due);
            let document = document::of_set(actions.now, subscription.version, set, &due);
            let left = subscription.expires_at - actions.now;
            let state = format!("active;expires={}", left.as_secs());
            subscription.quiet_until = actions.now + NOTIFY_INTERVAL;
            if let Some(branch) = subscription.notify(actions, &state, Some(&document)) {
                subscription.notifying = true;
                self.by_branch.insert(branch, id);
            }
        }
        subscription.keep(actions, id);
        subscription.restart_timer(actions, id);
    }

    /// The subscriber lets the subscription end (RFC 6665 4.2.1.4).
    fn time_out(&mut self, actions: &mut Actions<'_>, registrar: &Registrar, id: SubscriptionId) {
        let Some(mut subscription) = self.remove(actions, id) else {
            return;
        };
        let mut due = std::mem::take(&mut subscription.due);
        due.full = true;
        let document = registrar
            .get(subscription.set)
            .map(|set| document::of_set(actions.now, subscription.version, set, &due));
        subscription.notify(actions, "terminated;reason=timeout", document.as_ref());
    }

    /// The subscriber is gone (RFC 6665 4.2.2).
    fn lose(&mut self, actions: &mut Actions<'_>, id: SubscriptionId) {
        if let Some(subscription) = self.remove(actions, id) {
            actions.counters.count(Counter::SubscriptionLost);
            info!(call_id = %Pii(&subscription.dialog.id.call_id), "subscriber is gone");
        }
    }

    fn remove(
        &mut self,
        actions: &mut Actions<'_>,
        id: SubscriptionId,
    ) -> Option<Box<Subscription>> {
        let mut subscription = self.subscriptions.remove(&id)?;
        actions.journal.remove(Kind::Subscription, id.0);
        actions.cancel_timer(subscription.timer.take());
        self.by_tag
            .remove(subscription.dialog.id.local_tag.as_str());
        if let Some(of_set) = self.by_set.get_mut(&subscription.set) {
            of_set.retain(|other| *other != id);
            if of_set.is_empty() {
                self.by_set.remove(&subscription.set);
            }
        }
        Some(subscription)
    }
}

/// A [`Subscription`] in the journal.
#[derive(Serialize, Deserialize)]
struct KeptSubscription<'a> {
    set: u64,
    dialog: KeptDialog<'a>,
    event: Cow<'a, str>,
    #[serde(with = "journal::instant")]
    expires_at: Instant,
    version: u32,
    /// Something is to be told, or may not have been heard.
    is_due: bool,
}

impl Subscription {
    /// Something is to be told, or may not have been heard.
    fn is_due(&self) -> bool {
        self.notifying || !self.due.is_empty()
    }

    /// Keeps it as it is now.
    fn keep(&self, actions: &mut Actions<'_>, id: SubscriptionId) {
        let kept = KeptSubscription {
            set: self.set.0,
            dialog: KeptDialog::from(&self.dialog),
            event: Cow::Borrowed(&self.event),
            expires_at: self.expires_at,
            version: self.version,
            is_due: self.is_due(),
        };
        actions.journal.put(Kind::Subscription, id.0, &kept);
    }

    fn notify(
        &mut self,
        actions: &mut Actions<'_>,
        state: &str,
        document: Option<&Reginfo>,
    ) -> Option<BranchId> {
        let mut draft = self.dialog.request(&Method::Notify);
        draft
            .append(HeaderName::Contact, &contact(actions))
            .append(HeaderName::Event, &self.event)
            .append(HeaderName::SubscriptionState, state);
        if let Some(document) = document {
            draft.set_body(CONTENT_TYPE, document.to_xml());
            self.version = self.version.saturating_add(1);
        }
        let next = Uri::parse(self.dialog.next_hop())?;
        let (now, next) = (actions.now, NextHop::Uri(next));
        Some(actions.stack.send(now, Role::Scscf, draft, next))
    }

    fn restart_timer(&mut self, actions: &mut Actions<'_>, id: SubscriptionId) {
        actions.cancel_timer(self.timer.take());
        let waits = !self.notifying && !self.due.is_empty();
        let at = match waits {
            true => self.quiet_until.min(self.expires_at),
            false => self.expires_at,
        };
        let timer = entity::Timer::Scscf(super::Timer::Subscription(id));
        self.timer = Some(actions.set_timer(at - actions.now, timer));
    }
}

impl Due {
    fn is_empty(&self) -> bool {
        !self.full && self.changes.is_empty() && self.before.is_empty()
    }

    fn add_before(&mut self, before: &[String]) {
        let new = before.iter().filter(|uri| !self.before.contains(uri));
        let new: Vec<String> = new.cloned().collect();
        self.before.extend(new);
    }

    /// Adds changes, each in the place of an earlier one of the same contact.
    fn add(&mut self, changes: &[Change]) {
        for change in changes {
            self.changes.retain(|earlier| earlier.id != change.id);
            self.changes.push(change.clone());
        }
        if self.changes.len() > CHANGES_MAX {
            self.changes.clear();
            self.full = true;
        }
    }
}

fn tag_of(dialog: &Dialog) -> Box<str> {
    dialog.id.local_tag.as_str().into()
}

/// Event of a request of this package, with its `id` (RFC 6665 8.2.1); `None` for other packages.
fn event(request: &Message) -> Option<String> {
    let event = request.event().ok()??;
    if !event.token.eq_ignore_ascii_case(EVENT) {
        return None;
    }
    Some(match event.params.get("id") {
        Some(id) => format!("{EVENT};id={id}"),
        None => EVENT.to_owned(),
    })
}

/// The users of the set, and the P-CSCFs by which they registered (TS 24.229 5.4.2.1.1).
fn may_subscribe(set: &RegistrationSet, request: &Message) -> bool {
    let paths = || {
        let paths = set.contacts.iter().flat_map(|binding| &binding.path);
        paths.filter_map(|path| NameAddr::parse(path).ok())
    };
    request
        .asserted_identities()
        .filter_map(Result::ok)
        .any(|asserted| {
            let user = set.identity(&identity::public_identity(asserted.uri));
            user.is_some_and(|user| !user.barred)
                || paths().any(|path| path.uri.is_equivalent(asserted.uri))
        })
}

/// No Accept means the package's own format (RFC 3680 4.5).
fn accepts_reginfo(request: &Message) -> bool {
    let mut ranges = request.values(HeaderName::Accept).peekable();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let range = range.split(';').next().unwrap_or(range).trim();
            [CONTENT_TYPE, "application/*", "*/*"]
                .iter()
                .any(|known| range.eq_ignore_ascii_case(known))
        })
}

/// How long the subscription is granted; zero where it is to end.
fn granted(actions: &Actions<'_>, request: &Message) -> Result<Duration, Refusal> {
    let asked = request
        .expires()
        .map_err(|_| Refusal::Status(400, "Bad Expires"))?
        .map_or(EXPIRES_DEFAULT, |seconds| {
            Duration::from_secs(seconds.into())
        });
    let policy = &actions.config.registration;
    let brief = policy.expires_min.min(BRIEF_MAX);
    if !asked.is_zero() && asked < brief {
        return Err(Refusal::TooBrief(brief));
    }
    Ok(asked.min(policy.expires_max))
}

/// The 200 to a SUBSCRIBE.
fn accept(
    actions: &mut Actions<'_>,
    request: &Message,
    expires: Duration,
) -> Result<Message, Refusal> {
    let tag = actions.stack.token();
    request
        .response(200, "")
        .to_tag(&tag)
        .copy(HeaderName::RecordRoute)
        .append(HeaderName::Contact, &contact(actions))
        .append(HeaderName::Expires, &expires.as_secs().to_string())
        .finish()
        .map_err(|_| Refusal::Status(400, ""))
}

fn contact(actions: &Actions<'_>) -> String {
    let own = actions.stack.addresses().uri(Role::Scscf, NOTIFIER, 0);
    format!("<{own}>")
}
