//! ROOT: what holds for the gateway as a whole, H.248.1 6.2.3 and E.2.

use std::time::Duration;

use h248::encoding::MESSAGE_LEN_MAX;
use h248::error::ErrorCode;
use h248::message::{
    AmmDescriptors, EventsDescriptor, MediaDescriptor, PropertyParm, RequestId, ServiceState,
    Streams, TerminationState, Value,
};
use h248::package::{Item, root};
use h248::transaction::Association;

use crate::digit_maps::DigitMaps;
use crate::error::{Result, about};
use crate::profile::{Kind, Profile};
use crate::watch::{Reading, Watch};

/// The state of ROOT.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub events: EventsDescriptor,
    /// `it/ito`: the longest silence of the MGC, and the request that asked for it.
    pub silence: Option<(Duration, Option<RequestId>)>,
    /// `ocp/mg_overload`: the request that asked for it.
    pub overload: Option<RequestId>,
    pub timers: RootTimers,
    /// Digit maps for every termination (7.1.14.1).
    pub digit_maps: DigitMaps,
}

/// Properties of the root package that the MGC may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootTimers {
    normal_mg_execution_ms: u64,
    normal_mgc_execution_ms: u64,
    mg_provisional_ms: u64,
    mgc_provisional_ms: u64,
    mgc_pending_limit: u64,
    mg_pending_limit: u64,
    mg_segmentation_ms: u64,
    mgc_segmentation_ms: u64,
    mgc_pdu_octets: u64,
}

impl Default for RootTimers {
    fn default() -> Self {
        let association = Association::default();
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            normal_mg_execution_ms: 500,
            normal_mgc_execution_ms: ms(association.execution_time),
            mg_provisional_ms: ms(association.provisional_timer),
            mgc_provisional_ms: 1000,
            mgc_pending_limit: u64::from(h248::transaction::PENDINGS_MAX),
            mg_pending_limit: u64::from(association.pending_limit),
            mg_segmentation_ms: ms(association.segmentation_timer),
            mgc_segmentation_ms: ms(association.segmentation_timer),
            mgc_pdu_octets: association.message_len_max as u64,
        }
    }
}

impl RootTimers {
    /// Takes these values into an association.
    pub fn set(&self, association: &mut Association) {
        association.execution_time = Duration::from_millis(self.normal_mgc_execution_ms);
        association.provisional_timer = Duration::from_millis(self.mg_provisional_ms);
        association.pending_limit = u32::try_from(self.mg_pending_limit).unwrap_or(u32::MAX);
        association.segmentation_timer = Duration::from_millis(self.mg_segmentation_ms);
        association.message_len_max = usize::try_from(self.mgc_pdu_octets).unwrap_or(usize::MAX);
    }

    fn field(&mut self, item: Item) -> Option<&mut u64> {
        Some(match item {
            root::NORMAL_MGC_EXECUTION_TIME => &mut self.normal_mgc_execution_ms,
            root::MG_PROVISIONAL_RESPONSE_TIMER => &mut self.mg_provisional_ms,
            root::MGC_PROVISIONAL_RESPONSE_TIMER => &mut self.mgc_provisional_ms,
            root::MGC_ORIGINATED_PENDING_LIMIT => &mut self.mgc_pending_limit,
            root::MG_ORIGINATED_PENDING_LIMIT => &mut self.mg_pending_limit,
            root::MG_SEGMENTATION_TIMER => &mut self.mg_segmentation_ms,
            root::MGC_SEGMENTATION_TIMER => &mut self.mgc_segmentation_ms,
            root::MGC_MAX_PDU_SIZE => &mut self.mgc_pdu_octets,
            _ => return None,
        })
    }

    fn value(mut self, item: Item) -> u64 {
        match self.field(item) {
            Some(value) => *value,
            None => self.normal_mg_execution_ms,
        }
    }
}

impl Root {
    pub fn new() -> Self {
        Self {
            events: EventsDescriptor::default(),
            silence: None,
            overload: None,
            timers: RootTimers::default(),
            digit_maps: DigitMaps::default(),
        }
    }

    /// Takes over descriptors of a Modify.
    ///
    /// # Errors
    /// What ROOT does not have; nothing is changed then.
    pub fn apply(&mut self, profile: &Profile, descriptors: &AmmDescriptors) -> Result<()> {
        let no_others = descriptors.modem.is_none()
            && descriptors.mux.is_none()
            && descriptors.event_buffer.is_none()
            && descriptors.statistics.is_none()
            && descriptors.signals.as_ref().is_none_or(Vec::is_empty);
        if !no_others {
            return Err(about(ErrorCode::UNKNOWN_DESCRIPTOR, "ROOT"));
        }
        profile.check_descriptors(descriptors)?;
        let mut digit_maps = None;
        if let Some(map) = &descriptors.digit_map {
            let changed = digit_maps.insert(self.digit_maps.clone());
            changed.apply(map)?;
        }
        let mut timers = self.timers;
        if let Some(media) = &descriptors.media {
            set_properties(&mut timers, profile, media)?;
        }
        if let Some(events) = &descriptors.events {
            let reading = Reading {
                profile,
                is_root: true,
                digit_maps: [&self.digit_maps; 2],
            };
            let requests = reading.events(events)?;
            let heard = || requests.all.iter().filter(|request| !request.is_silent);
            let times = heard().filter_map(|request| match request.watch {
                Watch::InactivityTimeout(time) => Some(time),
                _ => None,
            });
            self.silence = times.min().map(|time| (time, events.request_id));
            let is_asked = heard().any(|request| request.watch == Watch::Overload);
            self.overload = events.request_id.filter(|_| is_asked);
            self.events = events.clone();
        }
        self.timers = timers;
        self.digit_maps = digit_maps.unwrap_or_else(|| std::mem::take(&mut self.digit_maps));
        Ok(())
    }

    /// Nothing is left of what the MGC asked for, but for properties.
    pub fn forget(&mut self) {
        self.events = EventsDescriptor::default();
        self.silence = None;
        self.overload = None;
        self.digit_maps = DigitMaps::default();
    }

    /// The Media descriptor, for an audit.
    pub fn media(&self, profile: &Profile, contexts_max: usize) -> MediaDescriptor {
        let property = |item: &Item| {
            let value = match *item {
                root::CONTEXTS_MAX => contexts_max as u64,
                root::TERMINATIONS_PER_CONTEXT_MAX => profile.terminations_per_context_max as u64,
                root::MG_MAX_PDU_SIZE => MESSAGE_LEN_MAX as u64,
                item => self.timers.value(item),
            };
            PropertyParm::new(*item, value)
        };
        MediaDescriptor {
            termination_state: Some(TerminationState {
                service_state: Some(ServiceState::InService),
                event_buffer: None,
                properties: profile.items(Kind::StateProperty).map(property).collect(),
            }),
            streams: Streams::None,
        }
    }
}

fn set_properties(
    timers: &mut RootTimers,
    profile: &Profile,
    media: &MediaDescriptor,
) -> Result<()> {
    if media.streams != Streams::None {
        return Err(about(ErrorCode::UNKNOWN_DESCRIPTOR, "Stream"));
    }
    let properties = media
        .termination_state
        .iter()
        .flat_map(|state| &state.properties);
    for PropertyParm { name, value } in properties {
        let item = profile
            .find(Kind::StateProperty, name)
            .map_err(|code| about(code, name))?;
        let Some(field) = timers.field(item) else {
            return Err(about(ErrorCode::ILLEGAL_WRITE, name));
        };
        let number = value.as_single().and_then(Value::as_u64);
        let least = if item == root::MGC_MAX_PDU_SIZE {
            PDU_MIN
        } else {
            1
        };
        let number = number.filter(|number| (least..=VALUE_MAX).contains(number));
        *field = number.ok_or_else(|| about(ErrorCode::UNKNOWN_VALUE, name))?;
    }
    Ok(())
}

/// The largest value accepted: an hour in milliseconds.
const VALUE_MAX: u64 = 3_600_000;

/// The shortest messages that an MGC may ask for: an error has room in them.
const PDU_MIN: u64 = 256;
