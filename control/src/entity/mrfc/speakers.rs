//! Who talks in a conference, told to who made it by MSML (`msml.conf.asn`, RFC 5707 8.3).

use std::collections::BTreeSet;

use base::{Instant, TimerId};
use msml::{Object, SpeakerNotices};

use super::conference::Kind;
use super::{CallKey, Mrfc, Timer};
use crate::entity::{self, Actions};
use crate::mgc::RoomId;

/// 0 dBov in dBm0, as the MRFP counts it (ITU-T G.711: a sine of full scale is 3.14 dBm0).
const FULL_SCALE_DBM0: i8 = 3;

/// Who talks.
#[derive(Debug)]
pub(super) struct Speakers {
    notices: SpeakerNotices,
    talking: BTreeSet<CallKey>,
    /// Who was said to talk, and when.
    told: BTreeSet<CallKey>,
    told_at: Option<Instant>,
    timer: Option<TimerId>,
}

impl Speakers {
    /// Nobody talks yet.
    pub const fn new(notices: SpeakerNotices) -> Self {
        Self {
            notices,
            talking: BTreeSet::new(),
            told: BTreeSet::new(),
            told_at: None,
            timer: None,
        }
    }

    /// What is to be told.
    pub const fn notices(&self) -> SpeakerNotices {
        self.notices
    }

    /// Somebody talks, or does not; true where that is new.
    pub fn set(&mut self, key: CallKey, talks: bool) -> bool {
        match talks {
            true => self.talking.insert(key),
            false => self.talking.remove(&key),
        }
    }

    /// The timer, to be cancelled.
    pub const fn take_timer(&mut self) -> Option<TimerId> {
        self.timer.take()
    }
}

impl Mrfc {
    /// The gateway says that somebody begins to talk, or has fallen silent.
    pub(super) fn talks(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        is_on: bool,
        level_dbov: i8,
    ) {
        let call = self.calls.get(&key);
        let Some(name) = call.and_then(|call| call.conference.clone()) else {
            return;
        };
        let conference = self.conferences.get_mut(&name);
        let Some(speakers) = conference.and_then(|it| it.speakers.as_mut()) else {
            return;
        };
        let level_dbm0 = level_dbov.saturating_add(FULL_SCALE_DBM0);
        let is_loud = level_dbm0 >= speakers.notices.threshold_dbm0;
        if speakers.set(key, is_on && is_loud) {
            self.tell_speakers(actions, &name);
        }
    }

    /// Tells who talks now, where that is not what was told, as soon as it may be told.
    pub(super) fn tell_speakers(&mut self, actions: &mut Actions<'_>, name: &str) {
        let Some(conference) = self.conferences.get_mut(name) else {
            return;
        };
        let (room, kind) = (conference.room, conference.kind);
        let Some(speakers) = &mut conference.speakers else {
            return;
        };
        if speakers.talking == speakers.told || speakers.timer.is_some() {
            return;
        }
        let due = speakers.told_at.map(|at| at + speakers.notices.interval);
        if let Some(due) = due.filter(|due| *due > actions.now) {
            let timer = entity::Timer::Mrfc(Timer::Speakers(room));
            speakers.timer = Some(actions.set_timer(due - actions.now, timer));
            return;
        }
        speakers.told.clone_from(&speakers.talking);
        speakers.told_at = Some(actions.now);
        let calls = speakers
            .talking
            .iter()
            .filter_map(|key| self.calls.get(key));
        let values: Vec<(String, String)> = calls
            .map(|call| {
                let connection = Object::Connection(call.tag.clone());
                ("speaker".to_owned(), connection.to_string())
            })
            .collect();
        if let (Kind::Msml { owner, .. }, Some(id)) = (kind, Object::parse(name)) {
            self.inform(actions, owner, msml::event("msml.conf.asn", &id, &values));
        }
    }

    pub(super) fn handle_speakers_timer(&mut self, actions: &mut Actions<'_>, room: RoomId) {
        let mut all = self.conferences.iter_mut();
        let Some((name, conference)) = all.find(|(_, it)| it.room == room) else {
            return;
        };
        let name = name.clone();
        if let Some(speakers) = &mut conference.speakers {
            speakers.timer = None;
        }
        self.tell_speakers(actions, &name);
    }
}
