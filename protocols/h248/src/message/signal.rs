//! Signals descriptor, clause 7.1.11.

use super::event::find_parameter;
use super::{Parameter, ParmValue, PkgdName, RequestId, StreamId};

/// Signals descriptor. Empty: all signals stop.
pub type SignalsDescriptor = Vec<SignalRequest>;

/// One entry of a Signals descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    /// A signal, played beside the others.
    Signal(Signal),
    /// A sequential signal list.
    List(SignalList),
}

/// Signals played one after the other, clause 7.1.11.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalList {
    /// Its number.
    pub id: u16,
    /// Its signals, in order.
    pub signals: Vec<Signal>,
}

/// A signal to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Which signal.
    pub name: PkgdName,
    /// On which stream.
    pub stream: Option<StreamId>,
    /// SignalType; absent is the package's default.
    pub signal_type: Option<SignalType>,
    /// Duration in hundredths of a second.
    pub duration: Option<u16>,
    /// When to notify that it ended.
    pub notify_completion: Option<NotifyCompletion>,
    /// KeepActive: an event or a new Signals descriptor does not interrupt it.
    pub keep_active: bool,
    /// Direction (version 3).
    pub direction: Option<SignalDirection>,
    /// RequestID of the completion event (version 3).
    pub request_id: Option<RequestId>,
    /// Delay between iterations in milliseconds (version 3).
    pub intersignal_delay: Option<u16>,
    /// Parameters of the signal.
    pub parameters: Vec<Parameter>,
}

impl Signal {
    /// The signal `name` without anything further.
    pub fn new(name: impl Into<PkgdName>) -> Self {
        Self {
            name: name.into(),
            stream: None,
            signal_type: None,
            duration: None,
            notify_completion: None,
            keep_active: false,
            direction: None,
            request_id: None,
            intersignal_delay: None,
            parameters: Vec::new(),
        }
    }

    /// The value of the parameter `name`, if given.
    pub fn parameter(&self, name: &str) -> Option<&ParmValue> {
        find_parameter(&self.parameters, name)
    }
}

/// SignalType.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignalType {
    /// Until switched off.
    OnOff,
    /// Until switched off or its time is over.
    TimeOut,
    /// Until it ends by itself.
    Brief,
}

/// Direction of a signal (version 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignalDirection {
    /// Into the context.
    Internal,
    /// Out of the context.
    External,
    /// Both.
    Both,
}

/// The endings of a signal that are notified, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NotifyCompletion(pub u8);

impl NotifyCompletion {
    /// TimeOut: it ended by itself.
    pub const TIME_OUT: Self = Self(1);
    /// IntByEvent: an event interrupted it.
    pub const EVENT: Self = Self(2);
    /// IntBySigDescr: a new Signals descriptor interrupted it.
    pub const SIGNALS: Self = Self(4);
    /// OtherReason.
    pub const OTHER: Self = Self(8);
    /// Iteration: one iteration ended (version 3).
    pub const ITERATION: Self = Self(16);

    /// True when all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
