//! SRTP by libsrtp 2, an implementation by other people: a C program of a screen, built where a
//! test runs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use sdp::crypto::CryptoSuite;

use crate::Folder;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/libsrtp/srtp.c");

/// The program.
#[derive(Debug)]
pub struct Libsrtp {
    path: PathBuf,
}

/// What libsrtp is to do, in order.
#[derive(Debug, Default)]
pub struct Work {
    lines: String,
    parties: usize,
    packets: usize,
}

/// A sender or a receiver.
#[derive(Clone, Copy, Debug)]
pub struct Party(usize);

/// The parts of a stream, which are protected each in its own way (RFC 3711 3.1, 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SRTP.
    Rtp,
    /// SRTCP.
    Rtcp,
}

impl Libsrtp {
    /// Builds it.
    pub fn build(folder: &Folder) -> Self {
        let path = folder.file("libsrtp");
        let built = Command::new("gcc")
            .args(["-Wall", "-Werror", "-O1", "-o"])
            .arg(&path)
            .args([SOURCE, "-lsrtp2"])
            .output();
        let built = built.unwrap_or_else(|fault| panic!("cannot run gcc (apt install): {fault}"));
        let fault = String::from_utf8_lossy(&built.stderr);
        assert!(
            built.status.success(),
            "gcc (apt install libsrtp2-dev): {fault}"
        );
        Libsrtp { path }
    }

    /// Does the work: each packet protected or opened, or the status by which it is refused.
    pub fn run(&self, work: &Work) -> Vec<Result<Vec<u8>, String>> {
        let mut child = Command::new(&self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|fault| panic!("cannot run {}: {fault}", self.path.display()));
        let mut stdin = child.stdin.take().expect("it is a pipe");
        let output = thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(work.lines.as_bytes()));
            child.wait_with_output()
        });
        let output = output.expect("the child is ours");
        assert!(output.status.success(), "libsrtp understands the work");
        let text = String::from_utf8_lossy(&output.stdout);
        let results: Vec<_> = text.lines().map(result).collect();
        assert_eq!(results.len(), work.packets);
        results
    }
}

impl Work {
    /// Another sender, with key and salt.
    pub fn add_sender(&mut self, suite: CryptoSuite, key_and_salt: &[u8]) -> Party {
        self.add("sender", suite, key_and_salt)
    }

    /// Another receiver, with key and salt.
    pub fn add_receiver(&mut self, suite: CryptoSuite, key_and_salt: &[u8]) -> Party {
        self.add("receiver", suite, key_and_salt)
    }

    /// A packet that the party protects or opens.
    pub fn pass(&mut self, party: Party, kind: Kind, packet: &[u8]) {
        let kind = match kind {
            Kind::Rtp => "rtp",
            Kind::Rtcp => "rtcp",
        };
        self.line(&format!("{kind} {}", party.0), packet);
        self.packets += 1;
    }

    fn add(&mut self, what: &str, suite: CryptoSuite, key_and_salt: &[u8]) -> Party {
        self.line(&format!("{what} {}", suite.name()), key_and_salt);
        self.parties += 1;
        Party(self.parties - 1)
    }

    fn line(&mut self, words: &str, octets: &[u8]) {
        self.lines.push_str(words);
        self.lines.push(' ');
        for octet in octets {
            // Writing to a string fails on nothing.
            let _ = write!(self.lines, "{octet:02x}");
        }
        self.lines.push('\n');
    }
}

fn result(line: &str) -> Result<Vec<u8>, String> {
    match line.strip_prefix("status ") {
        Some(status) => Err(status.to_owned()),
        None => Ok(crate::capture::octets(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_party_protects_the_other_opens_and_nobody_else() {
        let folder = Folder::new();
        let libsrtp = Libsrtp::build(&folder);
        let rtp = [&[0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7][..], &[0x55; 20]].concat();
        let rtcp = [0x80, 201, 0, 1, 0, 0, 0, 7];
        for suite in CryptoSuite::ALL {
            let key = vec![7; suite.key_and_salt_bytes()];
            let mut work = Work::default();
            let sender = work.add_sender(suite, &key);
            work.pass(sender, Kind::Rtp, &rtp);
            work.pass(sender, Kind::Rtcp, &rtcp);
            let sealed: Vec<_> = libsrtp.run(&work).into_iter().flatten().collect();
            assert!(sealed[0].len() > rtp.len() && sealed[1].len() > rtcp.len());
            let mut work = Work::default();
            let receiver = work.add_receiver(suite, &key);
            let other = work.add_receiver(suite, &vec![8; key.len()]);
            work.pass(receiver, Kind::Rtp, &sealed[0]);
            work.pass(receiver, Kind::Rtcp, &sealed[1]);
            work.pass(other, Kind::Rtp, &sealed[0]);
            let opened = libsrtp.run(&work);
            assert_eq!(opened[0], Ok(rtp.clone()), "{suite:?}");
            assert_eq!(opened[1], Ok(rtcp.to_vec()), "{suite:?}");
            assert!(opened[2].is_err(), "{suite:?}");
        }
    }
}
