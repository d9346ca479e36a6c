//! Conferences: who is in which mix.

use base::TimerId;
use msml::DeleteWhen;

use super::call::Purpose;
use super::service::Service;
use super::speakers::Speakers;
use super::{CallKey, Mrfc};
use crate::admin::ConferenceStatus;
use crate::config::Role;
use crate::entity::Actions;
use crate::journal;
use crate::mgc::RoomId;
use crate::stack::Addresses;

/// Conferences that people are told of at once.
const STATUS_MAX: usize = 100;

/// One conference.
#[derive(Debug)]
pub(super) struct Conference {
    pub kind: Kind,
    pub room: RoomId,
    /// In the order in which they came.
    pub members: Vec<CallKey>,
    /// Who talks, where MSML wants to be told.
    pub speakers: Option<Speakers>,
    /// Ends it if nobody has come by then.
    pub timer: Option<TimerId>,
}

/// Who made a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first INVITE that named it (RFC 4240 5).
    Mix,
    /// The factory (RFC 4579 5.4); it has a focus.
    Focus,
    /// MSML (RFC 5707 8.2).
    Msml {
        /// The call that asked for it.
        owner: CallKey,
        /// When it goes by itself.
        delete_when: DeleteWhen,
    },
}

impl Conference {
    pub(super) const fn new(kind: Kind, room: RoomId) -> Self {
        Self {
            kind,
            room,
            members: Vec::new(),
            speakers: None,
            timer: None,
        }
    }

    /// Its URI, where it has a focus.
    pub(super) fn uri(&self, name: &str, addresses: &Addresses) -> Option<String> {
        let has_focus = self.kind == Kind::Focus;
        has_focus.then(|| addresses.uri(Role::Mrfc, name, 0))
    }
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mix => "netann",
            Self::Focus => "focus",
            Self::Msml { .. } => "msml",
        }
    }
}

impl Mrfc {
    /// A call joins the conference that its URI names.
    ///
    /// # Errors
    /// Status and reason: 404 where there is none, 486 where it is full.
    pub(super) fn join(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        service: &Service,
    ) -> Result<(Purpose, RoomId), (u16, &'static str)> {
        let (name, kind, is_made) = match service {
            Service::Mix(name) => (format!("conf={name}"), Kind::Mix, true),
            Service::Factory => (actions.stack.token(), Kind::Focus, true),
            Service::Focus(name) => (name.clone(), Kind::Focus, false),
            Service::Announcement(_) | Service::Msml => return Err((404, "No such conference")),
        };
        if !self.conferences.contains_key(&name) {
            if !is_made {
                return Err((404, "No such conference"));
            }
            let conference = Conference::new(kind, RoomId(self.next_number()));
            self.conferences.insert(name.clone(), conference);
            self.keep_conference(actions, &name);
        }
        let members_max = self.members_max;
        let Some(conference) = self.conferences.get_mut(&name) else {
            return Err((404, "No such conference"));
        };
        if conference.members.len() >= members_max {
            return Err((486, "Conference is full"));
        }
        conference.members.push(key);
        Ok((Purpose::Conference(name), conference.room))
    }

    /// A call has left a conference, which ends with the last.
    pub(super) fn leave(&mut self, actions: &mut Actions<'_>, key: CallKey, name: &str) {
        let Some(conference) = self.conferences.get_mut(name) else {
            return;
        };
        conference.members.retain(|member| *member != key);
        if let Some(speakers) = &mut conference.speakers
            && speakers.set(key, false)
        {
            self.tell_speakers(actions, name);
        }
        let Some(conference) = self.conferences.get_mut(name) else {
            return;
        };
        if !conference.members.is_empty() {
            return;
        }
        if let Kind::Msml { owner, delete_when } = conference.kind {
            if delete_when != DeleteWhen::NoMedia {
                return;
            }
            // RFC 5707 8.2.
            let id = msml::Object::parse(name);
            if let Some(id) = id {
                let body = msml::event("msml.conf.nomedia", &id, &[]);
                self.inform(actions, owner, body);
            }
        }
        self.remove_conference(actions, name);
    }

    /// Ends a conference that nobody is in any more.
    pub(super) fn remove_conference(&mut self, actions: &mut Actions<'_>, name: &str) {
        let Some(conference) = self.conferences.remove(name) else {
            return;
        };
        let room = conference.room.0;
        actions.journal.remove(journal::Kind::Conference, room);
        actions.cancel_timer(conference.timer);
        actions.cancel_timer(conference.speakers.and_then(|mut it| it.take_timer()));
        self.end_taps(actions, conference.room);
        self.end_roster(actions, name);
        if let Some(mgc) = &mut actions.mgc {
            mgc.close_room(actions.now, conference.room);
        }
    }

    /// The URI of a conference that has a focus.
    pub(super) fn focus_uri(&self, actions: &Actions<'_>, name: &str) -> Option<String> {
        let conference = self.conferences.get(name)?;
        conference.uri(name, actions.stack.addresses())
    }

    pub(super) fn conference_status(&self, addresses: &Addresses) -> Vec<ConferenceStatus> {
        let muted = |conference: &Conference| {
            let calls = conference
                .members
                .iter()
                .filter_map(|key| self.calls.get(key));
            calls.filter(|call| call.media.is_muted).count()
        };
        let mut all: Vec<ConferenceStatus> = self
            .conferences
            .iter()
            .map(|(name, conference)| ConferenceStatus {
                name: name.clone(),
                uri: conference.uri(name, addresses),
                kind: conference.kind.name(),
                members: conference.members.len(),
                muted: muted(conference),
            })
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.members));
        all.truncate(STATUS_MAX);
        all
    }
}
