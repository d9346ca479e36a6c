//! Files that are played: WAVE, AMR and Ogg Opus, decoded whole; URLs, variables, manifests and
//! languages, read.
#![no_main]

use audio::{Item, Variable, amr, decode, opus, parse_any, wav};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(clip) = decode(data, 8_000) {
        assert!(clip.len() as u64 <= audio::CLIP_SAMPLES_MAX);
    }
    if let Ok(wav) = wav::Wav::parse(data) {
        assert!(wav.mono().count() <= data.len());
        assert_eq!(wav.track(usize::MAX).count(), wav.len());
    }
    if let Ok(frames) = amr::Frames::parse(data) {
        assert!(frames.count() <= data.len());
    }
    if let Ok(streams) = opus::parse(data) {
        assert!(streams.len() <= opus::STREAMS_MAX);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Item::from_uri(text);
        if let Some((kind, value)) = text.split_once(' ') {
            let _ = Variable::parse(kind, "", value);
        }
        parse_any(text);
    }
});
