//! H.248 in binary: what is read can be encoded, and what is encoded reads as the same; as text it
//! reads as something too.
#![no_main]

use h248::binary::{self, Naming};
use h248::text::{self, Style};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let naming = Naming::default();
    let Ok(message) = binary::parse_message(data, &naming) else {
        return;
    };
    let encoded = binary::to_vec(&message, &naming).expect("what we read, we can encode");
    let again = binary::parse_message(&encoded, &naming).expect("what we encode, we read");
    assert_eq!(binary::to_vec(&again, &naming), Ok(encoded));
    let printed = text::to_vec(&message, Style::Compact);
    let _ = text::parse(&printed);
});
