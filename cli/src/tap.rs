//! `strowger tap`: a capture of what passes at addresses of a media process.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::failure::Failure;
use crate::output;
use crate::status::MEDIA_ADMIN;

/// How long the media process may take to accept and to say nothing before a capture begins.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest head of an answer taken.
const HEAD_BYTES_MAX: u64 = 16 << 10;

/// Flags of `tap`.
#[derive(Debug, Args)]
pub struct TapArgs {
    /// Local addresses and ports of media, as H.248 and the log name them; their RTCP comes too
    #[arg(required = true, value_name = "IP:PORT")]
    pub local: Vec<SocketAddr>,
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
    #[arg(long, value_name = "IP:PORT", default_value_t = MEDIA_ADMIN)]
    pub admin: SocketAddr,
}

/// Writes the file and says how long it is.
pub fn run(args: &TapArgs) -> Result<(), Failure> {
    let cannot = |what: &str| Failure::new(format!("cannot {what}"));
    let mut answer =
        request(args).map_err(|fault| cannot("ask the media process").because(fault))?;
    let status = head(&mut answer).map_err(|fault| cannot("read its answer").because(fault))?;
    if status != 200 {
        let mut body = String::new();
        let _ = answer.take(HEAD_BYTES_MAX).read_to_string(&mut body);
        return Err(cannot("tap").because(body));
    }
    let named = args.out.display();
    let file = File::create(&args.out).map_err(|fault| cannot("create the file").because(fault));
    let mut file = file?;
    let copied = io::copy(&mut answer.take(args.bytes), &mut file);
    let bytes = copied.map_err(|fault| cannot("write the file").because(fault))?;
    output::print(&format!("{bytes} octets in {named}\n"));
    Ok(())
}

fn request(args: &TapArgs) -> io::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect_timeout(&args.admin, TIMEOUT)?;
    // While nothing passes, nothing comes.
    stream.set_read_timeout(Some(TIMEOUT + Duration::from_secs(args.seconds)))?;
    let locals: Vec<String> = args.local.iter().map(SocketAddr::to_string).collect();
    let (locals, seconds) = (locals.join(","), args.seconds);
    let line = format!("GET /tap?local={locals}&seconds={seconds} HTTP/1.1");
    write!(stream, "{line}\r\nHost: {}\r\n\r\n", args.admin)?;
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
