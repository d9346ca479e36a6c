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
    ALL.iter()
        .find(|package| package.name.eq_ignore_ascii_case(name))
        .copied()
}

impl Package {
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
        }
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
        }
    }
}

impl ParameterId {
    const fn new(name: &'static str, id: u16, value: Type) -> Self {
        Self {
            name,
            id: Some(id),
            value,
        }
    }

    const fn text_only(name: &'static str, value: Type) -> Self {
        Self {
            name,
            id: None,
            value,
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
                let mut ids: Vec<_> = items.iter().filter_map(|item| item.id).collect();
                ids.sort_unstable();
                ids.dedup();
                assert_eq!(
                    ids.len(),
                    items.iter().filter(|item| item.id.is_some()).count()
                );
            }
        }
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id));
    }

    #[test]
    fn packages_are_found_whatever_the_case() {
        assert_eq!(find("RTP"), Some(&rtp::PACKAGE));
        assert_eq!(find("x"), None);
    }
}
