//! Registration through the P-CSCF (TS 24.229 5.2.2).

use std::time::Duration;

use sip::digest::{Algorithm, Challenge, Credentials};
use sip::transaction::ServerId;
use sip::{Draft, HeaderName, Message};

use super::protection::Mechanism;
use super::registration::{Registering, Registration, RegistrationKey, granted};
use super::{Pcscf, Proxied, Timer, Token, charging_vector};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::{self, Actions};
use crate::identity;
use crate::journal::Kind;
use crate::proxy::{ContextId, Passing};
use crate::stack::{NextHop, Origin};

/// How much longer the P-CSCF keeps a registration than the registrar grants it, so that it never
/// ends first.
pub(super) const EXPIRY_GRACE: Duration = Duration::from_secs(30);

/// How long a UE is reached after its registration has ended: 64 T1, a transaction.
const DEPARTURE: u32 = 64;

impl Pcscf {
    pub(super) fn handle_register(
        &mut self,
        actions: &mut Actions<'_>,
        origin: &Origin,
        server: ServerId,
        request: Message,
    ) {
        let Some(flow) = origin.flow() else {
            return actions.stack.reject(actions.now, server, &request, 403, "");
        };
        let Some(registered) = identity::registered_identity(&request) else {
            return actions
                .stack
                .reject(actions.now, server, &request, 400, "To is no identity");
        };
        let contact = request
            .contacts()
            .filter_map(Result::ok)
            .find_map(|contact| Some(contact.addr()?.uri.as_str().to_owned()));
        let known = contact
            .as_deref()
            .and_then(|text| self.registrations.key_of(flow.peer(), &registered, text));
        // It stays one registration, to which the UE must prove anew that it is its own.
        let moved = || {
            let contact = contact.as_deref()?;
            self.registrations
                .moved_key_of(flow.peer(), &registered, contact)
        };
        let before = known.or_else(moved);
        if before.is_none() && self.registrations.len() >= actions.config.limits.registrations_max {
            actions.counters.count(Counter::SipRefusedFull);
            return entity::refuse_for_load(actions, server, &request);
        }
        let key = before.unwrap_or_else(|| RegistrationKey(actions.entropy.next_u64()));

        let mut draft = request.edit();
        draft.remove_all(HeaderName::Route);
        for name in [HeaderName::Require, HeaderName::ProxyRequire] {
            remove_option(&mut draft, &request, name, MEDIASEC);
        }
        let path =
            actions
                .stack
                .addresses()
                .uri(Role::Pcscf, &Token::Registration(key).to_string(), 0);
        draft.push_front(HeaderName::Path, &format!("<{path};lr>"));
        if !request.has_token(HeaderName::Require, "path") {
            draft.append(HeaderName::Require, "path");
        }
        draft.remove_all(HeaderName::PChargingVector);
        draft.append(HeaderName::PChargingVector, &charging_vector(actions));
        draft.replace(
            HeaderName::PVisitedNetworkId,
            &format!("\"{}\"", actions.config.realm),
        );
        let associated = known.is_some();
        if let Some(value) = vouched_credentials(&request, associated) {
            draft.replace(HeaderName::Authorization, &value);
        }
        let registering = Registering {
            key,
            flow,
            contact,
            registered,
            mechanism: media_mechanism(&request)
                .filter(|_| actions.mgc.is_some() && actions.config.media.anchor),
        };
        let id = self
            .proxy
            .open(server, request, Proxied::Register(registering));
        self.proxy
            .forward(actions, id, draft, NextHop::Entity(Role::Icscf));
    }

    pub(super) fn pass_register_response(
        &mut self,
        actions: &mut Actions<'_>,
        id: ContextId,
        registering: &Registering,
        passing: Passing,
    ) {
        let Passing {
            response,
            mut draft,
        } = passing;
        match response.status() {
            Some(401) => {
                remove_keys(&response, &mut draft);
                tell_of_media(registering, &mut draft);
            }
            Some(200..300) => {
                self.note_registered(actions, registering, &response);
                tell_of_media(registering, &mut draft);
            }
            _ => {}
        }
        self.proxy.respond(actions, id, draft);
    }

    /// Keeps what the registrar granted, or forgets it (TS 24.229 5.2.2.1 last part).
    fn note_registered(
        &mut self,
        actions: &mut Actions<'_>,
        registering: &Registering,
        response: &Message,
    ) {
        let granted = registering
            .contact
            .as_deref()
            .and_then(|contact| granted(response, contact));
        let Some((contact, seconds)) = registering
            .contact
            .clone()
            .zip(granted)
            .filter(|(_, seconds)| *seconds > 0)
        else {
            self.forget(actions, registering.key);
            // `Contact: *`: every contact of the identity from this address ends.
            if registering.contact.is_none() && response.contacts().next().is_none() {
                self.forget_all(actions, registering);
            }
            return;
        };
        let lifetime = Duration::from_secs(seconds.into()) + EXPIRY_GRACE;
        let timer = entity::Timer::Pcscf(Timer::Registration(registering.key));
        let timer = actions.set_timer(lifetime, timer);
        let registration = Registration {
            flow: registering.flow,
            contact,
            registered: registering.registered.clone(),
            identities: values(response, HeaderName::PAssociatedUri),
            service_route: values(response, HeaderName::ServiceRoute),
            mechanism: registering.mechanism,
            call_id: response.call_id().unwrap_or_default().to_owned(),
            cseq: response.cseq().map_or(0, |cseq| cseq.number),
            ends_at: actions.now + lifetime,
            timer: Some(timer),
        };
        let before = self.registrations.get(registering.key).map(|it| it.flow);
        match self.registrations.put(registering.key, registration) {
            Some(replaced) => {
                self.keep_registration(actions, registering.key);
                if before.is_some_and(|before| before != registering.flow) {
                    self.follow(actions, registering.key, registering.flow);
                }
                actions.cancel_timer(replaced);
                let granted = Duration::from_secs(seconds.into());
                self.subscribe(actions, registering.key, granted);
            }
            None => {
                actions.cancel_timer(Some(timer));
                actions
                    .journal
                    .remove(Kind::Registration, registering.key.0);
            }
        }
    }

    fn forget_all(&mut self, actions: &mut Actions<'_>, registering: &Registering) {
        let peer = registering.flow.peer();
        for key in self.registrations.keys_of(peer, &registering.registered) {
            self.forget(actions, key);
        }
    }

    /// Ends a registration. Within dialogs the UE can be reached for a while: it is told of the end
    /// by NOTIFY (TS 24.229 5.2.5).
    pub(super) fn forget(&mut self, actions: &mut Actions<'_>, key: RegistrationKey) {
        let until = actions.now + actions.config.gm.t1() * DEPARTURE;
        if let Some(gone) = self.registrations.depart(actions.now, key, until) {
            actions.cancel_timer(gone.timer);
            actions.journal.remove(Kind::Registration, key.0);
            self.unsubscribe(actions, key);
        }
    }
}

fn values(message: &Message, name: HeaderName) -> Vec<String> {
    let mut values: Vec<String> = message.values(name).map(str::to_owned).collect();
    values.shrink_to_fit();
    values
}

/// What the UE says that it protects media with as far as the access edge: the first that we know
/// (TS 24.229 5.1.1.2.1, 7.2A.7).
fn media_mechanism(request: &Message) -> Option<Mechanism> {
    let mut mechanisms = request.values(HeaderName::SecurityClient);
    mechanisms.find_map(|mechanism| {
        let mut parts = mechanism.split(';').map(str::trim);
        let known = Mechanism::from_name(parts.next()?)?;
        let is_media = parts.any(|parameter| parameter.eq_ignore_ascii_case(MEDIASEC));
        is_media.then_some(known)
    })
}

/// What we protect of the UE's media, if it asked (TS 24.229 5.2.2.1, 5.2.2.2).
fn tell_of_media(registering: &Registering, draft: &mut Draft) {
    if let Some(mechanism) = registering.mechanism {
        let value = format!("{};{MEDIASEC}", mechanism.name());
        draft.append(HeaderName::SecurityServer, &value);
    }
}

/// Takes an option tag off that is ours to fulfil.
fn remove_option(draft: &mut Draft, request: &Message, name: HeaderName, option: &str) {
    if !request.has_token(name, option) {
        return;
    }
    let others = request
        .values(name)
        .filter(|tag| !tag.eq_ignore_ascii_case(option));
    let others: Vec<&str> = others.collect();
    draft.remove_all(name);
    if !others.is_empty() {
        draft.append(name, &others.join(", "));
    }
}

/// The option tag and header field parameter of media plane security (TS 24.229 7.2A.7).
const MEDIASEC: &str = "mediasec";

/// The credentials as the P-CSCF passes them on: whatever the UE says of their protection is
/// replaced by what the P-CSCF saw (TS 24.229 5.2.2.1, 5.2.2.3). Without a security association AKA
/// is not protected; SIP Digest is vouched for by the address from which the UE registered.
fn vouched_credentials(request: &Message, associated: bool) -> Option<String> {
    let value = request.header(HeaderName::Authorization)?;
    let mut credentials = Credentials::parse(value.as_bytes()).ok()?;
    credentials.take_extension("integrity-protected");
    let protection = match (credentials.algorithm == Algorithm::AkaV1Md5, associated) {
        (true, _) => "no",
        (false, true) => "ip-assoc-yes",
        (false, false) => "ip-assoc-pending",
    };
    credentials.push_extension("integrity-protected", protection.to_owned());
    Some(credentials.to_string())
}

/// The challenge without CK and IK, which are the P-CSCF's own (TS 24.229 5.2.2.2).
fn remove_keys(response: &Message, draft: &mut Draft) {
    let value = response.header(HeaderName::WwwAuthenticate);
    let challenge = value.map(|value| Challenge::parse(value.as_bytes()));
    if let Some(Ok(mut challenge)) = challenge {
        challenge.take_extension("ck");
        challenge.take_extension("ik");
        draft.replace(HeaderName::WwwAuthenticate, &challenge.to_string());
    }
}
