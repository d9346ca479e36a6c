//! The sending side: what protects packets.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::key::{MasterKey, Mki, RTCP_LIFETIME_MAX};
use crate::packet::{RTCP_HEADER_BYTES, RtpFields, rtcp_sender};
use crate::sources::Sources;
use crate::transform::{E_FLAG, Place, Transform};

/// Protects the RTP and RTCP of one direction with one master key (RFC 3711 3.3, 3.4).
///
/// Everything is prepared by `new`; a packet allocates nothing and waits for nothing. It may be
/// shared: each index is given out once, whichever thread asks.
pub struct Sender {
    rtp: Transform,
    rtcp: Transform,
    mki: Mki,
    lifetime: u64,
    sources: Sources,
    /// SRTP packets protected with this key.
    protected: AtomicU64,
    /// The next SRTCP index, of all sources together: so each source's grows, and none is used
    /// twice.
    rtcp_index: AtomicU64,
    /// The SRTCP index of the first packet protected with this key.
    rtcp_first: u64,
}

impl Sender {
    /// A sender that begins with rollover counter 0 and SRTCP index 0.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the cipher refuses the key.
    pub fn new(key: &MasterKey) -> Result<Self, Error> {
        Ok(Self {
            rtp: Transform::rtp(key)?,
            rtcp: Transform::rtcp(key)?,
            mki: key.mki(),
            lifetime: key.lifetime(),
            sources: Sources::default(),
            protected: AtomicU64::new(0),
            rtcp_index: AtomicU64::new(0),
            rtcp_first: 0,
        })
    }

    /// A sender with another key that goes on with the indices of this one: neither rollover
    /// counters nor the SRTCP index begin anew (RFC 3711 3.3.1, 3.4).
    ///
    /// # Errors
    /// [`Error::Misuse`] when the cipher refuses the key.
    pub fn rekeyed(&self, key: &MasterKey) -> Result<Self, Error> {
        let rtcp_first = self.rtcp_index.load(Ordering::Acquire);
        Ok(Self {
            sources: self.sources.copied(),
            rtcp_index: AtomicU64::new(rtcp_first),
            rtcp_first,
            ..Self::new(key)?
        })
    }

    /// Octets by which an RTP packet grows.
    pub fn rtp_overhead(&self) -> usize {
        self.rtp.tag_bytes() + self.mki.octets().len()
    }

    /// Octets by which an RTCP packet grows.
    pub fn rtcp_overhead(&self) -> usize {
        TRAILER_BYTES + self.rtcp.tag_bytes() + self.mki.octets().len()
    }

    /// Protects in place the RTP packet that the first `len` octets of the buffer are, and returns
    /// how many it is then.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::NoRoom`] when the buffer is too short, [`Error::Replay`] when
    /// a packet of that index was protected before or may have been, [`Error::Limit`],
    /// [`Error::KeyExpired`], [`Error::Busy`]. The packet is then as it was.
    pub fn protect(&self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        let fields = RtpFields::parse(buffer.get(..len).ok_or(Error::NoRoom)?)?;
        let total = len + self.rtp_overhead();
        if buffer.len() < total {
            return Err(Error::NoRoom);
        }
        if self.protected.load(Ordering::Relaxed) >= self.lifetime {
            return Err(Error::KeyExpired);
        }
        let index = self.sources.update(fields.ssrc, |seen| {
            let index = seen.estimate(fields.sequence)?;
            if !seen.is_new(index) {
                return Err(Error::Replay);
            }
            seen.mark(index);
            Ok(index)
        })?;
        self.protected.fetch_add(1, Ordering::Relaxed);
        let at = Place {
            header: fields.header,
            end: len,
            ssrc: fields.ssrc,
            index,
        };
        let tag = self.rtp.seal_rtp(buffer, at)?;
        let tag = &tag[..self.rtp.tag_bytes()];
        let parts = if self.rtp.inline_tag_bytes() > 0 {
            [tag, self.mki.octets()]
        } else {
            [self.mki.octets(), tag]
        };
        append(buffer, len, &parts);
        Ok(total)
    }

    /// Protects in place the compound RTCP packet that the first `len` octets of the buffer are,
    /// and returns how many it is then.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::NoRoom`] when the buffer is too short, [`Error::KeyExpired`].
    /// The packet is then as it was.
    pub fn protect_rtcp(&self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        let ssrc = rtcp_sender(buffer.get(..len).ok_or(Error::NoRoom)?)?;
        let total = len + self.rtcp_overhead();
        if buffer.len() < total {
            return Err(Error::NoRoom);
        }
        let index = self.next_rtcp_index()?;
        let at = Place {
            header: RTCP_HEADER_BYTES,
            end: len,
            ssrc,
            index,
        };
        let mut trailer = (index as u32).to_be_bytes();
        trailer[0] |= E_FLAG;
        let tag = self.rtcp.seal_rtcp(buffer, trailer, at)?;
        let tag = &tag[..self.rtcp.tag_bytes()];
        let parts = if self.rtcp.inline_tag_bytes() > 0 {
            [tag, &trailer, self.mki.octets()]
        } else {
            [&trailer, self.mki.octets(), tag]
        };
        append(buffer, len, &parts);
        Ok(total)
    }

    fn next_rtcp_index(&self) -> Result<u64, Error> {
        // The index has 31 bits and must not come round under one key.
        let last = (self.rtcp_first + self.lifetime).min(RTCP_LIFETIME_MAX);
        let next = |index: u64| (index < last).then_some(index + 1);
        let taken = self
            .rtcp_index
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        taken.map_err(|_| Error::KeyExpired)
    }
}

fn append(buffer: &mut [u8], len: usize, parts: &[&[u8]]) {
    let room = buffer[len..].iter_mut();
    for (octet, from) in room.zip(parts.iter().flat_map(|part| part.iter())) {
        *octet = *from;
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Octets of E flag and SRTCP index.
pub(crate) const TRAILER_BYTES: usize = 4;

#[cfg(test)]
impl Sender {
    /// As if so many packets had been protected.
    pub(crate) fn aged(self, packets: u64, rtcp_packets: u64) -> Self {
        self.protected.store(packets, Ordering::Relaxed);
        self.rtcp_index.store(rtcp_packets, Ordering::Relaxed);
        self
    }

    /// With these session keys in the place of derived ones, and a given SRTCP index.
    pub(crate) fn with_transforms(self, rtp: Transform, rtcp: Transform, rtcp_index: u64) -> Self {
        self.rtcp_index.store(rtcp_index, Ordering::Relaxed);
        Self { rtp, rtcp, ..self }
    }
}
