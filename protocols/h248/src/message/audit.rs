//! Audit, Packages and Statistics descriptors, clauses 7.1.12, 7.1.13 and 7.1.15.

use super::{
    DigitMapDescriptor, ErrorDescriptor, EventBufferDescriptor, EventsDescriptor, MediaDescriptor,
    ModemDescriptor, MuxDescriptor, Name, ObservedEventsDescriptor, OctetString, ParmValue,
    PkgdName, RequestId, ServiceState, SignalRequest, SignalsDescriptor, StreamId, StreamMode,
    Value,
};

/// Statistics descriptor, clause 7.1.15. Empty in a request: no statistics are kept or returned.
pub type StatisticsDescriptor = Vec<Statistic>;

/// One statistic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistic {
    /// Which one.
    pub name: PkgdName,
    /// Its value; absent in a request that activates it.
    pub value: StatisticValue,
}

impl Statistic {
    /// The statistic `name` with `value`.
    pub fn new(name: impl Into<PkgdName>, value: impl Into<Value>) -> Self {
        Self {
            name: name.into(),
            value: StatisticValue::Single(value.into()),
        }
    }
}

/// Value of a statistic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatisticValue {
    /// Not given.
    None,
    /// One value.
    Single(Value),
    /// A sub-list.
    List(Vec<Value>),
}

/// Packages descriptor, clause 7.1.13.
pub type PackagesDescriptor = Vec<PackagesItem>;

/// A package and the version supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackagesItem {
    /// The package's name.
    pub name: Name,
    /// Its version, 1 to 99.
    pub version: u8,
}

/// Audit descriptor, clause 7.1.12. Empty: nothing is to be returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditDescriptor {
    /// Whole descriptors.
    pub tokens: AuditTokens,
    /// Single items of descriptors.
    pub items: Vec<IndexedAudit>,
}

impl AuditDescriptor {
    /// An audit of whole descriptors.
    pub fn of(tokens: &[AuditToken]) -> Self {
        Self {
            tokens: tokens.iter().copied().collect(),
            items: Vec::new(),
        }
    }
}

/// A descriptor that can be audited whole, with the bit of A.2's auditToken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AuditToken {
    /// Mux.
    Mux = 0,
    /// Modem.
    Modem = 1,
    /// Media.
    Media = 2,
    /// Events.
    Events = 3,
    /// Signals.
    Signals = 4,
    /// DigitMap.
    DigitMap = 5,
    /// Statistics.
    Statistics = 6,
    /// ObservedEvents.
    ObservedEvents = 7,
    /// Packages.
    Packages = 8,
    /// EventBuffer.
    EventBuffer = 9,
}

impl AuditToken {
    /// All of them, in the order of their bits.
    pub const ALL: [AuditToken; 10] = [
        Self::Mux,
        Self::Modem,
        Self::Media,
        Self::Events,
        Self::Signals,
        Self::DigitMap,
        Self::Statistics,
        Self::ObservedEvents,
        Self::Packages,
        Self::EventBuffer,
    ];
}

/// A set of [`AuditToken`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AuditTokens(u16);

impl AuditTokens {
    /// True when `token` is in the set.
    pub fn contains(self, token: AuditToken) -> bool {
        self.0 & (1 << token as u16) != 0
    }

    /// Puts `token` into the set; false when it was there.
    pub fn insert(&mut self, token: AuditToken) -> bool {
        let before = self.0;
        self.0 |= 1 << token as u16;
        self.0 != before
    }

    /// True when nothing is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The tokens in the set, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = AuditToken> {
        AuditToken::ALL
            .into_iter()
            .filter(move |&token| self.contains(token))
    }
}

impl FromIterator<AuditToken> for AuditTokens {
    fn from_iter<I: IntoIterator<Item = AuditToken>>(tokens: I) -> Self {
        let mut set = Self::default();
        for token in tokens {
            set.insert(token);
        }
        set
    }
}

/// Audit of a single item of a descriptor, clause 7.1.12 (indAudterminationAudit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexedAudit {
    /// Items of the Media descriptor.
    Media(IndexedMedia),
    /// An event of the Events descriptor.
    Events {
        /// Of the descriptor with this request.
        request_id: Option<RequestId>,
        /// The event.
        name: PkgdName,
    },
    /// An event of the EventBuffer descriptor.
    EventBuffer {
        /// The event.
        name: PkgdName,
        /// On this stream.
        stream: Option<StreamId>,
        /// A parameter of it.
        parameter: Option<Name>,
    },
    /// A signal or signal list of the Signals descriptor; `None` for `Signals{}`.
    Signals(Option<SignalRequest>),
    /// A list of the Signals descriptor as a whole.
    SignalList(u16),
    /// A digit map.
    DigitMap(Name),
    /// A statistic.
    Statistics(PkgdName),
    /// A package.
    Packages(PackagesItem),
}

/// Audit of single items of a Media descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexedMedia {
    /// Of the TerminationState descriptor.
    pub termination_state: Option<IndexedTerminationState>,
    /// Of the parameters of the only stream.
    pub stream: Option<Box<IndexedStreamParms>>,
    /// Of Stream descriptors; not together with `stream`.
    pub streams: Vec<(StreamId, IndexedStreamParms)>,
}

/// Audit of single items of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexedStreamParms {
    /// Of LocalControl.
    pub local_control: Option<IndexedLocalControl>,
    /// Lines of Local.
    pub local: Option<OctetString>,
    /// Lines of Remote.
    pub remote: Option<OctetString>,
    /// One statistic.
    pub statistics: Option<PkgdName>,
}

/// Audit of single items of LocalControl.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexedLocalControl {
    /// The mode, or only terminations with this mode.
    pub mode: Option<Selection<StreamMode>>,
    /// ReserveValue.
    pub reserve_value: bool,
    /// ReserveGroup.
    pub reserve_group: bool,
    /// Properties.
    pub properties: Vec<IndexedProperty>,
}

/// Audit of single items of TerminationState.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexedTerminationState {
    /// The service state, or only terminations with this one.
    pub service_state: Option<Selection<ServiceState>>,
    /// EventBufferControl.
    pub event_buffer: bool,
    /// Properties.
    pub properties: Vec<IndexedProperty>,
}

/// What is asked of an item (version 3): its value, or whether it is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selection<T> {
    /// Return the value.
    Value,
    /// Select what has this value.
    Equal(T),
    /// Select what has another value.
    NotEqual(T),
}

/// A property to return, or with `select` one to choose by (version 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedProperty {
    /// Which one.
    pub name: PkgdName,
    /// The values that are chosen.
    pub select: Option<ParmValue>,
}

/// TerminationAudit: what a command returns about a termination. Digit maps and errors may occur
/// several times.
pub type TerminationAudit = Vec<AuditReturn>;

/// One returned descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditReturn {
    /// An error.
    Error(ErrorDescriptor),
    /// Media.
    Media(MediaDescriptor),
    /// Modem.
    Modem(ModemDescriptor),
    /// Mux.
    Mux(MuxDescriptor),
    /// Events.
    Events(EventsDescriptor),
    /// EventBuffer.
    EventBuffer(EventBufferDescriptor),
    /// Signals.
    Signals(SignalsDescriptor),
    /// DigitMap.
    DigitMap(DigitMapDescriptor),
    /// ObservedEvents.
    ObservedEvents(ObservedEventsDescriptor),
    /// Statistics.
    Statistics(StatisticsDescriptor),
    /// Packages.
    Packages(PackagesDescriptor),
    /// A descriptor that is empty: its bare token.
    Empty(AuditToken),
}
