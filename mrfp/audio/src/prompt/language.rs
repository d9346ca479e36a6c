//! A language: how it says variables, and the sounds of its words.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::fault::{PromptFault, Text};
use super::rules::{Body, Rules, Speech, Word};
use super::variable::Variable;
use super::voice::{self, Phoneme};
use crate::error::Error;

/// What is spoken, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// A word of the language.
    Word(Word),
    /// A pause between groups, in milliseconds.
    Pause(u32),
}

/// The rules and words of a language, read from a file.
#[derive(Clone, Debug)]
pub(crate) struct Language {
    rules: Rules,
    templates: BTreeMap<String, Body>,
    characters: BTreeMap<char, Word>,
    words: BTreeMap<Word, Vec<Phoneme>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LanguageFile {
    sets: BTreeMap<String, Spanned<String>>,
    templates: BTreeMap<Spanned<String>, Spanned<String>>,
    characters: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    words: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl Language {
    /// Reads a language file.
    ///
    /// # Errors
    /// The first fault, with its line.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, PromptFault> {
        let text = Text { file, text };
        let read: LanguageFile = toml::from_str(text.text).map_err(|error| text.toml(&error))?;
        let sets = read.sets.iter();
        let rules =
            Rules::parse(sets.map(|(name, rules)| (name.as_str(), rules.get_ref().as_str())));
        let rules = rules.map_err(|(set, line, fault)| {
            let span = read.sets.get(&set).map_or(0..0, Spanned::span);
            // Text of several lines begins after the line with the quotation marks.
            let begins = text.text[span.clone()].lines().next().unwrap_or_default();
            let skipped = usize::from(begins.chars().all(|mark| "'\"".contains(mark)));
            let mut found = text.at(
                span,
                fault,
                "how sets are written stands in docs/prompts.md",
            );
            found.line += line + skipped;
            found
        })?;
        let mut language = Self {
            rules,
            templates: BTreeMap::new(),
            characters: BTreeMap::new(),
            words: BTreeMap::new(),
        };
        language.take_templates(&read, text)?;
        for (character, word) in &read.characters {
            let mut all = character.get_ref().chars();
            let (Some(one), None) = (all.next(), all.next()) else {
                let remedy = "one character, as in `\"*\" = \"star\"`";
                return Err(text.at(character.span(), "not a character", remedy));
            };
            language.characters.insert(one, word.to_lowercase().into());
        }
        for (word, sounds) in &read.words {
            let phonemes = voice::phonemes(sounds.get_ref()).map_err(|sound| {
                let fault = format!("the voice has no sound `{sound}`");
                text.at(sounds.span(), fault, "all sounds stand in docs/prompts.md")
            })?;
            let word = word.get_ref().to_lowercase().into();
            language.words.insert(word, phonemes);
        }
        language.check(text)?;
        Ok(language)
    }

    fn take_templates(&mut self, read: &LanguageFile, text: Text<'_>) -> Result<(), PromptFault> {
        for (name, template) in &read.templates {
            let span = template.span();
            let fields = fields_of(name.get_ref()).ok_or_else(|| {
                let fault = format!("there is no template `{}`", name.get_ref());
                text.at(
                    name.span(),
                    fault,
                    "remove it; templates are date, time, duration, money",
                )
            })?;
            let body = self.rules.template(template.get_ref()).map_err(|fault| {
                text.at(
                    span.clone(),
                    fault,
                    "how templates are written stands in docs/prompts.md",
                )
            })?;
            if let Some(other) = body.fields().iter().find(|field| !fields.contains(field)) {
                let fault = format!("`{}` has no field `{other}`", name.get_ref());
                return Err(text.at(span, fault, format!("it has {}", fields.join(", "))));
            }
            self.templates.insert(name.get_ref().clone(), body);
        }
        Ok(())
    }

    /// All that every language must have.
    fn check(&self, text: Text<'_>) -> Result<(), PromptFault> {
        for name in ["date", "time", "duration"] {
            if !self.templates.contains_key(name) {
                let fault = format!("the template `{name}` is missing");
                return Err(text.line(0, fault, "add it under [templates]"));
            }
        }
        for (set, greatest) in [
            ("cardinal", 1_999_999_999),
            ("ordinal", 9_999),
            ("month", 12),
            ("weekday", 7),
        ] {
            for number in [1, 2, 7, 12, 21, 100, 999, 1_001, 1_000_000, greatest] {
                if number > greatest {
                    continue;
                }
                self.rules
                    .say(set, number, &mut Speech::default())
                    .map_err(|error| {
                        let fault = format!("the set `{set}` cannot say {number}: {error}");
                        text.line(0, fault, "add what is missing under [sets]")
                    })?;
            }
        }
        for character in ('0'..='9').chain(['*', '#']).chain('a'..='z') {
            if !self.characters.contains_key(&character) {
                let fault = format!("the character `{character}` is missing");
                return Err(text.line(0, fault, "add its word under [characters]"));
            }
        }
        Ok(())
    }

    /// Every word that variables may need.
    pub(crate) fn vocabulary(&self) -> impl Iterator<Item = &Word> {
        let templates = self.templates.values().flat_map(Body::words);
        self.rules
            .words()
            .chain(templates)
            .chain(self.characters.values())
    }

    /// The sounds of a word, for the voice that is built in.
    pub(crate) fn sounds(&self, word: &str) -> Option<&[Phoneme]> {
        self.words.get(word).map(Vec::as_slice)
    }

    /// Says a variable.
    ///
    /// # Errors
    /// `Value` for currencies and numbers that the language has no words for.
    pub(crate) fn speak(&self, variable: &Variable) -> Result<Vec<Spoken>, Error> {
        let mut speech = Speech::default();
        match variable {
            Variable::Date {
                year,
                month,
                day,
                order,
            } => {
                let fields = [
                    ("year", i64::from(*year)),
                    ("month", i64::from(*month)),
                    ("day", i64::from(*day)),
                ];
                let order = order.map(|order| format!("date-{}", order.name()));
                self.fill(order.as_deref(), "date", &fields, &mut speech)?;
            }
            Variable::Digits { digits, is_grouped } => {
                return self.characters(digits, groups(digits.len(), *is_grouped));
            }
            Variable::Duration(seconds) => {
                let seconds = i64::from(*seconds);
                let fields = [
                    ("days", seconds / 86_400),
                    ("hours", seconds / 3600 % 24),
                    ("minutes", seconds / 60 % 60),
                    ("seconds", seconds % 60),
                ];
                self.fill(None, "duration", &fields, &mut speech)?;
            }
            Variable::Money { amount, currency } => {
                let name = format!("money-{currency}");
                let template = self.templates.get(&name);
                let template = template.ok_or(Error::Value(
                    "a currency that the language has no words for",
                ))?;
                let sign = i64::from(*amount < 0);
                let amount = amount.unsigned_abs() as i64;
                let unit = minor_units(currency);
                let fields = [
                    ("major", amount / unit),
                    ("minor", amount % unit),
                    ("sign", sign),
                ];
                self.rules.fill(template, &fields, &mut speech)?;
            }
            Variable::Month(month) => self.rules.say("month", i64::from(*month), &mut speech)?,
            Variable::Number { value, is_ordinal } => {
                let set = if *is_ordinal { "ordinal" } else { "cardinal" };
                self.rules.say(set, *value, &mut speech)?;
            }
            Variable::Silence(duration) => {
                let pause = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
                return Ok(vec![Spoken::Pause(pause)]);
            }
            Variable::String(text) => return self.characters(text, Vec::new()),
            Variable::Time {
                hour,
                minute,
                is_twelve,
            } => {
                let hour = i64::from(*hour);
                let fields = [
                    ("hour", hour),
                    ("hour12", (hour + 11) % 12 + 1),
                    ("half", hour / 12),
                    ("minute", i64::from(*minute)),
                ];
                let name = is_twelve.map(|is| if is { "time-t12" } else { "time-t24" });
                self.fill(name, "time", &fields, &mut speech)?;
            }
            Variable::Weekday(day) => self.rules.say("weekday", i64::from(*day), &mut speech)?,
        }
        Ok(speech.words.into_iter().map(Spoken::Word).collect())
    }

    /// By the template wanted, or the one the language prefers.
    fn fill(
        &self,
        wanted: Option<&str>,
        usual: &str,
        fields: &[(&str, i64)],
        speech: &mut Speech,
    ) -> Result<(), Error> {
        let wanted = wanted.and_then(|name| self.templates.get(name));
        let template = wanted.or_else(|| self.templates.get(usual));
        let template = template.ok_or_else(|| Error::NotFound(usual.to_owned()))?;
        self.rules.fill(template, fields, speech)
    }

    /// One character after the other, with a pause before those at `pauses`.
    fn characters(&self, text: &str, pauses: Vec<usize>) -> Result<Vec<Spoken>, Error> {
        let mut spoken = Vec::new();
        for (index, character) in text.chars().enumerate() {
            if pauses.contains(&index) {
                spoken.push(Spoken::Pause(GROUP_PAUSE_MS));
            }
            let word = self.characters.get(&character);
            let word = word.ok_or(Error::Value(
                "a character that the language has no word for",
            ))?;
            spoken.push(Spoken::Word(word.clone()));
        }
        Ok(spoken)
    }
}

/// Where the groups of a number of the North American plan begin: the last has four digits, those
/// before it three.
fn groups(digits: usize, is_grouped: bool) -> Vec<usize> {
    if !is_grouped || digits <= 4 {
        return Vec::new();
    }
    let last = digits - 4;
    (1..=last)
        .filter(|at| (last - at).is_multiple_of(3))
        .collect()
}

/// Smallest units in one of the currency, ISO 4217.
fn minor_units(currency: &str) -> i64 {
    match currency {
        "bhd" | "iqd" | "jod" | "kwd" | "lyd" | "omr" | "tnd" => 1000,
        "bif" | "clp" | "djf" | "gnf" | "isk" | "jpy" | "kmf" | "krw" | "pyg" | "rwf" | "ugx"
        | "vnd" | "vuv" | "xaf" | "xof" | "xpf" => 1,
        _ => 100,
    }
}

/// The fields that a template may use; `None` for one that is never asked for.
fn fields_of(template: &str) -> Option<&'static [&'static str]> {
    let (kind, variant) = template.split_once('-').unwrap_or((template, ""));
    match (kind, variant) {
        ("date", "" | "mdy" | "dmy" | "ymd") => Some(&["year", "month", "day"]),
        ("time", "" | "t12" | "t24") => Some(&["hour", "hour12", "half", "minute"]),
        ("duration", "") => Some(&["days", "hours", "minutes", "seconds"]),
        ("money", currency) if currency.len() == 3 => Some(&["major", "minor", "sign"]),
        _ => None,
    }
}

/// Between groups of digits.
const GROUP_PAUSE_MS: u32 = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::manifest::built_in;

    fn said(tag: &str, kind: &str, subtype: &str, value: &str) -> String {
        let language = built_in(tag).unwrap();
        let variable = Variable::parse(kind, subtype, value).unwrap();
        let words = language.speak(&variable).unwrap();
        let words = words.iter().map(|spoken| match spoken {
            Spoken::Word(word) => word.to_string(),
            Spoken::Pause(_) => "-".to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn english_says_variables_as_people_do() {
        for (kind, subtype, value, words) in [
            ("num", "", "0", "zero"),
            ("num", "", "-7", "minus seven"),
            ("num", "", "13", "thirteen"),
            ("num", "", "42", "forty two"),
            ("num", "", "100", "one hundred"),
            ("num", "", "101", "one hundred and one"),
            ("num", "", "999", "nine hundred and ninety nine"),
            ("num", "", "1000", "one thousand"),
            (
                "num",
                "",
                "21115",
                "twenty one thousand one hundred and fifteen",
            ),
            ("num", "", "1000006", "one million and six"),
            ("num", "", "2000000000", "two billion"),
            ("num", "ord", "1", "first"),
            ("num", "ord", "12", "twelfth"),
            ("num", "ord", "20", "twentieth"),
            ("num", "ord", "23", "twenty third"),
            ("num", "ord", "100", "one hundredth"),
            ("num", "ord", "112", "one hundred and twelfth"),
            ("num", "ord", "1000", "one thousandth"),
            ("num", "ord", "2026", "two thousand and twenty sixth"),
            ("dig", "gen", "1*0#", "one star zero hash"),
            (
                "dig",
                "ndn",
                "2125551212",
                "two one two - five five five - one two one two",
            ),
            (
                "dat",
                "mdy",
                "20261122",
                "november twenty second twenty twenty six",
            ),
            (
                "dat",
                "dmy",
                "19001001",
                "the first of october nineteen hundred",
            ),
            (
                "dat",
                "ymd",
                "20050403",
                "two thousand and five april third",
            ),
            (
                "dat",
                "",
                "19990131",
                "january thirty first nineteen ninety nine",
            ),
            ("dat", "mdy", "19070601", "june first nineteen oh seven"),
            ("dur", "", "0", "zero seconds"),
            ("dur", "", "1", "one second"),
            ("dur", "", "3600", "one hour"),
            (
                "dur",
                "",
                "93784",
                "one day two hours three minutes four seconds",
            ),
            ("mny", "usd", "101", "one dollar and one cent"),
            ("mny", "usd", "250", "two dollars and fifty cents"),
            ("mny", "usd", "-99", "minus ninety nine cents"),
            ("mny", "eur", "0", "zero cents"),
            ("mny", "gbp", "100", "one pound"),
            ("mny", "jpy", "100", "one hundred yen"),
            ("mth", "", "09", "september"),
            ("wkd", "", "1", "sunday"),
            ("tme", "t12", "0000", "twelve ay em"),
            ("tme", "t12", "1305", "one oh five pee em"),
            ("tme", "t24", "1305", "thirteen oh five"),
            ("tme", "t24", "0800", "eight hundred"),
            ("str", "", "ab1", "ay bee one"),
        ] {
            assert_eq!(said("en", kind, subtype, value), words, "{kind} {value}");
        }
    }

    #[test]
    fn german_says_variables_as_people_do() {
        for (kind, subtype, value, words) in [
            ("num", "", "1", "eins"),
            ("num", "", "16", "sechzehn"),
            ("num", "", "17", "siebzehn"),
            ("num", "", "21", "ein und zwanzig"),
            ("num", "", "70", "siebzig"),
            ("num", "", "100", "ein hundert"),
            ("num", "", "101", "ein hundert eins"),
            ("num", "", "1000", "ein tausend"),
            ("num", "", "1001", "ein tausend eins"),
            (
                "num",
                "",
                "21101",
                "ein und zwanzig tausend ein hundert eins",
            ),
            ("num", "", "101000", "ein hundert ein tausend"),
            ("num", "", "1000000", "eine million"),
            ("num", "", "2000031", "zwei millionen ein und dreißig"),
            ("num", "ord", "1", "erste"),
            ("num", "ord", "3", "dritte"),
            ("num", "ord", "19", "neunzehnte"),
            ("num", "ord", "21", "ein und zwanzigste"),
            ("num", "ord", "100", "ein hundertste"),
            ("num", "ord", "101", "ein hundert erste"),
            ("dig", "", "12", "eins zwei"),
            (
                "dat",
                "",
                "20261122",
                "zwei und zwanzigster november zwei tausend sechs und zwanzig",
            ),
            (
                "dat",
                "",
                "19990101",
                "erster januar neunzehn hundert neun und neunzig",
            ),
            (
                "dat",
                "ymd",
                "19990107",
                "neunzehn hundert neun und neunzig siebter januar",
            ),
            ("dur", "", "3661", "eine stunde eine minute eine sekunde"),
            ("dur", "", "7200", "zwei stunden"),
            ("dur", "", "0", "null sekunden"),
            ("mny", "eur", "101", "ein euro und ein cent"),
            (
                "mny",
                "eur",
                "2150",
                "ein und zwanzig euro und fünfzig cent",
            ),
            ("mny", "usd", "100", "ein dollar"),
            ("mny", "gbp", "201", "zwei pfund und ein penny"),
            ("mny", "eur", "-5", "minus fünf cent"),
            ("mth", "", "3", "märz"),
            ("wkd", "", "7", "samstag"),
            ("tme", "", "0100", "ein uhr"),
            ("tme", "", "2101", "ein und zwanzig uhr eins"),
            ("tme", "t12", "1500", "drei uhr nachmittags"),
            ("str", "", "w", "weh"),
        ] {
            assert_eq!(said("de", kind, subtype, value), words, "{kind} {value}");
        }
    }

    #[test]
    fn a_currency_without_words_is_refused() {
        let variable = Variable::parse("mny", "xdr", "5").unwrap();
        let refused = built_in("en").unwrap().speak(&variable);
        assert!(matches!(refused, Err(Error::Value(_))));
    }

    #[test]
    fn faults_of_a_language_file_have_their_line() {
        let sets = "[sets]\ncardinal = '''\n0: a\n1: [b\n'''\n";
        let rest = "[templates]\n[characters]\n";
        let fault = Language::parse(Path::new("x.toml"), &format!("{sets}{rest}")).unwrap_err();
        assert_eq!(
            (fault.line, fault.fault.as_str()),
            (4, "a `[` without its `]`")
        );

        let sets = "[sets]\nn = '0: a'\n";
        let fault = |rest: &str| {
            Language::parse(Path::new("x.toml"), &format!("{sets}{rest}")).unwrap_err()
        };
        assert_eq!(fault("[templates]\nage = ''\n[characters]\n").line, 4);
        assert_eq!(
            fault("[templates]\ndate = '{age:n}'\n[characters]\n").line,
            4
        );
        assert_eq!(
            fault("[templates]\ndate = '{day:n'\n[characters]\n").line,
            4
        );
        assert_eq!(fault("[templates]\n[characters]\nab = 'c'\n").line, 5);
        assert_eq!(
            fault("[templates]\n[characters]\n[words]\na = 'QQ'\n").line,
            6
        );
        let missing = fault("[templates]\n[characters]\n").to_string();
        assert_eq!(
            missing,
            "x.toml: the template `date` is missing; add it under [templates]"
        );
        assert_eq!(fault("[templates]\nx = [\n").line, 4);
        assert_eq!(fault("[unknown]\n").line, 3);
    }

    #[test]
    fn groups_are_counted_from_the_end() {
        assert_eq!(groups(10, true), [3, 6]);
        assert_eq!(groups(11, true), [1, 4, 7]);
        assert_eq!(groups(7, true), [3]);
        assert!(groups(4, true).is_empty() && groups(10, false).is_empty());
    }
}
