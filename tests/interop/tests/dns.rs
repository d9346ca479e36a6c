//! Our resolver asks dnsmasq where the S-CSCF is, over UDP and TCP; tshark reads every packet.

use std::net::SocketAddr;
use std::time::Duration;

use interop::network::{CONTROL, CORE, Family, HSS, Ues};
use interop::{Capture, Folder, Namespace, Process, Run, sipp, strowger};

/// Admin address of the process that plays the S-CSCF.
const SCSCF: &str = "127.0.0.4:9080";
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Starts a name server that has an S-CSCF by NAPTR and SRV, the latter's target by an alias, and
/// so many more NAPTR records that they do not fit into a datagram.
fn start_dnsmasq(namespace: &Namespace, folder: &Folder) -> Process {
    let mut configuration = "keep-in-foreground\nuser=root\npid-file\nlog-facility=-\nno-resolv\n\
        no-hosts\nbind-interfaces\nlisten-address=127.0.0.53\nlocal=/test/\nlocal-ttl=300\n\
        naptr-record=scscf.ims.test,10,10,s,SIP+D2U,,_sip._udp.scscf.ims.test\n\
        srv-host=_sip._udp.scscf.ims.test,alias.ims.test,5060,10,1\n\
        srv-host=_sip._udp.scscf.ims.test,nobody.ims.test,5060,20,1\n\
        cname=alias.ims.test,scscf1.ims.test\n\
        host-record=scscf1.ims.test,127.0.0.4\nhost-record=nobody.ims.test,127.0.0.9\n"
        .to_owned();
    for n in 0..60 {
        let name = format!("_sip._sctp.a-rather-long-name-{n}.ims.test");
        let record = format!("naptr-record=scscf.ims.test,20,{n},s,SIP+D2S,,{name}\n");
        configuration.push_str(&record);
    }
    let configuration = folder.write("dnsmasq.conf", configuration);
    let mut command = namespace.command("dnsmasq");
    let configuration = configuration.to_str().expect("the path is text");
    command.arg(format!("--conf-file={configuration}"));
    let mut dnsmasq = Process::start("dnsmasq", &mut command, folder.path());
    strowger::wait_until(
        READY_LIMIT,
        "dnsmasq serves (apt install dnsmasq-base)",
        || {
            assert!(dnsmasq.is_running(), "it ended:\n{}", dnsmasq.output());
            dnsmasq.output().contains("started")
        },
    );
    dnsmasq
}

fn counter(namespace: &Namespace, folder: &Folder, admin: &str, name: &str) -> u64 {
    let status = strowger::status(namespace, folder, admin).expect("it answers");
    status["counters"][name].as_u64().unwrap_or(0)
}

#[test]
fn an_scscf_is_found_through_dnsmasq() {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let capture = Capture::start(&namespace, &folder);
    let _dnsmasq = start_dnsmasq(&namespace, &folder);
    folder.write(
        "icscf.toml",
        "scscf = [\"sip:scscf@scscf.ims.test\"]\n[dns]\nservers = [\"127.0.0.53:53\"]\n",
    );
    let start = |name, admin, line: &str| {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        strowger::start(&namespace, &folder, name, admin, &arguments)
    };
    let _processes = [
        start(
            "hss",
            HSS,
            "control --roles hss --realm ims.test --diameter 127.0.0.6:3868 \
             --store subscribers.redb --state hss",
        ),
        start(
            "scscf",
            SCSCF,
            "control --roles scscf --realm ims.test --sip 127.0.0.4:5060 \
             --icscf 127.0.0.3:5060 --hss 127.0.0.6:3868 --state scscf",
        ),
        start(
            "icscf",
            CORE,
            "control --config icscf.toml --roles icscf --realm ims.test --sip 127.0.0.3:5060 \
             --hss 127.0.0.6:3868 --state icscf",
        ),
        start(
            "pcscf",
            CONTROL,
            "control --roles pcscf --realm ims.test --icscf 127.0.0.3:5060 \
             --sip 127.0.0.1:5060 --mgc 127.0.0.1:2944 --state pcscf",
        ),
    ];
    let ues = Ues::new(Family::V4, Family::V4);
    let file = folder.write("subscribers.csv", sipp::import_file(&ues.all()));
    let file = file.to_str().expect("the path is text");
    let import = [
        "subscriber",
        "--admin",
        HSS,
        "--state",
        "hss",
        "import",
        file,
    ];
    let import: Run = strowger::run(&namespace, &folder, "import", &import);
    import.expect_success("subscriber import");

    let pcscf: SocketAddr = "127.0.0.1:5060".parse().expect("an address");
    for ue in ues.all() {
        ue.register(&namespace, &folder, pcscf);
    }
    let status = strowger::status(&namespace, &folder, SCSCF).expect("it answers");
    assert_eq!(status["registrations"], 4);
    let asked = |name| counter(&namespace, &folder, CORE, name);
    // NAPTR over UDP and then TCP, SRV, and A behind an alias; after that they are known.
    assert_eq!(asked("dns.sent"), 4);
    assert_eq!(asked("dns.truncated"), 1);
    assert_eq!(asked("dns.unexpected"), 0);
    assert!(asked("dns.cached") > 0);
    capture.stop().assert_clean(&["sip", "diameter", "dns"]);
}
