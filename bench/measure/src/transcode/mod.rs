//! Calls between two codecs through our media process and through rtpengine, side by side: the same
//! packets to both, and CPU for each second of a call.
//!
//! A call is two streams, each transcoded to the other's codec. What is sent was encoded before
//! from speech; what comes back of one call is decoded and compared with what was said, so that
//! nobody wins by leaving things out.

mod rtpengine;

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::churn::traffic;
use crate::hosts::{self, Cable, ENDS, Hosts, Io, Told};
use crate::report;
use crate::signalling::{GENERATOR_CORE, MEASURED_CORE};
use crate::talkers::{Format, Passed, Said, Stream, Talkers, likeness_of};
use interop::controller::{Controller, locals_of};
use rtpengine::Rtpengine;

/// Flags of `transcode`.
#[derive(Debug, Args)]
pub struct TranscodeArgs {
    /// Pairs of codecs; all when none is named
    #[arg(value_name = "PAIR")]
    pairs: Vec<String>,
    /// What is measured
    #[arg(long, value_delimiter = ',', default_value = "af_xdp,udp,rtpengine")]
    kinds: Vec<String>,
    /// Calls, in place of so many as rtpengine has time for
    #[arg(long)]
    calls: Option<usize>,
    /// Seconds measured
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Before the seconds measured this is run with the number of the process behind it
    #[arg(long, value_name = "COMMAND")]
    meanwhile: Option<String>,
    /// Write the rows here, separated by tabs
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
}

/// Two codecs of a call.
struct Pair {
    name: &'static str,
    formats: [Format; 2],
    /// The second as rtpengine is told it: encoding, rate, channels, bit rate.
    coded: &'static str,
    /// Calls that rtpengine has time for on one core.
    calls: usize,
    /// How much less CPU ours is to use, on AF_XDP and over sockets.
    goals: [f64; 2],
    /// How like speech must be when it has passed.
    likeness_min: f32,
}

/// The effort that rtpengine has libopus make; it cannot be told another.
const COMPLEXITY: u8 = 10;

const fn format(rtpmap: &'static str, payload_type: u8) -> Format {
    Format {
        rtpmap,
        payload_type,
        complexity: COMPLEXITY,
    }
}

const PCMA: Format = format("PCMA/8000", 8);

const PAIRS: [Pair; 4] = [
    Pair {
        name: "PCMU-PCMA",
        formats: [format("PCMU/8000", 0), PCMA],
        coded: "PCMA",
        calls: 150,
        goals: [8.0, 6.0],
        likeness_min: 0.98,
    },
    Pair {
        name: "PCMA-AMR",
        formats: [PCMA, format("AMR/8000", 96)],
        coded: "AMR/8000/1/12200",
        calls: 60,
        goals: [1.4, 1.4],
        likeness_min: 0.8,
    },
    Pair {
        name: "PCMA-AMR-WB",
        formats: [PCMA, format("AMR-WB/16000", 96)],
        coded: "AMR-WB/16000/1/23850",
        calls: 40,
        goals: [1.2, 1.2],
        likeness_min: 0.8,
    },
    Pair {
        name: "PCMA-opus",
        formats: [PCMA, format("opus/48000/2", 96)],
        coded: "opus/48000/1/24000",
        calls: 20,
        goals: [1.5, 1.5],
        likeness_min: 0.7,
    },
];

/// What our process is told beside what all are: the effort of Opus is that of rtpengine.
const MORE: &str = "[mrfp]\nopus_complexity = 10\n";

/// Before what counts: jitter buffers settle, caches are warm.
const WARM_UP: Duration = Duration::from_secs(3);
/// Share of what is offered that must come back.
const KEPT_MIN: f64 = 0.98;
/// Requests under way at a time.
const WINDOW: usize = 8;

/// What was found of one pair and one of those measured.
struct Finding {
    kind: String,
    passed: Passed,
    /// Milliseconds of CPU for each second of a call: of the process, and of the thread that
    /// receives for its interface.
    process_ms: f64,
    interface_ms: f64,
    /// Seconds that it had to wait for a core, for each second.
    waited: f64,
    /// Of what the first hears, and the second.
    likeness: [f32; 2],
    /// Octets of its payloads.
    octets: [f64; 2],
}

/// What is measured.
enum Measured {
    Ours(Box<Hosts>),
    Theirs(Box<Rtpengine>),
}

/// Runs the measurement and prints it; fails when something is lost or does not sound as it should.
pub fn run(args: &TranscodeArgs) -> ExitCode {
    let is_wanted =
        |pair: &&Pair| args.pairs.is_empty() || args.pairs.iter().any(|name| name == pair.name);
    let mut faults = Vec::new();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let seconds = args.seconds;
    let mut rows = format!("# {seconds} s, load {load}\n{}\n", COLUMNS.join("\t"));
    println!(
        "{:14} {:10} {:>5} {:>8} {:>8} {:>9} {:>9} {:>9} {:>6} {:>11} {:>11}",
        "pair",
        "kind",
        "calls",
        "offered",
        "back",
        "process",
        "interface",
        "ms/call-s",
        "waits",
        "likeness",
        "octets"
    );
    for pair in PAIRS.iter().filter(is_wanted) {
        let calls = args.calls.unwrap_or(pair.calls);
        let findings: Vec<Finding> = args
            .kinds
            .iter()
            .map(|kind| {
                let finding = measure(pair, kind, calls, args);
                finding.show(pair, calls, args.seconds, &mut rows);
                faults.extend(finding.faults(pair));
                finding
            })
            .collect();
        compare(pair, &findings);
    }
    if let Some(path) = &args.rows
        && let Err(fault) = std::fs::write(path, rows)
    {
        faults.push(format!("cannot write {}: {fault}", path.display()));
    }
    for fault in &faults {
        println!("{fault}");
    }
    match faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// How much less ours uses than rtpengine.
fn compare(pair: &Pair, findings: &[Finding]) {
    let of = |kind: &str| findings.iter().find(|finding| finding.kind == kind);
    let Some(theirs) = of("rtpengine") else {
        return;
    };
    for (kind, goal) in ["af_xdp", "udp"].into_iter().zip(pair.goals) {
        if let Some(ours) = of(kind) {
            println!(
                "{:14} {kind} beside rtpengine: {:.2} times less (goal {goal}); processes alone {:.2}",
                pair.name,
                theirs.total_ms() / ours.total_ms(),
                theirs.process_ms / ours.process_ms,
            );
        }
    }
}

fn measure(pair: &Pair, kind: &str, calls: usize, args: &TranscodeArgs) -> Finding {
    let cable = Cable::lay().with_receivers(MEASURED_CORE);
    let io = match kind {
        "af_xdp" => Some(Io::AfXdp),
        "udp" => Some(Io::Udp),
        "rtpengine" => None,
        other => panic!("not measured: {other}"),
    };
    let measured = match io {
        Some(io) => {
            let told = Told {
                io,
                function: "mrfp",
                more: MORE,
            };
            Measured::Ours(Box::new(Hosts::start(cable, told, MEASURED_CORE)))
        }
        None => Measured::Theirs(Box::new(Rtpengine::start(cable, MEASURED_CORE))),
    };
    let far = measured.cable().far();
    far.inside(|| {
        report::pin(GENERATOR_CORE);
        let ends = traffic::open(ENDS);
        let (calls_at, formats) = match &measured {
            Measured::Ours(_) => (add_contexts(pair, calls), pair.formats),
            Measured::Theirs(_) => set_up_calls(pair, calls),
        };
        let said = [0, 1].map(|side: usize| Arc::new(Said::new(side as u32 + 1, formats[side])));
        let streams = calls_at.iter().enumerate().flat_map(|(call, at)| {
            let said = &said;
            [0, 1].map(|side: usize| Stream {
                end: side,
                at: at[side],
                said: Some(Arc::clone(&said[side])),
                is_kept: call == 0,
            })
        });
        let talkers = Talkers::start(ends, streams.collect());
        thread::sleep(WARM_UP);
        let mut meanwhile = args.meanwhile.as_ref().map(|command| {
            let line = format!("{command} {}", measured.pid());
            let child = std::process::Command::new("sh").args(["-c", &line]).spawn();
            child.expect("there is a shell")
        });
        let before = (measured.used(), talkers.passed());
        thread::sleep(Duration::from_secs(args.seconds));
        let after = (measured.used(), talkers.passed());
        if let Some(child) = &mut meanwhile {
            child.wait().expect("it ends");
        }
        let heard = talkers.finish();
        let call_seconds = calls as f64 * args.seconds as f64;
        let each_ms = |after: Duration, before: Duration| {
            after.saturating_sub(before).as_secs_f64() * 1e3 / call_seconds
        };
        let ([cpu, received, waited], [cpu_before, received_before, waited_before]) =
            (after.0, before.0);
        // What one hears the other has said.
        let kept = |side| heard.kept.get(&side).map_or(&[][..], Vec::as_slice);
        let likeness = [(0, 1), (1, 0)]
            .map(|(hears, says)| likeness_of(&said[says], kept(hears), formats[hears]));
        let octets = [0, 1].map(|side| payload_octets(kept(side)));
        Finding {
            kind: kind.to_owned(),
            passed: Passed {
                sent: after.1.sent - before.1.sent,
                received: after.1.received - before.1.received,
            },
            process_ms: each_ms(cpu, cpu_before),
            interface_ms: each_ms(received, received_before),
            waited: waited.saturating_sub(waited_before).as_secs_f64() / args.seconds as f64,
            likeness,
            octets,
        }
    })
}

/// Octets that payloads have in the mean.
fn payload_octets(packets: &[Vec<u8>]) -> f64 {
    let sum: usize = packets
        .iter()
        .map(|packet| packet.len().saturating_sub(rtp::HEADER_BYTES))
        .sum();
    sum as f64 / packets.len().max(1) as f64
}

/// Adds a context of two terminations for each call; returns where they receive.
fn add_contexts(pair: &Pair, calls: usize) -> Vec<[SocketAddr; 2]> {
    let mut controller = Controller::open(hosts::MGC);
    let terminations = [0, 1].map(|side: usize| termination(pair.formats[side], ENDS[side], "SR"));
    let add = format!("C=${{{}}}", terminations.join(","));
    let mut at = vec![None; calls];
    controller.each(
        calls,
        WINDOW,
        |_| add.clone(),
        |call, reply| {
            at[call] = locals_of(reply).try_into().ok();
        },
    );
    let at = at.into_iter();
    at.map(|at| at.expect("two addresses")).collect()
}

/// An Add of a termination in a format, sent to `end`.
pub fn termination(format: Format, end: SocketAddr, mode: &str) -> String {
    let (media, ip, port) = (format.description(), end.ip(), end.port());
    format!(
        "A=${{M{{ST=1{{O{{MO={mode}}},L{{\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP {media}}},\
         R{{\nv=0\nc=IN IP4 {ip}\nm=audio {port} RTP/AVP {media}}}}}}}}}"
    )
}

fn set_up_calls(pair: &Pair, calls: usize) -> (Vec<[SocketAddr; 2]>, [Format; 2]) {
    let mut formats = pair.formats;
    let all = (0..calls).map(|call| {
        let (at, payload_type) = rtpengine::set_up(call, pair.formats, pair.coded);
        formats[1].payload_type = payload_type;
        at
    });
    let all = all.collect();
    (all, formats)
}

impl Measured {
    fn cable(&self) -> &Cable {
        match self {
            Self::Ours(hosts) => hosts.cable(),
            Self::Theirs(rtpengine) => rtpengine.cable(),
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Ours(hosts) => hosts.pid(),
            Self::Theirs(rtpengine) => rtpengine.pid(),
        }
    }

    /// CPU of the process and of its interface, and how long the former had to wait for any.
    fn used(&self) -> [Duration; 3] {
        let usage = match self {
            Self::Ours(hosts) => hosts.usage(),
            Self::Theirs(rtpengine) => rtpengine.usage(),
        };
        [usage.cpu, self.cable().received(), usage.waited]
    }
}

impl Finding {
    fn total_ms(&self) -> f64 {
        self.process_ms + self.interface_ms
    }

    fn show(&self, pair: &Pair, calls: usize, seconds: u64, rows: &mut String) {
        let rate = |packets: u64| packets / seconds;
        let [first, second] = self.likeness;
        let [first_octets, second_octets] = self.octets;
        println!(
            "{:14} {:10} {calls:5} {:8} {:8} {:9.3} {:9.3} {:9.3} {:6.2} {first:.3} {second:.3} \
             {first_octets:5.1} {second_octets:5.1}",
            pair.name,
            self.kind,
            rate(self.passed.sent),
            rate(self.passed.received),
            self.process_ms,
            self.interface_ms,
            self.total_ms(),
            self.waited,
        );
        // It fails on nothing but want of memory.
        let _ = writeln!(
            rows,
            "{}\t{}\t{calls}\t{}\t{}\t{:.3}\t{:.3}\t{:.2}\t{first:.3}\t{second:.3}\t\
             {first_octets:.1}\t{second_octets:.1}",
            pair.name,
            self.kind,
            rate(self.passed.sent),
            rate(self.passed.received),
            self.process_ms,
            self.interface_ms,
            self.waited,
        );
    }

    /// What is not as it should be.
    fn faults(&self, pair: &Pair) -> Vec<String> {
        let mut faults = Vec::new();
        let Passed { sent, received } = self.passed;
        let subject = format!("{} by {}", pair.name, self.kind);
        if (received as f64) < sent as f64 * KEPT_MIN {
            faults.push(format!("{subject}: {received} packets of {sent} came back"));
        }
        for likeness in self.likeness {
            if likeness < pair.likeness_min {
                let least = pair.likeness_min;
                faults.push(format!("{subject}: likeness {likeness:.3} below {least}"));
            }
        }
        faults
    }
}

/// Columns of the rows.
const COLUMNS: [&str; 12] = [
    "pair",
    "kind",
    "calls",
    "offered",
    "back",
    "process_ms",
    "interface_ms",
    "waited",
    "first_hears",
    "second_hears",
    "first_octets",
    "second_octets",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(received: u64, likeness: f32) -> Finding {
        Finding {
            kind: "udp".into(),
            passed: Passed {
                sent: 1000,
                received,
            },
            process_ms: 1.0,
            interface_ms: 0.5,
            waited: 0.0,
            likeness: [1.0, likeness],
            octets: [160.0; 2],
        }
    }

    #[test]
    fn who_leaves_out_packets_or_speech_is_found() {
        let pair = &PAIRS[0];
        assert!(finding(1000, 0.99).faults(pair).is_empty());
        assert_eq!(finding(900, 0.99).faults(pair).len(), 1);
        assert_eq!(finding(1000, 0.1).faults(pair).len(), 1);
    }

    #[test]
    fn braces_of_a_termination_are_balanced() {
        for pair in &PAIRS {
            let text = termination(pair.formats[1], ENDS[0], "SR");
            assert_eq!(text.matches('{').count(), text.matches('}').count());
        }
    }

    #[test]
    fn a_row_has_every_column() {
        let mut rows = String::new();
        finding(1000, 1.0).show(&PAIRS[0], 10, 1, &mut rows);
        assert_eq!(rows.trim().split('\t').count(), COLUMNS.len());
    }
}
