//! The user profile as the S-CSCF is given it, TS 29.228 6.6 and Annex B.

use diameter::cx::user_data::{
    ImsSubscription, ProfilePartIndicator, PublicIdentity, ServiceProfile,
};
use diameter::cx::{ChargingInformation, SupportedFeatures};

use super::has_feature;
use crate::store::{ChargingAddresses, Subscriber};

/// User-Data for the identities of an implicit set, default identity first.
pub fn user_data(subscriber: &Subscriber, set: u32, features: &[SupportedFeatures]) -> Vec<u8> {
    let profile = &subscriber.profile;
    let (barred, open): (Vec<_>, Vec<_>) = subscriber
        .implicit_set(set)
        .partition(|identity| identity.barred);
    let identities = open.into_iter().chain(barred);
    // Shared sets are named only to an S-CSCF that knows them, TS 29.228 7.x and 29.229 7.1.1.
    let shared = has_feature(features, SupportedFeatures::SIFC);
    ImsSubscription {
        private_id: subscriber.impi.to_string(),
        service_profiles: vec![ServiceProfile {
            public_identities: identities
                .map(|identity| PublicIdentity {
                    identity: identity.uri.to_string(),
                    barred: identity.barred,
                    display_name: identity.display_name.clone(),
                    ..PublicIdentity::default()
                })
                .collect(),
            subscribed_media_profile_id: profile.media_profile,
            initial_filter_criteria: profile
                .filter_criteria
                .iter()
                .map(|criteria| criteria.criteria().clone())
                .collect(),
            shared_ifc_set_ids: match shared {
                true => profile.shared_filter_sets.clone(),
                false => Vec::new(),
            },
        }],
    }
    .to_xml()
}

/// Charging-Information; none when no function is named.
pub fn charging_information(charging: &ChargingAddresses) -> Option<ChargingInformation> {
    (*charging != ChargingAddresses::default()).then(|| ChargingInformation {
        primary_ecf: charging.primary_ecf.clone(),
        secondary_ecf: charging.secondary_ecf.clone(),
        primary_ccf: charging.primary_ccf.clone(),
        secondary_ccf: charging.secondary_ccf.clone(),
    })
}

/// True when some filter criteria hold while the user is not registered (TS 29.228 6.1.4.1:
/// services related to the unregistered state).
pub fn has_unregistered_services(subscriber: &Subscriber) -> bool {
    subscriber.profile.filter_criteria.iter().any(|criteria| {
        criteria.criteria().profile_part_indicator != Some(ProfilePartIndicator::Registered)
    })
}
