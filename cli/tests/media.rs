//! The media process: started, driven by controllers, and ended, with sockets on loopback.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant as Wall};

use base::{Entropy, Instant};
use h248::message::{
    ActionReply, AuditReturn, Command as Said, CommandReply, ContextId, Mid, ReplyBody,
    ServiceChangeReply, TransactionId,
};
use h248::text;
use h248::transaction::{Config, Endpoint, Output as Out};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

fn strowger() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strowger"));
    command.stdin(Stdio::null());
    command
}

fn run(line: &str) -> Output {
    let mut command = strowger();
    command.args(line.split_whitespace());
    command.output().expect("the binary runs")
}

fn refused(line: &str) -> String {
    let output = run(line);
    assert_eq!(output.status.code(), Some(1), "{line}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An address at which nothing is bound.
fn free(ip: &str) -> SocketAddr {
    let socket = UdpSocket::bind((ip, 0)).expect("a free port");
    socket.local_addr().expect("it is bound")
}

/// A media process that ends with the test.
struct Media {
    child: Child,
    admin: String,
}

impl Media {
    fn start(line: &str, admin: SocketAddr) -> Self {
        let mut command = strowger();
        command.args(line.split_whitespace());
        command.args(["--admin", &admin.to_string(), "--log", "warn"]);
        Self {
            child: command.spawn().expect("the binary runs"),
            admin: admin.to_string(),
        }
    }

    fn status(&self) -> Option<Value> {
        let output = run(&format!("--json status --admin {}", self.admin));
        let answers: Value = serde_json::from_slice(&output.stdout).ok()?;
        output.status.success().then(|| answers[0].clone())
    }

    /// Ends it as a supervisor does; true when it ended well.
    fn stop(mut self) -> bool {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A controller on a socket.
struct Mgc {
    socket: UdpSocket,
    endpoint: Endpoint<u32>,
    start: Wall,
    gateways: Vec<SocketAddr>,
    /// Methods of ServiceChange, in order.
    heard: Vec<String>,
    replies: Vec<ReplyBody>,
}

impl Mgc {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let patience = Some(Duration::from_millis(20));
        socket.set_read_timeout(patience).expect("it is not zero");
        let config = Config::new(
            Mid::from(socket.local_addr().expect("bound")),
            TransactionId(1),
        );
        Self {
            socket,
            endpoint: Endpoint::new(config, Entropy::from_u64(3)),
            start: Wall::now(),
            gateways: Vec::new(),
            heard: Vec::new(),
            replies: Vec::new(),
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    fn now(&self) -> Instant {
        Instant::from_secs(1) + self.start.elapsed()
    }

    /// Serves until the condition holds.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = Wall::now() + LIMIT;
        let mut buffer = [0; 65_535];
        while !holds(self) {
            assert!(Wall::now() < deadline, "not within {LIMIT:?}: {what}");
            if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
                self.endpoint
                    .handle_input(self.now(), from, &buffer[..length]);
            }
            self.endpoint.handle_timeout(self.now());
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Out::Transmit { to, bytes } => {
                    self.socket.send_to(&bytes, to).expect("it is on loopback");
                }
                Out::Request {
                    handle, actions, ..
                } => {
                    let mut commands = Vec::new();
                    for request in actions.iter().flat_map(|action| &action.commands) {
                        let Said::ServiceChange(change) = &request.command else {
                            panic!("{request:?}");
                        };
                        self.heard.push(format!("{:?}", change.parms.method));
                        self.gateways.push(handle.peer);
                        commands.push(CommandReply::ServiceChange(ServiceChangeReply {
                            terminations: change.terminations.clone(),
                            result: Ok(Box::default()),
                        }));
                    }
                    let reply = ActionReply::new(ContextId::Null, commands);
                    let body = ReplyBody::Actions(vec![reply]);
                    self.endpoint
                        .reply(self.now(), handle, body)
                        .expect("it waits");
                }
                Out::Reply { body, .. } => self.replies.push(body),
                Out::Pending { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn ask(&mut self, gateway: SocketAddr, actions: &str) -> ReplyBody {
        let actions = text::parse_actions(actions.as_bytes()).expect("it can be read");
        let now = self.now();
        self.endpoint
            .send_request(now, gateway, actions, 1)
            .expect("it can be sent");
        self.drain();
        self.until("a reply", |mgc| !mgc.replies.is_empty());
        self.replies.remove(0)
    }

    /// A call between two addresses of ours: its context, and where the gateway receives.
    fn call(
        &mut self,
        gateway: SocketAddr,
        one: &UdpSocket,
        two: &UdpSocket,
    ) -> (u32, Vec<SocketAddr>) {
        let add = |socket: &UdpSocket| {
            let port = socket.local_addr().expect("it is bound").port();
            let sdp =
                |ip: &str, port: &str| format!("v=0\nc=IN IP4 {ip}\nm=audio {port} RTP/AVP 8\n");
            format!(
                "Add = $ {{ Media {{ LocalControl {{ Mode = SendReceive }}, Local {{ {} }}, \
                 Remote {{ {} }} }} }}",
                sdp("$", "$"),
                sdp("127.0.0.1", &port.to_string())
            )
        };
        let reply = self.ask(
            gateway,
            &format!("Context = $ {{ {}, {} }}", add(one), add(two)),
        );
        let ReplyBody::Actions(actions) = &reply else {
            panic!("{reply:?}");
        };
        let locals = actions[0].commands.iter().map(local).collect();
        (actions[0].context.as_u32(), locals)
    }
}

/// The Local address in a reply to Add.
fn local(command: &CommandReply) -> SocketAddr {
    let CommandReply::Add(reply) = command else {
        panic!("{command:?}");
    };
    let AuditReturn::Media(media) = &reply.audit[0] else {
        panic!("{reply:?}");
    };
    let (_, parms) = media.streams().next().expect("a stream");
    let text =
        String::from_utf8_lossy(parms.local.as_ref().expect("Local").as_bytes()).into_owned();
    let field = |before: &str| {
        let after = text.split(before).nth(1).expect("the line is there");
        after
            .split_whitespace()
            .next()
            .expect("the field is there")
            .to_owned()
    };
    format!("{}:{}", field("c=IN IP4 "), field("m=audio "))
        .parse()
        .expect("an address")
}

fn phone() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket
        .set_read_timeout(Some(LIMIT))
        .expect("it is not zero");
    socket
}

fn rtp(sequence: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 8, 0, sequence, 0, 0, 0, 0, 1, 2, 3, 4];
    packet.extend([0x55; 160]);
    packet
}

#[test]
fn one_gateway_by_flags_relays_and_ends_well() {
    let mut mgc = Mgc::new();
    let (mid, admin) = (free("127.0.0.1"), free("127.0.0.1"));
    let media = Media::start(
        &format!(
            "media --functions trgw --mgc {} --mid {mid} --address 127.0.0.21 \
             --ports 30000-30019 --io udp",
            mgc.address()
        ),
        admin,
    );
    mgc.until("it registers", |mgc| !mgc.gateways.is_empty());
    assert_eq!((mgc.gateways[0], mgc.heard[0].as_str()), (mid, "Restart"));
    let (one, two) = (phone(), phone());
    let (context, locals) = mgc.call(mid, &one, &two);
    let mut buffer = [0; 1500];
    for sequence in 0..50 {
        one.send_to(&rtp(sequence), locals[0])
            .expect("it is on loopback");
        let (length, from) = two.recv_from(&mut buffer).expect("it arrives");
        assert_eq!((from, &buffer[..length]), (locals[1], &rtp(sequence)[..]));
    }
    let status = media.status().expect("it answers");
    assert_eq!(status["process"], "media");
    assert_eq!(
        (&status["contexts"], &status["terminations"]),
        (&1.into(), &2.into())
    );
    assert_eq!(status["flows"], 4);
    assert_eq!(status["gateways"][0]["state"], "in service");
    assert_eq!(status["counters"]["packets.sent"], 50);
    assert_eq!(status["workers"][0]["dropped"], 0);
    mgc.ask(mid, &format!("Context = {context} {{ Subtract = * }}"));
    assert_eq!(media.status().expect("it answers")["contexts"], 0);
    let ended = std::thread::spawn(move || media.stop());
    mgc.until("it leaves", |mgc| {
        mgc.heard.last().is_some_and(|method| method == "Forced")
    });
    mgc.until("it ends", |_| ended.is_finished());
    assert!(ended.join().expect("no panic"));
}

#[test]
fn several_gateways_of_one_file_obey_their_own_controllers() {
    let mut mgcs = [Mgc::new(), Mgc::new()];
    let mids = [free("127.0.0.1"), free("127.0.0.1")];
    let folder = std::env::temp_dir().join(format!("strowger-media-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("media.toml");
    let gateway = |index: usize, ports: &str| {
        format!(
            "[[mg]]\nmid = \"{}\"\nmgc = [\"{}\"]\naddresses = [\"127.0.0.22\"]\nports = \"{ports}\"\n",
            mids[index],
            mgcs[index].address()
        )
    };
    let text = format!(
        "io = \"udp\"\ndrain_s = 0\n{}{}",
        gateway(0, "31000-31009"),
        gateway(1, "31010-31013")
    );
    std::fs::write(&file, text).expect("it can be written");
    let media = Media::start(
        &format!("media --config {}", file.display()),
        free("127.0.0.1"),
    );
    let phones = [phone(), phone(), phone(), phone()];
    let mut locals = Vec::new();
    for (index, mgc) in mgcs.iter_mut().enumerate() {
        mgc.until("it registers", |mgc| mgc.gateways == [mids[index]]);
        let pair = &phones[2 * index..];
        locals.push(mgc.call(mids[index], &pair[0], &pair[1]).1);
    }
    assert!(
        locals[0]
            .iter()
            .all(|local| (31_000..31_010).contains(&local.port()))
    );
    assert!(
        locals[1]
            .iter()
            .all(|local| (31_010..31_014).contains(&local.port()))
    );
    let mut buffer = [0; 1500];
    for (index, locals) in locals.iter().enumerate() {
        phones[2 * index]
            .send_to(&rtp(1), locals[0])
            .expect("it is on loopback");
        let (_, from) = phones[2 * index + 1]
            .recv_from(&mut buffer)
            .expect("it arrives");
        assert_eq!(from, locals[1]);
    }
    // The other's gateway is not for it to command.
    let reply = mgcs[0].ask(mids[1], "Context = * { W-Subtract = * }");
    assert!(matches!(reply, ReplyBody::Error(error) if error.code.0 == 504));
    let status = media.status().expect("it answers");
    assert_eq!(status["contexts"], 2);
    assert_eq!(status["gateways"].as_array().map(Vec::len), Some(2));
    assert!(media.stop());
    std::fs::remove_dir_all(&folder).expect("it is ours");
}

#[test]
fn what_cannot_be_had_at_the_start_is_named_with_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let mid = taken.local_addr().expect("it is bound");
    let text = refused(&format!(
        "media --mid {mid} --mgc 127.0.0.1:9 --admin {}",
        free("127.0.0.1")
    ));
    assert!(
        text.contains(&mid.to_string()) && text.contains("--mid"),
        "{text}"
    );
    let text = refused("media --mid 127.0.0.1:0 --address 127.0.0.1");
    assert!(text.contains("mid"), "{text}");
    let mid = free("127.0.0.1");
    let text = refused(&format!("media --mid {mid} --address 192.0.2.1"));
    assert!(
        text.contains("192.0.2.1") && text.contains("interface"),
        "{text}"
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let admin = listener.local_addr().expect("it is bound");
    let text = refused(&format!("media --mid {mid} --admin {admin}"));
    assert!(
        text.contains(&admin.to_string()) && text.contains("--admin"),
        "{text}"
    );
    let text = refused(&format!("media --mid {mid} --cores 4095"));
    assert!(text.contains("core 4095"), "{text}");
    let text = refused("media --ports 80-90");
    assert!(text.contains("1024"), "{text}");
}

#[test]
fn without_a_controller_it_waits_and_can_be_stopped() {
    let (mid, mgc) = (free("127.0.0.1"), free("127.0.0.1"));
    let media = Media::start(&format!("media --mid {mid} --mgc {mgc}"), free("127.0.0.1"));
    let deadline = Wall::now() + LIMIT;
    let status = loop {
        assert!(Wall::now() < deadline);
        match media.status() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(status["gateways"][0]["state"], "registering");
    assert!(media.stop());
}
