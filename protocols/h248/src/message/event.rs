//! Events, EventBuffer, ObservedEvents and DigitMap descriptors, clauses 7.1.9, 7.1.10, 7.1.14 and
//! 7.1.17.

use super::{Name, Parameter, ParmValue, PkgdName, SignalsDescriptor, StreamId};

/// RequestID, clause 7.1.9: links an Events descriptor (or signal) to its notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

impl RequestId {
    /// `*`: all, in the reply to an AuditCapability.
    pub const ALL: RequestId = RequestId(u32::MAX);
}

/// Events descriptor, clause 7.1.9. Empty: no event is asked for any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsDescriptor {
    /// Present whenever `events` has any.
    pub request_id: Option<RequestId>,
    /// What to detect.
    pub events: Vec<RequestedEvent>,
}

/// One event to detect and what to do then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedEvent {
    /// Which event; either part may be `*`.
    pub name: PkgdName,
    /// On which stream.
    pub stream: Option<StreamId>,
    /// KeepActive: the event does not stop signals.
    pub keep_active: bool,
    /// NotifyBehaviour (version 3); absent is immediate notification.
    pub notify: Option<NotifyBehaviour>,
    /// ResetEventsDescriptor (version 3).
    pub reset_events: bool,
    /// The digit map to match.
    pub digit_map: Option<EventDigitMap>,
    /// Signals and events that become active when this is detected.
    pub embed: Option<Box<Embedded>>,
    /// Parameters of the event.
    pub parameters: Vec<Parameter>,
}

impl RequestedEvent {
    /// The event `name` without anything further.
    pub fn new(name: impl Into<PkgdName>) -> Self {
        Self {
            name: name.into(),
            stream: None,
            keep_active: false,
            notify: None,
            reset_events: false,
            digit_map: None,
            embed: None,
            parameters: Vec::new(),
        }
    }

    /// The value of the parameter `name`, if given.
    pub fn parameter(&self, name: &str) -> Option<&ParmValue> {
        find_parameter(&self.parameters, name)
    }
}

/// Embedded descriptors, clause 7.1.9. At least one is present.
///
/// Events in `events` embed signals only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Embedded {
    /// Replaces the Signals descriptor.
    pub signals: Option<SignalsDescriptor>,
    /// Replaces the Events descriptor.
    pub events: Option<EventsDescriptor>,
}

/// NotifyBehaviour, clause 7.1.9 (version 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyBehaviour {
    /// ImmediateNotify.
    Immediate,
    /// NeverNotify.
    Never,
    /// RegulatedNotify; the embedded descriptors hold when notification is suppressed.
    Regulated(Option<Box<Embedded>>),
}

/// Digit map of a requested event: by name or in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventDigitMap {
    /// A digit map defined before.
    Name(Name),
    /// This one.
    Value(DigitMapValue),
}

/// DigitMap descriptor, clause 7.1.14.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigitMapDescriptor {
    /// The name it is known by.
    pub name: Option<Name>,
    /// The map; absent deletes it, or asks for it.
    pub value: Option<DigitMapValue>,
}

/// Digit map with its timers, clause 7.1.14.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigitMapValue {
    /// T, in seconds: before the first digit.
    pub start: Option<u8>,
    /// S, in seconds: more digits may follow.
    pub short: Option<u8>,
    /// L, in seconds: more digits must follow.
    pub long: Option<u8>,
    /// Z, in 100 ms: what makes a digit long.
    pub duration: Option<u8>,
    /// The map itself, as received: `(0|00|[1-7]xxx)`.
    pub body: String,
}

/// EventBuffer descriptor, clause 7.1.10: what is to be buffered, or what is in the buffer.
pub type EventBufferDescriptor = Vec<EventSpec>;

/// One event of an EventBuffer descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// Which event.
    pub name: PkgdName,
    /// On which stream.
    pub stream: Option<StreamId>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

/// ObservedEvents descriptor, clause 7.1.17.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedEventsDescriptor {
    /// The Events descriptor that asked for them.
    pub request_id: RequestId,
    /// What was detected, in the order of detection.
    pub events: Vec<ObservedEvent>,
}

/// An event that was detected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedEvent {
    /// Which event.
    pub name: PkgdName,
    /// On which stream.
    pub stream: Option<StreamId>,
    /// When.
    pub time: Option<TimeStamp>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

impl ObservedEvent {
    /// The event `name` without anything further.
    pub fn new(name: impl Into<PkgdName>) -> Self {
        Self {
            name: name.into(),
            stream: None,
            time: None,
            parameters: Vec::new(),
        }
    }

    /// The value of the parameter `name`, if given.
    pub fn parameter(&self, name: &str) -> Option<&ParmValue> {
        find_parameter(&self.parameters, name)
    }
}

/// TimeStamp, Annex B.2: `yyyymmddThhmmssss` in UTC, as two numbers of eight digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeStamp {
    /// yyyymmdd.
    pub date: u32,
    /// hhmmssss, the last two digits hundredths of a second.
    pub time: u32,
}

pub(crate) fn find_parameter<'a>(list: &'a [Parameter], name: &str) -> Option<&'a ParmValue> {
    list.iter()
        .find(|parameter| parameter.name == *name)
        .map(|parameter| &parameter.value)
}
