//! Randomness as a value.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A stream of unpredictable numbers (ChaCha12) from one seed.
///
/// A process seeds it once from the operating system; tests seed it with a printed number, so that
/// every tag, branch, nonce and port of a run comes out the same again.
#[derive(Clone, Debug)]
pub struct Entropy(ChaCha12Rng);

impl Entropy {
    /// The stream of this seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// The stream of a small seed: for tests.
    pub fn from_u64(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// Sixty-four random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Thirty-two random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number in `0..bound`, uniform to within 2⁻⁶⁴·bound; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True with the probability `per_mille / 1000`.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Sixty random bits as twelve letters and digits: a SIP tag, branch or Call-ID part.
    pub fn token(&mut self) -> [u8; 12] {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut bits = self.next_u64();
        std::array::from_fn(|_| {
            let letter = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
            letter
        })
    }

    /// [`Entropy::token`] as text.
    pub fn token_string(&mut self) -> String {
        self.token()
            .iter()
            .map(|&letter| char::from(letter))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_stream() {
        let mut a = Entropy::from_u64(1);
        let mut b = Entropy::from_u64(1);
        assert_eq!(a.token_string(), b.token_string());
        assert_ne!(a.token_string(), Entropy::from_u64(2).token_string());
    }

    #[test]
    fn below_stays_below() {
        let mut entropy = Entropy::from_u64(3);
        assert!((0..1000).all(|_| entropy.below(7) < 7));
        assert_eq!(entropy.below(0), 0);
    }
}
