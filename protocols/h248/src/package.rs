//! Packages, clause 12: names, numbers and types of their items, one module per package.
//!
//! Only what an independent codec or specification confirms is listed. Text needs names only; an
//! item whose number (for the binary encoding) is not confirmed has none. Items of other packages
//! pass through the codec all the same.
//!
//! ```
//! use h248::message::{PropertyParm, Value};
//! use h248::package::{gm, nt};
//!
//! let buffer = PropertyParm::new(nt::JITTER_BUFFER, 40_u32);
//! assert_eq!(buffer.name, nt::JITTER_BUFFER);
//! let filter = PropertyParm::new(gm::SOURCE_ADDRESS_FILTERING, Value::from(true));
//! assert_eq!(filter.name.as_str(), "gm/saf");
//! ```

pub mod adid;
pub mod al;
pub mod cd;
pub mod cg;
pub mod ct;
pub mod dd;
pub mod dg;
pub mod ds;
pub mod g;
pub mod gm;
pub mod hangterm;
pub mod ipdc;
pub mod ipnapt;
pub mod ipra;
pub mod it;
pub mod nt;
pub mod root;
pub mod rtp;
pub mod tdmc;
pub mod tman;
pub mod tonedet;
pub mod tonegen;

use crate::message::{Name, PackagesItem, PkgdName};

/// A package, clause 12.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// PackageID in text.
    pub name: &'static str,
    /// PackageID in binary.
    pub id: u16,
    /// The version described here.
    pub version: u8,
    /// The package it extends.
    pub extends: Option<&'static Package>,
    /// Properties.
    pub properties: &'static [Item],
    /// Events.
    pub events: &'static [Item],
    /// Signals.
    pub signals: &'static [Item],
    /// Statistics.
    pub statistics: &'static [Item],
}

/// A property, event, signal or statistic, clauses 12.1.2 to 12.1.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The package's name.
    pub package: &'static str,
    /// Identifier in text.
    pub name: &'static str,
    /// Identifier in binary, where confirmed.
    pub id: Option<u16>,
    /// Type of a property or statistic; `None` for events and signals.
    pub value: Option<Type>,
    /// Parameters of an event or signal.
    pub parameters: &'static [ParameterId],
    /// Identifier in binary: `id`, else a private one.
    number: u16,
}

/// Parameter of an event or signal, clause 12.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterId {
    /// Identifier in text.
    pub name: &'static str,
    /// Identifier in binary, where confirmed.
    pub id: Option<u16>,
    /// Its type.
    pub value: Type,
    /// Identifier in binary: `id`, else a private one.
    number: u16,
}

/// Type of a value, clause 12.1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// ON or OFF.
    Boolean,
    /// UTF-8.
    String,
    /// Octets, two hexadecimal digits each in text.
    OctetString,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Double,
    /// One of these names, with its number in binary.
    Enumeration(&'static [(&'static str, u32)]),
    /// A list of values of one type.
    List(&'static Type),
}

/// Every package described here, by number.
pub const ALL: &[&Package] = &[
    &g::PACKAGE,
    &root::PACKAGE,
    &tonegen::PACKAGE,
    &tonedet::PACKAGE,
    &dg::PACKAGE,
    &dd::PACKAGE,
    &cg::PACKAGE,
    &cd::PACKAGE,
    &al::PACKAGE,
    &ct::PACKAGE,
    &nt::PACKAGE,
    &rtp::PACKAGE,
    &tdmc::PACKAGE,
    &it::PACKAGE,
    &ds::PACKAGE,
    &gm::PACKAGE,
    &tman::PACKAGE,
    &hangterm::PACKAGE,
    &ipnapt::PACKAGE,
    &adid::PACKAGE,
    &ipdc::PACKAGE,
    &ipra::PACKAGE,
];

/// The package with this name, whatever the case.
pub fn find(name: &str) -> Option<&'static Package> {
    let first = name.bytes().next()?.to_ascii_lowercase();
    ALL.iter()
        .find(|package| {
            // Few begin alike, and none with a capital.
            package.name.as_bytes().first() == Some(&first)
                && package.name.eq_ignore_ascii_case(name)
        })
        .copied()
}

/// The package with this number.
pub fn find_id(id: u16) -> Option<&'static Package> {
    let at = ALL.binary_search_by_key(&id, |package| package.id).ok()?;
    ALL.get(at).copied()
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Property, clause 12.1.2.
    Property,
    /// Event, clause 12.1.3.
    Event,
    /// Signal, clause 12.1.4.
    Signal,
    /// Statistic, clause 12.1.5.
    Statistic,
}

/// Number of an item or parameter in binary where none is confirmed: of the upper half, which
/// published packages do not use, so that both sides of this crate understand one another.
pub const fn private_id(name: &str) -> u16 {
    let octets = name.as_bytes();
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < octets.len() {
        hash = (hash ^ octets[at].to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    0x8000 | (hash ^ hash >> 16) as u16
}

impl Package {
    /// Its items of `kind`, without those of the package it extends.
    pub fn items(&self, kind: Kind) -> &'static [Item] {
        match kind {
            Kind::Property => self.properties,
            Kind::Event => self.events,
            Kind::Signal => self.signals,
            Kind::Statistic => self.statistics,
        }
    }

    /// The item `name`, perhaps inherited from the package that it extends.
    pub fn item(&'static self, kind: Kind, name: &str) -> Option<&'static Item> {
        self.lookup(kind, |item| item.name.eq_ignore_ascii_case(name))
    }

    /// The item with this number, perhaps inherited.
    pub fn item_by_id(&'static self, kind: Kind, id: u16) -> Option<&'static Item> {
        self.lookup(kind, |item| item.binary_id() == id)
    }

    fn lookup(&'static self, kind: Kind, is_it: impl Fn(&Item) -> bool) -> Option<&'static Item> {
        let mut package = self;
        loop {
            if let Some(item) = package.items(kind).iter().find(|item| is_it(item)) {
                return Some(item);
            }
            package = package.extends?;
        }
    }

    const fn new(name: &'static str, id: u16, version: u8) -> Self {
        Self {
            name,
            id,
            version,
            extends: None,
            properties: &[],
            events: &[],
            signals: &[],
            statistics: &[],
        }
    }

    /// Its entry in a Packages descriptor.
    pub fn descriptor_item(&self) -> PackagesItem {
        PackagesItem {
            name: Name::new(self.name),
            version: self.version,
        }
    }
}

impl Item {
    const fn valued(package: &'static str, name: &'static str, id: u16, value: Type) -> Self {
        Self {
            package,
            name,
            id: Some(id),
            value: Some(value),
            parameters: &[],
            number: id,
        }
    }

    /// An item whose number is not confirmed.
    const fn text_only(package: &'static str, name: &'static str, value: Type) -> Self {
        Self {
            package,
            name,
            id: None,
            value: Some(value),
            parameters: &[],
            number: private_id(name),
        }
    }

    /// Its number in binary: the confirmed one, else [`private_id`].
    pub const fn binary_id(&self) -> u16 {
        self.number
    }

    /// Its parameter `name`.
    pub fn parameter(&self, name: &str) -> Option<&'static ParameterId> {
        let is_it = |parameter: &&ParameterId| parameter.name.eq_ignore_ascii_case(name);
        self.parameters.iter().find(is_it)
    }

    /// Its parameter with this number.
    pub fn parameter_by_id(&self, id: u16) -> Option<&'static ParameterId> {
        self.parameters
            .iter()
            .find(|parameter| parameter.binary_id() == id)
    }

    const fn acting(
        package: &'static str,
        name: &'static str,
        id: Option<u16>,
        parameters: &'static [ParameterId],
    ) -> Self {
        Self {
            package,
            name,
            id,
            value: None,
            parameters,
            number: match id {
                Some(id) => id,
                None => private_id(name),
            },
        }
    }
}

impl ParameterId {
    const fn new(name: &'static str, id: u16, value: Type) -> Self {
        Self {
            name,
            id: Some(id),
            value,
            number: id,
        }
    }

    /// Its number in binary: the confirmed one, else [`private_id`].
    pub const fn binary_id(&self) -> u16 {
        self.number
    }

    const fn text_only(name: &'static str, value: Type) -> Self {
        Self {
            name,
            id: None,
            value,
            number: private_id(name),
        }
    }
}

impl From<Item> for PkgdName {
    fn from(item: Item) -> Self {
        PkgdName::new(item.package, item.name)
    }
}

impl PartialEq<Item> for PkgdName {
    fn eq(&self, item: &Item) -> bool {
        self.is(item.package, item.name)
    }
}

impl From<ParameterId> for Name {
    fn from(parameter: ParameterId) -> Self {
        Name::new(parameter.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_name_their_package_and_no_number_occurs_twice() {
        for package in ALL {
            assert_eq!(package.name, package.name.to_ascii_lowercase());
            let kinds = [
                package.properties,
                package.events,
                package.signals,
                package.statistics,
            ];
            for items in kinds {
                assert!(
                    items.iter().all(|item| item.package == package.name),
                    "{}",
                    package.name
                );
                let mut ids: Vec<_> = items.iter().map(Item::binary_id).collect();
                ids.sort_unstable();
                ids.dedup();
                assert_eq!(ids.len(), items.len(), "{}", package.name);
                for item in items {
                    let ids = item.parameters.iter().map(ParameterId::binary_id);
                    let ids: std::collections::BTreeSet<_> = ids.collect();
                    assert_eq!(ids.len(), item.parameters.len(), "{}", item.name);
                }
            }
        }
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
    }

    #[test]
    fn packages_are_found_whatever_the_case() {
        assert_eq!(find("RTP"), Some(&rtp::PACKAGE));
        assert_eq!(find("x"), None);
        assert_eq!(find_id(0x000c), Some(&rtp::PACKAGE));
        assert_eq!(find_id(0xffff), None);
    }

    #[test]
    fn items_of_extended_packages_are_found() {
        let packets_lost = rtp::PACKAGE.item(Kind::Statistic, "PL");
        assert_eq!(packets_lost, Some(&rtp::PACKET_LOSS));
        let octets = rtp::PACKAGE.item_by_id(Kind::Statistic, 2);
        assert_eq!(octets, Some(&nt::OCTETS_SENT));
        assert_eq!(nt::PACKAGE.item(Kind::Statistic, "pl"), None);
        assert_eq!(
            gm::PACKAGE
                .item(Kind::Property, "saf")
                .map(|item| item.binary_id() >> 15),
            Some(1)
        );
    }
}
