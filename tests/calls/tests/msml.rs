//! An application server that tells the MRFC by MSML what its MRFP is to do (RFC 5707), and users
//! in conferences with a focus (RFC 4579, RFC 4575), on networks that lose, repeat and reorder.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use calls::{ControlHost, GOOD, Host, MrfpHost, MrfpTermination, ROUGH, WireHost};
use control::config::{ControlFile, Role};
use h248::message::StreamMode;
use sim::{Network, NodeId};
use sip::{Draft, HeaderName, Message, Method};

const MRFC: &str = "192.0.2.1:5060";
const SERVER: &str = "192.0.2.9:5060";
const MRFP: &str = "192.0.2.60:2944";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// An application server with its calls.
struct World {
    network: Network<Host>,
    control: NodeId,
    mrfp: NodeId,
    server: NodeId,
    read: usize,
    /// Requests answered already: they may come twice.
    answered: BTreeSet<String>,
    /// INFOs and BYEs of the MRFC, each once.
    heard: Vec<Message>,
    /// How the next requests of these methods are refused.
    refusals: Vec<(Method, u16)>,
    requests: u32,
}

/// A call with the MRFC.
struct Call {
    number: u32,
    to: String,
    target: String,
    cseq: u32,
}

impl Call {
    /// One that has not begun.
    fn to(number: u32, uri: &str) -> Self {
        Self {
            number,
            to: format!("<{uri}>"),
            target: uri.to_owned(),
            cseq: 1,
        }
    }

    /// What MSML calls it.
    fn connection(&self) -> String {
        let tag = self.to.split("tag=").nth(1).unwrap();
        format!("conn:{tag}")
    }

    fn remote(&self) -> SocketAddr {
        at(&format!("192.0.2.9:{}", 7000 + 2 * self.number))
    }
}

impl World {
    fn new(seed: u64, rough: bool) -> Self {
        let mut network = Network::new(seed);
        network.set_link(GOOD);
        let file = ControlFile {
            roles: Some(vec![Role::Mrfc]),
            sip: Some(vec![at(MRFC)]),
            mgc: Some(at("192.0.2.1:2944")),
            ..ControlFile::default()
        };
        let config = file.validate().expect("an MRFC");
        let now = network.now();
        let host = ControlHost::new(config, now, seed, &[]);
        let ip = |text: &str| -> IpAddr { at(text).ip() };
        let control = network.add("mrfc", &[ip(MRFC)], Host::Control(Box::new(host)));
        let host = MrfpHost::new(at(MRFP), at("192.0.2.1:2944"), now, seed);
        let mrfp = network.add("mrfp", &[ip(MRFP)], Host::Mrfp(Box::new(host)));
        let wire = Host::Wire(Box::<WireHost>::default());
        let server = network.add("server", &[ip(SERVER)], wire);
        network.run_for(Duration::from_secs(5));
        if rough {
            network.set_link(ROUGH);
        }
        Self {
            network,
            control,
            mrfp,
            server,
            read: 0,
            answered: BTreeSet::new(),
            heard: Vec::new(),
            refusals: Vec::new(),
            requests: 0,
        }
    }

    fn send(&mut self, message: &Message) {
        self.network.with(self.server, |host, _| match host {
            Host::Wire(wire) => wire.send(at(SERVER), at(MRFC), message.as_bytes()),
            _ => unreachable!(),
        });
    }

    /// Ends the MRFC and starts it anew at once, with its journal.
    fn restart(&mut self) {
        let Some(Host::Control(before)) = self.network.crash(self.control) else {
            unreachable!()
        };
        let now = self.network.now();
        let after = before.restarted(now, self.network.seed() ^ now.as_nanos());
        self.network
            .restart(self.control, Host::Control(Box::new(after)));
    }

    /// Lets time pass and answers what is asked; responses that came.
    fn step(&mut self) -> Vec<Message> {
        self.step_for(Duration::from_millis(100))
    }

    fn step_for(&mut self, time: Duration) -> Vec<Message> {
        self.network.run_for(time);
        let Host::Wire(wire) = self.network.host(self.server) else {
            unreachable!()
        };
        let came: Vec<Vec<u8>> = wire.datagrams[self.read..]
            .iter()
            .map(|(_, _, bytes)| bytes.clone())
            .collect();
        self.read += came.len();
        let mut responses = Vec::new();
        for bytes in came {
            let message = Message::parse(bytes).expect("what the MRFC sends");
            if !message.is_request() {
                responses.push(message);
                continue;
            }
            if message.is_method(&Method::Ack) {
                continue;
            }
            let refusal = self.refusals.iter().position(|it| message.is_method(&it.0));
            let response = match refusal.map(|at| self.refusals.remove(at)) {
                Some((_, status)) => message.response(status, "").finish().unwrap(),
                None => answer(&message),
            };
            self.send(&response);
            let via = message.header(HeaderName::Via).unwrap().to_owned();
            if self.answered.insert(via) {
                self.heard.push(message);
            }
        }
        responses
    }

    /// Sends a request until its final response has come.
    fn ask(&mut self, request: &Message) -> Message {
        let cseq = request.header(HeaderName::CSeq).unwrap();
        let call_id = request.header(HeaderName::CallId).unwrap();
        for round in 0..400 {
            if round % 5 == 0 {
                self.send(request);
            }
            let is_it = |message: &Message| {
                message.header(HeaderName::CSeq) == Some(cseq)
                    && message.header(HeaderName::CallId) == Some(call_id)
                    && message.status() >= Some(200)
            };
            if let Some(response) = self.step().into_iter().find(is_it) {
                return response;
            }
        }
        panic!("no answer to {}", request.to_text());
    }

    fn request(&mut self, method: &Method, call: &Call) -> Draft {
        self.requests += 1;
        let mut draft = Draft::request(method, &call.target);
        let via = format!("SIP/2.0/UDP {SERVER};branch=z9hG4bK{}", self.requests);
        draft
            .append(HeaderName::Via, &via)
            .append(HeaderName::MaxForwards, "70")
            .append(
                HeaderName::From,
                &format!("<sip:as{0}@{SERVER}>;tag=as{0}", call.number),
            )
            .append(HeaderName::To, &call.to)
            .append(HeaderName::CallId, &format!("call-{}", call.number))
            .append(HeaderName::CSeq, &format!("{} {method}", call.cseq))
            .append(HeaderName::Contact, &format!("<sip:as@{SERVER}>"));
        draft
    }

    /// An INVITE, and what else it says.
    fn invite(&mut self, call: &Call, script: Option<&str>) -> Message {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
            call.remote().port()
        );
        let mut invite = self.request(&Method::Invite, call);
        match script {
            None => invite.set_body("application/sdp", sdp),
            Some(script) => invite.set_body(
                "multipart/mixed;boundary=b",
                format!(
                    "--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b\r\nContent-Type: \
                     application/msml+xml\r\n\r\n{}\r\n--b--\r\n",
                    document(script)
                ),
            ),
        };
        invite.finish().unwrap()
    }

    /// Calls the MRFC; what else its INVITE says.
    fn call(&mut self, number: u32, uri: &str, script: Option<&str>) -> Call {
        let mut call = Call::to(number, uri);
        let invite = self.invite(&call, script);
        let ok = self.ask(&invite);
        assert_eq!(ok.status(), Some(200), "{}", ok.to_text());
        call.to = ok.header(HeaderName::To).unwrap().to_owned();
        call.target = ok.contact().unwrap().uri.as_str().to_owned();
        let ack = self.request(&Method::Ack, &call).finish().unwrap();
        // Its 2xx is repeated until the ACK has come.
        for _ in 0..400 {
            self.send(&ack);
            let again = self.step();
            let is_confirmed = again.is_empty();
            if is_confirmed {
                for _ in 0..50 {
                    if !self.step().is_empty() {
                        self.send(&ack);
                    }
                }
                return call;
            }
        }
        panic!("never confirmed");
    }

    /// Asks by MSML; returns the body of the answer.
    fn tell(&mut self, call: &mut Call, inner: &str) -> String {
        call.cseq += 1;
        let mut info = self.request(&Method::Info, call);
        info.set_body("application/msml+xml", document(inner));
        let response = self.ask(&info.finish().unwrap());
        assert_eq!(response.status(), Some(200), "{}", response.to_text());
        String::from_utf8(response.body().to_vec()).unwrap()
    }

    fn done(&mut self, call: &mut Call, inner: &str) -> String {
        let result = self.tell(call, inner);
        assert!(result.contains("response=\"200\""), "{result}");
        result
    }

    fn hang_up(&mut self, call: &mut Call) {
        call.cseq += 1;
        let bye = self.request(&Method::Bye, call).finish().unwrap();
        assert_eq!(self.ask(&bye).status(), Some(200));
    }

    fn mrfp(&self) -> &MrfpHost {
        match self.network.host(self.mrfp) {
            Host::Mrfp(host) => host,
            _ => unreachable!(),
        }
    }

    fn member(&self, call: &Call) -> Option<&MrfpTermination> {
        self.mrfp().towards(call.remote())
    }

    fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if is_so(self) {
                return;
            }
            self.step();
        }
        panic!("{what}: {:#?}", self.mrfp().contexts);
    }

    fn report(&mut self, call: &Call, event: &str) {
        let name = self.member(call).expect("its termination").name.clone();
        self.network.with(self.mrfp, |host, now| match host {
            Host::Mrfp(mrfp) => mrfp.report(now, &name, event),
            _ => unreachable!(),
        });
    }

    /// Waits for an event, and takes it.
    fn event(&mut self, name: &str) -> String {
        self.body_with(&format!("event name=\"{name}\""))
    }

    /// Waits for a request whose body has this in it, and takes the body.
    fn body_with(&mut self, wanted: &str) -> String {
        for _ in 0..1000 {
            let body = |message: &Message| String::from_utf8_lossy(message.body()).into_owned();
            let found = self.heard.iter().position(|it| body(it).contains(wanted));
            if let Some(found) = found {
                return body(&self.heard.remove(found));
            }
            self.step();
        }
        let heard: Vec<String> = self.heard.iter().map(Message::to_text).collect();
        panic!("no {wanted}: {heard:#?}");
    }

    fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.mrfp().contexts.values().map(Vec::len).collect();
        sizes.sort_unstable();
        sizes
    }

    fn calls(&self) -> usize {
        match self.network.host(self.control) {
            Host::Control(control) => control.status(self.network.now()).mrf.unwrap().calls,
            _ => unreachable!(),
        }
    }
}

/// What is answered to a request of the MRFC: a call is taken.
fn answer(request: &Message) -> Message {
    let mut draft = request.response(200, "");
    if request.is_method(&Method::Invite) {
        let name = request.uri().unwrap().user().unwrap().to_owned();
        draft.to_tag("called");
        draft.append(HeaderName::Contact, &format!("<sip:{name}@{SERVER}>"));
        // A call that is offered something again has PCMU.
        let (port, format) = match request.is_in_dialog() {
            true => (7002, 0),
            false => (7900, 8),
        };
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {format}\r\n"
        );
        draft.set_body("application/sdp", sdp);
    }
    draft.finish().unwrap()
}

fn document(inner: &str) -> String {
    format!("<?xml version=\"1.0\"?><msml version=\"1.1\">{inner}</msml>")
}

/// On a good network, and on some that are not.
fn everywhere(flow: impl Fn(&mut World)) {
    flow(&mut World::new(1, false));
    for seed in sim::seeds(4) {
        flow(&mut World::new(seed, true));
    }
}

const URI: &str = "sip:msml@192.0.2.1:5060";

#[test]
fn a_dialog_plays_collects_and_tells() {
    everywhere(|world| {
        let mut call = world.call(1, URI, None);
        let conn = call.connection();
        let result = world.done(
            &mut call,
            &format!(
                "<dialogstart target=\"{conn}\" name=\"ask\"><collect fdt=\"9s\"><play><audio \
                 uri=\"file:///ask.wav\"/></play><pattern digits=\"min=1;max=4;rtk=#\"/><dtmfexit>\
                 <send target=\"source\" event=\"app.digits\" namelist=\"dtmf.digits dtmf.end\"/>\
                 </dtmfexit></collect><play><audio uri=\"file:///thanks.wav\"/></play><exit \
                 namelist=\"play.end\"/></dialogstart>"
            ),
        );
        assert!(!result.contains("dialogid"), "it was named: {result}");
        let map = "(xF|xxF|xxxF|xxxxF|xxxx)";
        world.wait("it asks", |world| {
            let asks = world.member(&call);
            asks.is_some_and(|it| it.digit_map() == Some(map) && !it.signals.is_empty())
        });
        world.report(&call, "dd/ce { ds = \"42F\", Meth = UM }");
        let told = world.event("app.digits");
        assert!(
            told.contains("<name>dtmf.digits</name><value>42</value>"),
            "{told}"
        );
        assert!(told.contains("<value>dtmf.match</value>"), "{told}");
        world.wait("it thanks", |world| {
            let played = world.member(&call).and_then(|it| it.played("an"));
            played.as_deref() == Some("<file:///thanks.wav>")
        });
        world.report(&call, "aasb/playcom { ap = 120 }");
        let told = world.event("msml.dialog.exit");
        assert!(
            told.contains(&format!("id=\"{conn}/dialog:ask\"")),
            "{told}"
        );
        assert!(told.contains("<value>play.complete</value>"), "{told}");
        world.hang_up(&mut call);
        world.wait("the context goes", |world| world.sizes().is_empty());
        assert_eq!(world.calls(), 0);
    });
}

#[test]
fn a_first_digit_is_late_from_the_end_of_the_prompt_and_a_wrong_one_is_none_too_late() {
    everywhere(|world| {
        let mut call = world.call(1, URI, None);
        let conn = call.connection();
        for (waits, end) in [(false, "dtmf.nomatch"), (true, "dtmf.noinput")] {
            let start = format!(
                "<dialogstart target=\"{conn}\"><collect fdt=\"60s\"><play><audio \
                 uri=\"file:///ask.wav\"/></play><pattern digits=\"12\"/></collect><exit \
                 namelist=\"dtmf.end\"/></dialogstart>"
            );
            world.done(&mut call, &start);
            let waits_first = |world: &World, call: &Call| world.member(call)?.first_digit_s();
            world.wait("it asks", |world| waits_first(world, &call) == Some(0));
            world.report(&call, "aasb/playcom { ap = 120 }");
            world.wait("it waits", |world| waits_first(world, &call) == Some(60));
            if waits {
                world.network.run_for(Duration::from_secs(61));
            }
            world.report(&call, "dd/ce { ds = \"\", Meth = PM }");
            let told = world.event("msml.dialog.exit");
            assert!(told.contains(&format!("<value>{end}</value>")), "{told}");
        }
        world.hang_up(&mut call);
        world.wait("the context goes", |world| world.sizes().is_empty());
    });
}

#[test]
fn connections_join_a_conference_are_muted_and_leave_it() {
    everywhere(|world| {
        let mut first = world.call(1, URI, None);
        let mut second = world.call(2, URI, None);
        let made = world.done(&mut first, "<createconference mark=\"1\"/>");
        assert!(made.contains("mark=\"1\""), "{made}");
        let conf = made.split("<confid>").nth(1).unwrap();
        let conf = conf.split('<').next().unwrap().to_owned();
        for call in [&mut first, &mut second] {
            let conn = call.connection();
            let join = format!("<join id1=\"{conn}\" id2=\"{conf}\"/>");
            world.done(call, &join);
        }
        assert_eq!(world.sizes(), [2], "the answer comes when they are joined");
        let conn = second.connection();
        let muted = format!(
            "<modifystream id1=\"{conn}\" id2=\"{conf}\"><stream media=\"audio\" \
             dir=\"from-id1\"><gain amt=\"mute\"/></stream></modifystream>"
        );
        world.done(&mut first, &muted);
        // It still hears.
        assert_eq!(world.member(&second).unwrap().mode, StreamMode::SendOnly);
        // To the whole conference.
        let start = format!(
            "<dialogstart target=\"{conf}\" name=\"d\"><play><audio uri=\"a\"/></play>\
             </dialogstart>"
        );
        world.done(&mut first, &start);
        world.wait("all hear it", |world| {
            world
                .member(&first)
                .and_then(|it| it.played("di"))
                .as_deref()
                == Some("both")
        });
        world.done(&mut first, &format!("<dialogend id=\"{conf}/dialog:d\"/>"));
        world.event("msml.dialog.exit");
        world.done(
            &mut first,
            &format!("<unjoin id1=\"{conn}\" id2=\"{conf}\"/>"),
        );
        assert_eq!(world.sizes(), [1, 1]);
        assert_eq!(world.member(&second).unwrap().mode, StreamMode::SendReceive);
        world.hang_up(&mut second);
        let conn = first.connection();
        world.done(
            &mut first,
            &format!("<unjoin id1=\"{conn}\" id2=\"{conf}\"/>"),
        );
        world.event("msml.conf.nomedia");
        let gone = world.tell(&mut first, &format!("<destroyconference id=\"{conf}\"/>"));
        assert!(gone.contains("response=\"430\""), "{gone}");
        world.hang_up(&mut first);
        world.wait("the contexts go", |world| world.sizes().is_empty());
    });
}

#[test]
fn streams_are_made_louder_and_softer_and_are_so_no_more_when_they_leave() {
    everywhere(|world| {
        let mut call = world.call(1, URI, None);
        let conn = call.connection();
        world.done(&mut call, "<createconference name=\"g\"/>");
        let gain = |request: &str, streams: &str| {
            format!("<{request} id1=\"{conn}\" id2=\"conf:g\">{streams}</{request}>")
        };
        let stream = |dir: &str, amount: &str| {
            format!("<stream media=\"audio\" dir=\"{dir}\"><gain amt=\"{amount}\"/></stream>")
        };
        let both = stream("from-id1", "-6") + &stream("to-id1", "12");
        world.done(&mut call, &gain("join", &both));
        let gains = |world: &World, call: &Call| world.member(call).unwrap().gains();
        let of = |from: &str, to: &str| [Some(from.to_owned()), Some(to.to_owned())];
        assert_eq!(gains(world, &call), of("-6", "12"));
        world.done(&mut call, &gain("modifystream", &stream("from-id1", "3")));
        assert_eq!(gains(world, &call), of("3", "12"));
        assert_eq!(world.member(&call).unwrap().mode, StreamMode::SendReceive);
        let loud = world.tell(&mut call, &gain("modifystream", &stream("to-id1", "25")));
        assert!(loud.contains("response=\"407\""), "{loud}");
        world.done(&mut call, &gain("unjoin", ""));
        assert_eq!(gains(world, &call), of("0", "0"));
        world.hang_up(&mut call);
        world.wait("the contexts go", |world| world.sizes().is_empty());
    });
}

#[test]
fn who_talks_in_a_conference_is_told_as_often_as_it_may_be() {
    everywhere(|world| {
        who_talks(world);
    });
    // Where nothing is lost, the second notice is heard when its time has come.
    let between = who_talks(&mut World::new(1, false));
    assert!(between > Duration::from_secs(4), "{between:?}");
}

/// The time between the first and the second notice.
fn who_talks(world: &mut World) -> Duration {
    let mut first = world.call(1, URI, None);
    let mut second = world.call(2, URI, None);
    let asn = "<createconference name=\"s\"><audiomix><asn ri=\"5s\" asth=\"-40\"/>\
               </audiomix></createconference>";
    world.done(&mut first, asn);
    for call in [&mut first, &mut second] {
        let conn = call.connection();
        world.done(call, &format!("<join id1=\"{conn}\" id2=\"conf:s\"/>"));
    }
    let watches = |it: &MrfpTermination| {
        let mut events = it.events.events.iter();
        events.any(|event| event.name.is("swmix", "talk"))
    };
    assert!(world.mrfp().terminations().all(watches));
    let speaker = |call: &Call| format!("<value>{}</value>", call.connection());
    let talks = |world: &mut World, call: &Call, on: &str, level: i8| {
        world.report(call, &format!("swmix/talk {{ on = {on}, lv = {level} }}"));
    };
    // Too soft to count.
    talks(world, &second, "ON", -50);
    world.network.run_for(Duration::from_secs(40));
    talks(world, &first, "ON", -20);
    let told = world.event("msml.conf.asn");
    assert!(
        told.contains("id=\"conf:s\"") && told.contains(&speaker(&first)),
        "{told}"
    );
    // The second notice waits its time.
    let before = world.network.now();
    talks(world, &second, "ON", -30);
    let told = world.event("msml.conf.asn");
    assert!(
        told.contains(&speaker(&first)) && told.contains(&speaker(&second)),
        "{told}"
    );
    let between = world.network.now() - before;
    // Who leaves does not talk any more.
    world.hang_up(&mut second);
    let told = world.event("msml.conf.asn");
    assert!(
        told.contains(&speaker(&first)) && !told.contains(&speaker(&second)),
        "{told}"
    );
    world.hang_up(&mut first);
    world.wait("the context goes", |world| world.sizes().is_empty());
    between
}

#[test]
fn two_connections_are_joined_and_one_goes() {
    everywhere(|world| {
        let mut first = world.call(1, URI, None);
        let mut second = world.call(2, URI, None);
        let (one, other) = (first.connection(), second.connection());
        world.done(
            &mut first,
            &format!("<join id1=\"{one}\" id2=\"{other}\"/>"),
        );
        assert_eq!(world.sizes(), [2]);
        let again = world.tell(
            &mut first,
            &format!("<join id1=\"{one}\" id2=\"{other}\"/>"),
        );
        assert!(again.contains("response=\"520\""), "{again}");
        world.hang_up(&mut second);
        world.wait("the other stays", |world| world.sizes() == [1]);
        world.hang_up(&mut first);
        world.wait("the context goes", |world| world.sizes().is_empty());
    });
}

#[test]
fn a_recording_tells_what_it_is_called() {
    everywhere(|world| {
        let mut call = world.call(1, URI, None);
        let conn = call.connection();
        world.done(
            &mut call,
            &format!(
                "<dialogstart target=\"{conn}\"><record dest=\"recording:r1\" maxtime=\"30s\" \
                 termkey=\"#\"/><exit namelist=\"record.end record.recordid record.len\"/>\
                 </dialogstart>"
            ),
        );
        world.wait("it records", |world| {
            let member = world.member(&call);
            member.is_some_and(|it| it.played("rid").as_deref() == Some("recording:r1"))
        });
        let recorded =
            "aasrec/precsucc { ri = \"r1.wav\", rdur = 5000, res = \"key\", ek = \"F\" }";
        world.report(&call, recorded);
        let told = world.event("msml.dialog.exit");
        assert!(
            told.contains("<value>record.complete.termkey</value>"),
            "{told}"
        );
        assert!(told.contains("<value>r1.wav</value>"), "{told}");
        assert!(told.contains("<value>5000ms</value>"), "{told}");
    });
}

#[test]
fn an_invite_may_bring_its_document() {
    everywhere(|world| {
        let script = "<createconference name=\"c\"/><createconference name=\"c\" mark=\"x\"/>";
        let mut call = world.call(1, URI, Some(script));
        world.wait("the result comes", |world| !world.heard.is_empty());
        let body = String::from_utf8_lossy(world.heard[0].body()).into_owned();
        assert!(body.contains("response=\"432\""), "{body}");
        world.hang_up(&mut call);
    });
}

#[test]
fn what_cannot_be_done_is_told_by_its_code() {
    let world = &mut World::new(1, false);
    let mut call = world.call(1, URI, None);
    let conn = call.connection();
    for (inner, code) in [
        ("<join id1=\"conn:nobody\" id2=\"conf:x\"/>".to_owned(), 430),
        (format!("<join id1=\"{conn}\" id2=\"conf:x\"/>"), 430),
        (format!("<unjoin id1=\"{conn}\" id2=\"{conn}\"/>"), 440),
        ("<join id1=\"conf:a\" id2=\"conf:b\"/>".to_owned(), 402),
        (format!("<dialogend id=\"{conn}/dialog:x\"/>"), 430),
        ("<spin/>".to_owned(), 401),
    ] {
        let result = world.tell(&mut call, &inner);
        assert!(
            result.contains(&format!("response=\"{code}\"")),
            "{inner}: {result}"
        );
    }
    call.cseq += 1;
    let mut info = world.request(&Method::Info, &call);
    info.set_body("text/plain", "x");
    let response = world.ask(&info.finish().unwrap());
    assert_eq!(response.status(), Some(415));
}

#[test]
fn the_mrfc_says_what_it_can() {
    let world = &mut World::new(1, false);
    let call = Call {
        number: 9,
        to: format!("<{URI}>"),
        target: URI.to_owned(),
        cseq: 1,
    };
    let options = world.request(&Method::Options, &call).finish().unwrap();
    let response = world.ask(&options);
    assert_eq!(response.status(), Some(200));
    assert!(
        response
            .header(HeaderName::Accept)
            .unwrap()
            .contains("application/msml+xml")
    );
    let message = world.request(&Method::Message, &call).finish().unwrap();
    assert_eq!(world.ask(&message).status(), Some(405));
    let mut invite = world.request(&Method::Invite, &call);
    invite.append(HeaderName::Require, "precondition");
    let refused = world.ask(&invite.finish().unwrap());
    assert_eq!(refused.status(), Some(420));
    assert_eq!(
        refused.header(HeaderName::Unsupported),
        Some("precondition")
    );
}

const FACTORY: &str = "sip:conference@192.0.2.1:5060";

#[test]
fn a_subscriber_hears_who_comes_and_goes() {
    everywhere(|world| {
        let mut first = world.call(1, FACTORY, None);
        let focus = first.target.clone();
        let mut watcher = Call::to(8, &focus);
        let mut subscribe = world.request(&Method::Subscribe, &watcher);
        subscribe.append(HeaderName::Event, "conference");
        let response = world.ask(&subscribe.finish().unwrap());
        assert_eq!(response.status(), Some(200), "{}", response.to_text());
        let told = world.body_with("state=\"full\" version=\"0\"");
        assert!(told.contains("<user-count>1</user-count>"), "{told}");
        assert!(
            told.contains("<user entity=\"sip:as1@192.0.2.9\""),
            "{told}"
        );
        assert!(told.contains("<status>connected</status>"), "{told}");
        let mut second = world.call(2, &focus, None);
        let told = world.body_with("<user entity=\"sip:as2@192.0.2.9\" state=\"full\"");
        assert!(told.contains("state=\"partial\""), "{told}");
        assert!(!told.contains("sip:as1@"), "{told}");
        world.wait("both are in", |world| world.sizes() == [2]);
        world.hang_up(&mut second);
        world.body_with("<user entity=\"sip:as2@192.0.2.9\" state=\"deleted\"/>");
        world.hang_up(&mut first);
        let is_last = |message: &Message| {
            let state = message.header(HeaderName::SubscriptionState);
            state.is_some_and(|state| state.contains("terminated;reason=noresource"))
        };
        world.wait("the subscription ends", |world| {
            world.heard.iter().any(is_last)
        });
        watcher.to = response.header(HeaderName::To).unwrap().to_owned();
        watcher.cseq += 1;
        let mut again = world.request(&Method::Subscribe, &watcher);
        again.append(HeaderName::Event, "conference");
        let gone = world.ask(&again.finish().unwrap());
        assert_eq!(gone.status(), Some(481));
    });
}

#[test]
fn a_user_is_called_into_a_conference_and_taken_out() {
    everywhere(|world| {
        let mut call = world.call(1, FACTORY, None);
        call.cseq += 1;
        let mut refer = world.request(&Method::Refer, &call);
        refer.append(HeaderName::ReferTo, "<sip:bob@192.0.2.9:5060>");
        assert_eq!(world.ask(&refer.finish().unwrap()).status(), Some(202));
        world.body_with("SIP/2.0 100 Trying");
        world.body_with("SIP/2.0 200 OK");
        world.wait("both are in", |world| world.sizes() == [2]);
        world.wait("bob hears", |world| {
            let bob = world.mrfp().towards(at("192.0.2.9:7900"));
            bob.is_some_and(|it| it.formats == ["8"] && it.mode == StreamMode::SendReceive)
        });
        call.cseq += 1;
        let mut refer = world.request(&Method::Refer, &call);
        refer
            .append(HeaderName::ReferTo, "<sip:bob@192.0.2.9:5060;method=BYE>")
            .append(HeaderName::ReferSub, "false");
        assert_eq!(world.ask(&refer.finish().unwrap()).status(), Some(202));
        world.wait("bob is out", |world| {
            let is_bye = |message: &Message| message.is_method(&Method::Bye);
            world.sizes() == [1] && world.heard.iter().any(is_bye)
        });
        world.hang_up(&mut call);
        world.wait("the context goes", |world| world.sizes().is_empty());
    });
}

#[test]
fn only_focuses_are_referred_and_subscribed_to() {
    let world = &mut World::new(1, false);
    let mut call = world.call(1, "sip:conf=1@192.0.2.1:5060", None);
    call.cseq += 1;
    let mut refer = world.request(&Method::Refer, &call);
    refer.append(HeaderName::ReferTo, "<sip:bob@192.0.2.9:5060>");
    assert_eq!(world.ask(&refer.finish().unwrap()).status(), Some(403));
    for (event, uri, status) in [
        ("conference", "sip:mrfc.nothing@192.0.2.1:5060", 404),
        ("presence", FACTORY, 489),
    ] {
        let stranger = Call {
            number: 7,
            to: format!("<{uri}>"),
            target: uri.to_owned(),
            cseq: 1,
        };
        let mut subscribe = world.request(&Method::Subscribe, &stranger);
        subscribe.append(HeaderName::Event, event);
        let response = world.ask(&subscribe.finish().unwrap());
        assert_eq!(response.status(), Some(status), "{uri}");
    }
}

// ---- restarts ----

#[test]
fn a_conference_goes_on_after_a_restart_and_its_watcher_hears_all_of_it() {
    everywhere(|world| {
        let mut first = world.call(1, FACTORY, None);
        let focus = first.target.clone();
        let watcher = Call::to(8, &focus);
        let mut subscribe = world.request(&Method::Subscribe, &watcher);
        subscribe.append(HeaderName::Event, "conference");
        let response = world.ask(&subscribe.finish().unwrap());
        assert_eq!(response.status(), Some(200), "{}", response.to_text());
        let mut second = world.call(2, &focus, None);
        world.body_with("<user entity=\"sip:as2@192.0.2.9\" state=\"full\"");
        world.wait("both are in", |world| world.sizes() == [2]);
        for _ in 0..50 {
            world.step();
        }
        let context = world.mrfp().contexts.keys().copied().collect::<Vec<_>>();
        for _ in 0..2 {
            world.heard.clear();
            world.restart();
            let told = world.body_with("<user-count>2</user-count>");
            assert!(told.contains("state=\"full\""), "{told}");
            for user in ["sip:as1@192.0.2.9", "sip:as2@192.0.2.9"] {
                assert!(told.contains(&format!("<user entity=\"{user}\"")), "{told}");
            }
        }
        for _ in 0..100 {
            world.step();
        }
        let after = world.mrfp().contexts.keys().copied().collect::<Vec<_>>();
        assert_eq!((world.sizes(), after), (vec![2], context));
        // Others come, and those who are there can go.
        let mut third = world.call(3, &focus, None);
        world.wait("three are in", |world| world.sizes() == [3]);
        world.body_with("<user entity=\"sip:as3@192.0.2.9\" state=\"full\"");
        world.hang_up(&mut first);
        world.body_with("<user entity=\"sip:as1@192.0.2.9\" state=\"deleted\"/>");
        world.wait("one has left", |world| world.sizes() == [2]);
        world.hang_up(&mut second);
        world.hang_up(&mut third);
        world.wait("the context goes", |world| world.sizes().is_empty());
        assert_eq!(world.calls(), 0);
        let is_last = |message: &Message| {
            let state = message.header(HeaderName::SubscriptionState);
            state.is_some_and(|state| state.contains("terminated;reason=noresource"))
        };
        world.wait("the subscription ends", |world| {
            world.heard.iter().any(is_last)
        });
        // Nothing of it is left for another life.
        world.restart();
        assert_eq!(world.calls(), 0);
    });
}

#[test]
fn a_dialog_ends_with_a_restart_and_its_owner_is_told_and_asks_again() {
    everywhere(|world| {
        let mut first = world.call(1, URI, None);
        let mut second = world.call(2, URI, None);
        world.done(&mut first, "<createconference name=\"room\"/>");
        let [conn, other] = [&first, &second].map(Call::connection);
        for conn in [&conn, &other] {
            let join = format!("<join id1=\"{conn}\" id2=\"conf:room\"/>");
            world.done(&mut first, &join);
        }
        let ask = format!(
            "<dialogstart target=\"{other}\" name=\"ask\"><collect><play><audio \
             uri=\"file:///ask.wav\"/></play><pattern digits=\"12\"/></collect></dialogstart>"
        );
        world.done(&mut first, &ask);
        let asks = |world: &World, call: &Call| {
            let member = world.member(call);
            member.is_some_and(|it| it.digit_map().is_some() && !it.signals.is_empty())
        };
        world.wait("it asks", |world| asks(world, &second));
        for _ in 0..50 {
            world.step();
        }
        world.restart();
        let told = world.event("msml.dialog.exit");
        let id = format!("id=\"{other}/dialog:ask\"");
        let status = "<name>dialog.exit.status</name><value>500</value>";
        assert!(told.contains(&id) && told.contains(status), "{told}");
        world.wait("nothing is asked any more", |world| {
            let member = world.member(&second);
            member.is_some_and(|it| it.digit_map().is_none() && it.signals.is_empty())
        });
        // All else is as it was.
        assert_eq!(world.sizes(), [2]);
        world.done(&mut first, &ask);
        world.wait("it asks again", |world| asks(world, &second));
        world.report(&second, "dd/ce { ds = \"12\", Meth = UM }");
        world.event("msml.dialog.exit");
        let leave = format!("<unjoin id1=\"{other}\" id2=\"conf:room\"/>");
        world.done(&mut first, &leave);
        assert_eq!(world.sizes(), [1, 1]);
        world.hang_up(&mut second);
        world.hang_up(&mut first);
        world.wait("the contexts go", |world| world.sizes().is_empty());
    });
}

#[test]
fn whenever_the_mrfc_is_killed_a_call_goes_on_or_ends_and_nothing_is_left() {
    let (mut went_on, mut ended, mut never) = (0, 0, 0);
    for wait in (0..160).step_by(4) {
        let world = &mut World::new(1, false);
        let mut call = Call::to(1, "sip:annc@192.0.2.1:5060;play=4;repeat=forever");
        let invite = world.invite(&call, None);
        world.send(&invite);
        let mut left = Duration::from_millis(wait);
        let mut is_answered = false;
        // Its 2xx is acknowledged as soon as it comes, also while nobody hears that.
        for round in 0..500 {
            let slice = match left.is_zero() {
                true => Duration::from_millis(100),
                false => left.min(Duration::from_millis(4)),
            };
            let responses = world.step_for(slice);
            for ok in responses.iter().filter(|it| it.status() == Some(200)) {
                is_answered = true;
                call.to = ok.header(HeaderName::To).unwrap().to_owned();
                call.target = ok.contact().unwrap().uri.as_str().to_owned();
                let ack = world.request(&Method::Ack, &call).finish().unwrap();
                world.send(&ack);
            }
            let is_over = !left.is_zero() || (wait == 0 && round == 0);
            left = left.saturating_sub(slice);
            if left.is_zero() && is_over {
                world.restart();
            }
        }
        let is_bye = |message: &Message| message.is_method(&Method::Bye);
        match (is_answered, world.heard.iter().find(|it| is_bye(it))) {
            (true, None) => {
                assert!(
                    world.member(&call).is_some_and(|it| !it.signals.is_empty()),
                    "it is heard, {wait} ms"
                );
                world.hang_up(&mut call);
                went_on += 1;
            }
            (true, Some(bye)) => {
                let reason = bye.header(HeaderName::Reason).unwrap_or_default();
                assert!(reason.contains("restart"), "{reason}, {wait} ms");
                ended += 1;
            }
            (false, _) => never += 1,
        }
        // What was asked for and not answered before the end reports itself.
        let lost: Vec<_> = world
            .mrfp()
            .terminations()
            .map(|it| it.name.clone())
            .collect();
        for name in lost {
            world.network.with(world.mrfp, |host, now| match host {
                Host::Mrfp(mrfp) => mrfp.report(now, &name, "hangterm/thb"),
                _ => unreachable!(),
            });
        }
        world.wait("nothing is left", |world| world.sizes().is_empty());
        assert_eq!(world.calls(), 0);
    }
    let all = [went_on, ended, never];
    assert!(all.iter().all(|count| *count > 0), "{all:?}");
}

// ---- what other user agents do ----

#[test]
fn a_session_that_we_refresh_lasts_and_a_refresh_that_crosses_another_is_tried_again() {
    let world = &mut World::new(1, false);
    let mut call = world.call(1, "sip:conf=1@192.0.2.1:5060", None);
    let run = |world: &mut World, seconds: u32| {
        for _ in 0..seconds {
            world.step_for(Duration::from_secs(1));
        }
    };
    // Sessions of half an hour are refreshed every quarter.
    world.refusals.push((Method::Invite, 491));
    run(world, 2800);
    let refreshes = world
        .heard
        .iter()
        .filter(|it| it.is_method(&Method::Invite));
    let refreshes: Vec<_> = refreshes.collect();
    assert_eq!(refreshes.len(), 4, "{refreshes:#?}");
    for refresh in refreshes {
        let expires = refresh.session_expires().unwrap().expect("Session-Expires");
        assert_eq!(expires.refresher, Some(sip::header::Refresher::Uac));
    }
    assert_eq!((world.calls(), world.sizes()), (1, vec![1]));
    // After another refusal the call lasts as long as its session.
    world.refusals.push((Method::Invite, 500));
    run(world, 900);
    assert_eq!((world.calls(), world.refusals.len()), (1, 0));
    world.hang_up(&mut call);
    world.wait("the context goes", |world| world.sizes().is_empty());
}

#[test]
fn a_user_is_called_out_of_another_dialog_as_a_refer_says() {
    let world = &mut World::new(1, false);
    let mut call = world.call(1, FACTORY, None);
    let target = "<sip:bob@192.0.2.9:5060?Replaces=c1%40x%3Bto-tag%3Dt1%3Bfrom-tag%3Df1>";
    let mut refer = |world: &mut World, target: &str| {
        call.cseq += 1;
        let mut refer = world.request(&Method::Refer, &call);
        refer
            .append(HeaderName::ReferTo, target)
            .append(HeaderName::ReferredBy, "<sip:as1@192.0.2.9>")
            .append(HeaderName::ReferSub, "false");
        world.ask(&refer.finish().unwrap())
    };
    let accepted = refer(world, target);
    assert_eq!(accepted.status(), Some(202));
    assert_eq!(accepted.header(HeaderName::ReferSub), Some("false"));
    let is_invite = |message: &Message| message.is_method(&Method::Invite);
    world.wait("bob is called", |world| world.heard.iter().any(is_invite));
    let invite = world.heard.iter().find(|it| is_invite(it)).unwrap().clone();
    let has = |name| invite.header(name).unwrap_or_default().to_owned();
    assert_eq!(has(HeaderName::Replaces), "c1@x;to-tag=t1;from-tag=f1");
    assert_eq!(has(HeaderName::Require), "replaces");
    assert_eq!(has(HeaderName::ReferredBy), "<sip:as1@192.0.2.9>");
    assert_eq!(invite.request_uri(), "sip:bob@192.0.2.9:5060");
    world.wait("both are in", |world| world.sizes() == [2]);
    for bad in ["c1", "c1%0d%0aX:%20y%3Bto-tag%3Dt%3Bfrom-tag%3Df"] {
        let target = format!("<sip:bob@192.0.2.9:5060?Replaces={bad}>");
        assert_eq!(refer(world, &target).status(), Some(400), "{bad}");
    }
    assert!(!world.heard.iter().any(|it| it.is_method(&Method::Notify)));
}
