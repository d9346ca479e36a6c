//! Compressed recordings as ffmpeg and sox hear them, and their files as we hear them.

mod support;

use std::fs;
use std::time::Duration;

use audio::{RecordRequest, RecordingFormat, RecordingName, Report, decode};
use support::{Bench, Scratch, ffmpeg, purity, run, tone};

fn record(bench: &mut Bench, format: RecordingFormat, rate: u32, tracks: &[Vec<i16>]) -> Report {
    let name = RecordingName::parse("a").unwrap();
    let mut request = RecordRequest::new(name, format, rate);
    request.tracks = tracks.len();
    request.replace = true;
    let report = bench.record(request, tracks);
    assert_eq!(report.error, None);
    report
}

/// Signal to noise in dB of `heard` against `said` at the best of a few delays, edges apart.
fn snr(said: &[i16], heard: &[i16], delay_max: usize) -> (f64, usize) {
    let edge = said.len() / 8;
    let at = |delay: usize| {
        let pairs = || {
            let said = &said[edge..said.len() - edge];
            said.iter().zip(heard.iter().skip(edge + delay))
        };
        let signal: f64 = pairs().map(|(a, _)| f64::from(*a).powi(2)).sum();
        let noise: f64 = pairs()
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            .sum();
        10.0 * (signal / noise.max(1.0)).log10()
    };
    (0..=delay_max)
        .map(|delay| (at(delay), delay))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .unwrap()
}

#[test]
fn opus_recordings_are_as_long_as_what_was_said_and_in_step_with_it() {
    let mut bench = Bench::new();
    for rate in [8000, 16_000, 48_000] {
        let said = tone(rate, 500.0, 1.01);
        let format = RecordingFormat::Opus(Some(32_000));
        let report = record(&mut bench, format, rate, std::slice::from_ref(&said));
        assert_eq!(report.duration, Duration::from_millis(1010));
        let heard = ffmpeg(&report.files[0], 0, 48_000);
        assert_eq!(heard.len(), 48_480, "{rate}");
        assert!(purity(&heard[4800..43_680], 48_000, 500.0) > 0.97);
        // What we hear of it ourselves is in step to the sample with what was said.
        let again = decode(&fs::read(&report.files[0]).unwrap(), 48_000).unwrap();
        assert_eq!(again.len(), heard.len());
        let (snr, delay) = snr(&tone(48_000, 500.0, 1.01), &again, 40);
        assert!(
            snr > 7.0 && delay <= 2,
            "{rate}: {snr:.1} dB after {delay} samples"
        );
    }
}

#[test]
fn each_track_of_an_opus_recording_is_a_stream() {
    let mut bench = Bench::new();
    let tracks = [400.0, 700.0, 1100.0].map(|hertz| tone(16_000, hertz, 0.6));
    let report = record(&mut bench, RecordingFormat::Opus(None), 16_000, &tracks);
    for (index, hertz) in [400.0, 700.0, 1100.0].into_iter().enumerate() {
        let heard = ffmpeg(&report.files[0], index, 16_000);
        assert!(purity(&heard, 16_000, hertz) > 0.9, "track {index}");
    }
    let title = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-show_entries",
            "stream_tags=title",
            "-of",
            "csv=p=0",
            report.files[0].to_str().unwrap(),
        ],
    );
    let title = String::from_utf8(title).unwrap();
    assert!(
        title.contains("track 1") && title.contains("track 3"),
        "{title}"
    );
    // We mix what we play.
    let mix = decode(&fs::read(&report.files[0]).unwrap(), 16_000).unwrap();
    for hertz in [400.0, 700.0, 1100.0] {
        assert!((0.2..0.5).contains(&purity(&mix, 16_000, hertz)));
    }
}

#[test]
fn amr_recordings_are_heard_by_ffmpeg_and_by_us() {
    let mut bench = Bench::new();
    for (format, band, rate) in [
        (RecordingFormat::Amr(None), 8000, 8000),
        (RecordingFormat::Amr(Some(0)), 8000, 16_000),
        (RecordingFormat::AmrWb(None), 16_000, 16_000),
        (RecordingFormat::AmrWb(Some(2)), 16_000, 8000),
    ] {
        let said = tone(rate, 600.0, 0.81);
        let report = record(&mut bench, format, rate, &[said]);
        let heard = ffmpeg(&report.files[0], 0, band);
        // Whole frames.
        assert_eq!(heard.len(), band as usize * 82 / 100, "{format:?}");
        let steady = heard.len() / 8..heard.len() * 7 / 8;
        assert!(purity(&heard[steady], band, 600.0) > 0.9, "{format:?}");
        let ours = decode(&fs::read(&report.files[0]).unwrap(), band).unwrap();
        let (snr, _) = snr(&heard, &ours, 0);
        assert!(snr > 7.0, "{format:?}: {snr:.1} dB");
    }
}

#[test]
fn each_track_of_an_amr_recording_is_a_file() {
    let mut bench = Bench::new();
    let tracks = [500.0, 900.0].map(|hertz| tone(16_000, hertz, 0.5));
    let report = record(&mut bench, RecordingFormat::AmrWb(None), 16_000, &tracks);
    let names: Vec<_> = report
        .files
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["a.1.awb", "a.2.awb"]);
    for (file, hertz) in report.files.iter().zip([500.0, 900.0]) {
        assert!(purity(&ffmpeg(file, 0, 16_000), 16_000, hertz) > 0.85);
    }
}

/// Makes a file with a program from a tone of half a second.
fn foreign(scratch: &Scratch, program: &str, name: &str, options: &[&str]) -> Vec<u8> {
    let source = scratch.path().join("tone.wav");
    let said = tone(48_000, 800.0, 0.5);
    let writer = audio::wav::Writer::new(audio::wav::Coding::Linear16, 48_000, 1).unwrap();
    let mut octets = writer.header((said.len() * 2) as u32);
    writer.samples(&said, &mut octets);
    fs::write(&source, octets).unwrap();
    let made = scratch.path().join(name);
    let (source, target) = (source.to_str().unwrap(), made.to_str().unwrap());
    let before: &[&str] = match program {
        "ffmpeg" => &["-nostdin", "-v", "error", "-y", "-i", source],
        _ => &["-D", source],
    };
    run(program, &[before, options, &[target]].concat());
    fs::read(&made).unwrap()
}

#[test]
fn files_of_ffmpeg_and_sox_are_heard() {
    let scratch = Scratch::new();
    for (program, name, options, least) in [
        (
            "ffmpeg",
            "s16.wav",
            &["-c:a", "pcm_s16le", "-ar", "44100"][..],
            0.94,
        ),
        (
            "ffmpeg",
            "s24.wav",
            &["-c:a", "pcm_s24le", "-ac", "2"],
            0.94,
        ),
        ("ffmpeg", "f32.wav", &["-c:a", "pcm_f32le"], 0.94),
        ("ffmpeg", "u8.wav", &["-c:a", "pcm_u8"], 0.93),
        (
            "ffmpeg",
            "a.wav",
            &["-c:a", "pcm_alaw", "-ar", "8000"],
            0.93,
        ),
        (
            "ffmpeg",
            "opus.opus",
            &["-c:a", "libopus", "-b:a", "32k"],
            0.9,
        ),
        ("ffmpeg", "two.opus", &["-c:a", "libopus", "-ac", "2"], 0.9),
        ("sox", "s32.wav", &["-b", "32", "-r", "22050"], 0.94),
        ("sox", "mu.wav", &["-e", "mu-law", "-r", "8000"], 0.93),
        ("sox", "a.amr-nb", &["-r", "8000"], 0.85),
    ] {
        let file = foreign(&scratch, program, name, options);
        for rate in [8000, 48_000] {
            let heard = decode(&file, rate).unwrap_or_else(|error| panic!("{name}: {error}"));
            let length = heard.len() as f64 / f64::from(rate);
            assert!((0.49..0.53).contains(&length), "{name}: {length} s");
            let purity = purity(&heard, rate, 800.0);
            assert!(purity > least, "{name} at {rate}: {purity:.3}");
        }
    }
}

#[test]
fn a_file_written_into_a_pipe_is_heard() {
    let made = run(
        "ffmpeg",
        &[
            "-nostdin",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=800:duration=0.5",
            "-f",
            "wav",
            "-ar",
            "8000",
            "-",
        ],
    );
    let heard = decode(&made, 8000).unwrap();
    assert_eq!(heard.len(), 4000);
    assert!(purity(&heard, 8000, 800.0) > 0.99);
}

#[test]
fn damaged_files_give_what_is_sound_in_them_and_never_panic() {
    let scratch = Scratch::new();
    let mut entropy = base::Entropy::from_u64(11);
    let mut files = Vec::new();
    for (program, name, options) in [
        ("ffmpeg", "a.opus", &["-c:a", "libopus"][..]),
        ("sox", "a.amr-nb", &["-r", "8000"]),
        ("sox", "a.wav", &["-r", "8000"]),
    ] {
        files.push((name, foreign(&scratch, program, name, options)));
    }
    let mut bench = Bench::new();
    let wide = record(
        &mut bench,
        RecordingFormat::AmrWb(None),
        16_000,
        &[tone(16_000, 800.0, 0.5)],
    );
    files.push(("a.awb", fs::read(&wide.files[0]).unwrap()));
    for (name, file) in files {
        for _ in 0..25 {
            let mut damaged = file.clone();
            for _ in 0..1 + entropy.below(5) {
                let at = entropy.below(damaged.len() as u64) as usize;
                damaged[at] ^= 1 << entropy.below(8);
            }
            let end = entropy.below(2 * damaged.len() as u64) as usize;
            damaged.truncate(end.max(1));
            if let Ok(heard) = decode(&damaged, 8000) {
                assert!(heard.len() < 8000 * 2, "{name}");
            }
        }
    }
}
