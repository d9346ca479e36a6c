//! The end of processes: told to, they let calls end; killed, they are started again.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use interop::network::{Family, Ues};
use interop::sipp::Ue;
use interop::{Analysis, Capture, Folder, Namespace, Process, signal, sipp, strowger};

const CONTROL: &str = "127.0.0.1:9080";
const MEDIA: &str = "127.0.0.1:9081";
const PCSCF: &str = "127.0.0.1:5060";
const LIMIT: Duration = Duration::from_secs(60);

/// `strowger up` in a network of its own.
struct Up {
    // Dropped in this order.
    process: Process,
    namespace: Namespace,
    folder: Folder,
}

impl Up {
    fn start(flags: &str) -> Self {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        let line = format!("up --no-call --state state {flags}");
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut command = strowger::command(&namespace, &arguments);
        let mut process = Process::start("up", &mut command, folder.path());
        process.wait_for("running", LIMIT);
        Up {
            process,
            namespace,
            folder,
        }
    }

    fn figure(&self, admin: &str, name: &str) -> Option<u64> {
        strowger::status(&self.namespace, &self.folder, admin)?[name].as_u64()
    }

    fn wait_for_dialogs(&self, dialogs: u64) {
        strowger::wait_until(LIMIT, &format!("there are {dialogs} dialogs"), || {
            self.figure(CONTROL, "dialogs") == Some(dialogs)
        });
    }

    fn import(&self, ues: &[&Ue]) {
        let file = self.folder.write("subscribers.csv", sipp::import_file(ues));
        let file = file.to_str().expect("the path is text");
        let line = ["subscriber", "--state", "state/control", "import", file];
        strowger::run(&self.namespace, &self.folder, "import", &line)
            .expect_success("subscriber import");
    }

    /// Our own user agents, who call for so many seconds.
    fn call(&self, seconds: u32) -> Process {
        let line = format!("call --state state/control --seconds {seconds}");
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut command = strowger::command(&self.namespace, &arguments);
        let call = Process::start("call", &mut command, self.folder.path());
        self.wait_for_dialogs(2);
        call
    }

    /// What a request that begins something is answered.
    fn answer_to(&self, method: &str, more: &str) -> String {
        let request = format!(
            "{method} sip:ims.test SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:stranger@ims.test>;tag=1\r\nTo: <sip:stranger@ims.test>\r\n\
             Call-ID: {method}\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
        );
        self.namespace.inside(|| {
            let socket = UdpSocket::bind("127.0.0.9:5060").expect("an address");
            let patience = socket.set_read_timeout(Some(LIMIT));
            patience.expect("a time");
            socket.send_to(request.as_bytes(), PCSCF).expect("sent");
            let mut answer = [0; 65_535];
            let length = socket.recv(&mut answer).expect("an answer");
            String::from_utf8_lossy(&answer[..length]).into_owned()
        })
    }

    /// Waits until neither process answers any more.
    fn wait_for_silence(&self) {
        for admin in [CONTROL, MEDIA] {
            strowger::wait_until(LIMIT, &format!("{admin} is gone"), || {
                self.figure(admin, "uptime_s").is_none()
            });
        }
    }
}

fn assert_refused(answer: &str) {
    assert!(answer.starts_with("SIP/2.0 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
}

#[test]
fn calls_end_in_their_time_while_new_ones_are_refused() {
    let mut up = Up::start("--drain 60");
    let ues = Ues::new(Family::V4, Family::V4);
    let (carol, dave) = (&ues.carol, &ues.dave);
    up.import(&[carol, dave]);
    let pcscf = PCSCF.parse().expect("an address");
    let route = carol.register(&up.namespace, &up.folder, pcscf);
    dave.register(&up.namespace, &up.folder, pcscf);
    let answering = dave.start_answering(&up.namespace, &up.folder);
    thread::scope(|scope| {
        let Up {
            namespace, folder, ..
        } = &up;
        let call = scope.spawn(|| carol.call(namespace, folder, pcscf, &route, dave, answering));
        up.wait_for_dialogs(2);
        up.process.signal("TERM");
        strowger::wait_until(LIMIT, "it drains", || {
            up.process.output().contains("draining: 2 dialogs left")
        });
        assert_refused(&up.answer_to("INVITE", ""));
        assert_refused(&up.answer_to("REGISTER", ""));
        let status = strowger::status(namespace, folder, CONTROL).expect("it answers");
        assert_eq!(status["draining"], true, "{status}");
        assert_eq!(status["counters"]["sip.refused.drain"], 2, "{status}");
        // SIPp has spoken for its time and its BYE was answered.
        if let Err(panic) = call.join() {
            std::panic::resume_unwind(panic);
        }
    });
    up.process.wait_for("stopped", LIMIT);
    let run = up.process.wait(LIMIT);
    run.expect_success("up");
    assert!(!run.output.contains("released"), "{}", run.output);
}

#[test]
fn a_call_that_does_not_end_is_released() {
    let up = Up::start("--drain 1");
    let call = up.call(60);
    let told = Instant::now();
    up.process.signal("TERM");
    let ended = call.wait(LIMIT);
    assert!(!ended.status.success(), "{}", ended.output);
    let run = up.process.wait(LIMIT);
    run.expect_success("up");
    assert!(
        run.output.contains("2 dialogs have not ended"),
        "{}",
        run.output
    );
    assert!(!run.output.contains("does not stop"), "{}", run.output);
    assert!(told.elapsed() < Duration::from_secs(20));
}

#[test]
fn told_again_it_stops_at_once() {
    let up = Up::start("--drain 600");
    let call = up.call(60);
    up.process.signal("TERM");
    strowger::wait_until(LIMIT, "it drains", || {
        up.process.output().contains("draining: 2 dialogs left")
    });
    up.process.signal("TERM");
    // Both processes see it end; control releases the call first.
    assert!(!call.wait(LIMIT).status.success());
    up.wait_for_silence();
    assert_eq!(up.process.wait(LIMIT).status.code(), Some(128 + 15));
}

#[test]
fn nothing_stays_behind_when_it_is_killed() {
    let up = Up::start("");
    up.process.signal("KILL");
    up.wait_for_silence();
}

#[test]
fn a_killed_process_is_started_again_and_calls_work() {
    let mut up = Up::start("");
    for (name, admin) in [("media", MEDIA), ("control", CONTROL)] {
        let of = |id: &u32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            line.split(|&byte| byte == 0)
                .any(|word| word == name.as_bytes())
        };
        let child = up.process.children().into_iter().find(of);
        signal(child.expect("it runs"), "KILL");
        let line = format!("{name} was killed by SIGKILL");
        up.process.wait_for(&line, LIMIT);
        up.process.wait_for("starting it again in 1 s", LIMIT);
        strowger::wait_until(LIMIT, &format!("{name} answers"), || {
            up.figure(admin, "uptime_s").is_some()
        });
    }
    strowger::wait_until(LIMIT, "the gateway is in service", || {
        let status = strowger::status(&up.namespace, &up.folder, CONTROL);
        status.is_some_and(|status| status["media_gateways"][0]["state"] == "in service")
    });
    let call = up.call(1).wait(LIMIT);
    call.expect_success("call");
    up.process.stop(LIMIT).expect_success("up");
}

#[test]
fn what_cannot_start_is_told_with_its_cause() {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let taken = namespace.inside(|| UdpSocket::bind("127.0.0.1:5060").expect("an address"));
    let line = ["up", "--no-call", "--sip", PCSCF];
    let run = strowger::run(&namespace, &folder, "up", &line);
    assert_eq!(run.status.code(), Some(1), "{}", run.output);
    let why = "control does not start: it ended with exit status 1 after \"";
    assert!(run.output.contains(why), "{}", run.output);
    assert!(run.output.contains("cannot listen on UDP 127.0.0.1:5060"));
    drop(taken);
}

#[test]
fn each_process_drains_by_itself() {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let start = |name: &str, admin: &str, line: &str| {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        strowger::start(&namespace, &folder, name, admin, &arguments)
    };
    let flags = "--log info --drain 60";
    let control = start(
        "control",
        CONTROL,
        &format!("control --store subscribers.redb --state state/control {flags}"),
    );
    let media = start("media", MEDIA, &format!("media {flags}"));
    strowger::wait_until(LIMIT, "the gateway is in service", || {
        let status = strowger::status(&namespace, &folder, CONTROL);
        status.is_some_and(|status| status["media_gateways"][0]["state"] == "in service")
    });
    let line = ["call", "--state", "state/control", "--seconds", "4"];
    let mut command = strowger::command(&namespace, &line);
    let call = Process::start("call", &mut command, folder.path());
    strowger::wait_until(LIMIT, "there is a call", || {
        let status = strowger::status(&namespace, &folder, MEDIA);
        status.is_some_and(|status| status["contexts"] != 0)
    });
    media.signal("TERM");
    control.signal("TERM");
    strowger::wait_until(LIMIT, "both drain", || {
        let states = [MEDIA, CONTROL].map(|at| strowger::status(&namespace, &folder, at));
        let [Some(media), Some(control)] = states else {
            panic!("one has ended");
        };
        media["gateways"][0]["state"] == "draining" && control["draining"] == true
    });
    // The call goes on to its end.
    let run = call.wait(LIMIT);
    // What its user agents still want of control afterwards may come too late.
    assert!(run.output.contains("talk         4 s"), "{}", run.output);
    assert!(!run.output.contains("before its time"), "{}", run.output);
    media.wait(LIMIT).expect_success("media");
    control.wait(LIMIT).expect_success("control");
}

#[test]
fn diameter_peers_are_told() {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let capture = Capture::start(&namespace, &folder);
    let start = |name: &str, admin: &str, line: &str| {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        strowger::start(&namespace, &folder, name, admin, &arguments)
    };
    let hss = "control --roles hss --diameter 127.0.0.6:3868 --state hss --store subscribers.redb";
    let hss = start("hss", "127.0.0.6:9080", hss);
    let core = "control --roles icscf,scscf --sip 127.0.0.3:5060 --hss 127.0.0.6:3868 --state core";
    let core = start("core", CONTROL, core);
    strowger::wait_until(LIMIT, "they are connected", || {
        let status = strowger::status(&namespace, &folder, CONTROL);
        status.is_some_and(|status| status["diameter_peers"][0]["state"] == "IOpen")
    });
    // Without calls there is nothing to wait for.
    core.stop(Duration::from_secs(10)).expect_success("core");
    hss.stop(Duration::from_secs(10)).expect_success("hss");
    let (asked, answered) = (
        "diameter.cmd.code == 282 && diameter.flags.request == 1",
        "diameter.cmd.code == 282 && diameter.Result-Code == 2001",
    );
    // What was captured last reaches the file a moment later.
    strowger::wait_until(LIMIT, "the leave-taking is captured", || {
        Analysis::of(&folder.file("capture.pcapng")).count(answered) > 0
    });
    let analysis = capture.stop();
    analysis.assert_clean(&["diameter"]);
    assert_eq!(analysis.count(asked), 1);
    assert_eq!(analysis.count(answered), 1);
}
