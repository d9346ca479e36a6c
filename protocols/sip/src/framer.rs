//! Messages of a stream, RFC 3261 18.3, and its keep-alives, RFC 5626 3.5.1.

use crate::index::Index;
use crate::limits::MESSAGE_BYTES_MAX;
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
        if self.buffered() < self.need.unwrap_or(1) {
            return None;
        }
        let Some(head) = self.head() else {
            let full = self.buffered() > MESSAGE_BYTES_MAX;
            return full.then(|| self.lost(Malformed::TooLong, MESSAGE_BYTES_MAX, None));
        };
        let rest = &mut self.buffer[self.done..];
        let (index, mut found) = index::index(&mut rest[..head]);
        let Some(index) = index else {
            let (fault, offset) = found.unwrap_or((Malformed::StartLine, 0));
            return Some(self.lost(fault, offset, None));
        };
        let need = match content_length(rest, &index) {
            Ok(Some(body)) => head.saturating_add(body),
            other => {
                let at = other.err().unwrap_or(head);
                let (fault, offset) = *found.get_or_insert((Malformed::ContentLength, at));
                return Some(self.lost(fault, offset, Some((head, index))));
            }
        };
        if need > MESSAGE_BYTES_MAX {
            return Some(self.lost(Malformed::TooLong, head, Some((head, index))));
        }
        if rest.len() < need {
            self.need = Some(need);
            return None;
        }
        let message = Message::assemble(rest[..need].to_vec(), Some(index), found);
        self.done += need;
        self.scanned = 0;
        self.need = None;
        Some(match message {
            Ok(message) => Frame::Message(message),
            Err(error) => Frame::Malformed(error),
        })
    }

    /// Length of the head of the next message, its empty line included, once it is there.
    fn head(&mut self) -> Option<usize> {
        let rest = &self.buffer[self.done..];
        let Some(end) = memmem::find(&rest[self.scanned..], b"\r\n\r\n") else {
            self.scanned = rest.len().saturating_sub(3);
            return None;
        };
        Some(self.scanned + end + 4)
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

    /// Gives the stream up. What could be read of the head goes along.
    fn lost(&mut self, fault: Malformed, offset: usize, head: Option<(usize, Index)>) -> Frame {
        let partial = head.map(|(len, index)| {
            Message::from_index(self.buffer[self.done..][..len].to_vec(), index)
        });
        self.broken = true;
        self.buffer = Vec::new();
        self.done = 0;
        Frame::Broken(ParseError::new(fault, offset, partial))
    }
}
