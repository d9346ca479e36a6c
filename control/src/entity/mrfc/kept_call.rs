//! Answered calls in the journal.

use std::borrow::Cow;

use base::Instant;
use serde::{Deserialize, Serialize};
use sip::dialog::Dialog;
use sip::session_timer::SessionTimer;
use sip::{Message, Method};

use super::call::{Call, Purpose, Reinvite, Stage};
use super::markup::Informs;
use super::media::{KeptMedia, Media};
use super::service::Announcement;
use super::{CallKey, Mrfc};
use crate::entity::Actions;
use crate::journal::{KeptDialog, Kind};
use crate::mgc::RoomId;

/// A [`Call`] in the journal, under its key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptCall<'a> {
    dialog: KeptDialog<'a>,
    purpose: KeptPurpose<'a>,
    /// The 2xx was acknowledged.
    pub is_confirmed: bool,
    room: u64,
    conference: Option<Cow<'a, str>>,
    user: Cow<'a, str>,
    is_dialed_out: bool,
    ends_when_informed: bool,
    answered_at_ns: Option<u64>,
    /// When the session is to be refreshed here, and when it is given up.
    session_ns: Option<(Option<u64>, u64)>,
    ends_at_ns: Option<u64>,
    task: u32,
    media: KeptMedia,
    /// What is to be done first.
    script: Option<Cow<'a, [u8]>>,
    /// A re-INVITE of ours was not answered yet; true: media is to be sent elsewhere.
    pub reinvite: Option<bool>,
    /// A document of its INVITE is not answered yet.
    pub owes_result: bool,
    /// A dialog of MSML that runs here: the call that is told of it, and its name.
    pub dialog_of_msml: Option<(CallKey, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
enum KeptPurpose<'a> {
    Announcement(Cow<'a, Announcement>),
    Conference,
    /// With what has still to be told.
    Msml(Vec<Cow<'a, str>>),
    Job(u64),
}

impl Mrfc {
    /// The journal is to hear of a call, when all that happens now has happened.
    pub(super) fn touch(&mut self, key: CallKey) {
        self.touched.insert(key);
    }

    /// Keeps answered calls of which something has changed.
    pub(super) fn keep_touched(&mut self, actions: &mut Actions<'_>) {
        for key in std::mem::take(&mut self.touched) {
            self.keep_call(actions, key);
        }
    }

    pub(super) fn keep_call(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        if let Some(kept) = self.kept_call(key) {
            actions.journal.put(Kind::MrfcCall, key.0, &kept);
        }
    }

    fn kept_call(&self, key: CallKey) -> Option<KeptCall<'_>> {
        let call = self.calls.get(&key)?;
        let is_confirmed = match call.stage {
            Stage::Opening | Stage::Early | Stage::Calling => return None,
            Stage::Answered => false,
            Stage::Confirmed => true,
        };
        let purpose = match &call.purpose {
            Purpose::Announcement(it) => KeptPurpose::Announcement(Cow::Borrowed(it)),
            Purpose::Conference(_) => KeptPurpose::Conference,
            Purpose::Msml(informs) => {
                let waiting = informs.waiting.iter();
                KeptPurpose::Msml(waiting.map(|it| Cow::Borrowed(&**it)).collect())
            }
            Purpose::Job(id) => KeptPurpose::Job(*id),
        };
        let session = call.session.as_ref();
        let dialog = self.dialogs.get(&key);
        Some(KeptCall {
            dialog: KeptDialog::from(call.dialog.as_ref()?),
            purpose,
            is_confirmed,
            room: call.room.0,
            conference: call.conference.as_deref().map(Cow::Borrowed),
            user: Cow::Borrowed(&call.user),
            is_dialed_out: call.is_dialed_out,
            ends_when_informed: call.ends_when_informed,
            answered_at_ns: call.answered_at.map(Instant::as_nanos),
            session_ns: session.map(|session| {
                let refresh = session.refresh().map(Instant::as_nanos);
                (refresh, session.end().as_nanos())
            }),
            ends_at_ns: call.ends_at.map(Instant::as_nanos),
            task: call.task,
            media: call.media.kept(),
            script: call.script.as_deref().map(Cow::Borrowed),
            reinvite: call.reinvite.map(|(why, _)| why == Reinvite::Move),
            owes_result: self.owes_result(key),
            dialog_of_msml: dialog.map(|dialog| (dialog.owner, dialog.id.to_string())),
        })
    }
}

impl KeptCall<'_> {
    /// The call as it was; `None` where that cannot be read.
    pub fn restored(self) -> Option<Call> {
        let dialog = Dialog::from(self.dialog);
        let conference = self.conference.map(Cow::into_owned);
        let purpose = match self.purpose {
            KeptPurpose::Announcement(it) => Purpose::Announcement(it.into_owned()),
            KeptPurpose::Conference => Purpose::Conference(conference.clone()?),
            KeptPurpose::Msml(waiting) => {
                let waiting = waiting.into_iter().map(Cow::into_owned);
                Purpose::Msml(Informs::of(waiting))
            }
            KeptPurpose::Job(id) => Purpose::Job(id),
        };
        let tag = dialog.id.local_tag.clone();
        let media = Media::restored(self.media);
        let invite = invite_of(&dialog)?;
        let mut call = Call::new(purpose, invite, tag, media, RoomId(self.room));
        call.stage = match self.is_confirmed {
            true => Stage::Confirmed,
            false => Stage::Answered,
        };
        let at = Instant::from_nanos;
        call.dialog = Some(dialog);
        call.conference = conference;
        call.user = self.user.into_owned();
        call.is_dialed_out = self.is_dialed_out;
        call.ends_when_informed = self.ends_when_informed;
        call.answered_at = self.answered_at_ns.map(at);
        call.session = self
            .session_ns
            .map(|(refresh, end)| SessionTimer::of_times(refresh.map(at), at(end)));
        call.ends_at = self.ends_at_ns.map(at);
        call.task = self.task;
        call.script = self.script.map(Cow::into_owned);
        Some(call)
    }
}

/// An INVITE of a dialog, for the one that opened it: that was answered.
fn invite_of(dialog: &Dialog) -> Option<Message> {
    dialog.clone().request(&Method::Invite).finish().ok()
}
