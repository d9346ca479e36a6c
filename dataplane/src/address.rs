//! Local addresses, and the number of a flow.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// A flow: one local UDP port of one local address, receiving.
///
/// The number indexes every table of the runtime, so nothing per packet hashes. A port that is
/// opened again has the same number; what was meant for its former use is told apart by a
/// generation that the runtime keeps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(pub u32);

impl FlowId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The place of an address in [`LocalAddresses`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AddressIndex(pub u16);

/// One address of this process and the ports it deals out there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalAddress {
    /// The address; never unspecified, since packets are sent from it.
    pub ip: IpAddr,
    /// The ports, even to odd so that RTP and RTCP stay together.
    pub ports: RangeInclusive<u16>,
}

impl LocalAddress {
    /// `ip` with the ports `ports`.
    pub fn new(ip: IpAddr, ports: RangeInclusive<u16>) -> Self {
        Self { ip, ports }
    }
}

/// Every local address, with the numbers of its flows. Fixed at start.
#[derive(Clone, Debug)]
pub struct LocalAddresses {
    entries: Vec<Entry>,
    /// By the last octet of an address, the place of one entry that ends so.
    by_octet: [u8; 256],
    /// By the number of a flow without its last [`BLOCK_BITS`], the place of the entry that the
    /// first of these flows belongs to.
    by_block: Box<[u8]>,
    flows: u32,
}

#[derive(Clone, Debug)]
struct Entry {
    ip: IpAddr,
    first: u16,
    last: u16,
    base: u32,
}

impl LocalAddresses {
    /// Numbers the flows of `addresses`; `None` when an address is unspecified or repeated, a port
    /// range is empty or begins with port 0, or there are more than [`ADDRESSES_MAX`] or none.
    pub fn new(addresses: &[LocalAddress]) -> Option<Self> {
        if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
            return None;
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(addresses.len());
        let mut base = 0_u32;
        for LocalAddress { ip, ports } in addresses {
            let (first, last) = (*ports.start(), *ports.end());
            let repeated = entries.iter().any(|entry| entry.ip == *ip);
            if ip.is_unspecified() || repeated || first == 0 || first > last {
                return None;
            }
            entries.push(Entry {
                ip: *ip,
                first,
                last,
                base,
            });
            base += u32::from(last - first) + 1;
        }
        let mut by_octet = [0; 256];
        for (index, entry) in entries.iter().enumerate() {
            by_octet[last_octet(entry.ip)] = index as u8;
        }
        let place = |flow| entries.partition_point(|entry| entry.base <= flow) - 1;
        let blocks = (0..base).step_by(1 << BLOCK_BITS);
        let by_block = blocks.map(|first| place(first) as u8).collect();
        Some(Self {
            entries,
            by_octet,
            by_block,
            flows: base,
        })
    }

    /// The number of flows there can be: every [`FlowId`] is below it.
    pub fn flows(&self) -> usize {
        self.flows as usize
    }

    /// The flow of a port of an address.
    #[inline]
    pub fn flow(&self, address: AddressIndex, port: u16) -> Option<FlowId> {
        self.entries.get(usize::from(address.0))?.flow(port)
    }

    /// The flow with this local address and port. Looks at one address if no other ends with the
    /// same octet, else at each: at most [`ADDRESSES_MAX`].
    #[inline]
    pub fn find(&self, local: SocketAddr) -> Option<FlowId> {
        let likely = &self.entries[usize::from(self.by_octet[last_octet(local.ip())])];
        if likely.ip == local.ip() {
            return likely.flow(local.port());
        }
        let entry = self.entries.iter().find(|entry| entry.ip == local.ip())?;
        entry.flow(local.port())
    }

    /// The index of an address.
    pub fn index_of(&self, ip: IpAddr) -> Option<AddressIndex> {
        let index = self.entries.iter().position(|entry| entry.ip == ip)?;
        Some(AddressIndex(index as u16))
    }

    /// Each address and its ports.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, RangeInclusive<u16>)> + '_ {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.ip, entry.first..=entry.last))
    }

    /// The local address and port of a flow. Looks at one address, and at those that begin in the
    /// same `BLOCK_BITS` of numbers.
    #[inline]
    pub fn local(&self, flow: FlowId) -> Option<SocketAddr> {
        let first = *self.by_block.get(flow.index() >> BLOCK_BITS)?;
        let entries = self.entries.get(usize::from(first)..)?;
        let entry = entries.iter().find(|entry| flow.0 < entry.end())?;
        let port = entry.first + (flow.0 - entry.base) as u16;
        Some(SocketAddr::new(entry.ip, port))
    }
}

#[inline]
fn last_octet(ip: IpAddr) -> usize {
    usize::from(match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    })
}

impl Entry {
    /// The number after its last.
    #[inline]
    fn end(&self) -> u32 {
        self.base + u32::from(self.last - self.first) + 1
    }

    #[inline]
    fn flow(&self, port: u16) -> Option<FlowId> {
        let inside = (self.first..=self.last).contains(&port);
        inside.then(|| FlowId(self.base + u32::from(port - self.first)))
    }
}

/// So many flows are a block: nearly always of one address.
const BLOCK_BITS: u32 = 8;

/// Addresses of one process: realms times address families, with room.
pub const ADDRESSES_MAX: usize = 64;

const _: () = assert!(ADDRESSES_MAX <= 256);

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> LocalAddresses {
        LocalAddresses::new(&[
            LocalAddress::new("192.0.2.1".parse().unwrap(), 10_000..=10_003),
            LocalAddress::new("2001:db8::1".parse().unwrap(), 20_000..=20_001),
        ])
        .unwrap()
    }

    #[test]
    fn flows_are_numbered_without_gaps_and_back() {
        let addresses = two();
        assert_eq!(addresses.flows(), 6);
        for number in 0..6 {
            let local = addresses.local(FlowId(number)).unwrap();
            assert_eq!(addresses.find(local), Some(FlowId(number)));
            let index = addresses.index_of(local.ip()).unwrap();
            assert_eq!(addresses.flow(index, local.port()), Some(FlowId(number)));
        }
        assert_eq!(addresses.local(FlowId(6)), None);
    }

    #[test]
    fn ranges_of_any_length_are_found_by_the_number() {
        let lengths = [1_u16, 255, 256, 2, 1000, 1, 1, 513];
        let all: Vec<LocalAddress> = (0_u8..)
            .zip(lengths)
            .map(|(net, ports)| LocalAddress::new([10, 0, net, 1].into(), 7..=6 + ports))
            .collect();
        let addresses = LocalAddresses::new(&all).unwrap();
        let expected = all.iter().flat_map(|address| {
            let ports = address.ports.clone();
            ports.map(|port| SocketAddr::new(address.ip, port))
        });
        let found = (0..addresses.flows() as u32).map(|flow| addresses.local(FlowId(flow)));
        assert!(found.eq(expected.map(Some)));
        for beyond in [addresses.flows() as u32, u32::MAX] {
            assert_eq!(addresses.local(FlowId(beyond)), None);
        }
    }

    #[test]
    fn addresses_that_end_alike_are_told_apart() {
        let ips: Vec<IpAddr> = (0..ADDRESSES_MAX as u8)
            .map(|net| IpAddr::from([10, 0, net, net % 3]))
            .collect();
        let all: Vec<_> = ips
            .iter()
            .map(|ip| LocalAddress::new(*ip, 10..=11))
            .collect();
        let addresses = LocalAddresses::new(&all).unwrap();
        for (index, ip) in ips.into_iter().enumerate() {
            let flow = addresses.find(SocketAddr::new(ip, 11));
            assert_eq!(flow, Some(FlowId(2 * index as u32 + 1)));
        }
        assert_eq!(addresses.find("10.9.9.1:11".parse().unwrap()), None);
    }

    #[test]
    fn a_port_out_of_range_is_no_flow() {
        let addresses = two();
        for text in [
            "192.0.2.1:9999",
            "192.0.2.1:10004",
            "192.0.2.2:10000",
            "[2001:db8::1]:1",
        ] {
            assert_eq!(addresses.find(text.parse().unwrap()), None, "{text}");
        }
        assert_eq!(addresses.flow(AddressIndex(2), 10_000), None);
    }

    #[test]
    fn addresses_that_cannot_work_are_refused() {
        let address = |ip: &str, ports| LocalAddress::new(ip.parse().unwrap(), ports);
        assert!(LocalAddresses::new(&[]).is_none());
        assert!(LocalAddresses::new(&[address("0.0.0.0", 10..=11)]).is_none());
        assert!(LocalAddresses::new(&[address("10.0.0.1", 0..=11)]).is_none());
        #[expect(clippy::reversed_empty_ranges)]
        let empty = 12..=11;
        assert!(LocalAddresses::new(&[address("10.0.0.1", empty)]).is_none());
        let twice = address("10.0.0.1", 10..=11);
        assert!(LocalAddresses::new(&[twice.clone(), twice]).is_none());
    }
}
