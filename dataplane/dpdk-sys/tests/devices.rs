//! Devices that need no hardware, as drivers of DPDK make them.

#![cfg(feature = "native")]

use dpdk_sys::{
    Device, Eal, Error, HEADROOM_BYTES, MBUFS_MAX, MEMORY_BYTES, Mbuf, PRIVATE_BYTES, Pool, Queue,
};
use std::sync::Arc;

fn arguments() -> Vec<String> {
    let line = "--no-huge -m 256 --no-pci --no-telemetry --no-shconf --log-level=error";
    line.split(' ').map(String::from).collect()
}

fn eal() -> &'static Eal {
    dpdk_sys::start(&arguments()).unwrap_or_else(|fault| panic!("{fault}"))
}

fn pool(mbufs: u32) -> Arc<Pool> {
    Pool::new(eal(), mbufs, None).unwrap_or_else(|fault| panic!("{fault}"))
}

fn open(name: &str, pools: &[Arc<Pool>]) -> (Device, Vec<Queue>) {
    Device::open(eal(), name, pools, 64).unwrap_or_else(|fault| panic!("{name}: {fault}"))
}

/// How many packets can be had of a pool.
fn free(pool: &Pool) -> usize {
    let mut packets = Vec::new();
    while pool.allocate(&mut packets, 1) {}
    packets.len()
}

/// One packet of these bytes.
fn packet(pool: &Pool, bytes: &[u8]) -> Mbuf {
    let mut packets = Vec::new();
    assert!(pool.allocate(&mut packets, 1));
    let mut packet = packets.pop().unwrap();
    assert!(pool.write(&mut packet, bytes));
    packet
}

#[test]
fn it_starts_once() {
    eal();
    assert!(dpdk_sys::start(&arguments()).is_ok());
    let fault = dpdk_sys::start(&["--no-huge".to_owned()]).unwrap_err();
    assert!(matches!(fault, Error::Started), "{fault}");
}

#[test]
fn a_packet_and_its_memory_are_exchanged() {
    let pool = pool(8);
    let packet = packet(&pool, b"hello");
    assert_eq!(packet.bytes(), b"hello");
    assert!(!packet.is_chained());
    let (memory, start, length) = pool.open(packet).unwrap();
    assert_eq!((start, length), (PRIVATE_BYTES + HEADROOM_BYTES, 5));
    assert_eq!(&memory[start..start + length], b"hello");
    // What was before it can become part of it.
    memory[start - 3..start].copy_from_slice(b"oh ");
    let packet = pool.close(memory, start - 3, length + 3).unwrap();
    assert_eq!(packet.bytes(), b"oh hello");
    drop(packet);
    assert_eq!(free(&pool), 8);
}

#[test]
fn a_packet_begins_and_ends_within_its_buffer() {
    let pool = pool(8);
    let mut memory = pool.open(packet(&pool, b"")).unwrap().0;
    assert_eq!(memory.len(), MEMORY_BYTES);
    for (start, bytes) in [
        (PRIVATE_BYTES - 1, 1),
        (PRIVATE_BYTES, MEMORY_BYTES - PRIVATE_BYTES + 1),
        (MEMORY_BYTES, 1),
        (usize::MAX, 2),
    ] {
        memory = pool.close(memory, start, bytes).unwrap_err();
    }
    let whole = pool.close(memory, PRIVATE_BYTES, MEMORY_BYTES - PRIVATE_BYTES);
    assert_eq!(whole.unwrap().bytes().len(), MEMORY_BYTES - PRIVATE_BYTES);
    assert_eq!(free(&pool), 8);
}

#[test]
fn what_is_no_buffer_of_a_pool_is_refused() {
    let (pool, other) = (pool(8), pool(8));
    let memory = pool.open(packet(&pool, b"x")).unwrap().0;
    let memory = other.close(memory, PRIVATE_BYTES, 1).unwrap_err();
    let (part, _) = memory.split_at_mut(MEMORY_BYTES / 2);
    assert!(pool.close(part, PRIVATE_BYTES, 1).is_err());
    let heap = Box::leak(vec![0; MEMORY_BYTES].into_boxed_slice());
    assert!(pool.close(heap, PRIVATE_BYTES, 1).is_err());
    let mut packet = other.open(packet(&pool, b"x")).unwrap_err();
    assert!(!other.write(&mut packet, b"y") && !pool.write(&mut packet, &[0; 2049]));
    assert_eq!(packet.bytes(), b"x");
    assert!(pool.write(&mut packet, &[1; 2048]));
    drop(packet);
    // The one whose memory was cut is lost.
    assert_eq!(free(&pool), 7);
}

#[test]
fn an_exhausted_pool_gives_nothing_and_recovers() {
    let pool = pool(64);
    let mut packets = Vec::new();
    assert!(pool.allocate(&mut packets, 60));
    assert!(!pool.allocate(&mut packets, 5));
    assert_eq!(packets.len(), 60);
    packets.truncate(10);
    assert_eq!(free(&pool), 54);
}

#[test]
fn pools_have_their_limits() {
    for mbufs in [0, MBUFS_MAX + 1] {
        assert!(matches!(
            Pool::new(eal(), mbufs, None),
            Err(Error::Misuse(_))
        ));
    }
    // More than the memory there is.
    let fault = Pool::new(eal(), MBUFS_MAX, None).unwrap_err();
    assert!(matches!(fault, Error::Refused(..)), "{fault}");
}

#[test]
fn a_ring_brings_back_what_is_sent() {
    let pool = pool(512);
    let (device, mut queues) = open("net_ring_whole", &[Arc::clone(&pool)]);
    assert_eq!(device.driver(), "net_ring");
    let queue = &mut queues[0];
    let mut packets: Vec<Mbuf> = (0..100_u8).map(|it| packet(&pool, &[it; 60])).collect();
    assert_eq!(queue.send(&mut packets), 100);
    assert!(packets.is_empty());
    assert_eq!(queue.receive(&mut packets, 30), 30);
    while queue.receive(&mut packets, 64) > 0 {}
    assert_eq!(packets.len(), 100);
    for (number, packet) in packets.iter().enumerate() {
        assert_eq!(packet.bytes(), [number as u8; 60]);
    }
    let statistics = device.statistics();
    assert_eq!((statistics.sent, statistics.received), (100, 100));
    drop(packets);
    assert_eq!(free(&pool), 512);
}

#[test]
fn what_a_full_device_does_not_take_stays() {
    let pool = pool(4096);
    let (_device, mut queues) = open("net_ring_full", &[Arc::clone(&pool)]);
    let mut packets: Vec<Mbuf> = (0..3000).map(|_| packet(&pool, &[1; 60])).collect();
    let sent = queues[0].send(&mut packets);
    assert!(sent > 0 && sent < 3000, "{sent}");
    assert_eq!(packets.len(), 3000 - sent);
    drop(packets);
    let mut back = Vec::new();
    while queues[0].receive(&mut back, 256) > 0 {}
    assert_eq!(back.len(), sent);
    drop(back);
    assert_eq!(free(&pool), 4096);
}

#[test]
fn a_device_is_open_once_and_can_be_opened_again() {
    for _ in 0..3 {
        let (device, queues) = open("net_null_again", &[pool(256)]);
        let again = Device::open(eal(), "net_null_again", &[pool(256)], 64);
        assert!(matches!(again, Err(Error::InUse)));
        drop(device);
        // It runs until its queues are gone.
        let again = Device::open(eal(), "net_null_again", &[pool(256)], 64);
        assert!(matches!(again, Err(Error::InUse)));
        drop(queues);
    }
}

#[test]
fn a_device_that_cannot_be_had_says_why() {
    let pools = [pool(256)];
    let none = Device::open(eal(), "net_nothing0", &pools, 64);
    assert!(matches!(none, Err(Error::Refused(..))));
    assert!(matches!(
        Device::open(eal(), "a\0", &pools, 64),
        Err(Error::Misuse(_))
    ));
    assert!(matches!(
        Device::open(eal(), "net_null_none", &[], 64),
        Err(Error::Misuse(_))
    ));
    let two = [pool(256), pool(256)];
    let fault = Device::open(eal(), "net_af_packet_one,iface=lo,qpairs=1", &two, 64);
    match fault {
        Err(Error::TooFewQueues(1)) => {}
        // Without the right to open a packet socket it is not even found.
        Err(Error::Refused(..)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn queues_are_used_by_threads_that_take_part() {
    let pools = [pool(1024), pool(1024)];
    let (_device, queues) = open("net_null_threads", &pools);
    std::thread::scope(|scope| {
        for mut queue in queues {
            scope.spawn(move || {
                assert!(dpdk_sys::join_thread() && dpdk_sys::join_thread());
                let mut packets = Vec::new();
                for _ in 0..100 {
                    assert_eq!(queue.receive(&mut packets, 64), 64);
                    assert_eq!(queue.send(&mut packets), 64);
                }
            });
        }
    });
}

#[test]
fn starting_leaves_the_thread_its_processors() {
    let allowed = || {
        let about = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = about
            .lines()
            .find(|line| line.starts_with("Cpus_allowed_list"));
        line.unwrap().to_owned()
    };
    let before = allowed();
    eal();
    assert_eq!(allowed(), before);
}
