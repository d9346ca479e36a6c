//! Processes killed at random moments under load: nothing stays that nobody owns, and nothing is
//! lost that was confirmed.
//!
//! SIPp calls, users with USIMs register and leave, and an operator adds subscribers, while
//! processes are killed and started again, one point after the other. After each point a call must
//! work. After each batch of points the load ends, and what is left of it in the processes is
//! compared with what the users know.

mod adder;
mod check;
mod point;
mod residents;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use base::Entropy;
use clap::Args;
use interop::Process;
use sip::transaction::Timers;

use crate::crowd;
use crate::rig::{Layout, Plan, Rig};
use crate::sipp::{self, CALLED, CALLERS, Sipp};
use adder::Adder;
use point::{Act, Point};
use residents::Residents;

/// Timers of Gm as those of the core, so that the transactions of a call are gone after 32 s and
/// what is left after a minute is nobody's (TS 24.229 7.7 has 128 s).
const TIMERS: &str = "[gm]\nt1_ms = 500\nt2_ms = 4000\nt4_ms = 5000\n";
/// Within that time of the last start everything must be ready for calls.
const READY_LIMIT: Duration = Duration::from_secs(10);
/// What is not ready by then does not come back.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked whether it is.
const POLL: Duration = Duration::from_millis(50);
/// Callers that are told to make no more calls have ended theirs in that time: those that nobody
/// answers are given up after 20 s, and a BYE without an answer after 32.
const CALLS_LIMIT: Duration = Duration::from_secs(90);
/// Calls that may be under way at once, in seconds of load.
const CALLS_SECONDS: u64 = 60;

/// Flags of `kill`.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// Kill points
    #[arg(long, default_value_t = 200)]
    points: usize,
    /// Points of a batch, after each of which the load ends and all is counted
    #[arg(long, default_value_t = 50)]
    batch: usize,
    /// Calls begun a second
    #[arg(long, default_value_t = 50)]
    rate: u64,
    /// Registrations, refreshes and de-registrations begun a second
    #[arg(long, default_value_t = 20)]
    registrations: u64,
    /// Users of SIPp on each side
    #[arg(long, default_value_t = 100)]
    users: u32,
    /// Users with a USIM on each side
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(8..=4000))]
    residents: u64,
    /// Of the choice of moments and processes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds after the load until nothing may be left over
    #[arg(long, default_value_t = 60)]
    settle: u64,
    /// Processes
    #[arg(long, value_enum, default_value_t = Layout::Together)]
    layout: Layout,
    /// What the processes log
    #[arg(long, default_value = "warn")]
    log: String,
}

/// Kills, and says what came of it; fails when something stayed, was lost or did not work.
pub fn run(args: &KillArgs) -> ExitCode {
    let started = Instant::now();
    let mut trial = Trial::start(args);
    let mut left = args.points;
    while left > 0 && !trial.is_hopeless {
        let points = left.min(args.batch.max(1));
        trial.batch(points);
        left -= points;
    }
    let code = trial.end();
    println!("took {} s", started.elapsed().as_secs());
    code
}

/// A run.
struct Trial<'a> {
    args: &'a KillArgs,
    // Dropped in this order: what is at work before the processes.
    adder: Adder,
    residents: Residents,
    rig: Rig,
    /// The way of calls out, as SIPp's users were told when they registered.
    route: String,
    entropy: Entropy,
    done: usize,
    batches: usize,
    kills: BTreeMap<&'static str, u32>,
    ready_after: Vec<Duration>,
    attempts: u32,
    calls: BTreeMap<String, u64>,
    sqns: check::Sqns,
    faults: Vec<String>,
    /// The processes do not come back: there is nothing more to be learnt.
    is_hopeless: bool,
}

impl<'a> Trial<'a> {
    fn start(args: &'a KillArgs) -> Self {
        let plan = Plan {
            layout: args.layout,
            media: true,
            core: 0,
            log: args.log.clone(),
        };
        let rig = Rig::start_with(plan, TIMERS);
        let route = sipp::register_users(&rig, args.users);
        let residents = usize::try_from(args.residents).unwrap_or(usize::MAX);
        let file = crowd::import_file(residents);
        rig.import(&rig.folder().write("residents.csv", file));
        let residents =
            Residents::start(&rig, residents, args.registrations, args.seed, Timers::CORE);
        let residents = residents.expect("the addresses are free");
        let census = residents.settle();
        assert!(
            census.gone.is_empty() && census.unsure.is_empty(),
            "{census:?}"
        );
        println!(
            "{} points, seed {}: {} calls and {} registrations a second; registered: {} users of \
             SIPp with a password and {} with a USIM",
            args.points,
            args.seed,
            args.rate,
            args.registrations,
            2 * args.users,
            census.registered.len(),
        );
        Trial {
            args,
            adder: Adder::start(&rig),
            residents,
            rig,
            route,
            entropy: Entropy::from_u64(args.seed),
            done: 0,
            batches: 0,
            kills: BTreeMap::new(),
            ready_after: Vec::new(),
            attempts: 0,
            calls: BTreeMap::new(),
            sqns: check::Sqns::new(),
            faults: Vec::new(),
            is_hopeless: false,
        }
    }

    /// Kills so many times under load, ends the load, and looks at what is left.
    fn batch(&mut self, points: usize) {
        self.batches += 1;
        let called = self.start_called();
        let callers = self.start_callers();
        self.residents.resume();
        for _ in 0..points {
            self.point();
            if self.is_hopeless {
                return;
            }
        }
        callers.signal("USR1");
        callers.wait(CALLS_LIMIT);
        let ended = Instant::now();
        for (name, value) in sipp::figures(&self.file("callers", "csv")) {
            *self.calls.entry(name).or_default() += value;
        }
        self.look(ended);
        drop(called);
    }

    /// Kills once, and makes a call.
    fn point(&mut self) {
        let point = Point::draw(&mut self.entropy, &self.rig.names());
        self.done += 1;
        thread::sleep(point.pause);
        for step in &point.steps {
            thread::sleep(step.after);
            match step.act {
                Act::Kill => self.faults.extend(self.rig.kill(step.name)),
                Act::Start => self.rig.launch(step.name),
            }
        }
        for victim in point.victims() {
            *self.kills.entry(victim).or_default() += 1;
        }
        let started = Instant::now();
        while !self.rig.is_ready() {
            if started.elapsed() > PATIENCE {
                self.is_hopeless = true;
                return self.fault(format!("point {}: not ready again", self.done));
            }
            thread::sleep(POLL);
        }
        let ready = started.elapsed();
        self.ready_after.push(ready);
        if ready > READY_LIMIT {
            let seconds = ready.as_secs();
            self.fault(format!("point {}: ready after {seconds} s only", self.done));
        }
        let dialogs = self.rig.figure("/dialogs");
        let call = match self.residents.probe() {
            Ok(probe) => {
                self.attempts += probe.attempt - 1;
                let again = match probe.attempt {
                    1 => String::new(),
                    attempt => format!(" at attempt {attempt}"),
                };
                format!("call {} ms{again}", probe.took.as_millis())
            }
            Err(why) => {
                self.fault(format!("point {}: no call works: {why}", self.done));
                "no call".to_owned()
            }
        };
        println!(
            "{:4}  {point}  ready {} ms, {dialogs} dialogs, {call}",
            self.done,
            ready.as_millis()
        );
    }

    /// Says and keeps what is wrong.
    fn fault(&mut self, what: String) {
        println!("FAULT: {what}");
        self.faults.push(what);
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        let batch = self.batches;
        self.rig.folder().file(&format!("{name}-{batch}.{kind}"))
    }

    fn start_called(&self) -> Process {
        let name = format!("called-{}", self.batches);
        Sipp::new(&self.rig, &name, "killed-callee.xml", CALLED).start()
    }

    fn start_callers(&self) -> Process {
        let name = format!("callers-{}", self.batches);
        let mut sipp = Sipp::new(&self.rig, &name, "killed-caller.xml", CALLERS);
        sipp.inject(&sipp::pairs(self.args.users));
        sipp.arguments(&["-key", "service_route", &self.route]);
        sipp.arguments(&["-r", &self.args.rate.to_string()]);
        sipp.arguments(&["-l", &(self.args.rate * CALLS_SECONDS).to_string()]);
        sipp.figures(&self.file("callers", "csv"));
        sipp.start()
    }

    /// Prints what came of it.
    fn end(mut self) -> ExitCode {
        let census = self.residents.settle();
        let acknowledged = self.adder.acknowledged();
        let lives = self.rig.judge_all();
        for fault in lives {
            self.fault(fault);
        }
        let kills: Vec<String> = self
            .kills
            .iter()
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        let ready = &self.ready_after;
        let sum: Duration = ready.iter().sum();
        let of = |name: &str| self.calls.get(name).copied().unwrap_or(0);
        println!(
            "points            {}; killed: {}",
            self.done,
            kills.join(", ")
        );
        println!(
            "ready             after {} ms on average, {} ms at most",
            sum.as_millis() / ready.len().max(1) as u128,
            ready.iter().max().copied().unwrap_or_default().as_millis(),
        );
        println!(
            "calls of SIPp     {} begun, {} established, {} refused, {} ended by the network, {} \
             without an end that was confirmed",
            of("TotalCallCreated"),
            of("GenericCounter1(C)"),
            of("GenericCounter2(C)"),
            of("GenericCounter3(C)"),
            of("GenericCounter4(C)") + of("FailedCall(C)"),
        );
        println!(
            "calls afterwards  {} of {} needed more than one attempt",
            self.attempts, self.done
        );
        println!(
            "registrations     {} confirmed, {} given up, {} without success",
            census.tally.registered, census.tally.deregistered, census.tally.registrations_failed
        );
        println!(
            "challenges        {}; SQN not above the one before: {}",
            census.challenges, census.gone_back.0
        );
        println!(
            "subscribers       {} added and {} removed with acknowledgement, {} commands without",
            acknowledged.added.len() + acknowledged.removed.len(),
            acknowledged.removed.len(),
            acknowledged.unanswered
        );
        if self.faults.is_empty() {
            println!("nothing lost, nothing left over");
            let Trial {
                adder,
                residents,
                rig,
                ..
            } = self;
            drop((adder, residents));
            rig.stop();
            return ExitCode::SUCCESS;
        }
        let kept = PathBuf::from(format!("/tmp/measure-kill-{}", std::process::id()));
        crate::rig::keep(self.rig.folder(), &kept);
        println!("FAILED, logs in {}:", kept.display());
        for fault in &self.faults {
            println!("  {fault}");
        }
        ExitCode::FAILURE
    }
}
