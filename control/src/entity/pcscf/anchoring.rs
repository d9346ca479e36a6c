//! The media of a call at a gateway: plans on their way there, and what becomes of them.

use super::Pcscf;
use super::leg::{Leg, LegKey, Task};
use crate::config::{ControlConfig, IpFamily};
use crate::counters::Counter;
use crate::entity::Actions;
use crate::mgc::{AnchorError, AnchorEvent, AnchorSpec, Family, Plan, Side};

impl Pcscf {
    /// Brings a plan into force at the media gateway; what waits for it goes on then.
    pub(super) fn apply(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        task: Option<Task>,
        plan: Plan,
    ) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let Some(mgc) = actions.mgc.as_deref_mut() else {
            return;
        };
        let anchor = match leg.anchor {
            Some(anchor) => mgc
                .apply(actions.now, anchor, plan.clone())
                .map(|()| anchor),
            None => {
                let spec = anchor_spec(actions.config, leg, &plan);
                mgc.open(actions.now, key.0, spec, plan.clone())
            }
        };
        match anchor {
            Ok(anchor) => {
                leg.anchor = Some(anchor);
                leg.waiting = Some((task, plan));
            }
            Err(fault) => {
                actions.counters.count(Counter::MediaFailed);
                self.media_failed(actions, key, task, fault);
            }
        }
    }

    pub(super) fn handle_anchor(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        event: AnchorEvent,
    ) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        match event {
            AnchorEvent::Applied(locals) => {
                let Some((task, plan)) = leg.waiting.take() else {
                    return;
                };
                leg.media.applied(plan, locals);
                if let Some(task) = task {
                    self.finish(actions, key, task);
                }
                self.run_next(actions, key);
            }
            AnchorEvent::Failed(fault) => {
                actions.counters.count(Counter::MediaFailed);
                let Some((task, _)) = leg.waiting.take() else {
                    return;
                };
                self.media_failed(actions, key, task, fault);
                self.run_next(actions, key);
            }
            AnchorEvent::Lost => {
                actions.counters.count(Counter::MediaLost);
                leg.anchor = None;
                if let Some((Some(task), _)) = leg.waiting.take() {
                    self.refuse_with(actions, key, task, 503, "Media gateway lost");
                }
                self.release(actions, key, "Media gateway lost");
            }
            AnchorEvent::Inactive => self.release(actions, key, "No media"),
        }
    }

    /// The media of a message could not be had.
    fn media_failed(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        task: Option<Task>,
        fault: AnchorError,
    ) {
        // Where nothing waits for it, what was in force before still is.
        let Some(task) = task else { return };
        let (status, reason) = match fault {
            AnchorError::Refused(515 | 501 | 449 | 474) => (488, "Media not supported"),
            AnchorError::NoGateway => (503, "No media gateway"),
            AnchorError::Limit | AnchorError::Busy => (503, "No media capacity"),
            AnchorError::Overload => (503, "Media gateways overloaded"),
            AnchorError::Timeout => (503, "Media gateway does not answer"),
            AnchorError::Refused(_) => (503, "Media gateway refused"),
            AnchorError::Nonsense | AnchorError::Lost | AnchorError::Elsewhere => {
                (500, "Media gateway failed")
            }
        };
        self.refuse_with(actions, key, task, status, reason);
    }
}

/// A side that has described its media is of the family of that; else the UE's is of the family of
/// its signalling and the core's as configured.
fn anchor_spec(config: &ControlConfig, leg: &Leg, plan: &Plan) -> AnchorSpec {
    let described = |side: Side| {
        plan.streams
            .iter()
            .find_map(|stream| stream.sides[side.index()].remote)
            .map(|remote| Family::of(remote.rtp))
    };
    let media = &config.media;
    let access = described(Side::Access).unwrap_or(Family::of(leg.flow.peer()));
    let core = described(Side::Core).unwrap_or(match media.core_family {
        IpFamily::Ipv4 => Family::V4,
        IpFamily::Ipv6 => Family::V6,
    });
    AnchorSpec {
        families: [access, core],
        realms: [media.access_realm.clone(), media.core_realm.clone()],
        emergency: leg.is_emergency && media.mark_emergency,
        // Whoever called for help is not to be cut off for being silent.
        inactivity: media.inactivity.filter(|_| !leg.is_emergency),
        source_filter: media.source_filter,
    }
}
