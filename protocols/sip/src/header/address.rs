//! `name-addr / addr-spec` with parameters: From, To, Contact, Route and their kin.

use super::Params;
use crate::scan::{decimal, is_blank, is_token_byte, quoted_len, trim, unescape, unquote};
use crate::{Uri, Why};
use simd::find;
use std::borrow::Cow;

/// An address with an optional display name (RFC 3261 20.10, 20.20, 20.34, 20.39).
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    display: &'a str,
    bracketed: bool,
    /// The address.
    pub uri: Uri<'a>,
    /// Parameters of the header, not of the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Parses one value.
    ///
    /// # Errors
    /// [`Why::Syntax`], also for an address without angle brackets that holds `,` or `?` (RFC 3261
    /// 20).
    pub fn parse(text: &'a str) -> Result<NameAddr<'a>, Why> {
        let text = trim(text);
        let display_len = display_len(text).ok_or(Why::Syntax)?;
        let Some(rest) = text[display_len..].strip_prefix('<') else {
            let stops = |byte| byte == b';' || is_blank(byte);
            let end = text.bytes().position(stops).unwrap_or(text.len());
            let (addr, params) = text.split_at(end);
            if addr.bytes().any(|byte| matches!(byte, b',' | b'?')) {
                return Err(Why::Syntax);
            }
            let uri = Uri::parse(addr).ok_or(Why::Syntax)?;
            return Ok(NameAddr {
                display: "",
                bracketed: false,
                uri,
                params: Params::parse(params)?,
            });
        };
        let end = find(rest.as_bytes(), b'>').ok_or(Why::Syntax)?;
        let (addr, params) = (&rest[..end], &rest[end + 1..]);
        Ok(NameAddr {
            display: trim(&text[..display_len]),
            bracketed: true,
            uri: Uri::parse(addr).ok_or(Why::Syntax)?,
            params: Params::parse(params)?,
        })
    }

    /// The `tag` of a value of From or To, which is not checked further than to find it.
    pub(crate) fn tag_in(text: &'a str) -> Option<&'a str> {
        let text = trim(text);
        let display = display_len(text)?;
        let bytes = &text.as_bytes()[display..];
        let end = match bytes.first() {
            Some(b'<') => find(bytes, b'>')? + 1,
            _ => find(bytes, b';')?,
        };
        let tag = Params::unchecked(&text[display + end..]).get("tag");
        tag.filter(|tag| !tag.is_empty())
    }

    /// Display name without quotes and backslashes; empty when there is none.
    pub fn display_name(&self) -> Cow<'a, str> {
        match unquote(self.display) {
            Some(inner) => unescape(inner),
            None => self.display.into(),
        }
    }

    /// Display name as it was spelled, quotes included.
    pub fn display_str(&self) -> &'a str {
        self.display
    }

    /// True when the URI stood in angle brackets.
    pub fn is_bracketed(&self) -> bool {
        self.bracketed
    }

    /// The `tag` of From and To (RFC 3261 19.3).
    pub fn tag(&self) -> Option<&'a str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// True when the URI of a Route says that the proxy is a loose router (RFC 3261 16.12).
    pub fn is_loose_route(&self) -> bool {
        self.uri.has_param("lr")
    }

    /// `expires` of a Contact: `None` when absent or no number (RFC 3261 10.3 step 7 takes the
    /// default then).
    pub fn expires(&self) -> Option<u32> {
        self.params.get("expires").and_then(decimal)
    }

    /// `q` of a Contact in thousandths, 0 to 1000 (RFC 3261 20.10); `None` when absent or
    /// malformed.
    pub fn q(&self) -> Option<u16> {
        qvalue(self.params.get("q")?)
    }
}

/// Octets before the `<`, or 0 without display name. `None` when the display name is malformed.
fn display_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'"') {
        let quoted = quoted_len(bytes)?;
        let blanks = bytes[quoted..].iter().position(|&byte| !is_blank(byte))?;
        return (bytes[quoted + blanks] == b'<').then_some(quoted + blanks);
    }
    // The first delimiter tells which form it is: a colon or semicolon before any bracket is an
    // addr-spec.
    let plain = |byte: u8| is_token_byte(byte) || is_blank(byte) || byte >= 0x80;
    let end = bytes.iter().position(|&byte| !plain(byte))?;
    match bytes[end] {
        b'<' => Some(end),
        b':' => Some(0),
        _ => None,
    }
}

/// `( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )` in thousandths.
pub(crate) fn qvalue(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// One value of Contact.
#[derive(Clone, Copy, Debug)]
pub enum Contact<'a> {
    /// `*`: all bindings, in a REGISTER with Expires 0 (RFC 3261 10.2.2).
    Star,
    /// An address.
    Addr(NameAddr<'a>),
}

impl<'a> Contact<'a> {
    /// Parses one value.
    ///
    /// # Errors
    /// As [`NameAddr::parse`].
    pub fn parse(text: &'a str) -> Result<Contact<'a>, Why> {
        if trim(text) == "*" {
            return Ok(Contact::Star);
        }
        NameAddr::parse(text).map(Contact::Addr)
    }

    /// The address, unless it is a star.
    pub fn addr(self) -> Option<NameAddr<'a>> {
        match self {
            Contact::Star => None,
            Contact::Addr(addr) => Some(addr),
        }
    }
}
