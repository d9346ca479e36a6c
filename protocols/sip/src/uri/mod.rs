//! URIs: SIP, SIPS, tel, URN and any other, as views of their text.

mod compare;
mod ip;
#[cfg(test)]
mod tests;

use crate::limits::URI_PARAMS_MAX;
use crate::scan::{
    UriPart, decimal, hex_pair, host_run, is_unreserved, is_uri_text, split_once, uri_run,
};
use crate::span::Span;
use simd::find;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// RFC 3261 19.1.
    Sip,
    /// RFC 3261 19.1, over TLS.
    Sips,
    /// Telephone number, RFC 3966.
    Tel,
    /// RFC 8141: emergency services (RFC 5031), IMEI (RFC 7254), ICSI.
    Urn,
    /// Any other: 416 as a Request-URI (RFC 3261 8.2.2.1), legal in From, To and Contact.
    Other,
}

/// Host of a SIP URI or of a Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A domain name as it was spelled.
    Name(&'a str),
    /// An IPv4 address or IPv6 reference.
    Ip(IpAddr),
}

impl<'a> Host<'a> {
    /// Parses `hostname`, `IPv4address` or `IPv6reference` (RFC 3261 25.1, RFC 5954).
    pub fn parse(text: &'a str) -> Option<Host<'a>> {
        let (host, len) = Host::prefix(text)?;
        (len == text.len()).then_some(host)
    }

    /// The host that `text` starts with, and its length.
    pub(crate) fn prefix(text: &'a str) -> Option<(Host<'a>, usize)> {
        if text.starts_with('[') {
            let end = find(text.as_bytes(), b']')?;
            return Some((Host::Ip(IpAddr::V6(ipv6(&text[1..end])?)), end + 1));
        }
        let len = host_run(text.as_bytes());
        let name = &text[..len];
        // What is an address is well-formed as a name, so this is only the order of the questions.
        if name.as_bytes().first().is_some_and(u8::is_ascii_digit)
            && let Some(ip) = ip::ipv4(name.as_bytes())
        {
            return Some((Host::Ip(IpAddr::V4(ip)), len));
        }
        if has_numeric_top(name.as_bytes())? {
            None
        } else {
            Some((Host::Name(name), len))
        }
    }

    /// The address, when the host is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Host::Ip(ip) => Some(ip),
            Host::Name(_) => None,
        }
    }
}

/// True when the last label of a host name is a number, which makes it an IPv4 address, because no
/// top-level domain is one. `None` for a name without label, and when a label starts with a hyphen
/// or is empty; the last may be.
#[inline]
fn has_numeric_top(name: &[u8]) -> Option<bool> {
    let (mut from, mut top) = (0, None);
    while let Some(rest) = name.get(from..).filter(|rest| !rest.is_empty()) {
        if matches!(rest[0], b'.' | b'-') {
            return None;
        }
        let len = find(rest, b'.').unwrap_or(rest.len());
        top = Some(&rest[..len]);
        from += len + 1;
    }
    top.map(|top| top.iter().all(u8::is_ascii_digit))
}

/// An IPv6 address; a third colon before an IPv4 tail is taken as two (the defect of RFC 3261's
/// grammar, RFC 5118 4.10).
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    if let Some(ip) = ip::ipv6(text.as_bytes()) {
        return Some(ip);
    }
    let (hex, v4) = text.split_once(":::")?;
    v4.parse::<Ipv4Addr>().ok()?;
    format!("{hex}::{v4}").parse().ok()
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Where the parts of a URI stand in its text.
#[derive(Clone, Copy, Debug)]
struct Parts {
    scheme: Scheme,
    scheme_end: u16,
    /// Offset of the `@`, 0 without user.
    at: u16,
    user: Span,
    password: Span,
    host: Span,
    port: Option<u16>,
    params: Span,
    headers: Span,
}

/// A URI that has been parsed: a view, free to copy.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    text: &'a str,
    parts: Parts,
}

/// A URI that owns its text.
#[derive(Clone, Debug)]
pub struct UriBuf {
    text: Box<str>,
    parts: Parts,
}

impl UriBuf {
    /// The view of it.
    pub fn view(&self) -> Uri<'_> {
        Uri {
            text: &self.text,
            parts: self.parts,
        }
    }

    /// Parses and takes a copy.
    pub fn parse(text: &str) -> Option<UriBuf> {
        Uri::parse(text).map(Uri::to_owned)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for UriBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl<'a> Uri<'a> {
    /// Parses a `SIP-URI`, `SIPS-URI` (RFC 3261 25.1), `telephone-uri` (RFC 3966 3) or
    /// `absoluteURI`.
    ///
    /// `None` when the text follows no grammar of its scheme. A local telephone number without
    /// `phone-context` is taken; [`Uri::phone_context`] tells.
    pub fn parse(text: &'a str) -> Option<Uri<'a>> {
        if text.len() > crate::MESSAGE_BYTES_MAX {
            return None;
        }
        let colon = find(text.as_bytes(), b':')?;
        let name = &text[..colon];
        let scheme = scheme_of(name)?;
        let parts = match scheme {
            Scheme::Sip | Scheme::Sips => sip_parts(text, scheme, colon + 1)?,
            Scheme::Tel => tel_parts(text, colon + 1)?,
            Scheme::Urn | Scheme::Other => opaque_parts(text, scheme, colon + 1)?,
        };
        Some(Uri { text, parts })
    }

    /// The text it was parsed from.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// A copy that owns its text.
    pub fn to_owned(self) -> UriBuf {
        UriBuf {
            text: self.text.into(),
            parts: self.parts,
        }
    }

    /// The scheme.
    pub fn scheme(self) -> Scheme {
        self.parts.scheme
    }

    /// The scheme as it was spelled.
    pub fn scheme_str(self) -> &'a str {
        &self.text[..usize::from(self.parts.scheme_end) - 1]
    }

    /// True for `sip` and `sips`.
    pub fn is_sip(self) -> bool {
        matches!(self.parts.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// User of a SIP URI, escapes untouched; `None` for other schemes.
    pub fn user(self) -> Option<&'a str> {
        (self.parts.at > 0).then(|| self.at(self.parts.user))
    }

    /// Password of a SIP URI.
    pub fn password(self) -> Option<&'a str> {
        (self.parts.password != Span::default()).then(|| self.at(self.parts.password))
    }

    /// Host of a SIP URI.
    pub fn host(self) -> Option<Host<'a>> {
        if self.is_sip() {
            Host::parse(self.at(self.parts.host))
        } else {
            None
        }
    }

    /// Host of a SIP URI as it was spelled, brackets included; empty for other schemes.
    pub fn host_str(self) -> &'a str {
        if self.is_sip() {
            self.at(self.parts.host)
        } else {
            ""
        }
    }

    /// Port, when the URI names one.
    pub fn port(self) -> Option<u16> {
        self.parts.port
    }

    /// Number of a tel URI as it was spelled, visual separators and `+` included.
    pub fn number(self) -> Option<&'a str> {
        (self.parts.scheme == Scheme::Tel).then(|| self.at(self.parts.host))
    }

    /// True for a tel URI whose number starts with `+` (RFC 3966 5.1.4).
    pub fn is_global_number(self) -> bool {
        self.number().is_some_and(|number| number.starts_with('+'))
    }

    /// `phone-context` of a local number (RFC 3966 5.1.5).
    pub fn phone_context(self) -> Option<&'a str> {
        self.param("phone-context")
    }

    /// What follows the scheme of a URN or unknown URI.
    pub fn opaque(self) -> &'a str {
        &self.text[usize::from(self.parts.scheme_end)..]
    }

    /// Namespace identifier and string of a URN.
    pub fn urn(self) -> Option<(&'a str, &'a str)> {
        if self.parts.scheme == Scheme::Urn {
            self.opaque().split_once(':')
        } else {
            None
        }
    }

    /// Value of the parameter `name`, whatever its case; empty when it stands without value.
    pub fn param(self, name: &str) -> Option<&'a str> {
        self.params()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// True when the parameter stands there, with or without value.
    pub fn has_param(self, name: &str) -> bool {
        self.param(name).is_some()
    }

    /// Parameters as (name, value), the value empty where there is none.
    pub fn params(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        pairs(self.at(self.parts.params), ';')
    }

    /// The parameters with their semicolons.
    pub fn params_str(self) -> &'a str {
        self.at(self.parts.params)
    }

    /// Headers after the `?`, as (name, value), escapes untouched.
    pub fn headers(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        pairs(self.headers_str(), '&')
    }

    /// The headers without the `?`.
    pub fn headers_str(self) -> &'a str {
        self.at(self.parts.headers)
    }

    /// The URI up to its headers: what may stand as a Request-URI.
    pub fn without_headers(self) -> &'a str {
        match self.parts.headers {
            headers if headers == Span::default() => self.text,
            headers => &self.text[..usize::from(headers.start) - 1],
        }
    }

    /// The form in which two spellings of one public identity are the same text (TS 23.003 13.4).
    ///
    /// SIP: scheme and host in lower case, user with needless escapes removed, no password, port,
    /// parameters and headers. tel: `tel:` and the digits without visual separators, and the
    /// phone-context of a local number. Other: scheme and namespace in lower case.
    pub fn canonical(self) -> String {
        compare::canonical(self)
    }

    /// The telephone number that a SIP URI with `user=phone` carries, as a canonical tel URI
    /// (RFC 3261 19.1.6); a tel URI itself, canonical; `None` for any other.
    pub fn to_tel(self) -> Option<String> {
        if self.parts.scheme == Scheme::Tel {
            return Some(self.canonical());
        }
        if !self
            .param("user")
            .is_some_and(|user| user.eq_ignore_ascii_case("phone"))
        {
            return None;
        }
        let tel = format!("tel:{}", unescape(self.user()?));
        Uri::parse(&tel).map(Uri::canonical)
    }

    /// True when the URIs are equivalent: RFC 3261 19.1.4 for SIP, RFC 3966 4 for tel, RFC 8141 3
    /// for URNs.
    pub fn is_equivalent(self, other: Uri<'_>) -> bool {
        compare::equivalent(self, other)
    }

    fn at(self, span: Span) -> &'a str {
        &self.text[span.range()]
    }
}

fn pairs(text: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    text.split(separator)
        .filter(|pair| !pair.is_empty())
        .map(|pair| split_once(pair, b'=').unwrap_or((pair, "")))
}

fn scheme_of(name: &str) -> Option<Scheme> {
    let name = name.as_bytes();
    let known = match *name {
        [a, b, c] => match [a | 0x20, b | 0x20, c | 0x20] {
            [b's', b'i', b'p'] => Some(Scheme::Sip),
            [b't', b'e', b'l'] => Some(Scheme::Tel),
            [b'u', b'r', b'n'] => Some(Scheme::Urn),
            _ => None,
        },
        [a, b, c, d] if [a | 0x20, b | 0x20, c | 0x20, d | 0x20] == *b"sips" => Some(Scheme::Sips),
        _ => None,
    };
    if known.is_some() {
        return known;
    }
    let (first, rest) = name.split_first()?;
    let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    (first.is_ascii_alphabetic() && rest.iter().all(good)).then_some(Scheme::Other)
}

fn parts(scheme: Scheme, scheme_end: usize) -> Parts {
    Parts {
        scheme,
        scheme_end: Span::new(0, scheme_end).end,
        at: 0,
        user: Span::default(),
        password: Span::default(),
        host: Span::default(),
        port: None,
        params: Span::default(),
        headers: Span::default(),
    }
}

/// `[ userinfo ] hostport uri-parameters [ headers ]`. No part but the user may hold `@`, and it
/// only escaped.
fn sip_parts(text: &str, scheme: Scheme, scheme_end: usize) -> Option<Parts> {
    let mut parts = parts(scheme, scheme_end);
    let bytes = text.as_bytes();
    let mut at = scheme_end;
    if let Some(len) = find(&bytes[at..], b'@') {
        userinfo(bytes, at, at + len, &mut parts)?;
        at += len + 1;
    }
    let (_, host_len) = Host::prefix(&text[at..])?;
    parts.host = Span::new(at, at + host_len);
    at += host_len;
    if bytes.get(at) == Some(&b':') {
        let digits = bytes[at + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        parts.port = Some(u16::try_from(decimal(&text[at + 1..at + 1 + digits])?).ok()?);
        at += 1 + digits;
    }
    let params_len = params_run(&bytes[at..])?;
    parts.params = Span::new(at, at + params_len);
    at += params_len;
    match bytes.get(at) {
        None => Some(parts),
        Some(b'?') => {
            parts.headers = Span::new(at + 1, bytes.len());
            check_headers(&text[at + 1..])?;
            Some(parts)
        }
        Some(_) => None,
    }
}

/// `user [ ":" password ]` between `from` and the `@`.
fn userinfo(bytes: &[u8], from: usize, at: usize, parts: &mut Parts) -> Option<()> {
    let user = uri_run(&bytes[from..at], UriPart::User);
    if user == 0 {
        return None;
    }
    parts.user = Span::new(from, from + user);
    parts.at = Span::new(0, at).end;
    if from + user == at {
        return Some(());
    }
    parts.password = Span::new(from + user + 1, at);
    let good =
        bytes[from + user] == b':' && is_uri_text(&bytes[from + user + 1..at], UriPart::User);
    good.then_some(())
}

/// `hname "=" hvalue *( "&" hname "=" hvalue )`.
fn check_headers(text: &str) -> Option<()> {
    text.split('&').try_for_each(|header| {
        let (name, value) = split_once(header, b'=')?;
        let good = |text: &str| is_uri_text(text.as_bytes(), UriPart::Header);
        (!name.is_empty() && good(name) && good(value)).then_some(())
    })
}

/// Length of the `*( ";" uri-parameter )` that `text` starts with: each has a name and only
/// `paramchar`s, and there are at most `URI_PARAMS_MAX`.
fn params_run(text: &[u8]) -> Option<usize> {
    let (mut at, mut count) = (0, 0);
    while text.get(at) == Some(&b';') {
        count += 1;
        let name = uri_run(&text[at + 1..], UriPart::Param);
        at += 1 + name;
        if name == 0 || count > URI_PARAMS_MAX {
            return None;
        }
        if text.get(at) == Some(&b'=') {
            let value = uri_run(&text[at + 1..], UriPart::Param);
            at += 1 + value;
            if value == 0 {
                return None;
            }
        }
    }
    Some(at)
}

/// `global-number / local-number`, each with parameters.
fn tel_parts(text: &str, scheme_end: usize) -> Option<Parts> {
    let mut parts = parts(Scheme::Tel, scheme_end);
    let end = text[scheme_end..]
        .find(';')
        .map_or(text.len(), |len| scheme_end + len);
    parts.host = Span::new(scheme_end, end);
    parts.params = Span::new(end, text.len());
    let number = &text[parts.host.range()];
    let (digits, global) = match number.strip_prefix('+') {
        Some(digits) => (digits, true),
        None => (number, false),
    };
    let digit = |byte: u8| match global {
        true => byte.is_ascii_digit(),
        false => byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#'),
    };
    if !digits.bytes().any(digit) || !digits.bytes().all(|byte| digit(byte) || is_visual(byte)) {
        return None;
    }
    let params = &text.as_bytes()[parts.params.range()];
    (params_run(params)? == params.len()).then_some(parts)
}

/// Any visible ASCII but delimiters (RFC 3986 2).
fn opaque_parts(text: &str, scheme: Scheme, scheme_end: usize) -> Option<Parts> {
    let rest = &text.as_bytes()[scheme_end..];
    let good = |&byte: &u8| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte);
    if rest.is_empty() || !rest.iter().all(good) {
        return None;
    }
    if scheme == Scheme::Urn {
        let (nid, nss) = text[scheme_end..].split_once(':')?;
        let nid_good = nid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if nid.len() < 2 || !nid_good || nss.is_empty() {
            return None;
        }
    }
    Some(parts(scheme, scheme_end))
}

/// Visual separator of a telephone number (RFC 3966 3).
fn is_visual(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')')
}

/// Removes `%HH` escapes; octets that are no UTF-8 stay escaped.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match hex_pair(tail) {
            Some(escaped) if byte == b'%' => {
                out.push(escaped);
                rest = &tail[2..];
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).map_or(text.into(), Cow::Owned)
}

/// Escapes what the user part of a SIP URI may not hold as it is.
pub fn escape_user(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| is_unreserved(byte) || b"&=+$,;?/".contains(&byte);
    if text.bytes().all(plain) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        match plain(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out.into()
}
