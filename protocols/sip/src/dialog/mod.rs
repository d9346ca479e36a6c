//! Dialogs: RFC 3261 12, with what surrounds them in a user agent and in a proxy that follows
//! calls.
//!
//! [`Dialog`] is the state one end keeps and the requests it makes of it. [`ProxyDialog`] is what a
//! P-CSCF, S-CSCF or IBCF keeps of a call that passes through it, enough to end the call towards
//! both sides. [`Retransmission`] and [`Provisionals`] repeat what the transaction layer does not:
//! 2xx to INVITE and reliable provisional responses.
//!
//! Fields are plain values so that a journal can write them and a restart can read them back.

mod proxy;
mod reliable;

use std::fmt;

use crate::header::NameAddr;
use crate::{Draft, HeaderName, Invalid, MAX_FORWARDS, Message, Method, Scheme, Why};

pub use proxy::{End, ProxyDialog, Side};
pub use reliable::{
    Acknowledgement, Due, PROVISIONALS_MAX, Provisionals, ReliableOrder, Retransmission, RseqWatch,
};

/// Identifies a dialog at one of its ends, RFC 3261 12.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: String,
    /// Tag of this end.
    pub local_tag: String,
    /// Tag of the other end; empty for an element of RFC 2543.
    pub remote_tag: String,
}

impl DialogId {
    /// Of the dialog that a received request belongs to, or opens at the end that answers with a
    /// tag.
    ///
    /// # Errors
    /// Call-ID, From or To missing or malformed.
    pub fn of_received_request(request: &Message) -> Result<Self, Invalid> {
        Ok(Self {
            call_id: request.call_id()?.to_owned(),
            local_tag: tag(&request.to()?),
            remote_tag: tag(&request.from()?),
        })
    }

    /// Of the dialog that a received response belongs to or opens.
    ///
    /// # Errors
    /// Call-ID, From or To missing or malformed.
    pub fn of_received_response(response: &Message) -> Result<Self, Invalid> {
        Ok(Self {
            call_id: response.call_id()?.to_owned(),
            local_tag: tag(&response.from()?),
            remote_tag: tag(&response.to()?),
        })
    }
}

/// How far a dialog is, RFC 3261 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialogState {
    /// A provisional response with a tag came.
    Early,
    /// A 2xx came.
    Confirmed,
}

/// One end's state of a dialog, RFC 3261 12.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Identifier.
    pub id: DialogId,
    /// How far it is.
    pub state: DialogState,
    /// What goes into From, tag included.
    pub local: String,
    /// What goes into To, tag included.
    pub remote: String,
    /// CSeq number of the last request sent.
    pub local_cseq: u32,
    /// CSeq number of the last request received.
    pub remote_cseq: Option<u32>,
    /// Contact of the other end: a URI.
    pub remote_target: String,
    /// Values of Route, the next hop first.
    pub route_set: Vec<String>,
    /// Opened by a request to a sips URI.
    pub secure: bool,
}

/// Most values of a route set; as many Vias would have used up Max-Forwards.
pub const ROUTES_MAX: usize = MAX_FORWARDS as usize;

impl Dialog {
    /// The dialog that a request sent by this end and a response with a tag open: RFC 3261 12.1.2.
    ///
    /// # Errors
    /// A header it takes from the messages is missing or malformed: Contact, Record-Route, the To
    /// tag.
    pub fn as_uac(request: &Message, response: &Message) -> Result<Self, Invalid> {
        let mut dialog = Self {
            id: DialogId::of_received_response(response)?,
            state: state_of(response),
            local: header(request, HeaderName::From)?.to_owned(),
            remote: header(response, HeaderName::To)?.to_owned(),
            local_cseq: request.cseq()?.number,
            remote_cseq: None,
            remote_target: target(response)?,
            route_set: routes(response)?,
            secure: is_secure(request),
        };
        dialog.route_set.reverse();
        if dialog.id.remote_tag.is_empty() && dialog.state == DialogState::Early {
            return Err(Invalid::header(HeaderName::To, Why::Syntax));
        }
        Ok(dialog)
    }

    /// The dialog that a received request and this end's response to it open: RFC 3261 12.1.1.
    ///
    /// # Errors
    /// A header it takes from the messages is missing or malformed: Contact, Record-Route, the To
    /// tag.
    pub fn as_uas(request: &Message, response: &Message) -> Result<Self, Invalid> {
        let mut id = DialogId::of_received_request(request)?;
        id.local_tag = tag(&response.to()?);
        if id.local_tag.is_empty() {
            return Err(Invalid::header(HeaderName::To, Why::Syntax));
        }
        Ok(Self {
            id,
            state: state_of(response),
            local: header(response, HeaderName::To)?.to_owned(),
            remote: header(request, HeaderName::From)?.to_owned(),
            local_cseq: 0,
            remote_cseq: Some(request.cseq()?.number),
            remote_target: target(request)?,
            route_set: routes(request)?,
            secure: is_secure(request),
        })
    }

    /// A UAC's 2xx confirms an early dialog and replaces its route set: RFC 3261 13.2.2.4.
    ///
    /// # Errors
    /// Contact or Record-Route of the response missing or malformed; the dialog stays as it was.
    pub fn confirm(&mut self, response: &Message) -> Result<(), Invalid> {
        let (target, mut routes) = (target(response)?, routes(response)?);
        routes.reverse();
        self.route_set = routes;
        self.remote_target = target;
        self.state = DialogState::Confirmed;
        Ok(())
    }

    /// Checks the CSeq of a received request other than ACK and CANCEL, and remembers it: RFC 3261
    /// 12.2.2.
    ///
    /// # Errors
    /// `OutOfOrder`: answer 500. `Invalid`: answer 400.
    pub fn receive_request(&mut self, request: &Message) -> Result<(), SequenceError> {
        let number = request.cseq().map_err(SequenceError::Invalid)?.number;
        if self.remote_cseq.is_some_and(|last| number < last) {
            return Err(SequenceError::OutOfOrder);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// Takes the Contact of a target refresh: an INVITE or UPDATE once accepted, or its 2xx (RFC
    /// 3261 12.2, RFC 3311 5). Without Contact the target stays.
    ///
    /// # Errors
    /// Contact malformed; the dialog stays as it was.
    pub fn refresh_target(&mut self, message: &Message) -> Result<(), Invalid> {
        if message.has(HeaderName::Contact) {
            self.remote_target = target(message)?;
        }
        Ok(())
    }

    /// Starts the next request of this end: RFC 3261 12.2.1.1.
    ///
    /// Via, Contact and body are the caller's to add. ACK has [`Dialog::ack`], CANCEL
    /// [`Draft::cancel`].
    pub fn request(&mut self, method: &Method) -> Draft {
        self.local_cseq = self.local_cseq.saturating_add(1).min(CSEQ_MAX);
        self.draft(method, self.local_cseq)
    }

    /// Starts the ACK of a 2xx to `invite`, which this end sent: RFC 3261 13.2.2.4.
    ///
    /// Via and, where the 2xx made an offer, the answer are the caller's to add.
    ///
    /// # Errors
    /// CSeq of `invite` missing or malformed.
    pub fn ack(&self, invite: &Message) -> Result<Draft, Invalid> {
        let mut draft = self.draft(&Method::Ack, invite.cseq()?.number);
        for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
            for value in invite.headers(name) {
                draft.append(name, value);
            }
        }
        Ok(draft)
    }

    /// Starts the PRACK of a reliable provisional response: RFC 3262 4.
    ///
    /// # Errors
    /// RSeq or CSeq of the response missing or malformed.
    pub fn prack(&mut self, response: &Message) -> Result<Draft, Invalid> {
        let missing = Invalid::header(HeaderName::RSeq, Why::Missing);
        let rseq = response.rseq()?.ok_or(missing)?;
        let cseq = response.cseq()?;
        let mut draft = self.request(&Method::Prack);
        draft.append(
            HeaderName::RAck,
            &format!("{rseq} {} {}", cseq.number, cseq.method),
        );
        Ok(draft)
    }

    /// The URI to which requests go next: the first route, else the target (RFC 3261 8.1.2).
    pub fn next_hop(&self) -> &str {
        let first = self
            .route_set
            .first()
            .and_then(|route| NameAddr::parse(route).ok());
        first.map_or(&self.remote_target, |route| route.uri.as_str())
    }

    fn draft(&self, method: &Method, cseq: u32) -> Draft {
        let first = self
            .route_set
            .first()
            .and_then(|route| NameAddr::parse(route).ok());
        let strict = first.filter(|route| !route.is_loose_route());
        let (uri, routes) = match strict {
            None => (self.remote_target.as_str(), &self.route_set[..]),
            // A strict router wants to see itself as Request-URI, and the target as the last route.
            Some(route) => (route.uri.without_headers(), &self.route_set[1..]),
        };
        let mut draft = Draft::request(method, uri);
        draft.append(HeaderName::MaxForwards, &MAX_FORWARDS.to_string());
        for route in routes {
            draft.append(HeaderName::Route, route);
        }
        if strict.is_some() {
            draft.append(HeaderName::Route, &format!("<{}>", self.remote_target));
        }
        draft.append(HeaderName::From, &self.local);
        draft.append(HeaderName::To, &self.remote);
        draft.append(HeaderName::CallId, &self.id.call_id);
        draft.append(HeaderName::CSeq, &format!("{cseq} {method}"));
        draft
    }
}

/// Why a request does not fit the sequence of its dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceError {
    /// Its number is lower than one seen before: 500.
    OutOfOrder,
    /// Its CSeq cannot be read: 400.
    Invalid(Invalid),
}

impl SequenceError {
    /// Status of the response.
    pub fn status(&self) -> u16 {
        match self {
            SequenceError::OutOfOrder => 500,
            SequenceError::Invalid(invalid) => invalid.status(),
        }
    }
}

impl fmt::Display for SequenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SequenceError::OutOfOrder => f.write_str("CSeq out of order"),
            SequenceError::Invalid(invalid) => invalid.fmt(f),
        }
    }
}

impl std::error::Error for SequenceError {}

/// Largest CSeq number (RFC 3261 8.1.1.5).
const CSEQ_MAX: u32 = 0x7fff_ffff;

fn tag(addr: &NameAddr<'_>) -> String {
    addr.tag().unwrap_or_default().to_owned()
}

fn header(message: &Message, name: HeaderName) -> Result<&str, Invalid> {
    message
        .header(name)
        .ok_or(Invalid::header(name, Why::Missing))
}

fn state_of(response: &Message) -> DialogState {
    match response.status() {
        Some(200..300) => DialogState::Confirmed,
        _ => DialogState::Early,
    }
}

/// The Contact as a Request-URI: without headers (RFC 3261 19.1.1).
fn target(message: &Message) -> Result<String, Invalid> {
    Ok(message.contact()?.uri.without_headers().to_owned())
}

/// Record-Route in the order of the message.
fn routes(message: &Message) -> Result<Vec<String>, Invalid> {
    let mut routes = Vec::new();
    for value in message.values(HeaderName::RecordRoute) {
        let bad = |why| Invalid::header(HeaderName::RecordRoute, why);
        NameAddr::parse(value).map_err(bad)?;
        if routes.len() == ROUTES_MAX {
            return Err(bad(Why::Range));
        }
        routes.push(value.to_owned());
    }
    Ok(routes)
}

fn is_secure(request: &Message) -> bool {
    request.uri().is_ok_and(|uri| uri.scheme() == Scheme::Sips)
}

#[cfg(test)]
mod tests;
