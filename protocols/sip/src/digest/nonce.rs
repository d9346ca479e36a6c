//! Nonces: made, recognised, counted.

use base::{Entropy, Instant};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

use super::equal_in_constant_time;

/// Makes nonces and knows them again without remembering them (RFC 7616 5.4).
///
/// A nonce is base64 of the time, random bits and a keyed hash of both, so that a server can tell a
/// stale one of its own (answered with `stale=true`) from a made-up one.
pub struct NonceMint {
    key: [u8; 32],
    lifetime: Duration,
}

/// What a nonce in credentials turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceAge {
    /// Ours and within its lifetime.
    Fresh,
    /// Ours, but too old: challenge again with `stale=true`.
    Stale,
    /// Never made here.
    Foreign,
}

const TIME_BYTES: usize = 8;
const RANDOM_BYTES: usize = 8;
const MAC_BYTES: usize = 16;
const NONCE_BYTES: usize = TIME_BYTES + RANDOM_BYTES + MAC_BYTES;

impl NonceMint {
    /// A mint with a fresh key, whose nonces are good for `lifetime`.
    pub fn new(lifetime: Duration, entropy: &mut Entropy) -> Self {
        Self {
            key: entropy.bytes(),
            lifetime,
        }
    }

    /// A new nonce.
    pub fn mint(&self, now: Instant, entropy: &mut Entropy) -> String {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..TIME_BYTES].copy_from_slice(&now.as_nanos().to_be_bytes());
        entropy.fill(&mut nonce[TIME_BYTES..TIME_BYTES + RANDOM_BYTES]);
        let mac = self.mac(&nonce[..TIME_BYTES + RANDOM_BYTES]);
        nonce[TIME_BYTES + RANDOM_BYTES..].copy_from_slice(&mac);
        BASE64.encode(nonce)
    }

    /// Looks at a nonce that came back.
    pub fn age(&self, now: Instant, nonce: &str) -> NonceAge {
        let Ok(bytes) = BASE64.decode(nonce) else {
            return NonceAge::Foreign;
        };
        let Ok(bytes) = <[u8; NONCE_BYTES]>::try_from(bytes) else {
            return NonceAge::Foreign;
        };
        let (signed, mac) = bytes.split_at(TIME_BYTES + RANDOM_BYTES);
        if !equal_in_constant_time(mac, &self.mac(signed)) {
            return NonceAge::Foreign;
        }
        let mut time = [0; TIME_BYTES];
        time.copy_from_slice(&signed[..TIME_BYTES]);
        let made = Instant::from_nanos(u64::from_be_bytes(time));
        if now.since(made) < self.lifetime {
            NonceAge::Fresh
        } else {
            NonceAge::Stale
        }
    }

    /// Inputs have one fixed length and the hash is truncated, so a key prefix is a sound MAC.
    fn mac(&self, signed: &[u8]) -> [u8; MAC_BYTES] {
        let hash = Sha256::new()
            .chain_update(self.key)
            .chain_update(signed)
            .finalize();
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&hash[..MAC_BYTES]);
        mac
    }
}

/// The nonce counts seen with one nonce: each is good once (RFC 7616 3.4.5).
///
/// Requests sent together over UDP may overtake each other, so a count up to [`NONCE_WINDOW`] below
/// the highest is accepted when it is new. Ask only after the response itself was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NonceCounts {
    highest: u32,
    seen: u64,
}

/// How far below the highest nonce count a late one may be.
pub const NONCE_WINDOW: u32 = 64;

impl NonceCounts {
    /// Records `count`; false when it was used before, is zero or is too old.
    #[must_use]
    pub fn accept(&mut self, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        if count > self.highest {
            let ahead = count - self.highest;
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if behind >= NONCE_WINDOW || self.seen & (1 << behind) != 0 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

/// The nonce of an AKA challenge: base64 of RAND, AUTN and optional server data (RFC 3310 3.2).
pub fn aka_nonce(rand: &[u8; 16], autn: &[u8; 16], server_data: &[u8]) -> String {
    let mut nonce = Vec::with_capacity(32 + server_data.len());
    nonce.extend_from_slice(rand);
    nonce.extend_from_slice(autn);
    nonce.extend_from_slice(server_data);
    BASE64.encode(nonce)
}

/// RAND and AUTN out of the nonce of an AKA challenge; `None` when it is not base64 of 32 bytes or
/// more.
pub fn parse_aka_nonce(nonce: &str) -> Option<([u8; 16], [u8; 16])> {
    let bytes = BASE64.decode(nonce).ok()?;
    let rand = bytes.get(..16)?.try_into().ok()?;
    let autn = bytes.get(16..32)?.try_into().ok()?;
    Some((rand, autn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_known_again_until_it_is_stale() {
        let mut entropy = Entropy::from_u64(1);
        let mint = NonceMint::new(Duration::from_secs(60), &mut entropy);
        let made = Instant::from_secs(1000);
        let nonce = mint.mint(made, &mut entropy);
        let after = |secs| made + Duration::from_secs(secs);
        assert_eq!(mint.age(after(59), &nonce), NonceAge::Fresh);
        assert_eq!(mint.age(after(60), &nonce), NonceAge::Stale);
        let other = NonceMint::new(Duration::from_secs(60), &mut entropy);
        assert_eq!(other.age(after(1), &nonce), NonceAge::Foreign);
        assert_ne!(mint.mint(made, &mut entropy), nonce);
    }

    #[test]
    fn a_changed_nonce_is_foreign() {
        let mut entropy = Entropy::from_u64(2);
        let mint = NonceMint::new(Duration::from_secs(60), &mut entropy);
        let nonce = mint.mint(Instant::from_secs(1), &mut entropy);
        for at in 0..nonce.len() {
            let mut bytes = nonce.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(
                mint.age(Instant::from_secs(2), &changed),
                NonceAge::Foreign,
                "{at}"
            );
            assert_eq!(
                mint.age(Instant::from_secs(2), &nonce[..at]),
                NonceAge::Foreign
            );
        }
    }

    #[test]
    fn each_nonce_count_is_good_once_in_any_order_within_the_window() {
        let mut counts = NonceCounts::default();
        assert!(!counts.accept(0));
        assert!(counts.accept(1));
        assert!(!counts.accept(1));
        assert!(counts.accept(4));
        assert!(counts.accept(2));
        assert!(counts.accept(3));
        assert!(!counts.accept(2));
        assert!(counts.accept(100));
        assert!(!counts.accept(36));
        assert!(counts.accept(37));
        assert!(counts.accept(u32::MAX));
        assert!(!counts.accept(u32::MAX));
        assert!(!counts.accept(100));
    }

    #[test]
    fn the_aka_nonce_carries_rand_and_autn() {
        let nonce = aka_nonce(&[1; 16], &[2; 16], b"data");
        assert_eq!(parse_aka_nonce(&nonce), Some(([1; 16], [2; 16])));
        assert_eq!(
            parse_aka_nonce(&aka_nonce(&[1; 16], &[2; 16], b""))
                .unwrap()
                .1,
            [2; 16]
        );
        assert_eq!(parse_aka_nonce("AAAA"), None);
        assert_eq!(parse_aka_nonce("not base64!"), None);
    }
}
