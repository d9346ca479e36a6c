//! A network of its own for each test.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace with a loopback interface that has 127.0.0.0/8, ::1 and fd00::1 to
/// fd00::9. Deleted on drop.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one.
    ///
    /// Panics where that is not allowed: a test that cannot run must not look as if it had passed.
    #[expect(clippy::new_without_default, reason = "it changes the system")]
    pub fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sw-{}-{count}", std::process::id());
        ip(&["netns", "add", &name]);
        let namespace = Namespace { name };
        let inside = |arguments: &[&str]| {
            ip(&[&["-n", namespace.name()], arguments].concat());
        };
        inside(&["link", "set", "lo", "up"]);
        for last in 1..=9 {
            inside(&[
                "addr",
                "add",
                &format!("fd00::{last}/128"),
                "dev",
                "lo",
                "nodad",
            ]);
        }
        namespace
    }

    /// Its name, for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives its loopback interface one more address: `192.0.2.1/32`.
    pub fn add_address(&self, address: &str) {
        ip(&["-n", &self.name, "addr", "add", address, "dev", "lo"]);
    }

    /// A command that will run inside and that the kernel kills when its starter's thread ends.
    ///
    /// All but the network it has in common with everybody, `/sys` too: file systems of its own, as
    /// `ip netns exec` makes them, wait for all processors whenever one begins or ends, and some
    /// may be flooded with packets.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()));
        command.args(["setpriv", "--pdeathsig", "KILL", program]);
        command
    }

    fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// Runs `work` on a thread of its own that is inside: so are the sockets that it opens.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = self.path();
        let enter = || {
            let place = File::open(&path).unwrap_or_else(|fault| panic!("no {path}: {fault}"));
            move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network))
                .unwrap_or_else(|fault| panic!("cannot enter {path}: {fault}"));
            work()
        };
        thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
    }
}

fn ip(arguments: &[&str]) {
    let run = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let run = run.unwrap_or_else(|fault| panic!("cannot run ip (apt install iproute2): {fault}"));
    assert!(
        run.status.success(),
        "ip {} failed: {}network namespaces need root: run scripts/test as root",
        arguments.join(" "),
        String::from_utf8_lossy(&run.stderr),
    );
}
