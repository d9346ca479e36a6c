//! Targets that lately did not answer, or asked to be left alone: tried after all others.
//!
//! Without this memory every request would wait its 64 T1 for a dead server before the next has its
//! turn, and others than INVITE would be given up by their senders just then (RFC 4320 3).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use base::{Instant, TimerId, TimerQueue};
use sip::{Message, Transport};

use super::address::Located;

/// How long a target is avoided that did not answer or could not be reached.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// A 503 cannot keep requests away for longer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Targets remembered; beyond it the one whose time is over first is forgotten.
const AVOIDED_MAX: usize = 4096;

type Key = (Transport, SocketAddr);

/// The targets to avoid, each for its time.
#[derive(Debug, Default)]
pub(super) struct Avoided {
    entries: HashMap<Key, TimerId>,
    expiry: TimerQueue<Key>,
}

impl Avoided {
    /// A target did not answer.
    pub(super) fn silent(&mut self, now: Instant, target: &Located) {
        self.add(now, target, SILENT_FOR);
    }

    /// A target answered: it is as good as any, but for a 503 with Retry-After (RFC 3261 21.5.4).
    pub(super) fn answered(&mut self, now: Instant, target: &Located, response: &Message) {
        match retry_after(response) {
            Some(time) => self.add(now, target, time.min(RETRY_AFTER_MAX)),
            None => self.remove(&key(target)),
        }
    }

    pub(super) fn contains(&mut self, now: Instant, target: &Located) -> bool {
        while let Some(key) = self.expiry.pop_due(now) {
            self.entries.remove(&key);
        }
        self.entries.contains_key(&key(target))
    }

    fn add(&mut self, now: Instant, target: &Located, time: Duration) {
        let key = key(target);
        self.remove(&key);
        if self.entries.len() >= AVOIDED_MAX
            && let Some(first) = self.expiry.next_timeout()
            && let Some(first) = self.expiry.pop_due(first)
        {
            self.entries.remove(&first);
        }
        let timer = self.expiry.set(now + time, key);
        self.entries.insert(key, timer);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(timer) = self.entries.remove(key) {
            self.expiry.cancel(timer);
        }
    }
}

const fn key(target: &Located) -> Key {
    (target.transport, target.address)
}

/// The time that a 503 asks for.
fn retry_after(response: &Message) -> Option<Duration> {
    if response.status() != Some(503) {
        return None;
    }
    let after = response.retry_after().ok().flatten()?;
    Some(Duration::from_secs(after.seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(n: u16) -> Located {
        let address = SocketAddr::from(([192, 0, 2, 1], n));
        Located::from(sip::locate::Target {
            transport: Transport::Udp,
            address,
        })
    }

    fn response(status: u16, retry_after: &str) -> Message {
        let text = format!("SIP/2.0 {status} X\r\nRetry-After: {retry_after}\r\n\r\n");
        Message::parse(text.into_bytes()).expect("a response")
    }

    #[test]
    fn a_silent_target_is_avoided_for_its_time_or_until_it_answers() {
        let now = Instant::from_secs(100);
        let mut avoided = Avoided::default();
        assert!(!avoided.contains(now, &target(1)));
        avoided.silent(now, &target(1));
        avoided.silent(now, &target(2));
        let other = Located {
            transport: Transport::Tcp,
            ..target(1)
        };
        assert!(avoided.contains(now, &target(1)) && !avoided.contains(now, &other));
        avoided.answered(now, &target(2), &response(503, ""));
        assert!(!avoided.contains(now, &target(2)));
        assert!(!avoided.contains(now + SILENT_FOR, &target(1)));
    }

    #[test]
    fn a_503_is_heeded_when_it_names_a_time() {
        let now = Instant::from_secs(100);
        let cases = [
            (503, "30", 30),
            (503, "18000;duration=3600", 300),
            (503, "5 (I'm busy)", 5),
            (503, "soon", 0),
            (500, "30", 0),
        ];
        for (status, text, seconds) in cases {
            let mut avoided = Avoided::default();
            avoided.answered(now, &target(1), &response(status, text));
            let end = now + Duration::from_secs(seconds);
            let before = Instant::from_nanos(end.as_nanos() - 1);
            assert_eq!(avoided.contains(before, &target(1)), seconds > 0, "{text}");
            assert!(!avoided.contains(end, &target(1)), "{text}");
        }
    }

    #[test]
    fn a_bounded_number_is_remembered() {
        let mut avoided = Avoided::default();
        for n in 0..=AVOIDED_MAX as u16 {
            avoided.silent(Instant::from_secs(n.into()), &target(n));
        }
        assert_eq!(avoided.entries.len(), AVOIDED_MAX);
        assert_eq!(avoided.expiry.len(), AVOIDED_MAX);
    }
}
