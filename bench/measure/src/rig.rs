//! Our processes in a network namespace, pinned to one core, and what they use.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
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
const MEDIA: &str = "media --functions trgw --mgc 127.0.0.1:2944 --mid 127.0.0.2:2944 \
                     --address 127.0.0.2 --ports 20000-49999 --io udp";
const MEDIA_ADMIN: &str = "127.0.0.2:9081";

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How the entities are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// All in one process.
    Together,
    /// P-CSCF, I- and S-CSCF, and HSS in one process each.
    Split,
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
    namespace: Namespace,
    folder: Folder,
    plan: Plan,
}

struct Running {
    name: &'static str,
    admin: SocketAddr,
    process: Process,
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
        let mut rig = Rig {
            running: Vec::new(),
            namespace: Namespace::new(),
            folder: Folder::new(),
            plan,
        };
        let anchor = rig.plan.media;
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
        rig.folder.write("control.toml", tail);
        match rig.plan.layout {
            Layout::Together => rig.start_one(
                "control",
                "127.0.0.1:9080",
                &format!(
                    "control --config control.toml --roles pcscf,icscf,scscf,hss --realm {REALM} \
                     --hss local --sip {PCSCF} {mgc} --store subscribers.redb --state hss"
                ),
            ),
            Layout::Split => {
                rig.start_one(
                    "hss",
                    "127.0.0.6:9080",
                    &format!(
                        "control --roles hss --realm {REALM} --diameter 127.0.0.6:3868 \
                         --store subscribers.redb --state hss"
                    ),
                );
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
            rig.start_one("media", MEDIA_ADMIN, MEDIA);
            rig.wait_until("the gateway registers", |rig| {
                let Some(status) = rig.status(rig.pcscf()) else {
                    return false;
                };
                let gateways = status["media_gateways"].as_array().cloned();
                gateways.is_some_and(|all| all.iter().any(|each| each["state"] == "in service"))
            });
        }
        rig
    }

    fn start_one(&mut self, name: &'static str, admin: &str, line: &str) {
        let mut command = pinned(&self.namespace, self.plan.core, line);
        command.args(["--log", &self.plan.log, "--admin", admin]);
        let process = Process::start(name, &mut command, self.folder.path());
        let admin = admin.parse().expect("a socket address");
        self.running.push(Running {
            name,
            admin,
            process,
        });
        self.wait_until(&format!("{name} answers"), |rig| {
            rig.status(admin).is_some()
        });
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
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where it writes.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Admin address of the process that plays the P-CSCF.
    pub fn pcscf(&self) -> SocketAddr {
        self.admin_of(&["pcscf", "control"])
    }

    fn hss(&self) -> SocketAddr {
        self.admin_of(&["hss", "control"])
    }

    fn admin_of(&self, names: &[&str]) -> SocketAddr {
        let one = self.running.iter().find(|it| names.contains(&it.name));
        one.expect("every rig has it").admin
    }

    /// The status of one process.
    pub fn status(&self, admin: SocketAddr) -> Option<Value> {
        self.namespace.inside(|| status::fetch(admin))
    }

    /// The status of each process.
    pub fn statuses(&self) -> Vec<(&'static str, Value)> {
        self.running
            .iter()
            .map(|it| (it.name, self.status(it.admin).unwrap_or_default()))
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
        let mut command = pinned(&namespace, core, MEDIA);
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

/// A command of ours on one core.
fn pinned(namespace: &Namespace, core: usize, line: &str) -> Command {
    let binary = strowger::binary().to_str().expect("the path is text");
    let mut command = namespace.command("taskset");
    command.args(["-c", &core.to_string(), binary]);
    command.args(line.split_whitespace());
    command
}
