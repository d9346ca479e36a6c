//! MAR, TS 29.228 6.3.1.

use super::*;

#[test]
fn mar_asks_for_both_identities_and_their_bond() {
    let mut home = Home::with_alice();
    home.put(subscriber("bob"));
    for (impi, impu, expected) in [
        (
            "nobody@ims.test",
            "sip:alice@ims.test",
            Outcome::UserUnknown,
        ),
        (
            "alice@ims.test",
            "sip:nobody@ims.test",
            Outcome::UserUnknown,
        ),
        (
            "alice@ims.test",
            "sip:bob@ims.test",
            Outcome::IdentitiesDontMatch,
        ),
    ] {
        let maa = home.mar(Mar {
            user_name: impi.to_owned(),
            public_identity: impu.to_owned(),
            ..mar()
        });
        assert_eq!(maa.outcome, expected, "{impi} {impu}");
        assert!(maa.sip_auth_data_items.is_empty());
    }
    assert_eq!(home.registrations(), Registrations::default());
}

#[test]
fn mar_gives_vectors_that_the_card_accepts_each_once() {
    let mut home = Home::with_alice();
    let mut card = card();
    for round in 0..40 {
        let maa = home.mar(Mar {
            sip_number_auth_items: 1 + round % 5,
            ..mar()
        });
        assert_eq!(maa.outcome, Outcome::SUCCESS);
        let count = (1 + round % 5).min(VECTORS_MAX);
        assert_eq!(maa.sip_number_auth_items, Some(count));
        assert_eq!(maa.sip_auth_data_items.len(), count as usize);
        for (index, item) in maa.sip_auth_data_items.iter().enumerate() {
            assert_eq!(item.item_number, Some(index as u32 + 1));
            assert_eq!(item.scheme, Some(AuthScheme::DigestAkaV1Md5));
            let (rand, autn) = challenge(&maa, index);
            let CardAnswer::Accepted { res, ck, ik } = card.authenticate(&rand, &autn) else {
                panic!("refused in round {round}");
            };
            assert_eq!(item.authorization.as_deref(), Some(res.0.as_slice()));
            assert_eq!(item.confidentiality_key, Some(ck.0));
            assert_eq!(item.integrity_key, Some(ik.0));
            let again = card.authenticate(&rand, &autn);
            assert!(matches!(again, CardAnswer::SynchronisationFailure(_)));
        }
    }
}

#[test]
fn mar_chooses_the_scheme_by_request_and_subscription() {
    let both = alice();
    let mut aka = alice();
    aka.digest = None;
    let mut digest = alice();
    digest.aka = None;
    use AuthScheme as S;
    let (akav1, sip) = (Some(S::DigestAkaV1Md5), Some(S::SipDigest));
    for (subscriber, asked, given) in [
        (&both, S::DigestAkaV1Md5, akav1.clone()),
        (&both, S::SipDigest, sip.clone()),
        (&both, S::Unknown, sip.clone()),
        (&aka, S::Unknown, akav1.clone()),
        (&aka, S::SipDigest, None),
        (&digest, S::Unknown, sip.clone()),
        (&digest, S::SipDigest, sip),
        (&digest, S::DigestAkaV1Md5, None),
        (&both, S::NassBundled, None),
        (&both, S::EarlyImsSecurity, None),
        (&both, S::Other("x".to_owned()), None),
    ] {
        let mut home = Home::new();
        home.put(subscriber.clone());
        let maa = home.mar(scheme(mar(), asked.clone()));
        let item = maa.sip_auth_data_items.first();
        assert_eq!(
            item.and_then(|item| item.scheme.clone()),
            given,
            "{asked:?}"
        );
        if given.is_none() {
            assert_eq!(maa.outcome, Outcome::AuthSchemeNotSupported);
            assert_eq!(home.registrations(), Registrations::default());
        }
    }
}

#[test]
fn mar_of_sip_digest_gives_the_hash_and_never_the_password() {
    let mut home = Home::with_alice();
    let maa = home.mar(Mar {
        sip_number_auth_items: 3,
        ..scheme(mar(), AuthScheme::SipDigest)
    });
    assert_eq!(maa.sip_number_auth_items, Some(1));
    let [item] = maa.sip_auth_data_items.as_slice() else {
        panic!("one item, got {:?}", maa.sip_auth_data_items);
    };
    let digest = item
        .digest_authenticate
        .as_ref()
        .expect("SIP-Digest-Authenticate");
    let hash = DigestHash::of_password("alice@ims.test", "ims.test", "secret");
    assert_eq!(digest.realm, "ims.test");
    assert_eq!(digest.algorithm.as_deref(), Some("MD5"));
    assert_eq!(digest.qop.as_deref(), Some("auth"));
    assert_eq!(digest.ha1, hash.md5.to_hex());
    assert_eq!(digest.alternate_algorithm.as_deref(), Some("SHA-256"));
    assert_eq!(
        digest.alternate_ha1.as_deref(),
        Some(hash.sha256.to_hex().as_str())
    );
}

#[test]
fn mar_keeps_the_server_name_with_authentication_pending() {
    for state in STATES {
        let mut home = Home::with_alice();
        home.bring(state);
        let before = home.registrations();
        assert_eq!(home.mar(mar()).outcome, Outcome::SUCCESS);
        let after = home.registrations();
        let server = after.server.clone().expect("kept");
        assert_eq!(
            (server.name.as_str(), server.host.as_str()),
            (SCSCF, "scscf.ims.test")
        );
        assert_eq!(after.set(0).state, before.set(0).state, "{state}");
        assert_eq!(after.set(0).auth_pending, state != "registered", "{state}");
        let written = !matches!(state, "registered" | "pending");
        assert_eq!(after.revision > before.revision, written, "{state}");
    }
}

#[test]
fn mar_of_another_server_takes_the_name_over() {
    for state in STATES {
        let mut home = Home::with_alice();
        home.bring(state);
        let maa = home.mar(Mar {
            server_name: OTHER_SCSCF.to_owned(),
            ..mar()
        });
        assert_eq!(maa.outcome, Outcome::SUCCESS);
        let after = home.registrations();
        assert_eq!(after.server.clone().expect("kept").name, OTHER_SCSCF);
        assert!(after.set(0).auth_pending, "{state}");
    }
}

#[test]
fn resynchronisation_brings_home_and_card_together() {
    let mut home = Home::with_alice();
    let mut card = Usim::with_sqn(&[1; 16], &[2; 16], Sqn::new(5000, 9).expect("48 bits"));
    let (rand, autn) = challenge(&home.mar(mar()), 0);
    let CardAnswer::SynchronisationFailure(auts) = card.authenticate(&rand, &autn) else {
        panic!("the card is ahead");
    };
    let mut failed = mar();
    failed.sip_auth_data_item.authorization = Some([rand.as_slice(), &auts].concat());
    let (rand, autn) = challenge(&home.mar(failed.clone()), 0);
    assert!(matches!(
        card.authenticate(&rand, &autn),
        CardAnswer::Accepted { .. }
    ));
    // The same token once more, now old: the numbers go on, not back.
    let (rand, autn) = challenge(&home.mar(failed), 0);
    assert!(matches!(
        card.authenticate(&rand, &autn),
        CardAnswer::Accepted { .. }
    ));
}

#[test]
fn a_forged_auts_moves_no_number() {
    let mut home = Home::with_alice();
    let mut card = card();
    let (rand, _) = challenge(&home.mar(mar()), 0);
    let mut forged = mar();
    forged.sip_auth_data_item.authorization = Some([rand.as_slice(), &[0xff; 14]].concat());
    let maa = home.mar(forged);
    assert_eq!(maa.outcome, Outcome::SUCCESS);
    let (rand, autn) = challenge(&maa, 0);
    assert!(matches!(
        card.authenticate(&rand, &autn),
        CardAnswer::Accepted { .. }
    ));
    assert_eq!(card.sqn_ms().seq(), 2);
}

#[test]
fn a_token_of_the_wrong_length_is_an_invalid_value() {
    let mut home = Home::with_alice();
    for length in [0, 15, 16, 29, 31] {
        let mut wrong = mar();
        wrong.sip_auth_data_item.authorization = Some(vec![0; length]);
        let expected = Outcome::Base(ResultCode::INVALID_AVP_VALUE);
        assert_eq!(home.mar(wrong).outcome, expected, "{length}");
    }
}

#[test]
fn a_key_whose_numbers_are_used_up_gives_no_vector() {
    let mut home = Home::new();
    let mut old = alice();
    old.aka.as_mut().expect("has AKA").sqn = Sqn::MAX;
    home.put(old);
    let maa = home.mar(mar());
    assert_eq!(maa.outcome, Outcome::UNABLE_TO_COMPLY);
    assert!(maa.sip_auth_data_items.is_empty());
}
