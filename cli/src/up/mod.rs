//! `strowger up`: both processes on this machine, and a call through them.

mod child;
mod screen;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::call::CallArgs;
use crate::failure::Failure;
use crate::http::Client;
use crate::media::MrfpFile;
use crate::media::config::{Function, GatewayFile, MediaFile};
use crate::process::Order;
use crate::{call, output, process, status};
use child::Supervised;
pub use screen::Screen;

/// How long both processes may take until they are ready for calls.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often the children are looked after.
const POLL: Duration = Duration::from_millis(100);
/// How often the status line is written on a terminal.
const STATUS_TERMINAL: Duration = Duration::from_secs(1);
/// How often it is written elsewhere.
const STATUS_LOG: Duration = Duration::from_secs(60);

/// How long calls that are released may take to end.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// Flags of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Make one call, print its summary and stop; the exit status says whether it was good
    #[arg(long)]
    once: bool,
    /// Make no call
    #[arg(long, conflicts_with = "once")]
    no_call: bool,
    /// Home network domain name
    #[arg(long, value_name = "NAME", default_value = "ims.test")]
    realm: String,
    /// Address for SIP; by default 127.0.0.1:5060, or a free port when that is taken
    #[arg(long, value_name = "IP:PORT")]
    sip: Option<SocketAddr>,
    /// Addresses for media
    #[arg(long, value_name = "IP", value_delimiter = ',',
          default_values_t = [IpAddr::V4(Ipv4Addr::LOCALHOST)])]
    address: Vec<IpAddr>,
    /// UDP ports for media
    #[arg(long, value_name = "LOW-HIGH", default_value = "20000-29999")]
    ports: String,
    /// Cores for media workers, such as 2,4-7
    #[arg(long, value_name = "LIST")]
    cores: Option<String>,
    /// Directory for subscribers, keys and journal; a temporary one with --once
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Seconds of speech in the call
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    seconds: u32,
    /// Seconds that calls may go on when it is told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u32,
    /// What both processes log
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

/// Where everything is.
struct Plan {
    sip: SocketAddr,
    mgc: SocketAddr,
    /// The TrGW's MID, and the MRFP's.
    mids: [SocketAddr; 2],
    /// Where media reads what its gateways are.
    media_config: PathBuf,
    control_admin: SocketAddr,
    media_admin: SocketAddr,
    state: PathBuf,
    /// Removed at the end.
    is_temporary: bool,
}

/// Starts, calls, and stays until told to stop.
pub fn run(args: &UpArgs, as_json: bool) -> Result<ExitCode, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    process::on_signal(move || told.store(true, Ordering::Release))?;
    let plan = Plan::new(args)?;
    let outcome = serve(args, as_json, &plan, &stop);
    if plan.is_temporary {
        // What cannot be removed stays for the system's own sweep.
        let _ = std::fs::remove_dir_all(&plan.state);
    }
    outcome
}

fn serve(
    args: &UpArgs,
    as_json: bool,
    plan: &Plan,
    stop: &AtomicBool,
) -> Result<ExitCode, Failure> {
    let screen = Screen::new();
    let say = |text: &str| {
        if !as_json {
            screen.line(text);
        }
    };
    say(&format!("strowger {}", env!("CARGO_PKG_VERSION")));
    say(&plan.table(args));
    plan.write_media_file(args)?;
    // Media first: it registers as soon as a controller answers.
    let mut media = Supervised::start("media", plan.media_arguments(args), &screen)?;
    let mut control = Supervised::start("control", plan.control_arguments(args), &screen)?;
    let started = Instant::now();
    wait_until_ready(plan, &mut control, &mut media, stop)?;
    say(&format!(
        "ready for calls after {} ms\n",
        started.elapsed().as_millis()
    ));

    let mut code = ExitCode::SUCCESS;
    if !args.no_call && !stop.load(Ordering::Acquire) {
        let is_good = make_call(args, as_json, plan, stop);
        if !is_good {
            code = ExitCode::FAILURE;
        }
    }
    if !args.once && !stop.load(Ordering::Acquire) {
        say("\nrunning; stop with Ctrl-C");
        watch(plan, &mut control, &mut media, &screen, stop)?;
        screen.status("");
        say("stopping; again to stop at once");
        drain(args, plan, &mut control, &screen);
        screen.status("");
        code = ExitCode::SUCCESS;
    }
    // Media first, so that its controller hears that it leaves.
    media.stop();
    control.stop();
    say(match (args.once, code == ExitCode::SUCCESS) {
        (true, true) => "stopped; the call was good",
        (true, false) => "stopped; the call was not good",
        (false, _) => "stopped",
    });
    Ok(code)
}

impl Plan {
    fn new(args: &UpArgs) -> Result<Self, Failure> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut taken = Vec::new();
        let mut free = |wanted: SocketAddr| -> Result<SocketAddr, Failure> {
            let address = free_address(wanted, &taken)?;
            taken.push(address);
            Ok(address)
        };
        let (state, is_temporary) = match (&args.state, args.once) {
            (Some(state), _) => (state.clone(), false),
            (None, false) => (PathBuf::from("strowger"), false),
            (None, true) => {
                let name = format!("strowger-up-{}", std::process::id());
                (std::env::temp_dir().join(name), true)
            }
        };
        let state = make_folder(&state)?;
        Ok(Plan {
            sip: match args.sip {
                Some(address) => address,
                None => free(local(5060))?,
            },
            mgc: free(local(2944))?,
            mids: [free(local(2946))?, free(local(2948))?],
            control_admin: free(status::CONTROL_ADMIN)?,
            media_admin: free(status::MEDIA_ADMIN)?,
            media_config: state.join("media.toml"),
            state,
            is_temporary,
        })
    }

    /// A TrGW and an MRFP, each with half of the ports.
    fn media_file(&self, args: &UpArgs) -> Result<MediaFile, Failure> {
        let gateway = |function, mid, ports| GatewayFile {
            function: Some(function),
            mid: Some(mid),
            mgc: Some(vec![self.mgc]),
            addresses: Some(args.address.clone()),
            ports: Some(ports),
            ..GatewayFile::default()
        };
        let [trgw, mrfp] = halves(&args.ports)?;
        Ok(MediaFile {
            cores: args.cores.clone(),
            admin: Some(self.media_admin),
            mrfp: Some(MrfpFile {
                recordings: Some(self.state.join("recordings")),
                ..MrfpFile::default()
            }),
            mg: Some(vec![
                gateway(Function::Trgw, self.mids[0], trgw),
                gateway(Function::Mrfp, self.mids[1], mrfp),
            ]),
            ..MediaFile::default()
        })
    }

    fn write_media_file(&self, args: &UpArgs) -> Result<(), Failure> {
        let cannot = |why: &dyn std::fmt::Display| {
            let what = format!("cannot write {}", self.media_config.display());
            Failure::new(what).because(why)
        };
        let file = self.media_file(args)?;
        let text = toml::to_string(&file).map_err(|fault| cannot(&fault))?;
        std::fs::write(&self.media_config, text).map_err(|fault| cannot(&fault))
    }

    fn table(&self, args: &UpArgs) -> String {
        let mut table = output::Table::new(&[]);
        let mut row = |name: &str, value: String| table.row(vec![format!("  {name}"), value]);
        row("SIP", format!("{}, realm {}", self.sip, args.realm));
        row(
            "media",
            format!("{} ports {}", addresses(&args.address), args.ports),
        );
        let [trgw, mrfp] = self.mids;
        row(
            "H.248",
            format!("{} controls {trgw} (TrGW) and {mrfp} (MRFP)", self.mgc),
        );
        row(
            "admin",
            format!(
                "http://{} and http://{}",
                self.control_admin, self.media_admin
            ),
        );
        row("state", self.state.display().to_string());
        table.text().trim_end().to_owned()
    }

    fn control_arguments(&self, args: &UpArgs) -> Vec<String> {
        let path = |name: &str| self.state.join(name).display().to_string();
        let flags = [
            ("--sip", self.sip.to_string()),
            ("--realm", args.realm.clone()),
            ("--mgc", self.mgc.to_string()),
            ("--store", path("subscribers.redb")),
            ("--state", self.control_state().display().to_string()),
            ("--admin", self.control_admin.to_string()),
            ("--log", args.log.clone()),
        ];
        flags
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect()
    }

    fn media_arguments(&self, args: &UpArgs) -> Vec<String> {
        let config = self.media_config.display().to_string();
        ["--config", &config, "--log", &args.log]
            .map(str::to_owned)
            .to_vec()
    }

    fn control_state(&self) -> PathBuf {
        self.state.join("control")
    }
}

fn addresses(list: &[IpAddr]) -> String {
    list.iter()
        .map(IpAddr::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

fn make_folder(path: &Path) -> Result<PathBuf, Failure> {
    let cannot = |fault| {
        Failure::new(format!("cannot use the directory {}", path.display()))
            .because(fault)
            .remedy("Choose one that you may write to with --state DIR.")
    };
    std::fs::create_dir_all(path).map_err(cannot)?;
    path.canonicalize().map_err(cannot)
}

/// The address itself when nobody listens there by UDP or TCP, else the same with a free port.
fn free_address(wanted: SocketAddr, taken: &[SocketAddr]) -> Result<SocketAddr, Failure> {
    let is_free = |address: SocketAddr| {
        !taken.contains(&address)
            && UdpSocket::bind(address).is_ok()
            && TcpListener::bind(address).is_ok()
    };
    if is_free(wanted) {
        return Ok(wanted);
    }
    for _ in 0..16 {
        let any = UdpSocket::bind((wanted.ip(), 0)).and_then(|socket| socket.local_addr());
        if let Some(address) = any.ok().filter(|&address| is_free(address)) {
            return Ok(address);
        }
    }
    Err(Failure::new(format!("no free port at {}", wanted.ip())))
}

/// Waits until both answer and the gateway is in service at the controller.
fn wait_until_ready(
    plan: &Plan,
    control: &mut Supervised,
    media: &mut Supervised,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let deadline = Instant::now() + START_LIMIT;
    let mut missing = String::new();
    while Instant::now() < deadline && !stop.load(Ordering::Acquire) {
        for (name, child) in [("control", &mut *control), ("media", &mut *media)] {
            if let Some(how) = child.ended() {
                return Err(Failure::new(format!("{name} does not start"))
                    .because(format!("it {how}"))
                    .remedy("Its lines above say more."));
            }
        }
        missing = match readiness(plan) {
            None => return Ok(()),
            Some(missing) => missing,
        };
        thread::sleep(POLL);
    }
    if stop.load(Ordering::Acquire) {
        return Ok(());
    }
    Err(
        Failure::new(format!("not ready after {} s", START_LIMIT.as_secs()))
            .because(missing)
            .remedy("Run it again with --log debug to see what both processes do."),
    )
}

/// What is still missing, if anything.
fn readiness(plan: &Plan) -> Option<String> {
    if status::fetch(plan.media_admin).is_err() {
        return Some("media does not answer yet".into());
    }
    let Ok(control) = status::fetch(plan.control_admin) else {
        return Some("control does not answer yet".into());
    };
    let gateways = control["media_gateways"].as_array();
    let in_service = gateways.into_iter().flatten();
    let in_service = in_service.filter(|gateway| gateway["state"] == "in service");
    let is_missing = in_service.count() < plan.mids.len();
    is_missing.then(|| "a media gateway has not registered with the controller".into())
}

/// Both halves of a range of ports.
fn halves(ports: &str) -> Result<[String; 2], Failure> {
    let range = ports.split_once('-');
    let range = range.and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    let Some((low, high)) = range.filter(|(low, high): &(u16, u16)| high.saturating_sub(*low) >= 7)
    else {
        return Err(Failure::new(format!("--ports {ports}"))
            .because("two gateways share them")
            .remedy("Give 8 ports or more as LOW-HIGH, such as 20000-29999."));
    };
    // Pairs stay together.
    let middle = (low + (high - low) / 2) & !1;
    Ok([format!("{low}-{}", middle - 1), format!("{middle}-{high}")])
}

/// Makes a call through the running system with the built-in user agents; true when it was good.
fn make_call(args: &UpArgs, as_json: bool, plan: &Plan, stop: &AtomicBool) -> bool {
    let state = plan.control_state();
    let call = CallArgs::through(
        plan.sip,
        &args.realm,
        plan.control_admin,
        &state,
        args.seconds,
    );
    let outcome = call::make(&call, stop);
    if let Err(failure) = &outcome {
        eprintln!("error: {failure}");
    }
    call::print(&outcome, as_json)
}

/// Keeps both running and shows what they do, until told to stop.
fn watch(
    plan: &Plan,
    control: &mut Supervised,
    media: &mut Supervised,
    screen: &Screen,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let interval = if screen.is_terminal() {
        STATUS_TERMINAL
    } else {
        STATUS_LOG
    };
    let mut clients = (
        Client::new(plan.control_admin),
        Client::new(plan.media_admin),
    );
    let mut next = Instant::now();
    while !stop.load(Ordering::Acquire) {
        control.tend()?;
        media.tend()?;
        if Instant::now() >= next {
            next = Instant::now() + interval;
            let restarts = control.restarts() + media.restarts();
            let seen = (
                status::fetch_with(&mut clients.0).unwrap_or(json!(null)),
                status::fetch_with(&mut clients.1).unwrap_or(json!(null)),
            );
            let mut line = status_line(&seen.0, &seen.1, restarts);
            for (name, child) in [("control", &*control), ("media", &*media)] {
                if let Some(seconds) = child.restarts_in() {
                    line.push_str(&format!(" · {name} starts again in {seconds} s"));
                }
            }
            screen.status(&line);
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Lets calls end in their time, and releases those that are left.
fn drain(args: &UpArgs, plan: &Plan, control: &mut Supervised, screen: &Screen) {
    let mut client = Client::new(plan.control_admin);
    control.tell(Order::Drain);
    let mut until = Instant::now() + Duration::from_secs(args.drain.into());
    let mut is_released = false;
    let mut shown = None;
    while control.ended().is_none()
        && let Ok(seen) = status::fetch_with(&mut client)
    {
        let dialogs = seen["dialogs"].as_u64().unwrap_or(0);
        let contexts = seen["contexts"].as_u64().unwrap_or(0);
        if dialogs == 0 && contexts == 0 {
            return;
        }
        if Instant::now() >= until {
            if is_released {
                return;
            }
            is_released = true;
            until = Instant::now() + RELEASE_LIMIT;
            screen.line(&format!(
                "{dialogs} dialogs have not ended and are released"
            ));
            control.tell(Order::Release);
        }
        let left = until.saturating_duration_since(Instant::now()).as_secs();
        if screen.is_terminal() || shown != Some(dialogs) {
            shown = Some(dialogs);
            screen.status(&drain_line(dialogs, left, is_released));
        }
        thread::sleep(POLL);
    }
}

/// What is left of the calls, in one line.
fn drain_line(dialogs: u64, seconds: u64, is_released: bool) -> String {
    let dialogs = output::thousands(dialogs);
    if is_released {
        format!("releasing: {dialogs} dialogs left")
    } else {
        format!("draining: {dialogs} dialogs left, {seconds} s for them to end")
    }
}

/// Both processes in one line.
fn status_line(control: &Value, media: &Value, restarts: u32) -> String {
    let mut parts = Vec::new();
    match control["uptime_s"].as_u64() {
        Some(uptime) => parts.push(format!("up {}", output::duration(uptime))),
        None => parts.push("control does not answer".to_owned()),
    }
    let mut count = |status: &Value, key: &str| {
        if let Some(number) = status[key].as_u64() {
            let number = output::thousands(number);
            parts.push(format!("{number} {}", key.replace('_', " ")));
        }
    };
    for key in ["registrations", "dialogs"] {
        count(control, key);
    }
    for key in ["contexts", "terminations"] {
        count(media, key);
    }
    if media["uptime_s"].is_null() {
        parts.push("media does not answer".to_owned());
    }
    if restarts > 0 {
        parts.push(format!("{restarts} restarts"));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_shows_what_there_is() {
        let control = json!({ "uptime_s": 61, "registrations": 2, "dialogs": 1_000 });
        let media = json!({ "uptime_s": 61, "contexts": 1, "terminations": 2 });
        assert_eq!(
            status_line(&control, &media, 0),
            "up 1 min 1 s · 2 registrations · 1 000 dialogs · 1 contexts · 2 terminations"
        );
        assert_eq!(
            status_line(&json!(null), &json!(null), 3),
            "control does not answer · media does not answer · 3 restarts"
        );
    }

    #[test]
    fn the_line_of_a_drain_counts_down() {
        assert_eq!(
            drain_line(2, 29, false),
            "draining: 2 dialogs left, 29 s for them to end"
        );
        assert_eq!(drain_line(1_000, 3, true), "releasing: 1 000 dialogs left");
    }

    #[test]
    fn the_gateways_share_the_ports() {
        let halves = |ports| halves(ports).ok();
        let both = ["20000-24997".to_owned(), "24998-29999".to_owned()];
        assert_eq!(halves("20000-29999"), Some(both));
        for bad in ["20000", "20000-20006", "30000-20000", "a-b"] {
            assert_eq!(halves(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_taken_port_is_replaced() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let wanted = taken.local_addr().expect("it is bound");
        let found = free_address(wanted, &[]).expect("there are others");
        assert_ne!(found, wanted);
        assert_eq!(found.ip(), wanted.ip());
    }
}
