//! Erlang/OTP megaco, an H.248 implementation by other people, as controller and as gateway.
//!
//! Both roles print a line for everything they see: `ok STEP …`, `fail STEP …` or `info …`, and
//! `done` at the end.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Folder, Namespace, Process, Run};

const START_LIMIT: Duration = Duration::from_secs(60);

/// How OTP writes its messages; in text it reads both styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    /// Long tokens, indented.
    Pretty,
    /// Short tokens.
    Compact,
    /// Binary.
    Ber,
}

impl Encoder {
    /// The name in flags.
    pub fn name(self) -> &'static str {
        match self {
            Encoder::Pretty => "pretty",
            Encoder::Compact => "compact",
            Encoder::Ber => "ber",
        }
    }
}

/// What carries OTP's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// One message a datagram.
    Udp,
    /// TPKTs; the gateway connects.
    Tcp,
}

impl Carrier {
    /// The name in flags.
    pub fn name(self) -> &'static str {
        match self {
            Carrier::Udp => "udp",
            Carrier::Tcp => "tcp",
        }
    }
}

/// What OTP's controller does with a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// One context through its life.
    Life,
    /// Digits collected, notified, buffered and sent.
    Digits,
    /// Announcements, digits after prompts, a recording and a conference, of an MRFP.
    Resource,
}

impl Story {
    fn name(self) -> &'static str {
        match self {
            Story::Life => "life",
            Story::Digits => "digits",
            Story::Resource => "resource",
        }
    }
}

/// Starts a controller on `address` that waits for a gateway, tells its story and ends. With
/// `media`, an address of the test's own side, it sends RTP through the context too.
pub fn start_mgc(
    namespace: &Namespace,
    folder: &Folder,
    address: SocketAddr,
    (encoder, carrier): (Encoder, Carrier),
    media: Option<&str>,
    story: Story,
) -> Process {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let arguments = [
        &ip,
        &port,
        encoder.name(),
        carrier.name(),
        media.unwrap_or("none"),
        story.name(),
    ];
    start(namespace, folder, "mgc", &arguments)
}

/// Starts a gateway on `address` that registers with the controller at `mgc` and obeys it until
/// `life` is over.
pub fn start_mg(
    namespace: &Namespace,
    folder: &Folder,
    address: SocketAddr,
    mgc: SocketAddr,
    (encoder, carrier): (Encoder, Carrier),
    media: &str,
    life: Duration,
) -> Process {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let (mgc_ip, mgc_port) = (mgc.ip().to_string(), mgc.port().to_string());
    let life = life.as_secs().to_string();
    let (encoder, carrier) = (encoder.name(), carrier.name());
    let arguments = [
        &ip, &port, &mgc_ip, &mgc_port, encoder, carrier, media, &life,
    ];
    start(namespace, folder, "mg", &arguments)
}

fn start(namespace: &Namespace, folder: &Folder, role: &str, arguments: &[&str]) -> Process {
    compile(folder);
    let mut command = namespace.command("erl");
    command.env("ERL_CRASH_DUMP", folder.file("erl_crash.dump"));
    command.args(["-noshell", "-pa"]).arg(folder.path());
    command.args(["-run", role, "main"]).args(arguments);
    let mut process = Process::start(role, &mut command, folder.path());
    process.wait_for("info listening", START_LIMIT);
    process
}

/// Compiles both roles into the folder.
fn compile(folder: &Folder) {
    if folder.file("text.beam").exists() {
        return;
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("erlang");
    let run = Command::new("erlc")
        .arg("-o")
        .arg(folder.path())
        .args(
            [
                "text.erl",
                "ber.erl",
                "mgc.erl",
                "digits.erl",
                "resource.erl",
                "mg.erl",
            ]
            .map(|source| sources.join(source)),
        )
        .stdin(Stdio::null())
        .output();
    let run = run.unwrap_or_else(|fault| {
        panic!("cannot run erlc (apt install erlang-base erlang-megaco): {fault}")
    });
    assert!(
        run.status.success(),
        "erlc failed: {}",
        String::from_utf8_lossy(&run.stdout)
    );
}

/// Asserts that nothing failed and that every step in `steps` was done.
pub fn assert_steps(run: &Run, steps: &[&str]) {
    let failed: Vec<&str> = run
        .output
        .lines()
        .filter(|line| line.starts_with("fail"))
        .collect();
    assert!(
        failed.is_empty(),
        "OTP megaco complains: {failed:#?}\n{}",
        run.output
    );
    for step in steps {
        let done = run
            .output
            .lines()
            .filter_map(|line| line.strip_prefix("ok "))
            .any(|line| line == *step || line.starts_with(&format!("{step} ")));
        assert!(done, "OTP megaco did not see {step:?}:\n{}", run.output);
    }
    assert!(
        run.output.lines().any(|line| line == "done"),
        "it did not end:\n{}",
        run.output
    );
}
