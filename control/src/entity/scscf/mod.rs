//! Serving-CSCF (TS 23.228 4.6.3, TS 24.229 5.4): registrar, and router of what its users send and
//! receive.

mod challenge;
mod reg_event;
mod register;
mod registrar;
mod restoration;
mod restore;
mod session;

use std::time::Duration;

use base::{IdMap, TimerId};
use diameter::ResultCode;
use diameter::cx::ReasonCode;
use diameter::cx::user_data::ImsSubscription;
use diameter::cx::{self, Answer, Outcome};
use sip::digest::Credentials;
use sip::transaction::ServerId;
use sip::{Message, Method};

use super::{Actions, Event};
use crate::config::Role;
use crate::proxy::{self, Proxy};
use crate::reginfo::ContactEvent;
use crate::stack::BranchId;
use challenge::Challenges;
use reg_event::{Notifier, SetEnd, SubscriptionId};
use register::Wishes;
use registrar::{Identity, Registrar, SetId};
use restoration::Lost;
use session::Routing;

/// Token of our URI in Service-Route: what comes by it is from a user of ours.
const ORIGINATING: &str = "orig";
/// Token of our URI in Record-Route.
const DIALOG: &str = "dialog";
/// How often challenges that were never answered are cleared away.
const CLEAR_CHALLENGES: Duration = Duration::from_secs(60);

/// Timers of the S-CSCF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Timer C of a branch (RFC 3261 16.8).
    C(BranchId),
    /// A contact of a set expires.
    Contact(SetId),
    /// A subscription to registrations expires, or has something to tell.
    Subscription(SubscriptionId),
    /// Challenges may have expired (reg-await-auth, TS 24.229 5.4.1.2.1).
    Challenges,
}

/// The entity.
#[derive(Debug)]
pub struct Scscf {
    /// Our name, as the HSS stores it.
    name: String,
    proxy: Proxy<Routing>,
    registrar: Registrar,
    notifier: Notifier,
    challenges: Challenges,
    registering: IdMap<u64, Registering>,
    lost: Lost,
    next_token: u64,
    clearing: Option<TimerId>,
}

/// A REGISTER that waits for the HSS.
#[derive(Debug)]
struct Registering {
    server: ServerId,
    request: Message,
    identity: String,
    impi: String,
    credentials: Option<Credentials>,
    wishes: Wishes,
    step: Step,
}

/// What it waits for.
#[derive(Debug)]
enum Step {
    /// A vector, for a challenge.
    Vector { stale: bool },
    /// The assignment; there was a profile when it was asked for.
    Assignment { has_profile: bool },
    /// The end of the assignment.
    Ending,
}

impl Scscf {
    /// An S-CSCF of this name with no users.
    pub fn new(name: String) -> Self {
        Self {
            name,
            proxy: Proxy::new(Role::Scscf),
            registrar: Registrar::default(),
            notifier: Notifier::default(),
            challenges: Challenges::default(),
            registering: IdMap::default(),
            lost: Lost::default(),
            next_token: 0,
            clearing: None,
        }
    }

    /// Public identities registered.
    pub fn registrations(&self) -> usize {
        self.registrar.identities()
    }

    /// Contacts registered.
    pub fn contacts(&self) -> usize {
        self.registrar.contacts()
    }

    /// Subscriptions to registrations.
    pub fn subscriptions(&self) -> usize {
        self.notifier.len()
    }

    /// Requests under way.
    pub fn pending(&self) -> usize {
        self.proxy.len() + self.registering.len() + self.lost.len()
    }

    /// Lets something happen.
    pub fn handle(&mut self, event: Event, actions: &mut Actions<'_>) {
        match event {
            Event::Request {
                server, request, ..
            } => {
                if let Err(objection) = proxy::check(&request) {
                    return proxy::object(actions, server, &request, &objection);
                }
                self.handle_request(actions, server, request, false);
            }
            Event::Ack { request, .. } => self.route_ack(actions, &request),
            Event::Cancel { server } => {
                if !self.cancel_lost(actions, server) {
                    self.proxy.handle_cancel(actions, server);
                }
            }
            Event::Response {
                branch,
                response,
                has_own_via,
            } => {
                let registrar = &self.registrar;
                if self
                    .notifier
                    .handle_response(actions, registrar, branch, &response)
                {
                    return;
                }
                let upstream = self
                    .proxy
                    .handle_response(actions, branch, response, has_own_via);
                self.pass(actions, upstream);
            }
            Event::Failed { branch, status } => {
                if self.notifier.handle_failure(actions, branch) {
                    return;
                }
                let upstream = self.proxy.handle_failure(actions, branch, status);
                self.pass(actions, upstream);
            }
            Event::Ended { branch } => {
                if !self.notifier.handle_ended(branch) {
                    self.proxy.handle_ended(actions, branch);
                }
            }
            Event::Cx { token, answer } => {
                if let Some(answer) = self.handle_lost(actions, token, *answer) {
                    self.handle_answer(actions, token, answer);
                }
            }
            Event::CxRequest { token, request } => {
                let answer = self.handle_hss(actions, &request);
                actions.answer_cx(token, answer);
            }
            Event::Anchor { .. } | Event::Room(_) => {}
        }
    }

    /// A request; `is_asked` where the HSS was asked about its user already.
    fn handle_request(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: Message,
        is_asked: bool,
    ) {
        if request.is_method(&Method::Register) {
            self.handle_register(actions, server, request);
        } else if Notifier::is_for(actions, &self.registrar, &request) {
            self.notifier
                .handle_subscribe(actions, &self.registrar, server, &request);
        } else {
            self.route(actions, server, request, is_asked);
        }
    }

    /// Lets time pass.
    pub fn handle_timer(&mut self, timer: Timer, actions: &mut Actions<'_>) {
        match timer {
            Timer::C(branch) => self.proxy.handle_timer_c(actions, branch),
            Timer::Contact(set) => self.handle_expiry(actions, set),
            Timer::Subscription(id) => {
                self.notifier.handle_timer(actions, &self.registrar, id);
            }
            Timer::Challenges => {
                self.clearing = None;
                self.challenges.expire(actions.now);
                if !self.challenges.is_empty() {
                    self.watch_challenges(actions);
                }
            }
        }
    }

    /// What the HSS wants: users to be deregistered, or their profiles renewed (TS 29.228 6.1.3,
    /// 6.2.2).
    fn handle_hss(&mut self, actions: &mut Actions<'_>, request: &cx::Request) -> Answer {
        match request {
            cx::Request::RegistrationTermination(rtr) => {
                let impis = std::iter::once(&rtr.user_name).chain(&rtr.associated_identities);
                let sets: Vec<SetId> = impis
                    .flat_map(|impi| self.registrar.sets_of(impi, &rtr.public_identities))
                    .collect();
                // TS 29.228 6.1.3: the UE is told what it is to do, where it is to do anything.
                let end = match rtr.deregistration_reason.code {
                    ReasonCode::ServerChange => SetEnd::Ended(ContactEvent::Deactivated),
                    ReasonCode::NewServerAssigned | ReasonCode::RemoveScscf => SetEnd::Elsewhere,
                    _ => SetEnd::Ended(ContactEvent::Rejected),
                };
                for set in sets {
                    self.end_set(actions, set, end);
                }
                self.challenges.forget(&rtr.user_name);
                request.answer(Outcome::SUCCESS)
            }
            cx::Request::PushProfile(ppr) => {
                let profile = ppr.user_data.as_deref().map(ImsSubscription::parse);
                match profile {
                    Some(Ok(profile)) => {
                        let identities = registrar::identities(&profile);
                        self.renew_identities(actions, &ppr.user_name, &identities);
                        self.challenges.forget(&ppr.user_name);
                        request.answer(Outcome::SUCCESS)
                    }
                    Some(Err(_)) => request.answer(Outcome::NotSupportedUserData),
                    None => {
                        self.challenges.forget(&ppr.user_name);
                        request.answer(Outcome::SUCCESS)
                    }
                }
            }
            _ => request.answer(Outcome::Base(ResultCode::COMMAND_UNSUPPORTED)),
        }
    }

    /// The identities of a user's sets are others now.
    fn renew_identities(&mut self, actions: &mut Actions<'_>, impi: &str, identities: &[Identity]) {
        let kept = |uri: &str| identities.iter().any(|identity| identity.uri == uri);
        for id in self.registrar.sets_of(impi, &[]) {
            let Some(set) = self.registrar.get(id) else {
                continue;
            };
            let held = set.identities.iter().find(|held| kept(&held.uri));
            let Some(held) = held.map(|held| held.uri.clone()) else {
                continue;
            };
            if set.identities == identities {
                continue;
            }
            let before: Vec<String> = set.usable().map(|usable| usable.uri.clone()).collect();
            self.registrar.renew(impi, &held, identities.to_vec());
            self.keep_set(actions, id);
            self.notifier
                .tell_identities(actions, &self.registrar, id, &before);
        }
    }

    fn keep(&mut self, registering: Registering) -> u64 {
        let token = self.next_token();
        self.registering.insert(token, registering);
        token
    }

    const fn next_token(&mut self) -> u64 {
        // Token 0 is that of requests whose answer nobody waits for.
        self.next_token += 1;
        self.next_token
    }

    fn watch_challenges(&mut self, actions: &mut Actions<'_>) {
        if self.clearing.is_none() {
            let timer = super::Timer::Scscf(Timer::Challenges);
            self.clearing = Some(actions.set_timer(CLEAR_CHALLENGES, timer));
        }
    }
}

#[cfg(test)]
mod tests;
