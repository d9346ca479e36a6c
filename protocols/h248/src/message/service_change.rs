//! ServiceChange descriptor, clauses 7.2.8 and 7.1.18.

use super::{AuditDescriptor, Mid, Name, Parameter, TimeStamp};

/// ServiceChange descriptor of a request (`Services`), clause 7.2.8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceChangeParms {
    /// Required.
    pub method: ServiceChangeMethod,
    /// Required.
    pub reason: ServiceChangeReason,
    /// Where to send what follows; not together with `mgc_id`.
    pub address: Option<ServiceChangeAddress>,
    /// Protocol version.
    pub version: Option<u8>,
    /// Profile.
    pub profile: Option<Profile>,
    /// ServiceChangeDelay in seconds.
    pub delay: Option<u32>,
    /// Another MGC to try.
    pub mgc_id: Option<Mid>,
    /// When.
    pub time: Option<TimeStamp>,
    /// What has changed (version 2), `None` when no audit item is given.
    pub info: Option<AuditDescriptor>,
    /// ServiceChangeIncompleteFlag (version 3): more follows.
    pub incomplete: bool,
    /// Extensions (`X-name = value`), kept and passed.
    pub extensions: Vec<Parameter>,
}

impl ServiceChangeParms {
    /// A change of this kind and nothing further.
    pub fn new(method: ServiceChangeMethod, reason: ServiceChangeReason) -> Self {
        Self {
            method,
            reason,
            address: None,
            version: None,
            profile: None,
            delay: None,
            mgc_id: None,
            time: None,
            info: None,
            incomplete: false,
            extensions: Vec::new(),
        }
    }
}

/// ServiceChange descriptor of a reply, clause 7.2.8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceChangeResult {
    /// Another MGC to try; not together with `address`.
    pub mgc_id: Option<Mid>,
    /// Where to send what follows.
    pub address: Option<ServiceChangeAddress>,
    /// Protocol version.
    pub version: Option<u8>,
    /// Profile.
    pub profile: Option<Profile>,
    /// When.
    pub time: Option<TimeStamp>,
}

/// ServiceChangeMethod, clause 7.2.8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChangeMethod {
    /// Failover: the primary failed, the secondary takes over.
    Failover,
    /// Forced: out of service at once.
    Forced,
    /// Graceful: out of service after the delay.
    Graceful,
    /// Restart: in service after the delay.
    Restart,
    /// Disconnected: contact was lost and is there again.
    Disconnected,
    /// HandOff: another MGC takes over.
    HandOff,
    /// An extension (`X-…`).
    Extension(Name),
}

/// ServiceChangeReason: a number (clause 7.2.8 and the IANA registry) and perhaps words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceChangeReason {
    /// 900 to 999.
    pub code: u16,
    /// What follows the number and a space, empty when nothing does.
    pub text: String,
}

impl ServiceChangeReason {
    /// Service restored.
    pub const SERVICE_RESTORED: u16 = 900;
    /// Cold boot.
    pub const COLD_BOOT: u16 = 901;
    /// Warm boot.
    pub const WARM_BOOT: u16 = 902;
    /// MGC directed change.
    pub const MGC_DIRECTED_CHANGE: u16 = 903;
    /// Termination malfunctioning.
    pub const TERMINATION_MALFUNCTIONING: u16 = 904;
    /// Termination taken out of service.
    pub const TERMINATION_OUT_OF_SERVICE: u16 = 905;
    /// Loss of lower layer connectivity.
    pub const LOSS_OF_LOWER_LAYER: u16 = 906;
    /// Transmission failure.
    pub const TRANSMISSION_FAILURE: u16 = 907;
    /// MG impending failure.
    pub const MG_IMPENDING_FAILURE: u16 = 908;
    /// MGC impending failure.
    pub const MGC_IMPENDING_FAILURE: u16 = 909;
    /// Media capability failure.
    pub const MEDIA_CAPABILITY_FAILURE: u16 = 910;
    /// Modem capability failure.
    pub const MODEM_CAPABILITY_FAILURE: u16 = 911;
    /// Mux capability failure.
    pub const MUX_CAPABILITY_FAILURE: u16 = 912;
    /// Signal capability failure.
    pub const SIGNAL_CAPABILITY_FAILURE: u16 = 913;
    /// Event capability failure.
    pub const EVENT_CAPABILITY_FAILURE: u16 = 914;
    /// State loss.
    pub const STATE_LOSS: u16 = 915;
    /// Packages change.
    pub const PACKAGES_CHANGE: u16 = 916;
    /// Capability change.
    pub const CAPABILITY_CHANGE: u16 = 917;
    /// Cancel graceful.
    pub const CANCEL_GRACEFUL: u16 = 918;
    /// Warm failover.
    pub const WARM_FAILOVER: u16 = 919;
    /// Cold failover.
    pub const COLD_FAILOVER: u16 = 920;

    /// The reason with this number and words.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}

/// ServiceChangeAddress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChangeAddress {
    /// Another port of the same address.
    Port(u16),
    /// Another address.
    Mid(Mid),
}

/// Profile and its version, clause 13.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: Name,
    /// Its version, 1 to 99.
    pub version: u8,
}
