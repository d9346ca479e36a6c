//! Where clips come from: prompts, recordings, HTTP servers; and the players made of them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::cache::Cache;
use crate::clock;
use crate::decode::{CLIP_SAMPLES_MAX, decode};
use crate::error::Error;
use crate::http::{self, Answer, Freshness, HttpConfig, Url, Validators};
use crate::player::{PIECES_MAX, Piece, PlayOptions, Player, samples_of};
use crate::prompt::{AnnouncementId, PromptFault, Prompts, Step, VOICE_RATE, Variable};
use crate::recording::{Folder, RecordingName};
use crate::resample::resample;

/// A part of what is to be played.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A file of the prompts, by its path from their folder.
    File(String),
    /// A recording, by the full name of its file.
    Recording(RecordingName),
    /// A file of an HTTP server.
    Http(Url),
    /// An announcement of the manifest, with the variables that are said in it.
    Announcement(AnnouncementId, Vec<Variable>),
    /// A value, spoken.
    Variable(Variable),
    /// Nothing, for so long.
    Silence(Duration),
}

impl Item {
    /// What a URI names: `http://…`, `prompt:NAME` or `prompt:NUMBER` of the manifest,
    /// `recording:NAME`, or `file:PATH` from the folder of prompts (`file:///PATH` means the same,
    /// as no other file is played).
    ///
    /// # Errors
    /// `Unsupported` for other schemes, `Misuse` for what is none of them.
    pub fn from_uri(uri: &str) -> Result<Self, Error> {
        let (scheme, rest) = uri.split_once(':').ok_or(Error::Misuse("no URI"))?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => Ok(Item::Http(Url::parse(uri)?)),
            "prompt" => {
                let id = match rest.parse() {
                    Ok(number) => AnnouncementId::Number(number),
                    Err(_) => AnnouncementId::Name(rest.to_owned()),
                };
                Ok(Item::Announcement(id, Vec::new()))
            }
            "recording" => Ok(Item::Recording(RecordingName::parse(rest)?)),
            "file" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                let path = path.trim_start_matches('/');
                plain(Path::new(path))?;
                Ok(Item::File(path.to_owned()))
            }
            _ => Err(Error::Unsupported(
                "a URI other than http, prompt, recording and file",
            )),
        }
    }

    /// Whether it may take as long as a server in the network likes.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Item::Http(_))
    }
}

/// Refuses paths that lead out of the folder they are meant from.
fn plain(path: &Path) -> Result<(), Error> {
    let is_normal = |part: Component<'_>| matches!(part, Component::Normal(_));
    if path.as_os_str().is_empty() || !path.components().all(is_normal) {
        return Err(Error::Misuse("a path that leaves the folder of prompts"));
    }
    Ok(())
}

/// What to play, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct PlayRequest {
    /// One after the other.
    pub items: Vec<Item>,
    /// Language of announcements and variables, as RFC 5646 has them; the nearest there is.
    pub language: Option<String>,
    /// Rate of the samples that the worker wants.
    pub rate: u32,
    /// Repetition, length and gain.
    pub options: PlayOptions,
}

/// Where files are.
#[derive(Clone, Debug)]
pub struct LibraryConfig {
    /// The folder of prompts; empty for none, which leaves what is built in.
    pub prompts: PathBuf,
    /// Files from HTTP servers.
    pub http: HttpConfig,
    /// What clips in memory may take together.
    pub cache_octets_max: usize,
}

impl LibraryConfig {
    /// Prompts of a folder, no HTTP, 256 MiB of clips.
    pub fn new(prompts: PathBuf) -> Self {
        Self {
            prompts,
            http: HttpConfig::default(),
            cache_octets_max: 256 << 20,
        }
    }
}

/// All sources with their clips in memory; shared by the helper threads.
#[derive(Debug)]
pub(crate) struct Library {
    config: LibraryConfig,
    prompts: Prompts,
    recordings: Arc<Folder>,
    cache: Mutex<Cache<Source, Stamp>>,
    /// Servers that could not be asked, why, and until when they are not asked again.
    outages: Mutex<HashMap<String, (Error, Instant)>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Source {
    File(PathBuf),
    Http(Url),
    /// A word of a language, by the voice.
    Voice(String, Arc<str>),
}

/// Version of a source.
#[derive(Clone, Debug, PartialEq)]
enum Stamp {
    /// Never another.
    Only,
    File {
        modified: Option<SystemTime>,
        length: u64,
        inode: u64,
    },
    Http {
        validators: Validators,
        fresh_until: Instant,
        may_be_stale: bool,
    },
}

impl Library {
    /// Reads and checks the prompts.
    ///
    /// # Errors
    /// The first fault of theirs.
    pub(crate) fn open(
        config: LibraryConfig,
        recordings: Arc<Folder>,
    ) -> Result<Self, PromptFault> {
        Ok(Self {
            cache: Mutex::new(Cache::new(config.cache_octets_max)),
            outages: Mutex::new(HashMap::new()),
            prompts: Prompts::load(&config.prompts)?,
            config,
            recordings,
        })
    }

    /// Gets all clips of a request; blocks for disks and servers.
    ///
    /// # Errors
    /// Of the first item that cannot be had.
    pub(crate) fn player(&self, request: &PlayRequest) -> Result<Player, Error> {
        if !codecs::Codec::SAMPLE_RATES.contains(&request.rate) {
            return Err(Error::Misuse("a rate that no codec has"));
        }
        if request.items.len() > PIECES_MAX {
            return Err(Error::Limit("pieces of one announcement"));
        }
        let mut pieces = Vec::new();
        for item in &request.items {
            self.pieces(item, request, &mut pieces)?;
        }
        Player::new(pieces, request.rate, request.options)
    }

    fn pieces(
        &self,
        item: &Item,
        request: &PlayRequest,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), Error> {
        let (rate, language) = (request.rate, request.language.as_deref());
        let clip = match item {
            Item::Silence(duration) => {
                pieces.push(Piece::Silence(samples_of(*duration, rate)));
                return Ok(());
            }
            Item::Announcement(id, variables) => {
                let steps = self.prompts.announcement(id, language, variables)?;
                return self.steps(steps, rate, pieces);
            }
            Item::Variable(variable) => {
                let steps = self.prompts.variable(variable, language)?;
                return self.steps(steps, rate, pieces);
            }
            Item::File(path) => {
                plain(Path::new(path))?;
                let folder = &self.config.prompts;
                if folder.as_os_str().is_empty() {
                    return Err(Error::NotFound(path.clone()));
                }
                self.file(folder.join(path), rate)?
            }
            Item::Recording(name) => self.file(self.recordings.file(name), rate)?,
            Item::Http(url) => self.http(url, rate)?,
        };
        pieces.push(Piece::Clip(clip));
        Ok(())
    }

    fn steps(&self, steps: Vec<Step>, rate: u32, pieces: &mut Vec<Piece>) -> Result<(), Error> {
        for step in steps {
            match step {
                Step::Pause(time) => pieces.push(Piece::Silence(samples_of(time, rate))),
                Step::Tone(hertz, time) => {
                    let samples = tone(hertz, samples_of(time, rate), rate)?;
                    pieces.push(Piece::Clip(samples));
                }
                Step::File(path) => pieces.push(Piece::Clip(self.file(path, rate)?)),
                Step::Voice(language, word) => {
                    pieces.push(Piece::Clip(self.word(language, word, rate)?));
                    pieces.push(Piece::Silence(samples_of(WORD_GAP, rate)));
                }
            }
        }
        Ok(())
    }

    fn word(&self, language: String, word: Arc<str>, rate: u32) -> Result<Arc<[i16]>, Error> {
        let source = Source::Voice(language, word);
        if let Some(clip) = self.cache().clip(&source, &Stamp::Only, rate) {
            return Ok(clip);
        }
        let Source::Voice(language, word) = &source else {
            return Err(Error::Misuse("a word is a word"));
        };
        let said = self.prompts.say(language, word)?;
        let clip: Arc<[i16]> = resample(&said, VOICE_RATE, rate).into();
        self.cache().keep_clip(&source, &Stamp::Only, rate, &clip);
        Ok(clip)
    }

    fn cache(&self) -> MutexGuard<'_, Cache<Source, Stamp>> {
        // Whoever panicked with it left it whole: nothing in it calls out.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, path: PathBuf, rate: u32) -> Result<Arc<[i16]>, Error> {
        let not_found = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound(path.display().to_string()),
            kind => Error::Io(kind),
        };
        let meta = fs::metadata(&path).map_err(not_found)?;
        if !meta.is_file() {
            return Err(Error::NotFound(path.display().to_string()));
        }
        let stamp = Stamp::File {
            modified: meta.modified().ok(),
            length: meta.len(),
            inode: meta.ino(),
        };
        let source = Source::File(path.clone());
        if let Some(clip) = self.cache().clip(&source, &stamp, rate) {
            return Ok(clip);
        }
        let mut octets = Vec::new();
        let file = File::open(&path).map_err(not_found)?;
        file.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > FILE_OCTETS_MAX {
            return Err(Error::Limit("the size of a file"));
        }
        let clip = decode(&octets, rate)?;
        self.cache().keep_clip(&source, &stamp, rate, &clip);
        Ok(clip)
    }

    fn http(&self, url: &Url, rate: u32) -> Result<Arc<[i16]>, Error> {
        let source = Source::Http(url.clone());
        let kept = self.cache().source(&source);
        if let Some((stamp, Some(file))) = &kept
            && stamp.is_fresh()
        {
            return self.decoded(&source, stamp, file, rate);
        }
        let have = match &kept {
            Some((Stamp::Http { validators, .. }, Some(_))) => validators.clone(),
            _ => Validators::default(),
        };
        match (self.fetch(url, &have), kept) {
            (Ok(Answer::Body(body, validators, freshness)), _) => {
                let stamp = Stamp::http(validators, freshness);
                let file: Arc<[u8]> = body.into();
                if !freshness.may_store {
                    self.cache().forget(&source);
                    return decode(&file, rate);
                }
                let clip = decode(&file, rate)?;
                let mut cache = self.cache();
                cache.keep_file(&source, stamp.clone(), file);
                cache.keep_clip(&source, &stamp, rate, &clip);
                Ok(clip)
            }
            (Ok(Answer::NotModified(freshness)), Some((_, Some(file)))) => {
                let stamp = Stamp::http(have, freshness);
                self.cache().restamp(&source, stamp.clone());
                self.decoded(&source, &stamp, &file, rate)
            }
            (Ok(Answer::NotModified(_)), _) => Err(Error::Http("nothing to compare with")),
            // RFC 9111 4.2.4: better old than nothing.
            (Err(error), Some((stamp, Some(file))))
                if error.is_outage() && stamp.may_be_stale() =>
            {
                self.decoded(&source, &stamp, &file, rate)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Asks a server, unless one could not just now: those who wait for others are not to wait for
    /// the same outage one after the other.
    fn fetch(&self, url: &Url, have: &Validators) -> Result<Answer, Error> {
        let outages = || self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        let server = url.authority();
        if let Some((error, until)) = outages().get(&server)
            && clock::now() < *until
        {
            return Err(error.clone());
        }
        let answer = http::fetch(url, have, &self.config.http);
        let mut outages = outages();
        match &answer {
            Err(error @ Error::Io(_)) => {
                let now = clock::now();
                outages.retain(|_, (_, until)| now < *until);
                if outages.len() < OUTAGES_MAX {
                    outages.insert(server, (error.clone(), now + OUTAGE_TIME));
                }
            }
            _ => drop(outages.remove(&server)),
        }
        answer
    }

    /// A clip of a file that is in memory.
    fn decoded(
        &self,
        source: &Source,
        stamp: &Stamp,
        file: &[u8],
        rate: u32,
    ) -> Result<Arc<[i16]>, Error> {
        if let Some(clip) = self.cache().clip(source, stamp, rate) {
            return Ok(clip);
        }
        let clip = decode(file, rate)?;
        // Only beside its file, which another thread may have replaced meanwhile.
        let mut cache = self.cache();
        if cache.source(source).is_some_and(|(kept, _)| kept == *stamp) {
            cache.keep_clip(source, stamp, rate, &clip);
        }
        Ok(clip)
    }
}

/// A tone with soft edges, 13 dB below full scale.
fn tone(hertz: u32, samples: u64, rate: u32) -> Result<Arc<[i16]>, Error> {
    if samples > CLIP_SAMPLES_MAX {
        return Err(Error::Limit("the length of a clip"));
    }
    let step = std::f64::consts::TAU * f64::from(hertz) / f64::from(rate);
    let edge = u64::from(rate / 200);
    let sample = |at: u64| {
        let soft = at.min(samples - 1 - at).min(edge) as f64 / edge as f64;
        (10_000.0 * soft * (at as f64 * step).sin()) as i16
    };
    Ok((0..samples).map(sample).collect())
}

impl Stamp {
    fn http(validators: Validators, freshness: Freshness) -> Self {
        Stamp::Http {
            validators,
            fresh_until: clock::now() + freshness.lifetime,
            may_be_stale: freshness.may_be_stale,
        }
    }

    fn is_fresh(&self) -> bool {
        match self {
            Stamp::Http { fresh_until, .. } => clock::now() < *fresh_until,
            Stamp::Only | Stamp::File { .. } => true,
        }
    }

    fn may_be_stale(&self) -> bool {
        matches!(self, Stamp::Http { may_be_stale, .. } if *may_be_stale)
    }
}

impl Error {
    /// Whether the server could not be asked, in difference to that it refused.
    fn is_outage(&self) -> bool {
        matches!(self, Error::Io(_) | Error::Http(_) | Error::Status(500..))
    }
}

/// How long a server that could not be asked is left alone.
const OUTAGE_TIME: Duration = Duration::from_secs(5);
/// Servers known not to answer.
const OUTAGES_MAX: usize = 256;
/// Between words that the voice says.
const WORD_GAP: Duration = Duration::from_millis(30);
/// Largest file.
const FILE_OCTETS_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::testkit::{Scratch, wav};

    fn library(scratch: &Scratch, hosts: &[&str]) -> Library {
        let prompts = scratch.path().join("prompts");
        fs::create_dir_all(&prompts).unwrap();
        let recordings = Arc::new(Folder::open(&scratch.path().join("recordings")).unwrap());
        let mut config = LibraryConfig::new(prompts);
        config.http.hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        config.http.time_max = Duration::from_secs(20);
        Library::open(config, recordings).unwrap()
    }

    fn request(items: Vec<Item>, rate: u32) -> PlayRequest {
        PlayRequest {
            items,
            language: None,
            rate,
            options: PlayOptions::default(),
        }
    }

    fn heard(library: &Library, items: Vec<Item>, rate: u32) -> Result<Vec<i16>, Error> {
        let mut player = library.player(&request(items, rate))?;
        let mut out = vec![0; 100_000];
        let pulled = player.pull(&mut out);
        assert!(pulled.is_over);
        out.truncate(pulled.samples);
        Ok(out)
    }

    #[test]
    fn files_recordings_and_silence_follow_each_other() {
        let scratch = Scratch::new();
        let library = library(&scratch, &[]);
        fs::write(scratch.path().join("prompts/a.wav"), wav(8000, &[1, 2])).unwrap();
        fs::write(scratch.path().join("recordings/b.wav"), wav(8000, &[3])).unwrap();
        let items = vec![
            Item::from_uri("file:///a.wav").unwrap(),
            Item::Silence(Duration::from_micros(250)),
            Item::from_uri("recording:b.wav").unwrap(),
        ];
        assert_eq!(heard(&library, items, 8000).unwrap(), [1, 2, 0, 0, 3]);
    }

    #[test]
    fn a_tone_has_its_pitch_and_soft_edges() {
        let tone = tone(1000, 800, 8000).unwrap();
        assert_eq!((tone[0], tone[799]), (0, 0));
        // Eight samples to a period, the greatest of them at a quarter of it.
        let loudest = tone[40..760].iter().max();
        assert!((9_900..=10_000).contains(loudest.unwrap()));
        assert!(
            tone[40..752]
                .iter()
                .zip(&tone[48..760])
                .all(|(a, b)| a.abs_diff(*b) <= 1)
        );
        assert!(super::tone(1000, CLIP_SAMPLES_MAX + 1, 8000).is_err());
        assert!(super::tone(1000, 0, 8000).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_changed_is_read_again() {
        let scratch = Scratch::new();
        let library = library(&scratch, &[]);
        let path = scratch.path().join("prompts/a.wav");
        let item = || vec![Item::File("a.wav".to_owned())];
        fs::write(&path, wav(8000, &[1])).unwrap();
        assert_eq!(heard(&library, item(), 8000).unwrap(), [1]);
        fs::write(&path, wav(8000, &[2, 3])).unwrap();
        assert_eq!(heard(&library, item(), 8000).unwrap(), [2, 3]);
        fs::remove_file(&path).unwrap();
        let gone = heard(&library, item(), 8000);
        assert!(matches!(gone, Err(Error::NotFound(_))));
    }

    #[test]
    fn nothing_outside_the_folder_of_prompts_is_played() {
        for uri in [
            "file:../a",
            "file:///..",
            "file://",
            "file:///a/../../b",
            "recording:../a",
        ] {
            assert!(Item::from_uri(uri).is_err(), "{uri}");
        }
        let scratch = Scratch::new();
        let library = library(&scratch, &[]);
        for path in ["/etc/hostname", "../x", ""] {
            let refused = heard(&library, vec![Item::File(path.to_owned())], 8000);
            assert!(matches!(refused, Err(Error::Misuse(_))), "{path}");
        }
    }

    #[test]
    fn announcements_and_variables_are_said_in_the_language_wanted() {
        let scratch = Scratch::new();
        let library = library(&scratch, &[]);
        let seconds = |uri: &str, language: Option<&str>, rate| {
            let request = PlayRequest {
                language: language.map(str::to_owned),
                ..request(vec![Item::from_uri(uri).unwrap()], rate)
            };
            library.player(&request).map(|player| player.length())
        };
        let english = seconds("prompt:busy", None, 8000).unwrap();
        assert!((3.0..9.0).contains(&english.as_secs_f32()), "{english:?}");
        let german = seconds("prompt:2", Some("de-DE"), 8000).unwrap();
        assert!(german != english);
        let wide = seconds("prompt:busy", None, 48_000).unwrap();
        assert!(wide.abs_diff(english) < Duration::from_millis(5));
        let message = seconds("prompt:leave-message", None, 8000).unwrap();
        assert!(message > Duration::from_secs(2));
        assert!(seconds("prompt:none", None, 8000).is_err());
        let number = Item::Variable(Variable::parse("num", "", "21").unwrap());
        assert!(heard(&library, vec![number], 16_000).unwrap().len() > 8000);
    }

    #[test]
    fn without_a_folder_of_prompts_no_file_is_played_and_announcements_are() {
        let scratch = Scratch::new();
        let recordings = Arc::new(Folder::open(scratch.path()).unwrap());
        let library = Library::open(LibraryConfig::new(PathBuf::new()), recordings).unwrap();
        // It is there, seen from where the test runs.
        let file = vec![Item::File("Cargo.toml".to_owned())];
        assert!(matches!(
            heard(&library, file, 8000),
            Err(Error::NotFound(_))
        ));
        let busy = vec![Item::from_uri("prompt:busy").unwrap()];
        assert!(heard(&library, busy, 8000).unwrap().len() > 16_000);
    }

    /// Answers one request after the other, a connection each.
    fn server(answers: Vec<Vec<u8>>) -> (Item, thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = thread::spawn(move || {
            let mut modified_since = 0;
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let count = stream.read(&mut request).unwrap();
                let text = String::from_utf8_lossy(&request[..count]).into_owned();
                let text = text.to_ascii_lowercase();
                modified_since += usize::from(text.contains("if-none-match"));
                stream.write_all(&answer).unwrap();
            }
            modified_since
        });
        let uri = format!("http://127.0.0.1:{port}/a.wav");
        (Item::from_uri(&uri).unwrap(), serving)
    }

    fn answer(head: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head = format!("HTTP/1.1 {head}\r\nETag: \"1\"\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn a_fresh_copy_is_not_asked_after_at_any_rate() {
        let scratch = Scratch::new();
        let library = library(&scratch, &["127.0.0.1"]);
        let file = wav(8000, &[5; 80]);
        let (item, serving) = server(vec![answer("200 OK\r\nCache-Control: max-age=60", &file)]);
        assert_eq!(heard(&library, vec![item.clone()], 8000).unwrap(), [5; 80]);
        assert_eq!(serving.join().unwrap(), 0);
        // The server is gone.
        assert_eq!(heard(&library, vec![item.clone()], 8000).unwrap(), [5; 80]);
        assert_eq!(heard(&library, vec![item], 16_000).unwrap().len(), 160);
    }

    #[test]
    fn an_old_copy_is_asked_after_and_serves_when_nobody_answers() {
        let scratch = Scratch::new();
        let library = library(&scratch, &["*"]);
        let file = wav(8000, &[5; 80]);
        let (item, serving) = server(vec![
            answer("200 OK", &file),
            answer("304 Not Modified", &[]),
            answer("503 Service Unavailable", &[]),
            answer("404 Not Found", &[]),
        ]);
        for _ in 0..3 {
            assert_eq!(heard(&library, vec![item.clone()], 8000).unwrap(), [5; 80]);
        }
        // A refusal is an answer.
        assert_eq!(
            heard(&library, vec![item.clone()], 8000),
            Err(Error::Status(404))
        );
        assert_eq!(serving.join().unwrap(), 3);
        assert_eq!(heard(&library, vec![item], 8000).unwrap(), [5; 80]);
    }

    #[test]
    fn a_server_that_does_not_answer_is_left_alone_for_a_while() {
        let scratch = Scratch::new();
        let mut library = library(&scratch, &["127.0.0.1"]);
        library.config.http.time_max = Duration::from_millis(50);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        let item = Item::from_uri(&uri).unwrap();
        let timed_out = Err(Error::Io(std::io::ErrorKind::TimedOut));
        assert_eq!(heard(&library, vec![item.clone()], 8000), timed_out);
        // It would have longer now, and is not asked.
        library.config.http.time_max = Duration::from_secs(5);
        assert_eq!(heard(&library, vec![item.clone()], 8000), timed_out);
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_ok());
        assert!(listener.accept().is_err(), "it was asked again");
        // When the time is over, it is.
        library.outages.lock().unwrap().clear();
        let serving = thread::spawn(move || {
            listener.set_nonblocking(false).unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream
                .write_all(&answer("200 OK", &wav(8000, &[1, 2])))
                .unwrap();
        });
        assert_eq!(heard(&library, vec![item], 8000).unwrap(), [1, 2]);
        serving.join().unwrap();
    }

    #[test]
    fn hosts_that_are_not_listed_are_not_asked() {
        let scratch = Scratch::new();
        let item = Item::from_uri("http://127.0.0.1:9/").unwrap();
        assert!(matches!(
            heard(&library(&scratch, &["a.example"]), vec![item], 8000),
            Err(Error::Misuse(_))
        ));
    }
}
