//! The order in which received messages are served, and which are refused when more come than can
//! be served.
//!
//! What continues something under way is worth more than what begins something new: work has gone
//! into it already, and it ends by itself. So messages wait in four classes; a class is served when
//! those above it are empty, but for a share of new requests, and in each they keep their order.
//! Only the lower three are refused, by the time that they have waited: all of them have a limit,
//! and that of new requests shrinks while their queue does not empty, because waiting in a queue
//! that stands still helps nobody (the controlled delay of RFC 8289, applied to whole requests).
//! The server is never idle while something waits, so what is refused is what could not have been
//! served.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use base::Instant;

/// What a message is worth, most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Class {
    /// Responses, requests within dialogs, answers to challenges, and whatever else continues what
    /// was begun here. Never refused.
    Ongoing,
    /// New requests to emergency services, or with a priority (RFC 5031, RFC 4412).
    Emergency,
    /// REGISTER with credentials: a refresh or a removal.
    Refresh,
    /// Any other new request.
    Initial,
}

impl Class {
    /// Every class, most first.
    pub const ALL: [Class; 4] = [
        Class::Ongoing,
        Class::Emergency,
        Class::Refresh,
        Class::Initial,
    ];

    /// Its name in status and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Ongoing => "ongoing",
            Class::Emergency => "emergency",
            Class::Refresh => "refresh",
            Class::Initial => "initial",
        }
    }

    /// Messages that may wait at once.
    const fn max(self) -> usize {
        match self {
            Class::Ongoing => ONGOING_MAX,
            Class::Emergency | Class::Refresh | Class::Initial => NEW_MAX,
        }
    }
}

/// Messages of [`Class::Ongoing`] that may wait: a second of the fastest server. No more is read
/// when half of it waits, so it is full only after a burst of a single read.
pub const ONGOING_MAX: usize = 32_768;
/// Messages of each lower class that may wait: what comes in [`SOJOURN_MAX`] at 40 000 a second.
pub const NEW_MAX: usize = 16_384;
/// A new request that has waited longer is refused: before its sender repeats it, which a UE does
/// after 500 ms where it does not follow TS 24.229, and not for a pause that the machine made.
pub const SOJOURN_MAX: Duration = Duration::from_millis(400);
/// The same while the queue of new requests has not been empty for [`SOJOURN_MAX`].
pub const SOJOURN_STANDING_MAX: Duration = Duration::from_millis(200);
/// A request with a priority, or with credentials, that has waited longer is refused.
pub const SOJOURN_WORTHY_MAX: Duration = Duration::from_millis(480);

/// Refreshes served in a row while new requests wait: all users of a cell that come back at once
/// must not keep everybody from calling.
const REFRESHES_MAX: u32 = 3;
/// How long the longest waits are remembered.
const SOJOURN_INTERVAL: Duration = Duration::from_secs(1);

const _: () = assert!(SOJOURN_STANDING_MAX.as_nanos() < SOJOURN_MAX.as_nanos());
const _: () = assert!(SOJOURN_MAX.as_nanos() < SOJOURN_WORTHY_MAX.as_nanos());

/// What became of an offer.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer<T> {
    /// It waits.
    Queued,
    /// The same waits already.
    Absorbed,
    /// Its class is full.
    Full(T),
}

/// What is to be done with a message whose wait is over.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Serve it.
    Serve(Class, T),
    /// Refuse it: it has waited too long.
    Refuse(Class, T),
}

/// Messages that wait, each with when it came and its key.
#[derive(Debug)]
pub struct Admission<T> {
    queues: [VecDeque<Waiting<T>>; Class::ALL.len()],
    /// Keys of new requests that wait.
    keys: HashSet<u64>,
    /// Refreshes served since the last new request.
    refreshes: u32,
    /// When no new request waited, the last time.
    emptied: Instant,
    sojourns: Sojourns,
}

/// The longest waits of late.
#[derive(Debug, Default)]
struct Sojourns {
    since: Instant,
    /// Since `since`, by class.
    present: [Duration; Class::ALL.len()],
    /// In the interval before.
    before: [Duration; Class::ALL.len()],
}

#[derive(Debug)]
struct Waiting<T> {
    since: Instant,
    key: Option<u64>,
    item: T,
}

impl<T> Admission<T> {
    /// Nothing waits.
    pub fn new() -> Self {
        Self {
            queues: Default::default(),
            keys: HashSet::new(),
            refreshes: 0,
            emptied: Instant::ZERO,
            sojourns: Sojourns::default(),
        }
    }

    /// Puts a message behind those of its class. `key` names the transaction that a new request
    /// would begin: its retransmissions are absorbed while it waits.
    pub fn offer(&mut self, now: Instant, class: Class, key: Option<u64>, item: T) -> Offer<T> {
        if key.is_some_and(|key| self.keys.contains(&key)) {
            return Offer::Absorbed;
        }
        if self.depth(class) >= class.max() {
            return Offer::Full(item);
        }
        if class == Class::Initial && self.depth(class) == 0 {
            self.emptied = now;
        }
        self.keys.extend(key);
        self.queues[class as usize].push_back(Waiting {
            since: now,
            key,
            item,
        });
        Offer::Queued
    }

    /// True when a request with this key waits.
    pub fn has(&self, key: u64) -> bool {
        self.keys.contains(&key)
    }

    /// Takes the message whose turn it is.
    pub fn poll(&mut self, now: Instant) -> Option<Verdict<T>> {
        let class = self.turn()?;
        let is_late = self.is_late(now, class);
        let item = self.take(now, class)?;
        Some(if is_late {
            Verdict::Refuse(class, item)
        } else {
            Verdict::Serve(class, item)
        })
    }

    /// The class whose turn it is.
    fn turn(&mut self) -> Option<Class> {
        let mut classes = Class::ALL.into_iter();
        let first = classes.find(|&class| self.depth(class) > 0)?;
        let waits_initial = self.depth(Class::Initial) > 0;
        let is_yielding = self.refreshes >= REFRESHES_MAX && waits_initial;
        match first {
            Class::Refresh if !is_yielding => self.refreshes += 1,
            Class::Refresh | Class::Initial => {
                self.refreshes = 0;
                return Some(Class::Initial);
            }
            Class::Ongoing | Class::Emergency => {}
        }
        Some(first)
    }

    /// Takes a message that has waited too long, also while others are served before its class.
    pub fn poll_late(&mut self, now: Instant) -> Option<(Class, T)> {
        let late = Class::ALL
            .into_iter()
            .find(|&class| self.is_late(now, class))?;
        Some((late, self.take(now, late)?))
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// False when so much waits that no more should be read.
    pub fn has_room(&self) -> bool {
        self.depth(Class::Ongoing) < ONGOING_MAX / 2
    }

    /// Messages of a class that wait.
    pub fn depth(&self, class: Class) -> usize {
        self.queues[class as usize].len()
    }

    /// The longest that a message of a class has waited within the last second or two.
    pub fn sojourn(&self, now: Instant, class: Class) -> Duration {
        let Sojourns {
            since,
            present,
            before,
        } = &self.sojourns;
        let [present, before] = [present, before].map(|all| all[class as usize]);
        match now - *since {
            age if age < SOJOURN_INTERVAL => present.max(before),
            age if age < 2 * SOJOURN_INTERVAL => present,
            _ => Duration::ZERO,
        }
    }

    fn is_late(&self, now: Instant, class: Class) -> bool {
        let most = match class {
            Class::Ongoing => return false,
            Class::Emergency | Class::Refresh => SOJOURN_WORTHY_MAX,
            Class::Initial if now - self.emptied > SOJOURN_MAX => SOJOURN_STANDING_MAX,
            Class::Initial => SOJOURN_MAX,
        };
        let first = self.queues[class as usize].front();
        first.is_some_and(|waiting| now - waiting.since > most)
    }

    fn take(&mut self, now: Instant, class: Class) -> Option<T> {
        let waiting = self.queues[class as usize].pop_front()?;
        if let Some(key) = waiting.key {
            self.keys.remove(&key);
        }
        self.sojourns.note(now, class, now - waiting.since);
        if class == Class::Initial && self.depth(class) == 0 {
            self.emptied = now;
        }
        Some(waiting.item)
    }
}

impl Sojourns {
    fn note(&mut self, now: Instant, class: Class, sojourn: Duration) {
        let age = now - self.since;
        if age >= SOJOURN_INTERVAL {
            let is_recent = age < 2 * SOJOURN_INTERVAL;
            let present = std::mem::take(&mut self.present);
            self.before = if is_recent {
                present
            } else {
                Default::default()
            };
            self.since = now;
        }
        let longest = &mut self.present[class as usize];
        *longest = sojourn.max(*longest);
    }
}

#[cfg(test)]
mod tests;
