//! DTMF tones: their names in `dd` and `dg`, their symbols in digit maps, their numbers as
//! telephone events (RFC 4733 3.2).

use h248::digit_map::Symbol;
use h248::message::{ParmValue, Value};

/// A DTMF tone, by its number as a telephone event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tone(u8);

impl Tone {
    /// The tone of a telephone event; `None` for events that are no DTMF.
    pub fn new(code: u8) -> Option<Self> {
        (usize::from(code) < NAMES.len()).then_some(Self(code))
    }

    /// The tone with this name of `dg`, whatever the case.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut names = NAMES.iter();
        let at = names.position(|known| known.eq_ignore_ascii_case(name))?;
        Self::new(at as u8)
    }

    /// The number of its telephone event.
    pub fn code(self) -> u8 {
        self.0
    }

    /// Its name in `dd` and `dg` (H.248.1 E.5, E.6).
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    /// What is on its key.
    pub fn key(self) -> char {
        let mut keys = "0123456789*#ABCD".chars();
        keys.nth(usize::from(self.0)).unwrap_or('?')
    }

    /// Its symbol in digit maps, E.6.
    pub fn symbol(self) -> Option<Symbol> {
        "0123456789EFABCD"
            .chars()
            .nth(usize::from(self.0))
            .and_then(Symbol::from_char)
    }
}

const NAMES: [&str; 16] = [
    "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "ds", "do", "da", "db", "dc", "dd",
];

/// Tones, as the parameter `tl` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tones(u16);

impl Tones {
    /// Every tone.
    pub const ALL: Self = Self(u16::MAX);

    /// Reads a list of tones, where `*` is all of them; `None` when one is unknown.
    pub fn parse(value: &ParmValue) -> Option<Self> {
        let values = match value {
            ParmValue::OneOf(values) => values,
            value => value.as_list(),
        };
        let tone = |value: &Value| match value.is("*") {
            true => Some(Self::ALL),
            false => Some(Self(1 << Tone::from_name(&value.as_str())?.0)),
        };
        let tones: Option<Vec<Self>> = values.iter().map(tone).collect();
        let tones = tones.filter(|tones| !tones.is_empty())?;
        let all = tones.iter().fold(0, |all, tones| all | tones.0);
        Some(Self(all))
    }

    /// Whether `tone` is one of them.
    pub fn contains(self, tone: Tone) -> bool {
        self.0 >> tone.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_symbols_and_numbers_are_those_of_the_packages() {
        for (code, name, symbol) in [(0, "d0", '0'), (9, "d9", '9'), (10, "ds", 'E')] {
            let tone = Tone::new(code).unwrap();
            assert_eq!(
                (tone.name(), tone.symbol().unwrap().as_char()),
                (name, symbol)
            );
        }
        let octothorpe = Tone::from_name("DO").unwrap();
        assert_eq!(
            (octothorpe.code(), octothorpe.symbol().unwrap().as_char()),
            (11, 'F')
        );
        let last = Tone::from_name("dd").unwrap();
        assert_eq!((last.code(), last.symbol().unwrap().as_char()), (15, 'D'));
        assert_eq!((Tone::new(16), Tone::from_name("dx")), (None, None));
    }

    #[test]
    fn lists_of_tones_are_read() {
        let one = Tones::parse(&"d5".into()).unwrap();
        assert!(one.contains(Tone(5)) && !one.contains(Tone(4)));
        let two = Tones::parse(&ParmValue::List(vec!["d1".into(), "ds".into()])).unwrap();
        assert!(two.contains(Tone(1)) && two.contains(Tone(10)) && !two.contains(Tone(0)));
        assert_eq!(Tones::parse(&"*".into()), Some(Tones::ALL));
        assert_eq!(Tones::parse(&"rt".into()), None);
        assert_eq!(Tones::parse(&ParmValue::List(Vec::new())), None);
    }
}
