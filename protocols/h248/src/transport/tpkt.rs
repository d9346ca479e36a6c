//! TPKT: messages in a stream of octets, RFC 1006 6 as Annex D.2 uses it.
//!
//! ```
//! use h248::transport::tpkt::{self, Framer};
//!
//! let mut stream = tpkt::frame(b"!/3 [192.0.2.1] ...").unwrap();
//! stream.extend(tpkt::frame(b"!/3 [192.0.2.1] more").unwrap());
//! let mut framer = Framer::default();
//! // Octets come as the network likes.
//! framer.push(&stream[..7]);
//! assert_eq!(framer.next_message(), Ok(None));
//! framer.push(&stream[7..]);
//! assert_eq!(framer.next_message(), Ok(Some(&b"!/3 [192.0.2.1] ..."[..])));
//! assert_eq!(framer.next_message(), Ok(Some(&b"!/3 [192.0.2.1] more"[..])));
//! assert_eq!(framer.next_message(), Ok(None));
//! ```

use std::fmt;

/// Octets before the message: version, reserved, and the length of all, in network order.
pub const HEADER_LEN: usize = 4;

/// Longest message that a TPKT holds.
pub const MESSAGE_LEN_MAX: usize = u16::MAX as usize - HEADER_LEN;

/// The version, `vrsn`.
const VERSION: u8 = 3;

/// The message with its header; `None` when it is too long.
pub fn frame(message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len() + HEADER_LEN).ok()?;
    let mut framed = Vec::with_capacity(usize::from(length));
    framed.extend_from_slice(&[VERSION, 0]);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    Some(framed)
}

/// Takes a stream apart.
///
/// Holds a part of one message at most, and what was pushed since it was asked for messages last.
#[derive(Debug, Default)]
pub struct Framer {
    octets: Vec<u8>,
    /// Octets of these that were given away.
    taken: usize,
}

impl Framer {
    /// Takes what came. [`Framer::next_message`] is to be called until it gives none.
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.drain(..self.taken);
        self.taken = 0;
        self.octets.extend_from_slice(octets);
    }

    /// The next whole message; `None` until more has come. It may be empty.
    ///
    /// # Errors
    /// What stands there is no TPKT: the stream cannot be read any further.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, NotTpkt> {
        let rest = &self.octets[self.taken..];
        if rest.first().is_some_and(|&version| version != VERSION) {
            return Err(NotTpkt);
        }
        let Some(&[_, _, high, low]) = rest.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < HEADER_LEN {
            return Err(NotTpkt);
        }
        if rest.len() < length {
            return Ok(None);
        }
        let start = self.taken + HEADER_LEN;
        self.taken += length;
        Ok(Some(&self.octets[start..self.taken]))
    }
}

/// The stream holds something else than TPKTs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTpkt;

impl fmt::Display for NotTpkt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a TPKT (RFC 1006)")
    }
}

impl std::error::Error for NotTpkt {}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(framer: &mut Framer) -> Result<Vec<Vec<u8>>, NotTpkt> {
        let mut all = Vec::new();
        while let Some(message) = framer.next_message()? {
            all.push(message.to_vec());
        }
        Ok(all)
    }

    #[test]
    fn the_header_is_that_of_rfc_1006() {
        assert_eq!(frame(b"abc").unwrap(), b"\x03\x00\x00\x07abc");
        let longest = vec![7; MESSAGE_LEN_MAX];
        assert_eq!(frame(&longest).unwrap()[..4], [3, 0, 0xff, 0xff]);
        assert_eq!(frame(&vec![7; MESSAGE_LEN_MAX + 1]), None);
    }

    #[test]
    fn messages_come_out_whole_however_the_stream_is_cut() {
        let sent: Vec<Vec<u8>> = vec![b"one".to_vec(), vec![], vec![9; 300], b"last".to_vec()];
        let stream: Vec<u8> = sent.iter().flat_map(|each| frame(each).unwrap()).collect();
        for size in 1..=stream.len() {
            let mut framer = Framer::default();
            let mut received = Vec::new();
            for part in stream.chunks(size) {
                framer.push(part);
                received.extend(messages(&mut framer).unwrap());
            }
            assert_eq!(received, sent, "{size} at a time");
        }
        for cut in 0..stream.len() {
            let mut framer = Framer::default();
            framer.push(&stream[..cut]);
            let before = messages(&mut framer).unwrap();
            framer.push(&stream[cut..]);
            let after = messages(&mut framer).unwrap();
            assert_eq!([before, after].concat(), sent, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_tpkt_is_refused_at_its_first_octet() {
        for stream in [&b"MEGACO/3"[..], b"\x30\x05", b"\x02\x00\x00\x08abcd"] {
            let mut framer = Framer::default();
            framer.push(stream);
            assert_eq!(framer.next_message(), Err(NotTpkt));
        }
        for length in 0..4 {
            let mut framer = Framer::default();
            framer.push(&frame(b"good").unwrap());
            framer.push(&[3, 0, 0, length, 1, 2, 3]);
            assert_eq!(framer.next_message(), Ok(Some(&b"good"[..])));
            assert_eq!(framer.next_message(), Err(NotTpkt), "length {length}");
        }
    }

    #[test]
    fn flipped_bits_and_noise_do_no_harm() {
        let stream = [frame(b"first").unwrap(), frame(&[5; 40]).unwrap()].concat();
        for bit in 0..stream.len() * 8 {
            let mut flipped = stream.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut framer = Framer::default();
            framer.push(&flipped);
            let _ = messages(&mut framer);
            assert!(framer.octets.len() - framer.taken <= flipped.len());
        }
    }

    #[test]
    fn what_was_given_away_is_not_kept() {
        let mut framer = Framer::default();
        for _ in 0..100 {
            framer.push(&frame(&[1; 1000]).unwrap());
            assert_eq!(messages(&mut framer).unwrap().len(), 1);
        }
        assert!(framer.octets.capacity() < 10_000);
    }
}
