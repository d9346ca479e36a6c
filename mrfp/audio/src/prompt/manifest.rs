//! The manifest: which announcements there are, and what each says in each language.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::fault::{PromptFault, Text};
use super::language::{Language, Spoken};
use super::rules::Word;
use super::variable::Variable;
use super::voice;
use crate::decode::decode;
use crate::error::Error;

/// What names an announcement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnnouncementId {
    /// As H.248.7 does.
    Number(u32),
    /// As URIs do.
    Name(String),
}

/// A part of an announcement, to be got and played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A file of the prompts.
    File(PathBuf),
    /// A word that the voice says, at its own rate, in this language.
    Voice(String, Word),
    /// Nothing, for so long.
    Pause(Duration),
    /// A tone of so many hertz.
    Tone(u32, Duration),
}

/// All announcements and languages there are, checked.
#[derive(Debug)]
pub(crate) struct Prompts {
    languages: BTreeMap<String, Tongue>,
    default_language: String,
    announcements: BTreeMap<String, Announcement>,
    numbers: BTreeMap<u32, String>,
}

/// A language and the recordings of its words.
#[derive(Debug)]
struct Tongue {
    language: Language,
    recorded: BTreeMap<String, PathBuf>,
}

#[derive(Debug)]
struct Announcement {
    segments: BTreeMap<String, Vec<Segment>>,
}

#[derive(Clone, Debug)]
enum Segment {
    File(PathBuf),
    Say(Vec<Word>),
    Silence(Duration),
    /// Hertz, and how long.
    Tone(u32, Duration),
    /// Place among the variables of a request, from 0.
    Variable(usize),
    Announcement(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ManifestFile {
    default_language: Option<Spanned<String>>,
    #[serde(default)]
    language: BTreeMap<Spanned<String>, LanguageEntry>,
    #[serde(default)]
    announcement: BTreeMap<Spanned<String>, AnnouncementEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LanguageEntry {
    /// Language file, from the manifest's folder; one that is built in without it.
    rules: Option<Spanned<String>>,
    /// Folder of recorded words.
    words: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AnnouncementEntry {
    number: Option<Spanned<u32>>,
    segments: BTreeMap<Spanned<String>, Vec<Spanned<SegmentEntry>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SegmentEntry {
    file: Option<String>,
    say: Option<String>,
    silence_ms: Option<u32>,
    tone_hz: Option<u32>,
    tone_ms: Option<u32>,
    variable: Option<usize>,
    announcement: Option<String>,
}

impl Prompts {
    /// Reads and checks `manifest.toml` of a folder; without either there are the announcements
    /// that are built in. Every file that it names is decoded once.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn load(folder: &Path) -> Result<Self, PromptFault> {
        let mut prompts = Self::built_in()?;
        if folder.as_os_str().is_empty() {
            return Ok(prompts);
        }
        let file = folder.join(MANIFEST);
        match fs::read_to_string(&file) {
            Ok(text) => {
                let text = Text {
                    file: &file,
                    text: &text,
                };
                prompts.take(folder, text)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(PromptFault {
                    file,
                    line: 0,
                    fault: error.to_string(),
                    remedy: "make it readable, or remove it".to_owned(),
                });
            }
        }
        Ok(prompts)
    }

    /// What there is without a folder.
    pub(crate) fn built_in() -> Result<Self, PromptFault> {
        let mut prompts = Self {
            languages: BTreeMap::new(),
            default_language: "en".to_owned(),
            announcements: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        for (tag, file, text) in LANGUAGES {
            let language = Language::parse(Path::new(file), text)?;
            let tongue = Tongue {
                language,
                recorded: BTreeMap::new(),
            };
            prompts.languages.insert((*tag).to_owned(), tongue);
        }
        let text = Text {
            file: Path::new("the built-in manifest"),
            text: BUILT_IN,
        };
        prompts.take(Path::new(""), text)?;
        Ok(prompts)
    }

    /// Adds what a manifest says to what is there.
    fn take(&mut self, folder: &Path, text: Text<'_>) -> Result<(), PromptFault> {
        let read: ManifestFile = toml::from_str(text.text).map_err(|error| text.toml(&error))?;
        for (tag, entry) in &read.language {
            self.take_language(folder, text, tag, entry)?;
        }
        if let Some(tag) = read.default_language {
            if !self.languages.contains_key(tag.get_ref()) {
                return Err(text.no_language(&tag));
            }
            self.default_language.clone_from(tag.get_ref());
        }
        for (name, entry) in &read.announcement {
            self.take_announcement(folder, text, name, entry)?;
        }
        for (name, entry) in &read.announcement {
            for segment in entry.segments.values().flatten() {
                self.check_nested(text, name.get_ref(), segment)?;
            }
        }
        self.check_words(text)
    }

    fn take_language(
        &mut self,
        folder: &Path,
        text: Text<'_>,
        tag: &Spanned<String>,
        entry: &LanguageEntry,
    ) -> Result<(), PromptFault> {
        let language = match (&entry.rules, self.languages.remove(tag.get_ref())) {
            (Some(rules), _) => {
                let file = text.path(folder, rules)?;
                let read = fs::read_to_string(&file).map_err(|error| {
                    let fault = format!("{}: {error}", file.display());
                    text.at(
                        rules.span(),
                        fault,
                        "name a file with the rules of the language",
                    )
                })?;
                Language::parse(&file, &read)?
            }
            (None, Some(known)) => known.language,
            (None, None) => {
                let fault = format!("no rules for `{}` are built in", tag.get_ref());
                let remedy = "add `rules = \"FILE\"`; en and de need none";
                return Err(text.at(tag.span(), fault, remedy));
            }
        };
        let mut recorded = BTreeMap::new();
        if let Some(words) = &entry.words {
            let path = text.path(folder, words)?;
            let listing = fs::read_dir(&path).map_err(|error| {
                let fault = format!("{}: {error}", path.display());
                text.at(
                    words.span(),
                    fault,
                    "name a folder with a file for each word",
                )
            })?;
            for file in listing.flatten().map(|entry| entry.path()) {
                let ending = file.extension().and_then(|ending| ending.to_str());
                let stem = file.file_stem().and_then(|stem| stem.to_str());
                let (Some(stem), Some(ending)) = (stem, ending) else {
                    continue;
                };
                if ENDINGS.contains(&ending) {
                    text.check_file(words.span(), &file)?;
                    recorded.insert(stem.to_lowercase(), file);
                }
            }
        }
        let tongue = Tongue { language, recorded };
        self.languages.insert(tag.get_ref().clone(), tongue);
        Ok(())
    }

    fn take_announcement(
        &mut self,
        folder: &Path,
        text: Text<'_>,
        name: &Spanned<String>,
        entry: &AnnouncementEntry,
    ) -> Result<(), PromptFault> {
        if let Some(number) = &entry.number {
            let owner = self.numbers.get(number.get_ref());
            if owner.is_some_and(|owner| owner != name.get_ref()) {
                let owner = owner.map_or("", String::as_str);
                let fault = format!("number {} is that of `{owner}`", number.get_ref());
                return Err(text.at(number.span(), fault, "give each announcement its own"));
            }
            self.numbers.retain(|_, owner| owner != name.get_ref());
            self.numbers
                .insert(*number.get_ref(), name.get_ref().clone());
        }
        if entry.segments.is_empty() {
            let remedy = "add `segments.en = […]`";
            return Err(text.at(name.span(), "the announcement says nothing", remedy));
        }
        let mut announcement = Announcement {
            segments: BTreeMap::new(),
        };
        for (tag, segments) in &entry.segments {
            let Some(tongue) = self.languages.get(tag.get_ref()) else {
                return Err(text.no_language(tag));
            };
            let segments = segments
                .iter()
                .map(|segment| tongue.segment(folder, text, segment))
                .collect::<Result<_, _>>()?;
            announcement
                .segments
                .insert(tag.get_ref().clone(), segments);
        }
        let name = name.get_ref().clone();
        self.announcements.insert(name, announcement);
        Ok(())
    }

    /// An announcement within another exists and does not contain itself.
    fn check_nested(
        &self,
        text: Text<'_>,
        name: &str,
        segment: &Spanned<SegmentEntry>,
    ) -> Result<(), PromptFault> {
        let Some(inner) = &segment.get_ref().announcement else {
            return Ok(());
        };
        let mut seen = BTreeSet::new();
        let mut open = vec![inner.as_str()];
        while let Some(next) = open.pop() {
            if next == name {
                let fault = format!("`{name}` contains itself");
                return Err(text.at(segment.span(), fault, "break the circle"));
            }
            let Some(announcement) = self.announcements.get(next) else {
                let fault = format!("there is no announcement `{next}`");
                return Err(text.at(segment.span(), fault, "add it, or correct the name"));
            };
            if seen.insert(next) {
                let segments = announcement.segments.values().flatten();
                open.extend(segments.filter_map(|segment| match segment {
                    Segment::Announcement(inner) => Some(inner.as_str()),
                    _ => None,
                }));
            }
        }
        Ok(())
    }

    fn check_words(&self, text: Text<'_>) -> Result<(), PromptFault> {
        for (tag, tongue) in &self.languages {
            if let Some(word) = tongue.language.vocabulary().find(|word| !tongue.has(word)) {
                let fault = format!("`{tag}` has no sound for the word `{word}`");
                let remedy = format!(
                    "record `{word}.wav` into the folder of its words, or add it under [words]"
                );
                return Err(text.line(0, fault, remedy));
            }
        }
        Ok(())
    }

    /// Which language serves one that was asked for: the same, its primary one, the default.
    fn tongue(&self, wanted: Option<&str>) -> (&str, Option<&Tongue>) {
        let wanted = wanted
            .unwrap_or(&self.default_language)
            .to_ascii_lowercase();
        let primary = wanted.split(['-', '_']).next().unwrap_or_default();
        let found = self
            .languages
            .get_key_value(&wanted)
            .or_else(|| self.languages.get_key_value(primary))
            .or_else(|| self.languages.get_key_value(&self.default_language));
        match found {
            Some((tag, tongue)) => (tag, Some(tongue)),
            None => ("", None),
        }
    }

    /// What an announcement is made of, in the language that is nearest to the one wanted.
    ///
    /// # Errors
    /// `NotFound`, `Value` for variables that cannot be said or are missing.
    pub(crate) fn announcement(
        &self,
        which: &AnnouncementId,
        wanted: Option<&str>,
        variables: &[Variable],
    ) -> Result<Vec<Step>, Error> {
        let name = match which {
            AnnouncementId::Name(name) => Some(name),
            AnnouncementId::Number(number) => self.numbers.get(number),
        };
        let name = name.ok_or_else(|| Error::NotFound(format!("{which:?}")))?;
        let mut steps = Vec::new();
        self.steps(name, wanted, variables, 0, &mut steps)?;
        Ok(steps)
    }

    fn steps(
        &self,
        name: &str,
        wanted: Option<&str>,
        variables: &[Variable],
        depth: u32,
        steps: &mut Vec<Step>,
    ) -> Result<(), Error> {
        let not_found = || Error::NotFound(format!("the announcement {name}"));
        let announcement = self.announcements.get(name).ok_or_else(not_found)?;
        if depth > NESTED_MAX || steps.len() > STEPS_MAX {
            return Err(Error::Limit("announcements within each other"));
        }
        let (tag, _) = self.tongue(wanted);
        let segments = announcement.segments.get_key_value(tag);
        let segments = segments
            .or_else(|| announcement.segments.get_key_value(&self.default_language))
            .or_else(|| announcement.segments.first_key_value());
        let (tag, segments) = segments.ok_or_else(not_found)?;
        for segment in segments {
            match segment {
                Segment::File(path) => steps.push(Step::File(path.clone())),
                Segment::Silence(duration) => steps.push(Step::Pause(*duration)),
                Segment::Tone(hertz, duration) => steps.push(Step::Tone(*hertz, *duration)),
                Segment::Say(words) => {
                    let spoken = words.iter().cloned().map(Spoken::Word);
                    self.spoken(tag, spoken, steps)?;
                }
                Segment::Variable(index) => {
                    let variable = variables.get(*index);
                    let variable = variable.ok_or(Error::Value("a variable that was not given"))?;
                    steps.extend(self.variable(variable, Some(tag))?);
                }
                Segment::Announcement(inner) => {
                    self.steps(inner, wanted, variables, depth + 1, steps)?;
                }
            }
        }
        Ok(())
    }

    /// What a variable is made of.
    ///
    /// # Errors
    /// `Value` for what the language has no words for.
    pub(crate) fn variable(
        &self,
        variable: &Variable,
        wanted: Option<&str>,
    ) -> Result<Vec<Step>, Error> {
        let (tag, tongue) = self.tongue(wanted);
        let tongue = tongue.ok_or_else(|| Error::NotFound("a language".to_owned()))?;
        let mut steps = Vec::new();
        self.spoken(
            tag,
            tongue.language.speak(variable)?.into_iter(),
            &mut steps,
        )?;
        Ok(steps)
    }

    fn spoken(
        &self,
        tag: &str,
        spoken: impl Iterator<Item = Spoken>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Error> {
        let tongue = self.languages.get(tag);
        let tongue = tongue.ok_or_else(|| Error::NotFound(format!("the language {tag}")))?;
        for spoken in spoken {
            steps.push(match spoken {
                Spoken::Pause(pause) => Step::Pause(Duration::from_millis(pause.into())),
                Spoken::Word(word) => match tongue.recorded.get(&*word) {
                    Some(file) => Step::File(file.clone()),
                    None => Step::Voice(tag.to_owned(), word),
                },
            });
        }
        Ok(())
    }

    /// A word as the voice says it, at [`voice::RATE`].
    ///
    /// # Errors
    /// `NotFound` for a word without sounds.
    pub(crate) fn say(&self, tag: &str, word: &str) -> Result<Vec<i16>, Error> {
        let tongue = self.languages.get(tag);
        let sounds = tongue.and_then(|tongue| tongue.language.sounds(word));
        let sounds = sounds.ok_or_else(|| Error::NotFound(format!("the word {word}")))?;
        Ok(voice::say(sounds))
    }

    /// Names of all announcements.
    #[cfg(test)]
    fn names(&self) -> Vec<&str> {
        self.announcements.keys().map(String::as_str).collect()
    }
}

impl Tongue {
    fn has(&self, word: &str) -> bool {
        self.recorded.contains_key(word) || self.language.sounds(word).is_some()
    }

    fn segment(
        &self,
        folder: &Path,
        text: Text<'_>,
        entry: &Spanned<SegmentEntry>,
    ) -> Result<Segment, PromptFault> {
        let span = || entry.span();
        let SegmentEntry {
            file,
            say,
            silence_ms,
            tone_hz,
            tone_ms,
            variable,
            announcement,
        } = entry.get_ref();
        let time = |ms: u32| Duration::from_millis(u64::from(ms));
        let kinds = [
            file.is_some(),
            say.is_some(),
            silence_ms.is_some(),
            tone_hz.is_some() && tone_ms.is_some(),
            variable.is_some(),
            announcement.is_some(),
        ];
        let is_one = kinds.iter().filter(|is_there| **is_there).count() == 1;
        let is_whole = tone_hz.is_some() == tone_ms.is_some();
        match (
            file,
            say,
            silence_ms,
            tone_hz.zip(*tone_ms),
            variable,
            announcement,
        ) {
            (Some(file), ..) if is_one && is_whole => {
                let path = text.path(folder, &Spanned::new(span(), file.clone()))?;
                text.check_file(span(), &path)?;
                Ok(Segment::File(path))
            }
            (_, Some(words), ..) if is_one && is_whole => {
                let words = words.split_whitespace();
                let words: Vec<Word> = words.map(|word| word.to_lowercase().into()).collect();
                if let Some(word) = words.iter().find(|word| !self.has(word)) {
                    let fault = format!("there is no sound for the word `{word}`");
                    let remedy = "record it into the language's folder of words, or add it to the \
                                  [words] of its rules";
                    return Err(text.at(span(), fault, remedy));
                }
                Ok(Segment::Say(words))
            }
            (_, _, Some(ms @ 0..=SILENCE_MS_MAX), ..) if is_one && is_whole => {
                Ok(Segment::Silence(time(*ms)))
            }
            (_, _, _, Some((hertz @ TONE_HZ_MIN..=TONE_HZ_MAX, ms @ 0..=TONE_MS_MAX)), ..)
                if is_one =>
            {
                Ok(Segment::Tone(hertz, time(ms)))
            }
            (_, _, _, _, Some(index @ 1..), _) if is_one && is_whole => {
                Ok(Segment::Variable(index - 1))
            }
            (.., Some(name)) if is_one && is_whole => Ok(Segment::Announcement(name.clone())),
            _ => Err(text.at(
                span(),
                "not a segment",
                "give one of file, say, silence-ms (an hour at most), variable (from 1), \
                 announcement, or tone-hz (20 to 3400) with tone-ms (a minute at most)",
            )),
        }
    }
}

impl Text<'_> {
    fn no_language(&self, tag: &Spanned<String>) -> PromptFault {
        let fault = format!("there is no language `{}`", tag.get_ref());
        self.at(tag.span(), fault, "add a table [language.…] for it")
    }

    /// A path within the manifest's folder.
    fn path(&self, folder: &Path, path: &Spanned<String>) -> Result<PathBuf, PromptFault> {
        let within = Path::new(path.get_ref());
        let is_normal = |part| matches!(part, std::path::Component::Normal(_));
        if within.as_os_str().is_empty() || !within.components().all(is_normal) {
            let fault = format!("`{}` leaves the folder of the manifest", path.get_ref());
            return Err(self.at(path.span(), fault, "keep all prompts in one folder"));
        }
        Ok(folder.join(within))
    }

    /// That a file is there and can be played.
    fn check_file(&self, span: std::ops::Range<usize>, file: &Path) -> Result<(), PromptFault> {
        let read = fs::read(file).map_err(Error::from);
        let checked = read.and_then(|octets| decode(&octets, 8000));
        checked.map(drop).map_err(|error| {
            let fault = format!("{}: {error}", file.display());
            self.at(span, fault, "put a WAVE, AMR or Ogg Opus file there")
        })
    }
}

/// The file of a folder that says what is in it.
const MANIFEST: &str = "manifest.toml";
const BUILT_IN: &str = include_str!("../../default/manifest.toml");
const LANGUAGES: &[(&str, &str, &str)] = &[
    (
        "de",
        "the built-in de.toml",
        include_str!("../../default/de.toml"),
    ),
    (
        "en",
        "the built-in en.toml",
        include_str!("../../default/en.toml"),
    ),
];
/// How files of words end.
const ENDINGS: &[&str] = &["wav", "amr", "awb", "opus", "ogg"];
/// Announcements within each other.
const NESTED_MAX: u32 = 8;
/// Steps of one announcement.
const STEPS_MAX: usize = 1024;
/// Longest silence: an hour.
const SILENCE_MS_MAX: u32 = 3_600_000;
/// Longest tone: a minute.
const TONE_MS_MAX: u32 = 60_000;
/// What telephones carry.
const TONE_HZ_MIN: u32 = 20;
const TONE_HZ_MAX: u32 = 3_400;

/// A language that is built in.
#[cfg(test)]
pub(super) fn built_in(tag: &str) -> Option<Language> {
    let (_, file, text) = LANGUAGES.iter().find(|(each, ..)| *each == tag)?;
    Language::parse(Path::new(file), text).ok()
}

/// Reads any text as a manifest.
pub(super) fn parse_any(file: &Path, text: &str) -> Result<(), PromptFault> {
    let mut prompts = Prompts {
        languages: BTreeMap::new(),
        default_language: String::new(),
        announcements: BTreeMap::new(),
        numbers: BTreeMap::new(),
    };
    prompts.take(Path::new("/nonexistent"), Text { file, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Scratch, wav};

    fn words(steps: &[Step]) -> String {
        let words = steps.iter().map(|step| match step {
            Step::Voice(_, word) => word.to_string(),
            Step::File(path) => path.file_name().unwrap().to_str().unwrap().to_owned(),
            Step::Pause(pause) => format!("{}ms", pause.as_millis()),
            Step::Tone(hertz, time) => format!("{hertz}Hz {}ms", time.as_millis()),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn load(manifest: &str, files: &[(&str, Vec<u8>)]) -> (Scratch, Result<Prompts, PromptFault>) {
        let scratch = Scratch::new();
        fs::write(scratch.path().join(MANIFEST), manifest).unwrap();
        for (path, octets) in files {
            let path = scratch.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, octets).unwrap();
        }
        let prompts = Prompts::load(scratch.path());
        (scratch, prompts)
    }

    fn name(name: &str) -> AnnouncementId {
        AnnouncementId::Name(name.to_owned())
    }

    #[test]
    fn what_is_built_in_is_whole_and_can_be_said() {
        let prompts = Prompts::built_in().unwrap();
        let mut said = BTreeSet::new();
        for each in prompts.names() {
            for language in ["en", "de-AT", "fr", "EN_us"] {
                let digit = [Variable::parse("dig", "", "12").unwrap()];
                let steps = prompts.announcement(&name(each), Some(language), &digit);
                for step in steps.unwrap() {
                    if let Step::Voice(tag, word) = step
                        && said.insert(word.clone())
                    {
                        assert!(prompts.say(&tag, &word).unwrap().len() > 500, "{word}");
                    }
                }
            }
        }
        let by_number = prompts.announcement(&AnnouncementId::Number(4), Some("de"), &[]);
        assert_eq!(words(&by_number.unwrap()), "dieser anruf ist gesperrt");
        let missing = prompts.announcement(&AnnouncementId::Number(99), None, &[]);
        assert!(matches!(missing, Err(Error::NotFound(_))));
        let unsaid = prompts.announcement(&name("variable"), None, &[]);
        assert!(matches!(unsaid, Err(Error::Value(_))));
    }

    #[test]
    fn a_manifest_adds_to_what_is_built_in() {
        let manifest = "
            default-language = 'de'
            [language.de]
            words = 'de'
            [announcement.busy]
            number = 77
            segments.de = [{ file = 'b/busy.wav' }, { silence-ms = 50 }, { variable = 2 }]
            [announcement.outer]
            segments.de = [{ say = 'Bitte eins' }, { announcement = 'busy' }]
            [announcement.beep]
            segments.de = [{ tone-hz = 1000, tone-ms = 300 }]
        ";
        let files = [
            ("b/busy.wav", wav(8000, &[1; 80])),
            ("de/eins.wav", wav(16_000, &[2; 80])),
            ("de/README", b"not sound".to_vec()),
        ];
        let (_scratch, prompts) = load(manifest, &files);
        let prompts = prompts.unwrap();
        let variables = [
            Variable::parse("num", "", "5").unwrap(),
            Variable::parse("num", "", "101").unwrap(),
        ];
        let said =
            |which, language| words(&prompts.announcement(&which, language, &variables).unwrap());
        // A word with a recording is not synthesised.
        assert_eq!(
            said(AnnouncementId::Number(77), None),
            "busy.wav 50ms ein hundert eins.wav"
        );
        assert_eq!(
            said(name("outer"), Some("en")),
            "bitte eins.wav busy.wav 50ms ein hundert eins.wav"
        );
        assert_eq!(said(name("beep"), None), "1000Hz 300ms");
        assert_eq!(said(name("barred"), Some("en")), "this call is barred");
        // The number that `busy` had is nobody's.
        assert!(
            prompts
                .announcement(&AnnouncementId::Number(2), None, &[])
                .is_err()
        );
    }

    #[test]
    fn faults_name_file_line_and_remedy() {
        let a = "[announcement.a]\n";
        for (manifest, line, fault) in [
            ("x = 1".to_owned(), 1, "unknown field"),
            ("a = [".to_owned(), 1, ""),
            (
                "\ndefault-language = 'fr'".to_owned(),
                2,
                "no language `fr`",
            ),
            ("[language.fr]".to_owned(), 1, "no rules for `fr`"),
            ("[language.fr]\nrules = 'fr.toml'".to_owned(), 2, "fr.toml"),
            (
                "[language.en]\nwords = '../x'".to_owned(),
                2,
                "leaves the folder",
            ),
            ("[language.en]\nwords = 'none'".to_owned(), 2, "none"),
            (
                format!("{a}number = 1\nsegments.en = []"),
                2,
                "number 1 is that of",
            ),
            (format!("{a}segments = {{}}"), 1, "says nothing"),
            (format!("{a}segments.fr = []"), 2, "no language `fr`"),
            (format!("{a}segments.en = [{{}}]"), 2, "not a segment"),
            (
                format!("{a}segments.en = [\n{{ say = 'a', file = 'b' }}]"),
                3,
                "not a segment",
            ),
            (
                format!("{a}segments.en = [{{ variable = 0 }}]"),
                2,
                "not a segment",
            ),
            (
                format!("{a}segments.en = [{{ say = 'a xyzzy' }}]"),
                2,
                "`xyzzy`",
            ),
            (
                format!("{a}segments.en = [{{ file = '/etc/passwd' }}]"),
                2,
                "leaves",
            ),
            (
                format!("{a}segments.en = [{{ file = 'no.wav' }}]"),
                2,
                "no.wav",
            ),
            (
                format!("{a}segments.en = [{{ file = 'bad.wav' }}]"),
                2,
                "bad.wav",
            ),
            (
                format!("{a}segments.en = [\n\n{{ announcement = 'none' }}]"),
                4,
                "no announcement `none`",
            ),
            (
                format!(
                    "{a}segments.en = [{{ announcement = 'b' }}]\n\
                     [announcement.b]\nsegments.en = [{{ announcement = 'a' }}]"
                ),
                2,
                "contains itself",
            ),
        ] {
            let (_scratch, prompts) = load(&manifest, &[("bad.wav", b"RIFF".to_vec())]);
            let found = prompts.expect_err(&manifest);
            assert!(found.file.ends_with(MANIFEST), "{found}");
            assert_eq!(found.line, line, "{manifest}: {found}");
            assert!(found.fault.contains(fault), "{manifest}: {found}");
            assert!(!found.remedy.is_empty());
        }
    }

    #[test]
    fn a_language_may_be_brought_along() {
        let manifest = "[language.en]\nrules = 'mine.toml'";
        let (_, _, english) = LANGUAGES[1];
        let mine = english.replace("7: seven\n", "7: sept\n");
        let (_scratch, prompts) = load(manifest, &[("mine.toml", mine.clone().into_bytes())]);
        let fault = prompts.unwrap_err();
        assert!(fault.fault.contains("`sept`"), "{fault}");
        let mine = format!("{mine}sept = 's eh t'\n");
        let (_scratch, prompts) = load(manifest, &[("mine.toml", mine.into_bytes())]);
        let seven = Variable::parse("num", "", "17").unwrap();
        let steps = prompts.unwrap().variable(&seven, Some("en")).unwrap();
        assert_eq!(words(&steps), "seventeen");
    }

    #[test]
    fn mutated_manifests_never_panic() {
        let mut entropy = base::Entropy::from_u64(6);
        for (.., text) in LANGUAGES
            .iter()
            .map(|(_, _, text)| ((), *text))
            .chain([((), BUILT_IN)])
        {
            for _ in 0..60 {
                let mut octets = text.as_bytes().to_vec();
                for _ in 0..1 + entropy.below(4) {
                    let at = entropy.below(octets.len() as u64) as usize;
                    octets[at] = b"[]{}|<>=:'\"\n 0-"[entropy.below(15) as usize];
                }
                super::super::parse_any(&String::from_utf8_lossy(&octets));
            }
        }
    }
}
