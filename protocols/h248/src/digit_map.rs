//! Digit maps: dialling plans and how digits are matched against them, H.248.1 7.1.14.
//!
//! A [`DigitMap`] is read from a [`DigitMapValue`] once; a [`Collection`] matches the digits of one
//! activation against it. It knows no time: it says which timer to set, and is told of its end.
//!
//! ```
//! use h248::digit_map::{Collection, DigitMap, Method, Step, Symbol};
//! use h248::message::DigitMapValue;
//! use std::sync::Arc;
//!
//! let value = DigitMapValue { body: "(0|[1-7]xxx|9x.)".into(), ..DigitMapValue::default() };
//! let map = Arc::new(DigitMap::parse(&value).unwrap());
//! let mut collection = Collection::new(map);
//! for digit in "433".chars() {
//!     let symbol = Symbol::from_char(digit).unwrap();
//!     assert_eq!(collection.digit(symbol, false), Step::Pending);
//! }
//! let last = Symbol::from_char('1').unwrap();
//! assert_eq!(collection.digit(last, false), Step::Complete(Method::Unambiguous));
//! assert_eq!(collection.dialled(), "4331");
//! ```

mod parse;

use std::sync::Arc;
use std::time::Duration;

use crate::error::ErrorCode;
use crate::message::DigitMapValue;

/// Event positions and ends of alternatives that a map may have.
pub const POSITIONS_MAX: usize = 2048;

/// Digits that are collected; one more is a digit that no alternative takes.
pub const DIGITS_MAX: usize = 64;

/// A digit map as understood, clause 7.1.14.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigitMap {
    timers: Timers,
    /// The positions of each alternative, and after them its end.
    positions: Vec<Position>,
    /// Where alternatives begin.
    starts: Vec<u16>,
}

/// The timers of a digit map, clause 7.1.14.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// T: before the first digit; `None` waits for ever.
    pub start: Option<Duration>,
    /// S: a match could still become another.
    pub short: Duration,
    /// L: more digits are needed.
    pub long: Duration,
    /// Z: what lasts longer is long.
    pub duration: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            start: Some(Duration::from_secs(16)),
            short: Duration::from_secs(4),
            long: Duration::from_secs(16),
            duration: Duration::from_secs(2),
        }
    }
}

/// Why a digit map cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is not of the grammar of B.2, or a timer is 0 that may not be; with the place in the map.
    Malformed(usize),
    /// It has more positions than [`POSITIONS_MAX`].
    Limit,
}

impl Fault {
    /// The error code of H.248.8.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Malformed(_) => ErrorCode::SYNTAX_IN_COMMAND,
            Self::Limit => ErrorCode::NO_DIGIT_MAP_SPACE,
        }
    }
}

/// An event that a digit map speaks of: 0 to 9, and the letters A to K.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u8);

impl Symbol {
    /// `0` to `9`, `A` to `K` or `a` to `k`.
    pub fn from_char(letter: char) -> Option<Self> {
        let letter = u8::try_from(letter).ok()?.to_ascii_uppercase();
        match letter {
            b'0'..=b'9' => Some(Self(letter - b'0')),
            b'A'..=b'K' => Some(Self(letter - b'A' + 10)),
            _ => None,
        }
    }

    /// The digit, or the letter in upper case.
    pub fn as_char(self) -> char {
        match self.0 {
            digit @ 0..=9 => char::from(b'0' + digit),
            letter => char::from(b'A' + letter - 10),
        }
    }

    /// The set of this symbol.
    fn set(self) -> u32 {
        1 << self.0
    }
}

/// A position of an alternative, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    /// The symbols that satisfy it, as bits; none at the end.
    symbols: u32,
    /// `Z`: a long event only.
    is_long: bool,
    /// `.`: any number of times.
    repeats: bool,
    /// The timing specifier in effect while this is waited for.
    timing: Option<Timing>,
}

/// A timer, as `T`, `S` or `L` within a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timing {
    Start,
    Short,
    Long,
}

impl DigitMap {
    /// Reads a digit map; timers that it does not give have their defaults.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(value: &DigitMapValue) -> Result<Self, Fault> {
        let seconds = |given: Option<u8>, default| match given {
            None => Ok(default),
            Some(0) => Err(Fault::Malformed(0)),
            Some(seconds) => Ok(Duration::from_secs(u64::from(seconds))),
        };
        let defaults = Timers::default();
        let timers = Timers {
            start: match value.start {
                Some(0) => None,
                start => start
                    .map(|seconds| Duration::from_secs(u64::from(seconds)))
                    .or(defaults.start),
            },
            short: seconds(value.short, defaults.short)?,
            long: seconds(value.long, defaults.long)?,
            duration: match value.duration {
                Some(tenths) => Duration::from_millis(100 * u64::from(tenths.max(1))),
                None => defaults.duration,
            },
        };
        let (positions, starts) = parse::alternatives(value.body.as_bytes())?;
        Ok(Self {
            timers,
            positions,
            starts,
        })
    }

    /// Its timers.
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    fn position(&self, index: u16) -> &Position {
        &self.positions[usize::from(index)]
    }
}

/// How a digit map completed: `Meth` of the completion event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One alternative is matched, and no digit could lead to another.
    Unambiguous,
    /// Nothing is matched, and time is over or the last digit fits nothing.
    Partial,
    /// An alternative is matched, and time is over or the last digit fits nothing.
    Full,
}

impl Method {
    /// Its value in text: `UM`, `PM` or `FM`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unambiguous => "UM",
            Self::Partial => "PM",
            Self::Full => "FM",
        }
    }
}

/// What a digit led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is collected, and more are waited for.
    Pending,
    /// It is collected, and that completes the map.
    Complete(Method),
    /// It completes the map without being part of what is dialled: it is still to be processed.
    Refused(Method),
}

/// One activation of a digit map: clauses 7.1.14.6 and 7.1.14.7.
#[derive(Clone, Debug)]
pub struct Collection {
    map: Arc<DigitMap>,
    /// Positions that the next digit may satisfy, and ends that are reached.
    candidates: Vec<u16>,
    /// The current dial string.
    dialled: String,
    digits: usize,
}

impl Collection {
    /// With an empty dial string, and every alternative a candidate.
    pub fn new(map: Arc<DigitMap>) -> Self {
        let mut candidates = Vec::new();
        for &start in &map.starts {
            reach(&map, &mut candidates, start);
        }
        Self {
            map,
            candidates,
            dialled: String::new(),
            digits: 0,
        }
    }

    /// The map.
    pub fn map(&self) -> &DigitMap {
        &self.map
    }

    /// The current dial string: symbols, and a `Z` before each that had to be long.
    pub fn dialled(&self) -> &str {
        &self.dialled
    }

    /// How long the next digit may take, `None` for ever: by the timing specifiers of candidates,
    /// or by the rules of 7.1.14.2.
    pub fn wait(&self) -> Option<Duration> {
        let timers = &self.map.timers;
        let mut given = None;
        for timing in self.positions().filter_map(|position| position.timing) {
            given = match given {
                Some(other) if other != timing => Some(Timing::Long),
                _ => Some(timing),
            };
        }
        let by_rule = match () {
            () if self.digits == 0 => Timing::Start,
            () if self.is_matched() => Timing::Short,
            () => Timing::Long,
        };
        match given.unwrap_or(by_rule) {
            Timing::Start => timers.start,
            Timing::Short => Some(timers.short),
            Timing::Long => Some(timers.long),
        }
    }

    /// True when it matters how long an event with this symbol lasts.
    pub fn heeds_duration(&self, symbol: Symbol) -> bool {
        let mut positions = self.positions();
        positions.any(|position| position.is_long && position.symbols & symbol.set() != 0)
    }

    /// A digit was detected; `is_long` when it lasted longer than the threshold.
    pub fn digit(&mut self, symbol: Symbol, is_long: bool) -> Step {
        let fits = |&index: &u16| {
            let position = self.map.position(index);
            position.symbols & symbol.set() != 0 && (is_long || !position.is_long)
        };
        let mut fitting: Vec<u16> = self.candidates.iter().copied().filter(fits).collect();
        let is_long = fitting.iter().any(|&at| self.map.position(at).is_long);
        if is_long {
            fitting.retain(|&at| self.map.position(at).is_long);
        }
        if fitting.is_empty() || self.digits >= DIGITS_MAX {
            return Step::Refused(self.expire());
        }
        self.candidates.clear();
        for index in fitting {
            let next = match self.map.position(index).repeats {
                true => index,
                false => index + 1,
            };
            reach(&self.map, &mut self.candidates, next);
        }
        self.digits += 1;
        if is_long {
            self.dialled.push('Z');
        }
        self.dialled.push(symbol.as_char());
        let is_over = self.positions().all(|position| position.symbols == 0);
        match is_over {
            true => Step::Complete(Method::Unambiguous),
            false => Step::Pending,
        }
    }

    /// How it completes when the time of [`Collection::wait`] is over.
    pub fn expire(&self) -> Method {
        match self.is_matched() {
            true => Method::Full,
            false => Method::Partial,
        }
    }

    fn is_matched(&self) -> bool {
        self.positions().any(|position| position.symbols == 0)
    }

    fn positions(&self) -> impl Iterator<Item = &Position> {
        let candidates = self.candidates.iter();
        candidates.map(|&index| self.map.position(index))
    }
}

/// Makes a position a candidate, and those after it that are reached without an event.
fn reach(map: &DigitMap, candidates: &mut Vec<u16>, first: u16) {
    let mut index = first;
    loop {
        // Alternatives share no position, so what is there already has been followed.
        if candidates.contains(&index) {
            return;
        }
        candidates.push(index);
        if !map.position(index).repeats {
            return;
        }
        index += 1;
    }
}

#[cfg(test)]
mod tests;
