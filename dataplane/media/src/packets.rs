//! Payloads that wait to be played, in the order of their sequence numbers.

/// Packets that may wait: 640 ms of 10 ms each.
pub(crate) const PACKETS_MAX: usize = 64;

/// A packet that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Sequence number, extended.
    pub sequence: u64,
    /// Timestamp, extended.
    pub timestamp: i64,
    /// Which of the formats it is of.
    pub format: u8,
    /// Where its payload begins in the log, counted since the beginning, and its octets.
    at: u64,
    len: u16,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It waits.
    Waits,
    /// It waits, and older ones have made room for it.
    Overflow,
    /// What came after it has been played already.
    Late,
    /// It waits already.
    Twice,
    /// Its payload is longer than any.
    TooLong,
}

/// Payloads that wait, at most [`PACKETS_MAX`], in a log of fixed size.
///
/// Slots are found by sequence number, payloads lie in the log as they came: what is overwritten
/// was of a packet that waited longer than any should. O(1) for each packet, nothing allocated
/// after `new`.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    slots: [Waiting; PACKETS_MAX],
    /// Bit n: slot n is taken.
    taken: u64,
    /// Sequence numbers before this are past.
    next: u64,
    log: Box<[u8]>,
    /// Octets written since the beginning.
    written: u64,
}

const _: () = assert!(PACKETS_MAX == u64::BITS as usize);

impl Packets {
    /// With room for so many octets of payloads.
    pub fn new(log_bytes: usize) -> Self {
        Self {
            slots: [Waiting::default(); PACKETS_MAX],
            taken: 0,
            next: 0,
            log: vec![0; log_bytes].into_boxed_slice(),
            written: 0,
        }
    }

    /// Forgets all; the next is the first of a new sequence.
    pub fn clear(&mut self, next: u64) {
        self.taken = 0;
        self.next = next;
    }

    /// Puts a packet in its place.
    pub fn insert(&mut self, sequence: u64, timestamp: i64, format: u8, payload: &[u8]) -> Stored {
        // Half of the log at most: it then never overwrites itself by skipping its end.
        if payload.len() > self.log.len() / 2 || payload.len() > usize::from(u16::MAX) {
            return Stored::TooLong;
        }
        if sequence < self.next {
            return Stored::Late;
        }
        let mut stored = Stored::Waits;
        if sequence - self.next >= PACKETS_MAX as u64 {
            stored = Stored::Overflow;
            self.skip_to(sequence + 1 - PACKETS_MAX as u64);
        }
        let index = slot_of(sequence);
        if self.taken & 1 << index != 0 {
            return Stored::Twice;
        }
        let offset = (self.written % self.log.len() as u64) as usize;
        if offset + payload.len() > self.log.len() {
            self.written += (self.log.len() - offset) as u64;
        }
        let at = self.written;
        let offset = (at % self.log.len() as u64) as usize;
        self.log[offset..offset + payload.len()].copy_from_slice(payload);
        self.written += payload.len() as u64;
        self.taken |= 1 << index;
        self.slots[index] = Waiting {
            sequence,
            timestamp,
            format,
            at,
            len: payload.len() as u16,
        };
        stored
    }

    /// The first that waits.
    pub fn first(&mut self) -> Option<Waiting> {
        while self.taken != 0 {
            let from = slot_of(self.next) as u32;
            let ahead = self.taken.rotate_right(from).trailing_zeros();
            let index = (from + ahead) as usize % PACKETS_MAX;
            let waiting = self.slots[index];
            if self.written - waiting.at <= self.log.len() as u64 {
                return Some(waiting);
            }
            // Its payload was overwritten.
            self.taken &= !(1 << index);
        }
        None
    }

    /// Whether nothing is missing before it.
    pub fn is_next(&self, waiting: &Waiting) -> bool {
        waiting.sequence == self.next
    }

    /// Takes out the first, which [`first`](Self::first) has shown: it and all before are past.
    pub fn take(&mut self, waiting: &Waiting) -> &[u8] {
        self.taken &= !(1 << slot_of(waiting.sequence));
        self.next = waiting.sequence + 1;
        self.payload(waiting)
    }

    /// The payload of what [`first`](Self::first) has shown.
    pub fn payload(&self, waiting: &Waiting) -> &[u8] {
        let offset = (waiting.at % self.log.len() as u64) as usize;
        &self.log[offset..offset + usize::from(waiting.len)]
    }

    /// Drops all before a sequence number.
    fn skip_to(&mut self, sequence: u64) {
        if sequence - self.next >= PACKETS_MAX as u64 {
            self.taken = 0;
        } else {
            for past in self.next..sequence {
                self.taken &= !(1 << slot_of(past));
            }
        }
        self.next = sequence;
    }
}

fn slot_of(sequence: u64) -> usize {
    (sequence % PACKETS_MAX as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(packets: &mut Packets) -> Vec<(u64, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(first) = packets.first() {
            all.push((first.sequence, packets.take(&first).to_vec()));
        }
        all
    }

    #[test]
    fn packets_come_out_in_order_and_once() {
        let mut packets = Packets::new(1000);
        packets.clear(100);
        for sequence in [103, 100, 105, 101, 103] {
            let stored = packets.insert(sequence, 0, 0, &[sequence as u8; 10]);
            let is_last = packets.taken.count_ones() == 4;
            assert_eq!(stored == Stored::Twice, is_last && sequence == 103);
        }
        let expected: Vec<_> = [100, 101, 103, 105].map(|n| (n, vec![n as u8; 10])).into();
        assert_eq!(drain(&mut packets), expected);
        assert_eq!(packets.insert(104, 0, 0, &[1]), Stored::Late);
        assert_eq!(packets.insert(106, 0, 0, &[1]), Stored::Waits);
    }

    #[test]
    fn what_waits_too_long_makes_room() {
        let mut packets = Packets::new(100_000);
        for sequence in 0..64 {
            assert_eq!(packets.insert(sequence, 0, 0, &[0]), Stored::Waits);
        }
        assert_eq!(packets.insert(66, 0, 0, &[0]), Stored::Overflow);
        assert_eq!(packets.first().unwrap().sequence, 3);
        assert_eq!(packets.insert(5000, 0, 0, &[0]), Stored::Overflow);
        assert_eq!(drain(&mut packets), [(5000, vec![0])]);
    }

    #[test]
    fn payloads_that_were_overwritten_are_gone() {
        let mut packets = Packets::new(1000);
        for sequence in 0..20 {
            packets.insert(sequence, 0, 0, &[sequence as u8; 90]);
        }
        let all = drain(&mut packets);
        assert!(all.len() >= 10 && all.len() <= 11, "{}", all.len());
        for (sequence, payload) in all {
            assert_eq!(payload, [sequence as u8; 90]);
        }
        assert_eq!(packets.insert(30, 0, 0, &[0; 501]), Stored::TooLong);
        assert_eq!(packets.insert(31, 0, 0, &[]), Stored::Waits);
        assert_eq!(drain(&mut packets), [(31, vec![])]);
    }
}
