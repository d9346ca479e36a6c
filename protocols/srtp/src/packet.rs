//! What SRTP reads of a packet: the fields that stay in the clear.

use crate::error::Error;

/// The clear fields of an RTP packet (RFC 3550 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtpFields {
    pub sequence: u16,
    pub ssrc: u32,
    /// Octets before the payload: fixed header, contributing sources, extension.
    pub header: usize,
}

impl RtpFields {
    pub fn parse(packet: &[u8]) -> Result<Self, Error> {
        let fixed: &[u8; RTP_HEADER_BYTES] = packet.first_chunk().ok_or(Error::Malformed)?;
        if fixed[0] & VERSION_MASK != VERSION_2 {
            return Err(Error::Malformed);
        }
        let mut header = RTP_HEADER_BYTES + 4 * usize::from(fixed[0] & CSRC_COUNT);
        if fixed[0] & EXTENSION != 0 {
            let words = packet.get(header + 2..header + 4).ok_or(Error::Malformed)?;
            header += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        if header > packet.len() {
            return Err(Error::Malformed);
        }
        Ok(Self {
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            header,
        })
    }
}

/// The sender of an RTCP packet (RFC 3550 6.1).
pub(crate) fn rtcp_sender(packet: &[u8]) -> Result<u32, Error> {
    let fixed: &[u8; RTCP_HEADER_BYTES] = packet.first_chunk().ok_or(Error::Malformed)?;
    if fixed[0] & VERSION_MASK != VERSION_2 {
        return Err(Error::Malformed);
    }
    Ok(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]))
}

const RTP_HEADER_BYTES: usize = 12;

/// Header of the first packet of a compound and its SSRC: what SRTCP leaves in the clear.
pub(crate) const RTCP_HEADER_BYTES: usize = 8;

const VERSION_MASK: u8 = 0xc0;
const VERSION_2: u8 = 0x80;
const EXTENSION: u8 = 0x10;
const CSRC_COUNT: u8 = 0x0f;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_ends_after_contributing_sources_and_extension() {
        let mut packet = [0; 36];
        packet[0] = 0x92;
        packet[3] = 7;
        packet[11] = 9;
        packet[23] = 1;
        let fields = RtpFields::parse(&packet).unwrap();
        assert_eq!((fields.sequence, fields.ssrc, fields.header), (7, 9, 28));
        assert_eq!(RtpFields::parse(&packet[..27]), Err(Error::Malformed));
        assert_eq!(RtpFields::parse(&packet[..23]), Err(Error::Malformed));
        assert_eq!(RtpFields::parse(&packet[..11]), Err(Error::Malformed));
        packet[0] = 0x12;
        assert_eq!(RtpFields::parse(&packet), Err(Error::Malformed));
        assert_eq!(rtcp_sender(&[0x80, 201, 0, 1, 0, 0, 1, 2]), Ok(0x102));
        assert_eq!(
            rtcp_sender(&[0x80, 201, 0, 1, 0, 0, 1]),
            Err(Error::Malformed)
        );
        assert_eq!(
            rtcp_sender(&[0x40, 201, 0, 1, 0, 0, 1, 2]),
            Err(Error::Malformed)
        );
    }
}
