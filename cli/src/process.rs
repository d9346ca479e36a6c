//! What the long-running commands share: logs, the order to stop, configuration files.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;
use std::thread;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// The longest configuration file read.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// The longest order read at once.
const ORDER_BYTES_MAX: u64 = 64;

/// Flags that both processes have.
#[derive(Debug, Args)]
pub struct ProcessArgs {
    /// What to log: error, warn, info, debug, or a filter such as info,control::mgc=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// Seconds that calls may go on when the process is told to end
    #[arg(long, value_name = "SECONDS")]
    pub drain: Option<u32>,
    /// Show identities of people in logs in the clear
    #[arg(long)]
    pub show_identities: bool,
    /// Take orders from standard input, and stop when it closes: how a supervisor stops its
    /// children
    #[arg(long, hide = true)]
    supervised: bool,
}

/// Starts logging to standard error.
pub fn start_log(args: &ProcessArgs) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&args.log).map_err(|fault| {
        Failure::new(format!("--log {}", args.log))
            .because(fault)
            .remedy("Give error, warn, info or debug, or TARGET=LEVEL pairs by commas.")
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        // A supervisor that was killed reads no more: what cannot be written is lost, and no more.
        .log_internal_errors(false)
        .with_writer(io::stderr);
    // A subscriber that is there already is as good.
    let _ = log.try_init();
    Ok(())
}

/// What a process is told about its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin nothing new.
    Drain,
    /// End what there is.
    Release,
    /// Let what there is end in its time, and then end yourself.
    Leave,
    /// End at once, and what there is with you.
    Stop,
}

impl Order {
    /// What a supervisor writes for an order, a line each; its end is [`Order::Stop`].
    pub const fn line(self) -> &'static str {
        match self {
            Order::Drain => "drain",
            Order::Release => "release",
            Order::Leave => "leave",
            Order::Stop => "stop",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let all = [Order::Drain, Order::Release, Order::Leave, Order::Stop];
        all.into_iter().find(|order| order.line() == line)
    }
}

/// Calls `obey` when the process is told to end: by SIGINT or SIGTERM, which let it leave, or by
/// its supervisor. A second signal ends the process at once.
pub fn on_order(
    args: &ProcessArgs,
    obey: impl Fn(Order) + Clone + Send + 'static,
) -> Result<(), Failure> {
    if args.supervised {
        let obey = obey.clone();
        // The supervisor holds the other end of our standard input: when it ends, however it
        // ends, so do we.
        spawn("supervisor", move || {
            let mut input = io::stdin().lock();
            let mut line = String::new();
            loop {
                line.clear();
                match (&mut input).take(ORDER_BYTES_MAX).read_line(&mut line) {
                    Ok(1..) => {
                        if let Some(order) = Order::parse(line.trim_end()) {
                            obey(order);
                        }
                    }
                    Ok(0) | Err(_) => return obey(Order::Stop),
                }
            }
        })?;
    }
    on_signal(move || obey(Order::Leave))
}

/// Calls `stop` at the first SIGINT or SIGTERM and ends the process at the second.
pub fn on_signal(stop: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|fault| Failure::new("cannot watch for signals").because(fault))?;
    spawn("signals", move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(128 + signal);
            }
            stop();
        }
    })
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name(name.into()).spawn(body);
    thread
        .map(drop)
        .map_err(|fault| Failure::new("cannot start a thread").because(fault))
}

/// Reads the text of a configuration file.
pub fn read_config(path: &Path) -> Result<String, Failure> {
    let cannot = |why: &dyn std::fmt::Display| {
        Failure::new(format!("cannot read the configuration {}", path.display())).because(why)
    };
    let file = std::fs::File::open(path)
        .map_err(|fault| cannot(&fault).remedy("Check the path given with --config."))?;
    let mut text = String::new();
    let length = file
        .take(CONFIG_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|fault| cannot(&fault).remedy("It must be UTF-8 text in TOML."))?;
    if length as u64 > CONFIG_BYTES_MAX {
        return Err(cannot(&"it is too long"));
    }
    Ok(text)
}
