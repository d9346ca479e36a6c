//! Registration at the S-CSCF (TS 24.229 5.4.1).

use std::time::Duration;

use base::{Instant, Pii};
use diameter::cx::user_data::ImsSubscription;
use diameter::cx::{
    self, Answer, AuthScheme, Maa, Mar, Outcome, Saa, Sar, ServerAssignmentType, SipAuthDataItem,
};
use sip::digest::{self, Algorithm, Credentials, Request};
use sip::transaction::ServerId;
use sip::{Contact, HeaderName, Message, NameAddr};
use tracing::{info, warn};

use super::challenge::{Terms, Verdict};
use super::reg_event::SetEnd;
use super::registrar::{self, Binding, Change, RegistrationSet, SetId};
use super::restoration::FEATURES;
use super::{Registering, Scscf, Step, Timer};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::{self, Actions};
use crate::identity;
use crate::journal::Kind;
use crate::reginfo::ContactEvent;

/// Options that the registrar understands in Require.
const OPTIONS: [&str; 2] = ["path", "outbound"];

/// What a REGISTER asks for one contact.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    uri: String,
    params: String,
    q: u16,
    instance: Option<String>,
    /// Zero ends it.
    expires: Duration,
}

/// What a REGISTER asks for.
#[derive(Clone, Debug)]
pub(super) enum Wishes {
    /// Nothing: the contacts are to be listed.
    List,
    /// `Contact: *`: all contacts end.
    EndAll,
    /// These contacts.
    Change(Vec<Wish>),
}

/// A REGISTER that cannot be served.
struct Refusal {
    status: u16,
    reason: &'static str,
    header: Option<(HeaderName, String)>,
}

impl Refusal {
    const fn new(status: u16, reason: &'static str) -> Self {
        Self {
            status,
            reason,
            header: None,
        }
    }
}

impl Scscf {
    pub(super) fn handle_register(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: Message,
    ) {
        let refused = match self.read(actions, server, &request) {
            Ok(registering) => return self.authenticate(actions, registering),
            Err(refused) => refused,
        };
        let tag = actions.stack.token();
        let mut draft = request.response(refused.status, refused.reason);
        draft.to_tag(&tag);
        if let Some((name, value)) = &refused.header {
            draft.append(*name, value);
        }
        actions.stack.respond(actions.now, server, &mut draft);
    }

    /// Reads what the REGISTER says.
    fn read(
        &self,
        actions: &Actions<'_>,
        server: ServerId,
        request: &Message,
    ) -> Result<Registering, Refusal> {
        let known = |option: &str| {
            OPTIONS
                .iter()
                .any(|known| known.eq_ignore_ascii_case(option))
        };
        let unknown: Vec<&str> = request
            .values(HeaderName::Require)
            .filter(|option| !known(option))
            .collect();
        if !unknown.is_empty() {
            let header = Some((HeaderName::Unsupported, unknown.join(", ")));
            return Err(Refusal {
                status: 420,
                reason: "",
                header,
            });
        }
        let identity = identity::registered_identity(request)
            .ok_or(Refusal::new(400, "To is no public identity"))?;
        let impi =
            identity::private_identity(request).ok_or(Refusal::new(400, "No private identity"))?;
        let credentials = match request.header(HeaderName::Authorization) {
            None => None,
            Some(value) => match Credentials::parse(value.as_bytes()) {
                Ok(credentials) => Some(credentials),
                // Another scheme or algorithm: challenged with ours (RFC 8760 2.4).
                Err(digest::Error::NotDigest | digest::Error::UnknownAlgorithm) => None,
                Err(_) => return Err(Refusal::new(400, "Bad Authorization")),
            },
        };
        let wishes = wishes(actions, request)?;
        Ok(Registering {
            server,
            request: request.clone(),
            identity,
            impi,
            credentials,
            wishes,
            step: Step::Vector { stale: false },
        })
    }

    /// Decides by the credentials: a challenge, a refusal, or the registration (TS 24.229 5.4.1.2.1
    /// to 5.4.1.2.3).
    fn authenticate(&mut self, actions: &mut Actions<'_>, registering: Registering) {
        let verdict = match &registering.credentials {
            None => Verdict::Unknown,
            Some(credentials) => {
                let covered = Request {
                    method: "REGISTER",
                    uri: &credentials.uri,
                    body: registering.request.body(),
                };
                self.challenges
                    .verify(actions.now, &registering.impi, credentials, covered)
            }
        };
        match verdict {
            Verdict::Genuine => self.assign(actions, registering),
            Verdict::Unknown | Verdict::Unanswered => {
                self.ask_vector(actions, registering, false, None)
            }
            Verdict::Stale => self.ask_vector(actions, registering, true, None),
            Verdict::Resynchronise(data) => {
                self.ask_vector(actions, registering, false, Some(data.to_vec()));
            }
            Verdict::Wrong => {
                actions.counters.count(Counter::RegistrationRejected);
                warn!(impi = %Pii(&registering.impi), "authentication failed");
                let (server, request) = (registering.server, registering.request.clone());
                actions
                    .stack
                    .reject(actions.now, server, &request, 403, "Authentication failed");
                if self.registrar.find(&registering.identity).is_none() {
                    self.tell_hss(
                        actions,
                        &registering.impi,
                        &registering.identity,
                        ServerAssignmentType::AuthenticationFailure,
                    );
                }
            }
        }
    }

    /// Multimedia-Auth-Request (TS 29.228 6.3).
    fn ask_vector(
        &mut self,
        actions: &mut Actions<'_>,
        mut registering: Registering,
        stale: bool,
        resynchronise: Option<Vec<u8>>,
    ) {
        // Without a nonce there is nothing yet that says MD5, its default: the HSS knows what the
        // user has (TS 29.228 6.3, scheme "Unknown").
        let scheme = match &registering.credentials {
            Some(given) if given.algorithm == Algorithm::AkaV1Md5 => AuthScheme::DigestAkaV1Md5,
            Some(given) if !given.nonce.is_empty() => AuthScheme::SipDigest,
            _ => AuthScheme::Unknown,
        };
        let mar = Mar {
            user_name: registering.impi.clone(),
            public_identity: registering.identity.clone(),
            sip_auth_data_item: SipAuthDataItem {
                scheme: Some(scheme),
                authorization: resynchronise,
                ..SipAuthDataItem::default()
            },
            sip_number_auth_items: 1,
            server_name: self.name.clone(),
            ..Mar::default()
        };
        registering.step = Step::Vector { stale };
        let token = self.keep(registering);
        actions.send_cx(Role::Scscf, token, cx::Request::MultimediaAuth(mar));
    }

    /// Server-Assignment-Request for what the REGISTER makes of the registration (TS 29.228 6.1.2).
    fn assign(&mut self, actions: &mut Actions<'_>, mut registering: Registering) {
        let set = self.registrar.find(&registering.identity).map(|(id, _)| id);
        if let (Some(set), Wishes::List) = (set, &registering.wishes) {
            return self.accept(actions, &registering, set);
        }
        let remains = self.remains(set, &registering);
        let kind = match (set, remains) {
            (None, true) => ServerAssignmentType::Registration,
            (Some(_), true) => ServerAssignmentType::ReRegistration,
            (Some(_), false) => ServerAssignmentType::UserDeregistration,
            (None, false) => {
                // Nothing is registered and nothing is to be.
                return self.answer(actions, &registering, Vec::new(), Vec::new());
            }
        };
        if let Err((status, reason)) = self.may_change(actions, set, &registering) {
            let (server, request) = (registering.server, registering.request.clone());
            return actions
                .stack
                .reject(actions.now, server, &request, status, reason);
        }
        let mut sar = self.sar(&registering.impi, &registering.identity, kind);
        if remains {
            let info = self.restoration_info(actions.now, &registering, set);
            sar.scscf_restoration_info = Some(info);
            // The profile is here, and what changes of it the HSS pushes (TS 29.228 6.1.2.1).
            sar.user_data_already_available = set.is_some();
        }
        registering.step = match remains {
            true => Step::Assignment {
                has_profile: sar.user_data_already_available,
            },
            false => Step::Ending,
        };
        let token = self.keep(registering);
        actions.send_cx(Role::Scscf, token, cx::Request::ServerAssignment(sar));
    }

    pub(super) fn sar(&self, impi: &str, identity: &str, kind: ServerAssignmentType) -> Sar {
        Sar {
            user_name: Some(impi.to_owned()),
            public_identities: vec![identity.to_owned()],
            wildcarded_public_identity: None,
            server_name: self.name.clone(),
            server_assignment_type: kind,
            user_data_already_available: false,
            scscf_restoration_info: None,
            multiple_registration: false,
            session_priority: None,
            pcscf_restoration: false,
            supported_features: vec![FEATURES],
        }
    }

    /// Tells the HSS what needs no answer to be waited for.
    pub(super) fn tell_hss(
        &mut self,
        actions: &mut Actions<'_>,
        impi: &str,
        identity: &str,
        kind: ServerAssignmentType,
    ) {
        let sar = self.sar(impi, identity, kind);
        actions.send_cx(Role::Scscf, 0, cx::Request::ServerAssignment(sar));
    }

    /// Whether a contact is left when the wishes are granted.
    fn remains(&self, set: Option<SetId>, registering: &Registering) -> bool {
        let set = set.and_then(|id| self.registrar.get(id));
        match &registering.wishes {
            Wishes::EndAll => false,
            Wishes::List => set.is_some(),
            Wishes::Change(wishes) => {
                let kept = |set: &RegistrationSet| {
                    let mut contacts = set.contacts.iter();
                    contacts.any(|binding| !registering.names(binding))
                };
                wishes.iter().any(|wish| !wish.expires.is_zero()) || set.is_some_and(kept)
            }
        }
    }

    /// RFC 3261 10.3 step 7, and our own limits.
    fn may_change(
        &self,
        actions: &Actions<'_>,
        set: Option<SetId>,
        registering: &Registering,
    ) -> Result<(), (u16, &'static str)> {
        let limits = &actions.config.limits;
        let Some(set) = set.and_then(|id| self.registrar.get(id)) else {
            if self.registrar.identities() >= limits.registrations_max {
                return Err((503, "Registrar is full"));
            }
            return Ok(());
        };
        let call_id = registering.request.call_id().unwrap_or_default();
        let cseq = registering.request.cseq().map_or(0, |cseq| cseq.number);
        let Wishes::Change(wishes) = &registering.wishes else {
            return Ok(());
        };
        let (mut added, mut ended) = (0, 0);
        for wish in wishes {
            let ends = wish.expires.is_zero();
            match set.position(&wish.uri, wish.instance.as_deref()) {
                Some(at) => {
                    let binding = &set.contacts[at];
                    if binding.call_id == call_id && cseq <= binding.cseq {
                        return Err((500, "Out of order"));
                    }
                    ended += usize::from(ends);
                }
                None => added += usize::from(!ends),
            }
        }
        if added > 0 && set.contacts.len() + added > limits.contacts_max + ended {
            return Err((403, "Too many contacts"));
        }
        Ok(())
    }

    pub(super) fn handle_answer(&mut self, actions: &mut Actions<'_>, token: u64, answer: Answer) {
        let Some(registering) = self.registering.remove(&token) else {
            return;
        };
        match (answer, &registering.step) {
            (Answer::MultimediaAuth(answer), Step::Vector { stale }) => {
                let stale = *stale;
                self.challenge(actions, &registering, &answer, stale);
            }
            (Answer::ServerAssignment(answer), Step::Assignment { has_profile }) => {
                let has_profile = *has_profile;
                self.assigned(actions, registering, answer, has_profile);
            }
            (Answer::ServerAssignment(answer), Step::Ending) => {
                self.ended(actions, &registering, &answer);
            }
            (other, _) => refuse(actions, &registering, other.outcome()),
        }
    }

    /// 401 with what the HSS gave (TS 24.229 5.4.1.2.1).
    fn challenge(
        &mut self,
        actions: &mut Actions<'_>,
        registering: &Registering,
        answer: &Maa,
        stale: bool,
    ) {
        if answer.outcome != Outcome::SUCCESS {
            return refuse(actions, registering, answer.outcome);
        }
        let terms = Terms {
            realm: &actions.config.realm,
            algorithm: registering
                .credentials
                .as_ref()
                .map(|given| given.algorithm),
            lifetime: actions.config.registration.reg_await_auth,
            stale,
        };
        let issued = answer.sip_auth_data_items.first().and_then(|item| {
            let impi = &registering.impi;
            self.challenges
                .issue(actions.now, actions.entropy, impi, item, terms)
        });
        let (server, request) = (registering.server, &registering.request);
        let Some(challenge) = issued else {
            return actions
                .stack
                .reject(actions.now, server, request, 504, "No usable vector");
        };
        actions.counters.count(Counter::RegistrationChallenged);
        self.watch_challenges(actions);
        let tag = actions.stack.token();
        let mut draft = request.response(401, "");
        draft
            .to_tag(&tag)
            .append(HeaderName::WwwAuthenticate, &challenge.to_string());
        actions.stack.respond(actions.now, server, &mut draft);
    }

    /// The HSS has ended the assignment.
    fn ended(&mut self, actions: &mut Actions<'_>, registering: &Registering, answer: &Saa) {
        if !answer.outcome.is_success() {
            return refuse(actions, registering, answer.outcome);
        }
        if let Some((id, _)) = self.registrar.find(&registering.identity) {
            let end = SetEnd::Ended(ContactEvent::Unregistered);
            self.end_set(actions, id, end);
        }
        self.answer(actions, registering, Vec::new(), Vec::new());
    }

    /// The HSS has assigned us. It gives the profile, unless there was one when it was asked.
    fn assigned(
        &mut self,
        actions: &mut Actions<'_>,
        registering: Registering,
        answer: Saa,
        has_profile: bool,
    ) {
        if !answer.outcome.is_success() {
            return refuse(actions, &registering, answer.outcome);
        }
        let set = match (answer.user_data, has_profile) {
            (None, true) => match self.registrar.find(&registering.identity) {
                Some((set, _)) => set,
                // It has ended meanwhile, and with it went the profile.
                None => return self.assign(actions, registering),
            },
            (document, _) => {
                let profile = document.as_deref().map(ImsSubscription::parse);
                let profile = profile.and_then(Result::ok);
                let identities = profile.map(|profile| registrar::identities(&profile));
                let identities = identities.unwrap_or_default();
                let identity = &registering.identity;
                if !identities.iter().any(|known| known.uri == *identity) {
                    return refuse(actions, &registering, Outcome::NotSupportedUserData);
                }
                self.registrar
                    .renew(&registering.impi, identity, identities)
            }
        };
        actions.counters.count(Counter::RegistrationAccepted);
        info!(impu = %Pii(&registering.identity), "registered");
        let changes = self.apply(actions, &registering, set);
        if self
            .registrar
            .get(set)
            .is_some_and(|set| set.contacts.is_empty())
        {
            // The contact that was to remain has expired while the HSS was asked.
            self.end_set(actions, set, SetEnd::Ended(ContactEvent::Unregistered));
            let (impi, identity) = (&registering.impi, &registering.identity);
            let kind = ServerAssignmentType::UserDeregistration;
            self.tell_hss(actions, impi, identity, kind);
            return self.answer(actions, &registering, Vec::new(), Vec::new());
        }
        self.keep_set(actions, set);
        self.accept(actions, &registering, set);
        self.notifier.tell(actions, &self.registrar, set, &changes);
    }

    /// Grants the wishes.
    fn apply(
        &mut self,
        actions: &mut Actions<'_>,
        registering: &Registering,
        id: SetId,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let now = actions.now;
        self.registrar
            .change(id, |set| changes = registering.grant(now, set));
        self.restart_timer(actions, id);
        changes
    }

    /// 200 with all contacts (TS 24.229 5.4.1.2.2F).
    fn accept(&mut self, actions: &mut Actions<'_>, registering: &Registering, id: SetId) {
        let Some(set) = self.registrar.get(id) else {
            return;
        };
        let contacts = set
            .contacts
            .iter()
            .map(|binding| binding.contact(actions.now))
            .collect();
        let associated = set.associated().collect();
        self.answer(actions, registering, contacts, associated);
    }

    fn answer(
        &self,
        actions: &mut Actions<'_>,
        registering: &Registering,
        contacts: Vec<String>,
        associated: Vec<String>,
    ) {
        let request = &registering.request;
        let tag = actions.stack.token();
        let mut draft = request.response(200, "");
        draft.to_tag(&tag);
        for contact in &contacts {
            draft.append(HeaderName::Contact, contact);
        }
        if !contacts.is_empty() {
            draft.copy(HeaderName::Path);
            let route = actions
                .stack
                .addresses()
                .uri(Role::Scscf, super::ORIGINATING, 0);
            draft.append(HeaderName::ServiceRoute, &format!("<{route};lr>"));
        }
        for identity in &associated {
            draft.append(HeaderName::PAssociatedUri, identity);
        }
        draft.append(HeaderName::Supported, "path");
        actions
            .stack
            .respond(actions.now, registering.server, &mut draft);
    }

    // ---- expiry ----

    pub(super) fn restart_timer(&mut self, actions: &mut Actions<'_>, id: SetId) {
        let Some(at) = self.registrar.get(id).and_then(|set| set.expires_at()) else {
            return;
        };
        let timer = actions.set_timer(at - actions.now, entity::Timer::Scscf(Timer::Contact(id)));
        let mut before = None;
        self.registrar
            .change(id, |set| before = set.timer.replace(timer));
        actions.cancel_timer(before);
    }

    /// Contacts of a set have expired (TS 24.229 5.4.1.4).
    pub(super) fn handle_expiry(&mut self, actions: &mut Actions<'_>, id: SetId) {
        let now = actions.now;
        let Some(set) = self.registrar.get(id) else {
            return;
        };
        let expired = set
            .contacts
            .iter()
            .filter(|binding| binding.expires_at <= now);
        let expired = expired.count();
        for _ in 0..expired {
            actions.counters.count(Counter::RegistrationExpired);
        }
        if expired < set.contacts.len() {
            let mut changes = Vec::new();
            self.registrar.change(id, |set| {
                set.timer = None;
                changes = set.expire(now);
            });
            self.restart_timer(actions, id);
            self.keep_set(actions, id);
            return self.notifier.tell(actions, &self.registrar, id, &changes);
        }
        let impi = set.impi.clone();
        let identity = set.identities.first().map(|identity| identity.uri.clone());
        self.end_set(actions, id, SetEnd::Ended(ContactEvent::Expired));
        if let Some(identity) = identity {
            let kind = ServerAssignmentType::TimeoutDeregistration;
            self.tell_hss(actions, &impi, &identity, kind);
        }
    }

    pub(super) fn end_set(&mut self, actions: &mut Actions<'_>, id: SetId, end: SetEnd) {
        if let Some(set) = self.registrar.remove(id) {
            info!(impi = %Pii(&set.impi), "no longer registered");
            actions.cancel_timer(set.timer);
            actions.journal.remove(Kind::RegistrationSet, id.0);
            self.notifier.end_set(actions, id, &set, end);
        }
    }
}

impl Registering {
    /// Grants the wishes.
    pub(super) fn grant(&self, now: Instant, set: &mut RegistrationSet) -> Vec<Change> {
        let mut changes = Vec::new();
        let ended = self.wishes().iter().filter(|wish| wish.expires.is_zero());
        for wish in ended {
            changes.extend(set.end(&wish.uri, wish.instance.as_deref()));
        }
        for binding in self.granted(now) {
            changes.extend(set.put(binding));
        }
        changes
    }

    /// The contacts that it makes or refreshes; their `id` and `event` are still to be given.
    pub(super) fn granted(&self, now: Instant) -> impl Iterator<Item = Binding> {
        let call_id = self.request.call_id().unwrap_or_default();
        let cseq = self.request.cseq().map_or(0, |cseq| cseq.number);
        let wishes = self.wishes().iter().filter(|wish| !wish.expires.is_zero());
        wishes.map(move |wish| {
            let path = self.request.values(HeaderName::Path);
            Binding {
                id: 0,
                identity: self.identity.clone(),
                event: ContactEvent::Registered,
                uri: wish.uri.clone(),
                params: wish.params.clone(),
                q: wish.q,
                path: path
                    .map(str::to_owned)
                    .collect::<Box<[String]>>()
                    .into_vec(),
                instance: wish.instance.clone(),
                call_id: call_id.to_owned(),
                cseq,
                expires_at: now + wish.expires,
            }
        })
    }

    /// Whether it says something of a contact.
    pub(super) fn names(&self, binding: &Binding) -> bool {
        let mut wishes = self.wishes().iter();
        wishes.any(|wish| binding.is_named(&wish.uri, wish.instance.as_deref()))
    }

    /// What it asks for single contacts.
    fn wishes(&self) -> &[Wish] {
        match &self.wishes {
            Wishes::Change(wishes) => wishes,
            Wishes::List | Wishes::EndAll => &[],
        }
    }
}

/// What the contacts of a REGISTER ask for (RFC 3261 10.3 steps 6 and 7).
fn wishes(actions: &Actions<'_>, request: &Message) -> Result<Wishes, Refusal> {
    let policy = &actions.config.registration;
    let overall = request
        .expires()
        .map_err(|_| Refusal::new(400, "Bad Expires"))?;
    let mut wishes = Vec::new();
    let mut all = false;
    for contact in request.contacts() {
        match contact.map_err(|_| Refusal::new(400, "Bad Contact"))? {
            Contact::Star => all = true,
            Contact::Addr(address) => wishes.push(wish(policy, &address, overall)?),
        }
    }
    match (all, wishes.is_empty()) {
        (true, true) if overall == Some(0) => Ok(Wishes::EndAll),
        (true, _) => Err(Refusal::new(
            400,
            "Contact * wants Expires 0 and no other contact",
        )),
        (false, true) => Ok(Wishes::List),
        (false, false) => Ok(Wishes::Change(wishes)),
    }
}

fn wish(
    policy: &crate::config::RegistrationPolicy,
    contact: &NameAddr<'_>,
    overall: Option<u32>,
) -> Result<Wish, Refusal> {
    let asked = contact.expires().or(overall);
    let expires = match asked.map(|seconds| Duration::from_secs(seconds.into())) {
        None => policy.expires,
        Some(Duration::ZERO) => Duration::ZERO,
        Some(asked) if asked < policy.expires_min => {
            let least = policy.expires_min.as_secs().to_string();
            return Err(Refusal {
                status: 423,
                reason: "",
                header: Some((HeaderName::MinExpires, least)),
            });
        }
        Some(asked) => asked.min(policy.expires_max),
    };
    Ok(Wish {
        uri: contact.uri.as_str().to_owned(),
        params: registrar::params(contact),
        q: contact.q().unwrap_or(1000),
        instance: contact.params.get("+sip.instance").map(str::to_owned),
        expires,
    })
}

/// The status for what the HSS refused (TS 24.229 5.4.1.2).
fn refuse(actions: &mut Actions<'_>, registering: &Registering, outcome: Outcome) {
    let (status, reason) = match outcome {
        Outcome::UserUnknown => (403, "Unknown user"),
        Outcome::IdentitiesDontMatch => (403, "Identities do not match"),
        Outcome::AuthSchemeNotSupported => (403, "No such credentials"),
        Outcome::NotSupportedUserData | Outcome::TooMuchData => (500, "Profile is no use"),
        outcome if outcome.code() == 3004 => (503, "HSS is busy"),
        outcome if outcome.code() == 3002 => (504, "HSS did not answer"),
        _ => (480, "HSS refused"),
    };
    actions.counters.count(Counter::RegistrationRejected);
    let (server, request) = (registering.server, &registering.request);
    actions
        .stack
        .reject(actions.now, server, request, status, reason);
}
