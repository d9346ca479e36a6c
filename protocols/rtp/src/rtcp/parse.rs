//! Reading compound packets.

use super::{ReportBlock, SenderInfo, field, packet_type};
use crate::error::Error;
use crate::ntp::NtpTime;

/// A compound packet, all of whose lengths were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// SR, RFC 3550 6.4.1.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// On what it sends.
        info: SenderInfo,
        /// On what it receives.
        reports: ReportBlocks<'a>,
    },
    /// RR, RFC 3550 6.4.2.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// On what it receives.
        reports: ReportBlocks<'a>,
    },
    /// SDES, RFC 3550 6.5.
    SourceDescription(Items<'a>),
    /// BYE, RFC 3550 6.6.
    Bye {
        /// Who leaves.
        ssrcs: Ssrcs<'a>,
        /// Why; empty where nothing is said.
        reason: &'a [u8],
    },
    /// APP, RFC 3550 6.7.
    Application {
        /// Five bits of the application.
        subtype: u8,
        /// Who sends.
        ssrc: u32,
        /// Of the application.
        name: [u8; 4],
        /// Of the application.
        data: &'a [u8],
    },
    /// RTPFB, RFC 4585 6.2: transport-layer feedback.
    TransportFeedback(Feedback<'a>),
    /// PSFB, RFC 4585 6.3: payload-specific feedback.
    PayloadFeedback(Feedback<'a>),
    /// Any other, as XR (RFC 3611).
    Other {
        /// Packet type.
        packet_type: u8,
        /// The five bits after the padding bit.
        count: u8,
        /// What follows the first word.
        body: &'a [u8],
    },
}

/// A feedback message, RFC 4585 6.1, kept raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback<'a> {
    /// FMT.
    pub format: u8,
    /// Who sends.
    pub sender: u32,
    /// The stream it is about.
    pub media: u32,
    /// Feedback control information.
    pub information: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks a datagram: versions, lengths, padding in the last packet only, and that it begins
    /// with a report.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Version`], [`Error::Padding`], [`Error::NoReport`],
    /// [`Error::Item`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let compound = Self::parse_reduced(bytes)?;
        match bytes[field::TYPE] {
            packet_type::SENDER_REPORT | packet_type::RECEIVER_REPORT => Ok(compound),
            _ => Err(Error::NoReport),
        }
    }

    /// As [`Compound::parse`], of which reduced-size RTCP (RFC 5506) may begin with any packet.
    ///
    /// # Errors
    /// As above but for [`Error::NoReport`].
    pub fn parse_reduced(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut rest = bytes;
        loop {
            let (frame, after) = split(rest)?;
            if frame.padded && !after.is_empty() {
                return Err(Error::Padding);
            }
            Packet::parse(&frame)?;
            if after.is_empty() {
                return Ok(Self { bytes });
            }
            rest = after;
        }
    }

    /// Its packets in order.
    pub fn packets(&self) -> Packets<'a> {
        Packets { rest: self.bytes }
    }
}

/// The packets of a compound.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let (frame, after) = split(self.rest).ok()?;
        self.rest = after;
        Packet::parse(&frame).ok()
    }
}

/// A packet cut out of a compound, without padding.
struct Frame<'a> {
    packet_type: u8,
    count: u8,
    padded: bool,
    body: &'a [u8],
}

fn split(bytes: &[u8]) -> Result<(Frame<'_>, &[u8]), Error> {
    let header = bytes.get(..field::HEADER_BYTES).ok_or(Error::Truncated)?;
    let flags = header[field::FLAGS];
    if flags & field::VERSION_MASK != field::VERSION_2 {
        return Err(Error::Version);
    }
    let words = u16::from_be_bytes([header[field::WORDS.start], header[field::WORDS.start + 1]]);
    let length = 4 * (usize::from(words) + 1);
    let packet = bytes.get(..length).ok_or(Error::Truncated)?;
    let mut body = &packet[field::HEADER_BYTES..];
    let padded = flags & field::PADDING != 0;
    if padded {
        let padding = usize::from(body.last().copied().unwrap_or(0));
        if padding == 0 || padding > body.len() || !padding.is_multiple_of(4) {
            return Err(Error::Padding);
        }
        body = &body[..body.len() - padding];
    }
    let frame = Frame {
        packet_type: header[field::TYPE],
        count: flags & field::COUNT,
        padded,
        body,
    };
    Ok((frame, &bytes[length..]))
}

impl<'a> Packet<'a> {
    fn parse(frame: &Frame<'a>) -> Result<Self, Error> {
        let mut body = Reader(frame.body);
        let count = usize::from(frame.count);
        Ok(match frame.packet_type {
            packet_type::SENDER_REPORT => Self::SenderReport {
                ssrc: body.u32()?,
                info: body.sender_info()?,
                reports: ReportBlocks(body.take(count * field::REPORT_BYTES)?),
            },
            packet_type::RECEIVER_REPORT => Self::ReceiverReport {
                ssrc: body.u32()?,
                reports: ReportBlocks(body.take(count * field::REPORT_BYTES)?),
            },
            packet_type::SOURCE_DESCRIPTION => {
                let items = Items::new(frame.body, frame.count);
                items.check()?;
                Self::SourceDescription(items)
            }
            packet_type::BYE => Self::Bye {
                ssrcs: Ssrcs(body.take(count * field::SSRC_BYTES)?),
                reason: match body.0 {
                    [] => &[],
                    _ => body.counted()?,
                },
            },
            packet_type::APPLICATION => Self::Application {
                subtype: frame.count,
                ssrc: body.u32()?,
                name: body.u32()?.to_be_bytes(),
                data: body.0,
            },
            packet_type::TRANSPORT_FEEDBACK | packet_type::PAYLOAD_FEEDBACK => {
                let feedback = Feedback {
                    format: frame.count,
                    sender: body.u32()?,
                    media: body.u32()?,
                    information: body.0,
                };
                match frame.packet_type {
                    packet_type::TRANSPORT_FEEDBACK => Self::TransportFeedback(feedback),
                    _ => Self::PayloadFeedback(feedback),
                }
            }
            packet_type => Self::Other {
                packet_type,
                count: frame.count,
                body: frame.body,
            },
        })
    }
}

/// The report blocks of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlocks<'a>(&'a [u8]);

impl ReportBlocks<'_> {
    /// The blocks in order.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + '_ {
        self.0
            .chunks_exact(field::REPORT_BYTES)
            .filter_map(|block| {
                let mut block = Reader(block);
                let ssrc = block.u32().ok()?;
                let loss = block.u32().ok()?;
                Some(ReportBlock {
                    ssrc,
                    fraction_lost: (loss >> 24) as u8,
                    // Shifted up and down again, which carries the sign of 24 bits.
                    cumulative_lost: (loss << 8) as i32 >> 8,
                    extended_highest: block.u32().ok()?,
                    jitter_ticks: block.u32().ok()?,
                    last_sender_report: block.u32().ok()?,
                    delay_since: block.u32().ok()?,
                })
            })
    }

    /// The block about a stream.
    pub fn about(&self, ssrc: u32) -> Option<ReportBlock> {
        self.iter().find(|block| block.ssrc == ssrc)
    }
}

/// The sources of a BYE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssrcs<'a>(&'a [u8]);

impl Ssrcs<'_> {
    /// The sources in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let chunks = self.0.chunks_exact(field::SSRC_BYTES);
        chunks.filter_map(|ssrc| Reader(ssrc).u32().ok())
    }
}

/// An item of a source description, RFC 3550 6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// Who is described.
    pub ssrc: u32,
    /// 1 CNAME, 2 NAME, 3 EMAIL, 4 PHONE, 5 LOC, 6 TOOL, 7 NOTE, 8 PRIV.
    pub kind: u8,
    /// UTF-8 as a rule.
    pub text: &'a [u8],
}

/// The items of all chunks of a source description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Items<'a> {
    rest: Reader<'a>,
    /// Chunks not begun yet.
    chunks_left: u8,
    /// The chunk being read, and its bytes before the items.
    chunk: Option<u32>,
    body_len: usize,
}

impl<'a> Items<'a> {
    fn new(body: &'a [u8], chunks: u8) -> Self {
        Self {
            rest: Reader(body),
            chunks_left: chunks,
            chunk: None,
            body_len: body.len(),
        }
    }

    fn check(mut self) -> Result<(), Error> {
        while self.read()?.is_some() {}
        Ok(())
    }

    fn read(&mut self) -> Result<Option<SdesItem<'a>>, Error> {
        loop {
            let ssrc = match self.chunk {
                Some(ssrc) => ssrc,
                None if self.chunks_left == 0 => return Ok(None),
                None => {
                    self.chunks_left -= 1;
                    *self.chunk.insert(self.rest.u32()?)
                }
            };
            let kind = self.rest.u8()?;
            if kind != 0 {
                let text = self.rest.counted()?;
                return Ok(Some(SdesItem { ssrc, kind, text }));
            }
            // A null item ends the chunk, which is filled up to a word.
            let position = self.body_len - self.rest.0.len();
            self.rest.take(position.next_multiple_of(4) - position)?;
            self.chunk = None;
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = SdesItem<'a>;

    fn next(&mut self) -> Option<SdesItem<'a>> {
        self.read().ok().flatten()
    }
}

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Error::Item)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, Error> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn counted(&mut self) -> Result<&'a [u8], Error> {
        let count = self.u8()?;
        self.take(usize::from(count))
    }

    fn sender_info(&mut self) -> Result<SenderInfo, Error> {
        let mut info = Reader(self.take(field::SENDER_INFO_BYTES)?);
        let ntp = u64::from(info.u32()?) << 32 | u64::from(info.u32()?);
        Ok(SenderInfo {
            ntp: NtpTime(ntp),
            rtp_timestamp: info.u32()?,
            packets: info.u32()?,
            octets: info.u32()?,
        })
    }
}
