//! User registration status query, TS 29.228 6.1.1: UAR of the I-CSCF on REGISTER.

use diameter::ResultCode;
use diameter::cx::{Answer, Outcome, Uaa, Uar, UserAuthorizationType};

use super::{Config, Decision, assigned, capabilities, own_identity};
use crate::store::{Entry, PublicIdentity, RegistrationState};

/// The steps of TS 29.228 6.1.1.1.
pub fn decide(config: &Config, uar: &Uar, entry: &Entry) -> Decision {
    let refuse = |outcome| Answer::UserAuthorization(Uaa::from(outcome));
    // Steps 1 and 2: both identities are known and belong together.
    let identity = match own_identity(entry, &uar.public_identity, refuse) {
        Ok(identity) => identity,
        Err(decision) => return decision,
    };
    // Step 3: a barred identity registers only along with one that is not. Not checked for
    // emergency.
    if !uar.emergency_registration && !may_register(entry, identity) {
        return Decision::answer(refuse(Outcome::Base(ResultCode::AUTHORIZATION_REJECTED)));
    }
    // Step 4: roaming, for all but de-registration and emergency.
    let leaving = uar.user_authorization_type == UserAuthorizationType::DeRegistration;
    if !leaving && !uar.emergency_registration && !may_roam(config, uar, entry) {
        return Decision::answer(refuse(Outcome::RoamingNotAllowed));
    }
    if uar.user_authorization_type == UserAuthorizationType::RegistrationAndCapabilities {
        return select_another(entry);
    }
    // Step 5: the state.
    let answer = match leaving {
        true => deregistration(entry, identity),
        false => registration(entry),
    };
    Decision::answer(Answer::UserAuthorization(answer))
}

fn registration(entry: &Entry) -> Uaa {
    // An S-CSCF assigned to any identity of the subscription serves this one too.
    match assigned(&entry.registrations) {
        Some(name) => Uaa {
            server_name: Some(name.to_owned()),
            ..Uaa::from(Outcome::SubsequentRegistration)
        },
        None => Uaa {
            server_capabilities: capabilities(entry),
            ..Uaa::from(Outcome::FirstRegistration)
        },
    }
}

fn deregistration(entry: &Entry, identity: &PublicIdentity) -> Uaa {
    let state = entry.registrations.set(identity.implicit_set).state;
    match (state, assigned(&entry.registrations)) {
        (RegistrationState::Registered, Some(name)) => Uaa {
            server_name: Some(name.to_owned()),
            ..Uaa::from(Outcome::SUCCESS)
        },
        _ => Uaa::from(Outcome::IdentityNotRegistered),
    }
}

/// REGISTRATION_AND_CAPABILITIES: the assigned S-CSCF does not answer, the I-CSCF selects another,
/// which may then take over (TS 23.380 4.3).
fn select_another(entry: &Entry) -> Decision {
    let answer = Answer::UserAuthorization(Uaa {
        server_capabilities: capabilities(entry),
        ..Uaa::from(Outcome::SUCCESS)
    });
    allow_reassignment(entry, answer)
}

/// Answers after noting that another S-CSCF may take over, where one is assigned.
pub fn allow_reassignment(entry: &Entry, answer: Answer) -> Decision {
    let before = &entry.registrations;
    if before.server.is_none() || before.reassignment_pending {
        return Decision::answer(answer);
    }
    let mut registrations = before.clone();
    registrations.reassignment_pending = true;
    Decision::write(registrations, answer, None)
}

fn may_register(entry: &Entry, identity: &PublicIdentity) -> bool {
    let mut set = entry.subscriber.implicit_set(identity.implicit_set);
    set.any(|identity| !identity.barred)
}

fn may_roam(config: &Config, uar: &Uar, entry: &Entry) -> bool {
    let visited = uar.visited_network_identifier.trim_matches('"');
    let allowed = &entry.subscriber.visited_networks;
    allowed.is_empty()
        || visited.eq_ignore_ascii_case(&config.home)
        || allowed
            .iter()
            .any(|name| name.eq_ignore_ascii_case(visited))
}
