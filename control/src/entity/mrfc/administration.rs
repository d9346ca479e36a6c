//! What people do with the MRFC through the admin interface.

use std::time::Duration;

use base::TimerId;
use sip::UriBuf;

use super::call::{Call, Stage};
use super::conference::{Conference, Kind};
use super::focus::Invitation;
use super::{CallKey, Mrfc, Timer};
use crate::admin::{
    ConferenceDetail, MemberDetail, MrfDetail, MrfReply, MrfRequest, NewConference,
};
use crate::entity::{self, Actions};
use crate::mgc::{MemberId, RoomId};

/// Conferences at once that people have opened or may be shown.
const CONFERENCES_MAX: usize = 20_000;
/// Conferences shown at once.
const SHOWN_MAX: usize = 1000;
/// Users called into one conference at once.
const INVITED_MAX: usize = 64;
/// Octets of a conference's name.
const NAME_MAX: usize = 64;
/// How long a conference waits for somebody to come.
const EMPTY_FOR: Duration = Duration::from_secs(600);

type Refusal = (u16, &'static str);

const NO_CONFERENCE: Refusal = (404, "there is no such conference");
const NO_MEMBER: Refusal = (404, "there is no such member");
const NO_JOB: Refusal = (404, "there is no such job");

impl Mrfc {
    /// Does what somebody asks.
    pub fn administer(&mut self, request: MrfRequest, actions: &mut Actions<'_>) -> MrfReply {
        let done = |done: Result<(), Refusal>| done.map(|()| MrfReply::Done);
        let reply = match request {
            MrfRequest::Show => Ok(MrfReply::Shown(Box::new(self.detail(actions)))),
            MrfRequest::Open(wanted) => self
                .open_conference(actions, wanted)
                .map(|opened| MrfReply::Opened(Box::new(opened))),
            MrfRequest::Close(name) => done(self.end_conference(actions, &name)),
            MrfRequest::Invite { conference, user } => {
                done(self.bring(actions, &conference, &user))
            }
            MrfRequest::Mute {
                conference,
                member,
                is_muted,
            } => done(self.mute(actions, &conference, member, is_muted)),
            MrfRequest::Expel { conference, member } => self
                .member_of(&conference, member)
                .map(|key| self.end_call(actions, key, 200, ""))
                .map(|()| MrfReply::Done),
            MrfRequest::Begin(wanted) => self
                .begin(actions, wanted)
                .map(|job| MrfReply::Job(Box::new(job))),
            MrfRequest::Job(id) => self
                .job_status(id)
                .map(|job| MrfReply::Job(Box::new(job)))
                .ok_or(NO_JOB),
            MrfRequest::Consult(document) => {
                let advice = self.consult(actions, &document);
                Ok(MrfReply::Consulted(advice.text))
            }
            MrfRequest::End(id) => match self.end_job(actions, id) {
                true => Ok(MrfReply::Done),
                false => Err(NO_JOB),
            },
        };
        self.keep_touched(actions);
        reply.unwrap_or_else(|(status, reason)| MrfReply::Refused(status, reason))
    }

    // ---- conferences ----

    fn open_conference(
        &mut self,
        actions: &mut Actions<'_>,
        wanted: NewConference,
    ) -> Result<ConferenceDetail, Refusal> {
        if actions.mgc.is_none() {
            return Err((503, "no media gateways are controlled here"));
        }
        let name = wanted.name.unwrap_or_else(|| actions.stack.token());
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
        if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(fits) {
            let why = "a conference's name is of up to 64 letters, digits, - and _";
            return Err((400, why));
        }
        if self.conferences.contains_key(&name) {
            return Err((409, "there is such a conference already"));
        }
        if self.conferences.len() >= CONFERENCES_MAX {
            return Err((503, "too many conferences"));
        }
        if wanted.invite.len() > INVITED_MAX {
            return Err((400, "at most 64 users are called at once"));
        }
        let realm = &actions.config.realm;
        let users: Option<Vec<String>> = wanted
            .invite
            .iter()
            .map(|user| target_of(realm, user))
            .collect();
        let users = users.ok_or((400, "a user has no usable URI"))?;
        let room = RoomId(self.next_number());
        let mut conference = Conference::new(Kind::Focus, room);
        conference.timer = Some(Self::wait_for_somebody(actions, room));
        self.conferences.insert(name.clone(), conference);
        self.keep_conference(actions, &name);
        for user in users {
            self.dial_out(actions, &name, &user, &Invitation::default(), None);
        }
        let conference = self.conferences.get(&name);
        conference
            .map(|it| self.conference_detail(actions, &name, it))
            .ok_or((503, "no media resource"))
    }

    fn end_conference(&mut self, actions: &mut Actions<'_>, name: &str) -> Result<(), Refusal> {
        let conference = self.conferences.get(name).ok_or(NO_CONFERENCE)?;
        let (kind, members) = (conference.kind, conference.members.clone());
        if let Kind::Msml { .. } = kind {
            self.destroy_conference(actions, name);
            return Ok(());
        }
        if members.is_empty() {
            self.remove_conference(actions, name);
        }
        // It ends with the last of them.
        for member in members {
            self.end_call(actions, member, 200, "");
        }
        Ok(())
    }

    /// A conference ends by this timer if nobody comes.
    pub(super) fn wait_for_somebody(actions: &mut Actions<'_>, room: RoomId) -> TimerId {
        let timer = entity::Timer::Mrfc(Timer::Empty(room));
        actions.set_timer(EMPTY_FOR, timer)
    }

    /// Nobody may have come to a conference that somebody opened.
    pub(super) fn handle_empty_timer(&mut self, actions: &mut Actions<'_>, room: RoomId) {
        let mut all = self.conferences.iter_mut();
        let Some((name, conference)) = all.find(|(_, it)| it.room == room) else {
            return;
        };
        conference.timer = None;
        if conference.members.is_empty() {
            let name = name.clone();
            self.remove_conference(actions, &name);
        } else {
            let name = name.clone();
            self.keep_conference(actions, &name);
        }
    }

    fn bring(&mut self, actions: &mut Actions<'_>, name: &str, user: &str) -> Result<(), Refusal> {
        let conference = self.conferences.get(name).ok_or(NO_CONFERENCE)?;
        if conference.kind != Kind::Focus {
            return Err((409, "that conference has no focus"));
        }
        if conference.members.len() >= self.members_max {
            return Err((409, "that conference is full"));
        }
        let target = target_of(&actions.config.realm, user);
        let target = target.ok_or((400, "the user has no usable URI"))?;
        let called = self.dial_out(actions, name, &target, &Invitation::default(), None);
        called.map(drop).ok_or((503, "no media or no more calls"))
    }

    fn mute(
        &mut self,
        actions: &mut Actions<'_>,
        conference: &str,
        member: u64,
        is_muted: bool,
    ) -> Result<(), Refusal> {
        let key = self.member_of(conference, member)?;
        let call = self.calls.get_mut(&key).ok_or(NO_MEMBER)?;
        call.media.is_muted = is_muted;
        // A call that is being changed takes it along: a plan is whole.
        let plan = call.media.plan();
        if let Some(mgc) = &mut actions.mgc {
            mgc.set_member(actions.now, MemberId(key.0), plan);
        }
        self.touch(key);
        self.roster_changed(actions, key);
        Ok(())
    }

    fn member_of(&self, conference: &str, member: u64) -> Result<CallKey, Refusal> {
        let conference = self.conferences.get(conference).ok_or(NO_CONFERENCE)?;
        let mut members = conference.members.iter().copied();
        members.find(|key| key.0 == member).ok_or(NO_MEMBER)
    }

    // ---- what there is ----

    fn detail(&self, actions: &Actions<'_>) -> MrfDetail {
        let mut shown: Vec<(&String, &Conference)> = self.conferences.iter().collect();
        shown.sort_by_key(|(_, it)| std::cmp::Reverse(it.members.len()));
        let shown = shown.into_iter().take(SHOWN_MAX);
        MrfDetail {
            calls: self.calls.len(),
            conferences: shown
                .map(|(name, it)| self.conference_detail(actions, name, it))
                .collect(),
            jobs: self.job_statuses(),
        }
    }

    fn conference_detail(
        &self,
        actions: &Actions<'_>,
        name: &str,
        conference: &Conference,
    ) -> ConferenceDetail {
        let mgc = actions.mgc.as_ref();
        let place = mgc.and_then(|mgc| mgc.place_of(conference.room));
        let (gateway, context) = place.map_or((None, None), |(mid, context)| (Some(mid), context));
        let members = conference.members.iter();
        let members = members.filter_map(|key| Some((*key, self.calls.get(key)?)));
        ConferenceDetail {
            name: name.to_owned(),
            uri: conference.uri(name, actions.stack.addresses()),
            kind: conference.kind.name(),
            gateway,
            context,
            members: members
                .map(|(key, call)| member_detail(actions, key, call))
                .collect(),
        }
    }
}

fn member_detail(actions: &Actions<'_>, key: CallKey, call: &Call) -> MemberDetail {
    let mgc = actions.mgc.as_ref();
    MemberDetail {
        id: key.0,
        user: call.user.clone(),
        state: call.state(),
        joined: call.joined(),
        seconds: call
            .answered_at
            .map_or(0, |at| (actions.now - at).as_secs()),
        local: mgc.and_then(|mgc| mgc.local_of(MemberId(key.0))),
    }
}

impl Call {
    /// What becomes of an endpoint of a conference (RFC 4575 5.7.4).
    pub(super) fn state(&self) -> &'static str {
        match self.stage {
            Stage::Calling => "dialing-out",
            _ if self.media.is_held() => "on-hold",
            _ if self.media.is_muted => "muted-via-focus",
            _ => "connected",
        }
    }

    /// How an endpoint has joined a conference (RFC 4575 5.7.5).
    pub(super) const fn joined(&self) -> &'static str {
        match self.is_dialed_out {
            true => "dialed-out",
            false => "dialed-in",
        }
    }
}

/// The URI of a user whom somebody names: as a URI, as `user@domain`, as a number, or by what he is
/// called at home.
pub(super) fn target_of(realm: &str, user: &str) -> Option<String> {
    let has_scheme = |scheme: &str| {
        let head = user.get(..scheme.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let uri = match () {
        () if ["sip:", "sips:", "tel:"].into_iter().any(has_scheme) => user.to_owned(),
        () if user.strip_prefix('+').is_some_and(is_number) => format!("tel:{user}"),
        () if user.contains('@') => format!("sip:{user}"),
        () => format!("sip:{user}@{realm}"),
    };
    let is_whole = |octet: u8| octet.is_ascii_graphic() && !b"<>\"".contains(&octet);
    let fits = uri.bytes().all(is_whole) && UriBuf::parse(&uri).is_some();
    fits.then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_a_uri_a_number_or_what_he_is_called_at_home() {
        let of = |user: &str| target_of("ims.test", user);
        for (user, uri) in [
            (
                "sip:alice@other.test;transport=tcp",
                "sip:alice@other.test;transport=tcp",
            ),
            ("tel:+4930123", "tel:+4930123"),
            ("+4930123", "tel:+4930123"),
            ("bob@192.0.2.1:5070", "sip:bob@192.0.2.1:5070"),
            ("alice", "sip:alice@ims.test"),
            ("4711", "sip:4711@ims.test"),
        ] {
            assert_eq!(of(user).as_deref(), Some(uri));
        }
        for user in ["", "a b", "<sip:a@b>", "sip:", "a\r\nX: y@b"] {
            assert_eq!(of(user), None, "{user:?}");
        }
    }
}
