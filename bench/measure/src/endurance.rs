//! Calls of SIPp between registered users, through processes that are watched all the while.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use interop::Process;
use serde::Serialize;

use crate::rig::{self, Layout, Plan, Rig, Sample};
use crate::sipp::{self, CALLED, CALLERS, Sipp};
use crate::status;

/// Time beyond what the calls need by their rate: retransmissions and the end of the last ones.
const GRACE: Duration = Duration::from_secs(90);
/// How often the processes are looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// From answer to BYE.
const TALK_MS: u32 = 2_000;
/// Growth of resident memory allowed between half of the calls and all of them.
const GROWTH_MAX: f64 = 0.01;

/// Flags of `load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Calls that are counted
    #[arg(long, default_value_t = 20_000)]
    calls: u32,
    /// Calls before these, until as many transactions end as begin: towards a UE they stay for
    /// 64 times T1 of Gm, which is 128 s
    #[arg(long, default_value_t = 0)]
    warm_up: u32,
    /// Calls begun a second
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Users on each side
    #[arg(long, default_value_t = 500)]
    users: u32,
    /// Processes
    #[arg(long, value_enum, default_value_t = Layout::Together)]
    layout: Layout,
    /// Without a media process: calls are not anchored
    #[arg(long)]
    no_media: bool,
    /// Seconds from the last BYE until nothing may be left over
    #[arg(long, default_value_t = 150)]
    settle: u64,
    /// Only whether all calls succeed is judged; what grew or is left over is shown
    #[arg(long)]
    cost_only: bool,
    /// What the processes log
    #[arg(long, default_value = "warn")]
    log: String,
    /// Also allow resident memory to grow by so many KiB between half of the calls and all: what
    /// one per cent of a small process in a short run is less than a page or two of
    #[arg(long, default_value_t = 0)]
    slack_kib: u64,
    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What came of a run.
#[derive(Debug, Serialize)]
struct Outcome {
    calls: u32,
    warm_up: u32,
    rate: u32,
    layout: Layout,
    succeeded: u64,
    failed: u64,
    retransmissions: u64,
    seconds: f64,
    processes: Vec<ProcessOutcome>,
    left_over: Vec<String>,
}

/// What became of one process.
#[derive(Debug, Serialize)]
struct ProcessOutcome {
    name: &'static str,
    /// Before any call, at half of those that count, at the last, and after the pause.
    rss_kib: [u64; 4],
    /// Over all calls.
    cpu_us_per_call: f64,
    descriptors: [usize; 2],
}

/// Runs it and says how it went; fails when a call did, or when something is left over or grew.
pub fn run(args: &LoadArgs) -> ExitCode {
    let mut rig = Rig::start(Plan {
        layout: args.layout,
        media: !args.no_media,
        core: 0,
        log: args.log.clone(),
    });
    let route = sipp::register_users(&rig, args.users);
    println!(
        "{} users registered on each side; route {route}",
        args.users
    );

    let before = rig.usage();
    let started = Instant::now();
    let called = start_called(&rig, args);
    let mut callers = start_callers(&rig, args, &route);
    let all = args.warm_up + args.calls;
    let limit = GRACE + Duration::from_secs(u64::from(all / args.rate.max(1)));
    let counts = rig.folder().file("callers.csv");
    let mut half = None;
    let mut shown = 0;
    while callers.is_running() {
        assert!(started.elapsed() < limit, "the calls take too long");
        thread::sleep(PERIOD);
        rig.assert_running();
        let begun = SippCounts::read(&counts).begun;
        let now = rig.usage();
        if half.is_none() && begun >= u64::from(args.warm_up + args.calls / 2) {
            half = Some(now.clone());
        }
        if begun * 10 / u64::from(all) > shown {
            shown = begun * 10 / u64::from(all);
            print_progress(&rig, begun, &now);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let at_end = rig.usage();
    let callers = callers.wait(GRACE);
    // The called see the last BYE before the callers see its answer.
    drop(called);
    let SippCounts {
        succeeded,
        failed,
        retransmissions,
        ..
    } = SippCounts::read(&counts);
    println!(
        "{succeeded} succeeded, {failed} failed, {retransmissions} retransmissions in \
         {seconds:.0} s; SIPp ended with {}",
        callers.status
    );

    thread::sleep(Duration::from_secs(args.settle));
    rig.assert_running();
    let after = rig.usage();
    let left_over = left_over(&rig);
    let half = half.unwrap_or_else(|| before.clone());
    let processes = outcomes(args, [&before, &half, &at_end, &after]);
    let outcome = Outcome {
        calls: args.calls,
        warm_up: args.warm_up,
        rate: args.rate,
        layout: args.layout,
        succeeded,
        failed,
        retransmissions,
        seconds,
        processes,
        left_over,
    };
    report(rig, args, &outcome)
}

fn outcomes(args: &LoadArgs, at: [&[Sample]; 4]) -> Vec<ProcessOutcome> {
    let [before, _, at_end, after] = at;
    (0..before.len())
        .map(|index| ProcessOutcome {
            name: before[index].name,
            rss_kib: at.map(|samples| samples[index].usage.rss_kib),
            cpu_us_per_call: (at_end[index].usage.cpu - before[index].usage.cpu).as_secs_f64()
                * 1e6
                / f64::from(args.warm_up + args.calls),
            descriptors: [before, after].map(|samples| samples[index].usage.descriptors),
        })
        .collect()
}

/// Prints the outcome, and what is wrong with it.
fn report(rig: Rig, args: &LoadArgs, outcome: &Outcome) -> ExitCode {
    println!(
        "process    RSS before, half, last, after (KiB)      growth  CPU µs/call  descriptors"
    );
    // Of others it is only shown.
    let is_judged = outcome.layout != Layout::Kamailio && !args.cost_only;
    let mut faults = Vec::new();
    for process in &outcome.processes {
        let [before, half, last, after] = process.rss_kib;
        let growth = (last as f64 - half as f64) / half as f64;
        println!(
            "{:10} {before:9} {half:9} {last:9} {after:9} {:+9.2} % {:12.1}  {} -> {}",
            process.name,
            growth * 100.0,
            process.cpu_us_per_call,
            process.descriptors[0],
            process.descriptors[1],
        );
        if is_judged && growth > GROWTH_MAX && last > half + args.slack_kib {
            faults.push(format!("{} grew by {:.2} %", process.name, growth * 100.0));
        }
    }
    if outcome.succeeded != u64::from(args.warm_up + args.calls) || outcome.failed > 0 {
        faults.push(format!("{} calls failed", outcome.failed));
    }
    let left_over = outcome.left_over.iter().filter(|_| is_judged);
    faults.extend(left_over.map(|what| format!("left over: {what}")));
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(outcome).expect("it is plain data");
        if let Err(fault) = fs::write(path, text + "\n") {
            faults.push(format!("cannot write {}: {fault}", path.display()));
        }
    }
    if faults.is_empty() {
        if is_judged {
            println!("nothing left over, nothing grew");
        }
        rig.stop();
        return ExitCode::SUCCESS;
    }
    for (name, status) in rig.statuses() {
        println!("{name}: {status:#}");
    }
    let kept = PathBuf::from(format!("/tmp/measure-load-{}", std::process::id()));
    rig::keep(rig.folder(), &kept);
    println!("FAILED: {}; logs in {}", faults.join("; "), kept.display());
    ExitCode::FAILURE
}

fn print_progress(rig: &Rig, begun: u64, now: &[Sample]) {
    let mut line = format!("{begun:7} calls begun;");
    if let Some(status) = rig.pcscf() {
        for name in ["/dialogs", "/contexts", "/transactions/client", "/timers"] {
            let _ = write!(line, " {} {}", &name[1..], status::figure(&status, name));
        }
    }
    for sample in now {
        let _ = write!(line, "; {} {} KiB", sample.name, sample.usage.rss_kib);
    }
    println!("{line}");
}

/// What is left in each process, said in words.
fn left_over(rig: &Rig) -> Vec<String> {
    let mut all = Vec::new();
    for (name, status) in rig.statuses() {
        for (what, count) in status::leftovers(&status) {
            all.push(format!("{count} {what} in {name}"));
        }
    }
    all
}

fn start_called(rig: &Rig, args: &LoadArgs) -> Process {
    let mut sipp = Sipp::new(rig, "called", "callee.xml", CALLED);
    sipp.arguments(&["-m", &(args.warm_up + args.calls).to_string()]);
    sipp.start()
}

fn start_callers(rig: &Rig, args: &LoadArgs, route: &str) -> Process {
    let mut sipp = Sipp::new(rig, "callers", "caller.xml", CALLERS);
    sipp.inject(&sipp::pairs(args.users));
    sipp.arguments(&["-key", "service_route", route]);
    let all = args.warm_up + args.calls;
    sipp.arguments(&["-m", &all.to_string(), "-r", &args.rate.to_string()]);
    // Slow calls must not slow the rate.
    sipp.arguments(&["-l", &(args.rate * 60).to_string()]);
    sipp.arguments(&["-d", &TALK_MS.to_string(), "-recv_timeout", "60000"]);
    sipp.figures(&rig.folder().file("callers.csv"));
    sipp.start()
}

/// What SIPp has counted so far.
#[derive(Clone, Copy, Debug, Default)]
struct SippCounts {
    begun: u64,
    succeeded: u64,
    failed: u64,
    retransmissions: u64,
}

impl SippCounts {
    fn read(file: &Path) -> Self {
        let figures = sipp::figures(file);
        let of = |name: &str| figures.get(name).copied().unwrap_or(0);
        Self {
            begun: of("TotalCallCreated"),
            succeeded: of("SuccessfulCall(C)"),
            failed: of("FailedCall(C)"),
            retransmissions: of("Retransmissions(C)"),
        }
    }
}
