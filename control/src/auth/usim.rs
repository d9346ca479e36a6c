//! The card's side of AKA, TS 33.102 6.3.3 and Annex C.2: for the built-in user agent and for
//! tests.

use super::milenage::Milenage;
use super::secret::Secret;
use super::sqn::{IND_COUNT, Sqn, in_range};
use super::vector::{Autn, Auts, Rand, build_auts, conceal, field, same};

/// A USIM or ISIM with MILENAGE and the array scheme of TS 33.102 Annex C.2.2.
pub struct Usim {
    milenage: Milenage,
    /// SEQ last accepted for each IND.
    seq: [u64; IND_COUNT as usize],
    /// The highest number accepted: SQN_MS.
    sqn_ms: Sqn,
    age_max: Option<u64>,
}

/// What the card answers to a challenge, TS 33.102 6.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardAnswer {
    /// The network is authentic and the number fresh.
    Accepted {
        /// RES.
        res: Secret<8>,
        /// CK.
        ck: Secret<16>,
        /// IK.
        ik: Secret<16>,
    },
    /// The network is authentic, the number is not in the correct range.
    SynchronisationFailure(Auts),
    /// MAC-A is wrong: the challenge does not come from the home.
    MacFailure,
}

impl Usim {
    /// A card that has seen no challenge yet.
    pub fn new(k: &[u8; 16], opc: &[u8; 16]) -> Self {
        Self::with_sqn(k, opc, Sqn::ZERO)
    }

    /// A card that has accepted `sqn_ms` and takes nothing older under any IND.
    pub fn with_sqn(k: &[u8; 16], opc: &[u8; 16], sqn_ms: Sqn) -> Self {
        Self {
            milenage: Milenage::new(k, opc),
            seq: [sqn_ms.seq(); IND_COUNT as usize],
            sqn_ms,
            age_max: None,
        }
    }

    /// The same card with the optional age limit L of Annex C.2.2: a number may be at most so far
    /// behind the highest.
    #[must_use]
    pub fn with_age_limit(mut self, l: u64) -> Self {
        self.age_max = Some(l);
        self
    }

    /// The highest number accepted.
    pub fn sqn_ms(&self) -> Sqn {
        self.sqn_ms
    }

    /// Checks AUTN and answers the challenge.
    pub fn authenticate(&mut self, rand: &Rand, autn: &Autn) -> CardAnswer {
        let keys = self.milenage.f2345(rand);
        let mut concealed = [0; 6];
        concealed.copy_from_slice(&autn[field::CONCEALED_SQN]);
        let mut amf = [0; 2];
        amf.copy_from_slice(&autn[field::AMF]);
        let sqn = conceal(concealed, keys.ak);
        let (mac_a, _) = self.milenage.f1(rand, sqn, amf);
        if !same(&mac_a, &autn[field::MAC_A]) {
            return CardAnswer::MacFailure;
        }
        let sqn = Sqn::from_bytes(sqn);
        if !self.is_fresh(sqn) {
            return CardAnswer::SynchronisationFailure(build_auts(
                &self.milenage,
                rand,
                self.sqn_ms,
            ));
        }
        self.seq[usize::from(sqn.ind())] = sqn.seq();
        if sqn.seq() > self.sqn_ms.seq() {
            self.sqn_ms = sqn;
        }
        CardAnswer::Accepted {
            res: Secret(keys.res),
            ck: Secret(keys.ck),
            ik: Secret(keys.ik),
        }
    }

    /// Annex C.2.2: no jump above Δ, above the last of its IND, and not older than L.
    fn is_fresh(&self, sqn: Sqn) -> bool {
        let highest = self.sqn_ms.seq();
        let no_jump = sqn.seq() <= highest || in_range(sqn.seq(), highest);
        let young = self
            .age_max
            .is_none_or(|l| highest.saturating_sub(sqn.seq()) < l);
        no_jump && young && sqn.seq() > self.seq[usize::from(sqn.ind())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::sqn::DELTA;
    use crate::auth::vector::{AkaVector, verify_auts};

    const K: [u8; 16] = [7; 16];
    const OPC: [u8; 16] = [9; 16];
    const AMF: [u8; 2] = [0x80, 0];

    fn challenge(sqn: Sqn) -> AkaVector {
        AkaVector::new(&Milenage::new(&K, &OPC), AMF, sqn, [3; 16])
    }

    fn answer(card: &mut Usim, sqn: Sqn) -> CardAnswer {
        let vector = challenge(sqn);
        card.authenticate(&vector.rand, &vector.autn)
    }

    fn sqn(seq: u64, ind: u8) -> Sqn {
        Sqn::new(seq, ind).expect("within 48 bits")
    }

    #[test]
    fn both_sides_agree_on_the_keys() {
        let vector = challenge(sqn(1, 1));
        let answer = Usim::new(&K, &OPC).authenticate(&vector.rand, &vector.autn);
        assert_eq!(
            answer,
            CardAnswer::Accepted {
                res: vector.xres,
                ck: vector.ck,
                ik: vector.ik
            }
        );
    }

    #[test]
    fn a_replayed_challenge_asks_for_resynchronisation() {
        let mut card = Usim::new(&K, &OPC);
        assert!(matches!(
            answer(&mut card, sqn(40, 8)),
            CardAnswer::Accepted { .. }
        ));
        let CardAnswer::SynchronisationFailure(auts) = answer(&mut card, sqn(40, 8)) else {
            panic!("a replay was accepted");
        };
        let verified = verify_auts(&Milenage::new(&K, &OPC), &[3; 16], &auts);
        assert_eq!(verified, Some(sqn(40, 8)));
    }

    #[test]
    fn vectors_used_out_of_order_are_accepted_once_each() {
        let mut card = Usim::new(&K, &OPC);
        for seq in [3, 1, 2] {
            assert!(matches!(
                answer(&mut card, sqn(seq, seq as u8)),
                CardAnswer::Accepted { .. }
            ));
        }
        assert!(matches!(
            answer(&mut card, sqn(1, 1)),
            CardAnswer::SynchronisationFailure(_)
        ));
        assert_eq!(card.sqn_ms(), sqn(3, 3));
    }

    #[test]
    fn a_jump_beyond_delta_and_an_age_beyond_l_are_refused() {
        let mut card = Usim::new(&K, &OPC).with_age_limit(32);
        answer(&mut card, sqn(100, 4));
        assert!(matches!(
            answer(&mut card, sqn(101 + DELTA, 5)),
            CardAnswer::SynchronisationFailure(_)
        ));
        assert!(matches!(
            answer(&mut card, sqn(68, 5)),
            CardAnswer::SynchronisationFailure(_)
        ));
        assert!(matches!(
            answer(&mut card, sqn(69, 5)),
            CardAnswer::Accepted { .. }
        ));
    }

    #[test]
    fn a_token_of_another_home_is_a_mac_failure() {
        let vector = AkaVector::new(&Milenage::new(&[8; 16], &OPC), AMF, sqn(1, 1), [3; 16]);
        let answer = Usim::new(&K, &OPC).authenticate(&vector.rand, &vector.autn);
        assert_eq!(answer, CardAnswer::MacFailure);
    }

    #[test]
    fn the_home_follows_any_card_within_one_resynchronisation() {
        for (home, card_sqn) in [
            (0, 900),
            (900, 899),
            (900, 900),
            (3 * DELTA, 17),
            (1, 2 * DELTA),
        ] {
            let mut card = Usim::with_sqn(&K, &OPC, sqn(card_sqn, 3));
            let mut sqn_he = sqn(home, 30);
            let mut tries = 0;
            loop {
                sqn_he = sqn_he.next().expect("far from the end");
                match answer(&mut card, sqn_he) {
                    CardAnswer::Accepted { .. } => break,
                    CardAnswer::SynchronisationFailure(auts) => {
                        let verified = verify_auts(&Milenage::new(&K, &OPC), &[3; 16], &auts);
                        sqn_he = sqn_he.resynchronised(verified.expect("MAC-S is right"));
                    }
                    CardAnswer::MacFailure => panic!("same keys on both sides"),
                }
                tries += 1;
                assert!(tries < 2, "home {home}, card {card_sqn}");
            }
        }
    }
}
