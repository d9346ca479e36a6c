//! What a gateway supports, as data: H.248.1 clause 13.

use h248::error::ErrorCode;
use h248::message::{PackagesItem, PkgdName, Profile as ProfileName};
use h248::package::{Item, Package};
use h248::package::{adid, ds, g, gm, hangterm, ipdc, ipnapt, it, nt, root, rtp, tman};

/// A profile: packages with the items supported of each, and limits.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Name and version sent in ServiceChange, where there is one.
    pub name: Option<(&'static str, u8)>,
    /// Packages.
    pub packages: &'static [Support],
    /// Terminations of a context.
    pub terminations_per_context_max: usize,
    /// Streams of a termination.
    pub streams_max: usize,
    /// Events in an Events descriptor.
    pub events_max: usize,
    /// First part of the names of ephemeral terminations.
    pub termination_prefix: &'static str,
}

/// A package and the items of it that are supported.
#[derive(Clone, Copy, Debug)]
pub struct Support {
    /// The package.
    pub package: &'static Package,
    /// Properties of streams (LocalControl).
    pub stream_properties: &'static [Item],
    /// Properties of terminations or of the gateway (TerminationState).
    pub state_properties: &'static [Item],
    /// Events.
    pub events: &'static [Item],
    /// Signals.
    pub signals: &'static [Item],
    /// Statistics.
    pub statistics: &'static [Item],
}

impl Support {
    const fn of(package: &'static Package) -> Self {
        Self {
            package,
            stream_properties: &[],
            state_properties: &[],
            events: &[],
            signals: &[],
            statistics: &[],
        }
    }
}

/// The TrGW of the Ix interface (TS 29.238) and the IMS-AGW of Iq (TS 29.334) without transcoding:
/// two terminations relayed to each other.
pub const TRGW: Profile = Profile {
    name: None,
    packages: &[
        Support {
            events: &[g::CAUSE, g::SIGNAL_COMPLETION],
            ..Support::of(&g::PACKAGE)
        },
        Support {
            state_properties: root::PACKAGE.properties,
            ..Support::of(&root::PACKAGE)
        },
        Support {
            events: &[nt::NETWORK_FAILURE],
            statistics: nt::PACKAGE.statistics,
            ..Support::of(&nt::PACKAGE)
        },
        Support {
            statistics: &[
                rtp::PACKETS_SENT,
                rtp::PACKETS_RECEIVED,
                rtp::PACKET_LOSS,
                rtp::JITTER,
            ],
            ..Support::of(&rtp::PACKAGE)
        },
        Support {
            events: it::PACKAGE.events,
            ..Support::of(&it::PACKAGE)
        },
        Support {
            stream_properties: ds::PACKAGE.properties,
            ..Support::of(&ds::PACKAGE)
        },
        Support {
            stream_properties: gm::PACKAGE.properties,
            ..Support::of(&gm::PACKAGE)
        },
        Support {
            stream_properties: tman::PACKAGE.properties,
            ..Support::of(&tman::PACKAGE)
        },
        Support {
            events: hangterm::PACKAGE.events,
            ..Support::of(&hangterm::PACKAGE)
        },
        Support {
            signals: ipnapt::PACKAGE.signals,
            ..Support::of(&ipnapt::PACKAGE)
        },
        Support {
            events: adid::PACKAGE.events,
            ..Support::of(&adid::PACKAGE)
        },
        Support {
            stream_properties: ipdc::PACKAGE.properties,
            ..Support::of(&ipdc::PACKAGE)
        },
    ],
    terminations_per_context_max: 2,
    streams_max: 8,
    events_max: 8,
    termination_prefix: "ip",
};

/// Kinds of package items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A property of LocalControl.
    StreamProperty,
    /// A property of TerminationState.
    StateProperty,
    Event,
    Signal,
    Statistic,
}

impl Profile {
    /// The profile as ServiceChange names it.
    pub(crate) fn service_change_profile(&self) -> Option<ProfileName> {
        self.name.map(|(name, version)| ProfileName {
            name: name.into(),
            version,
        })
    }

    /// Its Packages descriptor.
    pub(crate) fn packages_descriptor(&self) -> Vec<PackagesItem> {
        let packages = self.packages.iter();
        packages
            .map(|support| support.package.descriptor_item())
            .collect()
    }

    /// Its items of a kind.
    pub(crate) fn items(&self, kind: Kind) -> impl Iterator<Item = &'static Item> {
        let packages: &'static [Support] = self.packages;
        packages
            .iter()
            .flat_map(move |support| supported(support, kind))
    }

    /// Finds an item.
    ///
    /// # Errors
    /// The code of H.248.8 that says what is unknown or unsupported about it.
    pub(crate) fn find(&self, kind: Kind, name: &PkgdName) -> Result<Item, ErrorCode> {
        let package = name.package();
        let support = self
            .packages
            .iter()
            .find(|support| support.package.name.eq_ignore_ascii_case(package))
            .ok_or(ErrorCode::UNKNOWN_PACKAGE)?;
        if let Some(item) = supported(support, kind).iter().find(|item| *name == **item) {
            return Ok(*item);
        }
        let defined = |items: &[Item]| items.iter().any(|item| *name == *item);
        let package = support.package;
        Err(match kind {
            Kind::StreamProperty if defined(support.state_properties) => {
                ErrorCode::PROPERTY_ILLEGAL
            }
            Kind::StateProperty if defined(support.stream_properties) => {
                ErrorCode::PROPERTY_ILLEGAL
            }
            Kind::StreamProperty | Kind::StateProperty if defined(package.properties) => {
                ErrorCode::UNKNOWN_PROPERTY
            }
            Kind::StreamProperty | Kind::StateProperty => ErrorCode::NO_SUCH_PROPERTY,
            Kind::Event if defined(package.events) => ErrorCode::CANNOT_DETECT_EVENT,
            Kind::Event => ErrorCode::NO_SUCH_EVENT,
            Kind::Signal if defined(package.signals) => ErrorCode::CANNOT_GENERATE_SIGNAL,
            Kind::Signal => ErrorCode::NO_SUCH_SIGNAL,
            Kind::Statistic => ErrorCode::NO_SUCH_STATISTIC,
        })
    }
}

fn supported(support: &'static Support, kind: Kind) -> &'static [Item] {
    match kind {
        Kind::StreamProperty => support.stream_properties,
        Kind::StateProperty => support.state_properties,
        Kind::Event => support.events,
        Kind::Signal => support.signals,
        Kind::Statistic => support.statistics,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_items_get_the_code_that_says_what_is_unknown() {
        let code = |kind, package, item| TRGW.find(kind, &PkgdName::new(package, item)).err();
        assert_eq!(code(Kind::StreamProperty, "IPDC", "Realm"), None);
        for (kind, package, item, expected) in [
            (Kind::StreamProperty, "x", "y", ErrorCode::UNKNOWN_PACKAGE),
            (Kind::StreamProperty, "gm", "y", ErrorCode::NO_SUCH_PROPERTY),
            (
                Kind::StreamProperty,
                "nt",
                "jit",
                ErrorCode::UNKNOWN_PROPERTY,
            ),
            (
                Kind::StreamProperty,
                "root",
                "maxNumberOfContexts",
                ErrorCode::PROPERTY_ILLEGAL,
            ),
            (
                Kind::StateProperty,
                "gm",
                "saf",
                ErrorCode::PROPERTY_ILLEGAL,
            ),
            (Kind::Event, "nt", "qualert", ErrorCode::CANNOT_DETECT_EVENT),
            (Kind::Event, "nt", "y", ErrorCode::NO_SUCH_EVENT),
            (Kind::Signal, "ipnapt", "y", ErrorCode::NO_SUCH_SIGNAL),
            (Kind::Statistic, "rtp", "y", ErrorCode::NO_SUCH_STATISTIC),
        ] {
            assert_eq!(
                code(kind, package, item),
                Some(expected),
                "{package}/{item}"
            );
        }
    }
}
