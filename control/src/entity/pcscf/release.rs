//! Calls that the P-CSCF ends itself (TS 24.229 5.2.8).

use std::borrow::Cow;

use base::Pii;
use sip::dialog::ProxyDialog;
use sip::{HeaderName, Method, Uri};
use tracing::warn;

use super::Pcscf;
use super::leg::{Leg, LegKey};
use super::registration::RegistrationKey;
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::Actions;
use crate::mgc::Side;
use crate::stack::NextHop;

/// Why the P-CSCF ends a call: what both ends are told (RFC 3326).
#[derive(Clone, Debug)]
pub struct Why {
    /// As of a SIP response.
    pub status: u16,
    /// In words.
    pub text: Cow<'static, str>,
}

impl From<&'static str> for Why {
    fn from(text: &'static str) -> Self {
        Self {
            status: 503,
            text: text.into(),
        }
    }
}

impl Pcscf {
    /// Ends the legs of a registration that the network ended.
    pub(super) fn release_all(
        &mut self,
        actions: &mut Actions<'_>,
        registration: RegistrationKey,
        why: &'static str,
    ) {
        let of_registration =
            |(key, leg): (&LegKey, &Leg)| (leg.registration == Some(registration)).then_some(*key);
        let mut keys: Vec<LegKey> = self.legs.iter().filter_map(of_registration).collect();
        keys.sort_unstable();
        for key in keys {
            self.release(actions, key, why);
        }
    }

    /// Ends all legs: the process is about to end.
    pub fn release_calls(&mut self, actions: &mut Actions<'_>, why: &'static str) {
        let mut keys: Vec<LegKey> = self.legs.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            self.release(actions, key, why);
        }
    }

    /// Ends a leg: BYE to both ends when the call is answered, a refusal and CANCEL when it is not.
    pub(super) fn release(&mut self, actions: &mut Actions<'_>, key: LegKey, why: impl Into<Why>) {
        let why = why.into();
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if leg.forks.is_early() {
            if let Some(invite) = leg.invite {
                self.proxy.give_up(actions, invite, why.status, &why.text);
            }
            actions.counters.count(Counter::CallFailed);
        } else if leg.forks.is_confirmed() {
            actions.counters.count(Counter::CallReleased);
            warn!(call_id = %Pii(&leg.call_id), why = %why.text, "dialog released");
            for mut dialog in leg.forks.take_live() {
                for side in Side::BOTH {
                    send_bye(actions, leg, &mut dialog, side, &why);
                }
            }
        } else {
            // Its BYE is on its way already.
            actions.counters.count(Counter::CallEnded);
        }
        self.end_leg(actions, key);
    }
}

/// Sends BYE to one end as if it came from the other (TS 24.229 5.2.8.1.2).
fn send_bye(actions: &mut Actions<'_>, leg: &Leg, dialog: &mut ProxyDialog, to: Side, why: &Why) {
    let end = leg.kind.end_at(to);
    let mut draft = dialog.request(end, &Method::Bye);
    let Why { status, text } = why;
    let reason = format!("SIP;cause={status};text=\"{text}\"");
    draft.append(HeaderName::Reason, &reason);
    let towards = dialog.towards(end);
    let next = match to {
        Side::Access => Some(NextHop::Flow(leg.flow)),
        Side::Core => Uri::parse(towards.next_hop()).map(NextHop::Uri),
    };
    if let Some(next) = next {
        actions.stack.send(actions.now, Role::Pcscf, draft, next);
    }
}
