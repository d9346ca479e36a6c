//! Client transactions: RFC 3261 17.1 with the accepted state of RFC 6026 7.2.

use super::Kind;

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
