//! The host that a device of DPDK needs: it answers ARP, neighbour discovery and echo requests, and
//! finds neighbours.
//!
//! Sans I/O: frames and packets come in, frames come out, and time is an argument.

use super::super::hop::{Hop, HopId, Request};
use super::neighbours::{Claim, Key, Neighbours, Step, Waiting};
use super::network::Placed;
use crate::DropReason;
use base::{Instant, TimerQueue};
use inet::ethernet::{EtherType, Frame};
use inet::{Link, MacAddress, arp, icmp, ipv4, ipv6, ndp};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// What a device is to others on its link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Facts {
    pub(super) mac: MacAddress,
    /// The longest IP packet.
    pub(super) mtu: u16,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Output {
    /// A worker is to send a frame.
    Send {
        worker: u16,
        device: u16,
        frame: Vec<u8>,
    },
    /// Packets were dropped.
    Drop(DropReason, u64),
}

/// The host.
#[derive(Debug)]
pub(super) struct Station {
    devices: Vec<Facts>,
    addresses: Vec<Own>,
    neighbours: Neighbours,
    /// Devices that announce their addresses once more.
    announcements: TimerQueue<u16>,
    outputs: VecDeque<Output>,
    version: u64,
}

/// One of our addresses.
#[derive(Clone, Copy, Debug)]
struct Own {
    placed: Placed,
    /// When it was last said to be ours, against somebody who has it too.
    defended: Option<Instant>,
}

/// Where a frame came in.
#[derive(Clone, Copy)]
struct Origin {
    worker: u16,
    device: u16,
    vlan: Option<u16>,
    mac: MacAddress,
}

impl Station {
    /// The host with these addresses; each is on one of the devices.
    pub(super) fn new(devices: Vec<Facts>, networks: &[Placed], version: u64) -> Self {
        let own = |placed: &Placed| Own {
            placed: *placed,
            defended: None,
        };
        Self {
            devices,
            addresses: networks.iter().map(own).collect(),
            neighbours: Neighbours::default(),
            announcements: TimerQueue::new(),
            outputs: VecDeque::new(),
            version,
        }
    }

    /// True for frames that are the host's matter: ARP, ICMP and ICMPv6.
    pub(super) fn concerns(frame: &[u8]) -> bool {
        let Ok(frame) = Frame::new(frame) else {
            return false;
        };
        let payload = frame.payload();
        match frame.ether_type() {
            EtherType::ARP => true,
            EtherType::IPV4 => ipv4::Packet::new(payload).is_ok_and(|packet| {
                packet.protocol() == ipv4::PROTOCOL_ICMP && !packet.is_fragment()
            }),
            EtherType::IPV6 => ipv6::Packet::new(payload)
                .is_ok_and(|packet| packet.next_header() == ipv6::NEXT_HEADER_ICMPV6),
            _ => false,
        }
    }

    /// Takes a frame that a worker received.
    pub(super) fn handle_frame(&mut self, now: Instant, worker: u16, device: u16, frame: &[u8]) {
        let (Ok(frame), Some(facts)) = (Frame::new(frame), self.devices.get(usize::from(device)))
        else {
            return;
        };
        let to = frame.destination();
        if !(to == facts.mac || to.is_group()) || frame.source().is_group() {
            return;
        }
        let origin = Origin {
            worker,
            device,
            vlan: frame.vlan(),
            mac: frame.source(),
        };
        match frame.ether_type() {
            EtherType::ARP => {
                if let Ok(message) = arp::Message::parse(frame.payload()) {
                    self.handle_arp(now, origin, &message);
                }
            }
            EtherType::IPV4 => {
                if let Ok(packet) = ipv4::Packet::new(frame.payload()) {
                    self.handle_echo(origin, &packet);
                }
            }
            EtherType::IPV6 => {
                if let Ok(packet) = ipv6::Packet::new(frame.payload()) {
                    match ndp::Message::parse(&packet) {
                        Ok(message) => self.handle_discovery(now, origin, &packet, &message),
                        Err(_) => self.handle_echo_v6(origin, &packet),
                    }
                }
            }
            _ => {}
        }
        self.take_steps();
    }

    /// Takes an IP packet that a worker could not send: its neighbour is to be found.
    pub(super) fn handle_packet(&mut self, now: Instant, worker: u16, packet: &[u8]) {
        let hop = addresses_of(packet).and_then(|(from, to)| self.hop(from, to));
        match hop {
            Some(hop) => {
                let bytes = packet.to_vec();
                let packet = Waiting { worker, bytes };
                self.neighbours.handle_packet(now, hop, packet);
                self.take_steps();
            }
            None => self
                .outputs
                .push_back(Output::Drop(DropReason::TxRefused, 1)),
        }
    }

    /// The next hop that a worker asks for.
    pub(super) fn resolve(&mut self, request: &Request) -> HopId {
        self.hop(request.source, request.destination.ip())
            .unwrap_or(HopId::UNREACHABLE)
    }

    /// A device can speak again: says what is ours, and looks for the routers.
    pub(super) fn handle_link_up(&mut self, now: Instant, device: u16) {
        self.announce_all(device);
        self.announcements.set(now + ANNOUNCE_INTERVAL, device);
        let here: Vec<Placed> = self.on(device).map(|own| own.placed).collect();
        for placed in here {
            let network = placed.network;
            let router = network
                .gateway
                .and_then(|router| self.hop(network.address, router));
            if let Some(router) = router {
                self.neighbours.look_for(now, router);
            }
        }
        self.take_steps();
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.neighbours.handle_timeout(now);
        while let Some(device) = self.announcements.pop_due(now) {
            self.announce_all(device);
        }
        self.take_steps();
    }

    /// When something is due.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let timers = [
            self.neighbours.next_timeout(),
            self.announcements.next_timeout(),
        ];
        timers.into_iter().flatten().min()
    }

    /// What is to be done next.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A next hop of which workers are to be told anew.
    pub(super) fn poll_change(&mut self) -> Option<HopId> {
        self.neighbours.poll_change()
    }

    /// Counts up when all next hops are forgotten.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// What workers do with packets for a next hop.
    pub(super) fn told(&self, hop: HopId) -> Hop {
        match self.neighbours.direct(hop) {
            Err(hop) => hop,
            Ok((key, mac, confirm)) => match self.devices.get(usize::from(key.device)) {
                Some(facts) => Hop::Direct {
                    interface: key.device,
                    mtu: facts.mtu,
                    link: Link::new(mac, facts.mac, key.vlan),
                    confirm,
                },
                None => Hop::Unreachable,
            },
        }
    }

    /// The next hop from one of our addresses to a host, put into the table if it is not there.
    fn hop(&mut self, from: IpAddr, to: IpAddr) -> Option<HopId> {
        let asker = self.position(|own| own.network.address == from)?;
        let placed = self.addresses[asker].placed;
        if self.position(|own| own.network.address == to).is_some() {
            return None;
        }
        let key = Key {
            device: placed.device,
            vlan: placed.network.vlan,
            address: placed.network.next_hop(to)?,
        };
        if let Some(hop) = self.neighbours.find(&key) {
            return Some(hop);
        }
        self.neighbours.add(key, asker).or_else(|| {
            self.neighbours.clear();
            self.version += 1;
            self.neighbours.add(key, asker)
        })
    }

    fn position(&self, is_it: impl Fn(&Placed) -> bool) -> Option<usize> {
        self.addresses.iter().position(|own| is_it(&own.placed))
    }

    /// The place of an address of ours where a frame came in.
    fn ours(&self, origin: Origin, address: IpAddr) -> Option<usize> {
        self.position(|placed| {
            let network = &placed.network;
            placed.device == origin.device
                && network.vlan == origin.vlan
                && network.address == address
        })
    }

    fn on(&self, device: u16) -> impl Iterator<Item = &Own> {
        let here = move |own: &&Own| own.placed.device == device;
        self.addresses.iter().filter(here)
    }

    /// RFC 826, and RFC 5227 where somebody has our address.
    fn handle_arp(&mut self, now: Instant, origin: Origin, message: &arp::Message) {
        let sender = IpAddr::V4(message.sender_ip);
        let own_mac = self.mac(origin.device);
        if let Some(own) = self.ours(origin, sender) {
            if message.sender_mac != own_mac {
                self.defend(now, own);
            }
            return;
        }
        let is_ours = self.ours(origin, message.target_ip.into()).is_some();
        let is_reply = message.operation == arp::Operation::Reply;
        if !message.sender_ip.is_unspecified() && !message.sender_mac.is_group() {
            let claim = Claim {
                mac: Some(message.sender_mac),
                solicited: is_reply && is_ours,
                overrides: true,
            };
            self.neighbours
                .handle_claim(now, &origin.key(sender), claim);
        }
        if is_ours && !is_reply {
            let reply = message.reply(own_mac);
            self.send_arp(
                origin.worker,
                origin.device,
                origin.vlan,
                message.sender_mac,
                &reply,
            );
        }
    }

    /// RFC 4861 7.2.
    fn handle_discovery(
        &mut self,
        now: Instant,
        origin: Origin,
        packet: &ipv6::Packet<'_>,
        message: &ndp::Message,
    ) {
        match *message {
            ndp::Message::Solicitation { target, source_mac } => {
                let source = packet.source();
                if let (Some(mac), false) = (source_mac, source.is_unspecified()) {
                    let claim = Claim {
                        mac: Some(mac),
                        solicited: false,
                        overrides: true,
                    };
                    self.neighbours
                        .handle_claim(now, &origin.key(source.into()), claim);
                }
                let Some(own) = self.ours(origin, target.into()) else {
                    return;
                };
                if source.is_unspecified() {
                    // Somebody is about to take it (RFC 4862 5.4.3).
                    return self.announce(own, origin.worker);
                }
                self.advertise(
                    own,
                    origin.worker,
                    source_mac.unwrap_or(origin.mac),
                    source,
                    true,
                );
            }
            ndp::Message::Advertisement {
                target,
                target_mac,
                solicited,
                overrides,
                ..
            } => {
                if let Some(own) = self.ours(origin, target.into()) {
                    if target_mac != Some(self.mac(origin.device)) {
                        self.defend(now, own);
                    }
                    return;
                }
                let claim = Claim {
                    mac: target_mac.filter(|mac| !mac.is_group()),
                    solicited,
                    overrides,
                };
                self.neighbours
                    .handle_claim(now, &origin.key(target.into()), claim);
            }
        }
    }

    /// Answers an echo request to one of our addresses (RFC 1122 3.2.2.6), to where it came from.
    fn handle_echo(&mut self, origin: Origin, packet: &ipv4::Packet<'_>) {
        let (from, to) = (packet.source(), packet.destination());
        let is_request = packet.protocol() == ipv4::PROTOCOL_ICMP
            && !packet.is_fragment()
            && icmp::EchoRequest::parse(packet.payload()).is_ok();
        let from_host = !(from.is_unspecified() || from.is_multicast() || from.is_broadcast());
        if !is_request || !from_host || self.ours(origin, to.into()).is_none() {
            return;
        }
        let mut reply = packet.payload().to_vec();
        icmp::turn_into_reply(&mut reply);
        let header = ipv4::Header {
            source: to,
            destination: from,
            protocol: ipv4::PROTOCOL_ICMP,
            traffic_class: packet.traffic_class(),
            payload_bytes: reply.len() as u16,
        };
        let link = Link::new(origin.mac, self.mac(origin.device), origin.vlan);
        let parts = [&header.to_bytes()[..], &reply];
        self.send(origin.worker, origin.device, &link, EtherType::IPV4, &parts);
    }

    /// The same for RFC 4443 4.2.
    fn handle_echo_v6(&mut self, origin: Origin, packet: &ipv6::Packet<'_>) {
        let (from, to) = (packet.source(), packet.destination());
        let is_request = packet.next_header() == ipv6::NEXT_HEADER_ICMPV6
            && icmp::EchoRequest::parse_v6(packet.payload(), from, to).is_ok();
        let from_host = !(from.is_unspecified() || from.is_multicast());
        if !is_request || !from_host || self.ours(origin, to.into()).is_none() {
            return;
        }
        let mut reply = packet.payload().to_vec();
        icmp::turn_into_reply_v6(&mut reply);
        let header = ipv6::Header {
            source: to,
            destination: from,
            next_header: ipv6::NEXT_HEADER_ICMPV6,
            hop_limit: ipv6::HOP_LIMIT,
            traffic_class: packet.traffic_class(),
            payload_bytes: reply.len() as u16,
        };
        let link = Link::new(origin.mac, self.mac(origin.device), origin.vlan);
        let parts = [&header.to_bytes()[..], &reply];
        self.send(origin.worker, origin.device, &link, EtherType::IPV6, &parts);
    }

    /// Says that an address is ours, against another who has it, though not for ever in turn
    /// (RFC 5227 2.4).
    fn defend(&mut self, now: Instant, own: usize) {
        let defended = self.addresses[own].defended;
        if defended.is_none_or(|at| at + DEFEND_INTERVAL <= now) {
            self.addresses[own].defended = Some(now);
            self.announce(own, FIRST_WORKER);
        }
    }

    fn announce_all(&mut self, device: u16) {
        for own in 0..self.addresses.len() {
            if self.addresses[own].placed.device == device {
                self.announce(own, FIRST_WORKER);
            }
        }
    }

    /// Tells everybody on the link where an address of ours is: RFC 5227 2.3, RFC 4861 7.2.6.
    fn announce(&mut self, own: usize, worker: u16) {
        let placed = self.addresses[own].placed;
        match placed.network.address {
            IpAddr::V4(address) => {
                let message = arp::Message::request(self.mac(placed.device), address, address);
                let (device, vlan) = (placed.device, placed.network.vlan);
                self.send_arp(worker, device, vlan, MacAddress::BROADCAST, &message);
            }
            IpAddr::V6(_) => {
                let to = ndp::group_mac(ALL_NODES);
                self.advertise(own, worker, to, ALL_NODES, false);
            }
        }
    }

    /// Sends a neighbour advertisement of one of our addresses.
    fn advertise(&mut self, own: usize, worker: u16, mac: MacAddress, to: Ipv6Addr, asked: bool) {
        let placed = self.addresses[own].placed;
        let IpAddr::V6(address) = placed.network.address else {
            return;
        };
        let message = ndp::Message::Advertisement {
            target: address,
            target_mac: Some(self.mac(placed.device)),
            router: false,
            solicited: asked,
            overrides: true,
        };
        self.send_discovery(worker, &placed, mac, (address, to), &message);
    }

    /// Does what the neighbours want done.
    fn take_steps(&mut self) {
        while let Some(step) = self.neighbours.poll_step() {
            match step {
                Step::Ask { hop, at } => self.ask(hop, at),
                Step::Send { key, mac, packet } => {
                    let link = Link::new(mac, self.mac(key.device), key.vlan);
                    let ether_type = match key.address {
                        IpAddr::V4(_) => EtherType::IPV4,
                        IpAddr::V6(_) => EtherType::IPV6,
                    };
                    let parts = [&packet.bytes[..]];
                    self.send(packet.worker, key.device, &link, ether_type, &parts);
                }
                Step::Drop(reason, packets) => {
                    self.outputs.push_back(Output::Drop(reason, packets));
                }
            }
        }
    }

    /// Asks for a neighbour: RFC 826, RFC 4861 7.2.2.
    fn ask(&mut self, hop: HopId, at: Option<MacAddress>) {
        let Some((key, asker)) = self.neighbours.about(hop) else {
            return;
        };
        let placed = self.addresses[asker].placed;
        let own_mac = self.mac(key.device);
        match (placed.network.address, key.address) {
            (IpAddr::V4(own), IpAddr::V4(wanted)) => {
                let message = arp::Message::request(own_mac, own, wanted);
                let to = at.unwrap_or(MacAddress::BROADCAST);
                self.send_arp(FIRST_WORKER, key.device, key.vlan, to, &message);
            }
            (IpAddr::V6(own), IpAddr::V6(wanted)) => {
                let message = ndp::Message::Solicitation {
                    target: wanted,
                    source_mac: Some(own_mac),
                };
                let group = ndp::solicited_node(wanted);
                let (mac, to) = match at {
                    Some(mac) => (mac, wanted),
                    None => (ndp::group_mac(group), group),
                };
                self.send_discovery(FIRST_WORKER, &placed, mac, (own, to), &message);
            }
            _ => {}
        }
    }

    fn send_arp(
        &mut self,
        worker: u16,
        device: u16,
        vlan: Option<u16>,
        to: MacAddress,
        message: &arp::Message,
    ) {
        let link = Link::new(to, self.mac(device), vlan);
        let parts = [&message.to_bytes()[..]];
        self.send(worker, device, &link, EtherType::ARP, &parts);
    }

    fn send_discovery(
        &mut self,
        worker: u16,
        placed: &Placed,
        mac: MacAddress,
        (from, to): (Ipv6Addr, Ipv6Addr),
        message: &ndp::Message,
    ) {
        let (bytes, length) = message.to_bytes(from, to);
        let header = ipv6::Header {
            source: from,
            destination: to,
            next_header: ipv6::NEXT_HEADER_ICMPV6,
            hop_limit: ndp::HOP_LIMIT,
            traffic_class: 0,
            payload_bytes: length as u16,
        };
        let link = Link::new(mac, self.mac(placed.device), placed.network.vlan);
        let parts = [&header.to_bytes()[..], &bytes[..length]];
        self.send(worker, placed.device, &link, EtherType::IPV6, &parts);
    }

    fn send(
        &mut self,
        worker: u16,
        device: u16,
        link: &Link,
        ether_type: EtherType,
        parts: &[&[u8]],
    ) {
        let mut frame = vec![0; link.header_bytes()];
        // It is as long as the header.
        let written = link.write_to(&mut frame, ether_type);
        debug_assert!(written, "there is room for a header of its own length");
        for part in parts {
            frame.extend_from_slice(part);
        }
        if frame.len() < FRAME_BYTES_MIN {
            frame.resize(FRAME_BYTES_MIN, 0);
        }
        self.outputs.push_back(Output::Send {
            worker,
            device,
            frame,
        });
    }

    fn mac(&self, device: u16) -> MacAddress {
        let facts = self.devices.get(usize::from(device));
        facts.map_or(MacAddress::default(), |facts| facts.mac)
    }
}

impl Origin {
    fn key(self, address: IpAddr) -> Key {
        Key {
            device: self.device,
            vlan: self.vlan,
            address,
        }
    }
}

/// Who sends an IP packet, and to whom.
fn addresses_of(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let packet = ipv4::Packet::new(packet).ok()?;
            Some((packet.source().into(), packet.destination().into()))
        }
        _ => {
            let packet = ipv6::Packet::new(packet).ok()?;
            Some((packet.source().into(), packet.destination().into()))
        }
    }
}

/// The worker that sends what no worker's packet has brought about.
const FIRST_WORKER: u16 = 0;

/// Every host on the link, RFC 4291 2.7.1.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// ANNOUNCE_INTERVAL of RFC 5227 1.1, after which an address is announced for the second time.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// DEFEND_INTERVAL, RFC 5227 1.1.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// The shortest frame of Ethernet without its check sequence, IEEE 802.3 3.2.7.
const FRAME_BYTES_MIN: usize = 60;

#[cfg(test)]
mod tests {
    use super::super::network::Network;
    use super::*;
    use crate::FlowId;
    use std::net::SocketAddr;

    const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
    const PEER: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);
    const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 8]);
    const START: Instant = Instant::from_secs(1000);
    const WORKER: u16 = 1;

    /// One device with an address of each family, and one of IPv4 in VLAN 7 behind the same router
    /// address.
    fn station() -> Station {
        let on = |text: &str| Placed {
            device: 0,
            network: text.parse::<Network>().unwrap(),
        };
        let networks = [
            on("192.0.2.1/24 via 192.0.2.9"),
            on("10.0.0.1/24 via 10.0.0.9 vlan 7"),
            on("2001:db8::1/64 via fe80::9"),
        ];
        let facts = Facts {
            mac: OWN,
            mtu: 1500,
        };
        Station::new(vec![facts], &networks, 1)
    }

    type Sent = (u16, Option<u16>, MacAddress, EtherType, Vec<u8>);

    /// The frames to be sent: by which worker, in which VLAN, from and to whom, and what.
    fn sent(station: &mut Station) -> Vec<Sent> {
        let mut all = Vec::new();
        while let Some(output) = station.poll_output() {
            match output {
                Output::Send { worker, frame, .. } => {
                    assert!(frame.len() >= FRAME_BYTES_MIN);
                    let frame = Frame::new(&frame).unwrap();
                    assert_eq!(frame.source(), OWN);
                    let (vlan, to, kind) = (frame.vlan(), frame.destination(), frame.ether_type());
                    all.push((worker, vlan, to, kind, frame.payload().to_vec()));
                }
                Output::Drop(..) => panic!("nothing was to be dropped"),
            }
        }
        all
    }

    fn arp_messages(station: &mut Station) -> Vec<(MacAddress, arp::Message)> {
        let frames = sent(station).into_iter();
        let messages = frames.filter(|(.., kind, _)| *kind == EtherType::ARP);
        messages
            .map(|(_, _, to, _, bytes)| (to, arp::Message::parse(&bytes).unwrap()))
            .collect()
    }

    fn discoveries(station: &mut Station) -> Vec<(MacAddress, Ipv6Addr, ndp::Message)> {
        let frames = sent(station).into_iter();
        let messages = frames.filter(|(.., kind, _)| *kind == EtherType::IPV6);
        let parse = |(_, _, to, _, bytes): (_, _, _, _, Vec<u8>)| {
            let packet = ipv6::Packet::new(&bytes).unwrap();
            let message = ndp::Message::parse(&packet).unwrap();
            (to, packet.destination(), message)
        };
        messages.map(parse).collect()
    }

    fn frame(
        to: MacAddress,
        from: MacAddress,
        vlan: Option<u16>,
        kind: EtherType,
        parts: &[&[u8]],
    ) -> Vec<u8> {
        let link = Link::new(to, from, vlan);
        let mut frame = vec![0; link.header_bytes()];
        assert!(link.write_to(&mut frame, kind));
        for part in parts {
            frame.extend_from_slice(part);
        }
        frame
    }

    fn arp_frame(from: MacAddress, vlan: Option<u16>, message: &arp::Message) -> Vec<u8> {
        let to = match message.operation {
            arp::Operation::Request => MacAddress::BROADCAST,
            arp::Operation::Reply => OWN,
        };
        frame(to, from, vlan, EtherType::ARP, &[&message.to_bytes()])
    }

    fn asks(from: &str, target: &str) -> arp::Message {
        arp::Message::request(PEER, from.parse().unwrap(), target.parse().unwrap())
    }

    fn v6(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn discovery_frame(to: MacAddress, from: &str, at: &str, message: &ndp::Message) -> Vec<u8> {
        let (from, at) = (v6(from), v6(at));
        let (bytes, length) = message.to_bytes(from, at);
        let header = ipv6::Header {
            source: from,
            destination: at,
            next_header: ipv6::NEXT_HEADER_ICMPV6,
            hop_limit: ndp::HOP_LIMIT,
            traffic_class: 0,
            payload_bytes: length as u16,
        };
        frame(
            to,
            PEER,
            None,
            EtherType::IPV6,
            &[&header.to_bytes(), &bytes[..length]],
        )
    }

    fn request(from: &str, to: &str) -> Request {
        Request {
            flow: FlowId(0),
            source: from.parse().unwrap(),
            destination: SocketAddr::new(to.parse().unwrap(), 4000),
            version: 1,
        }
    }

    fn packet(from: &str, to: &str) -> Vec<u8> {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 4000);
        let (from, to) = (at(from), at(to));
        let headers = inet::Headers::new(&from, &to).unwrap();
        let mut memory = vec![7; 100];
        let start = headers.write_packet_before(&mut memory, 80, 20).unwrap();
        memory.split_off(start)
    }

    #[test]
    fn who_asks_for_our_address_is_told_in_the_same_vlan() {
        let mut station = station();
        for (vlan, from, target) in [
            (None, "192.0.2.9", "192.0.2.1"),
            (Some(7), "10.0.0.9", "10.0.0.1"),
        ] {
            let question = asks(from, target);
            station.handle_frame(START, WORKER, 0, &arp_frame(PEER, vlan, &question));
            let frames = sent(&mut station);
            let [(worker, tag, to, EtherType::ARP, bytes)] = &frames[..] else {
                panic!("{frames:?}");
            };
            assert_eq!((*worker, *tag, *to), (WORKER, vlan, PEER));
            assert_eq!(arp::Message::parse(bytes), Ok(question.reply(OWN)));
        }
    }

    #[test]
    fn who_asks_for_another_or_in_another_vlan_is_not_told() {
        let mut station = station();
        for (vlan, target) in [
            (None, "192.0.2.2"),
            (None, "10.0.0.1"),
            (Some(7), "192.0.2.1"),
            (Some(8), "10.0.0.1"),
        ] {
            let question = asks("192.0.2.9", target);
            station.handle_frame(START, WORKER, 0, &arp_frame(PEER, vlan, &question));
            assert_eq!(sent(&mut station), [], "{vlan:?} {target}");
        }
        // For another station, and from a device that is not there.
        let question = asks("192.0.2.9", "192.0.2.1");
        let stray = frame(OTHER, PEER, None, EtherType::ARP, &[&question.to_bytes()]);
        station.handle_frame(START, WORKER, 0, &stray);
        station.handle_frame(START, WORKER, 1, &arp_frame(PEER, None, &question));
        assert_eq!(sent(&mut station), []);
    }

    #[test]
    fn who_solicits_us_gets_an_advertisement() {
        let mut station = station();
        let ours = v6("2001:db8::1");
        let group = ndp::solicited_node(ours);
        for (source_mac, from) in [(Some(OTHER), "2001:db8::9"), (None, "fe80::9")] {
            let question = ndp::Message::Solicitation {
                target: ours,
                source_mac,
            };
            let at = group.to_string();
            let frame = discovery_frame(ndp::group_mac(group), from, &at, &question);
            station.handle_frame(START, WORKER, 0, &frame);
            let answer = ndp::Message::Advertisement {
                target: ours,
                target_mac: Some(OWN),
                router: false,
                solicited: true,
                overrides: true,
            };
            let to = source_mac.unwrap_or(PEER);
            assert_eq!(discoveries(&mut station), [(to, v6(from), answer)]);
        }
        // Somebody who wants to have it himself hears, with everybody else, that it is taken.
        let probe = ndp::Message::Solicitation {
            target: ours,
            source_mac: None,
        };
        let frame = discovery_frame(ndp::group_mac(group), "::", &group.to_string(), &probe);
        station.handle_frame(START, WORKER, 0, &frame);
        let answers = discoveries(&mut station);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].1, ALL_NODES);
    }

    #[test]
    fn routers_are_found_and_addresses_announced_when_a_link_comes_up() {
        let mut station = station();
        station.handle_link_up(START, 0);
        let mut asked = Vec::new();
        let mut announced = 0;
        for (worker, vlan, to, kind, bytes) in sent(&mut station) {
            assert_eq!(worker, FIRST_WORKER);
            assert!(to.is_group());
            if kind == EtherType::ARP {
                let message = arp::Message::parse(&bytes).unwrap();
                assert_eq!(message.sender_mac, OWN);
                if message.sender_ip == message.target_ip {
                    announced += 1;
                } else {
                    asked.push((vlan, IpAddr::V4(message.target_ip)));
                }
            } else {
                let packet = ipv6::Packet::new(&bytes).unwrap();
                match ndp::Message::parse(&packet).unwrap() {
                    ndp::Message::Solicitation { target, source_mac } => {
                        assert_eq!(source_mac, Some(OWN));
                        assert_eq!(packet.source(), v6("2001:db8::1"));
                        asked.push((vlan, IpAddr::V6(target)));
                    }
                    ndp::Message::Advertisement { .. } => announced += 1,
                }
            }
        }
        let router = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(
            asked,
            [
                (None, router("192.0.2.9")),
                (Some(7), router("10.0.0.9")),
                (None, router("fe80::9"))
            ]
        );
        assert_eq!(announced, 3);
        // Said twice; the routers do not answer.
        station.handle_timeout(START + ANNOUNCE_INTERVAL);
        let announced = arp_messages(&mut station);
        let announced = announced
            .iter()
            .filter(|(_, it)| it.sender_ip == it.target_ip);
        assert_eq!(announced.count(), 2);
    }

    #[test]
    fn a_packet_waits_for_its_router_and_workers_are_told() {
        let mut station = station();
        for (from, to, router) in [
            ("192.0.2.1", "198.51.100.7", "192.0.2.9"),
            ("192.0.2.1", "192.0.2.77", "192.0.2.77"),
        ] {
            let hop = station.resolve(&request(from, to));
            assert_eq!(station.told(hop), Hop::Slow);
            let bytes = packet(from, to);
            station.handle_packet(START, WORKER, &bytes);
            let asked = arp_messages(&mut station);
            assert_eq!(asked.len(), 1);
            assert_eq!(asked[0].1.target_ip.to_string(), router);
            let answer = arp::Message {
                sender_mac: PEER,
                ..asked[0].1.reply(PEER)
            };
            station.handle_frame(START, 0, 0, &arp_frame(PEER, None, &answer));
            let frames = sent(&mut station);
            let [(WORKER, None, PEER, EtherType::IPV4, payload)] = &frames[..] else {
                panic!("{frames:?}");
            };
            assert!(payload.starts_with(&bytes));
            assert_eq!(station.poll_change(), Some(hop));
            let direct = Hop::Direct {
                interface: 0,
                mtu: 1500,
                link: Link::new(PEER, OWN, None),
                confirm: false,
            };
            assert_eq!(station.told(hop), direct);
        }
    }

    #[test]
    fn a_packet_for_ipv6_waits_for_its_router_too() {
        let mut station = station();
        let (from, to) = ("2001:db8::1", "2001:db8:9::7");
        let bytes = packet(from, to);
        station.handle_packet(START, WORKER, &bytes);
        let router = v6("fe80::9");
        let question = ndp::Message::Solicitation {
            target: router,
            source_mac: Some(OWN),
        };
        let group = ndp::solicited_node(router);
        let asked = discoveries(&mut station);
        assert_eq!(asked, [(ndp::group_mac(group), group, question)]);
        let answer = ndp::Message::Advertisement {
            target: router,
            target_mac: Some(PEER),
            router: true,
            solicited: true,
            overrides: true,
        };
        let frame = discovery_frame(OWN, "fe80::9", from, &answer);
        station.handle_frame(START, 0, 0, &frame);
        let frames = sent(&mut station);
        assert_eq!(frames.len(), 1);
        let (worker, _, mac, kind, payload) = &frames[0];
        assert_eq!((*worker, *mac, *kind), (WORKER, PEER, EtherType::IPV6));
        assert_eq!(*payload, bytes);
    }

    #[test]
    fn where_no_way_leads_packets_are_refused() {
        let mut station = station();
        for (from, to) in [
            ("192.0.2.1", "10.0.0.1"),
            ("192.0.2.1", "192.0.2.255"),
            ("192.0.2.5", "192.0.2.9"),
        ] {
            station.handle_packet(START, WORKER, &packet(from, to));
            let refused = Output::Drop(DropReason::TxRefused, 1);
            assert_eq!(station.poll_output(), Some(refused), "{from} {to}");
            assert_eq!(station.resolve(&request(from, to)), HopId::UNREACHABLE);
        }
        station.handle_packet(START, WORKER, &[]);
        station.handle_packet(START, WORKER, &[0x45; 7]);
        assert_eq!(std::iter::from_fn(|| station.poll_output()).count(), 2);
    }

    #[test]
    fn echo_requests_are_answered_and_nothing_else_is() {
        let mut station = station();
        let mut echo = vec![8, 0, 0, 0, 1, 2, 3, 4, b'h', b'i'];
        let sum = inet::checksum::of(&echo);
        echo[2..4].copy_from_slice(&sum.to_be_bytes());
        let ping = |to: &str, from: &str, echo: &[u8]| {
            let header = ipv4::Header {
                source: from.parse().unwrap(),
                destination: to.parse().unwrap(),
                protocol: ipv4::PROTOCOL_ICMP,
                traffic_class: 0x10,
                payload_bytes: echo.len() as u16,
            };
            frame(
                OWN,
                PEER,
                None,
                EtherType::IPV4,
                &[&header.to_bytes(), echo],
            )
        };
        station.handle_frame(START, WORKER, 0, &ping("192.0.2.1", "198.51.100.7", &echo));
        let frames = sent(&mut station);
        let [(WORKER, None, PEER, EtherType::IPV4, bytes)] = &frames[..] else {
            panic!("{frames:?}");
        };
        let packet = ipv4::Packet::new(bytes).unwrap();
        assert_eq!(packet.destination().to_string(), "198.51.100.7");
        assert_eq!(
            (packet.source().to_string(), packet.traffic_class()),
            ("192.0.2.1".into(), 0x10)
        );
        assert_eq!(
            (packet.payload()[0], inet::checksum::of(packet.payload())),
            (0, 0)
        );
        assert_eq!(packet.payload()[4..], echo[4..]);
        for silent in [
            ping("192.0.2.2", "198.51.100.7", &echo),
            ping("192.0.2.255", "198.51.100.7", &echo),
            ping("192.0.2.1", "224.0.0.1", &echo),
            ping("192.0.2.1", "0.0.0.0", &echo),
            ping("192.0.2.1", "198.51.100.7", &echo[..9]),
            // A reply, which asks for none.
            ping("192.0.2.1", "198.51.100.7", &[0, 0, 0xff, 0xff, 0, 0, 0, 0]),
        ] {
            station.handle_frame(START, WORKER, 0, &silent);
            assert_eq!(sent(&mut station), []);
        }
    }

    #[test]
    fn an_address_that_somebody_else_has_is_defended_now_and_then() {
        let mut station = station();
        let claim = asks("192.0.2.1", "192.0.2.1");
        for (at, defended) in [(0, 1), (1, 0), (9, 0), (10, 1)] {
            let now = START + Duration::from_secs(at);
            station.handle_frame(now, WORKER, 0, &arp_frame(PEER, None, &claim));
            assert_eq!(arp_messages(&mut station).len(), defended, "after {at} s");
        }
        // What we said ourselves comes back on some links.
        let own = arp::Message {
            sender_mac: OWN,
            ..claim
        };
        let echo = arp_frame(PEER, None, &own);
        station.handle_frame(START + Duration::from_secs(60), WORKER, 0, &echo);
        assert_eq!(sent(&mut station), []);
    }

    #[test]
    fn a_full_table_is_forgotten_and_filled_anew() {
        let mut station = station();
        let version = station.version();
        let mut hops = 0;
        while station.version() == version {
            let [.., high, low] = (hops as u32).to_be_bytes();
            let host = format!("fe80::{:x}", u16::from_be_bytes([high, low]) + 1);
            assert_ne!(
                station.resolve(&request("2001:db8::1", &host)),
                HopId::UNREACHABLE
            );
            hops += 1;
        }
        assert!(hops > 4000, "{hops}");
        assert_eq!(station.version(), version + 1);
    }

    #[test]
    fn garbage_brings_about_nothing() {
        let mut station = station();
        let echo_v6 = {
            let header = ipv6::Header {
                source: v6("2001:db8::9"),
                destination: v6("2001:db8::1"),
                next_header: ipv6::NEXT_HEADER_ICMPV6,
                hop_limit: 64,
                traffic_class: 0,
                payload_bytes: 12,
            };
            let echo = [128, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
            frame(
                OWN,
                PEER,
                None,
                EtherType::IPV6,
                &[&header.to_bytes(), &echo],
            )
        };
        let solicitation = ndp::Message::Solicitation {
            target: v6("2001:db8::1"),
            source_mac: Some(PEER),
        };
        let frames = [
            arp_frame(PEER, None, &asks("192.0.2.9", "192.0.2.1")),
            discovery_frame(OWN, "2001:db8::9", "2001:db8::1", &solicitation),
            echo_v6,
        ];
        for frame in frames {
            for length in 0..frame.len() {
                station.handle_frame(START, WORKER, 0, &frame[..length]);
                Station::concerns(&frame[..length]);
            }
            for place in 0..frame.len() * 8 {
                let mut damaged = frame.clone();
                damaged[place / 8] ^= 1 << (place % 8);
                station.handle_frame(START, WORKER, 0, &damaged);
                while let Some(output) = station.poll_output() {
                    assert!(matches!(output, Output::Send { .. }));
                }
            }
        }
    }
}
