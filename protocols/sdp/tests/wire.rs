//! What the parsers do with texts from elsewhere, whole and damaged.

use base::Entropy;
use sdp::h248::Description;
use sdp::{Error, Fault, Session};

const SESSIONS: [(&str, &str); 4] = [
    (
        "RFC 8866 section 5",
        include_str!("../testdata/rfc8866_5.sdp"),
    ),
    (
        "VoLTE offer in the shape of TS 26.114 Annex A",
        include_str!("../testdata/volte_offer.sdp"),
    ),
    (
        "WebRTC offer in the shape of RFC 9429 section 7",
        include_str!("../testdata/webrtc_offer.sdp"),
    ),
    (
        "unusual spellings",
        include_str!("../testdata/odd_but_valid.sdp"),
    ),
];

const DESCRIPTIONS: [(&str, &str); 3] = [
    ("choose", include_str!("../testdata/choose.h248sdp")),
    (
        "alternatives",
        include_str!("../testdata/alternatives.h248sdp"),
    ),
    (
        "media-agnostic",
        include_str!("../testdata/agnostic.h248sdp"),
    ),
];

/// Parses as both kinds; what is accepted must be written to something that parses to the same.
fn survives(text: &[u8]) {
    if let Ok(session) = Session::parse(text) {
        let written = session.to_string();
        assert_eq!(Session::parse(written.as_bytes()).as_ref(), Ok(&session));
        exercise(session);
    }
    if let Ok(description) = Description::parse(text) {
        let written = description.to_string();
        assert_eq!(Description::parse(written.as_bytes()), Ok(description));
    }
}

/// Calls every reader and editor on what may be a strange session.
fn exercise(mut session: Session) {
    let here = ([192, 0, 2, 1], 4000).into();
    for index in 0..session.media.len() {
        session.rtcp_address(index);
        session.direction(index);
        session.media[index].codecs().count();
        session.set_endpoint(index, here, None);
        assert_eq!(session.rtp_address(index), Some(here));
    }
    session.set_session_ip(here.ip());
    session.remove_ice();
    assert!(Session::parse(session.to_string().as_bytes()).is_ok());
}

#[test]
fn what_was_not_changed_is_written_as_it_came() {
    for (name, text) in SESSIONS {
        let session = Session::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(session.to_string(), text, "{name}");
        let bare = text.replace("\r\n", "\n");
        assert_eq!(
            Session::parse(bare.as_bytes()),
            Ok(session.clone()),
            "{name}"
        );
        assert_eq!(
            Session::parse(text.trim_end().as_bytes()),
            Ok(session),
            "{name}"
        );
    }
    for (name, text) in DESCRIPTIONS {
        let description =
            Description::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(description.to_string(), text, "{name}");
    }
}

#[test]
fn every_truncation_is_read_or_refused() {
    for (_, text) in SESSIONS.iter().chain(&DESCRIPTIONS) {
        for end in 0..text.len() {
            survives(&text.as_bytes()[..end]);
        }
    }
}

#[test]
fn every_flipped_bit_is_read_or_refused() {
    for (_, text) in SESSIONS.iter().chain(&DESCRIPTIONS) {
        let mut bytes = text.as_bytes().to_vec();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                survives(&bytes);
                bytes[at] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn random_splices_are_read_or_refused() {
    let seed = 8866;
    println!("seed {seed}");
    let mut entropy = Entropy::from_u64(seed);
    let texts: Vec<&str> = SESSIONS
        .iter()
        .chain(&DESCRIPTIONS)
        .map(|(_, t)| *t)
        .collect();
    for _ in 0..4000 {
        let mut lines: Vec<&str> = Vec::new();
        for _ in 0..1 + entropy.below(3) {
            let text = texts[entropy.below(texts.len() as u64) as usize];
            lines.extend(text.split_inclusive('\n').filter(|_| entropy.chance(800)));
        }
        if entropy.chance(300) && !lines.is_empty() {
            let from = entropy.below(lines.len() as u64) as usize;
            lines.swap(0, from);
        }
        survives(lines.concat().as_bytes());
    }
}

#[test]
fn a_fault_is_told_with_its_line() {
    const HEAD: &str = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\n";
    let cases: [(String, u32, Fault); 20] = [
        (String::new(), 1, Fault::Missing("v=")),
        ("v=0\n".into(), 2, Fault::Missing("o=")),
        ("v=1\n".into(), 1, Fault::Version),
        ("v=0\no=- 1 1 IN IP4\n".into(), 3, Fault::Missing("s=")),
        ("v=0\no=- 1 1 IN IP4\ns=-\n".into(), 2, Fault::Origin),
        (
            "v=0\no=- x 1 IN IP4 a.b\ns=-\n".into(),
            2,
            Fault::OriginNumber,
        ),
        (
            "v=0\no=- 1 1 IN IP4 10.0.0.256\ns=-\n".into(),
            2,
            Fault::Address,
        ),
        (HEAD.into(), 4, Fault::Missing("t=")),
        (format!("{HEAD}t=0\n"), 4, Fault::Time),
        (format!("{HEAD}t=0 0\nc=IN IP4\n"), 5, Fault::Connection),
        (
            format!("{HEAD}c=IN IP4 a.b\nc=IN IP4 a.b\n"),
            5,
            Fault::Repeated('c'),
        ),
        (format!("{HEAD}t=0 0\nb=AS\n"), 5, Fault::Bandwidth),
        (format!("{HEAD}t=0 0\nm=audio 1 RTP/AVP\n"), 5, Fault::Media),
        (
            format!("{HEAD}t=0 0\nm=audio 65536 RTP/AVP 0\n"),
            5,
            Fault::Port,
        ),
        (
            format!("{HEAD}t=0 0\nm=audio $ RTP/AVP 0\n"),
            5,
            Fault::Port,
        ),
        (
            format!("{HEAD}t=0 0\nm=audio 9 RTP/AVP 0\n"),
            5,
            Fault::NoConnection,
        ),
        (
            format!("{HEAD}t=0 0\nm=audio 0 RTP/AVP 0\ns=-\n"),
            6,
            Fault::Repeated('s'),
        ),
        (format!("{HEAD}t=0 0\na=\n"), 5, Fault::Attribute),
        (format!("{HEAD}t=0 0\nnonsense\n"), 5, Fault::NotALine),
        (format!("{HEAD}t=0 0\n\na=x\n"), 5, Fault::NotALine),
    ];
    for (text, line, fault) in cases {
        let expected = Error::Malformed { line, fault };
        assert_eq!(Session::parse(text.as_bytes()), Err(expected), "{text:?}");
    }
    assert_eq!(
        Session::parse(b"v=0\r\no=\xff\r\n"),
        Err(Error::Malformed {
            line: 2,
            fault: Fault::NotUtf8
        })
    );
    assert_eq!(
        Session::parse(b"v=0\r\ro=\n"),
        Err(Error::Malformed {
            line: 1,
            fault: Fault::ControlCharacter
        })
    );
    let error = Session::parse(b"v=0\n").unwrap_err();
    assert_eq!(error.to_string(), "SDP line 2: o= is missing");
}

#[test]
fn bounds_are_refused_by_name() {
    let head = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";
    let media = format!(
        "{head}{}",
        "m=audio 1 RTP/AVP 0\n".repeat(sdp::MEDIA_MAX + 1)
    );
    let formats = format!(
        "{head}m=audio 1 RTP/AVP{}\n",
        " 0".repeat(sdp::FORMATS_MAX + 1)
    );
    let lines = format!("{head}{}", "a=x\n".repeat(sdp::LINES_MAX));
    let bytes = format!("{head}a={}\n", "x".repeat(sdp::BYTES_MAX));
    let groups = "v=0\n".repeat(sdp::h248::GROUPS_MAX + 1);
    for (text, limit) in [
        (media, "media descriptions"),
        (formats, "formats"),
        (lines, "lines"),
        (bytes, "bytes"),
    ] {
        match Session::parse(text.as_bytes()) {
            Err(Error::Limit { what, .. }) => assert_eq!(what, limit),
            other => panic!("{limit}: {other:?}"),
        }
    }
    assert!(matches!(
        Description::parse(groups.as_bytes()),
        Err(Error::Limit {
            what: "alternatives",
            ..
        })
    ));
}
