//! A forwarder as one writes it first: a socket for each stream, and system calls for each packet.

use crate::{far, near, other};
use dataplane::Clock;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::net::UdpSocket;
use std::time::Duration;

const EVENTS: usize = 256;

pub fn run(streams: u16, lasts: Duration) {
    udp_batch::raise_descriptor_limit().expect("there are descriptors");
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("there is a descriptor");
    let sockets: Vec<UdpSocket> = (0..streams)
        .map(|stream| {
            let socket = UdpSocket::bind(near(stream)).expect("the port is free");
            socket.set_nonblocking(true).expect("it can");
            let data = epoll::EventData::new_u64(stream.into());
            epoll::add(&epoll, &socket, data, epoll::EventFlags::IN).expect("there is room");
            socket
        })
        .collect();
    println!("ready");
    let clock = Clock::start();
    let end = clock.now() + lasts;
    let pause = Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    let mut events = Vec::with_capacity(EVENTS);
    let mut buffer = [0; 2048];
    while clock.now() < end {
        events.clear();
        let _ = epoll::wait(&epoll, spare_capacity(&mut events), Some(&pause));
        for event in &events {
            let stream = event.data.u64() as u16;
            if let Ok((bytes, _)) = sockets[usize::from(stream)].recv_from(&mut buffer) {
                let to = other(stream);
                let _ = sockets[usize::from(to)].send_to(&buffer[..bytes], far(to));
            }
        }
    }
}
