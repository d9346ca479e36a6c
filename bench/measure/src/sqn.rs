//! Sequence numbers of challenges as USIMs see them: they never go back (TS 33.102 6.3, C.1.1).

use load::usim::Usim;
use sip::digest::{Challenge, parse_aka_nonce};
use sip::{HeaderName, Message};

/// Faults that are kept word by word; more are counted only.
const FAULTS_MAX: usize = 16;

/// What the users of one side were challenged with.
#[derive(Debug)]
pub struct SqnWatch {
    /// The last challenge of each user: RAND and SQN.
    last: Vec<Option<([u8; 16], u64)>>,
    challenges: u64,
    gone_back: u64,
    faults: Vec<String>,
}

impl SqnWatch {
    /// Of so many users.
    pub fn new(users: usize) -> Self {
        SqnWatch {
            last: vec![None; users],
            challenges: 0,
            gone_back: 0,
            faults: Vec::new(),
        }
    }

    /// Takes note of a message to the user of this number and card, if it is a challenge.
    pub fn note(&mut self, user: usize, usim: &Usim, datagram: &[u8]) {
        if !datagram.starts_with(b"SIP/2.0 401 ") {
            return;
        }
        let Ok(message) = Message::parse(datagram) else {
            return;
        };
        let nonce = message
            .headers(HeaderName::WwwAuthenticate)
            .find_map(|value| Challenge::parse(value.as_bytes()).ok())
            .and_then(|challenge| parse_aka_nonce(&challenge.nonce));
        if let Some((rand, autn)) = nonce {
            self.judge(user, rand, usim.sqn(&rand, &autn));
        }
    }

    fn judge(&mut self, user: usize, rand: [u8; 16], sqn: u64) {
        let last = self.last[user].replace((rand, sqn));
        // The same challenge may come twice: its REGISTER did.
        if last.is_some_and(|(before, _)| before == rand) {
            return;
        }
        self.challenges += 1;
        if let Some((_, before)) = last
            && sqn <= before
        {
            self.gone_back += 1;
            if self.faults.len() < FAULTS_MAX {
                let text = format!("user {user}: SQN {sqn:x} after {before:x}");
                self.faults.push(text);
            }
        }
    }

    /// Challenges seen, each once.
    pub fn challenges(&self) -> u64 {
        self.challenges
    }

    /// Those whose number was not above that of the one before.
    pub fn gone_back(&self) -> u64 {
        self.gone_back
    }

    /// The first of these in words.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// SQN of the last challenge of a user.
    pub fn last(&self, user: usize) -> Option<u64> {
        self.last[user].map(|(_, sqn)| sqn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_does_not_rise_is_a_fault_unless_the_challenge_is_the_same() {
        let mut watch = SqnWatch::new(2);
        watch.judge(0, [1; 16], 32);
        watch.judge(0, [1; 16], 32);
        watch.judge(1, [2; 16], 32);
        watch.judge(0, [3; 16], 64);
        assert_eq!((watch.challenges(), watch.gone_back()), (3, 0));
        watch.judge(0, [4; 16], 64);
        watch.judge(1, [5; 16], 31);
        assert_eq!((watch.challenges(), watch.gone_back()), (5, 2));
        assert_eq!(watch.faults()[1], "user 1: SQN 1f after 20");
        assert_eq!(watch.last(0), Some(64));
    }
}
