//! Media Server Markup Language (RFC 5707): what an application server asks of a media server, and
//! what it is told; and how a media resource broker is asked for one ([`mrb`], RFC 6917).
//!
//! Read are the core package, conferences and the dialog packages base, group and send: dialogs of
//! `play`, `dtmf`, `collect`, `record`, `dtmfgen`, `send`, `exit` and `disconnect`. Video, speech,
//! fax and call progress analysis are answered with 402.
//!
//! ```
//! let text = "<msml version=\"1.1\"><destroyconference id=\"conf:a\"/></msml>";
//! let document = msml::parse(text.as_bytes()).unwrap();
//! let ended = msml::Request::DestroyConference(msml::Object::parse("conf:a").unwrap());
//! assert_eq!(document.items[0].request, Ok(ended));
//! ```

mod dialog;
pub mod mrb;
mod read;
mod tree;
mod write;

pub use dialog::{Digits, Part, Perform, Play, Record, Signal, Step};
pub use read::{
    Conference, DeleteWhen, Document, Fault, Gains, Item, Object, Request, SpeakerNotices,
    StreamChange, StreamUpdate, parse,
};
pub use tree::{DEPTH_MAX, ELEMENTS_MAX, OCTETS_MAX};
pub use write::{Outcome, event, result};

/// The URIs of a list of recipients (`application/resource-lists+xml`, RFC 4826, RFC 5366), as many
/// as `max`; none where it cannot be read.
pub fn uris_of_list(document: &[u8], max: usize) -> Vec<String> {
    let mut uris = Vec::new();
    let Ok(tree) = tree::Tree::parse(document) else {
        return uris;
    };
    let mut open: Vec<tree::Element<'_>> = tree.root().into_iter().collect();
    while let Some(element) = open.pop() {
        if element.name() == "entry"
            && let Some(uri) = element.attribute("uri")
            && uris.len() < max
        {
            uris.push(uri.to_owned());
        }
        let mut children: Vec<_> = element.children().collect();
        children.reverse();
        open.extend(children);
    }
    uris
}

/// Content-Type of its documents.
pub const CONTENT_TYPE: &str = "application/msml+xml";

/// Response codes (RFC 5707 14).
pub mod code {
    /// Done.
    pub const OK: u16 = 200;
    /// It cannot be read.
    pub const BAD_REQUEST: u16 = 400;
    /// An element that is none of MSML.
    pub const UNKNOWN_ELEMENT: u16 = 401;
    /// An element that is not supported here.
    pub const UNSUPPORTED_ELEMENT: u16 = 402;
    /// An element lacks what has to be in it.
    pub const MISSING_CONTENT: u16 = 403;
    /// What is in an element cannot be used.
    pub const INVALID_CONTENT: u16 = 405;
    /// An attribute's value is not supported here.
    pub const UNSUPPORTED_ATTRIBUTE: u16 = 407;
    /// An attribute has to be there.
    pub const MISSING_ATTRIBUTE: u16 = 408;
    /// An attribute's value cannot be.
    pub const INVALID_ATTRIBUTE: u16 = 410;
    /// The language of a dialog is not supported.
    pub const UNSUPPORTED_LANGUAGE: u16 = 420;
    /// A dialog's document cannot be fetched.
    pub const FETCH_FAILED: u16 = 423;
    /// There is no such object.
    pub const UNKNOWN_OBJECT: u16 = 430;
    /// There is an object of that name.
    pub const NAME_IN_USE: u16 = 431;
    /// There is a conference of that name.
    pub const CONFERENCE_EXISTS: u16 = 432;
    /// Objects that are to be parted are not joined.
    pub const NOT_JOINED: u16 = 440;
    /// The media server failed.
    pub const INTERNAL: u16 = 500;
    /// It serves nobody.
    pub const UNAVAILABLE: u16 = 503;
    /// It has no resources for that.
    pub const NO_RESOURCE: u16 = 520;
    /// A limit of its own.
    pub const LIMIT: u16 = 521;
}

#[cfg(test)]
mod tests;
