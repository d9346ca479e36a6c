//! What the control process counts: each named once, each refusal and each fault.

use std::collections::BTreeMap;

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// One thing that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Counter {
            $($(#[$doc])* $variant,)+
        }

        impl Counter {
            /// Every counter.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant,)+];

            /// Its name in status and metrics.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Counter::$variant => $name,)+
                }
            }
        }
    };
}

counters! {
    /// SIP datagrams and stream messages received.
    SipReceived = "sip.received",
    /// SIP messages sent.
    SipSent = "sip.sent",
    /// SIP that could not be parsed and was answered 400.
    SipMalformedAnswered = "sip.malformed.answered",
    /// SIP that could not be parsed and could not be answered.
    SipMalformedDropped = "sip.malformed.dropped",
    /// Responses that matched no transaction.
    SipResponseStray = "sip.response.stray",
    /// ACKs that belong to no dialog.
    SipAckStray = "sip.ack.stray",
    /// Requests of a dialog that did not come from where its UE is.
    SipSourceForeign = "sip.source.foreign",
    /// Requests refused because a table is full.
    SipRefusedFull = "sip.refused.full",
    /// New requests refused because they had waited too long, or too many waited.
    SipRefusedInitial = "sip.refused.overload.initial",
    /// REGISTERs with credentials refused for the same reason.
    SipRefusedRefresh = "sip.refused.overload.refresh",
    /// Requests with a priority refused for the same reason.
    SipRefusedEmergency = "sip.refused.overload.emergency",
    /// New requests refused because the process is about to end.
    SipRefusedDrain = "sip.refused.drain",
    /// Messages of transactions and dialogs dropped because too many waited.
    SipDroppedFull = "sip.dropped.full",
    /// Retransmissions of requests that waited.
    SipAbsorbed = "sip.absorbed",
    /// ACKs of what was refused without a transaction.
    SipAckRefused = "sip.ack.refused",
    /// Datagrams that the system would not send.
    DatagramUnsent = "datagram.unsent",
    /// Streams closed because there were too many.
    StreamRefused = "stream.refused",
    /// Streams given up because the peer did not read.
    StreamSlow = "stream.slow",
    /// Streams closed because what came was not a message.
    StreamMalformed = "stream.malformed",
    /// Registrations accepted, refreshes included.
    RegistrationAccepted = "registration.accepted",
    /// Registrations refused after authentication failed.
    RegistrationRejected = "registration.rejected",
    /// Challenges sent.
    RegistrationChallenged = "registration.challenged",
    /// Contacts that expired.
    RegistrationExpired = "registration.expired",
    /// Registrations that the S-CSCF had lost and the HSS gave back.
    RegistrationRestored = "registration.restored",
    /// Subscriptions to registrations accepted by the S-CSCF.
    SubscriptionAccepted = "subscription.accepted",
    /// SUBSCRIBEs refused by the S-CSCF.
    SubscriptionRejected = "subscription.rejected",
    /// Subscriptions given up because a NOTIFY failed.
    SubscriptionLost = "subscription.lost",
    /// SUBSCRIBEs of the P-CSCF that were refused.
    SubscriptionRefused = "subscription.refused",
    /// Calls offered to the P-CSCF, a leg each.
    CallAttempted = "call.attempted",
    /// Legs answered.
    CallAnswered = "call.answered",
    /// Legs refused or given up before the answer.
    CallFailed = "call.failed",
    /// Answered legs that ended with BYE of a UE.
    CallEnded = "call.ended",
    /// Answered legs ended by the P-CSCF: media lost, session expired.
    CallReleased = "call.released",
    /// Calls offered to the MRFC.
    MrfcCallAttempted = "mrfc.call.attempted",
    /// Calls that the MRFC answered.
    MrfcCallAnswered = "mrfc.call.answered",
    /// Calls that the MRFC refused or that were given up before the answer.
    MrfcCallFailed = "mrfc.call.failed",
    /// Answered calls that the MRFC ended: what they were for is over, media lost, session expired.
    MrfcCallReleased = "mrfc.call.released",
    /// Plans that a media gateway refused or did not answer.
    MediaFailed = "media.failed",
    /// Contexts lost at a media gateway.
    MediaLost = "media.lost",
    /// Descriptions refused whose media cannot be protected as they say.
    MediaUnprotected = "media.unprotected",
    /// H.248 messages that could not be parsed.
    H248Malformed = "h248.malformed",
    /// H.248 requests in the name of a gateway that is elsewhere.
    H248Foreign = "h248.foreign",
    /// H.248 transactions that were never answered.
    H248Timeout = "h248.timeout",
    /// Diameter requests refused because too many wait for an answer.
    DiameterRefusedFull = "diameter.refused.full",
    /// Diameter connections refused because too many have not said who they are.
    DiameterRefusedStranger = "diameter.refused.stranger",
    /// Diameter connections refused because their peer is not known.
    DiameterRefusedPeer = "diameter.refused.peer",
    /// Diameter messages that could not be parsed.
    DiameterMalformed = "diameter.malformed",
    /// Diameter requests that were never answered.
    DiameterTimeout = "diameter.timeout",
    /// Store operations that failed.
    StoreFailed = "store.failed",
    /// Outputs for the journal that were dropped because the disk was behind.
    JournalDropped = "journal.dropped",
}

/// The counters of one node.
#[derive(Clone, Debug)]
pub struct Counters {
    values: [u64; Counter::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            values: [0; Counter::ALL.len()],
        }
    }
}

impl Counters {
    /// Counts one.
    pub fn count(&mut self, counter: Counter) {
        self.values[counter as usize] += 1;
    }

    /// What was counted.
    pub fn value(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }

    /// All of them by name.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        Counter::ALL
            .iter()
            .map(|&counter| (counter.name().into(), self.value(counter)))
            .collect()
    }
}
