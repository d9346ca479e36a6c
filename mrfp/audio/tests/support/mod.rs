//! A folder, helper threads and a fast worker.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use audio::{
    Config, Event, FileServer, Item, LibraryConfig, PlayOptions, PlayRequest, Player,
    RecordRequest, Recorded, Recorder, Report,
};

/// A folder of one test with helper threads on it.
pub struct Bench {
    pub files: FileServer,
    wakes: Receiver<()>,
    _folder: Scratch,
}

/// Removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("audio-it-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Bench {
    pub fn new() -> Self {
        let folder = Scratch::new();
        let recordings = folder.path().join("recordings");
        Self::over(folder, &recordings)
    }

    /// With another folder of recordings.
    pub fn over(folder: Scratch, recordings: &Path) -> Self {
        let mut config = Config {
            library: LibraryConfig::new(folder.path().join("prompts")),
            recordings: recordings.to_owned(),
        };
        config.library.http.hosts = vec!["127.0.0.1".to_owned()];
        config.library.http.time_max = Duration::from_secs(60);
        let (woken, wakes) = mpsc::channel();
        Self {
            files: FileServer::start(config, move || {
                let _ = woken.send(());
            })
            .unwrap(),
            wakes,
            _folder: folder,
        }
    }

    pub fn event(&mut self) -> Event {
        self.wakes
            .recv_timeout(Duration::from_secs(60))
            .expect("no event within a minute");
        self.files.poll_event().expect("woken for nothing")
    }

    pub fn player(&mut self, items: Vec<Item>, rate: u32) -> Result<Box<Player>, audio::Error> {
        let request = PlayRequest {
            items,
            language: None,
            rate,
            options: PlayOptions::default(),
        };
        let id = self.files.load(request).unwrap();
        match self.event() {
            Event::Loaded(loaded, player) => {
                assert_eq!(loaded, id);
                player
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn begin(&mut self, request: RecordRequest) -> Box<Recorder> {
        self.files.record(request).unwrap().1
    }

    pub fn report(&mut self) -> Report {
        match self.event() {
            Event::Recorded(_, report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// Records whole tracks, a second at most at a time so that no disk is too slow.
    pub fn record(&mut self, request: RecordRequest, tracks: &[Vec<i16>]) -> Report {
        let tick = request.rate as usize / 50;
        let mut recorder = self.begin(request);
        let length = tracks.iter().map(Vec::len).max().unwrap();
        for from in (0..length).step_by(tick) {
            let ticks: Vec<&[i16]> = tracks
                .iter()
                .map(|track| &track[from.min(track.len())..(from + tick).min(track.len())])
                .collect();
            assert_eq!(recorder.push(&ticks), Recorded::Going);
        }
        drop(recorder);
        self.report()
    }
}

/// A tone with soft edges, so that a codec has no click to smear.
pub fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<i16> {
    let count = (f64::from(rate) * seconds) as usize;
    let step = std::f64::consts::TAU * hertz / f64::from(rate);
    let edge = rate as usize / 50;
    (0..count)
        .map(|n| {
            let soft = n.min(count - 1 - n).min(edge) as f64 / edge as f64;
            (8000.0 * soft * (n as f64 * step).sin()).round() as i16
        })
        .collect()
}

/// Part of the power that is at `hertz`, by Goertzel's algorithm: 1 for a pure tone.
pub fn purity(samples: &[i16], rate: u32, hertz: f64) -> f64 {
    let step = std::f64::consts::TAU * hertz / f64::from(rate);
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (sample, angle) = (f64::from(*sample), step * n as f64);
        re += sample * angle.cos();
        im += sample * angle.sin();
        power += sample * sample;
    }
    2.0 * (re * re + im * im) / (power * samples.len() as f64).max(1.0)
}

/// Runs a program and returns what it printed.
pub fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; scripts/test installs it"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Samples of little-endian octets.
pub fn samples(octets: &[u8]) -> Vec<i16> {
    octets
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// Decodes one stream of a file with ffmpeg, to mono.
pub fn ffmpeg(file: &Path, stream: usize, rate: u32) -> Vec<i16> {
    let (rate, map) = (rate.to_string(), format!("0:a:{stream}"));
    let file = file.to_str().unwrap();
    samples(&run(
        "ffmpeg",
        &[
            "-nostdin", "-v", "error", "-i", file, "-map", &map, "-f", "s16le", "-ar", &rate,
            "-ac", "1", "-",
        ],
    ))
}
