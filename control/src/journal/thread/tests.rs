use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::journal::log::tests::Disk;
use crate::journal::{Journal, Kind, Replay};

fn put(id: u64, octets: usize) -> Vec<u8> {
    let mut journal = Journal::default();
    journal.put(Kind::Leg, id, &vec![7_u8; octets]);
    journal.take().expect("it was put")
}

fn all(ids: &[u64], octets: usize) -> Vec<u8> {
    let mut journal = Journal::default();
    journal.begin_all();
    for id in ids {
        journal.put(Kind::Leg, *id, &vec![7_u8; octets]);
    }
    journal.end_all();
    journal.take().expect("it was put")
}

fn spawn(disk: &Disk) -> (JournalThread, Receiver<()>) {
    let (log, ..) = Log::open(disk.clone()).expect("it opens");
    let (woken, wakes) = mpsc::channel();
    let wake = Box::new(move || {
        let _ = woken.send(());
    });
    let thread = JournalThread::spawn(log, "here".into(), wake).expect("a thread");
    (thread, wakes)
}

fn found(disk: &Disk) -> Vec<u64> {
    let (_, mut replay, damages): (_, Replay, _) = Log::open(disk.clone()).expect("it opens");
    assert_eq!(damages, []);
    let legs: Vec<(u64, Vec<u8>)> = replay.take(Kind::Leg);
    legs.into_iter().map(|(id, _)| id).collect()
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn what_is_submitted_is_on_the_disk_at_the_end() {
    let disk = Disk::default();
    let (mut thread, _wakes) = spawn(&disk);
    for id in 0..1000 {
        assert!(thread.submit(put(id, 10)));
    }
    drop(thread);
    assert_eq!(found(&disk).len(), 1000);
}

#[test]
fn while_the_disk_is_full_what_is_kept_waits_and_nothing_is_lost() {
    let disk = Disk::default();
    let (mut thread, _wakes) = spawn(&disk);
    assert!(thread.submit(put(1, 10)));
    disk.fill(true);
    for id in 2..100 {
        assert!(thread.submit(put(id, 1000)));
    }
    while thread.status().failures == 0 {
        std::thread::yield_now();
    }
    assert!(thread.status().state.starts_with("failing: "));
    disk.fill(false);
    while !thread.status().is_in_order() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(found(&disk).len(), 99);
}

#[test]
fn beyond_what_may_wait_everything_is_asked_for_when_there_is_room() {
    let disk = Disk::default();
    let (mut thread, wakes) = spawn(&disk);
    assert!(thread.submit(put(1, 10)));
    disk.fill(true);
    let mut id = 2;
    while thread.submit(put(id, 1 << 19)) && id < 300 {
        id += 1;
    }
    assert!(
        wakes.try_recv().is_err(),
        "nothing is asked for while the disk is full"
    );
    disk.fill(false);
    wakes
        .recv_timeout(PATIENCE)
        .expect("everything is asked for");
    assert!(thread.take_wants_all() && !thread.take_wants_all());
    assert!(thread.submit(all(&[5, 6], 100)));
    assert!(thread.submit(put(7, 100)));
    drop(thread);
    assert_eq!(found(&disk), [5, 6, 7]);
}

#[test]
fn what_is_gathered_is_written_together_and_void_before_a_statement() {
    let disk = Disk::default();
    let (mut thread, _wakes) = spawn(&disk);
    thread.gather(put(1, 10));
    thread.gather(put(2, 10));
    assert!(thread.flush() && thread.flush());
    thread.gather(put(3, 10));
    thread.gather(all(&[4], 10));
    thread.gather(put(5, 10));
    drop(thread);
    assert_eq!(found(&disk), [4, 5]);
}
