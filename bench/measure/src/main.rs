//! Long runs and process-level figures: our processes in a network namespace, pinned to one core,
//! under the load of SIPp and of our own generators, which have another core.

mod churn;
mod crowd;
mod endurance;
mod gateway;
mod hosts;
mod kill;
mod memory;
mod overload;
mod plot;
mod report;
mod rig;
mod rooms;
mod signalling;
mod sipp;
mod sqn;
mod status;
mod talkers;
mod transcode;
mod usage;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use interop::strowger;

/// Measures our processes under load.
#[derive(Debug, Parser)]
#[command(name = "measure")]
struct Arguments {
    /// The binary to measure; by default one built as this program was
    #[arg(long, global = true, value_name = "PATH")]
    binary: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Calls of SIPp between registered users: none may fail, and nothing may be left over or grow
    Load(endurance::LoadArgs),
    /// CPU of control for each AKA registration, 401 and 200
    Registration(signalling::SignallingArgs),
    /// CPU of control and media for each anchored call, INVITE to BYE
    Call(signalling::SignallingArgs),
    /// Calls and registrations at once, twice and three times what control can carry
    Overload(overload::OverloadArgs),
    /// Memory of control for each registration
    Memory(memory::MemoryArgs),
    /// Processes killed at random under load: nothing may be lost, and nothing left over
    Kill(kill::KillArgs),
    /// CPU of media for each call set-up: 2 Adds, 1 Modify, 1 Subtract
    Gateway(gateway::GatewayArgs),
    /// Contexts come and go in media while packets pass through others: none may be lost
    Churn(churn::ChurnArgs),
    /// CPU of media for each second of a call between two codecs, beside that of rtpengine
    Transcode(transcode::TranscodeArgs),
    /// CPU of media for rooms, encodings in them, and what relayed packets wait for beside them
    Rooms(rooms::RoomsArgs),
    /// Rows of bench/results as a picture
    Plot(plot::PlotArgs),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(binary) = arguments.binary {
        let binary = std::path::absolute(&binary).unwrap_or(binary);
        strowger::use_binary(binary);
    }
    match arguments.command {
        Command::Load(load) => endurance::run(&load),
        Command::Kill(args) => kill::run(&args),
        Command::Registration(args) => signalling::run(signalling::Operation::Registration, &args),
        Command::Overload(args) => overload::run(&args),
        Command::Memory(args) => memory::run(&args),
        Command::Gateway(args) => gateway::run(&args),
        Command::Churn(args) => churn::run(&args),
        Command::Transcode(args) => transcode::run(&args),
        Command::Rooms(args) => rooms::run(&args),
        Command::Plot(args) => plot::run(&args),
        Command::Call(args) => signalling::run(signalling::Operation::Call, &args),
    }
}
