//! A controller of one gateway, without the codec of the process under test: it writes text and
//! looks for what it needs in replies, which is cheap enough to keep a gateway busy from one core.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// Unanswered for so long, a request is sent again.
const RESEND: Duration = Duration::from_secs(1);
/// What the gateway was too busy for (H.248.8 error 511) is asked again after this.
const BUSY_REST: Duration = Duration::from_millis(50);
/// No answer at all for so long: the gateway is gone.
const STALL_LIMIT: Duration = Duration::from_secs(60);
/// How long it sleeps when nothing came.
const IDLE: Duration = Duration::from_micros(200);
/// The gateway registers within this.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A controller with one gateway. A request carries `T` to its reply.
pub struct Controller<T> {
    socket: UdpSocket,
    /// Its message header: version and message identifier (H.248.1 annex B.2).
    head: String,
    gateway: SocketAddr,
    next: u32,
    waiting: HashMap<u32, Waiting<T>>,
    last_reply: Instant,
    resent: u64,
}

struct Waiting<T> {
    /// `None`: nobody waits for its reply.
    what: Option<T>,
    actions: String,
    sent: Instant,
}

impl<T> Controller<T> {
    /// Waits until the gateway registers here and takes it in service.
    pub fn open(at: SocketAddr) -> Self {
        let socket = UdpSocket::bind(at).expect("the address is free");
        socket
            .set_read_timeout(Some(START_LIMIT))
            .expect("the limit is not zero");
        let mut buffer = [0; 65_535];
        let (length, gateway) = socket
            .recv_from(&mut buffer)
            .expect("the gateway registers");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let id = between(&text, &["T=", "Transaction = ", "Transaction="], "{");
        let id = id.unwrap_or_else(|| panic!("no transaction in {text}"));
        let head = format!("!/3 [{}]:{}", at.ip(), at.port());
        let reply = format!("{head}\nP={}{{C=-{{SC=ROOT}}}}", id.trim());
        socket
            .send_to(reply.as_bytes(), gateway)
            .expect("the gateway is there");
        socket.set_nonblocking(true).expect("a socket can be");
        Controller {
            socket,
            head,
            gateway,
            next: 1,
            waiting: HashMap::new(),
            last_reply: Instant::now(),
            resent: 0,
        }
    }

    /// Requests without a reply.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Requests sent again, since there was no reply in time or the gateway was too busy.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Sends a request of these actions.
    pub fn send(&mut self, what: T, actions: &str) {
        self.begin(Some(what), actions);
    }

    fn begin(&mut self, what: Option<T>, actions: &str) {
        let id = self.next;
        self.next += 1;
        self.transmit(id, actions);
        if self.waiting.is_empty() {
            self.last_reply = Instant::now();
        }
        let waiting = Waiting {
            what,
            actions: actions.to_owned(),
            sent: Instant::now(),
        };
        self.waiting.insert(id, waiting);
    }

    /// Takes the replies that have come, and sends again what has none for long.
    ///
    /// Panics when one is an error, or when there has been none for 20 s.
    pub fn replies(&mut self) -> Vec<(T, String)> {
        let mut taken = Vec::new();
        let mut buffer = [0; 65_535];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, _)) => {
                    let message = String::from_utf8_lossy(&buffer[..length]);
                    taken.extend(split(&message).filter_map(|reply| self.take(reply)));
                }
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
                Err(_) => continue,
            }
        }
        if !taken.is_empty() {
            self.last_reply = Instant::now();
        }
        let is_stalled = !self.waiting.is_empty() && self.last_reply.elapsed() > STALL_LIMIT;
        assert!(!is_stalled, "the gateway is gone");
        self.resend();
        taken
    }

    fn take(&mut self, text: &str) -> Option<(T, String)> {
        let id = between(text, &["P="], "{")?.parse().ok()?;
        let mut waiting = self.waiting.remove(&id)?;
        if text.contains("ER=511{") {
            let is_new = waiting.actions.starts_with("C=$");
            // As a request of its own: the old one has its reply.
            waiting.sent = Instant::now() - (RESEND - BUSY_REST);
            self.waiting.insert(self.next, waiting);
            self.next += 1;
            self.last_reply = Instant::now();
            // What was done of it before is a context already: it is not to be left behind.
            let context = between(text, &["C="], "{")?;
            if is_new && context != "$" {
                self.begin(None, &format!("C={context}{{W-S=*{{AT{{}}}}}}"));
            }
            return None;
        }
        let Waiting { what, actions, .. } = waiting;
        assert!(!text.contains("ER="), "refused: {text}\n{actions}");
        Some((what?, text.to_owned()))
    }

    fn transmit(&self, id: u32, actions: &str) {
        let message = format!("{}\nT={id}{{{actions}}}", self.head);
        // What does not leave is sent again.
        let _ = self.socket.send_to(message.as_bytes(), self.gateway);
    }

    fn resend(&mut self) {
        let late: Vec<u32> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.sent.elapsed() > RESEND)
            .map(|(&id, _)| id)
            .collect();
        for id in late {
            let Some(waiting) = self.waiting.get_mut(&id) else {
                continue;
            };
            waiting.sent = Instant::now();
            self.resent += 1;
            let actions = waiting.actions.clone();
            self.transmit(id, &actions);
        }
    }
}

impl Controller<usize> {
    /// Sends `count` requests, a window of them at a time, and takes their replies. Returns how
    /// long it took.
    pub fn each(
        &mut self,
        count: usize,
        window: usize,
        action: impl Fn(usize) -> String,
        mut take: impl FnMut(usize, &str),
    ) -> Duration {
        let started = Instant::now();
        let (mut begun, mut done) = (0, 0);
        while done < count {
            while begun < count && self.waiting() < window.max(1) {
                self.send(begun, &action(begun));
                begun += 1;
            }
            let replies = self.replies();
            if replies.is_empty() {
                thread::sleep(IDLE);
            }
            done += replies.len();
            for (index, reply) in &replies {
                take(*index, reply);
            }
        }
        started.elapsed()
    }
}

/// The replies of a message, each from its number on; what else stands in it is left out.
fn split(message: &str) -> impl Iterator<Item = &str> {
    // In what a gateway of ours answers here, no other token ends by these.
    let starts: Vec<usize> = message.match_indices("P=").map(|(at, _)| at).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().collect();
    let ends = ends.into_iter().chain([message.len()]);
    let spans: Vec<_> = starts.into_iter().zip(ends).collect();
    spans.into_iter().map(|(start, end)| &message[start..end])
}

/// What stands between the first of `openings` that occurs and the next `end`.
pub fn between<'a>(text: &'a str, openings: &[&str], end: &str) -> Option<&'a str> {
    let from = openings
        .iter()
        .find_map(|opening| Some(text.find(opening)? + opening.len()))?;
    let rest = &text[from..];
    Some(&rest[..rest.find(end)?])
}

/// The context that a reply is of.
pub fn context_of(reply: &str) -> String {
    let context = between(reply, &["C="], "{").expect("an Add has a context");
    context.to_owned()
}

/// Where the terminations of a reply to Adds receive RTP, in order.
pub fn locals_of(reply: &str) -> Vec<SocketAddr> {
    let descriptions = reply.split("c=IN IP").skip(1);
    let locals = descriptions.filter_map(|text| {
        // After the version of IP.
        let (_, ip) = text.lines().next()?.split_once(' ')?;
        let ip = ip.trim().parse().ok()?;
        let port = between(text, &["m=audio "], " ")?.parse().ok()?;
        Some(SocketAddr::new(ip, port))
    });
    locals.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_a_reply() {
        let reply = "!/3 [127.0.0.2]:2944\nP=17{C=5{A=ip/2/9{M{ST=1{L{\nv=0\n}}}}}}";
        assert_eq!(between(reply, &["P="], "{"), Some("17"));
        assert_eq!(between(reply, &["C="], "{"), Some("5"));
        assert_eq!(between(reply, &["A="], "{"), Some("ip/2/9"));
        assert_eq!(between(reply, &["X="], "{"), None);
    }

    #[test]
    fn a_message_may_hold_several_replies() {
        let message = "!/3 [127.0.0.2]:2944\nP=17{C=5{A=ip/2/9}}P=18{C=6{S=ip/2/7{SA{nt/os=0}}}}";
        let found: Vec<&str> = split(message).collect();
        assert_eq!(
            found,
            ["P=17{C=5{A=ip/2/9}}", "P=18{C=6{S=ip/2/7{SA{nt/os=0}}}}"]
        );
        assert_eq!(split("!/3 [127.0.0.2]:2944\nT=1{C=-{}}").count(), 0);
    }

    #[test]
    fn where_terminations_receive_is_read_from_a_reply() {
        let reply = "P=1{C=5{A=ip/1/1{M{ST=1{L{\nv=0\nc=IN IP4 192.0.2.1\nm=audio 10000 RTP/AVP 8\n\
                     }}}},A=ip/2/1{M{ST=1{L{\nv=0\nc=IN IP6 2001:db8::2\r\nm=audio 10002 RTP/AVP 8\r\n\
                     }}}}}}";
        let expected = ["192.0.2.1:10000", "[2001:db8::2]:10002"];
        assert_eq!(locals_of(reply), expected.map(|at| at.parse().unwrap()));
        assert_eq!(context_of(reply), "5");
    }
}
