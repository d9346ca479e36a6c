//! What registration and calls share: the transaction layer, the addresses, and the way out.

use std::collections::VecDeque;
use std::net::SocketAddr;

use base::{Entropy, Instant};
use sip::transaction::{self, ClientId, Layer, ServerId, Timers};
use sip::{Draft, HeaderName, Message, NameAddr, Transport, Uri};

use super::authentication::Authenticator;
use super::config::{CallId, Config, Error, Event, Hop, Output, Reliable};

/// Methods it knows what to do with.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, OPTIONS";
/// What is sent in User-Agent and Server.
const PRODUCT: &str = concat!("Strowger-UA/", env!("CARGO_PKG_VERSION"));

/// Why a request was sent, attached to its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Register,
    Invite(CallId),
    Prack(CallId),
    /// A re-INVITE or UPDATE that may change the session or only refreshes it.
    Change(CallId),
    Bye(CallId),
    /// A BYE to an answer that came too late.
    Farewell,
}

pub(super) struct Core {
    pub config: Config,
    pub layer: Layer<Hop, Purpose>,
    pub entropy: Entropy,
    pub outputs: VecDeque<Output>,
    /// Towards proxies that challenge calls.
    pub proxy_authenticator: Authenticator,
    /// Service-Route of the registration (RFC 3608).
    pub service_route: Vec<String>,
    /// P-Associated-URI of the registration.
    pub associated: Vec<String>,
}

impl Core {
    pub fn new(config: Config, mut entropy: Entropy) -> Self {
        let layer = Layer::new(transaction::Config::default(), &mut entropy);
        let authenticator = Authenticator::new(&config);
        Self {
            config,
            layer,
            entropy,
            outputs: VecDeque::new(),
            proxy_authenticator: authenticator,
            service_route: Vec::new(),
            associated: Vec::new(),
        }
    }

    pub fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub fn timers(&self) -> Timers {
        self.config.timers
    }

    /// A Via with a new branch.
    pub fn via(&mut self) -> String {
        let Config {
            transport, local, ..
        } = self.config;
        let branch = self.entropy.token_string();
        format!("SIP/2.0/{transport} {local};branch=z9hG4bK{branch};rport")
    }

    /// Its own URI: where requests reach it.
    pub fn own_uri(&self) -> String {
        let user = user_of(&self.config.impu);
        let parameter = match self.config.transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.as_str().to_ascii_lowercase()),
        };
        format!("sip:{user}@{}{parameter}", self.config.local)
    }

    /// Contact of calls.
    pub fn contact(&self) -> String {
        format!("<{}>", self.own_uri())
    }

    /// The P-CSCF.
    pub fn proxy(&self) -> Hop {
        Hop {
            transport: self.config.transport,
            peer: self.config.proxy,
            timers: self.config.timers,
        }
    }

    /// Route of a request that opens something: the P-CSCF, and the way the registration told
    /// (TS 24.229 5.1.2A.1.1).
    pub fn routes(&self) -> Vec<String> {
        let Config {
            proxy, transport, ..
        } = self.config;
        let parameter = match transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.as_str().to_ascii_lowercase()),
        };
        let first = format!("<sip:{proxy}{parameter};lr>");
        let same = |route: &str| {
            let uri = NameAddr::parse(route).ok().map(|route| route.uri);
            uri.and_then(address_of) == Some(proxy)
        };
        let mut routes = Vec::with_capacity(1 + self.service_route.len());
        if !self.service_route.first().is_some_and(|route| same(route)) {
            routes.push(first);
        }
        routes.extend_from_slice(&self.service_route);
        routes
    }

    /// Where a request to this URI goes: to its address, or by the P-CSCF where it has a name.
    pub fn hop(&self, uri: &str) -> Hop {
        let mut hop = self.proxy();
        if let Some(uri) = Uri::parse(uri)
            && let Some(peer) = address_of(uri)
        {
            hop.peer = peer;
            if let Some(transport) = uri.param("transport") {
                hop.transport = Transport::parse(transport);
            }
        }
        hop
    }

    /// Headers that go into every request of this user agent.
    pub fn describe(&self, draft: &mut Draft) {
        if let Some(network) = &self.config.access_network {
            draft.append(HeaderName::PAccessNetworkInfo, network);
        }
        draft.append(HeaderName::UserAgent, PRODUCT);
    }

    /// Supported, as far as the policy has it.
    pub fn supported(&self) -> &'static str {
        match self.config.policy.reliable {
            Reliable::Unsupported => "timer",
            Reliable::Supported | Reliable::Required => "100rel, timer",
        }
    }

    /// Puts Via on a request and sends it in a transaction of its own.
    pub fn send(
        &mut self,
        now: Instant,
        hop: Hop,
        mut draft: Draft,
        purpose: Purpose,
    ) -> Result<(ClientId, Message), Error> {
        self.describe(&mut draft);
        draft.push_front(HeaderName::Via, &self.via());
        let message = draft.finish().map_err(|_| Error::Target)?;
        let id = self
            .layer
            .send_request(now, hop, message.clone(), purpose)
            .map_err(|_| Error::Limit)?;
        Ok((id, message))
    }

    /// Sends an ACK.
    pub fn send_ack(&mut self, hop: Hop, mut draft: Draft) -> Option<Message> {
        draft.push_front(HeaderName::Via, &self.via());
        let message = draft.finish().ok()?;
        self.layer.send_stateless(hop, message.clone());
        Some(message)
    }

    /// Answers a request; what cannot be written or comes too late is dropped, as a lost response
    /// would be.
    pub fn respond(&mut self, now: Instant, server: ServerId, mut draft: Draft) -> Option<Message> {
        let message = draft.finish().ok()?;
        self.layer.respond(now, server, message.clone()).ok()?;
        Some(message)
    }

    /// Sends a response that was written before.
    pub fn respond_again(&mut self, now: Instant, server: ServerId, message: Message) {
        // A transaction that is over by now has had all its repetitions.
        let _ = self.layer.respond(now, server, message);
    }

    /// Answers a request by a status alone.
    pub fn respond_status(
        &mut self,
        now: Instant,
        server: ServerId,
        request: &Message,
        status: u16,
    ) {
        let tag = self.entropy.token_string();
        let mut draft = request.response(status, "");
        draft.to_tag(&tag);
        if status == 405 || status == 200 {
            draft.append(HeaderName::Allow, ALLOW);
        }
        self.respond(now, server, draft);
    }
}

/// The address a URI names, with the port it implies.
pub(super) fn address_of(uri: Uri<'_>) -> Option<SocketAddr> {
    let ip = uri.host()?.ip()?;
    Some(SocketAddr::new(ip, uri.port().unwrap_or(5060)))
}

/// The user part of an identity.
fn user_of(impu: &str) -> &str {
    let uri = Uri::parse(impu);
    uri.and_then(|uri| uri.user().or(uri.number()))
        .unwrap_or("ua")
}
