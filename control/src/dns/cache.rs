//! Answers kept for as long as they may be: RFC 1035 7.4, RFC 2308.

use std::collections::HashMap;
use std::time::Duration;

use base::{Instant, TimerId, TimerQueue};
use sip::locate::{Answer, Question};

/// Records are not kept longer, whatever their TTL.
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);
/// That there are none is not kept longer (RFC 2308 5).
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(3 * 3600);

/// Answers by question, at most `entries_max`; beyond it what would expire first goes first.
#[derive(Debug)]
pub(super) struct Cache {
    entries: HashMap<Question, Entry>,
    expiry: TimerQueue<Question>,
    entries_max: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    timer: TimerId,
}

impl Cache {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            expiry: TimerQueue::new(),
            entries_max,
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }

    /// The answer to a question while it may be used.
    pub(super) fn get(&mut self, now: Instant, question: &Question) -> Option<&Answer> {
        self.expire(now);
        self.entries.get(question).map(|entry| &entry.answer)
    }

    /// Keeps an answer. A TTL of zero is not kept (RFC 1035 3.2.1).
    pub(super) fn put(&mut self, now: Instant, question: Question, answer: Answer, ttl: Duration) {
        self.expire(now);
        let ttl_max = match answer {
            Answer::Nothing => NEGATIVE_TTL_MAX,
            _ => TTL_MAX,
        };
        if let Some(before) = self.entries.remove(&question) {
            self.expiry.cancel(before.timer);
        }
        if ttl.is_zero() || self.entries_max == 0 {
            return;
        }
        if self.entries.len() >= self.entries_max {
            self.expire_first();
        }
        let timer = self.expiry.set(now + ttl.min(ttl_max), question.clone());
        self.entries.insert(question, Entry { answer, timer });
    }

    fn expire(&mut self, now: Instant) {
        while let Some(question) = self.expiry.pop_due(now) {
            self.entries.remove(&question);
        }
    }

    fn expire_first(&mut self) {
        if let Some(first) = self.expiry.next_timeout()
            && let Some(question) = self.expiry.pop_due(first)
        {
            self.entries.remove(&question);
        }
    }
}

#[cfg(test)]
mod tests {
    use sip::locate::RecordType;

    use super::*;

    fn question(n: u8) -> Question {
        Question {
            name: format!("n{n}.test"),
            record: RecordType::A,
        }
    }

    fn answer(n: u8) -> Answer {
        Answer::Addresses(vec![[192, 0, 2, n].into()])
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_answer_is_used_until_its_time_is_over() {
        let mut cache = Cache::new(10);
        let now = Instant::from_secs(1);
        cache.put(now, question(1), answer(1), HOUR);
        let last = Instant::from_nanos((now + HOUR).as_nanos() - 1);
        assert_eq!(cache.get(last, &question(1)), Some(&answer(1)));
        assert_eq!(cache.get(now + HOUR, &question(1)), None);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_newer_answer_replaces_the_older_and_its_time() {
        let mut cache = Cache::new(10);
        let now = Instant::from_secs(1);
        cache.put(now, question(1), answer(1), HOUR);
        cache.put(now, question(1), answer(2), 2 * HOUR);
        assert_eq!(cache.get(now + HOUR, &question(1)), Some(&answer(2)));
        cache.put(now + HOUR, question(1), answer(3), Duration::ZERO);
        assert_eq!(cache.get(now + HOUR, &question(1)), None);
    }

    #[test]
    fn long_times_are_cut_and_shorter_for_nothing() {
        let mut cache = Cache::new(10);
        let now = Instant::from_secs(1);
        cache.put(now, question(1), answer(1), Duration::MAX);
        cache.put(now, question(2), Answer::Nothing, Duration::MAX);
        let later = now + NEGATIVE_TTL_MAX;
        assert_eq!(cache.get(later, &question(2)), None);
        assert!(cache.get(later, &question(1)).is_some());
        assert_eq!(cache.get(now + TTL_MAX, &question(1)), None);
    }

    #[test]
    fn a_full_cache_forgets_what_expires_first() {
        let mut cache = Cache::new(2);
        let now = Instant::from_secs(1);
        cache.put(now, question(1), answer(1), 2 * HOUR);
        cache.put(now, question(2), answer(2), HOUR);
        cache.put(now, question(3), answer(3), 3 * HOUR);
        assert_eq!(cache.len(), 2);
        assert_eq!(cache.get(now, &question(2)), None);
        let mut none = Cache::new(0);
        none.put(now, question(1), answer(1), HOUR);
        assert_eq!(none.len(), 0);
    }
}
