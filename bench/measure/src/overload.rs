//! More calls and registrations than control can carry: how many still complete, and how soon all
//! do again.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use crate::crowd::{self, Crowd, Side};
use crate::report::{self, Figure};
use crate::rig::{Layout, Plan, Rig};
use crate::signalling::{GENERATOR_CORE, MEASURED_CORE};
use crate::status;

/// Operations under way while the maximum is found.
const WINDOW: u64 = 32;
/// Of the maximum, what must still complete under any load.
const GOODPUT_MIN: f64 = 0.9;
/// Of what is offered at half the maximum, what must complete in the first second that counts as
/// normal.
const NORMAL: f64 = 0.99;
/// Within so many seconds after the load all must be normal.
const RECOVERY_MAX: u64 = 5;
/// How often the highest load is offered again, for memory to come to its height: what lingers of a
/// transaction stays for 128 s, or until there are too many.
const ROUNDS: u32 = 9;
/// Between the last two of these, memory of control may grow by so much, in percent.
const GROWTH_MAX: f64 = 2.0;
/// For what is under way when a load ends.
const REST: Duration = Duration::from_secs(1);

/// Flags of `overload`.
#[derive(Debug, Args)]
pub struct OverloadArgs {
    /// Seconds of each load
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Users on each side: half of the callers call, the others register
    #[arg(long, default_value_t = 4_000)]
    users: usize,
    /// Processes
    #[arg(long, value_enum, default_value_t = Layout::Together)]
    layout: Layout,
    /// Without a media process: calls are not anchored
    #[arg(long)]
    no_media: bool,
    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

/// What came of a time under load.
struct Spell {
    offered: f64,
    completed: f64,
    failed: f64,
    /// Part of what was offered that completed, second by second.
    seconds: Vec<f64>,
}

/// Finds the maximum, then offers once, twice and three times as much, the latter until memory has
/// come to its height, and then half.
pub fn run(args: &OverloadArgs) -> ExitCode {
    let rig = Rig::start(Plan {
        layout: args.layout,
        media: !args.no_media,
        core: MEASURED_CORE,
        log: "error".to_owned(),
    });
    let file = crowd::import_file(args.users);
    rig.import(&rig.folder().write("subscribers.csv", file));
    let mut is_good = true;
    let figures = rig.namespace().inside(|| {
        report::pin(GENERATOR_CORE);
        let crowd = Crowd::open(rig.proxy(), args.users).expect("the addresses are free");
        let mut load = Load {
            crowd,
            users: args.users,
            begun: 0,
        };
        load.register_all();
        let mut figures = Vec::new();
        let mut figure = |what: String, value: f64, unit: &'static str| {
            println!("{what:50} {value:10.2} {unit}");
            figures.push(Figure { what, value, unit });
        };
        let most = load.maximum(args.seconds);
        figure("maximum".to_owned(), most, "1/s");
        for factor in 1..=3_u32 {
            let spell = load.offer(most * f64::from(factor), args.seconds);
            let goodput = spell.completed / most;
            is_good &= goodput >= GOODPUT_MIN;
            let status = rig.pcscf().unwrap_or_default();
            let sojourn = |class: &str| -> f64 {
                let micros = status["sojourn_us"][class].as_f64().unwrap_or(0.0);
                micros / 1e3
            };
            let name = |what: &str| format!("{factor} x: {what}");
            figure(name("offered"), spell.offered, "1/s");
            figure(name("completed"), spell.completed, "1/s");
            figure(name("of the maximum"), goodput * 100.0, "%");
            figure(name("refused or lost"), spell.failed, "1/s");
            figure(name("longest wait, ongoing"), sojourn("ongoing"), "ms");
            figure(name("longest wait, initial"), sojourn("initial"), "ms");
            for sample in rig.usage() {
                let mib = sample.usage.rss_kib as f64 / 1024.0;
                figure(name(&format!("memory of {}", sample.name)), mib, "MiB");
            }
        }
        let mut heights = Vec::new();
        for round in 1..=ROUNDS {
            load.offer(most * 3.0, args.seconds);
            let usage = rig.usage();
            let control = usage.iter().filter(|sample| sample.name != "media");
            let mib = control.map(|sample| sample.usage.rss_kib).sum::<u64>() as f64 / 1024.0;
            heights.push(mib);
            let what = format!("3 x, time {}: memory of control", round + 1);
            figure(what, mib, "MiB");
        }
        if let [.., before, last] = heights[..] {
            let growth = (last / before - 1.0) * 100.0;
            figure("memory of control, last growth".to_owned(), growth, "%");
            is_good &= growth <= GROWTH_MAX;
        }
        let spell = load.offer(most / 2.0, RECOVERY_MAX);
        let normal = spell.seconds.iter().position(|&part| part >= NORMAL);
        is_good &= normal.is_some();
        let after = normal.map_or(f64::NAN, |second| second as f64);
        figure(
            "full seconds until all complete again".to_owned(),
            after,
            "s",
        );
        print_counters(&rig.pcscf().unwrap_or_default());
        figures
    });
    let code = report::show("overload", &figures, args.json.as_deref());
    if is_good { code } else { ExitCode::FAILURE }
}

/// What control refused.
fn print_counters(status: &Value) {
    for name in [
        "sip.received",
        "sip.refused.overload.initial",
        "sip.refused.overload.refresh",
        "sip.refused.full",
        "sip.absorbed",
        "sip.dropped.full",
        "sip.transactions_cut_short",
    ] {
        println!("{name:50} {:10}", status::counter(status, name));
    }
}

/// Calls and registrations by turns.
struct Load {
    crowd: Crowd,
    users: usize,
    begun: u64,
}

impl Load {
    fn begin(&mut self) {
        let half = self.users / 2;
        let user = (self.begun / 2) as usize % half;
        match self.begun % 2 {
            0 => self.crowd.call(user),
            _ => self.crowd.register(Side::Caller, half + user),
        }
        self.begun += 1;
    }

    fn completed(&self) -> u64 {
        let tally = self.crowd.tally();
        tally.registered + tally.ended
    }

    fn failed(&self) -> u64 {
        let tally = self.crowd.tally();
        tally.registrations_failed + tally.failed
    }

    /// Registers everybody.
    fn register_all(&mut self) {
        let sides = [Side::Caller, Side::Called];
        for (side, number) in sides
            .into_iter()
            .flat_map(|side| (0..self.users).map(move |number| (side, number)))
        {
            let before = self.completed() + self.failed();
            self.crowd.register(side, number);
            while self.completed() + self.failed() == before {
                self.crowd.turn();
            }
        }
    }

    /// Operations completed a second with as many under way as keep control busy.
    fn maximum(&mut self, seconds: u64) -> f64 {
        let (started, base) = (Instant::now(), self.begun);
        let (completed, over) = (self.completed(), self.completed() + self.failed());
        while started.elapsed() < Duration::from_secs(seconds) {
            while self.begun - base < self.completed() + self.failed() - over + WINDOW {
                self.begin();
            }
            self.crowd.turn();
        }
        let done = (self.completed() - completed) as f64;
        let rate = done / started.elapsed().as_secs_f64();
        self.rest();
        rate
    }

    /// Begins so many operations a second, whatever becomes of them.
    fn offer(&mut self, rate: f64, seconds: u64) -> Spell {
        let (started, base) = (Instant::now(), self.begun);
        let (completed, failed) = (self.completed(), self.failed());
        let mut each = Vec::new();
        for second in 1..=seconds {
            let (begun_before, completed_before) = (self.begun, self.completed());
            while started.elapsed() < Duration::from_secs(second) {
                let due = (started.elapsed().as_secs_f64() * rate) as u64;
                // Answers are heard in between: the generator itself must not stall.
                for _ in 0..WINDOW {
                    if self.begun - base < due {
                        self.begin();
                    }
                }
                self.crowd.turn();
            }
            let begun = (self.begun - begun_before) as f64;
            each.push((self.completed() - completed_before) as f64 / begun);
        }
        let seconds = started.elapsed().as_secs_f64();
        Spell {
            offered: (self.begun - base) as f64 / seconds,
            completed: (self.completed() - completed) as f64 / seconds,
            failed: (self.failed() - failed) as f64 / seconds,
            seconds: each,
        }
    }

    fn rest(&mut self) {
        let until = Instant::now() + REST;
        while Instant::now() < until {
            self.crowd.turn();
        }
    }
}
