//! Whether the mg thread has more to do than it can.

use std::time::Duration;

use base::Instant;

/// So long the thread is watched before it is judged.
const WINDOW: Duration = Duration::from_millis(100);
/// It is overloaded when it hardly waits, less than one part in so many, …
const BUSY_PART: u32 = 20;
/// … for so many windows on end; …
const BUSY_WINDOWS: u8 = 3;
/// … and no longer when it waits for one part in so many.
const EASY_PART: u32 = 5;

/// How busy a thread is that waits for what it does.
#[derive(Debug)]
pub struct Load {
    since: Instant,
    waited: Duration,
    busy_windows: u8,
    is_overloaded: bool,
}

impl Load {
    /// Of a thread that begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            waited: Duration::ZERO,
            busy_windows: 0,
            is_overloaded: false,
        }
    }

    /// It has waited from then until now; told is when what is thought of it changes.
    pub fn waited(&mut self, from: Instant, now: Instant) -> Option<bool> {
        self.waited += now.since(from);
        let window = now.since(self.since);
        if window < WINDOW {
            return None;
        }
        let waited = std::mem::take(&mut self.waited);
        self.since = now;
        self.busy_windows = match waited < window / BUSY_PART {
            true => self.busy_windows.saturating_add(1),
            false => 0,
        };
        let is_overloaded = match self.is_overloaded {
            true => waited < window / EASY_PART,
            false => self.busy_windows >= BUSY_WINDOWS,
        };
        let has_changed = std::mem::replace(&mut self.is_overloaded, is_overloaded);
        (has_changed != is_overloaded).then_some(is_overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_secs(1_800_000_000);

    /// Turns of 10 ms of which it waits for so many.
    fn turns(load: &mut Load, now: &mut Instant, count: u32, waits: Duration) -> Vec<bool> {
        let news = (0..count).filter_map(|_| {
            let from = *now + (Duration::from_millis(10) - waits);
            *now += Duration::from_millis(10);
            load.waited(from, *now)
        });
        news.collect()
    }

    #[test]
    fn it_is_overloaded_when_it_does_not_wait_for_long() {
        let (mut load, mut now) = (Load::new(T0), T0);
        let busy = Duration::from_micros(100);
        let easy = Duration::from_millis(3);
        assert!(turns(&mut load, &mut now, 1_000, easy).is_empty());
        assert!(turns(&mut load, &mut now, 20, busy).is_empty());
        assert_eq!(turns(&mut load, &mut now, 20, busy), [true]);
        assert!(turns(&mut load, &mut now, 1_000, Duration::from_millis(1)).is_empty());
        assert_eq!(turns(&mut load, &mut now, 20, easy), [false]);
    }

    #[test]
    fn a_moment_without_waiting_is_no_overload() {
        let (mut load, mut now) = (Load::new(T0), T0);
        for _ in 0..50 {
            assert!(turns(&mut load, &mut now, 15, Duration::ZERO).is_empty());
            assert!(turns(&mut load, &mut now, 10, Duration::from_millis(9)).is_empty());
        }
    }
}
