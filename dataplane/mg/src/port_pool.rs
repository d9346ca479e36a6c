//! The ports of a gateway: pairs of an even port for media and the next for RTCP, by IP realm.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use base::Instant;

use crate::termination::TerminationKey;

/// An address for media and the IP realm it belongs to (`ipdc/realm`, H.248.41).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmAddress {
    /// The realm; `None` is every realm.
    pub realm: Option<String>,
    /// The address.
    pub ip: IpAddr,
}

/// What a stream wants of the pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub realm: Option<RealmIndex>,
    /// This address and no other.
    pub ip: Option<IpAddr>,
    pub is_ipv6: bool,
}

/// Place of a realm in the list of realms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RealmIndex(pub usize);

/// The pairs of ports of every address of one gateway.
///
/// A pair is free, used, or closing: given back and not yet reported closed by the media plane.
///
/// Of each address, [`IN_TURN`] pairs are dealt in turn, so that each rests as long as possible,
/// and more only while none of these is free and rested. A pair that was used before is the cheaper
/// one: what the system needs for it is still there.
#[derive(Debug)]
pub(crate) struct PortPool {
    realms: Vec<String>,
    addresses: Vec<AddressPorts>,
}

#[derive(Debug)]
struct AddressPorts {
    realm: Option<RealmIndex>,
    ip: IpAddr,
    /// The first even port.
    first: u16,
    /// Never used.
    fresh: VecDeque<u16>,
    /// Used before, and when each is rested.
    used_before: VecDeque<(u16, Instant)>,
    /// Taken and not opened, sorted by when each may be tried again.
    put_back: VecDeque<(u16, Instant)>,
    states: Vec<PairState>,
    /// What has each pair, while it is used.
    owners: Vec<Option<TerminationKey>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PairState {
    Free,
    Used,
    Closing,
}

impl PortPool {
    /// All pairs of `ports` at each address; an odd first or even last port is left out.
    pub fn new(addresses: &[RealmAddress], ports: &RangeInclusive<u16>) -> Self {
        let mut realms: Vec<String> = Vec::new();
        let mut pool = Vec::new();
        for RealmAddress { realm, ip } in addresses {
            let realm = realm.as_ref().map(|name| {
                let known = realms.iter().position(|realm| realm == name);
                RealmIndex(known.unwrap_or_else(|| {
                    realms.push(name.clone());
                    realms.len() - 1
                }))
            });
            pool.push(AddressPorts::new(realm, *ip, ports));
        }
        Self {
            realms,
            addresses: pool,
        }
    }

    /// The realm with this name; names differ by case. Without any named realm, every name is good.
    pub fn realm(&self, name: &str) -> Option<Option<RealmIndex>> {
        if self.realms.is_empty() {
            return Some(None);
        }
        let index = self.realms.iter().position(|realm| realm == name)?;
        Some(Some(RealmIndex(index)))
    }

    /// The names of the realms.
    pub fn realms(&self) -> &[String] {
        &self.realms
    }

    /// True for an address and port of the pool.
    pub fn owns(&self, local: SocketAddr) -> bool {
        self.addresses
            .iter()
            .any(|address| address.ip == local.ip() && address.index(local.port()).is_some())
    }

    /// Takes a pair that is free and rested, from the address that has the most.
    pub fn take(&mut self, now: Instant, wanted: Wanted) -> Option<SocketAddr> {
        let address = self
            .addresses
            .iter_mut()
            .filter(|address| address.suits(wanted))
            .filter(|address| address.next(now).is_some())
            .max_by_key(|address| address.free_len())?;
        let port = address.take(now)?;
        Some(SocketAddr::new(address.ip, port))
    }

    /// Takes this pair if it is free and rested.
    pub fn take_exactly(&mut self, now: Instant, local: SocketAddr) -> bool {
        let Some(address) = self.address_mut(local) else {
            return false;
        };
        address.take_exactly(now, local.port())
    }

    /// Gives back a pair that was taken and not opened; it is not dealt before `free_at`.
    pub fn put_back(&mut self, local: SocketAddr, free_at: Instant) {
        if let Some(address) = self.address_mut(local)
            && address.free_up(local.port(), PairState::Used)
        {
            // Those that others hold wait longest: they must not keep back what rests less long.
            let place = address.put_back.partition_point(|&(_, at)| at <= free_at);
            address.put_back.insert(place, (local.port(), free_at));
        }
    }

    /// Notes what has a pair that is used.
    pub fn set_owner(&mut self, local: SocketAddr, owner: TerminationKey) {
        if let Some(address) = self.address_mut(local)
            && let Some(index) = address.index(local.port())
            && address.states[index] == PairState::Used
        {
            address.owners[index] = Some(owner);
        }
    }

    /// What has a pair; `None` when nothing has, or it is being closed.
    pub fn owner(&self, local: SocketAddr) -> Option<TerminationKey> {
        let mut addresses = self.addresses.iter();
        let address = addresses.find(|address| address.ip == local.ip())?;
        address.owners[address.index(local.port())?]
    }

    /// A pair is being closed.
    pub fn closing(&mut self, local: SocketAddr) {
        if let Some(address) = self.address_mut(local) {
            address.set(local.port(), PairState::Closing);
        }
    }

    /// A pair that was being closed is closed.
    pub fn closed(&mut self, local: SocketAddr, free_at: Instant) {
        if let Some(address) = self.address_mut(local)
            && address.free_up(local.port(), PairState::Closing)
        {
            address.used_before.push_back((local.port(), free_at));
        }
    }

    /// True when the pair is at an address that suits.
    pub fn is_within(&self, local: SocketAddr, wanted: Wanted) -> bool {
        let mut addresses = self.addresses.iter();
        addresses.any(|address| address.ip == local.ip() && address.suits(wanted))
    }

    /// True when some address suits, whether it has free pairs or not.
    pub fn can_suit(&self, wanted: Wanted) -> bool {
        self.addresses.iter().any(|address| address.suits(wanted))
    }

    /// Pairs used or being closed, and pairs there are.
    pub fn usage(&self) -> (usize, usize) {
        let all = self
            .addresses
            .iter()
            .map(|address| address.states.len())
            .sum();
        let free: usize = self.addresses.iter().map(AddressPorts::free_len).sum();
        (all - free, all)
    }

    fn address_mut(&mut self, local: SocketAddr) -> Option<&mut AddressPorts> {
        self.addresses
            .iter_mut()
            .find(|address| address.ip == local.ip() && address.index(local.port()).is_some())
    }
}

impl AddressPorts {
    fn new(realm: Option<RealmIndex>, ip: IpAddr, ports: &RangeInclusive<u16>) -> Self {
        let first = ports.start().saturating_add(ports.start() % 2);
        let even = (first..*ports.end()).step_by(2);
        let fresh: VecDeque<_> = even.collect();
        Self {
            realm,
            ip,
            first,
            states: vec![PairState::Free; fresh.len()],
            owners: vec![None; fresh.len()],
            fresh,
            used_before: VecDeque::new(),
            put_back: VecDeque::new(),
        }
    }

    fn free_len(&self) -> usize {
        self.fresh.len() + self.used_before.len() + self.put_back.len()
    }

    /// The queue whose first pair is dealt next.
    fn next(&self, now: Instant) -> Option<Queue> {
        let is_due =
            |queue: &VecDeque<(u16, Instant)>| queue.front().is_some_and(|&(_, at)| at <= now);
        let begun = self.states.len() - self.fresh.len();
        match () {
            () if begun >= IN_TURN && is_due(&self.used_before) => Some(Queue::UsedBefore),
            () if !self.fresh.is_empty() => Some(Queue::Fresh),
            () if is_due(&self.used_before) => Some(Queue::UsedBefore),
            () if is_due(&self.put_back) => Some(Queue::PutBack),
            () => None,
        }
    }

    fn take(&mut self, now: Instant) -> Option<u16> {
        let port = match self.next(now)? {
            Queue::Fresh => self.fresh.pop_front()?,
            Queue::UsedBefore => self.used_before.pop_front()?.0,
            Queue::PutBack => self.put_back.pop_front()?.0,
        };
        self.set(port, PairState::Used);
        Some(port)
    }

    fn take_exactly(&mut self, now: Instant, port: u16) -> bool {
        let index = self.index(port);
        if index.is_none_or(|index| self.states[index] != PairState::Free) {
            return false;
        }
        let is_it = |&(other, at): &(u16, Instant)| other == port && at <= now;
        let found = if let Some(at) = self.fresh.iter().position(|&other| other == port) {
            self.fresh.remove(at).is_some()
        } else if let Some(at) = self.used_before.iter().position(is_it) {
            self.used_before.remove(at).is_some()
        } else if let Some(at) = self.put_back.iter().position(is_it) {
            self.put_back.remove(at).is_some()
        } else {
            false
        };
        if found {
            self.set(port, PairState::Used);
        }
        found
    }

    /// An address without realm suits every realm, and so does every address for want of a realm.
    fn suits(&self, wanted: Wanted) -> bool {
        let realm = wanted.realm.is_none() || self.realm.is_none() || self.realm == wanted.realm;
        let ip = wanted.ip.is_none_or(|ip| ip == self.ip);
        realm && ip && self.ip.is_ipv6() == wanted.is_ipv6
    }

    fn index(&self, port: u16) -> Option<usize> {
        let offset = usize::from(port.checked_sub(self.first)?);
        (offset % 2 == 0 && offset / 2 < self.states.len()).then_some(offset / 2)
    }

    fn set(&mut self, port: u16, state: PairState) {
        if let Some(index) = self.index(port) {
            self.states[index] = state;
            self.owners[index] = None;
        }
    }

    /// Makes a pair free; false when it was not in the state `from`.
    fn free_up(&mut self, port: u16, from: PairState) -> bool {
        let Some(index) = self.index(port).filter(|&index| self.states[index] == from) else {
            return false;
        };
        self.states[index] = PairState::Free;
        true
    }
}

/// Where free pairs wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Fresh,
    UsedBefore,
    PutBack,
}

/// Pairs of an address that are dealt in turn before it makes do with them: at ten calls a second
/// each rests for a hundred seconds.
const IN_TURN: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Instant = Instant::from_secs(100);

    fn pool() -> PortPool {
        let address = |realm: Option<&str>, ip: &str| RealmAddress {
            realm: realm.map(str::to_owned),
            ip: ip.parse().unwrap(),
        };
        PortPool::new(
            &[
                address(Some("access"), "192.0.2.1"),
                address(Some("core"), "198.51.100.1"),
                address(Some("core"), "2001:db8::1"),
            ],
            &(10_001..=10_006),
        )
    }

    fn wanted(realm: Option<usize>, is_ipv6: bool) -> Wanted {
        Wanted {
            realm: realm.map(RealmIndex),
            ip: None,
            is_ipv6,
        }
    }

    #[test]
    fn pairs_begin_at_even_ports_and_end_within_the_range() {
        let mut pool = pool();
        assert_eq!(pool.usage(), (0, 6));
        let taken: Vec<u16> =
            std::iter::from_fn(|| pool.take(NOW, wanted(Some(0), false)).map(|l| l.port()))
                .collect();
        assert_eq!(taken, [10_002, 10_004]);
        assert!(pool.owns("192.0.2.1:10004".parse().unwrap()));
        assert!(!pool.owns("192.0.2.1:10005".parse().unwrap()));
        assert!(!pool.owns("192.0.2.1:10006".parse().unwrap()));
    }

    #[test]
    fn a_pair_that_somebody_else_holds_keeps_none_back() {
        let address = RealmAddress {
            realm: None,
            ip: [192, 0, 2, 1].into(),
        };
        let mut pool = PortPool::new(&[address], &(10_000..=10_005));
        let access = wanted(None, false);
        let pairs: Vec<SocketAddr> = std::iter::from_fn(|| pool.take(NOW, access)).collect();
        let [held, one, other] = *pairs else {
            panic!("{pairs:?}");
        };
        pool.put_back(held, NOW + Duration::from_secs(60));
        pool.closing(one);
        pool.closed(one, NOW + Duration::from_secs(5));
        pool.put_back(other, NOW);
        assert_eq!(pool.take(NOW, access), Some(other));
        assert_eq!(pool.take(NOW, access), None);
        let rested = NOW + Duration::from_secs(5);
        assert_eq!(pool.take(rested, access), Some(one));
        assert_eq!(pool.take(rested, access), None);
        assert_eq!(pool.take(NOW + Duration::from_secs(60), access), Some(held));
    }

    #[test]
    fn a_pair_is_dealt_again_when_it_is_closed_and_rested() {
        let mut pool = pool();
        let one = pool.take(NOW, wanted(Some(0), false)).unwrap();
        let _two = pool.take(NOW, wanted(Some(0), false)).unwrap();
        pool.closing(one);
        assert_eq!(pool.take(NOW, wanted(Some(0), false)), None);
        let rested = NOW + Duration::from_secs(5);
        pool.closed(one, rested);
        assert_eq!(pool.take(NOW, wanted(Some(0), false)), None);
        assert_eq!(pool.take(rested, wanted(Some(0), false)), Some(one));
        pool.closed(one, rested);
        assert_eq!(
            pool.usage().0,
            2,
            "a pair in use is not freed by a stale report"
        );
    }

    #[test]
    fn pairs_are_dealt_in_turn_and_no_more_begun_than_needed() {
        let address = RealmAddress {
            realm: None,
            ip: "192.0.2.1".parse().unwrap(),
        };
        let mut pool = PortPool::new(&[address], &(10_000..=19_999));
        let rest = Duration::from_secs(5);
        let (mut now, mut seen) = (NOW, Vec::new());
        for _ in 0..2 * IN_TURN {
            now += rest;
            let local = pool.take(now, wanted(None, false)).unwrap();
            pool.closing(local);
            pool.closed(local, now + rest);
            seen.push(local);
        }
        let (first, second) = seen.split_at(IN_TURN);
        assert_eq!(first, second, "each rests while the others have their turn");
        let burst: Vec<_> = (0..=IN_TURN)
            .map(|_| pool.take(now + rest, wanted(None, false)).unwrap())
            .collect();
        assert_eq!(burst[..IN_TURN], *first);
        assert!(!seen.contains(&burst[IN_TURN]), "one more is begun");
    }

    #[test]
    fn realm_family_and_address_are_kept_to() {
        let mut pool = pool();
        assert_eq!(pool.realm("core"), Some(Some(RealmIndex(1))));
        assert_eq!(pool.realm("nowhere"), None);
        let six = pool.take(NOW, wanted(Some(1), true)).unwrap();
        assert!(six.is_ipv6());
        assert!(!pool.can_suit(wanted(Some(0), true)));
        let exact: SocketAddr = "198.51.100.1:10004".parse().unwrap();
        assert!(pool.take_exactly(NOW, exact));
        assert!(!pool.take_exactly(NOW, exact));
        let only = Wanted {
            ip: Some(exact.ip()),
            ..wanted(None, false)
        };
        assert_eq!(pool.take(NOW, only).map(|local| local.port()), Some(10_002));
        assert_eq!(pool.take(NOW, only), None);
    }

    #[test]
    fn without_named_realms_every_name_is_good() {
        let address = RealmAddress {
            realm: None,
            ip: "192.0.2.1".parse().unwrap(),
        };
        let pool = PortPool::new(&[address], &(10_000..=10_003));
        assert_eq!(pool.realm("anything"), Some(None));
        assert_eq!(pool.usage(), (0, 2));
    }
}
