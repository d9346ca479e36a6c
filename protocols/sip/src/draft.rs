//! Edits of a message, and messages made from parts.

use crate::header::{NameAddr, Params, print_date};
use crate::index::{Index, LINES_USUAL, Line, Names, Start, is_request_uri};
use crate::limits::{HEADERS_MAX, LINE_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::scan::{is_token, split_outside, trim};
use crate::span::Span;
use crate::{EditError, HeaderName, Invalid, Message, Method, Why, reason_phrase};
use memchr::memchr2;
use smallvec::SmallVec;

/// Max-Forwards of a request that has none (RFC 3261 8.1.1.6, 16.6 step 3).
pub const MAX_FORWARDS: u8 = 70;

/// Octets of a start line beside method and Request-URI, or reason.
const START_LINE_REST: usize = 16;

/// Room for the lines that an edit adds.
const LINES_ADDED: usize = 4;

/// Octets reserved with the first line of its own: what a proxy adds.
const OWN_BYTES: usize = 512;

/// A message being written: the lines of another one, kept, cut or replaced, and lines of its own.
///
/// Edits apply in the order they are called. The first one that cannot be made is remembered and
/// the others are passed over, so that calls chain; [`Draft::finish`] returns it. Lines that no
/// edit touches are copied octet for octet, in runs, and what no edit has touched at all is the
/// message it was. [`Draft::finish`] writes Content-Length where it is wrong or missing.
///
/// ```
/// use sip::{HeaderName, Message};
/// # let request = Message::parse(
/// #     "OPTIONS sip:b@b.test SIP/2.0\r\nVia: SIP/2.0/UDP a.test;branch=z9hG4bK1\r\n\
/// #     Route: <sip:p.test;lr>, <sip:q.test;lr>\r\nMax-Forwards: 70\r\n\r\n",
/// # )
/// # .unwrap();
/// let forwarded = request
///     .edit()
///     .remove_first_value(HeaderName::Route)
///     .decrement_max_forwards()
///     .push_front(HeaderName::Via, "SIP/2.0/UDP p.test;branch=z9hG4bK2")
///     .finish()
///     .unwrap();
/// assert_eq!(forwarded.header(HeaderName::Route), Some("<sip:q.test;lr>"));
/// assert_eq!(forwarded.vias().count(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Draft {
    source: Option<Message>,
    start: Option<(String, Start)>,
    /// None before the first edit of a line: they are the source's.
    lines: Option<Vec<Line>>,
    /// Text of the lines that the source does not have.
    own: Vec<u8>,
    body: Body,
    fault: Option<EditError>,
}

#[derive(Clone, Debug)]
enum Body {
    Source,
    Own(Vec<u8>),
}

impl Message {
    /// Starts an edit of this message.
    pub fn edit(&self) -> Draft {
        Draft {
            source: Some(self.clone()),
            start: None,
            lines: None,
            own: Vec::new(),
            body: Body::Source,
            fault: None,
        }
    }

    /// Starts the response to this request (RFC 3261 8.2.6): Via, From, To, Call-ID and CSeq
    /// copied, and Timestamp into a 100. An empty `reason` becomes the usual one.
    ///
    /// A response other than 100 wants [`Draft::to_tag`]; one that creates a dialog
    /// [`Draft::copy`] of Record-Route.
    pub fn response(&self, status: u16, reason: &str) -> Draft {
        use HeaderName::{CSeq, CallId, From, Timestamp, To, Via};
        let mut draft = Draft::empty(Some(self.clone()));
        for name in [Via, From, To, CallId, CSeq] {
            draft.copy(name);
        }
        if status == 100 {
            draft.copy(Timestamp);
        }
        draft.set_status(status, reason);
        draft
    }
}

impl Draft {
    /// A request from parts: nothing but the request line.
    pub fn request(method: &Method, uri: &str) -> Draft {
        let mut draft = Draft::empty(None);
        draft.set_request_line(method, uri);
        draft
    }

    /// The CANCEL of a request as it was sent (RFC 3261 9.1).
    ///
    /// Request-URI, Call-ID, From, To, Route and the number of CSeq are those of `request`, Via its
    /// topmost.
    pub fn cancel(request: &Message) -> Draft {
        let mut draft = Draft::hop(request, &Method::Cancel);
        draft.copy(HeaderName::To);
        draft
    }

    /// The ACK of a final response other than 2xx, to the INVITE as it was sent (RFC 3261
    /// 17.1.1.3).
    ///
    /// As [`Draft::cancel`], but To is that of the response.
    pub fn ack(invite: &Message, response: &Message) -> Draft {
        let mut draft = Draft::hop(invite, &Method::Ack);
        match response.header(HeaderName::To) {
            Some(to) => draft.append(HeaderName::To, to),
            None => draft.refuse(EditError::Source(Invalid::header(
                HeaderName::To,
                Why::Missing,
            ))),
        };
        draft
    }

    /// What CANCEL and ACK have in common.
    fn hop(request: &Message, method: &Method) -> Draft {
        let mut draft = Draft::empty(Some(request.clone()));
        draft.set_request_line(method, request.request_uri());
        match (request.values(HeaderName::Via).next(), request.cseq()) {
            (Some(via), Ok(cseq)) => {
                draft.append(HeaderName::Via, via);
                draft.copy(HeaderName::Route);
                draft.append(HeaderName::MaxForwards, &MAX_FORWARDS.to_string());
                draft.copy(HeaderName::From);
                draft.copy(HeaderName::CallId);
                draft.append(HeaderName::CSeq, &format!("{} {method}", cseq.number));
            }
            (None, _) => {
                let missing = Invalid::header(HeaderName::Via, Why::Missing);
                draft.refuse(EditError::Source(missing));
            }
            (_, Err(invalid)) => {
                draft.refuse(EditError::Source(invalid));
            }
        }
        draft
    }

    fn empty(source: Option<Message>) -> Draft {
        Draft {
            source,
            start: None,
            lines: Some(Vec::with_capacity(LINES_USUAL)),
            own: Vec::new(),
            body: Body::Own(Vec::new()),
            fault: None,
        }
    }

    fn refuse(&mut self, fault: EditError) -> &mut Draft {
        self.fault.get_or_insert(fault);
        self
    }

    /// Writes the request line anew.
    pub fn set_request_line(&mut self, method: &Method, uri: &str) -> &mut Draft {
        let bad = !is_token(method.as_str().as_bytes()) || !is_request_uri(uri.as_bytes());
        if bad || method.as_str().len() + uri.len() + START_LINE_REST > LINE_BYTES_MAX {
            return self.refuse(EditError::StartLine);
        }
        let from = method.as_str().len() + 1;
        let start = Start::Request {
            method: method.clone(),
            uri: Span::new(from, from + uri.len()),
        };
        self.start = Some((format!("{method} {uri} SIP/2.0\r\n"), start));
        self
    }

    /// Replaces the Request-URI.
    pub fn set_request_uri(&mut self, uri: &str) -> &mut Draft {
        let method = match (&self.start, &self.source) {
            (Some((_, Start::Request { method, .. })), _) => Some(method.clone()),
            (None, Some(source)) => source.method().cloned(),
            _ => None,
        };
        match method {
            Some(method) => self.set_request_line(&method, uri),
            None => self.refuse(EditError::StartLine),
        }
    }

    /// Writes the status line anew; an empty `reason` becomes the usual one.
    pub fn set_status(&mut self, status: u16, reason: &str) -> &mut Draft {
        let reason = if reason.is_empty() {
            reason_phrase(status)
        } else {
            reason
        };
        let bad = !(100..700).contains(&status) || !is_value(reason);
        if bad || reason.len() + START_LINE_REST > LINE_BYTES_MAX {
            return self.refuse(EditError::StartLine);
        }
        let line = format!("SIP/2.0 {status} {reason}\r\n");
        let start = Start::Response {
            status,
            reason: Span::new(12, line.len() - 2),
        };
        self.start = Some((line, start));
        self
    }

    /// Status of a response, as the edits so far leave it.
    pub fn status(&self) -> Option<u16> {
        match &self.start {
            Some((_, Start::Response { status, .. })) => Some(*status),
            Some((_, Start::Request { .. })) => None,
            None => self.source.as_ref()?.status(),
        }
    }

    /// The Request-URI, as the edits so far leave it; empty for a response.
    pub fn request_uri(&self) -> &str {
        match &self.start {
            Some((line, Start::Request { uri, .. })) => line.get(uri.range()).unwrap_or_default(),
            Some((_, Start::Response { .. })) => "",
            None => self.source.as_ref().map_or("", Message::request_uri),
        }
    }

    /// Value of the first line of this name, as the edits so far leave it.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.position(name).map(|at| self.value(at))
    }

    /// The first of the comma-separated values of this name, as the edits so far leave it.
    pub fn first_value(&self, name: HeaderName) -> Option<&str> {
        let lines = (0..self.lines().len()).filter(|&at| self.lines()[at].name == name);
        let line = lines.map(|at| self.value(at)).find(|line| !line.is_empty());
        Some(trim(split_outside(line?, b',').0))
    }

    /// A new line before the first of its name. Without one: Via stands first, routes and
    /// Max-Forwards after the last Via, everything else at the end.
    pub fn push_front(&mut self, name: HeaderName, value: &str) -> &mut Draft {
        let at = self.position(name).unwrap_or_else(|| self.home(name));
        self.insert(at, name, value)
    }

    /// A new line after the last of its name; without one where [`Draft::push_front`] puts it.
    pub fn append(&mut self, name: HeaderName, value: &str) -> &mut Draft {
        let at = self.after_last(name);
        self.insert(at, name, value)
    }

    /// A new line at the end, of a name that [`HeaderName`] need not know.
    pub fn append_named(&mut self, name: &str, value: &str) -> &mut Draft {
        match HeaderName::parse(name) {
            HeaderName::Other => {
                let at = self.lines().len();
                self.insert_spelled(at, HeaderName::Other, name, value)
            }
            known => self.append(known, value),
        }
    }

    /// Removes every line of this name in any spelling.
    pub fn remove_named(&mut self, name: &str) -> &mut Draft {
        let known = HeaderName::parse(name);
        if known != HeaderName::Other {
            return self.remove_all(known);
        }
        let spelled = |each: &Line| {
            let bytes = if each.is_own {
                &self.own
            } else {
                self.source.as_ref().map_or(&[][..], Message::as_bytes)
            };
            bytes.get(each.name_span().range()).unwrap_or_default()
        };
        let others = |each: &&Line| !spelled(each).eq_ignore_ascii_case(name.as_bytes());
        let lines = self.lines().iter().filter(others).copied().collect();
        self.lines = Some(lines);
        self
    }

    /// Removes the first value of the first line of this name, and the line when it held no other.
    pub fn remove_first_value(&mut self, name: HeaderName) -> &mut Draft {
        let Some(at) = self.position(name) else {
            return self;
        };
        match split_outside(self.value(at), b',')
            .1
            .map(|rest| trim(rest).to_owned())
        {
            Some(rest) => self.overwrite(at, &rest),
            None => {
                self.lines_mut().remove(at);
                self
            }
        }
    }

    /// Removes every line of this name.
    pub fn remove_all(&mut self, name: HeaderName) -> &mut Draft {
        if self.position(name).is_some() {
            self.lines_mut().retain(|each| each.name != name);
        }
        self
    }

    /// One line of this name in the place of all.
    pub fn replace(&mut self, name: HeaderName, value: &str) -> &mut Draft {
        let Some(at) = self.position(name) else {
            return self.append(name, value);
        };
        self.overwrite(at, value);
        let mut index = 0;
        self.lines_mut().retain(|each| {
            index += 1;
            each.name != name || index - 1 == at
        });
        self
    }

    /// All lines of this name that the source has: Record-Route of a request into its response.
    pub fn copy(&mut self, name: HeaderName) -> &mut Draft {
        let Some(source) = &self.source else {
            return self;
        };
        let lines = source.index().lines_from(name).iter();
        let copies: SmallVec<[Line; 8]> = lines.filter(|line| line.name == name).copied().collect();
        let at = self.after_last(name);
        self.lines_mut().splice(at..at, copies);
        self
    }

    /// Adds the tag to To unless it has one.
    pub fn to_tag(&mut self, tag: &str) -> &mut Draft {
        let Some(at) = self.position(HeaderName::To) else {
            let missing = Invalid::header(HeaderName::To, Why::Missing);
            return self.refuse(EditError::Source(missing));
        };
        let to = self.value(at);
        if NameAddr::parse(to).is_ok_and(|to| to.tag().is_some()) {
            return self;
        }
        let value = format!("{to};tag={tag}");
        self.overwrite(at, &value)
    }

    /// Sets a parameter of the topmost Via: `received`, `rport` (RFC 3261 18.2.1, RFC 3581 4).
    pub fn set_top_via_param(&mut self, name: &str, value: &str) -> &mut Draft {
        let missing = EditError::Source(Invalid::header(HeaderName::Via, Why::Missing));
        let Some(at) = self.position(HeaderName::Via) else {
            return self.refuse(missing);
        };
        let line = self.value(at);
        let (via, others) = split_outside(line, b',');
        let (head, _) = split_outside(via, b';');
        let Ok(params) = Params::parse(&via[head.len()..]) else {
            let bad = Invalid::header(HeaderName::Via, Why::Syntax);
            return self.refuse(EditError::Source(bad));
        };
        let mut out = String::with_capacity(line.len() + name.len() + value.len() + 2);
        out.push_str(trim(head));
        let mut written = false;
        for (key, old) in params.iter() {
            let ours = key.eq_ignore_ascii_case(name);
            written |= ours;
            push_param(&mut out, key, if ours { Some(value) } else { old });
        }
        if !written {
            push_param(&mut out, name, Some(value));
        }
        if let Some(others) = others {
            out.push(',');
            out.push_str(others);
        }
        self.overwrite(at, &out)
    }

    /// Date as the second `unix_seconds` after the Unix epoch.
    pub fn set_date(&mut self, unix_seconds: u64) -> &mut Draft {
        self.replace(HeaderName::Date, &print_date(unix_seconds))
    }

    /// Max-Forwards less one, or [`MAX_FORWARDS`] where there is none (RFC 3261 16.6 step 3).
    ///
    /// The caller has answered 483 to one of 0; here it is refused.
    pub fn decrement_max_forwards(&mut self) -> &mut Draft {
        let Some(text) = self.header(HeaderName::MaxForwards) else {
            return self.append(HeaderName::MaxForwards, &MAX_FORWARDS.to_string());
        };
        let less = text.parse::<u8>().map_err(|_| Why::Syntax);
        match less.and_then(|hops| hops.checked_sub(1).ok_or(Why::Range)) {
            Ok(hops) => self.replace(HeaderName::MaxForwards, &hops.to_string()),
            Err(why) => self.refuse(EditError::Source(Invalid::header(
                HeaderName::MaxForwards,
                why,
            ))),
        }
    }

    /// Replaces the body and its Content-Type.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Vec<u8>>) -> &mut Draft {
        self.body = Body::Own(body.into());
        self.replace(HeaderName::ContentType, content_type)
    }

    /// Removes the body and the headers that describe it.
    pub fn remove_body(&mut self) -> &mut Draft {
        use HeaderName::{
            ContentDisposition, ContentEncoding, ContentId, ContentLanguage, ContentType,
        };
        self.body = Body::Own(Vec::new());
        for name in [
            ContentType,
            ContentDisposition,
            ContentEncoding,
            ContentId,
            ContentLanguage,
        ] {
            self.remove_all(name);
        }
        self
    }

    /// The message, its index moved along with its lines.
    ///
    /// # Errors
    /// The first edit that could not be made, or [`EditError::TooLong`].
    pub fn finish(&mut self) -> Result<Message, EditError> {
        self.settle_content_length();
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let source = self.source.as_ref();
        if let (Some(source), None, None, Body::Source) =
            (source, &self.start, &self.lines, &self.body)
        {
            return Ok(source.clone());
        }
        let lines = self.lines();
        let source_bytes = source.map_or(&[][..], Message::as_bytes);
        let (start_text, start) = match (&self.start, source) {
            (Some((text, start)), _) => (text.as_bytes(), start.clone()),
            (None, Some(source)) => {
                let index = source.index();
                (
                    &source_bytes[..usize::from(index.start_end)],
                    index.start.clone(),
                )
            }
            (None, None) => return Err(EditError::StartLine),
        };
        let body = match (&self.body, source) {
            (Body::Own(body), _) => body.as_slice(),
            (Body::Source, Some(source)) => source.body(),
            (Body::Source, None) => &[],
        };
        let head: usize = lines.iter().map(|each| each.span.range().len()).sum();
        let total = start_text.len() + head + 2 + body.len();
        if total > MESSAGE_BYTES_MAX || lines.len() > HEADERS_MAX {
            return Err(EditError::TooLong);
        }
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(start_text);
        let start_end = Span::new(0, bytes.len()).end;
        let mut names = Names::default();
        let lines = write_lines(lines, source_bytes, &self.own, &mut bytes, &mut names);
        bytes.extend_from_slice(b"\r\n");
        let index = Index {
            start,
            start_end,
            body: Span::new(0, bytes.len()).end,
            names,
            lines,
        };
        bytes.extend_from_slice(body);
        Ok(Message::from_index(bytes, index))
    }

    /// Content-Length as the body has it: a stream needs it (RFC 3261 20.14), a datagram may have
    /// it.
    fn settle_content_length(&mut self) {
        let length = match (&self.body, &self.source) {
            (Body::Own(body), _) => body.len(),
            (Body::Source, Some(source)) => source.body().len(),
            (Body::Source, None) => 0,
        };
        let lines = self.lines();
        let mut places = (0..lines.len()).filter(|&at| lines[at].name == HeaderName::ContentLength);
        let right = places
            .next()
            .is_some_and(|at| self.value(at).parse() == Ok(length))
            && places.next().is_none();
        if !right {
            self.replace(HeaderName::ContentLength, &length.to_string());
        }
    }

    fn lines(&self) -> &[Line] {
        match (&self.lines, &self.source) {
            (Some(lines), _) => lines,
            (None, Some(source)) => &source.index().lines,
            (None, None) => &[],
        }
    }

    /// The lines as the draft's own, to be edited.
    fn lines_mut(&mut self) -> &mut Vec<Line> {
        let source = self.source.as_ref();
        self.lines.get_or_insert_with(|| {
            let from = source.map_or(&[][..], |source| &source.index().lines);
            let mut lines = Vec::with_capacity(from.len() + LINES_ADDED);
            lines.extend_from_slice(from);
            lines
        })
    }

    fn position(&self, name: HeaderName) -> Option<usize> {
        self.lines().iter().position(|each| each.name == name)
    }

    /// The place after the last line of this name, or where the first one goes.
    fn after_last(&self, name: HeaderName) -> usize {
        let last = self.lines().iter().rposition(|each| each.name == name);
        last.map_or_else(|| self.home(name), |at| at + 1)
    }

    /// Where a line goes that is the first of its name.
    fn home(&self, name: HeaderName) -> usize {
        use HeaderName::{MaxForwards, Path, RecordRoute, Route, Via};
        match name {
            Via => 0,
            Route | RecordRoute | Path | MaxForwards => {
                let last = self.lines().iter().rposition(|each| each.name == Via);
                last.map_or(0, |at| at + 1)
            }
            _ => self.lines().len(),
        }
    }

    fn value(&self, at: usize) -> &str {
        let Some(each) = self.lines().get(at) else {
            return "";
        };
        if each.is_own {
            let bytes = self.own.get(each.value.range()).unwrap_or_default();
            return std::str::from_utf8(bytes).unwrap_or_default();
        }
        self.source
            .as_ref()
            .map_or("", |source| source.text(each.value))
    }

    fn insert(&mut self, at: usize, name: HeaderName, value: &str) -> &mut Draft {
        self.insert_spelled(at, name, name.as_str(), value)
    }

    fn insert_spelled(
        &mut self,
        at: usize,
        name: HeaderName,
        text: &str,
        value: &str,
    ) -> &mut Draft {
        match self.write_line(name, text, value) {
            Ok(line) => {
                self.lines_mut().insert(at, line);
                self
            }
            Err(fault) => self.refuse(fault),
        }
    }

    fn overwrite(&mut self, at: usize, value: &str) -> &mut Draft {
        let name = self.lines()[at].name;
        match self.write_line(name, name.as_str(), value) {
            Ok(line) => {
                self.lines_mut()[at] = line;
                self
            }
            Err(fault) => self.refuse(fault),
        }
    }

    /// Writes a line into `own`.
    fn write_line(&mut self, name: HeaderName, text: &str, value: &str) -> Result<Line, EditError> {
        if !is_token(text.as_bytes()) {
            return Err(EditError::Name);
        }
        let value = trim(value);
        if !is_value(value) {
            return Err(EditError::LineBreak(name));
        }
        let start = self.own.len();
        let from = start + text.len() + 2;
        let end = from + value.len() + 2;
        if end - start > LINE_BYTES_MAX || end > MESSAGE_BYTES_MAX {
            return Err(EditError::TooLong);
        }
        if start == 0 {
            self.own.reserve(OWN_BYTES.max(end));
        }
        self.own.extend_from_slice(text.as_bytes());
        self.own.extend_from_slice(b": ");
        self.own.extend_from_slice(value.as_bytes());
        self.own.extend_from_slice(b"\r\n");
        let line = Line {
            span: Span::new(start, end),
            value: Span::new(from, from + value.len()),
            name_len: Span::new(0, text.len()).end,
            name,
            is_own: true,
        };
        Ok(line)
    }
}

/// Copies the lines, neighbours of one origin in one run, and moves their index.
fn write_lines(
    lines: &[Line],
    source: &[u8],
    own: &[u8],
    bytes: &mut Vec<u8>,
    names: &mut Names,
) -> Vec<Line> {
    let mut out = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        let first = lines[at];
        let from = usize::from(first.span.start);
        let to = bytes.len();
        let mut end = from;
        while let Some(next) = lines.get(at)
            && next.is_own == first.is_own
            && usize::from(next.span.start) == end
        {
            end = usize::from(next.span.end);
            names.add(next.name, out.len());
            out.push(Line {
                span: next.span.moved(from, to),
                value: next.value.moved(from, to),
                is_own: false,
                ..*next
            });
            at += 1;
        }
        let text = if first.is_own { own } else { source };
        bytes.extend_from_slice(&text[from..end]);
    }
    out
}

/// No octet that would end the line. A NUL may stand in a quoted pair (RFC 4475 3.1.1.2) and is let
/// through.
fn is_value(text: &str) -> bool {
    memchr2(b'\r', b'\n', text.as_bytes()).is_none()
}

fn push_param(out: &mut String, name: &str, value: Option<&str>) {
    out.push(';');
    out.push_str(name);
    if let Some(value) = value {
        out.push('=');
        out.push_str(value);
    }
}
