//! What the MRFC wants of an MRFP (Mp, TS 29.333): terminations in contexts, what is played to them
//! and heard from them.

use std::net::SocketAddr;
use std::time::Duration;

use sdp::Codec;
use serde::{Deserialize, Serialize};

use super::plan::{AnchorError, Endpoint, Family, Mode};
use crate::journal;

/// Names a room: a context at an MRFP with any number of terminations, while it has any. Dealt by
/// its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId(pub u64);

/// Names a member of rooms: one termination. Dealt by its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// The desired state of one termination's media: one stream of audio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberPlan {
    /// IP family of its address.
    pub family: Family,
    /// What may be received: the Local descriptor. Several while no answer has chosen.
    #[serde(with = "journal::codecs")]
    pub receive: Vec<Codec>,
    /// Where and what to send: the Remote descriptor; unknown before the answer.
    pub remote: Option<RemoteMedia>,
    /// Whether media passes, seen from the gateway (H.248.1 7.1.7).
    pub mode: Mode,
    /// How it takes part in the mix.
    pub mix: Mix,
}

/// How a termination takes part in a mix (`swmix`, a package of ours). MRFPs that do not know it
/// are told of it only where it is not as it is by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mix {
    /// How much louder the others hear it, in dB.
    pub gain_in_db: i8,
    /// How much louder it hears the others, in dB.
    pub gain_out_db: i8,
    /// It is told whether somebody talks there.
    pub tells_talk: bool,
}

/// What a peer receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteMedia {
    /// Where.
    pub endpoint: Endpoint,
    /// What, under its payload types.
    #[serde(with = "journal::codecs")]
    pub codecs: Vec<Codec>,
    /// Packet length that it wants, in milliseconds.
    pub ptime_ms: Option<u32>,
}

/// What is to be done at a termination besides its media: replaces what was to be done before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What is played, or recorded.
    pub signal: Option<TaskSignal>,
    /// Digits that are waited for.
    pub digits: Option<Digits>,
}

/// What is played, or recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskSignal {
    /// An announcement by its number, fixed in the gateway (`an/apf`, H.248.7).
    Fixed {
        /// Its number.
        number: u32,
        /// How often; without end if `None`.
        cycles: Option<u32>,
        /// Language or another variant; empty for the gateway's own.
        variant: String,
    },
    /// Audio by its names (`aasb/play`, H.248.9 8.3).
    Audio {
        /// What, in announcement syntax.
        announcement: String,
        /// How often; without end if `None`.
        iterations: Option<u32>,
        /// Silence between two.
        interval: Duration,
        /// Where in it to begin.
        offset: Duration,
        /// Louder or softer, in dB.
        volume_db: i32,
        /// Everybody in the context hears it.
        to_all: bool,
    },
    /// Telephone events, one after the other (`dg`).
    Dtmf(String),
    /// What is said is recorded (`aasrec/playrec`, H.248.9 10.3).
    Record(Recording),
}

/// How something is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// What it is to be called.
    pub name: String,
    /// What is played before, in announcement syntax; empty for nothing.
    pub prompt: String,
    /// How long speech is waited for.
    pub pre_speech: Option<Duration>,
    /// The silence that ends it.
    pub post_speech: Option<Duration>,
    /// How long it may be.
    pub length: Option<Duration>,
    /// The keys that end it.
    pub end_keys: String,
}

/// Digits that are waited for (`dd/ce`, H.248.1 E.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digits {
    /// The digit map (H.248.1 7.1.14).
    pub map: String,
    /// Before the first digit; `None` waits for ever.
    pub first: Option<Duration>,
    /// Between two digits, where more are needed.
    pub long: Duration,
    /// After a match that could still become another.
    pub short: Duration,
    /// What is played ends with a digit.
    pub interrupts: bool,
}

/// What was observed at a termination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// What was played has come to its end (`g/sc` TimeOut, `aasb/playcom`).
    Played {
        /// How much was played, where the gateway says.
        amount: Option<Duration>,
    },
    /// An event ended what was played (`g/sc`).
    Interrupted,
    /// It could not be played or recorded, or not to its end (`aasb/audfail`, `g/sc` with NC).
    Failed {
        /// An error code of H.248.8; 0 where none was said.
        code: u32,
    },
    /// Digits, and how they match the map.
    Digits {
        /// As they came.
        digits: String,
        /// Unambiguous or full match.
        is_match: bool,
    },
    /// Somebody begins to talk, or has fallen silent (`swmix/talk`).
    Talks {
        /// Begins.
        is_on: bool,
        /// How loud.
        level_dbov: i8,
    },
    /// Something has been recorded (`aasrec/precsucc`).
    Recorded {
        /// What it is called.
        name: String,
        /// Its length.
        length: Duration,
        /// What ended it, in the gateway's words.
        result: String,
        /// The key that did.
        key: String,
    },
}

/// What the controller tells the owner of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEvent {
    /// What was wanted last of a member is in force; it receives at this address.
    Applied {
        /// Which.
        member: MemberId,
        /// Its address.
        local: SocketAddr,
    },
    /// What was wanted of a member is not in force. What was before still is; if nothing was, it is
    /// gone.
    Failed {
        /// Which.
        member: MemberId,
        /// Why.
        error: AnchorError,
        /// It has no termination.
        is_gone: bool,
    },
    /// Something was observed at a member.
    Observed {
        /// Which.
        member: MemberId,
        /// The task that asked for it.
        task: u32,
        /// What.
        observed: Observed,
    },
    /// A member's termination left service without being asked; it is gone.
    MemberLost {
        /// Which.
        member: MemberId,
    },
    /// A room's context is gone without being asked, and its members with it.
    Lost {
        /// Which.
        room: RoomId,
        /// Who was in it.
        members: Vec<MemberId>,
    },
}
