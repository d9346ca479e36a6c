//! A gateway with two controllers: when one is killed it goes to the other.

use std::time::Duration;

use interop::{Capture, Folder, Namespace, Process, strowger};

const FIRST: &str = "127.0.0.1";
const SECOND: &str = "127.0.0.3";
const MEDIA: &str = "127.0.0.2:9081";
/// Longer than a silence, the request that it provokes and a pause after it.
const PATIENCE: Duration = Duration::from_secs(60);

fn start_control(namespace: &Namespace, folder: &Folder, ip: &str, h248: &str) -> Process {
    let name = format!("control-{ip}");
    let line = format!(
        "control --roles pcscf --realm ims.test --icscf 127.0.0.9:5060 --sip {ip}:5060 \
         --mgc {ip}:2944 --h248 {h248} --state {name}"
    );
    let arguments: Vec<&str> = line.split_whitespace().collect();
    strowger::start(namespace, folder, &name, &format!("{ip}:9080"), &arguments)
}

/// The gateway in service at the controller of this address.
fn serves(namespace: &Namespace, folder: &Folder, ip: &str) -> bool {
    let status = strowger::status(namespace, folder, &format!("{ip}:9080"));
    let gateways = status.and_then(|status| status["media_gateways"].as_array().cloned());
    gateways.is_some_and(|all| all.iter().any(|each| each["state"] == "in service"))
}

/// The controller to which the gateway believes to belong.
fn believes(namespace: &Namespace, folder: &Folder, ip: &str) -> bool {
    let status = strowger::status(namespace, folder, MEDIA);
    status.is_some_and(|status| {
        let gateway = &status["gateways"][0];
        gateway["state"] == "in service" && gateway["mgc"] == format!("{ip}:2944")
    })
}

fn a_gateway_goes_to_the_second_controller(h248: &str, protocol: &str) {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    // SCTP wants addresses that an interface has.
    for address in ["127.0.0.2/32", "127.0.0.3/32"] {
        namespace.add_address(address);
    }
    let start_control = |ip: &str| start_control(&namespace, &folder, ip, "pretty,udp,tcp,sctp");
    let capture = Capture::start(&namespace, &folder);
    let first = start_control(FIRST);
    let mut second = start_control(SECOND);
    let line = format!(
        "media --functions trgw --mgc {FIRST}:2944,{SECOND}:2944 --mid 127.0.0.2:2944 \
         --h248 {h248} --address 127.0.0.2 --ports 20000-20099 --io udp"
    );
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let mut media = strowger::start(&namespace, &folder, "media", MEDIA, &arguments);
    let wait_for = |ip: &str| {
        strowger::wait_until(PATIENCE, &format!("{ip} controls the gateway"), || {
            serves(&namespace, &folder, ip) && believes(&namespace, &folder, ip)
        });
    };
    wait_for(FIRST);
    assert!(!serves(&namespace, &folder, SECOND));
    drop(first);
    wait_for(SECOND);
    // The first one is back and not in control, until the second one is gone.
    let first = start_control(FIRST);
    assert!(believes(&namespace, &folder, SECOND));
    assert!(second.is_running() && media.is_running());
    drop(second);
    wait_for(FIRST);
    drop(first);
    // Of the admin interface's ports tshark makes what it likes.
    let port = "(tcp.port == 2944 || udp.port == 2944 || sctp.port == 2944)";
    let analysis = capture.stop();
    assert!(analysis.count(protocol) > 0);
    assert_eq!(analysis.count(&format!("{port} && _ws.malformed")), 0);
}

#[test]
fn a_gateway_over_tcp_goes_to_the_second_controller() {
    a_gateway_goes_to_the_second_controller("ber,tcp", "tpkt");
}

/// Three processes on one host, none of which minds the others' packets.
#[test]
fn a_gateway_over_raw_sctp_goes_to_the_second_controller() {
    a_gateway_goes_to_the_second_controller("compact,sctp", "sctp");
}

#[test]
fn a_gateway_over_udp_goes_to_the_second_controller() {
    a_gateway_goes_to_the_second_controller("compact,udp", "megaco");
}

/// Contexts of the gateway.
fn contexts(namespace: &Namespace, folder: &Folder) -> Option<u64> {
    strowger::status(namespace, folder, MEDIA)?["gateways"][0]["contexts"].as_u64()
}

/// A controller by hand makes a context and says `last`; then it is gone, and the gateway belongs
/// to the second one, which knows of no context.
fn a_context_of_the_first_controller_is_gone_with_it(last: &str, method: &str) {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let add = "Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive }, \
               Local {\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8\n} } } }";
    let said = format!("Context = $ {{ {add}, {add} }}\n{last}\n");
    let script = folder.write("first.h248", said);
    let script = script.to_str().expect("the path is text");
    let mid = format!("{FIRST}:2944");
    let arguments = [
        "h248",
        "--wait",
        "--mid",
        &mid,
        "--timeout",
        "30",
        "--file",
        script,
    ];
    let mut command = strowger::command(&namespace, &arguments);
    let first = Process::start("first", &mut command, folder.path());
    let line = format!(
        "media --functions trgw --mgc {FIRST}:2944,{SECOND}:2944 --mid 127.0.0.2:2944 \
         --address 127.0.0.2 --ports 20000-20099 --io udp"
    );
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let _media = strowger::start(&namespace, &folder, "media", MEDIA, &arguments);
    let first = first.wait(PATIENCE);
    first.expect_success("first");
    assert_eq!(contexts(&namespace, &folder), Some(1), "{}", first.output);

    let capture = Capture::start(&namespace, &folder);
    let _second = start_control(&namespace, &folder, SECOND, "pretty,udp,tcp");
    strowger::wait_until(PATIENCE, "the second controls the gateway", || {
        serves(&namespace, &folder, SECOND) && believes(&namespace, &folder, SECOND)
    });
    assert_eq!(contexts(&namespace, &folder), Some(0));
    let status = strowger::status(&namespace, &folder, MEDIA);
    assert_eq!(status.expect("it answers")["gateways"][0]["ports_used"], 0);
    let file = folder.file("capture.pcapng");
    let file = file.to_str().expect("the path is text");
    let announced = format!("ServiceChange ROOT {method}");
    strowger::wait_until(PATIENCE, "the method is captured", || {
        let arguments = ["h248", "--decode", file];
        let shown = strowger::run(&namespace, &folder, "decode", &arguments);
        shown.output.contains(&announced)
    });
    capture.stop().assert_clean(&["megaco"]);
}

#[test]
fn a_context_of_a_controller_that_is_gone_is_subtracted_by_the_next() {
    let nothing = "AuditValue = ROOT { Audit { } }";
    a_context_of_the_first_controller_is_gone_with_it(nothing, "Failover");
}

#[test]
fn a_gateway_that_is_handed_over_goes_to_the_next_at_once() {
    let hand_off = format!(
        "ServiceChange = ROOT {{ Services {{ Method = HandOff, Reason = \"903 MGC directed \
         change\", MgcIdToTry = [{SECOND}]:2944 }} }}"
    );
    a_context_of_the_first_controller_is_gone_with_it(&hand_off, "HandOff 903");
}
