//! Messages of a stream, RFC 3261 18.3, and its keep-alives, RFC 5626 3.5.1.

use crate::limits::{HEAD_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::message::content_length;
use crate::{Malformed, Message, ParseError, index};
use memchr::memmem;

/// What a stream yields.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// A malformed message whose end is known: answer it if it can be answered, and go on.
    Malformed(ParseError),
    /// The place where the next message starts is lost: answer if possible, then close the
    /// connection. Nothing more comes from this framer.
    Broken(ParseError),
    /// A double CRLF: answer with [`PONG`].
    Ping,
    /// The single CRLF that answers our ping.
    Pong,
}

/// The keep-alive a client sends on a stream.
pub const PING: &[u8] = b"\r\n\r\n";

/// Its answer.
pub const PONG: &[u8] = b"\r\n";

/// Cuts one received stream into messages. Holds at most one message and what arrived with it.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Octets of `buffer` that have been yielded.
    done: usize,
    /// Octets after `done` that hold no end of a head.
    scanned: usize,
    /// Length of the message under way, once its head is read.
    need: Option<usize>,
    pongs_due: u32,
    broken: bool,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Framer {
        Framer::default()
    }

    /// Takes octets as they were received. Then call [`Framer::poll_frame`] until it yields none.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        if self.done > 0 {
            self.buffer.drain(..self.done);
            self.done = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Notes that [`PING`] was sent, so that the next single CRLF is its answer.
    pub fn handle_ping_sent(&mut self) {
        self.pongs_due = self.pongs_due.saturating_add(1);
    }

    /// Octets received that no frame has yielded yet.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.done
    }

    /// The next frame, `None` until more octets come.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        if self.broken {
            return None;
        }
        if self.need.is_none()
            && let Some(keep_alive) = self.line_ends()
        {
            return Some(keep_alive);
        }
        let rest = &mut self.buffer[self.done..];
        if rest.is_empty() || self.need.is_some_and(|need| rest.len() < need) {
            return None;
        }
        let Some(end) = memmem::find(&rest[self.scanned..], b"\r\n\r\n") else {
            if rest.len() > HEAD_BYTES_MAX {
                let error = ParseError::new(Malformed::LineTooLong, HEAD_BYTES_MAX, None);
                return Some(self.broken(error));
            }
            self.scanned = rest.len().saturating_sub(3);
            return None;
        };
        let head = self.scanned + end + 4;
        if head > HEAD_BYTES_MAX {
            let error = ParseError::new(Malformed::LineTooLong, HEAD_BYTES_MAX, None);
            return Some(self.broken(error));
        }
        let (index, mut found) = index::index(&mut rest[..head]);
        let length = index.as_ref().map(|index| content_length(rest, index));
        let Some(Ok(Some(body))) = length else {
            if !matches!(length, None | Some(Ok(_))) || found.is_none() {
                found = Some((Malformed::ContentLength, 0));
            }
            let head = rest[..head].to_vec();
            let partial = Message::assemble(head, index, found);
            return Some(self.broken(partial.err()?));
        };
        let need = head.saturating_add(body);
        if need > MESSAGE_BYTES_MAX {
            let partial = index.map(|index| Message::from_index(rest[..head].to_vec(), index));
            let error = ParseError::new(Malformed::TooLong, head, partial);
            return Some(self.broken(error));
        }
        if rest.len() < need {
            self.need = Some(need);
            return None;
        }
        let message = Message::assemble(rest[..need].to_vec(), index, found);
        self.done += need;
        self.scanned = 0;
        self.need = None;
        Some(match message {
            Ok(message) => Frame::Message(message),
            Err(error) => Frame::Malformed(error),
        })
    }

    /// Takes the line ends before a start line. A lone CRLF means nothing unless a pong is due.
    fn line_ends(&mut self) -> Option<Frame> {
        loop {
            let rest = &self.buffer[self.done..];
            if rest.starts_with(PING) && self.pongs_due == 0 {
                self.done += PING.len();
                return Some(Frame::Ping);
            }
            if !rest.starts_with(PONG) {
                return None;
            }
            if self.pongs_due > 0 {
                self.pongs_due -= 1;
                self.done += PONG.len();
                return Some(Frame::Pong);
            }
            // The half of a ping: its other half may still be under way.
            if PING.starts_with(rest) {
                return None;
            }
            self.done += PONG.len();
        }
    }

    fn broken(&mut self, error: ParseError) -> Frame {
        self.broken = true;
        self.buffer = Vec::new();
        self.done = 0;
        Frame::Broken(error)
    }
}
