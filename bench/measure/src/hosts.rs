//! Two hosts with a cable between them: a media process, and those who use it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use interop::hosts::{ip, plug};
use interop::{Folder, Namespace, Process};
use serde_json::Value;

use crate::rig;
use crate::signalling::GENERATOR_CORE;
use crate::status;
use crate::usage::Usage;

/// Addresses of each of the two realms.
const ADDRESSES: u8 = 3;
const REALMS: [&str; 2] = ["access", "core"];
/// Packets that wait while the worker has no core, of which there are two for all here.
const RING: u32 = 32_768;
/// The first address of the near host.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// H.248 of the media process.
const MID: &str = "192.0.2.1:2944";
const ADMIN: &str = "127.0.0.1:9081";
/// The controller.
pub const MGC: SocketAddr = far_address(100, 2944);
/// The far ends of the terminations of each realm.
pub const ENDS: [SocketAddr; 2] = [far_address(101, 30_000), far_address(102, 30_000)];

const fn far_address(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port)
}

/// The packet back-end of the media process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Io {
    /// A socket for each port in use.
    Udp,
    /// Frames past the kernel.
    AfXdp,
}

/// What the media process is told.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Its packet back-end.
    pub io: Io,
    /// The function of its gateway.
    pub function: &'static str,
    /// What else its file says, tables included.
    pub more: &'static str,
}

/// Two hosts and a cable; `near` is that of what is measured.
pub struct Cable {
    near: Namespace,
    far: Namespace,
    /// The thread that receives for the near end, where it has one of its own.
    receiver: Option<u32>,
    /// The same for the far end.
    far_receiver: Option<u32>,
}

/// A media process on one host; the other is that of its controller and of the far ends.
pub struct Hosts {
    // Dropped in this order.
    media: Process,
    cable: Cable,
    _folder: Folder,
}

impl Cable {
    /// Lays it. What an end receives is worked on by whoever sends.
    pub fn lay() -> Self {
        let (near, far) = (Namespace::new(), Namespace::new());
        plug(&near, "near", &far, "far");
        let far_ends = [MGC, ENDS[0], ENDS[1]].map(|at| at.ip().to_string());
        join((&near, "near", &near_addresses()), (&far, "far", &far_ends));
        Cable {
            near,
            far,
            receiver: None,
            far_receiver: None,
        }
    }

    /// Gives each end a thread of its own that receives, the near one on this core, so that both
    /// back-ends of ours and the sockets of others are charged with what comes in.
    pub fn with_receivers(mut self, core: usize) -> Self {
        let far = receiver_of(&self.far, "far", GENERATOR_CORE);
        assert!(far.is_some(), "the far end has no thread that receives");
        self.receiver = receiver_of(&self.near, "near", core);
        self.far_receiver = far;
        self
    }

    /// Gives these threads precedence on their cores, as the interrupts of an interface have it:
    /// what comes does not wait until somebody else's slice of time is over.
    pub fn with_precedence(self) -> Self {
        for thread in self.receiver.into_iter().chain(self.far_receiver) {
            let set = ["--rr", "--pid", "2", &thread.to_string()];
            let run = Command::new("chrt").args(set).output();
            assert!(run.is_ok_and(|run| run.status.success()), "chrt {set:?}");
        }
        self
    }

    /// The host of what is measured.
    pub fn near(&self) -> &Namespace {
        &self.near
    }

    /// The host of those who use it.
    pub fn far(&self) -> &Namespace {
        &self.far
    }

    /// What the thread that receives for the near end has used so far.
    pub fn received(&self) -> Duration {
        let usage = self.receiver.and_then(Usage::of_thread);
        usage.unwrap_or_default()
    }
}

/// Has an interface receive by a thread on a core.
fn receiver_of(host: &Namespace, link: &str, core: usize) -> Option<u32> {
    let before = receivers(link);
    let threaded = format!(
        "ethtool --offload {link} gro on tso off && echo 1 >/sys/class/net/{link}/threaded"
    );
    // It mounts the files of the host's devices.
    let run = Command::new("ip")
        .args(["netns", "exec", host.name(), "sh", "-c", &threaded])
        .output();
    let run = run.expect("ip (apt install iproute2)");
    let fault = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{threaded}: {fault}");
    let thread = *receivers(link).difference(&before).next()?;
    for (program, arguments) in [
        ("taskset", format!("--pid --cpu-list {core} {thread}")),
        ("renice", format!("--priority -19 {thread}")),
    ] {
        let run = Command::new(program)
            .args(arguments.split_whitespace())
            .output();
        let done = run.is_ok_and(|run| run.status.success());
        assert!(done, "{program} {arguments}");
    }
    Some(thread)
}

/// The threads of the kernel that receive for interfaces of this name, on any host.
fn receivers(link: &str) -> BTreeSet<u32> {
    let name = format!("napi/{link}-");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let threads = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let comm = fs::read_to_string(entry.path().join("comm")).ok()?;
        comm.starts_with(&name).then_some(pid)
    });
    threads.collect()
}

impl Hosts {
    /// Starts the process on a core; it looks for its controller at [`MGC`].
    pub fn start(cable: Cable, told: Told, core: usize) -> Self {
        let folder = Folder::new();
        folder.write("media.toml", config(told));
        let mut command = rig::pinned(&cable.near, core, "media --config media.toml");
        command.args(["--log", "warn", "--admin", ADMIN]);
        let media = Process::start("media", &mut command, folder.path());
        Hosts {
            media,
            cable,
            _folder: folder,
        }
    }

    /// Where both are.
    pub fn cable(&self) -> &Cable {
        &self.cable
    }

    /// Where the controller and the far ends are.
    pub fn far(&self) -> &Namespace {
        &self.cable.far
    }

    /// The realms with the far ends of their terminations.
    pub fn realms(&self) -> [(&'static str, SocketAddr); 2] {
        [(REALMS[0], ENDS[0]), (REALMS[1], ENDS[1])]
    }

    /// What the process says of itself.
    ///
    /// Panics with its output when it does not answer.
    pub fn status(&self) -> Value {
        let admin = ADMIN.parse().expect("a socket address");
        let status = self.cable.near.inside(|| status::fetch(admin));
        status.unwrap_or_else(|| panic!("no answer of media:\n{}", self.media.output()))
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        Usage::of(self.media.id()).expect("the media process runs")
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.media.id()
    }
}

fn near_addresses() -> Vec<String> {
    let last = 1..=ADDRESSES * REALMS.len() as u8;
    last.map(|last| format!("192.0.2.{last}")).collect()
}

/// Gives two hosts their addresses, and each the link addresses of the other, so that no packet
/// waits for these to be found.
fn join(one: (&Namespace, &str, &[String]), other: (&Namespace, &str, &[String])) {
    const LINKS: [&str; 2] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
    for ((host, link, addresses), at) in [one, other].into_iter().zip(LINKS) {
        let host = host.name();
        ip(&format!("-n {host} link set {link} address {at}"));
        for address in addresses {
            ip(&format!("-n {host} addr add {address}/24 dev {link}"));
        }
    }
    let hosts = [(one, other, LINKS[1]), (other, one, LINKS[0])];
    for ((host, link, _), (_, _, addresses), at) in hosts {
        for address in addresses {
            let host = host.name();
            ip(&format!(
                "-n {host} neigh replace {address} lladdr {at} dev {link} nud permanent"
            ));
        }
    }
}

fn config(told: Told) -> String {
    let mut text = match told.io {
        Io::Udp => "io = \"udp\"\n".to_owned(),
        Io::AfXdp => format!(
            "io = \"af_xdp\"\n[af_xdp]\nring = {RING}\n[[af_xdp.interface]]\nname = \"near\"\n"
        ),
    };
    let addresses = near_addresses();
    let of_realm = |realm: usize| {
        let of: Vec<_> = addresses.iter().skip(realm).step_by(REALMS.len()).collect();
        format!("{} = {of:?}", REALMS[realm])
    };
    // It fails on nothing but want of memory.
    let _ = write!(
        text,
        "[[mg]]\nfunction = \"{}\"\nmgc = [\"{MGC}\"]\nmid = \"{MID}\"\n\
         realms = {{ {}, {} }}\nports = \"10000-59999\"\n{}",
        told.function,
        of_realm(0),
        of_realm(1),
        told.more,
    );
    text
}
