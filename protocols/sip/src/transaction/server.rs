//! Server transactions: RFC 3261 17.2 with RFC 6026 7.1 and RFC 4320 4.

use std::time::Duration;

use base::{Instant, SlabId};

use super::key::Match;
use super::layer::{Owner, Running};
use super::timers::TimerKind;
use super::{ClientId, Hop, Kind, Layer, Origin, Output, ServerId};
use crate::{Message, Method};

/// State of a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerState {
    /// Request other than INVITE received, nothing sent.
    Trying,
    /// INVITE received, or a provisional response sent.
    Proceeding,
    /// INVITE answered with 2xx, whose retransmission is the user's matter (RFC 6026 7.1).
    Accepted,
    /// A final response was sent (to INVITE: 300 to 699).
    Completed,
    /// The ACK of a 300 to 699 came.
    Confirmed,
    /// Over; the transaction is removed at once.
    Terminated,
}

impl ServerState {
    /// Every state a living transaction can be in.
    pub const ALL: [ServerState; 5] = [
        ServerState::Trying,
        ServerState::Proceeding,
        ServerState::Accepted,
        ServerState::Completed,
        ServerState::Confirmed,
    ];

    pub(super) const fn initial(kind: Kind) -> Self {
        match kind {
            Kind::Invite => ServerState::Proceeding,
            Kind::NonInvite => ServerState::Trying,
        }
    }

    /// No final response yet.
    pub fn is_pending(self) -> bool {
        matches!(self, ServerState::Trying | ServerState::Proceeding)
    }
}

/// What can happen to a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The request came again.
    Request,
    /// ACK to INVITE.
    Ack,
    /// The user answers with 100 to 199.
    Provisional,
    /// The user answers with 200 to 299.
    Success,
    /// The user answers with 300 to 699.
    Failure,
    /// Timer G.
    Retransmit,
    /// Timer H, I, J or L.
    Deadline,
    /// Time for the automatic 100.
    Trying,
    /// The transport gave up on a message of ours.
    TransportError,
}

/// What a transition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Send the user's response.
    Send,
    /// Send the last response again, if there is one.
    Resend,
    /// Send a 100 of our own.
    SendTrying,
    /// Hand the ACK to the user.
    DeliverAck,
    /// Tell the user that no ACK came.
    AckMissing,
    /// Tell the user that a response could not be sent.
    TransportError,
    /// The user's response does not fit the state.
    Refuse,
}

/// The transition table of both server machines, RFC 3261 Figures 7 and 8, RFC 6026 Figure 7.
///
/// A pair that returns its own state without an action is refused: the event means nothing there.
pub(super) fn step(
    kind: Kind,
    state: ServerState,
    event: Event,
) -> (ServerState, &'static [Action]) {
    use Action as Do;
    use Event::{
        Ack, Deadline, Failure, Provisional, Request, Retransmit, Success, TransportError,
    };
    use Kind::{Invite, NonInvite};
    use ServerState::{Accepted, Completed, Confirmed, Proceeding, Terminated, Trying};
    match (kind, state, event) {
        (Invite, Proceeding, Provisional) => (Proceeding, &[Do::Send]),
        (Invite, Proceeding | Accepted, Success) => (Accepted, &[Do::Send]),
        (Invite, Proceeding, Failure) => (Completed, &[Do::Send]),
        (NonInvite, Trying | Proceeding, Provisional) => (Proceeding, &[Do::Send]),
        (NonInvite, Trying | Proceeding, Success | Failure) => (Completed, &[Do::Send]),
        (_, _, Provisional | Success | Failure) => (state, &[Do::Refuse]),

        (_, Proceeding | Completed, Request) => (state, &[Do::Resend]),
        (_, Trying | Accepted | Confirmed, Request) => (state, &[]),

        (Invite, Completed, Ack) => (Confirmed, &[]),
        (Invite, Accepted, Ack) => (Accepted, &[Do::DeliverAck]),
        (_, _, Ack) => (state, &[]),

        (_, Trying, Event::Trying) => (Proceeding, &[Do::SendTrying]),
        (Invite, Proceeding, Event::Trying) => (Proceeding, &[Do::SendTrying]),
        (_, _, Event::Trying) => (state, &[]),

        (Invite, Completed, Retransmit) => (Completed, &[Do::Resend]),
        (_, _, Retransmit) => (state, &[]),

        (Invite, Completed, Deadline) => (Terminated, &[Do::AckMissing]),
        (_, Completed | Accepted | Confirmed, Deadline) => (Terminated, &[]),
        (_, Trying | Proceeding, Deadline) => (state, &[]),

        // The transaction stays where it is (RFC 6026 8.7, 17.2.4).
        (_, Proceeding | Accepted | Completed, TransportError) => (state, &[Do::TransportError]),
        (_, Trying | Confirmed, TransportError) => (state, &[]),

        (_, Terminated, _) => (Terminated, &[]),
    }
}

/// A server transaction.
pub(super) struct Server<H, U> {
    pub(super) kind: Kind,
    pub(super) state: ServerState,
    pub(super) hop: H,
    pub(super) matched: Match,
    pub(super) context: Option<U>,
    pub(super) response: Option<Message>,
    /// None once it only lingers.
    pub(super) active: Option<Box<Active>>,
}

/// What a server transaction has that does not only wait for its end.
pub(super) struct Active {
    /// Until a final response.
    pub(super) request: Option<Message>,
    /// Last interval of Timer G.
    pub(super) interval: Duration,
    pub(super) running: Running,
}

impl<H: Hop, U: Clone> Layer<H, U> {
    pub(super) fn start_server(
        &mut self,
        now: Instant,
        hop: H,
        request: &Message,
        matched: Match,
    ) -> SlabId {
        let kind = match request.method() {
            Some(Method::Invite) => Kind::Invite,
            _ => Kind::NonInvite,
        };
        let timers = hop.timers();
        let state = ServerState::initial(kind);
        let id = self.servers.insert(Server {
            kind,
            state,
            hop,
            matched,
            context: None,
            response: None,
            active: Some(Box::new(Active {
                request: Some(request.clone()),
                interval: timers.t1(),
                running: Running::default(),
            })),
        });
        if let Match::Key { key, .. } = matched {
            self.index.insert(key, id);
        }
        self.server_counts[state as usize] += 1;
        self.counters.servers_made += 1;
        let trying_after = match kind {
            Kind::Invite => self.config.trying_after,
            Kind::NonInvite => Some(timers.non_invite_trying()),
        };
        match trying_after {
            Some(Duration::ZERO) => {
                self.server_event(now, id, Event::Trying, None);
            }
            Some(after) => self.set_server_timer(now + after, id, TimerKind::Trying),
            None => {}
        }
        id
    }

    /// Moves a server transaction; true when the user's response was taken or the ACK is the
    /// user's.
    pub(super) fn server_event(
        &mut self,
        now: Instant,
        id: SlabId,
        event: Event,
        response: Option<Message>,
    ) -> bool {
        let Some(server) = self.servers.get_mut(id) else {
            return false;
        };
        let (next, actions) = step(server.kind, server.state, event);
        let user_answers = actions.contains(&Action::Send);
        if user_answers {
            server.response = response;
            let active = server.active.as_mut();
            if let Some(timer) =
                active.and_then(|active| active.running[TimerKind::Trying as usize].take())
            {
                self.timers.cancel(timer);
            }
        }
        for &action in actions {
            self.server_act(id, action);
        }
        self.server_enter(now, id, next);
        self.forget_success(id);
        user_answers || actions.contains(&Action::DeliverAck)
    }

    /// A 2xx to INVITE is not sent again from here (RFC 6026 7.1): for 64·T1 it would only take up
    /// room. Without the magic cookie its To tag tells whose an ACK is.
    fn forget_success(&mut self, id: SlabId) {
        if let Some(server) = self.servers.get_mut(id)
            && server.state == ServerState::Accepted
            && !server.matched.is_2543()
        {
            server.response = None;
        }
    }

    fn server_act(&mut self, id: SlabId, action: Action) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        match action {
            Action::Refuse | Action::DeliverAck => return,
            Action::Send => {}
            Action::Resend => {
                self.counters.responses_resent += u64::from(server.response.is_some());
            }
            Action::SendTrying => {
                let trying = |request: &Message| request.response(100, "").finish().ok();
                let request = server
                    .active
                    .as_ref()
                    .and_then(|active| active.request.as_ref());
                server.response = request.and_then(trying);
            }
            Action::AckMissing => {
                self.counters.acks_missing += 1;
                let context = server.context.clone();
                self.outputs.push_back(Output::AckMissing {
                    server: ServerId(id),
                    context,
                });
                return;
            }
            Action::TransportError => {
                let context = server.context.clone();
                let server = ServerId(id);
                self.outputs
                    .push_back(Output::ServerTransportError { server, context });
                return;
            }
        }
        let Some(message) = server.response.clone() else {
            return;
        };
        let hop = server.hop.clone();
        self.outputs.push_back(match server.matched.peer() {
            None => Output::Transmit {
                hop,
                message,
                origin: Origin::Server(ServerId(id)),
            },
            Some(client) => Output::HandOver {
                hop,
                client: ClientId(client),
                message,
            },
        });
    }

    fn server_enter(&mut self, now: Instant, id: SlabId, next: ServerState) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        if server.state == next {
            return;
        }
        self.server_counts[server.state as usize] -= 1;
        server.state = next;
        let (timers, reliable) = (server.hop.timers(), server.hop.is_reliable());
        let wait = match (server.kind, next) {
            // Timers L and H.
            (_, ServerState::Accepted) => timers.t1_64(),
            (Kind::Invite, ServerState::Completed) => timers.t1_64(),
            // Timer J.
            (Kind::NonInvite, ServerState::Completed) if !reliable => timers.t1_64(),
            // Timer I.
            (_, ServerState::Confirmed) if !reliable => timers.t4(),
            _ => Duration::ZERO,
        };
        if let Some(active) = &mut server.active {
            for timer in std::mem::take(&mut active.running).into_iter().flatten() {
                self.timers.cancel(timer);
            }
        }
        let ends = next == ServerState::Terminated || (!next.is_pending() && wait.is_zero());
        if ends {
            return self.end_server(id);
        }
        self.server_counts[next as usize] += 1;
        if next.is_pending() {
            return;
        }
        if (server.kind, next) != (Kind::Invite, ServerState::Completed) {
            server.active = None;
            return self.lingering_servers.add(now, wait, id);
        }
        if let Some(active) = &mut server.active {
            active.request = None;
        }
        self.set_server_timer(now + wait, id, TimerKind::Deadline);
        if !reliable {
            self.set_server_timer(now + timers.t1(), id, TimerKind::Retransmit);
        }
    }

    fn end_server(&mut self, id: SlabId) {
        if let Some(server) = self.servers.remove(id) {
            if let Some(key) = server.matched.key() {
                self.index.remove(key);
            }
            let (server, context) = (ServerId(id), server.context);
            self.outputs
                .push_back(Output::ServerEnded { server, context });
        }
    }

    pub(super) fn server_timer(&mut self, now: Instant, id: SlabId, kind: TimerKind) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        let Some(active) = &mut server.active else {
            return;
        };
        active.running[kind as usize] = None;
        match kind {
            TimerKind::Retransmit => {
                let interval = active.interval.saturating_mul(2);
                active.interval = interval.min(server.hop.timers().t2());
                let next = now + active.interval;
                self.server_event(now, id, Event::Retransmit, None);
                self.set_server_timer(next, id, TimerKind::Retransmit);
            }
            TimerKind::Deadline => {
                self.server_event(now, id, Event::Deadline, None);
            }
            TimerKind::Trying => {
                self.server_event(now, id, Event::Trying, None);
            }
            TimerKind::Cancel => {}
        }
    }

    fn set_server_timer(&mut self, at: Instant, id: SlabId, kind: TimerKind) {
        let server = self.servers.get_mut(id);
        if let Some(active) = server.and_then(|server| server.active.as_mut()) {
            let timer = self.timers.set(at, (Owner::Server(id), kind));
            active.running[kind as usize] = Some(timer);
        }
    }

    /// A server transaction has lingered long enough.
    pub(super) fn server_lingered(&mut self, now: Instant, id: SlabId) {
        self.server_event(now, id, Event::Deadline, None);
    }
}
