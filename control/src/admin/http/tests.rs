//! HTTP against a running event loop.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use mio::Poll;

use super::*;
use crate::clock::Clock;
use crate::config::ControlFile;
use crate::event_loop::{EventLoop, Sockets, StopHandle, waker};
use crate::node::Node;
use crate::store::conformance::subscriber;
use crate::store::{MemoryStore, StoreThread};

const TOKEN: &str = "open sesame";

/// A loop, and the admin interface in front of it; both end with this.
struct Running {
    address: SocketAddr,
    stop: StopHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// An HSS over a store in memory.
    fn hss() -> Self {
        Self::start("roles = [\"hss\"]", true)
    }

    fn start(file: &str, stores: bool) -> Self {
        let config = ControlFile::parse(file).and_then(ControlFile::validate);
        let config = config.unwrap();
        let poll = Poll::new().unwrap();
        let waker = waker(poll.registry()).unwrap();
        let server = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = server.local_addr().unwrap();
        let (requests, incoming) = sync_channel(8);
        server.spawn(requests, waker.clone(), TOKEN).unwrap();
        let store = stores.then(|| {
            let waker = waker.clone();
            let wake = Box::new(move || drop(waker.wake()));
            StoreThread::spawn(Box::new(MemoryStore::default()), wake).unwrap()
        });
        let clock = Clock::start();
        let node = Node::new(config, clock.anchor(), [7; 32]);
        let sockets = Sockets::new();
        let mut event_loop =
            EventLoop::new(poll, waker, clock, node, sockets, store, incoming).unwrap();
        let stop = event_loop.stop_handle();
        Self {
            address,
            stop,
            thread: Some(std::thread::spawn(move || event_loop.run())),
        }
    }

    fn get(&self, path: &str) -> Answer {
        ask(self.address, "GET", path, &[], b"")
    }

    /// With the token.
    fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let token = format!("Bearer {TOKEN}");
        ask(
            self.address,
            method,
            path,
            &[("Authorization", &token)],
            body,
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap().unwrap();
        }
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert!(
            self.head.contains("content-type: application/json"),
            "{self:?}"
        );
        serde_json::from_str(&self.body).unwrap()
    }

    /// The reason in words that goes with every refusal.
    fn error(&self) -> String {
        self.json()["error"].as_str().expect("a reason").to_owned()
    }
}

fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    // A server that has seen enough does not read on.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).unwrap();
    Answer {
        status: status.parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

fn json_of(name: &str) -> Vec<u8> {
    serde_json::to_vec(&subscriber(name)).unwrap()
}

#[test]
fn status_is_an_object_of_what_there_is() {
    let running = Running::hss();
    let answer = running.get("/status");
    assert_eq!(answer.status, 200);
    let status = answer.json();
    assert_eq!(status["process"], "control");
    assert_eq!(status["roles"], json!(["hss"]));
    assert_eq!(status["realm"], "ims.test");
    for key in [
        "registrations",
        "contacts",
        "dialogs",
        "contexts",
        "terminations",
        "timers",
    ] {
        assert_eq!(status[key], 0, "{key}");
    }
    assert_eq!(
        status["transactions"],
        json!({ "client": 0, "server": 0, "timers": 0 })
    );
    assert_eq!(status["media_gateways"], json!([]));
    assert!(status["counters"]["sip.received"].is_u64());
    assert!(status["uptime_s"].is_u64() && status["version"].is_string());
}

#[test]
fn metrics_are_in_prometheus_form() {
    let running = Running::hss();
    let answer = running.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    let mut declared = BTreeSet::new();
    let mut lines = answer.body.lines();
    while let Some(line) = lines.next() {
        let [hash, word, name, kind] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        assert_eq!((hash, word), ("#", "TYPE"));
        assert!(["gauge", "counter"].contains(&kind), "{line}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        );
        assert!(declared.insert(name), "{name} twice");
        let (sample, value) = lines.next().unwrap().split_once(' ').unwrap();
        assert_eq!(sample, name);
        value.parse::<u64>().unwrap();
    }
    assert!(declared.contains("strowger_sip_received_total") && declared.len() > 20);
    assert!(answer.body.ends_with('\n'));
}

#[test]
fn what_changes_something_wants_the_token() {
    let running = Running::hss();
    let alice = json_of("alice");
    for (method, path) in [
        ("PUT", "/subscribers/alice@ims.test"),
        ("DELETE", "/subscribers/alice@ims.test"),
        ("POST", "/subscribers"),
    ] {
        for given in [
            None,
            Some("Bearer open sesam"),
            Some("Bearer "),
            Some("Basic open sesame"),
            Some("open sesame"),
        ] {
            let headers: Vec<_> = given
                .map(|value| ("Authorization", value))
                .into_iter()
                .collect();
            let answer = ask(running.address, method, path, &headers, &alice);
            assert_eq!(answer.status, 401, "{method} {given:?}");
            assert!(answer.head.contains("www-authenticate: bearer"));
            assert!(answer.error().contains("admin.token"));
        }
    }
    assert_eq!(running.get("/subscribers").json(), json!([]));
    let headers = [("authorization", "bearer open sesame")];
    let put = ask(
        running.address,
        "PUT",
        "/subscribers/alice@ims.test",
        &headers,
        &alice,
    );
    assert_eq!(put.status, 201, "{put:?}");
}

#[test]
fn a_subscriber_is_added_shown_replaced_and_removed() {
    let running = Running::hss();
    let path = "/subscribers/alice@ims.test";
    assert_eq!(running.get(path).status, 404);
    assert_eq!(running.send("PUT", path, &json_of("alice")).status, 201);
    let shown = running.get(path);
    assert_eq!(shown.status, 200);
    let object = shown.json();
    assert_eq!(object["impi"], "alice@ims.test");
    assert_eq!(object["impus"][0]["uri"], "sip:alice@ims.test");
    assert_eq!(object["digest"], true);
    assert!(object["aka"]["sqn"].is_number() && object["registrations"].is_object());
    // Secrets stay where they are.
    let (k, opc) = ("01".repeat(16), "02".repeat(16));
    assert!(
        !shown.body.contains(&k) && !shown.body.contains(&opc),
        "{}",
        shown.body
    );
    assert!(object["aka"].get("k").is_none() && object["aka"].get("opc").is_none());
    assert_eq!(running.send("PUT", path, &json_of("alice")).status, 204);
    let token = format!("Bearer {TOKEN}");
    let only_new = [("Authorization", &*token), ("If-None-Match", "*")];
    let again = ask(running.address, "PUT", path, &only_new, &json_of("alice"));
    assert_eq!(again.status, 409, "{again:?}");
    again.error();
    // Another's public identity.
    let mut bob = subscriber("bob");
    bob.impus = subscriber("alice").impus;
    let bob = serde_json::to_vec(&bob).unwrap();
    assert_eq!(
        running
            .send("PUT", "/subscribers/bob@ims.test", &bob)
            .status,
        409
    );
    assert_eq!(running.send("DELETE", path, b"").status, 204);
    assert_eq!(running.send("DELETE", path, b"").status, 404);
    assert_eq!(running.get(path).error(), Refusal::NotFound.to_string());
}

#[test]
fn subscribers_are_listed_in_pages() {
    let running = Running::hss();
    let names: Vec<_> = (0..25).map(|index| format!("u{index:02}")).collect();
    let all: Vec<_> = names.iter().map(|name| subscriber(name)).collect();
    let imported = running.send("POST", "/subscribers", &serde_json::to_vec(&all).unwrap());
    assert_eq!(
        (imported.status, imported.json()),
        (200, json!({ "created": 25, "replaced": 0 }))
    );
    let listed = |query: &str| -> Vec<String> {
        let page = running.get(&format!("/subscribers{query}")).json();
        let impis = page
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["impi"].as_str().unwrap());
        impis.map(|impi| impi.replace("@ims.test", "")).collect()
    };
    assert_eq!(listed(""), names);
    assert_eq!(listed("?prefix=u1"), names[10..20]);
    assert_eq!(listed("?limit=3"), names[..3]);
    assert_eq!(listed("?limit=3&after=u02@ims.test"), names[3..6]);
    assert_eq!(listed("?prefix=u1&after=u18%40ims.test"), names[19..20]);
    assert_eq!(listed("?limit=0").len(), 1);
    assert_eq!(listed("?limit=100000").len(), 25);
    assert_eq!(listed("?after=u24@ims.test"), [""; 0]);
    let bad = running.get("/subscribers?limit=many");
    assert_eq!(bad.status, 400);
    bad.error();
}

#[test]
fn an_import_is_done_as_a_whole_or_not_at_all() {
    let running = Running::hss();
    let mut second = subscriber("b");
    second.impus = subscriber("a").impus;
    let both = serde_json::to_vec(&[subscriber("a"), second]).unwrap();
    let refused = running.send("POST", "/subscribers", &both);
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(running.get("/subscribers").json(), json!([]));
}

#[test]
fn what_cannot_be_understood_is_400() {
    let running = Running::hss();
    let path = "/subscribers/alice@ims.test";
    for (method, path, body) in [
        ("PUT", path, &b"{"[..]),
        ("PUT", path, b"[]"),
        ("PUT", path, b"\xff\xfe"),
        ("PUT", path, &json_of("bob")),
        ("POST", "/subscribers", b"{}"),
        ("POST", "/subscribers", &json_of("alice")),
        ("DELETE", "/subscribers/no%20body", b""),
    ] {
        let answer = running.send(method, path, body);
        assert_eq!(answer.status, 400, "{method} {path} {answer:?}");
        answer.error();
    }
    let mut nobody = subscriber("alice");
    nobody.impus.clear();
    let nobody = serde_json::to_vec(&nobody).unwrap();
    assert_eq!(running.send("PUT", path, &nobody).status, 400);
    assert_eq!(running.get("/subscribers/no%20body").status, 400);
}

#[test]
fn what_is_too_much_is_413() {
    let running = Running::hss();
    let many: Vec<_> = (0..=PAGE_MAX)
        .map(|index| subscriber(&format!("u{index}")))
        .collect();
    let at = serde_json::to_vec(&many[..PAGE_MAX]).unwrap();
    assert_eq!(running.send("POST", "/subscribers", &at).status, 200);
    let past = running.send("POST", "/subscribers", &serde_json::to_vec(&many).unwrap());
    assert_eq!(past.status, 413);
    assert!(past.error().contains(&PAGE_MAX.to_string()));
    let huge = vec![b' '; BODY_BYTES_MAX + 1];
    let answer = running.send("POST", "/subscribers", &huge);
    assert_eq!(answer.status, 413);
    answer.error();
}

#[test]
fn what_is_not_there_is_404_and_what_cannot_be_done_with_it_405() {
    let running = Running::hss();
    for path in ["/", "/nothing", "/subscribers/a/b"] {
        let answer = running.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.error().contains("/status"));
    }
    for (method, path) in [
        ("POST", "/status"),
        ("DELETE", "/metrics"),
        ("PUT", "/subscribers"),
    ] {
        let answer = running.send(method, path, b"");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.head.contains("allow: "), "{}", answer.head);
        answer.error();
    }
}

#[test]
fn a_process_without_hss_has_no_subscribers() {
    let file = "roles = [\"pcscf\"]\nicscf = \"127.0.0.1:5070\"\n[dns]\nservers = []";
    let running = Running::start(file, false);
    for (method, path) in [
        ("GET", "/subscribers"),
        ("DELETE", "/subscribers/alice@ims.test"),
    ] {
        let answer = running.send(method, path, b"");
        assert_eq!(answer.status, 404);
        assert!(answer.error().contains("hss"));
    }
    assert_eq!(running.get("/status").json()["roles"], json!(["pcscf"]));
}

#[test]
fn a_busy_or_ended_loop_is_503() {
    let poll = Poll::new().unwrap();
    let waker = waker(poll.registry()).unwrap();
    let server = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = server.local_addr().unwrap();
    let (requests, incoming) = sync_channel(1);
    server.spawn(requests, waker, TOKEN).unwrap();
    let first = std::thread::spawn(move || ask(address, "GET", "/status", &[], b""));
    let taken = incoming.recv().unwrap();
    // One waits in the queue, where there is room for one.
    let second = std::thread::spawn(move || ask(address, "GET", "/status", &[], b""));
    let third = std::thread::spawn(move || ask(address, "GET", "/status", &[], b""));
    while !second.is_finished() && !third.is_finished() {
        std::thread::yield_now();
    }
    // Nobody answers any more.
    drop((taken, incoming));
    let answers = [first, second, third].map(|asking| asking.join().unwrap());
    let mut reasons: Vec<_> = answers.iter().map(Answer::error).collect();
    reasons.sort();
    assert!(
        answers.iter().all(|answer| answer.status == 503),
        "{answers:?}"
    );
    assert_eq!(
        reasons,
        [
            "control is busy, try again",
            "control stopped meanwhile",
            "control stopped meanwhile"
        ]
    );
    let last = ask(address, "GET", "/metrics", &[], b"");
    assert_eq!((last.status, &*last.error()), (503, "control is stopping"));
}

/// An MRFC that has no gateway yet.
fn mrfc() -> Running {
    Running::start("roles = [\"mrfc\"]\nsip = [\"127.0.0.1:5060\"]\n", false)
}

fn post(running: &Running, path: &str, body: &[u8]) -> Answer {
    running.send("POST", path, body)
}

fn delete(running: &Running, path: &str) -> Answer {
    running.send("DELETE", path, b"")
}

#[test]
fn an_mrfc_is_asked_for_conferences_and_jobs() {
    let running = mrfc();
    let opened = json!({ "name": "team" }).to_string();
    let opened = post(&running, "/mrf/conferences", opened.as_bytes());
    assert_eq!(opened.status, 201);
    assert_eq!(opened.json()["uri"], "sip:mrfc.team@127.0.0.1:5060");
    let again = post(&running, "/mrf/conferences", b"{\"name\": \"team\"}");
    assert_eq!(again.status, 409);
    let shown = running.get("/mrf").json();
    assert_eq!(shown["conferences"][0]["name"], "team");
    assert_eq!(shown["conferences"][0]["members"], json!([]));
    assert_eq!((&shown["calls"], &shown["jobs"]), (&json!(0), &json!([])));

    let job = json!({ "conference": "team", "play": { "parts": ["prompt:busy"] } }).to_string();
    let begun = post(&running, "/mrf/jobs", job.as_bytes());
    assert_eq!(begun.status, 200);
    assert_eq!(begun.json()["state"], "failed");
    let path = format!("/mrf/jobs/{}", begun.json()["id"]);
    assert_eq!(running.get(&path).json(), begun.json());
    assert_eq!(running.get("/mrf/jobs/77").status, 404);
    for body in [
        "{}",
        "{\"user\": \"a\"}",
        "{\"user\": \"a\", \"conference\": \"b\", \"play\": {\"parts\": [\"1\"]}}",
        "{\"user\": \"a\", \"play\": {\"parts\": [\"1\"]}, \"more\": 1}",
        "[",
    ] {
        assert_eq!(
            post(&running, "/mrf/jobs", body.as_bytes()).status,
            400,
            "{body}"
        );
    }
    assert_eq!(delete(&running, "/mrf/conferences/team").status, 204);
    assert_eq!(delete(&running, "/mrf/conferences/team").status, 404);
}

#[test]
fn what_changes_something_at_an_mrfc_wants_the_token() {
    let running = mrfc();
    for (method, path) in [
        ("POST", "/mrf/conferences"),
        ("DELETE", "/mrf/conferences/a"),
        ("POST", "/mrf/conferences/a/members"),
        ("PATCH", "/mrf/conferences/a/members/1"),
        ("DELETE", "/mrf/conferences/a/members/1"),
        ("POST", "/mrf/jobs"),
        ("DELETE", "/mrf/jobs/1"),
    ] {
        let answer = ask(running.address, method, path, &[], b"{}");
        assert_eq!(answer.status, 401, "{method} {path}");
    }
    assert_eq!(Running::hss().get("/mrf").status, 404);
}

#[test]
fn the_broker_is_asked_by_post() {
    let running = Running::start(
        "roles = [\"mrfc\"]\nsip = [\"127.0.0.1:5060\"]\n[mrf.servers]\n\
         \"sip:msml@192.0.2.7:5060\" = 20\n",
        false,
    );
    let kind = (
        "Content-Type",
        "application/mrb-consumer+xml; charset=utf-8",
    );
    let token = ("Authorization", &*format!("Bearer {TOKEN}"));
    let asked = |inner: &str| {
        format!(
            "<mrbconsumer version=\"1.0\" xmlns=\"urn:ietf:params:xml:ns:mrb-consumer\">\
             <mediaResourceRequest id=\"q1\">{inner}</mediaResourceRequest></mrbconsumer>"
        )
    };
    let need = |codec: &str, count: u32| {
        format!(
            "<ivrInfo><ivr-sessions><rtp-codec name=\"{codec}\"><decoding>{count}</decoding>\
             <encoding>{count}</encoding></rtp-codec></ivr-sessions></ivrInfo>"
        )
    };
    let consult = |inner: &str| {
        let answer = ask(
            running.address,
            "POST",
            "/mrb",
            &[kind, token],
            asked(inner).as_bytes(),
        );
        assert_eq!(answer.status, 200);
        assert!(
            answer
                .head
                .contains("content-type: application/mrb-consumer+xml")
        );
        answer.body
    };
    let begun = consult(&need("audio/PCMA", 15));
    assert!(
        begun.contains("status=\"200\"") && begun.contains("id=\"q1\""),
        "{begun}"
    );
    assert!(begun.contains("uri=\"sip:msml@192.0.2.7:5060\""), "{begun}");
    let (_, rest) = begun.split_once("<session-id>").expect("a session");
    let (session, _) = rest.split_once('<').expect("its end");
    let change = |seq: u32, action: &str, needs: &str| {
        let info = format!(
            "<generalInfo><session-info><session-id>{session}</session-id><seq>{seq}</seq>\
             <action>{action}</action></session-info></generalInfo>{needs}"
        );
        consult(&info)
    };
    // 15 of 20 are promised: 6 more are not there, for this session 20 are.
    for (told, status) in [
        (consult(&need("audio/PCMA", 6)), 408),
        (consult(&need("audio/G729", 1)), 408),
        (change(9, "update", &need("audio/PCMA", 20)), 405),
        (change(2, "update", &need("audio/PCMA", 21)), 409),
        (change(3, "update", &need("audio/PCMA", 20)), 200),
        (change(5, "remove", ""), 200),
        (change(7, "remove", ""), 410),
        (consult(&need("audio/PCMA", 20)), 200),
        (consult("<other/>"), 420),
    ] {
        assert!(
            told.contains(&format!("status=\"{status}\"")),
            "{status}: {told}"
        );
    }
    let unauthorized = ask(running.address, "POST", "/mrb", &[kind], b"");
    assert_eq!(unauthorized.status, 401);
    assert_eq!(post(&running, "/mrb", b"{}").status, 415);
}
