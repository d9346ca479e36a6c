//! Client transactions: RFC 3261 17.1 with the accepted state of RFC 6026 7.2.

use std::time::Duration;

use base::{Instant, SlabId};

use super::key::Match;
use super::layer::{Owner, Running};
use super::timers::TimerKind;
use super::{ClientId, Error, Hop, Kind, Layer, Origin, Output, ServerId, server};
use crate::{Draft, HeaderName, Invalid, Message, Why};

/// State of a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientState {
    /// INVITE sent, nothing heard.
    Calling,
    /// Request other than INVITE sent, nothing heard.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// INVITE answered with 2xx; more of them, from other branches, go to the user (RFC 6026 7.2).
    Accepted,
    /// A final response came (to INVITE: 300 to 699); retransmissions of it are absorbed.
    Completed,
    /// Over; the transaction is removed at once.
    Terminated,
}

impl ClientState {
    /// Every state a living transaction can be in.
    pub const ALL: [ClientState; 5] = [
        ClientState::Calling,
        ClientState::Trying,
        ClientState::Proceeding,
        ClientState::Accepted,
        ClientState::Completed,
    ];

    pub(super) const fn initial(kind: Kind) -> Self {
        match kind {
            Kind::Invite => ClientState::Calling,
            Kind::NonInvite => ClientState::Trying,
        }
    }

    /// No final response yet.
    pub fn is_pending(self) -> bool {
        matches!(
            self,
            ClientState::Calling | ClientState::Trying | ClientState::Proceeding
        )
    }
}

/// What can happen to a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// 100 to 199.
    Provisional,
    /// 200 to 299.
    Success,
    /// 300 to 699.
    Failure,
    /// Timer A or E.
    Retransmit,
    /// Timer B, D, F, K or M.
    Deadline,
    /// 64·T1 since the CANCEL went out.
    CancelDeadline,
    /// The transport gave up on a message of ours.
    TransportError,
}

/// What a transition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Hand the response to the user.
    Deliver,
    /// Send the request again.
    Resend,
    /// Build and send the ACK of RFC 3261 17.1.1.3.
    Ack,
    /// Send that ACK again.
    AckAgain,
    /// Send the CANCEL that waited for a provisional response.
    FlushCancel,
    /// Tell the user that no final response came.
    Timeout,
    /// Tell the user that the request cannot be sent.
    TransportError,
}

/// The transition table of both client machines, RFC 3261 Figures 5 and 6, RFC 6026 Figure 8.
///
/// A pair that returns its own state without an action is refused: the event means nothing there.
pub(super) fn step(
    kind: Kind,
    state: ClientState,
    event: Event,
) -> (ClientState, &'static [Action]) {
    use Action as Do;
    use ClientState::{Accepted, Calling, Completed, Proceeding, Terminated, Trying};
    use Event::{
        CancelDeadline, Deadline, Failure, Provisional, Retransmit, Success, TransportError,
    };
    use Kind::{Invite, NonInvite};
    match (kind, state, event) {
        (Invite, Calling, Provisional) => (Proceeding, &[Do::Deliver, Do::FlushCancel]),
        (Invite, Proceeding, Provisional) => (Proceeding, &[Do::Deliver]),
        (Invite, Calling | Proceeding, Success) => (Accepted, &[Do::Deliver]),
        (Invite, Calling | Proceeding, Failure) => (Completed, &[Do::Ack, Do::Deliver]),
        (Invite, Accepted, Success) => (Accepted, &[Do::Deliver]),
        (Invite, Completed, Failure) => (Completed, &[Do::AckAgain]),
        (Invite, Accepted, Provisional | Failure) => (Accepted, &[]),
        (Invite, Completed, Provisional | Success) => (Completed, &[]),

        (NonInvite, Trying | Proceeding, Provisional) => (Proceeding, &[Do::Deliver]),
        (NonInvite, Trying | Proceeding, Success | Failure) => (Completed, &[Do::Deliver]),
        (NonInvite, Completed, Provisional | Success | Failure) => (Completed, &[]),

        (Invite, Calling, Retransmit) => (Calling, &[Do::Resend]),
        (NonInvite, Trying | Proceeding, Retransmit) => (state, &[Do::Resend]),
        (_, _, Retransmit) => (state, &[]),

        // Proceeding of INVITE has no Timer B: its time is the user's matter (Timer C of a proxy).
        (Invite, Proceeding, Deadline) => (Proceeding, &[]),
        (_, Calling | Trying | Proceeding, Deadline) => (Terminated, &[Do::Timeout]),
        (_, Accepted | Completed, Deadline) => (Terminated, &[]),

        (Invite, Proceeding, CancelDeadline) => (Terminated, &[Do::Timeout]),
        (_, _, CancelDeadline) => (state, &[]),

        (_, Calling | Trying | Proceeding, TransportError) => (Terminated, &[Do::TransportError]),
        // The ACK could not be sent (RFC 3261 Figure 5).
        (Invite, Completed, TransportError) => (Terminated, &[Do::TransportError]),
        (_, Accepted | Completed, TransportError) => (state, &[]),

        (Invite, Trying, _) | (NonInvite, Calling | Accepted, _) | (_, Terminated, _) => {
            (Terminated, &[])
        }
    }
}

/// A client transaction.
pub(super) struct Client<H, U> {
    pub(super) kind: Kind,
    pub(super) state: ClientState,
    pub(super) hop: H,
    pub(super) matched: Match,
    /// `None` for a CANCEL of the layer's own, of which the user hears nothing.
    pub(super) context: Option<U>,
    /// After a 300-699 to INVITE.
    pub(super) ack: Option<Message>,
    /// None once it only lingers.
    pub(super) active: Option<Box<Active>>,
}

/// What a client transaction has until a final response.
pub(super) struct Active {
    pub(super) request: Message,
    pub(super) cancel: Cancel,
    /// Last interval of Timer A or E.
    pub(super) interval: Duration,
    pub(super) running: Running,
}

/// The CANCEL of a client INVITE.
pub(super) enum Cancel {
    None,
    /// Waits for a provisional response; without a message where it is handed over.
    Deferred(Option<Message>),
    Sent,
}

impl<H: Hop, U: Clone> Layer<H, U> {
    pub(super) fn start_client(
        &mut self,
        now: Instant,
        kind: Kind,
        hop: H,
        request: Message,
        context: Option<U>,
    ) -> Result<SlabId, Error> {
        let matched = if hop.is_local() {
            Match::Peer(None)
        } else {
            let matched = self.keys.client(&request)?;
            if request.method() != Some(&request.cseq()?.method) {
                return Err(Invalid::header(HeaderName::CSeq, Why::Mismatch).into());
            }
            if self.find(&matched).is_some() {
                return Err(Error::Duplicate);
            }
            matched
        };
        let (timers, reliable) = (hop.timers(), hop.is_reliable());
        let state = ClientState::initial(kind);
        let id = self.clients.insert(Client {
            kind,
            state,
            hop: hop.clone(),
            matched,
            context,
            ack: None,
            active: Some(Box::new(Active {
                request: request.clone(),
                cancel: Cancel::None,
                interval: timers.t1(),
                running: Running::default(),
            })),
        });
        self.client_counts[state as usize] += 1;
        self.counters.clients_made += 1;
        if !reliable {
            self.set_client_timer(now + timers.t1(), id, TimerKind::Retransmit);
        }
        self.set_client_timer(now + timers.t1_64(), id, TimerKind::Deadline);
        let (client, message) = (ClientId(id), request);
        self.outputs.push_back(match matched {
            Match::Key { key, .. } => {
                self.index.insert(key, id);
                Output::Transmit {
                    hop,
                    message,
                    origin: Origin::Client(client),
                }
            }
            Match::Peer(_) => Output::HandOver {
                hop,
                client,
                message,
            },
        });
        Ok(id)
    }

    /// Moves a client transaction; true when the response is to be delivered.
    pub(super) fn client_event(
        &mut self,
        now: Instant,
        id: SlabId,
        event: Event,
        response: Option<&Message>,
    ) -> bool {
        let Some(client) = self.clients.get(id) else {
            return false;
        };
        let (next, actions) = step(client.kind, client.state, event);
        for &action in actions {
            self.client_act(now, id, action, response);
        }
        self.client_enter(now, id, next);
        actions.contains(&Action::Deliver)
    }

    fn client_act(&mut self, now: Instant, id: SlabId, action: Action, response: Option<&Message>) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let context = client.context.clone();
        let message = match action {
            Action::Deliver => None,
            Action::Resend => {
                self.counters.requests_resent += 1;
                client.active.as_ref().map(|active| active.request.clone())
            }
            Action::Ack if client.hop.is_local() => {
                if let Some(server) = client.matched.peer() {
                    self.server_event(now, server, server::Event::Ack, None);
                }
                None
            }
            Action::Ack => {
                // A response whose To cannot be copied gets no ACK; its sender ends by Timer H.
                let ack = client.active.as_ref().zip(response);
                let ack = ack.map(|(active, last)| Draft::ack(&active.request, last).finish());
                client.ack = ack.and_then(Result::ok);
                client.ack.clone()
            }
            Action::AckAgain => client.ack.clone(),
            Action::FlushCancel => return self.flush_cancel(now, id),
            Action::Timeout => {
                self.counters.timeouts += 1;
                let timeout = context.map(|context| Output::ClientTimeout {
                    client: ClientId(id),
                    context,
                });
                self.outputs.extend(timeout);
                None
            }
            Action::TransportError => {
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
            .extend(message.zip(self.clients.get(id)).map(|(message, client)| {
                let origin = Origin::Client(ClientId(id));
                Output::Transmit {
                    hop: client.hop.clone(),
                    message,
                    origin,
                }
            }));
    }

    fn client_enter(&mut self, now: Instant, id: SlabId, next: ClientState) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.state == next {
            return;
        }
        self.client_counts[client.state as usize] -= 1;
        client.state = next;
        let timers = client.hop.timers();
        let wait = match (client.kind, next) {
            // Timer M.
            (_, ClientState::Accepted) => timers.t1_64(),
            (_, ClientState::Completed) if client.hop.is_reliable() => Duration::ZERO,
            // Timers D and K.
            (Kind::Invite, ClientState::Completed) => timers.t1_64().max(TIMER_D_MIN),
            (Kind::NonInvite, ClientState::Completed) => timers.t4(),
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
        if let Some(active) = &mut client.active {
            for &kind in stopped {
                if let Some(timer) = active.running[kind as usize].take() {
                    self.timers.cancel(timer);
                }
            }
        }
        if !next.is_pending() {
            client.active = None;
        }
        if next == ClientState::Terminated || (!next.is_pending() && wait.is_zero()) {
            return self.end_client(id);
        }
        self.client_counts[next as usize] += 1;
        if !next.is_pending() {
            self.lingering_clients.add(now, wait, id);
        }
    }

    fn end_client(&mut self, id: SlabId) {
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        if let Some(key) = client.matched.key() {
            self.index.remove(key);
        }
        match client.context {
            None => self.cancels -= 1,
            Some(context) => {
                let client = ClientId(id);
                self.outputs
                    .push_back(Output::ClientEnded { client, context });
            }
        }
    }

    pub(super) fn client_timer(&mut self, now: Instant, id: SlabId, kind: TimerKind) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let Some(active) = &mut client.active else {
            return;
        };
        active.running[kind as usize] = None;
        match kind {
            TimerKind::Retransmit => {
                let (doubled, t2) = (active.interval.saturating_mul(2), client.hop.timers().t2());
                active.interval = match (client.kind, client.state) {
                    (Kind::Invite, _) => doubled,
                    (_, ClientState::Proceeding) => t2,
                    _ => doubled.min(t2),
                };
                let next = now + active.interval;
                self.client_event(now, id, Event::Retransmit, None);
                self.set_client_timer(next, id, TimerKind::Retransmit);
            }
            TimerKind::Deadline => {
                self.client_event(now, id, Event::Deadline, None);
            }
            TimerKind::Cancel => {
                self.client_event(now, id, Event::CancelDeadline, None);
            }
            TimerKind::Trying => {}
        }
    }

    /// Sends the CANCEL that waits, if one does, and starts the time the INVITE has left (RFC 3261
    /// 9.1).
    pub(super) fn flush_cancel(&mut self, now: Instant, id: SlabId) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let Some(active) = &mut client.active else {
            return;
        };
        let Cancel::Deferred(cancel) = &mut active.cancel else {
            return;
        };
        let cancel = cancel.take();
        active.cancel = Cancel::Sent;
        let (hop, expiry) = (client.hop.clone(), now + client.hop.timers().t1_64());
        let peer = client.matched.peer();
        if let Some(cancel) = cancel {
            // The branch was unique, so this cannot be a duplicate; and a CANCEL is as valid as its
            // INVITE.
            let started = self.start_client(now, Kind::NonInvite, hop, cancel, None);
            self.cancels += usize::from(started.is_ok());
        } else if let Some((peer, server)) = peer.and_then(|id| Some((id, self.servers.get(id)?))) {
            let (server, context) = (ServerId(peer), server.context.clone());
            self.outputs
                .push_back(Output::Cancelled { server, context });
        }
        self.set_client_timer(expiry, id, TimerKind::Cancel);
    }

    fn set_client_timer(&mut self, at: Instant, id: SlabId, kind: TimerKind) {
        let client = self.clients.get_mut(id);
        if let Some(active) = client.and_then(|client| client.active.as_mut()) {
            let timer = self.timers.set(at, (Owner::Client(id), kind));
            active.running[kind as usize] = Some(timer);
        }
    }

    /// A client transaction has lingered long enough.
    pub(super) fn client_lingered(&mut self, now: Instant, id: SlabId) {
        self.client_event(now, id, Event::Deadline, None);
    }
}

/// Timer D is at least this, whatever T1 (RFC 3261 17.1.1.2).
const TIMER_D_MIN: Duration = Duration::from_secs(32);
