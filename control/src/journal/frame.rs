//! The form of a record: length, checksum, operation, kind, key, value.
//!
//! | octets | what |
//! |---|---|
//! | 4 | length of what follows the checksum, little-endian |
//! | 4 | CRC-32 (IEEE 802.3) of the length and of what follows |
//! | 1 | operation: 1 put, 2 remove, 3 begin, 4 end |
//! | 1 | kind; 0 for begin and end |
//! | 8 | key, little-endian; 0 for begin and end |
//! | rest | value in the postcard form; nothing but for put |
//!
//! Between begin and end stands everything that is kept: what was put before is void at the end.

use serde::Serialize;

use super::Kind;

/// Octets before the operation.
const PREFIX: usize = 8;
/// Octets of operation, kind and key.
const HEAD: usize = 10;
/// The length field of a record without a value.
const MARK_LENGTH: u32 = 10;
/// Most octets of a value: more is no record.
pub const VALUE_MAX: usize = 1 << 20;

/// What a record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Put = 1,
    Remove = 2,
    Begin = 3,
    End = 4,
}

/// A record as read; the kind may be of another version.
#[derive(Debug)]
pub struct Record<'a> {
    /// Octets of the whole record.
    pub octets: usize,
    pub operation: Operation,
    pub kind: u8,
    pub id: u64,
    pub value: &'a [u8],
}

/// Appends a record; false, and nothing appended, where the value is too large.
pub fn write<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    operation: Operation,
    kind: Kind,
    id: u64,
    value: &T,
) -> bool {
    let start = write_head(out, operation, kind as u8, id);
    // Only types without a length of their own cannot be encoded, and records have none of these.
    let is_written = postcard::to_io(value, &mut *out).is_ok();
    match length(out.len() - start - PREFIX - HEAD).filter(|_| is_written) {
        Some(length) => seal(out, start, length),
        None => out.truncate(start),
    }
    out.len() > start
}

/// Appends a begin or an end.
pub fn write_mark(out: &mut Vec<u8>, operation: Operation) {
    let start = write_head(out, operation, 0, 0);
    seal(out, start, MARK_LENGTH);
}

/// Whether `bytes` begin with a begin.
pub fn is_statement(bytes: &[u8]) -> bool {
    bytes.get(PREFIX) == Some(&(Operation::Begin as u8))
}

/// Appends what comes before the value, with room for length and checksum; returns where it begins.
fn write_head(out: &mut Vec<u8>, operation: Operation, kind: u8, id: u64) -> usize {
    let start = out.len();
    out.extend([0; PREFIX]);
    out.extend([operation as u8, kind]);
    out.extend(id.to_le_bytes());
    start
}

/// Writes length and checksum of the record that begins at `start` and ends here.
fn seal(out: &mut [u8], start: usize, length: u32) {
    let sum = checksum(length, &out[start + PREFIX..]);
    let prefix = &mut out[start..start + PREFIX];
    prefix[..4].copy_from_slice(&length.to_le_bytes());
    prefix[4..].copy_from_slice(&sum.to_le_bytes());
}

/// The record that `bytes` begin with, and what is behind it; `None` where it is cut off or
/// damaged.
pub fn read(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length);
    let (body, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    if body.len() > HEAD + VALUE_MAX || checksum(length, body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (&[operation, kind], rest) = body.split_first_chunk()?;
    let (id, value) = rest.split_first_chunk()?;
    let operation = match operation {
        1 => Operation::Put,
        2 => Operation::Remove,
        3 => Operation::Begin,
        4 => Operation::End,
        _ => return None,
    };
    let record = Record {
        octets: PREFIX + body.len(),
        operation,
        kind,
        id: u64::from_le_bytes(*id),
        value,
    };
    Some((record, after))
}

/// The length field of a record with so long a value.
fn length(value: usize) -> Option<u32> {
    let fits = value <= VALUE_MAX;
    u32::try_from(HEAD + value).ok().filter(|_| fits)
}

fn checksum(length: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_the_limit_is_taken_and_one_past_it_is_not() {
        let mut out = Vec::new();
        // The form of octets begins with their number, here in three octets.
        let largest = vec![7_u8; VALUE_MAX - 3];
        assert!(write(&mut out, Operation::Put, Kind::Leg, 1, &largest));
        let (record, rest) = read(&out).expect("whole");
        assert_eq!((record.value.len(), rest.len()), (VALUE_MAX, 0));
        let length = out.len();
        let larger = vec![7_u8; VALUE_MAX - 2];
        assert!(!write(&mut out, Operation::Put, Kind::Leg, 1, &larger));
        assert_eq!(out.len(), length);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut out = Vec::new();
        assert!(write(
            &mut out,
            Operation::Put,
            Kind::Context,
            u64::MAX,
            "x"
        ));
        assert!(write(&mut out, Operation::Remove, Kind::Leg, 3, &()));
        let (put, rest) = read(&out).expect("whole");
        assert_eq!(
            (put.operation, put.kind),
            (Operation::Put, Kind::Context as u8)
        );
        assert_eq!((put.id, put.value), (u64::MAX, &b"\x01x"[..]));
        let (remove, rest) = read(rest).expect("whole");
        assert_eq!(
            (remove.operation, remove.kind),
            (Operation::Remove, Kind::Leg as u8)
        );
        assert_eq!((remove.id, remove.value), (3, &[][..]));
        assert!(rest.is_empty());
    }
}
