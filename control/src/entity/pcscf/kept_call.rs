//! Confirmed calls in the journal, and how they are taken up again after a restart.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use base::Instant;
use serde::{Deserialize, Serialize};
use sip::dialog::{DialogState, End, ProxyDialog};
use tracing::info;

use super::fork::{CSEQ_MARGIN, Forks};
use super::leg::{Leg, LegKey, LegKind};
use super::media::Media;
use super::registration::RegistrationKey;
use super::{Pcscf, Timer};
use crate::counters::Counter;
use crate::entity::{self, Actions};
use crate::journal::Kind;
use crate::mgc::Plan;
use crate::stack::{Flow, KeptFlow};

/// A session that was to be refreshed while nobody was here to see it has so long to be refreshed
/// still: as long as a request is repeated.
const SESSION_GRACE: Duration = Duration::from_secs(32);

/// A [`Leg`] in the journal, under its key.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptLeg<'a> {
    is_originating: bool,
    flow: KeptFlow,
    registration: Option<u64>,
    call_id: Cow<'a, str>,
    caller_tag: Cow<'a, str>,
    is_emergency: bool,
    is_acknowledged: bool,
    forks: Vec<KeptFork<'a>>,
    agreed: Cow<'a, Plan>,
    has_anchor: bool,
    anchored_at: Option<u64>,
    far_sources: Cow<'a, [(IpAddr, IpAddr)]>,
    session_ends_at_ns: Option<u64>,
}

/// A dialog of a leg in the journal. Pairs are of caller and callee.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptFork<'a> {
    /// Tag of the callee.
    pub tag: Cow<'a, str>,
    /// What it answered to the offer of the INVITE.
    pub answer: Option<Cow<'a, Plan>>,
    /// From of the INVITE.
    pub caller: Cow<'a, str>,
    /// To of its 2xx.
    pub callee: Cow<'a, str>,
    /// CSeq numbers last used.
    pub cseqs: [u32; 2],
    /// Contact URIs.
    pub targets: [Cow<'a, str>; 2],
    /// Routes to them.
    pub routes: [Cow<'a, [String]>; 2],
    pub secure: bool,
}

impl KeptFork<'_> {
    /// The dialog, as if each end had sent some requests more.
    pub fn dialog(&self, call_id: &str, caller_tag: &str) -> ProxyDialog {
        let [to_caller, to_callee] = &self.targets;
        let [caller_routes, callee_routes] = &self.routes;
        let end = |tag: &str, address: &str, target: &str, routes: &[String], cseq: u32| End {
            tag: tag.to_owned(),
            address: address.to_owned(),
            target: target.to_owned(),
            routes: routes.to_vec(),
            cseq: cseq.saturating_add(CSEQ_MARGIN),
        };
        let [caller, callee] = self.cseqs;
        ProxyDialog {
            call_id: call_id.to_owned(),
            state: DialogState::Confirmed,
            secure: self.secure,
            caller: end(caller_tag, &self.caller, to_caller, caller_routes, caller),
            callee: end(&self.tag, &self.callee, to_callee, callee_routes, callee),
        }
    }
}

impl Pcscf {
    /// Keeps a confirmed call as it is now, and its media.
    pub(super) fn keep_call(&mut self, actions: &mut Actions<'_>, key: LegKey) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let flow = KeptFlow::of(leg.flow, actions.stack.addresses());
        let (Some(flow), true) = (flow, leg.forks.is_confirmed()) else {
            return;
        };
        if let (Some(anchor), Some(mgc)) = (leg.anchor, &mut actions.mgc) {
            mgc.keep(actions.now, anchor);
        }
        leg.is_kept = true;
        let kept = KeptLeg {
            is_originating: leg.kind == LegKind::Originating,
            flow,
            registration: leg.registration.map(|registration| registration.0),
            call_id: Cow::Borrowed(&leg.call_id),
            caller_tag: Cow::Borrowed(&leg.caller_tag),
            is_emergency: leg.is_emergency,
            is_acknowledged: leg.is_acknowledged,
            forks: leg.forks.kept(),
            agreed: Cow::Borrowed(leg.media.agreed()),
            has_anchor: leg.anchor.is_some(),
            anchored_at: leg.anchored_at.map(|key| key.0),
            far_sources: Cow::Borrowed(&leg.far_sources),
            session_ends_at_ns: leg.session_ends_at.map(Instant::as_nanos),
        };
        actions.journal.put(Kind::Leg, key.0, &kept);
    }

    /// Keeps every confirmed call anew.
    pub(super) fn keep_calls(&mut self, actions: &mut Actions<'_>) {
        let kept = self.legs.iter().filter(|(_, leg)| leg.is_kept);
        let keys: Vec<LegKey> = kept.map(|(key, _)| *key).collect();
        for key in keys {
            self.keep_call(actions, key);
        }
    }

    /// Takes up the calls of an earlier life; the registrations and the media are there already.
    ///
    /// One that was not acknowledged yet, or has lost its media meanwhile, is ended.
    pub(super) fn restore_calls(
        &mut self,
        actions: &mut Actions<'_>,
        calls: Vec<(u64, KeptLeg<'static>)>,
    ) {
        let mut ends = Vec::new();
        let mut keys = Vec::with_capacity(calls.len());
        for (key, kept) in calls {
            let key = LegKey(key);
            let (is_acknowledged, had_anchor) = (kept.is_acknowledged, kept.has_anchor);
            let Some(leg) = self.restored_leg(actions, key, kept) else {
                actions.journal.remove(Kind::Leg, key.0);
                continue;
            };
            if had_anchor && leg.anchor.is_none() {
                actions.counters.count(Counter::MediaLost);
                ends.push((key, "Media gateway lost"));
            } else if !is_acknowledged {
                ends.push((key, "Not acknowledged before a restart"));
            }
            self.legs.insert(key, leg);
            keys.push(key);
        }
        for &key in &keys {
            let anchoring = self.legs.get(&key).and_then(|leg| leg.anchored_at);
            if anchoring.is_some_and(|anchoring| !self.legs.contains_key(&anchoring)) {
                ends.push((key, "Media lost with a restart"));
            }
        }
        let (restored, released) = (keys.len(), ends.len());
        for (key, why) in ends {
            self.release(actions, key, why);
        }
        for key in keys {
            self.settle_media(actions, key);
        }
        if restored > 0 {
            info!(restored, released, "dialogs taken up again");
        }
    }

    /// `None` where the UE cannot be reached any more: we no longer listen where it is.
    fn restored_leg(
        &self,
        actions: &mut Actions<'_>,
        key: LegKey,
        kept: KeptLeg<'static>,
    ) -> Option<Leg> {
        let registration = kept.registration.map(RegistrationKey);
        let registered = || self.registrations.flow(actions.now, registration?, true);
        let flow = match kept.flow.restored(actions.stack.addresses(), None)? {
            // The registration knows where a UE can be connected to.
            flow @ Flow::Stream { .. } => registered().unwrap_or(flow),
            flow @ Flow::Udp { .. } => flow,
        };
        let agreed = kept.agreed.into_owned();
        let mgc = actions.mgc.as_deref_mut();
        let claimed = mgc.and_then(|mgc| mgc.claim(key.0));
        let (anchor, media) = match claimed {
            Some(claimed) => {
                let media = Media::restored(claimed.applied, agreed, claimed.locals);
                (Some(claimed.anchor), media)
            }
            None => (None, Media::default()),
        };
        let session_ends_at = kept.session_ends_at_ns.map(Instant::from_nanos);
        let session_timer = session_ends_at.map(|at| {
            let left = (at - actions.now).max(SESSION_GRACE);
            actions.set_timer(left, entity::Timer::Pcscf(Timer::Session(key)))
        });
        Some(Leg {
            kind: match kept.is_originating {
                true => LegKind::Originating,
                false => LegKind::Terminating,
            },
            invite: None,
            opening: None,
            forks: Forks::restored(&kept.call_id, &kept.caller_tag, kept.forks),
            flow,
            registration,
            call_id: kept.call_id.into_owned(),
            is_emergency: kept.is_emergency,
            caller_tag: kept.caller_tag.into_owned(),
            media,
            anchor,
            anchored_at: kept.anchored_at.map(LegKey),
            far_sources: kept.far_sources.into_owned(),
            waiting: None,
            tasks: VecDeque::new(),
            session_timer,
            session_ends_at,
            is_acknowledged: kept.is_acknowledged,
            is_kept: true,
            doomed: None,
        })
    }

    /// What was offered and not answered when the process ended is taken back.
    fn settle_media(&mut self, actions: &mut Actions<'_>, key: LegKey) {
        let Some(leg) = self.legs.get(&key) else {
            return;
        };
        if leg.anchor.is_some() && !leg.media.is_settled() {
            let agreed = leg.media.agreed().clone();
            self.apply(actions, key, None, agreed);
        }
    }
}

#[cfg(test)]
mod tests {
    use sip::Message;

    use super::*;

    fn message(start: &str, cseq: &str, to: &str) -> Message {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             Record-Route: <sip:near.b;lr>\r\nRecord-Route: <sip:own;lr>\r\n\
             Record-Route: <sip:near.a;lr>\r\nFrom: \"A\" <sip:a@ims.test>;tag=a1\r\n\
             To: <sip:b@ims.test>{to}\r\nCall-ID: c1\r\nCSeq: {cseq}\r\n\
             Contact: <sip:somebody@{}>\r\nContent-Length: 0\r\n\r\n",
            if start.starts_with("SIP") { "b" } else { "a" },
        );
        Message::parse(text.as_bytes()).expect("a message")
    }

    fn answered() -> (ProxyDialog, Forks) {
        let invite = message("INVITE sip:b@ims.test SIP/2.0", "7 INVITE", "");
        let response = message("SIP/2.0 200 OK", "7 INVITE", ";tag=b1");
        let is_own = |route: &sip::NameAddr<'_>| route.uri.as_str() == "sip:own;lr";
        let dialog = ProxyDialog::new(&invite, &response, is_own).expect("a dialog");
        let mut forks = Forks::default();
        let first = forks.answered(&response, || Ok::<_, ()>(dialog.clone()));
        assert_eq!(first, Ok(true));
        (dialog, forks)
    }

    #[test]
    fn a_dialog_is_read_as_it_was_kept_but_for_numbers_to_spare() {
        let (mut dialog, mut forks) = answered();
        let bytes = postcard::to_allocvec(&forks.kept()).expect("a value");
        let kept: Vec<KeptFork<'static>> = postcard::from_bytes(&bytes).expect("a value");
        let mut restored = Forks::restored("c1", "a1", kept);
        assert!(restored.is_confirmed());
        dialog.state = DialogState::Confirmed;
        for end in [&mut dialog.caller, &mut dialog.callee] {
            end.cseq += CSEQ_MARGIN;
        }
        assert_eq!(restored.take_live().collect::<Vec<_>>(), [dialog]);
    }

    #[test]
    fn the_journal_hears_of_an_end_that_sends_many_requests() {
        let (_, mut forks) = answered();
        forks.kept();
        for (number, is_ahead) in [(8, false), (56, false), (57, true)] {
            let info = format!("{number} INFO");
            let info = message("INFO sip:b@ims.test SIP/2.0", &info, ";tag=b1");
            let dialog = forks.dialog_of(&info).expect("it belongs to it");
            dialog.observe_request(&info);
            assert_eq!(forks.run_ahead(), is_ahead, "{number}");
        }
        forks.kept();
        assert!(!forks.run_ahead());
    }
}
