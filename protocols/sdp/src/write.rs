//! Writing piece by piece, without the machinery of `fmt`, which costs more than what it writes.

use std::fmt;
use std::net::IpAddr;

/// Takes a text in pieces.
pub(crate) trait Sink {
    /// The next piece.
    fn text(&mut self, text: &str);

    /// A number in decimal digits.
    fn number(&mut self, number: u64) {
        self.text(itoa::Buffer::new().format(number));
    }

    /// An IP address.
    fn ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                self.number(u64::from(a));
                for octet in [b, c, d] {
                    self.text(".");
                    self.number(u64::from(octet));
                }
            }
            IpAddr::V6(ip) => self.text(&ip.to_string()),
        }
    }
}

impl Sink for String {
    fn text(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Sink for Vec<u8> {
    fn text(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

/// A value with a written form.
pub(crate) trait Written {
    /// Writes it, piece by piece.
    fn write(&self, out: &mut impl Sink);

    /// True when `text` is what it is written as.
    fn is_written_as(&self, text: &str) -> bool {
        let mut rest = Rest(Some(text));
        self.write(&mut rest);
        rest.0 == Some("")
    }

    /// Writes it for [`fmt::Display`].
    fn format(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Formatted(f, Ok(()));
        self.write(&mut out);
        out.1
    }
}

/// What is left of a text of which all that was written so far was the beginning.
struct Rest<'a>(Option<&'a str>);

impl Sink for Rest<'_> {
    fn text(&mut self, text: &str) {
        self.0 = self.0.and_then(|rest| rest.strip_prefix(text));
    }
}

/// A formatter, and how it went.
struct Formatted<'a, 'f>(&'a mut fmt::Formatter<'f>, fmt::Result);

impl Sink for Formatted<'_, '_> {
    fn text(&mut self, text: &str) {
        self.1 = self.1.and_then(|()| self.0.write_str(text));
    }
}

/// Displays types as they are written.
macro_rules! display {
    ($($written:ty),+ $(,)?) => {$(
        impl std::fmt::Display for $written {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::write::Written::format(self, f)
            }
        }
    )+};
}
pub(crate) use display;
