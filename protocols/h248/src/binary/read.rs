//! Reader: message, transactions, actions. One function for each type of A.2, in its order.

mod audit;
mod command;
mod event;
mod media;
mod service_change;

use std::net::{Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use super::Naming;
use super::ber::{Contents, Element, Fault, Fields, Read, universal};
use super::naming;
use crate::encoding::{
    BadTransaction, ITEMS_MAX, MESSAGE_LEN_MAX, Parsed, ParsedBody, SyntaxError, TRANSACTIONS_MAX,
    TransactionKind,
};
use crate::error::ErrorCode;
use crate::message::{
    ActionReply, ActionRequest, AuthHeader, ContextAudit, ContextId, ContextProperties,
    ErrorDescriptor, IndexedProperty, Mid, NAME_LEN_MAX, Name, ParmValue, PropertyParm, ReplyBody,
    RequestId, Segment, SelectLogic, StreamId, TerminationId, TerminationList, TopologyDirection,
    TopologyTriple, Transaction, TransactionId, TransactionReply, TransactionRequest, VERSION,
    Value,
};
use crate::package::{Item, Kind, Type};

pub(super) use media::{MODEM_TYPES, MUX_TYPES};
pub(super) use service_change::is_extension;

/// Reads a message (MegacoMessage).
///
/// A transaction that is wrong does not spoil the others, as long as its length is right.
///
/// # Errors
/// Nothing of the message can be used. The code for the reply: 400 (header), 406 (version), 410
/// (mId), 413 (too many transactions).
pub fn parse(input: &[u8], naming: &Naming) -> Result<Parsed, SyntaxError> {
    let reader = Reader { naming };
    let parsed = if input.len() > MESSAGE_LEN_MAX {
        Err(Fault {
            code: None,
            offset: MESSAGE_LEN_MAX as u32,
            expected: "a message of at most 65535 octets",
        })
    } else {
        reader.message(input)
    };
    parsed.map_err(|fault| syntax_error(fault.within(ErrorCode::SYNTAX_IN_MESSAGE)))
}

fn syntax_error(fault: Fault) -> SyntaxError {
    SyntaxError {
        code: fault.code.unwrap_or(ErrorCode::SYNTAX_IN_MESSAGE),
        offset: fault.offset as usize,
        line: 0,
        expected: fault.expected,
    }
}

/// Values of a property, parameter or statistic.
type Values = SmallVec<[Value; 1]>;

/// Reads the types of A.2.
#[derive(Clone, Copy)]
struct Reader<'n> {
    naming: &'n Naming,
}

/// SEQUENCE OF, whose elements have the universal tag `tag`, or are alternatives of a CHOICE.
fn list<'a, T>(
    element: &Element<'a>,
    tag: Option<u8>,
    mut read: impl FnMut(Element<'a>) -> Read<T>,
) -> Read<Vec<T>> {
    let mut contents = element.contents()?;
    let mut list = Vec::new();
    while let Some(item) = contents.next()? {
        if list.len() == ITEMS_MAX {
            return item.fault("fewer items");
        }
        if tag.is_some_and(|tag| !item.is_universal(tag)) {
            return item.fault("an item of the list");
        }
        list.push(read(item)?);
    }
    Ok(list)
}

/// SEQUENCE OF SEQUENCE.
fn sequences<'a, T>(
    element: &Element<'a>,
    read: impl FnMut(Element<'a>) -> Read<T>,
) -> Read<Vec<T>> {
    list(element, Some(universal::SEQUENCE), read)
}

/// Characters as text encodings have them, from an IA5String.
fn ia5(element: &Element<'_>) -> Read<String> {
    Ok(String::from_utf8_lossy(&element.string()?).into_owned())
}

fn code<T>(read: Read<T>, code: ErrorCode) -> Read<T> {
    read.map_err(|fault| fault.within(code))
}

impl Reader<'_> {
    /// MegacoMessage and Message.
    fn message(self, input: &[u8]) -> Read<Parsed> {
        let outer = Contents::new(input).only("one SEQUENCE")?;
        if !outer.is_universal(universal::SEQUENCE) {
            return outer.fault("a SEQUENCE");
        }
        let mut fields = Fields::of(&outer)?;
        let auth = fields.optional(0, |element| auth_header(&element))?;
        let parsed = fields.required(1, "a Message", |element| {
            let mut fields = Fields::of(&element)?;
            let version = fields.required(0, "a version", |element| version(&element))?;
            let mid = fields.required(1, "an mId", |element| mid(&element))?;
            let body = fields.required(2, "a message body", |element| self.body(&element))?;
            fields.end()?;
            Ok(Parsed {
                auth,
                version,
                mid,
                body,
            })
        })?;
        fields.end()?;
        Ok(parsed)
    }

    fn body(self, element: &Element<'_>) -> Read<ParsedBody> {
        let body = element.choice()?;
        match body.number() {
            Some(0) => error_descriptor(body).map(ParsedBody::Error),
            Some(1) => self.transactions(&body).map(ParsedBody::Transactions),
            _ => body.fault("an error or transactions"),
        }
    }

    fn transactions(self, element: &Element<'_>) -> Read<Vec<Result<Transaction, BadTransaction>>> {
        let mut contents = element.contents()?;
        let mut transactions = Vec::new();
        while let Some(element) = contents.next()? {
            if transactions.len() == TRANSACTIONS_MAX {
                return element.fault_with(ErrorCode::TOO_MANY_TRANSACTIONS, "fewer transactions");
            }
            let mut head = Head {
                kind: TransactionKind::Unknown,
                id: None,
            };
            transactions.push(self.transaction(&element, &mut head).map_err(|fault| {
                let fault = fault.within(ErrorCode::SYNTAX_IN_TRANSACTION_REQUEST);
                BadTransaction {
                    kind: head.kind,
                    id: head.id,
                    error: syntax_error(fault),
                }
            }));
        }
        if transactions.is_empty() {
            return element.fault("at least one transaction");
        }
        Ok(transactions)
    }

    /// Transaction.
    fn transaction(self, element: &Element<'_>, head: &mut Head) -> Read<Transaction> {
        match element.number() {
            Some(0) => {
                head.kind = TransactionKind::Request;
                let mut fields = Fields::of(element)?;
                let id = head.id(&mut fields)?;
                let actions = fields.required(1, "actions", |element| {
                    sequences(&element, |element| {
                        code(self.action_request(&element), ErrorCode::SYNTAX_IN_ACTION)
                    })
                })?;
                fields.end()?;
                if actions.is_empty() {
                    return element.fault("at least one action");
                }
                Ok(Transaction::Request(TransactionRequest { id, actions }))
            }
            Some(1) => {
                head.kind = TransactionKind::Pending;
                let mut fields = Fields::of(element)?;
                let id = head.id(&mut fields)?;
                fields.end()?;
                Ok(Transaction::Pending(id))
            }
            Some(2) => {
                head.kind = TransactionKind::Reply;
                self.transaction_reply(element, head)
                    .map(Transaction::Reply)
            }
            Some(3) => {
                head.kind = TransactionKind::ResponseAck;
                let ranges = sequences(element, |element| ack_range(&element))?;
                if ranges.is_empty() {
                    return element.fault("at least one number");
                }
                Ok(Transaction::ResponseAck(ranges))
            }
            Some(4) => {
                head.kind = TransactionKind::SegmentReply;
                let mut fields = Fields::of(element)?;
                let id = head.id(&mut fields)?;
                let number = fields.required(1, "a segment number", |e| e.u16())?;
                let complete = fields.flag(2)?;
                fields.end()?;
                Ok(Transaction::SegmentReply(id, Segment { number, complete }))
            }
            _ => element.fault("a request, Pending, reply, acknowledgement or Segment"),
        }
    }

    /// TransactionReply.
    fn transaction_reply(self, element: &Element<'_>, head: &mut Head) -> Read<TransactionReply> {
        let mut fields = Fields::of(element)?;
        let id = head.id(&mut fields)?;
        let imm_ack_required = fields.flag(1)?;
        let body = fields.required(2, "a result", |element| {
            let result = element.choice()?;
            match result.number() {
                Some(0) => error_descriptor(result).map(ReplyBody::Error),
                Some(1) => sequences(&result, |element| {
                    code(self.action_reply(&element), ErrorCode::SYNTAX_IN_ACTION)
                })
                .map(ReplyBody::Actions),
                _ => result.fault("an error or actions"),
            }
        })?;
        let number = fields.optional(3, |element| element.u16())?;
        let complete = fields.flag(4)?;
        fields.end()?;
        Ok(TransactionReply {
            id,
            imm_ack_required,
            segment: number.map(|number| Segment { number, complete }),
            body,
        })
    }

    /// ActionRequest.
    fn action_request(self, element: &Element<'_>) -> Read<ActionRequest> {
        let mut fields = Fields::of(element)?;
        let context = fields.required(0, "a context", |element| context_id(&element))?;
        let properties = fields.optional(1, |element| self.context_request(&element))?;
        let audit = fields.optional(2, |element| self.context_audit(&element))?;
        let commands = fields.required(3, "commands", |element| {
            sequences(&element, |element| {
                code(self.command_request(&element), ErrorCode::SYNTAX_IN_COMMAND)
            })
        })?;
        fields.end()?;
        Ok(ActionRequest {
            context,
            properties: properties.unwrap_or_default(),
            audit: audit.map(Box::new),
            commands,
        })
    }

    /// ActionReply.
    fn action_reply(self, element: &Element<'_>) -> Read<ActionReply> {
        let mut fields = Fields::of(element)?;
        let context = fields.required(0, "a context", |element| context_id(&element))?;
        let error = fields.optional(1, error_descriptor)?;
        let properties = fields.optional(2, |element| self.context_request(&element))?;
        let commands = fields.required(3, "command replies", |element| {
            list(&element, None, |element| {
                code(self.command_reply(element), ErrorCode::SYNTAX_IN_COMMAND)
            })
        })?;
        fields.end()?;
        Ok(ActionReply {
            context,
            error,
            properties: properties.unwrap_or_default(),
            commands,
        })
    }

    /// ContextRequest.
    fn context_request(self, element: &Element<'_>) -> Read<ContextProperties> {
        let mut fields = Fields::of(element)?;
        let properties = ContextProperties {
            priority: fields.optional(0, |element| element.u8(15))?,
            emergency: fields.optional(1, |element| element.boolean())?,
            topology: fields
                .optional(2, |element| sequences(&element, |e| self.topology(&e)))?
                .unwrap_or_default(),
            ieps: fields.optional(3, |element| element.boolean())?,
            attributes: fields
                .optional(4, |element| self.properties(&element))?
                .unwrap_or_default(),
            contexts: fields
                .optional(5, |element| {
                    list(&element, Some(universal::INTEGER), |element| {
                        context_id(&element)
                    })
                })?
                .unwrap_or_default(),
        };
        fields.end()?;
        Ok(properties)
    }

    /// ContextAttrAuditRequest.
    fn context_audit(self, element: &Element<'_>) -> Read<ContextAudit> {
        let mut fields = Fields::of(element)?;
        let audit = ContextAudit {
            topology: fields.flag(0)?,
            emergency: fields.flag(1)?,
            priority: fields.flag(2)?,
            ieps: fields.flag(3)?,
            properties: fields
                .optional(4, |element| self.indexed_properties(&element))?
                .unwrap_or_default(),
            select_priority: fields.optional(5, |element| element.u8(15))?,
            select_emergency: fields.optional(6, |element| element.boolean())?,
            select_ieps: fields.optional(7, |element| element.boolean())?,
            logic: fields.optional(8, |element| match element.choice()?.number() {
                Some(0) => Ok(SelectLogic::And),
                Some(1) => Ok(SelectLogic::Or),
                _ => element.fault("AND or OR"),
            })?,
        };
        fields.end()?;
        Ok(audit)
    }

    /// TopologyRequest.
    fn topology(self, element: &Element<'_>) -> Read<TopologyTriple> {
        let mut fields = Fields::of(element)?;
        let from = fields.required(0, "a termination", |e| self.termination(&e))?;
        let to = fields.required(1, "a termination", |e| self.termination(&e))?;
        let direction = fields.required(2, "a direction", |element| match element.u32()? {
            0 => Ok(TopologyDirection::Bothway),
            1 => Ok(TopologyDirection::Isolate),
            2 => Ok(TopologyDirection::Oneway),
            _ => element.fault("a topology direction"),
        })?;
        let stream = fields.optional(3, |element| stream_id(&element))?;
        let extension = fields.optional(4, |element| match element.u32()? {
            0 => Ok(TopologyDirection::OnewayExternal),
            1 => Ok(TopologyDirection::OnewayBoth),
            _ => element.fault("a topology direction"),
        })?;
        fields.end()?;
        Ok(TopologyTriple {
            from,
            to,
            direction: extension.unwrap_or(direction),
            stream,
        })
    }

    /// TerminationID.
    fn termination(self, element: &Element<'_>) -> Read<TerminationId> {
        let mut fields = Fields::of(element)?;
        let wildcards = fields.required(0, "wildcards", |element| {
            let mut contents = element.contents()?;
            let mut octets: SmallVec<[u8; 8]> = SmallVec::new();
            while let Some(field) = contents.next()? {
                match field.octets {
                    &[octet] if octets.len() < naming::LEVELS_MAX => octets.push(octet),
                    _ => {
                        let code = ErrorCode::INCORRECT_IDENTIFIER;
                        return field.fault_with(code, "wildcards of one octet");
                    }
                }
            }
            Ok(octets)
        })?;
        let termination = fields.required(1, "an identity", |element| {
            let octets = element.string()?;
            let known = (1..=8)
                .contains(&octets.len())
                .then(|| self.naming.terminations.decode(&wildcards, &octets));
            match known.flatten() {
                Some(termination) => Ok(termination),
                None => element.fault_with(ErrorCode::INCORRECT_IDENTIFIER, "a termination"),
            }
        });
        let termination = code(termination, ErrorCode::INCORRECT_IDENTIFIER)?;
        fields.end()?;
        Ok(termination)
    }

    /// TerminationIDList.
    fn terminations(self, element: &Element<'_>) -> Read<TerminationList> {
        let mut contents = element.contents()?;
        let mut list = TerminationList::new();
        while let Some(item) = contents.next()? {
            if list.len() == ITEMS_MAX {
                return item.fault("fewer items");
            }
            list.push(self.termination(&item)?);
        }
        if list.is_empty() {
            return element.fault_with(ErrorCode::INCORRECT_IDENTIFIER, "a termination");
        }
        Ok(list)
    }

    // What all descriptors use.

    /// SEQUENCE OF PropertyParm, each property at most once.
    fn properties(self, element: &Element<'_>) -> Read<Vec<PropertyParm>> {
        let properties = sequences(element, |element| self.property(&element))?;
        for (index, property) in properties.iter().enumerate() {
            if properties[..index]
                .iter()
                .any(|other| other.name == property.name)
            {
                return element.fault_with(ErrorCode::PROPERTY_TWICE, "each property once");
            }
        }
        Ok(properties)
    }

    /// PropertyParm.
    fn property(self, element: &Element<'_>) -> Read<PropertyParm> {
        let mut fields = Fields::of(element)?;
        let (name, item) = fields.required(0, "a name", |element| {
            naming::decode_item(Kind::Property, &element)
        })?;
        let value = self.parm_value(&mut fields, item.and_then(Item::value_type))?;
        fields.end()?;
        Ok(PropertyParm { name, value })
    }

    /// The fields `value` and `extraInfo` of a property or parameter.
    fn parm_value(self, fields: &mut Fields<'_>, value_type: Option<Type>) -> Read<ParmValue> {
        let (element, mut values) = fields.required(1, "a value", |element| {
            Ok((element, self.values(&element, value_type)?))
        })?;
        let extra = fields.optional(2, |element| {
            let info = element.choice()?;
            match info.number() {
                Some(0) => match info.u32()? {
                    0 => Ok(Extra::Relation(ParmValue::Greater)),
                    1 => Ok(Extra::Relation(ParmValue::Less)),
                    2 => Ok(Extra::Relation(ParmValue::NotEqual)),
                    _ => info.fault("a relation"),
                },
                Some(1) => Ok(if info.boolean()? {
                    Extra::Range
                } else {
                    Extra::None
                }),
                Some(2) => Ok(Extra::SubList(info.boolean()?)),
                _ => info.fault("a relation, range or sub-list"),
            }
        })?;
        match extra.unwrap_or(Extra::None) {
            Extra::SubList(true) if !values.is_empty() => Ok(ParmValue::List(values.into_vec())),
            Extra::SubList(false) if !values.is_empty() => Ok(ParmValue::OneOf(values.into_vec())),
            Extra::Range => match <[Value; 2]>::try_from(values.into_vec()) {
                Ok([low, high]) => Ok(ParmValue::Range(low, high)),
                Err(_) => element.fault("two values"),
            },
            Extra::Relation(relation) => match (values.pop(), values.is_empty()) {
                (Some(value), true) => Ok(relation(value)),
                _ => element.fault("one value"),
            },
            Extra::None | Extra::SubList(_) => Ok(match (values.pop(), values.is_empty()) {
                (None, _) => ParmValue::Equal(Value::choose()),
                (Some(value), true) => ParmValue::Equal(value),
                (Some(value), false) => {
                    values.push(value);
                    ParmValue::OneOf(values.into_vec())
                }
            }),
        }
    }

    /// Value: nearly always one.
    fn values(self, element: &Element<'_>, value_type: Option<Type>) -> Read<Values> {
        let mut contents = element.contents()?;
        let mut values = Values::new();
        while let Some(item) = contents.next()? {
            if values.len() == ITEMS_MAX {
                return item.fault("fewer items");
            }
            if !item.is_universal(universal::OCTET_STRING) {
                return item.fault("an octet string");
            }
            values.push(super::value::read(&item.string()?, value_type));
        }
        Ok(values)
    }

    /// SEQUENCE OF IndAudPropertyParm.
    fn indexed_properties(self, element: &Element<'_>) -> Read<Vec<IndexedProperty>> {
        sequences(element, |element| {
            let mut fields = Fields::of(&element)?;
            let (name, _) = fields.required(0, "a name", |element| {
                naming::decode_item(Kind::Property, &element)
            })?;
            let select = fields.optional(1, |element| Ok(self.property(&element)?.value))?;
            fields.end()?;
            Ok(IndexedProperty { name, select })
        })
    }
}

/// How a property is related to its values, comment on PropertyParm in A.2.
enum Extra {
    None,
    Relation(fn(Value) -> ParmValue),
    Range,
    SubList(bool),
}

/// What is known of a transaction before its body.
struct Head {
    kind: TransactionKind,
    id: Option<TransactionId>,
}

impl Head {
    fn id(&mut self, fields: &mut Fields<'_>) -> Read<TransactionId> {
        let id = fields.required(0, "a transaction number", |element| {
            code(element.u32(), ErrorCode::INCORRECT_IDENTIFIER).map(TransactionId)
        })?;
        self.id = Some(id);
        Ok(id)
    }
}

/// AuthenticationHeader.
fn auth_header(element: &Element<'_>) -> Read<AuthHeader> {
    fn word(element: Element<'_>) -> Read<u32> {
        match <[u8; 4]>::try_from(element.string()?.as_ref()) {
            Ok(octets) => Ok(u32::from_be_bytes(octets)),
            Err(_) => element.fault("four octets"),
        }
    }
    let mut fields = Fields::of(element)?;
    let header = AuthHeader {
        spi: fields.required(0, "a SecurityParmIndex", word)?,
        sequence: fields.required(1, "a SequenceNum", word)?,
        data: fields.required(2, "AuthData", |element| {
            let data = element.string()?;
            if (12..=32).contains(&data.len()) {
                Ok(data.into_owned())
            } else {
                element.fault("12 to 32 octets")
            }
        })?,
    };
    fields.end()?;
    Ok(header)
}

fn version(element: &Element<'_>) -> Read<u8> {
    match element.u8(99)? {
        version if (1..=VERSION).contains(&version) => Ok(version),
        _ => element.fault_with(ErrorCode::VERSION_NOT_SUPPORTED, "version 1, 2 or 3"),
    }
}

/// MId behind the tag of its field. Its errors have code 410.
fn mid(element: &Element<'_>) -> Read<Mid> {
    let mid = element
        .choice()
        .and_then(|alternative| mid_alternative(&alternative, 0));
    code(mid, ErrorCode::INCORRECT_IDENTIFIER)
}

/// An alternative of MId or, with `base` 1, of ServiceChangeAddress.
fn mid_alternative(element: &Element<'_>, base: u8) -> Read<Mid> {
    let number = element.number().and_then(|number| number.checked_sub(base));
    match number {
        Some(0) => {
            let (octets, port) = address(element)?;
            match <[u8; 4]>::try_from(octets.as_ref()) {
                Ok(octets) => Ok(Mid::Ipv4(Ipv4Addr::from(octets), port)),
                Err(_) => element.fault("an address of four octets"),
            }
        }
        Some(1) => {
            let (octets, port) = address(element)?;
            match <[u8; 16]>::try_from(octets.as_ref()) {
                Ok(octets) => Ok(Mid::Ipv6(Ipv6Addr::from(octets), port)),
                Err(_) => element.fault("an address of sixteen octets"),
            }
        }
        Some(2) => {
            let (name, port) = address(element)?;
            let fits = (1..=NAME_LEN_MAX).contains(&name.len())
                && name[0].is_ascii_alphanumeric()
                && name
                    .iter()
                    .all(|&octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet));
            if !fits {
                return element.fault("a domain name");
            }
            Ok(Mid::Domain(Name::from_ascii(&name), port))
        }
        Some(3) => {
            let name = element.string()?;
            let fits = |octet: &u8| octet.is_ascii_alphanumeric() || b"_/*$@-.".contains(octet);
            if !(1..=NAME_LEN_MAX).contains(&name.len()) || !name.iter().all(fits) {
                return element.fault("a device name");
            }
            Ok(Mid::Device(Name::from_ascii(&name)))
        }
        Some(4) => {
            let octets = element.string()?;
            if !(2..=4).contains(&octets.len()) {
                return element.fault("two to four octets");
            }
            Ok(Mid::Mtp(SmallVec::from_slice(&octets)))
        }
        _ => element.fault("a domain name, an address, a device name or an MTP address"),
    }
}

/// IP4Address, IP6Address and DomainName.
fn address<'a>(element: &Element<'a>) -> Read<(std::borrow::Cow<'a, [u8]>, Option<u16>)> {
    let mut fields = Fields::of(element)?;
    let address = fields.required(0, "an address", |element| element.string())?;
    let port = fields.optional(1, |element| element.u16())?;
    fields.end()?;
    Ok((address, port))
}

/// TransactionAck.
fn ack_range(element: &Element<'_>) -> Read<(TransactionId, TransactionId)> {
    let mut fields = Fields::of(element)?;
    let first = fields.required(0, "a transaction number", |element| element.u32())?;
    let last = fields
        .optional(1, |element| element.u32())?
        .unwrap_or(first);
    fields.end()?;
    if first > last {
        return element.fault_with(ErrorCode::INCORRECT_IDENTIFIER, "a range");
    }
    Ok((TransactionId(first), TransactionId(last)))
}

/// ErrorDescriptor.
fn error_descriptor(element: Element<'_>) -> Read<ErrorDescriptor> {
    let mut fields = Fields::of(&element)?;
    let code = fields.required(0, "an error code", |element| element.u16())?;
    let text = fields.optional(1, |element| ia5(&element))?;
    fields.end()?;
    Ok(ErrorDescriptor {
        code: ErrorCode(code),
        text,
    })
}

/// ContextID.
fn context_id(element: &Element<'_>) -> Read<ContextId> {
    code(element.u32(), ErrorCode::INCORRECT_IDENTIFIER).map(ContextId::from_u32)
}

/// StreamID.
fn stream_id(element: &Element<'_>) -> Read<StreamId> {
    code(element.u16(), ErrorCode::INCORRECT_IDENTIFIER).map(StreamId)
}

/// RequestID.
fn request_id(element: &Element<'_>) -> Read<RequestId> {
    code(element.u32(), ErrorCode::INCORRECT_IDENTIFIER).map(RequestId)
}
