//! Ethernet II frames with at most one tag of IEEE 802.1Q.

use crate::Error;

/// An IEEE 802 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Every station.
    pub const BROADCAST: MacAddress = MacAddress([0xff; 6]);

    /// True for groups, the broadcast address among them.
    #[must_use]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl std::fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What a frame carries, by its EtherType.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4, RFC 894.
    pub const IPV4: EtherType = EtherType(0x0800);
    /// ARP, RFC 826.
    pub const ARP: EtherType = EtherType(0x0806);
    /// A customer VLAN tag, IEEE 802.1Q.
    pub const VLAN: EtherType = EtherType(0x8100);
    /// IPv6, RFC 2464.
    pub const IPV6: EtherType = EtherType(0x86dd);
}

mod field {
    use std::ops::Range;

    pub(super) const DESTINATION: Range<usize> = 0..6;
    pub(super) const SOURCE: Range<usize> = 6..12;
    pub(super) const TYPE: Range<usize> = 12..14;
    pub(super) const TAG_CONTROL: Range<usize> = 14..16;
    pub(super) const TAGGED_TYPE: Range<usize> = 16..18;
}

/// Bytes of a header without a tag.
pub const HEADER_BYTES: usize = field::TYPE.end;
/// Bytes of a header with a tag.
pub const TAGGED_HEADER_BYTES: usize = field::TAGGED_TYPE.end;
/// The part of the tag that is the VLAN identifier; above it priority and drop eligibility.
pub const VLAN_MASK: u16 = 0x0fff;

/// A received frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    header_bytes: usize,
}

impl<'a> Frame<'a> {
    /// Checks the lengths.
    ///
    /// # Errors
    /// `Truncated`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut header_bytes = HEADER_BYTES;
        if bytes.len() < header_bytes {
            return Err(Error::Truncated);
        }
        if be16(bytes, field::TYPE.start) == EtherType::VLAN.0 {
            header_bytes = TAGGED_HEADER_BYTES;
        }
        if bytes.len() < header_bytes {
            return Err(Error::Truncated);
        }
        Ok(Self {
            bytes,
            header_bytes,
        })
    }

    /// Whom it is for.
    #[must_use]
    pub fn destination(&self) -> MacAddress {
        mac(&self.bytes[field::DESTINATION])
    }

    /// Who sent it.
    #[must_use]
    pub fn source(&self) -> MacAddress {
        mac(&self.bytes[field::SOURCE])
    }

    /// True of a header without a tag before IPv4.
    #[inline]
    pub(crate) fn is_ipv4(header: &[u8; HEADER_BYTES]) -> bool {
        be16(header, field::TYPE.start) == EtherType::IPV4.0
    }

    /// The VLAN identifier of its tag; 0 in a tag means none, IEEE 802.1Q 9.6.
    #[must_use]
    #[inline]
    pub fn vlan(&self) -> Option<u16> {
        let tagged = self.header_bytes == TAGGED_HEADER_BYTES;
        let vlan = tagged.then(|| be16(self.bytes, field::TAG_CONTROL.start) & VLAN_MASK);
        vlan.filter(|vlan| *vlan != 0)
    }

    /// What it carries.
    #[must_use]
    #[inline]
    pub fn ether_type(&self) -> EtherType {
        EtherType(be16(self.bytes, self.header_bytes - 2))
    }

    /// Bytes before the payload.
    #[must_use]
    #[inline]
    pub fn header_bytes(&self) -> usize {
        self.header_bytes
    }

    /// What it carries; padding to the minimum of 60 bytes included.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.header_bytes..]
    }
}

/// The header of frames to one station, without its EtherType.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    bytes: [u8; TAGGED_HEADER_BYTES],
    header_bytes: u8,
}

impl Link {
    /// From `source` to `destination`, with a tag when `vlan` is given.
    #[must_use]
    pub fn new(destination: MacAddress, source: MacAddress, vlan: Option<u16>) -> Self {
        let mut bytes = [0; TAGGED_HEADER_BYTES];
        bytes[field::DESTINATION].copy_from_slice(&destination.0);
        bytes[field::SOURCE].copy_from_slice(&source.0);
        let mut header_bytes = HEADER_BYTES;
        if let Some(vlan) = vlan {
            bytes[field::TYPE].copy_from_slice(&EtherType::VLAN.0.to_be_bytes());
            bytes[field::TAG_CONTROL].copy_from_slice(&(vlan & VLAN_MASK).to_be_bytes());
            header_bytes = TAGGED_HEADER_BYTES;
        }
        Self {
            bytes,
            header_bytes: header_bytes as u8,
        }
    }

    /// Bytes that [`Link::write_to`] writes.
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        usize::from(self.header_bytes)
    }

    /// Writes the header at the beginning of `buffer`; false when that is too short.
    #[must_use]
    #[inline]
    pub fn write_to(&self, buffer: &mut [u8], ether_type: EtherType) -> bool {
        let bytes = self.header_bytes();
        let Some(header) = buffer.get_mut(..bytes) else {
            return false;
        };
        header.copy_from_slice(&self.bytes[..bytes]);
        header[bytes - 2..].copy_from_slice(&ether_type.0.to_be_bytes());
        true
    }

    /// Writes the header to the end of a buffer; returns where it begins, `None` when it does not
    /// fit.
    #[inline]
    pub(crate) fn write_at_end(&self, buffer: &mut [u8], ether_type: EtherType) -> Option<usize> {
        let bytes = self.header_bytes();
        if bytes != HEADER_BYTES {
            let start = buffer.len().checked_sub(bytes)?;
            return self
                .write_to(&mut buffer[start..], ether_type)
                .then_some(start);
        }
        // Of a constant length, so that no function is called for the copying.
        let (before, header) = buffer.split_last_chunk_mut::<HEADER_BYTES>()?;
        header.copy_from_slice(&self.bytes[..HEADER_BYTES]);
        header[field::TYPE].copy_from_slice(&ether_type.0.to_be_bytes());
        Some(before.len())
    }
}

pub(crate) fn mac(bytes: &[u8]) -> MacAddress {
    let mut address = MacAddress::default();
    address.0.copy_from_slice(bytes);
    address
}

/// The big-endian field at `offset`, which the caller has checked.
#[inline]
pub(crate) fn be16(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes([bytes[offset], bytes[offset + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xa]);
    const B: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xb]);

    #[test]
    fn what_is_written_is_read_with_and_without_a_tag() {
        for (vlan, header_bytes) in [(None, 14), (Some(100), 18), (Some(4095), 18)] {
            let mut bytes = [0x55; 20];
            let link = Link::new(A, B, vlan);
            assert!(link.write_to(&mut bytes, EtherType::IPV6));
            let frame = Frame::new(&bytes).unwrap();
            assert_eq!((frame.destination(), frame.source()), (A, B));
            assert_eq!((frame.vlan(), frame.ether_type()), (vlan, EtherType::IPV6));
            assert_eq!(frame.header_bytes(), header_bytes);
            assert_eq!(frame.payload(), &[0x55; 6][..20 - header_bytes]);
        }
    }

    #[test]
    fn a_priority_tag_names_no_vlan() {
        let mut bytes = [0; 18];
        assert!(Link::new(A, B, Some(0)).write_to(&mut bytes, EtherType::IPV4));
        bytes[14] = 0xe0;
        let frame = Frame::new(&bytes).unwrap();
        assert_eq!((frame.vlan(), frame.ether_type()), (None, EtherType::IPV4));
    }

    #[test]
    fn a_short_frame_or_buffer_is_refused() {
        let mut bytes = [0; 18];
        let link = Link::new(A, B, Some(1));
        assert!(!link.write_to(&mut bytes[..17], EtherType::IPV4));
        assert!(link.write_to(&mut bytes, EtherType::IPV4));
        for length in 0..18 {
            assert_eq!(Frame::new(&bytes[..length]).err(), Some(Error::Truncated));
        }
        assert!(Frame::new(&bytes).is_ok());
    }

    #[test]
    fn addresses_are_written_as_usual() {
        assert_eq!(A.to_string(), "02:00:00:00:00:0a");
        assert!(MacAddress::BROADCAST.is_group() && !A.is_group());
    }
}
