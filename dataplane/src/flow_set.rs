//! A set of flows.

use crate::FlowId;

/// Some of the flows that there are: a bit for each, so that what is asked for every packet stays
/// in the nearest cache.
#[derive(Debug)]
pub(crate) struct FlowSet {
    words: Box<[u64]>,
    flows: usize,
}

impl FlowSet {
    /// None of so many flows.
    pub(crate) fn new(flows: usize) -> Self {
        Self {
            words: vec![0; flows.div_ceil(64)].into(),
            flows,
        }
    }

    /// True for one that is in it; a flow that there is not is in none.
    #[inline]
    pub(crate) fn contains(&self, flow: FlowId) -> bool {
        let (word, bit) = place(flow);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds one; without effect for a flow that there is not.
    pub(crate) fn insert(&mut self, flow: FlowId) {
        let (word, bit) = place(flow);
        if flow.index() < self.flows {
            self.words[word] |= bit;
        }
    }

    /// Takes one out: true if it was in it.
    pub(crate) fn remove(&mut self, flow: FlowId) -> bool {
        let was_in = self.contains(flow);
        let (word, bit) = place(flow);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
        was_in
    }
}

#[inline]
fn place(flow: FlowId) -> (usize, u64) {
    (flow.index() / 64, 1 << (flow.index() % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flow_is_in_it_or_not() {
        let mut set = FlowSet::new(130);
        let flows = [0, 1, 63, 64, 127, 128, 129].map(FlowId);
        for flow in flows {
            assert!(!set.contains(flow));
            set.insert(flow);
            assert!(set.contains(flow));
        }
        assert!(!set.contains(FlowId(2)) && !set.contains(FlowId(65)));
        for flow in flows {
            assert!(set.remove(flow) && !set.remove(flow));
            assert!(!set.contains(flow));
        }
    }

    #[test]
    fn a_flow_that_there_is_not_is_in_none() {
        let mut set = FlowSet::new(130);
        for flow in [130, 191, 192, u32::MAX].map(FlowId) {
            set.insert(flow);
            assert!(!set.contains(flow) && !set.remove(flow));
        }
    }
}
