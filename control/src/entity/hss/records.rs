//! Records of subscribers in memory, as the store has them.
//!
//! The requests of one registration (UAR, MAR, UAR, SAR) follow one another, and a location query
//! asks for one who has registered: a record that was read or written lately is not read again.
//! Everything that changes the store passes through the HSS, so its outcomes keep the records
//! right.
//!
//! With a record stand sequence numbers that the store has dealt and no vector has used yet. The
//! store deals them by the block: what it keeps is no less than any number in use, and numbers of a
//! block that is forgotten are never used (TS 33.102 C.1.1.2 lets them be left out).

use std::collections::HashMap;

use crate::auth::Sqn;
use crate::store::{Entry, Impi, Impu, Registrations};

/// Most records: a few megabytes, and more registrations than are under way at once.
pub const RECORDS_MAX: usize = 8192;

/// Sequence numbers dealt at once.
pub const SQN_BLOCK: u32 = 32;

/// Records used lately. Of the two generations the younger takes what is used; when it is full, the
/// older is forgotten.
#[derive(Debug, Default)]
pub struct Records {
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    by_impi: HashMap<Impi, Record>,
    owners: HashMap<Impu, Impi>,
}

#[derive(Debug)]
struct Record {
    entry: Box<Entry>,
    numbers: Option<Numbers>,
}

/// Numbers that are dealt and not used.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    next: Sqn,
    left: u32,
}

impl Records {
    /// The record of a private identity.
    pub fn get(&mut self, impi: &str) -> Option<&Entry> {
        self.record(impi).map(|record| &*record.entry)
    }

    /// The record that a public identity, in canonical form, belongs to.
    pub fn find(&mut self, impu: &str) -> Option<&Entry> {
        let owner = self.young.owners.get(impu);
        let owner = owner.or_else(|| self.old.owners.get(impu))?.clone();
        self.get(owner.as_str())
    }

    /// Keeps what was read.
    pub fn insert(&mut self, entry: Box<Entry>) {
        let before = self.take(entry.subscriber.impi.as_str());
        let numbers = before.and_then(|record| record.numbers);
        self.put(Record { entry, numbers });
    }

    /// Registrations were written.
    pub fn registered(&mut self, impi: &Impi, registrations: Registrations) {
        if let Some(record) = self.record(impi.as_str()) {
            record.entry.registrations = registrations;
        }
    }

    /// What is known of a subscriber may be out of date; so may its keys, and with them the
    /// numbers.
    pub fn forget(&mut self, impi: &str) {
        self.take(impi);
    }

    /// Everything may be out of date.
    pub fn forget_all(&mut self) {
        *self = Self::default();
    }

    /// The first of `count` numbers that are dealt already.
    pub fn take_numbers(&mut self, impi: &str, count: u32) -> Option<Sqn> {
        let numbers = self.record(impi)?.numbers.as_mut()?;
        let left = numbers.left.checked_sub(count)?;
        let first = numbers.next;
        let next = Sqn::next(first.advance(count - 1)?);
        *numbers = Numbers {
            next: next.unwrap_or(Sqn::MAX),
            left: if next.is_some() { left } else { 0 },
        };
        Some(first)
    }

    /// The numbers behind the first `used` of a block of `count` are left, in place of those left
    /// before: blocks come in the order in which they were dealt.
    pub fn put_numbers(&mut self, impi: &str, first: Sqn, used: u32, count: u32) {
        if let Some(record) = self.record(impi) {
            let left = count.saturating_sub(used);
            let next = first.advance(used).filter(|_| left > 0);
            record.numbers = next.map(|next| Numbers { next, left });
        }
    }

    /// The numbers that are left are not to be used: the card is ahead of them, or behind.
    pub fn forget_numbers(&mut self, impi: &str) {
        if let Some(record) = self.record(impi) {
            record.numbers = None;
        }
    }

    fn record(&mut self, impi: &str) -> Option<&mut Record> {
        if !self.young.by_impi.contains_key(impi) {
            let record = self.old.take(impi)?;
            self.put(record);
        }
        self.young.by_impi.get_mut(impi)
    }

    fn take(&mut self, impi: &str) -> Option<Record> {
        let young = self.young.take(impi);
        young.or_else(|| self.old.take(impi))
    }

    fn put(&mut self, record: Record) {
        if self.young.by_impi.len() >= RECORDS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        let subscriber = &record.entry.subscriber;
        for identity in &subscriber.impus {
            let (impu, owner) = (identity.uri.clone(), subscriber.impi.clone());
            self.young.owners.insert(impu, owner);
        }
        let impi = subscriber.impi.clone();
        self.young.by_impi.insert(impi, record);
    }
}

impl Generation {
    fn take(&mut self, impi: &str) -> Option<Record> {
        let record = self.by_impi.remove(impi)?;
        for identity in &record.entry.subscriber.impus {
            self.owners.remove(identity.uri.as_str());
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::subscriber;

    fn entry(name: &str) -> Box<Entry> {
        Box::new(Entry {
            subscriber: subscriber(name),
            sqn: Some(Sqn::ZERO),
            registrations: Registrations::default(),
        })
    }

    fn sqn(seq: u64) -> Sqn {
        Sqn::ZERO.advance(seq as u32).expect("far from the end")
    }

    #[test]
    fn a_record_is_found_by_either_identity_until_it_is_forgotten() {
        let mut records = Records::default();
        records.insert(entry("alice"));
        assert!(records.get("alice@ims.test").is_some());
        assert!(records.find("sip:alice@ims.test").is_some());
        records.forget("alice@ims.test");
        assert!(records.get("alice@ims.test").is_none());
        assert!(records.find("sip:alice@ims.test").is_none());
    }

    #[test]
    fn what_is_used_stays_and_there_are_never_too_many() {
        let mut records = Records::default();
        records.insert(entry("alice"));
        records.put_numbers("alice@ims.test", sqn(1), 0, 4);
        for number in 0..3 * RECORDS_MAX {
            let mut other = entry("x");
            other.subscriber.impi = Impi::parse(&format!("{number}@ims.test")).expect("an NAI");
            other.subscriber.impus.truncate(1);
            other.subscriber.impus[0].uri =
                Impu::parse(&format!("sip:{number}@ims.test")).expect("a URI");
            records.insert(other);
            if number % 1000 == 0 {
                assert!(records.find("sip:alice@ims.test").is_some(), "{number}");
            }
            let held = records.young.by_impi.len() + records.old.by_impi.len();
            assert!(held <= RECORDS_MAX);
            let owners = records.young.owners.len() + records.old.owners.len();
            assert_eq!(owners, held);
        }
        assert!(records.get("0@ims.test").is_none());
        assert_eq!(records.take_numbers("alice@ims.test", 4), Some(sqn(1)));
    }

    #[test]
    fn numbers_are_used_once_and_in_order() {
        let mut records = Records::default();
        let impi = "alice@ims.test";
        assert_eq!(records.take_numbers(impi, 1), None);
        records.insert(entry("alice"));
        records.put_numbers(impi, sqn(1), 1, 5);
        assert_eq!(records.take_numbers(impi, 1), Some(sqn(2)));
        assert_eq!(records.take_numbers(impi, 4), None, "three are left");
        // Read again, the record keeps them.
        records.insert(entry("alice"));
        assert_eq!(records.take_numbers(impi, 3), Some(sqn(3)));
        assert_eq!(records.take_numbers(impi, 1), None);
        records.put_numbers(impi, sqn(6), 0, 2);
        records.put_numbers(impi, sqn(8), 0, 2);
        assert_eq!(records.take_numbers(impi, 1), Some(sqn(8)));
        records.forget_numbers(impi);
        assert_eq!(records.take_numbers(impi, 1), None);
    }

    #[test]
    fn the_last_numbers_of_a_key_can_be_used() {
        let mut records = Records::default();
        let impi = "alice@ims.test";
        records.insert(entry("alice"));
        records.put_numbers(impi, Sqn::MAX, 0, 1);
        assert_eq!(records.take_numbers(impi, 1), Some(Sqn::MAX));
        assert_eq!(records.take_numbers(impi, 1), None);
    }
}
