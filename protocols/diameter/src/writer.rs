//! Writes messages.

use std::net::IpAddr;

use base::Instant;

use crate::dictionary::{AvpDef, MandatoryBit};
use crate::error::Error;
use crate::message::{Avp, AvpFlags, Header, MESSAGE_BYTES_MAX, NTP_TO_UNIX_SECS, field};

/// A message under construction: header, then AVPs in the order they are added.
///
/// Every AVP gets the V and M bits its definition asks for, and its padding.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A message of this header.
    pub fn new(header: Header) -> Writer {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(&[1, 0, 0, 0, header.flags.0]);
        bytes.extend_from_slice(&header.command.to_be_bytes()[1..]);
        bytes.extend_from_slice(&header.application.to_be_bytes());
        bytes.extend_from_slice(&header.hop_by_hop.to_be_bytes());
        bytes.extend_from_slice(&header.end_to_end.to_be_bytes());
        Writer { bytes }
    }

    /// AVPs without a message.
    pub(crate) fn bare() -> Writer {
        Writer { bytes: Vec::new() }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// OctetString and the types made of it.
    pub fn octets(&mut self, def: &AvpDef, data: &[u8]) {
        let start = self.open(def, def.mandatory == MandatoryBit::Must);
        self.bytes.extend_from_slice(data);
        self.close(start);
    }

    /// UTF8String, DiameterIdentity, DiameterURI.
    pub fn text(&mut self, def: &AvpDef, text: &str) {
        self.octets(def, text.as_bytes());
    }

    /// Unsigned32, Enumerated.
    pub fn u32(&mut self, def: &AvpDef, value: u32) {
        self.octets(def, &value.to_be_bytes());
    }

    /// Unsigned64.
    pub fn u64(&mut self, def: &AvpDef, value: u64) {
        self.octets(def, &value.to_be_bytes());
    }

    /// Time, RFC 6733 4.3.1.
    pub fn time(&mut self, def: &AvpDef, at: Instant) {
        self.u32(def, at.as_secs().wrapping_add(NTP_TO_UNIX_SECS) as u32);
    }

    /// Address, RFC 6733 4.3.1.
    pub fn address(&mut self, def: &AvpDef, address: IpAddr) {
        let start = self.open(def, def.mandatory == MandatoryBit::Must);
        match address {
            IpAddr::V4(address) => {
                self.bytes.extend_from_slice(&[0, 1]);
                self.bytes.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                self.bytes.extend_from_slice(&[0, 2]);
                self.bytes.extend_from_slice(&address.octets());
            }
        }
        self.close(start);
    }

    /// Grouped: `fill` writes what is inside.
    pub fn group(&mut self, def: &AvpDef, fill: impl FnOnce(&mut Writer)) {
        self.group_flagged(def, def.mandatory == MandatoryBit::Must, fill);
    }

    /// Grouped, with the M bit chosen by the caller where the definition leaves it open.
    pub fn group_flagged(&mut self, def: &AvpDef, mandatory: bool, fill: impl FnOnce(&mut Writer)) {
        let start = self.open(def, mandatory);
        fill(self);
        self.close(start);
    }

    /// An AVP as it was received.
    pub fn copy(&mut self, avp: &Avp<'_>) {
        let vendor = (avp.flags.0 & AvpFlags::VENDOR != 0).then_some(avp.vendor);
        let start = self.header(avp.code, avp.flags, vendor);
        self.bytes.extend_from_slice(avp.data);
        self.close(start);
    }

    /// AVPs encoded before.
    pub fn raw(&mut self, avps: &[u8]) {
        self.bytes.extend_from_slice(avps);
    }

    /// The message with its length.
    ///
    /// # Errors
    /// `Limit` beyond [`MESSAGE_BYTES_MAX`].
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        let length = self.bytes.len();
        if length > MESSAGE_BYTES_MAX {
            return Err(Error::Limit("MESSAGE_BYTES_MAX"));
        }
        self.bytes[field::LENGTH].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
        Ok(self.bytes)
    }

    fn open(&mut self, def: &AvpDef, mandatory: bool) -> usize {
        let vendor = (def.vendor != 0).then_some(def.vendor);
        let mut flags = 0;
        if vendor.is_some() {
            flags |= AvpFlags::VENDOR;
        }
        if mandatory {
            flags |= AvpFlags::MANDATORY;
        }
        self.header(def.code, AvpFlags(flags), vendor)
    }

    fn header(&mut self, code: u32, flags: AvpFlags, vendor: Option<u32>) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&code.to_be_bytes());
        self.bytes.extend_from_slice(&[flags.0, 0, 0, 0]);
        if let Some(vendor) = vendor {
            self.bytes.extend_from_slice(&vendor.to_be_bytes());
        }
        start
    }

    /// Sets the length of the AVP at `start` and pads it. A length beyond 24 bits makes `finish`
    /// refuse.
    fn close(&mut self, start: usize) {
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start + 5..start + 8].copy_from_slice(&length.to_be_bytes()[1..]);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
