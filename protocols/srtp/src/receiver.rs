//! The receiving side: what checks packets and opens them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::Error;
use crate::key::{MasterKey, Mki, RTCP_LIFETIME_MAX};
use crate::packet::{RTCP_HEADER_BYTES, RtpFields, rtcp_sender};
use crate::replay::Seen;
use crate::sender::TRAILER_BYTES;
use crate::sources::Sources;
use crate::transform::{Place, Transform};

/// Checks and opens the RTP and RTCP of one direction (RFC 3711 3.3, 3.4).
///
/// Everything is prepared by `new`; a packet allocates nothing and waits for nothing. Nothing of a
/// packet is believed before it is authenticated, so a forged one changes no state.
pub struct Receiver {
    keys: Arc<[Keys]>,
    /// Those before these, for packets that were under way when they changed.
    former: Option<Arc<[Keys]>>,
    rtp: Stream,
    rtcp: Stream,
}

impl Receiver {
    /// A receiver for packets under any of these keys, which their MKIs tell apart.
    ///
    /// # Errors
    /// [`Error::Misuse`] without a key or with more than [`KEYS_MAX`], with keys of several suites,
    /// and with several keys whose MKIs are not of one length and different.
    pub fn new(keys: &[MasterKey]) -> Result<Self, Error> {
        let first = keys.first().ok_or(Error::Misuse)?;
        if keys.len() > KEYS_MAX || keys.iter().any(|key| key.suite() != first.suite()) {
            return Err(Error::Misuse);
        }
        let len = first.mki().octets().len();
        for (index, key) in keys.iter().enumerate() {
            let is_known = keys[..index].iter().any(|other| other.mki() == key.mki());
            if is_known || key.mki().octets().len() != len {
                return Err(Error::Misuse);
            }
        }
        let keys: Result<Vec<Keys>, Error> = keys.iter().map(Keys::new).collect();
        Ok(Self {
            keys: keys?.into(),
            former: None,
            rtp: Stream::default(),
            rtcp: Stream::default(),
        })
    }

    /// A receiver with other keys that goes on with the indices of this one (RFC 3711 3.3.1).
    ///
    /// Packets under the former keys are taken until the first under the new ones has come. An
    /// other end that begins its indices anew with a key is understood as well.
    ///
    /// # Errors
    /// As [`Receiver::new`].
    pub fn rekeyed(&self, keys: &[MasterKey]) -> Result<Self, Error> {
        Ok(Self {
            former: Some(Arc::clone(&self.keys)),
            rtp: self.rtp.rekeyed(),
            rtcp: self.rtcp.rekeyed(),
            ..Self::new(keys)?
        })
    }

    /// Checks an SRTP packet and opens it in place; returns how many octets the RTP packet has.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Replay`], [`Error::UnknownMki`], [`Error::Authentication`],
    /// [`Error::Limit`], [`Error::KeyExpired`], [`Error::Busy`]. The octets of the packet are then
    /// of no use.
    pub fn unprotect(&self, packet: &mut [u8]) -> Result<usize, Error> {
        let fields = RtpFields::parse(packet)?;
        let seen = self.rtp.sources.peek(fields.ssrc);
        let open = |packet: &mut [u8], keys: &[Keys], reading: Reading| {
            let index = match reading {
                Reading::Anew => u64::from(fields.sequence),
                Reading::Continued => new(seen, seen.estimate(fields.sequence)?)?,
            };
            let len = open_rtp(packet, keys, fields, index)?;
            Ok((len, index))
        };
        self.open(&self.rtp, fields.ssrc, packet, open)
    }

    /// Checks an SRTCP packet and opens it in place; returns how many octets the RTCP packet has.
    /// One that is authenticated but not encrypted is taken as well (RFC 3711 3.4).
    ///
    /// # Errors
    /// As [`Receiver::unprotect`].
    pub fn unprotect_rtcp(&self, packet: &mut [u8]) -> Result<usize, Error> {
        let ssrc = rtcp_sender(packet)?;
        let seen = self.rtcp.sources.peek(ssrc);
        let open = |packet: &mut [u8], keys: &[Keys], reading: Reading| {
            open_rtcp(packet, keys, ssrc, |index| match reading {
                Reading::Anew => Ok(index),
                Reading::Continued => new(seen, index),
            })
        };
        self.open(&self.rtcp, ssrc, packet, open)
    }

    /// Opens a packet as it most likely is meant, and while keys have just changed as else it may
    /// be.
    fn open(
        &self,
        stream: &Stream,
        ssrc: u32,
        packet: &mut [u8],
        open: impl Fn(&mut [u8], &[Keys], Reading) -> Result<(usize, u64), Error>,
    ) -> Result<usize, Error> {
        let Some(former) = self.former.as_ref().filter(|_| !stream.is_settled()) else {
            let (len, index) = open(packet, &self.keys, Reading::Continued)?;
            stream.accept(ssrc, index, Reading::Continued)?;
            return Ok(len);
        };
        // A packet that fails may be spoilt: each reading has the packet as it came.
        let mut copy = [0; COPY_BYTES_MAX];
        let copy = copy.get_mut(..packet.len()).ok_or(Error::Malformed)?;
        copy.copy_from_slice(packet);
        let readings = [
            (&self.keys, Reading::Continued),
            (&self.keys, Reading::Anew),
            (former, Reading::Continued),
        ];
        let mut fault = Error::Authentication;
        for (number, (keys, reading)) in readings.into_iter().enumerate() {
            packet.copy_from_slice(copy);
            match open(packet, keys, reading) {
                Ok((len, index)) => {
                    stream.accept(ssrc, index, reading)?;
                    if !Arc::ptr_eq(keys, former) {
                        stream.settled.store(true, Ordering::Release);
                    }
                    return Ok(len);
                }
                // What is wrong by the first reading is what is wrong.
                Err(error) if number == 0 => fault = error,
                Err(_) => {}
            }
        }
        Err(fault)
    }
}

/// Where the indices of a packet are counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reading {
    /// From those before it.
    Continued,
    /// From 0, as if the source were new: what some do that change keys.
    Anew,
}

/// What is kept of SRTP, or of SRTCP.
#[derive(Default)]
struct Stream {
    sources: Sources,
    /// A packet under the present keys has come.
    settled: AtomicBool,
}

impl Stream {
    fn rekeyed(&self) -> Self {
        Self {
            sources: self.sources.copied(),
            settled: AtomicBool::new(false),
        }
    }

    fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Remembers an authenticated packet.
    fn accept(&self, ssrc: u32, index: u64, reading: Reading) -> Result<(), Error> {
        self.sources.update(ssrc, |seen| {
            if reading == Reading::Anew {
                *seen = Seen::default();
            }
            // Another thread may have taken the same packet meanwhile.
            new(*seen, index)?;
            seen.mark(index);
            Ok(())
        })
    }
}

/// One master key.
struct Keys {
    rtp: Transform,
    rtcp: Transform,
    mki: Mki,
    lifetime: u64,
    accepted: AtomicU64,
    rtcp_accepted: AtomicU64,
}

impl Keys {
    fn new(key: &MasterKey) -> Result<Self, Error> {
        Ok(Self {
            rtp: Transform::rtp(key)?,
            rtcp: Transform::rtcp(key)?,
            mki: key.mki(),
            lifetime: key.lifetime(),
            accepted: AtomicU64::new(0),
            rtcp_accepted: AtomicU64::new(0),
        })
    }
}

/// An index that was not seen.
fn new(seen: Seen, index: u64) -> Result<u64, Error> {
    seen.is_new(index).then_some(index).ok_or(Error::Replay)
}

/// The key that a packet is under: by its MKI, which begins `back` octets before the end, of the
/// first key's length.
fn choose<'a>(
    keys: &'a [Keys],
    packet: &[u8],
    back: impl Fn(&Keys, usize) -> usize,
) -> Result<&'a Keys, Error> {
    let first = keys.first().ok_or(Error::UnknownMki)?;
    let mki_bytes = first.mki.octets().len();
    if mki_bytes == 0 {
        return Ok(first);
    }
    let start = packet.len().checked_sub(back(first, mki_bytes));
    let mki = start.and_then(|start| packet.get(start..start + mki_bytes));
    let mki = mki.ok_or(Error::Malformed)?;
    let is_it = |keys: &&Keys| keys.mki.octets() == mki;
    keys.iter().find(is_it).ok_or(Error::UnknownMki)
}

/// Opens an SRTP packet (RFC 3711 3.1: payload, MKI, tag; RFC 7714 8: payload, tag, MKI).
fn open_rtp(
    packet: &mut [u8],
    keys: &[Keys],
    fields: RtpFields,
    index: u64,
) -> Result<usize, Error> {
    let keys = choose(keys, packet, |keys, mki_bytes| {
        mki_bytes + keys.rtp.tag_bytes() - keys.rtp.inline_tag_bytes()
    })?;
    let (transform, mki_bytes) = (&keys.rtp, keys.mki.octets().len());
    let appended = transform.tag_bytes() + mki_bytes;
    let end = packet.len().checked_sub(appended).ok_or(Error::Malformed)?;
    if end < fields.header {
        return Err(Error::Malformed);
    }
    if keys.accepted.load(Ordering::Relaxed) >= keys.lifetime {
        return Err(Error::KeyExpired);
    }
    let (packet, trailer) = packet.split_at_mut(end + transform.inline_tag_bytes());
    let at = Place {
        header: fields.header,
        end,
        ssrc: fields.ssrc,
        index,
    };
    transform.open_rtp(packet, &trailer[mki_bytes..], at)?;
    keys.accepted.fetch_add(1, Ordering::Relaxed);
    Ok(end)
}

/// Opens an SRTCP packet (RFC 3711 3.4: payload, index, MKI, tag; RFC 7714 9: payload, tag, index,
/// MKI), if `admit` lets its index in.
fn open_rtcp(
    packet: &mut [u8],
    keys: &[Keys],
    ssrc: u32,
    admit: impl Fn(u64) -> Result<u64, Error>,
) -> Result<(usize, u64), Error> {
    let keys = choose(keys, packet, |keys, mki_bytes| {
        mki_bytes + keys.rtcp.tag_bytes() - keys.rtcp.inline_tag_bytes()
    })?;
    let (transform, mki_bytes) = (&keys.rtcp, keys.mki.octets().len());
    let appended = transform.tag_bytes() + TRAILER_BYTES + mki_bytes;
    let end = packet.len().checked_sub(appended).ok_or(Error::Malformed)?;
    if end < RTCP_HEADER_BYTES {
        return Err(Error::Malformed);
    }
    let (packet, trailer) = packet.split_at_mut(end + transform.inline_tag_bytes());
    let (word, rest) = trailer.split_first_chunk().ok_or(Error::Malformed)?;
    let index = admit(u64::from(u32::from_be_bytes(*word) & RTCP_INDEX))?;
    let lifetime = keys.lifetime.min(RTCP_LIFETIME_MAX);
    if keys.rtcp_accepted.load(Ordering::Relaxed) >= lifetime {
        return Err(Error::KeyExpired);
    }
    let at = Place {
        header: RTCP_HEADER_BYTES,
        end,
        ssrc,
        index,
    };
    transform.open_rtcp(packet, &rest[mki_bytes..], *word, at)?;
    keys.rtcp_accepted.fetch_add(1, Ordering::Relaxed);
    Ok((end, index))
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// Master keys that a receiver takes at once.
pub const KEYS_MAX: usize = 4;

/// The longest packet that is tried in several readings: what a frame holds.
const COPY_BYTES_MAX: usize = 2048;

/// The index in its word, without the E flag (RFC 3711 3.4).
const RTCP_INDEX: u32 = 0x7fff_ffff;

#[cfg(test)]
impl Receiver {
    /// As if so many packets had been accepted under each key.
    pub(crate) fn aged(self, packets: u64, rtcp_packets: u64) -> Self {
        for keys in self.keys.iter() {
            keys.accepted.store(packets, Ordering::Relaxed);
            keys.rtcp_accepted.store(rtcp_packets, Ordering::Relaxed);
        }
        self
    }

    /// With these session keys in the place of derived ones.
    pub(crate) fn with_transforms(rtp: Transform, rtcp: Transform) -> Self {
        let keys = Keys {
            rtp,
            rtcp,
            mki: Mki::NONE,
            lifetime: RTCP_LIFETIME_MAX,
            accepted: AtomicU64::new(0),
            rtcp_accepted: AtomicU64::new(0),
        };
        Self {
            keys: [keys].into(),
            former: None,
            rtp: Stream::default(),
            rtcp: Stream::default(),
        }
    }
}
