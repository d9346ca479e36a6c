//! Jobs that people give through the admin interface: to play something to a user or a conference,
//! or to record either.
//!
//! A user is called for it. Into a conference is played at one of its members. A conference is
//! recorded by two terminations that have each other for peers: the *ear* is in the conference and
//! sends its mix, the *recorder* is in a context of its own and records what comes, so that any
//! MRFP will do, and the two need not be the same.

use std::net::SocketAddr;
use std::time::Duration;

use base::Instant;
use sdp::Codec;
use serde::{Deserialize, Serialize};

use super::{CallKey, Mrfc, prompt};
use crate::admin::{JobStatus, NewJob, PlayJob, RecordJob, What, With};
use crate::entity::Actions;
use crate::journal::{self, Kind};
use crate::mgc::{
    Family, MemberId, MemberPlan, Mix, Mode, Observed, Recording, RemoteMedia, RoomEvent, RoomId,
    Task, TaskSignal,
};

/// Jobs that are remembered; those that are over are forgotten first, the oldest of them before
/// the others.
const JOBS_MAX: usize = 1024;
/// Parts of what is played.
const PARTS_MAX: usize = 32;
/// Octets of a part.
const PART_MAX: usize = 1024;
/// Octets of a recording's name.
const NAME_MAX: usize = 64;
/// Seconds of a recording.
const SECONDS_MAX: u32 = 6 * 3600;
/// How long speech is waited for where silence ends a recording.
const PRE_SPEECH: Duration = Duration::from_secs(10);
/// Linear samples between ear and recorder: nothing is lost on the way.
const PAYLOAD_TYPE: u8 = 96;
const SAMPLE_RATE: u32 = 16_000;

/// A job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    what: What,
    /// The user or the conference.
    with: String,
    progress: Progress,
    place: Place,
    /// The task that does it.
    task: u32,
    #[serde(with = "journal::instant")]
    since: Instant,
    cause: Option<String>,
    /// Final status of the call.
    status: Option<u16>,
    length: Option<Duration>,
    recording: Option<String>,
    gateway: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Progress {
    Calling,
    Running,
    Done,
    Failed,
}

/// Which members of rooms do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Nowhere,
    /// A call of its own.
    Call(CallKey),
    /// A member of a conference, at which is played.
    Player(CallKey),
    /// Two terminations beside the calls of a conference, which has this room.
    Tap {
        room: RoomId,
        ear: CallKey,
        recorder: CallKey,
    },
}

impl Progress {
    const fn name(self) -> &'static str {
        match self {
            Self::Calling => "calling",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl Job {
    const fn is_over(&self) -> bool {
        matches!(self.progress, Progress::Done | Progress::Failed)
    }

    fn status(&self, id: u64) -> JobStatus {
        JobStatus {
            id,
            what: match self.what {
                What::Play(_) => "play",
                What::Record(_) => "record",
            },
            with: self.with.clone(),
            state: self.progress.name(),
            cause: self.cause.clone(),
            status: self.status,
            length_ms: self
                .length
                .map(|length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX)),
            recording: self.recording.clone(),
            gateway: self.gateway.clone(),
        }
    }
}

impl Mrfc {
    /// Begins what is asked for.
    ///
    /// # Errors
    /// An HTTP status, and why it cannot be.
    pub(super) fn begin(
        &mut self,
        actions: &mut Actions<'_>,
        wanted: NewJob,
    ) -> Result<JobStatus, (u16, &'static str)> {
        check(&wanted.what)?;
        self.forget_old_jobs(actions);
        if self.jobs.len() >= JOBS_MAX {
            return Err((503, "too many jobs"));
        }
        let id = self.next_number();
        let user = match &wanted.with {
            With::User(user) => {
                let user = super::administration::target_of(&actions.config.realm, user);
                Some(user.ok_or((400, "the user has no usable URI"))?)
            }
            With::Conference(name) if !self.conferences.contains_key(name) => {
                return Err((404, "there is no such conference"));
            }
            With::Conference(_) => None,
        };
        let (With::User(with) | With::Conference(with)) = wanted.with;
        let job = Job {
            what: wanted.what,
            with: user.clone().unwrap_or(with),
            progress: Progress::Calling,
            place: Place::Nowhere,
            task: 0,
            since: actions.now,
            cause: None,
            status: None,
            length: None,
            recording: None,
            gateway: None,
        };
        let is_play = matches!(job.what, What::Play(_));
        self.jobs.insert(id, job);
        match user {
            Some(user) => self.call_for_job(actions, id, &user),
            None if is_play => self.play_in_conference(actions, id),
            None => self.tap_conference(actions, id),
        }
        self.keep_job(actions, id);
        self.job_status(id).ok_or((500, "the job is lost"))
    }

    // ---- the journal ----

    /// Keeps a job as it is now.
    pub(super) fn keep_job(&self, actions: &mut Actions<'_>, id: u64) {
        if let Some(job) = self.jobs.get(&id) {
            actions.journal.put(Kind::Job, id, job);
        }
    }

    /// Keeps every job anew.
    pub(super) fn keep_jobs(&self, actions: &mut Actions<'_>) {
        for id in self.jobs.keys() {
            self.keep_job(actions, *id);
        }
    }

    /// Takes up the jobs of an earlier life, whose calls and conferences are there already. One
    /// whose call had not been answered has failed.
    pub(super) fn restore_jobs(&mut self, actions: &mut Actions<'_>, jobs: Vec<(u64, Job)>) {
        for (id, job) in jobs {
            let (place, progress) = (job.place, job.progress);
            self.number = self.number.max(id);
            self.jobs.insert(id, job);
            if matches!(progress, Progress::Done | Progress::Failed) {
                continue;
            }
            let goes_on = match place {
                Place::Nowhere => false,
                Place::Call(key) | Place::Player(key) => {
                    self.by_member.insert(key, id);
                    self.calls.contains_key(&key)
                }
                Place::Tap {
                    room,
                    ear,
                    recorder,
                } => {
                    self.number = self.number.max(ear.0).max(recorder.0);
                    self.by_member.extend([(ear, id), (recorder, id)]);
                    let places = [(ear, room), (recorder, RoomId(recorder.0))];
                    let claim = |(key, room): (CallKey, RoomId)| {
                        let mgc = actions.mgc.as_mut()?;
                        mgc.claim_member(MemberId(key.0), room, None)
                    };
                    progress == Progress::Running && places.map(claim).iter().all(Option::is_some)
                }
            };
            if !goes_on {
                let why = "lost with a restart";
                self.finish_job(actions, id, Progress::Failed, why);
            }
        }
    }

    /// How a job fares.
    pub(super) fn job_status(&self, id: u64) -> Option<JobStatus> {
        self.jobs.get(&id).map(|job| job.status(id))
    }

    /// All that are remembered.
    pub(super) fn job_statuses(&self) -> Vec<JobStatus> {
        self.jobs.iter().map(|(id, job)| job.status(*id)).collect()
    }

    /// Ends a job; false when there is none of this number.
    pub(super) fn end_job(&mut self, actions: &mut Actions<'_>, id: u64) -> bool {
        let Some(job) = self.jobs.get(&id) else {
            return false;
        };
        if !job.is_over() {
            let progress = match job.progress {
                Progress::Running => Progress::Done,
                _ => Progress::Failed,
            };
            self.finish_job(actions, id, progress, "asked");
        }
        true
    }

    fn forget_old_jobs(&mut self, actions: &mut Actions<'_>) {
        while self.jobs.len() >= JOBS_MAX {
            let over = self.jobs.iter().find(|(_, job)| job.is_over());
            let Some(id) = over.map(|(id, _)| *id) else {
                return;
            };
            self.jobs.remove(&id);
            actions.journal.remove(Kind::Job, id);
        }
    }

    // ---- users ----

    fn call_for_job(&mut self, actions: &mut Actions<'_>, id: u64, user: &str) {
        if self.dial_for_job(actions, id, user).is_none() {
            let why = "no media or no more calls";
            self.finish_job(actions, id, Progress::Failed, why);
        }
    }

    /// The call of a job begins.
    pub(super) fn job_calls(&mut self, id: u64, key: CallKey) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.place = Place::Call(key);
            self.by_member.insert(key, id);
        }
    }

    /// The call of a job was answered, and its media passes.
    pub(super) fn start_job(&mut self, actions: &mut Actions<'_>, id: u64, key: CallKey) {
        let waits = |job: &&Job| job.progress == Progress::Calling;
        if self.jobs.get(&id).filter(waits).is_some() {
            self.perform(actions, id, key, RoomId(key.0), false);
        }
    }

    /// The call of a job came to this.
    pub(super) fn job_outcome(&mut self, key: CallKey, status: u16) {
        let job = self
            .by_member
            .get(&key)
            .and_then(|id| self.jobs.get_mut(id));
        if let Some(job) = job.filter(|job| status >= 300 && job.progress == Progress::Calling) {
            job.status = Some(status);
            job.cause = Some(sip::reason_phrase(status).to_owned());
        }
    }

    /// A call has gone: the job that it was for, or at which it was done, has ended with it.
    pub(super) fn job_member_left(&mut self, actions: &mut Actions<'_>, key: CallKey) {
        let Some(&id) = self.by_member.get(&key) else {
            return;
        };
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        match (job.place, job.progress) {
            // It goes on at another, from its beginning.
            (Place::Player(_), _) => {
                self.by_member.remove(&key);
                self.play_in_conference(actions, id);
            }
            (_, Progress::Running) => self.finish_job(actions, id, Progress::Done, "hang-up"),
            _ => self.finish_job(actions, id, Progress::Failed, "not answered"),
        }
    }

    // ---- conferences ----

    fn play_in_conference(&mut self, actions: &mut Actions<'_>, id: u64) {
        let name = self.jobs.get(&id).map(|job| job.with.clone());
        let conference = name.and_then(|name| self.conferences.get(&name));
        let idle = |key: &&CallKey| {
            let call = self.calls.get(key);
            call.is_some_and(|call| call.answered_at.is_some())
                && !self.dialogs.contains_key(key)
                && !self.by_member.contains_key(key)
        };
        let player = conference.and_then(|it| it.members.iter().find(idle).copied());
        let Some((player, room)) = player.zip(conference.map(|it| it.room)) else {
            let why = "there is nobody to play it to";
            return self.finish_job(actions, id, Progress::Failed, why);
        };
        if let Some(job) = self.jobs.get_mut(&id) {
            job.place = Place::Player(player);
        }
        self.by_member.insert(player, id);
        self.perform(actions, id, player, room, true);
    }

    /// Opens what a conference is recorded with.
    fn tap_conference(&mut self, actions: &mut Actions<'_>, id: u64) {
        let name = self.jobs.get(&id).map(|job| job.with.clone());
        let conference = name.and_then(|name| self.conferences.get(&name));
        let Some(room) = conference.map(|it| it.room) else {
            return;
        };
        let (ear, recorder) = (CallKey(self.next_number()), CallKey(self.next_number()));
        if let Some(job) = self.jobs.get_mut(&id) {
            job.place = Place::Tap {
                room,
                ear,
                recorder,
            };
        }
        self.by_member.extend([(ear, id), (recorder, id)]);
        let plan = linear(actions, Mode::ReceiveOnly, None);
        let home = RoomId(recorder.0);
        let added = actions.mgc.as_mut().is_some_and(|mgc| {
            mgc.open_room(home);
            let member = MemberId(recorder.0);
            mgc.add_member(actions.now, home, member, plan).is_ok()
        });
        if !added {
            self.finish_job(actions, id, Progress::Failed, "no media resource");
        }
    }

    /// The recorder has an address, so that the ear may be opened; or the ear has, and all is
    /// ready.
    fn tap_applied(&mut self, actions: &mut Actions<'_>, id: u64, at: CallKey, local: SocketAddr) {
        let Some((job, mgc)) = self.jobs.get_mut(&id).zip(actions.mgc.as_mut()) else {
            return;
        };
        let Place::Tap {
            room,
            ear,
            recorder,
        } = job.place
        else {
            return;
        };
        let is_new = mgc.local_of(MemberId(ear.0)).is_none();
        if at == recorder && is_new {
            let plan = linear(actions, Mode::SendOnly, Some(local));
            let now = actions.now;
            let added = actions
                .mgc
                .as_mut()
                .map(|mgc| mgc.add_member(now, room, MemberId(ear.0), plan));
            if !matches!(added, Some(Ok(()))) {
                self.finish_job(actions, id, Progress::Failed, "no media resource");
            }
        } else if at == ear && job.progress == Progress::Calling {
            let plan = linear(actions, Mode::ReceiveOnly, Some(local));
            if let Some(mgc) = &mut actions.mgc {
                mgc.set_member(actions.now, MemberId(recorder.0), plan);
            }
            self.perform(actions, id, recorder, RoomId(recorder.0), false);
        }
    }

    /// A conference has ended: so have the recordings of it.
    pub(super) fn end_taps(&mut self, actions: &mut Actions<'_>, ended: RoomId) {
        let taps = |job: &Job| matches!(job.place, Place::Tap { room, .. } if room == ended);
        let jobs = self.jobs.iter().filter(|(_, job)| taps(job));
        let jobs: Vec<u64> = jobs.map(|(id, _)| *id).collect();
        for id in jobs {
            self.finish_job(actions, id, Progress::Done, "hang-up");
        }
    }

    /// The gateway has lost members of rooms.
    pub(super) fn taps_lost(&mut self, actions: &mut Actions<'_>, members: &[MemberId]) {
        for member in members {
            let key = CallKey(member.0);
            if !self.calls.contains_key(&key)
                && let Some(&id) = self.by_member.get(&key)
            {
                self.finish_job(actions, id, Progress::Failed, "the media resource is lost");
            }
        }
    }

    // ---- doing it ----

    fn perform(
        &mut self,
        actions: &mut Actions<'_>,
        id: u64,
        member: CallKey,
        room: RoomId,
        to_all: bool,
    ) {
        let Some((job, mgc)) = self.jobs.get_mut(&id).zip(actions.mgc.as_mut()) else {
            return;
        };
        job.progress = Progress::Running;
        job.since = actions.now;
        job.gateway = mgc.place_of(room).map(|(mid, _)| mid);
        let task = match &job.what {
            What::Play(play) => play_task(play, to_all),
            What::Record(record) => {
                job.recording = Some(record.name.clone());
                record_task(record)
            }
        };
        job.task = mgc.set_task(actions.now, MemberId(member.0), task);
        self.keep_job(actions, id);
    }

    /// Takes what the gateway says of members that do jobs; false where it is to be taken by
    /// others.
    pub(super) fn job_observes(&mut self, actions: &mut Actions<'_>, event: &RoomEvent) -> bool {
        let member = match event {
            RoomEvent::Applied { member, .. }
            | RoomEvent::Failed { member, .. }
            | RoomEvent::Observed { member, .. }
            | RoomEvent::MemberLost { member } => CallKey(member.0),
            RoomEvent::Lost { .. } => return false,
        };
        let Some(&id) = self.by_member.get(&member) else {
            return false;
        };
        let Some(job) = self.jobs.get(&id) else {
            return false;
        };
        let is_tap = matches!(job.place, Place::Tap { .. });
        match event {
            RoomEvent::Observed {
                observed: Observed::Talks { .. },
                ..
            } => false,
            RoomEvent::Observed { task, observed, .. } if *task == job.task => {
                self.job_observed(actions, id, observed);
                true
            }
            RoomEvent::Applied { local, .. } if is_tap => {
                self.tap_applied(actions, id, member, *local);
                true
            }
            RoomEvent::Failed { .. } | RoomEvent::MemberLost { .. } if is_tap => {
                let why = "the media resource refused";
                self.finish_job(actions, id, Progress::Failed, why);
                true
            }
            // A task that is refused is told of by the member, whose media goes on.
            RoomEvent::Failed { is_gone: false, .. } if job.progress == Progress::Running => {
                let why = "the media resource refused";
                self.finish_job(actions, id, Progress::Failed, why);
                true
            }
            _ => is_tap,
        }
    }

    fn job_observed(&mut self, actions: &mut Actions<'_>, id: u64, observed: &Observed) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let records = matches!(job.what, What::Record(_));
        match observed {
            // A recording tells of itself; what is played before it does not end it.
            Observed::Played { .. } | Observed::Interrupted if records => {}
            Observed::Played { amount } => {
                job.length = Some(amount.unwrap_or(actions.now - job.since));
                self.finish_job(actions, id, Progress::Done, "complete");
            }
            Observed::Interrupted => self.finish_job(actions, id, Progress::Done, "key"),
            Observed::Failed { code } => {
                let why = match code {
                    0 => "the media resource cannot do it".to_owned(),
                    327 => "nobody spoke".to_owned(),
                    code => format!("the media resource cannot do it (H.248.8 error {code})"),
                };
                self.finish_job(actions, id, Progress::Failed, &why);
            }
            Observed::Recorded {
                name,
                length,
                result,
                key,
            } => {
                job.length = Some(*length);
                job.recording = Some(name.clone()).filter(|name| !name.is_empty());
                let cause = match () {
                    () if !key.is_empty() => "key",
                    () if result.to_ascii_lowercase().contains("silen") => "silence",
                    () => "complete",
                };
                self.finish_job(actions, id, Progress::Done, cause);
            }
            Observed::Digits { .. } | Observed::Talks { .. } => {}
        }
    }

    /// A job is over, and what was opened for it goes.
    fn finish_job(&mut self, actions: &mut Actions<'_>, id: u64, progress: Progress, cause: &str) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| !job.is_over()) else {
            return;
        };
        if job.progress == Progress::Running && job.length.is_none() {
            job.length = Some(actions.now - job.since);
        }
        job.progress = progress;
        job.cause.get_or_insert_with(|| cause.to_owned());
        let place = std::mem::replace(&mut job.place, Place::Nowhere);
        self.keep_job(actions, id);
        match place {
            Place::Nowhere => {}
            Place::Call(key) => {
                self.by_member.remove(&key);
                self.end_call(actions, key, 200, "");
            }
            Place::Player(key) => {
                self.by_member.remove(&key);
                if let Some(mgc) = &mut actions.mgc {
                    mgc.set_task(actions.now, MemberId(key.0), Task::default());
                }
            }
            Place::Tap { ear, recorder, .. } => {
                self.by_member.remove(&ear);
                self.by_member.remove(&recorder);
                if let Some(mgc) = &mut actions.mgc {
                    mgc.remove_member(actions.now, MemberId(ear.0));
                    mgc.close_room(actions.now, RoomId(recorder.0));
                }
            }
        }
    }
}

/// Linear audio between two terminations.
fn linear(actions: &Actions<'_>, mode: Mode, remote: Option<SocketAddr>) -> MemberPlan {
    let listener = actions.stack.addresses().listener(0);
    let codec = Codec::new(PAYLOAD_TYPE, "L16", SAMPLE_RATE);
    MemberPlan {
        family: remote.or(listener).map_or(Family::V4, Family::of),
        receive: vec![codec.clone()],
        remote: remote.map(|rtp| RemoteMedia {
            endpoint: rtp.into(),
            codecs: vec![codec],
            ptime_ms: None,
        }),
        mode,
        mix: Mix::default(),
    }
}

fn play_task(play: &PlayJob, to_all: bool) -> Task {
    let signal = TaskSignal::Audio {
        announcement: prompt::announcement(&play.parts, &play.language),
        iterations: Some(play.times).filter(|times| *times > 0),
        interval: Duration::ZERO,
        offset: Duration::ZERO,
        volume_db: 0,
        to_all,
    };
    Task {
        signal: Some(signal),
        digits: None,
    }
}

fn record_task(record: &RecordJob) -> Task {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let recording = Recording {
        name: record.name.clone(),
        prompt: match record.prompt.is_empty() {
            true => String::new(),
            false => prompt::announcement(&record.prompt, ""),
        },
        pre_speech: record
            .silence
            .map(|silence| seconds(silence).max(PRE_SPEECH)),
        post_speech: record.silence.map(seconds),
        length: Some(seconds(record.seconds)),
        end_keys: record.keys.clone(),
    };
    Task {
        signal: Some(TaskSignal::Record(recording)),
        digits: None,
    }
}

fn check(what: &What) -> Result<(), (u16, &'static str)> {
    let are_parts = |parts: &[String]| {
        parts.len() <= PARTS_MAX && parts.iter().all(|it| (1..=PART_MAX).contains(&it.len()))
    };
    match what {
        What::Play(play) if play.parts.is_empty() => Err((400, "nothing to play")),
        What::Play(play) if !are_parts(&play.parts) || play.language.len() > PART_MAX => {
            Err((400, "too much to play"))
        }
        What::Play(_) => Ok(()),
        What::Record(record) => {
            let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
            let is_key = |key: u8| key.is_ascii_digit() || b"*#ABCDabcd".contains(&key);
            let name = record.name.as_bytes();
            match () {
                () if !(1..=NAME_MAX).contains(&name.len())
                    || !name.iter().all(|octet| fits(*octet))
                    || name[0] == b'.' =>
                {
                    Err((400, "the recording has no usable name"))
                }
                () if !(1..=SECONDS_MAX).contains(&record.seconds) => {
                    Err((400, "a recording takes 1 s to 6 h"))
                }
                () if record.keys.len() > 16 || !record.keys.bytes().all(is_key) => {
                    Err((400, "the keys that end it are not keys"))
                }
                () if !are_parts(&record.prompt) => Err((400, "too much to play")),
                () => Ok(()),
            }
        }
    }
}
