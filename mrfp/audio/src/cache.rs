//! Clips in memory: decoded once for each rate, forgotten when there is no room for more.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Decoded clips of sources by their keys and stamps.
///
/// A stamp says which version of a source it is: another stamp, and the clips of the old one are
/// forgotten. What is forgotten goes on to be played by those who have it.
#[derive(Debug)]
pub(crate) struct Cache<K, S> {
    entries: HashMap<K, Entry<S>>,
    octets_max: usize,
    octets: usize,
    /// Counts uses.
    turn: u64,
}

#[derive(Debug)]
struct Entry<S> {
    stamp: S,
    /// The file itself, where getting it again is dear.
    file: Option<Arc<[u8]>>,
    clips: Vec<(u32, Arc<[i16]>)>,
    used: u64,
}

impl<S> Entry<S> {
    fn octets(&self) -> usize {
        let file = self.file.as_ref().map_or(0, |file| file.len());
        let clips = self.clips.iter().map(|(_, clip)| clip.len() * 2);
        ENTRY_OCTETS + file + clips.sum::<usize>()
    }
}

impl<K: Clone + Eq + Hash, S: Clone + PartialEq> Cache<K, S> {
    pub(crate) fn new(octets_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            octets_max,
            octets: 0,
            turn: 0,
        }
    }

    /// The stamp of what is there, and its file if that was kept.
    pub(crate) fn source(&mut self, key: &K) -> Option<(S, Option<Arc<[u8]>>)> {
        let entry = self.entries.get(key)?;
        Some((entry.stamp.clone(), entry.file.clone()))
    }

    /// A clip of exactly this version.
    pub(crate) fn clip(&mut self, key: &K, stamp: &S, rate: u32) -> Option<Arc<[i16]>> {
        self.turn += 1;
        let entry = self.entries.get_mut(key)?;
        if entry.stamp != *stamp {
            return None;
        }
        entry.used = self.turn;
        let (_, clip) = entry.clips.iter().find(|(each, _)| *each == rate)?;
        Some(Arc::clone(clip))
    }

    /// The same version has another stamp.
    pub(crate) fn restamp(&mut self, key: &K, stamp: S) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.stamp = stamp;
        }
    }

    /// Keeps a file as the version `stamp`, without clips.
    pub(crate) fn keep_file(&mut self, key: &K, stamp: S, file: Arc<[u8]>) {
        self.replace(key, stamp, Some(file));
        self.make_room();
    }

    /// Keeps a clip of the version `stamp`.
    pub(crate) fn keep_clip(&mut self, key: &K, stamp: &S, rate: u32, clip: &Arc<[i16]>) {
        let is_known = self
            .entries
            .get(key)
            .is_some_and(|entry| entry.stamp == *stamp);
        if !is_known {
            self.replace(key, stamp.clone(), None);
        }
        if let Some(entry) = self.entries.get_mut(key)
            && entry.clips.iter().all(|(each, _)| *each != rate)
        {
            self.octets += clip.len() * 2;
            entry.clips.push((rate, Arc::clone(clip)));
        }
        self.make_room();
    }

    pub(crate) fn forget(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.octets -= entry.octets();
        }
    }

    fn replace(&mut self, key: &K, stamp: S, file: Option<Arc<[u8]>>) {
        self.forget(key);
        self.turn += 1;
        let entry = Entry {
            stamp,
            file,
            clips: Vec::new(),
            used: self.turn,
        };
        self.octets += entry.octets();
        self.entries.insert(key.clone(), entry);
    }

    /// Forgets what was not used for longest.
    fn make_room(&mut self) {
        while self.octets > self.octets_max || self.entries.len() > ENTRIES_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.forget(&key);
        }
    }
}

/// Most sources.
const ENTRIES_MAX: usize = 8192;
/// What an entry costs besides its samples, about.
const ENTRY_OCTETS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(length: usize) -> Arc<[i16]> {
        vec![0; length].into()
    }

    #[test]
    fn a_clip_is_there_for_its_version_and_rate_only() {
        let mut cache = Cache::new(1 << 20);
        cache.keep_clip(&"a", &1, 8000, &clip(10));
        assert!(cache.clip(&"a", &1, 8000).is_some());
        assert!(cache.clip(&"a", &1, 16_000).is_none());
        assert!(cache.clip(&"a", &2, 8000).is_none());
        cache.keep_clip(&"a", &2, 16_000, &clip(20));
        assert!(cache.clip(&"a", &1, 8000).is_none());
        assert!(cache.clip(&"a", &2, 16_000).is_some());
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let mut cache = Cache::new(10 * (ENTRY_OCTETS + 2000));
        for key in 0..10 {
            cache.keep_clip(&key, &(), 8000, &clip(1000));
        }
        assert!(cache.clip(&0, &(), 8000).is_some());
        cache.keep_clip(&10, &(), 8000, &clip(1000));
        assert!(cache.clip(&1, &(), 8000).is_none());
        assert!(cache.clip(&0, &(), 8000).is_some());
        assert!(cache.octets <= cache.octets_max);
    }

    #[test]
    fn a_clip_larger_than_everything_is_not_kept() {
        let mut cache = Cache::new(1000);
        cache.keep_clip(&"a", &(), 8000, &clip(1000));
        assert!(cache.clip(&"a", &(), 8000).is_none());
        assert_eq!((cache.octets, cache.entries.len()), (0, 0));
    }

    #[test]
    fn octets_are_counted_exactly() {
        let mut cache = Cache::new(1 << 20);
        cache.keep_file(&"a", 1, vec![0; 50].into());
        cache.keep_clip(&"a", &1, 8000, &clip(10));
        cache.keep_clip(&"a", &1, 8000, &clip(10));
        assert_eq!(cache.octets, ENTRY_OCTETS + 70);
        cache.restamp(&"a", 2);
        assert_eq!(cache.source(&"a").unwrap().0, 2);
        assert!(cache.clip(&"a", &2, 8000).is_some());
        cache.forget(&"a");
        assert_eq!(cache.octets, 0);
    }
}
