//! Our reading of each valid message against that of tshark, another decoder:
//! `testdata/tshark.tsv`.

use sip::Message;
use std::path::Path;

/// The columns of the file after the name, read by us.
fn columns(message: &Message) -> Vec<String> {
    let cseq = message.cseq().expect("a CSeq");
    let (from, to) = (message.from().expect("a From"), message.to().expect("a To"));
    let via = message.top_via().expect("a Via");
    let contact = message
        .contact()
        .map(|contact| contact.uri.as_str().to_owned());
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    vec![
        message
            .method()
            .map(ToString::to_string)
            .unwrap_or_default(),
        message.request_uri().to_owned(),
        message
            .status()
            .map(|status| status.to_string())
            .unwrap_or_default(),
        text(message.call_id().ok()),
        cseq.number.to_string(),
        cseq.method.to_string(),
        from.uri.as_str().to_owned(),
        text(from.tag()),
        to.uri.as_str().to_owned(),
        text(to.tag()),
        via.transport_str.to_owned(),
        via.host_str.trim_matches(['[', ']']).to_owned(),
        // The first that tshark finds, in whichever Via.
        text(message.vias().flatten().find_map(|via| via.branch())),
        contact.unwrap_or_default(),
    ]
}

#[test]
fn tshark_reads_the_same_fields() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let table = std::fs::read_to_string(folder.join("tshark.tsv")).expect("the table is there");
    let mut compared = 0;
    for row in table.lines().filter(|row| !row.starts_with('#')) {
        let mut theirs = row.split('\t');
        let name = theirs.next().expect("a name");
        let [torture, other] =
            ["torture/", ""].map(|place| folder.join(format!("{place}{name}.sip")));
        let bytes = std::fs::read(torture)
            .or_else(|_| std::fs::read(other))
            .expect(name);
        let message = Message::parse(bytes).expect(name);
        for (place, (ours, theirs)) in columns(&message).iter().zip(theirs).enumerate() {
            if !theirs.is_empty() {
                assert_eq!(ours, theirs, "{name}, column {place}");
                compared += 1;
            }
        }
    }
    assert!(compared > 400, "{compared}");
}
