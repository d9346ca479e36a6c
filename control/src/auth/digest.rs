//! The stored secret of SIP Digest: HA1, RFC 2617 3.2.2.2 and RFC 7616 3.4.2.

use serde::{Deserialize, Serialize};
use sip::digest::Algorithm;

use super::hex::parse_hex_exact;
use super::secret::Secret;

/// H(username ":" realm ":" password) under both hashes, so that the password itself need not be
/// kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestHash {
    /// The realm the hashes hold for.
    pub realm: String,
    /// HA1 for `algorithm=MD5`.
    pub md5: Secret<16>,
    /// HA1 for `algorithm=SHA-256`.
    pub sha256: Secret<32>,
}

impl DigestHash {
    /// Hashes a password for `username` (the IMPI) in `realm`.
    pub fn of_password(username: &str, realm: &str, password: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            md5: Secret(hash(Algorithm::Md5, username, realm, password)),
            sha256: Secret(hash(Algorithm::Sha256, username, realm, password)),
        }
    }
}

/// HA1 as bytes; `N` is the length of the algorithm's hash.
fn hash<const N: usize>(
    algorithm: Algorithm,
    username: &str,
    realm: &str,
    password: &str,
) -> [u8; N] {
    let ha1 = algorithm.ha1(username, realm, password.as_bytes());
    parse_hex_exact(ha1.as_str())
        .expect("MD5 has 16 bytes and SHA-256 has 32, and Hex is hexadecimal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ha1_is_that_of_an_independent_tool() {
        // The users of RFC 7616 3.9.1, by md5sum and sha256sum of
        // 'Mufasa:http-auth@example.org:Circle of Life'.
        let hash = DigestHash::of_password("Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(hash.md5.to_hex(), "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(
            hash.sha256.to_hex(),
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
    }
}
