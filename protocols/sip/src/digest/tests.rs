use super::*;
use base::Entropy;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

fn parse(text: &str) -> Credentials {
    Credentials::parse(text.as_bytes()).unwrap()
}

const GET_INDEX: Request<'static> = Request {
    method: "GET",
    uri: "/dir/index.html",
    body: b"",
};

const REGISTER: Request<'static> = Request {
    method: "REGISTER",
    uri: "sip:home.mobile.biz",
    body: b"",
};

/// RFC 2617 3.5.
#[test]
fn the_example_of_rfc_2617_verifies() {
    let credentials = parse(
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, nc=00000001, \
         cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    );
    let password = Secret::Password(b"Circle Of Life");
    assert!(credentials.verify(password, GET_INDEX));
    assert!(!credentials.verify(Secret::Password(b"Circle of Life"), GET_INDEX));
    let post = Request {
        method: "POST",
        ..GET_INDEX
    };
    assert!(!credentials.verify(password, post));
    let ha1 = Algorithm::Md5.ha1("Mufasa", "testrealm@host.com", b"Circle Of Life");
    assert_eq!(ha1.as_str(), "939e7578ed9e3c518a452acee763bce9");
    assert!(credentials.verify(Secret::Ha1(ha1), GET_INDEX));
}

/// RFC 7616 3.9.1.
#[test]
fn the_examples_of_rfc_7616_verify_with_md5_and_sha_256() {
    let text = |algorithm, response| {
        format!(
            "Digest username=\"Mufasa\",\r\n realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
             algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{response}\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    };
    let password = Secret::Password(b"Circle of Life");
    let md5 = parse(&text("MD5", "8ca523f5e9506fed4657c9700eebdbec"));
    assert!(md5.verify(password, GET_INDEX));
    let sha_256 = parse(&text(
        "SHA-256",
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    ));
    assert!(sha_256.verify(password, GET_INDEX));
    assert!(
        !parse(&text("SHA-256", "8ca523f5e9506fed4657c9700eebdbec")).verify(password, GET_INDEX)
    );
}

/// RFC 2069 2.4 with the response as corrected by its erratum 749.
#[test]
fn a_response_without_quality_of_protection_verifies() {
    let credentials = parse(
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
         response=\"1949323746fe6a43ef61f9606e7febea\"",
    );
    assert!(credentials.verify(Secret::Password(b"CircleOfLife"), GET_INDEX));
}

/// RFC 3310 4: the first REGISTER, with an empty nonce and response.
#[test]
fn the_first_register_of_rfc_3310_is_read_and_never_verifies() {
    let credentials = parse(
        "Digest username=\"jon.dough@mobile.biz\", realm=\"RoamingUsers@mobile.biz\", nonce=\"\", \
         uri=\"sip:home.mobile.biz\", response=\"\"",
    );
    assert_eq!(credentials.nonce, "");
    assert!(!credentials.verify(Secret::Password(b""), REGISTER));
    let built = Credentials::empty(
        "jon.dough@mobile.biz",
        "RoamingUsers@mobile.biz",
        "sip:home.mobile.biz",
        Algorithm::Md5,
    );
    assert_eq!(built, credentials);
}

/// RFC 3310 4: challenge and answer; its response stands for an undisclosed RES, so only the
/// structure is checked.
#[test]
fn the_challenge_of_rfc_3310_is_read() {
    let challenge = Challenge::parse(
        b"Digest realm=\"RoamingUsers@mobile.biz\",\
          nonce=\"MzQ0a2xrbGtmbGtsZm9wb2tsc2tqaHJzZXNy9uQyMzMzMzQK=\",\
          qop=\"auth,auth-int\",opaque=\"5ccc069c403ebaf9f0171e9517f40e41\",algorithm=AKAv1-MD5",
    )
    .unwrap();
    assert_eq!(challenge.algorithm, Algorithm::AkaV1Md5);
    assert_eq!(challenge.qop, [Qop::Auth, Qop::AuthInt]);
}

#[test]
fn aka_authenticates_with_the_binary_res() {
    let (rand, autn, res) = ([0x23; 16], [0x55; 16], [0, 0xff, b':', 0x0d, 1, 2, 3, 4]);
    let mut challenge = Challenge::new(
        "home.mobile.biz",
        &aka_nonce(&rand, &autn, b""),
        Algorithm::AkaV1Md5,
        &[Qop::Auth],
    );
    challenge.push_extension("ik", "00112233445566778899aabbccddeeff".to_owned());
    let mut received = Challenge::parse(challenge.to_string().as_bytes()).unwrap();
    assert_eq!(received, challenge);
    assert!(received.take_extension("ik").is_some());
    assert!(!received.to_string().contains("ik="));
    assert_eq!(parse_aka_nonce(&received.nonce), Some((rand, autn)));

    let mut entropy = Entropy::from_u64(1);
    let mut client = Client::new("jon", received);
    let credentials = client.answer(Secret::Password(&res), REGISTER, &mut entropy);
    assert_eq!(parse(&credentials.to_string()), credentials);
    assert!(credentials.verify(Secret::Password(&res), REGISTER));
    assert!(!credentials.verify(Secret::Password(&res[..7]), REGISTER));
}

#[test]
fn aka_resynchronisation_carries_auts_and_the_empty_password() {
    let challenge = Challenge::new("realm", "nonce", Algorithm::AkaV1Md5, &[Qop::Auth]);
    let mut client = Client::new("jon", challenge);
    let auts = [7; AUTS_BYTES];
    let sent = client.answer_resynchronise(auts, REGISTER, &mut Entropy::from_u64(1));
    let received = parse(&sent.to_string());
    assert_eq!(received.auts, Some(auts));
    assert!(received.verify(Secret::Password(b""), REGISTER));
    let short = sent.to_string().replace(&BASE64.encode(auts), "AAAA");
    assert_eq!(
        Credentials::parse(short.as_bytes()),
        Err(Error::BadValue("auts"))
    );
}

#[test]
fn client_and_server_agree_in_every_algorithm_and_quality() {
    let mut entropy = Entropy::from_u64(4);
    for algorithm in Algorithm::ALL {
        for qop in [
            &[][..],
            &[Qop::Auth],
            &[Qop::AuthInt],
            &[Qop::AuthInt, Qop::Auth],
        ] {
            let mut challenge = Challenge::new("a \"quoted\\\" realm", "n", algorithm, qop);
            challenge.opaque = Some("op".to_owned());
            challenge.stale = true;
            let received = Challenge::parse(challenge.to_string().as_bytes()).unwrap();
            assert_eq!(received, challenge);
            let request = Request {
                method: "INVITE",
                uri: "sip:bob@b.test",
                body: b"v=0\r\n",
            };
            let mut client = Client::new("alice", received);
            for nonce_count in 1..=3 {
                let sent = client.answer(Secret::Password(b"pw"), request, &mut entropy);
                let credentials = parse(&sent.to_string());
                assert_eq!(credentials, sent);
                assert!(credentials.verify(Secret::Password(b"pw"), request));
                let ha1 = algorithm.ha1("alice", "a \"quoted\\\" realm", b"pw");
                assert!(credentials.verify(Secret::Ha1(ha1), request));
                let protection = credentials.protection.as_ref();
                assert!(protection.is_none_or(|p| p.nonce_count == nonce_count));
                let other_body = Request {
                    body: b"v=1\r\n",
                    ..request
                };
                let covered = protection.is_some_and(|p| p.qop == Qop::AuthInt);
                assert_eq!(
                    credentials.verify(Secret::Password(b"pw"), other_body),
                    !covered
                );
            }
        }
    }
}

#[test]
fn the_server_proves_itself_in_authentication_info() {
    let mut entropy = Entropy::from_u64(5);
    for algorithm in Algorithm::ALL {
        for qop in [Qop::Auth, Qop::AuthInt] {
            let challenge = Challenge::new("r", "n", algorithm, &[qop]);
            let mut client = Client::new("alice", challenge);
            let secret = Secret::Password(b"pw");
            let sent = client.answer(secret, REGISTER, &mut entropy);
            let info = parse(&sent.to_string())
                .authentication_info(secret, REGISTER, Some("next".to_owned()))
                .unwrap();
            let received = AuthenticationInfo::parse(info.to_string().as_bytes()).unwrap();
            assert_eq!(received, info);
            assert!(sent.verify_info(&received, secret, REGISTER));
            assert!(!sent.verify_info(&received, Secret::Password(b"other"), REGISTER));
            client.set_next_nonce("next".to_owned());
            let next = client.answer(secret, REGISTER, &mut entropy);
            assert_eq!(next.nonce, "next");
            assert_eq!(next.protection.unwrap().nonce_count, 1);
        }
    }
}

#[test]
fn what_is_wrong_with_a_value_is_named() {
    let cases: [(&str, Error); 11] = [
        ("Basic abc", Error::NotDigest),
        ("Digest", Error::Malformed { offset: 0 }),
        ("Digest username=\"a", Error::Malformed { offset: 18 }),
        ("Digest a=b c=d", Error::Malformed { offset: 11 }),
        ("Digest a=b, a=c", Error::Malformed { offset: 12 }),
        ("Digest username=\"a\"", Error::Missing("realm")),
        ("Digest algorithm=FOO", Error::UnknownAlgorithm),
        ("Digest qop=foo", Error::UnknownQop),
        ("Digest qop=auth", Error::Missing("cnonce")),
        ("Digest qop=auth, cnonce=\"\", nc=1", Error::BadValue("nc")),
        ("Digest algorithm=MD5-sess", Error::Missing("qop")),
    ];
    for (text, error) in cases {
        assert_eq!(Credentials::parse(text.as_bytes()), Err(error), "{text}");
    }
    let many = (0..=PARAMS_MAX).fold("Digest ".to_owned(), |text, n| text + &format!("p{n}=x,"));
    assert!(matches!(
        Challenge::parse(many.as_bytes()),
        Err(Error::Malformed { .. })
    ));
}

#[test]
fn a_value_with_line_ends_cannot_forge_a_header_field() {
    let challenge = Challenge::new("r\r\nVia: x", "n", Algorithm::Md5, &[]);
    assert!(!challenge.to_string().contains(['\r', '\n']));
    let mut hidden = challenge.clone();
    hidden.push_extension("x", "\r\nVia: y".to_owned());
    hidden.extensions[0].quoted = false;
    assert!(!hidden.to_string().contains(['\r', '\n']));
}

#[test]
fn truncated_and_flipped_values_never_panic_and_what_parses_prints_and_parses_again() {
    let text = "Digest username=\"Mu\\\"fasa\", realm=\"r\", nonce=\"n\", uri=\"sip:a\", qop=auth, \
                nc=0000000a, cnonce=\"0a\", response=\"66\", auts=\"BwcHBwcHBwcHBwcHBwc=\", x=\"y\", z=w";
    assert!(Credentials::parse(text.as_bytes()).is_ok());
    let check = |bytes: &[u8]| {
        if let Ok(credentials) = Credentials::parse(bytes) {
            assert_eq!(
                parse(&credentials.to_string()).response,
                credentials.response
            );
        }
        let _ = Challenge::parse(bytes);
        let _ = AuthenticationInfo::parse(bytes);
    };
    for at in 0..text.len() {
        check(&text.as_bytes()[..at]);
        for bit in 0..8 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            check(&bytes);
        }
    }
}

#[test]
fn stored_hashes_are_read_in_either_case_and_only_in_the_right_length() {
    let hash = Hex::parse(b"939E7578ED9E3C518A452ACEE763BCE9").unwrap();
    assert_eq!(hash.to_string(), "939e7578ed9e3c518a452acee763bce9");
    assert!(Hex::parse(b"939e").is_none());
    assert!(Hex::parse(b"939E7578ED9E3C518A452ACEE763BCEg").is_none());
    assert_eq!(format!("{hash:?}"), "Hex(..)");
}

/// Responses and `rspauth` for `auth` and `auth-int`, computed with Python's hashlib from RFC 7616
/// 3.4.
#[test]
fn responses_are_those_of_an_independent_computation() {
    let vectors = [
        (
            Algorithm::Md5,
            [
                "1ff9eb9e7196624595101c2fd9c2afa8",
                "5ce43c80e7928e910c0652a9c2dfbd7c",
            ],
            [
                "d80da94af2872b8d52f002d3130512e2",
                "a9d11b707994763228e76cb1621431d1",
            ],
        ),
        (
            Algorithm::Md5Sess,
            [
                "687009aba7a8af7a3b39ae87668826d8",
                "87fc2c2a3032ac0da9a4de9bb0bee1c8",
            ],
            [
                "5fd6dd00e8d1729bf9068ee58cb501dd",
                "4d6a261e776c1c5b881153b2c93c9c5b",
            ],
        ),
        (
            Algorithm::Sha256,
            [
                "e26723300c36534187478faf3d8cf286ff65a949fd58e35e2a7aca38b76d24e9",
                "7c6cd285251176bf0179caba0ddaa5555fd712426ed7398091295c62de8521d4",
            ],
            [
                "c5e3ae731ccaac646b9fb6c85dedb25f41eaf460b393f4e253fa34c51b70b327",
                "9db991e76427a695affac53c100ec669c0b585715f268821bf3a0c85a767ef22",
            ],
        ),
        (
            Algorithm::Sha256Sess,
            [
                "2c188b010e15f0c2f9b08501a4b88be3af90a43862152eb1360b885dd3ff96fc",
                "ac4c32f1589deef566f9e4941b834084ad8a14226a7de7e9bfc8a4f2137c9e9a",
            ],
            [
                "3fc939d471f198f5f59b143d7b2c881c6f1cbce12bbb7e9c6c68e14770c99f62",
                "06058cca57fca1603905da052ac0cef9fd83a7d20564f8072605ddc57c5fa3df",
            ],
        ),
    ];
    let request = Request {
        method: "REGISTER",
        uri: "sip:ims.test",
        body: b"v=0\r\n",
    };
    let secret = Secret::Password(b"s3cret");
    for (algorithm, auth, auth_int) in vectors {
        for (qop, [response, rspauth]) in [(Qop::Auth, auth), (Qop::AuthInt, auth_int)] {
            let credentials = parse(&format!(
                "Digest username=\"alice\",realm=\"ims.test\",nonce=\"bm9uY2U=\",uri=\"sip:ims.test\",\
                 algorithm={algorithm},qop={qop},nc=0000000f,cnonce=\"c0ffee\",response=\"{response}\""
            ));
            assert!(credentials.verify(secret, request), "{algorithm} {qop}");
            let info = credentials
                .authentication_info(secret, request, None)
                .unwrap();
            assert_eq!(info.response.as_deref(), Some(rspauth), "{algorithm} {qop}");
        }
    }
    // RES of 3GPP TS 35.208 test set 1 as the binary password.
    let credentials = parse(
        "Digest username=\"001010000000001@ims.test\",realm=\"ims.test\",nonce=\"bm9uY2U=\",\
         uri=\"sip:ims.test\",algorithm=AKAv1-MD5,qop=auth,nc=00000001,cnonce=\"c0ffee\",\
         response=\"0967ac124db59462cacf535feeb91ca4\"",
    );
    let res = [0xa5, 0x42, 0x11, 0xd5, 0xe3, 0xba, 0x50, 0xbf];
    assert!(credentials.verify(Secret::Password(&res), request));
}
