//! Operations and the rules by which every engine executes them.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::identity::{Impi, Impu};
use super::record::{Entry, Registrations, Subscriber, SubscriberFault};
use super::registrations_row;
use super::rows::{Rows, RowsMut, Table};
use crate::auth::Sqn;

/// One question or change.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Stores a subscriber. Outcome: `Stored`.
    Put {
        /// The subscriber.
        subscriber: Box<Subscriber>,
        /// Whether there may be or must be one already.
        mode: PutMode,
    },
    /// Stores all of these or none. Outcome: `Imported`.
    Import {
        /// The subscribers.
        subscribers: Vec<Subscriber>,
        /// Whether each may be or must be there already.
        mode: PutMode,
    },
    /// Forgets a subscriber, its sequence number and registrations. Outcome: `Removed`.
    Remove(Impi),
    /// The subscriber of this IMPI. Outcome: `Found`.
    Get(Impi),
    /// The subscriber this IMPU belongs to. Outcome: `Found`.
    Find(Impu),
    /// Subscribers in order of IMPI. Outcome: `Page`.
    List {
        /// Only IMPIs that start so.
        prefix: String,
        /// Only IMPIs after this one: the last one of the page before.
        after: Option<String>,
        /// At most so many, and at most [`PAGE_MAX`].
        limit: usize,
    },
    /// How many subscribers there are. Outcome: `Count`.
    Count,
    /// Moves the sequence number on. Outcome: `Sqn` with the first of `count` new numbers.
    AdvanceSqn {
        /// Whose.
        impi: Impi,
        /// By how many steps, at least one.
        count: u32,
    },
    /// Resynchronises with the card (TS 33.102 6.3.5), then moves on. Outcome: `Sqn` as for
    /// `AdvanceSqn`.
    ResynchroniseSqn {
        /// Whose.
        impi: Impi,
        /// The card's number, out of a verified AUTS.
        sqn_ms: Sqn,
        /// By how many steps to move on, at least one.
        count: u32,
    },
    /// Replaces the registrations. Outcome: `Registered`.
    Register {
        /// Whose.
        impi: Impi,
        /// The new ones; their revision is that of the ones they were made from.
        registrations: Registrations,
    },
}

/// Whether a subscriber may be or must be in the store already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PutMode {
    /// It must be new.
    #[default]
    Create,
    /// It must be there.
    Replace,
    /// Either.
    CreateOrReplace,
}

/// What became of an operation. Everything but `Refused` and `Failed` says that the change is
/// durable.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Stored; with what was there before.
    Stored {
        /// The entry it replaced.
        previous: Option<Box<Entry>>,
    },
    /// All stored.
    Imported {
        /// How many were new.
        created: usize,
        /// How many replaced an older one.
        replaced: usize,
    },
    /// Removed; with what was there.
    Removed(Box<Entry>),
    /// Here it is.
    Found(Box<Entry>),
    /// A page.
    Page {
        /// The entries.
        entries: Vec<Entry>,
        /// There are more after the last one.
        more: bool,
    },
    /// So many.
    Count(u64),
    /// The first of the numbers to use; no other caller will be given it.
    Sqn(Sqn),
    /// The new registrations, with their new revision.
    Registered(Registrations),
    /// The rules do not allow it; nothing has changed.
    Refused(Refusal),
    /// The engine failed; nothing has changed.
    Failed(Error),
}

/// Why the rules do not allow an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such subscriber.
    NotFound,
    /// There is one already.
    Exists(Impi),
    /// The public identity belongs to another subscriber.
    ImpuTaken {
        /// The identity.
        impu: Impu,
        /// Whose it is.
        owner: Impi,
    },
    /// The subscriber is not fit to be stored.
    Invalid {
        /// Which one.
        impi: Impi,
        /// Why.
        fault: SubscriberFault,
    },
    /// The registrations have changed in between: read them again.
    Conflict,
    /// The subscriber has no AKA credentials.
    NoAka,
    /// The sequence numbers of this key are used up: the key must be changed.
    SqnExhausted,
    /// The store is behind and took no more operations: try again later. Given by the event loop.
    Busy,
}

/// Most entries of a page: about a megabyte.
pub const PAGE_MAX: usize = 1000;

impl Operation {
    /// True when it changes nothing, so that it needs no commit.
    pub const fn is_read(&self) -> bool {
        matches!(
            self,
            Operation::Get(_) | Operation::Find(_) | Operation::List { .. } | Operation::Count
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotFound => f.write_str("there is no such subscriber"),
            Refusal::Exists(impi) => {
                write!(
                    f,
                    "there is a subscriber {impi} already: remove or replace it"
                )
            }
            Refusal::ImpuTaken { impu, owner } => write!(
                f,
                "{impu} belongs to {owner}: an identity has one owner, remove it there first"
            ),
            Refusal::Invalid { impi, fault } => write!(f, "{impi} {fault}"),
            Refusal::Conflict => {
                f.write_str("the registrations have changed in between: try again")
            }
            Refusal::NoAka => f.write_str("the subscriber has no AKA credentials: give k and opc"),
            Refusal::SqnExhausted => {
                f.write_str("the sequence numbers of this key are used up: change k and opc")
            }
            Refusal::Busy => f.write_str("the subscriber store is behind: try again later"),
        }
    }
}

/// Executes a read.
pub(super) fn read<R: Rows>(rows: &R, operation: &Operation) -> Result<Outcome, R::Error> {
    match operation {
        Operation::Get(impi) => Ok(found(entry(rows, impi.as_str())?)),
        Operation::Find(impu) => Ok(found(match owner(rows, impu)? {
            Some(impi) => entry(rows, impi.as_str())?,
            None => None,
        })),
        Operation::List {
            prefix,
            after,
            limit,
        } => list(rows, prefix, after.as_deref(), (*limit).min(PAGE_MAX)),
        Operation::Count => rows.count(Table::Subscribers).map(Outcome::Count),
        _ => Ok(Outcome::Refused(Refusal::NotFound)),
    }
}

/// Executes any operation. On `Err` the caller gives the whole transaction up; after
/// `Ok(Refused(_))` nothing was written.
pub(super) fn apply<R: RowsMut>(rows: &mut R, operation: Operation) -> Result<Outcome, R::Error> {
    match operation {
        Operation::Put { subscriber, mode } => put(rows, &subscriber, mode),
        Operation::Import { subscribers, mode } => import(rows, &subscribers, mode),
        Operation::Remove(impi) => remove(rows, &impi),
        Operation::AdvanceSqn { impi, count } => advance(rows, &impi, count, |sqn| sqn),
        Operation::ResynchroniseSqn {
            impi,
            sqn_ms,
            count,
        } => advance(rows, &impi, count, |sqn| sqn.resynchronised(sqn_ms)),
        Operation::Register {
            impi,
            registrations,
        } => register(rows, &impi, registrations),
        read_only => read(rows, &read_only),
    }
}

fn found(entry: Option<Entry>) -> Outcome {
    match entry {
        Some(entry) => Outcome::Found(Box::new(entry)),
        None => Outcome::Refused(Refusal::NotFound),
    }
}

fn list<R: Rows>(
    rows: &R,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Outcome, R::Error> {
    let mut page = rows.scan(Table::Subscribers, prefix, after, limit + 1)?;
    let more = page.len() > limit;
    page.truncate(limit);
    let entries = page
        .into_iter()
        .map(|(impi, value)| complete(rows, &impi, &value))
        .collect::<Result<Vec<Entry>, _>>()?;
    Ok(Outcome::Page { entries, more })
}

fn put<R: RowsMut>(
    rows: &mut R,
    subscriber: &Subscriber,
    mode: PutMode,
) -> Result<Outcome, R::Error> {
    let previous = match admit(rows, subscriber, mode)? {
        Ok(previous) => previous,
        Err(refusal) => return Ok(Outcome::Refused(refusal)),
    };
    write(rows, subscriber, previous.as_ref())?;
    Ok(Outcome::Stored {
        previous: previous.map(Box::new),
    })
}

fn import<R: RowsMut>(
    rows: &mut R,
    subscribers: &[Subscriber],
    mode: PutMode,
) -> Result<Outcome, R::Error> {
    // Every subscriber is admitted before the first is written, against the store and against the
    // others.
    let mut impis = HashMap::new();
    let mut impus = HashMap::new();
    let mut admitted = Vec::with_capacity(subscribers.len());
    for subscriber in subscribers {
        if impis.insert(&subscriber.impi, ()).is_some() {
            return Ok(Outcome::Refused(Refusal::Exists(subscriber.impi.clone())));
        }
        for identity in &subscriber.impus {
            match impus.insert(&identity.uri, &subscriber.impi) {
                Some(owner) if *owner != subscriber.impi => {
                    return Ok(Outcome::Refused(Refusal::ImpuTaken {
                        impu: identity.uri.clone(),
                        owner: owner.clone(),
                    }));
                }
                _ => {}
            }
        }
        match admit(rows, subscriber, mode)? {
            Ok(previous) => admitted.push(previous),
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        }
    }
    let replaced = admitted.iter().flatten().count();
    for (subscriber, previous) in subscribers.iter().zip(admitted) {
        write(rows, subscriber, previous.as_ref())?;
    }
    Ok(Outcome::Imported {
        created: subscribers.len() - replaced,
        replaced,
    })
}

/// Whether the subscriber may be written; `Ok` with the entry it will replace.
fn admit<R: Rows>(
    rows: &R,
    subscriber: &Subscriber,
    mode: PutMode,
) -> Result<Result<Option<Entry>, Refusal>, R::Error> {
    if let Err(fault) = subscriber.check() {
        return Ok(Err(Refusal::Invalid {
            impi: subscriber.impi.clone(),
            fault,
        }));
    }
    let previous = entry(rows, subscriber.impi.as_str())?;
    match (&previous, mode) {
        (Some(_), PutMode::Create) => return Ok(Err(Refusal::Exists(subscriber.impi.clone()))),
        (None, PutMode::Replace) => return Ok(Err(Refusal::NotFound)),
        _ => {}
    }
    for identity in &subscriber.impus {
        if let Some(owner) = owner(rows, &identity.uri)?
            && owner != subscriber.impi
        {
            return Ok(Err(Refusal::ImpuTaken {
                impu: identity.uri.clone(),
                owner,
            }));
        }
    }
    Ok(Ok(previous))
}

fn write<R: RowsMut>(
    rows: &mut R,
    subscriber: &Subscriber,
    previous: Option<&Entry>,
) -> Result<(), R::Error> {
    let key = subscriber.impi.as_str();
    let gone = previous.iter().flat_map(|entry| &entry.subscriber.impus);
    for identity in gone.filter(|identity| subscriber.public_identity(&identity.uri).is_none()) {
        rows.remove(Table::Owners, identity.uri.as_str())?;
    }
    for identity in &subscriber.impus {
        rows.put(Table::Owners, identity.uri.as_str(), key.as_bytes())?;
    }
    rows.put(Table::Subscribers, key, &encode(subscriber))?;
    match start_sqn(subscriber, previous) {
        Some(sqn) => rows.put(Table::Sqns, key, &sqn.to_bytes()),
        None => rows.remove(Table::Sqns, key),
    }
}

/// Where the numbers go on. Under the same key they never go back, whatever the new record says.
fn start_sqn(subscriber: &Subscriber, previous: Option<&Entry>) -> Option<Sqn> {
    let aka = subscriber.aka.as_ref()?;
    let used = previous.and_then(|entry| {
        let before = entry.subscriber.aka.as_ref()?;
        (before.k == aka.k && before.opc == aka.opc).then_some(entry.sqn)?
    });
    Some(used.map_or(aka.sqn, |used| used.max(aka.sqn)))
}

fn remove<R: RowsMut>(rows: &mut R, impi: &Impi) -> Result<Outcome, R::Error> {
    let key = impi.as_str();
    let Some(entry) = entry(rows, key)? else {
        return Ok(Outcome::Refused(Refusal::NotFound));
    };
    for identity in &entry.subscriber.impus {
        rows.remove(Table::Owners, identity.uri.as_str())?;
    }
    for table in [Table::Subscribers, Table::Sqns, Table::Registrations] {
        rows.remove(table, key)?;
    }
    Ok(Outcome::Removed(Box::new(entry)))
}

fn advance<R: RowsMut>(
    rows: &mut R,
    impi: &Impi,
    count: u32,
    start: impl Fn(Sqn) -> Sqn,
) -> Result<Outcome, R::Error> {
    let key = impi.as_str();
    let Some(used) = sqn(rows, key)? else {
        let known = rows.get(Table::Subscribers, key)?.is_some();
        let refusal = if known {
            Refusal::NoAka
        } else {
            Refusal::NotFound
        };
        return Ok(Outcome::Refused(refusal));
    };
    let start = start(used);
    let (Some(first), Some(last)) = (start.next(), start.advance(count.max(1))) else {
        return Ok(Outcome::Refused(Refusal::SqnExhausted));
    };
    rows.put(Table::Sqns, key, &last.to_bytes())?;
    Ok(Outcome::Sqn(first))
}

fn register<R: RowsMut>(
    rows: &mut R,
    impi: &Impi,
    mut registrations: Registrations,
) -> Result<Outcome, R::Error> {
    let key = impi.as_str();
    let revision = match rows.get(Table::Registrations, key)? {
        Some(row) => registrations_row::revision(&row)
            .ok_or_else(|| rows.corrupt(Table::Registrations, key))?,
        None if rows.get(Table::Subscribers, key)?.is_none() => {
            return Ok(Outcome::Refused(Refusal::NotFound));
        }
        None => Registrations::default().revision,
    };
    if revision != registrations.revision {
        return Ok(Outcome::Refused(Refusal::Conflict));
    }
    registrations.revision += 1;
    let row = registrations_row::write(&registrations);
    rows.put(Table::Registrations, key, &row)?;
    Ok(Outcome::Registered(registrations))
}

fn entry<R: Rows>(rows: &R, impi: &str) -> Result<Option<Entry>, R::Error> {
    match rows.get(Table::Subscribers, impi)? {
        Some(value) => complete(rows, impi, &value).map(Some),
        None => Ok(None),
    }
}

/// The entry whose subscriber row is `value`.
fn complete<R: Rows>(rows: &R, impi: &str, value: &[u8]) -> Result<Entry, R::Error> {
    Ok(Entry {
        subscriber: decode(rows, Table::Subscribers, impi, value)?,
        sqn: sqn(rows, impi)?,
        registrations: registrations(rows, impi)?,
    })
}

fn owner<R: Rows>(rows: &R, impu: &Impu) -> Result<Option<Impi>, R::Error> {
    let Some(value) = rows.get(Table::Owners, impu.as_str())? else {
        return Ok(None);
    };
    std::str::from_utf8(&value)
        .ok()
        .and_then(|text| Impi::parse(text).ok())
        .map(Some)
        .ok_or_else(|| rows.corrupt(Table::Owners, impu.as_str()))
}

fn sqn<R: Rows>(rows: &R, impi: &str) -> Result<Option<Sqn>, R::Error> {
    let Some(value) = rows.get(Table::Sqns, impi)? else {
        return Ok(None);
    };
    <[u8; 6]>::try_from(value.as_slice())
        .map(|bytes| Some(Sqn::from_bytes(bytes)))
        .map_err(|_| rows.corrupt(Table::Sqns, impi))
}

fn registrations<R: Rows>(rows: &R, impi: &str) -> Result<Registrations, R::Error> {
    match rows.get(Table::Registrations, impi)? {
        Some(row) => {
            registrations_row::read(&row).ok_or_else(|| rows.corrupt(Table::Registrations, impi))
        }
        None => Ok(Registrations::default()),
    }
}

fn decode<R: Rows, T: DeserializeOwned>(
    rows: &R,
    table: Table,
    key: &str,
    value: &[u8],
) -> Result<T, R::Error> {
    serde_json::from_slice(value).map_err(|_| rows.corrupt(table, key))
}

fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have text keys only and no fallible serializer")
}
