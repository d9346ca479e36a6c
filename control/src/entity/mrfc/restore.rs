//! What the MRFC keeps in the journal, and takes up again after a restart: answered calls,
//! conferences, who is subscribed to them, and jobs.
//!
//! Audio goes on by itself, for the gateways keep their contexts, and so do announcements and
//! recordings. A dialog of MSML is not gone on with: it ends, and its owner is told. Calls that
//! were not acknowledged end with BYE; of those that were not answered nothing is left but a
//! context, which is subtracted.

use std::borrow::Cow;
use std::time::Duration;

use base::Instant;
use msml::{DeleteWhen, Fault, Object, SpeakerNotices, code};
use serde::{Deserialize, Serialize};

use super::call::{Call, Purpose, Reinvite};
use super::conference::{Conference, Kind as Maker};
use super::job::Job;
use super::kept_call::KeptCall;
use super::roster::KeptSubscription;
use super::speakers::Speakers;
use super::{CallKey, Mrfc};
use crate::entity::Actions;
use crate::journal::{Kind, Replay};
use crate::mgc::{MemberId, RoomId, Task};

/// A session that ended while nobody was here to see it has so long to be refreshed still: as long
/// as a request is repeated.
const SESSION_GRACE: Duration = Duration::from_secs(32);

/// A [`Conference`] in the journal, under the number of its room.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptConference<'a> {
    name: Cow<'a, str>,
    maker: KeptMaker,
    /// Milliseconds between two notices of who talks, and who counts, in dBm0.
    speakers: Option<(u64, i8)>,
    /// Somebody is to come yet.
    waits: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum KeptMaker {
    Mix,
    Focus,
    MsmlNoMedia(CallKey),
    MsmlNoControl(CallKey),
    MsmlNever(CallKey),
}

impl KeptMaker {
    const fn of(maker: Maker) -> Self {
        match maker {
            Maker::Mix => Self::Mix,
            Maker::Focus => Self::Focus,
            Maker::Msml { owner, delete_when } => match delete_when {
                DeleteWhen::NoMedia => Self::MsmlNoMedia(owner),
                DeleteWhen::NoControl => Self::MsmlNoControl(owner),
                DeleteWhen::Never => Self::MsmlNever(owner),
            },
        }
    }

    const fn maker(self) -> Maker {
        let (owner, delete_when) = match self {
            Self::Mix => return Maker::Mix,
            Self::Focus => return Maker::Focus,
            Self::MsmlNoMedia(owner) => (owner, DeleteWhen::NoMedia),
            Self::MsmlNoControl(owner) => (owner, DeleteWhen::NoControl),
            Self::MsmlNever(owner) => (owner, DeleteWhen::Never),
        };
        Maker::Msml { owner, delete_when }
    }
}

/// What a call that is taken up owes, and what it has lost.
struct Taken {
    key: CallKey,
    is_confirmed: bool,
    has_media: bool,
    reinvite: Option<Reinvite>,
    owes_result: bool,
    dialog: Option<(CallKey, String)>,
}

impl Mrfc {
    /// Keeps a conference as it is now.
    pub(super) fn keep_conference(&self, actions: &mut Actions<'_>, name: &str) {
        let Some(conference) = self.conferences.get(name) else {
            return;
        };
        let notices = conference.speakers.as_ref().map(Speakers::notices);
        let kept = KeptConference {
            name: Cow::Borrowed(name),
            maker: KeptMaker::of(conference.kind),
            speakers: notices.map(|notices| {
                let millis = u64::try_from(notices.interval.as_millis());
                (millis.unwrap_or(u64::MAX), notices.threshold_dbm0)
            }),
            waits: conference.timer.is_some(),
        };
        let room = conference.room.0;
        actions.journal.put(Kind::Conference, room, &kept);
    }

    /// Keeps everything anew.
    pub(crate) fn keep_all(&mut self, actions: &mut Actions<'_>) {
        let names: Vec<String> = self.conferences.keys().cloned().collect();
        for name in names {
            self.keep_conference(actions, &name);
        }
        self.touched.extend(self.calls.keys());
        self.keep_touched(actions);
        self.keep_subscriptions(actions);
        self.keep_jobs(actions);
    }

    /// Takes up what an earlier life has kept; the media are there already.
    pub(crate) fn restore(&mut self, replay: &mut Replay, actions: &mut Actions<'_>) {
        for (room, kept) in replay.take::<KeptConference<'_>>(Kind::Conference) {
            self.restore_conference(actions, RoomId(room), kept);
        }
        let calls = replay.take::<KeptCall<'_>>(Kind::MrfcCall);
        let mut taken = Vec::with_capacity(calls.len());
        for (number, kept) in calls {
            taken.extend(self.restore_call(actions, CallKey(number), kept));
        }
        self.restore_jobs(actions, replay.take::<Job>(Kind::Job));
        let subscriptions = replay.take::<KeptSubscription<'_>>(Kind::ConferenceSubscription);
        let subscriptions = self.restore_subscriptions(subscriptions);
        let released = self.settle_calls(actions, taken);
        self.settle_conferences(actions);
        self.tell_restored(actions, &subscriptions);
        self.keep_touched(actions);
        if !self.calls.is_empty() || released > 0 {
            let (calls, conferences) = (self.calls.len(), self.conferences.len());
            tracing::info!(calls, conferences, released, "media calls taken up again");
        }
    }

    fn restore_conference(
        &mut self,
        actions: &mut Actions<'_>,
        room: RoomId,
        kept: KeptConference<'_>,
    ) {
        self.number = self.number.max(room.0);
        let mut conference = Conference::new(kept.maker.maker(), room);
        conference.speakers = kept.speakers.map(|(interval, threshold_dbm0)| {
            let interval = Duration::from_millis(interval);
            Speakers::new(SpeakerNotices {
                interval,
                threshold_dbm0,
            })
        });
        if kept.waits {
            conference.timer = Some(Self::wait_for_somebody(actions, room));
        }
        self.conferences.insert(kept.name.into_owned(), conference);
    }

    fn restore_call(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        mut kept: KeptCall<'_>,
    ) -> Option<Taken> {
        self.number = self.number.max(key.0);
        let mut taken = Taken {
            key,
            is_confirmed: kept.is_confirmed,
            has_media: false,
            reinvite: kept.reinvite.map(|moves| match moves {
                true => Reinvite::Move,
                false => Reinvite::Refresh,
            }),
            owes_result: kept.owes_result,
            dialog: kept.dialog_of_msml.take(),
        };
        let Some(mut call) = kept.restored() else {
            actions.journal.remove(Kind::MrfcCall, key.0);
            return None;
        };
        call.spare_session(actions.now);
        if let Some(mgc) = &mut actions.mgc {
            let plan = call.media.plan();
            let claimed = mgc.claim_member(MemberId(key.0), call.room, Some(plan));
            taken.has_media = claimed.is_some();
        }
        if let Some(dialog) = &call.dialog {
            self.by_dialog.insert(dialog.id.clone(), key);
        }
        let conference = call.conference.as_ref();
        if let Some(conference) = conference.and_then(|name| self.conferences.get_mut(name)) {
            conference.members.push(key);
        }
        self.calls.insert(key, call);
        Some(taken)
    }

    /// Goes on with calls, or ends them; returns how many were ended.
    fn settle_calls(&mut self, actions: &mut Actions<'_>, taken: Vec<Taken>) -> usize {
        let mut released = 0;
        for it in &taken {
            if let Some((owner, name)) = &it.dialog {
                self.end_lost_dialog(actions, it.key, *owner, name);
            }
            if it.owes_result {
                let fault = Fault::new(code::INTERNAL, "interrupted by a restart");
                let outcome = msml::Outcome {
                    fault: Some(fault),
                    ..msml::Outcome::default()
                };
                self.inform(actions, it.key, msml::result(&outcome));
            }
        }
        for it in taken {
            let key = it.key;
            if !it.is_confirmed {
                let why = "Not acknowledged before a restart";
                self.end_call(actions, key, 503, why);
                released += 1;
            } else if !it.has_media {
                self.end_call(actions, key, 503, "Media resource lost");
                released += 1;
            } else {
                self.go_on(actions, key);
                if let Some(reinvite) = it.reinvite {
                    self.reinvite_later(actions, key, reinvite);
                }
            }
        }
        released
    }

    fn go_on(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        let Some(call) = self.calls.get(&key) else {
            return;
        };
        let is_to_start = match &call.purpose {
            Purpose::Announcement(_) => call.task == 0,
            Purpose::Conference(_) | Purpose::Msml(_) => call.script.is_some(),
            // It is done at once where it was not begun.
            Purpose::Job(_) => true,
        };
        if is_to_start {
            self.start(actions, key);
        }
        self.send_inform(actions, key);
        self.restart_timer(actions, key);
    }

    /// A dialog of MSML ran when the process ended: it ends, and its owner is told (RFC 5707 9.4).
    fn end_lost_dialog(
        &mut self,
        actions: &mut Actions<'_>,
        player: CallKey,
        owner: CallKey,
        name: &str,
    ) {
        self.set_task(actions, player, Task::default());
        if let Some(call) = self.calls.get_mut(&player) {
            call.ends_at = None;
        }
        if let Some(id) = Object::parse(name) {
            let values = [
                ("dialog.exit.status", code::INTERNAL.to_string()),
                (
                    "dialog.exit.description",
                    "interrupted by a restart".to_owned(),
                ),
            ];
            let values = values.map(|(name, value)| (name.to_owned(), value));
            let body = msml::event("msml.dialog.exit", &id, &values);
            self.inform(actions, owner, body);
        }
        self.touch(player);
    }

    /// Conferences end that nobody is in any more, and that nobody waits for.
    fn settle_conferences(&mut self, actions: &mut Actions<'_>) {
        let mut owners = Vec::new();
        let mut empty = Vec::new();
        for (name, conference) in &self.conferences {
            match conference.kind {
                Maker::Msml { owner, .. } if !self.calls.contains_key(&owner) => owners.push(owner),
                Maker::Msml { .. } => {}
                Maker::Mix | Maker::Focus
                    if conference.members.is_empty() && conference.timer.is_none() =>
                {
                    empty.push(name.clone());
                }
                Maker::Mix | Maker::Focus => {}
            }
        }
        for name in empty {
            self.remove_conference(actions, &name);
        }
        for owner in owners {
            self.lose_control(actions, owner);
        }
    }
}

impl Call {
    /// A session that has ended, or ends soon, has a while to be refreshed.
    fn spare_session(&mut self, now: Instant) {
        if let Some(session) = &mut self.session {
            let end = session.end().max(now + SESSION_GRACE);
            *session = sip::session_timer::SessionTimer::of_times(session.refresh(), end);
        }
    }
}
