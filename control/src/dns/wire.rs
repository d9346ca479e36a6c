//! Questions and replies as octets: RFC 1035 4 with EDNS(0), RFC 6891. The codec is hickory's.
//!
//! A reply is believed only as far as it answers the question that was asked (RFC 5452 6, 9.1):
//! records of other names count only where a CNAME in the same reply leads to them, and additional
//! records not at all.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{
    Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use sip::locate::{self, Answer, Naptr, Question, RECORDS_MAX, Srv};

/// Octets of the header, RFC 1035 4.1.1.
const HEADER_BYTES: usize = 12;
/// Largest reply asked for over UDP: goes through unfragmented everywhere (DNS flag day 2020).
pub(super) const EDNS_PAYLOAD_BYTES: u16 = 1232;
/// Aliases followed within a reply.
const CNAMES_MAX: usize = 8;
/// Records of one section that are looked at.
const SECTION_RECORDS_MAX: usize = 256;

/// What a datagram or a message on a stream says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The records, or that there are none.
    Answer {
        /// What was found.
        answer: Answer,
        /// How long it may be kept; `None` where the reply does not say (RFC 2308 5).
        ttl: Option<Duration>,
    },
    /// It did not fit: ask again over TCP (RFC 2181 9).
    Truncated,
    /// The server does not understand the question: ask again without EDNS (RFC 6891 7).
    NotUnderstood,
    /// The server could or would not find out: ask another.
    Failed,
    /// It answers no such question (RFC 5452 9.1).
    Foreign,
}

/// Writes a question; `None` when its name is no domain name.
pub(super) fn write_question(id: u16, question: &Question, edns: bool) -> Option<Vec<u8>> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(
        name_of(&question.name)?,
        record_type(question.record),
    ));
    if edns {
        let mut edns = Edns::new();
        edns.set_max_payload(EDNS_PAYLOAD_BYTES);
        message.set_edns(edns);
    }
    message.to_vec().ok()
}

/// The id of a message.
pub(super) fn id_of(bytes: &[u8]) -> Option<u16> {
    let head = bytes.first_chunk::<HEADER_BYTES>()?;
    Some(u16::from_be_bytes([head[0], head[1]]))
}

/// Reads what a server said to `question`, asked under `id`.
pub(super) fn read_reply(bytes: &[u8], id: u16, question: &Question) -> Reply {
    let Some((header, asked)) = read_head(bytes) else {
        return Reply::Foreign;
    };
    let is_reply = header.metadata.message_type == MessageType::Response
        && header.metadata.op_code == OpCode::Query
        && header.metadata.id == id;
    if !is_reply {
        return Reply::Foreign;
    }
    let Some(asked) = asked else {
        // A server that cannot read the question cannot repeat it.
        return match header.metadata.response_code {
            ResponseCode::FormErr | ResponseCode::NotImp => Reply::NotUnderstood,
            _ => Reply::Foreign,
        };
    };
    let same = asked.query_type() == record_type(question.record)
        && asked.query_class() == DNSClass::IN
        && Some(asked.name()) == name_of(&question.name).as_ref();
    if !same {
        return Reply::Foreign;
    }
    if header.metadata.truncation {
        return Reply::Truncated;
    }
    match Message::from_vec(bytes) {
        Ok(message) => read_message(&message, asked.name(), question.record),
        Err(_) => Reply::Failed,
    }
}

/// Header and question. The rest of a truncated message may be cut off, so it is not read here.
fn read_head(bytes: &[u8]) -> Option<(Header, Option<Query>)> {
    let mut decoder = BinDecoder::new(bytes);
    let header = Header::read(&mut decoder).ok()?;
    match header.counts.queries {
        0 => Some((header, None)),
        // Where the server found the question cut short, so is what it repeats.
        1 => Some((header, Query::read(&mut decoder).ok())),
        _ => None,
    }
}

fn read_message(message: &Message, name: &Name, record: locate::RecordType) -> Reply {
    let Metadata { response_code, .. } = message.metadata;
    match response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return nothing(message, name),
        ResponseCode::FormErr | ResponseCode::NotImp => return Reply::NotUnderstood,
        // BADVERS and all that RFC 1035 does not know.
        _ => return Reply::Failed,
    }
    let answers = section(&message.answers);
    let Some((owner, alias_ttl)) = follow_aliases(answers, name) else {
        return Reply::Failed;
    };
    let wanted = record_type(record);
    let records = || {
        section(&message.answers)
            .filter(|each| each.record_type() == wanted && each.name == *owner)
            .take(RECORDS_MAX)
    };
    if records().next().is_none() {
        return nothing(message, owner);
    }
    let ttl = records().map(ttl_of).fold(alias_ttl, Duration::min);
    let answer = match record {
        locate::RecordType::Naptr => Answer::Naptr(records().filter_map(naptr).collect()),
        locate::RecordType::Srv => Answer::Srv(records().filter_map(srv).collect()),
        locate::RecordType::A | locate::RecordType::Aaaa => {
            Answer::Addresses(records().filter_map(address).collect())
        }
    };
    Reply::Answer {
        answer,
        ttl: Some(ttl),
    }
}

/// No such name or no such record, kept as long as the zone's SOA says (RFC 2308 5).
fn nothing(message: &Message, name: &Name) -> Reply {
    let soa = section(&message.authorities).find_map(|each| match &each.data {
        RData::SOA(soa) if each.name.zone_of(name) => {
            Some(ttl_of(each).min(Duration::from_secs(soa.minimum.into())))
        }
        _ => None,
    });
    let refers = section(&message.authorities).any(|each| each.record_type() == RecordType::NS);
    if soa.is_none() && refers && message.metadata.response_code == ResponseCode::NoError {
        // A referral: the server does not ask others for us (RFC 2308 2.2).
        return Reply::Failed;
    }
    Reply::Answer {
        answer: Answer::Nothing,
        ttl: soa,
    }
}

/// The name at the end of the aliases and the least TTL on the way; `None` when they do not end.
fn follow_aliases<'a>(
    answers: impl Iterator<Item = &'a Record> + Clone,
    name: &'a Name,
) -> Option<(&'a Name, Duration)> {
    let (mut owner, mut ttl) = (name, Duration::MAX);
    for _ in 0..=CNAMES_MAX {
        let alias = answers.clone().find_map(|each| match &each.data {
            RData::CNAME(target) if each.name == *owner => Some((&target.0, ttl_of(each))),
            _ => None,
        });
        let Some((target, least)) = alias else {
            return Some((owner, ttl));
        };
        owner = target;
        ttl = ttl.min(least);
    }
    None
}

fn section(records: &[Record]) -> impl Iterator<Item = &Record> + Clone {
    let internet = |each: &&Record| each.dns_class == DNSClass::IN;
    records.iter().take(SECTION_RECORDS_MAX).filter(internet)
}

/// A TTL with the highest bit set is zero (RFC 2181 8).
fn ttl_of(record: &Record) -> Duration {
    let seconds = i32::try_from(record.ttl).map_or(0, i32::unsigned_abs);
    Duration::from_secs(seconds.into())
}

fn naptr(record: &Record) -> Option<Naptr> {
    let RData::NAPTR(data) = &record.data else {
        return None;
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    // With a regular expression the replacement does not count (RFC 3403 4.1); RFC 3263 uses none.
    if !data.regexp.is_empty() {
        return None;
    }
    Some(Naptr {
        order: data.order,
        preference: data.preference,
        flags: text(&data.flags)?,
        service: text(&data.services)?,
        replacement: text_of(&data.replacement)?,
    })
}

fn srv(record: &Record) -> Option<Srv> {
    let RData::SRV(data) = &record.data else {
        return None;
    };
    Some(Srv {
        priority: data.priority,
        weight: data.weight,
        port: data.port,
        target: text_of(&data.target)?,
    })
}

/// An address that something can be sent to.
fn address(record: &Record) -> Option<IpAddr> {
    let ip = match record.data {
        RData::A(data) => IpAddr::V4(data.0),
        RData::AAAA(data) => IpAddr::V6(data.0),
        _ => return None,
    };
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    (!ip.is_unspecified() && !ip.is_multicast() && !broadcast).then_some(ip)
}

const fn record_type(record: locate::RecordType) -> RecordType {
    match record {
        locate::RecordType::Naptr => RecordType::NAPTR,
        locate::RecordType::Srv => RecordType::SRV,
        locate::RecordType::A => RecordType::A,
        locate::RecordType::Aaaa => RecordType::AAAA,
    }
}

/// A name as it is written in a question; labels are taken as they are, without IDNA.
fn name_of(text: &str) -> Option<Name> {
    let text = text.strip_suffix('.').unwrap_or(text);
    Name::from_labels(text.split('.').map(str::as_bytes)).ok()
}

/// A name as the rest of the house writes it; "." for the root. One with labels that no host or
/// service has is `None`.
fn text_of(name: &Name) -> Option<String> {
    if name.is_root() {
        return Some(".".to_owned());
    }
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        let plain = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !label.iter().all(plain) {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(
            label
                .iter()
                .map(|&byte| char::from(byte.to_ascii_lowercase())),
        );
    }
    Some(text)
}
