//! Server transactions: RFC 3261 17.2 with RFC 6026 7.1 and RFC 4320 4.

use super::Kind;

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
