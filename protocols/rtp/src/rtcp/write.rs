//! Writing compound packets.

use super::{REPORTS_MAX, ReportBlock, SenderInfo, field, packet_type};
use crate::error::Error;

/// Writes RTCP packets one after another into a buffer. A packet that does not fit leaves the
/// buffer as it was.
///
/// ```
/// use rtp::rtcp::{Compound, Packet, Writer};
///
/// let mut buffer = [0; 128];
/// let mut writer = Writer::new(&mut buffer);
/// writer.receiver_report(7, &[])?;
/// writer.cname(7, "alice@192.0.2.1")?;
/// let first = Compound::parse(writer.finish())?.packets().next();
/// assert!(matches!(first, Some(Packet::ReceiverReport { ssrc: 7, .. })));
/// # Ok::<(), rtp::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Writes from the start of a buffer.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// What was written.
    pub fn finish(self) -> &'a [u8] {
        &self.buffer[..self.len]
    }

    /// SR, RFC 3550 6.4.1.
    ///
    /// # Errors
    /// [`Error::Limit`], as all of these.
    pub fn sender_report(
        &mut self,
        ssrc: u32,
        info: &SenderInfo,
        reports: &[ReportBlock],
    ) -> Result<(), Error> {
        self.packet(packet_type::SENDER_REPORT, count(reports.len())?, |out| {
            out.u32(ssrc)?;
            out.bytes(&info.ntp.0.to_be_bytes())?;
            out.u32(info.rtp_timestamp)?;
            out.u32(info.packets)?;
            out.u32(info.octets)?;
            reports.iter().try_for_each(|report| out.report(report))
        })
    }

    /// RR, RFC 3550 6.4.2.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn receiver_report(&mut self, ssrc: u32, reports: &[ReportBlock]) -> Result<(), Error> {
        self.packet(packet_type::RECEIVER_REPORT, count(reports.len())?, |out| {
            out.u32(ssrc)?;
            reports.iter().try_for_each(|report| out.report(report))
        })
    }

    /// SDES with the one item every compound must have, RFC 3550 6.5.1.
    ///
    /// # Errors
    /// [`Error::Limit`], also for a name of more than 255 bytes.
    pub fn cname(&mut self, ssrc: u32, cname: &str) -> Result<(), Error> {
        const CNAME: u8 = 1;
        self.packet(packet_type::SOURCE_DESCRIPTION, 1, |out| {
            out.u32(ssrc)?;
            out.bytes(&[CNAME])?;
            out.counted(cname.as_bytes())?;
            // The null item that ends the chunk, and the filling after it.
            out.bytes(&[0])?;
            out.fill()
        })
    }

    /// BYE, RFC 3550 6.6.
    ///
    /// # Errors
    /// [`Error::Limit`], also for a reason of more than 255 bytes.
    pub fn bye(&mut self, ssrcs: &[u32], reason: &str) -> Result<(), Error> {
        self.packet(packet_type::BYE, count(ssrcs.len())?, |out| {
            ssrcs.iter().try_for_each(|&ssrc| out.u32(ssrc))?;
            if !reason.is_empty() {
                out.counted(reason.as_bytes())?;
            }
            out.fill()
        })
    }

    /// APP, RFC 3550 6.7. The data must be whole words.
    ///
    /// # Errors
    /// [`Error::Limit`], also for other data.
    pub fn application(
        &mut self,
        subtype: u8,
        ssrc: u32,
        name: [u8; 4],
        data: &[u8],
    ) -> Result<(), Error> {
        if !data.len().is_multiple_of(4) {
            return Err(Error::Limit);
        }
        self.packet(
            packet_type::APPLICATION,
            count(usize::from(subtype))?,
            |out| {
                out.u32(ssrc)?;
                out.bytes(&name)?;
                out.bytes(data)
            },
        )
    }

    fn packet(
        &mut self,
        packet_type: u8,
        count: u8,
        body: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let start = self.len;
        let written = self
            .bytes(&[field::VERSION_2 | count, packet_type, 0, 0])
            .and_then(|()| body(self));
        if written.is_err() {
            self.len = start;
            return written;
        }
        let words = ((self.len - start) / 4 - 1) as u16;
        self.buffer[start..][field::WORDS].copy_from_slice(&words.to_be_bytes());
        Ok(())
    }

    fn report(&mut self, report: &ReportBlock) -> Result<(), Error> {
        self.u32(report.ssrc)?;
        let lost = report.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        self.u32(u32::from(report.fraction_lost) << 24 | lost)?;
        self.u32(report.extended_highest)?;
        self.u32(report.jitter_ticks)?;
        self.u32(report.last_sender_report)?;
        self.u32(report.delay_since)
    }

    fn counted(&mut self, text: &[u8]) -> Result<(), Error> {
        let length = u8::try_from(text.len()).map_err(|_| Error::Limit)?;
        self.bytes(&[length])?;
        self.bytes(text)
    }

    fn fill(&mut self) -> Result<(), Error> {
        // Every packet before this one is of whole words, so the position in the buffer tells.
        let filling = self.len.next_multiple_of(4) - self.len;
        self.bytes(&[0; 3][..filling])
    }

    fn u32(&mut self, value: u32) -> Result<(), Error> {
        self.bytes(&value.to_be_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.len + bytes.len();
        let place = self.buffer.get_mut(self.len..end).ok_or(Error::Limit)?;
        place.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }
}

fn count(count: usize) -> Result<u8, Error> {
    if count > REPORTS_MAX {
        return Err(Error::Limit);
    }
    Ok(count as u8)
}
