//! The strowger command: every process and tool of the house in one binary.

mod call;
mod check;
mod control;
mod failure;
mod h248;
mod http;
mod media;
mod output;
mod people;
mod process;
mod sctp;
mod status;
mod subscriber;
mod tap;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// A call is some hundred small allocations that live from milliseconds to minutes. glibc's
/// allocator takes a third of control's CPU for them, this one a tenth.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// An IP Multimedia Subsystem: signalling core and media plane.
#[derive(Debug, Parser)]
#[command(name = "strowger", version, max_term_width = 100)]
struct Line {
    /// Print JSON in place of tables
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start control and media on this machine, and make a call through them
    Up(Box<up::UpArgs>),
    /// Run the control process
    Control(Box<control::ControlArgs>),
    /// Make a call with two built-in user agents and judge it
    Call(Box<call::CallArgs>),
    /// Play a prompt to a user or a conference
    Play(Box<people::PlayArgs>),
    /// Open a conference, and show who talks at what level
    Conference(Box<people::ConferenceArgs>),
    /// Record a user or a conference to a file
    Record(Box<people::RecordArgs>),
    /// Run the media process
    Media(Box<media::MediaArgs>),
    /// Check a configuration file without starting anything
    Check(check::CheckArgs),
    /// Show what the running processes are doing
    Status(status::StatusArgs),
    /// Add, list, show, remove and import subscribers
    Subscriber(Box<subscriber::SubscriberArgs>),
    /// Capture what passes at addresses of a media process that was started with --tap
    Tap(tap::TapArgs),
    /// Send H.248 transactions to a media gateway and show its replies
    H248(h248::H248Args),
}

fn main() -> ExitCode {
    let line = Line::parse();
    match run(&line) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(line: &Line) -> Result<ExitCode, Failure> {
    match &line.command {
        Command::Up(args) => return up::run(args, line.json),
        Command::Call(args) => return call::run(args, line.json),
        Command::Play(args) => return people::play(args, line.json),
        Command::Conference(args) => return people::confer(args, line.json),
        Command::Record(args) => return people::record(args, line.json),
        Command::Control(args) => control::run(args)?,
        Command::Media(args) => media::run(args)?,
        Command::Check(args) => check::run(args, line.json)?,
        Command::Status(args) => status::run(args, line.json)?,
        Command::Subscriber(args) => subscriber::run(args, line.json)?,
        Command::Tap(args) => tap::run(args)?,
        Command::H248(args) => h248::run(args, line.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Line::command().debug_assert();
    }
}
