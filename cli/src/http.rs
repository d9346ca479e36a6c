//! A client for the admin interfaces: HTTP/1.1 over one kept connection, JSON in and out.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::failure::Failure;

/// How long the admin interface may take to accept, and to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer taken; a page of 1 000 subscribers is far below.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// The longest status or header line taken.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// Most header lines taken.
const HEADERS_MAX: usize = 100;

/// One admin interface.
pub struct Client {
    address: SocketAddr,
    token: Option<String>,
    connection: Option<BufReader<TcpStream>>,
}

/// An answer: status code and JSON body, null where there is none.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// What the server says is wrong.
    pub fn error(&self) -> String {
        self.body["error"]
            .as_str()
            .map_or(format!("HTTP status {}", self.status), str::to_owned)
    }
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(address: SocketAddr) -> Self {
        Client {
            address,
            token: None,
            connection: None,
        }
    }

    /// Sends this token with every request.
    #[must_use]
    pub fn with_token(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    /// Fetches a resource.
    ///
    /// # Errors
    /// Nobody listens, the answer is not HTTP, or it does not come in time.
    pub fn get(&mut self, path: &str) -> Result<Answer, Failure> {
        self.request("GET", path, None, None)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        header: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let reused = self.connection.is_some();
        let answer = self.exchange(method, path, header, body);
        // The server may have closed a kept connection meanwhile: once more on a fresh one.
        let answer = if answer.is_err() && reused {
            self.connection = None;
            self.exchange(method, path, header, body)
        } else {
            answer
        };
        answer.map_err(|fault| {
            self.connection = None;
            let failure = Failure::new(format!(
                "no answer from the admin interface {}",
                self.address
            ));
            failure
                .because(fault)
                .remedy("Is the process running? Name its admin address with --admin IP:PORT.")
        })
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        header: Option<(&str, &str)>,
        body: Option<&Value>,
    ) -> io::Result<Answer> {
        if self.connection.is_none() {
            let stream = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            stream.set_nodelay(true)?;
            self.connection = Some(BufReader::new(stream));
        }
        let connection = self.connection.as_mut().expect("set just above");
        let body = body.map(Value::to_string);
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if let Some(token) = &self.token {
            request.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if let Some((name, value)) = header {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &body {
            request.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        request.push_str("\r\n");
        request.push_str(body.as_deref().unwrap_or_default());
        connection.get_mut().write_all(request.as_bytes())?;
        let (answer, keep) = read_answer(connection)?;
        if !keep {
            self.connection = None;
        }
        Ok(answer)
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads one answer; true when the connection may carry another.
fn read_answer(from: &mut impl BufRead) -> io::Result<(Answer, bool)> {
    let line = read_line(from)?;
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|code| code.parse::<u16>().ok())
        .ok_or_else(|| invalid("the answer is not HTTP"))?;
    let (mut length, mut chunked, mut keep) = (None, false, true);
    for count in 0.. {
        let line = read_line(from)?;
        if line.is_empty() {
            break;
        }
        if count >= HEADERS_MAX {
            return Err(invalid("too many headers"));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid("a header without colon"))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse::<u64>().ok(),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => keep = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    match (chunked, length) {
        _ if status == 204 || status == 304 => {}
        (true, _) => read_chunks(from, &mut body)?,
        (false, Some(length)) if length <= BODY_BYTES_MAX => {
            from.take(length).read_to_end(&mut body)?;
            if body.len() as u64 != length {
                return Err(invalid("the answer ends too early"));
            }
        }
        (false, Some(_)) => return Err(invalid("the answer is too long")),
        (false, None) => {
            keep = false;
            from.take(BODY_BYTES_MAX).read_to_end(&mut body)?;
        }
    }
    let body = match serde_json::from_slice(&body) {
        Ok(value) => value,
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => Value::String(String::from_utf8_lossy(&body).into_owned()),
    };
    Ok((Answer { status, body }, keep))
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(invalid("the connection closed in the middle of an answer"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| invalid("a header that is not text"))
}

/// Chunked transfer coding, RFC 9112 7.1.
fn read_chunks(from: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(from)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| invalid("a bad chunk size"))?;
        if body.len() as u64 + size > BODY_BYTES_MAX {
            return Err(invalid("the answer is too long"));
        }
        if size == 0 {
            // Trailers end in an empty line.
            while !read_line(from)?.is_empty() {}
            return Ok(());
        }
        let before = body.len() as u64;
        from.take(size).read_to_end(body)?;
        if body.len() as u64 - before != size || !read_line(from)?.is_empty() {
            return Err(invalid("a broken chunk"));
        }
    }
}

/// Escapes what may not stand in a path segment or a query value (RFC 3986 2.1).
pub fn percent(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(text: &str) -> io::Result<(Answer, bool)> {
        read_answer(&mut BufReader::new(text.as_bytes()))
    }

    #[test]
    fn a_length_bounds_the_body() {
        let (answer, keep) =
            parse("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}rest").expect("valid");
        assert_eq!(
            answer,
            Answer {
                status: 200,
                body: json!({ "a": 1 })
            }
        );
        assert!(keep);
    }

    #[test]
    fn chunks_are_joined() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
        assert_eq!(parse(text).expect("valid").0.body, json!({ "a": 1 }));
    }

    #[test]
    fn without_length_the_end_of_the_connection_bounds_the_body() {
        let (answer, keep) =
            parse("HTTP/1.0 404 Not Found\r\n\r\n{\"error\":\"no\"}").expect("valid");
        assert_eq!(answer.error(), "no");
        assert!(!keep);
    }

    #[test]
    fn broken_answers_are_errors() {
        for text in [
            "",
            "SIP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 20",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn identities_are_escaped_in_paths() {
        assert_eq!(percent("a b@ims.test/ü"), "a%20b@ims.test%2F%C3%BC");
    }
}
