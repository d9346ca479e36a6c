use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use base::Entropy;

use super::*;
use crate::journal::{Journal, Kind};

const SMALL: Sizes = Sizes {
    segment_min: 300,
    total_min: 900,
};

/// A disk: what was written, and what of it would outlive a power failure.
#[derive(Clone, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<u32, Contents>,
    /// Files of which it is durable that they exist.
    durable: BTreeMap<u32, Contents>,
    entropy: Option<Entropy>,
    /// Operations till the process is killed.
    left: Option<usize>,
    operations: usize,
    /// Writing and syncing fail, as on a full disk.
    is_full: bool,
    /// Syncing fails, as on a broken one.
    is_broken: bool,
}

#[derive(Clone, Default)]
struct Contents {
    octets: Vec<u8>,
    synced: usize,
}

impl Disk {
    /// The process is killed in its n-th operation from now, of which any part may be done.
    pub fn kill_in(&self, operations: usize, seed: u64) {
        let mut state = self.state.lock().expect("no panic");
        state.left = Some(operations);
        state.operations = 0;
        state.entropy = Some(Entropy::from_u64(seed));
    }

    /// No more room, or room again.
    pub fn fill(&self, is_full: bool) {
        self.state.lock().expect("no panic").is_full = is_full;
    }

    /// Nothing can be made durable any more, or again.
    pub fn break_sync(&self, is_broken: bool) {
        self.state.lock().expect("no panic").is_broken = is_broken;
    }

    /// The process starts again.
    pub fn restart(&self) {
        self.state.lock().expect("no panic").left = None;
    }

    /// The power fails: what was not synced may be there, in part or not at all.
    pub fn fail_power(&self, seed: u64) {
        let mut entropy = Entropy::from_u64(seed);
        let mut state = self.state.lock().expect("no panic");
        let names: BTreeSet<u32> = state
            .files
            .keys()
            .chain(state.durable.keys())
            .copied()
            .collect();
        let mut left = BTreeMap::new();
        for name in names {
            let (file, durable) = (state.files.get(&name), state.durable.contains_key(&name));
            // Made or removed, and the directory not synced.
            if (file.is_none() || !durable) && entropy.next_u64().is_multiple_of(2) {
                continue;
            }
            let Some(file) = file.or(state.durable.get(&name)) else {
                continue;
            };
            let unsynced = file.octets.len() - file.synced;
            let more = entropy.next_u64() as usize % (unsynced + 1);
            let octets = file.octets[..file.synced + more].to_vec();
            let synced = octets.len();
            left.insert(name, Contents { octets, synced });
        }
        state.files.clone_from(&left);
        state.durable = left;
        state.left = None;
    }

    /// Operations since it was last said when to be killed.
    pub fn operations(&self) -> usize {
        self.state.lock().expect("no panic").operations
    }

    /// Octets of all files.
    pub fn octets(&self) -> usize {
        let state = self.state.lock().expect("no panic");
        state.files.values().map(|file| file.octets.len()).sum()
    }

    /// Changes the octets of a file.
    pub fn change(&self, file: u32, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock().expect("no panic");
        change(&mut state.files.get_mut(&file).expect("it is there").octets);
    }

    fn act<T>(&self, act: impl FnOnce(&mut State, bool) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock().expect("no panic");
        state.operations += 1;
        let is_last = match &mut state.left {
            Some(0) => return Err(io::Error::other("killed before")),
            Some(left) => {
                *left -= 1;
                *left == 0
            }
            None => false,
        };
        let done = act(&mut state, is_last)?;
        if is_last {
            Err(io::Error::other("killed"))
        } else {
            Ok(done)
        }
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Files for Disk {
    fn list(&mut self) -> io::Result<Vec<u32>> {
        self.act(|state, _| Ok(state.files.keys().copied().collect()))
    }

    fn read(&mut self, file: u32) -> io::Result<Vec<u8>> {
        self.act(|state, _| Ok(state.files.get(&file).ok_or_else(missing)?.octets.clone()))
    }

    fn create(&mut self, file: u32) -> io::Result<()> {
        self.act(|state, _| {
            if state.is_full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.files.insert(file, Contents::default());
            Ok(())
        })
    }

    fn append(&mut self, file: u32, octets: &[u8]) -> io::Result<()> {
        self.act(|state, is_last| {
            let part = state.entropy.as_mut().map_or(0, Entropy::next_u64) as usize;
            let written = match is_last || state.is_full {
                true => part % (octets.len() + 1),
                false => octets.len(),
            };
            let contents = state.files.get_mut(&file).ok_or_else(missing)?;
            contents.octets.extend(&octets[..written]);
            match state.is_full {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        })
    }

    fn truncate(&mut self, file: u32, length: u64) -> io::Result<()> {
        self.act(|state, _| {
            let contents = state.files.get_mut(&file).ok_or_else(missing)?;
            contents.octets.truncate(length as usize);
            contents.synced = contents.synced.min(length as usize);
            Ok(())
        })
    }

    fn sync(&mut self, file: u32) -> io::Result<()> {
        self.act(|state, _| {
            if state.is_broken {
                return Err(io::Error::other("the disk is broken"));
            }
            let contents = state.files.get_mut(&file).ok_or_else(missing)?;
            contents.synced = contents.octets.len();
            Ok(())
        })
    }

    fn remove(&mut self, file: u32) -> io::Result<()> {
        self.act(|state, _| state.files.remove(&file).map(drop).ok_or_else(missing))
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        self.act(|state, _| {
            state.durable.clone_from(&state.files);
            Ok(())
        })
    }
}

/// What is to happen to a log.
#[derive(Clone, Debug)]
enum Step {
    Put(u64, Vec<u8>),
    Remove(u64),
    /// Everything anew: these and nothing else.
    All(Vec<(u64, Vec<u8>)>),
}

type Values = BTreeMap<u64, Vec<u8>>;

fn steps(entropy: &mut Entropy, count: usize) -> Vec<Step> {
    let value = |entropy: &mut Entropy| {
        let length = entropy.next_u64() % 120;
        let octet = entropy.next_u64() as u8;
        vec![octet; length as usize]
    };
    let step = |_| match entropy.next_u64() % 40 {
        0 => {
            let keys = 0..entropy.next_u64() % 12;
            Step::All(keys.map(|key| (key, value(entropy))).collect())
        }
        1..12 => Step::Remove(entropy.next_u64() % 12),
        _ => Step::Put(entropy.next_u64() % 12, value(entropy)),
    };
    (0..count).map(step).collect()
}

fn record(step: &Step) -> Vec<u8> {
    let mut journal = Journal::default();
    match step {
        Step::Put(key, value) => journal.put(Kind::Leg, *key, value),
        Step::Remove(key) => journal.remove(Kind::Leg, *key),
        Step::All(all) => {
            journal.begin_all();
            for (key, value) in all {
                journal.put(Kind::Leg, *key, value);
            }
            journal.end_all();
        }
    }
    journal.take().expect("something was recorded")
}

fn apply(values: &mut Values, step: &Step) {
    match step {
        Step::Put(key, value) => drop(values.insert(*key, value.clone())),
        Step::Remove(key) => drop(values.remove(key)),
        Step::All(all) => *values = all.iter().cloned().collect(),
    }
}

/// What may be found when a step was cut off.
fn cut(values: &Values, step: &Step) -> Vec<Values> {
    let mut states = vec![values.clone()];
    if let Step::All(all) = step {
        let mut partly = values.clone();
        for (key, value) in all {
            partly.insert(*key, value.clone());
            states.push(partly.clone());
        }
    }
    let mut after = values.clone();
    apply(&mut after, step);
    states.push(after);
    states
}

fn open(disk: &Disk) -> (Log<Disk>, Values, Vec<Damage>) {
    let (log, mut replay, damages) = Log::open_with(disk.clone(), SMALL).expect("it opens");
    (log, replay.take(Kind::Leg).into_iter().collect(), damages)
}

/// Runs steps until the process is killed; returns what may be found then: after a kill, and where
/// the power fails at once as well.
fn run(log: &mut Log<Disk>, from: Values, steps: &[Step], sync_every: usize) -> Found {
    let mut found = Found {
        killed: vec![from.clone()],
        unpowered: vec![from.clone()],
        ran: 0,
    };
    let mut values = from;
    for (index, step) in steps.iter().enumerate() {
        let cut = cut(&values, step);
        found.unpowered.extend(cut.iter().cloned());
        if log.append(&record(step)).is_err() {
            found.killed = cut;
            return found;
        }
        apply(&mut values, step);
        found.killed = vec![values.clone()];
        if index % sync_every == 0 {
            if log.sync().is_err() {
                return found;
            }
            found.unpowered = vec![values.clone()];
        }
        if log.is_too_large() && log.compact().is_err() {
            return found;
        }
        found.ran += 1;
    }
    found
}

struct Found {
    killed: Vec<Values>,
    unpowered: Vec<Values>,
    ran: usize,
}

#[test]
fn a_process_killed_in_any_operation_loses_nothing() {
    let mut entropy = Entropy::from_u64(7);
    let steps = steps(&mut entropy, 100);
    let disk = Disk::default();
    disk.kill_in(usize::MAX, 1);
    let (mut log, values, _) = open(&disk);
    run(&mut log, values, &steps, 3);
    let operations = disk.operations();
    for kill in 1..=operations {
        let disk = Disk::default();
        disk.kill_in(kill, kill as u64);
        let Ok((mut log, ..)) = Log::open_with(disk.clone(), SMALL) else {
            disk.restart();
            assert_eq!(
                open(&disk).1,
                Values::new(),
                "killed in operation {kill}, the first time"
            );
            continue;
        };
        let found = run(&mut log, Values::new(), &steps, 3);
        disk.restart();
        let (mut log, values, damages) = open(&disk);
        assert!(
            found.killed.contains(&values),
            "killed in operation {kill}: {values:?}"
        );
        assert!(damages.iter().all(|damage| damage.is_tail), "{damages:?}");
        // And goes on as if nothing had been.
        run(&mut log, values, &steps[found.ran.min(steps.len())..], 3);
        let (_, values, damages) = open(&disk);
        let mut all = Values::new();
        steps.iter().for_each(|step| apply(&mut all, step));
        assert_eq!(
            (values, damages),
            (all, vec![]),
            "killed in operation {kill}"
        );
    }
}

#[test]
fn a_power_failure_in_any_operation_loses_only_what_was_not_synced() {
    let mut entropy = Entropy::from_u64(8);
    let steps = steps(&mut entropy, 100);
    for kill in 1..600 {
        let disk = Disk::default();
        disk.kill_in(kill, kill as u64);
        let Ok((mut log, ..)) = Log::open_with(disk.clone(), SMALL) else {
            disk.fail_power(kill as u64);
            assert_eq!(open(&disk).1, Values::new());
            continue;
        };
        let found = run(&mut log, Values::new(), &steps, 5);
        disk.fail_power(kill as u64);
        let (_, values, damages) = open(&disk);
        assert!(
            found.unpowered.contains(&values),
            "failed in operation {kill}: {values:?}"
        );
        assert!(damages.iter().all(|damage| damage.is_tail), "{damages:?}");
        if found.ran == steps.len() {
            return;
        }
    }
    panic!("more operations than were tried");
}

#[test]
fn what_is_no_longer_in_use_is_given_up() {
    let disk = Disk::default();
    let (mut log, mut values, _) = open(&disk);
    let steps = steps(&mut Entropy::from_u64(9), 5000);
    for step in &steps {
        log.append(&record(step)).expect("it is written");
        apply(&mut values, step);
        while log.is_too_large() {
            log.compact().expect("it is written");
        }
        let mut status = JournalStatus::default();
        log.describe(&mut status);
        assert_eq!(status.records, values.len());
        assert_eq!(status.octets, disk.octets() as u64);
        let limit = SMALL.total_min.max(2 * status.live_octets);
        assert!(status.octets <= limit, "{status:?}");
    }
    assert_eq!(open(&disk).1, values);
}

#[test]
fn damage_in_an_older_segment_is_told_and_the_others_are_read() {
    let disk = Disk::default();
    let (mut log, ..) = open(&disk);
    for key in 0..12 {
        log.append(&record(&Step::Put(key, vec![7; 100])))
            .expect("it is written");
    }
    // Two records and some to a segment; in the first the second is hit.
    disk.change(1, |octets| octets[HEADER + 150] ^= 4);
    let (_, values, damages) = open(&disk);
    let octets = (disk.state.lock().expect("no panic").files[&1].octets.len() - HEADER) / 2;
    let damage = Damage {
        segment: 1,
        octets: octets as u64,
        is_tail: false,
    };
    assert_eq!(damages, [damage]);
    assert_eq!(damage.file_name(), "0000000001.journal");
    let keys: Vec<u64> = values.keys().copied().collect();
    assert_eq!(keys, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
}

#[test]
fn the_segments_of_another_version_and_other_files_are_refused() {
    let disk = Disk::default();
    drop(open(&disk));
    disk.change(1, |octets| octets[8] = 9);
    let fault = Log::open_with(disk.clone(), SMALL)
        .err()
        .expect("refused")
        .to_string();
    assert!(
        fault.contains("0000000001.journal has version 9"),
        "{fault}"
    );
    disk.change(1, |octets| octets[0] = 9);
    let fault = Log::open_with(disk, SMALL)
        .err()
        .expect("refused")
        .to_string();
    assert!(fault.contains("move it away"), "{fault}");
}

#[test]
fn a_write_that_fails_leaves_no_trace() {
    let disk = Disk::default();
    let (mut log, ..) = open(&disk);
    disk.kill_in(usize::MAX, 3);
    log.append(&record(&Step::Put(1, vec![1; 50])))
        .expect("it is written");
    disk.fill(true);
    for _ in 0..20 {
        let failed = log.append(&record(&Step::Put(1, vec![2; 50])));
        assert!(failed.is_err());
    }
    disk.fill(false);
    log.append(&record(&Step::Put(2, vec![3; 50])))
        .expect("it is written");
    let (_, values, damages) = open(&disk);
    assert_eq!(values, Values::from([(1, vec![1; 50]), (2, vec![3; 50])]));
    assert_eq!(damages, []);
}

#[test]
fn the_system_s_files_do_the_same() {
    let path = std::env::temp_dir().join(format!("strowger-journal-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let directory = || files::Directory::open(&path).expect("a directory");
    let steps = steps(&mut Entropy::from_u64(10), 400);
    let mut values = Values::new();
    for life in steps.chunks(80) {
        let (mut log, mut replay, damages) = Log::open_with(directory(), SMALL).expect("it opens");
        let found: Values = replay.take(Kind::Leg).into_iter().collect();
        assert_eq!((found, damages), (values.clone(), vec![]));
        for step in life {
            log.append(&record(step)).expect("it is written");
            apply(&mut values, step);
            if log.is_too_large() {
                log.compact().expect("it is written");
            }
        }
        log.sync().expect("it is synced");
    }
    std::fs::write(path.join("note.txt"), "left alone").expect("it is written");
    let (log, ..) = Log::open_with(directory(), SMALL).expect("it opens");
    assert_eq!(log.index.len(), values.len());
    std::fs::remove_dir_all(&path).expect("it was there");
}
