//! A message: its bytes, its index, and the header values read from them when asked.

use crate::header::{
    AuthParams, CSeq, Contact, ContentType, NameAddr, Params, RAck, RetryAfter, SessionExpires,
    TokenParams, Via,
};
use crate::index::{self, Found, Index, Start};
use crate::limits::{LEADING_CRLF_MAX, MESSAGE_BYTES_MAX};
use crate::scan::{decimal, split_outside, trim};
use crate::span::Span;
use crate::{HeaderName, Invalid, Malformed, Method, ParseError, Part, Uri, Why, header};
use simd::Checked;
use std::fmt;
use std::sync::Arc;

/// A SIP message (RFC 3261 7): the received bytes and an index of their lines, made in one pass.
///
/// Cloning copies a pointer. A folded line is one line here: the fold has become blanks, which mean
/// the same (RFC 3261 7.3.1) and take the same room. Values are borrowed and parsed on every call:
/// keep what you use twice.
#[derive(Clone)]
pub struct Message(Arc<Inner>);

struct Inner {
    /// The message; the head, which is what the index tells of, is text.
    bytes: Checked,
    index: Index,
}

/// One header field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name.
    pub name: HeaderName,
    /// The name as it was spelled.
    pub name_str: &'a str,
    /// The value without the blanks around it.
    pub value: &'a str,
}

/// True for a datagram of nothing but line ends: a keep-alive (RFC 5626 4.4.1).
pub fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

impl Message {
    /// Parses a datagram (RFC 3261 18.3): octets after the body are dropped, and so are line ends
    /// before the start line.
    ///
    /// # Errors
    /// The first fault, with what could be read beside it: [`ParseError::answerable`] is the
    /// request to answer.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Message, ParseError> {
        let mut bytes = bytes.into();
        if is_keep_alive(&bytes) {
            return Err(ParseError::new(Malformed::Empty, 0, None));
        }
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ParseError::new(Malformed::TooLong, MESSAGE_BYTES_MAX, None));
        }
        let ends = bytes
            .chunks_exact(2)
            .take(LEADING_CRLF_MAX)
            .take_while(|pair| pair == b"\r\n");
        let skipped = 2 * ends.count();
        if skipped > 0 {
            bytes.drain(..skipped);
        }
        let (index, found) = index::index(&mut bytes);
        Message::assemble(bytes, index, found)
    }

    /// Joins bytes and index, and cuts the body to Content-Length.
    pub(crate) fn assemble(
        bytes: Vec<u8>,
        index: Option<Index>,
        mut found: Found,
    ) -> Result<Message, ParseError> {
        let Some(mut index) = index else {
            let (fault, offset) = found.unwrap_or((Malformed::StartLine, 0));
            return Err(ParseError::new(fault, offset, None));
        };
        let (mut bytes, unreadable) = check(bytes, &mut index);
        if let Some(at) = unreadable {
            found.get_or_insert((Malformed::Utf8, at));
        }
        let body = usize::from(index.body);
        let total = bytes.as_bytes().len();
        match content_length(bytes.as_bytes(), &index) {
            Ok(Some(length)) if length <= total - body => bytes.truncate(body + length),
            Ok(None) => {}
            Ok(Some(_)) => {
                found.get_or_insert((Malformed::BodyShort, total));
            }
            Err(offset) => {
                found.get_or_insert((Malformed::ContentLength, offset));
            }
        }
        let message = Message(Arc::new(Inner { bytes, index }));
        match found {
            None => Ok(message),
            Some((fault, offset)) => Err(ParseError::new(fault, offset, Some(message))),
        }
    }

    /// Joins bytes and index. Lines that are no text are left out.
    pub(crate) fn from_index(bytes: Vec<u8>, mut index: Index) -> Message {
        let (bytes, _) = check(bytes, &mut index);
        Message(Arc::new(Inner { bytes, index }))
    }

    pub(crate) fn index(&self) -> &Index {
        &self.0.index
    }

    /// The message as it goes on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.bytes.as_bytes()
    }

    /// The message as text; octets of the body that are no UTF-8 are replaced.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(self.as_bytes()).into_owned()
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        matches!(self.0.index.start, Start::Request { .. })
    }

    /// Method of the request line; `None` for a response, whose method is in [`Message::cseq`].
    pub fn method(&self) -> Option<&Method> {
        match &self.0.index.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// True for a request of this method.
    pub fn is_method(&self, method: &Method) -> bool {
        self.method() == Some(method)
    }

    /// The Request-URI as it was spelled; empty for a response.
    pub fn request_uri(&self) -> &str {
        match self.0.index.start {
            Start::Request { uri, .. } => self.text(uri),
            Start::Response { .. } => "",
        }
    }

    /// The Request-URI, parsed.
    ///
    /// # Errors
    /// [`Part::RequestUri`]: missing in a response, bad when it follows no grammar or has headers
    /// (RFC 3261 19.1.1, RFC 4475 3.1.2.11).
    pub fn uri(&self) -> Result<Uri<'_>, Invalid> {
        let bad = |why| Invalid {
            part: Part::RequestUri,
            why,
        };
        if !self.is_request() {
            return Err(bad(Why::Missing));
        }
        let uri = Uri::parse(self.request_uri()).ok_or(bad(Why::Syntax))?;
        if uri.headers_str().is_empty() {
            Ok(uri)
        } else {
            Err(bad(Why::Syntax))
        }
    }

    /// Status of a response.
    pub fn status(&self) -> Option<u16> {
        match self.0.index.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }

    /// Reason phrase of a response, which may be empty.
    pub fn reason(&self) -> &str {
        match self.0.index.start {
            Start::Response { reason, .. } => self.text(reason),
            Start::Request { .. } => "",
        }
    }

    /// The body: Content-Length octets, or all that followed the head of a datagram without it.
    pub fn body(&self) -> &[u8] {
        self.as_bytes()
            .get(usize::from(self.0.index.body)..)
            .unwrap_or_default()
    }

    /// All header field lines in their order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.0.index.lines.iter().map(|line| Field {
            name: line.name,
            name_str: self.text(line.name_span()),
            value: self.text(line.value),
        })
    }

    /// True when a line of this name is there.
    pub fn has(&self, name: HeaderName) -> bool {
        self.0.index.names.has(name)
    }

    /// Value of the first line of this name, whole: with all its commas.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        let line = self.0.index.first(name)?;
        Some(self.text(line.value))
    }

    /// Value of each line of this name.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.0
            .index
            .lines_from(name)
            .iter()
            .filter(move |line| line.name == name)
            .map(|line| self.text(line.value))
    }

    /// Each comma-separated value of all lines of this name, in order (RFC 3261 7.3.1). A line
    /// without value has none.
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.headers(name).flat_map(split_values)
    }

    /// Value of each line of this name in any spelling, whether or not [`HeaderName`] knows it.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let known = HeaderName::parse(name);
        self.0.index.lines.iter().filter_map(move |line| {
            let same = line.name == known
                && (known != HeaderName::Other
                    || self.text(line.name_span()).eq_ignore_ascii_case(name));
            same.then(|| self.text(line.value))
        })
    }

    /// Value of the first line of this name in any spelling.
    pub fn header_named<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.headers_named(name).next()
    }

    /// True when one of the values of this header is `token`, whatever its case: option tags of
    /// Supported and Require, methods of Allow, values of Privacy (which semicolons separate).
    pub fn has_token(&self, name: HeaderName, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(';'))
            .any(|value| trim(value).eq_ignore_ascii_case(token))
    }

    /// The topmost Via.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn top_via(&self) -> Result<Via<'_>, Invalid> {
        self.first(HeaderName::Via, Via::parse)
    }

    /// All Vias from the top.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, Invalid>> {
        self.each(HeaderName::Via, Via::parse)
    }

    /// From.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn from(&self) -> Result<NameAddr<'_>, Invalid> {
        self.required(HeaderName::From, NameAddr::parse)
    }

    /// To.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn to(&self) -> Result<NameAddr<'_>, Invalid> {
        self.required(HeaderName::To, NameAddr::parse)
    }

    /// Tag of From, `None` without one. From is checked no further than to find it.
    pub fn from_tag(&self) -> Option<&str> {
        NameAddr::tag_in(self.header(HeaderName::From)?)
    }

    /// Tag of To, `None` without one. To is checked no further than to find it.
    pub fn to_tag(&self) -> Option<&str> {
        NameAddr::tag_in(self.header(HeaderName::To)?)
    }

    /// Call-ID: `word [ "@" word ]`.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn call_id(&self) -> Result<&str, Invalid> {
        self.required(HeaderName::CallId, header::call_id)
    }

    /// CSeq.
    ///
    /// # Errors
    /// Missing, malformed or beyond 2³¹.
    pub fn cseq(&self) -> Result<CSeq, Invalid> {
        self.required(HeaderName::CSeq, CSeq::parse)
    }

    /// Contacts in order.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact<'_>, Invalid>> {
        self.each(HeaderName::Contact, Contact::parse)
    }

    /// The first Contact that is an address: the remote target of a dialog (RFC 3261 12.1).
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn contact(&self) -> Result<NameAddr<'_>, Invalid> {
        self.first(HeaderName::Contact, NameAddr::parse)
    }

    /// Routes from the top.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, Invalid>> {
        self.addresses(HeaderName::Route)
    }

    /// Record-Routes from the top.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, Invalid>> {
        self.addresses(HeaderName::RecordRoute)
    }

    /// Values of any header made of addresses: Path, Service-Route, P-Asserted-Identity,
    /// P-Associated-URI, Refer-To, History-Info.
    pub fn addresses(
        &self,
        name: HeaderName,
    ) -> impl Iterator<Item = Result<NameAddr<'_>, Invalid>> {
        self.each(name, NameAddr::parse)
    }

    /// P-Asserted-Identity (RFC 3325 9.1): at most a SIP and a tel URI.
    pub fn asserted_identities(&self) -> impl Iterator<Item = Result<NameAddr<'_>, Invalid>> {
        self.addresses(HeaderName::PAssertedIdentity)
    }

    /// Values of any header that is a token with parameters: Reason, Feature-Caps, Accept-Contact,
    /// P-Access-Network-Info, Security-Client, Allow-Events.
    pub fn tokens(
        &self,
        name: HeaderName,
    ) -> impl Iterator<Item = Result<TokenParams<'_>, Invalid>> {
        self.each(name, TokenParams::parse)
    }

    /// Parameters of a header that has nothing else: P-Charging-Vector,
    /// P-Charging-Function-Addresses.
    ///
    /// # Errors
    /// Malformed.
    pub fn params(&self, name: HeaderName) -> Result<Option<Params<'_>>, Invalid> {
        self.optional(name, Params::parse_first)
    }

    /// Max-Forwards, at most 255 (RFC 3261 20.22).
    ///
    /// # Errors
    /// Malformed or out of range.
    pub fn max_forwards(&self) -> Result<Option<u8>, Invalid> {
        self.optional(HeaderName::MaxForwards, |text| {
            u8::try_from(header::seconds(text)?).map_err(|_| Why::Range)
        })
    }

    /// Expires in seconds.
    ///
    /// # Errors
    /// Malformed or beyond 2³² - 1.
    pub fn expires(&self) -> Result<Option<u32>, Invalid> {
        self.optional(HeaderName::Expires, header::seconds)
    }

    /// Min-Expires in seconds.
    ///
    /// # Errors
    /// Malformed or beyond 2³² - 1.
    pub fn min_expires(&self) -> Result<Option<u32>, Invalid> {
        self.optional(HeaderName::MinExpires, header::seconds)
    }

    /// Date, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Malformed, a zone other than GMT among the rest, or a day that does not exist.
    pub fn date(&self) -> Result<Option<u64>, Invalid> {
        self.optional(HeaderName::Date, header::parse_date)
    }

    /// Content-Type.
    ///
    /// # Errors
    /// Malformed.
    pub fn content_type(&self) -> Result<Option<ContentType<'_>>, Invalid> {
        self.optional(HeaderName::ContentType, ContentType::parse)
    }

    /// Event.
    ///
    /// # Errors
    /// Malformed.
    pub fn event(&self) -> Result<Option<TokenParams<'_>>, Invalid> {
        self.optional(HeaderName::Event, TokenParams::parse)
    }

    /// Subscription-State.
    ///
    /// # Errors
    /// Malformed.
    pub fn subscription_state(&self) -> Result<Option<TokenParams<'_>>, Invalid> {
        self.optional(HeaderName::SubscriptionState, TokenParams::parse)
    }

    /// RAck.
    ///
    /// # Errors
    /// Malformed.
    pub fn rack(&self) -> Result<Option<RAck>, Invalid> {
        self.optional(HeaderName::RAck, RAck::parse)
    }

    /// RSeq.
    ///
    /// # Errors
    /// Malformed.
    pub fn rseq(&self) -> Result<Option<u32>, Invalid> {
        self.optional(HeaderName::RSeq, header::seconds)
    }

    /// Session-Expires.
    ///
    /// # Errors
    /// Malformed.
    pub fn session_expires(&self) -> Result<Option<SessionExpires>, Invalid> {
        self.optional(HeaderName::SessionExpires, SessionExpires::parse)
    }

    /// Min-SE in seconds.
    ///
    /// # Errors
    /// Malformed.
    pub fn min_se(&self) -> Result<Option<u32>, Invalid> {
        self.optional(HeaderName::MinSe, |text| {
            let (number, params) = split_outside(text, b';');
            let params = params.map_or("", |_| &text[number.len()..]);
            Params::parse(params)?;
            header::seconds(number)
        })
    }

    /// Retry-After.
    ///
    /// # Errors
    /// Malformed.
    pub fn retry_after(&self) -> Result<Option<RetryAfter<'_>>, Invalid> {
        self.optional(HeaderName::RetryAfter, RetryAfter::parse)
    }

    /// Challenges or credentials of each line of `name`: WWW-Authenticate, Proxy-Authenticate,
    /// Authorization or Proxy-Authorization.
    pub fn auth(&self, name: HeaderName) -> impl Iterator<Item = Result<AuthParams<'_>, Invalid>> {
        self.headers(name)
            .map(move |text| AuthParams::parse(text).map_err(|why| Invalid::header(name, why)))
    }

    /// True when the message is a request other than ACK and has the headers that its response
    /// copies.
    pub(crate) fn is_answerable(&self) -> bool {
        use HeaderName::{CSeq, CallId, From, To, Via};
        let copied = [Via, From, To, CallId, CSeq];
        self.method().is_some_and(|method| *method != Method::Ack)
            && copied.iter().all(|&name| self.has(name))
    }

    /// The value of a header that may be absent and may not be repeated.
    pub(crate) fn optional<'a, T>(
        &'a self,
        name: HeaderName,
        parse: impl FnOnce(&'a str) -> Result<T, Why>,
    ) -> Result<Option<T>, Invalid> {
        let Some(text) = self.header(name) else {
            return Ok(None);
        };
        if self.0.index.names.is_repeated(name) {
            return Err(Invalid::header(name, Why::Repeated));
        }
        parse(text)
            .map(Some)
            .map_err(|why| Invalid::header(name, why))
    }

    fn required<'a, T>(
        &'a self,
        name: HeaderName,
        parse: impl FnOnce(&'a str) -> Result<T, Why>,
    ) -> Result<T, Invalid> {
        self.optional(name, parse)?
            .ok_or(Invalid::header(name, Why::Missing))
    }

    fn first<'a, T>(
        &'a self,
        name: HeaderName,
        parse: impl FnOnce(&'a str) -> Result<T, Why>,
    ) -> Result<T, Invalid> {
        let line = self
            .headers(name)
            .find(|text| !text.is_empty())
            .ok_or(Invalid::header(name, Why::Missing))?;
        let (text, _) = split_outside(line, b',');
        parse(trim(text)).map_err(|why| Invalid::header(name, why))
    }

    fn each<'a, T>(
        &'a self,
        name: HeaderName,
        parse: impl Fn(&'a str) -> Result<T, Why>,
    ) -> impl Iterator<Item = Result<T, Invalid>> {
        self.values(name)
            .map(move |text| parse(text).map_err(|why| Invalid::header(name, why)))
    }

    /// Text of a span of the head, which is UTF-8 throughout.
    #[inline]
    pub(crate) fn text(&self, span: Span) -> &str {
        self.0.bytes.str(span.range())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(&self.to_text()).finish()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Message {}

/// Tells once and for all that the head is text. Of one that is not the unreadable lines are left
/// out; the offset of the first fault is beside it.
#[inline]
fn check(bytes: Vec<u8>, index: &mut Index) -> (Checked, Option<usize>) {
    let head = usize::from(index.body);
    match Checked::new(bytes, head) {
        Ok(checked) => (checked, None),
        Err(mut bytes) => {
            let at = index.drop_unreadable(&mut bytes[..head]);
            (Checked::new(bytes, head).unwrap_or_default(), Some(at))
        }
    }
}

/// The comma-separated values of one line.
fn split_values(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    std::iter::from_fn(move || {
        let (value, next) = split_outside(rest?, b',');
        rest = next;
        Some(trim(value))
    })
}

/// The one Content-Length, or the offset of the line at fault.
pub(crate) fn content_length(bytes: &[u8], index: &Index) -> Result<Option<usize>, usize> {
    let name = HeaderName::ContentLength;
    let Some(line) = index.first(name) else {
        return Ok(None);
    };
    let at = usize::from(line.span.start);
    if index.names.is_repeated(name) {
        return Err(at);
    }
    let text = std::str::from_utf8(&bytes[line.value.range()]).unwrap_or_default();
    decimal(text).map(|length| Some(length as usize)).ok_or(at)
}
