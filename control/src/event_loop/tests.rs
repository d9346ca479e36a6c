//! The loop with real sockets on loopback.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener as StdListener, TcpStream, UdpSocket as StdUdp};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::*;
use crate::admin::{Envelope, Reply, Request, Status};
use crate::config::ControlFile;

const PATIENCE: Duration = Duration::from_secs(20);

/// A loop on a thread of its own; it ends with this.
struct Running {
    udp: SocketAddr,
    tcp: SocketAddr,
    admin: SyncSender<Envelope>,
    waker: Arc<Waker>,
    stop: StopHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// A P-, I- and S-CSCF and whatever else `file` says.
    fn start(file: &str) -> Self {
        let config = ControlFile::parse(file).and_then(ControlFile::validate);
        let config = config.unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut sockets = Sockets::new();
        sockets.bind_udp(Socket::Sip(0), any).unwrap();
        sockets.bind_tcp(Service::Sip(0), any).unwrap();
        let udp = sockets.udp[0].1.local_addr().unwrap();
        let tcp = sockets.tcp[0].1.local_addr().unwrap();
        let poll = Poll::new().unwrap();
        let waker = waker(poll.registry()).unwrap();
        let (admin, incoming) = sync_channel(1024);
        let clock = Clock::start();
        let node = Node::new(config, clock.anchor(), [7; 32]);
        let mut event_loop =
            EventLoop::new(poll, waker.clone(), clock, node, sockets, None, incoming).unwrap();
        let stop = event_loop.stop_handle();
        let thread = std::thread::spawn(move || event_loop.run());
        Self {
            udp,
            tcp,
            admin,
            waker,
            stop,
            thread: Some(thread),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.tcp).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn status(&self) -> Status {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let request = Request::Status;
        self.admin.send(Envelope { request, reply }).unwrap();
        self.waker.wake().unwrap();
        match answer.blocking_recv().unwrap() {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until a counter has reached a value.
    fn wait_for(&self, counter: &str, value: u64) {
        let end = std::time::Instant::now() + PATIENCE;
        while self.status().counters[counter] < value {
            assert!(
                std::time::Instant::now() < end,
                "{counter} never is {value}"
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap().unwrap();
        }
    }
}

/// A whole IMS but for its HSS, which nobody asks.
const CSCFS: &str = "sip = [\"127.0.0.1:5060\"]\n[dns]\nservers = []\n[media]\nanchor = false";

/// OPTIONS to the node itself, with a Call-ID of so many octets.
fn options(transport: &str, number: usize, call_id_len: usize) -> String {
    format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@ims.test>;tag=1\r\nTo: <sip:127.0.0.1>\r\n\
         Call-ID: {number}-{}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(call_id_len)
    )
}

/// Reads until `count` responses are there, and returns them as they came.
fn responses(stream: &mut TcpStream, count: usize) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 65_536];
    while String::from_utf8_lossy(&text).matches("\r\n\r\n").count() < count {
        let length = stream.read(&mut buffer).expect("a response");
        assert_ne!(length, 0, "closed after {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(text).unwrap()
}

fn is_gone(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_ok() || stream.peer_addr().is_err()
}

#[test]
fn messages_on_a_stream_are_found_however_they_are_cut() {
    let running = Running::start(CSCFS);
    let all: String = (0..20).map(|number| options("TCP", number, 10)).collect();
    for cut in [1, 7, 100, 1000, all.len()] {
        let mut stream = running.connect();
        stream.set_nodelay(true).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let reading = std::thread::spawn(move || responses(&mut reader, 20));
        for part in all.as_bytes().chunks(cut) {
            stream.write_all(part).unwrap();
        }
        let text = reading.join().unwrap();
        assert_eq!(text.matches("SIP/2.0 200 ").count(), 20, "cut at {cut}");
        for number in 0..20 {
            assert!(
                text.contains(&format!("Call-ID: {number}-")),
                "{number} at {cut}"
            );
        }
    }
}

#[test]
fn a_keep_alive_is_answered() {
    let running = Running::start(CSCFS);
    let mut stream = running.connect();
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[test]
fn what_is_no_message_ends_the_stream_after_the_refusal() {
    let running = Running::start(CSCFS);
    let mut stream = running.connect();
    let broken = options("TCP", 1, 1).replace("Content-Length: 0", "Content-Length: none");
    // What follows cannot be found, and is read away.
    stream
        .write_all(format!("{broken}{}", "x".repeat(100_000)).as_bytes())
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("SIP/2.0 400 "), "{text}");
    assert_eq!(running.status().counters["stream.malformed"], 1);
    // Others are not disturbed.
    let mut other = running.connect();
    other.write_all(options("TCP", 2, 1).as_bytes()).unwrap();
    responses(&mut other, 1);
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let running = Running::start(CSCFS);
    let mut slow = running.connect();
    let mut refused = false;
    // What waits is the backlog and what the kernel takes on both sides.
    for number in 0..4000 {
        if slow
            .write_all(options("TCP", number, 15_000).as_bytes())
            .is_err()
        {
            refused = true;
            break;
        }
    }
    assert!(refused);
    running.wait_for("stream.slow", 1);
    let mut other = running.connect();
    other.write_all(options("TCP", 2, 1).as_bytes()).unwrap();
    responses(&mut other, 1);
}

#[test]
fn a_peer_that_reads_slowly_gets_everything() {
    let running = Running::start(CSCFS);
    let mut slow = running.connect();
    // Less than the backlog alone.
    for number in 0..100 {
        slow.write_all(options("TCP", number, 15_000).as_bytes())
            .unwrap();
    }
    running.wait_for("sip.received", 100);
    let text = responses(&mut slow, 100);
    // Where the machine has other things to do, some are refused for having waited.
    assert_eq!(text.matches("SIP/2.0 ").count(), 100);
    running.wait_for("sip.sent", 100);
}

#[test]
fn a_peer_that_sends_no_more_still_gets_its_answers() {
    let running = Running::start(CSCFS);
    let mut stream = running.connect();
    let requests: String = (0..100)
        .map(|number| options("TCP", number, 15_000))
        .collect();
    let mut writer = stream.try_clone().unwrap();
    writer.write_all(requests.as_bytes()).unwrap();
    writer.shutdown(Shutdown::Write).unwrap();
    running.wait_for("sip.received", 100);
    let text = responses(&mut stream, 100);
    assert_eq!(text.matches("SIP/2.0 ").count(), 100);
    assert!(is_gone(&mut stream));
}

#[test]
fn a_connection_reset_disturbs_nobody() {
    let running = Running::start(CSCFS);
    for _ in 0..50 {
        let stream = running.connect();
        let socket = socket2::Socket::from(stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(socket);
    }
    let mut stream = running.connect();
    stream.write_all(options("TCP", 1, 1).as_bytes()).unwrap();
    responses(&mut stream, 1);
}

#[test]
fn many_connections_at_once_are_all_served() {
    let running = Running::start(CSCFS);
    let mut streams: Vec<_> = (0..3 * READS_PER_TURN_MAX)
        .map(|_| running.connect())
        .collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        stream
            .write_all(options("TCP", number, 1).as_bytes())
            .unwrap();
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        assert!(responses(stream, 1).contains(&format!("Call-ID: {number}-x")));
    }
}

#[test]
fn many_datagrams_at_once_are_all_answered() {
    let running = Running::start(CSCFS);
    let phone = StdUdp::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(PATIENCE)).unwrap();
    let count = 2 * DATAGRAMS_PER_TURN_MAX + 3;
    for number in 0..count {
        let request = options("UDP", number, 1);
        phone.send_to(request.as_bytes(), running.udp).unwrap();
    }
    let mut buffer = [0; 2000];
    let mut seen = vec![false; count];
    while seen.contains(&false) {
        let length = phone.recv(&mut buffer).expect("a response");
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("SIP/2.0 200 "));
        let call_id = text.split("Call-ID: ").nth(1).unwrap();
        let number: usize = call_id.split('-').next().unwrap().parse().unwrap();
        seen[number] = true;
    }
    // A datagram to nobody makes an ICMP error, which ends nothing.
    let gone = StdUdp::bind("127.0.0.1:0").unwrap();
    gone.send_to(options("UDP", 7777, 1).as_bytes(), running.udp)
        .unwrap();
    drop(gone);
    running.wait_for("sip.received", count as u64 + 1);
    phone
        .send_to(options("UDP", 8888, 1).as_bytes(), running.udp)
        .unwrap();
    phone.recv(&mut buffer).expect("a response");
}

#[test]
fn more_questions_than_fit_into_a_turn_are_all_answered() {
    let running = Running::start(CSCFS);
    let count = 2 * MESSAGES_PER_TURN_MAX + 5;
    let mut answers = Vec::new();
    for _ in 0..count {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let request = Request::Status;
        running.admin.send(Envelope { request, reply }).unwrap();
        answers.push(answer);
    }
    // One wake for all of them.
    running.waker.wake().unwrap();
    for answer in answers {
        answer.blocking_recv().unwrap();
    }
}

#[test]
fn a_refused_connection_is_tried_again() {
    let free = StdListener::bind("127.0.0.1:0").unwrap();
    let hss = free.local_addr().unwrap();
    drop(free);
    let file = format!("roles = [\"pcscf\", \"icscf\", \"scscf\"]\nhss = \"{hss}\"\n{CSCFS}");
    let running = Running::start(&file);
    // Refused at least once by now.
    let mut stream = running.connect();
    stream.write_all(options("TCP", 1, 1).as_bytes()).unwrap();
    responses(&mut stream, 1);
    let listener = StdListener::bind(hss).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = [0; 8];
    peer.read_exact(&mut head).unwrap();
    // Capabilities-Exchange-Request.
    assert_eq!((head[0], &head[5..]), (1, &[0, 1, 1][..]));
    // Closed under it, the connection is made again.
    drop(peer);
    let (mut peer, _) = listener.accept().unwrap();
    peer.read_exact(&mut head).unwrap();
    assert_eq!(&head[5..], [0, 1, 1]);
}

#[test]
fn an_idle_loop_stops_when_it_is_told_to() {
    let running = Running::start(CSCFS);
    running.status();
    let (stop, started) = (running.stop.clone(), std::time::Instant::now());
    std::thread::spawn(move || stop.stop()).join().unwrap();
    drop(running);
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn an_address_in_use_is_told_with_a_remedy() {
    let udp = StdUdp::bind("127.0.0.1:0").unwrap();
    let mut sockets = Sockets::new();
    let taken = sockets.bind_udp(Socket::Sip(0), udp.local_addr().unwrap());
    let text = taken.unwrap_err().to_string();
    assert!(
        text.contains("UDP 127.0.0.1") && text.contains("another process"),
        "{text}"
    );
    let tcp = StdListener::bind("127.0.0.1:0").unwrap();
    let taken = sockets.bind_tcp(Service::Sip(0), tcp.local_addr().unwrap());
    assert!(taken.unwrap_err().to_string().contains("TCP 127.0.0.1"));
    let nowhere = sockets.bind_udp(Socket::H248, "192.0.2.1:2944".parse().unwrap());
    assert!(nowhere.unwrap_err().to_string().contains("no interface"));
}
