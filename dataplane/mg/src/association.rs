//! The control association: how a gateway finds an MGC, keeps it and leaves it, H.248.1 11.
//!
//! Decides only; the gateway sends what is decided and reports what came of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use h248::error::ErrorCode;
use h248::message::{
    Mid, Profile, ServiceChangeAddress, ServiceChangeMethod, ServiceChangeParms,
    ServiceChangeReason, ServiceChangeResult, VERSION,
};

/// What the association can be told.
#[derive(Clone, Debug)]
pub struct AssociationConfig {
    /// MGCs, the primary first; at least one.
    pub mgcs: Vec<SocketAddr>,
    /// MWD, H.248.1 9.2: most time before the first registration, at random.
    pub restart_wait_max: Duration,
    /// Most time between rounds through the MGCs in which none answered, at random.
    pub retry_wait_max: Duration,
    /// Profiles with their versions, the best first, that the gateway says it follows (H.248.1 13);
    /// an MGC that refuses one is offered the next. Empty: nothing is said of profiles.
    pub profiles: Vec<Profile>,
    /// After this long without a message, the MGC is asked by ServiceChange whether it is there.
    pub silence_max: Option<Duration>,
}

impl Default for AssociationConfig {
    fn default() -> Self {
        Self {
            mgcs: Vec::new(),
            restart_wait_max: Duration::ZERO,
            retry_wait_max: Duration::from_secs(10),
            profiles: Vec::new(),
            silence_max: Some(Duration::from_secs(15)),
        }
    }
}

/// Association of one gateway.
#[derive(Debug)]
pub(crate) struct Association {
    config: AssociationConfig,
    entropy: Entropy,
    state: State,
    /// The MGC that controlled it last, as it was registered with; `None` while nothing is left of
    /// any control.
    last: Option<SocketAddr>,
    /// Rounds through the MGCs without success.
    rounds: u32,
    /// Which of the profiles is offered, or agreed.
    profile: usize,
    /// Tells an announcement's outcome from that of one before it.
    serial: u32,
    heard_at: Instant,
}

#[derive(Debug)]
enum State {
    /// Not started, or ended.
    Idle,
    /// Until the next round.
    Waiting { until: Instant },
    /// An announcement is on its way.
    Registering(Attempt),
    /// An MGC controls the gateway.
    InService {
        controller: Controller,
        is_checked: bool,
        /// Present while there is no connection to it.
        reconnection: Option<Reconnection>,
    },
    /// The last announcement is on its way.
    Leaving { to: SocketAddr, until: Instant },
}

/// The connection to the MGC in control is gone; meanwhile it stays in control.
#[derive(Clone, Copy, Debug)]
struct Reconnection {
    /// The MGC is given up then.
    until: Instant,
    /// When to try again; `None` while it is being tried.
    again_at: Option<Instant>,
}

/// A walk through MGCs.
#[derive(Clone, Debug)]
struct Attempt {
    to: SocketAddr,
    then: VecDeque<SocketAddr>,
    method: ServiceChangeMethod,
    reason: u16,
    /// How the others are spoken to.
    approach: Approach,
    redirects: u8,
}

/// What a gateway has to say when it comes to an MGC.
#[derive(Clone, Copy, Debug)]
enum Approach {
    /// It starts, for this reason.
    Restart(u16),
    /// It has lost its MGC, H.248.1 11.5: that one hears of it by Disconnected, others by Failover.
    Lost,
}

/// The MGC in control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Controller {
    /// Where it was registered with.
    pub registered: SocketAddr,
    /// Where requests go: there, or where its reply said.
    pub address: SocketAddr,
    /// Who it says it is.
    pub mid: Mid,
    pub version: u8,
}

/// A ServiceChange of ROOT to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub to: SocketAddr,
    pub method: ServiceChangeMethod,
    pub reason: u16,
    pub serial: u32,
    /// Version of the message: 1 until another is agreed (H.248.1 11.3).
    pub version: u8,
}

/// What came of an announcement.
#[derive(Debug)]
pub(crate) enum Outcome {
    Accepted {
        mid: Mid,
        result: Box<ServiceChangeResult>,
    },
    Refused(ErrorCode),
    Unanswered,
}

/// What the gateway has to do next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Send this.
    pub announcement: Option<Announcement>,
    /// Forget everything about this MGC.
    pub forget: Option<SocketAddr>,
    /// Have a connection to this MGC.
    pub connect: Option<SocketAddr>,
    /// Subtract everything.
    pub clear: bool,
    /// Tell this.
    pub news: Option<AssociationEvent>,
}

/// News of the association, for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssociationEvent {
    /// An MGC accepted the gateway.
    Registered {
        /// Which.
        mgc: SocketAddr,
        /// Protocol version agreed.
        version: u8,
    },
    /// An MGC refused it.
    Refused {
        /// Which.
        mgc: SocketAddr,
        /// Why.
        code: ErrorCode,
    },
    /// An MGC did not answer.
    Unanswered {
        /// Which.
        mgc: SocketAddr,
    },
    /// The MGC in control ended its control, or lost the gateway.
    Released {
        /// Which.
        mgc: SocketAddr,
    },
    /// The gateway has left service.
    Ended,
}

impl Association {
    pub fn new(config: AssociationConfig, entropy: Entropy) -> Self {
        Self {
            config,
            entropy,
            state: State::Idle,
            last: None,
            rounds: 0,
            profile: 0,
            serial: 0,
            heard_at: Instant::ZERO,
        }
    }

    /// The process started.
    pub fn start(&mut self, now: Instant) -> Step {
        let wait = self.random(self.config.restart_wait_max);
        if wait.is_zero() {
            return self.round(now);
        }
        self.state = State::Waiting { until: now + wait };
        Step::default()
    }

    /// The MGC in control.
    pub fn controller(&self) -> Option<&Controller> {
        match &self.state {
            State::InService { controller, .. } => Some(controller),
            _ => None,
        }
    }

    /// The profile that is offered, or agreed with the MGC in control.
    pub fn profile(&self) -> Option<&Profile> {
        self.config.profiles.get(self.profile)
    }

    /// In words, with the MGC that it is about.
    pub fn status(&self) -> (&'static str, Option<SocketAddr>) {
        match &self.state {
            State::Idle => ("out of service", None),
            State::Waiting { .. } => ("no controller", None),
            State::Registering(attempt) => ("registering", Some(attempt.to)),
            State::InService { controller, .. } => ("in service", Some(controller.address)),
            State::Leaving { to, .. } => ("leaving", Some(*to)),
        }
    }

    /// True when it ended, or never began.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// When [`Association::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Idle | State::Registering(_) => None,
            State::Waiting { until } | State::Leaving { until, .. } => Some(*until),
            State::InService {
                reconnection: Some(reconnection),
                ..
            } => reconnection.again_at,
            State::InService {
                is_checked: true, ..
            } => None,
            State::InService { .. } => self.config.silence_max.map(|most| self.heard_at + most),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Step {
        if self.next_timeout().is_none_or(|at| at > now) {
            return Step::default();
        }
        match &mut self.state {
            State::Idle | State::Registering(_) => Step::default(),
            State::Waiting { .. } => self.round(now),
            State::Leaving { to, .. } => {
                let to = *to;
                self.end(to)
            }
            State::InService {
                controller,
                reconnection: Some(reconnection),
                ..
            } => {
                reconnection.again_at = None;
                Step {
                    connect: Some(controller.address),
                    ..Step::default()
                }
            }
            State::InService { .. } => self.check(),
        }
    }

    /// Asks the MGC in control whether it is there.
    fn check(&mut self) -> Step {
        let State::InService {
            controller,
            is_checked,
            ..
        } = &mut self.state
        else {
            return Step::default();
        };
        *is_checked = true;
        let (to, version) = (controller.address, controller.version);
        let method = ServiceChangeMethod::Disconnected;
        let reason = ServiceChangeReason::SERVICE_RESTORED;
        self.announce(to, method, reason, version)
    }

    /// A connection to `mgc` is there.
    pub fn handle_connected(&mut self, mgc: SocketAddr) {
        if let State::InService {
            controller,
            reconnection,
            ..
        } = &mut self.state
            && controller.address == mgc
        {
            *reconnection = None;
        }
    }

    /// A connection to `mgc` could not be made, or is gone.
    pub fn handle_closed(&mut self, now: Instant, mgc: SocketAddr) -> Step {
        match &mut self.state {
            State::Registering(attempt) if attempt.to == mgc => {
                self.conclude(now, self.serial, Outcome::Unanswered)
            }
            State::InService {
                controller,
                is_checked,
                reconnection,
            } if controller.address == mgc => match reconnection {
                Some(reconnection) if reconnection.until <= now => self.lose(now),
                Some(reconnection) => {
                    reconnection.again_at = Some(now + RECONNECT_AFTER);
                    Step::default()
                }
                // H.248.1 7.2.8: once it is there again the MGC hears of the loss, by what goes out
                // now and makes the connection.
                None => {
                    *reconnection = Some(Reconnection {
                        until: now + RECONNECT_MAX,
                        again_at: None,
                    });
                    if *is_checked {
                        return Step {
                            connect: Some(mgc),
                            ..Step::default()
                        };
                    }
                    self.check()
                }
            },
            State::Leaving { to, .. } if *to == mgc => self.end(mgc),
            _ => Step::default(),
        }
    }

    /// A message came from `from`.
    pub fn hear(&mut self, now: Instant, from: SocketAddr) {
        match &mut self.state {
            State::InService { controller, .. } if controller.is_at(from) => self.heard_at = now,
            // An MGC that speaks to us is there: no need to wait long.
            State::Waiting { until } if self.config.mgcs.contains(&from) => {
                *until = (*until).min(now + RETRY_SOON);
            }
            _ => {}
        }
    }

    /// Whether `from`, which calls itself `mid`, may command.
    ///
    /// # Errors
    /// 504 for anybody but the MGC in control, 505 for an MGC before it accepted the gateway,
    /// 503 when the gateway is leaving.
    pub fn authorize(
        &mut self,
        now: Instant,
        from: SocketAddr,
        mid: &Mid,
    ) -> Result<(), ErrorCode> {
        let is_known = self.config.mgcs.contains(&from);
        match &self.state {
            State::InService { controller, .. } if controller.is(from, mid) => {
                self.heard_at = now;
                Ok(())
            }
            State::Registering(attempt) if is_known || attempt.to == from => {
                Err(ErrorCode::BEFORE_RESTART)
            }
            State::Waiting { .. } if is_known => Err(ErrorCode::BEFORE_RESTART),
            State::Leaving { to, .. } if *to == from => Err(ErrorCode::SERVICE_UNAVAILABLE),
            _ => Err(ErrorCode::COMMAND_FROM_UNAUTHORIZED),
        }
    }

    /// An announcement came to an end.
    pub fn conclude(&mut self, now: Instant, serial: u32, outcome: Outcome) -> Step {
        if serial != self.serial {
            return Step::default();
        }
        match (&mut self.state, outcome) {
            (State::Registering(attempt), Outcome::Accepted { mid, result }) => {
                let attempt = attempt.clone();
                self.accepted(now, attempt, mid, &result)
            }
            (State::Registering(attempt), Outcome::Refused(code))
                if is_about_profile(code) && self.profile + 1 < self.config.profiles.len() =>
            {
                let attempt = attempt.clone();
                self.profile += 1;
                self.attempt(attempt)
            }
            (State::Registering(attempt), outcome) => {
                let attempt = attempt.clone();
                self.profile = 0;
                let news = news_of(attempt.to, &outcome);
                Step {
                    news: Some(news),
                    forget: Some(attempt.to),
                    ..self.go_on(now, attempt)
                }
            }
            (State::InService { is_checked, .. }, Outcome::Accepted { .. }) => {
                *is_checked = false;
                self.heard_at = now;
                Step::default()
            }
            // What did not answer, or refused, is not in control any more.
            (State::InService { controller, .. }, outcome) => {
                let news = news_of(controller.address, &outcome);
                Step {
                    news: Some(news),
                    ..self.lose(now)
                }
            }
            (State::Leaving { to, .. }, _) => {
                let to = *to;
                self.end(to)
            }
            (State::Idle | State::Waiting { .. }, _) => Step::default(),
        }
    }

    /// The MGC in control does not answer.
    pub fn lose(&mut self, now: Instant) -> Step {
        let State::InService { controller, .. } = &self.state else {
            return Step::default();
        };
        let failed = controller.registered;
        let step = Step {
            forget: Some(controller.address),
            news: Some(AssociationEvent::Released {
                mgc: controller.address,
            }),
            ..Step::default()
        };
        // H.248.1 11.5: the others from the primary on; later all.
        let mut others = self.others(failed);
        let Some(to) = others.pop_front() else {
            self.wait(now);
            return step;
        };
        Step {
            announcement: self.walk(to, others, Approach::Lost).announcement,
            ..step
        }
    }

    /// The MGC in control does not know the gateway (error 505): it registers anew.
    pub fn register_anew(&mut self) -> Step {
        let State::InService { controller, .. } = &self.state else {
            return Step::default();
        };
        let (to, mgc) = (controller.registered, controller.address);
        Step {
            news: Some(AssociationEvent::Released { mgc }),
            ..self.walk(to, self.others(to), Approach::Lost)
        }
    }

    /// The MGC in control directs a change of service of ROOT, H.248.1 7.2.8 and 11.5.
    pub fn direct(&mut self, now: Instant, parms: &ServiceChangeParms) -> Step {
        use ServiceChangeMethod::{
            Disconnected, Extension, Failover, Forced, Graceful, HandOff, Restart,
        };
        let State::InService { controller, .. } = &self.state else {
            return Step::default();
        };
        let (registered, mgc) = (controller.registered, controller.address);
        let other = parms
            .mgc_id
            .as_ref()
            .and_then(|mid| address_of(mid, mgc.port()));
        let news = Some(AssociationEvent::Released { mgc });
        match (&parms.method, other) {
            (HandOff | Failover | Forced | Graceful | Restart, Some(other)) => {
                // Without its answer it is as if the MGC had failed.
                let attempt = Attempt {
                    to: other,
                    then: self.others(other),
                    method: HandOff,
                    reason: ServiceChangeReason::MGC_DIRECTED_CHANGE,
                    approach: Approach::Lost,
                    redirects: 0,
                };
                Step {
                    news,
                    ..self.attempt(attempt)
                }
            }
            (Restart, None) => {
                let approach = Approach::Restart(ServiceChangeReason::WARM_BOOT);
                Step {
                    news,
                    clear: true,
                    ..self.walk(registered, self.others(registered), approach)
                }
            }
            // The MGC leaves: its contexts end, and the gateway looks for one that stays.
            (Forced, None) => {
                self.last = None;
                Step {
                    clear: true,
                    ..self.lose_to_others(now)
                }
            }
            (HandOff | Failover | Graceful | Disconnected | Extension(_), _) => Step::default(),
        }
    }

    /// The process is to end.
    pub fn leave(&mut self, now: Instant) -> Step {
        let (to, version) = match &self.state {
            State::InService { controller, .. } => (controller.address, controller.version),
            _ => {
                self.state = State::Idle;
                return Step {
                    news: Some(AssociationEvent::Ended),
                    ..Step::default()
                };
            }
        };
        let reason = ServiceChangeReason::MG_IMPENDING_FAILURE;
        let step = self.announce(to, ServiceChangeMethod::Forced, reason, version);
        self.state = State::Leaving {
            to,
            until: now + LEAVE_MAX,
        };
        step
    }

    /// The process will end when its contexts have.
    pub fn leave_gracefully(&mut self) -> Step {
        let State::InService { controller, .. } = &self.state else {
            return Step::default();
        };
        let (to, version) = (controller.address, controller.version);
        let reason = ServiceChangeReason::MG_IMPENDING_FAILURE;
        self.announce(to, ServiceChangeMethod::Graceful, reason, version)
    }

    // Steps.

    fn accepted(
        &mut self,
        now: Instant,
        attempt: Attempt,
        mid: Mid,
        result: &ServiceChangeResult,
    ) -> Step {
        if let Some(other) = &result.mgc_id {
            return self.redirected(now, attempt, other);
        }
        let version = result.version.unwrap_or(VERSION);
        let fault = if (1..=VERSION).contains(&version) {
            self.agree_on_profile(result.profile.as_ref()).err()
        } else {
            Some(ErrorCode::VERSION_NOT_SUPPORTED)
        };
        if let Some(code) = fault {
            return Step {
                news: Some(AssociationEvent::Refused {
                    mgc: attempt.to,
                    code,
                }),
                forget: Some(attempt.to),
                ..self.go_on(now, attempt)
            };
        }
        let address = match &result.address {
            Some(ServiceChangeAddress::Port(port)) => SocketAddr::new(attempt.to.ip(), *port),
            Some(ServiceChangeAddress::Mid(mid)) => {
                address_of(mid, attempt.to.port()).unwrap_or(attempt.to)
            }
            None => attempt.to,
        };
        self.last = Some(attempt.to);
        self.rounds = 0;
        self.heard_at = now;
        self.state = State::InService {
            controller: Controller {
                registered: attempt.to,
                address,
                mid,
                version,
            },
            is_checked: false,
            reconnection: None,
        };
        Step {
            news: Some(AssociationEvent::Registered {
                mgc: address,
                version,
            }),
            ..Step::default()
        }
    }

    /// An MGC accepts the profile offered, or names another: one of ours, in that version.
    fn agree_on_profile(&mut self, named: Option<&Profile>) -> Result<(), ErrorCode> {
        let profiles = &self.config.profiles;
        let Some(named) = named.filter(|_| !profiles.is_empty()) else {
            return Ok(());
        };
        let known = profiles.iter().position(|own| own == named);
        self.profile = known.unwrap_or(0);
        known.map(drop).ok_or(ErrorCode::UNKNOWN_PROFILE)
    }

    /// An MGC names another to be tried (ServiceChangeMgcId).
    fn redirected(&mut self, now: Instant, attempt: Attempt, other: &Mid) -> Step {
        let address = address_of(other, attempt.to.port());
        match address {
            Some(to) if attempt.redirects < REDIRECTS_MAX => {
                let attempt = Attempt {
                    to,
                    redirects: attempt.redirects + 1,
                    ..attempt
                };
                self.attempt(attempt)
            }
            _ => self.go_on(now, attempt),
        }
    }

    /// The next MGC of a walk, or a pause.
    fn go_on(&mut self, now: Instant, mut attempt: Attempt) -> Step {
        match attempt.then.pop_front() {
            Some(to) => self.walk(to, attempt.then, attempt.approach),
            None => {
                self.wait(now);
                Step::default()
            }
        }
    }

    /// Walks through all MGCs from the primary on.
    fn round(&mut self, now: Instant) -> Step {
        let mut then: VecDeque<_> = self.config.mgcs.iter().copied().collect();
        let Some(to) = then.pop_front() else {
            self.wait(now);
            return Step::default();
        };
        let approach = match self.last {
            Some(_) => Approach::Lost,
            None => Approach::Restart(ServiceChangeReason::COLD_BOOT),
        };
        self.walk(to, then, approach)
    }

    /// The MGC in control leaves for good: the others, if any, by a Restart.
    fn lose_to_others(&mut self, now: Instant) -> Step {
        let step = self.lose(now);
        if let State::Registering(attempt) = &self.state {
            let (to, then) = (attempt.to, attempt.then.clone());
            let approach = Approach::Restart(ServiceChangeReason::WARM_BOOT);
            return Step {
                announcement: self.walk(to, then, approach).announcement,
                ..step
            };
        }
        step
    }

    /// The MGCs but this one, the primary first.
    fn others(&self, mgc: SocketAddr) -> VecDeque<SocketAddr> {
        let mgcs = self.config.mgcs.iter().copied();
        mgcs.filter(|&other| other != mgc).collect()
    }

    /// Tries this MGC, and then these.
    fn walk(&mut self, to: SocketAddr, then: VecDeque<SocketAddr>, approach: Approach) -> Step {
        let (method, reason) = match approach {
            Approach::Restart(reason) => (ServiceChangeMethod::Restart, reason),
            Approach::Lost if self.last == Some(to) => (
                ServiceChangeMethod::Disconnected,
                ServiceChangeReason::SERVICE_RESTORED,
            ),
            Approach::Lost => (
                ServiceChangeMethod::Failover,
                ServiceChangeReason::MGC_IMPENDING_FAILURE,
            ),
        };
        self.attempt(Attempt {
            to,
            then,
            method,
            reason,
            approach,
            redirects: 0,
        })
    }

    fn attempt(&mut self, attempt: Attempt) -> Step {
        let (to, method, reason) = (attempt.to, attempt.method.clone(), attempt.reason);
        self.state = State::Registering(attempt);
        self.announce(to, method, reason, 1)
    }

    fn announce(
        &mut self,
        to: SocketAddr,
        method: ServiceChangeMethod,
        reason: u16,
        version: u8,
    ) -> Step {
        self.serial = self.serial.wrapping_add(1);
        let announcement = Announcement {
            to,
            method,
            reason,
            serial: self.serial,
            version,
        };
        Step {
            announcement: Some(announcement),
            ..Step::default()
        }
    }

    /// A pause, at random within a span that doubles from round to round.
    fn wait(&mut self, now: Instant) {
        let span = RETRY_SOON * 2_u32.saturating_pow(self.rounds.min(16));
        self.rounds += 1;
        let wait = self
            .random(span.min(self.config.retry_wait_max))
            .max(WAIT_MIN);
        self.state = State::Waiting { until: now + wait };
    }

    fn end(&mut self, mgc: SocketAddr) -> Step {
        self.state = State::Idle;
        Step {
            forget: Some(mgc),
            news: Some(AssociationEvent::Ended),
            ..Step::default()
        }
    }

    fn random(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.entropy.below(nanos))
    }
}

impl Controller {
    /// It sends from where it was registered, from where it said, or under its name from another
    /// port there.
    fn is(&self, from: SocketAddr, mid: &Mid) -> bool {
        self.is_at(from) || (self.mid == *mid && self.address.ip() == from.ip())
    }

    fn is_at(&self, address: SocketAddr) -> bool {
        address == self.address || address == self.registered
    }
}

/// Codes by which an MGC refuses a profile.
fn is_about_profile(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNKNOWN_PROFILE | ErrorCode::UNKNOWN_PROFILE_IN_REQUEST
    )
}

fn news_of(mgc: SocketAddr, outcome: &Outcome) -> AssociationEvent {
    match outcome {
        Outcome::Refused(code) => AssociationEvent::Refused { mgc, code: *code },
        Outcome::Accepted { .. } | Outcome::Unanswered => AssociationEvent::Unanswered { mgc },
    }
}

/// Address and port of an MGC by its MID; names are not looked up.
fn address_of(mid: &Mid, default_port: u16) -> Option<SocketAddr> {
    let (ip, port) = match mid {
        Mid::Ipv4(ip, port) => ((*ip).into(), *port),
        Mid::Ipv6(ip, port) => ((*ip).into(), *port),
        Mid::Domain(..) | Mid::Device(_) | Mid::Mtp(_) => return None,
    };
    let port = port.unwrap_or(default_port);
    (port != 0).then(|| SocketAddr::new(ip, port))
}

/// MGCs that name one another are followed so often.
const REDIRECTS_MAX: u8 = 5;

/// The span of the first pause.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// The shortest pause.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// How long an MGC whose connection is gone stays in control: it may be starting anew.
const RECONNECT_MAX: Duration = Duration::from_secs(5);

/// Time between attempts to connect to it.
const RECONNECT_AFTER: Duration = Duration::from_millis(250);

/// How long the last announcement may take.
const LEAVE_MAX: Duration = Duration::from_secs(1);
