//! Parser: message, transactions, actions.

mod audit;
mod command;
mod event;
mod item;
mod media;
mod service_change;

use std::net::{Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use super::scan::{Parse, Scanner};
use super::token as t;
use super::{
    BadTransaction, MESSAGE_LEN_MAX, Parsed, ParsedBody, SyntaxError, TRANSACTIONS_MAX,
    TransactionKind,
};
use crate::error::ErrorCode;
use crate::message::{
    ActionReply, ActionRequest, AuthHeader, ContextAudit, ContextId, ContextProperties,
    ErrorDescriptor, IndexedProperty, Mid, NAME_LEN_MAX, Name, ReplyBody, Segment, SelectLogic,
    TopologyDirection, TopologyTriple, Transaction, TransactionId, TransactionReply,
    TransactionRequest, VERSION,
};
use item::{
    add_property, block, equal_number, is_at_relation, is_extension, is_path_name, items,
    name_from, number, on_off, once, parm_value, pkgd_name, pkgd_name_from, property, push,
    request_id, stream_id, termination_from, termination_id, termination_list,
};

/// Reads a message (megacoMessage).
///
/// A transaction that is wrong does not spoil the others when its end can be found.
///
/// # Errors
/// Nothing of the message can be used. The code for the reply: 400 (header), 406 (version), 410
/// (mId), 413 (too many transactions).
pub fn parse(input: &[u8]) -> Result<Parsed, SyntaxError> {
    check_len(input)?;
    let mut s = Scanner::new(input);
    let at = s.offset();
    let mut word = s.word();
    let auth = if t::AUTHENTICATION.is(word) {
        let auth = auth_header(&mut s)?;
        word = s.word();
        Some(auth)
    } else {
        None
    };
    let version = version(&s, at, word)?;
    let mid = mid(&mut s)?;
    let at = s.offset();
    if t::ERROR.is(s.word()) {
        let error = error_descriptor(&mut s)?;
        if !s.is_at_end() {
            return s.error("the end of the message");
        }
        return Ok(Parsed {
            auth,
            version,
            mid,
            body: ParsedBody::Error(error),
        });
    }
    s.go_to(at);
    let transactions = transactions(&mut s)?;
    Ok(Parsed {
        auth,
        version,
        mid,
        body: ParsedBody::Transactions(transactions),
    })
}

/// Reads actions as they stand in a TransactionRequest (`Context = - { … }, …`): for tools.
///
/// # Errors
/// The first place that is wrong.
pub fn parse_actions(input: &[u8]) -> Result<Vec<ActionRequest>, SyntaxError> {
    check_len(input)?;
    let mut s = Scanner::new(input);
    s.scope = ErrorCode::SYNTAX_IN_TRANSACTION_REQUEST;
    let mut actions = Vec::new();
    loop {
        actions.push(action_request(&mut s)?);
        if s.is_at_end() {
            return Ok(actions);
        }
        s.expect(b',', ", or the end")?;
    }
}

fn check_len(input: &[u8]) -> Parse<()> {
    if input.len() <= MESSAGE_LEN_MAX {
        return Ok(());
    }
    Err(SyntaxError {
        code: ErrorCode::SYNTAX_IN_MESSAGE,
        offset: MESSAGE_LEN_MAX,
        line: 1,
        expected: "a message of at most 65535 octets",
    })
}

fn version(s: &Scanner<'_>, at: usize, word: &[u8]) -> Parse<u8> {
    let slash = word.iter().position(|&octet| octet == b'/');
    let Some(slash) = slash.filter(|&slash| t::MEGACO.is(&word[..slash])) else {
        return s.error_at(at, ErrorCode::SYNTAX_IN_MESSAGE, "MEGACO/ and the version");
    };
    match number(&word[slash + 1..], 99) {
        Some(version) if (1..=u32::from(VERSION)).contains(&version) => Ok(version as u8),
        Some(_) => s.error_at(at, ErrorCode::VERSION_NOT_SUPPORTED, "version 1, 2 or 3"),
        None => s.error_at(at, ErrorCode::SYNTAX_IN_MESSAGE, "MEGACO/ and the version"),
    }
}

fn auth_header(s: &mut Scanner<'_>) -> Parse<AuthHeader> {
    s.expect(b'=', "=")?;
    let spi = hex_field(s, 4..=4)?;
    s.expect(b':', ":")?;
    let sequence = hex_field(s, 4..=4)?;
    s.expect(b':', ":")?;
    let data = hex_field(s, 12..=32)?;
    let word = |octets: Vec<u8>| {
        octets
            .iter()
            .fold(0, |word, &octet| word << 8 | u32::from(octet))
    };
    Ok(AuthHeader {
        spi: word(spi),
        sequence: word(sequence),
        data,
    })
}

fn hex_field(s: &mut Scanner<'_>, len: std::ops::RangeInclusive<usize>) -> Parse<Vec<u8>> {
    let at = s.offset();
    let word = s.word();
    let octets = match word {
        [b'0', b'x' | b'X', digits @ ..] => hex(digits),
        _ => None,
    };
    match octets {
        Some(octets) if len.contains(&octets.len()) => Ok(octets),
        _ => s.error_at(
            at,
            ErrorCode::SYNTAX_IN_MESSAGE,
            "0x and hexadecimal digits",
        ),
    }
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let octet = |pair: &[u8]| Some((nibble(pair[0])? << 4 | nibble(pair[1])?) as u8);
    digits.chunks_exact(2).map(octet).collect()
}

/// mId. Its errors have code 410.
fn mid(s: &mut Scanner<'_>) -> Parse<Mid> {
    let at = s.offset();
    let bad = |s: &Scanner<'_>, expected| s.error_at(at, ErrorCode::INCORRECT_IDENTIFIER, expected);
    if s.take(b'<') {
        let name = s.word();
        let fits = (1..=NAME_LEN_MAX).contains(&name.len())
            && name[0].is_ascii_alphanumeric()
            && name
                .iter()
                .all(|&octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet));
        if !fits || !s.take(b'>') {
            return bad(s, "<a domain name>");
        }
        let name = Name::from_ascii(name);
        return Ok(Mid::Domain(name, port(s)?));
    }
    if s.take(b'[') {
        let text = s.until(b"]").trim_ascii_end();
        let text = std::str::from_utf8(text).unwrap_or_default();
        if !s.take(b']') {
            return bad(s, "[an address]");
        }
        if let Some(address) = ipv4(text) {
            return Ok(Mid::Ipv4(address, port(s)?));
        }
        return match text.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Mid::Ipv6(address, port(s)?)),
            Err(_) => bad(s, "[an IPv4 or IPv6 address]"),
        };
    }
    let word = s.word();
    if t::MTP.is(word) && s.take(b'{') {
        let octets = hex(s.word()).filter(|octets| (2..=4).contains(&octets.len()));
        return match octets {
            Some(octets) if s.take(b'}') => Ok(Mid::Mtp(SmallVec::from_vec(octets))),
            _ => bad(s, "MTP{ and 4 to 8 hexadecimal digits }"),
        };
    }
    if !is_path_name(word) {
        return bad(s, "a domain name, an address, MTP{} or a device name");
    }
    Ok(Mid::Device(Name::from_ascii(word)))
}

/// Up to three decimal digits each, leading zeros allowed.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| part.len() <= 3)?;
        *octet = number(part.as_bytes(), 255)? as u8;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

fn port(s: &mut Scanner<'_>) -> Parse<Option<u16>> {
    if !s.take(b':') {
        return Ok(None);
    }
    let at = s.offset();
    match number(s.word(), u32::from(u16::MAX)) {
        Some(port) => Ok(Some(port as u16)),
        None => s.error_at(at, ErrorCode::INCORRECT_IDENTIFIER, "a port number"),
    }
}

fn transactions(s: &mut Scanner<'_>) -> Parse<Vec<Result<Transaction, BadTransaction>>> {
    let mut transactions = Vec::new();
    loop {
        if transactions.len() == TRANSACTIONS_MAX {
            return s.error_at(
                s.offset(),
                ErrorCode::TOO_MANY_TRANSACTIONS,
                "fewer transactions",
            );
        }
        let at = s.offset();
        let mut head = Head {
            kind: TransactionKind::Unknown,
            id: None,
        };
        s.depth = 0;
        match transaction(s, &mut head) {
            Ok(transaction) => push(&mut transactions, Ok(transaction)),
            Err(error) => {
                if head.kind == TransactionKind::Unknown && transactions.is_empty() {
                    return Err(SyntaxError {
                        code: ErrorCode::SYNTAX_IN_MESSAGE,
                        ..error
                    });
                }
                let end = s.end_of_block(at);
                let kind = head.kind;
                let id = head.id;
                push(&mut transactions, Err(BadTransaction { kind, id, error }));
                match end {
                    Some(end) => s.go_to(end),
                    None => return Ok(transactions),
                }
            }
        }
        if s.is_at_end() {
            return Ok(transactions);
        }
    }
}

/// What is known of a transaction before its body.
struct Head {
    kind: TransactionKind,
    id: Option<TransactionId>,
}

fn transaction(s: &mut Scanner<'_>, head: &mut Head) -> Parse<Transaction> {
    s.scope = ErrorCode::SYNTAX_IN_TRANSACTION_REQUEST;
    let at = s.offset();
    let word = s.word();
    if t::TRANSACTION.is(word) {
        head.kind = TransactionKind::Request;
        s.expect(b'=', "= and a transaction number")?;
        let id = transaction_id(s, head)?;
        let actions = block(s, action_request)?;
        Ok(Transaction::Request(TransactionRequest { id, actions }))
    } else if t::REPLY.is(word) {
        head.kind = TransactionKind::Reply;
        s.expect(b'=', "= and a transaction number")?;
        transaction_reply(s, head).map(Transaction::Reply)
    } else if t::PENDING.is(word) {
        head.kind = TransactionKind::Pending;
        s.expect(b'=', "= and a transaction number")?;
        let id = transaction_id(s, head)?;
        s.expect(b'{', "{")?;
        s.expect(b'}', "}")?;
        Ok(Transaction::Pending(id))
    } else if t::RESPONSE_ACK.is(word) {
        head.kind = TransactionKind::ResponseAck;
        block(s, ack_range).map(Transaction::ResponseAck)
    } else if t::SEGMENT.is(word) {
        head.kind = TransactionKind::SegmentReply;
        s.expect(b'=', "= and a transaction number")?;
        match segmented_id(s, head)? {
            (id, Some(segment)) => Ok(Transaction::SegmentReply(id, segment)),
            (_, None) => s.error_at(at, s.scope, "a segment number"),
        }
    } else {
        s.error_at(
            at,
            s.scope,
            "Transaction, Reply, Pending, TransactionResponseAck or Segment",
        )
    }
}

fn transaction_id(s: &mut Scanner<'_>, head: &mut Head) -> Parse<TransactionId> {
    let at = s.offset();
    match number(s.word(), u32::MAX) {
        Some(id) => {
            head.id = Some(TransactionId(id));
            Ok(TransactionId(id))
        }
        None => s.error_at(at, ErrorCode::INCORRECT_IDENTIFIER, "a transaction number"),
    }
}

/// TransactionID [SLASH segmentNumber [SLASH SegmentationCompleteToken]].
fn segmented_id(s: &mut Scanner<'_>, head: &mut Head) -> Parse<(TransactionId, Option<Segment>)> {
    let at = s.offset();
    let word = s.word();
    let mut parts = word.split(|&octet| octet == b'/');
    let Some(id) = parts.next().and_then(|part| number(part, u32::MAX)) else {
        return s.error_at(at, ErrorCode::INCORRECT_IDENTIFIER, "a transaction number");
    };
    let id = TransactionId(id);
    head.id = Some(id);
    let Some(part) = parts.next() else {
        return Ok((id, None));
    };
    let segment_number = number(part, u32::from(u16::MAX));
    let (complete, right) = match parts.next() {
        None => (false, true),
        Some(end) => (
            true,
            t::SEGMENTATION_COMPLETE.is(end) && parts.next().is_none(),
        ),
    };
    match segment_number {
        Some(segment) if right => Ok((
            id,
            Some(Segment {
                number: segment as u16,
                complete,
            }),
        )),
        _ => s.error_at(at, s.scope, "a segment number, perhaps with /END"),
    }
}

fn ack_range(s: &mut Scanner<'_>) -> Parse<(TransactionId, TransactionId)> {
    let at = s.offset();
    let word = s.word();
    let (first, last) = match word.iter().position(|&octet| octet == b'-') {
        None => (word, word),
        Some(dash) => (&word[..dash], &word[dash + 1..]),
    };
    match (number(first, u32::MAX), number(last, u32::MAX)) {
        (Some(first), Some(last)) if first <= last => {
            Ok((TransactionId(first), TransactionId(last)))
        }
        _ => s.error_at(
            at,
            ErrorCode::INCORRECT_IDENTIFIER,
            "a transaction number or range",
        ),
    }
}

fn transaction_reply(s: &mut Scanner<'_>, head: &mut Head) -> Parse<TransactionReply> {
    let (id, segment) = segmented_id(s, head)?;
    s.expect(b'{', "{")?;
    let mut at = s.offset();
    let mut word = s.word();
    let imm_ack_required = t::IMM_ACK_REQUIRED.is(word);
    if imm_ack_required {
        s.expect(b',', ", after ImmAckRequired")?;
        at = s.offset();
        word = s.word();
    }
    let body = if t::ERROR.is(word) {
        let error = error_descriptor(s)?;
        s.expect(b'}', "}")?;
        ReplyBody::Error(error)
    } else {
        s.go_to(at);
        ReplyBody::Actions(items(s, b'}', action_reply)?)
    };
    Ok(TransactionReply {
        id,
        imm_ack_required,
        segment,
        body,
    })
}

fn action_request(s: &mut Scanner<'_>) -> Parse<ActionRequest> {
    let context = action_head(s)?;
    let mut action = ActionRequest::new(context, Vec::new());
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        s.scope = ErrorCode::SYNTAX_IN_ACTION;
        let at = s.offset();
        let word = s.word();
        if t::CONTEXT_AUDIT.is(word) {
            let audit = Box::new(context_audit(s)?);
            once(s, at, &mut action.audit, audit, ErrorCode::SYNTAX_IN_ACTION)
        } else if context_property(s, at, word, &mut action.properties)? {
            Ok(())
        } else {
            push(&mut action.commands, command::request(s, at, word)?);
            Ok(())
        }
    })?;
    s.scope = ErrorCode::SYNTAX_IN_TRANSACTION_REQUEST;
    Ok(action)
}

fn action_reply(s: &mut Scanner<'_>) -> Parse<ActionReply> {
    let context = action_head(s)?;
    let mut action = ActionReply::new(context, Vec::new());
    if s.take(b'{') {
        items(s, b'}', |s| {
            s.scope = ErrorCode::SYNTAX_IN_ACTION;
            let at = s.offset();
            let word = s.word();
            if t::ERROR.is(word) {
                let error = error_descriptor(s)?;
                once(s, at, &mut action.error, error, ErrorCode::SYNTAX_IN_ACTION)
            } else if context_property(s, at, word, &mut action.properties)? {
                Ok(())
            } else {
                push(&mut action.commands, command::reply(s, at, word)?);
                Ok(())
            }
        })?;
    }
    s.scope = ErrorCode::SYNTAX_IN_TRANSACTION_REQUEST;
    Ok(action)
}

/// `Context = id`.
fn action_head(s: &mut Scanner<'_>) -> Parse<ContextId> {
    let at = s.offset();
    if !t::CONTEXT.is(s.word()) {
        return s.error_at(at, s.scope, "Context");
    }
    s.scope = ErrorCode::SYNTAX_IN_ACTION;
    s.expect(b'=', "= and a context")?;
    context_id(s)
}

fn context_id(s: &mut Scanner<'_>) -> Parse<ContextId> {
    let at = s.offset();
    match s.word() {
        b"-" => Ok(ContextId::Null),
        b"$" => Ok(ContextId::Choose),
        b"*" => Ok(ContextId::All),
        word => match number(word, u32::MAX).map(ContextId::from_u32) {
            Some(context @ ContextId::Id(_)) => Ok(context),
            _ => s.error_at(
                at,
                ErrorCode::INCORRECT_IDENTIFIER,
                "a context number, -, $ or *",
            ),
        },
    }
}

/// contextProperty; false when `word` starts none.
fn context_property(
    s: &mut Scanner<'_>,
    at: usize,
    word: &[u8],
    properties: &mut ContextProperties,
) -> Parse<bool> {
    let twice = ErrorCode::SYNTAX_IN_ACTION;
    if t::TOPOLOGY.is(word) {
        if !properties.topology.is_empty() {
            return s.error_at(at, twice, "one Topology descriptor");
        }
        properties.topology = topology(s)?;
    } else if t::PRIORITY.is(word) {
        let priority = priority(s)?;
        once(s, at, &mut properties.priority, priority, twice)?;
    } else if t::EMERGENCY.is(word) {
        once(s, at, &mut properties.emergency, true, twice)?;
    } else if t::EMERGENCY_OFF.is(word) || word.eq_ignore_ascii_case(b"EmergencyOffToken") {
        // The second is how Erlang/OTP prints it in version 2.
        once(s, at, &mut properties.emergency, false, twice)?;
    } else if t::IEPS_CALL.is(word) {
        let ieps = on_off(s)?;
        once(s, at, &mut properties.ieps, ieps, twice)?;
    } else if t::CONTEXT_ATTR.is(word) {
        s.expect(b'{', "{")?;
        items(s, b'}', |s| {
            let at = s.offset();
            let word = s.word();
            if t::CONTEXT_LIST.is(word) {
                s.expect(b'=', "=")?;
                properties.contexts = block(s, context_id)?;
            } else {
                properties.attributes.push(property(s, at, word)?);
            }
            Ok(())
        })?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn priority(s: &mut Scanner<'_>) -> Parse<u8> {
    s.expect(b'=', "=")?;
    let at = s.offset();
    match number(s.word(), 15) {
        Some(priority) => Ok(priority as u8),
        None => s.error_at(at, s.scope, "a priority from 0 to 15"),
    }
}

fn topology(s: &mut Scanner<'_>) -> Parse<Vec<TopologyTriple>> {
    let mut triples: Vec<TopologyTriple> = Vec::new();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        if t::STREAM.is(word) && s.take(b'=') {
            let stream = stream_id(s)?;
            return match triples.last_mut() {
                Some(triple) => once(s, at, &mut triple.stream, stream, s.scope),
                None => s.error_at(at, s.scope, "a topology triple"),
            };
        }
        let from = termination_from(s, at, word)?;
        s.expect(b',', ", and the second termination")?;
        let to = termination_id(s)?;
        s.expect(b',', ", and the direction")?;
        let at = s.offset();
        let word = s.word();
        let direction = match word {
            _ if t::BOTHWAY.is(word) => TopologyDirection::Bothway,
            _ if t::ISOLATE.is(word) => TopologyDirection::Isolate,
            _ if t::ONEWAY.is(word) => TopologyDirection::Oneway,
            _ if t::ONEWAY_EXTERNAL.is(word) => TopologyDirection::OnewayExternal,
            _ if t::ONEWAY_BOTH.is(word) => TopologyDirection::OnewayBoth,
            _ => return s.error_at(at, s.scope, "a topology direction"),
        };
        triples.push(TopologyTriple {
            from,
            to,
            direction,
            stream: None,
        });
        Ok(())
    })?;
    Ok(triples)
}

fn context_audit(s: &mut Scanner<'_>) -> Parse<ContextAudit> {
    let mut audit = ContextAudit::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| context_audit_item(s, &mut audit))?;
    Ok(audit)
}

/// contextAuditProperties. ContextAttr within it holds further ones (indAudcontextAttrDescriptor),
/// one level deep.
fn context_audit_item(s: &mut Scanner<'_>, audit: &mut ContextAudit) -> Parse<()> {
    let at = s.offset();
    let word = s.word();
    if !t::CONTEXT_ATTR.is(word) {
        return context_audit_property(s, at, word, audit);
    }
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        context_audit_property(s, at, word, audit)
    })?;
    Ok(())
}

fn context_audit_property(
    s: &mut Scanner<'_>,
    at: usize,
    word: &[u8],
    audit: &mut ContextAudit,
) -> Parse<()> {
    let twice = ErrorCode::SYNTAX_IN_ACTION;
    if t::TOPOLOGY.is(word) {
        audit.topology = true;
    } else if t::EMERGENCY.is(word) {
        audit.emergency = true;
    } else if t::PRIORITY.is(word) {
        if s.peek() == Some(b'=') {
            let priority = priority(s)?;
            return once(s, at, &mut audit.select_priority, priority, twice);
        }
        audit.priority = true;
    } else if t::IEPS_CALL.is(word) {
        if s.peek() == Some(b'=') {
            let ieps = on_off(s)?;
            return once(s, at, &mut audit.select_ieps, ieps, twice);
        }
        audit.ieps = true;
    } else if t::EMERGENCY_VALUE.is(word) {
        s.expect(b'=', "=")?;
        let value_at = s.offset();
        let emergency = match s.word() {
            word if t::EMERGENCY.is(word) => true,
            word if t::EMERGENCY_OFF.is(word) => false,
            _ => return s.error_at(value_at, s.scope, "Emergency or EmergencyOff"),
        };
        return once(s, at, &mut audit.select_emergency, emergency, twice);
    } else if t::SELECT_AND.is(word) || word.eq_ignore_ascii_case(b"ANSLgc") {
        return once(s, at, &mut audit.logic, SelectLogic::And, twice);
    } else if t::SELECT_OR.is(word) {
        return once(s, at, &mut audit.logic, SelectLogic::Or, twice);
    } else {
        audit.properties.push(indexed_property(s, at, word)?);
    }
    Ok(())
}

/// pkgdName or propertyParm.
fn indexed_property(s: &mut Scanner<'_>, at: usize, word: &[u8]) -> Parse<IndexedProperty> {
    let name = pkgd_name_from(s, at, word, ErrorCode::UNKNOWN_PROPERTY)?;
    let select = if is_at_relation(s) {
        Some(parm_value(s)?)
    } else {
        None
    };
    Ok(IndexedProperty { name, select })
}

/// errorDescriptor behind its token.
fn error_descriptor(s: &mut Scanner<'_>) -> Parse<ErrorDescriptor> {
    s.expect(b'=', "= and an error code")?;
    let at = s.offset();
    let Some(code) = number(s.word(), 9999) else {
        return s.error_at(at, s.scope, "an error code");
    };
    s.expect(b'{', "{")?;
    let text = match s.peek() {
        Some(b'"') => Some(s.value()?.as_str().into_owned()),
        _ => None,
    };
    s.expect(b'}', "}")?;
    Ok(ErrorDescriptor {
        code: ErrorCode(code as u16),
        text,
    })
}
