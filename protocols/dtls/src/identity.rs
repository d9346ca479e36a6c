//! What a process shows of itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dimpl::{Config, Dtls, DtlsCertificate};
use sdp::dtls::{Fingerprint, HashFunction};

use crate::certificate;

/// The certificate of a process and the rules of its handshakes.
pub struct Identity {
    certificate: DtlsCertificate,
    fingerprint: Fingerprint,
    config: Arc<Config>,
    pub(crate) origin: std::time::Instant,
}

/// Who begins (RFC 5763 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// This side does: `a=setup:active`.
    Client,
    /// The other side does: `a=setup:passive`.
    Server,
}

/// The cryptography of this machine does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no certificate for DTLS can be made")
    }
}

impl std::error::Error for Unavailable {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint).finish()
    }
}

impl Identity {
    /// A new key on P-256 with a certificate of it. `origin` is any point in time: the library
    /// counts from there, where our time is virtual.
    ///
    /// # Errors
    /// The cryptographic library fails its own checks or has no randomness.
    pub fn generate(origin: std::time::Instant) -> Result<Self, Unavailable> {
        let config = Config::builder()
            .flight_start_rto(RETRANSMIT_FIRST)
            .flight_retries(RETRANSMITS_MAX)
            .handshake_timeout(HANDSHAKE_MAX)
            .build();
        let certificate = certificate::generate().map_err(|_| Unavailable)?;
        let fingerprint = certificate::fingerprint(&certificate.certificate, HashFunction::Sha256);
        Ok(Self {
            fingerprint: fingerprint.ok_or(Unavailable)?,
            certificate,
            config: Arc::new(config.map_err(|_| Unavailable)?),
            origin,
        })
    }

    /// What signalling tells of the certificate (RFC 8122 5).
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn dtls(&self, role: Role) -> Dtls {
        let (config, certificate) = (Arc::clone(&self.config), self.certificate.clone());
        match role {
            // Who is asked may choose DTLS 1.3; who begins says what everybody has (RFC 8827 6.5).
            Role::Server => Dtls::new_auto(config, certificate, self.origin),
            Role::Client => {
                let mut dtls = Dtls::new_12(config, certificate, self.origin);
                dtls.set_active(true);
                dtls
            }
        }
    }
}

/// When the first flight is sent again: sooner than RFC 6347 4.2.4.1 has it for any network, as
/// it allows where time matters.
const RETRANSMIT_FIRST: Duration = Duration::from_millis(400);

/// 400 ms doubled so often exceeds [`HANDSHAKE_MAX`].
const RETRANSMITS_MAX: usize = 7;

/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

const _: () = assert!(
    RETRANSMIT_FIRST.as_millis() << RETRANSMITS_MAX > HANDSHAKE_MAX.as_millis(),
    "all of a handshake's time is used"
);
