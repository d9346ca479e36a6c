//! The admin interface of a media process: HTTP on a thread of its own, read only.
//!
//! | Method and path | Answer |
//! |---|---|
//! | `GET /status` | the state of the process as JSON |
//! | `GET /metrics` | its figures in Prometheus' text form |
//! | `GET /tap?local=IP:PORT,…&seconds=N` | what passes there meanwhile, as pcapng |

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::metrics;
use super::tapping::Tapping;
use crate::failure::Failure;

/// How long a client may take over its request; others wait meanwhile.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest request head taken.
const HEAD_BYTES_MAX: u64 = 16 << 10;

/// Serves on `address`; `status` is asked at every request and must not wait.
///
/// # Errors
/// The address cannot be used.
pub fn serve(
    address: SocketAddr,
    status: impl Fn() -> Value + Clone + Send + 'static,
    tapping: Tapping,
) -> Result<(), Failure> {
    let cannot = |fault| {
        Failure::new(format!("cannot listen on the admin address {address}"))
            .because(fault)
            .remedy("Choose another address with --admin IP:PORT.")
    };
    let listener = TcpListener::bind(address).map_err(cannot)?;
    let accept = move || {
        for client in listener.incoming().flatten() {
            // A client that breaks off has had its answer, or does not want it.
            let _ = answer(client, &status, &tapping);
        }
    };
    thread::Builder::new()
        .name("admin".into())
        .spawn(accept)
        .map(drop)
        .map_err(cannot)
}

/// Answers one request and closes, so that no client keeps the others waiting. A capture has a
/// thread of its own.
fn answer(client: TcpStream, status: &impl Fn() -> Value, tapping: &Tapping) -> io::Result<()> {
    client.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    client.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let line = read_head(&mut BufReader::new(&client))?;
    if let Some(rest) = line.strip_prefix("GET /tap?") {
        let query = rest.split(' ').next().unwrap_or_default().to_owned();
        let tapping = tapping.clone();
        let capture = move || {
            let refuse = |(code, word)| {
                let body = json!({ "error": word }).to_string();
                send(&client, code, JSON, &body)
            };
            // Its end by the client's leave is the usual one.
            let _ = tapping.serve(&query, &client, refuse);
        };
        let thread = thread::Builder::new().name("tap".into());
        return thread.spawn(capture).map(drop);
    }
    let (code, kind, body) = respond(&line, status);
    send(&client, code, kind, &body)
}

fn send(mut client: &TcpStream, code: &str, kind: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    client.write_all(&[head.as_bytes(), body.as_bytes()].concat())
}

/// Reads to the end of the head and returns the request line.
fn read_head(from: &mut impl BufRead) -> io::Result<String> {
    let mut head = from.take(HEAD_BYTES_MAX);
    let mut first = String::new();
    head.read_line(&mut first)?;
    let mut line = String::new();
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim().is_empty() {
            return Ok(first.trim_end().to_owned());
        }
    }
}

fn respond(line: &str, status: &impl Fn() -> Value) -> (&'static str, &'static str, String) {
    let mut words = line.split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let path = path.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET", "/status") => ("200 OK", JSON, status().to_string()),
        ("GET", "/metrics") => (
            "200 OK",
            "text/plain; version=0.0.4",
            metrics::of(&status()),
        ),
        (_, "/status" | "/metrics") => (
            "405 Method Not Allowed",
            JSON,
            json!({ "error": "use GET" }).to_string(),
        ),
        _ => {
            let error = "there are /status, /metrics and /tap";
            ("404 Not Found", JSON, json!({ "error": error }).to_string())
        }
    }
}

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::super::config::Io;
    use super::super::io::IoStatus;
    use super::super::status::Status;
    use super::*;
    use crate::http::Client;
    use dataplane::{DropCounts, DropReason, WorkerStats};
    use trgw::LegCounts;

    fn status() -> Value {
        json!({ "process": "media", "contexts": 3, "counters": { "drop.short": 7 } })
    }

    #[test]
    fn every_reason_to_drop_a_datagram_is_a_figure_of_its_own() {
        let mut drops = DropCounts::default();
        for (number, reason) in (1..).zip(DropReason::ALL) {
            drops.add(*reason, number);
        }
        let stats = WorkerStats {
            drops,
            ..WorkerStats::default()
        };
        let status = Status::of(
            Duration::ZERO,
            IoStatus::of(Io::Udp),
            (0, 0),
            std::iter::empty(),
            Vec::new(),
            // Of two workers alike.
            [stats.clone(), stats].into_iter(),
            &LegCounts::default(),
        );
        let status = serde_json::to_value(&status).expect("JSON");
        let metrics = metrics::of(&status);
        for (number, reason) in (1..).zip(DropReason::ALL) {
            let name = reason.name();
            assert_eq!(status["counters"][format!("drop.{name}")], 2 * number);
            let line = format!("strowger_drop_{name}_total {}\n", 2 * number);
            assert!(metrics.contains(&line), "{line}{metrics}");
        }
    }

    #[test]
    fn our_client_reads_our_server() {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = free.expect("a free port");
        serve(address, status, Tapping::new(None, |_| Vec::new())).expect("the port is free");
        let mut client = Client::new(address);
        for _ in 0..2 {
            assert_eq!(client.get("/status").expect("an answer").body, status());
        }
        assert_eq!(client.get("/nothing").expect("an answer").status, 404);
        assert_eq!(client.get("/tap?local=").expect("an answer").status, 403);
        let answer = client
            .request("DELETE", "/status", None, None)
            .expect("an answer");
        assert_eq!(answer.status, 405);
        let metrics = client.get("/metrics").expect("an answer").body;
        let metrics = metrics.as_str().expect("text");
        assert!(metrics.contains("strowger_contexts 3\n"), "{metrics}");
        assert!(
            metrics.contains("strowger_drop_short_total 7\n"),
            "{metrics}"
        );
    }

    #[test]
    fn broken_requests_end_the_connection() {
        let read = |text: &str| read_head(&mut text.as_bytes());
        assert!(read("GET /status HTTP/1.1\r\nHost: a\r\n").is_err());
        assert!(read("").is_err());
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
        assert!(read(&long).is_err());
    }
}
