//! A user agent of the IMS without a socket or a clock: registers, calls, and is called.
//!
//! One [`UserAgent`] is one device of one user: it registers with SIP Digest or AKA, and has any
//! number of calls. What it does is said by its [`Policy`], so that a test can make it ring for
//! long, refuse, fork or go dead.
//!
//! ```
//! use base::{Entropy, Instant};
//! use load::ua::{Config, Output, Secret, UserAgent};
//!
//! let local = "192.0.2.1:5060".parse().unwrap();
//! let proxy = "192.0.2.9:5060".parse().unwrap();
//! let config = Config::new("alice@ims.test", Secret::Password("secret".into()), local, proxy);
//! let mut alice = UserAgent::new(config, Entropy::from_u64(1));
//!
//! let now = Instant::from_secs(1);
//! alice.register(now).unwrap();
//! // The loop of a driver: send what comes out, give in what comes, and wake at `next_timeout`.
//! while let Some(output) = alice.poll_output() {
//!     if let Output::Transmit { to, bytes, .. } = output {
//!         assert_eq!(to, proxy);
//!         assert!(bytes.starts_with(b"REGISTER sip:ims.test SIP/2.0\r\n"));
//!     }
//! }
//! assert!(alice.next_timeout().is_some());
//! ```
//!
//! Not here: security associations (TS 33.203), preconditions (RFC 3312), and the change from UDP
//! to TCP for messages above the MTU.

mod authentication;
mod call;
mod callee;
mod caller;
mod config;
mod core;
mod registration;
mod talk;
mod within;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base::{Entropy, Instant};
use sdp::Direction;
use sip::dialog::DialogId;
use sip::transaction::{self, ClientId, Received, Refusal, ServerId};
use sip::{Message, Method, Transport};

use self::call::{Call, Role, State};
use self::core::{Core, Purpose};
use self::registration::Registration;

pub use self::config::{
    CallId, Cause, Config, Error, Event, Output, Policy, Reliable, Secret, Step,
};

/// Most calls at once of one user agent, those included that are over but linger.
pub const CALLS_MAX: usize = 256;

/// One device of one user; see the [module](self).
pub struct UserAgent {
    core: Core,
    registration: Registration,
    calls: BTreeMap<CallId, Call>,
    next_call: u32,
    next_port: u16,
}

impl UserAgent {
    /// A user agent that does nothing yet.
    pub fn new(config: Config, entropy: Entropy) -> Self {
        let next_port = *config.media_ports.start();
        let mut core = Core::new(config, entropy);
        let registration = Registration::new(&mut core);
        Self {
            core,
            registration,
            calls: BTreeMap::new(),
            next_call: 0,
            next_port,
        }
    }

    /// Who it is and how it behaves.
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// Behaves differently from here on.
    pub fn policy_mut(&mut self) -> &mut Policy {
        &mut self.core.config.policy
    }

    /// True while a registration is in force.
    pub fn is_registered(&self) -> bool {
        self.registration.is_registered()
    }

    /// P-Associated-URI of the registration.
    pub fn associated(&self) -> &[String] {
        &self.core.associated
    }

    /// Service-Route of the registration (RFC 3608).
    pub fn service_route(&self) -> &[String] {
        &self.core.service_route
    }

    /// Calls that are not over.
    pub fn calls(&self) -> impl Iterator<Item = CallId> + '_ {
        let live = self.calls.values().filter(|call| !call.is_over());
        live.map(|call| call.id)
    }

    /// Registers, or registers again at once.
    ///
    /// # Errors
    /// [`Error::Unexpected`] while a REGISTER is on its way.
    pub fn register(&mut self, now: Instant) -> Result<(), Error> {
        let done = self.registration.register(now, &mut self.core);
        self.settle(now);
        done
    }

    /// Gives its registration up.
    ///
    /// # Errors
    /// [`Error::Unexpected`] without a registration.
    pub fn deregister(&mut self, now: Instant) -> Result<(), Error> {
        let done = self.registration.deregister(now, &mut self.core);
        self.settle(now);
        done
    }

    /// Calls a URI.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Target`].
    pub fn call(&mut self, now: Instant, target: &str) -> Result<CallId, Error> {
        let (id, port) = self.place()?;
        let call = Call::dial(id, now, &mut self.core, port, target);
        let done = call.map(|call| {
            self.calls.insert(id, call);
            id
        });
        self.settle(now);
        done
    }

    /// Sends a provisional response for an incoming call: 180, or 183 with early media.
    ///
    /// # Errors
    /// [`Error::NoCall`], [`Error::Unexpected`] for a call that does not wait to be answered.
    pub fn ring(&mut self, now: Instant, call: CallId, status: u16) -> Result<(), Error> {
        self.with(now, call, |call, core| {
            if call.role != Role::Callee || call.state != State::Ringing {
                return Err(Error::Unexpected);
            }
            call.ring(now, core, status.clamp(101, 199));
            Ok(())
        })
    }

    /// Answers an incoming call.
    ///
    /// # Errors
    /// [`Error::NoCall`], [`Error::Unexpected`] for a call that does not wait to be answered.
    pub fn answer(&mut self, now: Instant, call: CallId) -> Result<(), Error> {
        self.with(now, call, |call, core| call.answer(now, core))
    }

    /// Refuses an incoming call.
    ///
    /// # Errors
    /// [`Error::NoCall`], [`Error::Unexpected`] for a call that does not wait to be answered.
    pub fn reject(&mut self, now: Instant, call: CallId, status: u16) -> Result<(), Error> {
        self.with(now, call, |call, core| {
            if call.role != Role::Callee || call.state != State::Ringing {
                return Err(Error::Unexpected);
            }
            let status = status.clamp(300, 699);
            let reason = sip::reason_phrase(status).to_owned();
            call.refuse(now, core, status, Cause::Refused { status, reason });
            Ok(())
        })
    }

    /// Ends a call in the way its state asks for: CANCEL, 603 or BYE.
    ///
    /// # Errors
    /// [`Error::NoCall`].
    pub fn hang_up(&mut self, now: Instant, call: CallId) -> Result<(), Error> {
        self.with(now, call, |call, core| call.hang_up(now, core))
    }

    /// Puts the other end on hold by re-INVITE (RFC 3264 8.4).
    ///
    /// # Errors
    /// [`Error::NoCall`], [`Error::Unexpected`] before the call is established or while it is being
    /// changed.
    pub fn hold(&mut self, now: Instant, call: CallId) -> Result<(), Error> {
        self.change(now, call, Method::Invite, Direction::SendRecv.held())
    }

    /// Takes the other end back by re-INVITE.
    ///
    /// # Errors
    /// As [`UserAgent::hold`].
    pub fn resume(&mut self, now: Instant, call: CallId) -> Result<(), Error> {
        self.change(now, call, Method::Invite, Direction::SendRecv)
    }

    /// Offers a direction by UPDATE (RFC 3311).
    ///
    /// # Errors
    /// As [`UserAgent::hold`].
    pub fn update(
        &mut self,
        now: Instant,
        call: CallId,
        direction: Direction,
    ) -> Result<(), Error> {
        self.change(now, call, Method::Update, direction)
    }

    /// Takes a message from the network.
    pub fn handle_input(
        &mut self,
        now: Instant,
        transport: Transport,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        if self.core.config.policy.deaf || sip::is_keep_alive(datagram) {
            return;
        }
        match Message::parse(datagram) {
            Ok(message) => self.handle_message(now, transport, from, message),
            Err(error) => {
                if let Some(request) = error.answerable() {
                    let draft = request.response(error.status(), error.reason());
                    self.respond_stateless(transport, from, draft);
                }
            }
        }
        self.settle(now);
    }

    /// The network says that nobody is at this address: requests on their way there have failed.
    pub fn handle_unreachable(&mut self, now: Instant, peer: SocketAddr) {
        self.core.layer.handle_hop_lost(now, |hop| hop.peer == peer);
        self.settle(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.layer.handle_timeout(now);
        self.settle(now);
        self.registration.handle_timeout(now, &mut self.core);
        for call in self.calls.values_mut() {
            call.handle_timeout(now, &mut self.core);
        }
        self.settle(now);
        self.calls
            .retain(|_, call| !call.is_over() || call.linger_until > now);
    }

    /// When to call [`UserAgent::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        let calls = self.calls.values().filter_map(Call::next_timeout);
        let others = [
            self.core.layer.next_timeout(),
            self.registration.next_timeout(),
        ];
        calls.chain(others.into_iter().flatten()).min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.outputs.pop_front()
    }

    fn change(
        &mut self,
        now: Instant,
        call: CallId,
        method: Method,
        direction: Direction,
    ) -> Result<(), Error> {
        self.with(now, call, |call, core| {
            call.change(now, core, method, direction)
        })
    }

    fn with(
        &mut self,
        now: Instant,
        id: CallId,
        act: impl FnOnce(&mut Call, &mut Core) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let call = self.calls.get_mut(&id).filter(|call| !call.is_over());
        let done = act(call.ok_or(Error::NoCall)?, &mut self.core);
        self.settle(now);
        done
    }

    /// A name and a media port for one more call.
    fn place(&mut self) -> Result<(CallId, u16), Error> {
        if self.calls.len() >= CALLS_MAX {
            return Err(Error::Limit);
        }
        let live = self.calls.values().filter(|call| !call.is_over());
        let used: Vec<u16> = live.map(|call| call.talk.local().port()).collect();
        let (low, high) = self.core.config.media_ports.clone().into_inner();
        let mut port = self.next_port;
        for _ in 0..=used.len() {
            // RTP at an even port, RTCP at the next (RFC 3550 11).
            port = port.saturating_add(port & 1);
            if port < low || port >= high {
                port = low.saturating_add(low & 1);
            }
            if port < high && !used.contains(&port) {
                self.next_port = port.saturating_add(2);
                let id = CallId(self.next_call);
                self.next_call = self.next_call.wrapping_add(1);
                return Ok((id, port));
            }
            port = port.saturating_add(2);
        }
        Err(Error::Limit)
    }

    fn handle_message(
        &mut self,
        now: Instant,
        transport: Transport,
        from: SocketAddr,
        message: Message,
    ) {
        let (message, peer) = match message.is_request() {
            true => return_path(message, transport, from),
            false => (message, from),
        };
        let hop = config::Hop {
            transport,
            peer,
            timers: self.core.timers(),
        };
        match self.core.layer.handle_message(now, hop, message) {
            Received::Request { server, message } => self.handle_request(now, server, &message),
            Received::Ack { message, .. } => {
                if let Some((call, core, _)) = self.call_of(&message) {
                    call.handle_ack(now, core, &message);
                }
            }
            Received::Cancel {
                server,
                invite,
                message,
            } => self.handle_cancel(now, server, invite, &message),
            Received::Response {
                client,
                context,
                message,
            } => {
                let status = message.status().unwrap_or(500);
                self.handle_response(now, context, client, status, Some(&message));
            }
            Received::Refused { message, why } if !message.is_method(&Method::Ack) => {
                let draft = match why {
                    Refusal::Invalid(invalid) => message.response(400, &invalid.reason()),
                    Refusal::Limit => message.response(503, ""),
                };
                if message.is_request() {
                    self.respond_stateless(transport, peer, draft);
                }
            }
            Received::StrayResponse { .. } | Received::Absorbed | Received::Refused { .. } => {}
        }
    }

    fn respond_stateless(&mut self, transport: Transport, peer: SocketAddr, mut draft: sip::Draft) {
        let hop = config::Hop {
            transport,
            peer,
            timers: self.core.timers(),
        };
        draft.to_tag(&self.core.entropy.token_string());
        if let Ok(message) = draft.finish() {
            self.core.layer.send_stateless(hop, message);
        }
    }

    /// The call a request belongs to.
    fn call_of(&mut self, request: &Message) -> Option<(&mut Call, &mut Core, DialogId)> {
        let id = DialogId::of_received_request(request).ok()?;
        let call = self.calls.values_mut().find(|call| call.has(&id))?;
        Some((call, &mut self.core, id))
    }

    fn handle_request(&mut self, now: Instant, server: ServerId, request: &Message) {
        if let Err(invalid) = request.validate() {
            let mut draft = request.response(400, &invalid.reason());
            draft.to_tag(&self.core.entropy.token_string());
            self.core.respond(now, server, draft);
            return;
        }
        if let Some((call, core, id)) = self.call_of(request) {
            return call.handle_request(now, core, server, request, &id);
        }
        let status = match request.method() {
            _ if request.is_in_dialog() => 481,
            Some(Method::Invite) => return self.handle_invite(now, server, request),
            Some(Method::Options) => 200,
            Some(Method::Other(_)) => 501,
            _ => 405,
        };
        self.core.respond_status(now, server, request, status);
    }

    fn handle_invite(&mut self, now: Instant, server: ServerId, request: &Message) {
        let refusal = match self.place() {
            Ok((id, port)) => match Call::receive(id, now, &mut self.core, port, server, request) {
                Ok(call) => {
                    self.calls.insert(id, call);
                    return;
                }
                Err(refusal) => refusal,
            },
            Err(_) => callee::Refusal::new(486, ""),
        };
        let mut draft = request.response(refusal.status, &refusal.reason);
        draft.to_tag(&self.core.entropy.token_string());
        if let Some((name, value)) = refusal.header {
            draft.append(name, &value);
        }
        self.core.respond(now, server, draft);
    }

    fn handle_cancel(
        &mut self,
        now: Instant,
        server: ServerId,
        invite: Option<ServerId>,
        request: &Message,
    ) {
        if invite.is_none() {
            return self.core.respond_status(now, server, request, 481);
        }
        let mut calls = self.calls.values_mut();
        let Some(call) = calls.find(|call| call.callee.server == invite) else {
            // Refused before: too late, but not wrong.
            return self.core.respond_status(now, server, request, 200);
        };
        // The tag is that of the responses to the INVITE (RFC 3261 9.2).
        let mut draft = request.response(200, "");
        draft.to_tag(&call.local_tag);
        self.core.respond(now, server, draft);
        call.handle_cancel(now, &mut self.core);
    }

    fn handle_response(
        &mut self,
        now: Instant,
        purpose: Purpose,
        client: ClientId,
        status: u16,
        response: Option<&Message>,
    ) {
        let core = &mut self.core;
        let (id, handle): (CallId, Handler) = match purpose {
            Purpose::Register => {
                return self
                    .registration
                    .handle_response(now, core, client, status, response);
            }
            Purpose::Invite(id) => (id, Call::handle_invite_response),
            Purpose::Change(id) => (id, Call::handle_change_response),
            Purpose::Bye(id) => (id, |call, now, core, status, _| {
                if status >= 200 {
                    let cause = call.cause.take().unwrap_or(Cause::HungUp);
                    call.end(now, core, cause);
                }
            }),
            Purpose::Prack(_) | Purpose::Farewell => return,
        };
        if let Some(call) = self.calls.get_mut(&id) {
            handle(call, now, core, status, response);
        }
    }

    /// Takes what the transactions put out until they put out nothing more.
    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.core.layer.poll_output() {
            match output {
                transaction::Output::Transmit { hop, message, .. } => {
                    self.core.outputs.push_back(Output::Transmit {
                        transport: hop.transport,
                        to: hop.peer,
                        bytes: message.as_bytes().to_vec(),
                    });
                }
                transaction::Output::ClientTimeout { client, context } => {
                    self.handle_response(now, context, client, 408, None);
                }
                transaction::Output::ClientTransportError {
                    client,
                    context,
                    answered: false,
                } => self.handle_response(now, context, client, 503, None),
                _ => {}
            }
        }
    }
}

/// What takes a response to a request of a call; 408 and 503 without one stand for none.
type Handler = fn(&mut Call, Instant, &mut Core, u16, Option<&Message>);

/// Where the responses to a request go (RFC 3261 18.2.2, RFC 3581 4), and the request with that
/// noted on it. Over a stream they go back on the connection that the request came by.
fn return_path(request: Message, transport: Transport, from: SocketAddr) -> (Message, SocketAddr) {
    let Ok(via) = request.top_via() else {
        return (request, from);
    };
    let named = via.host.ip() == Some(from.ip());
    let port = via.port.unwrap_or(5060);
    let rport = via.wants_rport();
    let peer = match rport || transport.is_reliable() {
        true => from,
        false => SocketAddr::new(from.ip(), port),
    };
    let mut draft = request.edit();
    if !named || rport {
        draft.set_top_via_param("received", &from.ip().to_string());
    }
    if rport {
        draft.set_top_via_param("rport", &from.port().to_string());
    }
    match draft.finish() {
        Ok(noted) => (noted, peer),
        Err(_) => (request, peer),
    }
}

#[cfg(test)]
mod tests;
