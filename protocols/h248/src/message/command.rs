//! Commands and their replies, clause 7.2.

use super::{
    AuditDescriptor, DigitMapDescriptor, ErrorDescriptor, EventBufferDescriptor, EventsDescriptor,
    MediaDescriptor, ModemDescriptor, MuxDescriptor, ObservedEventsDescriptor, ServiceChangeParms,
    ServiceChangeResult, SignalsDescriptor, StatisticsDescriptor, TerminationAudit, TerminationId,
    TerminationList,
};

/// A command with its two prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRequest {
    /// The command.
    pub command: Command,
    /// `O-`: when it fails the action goes on.
    pub optional: bool,
    /// `W-`: answer wildcards by one union, not one reply per termination.
    pub wildcard_response: bool,
}

impl From<Command> for CommandRequest {
    fn from(command: Command) -> Self {
        Self {
            command,
            optional: false,
            wildcard_response: false,
        }
    }
}

/// A command, clauses 7.2.1 to 7.2.8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Add a termination to a context.
    Add(AmmRequest),
    /// Modify a termination.
    Modify(AmmRequest),
    /// Move a termination to this context.
    Move(AmmRequest),
    /// Take a termination out of its context.
    Subtract(SubtractRequest),
    /// Return the state of a termination.
    AuditValue(AuditRequest),
    /// Return what a termination can do.
    AuditCapability(AuditRequest),
    /// Report events.
    Notify(NotifyRequest),
    /// Report a change of service.
    ServiceChange(ServiceChangeRequest),
}

impl Command {
    /// The terminations it names.
    pub fn terminations(&self) -> &[TerminationId] {
        match self {
            Self::Add(request) | Self::Modify(request) | Self::Move(request) => {
                &request.terminations
            }
            Self::Subtract(request) => &request.terminations,
            Self::AuditValue(request) | Self::AuditCapability(request) => &request.terminations,
            Self::Notify(request) => &request.terminations,
            Self::ServiceChange(request) => &request.terminations,
        }
    }
}

/// Parameters of Add, Modify and Move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmmRequest {
    /// Which terminations.
    pub terminations: TerminationList,
    /// Descriptors.
    pub descriptors: AmmDescriptors,
}

impl AmmRequest {
    /// One termination and no descriptor.
    pub fn new(termination: impl Into<TerminationId>) -> Self {
        Self {
            terminations: [termination.into()].into_iter().collect(),
            descriptors: AmmDescriptors::default(),
        }
    }
}

/// Descriptors of Add, Modify and Move: each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmmDescriptors {
    /// Media.
    pub media: Option<MediaDescriptor>,
    /// Modem.
    pub modem: Option<Box<ModemDescriptor>>,
    /// Mux.
    pub mux: Option<Box<MuxDescriptor>>,
    /// Events.
    pub events: Option<EventsDescriptor>,
    /// EventBuffer.
    pub event_buffer: Option<EventBufferDescriptor>,
    /// Signals.
    pub signals: Option<SignalsDescriptor>,
    /// DigitMap.
    pub digit_map: Option<Box<DigitMapDescriptor>>,
    /// Audit: what to return.
    pub audit: Option<AuditDescriptor>,
    /// Statistics to keep (version 3).
    pub statistics: Option<StatisticsDescriptor>,
}

/// Parameters of Subtract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtractRequest {
    /// Which terminations.
    pub terminations: TerminationList,
    /// What to return; absent is the statistics.
    pub audit: Option<AuditDescriptor>,
}

impl SubtractRequest {
    /// One termination.
    pub fn new(termination: impl Into<TerminationId>) -> Self {
        Self {
            terminations: [termination.into()].into_iter().collect(),
            audit: None,
        }
    }
}

/// Parameters of AuditValue and AuditCapability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRequest {
    /// Which terminations.
    pub terminations: TerminationList,
    /// What to return.
    pub audit: Option<AuditDescriptor>,
}

impl AuditRequest {
    /// `audit` of one termination.
    pub fn new(termination: impl Into<TerminationId>, audit: AuditDescriptor) -> Self {
        Self {
            terminations: [termination.into()].into_iter().collect(),
            audit: Some(audit),
        }
    }
}

/// Parameters of Notify. One of the two descriptors is there, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyRequest {
    /// Which terminations.
    pub terminations: TerminationList,
    /// What was detected.
    pub observed: Option<ObservedEventsDescriptor>,
    /// What went wrong outside any transaction.
    pub error: Option<ErrorDescriptor>,
}

/// Parameters of ServiceChange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceChangeRequest {
    /// Which terminations; ROOT is the whole gateway.
    pub terminations: TerminationList,
    /// The change.
    pub parms: Box<ServiceChangeParms>,
}

/// Reply to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandReply {
    /// Of Add.
    Add(AmmsReply),
    /// Of Modify.
    Modify(AmmsReply),
    /// Of Move.
    Move(AmmsReply),
    /// Of Subtract.
    Subtract(AmmsReply),
    /// Of AuditValue.
    AuditValue(AuditReply),
    /// Of AuditCapability.
    AuditCapability(AuditReply),
    /// Of Notify.
    Notify(NotifyReply),
    /// Of ServiceChange.
    ServiceChange(ServiceChangeReply),
}

/// Reply of Add, Modify, Move and Subtract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmmsReply {
    /// Which terminations, specific now.
    pub terminations: TerminationList,
    /// What was asked for or chosen; an Error in it says that the command failed.
    pub audit: TerminationAudit,
}

impl AmmsReply {
    /// One termination and what is returned of it.
    pub fn new(termination: impl Into<TerminationId>, audit: TerminationAudit) -> Self {
        Self {
            terminations: [termination.into()].into_iter().collect(),
            audit,
        }
    }
}

/// Reply of AuditValue and AuditCapability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditReply {
    /// `Context { … }`: the terminations of a context.
    Context(TerminationList),
    /// `Context { Error … }`.
    ContextError(ErrorDescriptor),
    /// Descriptors of terminations.
    Terminations(AmmsReply),
}

/// Reply of Notify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyReply {
    /// Which terminations.
    pub terminations: TerminationList,
    /// Why it was refused.
    pub error: Option<ErrorDescriptor>,
}

/// Reply of ServiceChange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceChangeReply {
    /// Which terminations.
    pub terminations: TerminationList,
    /// What was answered; all absent when there is nothing to say.
    pub result: Result<Box<ServiceChangeResult>, ErrorDescriptor>,
}
