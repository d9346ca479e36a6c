//! Calls that the P-CSCF ends itself (TS 24.229 5.2.8).

use base::Pii;
use sip::{Draft, HeaderName, Method, Uri};
use tracing::warn;

use super::Pcscf;
use super::leg::{Leg, LegKey, LegState};
use crate::config::Role;
use crate::counters::Counter;
use crate::entity::Actions;
use crate::mgc::Side;
use crate::stack::NextHop;

impl Pcscf {
    /// Ends a leg: BYE to both ends when the call is answered, 503 and CANCEL when it is not.
    pub(super) fn release(&mut self, actions: &mut Actions<'_>, key: LegKey, why: &'static str) {
        let Some(leg) = self.legs.get(&key) else {
            return;
        };
        match leg.state {
            LegState::Early => {
                if let Some(invite) = leg.invite {
                    self.proxy.give_up(actions, invite, 503, why);
                }
                actions.counters.count(Counter::CallFailed);
            }
            LegState::Confirmed => {
                actions.counters.count(Counter::CallReleased);
                warn!(call_id = %Pii(&leg.call_id), why, "dialog released");
                for side in Side::BOTH {
                    send_bye(actions, leg, side, why);
                }
            }
            LegState::Ending => {}
        }
        self.end_leg(actions, key);
    }
}

/// Sends BYE to one end as if it came from the other (TS 24.229 5.2.8.1.2).
fn send_bye(actions: &mut Actions<'_>, leg: &Leg, to: Side, why: &str) {
    let callee = &leg.parties[to.index()];
    let caller = &leg.parties[to.other().index()];
    let mut draft = Draft::request(&Method::Bye, &callee.target);
    for route in &callee.routes {
        draft.append(HeaderName::Route, route);
    }
    draft
        .append(HeaderName::MaxForwards, &sip::MAX_FORWARDS.to_string())
        .append(HeaderName::From, &caller.address)
        .append(HeaderName::To, &callee.address)
        .append(HeaderName::CallId, &leg.call_id)
        .append(
            HeaderName::CSeq,
            &format!("{} BYE", caller.cseq.saturating_add(1)),
        )
        .append(HeaderName::Reason, &format!("SIP;cause=503;text=\"{why}\""));
    let target = callee.target.clone();
    match (to, callee.routes.first()) {
        (Side::Access, _) => {
            actions
                .stack
                .send(actions.now, Role::Pcscf, draft, NextHop::Flow(leg.flow));
        }
        (Side::Core, route) => {
            let route = route.and_then(|route| sip::NameAddr::parse(route).ok());
            let uri = route.map(|route| route.uri).or_else(|| Uri::parse(&target));
            if let Some(uri) = uri {
                actions
                    .stack
                    .send(actions.now, Role::Pcscf, draft, NextHop::Uri(uri));
            }
        }
    }
}
