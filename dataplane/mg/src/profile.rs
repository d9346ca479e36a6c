//! What a gateway supports, as data: H.248.1 clause 13.

mod interfaces;

use h248::error::ErrorCode;
use h248::message::{AmmDescriptors, Command, PackagesItem, PkgdName};
use h248::package::{Item, Package};

use crate::error::{Result, about};

pub use interfaces::{IQ, IX, MN, MP, TRGW};

/// A profile: commands, descriptors, packages with the items supported of each, and limits.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Whose it is, for people.
    pub title: &'static str,
    /// Commands that the MGC may give.
    pub commands: &'static [CommandKind],
    /// Descriptors that may stand in them.
    pub descriptors: &'static [DescriptorKind],
    /// Packages.
    pub packages: &'static [Support],
    /// Terminations of a context.
    pub terminations_per_context_max: usize,
    /// Streams of a termination.
    pub streams_max: usize,
    /// Events in an Events descriptor.
    pub events_max: usize,
    /// Its media plane decodes what comes: it plays, mixes and records.
    pub processes_media: bool,
    /// First part of the names of ephemeral terminations.
    pub termination_prefix: &'static str,
}

/// A command of an MGC, clause 7.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// Add.
    Add,
    /// Modify.
    Modify,
    /// Move.
    Move,
    /// Subtract.
    Subtract,
    /// AuditValue.
    AuditValue,
    /// AuditCapability.
    AuditCapability,
    /// ServiceChange.
    ServiceChange,
}

/// A descriptor of Add, Modify and Move, clause 7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorKind {
    /// Media.
    Media,
    /// Modem.
    Modem,
    /// Mux.
    Mux,
    /// Events.
    Events,
    /// EventBuffer.
    EventBuffer,
    /// Signals.
    Signals,
    /// DigitMap.
    DigitMap,
    /// Statistics.
    Statistics,
    /// Audit.
    Audit,
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
    /// A package without any of its items.
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

    /// A package with all of its items; its properties are those of streams.
    const fn whole(package: &'static Package) -> Self {
        Self {
            package,
            stream_properties: package.properties,
            state_properties: &[],
            events: package.events,
            signals: package.signals,
            statistics: package.statistics,
        }
    }
}

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
    /// Checks that a command is one of the profile.
    ///
    /// # Errors
    /// 443 with its name.
    pub(crate) fn check_command(&self, command: &Command) -> std::result::Result<(), ErrorCode> {
        let kind = match command {
            Command::Add(_) => CommandKind::Add,
            Command::Modify(_) => CommandKind::Modify,
            Command::Move(_) => CommandKind::Move,
            Command::Subtract(_) => CommandKind::Subtract,
            Command::AuditValue(_) => CommandKind::AuditValue,
            Command::AuditCapability(_) => CommandKind::AuditCapability,
            Command::ServiceChange(_) => CommandKind::ServiceChange,
            // No gateway is notified.
            Command::Notify(_) => return Err(ErrorCode::UNKNOWN_COMMAND),
        };
        match self.commands.contains(&kind) {
            true => Ok(()),
            false => Err(ErrorCode::UNKNOWN_COMMAND),
        }
    }

    /// Checks that every descriptor is one of the profile.
    ///
    /// # Errors
    /// 444 with the first that is not.
    pub(crate) fn check_descriptors(&self, descriptors: &AmmDescriptors) -> Result<()> {
        use DescriptorKind::{
            Audit, DigitMap, EventBuffer, Events, Media, Modem, Mux, Signals, Statistics,
        };
        let buffer = descriptors.event_buffer.as_ref();
        let present = [
            (Media, descriptors.media.is_some()),
            (Modem, descriptors.modem.is_some()),
            (Mux, descriptors.mux.is_some()),
            (Events, descriptors.events.is_some()),
            // An empty one asks for nothing.
            (EventBuffer, buffer.is_some_and(|buffer| !buffer.is_empty())),
            (Signals, descriptors.signals.is_some()),
            (DigitMap, descriptors.digit_map.is_some()),
            (Statistics, descriptors.statistics.is_some()),
            (Audit, descriptors.audit.is_some()),
        ];
        let is_foreign =
            |(kind, is_present): &&(_, bool)| *is_present && !self.descriptors.contains(kind);
        match present.iter().find(is_foreign) {
            Some((kind, _)) => Err(about(ErrorCode::UNKNOWN_DESCRIPTOR, format!("{kind:?}"))),
            None => Ok(()),
        }
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
    pub(crate) fn find(&self, kind: Kind, name: &PkgdName) -> std::result::Result<Item, ErrorCode> {
        let package = name.package();
        let support = self
            .packages
            .iter()
            .find(|support| support.package.name.eq_ignore_ascii_case(package))
            .ok_or(ErrorCode::UNKNOWN_PACKAGE)?;
        let mut items = self.realized(support, kind);
        if let Some(item) = items.find(|item| item.name.eq_ignore_ascii_case(name.item())) {
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

impl Profile {
    /// The items of a package, for a wildcard in their place, with their names; those of all
    /// packages for `*`.
    ///
    /// # Errors
    /// 440 for an unknown package.
    pub(crate) fn expand(
        &self,
        kind: Kind,
        package: &str,
    ) -> std::result::Result<Vec<(PkgdName, Item)>, ErrorCode> {
        if package == "*" {
            return Ok(self
                .items(kind)
                .map(|item| ((*item).into(), *item))
                .collect());
        }
        let mut packages = self.packages.iter();
        let support = packages
            .find(|support| support.package.name.eq_ignore_ascii_case(package))
            .ok_or(ErrorCode::UNKNOWN_PACKAGE)?;
        let name = support.package.name;
        let items = self.realized(support, kind);
        Ok(items
            .map(|item| (PkgdName::new(name, item.name), *item))
            .collect())
    }

    /// The items of a package that are supported, and events and signals of those that it extends
    /// as far as these are in the profile (12.1.1).
    fn realized(
        &self,
        support: &'static Support,
        kind: Kind,
    ) -> impl Iterator<Item = &'static Item> {
        let packages: &'static [Support] = self.packages;
        let inherits = matches!(kind, Kind::Event | Kind::Signal);
        let base = move |support: &&'static Support| {
            let base = support.package.extends.filter(|_| inherits)?;
            packages
                .iter()
                .find(|support| support.package.name == base.name)
        };
        std::iter::successors(Some(support), base).flat_map(move |support| supported(support, kind))
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

    #[test]
    fn every_profile_names_packages_once_and_only_items_they_have() {
        for profile in [TRGW, IX, IQ, MP, MN] {
            let mut names: Vec<_> = profile.packages.iter().map(|s| s.package.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), profile.packages.len(), "{}", profile.title);
            for support in profile.packages {
                let properties = support.stream_properties.iter();
                let properties = properties.chain(support.state_properties);
                let package = support.package;
                assert!(
                    properties
                        .clone()
                        .all(|item| package.properties.contains(item))
                );
                assert!(
                    support
                        .events
                        .iter()
                        .all(|item| package.events.contains(item))
                );
                assert!(
                    support
                        .signals
                        .iter()
                        .all(|item| package.signals.contains(item))
                );
                let statistics = support.statistics;
                assert!(
                    statistics
                        .iter()
                        .all(|item| package.statistics.contains(item))
                );
            }
        }
    }
}
