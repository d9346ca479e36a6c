//! What people ask of an MRFC, and what it says of its calls, conferences and jobs.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What somebody asks of the MRFC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MrfRequest {
    /// All that it has.
    Show,
    /// A conference with a focus, as the factory makes them.
    Open(NewConference),
    /// Ends a conference, and the calls in it.
    Close(String),
    /// Calls a user into a conference.
    Invite {
        /// The conference.
        conference: String,
        /// The user.
        user: String,
    },
    /// Has a member of a conference heard, or not.
    Mute {
        /// The conference.
        conference: String,
        /// The member.
        member: u64,
        /// It is not to be heard.
        is_muted: bool,
    },
    /// Takes a member out of a conference.
    Expel {
        /// The conference.
        conference: String,
        /// The member.
        member: u64,
    },
    /// Begins a job.
    Begin(NewJob),
    /// How a job fares.
    Job(u64),
    /// Ends a job.
    End(u64),
    /// Which media server has what is needed (RFC 6917 5, query mode).
    Consult(Vec<u8>),
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum MrfReply {
    /// All that there is.
    Shown(Box<MrfDetail>),
    /// A conference has begun.
    Opened(Box<ConferenceDetail>),
    /// A job, as it is now.
    Job(Box<JobStatus>),
    /// The media server, as RFC 6917 has it.
    Consulted(String),
    /// It is done, or under way.
    Done,
    /// It is not, by an HTTP status and in words.
    Refused(u16, &'static str),
}

/// A conference to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewConference {
    /// Its name; one is dealt without.
    pub name: Option<String>,
    /// Users who are called into it.
    #[serde(default)]
    pub invite: Vec<String>,
}

/// A job: to play to, or to record, a user or a conference.
///
/// As JSON, `user` or `conference` with its name, and `play` or `record` with a table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "JobBody")]
pub struct NewJob {
    /// With whom.
    pub with: With,
    /// What.
    pub what: What,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobBody {
    user: Option<String>,
    conference: Option<String>,
    play: Option<PlayJob>,
    record: Option<RecordJob>,
}

impl TryFrom<JobBody> for NewJob {
    type Error = &'static str;

    fn try_from(body: JobBody) -> Result<Self, Self::Error> {
        let with = match (body.user, body.conference) {
            (Some(user), None) => With::User(user),
            (None, Some(conference)) => With::Conference(conference),
            _ => return Err("give one of user and conference"),
        };
        let what = match (body.play, body.record) {
            (Some(play), None) => What::Play(play),
            (None, Some(record)) => What::Record(record),
            _ => return Err("give one of play and record"),
        };
        Ok(Self { with, what })
    }
}

/// Whom a job is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum With {
    /// A user, who is called.
    User(String),
    /// A conference that there is.
    Conference(String),
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Plays.
    Play(PlayJob),
    /// Records.
    Record(RecordJob),
}

/// What is played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayJob {
    /// One after the other: URIs, numbers of announcements, `var:TYPE;SUBTYPE;VALUE`.
    pub parts: Vec<String>,
    /// Language of what is said; the gateway's own without.
    #[serde(default)]
    pub language: String,
    /// How often.
    #[serde(default = "once")]
    pub times: u32,
}

/// How something is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordJob {
    /// What it is to be called, with the ending of a format: `.wav`, `.amr`, `.opus`.
    pub name: String,
    /// The longest it may become, in seconds.
    pub seconds: u32,
    /// Seconds of silence that end it; none do without.
    pub silence: Option<u32>,
    /// Keys that end it.
    #[serde(default)]
    pub keys: String,
    /// What is played to a user before.
    #[serde(default)]
    pub prompt: Vec<String>,
}

const fn once() -> u32 {
    1
}

/// All that an MRFC has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MrfDetail {
    /// Calls with it.
    pub calls: usize,
    /// Conferences, the largest first.
    pub conferences: Vec<ConferenceDetail>,
    /// Jobs, the latest last.
    pub jobs: Vec<JobStatus>,
}

/// A conference with its members.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConferenceDetail {
    /// Its name: the token of its URI, or what netann or MSML calls it.
    pub name: String,
    /// Its URI, where it has a focus.
    pub uri: Option<String>,
    /// `focus`, `netann` or `msml`.
    pub kind: &'static str,
    /// MID of the gateway that mixes it.
    pub gateway: Option<String>,
    /// ContextID there.
    pub context: Option<u32>,
    /// Its members.
    pub members: Vec<MemberDetail>,
}

/// A member of a conference.
#[derive(Clone, Debug, Serialize)]
pub struct MemberDetail {
    /// Its name to the admin interface.
    pub id: u64,
    /// Its URI.
    pub user: String,
    /// As conference events have it (RFC 4575 5.7.4): `dialing-out`, `connected`, `on-hold`,
    /// `muted-via-focus`.
    pub state: &'static str,
    /// `dialed-in` or `dialed-out`.
    pub joined: &'static str,
    /// Since the call was answered.
    pub seconds: u64,
    /// Where the gateway receives from it: the name of its stream in the gateway's own status.
    pub local: Option<SocketAddr>,
}

/// How a job fares.
#[derive(Clone, Debug, Serialize)]
pub struct JobStatus {
    /// Its number.
    pub id: u64,
    /// `play` or `record`.
    pub what: &'static str,
    /// The user, or the conference.
    pub with: String,
    /// `calling`, `running`, `done` or `failed`.
    pub state: &'static str,
    /// Why it ended: `complete`, `silence`, `key`, `hang-up`, `asked`, or what failed.
    pub cause: Option<String>,
    /// Final status of a call that was not answered.
    pub status: Option<u16>,
    /// Milliseconds that were played or recorded.
    pub length_ms: Option<u64>,
    /// What was recorded, as the gateway calls it.
    pub recording: Option<String>,
    /// MID of the gateway that does it.
    pub gateway: Option<String>,
}
