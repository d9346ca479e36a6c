//! The one pass over a head that finds its lines.

use crate::limits::{HEADERS_MAX, LINE_BYTES_MAX};
use crate::scan::{is_blank, is_token};
use crate::span::Span;
use crate::{HeaderName, Malformed, Method};
use simd::{BLOCK, find, matches};

/// Header lines that an index has room for before it grows: what an IMS INVITE has.
pub(crate) const LINES_USUAL: usize = 32;

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
    /// In a draft: the line stands in the draft's own text, not in that of its source.
    pub(crate) is_own: bool,
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
    /// First octet of the body.
    pub(crate) body: u16,
    pub(crate) names: Names,
    pub(crate) lines: Vec<Line>,
}

/// The names that occur: the place of the first line of each, and one bit for each that occurs more
/// than once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    /// One more than the place, 0 for a name that does not occur. From [`FIRST_MAX`] on the line
    /// stands there or later.
    first: [u8; 128],
    repeated: u128,
}

/// Last place that [`Names`] tells exactly.
const FIRST_MAX: usize = u8::MAX as usize - 1;

impl Default for Names {
    fn default() -> Names {
        Names {
            first: [0; 128],
            repeated: 0,
        }
    }
}

impl Names {
    /// Notes the line at place `at`; lines come in their order.
    #[inline]
    pub(crate) fn add(&mut self, name: HeaderName, at: usize) {
        let first = &mut self.first[name as usize % 128];
        if *first == 0 {
            *first = 1 + at.min(FIRST_MAX) as u8;
        } else {
            self.repeated |= name.bit();
        }
    }

    #[inline]
    pub(crate) fn has(&self, name: HeaderName) -> bool {
        self.first[name as usize % 128] != 0
    }

    #[inline]
    pub(crate) fn is_repeated(&self, name: HeaderName) -> bool {
        self.repeated & name.bit() != 0
    }
}

impl Index {
    /// The first line of this name.
    #[inline]
    pub(crate) fn first(&self, name: HeaderName) -> Option<&Line> {
        let at = usize::from(self.names.first[name as usize % 128]).checked_sub(1)?;
        let line = self.lines.get(at)?;
        if line.name == name {
            return Some(line);
        }
        self.lines[at..].iter().find(|line| line.name == name)
    }

    /// The lines among which all of this name are, from the first of them on.
    #[inline]
    pub(crate) fn lines_from(&self, name: HeaderName) -> &[Line] {
        let Some(at) = usize::from(self.names.first[name as usize % 128]).checked_sub(1) else {
            return &[];
        };
        let lines = self.lines.get(at..).unwrap_or_default();
        match at < FIRST_MAX && !self.names.is_repeated(name) {
            true => lines.get(..1).unwrap_or_default(),
            false => lines,
        }
    }
}

impl Index {
    /// Leaves out the lines that are no UTF-8, in a head that is none, and overwrites in it what is
    /// none. Returns where that starts.
    #[cold]
    pub(crate) fn drop_unreadable(&mut self, head: &mut [u8]) -> usize {
        let readable = |span: Span| std::str::from_utf8(&head[span.range()]).is_ok();
        self.lines.retain(|line| readable(line.span));
        self.names = Names::default();
        for (at, line) in self.lines.iter().enumerate() {
            self.names.add(line.name, at);
        }
        match &mut self.start {
            Start::Request { uri: text, .. } | Start::Response { reason: text, .. } => {
                if !readable(*text) {
                    *text = Span::default();
                }
            }
        }
        let mut start = head.len();
        let mut at = 0;
        while let Err(error) = std::str::from_utf8(&head[at..]) {
            let from = at + error.valid_up_to();
            start = start.min(from);
            at = error.error_len().map_or(head.len(), |len| from + len);
            head[from..at].fill(b'?');
        }
        start
    }
}

/// The first fault and where it stands.
pub(crate) type Found = Option<(Malformed, usize)>;

/// Indexes a head. Folds become blanks in `bytes` (RFC 3261 7.3.1), so that every value is one run
/// of octets.
///
/// A faulty line is left out and the first fault returned beside the index of the rest; there is no
/// index when not even the kind of the start line can be told. `bytes` holds at most
/// `MESSAGE_BYTES_MAX` octets. That they are text is left to [`Index::drop_unreadable`].
pub(crate) fn index(bytes: &mut [u8]) -> (Option<Index>, Found) {
    let mut found = None;
    let mut ends = Ends::default();
    let Some((start_end, _)) = ends.line_end(bytes, &mut found) else {
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
        body: 0,
        names: Names::default(),
        lines: Vec::with_capacity(LINES_USUAL),
    };
    index.body = header_lines(bytes, &mut ends, &mut index, &mut found);
    (Some(index), found)
}

/// Indexes the lines after the start line, which `ends` has passed. Returns where the body starts.
fn header_lines(bytes: &mut [u8], ends: &mut Ends, index: &mut Index, found: &mut Found) -> u16 {
    let mut at = usize::from(index.start_end);
    loop {
        if bytes[at..].starts_with(b"\r\n") {
            return Span::within(0, at + 2).end;
        }
        let Some((mut end, mut clean)) = ends.line_end(bytes, found) else {
            note(found, Malformed::Unterminated, bytes.len());
            return Span::within(0, bytes.len()).end;
        };
        while bytes.get(end).is_some_and(|&byte| is_blank(byte)) {
            let Some((next, next_clean)) = unfold(bytes, end, ends, found) else {
                note(found, Malformed::Unterminated, bytes.len());
                return Span::within(0, bytes.len()).end;
            };
            (end, clean) = (next, clean && next_clean);
        }
        let usual = if clean && end - at <= LINE_BYTES_MAX {
            usual_line(bytes, at, end)
        } else {
            None
        };
        if let Some(line) = usual.or_else(|| any_line(bytes, at, end, clean, found)) {
            if index.lines.len() == HEADERS_MAX {
                note(found, Malformed::TooManyHeaders, at);
            } else {
                index.names.add(line.name, index.lines.len());
                index.lines.push(line);
            }
        }
        at = end;
    }
}

fn note(found: &mut Found, fault: Malformed, at: usize) {
    found.get_or_insert((fault, at));
}

/// Walks over the line ends of a text, a block at a time.
#[derive(Default)]
struct Ends {
    /// First octet after the block that the masks tell of.
    next: usize,
    /// LFs of that block that follow a CR and have not been walked over; its first octet is the
    /// lowest bit.
    ends: u64,
    /// CRs and LFs of that block that stand alone and have not been walked over.
    lone: u64,
}

impl Ends {
    /// Offset after the CRLF that ends the line, and whether no lone CR or LF stands before it;
    /// `None` when no CRLF comes.
    #[inline]
    fn line_end(&mut self, bytes: &[u8], found: &mut Found) -> Option<(usize, bool)> {
        let mut clean = true;
        while self.ends == 0 {
            clean &= self.pass_lone(u64::MAX, found);
            self.load(bytes)?;
        }
        let bit = self.ends.trailing_zeros();
        if self.lone != 0 {
            clean &= self.pass_lone((1 << bit) - 1, found);
        }
        self.ends &= self.ends - 1;
        Some((self.next - BLOCK + bit as usize + 1, clean))
    }

    /// Notes the lone ones among the octets that `mask` picks. True when there is none.
    fn pass_lone(&mut self, mask: u64, found: &mut Found) -> bool {
        let passed = self.lone & mask;
        self.lone &= !mask;
        if passed == 0 {
            return true;
        }
        let at = self.next - BLOCK + passed.trailing_zeros() as usize;
        note(found, Malformed::LineEnd, at);
        false
    }

    /// Looks at the next block; `None` when there is none.
    #[inline]
    fn load(&mut self, bytes: &[u8]) -> Option<()> {
        let rest = bytes.get(self.next..)?;
        let (cr, lf) = match rest.first_chunk() {
            Some(block) => (matches(block, b'\r'), matches(block, b'\n')),
            None => last_block(rest)?,
        };
        let cr_before = self.next > 0 && bytes[self.next - 1] == b'\r';
        let lf_after = rest.get(BLOCK) == Some(&b'\n');
        self.ends = lf & (cr << 1 | u64::from(cr_before));
        self.lone = lf & !self.ends | cr & !(lf >> 1 | u64::from(lf_after) << (BLOCK - 1));
        self.next += BLOCK;
        Some(())
    }
}

/// The CRs and LFs of what is left of a text, less than a block; `None` when nothing is.
#[cold]
fn last_block(rest: &[u8]) -> Option<(u64, u64)> {
    let mut block = [0; BLOCK];
    block.get_mut(..rest.len())?.copy_from_slice(rest);
    (!rest.is_empty()).then(|| (matches(&block, b'\r'), matches(&block, b'\n')))
}

/// Makes blanks of the CRLF before `from`. Returns as [`Ends::line_end`] for the line that goes on
/// there.
#[cold]
fn unfold(
    bytes: &mut [u8],
    from: usize,
    ends: &mut Ends,
    found: &mut Found,
) -> Option<(usize, bool)> {
    bytes[from - 2..from].fill(b' ');
    ends.line_end(bytes, found)
}

/// The line from `at` to `end`, its CRLF included, when it is as nearly all are: a name that is
/// known, the colon, one blank, and a value that is not empty and neither starts nor ends with
/// blanks.
#[inline]
fn usual_line(bytes: &[u8], at: usize, end: usize) -> Option<Line> {
    let (name, colon) = HeaderName::before_colon(bytes[at..].first_chunk()?)?;
    let from = at + colon + 2;
    let first = *bytes.get(from)?;
    let last = *bytes.get(end - 3)?;
    if from + 2 >= end || bytes[from - 1] != b' ' || first <= b' ' || last <= b' ' {
        return None;
    }
    Some(Line {
        span: Span::within(at, end),
        value: Span::within(from, end - 2),
        name_len: colon as u16,
        name,
        is_own: false,
    })
}

/// The line from `at` to `end`, its CRLF included, when it is one.
#[inline(never)]
fn any_line(bytes: &[u8], at: usize, end: usize, clean: bool, found: &mut Found) -> Option<Line> {
    let text = &bytes[at..end - 2];
    let Some((name, name_len, colon)) = name(text) else {
        note(found, Malformed::HeaderLine, at);
        return None;
    };
    if text.len() > LINE_BYTES_MAX {
        note(found, Malformed::LineTooLong, at);
        return None;
    }
    let (from, to) = value(text, colon + 1);
    let line = Line {
        span: Span::within(at, end),
        value: Span::within(at + from, at + to),
        name_len: Span::new(0, name_len).end,
        name,
        is_own: false,
    };
    clean.then_some(line)
}

/// The value without the blanks around it, which starts at `from` or after.
fn value(line: &[u8], mut from: usize) -> (usize, usize) {
    let mut to = line.len();
    while to > from && is_blank(line[to - 1]) {
        to -= 1;
    }
    while from < to && is_blank(line[from]) {
        from += 1;
    }
    (from, to)
}

/// `token HCOLON`: the name, its length, and the offset of the colon. A name that is known is a
/// token.
#[inline]
fn name(line: &[u8]) -> Option<(HeaderName, usize, usize)> {
    let colon = find(line, b':')?;
    let mut text = &line[..colon];
    while let [name @ .., b' ' | b'\t'] = text {
        text = name;
    }
    let len = text.len();
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
    let blank = find(line, b' ');
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
    let is_sip = line.get(..4)?.eq_ignore_ascii_case(b"SIP/");
    let blank = is_sip.then(|| find(line, b' ')).flatten()?;
    let (version, rest) = line.split_at_checked(blank)?;
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
