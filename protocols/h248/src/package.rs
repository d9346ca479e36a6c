//! Packages, clause 12: names, numbers, types and ranges of their items, one module per package.
//!
//! Only what an independent codec or specification confirms is listed. Text needs names only; an
//! item whose number (for the binary encoding) is not confirmed has none: `_` stands in its place.
//! Items of other packages pass through the codec all the same.
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

use crate::message::{Name, PackagesItem, PkgdName, Value};

/// Declares a package: its constant `PACKAGE` and one for each item and parameter.
///
/// Properties, statistics and parameters have a name, a number (`_`: not confirmed), a type and
/// perhaps a range and a default; events and signals a name, a number and their parameters.
macro_rules! package {
    (@id _) => { None };
    (@id $id:literal) => { Some($id) };
    (@range) => { None };
    (@range $low:literal $high:literal) => { Some(($low, $high)) };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    (
        $package:literal $package_id:literal, version $version:literal $(, extends $base:ident)?;
        $(properties {$(
            $(#[$property_doc:meta])* $property:ident = $property_name:literal $property_id:tt:
            $property_type:expr $(, in $property_low:literal..=$property_high:literal)?
            $(, default $property_default:literal)?;
        )*})?
        $(events {$(
            $(#[$event_doc:meta])* $event:ident = $event_name:literal $event_id:tt
            ($($event_parameter:ident),* $(,)?);
        )*})?
        $(signals {$(
            $(#[$signal_doc:meta])* $signal:ident = $signal_name:literal $signal_id:tt
            ($($signal_parameter:ident),* $(,)?);
        )*})?
        $(statistics {$(
            $(#[$statistic_doc:meta])* $statistic:ident = $statistic_name:literal
            $statistic_id:tt: $statistic_type:expr;
        )*})?
        $(parameters {$(
            $(#[$parameter_doc:meta])* $parameter:ident = $parameter_name:literal
            $parameter_id:tt: $parameter_type:expr
            $(, in $parameter_low:literal..=$parameter_high:literal)?
            $(, default $parameter_default:literal)?;
        )*})?
    ) => {
        #[doc = concat!("`", $package, "`, version ", $version, ".")]
        pub const PACKAGE: $crate::package::Package = $crate::package::Package {
            $(extends: Some(&super::$base::PACKAGE),)?
            $(properties: &[$($property),*],)?
            $(events: &[$($event),*],)?
            $(signals: &[$($signal),*],)?
            $(statistics: &[$($statistic),*],)?
            ..$crate::package::Package::new($package, $package_id, $version)
        };
        $($(
            $(#[$property_doc])*
            pub const $property: $crate::package::Item = $crate::package::Item::valued(
                $package,
                $property_name,
                package!(@id $property_id),
                $crate::package::Domain {
                    value: $property_type,
                    range: package!(@range $($property_low $property_high)?),
                    default: package!(@default $($property_default)?),
                },
            );
        )*)?
        $($(
            $(#[$event_doc])*
            pub const $event: $crate::package::Item = $crate::package::Item::acting(
                $package,
                $event_name,
                package!(@id $event_id),
                &[$($event_parameter),*],
            );
        )*)?
        $($(
            $(#[$signal_doc])*
            pub const $signal: $crate::package::Item = $crate::package::Item::acting(
                $package,
                $signal_name,
                package!(@id $signal_id),
                &[$($signal_parameter),*],
            );
        )*)?
        $($(
            $(#[$statistic_doc])*
            pub const $statistic: $crate::package::Item = $crate::package::Item::valued(
                $package,
                $statistic_name,
                package!(@id $statistic_id),
                $crate::package::Domain {
                    value: $statistic_type,
                    range: None,
                    default: None,
                },
            );
        )*)?
        $($(
            $(#[$parameter_doc])*
            pub const $parameter: $crate::package::ParameterId = $crate::package::ParameterId::new(
                $parameter_name,
                package!(@id $parameter_id),
                $crate::package::Domain {
                    value: $parameter_type,
                    range: package!(@range $($parameter_low $parameter_high)?),
                    default: package!(@default $($parameter_default)?),
                },
            );
        )*)?
    };
}

/// Declares the modules of packages, in the order of their numbers, and the list of them.
macro_rules! packages {
    ($($module:ident)*) => {
        $(pub mod $module;)*

        /// Every package described here, by number.
        pub const ALL: &[&Package] = &[$(&$module::PACKAGE),*];
    };
}

packages! {
    g
    root
    tonegen
    tonedet
    dg
    dd
    cg
    cd
    al
    ct
    nt
    rtp
    tdmc
    ctyp
    an
    bcp
    bnct
    ri
    gb
    bt
    bcg
    xcg
    srvtn
    chp
    threegup
    threegtfoc
    threegxcg
    aasb
    aasdc
    aasrec
    aassm
    conftn
    it
    threegmlc
    ocp
    xdd
    threegctm
    ajb
    rtcpxr
    ds
    gm
    tman
    hangterm
    ipnapt
    adid
    ipdc
    mgcinfo
    rtcph
    ipra
    threegint
    swmix
}

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
    /// Values of a property or statistic; `None` for events and signals.
    pub domain: Option<Domain>,
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
    /// Its values.
    pub domain: Domain,
    /// Identifier in binary: `id`, else a private one.
    number: u16,
}

/// Which values there are, clause 12.1.2: their type, and where they are given the possible values
/// and the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Their type.
    pub value: Type,
    /// The least and the greatest of integers.
    pub range: Option<(i64, i64)>,
    /// What holds when none is given, as in text.
    pub default: Option<&'static str>,
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

impl Domain {
    /// Whether `value` is one of these: of the type, and in the range. A list is judged by the
    /// value, one of its elements.
    pub fn admits(&self, value: &Value) -> bool {
        self.admits_as(self.value, value)
    }

    fn admits_as(&self, value_type: Type, value: &Value) -> bool {
        let in_range = |least: i64, greatest: i64| {
            let (least, greatest) = self.range.unwrap_or((least, greatest));
            let number = value.as_i64();
            number.is_some_and(|number| (least..=greatest).contains(&number))
        };
        match value_type {
            Type::Boolean => value.as_bool().is_some(),
            Type::String => true,
            Type::OctetString => {
                let octets = value.as_bytes();
                octets.len().is_multiple_of(2) && octets.iter().all(u8::is_ascii_hexdigit)
            }
            Type::Integer => in_range(i64::from(i32::MIN), i64::from(u32::MAX)),
            Type::Double => in_range(i64::MIN, i64::MAX),
            Type::Enumeration(names) => names.iter().any(|(name, _)| value.is(name)),
            // No list has lists as elements.
            Type::List(Type::List(_)) => false,
            Type::List(element) => self.admits_as(*element, value),
        }
    }
}

/// The package with this name, whatever the case.
pub fn find(name: &str) -> Option<&'static Package> {
    let mut slot = slot_of(name);
    loop {
        let package = *ALL.get(usize::from(BY_NAME[slot]))?;
        if package.name.eq_ignore_ascii_case(name) {
            return Some(package);
        }
        slot = (slot + 1) % BY_NAME.len();
    }
}

/// The package with this number.
pub fn find_id(id: u16) -> Option<&'static Package> {
    let at = ALL.binary_search_by_key(&id, |package| package.id).ok()?;
    ALL.get(at).copied()
}

/// Indices into [`ALL`], each in the first free place from the hash of the name on; other places
/// hold [`NONE`].
const BY_NAME: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut index = 0;
    while index < ALL.len() {
        let mut slot = slot_of(ALL[index].name);
        while table[slot] != NONE {
            slot = (slot + 1) % table.len();
        }
        table[slot] = index as u8;
        index += 1;
    }
    table
};

/// No package has this index.
const NONE: u8 = u8::MAX;

// Three places in four are free, so every search ends soon.
const _: () = assert!(4 * ALL.len() <= BY_NAME.len());

const fn slot_of(name: &str) -> usize {
    (hash(name) % 256) as usize
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
    let hash = hash(name);
    0x8000 | (hash ^ hash >> 16) as u16
}

/// FNV-1a of a name in small letters.
const fn hash(name: &str) -> u32 {
    let octets = name.as_bytes();
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < octets.len() {
        hash = (hash ^ octets[at].to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
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
    const fn valued(
        package: &'static str,
        name: &'static str,
        id: Option<u16>,
        domain: Domain,
    ) -> Self {
        Self {
            domain: Some(domain),
            ..Self::acting(package, name, id, &[])
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
            domain: None,
            parameters,
            number: number_of(name, id),
        }
    }

    /// Type of its values, if it has any.
    pub fn value_type(&self) -> Option<Type> {
        self.domain.map(|domain| domain.value)
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
}

impl ParameterId {
    const fn new(name: &'static str, id: Option<u16>, domain: Domain) -> Self {
        Self {
            name,
            id,
            domain,
            number: number_of(name, id),
        }
    }

    /// Its number in binary: the confirmed one, else [`private_id`].
    pub const fn binary_id(&self) -> u16 {
        self.number
    }
}

const fn number_of(name: &str, id: Option<u16>) -> u16 {
    match id {
        Some(id) => id,
        None => private_id(name),
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
    fn every_package_is_found_by_name_and_number() {
        for package in ALL {
            assert_eq!(find(package.name), Some(*package));
            assert_eq!(find(&package.name.to_ascii_uppercase()), Some(*package));
            assert_eq!(find_id(package.id), Some(*package));
        }
    }

    #[test]
    fn defaults_are_values_and_values_are_of_their_type_and_range() {
        let items = ALL.iter().flat_map(|package| {
            let kinds = [package.properties, package.statistics];
            kinds.into_iter().flatten()
        });
        let parameters = ALL.iter().flat_map(|package| {
            let kinds = [package.events, package.signals];
            kinds.into_iter().flatten().flat_map(|item| item.parameters)
        });
        let domains = items.filter_map(|item| item.domain);
        for domain in domains.chain(parameters.map(|parameter| parameter.domain)) {
            if let Some(default) = domain.default {
                assert!(domain.admits(&Value::symbol(default)), "{default}");
            }
            if let Some((low, high)) = domain.range {
                assert!(domain.admits(&Value::symbol(low.to_string())));
                assert!(domain.admits(&Value::symbol(high.to_string())));
                assert!(!domain.admits(&Value::symbol((high + 1).to_string())));
            }
        }
        let port = gm::LOCAL_SOURCE_PORT.domain.unwrap();
        assert!(!port.admits(&"65536".into()) && !port.admits(&"-1".into()));
        assert!(!port.admits(&"many".into()));
        let direction = tonegen::DIRECTION.domain;
        assert!(direction.admits(&"BOTH".into()) && !direction.admits(&"up".into()));
        assert!(dd::DIGIT_STRING.domain.admits(&"".into()));
        let octets = ds::DSCP.domain.unwrap();
        assert!(octets.admits(&"2e".into()) && !octets.admits(&"2".into()));
        let list = al::CADENCE.domain;
        assert!(list.admits(&"500".into()) && !list.admits(&"x".into()));
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
