//! rtpengine as Debian has it, told by its `ng` protocol (bencoded dictionaries in datagrams).

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use interop::{Folder, Process};

use crate::hosts::{Cable, ENDS, NEAR};
use crate::rig;
use crate::talkers::Format;
use crate::usage::Usage;

/// Where it is told.
const NG_PORT: u16 = 2223;
const START_LIMIT: Duration = Duration::from_secs(10);

/// It, without its kernel module, on one core with one thread for packets.
pub struct Rtpengine {
    // Dropped in this order.
    process: Process,
    cable: Cable,
    _folder: Folder,
}

impl Rtpengine {
    /// Starts it and waits until it answers.
    pub fn start(cable: Cable, core: usize) -> Self {
        let folder = Folder::new();
        let mut command = rig::favoured(cable.near(), core);
        command.args([
            "rtpengine",
            &format!("--interface={NEAR}"),
            &format!("--listen-ng={NEAR}:{NG_PORT}"),
            "--table=-1",
            "--num-threads=1",
            "--foreground",
            "--log-stderr",
            "--log-level=3",
            "--port-min=20000",
            "--port-max=59999",
        ]);
        let process = Process::start("rtpengine", &mut command, folder.path());
        let it = Rtpengine {
            process,
            cable,
            _folder: folder,
        };
        let started = Instant::now();
        while it.cable.far().inside(|| request("ping", &[])).is_none() {
            let is_late = started.elapsed() > START_LIMIT;
            assert!(!is_late, "no answer:\n{}", it.process.output());
        }
        it
    }

    /// Where both are.
    pub fn cable(&self) -> &Cable {
        &self.cable
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        Usage::of(self.process.id()).expect("it runs")
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

/// Sets up a call from one format to another; `coded` is the latter as rtpengine is to make it.
/// Returns where it receives either end, and the payload type that it chose for the latter.
///
/// The calling thread must be on the far host.
pub fn set_up(call: usize, formats: [Format; 2], coded: &str) -> ([SocketAddr; 2], u8) {
    let call = format!("call{call}");
    let [one, other] = formats;
    let name = one.name();
    let codec = text_of_codec(&[("mask", name), ("transcode", coded)]);
    let offer = description(ENDS[0], &one.description());
    let offered = ask(
        "offer",
        &[
            ("call-id", text(&call)),
            ("codec", codec),
            ("from-tag", text("a")),
            ("sdp", text(&offer)),
        ],
    );
    // The answer has the channels that were offered, and no parameters: AMR is then packed as what
    // is sent to us.
    let (payload_type, line) = format_of(&offered, other.name());
    let answer = description(ENDS[1], &format!("{payload_type}\n{line}"));
    let answered = ask(
        "answer",
        &[
            ("call-id", text(&call)),
            ("from-tag", text("a")),
            ("sdp", text(&answer)),
            ("to-tag", text("b")),
        ],
    );
    // What it says to the one is where it receives from that one.
    let at = [&answered, &offered].map(|reply| SocketAddr::new(NEAR.into(), port_of(reply)));
    (at, payload_type)
}

fn description(at: SocketAddr, media: &str) -> String {
    let (ip, port) = (at.ip(), at.port());
    let text = format!(
        "v=0\no=- 1 1 IN IP4 {ip}\ns=-\nc=IN IP4 {ip}\nt=0 0\nm=audio {port} RTP/AVP {media}"
    );
    text.replace('\n', "\r\n")
}

fn ask(command: &str, items: &[(&str, String)]) -> String {
    let more = [
        ("DTLS", text("off")),
        ("ICE", text("remove")),
        ("transport-protocol", text("RTP/AVP")),
    ];
    let items: Vec<_> = items.iter().cloned().chain(more).collect();
    let reply = request(command, &items).expect("rtpengine answers");
    assert!(reply.contains("6:result2:ok"), "{reply}");
    reply
}

/// The reply to a command; `None` without any.
fn request(command: &str, items: &[(&str, String)]) -> Option<String> {
    let mut all: BTreeMap<&str, String> = items.iter().cloned().collect();
    all.insert("command", text(command));
    let items = all.iter().map(|(key, value)| text(key) + value);
    let socket = UdpSocket::bind((ENDS[0].ip(), 0)).expect("there is a port");
    let patience = Some(Duration::from_millis(500));
    socket.set_read_timeout(patience).expect("it can");
    // What has the cookie of an earlier one is answered by the same.
    let cookie = socket.local_addr().expect("it is bound").port();
    let cookie = format!(
        "{cookie}{command}{}",
        all.get("call-id").map_or("", |id| id)
    );
    let cookie = cookie.replace(':', "");
    let datagram = format!("{cookie} d{}e", items.collect::<String>());
    socket
        .send_to(datagram.as_bytes(), (NEAR, NG_PORT))
        .expect("it leaves");
    let mut reply = vec![0; 65_535];
    let bytes = socket.recv(&mut reply).ok()?;
    Some(String::from_utf8_lossy(&reply[..bytes]).into_owned())
}

/// A text in bencoding.
fn text(text: &str) -> String {
    format!("{}:{text}", text.len())
}

/// A dictionary of lists of one text.
fn text_of_codec(items: &[(&str, &str)]) -> String {
    let items = items
        .iter()
        .map(|(key, value)| format!("{}l{}e", text(key), text(value)));
    format!("d{}e", items.collect::<String>())
}

fn port_of(reply: &str) -> u16 {
    let (_, rest) = reply.split_once("m=audio ").expect("it describes audio");
    let port = rest.split(' ').next().and_then(|port| port.parse().ok());
    port.expect("a port")
}

/// The payload type of an encoding, and the line that names it.
fn format_of(reply: &str, name: &str) -> (u8, String) {
    let mut maps = reply.lines().filter_map(|line| {
        let (payload_type, encoding) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        (encoding.split('/').next() == Some(name)).then_some(payload_type)
    });
    let found = maps.next();
    let payload_type = found.unwrap_or_else(|| panic!("no {name} in {reply}"));
    let start = format!("a=rtpmap:{payload_type} ");
    let line = reply.lines().find(|line| line.starts_with(&start));
    let line = format!("{}\n", line.unwrap_or_default());
    (payload_type.parse().expect("a number"), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_payload_types_are_read_from_a_reply() {
        let reply = "1 d3:sdp99:v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 20004 RTP/AVP 96 8\r\n\
                     a=rtpmap:8 PCMA/8000\r\na=rtpmap:96 AMR-WB/16000\r\n\
                     a=fmtp:96 octet-align=1\r\ne";
        assert_eq!(port_of(reply), 20_004);
        let amr = "a=rtpmap:96 AMR-WB/16000\n".to_owned();
        assert_eq!(format_of(reply, "AMR-WB"), (96, amr));
        assert_eq!(format_of(reply, "PCMA").0, 8);
        let codec = text_of_codec(&[("mask", "PCMU"), ("transcode", "PCMA")]);
        assert_eq!(codec, "d4:maskl4:PCMUe9:transcodel4:PCMAee");
    }
}
