//! What people type, as transactions.

use ::h248::message::ActionRequest;
use ::h248::text;

use crate::failure::Failure;

/// The longest transaction taken; no message may be longer.
const TEXT_BYTES_MAX: usize = text::MESSAGE_LEN_MAX;

/// Something to send.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// Actions for a transaction of ours.
    Actions(Vec<ActionRequest>),
    /// A whole message, to be sent as it stands.
    Message(Vec<u8>),
}

/// Puts lines together until the braces close.
#[derive(Debug, Default)]
pub struct Reader {
    text: String,
}

impl Reader {
    /// True in the middle of a transaction.
    pub fn is_open(&self) -> bool {
        !self.text.trim().is_empty()
    }

    /// Takes a line; returns the transaction that it completes.
    pub fn push(&mut self, line: &str) -> Result<Option<Statement>, Failure> {
        let is_comment = self.text.is_empty() && line.trim_start().starts_with(';');
        if is_comment || (self.text.is_empty() && line.trim().is_empty()) {
            return Ok(None);
        }
        self.text.push_str(line);
        self.text.push_str("\r\n");
        if self.text.len() > TEXT_BYTES_MAX {
            self.text.clear();
            return Err(Failure::new(format!("longer than {TEXT_BYTES_MAX} octets")));
        }
        let (depth, seen) = braces(&self.text);
        // More actions follow a comma, and a message begins with a line without braces.
        if depth > 0 || !seen || self.text.trim_end().ends_with(',') {
            return Ok(None);
        }
        self.finish()
    }

    /// The rest, when there is one.
    pub fn finish(&mut self) -> Result<Option<Statement>, Failure> {
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            Ok(None)
        } else {
            statement(text.trim()).map(Some)
        }
    }
}

/// How many braces are open at the end, and whether there was one at all. Quoted strings and
/// escaped braces do not count.
fn braces(text: &str) -> (i64, bool) {
    let (mut depth, mut seen, mut quoted) = (0_i64, false, false);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' if !quoted => {
                depth += 1;
                seen = true;
            }
            '}' if !quoted && before != '\\' => depth -= 1,
            _ => {}
        }
        before = c;
    }
    (depth, seen)
}

fn statement(text: &str) -> Result<Statement, Failure> {
    let word: String = text
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let actions = match word.to_ascii_lowercase().as_str() {
        "megaco" | "authentication" => return Ok(Statement::Message(text.as_bytes().to_vec())),
        "" if text.starts_with('!') => return Ok(Statement::Message(text.as_bytes().to_vec())),
        "context" | "c" => text.to_owned(),
        "transaction" | "t" => within_braces(text)?.to_owned(),
        _ => format!("Context = - {{ {text} }}"),
    };
    text::parse_actions(actions.as_bytes())
        .map(Statement::Actions)
        .map_err(|fault| {
            let line = actions
                .lines()
                .nth(fault.line.saturating_sub(1))
                .unwrap_or_default();
            Failure::new("not sent")
                .because(fault)
                .remedy(format!("The line reads: {}", line.trim_end()))
        })
}

fn within_braces(text: &str) -> Result<&str, Failure> {
    text.split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'))
        .map(|(inside, _)| inside)
        .ok_or_else(|| Failure::new("not sent: a transaction has braces"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use h248::message::{Command, ContextId};

    fn read(text: &str) -> Vec<Statement> {
        let mut reader = Reader::default();
        let mut statements: Vec<Statement> = text
            .lines()
            .filter_map(|line| reader.push(line).expect("valid"))
            .collect();
        statements.extend(reader.finish().expect("valid"));
        statements
    }

    #[test]
    fn a_bare_command_is_for_the_null_context() {
        let [Statement::Actions(actions)] = &read("AuditValue = ROOT { Audit { Packages } }")[..]
        else {
            panic!("one transaction");
        };
        assert_eq!(actions[0].context, ContextId::Null);
        assert!(matches!(
            actions[0].commands[0].command,
            Command::AuditValue(_)
        ));
    }

    #[test]
    fn transactions_end_where_their_braces_close() {
        let text = "; two of them\nContext = 1 {\n Subtract = *\n},\nContext = 2 { Subtract = * }\n\n\
                    Transaction = 9 { Context = 3 { Subtract = * } }\n";
        let statements = read(text);
        assert_eq!(statements.len(), 2);
        assert!(matches!(&statements[0], Statement::Actions(actions) if actions.len() == 2));
        assert!(matches!(&statements[1], Statement::Actions(actions) if actions.len() == 1));
    }

    #[test]
    fn a_whole_message_goes_as_it_stands() {
        let text = "MEGACO/3 [127.0.0.1]:2944\nTransaction = 1 { nonsense }";
        assert!(matches!(&read(text)[..], [Statement::Message(_)]));
        assert!(matches!(
            &read("!/3 [127.0.0.1] T=1{C=-{AV=ROOT}}")[..],
            [Statement::Message(_)]
        ));
    }

    #[test]
    fn what_is_wrong_is_not_sent_and_the_place_is_named() {
        let mut reader = Reader::default();
        let failure = reader
            .push("Context = 1 { Sbtract = * }")
            .expect_err("refused")
            .to_string();
        assert!(
            failure.contains("line 1") && failure.contains("Sbtract"),
            "{failure}"
        );
        assert!(!reader.is_open());
    }

    #[test]
    fn braces_in_quotes_and_escaped_ones_do_not_count() {
        assert_eq!(braces("a { \"}\" \\} "), (1, true));
        assert_eq!(braces("none"), (0, false));
    }
}
