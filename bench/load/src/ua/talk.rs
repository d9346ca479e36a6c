//! The offers and answers of one dialog, and its session timer.

use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use sdp::crypto::{self, Crypto, CryptoSuite, InlineKey};
use sdp::{Agent, Agreed, Attribute, Direction, Error, Mismatch, Session, Terms};
use sip::{HeaderName, Message, Refresher};

use super::config::Config;

/// Content type of a session description.
pub(super) const SDP: &str = "application/sdp";

/// Offers and answers of one dialog, RFC 3264 and RFC 6337.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    agent: Agent,
    /// Where this end receives.
    local: SocketAddr,
    /// Keys of this end, where it protects its media.
    crypto: Vec<Crypto>,
    /// What this end wants of the stream.
    wants: Direction,
    /// What it wanted before the offer under way.
    wanted_before: Direction,
    /// An offer of this end that has no answer yet.
    offered: Option<Session>,
    /// What is in force.
    pub agreed: Option<Agreed>,
}

impl Talk {
    pub fn new(agent: Agent, local: SocketAddr, protects: bool, entropy: &mut Entropy) -> Self {
        let mut key = |(tag, suite): (u32, CryptoSuite)| {
            let mut key_and_salt = vec![0; suite.key_and_salt_bytes()];
            entropy.fill(&mut key_and_salt);
            Crypto::new(tag, suite, InlineKey::new(&key_and_salt))
        };
        let suites = SUITES.into_iter().filter(|_| protects);
        Self {
            agent,
            local,
            crypto: (1..).zip(suites).map(&mut key).collect(),
            wants: Direction::SendRecv,
            wanted_before: Direction::SendRecv,
            offered: None,
            agreed: None,
        }
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// True while an answer is due to this end.
    pub fn awaits_answer(&self) -> bool {
        self.offered.is_some()
    }

    /// Makes an offer of what this end wants.
    pub fn offer(&mut self, config: &Config) -> String {
        self.wanted_before = self.wants;
        let protects = !self.crypto.is_empty();
        let mut offer = self.agent.offer(&self.terms(config, protects));
        for media in offer.media.iter_mut().filter(|_| protects) {
            media
                .lines
                .add_attribute(Attribute::new("3ge2ae", "requested"));
        }
        let text = offer.to_string();
        self.offered = Some(offer);
        text
    }

    /// Makes an offer of another direction.
    pub fn offer_direction(&mut self, config: &Config, direction: Direction) -> String {
        let before = std::mem::replace(&mut self.wants, direction);
        let text = self.offer(config);
        self.wanted_before = before;
        text
    }

    /// Takes the last offer back: it was refused.
    pub fn withdraw(&mut self) {
        if self.offered.take().is_some() {
            self.wants = self.wanted_before;
            self.agent.withdraw();
        }
    }

    /// Reads an answer. One that only departs in its direction is taken as far as both directions
    /// allow. `last` says that no other answer to the same offer follows, as one follows an
    /// unreliable provisional response.
    pub fn take_answer(&mut self, body: &[u8], last: bool) -> Option<Agreed> {
        let offer = self.offered.as_ref()?;
        let answer = Session::parse(body).ok()?;
        match sdp::check_answer(offer, &answer) {
            Ok(()) => {}
            Err(Error::Unexpected {
                mismatch: Mismatch::Direction,
                ..
            }) => {}
            Err(_) => return None,
        }
        let agreed = sdp::agreed(offer, &answer, 0)?;
        if last {
            self.offered = None;
        }
        self.agreed = Some(agreed.clone());
        Some(agreed)
    }

    /// Reads an offer and answers it.
    ///
    /// # Errors
    /// Status and reason phrase of the refusal.
    pub fn take_offer(&mut self, body: &[u8], config: &Config) -> Result<String, (u16, String)> {
        let offer = Session::parse(body).map_err(|error| (400, error.to_string()))?;
        let is_protected = |media: &sdp::Media| crypto::unprotected(&media.head.protocol).is_some();
        let protects = !self.crypto.is_empty() && offer.media.first().is_some_and(is_protected);
        let answer = self
            .agent
            .answer(&offer, &self.terms(config, protects))
            .map_err(|_| (488, String::new()))?;
        self.agreed = sdp::agreed(&answer, &offer, 0);
        Ok(answer.to_string())
    }

    fn terms(&self, config: &Config, protects: bool) -> [Terms; 1] {
        let terms = Terms {
            direction: self.wants,
            ..Terms::audio(self.local, config.codecs.clone())
        };
        [match protects {
            true => terms.protected(self.crypto.clone()),
            false => terms,
        }]
    }
}

/// What a protecting end offers and takes.
const SUITES: [CryptoSuite; 2] = [CryptoSuite::AesCm128HmacSha1_80, CryptoSuite::AeadAes128Gcm];

/// The session description in a message.
pub(super) fn description(message: &Message) -> Option<&[u8]> {
    let content_type = message.content_type().ok().flatten()?;
    let is_sdp = content_type.is("application", "sdp") && !message.body().is_empty();
    is_sdp.then(|| message.body())
}

/// A session timer that runs, RFC 4028.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionTimer {
    pub interval: u32,
    pub refresh_at: Option<Instant>,
    pub expire_at: Instant,
}

impl SessionTimer {
    /// Begins at `now`: with a 2xx, or the request that it answers.
    fn new(now: Instant, interval: u32, we_refresh: bool) -> Self {
        let seconds = |seconds: u32| now + Duration::from_secs(seconds.into());
        Self {
            interval,
            refresh_at: we_refresh.then(|| seconds(interval / 2)),
            // RFC 4028 10: the one that does not refresh gives up a little before the end.
            expire_at: match we_refresh {
                true => seconds(interval),
                false => seconds(interval - (interval / 3).min(32)),
            },
        }
    }

    /// As the 2xx to a request of this end says (RFC 4028 7.2).
    pub fn of_response(now: Instant, response: &Message) -> Option<Self> {
        let told = response.session_expires().ok().flatten()?;
        Some(Self::new(
            now,
            told.seconds,
            told.refresher != Some(Refresher::Uas),
        ))
    }

    /// What to say in the 2xx to a received request (RFC 4028 9): the timer, and the headers that
    /// tell it.
    pub fn of_request(
        now: Instant,
        request: &Message,
        config: &Config,
    ) -> Option<(Self, [(HeaderName, String); 2])> {
        let asked = request.session_expires().ok().flatten();
        let min = request.min_se().ok().flatten().unwrap_or(0);
        let own = config
            .policy
            .session_expires
            .map(|own| own.max(min).max(90));
        let interval = match (asked, own) {
            (Some(asked), Some(own)) => asked.seconds.min(own),
            (Some(asked), None) => asked.seconds,
            (None, Some(own)) => own,
            (None, None) => return None,
        };
        let supported = request.has_token(HeaderName::Supported, "timer");
        let refresher = match asked.and_then(|asked| asked.refresher) {
            Some(refresher) if supported => refresher,
            None if supported => Refresher::Uac,
            _ => Refresher::Uas,
        };
        let (who, require) = match refresher {
            Refresher::Uac => ("uac", "timer"),
            Refresher::Uas => ("uas", ""),
        };
        let timer = Self::new(now, interval, refresher == Refresher::Uas);
        let headers = [
            (
                HeaderName::SessionExpires,
                format!("{interval};refresher={who}"),
            ),
            (HeaderName::Require, require.to_owned()),
        ];
        Some((timer, headers))
    }

    pub fn next_timeout(&self) -> Instant {
        self.refresh_at
            .map_or(self.expire_at, |at| at.min(self.expire_at))
    }
}
