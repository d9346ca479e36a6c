//! The message: header and AVPs as a view of the received bytes, RFC 6733 3 and 4.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base::Instant;

use crate::dictionary;
use crate::error::{Error, FailedAvp};

/// Where the fields of the header stand, RFC 6733 3.
pub(crate) mod field {
    use std::ops::{Range, RangeFrom};

    pub const VERSION: usize = 0;
    pub const LENGTH: Range<usize> = 1..4;
    pub const FLAGS: usize = 4;
    pub const COMMAND: Range<usize> = 5..8;
    pub const APPLICATION: Range<usize> = 8..12;
    pub const HOP_BY_HOP: Range<usize> = 12..16;
    pub const END_TO_END: Range<usize> = 16..20;
    pub const AVPS: RangeFrom<usize> = 20..;
}

/// Octets of the message header.
pub const HEADER_BYTES: usize = 20;

/// The longest message sent or accepted. Cx profiles are some tens of kilobytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// AVPs side by side in one message or one Grouped AVP.
pub const AVPS_MAX: usize = 4096;

const _: () = assert!(MESSAGE_BYTES_MAX < 1 << 24, "the length field has 24 bits");
const _: () = assert!(MESSAGE_BYTES_MAX.is_multiple_of(4));

/// The Diameter header, RFC 6733 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Command Flags.
    pub flags: CommandFlags,
    /// Command Code.
    pub command: u32,
    /// Application-ID.
    pub application: u32,
    /// Hop-by-Hop Identifier.
    pub hop_by_hop: u32,
    /// End-to-End Identifier.
    pub end_to_end: u32,
}

/// Command Flags, RFC 6733 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandFlags(pub u8);

impl CommandFlags {
    /// R: a request.
    pub const REQUEST: u8 = 0x80;
    /// P: may be proxied, relayed or redirected.
    pub const PROXIABLE: u8 = 0x40;
    /// E: an answer that holds a protocol error and need not follow the command's grammar.
    pub const ERROR: u8 = 0x20;
    /// T: possibly sent before, over another connection.
    pub const RETRANSMITTED: u8 = 0x10;

    /// R.
    pub const fn is_request(self) -> bool {
        self.0 & Self::REQUEST != 0
    }

    /// P.
    pub const fn is_proxiable(self) -> bool {
        self.0 & Self::PROXIABLE != 0
    }

    /// E.
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR != 0
    }

    /// T.
    pub const fn is_retransmitted(self) -> bool {
        self.0 & Self::RETRANSMITTED != 0
    }
}

impl Header {
    /// Reads the header of `bytes` and checks version and length.
    ///
    /// # Errors
    /// `UnsupportedVersion`; `InvalidMessageLength` where the length field is not that of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Header, Error> {
        let invalid_length = || Error::InvalidMessageLength(bytes.len());
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or_else(invalid_length)?;
        if header[field::VERSION] != 1 {
            return Err(Error::UnsupportedVersion(header[field::VERSION]));
        }
        let length = be24(&header[field::LENGTH]);
        if length != bytes.len() || !length.is_multiple_of(4) || length > MESSAGE_BYTES_MAX {
            return Err(Error::InvalidMessageLength(length));
        }
        Ok(Header::read(header))
    }

    /// The header whatever its version and length are.
    pub(crate) fn read(header: &[u8; HEADER_BYTES]) -> Header {
        Header {
            flags: CommandFlags(header[field::FLAGS]),
            command: be24(&header[field::COMMAND]) as u32,
            application: be32(&header[field::APPLICATION]),
            hop_by_hop: be32(&header[field::HOP_BY_HOP]),
            end_to_end: be32(&header[field::END_TO_END]),
        }
    }
}

/// A received message whose outermost AVPs lie within it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// The header.
    pub header: Header,
}

impl<'a> Message<'a> {
    /// Reads the header and the boundaries of the outermost AVPs; O(AVPs), nothing is copied.
    ///
    /// # Errors
    /// Those of [`Header::parse`], `InvalidAvpLength`, `InvalidAvpBits`, and `Limit` beyond
    /// [`AVPS_MAX`].
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Error> {
        let header = Header::parse(bytes)?;
        Avps::parse(&bytes[field::AVPS])?;
        Ok(Message { bytes, header })
    }

    /// All octets.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The outermost AVPs in their order.
    pub fn avps(&self) -> Avps<'a> {
        Avps(&self.bytes[field::AVPS])
    }

    /// The first AVP of this definition.
    pub fn find(&self, def: &dictionary::AvpDef) -> Option<Avp<'a>> {
        self.avps().find(|avp| avp.is(def))
    }
}

/// AVPs side by side. Ends at the first octet that is not an AVP; those of a [`Message`] are all
/// AVPs.
#[derive(Clone, Copy, Debug)]
pub struct Avps<'a>(pub(crate) &'a [u8]);

impl<'a> Avps<'a> {
    /// Checks that `bytes` are AVPs from the first octet to the last.
    fn parse(bytes: &'a [u8]) -> Result<Avps<'a>, Error> {
        let mut rest = bytes;
        let mut count = 0;
        while !rest.is_empty() {
            (_, rest) = Avp::split(rest)?;
            count += 1;
            if count > AVPS_MAX {
                return Err(Error::Limit("AVPS_MAX"));
            }
        }
        Ok(Avps(bytes))
    }
}

impl<'a> Iterator for Avps<'a> {
    type Item = Avp<'a>;

    fn next(&mut self) -> Option<Avp<'a>> {
        let (avp, rest) = Avp::split(self.0).ok()?;
        self.0 = rest;
        Some(avp)
    }
}

/// AVP Flags, RFC 6733 4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AvpFlags(pub u8);

impl AvpFlags {
    /// V: the header has a Vendor-Id.
    pub const VENDOR: u8 = 0x80;
    /// M: who does not know the AVP must refuse the message.
    pub const MANDATORY: u8 = 0x40;
    /// P: once meant for end-to-end security; ignored.
    pub const PROTECTED: u8 = 0x20;

    /// M.
    pub const fn is_mandatory(self) -> bool {
        self.0 & Self::MANDATORY != 0
    }
}

/// One AVP, RFC 6733 4.1. `data` has no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avp<'a> {
    /// AVP Code.
    pub code: u32,
    /// AVP Flags.
    pub flags: AvpFlags,
    /// Vendor-Id; 0 when the V bit is clear.
    pub vendor: u32,
    /// Data.
    pub data: &'a [u8],
}

const AVP_HEADER_BYTES: usize = 8;
const VENDOR_BYTES: usize = 4;
const RESERVED_BITS: u8 = !(AvpFlags::VENDOR | AvpFlags::MANDATORY | AvpFlags::PROTECTED);

impl<'a> Avp<'a> {
    /// Takes the first AVP off `bytes`.
    fn split(bytes: &'a [u8]) -> Result<(Avp<'a>, &'a [u8]), Error> {
        let Some(header) = bytes.first_chunk::<AVP_HEADER_BYTES>() else {
            let failed = FailedAvp::header(0, AvpFlags::default(), 0, 0);
            return Err(Error::InvalidAvpLength(failed));
        };
        let code = be32(&header[0..4]);
        let flags = AvpFlags(header[4]);
        let length = be24(&header[5..8]);
        let body = &bytes[AVP_HEADER_BYTES..];
        let (vendor, header_bytes) = match (flags.0 & AvpFlags::VENDOR, body.first_chunk()) {
            (0, _) => (0, AVP_HEADER_BYTES),
            (_, Some(vendor)) => (u32::from_be_bytes(*vendor), AVP_HEADER_BYTES + VENDOR_BYTES),
            (_, None) => (0, usize::MAX),
        };
        let Some(data) = bytes.get(header_bytes..length) else {
            let payload_bytes =
                dictionary::find(vendor, code).map_or(0, |def| def.kind.bytes_min());
            let failed = FailedAvp::header(code, flags, vendor, payload_bytes);
            return Err(Error::InvalidAvpLength(failed));
        };
        let avp = Avp {
            code,
            flags,
            vendor,
            data,
        };
        if flags.0 & RESERVED_BITS != 0 {
            return Err(Error::InvalidAvpBits(FailedAvp::of(&avp)));
        }
        // The padding of the last AVP of a group is left out by some; nothing hangs on it.
        let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Ok((avp, rest))
    }

    /// True for the AVP that `def` describes.
    pub fn is(&self, def: &dictionary::AvpDef) -> bool {
        self.code == def.code && self.vendor == def.vendor
    }

    /// Data of exactly `N` octets.
    ///
    /// # Errors
    /// `InvalidAvpLength`.
    pub fn to_array<const N: usize>(&self) -> Result<[u8; N], Error> {
        self.data
            .try_into()
            .map_err(|_| Error::InvalidAvpLength(self.with_payload(N)))
    }

    /// Unsigned32, Integer32, Enumerated, RFC 6733 4.2 and 4.3.1.
    ///
    /// # Errors
    /// `InvalidAvpLength`.
    pub fn to_u32(&self) -> Result<u32, Error> {
        self.to_array().map(u32::from_be_bytes)
    }

    /// Unsigned64.
    ///
    /// # Errors
    /// `InvalidAvpLength`.
    pub fn to_u64(&self) -> Result<u64, Error> {
        self.to_array().map(u64::from_be_bytes)
    }

    /// UTF8String.
    ///
    /// # Errors
    /// `InvalidAvpValue` when it is not UTF-8.
    pub fn to_str(&self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.data).map_err(|_| self.invalid())
    }

    /// DiameterIdentity, RFC 6733 4.3.1: an FQDN or a realm in ASCII.
    ///
    /// # Errors
    /// `InvalidAvpValue`.
    pub fn to_identity(&self) -> Result<&'a str, Error> {
        let text = self.to_str()?;
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text.is_empty() || !text.bytes().all(valid) {
            return Err(self.invalid());
        }
        Ok(text)
    }

    /// Time, RFC 6733 4.3.1: seconds of NTP, its second era after 2036-02-07.
    ///
    /// # Errors
    /// `InvalidAvpLength`.
    pub fn to_time(&self) -> Result<Instant, Error> {
        let seconds = u64::from(self.to_u32()?);
        let era = if seconds & 0x8000_0000 == 0 {
            1 << 32
        } else {
            0
        };
        Ok(Instant::from_secs(seconds + era - NTP_TO_UNIX_SECS))
    }

    /// Address, RFC 6733 4.3.1; `None` for a family other than IPv4 and IPv6.
    ///
    /// # Errors
    /// `InvalidAvpLength` when the address is not as long as its family says.
    pub fn to_address(&self) -> Result<Option<IpAddr>, Error> {
        let invalid = || Error::InvalidAvpLength(FailedAvp::of(self));
        let (family, address) = self.data.split_first_chunk::<2>().ok_or_else(invalid)?;
        match u16::from_be_bytes(*family) {
            1 => match <[u8; 4]>::try_from(address) {
                Ok(octets) => Ok(Some(IpAddr::V4(Ipv4Addr::from(octets)))),
                Err(_) => Err(invalid()),
            },
            2 => match <[u8; 16]>::try_from(address) {
                Ok(octets) => Ok(Some(IpAddr::V6(Ipv6Addr::from(octets)))),
                Err(_) => Err(invalid()),
            },
            _ => Ok(None),
        }
    }

    /// Grouped, RFC 6733 4.4: the AVPs inside, whose boundaries are checked here.
    ///
    /// # Errors
    /// `InvalidAvpLength`, `InvalidAvpBits`, `Limit`.
    pub fn to_group(&self) -> Result<Avps<'a>, Error> {
        Avps::parse(self.data)
    }

    /// This AVP as DIAMETER_INVALID_AVP_VALUE.
    pub(crate) fn invalid(&self) -> Error {
        Error::InvalidAvpValue(FailedAvp::of(self))
    }

    fn with_payload(&self, bytes: usize) -> FailedAvp {
        FailedAvp::header(self.code, self.flags, self.vendor, bytes)
    }
}

/// Seconds from 1900 to 1970.
pub(crate) const NTP_TO_UNIX_SECS: u64 = 2_208_988_800;

pub(crate) fn be24(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take(3)
        .fold(0, |number, &byte| number << 8 | usize::from(byte))
}

fn be32(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |number, &byte| number << 8 | u32::from(byte))
}
