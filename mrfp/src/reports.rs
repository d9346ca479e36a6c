//! RTCP of a stream: what is sent and received of it, RFC 3550 6.

use std::time::Duration;

use base::Instant;
use dataplane::{FlowId, Outlet, Sends};
use media::{Receiver, Sender};
use rtp::NtpTime;
use rtp::rtcp::{Compound, Packet, SenderInfo, Writer};

/// Sends reports, and takes note of those of the remote side.
pub(crate) struct Reports {
    /// From where; with the media on one port that of the media (RFC 5761).
    flow: FlowId,
    ssrc: u32,
    /// For this stream alone (RFC 7022 4.2).
    cname: Box<str>,
    next: Option<Instant>,
    /// Packets that the last report told of.
    told: u64,
}

impl Reports {
    pub fn new(flow: FlowId, ssrc: u32, cname: String) -> Self {
        Self {
            flow,
            ssrc,
            cname: cname.into(),
            next: None,
            told: 0,
        }
    }

    /// Reports of the remote side came.
    pub fn receive(&mut self, arrival: Instant, packet: &[u8], receiver: &mut Receiver) {
        let Ok(compound) = Compound::parse(packet) else {
            return;
        };
        for packet in compound.packets() {
            if let Packet::SenderReport { ssrc, info, .. } = packet {
                let stats = receiver.stats();
                stats.receive_sender_report(arrival, ssrc, info.ntp);
            }
        }
    }

    /// Sends what is due, told by who sends if it has since the last.
    pub fn send_due(
        &mut self,
        outlet: &mut Outlet<'_>,
        receiver: &mut Receiver,
        sender: Option<&Sender>,
    ) {
        let now = outlet.now();
        // Many streams that begin at once do not report at once.
        let first = || now + INTERVAL.mul_f64(f64::from(self.ssrc) / f64::from(u32::MAX));
        if *self.next.get_or_insert_with(first) > now {
            return;
        }
        self.next = Some(now + INTERVAL);
        let ssrc = sender.map_or(self.ssrc, |sender| sender.config().ssrc);
        let sent = sender.map(Sender::sent).unwrap_or_default();
        let has_sent = std::mem::replace(&mut self.told, sent.packets) != sent.packets;
        let report = receiver.stats().report(now);
        let (reports, cname) = (report.as_slice(), &*self.cname);
        outlet.send(self.flow, Sends::Rtcp, |buffer| {
            let mut writer = Writer::new(buffer);
            let info = SenderInfo {
                ntp: NtpTime::from(now),
                rtp_timestamp: sent.timestamp,
                packets: sent.packets as u32,
                octets: sent.octets as u32,
            };
            let head = match has_sent {
                true => writer.sender_report(ssrc, &info, reports),
                false => writer.receiver_report(ssrc, reports),
            };
            match head.and_then(|()| writer.cname(ssrc, cname)) {
                Ok(()) => writer.finish().len(),
                Err(_) => 0,
            }
        });
    }
}

/// The least interval of reports, RFC 3550 6.2.
const INTERVAL: Duration = Duration::from_secs(5);
