//! Bodies of one or several parts (RFC 2046 5.1, RFC 5621).

use sip::Message;
use sip::header::ContentType;

/// Parts that a body may have.
pub const PARTS_MAX: usize = 8;

/// One part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// `application/sdp`, in lower case.
    pub kind: String,
    /// What it holds.
    pub content: &'a [u8],
}

/// The parts of a message's body: one, or those of a multipart body. `None` where it cannot be
/// taken apart.
pub fn parts(message: &Message) -> Option<Vec<Part<'_>>> {
    let body = message.body();
    if body.is_empty() {
        return Some(Vec::new());
    }
    let kind = message.content_type().ok()??;
    if !kind.main.eq_ignore_ascii_case("multipart") {
        return Some(vec![Part {
            kind: name(&kind),
            content: body,
        }]);
    }
    let boundary = kind.params.get("boundary")?;
    let boundary = boundary.trim_matches('"');
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    split(body, boundary)
}

fn name(kind: &ContentType<'_>) -> String {
    format!("{}/{}", kind.main, kind.sub).to_ascii_lowercase()
}

fn split<'a>(body: &'a [u8], boundary: &str) -> Option<Vec<Part<'a>>> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut rest = &body[find(body, delimiter.as_bytes())? + delimiter.len()..];
    // Ends at `--boundary--`, or where the body does.
    while !rest.starts_with(b"--") {
        let start = find(rest, b"\n")? + 1;
        rest = &rest[start..];
        let closing = format!("\n{delimiter}");
        let end = find(rest, closing.as_bytes())?;
        if parts.len() == PARTS_MAX {
            return None;
        }
        parts.push(part(
            rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]),
        )?);
        rest = &rest[end + closing.len()..];
    }
    Some(parts)
}

fn part(text: &[u8]) -> Option<Part<'_>> {
    let (mut kind, mut rest) = ("text/plain".to_owned(), text);
    loop {
        let end = find(rest, b"\n")?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        if line.is_empty() {
            return Some(Part {
                kind,
                content: rest,
            });
        }
        let line = std::str::from_utf8(line).ok()?;
        if let Some((header, value)) = line.split_once(':')
            && header.trim().eq_ignore_ascii_case("content-type")
        {
            kind = name(&ContentType::parse(value.trim()).ok()?);
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::{Draft, Method};

    fn message(kind: &str, body: &str) -> Message {
        let mut draft = Draft::request(&Method::Invite, "sip:a@b.test");
        draft.set_body(kind, body.as_bytes());
        draft.finish().unwrap()
    }

    #[test]
    fn one_part_and_several_are_told_apart() {
        let single = message("Application/SDP", "v=0\r\n");
        let found = parts(&single).unwrap();
        assert_eq!(
            (found.len(), found[0].kind.as_str()),
            (1, "application/sdp")
        );
        let text = "preamble\r\n--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b1\r\n\
                    content-type: application/msml+xml\r\nX: y\r\n\r\n<msml/>\r\n--b1--\r\n";
        let several = message("multipart/mixed;boundary=\"b1\"", text);
        let found = parts(&several).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].content, b"v=0\r\n");
        assert_eq!(found[1].kind, "application/msml+xml");
        assert_eq!(found[1].content, b"<msml/>");
    }

    #[test]
    fn what_cannot_be_taken_apart_is_refused_at_every_length() {
        let text = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--";
        for end in 1..text.len() {
            let cut = message("multipart/mixed;boundary=b", &text[..end]);
            let _ = parts(&cut);
        }
        let endless = message("multipart/mixed;boundary=b", &"--b\r\n\r\nx\r\n".repeat(9));
        assert_eq!(parts(&endless), None);
        assert_eq!(parts(&message("multipart/mixed", text)), None);
    }
}
