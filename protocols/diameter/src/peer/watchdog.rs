//! The watchdog of a connection, RFC 3539 3.4.1.

/// State of a peer's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Known to work.
    Okay,
    /// Came back after a failure and is on trial: three watchdogs must be answered.
    Reopen,
    /// A watchdog was not answered: requests go elsewhere if they can.
    Suspect,
    /// No connection since a failure.
    Down,
    /// No connection ever.
    Initial,
}

/// The machine. Its timer runs for Tw from each `true` of a method's result.
#[derive(Debug)]
pub(crate) struct Watchdog {
    health: Health,
    pending: bool,
    /// NumDWA: answers while on trial, -1 after one was missed.
    answers: i8,
}

/// Answers that end the trial.
const TRIAL_ANSWERS: i8 = 3;

/// What a timer that ended calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Nothing but another turn.
    Wait,
    /// Send DWR.
    Send,
    /// Move what waits for answers to other peers.
    Failover,
    /// Give the connection up.
    Close,
}

impl Watchdog {
    pub(crate) const fn new() -> Watchdog {
        Watchdog {
            health: Health::Initial,
            pending: false,
            answers: 0,
        }
    }

    pub(crate) const fn health(&self) -> Health {
        self.health
    }

    /// Connection up. True when a DWR is to be sent at once.
    pub(crate) fn up(&mut self) -> bool {
        let after_failure = self.health != Health::Initial;
        self.pending = after_failure;
        self.answers = 0;
        self.health = if after_failure {
            Health::Reopen
        } else {
            Health::Okay
        };
        after_failure
    }

    /// Connection down by failure.
    pub(crate) fn fail(&mut self) {
        self.health = Health::Down;
    }

    /// Connection down by agreement (DPR): the next one needs no trial.
    pub(crate) fn end(&mut self) {
        self.health = Health::Initial;
    }

    /// A message came; `dwa` if it was the answer to a DWR. True when the timer starts anew.
    pub(crate) fn received(&mut self, dwa: bool) -> bool {
        if dwa {
            self.pending = false;
        }
        match self.health {
            Health::Okay | Health::Suspect => {
                self.health = Health::Okay;
                true
            }
            Health::Reopen if dwa => {
                self.answers += 1;
                if self.answers == TRIAL_ANSWERS {
                    self.health = Health::Okay;
                }
                false
            }
            _ => false,
        }
    }

    /// The timer ended; it starts anew unless the result is `Close`.
    pub(crate) fn expired(&mut self) -> Expiry {
        match (self.health, self.pending) {
            (Health::Okay | Health::Reopen, false) => {
                self.pending = true;
                Expiry::Send
            }
            (Health::Okay, true) => {
                self.health = Health::Suspect;
                Expiry::Failover
            }
            (Health::Suspect, _) => Expiry::Close,
            (Health::Reopen, true) if self.answers < 0 => Expiry::Close,
            (Health::Reopen, true) => {
                self.answers = -1;
                Expiry::Wait
            }
            (Health::Down | Health::Initial, _) => Expiry::Wait,
        }
    }

    /// A DWR out of turn. True when none is under way.
    pub(crate) fn probe(&mut self) -> bool {
        !std::mem::replace(&mut self.pending, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn okay() -> Watchdog {
        let mut watchdog = Watchdog::new();
        assert!(!watchdog.up(), "the first connection needs no trial");
        watchdog
    }

    #[test]
    fn silence_is_asked_then_suspected_then_closed() {
        let mut watchdog = okay();
        assert_eq!(watchdog.expired(), Expiry::Send);
        assert_eq!(watchdog.expired(), Expiry::Failover);
        assert_eq!(watchdog.health(), Health::Suspect);
        assert_eq!(watchdog.expired(), Expiry::Close);
    }

    #[test]
    fn any_message_clears_suspicion() {
        let mut watchdog = okay();
        watchdog.expired();
        watchdog.expired();
        assert!(watchdog.received(false));
        assert_eq!(watchdog.health(), Health::Okay);
        // The DWR is still unanswered, so the next silence is suspicious at once.
        assert_eq!(watchdog.expired(), Expiry::Failover);
        assert!(watchdog.received(true));
        assert_eq!(watchdog.expired(), Expiry::Send);
    }

    #[test]
    fn three_answers_end_the_trial_after_a_failure() {
        let mut watchdog = okay();
        watchdog.fail();
        assert!(watchdog.up());
        assert_eq!(watchdog.health(), Health::Reopen);
        for _ in 0..2 {
            assert!(!watchdog.received(true));
            assert_eq!(watchdog.health(), Health::Reopen);
            assert_eq!(watchdog.expired(), Expiry::Send);
        }
        watchdog.received(true);
        assert_eq!(watchdog.health(), Health::Okay);
    }

    #[test]
    fn silence_on_trial_closes_after_two_more_turns() {
        let mut watchdog = okay();
        watchdog.fail();
        watchdog.up();
        assert_eq!(watchdog.expired(), Expiry::Wait);
        assert_eq!(watchdog.expired(), Expiry::Close);
    }

    #[test]
    fn an_agreed_end_needs_no_trial() {
        let mut watchdog = okay();
        watchdog.end();
        assert!(!watchdog.up());
    }
}
