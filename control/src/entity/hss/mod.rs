//! HSS: the home subscriber server of the Cx interface, TS 29.228.
//!
//! A request is answered in three steps: the subscriber is read from the store, a pure function
//! decides by the clauses of TS 29.228 (`Decision`), and what it changes is durable before the
//! answer leaves. Registrations are written on condition that nobody else has changed them since
//! they were read; on a conflict the request is decided again. So any number of requests, and any
//! number of HSS instances on one store, may run at once.

mod administration;
mod assignment;
mod authentication;
mod authorization;
mod location;
mod profile;
mod restoration;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use base::{Entropy, Pii};
use diameter::cx::{self, Answer, Outcome, Request, SupportedFeatures};
use diameter::{Origin, ResultCode};
use tracing::{error, warn};

use self::administration::Administration;
use self::authentication::Vectors;
use crate::auth::Sqn;
use crate::store::{self, Entry, Impi, Impu, Operation, Refusal, Registrations};

/// The HSS.
pub struct Hss {
    config: Config,
    jobs: HashMap<u64, Job>,
    next_job: u64,
}

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The home network: a user may always register there.
    pub home: String,
    /// Most authentication vectors in one answer.
    pub vectors_max: u32,
}

/// Vectors an S-CSCF is given at once where the operator says nothing: it uses one a registration,
/// and those it keeps grow stale.
pub const VECTORS_MAX: u32 = 3;

/// Something that happens to the HSS.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, a request at a time")]
pub enum Event {
    /// A Cx request arrived.
    Request {
        /// Under which it is answered.
        token: u64,
        /// The client: an S-CSCF will be sent requests there.
        origin: Origin,
        /// UAR, SAR, LIR or MAR.
        request: Request,
    },
    /// The store has an outcome.
    Stored {
        /// Of the operation with this id.
        id: u64,
        /// The outcome.
        outcome: store::Outcome,
    },
    /// An S-CSCF answered a request of the HSS.
    Answered {
        /// The answer.
        answer: Answer,
    },
    /// The operator wants something of the store; what S-CSCFs must know of it they are told.
    Administer {
        /// Under which the outcome is given.
        token: u64,
        /// The operation.
        operation: Operation,
    },
    /// The operator ends a user's registrations, TS 29.228 6.1.3.
    Deregister {
        /// Under which the outcome is given.
        token: u64,
        /// Whose.
        impi: Impi,
        /// Text for the user.
        info: Option<String>,
    },
}

/// Something the HSS wants done.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, a request at a time")]
pub enum Action {
    /// Execute this; [`Event::Stored`] with the same id must follow.
    Store {
        /// Dealt by the HSS.
        id: u64,
        /// The operation.
        operation: Operation,
    },
    /// Answer the request of this token.
    Answer {
        /// Given with the request.
        token: u64,
        /// The answer.
        answer: Answer,
    },
    /// Send an RTR or PPR.
    Request {
        /// The S-CSCF.
        destination: Origin,
        /// The request.
        request: Request,
    },
    /// What the operator asked for is done, or not.
    Administered {
        /// Given with the request.
        token: u64,
        /// The outcome.
        outcome: store::Outcome,
    },
}

/// What the HSS makes of a request, given the subscriber's data.
#[derive(Debug)]
enum Decision {
    /// Answer; nothing changes.
    Answer(Box<Answer>),
    /// Another subscriber may own this identity: the answer depends on whether there is one.
    AskOwner(Impu),
    /// Write these registrations, then answer.
    Write(Box<Write>),
    /// Have sequence numbers dealt, write registrations if any, then answer with vectors.
    Deal(Box<Vectors>, Option<Registrations>),
}

impl Decision {
    fn answer(answer: Answer) -> Self {
        Decision::Answer(Box::new(answer))
    }

    fn write(
        registrations: Registrations,
        answer: Answer,
        notify: Option<(Origin, Request)>,
    ) -> Self {
        Decision::Write(Box::new(Write {
            registrations,
            answer,
            notify,
        }))
    }
}

/// A change of registrations and what follows from it.
#[derive(Debug)]
struct Write {
    registrations: Registrations,
    answer: Answer,
    /// A request to the S-CSCF that has lost the user.
    notify: Option<(Origin, Request)>,
}

/// Something waiting for the store.
enum Job {
    Cx(Box<CxJob>),
    Administration(Box<Administration>),
}

struct CxJob {
    token: u64,
    origin: Origin,
    request: Request,
    attempt: u8,
    step: Step,
}

enum Step {
    Reading,
    AskingOwner,
    Writing(Box<Write>),
    Dealing {
        vectors: Box<Vectors>,
        written: bool,
        first: Option<Sqn>,
    },
}

/// Most requests waiting for the store: as many as its queue takes.
pub const JOBS_MAX: usize = store::QUEUE_MAX / 2;

/// How often a request is decided: beyond this somebody changes the same user's registrations all
/// the time.
const ATTEMPTS_MAX: u8 = 5;

/// Store operations of one job that are outstanding at once; the low bits of an id say which.
const PARTS: u64 = 2;
const PART_MAIN: u64 = 0;
const PART_SQN: u64 = 1;

// Every job has room in the store's queue for all its operations.
const _: () = assert!(JOBS_MAX as u64 * PARTS <= store::QUEUE_MAX as u64);

/// The features of TS 29.229 7.1.1 that this HSS has.
const FEATURES: u32 = SupportedFeatures::SIFC | SupportedFeatures::IMS_RESTORATION_IND;

impl Hss {
    /// An HSS with nothing under way.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            jobs: HashMap::new(),
            next_job: 0,
        }
    }

    /// Requests and administrative acts that wait for the store.
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Handles an event; what is to be done is appended to `actions`. `entropy` gives RAND.
    pub fn handle(&mut self, event: Event, entropy: &mut Entropy, actions: &mut Vec<Action>) {
        match event {
            Event::Request {
                token,
                origin,
                request,
            } => self.handle_request(token, origin, request, actions),
            Event::Stored { id, outcome } => self.handle_stored(id, outcome, entropy, actions),
            Event::Answered { answer } => administration::note_answer(&answer),
            Event::Administer { token, operation } => {
                self.start_administration(token, operation, actions);
            }
            Event::Deregister { token, impi, info } => {
                self.start_deregistration(token, impi, info, actions);
            }
        }
    }

    fn handle_request(
        &mut self,
        token: u64,
        origin: Origin,
        request: Request,
        actions: &mut Vec<Action>,
    ) {
        let refusal = if self.jobs.len() >= JOBS_MAX {
            Some(request.answer(Outcome::Base(ResultCode::TOO_BUSY)))
        } else {
            refuse_features(&request)
        };
        if let Some(answer) = refusal {
            actions.push(Action::Answer { token, answer });
            return;
        }
        let job = CxJob {
            token,
            origin,
            request,
            attempt: 0,
            step: Step::Reading,
        };
        self.read(Box::new(job), actions);
    }

    /// First step: the subscriber is read.
    fn read(&mut self, job: Box<CxJob>, actions: &mut Vec<Action>) {
        let operation = match subject(&job.request) {
            Ok(operation) => operation,
            Err(outcome) => {
                let answer = job.request.answer(outcome);
                actions.push(Action::Answer {
                    token: job.token,
                    answer,
                });
                return;
            }
        };
        let id = self.keep(Job::Cx(job));
        actions.push(Action::Store { id, operation });
    }

    /// Keeps a job and deals the id of its main operation.
    fn keep(&mut self, job: Job) -> u64 {
        let number = self.next_job;
        self.next_job += 1;
        self.jobs.insert(number, job);
        number * PARTS + PART_MAIN
    }

    fn handle_stored(
        &mut self,
        id: u64,
        outcome: store::Outcome,
        entropy: &mut Entropy,
        actions: &mut Vec<Action>,
    ) {
        if let store::Outcome::Failed(failure) = &outcome {
            error!(%failure, "the subscriber store failed");
        }
        // A job that has ended early leaves an outcome behind: the numbers it was dealt are not
        // used.
        match self.jobs.remove(&(id / PARTS)) {
            Some(Job::Cx(job)) => self.resume(job, id, outcome, entropy, actions),
            Some(Job::Administration(step)) => self.resume_administration(*step, outcome, actions),
            None => {}
        }
    }

    fn resume(
        &mut self,
        mut job: Box<CxJob>,
        id: u64,
        outcome: store::Outcome,
        entropy: &mut Entropy,
        actions: &mut Vec<Action>,
    ) {
        match std::mem::replace(&mut job.step, Step::Reading) {
            Step::Reading => match outcome {
                store::Outcome::Found(entry) => self.decide(job, &entry, actions),
                other => answer_failure(&job, &other, actions),
            },
            Step::AskingOwner => {
                // TS 29.228 6.1.1.1 steps 1 and 2: an identity nobody has, or one that is
                // another's.
                let answer = match &outcome {
                    store::Outcome::Found(_) => job.request.answer(Outcome::IdentitiesDontMatch),
                    other => job.request.answer(failure(other)),
                };
                actions.push(Action::Answer {
                    token: job.token,
                    answer,
                });
            }
            Step::Writing(write) => match outcome {
                store::Outcome::Registered(_) => {
                    actions.push(Action::Answer {
                        token: job.token,
                        answer: write.answer,
                    });
                    if let Some((destination, request)) = write.notify {
                        actions.push(Action::Request {
                            destination,
                            request,
                        });
                    }
                }
                other => self.retry(job, &other, actions),
            },
            Step::Dealing {
                vectors,
                mut written,
                mut first,
            } => {
                match (id % PARTS, outcome) {
                    (PART_MAIN, store::Outcome::Registered(_)) => written = true,
                    (PART_SQN, store::Outcome::Sqn(sqn)) => first = Some(sqn),
                    (_, other) => {
                        self.retry(job, &other, actions);
                        return;
                    }
                }
                if let (true, Some(first)) = (written, first) {
                    actions.push(Action::Answer {
                        token: job.token,
                        answer: vectors.answer(first, entropy),
                    });
                    return;
                }
                job.step = Step::Dealing {
                    vectors,
                    written,
                    first,
                };
                self.jobs.insert(id / PARTS, Job::Cx(job));
            }
        }
    }

    /// Decides again when the registrations were changed by another in between.
    fn retry(&mut self, mut job: Box<CxJob>, outcome: &store::Outcome, actions: &mut Vec<Action>) {
        job.attempt += 1;
        match outcome {
            store::Outcome::Refused(Refusal::Conflict) if job.attempt < ATTEMPTS_MAX => {
                self.read(job, actions);
            }
            other => answer_failure(&job, other, actions),
        }
    }

    /// Second step: the clauses of TS 29.228 on the subscriber's data.
    fn decide(&mut self, mut job: Box<CxJob>, entry: &Entry, actions: &mut Vec<Action>) {
        let decision = match &job.request {
            Request::UserAuthorization(uar) => authorization::decide(&self.config, uar, entry),
            Request::ServerAssignment(sar) => assignment::decide(sar, &job.origin, entry),
            Request::LocationInfo(lir) => location::decide(lir, entry),
            Request::MultimediaAuth(mar) => {
                authentication::decide(&self.config, mar, &job.origin, entry)
            }
            request => Decision::answer(request.answer(UNSUPPORTED)),
        };
        let impi = entry.subscriber.impi.clone();
        match decision {
            Decision::Answer(answer) => actions.push(Action::Answer {
                token: job.token,
                answer: *answer,
            }),
            Decision::AskOwner(impu) => {
                job.step = Step::AskingOwner;
                let id = self.keep(Job::Cx(job));
                let operation = Operation::Find(impu);
                actions.push(Action::Store { id, operation });
            }
            Decision::Write(write) => {
                let registrations = write.registrations.clone();
                job.step = Step::Writing(write);
                let id = self.keep(Job::Cx(job));
                actions.push(Action::Store {
                    id,
                    operation: Operation::Register {
                        impi,
                        registrations,
                    },
                });
            }
            Decision::Deal(vectors, registrations) => {
                let operation = vectors.operation(impi.clone());
                job.step = Step::Dealing {
                    vectors,
                    written: registrations.is_none(),
                    first: None,
                };
                let id = self.keep(Job::Cx(job));
                // Both go at once, so that they share a commit.
                if let Some(registrations) = registrations {
                    actions.push(Action::Store {
                        id,
                        operation: Operation::Register {
                            impi,
                            registrations,
                        },
                    });
                }
                actions.push(Action::Store {
                    id: id + PART_SQN,
                    operation,
                });
            }
        }
    }
}

/// Requests that only the HSS sends.
const UNSUPPORTED: Outcome = Outcome::Base(ResultCode::COMMAND_UNSUPPORTED);

/// Where the data stand that a request is about. Identities that are none belong to nobody.
fn subject(request: &Request) -> Result<Operation, Outcome> {
    let by_impi = |name: &str| {
        Impi::parse(name)
            .map(Operation::Get)
            .map_err(|_| Outcome::UserUnknown)
    };
    let by_impu = |identity: &str| {
        Impu::parse(identity)
            .map(Operation::Find)
            .map_err(|_| Outcome::UserUnknown)
    };
    match request {
        Request::UserAuthorization(uar) => by_impi(&uar.user_name),
        Request::MultimediaAuth(mar) => by_impi(&mar.user_name),
        Request::LocationInfo(lir) => by_impu(&lir.public_identity),
        Request::ServerAssignment(sar) => match (&sar.user_name, sar.public_identities.first()) {
            (Some(name), _) => by_impi(name),
            (None, Some(identity)) => by_impu(identity),
            (None, None) => Err(Outcome::Base(ResultCode::MISSING_AVP)),
        },
        Request::RegistrationTermination(_) | Request::PushProfile(_) => Err(UNSUPPORTED),
    }
}

/// A refusal when the client insists on a feature that this HSS does not have, TS 29.229 7.2.1.
fn refuse_features(request: &Request) -> Option<Answer> {
    let insisted = |feature: &SupportedFeatures| {
        feature.required && (feature.list_id != 1 || feature.list & !FEATURES != 0)
    };
    supported_features(request).iter().any(insisted).then(|| {
        let mut answer = request.answer(Outcome::FeatureUnsupported);
        declare(&mut answer, vec![SupportedFeatures::list1(FEATURES)]);
        answer
    })
}

fn supported_features(request: &Request) -> &[SupportedFeatures] {
    match request {
        Request::UserAuthorization(uar) => &uar.supported_features,
        Request::ServerAssignment(sar) => &sar.supported_features,
        Request::LocationInfo(lir) => &lir.supported_features,
        Request::MultimediaAuth(mar) => &mar.supported_features,
        Request::RegistrationTermination(rtr) => &rtr.supported_features,
        Request::PushProfile(ppr) => &ppr.supported_features,
    }
}

fn declare(answer: &mut Answer, features: Vec<SupportedFeatures>) {
    match answer {
        Answer::UserAuthorization(uaa) => uaa.supported_features = features,
        Answer::ServerAssignment(saa) => saa.supported_features = features,
        Answer::LocationInfo(lia) => lia.supported_features = features,
        Answer::MultimediaAuth(maa) => maa.supported_features = features,
        Answer::RegistrationTermination(rta) => rta.supported_features = features,
        Answer::PushProfile(ppa) => ppa.supported_features = features,
    }
}

/// True when the client has this feature of list 1, TS 29.229 7.1.1.
fn has_feature(features: &[SupportedFeatures], bit: u32) -> bool {
    features
        .iter()
        .any(|feature| feature.list_id == 1 && feature.list & bit != 0)
}

fn answer_failure(job: &CxJob, outcome: &store::Outcome, actions: &mut Vec<Action>) {
    actions.push(Action::Answer {
        token: job.token,
        answer: job.request.answer(failure(outcome)),
    });
}

/// The Cx result of a store outcome that is no success.
fn failure(outcome: &store::Outcome) -> Outcome {
    match outcome {
        store::Outcome::Refused(Refusal::NotFound) => Outcome::UserUnknown,
        store::Outcome::Refused(Refusal::Busy | Refusal::Conflict) => {
            Outcome::Base(ResultCode::TOO_BUSY)
        }
        store::Outcome::Refused(Refusal::NoAka) => Outcome::AuthSchemeNotSupported,
        store::Outcome::Refused(Refusal::SqnExhausted) => {
            warn!("a subscriber's sequence numbers are used up: change K and OPc");
            Outcome::UNABLE_TO_COMPLY
        }
        _ => Outcome::UNABLE_TO_COMPLY,
    }
}

/// The subscriber's record of the identity a request names, or what to do when it has none.
fn own_identity<'a>(
    entry: &'a Entry,
    identity: &str,
    refuse: impl FnOnce(Outcome) -> Answer,
) -> Result<&'a store::PublicIdentity, Decision> {
    let Ok(impu) = Impu::parse(identity) else {
        return Err(Decision::answer(refuse(Outcome::UserUnknown)));
    };
    match entry.subscriber.public_identity(&impu) {
        Some(identity) => Ok(identity),
        None => Err(Decision::AskOwner(impu)),
    }
}

/// Server-Capabilities, TS 29.228 6.7; none when any S-CSCF will do.
fn capabilities(entry: &Entry) -> Option<cx::ServerCapabilities> {
    let capabilities = &entry.subscriber.capabilities;
    let any = *capabilities == store::Capabilities::default();
    (!any).then(|| cx::ServerCapabilities {
        mandatory: capabilities.mandatory.clone(),
        optional: capabilities.optional.clone(),
        server_names: capabilities.server_names.clone(),
    })
}

/// The name of the S-CSCF that serves the subscription, if one does.
fn assigned(registrations: &Registrations) -> Option<&str> {
    let server = registrations.server.as_ref()?;
    registrations.is_served().then_some(server.name.as_str())
}

/// For a log line.
fn pii(entry: &Entry) -> Pii<&Impi> {
    Pii(&entry.subscriber.impi)
}
