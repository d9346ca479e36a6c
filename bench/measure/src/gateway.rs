//! Call set-ups of a media process for each second of its CPU, driven by a controller of our own.
//!
//! A set-up is two Adds, a Modify and a Subtract, each a transaction of its own or, batched, the
//! first three in one. The controller writes and reads text without the codec of the process under
//! test, which is cheap enough to keep it busy from one core.
//!
//! Set-ups go in slices, and between two of them ports rest: so each slice finds the ports of an
//! earlier one, as in a process that has been running for long.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use crate::report::{self, Figure};
use crate::rig::{MGC, MediaRig};
use crate::signalling::{GENERATOR_CORE, MEASURED_CORE};

/// Unanswered for so long, a request is sent again.
const RESEND: Duration = Duration::from_secs(1);
/// No answer at all for so long: the gateway is gone.
const STALL_LIMIT: Duration = Duration::from_secs(20);
/// The gateway registers within this.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Flags of `gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// Set-ups measured
    #[arg(long, default_value_t = 20_000)]
    count: u64,
    /// Set-ups before these
    #[arg(long, default_value_t = 6_000)]
    warm_up: u64,
    /// Set-ups between two rests
    #[arg(long, default_value_t = 2_000)]
    slice: u64,
    /// Two transactions for each in place of four
    #[arg(long)]
    batched: bool,
    /// Set-ups under way at a time
    #[arg(long, default_value_t = 32)]
    window: usize,
    /// Contexts that are there all the while
    #[arg(long, default_value_t = 0)]
    standing: u64,
    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

/// How long a port rests after its use, and a little more.
const REST: Duration = Duration::from_millis(5_200);

/// How far a set-up has come: which transaction waits for its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    AddBoth,
    AddFirst,
    AddSecond { context: String },
    Modify { context: String },
    Subtract,
}

struct Waiting {
    step: Step,
    message: String,
    sent: Instant,
}

/// A controller with one gateway.
struct Controller {
    socket: UdpSocket,
    gateway: SocketAddr,
    next: u32,
    batched: bool,
    waiting: HashMap<u32, Waiting>,
    done: u64,
    /// Contexts that shall stay: their set-up ends with the Modify.
    standing: u64,
}

/// Runs the measurement and prints it.
pub fn run(args: &GatewayArgs) -> ExitCode {
    let rig = MediaRig::start(MEASURED_CORE);
    let figures = rig.namespace().inside(|| {
        report::pin(GENERATOR_CORE);
        let mut controller = Controller::open();
        controller.standing = args.standing;
        controller.batched = args.batched;
        controller.run_slices(args.standing + args.warm_up, args);
        let before = rig.usage();
        let seconds = controller.run_slices(args.count, args).as_secs_f64();
        let cpu = (rig.usage().cpu - before.cpu).as_secs_f64();
        let count = args.count as f64;
        vec![
            Figure {
                what: "set-ups a second".to_owned(),
                value: count / seconds,
                unit: "1/s",
            },
            Figure {
                what: "CPU of media for each".to_owned(),
                value: cpu * 1e6 / count,
                unit: "µs",
            },
            Figure {
                what: "set-ups for each second of CPU".to_owned(),
                value: count / cpu,
                unit: "1/s",
            },
        ]
    });
    report::show("media set-up", &figures, args.json.as_deref())
}

impl Controller {
    /// Waits until the gateway registers and takes it in service.
    fn open() -> Self {
        let socket = UdpSocket::bind(MGC).expect("the address is free");
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
        let reply = format!("!/3 [{MGC_IP}]:2944\nP={}{{C=-{{SC=ROOT}}}}", id.trim());
        socket
            .send_to(reply.as_bytes(), gateway)
            .expect("the gateway is there");
        socket.set_nonblocking(true).expect("a socket can be");
        Controller {
            socket,
            gateway,
            next: 1,
            batched: false,
            waiting: HashMap::new(),
            done: 0,
            standing: 0,
        }
    }

    /// Does `count` set-ups, with a rest after each slice. Returns the time without rests.
    fn run_slices(&mut self, count: u64, args: &GatewayArgs) -> Duration {
        let mut busy = Duration::ZERO;
        let mut left = count;
        while left > 0 {
            let slice = left.min(args.slice.max(1));
            let started = Instant::now();
            self.run(slice, args.window);
            busy += started.elapsed();
            left -= slice;
            std::thread::sleep(REST);
        }
        busy
    }

    /// Does `count` set-ups, `window` at a time.
    fn run(&mut self, count: u64, window: usize) {
        let goal = self.done + count;
        let mut begun = self.done;
        let mut last_progress = Instant::now();
        while self.done < goal {
            while begun < goal && self.waiting.len() < window {
                self.begin();
                begun += 1;
            }
            if self.read() {
                last_progress = Instant::now();
            }
            assert!(last_progress.elapsed() < STALL_LIMIT, "the gateway is gone");
            self.resend();
        }
    }

    fn begin(&mut self) {
        let near = add("access", Some(30_000));
        if self.batched {
            let far = add("core", None);
            let action = format!("C=${{{near},{far},MF=ip/2/*{{{REMOTE}}}}}");
            self.send(Step::AddBoth, &action);
        } else {
            self.send(Step::AddFirst, &format!("C=${{{near}}}"));
        }
    }

    fn send(&mut self, step: Step, action: &str) {
        let id = self.next;
        self.next += 1;
        let message = format!("!/3 [{MGC_IP}]:2944\nT={id}{{{action}}}");
        self.transmit(&message);
        let waiting = Waiting {
            step,
            message,
            sent: Instant::now(),
        };
        self.waiting.insert(id, waiting);
    }

    fn transmit(&self, message: &str) {
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
            let message = waiting.message.clone();
            self.transmit(&message);
        }
    }

    /// Reads what came; false when there was nothing.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 65_535];
        let mut any = false;
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, _)) => {
                    let message = String::from_utf8_lossy(&buffer[..length]);
                    replies(&message).for_each(|reply| self.take(reply));
                }
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
                Err(_) => continue,
            }
            any = true;
        }
        any
    }

    /// The next step after a reply.
    fn take(&mut self, text: &str) {
        let id = between(text, &["P="], "{").and_then(|id| id.parse().ok());
        let Some(waiting) = id.and_then(|id: u32| self.waiting.remove(&id)) else {
            return;
        };
        assert!(
            !text.contains("ER="),
            "refused: {text}\n{}",
            waiting.message
        );
        match waiting.step {
            Step::AddFirst => {
                let context = between(text, &["C="], "{").expect("an Add has a context");
                let context = context.to_owned();
                let action = format!("C={context}{{{}}}", add("core", None));
                self.send(Step::AddSecond { context }, &action);
            }
            Step::AddBoth => {
                let context = between(text, &["C="], "{").expect("an Add has a context");
                let context = context.to_owned();
                self.end(context);
            }
            Step::AddSecond { context } => {
                let termination = between(text, &["A="], "{").expect("an Add has a termination");
                let action = format!("C={context}{{MF={termination}{{{REMOTE}}}}}");
                self.send(Step::Modify { context }, &action);
            }
            Step::Modify { context } => self.end(context),
            Step::Subtract => self.done += 1,
        }
    }

    /// Subtracts what was set up, unless it is to stay.
    fn end(&mut self, context: String) {
        if self.standing > 0 {
            self.standing -= 1;
            self.done += 1;
            return;
        }
        self.send(Step::Subtract, &format!("C={context}{{W-S=*{{AT{{}}}}}}"));
    }
}

/// The replies of a message, each from its number on; what else stands in it is left out.
fn replies(message: &str) -> impl Iterator<Item = &str> {
    // In what a gateway of ours answers here, no other token ends by these.
    let starts: Vec<usize> = message.match_indices("P=").map(|(at, _)| at).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().collect();
    let ends = ends.into_iter().chain([message.len()]);
    let spans: Vec<_> = starts.into_iter().zip(ends).collect();
    spans.into_iter().map(|(start, end)| &message[start..end])
}

/// Address of the controller in its MID.
const MGC_IP: &str = "127.0.0.1";

/// What the Modify says of the second termination.
const REMOTE: &str = "M{ST=1{R{\nv=0\nc=IN IP4 127.0.1.2\nm=audio 30002 RTP/AVP 8\n}}}";

/// An Add of a termination in `realm`, with a far end where it is known.
fn add(realm: &str, far_port: Option<u16>) -> String {
    let remote = far_port.map_or(String::new(), |port| {
        format!(",R{{\nv=0\nc=IN IP4 127.0.1.1\nm=audio {port} RTP/AVP 8\n}}")
    });
    format!(
        "A=${{M{{ST=1{{O{{MO=SR,ipdc/realm=\"{realm}\"}},L{{\nv=0\nc=IN IP4 $\n\
         m=audio $ RTP/AVP 8\n}}{remote}}}}}}}"
    )
}

/// What stands between the first of `openings` that occurs and the next `end`.
fn between<'a>(text: &'a str, openings: &[&str], end: &str) -> Option<&'a str> {
    let from = openings
        .iter()
        .find_map(|opening| Some(text.find(opening)? + opening.len()))?;
    let rest = &text[from..];
    Some(&rest[..rest.find(end)?])
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
        let found: Vec<&str> = replies(message).collect();
        assert_eq!(
            found,
            ["P=17{C=5{A=ip/2/9}}", "P=18{C=6{S=ip/2/7{SA{nt/os=0}}}}"]
        );
        assert_eq!(replies("!/3 [127.0.0.2]:2944\nT=1{C=-{}}").count(), 0);
    }

    #[test]
    fn braces_of_a_request_are_balanced() {
        for text in [add("access", Some(1)), add("core", None), REMOTE.to_owned()] {
            let open = text.matches('{').count();
            assert_eq!(open, text.matches('}').count(), "{text}");
        }
    }
}
