//! RTCP, RFC 3550 section 6.
//!
//! [`Compound`] checks a datagram as a whole and then walks its packets; [`Writer`] puts packets
//! one after another into a buffer; [`Schedule`] says when.

mod parse;
mod schedule;
mod write;

pub use parse::{Compound, Feedback, Items, Packet, Packets, ReportBlocks, SdesItem, Ssrcs};
pub use schedule::Schedule;
pub use write::Writer;

use crate::ntp::NtpTime;

/// Most report blocks of one report: its count has five bits.
pub const REPORTS_MAX: usize = 31;

/// Packet types, RFC 3550 12.1 and RFC 4585 6.1.
mod packet_type {
    pub const SENDER_REPORT: u8 = 200;
    pub const RECEIVER_REPORT: u8 = 201;
    pub const SOURCE_DESCRIPTION: u8 = 202;
    pub const BYE: u8 = 203;
    pub const APPLICATION: u8 = 204;
    pub const TRANSPORT_FEEDBACK: u8 = 205;
    pub const PAYLOAD_FEEDBACK: u8 = 206;
}

mod field {
    use std::ops::Range;

    pub const FLAGS: usize = 0;
    pub const TYPE: usize = 1;
    pub const WORDS: Range<usize> = 2..4;
    pub const HEADER_BYTES: usize = 4;
    pub const SSRC_BYTES: usize = 4;
    pub const SENDER_INFO_BYTES: usize = 20;
    pub const REPORT_BYTES: usize = 24;

    pub const VERSION_2: u8 = 0x80;
    pub const VERSION_MASK: u8 = 0xc0;
    pub const PADDING: u8 = 0x20;
    pub const COUNT: u8 = 0x1f;
}

/// What a sender says of its own stream, RFC 3550 6.4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was sent.
    pub ntp: NtpTime,
    /// The same time in ticks of the stream.
    pub rtp_timestamp: u32,
    /// Packets sent since the beginning.
    pub packets: u32,
    /// Bytes of payload sent since the beginning.
    pub octets: u32,
}

/// What a receiver says of a stream, RFC 3550 6.4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Share lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, 24 bits; negative where duplicates outnumber losses.
    pub cumulative_lost: i32,
    /// Highest sequence number received, extended by the count of its cycles.
    pub extended_highest: u32,
    /// Interarrival jitter in ticks.
    pub jitter_ticks: u32,
    /// Middle bits of the NTP time of the last sender report, 0 for none.
    pub last_sender_report: u32,
    /// Since that arrived, in 1/65 536 s.
    pub delay_since: u32,
}

#[cfg(test)]
mod tests;
