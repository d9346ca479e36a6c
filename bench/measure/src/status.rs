//! The status of a process over its admin interface, asked as seldom as the caller likes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(10);

/// What the process behind `admin` says of itself; `None` when it does not answer.
///
/// The calling thread must be where the process is: `Namespace::inside`.
pub fn fetch(admin: SocketAddr) -> Option<Value> {
    get(admin, "/status")
}

/// What is at a path of the admin interface; `None` when there is no answer, or another than 200.
pub fn get(admin: SocketAddr, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect_timeout(&admin, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    body(&answer)
}

fn body(answer: &[u8]) -> Option<Value> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return None;
    }
    serde_json::from_slice(&answer[head + 4..]).ok()
}

/// A figure of a status; what is absent is zero.
pub fn figure(status: &Value, pointer: &str) -> u64 {
    status.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// A counter of a status.
pub fn counter(status: &Value, name: &str) -> u64 {
    status["counters"][name].as_u64().unwrap_or(0)
}

/// Everything that a call leaves in a process and that must be gone when it is over, by name.
pub fn leftovers(status: &Value) -> Vec<(&'static str, u64)> {
    const NAMES: [&str; 6] = [
        "/dialogs",
        "/transactions/client",
        "/transactions/server",
        "/contexts",
        "/terminations",
        "/flows",
    ];
    NAMES
        .into_iter()
        .map(|name| (name.trim_start_matches('/'), figure(status, name)))
        .filter(|&(_, value)| value > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_is_named() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 74\r\n\r\n\
            {\"dialogs\":0,\"transactions\":{\"client\":3,\"server\":0},\"counters\":{\"a.b\":4}}";
        let status = body(answer).expect("a status");
        assert_eq!(leftovers(&status), [("transactions/client", 3)]);
        assert_eq!(counter(&status, "a.b"), 4);
        assert_eq!(counter(&status, "a.c"), 0);
        assert_eq!(body(b"HTTP/1.1 503 no\r\n\r\n{}"), None);
    }
}
