//! S-CSCF registration and de-registration notification, TS 29.228 6.1.2: SAR of the S-CSCF.

use diameter::cx::{
    Answer, DeregistrationReason, Outcome, ReasonCode, Request, Rtr, Saa, Sar,
    ServerAssignmentType, SupportedFeatures,
};
use diameter::{Origin, ResultCode};

use super::profile::{charging_information, has_unregistered_services, user_data};
use super::{Decision, assigned, has_feature, own_identity, restoration};
use crate::store::{AssignedServer, Entry, RegistrationState, Registrations, SetRegistration};

/// The steps of TS 29.228 6.1.2.1.
pub fn decide(sar: &Sar, origin: &Origin, entry: &Entry) -> Decision {
    use ServerAssignmentType as Type;
    let refuse = |outcome| Answer::ServerAssignment(Saa::from(outcome));
    // Steps 1 and 2: the identities are known and belong together.
    let mut sets = Vec::new();
    for identity in &sar.public_identities {
        match own_identity(entry, identity, refuse) {
            Ok(identity) => sets.push(identity.implicit_set),
            Err(decision) => return decision,
        }
    }
    sets.sort_unstable();
    sets.dedup();
    // Step 3: more than one identity only on de-registration.
    if let Some(outcome) = refuse_identities(sar) {
        return Decision::answer(refuse(outcome));
    }
    let case = Case { sar, origin, entry };
    match sar.server_assignment_type {
        Type::Registration | Type::ReRegistration => case.register(sets[0]),
        Type::UnregisteredUser => case.serve_unregistered(sets[0]),
        Type::NoAssignment => case.give_profile(sets[0]),
        Type::TimeoutDeregistration
        | Type::UserDeregistration
        | Type::AdministrativeDeregistration
        | Type::DeregistrationTooMuchData => case.deregister(&sets, false),
        Type::TimeoutDeregistrationStoreServerName | Type::UserDeregistrationStoreServerName => {
            case.deregister(&sets, true)
        }
        Type::AuthenticationFailure | Type::AuthenticationTimeout => {
            case.end_authentication(sets[0])
        }
        // Of SWx, not of Cx.
        Type::AaaUserDataRequest | Type::PgwUpdate | Type::Restoration => {
            Decision::answer(refuse(Outcome::Base(ResultCode::INVALID_AVP_VALUE)))
        }
    }
}

/// What is wrong with the number of identities, by Server-Assignment-Type (TS 29.228 Table
/// 6.1.2.1).
fn refuse_identities(sar: &Sar) -> Option<Outcome> {
    use ServerAssignmentType as Type;
    let kind = sar.server_assignment_type;
    let many = match kind {
        Type::AuthenticationFailure | Type::AuthenticationTimeout => false,
        other => other.is_deregistration(),
    };
    let needs_user_name = matches!(
        kind,
        Type::Registration
            | Type::ReRegistration
            | Type::AuthenticationFailure
            | Type::AuthenticationTimeout
    );
    match sar.public_identities.len() {
        0 if !many => Some(Outcome::Base(ResultCode::MISSING_AVP)),
        2.. if !many => Some(Outcome::Base(ResultCode::AVP_OCCURS_TOO_MANY_TIMES)),
        _ if needs_user_name && sar.user_name.is_none() => {
            Some(Outcome::Base(ResultCode::MISSING_AVP))
        }
        _ => None,
    }
}

struct Case<'a> {
    sar: &'a Sar,
    origin: &'a Origin,
    entry: &'a Entry,
}

impl Case<'_> {
    /// REGISTRATION, RE_REGISTRATION.
    fn register(&self, set: u32) -> Decision {
        if let Some(refusal) = self.refuse_other_server() {
            return refusal;
        }
        let mut registration = self.entry.registrations.set(set);
        registration.state = RegistrationState::Registered;
        registration.auth_pending = false;
        if let Some(info) = &self.sar.scscf_restoration_info {
            registration.restoration = Some(restoration::write(info));
        }
        self.assign(registration, set)
    }

    /// UNREGISTERED_USER: a request came for a user who is not registered.
    fn serve_unregistered(&self, set: u32) -> Decision {
        if let Some(refusal) = self.refuse_other_server() {
            return refusal;
        }
        let mut registration = self.entry.registrations.set(set);
        let taken_over = self.entry.registrations.reassignment_pending;
        if registration.state == RegistrationState::Registered && !taken_over {
            return self.restore(&registration);
        }
        registration.state = RegistrationState::Unregistered;
        registration.restoration = None;
        self.assign(registration, set)
    }

    /// The user is registered at the very S-CSCF that does not know: it has lost its data (TS
    /// 23.380 4.4).
    fn restore(&self, registration: &SetRegistration) -> Decision {
        let mut answer = Saa::from(Outcome::ErrorInAssignmentType);
        if let Some(info) = self.restoration_info(registration) {
            answer = Saa {
                scscf_restoration_info: vec![info],
                ..self.with_profile(answer, registration.set)
            };
        }
        Decision::answer(Answer::ServerAssignment(answer))
    }

    /// NO_ASSIGNMENT: the profile is downloaded again.
    fn give_profile(&self, set: u32) -> Decision {
        let registration = self.entry.registrations.set(set);
        let served = registration.state != RegistrationState::NotRegistered;
        if !served || !self.is_assigned() {
            return self.answer(Outcome::UNABLE_TO_COMPLY);
        }
        let info = self.restoration_info(&registration);
        let answer = Saa {
            scscf_restoration_info: info.into_iter().collect(),
            ..self.with_profile(Saa::from(Outcome::SUCCESS), set)
        };
        Decision::answer(Answer::ServerAssignment(answer))
    }

    /// The de-registrations; without a public identity, of all identities. With `keep` the S-CSCF
    /// offers to stay assigned, which is accepted when the user has services while unregistered.
    fn deregister(&self, sets: &[u32], keep: bool) -> Decision {
        let before = &self.entry.registrations;
        if before.is_served() && !self.is_assigned() {
            return self.answer(Outcome::UNABLE_TO_COMPLY);
        }
        let all: Vec<u32> = before
            .sets
            .iter()
            .map(|registration| registration.set)
            .collect();
        let sets = if sets.is_empty() { &all } else { sets };
        let kept = keep && has_unregistered_services(&self.entry.subscriber);
        let mut registrations = before.clone();
        for &set in sets {
            registrations.update(SetRegistration {
                set,
                state: match kept {
                    true => RegistrationState::Unregistered,
                    false => RegistrationState::NotRegistered,
                },
                ..SetRegistration::default()
            });
        }
        if kept {
            registrations.server = Some(self.server());
        }
        let outcome = match keep && !kept {
            true => Outcome::SuccessServerNameNotStored,
            false => Outcome::SUCCESS,
        };
        self.write(registrations, self.named(Saa::from(outcome)), None)
    }

    /// AUTHENTICATION_FAILURE, AUTHENTICATION_TIMEOUT: the state stays, nothing is pending any
    /// more.
    fn end_authentication(&self, set: u32) -> Decision {
        let before = &self.entry.registrations;
        if before.is_served() && !self.is_assigned() {
            return self.answer(Outcome::UNABLE_TO_COMPLY);
        }
        let mut registrations = before.clone();
        let mut registration = before.set(set);
        registration.auth_pending = false;
        registrations.update(registration);
        let answer = self.named(Saa::from(Outcome::SUCCESS));
        self.write(registrations, answer, None)
    }

    /// A user is served by one S-CSCF; another may only take over when an I-CSCF has selected it
    /// (TS 29.228 6.1.2.1, TS 23.380 4.3). While nothing but an authentication is pending, the last
    /// one wins.
    fn refuse_other_server(&self) -> Option<Decision> {
        let registrations = &self.entry.registrations;
        let server = registrations.server.as_ref()?;
        let mut sets = registrations.sets.iter();
        let in_use = sets.any(|set| set.state != RegistrationState::NotRegistered);
        let other = server.name != self.sar.server_name;
        (in_use && other && !registrations.reassignment_pending).then(|| {
            let answer = Saa {
                server_name: Some(server.name.clone()),
                ..Saa::from(Outcome::IdentityAlreadyRegistered)
            };
            Decision::answer(Answer::ServerAssignment(answer))
        })
    }

    fn is_assigned(&self) -> bool {
        assigned(&self.entry.registrations) == Some(&self.sar.server_name)
    }

    fn server(&self) -> AssignedServer {
        AssignedServer {
            name: self.sar.server_name.clone(),
            host: self.origin.host.clone(),
            realm: self.origin.realm.clone(),
        }
    }

    /// Assigns this S-CSCF, then gives the profile. The one that had the user before is told.
    fn assign(&self, registration: SetRegistration, set: u32) -> Decision {
        let before = &self.entry.registrations;
        let mut registrations = before.clone();
        registrations.update(registration);
        registrations.server = Some(self.server());
        registrations.reassignment_pending = false;
        let previous = before.server.as_ref().filter(|_| before.is_served());
        let notify = previous
            .filter(|previous| previous.name != self.sar.server_name)
            .map(|previous| self.tell_previous(previous));
        let mut answer = self.named(Saa::from(Outcome::SUCCESS));
        if !self.sar.user_data_already_available {
            answer = self.with_profile(answer, set);
        }
        self.write(registrations, answer, notify)
    }

    /// RTR with NEW_SERVER_ASSIGNED, TS 29.228 6.1.3.
    fn tell_previous(&self, previous: &AssignedServer) -> (Origin, Request) {
        let destination = Origin {
            host: previous.host.clone(),
            realm: previous.realm.clone(),
        };
        let request = Request::RegistrationTermination(Rtr {
            user_name: self.entry.subscriber.impi.to_string(),
            associated_identities: Vec::new(),
            public_identities: Vec::new(),
            deregistration_reason: DeregistrationReason {
                code: ReasonCode::NewServerAssigned,
                info: None,
            },
            supported_features: Vec::new(),
        });
        (destination, request)
    }

    /// Writes where something changes, and forgets the S-CSCF that serves nothing any more.
    fn write(
        &self,
        mut registrations: Registrations,
        answer: Saa,
        notify: Option<(Origin, Request)>,
    ) -> Decision {
        if !registrations.is_served() {
            registrations.server = None;
            registrations.reassignment_pending = false;
        }
        let answer = Answer::ServerAssignment(answer);
        if registrations == self.entry.registrations {
            return Decision::answer(answer);
        }
        Decision::write(registrations, answer, notify)
    }

    fn answer(&self, outcome: Outcome) -> Decision {
        Decision::answer(Answer::ServerAssignment(self.named(Saa::from(outcome))))
    }

    fn named(&self, answer: Saa) -> Saa {
        let features = &self.sar.supported_features;
        Saa {
            user_name: Some(self.entry.subscriber.impi.to_string()),
            supported_features: match features.is_empty() {
                true => Vec::new(),
                false => vec![SupportedFeatures::list1(super::FEATURES)],
            },
            ..answer
        }
    }

    fn with_profile(&self, answer: Saa, set: u32) -> Saa {
        let subscriber = &self.entry.subscriber;
        Saa {
            user_data: Some(user_data(subscriber, set, &self.sar.supported_features)),
            charging_information: charging_information(&subscriber.charging),
            ..self.named(answer)
        }
    }

    /// What is kept for restoration, for an S-CSCF that knows of it.
    fn restoration_info(
        &self,
        registration: &SetRegistration,
    ) -> Option<diameter::cx::ScscfRestorationInfo> {
        let knows = has_feature(
            &self.sar.supported_features,
            SupportedFeatures::IMS_RESTORATION_IND,
        );
        let text = registration.restoration.as_deref().filter(|_| knows)?;
        restoration::read(text)
    }
}
