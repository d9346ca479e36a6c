//! Our Diameter endpoint against Erlang/OTP's: capabilities, watchdogs, requests and leave-taking
//! both ways.
//!
//! On loopback, each test with a port of its own. Needs the Debian packages erlang-base and
//! erlang-diameter.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base::{Entropy, Instant};
use diameter::cx::{Answer, Envelope, Outcome, Request, ServerCapabilities, Uaa, Uar};
use diameter::endpoint::{
    Config, ConnectionId, Endpoint, Health, Local, Output, PeerConfig, PeerId, State,
};
use diameter::{Message, Origin, dictionary};
use interop::{Folder, Process};

/// Time for anything but a watchdog.
const SOON: Duration = Duration::from_secs(60);

/// The endpoint with real sockets.
struct Driver {
    endpoint: Endpoint,
    listener: Option<TcpListener>,
    streams: BTreeMap<ConnectionId, TcpStream>,
    started: std::time::Instant,
    epoch: Instant,
    requests: Vec<Request>,
    answers: Vec<Answer>,
    changes: Vec<bool>,
}

impl Driver {
    /// Connects to `address`, or waits for the peer on `listener`.
    fn new(address: Option<SocketAddr>, listener: Option<TcpListener>) -> Driver {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is after 1970");
        let epoch = Instant::ZERO + since;
        let local = Local {
            origin: Origin {
                host: "scscf1.ims.test".to_owned(),
                realm: "ims.test".to_owned(),
            },
            host_ip_addresses: vec![Ipv4Addr::LOCALHOST.into()],
            vendor_id: 0,
            product_name: "test".to_owned(),
            applications: vec![&dictionary::cx::DICTIONARY],
        };
        let peer = PeerConfig {
            host: "hss1.ims.test".to_owned(),
            realm: "ims.test".to_owned(),
            address,
            is_relay: false,
        };
        let mut config = Config::new(local, vec![peer]);
        config.watchdog = Duration::from_secs(6);
        config.reconnect = Duration::from_secs(1);
        Driver {
            endpoint: Endpoint::new(epoch, config, Entropy::from_u64(since.as_nanos() as u64)),
            listener,
            streams: BTreeMap::new(),
            started: std::time::Instant::now(),
            epoch,
            requests: Vec::new(),
            answers: Vec::new(),
            changes: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        self.epoch + self.started.elapsed()
    }

    fn status(&self) -> (State, Health) {
        let status = self.endpoint.peer(PeerId(0)).expect("there is one peer");
        (status.state, status.health)
    }

    /// Turns the loop until `is_met`; panics after `limit`.
    fn run(&mut self, what: &str, limit: Duration, is_met: impl Fn(&Driver) -> bool) {
        let deadline = std::time::Instant::now() + limit;
        while !is_met(self) {
            assert!(
                std::time::Instant::now() < deadline,
                "{what}: {:?}",
                self.status()
            );
            self.turn();
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn turn(&mut self) {
        let now = self.now();
        if let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept)
            && let Some(connection) = self.endpoint.accept(now)
        {
            stream
                .set_nonblocking(true)
                .expect("a socket can be non-blocking");
            self.streams.insert(connection, stream);
        }
        for connection in self.streams.keys().copied().collect::<Vec<_>>() {
            self.read(connection);
        }
        if self.endpoint.next_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        self.drain();
    }

    fn read(&mut self, connection: ConnectionId) {
        let now = self.now();
        let mut buffer = [0; 4096];
        let Some(stream) = self.streams.get_mut(&connection) else {
            return;
        };
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => self
                .endpoint
                .handle_received(now, connection, &buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Ok(_) | Err(_) => {
                self.streams.remove(&connection);
                self.endpoint.handle_closed(now, connection);
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            let now = self.now();
            match output {
                Output::Connect {
                    connection,
                    address,
                    ..
                } => match TcpStream::connect(address) {
                    Ok(stream) => {
                        stream
                            .set_nonblocking(true)
                            .expect("a socket can be non-blocking");
                        self.streams.insert(connection, stream);
                        self.endpoint.handle_connected(now, connection);
                    }
                    Err(_) => self.endpoint.handle_connect_failed(now, connection),
                },
                Output::Send { connection, bytes } => {
                    if let Some(stream) = self.streams.get_mut(&connection) {
                        // A stream that is gone says so when it is read.
                        let _ = stream.write_all(&bytes);
                    }
                }
                Output::Close { connection } => drop(self.streams.remove(&connection)),
                Output::PeerUp { .. } => self.changes.push(true),
                Output::PeerDown { .. } => self.changes.push(false),
                Output::Request { incoming, message } => {
                    let message = Message::parse(&message).expect("it was read before");
                    let (_, request) = Request::from_message(&message).expect("it was checked");
                    let origin = self.endpoint.config().local.origin.clone();
                    let answer = request.answer(Outcome::SUCCESS);
                    let answer = answer
                        .to_message(&incoming.reply_to, &origin)
                        .expect("it is short");
                    self.endpoint
                        .send_answer(now, &incoming, answer)
                        .expect("the peer is up");
                    self.requests.push(request);
                }
                Output::Answer { message, .. } => {
                    let message = Message::parse(&message).expect("it was read before");
                    self.answers
                        .push(Answer::from_message(&message).expect("it was checked"));
                }
                Output::Failed { failure, .. } => panic!("a request failed: {failure:?}"),
            }
        }
    }

    fn send_uar(&mut self) {
        let request = Request::UserAuthorization(Uar {
            user_name: "alice@ims.test".to_owned(),
            public_identity: "sip:alice@ims.test".to_owned(),
            visited_network_identifier: "ims.test".to_owned(),
            ..Uar::default()
        });
        let envelope = Envelope {
            session_id: self.endpoint.session_id(),
            origin: self.endpoint.config().local.origin.clone(),
            destination_host: None,
            destination_realm: "ims.test".to_owned(),
        };
        let message = request.to_message(&envelope).expect("it is short");
        let now = self.now();
        self.endpoint
            .send_request(now, message)
            .expect("the peer is up");
        self.drain();
    }
}

fn erlang(folder: &Folder, role: &str, port: u16) -> Process {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("erlang");
    let mut command = Command::new("escript");
    command.env("ERL_CRASH_DUMP", folder.file("erl_crash.dump"));
    command.arg(here.join("diameter_node.escript"));
    command
        .args([role, &port.to_string()])
        .arg(here.join("cx.dia"));
    let mut process = Process::start_with_input("diameter", &mut command, folder.path());
    process.wait_for("info started", Duration::from_secs(20));
    process
}

/// A port nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn we_connect_to_erlang_ask_it_outlive_the_watchdogs_and_are_left() {
    let folder = Folder::new();
    let port = free_port();
    let mut hss = erlang(&folder, "listen", port);
    let mut driver = Driver::new(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))), None);
    driver.run("capabilities", SOON, |driver| driver.changes == [true]);
    assert_eq!(driver.status(), (State::IOpen, Health::Okay));
    hss.wait_for("info up scscf1.ims.test", SOON);

    driver.send_uar();
    driver.run("the answer", SOON, |driver| !driver.answers.is_empty());
    let expected = Answer::UserAuthorization(Uaa {
        server_capabilities: Some(ServerCapabilities {
            mandatory: vec![1, 2],
            optional: vec![],
            server_names: vec!["sip:scscf1.ims.test".to_owned()],
        }),
        ..Uaa::from(Outcome::FirstRegistration)
    });
    assert_eq!(driver.answers, [expected]);
    hss.wait_for("ok uar alice@ims.test []", SOON);

    // Both watchdogs have asked twice by then: silence of 6 s twice would have closed the
    // connection.
    let later = driver.now() + Duration::from_secs(17);
    driver.run("watchdogs", Duration::from_secs(20), |driver| {
        driver.now() >= later
    });
    assert_eq!(driver.status(), (State::IOpen, Health::Okay));
    assert_eq!(driver.changes, [true]);
    assert!(!hss.output().contains("SUSPECT"), "{}", hss.output());

    hss.close_input();
    driver.run("leave-taking", SOON, |driver| {
        driver.changes == [true, false]
    });
    assert_eq!(
        driver.status().1,
        Health::Initial,
        "DPR came, not only the end of the stream"
    );
    let run = hss.wait(SOON);
    run.expect_success("Erlang");
    assert!(!run.output.contains("fail"), "{}", run.output);
}

#[test]
fn erlang_connects_to_us_asks_us_and_is_left() {
    let folder = Folder::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has ports");
    listener
        .set_nonblocking(true)
        .expect("a socket can be non-blocking");
    let port = listener.local_addr().expect("it is bound").port();
    let mut hss = erlang(&folder, "connect", port);
    let mut driver = Driver::new(None, Some(listener));
    driver.run("capabilities", SOON, |driver| driver.changes == [true]);
    assert_eq!(driver.status(), (State::ROpen, Health::Okay));
    hss.wait_for("info up scscf1.ims.test", SOON);

    hss.write_input("rtr\n");
    driver.run("the request", SOON, |driver| !driver.requests.is_empty());
    let Request::RegistrationTermination(rtr) = &driver.requests[0] else {
        panic!("{:?}", driver.requests);
    };
    assert_eq!(rtr.public_identities, ["sip:alice@ims.test"]);
    assert_eq!(rtr.deregistration_reason.info.as_deref(), Some("goodbye"));
    hss.wait_for("ok rtr 2001", SOON);

    let now = driver.now();
    driver.endpoint.stop(now);
    driver.drain();
    driver.run("leave-taking", SOON, |driver| {
        driver.status().0 == State::Closed
    });
    assert!(driver.streams.is_empty());
    hss.wait_for("info down scscf1.ims.test", SOON);
    hss.close_input();
    hss.wait(SOON).expect_success("Erlang");
}
