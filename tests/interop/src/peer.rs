//! A Diameter peer by hand: it sends whatever octets it is given and reads what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use diameter::dictionary::{base, cx};
use diameter::{CommandFlags, Framer, Header, Message, Origin, ReplyTo, ResultCode, Writer};

/// How long an answer may take, also of a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Attempts to exchange capabilities, and the pause between them.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// One connection to a Diameter node. What `Namespace::inside` runs may make one.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    framer: Framer,
    origin: Origin,
    requests: u32,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// A message, whole.
    Message(Vec<u8>),
    /// The node closed the connection.
    Closed,
    /// Nothing for as long as it was waited.
    Silence,
}

impl Peer {
    /// Connects as `origin` and says nothing.
    pub fn connect(to: SocketAddr, origin: &Origin) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, ANSWER_LIMIT)?;
        stream.set_nodelay(true)?;
        Ok(Peer {
            stream,
            framer: Framer::default(),
            origin: origin.clone(),
            requests: 0,
        })
    }

    /// Connects and exchanges capabilities as `origin`, an S-CSCF.
    ///
    /// The node may not have noticed yet that an earlier connection of the same name has ended, and
    /// closes this one for its sake (RFC 6733 5.6): it tries again.
    pub fn open(to: SocketAddr, origin: &Origin) -> Self {
        for _ in 0..ATTEMPTS {
            let mut peer = Peer::connect(to, origin).expect("the node listens");
            let address = peer.stream.local_addr().expect("it is connected").ip();
            peer.send(&capabilities_request(origin, address));
            match peer.receive(ANSWER_LIMIT) {
                Reaction::Message(answer) => {
                    assert_eq!(result_code(&answer), Some(ResultCode::SUCCESS));
                    return peer;
                }
                Reaction::Closed => std::thread::sleep(PAUSE),
                Reaction::Silence => panic!("no answer to CER"),
            }
        }
        panic!("{} is not let in", origin.host);
    }

    /// Sends octets. That the node has closed the connection shows when it is read.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Says that nothing more will come.
    pub fn close_sending(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next message, or why there is none.
    pub fn receive(&mut self, patience: Duration) -> Reaction {
        let mut buffer = [0; 4096];
        loop {
            let message = self.framer.next_message();
            if let Some(message) = message.expect("what the node sends is Diameter") {
                if self.is_watched(&message) {
                    continue;
                }
                return Reaction::Message(message);
            }
            self.stream
                .set_read_timeout(Some(patience))
                .expect("the patience is not zero");
            match self.stream.read(&mut buffer) {
                Ok(0) => return Reaction::Closed,
                Ok(length) => self.framer.push(&buffer[..length]),
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return Reaction::Silence,
                Err(_) => return Reaction::Closed,
            }
        }
    }

    /// Answers a DWR of the node, which may come at any time.
    fn is_watched(&mut self, bytes: &[u8]) -> bool {
        let Ok(message) = Message::parse(bytes) else {
            return false;
        };
        let header = message.header;
        if header.command != base::DEVICE_WATCHDOG || !header.flags.is_request() {
            return false;
        }
        let answer = ReplyTo::new(&message).result(&self.origin, ResultCode::SUCCESS, None);
        self.send(&answer.expect("it is short"));
        true
    }

    /// Sends a request and returns its answer.
    pub fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        self.send(request);
        match self.receive(ANSWER_LIMIT) {
            Reaction::Message(answer) => answer,
            none => panic!("no answer but {none:?}"),
        }
    }

    /// Asks for a sign of life; the messages that come before the answer, or none when the node has
    /// closed the connection.
    pub fn watch(&mut self) -> Option<Vec<Vec<u8>>> {
        self.requests += 1;
        let number = u32::MAX - self.requests;
        self.send(&watchdog_request(&self.origin.clone(), number));
        let mut before = Vec::new();
        loop {
            match self.receive(ANSWER_LIMIT) {
                Reaction::Message(message) => {
                    let header = Header::parse(&message).expect("the framer saw a header");
                    if header.command == base::DEVICE_WATCHDOG && header.hop_by_hop == number {
                        return Some(before);
                    }
                    before.push(message);
                }
                Reaction::Closed => return None,
                Reaction::Silence => panic!("no answer to the watchdog"),
            }
        }
    }
}

/// CER of a node that speaks Cx, RFC 6733 5.3.1.
pub fn capabilities_request(origin: &Origin, address: IpAddr) -> Vec<u8> {
    let mut writer = Writer::new(header(base::CAPABILITIES_EXCHANGE, 0x5eed));
    writer.text(&base::ORIGIN_HOST, &origin.host);
    writer.text(&base::ORIGIN_REALM, &origin.realm);
    writer.address(&base::HOST_IP_ADDRESS, address);
    writer.u32(&base::VENDOR_ID, 0);
    writer.text(&base::PRODUCT_NAME, "interop");
    writer.u32(&base::SUPPORTED_VENDOR_ID, cx::VENDOR_3GPP);
    writer.group(&base::VENDOR_SPECIFIC_APPLICATION_ID, |inside| {
        inside.u32(&base::VENDOR_ID, cx::VENDOR_3GPP);
        inside.u32(&base::AUTH_APPLICATION_ID, cx::APPLICATION_ID);
    });
    writer.finish().expect("it is short")
}

/// DWR, RFC 6733 5.5.1.
pub fn watchdog_request(origin: &Origin, number: u32) -> Vec<u8> {
    let mut writer = Writer::new(header(base::DEVICE_WATCHDOG, number));
    writer.text(&base::ORIGIN_HOST, &origin.host);
    writer.text(&base::ORIGIN_REALM, &origin.realm);
    writer.finish().expect("it is short")
}

fn header(command: u32, number: u32) -> Header {
    Header {
        flags: CommandFlags(CommandFlags::REQUEST),
        command,
        application: base::APPLICATION_ID,
        hop_by_hop: number,
        end_to_end: number,
    }
}

/// The Result-Code of an answer.
pub fn result_code(answer: &[u8]) -> Option<ResultCode> {
    let message = Message::parse(answer).ok()?;
    let code = message.find(&base::RESULT_CODE)?;
    code.to_u32().ok().map(ResultCode)
}
