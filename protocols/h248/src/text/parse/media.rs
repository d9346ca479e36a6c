//! Media, Mux and Modem descriptors.

use super::super::scan::{Parse, Scanner};
use super::super::token as t;
use super::{
    add_property, audit, is_extension, items, name_from, on_off, once, stream_id, termination_id,
};
use crate::error::ErrorCode;
use crate::message::{
    EventBufferControl, LocalControl, MediaDescriptor, ModemDescriptor, MuxDescriptor, Name,
    ServiceState, StreamDescriptor, StreamMode, StreamParms, Streams, TerminationState,
};

/// mediaDescriptor behind its token.
pub(super) fn media(s: &mut Scanner<'_>) -> Parse<MediaDescriptor> {
    let mut termination_state = None;
    let mut one: Option<Box<StreamParms>> = None;
    let mut many: Vec<StreamDescriptor> = Vec::new();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        if t::STREAM.is(word) {
            let stream = stream(s)?;
            if many.iter().any(|other| other.id == stream.id) || one.is_some() {
                return s.error_at(at, ErrorCode::DESCRIPTOR_TWICE, "each stream once");
            }
            many.push(stream);
            Ok(())
        } else if t::TERMINATION_STATE.is(word) {
            let state = self::termination_state(s)?;
            once(
                s,
                at,
                &mut termination_state,
                state,
                ErrorCode::DESCRIPTOR_TWICE,
            )
        } else if many.is_empty() {
            stream_parm(s, at, word, one.get_or_insert_default())
        } else {
            s.error_at(
                at,
                ErrorCode::SYNTAX_IN_COMMAND,
                "Stream or TerminationState",
            )
        }
    })?;
    let streams = match one {
        Some(parms) => Streams::One(parms),
        None if many.is_empty() => Streams::None,
        None => Streams::Many(many),
    };
    Ok(MediaDescriptor {
        termination_state,
        streams,
    })
}

fn stream(s: &mut Scanner<'_>) -> Parse<StreamDescriptor> {
    s.expect(b'=', "= and a stream number")?;
    let id = stream_id(s)?;
    let mut parms = StreamParms::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        stream_parm(s, at, word, &mut parms)
    })?;
    Ok(StreamDescriptor { id, parms })
}

/// streamParm; `word` stands at `at`.
fn stream_parm(s: &mut Scanner<'_>, at: usize, word: &[u8], parms: &mut StreamParms) -> Parse<()> {
    let twice = ErrorCode::DESCRIPTOR_TWICE;
    if t::LOCAL_CONTROL.is(word) {
        let control = local_control(s)?;
        once(s, at, &mut parms.local_control, control, twice)
    } else if t::LOCAL.is(word) {
        let local = s.octet_string()?;
        once(s, at, &mut parms.local, local, twice)
    } else if t::REMOTE.is(word) {
        let remote = s.octet_string()?;
        once(s, at, &mut parms.remote, remote, twice)
    } else if t::STATISTICS.is(word) {
        let statistics = audit::statistics(s)?;
        once(s, at, &mut parms.statistics, statistics, twice)
    } else {
        let code = super::command::descriptor_error(word);
        s.error_at(at, code, "LocalControl, Local, Remote or Statistics")
    }
}

fn local_control(s: &mut Scanner<'_>) -> Parse<LocalControl> {
    let mut control = LocalControl::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        let twice = ErrorCode::PROPERTY_TWICE;
        if t::MODE.is(word) {
            s.expect(b'=', "=")?;
            let mode = mode(s)?;
            once(s, at, &mut control.mode, mode, twice)
        } else if t::RESERVED_VALUE.is(word) {
            let on = on_off(s)?;
            once(s, at, &mut control.reserve_value, on, twice)
        } else if t::RESERVED_GROUP.is(word) {
            let on = on_off(s)?;
            once(s, at, &mut control.reserve_group, on, twice)
        } else {
            add_property(s, at, word, &mut control.properties)
        }
    })?;
    Ok(control)
}

pub(super) fn mode(s: &mut Scanner<'_>) -> Parse<StreamMode> {
    let at = s.offset();
    match s.word() {
        word if t::SEND_RECEIVE.is(word) => Ok(StreamMode::SendReceive),
        word if t::SEND_ONLY.is(word) => Ok(StreamMode::SendOnly),
        word if t::RECEIVE_ONLY.is(word) => Ok(StreamMode::ReceiveOnly),
        word if t::INACTIVE.is(word) => Ok(StreamMode::Inactive),
        word if t::LOOPBACK.is(word) => Ok(StreamMode::Loopback),
        _ => s.error_at(at, ErrorCode::UNSUPPORTED_MODE, "a mode"),
    }
}

fn termination_state(s: &mut Scanner<'_>) -> Parse<TerminationState> {
    let mut state = TerminationState::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        let twice = ErrorCode::PROPERTY_TWICE;
        if t::SERVICE_STATES.is(word) {
            s.expect(b'=', "=")?;
            let service = service_state(s)?;
            once(s, at, &mut state.service_state, service, twice)
        } else if t::BUFFER.is(word) {
            s.expect(b'=', "=")?;
            let value_at = s.offset();
            let control = match s.word() {
                word if t::OFF.is(word) => EventBufferControl::Off,
                word if t::LOCK_STEP.is(word) => EventBufferControl::LockStep,
                _ => return s.error_at(value_at, ErrorCode::UNKNOWN_VALUE, "OFF or LockStep"),
            };
            once(s, at, &mut state.event_buffer, control, twice)
        } else {
            add_property(s, at, word, &mut state.properties)
        }
    })?;
    Ok(state)
}

pub(super) fn service_state(s: &mut Scanner<'_>) -> Parse<ServiceState> {
    let at = s.offset();
    match s.word() {
        word if t::IN_SERVICE.is(word) => Ok(ServiceState::InService),
        word if t::OUT_OF_SERVICE.is(word) => Ok(ServiceState::OutOfService),
        word if t::TEST.is(word) => Ok(ServiceState::Test),
        _ => s.error_at(
            at,
            ErrorCode::UNKNOWN_VALUE,
            "InService, OutOfService or Test",
        ),
    }
}

/// muxDescriptor behind its token.
pub(super) fn mux(s: &mut Scanner<'_>) -> Parse<MuxDescriptor> {
    s.expect(b'=', "= and a multiplex type")?;
    let at = s.offset();
    let word = s.word();
    let mux_type = type_from(s, at, word)?;
    s.expect(b'{', "{")?;
    Ok(MuxDescriptor {
        mux_type,
        terminations: items(s, b'}', termination_id)?,
    })
}

/// modemDescriptor behind its token.
pub(super) fn modem(s: &mut Scanner<'_>) -> Parse<ModemDescriptor> {
    let modem_type = |s: &mut Scanner<'_>| {
        let at = s.offset();
        let word = s.word();
        type_from(s, at, word)
    };
    let types = if s.take(b'=') {
        vec![modem_type(s)?]
    } else {
        s.expect(b'[', "= or [ and a modem type")?;
        items(s, b']', modem_type)?
    };
    let mut properties = Vec::new();
    if s.take(b'{') {
        items(s, b'}', |s| {
            let at = s.offset();
            let word = s.word();
            add_property(s, at, word, &mut properties)
        })?;
    }
    Ok(ModemDescriptor { types, properties })
}

/// A multiplex or modem type: a name or an extension.
fn type_from(s: &Scanner<'_>, at: usize, word: &[u8]) -> Parse<Name> {
    if is_extension(word) {
        Ok(Name::from_ascii(word))
    } else {
        name_from(s, at, word)
    }
}
