//! Interrogating-CSCF (TS 23.228 4.6.2.1): the home network's entry, which asks the HSS for the
//! S-CSCF.
//!
//! REGISTER: User-Authorization, then to the S-CSCF assigned or selected (TS 24.229 5.3.1).
//! Everything else that starts something for a user of the home network: Location-Info, then to the
//! S-CSCF (TS 24.229 5.3.2). The I-CSCF stays out of dialogs.

mod selection;

use diameter::cx::{
    self, Answer, Lia, Lir, Outcome, ServerCapabilities, Uaa, Uar, UserAuthorizationType,
};
use sip::transaction::ServerId;
use sip::{HeaderName, Message, Method, Uri};

use super::{Actions, Event};
use crate::config::{ControlConfig, Role};
use crate::identity;
use crate::proxy::{self, ContextId, Proxy, Upstream};
use crate::stack::{BranchId, NextHop};
use selection::Selection;

/// Timers of the I-CSCF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Timer C of a branch (RFC 3261 16.8).
    C(BranchId),
}

/// The entity.
#[derive(Debug)]
pub struct Icscf {
    proxy: Proxy<Query>,
    selection: Selection,
}

/// What the I-CSCF keeps of a request.
#[derive(Debug)]
struct Query {
    /// S-CSCFs that were tried and did not answer.
    tried: Vec<String>,
    /// What the HSS wants of an S-CSCF.
    capabilities: Option<ServerCapabilities>,
}

impl Icscf {
    /// An I-CSCF that selects among the configured S-CSCFs, or the one of this process.
    pub fn new(config: &ControlConfig, local_scscf: Option<String>) -> Self {
        let mut names = config.scscf.clone();
        names.extend(local_scscf.filter(|name| !config.scscf.contains(name)));
        Self {
            proxy: Proxy::new(Role::Icscf),
            selection: Selection::new(names),
        }
    }

    /// Requests under way.
    pub fn pending(&self) -> usize {
        self.proxy.len()
    }

    /// Lets something happen.
    pub fn handle(&mut self, event: Event, actions: &mut Actions<'_>) {
        match event {
            Event::Request {
                server, request, ..
            } => {
                self.handle_request(actions, server, request);
            }
            // The I-CSCF records no route: nothing in a dialog comes here.
            Event::Ack { .. } | Event::Anchor { .. } | Event::Room(_) | Event::CxRequest { .. } => {
            }
            Event::Cancel { server } => {
                self.proxy.handle_cancel(actions, server);
            }
            Event::Response {
                branch,
                response,
                has_own_via,
            } => {
                let upstream = self
                    .proxy
                    .handle_response(actions, branch, response, has_own_via);
                self.pass(actions, upstream);
            }
            Event::Failed { branch, status } => self.handle_failure(actions, branch, status),
            Event::Ended { branch } => {
                self.proxy.handle_ended(actions, branch);
            }
            Event::Cx { token, answer } => {
                let id = ContextId::from_token(token);
                match *answer {
                    Answer::UserAuthorization(answer) => self.handle_uaa(actions, id, answer),
                    Answer::LocationInfo(answer) => self.handle_lia(actions, id, answer),
                    other => self.refuse(actions, id, other.outcome()),
                }
            }
        }
    }

    /// Lets time pass.
    pub fn handle_timer(&mut self, timer: Timer, actions: &mut Actions<'_>) {
        let Timer::C(branch) = timer;
        self.proxy.handle_timer_c(actions, branch);
    }

    fn handle_request(&mut self, actions: &mut Actions<'_>, server: ServerId, request: Message) {
        if let Err(objection) = proxy::check(&request) {
            proxy::object(actions, server, &request, &objection);
            return;
        }
        let query = Query {
            tried: Vec::new(),
            capabilities: None,
        };
        if request.is_method(&Method::Register) {
            let Some(uar) = self.uar(actions.config, &request, false) else {
                actions
                    .stack
                    .reject(actions.now, server, &request, 400, "No usable identity");
                return;
            };
            let id = self.proxy.open(server, request, query);
            actions.send_cx(Role::Icscf, id.token(), cx::Request::UserAuthorization(uar));
            return;
        }
        if request.is_in_dialog() {
            actions.stack.reject(actions.now, server, &request, 481, "");
            return;
        }
        let Some(lir) = lir(actions.config, &request) else {
            actions.stack.reject(actions.now, server, &request, 404, "");
            return;
        };
        let id = self.proxy.open(server, request, query);
        actions.send_cx(Role::Icscf, id.token(), cx::Request::LocationInfo(lir));
    }

    /// User-Authorization-Request (TS 29.228 6.1.1); with `capabilities` when another S-CSCF is to
    /// be found.
    fn uar(&self, config: &ControlConfig, register: &Message, capabilities: bool) -> Option<Uar> {
        let visited = register.header(HeaderName::PVisitedNetworkId).map(unquote);
        Some(Uar {
            user_name: identity::private_identity(register)?,
            public_identity: identity::registered_identity(register)?,
            visited_network_identifier: visited.unwrap_or(&config.realm).to_owned(),
            user_authorization_type: if capabilities {
                UserAuthorizationType::RegistrationAndCapabilities
            } else if identity::is_deregistration(register) {
                UserAuthorizationType::DeRegistration
            } else {
                UserAuthorizationType::Registration
            },
            ..Uar::default()
        })
    }

    fn handle_uaa(&mut self, actions: &mut Actions<'_>, id: ContextId, answer: Uaa) {
        match answer.outcome {
            Outcome::FirstRegistration | Outcome::SubsequentRegistration | Outcome::SUCCESS => {}
            outcome => return self.refuse(actions, id, outcome),
        }
        self.continue_with(actions, id, answer.server_name, answer.server_capabilities);
    }

    fn handle_lia(&mut self, actions: &mut Actions<'_>, id: ContextId, answer: Lia) {
        match answer.outcome {
            Outcome::UnregisteredService | Outcome::SUCCESS => {}
            outcome => return self.refuse(actions, id, outcome),
        }
        self.continue_with(actions, id, answer.server_name, answer.server_capabilities);
    }

    fn continue_with(
        &mut self,
        actions: &mut Actions<'_>,
        id: ContextId,
        name: Option<String>,
        capabilities: Option<ServerCapabilities>,
    ) {
        let Some(context) = self.proxy.get_mut(id) else {
            return;
        };
        context.state.capabilities = capabilities;
        // Nor can one be used that is no SIP URI, whoever assigned it.
        let is_usable = |name: &String| Uri::parse(name).is_some_and(|uri| uri.is_sip());
        let name = name.filter(|name| is_usable(name) && !context.state.tried.contains(name));
        let name = name.or_else(|| {
            self.selection
                .choose(context.state.capabilities.as_ref(), &context.state.tried)
        });
        let Some(name) = name else {
            // TS 24.229 5.3.1.2, 5.3.2.2: no S-CSCF can be selected.
            return self.proxy.reject(actions, id, 504, "No S-CSCF available");
        };
        self.forward(actions, id, name);
    }

    fn forward(&mut self, actions: &mut Actions<'_>, id: ContextId, name: String) {
        let Some(context) = self.proxy.get_mut(id) else {
            return;
        };
        context.state.tried.push(name.clone());
        let Some(uri) = Uri::parse(&name) else {
            return self
                .proxy
                .reject(actions, id, 500, "S-CSCF name is no SIP URI");
        };
        let Some(request) = context.request() else {
            return;
        };
        let mut draft = request.edit();
        let routed_here = request
            .routes()
            .next()
            .and_then(Result::ok)
            .is_some_and(|route| actions.stack.addresses().own(route.uri).is_some());
        if routed_here {
            draft.remove_first_value(HeaderName::Route);
        }
        if request.is_method(&Method::Register) {
            draft.set_request_uri(&name);
        } else {
            draft.push_front(HeaderName::Route, &format!("<{name};lr>"));
        }
        self.proxy.forward(actions, id, draft, NextHop::Uri(uri));
    }

    fn handle_failure(&mut self, actions: &mut Actions<'_>, branch: BranchId, status: u16) {
        let upstream = self.proxy.handle_failure(actions, branch, status);
        self.pass(actions, upstream);
    }

    fn pass(&mut self, actions: &mut Actions<'_>, upstream: Upstream) {
        match upstream {
            Upstream::Nothing => {}
            Upstream::Response {
                context, passing, ..
            } => {
                self.proxy.respond(actions, context, passing.draft);
            }
            Upstream::Failure { context, status } => self.try_another(actions, context, status),
        }
    }

    /// The S-CSCF did not answer: the HSS is asked what another one must be able to do (TS 24.229
    /// 5.3.1.3).
    fn try_another(&mut self, actions: &mut Actions<'_>, id: ContextId, status: u16) {
        let Some(context) = self.proxy.get_mut(id) else {
            return;
        };
        let spare = self
            .selection
            .choose(context.state.capabilities.as_ref(), &context.state.tried);
        if context.is_cancelled() || spare.is_none() {
            let status = if status == 408 { 504 } else { status };
            return self.proxy.reject(actions, id, status, "");
        }
        let Some(request) = context.request().cloned() else {
            return;
        };
        if request.is_method(&Method::Register)
            && let Some(uar) = self.uar(actions.config, &request, true)
        {
            actions.send_cx(Role::Icscf, id.token(), cx::Request::UserAuthorization(uar));
        } else if let Some(name) = spare {
            self.forward(actions, id, name);
        }
    }

    /// The status for what the HSS refused (TS 24.229 5.3.1.2, 5.3.2.2).
    fn refuse(&mut self, actions: &mut Actions<'_>, id: ContextId, outcome: Outcome) {
        let Some(context) = self.proxy.get(id) else {
            return;
        };
        let registers = context
            .request()
            .is_some_and(|request| request.is_method(&Method::Register));
        let (status, reason) = match outcome {
            Outcome::UserUnknown if registers => (403, "Unknown user"),
            Outcome::UserUnknown => (404, ""),
            Outcome::IdentitiesDontMatch => (403, "Identities do not match"),
            Outcome::RoamingNotAllowed => (403, "Roaming not allowed"),
            Outcome::IdentityNotRegistered if registers => (403, "Not registered"),
            Outcome::IdentityNotRegistered => (480, ""),
            outcome if outcome.code() == 5003 => (403, "Authorization rejected"),
            outcome if outcome.code() == 3004 => (503, "HSS is busy"),
            _ => (504, "HSS did not answer"),
        };
        self.proxy.reject(actions, id, status, reason);
    }
}

/// Location-Info-Request (TS 29.228 6.1.4); `None` for a URI that is no identity of the home
/// network.
fn lir(config: &ControlConfig, request: &Message) -> Option<Lir> {
    let uri = request.uri().ok()?;
    if uri.is_sip() && (uri.user().is_none() || !uri.host_str().eq_ignore_ascii_case(&config.realm))
    {
        return None;
    }
    Some(Lir {
        public_identity: identity::public_identity(uri),
        ..Lir::default()
    })
}

fn unquote(text: &str) -> &str {
    let text = text.split(';').next().unwrap_or(text).trim();
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests;
