//! How long a packet takes from when the kernel of a host first has it to when it has it again,
//! relayed: by the kernel's own time stamps, so that it does not matter when whoever sent it, and
//! whoever it is for, had a core.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use interop::{Folder, Namespace, Process};

/// How long dumpcap may take to open the interface, and to write what it has.
const LIMIT: Duration = Duration::from_secs(10);

/// A capture of one interface that is under way.
pub struct Wire {
    // Dropped in this order.
    dumpcap: Process,
    file: PathBuf,
    _folder: Folder,
}

impl Wire {
    /// Begins to note what passes there to and from a port.
    pub fn watch(host: &Namespace, link: &str, filter: &str) -> Self {
        let folder = Folder::new();
        let file = folder.file("wire.pcapng");
        let mut command = host.command("dumpcap");
        command
            .args(["-q", "-i", link, "-s", "96", "-f", filter, "-w"])
            .arg(&file);
        let mut dumpcap = Process::start("dumpcap", &mut command, folder.path());
        dumpcap.wait_for("File:", LIMIT);
        Wire {
            dumpcap,
            file,
            _folder: folder,
        }
    }

    /// Ends; how long each packet took that passed twice, sorted.
    pub fn finish(self) -> Vec<Duration> {
        // What came last is written when a block is full or some time has passed.
        std::thread::sleep(Duration::from_millis(500));
        self.dumpcap.stop(LIMIT);
        let run = Command::new("tshark")
            .args(["-n", "-T", "fields", "-e", "frame.time_epoch"])
            .args(["-e", "udp.payload", "-r"])
            .arg(&self.file)
            .output()
            .expect("tshark is installed");
        ways(&String::from_utf8_lossy(&run.stdout))
    }
}

/// The times between the first and the second sight of each RTP packet in lines of seconds and
/// payloads in hexadecimal.
fn ways(lines: &str) -> Vec<Duration> {
    let mut first = HashMap::new();
    let mut taken = Vec::new();
    for line in lines.lines() {
        let Some((at, payload)) = line.split_once('\t') else {
            continue;
        };
        let (Some(at), Some(sequence)) = (nanos(at), payload.get(4..8)) else {
            continue;
        };
        match first.remove(sequence) {
            None => drop(first.insert(sequence, at)),
            Some(before) => taken.push(Duration::from_nanos(at.saturating_sub(before))),
        }
    }
    taken.sort_unstable();
    taken
}

fn nanos(seconds: &str) -> Option<u64> {
    let (whole, part) = seconds.split_once('.')?;
    let part = format!("{part:0<9}");
    Some(whole.parse::<u64>().ok()? * 1_000_000_000 + part.get(..9)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_found_again_by_its_sequence_number() {
        let lines = "1700000000.999999000\t8008fffe00000000\n\
                     1700000001.000000500\t8008ffff00000000\n\
                     1700000001.000100\t8008fffe00000000\n\
                     1700000001.000000700\n\
                     1700000001.000050500\t8008ffff00000000\n\
                     1700000002.0\t8008000000000000\n";
        let expected = [50_000, 101_000].map(Duration::from_nanos);
        assert_eq!(ways(lines), expected);
    }
}
