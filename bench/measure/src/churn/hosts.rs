//! Two hosts with a cable between them: a media process, and those who use it.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};

use interop::hosts::{ip, plug};
use interop::{Folder, Namespace, Process};
use serde_json::Value;

use crate::rig;
use crate::status;
use crate::usage::Usage;

/// Addresses of each of the two realms.
const ADDRESSES: u8 = 3;
const REALMS: [&str; 2] = ["access", "core"];
/// Packets that wait while the worker has no core, of which there are two for all here.
const RING: u32 = 32_768;
/// H.248 of the media process.
const MID: &str = "192.0.2.1:2944";
const ADMIN: &str = "127.0.0.1:9081";
/// The controller.
const MGC: SocketAddr = far_address(100, 2944);
/// The far ends of the terminations of each realm.
const ENDS: [SocketAddr; 2] = [far_address(101, 30_000), far_address(102, 30_000)];

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

/// A media process on one host; the other is that of its controller and of the far ends.
pub struct Hosts {
    // Dropped in this order.
    media: Process,
    near: Namespace,
    far: Namespace,
    _folder: Folder,
}

impl Hosts {
    /// Starts the process on a core; it looks for its controller at [`Hosts::mgc`].
    pub fn start(io: Io, core: usize) -> Self {
        let (near, far, folder) = (Namespace::new(), Namespace::new(), Folder::new());
        plug(&near, "near", &far, "far");
        let far_ends = [MGC, ENDS[0], ENDS[1]].map(|at| at.ip().to_string());
        join((&near, "near", &near_addresses()), (&far, "far", &far_ends));
        folder.write("media.toml", config(io));
        let mut command = rig::pinned(&near, core, "media --config media.toml");
        command.args(["--log", "warn", "--admin", ADMIN]);
        let media = Process::start("media", &mut command, folder.path());
        Hosts {
            media,
            near,
            far,
            _folder: folder,
        }
    }

    /// Where the controller and the far ends are.
    pub fn far(&self) -> &Namespace {
        &self.far
    }

    /// Where the controller is looked for.
    pub fn mgc(&self) -> SocketAddr {
        MGC
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
        let status = self.near.inside(|| status::fetch(admin));
        status.unwrap_or_else(|| panic!("no answer of media:\n{}", self.media.output()))
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        Usage::of(self.media.id()).expect("the media process runs")
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

fn config(io: Io) -> String {
    let mut text = match io {
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
        "[[mg]]\nfunction = \"trgw\"\nmgc = [\"{MGC}\"]\nmid = \"{MID}\"\n\
         realms = {{ {}, {} }}\nports = \"10000-59999\"\n",
        of_realm(0),
        of_realm(1)
    );
    text
}
