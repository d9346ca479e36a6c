//! Announcements as the gateway is told of them, in announcement syntax (H.248.9 6): parts between
//! commas, each in angle brackets.

/// What is played one after the other, with the language of what is said.
pub fn announcement(parts: &[String], language: &str) -> String {
    let mut text = String::new();
    for part in parts {
        if !text.is_empty() {
            text.push(',');
        }
        text.push('<');
        text.push_str(&clean(part));
        if part.starts_with(VARIABLE) && !language.is_empty() {
            text.push(';');
            text.push_str(&clean(language));
        }
        text.push('>');
    }
    text
}

/// A value that is said as one of its type: a part of an announcement.
pub fn variable(kind: &str, subtype: &str, value: &str) -> String {
    format!("{VARIABLE}{kind};{subtype};{value}")
}

/// What parts begin with that are values.
const VARIABLE: &str = "var:";

/// What may stand between angle brackets in a quoted string (H.248.1 B.2).
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ',' => clean.push_str("%2c"),
            '"' | '<' | '>' => {}
            ' '..='~' => clean.push(letter),
            _ => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_between_commas() {
        let parts = [
            "file:///a,b.wav".to_owned(),
            variable("date", "ymd", "20261121"),
        ];
        assert_eq!(
            announcement(&parts, "de"),
            "<file:///a%2cb.wav>,<var:date;ymd;20261121;de>"
        );
        assert_eq!(announcement(&["<\"x\n".to_owned()], ""), "<x>");
    }
}
