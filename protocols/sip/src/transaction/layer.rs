//! All transactions of a node.

use std::collections::VecDeque;
use std::time::Duration;

use base::{Entropy, Instant, TimerId, TimerQueue};

use super::client::{self, ClientState};
use super::key::{Index, Key, Seed, client_key, is_2543, server_key};
use super::server::{self, ServerState};
use super::slab::{Id, Slab};
use super::timers::TimerKind;
use super::{
    Cancelled, ClientId, Config, Counters, Error, Hop, Kind, Origin, Output, Received, Refusal,
    ServerId, TIMERS_PER_CALL_MAX, Timers,
};
use crate::{Draft, HeaderName, Invalid, Message, Method, Why};

/// The client and server transactions of a node, RFC 3261 17; see the [module](super).
///
/// `H` names a transport and peer, `U` is what callers attach to transactions to find their own state.
/// Receiving, sending and each timer cost one hash or less and O(log n) in the timers that run.
pub struct Layer<H, U> {
    config: Config,
    clients: Slab<Client<H, U>>,
    servers: Slab<Server<H, U>>,
    index: Index,
    timers: TimerQueue<(Owner, TimerKind)>,
    outputs: VecDeque<Output<H, U>>,
    counters: Counters,
    client_counts: [usize; ClientState::ALL.len()],
    server_counts: [usize; ServerState::ALL.len()],
    cancels: usize,
}

/// Whose timer it is.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Client(Id),
    Server(Id),
}

type Running = [Option<TimerId>; TimerKind::ALL.len()];

struct Client<H, U> {
    kind: Kind,
    state: ClientState,
    hop: H,
    timers: Timers,
    reliable: bool,
    key: Key,
    /// `None` for a CANCEL of the layer's own, of which the user hears nothing.
    context: Option<U>,
    /// Until a final response.
    request: Option<Message>,
    /// After a 300-699 to INVITE.
    ack: Option<Message>,
    cancel: Cancel,
    /// Last interval of Timer A or E.
    interval: Duration,
    running: Running,
}

/// The CANCEL of a client INVITE.
enum Cancel {
    None,
    /// Waits for a provisional response.
    Deferred(Message),
    Sent,
}

struct Server<H, U> {
    kind: Kind,
    state: ServerState,
    hop: H,
    timers: Timers,
    reliable: bool,
    key: Key,
    context: Option<U>,
    /// Until a final response.
    request: Option<Message>,
    response: Option<Message>,
    /// Last interval of Timer G.
    interval: Duration,
    running: Running,
}

impl<H: Hop, U: Clone> Layer<H, U> {
    /// A layer without transactions.
    pub fn new(config: Config, entropy: &mut Entropy) -> Self {
        Self {
            config,
            clients: Slab::new(),
            servers: Slab::new(),
            index: Index::with_hasher(Seed::new(entropy)),
            timers: TimerQueue::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            client_counts: [0; ClientState::ALL.len()],
            server_counts: [0; ServerState::ALL.len()],
            cancels: 0,
        }
    }

    /// Takes a message from the transport.
    ///
    /// `hop` of a request is where its responses go: `received` and `rport` of its top Via, as the transport set
    /// them (RFC 3261 18.2.2, RFC 3581 4). It is not read for a response.
    pub fn handle_message(&mut self, now: Instant, hop: H, message: Message) -> Received<U> {
        let result = match message.method() {
            None => self.handle_response(now, &message),
            Some(Method::Ack) => self.handle_ack(now, &message),
            Some(_) => self.handle_request(now, hop, &message),
        };
        result.unwrap_or_else(|why| {
            match why {
                Refusal::Limit => self.counters.requests_refused += 1,
                Refusal::Invalid(_) => self.counters.invalid += 1,
            }
            Received::Refused { message, why }
        })
    }

    /// Sends a response of the user's.
    ///
    /// To a request other than INVITE, 408 is swallowed as RFC 4320 4.2 asks: the transaction completes in
    /// silence.
    ///
    /// # Errors
    /// `Gone`, `Answered`, `Provisional`; `Misuse` when `response` is a request.
    pub fn respond(&mut self, now: Instant, id: ServerId, response: Message) -> Result<(), Error> {
        let status = response.status().ok_or(Error::Misuse)?;
        let server = self.servers.find(id.0).ok_or(Error::Gone)?;
        let event = match status {
            100..200 => server::Event::Provisional,
            200..300 => server::Event::Success,
            _ => server::Event::Failure,
        };
        let silent = server.kind == Kind::NonInvite && status == 408;
        if server.kind == Kind::NonInvite && event == server::Event::Provisional {
            let early = server.state == ServerState::Trying && !server.reliable;
            if status != 100 || early {
                return Err(Error::Provisional);
            }
        }
        if self.server_event(now, id.0, event, Some(response).filter(|_| !silent)) {
            Ok(())
        } else {
            Err(Error::Answered)
        }
    }

    /// Sends a request other than ACK in a new client transaction. Its top Via is the caller's own, with a
    /// branch never used before.
    ///
    /// # Errors
    /// `Limit`, `Duplicate`, `Invalid`; `Misuse` for responses, ACK and CANCEL ([`Layer::cancel`] sends those).
    pub fn send_request(
        &mut self,
        now: Instant,
        hop: H,
        request: Message,
        context: U,
    ) -> Result<ClientId, Error> {
        let kind = match request.method() {
            None | Some(Method::Ack | Method::Cancel) => return Err(Error::Misuse),
            Some(Method::Invite) => Kind::Invite,
            Some(_) => Kind::NonInvite,
        };
        if self.clients.len() - self.cancels >= self.config.clients_max {
            self.counters.clients_refused += 1;
            return Err(Error::Limit);
        }
        self.start_client(now, kind, hop, request, Some(context))
            .map(ClientId)
    }

    /// Cancels an INVITE (RFC 3261 9.1): at once when a provisional response has come, else as soon as one comes.
    ///
    /// `headers` go into the CANCEL: Reason (RFC 3326). Without a final response within 64·T1 of the CANCEL the
    /// INVITE ends as timed out.
    ///
    /// # Errors
    /// `Edit`: the CANCEL cannot be written.
    pub fn cancel(
        &mut self,
        now: Instant,
        id: ClientId,
        headers: &[(HeaderName, &str)],
    ) -> Result<Cancelled, Error> {
        let Some(client) = self.clients.find_mut(id.0) else {
            return Ok(Cancelled::Ignored);
        };
        let cancellable = client.kind == Kind::Invite
            && client.state.is_pending()
            && matches!(client.cancel, Cancel::None);
        let Some(request) = client.request.as_ref().filter(|_| cancellable) else {
            return Ok(Cancelled::Ignored);
        };
        let mut draft = Draft::cancel(request);
        for (name, value) in headers {
            draft.append(*name, value);
        }
        client.cancel = Cancel::Deferred(draft.finish()?);
        if client.state == ClientState::Calling {
            return Ok(Cancelled::Deferred);
        }
        self.flush_cancel(now, id.0);
        Ok(Cancelled::Sent)
    }

    /// Sends a message outside all transactions: the ACK of a 2xx (RFC 3261 13.2.2.4), a stateless response.
    pub fn send_stateless(&mut self, hop: H, message: Message) {
        let origin = Origin::None;
        self.outputs.push_back(Output::Transmit {
            hop,
            message,
            origin,
        });
    }

    /// The transport gave up on a message that had this origin (RFC 3261 17.1.4, 17.2.4).
    pub fn handle_transport_error(&mut self, now: Instant, origin: Origin) {
        self.counters.transport_errors += 1;
        match origin {
            Origin::Client(id) => {
                self.client_event(now, id.0, client::Event::TransportError, None);
            }
            Origin::Server(id) => {
                self.server_event(now, id.0, server::Event::TransportError, None);
            }
            Origin::None => {}
        }
    }

    /// The transport lost a connection: every client transaction that waits for a response over it fails.
    ///
    /// Looks at all client transactions. Server transactions go on: their responses may find another way
    /// (RFC 3261 18.2.2).
    pub fn handle_hop_lost(&mut self, now: Instant, lost: impl Fn(&H) -> bool) {
        let pending = self
            .clients
            .iter()
            .filter(|(_, client)| client.state.is_pending());
        let failed: Vec<Id> = pending
            .filter(|(_, client)| lost(&client.hop))
            .map(|(id, _)| id)
            .collect();
        for id in failed {
            self.handle_transport_error(now, Origin::Client(ClientId(id)));
        }
    }

    /// Lets the timers act that are due, at most [`TIMERS_PER_CALL_MAX`] of them.
    pub fn handle_timeout(&mut self, now: Instant) {
        for _ in 0..TIMERS_PER_CALL_MAX {
            let Some((owner, kind)) = self.timers.pop_due(now) else {
                return;
            };
            match owner {
                Owner::Client(id) => self.client_timer(now, id, kind),
                Owner::Server(id) => self.server_timer(now, id, kind),
            }
        }
    }

    /// When to call [`Layer::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next_timeout()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output<H, U>> {
        self.outputs.pop_front()
    }

    /// Attaches something to a server transaction, replacing what was there; false when it is over.
    pub fn set_server_context(&mut self, id: ServerId, context: U) -> bool {
        let server = self.servers.find_mut(id.0);
        server
            .map(|server| server.context = Some(context))
            .is_some()
    }

    /// What was attached to a server transaction.
    pub fn server_context(&self, id: ServerId) -> Option<&U> {
        self.servers.find(id.0)?.context.as_ref()
    }

    /// The request of a server transaction, until it has a final response.
    pub fn server_request(&self, id: ServerId) -> Option<&Message> {
        self.servers.find(id.0)?.request.as_ref()
    }

    /// Where the responses of a server transaction go.
    pub fn server_hop(&self, id: ServerId) -> Option<&H> {
        Some(&self.servers.find(id.0)?.hop)
    }

    /// State of a server transaction, `None` when it is over.
    pub fn server_state(&self, id: ServerId) -> Option<ServerState> {
        Some(self.servers.find(id.0)?.state)
    }

    /// Attaches something else to a client transaction; false when it is over.
    pub fn set_client_context(&mut self, id: ClientId, context: U) -> bool {
        let client = self.clients.find_mut(id.0);
        client
            .map(|client| client.context = Some(context))
            .is_some()
    }

    /// What was attached to a client transaction.
    pub fn client_context(&self, id: ClientId) -> Option<&U> {
        self.clients.find(id.0)?.context.as_ref()
    }

    /// The request of a client transaction, until it has a final response.
    pub fn client_request(&self, id: ClientId) -> Option<&Message> {
        self.clients.find(id.0)?.request.as_ref()
    }

    /// Where a client transaction sends.
    pub fn client_hop(&self, id: ClientId) -> Option<&H> {
        Some(&self.clients.find(id.0)?.hop)
    }

    /// State of a client transaction, `None` when it is over.
    pub fn client_state(&self, id: ClientId) -> Option<ClientState> {
        Some(self.clients.find(id.0)?.state)
    }

    /// Client transactions in this state.
    pub fn client_count(&self, state: ClientState) -> usize {
        self.client_counts.get(state as usize).copied().unwrap_or(0)
    }

    /// Server transactions in this state.
    pub fn server_count(&self, state: ServerState) -> usize {
        self.server_counts.get(state as usize).copied().unwrap_or(0)
    }

    /// All client transactions.
    pub fn clients_len(&self) -> usize {
        self.clients.len()
    }

    /// All server transactions.
    pub fn servers_len(&self) -> usize {
        self.servers.len()
    }

    /// Timers that run.
    pub fn timers_len(&self) -> usize {
        self.timers.len()
    }

    /// Totals since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn handle_request(
        &mut self,
        now: Instant,
        hop: H,
        message: &Message,
    ) -> Result<Received<U>, Refusal> {
        let method = message.method().ok_or(Refusal::Invalid(REQUEST_LINE))?;
        if message.cseq()?.method != *method {
            return Err(Invalid::header(HeaderName::CSeq, Why::Mismatch).into());
        }
        let key = server_key(message, method)?;
        if let Some(&id) = self.index.get(&key) {
            self.counters.requests_again += 1;
            self.server_event(now, id, server::Event::Request, None);
            return Ok(Received::Absorbed);
        }
        // What a response copies must be there (RFC 3261 8.2.6).
        message.from()?;
        message.to()?;
        message.call_id()?;
        if self.servers.len() >= self.config.servers_max {
            return Err(Refusal::Limit);
        }
        let invite = match method {
            Method::Cancel => self
                .index
                .get(&server_key(message, &Method::Invite)?)
                .copied(),
            _ => None,
        };
        let server = ServerId(self.start_server(now, hop, message, key));
        let message = message.clone();
        Ok(if matches!(message.method(), Some(Method::Cancel)) {
            Received::Cancel {
                server,
                invite: invite.map(ServerId),
                message,
            }
        } else {
            Received::Request { server, message }
        })
    }

    fn handle_ack(&mut self, now: Instant, message: &Message) -> Result<Received<U>, Refusal> {
        if message.cseq()?.method != Method::Ack {
            return Err(Invalid::header(HeaderName::CSeq, Why::Mismatch).into());
        }
        let key = server_key(message, &Method::Invite)?;
        let found = self
            .index
            .get(&key)
            .copied()
            .filter(|&id| self.is_ack_of(id, message));
        let Some(id) = found else {
            return Ok(Received::Ack {
                server: None,
                message: message.clone(),
            });
        };
        if self.server_event(now, id, server::Event::Ack, None) {
            return Ok(Received::Ack {
                server: Some(ServerId(id)),
                message: message.clone(),
            });
        }
        self.counters.requests_again += 1;
        Ok(Received::Absorbed)
    }

    /// Without the magic cookie the To tag of the ACK must be that of the response (RFC 3261 17.2.3).
    fn is_ack_of(&self, id: Id, ack: &Message) -> bool {
        self.servers.find(id).is_some_and(|server| {
            let sent = server.response.as_ref().and_then(Message::to_tag);
            !is_2543(&server.key) || sent == ack.to_tag()
        })
    }

    fn handle_response(&mut self, now: Instant, message: &Message) -> Result<Received<U>, Refusal> {
        let key = client_key(message)?;
        let event = match message.status().unwrap_or_default() {
            100..200 => client::Event::Provisional,
            200..300 => client::Event::Success,
            _ => client::Event::Failure,
        };
        let Some(&id) = self.index.get(&key) else {
            self.counters.responses_stray += 1;
            return Ok(Received::StrayResponse {
                message: message.clone(),
            });
        };
        let context = self
            .clients
            .find(id)
            .and_then(|client| client.context.clone());
        if !self.client_event(now, id, event, Some(message)) {
            self.counters.responses_again += 1;
            return Ok(Received::Absorbed);
        }
        Ok(match context {
            None => Received::Absorbed,
            Some(context) => Received::Response {
                client: ClientId(id),
                context,
                message: message.clone(),
            },
        })
    }

    fn start_client(
        &mut self,
        now: Instant,
        kind: Kind,
        hop: H,
        request: Message,
        context: Option<U>,
    ) -> Result<Id, Error> {
        let key = client_key(&request)?;
        if request.method() != Some(&request.cseq()?.method) {
            return Err(Invalid::header(HeaderName::CSeq, Why::Mismatch).into());
        }
        if self.index.contains_key(&key) {
            return Err(Error::Duplicate);
        }
        let (timers, reliable) = (hop.timers(), hop.is_reliable());
        let state = ClientState::initial(kind);
        let id = self.clients.insert(Client {
            kind,
            state,
            hop: hop.clone(),
            timers,
            reliable,
            key: key.clone(),
            context,
            request: Some(request.clone()),
            ack: None,
            cancel: Cancel::None,
            interval: timers.t1,
            running: Running::default(),
        });
        self.index.insert(key, id);
        self.client_counts[state as usize] += 1;
        self.counters.clients_made += 1;
        if !reliable {
            self.set_client_timer(now + timers.t1, id, TimerKind::Retransmit);
        }
        self.set_client_timer(now + timers.t1_64(), id, TimerKind::Deadline);
        let origin = Origin::Client(ClientId(id));
        self.outputs.push_back(Output::Transmit {
            hop,
            message: request,
            origin,
        });
        Ok(id)
    }

    fn start_server(&mut self, now: Instant, hop: H, request: &Message, key: Key) -> Id {
        let kind = match request.method() {
            Some(Method::Invite) => Kind::Invite,
            _ => Kind::NonInvite,
        };
        let (timers, reliable) = (hop.timers(), hop.is_reliable());
        let state = ServerState::initial(kind);
        let id = self.servers.insert(Server {
            kind,
            state,
            hop,
            timers,
            reliable,
            key: key.clone(),
            context: None,
            request: Some(request.clone()),
            response: None,
            interval: timers.t1,
            running: Running::default(),
        });
        self.index.insert(key, id);
        self.server_counts[state as usize] += 1;
        self.counters.servers_made += 1;
        let trying_after = match kind {
            Kind::Invite => self.config.trying_after,
            Kind::NonInvite => Some(timers.non_invite_trying()),
        };
        match trying_after {
            Some(Duration::ZERO) => {
                self.server_event(now, id, server::Event::Trying, None);
            }
            Some(after) => self.set_server_timer(now + after, id, TimerKind::Trying),
            None => {}
        }
        id
    }

    /// Moves a client transaction; true when the response is to be delivered.
    fn client_event(
        &mut self,
        now: Instant,
        id: Id,
        event: client::Event,
        response: Option<&Message>,
    ) -> bool {
        let Some(client) = self.clients.find(id) else {
            return false;
        };
        let (next, actions) = client::step(client.kind, client.state, event);
        for &action in actions {
            self.client_act(now, id, action, response);
        }
        self.client_enter(now, id, next);
        actions.contains(&client::Action::Deliver)
    }

    fn client_act(
        &mut self,
        now: Instant,
        id: Id,
        action: client::Action,
        response: Option<&Message>,
    ) {
        let Some(client) = self.clients.find_mut(id) else {
            return;
        };
        let context = client.context.clone();
        let message = match action {
            client::Action::Deliver => None,
            client::Action::Resend => {
                self.counters.requests_resent += 1;
                client.request.clone()
            }
            client::Action::Ack => {
                // A response whose To cannot be copied gets no ACK; its sender ends by Timer H.
                let ack = client.request.as_ref().zip(response);
                client.ack = ack.and_then(|(invite, last)| Draft::ack(invite, last).finish().ok());
                client.ack.clone()
            }
            client::Action::AckAgain => client.ack.clone(),
            client::Action::FlushCancel => return self.flush_cancel(now, id),
            client::Action::Timeout => {
                self.counters.timeouts += 1;
                let timeout = context.map(|context| Output::ClientTimeout {
                    client: ClientId(id),
                    context,
                });
                self.outputs.extend(timeout);
                None
            }
            client::Action::TransportError => {
                let answered = !client.state.is_pending();
                let client = ClientId(id);
                let error = context.map(|context| Output::ClientTransportError {
                    client,
                    context,
                    answered,
                });
                self.outputs.extend(error);
                None
            }
        };
        self.outputs
            .extend(message.zip(self.clients.find(id)).map(|(message, client)| {
                let origin = Origin::Client(ClientId(id));
                Output::Transmit {
                    hop: client.hop.clone(),
                    message,
                    origin,
                }
            }));
    }

    fn client_enter(&mut self, now: Instant, id: Id, next: ClientState) {
        let Some(client) = self.clients.find_mut(id) else {
            return;
        };
        if client.state == next {
            return;
        }
        self.client_counts[client.state as usize] -= 1;
        client.state = next;
        let wait = match (client.kind, next) {
            // Timer M.
            (_, ClientState::Accepted) => client.timers.t1_64(),
            (_, ClientState::Completed) if client.reliable => Duration::ZERO,
            // Timers D and K.
            (Kind::Invite, ClientState::Completed) => client.timers.t1_64().max(TIMER_D_MIN),
            (Kind::NonInvite, ClientState::Completed) => client.timers.t4,
            _ => Duration::ZERO,
        };
        let stopped: &[TimerKind] = match (client.kind, next) {
            // Timers E and F go on.
            (Kind::NonInvite, ClientState::Proceeding) => &[],
            (Kind::Invite, ClientState::Proceeding) => {
                &[TimerKind::Retransmit, TimerKind::Deadline]
            }
            _ => &TimerKind::ALL,
        };
        for &kind in stopped {
            if let Some(timer) = client.running[kind as usize].take() {
                self.timers.cancel(timer);
            }
        }
        if !next.is_pending() {
            client.request = None;
            client.cancel = Cancel::None;
        }
        if next == ClientState::Terminated || (!next.is_pending() && wait.is_zero()) {
            return self.end_client(id);
        }
        self.client_counts[next as usize] += 1;
        if !next.is_pending() {
            self.set_client_timer(now + wait, id, TimerKind::Deadline);
        }
    }

    fn end_client(&mut self, id: Id) {
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        self.index.remove(&client.key);
        match client.context {
            None => self.cancels -= 1,
            Some(context) => {
                let client = ClientId(id);
                self.outputs
                    .push_back(Output::ClientEnded { client, context });
            }
        }
    }

    fn client_timer(&mut self, now: Instant, id: Id, kind: TimerKind) {
        let Some(client) = self.clients.find_mut(id) else {
            return;
        };
        client.running[kind as usize] = None;
        match kind {
            TimerKind::Retransmit => {
                client.interval = match (client.kind, client.state) {
                    (Kind::Invite, _) => client.interval.saturating_mul(2),
                    (_, ClientState::Proceeding) => client.timers.t2,
                    _ => client.interval.saturating_mul(2).min(client.timers.t2),
                };
                let next = now + client.interval;
                self.client_event(now, id, client::Event::Retransmit, None);
                self.set_client_timer(next, id, TimerKind::Retransmit);
            }
            TimerKind::Deadline => {
                self.client_event(now, id, client::Event::Deadline, None);
            }
            TimerKind::Cancel => {
                self.client_event(now, id, client::Event::CancelDeadline, None);
            }
            TimerKind::Trying => {}
        }
    }

    /// Sends the CANCEL that waits, if one does, and starts the time the INVITE has left (RFC 3261 9.1).
    fn flush_cancel(&mut self, now: Instant, id: Id) {
        let Some(client) = self.clients.find_mut(id) else {
            return;
        };
        let Cancel::Deferred(cancel) = std::mem::replace(&mut client.cancel, Cancel::None) else {
            return;
        };
        client.cancel = Cancel::Sent;
        let (hop, expiry) = (client.hop.clone(), now + client.timers.t1_64());
        // The branch was unique, so this cannot be a duplicate; and a CANCEL is as valid as its INVITE.
        if self
            .start_client(now, Kind::NonInvite, hop, cancel, None)
            .is_ok()
        {
            self.cancels += 1;
        }
        self.set_client_timer(expiry, id, TimerKind::Cancel);
    }

    /// Moves a server transaction; true when the user's response was taken or the ACK is the user's.
    fn server_event(
        &mut self,
        now: Instant,
        id: Id,
        event: server::Event,
        response: Option<Message>,
    ) -> bool {
        let Some(server) = self.servers.find_mut(id) else {
            return false;
        };
        let (next, actions) = server::step(server.kind, server.state, event);
        let user_answers = actions.contains(&server::Action::Send);
        if user_answers {
            server.response = response;
            if let Some(timer) = server.running[TimerKind::Trying as usize].take() {
                self.timers.cancel(timer);
            }
        }
        for &action in actions {
            self.server_act(id, action);
        }
        self.server_enter(now, id, next);
        user_answers || actions.contains(&server::Action::DeliverAck)
    }

    fn server_act(&mut self, id: Id, action: server::Action) {
        let Some(server) = self.servers.find_mut(id) else {
            return;
        };
        match action {
            server::Action::Refuse | server::Action::DeliverAck => return,
            server::Action::Send => {}
            server::Action::Resend => {
                self.counters.responses_resent += u64::from(server.response.is_some());
            }
            server::Action::SendTrying => {
                let trying = |request: &Message| request.response(100, "").finish().ok();
                server.response = server.request.as_ref().and_then(trying);
            }
            server::Action::AckMissing => {
                self.counters.acks_missing += 1;
                let context = server.context.clone();
                self.outputs.push_back(Output::AckMissing {
                    server: ServerId(id),
                    context,
                });
                return;
            }
            server::Action::TransportError => {
                let context = server.context.clone();
                let server = ServerId(id);
                self.outputs
                    .push_back(Output::ServerTransportError { server, context });
                return;
            }
        }
        let origin = Origin::Server(ServerId(id));
        let (hop, message) = (server.hop.clone(), server.response.clone());
        let transmit = message.map(|message| Output::Transmit {
            hop,
            message,
            origin,
        });
        self.outputs.extend(transmit);
    }

    fn server_enter(&mut self, now: Instant, id: Id, next: ServerState) {
        let Some(server) = self.servers.find_mut(id) else {
            return;
        };
        if server.state == next {
            return;
        }
        self.server_counts[server.state as usize] -= 1;
        server.state = next;
        let wait = match (server.kind, next) {
            // Timers L and H.
            (_, ServerState::Accepted) => server.timers.t1_64(),
            (Kind::Invite, ServerState::Completed) => server.timers.t1_64(),
            // Timer J.
            (Kind::NonInvite, ServerState::Completed) if !server.reliable => server.timers.t1_64(),
            // Timer I.
            (_, ServerState::Confirmed) if !server.reliable => server.timers.t4,
            _ => Duration::ZERO,
        };
        let running = std::mem::take(&mut server.running);
        for timer in running.into_iter().flatten() {
            self.timers.cancel(timer);
        }
        if !next.is_pending() {
            server.request = None;
        }
        if next == ServerState::Terminated || (!next.is_pending() && wait.is_zero()) {
            return self.end_server(id);
        }
        self.server_counts[next as usize] += 1;
        if next.is_pending() {
            return;
        }
        let retransmits =
            server.kind == Kind::Invite && next == ServerState::Completed && !server.reliable;
        let retransmit = now + server.interval;
        self.set_server_timer(now + wait, id, TimerKind::Deadline);
        if retransmits {
            self.set_server_timer(retransmit, id, TimerKind::Retransmit);
        }
    }

    fn end_server(&mut self, id: Id) {
        if let Some(server) = self.servers.remove(id) {
            self.index.remove(&server.key);
            let (server, context) = (ServerId(id), server.context);
            self.outputs
                .push_back(Output::ServerEnded { server, context });
        }
    }

    fn server_timer(&mut self, now: Instant, id: Id, kind: TimerKind) {
        let Some(server) = self.servers.find_mut(id) else {
            return;
        };
        server.running[kind as usize] = None;
        match kind {
            TimerKind::Retransmit => {
                server.interval = server.interval.saturating_mul(2).min(server.timers.t2);
                let next = now + server.interval;
                self.server_event(now, id, server::Event::Retransmit, None);
                self.set_server_timer(next, id, TimerKind::Retransmit);
            }
            TimerKind::Deadline => {
                self.server_event(now, id, server::Event::Deadline, None);
            }
            TimerKind::Trying => {
                self.server_event(now, id, server::Event::Trying, None);
            }
            TimerKind::Cancel => {}
        }
    }

    fn set_client_timer(&mut self, at: Instant, id: Id, kind: TimerKind) {
        if let Some(client) = self.clients.find_mut(id) {
            let timer = self.timers.set(at, (Owner::Client(id), kind));
            client.running[kind as usize] = Some(timer);
        }
    }

    fn set_server_timer(&mut self, at: Instant, id: Id, kind: TimerKind) {
        if let Some(server) = self.servers.find_mut(id) {
            let timer = self.timers.set(at, (Owner::Server(id), kind));
            server.running[kind as usize] = Some(timer);
        }
    }
}

/// Timer D is at least this, whatever T1 (RFC 3261 17.1.1.2).
const TIMER_D_MIN: Duration = Duration::from_secs(32);

const REQUEST_LINE: Invalid = Invalid {
    part: crate::Part::RequestUri,
    why: Why::Missing,
};

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Refusal::Invalid(invalid)
    }
}
