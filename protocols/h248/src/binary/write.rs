//! Writer: message, transactions, actions. One function for each type of A.2, in its order.

mod audit;
mod command;
mod event;
mod media;
mod service_change;

use super::ber::{self, universal};
use super::naming::{self, ValueForm};
use super::{Naming, Unencodable, value};
use crate::message::{
    ActionReply, ActionRequest, AuthHeader, ContextAudit, ContextId, ContextProperties,
    ErrorDescriptor, IndexedProperty, Message, MessageBody, Mid, Name, ParmValue, PkgdName,
    PropertyParm, ReplyBody, SelectLogic, TerminationId, TopologyDirection, TopologyTriple,
    Transaction, TransactionReply, Value,
};
use crate::package::{Item, Kind, Type};

/// Encodes `message` behind what is in `out`, which stays as it is when this fails.
///
/// # Errors
/// The first thing for which there is no room.
pub fn write(message: &Message, naming: &Naming, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let start = out.len();
    let mut w = Writer::new(naming, out);
    w.large(universal::SEQUENCE, |w| {
        w.auth_header(message.auth.as_ref());
        w.large(context(1), |w| {
            w.head(message.version, &message.mid);
            w.large(context(2), |w| match &message.body {
                MessageBody::Error(error) => w.error(context(0), error),
                MessageBody::Transactions(transactions) => w.large(context(1), |w| {
                    for transaction in transactions {
                        w.transaction(transaction);
                    }
                }),
            });
        });
    });
    w.finish(start)
}

/// Encodes one transaction, to be put into a message by [`wrap_transactions`].
///
/// # Errors
/// The first thing for which there is no room.
pub fn write_transaction(
    transaction: &Transaction,
    naming: &Naming,
    out: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    let start = out.len();
    let mut w = Writer::new(naming, out);
    w.transaction(transaction);
    w.finish(start)
}

/// Makes a message of `transactions`, encoded one behind the other.
pub fn wrap_transactions(version: u8, mid: &Mid, transactions: &[u8], out: &mut Vec<u8>) {
    let naming = Naming::default();
    out.reserve(transactions.len() + message_overhead_max(mid));
    let mut w = Writer::new(&naming, out);
    w.large(universal::SEQUENCE, |w| {
        w.large(context(1), |w| {
            w.head(version, mid);
            w.large(context(2), |w| ber::wrap(context(1), transactions, w.out));
        });
    });
}

/// Octets that [`wrap_transactions`] adds at most.
pub fn message_overhead_max(mid: &Mid) -> usize {
    let mid_len = match mid {
        Mid::Domain(name, _) | Mid::Device(name) => name.as_bytes().len(),
        _ => 16,
    };
    // Four constructed elements with lengths of up to four octets, the version, and of the mId
    // three heads and the port.
    4 * 6 + 3 + mid_len + 3 * 3 + 5
}

/// The identifier octet of a context-specific tag.
const fn context(number: u8) -> u8 {
    0x80 | number
}

/// Writes the types of A.2 and keeps what has no room.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    naming: &'a Naming,
    unencodable: Option<Unencodable>,
}

impl<'a> Writer<'a> {
    fn new(naming: &'a Naming, out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            naming,
            unencodable: None,
        }
    }

    fn finish(self, start: usize) -> Result<(), Unencodable> {
        match self.unencodable {
            None => Ok(()),
            Some(unencodable) => {
                self.out.truncate(start);
                Err(unencodable)
            }
        }
    }

    fn refuse(&mut self, what: &'static str, name: impl AsRef<str>) {
        self.unencodable.get_or_insert_with(|| Unencodable {
            what,
            name: name.as_ref().to_owned(),
        });
    }

    // Elements.

    fn open(&mut self, tag: u8) -> usize {
        ber::open(tag, self.out)
    }

    fn close(&mut self, start: usize) {
        ber::close(start, self.out);
    }

    fn constructed(&mut self, tag: u8, content: impl FnOnce(&mut Self)) {
        let start = self.open(tag);
        content(self);
        self.close(start);
    }

    /// An element that contains most of the message: saves moving its contents.
    fn large(&mut self, tag: u8, content: impl FnOnce(&mut Self)) {
        let start = ber::open_large(tag, self.out);
        content(self);
        ber::close_large(start, self.out);
    }

    /// SEQUENCE OF SEQUENCE that contain most of the message.
    fn large_sequences<T>(&mut self, tag: u8, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.large(tag, |w| {
            for one in items {
                w.large(universal::SEQUENCE, |w| item(w, one));
            }
        });
    }

    /// SEQUENCE OF SEQUENCE.
    fn sequences<T>(&mut self, tag: u8, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.constructed(tag, |w| {
            for one in items {
                w.constructed(universal::SEQUENCE, |w| item(w, one));
            }
        });
    }

    fn integer(&mut self, tag: u8, value: impl Into<i64>) {
        ber::write_integer(tag, value.into(), self.out);
    }

    fn optional_integer(&mut self, tag: u8, value: Option<impl Into<i64>>) {
        if let Some(value) = value {
            self.integer(tag, value);
        }
    }

    fn boolean(&mut self, tag: u8, value: bool) {
        ber::write_boolean(tag, value, self.out);
    }

    fn optional_boolean(&mut self, tag: u8, value: Option<bool>) {
        if let Some(value) = value {
            self.boolean(tag, value);
        }
    }

    /// NULL, where `flag` is set.
    fn flag(&mut self, tag: u8, flag: bool) {
        if flag {
            self.octets(tag, &[]);
        }
    }

    fn octets(&mut self, tag: u8, octets: &[u8]) {
        ber::primitive(tag, octets, self.out);
    }

    // Message and transactions.

    /// AuthenticationHeader.
    fn auth_header(&mut self, auth: Option<&AuthHeader>) {
        let Some(auth) = auth else { return };
        self.constructed(context(0), |w| {
            w.octets(context(0), &auth.spi.to_be_bytes());
            w.octets(context(1), &auth.sequence.to_be_bytes());
            w.octets(context(2), &auth.data);
        });
    }

    /// What stands in a Message before its body.
    fn head(&mut self, version: u8, mid: &Mid) {
        self.integer(context(0), version);
        self.constructed(context(1), |w| w.mid(0, mid));
    }

    /// An alternative of MId or, with `base` 1, of ServiceChangeAddress.
    fn mid(&mut self, base: u8, mid: &Mid) {
        let (number, octets, port) = match mid {
            Mid::Ipv4(address, port) => (0, &address.octets()[..], *port),
            Mid::Ipv6(address, port) => (1, &address.octets()[..], *port),
            Mid::Domain(name, port) => (2, name.as_bytes(), *port),
            Mid::Device(name) => return self.octets(context(base + 3), name.as_bytes()),
            Mid::Mtp(octets) => return self.octets(context(base + 4), octets),
        };
        self.constructed(context(base + number), |w| {
            w.octets(context(0), octets);
            w.optional_integer(context(1), port);
        });
    }

    fn transaction(&mut self, transaction: &Transaction) {
        match transaction {
            Transaction::Request(request) => self.large(context(0), |w| {
                w.integer(context(0), request.id.0);
                w.large_sequences(context(1), &request.actions, Self::action_request);
            }),
            Transaction::Pending(id) => {
                self.constructed(context(1), |w| w.integer(context(0), id.0));
            }
            Transaction::Reply(reply) => {
                self.constructed(context(2), |w| w.transaction_reply(reply));
            }
            Transaction::ResponseAck(ranges) => {
                self.sequences(context(3), ranges, |w, &(first, last)| {
                    w.integer(context(0), first.0);
                    w.optional_integer(context(1), (last != first).then_some(last.0));
                });
            }
            Transaction::SegmentReply(id, segment) => self.constructed(context(4), |w| {
                w.integer(context(0), id.0);
                w.integer(context(1), segment.number);
                w.flag(context(2), segment.complete);
            }),
        }
    }

    fn transaction_reply(&mut self, reply: &TransactionReply) {
        self.integer(context(0), reply.id.0);
        self.flag(context(1), reply.imm_ack_required);
        self.constructed(context(2), |w| match &reply.body {
            ReplyBody::Error(error) => w.error(context(0), error),
            ReplyBody::Actions(actions) => w.sequences(context(1), actions, Self::action_reply),
        });
        self.optional_integer(context(3), reply.segment.map(|segment| segment.number));
        self.flag(
            context(4),
            reply.segment.is_some_and(|segment| segment.complete),
        );
    }

    fn error(&mut self, tag: u8, error: &ErrorDescriptor) {
        self.constructed(tag, |w| {
            w.integer(context(0), error.code.0);
            if let Some(text) = &error.text {
                w.octets(context(1), text.as_bytes());
            }
        });
    }

    // Actions and contexts.

    fn action_request(&mut self, action: &ActionRequest) {
        self.context_id(context(0), action.context);
        self.context_request(context(1), &action.properties);
        if let Some(audit) = &action.audit {
            self.constructed(context(2), |w| w.context_audit(audit));
        }
        self.large_sequences(context(3), &action.commands, Self::command_request);
    }

    fn action_reply(&mut self, action: &ActionReply) {
        self.context_id(context(0), action.context);
        if let Some(error) = &action.error {
            self.error(context(1), error);
        }
        self.context_request(context(2), &action.properties);
        self.constructed(context(3), |w| {
            for reply in &action.commands {
                w.command_reply(reply);
            }
        });
    }

    fn context_id(&mut self, tag: u8, id: ContextId) {
        self.integer(tag, id.as_u32());
    }

    fn context_request(&mut self, tag: u8, properties: &ContextProperties) {
        if properties.is_empty() {
            return;
        }
        self.constructed(tag, |w| {
            w.optional_integer(context(0), properties.priority);
            w.optional_boolean(context(1), properties.emergency);
            if !properties.topology.is_empty() {
                w.sequences(context(2), &properties.topology, Self::topology);
            }
            w.optional_boolean(context(3), properties.ieps);
            if !properties.attributes.is_empty() {
                w.properties(context(4), &properties.attributes);
            }
            if !properties.contexts.is_empty() {
                w.constructed(context(5), |w| {
                    for &id in &properties.contexts {
                        w.context_id(universal::INTEGER, id);
                    }
                });
            }
        });
    }

    fn context_audit(&mut self, audit: &ContextAudit) {
        self.flag(context(0), audit.topology);
        self.flag(context(1), audit.emergency);
        self.flag(context(2), audit.priority);
        self.flag(context(3), audit.ieps);
        if !audit.properties.is_empty() {
            self.indexed_properties(context(4), &audit.properties);
        }
        self.optional_integer(context(5), audit.select_priority);
        self.optional_boolean(context(6), audit.select_emergency);
        self.optional_boolean(context(7), audit.select_ieps);
        if let Some(logic) = audit.logic {
            self.constructed(context(8), |w| match logic {
                SelectLogic::And => w.octets(context(0), &[]),
                SelectLogic::Or => w.octets(context(1), &[]),
            });
        }
    }

    fn topology(&mut self, triple: &TopologyTriple) {
        let (direction, extension) = match triple.direction {
            TopologyDirection::Bothway => (0, None),
            TopologyDirection::Isolate => (1, None),
            TopologyDirection::Oneway => (2, None),
            TopologyDirection::OnewayExternal => (2, Some(0)),
            TopologyDirection::OnewayBoth => (2, Some(1)),
        };
        self.termination(context(0), &triple.from);
        self.termination(context(1), &triple.to);
        self.integer(context(2), direction);
        self.optional_integer(context(3), triple.stream.map(|stream| stream.0));
        self.optional_integer(context(4), extension);
    }

    /// TerminationID.
    fn termination(&mut self, tag: u8, termination: &TerminationId) {
        let Some(id) = self.naming.terminations.encode(termination) else {
            return self.refuse("termination", termination.as_str());
        };
        self.constructed(tag, |w| {
            w.constructed(context(0), |w| {
                for &wildcard in &id.wildcards {
                    w.octets(universal::OCTET_STRING, &[wildcard]);
                }
            });
            w.octets(context(1), &id.octets);
        });
    }

    /// TerminationIDList.
    fn terminations(&mut self, tag: u8, terminations: &[TerminationId]) {
        self.constructed(tag, |w| {
            for termination in terminations {
                w.termination(universal::SEQUENCE, termination);
            }
        });
    }

    // What all descriptors use.

    /// PkgdName. Says what is known of the item.
    fn item_name(&mut self, tag: u8, kind: Kind, name: &PkgdName) -> Option<&'static Item> {
        match naming::encode_item(kind, name) {
            Some((octets, item)) => {
                self.octets(tag, &octets);
                item
            }
            None => {
                self.refuse("name without a number", name.as_str());
                None
            }
        }
    }

    /// DigitMapName.
    fn digit_map_name(&mut self, tag: u8, name: &Name) {
        match self.naming.encode_digit_map(name) {
            Some(number) => self.octets(tag, &number.to_be_bytes()),
            None => self.refuse("digit map without a number", name.as_str()),
        }
    }

    fn properties(&mut self, tag: u8, properties: &[PropertyParm]) {
        self.sequences(tag, properties, |w, property| {
            w.property(&property.name, &property.value);
        });
    }

    /// PropertyParm.
    fn property(&mut self, name: &PkgdName, value: &ParmValue) {
        let item = self.item_name(context(0), Kind::Property, name);
        self.parm_value(value, item.and_then(Item::value_type));
    }

    /// The fields `value` and `extraInfo` of a property or parameter.
    fn parm_value(&mut self, value: &ParmValue, value_type: Option<Type>) {
        let one = std::slice::from_ref;
        let (values, extra) = match value {
            ParmValue::Equal(value) if value.is_choose() => (&[][..], Extra::None),
            ParmValue::Equal(value) => (one(value), Extra::None),
            ParmValue::Greater(value) => (one(value), Extra::Relation(0)),
            ParmValue::Less(value) => (one(value), Extra::Relation(1)),
            ParmValue::NotEqual(value) => (one(value), Extra::Relation(2)),
            ParmValue::OneOf(values) => (values.as_slice(), Extra::SubList(false)),
            ParmValue::List(values) => (values.as_slice(), Extra::SubList(true)),
            ParmValue::Range(low, high) => {
                self.constructed(context(1), |w| {
                    w.value(low, value_type);
                    w.value(high, value_type);
                });
                return self.constructed(context(2), |w| w.boolean(context(1), true));
            }
        };
        let is_text = self.naming.values == ValueForm::Text;
        let values = match value {
            ParmValue::Equal(value) if is_text => one(value),
            _ => values,
        };
        self.values(context(1), values, value_type);
        match extra {
            Extra::None => (),
            Extra::Relation(relation) => {
                self.constructed(context(2), |w| w.integer(context(0), relation));
            }
            Extra::SubList(all) => {
                self.constructed(context(2), |w| w.boolean(context(2), all));
            }
        }
    }

    /// Value.
    fn values(&mut self, tag: u8, values: &[Value], value_type: Option<Type>) {
        self.constructed(tag, |w| {
            for value in values {
                w.value(value, value_type);
            }
        });
    }

    fn value(&mut self, value: &Value, value_type: Option<Type>) {
        match self.naming.values {
            ValueForm::Text => self.octets(universal::OCTET_STRING, value.as_bytes()),
            ValueForm::Typed => {
                self.out.extend_from_slice(&[universal::OCTET_STRING, 0]);
                let start = self.out.len();
                value::write(value, value_type, self.out);
                self.close(start);
            }
        }
    }

    /// SEQUENCE OF IndAudPropertyParm.
    fn indexed_properties(&mut self, tag: u8, properties: &[IndexedProperty]) {
        self.sequences(tag, properties, |w, property| {
            w.item_name(context(0), Kind::Property, &property.name);
            if let Some(select) = &property.select {
                w.constructed(context(1), |w| w.property(&property.name, select));
            }
        });
    }
}

/// extraInfo.
enum Extra {
    None,
    Relation(u8),
    SubList(bool),
}
