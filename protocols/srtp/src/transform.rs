//! The transforms: session keys that encrypt and authenticate one packet of a known index.

use aes::cipher::{BlockCipherEncrypt, KeyInit, consts::U16};
use aes::{Aes128Enc, Aes256Enc, Block};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use crate::error::Error;
use crate::hmac::{HmacSha1, KEY_BYTES};
use crate::key::{Label, MasterKey};
use crate::suite::{Suite, TAG_BYTES_MAX};

/// The session keys of SRTP or of SRTCP.
pub(crate) struct Transform {
    cipher: Cipher,
    tag_bytes: usize,
}

#[allow(
    clippy::large_enum_variant,
    reason = "a box would be one more place in memory for each packet"
)]
enum Cipher {
    /// Counter mode, RFC 3711 4.1.1 and RFC 6188.
    Counter {
        aes: Aes,
        salt: [u8; 14],
        hmac: HmacSha1,
    },
    /// Galois/counter mode, RFC 7714.
    Galois { key: LessSafeKey, salt: [u8; 12] },
}

enum Aes {
    Short(Aes128Enc),
    Long(Aes256Enc),
}

/// A packet in a buffer, and what its protection depends on.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Octets of the header, which stays in the clear.
    pub header: usize,
    /// Octets of header and payload, without what protection appends.
    pub end: usize,
    pub ssrc: u32,
    /// SRTP index, or SRTCP index.
    pub index: u64,
}

impl Transform {
    /// The keys for SRTP.
    pub fn rtp(master: &MasterKey) -> Result<Self, Error> {
        let labels = [
            Label::RtpEncryption,
            Label::RtpAuthentication,
            Label::RtpSalt,
        ];
        Self::new(master, labels, master.suite().rtp_tag_bytes())
    }

    /// The keys for SRTCP.
    pub fn rtcp(master: &MasterKey) -> Result<Self, Error> {
        let labels = [
            Label::RtcpEncryption,
            Label::RtcpAuthentication,
            Label::RtcpSalt,
        ];
        Self::new(master, labels, master.suite().rtcp_tag_bytes())
    }

    fn new(master: &MasterKey, labels: [Label; 3], tag_bytes: usize) -> Result<Self, Error> {
        let [encryption, authentication, salting] = labels;
        let mut key = [0; 32];
        let key = &mut key[..master.suite().key_bytes()];
        master.derive(encryption, key);
        let mut salt = [0; 14];
        let salt = &mut salt[..master.suite().salt_bytes()];
        master.derive(salting, salt);
        let mut authentication_key = [0; KEY_BYTES];
        master.derive(authentication, &mut authentication_key);
        let keyed = Self::with_session_keys(master.suite(), key, salt, authentication_key);
        key.zeroize();
        salt.zeroize();
        authentication_key.zeroize();
        Ok(Self {
            tag_bytes,
            ..keyed?
        })
    }

    /// With session keys as they are; the tag has its usual length.
    pub fn with_session_keys(
        suite: Suite,
        key: &[u8],
        salt: &[u8],
        authentication: [u8; KEY_BYTES],
    ) -> Result<Self, Error> {
        let galois = match suite {
            Suite::AeadAes128Gcm => Some(&AES_128_GCM),
            Suite::AeadAes256Gcm => Some(&AES_256_GCM),
            _ => None,
        };
        let cipher = if let Some(algorithm) = galois {
            let key = UnboundKey::new(algorithm, key).map_err(|_| Error::Misuse)?;
            Cipher::Galois {
                key: LessSafeKey::new(key),
                salt: salt.try_into().map_err(|_| Error::Misuse)?,
            }
        } else {
            let aes = match Aes128Enc::new_from_slice(key) {
                Ok(aes) => Aes::Short(aes),
                Err(_) => Aes::Long(Aes256Enc::new_from_slice(key).map_err(|_| Error::Misuse)?),
            };
            Cipher::Counter {
                aes,
                salt: salt.try_into().map_err(|_| Error::Misuse)?,
                hmac: HmacSha1::new(&authentication),
            }
        };
        Ok(Self {
            cipher,
            tag_bytes: suite.rtcp_tag_bytes(),
        })
    }

    pub fn tag_bytes(&self) -> usize {
        self.tag_bytes
    }

    /// Octets of the tag where it stands right behind the payload, before all else that is appended
    /// (RFC 7714 8, 9); 0 where it comes last (RFC 3711 3.1).
    pub fn inline_tag_bytes(&self) -> usize {
        match self.cipher {
            Cipher::Counter { .. } => 0,
            Cipher::Galois { .. } => self.tag_bytes,
        }
    }

    /// Encrypts the payload of an RTP packet in place and returns its tag; the first octets of the
    /// array count.
    pub fn seal_rtp(&self, packet: &mut [u8], at: Place) -> Result<[u8; TAG_BYTES_MAX], Error> {
        let packet = packet.get_mut(..at.end).ok_or(Error::NoRoom)?;
        match &self.cipher {
            Cipher::Counter { aes, salt, hmac } => {
                aes.apply(counter(salt, at), &mut packet[at.header..]);
                Ok(cut(hmac.digest(packet, rollovers(at))))
            }
            Cipher::Galois { key, salt } => {
                let (header, payload) = packet.split_at_mut(at.header);
                seal(key, rtp_nonce(salt, at), header, payload)
            }
        }
    }

    /// Checks an RTP packet, which goes on to its tag, and decrypts its payload in place.
    ///
    /// The payload is spoilt when authentication fails with an AEAD.
    pub fn open_rtp(&self, packet: &mut [u8], tag: &[u8], at: Place) -> Result<(), Error> {
        match &self.cipher {
            Cipher::Counter { aes, salt, hmac } => {
                let packet = packet.get_mut(..at.end).ok_or(Error::Malformed)?;
                verify(&hmac.digest(packet, rollovers(at)), tag)?;
                aes.apply(counter(salt, at), &mut packet[at.header..]);
                Ok(())
            }
            Cipher::Galois { key, salt } => {
                let end = at.end + self.tag_bytes;
                let packet = packet.get_mut(..end).ok_or(Error::Malformed)?;
                let (header, payload) = packet.split_at_mut(at.header);
                open(key, rtp_nonce(salt, at), header, payload)
            }
        }
    }

    /// Encrypts an RTCP packet in place and returns its tag. `trailer` is the word of E flag and
    /// index; counter mode finds it behind the packet too.
    pub fn seal_rtcp(
        &self,
        packet: &mut [u8],
        trailer: [u8; 4],
        at: Place,
    ) -> Result<[u8; TAG_BYTES_MAX], Error> {
        let packet = packet.get_mut(..at.end).ok_or(Error::NoRoom)?;
        match &self.cipher {
            Cipher::Counter { aes, salt, hmac } => {
                aes.apply(counter(salt, at), &mut packet[at.header..]);
                Ok(cut(hmac.digest(packet, trailer)))
            }
            Cipher::Galois { key, salt } => {
                let (header, payload) = packet.split_at_mut(at.header);
                let aad = rtcp_aad(header, trailer);
                seal(key, rtcp_nonce(salt, at), &aad, payload)
            }
        }
    }

    /// Checks an RTCP packet and decrypts it in place, if its E flag says that it is encrypted.
    ///
    /// The payload is spoilt when authentication fails with an AEAD.
    pub fn open_rtcp(
        &self,
        packet: &mut [u8],
        tag: &[u8],
        trailer: [u8; 4],
        at: Place,
    ) -> Result<(), Error> {
        let is_encrypted = trailer[0] & E_FLAG != 0;
        match &self.cipher {
            Cipher::Counter { aes, salt, hmac } => {
                let packet = packet.get_mut(..at.end).ok_or(Error::Malformed)?;
                verify(&hmac.digest(packet, trailer), tag)?;
                if is_encrypted {
                    aes.apply(counter(salt, at), &mut packet[at.header..]);
                }
                Ok(())
            }
            Cipher::Galois { key, salt } => {
                let end = at.end + self.tag_bytes;
                let packet = packet.get_mut(..end).ok_or(Error::Malformed)?;
                let nonce = rtcp_nonce(salt, at);
                if is_encrypted {
                    let (header, payload) = packet.split_at_mut(at.header);
                    return open(key, nonce, &rtcp_aad(header, trailer), payload);
                }
                // All of it is associated data, and the trailer with it (RFC 7714 9.3).
                let (packet, tag) = packet.split_at_mut(at.end);
                let mut aad = [0; CLEAR_RTCP_BYTES_MAX + 4];
                let aad = aad.get_mut(..packet.len() + 4).ok_or(Error::Malformed)?;
                aad[..packet.len()].copy_from_slice(packet);
                aad[packet.len()..].copy_from_slice(&trailer);
                open(key, nonce, aad, tag)
            }
        }
    }
}

impl Aes {
    fn apply(&self, counter: [u8; 16], text: &mut [u8]) {
        match self {
            Self::Short(aes) => apply(aes, counter, text),
            Self::Long(aes) => apply(aes, counter, text),
        }
    }
}

/// Adds the key stream that begins at `counter`, the last 16 bits of which are zero.
fn apply(aes: &impl BlockCipherEncrypt<BlockSize = U16>, counter: [u8; 16], text: &mut [u8]) {
    let mut number = 0_u16;
    for chunk in text.chunks_mut(BATCH * 16) {
        let mut stream = [Block::from(counter); BATCH];
        let stream = &mut stream[..chunk.len().div_ceil(16)];
        for block in stream.iter_mut() {
            block[14..].copy_from_slice(&number.to_be_bytes());
            // 2^16 blocks are more than a datagram has.
            number = number.wrapping_add(1);
        }
        aes.encrypt_blocks(stream);
        for (octets, block) in chunk.chunks_mut(16).zip(stream) {
            for (octet, key) in octets.iter_mut().zip(block.iter()) {
                *octet ^= key;
            }
        }
    }
}

fn seal(
    key: &LessSafeKey,
    nonce: [u8; 12],
    aad: &[u8],
    payload: &mut [u8],
) -> Result<[u8; TAG_BYTES_MAX], Error> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(aad), payload);
    let tag = sealed.map_err(|_| Error::Malformed)?;
    tag.as_ref().try_into().map_err(|_| Error::Malformed)
}

fn open(key: &LessSafeKey, nonce: [u8; 12], aad: &[u8], payload: &mut [u8]) -> Result<(), Error> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let opened = key.open_in_place(nonce, Aad::from(aad), payload);
    opened.map(|_| ()).map_err(|_| Error::Authentication)
}

/// Compares in time that does not tell where they differ.
fn verify(digest: &[u8], tag: &[u8]) -> Result<(), Error> {
    let differing = digest.iter().zip(tag).fold(0, |all, (a, b)| all | (a ^ b));
    if std::hint::black_box(differing) == 0 {
        Ok(())
    } else {
        Err(Error::Authentication)
    }
}

fn cut(digest: [u8; 20]) -> [u8; TAG_BYTES_MAX] {
    let mut tag = [0; TAG_BYTES_MAX];
    tag.copy_from_slice(&digest[..TAG_BYTES_MAX]);
    tag
}

/// The rollover counter, which is authenticated with the packet (RFC 3711 4.2).
fn rollovers(at: Place) -> [u8; 4] {
    ((at.index >> 16) as u32).to_be_bytes()
}

/// The initial counter block of counter mode (RFC 3711 4.1.1), for SRTP and SRTCP.
fn counter(salt: &[u8; 14], at: Place) -> [u8; 16] {
    let mut block = [0; 16];
    block[4..8].copy_from_slice(&at.ssrc.to_be_bytes());
    block[6..14]
        .iter_mut()
        .zip(at.index.to_be_bytes())
        .for_each(|(octet, index)| *octet ^= index);
    block
        .iter_mut()
        .zip(salt)
        .for_each(|(octet, salt)| *octet ^= salt);
    block
}

/// The initialisation vector of SRTP (RFC 7714 8.1).
fn rtp_nonce(salt: &[u8; 12], at: Place) -> [u8; 12] {
    let mut nonce = *salt;
    add(&mut nonce[2..6], &at.ssrc.to_be_bytes());
    add(&mut nonce[6..12], &at.index.to_be_bytes()[2..]);
    nonce
}

/// The initialisation vector of SRTCP (RFC 7714 9.1).
fn rtcp_nonce(salt: &[u8; 12], at: Place) -> [u8; 12] {
    let mut nonce = *salt;
    add(&mut nonce[2..6], &at.ssrc.to_be_bytes());
    add(&mut nonce[8..12], &(at.index as u32).to_be_bytes());
    nonce
}

fn add(octets: &mut [u8], other: &[u8]) {
    octets
        .iter_mut()
        .zip(other)
        .for_each(|(octet, other)| *octet ^= other);
}

/// The associated data of an encrypted RTCP packet: its header and the trailer (RFC 7714 9.2).
fn rtcp_aad(header: &[u8], trailer: [u8; 4]) -> [u8; 12] {
    let mut aad = [0; 12];
    for (octet, from) in aad.iter_mut().zip(header.iter().chain(&trailer)) {
        *octet = *from;
    }
    aad
}

/// Set in the word of the SRTCP index when the packet is encrypted (RFC 3711 3.4).
pub(crate) const E_FLAG: u8 = 0x80;

/// Blocks of key stream made at a time: a G.711 packet of 20 ms takes ten.
const BATCH: usize = 16;

/// The longest RTCP packet taken that is not encrypted, with an AEAD: what a datagram of an
/// Ethernet carries.
const CLEAR_RTCP_BYTES_MAX: usize = 1500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::hex;

    #[test]
    fn the_key_stream_is_that_of_rfc_3711_b_2() {
        let key = hex("2B7E151628AED2A6ABF7158809CF4F3C");
        let aes = Aes128Enc::new_from_slice(&key).unwrap();
        let salt: [u8; 14] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
        let at = Place {
            header: 0,
            end: 0,
            ssrc: 0,
            index: 0,
        };
        let mut stream = vec![0; 0xff02 * 16];
        apply(&aes, counter(&salt, at), &mut stream);
        let expected = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
            41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(stream[..48], hex(expected));
        let expected = "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE
            6A2CC3787889374FBEB4C81B17BA6C44";
        assert_eq!(stream[0xfeff * 16..], hex(expected));
    }

    #[test]
    fn vectors_begin_with_the_salt_and_hold_source_and_index() {
        let at = Place {
            header: 0,
            end: 0,
            ssrc: 0x5501_a0b2,
            index: 0xf17b,
        };
        let salt: [u8; 12] = hex("517569642070726f2071756f").try_into().unwrap();
        assert_eq!(rtp_nonce(&salt, at)[..], hex("51753c6580c2726f20718414"));
        let at = Place {
            ssrc: 0x4d61_7273,
            index: 0x5d4,
            ..at
        };
        assert_eq!(rtcp_nonce(&salt, at)[..], hex("517524055203726f207170bb"));
        let at = Place {
            ssrc: 0x0102_0304,
            index: 0xa1a2_a3a4_a5a6,
            ..at
        };
        let expected = hex("00000000 01020304 a1a2a3a4a5a6 0000");
        assert_eq!(counter(&[0; 14], at)[..], expected);
    }
}
