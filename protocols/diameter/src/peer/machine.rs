//! The peer state machine, RFC 6733 5.6.

/// State of a peer. `I` is the connection this node opened, `R` the one the peer opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No connection.
    Closed,
    /// I is being opened.
    WaitConnAck,
    /// CER was sent on I.
    WaitICea,
    /// I is being opened, CER came on R.
    WaitConnAckElect,
    /// CER was sent on I and came on R: the election decides.
    WaitReturns,
    /// Open by I.
    IOpen,
    /// Open by R.
    ROpen,
    /// DPR was sent or answered; the connection is about to end.
    Closing,
}

impl State {
    /// True while messages of applications may be exchanged.
    pub const fn is_open(self) -> bool {
        matches!(self, State::IOpen | State::ROpen)
    }
}

/// What happens to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is time to connect.
    Start,
    /// I is open.
    IRcvConnAck,
    /// I could not be opened.
    IRcvConnNack,
    /// A successful CEA came on I.
    IRcvCea,
    /// Another message than that came on I.
    IRcvNonCea,
    /// I was lost.
    IPeerDisc,
    /// An acceptable CER came on a new connection.
    RConnCer,
    /// R was lost.
    RPeerDisc,
    /// This node won the election, RFC 6733 5.6.4.
    WinElection,
    /// The timer of the state ended.
    Timeout,
    /// The peer is not wanted any more.
    Stop,
    /// DPR came on the open connection.
    RcvDpr,
    /// DPA came on the closing connection.
    RcvDpa,
}

/// What is to be done about it, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// I-Snd-Conn-Req.
    Connect,
    /// I-Snd-CER.
    SendCer,
    /// R-Accept: the new connection becomes R.
    Accept,
    /// R-Reject: the new connection is closed.
    Reject,
    /// R-Snd-CEA.
    SendCea,
    /// Elect: may issue [`Event::WinElection`].
    Elect,
    /// I-Disc.
    CloseI,
    /// R-Disc.
    CloseR,
    /// Snd-DPR.
    SendDpr,
    /// Snd-DPA.
    SendDpa,
    /// The peer takes messages from now on.
    Up,
    /// The peer takes no more messages.
    Down,
    /// Ask on the old connection whether it lives: the peer opened a new one, so it may have
    /// restarted.
    Probe,
}

/// The next state and the actions that lead there; `None` where the event means nothing.
pub(crate) fn step(state: State, event: Event) -> Option<(State, &'static [Action])> {
    use Action::{
        Accept, CloseI, CloseR, Connect, Down, Elect, Probe, Reject, SendCea, SendCer, SendDpa,
        SendDpr, Up,
    };
    use State::{
        Closed, Closing, IOpen, ROpen, WaitConnAck, WaitConnAckElect, WaitICea, WaitReturns,
    };
    Some(match (state, event) {
        (Closed, Event::Start) => (WaitConnAck, &[Connect]),
        (Closed, Event::RConnCer) => (ROpen, &[Accept, SendCea, Up]),

        (WaitConnAck, Event::IRcvConnAck) => (WaitICea, &[SendCer]),
        (WaitConnAck, Event::IRcvConnNack) => (Closed, &[CloseI]),
        (WaitConnAck, Event::RConnCer) => (WaitConnAckElect, &[Accept]),
        (WaitConnAck, Event::Timeout | Event::Stop) => (Closed, &[CloseI]),

        (WaitICea, Event::IRcvCea) => (IOpen, &[Up]),
        (WaitICea, Event::RConnCer) => (WaitReturns, &[Accept, Elect]),
        (WaitICea, Event::IPeerDisc | Event::IRcvNonCea | Event::Timeout | Event::Stop) => {
            (Closed, &[CloseI])
        }

        (WaitConnAckElect, Event::IRcvConnAck) => (WaitReturns, &[SendCer, Elect]),
        (WaitConnAckElect, Event::IRcvConnNack) => (ROpen, &[CloseI, SendCea, Up]),
        (WaitConnAckElect, Event::RPeerDisc) => (WaitConnAck, &[CloseR]),
        (WaitConnAckElect, Event::RConnCer) => (WaitConnAckElect, &[Reject]),
        (WaitConnAckElect, Event::Timeout | Event::Stop) => (Closed, &[CloseI, CloseR]),

        (WaitReturns, Event::WinElection | Event::IPeerDisc | Event::IRcvNonCea) => {
            (ROpen, &[CloseI, SendCea, Up])
        }
        (WaitReturns, Event::IRcvCea) => (IOpen, &[CloseR, Up]),
        (WaitReturns, Event::RPeerDisc) => (WaitICea, &[CloseR]),
        (WaitReturns, Event::RConnCer) => (WaitReturns, &[Reject]),
        (WaitReturns, Event::Timeout | Event::Stop) => (Closed, &[CloseI, CloseR]),

        (IOpen | ROpen, Event::RConnCer) => (state, &[Reject, Probe]),
        (IOpen | ROpen, Event::Stop) => (Closing, &[SendDpr, Down]),
        (IOpen | ROpen, Event::RcvDpr) => (Closing, &[SendDpa, Down]),
        (IOpen, Event::IPeerDisc) => (Closed, &[CloseI, Down]),
        (ROpen, Event::RPeerDisc) => (Closed, &[CloseR, Down]),

        (Closing, Event::RcvDpa | Event::IPeerDisc | Event::RPeerDisc | Event::Timeout) => {
            (Closed, &[CloseI, CloseR])
        }
        (Closing, Event::RConnCer) => (Closing, &[Reject]),

        _ => return None,
    })
}

/// The election of RFC 6733 5.6.4: true when this node's Origin-Host is the greater one.
///
/// Octet by octet, letters without case; the shorter one is as if padded with zeros.
pub(crate) fn wins_election(local: &str, remote: &str) -> bool {
    let lower = |text: &str| text.to_ascii_lowercase().into_bytes();
    lower(local) > lower(remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 8] = [
        State::Closed,
        State::WaitConnAck,
        State::WaitICea,
        State::WaitConnAckElect,
        State::WaitReturns,
        State::IOpen,
        State::ROpen,
        State::Closing,
    ];
    const EVENTS: [Event; 13] = [
        Event::Start,
        Event::IRcvConnAck,
        Event::IRcvConnNack,
        Event::IRcvCea,
        Event::IRcvNonCea,
        Event::IPeerDisc,
        Event::RConnCer,
        Event::RPeerDisc,
        Event::WinElection,
        Event::Timeout,
        Event::Stop,
        Event::RcvDpr,
        Event::RcvDpa,
    ];

    /// RFC 6733 5.6 as a grid: rows are states, columns the events above. `.` is refused; the
    /// letter is the next state (C closed, A wait conn ack, E wait I CEA, X wait conn ack/elect, W
    /// wait returns, I and R open, G closing).
    const GRID: [&str; 8] = [
        "A.....R......",
        ".EC...X..CC..",
        "...ICCW..CC..",
        ".WR...XA.CC..",
        "...IRRWERCC..",
        ".....CI...GG.",
        "......RC..GG.",
        ".....CGC.C..C",
    ];

    #[test]
    fn every_state_and_event_leads_where_the_table_says() {
        for (row, state) in GRID.iter().zip(STATES) {
            for (cell, event) in row.chars().zip(EVENTS) {
                let next = step(state, event).map(|(next, _)| next);
                let expected = "CAEXWIRG".find(cell).map(|index| STATES[index]);
                assert_eq!(next, expected, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn up_and_down_alternate_on_every_path() {
        for state in STATES {
            for event in EVENTS {
                let Some((next, actions)) = step(state, event) else {
                    continue;
                };
                let up = actions.contains(&Action::Up);
                let down = actions.contains(&Action::Down);
                assert_eq!(
                    up,
                    !state.is_open() && next.is_open(),
                    "{state:?} {event:?}"
                );
                assert_eq!(
                    down,
                    state.is_open() && !next.is_open(),
                    "{state:?} {event:?}"
                );
            }
        }
    }

    #[test]
    fn the_greater_host_wins_the_election_without_regard_to_case() {
        assert!(wins_election("b.test", "a.test"));
        assert!(!wins_election("a.test", "b.test"));
        assert!(wins_election("B.test", "a.test"));
        assert!(wins_election("a.test.x", "a.test"));
        assert!(!wins_election("a.test", "A.TEST"));
    }
}
