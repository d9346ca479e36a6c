//! Why a datagram was not passed on.

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// Why a datagram was dropped: one counter each, in every worker.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $variant,)*
        }

        impl DropReason {
            /// Every reason, in the order of their counters.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant),*];

            /// The name of the counter.
            pub fn name(self) -> &'static str {
                match self {
                    $(DropReason::$variant => $name,)*
                }
            }
        }
    };
}

drop_reasons! {
    /// Longer than a frame holds.
    Truncated => "truncated",
    /// Its headers contradict each other, or a checksum is wrong.
    Malformed => "malformed",
    /// To a port on which no flow is open.
    UnknownFlow => "unknown_flow",
    /// To a port that was closed and has not been opened again: late packets of its former use.
    RestingPort => "resting_port",
    /// Handed over for a use of the port that has ended meanwhile.
    StaleFlow => "stale_flow",
    /// The flow is open and no path has been set.
    NoPath => "no_path",
    /// The stream mode does not let the termination receive (H.248.1 7.1.7).
    NotReceiving => "not_receiving",
    /// No other termination may send: the path has no egress.
    NoEgress => "no_egress",
    /// From an address or port outside the source filter (H.248.43).
    SourceFiltered => "source_filtered",
    /// From another source than the one latched to (H.248.37).
    SourceMismatch => "source_mismatch",
    /// Beyond the rates that the flow is policed by (H.248.53).
    Policed => "policed",
    /// The flow carries RTP and this is none (RFC 3550 5.1).
    NotRtp => "not_rtp",
    /// The flow carries RTCP and this is none (RFC 3550 6.1).
    NotRtcp => "not_rtcp",
    /// The flow carries SRTP and the authentication tag does not fit (RFC 3711 3.3).
    SrtpAuthentication => "srtp_authentication",
    /// The flow carries SRTP and this came before, or too late to tell (RFC 3711 3.3.2); or it
    /// would be sent as SRTP under an index that was used.
    SrtpReplay => "srtp_replay",
    /// The flow or its egress carries SRTP and there is no master key: none agreed on yet, or none
    /// with this MKI.
    SrtpNoKey => "srtp_no_key",
    /// The SRTP master key has protected as many packets as it may (RFC 3711 9.2).
    SrtpKeyExpired => "srtp_key_expired",
    /// More synchronisation sources than are kept under one SRTP master key, or the same one at two
    /// workers at once.
    SrtpSource => "srtp_source",
    /// The remote address is to be latched and nothing has come from there (H.248.37).
    NotLatched => "not_latched",
    /// No free frame to receive into or copy into.
    NoFrame => "no_frame",
    /// Delivered in memory too often: the paths form a loop.
    HopLimit => "hop_limit",
    /// Too many datagrams wait for delivery in memory.
    LocalQueueFull => "local_queue_full",
    /// The ring to the worker that has the flow is full.
    HandoffFull => "handoff_full",
    /// DTLS that the ring to the mg thread has no room for; it will be sent again.
    PuntFull => "punt_full",
    /// The network interface or socket takes no more at the moment.
    TxFull => "tx_full",
    /// The network refuses the datagram: no route, too long, forbidden.
    TxRefused => "tx_refused",
}

/// Why what comes to a flow does not pass: what the reasons mean to who hears nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Refusal {
    /// It comes from elsewhere than it may.
    Source,
    /// It is not what the flow carries.
    Format,
    /// SRTP does not let it pass, on the way in or out.
    Srtp,
    /// It exceeds the rates.
    Rate,
    /// The stream mode does not let it in.
    Mode,
    /// There is nobody that it could be sent to.
    Egress,
}

impl Refusal {
    /// Every one, in the order of their counters.
    pub const ALL: [Refusal; 6] = [
        Refusal::Source,
        Refusal::Format,
        Refusal::Srtp,
        Refusal::Rate,
        Refusal::Mode,
        Refusal::Egress,
    ];
}

impl DropReason {
    /// What it means to a flow; `None` for what is not about the flow.
    pub fn refusal(self) -> Option<Refusal> {
        Some(match self {
            Self::SourceFiltered | Self::SourceMismatch => Refusal::Source,
            Self::NotRtp | Self::NotRtcp => Refusal::Format,
            Self::SrtpAuthentication
            | Self::SrtpReplay
            | Self::SrtpNoKey
            | Self::SrtpKeyExpired
            | Self::SrtpSource => Refusal::Srtp,
            Self::Policed => Refusal::Rate,
            Self::NotReceiving => Refusal::Mode,
            Self::NoEgress | Self::NotLatched => Refusal::Egress,
            _ => return None,
        })
    }
}

/// Tally of drops by reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DropCounts([u64; DropReason::ALL.len()]);

impl Default for DropCounts {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

impl DropCounts {
    /// Counts one.
    pub fn count(&mut self, reason: DropReason) {
        self.add(reason, 1);
    }

    /// Counts several.
    pub fn add(&mut self, reason: DropReason, datagrams: u64) {
        self.0[reason as usize] += datagrams;
    }

    /// Drops for this reason.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Drops for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_name() {
        let mut counts = DropCounts::default();
        for (index, &reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(reason as usize, index);
            counts.add(reason, index as u64 + 1);
        }
        for (index, &reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(counts.of(reason), index as u64 + 1);
        }
        let mut names: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::ALL.len());
    }
}
