//! H.248 between us and Erlang/OTP megaco, each in both roles.

use std::net::SocketAddr;
use std::time::Duration;

use interop::erlang::{self, Carrier, Encoder, Story};
use interop::network::{CONTROL, Family, Layout, Network, Ues};
use interop::{Analysis, Capture, Folder, Namespace, Process, Run, sipp, strowger};

const MGC: &str = "127.0.0.1:2944";
const MG: &str = "127.0.0.2:2944";
const MEDIA: &str = "127.0.0.2";
const LIMIT: Duration = Duration::from_secs(60);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

/// One context through its life, as `strowger h248` takes it from a file. The first number that
/// their gateway deals is 2, those of the terminations follow.
const CONTEXT: &str = "\
AuditValue = ROOT { Audit { Packages } }
AuditCapability = ROOT { Audit { Packages } }
Context = $ {
  Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive }, Local {
v=0
c=IN IP4 $
m=audio $ RTP/AVP 8
} } } },
  Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive }, Local {
v=0
c=IN IP4 $
m=audio $ RTP/AVP 8
} } } }
}
Context = 2 { Modify = ip/1/3 { Events = 7 { dd/ce { DigitMap { (4xx) } } } } }
Context = 2 { AuditValue = ip/1/3 { Audit { Statistics } } }
Context = 2 { Subtract = * { Audit { Statistics } } }
";

/// `strowger h248` as the controller of their gateway: what it shows, and whether it was content.
fn our_command_line(what: &[&str], encoder: Encoder, carrier: Carrier) -> (Run, Run) {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let capture = Capture::start(&namespace, &folder);
    let speech = format!("{},{}", encoder.name(), carrier.name());
    let arguments = [
        "h248",
        "--verbose",
        "--wait",
        "--mid",
        MGC,
        "--h248",
        &speech,
        "--timeout",
        "20",
    ];
    let arguments = [&arguments, what].concat();
    let mut command = strowger::command(&namespace, &arguments);
    let controller = Process::start("h248", &mut command, folder.path());
    let life = Duration::from_secs(6);
    let mg = erlang::start_mg(
        &namespace,
        &folder,
        address(MG),
        address(MGC),
        (encoder, carrier),
        MEDIA,
        life,
    );
    let runs = (controller.wait(LIMIT), mg.wait(LIMIT));
    let analysis = capture.stop();
    match encoder {
        Encoder::Ber => assert_clean(&analysis, encoder, "127.0.0.1"),
        Encoder::Pretty | Encoder::Compact => analysis.assert_clean(&["megaco"]),
    }
    runs
}

fn our_command_line_drives_their_gateway(encoder: Encoder, carrier: Carrier) {
    let folder = Folder::new();
    let script = folder.write("context.h248", CONTEXT);
    let script = script.to_str().expect("the path is text");
    let (controller, mg) = our_command_line(&["--file", script], encoder, carrier);
    controller.expect_success("h248");
    for part in [
        "Packages {",
        "rtp-1",
        "Add = ip/1/3",
        "c=IN IP4 127.0.0.2",
        "dd/ce",
        "433",
        "rtp/ps = 0",
        "Subtract = ip/1/4",
    ] {
        assert!(
            controller.output.contains(part),
            "no {part:?} in:\n{}\ntheir gateway:\n{}",
            controller.output,
            mg.output
        );
    }
    let steps = [
        "registered",
        "audit_value root",
        "audit_capabilities root",
        "add",
        "modify",
        "notified",
        "audit_value 2",
        "subtract",
    ];
    erlang::assert_steps(&mg, &steps);
}

#[test]
fn our_command_line_drives_their_gateway_with_long_tokens() {
    our_command_line_drives_their_gateway(Encoder::Pretty, Carrier::Udp);
}

#[test]
fn our_command_line_drives_their_gateway_with_long_tokens_over_tcp() {
    our_command_line_drives_their_gateway(Encoder::Pretty, Carrier::Tcp);
}

#[test]
fn our_command_line_drives_their_gateway_with_short_tokens() {
    our_command_line_drives_their_gateway(Encoder::Compact, Carrier::Udp);
}

#[test]
fn our_command_line_drives_their_gateway_with_short_tokens_over_tcp() {
    our_command_line_drives_their_gateway(Encoder::Compact, Carrier::Tcp);
}

#[test]
fn our_command_line_drives_their_gateway_in_binary() {
    our_command_line_drives_their_gateway(Encoder::Ber, Carrier::Udp);
}

#[test]
fn our_command_line_drives_their_gateway_in_binary_over_tcp() {
    our_command_line_drives_their_gateway(Encoder::Ber, Carrier::Tcp);
}

#[test]
fn their_refusal_fails_our_command_and_is_shown() {
    for (encoder, carrier) in [
        (Encoder::Pretty, Carrier::Udp),
        (Encoder::Compact, Carrier::Tcp),
        (Encoder::Ber, Carrier::Udp),
    ] {
        let transaction = "Context = 77 { Subtract = * }";
        let (controller, mg) = our_command_line(&[transaction], encoder, carrier);
        assert!(!controller.status.success());
        assert!(
            controller.output.contains("Error = 411"),
            "{}",
            controller.output
        );
        erlang::assert_steps(&mg, &["registered", "subtract"]);
    }
}

/// Their gateway carries a call of ours, with RTP through it.
fn their_gateway_carries_our_calls(encoder: Encoder, carrier: Carrier) {
    let ues = Ues::new(Family::V4, Family::V4);
    let network = Network::control(Layout::Together);
    let life = Duration::from_secs(18);
    let mg = erlang::start_mg(
        network.namespace(),
        network.folder(),
        address(MG),
        address(MGC),
        (encoder, carrier),
        MEDIA,
        life,
    );
    network.wait_for_gateway();
    network.import(&ues);
    let route = network.register(&ues.alice);
    network.register(&ues.dave);
    network.call(&ues.alice, &route, &ues.dave);
    strowger::wait_until(LIMIT, "the context is gone", || {
        network.figure(CONTROL, "contexts") == 0
    });
    let mg = mg.wait(LIMIT);
    erlang::assert_steps(&mg, &["registered", "add", "modify", "subtract"]);
    network.finish(|analysis| {
        assert_clean(analysis, encoder, "127.0.0.1");
        let streams = analysis.rtp_streams();
        assert_eq!(streams.len(), 4, "{streams:#?}");
        assert!(
            streams.iter().all(|stream| stream.packets == sipp::PACKETS),
            "{streams:#?}"
        );
    });
}

#[test]
fn their_gateway_carries_our_calls_in_long_tokens() {
    their_gateway_carries_our_calls(Encoder::Pretty, Carrier::Udp);
}

#[test]
fn their_gateway_carries_our_calls_in_long_tokens_over_tcp() {
    their_gateway_carries_our_calls(Encoder::Pretty, Carrier::Tcp);
}

#[test]
fn their_gateway_carries_our_calls_in_short_tokens() {
    their_gateway_carries_our_calls(Encoder::Compact, Carrier::Udp);
}

#[test]
fn their_gateway_carries_our_calls_in_short_tokens_over_tcp() {
    their_gateway_carries_our_calls(Encoder::Compact, Carrier::Tcp);
}

#[test]
fn their_gateway_carries_our_calls_in_binary() {
    their_gateway_carries_our_calls(Encoder::Ber, Carrier::Udp);
}

#[test]
fn their_gateway_carries_our_calls_in_binary_over_tcp() {
    their_gateway_carries_our_calls(Encoder::Ber, Carrier::Tcp);
}

/// tshark can read every packet, or where OTP writes binary every one from our address: OTP does
/// not encode values by their type, as the comments in A.2 ask for.
fn assert_clean(analysis: &Analysis, encoder: Encoder, ours: &str) {
    if encoder != Encoder::Ber {
        return analysis.assert_clean(&["megaco", "rtp"]);
    }
    assert!(analysis.count(&format!("h248 && ip.src == {ours}")) > 0);
    let malformed = format!("_ws.malformed && ip.src == {ours}");
    assert_eq!(analysis.count(&malformed), 0);
    let streams = analysis.rtp_streams();
    assert!(streams.iter().all(|stream| stream.lost == 0));
}

/// Their controller tells a story to our gateway, with RTP through it; returns what it saw.
fn their_controller_tells(story: Story, encoder: Encoder, carrier: Carrier) -> Run {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let capture = Capture::start(&namespace, &folder);
    let media = Some("127.0.0.3");
    let mgc = erlang::start_mgc(
        &namespace,
        &folder,
        address(MGC),
        (encoder, carrier),
        media,
        story,
    );
    let line = format!(
        "media --functions trgw --mgc {MGC} --mid {MG} --h248 {},{} --address {MEDIA} \
         --ports 20000-20099 --io udp",
        encoder.name(),
        carrier.name()
    );
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let mut ours = strowger::start(&namespace, &folder, "media", "127.0.0.2:9081", &arguments);
    let mgc = mgc.wait(LIMIT);
    assert!(ours.is_running());
    assert_clean(&capture.stop(), encoder, "127.0.0.2");
    mgc
}

/// Their controller takes one context of our gateway through its life.
fn their_controller_drives_our_gateway(encoder: Encoder, carrier: Carrier) {
    let mgc = their_controller_tells(Story::Life, encoder, carrier);
    erlang::assert_steps(
        &mgc,
        &[
            "service_change root",
            "audit_root",
            "audit_root_capabilities",
            "add",
            "modify",
            "media 50 50",
            "audit_value",
            "audit_capabilities",
            "subtract",
            "subtract_again 411",
            "audit_gone 411",
        ],
    );
    // One packet to latch on and fifty to count, each way.
    for statistic in [
        "{\"rtp/pr\",[\"51\"]}",
        "{\"rtp/ps\",[\"51\"]}",
        "{\"rtp/pl\"",
    ] {
        assert!(
            mgc.output.contains(statistic),
            "no {statistic} in:\n{}",
            mgc.output
        );
    }
}

/// Their controller has digits collected from telephone events, and sends some.
fn their_controller_has_digits_collected(encoder: Encoder, carrier: Carrier) {
    let mgc = their_controller_tells(Story::Digits, encoder, carrier);
    erlang::assert_steps(
        &mgc,
        &[
            "unambiguous",
            "relayed 21",
            "full",
            "partial",
            "partial_by_digit",
            "digit",
            "tone_ended",
            "locked",
            "buffered",
            "played",
            "heard [8]",
            "requests [19]",
            "without_map 457",
            "undefined_map 520",
            "no_map 442",
            "foreign_event 440",
            "undetected 512",
            "foreign_signal 440",
            "two_tones 513",
            "cumulative",
            "subtract_again 411",
        ],
    );
}

#[test]
fn their_controller_has_digits_collected_with_long_tokens() {
    their_controller_has_digits_collected(Encoder::Pretty, Carrier::Udp);
}

#[test]
fn their_controller_has_digits_collected_with_short_tokens() {
    their_controller_has_digits_collected(Encoder::Compact, Carrier::Udp);
}

#[test]
fn their_controller_has_digits_collected_in_binary() {
    their_controller_has_digits_collected(Encoder::Ber, Carrier::Udp);
}

#[test]
fn their_controller_has_digits_collected_with_long_tokens_over_tcp() {
    their_controller_has_digits_collected(Encoder::Pretty, Carrier::Tcp);
}

#[test]
fn their_controller_has_digits_collected_with_short_tokens_over_tcp() {
    their_controller_has_digits_collected(Encoder::Compact, Carrier::Tcp);
}

#[test]
fn their_controller_has_digits_collected_in_binary_over_tcp() {
    their_controller_has_digits_collected(Encoder::Ber, Carrier::Tcp);
}

#[test]
fn their_controller_drives_our_gateway_with_long_tokens() {
    their_controller_drives_our_gateway(Encoder::Pretty, Carrier::Udp);
}

#[test]
fn their_controller_drives_our_gateway_with_short_tokens() {
    their_controller_drives_our_gateway(Encoder::Compact, Carrier::Udp);
}

#[test]
fn their_controller_drives_our_gateway_in_binary() {
    their_controller_drives_our_gateway(Encoder::Ber, Carrier::Udp);
}

#[test]
fn their_controller_drives_our_gateway_with_long_tokens_over_tcp() {
    their_controller_drives_our_gateway(Encoder::Pretty, Carrier::Tcp);
}

#[test]
fn their_controller_drives_our_gateway_with_short_tokens_over_tcp() {
    their_controller_drives_our_gateway(Encoder::Compact, Carrier::Tcp);
}

#[test]
fn their_controller_drives_our_gateway_in_binary_over_tcp() {
    their_controller_drives_our_gateway(Encoder::Ber, Carrier::Tcp);
}
