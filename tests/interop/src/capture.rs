//! Every packet of a namespace, and what tshark makes of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::{Folder, Namespace, Process};

/// How long dumpcap may take to open the interface.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to write what it has.
const STOP_LIMIT: Duration = Duration::from_secs(10);
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
}

impl Capture {
    /// Records the loopback interface, which is all a namespace has.
    pub fn start(namespace: &Namespace, folder: &Folder) -> Self {
        let mut end = namespace.command("bash");
        end.args(["-c", &format!("printf %s '{LAST}' >/dev/udp/127.0.0.1/9")]);
        Self {
            end: Some(end),
            ..Self::start_on(namespace, "lo", folder)
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
        let run = Command::new("capinfos").arg(&self.file).output();
        let run = run.unwrap_or_else(|fault| panic!("cannot run capinfos: {fault}"));
        let complaints = String::from_utf8_lossy(&run.stderr);
        assert!(
            run.status.success() && complaints.is_empty(),
            "{complaints}"
        );
    }

    fn tshark(&self, arguments: &[&str]) -> String {
        // Streams that no SDP announced to tshark are found by their looks.
        let run = Command::new("tshark")
            .args(["-n", "--enable-heuristic", "rtp_udp", "-r"])
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            })
        );
        assert_eq!(rtp_stream("==== RTP Streams ===="), None);
    }
}
