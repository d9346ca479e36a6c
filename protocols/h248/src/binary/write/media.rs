//! Media, Mux and Modem descriptors.

use super::super::ber::universal;
use super::super::naming::ValueForm;
use super::super::read::{MODEM_TYPES, MUX_TYPES};
use super::super::session;
use super::{Writer, context};
use crate::message::{
    EventBufferControl, LocalControl, MediaDescriptor, ModemDescriptor, MuxDescriptor, Name,
    OctetString, ServiceState, StreamMode, StreamParms, Streams, TerminationState,
};

impl Writer<'_> {
    /// MediaDescriptor.
    pub(super) fn media(&mut self, tag: u8, media: &MediaDescriptor) {
        self.large(tag, |w| {
            if let Some(state) = &media.termination_state {
                w.constructed(context(0), |w| w.termination_state(state));
            }
            match &media.streams {
                Streams::None => (),
                Streams::One(parms) => w.constructed(context(1), |w| {
                    w.constructed(context(0), |w| w.stream_parms(parms));
                }),
                Streams::Many(streams) => w.large(context(1), |w| {
                    w.large_sequences(context(1), streams, |w, stream| {
                        w.integer(context(0), stream.id.0);
                        w.large(context(1), |w| w.stream_parms(&stream.parms));
                    });
                }),
            }
        });
    }

    fn stream_parms(&mut self, parms: &StreamParms) {
        if let Some(control) = &parms.local_control {
            self.constructed(context(0), |w| w.local_control(control));
        }
        self.session(context(1), parms.local.as_ref());
        self.session(context(2), parms.remote.as_ref());
        if let Some(statistics) = &parms.statistics {
            self.statistics(context(3), statistics);
        }
    }

    fn local_control(&mut self, control: &LocalControl) {
        self.optional_integer(context(0), control.mode.map(mode));
        self.optional_boolean(context(1), control.reserve_value);
        self.optional_boolean(context(2), control.reserve_group);
        self.properties(context(3), &control.properties);
    }

    fn termination_state(&mut self, state: &TerminationState) {
        self.properties(context(0), &state.properties);
        let buffer = state.event_buffer.map(|control| match control {
            EventBufferControl::Off => 0,
            EventBufferControl::LockStep => 1,
        });
        self.optional_integer(context(1), buffer);
        self.optional_integer(context(2), state.service_state.map(service_state));
    }

    /// LocalRemoteDescriptor: a group for each session description.
    fn session(&mut self, tag: u8, octets: Option<&OctetString>) {
        let Some(octets) = octets else { return };
        self.constructed(tag, |w| {
            w.constructed(context(0), |w| {
                let mut group = None;
                for line in session::lines(octets.as_bytes()) {
                    if session::begins_group(line)
                        && let Some(start) = group.take()
                    {
                        w.close(start);
                    }
                    if group.is_none() {
                        group = Some(w.open(universal::SEQUENCE));
                    }
                    w.session_property(universal::SEQUENCE, line);
                }
                if let Some(start) = group {
                    w.close(start);
                }
            });
        });
    }

    /// PropertyParm of a Local or Remote descriptor.
    fn session_property(&mut self, tag: u8, line: &[u8]) {
        let is_list = tag == universal::SEQUENCE && self.naming.values == ValueForm::Typed;
        if is_list && session::write_short(line, self.out) {
            return;
        }
        let Some(property) = session::property(line) else {
            return self.refuse("line", String::from_utf8_lossy(line));
        };
        let form = self.naming.values;
        self.constructed(tag, |w| {
            w.octets(context(0), &property.name);
            w.constructed(context(1), |w| {
                property.value.write(universal::OCTET_STRING, form, w.out);
            });
        });
    }

    /// IndAudLocalRemoteDescriptor.
    pub(super) fn indexed_session(&mut self, tag: u8, octets: Option<&OctetString>) {
        let Some(octets) = octets else { return };
        self.constructed(tag, |w| {
            w.constructed(context(1), |w| {
                for line in session::lines(octets.as_bytes()) {
                    let Some(property) = session::property(line) else {
                        return w.refuse("line", String::from_utf8_lossy(line));
                    };
                    w.constructed(universal::SEQUENCE, |w| {
                        w.octets(context(0), &property.name);
                        if line.get(1) == Some(&b'=') {
                            w.session_property(context(1), line);
                        }
                    });
                }
            });
        });
    }

    /// MuxDescriptor.
    pub(super) fn mux(&mut self, tag: u8, mux: &MuxDescriptor) {
        self.constructed(tag, |w| {
            w.enumerated(context(0), &mux.mux_type, &MUX_TYPES, "multiplex type");
            w.terminations(context(1), &mux.terminations);
        });
    }

    /// ModemDescriptor.
    pub(super) fn modem(&mut self, tag: u8, modem: &ModemDescriptor) {
        self.constructed(tag, |w| {
            w.constructed(context(0), |w| {
                for name in &modem.types {
                    w.enumerated(universal::ENUMERATED, name, &MODEM_TYPES, "modem type");
                }
            });
            w.properties(context(1), &modem.properties);
        });
    }

    fn enumerated(&mut self, tag: u8, name: &Name, names: &[(&str, &str)], what: &'static str) {
        match names
            .iter()
            .position(|(long, short)| name == long || name == short)
        {
            Some(number) => self.integer(tag, number as u8),
            None => self.refuse(what, name.as_str()),
        }
    }
}

/// StreamMode.
pub(super) fn mode(mode: StreamMode) -> u8 {
    match mode {
        StreamMode::SendOnly => 0,
        StreamMode::ReceiveOnly => 1,
        StreamMode::SendReceive => 2,
        StreamMode::Inactive => 3,
        StreamMode::Loopback => 4,
    }
}

/// ServiceState.
pub(super) fn service_state(state: ServiceState) -> u8 {
    match state {
        ServiceState::Test => 0,
        ServiceState::OutOfService => 1,
        ServiceState::InService => 2,
    }
}
