//! Call set-ups of a media process for each second of its CPU, driven by a controller of our own.
//!
//! A set-up is two Adds, a Modify and a Subtract, each a transaction of its own or, batched, the
//! first three in one.
//!
//! Set-ups go in slices, and between two of them ports rest: so each slice finds the ports of an
//! earlier one, as in a process that has been running for long.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use crate::report::{self, Figure};
use crate::rig::{MGC, MediaRig};
use crate::signalling::{GENERATOR_CORE, MEASURED_CORE};
use interop::controller::{Controller, between};

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

/// Set-ups under way, and those done.
struct SetUps {
    controller: Controller<Step>,
    batched: bool,
    done: u64,
    /// Contexts that shall stay: their set-up ends with the Modify.
    standing: u64,
}

/// Runs the measurement and prints it.
pub fn run(args: &GatewayArgs) -> ExitCode {
    let rig = MediaRig::start(MEASURED_CORE);
    let figures = rig.namespace().inside(|| {
        report::pin(GENERATOR_CORE);
        let mut set_ups = SetUps {
            controller: Controller::open(MGC.parse().expect("a socket address")),
            batched: args.batched,
            done: 0,
            standing: args.standing,
        };
        set_ups.run_slices(args.standing + args.warm_up, args);
        let before = rig.usage();
        let seconds = set_ups.run_slices(args.count, args).as_secs_f64();
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

impl SetUps {
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
        while self.done < goal {
            while begun < goal && self.controller.waiting() < window {
                self.begin();
                begun += 1;
            }
            for (step, reply) in self.controller.replies() {
                self.go_on(step, &reply);
            }
        }
    }

    fn begin(&mut self) {
        let near = add("access", Some(30_000));
        if self.batched {
            let far = add("core", None);
            let action = format!("C=${{{near},{far},MF=ip/2/*{{{REMOTE}}}}}");
            self.controller.send(Step::AddBoth, &action);
        } else {
            self.controller
                .send(Step::AddFirst, &format!("C=${{{near}}}"));
        }
    }

    /// The next step after a reply.
    fn go_on(&mut self, step: Step, text: &str) {
        match step {
            Step::AddFirst => {
                let context = between(text, &["C="], "{").expect("an Add has a context");
                let context = context.to_owned();
                let action = format!("C={context}{{{}}}", add("core", None));
                self.controller.send(Step::AddSecond { context }, &action);
            }
            Step::AddBoth => {
                let context = between(text, &["C="], "{").expect("an Add has a context");
                let context = context.to_owned();
                self.end(context);
            }
            Step::AddSecond { context } => {
                let termination = between(text, &["A="], "{").expect("an Add has a termination");
                let action = format!("C={context}{{MF={termination}{{{REMOTE}}}}}");
                self.controller.send(Step::Modify { context }, &action);
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
        self.controller
            .send(Step::Subtract, &format!("C={context}{{W-S=*{{AT{{}}}}}}"));
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_of_a_request_are_balanced() {
        for text in [add("access", Some(1)), add("core", None), REMOTE.to_owned()] {
            let open = text.matches('{').count();
            assert_eq!(open, text.matches('}').count(), "{text}");
        }
    }
}
