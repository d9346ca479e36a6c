//! Storage whose slots are used again, under ids that notice it.

/// Values in slots; an id names one value and never the next one in its slot.
///
/// Slots come in blocks that stay where they are: there is nothing to copy when more are needed,
/// and never twice the room of what was held at most.
#[derive(Debug)]
pub struct Slab<T> {
    blocks: Vec<Box<[Slot<T>]>>,
    free: Vec<u32>,
}

/// Names a value of a [`Slab`]; stale after its removal, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlabId {
    slot: u32,
    generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

const BLOCK: usize = 256;

impl SlabId {
    /// The id as a number to be given back by others.
    pub const fn token(self) -> u64 {
        (self.slot as u64) << 32 | self.generation as u64
    }

    /// The id of a number; one that was never made names nothing, or what it was made for.
    pub const fn from_token(token: u64) -> Self {
        Self {
            slot: (token >> 32) as u32,
            generation: token as u32,
        }
    }

    const fn place(self) -> (usize, usize) {
        (self.slot as usize / BLOCK, self.slot as usize % BLOCK)
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slab<T> {
    /// Nothing.
    pub const fn new() -> Self {
        Self {
            blocks: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Values held.
    pub fn len(&self) -> usize {
        self.blocks.len() * BLOCK - self.free.len()
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a value.
    pub fn insert(&mut self, value: T) -> SlabId {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.grow(),
        };
        let mut id = SlabId {
            slot,
            generation: 0,
        };
        let (block, at) = id.place();
        let entry = &mut self.blocks[block][at];
        entry.value = Some(value);
        id.generation = entry.generation;
        id
    }

    /// A value.
    pub fn get(&self, id: SlabId) -> Option<&T> {
        let (block, at) = id.place();
        let slot = self.blocks.get(block)?.get(at)?;
        let value = slot.value.as_ref();
        value.filter(|_| slot.generation == id.generation)
    }

    /// A value, to change it.
    pub fn get_mut(&mut self, id: SlabId) -> Option<&mut T> {
        let (block, at) = id.place();
        let slot = self.blocks.get_mut(block)?.get_mut(at)?;
        let value = slot.value.as_mut();
        value.filter(|_| slot.generation == id.generation)
    }

    /// Gives a value back.
    pub fn remove(&mut self, id: SlabId) -> Option<T> {
        let (block, at) = id.place();
        let slot = self.blocks.get_mut(block)?.get_mut(at)?;
        if slot.generation != id.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        Some(value)
    }

    /// All values, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (SlabId, &T)> {
        let slots = self.blocks.iter().flatten().zip(0..);
        slots.filter_map(|(entry, slot)| {
            let generation = entry.generation;
            Some((SlabId { slot, generation }, entry.value.as_ref()?))
        })
    }

    /// Adds a block and takes its first slot.
    fn grow(&mut self) -> u32 {
        let empty = || Slot {
            generation: 0,
            value: None,
        };
        let first = (self.blocks.len() * BLOCK) as u32;
        self.blocks
            .push(std::iter::repeat_with(empty).take(BLOCK).collect());
        self.free.extend((first + 1..first + BLOCK as u32).rev());
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_finds_nothing_in_a_used_slot() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(second.slot, first.slot);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(second, &'b')]);
        assert_eq!(slab.len(), 1);
        assert_eq!(SlabId::from_token(second.token()), second);
        assert_eq!(slab.get(SlabId::from_token(u64::MAX)), None);
    }

    #[test]
    fn it_grows_by_blocks_and_uses_slots_again() {
        let mut slab = Slab::new();
        let ids: Vec<SlabId> = (0..3 * BLOCK).map(|n| slab.insert(n)).collect();
        assert_eq!((slab.len(), slab.blocks.len()), (3 * BLOCK, 3));
        assert!(ids.iter().zip(0..).all(|(&id, n)| slab.get(id) == Some(&n)));
        for &id in &ids[BLOCK..] {
            slab.remove(id);
        }
        let again: Vec<SlabId> = (0..2 * BLOCK).map(|n| slab.insert(n)).collect();
        assert_eq!((slab.len(), slab.blocks.len()), (3 * BLOCK, 3));
        assert!(ids[BLOCK..].iter().all(|&id| slab.get(id).is_none()));
        assert!(
            again
                .iter()
                .zip(0..)
                .all(|(&id, n)| slab.get(id) == Some(&n))
        );
    }
}
