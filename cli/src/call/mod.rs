//! `strowger call`: two user agents that register, call each other, speak, and judge what they
//! heard.

mod conversation;
mod fault;
pub mod party;
pub mod sockets;
mod streams;
mod summary;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::control::clock::Clock;
use base::Entropy;
use clap::Args;
use load::ua::Config;
use serde_json::json;
use sip::Transport;

use crate::failure::Failure;
use crate::status::CONTROL_ADMIN;
use crate::{output, process};
use conversation::Conversation;
use party::{Parties, Party, pair};
use sockets::Place;

pub use summary::Summary;

/// Where the P-CSCF is by default.
pub const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);
/// Registration expiry asked for: what a call that was killed leaves behind lasts no longer.
pub const EXPIRES_S: u32 = 3_700;
/// The longest talk.
const SECONDS_MAX: u32 = 3_600;

/// Flags of `call`.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// SIP address of the P-CSCF; a second one is that of the callee
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',', default_values_t = [PROXY])]
    proxy: Vec<SocketAddr>,
    /// SIP over TCP
    #[arg(long)]
    tcp: bool,
    /// Local address for SIP and media; a second one is that of the callee. The system chooses the
    /// ports
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    local: Vec<IpAddr>,
    /// Home network domain name; by default that of the identities, or of the process at --admin
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    /// Private identity of a subscriber that calls; by default one is added for the call
    #[arg(long, value_name = "IMPI", requires = "callee")]
    caller: Option<String>,
    /// Private identity of a subscriber that is called
    #[arg(long, value_name = "IMPI", requires = "caller")]
    callee: Option<String>,
    /// Key K of the caller's USIM and, if it is another, the callee's
    #[arg(long, value_name = "HEX", value_delimiter = ',', requires = "caller")]
    k: Vec<String>,
    /// OPc of the caller's USIM and, if it is another, the callee's
    #[arg(long, value_name = "HEX", value_delimiter = ',', requires = "caller")]
    opc: Vec<String>,
    /// Password for SIP Digest in place of a USIM; a second one is that of the callee
    #[arg(long, conflicts_with_all = ["k", "opc"], requires = "caller")]
    password: Vec<String>,
    /// Admin address of the HSS that the two subscribers are added to
    #[arg(long, value_name = "IP:PORT", default_value_t = CONTROL_ADMIN)]
    admin: SocketAddr,
    /// State directory of that process, where its admin.token is
    #[arg(long, value_name = "DIR", default_value = "strowger/control")]
    state: PathBuf,
    /// Seconds of speech
    #[arg(long, value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(SECONDS_MAX)))]
    seconds: u32,
}

impl CallArgs {
    /// A call between two subscribers of its own, added to the HSS of the process whose admin
    /// interface and state directory these are.
    pub fn through(
        proxy: SocketAddr,
        realm: &str,
        admin: SocketAddr,
        state: &Path,
        seconds: u32,
    ) -> Self {
        CallArgs {
            proxy: vec![proxy],
            tcp: false,
            local: Vec::new(),
            realm: Some(realm.to_owned()),
            caller: None,
            callee: None,
            k: Vec::new(),
            opc: Vec::new(),
            password: Vec::new(),
            admin,
            state: state.to_owned(),
            seconds,
        }
    }

    /// The sockets of caller and callee.
    fn places(&self) -> Result<[Place; 2], Failure> {
        let [caller, callee] = pair("--proxy", &self.proxy)?;
        let [caller_at, callee_at] = match self.local.as_slice() {
            [] => [None, None],
            some => pair("--local", some)?.map(Some),
        };
        Ok([
            Place::open(caller_at, caller, !self.tcp)?,
            Place::open(callee_at, callee, !self.tcp)?,
        ])
    }

    /// The user agent of one side.
    fn user_agent(&self, party: &Party, place: &Place) -> Config {
        let local = place.signal_address();
        let mut config = Config::new(&party.impi, party.secret.clone(), local, place.proxy());
        if let Some(realm) = &self.realm {
            config.realm.clone_from(realm);
        }
        if self.tcp {
            config.transport = Transport::Tcp;
        }
        config.expires = EXPIRES_S;
        config.media_ports = place.media_port()..=place.media_port().saturating_add(1);
        config
    }
}

/// Makes a call and prints how it went; the exit status says whether it was good.
pub fn run(args: &CallArgs, as_json: bool) -> Result<ExitCode, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    process::on_signal(move || told.store(true, Ordering::Release))?;
    let outcome = make(args, &stop);
    let is_good = print(&outcome, as_json);
    outcome?;
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints how a call went, and says whether it was good. A failure is printed only as JSON: as
/// text it goes where errors go.
pub fn print(outcome: &Result<Summary, Failure>, as_json: bool) -> bool {
    match outcome {
        Ok(summary) if as_json => output::print_json(&summary.json()),
        Ok(summary) => output::print(&summary.text()),
        Err(failure) if as_json => {
            output::print_json(&json!({ "good": false, "error": failure.to_string() }));
        }
        Err(_) => {}
    }
    outcome.as_ref().is_ok_and(Summary::is_good)
}

/// Makes a call, in at most `--seconds` and half a minute; less when `stop` becomes true.
///
/// # Errors
/// There was no call, for the reason given.
pub fn make(args: &CallArgs, stop: &AtomicBool) -> Result<Summary, Failure> {
    let mut entropy = Entropy::from_seed(seed()?);
    let mut places = args.places()?;
    let parties = Parties::find(args, &mut entropy)?;
    let configs = [0, 1].map(|side| args.user_agent(&parties.both[side], &places[side]));
    let talk = Duration::from_secs(args.seconds.into());
    let clock = Clock::start();
    let mut conversation = Conversation::start(clock.now(), configs, talk, &mut entropy);
    sockets::run(&mut conversation, &mut places, &clock, stop)?;
    let mut outcome = conversation.outcome();
    match (parties.remove(), &mut outcome) {
        (Err(failure), Ok(summary)) => summary.faults.push(failure.to_string()),
        // The first failure is the one to be told.
        (_, Err(_)) | (Ok(()), Ok(_)) => {}
    }
    outcome
}

/// What the user agents draw their tags, branches and keys from.
pub fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    let read = std::fs::File::open("/dev/urandom")
        .and_then(|mut source| std::io::Read::read_exact(&mut source, &mut seed));
    read.map_err(|fault| Failure::new("cannot read /dev/urandom").because(fault))?;
    Ok(seed)
}
