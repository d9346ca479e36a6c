//! CPU of control for each registration and each call, and memory for each registration.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use crate::crowd::{self, Crowd, Side, Tally};
use crate::report::{self, Figure};
use crate::rig::{Layout, Plan, Rig, Sample};

/// The core of the generator.
pub const GENERATOR_CORE: usize = 1;
/// The core of what is measured.
pub const MEASURED_CORE: usize = 0;
/// An operation that takes longer has failed.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Flags of `registration` and `call`.
#[derive(Debug, Args)]
pub struct SignallingArgs {
    /// Operations measured
    #[arg(long, default_value_t = 20_000)]
    count: u64,
    /// Operations before these, which fill caches and tables
    #[arg(long, default_value_t = 4_000)]
    warm_up: u64,
    /// Operations under way at a time
    #[arg(long, default_value_t = 32)]
    window: u64,
    /// At most so many operations a second; 0: as many as the window lets through
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Users on each side
    #[arg(long, default_value_t = 1_000)]
    users: usize,
    /// Processes
    #[arg(long, value_enum, default_value_t = Layout::Together)]
    layout: Layout,
    /// Without a media process: calls are not anchored
    #[arg(long)]
    no_media: bool,
    /// What the processes log
    #[arg(long, default_value = "warn")]
    log: String,
    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// REGISTER, 401, REGISTER, 200 with AKA.
    Registration,
    /// INVITE to BYE between two registered users.
    Call,
}

impl Operation {
    /// Operations that have come to an end, whichever.
    fn done(self, tally: Tally) -> u64 {
        self.failed(tally)
            + match self {
                Operation::Registration => tally.registered,
                Operation::Call => tally.ended,
            }
    }

    /// Those that came to nothing: on a machine that is busy with other things, control may shed
    /// load (503).
    fn failed(self, tally: Tally) -> u64 {
        match self {
            Operation::Registration => tally.registrations_failed,
            Operation::Call => tally.failed,
        }
    }

    fn begin(self, crowd: &mut Crowd, users: usize, number: u64) {
        let user = usize::try_from(number % users as u64).unwrap_or(0);
        match self {
            // Both sides by turns.
            Operation::Registration if (number / users as u64).is_multiple_of(2) => {
                crowd.register(Side::Caller, user);
            }
            Operation::Registration => crowd.register(Side::Called, user),
            Operation::Call => crowd.call(user),
        }
    }
}

/// Runs one measurement and prints it.
pub fn run(operation: Operation, args: &SignallingArgs) -> ExitCode {
    let rig = Rig::start(Plan {
        layout: args.layout,
        media: operation == Operation::Call && !args.no_media,
        core: MEASURED_CORE,
        log: args.log.clone(),
    });
    let file = crowd::import_file(args.users);
    rig.import(&rig.folder().write("subscribers.csv", file));
    let figures = rig.namespace().inside(|| {
        report::pin(GENERATOR_CORE);
        let mut crowd = Crowd::open(rig.proxy(), args.users).expect("the addresses are free");
        let mut load = Load::new(operation, args);
        if operation == Operation::Call {
            let mut registrations = Load::new(Operation::Registration, args);
            registrations.run(&mut crowd, 2 * args.users as u64);
        }
        load.run(&mut crowd, args.warm_up);
        let (before, failed_before) = (rig.usage(), operation.failed(crowd.tally()));
        let started = Instant::now();
        load.run(&mut crowd, args.count);
        let seconds = started.elapsed().as_secs_f64();
        let mut figures = figures(&before, &rig.usage(), args.count, seconds);
        figures.push(Figure {
            what: "operations that failed".to_owned(),
            value: (operation.failed(crowd.tally()) - failed_before) as f64,
            unit: "",
        });
        figures
    });
    let name = match operation {
        Operation::Registration => "AKA registration",
        Operation::Call if args.no_media || args.layout == Layout::Kamailio => "call, not anchored",
        Operation::Call => "anchored call",
    };
    report::show(name, &figures, args.json.as_deref())
}

/// Operations in a closed loop, or at a rate.
struct Load<'a> {
    operation: Operation,
    args: &'a SignallingArgs,
    begun: u64,
}

impl<'a> Load<'a> {
    fn new(operation: Operation, args: &'a SignallingArgs) -> Self {
        Load {
            operation,
            args,
            begun: 0,
        }
    }

    /// Does `count` operations more.
    fn run(&mut self, crowd: &mut Crowd, count: u64) {
        let done_before = self.operation.done(crowd.tally());
        let (started, mut begun, mut done) = (Instant::now(), 0, 0);
        let mut last_progress = Instant::now();
        while done < count {
            let allowed = match self.args.rate {
                0 => count,
                rate => (started.elapsed().as_secs_f64() * rate as f64) as u64 + 1,
            };
            while begun < count.min(allowed) && begun - done < self.args.window {
                self.operation.begin(crowd, self.args.users, self.begun);
                self.begun += 1;
                begun += 1;
            }
            crowd.turn();
            let tally = crowd.tally();
            let now_done = self.operation.done(tally) - done_before;
            if now_done > done {
                done = now_done;
                last_progress = Instant::now();
            }
            assert!(last_progress.elapsed() < STALL_LIMIT, "stuck: {tally:?}");
        }
    }
}

fn figures(before: &[Sample], after: &[Sample], count: u64, seconds: f64) -> Vec<Figure> {
    let mut all = vec![Figure {
        what: "operations a second".to_owned(),
        value: count as f64 / seconds,
        unit: "1/s",
    }];
    let (mut control, mut cscfs) = (0.0, 0.0);
    for (before, after) in before.iter().zip(after) {
        let cpu = (after.usage.cpu - before.usage.cpu).as_secs_f64() * 1e6 / count as f64;
        if before.name != "media" {
            control += cpu;
        }
        if !["media", "hss", "control"].contains(&before.name) {
            cscfs += cpu;
        }
        all.push(Figure {
            what: format!("CPU of {} for each", before.name),
            value: cpu,
            unit: "µs",
        });
    }
    all.push(Figure {
        what: "CPU of control processes in sum for each".to_owned(),
        value: control,
        unit: "µs",
    });
    if cscfs > 0.0 {
        all.push(Figure {
            what: "CPU of the CSCFs in sum for each".to_owned(),
            value: cscfs,
            unit: "µs",
        });
    }
    all
}
