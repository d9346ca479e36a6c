//! Messages out of a byte stream.

use crate::error::Error;
use crate::message::{HEADER_BYTES, MESSAGE_BYTES_MAX, be24, field};

/// Cuts a TCP stream into messages (RFC 6733 2.1, 3).
///
/// Holds at most one unfinished message and what was last pushed. After an error the stream has no
/// more message boundaries: the connection is to be closed.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    start: usize,
}

impl Framer {
    /// Adds what was read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; `None` when more must be read. Call until then after each `push`.
    ///
    /// # Errors
    /// `UnsupportedVersion`; `InvalidMessageLength` below a header or beyond [`MESSAGE_BYTES_MAX`],
    /// found in the first four octets, before anything is stored for the message.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let bytes = &self.buffer[self.start..];
        let Some(prefix) = bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        if prefix[field::VERSION] != 1 {
            return Err(Error::UnsupportedVersion(prefix[field::VERSION]));
        }
        let length = be24(&prefix[field::LENGTH]);
        if !(HEADER_BYTES..=MESSAGE_BYTES_MAX).contains(&length) || !length.is_multiple_of(4) {
            return Err(Error::InvalidMessageLength(length));
        }
        let Some(message) = bytes.get(..length) else {
            return Ok(None);
        };
        let message = message.to_vec();
        self.start += length;
        Ok(Some(message))
    }

    /// What follows the last message taken.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{CommandFlags, Header};
    use crate::writer::Writer;

    fn watchdog(hop_by_hop: u32) -> Vec<u8> {
        let header = Header {
            flags: CommandFlags(CommandFlags::REQUEST),
            command: 280,
            application: 0,
            hop_by_hop,
            end_to_end: 1,
        };
        Writer::new(header).finish().unwrap()
    }

    #[test]
    fn messages_come_out_whole_however_the_stream_is_cut() {
        let stream: Vec<u8> = (0..5).flat_map(watchdog).collect();
        for cut in 1..stream.len() {
            let mut framer = Framer::default();
            let mut messages = Vec::new();
            for part in stream.chunks(cut) {
                framer.push(part);
                while let Some(message) = framer.next_message().unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages.concat(), stream);
            assert_eq!(messages.len(), 5);
            assert!(framer.rest().is_empty());
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_before_it_is_awaited() {
        for length in [0, 4, 19, 22, MESSAGE_BYTES_MAX + 4, 0xff_ffff] {
            let mut framer = Framer::default();
            let length_field = (length as u32).to_be_bytes();
            framer.push(&[1, length_field[1], length_field[2], length_field[3]]);
            assert_eq!(
                framer.next_message(),
                Err(Error::InvalidMessageLength(length))
            );
        }
        let mut framer = Framer::default();
        framer.push(b"GET / HTTP/1.1\r\n");
        assert_eq!(framer.next_message(), Err(Error::UnsupportedVersion(b'G')));
    }
}
