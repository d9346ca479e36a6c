//! Media descriptor and what it is made of, clauses 7.1.4 to 7.1.8 and 7.1.3, 7.1.2 (Mux, Modem).

use super::{
    Name, OctetString, ParmValue, PkgdName, PropertyParm, StatisticsDescriptor, TerminationId,
};

/// Media descriptor, clause 7.1.4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaDescriptor {
    /// Properties of the termination that belong to no stream, clause 7.1.5.
    pub termination_state: Option<TerminationState>,
    /// The streams.
    pub streams: Streams,
}

impl MediaDescriptor {
    /// Each stream with its identity; parameters given without a Stream descriptor are those of
    /// stream 1.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, &StreamParms)> {
        let (one, many) = match &self.streams {
            Streams::None => (None, &[][..]),
            Streams::One(parms) => (Some((StreamId::FIRST, parms.as_ref())), &[][..]),
            Streams::Many(streams) => (None, streams.as_slice()),
        };
        one.into_iter()
            .chain(many.iter().map(|stream| (stream.id, &stream.parms)))
    }
}

/// How the Media descriptor gives its streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Streams {
    /// Not at all.
    #[default]
    None,
    /// The parameters of a single stream, which is stream 1.
    One(Box<StreamParms>),
    /// Stream descriptors.
    Many(Vec<StreamDescriptor>),
}

/// StreamID, clause 7.1.6: equal numbers in one context are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u16);

impl StreamId {
    /// The stream of parameters that name none.
    pub const FIRST: StreamId = StreamId(1);
}

/// Stream descriptor, clause 7.1.6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDescriptor {
    /// Which stream.
    pub id: StreamId,
    /// Its parameters.
    pub parms: StreamParms,
}

/// Parameters of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamParms {
    /// LocalControl, clause 7.1.7.
    pub local_control: Option<LocalControl>,
    /// Local, clause 7.1.8: what the MG receives.
    pub local: Option<OctetString>,
    /// Remote, clause 7.1.8: what the MG sends.
    pub remote: Option<OctetString>,
    /// Statistics kept per stream (version 3), clause 7.1.15.
    pub statistics: Option<StatisticsDescriptor>,
}

/// LocalControl descriptor, clause 7.1.7. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalControl {
    /// Mode.
    pub mode: Option<StreamMode>,
    /// ReserveValue: keep resources for all alternatives of one property.
    pub reserve_value: Option<bool>,
    /// ReserveGroup: keep resources for all session descriptions.
    pub reserve_group: Option<bool>,
    /// Properties of packages.
    pub properties: Vec<PropertyParm>,
}

impl LocalControl {
    /// The value of the property `package/item`, if given.
    pub fn property(&self, package: &str, item: &str) -> Option<&ParmValue> {
        find(&self.properties, package, item)
    }
}

/// Mode of a stream, clause 7.1.7: seen from the context's outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamMode {
    /// Towards the outside only.
    SendOnly,
    /// From the outside only.
    ReceiveOnly,
    /// Both ways.
    SendReceive,
    /// Neither way.
    Inactive,
    /// Received media go back.
    Loopback,
}

impl StreamMode {
    /// True when media go out of the context.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendOnly | Self::SendReceive)
    }

    /// True when media come into the context.
    pub fn receives(self) -> bool {
        matches!(self, Self::ReceiveOnly | Self::SendReceive)
    }
}

/// TerminationState descriptor, clause 7.1.5.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminationState {
    /// ServiceStates.
    pub service_state: Option<ServiceState>,
    /// EventBufferControl.
    pub event_buffer: Option<EventBufferControl>,
    /// Properties of packages.
    pub properties: Vec<PropertyParm>,
}

impl TerminationState {
    /// The value of the property `package/item`, if given.
    pub fn property(&self, package: &str, item: &str) -> Option<&ParmValue> {
        find(&self.properties, package, item)
    }
}

/// ServiceStates, clause 7.1.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceState {
    /// Under test.
    Test,
    /// Not to be used.
    OutOfService,
    /// Usable or in use.
    InService,
}

/// EventBufferControl, clause 7.1.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventBufferControl {
    /// Events are reported as they are detected.
    Off,
    /// Detection is held back until the MGC sends a new Events descriptor.
    LockStep,
}

/// Modem descriptor, clause 7.1.2: deprecated, kept and passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModemDescriptor {
    /// Modem types.
    pub types: Vec<Name>,
    /// Properties.
    pub properties: Vec<PropertyParm>,
}

/// Mux descriptor, clause 7.1.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuxDescriptor {
    /// H221, H223, H226, V76, Nx64Kservice or an extension.
    pub mux_type: Name,
    /// What is multiplexed, in order.
    pub terminations: Vec<TerminationId>,
}

pub(crate) fn find<'a>(
    properties: &'a [PropertyParm],
    package: &str,
    item: &str,
) -> Option<&'a ParmValue> {
    let is_it = |property: &&PropertyParm| property.name.is(package, item);
    properties
        .iter()
        .find(is_it)
        .map(|property| &property.value)
}

/// Finds a property in a list: `find_property(&list, &name)`.
pub fn find_property<'a>(list: &'a [PropertyParm], name: &PkgdName) -> Option<&'a ParmValue> {
    find(list, name.package(), name.item())
}
