//! What the way between two nodes does to what goes over it.

use std::time::Duration;

use base::Entropy;

/// One direction between two nodes. Loss, duplication and reordering are for datagrams only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Least time from one end to the other.
    pub delay: Duration,
    /// Most time added to it, uniformly; datagrams overtake one another by it.
    pub jitter: Duration,
    /// Datagrams lost of 1000.
    pub loss_per_mille: u16,
    /// Datagrams delivered twice of 1000.
    pub duplicate_per_mille: u16,
    /// Datagrams of 1000 held back by up to [`Link::REORDER_DELAY`].
    pub reorder_per_mille: u16,
}

impl Link {
    /// No delay and no harm.
    pub const PERFECT: Link = Link {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss_per_mille: 0,
        duplicate_per_mille: 0,
        reorder_per_mille: 0,
    };

    /// A wide-area network on a bad day: 20 to 40 ms, 5 % lost, 2 % doubled, 5 % out of order.
    pub const BAD: Link = Link {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(20),
        loss_per_mille: 50,
        duplicate_per_mille: 20,
        reorder_per_mille: 50,
    };

    /// Most time a datagram is held back.
    pub const REORDER_DELAY: Duration = Duration::from_millis(200);

    /// Times from sending to each arrival of a datagram: none when lost, two when doubled.
    pub(crate) fn arrivals(&self, entropy: &mut Entropy) -> [Option<Duration>; 2] {
        if entropy.chance(self.loss_per_mille.into()) {
            return [None, None];
        }
        let first = self.datagram_delay(entropy);
        let twice = entropy.chance(self.duplicate_per_mille.into());
        [Some(first), twice.then(|| self.datagram_delay(entropy))]
    }

    fn datagram_delay(&self, entropy: &mut Entropy) -> Duration {
        let delay = self.stream_delay(entropy);
        if entropy.chance(self.reorder_per_mille.into()) {
            return delay + below(entropy, Link::REORDER_DELAY);
        }
        delay
    }

    /// Time from sending to arrival of octets of a stream.
    pub(crate) fn stream_delay(&self, entropy: &mut Entropy) -> Duration {
        self.delay + below(entropy, self.jitter)
    }
}

fn below(entropy: &mut Entropy, bound: Duration) -> Duration {
    let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(entropy.below(nanos))
}
