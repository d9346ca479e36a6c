//! Calls that are told by MSML what is to happen (RFC 5707): what is asked is done in the order in
//! which it is asked, and the answer to the INFO that asked tells what became of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use base::Instant;
use sip::transaction::ServerId;
use sip::{HeaderName, Message, Method};
use tracing::warn;

use super::call::{Purpose, Stage, send};
use super::conference::{Conference, Kind};
use super::speakers::Speakers;
use super::{CallKey, Mrfc, prompt};
use crate::entity::Actions;
use crate::mgc::{self, AnchorError, MemberId, Mix, Observed, RoomId, Task, TaskSignal};
use msml::{
    CONTENT_TYPE, DeleteWhen, Fault, Item, Object, Outcome, Part, Perform, Play, Request, Signal,
    Step, StreamChange, StreamUpdate, code,
};

/// Documents that wait for the one before to be answered; what is told beyond them is lost.
const INFORMS_MAX: usize = 64;
/// Conferences at once.
const CONFERENCES_MAX: usize = 20_000;
/// The longest that a gateway waits for a first digit.
const FIRST_DIGIT_MAX: Duration = Duration::from_secs(99);
/// The most that a stream is amplified by (`swmix/gi`, `swmix/go`).
const GAIN_DB_MAX: i8 = 24;
/// Steps of a dialog that take no time, one after the other.
const STEPS_MAX: usize = 256;

/// What is told to a call, one INFO after the other.
#[derive(Debug, Default)]
pub(super) struct Informs {
    /// What is to be told; where some of it is under way, that is the first.
    pub waiting: VecDeque<String>,
    is_sent: bool,
}

impl Informs {
    /// What is still to be told after a restart.
    pub fn of(waiting: impl Iterator<Item = String>) -> Self {
        Self {
            waiting: waiting.collect(),
            is_sent: false,
        }
    }
}

/// A dialog that runs.
#[derive(Debug)]
pub(super) struct Dialog {
    /// Its name, as events have it.
    pub id: Object,
    /// The call that started it, and is told of it.
    pub owner: CallKey,
    steps: VecDeque<Step>,
    /// What is under way.
    perform: Perform,
    values: BTreeMap<&'static str, String>,
    /// It is heard in the whole conference.
    to_all: bool,
    /// When the first digit is too late, since it is waited for.
    no_input_at: Option<Instant>,
}

/// A document of which something is left to do.
#[derive(Debug)]
pub(super) struct Script {
    items: VecDeque<Item>,
    outcome: Outcome,
    /// The INFO to answer; what became of a document in an INVITE is told by one of ours.
    info: Option<(ServerId, Message)>,
    /// The member that has to be moved first, and the mark of the request.
    waits: Option<(CallKey, Option<String>)>,
}

/// How far a request came.
enum Done {
    Now,
    /// When the gateway has moved this member.
    Later(CallKey),
}

impl Mrfc {
    // ---- documents ----

    /// An INFO of a call.
    pub(super) fn handle_info(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        server: ServerId,
        request: &Message,
    ) {
        let is_msml = self
            .calls
            .get(&key)
            .is_some_and(|call| matches!(call.purpose, Purpose::Msml(_)));
        let parts = super::body::parts(request).unwrap_or_default();
        let document = parts.iter().find(|part| part.kind == CONTENT_TYPE);
        let Some(document) = document.filter(|_| is_msml) else {
            if request.body().is_empty() {
                return self.answer(actions, server, request, 200);
            }
            let mut draft = request.response(415, "");
            draft.append(HeaderName::Accept, super::ACCEPT);
            return actions.stack.respond(actions.now, server, &mut draft);
        };
        if self.scripts.contains_key(&key) {
            return self.answer(actions, server, request, 491);
        }
        let info = Some((server, request.clone()));
        self.begin_script(actions, key, document.content, info);
    }

    /// Begins to do what a document asks.
    pub(super) fn begin_script(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        document: &[u8],
        info: Option<(ServerId, Message)>,
    ) {
        let mut script = Script {
            items: VecDeque::new(),
            outcome: Outcome::default(),
            info,
            waits: None,
        };
        match msml::parse(document) {
            Ok(document) => script.items = document.items.into(),
            Err(fault) => script.outcome.fault = Some(fault),
        }
        self.run_script(actions, key, script);
    }

    /// Does what a document asks, up to what takes time or cannot be done.
    fn run_script(&mut self, actions: &mut Actions<'_>, key: CallKey, mut script: Script) {
        while let Some(item) = script.items.pop_front() {
            let done = match item.request {
                Ok(request) => self.execute(actions, key, request, &mut script.outcome),
                Err(fault) => Err(fault),
            };
            match done {
                Ok(Done::Now) => {
                    if item.mark.is_some() {
                        script.outcome.mark = item.mark;
                    }
                }
                Ok(Done::Later(member)) => {
                    script.waits = Some((member, item.mark));
                    self.touch(key);
                    self.scripts.insert(key, script);
                    return;
                }
                Err(fault) => {
                    script.outcome.fault = Some(fault);
                    break;
                }
            }
        }
        let result = msml::result(&script.outcome);
        match script.info {
            Some((server, request)) => {
                let mut draft = request.response(200, "");
                draft.set_body(CONTENT_TYPE, result);
                actions.stack.respond(actions.now, server, &mut draft);
            }
            None => self.inform(actions, key, result),
        }
    }

    /// A member was moved, or could not be: a document goes on that waits for it.
    pub(super) fn script_waited(
        &mut self,
        actions: &mut Actions<'_>,
        member: CallKey,
        error: Option<AnchorError>,
    ) {
        let waits = |script: &Script| script.waits.as_ref().is_some_and(|(it, _)| *it == member);
        let found = self.scripts.iter().find(|(_, script)| waits(script));
        let Some(key) = found.map(|(key, _)| *key) else {
            return;
        };
        let Some(mut script) = self.scripts.remove(&key) else {
            return;
        };
        let mark = script.waits.take().and_then(|(_, mark)| mark);
        match error {
            None if mark.is_some() => script.outcome.mark = mark,
            None => {}
            Some(_) => {
                script.items.clear();
                let fault = Fault::new(code::NO_RESOURCE, "the media cannot be joined");
                script.outcome.fault = Some(fault);
            }
        }
        self.run_script(actions, key, script);
    }

    /// Whether a call is still to be told what became of the document in its INVITE.
    pub(super) fn owes_result(&self, key: CallKey) -> bool {
        let script = self.scripts.get(&key);
        script.is_some_and(|script| script.info.is_none())
    }

    /// Whether a document waits for a member.
    pub(super) fn is_waited_for(&self, member: CallKey) -> bool {
        let mut waits = self
            .scripts
            .values()
            .filter_map(|script| script.waits.as_ref());
        waits.any(|(it, _)| *it == member)
    }

    fn execute(
        &mut self,
        actions: &mut Actions<'_>,
        key: CallKey,
        request: Request,
        outcome: &mut Outcome,
    ) -> Result<Done, Fault> {
        match request {
            Request::CreateConference(wanted) => {
                let is_named = wanted.name.is_some();
                let name = wanted.name.unwrap_or_else(|| actions.stack.token());
                let id = self.create_conference(key, &name, wanted.delete_when)?;
                if let Some(conference) = self.conferences.get_mut(&id.to_string()) {
                    conference.speakers = wanted.speakers.map(Speakers::new);
                }
                self.keep_conference(actions, &id.to_string());
                if !is_named {
                    outcome.conferences.push(id);
                }
                Ok(Done::Now)
            }
            Request::ModifyConference(id) => {
                self.conference_of(&id)?;
                Ok(Done::Now)
            }
            Request::DestroyConference(id) => {
                let name = self.conference_of(&id)?;
                self.destroy_conference(actions, &name);
                Ok(Done::Now)
            }
            Request::Join(first, second, change) => {
                self.join_objects(actions, first, second, change)
            }
            Request::ModifyStream(first, second, update) => {
                self.modify_stream(actions, first, second, update)
            }
            Request::Unjoin(first, second) => self.unjoin(actions, first, second),
            Request::DialogStart {
                target,
                name,
                steps,
            } => {
                let is_named = name.is_some();
                let id = self.start_dialog(actions, key, target, name, steps)?;
                if !is_named {
                    outcome.dialogs.push(id);
                }
                Ok(Done::Now)
            }
            Request::DialogEnd(id) => {
                let player = self.dialog_of(&id)?;
                self.end_dialog(actions, player);
                Ok(Done::Now)
            }
            Request::Send { target, event } => {
                let player = self.dialog_of(&target)?;
                match event.as_str() {
                    "terminate" => self.end_dialog(actions, player),
                    _ => return Err(Fault::new(code::UNSUPPORTED_ATTRIBUTE, "event")),
                }
                Ok(Done::Now)
            }
        }
    }

    // ---- objects ----

    /// The call whose connection an object is.
    fn connection_of(&self, object: &Object) -> Result<CallKey, Fault> {
        let unknown = || Fault::new(code::UNKNOWN_OBJECT, object.to_string());
        let Object::Connection(tag) = object else {
            return Err(unknown());
        };
        let is_it = |(_, call): &(&CallKey, &super::call::Call)| {
            call.tag == *tag && matches!(call.purpose, Purpose::Msml(_))
        };
        let found = self.calls.iter().find(is_it);
        found.map(|(key, _)| *key).ok_or_else(unknown)
    }

    /// The key of the conference that an object is.
    fn conference_of(&self, object: &Object) -> Result<String, Fault> {
        let key = object.to_string();
        match object {
            Object::Conference(_) if self.conferences.contains_key(&key) => Ok(key),
            _ => Err(Fault::new(code::UNKNOWN_OBJECT, key)),
        }
    }

    /// The call at which a dialog runs.
    fn dialog_of(&self, object: &Object) -> Result<CallKey, Fault> {
        let found = self.dialogs.iter().find(|(_, dialog)| dialog.id == *object);
        let unknown = || Fault::new(code::UNKNOWN_OBJECT, object.to_string());
        found.map(|(key, _)| *key).ok_or_else(unknown)
    }

    // ---- conferences ----

    fn create_conference(
        &mut self,
        owner: CallKey,
        name: &str,
        delete_when: DeleteWhen,
    ) -> Result<Object, Fault> {
        let id = Object::Conference(name.to_owned());
        let key = id.to_string();
        if self.conferences.contains_key(&key) {
            return Err(Fault::new(code::CONFERENCE_EXISTS, key));
        }
        if self.conferences.len() >= CONFERENCES_MAX {
            return Err(Fault::new(code::LIMIT, "too many conferences"));
        }
        let room = RoomId(self.next_number());
        let kind = Kind::Msml { owner, delete_when };
        self.conferences.insert(key, Conference::new(kind, room));
        Ok(id)
    }

    /// Ends a conference; who was in it stays by itself.
    pub(super) fn destroy_conference(&mut self, actions: &mut Actions<'_>, name: &str) {
        let conference = self.conferences.get_mut(name);
        let members = conference.map(|it| std::mem::take(&mut it.members));
        for member in members.unwrap_or_default() {
            self.stop_if_in_conference(actions, member);
            self.move_home(actions, member);
        }
        self.remove_conference(actions, name);
    }

    /// Who made conferences has gone: those go that were to go with it.
    pub(super) fn lose_control(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        let with_control = DeleteWhen::NoControl;
        let goes = |kind: &Kind| match kind {
            Kind::Msml { owner, delete_when } => *owner == key && *delete_when == with_control,
            _ => false,
        };
        let gone = self.conferences.iter().filter(|(_, it)| goes(&it.kind));
        let gone: Vec<String> = gone.map(|(name, _)| name.clone()).collect();
        for name in gone {
            self.destroy_conference(actions, &name);
        }
        self.scripts.remove(&key);
        let owned = self
            .dialogs
            .iter()
            .filter(|(_, dialog)| dialog.owner == key);
        let owned: Vec<CallKey> = owned.map(|(player, _)| *player).collect();
        for player in owned {
            self.dialogs.remove(&player);
            self.set_task(actions, player, Task::default());
        }
        // Who was joined to its connection is by itself again.
        let guests = self
            .calls
            .iter()
            .filter(|(_, call)| call.room == RoomId(key.0));
        let guests: Vec<CallKey> = guests.map(|(guest, _)| *guest).collect();
        for guest in guests {
            self.move_home(actions, guest);
        }
    }

    /// Moves a call to the room that it has to itself; true when the gateway has something to do.
    fn move_home(&mut self, actions: &mut Actions<'_>, key: CallKey) -> bool {
        let home = RoomId(key.0);
        let Some(call) = self.calls.get_mut(&key) else {
            return false;
        };
        self.touched.insert(key);
        let is_elsewhere = call.room != home;
        call.room = home;
        call.conference = None;
        (call.media.is_muted, call.media.is_deaf) = (false, false);
        call.media.mix = Mix::default();
        let plan = call.media.plan();
        let Some(mgc) = &mut actions.mgc else {
            return false;
        };
        mgc.open_room(home);
        let moved = mgc.move_member(actions.now, MemberId(key.0), home);
        let changes = mgc.set_member(actions.now, MemberId(key.0), plan);
        changes || (is_elsewhere && moved.is_ok())
    }

    // ---- joins ----

    /// Which call is moved, where to, and how it hears and is heard.
    fn joined(
        &self,
        first: &Object,
        second: &Object,
        change: StreamChange,
    ) -> Result<(CallKey, Object, StreamChange), Fault> {
        match (first, second) {
            (Object::Connection(_), _) => Ok((self.connection_of(first)?, second.clone(), change)),
            (_, Object::Connection(_)) => {
                Ok((self.connection_of(second)?, first.clone(), change.turned()))
            }
            _ => Err(Fault::new(code::UNSUPPORTED_ELEMENT, "conferences joined")),
        }
    }

    fn join_objects(
        &mut self,
        actions: &mut Actions<'_>,
        first: Object,
        second: Object,
        change: StreamChange,
    ) -> Result<Done, Fault> {
        let (key, other, change) = self.joined(&first, &second, change)?;
        let home = RoomId(key.0);
        let (room, conference) = match &other {
            Object::Conference(_) => {
                let name = self.conference_of(&other)?;
                let members_max = self.members_max;
                let conference = self.conferences.get(&name);
                let full = conference.is_none_or(|it| it.members.len() >= members_max);
                if full {
                    return Err(Fault::new(code::LIMIT, "conference is full"));
                }
                let room = conference.map_or(home, |it| it.room);
                (room, Some(name))
            }
            _ => {
                let peer = self.connection_of(&other)?;
                let is_home = self
                    .calls
                    .get(&peer)
                    .is_some_and(|it| it.room == RoomId(peer.0));
                if !is_home || peer == key {
                    return Err(Fault::new(code::NO_RESOURCE, "joined elsewhere"));
                }
                (RoomId(peer.0), None)
            }
        };
        let has_guests = self
            .calls
            .iter()
            .any(|(other, call)| *other != key && call.room == home);
        let joins = conference
            .as_ref()
            .and_then(|name| self.conferences.get(name));
        let mix = Mix {
            gain_in_db: supported(change.gains.from_first)?.unwrap_or(0),
            gain_out_db: supported(change.gains.to_first)?.unwrap_or(0),
            tells_talk: joins.is_some_and(|it| it.speakers.is_some()),
        };
        let Some(call) = self.calls.get_mut(&key) else {
            return Err(Fault::new(code::UNKNOWN_OBJECT, first.to_string()));
        };
        if call.room != home || has_guests {
            return Err(Fault::new(code::NO_RESOURCE, "joined elsewhere"));
        }
        self.touched.insert(key);
        call.media.is_muted = !change.from_first;
        call.media.is_deaf = !change.to_first;
        call.media.mix = mix;
        let plan = call.media.plan();
        let Some(mgc) = &mut actions.mgc else {
            return Err(Fault::new(code::UNAVAILABLE, "no media"));
        };
        mgc.open_room(room);
        let moved = mgc.move_member(actions.now, MemberId(key.0), room);
        if moved.is_err() {
            (call.media.is_muted, call.media.is_deaf) = (false, false);
            call.media.mix = Mix::default();
            return Err(Fault::new(code::NO_RESOURCE, "at another media resource"));
        }
        call.room = room;
        call.conference.clone_from(&conference);
        mgc.set_member(actions.now, MemberId(key.0), plan);
        if let Some(conference) = conference.and_then(|name| self.conferences.get_mut(&name)) {
            conference.members.push(key);
        }
        Ok(Done::Later(key))
    }

    /// Whether two objects are joined: the call, where they are.
    fn join_of(&self, first: &Object, second: &Object) -> Result<CallKey, Fault> {
        let not_joined = || Fault::new(code::NOT_JOINED, format!("{first} {second}"));
        if first == second {
            return Err(not_joined());
        }
        let (key, other, _) = self.joined(first, second, StreamChange::BOTH)?;
        let room = match &other {
            Object::Conference(_) => {
                let name = self.conference_of(&other)?;
                self.conferences.get(&name).map(|it| it.room)
            }
            _ => Some(RoomId(self.connection_of(&other)?.0)),
        };
        let has = |key: &CallKey, room: Option<RoomId>| {
            let call = self.calls.get(key);
            call.is_some_and(|call| Some(call.room) == room)
        };
        if has(&key, room) {
            return Ok(key);
        }
        // The other of two connections may have been moved.
        if let Ok(peer) = self.connection_of(&other)
            && has(&peer, Some(RoomId(key.0)))
        {
            return Ok(peer);
        }
        Err(not_joined())
    }

    fn modify_stream(
        &mut self,
        actions: &mut Actions<'_>,
        first: Object,
        second: Object,
        update: StreamUpdate,
    ) -> Result<Done, Fault> {
        let key = self.join_of(&first, &second)?;
        let update = match self.connection_of(&first) {
            Ok(named) if named == key => update,
            _ => update.turned(),
        };
        let Some(call) = self.calls.get_mut(&key) else {
            return Ok(Done::Now);
        };
        self.touched.insert(key);
        let gains = update.gains;
        let (gain_in, gain_out) = (supported(gains.from_first)?, supported(gains.to_first)?);
        let mix = &mut call.media.mix;
        mix.gain_in_db = gain_in.unwrap_or(mix.gain_in_db);
        mix.gain_out_db = gain_out.unwrap_or(mix.gain_out_db);
        if let Some(is_heard) = update.from_first {
            call.media.is_muted = !is_heard;
        }
        if let Some(hears) = update.to_first {
            call.media.is_deaf = !hears;
        }
        let plan = call.media.plan();
        let mgc = actions.mgc.as_mut();
        match mgc.is_some_and(|mgc| mgc.set_member(actions.now, MemberId(key.0), plan)) {
            true => Ok(Done::Later(key)),
            false => Ok(Done::Now),
        }
    }

    fn unjoin(
        &mut self,
        actions: &mut Actions<'_>,
        first: Object,
        second: Object,
    ) -> Result<Done, Fault> {
        let key = self.join_of(&first, &second)?;
        self.stop_if_in_conference(actions, key);
        let conference = self
            .calls
            .get(&key)
            .and_then(|call| call.conference.clone());
        let moves = self.move_home(actions, key);
        if let Some(name) = conference {
            self.leave(actions, key, &name);
        }
        match moves {
            true => Ok(Done::Later(key)),
            false => Ok(Done::Now),
        }
    }

    // ---- dialogs ----

    fn start_dialog(
        &mut self,
        actions: &mut Actions<'_>,
        owner: CallKey,
        target: Object,
        name: Option<String>,
        steps: Vec<Step>,
    ) -> Result<Object, Fault> {
        let (player, to_all) = match &target {
            Object::Connection(_) => (self.connection_of(&target)?, false),
            Object::Conference(_) => {
                let conference = self.conference_of(&target)?;
                let members = self.conferences.get(&conference).map(|it| &it.members);
                let idle = |key: &&CallKey| !self.dialogs.contains_key(key);
                let player = members.into_iter().flatten().find(idle);
                let nobody = || Fault::new(code::NO_RESOURCE, "nobody to play it to");
                (*player.ok_or_else(nobody)?, true)
            }
            Object::Dialog(..) => {
                return Err(Fault::new(code::INVALID_ATTRIBUTE, "target"));
            }
        };
        if self.dialogs.contains_key(&player) {
            return Err(Fault::new(code::NO_RESOURCE, "a dialog runs there"));
        }
        let name = name.unwrap_or_else(|| actions.stack.token());
        let id = Object::Dialog(Box::new(target), name);
        if self.dialogs.values().any(|dialog| dialog.id == id) {
            return Err(Fault::new(code::NAME_IN_USE, id.to_string()));
        }
        let dialog = Dialog {
            id: id.clone(),
            owner,
            steps: steps.into(),
            perform: Perform::default(),
            values: BTreeMap::new(),
            to_all,
            no_input_at: None,
        };
        self.dialogs.insert(player, dialog);
        self.advance(actions, player);
        Ok(id)
    }

    /// Does the next steps of a dialog, up to one that takes time.
    fn advance(&mut self, actions: &mut Actions<'_>, player: CallKey) {
        for _ in 0..STEPS_MAX {
            let Some(dialog) = self.dialogs.get_mut(&player) else {
                return;
            };
            match dialog.steps.pop_front() {
                None => return self.exit_dialog(actions, player, &[]),
                Some(Step::Exit { names }) => return self.exit_dialog(actions, player, &names),
                Some(Step::Disconnect { names }) => {
                    let owner = dialog.owner;
                    self.exit_dialog(actions, player, &names);
                    // Who is told of it hears of it before it goes.
                    if owner == player {
                        return self.end_after_informs(actions, player);
                    }
                    return self.end_call(actions, player, 200, "");
                }
                Some(Step::Send { event, names }) => {
                    let values = values_of(&dialog.values, &names);
                    let (owner, body) = (dialog.owner, msml::event(&event, &dialog.id, &values));
                    self.inform(actions, owner, body);
                }
                Some(Step::Unless { end, steps }) => {
                    let is_so = dialog
                        .values
                        .get("dtmf.end")
                        .is_some_and(|value| value == end);
                    if !is_so {
                        dialog.steps.drain(..steps.min(dialog.steps.len()));
                    }
                }
                Some(Step::Perform(perform)) => {
                    dialog.perform = *perform;
                    let limit = dialog.perform.limit;
                    let task = dialog.begin(actions.now);
                    if let Some(call) = self.calls.get_mut(&player) {
                        call.ends_at = limit.map(|limit| actions.now + limit);
                    }
                    self.set_task(actions, player, task);
                    return self.restart_timer(actions, player);
                }
            }
        }
        self.exit_dialog(actions, player, &[]);
    }

    pub(super) fn set_task(&mut self, actions: &mut Actions<'_>, key: CallKey, task: Task) {
        self.touch(key);
        if let (Some(call), Some(mgc)) = (self.calls.get_mut(&key), &mut actions.mgc) {
            call.task = mgc.set_task(actions.now, MemberId(key.0), task);
        }
    }

    /// Something was observed of what a dialog does.
    pub(super) fn observe_dialog(
        &mut self,
        actions: &mut Actions<'_>,
        player: CallKey,
        observed: Observed,
    ) {
        let Some(dialog) = self.dialogs.get_mut(&player) else {
            return;
        };
        let collects = dialog.perform.digits.is_some();
        let prompt_ended = matches!(observed, Observed::Played { .. } | Observed::Failed { .. });
        if prompt_ended && let Some(task) = dialog.await_first(actions.now) {
            self.set_task(actions, player, task);
        }
        let Some(dialog) = self.dialogs.get_mut(&player) else {
            return;
        };
        let records = matches!(dialog.perform.signal, Some(Signal::Record(_)));
        let values = &mut dialog.values;
        match observed {
            Observed::Played { amount } => {
                values.insert("play.end", "play.complete".into());
                if let Some(amount) = amount {
                    values.insert("play.amt", format!("{}ms", amount.as_millis()));
                }
                // A recording tells of itself.
                if collects || records {
                    return;
                }
            }
            Observed::Interrupted => {
                values.insert("play.end", "play.terminated".into());
                if collects || records {
                    return;
                }
            }
            Observed::Failed { code } if records => {
                warn!(code, "recording failed");
                let end = match code {
                    // As RFC 2897 3.3 numbers it.
                    327 => "record.failed.prespeech",
                    _ => "record.failed",
                };
                values.insert("record.end", end.into());
            }
            Observed::Failed { .. } => {
                values.insert("play.end", "play.failed".into());
                if collects {
                    return;
                }
            }
            Observed::Digits { digits, is_match } => {
                let key = dialog.perform.return_key;
                let digits = told_digits(&digits, key);
                // A key that fits nothing ends digits as well, before the first of them.
                let is_late = dialog.no_input_at.is_some_and(|at| at <= actions.now);
                let end = match is_match {
                    true => "dtmf.match",
                    false if digits.is_empty() && is_late => "dtmf.noinput",
                    false => "dtmf.nomatch",
                };
                values.insert("dtmf.len", digits.len().to_string());
                values.insert("dtmf.digits", digits);
                values.insert("dtmf.end", end.into());
            }
            Observed::Talks { .. } => return,
            Observed::Recorded {
                name,
                length,
                result,
                key,
            } => {
                let result = result.to_ascii_lowercase();
                let end = match () {
                    () if !key.is_empty() => "record.complete.termkey",
                    () if result.contains("silen") => "record.complete.postspeech",
                    () => "record.complete.maxlength",
                };
                values.insert("record.end", end.into());
                values.insert("record.recordid", name);
                values.insert("record.len", format!("{}ms", length.as_millis()));
            }
        }
        self.advance(actions, player);
    }

    /// What a dialog does has lasted as long as it may.
    pub(super) fn limit_dialog(&mut self, actions: &mut Actions<'_>, player: CallKey) {
        if let Some(call) = self.calls.get_mut(&player) {
            call.ends_at = None;
        }
        if let Some(dialog) = self.dialogs.get_mut(&player) {
            let value = "play.complete.maxtime".to_owned();
            dialog.values.insert("play.end", value);
            self.set_task(actions, player, Task::default());
            self.advance(actions, player);
        }
    }

    /// Ends a dialog because it is to end.
    fn end_dialog(&mut self, actions: &mut Actions<'_>, player: CallKey) {
        self.set_task(actions, player, Task::default());
        if let Some(dialog) = self.dialogs.get_mut(&player) {
            let value = "play.terminated".to_owned();
            dialog.values.entry("play.end").or_insert(value);
        }
        self.exit_dialog(actions, player, &[]);
    }

    fn stop_if_in_conference(&mut self, actions: &mut Actions<'_>, player: CallKey) {
        if self
            .dialogs
            .get(&player)
            .is_some_and(|dialog| dialog.to_all)
        {
            self.end_dialog(actions, player);
        }
    }

    /// A dialog has ended, and its owner is told (RFC 5707 9.4).
    fn exit_dialog(&mut self, actions: &mut Actions<'_>, player: CallKey, names: &[String]) {
        let Some(dialog) = self.dialogs.remove(&player) else {
            return;
        };
        self.touch(player);
        let values = values_of(&dialog.values, names);
        let body = msml::event("msml.dialog.exit", &dialog.id, &values);
        self.inform(actions, dialog.owner, body);
    }

    /// The player of a dialog has gone: the dialog's owner is told, if that is another.
    pub(super) fn lose_player(&mut self, actions: &mut Actions<'_>, player: CallKey) {
        let owner = self.dialogs.get(&player).map(|dialog| dialog.owner);
        match owner {
            Some(owner) if owner != player => self.exit_dialog(actions, player, &[]),
            _ => drop(self.dialogs.remove(&player)),
        }
    }

    // ---- telling ----

    /// Tells a call something.
    pub(super) fn inform(&mut self, actions: &mut Actions<'_>, key: CallKey, body: String) {
        if let Some(call) = self.calls.get_mut(&key)
            && let Purpose::Msml(informs) = &mut call.purpose
            && informs.waiting.len() < INFORMS_MAX
        {
            informs.waiting.push_back(body);
            self.touch(key);
            self.send_inform(actions, key);
        }
    }

    pub(super) fn send_inform(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let is_there = call.stage == Stage::Confirmed;
        let (Purpose::Msml(informs), Some(dialog), true) =
            (&mut call.purpose, &mut call.dialog, is_there)
        else {
            return;
        };
        if informs.is_sent {
            return;
        }
        let Some(body) = informs.waiting.front().cloned() else {
            return;
        };
        let mut draft = dialog.request(&Method::Info);
        draft.set_body(CONTENT_TYPE, body);
        if let Some(branch) = send(actions, dialog, draft) {
            informs.is_sent = true;
            self.by_branch.insert(branch, key);
        }
        self.touch(key);
    }

    /// An INFO of ours was answered.
    pub(super) fn informed(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let ends = call.ends_when_informed;
        if let Purpose::Msml(informs) = &mut call.purpose {
            informs.is_sent = false;
            informs.waiting.pop_front();
            if informs.waiting.is_empty() && ends {
                return self.end_call(actions, key, 200, "");
            }
        }
        self.send_inform(actions, key);
    }

    /// Ends a call as soon as it has been told everything.
    fn end_after_informs(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        match &call.purpose {
            Purpose::Msml(informs) if informs.is_sent => call.ends_when_informed = true,
            _ => self.end_call(actions, key, 200, ""),
        }
    }
}

impl Dialog {
    /// What the gateway is asked for first: while something is played, the first digit is not late
    /// (RFC 5707 9.7.2: `fdt` runs from the end of the prompt).
    fn begin(&mut self, now: Instant) -> Task {
        let mut task = task_of(&self.perform, self.to_all);
        let is_played = task.signal.is_some();
        if let Some(digits) = task.digits.as_mut().filter(|_| is_played) {
            digits.first = None;
        }
        self.no_input_at = first_limit(&task).map(|limit| now + limit);
        task
    }

    /// What it is asked for when the prompt is over, if a first digit is waited for since then.
    fn await_first(&mut self, now: Instant) -> Option<Task> {
        if self.no_input_at.is_some() {
            return None;
        }
        let task = Task {
            signal: None,
            ..task_of(&self.perform, self.to_all)
        };
        self.no_input_at = Some(now + first_limit(&task)?);
        Some(task)
    }
}

/// How long the first digit is waited for.
fn first_limit(task: &Task) -> Option<Duration> {
    task.digits.as_ref()?.first
}

/// The timers of digit maps count whole seconds (H.248.1 7.1.14.2).
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs((time.as_millis() as u64).div_ceil(1000)).min(FIRST_DIGIT_MAX)
}

/// A gain that the gateway takes: it makes nothing louder than this.
fn supported(gain_db: Option<i8>) -> Result<Option<i8>, Fault> {
    match gain_db {
        Some(gain_db) if gain_db > GAIN_DB_MAX => {
            Err(Fault::new(code::UNSUPPORTED_ATTRIBUTE, "amt"))
        }
        gain_db => Ok(gain_db),
    }
}

/// What the gateway is asked for.
fn task_of(perform: &Perform, to_all: bool) -> Task {
    let signal = perform.signal.as_ref().map(|signal| match signal {
        Signal::Play(play) => TaskSignal::Audio {
            announcement: announcement_of(play),
            iterations: play.iterations,
            interval: play.interval,
            offset: play.offset,
            volume_db: 0,
            to_all,
        },
        Signal::Dtmf(keys) => TaskSignal::Dtmf(keys.clone()),
        Signal::Record(record) => TaskSignal::Record(mgc::Recording {
            name: record.name.clone(),
            prompt: record
                .prompt
                .as_ref()
                .map(announcement_of)
                .unwrap_or_default(),
            pre_speech: record.pre_speech,
            post_speech: record.post_speech,
            length: record.length,
            end_keys: record.end_keys.clone(),
        }),
    });
    let digits = perform.digits.as_ref().map(|digits| mgc::Digits {
        map: digits.map.clone(),
        first: digits.first.map(whole_seconds),
        long: digits.long,
        short: digits.short,
        interrupts: digits.interrupts,
    });
    Task { signal, digits }
}

fn announcement_of(play: &Play) -> String {
    let part = |part: &Part| match part {
        Part::Audio(uri) => uri.clone(),
        Part::Variable {
            kind,
            subtype,
            value,
        } => prompt::variable(kind, subtype, value),
    };
    let parts: Vec<String> = play.parts.iter().map(part).collect();
    prompt::announcement(&parts, &play.language)
}

fn values_of(values: &BTreeMap<&'static str, String>, names: &[String]) -> Vec<(String, String)> {
    let value = |name: &String| {
        let value = values.get(name.as_str()).cloned();
        (name.clone(), value.unwrap_or_default())
    };
    names.iter().map(value).collect()
}

/// Digits as a digit map has them, as keys; without the one that ended them.
fn told_digits(digits: &str, return_key: Option<char>) -> String {
    let key = |letter: char| match letter.to_ascii_uppercase() {
        'E' => '*',
        'F' => '#',
        letter => letter,
    };
    let mut keys: String = digits.chars().map(key).collect();
    if return_key.is_some() && keys.chars().last() == return_key {
        keys.pop();
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_digit_maps() {
        for digits in [
            "min=2;max=3;rtk=#",
            "min=1;rtk=#",
            "*9",
            "length=4",
            "min=1",
        ] {
            let text = format!(
                "<msml version=\"1.1\"><dialogstart target=\"conn:1\"><dtmf><pattern \
                 digits=\"{digits}\"/></dtmf></dialogstart></msml>"
            );
            let document = msml::parse(text.as_bytes()).unwrap();
            let Ok(Request::DialogStart { steps, .. }) = &document.items[0].request else {
                panic!("{document:?}")
            };
            let Step::Perform(perform) = &steps[0] else {
                panic!("{steps:?}")
            };
            let task = task_of(perform, false);
            let value = h248::message::DigitMapValue {
                body: task.digits.unwrap().map,
                ..Default::default()
            };
            assert!(h248::digit_map::DigitMap::parse(&value).is_ok(), "{digits}");
        }
    }

    #[test]
    fn what_is_said_has_its_language() {
        let play = Play {
            parts: vec![
                Part::Audio("file:///a.wav".into()),
                Part::Variable {
                    kind: "date".into(),
                    subtype: "ymd".into(),
                    value: "20261121".into(),
                },
            ],
            language: "de".into(),
            ..Play::default()
        };
        assert_eq!(
            announcement_of(&play),
            "<file:///a.wav>,<var:date;ymd;20261121;de>"
        );
    }
}
