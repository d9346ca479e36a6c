//! All transactions of a node.

use std::collections::VecDeque;

use base::{Entropy, Instant, Slab, SlabId, TimerId, TimerQueue};

use super::client::{self, Cancel, Client, ClientState};
use super::key::{Index, Keys, Match};
use super::lingering::Lingering;
use super::server::{self, Server, ServerState};
use super::timers::TimerKind;
use super::{
    Cancelled, ClientId, Config, Counters, Error, Hop, Kind, Origin, Output, Received, Refusal,
    ServerId, TIMERS_PER_CALL_MAX,
};
use crate::{Draft, HeaderName, Invalid, Message, Method, Why};

/// The client and server transactions of a node, RFC 3261 17; see the [module](super).
///
/// `H` names a transport and peer, `U` is what callers attach to transactions to find their own
/// state. Receiving, sending and each timer cost one hash or less and O(log n) in the timers that
/// run.
pub struct Layer<H, U> {
    pub(super) config: Config,
    pub(super) clients: Slab<Client<H, U>>,
    pub(super) servers: Slab<Server<H, U>>,
    pub(super) keys: Keys,
    pub(super) index: Index,
    pub(super) timers: TimerQueue<(Owner, TimerKind)>,
    pub(super) lingering_clients: Lingering,
    pub(super) lingering_servers: Lingering,
    pub(super) outputs: VecDeque<Output<H, U>>,
    pub(super) counters: Counters,
    pub(super) client_counts: [usize; ClientState::ALL.len()],
    pub(super) server_counts: [usize; ServerState::ALL.len()],
    pub(super) cancels: usize,
}

/// Timers of one transaction that run, by kind.
pub(super) type Running = [Option<TimerId>; TimerKind::ALL.len()];

/// Whose timer it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Client(SlabId),
    Server(SlabId),
}

impl<H: Hop, U: Clone> Layer<H, U> {
    /// A layer without transactions.
    pub fn new(config: Config, entropy: &mut Entropy) -> Self {
        Self {
            config,
            clients: Slab::new(),
            servers: Slab::new(),
            keys: Keys::new(entropy),
            index: Index::default(),
            timers: TimerQueue::new(),
            lingering_clients: Lingering::default(),
            lingering_servers: Lingering::default(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            client_counts: [0; ClientState::ALL.len()],
            server_counts: [0; ServerState::ALL.len()],
            cancels: 0,
        }
    }

    /// Takes a message from the transport.
    ///
    /// `hop` of a request is where its responses go: `received` and `rport` of its top Via, as the
    /// transport set them (RFC 3261 18.2.2, RFC 3581 4). That of a response or an ACK only tells
    /// where it came from ([`Hop::is_peer`]).
    pub fn handle_message(&mut self, now: Instant, hop: H, message: Message) -> Received<U> {
        let result = match message.method() {
            None => self.handle_response(now, &hop, &message),
            Some(Method::Ack) => self.handle_ack(now, &hop, &message),
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

    /// Takes what came out as [`Output::HandOver`]; `hop` as its receiver sees it. A request that
    /// is refused was answered already: its client hears of a failure of the transport.
    pub fn handle_local(
        &mut self,
        now: Instant,
        hop: H,
        client: ClientId,
        message: Message,
    ) -> Received<U> {
        if message.is_request() {
            return self.handle_local_request(now, hop, client, message);
        }
        self.deliver(now, client.0, message)
    }

    fn handle_local_request(
        &mut self,
        now: Instant,
        hop: H,
        client: ClientId,
        message: Message,
    ) -> Received<U> {
        if !self.has_room_for_server(now) {
            self.counters.requests_refused += 1;
            self.client_event(now, client.0, client::Event::TransportError, None);
            let why = Refusal::Limit;
            return Received::Refused { message, why };
        }
        // It may have been given up meanwhile.
        if self.clients.get(client.0).is_none() {
            return Received::Absorbed;
        }
        let server = self.start_server(now, hop, &message, Match::Peer(Some(client.0)));
        if let Some(client) = self.clients.get_mut(client.0) {
            client.matched = Match::Peer(Some(server));
        }
        let server = ServerId(server);
        Received::Request { server, message }
    }

    /// True for a request that belongs to a server transaction there is: a retransmission.
    pub fn has_server(&self, request: &Message) -> bool {
        let method = request.method();
        let matched = method.and_then(|method| self.keys.server(request, method).ok());
        matched.is_some_and(|matched| self.find(&matched).is_some())
    }

    /// Sends a response of the user's.
    ///
    /// To a request other than INVITE, 408 is swallowed as RFC 4320 4.2 asks: the transaction
    /// completes in silence.
    ///
    /// # Errors
    /// `Gone`, `Answered`, `Provisional`; `Misuse` when `response` is a request.
    pub fn respond(&mut self, now: Instant, id: ServerId, response: Message) -> Result<(), Error> {
        let status = response.status().ok_or(Error::Misuse)?;
        let server = self.servers.get(id.0).ok_or(Error::Gone)?;
        let event = match status {
            100..200 => server::Event::Provisional,
            200..300 => server::Event::Success,
            _ => server::Event::Failure,
        };
        let silent = server.kind == Kind::NonInvite && status == 408;
        if server.kind == Kind::NonInvite && event == server::Event::Provisional {
            let early = server.state == ServerState::Trying && !server.hop.is_reliable();
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

    /// Sends a request other than ACK in a new client transaction. Its top Via is the caller's own,
    /// with a branch never used before.
    ///
    /// # Errors
    /// `Limit`, `Duplicate`, `Invalid`; `Misuse` for responses, ACK and CANCEL ([`Layer::cancel`]
    /// sends those).
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
        if !self.has_room_for_client(now) {
            self.counters.clients_refused += 1;
            return Err(Error::Limit);
        }
        self.start_client(now, kind, hop, request, Some(context))
            .map(ClientId)
    }

    /// Cancels an INVITE (RFC 3261 9.1): at once when a provisional response has come, else as soon
    /// as one comes.
    ///
    /// `headers` go into the CANCEL, where one is written: Reason (RFC 3326). Without a final
    /// response within 64·T1 of
    /// the CANCEL the INVITE ends as timed out.
    ///
    /// # Errors
    /// `Edit`: the CANCEL cannot be written.
    pub fn cancel(
        &mut self,
        now: Instant,
        id: ClientId,
        headers: &[(HeaderName, &str)],
    ) -> Result<Cancelled, Error> {
        let Some(client) = self.clients.get_mut(id.0) else {
            return Ok(Cancelled::Ignored);
        };
        let cancellable = client.kind == Kind::Invite && client.state.is_pending();
        let Some(active) = client.active.as_mut().filter(|_| cancellable) else {
            return Ok(Cancelled::Ignored);
        };
        if !matches!(active.cancel, Cancel::None) {
            return Ok(Cancelled::Ignored);
        }
        let cancel = if client.hop.is_local() {
            None
        } else {
            let mut draft = Draft::cancel(&active.request);
            for (name, value) in headers {
                draft.append(*name, value);
            }
            Some(draft.finish()?)
        };
        active.cancel = Cancel::Deferred(cancel);
        if client.state == ClientState::Calling {
            return Ok(Cancelled::Deferred);
        }
        self.flush_cancel(now, id.0);
        Ok(Cancelled::Sent)
    }

    /// Sends a message outside all transactions: the ACK of a 2xx (RFC 3261 13.2.2.4), a stateless
    /// response.
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

    /// The transport lost a connection: every client transaction that waits for a response over it
    /// fails.
    ///
    /// Looks at all client transactions. Server transactions go on: their responses may find
    /// another way (RFC 3261 18.2.2).
    pub fn handle_hop_lost(&mut self, now: Instant, lost: impl Fn(&H) -> bool) {
        let pending = self
            .clients
            .iter()
            .filter(|(_, client)| client.state.is_pending());
        let failed: Vec<SlabId> = pending
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
            match self.timers.pop_due(now) {
                Some((Owner::Client(id), kind)) => self.client_timer(now, id, kind),
                Some((Owner::Server(id), kind)) => self.server_timer(now, id, kind),
                None => {
                    if let Some(id) = self.lingering_servers.pop_due(now) {
                        self.server_lingered(now, id);
                    } else if let Some(id) = self.lingering_clients.pop_due(now) {
                        self.client_lingered(now, id);
                    } else {
                        return;
                    }
                }
            }
        }
    }

    /// When to call [`Layer::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [
            self.timers.next_timeout(),
            self.lingering_clients.next_timeout(),
            self.lingering_servers.next_timeout(),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output<H, U>> {
        self.outputs.pop_front()
    }

    /// Attaches something to a server transaction, replacing what was there; false when it is over.
    pub fn set_server_context(&mut self, id: ServerId, context: U) -> bool {
        let server = self.servers.get_mut(id.0);
        server
            .map(|server| server.context = Some(context))
            .is_some()
    }

    /// What was attached to a server transaction.
    pub fn server_context(&self, id: ServerId) -> Option<&U> {
        self.servers.get(id.0)?.context.as_ref()
    }

    /// The request of a server transaction, until it has a final response.
    pub fn server_request(&self, id: ServerId) -> Option<&Message> {
        self.servers.get(id.0)?.active.as_ref()?.request.as_ref()
    }

    /// Where the responses of a server transaction go.
    pub fn server_hop(&self, id: ServerId) -> Option<&H> {
        Some(&self.servers.get(id.0)?.hop)
    }

    /// State of a server transaction, `None` when it is over.
    pub fn server_state(&self, id: ServerId) -> Option<ServerState> {
        Some(self.servers.get(id.0)?.state)
    }

    /// Attaches something else to a client transaction; false when it is over.
    pub fn set_client_context(&mut self, id: ClientId, context: U) -> bool {
        let client = self.clients.get_mut(id.0);
        client
            .map(|client| client.context = Some(context))
            .is_some()
    }

    /// What was attached to a client transaction.
    pub fn client_context(&self, id: ClientId) -> Option<&U> {
        self.clients.get(id.0)?.context.as_ref()
    }

    /// The request of a client transaction, until it has a final response.
    pub fn client_request(&self, id: ClientId) -> Option<&Message> {
        Some(&self.clients.get(id.0)?.active.as_ref()?.request)
    }

    /// Where a client transaction sends.
    pub fn client_hop(&self, id: ClientId) -> Option<&H> {
        Some(&self.clients.get(id.0)?.hop)
    }

    /// State of a client transaction, `None` when it is over.
    pub fn client_state(&self, id: ClientId) -> Option<ClientState> {
        Some(self.clients.get(id.0)?.state)
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
        self.timers.len() + self.lingering_clients.len() + self.lingering_servers.len()
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
        let matched = self.keys.server(message, method)?;
        if let Some(id) = self.find(&matched) {
            self.counters.requests_again += 1;
            self.server_event(now, id, server::Event::Request, None);
            return Ok(Received::Absorbed);
        }
        // What a response copies must be there (RFC 3261 8.2.6).
        message.from()?;
        message.to()?;
        message.call_id()?;
        if !self.has_room_for_server(now) {
            return Err(Refusal::Limit);
        }
        let invite = match method {
            Method::Cancel => self
                .find(&self.keys.server(message, &Method::Invite)?)
                .filter(|&id| self.is_from_client(id, &hop)),
            _ => None,
        };
        let server = ServerId(self.start_server(now, hop, message, matched));
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

    fn handle_ack(
        &mut self,
        now: Instant,
        hop: &H,
        message: &Message,
    ) -> Result<Received<U>, Refusal> {
        if message.cseq()?.method != Method::Ack {
            return Err(Invalid::header(HeaderName::CSeq, Why::Mismatch).into());
        }
        let found = self
            .find(&self.keys.server(message, &Method::Invite)?)
            .filter(|&id| self.is_ack_of(id, message) && self.is_from_client(id, hop));
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

    /// Without the magic cookie the To tag of the ACK must be that of the response (RFC 3261
    /// 17.2.3).
    fn is_ack_of(&self, id: SlabId, ack: &Message) -> bool {
        self.servers.get(id).is_some_and(|server| {
            let sent = server.response.as_ref().and_then(Message::to_tag);
            !server.matched.is_2543() || sent == ack.to_tag()
        })
    }

    /// Where there is no more room, what lingers longest makes some: what it would have absorbed is
    /// less than a request that is refused.
    fn has_room_for_client(&mut self, now: Instant) -> bool {
        while self.clients.len() - self.cancels >= self.config.clients_max {
            let Some(id) = self.lingering_clients.pop_first() else {
                return false;
            };
            self.counters.cut_short += 1;
            self.client_lingered(now, id);
        }
        true
    }

    fn has_room_for_server(&mut self, now: Instant) -> bool {
        while self.servers.len() >= self.config.servers_max {
            let Some(id) = self.lingering_servers.pop_first() else {
                return false;
            };
            self.counters.cut_short += 1;
            self.server_lingered(now, id);
        }
        true
    }

    /// The transaction whose messages say the same.
    pub(super) fn find(&self, matched: &Match) -> Option<SlabId> {
        self.index.get(matched.key()?).copied()
    }

    fn is_from_client(&self, id: SlabId, hop: &H) -> bool {
        let server = self.servers.get(id);
        server.is_some_and(|server| server.hop.is_peer(hop))
    }

    fn is_from_server(&self, id: SlabId, hop: &H) -> bool {
        let client = self.clients.get(id);
        client.is_some_and(|client| client.hop.is_peer(hop))
    }

    fn handle_response(
        &mut self,
        now: Instant,
        hop: &H,
        message: &Message,
    ) -> Result<Received<U>, Refusal> {
        let found = self.find(&self.keys.client(message)?);
        let Some(id) = found.filter(|&id| self.is_from_server(id, hop)) else {
            self.counters.responses_stray += 1;
            return Ok(Received::StrayResponse {
                message: message.clone(),
            });
        };
        Ok(self.deliver(now, id, message.clone()))
    }

    /// Hands a response to a client transaction.
    fn deliver(&mut self, now: Instant, id: SlabId, message: Message) -> Received<U> {
        let event = match message.status().unwrap_or_default() {
            100..200 => client::Event::Provisional,
            200..300 => client::Event::Success,
            _ => client::Event::Failure,
        };
        let client = self.clients.get(id);
        let context = client.and_then(|client| client.context.clone());
        if !self.client_event(now, id, event, Some(&message)) {
            self.counters.responses_again += 1;
            return Received::Absorbed;
        }
        match context {
            None => Received::Absorbed,
            Some(context) => Received::Response {
                client: ClientId(id),
                context,
                message,
            },
        }
    }
}

const REQUEST_LINE: Invalid = Invalid {
    part: crate::Part::RequestUri,
    why: Why::Missing,
};

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Refusal::Invalid(invalid)
    }
}
