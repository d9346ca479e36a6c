//! What the P-CSCF keeps in the journal, and takes up again after a restart.

use std::borrow::Cow;
use std::net::SocketAddr;

use base::Instant;
use serde::{Deserialize, Serialize};
use sip::Uri;

use super::protection::Mechanism;
use super::reg_event::SubscriptionKey;
use super::registration::{Registration, RegistrationKey};
use super::{Pcscf, Timer};
use crate::entity::{self, Actions};
use crate::journal::{self, Kind, Replay};
use crate::stack::{KeptFlow, SIP_PORT};

/// A [`Registration`] in the journal, under its key.
#[derive(Serialize, Deserialize)]
struct KeptRegistration<'a> {
    flow: KeptFlow,
    contact: Cow<'a, str>,
    registered: Cow<'a, str>,
    identities: Cow<'a, [String]>,
    service_route: Cow<'a, [String]>,
    mechanism: Option<Mechanism>,
    call_id: Cow<'a, str>,
    cseq: u32,
    #[serde(with = "journal::instant")]
    ends_at: Instant,
}

impl Pcscf {
    /// Takes up what an earlier life has kept.
    pub(crate) fn restore(&mut self, replay: &mut Replay, actions: &mut Actions<'_>) {
        for (key, kept) in replay.take(Kind::Registration) {
            self.restore_registration(actions, RegistrationKey(key), kept);
        }
        for (key, kept) in replay.take(Kind::AccessSubscription) {
            self.restore_subscription(actions, SubscriptionKey(key), kept);
        }
        self.watch_restored(actions);
        self.restore_calls(actions, replay.take(Kind::Leg));
    }

    /// Keeps everything anew.
    pub(crate) fn keep_all(&mut self, actions: &mut Actions<'_>) {
        for key in self.registrations.keys() {
            self.keep_registration(actions, key);
        }
        self.keep_subscriptions(actions);
        self.keep_calls(actions);
    }

    /// Keeps a registration as it is now.
    pub(super) fn keep_registration(&self, actions: &mut Actions<'_>, key: RegistrationKey) {
        let Some(registration) = self.registrations.get(key) else {
            return;
        };
        let Some(flow) = KeptFlow::of(registration.flow, actions.stack.addresses()) else {
            return;
        };
        let kept = KeptRegistration {
            flow,
            contact: Cow::Borrowed(&registration.contact),
            registered: Cow::Borrowed(&registration.registered),
            identities: Cow::Borrowed(&registration.identities),
            service_route: Cow::Borrowed(&registration.service_route),
            mechanism: registration.mechanism,
            call_id: Cow::Borrowed(&registration.call_id),
            cseq: registration.cseq,
            ends_at: registration.ends_at,
        };
        actions.journal.put(Kind::Registration, key.0, &kept);
    }

    /// A registration of an earlier life goes on. One that has ended meanwhile ends by its timer,
    /// at once; one to an address where we no longer listen cannot go on.
    fn restore_registration(
        &mut self,
        actions: &mut Actions<'_>,
        key: RegistrationKey,
        kept: KeptRegistration<'static>,
    ) {
        let listening = listening_address(&kept.contact, kept.flow.peer());
        let flow = kept.flow.restored(actions.stack.addresses(), listening);
        let Some(flow) = flow else {
            return actions.journal.remove(Kind::Registration, key.0);
        };
        let timer = entity::Timer::Pcscf(Timer::Registration(key));
        let timer = actions.set_timer(kept.ends_at - actions.now, timer);
        let registration = Registration {
            flow,
            contact: kept.contact.into_owned(),
            registered: kept.registered.into_owned(),
            identities: kept.identities.into_owned(),
            service_route: kept.service_route.into_owned(),
            mechanism: kept.mechanism,
            call_id: kept.call_id.into_owned(),
            cseq: kept.cseq,
            ends_at: kept.ends_at,
            timer: Some(timer),
        };
        if self.registrations.put(key, registration).is_none() {
            actions.cancel_timer(Some(timer));
            actions.journal.remove(Kind::Registration, key.0);
        }
    }
}

/// Where a UE listens for connections: the address of its Contact, when that is its own and not
/// one behind a NAT.
fn listening_address(contact: &str, peer: SocketAddr) -> Option<SocketAddr> {
    let uri = Uri::parse(contact)?;
    let ip = uri.host()?.ip().filter(|ip| *ip == peer.ip())?;
    Some(SocketAddr::new(ip, uri.port().unwrap_or(SIP_PORT)))
}
