//! H.248 text: what is read can be printed in both styles and reads the same again.
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
        let again = text::parse_message(&printed);
        assert_eq!(
            again.as_ref(),
            Ok(&message),
            "{}",
            String::from_utf8_lossy(&printed)
        );
    }
});
