//! S-CSCF restoration (TS 23.380 4): the HSS keeps what registrations are made of, and gives it
//! back to an S-CSCF that has lost them.
//!
//! A request from or to a user that is not known here waits while the HSS is asked, and then goes
//! on as if it had just come. Subscriptions are not restored: the subscriber learns of it when it
//! refreshes, and subscribes anew.

use std::collections::HashMap;

use base::{Instant, Pii};
use diameter::cx::user_data::ImsSubscription;
use diameter::cx::{
    self, Answer, Outcome, RestorationInfo, Saa, ScscfRestorationInfo, ServerAssignmentType,
    SupportedFeatures,
};
use sip::transaction::ServerId;
use sip::{Draft, HeaderName, Message, Method};
use tracing::info;

use super::registrar::{self, Binding, SetId};
use super::{Registering, Scscf};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::Actions;
use crate::reginfo::ContactEvent;

/// Requests that wait for what the HSS says of their users; others are answered at once.
const WAITING_MAX: usize = 10_000;

/// What the HSS is asked for with every request: that it keeps and gives this.
pub(super) const FEATURES: SupportedFeatures =
    SupportedFeatures::list1(SupportedFeatures::IMS_RESTORATION_IND);

/// Users that may have been lost, and requests that wait.
#[derive(Debug, Default)]
pub(super) struct Lost {
    asked: HashMap<u64, Asked>,
    by_identity: HashMap<String, u64>,
    waiting: usize,
}

#[derive(Debug)]
struct Asked {
    identity: String,
    requests: Vec<(ServerId, Message)>,
}

impl Lost {
    /// Requests that wait.
    pub const fn len(&self) -> usize {
        self.waiting
    }

    fn take(&mut self, token: u64) -> Option<Asked> {
        let asked = self.asked.remove(&token)?;
        self.by_identity.remove(&asked.identity);
        self.waiting -= asked.requests.len();
        Some(asked)
    }

    /// Takes the request of a transaction, if it waits.
    fn take_request(&mut self, server: ServerId) -> Option<Message> {
        for asked in self.asked.values_mut() {
            let at = asked.requests.iter().position(|(of, _)| *of == server);
            if let Some(at) = at {
                self.waiting -= 1;
                return Some(asked.requests.remove(at).1);
            }
        }
        None
    }
}

impl Scscf {
    /// Has a request wait while the HSS is asked about its user; false when too many wait.
    pub(super) fn ask_about(
        &mut self,
        actions: &mut Actions<'_>,
        identity: &str,
        server: ServerId,
        request: &Message,
    ) -> bool {
        if self.lost.waiting >= WAITING_MAX {
            return false;
        }
        self.lost.waiting += 1;
        let waiting = (server, request.clone());
        let known = self.lost.by_identity.get(identity);
        if let Some(asked) = known.and_then(|token| self.lost.asked.get_mut(token)) {
            asked.requests.push(waiting);
            return true;
        }
        let token = self.next_token();
        self.lost.by_identity.insert(identity.to_owned(), token);
        let asked = Asked {
            identity: identity.to_owned(),
            requests: vec![waiting],
        };
        self.lost.asked.insert(token, asked);
        let mut sar = self.sar("", identity, ServerAssignmentType::NoAssignment);
        sar.user_name = None;
        actions.send_cx(Role::Scscf, token, cx::Request::ServerAssignment(sar));
        true
    }

    /// The HSS has answered; gives the answer back where it was not asked for this.
    pub(super) fn handle_lost(
        &mut self,
        actions: &mut Actions<'_>,
        token: u64,
        answer: Answer,
    ) -> Option<Answer> {
        let Some(asked) = self.lost.take(token) else {
            return Some(answer);
        };
        if let Answer::ServerAssignment(saa) = &answer
            && self.registrar.find(&asked.identity).is_none()
            && let Some(id) = self.rebuild(actions, &asked.identity, saa)
        {
            actions.counters.count(Counter::RegistrationRestored);
            info!(impu = %Pii(&asked.identity), "registration restored by the HSS");
            self.restart_timer(actions, id);
            self.keep_set(actions, id);
        }
        for (server, request) in asked.requests {
            self.handle_request(actions, server, request, true);
        }
        None
    }

    /// A request that waits is cancelled; false when it does not wait here.
    pub(super) fn cancel_lost(&mut self, actions: &mut Actions<'_>, server: ServerId) -> bool {
        let Some(request) = self.lost.take_request(server) else {
            return false;
        };
        actions.stack.reject(actions.now, server, &request, 487, "");
        true
    }

    /// Makes the set that the HSS describes, unless all its contacts have expired.
    fn rebuild(&mut self, actions: &Actions<'_>, identity: &str, saa: &Saa) -> Option<SetId> {
        // TS 29.228 6.1.2.1: the second with the data when it knows us to have lost it.
        let is_given = saa.outcome.is_success() || saa.outcome == Outcome::ErrorInAssignmentType;
        let document = saa.user_data.as_deref().filter(|_| is_given)?;
        let identities = registrar::identities(&ImsSubscription::parse(document).ok()?);
        let impi = &saa.scscf_restoration_info.first()?.user_name;
        let limits = &actions.config.limits;
        let has_room = self.registrar.identities() < limits.registrations_max;
        let is_of_set = identities.iter().any(|known| known.uri == identity);
        if !has_room || !is_of_set {
            return None;
        }
        let mut contacts = Vec::new();
        for info in &saa.scscf_restoration_info {
            let ends_at = info.registration_time_out?;
            let bindings = info.restoration_info.iter();
            let bindings = bindings.filter_map(|contact| binding(identity, contact, ends_at));
            contacts.extend(bindings.filter(|binding| binding.expires_at > actions.now));
        }
        contacts.truncate(limits.contacts_max);
        if contacts.is_empty() {
            return None;
        }
        let id = self.registrar.renew(impi, identity, identities);
        self.registrar.change(id, |set| {
            for contact in contacts {
                set.put(contact);
            }
        });
        Some(id)
    }

    /// What the HSS is to keep of the registration that a REGISTER makes or refreshes.
    pub(super) fn restoration_info(
        &self,
        now: Instant,
        registering: &Registering,
        id: Option<SetId>,
    ) -> ScscfRestorationInfo {
        let set = id.and_then(|id| self.registrar.get(id));
        let held = set.map_or(&[][..], |set| &set.contacts[..]);
        let kept = held.iter().filter(|binding| !registering.names(binding));
        let kept = kept.map(|binding| (restoration(binding), binding.expires_at));
        let granted = registering.granted(now);
        let granted = granted.map(|binding| (restoration(&binding), binding.expires_at));
        let (contacts, ends): (Vec<_>, Vec<_>) = kept.chain(granted).unzip();
        ScscfRestorationInfo {
            user_name: set.map_or(&registering.impi, |set| &set.impi).clone(),
            restoration_info: contacts,
            registration_time_out: ends.into_iter().max(),
            scheme: None,
        }
    }
}

fn restoration(binding: &Binding) -> RestorationInfo {
    RestorationInfo {
        path: binding.path.join(", "),
        contact: format!("<{}>{}", binding.uri, binding.params),
        initial_cseq: Some(binding.cseq),
        call_id: Some(binding.call_id.clone()),
        subscription_info: None,
        pcscf_subscription_info: None,
    }
}

/// The contact that the HSS describes by header values.
fn binding(identity: &str, info: &RestorationInfo, expires_at: Instant) -> Option<Binding> {
    // As they would stand in the REGISTER.
    let mut draft = Draft::request(&Method::Register, identity);
    draft
        .append(HeaderName::Contact, &info.contact)
        .append(HeaderName::Path, &info.path);
    let register = draft.finish().ok()?;
    let contact = register.contacts().next()?.ok()?;
    let address = contact.addr()?;
    let path = register.values(HeaderName::Path);
    Some(Binding {
        id: 0,
        identity: identity.to_owned(),
        event: ContactEvent::Registered,
        uri: address.uri.as_str().to_owned(),
        params: registrar::params(&address),
        q: address.q().unwrap_or(1000),
        path: path
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect(),
        instance: address.params.get("+sip.instance").map(str::to_owned),
        call_id: info.call_id.clone().unwrap_or_default(),
        cseq: info.initial_cseq.unwrap_or(0),
        expires_at,
    })
}
