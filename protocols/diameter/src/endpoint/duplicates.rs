//! Requests seen before, RFC 6733 3 (T flag) and 5.5.4: an answer is given again, the work is not
//! done again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use base::Instant;

/// Requests remembered; the oldest makes room.
pub const DUPLICATES_MAX: usize = 4096;

/// Octets of answers remembered; the oldest make room.
pub const DUPLICATES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// End-to-End Identifiers do not repeat within this time, RFC 6733 3.
const LIFETIME: Duration = Duration::from_secs(240);

const _: () = assert!(crate::MESSAGE_BYTES_MAX < DUPLICATES_BYTES_MAX);

/// Origin-Host and End-to-End Identifier name a request wherever it comes in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) origin_host: Box<[u8]>,
    pub(super) end_to_end: u32,
}

/// What is known of a request that came again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// It is being worked on.
    Working,
    /// It was answered with this, the identifiers of the first time in it.
    Answered(&'a [u8]),
}

/// Requests of the last four minutes.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    answers: BTreeMap<Key, Option<Box<[u8]>>>,
    order: VecDeque<(Instant, Key)>,
    bytes: usize,
}

impl Duplicates {
    /// What is known of the request; nothing means it is new and remembered from now on.
    pub(super) fn see(&mut self, now: Instant, key: &Key) -> Option<Seen<'_>> {
        self.forget(now);
        if self.answers.contains_key(key) {
            return self.answers.get(key).map(|answer| match answer {
                Some(answer) => Seen::Answered(answer),
                None => Seen::Working,
            });
        }
        self.answers.insert(key.clone(), None);
        self.order.push_back((now, key.clone()));
        None
    }

    /// Remembers the answer to a request still known.
    pub(super) fn answered(&mut self, now: Instant, key: &Key, answer: &[u8]) {
        if let Some(kept) = self.answers.get_mut(key) {
            self.bytes += answer.len();
            if let Some(before) = kept.replace(answer.into()) {
                self.bytes -= before.len();
            }
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        while let Some((since, key)) = self.order.front() {
            let crowded = self.order.len() >= DUPLICATES_MAX || self.bytes > DUPLICATES_BYTES_MAX;
            if !crowded && *since + LIFETIME > now {
                return;
            }
            if let Some(Some(answer)) = self.answers.remove(key) {
                self.bytes -= answer.len();
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(end_to_end: u32) -> Key {
        Key {
            origin_host: (*b"client.test").into(),
            end_to_end,
        }
    }

    #[test]
    fn a_request_is_new_once_then_working_then_answered_then_forgotten() {
        let mut duplicates = Duplicates::default();
        let start = Instant::from_secs(1);
        assert_eq!(duplicates.see(start, &key(1)), None);
        assert_eq!(duplicates.see(start, &key(1)), Some(Seen::Working));
        duplicates.answered(start, &key(1), b"answer");
        assert_eq!(
            duplicates.see(start, &key(1)),
            Some(Seen::Answered(b"answer"))
        );
        assert_eq!(duplicates.see(start, &key(2)), None);
        assert_eq!(duplicates.see(start + LIFETIME, &key(1)), None);
    }

    #[test]
    fn number_and_octets_are_bounded() {
        let mut duplicates = Duplicates::default();
        let now = Instant::from_secs(1);
        let answer = vec![0; 200_000];
        for number in 0..10_000 {
            assert_eq!(duplicates.see(now, &key(number)), None);
            if number % 50 == 0 {
                duplicates.answered(now, &key(number), &answer);
            }
            assert!(duplicates.order.len() <= DUPLICATES_MAX);
            assert!(duplicates.bytes <= DUPLICATES_BYTES_MAX);
            assert_eq!(duplicates.answers.len(), duplicates.order.len());
        }
    }
}
