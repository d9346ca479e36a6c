//! Transactions, actions and contexts, clauses 8 and 6.1.

use std::fmt;

use super::{
    CommandReply, CommandRequest, ErrorDescriptor, IndexedProperty, PropertyParm, StreamId,
    TerminationId,
};

/// One transaction of a message, clause 8.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// TransactionRequest.
    Request(TransactionRequest),
    /// TransactionPending.
    Pending(TransactionId),
    /// TransactionReply.
    Reply(TransactionReply),
    /// TransactionResponseAck: replies received, as ranges with both ends included.
    ResponseAck(Vec<(TransactionId, TransactionId)>),
    /// Segment: a segment of a reply was received (version 3).
    SegmentReply(TransactionId, Segment),
}

/// TransactionID: chosen by the sender of the request, 1 to 2³²−1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u32);

impl TransactionId {
    /// In a reply to a request whose number could not be read, clause 8.2.2.
    pub const UNKNOWN: TransactionId = TransactionId(0);
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// TransactionRequest, clause 8.2.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRequest {
    /// Its number.
    pub id: TransactionId,
    /// What to do, in order.
    pub actions: Vec<ActionRequest>,
}

/// TransactionReply, clause 8.2.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionReply {
    /// The number of the request.
    pub id: TransactionId,
    /// ImmAckRequired: the sender wants a TransactionResponseAck at once.
    pub imm_ack_required: bool,
    /// Which segment this is, when the reply is segmented (version 3).
    pub segment: Option<Segment>,
    /// What came of it.
    pub body: ReplyBody,
}

/// Number of a segment of a reply, clause 8.2.2 (version 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// From 1.
    pub number: u16,
    /// It is the last (SegmentationComplete).
    pub complete: bool,
}

/// What came of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// Nothing was done.
    Error(ErrorDescriptor),
    /// What came of each action, as far as it went.
    Actions(Vec<ActionReply>),
}

/// ContextID, clause 6.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContextId {
    /// `-`: the null context.
    Null,
    /// `$`: the gateway is to make one.
    Choose,
    /// `*`: all.
    All,
    /// A number that is none of the values A.2 reserves.
    Id(u32),
}

impl ContextId {
    /// Value of the null context in A.2.
    pub const NULL: u32 = 0;
    /// Value of CHOOSE in A.2.
    pub const CHOOSE: u32 = 0xffff_fffe;
    /// Value of ALL in A.2.
    pub const ALL: u32 = 0xffff_ffff;

    /// The context with the value of A.2 `value`.
    pub const fn from_u32(value: u32) -> Self {
        match value {
            Self::NULL => Self::Null,
            Self::CHOOSE => Self::Choose,
            Self::ALL => Self::All,
            _ => Self::Id(value),
        }
    }

    /// Its value in A.2.
    pub const fn as_u32(self) -> u32 {
        match self {
            Self::Null => Self::NULL,
            Self::Choose => Self::CHOOSE,
            Self::All => Self::ALL,
            Self::Id(value) => value,
        }
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("-"),
            Self::Choose => f.write_str("$"),
            Self::All => f.write_str("*"),
            Self::Id(value) => value.fmt(f),
        }
    }
}

/// ActionRequest: commands on one context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRequest {
    /// The context.
    pub context: ContextId,
    /// Attributes to set.
    pub properties: ContextProperties,
    /// Attributes to return.
    pub audit: Option<Box<ContextAudit>>,
    /// Commands, in order.
    pub commands: Vec<CommandRequest>,
}

impl ActionRequest {
    /// These commands on `context`.
    pub fn new(context: ContextId, commands: Vec<CommandRequest>) -> Self {
        Self {
            context,
            properties: ContextProperties::default(),
            audit: None,
            commands,
        }
    }
}

/// ActionReply: what came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionReply {
    /// The context; the new one's number where the request said `$`.
    pub context: ContextId,
    /// Why the action stopped here.
    pub error: Option<ErrorDescriptor>,
    /// Attributes that were asked for.
    pub properties: ContextProperties,
    /// What came of the commands.
    pub commands: Vec<CommandReply>,
}

impl ActionReply {
    /// These results on `context`.
    pub fn new(context: ContextId, commands: Vec<CommandReply>) -> Self {
        Self {
            context,
            error: None,
            properties: ContextProperties::default(),
            commands,
        }
    }
}

/// Attributes of a context, clause 6.1.1. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextProperties {
    /// Priority, 0 (lowest) to 15.
    pub priority: Option<u8>,
    /// Emergency or EmergencyOff.
    pub emergency: Option<bool>,
    /// IEPS call indicator (version 3).
    pub ieps: Option<bool>,
    /// Topology, clause 7.1.16.
    pub topology: Vec<TopologyTriple>,
    /// Properties of packages (ContextAttr, version 3).
    pub attributes: Vec<PropertyParm>,
    /// Contexts that were selected (ContextList, version 3).
    pub contexts: Vec<ContextId>,
}

impl ContextProperties {
    /// True when nothing is given.
    pub fn is_empty(&self) -> bool {
        self.priority.is_none()
            && self.emergency.is_none()
            && self.ieps.is_none()
            && self.topology.is_empty()
            && self.attributes.is_empty()
            && self.contexts.is_empty()
    }
}

/// Flow between two terminations, clause 7.1.16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyTriple {
    /// T1.
    pub from: TerminationId,
    /// T2.
    pub to: TerminationId,
    /// The association of the two.
    pub direction: TopologyDirection,
    /// On this stream only (version 3).
    pub stream: Option<StreamId>,
}

/// Association of two terminations, clause 7.1.16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopologyDirection {
    /// Both ways.
    Bothway,
    /// Neither way.
    Isolate,
    /// From T1 to T2.
    Oneway,
    /// T2 receives what T1 receives from outside (version 3).
    OnewayExternal,
    /// T2 receives what T1 receives and sends outside (version 3).
    OnewayBoth,
}

/// ContextAudit: attributes to return, and in version 3 which contexts to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextAudit {
    /// Return the topology.
    pub topology: bool,
    /// Return the emergency indicator.
    pub emergency: bool,
    /// Return the priority.
    pub priority: bool,
    /// Return the IEPS indicator.
    pub ieps: bool,
    /// Return these properties, or select by them.
    pub properties: Vec<IndexedProperty>,
    /// Select contexts of this priority.
    pub select_priority: Option<u8>,
    /// Select contexts that are emergency calls, or are not.
    pub select_emergency: Option<bool>,
    /// Select contexts that are IEPS calls, or are not.
    pub select_ieps: Option<bool>,
    /// How selections combine; absent is AND.
    pub logic: Option<SelectLogic>,
}

/// How selections combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelectLogic {
    /// All hold.
    And,
    /// One holds.
    Or,
}
