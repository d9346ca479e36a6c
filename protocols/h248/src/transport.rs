//! What carries messages: UDP and TCP (Annex D of H.248.1), SCTP (H.248.4).

pub mod sctp;
pub mod tpkt;

use std::fmt;
use std::str::FromStr;

use crate::encoding::Encoding;
use crate::text::Style;
use crate::transaction::Transport;

/// Port of text over any transport where no other is named, Annex D.1.
pub const TEXT_PORT: u16 = 2944;

/// Port of binary likewise.
pub const BINARY_PORT: u16 = 2945;

/// A transport protocol for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// One message a datagram, Annex D.1.
    Udp,
    /// Messages in TPKTs, Annex D.2.
    Tcp,
    /// One message a message, H.248.4.
    Sctp,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Protocol; 3] = [Protocol::Udp, Protocol::Tcp, Protocol::Sctp];

    /// The name in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
            Protocol::Sctp => "sctp",
        }
    }

    /// What it does with messages.
    pub const fn transport(self) -> Transport {
        match self {
            Protocol::Udp => Transport::Datagram,
            Protocol::Tcp | Protocol::Sctp => Transport::Reliable,
        }
    }
}

/// How associations are carried, as people write it: an encoding and transports in any order, each
/// of which may be left out: `compact,udp`, `ber,tcp`, `pretty`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carriage {
    /// How our messages are encoded, where the peer has not chosen.
    pub encoding: Option<Encoding>,
    /// The transports, in the order named.
    pub protocols: Vec<Protocol>,
}

impl FromStr for Carriage {
    type Err = UnknownCarriage;

    fn from_str(text: &str) -> Result<Self, UnknownCarriage> {
        let mut carriage = Carriage::default();
        for word in text.split(',').map(str::trim) {
            let wrong = || UnknownCarriage(word.to_owned());
            if let Some(encoding) = encoding(word) {
                if carriage.encoding.replace(encoding).is_some() {
                    return Err(wrong());
                }
                continue;
            }
            let mut all = Protocol::ALL.into_iter();
            let protocol = all.find(|protocol| protocol.name() == word);
            let protocol = protocol.ok_or_else(wrong)?;
            if carriage.protocols.contains(&protocol) {
                return Err(wrong());
            }
            carriage.protocols.push(protocol);
        }
        Ok(carriage)
    }
}

fn encoding(word: &str) -> Option<Encoding> {
    Some(match word {
        "compact" => Encoding::Text(Style::Compact),
        "pretty" => Encoding::Text(Style::Pretty),
        "ber" => Encoding::Binary,
        _ => return None,
    })
}

/// A word that is neither an encoding nor a transport, or one too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCarriage(pub String);

impl fmt::Display for UnknownCarriage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}: give one of compact, pretty and ber, and transports of udp, tcp and sctp, as in \
             \"compact,tcp\"",
            self.0
        )
    }
}

impl std::error::Error for UnknownCarriage {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_and_transports_come_in_any_order() {
        for (text, encoding, protocols) in [
            (
                "compact,udp",
                Some(Encoding::Text(Style::Compact)),
                vec![Protocol::Udp],
            ),
            ("tcp,ber", Some(Encoding::Binary), vec![Protocol::Tcp]),
            ("pretty", Some(Encoding::Text(Style::Pretty)), vec![]),
            ("udp, tcp", None, vec![Protocol::Udp, Protocol::Tcp]),
            ("sctp,ber", Some(Encoding::Binary), vec![Protocol::Sctp]),
        ] {
            let carriage = Carriage {
                encoding,
                protocols,
            };
            assert_eq!(text.parse(), Ok(carriage), "{text}");
        }
    }

    #[test]
    fn unknown_words_and_repetitions_are_named() {
        for (text, word) in [
            ("", ""),
            ("xml", "xml"),
            ("ber,", ""),
            ("ber,compact", "compact"),
            ("tcp,tcp", "tcp"),
            ("BER", "BER"),
        ] {
            let fault = text.parse::<Carriage>().unwrap_err();
            assert_eq!(fault, UnknownCarriage(word.to_owned()), "{text}");
        }
    }
}
