//! Timers of an engine: a heap whose entries can be cancelled.

use crate::Instant;

/// A set of timers, each carrying a key that says what is due.
///
/// `set`, `cancel` and `pop_due` cost O(log n) and touch no clock. Timers due at the same instant
/// come out in the order they were set, so that a run with the same inputs has the same outputs.
#[derive(Debug)]
pub struct TimerQueue<K> {
    heap: Vec<Entry>,
    slots: Vec<Slot<K>>,
    free: Vec<u32>,
    sequence: u64,
}

/// A timer in the heap: the order stands beside the slot, so that comparing two touches no slot.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Instant,
    sequence: u64,
    slot: u32,
}

/// Names one timer that was set; stale after it fired or was cancelled, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    slot: u32,
    generation: u32,
}

#[derive(Debug)]
struct Slot<K> {
    generation: u32,
    position: u32,
    key: Option<K>,
}

impl<K> Default for TimerQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> TimerQueue<K> {
    /// An empty set.
    pub const fn new() -> Self {
        Self {
            heap: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            sequence: 0,
        }
    }

    /// Timers set and not yet fired or cancelled.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// True when no timer is set.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Sets a timer that is due at `at`.
    pub fn set(&mut self, at: Instant, key: K) -> TimerId {
        self.sequence += 1;
        let position = self.heap.len();
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize].key = Some(key);
                slot
            }
            None => {
                let slot = self.slots.len() as u32;
                self.slots.push(Slot {
                    generation: 0,
                    position: 0,
                    key: Some(key),
                });
                slot
            }
        };
        let entry = Entry {
            at,
            sequence: self.sequence,
            slot,
        };
        self.heap.push(entry);
        self.sift_up(position, entry);
        TimerId {
            slot,
            generation: self.slots[slot as usize].generation,
        }
    }

    /// Takes a timer back; `None` when it fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> Option<K> {
        let slot = self.slots.get(id.slot as usize)?;
        if slot.generation != id.generation || slot.key.is_none() {
            return None;
        }
        self.remove(slot.position as usize)
    }

    /// When the earliest timer is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.heap.first().map(|entry| entry.at)
    }

    /// Takes the earliest timer if it is due at `now`. Call until it returns `None`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next_timeout()? <= now {
            self.remove(0)
        } else {
            None
        }
    }

    fn remove(&mut self, position: usize) -> Option<K> {
        let removed = self.heap.swap_remove(position);
        if let Some(&moved) = self.heap.get(position) {
            if position > 0 && moved.is_before(&self.heap[(position - 1) / 2]) {
                self.sift_up(position, moved);
            } else {
                self.sift_down(position, moved);
            }
        }
        let slot = &mut self.slots[removed.slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(removed.slot);
        slot.key.take()
    }

    fn put(&mut self, position: usize, entry: Entry) {
        self.heap[position] = entry;
        self.slots[entry.slot as usize].position = position as u32;
    }

    /// Puts an entry at `position` or above, moving down those in its way.
    fn sift_up(&mut self, mut position: usize, entry: Entry) {
        while position > 0 {
            let parent = (position - 1) / 2;
            let above = self.heap[parent];
            if !entry.is_before(&above) {
                break;
            }
            self.put(position, above);
            position = parent;
        }
        self.put(position, entry);
    }

    /// Puts an entry at `position` or below, moving up those in its way.
    fn sift_down(&mut self, mut position: usize, entry: Entry) {
        loop {
            let left = 2 * position + 1;
            let Some(&(mut below)) = self.heap.get(left) else {
                break;
            };
            let mut child = left;
            if let Some(right) = self.heap.get(left + 1)
                && right.is_before(&below)
            {
                (child, below) = (left + 1, *right);
            }
            if !below.is_before(&entry) {
                break;
            }
            self.put(position, below);
            position = child;
        }
        self.put(position, entry);
    }
}

impl Entry {
    fn is_before(&self, other: &Entry) -> bool {
        (self.at, self.sequence) < (other.at, other.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Entropy;

    #[test]
    fn timers_of_one_instant_fire_in_the_order_set() {
        let mut timers = TimerQueue::new();
        for key in 0..10 {
            timers.set(Instant::from_secs(1), key);
        }
        let fired: Vec<_> = std::iter::from_fn(|| timers.pop_due(Instant::from_secs(1))).collect();
        assert_eq!(fired, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_stale_id_cancels_nothing() {
        let mut timers = TimerQueue::new();
        let first = timers.set(Instant::from_secs(1), 'a');
        assert_eq!(timers.cancel(first), Some('a'));
        timers.set(Instant::from_secs(2), 'b');
        assert_eq!(timers.cancel(first), None);
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn agrees_with_a_sorted_list_over_random_sets_and_cancels() {
        let mut entropy = Entropy::from_seed([7; 32]);
        let mut timers = TimerQueue::new();
        let mut model: Vec<(Instant, u64, TimerId)> = Vec::new();
        for step in 0..20_000_u64 {
            if entropy.below(3) > 0 || model.is_empty() {
                let at = Instant::from_nanos(entropy.below(1_000));
                let id = timers.set(at, step);
                model.push((at, step, id));
            } else {
                let (_, key, id) = model.swap_remove(entropy.below(model.len() as u64) as usize);
                assert_eq!(timers.cancel(id), Some(key));
            }
        }
        model.sort_by_key(|&(at, step, _)| (at, step));
        for (at, step, _) in model {
            assert_eq!(timers.next_timeout(), Some(at));
            assert_eq!(timers.pop_due(Instant::from_secs(1)), Some(step));
        }
        assert!(timers.is_empty());
    }
}
