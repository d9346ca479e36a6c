//! SIPp as UEs: registration by MD5 digest and by AKAv1-MD5, calls with RTP both ways.
//!
//! SIPp has no memory between runs, so a UE is a series of them on the same address and port: the
//! one that registers writes down the Service-Route, and the one that calls is given it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use codecs::g711::Law;
use codecs::speech::Speech;

use crate::{Folder, Namespace, Process};

/// RTP packets that each side of a call sends, 20 ms each.
pub const PACKETS: u64 = 200;
/// From answer to BYE: the audio and a second for both sides to be done.
const TALK: Duration = Duration::from_millis(PACKETS * 20 + 1_000);
const REGISTER_LIMIT: Duration = Duration::from_secs(60);
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// G.711 octets in one packet of 20 ms.
const OCTETS_PER_PACKET: usize = 160;

/// A subscriber, as SIPp needs it.
#[derive(Clone, Debug)]
pub struct Ue {
    /// User part of both identities.
    pub user: &'static str,
    /// Home network domain.
    pub realm: &'static str,
    /// What it proves its identity with.
    pub credentials: Credentials,
    /// Where it sends and receives SIP.
    pub address: SocketAddr,
    /// What carries SIP.
    pub transport: Transport,
    /// Port for RTP at the same IP address.
    pub media_port: u16,
}

/// What carries SIP between a UE and its P-CSCF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// One connection for all of a run.
    Tcp,
}

impl Transport {
    /// SIPp's name of it.
    fn mode(self) -> &'static str {
        match self {
            Transport::Udp => "u1",
            Transport::Tcp => "t1",
        }
    }
}

/// What a UE proves its identity with.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// SIP Digest (RFC 2617 MD5).
    Password(&'static str),
    /// IMS AKA (RFC 3310): K, OP and AMF in hexadecimal digits.
    ///
    /// SIPp takes its keys through its own scenario parser, so none of their octets may be 00, 0a,
    /// 0d, 5b, 5c or 5d.
    Aka {
        /// Subscriber key.
        k: &'static str,
        /// Operator variant, of which SIPp computes OPc.
        op: &'static str,
        /// Authentication management field; must be what the HSS uses.
        amf: &'static str,
    },
}

impl Ue {
    /// Public identity.
    pub fn impu(&self) -> String {
        format!("sip:{}", self.impi())
    }

    /// Private identity.
    pub fn impi(&self) -> String {
        format!("{}@{}", self.user, self.realm)
    }

    fn authentication(&self) -> String {
        let impi = self.impi();
        match &self.credentials {
            Credentials::Password(password) => {
                format!("[authentication username={impi} password={password}]")
            }
            Credentials::Aka { k, op, amf } => format!(
                "[authentication username={impi} aka_K=0x{k} aka_OP=0x{op} aka_AMF=0x{amf}]"
            ),
        }
    }

    /// Registers through the P-CSCF and returns the Service-Route.
    pub fn register(&self, namespace: &Namespace, folder: &Folder, pcscf: SocketAddr) -> String {
        let name = format!("register-{}", self.user);
        let log = folder.file(&format!("{name}.txt"));
        self.authenticate(namespace, folder, pcscf, "register.xml", |sipp| {
            sipp.keyword("expires", "600");
            sipp.command.arg("-trace_logs").arg("-log_file").arg(&log);
        });
        let log = std::fs::read_to_string(&log)
            .unwrap_or_else(|fault| panic!("SIPp left no log {}: {fault}", log.display()));
        let route = log
            .lines()
            .find_map(|line| line.strip_prefix("service-route "));
        route
            .unwrap_or_else(|| panic!("no Service-Route in {log:?}"))
            .trim()
            .to_owned()
    }

    /// Removes the registration.
    pub fn deregister(&self, namespace: &Namespace, folder: &Folder, pcscf: SocketAddr) {
        self.authenticate(namespace, folder, pcscf, "deregister.xml", |_| ());
    }

    /// Runs a scenario that answers a challenge.
    ///
    /// SIPp takes RES for text: it cuts it at its first octet 00, answers wrongly and is refused as
    /// it must be, or stumbles over a RES that looks like a keyword of its own. Few in a hundred
    /// are such; it may try again with the next challenge.
    fn authenticate(
        &self,
        namespace: &Namespace,
        folder: &Folder,
        pcscf: SocketAddr,
        scenario: &str,
        prepare: impl Fn(&mut Sipp<'_>),
    ) {
        let name = format!("{}-{}", scenario.trim_end_matches(".xml"), self.user);
        let fields = format!("{};{};{}", self.user, self.realm, self.authentication());
        let attempts = match self.credentials {
            Credentials::Password(_) => 1,
            Credentials::Aka { .. } => 4,
        };
        for attempt in 1..=attempts {
            let mut sipp = Sipp::new(namespace, folder, &name, scenario, &fields, self);
            sipp.auth_uri(self.realm);
            prepare(&mut sipp);
            let run = sipp.start(Some(pcscf)).wait(REGISTER_LIMIT);
            let text = |kind| std::fs::read_to_string(folder.file(&format!("{name}.{kind}")));
            let is_refused = text("errors").is_ok_and(|errors| errors.contains("SIP/2.0 403"));
            let is_res_as_text = is_refused || text("messages").is_ok_and(|it| is_unanswered(&it));
            if run.status.success() || !is_res_as_text || attempt == attempts {
                return run.expect_success(&name);
            }
        }
    }

    /// Starts waiting for a call, to answer it and speak.
    pub fn start_answering(&self, namespace: &Namespace, folder: &Folder) -> Process {
        self.start_answering_as(namespace, folder, "callee.xml")
    }

    /// Starts waiting for a call, to answer it and do what the scenario says.
    pub fn start_answering_as(
        &self,
        namespace: &Namespace,
        folder: &Folder,
        scenario: &str,
    ) -> Process {
        let name = format!("callee-{}", self.user);
        let fields = format!("{};{}", self.user, self.realm);
        let mut sipp = Sipp::new(namespace, folder, &name, scenario, &fields, self);
        sipp.command.args(["-d", &TALK.as_millis().to_string()]);
        sipp.start(None)
    }

    /// Calls, speaks and hangs up; `answering` is the other side.
    pub fn call(
        &self,
        namespace: &Namespace,
        folder: &Folder,
        pcscf: SocketAddr,
        service_route: &str,
        other: &Ue,
        answering: Process,
    ) {
        let calling = self.start_calling(namespace, folder, pcscf, service_route, other);
        end_well(calling, self, answering, other);
    }

    /// Starts a call, to speak and hang up.
    pub fn start_calling(
        &self,
        namespace: &Namespace,
        folder: &Folder,
        pcscf: SocketAddr,
        service_route: &str,
        other: &Ue,
    ) -> Process {
        self.start_calling_as(namespace, folder, pcscf, service_route, other, "caller.xml")
    }

    /// What it has sent and received as a caller.
    pub fn messages(&self, folder: &Folder) -> String {
        let file = folder.file(&format!("caller-{}.messages", self.user));
        std::fs::read_to_string(file).unwrap_or_default()
    }

    /// Starts a scenario with values for keywords of its own.
    pub fn start_with(
        &self,
        namespace: &Namespace,
        folder: &Folder,
        remote: SocketAddr,
        scenario: &str,
        keywords: &[(&str, &str)],
    ) -> Process {
        let name = format!("caller-{}", self.user);
        let fields = format!("{};{};", self.user, self.realm);
        let mut sipp = Sipp::new(namespace, folder, &name, scenario, &fields, self);
        for (key, value) in keywords {
            sipp.keyword(key, value);
        }
        sipp.start(Some(remote))
    }

    /// Starts a call, to do what the scenario says.
    pub fn start_calling_as(
        &self,
        namespace: &Namespace,
        folder: &Folder,
        pcscf: SocketAddr,
        service_route: &str,
        other: &Ue,
        scenario: &str,
    ) -> Process {
        let name = format!("caller-{}", self.user);
        let fields = format!("{};{};{}", self.user, self.realm, other.impu());
        let mut sipp = Sipp::new(namespace, folder, &name, scenario, &fields, self);
        sipp.keyword("service_route", service_route);
        sipp.command.args(["-d", &TALK.as_millis().to_string()]);
        sipp.start(Some(pcscf))
    }
}

/// Whether a challenge came and no response to it was sent.
fn is_unanswered(messages: &str) -> bool {
    let mut responses = messages.split("response=\"").skip(1);
    messages.contains("SIP/2.0 401") && responses.all(|response| response.starts_with('"'))
}

/// Waits until both sides of a call have ended as they should.
pub fn end_well(calling: Process, caller: &Ue, answering: Process, callee: &Ue) {
    let ends = calling.wait(CALL_LIMIT);
    ends.expect_success(&format!("caller-{}", caller.user));
    let ends = answering.wait(CALL_LIMIT);
    ends.expect_success(&format!("callee-{}", callee.user));
}

/// One run of SIPp being put together.
struct Sipp<'a> {
    command: Command,
    folder: &'a Folder,
    name: &'a str,
}

impl<'a> Sipp<'a> {
    fn new(
        namespace: &Namespace,
        folder: &'a Folder,
        name: &'a str,
        scenario: &str,
        fields: &str,
        ue: &Ue,
    ) -> Self {
        let users = folder.write(&format!("{name}.csv"), format!("SEQUENTIAL\n{fields}\n"));
        if !folder.file("speech.alaw").exists() {
            folder.write("speech.alaw", speech());
        }
        let ip = ue.address.ip().to_string();
        let mut command = namespace.command("sipp");
        command
            .arg("-sf")
            .arg(scenario_path(scenario))
            .arg("-inf")
            .arg(users);
        command.args(["-t", ue.transport.mode()]);
        command.args(["-i", &ip, "-p", &ue.address.port().to_string()]);
        command.args(["-mi", &ip, "-mp", &ue.media_port.to_string()]);
        command.args(["-m", "1", "-nostdin", "-trace_err", "-error_file"]);
        command.arg(folder.file(&format!("{name}.errors")));
        command.args(["-trace_msg", "-message_file"]);
        command.arg(folder.file(&format!("{name}.messages")));
        Sipp {
            command,
            folder,
            name,
        }
    }

    fn keyword(&mut self, key: &str, value: &str) -> &mut Self {
        self.command.args(["-key", key, value]);
        self
    }

    fn auth_uri(&mut self, uri: &str) -> &mut Self {
        self.command.args(["-auth_uri", uri]);
        self
    }

    fn start(mut self, remote: Option<SocketAddr>) -> Process {
        if let Some(remote) = remote {
            self.command.arg(remote.to_string());
        }
        Process::start(self.name, &mut self.command, self.folder.path())
    }
}

fn scenario_path(name: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sipp")
        .join(name)
}

/// As much speech-like A-law as a call lasts.
fn speech() -> Vec<u8> {
    let mut samples = vec![0_i16; PACKETS as usize * OCTETS_PER_PACKET];
    Speech::new(1).fill(&mut samples);
    let mut octets = vec![0_u8; samples.len()];
    Law::A.encode(&samples, &mut octets);
    octets
}

/// Subscribers in the form that `strowger subscriber import` reads.
pub fn import_file(ues: &[&Ue]) -> String {
    let mut text = String::from("impi,impus,k,op,amf,password\n");
    for ue in ues {
        let row = match &ue.credentials {
            Credentials::Password(password) => format!(",,,{password}"),
            Credentials::Aka { k, op, amf } => format!("{k},{op},{amf},"),
        };
        writeln!(text, "{},{},{row}", ue.impi(), ue.impu()).expect("a String grows");
    }
    text
}
