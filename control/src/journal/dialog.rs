//! Dialogs and times in the journal.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sip::dialog::{Dialog, DialogId, DialogState};

/// A confirmed [`Dialog`] as the journal has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeptDialog<'a> {
    call_id: Cow<'a, str>,
    local_tag: Cow<'a, str>,
    remote_tag: Cow<'a, str>,
    local: Cow<'a, str>,
    remote: Cow<'a, str>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    remote_target: Cow<'a, str>,
    route_set: Cow<'a, [String]>,
    secure: bool,
}

impl<'a> From<&'a Dialog> for KeptDialog<'a> {
    fn from(dialog: &'a Dialog) -> Self {
        Self {
            call_id: Cow::Borrowed(&dialog.id.call_id),
            local_tag: Cow::Borrowed(&dialog.id.local_tag),
            remote_tag: Cow::Borrowed(&dialog.id.remote_tag),
            local: Cow::Borrowed(&dialog.local),
            remote: Cow::Borrowed(&dialog.remote),
            local_cseq: dialog.local_cseq,
            remote_cseq: dialog.remote_cseq,
            remote_target: Cow::Borrowed(&dialog.remote_target),
            route_set: Cow::Borrowed(&dialog.route_set),
            secure: dialog.secure,
        }
    }
}

impl From<KeptDialog<'_>> for Dialog {
    fn from(kept: KeptDialog<'_>) -> Self {
        Self {
            id: DialogId {
                call_id: kept.call_id.into_owned(),
                local_tag: kept.local_tag.into_owned(),
                remote_tag: kept.remote_tag.into_owned(),
            },
            state: DialogState::Confirmed,
            local: kept.local.into_owned(),
            remote: kept.remote.into_owned(),
            local_cseq: kept.local_cseq,
            remote_cseq: kept.remote_cseq,
            remote_target: kept.remote_target.into_owned(),
            route_set: kept.route_set.into_owned(),
            secure: kept.secure,
        }
    }
}

/// An [`Instant`](base::Instant) as a field of what the journal has: nanoseconds of Unix time.
pub mod instant {
    use base::Instant;
    use serde::{Deserialize, Deserializer, Serializer};

    /// For `serde(with)`.
    pub fn serialize<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(at.as_nanos())
    }

    /// For `serde(with)`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        u64::deserialize(deserializer).map(Instant::from_nanos)
    }
}
