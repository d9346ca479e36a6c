//! Our addresses, and how others are reached from them.

use crate::path::within;
use crate::{FlowId, LocalAddresses};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One of our addresses with what is on its link and behind it, written as a route is:
/// `192.0.2.1/24 via 192.0.2.254 vlan 100`. Router and VLAN may be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// Our address.
    pub address: IpAddr,
    /// Bits of the prefix that all hosts on the link share.
    pub bits: u8,
    /// The router for every other host.
    pub gateway: Option<IpAddr>,
    /// The VLAN that it is in, 1 to 4094.
    pub vlan: Option<u16>,
}

impl Network {
    /// The host on the link that packets to `destination` are given to; `None` where no way leads.
    pub fn next_hop(&self, destination: IpAddr) -> Option<IpAddr> {
        if !self.is_other_host(destination) {
            return None;
        }
        if self.has_on_link(destination) {
            Some(destination)
        } else {
            self.gateway
        }
    }

    /// True for an address of one host of our family that is not ourselves.
    fn is_other_host(&self, address: IpAddr) -> bool {
        let is_host = match address {
            IpAddr::V4(host) => {
                let is_broadcast = host.is_broadcast() || self.is_broadcast(u32::from(host));
                !(host.is_multicast() || host.is_unspecified() || is_broadcast)
            }
            IpAddr::V6(host) => !(host.is_multicast() || host.is_unspecified()),
        };
        is_host && address != self.address && address.is_ipv4() == self.address.is_ipv4()
    }

    /// True for the hosts that are reached without a router.
    fn has_on_link(&self, host: IpAddr) -> bool {
        is_link_local(host) || within(host, self.address, self.bits)
    }

    /// True for the address of all hosts of the prefix, RFC 919 7; a prefix of 31 bits has none
    /// (RFC 3021).
    fn is_broadcast(&self, host: u32) -> bool {
        let IpAddr::V4(own) = self.address else {
            return false;
        };
        let hosts = u32::MAX.checked_shr(self.bits.into()).unwrap_or(0);
        self.bits < 31
            && host & hosts == hosts
            && within(host.to_be_bytes().into(), own.into(), self.bits)
    }

    fn is_possible(&self) -> bool {
        let bits_max = if self.address.is_ipv4() { 32 } else { 128 };
        let vlan = self.vlan.is_none_or(|vlan| (1..=4094).contains(&vlan));
        let gateway = self
            .gateway
            .is_none_or(|gateway| self.is_other_host(gateway) && self.has_on_link(gateway));
        let usable = !self.address.is_unspecified() && !self.address.is_multicast();
        usable && (1..=bits_max).contains(&self.bits) && vlan && gateway
    }
}

/// RFC 4291 2.5.6.
fn is_link_local(host: IpAddr) -> bool {
    matches!(host, IpAddr::V6(host) if host.is_unicast_link_local())
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let mut words = text.split_whitespace();
        let (address, bits) = words
            .next()
            .and_then(|word| word.split_once('/'))
            .ok_or(NotANetwork)?;
        let mut network = Network {
            address: address.parse().map_err(|_| NotANetwork)?,
            bits: bits.parse().map_err(|_| NotANetwork)?,
            gateway: None,
            vlan: None,
        };
        while let Some(word) = words.next() {
            let value = words.next().ok_or(NotANetwork)?;
            match word {
                "via" if network.gateway.is_none() => {
                    network.gateway = Some(value.parse().map_err(|_| NotANetwork)?);
                }
                "vlan" if network.vlan.is_none() => {
                    network.vlan = Some(value.parse().map_err(|_| NotANetwork)?);
                }
                _ => return Err(NotANetwork),
            }
        }
        network.is_possible().then_some(network).ok_or(NotANetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        match self.vlan {
            Some(vlan) => write!(f, " vlan {vlan}"),
            None => Ok(()),
        }
    }
}

/// A text that describes no network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotANetwork;

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "give ADDRESS/BITS, then \"via ROUTER\" with a router on that link and \"vlan ID\" \
             where they are needed",
        )
    }
}

impl std::error::Error for NotANetwork {}

/// A network and the device that it is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    pub(super) device: u16,
    pub(super) network: Network,
}

/// The network of each flow.
#[derive(Clone, Debug)]
pub(super) struct Places {
    placed: Box<[Placed]>,
    by_flow: Box<[u8]>,
}

impl Places {
    /// Finds the network of each address; that which has none is the error.
    pub(super) fn new(placed: &[Placed], addresses: &LocalAddresses) -> Result<Self, IpAddr> {
        let mut by_flow = vec![0; addresses.flows()];
        for (address, ports) in addresses.ranges() {
            let network = placed.iter().position(|it| it.network.address == address);
            let network = network
                .and_then(|it| u8::try_from(it).ok())
                .ok_or(address)?;
            for port in ports {
                if let Some(flow) = addresses.find((address, port).into()) {
                    by_flow[flow.index()] = network;
                }
            }
        }
        Ok(Self {
            placed: placed.into(),
            by_flow: by_flow.into(),
        })
    }

    /// The network of a flow.
    pub(super) fn of(&self, flow: FlowId) -> Option<&Placed> {
        let network = self.by_flow.get(flow.index())?;
        self.placed.get(usize::from(*network))
    }
}

/// Networks of one process at most.
pub const NETWORKS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalAddress;

    fn network(text: &str) -> Network {
        text.parse()
            .unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_is_written_as_it_is_read() {
        for text in [
            "192.0.2.1/24",
            "192.0.2.1/24 via 192.0.2.254",
            "192.0.2.1/24 via 192.0.2.254 vlan 100",
            "2001:db8::1/64 vlan 4094",
            "2001:db8::1/64 via fe80::1",
            "192.0.2.0/31 via 192.0.2.1",
            "192.0.2.1/32",
        ] {
            assert_eq!(network(text).to_string(), text);
        }
        let order = network("192.0.2.1/24 vlan 7  via 192.0.2.254");
        assert_eq!(
            (order.vlan, order.gateway),
            (Some(7), Some(ip("192.0.2.254")))
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            "",
            "192.0.2.1",
            "192.0.2.1/33",
            "192.0.2.1/0",
            "2001:db8::1/129",
            "0.0.0.0/24",
            "224.0.0.1/24",
            "192.0.2.1/24 via",
            "192.0.2.1/24 via 198.51.100.1",
            "192.0.2.1/24 via 192.0.2.1",
            "192.0.2.1/24 via 192.0.2.255",
            "192.0.2.1/24 via fe80::1",
            "192.0.2.1/24 vlan 0",
            "192.0.2.1/24 vlan 4095",
            "192.0.2.1/24 vlan 1 vlan 2",
            "192.0.2.1/24 dev eth0",
            "192.0.2.1/32 via 192.0.2.2",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }

    #[test]
    fn the_next_hop_is_the_host_or_the_router() {
        let with_router = network("192.0.2.1/24 via 192.0.2.254");
        let next = |host| with_router.next_hop(ip(host));
        assert_eq!(next("192.0.2.77"), Some(ip("192.0.2.77")));
        assert_eq!(next("198.51.100.7"), Some(ip("192.0.2.254")));
        for nobody in [
            "192.0.2.1",
            "192.0.2.255",
            "255.255.255.255",
            "0.0.0.0",
            "224.0.0.5",
            "2001:db8::1",
        ] {
            assert_eq!(next(nobody), None, "{nobody}");
        }
        assert_eq!(network("192.0.2.1/24").next_hop(ip("198.51.100.7")), None);
        let six = network("2001:db8::1/64 via fe80::1");
        for (host, hop) in [
            ("2001:db8::9", Some("2001:db8::9")),
            ("2001:db8:1::9", Some("fe80::1")),
            ("fe80::9", Some("fe80::9")),
            ("ff02::1", None),
        ] {
            assert_eq!(six.next_hop(ip(host)), hop.map(ip), "{host}");
        }
    }

    #[test]
    fn every_flow_has_the_network_of_its_address() {
        let local = |text: &str| LocalAddress::new(ip(text), 10..=13);
        let addresses = LocalAddresses::new(&[local("192.0.2.1"), local("2001:db8::1")]).unwrap();
        let on = |device, text| Placed {
            device,
            network: network(text),
        };
        let placed = [on(1, "2001:db8::1/64"), on(0, "192.0.2.1/24")];
        let places = Places::new(&placed, &addresses).unwrap();
        assert_eq!(places.of(FlowId(3)), Some(&placed[1]));
        assert_eq!(places.of(FlowId(4)), Some(&placed[0]));
        assert_eq!(places.of(FlowId(8)), None);
        let missing = Places::new(&placed[..1], &addresses);
        assert_eq!(missing.unwrap_err(), ip("192.0.2.1"));
    }
}
