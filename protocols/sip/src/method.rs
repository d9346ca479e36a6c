//! Methods of requests.

use std::fmt;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)?) => {
        /// Method of a request (RFC 3261 7.1). Comparison is case-sensitive, as the RFC has it.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            /// Any other token, kept as it was spelled.
            Other(Box<str>),
        }

        impl Method {
            /// Methods with a variant of their own.
            pub const KNOWN: &'static [Method] = &[$(Method::$variant),*];

            /// The method as it stands in a request line.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$variant => $text,)*
                    Method::Other(text) => text,
                }
            }

            fn known(text: &[u8]) -> Option<Method> {
                $(if text == $text.as_bytes() { return Some(Method::$variant); })*
                None
            }
        }
    };
}

methods! {
    /// RFC 3261 13.
    Invite = "INVITE",
    /// RFC 3261 13, 17.
    Ack = "ACK",
    /// RFC 3261 15.
    Bye = "BYE",
    /// RFC 3261 9.
    Cancel = "CANCEL",
    /// RFC 3261 10.
    Register = "REGISTER",
    /// RFC 3261 11.
    Options = "OPTIONS",
    /// RFC 3262.
    Prack = "PRACK",
    /// RFC 3311.
    Update = "UPDATE",
    /// RFC 6665.
    Subscribe = "SUBSCRIBE",
    /// RFC 6665.
    Notify = "NOTIFY",
    /// RFC 3903.
    Publish = "PUBLISH",
    /// RFC 3428.
    Message = "MESSAGE",
    /// RFC 3515.
    Refer = "REFER",
    /// RFC 6086.
    Info = "INFO",
}

impl Method {
    /// The method spelled by `text`, `None` when `text` is not a token (RFC 3261 25.1).
    pub fn parse(text: &str) -> Option<Method> {
        Method::known(text.as_bytes())
            .or_else(|| crate::scan::is_token(text.as_bytes()).then(|| Method::Other(text.into())))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<str> for Method {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Method {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_method_survives_print_and_parse() {
        for method in Method::KNOWN {
            assert_eq!(Method::parse(method.as_str()).as_ref(), Some(method));
        }
    }

    #[test]
    fn methods_are_case_sensitive_tokens() {
        assert_eq!(
            Method::parse("invite"),
            Some(Method::Other("invite".into()))
        );
        assert_eq!(Method::parse("IN VITE"), None);
        assert_eq!(Method::parse(""), None);
    }
}
