//! An MRFP of ours whose controller is Erlang/OTP megaco.

use std::time::Duration;

use interop::erlang::{self, Carrier, Encoder, Story};
use interop::{Capture, Folder, Namespace, strowger};

const MGC: &str = "127.0.0.1:2944";
const MG: &str = "127.0.0.2:2944";
const LIMIT: Duration = Duration::from_secs(60);

fn their_controller_drives_our_mrfp(encoder: Encoder) {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let capture = Capture::start(&namespace, &folder);
    let mgc = erlang::start_mgc(
        &namespace,
        &folder,
        MGC.parse().expect("an address"),
        (encoder, Carrier::Udp),
        Some("127.0.0.3"),
        Story::Resource,
    );
    let recordings = folder.file("recordings");
    let line = format!(
        "media --functions mrfp --mgc {MGC} --mid {MG} --h248 {},udp --address 127.0.0.2 --ports \
         20000-20099 --io udp --recordings {}",
        encoder.name(),
        recordings.display()
    );
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let mut ours = strowger::start(&namespace, &folder, "media", "127.0.0.2:9081", &arguments);
    let mgc = mgc.wait(LIMIT);
    assert!(ours.is_running());
    let analysis = capture.stop();
    // OTP does not encode values by their type, as the comments in H.248.1 A.2 ask for: then only
    // what is ours is to be clean.
    let steps_of_text: &[&str] = match encoder {
        Encoder::Ber => {
            assert_eq!(analysis.count("_ws.malformed && ip.src == 127.0.0.2"), 0);
            assert!(analysis.count("h248 && ip.src == 127.0.0.2") > 0);
            &[]
        }
        Encoder::Pretty | Encoder::Compact => {
            analysis.assert_clean(&["megaco", "rtp"]);
            &["no_attempts 449"]
        }
    };
    erlang::assert_steps(&mgc, steps_of_text);
    let steps = [
        "announced",
        "announcement_heard",
        "tone_heard",
        "tone_ended",
        "interrupted",
        "dialled",
        "collected",
        "recorded",
        "recording_heard",
        "no_name 457",
        "two_sounds 513",
        "first_is_heard",
        "second_is_heard",
        "held",
        "third_is_heard",
        "end_conference",
    ];
    erlang::assert_steps(&mgc, &steps);
    // What was said for a second is in the file, as another program reads it.
    let file = std::fs::read(recordings.join("message.wav")).expect("the recording");
    assert!(file.starts_with(b"RIFF"));
    assert!(file.len() > 12_000, "{} octets", file.len());
}

#[test]
fn their_controller_drives_our_mrfp_in_text() {
    their_controller_drives_our_mrfp(Encoder::Compact);
}

#[test]
fn their_controller_drives_our_mrfp_in_binary() {
    their_controller_drives_our_mrfp(Encoder::Ber);
}
