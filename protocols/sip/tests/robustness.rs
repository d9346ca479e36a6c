//! No input makes the parser, a reader or an edit panic, and what parses keeps its invariants.

use base::Entropy;
use sip::{HeaderName, Message, Uri};
use std::path::Path;

/// Calls every reader and edits once.
fn exercise(message: &Message) {
    for field in message.fields() {
        assert!(!field.name_str.is_empty());
        assert!(!field.value.contains(['\r', '\n']));
        let known = HeaderName::parse(field.name_str);
        assert_eq!(known, field.name);
        assert!(message.has(known) && message.headers_named(field.name_str).next().is_some());
    }
    for &name in HeaderName::KNOWN {
        if !message.has(name) {
            continue;
        }
        message.values(name).for_each(drop);
        message.addresses(name).flatten().for_each(|addr| {
            let _ = (addr.display_name(), addr.tag(), addr.q(), addr.expires());
            exercise_uri(addr.uri);
            addr.params.iter().for_each(drop);
        });
        message.tokens(name).for_each(drop);
        message
            .auth(name)
            .flatten()
            .for_each(|auth| auth.iter().for_each(drop));
        let _ = message.params(name);
    }
    let _ = message.uri().map(exercise_uri);
    message.vias().flatten().for_each(|via| {
        let _ = (
            via.transport(),
            via.branch(),
            via.received(),
            via.maddr(),
            via.ttl(),
            via.rport(),
        );
    });
    message.contacts().for_each(drop);
    let _ = (
        message.cseq(),
        message.call_id(),
        message.max_forwards(),
        message.expires(),
    );
    let _ = (
        message.min_expires(),
        message.content_type(),
        message.event(),
        message.date(),
    );
    let _ = (
        message.rack(),
        message.rseq(),
        message.session_expires(),
        message.min_se(),
    );
    let _ = (
        message.subscription_state(),
        message.retry_after(),
        message.validate(),
    );
    edit(message);
}

fn exercise_uri(uri: Uri<'_>) {
    assert!(uri.is_equivalent(uri), "{uri}");
    let canonical = uri.canonical();
    let again = Uri::parse(&canonical).unwrap_or_else(|| panic!("{canonical:?} of {uri} is a URI"));
    assert_eq!(again.canonical(), canonical);
    uri.params().for_each(drop);
    uri.headers().for_each(drop);
    let _ = (
        uri.to_tel(),
        uri.host(),
        uri.password(),
        uri.port(),
        uri.urn(),
        uri.without_headers(),
    );
}

fn edit(message: &Message) {
    let edited = message
        .edit()
        .push_front(HeaderName::Via, "SIP/2.0/UDP p.test;branch=z9hG4bKp")
        .remove_first_value(HeaderName::Route)
        .remove_first_value(HeaderName::Contact)
        .finish();
    if let Ok(edited) = edited {
        let fields = Message::parse(edited.as_bytes()).map(|parsed| parsed.fields().count());
        // The body may hold what its own Content-Length refused; the head never changes its number
        // of lines.
        if let Ok(fields) = fields {
            assert_eq!(fields, edited.fields().count());
        }
    }
    if message.is_request() {
        let _ = message.response(400, "").to_tag("t").finish();
    }
}

/// Parses, and if it parses, parses again what it is.
fn parse(bytes: &[u8]) {
    match Message::parse(bytes) {
        Ok(message) => {
            let again = Message::parse(message.as_bytes())
                .unwrap_or_else(|error| panic!("{error}: {message:?}"));
            assert_eq!(again, message);
            exercise(&message);
        }
        Err(error) => {
            assert!(error.offset <= bytes.len() && matches!(error.status(), 400 | 505 | 513));
            if let Some(partial) = error.partial() {
                exercise(partial);
            }
            if let Some(request) = error.answerable() {
                let response = request.response(error.status(), error.reason()).finish();
                let response = response.unwrap_or_else(|fault| panic!("{fault}: {request:?}"));
                assert_eq!(
                    Message::parse(response.as_bytes()).map(|m| m.status()).ok(),
                    Some(Some(error.status()))
                );
            }
        }
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut files: Vec<_> = [folder.join("torture"), folder]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("the folder is there"))
        .map(|entry| entry.expect("the entry is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sip"))
        .collect();
    files.sort();
    assert!(files.len() > 60);
    files
        .iter()
        .map(|path| std::fs::read(path).expect("the file is readable"))
        .collect()
}

#[test]
fn every_truncation_is_refused_or_parses() {
    for bytes in corpus() {
        for len in (0..bytes.len()).filter(|len| bytes.len() < 2000 || len % 7 == 0) {
            let cut = &bytes[..len];
            if let Ok(message) = Message::parse(cut) {
                assert!(message.as_bytes().len() <= len);
                let _ = message.validate();
            }
        }
    }
}

#[test]
fn every_truncation_of_an_invite_is_read_and_edited() {
    let bytes = include_bytes!("../testdata/invite_1500.sip");
    (0..bytes.len())
        .step_by(3)
        .for_each(|len| parse(&bytes[..len]));
}

#[test]
fn one_flipped_bit_at_every_octet() {
    let seed = 475;
    println!("seed {seed}");
    let mut entropy = Entropy::from_u64(seed);
    for bytes in corpus() {
        let step = 1 + bytes.len() / 400;
        for at in (0..bytes.len()).step_by(step) {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << entropy.below(8);
            parse(&bad);
        }
    }
}

#[test]
fn octets_replaced_inserted_removed_and_repeated() {
    let seed = 5118;
    println!("seed {seed}");
    let mut entropy = Entropy::from_u64(seed);
    let corpus = corpus();
    let pieces: [&[u8]; 16] = [
        b"\r\n",
        b"\r\n ",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"\"",
        b"\\",
        b"<",
        b">",
        b",",
        b";",
        b":",
        b"@",
        b"%",
        b"\0",
        "\u{e4}".as_bytes(),
    ];
    for _ in 0..3000 {
        let mut bad = corpus[entropy.below(corpus.len() as u64) as usize].clone();
        bad.truncate(3000);
        for _ in 0..1 + entropy.below(4) {
            let at = entropy.below(bad.len() as u64) as usize;
            let end = (at + entropy.below(20) as usize).min(bad.len());
            let piece = match entropy.below(3) {
                0 => pieces[entropy.below(pieces.len() as u64) as usize].to_vec(),
                1 => Vec::new(),
                _ => bad[at..end].repeat(2),
            };
            bad.splice(at..if entropy.chance(500) { at } else { end }, piece);
        }
        parse(&bad);
    }
}

#[test]
fn header_values_of_random_octets_are_refused_or_read() {
    let mut entropy = Entropy::from_u64(7);
    let alphabet = "<>\"\\;,=:@%?&[]()/ \t*+.-_aZ09é\u{0}\u{7f}sip:tel:urn:SIP/2.0/UDP";
    let letters: Vec<char> = alphabet.chars().collect();
    for _ in 0..4000 {
        let value: String = (0..entropy.below(30))
            .map(|_| letters[entropy.below(letters.len() as u64) as usize])
            .collect();
        let names = [
            "Via",
            "From",
            "To",
            "Contact",
            "Route",
            "CSeq",
            "Authorization",
            "Date",
            "Retry-After",
        ];
        let mut text = format!("OPTIONS sip:{} SIP/2.0\r\n", value.replace([' ', '\t'], ""));
        names
            .iter()
            .for_each(|name| text.push_str(&format!("{name}: {value}\r\n")));
        text.push_str("\r\n");
        parse(text.as_bytes());
        if let Some(uri) = Uri::parse(&value) {
            exercise_uri(uri);
        }
    }
}

#[test]
fn the_worst_message_of_full_size_takes_no_time() {
    for filler in [
        "a:\r\n ", "a: \"\\", "v:,,,,", ";;;;", "<<<<", "a:b\r\n", "\r\r\r", "\n", "sip:sip:",
        "%%%%", "@@@@",
    ] {
        let mut text = String::from("OPTIONS sip:b SIP/2.0\r\nVia: ");
        while text.len() + filler.len() < sip::MESSAGE_BYTES_MAX - 4 {
            text.push_str(filler);
        }
        text.push_str("\r\n\r\n");
        let start = std::time::Instant::now();
        parse(text.as_bytes());
        assert!(
            start.elapsed().as_secs() < 10,
            "{filler:?} took {:?}",
            start.elapsed()
        );
    }
}
