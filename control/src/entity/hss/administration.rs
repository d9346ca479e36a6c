//! What the operator does, and what S-CSCFs are told of it: RTR (TS 29.228 6.1.3) and PPR (6.2.2).

use diameter::Origin;
use diameter::cx::{
    Answer, ChargingInformation, DeregistrationReason, Ppr, ReasonCode, Request, Rtr,
};
use tracing::warn;

use super::authentication::digest_item;
use super::profile::{charging_information, user_data};
use super::{ATTEMPTS_MAX, Action, Hss, JOBS_MAX, Job};
use crate::store::{
    AssignedServer, Entry, Impi, Operation, Outcome, PublicIdentity, Refusal, RegistrationState,
    Registrations, Subscriber,
};

/// An administrative act that waits for the store.
pub struct Administration {
    token: u64,
    step: Step,
}

enum Step {
    /// The operation itself; for a subscriber that is stored, its new record.
    Executing(Option<Box<Subscriber>>),
    /// Registrations are read to be ended.
    Reading(Ending),
    /// Registrations without the sets that end are being written.
    Writing(Ending, Vec<(Origin, Request)>),
}

/// Which registrations end, and why.
struct Ending {
    impi: Impi,
    /// The sets; none means all.
    sets: Option<Vec<u32>>,
    requests: Vec<(Origin, Request)>,
    info: Option<String>,
    /// What the operator is told at the end; none means what the store says of the registrations.
    outcome: Option<Outcome>,
    attempt: u8,
}

impl Hss {
    pub(super) fn start_administration(
        &mut self,
        token: u64,
        operation: Operation,
        actions: &mut Vec<Action>,
    ) {
        if self.refuse_when_full(token, actions) {
            return;
        }
        let subscriber = match &operation {
            Operation::Put { subscriber, .. } => Some(subscriber.clone()),
            _ => None,
        };
        let step = Step::Executing(subscriber);
        let id = self.keep(Job::Administration(Box::new(Administration {
            token,
            step,
        })));
        actions.push(Action::Store { id, operation });
    }

    pub(super) fn start_deregistration(
        &mut self,
        token: u64,
        impi: Impi,
        info: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        if self.refuse_when_full(token, actions) {
            return;
        }
        let ending = Ending {
            impi,
            sets: None,
            requests: Vec::new(),
            info,
            outcome: None,
            attempt: 0,
        };
        self.read_registrations(token, ending, actions);
    }

    fn refuse_when_full(&self, token: u64, actions: &mut Vec<Action>) -> bool {
        let full = self.jobs.len() >= JOBS_MAX;
        if full {
            let outcome = Outcome::Refused(Refusal::Busy);
            actions.push(Action::Administered { token, outcome });
        }
        full
    }

    fn read_registrations(&mut self, token: u64, ending: Ending, actions: &mut Vec<Action>) {
        let operation = Operation::Get(ending.impi.clone());
        let step = Step::Reading(ending);
        let id = self.keep(Job::Administration(Box::new(Administration {
            token,
            step,
        })));
        actions.push(Action::Store { id, operation });
    }

    pub(super) fn resume_administration(
        &mut self,
        Administration { token, step }: Administration,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        match step {
            Step::Executing(subscriber) => {
                self.note_change(&outcome, subscriber.as_deref());
                self.executed(token, subscriber, outcome, actions);
            }
            Step::Reading(ending) => match outcome {
                Outcome::Found(entry) => self.end(token, ending, &entry, actions),
                other => finish(token, ending, other, actions),
            },
            Step::Writing(mut ending, requests) => match outcome {
                Outcome::Refused(Refusal::Conflict) if ending.attempt < ATTEMPTS_MAX => {
                    ending.attempt += 1;
                    self.read_registrations(token, ending, actions);
                }
                Outcome::Registered(registrations) => {
                    self.records.registered(&ending.impi, registrations.clone());
                    ending.requests.extend(requests);
                    let outcome = Outcome::Registered(registrations);
                    finish(token, ending, outcome, actions);
                }
                other => finish(token, ending, other, actions),
            },
        }
    }

    /// The operation has been executed: which records does it make void?
    fn note_change(&mut self, outcome: &Outcome, subscriber: Option<&Subscriber>) {
        let changed = match outcome {
            Outcome::Stored { .. } => subscriber.map(|subscriber| &subscriber.impi),
            Outcome::Removed(entry) => Some(&entry.subscriber.impi),
            Outcome::Imported { replaced: 0, .. }
            | Outcome::Found(_)
            | Outcome::Page { .. }
            | Outcome::Count(_)
            | Outcome::Refused(_) => return,
            Outcome::Imported { .. }
            | Outcome::Sqn(_)
            | Outcome::Registered(_)
            | Outcome::Failed(_) => None,
        };
        match changed {
            Some(impi) => self.records.forget(impi.as_str()),
            None => self.records.forget_all(),
        }
    }

    /// The operation has been executed: what does it mean for an S-CSCF that serves the user?
    fn executed(
        &mut self,
        token: u64,
        subscriber: Option<Box<Subscriber>>,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        if let (
            Some(subscriber),
            Outcome::Stored {
                previous: Some(previous),
            },
        ) = (&subscriber, &outcome)
        {
            let change = Change::new(previous, subscriber);
            if !change.ended.is_empty() {
                let ending = Ending {
                    impi: subscriber.impi.clone(),
                    sets: Some(change.ended),
                    requests: change.requests,
                    info: None,
                    outcome: Some(outcome),
                    attempt: 0,
                };
                self.read_registrations(token, ending, actions);
                return;
            }
            send(change.requests, actions);
        }
        if let Outcome::Removed(entry) = &outcome {
            send(terminate(entry, None, None).into_iter().collect(), actions);
        }
        actions.push(Action::Administered { token, outcome });
    }

    /// Writes the registrations without the sets that end.
    fn end(&mut self, token: u64, ending: Ending, entry: &Entry, actions: &mut Vec<Action>) {
        let before = &entry.registrations;
        let mut registrations = before.clone();
        match &ending.sets {
            Some(sets) => registrations.sets.retain(|set| !sets.contains(&set.set)),
            None => registrations.sets.clear(),
        }
        if !registrations.is_served() {
            registrations.server = None;
            registrations.reassignment_pending = false;
        }
        if registrations == *before {
            finish(token, ending, Outcome::Registered(registrations), actions);
            return;
        }
        // The sets of a replaced record are told by what they were; a plain de-registration is told
        // here.
        let requests = match ending.sets {
            Some(_) => Vec::new(),
            None => terminate(entry, None, ending.info.clone())
                .into_iter()
                .collect(),
        };
        let operation = Operation::Register {
            impi: ending.impi.clone(),
            registrations,
        };
        let step = Step::Writing(ending, requests);
        let id = self.keep(Job::Administration(Box::new(Administration {
            token,
            step,
        })));
        actions.push(Action::Store { id, operation });
    }
}

/// What a new record changes for the S-CSCF.
struct Change {
    /// Sets that lose identities and so end.
    ended: Vec<u32>,
    requests: Vec<(Origin, Request)>,
}

impl Change {
    fn new(previous: &Entry, subscriber: &Subscriber) -> Self {
        let mut change = Change {
            ended: Vec::new(),
            requests: Vec::new(),
        };
        let Some(destination) = destination(&previous.registrations) else {
            return change;
        };
        let old = &previous.subscriber;
        let mut news = News::new(old, subscriber);
        let served = previous.registrations.sets.iter();
        for set in served.filter(|set| set.state != RegistrationState::NotRegistered) {
            if loses_identities(old, subscriber, set.set) {
                change.ended.push(set.set);
                continue;
            }
            let before = user_data(old, set.set, &[]);
            let after = user_data(subscriber, set.set, &[]);
            let changed = (before != after).then_some(after);
            change.requests.extend(
                news.push(subscriber, changed)
                    .map(|request| (destination.clone(), request)),
            );
        }
        if !change.ended.is_empty() {
            let ended = change.ended.clone();
            change
                .requests
                .extend(terminate(previous, Some(&ended), None));
        }
        change
    }
}

/// Changes that concern the whole subscription: they go with the first PPR.
struct News<'a> {
    charging: Option<ChargingInformation>,
    digest: Option<&'a crate::auth::DigestHash>,
}

impl<'a> News<'a> {
    fn new(old: &Subscriber, new: &'a Subscriber) -> Self {
        Self {
            charging: (old.charging != new.charging)
                .then(|| charging_information(&new.charging).unwrap_or_default()),
            digest: new.digest.as_ref().filter(|_| old.digest != new.digest),
        }
    }

    /// PPR with a changed profile and what is news, TS 29.228 6.2.2; none when there is nothing to
    /// say.
    fn push(&mut self, subscriber: &Subscriber, user_data: Option<Vec<u8>>) -> Option<Request> {
        let ppr = Ppr {
            user_name: subscriber.impi.to_string(),
            user_data,
            charging_information: self.charging.take(),
            sip_auth_data_item: self.digest.take().map(digest_item),
            supported_features: Vec::new(),
        };
        let says_something = ppr.user_data.is_some()
            || ppr.charging_information.is_some()
            || ppr.sip_auth_data_item.is_some();
        says_something.then_some(Request::PushProfile(ppr))
    }
}

fn loses_identities(old: &Subscriber, new: &Subscriber, set: u32) -> bool {
    let kept = |identity: &PublicIdentity| {
        new.public_identity(&identity.uri)
            .is_some_and(|identity| identity.implicit_set == set)
    };
    !old.implicit_set(set).all(kept)
}

/// RTR for the identities of these sets, or for all of the user, TS 29.228 6.1.3.1; none when no
/// S-CSCF serves it.
fn terminate(
    entry: &Entry,
    sets: Option<&[u32]>,
    info: Option<String>,
) -> Option<(Origin, Request)> {
    let destination = destination(&entry.registrations)?;
    let sets = sets.unwrap_or_default().iter();
    let identities = sets.flat_map(|&set| entry.subscriber.implicit_set(set));
    let request = Request::RegistrationTermination(Rtr {
        user_name: entry.subscriber.impi.to_string(),
        associated_identities: Vec::new(),
        public_identities: identities
            .map(|identity| identity.uri.to_string())
            .collect(),
        deregistration_reason: DeregistrationReason {
            code: ReasonCode::PermanentTermination,
            info,
        },
        supported_features: Vec::new(),
    });
    Some((destination, request))
}

/// The S-CSCF that has a profile of this user.
fn destination(registrations: &Registrations) -> Option<Origin> {
    let AssignedServer { host, realm, .. } = registrations.server.as_ref()?;
    let mut sets = registrations.sets.iter();
    sets.any(|set| set.state != RegistrationState::NotRegistered)
        .then(|| Origin {
            host: host.clone(),
            realm: realm.clone(),
        })
}

fn finish(token: u64, ending: Ending, outcome: Outcome, actions: &mut Vec<Action>) {
    send(ending.requests, actions);
    let outcome = ending.outcome.unwrap_or(outcome);
    actions.push(Action::Administered { token, outcome });
}

fn send(requests: Vec<(Origin, Request)>, actions: &mut Vec<Action>) {
    for (destination, request) in requests {
        actions.push(Action::Request {
            destination,
            request,
        });
    }
}

/// An answer to RTR or PPR changes nothing here: what it is about is written already. A refusal is
/// worth a line.
pub(super) fn note_answer(answer: &Answer) {
    if !answer.outcome().is_success() {
        warn!(
            result = answer.outcome().code(),
            "an S-CSCF refused RTR or PPR"
        );
    }
}
