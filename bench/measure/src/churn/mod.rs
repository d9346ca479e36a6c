//! Contexts come, change and go in a media process while RTP passes through others: no packet may
//! be lost, and none of what was set up may be left over.
//!
//! The controller adds so many contexts of two terminations, modifies all of them, audits all of
//! them, those with RTP among them, and subtracts them, as fast as the process goes. RTP is counted
//! one by one, from send to receipt, by the generator that sends it.

pub mod traffic;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::hosts::{self, Cable, Hosts, Io, Told};
use crate::report::{self, Figure};
use crate::signalling::{GENERATOR_CORE, MEASURED_CORE};
use crate::status;
use crate::usage::Usage;
use interop::controller::{Controller, context_of, locals_of};
use traffic::{Outcome, Stream, Traffic};

/// Flags of `churn`.
#[derive(Debug, Args)]
pub struct ChurnArgs {
    /// Contexts that come and go
    #[arg(long, default_value_t = 50_000)]
    contexts: usize,
    /// Of these, how many are there at once
    #[arg(long, default_value_t = 50_000)]
    at_once: usize,
    /// Contexts that packets pass through
    #[arg(long, default_value_t = 1_000)]
    standing: usize,
    /// Packets a second over all of them
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Requests under way at a time
    #[arg(long, default_value_t = 32)]
    window: usize,
    /// Packet back-end; each context takes four descriptors of `udp`
    #[arg(long, value_enum, default_value_t = Io::AfXdp)]
    io: Io,
    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Packets pass for so long before contexts come, and after the last is gone.
const CALM: Duration = Duration::from_secs(1);

/// What is done with each context, in order.
const STEPS: [&str; 4] = ["add", "modify", "audit", "subtract"];

/// What was found.
struct Findings {
    outcome: Outcome,
    /// Time taken by each of [`STEPS`].
    taken: [Duration; STEPS.len()],
    /// Requests sent again.
    resent: u64,
    /// What the process used meanwhile.
    cpu: Duration,
    waited: Duration,
    /// Its counters before and after.
    statuses: [Value; 2],
}

/// Runs the measurement and prints it; fails when a packet was lost.
pub fn run(args: &ChurnArgs) -> ExitCode {
    let told = Told {
        io: args.io,
        function: "trgw",
        more: "",
    };
    let hosts = Hosts::start(Cable::lay(), told, MEASURED_CORE);
    let findings = hosts.far().inside(|| churn(&hosts, args));
    let shown = report::show("churn", &findings.figures(args), args.json.as_deref());
    let faults = findings.faults(args.standing);
    if faults.is_empty() {
        println!("no packet lost, nothing left over");
        return shown;
    }
    for fault in faults {
        println!("{fault}");
    }
    ExitCode::FAILURE
}

fn churn(hosts: &Hosts, args: &ChurnArgs) -> Findings {
    report::pin(GENERATOR_CORE);
    let ends = traffic::open(hosts.realms().map(|(_, end)| end));
    let mut contexts = Contexts {
        controller: Controller::open(hosts::MGC),
        realms: hosts.realms(),
        window: args.window,
        standing: Vec::new(),
    };
    let streams = contexts.add_standing(args.standing);
    let before = hosts.usage();
    let first = hosts.status();
    let traffic = Traffic::start(ends, streams, args.rate);
    thread::sleep(CALM);
    let mut taken = [Duration::ZERO; STEPS.len()];
    let mut left = args.contexts;
    while left > 0 {
        let round = left.min(args.at_once.max(1));
        for (sum, taken) in taken.iter_mut().zip(contexts.round(round)) {
            *sum += taken;
        }
        left -= round;
    }
    thread::sleep(CALM);
    let outcome = traffic.finish();
    let after: Usage = hosts.usage();
    Findings {
        outcome,
        taken,
        resent: contexts.controller.resent(),
        cpu: after.cpu.saturating_sub(before.cpu),
        waited: after.waited.saturating_sub(before.waited),
        statuses: [first, hosts.status()],
    }
}

/// The contexts of a gateway.
struct Contexts {
    controller: Controller<usize>,
    realms: [(&'static str, SocketAddr); 2],
    window: usize,
    /// Those that stay.
    standing: Vec<String>,
}

impl Contexts {
    /// Adds those that stay; returns the streams that may pass through them.
    fn add_standing(&mut self, count: usize) -> Vec<Stream> {
        let mut streams = Vec::new();
        let add = self.add_action();
        let mut standing = Vec::new();
        self.each(
            count,
            |_| add.clone(),
            |_, reply| {
                standing.push(context_of(reply));
                let locals = locals_of(reply);
                assert_eq!(locals.len(), 2, "{reply}");
                let locals = locals.into_iter().enumerate();
                streams.extend(locals.map(|(from, to)| Stream { from, to }));
            },
        );
        self.standing = standing;
        streams
    }

    /// Adds so many, does the rest of [`STEPS`] with them, and says how long each took.
    fn round(&mut self, count: usize) -> [Duration; STEPS.len()] {
        let add = self.add_action();
        let mut ids = vec![String::new(); count];
        let added = self.each(
            count,
            |_| add.clone(),
            |index, reply| {
                ids[index] = context_of(reply);
            },
        );
        // Those that stay are changed too, to what they are.
        let all: Vec<String> = self.standing.iter().chain(&ids).cloned().collect();
        let remote = remote(self.realms[1].1);
        let modify = |at: usize| format!("C={}{{MF=ip/2/*{{M{{ST=1{{{remote}}}}}}}}}", all[at]);
        let modified = self.each(all.len(), modify, |_, _| {});
        let audit = |at: usize| format!("C={}{{W-AV=*{{AT{{SA}}}}}}", all[at]);
        let audited = self.each(all.len(), audit, |_, _| {});
        let subtract = |at: usize| format!("C={}{{W-S=*{{AT{{}}}}}}", ids[at]);
        let subtracted = self.each(count, subtract, |_, _| {});
        [added, modified, audited, subtracted]
    }

    /// Sends `count` requests, and takes their replies.
    fn each(
        &mut self,
        count: usize,
        action: impl Fn(usize) -> String,
        take: impl FnMut(usize, &str),
    ) -> Duration {
        self.controller.each(count, self.window, action, take)
    }

    /// Adds a context of a termination in each realm, all that a packet is checked for switched on.
    fn add_action(&self) -> String {
        let [near, far] = self.realms.map(|(realm, end)| {
            format!(
                "A=${{M{{ST=1{{O{{MO=SR,ipdc/realm=\"{realm}\",gm/saf=ON,tman/pol=ON,\
                 tman/sdr=100000000,tman/mbs=100000000,ds/dscp=2E}},L{{\nv=0\nc=IN IP4 $\n\
                 m=audio $ RTP/AVP 8\n}},{}}}}}}}",
                remote(end)
            )
        });
        format!("C=${{{near},{far}}}")
    }
}

/// The remote descriptor of a far end.
fn remote(end: SocketAddr) -> String {
    let (ip, port) = (end.ip(), end.port());
    format!("R{{\nv=0\nc=IN IP4 {ip}\nm=audio {port} RTP/AVP 8\n}}")
}

impl Findings {
    fn figures(&self, args: &ChurnArgs) -> Vec<Figure> {
        let figure = |what: &str, value: f64, unit| Figure {
            what: what.to_owned(),
            value,
            unit,
        };
        let outcome = &self.outcome;
        let seconds = outcome.lasted.as_secs_f64();
        let each = |(step, taken): (&str, Duration)| {
            let micros = taken.as_secs_f64() * 1e6 / args.contexts.max(1) as f64;
            figure(&format!("{step}, each context"), micros, "µs")
        };
        let steps = STEPS.into_iter().zip(self.taken).map(each);
        steps
            .chain([
                figure("requests sent again", self.resent as f64, ""),
                figure("packets sent", outcome.sent as f64, ""),
                figure("packets a second", outcome.sent as f64 / seconds, "1/s"),
                figure("packets lost", self.lost() as f64, ""),
                figure(
                    "longest way of one",
                    outcome.longest.as_secs_f64() * 1e3,
                    "ms",
                ),
                figure(
                    "CPU of media",
                    self.cpu.as_secs_f64() / seconds * 100.0,
                    "%",
                ),
                figure(
                    "media waited for a core",
                    self.waited.as_secs_f64() / seconds * 100.0,
                    "%",
                ),
            ])
            .collect()
    }

    fn lost(&self) -> u64 {
        self.outcome.sent.saturating_sub(self.outcome.received)
    }

    /// What is not as it should be.
    fn faults(&self, standing: usize) -> Vec<String> {
        let mut faults = Vec::new();
        let outcome = &self.outcome;
        if self.lost() > 0 || outcome.received > outcome.sent {
            let (sent, received) = (outcome.sent, outcome.received);
            faults.push(format!("{received} packets of {sent} came out"));
        }
        for (count, what) in [
            (outcome.disordered, "out of order or twice"),
            (outcome.strange, "of no stream of theirs"),
        ] {
            if count > 0 {
                faults.push(format!("{count} packets came out {what}"));
            }
        }
        let [before, after] = &self.statuses;
        let names = after["counters"].as_object().into_iter().flatten();
        for name in names
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("drop."))
        {
            let dropped = status::counter(after, name) - status::counter(before, name);
            if dropped > 0 {
                faults.push(format!("{name}: {dropped}"));
            }
        }
        let contexts = status::figure(after, "/contexts");
        if contexts != standing as u64 {
            faults.push(format!("{contexts} contexts are left, not {standing}"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_dropped_or_left_is_a_fault() {
        let status = |dropped: u64, contexts: u64| serde_json::json!({"contexts": contexts, "counters": {"drop.source": dropped}});
        let findings = |sent, received, dropped, contexts| Findings {
            outcome: Outcome {
                sent,
                received,
                ..Outcome::default()
            },
            taken: [Duration::ZERO; STEPS.len()],
            resent: 0,
            cpu: Duration::ZERO,
            waited: Duration::ZERO,
            statuses: [status(3, 2), status(dropped + 3_u64, contexts)],
        };
        assert_eq!(findings(9, 9, 0, 2).faults(2), Vec::<String>::new());
        for faulty in [
            findings(9, 8, 0, 2),
            findings(9, 9, 1, 2),
            findings(9, 9, 0, 3),
        ] {
            assert_eq!(faulty.faults(2).len(), 1, "{:?}", faulty.faults(2));
        }
    }
}
