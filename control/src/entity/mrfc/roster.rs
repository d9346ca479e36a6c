//! The conference event package (RFC 4575, RFC 6665): who is in a conference, and what becomes of
//! them.
//!
//! The NOTIFYs of a subscription go out one after the other: what happens while one is under way is
//! told together. A user is told of whole, with all endpoints.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use base::{Instant, TimerId};
use serde::{Deserialize, Serialize};
use sip::dialog::{Dialog, DialogId};
use sip::transaction::ServerId;
use sip::{HeaderName, Message, Method};

use super::call::{Call, Purpose, Stage, send};
use super::conference::Kind as Maker;
use super::{CallKey, Mrfc, Timer};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::{self, Actions};
use crate::journal::{self, KeptDialog, Kind};
use crate::stack::BranchId;

/// The event package.
pub const EVENT: &str = "conference";
/// Content-Type of its documents.
pub const CONTENT_TYPE: &str = "application/conference-info+xml";
/// Subscriptions to one conference.
const PER_CONFERENCE_MAX: usize = 512;
/// Granted where nothing is asked for, RFC 4575 3.4.
const EXPIRES_DEFAULT: u32 = 3600;
/// The most that is granted.
const EXPIRES_MAX: u32 = 86_400;
/// The least that is granted.
const EXPIRES_MIN: u32 = 60;

/// Names a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub(super) u64);

/// A subscription to a conference.
#[derive(Debug)]
pub(super) struct Subscription {
    conference: String,
    dialog: Dialog,
    expires_at: Instant,
    timer: Option<TimerId>,
    /// Version of the next document.
    version: u32,
    is_notifying: bool,
    due: Due,
}

/// A [`Subscription`] in the journal, under its number.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptSubscription<'a> {
    conference: Cow<'a, str>,
    dialog: KeptDialog<'a>,
    #[serde(with = "journal::instant")]
    expires_at: Instant,
    version: u32,
}

/// What the next NOTIFY has to tell.
#[derive(Debug, Default)]
struct Due {
    is_full: bool,
    /// Users of whom something has changed.
    users: BTreeSet<String>,
}

impl Mrfc {
    /// A SUBSCRIBE outside of any dialog.
    pub(super) fn handle_subscribe(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
    ) {
        if let Err((status, reason)) = self.subscribe(actions, server, request) {
            self.refuse_subscribe(actions, server, request, status, reason);
        }
    }

    fn refuse_subscribe(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
        status: u16,
        reason: &str,
    ) {
        let mut draft = super::refusal(actions, request, status, reason);
        match status {
            423 => draft.append(HeaderName::MinExpires, &EXPIRES_MIN.to_string()),
            489 => draft.append(HeaderName::AllowEvents, EVENT),
            _ => &mut draft,
        };
        actions.counters.count(Counter::SubscriptionRejected);
        actions.stack.respond(actions.now, server, &mut draft);
    }

    fn subscribe(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
    ) -> Result<(), (u16, &'static str)> {
        if !is_of_package(request) {
            return Err((489, ""));
        }
        let name = self.focus_of(actions, request).ok_or((404, ""))?;
        let count = self.subscriptions.values();
        if count.filter(|it| it.conference == name).count() >= PER_CONFERENCE_MAX {
            return Err((503, ""));
        }
        let seconds = granted(request)?;
        let response = self.accept(actions, request, &name, seconds)?;
        let dialog = Dialog::as_uas(request, &response);
        let dialog = dialog.map_err(|_| (400, "No usable Contact"))?;
        actions.stack.respond_with(actions.now, server, response);
        actions.counters.count(Counter::SubscriptionAccepted);
        let id = SubscriptionId(self.next_number());
        let subscription = Subscription {
            conference: name,
            dialog,
            expires_at: actions.now + Duration::from_secs(seconds.into()),
            timer: None,
            version: 0,
            is_notifying: false,
            due: Due {
                is_full: true,
                ..Due::default()
            },
        };
        self.subscriptions.insert(id, subscription);
        self.flush(actions, id);
        Ok(())
    }

    /// A SUBSCRIBE of a subscription: refreshes it, or ends it (RFC 6665 4.2.1.4); false when it is
    /// of none.
    pub(super) fn refresh_subscription(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: &Message,
    ) -> bool {
        let Ok(dialog) = DialogId::of_received_request(request) else {
            return false;
        };
        let found = self.subscriptions.iter_mut();
        let found = found
            .map(|(id, it)| (*id, it))
            .find(|(_, it)| it.dialog.id == dialog);
        let Some((id, subscription)) = found else {
            return false;
        };
        let (sequence, name) = (
            subscription.dialog.receive_request(request),
            subscription.conference.clone(),
        );
        let granted = match sequence {
            Err(error) => Err((error.status(), "")),
            Ok(()) if !is_of_package(request) => Err((489, "")),
            Ok(()) => granted(request),
        };
        let accepted = granted.and_then(|seconds| {
            let response = self.accept(actions, request, &name, seconds)?;
            Ok((seconds, response))
        });
        match accepted {
            Err((status, reason)) => {
                self.refuse_subscribe(actions, server, request, status, reason);
            }
            Ok((seconds, response)) => {
                actions.stack.respond_with(actions.now, server, response);
                if let Some(subscription) = self.subscriptions.get_mut(&id) {
                    let _ = subscription.dialog.refresh_target(request);
                    subscription.expires_at = actions.now + Duration::from_secs(seconds.into());
                    subscription.due.is_full = true;
                    // Its NOTIFY may have to wait.
                    subscription.keep(actions, id);
                }
                self.flush(actions, id);
            }
        }
        true
    }

    fn accept(
        &self,
        actions: &mut Actions<'_>,
        request: &Message,
        name: &str,
        seconds: u32,
    ) -> Result<Message, (u16, &'static str)> {
        let tag = actions.stack.token();
        let uri = actions.stack.addresses().uri(Role::Mrfc, name, 0);
        request
            .response(200, "")
            .to_tag(&tag)
            .copy(HeaderName::RecordRoute)
            .append(HeaderName::Contact, &format!("<{uri}>;isfocus"))
            .append(HeaderName::Expires, &seconds.to_string())
            .finish()
            .map_err(|_| (400, ""))
    }

    /// The conference with a focus that a Request-URI names.
    pub(super) fn focus_of(&self, actions: &Actions<'_>, request: &Message) -> Option<String> {
        let own = actions.stack.addresses().own(request.uri().ok()?)?;
        let conference = self.conferences.get(own.token)?;
        let is_it = own.role == Role::Mrfc && conference.kind == Maker::Focus;
        is_it.then(|| own.token.to_owned())
    }

    // ---- what happens in conferences ----

    /// Something has changed of a user of a conference.
    pub(super) fn tell_roster(&mut self, actions: &mut Actions<'_>, name: &str, user: &str) {
        let all = self.subscriptions.iter_mut();
        let mut due = Vec::new();
        for (id, subscription) in all.filter(|(_, it)| it.conference == name) {
            subscription.due.users.insert(user.to_owned());
            due.push(*id);
        }
        for id in due {
            self.flush(actions, id);
        }
    }

    /// A conference has ended, and its subscriptions with it (RFC 4575 3.6).
    pub(super) fn end_roster(&mut self, actions: &mut Actions<'_>, name: &str) {
        let all = self.subscriptions.iter();
        let ended = all.filter(|(_, it)| it.conference == name);
        let ended: Vec<SubscriptionId> = ended.map(|(id, _)| *id).collect();
        for id in ended {
            self.terminate(actions, id, "noresource");
        }
    }

    fn flush(&mut self, actions: &mut Actions<'_>, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if subscription.expires_at <= actions.now {
            return self.terminate(actions, id, "timeout");
        }
        let is_due = subscription.due.is_full || !subscription.due.users.is_empty();
        if is_due && !subscription.is_notifying {
            let due = std::mem::take(&mut subscription.due);
            let (name, version) = (subscription.conference.clone(), subscription.version);
            let document = self.roster(actions, &name, version, &due);
            if let Some(subscription) = self.subscriptions.get_mut(&id) {
                let left = (subscription.expires_at - actions.now).as_secs();
                let state = format!("active;expires={left}");
                let branch = subscription.notify(actions, &state, Some(document));
                subscription.keep(actions, id);
                if let Some(branch) = branch {
                    subscription.is_notifying = true;
                    self.by_notify.insert(branch, id);
                }
            }
        }
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            actions.cancel_timer(subscription.timer.take());
            let timer = entity::Timer::Mrfc(Timer::Subscription(id));
            let left = subscription.expires_at - actions.now;
            subscription.timer = Some(actions.set_timer(left, timer));
        }
    }

    fn terminate(&mut self, actions: &mut Actions<'_>, id: SubscriptionId, why: &str) {
        let Some(mut subscription) = self.subscriptions.remove(&id) else {
            return;
        };
        actions.cancel_timer(subscription.timer.take());
        actions.journal.remove(Kind::ConferenceSubscription, id.0);
        let due = Due {
            is_full: true,
            ..Due::default()
        };
        let name = subscription.conference.clone();
        let document = self.roster(actions, &name, subscription.version, &due);
        let state = format!("terminated;reason={why}");
        subscription.notify(actions, &state, Some(document));
    }

    pub(super) fn handle_subscription_timer(
        &mut self,
        actions: &mut Actions<'_>,
        id: SubscriptionId,
    ) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.timer = None;
            self.flush(actions, id);
        }
    }

    /// A NOTIFY was answered, or will not be; false when the branch is none of one.
    pub(super) fn notified(
        &mut self,
        actions: &mut Actions<'_>,
        branch: BranchId,
        status: u16,
    ) -> bool {
        let Some(&id) = self.by_notify.get(&branch) else {
            return false;
        };
        if status >= 200 {
            self.by_notify.remove(&branch);
        }
        match status {
            200..300 => {
                if let Some(subscription) = self.subscriptions.get_mut(&id) {
                    subscription.is_notifying = false;
                    self.flush(actions, id);
                }
            }
            // The subscriber is gone (RFC 6665 4.2.2).
            300.. => {
                if let Some(mut subscription) = self.subscriptions.remove(&id) {
                    actions.cancel_timer(subscription.timer.take());
                    actions.journal.remove(Kind::ConferenceSubscription, id.0);
                    actions.counters.count(Counter::SubscriptionLost);
                }
            }
            _ => {}
        }
        true
    }

    // ---- the journal ----

    /// Keeps every subscription anew.
    pub(super) fn keep_subscriptions(&self, actions: &mut Actions<'_>) {
        for (id, subscription) in &self.subscriptions {
            subscription.keep(actions, *id);
        }
    }

    /// Takes up the subscriptions of an earlier life, without telling them anything yet.
    pub(super) fn restore_subscriptions(
        &mut self,
        kept: Vec<(u64, KeptSubscription<'_>)>,
    ) -> Vec<SubscriptionId> {
        let mut ids = Vec::with_capacity(kept.len());
        for (number, kept) in kept {
            self.number = self.number.max(number);
            let id = SubscriptionId(number);
            let subscription = Subscription {
                conference: kept.conference.into_owned(),
                dialog: kept.dialog.into(),
                expires_at: kept.expires_at,
                timer: None,
                version: kept.version,
                // What happens before all is settled is told with the rest.
                is_notifying: true,
                due: Due {
                    is_full: true,
                    ..Due::default()
                },
            };
            self.subscriptions.insert(id, subscription);
            ids.push(id);
        }
        ids
    }

    /// Subscribers hear of all that there is after a restart.
    pub(super) fn tell_restored(&mut self, actions: &mut Actions<'_>, ids: &[SubscriptionId]) {
        for &id in ids {
            let Some(subscription) = self.subscriptions.get_mut(&id) else {
                continue;
            };
            subscription.is_notifying = false;
            match self.conferences.contains_key(&subscription.conference) {
                true => self.flush(actions, id),
                false => self.terminate(actions, id, "noresource"),
            }
        }
    }

    // ---- documents ----

    /// The document of a conference (RFC 4575 5): all of it, or users of whom something changed.
    fn roster(&self, actions: &Actions<'_>, name: &str, version: u32, due: &Due) -> String {
        let uri = actions.stack.addresses().uri(Role::Mrfc, name, 0);
        let conference = self.conferences.get(name);
        let members = conference.map_or(&[][..], |conference| &conference.members);
        let calls = members
            .iter()
            .filter_map(|key| Some((*key, self.calls.get(key)?)));
        let mut users: Vec<(&str, Vec<(CallKey, &Call)>)> = Vec::new();
        for (key, call) in calls.filter(|(_, call)| call.stage != Stage::Opening) {
            match users.iter_mut().find(|(user, _)| *user == call.user) {
                Some((_, endpoints)) => endpoints.push((key, call)),
                None => users.push((&call.user, vec![(key, call)])),
            }
        }
        let count = users.len();
        let state = if due.is_full { "full" } else { "partial" };
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<conference-info \
             xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"{}\" state=\"{state}\" \
             version=\"{version}\">\n<conference-state><user-count>{count}</user-count>\
             </conference-state>\n<users state=\"{state}\">\n",
            escaped(&uri)
        );
        for (user, endpoints) in &users {
            if due.is_full || due.users.contains(*user) {
                user_element(&mut xml, user, endpoints);
            }
        }
        for gone in &due.users {
            if !due.is_full && !users.iter().any(|(user, _)| user == gone) {
                let gone = escaped(gone);
                xml.push_str(&format!("<user entity=\"{gone}\" state=\"deleted\"/>\n"));
            }
        }
        xml.push_str("</users>\n</conference-info>\n");
        xml
    }
}

impl Subscription {
    fn keep(&self, actions: &mut Actions<'_>, id: SubscriptionId) {
        let kept = KeptSubscription {
            conference: Cow::Borrowed(&self.conference),
            dialog: KeptDialog::from(&self.dialog),
            expires_at: self.expires_at,
            version: self.version,
        };
        let kind = Kind::ConferenceSubscription;
        actions.journal.put(kind, id.0, &kept);
    }

    fn notify(
        &mut self,
        actions: &mut Actions<'_>,
        state: &str,
        document: Option<String>,
    ) -> Option<BranchId> {
        let uri = actions
            .stack
            .addresses()
            .uri(Role::Mrfc, &self.conference, 0);
        let mut draft = self.dialog.request(&Method::Notify);
        draft
            .append(HeaderName::Contact, &format!("<{uri}>;isfocus"))
            .append(HeaderName::Event, EVENT)
            .append(HeaderName::SubscriptionState, state);
        if let Some(document) = document {
            draft.set_body(CONTENT_TYPE, document);
            self.version = self.version.saturating_add(1);
        }
        send(actions, &self.dialog, draft)
    }
}

fn user_element(xml: &mut String, user: &str, endpoints: &[(CallKey, &Call)]) {
    xml.push_str(&format!(
        "<user entity=\"{}\" state=\"full\">",
        escaped(user)
    ));
    for (_, call) in endpoints {
        let target = call
            .dialog
            .as_ref()
            .map_or(user, |dialog| &dialog.remote_target);
        let (status, method) = (call.state(), call.joined());
        xml.push_str(&format!(
            "<endpoint entity=\"{}\"><status>{status}</status>\
             <joining-method>{method}</joining-method><media id=\"1\"><type>audio</type>\
             <status>{}</status></media></endpoint>",
            escaped(target),
            call.media.status()
        ));
    }
    xml.push_str("</user>\n");
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}

fn is_of_package(request: &Message) -> bool {
    let event = request.event().ok().flatten();
    event.is_some_and(|event| event.token.eq_ignore_ascii_case(EVENT))
}

/// Seconds that a subscription is granted; 0 where it is to end.
fn granted(request: &Message) -> Result<u32, (u16, &'static str)> {
    let asked = request.expires().map_err(|_| (400, "Bad Expires"))?;
    match asked.unwrap_or(EXPIRES_DEFAULT) {
        0 => Ok(0),
        seconds if seconds < EXPIRES_MIN => Err((423, "")),
        seconds => Ok(seconds.min(EXPIRES_MAX)),
    }
}

impl Call {
    /// The conference whose members hear of this call.
    pub(super) fn roster_name(&self) -> Option<&str> {
        match &self.purpose {
            Purpose::Conference(name) => Some(name),
            _ => None,
        }
    }
}
