//! Our processes in a network namespace, pinned to one core, and what they use.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use interop::{Folder, Namespace, Process, strowger};
use serde::Serialize;
use serde_json::Value;

use crate::status;
use crate::usage::Usage;

/// Home network domain.
pub const REALM: &str = "ims.test";
/// Where the P-CSCF listens.
pub const PCSCF: &str = "127.0.0.1:5060";
/// Where media gateways register.
pub const MGC: &str = "127.0.0.1:2944";

/// The media process.
const MEDIA: &str = "media --functions trgw --mgc 127.0.0.1:2944 --mid 127.0.0.2:2944 --io udp";
/// Ports for ten thousand calls a second: each rests for 5 s.
const PORTS: &str = "--address 127.0.0.2,127.0.0.12,127.0.0.22,127.0.0.32 --ports 10000-59999";
/// For as many set-ups as the process can do; each side of a call in a realm of its own.
const GATEWAY: &str = r#"
io = "udp"
[[mg]]
function = "trgw"
mgc = ["127.0.0.1:2944"]
mid = "127.0.0.2:2944"
realms = { access = ["127.0.0.2", "127.0.0.22"], core = ["127.0.0.12", "127.0.0.32"] }
ports = "10000-59999"
"#;
const MEDIA_ADMIN: &str = "127.0.0.2:9081";

/// Where Kamailio's P-CSCF listens.
const KAMAILIO_PCSCF: &str = "127.0.0.21:5060";

/// Priority of what is measured and of its load.
const NICE: &str = "-15";

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// What is killed is dead as soon as the kernel has cleared it away.
const KILL_POLL: Duration = Duration::from_millis(1);

/// How the entities are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// All in one process.
    Together,
    /// P-CSCF, I- and S-CSCF, and HSS in one process each.
    Split,
    /// Kamailio's P-, I- and S-CSCF, each with its processes, and our HSS.
    Kamailio,
}

/// What a rig is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Control processes.
    pub layout: Layout,
    /// Whether there is a media process, and calls are anchored in it.
    pub media: bool,
    /// The core that our processes share; the generators take another.
    pub core: usize,
    /// What the processes log.
    pub log: String,
}

/// Running processes of ours. They end with it.
pub struct Rig {
    // Dropped in this order: processes before the namespace that they run in.
    running: Vec<Running>,
    namespace: Arc<Namespace>,
    folder: Arc<Folder>,
    plan: Plan,
}

struct Running {
    name: &'static str,
    /// None for what is not ours.
    admin: Option<SocketAddr>,
    /// Its arguments.
    line: String,
    /// How often it was started.
    lives: u32,
    process: Process,
}

impl Running {
    /// What is wrong with its life: it has ended by itself, or a thread of it has panicked.
    fn judge(&mut self) -> Option<String> {
        let (name, life) = (self.name, self.lives);
        let output = self.process.output();
        if let Some(at) = output.lines().position(|line| line.contains("panicked at")) {
            let words: Vec<&str> = output.lines().skip(at).take(3).collect();
            return Some(format!("{name}, life {life}: {}", words.join(" ")));
        }
        let is_running = self.process.is_running();
        (!is_running).then(|| format!("{name}, life {life}, ended by itself:\n{output}"))
    }
}

/// One process at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// `control`, `pcscf`, `media`, …
    pub name: &'static str,
    /// What it has used so far.
    pub usage: Usage,
}

impl Rig {
    /// Starts the processes and waits until they are ready for calls.
    pub fn start(plan: Plan) -> Self {
        Self::start_with(plan, "")
    }

    /// The same with more in the configuration of control, in TOML; not of Kamailio.
    pub fn start_with(plan: Plan, more: &str) -> Self {
        let mut rig = Rig {
            running: Vec::new(),
            namespace: Arc::new(Namespace::new()),
            folder: Arc::new(Folder::new()),
            plan,
        };
        let anchor = rig.plan.media && rig.plan.layout != Layout::Kamailio;
        let mgc = if anchor {
            format!("--mgc {MGC}")
        } else {
            String::new()
        };
        let tail = if anchor {
            ""
        } else {
            "[media]\nanchor = false\n"
        };
        rig.folder.write("control.toml", format!("{more}{tail}"));
        match rig.plan.layout {
            Layout::Together => rig.start_one(
                "control",
                "127.0.0.1:9080",
                &format!(
                    "control --config control.toml --roles pcscf,icscf,scscf,hss --realm {REALM} \
                     --hss local --sip {PCSCF} {mgc} --store subscribers.redb --state hss"
                ),
            ),
            Layout::Kamailio => rig.start_kamailio(),
            Layout::Split => {
                rig.start_hss("hss.ims.test");
                rig.start_one(
                    "core",
                    "127.0.0.3:9080",
                    &format!(
                        "control --roles icscf,scscf --realm {REALM} --sip 127.0.0.3:5060 \
                         --hss 127.0.0.6:3868 --state core"
                    ),
                );
                rig.start_one(
                    "pcscf",
                    "127.0.0.1:9080",
                    &format!(
                        "control --config control.toml --roles pcscf --realm {REALM} \
                         --icscf 127.0.0.3:5060 --sip {PCSCF} {mgc} --state pcscf"
                    ),
                );
            }
        }
        if anchor {
            rig.start_one("media", MEDIA_ADMIN, &format!("{MEDIA} {PORTS}"));
            rig.wait_until("the gateway registers", Rig::is_gateway_in_service);
        }
        rig
    }

    fn start_hss(&mut self, host: &str) {
        self.folder
            .write("hss.toml", format!("hss_host = \"{host}\"\n"));
        self.start_one(
            "hss",
            "127.0.0.6:9080",
            &format!(
                "control --config hss.toml --roles hss --realm {REALM} \
                 --diameter 127.0.0.6:3868 --store subscribers.redb --state hss"
            ),
        );
    }

    /// Kamailio's CSCFs with the configuration of `bench/peers/kamailio`, which knows the HSS by
    /// its address.
    fn start_kamailio(&mut self) {
        // It looks up the address of the HSS as a name, in the families that have an address beyond
        // loopback.
        self.namespace.add_address("192.0.2.1/32");
        self.start_hss("127.0.0.6");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers/kamailio");
        copy_folder(&from, self.folder.path());
        for name in ["scscf", "icscf", "pcscf"] {
            let mut command = favoured(&self.namespace, self.plan.core);
            // In the foreground, with room for transactions that stay.
            command.args(["kamailio", "-DD", "-E", "-m", "512", "-M", "16", "-f"]);
            command.arg(format!("{name}.cfg"));
            let tables = self.folder.file("icscf");
            command.args(["-A", &format!("TABLES=\"text://{}\"", tables.display())]);
            command.arg("-w").arg(self.folder.path());
            command.arg("-Y").arg(self.folder.path());
            command
                .arg("-P")
                .arg(self.folder.file(&format!("{name}.pid")));
            let process = Process::start(name, &mut command, self.folder.path());
            self.running.push(Running {
                name,
                admin: None,
                line: String::new(),
                lives: 1,
                process,
            });
        }
        // They say nothing when they are ready, but ask the HSS in.
        self.wait_until("Kamailio's CSCFs reach the HSS", |rig| {
            let status = rig.status(rig.hss()).unwrap_or_default();
            let peers = status["diameter_peers"].as_array().cloned();
            peers.is_some_and(|all| all.iter().filter(|peer| is_open(peer)).count() == 2)
        });
    }

    fn start_one(&mut self, name: &'static str, admin: &str, line: &str) {
        let line = format!("{line} --log {} --admin {admin}", self.plan.log);
        let process = self.spawn(name, &line, 1);
        let admin = admin.parse().expect("a socket address");
        self.running.push(Running {
            name,
            admin: Some(admin),
            line,
            lives: 1,
            process,
        });
        self.wait_until(&format!("{name} answers"), |rig| {
            rig.status(admin).is_some()
        });
    }

    fn spawn(&self, name: &str, line: &str, life: u32) -> Process {
        let mut command = pinned(&self.namespace, self.plan.core, line);
        let log = match life {
            1 => name.to_owned(),
            life => format!("{name}.{life}"),
        };
        Process::start(&log, &mut command, self.folder.path())
    }

    /// Names of our processes.
    pub fn names(&self) -> Vec<&'static str> {
        self.running.iter().map(|it| it.name).collect()
    }

    /// Kills a process by SIGKILL; returns what was wrong with its life.
    pub fn kill(&mut self, name: &str) -> Option<String> {
        let running = self.running.iter_mut().find(|it| it.name == name)?;
        let fault = running.judge();
        if running.process.is_running() {
            running.process.kill();
            while running.process.is_running() {
                std::thread::sleep(KILL_POLL);
            }
        }
        fault
    }

    /// What is wrong with the lives of the processes that should be running.
    pub fn judge_all(&mut self) -> Vec<String> {
        self.running.iter_mut().filter_map(Running::judge).collect()
    }

    /// Starts a process again that was killed, and does not wait for it.
    pub fn launch(&mut self, name: &str) {
        let Some(at) = self.running.iter().position(|it| it.name == name) else {
            return;
        };
        let life = self.running[at].lives + 1;
        let process = self.spawn(name, &self.running[at].line, life);
        self.running[at].lives = life;
        self.running[at].process = process;
    }

    /// Whether every process of ours answers and is connected to those it needs.
    pub fn is_ready(&self) -> bool {
        let is_up = |admin| self.status(admin).is_some();
        self.running.iter().filter_map(|it| it.admin).all(is_up)
            && (!self.plan.media || self.is_gateway_in_service())
            && (self.plan.layout != Layout::Split || self.is_hss_connected())
    }

    fn is_gateway_in_service(&self) -> bool {
        let status = self.pcscf().unwrap_or_default();
        let gateways = status["media_gateways"].as_array().cloned();
        gateways.is_some_and(|all| all.iter().any(|each| each["state"] == "in service"))
    }

    fn is_hss_connected(&self) -> bool {
        let status = self.status(self.hss()).unwrap_or_default();
        let peers = status["diameter_peers"].as_array().cloned();
        peers.is_some_and(|all| all.iter().any(is_open))
    }

    fn wait_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        strowger::wait_until(START_LIMIT, what, || {
            self.assert_running();
            holds(self)
        });
    }

    /// Panics with its output when a process has ended.
    pub fn assert_running(&mut self) {
        for running in &mut self.running {
            let name = running.name;
            let process = &mut running.process;
            assert!(process.is_running(), "{name} ended:\n{}", process.output());
        }
    }

    /// Where it runs.
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// Where it writes.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// The status of the process that plays the P-CSCF; `None` where it is not ours.
    pub fn pcscf(&self) -> Option<Value> {
        self.status(self.admin_of(&["pcscf", "control"])?)
    }

    /// Admin address of the process that plays the HSS.
    pub fn hss(&self) -> SocketAddr {
        self.admin_of(&["hss", "control"])
            .expect("the HSS is always ours")
    }

    fn admin_of(&self, names: &[&str]) -> Option<SocketAddr> {
        let one = self.running.iter().find(|it| names.contains(&it.name));
        one.and_then(|it| it.admin)
    }

    /// Where the UEs find their P-CSCF.
    pub fn proxy(&self) -> SocketAddr {
        let address = match self.plan.layout {
            Layout::Together | Layout::Split => PCSCF,
            Layout::Kamailio => KAMAILIO_PCSCF,
        };
        address.parse().expect("a socket address")
    }

    /// The status of one process.
    pub fn status(&self, admin: SocketAddr) -> Option<Value> {
        self.namespace.inside(|| status::fetch(admin))
    }

    /// What is at a path of an admin interface.
    pub fn get(&self, admin: SocketAddr, path: &str) -> Option<Value> {
        self.namespace.inside(|| status::get(admin, path))
    }

    /// A figure of the status of the process that plays the P-CSCF.
    pub fn figure(&self, pointer: &str) -> u64 {
        let status = self.pcscf().unwrap_or_default();
        status::figure(&status, pointer)
    }

    /// The status of each process.
    pub fn statuses(&self) -> Vec<(&'static str, Value)> {
        self.running
            .iter()
            .filter_map(|it| Some((it.name, self.status(it.admin?).unwrap_or_default())))
            .collect()
    }

    /// What each process has used so far.
    pub fn usage(&self) -> Vec<Sample> {
        self.running
            .iter()
            .map(|it| Sample {
                name: it.name,
                usage: Usage::of(it.process.id()).unwrap_or_default(),
            })
            .collect()
    }

    /// Gives subscribers to the HSS.
    pub fn import(&self, file: &Path) {
        let admin = self.hss().to_string();
        let file = file.to_str().expect("the path is text");
        let arguments = [
            "subscriber",
            "--admin",
            &admin,
            "--state",
            "hss",
            "import",
            file,
        ];
        strowger::run(&self.namespace, &self.folder, "import", &arguments)
            .expect_success("subscriber import");
    }

    /// Ends the processes in order.
    pub fn stop(mut self) {
        while let Some(running) = self.running.pop() {
            running
                .process
                .stop(STOP_LIMIT)
                .expect_success(running.name);
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        while let Some(running) = self.running.pop() {
            // Each of Kamailio's is many processes, which end when the first is asked to end.
            if running.admin.is_none() {
                running.process.stop(STOP_LIMIT);
            }
        }
    }
}

/// Whether a Diameter peer is connected (RFC 6733 5.6).
fn is_open(peer: &Value) -> bool {
    peer["state"]
        .as_str()
        .is_some_and(|it| it.ends_with("Open"))
}

/// A media process without a controller of ours.
pub struct MediaRig {
    // Dropped in this order.
    media: Process,
    namespace: Namespace,
    _folder: Folder,
}

impl MediaRig {
    /// Starts it on a core; it looks for its controller at [`MGC`].
    pub fn start(core: usize) -> Self {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        folder.write("media.toml", GATEWAY);
        let mut command = pinned(&namespace, core, "media --config media.toml");
        command.args(["--log", "warn", "--admin", MEDIA_ADMIN]);
        let media = Process::start("media", &mut command, folder.path());
        MediaRig {
            media,
            namespace,
            _folder: folder,
        }
    }

    /// Where it runs.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        Usage::of(self.media.id()).expect("the media process runs")
    }
}

/// Copies the logs of a run.
pub fn keep(folder: &Folder, to: &Path) {
    let Ok(()) = std::fs::create_dir_all(to) else {
        return;
    };
    for file in std::fs::read_dir(folder.path())
        .into_iter()
        .flatten()
        .flatten()
    {
        if file.path().is_file() {
            // What cannot be copied is missing where it is looked for.
            let _ = std::fs::copy(file.path(), to.join(file.file_name()));
        }
    }
}

/// Copies a folder with its folders.
fn copy_folder(from: &Path, to: &Path) {
    let fail = |fault: std::io::Error| -> ! { panic!("cannot copy {}: {fault}", from.display()) };
    std::fs::create_dir_all(to).unwrap_or_else(|fault| fail(fault));
    for entry in std::fs::read_dir(from)
        .unwrap_or_else(|fault| fail(fault))
        .flatten()
    {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            // One level: the tables of the I-CSCF.
            for table in std::fs::read_dir(entry.path())
                .into_iter()
                .flatten()
                .flatten()
            {
                std::fs::create_dir_all(&target).unwrap_or_else(|fault| fail(fault));
                let copied = std::fs::copy(table.path(), target.join(table.file_name()));
                copied.map_or_else(|fault| fail(fault), drop);
            }
        } else {
            std::fs::copy(entry.path(), target).map_or_else(|fault| fail(fault), drop);
        }
    }
}

/// A command of ours on one core.
pub fn pinned(namespace: &Namespace, core: usize, line: &str) -> Command {
    let binary = strowger::binary().to_str().expect("the path is text");
    let mut command = favoured(namespace, core);
    command.arg(binary).args(line.split_whitespace());
    command
}

/// The beginning of a command on one core, before whatever else wants it: the machine may be busy
/// with other work, which is neither to be measured nor to make a process late.
pub fn favoured(namespace: &Namespace, core: usize) -> Command {
    let mut command = namespace.command("nice");
    command.args(["-n", NICE, "taskset", "-c", &core.to_string()]);
    command
}
