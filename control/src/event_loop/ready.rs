//! Sockets that have something to read, in turn and each once.

use std::collections::{HashSet, VecDeque};

use mio::Token;

/// A queue without repetition: readiness that is told again before it was used up changes nothing.
#[derive(Debug, Default)]
pub struct Ready {
    queue: VecDeque<Token>,
    queued: HashSet<Token>,
}

impl Ready {
    /// Puts a socket behind the others, unless it waits already.
    pub fn push(&mut self, token: Token) {
        if self.queued.insert(token) {
            self.queue.push_back(token);
        }
    }

    /// The socket whose turn it is.
    pub fn pop(&mut self) -> Option<Token> {
        let token = self.queue.pop_front()?;
        self.queued.remove(&token);
        Some(token)
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_waits_once_and_in_turn() {
        let mut ready = Ready::default();
        for token in [3, 1, 3, 2, 1] {
            ready.push(Token(token));
        }
        assert_eq!(ready.len(), 3);
        assert_eq!(ready.pop(), Some(Token(3)));
        ready.push(Token(3));
        let rest: Vec<_> = std::iter::from_fn(|| ready.pop()).collect();
        assert_eq!(rest, [Token(1), Token(2), Token(3)]);
        assert!(ready.is_empty());
    }
}
