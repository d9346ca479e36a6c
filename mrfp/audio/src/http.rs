//! Fetches a file over HTTP/1.1, RFC 9110 and 9112: blocking, bounded in size and time.
//!
//! `http` only: TLS is left to a proxy beside the process. The answer is taken whole.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::Error;

/// An absolute `http` URL, RFC 9110 4.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    /// Host name, or address without brackets, in small letters.
    host: String,
    port: u16,
    /// Path and query.
    target: String,
}

impl Url {
    /// Reads a URL; its fragment is dropped.
    ///
    /// # Errors
    /// `Unsupported` for schemes other than `http`, `Misuse` for what is no URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        const NO_URL: Error = Error::Misuse("no URL that can be fetched");
        let is_clean = text.bytes().all(|octet| octet.is_ascii_graphic());
        if text.len() > URL_OCTETS_MAX || !is_clean {
            return Err(NO_URL);
        }
        let (scheme, rest) = text.split_once("://").ok_or(NO_URL)?;
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(Error::Unsupported("a scheme other than http"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Error::Unsupported("a URL with a password"));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(NO_URL)?;
                (host, port.strip_prefix(':').unwrap_or(port))
            }
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        let port = match port {
            "" => 80,
            digits => digits.parse().map_err(|_| NO_URL)?,
        };
        if host.is_empty() {
            return Err(NO_URL);
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
            target: format!("{slash}{target}"),
        })
    }

    /// Host name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Host and port, as `Host` has them.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == 80 {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Where a `Location` leads from here.
    fn join(&self, location: &str) -> Result<Self, Error> {
        if location.contains("://") {
            return Self::parse(location);
        }
        if !location.starts_with('/') || location.starts_with("//") {
            return Err(Error::Http("a redirection that is not followed"));
        }
        Self::parse(&format!("http://{}{location}", self.authority()))
    }
}

/// Where files may be fetched from, and how long that may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Hosts, in small letters; `*` for any. Others are refused.
    pub hosts: Vec<String>,
    /// Longest time for one file, from the first connection to the last octet.
    pub time_max: Duration,
    /// Largest file.
    pub octets_max: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            time_max: Duration::from_secs(5),
            octets_max: 16 << 20,
        }
    }
}

impl HttpConfig {
    fn check(&self, url: &Url) -> Result<(), Error> {
        let is_it = |host: &String| host == "*" || *host == url.host;
        if self.hosts.iter().any(is_it) {
            return Ok(());
        }
        Err(Error::Misuse(
            "the host is not in the list of those to fetch from",
        ))
    }
}

/// What tells whether a copy is still good, RFC 9110 8.8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
}

/// How long a copy may be used, RFC 9111.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// May be kept at all.
    pub may_store: bool,
    /// Age until which it is used without asking.
    pub lifetime: Duration,
    /// May be used when nobody answers, though too old.
    pub may_be_stale: bool,
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The file.
    Body(Vec<u8>, Validators, Freshness),
    /// The copy is good, and for how long.
    NotModified(Freshness),
}

/// Fetches a file, or learns that the copy with these validators is still good.
///
/// # Errors
/// `Misuse` for a host that is not allowed, `Status`, `Http`, `Limit` for size, `Io` with
/// `TimedOut` for time.
pub fn fetch(url: &Url, have: &Validators, config: &HttpConfig) -> Result<Answer, Error> {
    let deadline = clock::now() + config.time_max;
    let mut url = url.clone();
    for _ in 0..=REDIRECTIONS_MAX {
        config.check(&url)?;
        let mut connection = Connection::open(&url, deadline)?;
        connection.ask(&url, have)?;
        let head = connection.head()?;
        match head.status {
            200 => {
                let body = connection.body(&head, config.octets_max)?;
                return Ok(Answer::Body(body, head.validators(), head.freshness()));
            }
            304 => return Ok(Answer::NotModified(head.freshness())),
            301 | 302 | 303 | 307 | 308 => {
                let location = head.field("location");
                url = url.join(location.ok_or(Error::Http("a redirection to nowhere"))?)?;
            }
            status => return Err(Error::Status(status)),
        }
    }
    Err(Error::Http("too many redirections"))
}

/// The head of an answer.
#[derive(Debug)]
struct Head {
    status: u16,
    /// Names in small letters.
    fields: Vec<(String, String)>,
}

impl Head {
    fn parse(text: &str) -> Result<Self, Error> {
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1."))
            .and_then(|line| line.split(' ').nth(1))
            .filter(|digits| digits.len() == 3)
            .and_then(|digits| digits.parse().ok())
            .ok_or(Error::Http("no status line"))?;
        let fields = lines
            .filter(|line| !line.is_empty())
            .take(FIELDS_MAX)
            .map(|line| {
                let (name, value) = line.split_once(':').ok_or(Error::Http("a broken field"))?;
                Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { status, fields })
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(each, _)| each == name);
        found.next().map(|(_, value)| value.as_str())
    }

    fn validators(&self) -> Validators {
        Validators {
            etag: self.field("etag").map(str::to_owned),
            last_modified: self.field("last-modified").map(str::to_owned),
        }
    }

    /// RFC 9111 5.2.2; without `max-age` a copy is asked after each time.
    fn freshness(&self) -> Freshness {
        let mut freshness = Freshness {
            may_store: true,
            lifetime: Duration::ZERO,
            may_be_stale: true,
        };
        let mut is_always_asked = false;
        let named = |(name, _): &&(String, String)| name == "cache-control";
        let fields = self.fields.iter().filter(named);
        for directive in fields.flat_map(|(_, value)| value.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => freshness.may_store = false,
                "no-cache" => is_always_asked = true,
                "must-revalidate" => freshness.may_be_stale = false,
                "max-age" => {
                    let seconds = value.trim().trim_matches('"').parse().unwrap_or(0);
                    freshness.lifetime = Duration::from_secs(seconds).min(LIFETIME_MAX);
                }
                _ => {}
            }
        }
        let age = self.field("age").and_then(|age| age.parse().ok());
        let age = Duration::from_secs(age.unwrap_or(0));
        freshness.lifetime = freshness.lifetime.saturating_sub(age);
        if is_always_asked {
            freshness.lifetime = Duration::ZERO;
            freshness.may_be_stale = false;
        }
        freshness
    }
}

/// One connection for one question.
struct Connection {
    stream: TcpStream,
    deadline: Instant,
    /// What was read and not taken yet.
    ahead: Vec<u8>,
}

impl Connection {
    fn open(url: &Url, deadline: Instant) -> Result<Self, Error> {
        let mut refused = Error::Io(io::ErrorKind::NotFound);
        let addresses = (url.host.as_str(), url.port).to_socket_addrs()?;
        for address in addresses.take(ADDRESSES_MAX) {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => {
                    return Ok(Self {
                        stream,
                        deadline,
                        ahead: Vec::new(),
                    });
                }
                Err(error) => refused = error.into(),
            }
        }
        Err(refused)
    }

    fn ask(&mut self, url: &Url, have: &Validators) -> Result<(), Error> {
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: strowger\r\n\
             Accept: audio/*, application/ogg\r\nConnection: close\r\n",
            url.target,
            url.authority()
        );
        if let Some(etag) = &have.etag {
            request += &format!("If-None-Match: {etag}\r\n");
        } else if let Some(date) = &have.last_modified {
            request += &format!("If-Modified-Since: {date}\r\n");
        }
        request += "\r\n";
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write_all(request.as_bytes())?;
        Ok(())
    }

    /// Reads more; false at the end.
    fn more(&mut self) -> Result<bool, Error> {
        let mut octets = [0; 16_384];
        loop {
            self.stream.set_read_timeout(Some(left(self.deadline)?))?;
            match self.stream.read(&mut octets) {
                Ok(count) => {
                    self.ahead.extend_from_slice(&octets[..count]);
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Error::Io(io::ErrorKind::TimedOut));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next final head; interim ones are passed over.
    fn head(&mut self) -> Result<Head, Error> {
        for _ in 0..INTERIM_MAX {
            let end = loop {
                let end = self.ahead.windows(4).position(|seen| seen == b"\r\n\r\n");
                if let Some(end) = end {
                    break end;
                }
                if self.ahead.len() > HEAD_OCTETS_MAX {
                    return Err(Error::Limit("the head of an answer"));
                }
                if !self.more()? {
                    return Err(Error::Http("an answer cut short"));
                }
            };
            let text = String::from_utf8_lossy(&self.ahead[..end]).into_owned();
            self.ahead.drain(..end + 4);
            let head = Head::parse(&text)?;
            if head.status >= 200 {
                return Ok(head);
            }
        }
        Err(Error::Http("nothing but interim answers"))
    }

    /// RFC 9112 6.3.
    fn body(&mut self, head: &Head, octets_max: usize) -> Result<Vec<u8>, Error> {
        match head.field("transfer-encoding") {
            Some(coding) if coding.eq_ignore_ascii_case("chunked") => {
                return self.chunks(octets_max);
            }
            Some(_) => return Err(Error::Http("a transfer coding other than chunked")),
            None => {}
        }
        if let Some(coding) = head.field("content-encoding")
            && !coding.eq_ignore_ascii_case("identity")
        {
            return Err(Error::Http("a content coding that was not asked for"));
        }
        match head.field("content-length") {
            Some(length) => {
                let length = length.parse().map_err(|_| Error::Http("a broken length"))?;
                if length > octets_max {
                    return Err(TOO_LARGE);
                }
                self.exactly(length)
            }
            None => {
                while self.ahead.len() <= octets_max {
                    if !self.more()? {
                        return Ok(std::mem::take(&mut self.ahead));
                    }
                }
                Err(TOO_LARGE)
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        while self.ahead.len() < length {
            if !self.more()? {
                return Err(Error::Http("a body cut short"));
            }
        }
        let rest = self.ahead.split_off(length);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    /// RFC 9112 7.1; what comes after the last chunk is not read.
    fn chunks(&mut self, octets_max: usize) -> Result<Vec<u8>, Error> {
        const BROKEN: Error = Error::Http("a broken chunk");
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = self.ahead.windows(2).position(|seen| seen == b"\r\n") {
                    break end;
                }
                if self.ahead.len() > CHUNK_LINE_OCTETS_MAX || !self.more()? {
                    return Err(BROKEN);
                }
            };
            let line = self.exactly(end + 2)?;
            let line = std::str::from_utf8(&line).map_err(|_| BROKEN)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| BROKEN)?;
            if size == 0 {
                return Ok(body);
            }
            if size > octets_max - body.len() {
                return Err(TOO_LARGE);
            }
            body.append(&mut self.exactly(size)?);
            if self.exactly(2)? != b"\r\n" {
                return Err(BROKEN);
            }
        }
    }
}

/// Time until the deadline.
fn left(deadline: Instant) -> Result<Duration, Error> {
    let left = deadline.saturating_duration_since(clock::now());
    if left.is_zero() {
        return Err(Error::Io(io::ErrorKind::TimedOut));
    }
    Ok(left)
}

const TOO_LARGE: Error = Error::Limit("the size of a file fetched");
const URL_OCTETS_MAX: usize = 2048;
const REDIRECTIONS_MAX: usize = 5;
const ADDRESSES_MAX: usize = 4;
const INTERIM_MAX: usize = 4;
const FIELDS_MAX: usize = 100;
const HEAD_OCTETS_MAX: usize = 16_384;
const CHUNK_LINE_OCTETS_MAX: usize = 1024;
/// A copy is asked after at least once a day.
const LIFETIME_MAX: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Serves these answers one after the other and returns what was asked.
    fn server(answers: Vec<Vec<u8>>) -> (Url, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut octet = [0];
                    stream.read_exact(&mut octet).unwrap();
                    request.push(octet[0]);
                }
                asked.push(String::from_utf8(request).unwrap());
                // The client may have seen enough.
                let _ = stream.write_all(&answer);
            }
            asked
        });
        (
            Url::parse(&format!("http://127.0.0.1:{port}/a.wav?b=1#c")).unwrap(),
            serving,
        )
    }

    fn config() -> HttpConfig {
        HttpConfig {
            hosts: vec!["127.0.0.1".to_owned()],
            octets_max: 1000,
            time_max: Duration::from_secs(20),
        }
    }

    fn fetched(answer: &[u8]) -> Result<Answer, Error> {
        let (url, serving) = server(vec![answer.to_vec()]);
        let answer = fetch(&url, &Validators::default(), &config());
        serving.join().unwrap();
        answer
    }

    #[test]
    fn urls_are_read() {
        let url = Url::parse("HTTP://Prompts.Example:8080?x#y").unwrap();
        assert_eq!((url.host(), url.port), ("prompts.example", 8080));
        assert_eq!(url.target, "/?x");
        assert_eq!(Url::parse("http://[::1]/a").unwrap().authority(), "[::1]");
        assert!(matches!(
            Url::parse("https://a/"),
            Err(Error::Unsupported(_))
        ));
        for text in [
            "",
            "a",
            "http://",
            "http://:80/",
            "http://a b/",
            "http://a:99999/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        assert!(Url::parse("http://a/\r\nX: y").is_err());
        assert!(Url::parse("http://user:password@a/").is_err());
    }

    #[test]
    fn a_body_of_known_length_is_taken_with_its_freshness() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\
            ETag: \"7\"\r\nCache-Control: public, Max-Age=60\r\nAge: 10\r\n\r\nabcdeXXX";
        let Answer::Body(body, validators, freshness) = fetched(answer).unwrap() else {
            panic!();
        };
        assert_eq!(body, b"abcde");
        assert_eq!(validators.etag.as_deref(), Some("\"7\""));
        assert_eq!(freshness.lifetime, Duration::from_secs(50));
        assert!(freshness.may_store && freshness.may_be_stale);
    }

    #[test]
    fn chunks_are_put_together() {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        let Answer::Body(body, ..) = fetched(answer).unwrap() else {
            panic!();
        };
        assert_eq!(body, b"abcde");
    }

    #[test]
    fn a_body_may_end_with_the_connection() {
        let Answer::Body(body, ..) = fetched(b"HTTP/1.0 200 OK\r\n\r\nabc").unwrap() else {
            panic!();
        };
        assert_eq!(body, b"abc");
    }

    #[test]
    fn answers_too_large_cut_short_or_broken_are_refused() {
        let large = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![0; 1001]].concat();
        assert_eq!(fetched(&large), Err(TOO_LARGE));
        let said = b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n";
        assert_eq!(fetched(said), Err(TOO_LARGE));
        let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n";
        assert_eq!(fetched(chunk), Err(TOO_LARGE));
        for answer in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nabc",
            b"HTTP/1.1 20",
            b"SIP/2.0 200 OK\r\n\r\n",
            b"",
        ] {
            assert!(matches!(fetched(answer), Err(Error::Http(_))));
        }
        assert_eq!(
            fetched(b"HTTP/1.1 404 Not Found\r\n\r\n"),
            Err(Error::Status(404))
        );
    }

    #[test]
    fn a_copy_is_asked_after_by_its_validator() {
        let fresh = b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=5\r\n\r\n".to_vec();
        let (url, serving) = server(vec![fresh]);
        let have = Validators {
            etag: Some("\"7\"".to_owned()),
            last_modified: Some("Sat, 21 Nov 2026 00:00:00 GMT".to_owned()),
        };
        let Answer::NotModified(freshness) = fetch(&url, &have, &config()).unwrap() else {
            panic!();
        };
        assert_eq!(freshness.lifetime, Duration::from_secs(5));
        let asked = serving.join().unwrap();
        assert!(asked[0].starts_with("GET /a.wav?b=1 HTTP/1.1\r\nHost: 127.0.0.1:"));
        assert!(asked[0].contains("If-None-Match: \"7\"\r\n"));
        assert!(!asked[0].contains("If-Modified-Since"));
    }

    #[test]
    fn redirections_are_followed_within_the_hosts_allowed() {
        let away = b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\n\r\n".to_vec();
        let near = b"HTTP/1.1 301 Moved\r\nLocation: /b\r\n\r\n".to_vec();
        let (url, serving) = server(vec![near, away]);
        let refused = fetch(&url, &Validators::default(), &config());
        assert!(matches!(refused, Err(Error::Misuse(_))));
        assert!(serving.join().unwrap()[1].starts_with("GET /b "));
    }

    #[test]
    fn what_may_not_be_kept_says_so() {
        let head = |control: &str| {
            let text = format!("HTTP/1.1 200 OK\r\nCache-Control: {control}");
            Head::parse(&text).unwrap().freshness()
        };
        assert!(!head("no-store").may_store);
        assert_eq!(head("no-cache, max-age=9").lifetime, Duration::ZERO);
        assert!(!head("max-age=9, must-revalidate").may_be_stale);
        assert_eq!(head("max-age=99999999").lifetime, LIFETIME_MAX);
        assert_eq!(head("").lifetime, Duration::ZERO);
    }

    #[test]
    fn a_server_that_does_not_answer_costs_the_time_allowed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        let config = HttpConfig {
            time_max: Duration::from_millis(50),
            ..config()
        };
        assert_eq!(
            fetch(&url, &Validators::default(), &config),
            Err(Error::Io(io::ErrorKind::TimedOut))
        );
    }
}
