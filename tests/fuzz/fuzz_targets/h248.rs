//! H.248 text: what is read can be printed in both styles, and what is printed stays the same.
#![no_main]

use h248::text::{self, Style};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = text::parse_actions(data);
    let Ok(message) = text::parse_message(data) else {
        return;
    };
    for style in [Style::Pretty, Style::Compact] {
        let printed = text::to_vec(&message, style);
        let again = text::parse_message(&printed).expect("what we print, we read");
        // Quoted strings are read with line ends, which they may not have, and printed without.
        assert_eq!(
            String::from_utf8_lossy(&text::to_vec(&again, style)),
            String::from_utf8_lossy(&printed)
        );
    }
});
