//! The one pass over a head that finds its lines.

use crate::limits::{HEADERS_MAX, LINE_BYTES_MAX};
use crate::scan::{find, is_blank, is_token};
use crate::span::Span;
use crate::{HeaderName, Malformed, Method};
use memchr::memchr2;
use smallvec::SmallVec;

/// Header lines that an index holds without a second allocation.
const LINES_INLINE: usize = 32;

/// Lines of a head in the order they came.
pub(crate) type Lines = SmallVec<[Line; LINES_INLINE]>;

/// One header field line. Offsets count from the first octet of the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// The whole line, its CRLF included.
    pub(crate) span: Span,
    /// The value without the blanks around it.
    pub(crate) value: Span,
    /// Octets of the name, which starts the line.
    pub(crate) name_len: u16,
    /// The name.
    pub(crate) name: HeaderName,
}

impl Line {
    pub(crate) fn name_span(self) -> Span {
        let start = usize::from(self.span.start);
        Span::new(start, start + usize::from(self.name_len))
    }
}

/// What the start line says.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Request { method: Method, uri: Span },
    Response { status: u16, reason: Span },
}

/// Where everything of a message stands.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) start: Start,
    /// End of the start line, its CRLF included.
    pub(crate) start_end: u16,
    /// End of the last header line; the empty line follows.
    pub(crate) lines_end: u16,
    /// First octet of the body.
    pub(crate) body: u16,
    pub(crate) names: Names,
    pub(crate) lines: Lines,
}

/// Sets of names, one bit each: those that occur, and those that occur more than once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Names {
    present: u128,
    repeated: u128,
}

impl Names {
    #[inline]
    pub(crate) fn add(&mut self, name: HeaderName) {
        self.repeated |= self.present & name.bit();
        self.present |= name.bit();
    }

    pub(crate) fn has(self, name: HeaderName) -> bool {
        self.present & name.bit() != 0
    }

    pub(crate) fn is_repeated(self, name: HeaderName) -> bool {
        self.repeated & name.bit() != 0
    }
}

/// The first fault and where it stands.
pub(crate) type Found = Option<(Malformed, usize)>;

/// Indexes a head. Folds become blanks in `bytes` (RFC 3261 7.3.1), so that every value is one run
/// of octets.
///
/// A faulty line is left out and the first fault returned beside the index of the rest; there is no
/// index when not even the kind of the start line can be told. `bytes` holds at most
/// `MESSAGE_BYTES_MAX` octets.
pub(crate) fn index(bytes: &mut [u8]) -> (Option<Index>, Found) {
    let mut found = None;
    let Some((start_end, _)) = line_end(bytes, 0, &mut found) else {
        return (None, found.or(Some((Malformed::Unterminated, bytes.len()))));
    };
    let Some(start) = start_line(&bytes[..start_end - 2], &mut found) else {
        return (None, found);
    };
    if start_end > LINE_BYTES_MAX {
        note(&mut found, Malformed::LineTooLong, 0);
    }
    let mut index = Index {
        start,
        start_end: Span::new(0, start_end).end,
        lines_end: 0,
        body: 0,
        names: Names::default(),
        lines: Lines::new(),
    };
    let mut at = start_end;
    loop {
        if bytes[at..].starts_with(b"\r\n") {
            index.lines_end = Span::new(0, at).end;
            index.body = Span::new(0, at + 2).end;
            break;
        }
        let Some((end, line)) = header_line(bytes, at, &mut found) else {
            note(&mut found, Malformed::Unterminated, bytes.len());
            index.lines_end = Span::new(0, at).end;
            index.body = Span::new(0, bytes.len()).end;
            break;
        };
        if let Some(line) = line {
            if index.lines.len() == HEADERS_MAX {
                note(&mut found, Malformed::TooManyHeaders, at);
            } else {
                index.names.add(line.name);
                index.lines.push(line);
            }
        }
        at = end;
    }
    let head = &bytes[..usize::from(index.body)];
    if !head.is_ascii() {
        refuse_other_than_utf8(head, &mut index, &mut found);
    }
    (Some(index), found)
}

fn note(found: &mut Found, fault: Malformed, at: usize) {
    found.get_or_insert((fault, at));
}

#[cold]
fn refuse_other_than_utf8(head: &[u8], index: &mut Index, found: &mut Found) {
    let Err(error) = std::str::from_utf8(head) else {
        return;
    };
    note(found, Malformed::Utf8, error.valid_up_to());
    let readable = |span: Span| std::str::from_utf8(&head[span.range()]).is_ok();
    index.lines.retain(|line| readable(line.span));
    index.names = Names::default();
    for line in &index.lines {
        index.names.add(line.name);
    }
    match &mut index.start {
        Start::Request { uri: text, .. } | Start::Response { reason: text, .. } => {
            if !readable(*text) {
                *text = Span::default();
            }
        }
    }
}

/// Offset after the CRLF that ends the line at `from`, and whether no lone CR or LF stands before
/// it; `None` when no CRLF comes.
#[inline]
fn line_end(bytes: &[u8], from: usize, found: &mut Found) -> Option<(usize, bool)> {
    let mut at = from;
    let mut clean = true;
    loop {
        at += memchr2(b'\r', b'\n', bytes.get(at..)?)?;
        if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') {
            return Some((at + 2, clean));
        }
        clean = false;
        note(found, Malformed::LineEnd, at);
        at += 1;
    }
}

/// The line at `at`: the offset after it, and the line when it is one. `None` when no CRLF ends it.
#[inline]
fn header_line(bytes: &mut [u8], at: usize, found: &mut Found) -> Option<(usize, Option<Line>)> {
    let (mut end, mut clean) = line_end(bytes, at, found)?;
    while bytes.get(end).is_some_and(|&byte| is_blank(byte)) {
        bytes[end - 2..end].fill(b' ');
        let (next, next_clean) = line_end(bytes, end, found)?;
        (end, clean) = (next, clean && next_clean);
    }
    let text = &bytes[at..end - 2];
    let Some((name, name_len, colon)) = name(text) else {
        note(found, Malformed::HeaderLine, at);
        return Some((end, None));
    };
    if text.len() > LINE_BYTES_MAX {
        note(found, Malformed::LineTooLong, at);
        clean = false;
    }
    let mut from = colon + 1;
    let mut to = text.len();
    while from < to && is_blank(text[from]) {
        from += 1;
    }
    while to > from && is_blank(text[to - 1]) {
        to -= 1;
    }
    let line = Line {
        span: Span::new(at, end),
        value: Span::new(at + from, at + to),
        name_len: Span::new(0, name_len).end,
        name,
    };
    Some((end, clean.then_some(line)))
}

/// `token HCOLON`: the name, its length, and the offset of the colon. A name that is known is a
/// token.
#[inline]
fn name(line: &[u8]) -> Option<(HeaderName, usize, usize)> {
    let colon = find(line, b':')?;
    let mut len = colon;
    while len > 0 && is_blank(line[len - 1]) {
        len -= 1;
    }
    let text = &line[..len];
    match HeaderName::of(text) {
        HeaderName::Other if !is_token(text) => None,
        name => Some((name, len, colon)),
    }
}

/// Request-Line or Status-Line (RFC 3261 7.1, 7.2), without its CRLF.
///
/// A request line with a fault yields its method and whatever stands between the first and the last
/// blank.
fn start_line(line: &[u8], found: &mut Found) -> Option<Start> {
    if let Some(start) = status_line(line, found) {
        return start;
    }
    let blank = line.iter().position(|&byte| byte == b' ');
    let method = blank.and_then(|blank| std::str::from_utf8(&line[..blank]).ok());
    let (Some(blank), Some(method)) = (blank, method.and_then(Method::parse)) else {
        note(found, Malformed::StartLine, 0);
        return None;
    };
    let last = line.iter().rposition(|&byte| byte == b' ').unwrap_or(blank);
    let version = &line[last + 1..];
    let uri = if last > blank {
        Span::new(blank + 1, last)
    } else {
        Span::default()
    };
    if !is_request_uri(&line[uri.range()]) {
        note(found, Malformed::StartLine, blank + 1);
    }
    match version_of(version) {
        Version::Ours => {}
        Version::Another => note(found, Malformed::Version, last + 1),
        Version::None => note(found, Malformed::StartLine, last + 1),
    }
    Some(Start::Request { method, uri })
}

/// `None` when the line is no status line at all, `Some(None)` when it is a hopeless one.
fn status_line(line: &[u8], found: &mut Found) -> Option<Option<Start>> {
    let (version, rest) = line.split_at_checked(line.iter().position(|&byte| byte == b' ')?)?;
    match version_of(version) {
        Version::None => return None,
        Version::Another => note(found, Malformed::Version, 0),
        Version::Ours => {}
    }
    let code = rest
        .get(1..4)
        .filter(|code| code.iter().all(u8::is_ascii_digit));
    let (Some(code), Some(b' ')) = (code, rest.get(4)) else {
        note(found, Malformed::StartLine, version.len() + 1);
        return Some(None);
    };
    let status = code
        .iter()
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    if !(100..700).contains(&status) {
        note(found, Malformed::StartLine, version.len() + 1);
        return Some(None);
    }
    Some(Some(Start::Response {
        status,
        reason: Span::new(version.len() + 5, line.len()),
    }))
}

/// Something visible without the delimiters that never stand in a URI: what may be a Request-URI of
/// whatever scheme.
pub(crate) fn is_request_uri(text: &[u8]) -> bool {
    let plain = |&byte: &u8| byte > b' ' && byte != 0x7f && !matches!(byte, b'<' | b'>' | b'"');
    !text.is_empty() && text.iter().all(plain)
}

enum Version {
    Ours,
    Another,
    None,
}

/// `SIP/2.0` in any case (RFC 3261 7.1), another version of SIP, or neither.
fn version_of(text: &[u8]) -> Version {
    if text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Version::Ours;
    }
    let is_sip = text
        .get(..4)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"));
    let mut digits = text
        .get(4..)
        .unwrap_or_default()
        .split(|&byte| byte == b'.');
    let number = |part: Option<&[u8]>| {
        part.is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
    };
    if is_sip && number(digits.next()) && number(digits.next()) && digits.next().is_none() {
        return Version::Another;
    }
    Version::None
}
