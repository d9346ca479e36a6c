//! The media of a user whose messages the test writes, protected with the keys of DTLS.

use std::collections::VecDeque;
use std::net::SocketAddr;

use base::Instant;
use dtls::{Association, Identity, Progress, Role};
use sdp::dtls::Fingerprint;
use srtp::{OVERHEAD_BYTES_MAX, Receiver, Sender};

/// Port of telephones at which they speak DTLS, and have media and its RTCP.
pub const DTLS_PORT: u16 = 5072;

/// One end of DTLS-SRTP.
pub struct DtlsEnd {
    identity: Identity,
    association: Option<Association>,
    keys: Option<(Sender, Receiver)>,
    /// The other end.
    remote: Option<SocketAddr>,
    /// What came and could be opened: media, and RTCP.
    heard: [Vec<Vec<u8>>; 2],
    /// Protected packets that could not be opened.
    refused: usize,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl Default for DtlsEnd {
    fn default() -> Self {
        Self {
            identity: identity(),
            association: None,
            keys: None,
            remote: None,
            heard: [Vec::new(), Vec::new()],
            refused: 0,
            transmits: VecDeque::new(),
        }
    }
}

fn identity() -> Identity {
    // Where virtual time begins in that of the library does not matter.
    Identity::generate(std::time::Instant::now()).expect("a certificate")
}

impl DtlsEnd {
    /// What signalling tells of its certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// Shows another certificate from now on.
    pub fn renew(&mut self) {
        self.identity = identity();
        (self.association, self.keys) = (None, None);
    }

    /// Has media go there, and shakes hands, if the other end has not begun already.
    pub fn begin(&mut self, now: Instant, role: Role, remote: SocketAddr) {
        self.remote = Some(remote);
        if role == Role::Client {
            let mut association = Association::new(&self.identity, role, now);
            association.handle_timeout(now);
            (self.association, self.keys) = (Some(association), None);
        }
        self.follow();
    }

    /// The certificate of the other end is one of these.
    pub fn is_with(&self, fingerprints: &[Fingerprint]) -> bool {
        let association = self.association.as_ref();
        association.is_some_and(|association| association.is_with(fingerprints))
    }

    /// Media that came, in the clear.
    pub fn heard(&self) -> &[Vec<u8>] {
        &self.heard[0]
    }

    /// RTCP that came, in the clear.
    pub fn heard_rtcp(&self) -> &[Vec<u8>] {
        &self.heard[1]
    }

    /// Packets that could not be opened.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Protects a packet and sends it.
    ///
    /// # Panics
    /// When there are no keys.
    pub fn send(&mut self, packet: &[u8]) {
        let (sender, _) = self.keys.as_ref().expect("the handshake is done");
        let mut sealed = [packet, &[0; OVERHEAD_BYTES_MAX]].concat();
        let len = match is_rtcp(packet) {
            true => sender.protect_rtcp(&mut sealed, packet.len()),
            false => sender.protect(&mut sealed, packet.len()),
        };
        sealed.truncate(len.expect("a packet that can be protected"));
        let remote = self.remote.expect("an end with keys");
        self.transmits.push_back((remote, sealed));
    }

    /// Sends a datagram as it is.
    ///
    /// # Panics
    /// When there is nobody to send it to.
    pub fn send_raw(&mut self, datagram: &[u8]) {
        let remote = self.remote.expect("another end");
        self.transmits.push_back((remote, datagram.to_vec()));
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, remote: SocketAddr, bytes: &[u8]) {
        // RFC 7983 7.
        match bytes.first() {
            Some(20..64) => {
                // Who begins before the answer has come is answered: what it shows is looked at
                // later.
                let association = self
                    .association
                    .get_or_insert_with(|| Association::new(&self.identity, Role::Server, now));
                association.handle_datagram(now, bytes);
                self.remote.get_or_insert(remote);
                self.follow();
            }
            Some(128..192) => self.open(bytes),
            _ => self.refused += 1,
        }
    }

    fn open(&mut self, bytes: &[u8]) {
        let mut packet = bytes.to_vec();
        let rtcp = is_rtcp(bytes);
        let opened = self.keys.as_ref().and_then(|(_, receiver)| {
            let opened = match rtcp {
                true => receiver.unprotect_rtcp(&mut packet),
                false => receiver.unprotect(&mut packet),
            };
            opened.ok()
        });
        match opened {
            Some(len) => {
                packet.truncate(len);
                self.heard[usize::from(rtcp)].push(packet);
            }
            None => self.refused += 1,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.next_timeout().is_some_and(|at| at <= now)
            && let Some(association) = &mut self.association
        {
            association.handle_timeout(now);
            self.follow();
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.association.as_ref()?.next_timeout()
    }

    /// What is to be sent, and where.
    pub(crate) fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front()
    }

    fn follow(&mut self) {
        let (Some(association), Some(remote)) = (&mut self.association, self.remote) else {
            return;
        };
        while let Some(datagram) = association.poll_output() {
            self.transmits.push_back((remote, datagram.into()));
        }
        if association.progress() == Progress::Done
            && self.keys.is_none()
            && let Some(keys) = association.keys()
        {
            let sender = Sender::new(&keys.sends).expect("a key");
            let receiver = Receiver::new(&[keys.receives]).expect("a key");
            self.keys = Some((sender, receiver));
        }
    }
}

/// RFC 5761 4.
fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..224).contains(kind))
}
