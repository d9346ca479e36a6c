//! One handshake with one peer.

use std::collections::VecDeque;
use std::time::Duration;

use base::Instant;
use dimpl::{Dtls, KeyingMaterial, Output, SrtpProfile};
use sdp::dtls::Fingerprint;
use srtp::{MasterKey, Suite};

use crate::certificate;
use crate::identity::{Identity, Role};

/// A DTLS association with one address.
pub struct Association {
    role: Role,
    /// What `origin` is in our time.
    began: Instant,
    origin: std::time::Instant,
    dtls: Dtls,
    progress: Progress,
    next: Option<Instant>,
    outputs: VecDeque<Box<[u8]>>,
    certificate: Option<Box<[u8]>>,
    material: Option<(KeyingMaterial, SrtpProfile)>,
    is_connected: bool,
}

/// How far a handshake is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It goes on.
    Going,
    /// It is done: there are keys, and who the other side is can be looked at.
    Done,
    /// It has come to nothing.
    Failed,
}

/// The keys of a handshake (RFC 5764 4.2).
#[derive(Clone)]
pub struct Keys {
    /// The suite of the protection profile that was agreed on.
    pub suite: Suite,
    /// Of what this side sends.
    pub sends: MasterKey,
    /// Of what comes.
    pub receives: MasterKey,
}

impl Association {
    /// An association that has not begun: a client says hello at its first
    /// [`Association::handle_timeout`].
    pub fn new(identity: &Identity, role: Role, now: Instant) -> Self {
        Self {
            role,
            began: now,
            origin: identity.origin,
            dtls: identity.dtls(role),
            progress: Progress::Going,
            next: (role == Role::Client).then_some(now),
            outputs: VecDeque::new(),
            certificate: None,
            material: None,
            is_connected: false,
        }
    }

    /// Who begins.
    pub fn role(&self) -> Role {
        self.role
    }

    /// When it was made.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Takes a datagram from the other side.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let now = self.to_std(now);
        let taken = self.dtls.handle_timeout(now);
        let taken = taken.and_then(|()| self.dtls.handle_packet(datagram));
        self.proceed(taken.is_ok());
    }

    /// Sends again what was not answered, or gives up.
    pub fn handle_timeout(&mut self, now: Instant) {
        let taken = self.dtls.handle_timeout(self.to_std(now));
        self.proceed(taken.is_ok());
    }

    /// Tells the other side that this is the end.
    pub fn close(&mut self) {
        let closed = self.dtls.close();
        self.proceed(closed.is_ok());
    }

    /// When [`Association::handle_timeout`] is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// The next datagram to send.
    pub fn poll_output(&mut self) -> Option<Box<[u8]>> {
        self.outputs.pop_front()
    }

    /// True when it is done with who has shown a certificate with one of these fingerprints (RFC
    /// 8122 6.2).
    pub fn is_with(&self, fingerprints: &[Fingerprint]) -> bool {
        let Some(shown) = self.certificate.as_ref().filter(|_| self.is_connected) else {
            return false;
        };
        let mut told = fingerprints.iter();
        told.any(|told| certificate::fingerprint(shown, told.hash()) == Some(*told))
    }

    /// The keys, when it is done.
    pub fn keys(&self) -> Option<Keys> {
        let (material, profile) = self.material.as_ref().filter(|_| self.is_connected)?;
        let suite = suite_of(*profile)?;
        let (client, server) = split(material, suite)?;
        let (sends, receives) = match self.role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        Some(Keys {
            suite,
            sends,
            receives,
        })
    }

    fn proceed(&mut self, is_well: bool) {
        self.next = None;
        if !is_well || !self.poll() {
            self.progress = Progress::Failed;
            return;
        }
        let has_keys = self.certificate.is_some()
            && (self.material.as_ref()).is_some_and(|(_, profile)| suite_of(*profile).is_some());
        self.progress = match (self.progress, self.is_connected, has_keys) {
            (Progress::Failed, ..) => Progress::Failed,
            (_, false, _) => Progress::Going,
            (_, true, true) => Progress::Done,
            // Without use_srtp there is nothing that it would be good for (RFC 5764 4.1).
            (_, true, false) => Progress::Failed,
        };
    }

    /// Takes what there is; false when it makes no sense.
    fn poll(&mut self) -> bool {
        let mut buffer = vec![0; BUFFER_USUAL];
        for _ in 0..OUTPUTS_MAX {
            match self.dtls.poll_output(&mut buffer) {
                Output::Timeout(at) => {
                    self.next = Some(self.instant(at));
                    return true;
                }
                Output::Packet(bytes) => self.outputs.push_back(bytes.into()),
                Output::BufferTooSmall { needed } => {
                    if needed > BUFFER_MAX {
                        return false;
                    }
                    buffer.resize(needed, 0);
                }
                Output::Connected => self.is_connected = true,
                Output::PeerCert(bytes) => self.certificate = Some(bytes.into()),
                Output::KeyingMaterial(material, profile) => {
                    self.material = Some((material, profile));
                }
                // Nothing else is spoken, and signalling tells when media ends.
                _ => {}
            }
        }
        false
    }

    fn to_std(&self, now: Instant) -> std::time::Instant {
        let since = now.since(self.began);
        self.origin.checked_add(since).unwrap_or(self.origin)
    }

    fn instant(&self, at: std::time::Instant) -> Instant {
        let since = at.saturating_duration_since(self.origin);
        // What is to come in years does not matter.
        self.began + since.min(FOREVER)
    }
}

/// True for the begin of a handshake: a record of type 22 in which the first message is of type 1
/// (RFC 6347 4.1 and 4.2.2).
pub fn is_client_hello(datagram: &[u8]) -> bool {
    datagram.first() == Some(&22) && datagram.get(RECORD_HEADER_BYTES) == Some(&1)
}

fn suite_of(profile: SrtpProfile) -> Option<Suite> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::AesCm128HmacSha1_80),
        SrtpProfile::AEAD_AES_128_GCM => Some(Suite::AeadAes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Suite::AeadAes256Gcm),
        _ => None,
    }
}

/// The keys of client and server: first the keys in this order, then the salts.
fn split(material: &[u8], suite: Suite) -> Option<(MasterKey, MasterKey)> {
    let (key, salt) = (suite.key_bytes(), suite.salt_bytes());
    if material.len() != 2 * (key + salt) {
        return None;
    }
    let (keys, salts) = material.split_at(2 * key);
    let of = |index: usize| {
        let parts = [&keys[index * key..][..key], &salts[index * salt..][..salt]];
        MasterKey::new(suite, &parts.concat()).ok()
    };
    Some((of(0)?, of(1)?))
}

/// Octets before the fragment of a record, RFC 6347 4.1.
const RECORD_HEADER_BYTES: usize = 13;

/// Things that follow from one: a flight is a few datagrams.
const OUTPUTS_MAX: usize = 64;

/// Octets of a datagram that is sent.
const BUFFER_USUAL: usize = 2048;

/// Octets of the longest thing that comes out: a certificate.
const BUFFER_MAX: usize = 1 << 16;

const FOREVER: Duration = Duration::from_secs(1 << 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_before_salts_and_the_clients_before_the_servers() {
        let suite = Suite::AesCm128HmacSha1_80;
        let material: Vec<u8> = (0..60).collect();
        let (client, server) = split(&material, suite).unwrap();
        let expected = |key: u8, salt: u8| {
            let octets: Vec<u8> = (key..key + 16).chain(salt..salt + 14).collect();
            MasterKey::new(suite, &octets).unwrap()
        };
        assert!(client == expected(0, 32) && server == expected(16, 46));
        assert!(split(&material[1..], suite).is_none());
    }

    #[test]
    fn only_the_first_message_of_a_client_is_a_hello() {
        assert!(!is_client_hello(&[]));
        assert!(!is_client_hello(&[22; 13]));
        let mut hello = [22; 14];
        assert!(!is_client_hello(&hello));
        hello[13] = 1;
        assert!(is_client_hello(&hello));
        hello[0] = 21;
        assert!(!is_client_hello(&hello));
    }

    #[test]
    fn time_is_counted_from_the_begin() {
        let origin = std::time::Instant::now();
        let identity = Identity::generate(origin).unwrap();
        let began = Instant::from_secs(1_800_000_000);
        let association = Association::new(&identity, Role::Server, began);
        assert_eq!(association.next_timeout(), None);
        let later = began + Duration::from_secs(5);
        assert_eq!(association.instant(association.to_std(later)), later);
        assert_eq!(association.to_std(Instant::ZERO), origin);
    }
}
