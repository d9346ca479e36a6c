//! RTP, RTCP and telephone events; reception statistics over a stream of headers.
#![no_main]

use base::Instant;
use libfuzzer_sys::fuzz_target;
use rtp::rtcp::{Compound, Packet as Rtcp};
use rtp::{Event, Packet, ReceiverStats};

fuzz_target!(|data: &[u8]| {
    let _ = rtp::datagram_kind(data);
    if let Ok(packet) = Packet::new(data) {
        let _ = (packet.payload(), packet.extension(), packet.padding_len());
        packet.csrcs().for_each(drop);
        let _ = Event::parse(packet.payload());
    }
    for compound in [Compound::parse(data), Compound::parse_reduced(data)]
        .into_iter()
        .flatten()
    {
        for packet in compound.packets() {
            let _ = format!("{packet:?}");
            if let Rtcp::SenderReport { reports, .. } = &packet {
                reports.iter().for_each(drop);
            }
        }
    }
    let mut statistics = ReceiverStats::new(8_000);
    for (index, octets) in data.chunks_exact(12).enumerate() {
        if let Ok(packet) = Packet::new(octets) {
            let now = Instant::from_nanos(index as u64 * 20_000_000);
            let _ = statistics.receive(now, &packet.header(), packet.payload().len());
        }
    }
});
