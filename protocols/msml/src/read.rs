//! A document to requests.

use std::time::Duration;

use super::code;
use super::dialog::{self, Step};
use super::tree::{self, Element, Tree};

/// Requests of one document.
const REQUESTS_MAX: usize = 64;
/// Octets of a name.
const NAME_MAX: usize = 64;
/// Between two notices of who talks, where nothing is said.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
/// The least time between two.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Whoever talks is louder, in dBm0.
const THRESHOLD_LEAST: i8 = -96;
/// What streams may be amplified by (RFC 5707 8.9), in dB.
const GAINS: std::ops::RangeInclusive<i8> = -96..=96;

/// A document of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// In the order in which they are to be done, up to the first that cannot be.
    pub items: Vec<Item>,
}

/// A request, and what marks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its mark, which the result names.
    pub mark: Option<String>,
    /// What is asked, or why it cannot be.
    pub request: Result<Request, Fault>,
}

/// Why something cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its response code.
    pub code: u16,
    /// In words.
    pub description: String,
}

impl Fault {
    /// A fault of this code.
    pub fn new(code: u16, description: impl Into<String>) -> Self {
        let description = description.into();
        Self { code, description }
    }
}

/// What is asked (RFC 5707 7, 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `createconference`.
    CreateConference(Conference),
    /// `modifyconference`: of what may change, nothing does here.
    ModifyConference(Object),
    /// `destroyconference`.
    DestroyConference(Object),
    /// `join`.
    Join(Object, Object, StreamChange),
    /// `modifystream`: what it does not name stays as it is.
    ModifyStream(Object, Object, StreamUpdate),
    /// `unjoin`.
    Unjoin(Object, Object),
    /// `dialogstart`.
    DialogStart {
        /// What it is with.
        target: Object,
        /// Its name, if it was given one.
        name: Option<String>,
        /// What is to be done.
        steps: Vec<Step>,
    },
    /// `dialogend`.
    DialogEnd(Object),
    /// `send` of an event to a dialog.
    Send {
        /// The dialog.
        target: Object,
        /// The event: `terminate`.
        event: String,
    },
}

/// What a conference is to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conference {
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// When it goes by itself.
    pub delete_when: DeleteWhen,
    /// Who talks is told, and how.
    pub speakers: Option<SpeakerNotices>,
}

/// How it is told who talks in a conference (`asn`, RFC 5707 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeakerNotices {
    /// The least time between two notices (`ri`).
    pub interval: Duration,
    /// Who is softer does not count (`asth`), in dBm0.
    pub threshold_dbm0: i8,
}

/// When a conference goes by itself (RFC 5707 8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteWhen {
    /// When nobody is in it any more.
    NoMedia,
    /// When who made it has gone.
    NoControl,
    /// Never.
    Never,
}

/// The name of an object (RFC 5707 6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Object {
    /// `conn:TAG`.
    Connection(String),
    /// `conf:NAME`.
    Conference(String),
    /// `conn:TAG/dialog:NAME`, `conf:NAME/dialog:NAME`.
    Dialog(Box<Object>, String),
}

impl Object {
    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, dialog) = match text.split_once('/') {
            Some((text, dialog)) => (text, Some(dialog.strip_prefix("dialog:")?)),
            None => (text, None),
        };
        let fits = |name: &str| !name.is_empty() && name.len() <= NAME_MAX;
        let (kind, name) = text.split_once(':')?;
        let object = match kind {
            "conn" if fits(name) => Self::Connection(name.to_owned()),
            "conf" if fits(name) => Self::Conference(name.to_owned()),
            _ => return None,
        };
        match dialog {
            Some(dialog) if fits(dialog) => Some(Self::Dialog(Box::new(object), dialog.to_owned())),
            Some(_) => None,
            None => Some(object),
        }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection(name) => write!(f, "conn:{name}"),
            Self::Conference(name) => write!(f, "conf:{name}"),
            Self::Dialog(object, name) => write!(f, "{object}/dialog:{name}"),
        }
    }
}

/// How media passes between two objects that are joined, seen from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamChange {
    /// From the first to the second.
    pub from_first: bool,
    /// From the second to the first.
    pub to_first: bool,
    /// How loud.
    pub gains: Gains,
}

/// How much louder or softer media passes between two objects, in dB, seen from the first; `None`
/// of what nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gains {
    /// From the first to the second.
    pub from_first: Option<i8>,
    /// From the second to the first.
    pub to_first: Option<i8>,
}

impl Gains {
    /// The same seen from the second.
    #[must_use]
    pub const fn turned(self) -> Self {
        Self {
            from_first: self.to_first,
            to_first: self.from_first,
        }
    }
}

impl StreamChange {
    /// Both ways.
    pub const BOTH: Self = Self {
        from_first: true,
        to_first: true,
        gains: Gains {
            from_first: None,
            to_first: None,
        },
    };

    /// The same seen from the second.
    #[must_use]
    pub const fn turned(self) -> Self {
        Self {
            from_first: self.to_first,
            to_first: self.from_first,
            gains: self.gains.turned(),
        }
    }
}

/// What is said of the media between two objects that are joined, seen from the first; `None` of
/// what nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamUpdate {
    /// From the first to the second.
    pub from_first: Option<bool>,
    /// From the second to the first.
    pub to_first: Option<bool>,
    /// How loud.
    pub gains: Gains,
}

impl StreamUpdate {
    /// The same seen from the second.
    #[must_use]
    pub fn turned(self) -> Self {
        Self {
            from_first: self.to_first,
            to_first: self.from_first,
            gains: self.gains.turned(),
        }
    }
}

/// Reads a document.
///
/// # Errors
/// 400: it is none of MSML.
pub fn parse(document: &[u8]) -> Result<Document, Fault> {
    let tree = Tree::parse(document).map_err(|error| match error {
        tree::Error::Malformed => Fault::new(code::BAD_REQUEST, "not well-formed"),
        tree::Error::Limit => Fault::new(code::LIMIT, "document too large"),
    })?;
    let root = tree.root().filter(|root| root.name() == "msml");
    let root = root.ok_or_else(|| Fault::new(code::BAD_REQUEST, "not MSML"))?;
    if !matches!(root.attribute("version"), Some("1.0" | "1.1")) {
        return Err(Fault::new(code::BAD_REQUEST, "version"));
    }
    let items: Vec<Item> = root
        .children()
        .take(REQUESTS_MAX + 1)
        .map(|element| Item {
            mark: element.attribute("mark").map(str::to_owned),
            request: request(element),
        })
        .collect();
    match items.len() {
        0 => Err(Fault::new(code::MISSING_CONTENT, "msml")),
        1..=REQUESTS_MAX => Ok(Document { items }),
        _ => Err(Fault::new(code::LIMIT, "too many requests")),
    }
}

fn request(element: Element<'_>) -> Result<Request, Fault> {
    let object = |name: &str| {
        let text = required(element, name)?;
        Object::parse(text).ok_or_else(|| invalid(name))
    };
    let pair = || Ok::<_, Fault>((object("id1")?, object("id2")?));
    match element.name() {
        "createconference" => conference(element).map(Request::CreateConference),
        "modifyconference" => object("id").map(Request::ModifyConference),
        "destroyconference" => object("id").map(Request::DestroyConference),
        "join" => {
            let (first, second) = pair()?;
            let named = streams(element, true)?;
            // Only what is named is joined; all is, where nothing is named.
            let change = match named == StreamUpdate::default() {
                true => StreamChange::BOTH,
                false => StreamChange {
                    from_first: named.from_first == Some(true),
                    to_first: named.to_first == Some(true),
                    gains: named.gains,
                },
            };
            Ok(Request::Join(first, second, change))
        }
        "modifystream" => {
            let (first, second) = pair()?;
            Ok(Request::ModifyStream(
                first,
                second,
                streams(element, false)?,
            ))
        }
        "unjoin" => {
            let (first, second) = pair()?;
            Ok(Request::Unjoin(first, second))
        }
        "dialogstart" => dialog_start(element),
        "dialogend" => object("id").map(Request::DialogEnd),
        "send" => Ok(Request::Send {
            target: object("target")?,
            event: required(element, "event")?.to_owned(),
        }),
        known @ ("monitor" | "audit" | "dialogprepare" | "result" | "event") => {
            Err(Fault::new(code::UNSUPPORTED_ELEMENT, known))
        }
        unknown => Err(Fault::new(code::UNKNOWN_ELEMENT, unknown)),
    }
}

fn conference(element: Element<'_>) -> Result<Conference, Fault> {
    let delete_when = match element.attribute("deletewhen") {
        None | Some("nomedia") => DeleteWhen::NoMedia,
        Some("nocontrol") => DeleteWhen::NoControl,
        Some("never") => DeleteWhen::Never,
        Some(_) => return Err(invalid("deletewhen")),
    };
    let name = element.attribute("name").map(name_of).transpose()?;
    let mut speakers = None;
    for child in element.children() {
        match child.name() {
            // Mixed are the loudest in any case, and reserved is nothing (RFC 5707 8.3, 8.6).
            "audiomix" => speakers = child.child("asn").map(speaker_notices).transpose()?,
            "reserve" => {}
            known @ "videolayout" => {
                return Err(Fault::new(code::UNSUPPORTED_ELEMENT, known));
            }
            unknown => return Err(Fault::new(code::UNKNOWN_ELEMENT, unknown)),
        }
    }
    Ok(Conference {
        name,
        delete_when,
        speakers,
    })
}

fn speaker_notices(asn: Element<'_>) -> Result<SpeakerNotices, Fault> {
    let interval = time(asn, "ri")?.unwrap_or(INTERVAL_DEFAULT);
    let threshold = asn.attribute("asth").map(str::parse::<i8>).transpose();
    let threshold = threshold.map_err(|_| invalid("asth"))?;
    Ok(SpeakerNotices {
        interval: interval.max(INTERVAL_MIN),
        threshold_dbm0: threshold
            .unwrap_or(THRESHOLD_LEAST)
            .clamp(THRESHOLD_LEAST, 0),
    })
}

fn name_of(text: &str) -> Result<String, Fault> {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.+@".contains(&octet);
    match !text.is_empty() && text.len() <= NAME_MAX && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(invalid("name")),
    }
}

/// `stream` elements (RFC 5707 8.8), whether each is to be heard, and how loud. What is made louder
/// or softer while it is joined stays muted where it was.
fn streams(element: Element<'_>, joins: bool) -> Result<StreamUpdate, Fault> {
    let mut update = StreamUpdate::default();
    for stream in element.children() {
        if stream.name() != "stream" {
            return Err(Fault::new(code::UNKNOWN_ELEMENT, stream.name()));
        }
        match required(stream, "media")? {
            "audio" => {}
            "video" => return Err(Fault::new(code::UNSUPPORTED_ATTRIBUTE, "media")),
            _ => return Err(invalid("media")),
        }
        let gain = stream.child("gain");
        if gain.is_some_and(|gain| gain.attribute("agc") == Some("true")) {
            return Err(Fault::new(code::UNSUPPORTED_ATTRIBUTE, "agc"));
        }
        let (is_heard, gain_db) = match gain.and_then(|gain| gain.attribute("amt")) {
            None | Some("unmute") => (Some(true), None),
            Some("mute") => (Some(false), None),
            Some(amount) => {
                let gain_db = amount.parse().ok().filter(|gain| GAINS.contains(gain));
                let gain_db = gain_db.ok_or_else(|| invalid("amt"))?;
                (joins.then_some(true), Some(gain_db))
            }
        };
        let (from, to) = match stream.attribute("dir") {
            None => (true, true),
            Some("from-id1") => (true, false),
            Some("to-id1") => (false, true),
            Some(_) => return Err(invalid("dir")),
        };
        if from {
            update.from_first = is_heard;
            update.gains.from_first = gain_db;
        }
        if to {
            update.to_first = is_heard;
            update.gains.to_first = gain_db;
        }
    }
    Ok(update)
}

fn dialog_start(element: Element<'_>) -> Result<Request, Fault> {
    let target = required(element, "target")?;
    let target = Object::parse(target).ok_or_else(|| invalid("target"))?;
    match element.attribute("type") {
        None | Some("application/moml+xml" | "application/msml+xml") => {}
        Some(language) => return Err(Fault::new(code::UNSUPPORTED_LANGUAGE, language)),
    }
    if let Some(source) = element.attribute("src") {
        return Err(Fault::new(code::FETCH_FAILED, source));
    }
    Ok(Request::DialogStart {
        target,
        name: element.attribute("name").map(name_of).transpose()?,
        steps: dialog::steps(element)?,
    })
}

// ---- attributes ----

pub(super) fn required<'a>(element: Element<'a>, name: &str) -> Result<&'a str, Fault> {
    let value = element.attribute(name);
    let missing = || {
        Fault::new(
            code::MISSING_ATTRIBUTE,
            format!("{} {name}", element.name()),
        )
    };
    value.ok_or_else(missing)
}

pub(super) fn invalid(name: &str) -> Fault {
    Fault::new(code::INVALID_ATTRIBUTE, name)
}

/// `5s`, `500ms`, `2m`, `1h`, or a bare number of seconds.
pub(super) fn time(element: Element<'_>, name: &str) -> Result<Option<Duration>, Fault> {
    let Some(text) = element.attribute(name) else {
        return Ok(None);
    };
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| invalid(name))?;
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(invalid(name)),
    };
    let most = Duration::from_secs(24 * 3600);
    Ok(Some(
        Duration::from_millis(number.saturating_mul(unit)).min(most),
    ))
}
