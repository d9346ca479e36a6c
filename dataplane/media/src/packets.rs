//! Payloads that wait to be played, in the order of their times.

/// Packets that may wait: 640 ms of 10 ms each.
pub(crate) const PACKETS_MAX: usize = 64;

/// A packet that waits, or a frame of one.
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

/// What became of a packet, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stored {
    /// Its payload is longer than any.
    TooLong,
    /// What comes after it has been played already.
    Late,
    /// It waits already.
    Twice,
    /// It waits, and the oldest has made room for it.
    Overflow,
    /// It waits.
    Waits,
}

/// Payloads that wait, at most [`PACKETS_MAX`], in a log of fixed size.
///
/// They are in the order of their timestamps, and of their sequence numbers where a sender's time
/// stands still: almost always what comes is the last. Payloads lie in the log as they came: what
/// is overwritten was of a packet that waited longer than any should. O(1) for each packet but for
/// the move of [`PACKETS_MAX`] octets at most, nothing allocated after `new`.
#[derive(Clone, Debug)]
pub(crate) struct Packets {
    slots: [Waiting; PACKETS_MAX],
    /// Slots that are taken, in order, and how many these are; then those that are free.
    order: [u8; PACKETS_MAX],
    len: usize,
    /// Timestamp and sequence number of what was taken out last.
    past: Option<(i64, u64)>,
    log: Box<[u8]>,
    /// Octets written since the beginning.
    written: u64,
}

const _: () = assert!(PACKETS_MAX <= u8::MAX as usize);

impl Packets {
    /// With room for so many octets of payloads.
    pub fn new(log_bytes: usize) -> Self {
        Self {
            slots: [Waiting::default(); PACKETS_MAX],
            order: std::array::from_fn(|slot| slot as u8),
            len: 0,
            past: None,
            log: vec![0; log_bytes].into_boxed_slice(),
            written: 0,
        }
    }

    /// Forgets all: what comes is of another time base.
    pub fn clear(&mut self) {
        self.len = 0;
        self.past = None;
    }

    /// Puts a packet in its place.
    pub fn insert(&mut self, sequence: u64, timestamp: i64, format: u8, payload: &[u8]) -> Stored {
        self.put(sequence, timestamp, format, payload, false)
    }

    /// Puts a frame of a packet in its place: others may have the same time, and be the same.
    pub fn insert_part(
        &mut self,
        sequence: u64,
        timestamp: i64,
        format: u8,
        payload: &[u8],
    ) -> Stored {
        self.put(sequence, timestamp, format, payload, true)
    }

    fn put(
        &mut self,
        sequence: u64,
        timestamp: i64,
        format: u8,
        payload: &[u8],
        is_part: bool,
    ) -> Stored {
        // Half of the log at most: it then never overwrites itself by skipping its end.
        if payload.len() > self.log.len() / 2 || payload.len() > usize::from(u16::MAX) {
            return Stored::TooLong;
        }
        let key = (timestamp, sequence);
        let is_same = |other: (i64, u64)| other == key || is_part && other.0 == timestamp;
        if self.past.is_some_and(|past| key < past || is_same(past)) {
            return Stored::Late;
        }
        let key_of = |slot: u8| {
            let waiting = &self.slots[usize::from(slot)];
            (waiting.timestamp, waiting.sequence)
        };
        let taken = &self.order[..self.len];
        let before = taken.iter().rev().take_while(|&&slot| key_of(slot) > key);
        let mut place = self.len - before.count();
        let neighbours = &taken[place.saturating_sub(1)..self.len.min(place + 1)];
        if neighbours.iter().any(|&slot| is_same(key_of(slot))) {
            return Stored::Twice;
        }
        let mut stored = Stored::Waits;
        if self.len == PACKETS_MAX {
            if place == 0 {
                return Stored::Late;
            }
            stored = Stored::Overflow;
            self.drop_first();
            place -= 1;
        }
        let slot = self.order[self.len];
        if place < self.len {
            self.order.copy_within(place..self.len, place + 1);
        }
        self.order[place] = slot;
        self.len += 1;
        self.slots[usize::from(slot)] = Waiting {
            sequence,
            timestamp,
            format,
            at: self.write(payload),
            len: payload.len() as u16,
        };
        stored
    }

    /// Puts a payload, which is shorter than the log, at its end.
    fn write(&mut self, payload: &[u8]) -> u64 {
        let offset = (self.written % self.log.len() as u64) as usize;
        if offset + payload.len() > self.log.len() {
            self.written += (self.log.len() - offset) as u64;
        }
        let at = self.written;
        let offset = (at % self.log.len() as u64) as usize;
        self.log[offset..offset + payload.len()].copy_from_slice(payload);
        self.written += payload.len() as u64;
        at
    }

    /// The first that waits.
    pub fn first(&mut self) -> Option<Waiting> {
        while self.len > 0 {
            let waiting = self.slots[usize::from(self.order[0])];
            if self.written - waiting.at <= self.log.len() as u64 {
                return Some(waiting);
            }
            // Its payload was overwritten.
            self.drop_first();
        }
        None
    }

    fn drop_first(&mut self) {
        let slot = self.order[0];
        self.len -= 1;
        if self.len > 0 {
            self.order.copy_within(1..=self.len, 0);
            self.order[self.len] = slot;
        }
    }

    /// Whether nothing is missing before it.
    pub fn is_next(&self, waiting: &Waiting) -> bool {
        self.past
            .is_some_and(|(_, sequence)| waiting.sequence <= sequence + 1)
    }

    /// Takes out the first, which [`first`](Self::first) has shown: it and all before are past.
    pub fn take(&mut self, waiting: &Waiting) -> &[u8] {
        if self.len > 0 {
            self.drop_first();
        }
        self.past = Some((waiting.timestamp, waiting.sequence));
        self.payload(waiting)
    }

    /// The payload of what [`first`](Self::first) has shown.
    pub fn payload(&self, waiting: &Waiting) -> &[u8] {
        let offset = (waiting.at % self.log.len() as u64) as usize;
        &self.log[offset..offset + usize::from(waiting.len)]
    }
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

    /// A packet of this number, 10 long, at its time.
    fn insert(packets: &mut Packets, sequence: u64, payload: &[u8]) -> Stored {
        packets.insert(sequence, 10 * sequence as i64, 0, payload)
    }

    #[test]
    fn packets_come_out_in_order_and_once() {
        let mut packets = Packets::new(1000);
        for (sequence, stored) in [
            (103, Stored::Waits),
            (100, Stored::Waits),
            (105, Stored::Waits),
            (101, Stored::Waits),
            (103, Stored::Twice),
            (100, Stored::Twice),
            (105, Stored::Twice),
        ] {
            let found = insert(&mut packets, sequence, &[sequence as u8; 10]);
            assert_eq!(found, stored, "{sequence}");
        }
        let expected: Vec<_> = [100, 101, 103, 105].map(|n| (n, vec![n as u8; 10])).into();
        assert_eq!(drain(&mut packets), expected);
        assert_eq!(insert(&mut packets, 104, &[1]), Stored::Late);
        assert_eq!(insert(&mut packets, 105, &[1]), Stored::Late);
        assert_eq!(insert(&mut packets, 106, &[1]), Stored::Waits);
        let first = packets.first().unwrap();
        assert!(packets.is_next(&first));
        packets.take(&first);
        insert(&mut packets, 108, &[1]);
        let first = packets.first().unwrap();
        assert!(!packets.is_next(&first));
    }

    #[test]
    fn where_time_stands_still_numbers_are_the_order() {
        let mut packets = Packets::new(1000);
        for sequence in [7, 5, 6, 5] {
            packets.insert(sequence, 3, 0, &[sequence as u8]);
        }
        let expected: Vec<_> = [5, 6, 7].map(|n| (n, vec![n as u8])).into();
        assert_eq!(drain(&mut packets), expected);
    }

    #[test]
    fn frames_of_the_same_time_are_the_same() {
        let mut packets = Packets::new(1000);
        for (sequence, timestamp, stored) in [
            (1, 160, Stored::Waits),
            (1, 480, Stored::Waits),
            (2, 320, Stored::Waits),
            (2, 480, Stored::Twice),
            (3, 160, Stored::Twice),
        ] {
            let found = packets.insert_part(sequence, timestamp, 0, &[sequence as u8]);
            assert_eq!(found, stored, "{sequence} {timestamp}");
        }
        let first = packets.first().unwrap();
        packets.take(&first);
        assert_eq!(packets.insert_part(9, 160, 0, &[9]), Stored::Late);
        assert_eq!(drain(&mut packets), [(2, vec![2]), (1, vec![1])]);
    }

    #[test]
    fn what_waits_too_long_makes_room() {
        let mut packets = Packets::new(100_000);
        for sequence in 1..65 {
            assert_eq!(insert(&mut packets, sequence, &[0]), Stored::Waits);
        }
        assert_eq!(insert(&mut packets, 67, &[0]), Stored::Overflow);
        assert_eq!(packets.first().unwrap().sequence, 2);
        assert_eq!(insert(&mut packets, 66, &[0]), Stored::Overflow);
        assert_eq!(insert(&mut packets, 0, &[0]), Stored::Late);
        let numbers: Vec<u64> = drain(&mut packets).iter().map(|it| it.0).collect();
        let expected: Vec<u64> = (3..65).chain([66, 67]).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn payloads_that_were_overwritten_are_gone() {
        let mut packets = Packets::new(1000);
        for sequence in 0..20 {
            insert(&mut packets, sequence, &[sequence as u8; 90]);
        }
        let all = drain(&mut packets);
        assert!(all.len() >= 10 && all.len() <= 11, "{}", all.len());
        for (sequence, payload) in all {
            assert_eq!(payload, [sequence as u8; 90]);
        }
        assert_eq!(insert(&mut packets, 30, &[0; 501]), Stored::TooLong);
        assert_eq!(insert(&mut packets, 31, &[]), Stored::Waits);
        assert_eq!(drain(&mut packets), [(31, vec![])]);
    }
}
