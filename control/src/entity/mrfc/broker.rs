//! The media resource broker (RFC 6917): application servers tell what they need of a media server
//! and are told of one that has it, by HTTP (query mode) or in the INVITE that begins a call with
//! it (in-line mode).
//!
//! Known are this MRFC with the MRFPs that it controls, and the media servers that the
//! configuration names with the streams that each has. What was promised to a session of a
//! consumer is kept free for it until it expires, is given back, or its call ends.

use std::collections::BTreeMap;
use std::time::Duration;

use base::Instant;
use msml::mrb::{self, Action, Request, Server, Session, Status};

use super::{CallKey, Mrfc};
use crate::entity::Actions;

/// Sessions of consumers at once.
const SESSIONS_MAX: usize = 10_000;
/// How long a session lasts that is not updated.
const EXPIRES: Duration = Duration::from_secs(3600);
/// What control packages stand for here: how a media server is driven.
const PACKAGES: &[&str] = &["msml/1.0", "msml/1.1", "netann"];
/// Codecs of the MRFP by their media types (RFC 4855): all of them, each with its second name.
const CODECS: &[&str] = &[
    "audio/basic",
    "audio/pcmu",
    "audio/pcma",
    "audio/g722",
    "audio/amr",
    "audio/amr-wb",
    "audio/opus",
    "audio/telephone-event",
];
/// Formats of what is played and recorded.
const FORMATS: &[&str] = &[
    "audio/wav",
    "audio/x-wav",
    "audio/vnd.wave",
    "audio/amr",
    "audio/amr-wb",
    "audio/ogg",
    "audio/opus",
];

/// What is promised, by the names of sessions.
#[derive(Debug, Default)]
pub(super) struct Broker {
    sessions: BTreeMap<String, Promise>,
}

#[derive(Clone, Debug)]
struct Promise {
    /// The number of the last response.
    seq: u32,
    expires_at: Instant,
    /// The media server; `None`: here.
    server: Option<String>,
    streams: u32,
}

/// What a consumer is told.
#[derive(Debug)]
pub(super) struct Advice {
    pub status: Status,
    /// The document.
    pub text: String,
    /// The session, where one has begun.
    pub session: Option<String>,
}

/// What a call is told in its answer that asked in its INVITE.
#[derive(Debug)]
pub(super) struct Brokered {
    session: String,
    text: String,
}

impl Mrfc {
    /// Query mode: a document for a document.
    pub(super) fn consult(&mut self, actions: &mut Actions<'_>, document: &[u8]) -> Advice {
        self.advise(actions, document, false)
    }

    /// In-line mode: the media server is to be this MRFC, where the INVITE is.
    pub(super) fn consult_in_line(&mut self, actions: &mut Actions<'_>, document: &[u8]) -> Advice {
        self.advise(actions, document, true)
    }

    fn advise(&mut self, actions: &mut Actions<'_>, document: &[u8], here: bool) -> Advice {
        let now = actions.now;
        self.broker.sessions.retain(|_, it| it.expires_at > now);
        let request = match mrb::parse(document) {
            Ok(request) => request,
            Err(fault) => return refuse(&fault.id, fault.status),
        };
        match &request.action {
            Action::Begin if self.broker.sessions.len() >= SESSIONS_MAX => {
                refuse(&request.id, Status::NotFound)
            }
            Action::Begin => {
                let session = Session {
                    id: actions.stack.token(),
                    seq: 1,
                };
                let advice = self.promise(actions, &request, session, here);
                advice.unwrap_or_else(|| refuse(&request.id, Status::NotFound))
            }
            Action::Update(session) => {
                let Some(known) = self.broker.sessions.get(&session.id) else {
                    return refuse(&request.id, Status::NotUpdated);
                };
                let Some(next) = follows(known.seq, session) else {
                    return refuse(&request.id, Status::Sequence);
                };
                // What it has is not in the way of what it is to have.
                let before = self.broker.sessions.remove(&session.id);
                match self.promise(actions, &request, next.clone(), here) {
                    Some(advice) => advice,
                    None => {
                        // The refusal has no number: the next request follows this one.
                        let seq = session.seq;
                        let before = before.map(|it| (next.id, Promise { seq, ..it }));
                        self.broker.sessions.extend(before);
                        refuse(&request.id, Status::NotUpdated)
                    }
                }
            }
            Action::Remove(session) => {
                let Some(known) = self.broker.sessions.get(&session.id) else {
                    return refuse(&request.id, Status::NotRemoved);
                };
                let Some(session) = follows(known.seq, session) else {
                    return refuse(&request.id, Status::Sequence);
                };
                self.broker.sessions.remove(&session.id);
                let server = Server {
                    session,
                    expires: 0,
                    uri: None,
                    codecs: Vec::new(),
                    sessions: 0,
                };
                Advice {
                    status: Status::Found,
                    text: mrb::response(&request.id, Status::Found, Some(&server)),
                    session: None,
                }
            }
        }
    }

    /// Keeps streams free for a session; `None` where there are none.
    fn promise(
        &mut self,
        actions: &Actions<'_>,
        request: &Request,
        session: Session,
        here: bool,
    ) -> Option<Advice> {
        if !is_known(request) {
            return None;
        }
        let mut free = Vec::new();
        if actions.mgc.as_ref().is_some_and(|mgc| mgc.has_resource()) {
            free.push((None, self.free_here()));
        }
        if !here {
            let others = actions.config.mrf.servers.iter();
            free.extend(others.map(|(uri, streams)| (Some(uri), self.free_at(uri, *streams))));
        }
        // The one with the most to spare; among equals the first, which is this MRFC.
        let most = free.into_iter().rev().max_by_key(|(_, free)| *free);
        let (server, _) = most.filter(|(_, free)| *free >= request.sessions)?;
        let uri = match server {
            Some(uri) => uri.clone(),
            None => {
                let address = actions.stack.addresses().listener_str(0)?;
                format!("sip:msml@{address}")
            }
        };
        let promise = Promise {
            seq: session.seq,
            expires_at: actions.now + EXPIRES,
            server: server.cloned(),
            streams: request.sessions,
        };
        self.broker.sessions.insert(session.id.clone(), promise);
        let told = Server {
            session: session.clone(),
            expires: u32::try_from(EXPIRES.as_secs()).unwrap_or(u32::MAX),
            uri: Some(uri),
            codecs: request.codecs.clone(),
            sessions: request.sessions,
        };
        Some(Advice {
            status: Status::Found,
            text: mrb::response(&request.id, Status::Found, Some(&told)),
            session: Some(session.id),
        })
    }

    fn promised(&self, server: Option<&str>) -> u32 {
        let promises = self.broker.sessions.values();
        let there = promises.filter(|it| it.server.as_deref() == server);
        there.fold(0, |sum, it| sum.saturating_add(it.streams))
    }

    /// Streams that are neither used nor promised; what is used may be what was promised.
    fn free_here(&self) -> u32 {
        let all = u32::try_from(self.calls_max).unwrap_or(u32::MAX);
        let used = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        all.saturating_sub(used.max(self.promised(None)))
    }

    fn free_at(&self, uri: &str, all: u32) -> u32 {
        all.saturating_sub(self.promised(Some(uri)))
    }

    // ---- in-line ----

    /// A call is to be told what was promised to it.
    pub(super) fn set_brokered(&mut self, key: Option<CallKey>, advice: Advice) {
        let Some(session) = advice.session else {
            return;
        };
        match key.and_then(|key| self.calls.get_mut(&key)) {
            Some(call) => {
                let text = advice.text;
                call.brokered = Some(Brokered { session, text });
            }
            None => drop(self.broker.sessions.remove(&session)),
        }
    }

    /// A call has ended: what was promised to it is free.
    pub(super) fn give_back(&mut self, brokered: Option<Brokered>) {
        if let Some(brokered) = brokered {
            self.broker.sessions.remove(&brokered.session);
        }
    }
}

impl Brokered {
    /// The body of an answer: the session description, and what the broker says.
    pub fn with(&self, boundary: &str, description: &str) -> (String, String) {
        let kind = format!("multipart/mixed;boundary={boundary}");
        let part = |kind: &str, content: &str| {
            format!("--{boundary}\r\nContent-Type: {kind}\r\n\r\n{content}\r\n")
        };
        let body = [
            part("application/sdp", description),
            part(mrb::CONTENT_TYPE, &self.text),
            format!("--{boundary}--\r\n"),
        ];
        (kind, body.concat())
    }
}

/// The session of the response to a request that follows the last response.
fn follows(last: u32, session: &Session) -> Option<Session> {
    let is_next = last.checked_add(1) == Some(session.seq);
    Some(Session {
        id: is_next.then(|| session.id.clone())?,
        seq: session.seq.checked_add(1)?,
    })
}

/// Whether all that is asked for is something that MRFPs do.
fn is_known(request: &Request) -> bool {
    let knows = |known: &[&str], names: &[String]| {
        let is_known = |name: &String| known.iter().any(|it| it.eq_ignore_ascii_case(name));
        names.iter().all(is_known)
    };
    request.unsupported.is_empty()
        && knows(PACKAGES, &request.packages)
        && knows(CODECS, &request.codecs)
        && knows(FORMATS, &request.formats)
}

fn refuse(id: &str, status: Status) -> Advice {
    Advice {
        status,
        text: mrb::response(id, status, None),
        session: None,
    }
}
