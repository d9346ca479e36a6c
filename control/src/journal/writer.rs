//! What the journal's thread does, apart from waiting: writes what it is given, makes it durable,
//! gives up old segments, and comes back from errors.

use std::time::Duration;

use base::Instant;
use tracing::{error, info, warn};

use super::files::Files;
use super::frame;
use super::log::Log;
use super::status::JournalStatus;

/// Between two syncs, at least: what a power failure may take.
const SYNC_INTERVAL: Duration = Duration::from_millis(50);
/// Octets that wait for a disk that refuses them, beside the last statement of everything; beyond
/// it they are dropped, and everything is put anew when the disk is back.
pub const WAITING_MAX: usize = 16 << 20;
/// Before the first new attempt after an error; twice as long before each other.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Before a new attempt, at most.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// State of a journal of which records were dropped.
pub const BEHIND: &str = "behind";

/// Writes a journal.
pub struct Writer<F> {
    log: Log<F>,
    /// For people: where the log is.
    place: String,
    waiting: Vec<u8>,
    /// Octets of the statement that `waiting` begins with.
    statement: usize,
    /// Records were dropped: what is on the disk is of the past until everything is put anew.
    has_lost: bool,
    /// Something was written and not synced.
    is_dirty: bool,
    synced_at: Option<Instant>,
    failing: Option<Failing>,
    failures: u64,
    statements: u64,
}

struct Failing {
    why: String,
    retry_at: Instant,
    wait: Duration,
}

impl<F: Files> Writer<F> {
    /// Writes to `log`, which people find at `place`.
    pub const fn new(log: Log<F>, place: String) -> Self {
        Self {
            log,
            place,
            waiting: Vec::new(),
            statement: 0,
            has_lost: false,
            is_dirty: false,
            synced_at: None,
            failing: None,
            failures: 0,
            statements: 0,
        }
    }

    /// Takes records to write; call [`Writer::advance`] then.
    pub fn take(&mut self, records: Vec<u8>) {
        if frame::is_statement(&records) {
            // All before it is void.
            self.statement = records.len();
            self.waiting = records;
            self.has_lost = false;
            self.statements += 1;
            return;
        }
        if self.has_lost {
            return;
        }
        if self.waiting.is_empty() {
            self.waiting = records;
        } else {
            self.waiting.extend(records);
        }
        if self.waiting.len() > self.statement + WAITING_MAX {
            self.lose();
        }
    }

    /// Records were dropped before they came here.
    pub fn lose(&mut self) {
        if !self.has_lost {
            let directory = &self.place;
            warn!(
                directory,
                "the journal is behind: what is kept is put anew when it has caught up"
            );
        }
        self.has_lost = true;
        self.waiting.clear();
        self.statement = 0;
    }

    /// Does what is due.
    pub fn advance(&mut self, now: Instant) {
        if self.failing.as_ref().is_some_and(|it| it.retry_at > now) {
            return;
        }
        let is_retry = self.failing.is_some();
        match self.work(now, is_retry) {
            Ok(()) if is_retry && !self.is_dirty => {
                let directory = &self.place;
                info!(directory, "the journal is written again");
                self.failing = None;
            }
            Ok(()) => {}
            Err(fault) => self.fail(now, &fault),
        }
    }

    fn work(&mut self, now: Instant, is_retry: bool) -> std::io::Result<()> {
        if is_retry && self.waiting.is_empty() && self.has_lost {
            // Nothing to write, and something must show that writing works.
            self.log.rotate()?;
        }
        if !self.waiting.is_empty() {
            self.log.append(&self.waiting)?;
            self.waiting.clear();
            self.statement = 0;
            self.is_dirty = true;
        }
        let is_due = self.synced_at.is_none_or(|at| at + SYNC_INTERVAL <= now);
        if self.is_dirty && (is_due || is_retry) {
            // What could not be made durable once may be gone though the next sync succeeds.
            if let Err(fault) = self.log.sync() {
                self.lose();
                return Err(fault);
            }
            self.is_dirty = false;
            self.synced_at = Some(now);
        }
        if self.log.is_too_large() {
            self.log.compact()?;
        }
        Ok(())
    }

    fn fail(&mut self, now: Instant, fault: &std::io::Error) {
        self.failures += 1;
        let before = self.failing.take();
        if before.is_none() {
            error!(
                directory = self.place,
                error = %fault,
                "the journal cannot be written: a restart would lose what happens from now on; \
                 make room or mend the disk, it is tried again"
            );
        }
        let wait = before.map_or(RETRY_MIN, |before| (before.wait * 2).min(RETRY_MAX));
        self.failing = Some(Failing {
            why: fault.to_string(),
            retry_at: now + wait,
            wait,
        });
    }

    /// When it wants to [`Writer::advance`] though nothing comes.
    pub fn next_timeout(&self) -> Option<Instant> {
        if let Some(failing) = &self.failing {
            return Some(failing.retry_at);
        }
        if self.log.is_too_large() {
            return Some(Instant::ZERO);
        }
        let at = self
            .synced_at
            .map_or(Instant::ZERO, |at| at + SYNC_INTERVAL);
        self.is_dirty.then_some(at)
    }

    /// Whether everything is to be put anew, and can be written.
    pub const fn wants_all(&self) -> bool {
        self.has_lost && self.failing.is_none()
    }

    /// Writes and syncs what there is, at the end.
    pub fn finish(&mut self, now: Instant) {
        self.failing = None;
        self.synced_at = None;
        self.advance(now);
    }

    /// What it says of itself.
    pub fn status(&self) -> JournalStatus {
        let mut status = JournalStatus {
            waiting_octets: self.waiting.len() as u64,
            failures: self.failures,
            statements: self.statements,
            ..JournalStatus::in_order()
        };
        if let Some(failing) = &self.failing {
            status.state = format!("failing: {}", failing.why);
        } else if self.has_lost {
            BEHIND.clone_into(&mut status.state);
        }
        self.log.describe(&mut status);
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::log::tests::Disk;
    use crate::journal::{Journal, Kind, Replay};

    fn recorded(record: impl FnOnce(&mut Journal)) -> Vec<u8> {
        let mut journal = Journal::default();
        record(&mut journal);
        journal.take().unwrap_or_default()
    }

    fn put(id: u64) -> Vec<u8> {
        recorded(|journal| journal.put(Kind::Leg, id, "value"))
    }

    fn writer(disk: &Disk) -> Writer<Disk> {
        let (log, ..) = Log::open(disk.clone()).expect("it opens");
        Writer::new(log, "here".into())
    }

    fn found(disk: &Disk) -> Vec<u64> {
        let (_, mut replay, _): (_, Replay, _) = Log::open(disk.clone()).expect("it opens");
        let legs: Vec<(u64, String)> = replay.take(Kind::Leg);
        legs.into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn what_comes_is_written_at_once_and_synced_by_and_by() {
        let disk = Disk::default();
        let mut writer = writer(&disk);
        let start = Instant::from_secs(1);
        writer.take(put(1));
        writer.advance(start);
        assert_eq!(writer.next_timeout(), None, "the first is synced");
        let soon = start + Duration::from_millis(10);
        writer.take(put(2));
        writer.advance(soon);
        assert_eq!(found(&disk), [1, 2]);
        assert_eq!(writer.next_timeout(), Some(start + SYNC_INTERVAL));
        writer.advance(start + SYNC_INTERVAL);
        assert_eq!(writer.next_timeout(), None);
        disk.fail_power(1);
        assert_eq!(found(&disk), [1, 2]);
    }

    #[test]
    fn after_a_sync_that_failed_everything_is_put_anew() {
        let disk = Disk::default();
        let mut writer = writer(&disk);
        let mut now = Instant::from_secs(1);
        disk.break_sync(true);
        writer.take(put(1));
        writer.advance(now);
        assert!(
            writer
                .status()
                .state
                .starts_with("failing: the disk is broken")
        );
        assert!(!writer.wants_all());
        writer.take(put(2));
        disk.break_sync(false);
        assert_eq!(writer.next_timeout(), Some(now + RETRY_MIN));
        now += RETRY_MIN;
        writer.advance(now);
        assert!(writer.wants_all());
        assert_eq!(writer.status().state, BEHIND);
        writer.take(recorded(|journal| {
            journal.begin_all();
            journal.put(Kind::Leg, 2, "value");
            journal.end_all();
        }));
        writer.take(put(3));
        writer.finish(now);
        assert!(writer.status().is_in_order() && !writer.wants_all());
        disk.fail_power(2);
        assert_eq!(found(&disk), [2, 3]);
    }

    #[test]
    fn it_is_tried_again_less_and_less_often() {
        let disk = Disk::default();
        let mut writer = writer(&disk);
        disk.fill(true);
        writer.take(put(1));
        let mut now = Instant::from_secs(1);
        let mut waits = Vec::new();
        for _ in 0..7 {
            writer.advance(now);
            let next = writer.next_timeout().expect("it is tried again");
            waits.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        disk.fill(false);
        writer.advance(now);
        assert!(writer.status().is_in_order());
        assert_eq!(found(&disk), [1]);
    }
}
