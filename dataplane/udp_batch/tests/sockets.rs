//! The batches on real sockets of the loopback interface.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use udp_batch::{BATCH_MAX, Epoll, EventFd, Events, ReceiveBatch, SendBatch, Socket};

const BOTH_FAMILIES: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

fn bound(local: &str) -> (Socket, SocketAddr) {
    let socket = Socket::bind(local.parse().unwrap()).unwrap();
    let address = socket.local_address().unwrap();
    (socket, address)
}

/// Waits until the socket has something to read, at most a second.
fn await_readable(socket: &Socket) -> bool {
    let epoll = Epoll::new().unwrap();
    epoll.add(socket, 0).unwrap();
    let mut events = Events::new(1);
    epoll
        .wait(&mut events, Some(Duration::from_secs(1)))
        .unwrap()
        == 1
}

#[test]
fn a_batch_arrives_in_order_with_its_source_in_both_families() {
    for local in BOTH_FAMILIES {
        let (from, source) = bound(local);
        let (to, destination) = bound(local);
        let datagrams: Vec<(Vec<u8>, SocketAddr)> = (0..20_u8)
            .map(|n| (vec![n; usize::from(n)], destination))
            .collect();
        let sent = SendBatch::new(64).send(&from, &datagrams);
        assert_eq!(sent.sent, 20);
        assert!(sent.error.is_none());
        assert!(await_readable(&to));

        let mut batch = ReceiveBatch::new(32);
        let mut buffers = vec![[0_u8; 64]; 32];
        assert_eq!(batch.receive(&to, &mut buffers).unwrap(), 20);
        for (index, (payload, _)) in datagrams.iter().enumerate() {
            let message = batch.message(index);
            assert_eq!(&buffers[index][..message.bytes], payload);
            assert_eq!((message.source, message.truncated), (source, false));
        }
    }
}

#[test]
fn marks_are_sent_and_told_where_asked_for() {
    for local in BOTH_FAMILIES {
        let (from, _) = bound(local);
        let (to, destination) = bound(local);
        let mut told = Vec::new();
        for (mark, wanted) in [
            (184, false),
            (184, true),
            (0, true),
            (40, true),
            (40, false),
        ] {
            to.receive_traffic_class(wanted).unwrap();
            from.set_traffic_class(mark).unwrap();
            assert_eq!(SendBatch::new(1).send(&from, &[("x", destination)]).sent, 1);
            assert!(await_readable(&to));
            let mut batch = ReceiveBatch::new(1);
            assert_eq!(batch.receive(&to, &mut [[0_u8; 4]]).unwrap(), 1);
            told.push(batch.message(0).traffic_class);
        }
        assert_eq!(told, [0, 184, 0, 40, 0]);
    }
}

#[test]
fn a_datagram_longer_than_its_buffer_is_marked() {
    let (from, _) = bound("127.0.0.1:0");
    let (to, destination) = bound("127.0.0.1:0");
    let datagrams = [(vec![1; 100], destination), (vec![2; 10], destination)];
    assert_eq!(SendBatch::new(2).send(&from, &datagrams).sent, 2);
    assert!(await_readable(&to));
    let mut batch = ReceiveBatch::new(2);
    let mut buffers = [[0_u8; 10]; 2];
    assert_eq!(batch.receive(&to, &mut buffers).unwrap(), 2);
    assert!(batch.message(0).truncated);
    assert_eq!(batch.message(0).bytes, 10);
    assert!(!batch.message(1).truncated);
    assert_eq!(buffers[1], [2; 10]);
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    let (from, _) = bound("127.0.0.1:0");
    let (to, destination) = bound("127.0.0.1:0");
    assert_eq!(SendBatch::new(1).send(&from, &[("", destination)]).sent, 1);
    assert!(await_readable(&to));
    let mut batch = ReceiveBatch::new(1);
    assert_eq!(batch.receive(&to, &mut [[0_u8; 1]]).unwrap(), 1);
    assert_eq!(batch.message(0).bytes, 0);
}

#[test]
fn nothing_waiting_is_no_error() {
    let (socket, _) = bound("127.0.0.1:0");
    let mut batch = ReceiveBatch::new(4);
    assert_eq!(batch.receive(&socket, &mut [[0_u8; 4]; 4]).unwrap(), 0);
    let none: [[u8; 4]; 0] = [];
    assert_eq!(batch.receive(&socket, &mut none.clone()).unwrap(), 0);
    assert_eq!(
        SendBatch::new(4)
            .send::<(&str, SocketAddr)>(&socket, &[])
            .sent,
        0
    );
}

#[test]
#[should_panic(expected = "datagram 0 of 0")]
fn a_message_that_was_not_received_cannot_be_read() {
    ReceiveBatch::new(4).message(0);
}

#[test]
fn batches_are_bounded() {
    let (from, _) = bound("127.0.0.1:0");
    let (to, destination) = bound("127.0.0.1:0");
    to.set_receive_buffer_bytes(1 << 20).unwrap();
    let datagrams = vec![("x", destination); BATCH_MAX + 10];
    assert_eq!(
        SendBatch::new(usize::MAX).send(&from, &datagrams).sent,
        BATCH_MAX
    );
    assert!(await_readable(&to));
    let mut buffers = vec![[0_u8; 1]; BATCH_MAX + 10];
    let received = ReceiveBatch::new(0).receive(&to, &mut buffers).unwrap();
    assert_eq!(received, 1);
    let received = ReceiveBatch::new(3).receive(&to, &mut buffers).unwrap();
    assert_eq!(received, 3);
}

/// A destination that nobody listens on answers with an ICMP error, which a connected socket gets
/// as the result of its next call. Neither receiving nor sending may fail for it.
#[test]
fn icmp_errors_do_not_stop_a_socket() {
    for local in BOTH_FAMILIES {
        let (socket, address) = bound(local);
        let (peer, peer_address) = bound(local);
        let nobody = {
            let (gone, address) = bound(local);
            drop(gone);
            address
        };
        let handle = socket2::SockRef::from(&socket);
        let refused = |_: ()| {
            handle.connect(&nobody.into()).unwrap();
            assert_eq!(handle.send(b"anybody?").unwrap(), 8);
            handle.connect(&peer_address.into()).unwrap();
        };

        refused(());
        let mut send = SendBatch::new(4);
        let sent = send.send(&socket, &[("one", peer_address), ("two", peer_address)]);
        assert_eq!((sent.sent, sent.error.is_none()), (2, true));

        refused(());
        let answer = SendBatch::new(1).send(&peer, &[("answer", address)]);
        assert_eq!(answer.sent, 1);
        let mut receive = ReceiveBatch::new(4);
        let mut buffers = [[0_u8; 16]; 4];
        assert_eq!(receive.receive(&socket, &mut buffers).unwrap(), 1);
        assert_eq!(&buffers[0][..receive.message(0).bytes], b"answer");
        assert_eq!(send.icmp_errors() + receive.icmp_errors(), 2);
    }
}

#[test]
fn what_cannot_be_sent_is_told_apart_from_what_was() {
    let (socket, destination) = bound("127.0.0.1:0");
    let too_long = vec![0; 70_000];
    let datagrams: [(&[u8], SocketAddr); 3] = [
        (b"one", destination),
        (&too_long, destination),
        (b"three", destination),
    ];
    let mut batch = SendBatch::new(8);
    // The system sends what precedes the fault, and only the next call meets it.
    let sent = batch.send(&socket, &datagrams);
    assert_eq!(sent.sent, 1);
    assert_eq!(sent.error.unwrap().raw_os_error(), Some(libc::EMSGSIZE));
    assert_eq!(batch.send(&socket, &datagrams[2..]).sent, 1);

    let other_family = batch.send(&socket, &[("x", "[2001:db8::1]:9".parse().unwrap())]);
    assert_eq!(other_family.sent, 0);
    assert!(other_family.error.is_some());
}

#[test]
fn a_port_is_bound_once() {
    let (_socket, address) = bound("127.0.0.1:0");
    assert_eq!(
        Socket::bind(address).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
}

#[test]
fn ipv6_sockets_leave_the_ipv4_port_alone() {
    let Ok(six) = Socket::bind("[::]:0".parse().unwrap()) else {
        panic!("this test needs IPv6 on the loopback interface");
    };
    let port = six.local_address().unwrap().port();
    assert!(Socket::bind(SocketAddr::from(([127, 0, 0, 1], port))).is_ok());
}

#[test]
fn ready_sockets_are_named_and_stay_ready_until_read() {
    let epoll = Epoll::new().unwrap();
    let (from, _) = bound("127.0.0.1:0");
    let sockets: Vec<(Socket, SocketAddr)> = (0..200).map(|_| bound("127.0.0.1:0")).collect();
    for (token, (socket, _)) in sockets.iter().enumerate() {
        epoll.add(socket, token as u64).unwrap();
    }
    let mut events = Events::new(64);
    assert_eq!(epoll.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    assert_eq!(events.token(0), None);

    let mut send = SendBatch::new(BATCH_MAX);
    let datagrams: Vec<_> = sockets.iter().map(|(_, address)| ("x", *address)).collect();
    assert_eq!(send.send(&from, &datagrams).sent, 200);
    // Bounded waits without reading come round to every socket.
    let mut seen = [false; 200];
    for _ in 0..8 {
        let count = epoll
            .wait(&mut events, Some(Duration::from_secs(1)))
            .unwrap();
        assert!(count <= 64);
        for token in events.tokens() {
            seen[token as usize] = true;
        }
    }
    assert!(seen.iter().all(|&seen| seen));

    let (socket, _) = &sockets[0];
    epoll.remove(socket).unwrap();
    assert!(epoll.remove(socket).is_err());
}

#[test]
fn a_wait_ends_by_an_event_from_another_thread() {
    let epoll = Epoll::new().unwrap();
    let event = Arc::new(EventFd::new().unwrap());
    epoll.add(&event.as_fd(), 9).unwrap();
    let mut events = Events::new(4);
    let waking = {
        let event = Arc::clone(&event);
        std::thread::spawn(move || {
            event.signal();
            event.signal();
        })
    };
    epoll.wait(&mut events, None).unwrap();
    waking.join().unwrap();
    assert_eq!(events.tokens().collect::<Vec<_>>(), [9]);
    event.clear();
    assert_eq!(epoll.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    event.clear();
}

#[test]
fn a_wait_does_not_end_before_its_time() {
    let epoll = Epoll::new().unwrap();
    let start = Instant::now();
    let timeout = Duration::from_micros(1_200);
    epoll.wait(&mut Events::new(1), Some(timeout)).unwrap();
    assert!(start.elapsed() >= timeout);
}

#[test]
fn batches_move_between_threads() {
    let (from, _) = bound("127.0.0.1:0");
    let (to, destination) = bound("127.0.0.1:0");
    let mut send = SendBatch::new(1);
    assert_eq!(send.send(&from, &[("a", destination)]).sent, 1);
    let mut receive = ReceiveBatch::new(1);
    std::thread::spawn(move || {
        assert_eq!(send.send(&from, &[("b", destination)]).sent, 1);
        assert!(await_readable(&to));
        assert_eq!(receive.receive(&to, &mut [[0_u8; 1]]).unwrap(), 1);
    })
    .join()
    .unwrap();
}

#[test]
fn datagrams_received_one_by_one_tell_the_same() {
    for local in BOTH_FAMILIES {
        let (from, source) = bound(local);
        let (to, destination) = bound(local);
        let datagrams: Vec<_> = [3, 0, 40]
            .map(|octets| (vec![7; octets], destination))
            .into();
        for wants_marks in [false, true] {
            to.receive_traffic_class(wants_marks).unwrap();
            from.set_traffic_class(184).unwrap();
            assert_eq!(SendBatch::new(4).send(&from, &datagrams).sent, 3);
            assert!(await_readable(&to));
            let mut batch = ReceiveBatch::new(1);
            let mut buffer = [0_u8; 16];
            for (octets, truncated) in [(3, false), (0, false), (16, true)] {
                let message = batch.receive_one(&to, &mut buffer).unwrap().unwrap();
                assert_eq!((message.bytes, message.truncated), (octets, truncated));
                assert_eq!(message.source, source);
                assert_eq!(message.traffic_class, if wants_marks { 184 } else { 0 });
            }
            assert_eq!(batch.receive_one(&to, &mut buffer).unwrap(), None);
        }
    }
}

#[test]
fn what_is_given_as_one_arrives_as_it_was() {
    // Runs of one length, one of which ends with a shorter one, too few, empty ones, too long ones,
    // and two destinations in turn.
    let lengths = [
        vec![172; 16],
        vec![172, 172, 172, 100, 172, 172, 172],
        vec![60, 60, 0, 60, 60, 60, 0, 0, 0],
        vec![1400, 1400, 1400, 1400],
        vec![1232; 60],
    ];
    for local in BOTH_FAMILIES {
        let (from, source) = bound(local);
        let receivers = [bound(local), bound(local)];
        for (lengths, turns) in lengths
            .iter()
            .flat_map(|lengths| [(lengths, 1), (lengths, 5)])
        {
            let mut sent: [Vec<Vec<u8>>; 2] = [vec![], vec![]];
            let mut datagrams = Vec::new();
            for (number, &length) in lengths.iter().enumerate() {
                let payload = vec![number as u8; length];
                let receiver = number / turns % 2 * usize::from(turns > 1);
                sent[receiver].push(payload.clone());
                datagrams.push((payload, receivers[receiver].1));
            }
            let mut batch = SendBatch::new(64);
            batch.set_segmenting(true);
            let outcome = batch.send(&from, &datagrams);
            assert!(outcome.error.is_none());
            assert_eq!(outcome.sent, datagrams.len());
            for ((socket, _), sent) in receivers.iter().zip(&sent) {
                for payload in sent {
                    assert!(await_readable(socket));
                    let mut buffer = [0_u8; 1500];
                    let message = ReceiveBatch::new(1).receive_one(socket, &mut buffer);
                    let message = message.unwrap().unwrap();
                    assert_eq!(&buffer[..message.bytes], payload);
                    assert_eq!(message.source, source);
                }
            }
        }
    }
}

#[test]
fn what_no_datagram_can_hold_is_refused_and_the_next_one_leaves() {
    let (from, _) = bound("127.0.0.1:0");
    let (to, destination) = bound("127.0.0.1:0");
    from.send_whole().unwrap();
    let mut batch = SendBatch::new(1);
    for (octets, is_sent) in [(65_507, true), (65_508, false), (9, true)] {
        let sent = batch.send(&from, &[(vec![1; octets], destination)]);
        assert_eq!((sent.sent == 1, sent.error.is_none()), (is_sent, is_sent));
    }
    let mut buffer = vec![0; 65_536];
    for octets in [65_507, 9] {
        assert!(await_readable(&to));
        let message = ReceiveBatch::new(1).receive_one(&to, &mut buffer);
        assert_eq!(message.unwrap().unwrap().bytes, octets);
    }
}
