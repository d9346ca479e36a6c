//! Names, values and octet strings: the leaves of the abstract syntax.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use smallvec::SmallVec;

/// Longest NAME, Annex B.2: a letter and 63 further characters.
pub const NAME_LEN_MAX: usize = 64;

/// An identifier (NAME, pathNAME, digit map name), at most [`NAME_LEN_MAX`] octets for a NAME.
///
/// Identifiers are not case sensitive (Annex B.2): `==` and `Hash` ignore ASCII case, the spelling
/// is kept. Short ones are stored in place.
#[derive(Clone, Default)]
pub struct Name(SmallVec<[u8; 24]>);

impl Name {
    /// The identifier spelled `text`.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(SmallVec::from_slice(text.as_ref().as_bytes()))
    }

    pub(crate) fn from_ascii(text: &[u8]) -> Self {
        Self(SmallVec::from_slice(text))
    }

    /// The spelling.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The spelling as octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.as_bytes())
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in &self.0 {
            state.write_u8(octet.to_ascii_lowercase());
        }
        state.write_u8(b'/');
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let lower = |octet: &u8| octet.to_ascii_lowercase();
        self.0.iter().map(lower).cmp(other.0.iter().map(lower))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// `package/item`: the name of a property, event, signal or statistic; `*` stands for all of either
/// part.
///
/// Names of packages unknown here are kept as they are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PkgdName {
    text: Name,
    slash: u8,
}

impl PkgdName {
    /// The name `package/item`. Parts longer than [`NAME_LEN_MAX`] are cut.
    pub fn new(package: &str, item: &str) -> Self {
        let mut text = SmallVec::from_slice(cut(package));
        let slash = text.len() as u8;
        text.push(b'/');
        text.extend_from_slice(cut(item));
        Self {
            text: Name(text),
            slash,
        }
    }

    /// Splits `package/item`; `None` when there is no slash or a part is empty or too long.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let slash = text.iter().position(|&octet| octet == b'/')?;
        let item = text.len() - slash - 1;
        let fits = |len| (1..=NAME_LEN_MAX).contains(&len);
        if !fits(slash) || !fits(item) || !text.is_ascii() {
            return None;
        }
        Some(Self {
            text: Name::from_ascii(text),
            slash: slash as u8,
        })
    }

    /// The package's name, or `*`.
    pub fn package(&self) -> &str {
        self.parts().0
    }

    /// The name of the property, event, signal or statistic, or `*`.
    pub fn item(&self) -> &str {
        self.parts().1
    }

    /// Both at once, which costs no more than one.
    pub(crate) fn parts(&self) -> (&str, &str) {
        let (text, slash) = (self.as_str(), usize::from(self.slash));
        (&text[..slash], &text[slash + 1..])
    }

    /// The whole as `package/item`.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// True when this is `package/item`, whatever the case.
    pub fn is(&self, package: &str, item: &str) -> bool {
        let (own, rest) = self.text.as_bytes().split_at(usize::from(self.slash));
        own.eq_ignore_ascii_case(package.as_bytes())
            && rest[1..].eq_ignore_ascii_case(item.as_bytes())
    }
}

impl fmt::Debug for PkgdName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PkgdName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn cut(text: &str) -> &[u8] {
    let text = text.as_bytes();
    &text[..text.len().min(NAME_LEN_MAX)]
}

/// VALUE of a property, parameter or statistic: what stands between the delimiters, uninterpreted.
///
/// A quoted `"$"` is a string of one character, an unquoted `$` means CHOOSE: quoting is part of
/// the value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value {
    text: SmallVec<[u8; 24]>,
    quoted: bool,
}

impl Value {
    /// An unquoted value (a number, an enumeration's name, `$`, `*`), quoted all the same when its
    /// characters ask for it. Characters that no VALUE can carry (quotation marks, control
    /// characters) become `'`.
    pub fn symbol(text: impl AsRef<str>) -> Self {
        let mut value = Self::quoted(text);
        value.quoted = value.text.is_empty() || !value.text.iter().copied().all(is_safe_char);
        value
    }

    /// A quoted string. Characters that it cannot carry (quotation marks, control characters)
    /// become `'`.
    pub fn quoted(text: impl AsRef<str>) -> Self {
        let carry = |octet: u8| {
            let fits = octet == b'\t' || (octet >= b' ' && octet != b'"' && octet != 0x7f);
            if fits { octet } else { b'\'' }
        };
        Self {
            text: text.as_ref().bytes().map(carry).collect(),
            quoted: true,
        }
    }

    pub(crate) fn from_wire(text: &[u8], quoted: bool) -> Self {
        Self {
            text: SmallVec::from_slice(text),
            quoted,
        }
    }

    /// The CHOOSE value `$`.
    pub fn choose() -> Self {
        Self::from_wire(b"$", false)
    }

    /// The octets without quotation marks.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The characters without quotation marks; octets outside UTF-8 are replaced.
    pub fn as_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }

    /// True when it stands in quotation marks.
    pub fn is_quoted(&self) -> bool {
        self.quoted
    }

    /// True for an unquoted `$`: the MG is to choose.
    pub fn is_choose(&self) -> bool {
        !self.quoted && self.text.as_slice() == b"$"
    }

    /// True when it reads `text`, whatever the case: for enumerations.
    pub fn is(&self, text: &str) -> bool {
        self.text.eq_ignore_ascii_case(text.as_bytes())
    }

    /// The value as an unsigned number, decimal or hexadecimal with `0x`.
    pub fn as_u64(&self) -> Option<u64> {
        let text = std::str::from_utf8(&self.text).ok()?;
        match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) if !hex.starts_with('+') => u64::from_str_radix(hex, 16).ok(),
            Some(_) => None,
            None if text.starts_with('+') => None,
            None => text.parse().ok(),
        }
    }

    /// The value as a number, decimal with or without a sign, or hexadecimal with `0x`.
    pub fn as_i64(&self) -> Option<i64> {
        match self.text.as_slice() {
            [b'-', ..] => std::str::from_utf8(&self.text).ok()?.parse().ok(),
            _ => self.as_u64().and_then(|number| i64::try_from(number).ok()),
        }
    }

    /// The value as a boolean: ON or OFF, and leniently TRUE or FALSE.
    pub fn as_bool(&self) -> Option<bool> {
        if self.is("ON") || self.is("TRUE") {
            Some(true)
        } else if self.is("OFF") || self.is("FALSE") {
            Some(false)
        } else {
            None
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quoted {
            write!(f, "{:?}", self.as_str())
        } else {
            f.write_str(&self.as_str())
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::symbol(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::symbol(number.to_string())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::from(u64::from(number))
    }
}

impl From<bool> for Value {
    fn from(on: bool) -> Self {
        Self::symbol(if on { "ON" } else { "OFF" })
    }
}

/// SafeChar, Annex B.2: may stand in a VALUE without quotation marks.
pub(crate) const fn is_safe_char(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(
            octet,
            b'+' | b'-'
                | b'&'
                | b'!'
                | b'_'
                | b'/'
                | b'\''
                | b'?'
                | b'@'
                | b'^'
                | b'`'
                | b'~'
                | b'*'
                | b'$'
                | b'\\'
                | b'('
                | b')'
                | b'%'
                | b'|'
                | b'.'
        )
}

/// parmValue: how a property or parameter is related to its values, Annex B.2 and the comment on
/// PropertyParm in A.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ParmValue {
    /// `= value`; `= $` asks the MG to choose.
    Equal(Value),
    /// `# value`: any other.
    NotEqual(Value),
    /// `< value`.
    Less(Value),
    /// `> value`.
    Greater(Value),
    /// `= {a, b}`: one of these, in order of preference.
    OneOf(Vec<Value>),
    /// `= [a, b]`: a list-valued property with all of these.
    List(Vec<Value>),
    /// `= [low : high]`, both included.
    Range(Value, Value),
}

impl ParmValue {
    /// The value of `= value`, else `None`.
    pub fn as_single(&self) -> Option<&Value> {
        match self {
            Self::Equal(value) => Some(value),
            _ => None,
        }
    }

    /// The values of `= value` and `= [a, b]`, else nothing.
    pub fn as_list(&self) -> &[Value] {
        match self {
            Self::Equal(value) => std::slice::from_ref(value),
            Self::List(values) => values,
            _ => &[],
        }
    }
}

impl<V: Into<Value>> From<V> for ParmValue {
    fn from(value: V) -> Self {
        Self::Equal(value.into())
    }
}

/// propertyParm: a property of a package with its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PropertyParm {
    /// Which property.
    pub name: PkgdName,
    /// What it is to be, or is.
    pub value: ParmValue,
}

impl PropertyParm {
    /// The property `name` with `value`.
    pub fn new(name: impl Into<PkgdName>, value: impl Into<ParmValue>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// Parameter of an event or a signal: a name within its package's definition and a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameter {
    /// Which parameter.
    pub name: Name,
    /// Its value.
    pub value: ParmValue,
}

impl Parameter {
    /// The parameter `name` with `value`.
    pub fn new(name: impl Into<Name>, value: impl Into<ParmValue>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// What a Local or Remote descriptor holds: session descriptions (SDP) as received.
///
/// The braces around it take white space with them, so the octets start at the first that is none
/// and end with the line end that follows the last. Closing braces are plain here; the text
/// encoding escapes them. Octet 0 cannot be carried and is left out.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct OctetString(Vec<u8>);

impl OctetString {
    /// These octets, less the surrounding white space.
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        let mut octets: Vec<u8> = octets.into();
        if octets.contains(&0) {
            octets.retain(|&octet| octet != 0);
        }
        Self::from_lines(octets)
    }

    /// `octets`, of which none is 0, less the surrounding white space.
    pub(crate) fn from_lines(mut octets: Vec<u8>) -> Self {
        let inner = inner(&octets);
        octets.truncate(inner.end);
        if inner.start > 0 {
            octets.drain(..inner.start);
        }
        Self(octets)
    }

    /// `octets` without octet 0, less the surrounding white space.
    pub(crate) fn from_plain(octets: &[u8]) -> Self {
        Self(octets[inner(octets)].to_vec())
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// True for `Local{}`: nothing reserved, or nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where the octets are that remain without the surrounding white space, but for the last line end.
fn inner(octets: &[u8]) -> std::ops::Range<usize> {
    let rest = octets.trim_ascii_start();
    let start = octets.len() - rest.len();
    let last = start + rest.trim_ascii_end().len();
    let line_end = match &octets[last..] {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => 0,
    };
    start..last + line_end
}

impl From<&str> for OctetString {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<Vec<u8>> for OctetString {
    fn from(octets: Vec<u8>) -> Self {
        Self::new(octets)
    }
}

impl fmt::Debug for OctetString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}
