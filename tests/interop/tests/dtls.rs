//! DTLS-SRTP with OpenSSL at the other end, through a media process: OpenSSL shakes hands and tells
//! the keys that it has come to, with which the media is opened here.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use codecs::g711::Law;
use codecs::speech::Speech;
use interop::network::{CONTROL, Family, Layout, MEDIA as MEDIA_ADMIN, Network, Ues};
use interop::{Folder, Namespace, Process, Run, strowger};
use sdp::Session;
use sdp::dtls::Described;
use srtp::{MasterKey, Receiver, Sender, Suite};

const MGC: &str = "127.0.0.1:2944";
const MG: &str = "127.0.0.2:2944";
const MEDIA: &str = "127.0.0.2";
const ADMIN: &str = "127.0.0.2:9081";
const PHONE: &str = "127.0.0.3:4000";
const OTHER: &str = "127.0.0.4:5000";
/// Packets of speech each way.
const PACKETS: usize = 50;
const LIMIT: Duration = Duration::from_secs(60);

/// Protection profiles by the name that OpenSSL has for them.
const PROFILES: [(&str, Suite); 3] = [
    ("SRTP_AES128_CM_SHA1_80", Suite::AesCm128HmacSha1_80),
    ("SRTP_AEAD_AES_128_GCM", Suite::AeadAes128Gcm),
    ("SRTP_AEAD_AES_256_GCM", Suite::AeadAes256Gcm),
];

/// A media process, and a certificate of OpenSSL's.
struct Rig {
    namespace: Namespace,
    folder: Folder,
    _media: Process,
    fingerprint: String,
}

/// A context of a telephone with DTLS and another end without.
struct Call {
    /// Where both are.
    phone: &'static str,
    other: &'static str,
    /// Where the gateway receives of them.
    phone_side: SocketAddr,
    other_side: SocketAddr,
    /// What the gateway says of its certificate.
    fingerprint: String,
}

impl Rig {
    /// The calls are made first: the controller leaves then, and media goes on without it.
    fn start(setup: &str) -> (Self, Call) {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        let fingerprint = certificate(&namespace, &folder);
        let script = folder.write("calls.h248", context(setup, &fingerprint));
        let line = format!("h248 --wait --mid {MGC} --timeout 30 --file");
        let mut arguments: Vec<&str> = line.split_whitespace().collect();
        arguments.push(script.to_str().expect("the path is text"));
        let mut command = strowger::command(&namespace, &arguments);
        let tool = Process::start("h248", &mut command, folder.path());
        let line = format!(
            "media --functions trgw --mgc {MGC} --mid {MG} --address {MEDIA} --ports 20000-20099 \
             --io udp"
        );
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let media = strowger::start(&namespace, &folder, "media", ADMIN, &arguments);
        let run = tool.wait(LIMIT);
        run.expect_success("h248");
        let call = Call::read(&run.output);
        let rig = Self {
            namespace,
            folder,
            _media: media,
            fingerprint,
        };
        (rig, call)
    }

    fn counter(&self, name: &str) -> u64 {
        let status = strowger::status(&self.namespace, &self.folder, ADMIN).expect("a status");
        status["counters"][name].as_u64().unwrap_or(0)
    }
}

/// Makes a certificate of OpenSSL's; returns its fingerprint.
fn certificate(namespace: &Namespace, folder: &Folder) -> String {
    let key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
               -subj /CN=phone -keyout key.pem -out cert.pem";
    openssl(namespace, folder, "key", key).expect_success("openssl req");
    let line = "x509 -in cert.pem -noout -fingerprint -sha256";
    let shown = openssl(namespace, folder, "fingerprint", line);
    let fingerprint = shown.output.lines().find_map(|line| line.split_once('='));
    let (_, fingerprint) = fingerprint.expect("a fingerprint");
    format!("sha-256 {}", fingerprint.trim())
}

/// Runs OpenSSL to its end.
fn openssl(namespace: &Namespace, folder: &Folder, name: &str, line: &str) -> Run {
    start_openssl(namespace, folder, name, line).wait(LIMIT)
}

fn start_openssl(namespace: &Namespace, folder: &Folder, name: &str, line: &str) -> Process {
    let mut command = namespace.command("openssl");
    command.args(line.split_whitespace());
    command.current_dir(folder.path());
    Process::start_with_input(name, &mut command, folder.path())
}

/// Adds a termination without DTLS, and one whose other side is `PHONE`.
fn context(setup: &str, fingerprint: &str) -> String {
    let (phone, other): (SocketAddr, SocketAddr) =
        (PHONE.parse().expect("one"), OTHER.parse().expect("one"));
    let far = match setup {
        "active" => "passive",
        _ => "active",
    };
    format!(
        "Context = $ {{
  Add = $ {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = SendReceive }}, Local {{
v=0
c=IN IP4 $
m=audio $ RTP/AVP 8
}}, Remote {{
v=0
c=IN IP4 {}
m=audio {} RTP/AVP 8
}} }} }} }},
  Add = $ {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = SendReceive }}, Local {{
v=0
c=IN IP4 $
m=audio $ UDP/TLS/RTP/SAVP 8
a=rtcp-mux
a=fingerprint:sha-256 $
a=setup:{setup}
}}, Remote {{
v=0
c=IN IP4 {}
m=audio {} UDP/TLS/RTP/SAVP 8
a=rtcp-mux
a=fingerprint:{fingerprint}
a=setup:{far}
}} }} }} }}
}}
",
        other.ip(),
        other.port(),
        phone.ip(),
        phone.port()
    )
}

impl Call {
    /// From what the tool shows of the reply.
    fn read(output: &str) -> Self {
        let ports = output.lines().filter_map(|line| {
            let (_, rest) = line.trim().split_once("m=audio ")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        let ports: Vec<u16> = ports.collect();
        let fingerprint = output.lines().find_map(|line| {
            let (_, fingerprint) = line.split_once("a=fingerprint:")?;
            (!fingerprint.contains('$')).then(|| fingerprint.trim().to_owned())
        });
        let (Some(fingerprint), [other, phone]) = (fingerprint, &ports[..]) else {
            panic!("no call in:\n{output}");
        };
        let at = |port: &u16| SocketAddr::new(MEDIA.parse().expect("one"), *port);
        Self {
            phone: PHONE,
            other: OTHER,
            phone_side: at(phone),
            other_side: at(other),
            fingerprint,
        }
    }

    /// Speech passes octet for octet, opened and protected with the keys that OpenSSL told.
    fn check_media(&self, namespace: &Namespace, (sends, receives): (MasterKey, MasterKey)) {
        let sender = Sender::new(&sends).expect("a key");
        let receiver = Receiver::new(&[receives]).expect("a key");
        let mut samples = vec![0; 160 * PACKETS];
        Speech::new(1).fill(&mut samples);
        let mut speech = vec![0; samples.len()];
        Law::A.encode(&samples, &mut speech);
        namespace.inside(|| {
            let socket = |at: &str| {
                let socket = UdpSocket::bind(at).expect("it is free");
                socket.set_read_timeout(Some(LIMIT)).expect("it can wait");
                socket
            };
            let (phone, other) = (socket(self.phone), socket(self.other));
            let mut buffer = [0; 2048];
            for (number, octets) in (1..).zip(speech.chunks(160)) {
                let clear = rtp(number, octets);
                let mut sealed = [&clear[..], &[0; 64]].concat();
                let len = sender.protect(&mut sealed, clear.len()).expect("room");
                let sent = phone.send_to(&sealed[..len], self.phone_side);
                sent.expect("sent");
                let (len, from) = other.recv_from(&mut buffer).expect("it passes");
                assert_eq!((from, &buffer[..len]), (self.other_side, &clear[..]));
                other.send_to(&clear, self.other_side).expect("sent");
                // What is left of the handshake may come before.
                let (len, from) = loop {
                    let (len, from) = phone.recv_from(&mut buffer).expect("it passes");
                    if buffer[0] & 0xC0 == 0x80 {
                        break (len, from);
                    }
                };
                assert_eq!(from, self.phone_side);
                let len = receiver.unprotect(&mut buffer[..len]).expect("it is ours");
                assert_eq!(buffer[..len], clear);
            }
        });
    }
}

/// A packet of A-law.
fn rtp(number: u16, octets: &[u8]) -> Vec<u8> {
    let stamp = u32::from(number) * 160;
    let number = number.to_be_bytes();
    [
        &[0x80, 8],
        &number[..],
        &stamp.to_be_bytes(),
        &[0, 0, 0, 3],
        octets,
    ]
    .concat()
}

/// The keys of client and server, from what OpenSSL shows of them.
fn exported(output: &str, suite: Suite) -> (MasterKey, MasterKey) {
    let hex = output
        .lines()
        .find_map(|line| line.trim().strip_prefix("Keying material: "));
    let hex = hex.unwrap_or_else(|| panic!("no keys in:\n{output}"));
    let octets: Vec<u8> = (0..hex.len() / 2)
        .map(|index| u8::from_str_radix(&hex[2 * index..][..2], 16).expect("a digit"))
        .collect();
    let (key, salt) = (suite.key_bytes(), suite.salt_bytes());
    assert_eq!(octets.len(), 2 * (key + salt));
    let of = |index: usize| {
        let key_at = &octets[index * key..][..key];
        let salt_at = &octets[2 * key + index * salt..][..salt];
        MasterKey::new(suite, &[key_at, salt_at].concat()).expect("a key")
    };
    (of(0), of(1))
}

fn export(profile: &str, suite: Suite) -> String {
    let octets = 2 * (suite.key_bytes() + suite.salt_bytes());
    format!(
        "-dtls1_2 -use_srtp {profile} -cert cert.pem -key key.pem \
         -keymatexport EXTRACTOR-dtls_srtp -keymatexportlen {octets}"
    )
}

#[test]
fn openssl_begins_and_media_passes_under_the_keys_of_each_profile() {
    for (profile, suite) in PROFILES {
        let (rig, call) = Rig::start("passive");
        let line = format!(
            "s_client -connect {} -bind {PHONE} {}",
            call.phone_side,
            export(profile, suite)
        );
        let mut client = start_openssl(&rig.namespace, &rig.folder, "s_client", &line);
        client.wait_for("Keying material: ", LIMIT);
        client.close_input();
        let run = client.wait(LIMIT);
        assert!(
            run.output.contains(&format!("profile={profile}")),
            "{}",
            run.output
        );
        // OpenSSL has seen the certificate that the gateway has told of.
        let begin = run.output.find("-----BEGIN CERTIFICATE-----");
        let end = run.output.find("-----END CERTIFICATE-----");
        let (Some(begin), Some(end)) = (begin, end) else {
            panic!("no certificate in:\n{}", run.output);
        };
        let pem = format!("{}-----END CERTIFICATE-----\n", &run.output[begin..end]);
        rig.folder.write("gateway.pem", pem);
        let line = "x509 -in gateway.pem -noout -fingerprint -sha256 -text";
        let shown = openssl(&rig.namespace, &rig.folder, "shown", line);
        let digits = call.fingerprint.strip_prefix("sha-256 ").expect("SHA-256");
        assert!(shown.output.contains(digits), "{}", shown.output);
        assert!(
            shown.output.contains("ecdsa-with-SHA256"),
            "{}",
            shown.output
        );
        let (client, server) = exported(&run.output, suite);
        call.check_media(&rig.namespace, (client, server));
        assert_eq!(rig.counter("dtls.agreed"), 1);
    }
}

#[test]
fn the_gateway_begins_with_openssl() {
    let (profile, suite) = PROFILES[0];
    // The gateway says hello until somebody is there.
    let (rig, call) = Rig::start("active");
    let line = format!(
        "s_server -accept {PHONE} -Verify 1 -naccept 1 {}",
        export(profile, suite)
    );
    let mut server = start_openssl(&rig.namespace, &rig.folder, "s_server", &line);
    server.wait_for("Keying material: ", LIMIT);
    strowger::wait_until(LIMIT, "the gateway has the keys", || {
        rig.counter("dtls.agreed") == 1
    });
    let output = server.output();
    server.kill();
    let _ = server.wait(LIMIT);
    let (client, server) = exported(&output, suite);
    call.check_media(&rig.namespace, (server, client));
}

#[test]
fn openssl_with_another_certificate_gets_no_keys() {
    let (rig, call) = Rig::start("passive");
    let key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
               -subj /CN=mallory -keyout key.pem -out cert.pem";
    openssl(&rig.namespace, &rig.folder, "mallory", key).expect_success("openssl req");
    assert!(!rig.fingerprint.is_empty());
    let (profile, suite) = PROFILES[0];
    let line = format!(
        "s_client -connect {} {}",
        call.phone_side,
        export(profile, suite)
    );
    let client = start_openssl(&rig.namespace, &rig.folder, "s_client", &line);
    strowger::wait_until(LIMIT, "the gateway has seen it", || {
        rig.counter("dtls.wrong_certificate") == 1
    });
    // It is told of the end.
    let _ = client.wait(LIMIT);
    assert_eq!(rig.counter("dtls.agreed"), 0);
}

/// The last description with this protocol in what SIPp has seen.
fn description(messages: &str, protocol: &str) -> Session {
    let text = messages.replace("\r\n", "\n");
    let described = text.split("v=0\n").skip(1);
    let last = described.filter(|it| it.contains(protocol)).last();
    let last = last.unwrap_or_else(|| panic!("no {protocol} in:\n{text}"));
    let lines = last
        .lines()
        .take_while(|line| line.as_bytes().get(1) == Some(&b'='));
    let lines: Vec<&str> = lines.collect();
    Session::parse(format!("v=0\n{}\n", lines.join("\n")).as_bytes()).expect("a description")
}

/// Dave, whose media OpenSSL protects, calls Carol, who knows nothing of that.
fn dave_calls_carol(setup: &str) {
    let ues = Ues::new(Family::V4, Family::V4);
    let network = Network::whole(Layout::Together);
    network.import(&ues);
    let (dave, carol) = (&ues.dave, &ues.carol);
    let route = network.register(dave);
    network.register(carol);
    let (namespace, folder) = (network.namespace(), network.folder());
    let fingerprint = certificate(namespace, folder);
    let (profile, suite) = PROFILES[1];
    let (phone, other) = ("127.0.0.17:6100", "127.0.0.16:6100");
    let begins = setup == "active";
    let mut server = (!begins).then(|| {
        let export = export(profile, suite);
        let line = format!("s_server -accept {phone} -Verify 1 -naccept 1 {export}");
        start_openssl(namespace, folder, "s_server", &line)
    });
    let _carol = carol.start_answering_as(namespace, folder, "silent-callee.xml");
    let pcscf = "127.0.0.1:5060".parse().expect("one");
    let keywords = [
        ("service_route", &*route),
        ("callee", &*carol.impu()),
        ("fingerprint", &*fingerprint),
        ("setup", setup),
    ];
    let _dave = dave.start_with(namespace, folder, pcscf, "dtls-caller.xml", &keywords);
    strowger::wait_until(LIMIT, "the call is answered", || {
        network.counter(CONTROL, "call.answered") == 2
    });
    let answered = || dave.messages(folder).matches("SIP/2.0 200 OK").count() > 0;
    strowger::wait_until(LIMIT, "the answer has come", answered);
    let told = description(&dave.messages(folder), " UDP/TLS/RTP/SAVPF 8");
    let described = Described::of(&told, 0).expect("DTLS");
    assert!(told.media[0].lines.rtcp_mux());
    let phone_side = told.rtp_address(0).expect("an address");
    let expected = if begins { "passive" } else { "active" };
    assert_eq!(described.setup.map(|setup| setup.name()), Some(expected));
    let heard = std::fs::read_to_string(folder.file("callee-carol.messages"));
    let heard = heard.expect("what Carol has seen");
    let (offer, _) = heard.split_once("SIP/2.0 180").expect("it rang");
    assert!(
        !offer.contains("fingerprint") && !offer.contains("3ge2ae"),
        "{offer}"
    );
    let other_side = description(offer, " RTP/AVP 8").rtp_address(0);
    let output = match &mut server {
        Some(server) => {
            server.wait_for("Keying material: ", LIMIT);
            server.output()
        }
        None => {
            let line = format!(
                "s_client -connect {phone_side} -bind {phone} {}",
                export(profile, suite)
            );
            let mut client = start_openssl(namespace, folder, "s_client", &line);
            client.wait_for("Keying material: ", LIMIT);
            client.close_input();
            client.wait(LIMIT).output
        }
    };
    strowger::wait_until(LIMIT, "the gateway has the keys", || {
        network.counter(MEDIA_ADMIN, "dtls.agreed") == 1
    });
    if let Some(server) = server {
        server.kill();
        let _ = server.wait(LIMIT);
    }
    let call = Call {
        phone,
        other,
        phone_side,
        other_side: other_side.expect("an address"),
        fingerprint: described.fingerprints[0].to_string(),
    };
    let (client, server) = exported(&output, suite);
    let keys = match begins {
        true => (client, server),
        false => (server, client),
    };
    call.check_media(namespace, keys);
}

#[test]
fn a_ue_that_asks_for_dtls_calls_one_that_has_none() {
    for setup in ["actpass", "active"] {
        dave_calls_carol(setup);
    }
}
