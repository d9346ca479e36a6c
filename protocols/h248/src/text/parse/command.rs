//! Commands and their replies.

use super::super::scan::{Parse, Scanner};
use super::super::token::{self as t, Token};
use super::{
    audit, block, error_descriptor, event, items, media, once, service_change, termination_id,
    termination_list,
};
use crate::error::ErrorCode;
use crate::message::{
    AmmDescriptors, AmmRequest, AmmsReply, AuditDescriptor, AuditReply, AuditRequest, Command,
    CommandReply, CommandRequest, NotifyReply, NotifyRequest, ServiceChangeReply,
    ServiceChangeRequest, SubtractRequest, TerminationAudit,
};

/// commandRequest with its prefixes; `word` stands at `at`.
pub(super) fn request(s: &mut Scanner<'_>, at: usize, word: &[u8]) -> Parse<CommandRequest> {
    let (optional, word) = strip(word, b'O');
    let (wildcard_response, word) = strip(word, b'W');
    s.scope = ErrorCode::SYNTAX_IN_COMMAND;
    let command = match word {
        _ if t::ADD.is(word) => Command::Add(amm_request(s)?),
        _ if t::MODIFY.is(word) => Command::Modify(amm_request(s)?),
        _ if t::MOVE.is(word) => Command::Move(amm_request(s)?),
        _ if t::SUBTRACT.is(word) => Command::Subtract(subtract_request(s)?),
        _ if t::AUDIT_VALUE.is(word) => Command::AuditValue(audit_request(s)?),
        _ if t::AUDIT_CAPABILITY.is(word) => Command::AuditCapability(audit_request(s)?),
        _ if t::NOTIFY.is(word) => Command::Notify(notify_request(s)?),
        _ if t::SERVICE_CHANGE.is(word) => Command::ServiceChange(service_change_request(s)?),
        b"" => return s.error_at(at, ErrorCode::SYNTAX_IN_ACTION, "a command"),
        _ => return s.error_at(at, ErrorCode::UNKNOWN_COMMAND, "a command"),
    };
    s.scope = ErrorCode::SYNTAX_IN_ACTION;
    Ok(CommandRequest {
        command,
        optional,
        wildcard_response,
    })
}

/// Takes the prefix `letter-` off.
fn strip(word: &[u8], letter: u8) -> (bool, &[u8]) {
    match word {
        [first, b'-', rest @ ..] if first.eq_ignore_ascii_case(&letter) => (true, rest),
        _ => (false, word),
    }
}

fn amm_request(s: &mut Scanner<'_>) -> Parse<AmmRequest> {
    s.expect(b'=', "= and a termination")?;
    let terminations = termination_list(s)?;
    let mut descriptors = AmmDescriptors::default();
    if s.take(b'{') {
        items(s, b'}', |s| amm_descriptor(s, &mut descriptors))?;
    }
    Ok(AmmRequest {
        terminations,
        descriptors,
    })
}

fn amm_descriptor(s: &mut Scanner<'_>, descriptors: &mut AmmDescriptors) -> Parse<()> {
    let at = s.offset();
    let word = s.word();
    let twice = ErrorCode::DESCRIPTOR_TWICE;
    if t::MEDIA.is(word) {
        let media = media::media(s)?;
        once(s, at, &mut descriptors.media, media, twice)
    } else if t::EVENTS.is(word) {
        let events = event::events(s)?;
        once(s, at, &mut descriptors.events, events, twice)
    } else if t::SIGNALS.is(word) {
        let signals = event::signals(s)?;
        once(s, at, &mut descriptors.signals, signals, twice)
    } else if t::AUDIT.is(word) {
        let audit = audit::audit(s)?;
        once(s, at, &mut descriptors.audit, audit, twice)
    } else if t::STATISTICS.is(word) {
        let statistics = audit::statistics(s)?;
        once(s, at, &mut descriptors.statistics, statistics, twice)
    } else if t::EVENT_BUFFER.is(word) {
        let buffer = event::event_buffer(s)?;
        once(s, at, &mut descriptors.event_buffer, buffer, twice)
    } else if t::DIGIT_MAP.is(word) {
        let map = Box::new(event::digit_map(s)?);
        once(s, at, &mut descriptors.digit_map, map, twice)
    } else if t::MUX.is(word) {
        let mux = Box::new(media::mux(s)?);
        once(s, at, &mut descriptors.mux, mux, twice)
    } else if t::MODEM.is(word) {
        let modem = Box::new(media::modem(s)?);
        once(s, at, &mut descriptors.modem, modem, twice)
    } else {
        s.error_at(
            at,
            descriptor_error(word),
            "a descriptor of Add, Modify or Move",
        )
    }
}

/// The code for a descriptor that may not stand here: 447 when it is one at all, else 444.
pub(super) fn descriptor_error(word: &[u8]) -> ErrorCode {
    const ELSEWHERE: &[Token] = &[
        t::MEDIA,
        t::EVENTS,
        t::SIGNALS,
        t::AUDIT,
        t::STATISTICS,
        t::EVENT_BUFFER,
        t::DIGIT_MAP,
        t::MUX,
        t::MODEM,
        t::OBSERVED_EVENTS,
        t::PACKAGES,
        t::SERVICES,
        t::ERROR,
        t::TOPOLOGY,
    ];
    if word.is_empty() {
        ErrorCode::SYNTAX_IN_COMMAND
    } else if ELSEWHERE.iter().any(|token| token.is(word)) {
        ErrorCode::DESCRIPTOR_NOT_LEGAL
    } else {
        ErrorCode::UNKNOWN_DESCRIPTOR
    }
}

/// `[{ Audit { … } }]`.
fn optional_audit(s: &mut Scanner<'_>) -> Parse<Option<AuditDescriptor>> {
    if !s.take(b'{') {
        return Ok(None);
    }
    let at = s.offset();
    let word = s.word();
    if !t::AUDIT.is(word) {
        return s.error_at(at, descriptor_error(word), "Audit");
    }
    let audit = audit::audit(s)?;
    s.expect(b'}', "}")?;
    Ok(Some(audit))
}

fn subtract_request(s: &mut Scanner<'_>) -> Parse<SubtractRequest> {
    s.expect(b'=', "= and a termination")?;
    Ok(SubtractRequest {
        terminations: termination_list(s)?,
        audit: optional_audit(s)?,
    })
}

fn audit_request(s: &mut Scanner<'_>) -> Parse<AuditRequest> {
    s.expect(b'=', "= and a termination")?;
    Ok(AuditRequest {
        terminations: termination_list(s)?,
        audit: optional_audit(s)?,
    })
}

fn notify_request(s: &mut Scanner<'_>) -> Parse<NotifyRequest> {
    s.expect(b'=', "= and a termination")?;
    let terminations = termination_list(s)?;
    let (mut observed, mut error) = (None, None);
    s.expect(b'{', "{ and ObservedEvents")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        if t::OBSERVED_EVENTS.is(word) {
            let events = event::observed_events(s)?;
            once(s, at, &mut observed, events, ErrorCode::DESCRIPTOR_TWICE)
        } else if t::ERROR.is(word) {
            let descriptor = error_descriptor(s)?;
            once(s, at, &mut error, descriptor, ErrorCode::DESCRIPTOR_TWICE)
        } else {
            s.error_at(at, descriptor_error(word), "ObservedEvents")
        }
    })?;
    Ok(NotifyRequest {
        terminations,
        observed,
        error,
    })
}

fn service_change_request(s: &mut Scanner<'_>) -> Parse<ServiceChangeRequest> {
    s.expect(b'=', "= and a termination")?;
    let terminations = termination_list(s)?;
    s.expect(b'{', "{ and Services")?;
    let at = s.offset();
    let word = s.word();
    if !t::SERVICES.is(word) {
        return s.error_at(at, descriptor_error(word), "Services");
    }
    let parms = Box::new(service_change::parms(s)?);
    s.expect(b'}', "}")?;
    Ok(ServiceChangeRequest {
        terminations,
        parms,
    })
}

/// commandReplys; `word` stands at `at`.
pub(super) fn reply(s: &mut Scanner<'_>, at: usize, word: &[u8]) -> Parse<CommandReply> {
    s.scope = ErrorCode::SYNTAX_IN_COMMAND;
    Ok(match word {
        _ if t::ADD.is(word) => CommandReply::Add(amms_reply(s)?),
        _ if t::MODIFY.is(word) => CommandReply::Modify(amms_reply(s)?),
        _ if t::MOVE.is(word) => CommandReply::Move(amms_reply(s)?),
        _ if t::SUBTRACT.is(word) => CommandReply::Subtract(amms_reply(s)?),
        _ if t::AUDIT_VALUE.is(word) => CommandReply::AuditValue(audit_reply(s)?),
        _ if t::AUDIT_CAPABILITY.is(word) => CommandReply::AuditCapability(audit_reply(s)?),
        _ if t::NOTIFY.is(word) => CommandReply::Notify(notify_reply(s)?),
        _ if t::SERVICE_CHANGE.is(word) => CommandReply::ServiceChange(service_change_reply(s)?),
        b"" => return s.error_at(at, ErrorCode::SYNTAX_IN_ACTION, "a command reply"),
        _ => return s.error_at(at, ErrorCode::UNKNOWN_COMMAND, "a command reply"),
    })
}

fn amms_reply(s: &mut Scanner<'_>) -> Parse<AmmsReply> {
    s.expect(b'=', "= and a termination")?;
    Ok(AmmsReply {
        terminations: termination_list(s)?,
        audit: optional_termination_audit(s)?,
    })
}

fn optional_termination_audit(s: &mut Scanner<'_>) -> Parse<TerminationAudit> {
    if s.peek() == Some(b'{') {
        block(s, audit::audit_return)
    } else {
        Ok(Vec::new())
    }
}

/// auditReply. `= Context {` starts the list of a context's terminations, so no termination has
/// that name there.
fn audit_reply(s: &mut Scanner<'_>) -> Parse<AuditReply> {
    s.expect(b'=', "= and a termination")?;
    let at = s.offset();
    if t::CONTEXT.is(s.word()) && s.take(b'{') {
        let at = s.offset();
        if t::ERROR.is(s.word()) && s.peek() == Some(b'=') {
            let error = error_descriptor(s)?;
            s.expect(b'}', "}")?;
            return Ok(AuditReply::ContextError(error));
        }
        s.go_to(at);
        return Ok(AuditReply::Context(items(s, b'}', termination_id)?.into()));
    }
    s.go_to(at);
    let terminations = termination_list(s)?;
    let audit = optional_termination_audit(s)?;
    Ok(AuditReply::Terminations(AmmsReply {
        terminations,
        audit,
    }))
}

fn notify_reply(s: &mut Scanner<'_>) -> Parse<NotifyReply> {
    s.expect(b'=', "= and a termination")?;
    let terminations = termination_list(s)?;
    let mut error = None;
    if s.take(b'{') {
        let at = s.offset();
        if !t::ERROR.is(s.word()) {
            return s.error_at(at, s.scope, "Error");
        }
        error = Some(error_descriptor(s)?);
        s.expect(b'}', "}")?;
    }
    Ok(NotifyReply {
        terminations,
        error,
    })
}

fn service_change_reply(s: &mut Scanner<'_>) -> Parse<ServiceChangeReply> {
    s.expect(b'=', "= and a termination")?;
    let terminations = termination_list(s)?;
    let mut result = Ok(Box::default());
    if s.take(b'{') {
        let at = s.offset();
        let word = s.word();
        if t::ERROR.is(word) {
            result = Err(error_descriptor(s)?);
        } else if t::SERVICES.is(word) {
            result = Ok(Box::new(service_change::result(s)?));
        } else {
            return s.error_at(at, s.scope, "Services or Error");
        }
        s.expect(b'}', "}")?;
    }
    Ok(ServiceChangeReply {
        terminations,
        result,
    })
}
