//! Every packet of a namespace, and what tshark makes of them.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{fs, thread};

use inet::Headers;

use crate::{Folder, Namespace, Process};

/// How long dumpcap may take to open the interface.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to write what it has.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Kernel buffer, so that a busy machine loses nothing: MiB.
const BUFFER_MIB: &str = "32";

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    dumpcap: Process,
    file: PathBuf,
    /// Sends [`LAST`] where it is captured.
    end: Option<Command>,
}

/// A finished capture.
#[derive(Debug)]
pub struct Analysis {
    file: PathBuf,
}

/// One datagram of a capture.
#[derive(Clone, Debug, PartialEq)]
pub struct Datagram {
    /// When it passed, in seconds.
    pub time: f64,
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// One RTP stream on one leg, as tshark counts it.
#[derive(Clone, Debug, PartialEq)]
pub struct RtpStream {
    /// Sender, `address:port`.
    pub source: String,
    /// Receiver, `address:port`.
    pub destination: String,
    /// Packets seen.
    pub packets: u64,
    /// Packets missing by sequence number.
    pub lost: i64,
    /// Sequence numbers, timestamps or payload types are not as they should be.
    pub has_problem: bool,
}

impl Capture {
    /// Records the loopback interface, which is all a namespace has.
    pub fn start(namespace: &Namespace, folder: &Folder) -> Self {
        Self {
            end: Some(end_at(namespace, "127.0.0.1")),
            ..Self::start_on(namespace, "lo", folder)
        }
    }

    /// Records one interface, over which this address is reached.
    pub fn start_towards(
        namespace: &Namespace,
        interface: &str,
        address: &str,
        folder: &Folder,
    ) -> Self {
        Self {
            end: Some(end_at(namespace, address)),
            ..Self::start_on(namespace, interface, folder)
        }
    }

    /// Records one interface.
    pub fn start_on(namespace: &Namespace, interface: &str, folder: &Folder) -> Self {
        let file = folder.file("capture.pcapng");
        let mut command = namespace.command("dumpcap");
        command
            .args(["-q", "-i", interface, "-s", "0", "-B", BUFFER_MIB, "-w"])
            .arg(&file);
        let mut dumpcap = Process::start("dumpcap", &mut command, folder.path());
        dumpcap.wait_for("File:", START_LIMIT);
        Capture {
            dumpcap,
            file,
            end: None,
        }
    }

    /// Ends the recording, when what was last sent is in it: on a busy machine dumpcap leaves
    /// behind what it has not got around to.
    pub fn stop(mut self) -> Analysis {
        if let Some(end) = &mut self.end {
            let sent = end.status();
            assert!(sent.is_ok_and(|status| status.success()), "no bash?");
            let deadline = Instant::now() + STOP_LIMIT;
            while !has_last(&self.file) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(20));
            }
        }
        let run = self.dumpcap.stop(STOP_LIMIT);
        let dropped = run.output.lines().find(|line| line.contains("dropped"));
        assert!(
            dropped.is_none_or(|line| line.contains(": 0") || line.contains("/0")),
            "the capture itself lost packets: {}",
            run.output
        );
        Analysis { file: self.file }
    }
}

/// What sends [`LAST`] to this address.
fn end_at(namespace: &Namespace, address: &str) -> Command {
    let mut end = namespace.command("bash");
    end.args(["-c", &format!("printf %s '{LAST}' >/dev/udp/{address}/9")]);
    end
}

fn has_last(file: &Path) -> bool {
    let written = fs::read(file).unwrap_or_default();
    let tail = &written[written.len().saturating_sub(TAIL_OCTETS)..];
    let mut places = tail.windows(LAST.len());
    places.any(|octets| octets == LAST.as_bytes())
}

/// How far before the end of a file it may be.
const TAIL_OCTETS: usize = 64 * 1024;

/// The last datagram of a capture.
const LAST: &str = "that was all of it";

impl Analysis {
    /// What was captured earlier.
    pub fn of(file: &Path) -> Self {
        Analysis {
            file: file.to_owned(),
        }
    }

    /// A capture of these datagrams, in order, as if they had passed.
    pub fn of_datagrams<'a>(
        datagrams: impl IntoIterator<Item = &'a Datagram>,
        file: &Path,
    ) -> Self {
        let mut written = Vec::new();
        // Version 2.4, times in microseconds, packets of IP.
        for word in [0xA1B2_C3D4, 0x0004_0002, 0, 0, 0xFFFF, LINK_OF_IP] {
            written.extend(u32::to_le_bytes(word));
        }
        for datagram in datagrams {
            put(datagram, &mut written);
        }
        let put = fs::File::create(file).and_then(|mut file| file.write_all(&written));
        put.unwrap_or_else(|fault| panic!("cannot write {}: {fault}", file.display()));
        Self::of(file)
    }

    /// Every datagram that a display filter shows, in the order of the capture.
    pub fn datagrams(&self, filter: &str) -> Vec<Datagram> {
        const FIELDS: [&str; 8] = [
            "frame.time_epoch",
            "ip.src",
            "ipv6.src",
            "udp.srcport",
            "ip.dst",
            "ipv6.dst",
            "udp.dstport",
            "udp.payload",
        ];
        let named = FIELDS.iter().flat_map(|field| ["-e", field]);
        let arguments: Vec<&str> = ["-Y", filter, "-T", "fields"]
            .into_iter()
            .chain(named)
            .collect();
        let table = self.tshark(&arguments);
        let read = |line| datagram(line).unwrap_or_else(|| panic!("no datagram: {line}"));
        table.lines().map(read).collect()
    }

    /// What tshark says of every packet, a line each with its protocols, and of RTP: asserts that
    /// all of it is RTP or RTCP that nothing is to be said about.
    pub fn assert_media(&self) -> Vec<RtpStream> {
        let said = self.tshark(&[
            "--enable-heuristic",
            "rtcp_udp",
            "-z",
            "rtp,streams",
            "-T",
            "fields",
            "-e",
            "frame.protocols",
            "-e",
            "_ws.expert.message",
        ]);
        let packets = said.lines().filter(|line| line.starts_with("raw:ip"));
        for line in packets {
            let (protocols, said) = line.split_once('\t').unwrap_or((line, ""));
            let is_media = protocols.ends_with(":rtp") || protocols.ends_with(":rtcp");
            assert!(is_media && said.is_empty(), "{line}");
        }
        said.lines().filter_map(rtp_stream).collect()
    }

    /// How many packets a display filter shows.
    pub fn count(&self, filter: &str) -> usize {
        self.count_with(&[], filter)
    }

    /// The same with further arguments for tshark.
    pub fn count_with(&self, arguments: &[&str], filter: &str) -> usize {
        let fields = ["-Y", filter, "-T", "fields", "-e", "frame.number"];
        let all = [arguments, &fields].concat();
        self.tshark(&all).lines().count()
    }

    /// What tshark cannot read, one line a packet; empty when all is well.
    pub fn malformed(&self) -> String {
        self.tshark(&["-Y", "_ws.malformed || _ws.unreassembled"])
    }

    /// Every RTP stream, one a leg.
    pub fn rtp_streams(&self) -> Vec<RtpStream> {
        let table = self.tshark(&["-q", "-z", "rtp,streams"]);
        table.lines().filter_map(rtp_stream).collect()
    }

    /// Asserts that every packet could be read, that each of `protocols` was seen, and that no leg
    /// lost RTP.
    pub fn assert_clean(&self, protocols: &[&str]) {
        let malformed = self.malformed();
        assert!(malformed.is_empty(), "tshark cannot read:\n{malformed}");
        for protocol in protocols {
            assert!(self.count(protocol) > 0, "no {protocol} was captured");
        }
        let streams = self.rtp_streams();
        let lossy: Vec<&RtpStream> = streams.iter().filter(|stream| stream.lost != 0).collect();
        assert!(lossy.is_empty(), "RTP was lost: {lossy:#?}");
    }

    /// One field of each packet that a display filter shows, a line each.
    pub fn fields(&self, filter: &str, field: &str) -> String {
        self.tshark(&["-Y", filter, "-T", "fields", "-e", field])
    }

    /// Asserts that every packet has the checksums that it should, and that nothing about the file
    /// is worth a warning. What passes a loopback interface has none, so this is for other
    /// captures.
    pub fn assert_checksums(&self) {
        let check = [
            "-o",
            "ip.check_checksum:TRUE",
            "-o",
            "udp.check_checksum:TRUE",
        ];
        let good = "udp.checksum.status == Good && (ipv6 || ip.checksum.status == Good)";
        let all = self.count("frame");
        assert_eq!(self.count_with(&check, good), all, "checksums are wrong");
        for (program, arguments) in [("capinfos", &[][..]), ("tshark", &["-q", "-r"])] {
            let run = Command::new(program)
                .args(arguments)
                .arg(&self.file)
                .output();
            let run = run.unwrap_or_else(|fault| panic!("cannot run {program}: {fault}"));
            let said = String::from_utf8_lossy(&run.stderr);
            // That it runs as root tshark does not like, whatever it reads.
            let mut complaints = said.lines().filter(|line| !line.starts_with("Running as"));
            assert!(
                run.status.success() && complaints.next().is_none(),
                "{said}"
            );
        }
    }

    fn tshark(&self, arguments: &[&str]) -> String {
        // Streams that no SDP announced to tshark are found by their looks.
        let run = Command::new("tshark")
            .args(["-n", "--enable-heuristic", "rtp_udp"])
            .args(strangers())
            .arg("-r")
            .arg(&self.file)
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        let run =
            run.unwrap_or_else(|fault| panic!("cannot run tshark (apt install tshark): {fault}"));
        assert!(
            run.status.success(),
            "tshark {arguments:?} failed: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        String::from_utf8_lossy(&run.stdout).into_owned()
    }
}

/// Arguments that have tshark take nothing for a protocol because a port is that protocol's which
/// an end was given by chance.
fn strangers() -> &'static [String] {
    static STRANGERS: OnceLock<Vec<String>> = OnceLock::new();
    STRANGERS.get_or_init(|| {
        let run = Command::new("tshark").args(["-G", "decodes"]).output();
        let table = run.map(|run| run.stdout).unwrap_or_default();
        let table = String::from_utf8_lossy(&table);
        let protocols: BTreeSet<&str> = table.lines().filter_map(by_chance).collect();
        let strangers = protocols.iter().filter(|name| !SPOKEN.contains(name));
        let named = strangers.map(|name| ["--disable-protocol", *name]);
        named.flatten().map(str::to_owned).collect()
    })
}

/// The protocol of a line of tshark's decodes (table, number, protocol) if it goes by a port of
/// [`BY_CHANCE`].
fn by_chance(line: &str) -> Option<&str> {
    let mut fields = line.split('\t');
    let is_port = matches!(fields.next()?, "udp.port" | "tcp.port");
    let port: u16 = fields.next()?.parse().ok()?;
    let protocol = fields.next()?;
    (is_port && BY_CHANCE.contains(&port)).then_some(protocol)
}

/// The ports that the ends of a test are given: those of SIP, H.248, Diameter, DNS and the rest
/// that is spoken here are below.
const BY_CHANCE: RangeInclusive<u16> = 10_000..=u16::MAX;

/// Protocols with such a port among theirs that are spoken here nevertheless.
const SPOKEN: [&str; 2] = ["http", "tls"];

/// A line of tshark's table: start, end, source, port, destination, port, SSRC, payload, packets,
/// lost, …
fn rtp_stream(line: &str) -> Option<RtpStream> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let ssrc = fields.iter().position(|field| field.starts_with("0x"))?;
    // The payload's name may hold blanks: count back from the loss in percent.
    let percent = fields.iter().position(|field| field.ends_with("%)"))?;
    if ssrc != 6 || percent < 10 {
        return None;
    }
    Some(RtpStream {
        source: format!("{}:{}", fields[2], fields[3]),
        destination: format!("{}:{}", fields[4], fields[5]),
        packets: fields[percent - 2].parse().ok()?,
        lost: fields[percent - 1].parse().ok()?,
        has_problem: fields.last() == Some(&"X"),
    })
}

/// LINKTYPE_RAW: what has no link.
const LINK_OF_IP: u32 = 101;
/// Where headers end in memory that holds them.
const HEADERS_END: usize = 64;

/// A record of a capture file.
fn put(datagram: &Datagram, written: &mut Vec<u8>) {
    let headers = Headers::new(&datagram.from, &datagram.to).expect("one family");
    let length = datagram.payload.len();
    let mut memory = [&[0; HEADERS_END][..], &datagram.payload].concat();
    let start = headers.write_packet_before(&mut memory, HEADERS_END, length);
    let packet = &memory[start.expect("there is room")..];
    let micros = (datagram.time * 1e6) as u64;
    let length = packet.len() as u32;
    for word in [
        (micros / 1_000_000) as u32,
        (micros % 1_000_000) as u32,
        length,
        length,
    ] {
        written.extend(word.to_le_bytes());
    }
    written.extend(packet);
}

/// A line of fields; those of the other version of IP are empty.
fn datagram(line: &str) -> Option<Datagram> {
    let mut fields = line.split('\t');
    let time = fields.next()?.parse().ok()?;
    let mut address = || {
        let (four, six) = (fields.next()?, fields.next()?);
        let ip: IpAddr = if four.is_empty() { six } else { four }.parse().ok()?;
        Some(SocketAddr::new(ip, fields.next()?.parse().ok()?))
    };
    let (from, to) = (address()?, address()?);
    let payload = octets(fields.next()?);
    Some(Datagram {
        time,
        from,
        to,
        payload,
    })
}

/// Octets from digits, whatever stands between.
pub(crate) fn octets(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(text, 16).expect("digits")
    };
    digits.chunks_exact(2).map(octet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_anothers_by_number_is_not_taken_for_its_protocol() {
        let folder = Folder::new();
        let at = |text: &str| text.parse().unwrap();
        let datagram = Datagram {
            time: 1.0,
            from: at("127.0.0.1:44818"),
            to: at("127.0.0.1:47808"),
            payload: LAST.into(),
        };
        let analysis = Analysis::of_datagrams([&datagram], &folder.file("chance.pcap"));
        assert_eq!(analysis.malformed(), "");
        assert_eq!(analysis.count("frame && !enip && !bvlc"), 1);
    }

    #[test]
    fn a_line_of_the_stream_table_is_read_from_both_ends() {
        let line = "  0.3  4.3  127.0.0.1  7000  ::1  7100 0xCA110000  ITU-T G.711 PCMA  200  \
                    3 (1.5%)  0.002  19.993  36.188  0.006  0.683  2.389 X";
        assert_eq!(
            rtp_stream(line),
            Some(RtpStream {
                source: "127.0.0.1:7000".to_owned(),
                destination: "::1:7100".to_owned(),
                packets: 200,
                lost: 3,
                has_problem: true,
            })
        );
        assert_eq!(rtp_stream("==== RTP Streams ===="), None);
    }
}
