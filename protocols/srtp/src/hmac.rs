//! HMAC-SHA1 (RFC 2104) over a packet, from states prepared once for a key.

use sha1::block_api::compress;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The states of SHA-1 after the key's inner and outer block, so that a packet costs no more than
/// its own blocks and the one of the outer hash.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct HmacSha1 {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl HmacSha1 {
    /// Of a key no longer than a block; SRTP's have 20 octets (RFC 3711 5.2).
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        let state = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (padded, key) in block.iter_mut().zip(key) {
                *padded ^= key;
            }
            let mut state = INITIAL;
            compress(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self {
            inner: state(0x36),
            outer: state(0x5c),
        }
    }

    /// The digest of a packet, followed by four more octets: the rollover counter of SRTP (RFC 3711
    /// 4.2), the word of the index of SRTCP.
    pub fn digest(&self, packet: &[u8], trailer: [u8; 4]) -> [u8; DIGEST_BYTES] {
        let (blocks, rest) = packet.as_chunks::<BLOCK>();
        let mut state = self.inner;
        compress(&mut state, blocks);
        let mut last = [[0; BLOCK]; 2];
        let used = rest.len() + trailer.len();
        let flat = last.as_flattened_mut();
        flat[..rest.len()].copy_from_slice(rest);
        flat[rest.len()..used].copy_from_slice(&trailer);
        let count = pad(flat, used, BLOCK + packet.len() + trailer.len());
        compress(&mut state, &last[..count]);
        let mut block = [0; BLOCK];
        write(&state, &mut block);
        pad(&mut block, DIGEST_BYTES, BLOCK + DIGEST_BYTES);
        let mut state = self.outer;
        compress(&mut state, &[block]);
        let mut digest = [0; DIGEST_BYTES];
        write(&state, &mut digest);
        digest
    }
}

/// Pads what `used` octets of the last blocks hold, of a message of `total` octets; returns how
/// many blocks they are.
fn pad(blocks: &mut [u8], used: usize, total: usize) -> usize {
    blocks[used] = 0x80;
    let count = (used + 1 + 8).div_ceil(BLOCK);
    let end = count * BLOCK;
    blocks[end - 8..end].copy_from_slice(&(total as u64 * 8).to_be_bytes());
    count
}

fn write(state: &[u32; 5], octets: &mut [u8]) {
    for (word, room) in state.iter().zip(octets.chunks_exact_mut(4)) {
        room.copy_from_slice(&word.to_be_bytes());
    }
}

const BLOCK: usize = 64;

/// Octets of an authentication key.
pub(crate) const KEY_BYTES: usize = 20;

/// Octets of a digest, of which tags are the first.
pub(crate) const DIGEST_BYTES: usize = 20;

/// What SHA-1 begins with (FIPS 180-4 5.3.1).
const INITIAL: [u32; 5] = [
    0x6745_2301,
    0xefcd_ab89,
    0x98ba_dcfe,
    0x1032_5476,
    0xc3d2_e1f0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::hex;

    #[test]
    fn digests_are_those_of_rfc_2202() {
        let hmac = HmacSha1::new(&[0x0b; 20]);
        let expected = hex("b617318655057264e28bc0b6fb378c8ef146be00");
        assert_eq!(hmac.digest(b"Hi T", *b"here")[..], expected);
        let hmac = HmacSha1::new(&[0xaa; 20]);
        let expected = hex("125d7342b9ac11cd91a39af48aa17b4f63f175d3");
        assert_eq!(hmac.digest(&[0xdd; 46], [0xdd; 4])[..], expected);
    }

    #[test]
    fn every_length_gives_what_the_library_gives() {
        use hmac::{Hmac, KeyInit, Mac};
        let key = [7; KEY_BYTES];
        let hmac = HmacSha1::new(&key);
        let packet: Vec<u8> = (0..300).map(|number| number as u8).collect();
        for len in 4..=packet.len() {
            let mut other = Hmac::<sha1::Sha1>::new_from_slice(&key).unwrap();
            other.update(&packet[..len]);
            let expected = other.finalize().into_bytes();
            let (body, trailer) = packet[..len].split_at(len - 4);
            let digest = hmac.digest(body, trailer.try_into().unwrap());
            assert_eq!(digest[..], expected[..], "{len}");
        }
    }
}
