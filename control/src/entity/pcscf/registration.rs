//! Registrations as the P-CSCF knows them: how a UE is reached, and who it may say it is (TS 24.229
//! 5.2.2).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use base::{IdMap, Instant, TimerId};
use sip::{HeaderName, Message, NameAddr, Uri};
use smallvec::SmallVec;

use super::protection::Mechanism;
use crate::identity;
use crate::reginfo::{Contact, Reginfo, State};
use crate::stack::Flow;

/// Registrations over one flow: trunks and test tools register many users from one address.
const PER_FLOW_MAX: usize = 100_000;

/// Identities of one UE; TS 24.229 names no maximum.
const IDENTITIES_MAX: usize = 256;

/// Names a registration, and is written into Path: unguessable, so that it also proves who wrote
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationKey(pub u64);

/// One contact of a UE.
#[derive(Clone, Debug)]
pub struct Registration {
    /// How the UE is reached.
    pub flow: Flow,
    /// Its contact address.
    pub contact: String,
    /// The identity it registered.
    pub registered: String,
    /// Identities it may use, as in P-Associated-URI; the first is the default one.
    pub identities: Vec<String>,
    /// Routes towards its S-CSCF.
    pub service_route: Vec<String>,
    /// What the UE and the P-CSCF protect media with as far as the gateway (`mediasec`, TS 24.229
    /// 5.2.2).
    pub mechanism: Option<Mechanism>,
    /// Call-ID of the REGISTER that made or refreshed it.
    pub call_id: String,
    /// CSeq number of that REGISTER.
    pub cseq: u32,
    /// When it ends.
    pub ends_at: Instant,
    /// Fires then.
    pub timer: Option<TimerId>,
}

/// What a REGISTER on its way is to become.
#[derive(Clone, Debug)]
pub struct Registering {
    /// Key written into Path.
    pub key: RegistrationKey,
    /// Where it came from.
    pub flow: Flow,
    /// The contact being registered, if one is.
    pub contact: Option<String>,
    /// The identity being registered.
    pub registered: String,
    /// What the UE can protect its media with as far as the gateway, and so can we.
    pub mechanism: Option<Mechanism>,
}

/// What the S-CSCF says of a registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// It has ended.
    pub ended: bool,
    /// The network wants it so.
    pub by_network: bool,
    /// The identities that the UE may use are others now.
    pub changed: bool,
}

/// All registrations of the P-CSCF.
#[derive(Debug, Default)]
pub struct Registrations {
    // Boxed: of a table's places up to a half are empty.
    by_key: IdMap<RegistrationKey, Box<Registration>>,
    by_peer: HashMap<SocketAddr, SmallVec<[RegistrationKey; 1]>>,
    /// By host and registered identity, for the many that one host may have: candidates under a
    /// hash of both.
    by_sender: IdMap<u64, SmallVec<[RegistrationKey; 1]>>,
    hasher: RandomState,
    /// Flows of registrations that have ended, for what the UE is still to be told of them, and
    /// till when; cleared as others follow.
    departed: HashMap<RegistrationKey, (Flow, Instant)>,
    departures: VecDeque<(RegistrationKey, Instant)>,
}

impl Registrations {
    /// Contacts registered.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Their keys.
    pub fn keys(&self) -> impl Iterator<Item = RegistrationKey> + '_ {
        self.by_key.keys().copied()
    }

    /// A registration.
    pub fn get(&self, key: RegistrationKey) -> Option<&Registration> {
        self.by_key.get(&key).map(Box::as_ref)
    }

    /// A registration, to change what is known of it.
    pub fn get_mut(&mut self, key: RegistrationKey) -> Option<&mut Registration> {
        self.by_key.get_mut(&key).map(Box::as_mut)
    }

    /// How the UE of a registration is reached; within a dialog also shortly after its end.
    pub fn flow(&self, now: Instant, key: RegistrationKey, in_dialog: bool) -> Option<Flow> {
        let registered = self.by_key.get(&key).map(|registration| registration.flow);
        registered.or_else(|| {
            let (flow, until) = self.departed.get(&key)?;
            (in_dialog && *until > now).then_some(*flow)
        })
    }

    /// The key under which this contact of this identity is registered from this address already.
    pub fn key_of(
        &self,
        peer: SocketAddr,
        registered: &str,
        contact: &str,
    ) -> Option<RegistrationKey> {
        self.registered_from(peer, registered)
            .find(|(_, registration)| registration.contact == contact)
            .map(|(key, _)| key)
    }

    /// The key under which this contact of this identity is registered from another port of the
    /// same host: by a UE that has connected anew, or whose NAT binds it anew.
    pub fn moved_key_of(
        &self,
        peer: SocketAddr,
        registered: &str,
        contact: &str,
    ) -> Option<RegistrationKey> {
        self.registered_at(peer, registered)
            .find(|(_, registration)| registration.contact == contact)
            .map(|(key, _)| key)
    }

    /// The registrations of an identity from one address.
    pub fn keys_of(&self, peer: SocketAddr, registered: &str) -> Vec<RegistrationKey> {
        self.registered_from(peer, registered)
            .map(|(key, _)| key)
            .collect()
    }

    fn registered_from<'a, 'b>(
        &'a self,
        peer: SocketAddr,
        registered: &'b str,
    ) -> impl Iterator<Item = (RegistrationKey, &'a Registration)> + use<'a, 'b> {
        let at_host = self.registered_at(peer, registered);
        at_host.filter(move |(_, registration)| registration.flow.peer() == peer)
    }

    /// The registrations of an identity from any port of a host.
    fn registered_at<'a, 'b>(
        &'a self,
        peer: SocketAddr,
        registered: &'b str,
    ) -> impl Iterator<Item = (RegistrationKey, &'a Registration)> + use<'a, 'b> {
        let candidates = self.by_sender.get(&self.sender_hash(peer, registered));
        candidates.into_iter().flatten().filter_map(move |&key| {
            let registration = self.get(key)?;
            let same =
                registration.flow.peer().ip() == peer.ip() && registration.registered == registered;
            same.then_some((key, registration))
        })
    }

    fn sender_hash(&self, peer: SocketAddr, registered: &str) -> u64 {
        self.hasher.hash_one((peer.ip(), registered))
    }

    /// Adds or replaces a registration; returns the timer of the one replaced. `None` when the flow
    /// is full.
    pub fn put(
        &mut self,
        key: RegistrationKey,
        registration: Registration,
    ) -> Option<Option<TimerId>> {
        let peer = registration.flow.peer();
        if let Some(held) = self.by_key.get_mut(&key)
            && held.flow.peer() == peer
            && held.registered == registration.registered
        {
            return Some(std::mem::replace(&mut **held, registration).timer);
        }
        let before = self.remove(key);
        let keys = self.by_peer.entry(peer).or_default();
        if keys.len() >= PER_FLOW_MAX {
            return None;
        }
        keys.push(key);
        let sender = self.sender_hash(peer, &registration.registered);
        self.by_sender.entry(sender).or_default().push(key);
        self.by_key.insert(key, Box::new(registration));
        Some(before.and_then(|before| before.timer))
    }

    /// Removes a registration.
    pub fn remove(&mut self, key: RegistrationKey) -> Option<Registration> {
        let registration = self.by_key.remove(&key)?;
        let peer = registration.flow.peer();
        if let Some(keys) = self.by_peer.get_mut(&peer) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        let sender = self.sender_hash(peer, &registration.registered);
        if let Some(keys) = self.by_sender.get_mut(&sender) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_sender.remove(&sender);
            }
        }
        Some(*registration)
    }

    /// Removes a registration, but till `until` for the way to its UE.
    pub fn depart(
        &mut self,
        now: Instant,
        key: RegistrationKey,
        until: Instant,
    ) -> Option<Registration> {
        let registration = self.remove(key)?;
        while let Some((gone, _)) = self.departures.pop_front_if(|(_, until)| *until <= now) {
            self.departed.remove(&gone);
        }
        self.departed.insert(key, (registration.flow, until));
        self.departures.push_back((key, until));
        Some(registration)
    }

    /// The registration under which a UE sends: by its address, and where several share it by the
    /// identity that P-Preferred-Identity or else From names (TS 24.229 5.2.6.3).
    pub fn sender(&self, peer: SocketAddr, request: &Message) -> Option<&Registration> {
        let keys = self.by_peer.get(&peer)?;
        let preferred = request
            .addresses(HeaderName::PPreferredIdentity)
            .filter_map(Result::ok);
        let from = request.from().ok();
        for address in preferred.chain(from) {
            let wanted = identity::public_identity(address.uri);
            let mut registered = self.registered_from(peer, &wanted);
            if let Some((_, own)) = registered.find(|(_, own)| own.may_use(&wanted)) {
                return Some(own);
            }
            // One of the identities that were registered with it.
            let named = |key: &&RegistrationKey| {
                self.get(**key)
                    .is_some_and(|registration| registration.may_use(&wanted))
            };
            if let Some(key) = keys.iter().find(named) {
                return self.get(*key);
            }
        }
        // The default identity of a UE that is alone at its address.
        match keys.as_slice() {
            [only] => self.get(*only),
            _ => None,
        }
    }
}

impl Registration {
    /// The default identity of its implicit registration set as a canonical SIP URI, where it has
    /// one (TS 24.229 5.2.3).
    pub fn default_identity(&self) -> String {
        let canonical = |value: &String| {
            let address = NameAddr::parse(value).ok()?;
            Some(identity::public_identity(address.uri))
        };
        let mut identities = self.identities.iter().filter_map(canonical);
        identities
            .clone()
            .find(|uri| uri.starts_with("sip"))
            .or_else(|| identities.next())
            .unwrap_or_else(|| self.registered.clone())
    }

    /// Takes from a document what it says of this registration: whether it has ended, and the
    /// identities that the UE may use. `is_last` where no other will follow.
    pub fn learn(&mut self, document: &Reginfo, is_last: bool) -> News {
        let (mut active, mut ended) = (Vec::new(), Vec::new());
        let mut by_network = false;
        for registration in &document.registrations {
            let Some(uri) = Uri::parse(&registration.aor) else {
                continue;
            };
            let aor = identity::public_identity(uri);
            let contacts = registration.contacts.iter();
            for contact in contacts.filter(|contact| self.is_at(&contact.uri)) {
                if contact.event.is_active() {
                    active.push(aor.clone());
                } else if !self.is_newer_than(contact) {
                    by_network |= contact.event.is_by_network();
                    ended.push(aor.clone());
                }
            }
            if registration.contacts.is_empty() && registration.state == State::Terminated {
                ended.push(aor);
            }
        }
        let mut changed = false;
        let default = self.default_identity();
        let is_whole = document.full || is_last || ended.contains(&default);
        for aor in ended.iter().filter(|aor| !active.contains(aor)) {
            let before = self.identities.len();
            self.identities.retain(|value| !names(value, aor));
            changed |= self.identities.len() < before;
        }
        for aor in &active {
            if !self.may_use(aor) && self.identities.len() < IDENTITIES_MAX {
                self.identities.push(format!("<{aor}>"));
                changed = true;
            }
        }
        let is_over = active.is_empty() && !ended.is_empty();
        News {
            ended: is_over && (is_whole || self.identities.is_empty()),
            by_network,
            changed,
        }
    }

    fn is_at(&self, contact: &str) -> bool {
        match (Uri::parse(&self.contact), Uri::parse(contact)) {
            (Some(own), Some(other)) => own.is_equivalent(other),
            _ => self.contact == contact,
        }
    }

    /// Whether another REGISTER than the one that a document means has made it since.
    fn is_newer_than(&self, contact: &Contact) -> bool {
        contact.call_id.as_ref().is_some_and(|call_id| {
            *call_id != self.call_id || contact.cseq.is_some_and(|cseq| cseq < self.cseq)
        })
    }

    /// Whether a canonical public identity is one of the UE's.
    pub fn may_use(&self, identity: &str) -> bool {
        self.associated(identity).is_some()
    }

    /// The P-Associated-URI value for a canonical identity.
    pub fn associated(&self, identity: &str) -> Option<&str> {
        let same = |value: &&String| names(value, identity);
        self.identities.iter().find(same).map(String::as_str)
    }

    /// P-Asserted-Identity for a request of the UE: the preferred identity if it is one of the
    /// UE's, else the default one (TS 24.229 5.2.6.3.1).
    pub fn asserted(&self, request: &Message) -> Option<&str> {
        let preferred = request
            .addresses(HeaderName::PPreferredIdentity)
            .filter_map(Result::ok);
        let from = request.from().ok();
        let named = preferred
            .chain(from)
            .find_map(|address| self.associated(&identity::public_identity(address.uri)));
        named.or(self.identities.first().map(String::as_str))
    }
}

/// Whether a P-Associated-URI value names a canonical identity.
fn names(value: &str, identity: &str) -> bool {
    NameAddr::parse(value).is_ok_and(|address| identity::public_identity(address.uri) == identity)
}

/// The seconds that a registrar's answer grants to a contact; `None` when it does not list it.
pub fn granted(response: &Message, contact: &str) -> Option<u32> {
    let wanted = Uri::parse(contact)?;
    let overall = response.expires().ok().flatten();
    response
        .contacts()
        .filter_map(Result::ok)
        .filter_map(|contact| contact.addr())
        .find(|address| address.uri.is_equivalent(wanted))
        .and_then(|address| address.expires().or(overall))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(user: &str, contact: &str, port: u16) -> Registration {
        Registration {
            flow: Flow::Udp {
                listener: 0,
                peer: SocketAddr::from(([192, 0, 2, 1], port)),
            },
            contact: contact.to_owned(),
            registered: format!("sip:{user}@ims.test"),
            identities: vec![
                format!("<sip:{user}@ims.test>"),
                format!("<tel:+1{port}{}>", user.len()),
            ],
            mechanism: None,
            service_route: Vec::new(),
            call_id: "c".to_owned(),
            cseq: 1,
            ends_at: Instant::from_secs(600),
            timer: None,
        }
    }

    fn from(user: &str) -> Message {
        let text = format!(
            "MESSAGE sip:x@ims.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n\
             From: <sip:{user}@ims.test>;tag=a\r\nTo: <sip:x@ims.test>\r\nCall-ID: c\r\n\
             CSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn users_who_share_an_address_are_told_apart_as_they_come_and_go() {
        let mut all = Registrations::default();
        for number in 0..1_000 {
            let user = format!("u{number}");
            let port = if number % 2 == 0 { 5060 } else { 5062 };
            let key = RegistrationKey(number);
            assert!(all.put(key, registration(&user, "sip:a", port)).is_some());
        }
        let [even, odd] = [5060, 5062].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        let found = |all: &Registrations, peer, user: &str| {
            let sender = all.sender(peer, &from(user));
            sender.map(|registration| registration.registered.clone())
        };
        assert_eq!(
            found(&all, even, "u500"),
            Some("sip:u500@ims.test".to_owned())
        );
        assert_eq!(found(&all, odd, "u500"), None, "of another address");
        assert_eq!(
            all.key_of(even, "sip:u500@ims.test", "sip:a"),
            Some(RegistrationKey(500))
        );
        assert_eq!(all.key_of(even, "sip:u500@ims.test", "sip:b"), None);
        assert_eq!(all.key_of(odd, "sip:u500@ims.test", "sip:a"), None);
        let moved = |contact| all.moved_key_of(odd, "sip:u500@ims.test", contact);
        assert_eq!(moved("sip:a"), Some(RegistrationKey(500)));
        assert_eq!(moved("sip:b"), None);

        // A second contact of the same user, and the first one again under the same key.
        all.put(RegistrationKey(2_000), registration("u500", "sip:b", 5060));
        all.put(RegistrationKey(500), registration("u500", "sip:a", 5060));
        let mut keys = all.keys_of(even, "sip:u500@ims.test");
        keys.sort();
        assert_eq!(keys, [RegistrationKey(500), RegistrationKey(2_000)]);

        for key in all.keys().collect::<Vec<_>>() {
            all.remove(key);
        }
        assert!(all.by_peer.is_empty() && all.by_sender.is_empty());
        assert_eq!(found(&all, even, "u500"), None);
    }
}
