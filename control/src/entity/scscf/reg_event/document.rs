//! What a set of registrations looks like in a document (TS 24.229 5.4.2.1.2): one registration for
//! each public identity that is not barred, all with the same contacts.

use std::time::Duration;

use base::Instant;

use super::Due;
use crate::entity::scscf::registrar::{Binding, Change, RegistrationSet};
use crate::reginfo::{Contact, ContactEvent, Reginfo, Registration, State};

/// Octets of a document, about: a message holds 64 KB with its head.
const DOCUMENT_BYTES_MAX: usize = 48 * 1024;
/// Octets of an element beside what was registered, about.
const ELEMENT_BYTES: usize = 200;

/// The state of a set that lives.
pub(super) fn of_set(now: Instant, version: u32, set: &RegistrationSet, due: &Due) -> Reginfo {
    let is_told = |binding: &&Binding| {
        let mut changes = due.changes.iter();
        due.full || changes.any(|change| change.id == binding.id)
    };
    let held = set.contacts.iter().filter(is_told);
    let held = held.map(|binding| (binding, binding.event));
    let gone = gone(&due.changes);
    let contacts: Vec<(&Binding, ContactEvent)> = match due.full {
        true => held.chain(gone).collect(),
        // What took a contact's place stands behind it.
        false => gone.chain(held).collect(),
    };
    let rejected: Vec<(&Binding, ContactEvent)> = set
        .contacts
        .iter()
        .map(|binding| (binding, ContactEvent::Rejected))
        .collect();
    let state = match set.contacts.is_empty() {
        true => State::Terminated,
        false => State::Active,
    };
    let present = set
        .usable()
        .map(|usable| registration(now, &usable.uri, state, &contacts));
    let gone = due
        .before
        .iter()
        .filter(|&uri| set.usable().all(|usable| usable.uri != *uri));
    let gone = gone.map(|uri| registration(now, uri, State::Terminated, &rejected));
    Reginfo {
        version,
        full: due.full,
        registrations: fitting(present.chain(gone)),
    }
}

/// The last state of a set: all its contacts ended by `event`, some before by `changes`.
pub(super) fn of_ended(
    version: u32,
    set: &RegistrationSet,
    event: ContactEvent,
    changes: &[Change],
) -> Reginfo {
    let held = set.contacts.iter().map(|binding| (binding, event));
    let contacts: Vec<(&Binding, ContactEvent)> = gone(changes).chain(held).collect();
    let ended = set
        .usable()
        .map(|usable| registration(Instant::ZERO, &usable.uri, State::Terminated, &contacts));
    Reginfo {
        version,
        full: true,
        registrations: fitting(ended),
    }
}

/// Contacts that are not in the set any more, and how they ended.
fn gone(changes: &[Change]) -> impl Iterator<Item = (&Binding, ContactEvent)> {
    let changes = changes.iter();
    changes.filter_map(|change| Some((change.gone.as_deref()?, change.event)))
}

fn registration(
    now: Instant,
    aor: &str,
    state: State,
    contacts: &[(&Binding, ContactEvent)],
) -> Registration {
    let contacts = contacts
        .iter()
        .map(|(binding, event)| contact(now, aor, binding, *event));
    Registration {
        aor: aor.to_owned(),
        id: aor.to_owned(),
        state,
        contacts: contacts.collect(),
    }
}

fn contact(now: Instant, aor: &str, binding: &Binding, event: ContactEvent) -> Contact {
    // At the identities that the REGISTER did not name the contact came into being by itself.
    let event = match event {
        ContactEvent::Registered if aor != binding.identity => ContactEvent::Created,
        other => other,
    };
    let left = (binding.expires_at - now + Duration::from_millis(500)).as_secs();
    Contact {
        id: format!("{:x}/{aor}", binding.id),
        event,
        expires: event
            .is_active()
            .then(|| u32::try_from(left).unwrap_or(u32::MAX)),
        q: (binding.q < 1000).then_some(binding.q),
        call_id: Some(binding.call_id.clone()),
        cseq: Some(binding.cseq),
        uri: binding.uri.clone(),
        display_name: None,
        unknown_params: unknown_params(binding),
    }
}

/// Parameters of the Contact but for those that have attributes, RFC 3680 5.3.
fn unknown_params(binding: &Binding) -> Vec<(String, String)> {
    let Ok(params) = sip::header::Params::parse(&binding.params) else {
        return Vec::new();
    };
    params
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("q"))
        .map(|(name, value)| (name.to_owned(), value.unwrap_or_default().to_owned()))
        .collect()
}

/// As many registrations as a message holds, whole ones, the default identity's first.
fn fitting(registrations: impl Iterator<Item = Registration>) -> Vec<Registration> {
    let mut total = 0;
    registrations
        .take_while(|registration| {
            total += size(registration);
            total <= DOCUMENT_BYTES_MAX
        })
        .collect()
}

fn size(registration: &Registration) -> usize {
    let params = |contact: &Contact| -> usize {
        let params = contact.unknown_params.iter();
        params
            .map(|(name, value)| ELEMENT_BYTES + name.len() + value.len())
            .sum()
    };
    let contacts = registration.contacts.iter().map(|contact| {
        let call_id = contact.call_id.as_ref().map_or(0, String::len);
        ELEMENT_BYTES + contact.id.len() + contact.uri.len() + call_id + params(contact)
    });
    ELEMENT_BYTES + 2 * registration.aor.len() + contacts.sum::<usize>()
}
