//! The table of next hops that the kernel knows: what of each, and what a worker is to do with its
//! packets.

use super::super::hop::{HOPS_MAX, Hop, HopId};
use super::netlink::{Link, Neighbour, Route, state};
use inet::MacAddress;
use std::collections::HashMap;
use std::net::IpAddr;

/// Next hops in use, by interface and address.
#[derive(Debug)]
pub(super) struct Hops {
    /// Our interfaces, by their place in the configuration.
    interfaces: Vec<u32>,
    links: HashMap<u32, Link>,
    records: Vec<Record>,
    by_key: HashMap<(u32, IpAddr), HopId>,
}

#[derive(Debug)]
struct Record {
    interface: u32,
    known: Known,
    /// What workers have been told.
    told: Hop,
}

/// What the kernel knows of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Nothing,
    Failed,
    At { mac: MacAddress, is_stale: bool },
}

impl Hops {
    pub(super) fn new(interfaces: Vec<u32>) -> Self {
        Self {
            interfaces,
            links: HashMap::new(),
            records: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    /// Forgets every next hop; links stay.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.by_key.clear();
    }

    /// The key of the next hop of a route to `destination`; `None` when that is the kernel's.
    pub(super) fn key(&self, route: &Route, destination: IpAddr) -> Option<(u32, IpAddr)> {
        let interface = route.interface?;
        let address = route.gateway.unwrap_or(destination);
        (route.is_unicast && self.place(interface).is_some()).then_some((interface, address))
    }

    /// The next hop with this key, if it is in the table.
    pub(super) fn find(&self, key: (u32, IpAddr)) -> Option<HopId> {
        self.by_key.get(&key).copied()
    }

    /// Adds a next hop of which nothing is known yet; `None` when there are [`HOPS_MAX`].
    pub(super) fn add(&mut self, key: (u32, IpAddr)) -> Option<HopId> {
        let number = HopId::FIRST + self.records.len();
        if number >= HOPS_MAX {
            return None;
        }
        let id = HopId(number as u16);
        self.records.push(Record {
            interface: key.0,
            known: Known::Nothing,
            told: Hop::Slow,
        });
        self.by_key.insert(key, id);
        Some(id)
    }

    /// All keys: what there is to be asked anew after a loss.
    pub(super) fn keys(&self) -> Vec<(u32, IpAddr)> {
        self.by_key.keys().copied().collect()
    }

    /// Takes what the kernel says of a neighbour; true when it is one of ours.
    pub(super) fn handle_neighbour(&mut self, neighbour: &Neighbour) -> bool {
        let known = match neighbour.mac {
            _ if neighbour.state & state::FAILED != 0 => Known::Failed,
            Some(mac) if neighbour.state & state::WITH_MAC != 0 => Known::At {
                mac,
                is_stale: neighbour.state & state::STALE != 0,
            },
            _ => Known::Nothing,
        };
        self.know((neighbour.interface, neighbour.address), known)
    }

    /// The kernel has forgotten a neighbour.
    pub(super) fn handle_neighbour_gone(&mut self, interface: u32, address: IpAddr) -> bool {
        self.know((interface, address), Known::Nothing)
    }

    fn know(&mut self, key: (u32, IpAddr), known: Known) -> bool {
        let Some(record) = self.find(key).and_then(|id| self.record(id)) else {
            return false;
        };
        record.known = known;
        true
    }

    fn record(&mut self, id: HopId) -> Option<&mut Record> {
        let index = usize::from(id.0).checked_sub(HopId::FIRST)?;
        self.records.get_mut(index)
    }

    /// Takes an interface's state; true when it is not as it was.
    pub(super) fn handle_link(&mut self, link: Link) -> bool {
        self.links.insert(link.index, link) != Some(link)
    }

    /// An interface is gone.
    pub(super) fn handle_link_gone(&mut self, index: u32) -> bool {
        self.links.remove(&index).is_some()
    }

    /// Gives neighbours that could not be found another chance: the kernel looks for them with the
    /// next packet. True when there are such.
    pub(super) fn retry_failed(&mut self) -> bool {
        let mut any = false;
        for record in &mut self.records {
            if record.known == Known::Failed {
                record.known = Known::Nothing;
                any = true;
            }
        }
        any
    }

    /// True when a neighbour could not be found.
    pub(super) fn has_failed(&self) -> bool {
        self.records
            .iter()
            .any(|record| record.known == Known::Failed)
    }

    /// What workers are to be told now: each next hop that is not what they know.
    pub(super) fn changes(&mut self) -> Vec<(HopId, Hop)> {
        let mut changes = Vec::new();
        for index in 0..self.records.len() {
            let hop = self.hop(&self.records[index]);
            let record = &mut self.records[index];
            if record.told != hop {
                record.told = hop;
                changes.push((HopId((HopId::FIRST + index) as u16), hop));
            }
        }
        changes
    }

    /// What workers are to know of a next hop.
    pub(super) fn told(&self, id: HopId) -> Option<Hop> {
        let index = usize::from(id.0).checked_sub(HopId::FIRST)?;
        self.records.get(index).map(|record| record.told)
    }

    fn hop(&self, record: &Record) -> Hop {
        let (mac, is_stale) = match record.known {
            Known::Nothing => return Hop::Slow,
            Known::Failed => return Hop::Unreachable,
            Known::At { mac, is_stale } => (mac, is_stale),
        };
        let Some((place, vlan)) = self.place(record.interface) else {
            return Hop::Slow;
        };
        let is_up = |index| self.links.get(&index).is_some_and(|link| link.is_up);
        let Some(link) = self.links.get(&record.interface) else {
            return Hop::Slow;
        };
        let (true, true, Some(own)) = (link.is_up, is_up(self.interfaces[place]), link.mac) else {
            return Hop::Slow;
        };
        Hop::Direct {
            interface: place as u16,
            mtu: u16::try_from(link.mtu).unwrap_or(u16::MAX),
            link: inet::Link::new(mac, own, vlan),
            confirm: is_stale,
        }
    }

    /// Which of our interfaces packets for this one leave by, and with which VLAN's tag.
    fn place(&self, interface: u32) -> Option<(usize, Option<u16>)> {
        let find = |wanted| self.interfaces.iter().position(|index| *index == wanted);
        if let Some(place) = find(interface) {
            return Some((place, None));
        }
        let (parent, vlan) = self.links.get(&interface)?.vlan_of?;
        find(parent).map(|place| (place, Some(vlan)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);
    const OWN: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
    const ROUTER_IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

    fn link(index: u32, vlan_of: Option<(u32, u16)>) -> Link {
        Link {
            index,
            is_up: true,
            mac: Some(OWN),
            mtu: 1500,
            vlan_of,
        }
    }

    fn neighbour(interface: u32, state: u16, mac: MacAddress) -> Neighbour {
        Neighbour {
            interface,
            address: ROUTER_IP,
            state,
            mac: Some(mac),
        }
    }

    /// Interface 5 is ours, 6 its VLAN 100, 7 somebody else's.
    fn hops() -> Hops {
        let mut hops = Hops::new(vec![5]);
        for link in [link(5, None), link(6, Some((5, 100))), link(7, None)] {
            assert!(hops.handle_link(link));
            assert!(!hops.handle_link(link));
        }
        hops
    }

    fn direct(mac: MacAddress, vlan: Option<u16>, confirm: bool) -> Hop {
        Hop::Direct {
            interface: 0,
            mtu: 1500,
            link: inet::Link::new(mac, OWN, vlan),
            confirm,
        }
    }

    #[test]
    fn a_route_leads_to_its_router_or_to_the_host_itself() {
        let hops = hops();
        let host: IpAddr = [198, 51, 100, 7].into();
        let route = |interface, gateway| Route {
            is_unicast: true,
            interface: Some(interface),
            gateway,
        };
        assert_eq!(
            hops.key(&route(5, Some(ROUTER_IP)), host),
            Some((5, ROUTER_IP))
        );
        assert_eq!(hops.key(&route(6, None), host), Some((6, host)));
        assert_eq!(hops.key(&route(7, None), host), None);
        let local = Route {
            is_unicast: false,
            ..route(5, None)
        };
        assert_eq!(hops.key(&local, host), None);
    }

    #[test]
    fn a_neighbour_is_followed_through_its_states() {
        let mut hops = hops();
        let id = hops.add((5, ROUTER_IP)).unwrap();
        assert_eq!(hops.changes(), []);
        let other = MacAddress([2, 0, 0, 0, 0, 8]);
        for (state, mac, expected) in [
            (0x01, ROUTER, vec![]),
            (0x02, ROUTER, vec![(id, direct(ROUTER, None, false))]),
            (0x08, ROUTER, vec![]),
            (0x04, ROUTER, vec![(id, direct(ROUTER, None, true))]),
            (0x02, other, vec![(id, direct(other, None, false))]),
            (0x20, other, vec![(id, Hop::Unreachable)]),
        ] {
            assert!(hops.handle_neighbour(&neighbour(5, state, mac)));
            assert_eq!(hops.changes(), expected, "state {state:x}");
        }
        assert!(hops.has_failed() && hops.retry_failed() && !hops.has_failed());
        assert_eq!(hops.changes(), [(id, Hop::Slow)]);
        assert!(!hops.handle_neighbour(&neighbour(7, 2, ROUTER)));
        hops.handle_neighbour(&neighbour(5, 0x80, ROUTER));
        hops.changes();
        assert!(hops.handle_neighbour_gone(5, ROUTER_IP));
        assert_eq!(hops.changes(), [(id, Hop::Slow)]);
    }

    #[test]
    fn packets_of_a_vlan_get_its_tag_and_need_both_links() {
        let mut hops = hops();
        let id = hops.add((6, ROUTER_IP)).unwrap();
        hops.handle_neighbour(&neighbour(6, 0x02, ROUTER));
        let tagged = direct(ROUTER, Some(100), false);
        assert_eq!(hops.changes(), [(id, tagged)]);
        for (index, vlan_of) in [(5, None), (6, Some((5, 100)))] {
            let mut down = link(index, vlan_of);
            down.is_up = false;
            assert!(hops.handle_link(down));
            assert_eq!(hops.changes(), [(id, Hop::Slow)]);
            assert!(hops.handle_link(link(index, vlan_of)));
            assert_eq!(hops.changes(), [(id, tagged)]);
        }
        assert!(hops.handle_link_gone(6) && !hops.handle_link_gone(6));
        assert_eq!(hops.changes(), [(id, Hop::Slow)]);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut hops = hops();
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        let mut added = 0;
        while hops.add((5, address(added))).is_some() {
            added += 1;
        }
        assert_eq!(added as usize, HOPS_MAX - HopId::FIRST);
        hops.clear();
        assert_eq!(hops.find((5, address(0))), None);
        assert!(hops.add((5, address(0))).is_some());
    }
}
