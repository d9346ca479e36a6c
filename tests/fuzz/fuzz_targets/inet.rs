//! Frames as they come from an interface: UDP over both IPs, ARP, neighbour discovery, ICMP echo.
#![no_main]

use inet::ethernet::Frame;
use inet::icmp::{self, EchoRequest};
use inet::{UdpFrame, arp, ipv4, ipv6, ndp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(datagram) = UdpFrame::parse(data) {
        let _ = &data[datagram.payload];
    }
    let Ok(frame) = Frame::new(data) else {
        return;
    };
    let _ = (frame.source(), frame.destination(), frame.vlan());
    let _ = arp::Message::parse(frame.payload());
    if let Ok(packet) = ipv4::Packet::new(frame.payload())
        && EchoRequest::parse(packet.payload()).is_ok()
    {
        icmp::turn_into_reply(&mut packet.payload().to_vec());
    }
    if let Ok(packet) = ipv6::Packet::new(frame.payload()) {
        let (source, destination) = (packet.source(), packet.destination());
        if let Ok(message) = ndp::Message::parse(&packet) {
            let _ = message.to_bytes(source, destination);
        }
        if EchoRequest::parse_v6(packet.payload(), source, destination).is_ok() {
            icmp::turn_into_reply_v6(&mut packet.payload().to_vec());
        }
    }
});
