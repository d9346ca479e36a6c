//! SIPp as many user agents, on the core that what is measured has not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use interop::Process;

use crate::rig::{REALM, Rig, favoured};

/// Where the callers are; registrations of one side leave one address.
pub const CALLERS: &str = "127.0.1.1";
/// Where the called are.
pub const CALLED: &str = "127.0.1.2";
/// Registrations a second.
const REGISTER_RATE: u32 = 100;
/// Time beyond what the registrations need by their rate.
const GRACE: Duration = Duration::from_secs(90);

/// Adds so many users on each side to the HSS and registers them; returns the Service-Route, which
/// is the same for all.
pub fn register_users(rig: &Rig, users: u32) -> String {
    let mut subscribers = String::from("impi,impus,password\n");
    let sides = [("caller", CALLERS), ("called", CALLED)];
    for (side, _) in sides {
        for number in 0..users {
            let user = format!("{side}{number:06}@{REALM}");
            let _ = writeln!(subscribers, "{user},sip:{user},secret{number}");
        }
    }
    rig.import(&rig.folder().write("subscribers.csv", subscribers));
    let mut route = None;
    for (side, address) in sides {
        let mut rows = String::from("SEQUENTIAL\n");
        for number in 0..users {
            let user = format!("{side}{number:06}");
            let _ = writeln!(
                rows,
                "{user};{REALM};[authentication username={user}@{REALM} password=secret{number}]"
            );
        }
        let name = format!("register-{side}");
        let mut sipp = Sipp::new(rig, &name, "register.xml", address);
        sipp.inject(&rows);
        sipp.arguments(&["-key", "expires", "600000", "-auth_uri", REALM]);
        sipp.arguments(&["-m", &users.to_string(), "-r", &REGISTER_RATE.to_string()]);
        let log = rig.folder().file(&format!("{name}.txt"));
        sipp.arguments(&["-trace_logs", "-log_file"]).path(&log);
        let limit = GRACE + Duration::from_secs(u64::from(users / REGISTER_RATE));
        sipp.start().wait(limit).expect_success(&name);
        route = fs::read_to_string(&log).ok().and_then(|log| {
            let line = log
                .lines()
                .find_map(|line| line.strip_prefix("service-route "));
            line.map(|line| line.trim().to_owned())
        });
    }
    route.expect("the registrations have a Service-Route")
}

/// The injection file of callers: each calls the called of its number.
pub fn pairs(users: u32) -> String {
    let mut rows = String::from("SEQUENTIAL\n");
    for number in 0..users {
        let _ = writeln!(
            rows,
            "caller{number:06};{REALM};sip:called{number:06}@{REALM}"
        );
    }
    rows
}

/// SIPp's statistics by name, those of the last whole line.
pub fn figures(file: &Path) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let names = lines.next().unwrap_or_default().split(';');
    let values = lines.next_back().unwrap_or_default().split(';');
    names
        .zip(values)
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

/// One run of SIPp being put together.
pub struct Sipp<'a> {
    rig: &'a Rig,
    name: &'a str,
    command: std::process::Command,
}

impl<'a> Sipp<'a> {
    /// A scenario of the folder `sipp` at an address; its files have this name.
    pub fn new(rig: &'a Rig, name: &'a str, scenario: &str, address: &str) -> Self {
        // The other core: ours is for what is measured.
        let mut command = favoured(rig.namespace(), 1);
        command.args(["sipp", &rig.proxy().to_string(), "-sf"]);
        command.arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("sipp")
                .join(scenario),
        );
        command.args(["-t", "u1", "-i", address, "-p", "5060", "-mi", address]);
        command.args(["-mp", "6000", "-nostdin", "-buff_size", "4194304"]);
        command.args(["-trace_err", "-error_file"]);
        command.arg(rig.folder().file(&format!("{name}.errors")));
        Sipp { rig, name, command }
    }

    /// Adds flags.
    pub fn arguments(&mut self, arguments: &[&str]) -> &mut Self {
        self.command.args(arguments);
        self
    }

    /// Adds a path.
    pub fn path(&mut self, path: &Path) -> &mut Self {
        self.command.arg(path);
        self
    }

    /// Gives it its injection file.
    pub fn inject(&mut self, rows: &str) {
        let file = self
            .rig
            .folder()
            .write(&format!("{}.users", self.name), rows);
        self.command.arg("-inf").arg(file);
    }

    /// Has it write its [`figures`] once a second.
    pub fn figures(&mut self, file: &Path) {
        self.arguments(&["-trace_stat", "-fd", "1", "-stf"])
            .path(file);
    }

    /// Starts it.
    pub fn start(mut self) -> Process {
        Process::start(self.name, &mut self.command, self.rig.folder().path())
    }
}
