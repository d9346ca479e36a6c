//! UEs that have connected anew, in the middle of calls (RFC 3261 18.1.1, TS 24.229 5.2.2).

use sip::Message;

use super::Pcscf;
use super::leg::LegKey;
use super::registration::RegistrationKey;
use crate::entity::Actions;
use crate::mgc::Side;
use crate::stack::{Flow, Origin};

impl Pcscf {
    /// The calls of a UE follow its registration to where it is reached now.
    pub(super) fn follow(&mut self, actions: &mut Actions<'_>, key: RegistrationKey, flow: Flow) {
        let has_moved = |(leg_key, leg): (&LegKey, &super::Leg)| {
            let has_moved = leg.registration == Some(key) && leg.flow != flow;
            has_moved.then_some(*leg_key)
        };
        let mut moved: Vec<LegKey> = self.legs.iter().filter_map(has_moved).collect();
        moved.sort_unstable();
        for key in moved {
            self.move_leg(actions, key, flow);
        }
    }

    /// A UE whose connection is gone is reached by the one over which it goes on with a call.
    pub(super) fn reconnect(
        &mut self,
        actions: &mut Actions<'_>,
        key: LegKey,
        origin: &Origin,
        request: &Message,
    ) {
        let is_new = |flow: &Flow| {
            self.legs.get(&key).is_some_and(|leg| {
                leg.side_of(request) == Side::Access && !actions.stack.is_connected(leg.flow)
            }) && matches!(flow, Flow::Stream { .. })
        };
        if let Some(flow) = origin.flow().filter(is_new) {
            self.move_leg(actions, key, flow);
        }
    }

    fn move_leg(&mut self, actions: &mut Actions<'_>, key: LegKey, flow: Flow) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        leg.flow = flow;
        if leg.is_kept {
            self.keep_call(actions, key);
        }
    }
}
