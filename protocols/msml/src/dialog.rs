//! Dialogs (RFC 5707 9): what is played, collected and recorded, step by step.

use std::time::Duration;

use super::code;
use super::read::{Fault, invalid, required, time};
use super::tree::Element;

/// Steps of one dialog.
const STEPS_MAX: usize = 128;
/// Audio files and variables of one `play`.
const SEGMENTS_MAX: usize = 64;
/// Digits that a pattern may ask for.
const DIGITS_MAX: usize = 32;
/// Octets of a digit map.
const MAP_MAX: usize = 2000;

/// One step of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something is played, collected or recorded; the next step follows its end.
    Perform(Box<Perform>),
    /// An event is told with these values.
    Send {
        /// Its name.
        event: String,
        /// Names of values.
        names: Vec<String>,
    },
    /// The dialog ends, and tells these values.
    Exit {
        /// Names of values.
        names: Vec<String>,
    },
    /// The connection ends, and tells these values.
    Disconnect {
        /// Names of values.
        names: Vec<String>,
    },
    /// So many steps are passed over unless `dtmf.end` is this.
    Unless {
        /// The value.
        end: &'static str,
        /// How many.
        steps: usize,
    },
}

/// Something that takes time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Perform {
    /// What is played or recorded.
    pub signal: Option<Signal>,
    /// What is collected.
    pub digits: Option<Digits>,
    /// The key that ends digits, which is none of them.
    pub return_key: Option<char>,
    /// It ends after this in any case.
    pub limit: Option<Duration>,
}

/// What is played or recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `play`.
    Play(Play),
    /// `dtmfgen`: these keys.
    Dtmf(String),
    /// `record`.
    Record(Record),
}

/// `play` (RFC 5707 9.7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Play {
    /// What, one after the other.
    pub parts: Vec<Part>,
    /// Language of what is said; empty where it is not told.
    pub language: String,
    /// How often; without end if `None`.
    pub iterations: Option<u32>,
    /// Silence between two.
    pub interval: Duration,
    /// Where in it to begin.
    pub offset: Duration,
}

/// A part of what is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A file, by its URI.
    Audio(String),
    /// A value, said as one of its type.
    Variable {
        /// `date`, `digits`, `money`…
        kind: String,
        /// `ymd`, `usd`…
        subtype: String,
        /// The value.
        value: String,
    },
}

/// Digits that are collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    /// The digit map (H.248.1 7.1.14) that the patterns say.
    pub map: String,
    /// `fdt`: before the first digit; `None` waits for ever.
    pub first: Option<Duration>,
    /// `idt`: between two digits, where more are needed.
    pub long: Duration,
    /// `edt`: after a match that could still become another.
    pub short: Duration,
    /// What is played ends with a digit.
    pub interrupts: bool,
}

/// `record` (RFC 5707 9.7.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What it is to be called.
    pub name: String,
    /// What is played before.
    pub prompt: Option<Play>,
    /// How long speech is waited for.
    pub pre_speech: Option<Duration>,
    /// The silence that ends it.
    pub post_speech: Option<Duration>,
    /// How long it may be.
    pub length: Option<Duration>,
    /// The keys that end it.
    pub end_keys: String,
}

/// Reads the steps of a dialog.
///
/// # Errors
/// The first fault.
pub(super) fn steps(dialog: Element<'_>) -> Result<Vec<Step>, Fault> {
    let mut steps = Vec::new();
    // The tree is no deeper than it may be; what is pushed last is read next.
    let mut open: Vec<Element<'_>> = reversed(dialog);
    while let Some(element) = open.pop() {
        if steps.len() >= STEPS_MAX {
            return Err(Fault::new(code::LIMIT, "too many steps"));
        }
        match element.name() {
            "group" => match element.attribute("topology") {
                Some("serial") | None => open.extend(reversed(element)),
                Some("parallel") => parallel(element, &mut steps)?,
                Some(_) => return Err(Fault::new(code::UNSUPPORTED_ATTRIBUTE, "topology")),
            },
            "groupexit" => open.extend(reversed(element)),
            "play" => {
                let perform = Perform {
                    signal: Some(Signal::Play(play(element)?)),
                    limit: time(element, "maxtime")?,
                    ..Perform::default()
                };
                steps.push(Step::Perform(Box::new(perform)));
                exits(element, "playexit", &mut steps)?;
            }
            "dtmf" | "collect" => collect(element, element.child("play"), &mut steps)?,
            "record" => record(element, &mut steps)?,
            "dtmfgen" => {
                let perform = Perform {
                    signal: Some(Signal::Dtmf(keys(required(element, "digits")?)?)),
                    ..Perform::default()
                };
                steps.push(Step::Perform(Box::new(perform)));
                exits(element, "dtmfgenexit", &mut steps)?;
            }
            _ => simple(element, &mut steps)?,
        }
    }
    match steps.is_empty() {
        true => Err(Fault::new(code::MISSING_CONTENT, "dialogstart")),
        false => Ok(steps),
    }
}

fn reversed(element: Element<'_>) -> Vec<Element<'_>> {
    let mut children: Vec<_> = element.children().collect();
    children.reverse();
    children
}

/// What takes no time.
fn simple(element: Element<'_>, steps: &mut Vec<Step>) -> Result<(), Fault> {
    let names = || {
        let list = element.attribute("namelist").unwrap_or_default();
        list.split_whitespace().map(str::to_owned).collect()
    };
    steps.push(match element.name() {
        "send" => {
            if element.attribute("target").is_some_and(|it| it != "source") {
                return Err(Fault::new(code::UNSUPPORTED_ATTRIBUTE, "target"));
            }
            Step::Send {
                event: required(element, "event")?.to_owned(),
                names: names(),
            }
        }
        "exit" => Step::Exit { names: names() },
        "disconnect" => Step::Disconnect { names: names() },
        known @ ("tonegen" | "relay" | "vad" | "gain" | "agc" | "gate" | "clamp" | "speech"
        | "faxdetect" | "faxsend" | "faxrcv" | "cpd" | "tts" | "moml") => {
            return Err(Fault::new(code::UNSUPPORTED_ELEMENT, known));
        }
        unknown => return Err(Fault::new(code::UNKNOWN_ELEMENT, unknown)),
    });
    Ok(())
}

/// What follows the end of a primitive.
fn exits(element: Element<'_>, name: &str, steps: &mut Vec<Step>) -> Result<(), Fault> {
    let exits = element.children().filter(|child| child.name() == name);
    for each in exits.flat_map(Element::children) {
        simple(each, steps)?;
    }
    Ok(())
}

/// `play` and digits at once (RFC 5707 9.7.1.1).
fn parallel(group: Element<'_>, steps: &mut Vec<Step>) -> Result<(), Fault> {
    let mut collects = group
        .children()
        .filter(|child| matches!(child.name(), "dtmf" | "collect"));
    let (first, second) = (collects.next(), collects.next());
    let play = group.child("play");
    let known = group
        .children()
        .all(|child| matches!(child.name(), "play" | "dtmf" | "collect" | "groupexit"));
    let (Some(first), None, Some(play), true) = (first, second, play, known) else {
        return Err(Fault::new(code::UNSUPPORTED_ELEMENT, "group"));
    };
    collect(first, Some(play), steps)?;
    exits(play, "playexit", steps)?;
    exits(group, "groupexit", steps)
}

// ---- play ----

fn play(element: Element<'_>) -> Result<Play, Fault> {
    let mut parts = Vec::new();
    for child in element.children() {
        match child.name() {
            "audio" => parts.push(audio(child)?),
            "var" => parts.push(variable(child)?),
            "media" => {
                for audio in child.children().filter(|it| it.name() == "audio") {
                    parts.push(self::audio(audio)?);
                }
            }
            "playexit" => {}
            known @ ("tts" | "video") => {
                return Err(Fault::new(code::UNSUPPORTED_ELEMENT, known));
            }
            unknown => return Err(Fault::new(code::UNKNOWN_ELEMENT, unknown)),
        }
    }
    if parts.is_empty() {
        return Err(Fault::new(code::MISSING_CONTENT, "play"));
    }
    if parts.len() > SEGMENTS_MAX {
        return Err(Fault::new(code::LIMIT, "play"));
    }
    let iterations = match element.attribute("iterate") {
        None => Some(1),
        Some("forever") => None,
        Some(text) => Some(text.parse().map_err(|_| invalid("iterate"))?),
    };
    let language = element.attribute("lang").unwrap_or_default();
    Ok(Play {
        parts,
        language: language.to_owned(),
        iterations,
        interval: time(element, "interval")?.unwrap_or_default(),
        offset: time(element, "offset")?.unwrap_or_default(),
    })
}

fn audio(element: Element<'_>) -> Result<Part, Fault> {
    required(element, "uri").map(|uri| Part::Audio(uri.to_owned()))
}

/// `var` (RFC 5707 9.7.1.2): type, subtype and value.
fn variable(element: Element<'_>) -> Result<Part, Fault> {
    Ok(Part::Variable {
        kind: required(element, "type")?.to_owned(),
        subtype: element.attribute("subtype").unwrap_or_default().to_owned(),
        value: required(element, "value")?.to_owned(),
    })
}

// ---- digits ----

fn collect(
    element: Element<'_>,
    played: Option<Element<'_>>,
    steps: &mut Vec<Step>,
) -> Result<(), Fault> {
    if element
        .attribute("iterate")
        .is_some_and(|times| times != "1")
    {
        return Err(Fault::new(code::UNSUPPORTED_ATTRIBUTE, "iterate"));
    }
    let mut maps = Vec::new();
    let mut return_key = None;
    for pattern in element.children().filter(|it| it.name() == "pattern") {
        let (map, key) = pattern_map(pattern)?;
        maps.push(map);
        return_key = return_key.or(key);
    }
    if maps.is_empty() {
        // Any one digit.
        maps.push("[0-9A-F]".to_owned());
    }
    let map = match maps.as_slice() {
        [only] if !only.contains('|') => only.clone(),
        several => format!("({})", several.join("|")),
    };
    if map.len() > MAP_MAX {
        return Err(Fault::new(code::LIMIT, "pattern"));
    }
    let interrupts = played.is_none_or(|play| play.attribute("barge") != Some("false"));
    let seconds = Duration::from_secs;
    let digits = Digits {
        map,
        first: time(element, "fdt")?.filter(|time| !time.is_zero()),
        long: time(element, "idt")?.unwrap_or(seconds(4)),
        short: time(element, "edt")?.unwrap_or(seconds(4)),
        interrupts,
    };
    let perform = Perform {
        signal: played.map(play).transpose()?.map(Signal::Play),
        digits: Some(digits),
        return_key,
        limit: time(element, "maxtime")?,
    };
    steps.push(Step::Perform(Box::new(perform)));
    for (name, end) in [("noinput", "dtmf.noinput"), ("nomatch", "dtmf.nomatch")] {
        guarded(element, name, end, steps)?;
    }
    for pattern in element.children().filter(|it| it.name() == "pattern") {
        let at = steps.len();
        for child in pattern.children() {
            simple(child, steps)?;
        }
        guard(steps, at, "dtmf.match");
    }
    exits(element, "dtmfexit", steps)
}

/// Steps that are done after one end of the digits only.
fn guarded(
    element: Element<'_>,
    name: &str,
    end: &'static str,
    steps: &mut Vec<Step>,
) -> Result<(), Fault> {
    let at = steps.len();
    exits(element, name, steps)?;
    guard(steps, at, end);
    Ok(())
}

fn guard(steps: &mut Vec<Step>, at: usize, end: &'static str) {
    let count = steps.len() - at;
    if count > 0 {
        steps.insert(at, Step::Unless { end, steps: count });
    }
}

/// A pattern as a digit map (H.248.1 7.1.14), and the key that ends digits.
fn pattern_map(pattern: Element<'_>) -> Result<(String, Option<char>), Fault> {
    let digits = required(pattern, "digits")?;
    match pattern.attribute("format") {
        None | Some("moml+digits") => moml_map(digits),
        Some("megaco" | "megaco+digits" | "mgcp" | "mgcp+digits") => {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || "[]-.|()".contains(letter);
            let inner = digits.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
            match !digits.is_empty() && digits.chars().all(fits) {
                true => Ok((inner.unwrap_or(digits).to_owned(), None)),
                false => Err(invalid("digits")),
            }
        }
        Some(_) => Err(Fault::new(code::UNSUPPORTED_ATTRIBUTE, "format")),
    }
}

/// `min=1;max=4;rtk=#`, or digits with `x` for any (RFC 5707 9.7.2.3).
fn moml_map(text: &str) -> Result<(String, Option<char>), Fault> {
    if !text.contains('=') {
        let map: Option<String> = text.chars().map(map_letter).collect();
        let map = map.filter(|map| !map.is_empty() && map.len() <= DIGITS_MAX);
        return Ok((map.ok_or_else(|| invalid("digits"))?, None));
    }
    let (mut least, mut most, mut key) = (1, None, None);
    for part in text
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let (name, value) = part.split_once('=').ok_or_else(|| invalid("digits"))?;
        let number = || {
            let number = value.parse::<usize>().ok();
            number
                .filter(|number| *number <= DIGITS_MAX)
                .ok_or_else(|| invalid("digits"))
        };
        match name {
            "length" => (least, most) = (number()?, Some(number()?)),
            "min" => least = number()?,
            "max" => most = Some(number()?),
            "rtk" => key = value.chars().next(),
            // Ends as any key that matches nothing.
            "cancel" => {}
            _ => return Err(invalid("digits")),
        }
    }
    let least = least.max(1);
    if most.is_some_and(|most| most < least) {
        return Err(invalid("digits"));
    }
    let ended = key
        .map(|key| map_letter(key).ok_or_else(|| invalid("digits")))
        .transpose()?;
    let any = "x".repeat(least);
    let map = match (most, ended) {
        // The dot is for any number of what stands before it, or none (7.1.14.3).
        (None, Some(key)) => format!("{any}x.{key}"),
        (None, None) => format!("{any}x."),
        (Some(most), key) => {
            let lengths = least..=most;
            let each = lengths.flat_map(|length| {
                let digits = "x".repeat(length);
                let ended = key.map(|key| format!("{digits}{key}"));
                let bare = (length == most || key.is_none()).then_some(digits);
                ended.into_iter().chain(bare)
            });
            each.collect::<Vec<_>>().join("|")
        }
    };
    Ok((map, key))
}

/// A key as a digit map has it: E is the star, F the number sign (H.248.1 E.6.2).
fn map_letter(key: char) -> Option<char> {
    match key {
        '0'..='9' | 'A'..='D' => Some(key),
        'x' | 'X' => Some('x'),
        '*' => Some('E'),
        '#' => Some('F'),
        _ => None,
    }
}

fn keys(text: &str) -> Result<String, Fault> {
    let fits = |key: char| map_letter(key).is_some_and(|letter| letter != 'x');
    match !text.is_empty() && text.len() <= DIGITS_MAX && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(invalid("digits")),
    }
}

// ---- record ----

fn record(element: Element<'_>, steps: &mut Vec<Step>) -> Result<(), Fault> {
    if element.attribute("append") == Some("true") {
        return Err(Fault::new(code::UNSUPPORTED_ATTRIBUTE, "append"));
    }
    let destination = element.attribute("dest").or(element.attribute("audiodest"));
    let missing = || Fault::new(code::MISSING_ATTRIBUTE, "record dest");
    let prompt = element.child("play").map(play).transpose()?;
    let key = element.attribute("termkey").map(keys).transpose()?;
    let recording = Record {
        name: destination.ok_or_else(missing)?.to_owned(),
        prompt,
        pre_speech: time(element, "prespeech")?,
        post_speech: time(element, "postspeech")?,
        length: time(element, "maxtime")?,
        end_keys: key.unwrap_or_default(),
    };
    let perform = Perform {
        signal: Some(Signal::Record(recording)),
        ..Perform::default()
    };
    steps.push(Step::Perform(Box::new(perform)));
    exits(element, "recordexit", steps)
}
