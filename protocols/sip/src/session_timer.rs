//! Session timers, RFC 4028: agreeing on an interval, refreshing it, noticing that the other end is
//! gone.
//!
//! Each role reads a request or response and writes its word into the draft of the next one:
//! [`Caller`] into requests it makes, [`Answer`] into the 2xx of a server, [`Passage`] into what a
//! proxy forwards. What they agree on goes into a [`SessionTimer`].

use std::time::Duration;

use base::Instant;

use crate::header::{Refresher, SessionExpires};
use crate::{Draft, HeaderName, Invalid, Message};

/// Smallest interval anybody may ask for, and Min-SE where it is absent: RFC 4028 5.
pub const MIN_SE: u32 = 90;

/// Option tag of RFC 4028.
pub const OPTION_TAG: &str = "timer";

/// What one element wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Interval to ask for in seconds.
    pub interval: u32,
    /// Smallest interval to accept in seconds, at least [`MIN_SE`].
    pub min_se: u32,
    /// Who is to refresh where this element has the choice.
    pub refresher: Refresher,
}

impl Default for Policy {
    /// Half an hour as RFC 4028 4 recommends, refreshed by the client.
    fn default() -> Self {
        Self {
            interval: 1800,
            min_se: MIN_SE,
            refresher: Refresher::Uac,
        }
    }
}

impl Policy {
    fn floor(&self) -> u32 {
        self.min_se.max(MIN_SE)
    }
}

/// An interval below the minimum: answer 422 with this in Min-SE (RFC 4028 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// Smallest interval to accept in seconds.
    pub min_se: u32,
}

/// Why a request cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 422.
    TooSmall(TooSmall),
    /// 400.
    Invalid(Invalid),
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Refusal::Invalid(invalid)
    }
}

/// The client of INVITE and UPDATE requests of one session, RFC 4028 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    policy: Policy,
    interval: u32,
    /// The highest Min-SE heard of.
    min_se: Option<u32>,
}

impl Caller {
    /// Before the first request.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            interval: policy.interval.max(policy.floor()),
            min_se: None,
        }
    }

    /// Writes Supported, Session-Expires and, once one was heard of, Min-SE into a request.
    ///
    /// `refresher` names who shall refresh, seen from this request: in a refresh the one who did so
    /// far (RFC 4028 7.4); in the first request `None` leaves it to the server.
    pub fn write(&self, draft: &mut Draft, refresher: Option<Refresher>) {
        let expires = SessionExpires {
            seconds: self.interval,
            refresher,
        };
        draft.append(HeaderName::Supported, OPTION_TAG);
        draft.append(HeaderName::SessionExpires, &print(expires));
        if let Some(min_se) = self.min_se {
            draft.append(HeaderName::MinSe, &min_se.to_string());
        }
    }

    /// Takes a 422; true when the request is worth repeating with what [`Caller::write`] now says.
    ///
    /// # Errors
    /// Min-SE malformed.
    pub fn handle_too_small(&mut self, response: &Message) -> Result<bool, Invalid> {
        let Some(min_se) = response.min_se()? else {
            return Ok(false);
        };
        let asked_enough = self.interval >= min_se;
        self.min_se = Some(self.min_se.unwrap_or(0).max(min_se));
        self.interval = self.interval.max(min_se);
        Ok(!asked_enough)
    }

    /// Takes a 2xx: what was agreed on, `None` when sessions do not expire.
    ///
    /// # Errors
    /// Session-Expires malformed.
    pub fn handle_success(&self, response: &Message) -> Result<Option<SessionExpires>, Invalid> {
        let expires = response.session_expires()?;
        Ok(expires.map(|expires| SessionExpires {
            seconds: expires.seconds.max(MIN_SE),
            // The parameter is mandatory in 2xx; its absence can only mean the one who supports
            // timers.
            refresher: expires.refresher.or(Some(Refresher::Uac)),
        }))
    }

    /// Takes a request of the other end: later requests must not ask for less than its Min-SE (RFC
    /// 4028 7.4).
    ///
    /// # Errors
    /// Min-SE malformed.
    pub fn observe_request(&mut self, request: &Message) -> Result<(), Invalid> {
        if let Some(min_se) = request.min_se()? {
            self.min_se = Some(self.min_se.unwrap_or(0).max(min_se));
            self.interval = self.interval.max(min_se).max(self.policy.floor());
        }
        Ok(())
    }
}

/// What a server says in its 2xx to INVITE or UPDATE, RFC 4028 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What is agreed on. Where the client does not know RFC 4028, this server refreshes.
    pub expires: SessionExpires,
    require: bool,
}

impl Answer {
    /// Judges a request.
    ///
    /// # Errors
    /// `TooSmall`: 422, only to a client that knows RFC 4028. `Invalid`: 400.
    pub fn to(policy: &Policy, request: &Message) -> Result<Self, Refusal> {
        let supported = request.has_token(HeaderName::Supported, OPTION_TAG);
        let min_se = request.min_se()?.unwrap_or(MIN_SE).max(policy.floor());
        let asked = request.session_expires()?;
        let seconds = match asked {
            Some(asked) if asked.seconds < policy.floor() && supported => {
                return Err(Refusal::TooSmall(TooSmall {
                    min_se: policy.floor(),
                }));
            }
            Some(asked) => asked.seconds.min(policy.interval.max(min_se)).max(MIN_SE),
            None => policy.interval.max(min_se),
        };
        // RFC 4028 Table 2.
        let refresher = match (supported, asked.and_then(|asked| asked.refresher)) {
            (false, _) => Refresher::Uas,
            (true, Some(asked)) => asked,
            (true, None) => policy.refresher,
        };
        Ok(Self {
            expires: SessionExpires {
                seconds,
                refresher: Some(refresher),
            },
            require: supported,
        })
    }

    /// Writes Session-Expires, and Require where the client knows what it means.
    pub fn write(&self, draft: &mut Draft) {
        write_answer(draft, self.expires, self.require);
    }
}

/// What a proxy that wants sessions to expire does with INVITE or UPDATE and its 2xx, RFC 4028 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Interval of the forwarded request.
    seconds: u32,
    /// Min-SE of the forwarded request, when it must be written anew.
    min_se: Option<u32>,
    /// Session-Expires of the forwarded request, when it must be written anew.
    expires: Option<SessionExpires>,
    /// The client knows RFC 4028.
    supported: bool,
}

impl Passage {
    /// Judges a request.
    ///
    /// # Errors
    /// `TooSmall`: 422, only to a client that knows RFC 4028. `Invalid`: 400.
    pub fn of(policy: &Policy, request: &Message) -> Result<Self, Refusal> {
        let supported = request.has_token(HeaderName::Supported, OPTION_TAG);
        let asked_min_se = request.min_se()?;
        let min_se = asked_min_se.unwrap_or(MIN_SE).max(policy.floor());
        let wanted = policy.interval.max(min_se);
        let asked = request.session_expires()?;
        let too_small = asked.is_some_and(|asked| asked.seconds < policy.floor());
        if too_small && supported {
            return Err(Refusal::TooSmall(TooSmall {
                min_se: policy.floor(),
            }));
        }
        let seconds = match asked {
            None => wanted,
            // A client that does not know 422 gets a longer interval instead (RFC 4028 8.1).
            Some(_) if too_small => min_se,
            Some(asked) => asked.seconds.min(wanted),
        };
        let refresher = asked.and_then(|asked| asked.refresher);
        let raises_min_se = !supported && min_se > asked_min_se.unwrap_or(MIN_SE);
        Ok(Self {
            seconds,
            min_se: raises_min_se.then_some(min_se),
            expires: (asked.map(|asked| asked.seconds) != Some(seconds))
                .then_some(SessionExpires { seconds, refresher }),
            supported,
        })
    }

    /// Writes into the request what differs from what came.
    pub fn write(&self, draft: &mut Draft) {
        if let Some(expires) = self.expires {
            draft.replace(HeaderName::SessionExpires, &print(expires));
        }
        if let Some(min_se) = self.min_se {
            draft.replace(HeaderName::MinSe, &min_se.to_string());
        }
    }

    /// Takes the 2xx and writes into it what a server that does not know RFC 4028 left out (RFC
    /// 4028 8.2). Returns what was agreed on, `None` when neither end knows it.
    ///
    /// # Errors
    /// Session-Expires malformed.
    pub fn handle_success(
        &self,
        response: &Message,
        draft: &mut Draft,
    ) -> Result<Option<SessionExpires>, Invalid> {
        if let Some(expires) = response.session_expires()? {
            return Ok(Some(expires));
        }
        if !self.supported {
            return Ok(None);
        }
        let expires = SessionExpires {
            seconds: self.seconds,
            refresher: Some(Refresher::Uac),
        };
        write_answer(draft, expires, true);
        Ok(Some(expires))
    }
}

/// The timer of one session: when to refresh it, when to give it up. RFC 4028 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    refresh: Option<Instant>,
    end: Instant,
}

/// What [`SessionTimer::handle_timeout`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// Send UPDATE or re-INVITE; its 2xx makes a new timer.
    Refresh,
    /// The session is over: a user agent sends BYE, a proxy forgets it.
    Expired,
}

impl SessionTimer {
    /// The timer of what a 2xx sent or received at `now` agreed on.
    ///
    /// `role` is this element's in that transaction; `None` for a proxy.
    pub fn new(now: Instant, expires: SessionExpires, role: Option<Refresher>) -> Self {
        let interval = Duration::from_secs(u64::from(expires.seconds.max(MIN_SE)));
        let refreshes = role.is_some() && role == expires.refresher;
        // User agents end a little early, so that their BYE comes before proxies forget the call.
        let early = match role {
            Some(_) => (interval / 3).min(Duration::from_secs(32)),
            None => Duration::ZERO,
        };
        Self {
            refresh: refreshes.then(|| now + interval / 2),
            end: now + interval.saturating_sub(early),
        }
    }

    /// A timer of these times: when to refresh the session, if that is due here, and when to give
    /// it up.
    pub const fn of_times(refresh: Option<Instant>, end: Instant) -> Self {
        Self { refresh, end }
    }

    /// When the session is to be refreshed here, if it is.
    pub const fn refresh(&self) -> Option<Instant> {
        self.refresh
    }

    /// When to call [`SessionTimer::handle_timeout`].
    pub fn next_timeout(&self) -> Instant {
        self.refresh.unwrap_or(self.end).min(self.end)
    }

    /// When the session is given up without a refresh.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// What is due at `now`, if anything. Each is said once; after `Expired` drop the timer.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<SessionEvent> {
        if now >= self.end {
            return Some(SessionEvent::Expired);
        }
        if self.refresh.is_some_and(|at| now >= at) {
            self.refresh = None;
            return Some(SessionEvent::Refresh);
        }
        None
    }
}

/// The value of Session-Expires.
pub fn print(expires: SessionExpires) -> String {
    let refresher = match expires.refresher {
        None => "",
        Some(Refresher::Uac) => ";refresher=uac",
        Some(Refresher::Uas) => ";refresher=uas",
    };
    format!("{}{refresher}", expires.seconds)
}

fn write_answer(draft: &mut Draft, expires: SessionExpires, require: bool) {
    if require {
        draft.append(HeaderName::Require, OPTION_TAG);
    }
    draft.replace(HeaderName::SessionExpires, &print(expires));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(headers: &[(&str, &str)]) -> Message {
        let mut text = "INVITE sip:b@b.test SIP/2.0\r\nVia: SIP/2.0/UDP a.test;branch=z9hG4bK1\r\n\
                        From: <sip:a@a.test>;tag=a\r\nTo: <sip:b@b.test>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
            .to_owned();
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        Message::parse((text + "\r\n").as_bytes()).unwrap()
    }

    fn ok(headers: &[(HeaderName, &str)]) -> Message {
        let mut draft = invite(&[]).response(200, "");
        for (name, value) in headers {
            draft.append(*name, value);
        }
        draft.finish().unwrap()
    }

    fn expires(message: &Message) -> Option<String> {
        message
            .header(HeaderName::SessionExpires)
            .map(str::to_owned)
    }

    const SUPPORTED: (&str, &str) = ("Supported", "100rel, timer");

    #[test]
    fn a_caller_asks_and_asks_for_more_after_422() {
        let mut caller = Caller::new(Policy {
            interval: 120,
            ..Policy::default()
        });
        let mut draft = invite(&[]).edit();
        caller.write(&mut draft, None);
        let request = draft.finish().unwrap();
        assert_eq!(expires(&request).as_deref(), Some("120"));
        assert!(request.has_token(HeaderName::Supported, "timer"));
        assert!(!request.has(HeaderName::MinSe));

        assert_eq!(caller.handle_too_small(&ok(&[])), Ok(false));
        let too_small = ok(&[(HeaderName::MinSe, "3600")]);
        assert_eq!(caller.handle_too_small(&too_small), Ok(true));
        assert_eq!(caller.handle_too_small(&too_small), Ok(false));
        let mut draft = invite(&[]).edit();
        caller.write(&mut draft, Some(Refresher::Uas));
        let request = draft.finish().unwrap();
        assert_eq!(expires(&request).as_deref(), Some("3600;refresher=uas"));
        assert_eq!(request.header(HeaderName::MinSe), Some("3600"));
    }

    #[test]
    fn a_caller_takes_what_the_2xx_says() {
        let mut caller = Caller::new(Policy::default());
        assert_eq!(caller.handle_success(&ok(&[])), Ok(None));
        let agreed = caller
            .handle_success(&ok(&[(HeaderName::SessionExpires, "600;refresher=uas")]))
            .unwrap()
            .unwrap();
        assert_eq!(
            (agreed.seconds, agreed.refresher),
            (600, Some(Refresher::Uas))
        );
        let bad = ok(&[(HeaderName::SessionExpires, "soon")]);
        assert!(caller.handle_success(&bad).is_err());
        caller
            .observe_request(&invite(&[("Min-SE", "4000")]))
            .unwrap();
        let mut draft = invite(&[]).edit();
        caller.write(&mut draft, None);
        assert_eq!(expires(&draft.finish().unwrap()).as_deref(), Some("4000"));
    }

    /// RFC 4028 Table 2.
    #[test]
    fn the_answer_names_the_refresher_the_table_wants() {
        let plain = ("Session-Expires", "1000");
        let uac = ("Session-Expires", "1000;refresher=uac");
        let uas = ("x", "1000;refresher=uas");
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, bool);
        let table: [Row<'_>; 6] = [
            (&[plain], "1000;refresher=uas", false),
            (&[SUPPORTED, plain], "1000;refresher=uac", true),
            (&[SUPPORTED, uac], "1000;refresher=uac", true),
            (&[SUPPORTED, uas], "1000;refresher=uas", true),
            (&[SUPPORTED], "1800;refresher=uac", true),
            (&[], "1800;refresher=uas", false),
        ];
        for (headers, expected, require) in table {
            let request = invite(headers);
            let answer = Answer::to(&Policy::default(), &request).unwrap();
            let mut draft = request.response(200, "");
            answer.write(&mut draft);
            let response = draft.finish().unwrap();
            assert_eq!(expires(&response).as_deref(), Some(expected), "{headers:?}");
            assert_eq!(
                response.has_token(HeaderName::Require, "timer"),
                require,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn an_answer_never_leaves_the_range_the_request_allows() {
        let policy = Policy {
            interval: 600,
            min_se: 300,
            ..Policy::default()
        };
        let seconds = |headers: &[(&str, &str)]| {
            Answer::to(&policy, &invite(headers)).map(|answer| answer.expires.seconds)
        };
        assert_eq!(seconds(&[SUPPORTED, ("Session-Expires", "1000")]), Ok(600));
        assert_eq!(
            seconds(&[SUPPORTED, ("Session-Expires", "1000"), ("Min-SE", "900")]),
            Ok(900)
        );
        assert_eq!(seconds(&[SUPPORTED, ("Session-Expires", "400")]), Ok(400));
        assert_eq!(
            seconds(&[SUPPORTED, ("Session-Expires", "299")]),
            Err(Refusal::TooSmall(TooSmall { min_se: 300 }))
        );
        assert_eq!(seconds(&[("Session-Expires", "299")]), Ok(299));
        assert!(matches!(
            seconds(&[("Session-Expires", "x")]),
            Err(Refusal::Invalid(_))
        ));
    }

    #[test]
    fn a_proxy_inserts_lowers_refuses_and_raises() {
        let policy = Policy {
            interval: 600,
            min_se: 300,
            ..Policy::default()
        };
        let pass = |headers: &[(&str, &str)]| {
            let request = invite(headers);
            let mut draft = request.edit();
            Passage::of(&policy, &request).map(|passage| {
                passage.write(&mut draft);
                let forwarded = draft.finish().unwrap();
                let min_se = forwarded.header(HeaderName::MinSe).map(str::to_owned);
                (expires(&forwarded).unwrap(), min_se)
            })
        };
        let with = |expires: &str, min_se: Option<&str>| {
            Ok((expires.to_owned(), min_se.map(str::to_owned)))
        };
        assert_eq!(pass(&[SUPPORTED]), with("600", None));
        assert_eq!(pass(&[]), with("600", Some("300")));
        assert_eq!(
            pass(&[SUPPORTED, ("Session-Expires", "1000;refresher=uac")]),
            with("600;refresher=uac", None)
        );
        assert_eq!(
            pass(&[SUPPORTED, ("Session-Expires", "1000"), ("Min-SE", "800")]),
            with("800", Some("800"))
        );
        assert_eq!(
            pass(&[SUPPORTED, ("Session-Expires", "400")]),
            with("400", None)
        );
        assert_eq!(
            pass(&[("Session-Expires", "100")]),
            with("300", Some("300"))
        );
        assert_eq!(
            pass(&[SUPPORTED, ("Session-Expires", "100")]),
            Err(Refusal::TooSmall(TooSmall { min_se: 300 }))
        );
    }

    #[test]
    fn a_proxy_speaks_for_a_server_that_does_not_know_timers() {
        let policy = Policy::default();
        let bare = ok(&[]);
        let passage = Passage::of(&policy, &invite(&[SUPPORTED])).unwrap();
        let mut draft = bare.edit();
        let agreed = passage.handle_success(&bare, &mut draft).unwrap().unwrap();
        assert_eq!(agreed.refresher, Some(Refresher::Uac));
        let forwarded = draft.finish().unwrap();
        assert_eq!(expires(&forwarded).as_deref(), Some("1800;refresher=uac"));
        assert!(forwarded.has_token(HeaderName::Require, "timer"));

        let nobody = Passage::of(&policy, &invite(&[])).unwrap();
        assert_eq!(nobody.handle_success(&bare, &mut bare.edit()), Ok(None));
        let spoken = ok(&[(HeaderName::SessionExpires, "700;refresher=uas")]);
        let mut draft = spoken.edit();
        let agreed = nobody.handle_success(&spoken, &mut draft).unwrap().unwrap();
        assert_eq!(agreed.seconds, 700);
        assert_eq!(
            expires(&draft.finish().unwrap()).as_deref(),
            Some("700;refresher=uas")
        );
    }

    #[test]
    fn the_refresher_acts_at_half_time_and_all_give_up_in_the_end() {
        let start = Instant::from_secs(1000);
        let agreed = SessionExpires {
            seconds: 1800,
            refresher: Some(Refresher::Uac),
        };
        let events = |role| {
            let mut timer = SessionTimer::new(start, agreed, role);
            let mut events = Vec::new();
            while !events
                .iter()
                .any(|(event, _)| *event == SessionEvent::Expired)
            {
                let now = timer.next_timeout();
                events.push((
                    timer.handle_timeout(now).unwrap(),
                    now.since(start).as_secs(),
                ));
            }
            events
        };
        use SessionEvent::{Expired, Refresh};
        assert_eq!(
            events(Some(Refresher::Uac)),
            [(Refresh, 900), (Expired, 1768)]
        );
        assert_eq!(events(Some(Refresher::Uas)), [(Expired, 1768)]);
        assert_eq!(events(None), [(Expired, 1800)]);
        let short = SessionExpires {
            seconds: 1,
            ..agreed
        };
        let timer = SessionTimer::new(start, short, Some(Refresher::Uas));
        assert_eq!(timer.end().since(start).as_secs(), 60);
        let mut timer = SessionTimer::new(start, agreed, Some(Refresher::Uac));
        assert_eq!(timer.handle_timeout(start), None);
    }
}
