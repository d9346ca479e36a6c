//! `strowger h248`: a Media Gateway Controller by hand. Type a transaction, see the reply. And a
//! reader of captures.

mod associations;
mod capture;
mod controller;
mod input;
mod link;

use std::io::{self, BufRead, IsTerminal, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ::h248::transport::{Carriage, Protocol};
use clap::Args;
use control::config::SctpPolicy;
use serde_json::json;

use crate::failure::Failure;
use crate::output;
use crate::sctp::SctpArgs;
use capture::Show;
use controller::{Answer, Controller};
use input::Statement;

/// The longest file of transactions read.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Lines read ahead.
const LINES_MAX: usize = 64;

/// Flags of `h248`.
#[derive(Debug, Args)]
#[command(after_help = "\
A transaction is given as its actions (Context = 1 { … }), as one command for the null context
(AuditValue = ROOT { … }), or as a whole message (MEGACO/3 …), which is sent as it stands.
Without TRANSACTION and --file they are read from standard input; each ends where its braces close.

  strowger h248 --wait 'AuditValue = ROOT { Audit { Packages } }'
  strowger h248 --mg 192.0.2.2:2945 --h248 ber --file calls.h248
  strowger h248 --decode traffic.pcapng")]
pub struct H248Args {
    /// What to send
    transaction: Option<String>,
    /// File with transactions, one after the other
    #[arg(long, value_name = "FILE", conflicts_with = "transaction")]
    file: Option<PathBuf>,
    /// Address of the media gateway
    #[arg(long, value_name = "IP:PORT", conflicts_with = "wait",
          default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2946))]
    mg: SocketAddr,
    /// Wait for a gateway's ServiceChange, answer it, and talk to that gateway
    #[arg(long)]
    wait: bool,
    /// Our own address and MID
    #[arg(long, value_name = "IP:PORT",
          default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2944))]
    mid: SocketAddr,
    /// How we speak: compact, pretty or ber (as the gateway does), and udp, tcp or sctp
    #[arg(long, value_name = "ENC,TRANSPORT", default_value = "udp")]
    h248: Carriage,
    #[command(flatten)]
    sctp: SctpArgs,
    /// Seconds to wait for a gateway and for each reply
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
    /// Show every message sent and received
    #[arg(long)]
    verbose: bool,
    /// Show the H.248 in a capture (pcap, pcapng) instead: UDP, TCP and SCTP, a line each
    #[arg(long, value_name = "FILE", conflicts_with_all = ["transaction", "file", "wait"])]
    decode: Option<PathBuf>,
    /// Show each message of the capture in full
    #[arg(long, requires = "decode")]
    full: bool,
}

impl H248Args {
    /// What carries SCTP, if that is the transport.
    fn sctp(&self) -> Result<SctpPolicy, Failure> {
        let file = self.sctp.file().unwrap_or_default();
        let checked = file.validate();
        checked.map_err(|fault| Failure::new("--sctp-udp cannot be used").because(fault))
    }

    /// The transport, of which there is one.
    fn protocol(&self) -> Result<Protocol, Failure> {
        match self.h248.protocols[..] {
            [] => Ok(Protocol::Udp),
            [protocol] => Ok(protocol),
            _ => Err(Failure::new("--h248 names several transports")
                .remedy("One is used at a time: udp, tcp or sctp.")),
        }
    }
}

/// Sends what is given; fails when a reply holds an error, or does not come.
pub fn run(args: &H248Args, as_json: bool) -> Result<(), Failure> {
    if let Some(path) = &args.decode {
        let show = match (as_json, args.full) {
            (true, _) => Show::Json,
            (false, true) => Show::Whole,
            (false, false) => Show::Lines,
        };
        return capture::show(path, show);
    }
    let limit = Duration::from_secs(args.timeout.clamp(1, 3_600));
    let mut controller = Controller::open(
        args.h248.encoding,
        (args.protocol()?, args.sctp()?),
        args.mid,
        args.verbose,
    )?;
    let mg = if args.wait {
        controller.wait_for_gateway(limit)?
    } else {
        args.mg
    };
    let mut session = Session {
        controller,
        mg,
        limit,
        as_json,
        refused: 0,
    };
    match (&args.transaction, &args.file) {
        (Some(text), _) => session.send_all(text)?,
        (None, Some(path)) => {
            let cannot = |why: io::Error| {
                Failure::new(format!("cannot read {}", path.display())).because(why)
            };
            let mut text = String::new();
            let file = std::fs::File::open(path).map_err(cannot)?;
            file.take(FILE_BYTES_MAX)
                .read_to_string(&mut text)
                .map_err(cannot)?;
            session.send_all(&text)?;
        }
        (None, None) => session.converse()?,
    }
    match session.refused {
        0 => Ok(()),
        1 => Err(Failure::new("the gateway refused it, see the reply")),
        count => Err(Failure::new(format!(
            "the gateway refused {count} transactions"
        ))),
    }
}

struct Session {
    controller: Controller,
    mg: SocketAddr,
    limit: Duration,
    as_json: bool,
    refused: usize,
}

impl Session {
    /// Sends every transaction of `text`.
    fn send_all(&mut self, text: &str) -> Result<(), Failure> {
        let mut reader = input::Reader::default();
        for line in text.lines() {
            if let Some(statement) = reader.push(line)? {
                self.send(&statement)?;
            }
        }
        if let Some(statement) = reader.finish()? {
            self.send(&statement)?;
        }
        Ok(())
    }

    /// Reads transactions from standard input, with a prompt where somebody sits there.
    fn converse(&mut self) -> Result<(), Failure> {
        let is_terminal = io::stdin().is_terminal();
        let prompt = |is_open: bool| {
            if is_terminal {
                output::print(if is_open { "  … " } else { "h248> " });
            }
        };
        // Gateways are answered while somebody types.
        let (sender, lines) = mpsc::sync_channel(LINES_MAX);
        let waker = Arc::new(self.controller.waker()?);
        // It must outlive the thread: what it has woken is forgotten with it.
        let wake = Arc::clone(&waker);
        std::thread::spawn(move || {
            let lines = io::stdin().lock().lines().map(Some);
            for line in lines.chain([None]) {
                if sender.send(line).is_err() || wake.wake().is_err() {
                    return;
                }
            }
        });
        let mut reader = input::Reader::default();
        prompt(false);
        while let Some(line) = self.controller.serve(|| lines.try_recv().ok())? {
            let line =
                line.map_err(|fault| Failure::new("cannot read standard input").because(fault))?;
            let outcome = match reader.push(&line) {
                Ok(Some(statement)) => self.send(&statement),
                Ok(None) => Ok(()),
                Err(failure) => Err(failure),
            };
            match outcome {
                Err(failure) if is_terminal => output::print(&format!("{failure}\n")),
                other => other?,
            }
            prompt(reader.is_open());
        }
        if let Some(statement) = reader.finish()? {
            self.send(&statement)?;
        }
        Ok(())
    }

    fn send(&mut self, statement: &Statement) -> Result<(), Failure> {
        let Answer { text, is_error } = match statement {
            Statement::Actions(actions) => {
                self.controller
                    .request(self.mg, actions.clone(), self.limit)?
            }
            Statement::Message(bytes) => self.controller.send_raw(self.mg, bytes, self.limit)?,
        };
        self.refused += usize::from(is_error);
        if self.as_json {
            output::print_json(&json!({
                "mg": self.mg.to_string(), "reply": text, "error": is_error,
            }));
        } else {
            output::print(&text);
        }
        Ok(())
    }
}
