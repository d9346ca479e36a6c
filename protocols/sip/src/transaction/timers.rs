//! The timers of RFC 3261 17 and Table 4, with the values of TS 24.229 7.7.

use std::time::Duration;

/// T1, T2 and T4 of one interface; every other timer follows from them.
///
/// Milliseconds in 32 bits, since each transaction keeps them: 49 days at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    t1_ms: u32,
    t2_ms: u32,
    t4_ms: u32,
}

impl Timers {
    /// Between elements of the core network: the defaults of RFC 3261 Table 4.
    pub const CORE: Timers = Timers::from_millis(500, 4_000, 5_000);

    /// Between UE and P-CSCF: TS 24.229 Table 7.7.1.
    pub const GM: Timers = Timers::from_millis(2_000, 16_000, 17_000);

    /// T1, T2 and T4 in milliseconds.
    pub const fn from_millis(t1_ms: u32, t2_ms: u32, t4_ms: u32) -> Self {
        Self {
            t1_ms,
            t2_ms,
            t4_ms,
        }
    }

    /// Round-trip time estimate.
    pub const fn t1(&self) -> Duration {
        Duration::from_millis(self.t1_ms as u64)
    }

    /// Longest interval between retransmissions of a non-INVITE request or an INVITE response.
    pub const fn t2(&self) -> Duration {
        Duration::from_millis(self.t2_ms as u64)
    }

    /// How long a message may stay in the network.
    pub const fn t4(&self) -> Duration {
        Duration::from_millis(self.t4_ms as u64)
    }

    /// 64·T1: Timers B, F, H, J, L and M, and D, which must exceed 32 s and 128 s on Gm.
    pub const fn t1_64(&self) -> Duration {
        self.t1().saturating_mul(64)
    }

    /// When a client's Timer E reaches T2: the earliest 100 to a non-INVITE request (RFC 4320 4.1).
    pub fn non_invite_trying(&self) -> Duration {
        let (mut interval, mut elapsed) = (self.t1(), Duration::ZERO);
        // T2 is at least T1 and finite, so doubling ends within the 96 bits of a Duration.
        while interval < self.t2() && !interval.is_zero() {
            elapsed += interval;
            interval = interval.saturating_mul(2);
        }
        elapsed
    }
}

/// What a timer of a transaction does when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimerKind {
    /// Timers A, E and G.
    Retransmit,
    /// Timers B, F, H and the waiting ones: D, I, J, K, L, M.
    Deadline,
    /// The automatic 100 of a server, RFC 3261 17.2.1 and RFC 4320 4.1.
    Trying,
    /// 64·T1 after a CANCEL was sent, RFC 3261 9.1.
    Cancel,
}

impl TimerKind {
    pub(super) const ALL: [TimerKind; 4] = [
        TimerKind::Retransmit,
        TimerKind::Deadline,
        TimerKind::Trying,
        TimerKind::Cancel,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_tables() {
        assert_eq!(Timers::CORE.t1_64(), Duration::from_secs(32));
        assert_eq!(Timers::GM.t1_64(), Duration::from_secs(128));
    }

    #[test]
    fn trying_waits_until_timer_e_reaches_t2() {
        assert_eq!(
            Timers::CORE.non_invite_trying(),
            Duration::from_millis(3500)
        );
        assert_eq!(Timers::GM.non_invite_trying(), Duration::from_secs(14));
        let zero = Timers::from_millis(0, 4_000, 5_000);
        assert_eq!(zero.non_invite_trying(), Duration::ZERO);
    }
}
