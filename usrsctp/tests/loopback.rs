//! Associations between endpoints of one process, in UDP on loopback.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use usrsctp::{
    AssociationId, Carrier, Config, Endpoint, Event, POLL_AFTER, PathState, Reason, SendError,
    Timing,
};

const PATIENCE: Duration = Duration::from_secs(20);
const LEN_MAX: usize = 65_531;
const PPID: u32 = 7;

/// One UDP port for the process, as the library wants it.
fn carrier() -> Carrier {
    static PORT: OnceLock<u16> = OnceLock::new();
    let port = *PORT.get_or_init(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.local_addr().unwrap().port()
    });
    Carrier::Udp {
        local: port,
        peer: port,
    }
}

fn next_port() -> u16 {
    static NEXT: Mutex<u16> = Mutex::new(2944);
    let mut next = NEXT.lock().unwrap();
    *next += 1;
    *next
}

struct Side {
    endpoint: Endpoint,
    port: u16,
    woken: Receiver<()>,
}

impl Side {
    fn open(listens: bool, addresses: &[&str]) -> Self {
        let port = next_port();
        let config = Config {
            addresses: addresses.iter().map(|each| each.parse().unwrap()).collect(),
            port,
            carrier: carrier(),
            listens,
            streams: 10,
            message_len_max: LEN_MAX,
            timing: Timing::SIGNALLING,
        };
        let (sender, woken) = channel();
        let wake = move || {
            let _ = sender.send(());
        };
        let endpoint = Endpoint::open(&config, wake).unwrap();
        Side {
            endpoint,
            port,
            woken,
        }
    }

    fn at(&self, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), self.port)
    }

    /// The next event but those of paths, which come when they like.
    fn next(&mut self) -> Event {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.endpoint.poll_event() {
                Some(Event::Path { .. }) => {}
                Some(event) => return event,
                None => {
                    let _ = self.woken.recv_timeout(POLL_AFTER);
                }
            }
        }
        panic!("nothing happens");
    }

    fn up(&mut self) -> (AssociationId, Vec<SocketAddr>, bool) {
        match self.next() {
            Event::Up {
                association,
                peers,
                is_ours,
            } => (association, peers, is_ours),
            other => panic!("{other:?}"),
        }
    }

    fn message(&mut self) -> (u16, u32, Vec<u8>) {
        match self.next() {
            Event::Message {
                stream,
                ppid,
                message,
                ..
            } => (stream, ppid, message),
            other => panic!("{other:?}"),
        }
    }

    fn reason(&mut self) -> Reason {
        match self.next() {
            Event::Down { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }
}

/// A server, a client, and what each calls their association.
fn pair() -> (Side, Side, AssociationId, AssociationId) {
    let mut server = Side::open(true, &["127.0.0.1"]);
    let mut client = Side::open(false, &["127.0.0.1"]);
    let asked = client.endpoint.connect(&[server.at("127.0.0.1")]).unwrap();
    let (of_client, peers, is_ours) = client.up();
    assert_eq!((of_client, is_ours), (asked, true));
    assert_eq!(peers, [server.at("127.0.0.1")]);
    let (of_server, peers, is_ours) = server.up();
    assert!(!is_ours);
    assert_eq!(peers, [client.at("127.0.0.1")]);
    (server, client, of_server, of_client)
}

#[test]
fn messages_keep_their_bounds_streams_and_identifiers() {
    let (mut server, mut client, of_server, of_client) = pair();
    let messages = [(0, b"one".to_vec()), (3, vec![5; 5000]), (9, vec![0])];
    for (stream, message) in &messages {
        client
            .endpoint
            .send(of_client, *stream, PPID, message)
            .unwrap();
    }
    for (stream, message) in messages {
        assert_eq!(server.message(), (stream, PPID, message));
    }
    server.endpoint.send(of_server, 200, 46, b"back").unwrap();
    // There are not so many streams.
    assert_eq!(client.message(), (0, 46, b"back".to_vec()));
}

#[test]
fn the_longest_message_passes_and_a_longer_one_does_not() {
    let (mut server, mut client, _, of_client) = pair();
    let longest: Vec<u8> = (0..LEN_MAX).map(|at| at as u8).collect();
    client.endpoint.send(of_client, 0, PPID, &longest).unwrap();
    assert!(server.message().2 == longest);
    for length in [0, LEN_MAX + 1] {
        let sent = client.endpoint.send(of_client, 0, PPID, &vec![1; length]);
        assert_eq!(sent, Err(SendError::Length));
    }
}

#[test]
fn who_sends_too_much_at_once_is_cut_off() {
    let mut server = Side::open(true, &["127.0.0.1"]);
    let port = next_port();
    let config = Config {
        addresses: vec!["127.0.0.1".parse().unwrap()],
        port,
        carrier: carrier(),
        listens: false,
        streams: 1,
        message_len_max: 200_000,
        timing: Timing::SIGNALLING,
    };
    let (sender, woken) = channel();
    let wake = move || {
        let _ = sender.send(());
    };
    let endpoint = Endpoint::open(&config, wake).unwrap();
    let mut client = Side {
        endpoint,
        port,
        woken,
    };
    client.endpoint.connect(&[server.at("127.0.0.1")]).unwrap();
    let (of_client, ..) = client.up();
    server.up();
    client.endpoint.send(of_client, 0, PPID, b"short").unwrap();
    client
        .endpoint
        .send(of_client, 0, PPID, &vec![1; LEN_MAX + 1])
        .unwrap();
    assert_eq!(server.message().2, b"short");
    assert_eq!(server.reason(), Reason::TooLong);
    assert_eq!(client.reason(), Reason::Lost);
    assert_eq!(
        client.endpoint.send(of_client, 0, PPID, b"more"),
        Err(SendError::Gone)
    );
}

#[test]
fn what_the_peer_does_not_take_waits_and_comes_in_order() {
    let (mut server, mut client, _, of_client) = pair();
    // More than the library holds for one association.
    let message = |number: u32| [number.to_be_bytes().to_vec(), vec![7; 4000]].concat();
    for number in 0..500 {
        client
            .endpoint
            .send(of_client, 0, PPID, &message(number))
            .unwrap();
    }
    for number in 0..500 {
        let until = Instant::now() + PATIENCE;
        let received = loop {
            assert!(Instant::now() < until, "message {number}");
            while let Some(event) = client.endpoint.poll_event() {
                assert!(matches!(event, Event::Path { .. }), "{event:?}");
            }
            match server.endpoint.poll_event() {
                Some(Event::Message { message, .. }) => break message,
                Some(Event::Path { .. }) => {}
                Some(other) => panic!("{other:?}"),
                None => {
                    let _ = server.woken.recv_timeout(Duration::from_millis(5));
                }
            }
        };
        assert!(received == message(number), "message {number}");
    }
}

#[test]
fn a_peer_that_takes_nothing_is_cut_off() {
    let (_server, mut client, _, of_client) = pair();
    let slow = (0..1000).find_map(|_| client.endpoint.send(of_client, 0, PPID, &[7; 50_000]).err());
    assert_eq!(slow, Some(SendError::Slow));
    assert_eq!(client.reason(), Reason::Slow);
}

#[test]
fn an_association_ends_in_order_or_at_once() {
    let (mut server, mut client, _, of_client) = pair();
    client.endpoint.send(of_client, 0, PPID, b"last").unwrap();
    client.endpoint.shutdown(of_client);
    assert_eq!(server.message().2, b"last");
    assert_eq!(server.reason(), Reason::ShutDown);
    // Another one, at once.
    let again = client.endpoint.connect(&[server.at("127.0.0.1")]).unwrap();
    assert_eq!(client.up().0, again);
    let (of_server, ..) = server.up();
    client.endpoint.abort(again);
    let Event::Down {
        association,
        reason,
    } = server.next()
    else {
        panic!("it ends");
    };
    assert_eq!((association, reason), (of_server, Reason::Lost));
    assert_eq!(client.endpoint.poll_event(), None);
}

#[test]
fn an_endpoint_that_closes_says_goodbye() {
    let (mut server, client, ..) = pair();
    client.endpoint.close(PATIENCE);
    assert_eq!(server.reason(), Reason::ShutDown);
}

#[test]
fn where_nobody_listens_it_is_refused() {
    let mut client = Side::open(false, &["127.0.0.1"]);
    let nobody = Side::open(false, &["127.0.0.1"]);
    let started = Instant::now();
    for peer in [nobody.at("127.0.0.1"), "127.0.0.1:9".parse().unwrap()] {
        client.endpoint.connect(&[peer]).unwrap();
        assert_eq!(client.reason(), Reason::Refused);
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn both_families_are_paths_of_one_association() {
    let addresses = ["127.0.0.1", "::1"];
    let mut server = Side::open(true, &addresses);
    let mut client = Side::open(false, &addresses);
    let peers = addresses.map(|ip| server.at(ip));
    let of_client = client.endpoint.connect(&peers).unwrap();
    let (_, mut seen, _) = client.up();
    seen.sort();
    assert_eq!(seen, peers);
    let (of_server, mut seen, _) = server.up();
    seen.sort();
    assert_eq!(seen, addresses.map(|ip| client.at(ip)));
    // A heartbeat has confirmed the second.
    for (side, id) in [(&mut client, of_client), (&mut server, of_server)] {
        let until = Instant::now() + PATIENCE;
        loop {
            while side.endpoint.poll_event().is_some() {}
            let paths = side.endpoint.paths(id);
            assert_eq!(paths.len(), 2);
            if paths.iter().all(|path| path.state == PathState::Reachable) {
                break;
            }
            assert!(Instant::now() < until, "{paths:?}");
            let _ = side.woken.recv_timeout(POLL_AFTER);
        }
    }
}

/// CRC-32C of an SCTP packet whose checksum is 0, RFC 9260 6.8.
fn checksum(packet: &[u8]) -> [u8; 4] {
    let mut crc = !0_u32;
    for octet in packet {
        crc ^= u32::from(*octet);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    (!crc).to_le_bytes()
}

fn packet(from: u16, to: u16, tag: u32, chunk: &[u8]) -> Vec<u8> {
    let mut packet = [from.to_be_bytes(), to.to_be_bytes()].concat();
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(chunk);
    packet
}

/// Whatever a stranger sends in UDP, with a good checksum, is survived, and associations go on.
#[test]
fn damaged_packets_do_no_harm() {
    let (mut server, mut client, _, of_client) = pair();
    let Carrier::Udp { local, .. } = carrier() else {
        panic!("in UDP");
    };
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (from, to) = (next_port(), server.port);
    // INIT with an IPv4 and an IPv6 address, cookie preservative and a type nobody knows.
    let mut init = vec![
        1, 0, 0, 60, 1, 2, 3, 4, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1,
    ];
    init.extend([0, 5, 0, 8, 127, 0, 0, 1]);
    init.extend([0, 6, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    init.extend([0, 9, 0, 8, 0, 0, 0, 9]);
    init.extend([0xc1, 0xff, 0, 4]);
    let data = [
        0, 3, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, b'a', b'b', b'c', b'd',
    ];
    let sack = [3, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 9];
    let cookie = [10, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8];
    let asconf = [
        0xc1, 0, 0, 20, 0, 0, 0, 1, 0, 5, 0, 8, 127, 0, 0, 1, 0, 0, 0, 0,
    ];
    let reset = [
        130, 0, 0, 20, 0, 13, 0, 16, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1,
    ];
    let chunks: [&[u8]; 6] = [&init, &data, &sack, &cookie, &asconf, &reset];
    for chunk in chunks {
        let good = packet(from, to, 0, chunk);
        let cuts = (0..good.len()).map(|length| good[..length].to_vec());
        let flips = (0..good.len() * 8).map(|bit| {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        });
        for mut bad in cuts.chain(flips).chain([good.clone()]) {
            if bad.len() >= 12 {
                bad[8..12].fill(0);
                let sum = checksum(&bad);
                bad[8..12].copy_from_slice(&sum);
            }
            stranger.send_to(&bad, ("127.0.0.1", local)).unwrap();
        }
        client.endpoint.send(of_client, 0, PPID, b"still").unwrap();
        assert_eq!(server.message().2, b"still");
    }
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let good = Config {
        addresses: vec!["127.0.0.1".parse().unwrap()],
        port: next_port(),
        carrier: carrier(),
        listens: false,
        streams: 1,
        message_len_max: 100,
        timing: Timing::SIGNALLING,
    };
    let _first = Endpoint::open(&good, || {}).unwrap();
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let other_port = next_port();
    for bad in [
        Config {
            addresses: vec![],
            ..good.clone()
        },
        Config {
            addresses: vec![ip("0.0.0.0")],
            ..good.clone()
        },
        Config {
            addresses: vec![ip("127.0.0.1"); 9],
            ..good.clone()
        },
        Config {
            port: 0,
            ..good.clone()
        },
        // Taken.
        good.clone(),
        Config {
            carrier: Carrier::Raw,
            port: other_port,
            ..good.clone()
        },
        // Not ours.
        Config {
            addresses: vec![ip("192.0.2.99")],
            port: other_port,
            ..good.clone()
        },
    ] {
        assert!(Endpoint::open(&bad, || {}).is_err(), "{bad:?}");
    }
    let mut again = Endpoint::open(
        &Config {
            port: other_port,
            ..good
        },
        || {},
    )
    .unwrap();
    assert!(again.connect(&[]).is_err());
}
