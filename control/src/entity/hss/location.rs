//! User location query, TS 29.228 6.1.4: LIR of the I-CSCF on requests other than REGISTER.

use diameter::cx::{Answer, Lia, Lir, Outcome, UserAuthorizationType};

use super::authorization::allow_reassignment;
use super::{Decision, assigned, capabilities, own_identity, profile};
use crate::store::{Entry, RegistrationState};

/// The steps of TS 29.228 6.1.4.1.
pub fn decide(lir: &Lir, entry: &Entry) -> Decision {
    let refuse = |outcome| Answer::LocationInfo(Lia::from(outcome));
    // Step 1: the identity is known: by it the subscriber was found.
    let identity = match own_identity(entry, &lir.public_identity, refuse) {
        Ok(identity) => identity,
        Err(decision) => return decision,
    };
    let set = entry.registrations.set(identity.implicit_set);
    let unregistered_services = profile::has_unregistered_services(&entry.subscriber);
    let served = set.state != RegistrationState::NotRegistered;
    // Step 2: capabilities are asked for, as the assigned S-CSCF does not answer.
    let capabilities_wanted =
        lir.user_authorization_type == Some(UserAuthorizationType::RegistrationAndCapabilities);
    if capabilities_wanted && (served || unregistered_services) {
        let answer = Answer::LocationInfo(Lia {
            server_capabilities: capabilities(entry),
            ..Lia::from(Outcome::SUCCESS)
        });
        return allow_reassignment(entry, answer);
    }
    // Step 3: the state. The S-CSCF of another identity of the subscription serves this one too.
    let answer = match (
        served || unregistered_services,
        assigned(&entry.registrations),
    ) {
        (true, Some(name)) => Lia {
            server_name: Some(name.to_owned()),
            ..Lia::from(Outcome::SUCCESS)
        },
        (true, None) => Lia {
            server_capabilities: capabilities(entry),
            ..Lia::from(Outcome::UnregisteredService)
        },
        (false, _) => Lia::from(Outcome::IdentityNotRegistered),
    };
    Decision::answer(Answer::LocationInfo(answer))
}
