//! Datagrams that a way has no room for: they leave in fragments, those of IPv4 although they are
//! to leave whole otherwise, and those that were given as one.
//!
//! Needs root, iproute2 and network namespaces.

mod namespace;

use namespace::{Pair, Way};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use udp_batch::{SendBatch, Socket};

/// A socket as workers have it, and its other end.
fn ends(pair: &Pair, way: Way) -> (Socket, UdpSocket) {
    let (near, other) = pair.addresses(way);
    let socket = Socket::bind(SocketAddr::new(near, 0)).expect("a port");
    if way == Way::V4 {
        socket.send_whole().expect("IPv4 can");
    }
    let far = pair.in_far(|| UdpSocket::bind((other, 0)).expect("a port"));
    far.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time");
    (socket, far)
}

/// All of these lengths arrive, in their order.
fn assert_pass(batch: &mut SendBatch, socket: &Socket, far: &UdpSocket, lengths: &[usize]) {
    let to = far.local_addr().expect("it is bound");
    let datagrams = lengths.iter().enumerate();
    let datagrams: Vec<(Vec<u8>, SocketAddr)> = datagrams
        .map(|(number, length)| (vec![number as u8; *length], to))
        .collect();
    let sent = batch.send(socket, &datagrams);
    assert!(sent.error.is_none(), "{sent:?}");
    assert_eq!(sent.sent, lengths.len());
    let mut buffer = [0; 2048];
    for (payload, _) in &datagrams {
        let length = far.recv(&mut buffer).expect("it arrives");
        assert_eq!(buffer[..length], payload[..]);
    }
}

#[test]
fn what_is_too_long_for_the_way_leaves_in_fragments() {
    for way in [Way::V4, Way::V6] {
        let pair = Pair::new(1);
        pair.enter_near();
        let (socket, far) = ends(&pair, way);
        for is_segmenting in [false, true] {
            let mut batch = SendBatch::new(16);
            batch.set_segmenting(is_segmenting);
            for mtu in [3000, 1280, 3000] {
                pair.ip_near(&format!("link set near mtu {mtu}"));
                let long = [1400; 5];
                let mixed = [
                    172, 172, 172, 1400, 172, 172, 172, 60, 1232, 1232, 1232, 1300,
                ];
                assert_pass(&mut batch, &socket, &far, &long);
                assert_pass(&mut batch, &socket, &far, &mixed);
            }
        }
    }
}

/// Only IPv4 has ways for less than what may be given as one.
#[test]
fn what_is_given_as_one_passes_a_way_that_has_no_room_for_a_part_of_it() {
    let pair = Pair::new(1);
    pair.enter_near();
    let (socket, far) = ends(&pair, Way::V4);
    let mut batch = SendBatch::new(16);
    batch.set_segmenting(true);
    for mtu in [3000, 600, 3000, 600] {
        pair.ip_near(&format!("link set near mtu {mtu}"));
        for length in [172, 560, 1000, 1232] {
            assert_pass(&mut batch, &socket, &far, &[length; 12]);
        }
    }
}
