//! What the long-running commands share: logs, the order to stop, configuration files.

use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::thread;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// The longest configuration file read.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// Flags that both processes have.
#[derive(Debug, Args)]
pub struct ProcessArgs {
    /// What to log: error, warn, info, debug, or a filter such as info,control::mgc=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// Show identities of people in logs in the clear
    #[arg(long)]
    pub show_identities: bool,
    /// Stop when standard input closes: how a supervisor stops its children
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
        .with_writer(io::stderr);
    // A subscriber that is there already is as good.
    let _ = log.try_init();
    Ok(())
}

/// Calls `stop` when the process is told to end: by SIGINT or SIGTERM, or by its supervisor. A
/// second signal ends the process at once.
pub fn on_stop(
    args: &ProcessArgs,
    stop: impl Fn() + Clone + Send + 'static,
) -> Result<(), Failure> {
    if args.supervised {
        let stop = stop.clone();
        // The supervisor holds the other end of our standard input: when it ends, however it
        // ends, so do we.
        spawn("supervisor", move || {
            // Whatever comes is of no interest, only the end.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            stop();
        })?;
    }
    on_signal(stop)
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
