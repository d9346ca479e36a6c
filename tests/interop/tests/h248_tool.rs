//! `strowger h248` as a controller in each encoding over each transport, and as a reader of what
//! was captured meanwhile.

use std::time::Duration;

use interop::erlang::{self, Carrier, Encoder};
use interop::{Capture, Folder, Namespace, Process, Run, strowger};

const MGC: &str = "127.0.0.1:2944";
const MG: &str = "127.0.0.2:2944";
const MEDIA: &str = "127.0.0.2";
const LIMIT: Duration = Duration::from_secs(60);

/// A context through its life, and something that is refused.
const CONTEXT: &str = "\
AuditValue = ROOT { Audit { Packages } }
Context = $ {
  Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive }, Local {
v=0
c=IN IP4 $
m=audio $ RTP/AVP 8
} } } }
}
Context = * { W-Subtract = * { Audit { } } }
Context = 4000000000 { Subtract = * }
";

/// Starts the tool, which waits for a gateway and then says all that is in the file.
fn start_tool(namespace: &Namespace, folder: &Folder, h248: &str) -> Process {
    let script = folder.write("context.h248", CONTEXT);
    let line = format!("h248 --wait --mid {MGC} --h248 {h248} --timeout 30 --verbose --file");
    let mut arguments: Vec<&str> = line.split_whitespace().collect();
    arguments.push(script.to_str().expect("the path is text"));
    let mut command = strowger::command(namespace, &arguments);
    Process::start("h248", &mut command, folder.path())
}

/// The lines in which the tool shows what was captured.
fn decoded(namespace: &Namespace, folder: &Folder, options: &[&str]) -> String {
    let run = decode(namespace, folder, options);
    run.expect_success("decode");
    run.output
}

fn decode(namespace: &Namespace, folder: &Folder, options: &[&str]) -> Run {
    let file = folder.file("capture.pcapng");
    let file = file.to_str().expect("the path is text");
    let arguments = [&["h248", "--decode", file], options].concat();
    strowger::run(namespace, folder, "decode", &arguments)
}

fn the_tool_drives_our_gateway_and_shows_what_was_said(h248: &str, carrier: &str, is_binary: bool) {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let capture = Capture::start(&namespace, &folder);
    let tool = start_tool(&namespace, &folder, h248);
    let line = format!(
        "media --functions trgw --mgc {MGC} --mid {MG} --h248 {h248} --address {MEDIA} \
         --ports 20000-20099 --io udp"
    );
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let media = strowger::start(&namespace, &folder, "media", "127.0.0.2:9081", &arguments);
    let run = tool.wait(LIMIT);
    assert!(!run.status.success(), "the last transaction is refused");
    for part in [
        "root-",
        "Add = ip/",
        "c=IN IP4 127.0.0.2",
        "Error = 411",
        "; to 127.0.0.2:",
    ] {
        assert!(run.output.contains(part), "no {part:?} in:\n{}", run.output);
    }
    drop(media);
    strowger::wait_until(LIMIT, "all of it is captured", || {
        decode(&namespace, &folder, &[])
            .output
            .contains("error 411")
    });
    capture.stop();

    let lines = decoded(&namespace, &folder, &[]);
    let encoding = if is_binary { "ber" } else { "text" };
    for part in [
        "(context -: ServiceChange ROOT Restart 901)",
        "(context $: Add $)",
        ": Add ip/",
        "(context *: W-Subtract *)",
        "error 411",
    ] {
        let is_it = |line: &&str| line.contains(part);
        let line = lines.lines().find(is_it);
        let line = line.unwrap_or_else(|| panic!("no {part:?} in:\n{lines}"));
        assert!(line.contains(&format!(" {carrier} {encoding} ")), "{line}");
    }
    assert!(!lines.contains("not readable"), "{lines}");
    let whole = decoded(&namespace, &folder, &["--full"]);
    assert!(whole.contains("LocalControl {\n"), "{whole}");
    let json = decoded(&namespace, &folder, &["--json"]);
    assert_eq!(json.lines().count(), lines.lines().count());
    let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    assert!(json.lines().all(is_json), "{json}");
}

#[test]
fn the_tool_speaks_compact_text_over_udp() {
    the_tool_drives_our_gateway_and_shows_what_was_said("compact,udp", "udp", false);
}

#[test]
fn the_tool_speaks_binary_over_udp() {
    the_tool_drives_our_gateway_and_shows_what_was_said("ber,udp", "udp", true);
}

#[test]
fn the_tool_speaks_pretty_text_over_tcp() {
    the_tool_drives_our_gateway_and_shows_what_was_said("pretty,tcp", "tcp", false);
}

#[test]
fn the_tool_speaks_binary_over_tcp_with_otp() {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let script = folder.write("context.h248", CONTEXT);
    let line = format!("h248 --wait --mid {MGC} --h248 ber,tcp --timeout 30 --file");
    let mut arguments: Vec<&str> = line.split_whitespace().collect();
    arguments.push(script.to_str().expect("the path is text"));
    let tool = Process::start(
        "h248",
        &mut strowger::command(&namespace, &arguments),
        folder.path(),
    );
    let ends = (MG.parse().expect("one"), MGC.parse().expect("one"));
    let kind = (Encoder::Ber, Carrier::Tcp);
    let life = Duration::from_secs(6);
    let mg = erlang::start_mg(&namespace, &folder, ends.0, ends.1, kind, MEDIA, life);
    let run = tool.wait(LIMIT);
    for part in ["Add = ip/", "c=IN IP4 127.0.0.2", "Error = 411"] {
        assert!(run.output.contains(part), "no {part:?} in:\n{}", run.output);
    }
    erlang::assert_steps(&mg.wait(LIMIT), &["registered", "audit_value root", "add"]);
}

#[test]
fn a_gateway_of_a_profile_refuses_what_is_beyond_it_and_says_which_it_is() {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let file = format!(
        "[[mg]]\nprofile = \"iq\"\nprofile_names = [\"ours/3\"]\nmgc = [\"{MGC}\"]\n\
         mid = \"{MG}\"\naddresses = [\"{MEDIA}\"]\n"
    );
    let file = folder.write("media.toml", file);
    let file = file.to_str().expect("the path is text");
    let line = [
        "h248",
        "--wait",
        "--mid",
        MGC,
        "--timeout",
        "30",
        "--verbose",
    ];
    let line = [&line[..], &["Context = $ { Move = ip/1/1 }"]].concat();
    let mut command = strowger::command(&namespace, &line);
    let tool = Process::start("h248", &mut command, folder.path());
    let arguments = ["media", "--config", file];
    let _media = strowger::start(&namespace, &folder, "media", "127.0.0.2:9081", &arguments);
    let said = tool.wait(LIMIT).output;
    assert!(said.contains("Error = 443"), "{said}");
    assert!(said.contains("PF=ours/3"), "{said}");
}

#[test]
fn a_gateway_that_accepts_no_connection_is_named_with_what_to_do() {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let line =
        format!("h248 --mid {MGC} --mg {MG} --h248 tcp --timeout 2 AuditValue=ROOT{{Audit{{}}}}");
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let run = strowger::run(&namespace, &folder, "h248", &arguments);
    assert!(!run.status.success());
    let said = run.output;
    assert!(
        said.contains("cannot connect to") && said.contains("--wait"),
        "{said}"
    );
}
