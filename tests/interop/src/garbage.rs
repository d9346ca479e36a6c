//! What nobody should send: valid messages cut off and with bits flipped, at every door.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Folder, Namespace, Process};

/// Mutations of each file.
const MUTATIONS: u64 = 24;
/// Longest datagram sent.
const DATAGRAM_BYTES_MAX: usize = 60_000;

/// A transport that carries garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram a message.
    Udp,
    /// One connection a message.
    Tcp,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// Writes mutations of every file below `sources` into `folder/name`.
///
/// The seed is printed; the same seed makes the same garbage.
pub fn prepare(folder: &Folder, name: &str, sources: &[PathBuf], seed: u64) -> PathBuf {
    println!("garbage {name}: seed {seed}");
    let place = folder.file(name);
    std::fs::create_dir_all(&place).expect("the folder is ours");
    let mut random = Random::new(seed);
    let mut count = 0;
    for source in sources.iter().flat_map(|source| files(source)) {
        let bytes = std::fs::read(&source).expect("a file of the checkout");
        for mutation in 0..MUTATIONS {
            let mut bytes = bytes[..bytes.len().min(DATAGRAM_BYTES_MAX)].to_vec();
            damage(&mut bytes, mutation, &mut random);
            std::fs::write(place.join(format!("{count:06}")), bytes).expect("the folder is ours");
            count += 1;
        }
    }
    assert!(count > 0, "no messages to damage in {sources:?}");
    place
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).expect("a folder of the checkout");
    let mut all: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    all.sort();
    all
}

/// Damages a message, each time in another way; the first of four leaves it as it is.
pub fn damage(bytes: &mut Vec<u8>, mutation: u64, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    match mutation % 4 {
        // As it is: valid ones must be answered, invalid ones refused.
        0 => {}
        1 => bytes.truncate(random.below(bytes.len())),
        2 => {
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        _ => {
            let from = random.below(bytes.len());
            let to = (from + random.below(64)).min(bytes.len());
            let copy = bytes[from..to].to_vec();
            let at = random.below(bytes.len());
            bytes.splice(at..at, copy);
        }
    }
}

/// Sends every file of `place`, from within the namespace, to `to`.
pub fn start_sending(
    namespace: &Namespace,
    folder: &Folder,
    place: &Path,
    transport: Transport,
    to: SocketAddr,
) -> Process {
    // A refused connection or an ICMP error is an answer like any other.
    let script = format!(
        "for file in {}/*; do cat \"$file\" > /dev/{}/{}/{}; done 2>/dev/null; exit 0",
        place.display(),
        transport.name(),
        to.ip(),
        to.port(),
    );
    let mut command: Command = namespace.command("bash");
    command.args(["-c", &script]);
    let name = format!("garbage-{}-{}-{}", transport.name(), to.ip(), to.port());
    Process::start(&name, &mut command, folder.path())
}

/// Numbers from a seed (xorshift64).
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Random(seed | 1)
    }

    /// One less than `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
