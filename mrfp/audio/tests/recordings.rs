//! Recordings as independent programs see them, and what is left when things go wrong.

mod support;

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use audio::{
    Cause, Config, Error, FileServer, Item, LibraryConfig, RecordRequest, Recorded,
    RecordingFormat, RecordingName,
};
use codecs::g711::Law;
use support::{Bench, Scratch, ffmpeg, purity, run, samples, tone};

fn request(name: &str, format: RecordingFormat, rate: u32) -> RecordRequest {
    RecordRequest::new(RecordingName::parse(name).unwrap(), format, rate)
}

fn sox(file: &Path, rate: u32) -> Vec<i16> {
    let rate = rate.to_string();
    let file = file.to_str().unwrap();
    let raw = ["-t", "raw", "-e", "signed", "-b", "16", "-r", &rate];
    samples(&run("sox", &[&["-D", file][..], &raw, &["-"]].concat()))
}

#[test]
fn ffmpeg_and_sox_hear_in_a_wave_file_what_was_recorded() {
    let mut bench = Bench::new();
    let said = tone(16_000, 440.0, 1.0);
    let track = [said.clone()];
    let report = bench.record(request("a", RecordingFormat::WavLinear, 16_000), &track);
    assert_eq!((report.cause, &report.error), (Cause::Stopped, &None));
    assert_eq!(report.duration, Duration::from_secs(1));
    assert_eq!(report.octets, 44 + 32_000);
    assert_eq!(fs::metadata(&report.files[0]).unwrap().len(), report.octets);
    assert_eq!(ffmpeg(&report.files[0], 0, 16_000), said);
    assert_eq!(sox(&report.files[0], 16_000), said);
}

#[test]
fn ffmpeg_and_sox_hear_g711_in_a_wave_file() {
    let mut bench = Bench::new();
    for (name, law) in [("a", Law::A), ("mu", Law::Mu)] {
        let format = RecordingFormat::WavG711(law);
        let said = tone(8000, 440.0, 0.4);
        let report = bench.record(request(name, format, 8000), std::slice::from_ref(&said));
        let mut octets = vec![0; said.len()];
        law.encode(&said, &mut octets);
        let mut expected = vec![0; said.len()];
        law.decode(&octets, &mut expected);
        assert_eq!(ffmpeg(&report.files[0], 0, 8000), expected);
        assert_eq!(sox(&report.files[0], 8000), expected);
    }
}

#[test]
fn each_track_of_a_wave_file_is_its_own() {
    let mut bench = Bench::new();
    let tracks = [300.0, 500.0, 900.0].map(|hertz| tone(8000, hertz, 0.5));
    let mut three = request("three", RecordingFormat::WavLinear, 8000);
    three.tracks = 3;
    let report = bench.record(three, &tracks);
    let file = report.files[0].to_str().unwrap();
    for (index, track) in tracks.iter().enumerate() {
        let pan = format!("pan=mono|c0=c{index}");
        let heard = run(
            "ffmpeg",
            &[
                "-nostdin", "-v", "error", "-i", file, "-af", &pan, "-f", "s16le", "-",
            ],
        );
        assert_eq!(&samples(&heard), track);
    }
}

#[test]
fn a_recording_is_played_at_once_at_another_rate() {
    let mut bench = Bench::new();
    let report = bench.record(
        request("again", RecordingFormat::WavLinear, 16_000),
        &[tone(16_000, 1000.0, 0.5)],
    );
    let name = report.files[0].file_name().unwrap().to_str().unwrap();
    let item = Item::from_uri(&format!("recording:{name}")).unwrap();
    let mut player = bench.player(vec![item], 8000).unwrap();
    let mut heard = vec![0; 4000];
    assert!(player.pull(&mut heard).is_over);
    assert!(purity(&heard, 8000, 1000.0) > 0.95);
}

#[test]
fn a_key_and_a_second_of_the_same_name_are_reported() {
    let mut bench = Bench::new();
    let (id, mut recorder) = bench
        .files
        .record(request("a", RecordingFormat::WavLinear, 8000))
        .unwrap();
    assert_eq!(recorder.push(&[&[1; 160]]), Recorded::Going);
    bench.files.end_recording(id, Cause::Key);
    assert_eq!(recorder.push(&[&[1; 160]]), Recorded::Ended(Cause::Key));
    let report = bench.report();
    assert_eq!(
        (report.cause, report.duration),
        (Cause::Key, Duration::from_millis(20))
    );

    let _second = bench.begin(request("a", RecordingFormat::WavLinear, 8000));
    let report = bench.report();
    assert_eq!(report.cause, Cause::Failed);
    assert_eq!(report.error, Some(Error::Io(io::ErrorKind::AlreadyExists)));
    assert!(report.files.is_empty());
    assert_eq!(bench.files.recordings(), 0);
}

#[test]
fn a_server_that_ends_keeps_what_was_recorded() {
    let scratch = Scratch::new();
    let recordings = scratch.path().join("r");
    let mut bench = Bench::over(Scratch::new(), &recordings);
    let mut recorder = bench.begin(request("a", RecordingFormat::WavLinear, 8000));
    assert_eq!(recorder.push(&[&[7; 160]]), Recorded::Going);
    drop(bench);
    assert_eq!(recorder.push(&[&[7; 160]]), Recorded::Ended(Cause::Stopped));
    assert_eq!(ffmpeg(&recordings.join("a.wav"), 0, 8000), [7; 160]);
}

/// A file system with little room, which only root can make.
struct SmallDisk(Scratch);

impl SmallDisk {
    fn new(kibibytes: u32) -> Self {
        let scratch = Scratch::new();
        let size = format!("size={kibibytes}k");
        let path = scratch.path().to_str().unwrap();
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", path]);
        Self(scratch)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_ends_the_recording_with_its_cause_and_keeps_what_fitted() {
    let disk = SmallDisk::new(128);
    let mut bench = Bench::over(Scratch::new(), disk.0.path());
    let mut recorder = bench.begin(request("a", RecordingFormat::WavLinear, 8000));
    let draft = disk.0.path().join(".a.wav.draft");
    let mut said = 44;
    let ended = loop {
        // Never further ahead of the disk than half of what the ring holds.
        let written = fs::metadata(&draft).map_or(0, |meta| meta.len());
        let tick: &[i16] = if said > written + 32_000 {
            &[]
        } else {
            &[9; 160]
        };
        said += 2 * tick.len() as u64;
        match recorder.push(&[tick]) {
            Recorded::Going => std::thread::sleep(Duration::from_millis(1)),
            Recorded::Ended(cause) => break cause,
        }
    };
    assert_eq!(ended, Cause::DiskFull);
    let report = bench.report();
    assert_eq!(report.cause, Cause::DiskFull);
    assert_eq!(report.error, Some(Error::Io(io::ErrorKind::StorageFull)));
    let heard = ffmpeg(&report.files[0], 0, 8000);
    assert!(heard.len() > 1600 && heard.iter().all(|sample| *sample == 9));
    assert_eq!(report.octets, 44 + 2 * heard.len() as u64);
    assert_eq!(
        report.duration,
        Duration::from_micros(heard.len() as u64 * 125)
    );
}

#[test]
fn a_disk_without_any_room_is_reported_and_leaves_nothing() {
    let disk = SmallDisk::new(4);
    let mut bench = Bench::over(Scratch::new(), disk.0.path());
    fs::write(disk.0.path().join("full"), vec![0; 4096]).unwrap();
    let _recorder = bench.begin(request("a", RecordingFormat::WavLinear, 8000));
    let report = bench.report();
    assert_eq!((report.cause, report.files.len()), (Cause::DiskFull, 0));
    let left = fs::read_dir(disk.0.path()).unwrap().count();
    assert_eq!(left, 2, "the lock and what filled the disk");
}

/// What the next test runs and kills; nothing by itself.
#[test]
fn recording_until_killed() {
    let Ok(folder) = std::env::var("AUDIO_RECORD_UNTIL_KILLED") else {
        return;
    };
    let config = Config {
        library: LibraryConfig::new(folder.clone().into()),
        recordings: folder.into(),
    };
    let mut files = FileServer::start(config, || ()).unwrap();
    let mut request = request("a", RecordingFormat::WavLinear, 8000);
    // In real time: it ends by itself should nobody kill it.
    request.duration_max = Duration::from_secs(120);
    let (_, mut recorder) = files.record(request).unwrap();
    while recorder.push(&[&[1; 160]]) == Recorded::Going {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_kill_leaves_no_half_recording_and_the_next_start_cleans_up() {
    let scratch = Scratch::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "recording_until_killed"])
        .env("AUDIO_RECORD_UNTIL_KILLED", scratch.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let draft = scratch.path().join(".a.wav.draft");
    let has_samples = || fs::metadata(&draft).is_ok_and(|meta| meta.len() > 1000);
    while !has_samples() {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(draft.exists() && !scratch.path().join("a.wav").exists());

    let recordings = scratch.path().to_owned();
    let mut bench = Bench::over(Scratch::new(), &recordings);
    assert!(!draft.exists());
    let track = [vec![1; 160]];
    let report = bench.record(request("a", RecordingFormat::WavLinear, 8000), &track);
    assert_eq!(report.files, [recordings.join("a.wav")]);
}
