//! Media, Mux and Modem descriptors.

use super::super::ber::{Contents, Element, Fields, Read, universal};
use super::super::session;
use super::{Reader, list, sequences, stream_id};
use crate::error::ErrorCode;
use crate::message::{
    EventBufferControl, LocalControl, MediaDescriptor, ModemDescriptor, MuxDescriptor, Name,
    OctetString, ServiceState, StreamDescriptor, StreamMode, StreamParms, Streams,
    TerminationState,
};

/// ModemType: the long and the short names of Annex B.2.
pub(in crate::binary) const MODEM_TYPES: [(&str, &str); 9] = [
    ("V18", "V18"),
    ("V22", "V22"),
    ("V22b", "V22b"),
    ("V32", "V32"),
    ("V32b", "V32b"),
    ("V34", "V34"),
    ("V90", "V90"),
    ("V91", "V91"),
    ("SynchISDN", "SN"),
];

/// MuxType: the long and the short names of Annex B.2.
pub(in crate::binary) const MUX_TYPES: [(&str, &str); 5] = [
    ("H221", "H221"),
    ("H223", "H223"),
    ("H226", "H226"),
    ("V76", "V76"),
    ("Nx64Kservice", "N64"),
];

impl Reader<'_> {
    /// MediaDescriptor.
    pub(super) fn media(self, element: &Element<'_>) -> Read<MediaDescriptor> {
        let mut fields = Fields::of(element)?;
        let termination_state = fields.optional(0, |element| self.termination_state(&element))?;
        let streams = fields.optional(1, |element| {
            let streams = element.choice()?;
            match streams.number() {
                Some(0) => Ok(Streams::One(Box::new(self.stream_parms(&streams)?))),
                Some(1) => self.stream_descriptors(&streams),
                _ => streams.fault("one stream or several"),
            }
        })?;
        fields.end()?;
        Ok(MediaDescriptor {
            termination_state,
            streams: streams.unwrap_or_default(),
        })
    }

    /// SEQUENCE OF StreamDescriptor.
    fn stream_descriptors(self, element: &Element<'_>) -> Read<Streams> {
        let mut streams: Vec<StreamDescriptor> = Vec::new();
        sequences(element, |element| {
            let mut fields = Fields::of(&element)?;
            let id = fields.required(0, "a stream number", |element| stream_id(&element))?;
            if streams.iter().any(|stream| stream.id == id) {
                return element.fault_with(ErrorCode::DESCRIPTOR_TWICE, "each stream once");
            }
            let parms = fields.required(1, "a stream", |element| self.stream_parms(&element))?;
            fields.end()?;
            streams.push(StreamDescriptor { id, parms });
            Ok(())
        })?;
        Ok(if streams.is_empty() {
            Streams::None
        } else {
            Streams::Many(streams)
        })
    }

    /// StreamParms.
    fn stream_parms(self, element: &Element<'_>) -> Read<StreamParms> {
        let mut fields = Fields::of(element)?;
        let parms = StreamParms {
            local_control: fields.optional(0, |element| self.local_control(&element))?,
            local: fields.optional(1, |element| session(&element))?,
            remote: fields.optional(2, |element| session(&element))?,
            statistics: fields.optional(3, |element| self.statistics(&element))?,
        };
        fields.end()?;
        Ok(parms)
    }

    /// LocalControlDescriptor.
    fn local_control(self, element: &Element<'_>) -> Read<LocalControl> {
        let mut fields = Fields::of(element)?;
        let control = LocalControl {
            mode: fields.optional(0, |element| mode(&element))?,
            reserve_value: fields.optional(1, |element| element.boolean())?,
            reserve_group: fields.optional(2, |element| element.boolean())?,
            properties: fields.required(3, "properties", |e| self.properties(&e))?,
        };
        fields.end()?;
        Ok(control)
    }

    /// TerminationStateDescriptor.
    fn termination_state(self, element: &Element<'_>) -> Read<TerminationState> {
        let mut fields = Fields::of(element)?;
        let properties = fields.required(0, "properties", |e| self.properties(&e))?;
        let event_buffer = fields.optional(1, |element| match element.u32()? {
            0 => Ok(EventBufferControl::Off),
            1 => Ok(EventBufferControl::LockStep),
            _ => element.fault_with(ErrorCode::UNKNOWN_VALUE, "off or lockStep"),
        })?;
        let service_state = fields.optional(2, |element| service_state(&element))?;
        fields.end()?;
        Ok(TerminationState {
            service_state,
            event_buffer,
            properties,
        })
    }

    /// MuxDescriptor. Non-standard data are left out.
    pub(super) fn mux(self, element: &Element<'_>) -> Read<MuxDescriptor> {
        let mut fields = Fields::of(element)?;
        let mux_type = fields.required(0, "a multiplex type", |e| name_of(&e, &MUX_TYPES))?;
        let terminations = fields.required(1, "terminations", |element| {
            sequences(&element, |element| self.termination(&element))
        })?;
        fields.take(2)?;
        fields.end()?;
        Ok(MuxDescriptor {
            mux_type,
            terminations,
        })
    }

    /// ModemDescriptor. Non-standard data are left out.
    pub(super) fn modem(self, element: &Element<'_>) -> Read<ModemDescriptor> {
        let mut fields = Fields::of(element)?;
        let types = fields.required(0, "modem types", |element| {
            list(&element, Some(universal::ENUMERATED), |e| {
                name_of(&e, &MODEM_TYPES)
            })
        })?;
        let properties = fields.required(1, "properties", |e| self.properties(&e))?;
        fields.take(2)?;
        fields.end()?;
        Ok(ModemDescriptor { types, properties })
    }
}

/// The name of an enumerated value.
fn name_of(element: &Element<'_>, names: &[(&str, &str)]) -> Read<Name> {
    match names.get(element.u32()? as usize) {
        Some((name, _)) => Ok(Name::from_ascii(name.as_bytes())),
        None => element.fault_with(ErrorCode::UNKNOWN_VALUE, "a known type"),
    }
}

/// StreamMode.
pub(super) fn mode(element: &Element<'_>) -> Read<StreamMode> {
    match element.u32()? {
        0 => Ok(StreamMode::SendOnly),
        1 => Ok(StreamMode::ReceiveOnly),
        2 => Ok(StreamMode::SendReceive),
        3 => Ok(StreamMode::Inactive),
        4 => Ok(StreamMode::Loopback),
        _ => element.fault_with(ErrorCode::UNSUPPORTED_MODE, "a mode"),
    }
}

/// ServiceState.
pub(super) fn service_state(element: &Element<'_>) -> Read<ServiceState> {
    match element.u32()? {
        0 => Ok(ServiceState::Test),
        1 => Ok(ServiceState::OutOfService),
        2 => Ok(ServiceState::InService),
        _ => element.fault_with(ErrorCode::UNKNOWN_VALUE, "a service state"),
    }
}

/// LocalRemoteDescriptor: a line for each value of each property.
fn session(element: &Element<'_>) -> Read<OctetString> {
    let mut fields = Fields::of(element)?;
    let session = fields.required(0, "property groups", |groups| {
        match short_lines(groups.contents()?)? {
            Some(text) => Ok(text),
            None => session_lines(groups.contents()?).map(OctetString::new),
        }
    })?;
    fields.end()?;
    Ok(session)
}

/// The lines of groups when all are short, as nearly always.
fn short_lines(mut groups: Contents<'_>) -> Read<Option<OctetString>> {
    let mut text = Vec::with_capacity(groups.len());
    while let Some(group) = groups.next()? {
        if !group.is_universal(universal::SEQUENCE) {
            return group.fault("a property group");
        }
        group.contents()?;
        let mut rest = group.octets;
        while !rest.is_empty() {
            match session::read_short(rest, &mut text) {
                Some(behind) => rest = behind,
                None => return Ok(None),
            }
        }
    }
    Ok(Some(OctetString::from_lines(text)))
}

fn session_lines(mut groups: Contents<'_>) -> Read<Vec<u8>> {
    let mut text = Vec::with_capacity(groups.len());
    while let Some(group) = groups.next()? {
        let mut properties = group.contents()?;
        while let Some(property) = properties.next()? {
            session_property(&property, &mut text)?;
        }
    }
    Ok(text)
}

/// PropertyParm of a Local or Remote descriptor.
fn session_property(element: &Element<'_>, text: &mut Vec<u8>) -> Read<()> {
    let mut fields = Fields::of(element)?;
    let name = fields.required(0, "a name", |element| four_octets(&element))?;
    fields.required(1, "a value", |element| {
        let mut values = element.contents()?;
        while let Some(value) = values.next()? {
            session::write_line(name, Some(&value.string()?), text);
        }
        Ok(())
    })?;
    fields.take(2)?;
    fields.end()
}

/// IndAudLocalRemoteDescriptor: names of lines, with `=` and a value where one selects.
pub(super) fn indexed_session(element: &Element<'_>) -> Read<OctetString> {
    let mut text = Vec::new();
    let mut fields = Fields::of(element)?;
    fields.take(0)?;
    fields.required(1, "properties", |element| {
        sequences(&element, |element| {
            let mut fields = Fields::of(&element)?;
            let name = fields.required(0, "a name", |element| four_octets(&element))?;
            match fields.take(1)? {
                Some(property) => session_property(&property, &mut text)?,
                None => session::write_line(name, None, &mut text),
            }
            fields.end()
        })
    })?;
    fields.end()?;
    Ok(OctetString::new(text))
}

fn four_octets(element: &Element<'_>) -> Read<[u8; 4]> {
    match <[u8; 4]>::try_from(element.string()?.as_ref()) {
        Ok(octets) => Ok(octets),
        Err(_) => element.fault_with(ErrorCode::INCORRECT_IDENTIFIER, "package and item"),
    }
}
