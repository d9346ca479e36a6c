//! Rooms of a media process: one with many listeners, many with few, and what relayed packets wait
//! for beside as many operations of codecs as there is time for.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use crate::churn::traffic;
use crate::hosts::{self, Cable, ENDS, Hosts, Io, Told};
use crate::report::{self, Figure};
use crate::signalling::{GENERATOR_CORE, MEASURED_CORE};
use crate::status;
use crate::talkers::{Format, Said, Stream, Talkers};
use crate::transcode::termination;
use crate::wire::Wire;
use interop::controller::{Controller, context_of, locals_of};

/// Flags of `rooms`.
#[derive(Debug, Args)]
pub struct RoomsArgs {
    /// What there is
    #[arg(value_enum)]
    what: What,
    /// Talkers of the room
    #[arg(long, default_value_t = 8)]
    talkers: usize,
    /// Those who only listen
    #[arg(long, default_value_t = 1000)]
    listeners: usize,
    /// Rooms of four, or calls between codecs
    #[arg(long)]
    rooms: Option<usize>,
    /// Packet back-end
    #[arg(long, value_enum, default_value_t = Io::AfXdp)]
    io: Io,
    /// Seconds measured
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// While it is measured this is run with the number of the process behind it
    #[arg(long, value_name = "COMMAND")]
    meanwhile: Option<String>,
    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What there is in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// One room in AMR-WB with a few talkers and many listeners
    Listeners,
    /// Many rooms of four talkers in G.711
    Many,
    /// Calls from G.711 to AMR-WB, and a call that is only relayed
    Beside,
}

const PCMA: Format = Format {
    rtpmap: "PCMA/8000",
    payload_type: 8,
    complexity: 5,
};
const AMR_WB: Format = Format {
    rtpmap: "AMR-WB/16000",
    payload_type: 96,
    complexity: 5,
};

/// Rooms of four that one core is to have time for.
const ROOMS: usize = 500;
/// Calls between codecs that take as much of a core as is dealt out.
const CALLS: usize = 45;
/// Before what counts: jitter buffers settle, caches are warm.
const WARM_UP: Duration = Duration::from_secs(3);
/// Requests under way at a time.
const WINDOW: usize = 8;
/// Adds in a request.
const BATCH: usize = 16;
/// Between two packets that are relayed, and how long one is waited for.
const PROBE_EVERY: Duration = Duration::from_micros(1_300);
const PROBE_LIMIT: Duration = Duration::from_millis(500);

/// The process has a second gateway that relays.
const WITH_RELAY: &str = "[[mg]]\nfunction = \"trgw\"\nmgc = [\"192.0.2.100:2945\"]\n\
    mid = \"192.0.2.1:2945\"\nrealms = { access = [\"192.0.2.5\"], core = [\"192.0.2.6\"] }\n\
    ports = \"6000-8999\"\n";
/// Its controller.
const RELAY_MGC: SocketAddr = SocketAddr::new(hosts::MGC.ip(), 2945);
/// The ends of what is relayed.
const RELAY_ENDS: [SocketAddr; 2] = [
    SocketAddr::new(ENDS[0].ip(), 40_000),
    SocketAddr::new(ENDS[1].ip(), 40_000),
];

/// Runs the measurement and prints it.
pub fn run(args: &RoomsArgs) -> ExitCode {
    let mut cable = Cable::lay().with_receivers(MEASURED_CORE);
    let is_beside = args.what == What::Beside;
    if is_beside {
        cable = cable.with_precedence();
    }
    let told = Told {
        io: args.io,
        function: "mrfp",
        more: if is_beside { WITH_RELAY } else { "" },
    };
    let hosts = Hosts::start(cable, told, MEASURED_CORE);
    let figures = hosts.far().inside(|| {
        report::pin(GENERATOR_CORE);
        let ends = traffic::open(ENDS);
        let mut controller = Controller::open(hosts::MGC);
        let mut relay = is_beside.then(|| {
            let call = add_relayed();
            (Probe::open(call), Vec::new())
        });
        if let Some((probe, figures)) = &mut relay {
            figures.extend(waits(&hosts, args, probe, "alone"));
        }
        let streams = match args.what {
            What::Listeners => add_room(&mut controller, args.talkers, args.listeners),
            What::Many => add_rooms(&mut controller, args.rooms.unwrap_or(ROOMS)),
            What::Beside => add_calls(&mut controller, args.rooms.unwrap_or(CALLS)),
        };
        let talkers = Talkers::start(ends, streams);
        thread::sleep(WARM_UP);
        let before = Moment::of(&hosts, &talkers);
        let mut meanwhile = args.meanwhile.as_ref().map(|command| {
            let line = format!("{command} {}", hosts.pid());
            let child = std::process::Command::new("sh").args(["-c", &line]).spawn();
            child.expect("there is a shell")
        });
        let mut figures = match &mut relay {
            Some((probe, figures)) => {
                figures.extend(waits(&hosts, args, probe, "beside"));
                std::mem::take(figures)
            }
            None => {
                thread::sleep(Duration::from_secs(args.seconds));
                Vec::new()
            }
        };
        let after = Moment::of(&hosts, &talkers);
        if let Some(child) = &mut meanwhile {
            child.wait().expect("it ends");
        }
        talkers.finish();
        figures.extend(after.since(&before));
        figures
    });
    report::show("rooms", &figures, args.json.as_deref())
}

/// How long packets take that are relayed, by the time stamps of the kernel: from interface to
/// interface as others see it, and, where it sees sockets, in the host of the process.
fn waits(hosts: &Hosts, args: &RoomsArgs, probe: &mut Probe, how: &str) -> Vec<Figure> {
    let filter = format!("udp port {}", RELAY_ENDS[0].port());
    let far = Wire::watch(hosts.far(), "far", &filter);
    let is_seen = args.io == Io::Udp;
    let near = is_seen.then(|| Wire::watch(hosts.cable().near(), "near", &filter));
    let lost = probe.run(args.seconds);
    let mut figures = of_waits(&format!("{how}, out and back"), &far.finish());
    if let Some(near) = near {
        figures.extend(of_waits(&format!("{how}, in the host"), &near.finish()));
    }
    figures.push(Figure {
        what: format!("a relayed packet, {how}: lost"),
        value: f64::from(lost),
        unit: "",
    });
    figures
}

/// Shares of sorted times.
fn of_waits(how: &str, taken: &[Duration]) -> Vec<Figure> {
    let shares = [
        ("half within", 0.5),
        ("0.99 within", 0.99),
        ("0.999 within", 0.999),
        ("longest", 1.0),
    ];
    let figures = shares.map(|(what, share)| {
        let index = (taken.len() as f64 * share) as usize;
        let time = taken.get(index.min(taken.len().saturating_sub(1)));
        Figure {
            what: format!("a relayed packet, {how}: {what}"),
            value: time.copied().unwrap_or_default().as_secs_f64() * 1e6,
            unit: "µs",
        }
    });
    figures.into()
}

/// Adds one room; returns who is in it.
fn add_room(controller: &mut Controller<usize>, talkers: usize, listeners: usize) -> Vec<Stream> {
    let talks = vec!["SR"; talkers];
    let mut streams = Vec::new();
    let mut context = String::new();
    let first = format!("C=${{{}}}", adds(AMR_WB, &talks));
    let said: Vec<_> = (1..=talkers as u32)
        .map(|seed| Said::new(seed, AMR_WB))
        .collect();
    let mut said = said.into_iter().map(Arc::new);
    controller.each(
        1,
        1,
        |_| first.clone(),
        |_, reply| {
            context = context_of(reply);
            streams.extend(
                locals_of(reply)
                    .into_iter()
                    .map(|at| talker(at, said.next())),
            );
        },
    );
    let batches = listeners.div_ceil(BATCH);
    let batch = |number: usize| (listeners - number * BATCH).min(BATCH);
    let more = |number| {
        format!(
            "C={context}{{{}}}",
            adds(AMR_WB, &vec!["SO"; batch(number)])
        )
    };
    let mut listening = Vec::new();
    controller.each(batches, 1, more, |_, reply| {
        listening.extend(locals_of(reply))
    });
    assert_eq!(listening.len(), listeners);
    streams.extend(listening.into_iter().map(|at| talker(at, None)));
    streams
}

/// Adds rooms of four.
fn add_rooms(controller: &mut Controller<usize>, rooms: usize) -> Vec<Stream> {
    let add = format!("C=${{{}}}", adds(PCMA, &["SR"; 4]));
    let said: Vec<_> = (1..=4)
        .map(|seed| Arc::new(Said::new(seed, PCMA)))
        .collect();
    let mut streams = Vec::new();
    controller.each(
        rooms,
        WINDOW,
        |_| add.clone(),
        |_, reply| {
            let locals = locals_of(reply).into_iter().zip(&said);
            streams.extend(locals.map(|(at, said)| talker(at, Some(Arc::clone(said)))));
        },
    );
    streams
}

/// Adds calls from one codec to another.
fn add_calls(controller: &mut Controller<usize>, calls: usize) -> Vec<Stream> {
    let formats = [PCMA, AMR_WB];
    let both = formats.map(|format| adds(format, &["SR"])).join(",");
    let add = format!("C=${{{both}}}");
    let said = formats.map(|format| Arc::new(Said::new(1, format)));
    let mut streams = Vec::new();
    controller.each(
        calls,
        WINDOW,
        |_| add.clone(),
        |_, reply| {
            let locals = locals_of(reply).into_iter().zip(&said);
            streams.extend(locals.map(|(at, said)| talker(at, Some(Arc::clone(said)))));
        },
    );
    streams
}

/// Adds of one format, in these modes.
fn adds(format: Format, modes: &[&str]) -> String {
    let adds = modes.iter().map(|mode| termination(format, ENDS[0], mode));
    adds.collect::<Vec<_>>().join(",")
}

fn talker(at: SocketAddr, said: Option<Arc<Said>>) -> Stream {
    Stream {
        end: 0,
        at,
        said,
        is_kept: false,
    }
}

/// A context of the gateway that relays; returns where it receives.
fn add_relayed() -> [SocketAddr; 2] {
    let mut controller = Controller::open(RELAY_MGC);
    let ends = RELAY_ENDS.map(|end| termination(PCMA, end, "SR"));
    // Each end is in a realm of its own there.
    let [near, far] = ends;
    let realm = |text: String, name: &str| {
        text.replacen("MO=SR", &format!("MO=SR,ipdc/realm=\"{name}\""), 1)
    };
    let add = format!("C=${{{},{}}}", realm(near, "access"), realm(far, "core"));
    let mut at = None;
    controller.each(
        1,
        1,
        |_| add.clone(),
        |_, reply| at = locals_of(reply).try_into().ok(),
    );
    at.expect("two addresses")
}

/// One packet at a time through what is relayed.
struct Probe {
    ends: [UdpSocket; 2],
    to: SocketAddr,
    sequence: u16,
}

impl Probe {
    fn open(call: [SocketAddr; 2]) -> Self {
        let ends = RELAY_ENDS.map(|end| UdpSocket::bind(end).expect("the address is free"));
        let limit = Some(PROBE_LIMIT);
        ends[1].set_read_timeout(limit).expect("it is not zero");
        Probe {
            ends,
            to: call[0],
            sequence: 0,
        }
    }

    /// Sends packets for so many seconds; how many do not come back.
    fn run(&mut self, seconds: u64) -> u32 {
        let started = Instant::now();
        let mut lost = 0;
        while started.elapsed() < Duration::from_secs(seconds) {
            lost += u32::from(!self.send_one());
            thread::sleep(PROBE_EVERY);
        }
        lost
    }

    /// True when it comes back.
    fn send_one(&mut self) -> bool {
        let header = rtp::Header {
            payload_type: PCMA.payload_type,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: 1,
            ..rtp::Header::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = [0xd5; 172];
        header.write_to(&mut packet).expect("it is longer");
        self.ends[0].send_to(&packet, self.to).expect("it leaves");
        let mut buffer = [0; 256];
        while let Ok(bytes) = self.ends[1].recv(&mut buffer) {
            // One that was given up comes late.
            if buffer[..bytes].get(2..4) == Some(&packet[2..4]) {
                return true;
            }
        }
        false
    }
}

/// What there was at a time.
struct Moment {
    at: Instant,
    cpu: Duration,
    received: Duration,
    waited: Duration,
    passed: crate::talkers::Passed,
    status: Value,
}

impl Moment {
    fn of(hosts: &Hosts, talkers: &Talkers) -> Self {
        let status = hosts.status();
        let usage = hosts.usage();
        Moment {
            at: Instant::now(),
            cpu: usage.cpu,
            received: hosts.cable().received(),
            waited: usage.waited,
            passed: talkers.passed(),
            status,
        }
    }

    fn since(&self, before: &Moment) -> Vec<Figure> {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let figure = |what: &str, value: f64, unit| Figure {
            what: what.to_owned(),
            value,
            unit,
        };
        let share = |now: Duration, then: Duration| {
            now.saturating_sub(then).as_secs_f64() / seconds * 100.0
        };
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let of_dsp = |name: &str| {
            let sum = |status: &Value| {
                let loads = status["loads"].as_array().into_iter().flatten();
                loads.map(|load| load[name].as_u64().unwrap_or(0)).sum()
            };
            rate(sum(&self.status), sum(&before.status))
        };
        let dropped = |status: &Value| -> u64 {
            let counters = status["counters"].as_object();
            let names = counters.into_iter().flat_map(|counters| counters.keys());
            let drops = names.filter(|name| name.starts_with("drop."));
            drops.map(|name| status::counter(status, name)).sum()
        };
        let ticks = of_dsp("ticks");
        let (work, looks) = (
            Spread::of(&self.status, "work"),
            Spread::of(&self.status, "looks"),
        );
        let work = work.since(&Spread::of(&before.status, "work"));
        let looks = looks.since(&Spread::of(&before.status, "looks"));
        let cpu = share(self.cpu, before.cpu);
        let of_rooms = share(work.total, Duration::ZERO);
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        vec![
            figure("CPU of media", cpu, "%"),
            figure("of it rooms, by the worker's clock", of_rooms, "%"),
            figure("and all else, packets above all", cpu - of_rooms, "%"),
            figure("a piece of work: half below", micros(work.below(0.5)), "µs"),
            figure(
                "a piece of work: 0.99 below",
                micros(work.below(0.99)),
                "µs",
            ),
            figure(
                "between looks for packets: half below",
                micros(looks.below(0.5)),
                "µs",
            ),
            figure(
                "between looks for packets: 0.99 below",
                micros(looks.below(0.99)),
                "µs",
            ),
            figure(
                "CPU of its interface",
                share(self.received, before.received),
                "%",
            ),
            figure(
                "media waited for a core",
                share(self.waited, before.waited),
                "%",
            ),
            figure(
                "packets in",
                rate(self.passed.sent, before.passed.sent),
                "1/s",
            ),
            figure(
                "packets out",
                rate(self.passed.received, before.passed.received),
                "1/s",
            ),
            figure(
                "packets dropped",
                rate(dropped(&self.status), dropped(&before.status)),
                "1/s",
            ),
            figure("ticks of rooms", ticks, "1/s"),
            figure("ticks left out", of_dsp("skipped"), "1/s"),
            figure("encodings a tick", of_dsp("encoded") / ticks.max(1.0), ""),
        ]
    }
}

/// How long things took that a status tells of.
#[derive(Debug, Default)]
struct Spread {
    total: Duration,
    /// How many, by the bound that they are below.
    below_ns: BTreeMap<u64, u64>,
}

impl Spread {
    /// Those of all workers.
    fn of(status: &Value, what: &str) -> Self {
        let mut sum = Self::default();
        for worker in status["workers"].as_array().into_iter().flatten() {
            let spread = &worker["times"][what];
            let total_us = spread["total_us"].as_u64().unwrap_or(0);
            sum.total += Duration::from_micros(total_us);
            for pair in spread["below_ns"].as_array().into_iter().flatten() {
                let of = |index: usize| pair[index].as_u64().unwrap_or(0);
                *sum.below_ns.entry(of(0)).or_default() += of(1);
            }
        }
        sum
    }

    /// What came since an earlier one.
    fn since(mut self, before: &Self) -> Self {
        self.total = self.total.saturating_sub(before.total);
        for (bound, count) in &mut self.below_ns {
            let earlier = before.below_ns.get(bound).copied().unwrap_or(0);
            *count = count.saturating_sub(earlier);
        }
        self
    }

    /// The bound that this share is below.
    fn below(&self, share: f64) -> Duration {
        let all: u64 = self.below_ns.values().sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut found = 0;
        let bound = self.below_ns.iter().find(|(_, count)| {
            found += **count;
            found >= wanted && found > 0
        });
        Duration::from_nanos(bound.map_or(0, |(bound, _)| *bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_tells_of_times_is_summed_and_subtracted() {
        let at = |total: u64, below: Value| {
            let work = serde_json::json!({ "total_us": total, "below_ns": below });
            serde_json::json!({ "workers": [{ "times": { "work": work } }] })
        };
        let before = at(100, serde_json::json!([[1000, 5], [4000, 1]]));
        let after = at(
            350,
            serde_json::json!([[1000, 5], [2000, 98], [4000, 2], [9000, 1]]),
        );
        let since = Spread::of(&after, "work").since(&Spread::of(&before, "work"));
        assert_eq!(since.total, Duration::from_micros(250));
        let below = [0.5, 0.99, 1.0].map(|share| since.below(share).as_nanos());
        assert_eq!(below, [2000, 4000, 9000]);
        assert_eq!(Spread::default().below(0.5), Duration::ZERO);
    }

    #[test]
    fn what_is_added_has_balanced_braces_and_a_mode_each() {
        let text = adds(AMR_WB, &["SR", "SO", "SO"]);
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        assert_eq!(text.matches("MO=SO").count(), 2);
        assert_eq!(text.matches("A=$").count(), 3);
    }
}
