//! Audit, Packages and Statistics descriptors, and what audits return.

use super::super::scan::{Parse, Scanner};
use super::super::token::{self as t, Token};
use super::command::descriptor_error;
use super::{
    block, equal_number, error_descriptor, event, indexed_property, items, media, name_from,
    number, once, pkgd_name, request_id, stream_id,
};
use crate::error::ErrorCode;
use crate::message::{
    AuditDescriptor, AuditReturn, AuditToken, IndexedAudit, IndexedLocalControl, IndexedMedia,
    IndexedStreamParms, IndexedTerminationState, PackagesDescriptor, PackagesItem, Selection,
    SignalList, SignalRequest, Statistic, StatisticValue, StatisticsDescriptor,
};

const AUDIT_TOKENS: [(Token, AuditToken); 10] = [
    (t::MEDIA, AuditToken::Media),
    (t::STATISTICS, AuditToken::Statistics),
    (t::PACKAGES, AuditToken::Packages),
    (t::EVENTS, AuditToken::Events),
    (t::SIGNALS, AuditToken::Signals),
    (t::OBSERVED_EVENTS, AuditToken::ObservedEvents),
    (t::EVENT_BUFFER, AuditToken::EventBuffer),
    (t::DIGIT_MAP, AuditToken::DigitMap),
    (t::MUX, AuditToken::Mux),
    (t::MODEM, AuditToken::Modem),
];

/// The descriptor that `word` names.
pub(super) fn audit_token(word: &[u8]) -> Option<AuditToken> {
    AUDIT_TOKENS
        .iter()
        .find(|(token, _)| token.is(word))
        .map(|&(_, token)| token)
}

/// auditDescriptor behind its token.
pub(super) fn audit(s: &mut Scanner<'_>) -> Parse<AuditDescriptor> {
    let mut audit = AuditDescriptor::default();
    s.expect(b'{', "{")?;
    if s.take(b'}') {
        return Ok(audit);
    }
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        match audit_token(word) {
            Some(token) => audit_item(s, at, token, &mut audit),
            None => s.error_at(at, descriptor_error(word), "a descriptor to audit"),
        }
    })?;
    Ok(audit)
}

/// auditItem behind its token.
pub(super) fn audit_item(
    s: &mut Scanner<'_>,
    at: usize,
    token: AuditToken,
    audit: &mut AuditDescriptor,
) -> Parse<()> {
    if matches!(s.peek(), Some(b'{' | b'=')) {
        audit.items.push(indexed(s, token)?);
        return Ok(());
    }
    if !audit.tokens.insert(token) {
        return s.error_at(at, ErrorCode::DESCRIPTOR_TWICE, "each descriptor once");
    }
    Ok(())
}

fn indexed(s: &mut Scanner<'_>, token: AuditToken) -> Parse<IndexedAudit> {
    match token {
        AuditToken::Media => indexed_media(s).map(IndexedAudit::Media),
        AuditToken::Events => {
            let request_id = if s.take(b'=') {
                Some(request_id(s)?)
            } else {
                None
            };
            let name = braced(s, pkgd_name)?;
            Ok(IndexedAudit::Events { request_id, name })
        }
        AuditToken::EventBuffer => braced(s, indexed_event_buffer),
        AuditToken::Signals => {
            s.expect(b'{', "{")?;
            if s.take(b'}') {
                return Ok(IndexedAudit::Signals(None));
            }
            let signal = indexed_signal(s)?;
            s.expect(b'}', "}")?;
            Ok(signal)
        }
        AuditToken::DigitMap => {
            s.expect(b'=', "= and a digit map name")?;
            let at = s.offset();
            let word = s.word();
            Ok(IndexedAudit::DigitMap(name_from(s, at, word)?))
        }
        AuditToken::Statistics => braced(s, pkgd_name).map(IndexedAudit::Statistics),
        AuditToken::Packages => braced(s, packages_item).map(IndexedAudit::Packages),
        AuditToken::Mux | AuditToken::Modem | AuditToken::ObservedEvents => s.error(", or }"),
    }
}

/// `{ item }`.
fn braced<'a, T>(s: &mut Scanner<'a>, item: impl FnOnce(&mut Scanner<'a>) -> Parse<T>) -> Parse<T> {
    s.expect(b'{', "{")?;
    let item = item(s)?;
    s.expect(b'}', "}")?;
    Ok(item)
}

fn indexed_event_buffer(s: &mut Scanner<'_>) -> Parse<IndexedAudit> {
    let name = pkgd_name(s)?;
    let (mut stream, mut parameter) = (None, None);
    if s.take(b'{') {
        let at = s.offset();
        let word = s.word();
        if t::STREAM.is(word) && s.take(b'=') {
            stream = Some(stream_id(s)?);
        } else {
            parameter = Some(name_from(s, at, word)?);
        }
        s.expect(b'}', "}")?;
    }
    Ok(IndexedAudit::EventBuffer {
        name,
        stream,
        parameter,
    })
}

fn indexed_signal(s: &mut Scanner<'_>) -> Parse<IndexedAudit> {
    let at = s.offset();
    let word = s.word();
    if !t::SIGNAL_LIST.is(word) {
        let signal = event::signal(s, at, word)?;
        return Ok(IndexedAudit::Signals(Some(SignalRequest::Signal(signal))));
    }
    let id = equal_number(s, u32::from(u16::MAX), "a signal list number")? as u16;
    if s.peek() != Some(b'{') {
        return Ok(IndexedAudit::SignalList(id));
    }
    let signal = braced(s, |s| {
        let at = s.offset();
        let word = s.word();
        event::signal(s, at, word)
    })?;
    let list = SignalList {
        id,
        signals: vec![signal],
    };
    Ok(IndexedAudit::Signals(Some(SignalRequest::List(list))))
}

fn indexed_media(s: &mut Scanner<'_>) -> Parse<IndexedMedia> {
    let mut audit = IndexedMedia::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        if t::STREAM.is(word) {
            s.expect(b'=', "= and a stream number")?;
            let id = stream_id(s)?;
            let mut parms = IndexedStreamParms::default();
            s.expect(b'{', "{")?;
            items(s, b'}', |s| {
                let at = s.offset();
                let word = s.word();
                indexed_stream_parm(s, at, word, &mut parms)
            })?;
            audit.streams.push((id, parms));
            Ok(())
        } else if t::TERMINATION_STATE.is(word) {
            let state = indexed_termination_state(s)?;
            once(
                s,
                at,
                &mut audit.termination_state,
                state,
                ErrorCode::DESCRIPTOR_TWICE,
            )
        } else {
            indexed_stream_parm(s, at, word, audit.stream.get_or_insert_default())
        }
    })?;
    if audit.stream.is_some() && !audit.streams.is_empty() {
        return s.error("stream parameters or Stream descriptors, not both");
    }
    Ok(audit)
}

fn indexed_stream_parm(
    s: &mut Scanner<'_>,
    at: usize,
    word: &[u8],
    parms: &mut IndexedStreamParms,
) -> Parse<()> {
    let twice = ErrorCode::DESCRIPTOR_TWICE;
    if t::LOCAL_CONTROL.is(word) {
        let control = indexed_local_control(s)?;
        once(s, at, &mut parms.local_control, control, twice)
    } else if t::LOCAL.is(word) {
        let local = s.octet_string()?;
        once(s, at, &mut parms.local, local, twice)
    } else if t::REMOTE.is(word) {
        let remote = s.octet_string()?;
        once(s, at, &mut parms.remote, remote, twice)
    } else if t::STATISTICS.is(word) {
        let statistic = braced(s, pkgd_name)?;
        once(s, at, &mut parms.statistics, statistic, twice)
    } else {
        s.error_at(
            at,
            descriptor_error(word),
            "LocalControl, Local, Remote or Statistics",
        )
    }
}

fn indexed_local_control(s: &mut Scanner<'_>) -> Parse<IndexedLocalControl> {
    let mut control = IndexedLocalControl::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        if t::MODE.is(word) {
            let selection = selection(s, media::mode)?;
            once(
                s,
                at,
                &mut control.mode,
                selection,
                ErrorCode::PROPERTY_TWICE,
            )
        } else if t::RESERVED_VALUE.is(word) {
            control.reserve_value = true;
            Ok(())
        } else if t::RESERVED_GROUP.is(word) {
            control.reserve_group = true;
            Ok(())
        } else {
            control.properties.push(indexed_property(s, at, word)?);
            Ok(())
        }
    })?;
    Ok(control)
}

fn indexed_termination_state(s: &mut Scanner<'_>) -> Parse<IndexedTerminationState> {
    let mut state = IndexedTerminationState::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        if t::SERVICE_STATES.is(word) {
            let selection = selection(s, media::service_state)?;
            once(
                s,
                at,
                &mut state.service_state,
                selection,
                ErrorCode::PROPERTY_TWICE,
            )
        } else if t::BUFFER.is(word) {
            state.event_buffer = true;
            Ok(())
        } else {
            state.properties.push(indexed_property(s, at, word)?);
            Ok(())
        }
    })?;
    Ok(state)
}

/// `[(EQUAL / INEQUAL) value]`, of which only `#` makes sense as INEQUAL.
fn selection<'a, T>(
    s: &mut Scanner<'a>,
    value: impl FnOnce(&mut Scanner<'a>) -> Parse<T>,
) -> Parse<Selection<T>> {
    if s.take(b'=') {
        Ok(Selection::Equal(value(s)?))
    } else if s.take(b'#') {
        Ok(Selection::NotEqual(value(s)?))
    } else {
        Ok(Selection::Value)
    }
}

/// statisticsDescriptor behind its token.
pub(super) fn statistics(s: &mut Scanner<'_>) -> Parse<StatisticsDescriptor> {
    if s.peek() != Some(b'{') {
        return Ok(Vec::new());
    }
    block(s, |s| {
        let name = pkgd_name(s)?;
        let equal = s.take(b'=');
        let value = if s.take(b'[') {
            StatisticValue::List(items(s, b']', Scanner::value)?)
        } else if equal {
            StatisticValue::Single(s.value()?)
        } else {
            StatisticValue::None
        };
        Ok(Statistic { name, value })
    })
}

/// packagesDescriptor behind its token.
fn packages(s: &mut Scanner<'_>) -> Parse<PackagesDescriptor> {
    block(s, packages_item)
}

/// `name-version`.
fn packages_item(s: &mut Scanner<'_>) -> Parse<PackagesItem> {
    let at = s.offset();
    let word = s.word();
    let dash = word.iter().position(|&octet| octet == b'-');
    let version = dash.and_then(|dash| number(&word[dash + 1..], 99));
    match (dash, version) {
        (Some(dash), Some(version)) => {
            let name = name_from(s, at, &word[..dash])?;
            Ok(PackagesItem {
                name,
                version: version as u8,
            })
        }
        _ => s.error_at(
            at,
            ErrorCode::INCORRECT_IDENTIFIER,
            "a package as name-version",
        ),
    }
}

/// auditReturnParameter.
pub(super) fn audit_return(s: &mut Scanner<'_>) -> Parse<AuditReturn> {
    let at = s.offset();
    let word = s.word();
    if t::ERROR.is(word) {
        return error_descriptor(s).map(AuditReturn::Error);
    }
    let Some(token) = audit_token(word) else {
        return s.error_at(at, descriptor_error(word), "a descriptor");
    };
    let opens = matches!(s.peek(), Some(b'{' | b'=' | b'['));
    match token {
        // Bare, these two are empty descriptors of their own.
        AuditToken::Events => event::events(s).map(AuditReturn::Events),
        AuditToken::Signals => event::signals(s).map(AuditReturn::Signals),
        AuditToken::EventBuffer => event::event_buffer(s).map(AuditReturn::EventBuffer),
        _ if !opens => Ok(AuditReturn::Empty(token)),
        AuditToken::Media => media::media(s).map(AuditReturn::Media),
        AuditToken::Mux => media::mux(s).map(AuditReturn::Mux),
        AuditToken::Modem => media::modem(s).map(AuditReturn::Modem),
        AuditToken::DigitMap => event::digit_map(s).map(AuditReturn::DigitMap),
        AuditToken::Statistics => statistics(s).map(AuditReturn::Statistics),
        AuditToken::ObservedEvents => event::observed_events(s).map(AuditReturn::ObservedEvents),
        AuditToken::Packages => packages(s).map(AuditReturn::Packages),
    }
}
