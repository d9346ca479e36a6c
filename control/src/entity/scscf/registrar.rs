//! The registrar's memory: implicit registration sets and their contacts (RFC 3261 10.3, TS 24.229
//! 5.4.1).

use std::collections::HashMap;
use std::time::Duration;

use base::{IdMap, Instant, TimerId};
use diameter::cx::user_data::ImsSubscription;
use serde::{Deserialize, Serialize};
use sip::{NameAddr, Uri};

use crate::identity;
use crate::journal;
use crate::reginfo::ContactEvent;

/// Names an implicit registration set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId(pub u64);

/// Identities that register together, and the contacts at which they are reached. The journal has
/// it as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegistrationSet {
    /// The private identity that registered.
    pub impi: String,
    /// The public identities.
    pub identities: Vec<Identity>,
    /// The contacts, never more than the configured maximum.
    pub contacts: Vec<Binding>,
    /// Fires when the first contact expires.
    #[serde(skip)]
    pub timer: Option<TimerId>,
    /// Contacts made so far: names for those to come.
    pub contacts_made: u64,
}

/// A public identity of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Canonical URI.
    pub uri: String,
    /// Not to be used in calls.
    pub barred: bool,
    /// Display name.
    pub display_name: Option<String>,
}

/// A contact of a set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Binding {
    /// Its name within the set, the same for as long as it is refreshed.
    pub id: u64,
    /// The public identity that the REGISTER named.
    pub identity: String,
    /// What made it what it is.
    pub event: ContactEvent,
    /// Contact URI as registered.
    pub uri: String,
    /// Contact parameters other than `expires`, as registered, each with its semicolon.
    pub params: String,
    /// Preference in thousandths; 1 000 where none is given.
    pub q: u16,
    /// Path values towards it, topmost first.
    pub path: Vec<String>,
    /// `+sip.instance`, for replacing the contact of a UE whose address changed.
    pub instance: Option<String>,
    /// Call-ID of the REGISTER that made it.
    pub call_id: String,
    /// CSeq number of that REGISTER.
    pub cseq: u32,
    /// When it expires.
    #[serde(with = "journal::instant")]
    pub expires_at: Instant,
}

/// What happened to a contact.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its name within the set.
    pub id: u64,
    /// What happened.
    pub event: ContactEvent,
    /// The contact as it was last, where it is not in the set any more.
    pub gone: Option<Box<Binding>>,
}

/// All sets of the S-CSCF.
#[derive(Debug, Default)]
pub struct Registrar {
    // Boxed: of a table's places up to a half are empty.
    sets: IdMap<SetId, Box<RegistrationSet>>,
    by_identity: HashMap<String, SetId>,
    contacts: usize,
    next: u64,
}

impl Registrar {
    /// Public identities registered.
    pub fn identities(&self) -> usize {
        self.by_identity.len()
    }

    /// Contacts registered.
    pub fn contacts(&self) -> usize {
        self.contacts
    }

    /// A set.
    pub fn get(&self, id: SetId) -> Option<&RegistrationSet> {
        self.sets.get(&id).map(Box::as_ref)
    }

    /// All sets.
    pub fn iter(&self) -> impl Iterator<Item = (SetId, &RegistrationSet)> {
        self.sets.iter().map(|(id, set)| (*id, &**set))
    }

    /// Takes a set up again under its name.
    pub fn restore(&mut self, id: SetId, set: RegistrationSet) {
        self.next = self.next.max(id.0);
        for identity in &set.identities {
            self.by_identity.insert(identity.uri.clone(), id);
        }
        self.contacts += set.contacts.len();
        self.sets.insert(id, Box::new(set));
    }

    /// The set of a canonical public identity.
    pub fn find(&self, identity: &str) -> Option<(SetId, &RegistrationSet)> {
        let id = *self.by_identity.get(identity)?;
        Some((id, self.get(id)?))
    }

    /// Sets of a private identity, or those of `identities` among them where any are named.
    pub fn sets_of(&self, impi: &str, identities: &[String]) -> Vec<SetId> {
        let named = |set: &RegistrationSet| {
            identities.is_empty()
                || set
                    .identities
                    .iter()
                    .any(|identity| identities.contains(&identity.uri))
        };
        let of = self
            .iter()
            .filter(|(_, set)| set.impi == impi && named(set));
        let mut sets: Vec<SetId> = of.map(|(id, _)| id).collect();
        sets.sort_unstable();
        sets
    }

    /// Makes or renews the set that `identity` belongs to, from the profile of the HSS.
    pub fn renew(&mut self, impi: &str, identity: &str, identities: Vec<Identity>) -> SetId {
        let id = match self.by_identity.get(identity) {
            Some(id) => *id,
            None => {
                self.next += 1;
                SetId(self.next)
            }
        };
        let before = self.sets.remove(&id);
        for gone in before.iter().flat_map(|set| &set.identities) {
            self.by_identity.remove(&gone.uri);
        }
        for known in &identities {
            self.by_identity.insert(known.uri.clone(), id);
        }
        let (contacts, timer, contacts_made) = match before.map(|before| *before) {
            Some(before) => (before.contacts, before.timer, before.contacts_made),
            None => (Vec::new(), None, 0),
        };
        let set = RegistrationSet {
            impi: impi.to_owned(),
            identities,
            contacts,
            timer,
            contacts_made,
        };
        self.sets.insert(id, Box::new(set));
        id
    }

    /// Changes the contacts of a set.
    pub fn change(&mut self, id: SetId, change: impl FnOnce(&mut RegistrationSet)) {
        if let Some(set) = self.sets.get_mut(&id) {
            let before = set.contacts.len();
            change(set);
            self.contacts = self.contacts + set.contacts.len() - before;
        }
    }

    /// Forgets a set.
    pub fn remove(&mut self, id: SetId) -> Option<RegistrationSet> {
        let set = self.sets.remove(&id)?;
        self.contacts -= set.contacts.len();
        for identity in &set.identities {
            if self.by_identity.get(&identity.uri) == Some(&id) {
                self.by_identity.remove(&identity.uri);
            }
        }
        Some(*set)
    }
}

impl RegistrationSet {
    /// An identity of the set.
    pub fn identity(&self, uri: &str) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.uri == uri)
    }

    /// The identities that may be used.
    pub fn usable(&self) -> impl Iterator<Item = &Identity> {
        self.identities.iter().filter(|identity| !identity.barred)
    }

    /// P-Associated-URI: the identities that are not barred, the default one first (TS 24.229
    /// 5.4.1.2.2F).
    pub fn associated(&self) -> impl Iterator<Item = String> + '_ {
        self.usable().map(|identity| match &identity.display_name {
            Some(name) => format!("\"{}\" <{}>", escape(name), identity.uri),
            None => format!("<{}>", identity.uri),
        })
    }

    /// The binding of a contact URI, or of the same instance.
    pub fn position(&self, uri: &str, instance: Option<&str>) -> Option<usize> {
        let mut contacts = self.contacts.iter();
        contacts.position(|binding| binding.is_named(uri, instance))
    }

    /// Makes or refreshes a contact; the `id` and `event` given do not matter. One of the same
    /// instance under another URI is replaced.
    pub fn put(&mut self, mut contact: Binding) -> Vec<Change> {
        let mut changes = Vec::new();
        let before = self
            .position(&contact.uri, contact.instance.as_deref())
            .map(|at| self.contacts.remove(at));
        match before {
            Some(before) if before.is_at(&contact.uri) => {
                contact.id = before.id;
                contact.event = ContactEvent::Refreshed;
            }
            other => {
                changes.extend(other.map(Change::unregistered));
                contact.id = self.contacts_made;
                contact.event = ContactEvent::Registered;
                self.contacts_made += 1;
            }
        }
        changes.push(Change {
            id: contact.id,
            event: contact.event,
            gone: None,
        });
        // One contact is the rule, and there may be a million of them.
        self.contacts.reserve_exact(1);
        self.contacts.push(contact);
        changes
    }

    /// Ends a contact.
    pub fn end(&mut self, uri: &str, instance: Option<&str>) -> Option<Change> {
        let at = self.position(uri, instance)?;
        Some(Change::unregistered(self.contacts.remove(at)))
    }

    /// Ends the contacts that have expired.
    pub fn expire(&mut self, now: Instant) -> Vec<Change> {
        let contacts = std::mem::take(&mut self.contacts);
        let (expired, kept): (Vec<Binding>, Vec<Binding>) = contacts
            .into_iter()
            .partition(|binding| binding.expires_at <= now);
        self.contacts = kept;
        let change = |binding| Change::gone(binding, ContactEvent::Expired);
        expired.into_iter().map(change).collect()
    }

    /// When the first contact expires.
    pub fn expires_at(&self) -> Option<Instant> {
        self.contacts.iter().map(|binding| binding.expires_at).min()
    }
}

impl Change {
    fn unregistered(binding: Binding) -> Self {
        Self::gone(binding, ContactEvent::Unregistered)
    }

    fn gone(binding: Binding, event: ContactEvent) -> Self {
        Change {
            id: binding.id,
            event,
            gone: Some(Box::new(binding)),
        }
    }
}

impl Binding {
    /// Whether it is this contact URI's, or of this instance.
    pub fn is_named(&self, uri: &str, instance: Option<&str>) -> bool {
        let same_instance = instance.is_some() && self.instance.as_deref() == instance;
        same_instance || self.is_at(uri)
    }

    /// Whether this is its URI (RFC 3261 19.1.4).
    fn is_at(&self, uri: &str) -> bool {
        if self.uri == uri {
            return true;
        }
        match (Uri::parse(uri), Uri::parse(&self.uri)) {
            (Some(a), Some(b)) => a.is_equivalent(b),
            _ => self.uri == uri,
        }
    }

    /// Contact value for the 200 to a REGISTER.
    pub fn contact(&self, now: Instant) -> String {
        let left = self.expires_at - now + Duration::from_millis(500);
        format!("<{}>{};expires={}", self.uri, self.params, left.as_secs())
    }
}

/// The identities of a profile, canonical; those of the profile that holds `identity` first.
/// Wildcards are left out.
pub fn identities(profile: &ImsSubscription) -> Vec<Identity> {
    let mut identities: Vec<Identity> = profile
        .service_profiles
        .iter()
        .flat_map(|service| &service.public_identities)
        .filter(|public| public.wildcard.is_none())
        .filter_map(|public| {
            let uri = Uri::parse(&public.identity)?;
            Some(Identity {
                uri: identity::public_identity(uri),
                barred: public.barred,
                display_name: public.display_name.clone(),
            })
        })
        .collect();
    identities.shrink_to_fit();
    identities
}

/// Contact parameters but for `expires`, each with its semicolon.
pub fn params(contact: &NameAddr<'_>) -> String {
    let mut text = String::new();
    for (name, value) in contact.params.iter() {
        if name.eq_ignore_ascii_case("expires") {
            continue;
        }
        text.push(';');
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}

fn escape(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .fold(String::new(), |mut text, c| {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uri: &str, barred: bool) -> Identity {
        Identity {
            uri: uri.into(),
            barred,
            display_name: None,
        }
    }

    fn binding(uri: &str, expires: u64) -> Binding {
        Binding {
            id: 1,
            identity: "sip:a@t".into(),
            event: ContactEvent::Registered,
            uri: uri.into(),
            params: String::new(),
            q: 1000,
            path: Vec::new(),
            instance: None,
            call_id: "c".into(),
            cseq: 1,
            expires_at: Instant::from_secs(expires),
        }
    }

    #[test]
    fn a_renewed_set_keeps_its_contacts_and_changes_its_identities() {
        let mut registrar = Registrar::default();
        let id = registrar.renew("a@t", "sip:a@t", vec![identity("sip:a@t", false)]);
        registrar.change(id, |set| set.contacts.push(binding("sip:a@192.0.2.1", 10)));
        let both = vec![identity("sip:a@t", true), identity("tel:+1", false)];
        assert_eq!(registrar.renew("a@t", "sip:a@t", both), id);
        assert_eq!((registrar.identities(), registrar.contacts()), (2, 1));
        let (_, set) = registrar.find("tel:+1").expect("registered");
        assert_eq!(set.associated().collect::<Vec<_>>(), ["<tel:+1>"]);
        registrar.remove(id);
        assert_eq!((registrar.identities(), registrar.contacts()), (0, 0));
    }

    #[test]
    fn a_contact_is_found_by_equivalent_uri_or_by_instance() {
        let mut set = RegistrationSet {
            impi: "a@t".into(),
            identities: Vec::new(),
            contacts: vec![binding("sip:a@192.0.2.1:5060", 10)],
            timer: None,
            contacts_made: 1,
        };
        set.contacts[0].instance = Some("\"<urn:x>\"".into());
        assert_eq!(set.position("SIP:a@192.0.2.1:5060", None), Some(0));
        assert_eq!(
            set.position("sip:a@192.0.2.9", Some("\"<urn:x>\"")),
            Some(0)
        );
        assert_eq!(set.position("sip:a@192.0.2.9", None), None);
    }
}
