//! Memory for each registration: what stays when the transactions of registering are over.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::crowd::{self, Crowd, Side};
use crate::report::{self, Figure};
use crate::rig::{Layout, Plan, Rig, Sample};
use crate::signalling::{GENERATOR_CORE, MEASURED_CORE};

/// Operations under way at a time.
const WINDOW: u64 = 32;
/// No progress for so long: stuck.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Flags of `memory`.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// Registrations in each of two halves; memory is that of the second half, which reuses what
    /// the transactions of the first half gave back
    #[arg(long, default_value_t = 25_000)]
    half: usize,
    /// Seconds for the transactions of a half to end: 64 times T1 of Gm is 128 s
    #[arg(long, default_value_t = 150)]
    settle: u64,
    /// Processes
    #[arg(long, value_enum, default_value_t = Layout::Together)]
    layout: Layout,
    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

/// Runs the measurement and prints it.
pub fn run(args: &MemoryArgs) -> ExitCode {
    let rig = Rig::start(Plan {
        layout: args.layout,
        media: false,
        core: MEASURED_CORE,
        log: "warn".to_owned(),
    });
    let file = crowd::import_file(args.half);
    rig.import(&rig.folder().write("subscribers.csv", file));
    let figures = rig.namespace().inside(|| {
        report::pin(GENERATOR_CORE);
        let mut crowd = Crowd::open(rig.proxy(), args.half).expect("the addresses are free");
        let empty = rig.usage();
        register(&mut crowd, Side::Caller, args.half);
        thread::sleep(Duration::from_secs(args.settle));
        let first = rig.usage();
        register(&mut crowd, Side::Called, args.half);
        thread::sleep(Duration::from_secs(args.settle));
        figures(&empty, &first, &rig.usage(), args.half as f64)
    });
    report::show("memory of a registration", &figures, args.json.as_deref())
}

fn register(crowd: &mut Crowd, side: Side, count: usize) {
    let goal = crowd.tally().registered + count as u64;
    let mut begun = 0;
    let mut last = (crowd.tally(), std::time::Instant::now());
    while crowd.tally().registered < goal {
        let under_way = crowd.tally().registered + count as u64 - goal;
        while begun < count && begun as u64 - under_way < WINDOW {
            crowd.register(side, begun);
            begun += 1;
        }
        crowd.turn();
        let tally = crowd.tally();
        assert_eq!(tally.registrations_failed, 0, "a registration failed");
        if tally != last.0 {
            last = (tally, std::time::Instant::now());
        }
        assert!(last.1.elapsed() < STALL_LIMIT, "stuck: {tally:?}");
    }
}

fn figures(empty: &[Sample], first: &[Sample], both: &[Sample], half: f64) -> Vec<Figure> {
    let mut all = Vec::new();
    let mut sum = 0.0;
    for ((empty, first), both) in empty.iter().zip(first).zip(both) {
        let [empty_kib, first_kib, both_kib] =
            [empty, first, both].map(|sample| sample.usage.rss_kib as f64);
        sum += (both_kib - first_kib) / half;
        for (what, value) in [
            ("empty", empty_kib),
            ("after half", first_kib),
            ("after all", both_kib),
        ] {
            all.push(Figure {
                what: format!("{} {what}", empty.name),
                value,
                unit: "KiB",
            });
        }
    }
    all.push(Figure {
        what: "for each registration, all processes".to_owned(),
        value: sum,
        unit: "KiB",
    });
    all
}
