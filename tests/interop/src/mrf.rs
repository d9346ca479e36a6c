//! An MRFC of ours, its MRFPs, and SIPp's UEs that call it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::scenario::Scenario;
use crate::sipp::Ue;
use crate::voice::{Format, Voice};
use crate::{Analysis, Capture, Folder, Namespace, Process, strowger};

/// Admin address of the MRFC.
const CONTROL: &str = "127.0.0.1:9080";
const SIP: &str = "127.0.0.1:5060";
const MGC: &str = "127.0.0.1:2944";
/// Port for RTP of a UE's voice, which is not SIPp's.
pub const MEDIA_PORT: u16 = 7000;
/// How long anything but a call may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running MRFC with MRFPs.
pub struct Mrf {
    // Dropped in this order: processes before the namespace that they run in.
    control: Process,
    /// By the last octet of their addresses, 127.0.0.0/8.
    mrfps: BTreeMap<u8, Process>,
    capture: Capture,
    namespace: Namespace,
    folder: Folder,
}

impl Mrf {
    /// Starts an MRFC.
    #[expect(clippy::new_without_default, reason = "it starts processes")]
    pub fn new() -> Self {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        let capture = Capture::start(&namespace, &folder);
        let control = start_control(&namespace, &folder, "control");
        Self {
            control,
            mrfps: BTreeMap::new(),
            capture,
            namespace,
            folder,
        }
    }

    /// Kills the MRFC by SIGKILL.
    pub fn kill_control(&self) {
        self.control.kill();
    }

    /// Starts the MRFC again after its end, with its state directory; its output goes to a file of
    /// this name.
    pub fn start_control(&mut self, name: &str) {
        self.control = start_control(&self.namespace, &self.folder, name);
    }

    /// Starts the MRFP of this address.
    pub fn start_mrfp(&mut self, last: u8) {
        let arguments = self.mrfp_line(last);
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let command = strowger::command(&self.namespace, &arguments);
        self.start_mrfp_by(last, command);
    }

    /// The same with two workers, each of which takes but a member or two of a room.
    pub fn start_mrfp_of_parts(&mut self, last: u8) {
        let file = self.folder.write("mrfp.toml", "[mrfp]\nroom_percent = 1\n");
        let arguments = self.mrfp_line(last);
        let arguments = format!("{arguments} --cores 0,1 --config {}", file.display());
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let command = strowger::command(&self.namespace, &arguments);
        self.start_mrfp_by(last, command);
    }

    /// Which workers have parts of the only room of an MRFP.
    pub fn workers_of_room(&self, last: u8) -> Vec<u64> {
        let admin = format!("127.0.0.{last}:9081");
        let status = strowger::status(&self.namespace, &self.folder, &admin);
        let status = status.expect("it has a status");
        let workers = status["rooms"][0]["workers"].as_array();
        let workers = workers.expect("there is a room").iter();
        workers.filter_map(Value::as_u64).collect()
    }

    /// The same with a disk of this size for its recordings, which nobody else sees.
    pub fn start_mrfp_with_disk(&mut self, last: u8, kib: u32) {
        let mount = "mkdir -p \"$0\" && mount -t tmpfs -o size=\"$1\" tmpfs \"$0\" && shift && \
                     exec \"$@\"";
        let folder = self.recordings(last);
        let size = format!("{kib}k");
        let mut command = self.namespace.command("unshare");
        command
            .args(["--mount", "sh", "-c", mount])
            .arg(folder)
            .arg(size);
        command.arg(strowger::binary());
        command.args(self.mrfp_line(last).split_whitespace());
        self.start_mrfp_by(last, command);
    }

    fn mrfp_line(&self, last: u8) -> String {
        let ip = format!("127.0.0.{last}");
        let recordings = self.recordings(last);
        format!(
            "media --functions mrfp --recordings {} --mgc {MGC} --mid {ip}:2944 --address {ip} \
             --ports 20000-20999 --io udp --admin {ip}:9081",
            recordings.display()
        )
    }

    fn start_mrfp_by(&mut self, last: u8, mut command: std::process::Command) {
        let name = format!("mrfp-{last}");
        let process = Process::start(&name, &mut command, self.folder.path());
        self.mrfps.insert(last, process);
    }

    /// What an MRFP has recorded under this name, as it sees its disk itself.
    pub fn recording(&self, last: u8, name: &str) -> Vec<u8> {
        let path = self.recordings(last).join(name);
        let path = format!("/proc/{}/root{}", self.mrfps[&last].id(), path.display());
        std::fs::read(&path).unwrap_or_else(|fault| panic!("no recording {path}: {fault}"))
    }

    /// Waits until the MRFP of this address is in service.
    pub fn wait_for_mrfp(&self, last: u8) {
        self.wait_until("the MRFP is in service", |status| {
            gateways(status).any(|each| is_at(each, last) && each["state"] == "in service")
        });
    }

    /// Which MRFP has contexts.
    pub fn busy_mrfp(&self) -> u8 {
        let status = self.status();
        let busy =
            |last: &&u8| gateways(&status).any(|each| is_at(each, **last) && each["contexts"] != 0);
        *self.mrfps.keys().find(busy).expect("one has contexts")
    }

    /// Kills an MRFP by SIGKILL.
    pub fn kill(&mut self, last: u8) {
        drop(self.mrfps.remove(&last));
    }

    /// What the MRFC says of itself.
    pub fn status(&self) -> Value {
        strowger::status(&self.namespace, &self.folder, CONTROL).unwrap_or_default()
    }

    /// Waits until that is so.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        strowger::wait_until(PATIENCE, what, || holds(&self.status()));
    }

    /// Waits until the MRFC has neither calls nor contexts.
    pub fn wait_until_idle(&self) {
        self.wait_until("nothing is left", |status| {
            status["mrf"]["calls"] == 0 && status["contexts"] == 0
        });
    }

    /// What the MRFC has logged.
    pub fn log(&self) -> String {
        self.control.output()
    }

    /// Has a UE do what the scenario says.
    pub fn call(&self, ue: &Ue, scenario: &str) -> Process {
        let mrfc = SIP.parse().expect("an address");
        ue.start_calling_as(&self.namespace, &self.folder, mrfc, "", ue, scenario)
    }

    /// The same with values for keywords of the scenario.
    pub fn call_with(&self, ue: &Ue, scenario: &str, keywords: &[(&str, &str)]) -> Process {
        let mrfc = SIP.parse().expect("an address");
        ue.start_with(&self.namespace, &self.folder, mrfc, scenario, keywords)
    }

    /// What follows a pattern, up to one of `ends`, in the first success that a UE has received;
    /// waits for it.
    pub fn received(&self, ue: &Ue, pattern: &str, ends: &[char]) -> String {
        let mut found = None;
        strowger::wait_until(PATIENCE, pattern, || {
            let messages = ue.messages(&self.folder);
            let answer = messages.split_once("SIP/2.0 200 OK");
            found = answer
                .and_then(|(_, rest)| rest.split_once(pattern))
                .and_then(|(_, rest)| rest.split_once(ends))
                .map(|(value, _)| value.to_owned());
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// All messages of a UE.
    pub fn messages(&self, ue: &Ue) -> String {
        ue.messages(&self.folder)
    }

    /// Has a UE do what a scenario says that is written in code.
    pub fn play(&self, ue: &Ue, scenario: &Scenario) -> Process {
        let scenario = scenario.write(&self.folder, ue.user);
        self.call_with(ue, &scenario, &[])
    }

    /// Has a UE that waits for its cue go on: by a request of its dialog, which it does not answer.
    pub fn cue(&self, ue: &Ue) {
        let messages = self.messages(ue);
        let call = messages.split_once("Call-ID: ");
        let call = call.and_then(|(_, rest)| rest.lines().next());
        let call = call.expect("it has called");
        let from: SocketAddr = (ue.address.ip(), 0).into();
        let socket = self.namespace.inside(|| UdpSocket::bind(from));
        let socket = socket.expect("the address is there");
        let via = socket.local_addr().expect("it is bound");
        let request = format!(
            "OPTIONS sip:cue@{} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{}\r\n\
             Max-Forwards: 1\r\nFrom: <sip:cue@{via}>;tag=cue\r\nTo: <{}>\r\nCall-ID: \
             {call}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            ue.address,
            via.port(),
            ue.impu()
        );
        socket
            .send_to(request.as_bytes(), ue.address)
            .expect("loopback carries it");
    }

    /// What MSML calls the connection of a UE that has called; waits for the answer.
    pub fn connection(&self, ue: &Ue) -> String {
        let to = self.received(ue, "\nTo: ", &['\r', '\n']);
        let (_, tag) = to.split_once("tag=").expect("the answer has a tag");
        format!("conn:{tag}")
    }

    /// A voice at this address, whose packets go to an MRFP; with a tone of its own, or none.
    pub fn voice(&self, at: SocketAddr, format: &Format, hz: Option<f32>) -> Voice {
        Voice::new(&self.namespace, at, format, hz)
    }

    /// A voice for a UE that has called, and where it is to send to; waits for the answer.
    pub fn voice_of(&self, ue: &Ue, format: &Format, hz: Option<f32>) -> (Voice, SocketAddr) {
        let port = self.received(ue, "m=audio ", &[' ']);
        let peer = format!("127.0.0.2:{port}").parse().expect("a port");
        (self.voice(media_of(ue), format, hz), peer)
    }

    /// Where the MRFP of this address keeps what is recorded.
    pub fn recordings(&self, last: u8) -> PathBuf {
        self.folder.file(&format!("recordings-{last}"))
    }

    /// Waits until so many packets of this kind were captured: what was sent last is on the disk a
    /// little later.
    pub fn wait_for_packets(&self, filter: &str, count: usize) {
        let recorded = Analysis::of(&self.folder.file("capture.pcapng"));
        strowger::wait_until(PATIENCE, filter, || recorded.count(filter) >= count);
    }

    /// Ends all, which has run until now, and checks what was captured.
    pub fn finish(mut self, check: impl FnOnce(&Analysis)) {
        for process in self.mrfps.values_mut() {
            assert!(process.is_running(), "{}", process.output());
        }
        assert!(self.control.is_running(), "{}", self.control.output());
        drop((self.mrfps, self.control));
        check(&self.capture.stop());
    }
}

fn start_control(namespace: &Namespace, folder: &Folder, name: &str) -> Process {
    let line = format!("control --roles mrfc --sip {SIP} --mgc {MGC} --state mrfc");
    let arguments: Vec<&str> = line.split_whitespace().collect();
    strowger::start(namespace, folder, name, CONTROL, &arguments)
}

/// Where the voice of a UE is.
pub fn media_of(ue: &Ue) -> SocketAddr {
    SocketAddr::new(ue.address.ip(), MEDIA_PORT)
}

fn gateways(status: &Value) -> impl Iterator<Item = &Value> {
    status["media_gateways"].as_array().into_iter().flatten()
}

fn is_at(gateway: &Value, last: u8) -> bool {
    gateway["mid"] == format!("127.0.0.{last}:2944")
}
