//! Authentication vectors, TS 33.102 6.3.2, and the resynchronisation token, 6.3.3 and 6.3.5.

use super::milenage::Milenage;
use super::secret::Secret;
use super::sqn::Sqn;

/// RAND, the random challenge.
pub type Rand = [u8; 16];
/// AUTN = SQN ⊕ AK ‖ AMF ‖ MAC, the network's authentication token.
pub type Autn = [u8; 16];
/// AUTS = SQN_MS ⊕ AK ‖ MAC-S, the card's resynchronisation token.
pub type Auts = [u8; 14];

/// One authentication vector (quintet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AkaVector {
    /// The challenge.
    pub rand: Rand,
    /// The network's token.
    pub autn: Autn,
    /// The response expected from the card.
    pub xres: Secret<8>,
    /// The confidentiality key.
    pub ck: Secret<16>,
    /// The integrity key.
    pub ik: Secret<16>,
}

impl AkaVector {
    /// Computes the vector of `sqn`, which the caller has made durable, and of a fresh `rand`.
    pub fn new(milenage: &Milenage, amf: [u8; 2], sqn: Sqn, rand: Rand) -> Self {
        let keys = milenage.f2345(&rand);
        let (mac_a, _) = milenage.f1(&rand, sqn.to_bytes(), amf);
        let mut autn = [0; 16];
        autn[field::CONCEALED_SQN].copy_from_slice(&conceal(sqn.to_bytes(), keys.ak));
        autn[field::AMF].copy_from_slice(&amf);
        autn[field::MAC_A].copy_from_slice(&mac_a);
        Self {
            rand,
            autn,
            xres: Secret(keys.res),
            ck: Secret(keys.ck),
            ik: Secret(keys.ik),
        }
    }
}

/// SQN_MS out of AUTS, TS 33.102 6.3.5; `None` when MAC-S is not that of the card.
pub fn verify_auts(milenage: &Milenage, rand: &Rand, auts: &Auts) -> Option<Sqn> {
    let mut concealed = [0; 6];
    concealed.copy_from_slice(&auts[field::CONCEALED_SQN]);
    let sqn_ms = conceal(concealed, milenage.f5_star(rand));
    let (_, mac_s) = milenage.f1(rand, sqn_ms, RESYNC_AMF);
    same(&mac_s, &auts[field::MAC_S]).then(|| Sqn::from_bytes(sqn_ms))
}

/// AUTS of SQN_MS, as the card builds it, TS 33.102 6.3.3.
pub fn build_auts(milenage: &Milenage, rand: &Rand, sqn_ms: Sqn) -> Auts {
    let (_, mac_s) = milenage.f1(rand, sqn_ms.to_bytes(), RESYNC_AMF);
    let mut auts = [0; 14];
    auts[field::CONCEALED_SQN].copy_from_slice(&conceal(sqn_ms.to_bytes(), milenage.f5_star(rand)));
    auts[field::MAC_S].copy_from_slice(&mac_s);
    auts
}

/// Where the parts of AUTN and AUTS stand.
pub(super) mod field {
    use std::ops::Range;

    pub const CONCEALED_SQN: Range<usize> = 0..6;
    pub const AMF: Range<usize> = 6..8;
    pub const MAC_A: Range<usize> = 8..16;
    pub const MAC_S: Range<usize> = 6..14;
}

/// The dummy AMF under which MAC-S is computed, TS 33.102 6.3.3.
const RESYNC_AMF: [u8; 2] = [0, 0];

pub(super) fn conceal(sqn: [u8; 6], ak: [u8; 6]) -> [u8; 6] {
    std::array::from_fn(|i| sqn[i] ^ ak[i])
}

/// Equality whose time does not depend on where the first difference is.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::hex::{parse_hex_exact, to_hex};

    fn set_1() -> (Milenage, Rand) {
        let k = parse_hex_exact("465b5ce8b199b49faa5f0a2ee238a6bc").expect("hex");
        let opc = parse_hex_exact("cd63cb71954a9f4e48a5994e37a02baf").expect("hex");
        let rand = parse_hex_exact("23553cbe9637a89d218ae64dae47bf35").expect("hex");
        (Milenage::new(&k, &opc), rand)
    }

    #[test]
    fn the_vector_of_test_set_1_is_put_together_from_its_numbers() {
        // TS 35.207 set 1: SQN ⊕ AK = ff9bb4d0b607 ⊕ aa689c648370, then AMF, then f1.
        let (milenage, rand) = set_1();
        let sqn = Sqn::parse("ff9bb4d0b607").expect("48 bits");
        let vector = AkaVector::new(&milenage, [0xb9, 0xb9], sqn, rand);
        assert_eq!(to_hex(&vector.autn), "55f328b43577b9b94a9ffac354dfafb3");
        assert_eq!(vector.xres.to_hex(), "a54211d5e3ba50bf");
        assert_eq!(vector.ck.to_hex(), "b40ba9a3c58b2a05bbf0d987b21bf8cb");
        assert_eq!(vector.ik.to_hex(), "f769bcd751044604127672711c6d3441");
    }

    #[test]
    fn auts_gives_sqn_ms_back() {
        let (milenage, rand) = set_1();
        let sqn_ms = Sqn::parse("0000000004a3").expect("48 bits");
        let auts = build_auts(&milenage, &rand, sqn_ms);
        assert_eq!(verify_auts(&milenage, &rand, &auts), Some(sqn_ms));
    }

    #[test]
    fn no_bit_of_auts_or_rand_can_be_changed() {
        let (milenage, rand) = set_1();
        let auts = build_auts(&milenage, &rand, Sqn::parse("4a3").expect("48 bits"));
        for bit in 0..auts.len() * 8 {
            let mut changed = auts;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify_auts(&milenage, &rand, &changed), None, "bit {bit}");
        }
        for bit in 0..rand.len() * 8 {
            let mut changed = rand;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify_auts(&milenage, &changed, &auts), None, "bit {bit}");
        }
    }
}
