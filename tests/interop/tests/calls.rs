//! SIPp registers and calls through our processes; tshark reads every packet.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use interop::sipp::{self, Credentials, Ue};
use interop::{Analysis, Capture, Folder, Namespace, Process, strowger};

const REALM: &str = "ims.test";
const READY_LIMIT: Duration = Duration::from_secs(20);

/// Admin addresses.
const CONTROL: &str = "127.0.0.1:9080";
const MEDIA: &str = "127.0.0.2:9081";
const CORE: &str = "127.0.0.3:9080";
const HSS: &str = "127.0.0.6:9080";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

/// IP version of one side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// Two subscribers with a USIM and two with a password, each with an address of its own.
struct Ues {
    alice: Ue,
    bob: Ue,
    carol: Ue,
    dave: Ue,
}

impl Ues {
    fn new(alice_and_carol: Family, bob_and_dave: Family) -> Self {
        let ue = |user, last: u8, family, credentials| {
            let at = match family {
                Family::V4 => format!("127.0.0.1{last}:5060"),
                Family::V6 => format!("[fd00::{last}]:5060"),
            };
            let address = address(&at);
            Ue {
                user,
                realm: REALM,
                credentials,
                address,
                media_port: 6000,
            }
        };
        let aka = |k, op| Credentials::Aka { k, op, amf: "8000" };
        Ues {
            alice: ue(
                "alice",
                4,
                alice_and_carol,
                aka(
                    "e1a2b3c4d5e6f708192a3b4c5e6e7f80",
                    "cdc202d5123e20f62b6d676ac72cb318",
                ),
            ),
            bob: ue(
                "bob",
                5,
                bob_and_dave,
                aka(
                    "0396eb317b6d1c36f19c1c84cd6ffd16",
                    "ff53bade17df5d4e793073ce9d7579fa",
                ),
            ),
            carol: ue(
                "carol",
                6,
                alice_and_carol,
                Credentials::Password("opensesame"),
            ),
            dave: ue(
                "dave",
                7,
                bob_and_dave,
                Credentials::Password("correcthorse"),
            ),
        }
    }

    fn all(&self) -> [&Ue; 4] {
        [&self.alice, &self.bob, &self.carol, &self.dave]
    }
}

/// A running network.
struct Network {
    // Dropped in this order: processes before the namespace that they run in.
    processes: Vec<Process>,
    capture: Capture,
    namespace: Namespace,
    folder: Folder,
}

impl Network {
    fn pcscf(ue: &Ue) -> SocketAddr {
        address(if ue.address.is_ipv4() {
            "127.0.0.1:5060"
        } else {
            "[fd00::1]:5060"
        })
    }

    fn start_media(namespace: &Namespace, folder: &Folder) -> Process {
        let line = "media --functions trgw --mgc 127.0.0.1:2944 --mid 127.0.0.2:2944 \
                    --address 127.0.0.2,fd00::2 --ports 20000-29999 --io udp";
        let arguments: Vec<&str> = line.split_whitespace().collect();
        strowger::start(namespace, folder, "media", MEDIA, &arguments)
    }

    /// All entities in one process, which pass values.
    fn together() -> Self {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        let capture = Capture::start(&namespace, &folder);
        let line = "control --roles pcscf,icscf,scscf,hss --sip 127.0.0.1:5060,[fd00::1]:5060 \
                    --realm ims.test --mgc 127.0.0.1:2944 --hss local --store subscribers.redb \
                    --state control";
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let control = strowger::start(&namespace, &folder, "control", CONTROL, &arguments);
        let media = Self::start_media(&namespace, &folder);
        let network = Network {
            processes: vec![media, control],
            capture,
            namespace,
            folder,
        };
        network.wait_until_ready();
        network
    }

    /// P-CSCF, I- and S-CSCF, and HSS in processes of their own, which speak SIP and Diameter.
    fn apart() -> Self {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        let capture = Capture::start(&namespace, &folder);
        let start = |name, admin, line: &str| {
            let arguments: Vec<&str> = line.split_whitespace().collect();
            strowger::start(&namespace, &folder, name, admin, &arguments)
        };
        let hss = "control --roles hss --realm ims.test --diameter 127.0.0.6:3868 \
                   --store subscribers.redb --state hss";
        let core = "control --roles icscf,scscf --realm ims.test --sip 127.0.0.3:5060 \
                    --hss 127.0.0.6:3868 --state core";
        let pcscf = "control --roles pcscf --realm ims.test \
                     --sip 127.0.0.1:5060,[fd00::1]:5060 --icscf 127.0.0.3:5060 \
                     --mgc 127.0.0.1:2944 --state pcscf";
        let processes = vec![
            Self::start_media(&namespace, &folder),
            start("pcscf", CONTROL, pcscf),
            start("core", CORE, core),
            start("hss", HSS, hss),
        ];
        let network = Network {
            processes,
            capture,
            namespace,
            folder,
        };
        network.wait_until_ready();
        network
    }

    fn wait_until_ready(&self) {
        strowger::wait_until(READY_LIMIT, "the gateway registers", || {
            let status = strowger::status(&self.namespace, &self.folder, CONTROL);
            let gateways = status.and_then(|status| status["media_gateways"].as_array().cloned());
            gateways.is_some_and(|all| all.iter().any(|each| each["state"] == "in service"))
        });
    }

    fn import(&self, ues: &Ues, admin: &str, state: &str) {
        let file = self
            .folder
            .write("subscribers.csv", sipp::import_file(&ues.all()));
        let file = file.to_str().expect("the path is text");
        let arguments = [
            "subscriber",
            "--admin",
            admin,
            "--state",
            state,
            "import",
            file,
        ];
        strowger::run(&self.namespace, &self.folder, "import", &arguments)
            .expect_success("subscriber import");
    }

    fn register(&self, ue: &Ue) -> String {
        ue.register(&self.namespace, &self.folder, Self::pcscf(ue))
    }

    fn call(&self, caller: &Ue, service_route: &str, callee: &Ue) {
        let answering = callee.start_answering(&self.namespace, &self.folder);
        let pcscf = Self::pcscf(caller);
        caller.call(
            &self.namespace,
            &self.folder,
            pcscf,
            service_route,
            callee,
            answering,
        );
    }

    /// Everybody registers, calls somebody, is called by somebody, and deregisters.
    fn exercise(&self, ues: &Ues) {
        let routes = ues.all().map(|ue| self.register(ue));
        let [alice, bob, carol, dave] = &routes;
        // Two calls at a time; each pair has a USIM on one side and a password on the other.
        thread::scope(|scope| {
            scope.spawn(|| self.call(&ues.alice, alice, &ues.dave));
            scope.spawn(|| self.call(&ues.carol, carol, &ues.bob));
        });
        thread::scope(|scope| {
            scope.spawn(|| self.call(&ues.bob, bob, &ues.alice));
            scope.spawn(|| self.call(&ues.dave, dave, &ues.carol));
        });
        for ue in ues.all() {
            ue.deregister(&self.namespace, &self.folder, Self::pcscf(ue));
        }
    }

    /// Nothing is left over, and every process is still there; then ends the capture.
    fn finish(mut self, processes: &[&str]) -> Analysis {
        for admin in processes {
            let figure = |name: &str| {
                let status = strowger::status(&self.namespace, &self.folder, admin);
                status.and_then(|status| status[name].as_u64()).unwrap_or(0)
            };
            strowger::wait_until(READY_LIMIT, &format!("{admin} forgets the calls"), || {
                figure("dialogs") == 0 && figure("contexts") == 0
            });
        }
        assert!(
            self.processes.iter_mut().all(Process::is_running),
            "a process ended"
        );
        self.capture.stop()
    }
}

/// Four calls of two legs with RTP both ways, none of it lost.
fn assert_calls(analysis: &Analysis, protocols: &[&str]) {
    analysis.assert_clean(protocols);
    let streams = analysis.rtp_streams();
    assert_eq!(streams.len(), 4 * 2 * 2, "{streams:#?}");
    assert!(
        streams.iter().all(|stream| stream.packets == sipp::PACKETS),
        "{streams:#?}"
    );
}

fn calls_in_one_process(ues: &Ues) {
    let network = Network::together();
    network.import(ues, CONTROL, "control");
    network.exercise(ues);
    assert_calls(
        &network.finish(&[CONTROL, MEDIA]),
        &["sip", "megaco", "rtp"],
    );
}

#[test]
fn sipp_calls_over_ipv4() {
    calls_in_one_process(&Ues::new(Family::V4, Family::V4));
}

#[test]
fn sipp_calls_over_ipv6() {
    calls_in_one_process(&Ues::new(Family::V6, Family::V6));
}

#[test]
fn sipp_calls_between_ipv4_and_ipv6() {
    calls_in_one_process(&Ues::new(Family::V4, Family::V6));
}

#[test]
fn sipp_calls_through_separate_processes() {
    let network = Network::apart();
    let ues = Ues::new(Family::V4, Family::V6);
    network.import(&ues, HSS, "hss");
    network.exercise(&ues);
    let analysis = network.finish(&[CONTROL, CORE, MEDIA]);
    assert_calls(&analysis, &["sip", "megaco", "diameter", "rtp"]);
}
