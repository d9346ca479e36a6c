//! HSS: the home subscriber server of the Cx interface, TS 29.228.
//!
//! A request is answered in three steps: the subscriber's record is read from the store unless it
//! is in memory (`Records`), a pure function decides by the clauses of TS 29.228 (`Decision`),
//! and what it changes is durable before the answer leaves. Registrations are written on condition
//! that nobody else has changed them since they were read; on a conflict the request is decided
//! again. So any number of requests may run at once. The store is this HSS's alone: what it
//! acknowledges is what the records say.

mod administration;
mod assignment;
mod authentication;
mod authorization;
mod location;
mod profile;
mod records;
mod restoration;

#[cfg(test)]
mod tests;

use base::{Entropy, IdMap, Pii};
use diameter::cx::{self, Answer, Outcome, Request, SupportedFeatures};
use diameter::{Origin, ResultCode};
use tracing::{error, warn};

use self::administration::Administration;
use self::authentication::Vectors;
use self::records::Records;
use crate::auth::Sqn;
use crate::store::{self, Entry, Impi, Impu, Operation, Refusal, Registrations};

/// The HSS.
pub struct Hss {
    config: Config,
    records: Records,
    jobs: IdMap<u64, Job>,
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
            then: Then { answer, notify },
        }))
    }
}

/// A change of registrations and what follows from it.
#[derive(Debug)]
struct Write {
    registrations: Registrations,
    then: Then,
}

/// What follows when a change is durable.
#[derive(Debug)]
struct Then {
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
    Writing {
        impi: Impi,
        then: Box<Then>,
    },
    Dealing {
        impi: Impi,
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
            records: Records::default(),
            jobs: IdMap::default(),
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
            } => self.handle_request(token, origin, request, entropy, actions),
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
        entropy: &mut Entropy,
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
        self.read(job, entropy, actions);
    }

    /// First step: the record in memory, or else the one of the store.
    fn read(&mut self, job: CxJob, entropy: &mut Entropy, actions: &mut Vec<Action>) {
        let subject = subject(&job.request);
        let known = match subject {
            Ok(Subject::Impi(name)) => self.records.get(name),
            Ok(Subject::Impu(identity)) => self.records.find(identity),
            Err(_) => None,
        };
        if let Some(entry) = known {
            let decision = decide(&self.config, &job, entry);
            let impi = entry.subscriber.impi.clone();
            return self.follow(job, impi, decision, entropy, actions);
        }
        match subject.and_then(Subject::operation) {
            Ok(operation) => {
                let id = self.keep(Job::Cx(Box::new(job)));
                actions.push(Action::Store { id, operation });
            }
            Err(outcome) => {
                let (token, answer) = (job.token, job.request.answer(outcome));
                actions.push(Action::Answer { token, answer });
            }
        }
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
            self.records.forget_all();
        }
        match self.jobs.remove(&(id / PARTS)) {
            Some(Job::Cx(job)) => self.resume(*job, id, outcome, entropy, actions),
            Some(Job::Administration(step)) => self.resume_administration(*step, outcome, actions),
            // A job that has ended early leaves an outcome behind: the numbers it was dealt are not
            // used, and nobody knows whose registrations were written.
            None if matches!(outcome, store::Outcome::Registered(_)) => self.records.forget_all(),
            None => {}
        }
    }

    fn resume(
        &mut self,
        mut job: CxJob,
        id: u64,
        outcome: store::Outcome,
        entropy: &mut Entropy,
        actions: &mut Vec<Action>,
    ) {
        match std::mem::replace(&mut job.step, Step::Reading) {
            Step::Reading => match outcome {
                store::Outcome::Found(entry) => {
                    let decision = decide(&self.config, &job, &entry);
                    let impi = entry.subscriber.impi.clone();
                    self.records.insert(entry);
                    self.follow(job, impi, decision, entropy, actions);
                }
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
            Step::Writing { impi, then } => match outcome {
                store::Outcome::Registered(registrations) => {
                    self.records.registered(&impi, registrations);
                    actions.push(Action::Answer {
                        token: job.token,
                        answer: then.answer,
                    });
                    if let Some((destination, request)) = then.notify {
                        actions.push(Action::Request {
                            destination,
                            request,
                        });
                    }
                }
                other => self.retry(job, &impi, &other, entropy, actions),
            },
            Step::Dealing {
                impi,
                vectors,
                mut written,
                mut first,
            } => {
                match (id % PARTS, outcome) {
                    (PART_MAIN, store::Outcome::Registered(registrations)) => {
                        self.records.registered(&impi, registrations);
                        written = true;
                    }
                    (PART_SQN, store::Outcome::Sqn(dealt)) => {
                        let (used, count) = (vectors.count(), vectors.block());
                        self.records.put_numbers(impi.as_str(), dealt, used, count);
                        first = Some(dealt);
                    }
                    (_, other) => return self.retry(job, &impi, &other, entropy, actions),
                }
                if let (true, Some(first)) = (written, first) {
                    actions.push(Action::Answer {
                        token: job.token,
                        answer: vectors.answer(first, entropy),
                    });
                    return;
                }
                job.step = Step::Dealing {
                    impi,
                    vectors,
                    written,
                    first,
                };
                self.jobs.insert(id / PARTS, Job::Cx(Box::new(job)));
            }
        }
    }

    /// Decides again when the registrations were changed by another in between.
    fn retry(
        &mut self,
        mut job: CxJob,
        impi: &Impi,
        outcome: &store::Outcome,
        entropy: &mut Entropy,
        actions: &mut Vec<Action>,
    ) {
        job.attempt += 1;
        self.records.forget(impi.as_str());
        match outcome {
            store::Outcome::Refused(Refusal::Conflict) if job.attempt < ATTEMPTS_MAX => {
                self.read(job, entropy, actions);
            }
            other => answer_failure(&job, other, actions),
        }
    }

    /// Third step: what was decided is done.
    fn follow(
        &mut self,
        mut job: CxJob,
        impi: Impi,
        decision: Decision,
        entropy: &mut Entropy,
        actions: &mut Vec<Action>,
    ) {
        match decision {
            Decision::Answer(answer) => actions.push(Action::Answer {
                token: job.token,
                answer: *answer,
            }),
            Decision::AskOwner(impu) => {
                job.step = Step::AskingOwner;
                let id = self.keep(Job::Cx(Box::new(job)));
                let operation = Operation::Find(impu);
                actions.push(Action::Store { id, operation });
            }
            Decision::Write(write) => {
                let Write {
                    registrations,
                    then,
                } = *write;
                job.step = Step::Writing {
                    impi: impi.clone(),
                    then: Box::new(then),
                };
                let id = self.keep(Job::Cx(Box::new(job)));
                let operation = Operation::Register {
                    impi,
                    registrations,
                };
                actions.push(Action::Store { id, operation });
            }
            Decision::Deal(vectors, registrations) => {
                self.deal(job, impi, vectors, registrations, entropy, actions);
            }
        }
    }

    /// Vectors: with numbers of the block that was dealt last, or of a new one.
    fn deal(
        &mut self,
        mut job: CxJob,
        impi: Impi,
        vectors: Box<Vectors>,
        registrations: Option<Registrations>,
        entropy: &mut Entropy,
        actions: &mut Vec<Action>,
    ) {
        let first = if vectors.resynchronises() {
            self.records.forget_numbers(impi.as_str());
            None
        } else {
            self.records.take_numbers(impi.as_str(), vectors.count())
        };
        if let (Some(first), None) = (first, &registrations) {
            let (token, answer) = (job.token, vectors.answer(first, entropy));
            return actions.push(Action::Answer { token, answer });
        }
        let dealing = first.is_none().then(|| vectors.operation(impi.clone()));
        job.step = Step::Dealing {
            impi: impi.clone(),
            vectors,
            written: registrations.is_none(),
            first,
        };
        let id = self.keep(Job::Cx(Box::new(job)));
        // Both go at once, so that they share a commit.
        if let Some(registrations) = registrations {
            let operation = Operation::Register {
                impi,
                registrations,
            };
            actions.push(Action::Store { id, operation });
        }
        if let Some(operation) = dealing {
            let id = id + PART_SQN;
            actions.push(Action::Store { id, operation });
        }
    }
}

/// Second step: the clauses of TS 29.228 on the subscriber's data.
fn decide(config: &Config, job: &CxJob, entry: &Entry) -> Decision {
    match &job.request {
        Request::UserAuthorization(uar) => authorization::decide(config, uar, entry),
        Request::ServerAssignment(sar) => assignment::decide(sar, &job.origin, entry),
        Request::LocationInfo(lir) => location::decide(lir, entry),
        Request::MultimediaAuth(mar) => authentication::decide(config, mar, &job.origin, entry),
        request => Decision::answer(request.answer(UNSUPPORTED)),
    }
}

/// Requests that only the HSS sends.
const UNSUPPORTED: Outcome = Outcome::Base(ResultCode::COMMAND_UNSUPPORTED);

/// Whom a request is about.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Impi(&'a str),
    Impu(&'a str),
}

impl Subject<'_> {
    /// Reads the record. Identities that are none belong to nobody.
    fn operation(self) -> Result<Operation, Outcome> {
        let operation = match self {
            Subject::Impi(name) => Impi::parse(name).map(Operation::Get),
            Subject::Impu(identity) => Impu::parse(identity).map(Operation::Find),
        };
        operation.map_err(|_| Outcome::UserUnknown)
    }
}

fn subject(request: &Request) -> Result<Subject<'_>, Outcome> {
    match request {
        Request::UserAuthorization(uar) => Ok(Subject::Impi(&uar.user_name)),
        Request::MultimediaAuth(mar) => Ok(Subject::Impi(&mar.user_name)),
        Request::LocationInfo(lir) => Ok(Subject::Impu(&lir.public_identity)),
        Request::ServerAssignment(sar) => match (&sar.user_name, sar.public_identities.first()) {
            (Some(name), _) => Ok(Subject::Impi(name)),
            (None, Some(identity)) => Ok(Subject::Impu(identity)),
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
    // As a rule it comes in canonical form.
    let mut own = entry.subscriber.impus.iter();
    if let Some(own) = own.find(|own| own.uri.as_str() == identity) {
        return Ok(own);
    }
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
