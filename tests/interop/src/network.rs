//! A whole network of our processes with SIPp's UEs round it.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::sipp::{self, Credentials, Transport, Ue};
use crate::{Analysis, Capture, Folder, Namespace, Process, Run, strowger};

const REALM: &str = "ims.test";
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How long a call may take to be answered.
const CALL_PATIENCE: Duration = Duration::from_secs(60);

/// Admin address of the process that plays the P-CSCF, and all else when there is only one.
pub const CONTROL: &str = "127.0.0.1:9080";
/// Admin address of the media process.
pub const MEDIA: &str = "127.0.0.2:9081";
/// Admin address of the process that plays I- and S-CSCF.
pub const CORE: &str = "127.0.0.3:9080";
/// Where the HSS accepts Diameter peers when it is a process of its own.
pub const CX: &str = "127.0.0.6:3868";
/// Admin address of the process that plays the HSS.
pub const HSS: &str = "127.0.0.6:9080";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

/// IP version of one side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 127.0.0.0/8.
    V4,
    /// fd00::/8.
    V6,
}

/// Two subscribers with a USIM and two with a password, each with an address of its own.
pub struct Ues {
    /// Has a USIM.
    pub alice: Ue,
    /// Has a USIM.
    pub bob: Ue,
    /// Has a password.
    pub carol: Ue,
    /// Has a password.
    pub dave: Ue,
}

impl Ues {
    /// Their names, keys and addresses.
    pub fn new(alice_and_carol: Family, bob_and_dave: Family) -> Self {
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
                transport: Transport::Udp,
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

    /// The same with SIP over TCP.
    #[must_use]
    pub fn over_tcp(mut self) -> Self {
        for ue in [
            &mut self.alice,
            &mut self.bob,
            &mut self.carol,
            &mut self.dave,
        ] {
            ue.transport = Transport::Tcp;
        }
        self
    }

    /// All four.
    pub fn all(&self) -> [&Ue; 4] {
        [&self.alice, &self.bob, &self.carol, &self.dave]
    }
}

/// How the entities are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All in one process: they pass values.
    Together,
    /// P-CSCF, I- and S-CSCF, and HSS in one each: they speak SIP and Diameter.
    Apart,
}

/// A process of a network, and how it is started.
struct Member {
    name: String,
    admin: String,
    line: String,
    /// None after it was killed.
    process: Option<Process>,
}

/// A running network.
pub struct Network {
    // Dropped in this order: processes before the namespace that they run in.
    members: Vec<Member>,
    capture: Capture,
    layout: Layout,
    namespace: Namespace,
    folder: Folder,
}

impl Network {
    /// Starts the control processes.
    pub fn control(layout: Layout) -> Self {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        let capture = Capture::start(&namespace, &folder);
        let mut network = Network {
            members: Vec::new(),
            capture,
            layout,
            namespace,
            folder,
        };
        match layout {
            Layout::Together => network.start(
                "control",
                CONTROL,
                "control --roles pcscf,icscf,scscf,hss --realm ims.test --hss local \
                 --sip 127.0.0.1:5060,[fd00::1]:5060 --mgc 127.0.0.1:2944 \
                 --store subscribers.redb --state hss",
            ),
            Layout::Apart => {
                network.start(
                    "hss",
                    HSS,
                    "control --roles hss --realm ims.test --diameter 127.0.0.6:3868 \
                     --store subscribers.redb --state hss",
                );
                network.start(
                    "core",
                    CORE,
                    "control --roles icscf,scscf --realm ims.test --sip 127.0.0.3:5060 \
                     --hss 127.0.0.6:3868 --state core",
                );
                network.start(
                    "pcscf",
                    CONTROL,
                    "control --roles pcscf --realm ims.test --icscf 127.0.0.3:5060 \
                     --sip 127.0.0.1:5060,[fd00::1]:5060 --mgc 127.0.0.1:2944 --state pcscf",
                );
            }
        }
        network
    }

    /// Starts the control processes and a media process, and waits until it has registered.
    pub fn whole(layout: Layout) -> Self {
        Self::whole_over(layout, "compact,udp")
    }

    /// The same with this encoding and transport of H.248.
    pub fn whole_over(layout: Layout, h248: &str) -> Self {
        let mut network = Self::control(layout);
        let line = format!(
            "media --functions trgw --mgc 127.0.0.1:2944 --mid 127.0.0.2:2944 --h248 {h248} \
             --address 127.0.0.2,fd00::2 --ports 20000-29999 --io udp"
        );
        network.start("media", MEDIA, &line);
        network.wait_for_gateway();
        network
    }

    /// Waits until a gateway is in service at the controller.
    pub fn wait_for_gateway(&self) {
        strowger::wait_until(READY_LIMIT, "the gateway registers", || {
            let status = strowger::status(&self.namespace, &self.folder, CONTROL);
            let gateways = status.and_then(|status| status["media_gateways"].as_array().cloned());
            gateways.is_some_and(|all| all.iter().any(|each| each["state"] == "in service"))
        });
    }

    /// Waits until the process with the S-CSCF is connected to the HSS: after a restart of either
    /// it tries once a second.
    pub fn wait_for_hss(&self) {
        strowger::wait_until(READY_LIMIT, "the HSS is connected", || {
            let status = strowger::status(&self.namespace, &self.folder, CORE);
            let peers = status.and_then(|status| status["diameter_peers"].as_array().cloned());
            peers.is_some_and(|all| all.iter().any(|each| each["state"] == "IOpen"))
        });
    }

    /// Where it runs.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Where it writes.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    fn start(&mut self, name: &str, admin: &str, line: &str) {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let process = strowger::start(&self.namespace, &self.folder, name, admin, &arguments);
        self.members.push(Member {
            name: name.to_owned(),
            admin: admin.to_owned(),
            line: line.to_owned(),
            process: Some(process),
        });
    }

    /// Kills the process that answers at this admin address, by SIGKILL.
    pub fn kill(&mut self, admin: &str) {
        let member = self.members.iter_mut().find(|it| it.admin == admin);
        member.expect("it is in the network").process = None;
    }

    /// The same while the network is in use elsewhere; [`Network::kill`] is to follow.
    pub fn kill_now(&self, admin: &str) {
        let member = self.members.iter().find(|it| it.admin == admin);
        let process = member.and_then(|it| it.process.as_ref());
        process.expect("it runs").kill();
    }

    /// Starts a process anew that was killed, and waits until it answers.
    pub fn start_again(&mut self, admin: &str) {
        let at = self.members.iter().position(|it| it.admin == admin);
        let member = self.members.remove(at.expect("it is in the network"));
        self.start(&member.name, &member.admin, &member.line);
    }

    /// Gives the subscribers to the HSS.
    pub fn import(&self, ues: &Ues) {
        let file = self
            .folder
            .write("subscribers.csv", sipp::import_file(&ues.all()));
        let file = file.to_str().expect("the path is text");
        let admin = self.hss();
        let arguments = [
            "subscriber",
            "--admin",
            admin,
            "--state",
            "hss",
            "import",
            file,
        ];
        strowger::run(&self.namespace, &self.folder, "import", &arguments)
            .expect_success("subscriber import");
    }

    /// Registers a UE and returns its Service-Route.
    pub fn register(&self, ue: &Ue) -> String {
        ue.register(&self.namespace, &self.folder, pcscf_of(ue))
    }

    /// Removes a UE's registration.
    pub fn deregister(&self, ue: &Ue) {
        ue.deregister(&self.namespace, &self.folder, pcscf_of(ue));
    }

    /// Makes a call with RTP both ways.
    pub fn call(&self, caller: &Ue, service_route: &str, callee: &Ue) {
        let (namespace, folder) = (&self.namespace, &self.folder);
        let answering = callee.start_answering(namespace, folder);
        caller.call(
            namespace,
            folder,
            pcscf_of(caller),
            service_route,
            callee,
            answering,
        );
    }

    /// Starts a call, and waits until it is answered: caller and callee.
    pub fn start_call(&self, caller: &Ue, service_route: &str, callee: &Ue) -> [Process; 2] {
        self.start_call_as(caller, service_route, callee, ["caller.xml", "callee.xml"])
    }

    /// The same with scenarios of their own for both.
    pub fn start_call_as(
        &self,
        caller: &Ue,
        service_route: &str,
        callee: &Ue,
        scenarios: [&str; 2],
    ) -> [Process; 2] {
        let (namespace, folder) = (&self.namespace, &self.folder);
        let answered = self.counter(CONTROL, "call.answered");
        let [calls, answers] = scenarios;
        let answering = callee.start_answering_as(namespace, folder, answers);
        let pcscf = pcscf_of(caller);
        let calling =
            caller.start_calling_as(namespace, folder, pcscf, service_route, callee, calls);
        strowger::wait_until(CALL_PATIENCE, "the call is answered", || {
            self.counter(CONTROL, "call.answered") >= answered + 2
        });
        [calling, answering]
    }

    /// Makes a call with our own user agents, who add themselves to the HSS, and says how it went.
    pub fn our_call(&self, proxy: &str, local: &str) -> Run {
        let admin = self.hss();
        let line = format!(
            "call --proxy {proxy} --local {local} --realm {REALM} --admin {admin} --state hss"
        );
        let arguments: Vec<&str> = line.split_whitespace().collect();
        strowger::run(&self.namespace, &self.folder, "call", &arguments)
    }

    /// Runs `subscriber` at the HSS.
    pub fn subscriber(&self, arguments: &[&str]) -> Run {
        let place = [
            "--json",
            "subscriber",
            "--admin",
            self.hss(),
            "--state",
            "hss",
        ];
        let arguments = [place.as_slice(), arguments].concat();
        strowger::run(&self.namespace, &self.folder, "subscriber", &arguments)
    }

    /// Admin address of the HSS.
    pub fn hss(&self) -> &'static str {
        match self.layout {
            Layout::Together => CONTROL,
            Layout::Apart => HSS,
        }
    }

    /// A figure of the status of the process that plays the P-CSCF.
    pub fn figure(&self, admin: &str, name: &str) -> u64 {
        let status = strowger::status(&self.namespace, &self.folder, admin);
        status.and_then(|status| status[name].as_u64()).unwrap_or(0)
    }

    /// A counter of a process.
    pub fn counter(&self, admin: &str, name: &str) -> u64 {
        let status = strowger::status(&self.namespace, &self.folder, admin);
        status
            .and_then(|status| status["counters"][name].as_u64())
            .unwrap_or(0)
    }

    /// Everybody registers, calls somebody, is called by somebody, and deregisters.
    pub fn exercise(&self, ues: &Ues) {
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
            self.deregister(ue);
        }
    }

    /// Waits until nothing is left over, checks that every process is still there, ends the
    /// capture and gives it to `check`.
    pub fn finish(mut self, check: impl FnOnce(&Analysis)) {
        let processes: &[&str] = match self.layout {
            Layout::Together => &[CONTROL, MEDIA],
            Layout::Apart => &[CONTROL, CORE, MEDIA],
        };
        for admin in processes {
            strowger::wait_until(READY_LIMIT, &format!("{admin} forgets the calls"), || {
                self.figure(admin, "dialogs") == 0 && self.figure(admin, "contexts") == 0
            });
        }
        assert!(
            self.members
                .iter_mut()
                .all(|it| it.process.as_mut().is_some_and(Process::is_running)),
            "a process ended"
        );
        check(&self.capture.stop());
    }
}

/// Where this UE finds its P-CSCF.
fn pcscf_of(ue: &Ue) -> SocketAddr {
    address(if ue.address.is_ipv4() {
        "127.0.0.1:5060"
    } else {
        "[fd00::1]:5060"
    })
}
