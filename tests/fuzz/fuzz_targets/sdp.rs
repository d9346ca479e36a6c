//! SDP: sessions, and the descriptions of H.248 descriptors, printed and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdp::Session;
use sdp::h248::Description;

fuzz_target!(|data: &[u8]| {
    if let Ok(session) = Session::parse(data) {
        let text = session.to_string();
        let again = Session::parse(text.as_bytes()).expect("what we print, we read");
        assert_eq!(again.to_string(), text);
    }
    if let Ok(description) = Description::parse(data) {
        let text = description.to_string();
        let again = Description::parse(text.as_bytes()).expect("what we print, we read");
        assert_eq!(again.to_string(), text);
    }
});
