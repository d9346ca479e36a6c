//! Transactions that only wait for their end: most there are, for 64·T1 after the last word.

use std::collections::VecDeque;
use std::time::Duration;

use base::{Instant, SlabId};

/// Transactions of one side whose one timer is D, I, J, K, L or M.
///
/// There are few such times in force, and each starts when it is set: those of one time end in the
/// order they came, so a queue each does what a heap would do with more room.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    queues: Vec<(Duration, VecDeque<(Instant, SlabId)>)>,
    len: usize,
}

impl Lingering {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Lets `id` end `wait` after `now`.
    pub(super) fn add(&mut self, now: Instant, wait: Duration, id: SlabId) {
        let at = match self.queues.iter().position(|(time, _)| *time == wait) {
            Some(at) => at,
            None => {
                self.queues.push((wait, VecDeque::new()));
                self.queues.len() - 1
            }
        };
        self.queues[at].1.push_back((now + wait, id));
        self.len += 1;
    }

    /// When the next one ends.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.fronts().map(|(at, _)| at).min()
    }

    /// Takes the next one that ends, if it is due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<SlabId> {
        if self.next_timeout()? > now {
            return None;
        }
        self.pop_first()
    }

    /// Takes the next one that ends, due or not.
    pub(super) fn pop_first(&mut self) -> Option<SlabId> {
        let (_, queue) = self.fronts().min()?;
        let (_, id) = self.queues[queue].1.pop_front()?;
        self.len -= 1;
        Some(id)
    }

    /// When the first of each queue ends.
    fn fronts(&self) -> impl Iterator<Item = (Instant, usize)> {
        let queues = self.queues.iter().zip(0..);
        queues.filter_map(|((_, queue), at)| Some((queue.front()?.0, at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Slab;

    #[test]
    fn they_end_in_the_order_of_their_times() {
        let mut slab = Slab::new();
        let mut lingering = Lingering::default();
        let start = Instant::ZERO;
        let seconds = |n| Duration::from_secs(n);
        let ids: Vec<SlabId> = (0..4).map(|n| slab.insert(n)).collect();
        lingering.add(start, seconds(128), ids[0]);
        lingering.add(start + seconds(1), seconds(32), ids[1]);
        lingering.add(start + seconds(2), seconds(128), ids[2]);
        lingering.add(start + seconds(2), seconds(32), ids[3]);
        assert_eq!(lingering.len(), 4);
        assert_eq!(lingering.next_timeout(), Some(start + seconds(33)));
        assert!(lingering.pop_due(start + seconds(32)).is_none());
        let mut ended = Vec::new();
        for now in [33, 34, 128, 130] {
            while let Some(id) = lingering.pop_due(start + seconds(now)) {
                ended.push((now, slab.get(id).copied()));
            }
        }
        assert_eq!(
            ended,
            [(33, Some(1)), (34, Some(3)), (128, Some(0)), (130, Some(2))]
        );
        assert_eq!((lingering.len(), lingering.next_timeout()), (0, None));
    }
}
