//! Writer: message, transactions, actions.
//!
//! What Annex B cannot express is left out: descriptors without content, properties of reserved
//! contexts.

mod command;
mod descriptor;

use std::io::Write as _;

use super::Style;
use super::token::{self as t, Token};
use crate::message::{
    ActionReply, ActionRequest, AuthHeader, ContextAudit, ContextId, ContextProperties,
    ErrorDescriptor, IndexedProperty, Message, MessageBody, Mid, Parameter, ParmValue,
    PropertyParm, ReplyBody, RequestId, Segment, SelectLogic, TerminationId, TopologyDirection,
    Transaction, TransactionId, TransactionReply, Value,
};

/// Prints `message` behind what is in `out`.
pub fn write(message: &Message, style: Style, out: &mut Vec<u8>) {
    write_header(
        message.auth.as_ref(),
        message.version,
        &message.mid,
        style,
        out,
    );
    match &message.body {
        MessageBody::Error(error) => {
            let mut w = Writer::new(style, out);
            w.error(error);
            w.end_of_line();
        }
        MessageBody::Transactions(transactions) => {
            let mut previous: Option<&Transaction> = None;
            for transaction in transactions {
                if matches!(previous, Some(Transaction::SegmentReply(..))) {
                    out.push(b'\n');
                }
                write_transaction(transaction, style, out);
                previous = Some(transaction);
            }
        }
    }
}

/// Prints what stands before the body of a message, so that transactions can be put behind it one
/// by one.
pub fn write_header(
    auth: Option<&AuthHeader>,
    version: u8,
    mid: &Mid,
    style: Style,
    out: &mut Vec<u8>,
) {
    let mut w = Writer::new(style, out);
    if let Some(auth) = auth {
        w.token(t::AUTHENTICATION);
        w.format(format_args!(
            "=0x{:08X}:0x{:08X}:0x",
            auth.spi, auth.sequence
        ));
        for octet in &auth.data {
            w.format(format_args!("{octet:02X}"));
        }
        w.octets(b"\n");
    }
    w.token(t::MEGACO);
    w.octets(b"/");
    w.number(version);
    w.octets(b" ");
    w.mid(mid);
    w.octets(b"\n");
}

/// Prints one transaction. No brace ends a SegmentReply, so it has to be the last of its message.
pub fn write_transaction(transaction: &Transaction, style: Style, out: &mut Vec<u8>) {
    let mut w = Writer::new(style, out);
    match transaction {
        Transaction::Request(request) => {
            w.named(t::TRANSACTION);
            w.number(request.id.0);
            w.block(|w| {
                for action in &request.actions {
                    w.action_request(action);
                }
            });
        }
        Transaction::Pending(id) => {
            w.named(t::PENDING);
            w.number(id.0);
            w.block(|_| ());
        }
        Transaction::Reply(reply) => w.reply(reply),
        Transaction::ResponseAck(ranges) => {
            w.token(t::RESPONSE_ACK);
            w.block(|w| {
                for range in ranges {
                    w.ack_range(range);
                }
            });
        }
        Transaction::SegmentReply(id, segment) => {
            w.named(t::SEGMENT);
            w.number(id.0);
            w.segment(*segment);
            return;
        }
    }
    w.end_of_line();
}

/// Prints items with commas, and in pretty style lines and indentation, between them.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    style: Style,
    indent: usize,
    /// The next item is the first of its block.
    fresh: bool,
}

impl<'a> Writer<'a> {
    fn new(style: Style, out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            style,
            indent: 0,
            fresh: true,
        }
    }

    // Layout.

    fn octets(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    fn format(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a vector cannot fail.
        let _ = self.out.write_fmt(arguments);
    }

    fn number(&mut self, number: impl Into<u32>) {
        let mut rest = number.into();
        let mut digits = [b'0'; 10];
        let mut start = digits.len();
        while rest > 0 || start == digits.len() {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.octets(&digits[start..]);
    }

    fn token(&mut self, token: Token) {
        let text = match self.style {
            Style::Pretty => token.long,
            Style::Compact => token.short,
        };
        self.octets(text.as_bytes());
    }

    /// `token =`, to be followed by a value.
    fn named(&mut self, token: Token) {
        self.token(token);
        self.equal();
    }

    /// `token = value`.
    fn pair(&mut self, name: Token, value: Token) {
        self.named(name);
        self.token(value);
    }

    fn equal(&mut self) {
        self.octets(match self.style {
            Style::Pretty => b" = ",
            Style::Compact => b"=",
        });
    }

    fn line(&mut self) {
        if self.style == Style::Pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 4 * self.indent, b' ');
        }
    }

    fn end_of_line(&mut self) {
        if self.style == Style::Pretty {
            self.out.push(b'\n');
        }
    }

    /// Starts an item of the block around it.
    fn item(&mut self) {
        if !self.fresh {
            self.out.push(b',');
        }
        self.fresh = false;
        self.line();
    }

    /// `{ … }`.
    fn block(&mut self, content: impl FnOnce(&mut Self)) {
        self.enclosed(b'{', b'}', content);
    }

    fn enclosed(&mut self, open: u8, close: u8, content: impl FnOnce(&mut Self)) {
        if self.style == Style::Pretty && self.out.last() != Some(&b' ') {
            self.out.push(b' ');
        }
        self.out.push(open);
        self.indent += 1;
        self.fresh = true;
        content(self);
        self.indent -= 1;
        if !self.fresh {
            self.line();
        }
        self.fresh = false;
        self.out.push(close);
    }

    // Transactions and actions.

    fn mid(&mut self, mid: &Mid) {
        let port = match mid {
            Mid::Ipv4(address, port) => {
                self.format(format_args!("[{address}]"));
                *port
            }
            Mid::Ipv6(address, port) => {
                self.format(format_args!("[{address}]"));
                *port
            }
            Mid::Domain(name, port) => {
                self.format(format_args!("<{name}>"));
                *port
            }
            Mid::Device(name) => {
                self.octets(name.as_bytes());
                None
            }
            Mid::Mtp(address) => {
                self.octets(b"MTP{");
                for octet in address {
                    self.format(format_args!("{octet:02X}"));
                }
                self.octets(b"}");
                None
            }
        };
        if let Some(port) = port {
            self.format(format_args!(":{port}"));
        }
    }

    fn ack_range(&mut self, &(first, last): &(TransactionId, TransactionId)) {
        self.item();
        self.number(first.0);
        if last != first {
            self.format(format_args!("-{last}"));
        }
    }

    fn segment(&mut self, segment: Segment) {
        self.format(format_args!("/{}", segment.number));
        if segment.complete {
            self.octets(b"/");
            self.token(t::SEGMENTATION_COMPLETE);
        }
    }

    fn reply(&mut self, reply: &TransactionReply) {
        self.named(t::REPLY);
        self.number(reply.id.0);
        if let Some(segment) = reply.segment {
            self.segment(segment);
        }
        self.block(|w| {
            if reply.imm_ack_required {
                w.item();
                w.token(t::IMM_ACK_REQUIRED);
            }
            match &reply.body {
                ReplyBody::Error(error) => {
                    w.item();
                    w.error(error);
                }
                ReplyBody::Actions(actions) => {
                    for action in actions {
                        w.action_reply(action);
                    }
                }
            }
        });
    }

    fn action_request(&mut self, action: &ActionRequest) {
        self.item();
        self.named(t::CONTEXT);
        self.context_id(action.context);
        self.block(|w| {
            w.context_properties(&action.properties);
            if let Some(audit) = &action.audit {
                w.item();
                w.token(t::CONTEXT_AUDIT);
                w.block(|w| w.context_audit(audit));
            }
            for command in &action.commands {
                w.command_request(command);
            }
        });
    }

    fn action_reply(&mut self, action: &ActionReply) {
        self.item();
        self.named(t::CONTEXT);
        self.context_id(action.context);
        if action.properties.is_empty() && action.commands.is_empty() && action.error.is_none() {
            return;
        }
        self.block(|w| {
            w.context_properties(&action.properties);
            for command in &action.commands {
                w.command_reply(command);
            }
            if let Some(error) = &action.error {
                w.item();
                w.error(error);
            }
        });
    }

    fn context_id(&mut self, context: ContextId) {
        match context {
            ContextId::Null => self.octets(b"-"),
            ContextId::Choose => self.octets(b"$"),
            ContextId::All => self.octets(b"*"),
            ContextId::Id(id) => self.number(id),
        }
    }

    fn context_properties(&mut self, properties: &ContextProperties) {
        if !properties.topology.is_empty() {
            self.item();
            self.token(t::TOPOLOGY);
            self.block(|w| {
                for triple in &properties.topology {
                    w.item();
                    w.format(format_args!("{},{},", triple.from, triple.to));
                    w.token(match triple.direction {
                        TopologyDirection::Bothway => t::BOTHWAY,
                        TopologyDirection::Isolate => t::ISOLATE,
                        TopologyDirection::Oneway => t::ONEWAY,
                        TopologyDirection::OnewayExternal => t::ONEWAY_EXTERNAL,
                        TopologyDirection::OnewayBoth => t::ONEWAY_BOTH,
                    });
                    if let Some(stream) = triple.stream {
                        w.octets(b",");
                        w.named(t::STREAM);
                        w.number(stream.0);
                    }
                }
            });
        }
        if let Some(priority) = properties.priority {
            self.item();
            self.named(t::PRIORITY);
            self.number(priority);
        }
        if let Some(emergency) = properties.emergency {
            self.item();
            self.token(if emergency {
                t::EMERGENCY
            } else {
                t::EMERGENCY_OFF
            });
        }
        if let Some(ieps) = properties.ieps {
            self.item();
            self.on_off(t::IEPS_CALL, ieps);
        }
        if !properties.attributes.is_empty() {
            self.item();
            self.token(t::CONTEXT_ATTR);
            self.block(|w| w.properties(&properties.attributes));
        }
        if !properties.contexts.is_empty() {
            self.item();
            self.token(t::CONTEXT_ATTR);
            self.block(|w| {
                w.item();
                w.named(t::CONTEXT_LIST);
                w.block(|w| {
                    for &context in &properties.contexts {
                        w.item();
                        w.context_id(context);
                    }
                });
            });
        }
    }

    fn context_audit(&mut self, audit: &ContextAudit) {
        let whole = [
            (audit.topology, t::TOPOLOGY),
            (audit.emergency, t::EMERGENCY),
            (audit.priority, t::PRIORITY),
            (audit.ieps, t::IEPS_CALL),
        ];
        for (_, token) in whole.into_iter().filter(|&(asked, _)| asked) {
            self.item();
            self.token(token);
        }
        for property in &audit.properties {
            self.item();
            self.indexed_property(property);
        }
        if let Some(priority) = audit.select_priority {
            self.item();
            self.named(t::PRIORITY);
            self.number(priority);
        }
        if let Some(emergency) = audit.select_emergency {
            self.item();
            let value = if emergency {
                t::EMERGENCY
            } else {
                t::EMERGENCY_OFF
            };
            self.pair(t::EMERGENCY_VALUE, value);
        }
        if let Some(ieps) = audit.select_ieps {
            self.item();
            self.on_off(t::IEPS_CALL, ieps);
        }
        if let Some(logic) = audit.logic {
            self.item();
            self.token(match logic {
                SelectLogic::And => t::SELECT_AND,
                SelectLogic::Or => t::SELECT_OR,
            });
        }
    }

    // What all descriptors use.

    fn error(&mut self, error: &ErrorDescriptor) {
        self.named(t::ERROR);
        self.number(error.code.0);
        self.octets(b"{");
        if let Some(text) = &error.text {
            self.value(&Value::quoted(text));
        }
        self.octets(b"}");
        self.fresh = false;
    }

    fn on_off(&mut self, name: Token, on: bool) {
        self.pair(name, if on { t::ON } else { t::OFF });
    }

    fn request_id(&mut self, request: RequestId) {
        if request == RequestId::ALL {
            self.octets(b"*");
        } else {
            self.number(request.0);
        }
    }

    /// termIDList.
    fn terminations(&mut self, terminations: &[TerminationId]) {
        match terminations {
            [one] => self.octets(one.as_str().as_bytes()),
            _ => {
                self.octets(b"[");
                self.joined(terminations);
                self.octets(b"]");
            }
        }
    }

    fn joined(&mut self, terminations: &[TerminationId]) {
        for (index, termination) in terminations.iter().enumerate() {
            if index > 0 {
                self.octets(b",");
            }
            self.octets(termination.as_str().as_bytes());
        }
    }

    fn properties(&mut self, properties: &[PropertyParm]) {
        for property in properties {
            self.item();
            self.octets(property.name.as_str().as_bytes());
            self.parm_value(&property.value);
        }
    }

    fn parameters(&mut self, parameters: &[Parameter]) {
        for parameter in parameters {
            self.item();
            self.octets(parameter.name.as_bytes());
            self.parm_value(&parameter.value);
        }
    }

    fn indexed_property(&mut self, property: &IndexedProperty) {
        self.octets(property.name.as_str().as_bytes());
        if let Some(select) = &property.select {
            self.parm_value(select);
        }
    }

    fn parm_value(&mut self, value: &ParmValue) {
        match value {
            ParmValue::Equal(value) => {
                self.equal();
                self.value(value);
            }
            ParmValue::NotEqual(value) => self.related(b"#", value),
            ParmValue::Less(value) => self.related(b"<", value),
            ParmValue::Greater(value) => self.related(b">", value),
            ParmValue::OneOf(values) => self.values(b"{", values, b"}"),
            ParmValue::List(values) => self.values(b"[", values, b"]"),
            ParmValue::Range(low, high) => {
                self.equal();
                self.octets(b"[");
                self.value(low);
                self.octets(b":");
                self.value(high);
                self.octets(b"]");
            }
        }
    }

    fn related(&mut self, relation: &[u8], value: &Value) {
        self.octets(relation);
        self.value(value);
    }

    fn values(&mut self, open: &[u8], values: &[Value], close: &[u8]) {
        self.equal();
        self.octets(open);
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.octets(b",");
            }
            self.value(value);
        }
        self.octets(close);
    }

    fn value(&mut self, value: &Value) {
        let quote: &[u8] = if value.is_quoted() { b"\"" } else { b"" };
        self.octets(quote);
        self.octets(value.as_bytes());
        self.octets(quote);
    }
}
