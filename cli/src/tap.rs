//! `strowger tap`: a capture of what passes at addresses of a media process, or of its contexts,
//! its terminations, or a call.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::http::{Client, percent};
use crate::output;
use crate::status::{CONTROL_ADMIN, MEDIA_ADMIN};

/// How long the media process may take to accept and to say nothing before a capture begins.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest head of an answer taken.
const HEAD_BYTES_MAX: u64 = 16 << 10;

/// Flags of `tap`.
#[derive(Clone, Debug, Args)]
pub struct TapArgs {
    /// Local addresses and ports of media, as H.248 and the log name them; their RTCP comes too
    #[arg(value_name = "IP:PORT")]
    pub local: Vec<SocketAddr>,
    /// H.248 contexts, all that they have while they last
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub context: Vec<u32>,
    /// H.248 terminations, for instance ip/1/3
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub termination: Vec<String>,
    /// The contexts of the call with this Call-ID, which the control process knows
    #[arg(long, value_name = "ID")]
    pub call_id: Option<String>,
    /// File to write (pcapng)
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Seconds that it goes on, unless it is interrupted
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub seconds: u64,
    /// Octets that the file has at most
    #[arg(long, value_name = "N", default_value_t = 100 << 20)]
    pub bytes: u64,
    /// Admin address of the media process
    #[arg(long = "admin", value_name = "IP:PORT", default_value_t = MEDIA_ADMIN)]
    pub media: SocketAddr,
    /// Admin address of the control process, for --call-id
    #[arg(long, value_name = "IP:PORT", default_value_t = CONTROL_ADMIN)]
    pub control: SocketAddr,
}

impl Default for TapArgs {
    fn default() -> Self {
        Self {
            local: Vec::new(),
            context: Vec::new(),
            termination: Vec::new(),
            call_id: None,
            out: PathBuf::new(),
            seconds: 60,
            bytes: 100 << 20,
            media: MEDIA_ADMIN,
            control: CONTROL_ADMIN,
        }
    }
}

/// Writes the file and says how long it is.
pub fn run(args: &TapArgs) -> Result<(), Failure> {
    let cannot = |what: &str| Failure::new(format!("cannot {what}"));
    let query = query(args)?;
    let mut answer =
        request(args, &query).map_err(|fault| cannot("ask the media process").because(fault))?;
    let status = head(&mut answer).map_err(|fault| cannot("read its answer").because(fault))?;
    if status != 200 {
        let mut body = String::new();
        let _ = answer.take(HEAD_BYTES_MAX).read_to_string(&mut body);
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let word = body["error"].as_str().unwrap_or("it does not say why");
        return Err(cannot("tap").because(word));
    }
    let named = args.out.display();
    let file = File::create(&args.out).map_err(|fault| cannot("create the file").because(fault));
    let mut file = file?;
    let copied = io::copy(&mut answer.take(args.bytes), &mut file);
    let bytes = copied.map_err(|fault| cannot("write the file").because(fault))?;
    output::print(&format!("{bytes} octets in {named}\n"));
    Ok(())
}

/// What is to be tapped.
fn query(args: &TapArgs) -> Result<String, Failure> {
    let mut contexts = args.context.clone();
    if let Some(call_id) = &args.call_id {
        contexts.extend(contexts_of(args.control, call_id)?);
    }
    let mut parts = vec![format!("seconds={}", args.seconds)];
    let mut add = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            parts.push(format!("{name}={}", values.join(",")));
        }
    };
    add(
        "local",
        args.local.iter().map(SocketAddr::to_string).collect(),
    );
    add("context", contexts.iter().map(u32::to_string).collect());
    add("termination", args.termination.clone());
    if parts.len() == 1 {
        return Err(Failure::new("nothing to tap")
            .remedy("Name local addresses, or use --context, --termination or --call-id."));
    }
    Ok(parts.join("&"))
}

/// The contexts that a control process has for a call.
fn contexts_of(control: SocketAddr, call_id: &str) -> Result<Vec<u32>, Failure> {
    let answer = Client::new(control).get(&format!("/calls/{}/contexts", percent(call_id)))?;
    let contexts = answer.body.as_array().filter(|_| answer.status == 200);
    let contexts = contexts.ok_or_else(|| {
        Failure::new("cannot find the contexts of the call").because(answer.error())
    })?;
    let numbers = contexts
        .iter()
        .filter_map(|found| found["context"].as_u64());
    Ok(numbers
        .filter_map(|number| u32::try_from(number).ok())
        .collect())
}

fn request(args: &TapArgs, query: &str) -> io::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect_timeout(&args.media, TIMEOUT)?;
    // While nothing passes, nothing comes.
    stream.set_read_timeout(Some(TIMEOUT + Duration::from_secs(args.seconds)))?;
    let line = format!("GET /tap?{query} HTTP/1.1");
    write!(stream, "{line}\r\nHost: {}\r\n\r\n", args.media)?;
    Ok(BufReader::new(stream))
}

/// Reads the head of an answer; its status.
fn head(answer: &mut impl BufRead) -> io::Result<u16> {
    let mut head = answer.take(HEAD_BYTES_MAX);
    let mut first = String::new();
    head.read_line(&mut first)?;
    let mut line = String::new();
    while line.trim().len() + usize::from(line.is_empty()) > 0 {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_its_empty_line() {
        let mut answer = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n\nrest".as_bytes();
        assert_eq!(head(&mut answer).ok(), Some(200));
        assert_eq!(answer, b"\nrest");
        for text in ["", "HTTP/1.1 200 OK\r\nA: b\r\n", "what\r\n\r\n"] {
            assert!(head(&mut text.as_bytes()).is_err(), "{text}");
        }
    }
}
