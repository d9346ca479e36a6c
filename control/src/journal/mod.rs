//! The journal: what a control process must not lose in a restart, and the HSS's store does not
//! hold.
//!
//! It is a log of records, each of which puts or removes one value under a key. An entity puts what
//! it has confirmed and removes what has ended; after a restart it is given the values that were
//! put last. The [`Journal`] of a node only encodes; the event loop carries the bytes to the
//! [`JournalThread`], which writes them to the [`Log`]'s segments.

pub mod codecs;
mod dialog;
mod files;
mod frame;
mod log;
mod status;
mod thread;
mod writer;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use dialog::{KeptDialog, instant};
pub use files::{Directory, Files};
pub use log::{Damage, Log, OpenError};
pub use status::JournalStatus;
pub use thread::JournalThread;

use frame::Operation;

/// What a value is of; the numbers are on disk and keep their meaning: 1 to 4 were gateways
/// without their carriage, and contexts, registrations and calls before media were protected, 10
/// to 12 the latter before DTLS was spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A context at a gateway, of a call that the MGC is to keep.
    Context = 13,
    /// A contact registered through the P-CSCF.
    Registration = 14,
    /// A confirmed call at the P-CSCF.
    Leg = 15,
    /// An implicit registration set at the S-CSCF.
    RegistrationSet = 5,
    /// A subscription to registrations at the S-CSCF.
    Subscription = 6,
    /// What the MGC must not repeat.
    Controller = 7,
    /// A subscription of the P-CSCF to a registration set.
    AccessSubscription = 8,
    /// A media gateway that the MGC controls.
    Gateway = 9,
    /// A termination in a room of the MRFC.
    Member = 20,
    /// A call with the MRFC that was answered.
    MrfcCall = 21,
    /// A conference of the MRFC.
    Conference = 22,
    /// A subscription to a conference.
    ConferenceSubscription = 23,
    /// What somebody asked the MRFC to play or to record.
    Job = 24,
}

impl Kind {
    const ALL: [Kind; 13] = [
        Kind::Gateway,
        Kind::Context,
        Kind::Registration,
        Kind::Leg,
        Kind::RegistrationSet,
        Kind::Subscription,
        Kind::Controller,
        Kind::AccessSubscription,
        Kind::Member,
        Kind::MrfcCall,
        Kind::Conference,
        Kind::ConferenceSubscription,
        Kind::Job,
    ];

    fn of(number: u8) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// The recording side, of a node: encodes what the entities keep.
#[derive(Debug, Default)]
pub struct Journal {
    /// Encoded and not taken yet.
    pending: Vec<u8>,
    records: u64,
    refused: u64,
}

impl Journal {
    /// Keeps `value` under this key, in place of what was kept there before. Beyond a mebibyte it
    /// is refused, and nothing is kept.
    pub fn put<T: Serialize + ?Sized>(&mut self, kind: Kind, id: u64, value: &T) {
        self.records += 1;
        if !frame::write(&mut self.pending, Operation::Put, kind, id, value) {
            self.refused += 1;
            self.remove(kind, id);
        }
    }

    /// Nothing is kept under this key any more.
    pub fn remove(&mut self, kind: Kind, id: u64) {
        self.records += 1;
        frame::write(&mut self.pending, Operation::Remove, kind, id, &());
    }

    /// Begins to put everything that is kept, in place of all that was put before; the caller puts
    /// it and says where it ends.
    pub fn begin_all(&mut self) {
        self.pending.clear();
        frame::write_mark(&mut self.pending, Operation::Begin);
    }

    /// Everything that is kept was put.
    pub fn end_all(&mut self) {
        frame::write_mark(&mut self.pending, Operation::End);
    }

    /// Records made since the start.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Values that were too large to keep.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// What was recorded since it was asked last: whole records, to be written behind those before.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        (!self.pending.is_empty()).then(|| std::mem::take(&mut self.pending))
    }
}

type Values = BTreeMap<Kind, BTreeMap<u64, Vec<u8>>>;

/// What a journal holds: the value that was put last under each key and not removed.
#[derive(Debug, Default)]
pub struct Replay {
    values: Values,
    /// What was put since the last begin, till its end.
    begun: Option<Values>,
    skipped: usize,
    unreadable: Vec<(Kind, u64)>,
}

impl Replay {
    /// Reads records behind those read before.
    ///
    /// From a damaged record on nothing is read: so ends a file whose writer was killed.
    pub fn read(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((record, after)) = frame::read(rest) {
            rest = after;
            match record.operation {
                Operation::Begin => self.begun = Some(Values::new()),
                Operation::End => {
                    if let Some(all) = self.begun.take() {
                        self.values = all;
                    }
                }
                Operation::Put | Operation::Remove => {
                    apply(&mut self.values, &record);
                    // The end may not have come to be written: then this was nothing new.
                    if let Some(all) = &mut self.begun {
                        apply(all, &record);
                    }
                }
            }
        }
        self.skipped += rest.len();
    }

    /// Takes the values of a kind, in the order of their keys. One that this version cannot read is
    /// left out and counted.
    pub fn take<T: DeserializeOwned>(&mut self, kind: Kind) -> Vec<(u64, T)> {
        let values = self.values.remove(&kind).unwrap_or_default();
        let mut readable = Vec::with_capacity(values.len());
        for (id, bytes) in values {
            match postcard::from_bytes(&bytes) {
                Ok(value) => readable.push((id, value)),
                Err(_) => self.unreadable.push((kind, id)),
            }
        }
        readable
    }

    /// How many values of a kind were not taken yet.
    pub fn len(&self, kind: Kind) -> usize {
        self.values.get(&kind).map_or(0, BTreeMap::len)
    }

    /// Octets that were no records.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// The keys of values that were to be taken and could not be read, once.
    pub fn take_unreadable(&mut self) -> Vec<(Kind, u64)> {
        std::mem::take(&mut self.unreadable)
    }
}

fn apply(values: &mut Values, record: &frame::Record<'_>) {
    // A kind of a later version has no entity here.
    let Some(kind) = Kind::of(record.kind) else {
        return;
    };
    let values = values.entry(kind).or_default();
    match record.operation {
        Operation::Put => {
            values.insert(record.id, record.value.to_vec());
        }
        _ => {
            values.remove(&record.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(bytes: &[u8]) -> Replay {
        let mut replay = Replay::default();
        replay.read(bytes);
        replay
    }

    fn recorded(record: impl FnOnce(&mut Journal)) -> Vec<u8> {
        let mut journal = Journal::default();
        record(&mut journal);
        journal.take().unwrap_or_default()
    }

    #[test]
    fn the_value_put_last_is_what_a_restart_finds() {
        let bytes = recorded(|journal| {
            journal.put(Kind::Leg, 7, "first");
            journal.put(Kind::Leg, 8, "other");
            journal.put(Kind::Context, 7, &17_u32);
            journal.put(Kind::Leg, 7, "second");
            journal.remove(Kind::Leg, 8);
            journal.remove(Kind::Leg, 9);
        });
        let mut replay = replay(&bytes);
        let legs: Vec<(u64, String)> = replay.take(Kind::Leg);
        assert_eq!(legs, [(7, "second".into())]);
        let contexts: Vec<(u64, u32)> = replay.take(Kind::Context);
        assert_eq!(contexts, [(7, 17)]);
        assert_eq!((replay.skipped(), replay.take_unreadable()), (0, vec![]));
    }

    #[test]
    fn a_statement_of_everything_voids_what_was_before_only_at_its_end() {
        let before = recorded(|journal| {
            journal.put(Kind::Leg, 1, "old");
            journal.put(Kind::Leg, 2, "gone");
        });
        let statement = recorded(|journal| {
            journal.put(Kind::Leg, 9, "never written");
            journal.begin_all();
            journal.put(Kind::Leg, 1, "new");
            journal.end_all();
        });
        assert!(frame::is_statement(&statement) && !frame::is_statement(&before));
        let mut whole = replay(&[before.clone(), statement.clone()].concat());
        let legs: Vec<(u64, String)> = whole.take(Kind::Leg);
        assert_eq!(legs, [(1, "new".into())]);
        let later = recorded(|journal| journal.put(Kind::Leg, 3, "later"));
        let cut = &statement[..statement.len() - 18];
        let mut cut = replay(&[&before, cut, &later].concat());
        let legs: Vec<(u64, String)> = cut.take(Kind::Leg);
        let all = [(1, "new".into()), (2, "gone".into()), (3, "later".into())];
        assert_eq!(legs, all);
    }

    #[test]
    fn a_value_of_another_shape_is_left_out_and_counted() {
        let bytes = recorded(|journal| {
            journal.put(Kind::Leg, 1, &300_u32);
            journal.put(Kind::Leg, 2, &(1_u8, "text"));
        });
        let mut replay = replay(&bytes);
        let legs: Vec<(u64, (u8, String))> = replay.take(Kind::Leg);
        assert_eq!(legs, [(2, (1, "text".into()))]);
        assert_eq!(replay.take_unreadable(), [(Kind::Leg, 1)]);
    }

    #[test]
    fn what_is_cut_off_anywhere_leaves_the_records_before_it() {
        let first = recorded(|journal| journal.put(Kind::Leg, 1, "kept"));
        let both = recorded(|journal| {
            journal.put(Kind::Leg, 1, "kept");
            journal.put(Kind::Leg, 2, "cut");
        });
        for length in 0..both.len() {
            let mut replay = replay(&both[..length]);
            let legs: Vec<(u64, String)> = replay.take(Kind::Leg);
            let whole = usize::from(length >= first.len());
            assert_eq!(legs.len(), whole, "cut at {length}");
            assert_eq!(replay.skipped(), length - whole * first.len());
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let bytes = recorded(|journal| {
            journal.put(Kind::Leg, 1, "kept");
            journal.put(Kind::Leg, 2, "damaged");
        });
        let first = recorded(|journal| journal.put(Kind::Leg, 1, "kept")).len();
        for bit in first * 8..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut replay = replay(&damaged);
            let legs: Vec<(u64, String)> = replay.take(Kind::Leg);
            assert_eq!(legs, [(1, "kept".into())], "bit {bit}");
        }
    }
}
