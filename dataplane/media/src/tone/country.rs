//! Tones of national networks, ITU-T E.180 Supplement 2.

use std::fmt;

use super::Tone;

/// What a caller is told by tones (E.180).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Supervisory {
    /// The network is ready for digits.
    Dial,
    /// The called party is being rung.
    Ringing,
    /// The called party is engaged.
    Busy,
    /// The network cannot go on.
    Congestion,
    /// Something else is the matter: an announcement follows or may be asked for.
    Information,
    /// Somebody else is calling.
    Waiting,
}

impl Supervisory {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Dial,
        Self::Ringing,
        Self::Busy,
        Self::Congestion,
        Self::Information,
        Self::Waiting,
    ];
}

/// The tones of one country.
#[derive(Clone, Copy, PartialEq)]
pub struct Country {
    code: &'static str,
    row: &'static str,
}

impl Country {
    /// By its code of ISO 3166-1, in either case; `None` for one whose tones are not known.
    pub fn find(code: &str) -> Option<Self> {
        Self::all().find(|country| country.code.eq_ignore_ascii_case(code))
    }

    /// All whose tones are known.
    pub fn all() -> impl Iterator<Item = Self> {
        let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
        rows.filter_map(|line| line.split_once('\t'))
            .map(|(code, row)| Self { code, row })
    }

    /// Its code of ISO 3166-1.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// A tone as this country has it.
    pub fn tone(&self, which: Supervisory) -> Tone {
        let text = self.row.split('\t').nth(which as usize).unwrap_or("");
        // All of the table is read by a test.
        Tone::parse(text).unwrap_or_else(|_| Tone::of(&[425.0], None))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({})", self.code)
    }
}

const TABLE: &str = include_str!("countries.tsv");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tone_of_the_table_is_read() {
        let mut count = 0;
        for country in Country::all() {
            assert_eq!(country.code.len(), 2);
            let tones: Vec<&str> = country.row.split('\t').collect();
            assert_eq!(tones.len(), Supervisory::ALL.len(), "{country:?}");
            for text in tones {
                assert!(
                    Tone::parse(text).unwrap().is_endless(),
                    "{country:?}: {text}"
                );
            }
            count += 1;
        }
        assert!(count >= 25);
    }

    #[test]
    fn countries_are_found_in_either_case() {
        let busy = Country::find("DE").unwrap().tone(Supervisory::Busy);
        assert_eq!(busy, Tone::parse("[425/480 0/480]").unwrap());
        let ringing = Country::find("gb").unwrap().tone(Supervisory::Ringing);
        assert_eq!(ringing.segments().len(), 4);
        assert_eq!(Country::find("xx"), None);
    }
}
