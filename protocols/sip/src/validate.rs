//! What every message must have, RFC 3261 8.1.1, 8.2.2, 16.3.

use crate::header::NameAddr;
use crate::{HeaderName, Invalid, Message, Method, Why};

/// Headers of one value that may stand once (RFC 3261 7.3.1, 20).
const SINGLE: [HeaderName; 12] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::Expires,
    HeaderName::Event,
    HeaderName::SessionExpires,
    HeaderName::RAck,
    HeaderName::RSeq,
];

impl Message {
    /// Checks what every element reads before it acts: the five headers that identify a
    /// transaction, their grammar, CSeq against the method, Max-Forwards, Contact, Route and
    /// Record-Route, and the Request-URI.
    ///
    /// A Request-URI of an unknown scheme passes (the caller answers 416), and so do requests of
    /// RFC 2543 without tag, branch cookie, Max-Forwards and Contact (RFC 4475 3.4.1).
    ///
    /// # Errors
    /// The first fault. A request with it is answered 400 with [`Invalid::reason`], a response
    /// dropped.
    pub fn validate(&self) -> Result<(), Invalid> {
        for name in SINGLE {
            if self.index().names.is_repeated(name) {
                return Err(Invalid::header(name, Why::Repeated));
            }
        }
        if self.values(HeaderName::Via).next().is_none() {
            return Err(Invalid::header(HeaderName::Via, Why::Missing));
        }
        self.vias().try_for_each(|via| via.map(drop))?;
        self.from()?;
        self.to()?;
        self.call_id()?;
        let cseq = self.cseq()?;
        if let Some(method) = self.method() {
            if cseq.method != *method {
                return Err(Invalid::header(HeaderName::CSeq, Why::Mismatch));
            }
            self.uri()?;
        }
        self.max_forwards()?;
        self.contacts().try_for_each(|contact| contact.map(drop))?;
        for name in [HeaderName::Route, HeaderName::RecordRoute] {
            self.addresses(name)
                .try_for_each(|route| bracketed(name, route?))?;
        }
        self.content_type()?;
        Ok(())
    }

    /// True when the message may establish or belong to a dialog: both ends are named (RFC 3261
    /// 12).
    pub fn is_in_dialog(&self) -> bool {
        self.to_tag().is_some()
    }

    /// True for a request without a To tag that is no CANCEL or ACK: one that a registrar or proxy
    /// routes anew.
    pub fn is_initial(&self) -> bool {
        let apart = |method: &Method| matches!(method, Method::Ack | Method::Cancel);
        self.method().is_some_and(|method| !apart(method)) && !self.is_in_dialog()
    }
}

/// Route and Record-Route are `name-addr` only (RFC 3261 20.30, 20.34).
fn bracketed(name: HeaderName, route: NameAddr<'_>) -> Result<(), Invalid> {
    if route.is_bracketed() {
        Ok(())
    } else {
        Err(Invalid::header(name, Why::Syntax))
    }
}
