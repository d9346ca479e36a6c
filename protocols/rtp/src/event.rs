//! Telephone events, RFC 4733.

use crate::error::Error;

mod field {
    pub const EVENT: usize = 0;
    pub const END_VOLUME: usize = 1;
    pub const DURATION: usize = 2;
    pub const BYTES: usize = 4;

    pub const END: u8 = 0x80;
    pub const VOLUME: u8 = 0x3f;
}

/// The payload of a telephone-event packet, RFC 4733 2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// 0 to 9 digits, 10 `*`, 11 `#`, 12 to 15 A to D, 16 hook flash.
    pub code: u8,
    /// Last packet of the event; sent three times.
    pub end: bool,
    /// Power of a tone in -dBm0, 0 to 63.
    pub volume: u8,
    /// From the beginning of the event (the RTP timestamp), in ticks.
    pub duration: u16,
}

impl Event {
    /// Bytes of the payload.
    pub const BYTES: usize = field::BYTES;

    /// Reads the first event of a payload.
    ///
    /// # Errors
    /// [`Error::Truncated`] when it is shorter than one.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let event = payload.get(..field::BYTES).ok_or(Error::Truncated)?;
        Ok(Self {
            code: event[field::EVENT],
            end: event[field::END_VOLUME] & field::END != 0,
            volume: event[field::END_VOLUME] & field::VOLUME,
            duration: u16::from_be_bytes([event[field::DURATION], event[field::DURATION + 1]]),
        })
    }

    /// The payload.
    pub fn to_bytes(self) -> [u8; field::BYTES] {
        let end = if self.end { field::END } else { 0 };
        let [high, low] = self.duration.to_be_bytes();
        [self.code, end | self.volume & field::VOLUME, high, low]
    }

    /// The key of a DTMF event.
    pub fn digit(self) -> Option<char> {
        "0123456789*#ABCD".chars().nth(usize::from(self.code))
    }

    /// The event of a DTMF key.
    pub fn code_of(digit: char) -> Option<u8> {
        let digit = digit.to_ascii_uppercase();
        "0123456789*#ABCD".find(digit).map(|code| code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_and_read() {
        // The digit 9 ending after 1 600 ticks at -7 dBm0.
        let bytes = [9, 0x87, 0x06, 0x40];
        let event = Event::parse(&bytes).unwrap();
        let expected = Event {
            code: 9,
            end: true,
            volume: 7,
            duration: 1600,
        };
        assert_eq!(event, expected);
        assert_eq!(event.to_bytes(), bytes);
        assert_eq!(event.digit(), Some('9'));
        assert_eq!(Event::parse(&bytes[..3]), Err(Error::Truncated));
    }

    #[test]
    fn keys_have_codes() {
        for code in 0..16 {
            let event = Event {
                code,
                end: false,
                volume: 0,
                duration: 0,
            };
            assert_eq!(event.digit().and_then(Event::code_of), Some(code));
        }
        assert_eq!(Event::code_of('x'), None);
        let flash = Event {
            code: 16,
            end: false,
            volume: 0,
            duration: 0,
        };
        assert_eq!(flash.digit(), None);
    }
}
