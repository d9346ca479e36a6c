//! A forwarder that does the least there is over AF_XDP: whatever comes goes back.

use crate::{NEAR, NEAR_PORTS_FIRST, STREAMS_MAX};
use af_xdp::{Attachment, Copying, Received, Served, Socket, Umem};
use dataplane::Clock;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use std::sync::Arc;
use std::time::Duration;

const RING: usize = 2048;
const BURST: usize = 64;

pub fn run(lasts: Duration) {
    let (umem, mut free) = Umem::new(4 * RING).expect("there is memory");
    let umem = Arc::new(umem);
    let near = af_xdp::interface_index("near").expect("the interface is there");
    let served = [Served {
        address: NEAR.into(),
        vlan: None,
        ports: NEAR_PORTS_FIRST..=NEAR_PORTS_FIRST + 2 * STREAMS_MAX,
    }];
    let attachment = Attachment::new(near, &served, None).expect("root asks");
    let socket = Socket::bind(&umem, (near, 0), RING as u32, Copying::Auto, None);
    let mut socket = socket.expect("the queue is free");
    for chunk in free.drain(..RING) {
        assert!(socket.fill(chunk).is_ok(), "the ring is empty");
    }
    socket.submit();
    attachment.direct(0, &socket).expect("the queue is ours");
    println!("ready");
    let clock = Clock::start();
    let end = clock.now() + lasts;
    while clock.now() < end {
        for _ in 0..BURST {
            if !turn(&mut socket, &mut free) {
                wait(&socket);
            }
        }
    }
}

/// Sends a burst back; false when nothing came.
fn turn(socket: &mut Socket, free: &mut Vec<&'static mut [u8]>) -> bool {
    free.extend(std::iter::from_fn(|| socket.complete()));
    let mut any = false;
    for _ in 0..BURST {
        let Some(Received {
            chunk,
            start,
            bytes,
        }) = socket.receive()
        else {
            break;
        };
        any = true;
        let Some(next) = free.pop() else {
            assert!(socket.fill(chunk).is_ok(), "a place was made");
            continue;
        };
        swap(&mut chunk[start..start + bytes]);
        assert!(socket.fill(next).is_ok(), "a place was made");
        if let Err(chunk) = socket.send(chunk, start, bytes) {
            free.push(chunk);
        }
    }
    socket.submit();
    // What the kernel does not take now it takes the next time.
    let _ = socket.flush();
    any
}

/// Swaps who sends and who receives; no checksum minds but that of UDP, which IPv4 can do without.
fn swap(frame: &mut [u8]) {
    if frame.len() < 42 {
        return;
    }
    for (first, second, bytes) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
        for octet in 0..bytes {
            frame.swap(first + octet, second + octet);
        }
    }
    frame[40..42].fill(0);
}

fn wait(socket: &Socket) {
    let pause = Timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    let _ = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&pause));
}
