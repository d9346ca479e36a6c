//! Fetches a file over HTTP (RFC 9110) by `ureq`: blocking, bounded in size and time, and from
//! hosts that are allowed, redirections included.
//!
//! `http` only: TLS is left to a proxy beside the process. The answer is taken whole.

use std::io;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

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
        let mut response = ask(&url, have, left(deadline)?).map_err(fault)?;
        let fields = response.headers();
        match response.status().as_u16() {
            200 => {
                if fields.contains_key("content-encoding") {
                    return Err(Error::Http("an encoding that was not asked for"));
                }
                let (validators, freshness) = (Validators::of(fields), Freshness::of(fields));
                let limit = config.octets_max as u64;
                let length = field(fields, "content-length").and_then(|it| it.parse::<u64>().ok());
                if length.is_some_and(|length| length > limit) {
                    return Err(TOO_LARGE);
                }
                let body = response.body_mut().with_config().limit(limit).read_to_vec();
                return Ok(Answer::Body(body.map_err(fault)?, validators, freshness));
            }
            304 => return Ok(Answer::NotModified(Freshness::of(fields))),
            301 | 302 | 303 | 307 | 308 => {
                let location = field(fields, "location");
                url = url.join(location.ok_or(Error::Http("a redirection to nowhere"))?)?;
            }
            status => return Err(Error::Status(status)),
        }
    }
    Err(Error::Http("too many redirections"))
}

/// Asks once, over a connection of its own. Each redirection is judged before it is followed.
fn ask(url: &Url, have: &Validators, time: Duration) -> Result<Response<Body>, ureq::Error> {
    let config = Agent::config_builder()
        .timeout_global(Some(time))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(HEAD_OCTETS_MAX)
        .proxy(None)
        .user_agent("strowger")
        .accept("audio/*, application/ogg")
        .accept_encoding("identity")
        .build();
    let agent = Agent::new_with_config(config);
    let mut request = agent.get(format!("http://{}{}", url.authority(), url.target));
    if let Some(etag) = &have.etag {
        request = request.header("If-None-Match", etag);
    } else if let Some(date) = &have.last_modified {
        request = request.header("If-Modified-Since", date);
    }
    request.header("Connection", "close").call()
}

/// What went wrong, in our words.
fn fault(fault: ureq::Error) -> Error {
    match fault {
        ureq::Error::Timeout(_) => Error::Io(io::ErrorKind::TimedOut),
        ureq::Error::HostNotFound => Error::Io(io::ErrorKind::NotFound),
        ureq::Error::ConnectionFailed => Error::Io(io::ErrorKind::ConnectionRefused),
        ureq::Error::BodyExceedsLimit(_) => TOO_LARGE,
        ureq::Error::Io(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => CUT_SHORT,
        ureq::Error::Io(fault) => fault.into(),
        _ => Error::Http("an answer that cannot be read"),
    }
}

fn field<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    fields.get(name)?.to_str().ok()
}

impl Validators {
    fn of(fields: &HeaderMap) -> Self {
        Self {
            etag: field(fields, "etag").map(str::to_owned),
            last_modified: field(fields, "last-modified").map(str::to_owned),
        }
    }
}

impl Freshness {
    /// RFC 9111 5.2.2; without `max-age` a copy is asked after each time.
    fn of(fields: &HeaderMap) -> Self {
        let mut freshness = Freshness {
            may_store: true,
            lifetime: Duration::ZERO,
            may_be_stale: true,
        };
        let mut is_always_asked = false;
        let said = fields.get_all("cache-control").iter();
        let said = said.filter_map(|value| value.to_str().ok());
        for directive in said.flat_map(|value| value.split(',')) {
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
        let age = field(fields, "age").and_then(|age| age.parse().ok());
        let age = Duration::from_secs(age.unwrap_or(0));
        freshness.lifetime = freshness.lifetime.saturating_sub(age);
        if is_always_asked {
            freshness.lifetime = Duration::ZERO;
            freshness.may_be_stale = false;
        }
        freshness
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
const CUT_SHORT: Error = Error::Http("an answer that is cut short");
const URL_OCTETS_MAX: usize = 2048;
const REDIRECTIONS_MAX: usize = 5;
const HEAD_OCTETS_MAX: usize = 16_384;
/// A copy is asked after at least once a day.
const LIFETIME_MAX: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
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
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let chunks = [head, b"3e9\r\n".to_vec(), vec![0; 1001]].concat();
        assert_eq!(fetched(&chunks), Err(TOO_LARGE));
        for answer in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
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
        let asked = asked[0].to_ascii_lowercase();
        assert!(asked.starts_with("get /a.wav?b=1 http/1.1\r\n"), "{asked}");
        assert!(asked.contains("\r\nhost: 127.0.0.1:"), "{asked}");
        assert!(asked.contains("\r\nif-none-match: \"7\"\r\n"), "{asked}");
        assert!(!asked.contains("if-modified-since"), "{asked}");
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
            let mut fields = HeaderMap::new();
            fields.insert("cache-control", control.parse().unwrap());
            Freshness::of(&fields)
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
