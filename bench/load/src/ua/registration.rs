//! Registration, RFC 3261 10 and TS 24.229 5.1.1.

use std::time::Duration;

use base::Instant;
use sip::digest::Request;
use sip::transaction::ClientId;
use sip::{Contact, Draft, HeaderName, Message, Method, Uri};

use super::authentication::{Answer, Authenticator};
use super::config::{Error, Event};
use super::core::{Core, Purpose};

/// Challenges answered in one registration: a stale nonce, a resynchronisation, and the real one.
const CHALLENGES_MAX: u8 = 3;

/// The one registration of a user agent.
pub(super) struct Registration {
    state: State,
    call_id: String,
    local_tag: String,
    cseq: u32,
    authenticator: Authenticator,
    challenges: u8,
    expires: u32,
    client: Option<ClientId>,
    refresh_at: Option<Instant>,
    expires_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Registering,
    Registered,
    Refreshing,
    Leaving,
}

impl Registration {
    pub fn new(core: &mut Core) -> Self {
        Self {
            state: State::Idle,
            call_id: core.entropy.token_string(),
            local_tag: core.entropy.token_string(),
            cseq: 0,
            authenticator: Authenticator::new(&core.config),
            challenges: 0,
            expires: core.config.expires,
            client: None,
            refresh_at: None,
            expires_at: None,
        }
    }

    pub fn is_registered(&self) -> bool {
        matches!(self.state, State::Registered | State::Refreshing)
    }

    pub fn register(&mut self, now: Instant, core: &mut Core) -> Result<(), Error> {
        self.state = match self.state {
            State::Idle => State::Registering,
            State::Registered => State::Refreshing,
            State::Registering | State::Refreshing | State::Leaving => {
                return Err(Error::Unexpected);
            }
        };
        self.expires = core.config.expires;
        self.start(now, core)
    }

    pub fn deregister(&mut self, now: Instant, core: &mut Core) -> Result<(), Error> {
        if !self.is_registered() {
            return Err(Error::Unexpected);
        }
        self.state = State::Leaving;
        self.expires = 0;
        self.refresh_at = None;
        self.start(now, core)
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        [self.refresh_at, self.expires_at]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn handle_timeout(&mut self, now: Instant, core: &mut Core) {
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            // In any other state a REGISTER is on its way already.
            let _ = self.register(now, core);
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            self.forget(core);
            core.event(Event::Deregistered);
        }
    }

    /// Takes a response to its REGISTER; 408 stands for none.
    pub fn handle_response(
        &mut self,
        now: Instant,
        core: &mut Core,
        client: ClientId,
        status: u16,
        response: Option<&Message>,
    ) {
        if status < 200 || self.client != Some(client) {
            return;
        }
        self.client = None;
        match (status, response) {
            (200..300, Some(response)) => self.accept(now, core, response),
            (401 | 407, Some(response)) => self.answer(now, core, status, response),
            (423, Some(response)) => match response.min_expires() {
                Ok(Some(seconds)) if seconds > self.expires && self.expires > 0 => {
                    self.expires = seconds;
                    let sent = self.send(now, core, None);
                    self.check(core, sent);
                }
                _ => self.fail(core, status, response.reason()),
            },
            (_, Some(response)) => self.fail(core, status, response.reason()),
            (_, None) => self.fail(core, status, "No response"),
        }
    }

    fn start(&mut self, now: Instant, core: &mut Core) -> Result<(), Error> {
        self.challenges = 0;
        let sent = self.send(now, core, None);
        if sent.is_err() {
            self.state = State::Idle;
        }
        sent
    }

    /// Sends REGISTER, TS 24.229 5.1.1.2.
    fn send(
        &mut self,
        now: Instant,
        core: &mut Core,
        credentials: Option<(HeaderName, String)>,
    ) -> Result<(), Error> {
        let uri = format!("sip:{}", core.config.realm);
        let impu = core.config.impu.clone();
        self.cseq += 1;
        let (name, value) = credentials.unwrap_or_else(|| {
            let request = register_to(&uri);
            let realm = &core.config.realm;
            let value = self
                .authenticator
                .initial(realm, request, &mut core.entropy);
            (HeaderName::Authorization, value)
        });
        let mut contact = core.contact();
        contact.push_str(";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"");
        if let Some(instance) = &core.config.instance {
            contact.push_str(&format!(";+sip.instance=\"<{instance}>\""));
        }
        if let Some(q) = core.config.q {
            let q = q.min(1000);
            contact.push_str(&format!(";q={}.{:03}", q / 1000, q % 1000));
        }
        contact.push_str(&format!(";expires={}", self.expires));
        let mut draft = Draft::request(&Method::Register, &uri);
        draft
            .append(HeaderName::MaxForwards, "70")
            .append(
                HeaderName::From,
                &format!("<{impu}>;tag={}", self.local_tag),
            )
            .append(HeaderName::To, &format!("<{impu}>"))
            .append(HeaderName::CallId, &self.call_id)
            .append(HeaderName::CSeq, &format!("{} REGISTER", self.cseq))
            .append(HeaderName::Contact, &contact)
            .append(name, &value)
            .append(HeaderName::Expires, &self.expires.to_string())
            .append(HeaderName::Supported, "path");
        if core.config.protects_media {
            draft
                .append(HeaderName::SecurityClient, "sdes-srtp;mediasec")
                .append(HeaderName::Require, "mediasec")
                .append(HeaderName::ProxyRequire, "mediasec");
        }
        let (client, _) = core.send(now, core.proxy(), draft, Purpose::Register)?;
        self.client = Some(client);
        Ok(())
    }

    fn answer(&mut self, now: Instant, core: &mut Core, status: u16, response: &Message) {
        if self.challenges == CHALLENGES_MAX {
            return self.fail(core, status, response.reason());
        }
        self.challenges += 1;
        let (challenge, name) = match status {
            401 => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            _ => (
                HeaderName::ProxyAuthenticate,
                HeaderName::ProxyAuthorization,
            ),
        };
        let uri = format!("sip:{}", core.config.realm);
        let request = register_to(&uri);
        let entropy = &mut core.entropy;
        let value = match self
            .authenticator
            .answer(response, challenge, request, entropy)
        {
            Answer::Credentials(value) | Answer::Disbelieve(value) => value,
            Answer::Resynchronise(value) => {
                core.event(Event::Resynchronising);
                value
            }
            Answer::None => return self.fail(core, status, response.reason()),
        };
        let sent = self.send(now, core, Some((name, value)));
        self.check(core, sent);
    }

    fn accept(&mut self, now: Instant, core: &mut Core, response: &Message) {
        self.authenticator.follow(response);
        if self.state == State::Leaving {
            self.forget(core);
            return core.event(Event::Deregistered);
        }
        let granted = granted(response, &core.own_uri()).unwrap_or(self.expires);
        self.state = State::Registered;
        core.service_route = response
            .values(HeaderName::ServiceRoute)
            .take(sip::dialog::ROUTES_MAX)
            .map(str::to_owned)
            .collect();
        let associated = response.addresses(HeaderName::PAssociatedUri).flatten();
        core.associated = associated
            .map(|addr| addr.uri.as_str().to_owned())
            .collect();
        // TS 24.229 5.1.1.4.1: 600 s before the end, or at half of what is shorter than 1 200 s.
        let refresh = if granted > 1200 {
            granted - 600
        } else {
            granted / 2
        };
        self.refresh_at = Some(now + Duration::from_secs(refresh.into()));
        let expires = Duration::from_secs(granted.into());
        self.expires_at = Some(now + expires);
        let associated = core.associated.clone();
        core.event(Event::Registered {
            expires,
            associated,
        });
    }

    fn check(&mut self, core: &mut Core, sent: Result<(), Error>) {
        if sent.is_err() {
            self.fail(core, 500, "REGISTER cannot be sent");
        }
    }

    /// What was registered before stays so until it expires (RFC 3261 10.3), but for a refused
    /// identity.
    fn fail(&mut self, core: &mut Core, status: u16, reason: &str) {
        match self.state {
            State::Refreshing if !matches!(status, 401 | 403 | 404 | 407) => {
                self.state = State::Registered;
            }
            _ => self.forget(core),
        }
        let reason = reason.to_owned();
        core.event(Event::RegistrationFailed { status, reason });
    }

    fn forget(&mut self, core: &mut Core) {
        self.state = State::Idle;
        self.refresh_at = None;
        self.expires_at = None;
        core.service_route.clear();
        core.associated.clear();
    }
}

fn register_to(uri: &str) -> Request<'_> {
    Request {
        method: "REGISTER",
        uri,
        body: b"",
    }
}

/// The expiry the registrar gave this contact, RFC 3261 10.2.4.
fn granted(response: &Message, own: &str) -> Option<u32> {
    let general = response.expires().ok().flatten();
    let own = Uri::parse(own)?;
    let mut contacts = response.contacts().flatten().filter_map(Contact::addr);
    let contact = contacts.find(|contact| contact.uri.is_equivalent(own));
    contact.and_then(|contact| contact.expires()).or(general)
}
