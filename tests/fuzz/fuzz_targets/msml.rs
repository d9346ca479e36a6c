//! MSML: documents of anybody, and what is written of what they ask for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msml::{Fault, Object, Outcome};

fuzz_target!(|data: &[u8]| {
    if let Ok(document) = msml::parse(data) {
        for item in document.items {
            let outcome = Outcome {
                fault: item.request.err(),
                mark: item.mark,
                ..Outcome::default()
            };
            // A result is well-formed, whatever is told in it: read as requests it is none.
            let text = msml::result(&outcome);
            let read = msml::parse(text.as_bytes()).expect("what is written is well-formed");
            let fault: &Fault = read.items[0].request.as_ref().expect_err("no request");
            assert_eq!(fault.code, msml::code::UNSUPPORTED_ELEMENT);
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(object) = Object::parse(text)
    {
        assert_eq!(Object::parse(&object.to_string()), Some(object));
    }
    msml::uris_of_list(data, 16);
});
