use base::Entropy;

use super::*;

/// After the example of RFC 3680 5.3, with what TS 24.229 and RFC 5628 add: written by hand.
const EXAMPLE: &str = r#"<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="3" state="partial"
  xmlns:gr="urn:ietf:params:xml:ns:gruuinfo">
 <!-- two numbers of one telephone -->
 <registration aor="sip:user@example.com" id="as9" state="active">
  <contact id="76" state="active" event="registered" duration-registered="7322" expires="3600"
    q="0.8" callid="1a@192.0.2.1" cseq="17">
   <uri> sip:user@pc887.example.com;x=1&amp;2 </uri>
   <display-name xml:lang="en">A &lt;user&gt;</display-name>
   <unknown-param name="+sip.instance">"&#60;urn:uuid:0&#x3e;"</unknown-param>
   <unknown-param name="audio"/>
   <gr:pub-gruu uri="sip:user@example.com;gr=hha"><uri>sip:not.this</uri></gr:pub-gruu>
  </contact>
  <contact id="77" state="terminated" event="expired" q="0.5">
   <uri>sip:user@university.edu</uri>
  </contact>
 </registration>
 <registration aor="tel:+1555" id="a7" state="terminated"/>
</reginfo>"#;

fn example() -> Reginfo {
    Reginfo {
        version: 3,
        full: false,
        registrations: vec![
            Registration {
                aor: "sip:user@example.com".into(),
                id: "as9".into(),
                state: State::Active,
                contacts: vec![
                    Contact {
                        id: "76".into(),
                        event: ContactEvent::Registered,
                        expires: Some(3600),
                        q: Some(800),
                        call_id: Some("1a@192.0.2.1".into()),
                        cseq: Some(17),
                        uri: "sip:user@pc887.example.com;x=1&2".into(),
                        display_name: Some("A <user>".into()),
                        unknown_params: vec![
                            ("+sip.instance".into(), "\"<urn:uuid:0>\"".into()),
                            ("audio".into(), String::new()),
                        ],
                    },
                    Contact {
                        id: "77".into(),
                        event: ContactEvent::Expired,
                        q: Some(500),
                        uri: "sip:user@university.edu".into(),
                        ..Contact::default()
                    },
                ],
            },
            Registration {
                aor: "tel:+1555".into(),
                id: "a7".into(),
                state: State::Terminated,
                contacts: Vec::new(),
            },
        ],
    }
}

#[test]
fn a_document_is_read_and_other_namespaces_are_passed_over() {
    assert_eq!(Reginfo::parse(EXAMPLE.as_bytes()), Ok(example()));
    let prefixed = EXAMPLE
        .replace("xmlns=", "xmlns:r=")
        .replace("<r", "<r:r")
        .replace("</r", "</r:r");
    let prefixed = ["contact", "uri", "display-name", "unknown-param"]
        .iter()
        .fold(prefixed, |text, name| {
            text.replace(&format!("<{name}"), &format!("<r:{name}"))
                .replace(&format!("</{name}"), &format!("</r:{name}"))
        });
    assert_eq!(Reginfo::parse(prefixed.as_bytes()), Ok(example()));
}

#[test]
fn what_is_written_is_read_again() {
    let written = example().to_xml();
    assert_eq!(Reginfo::parse(&written), Ok(example()));
    let mut odd = example();
    odd.registrations[0].contacts[0].uri = "sip:a\u{0}\u{7}@b".into();
    odd.registrations[0].contacts[0].q = Some(1000);
    odd.full = true;
    let read = Reginfo::parse(&odd.to_xml()).expect("controls are left out");
    assert_eq!(read.registrations[0].contacts[0].uri, "sip:a@b");
    assert_eq!(read.registrations[0].contacts[0].q, Some(1000));
    for (event, _) in ContactEvent::ALL {
        odd.registrations[0].contacts[0].event = event;
        let read = Reginfo::parse(&odd.to_xml()).expect("its own");
        assert_eq!(read.registrations[0].contacts[0].event, event);
    }
}

#[test]
fn what_the_schema_forbids_is_refused() {
    for (what, with, error) in [
        ("ns:reginfo\"", "ns:other\"", Error::NotReginfo),
        (" version=\"3\"", "", Error::Missing("version")),
        ("version=\"3\"", "version=\"-3\"", Error::Value("version")),
        ("state=\"partial\"", "state=\"some\"", Error::Value("state")),
        (" aor=\"tel:+1555\"", "", Error::Missing("aor")),
        (" id=\"77\"", "", Error::Missing("id")),
        (
            "event=\"expired\"",
            "event=\"refreshed\"",
            Error::Value("event"),
        ),
        (
            "event=\"expired\"",
            "event=\"forgotten\"",
            Error::Value("event"),
        ),
        (
            "<uri>sip:user@university.edu</uri>",
            "<uri/>",
            Error::Missing("uri"),
        ),
        (
            "unknown-param name=\"audio\"",
            "unknown-param",
            Error::Missing("name"),
        ),
    ] {
        let bad = EXAMPLE.replace(what, with);
        assert_ne!(bad, EXAMPLE, "{what} is there");
        assert_eq!(
            Reginfo::parse(bad.as_bytes()),
            Err(error),
            "{what} → {with}"
        );
    }
    for malformed in [
        "",
        "<reginfo",
        "<!DOCTYPE reginfo><reginfo/>",
        "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"full\">&x;",
        "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"full\"/><a/>",
    ] {
        let error = Reginfo::parse(malformed.as_bytes());
        assert!(
            matches!(error, Err(Error::Malformed { .. })),
            "{malformed}: {error:?}"
        );
    }
    assert!(matches!(
        Reginfo::parse(b"\xff"),
        Err(Error::Malformed { offset: 0 })
    ));
}

#[test]
fn depth_and_number_of_elements_are_limited() {
    let root = "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"full\">";
    let deep = format!("{root}{}", "<a>".repeat(DEPTH_MAX));
    assert_eq!(
        Reginfo::parse(deep.as_bytes()),
        Err(Error::Limit("DEPTH_MAX"))
    );
    let many = format!("{root}{}", "<a/>".repeat(ELEMENTS_MAX));
    assert_eq!(
        Reginfo::parse(many.as_bytes()),
        Err(Error::Limit("ELEMENTS_MAX"))
    );
}

#[test]
fn cut_and_damaged_documents_are_read_or_refused() {
    let bytes = EXAMPLE.as_bytes();
    for end in 0..bytes.len() {
        assert!(Reginfo::parse(&bytes[..end]).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << bit;
            let _ = Reginfo::parse(&damaged);
        }
    }
    let mut entropy = Entropy::from_u64(3680);
    for _ in 0..5000 {
        let mut damaged = bytes.to_vec();
        for _ in 0..=entropy.below(8) {
            let at = usize::try_from(entropy.below(damaged.len() as u64)).expect("small");
            match entropy.below(3) {
                0 => damaged[at] = entropy.bytes::<1>()[0],
                1 => drop(damaged.remove(at)),
                _ => damaged.insert(
                    at,
                    b"<>&\"/ '="[usize::try_from(entropy.below(8)).expect("small")],
                ),
            }
        }
        if let Ok(read) = Reginfo::parse(&damaged) {
            assert_eq!(
                Reginfo::parse(&read.to_xml()).map(|again| again.version),
                Ok(read.version)
            );
        }
    }
}
