//! The consumer interface of a media resource broker (RFC 6917 5): what an application server
//! needs of a media server, and which one it gets.
//!
//! ```
//! use msml::mrb::{self, Action, Server};
//! let text = "<mrbconsumer version=\"1.0\" xmlns=\"urn:ietf:params:xml:ns:mrb-consumer\">\
//!     <mediaResourceRequest id=\"a1\"><ivrInfo><ivr-sessions><rtp-codec name=\"audio/PCMA\">\
//!     <decoding>10</decoding><encoding>10</encoding></rtp-codec></ivr-sessions></ivrInfo>\
//!     </mediaResourceRequest></mrbconsumer>";
//! let request = mrb::parse(text.as_bytes()).unwrap();
//! assert_eq!((request.id.as_str(), request.action), ("a1", Action::Begin));
//! assert_eq!((request.codecs[0].as_str(), request.sessions), ("audio/PCMA", 10));
//! ```

use super::tree::{Element, Tree};
use super::write::Xml;

/// Content-Type of its documents (RFC 6917 12).
pub const CONTENT_TYPE: &str = "application/mrb-consumer+xml";
/// Namespace of its documents.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:mrb-consumer";
/// Codecs, packages or formats of one request.
const NAMES_MAX: usize = 64;
/// Octets of a name.
const NAME_MAX: usize = 128;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Names it; the response has the same.
    pub id: String,
    /// What is to become of a session.
    pub action: Action,
    /// Control packages that the media server has to know.
    pub packages: Vec<String>,
    /// Codecs that it has to know, by their media types, each once.
    pub codecs: Vec<String>,
    /// File formats that it has to know, by their media types.
    pub formats: Vec<String>,
    /// What is needed besides that no media server here has: the elements' names.
    pub unsupported: Vec<String>,
    /// Streams at the same time; one at least.
    pub sessions: u32,
}

/// What is to become of a session between consumer and broker (RFC 6917 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It begins.
    Begin,
    /// It needs other resources from now on.
    Update(Session),
    /// It ends.
    Remove(Session),
}

/// A session that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name, as the broker dealt it.
    pub id: String,
    /// One more than that of the last request or response.
    pub seq: u32,
}

/// Status codes of responses (RFC 6917 5.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200.
    Found,
    /// 400: it cannot be read.
    Syntax,
    /// 405: the number of a request is not the next.
    Sequence,
    /// 408: no media server has that.
    NotFound,
    /// 409: what a session needs from now on is not there; it stays as it is.
    NotUpdated,
    /// 410: there is no such session to end.
    NotRemoved,
    /// 420: an attribute or element that is not known.
    Unsupported,
}

impl Status {
    /// Its number.
    pub const fn code(self) -> u16 {
        match self {
            Self::Found => 200,
            Self::Syntax => 400,
            Self::Sequence => 405,
            Self::NotFound => 408,
            Self::NotUpdated => 409,
            Self::NotRemoved => 410,
            Self::Unsupported => 420,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Found => "Resource found",
            Self::Syntax => "Syntax error",
            Self::Sequence => "Wrong sequence number",
            Self::NotFound => "Unable to find resource",
            Self::NotUpdated => "Unable to update resource",
            Self::NotRemoved => "Unable to remove resource",
            Self::Unsupported => "Unsupported attribute or element",
        }
    }
}

/// The media server that a session has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The session.
    pub session: Session,
    /// Seconds that it lasts unless it is updated.
    pub expires: u32,
    /// Where the media server is; none where the session has ended.
    pub uri: Option<String>,
    /// Codecs of the request, which it has for so many streams each.
    pub codecs: Vec<String>,
    /// Streams.
    pub sessions: u32,
}

/// Why a document is no request: what to respond, and to which id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The request's id; empty where it has none.
    pub id: String,
    /// The status.
    pub status: Status,
}

/// Reads a request.
///
/// # Errors
/// 400 where it is not one, 420 where it is of a version that is not known.
pub fn parse(document: &[u8]) -> Result<Request, Fault> {
    let nameless = |status| Fault {
        id: String::new(),
        status,
    };
    let tree = Tree::parse(document).map_err(|_| nameless(Status::Syntax))?;
    let root = tree.root().filter(|root| root.name() == "mrbconsumer");
    let root = root.ok_or(nameless(Status::Syntax))?;
    let request = root.child("mediaResourceRequest");
    let request = request.ok_or(nameless(Status::Syntax))?;
    let id = request.attribute("id").filter(|id| fits(id));
    let id = id.ok_or(nameless(Status::Syntax))?.to_owned();
    let fault = |status| Fault {
        id: id.clone(),
        status,
    };
    if root.attribute("version") != Some("1.0") {
        return Err(fault(Status::Unsupported));
    }
    let mut needs = Needs::default();
    let general = request.child("generalInfo");
    let session = general.and_then(|general| general.child("session-info"));
    let action = session.map_or(Some(Action::Begin), action);
    let action = action.ok_or(fault(Status::Syntax))?;
    let packages = general.and_then(|general| general.child("packages"));
    for package in packages.into_iter().flat_map(Element::children) {
        needs.packages.push(package.text().to_owned());
    }
    for info in request.children() {
        let is_understood = match info.name() {
            "generalInfo" => true,
            "ivrInfo" | "mixerInfo" => needs.take(info),
            _ => return Err(fault(Status::Unsupported)),
        };
        if !is_understood {
            return Err(fault(Status::Syntax));
        }
    }
    let lists = [&needs.packages, &needs.codecs, &needs.formats];
    let is_bounded =
        |names: &&Vec<String>| names.len() <= NAMES_MAX && names.iter().all(|name| fits(name));
    if !lists.iter().all(is_bounded) {
        return Err(fault(Status::Syntax));
    }
    Ok(Request {
        id,
        action,
        packages: needs.packages,
        codecs: needs.codecs,
        formats: needs.formats,
        unsupported: needs.unsupported,
        sessions: needs.sessions.max(1),
    })
}

#[derive(Default)]
struct Needs {
    packages: Vec<String>,
    codecs: Vec<String>,
    formats: Vec<String>,
    unsupported: Vec<String>,
    sessions: u32,
}

impl Needs {
    /// What `ivrInfo` or `mixerInfo` asks for; false where it cannot be read.
    fn take(&mut self, info: Element<'_>) -> bool {
        info.children().all(|part| match part.name() {
            "ivr-sessions" => self.take_codecs(part),
            "mixers" => part.children().all(|mix| {
                let users = mix.attribute("users").unwrap_or("1").parse::<u32>();
                self.sessions = self.sessions.saturating_add(*users.as_ref().unwrap_or(&0));
                users.is_ok() && self.take_codecs(mix)
            }),
            "file-formats" => part.children().all(|format| {
                let name = format.attribute("name");
                self.formats.extend(name.map(str::to_ascii_lowercase));
                name.is_some()
            }),
            known @ ("asr-tts" | "vxml" | "video" | "supported-encryption" | "encryption") => {
                self.unsupported.push(known.to_owned());
                true
            }
            // Tones, digits and the like every MRFP has; where it is and what it is for is nothing
            // to choose by.
            _ => true,
        })
    }

    fn take_codecs(&mut self, part: Element<'_>) -> bool {
        let mut codecs = part.children().filter(|child| child.name() == "rtp-codec");
        codecs.all(|codec| {
            let count = |name: &str| match codec.child(name) {
                None => Some(0),
                Some(count) => count.text().parse::<u32>().ok(),
            };
            let (Some(name), Some(decoding), Some(encoding)) = (
                codec.attribute("name"),
                count("decoding"),
                count("encoding"),
            ) else {
                return false;
            };
            let name = name.to_owned();
            if !self.codecs.contains(&name) {
                self.codecs.push(name);
            }
            // Of a mix the users are counted.
            if part.name() == "ivr-sessions" {
                self.sessions = self.sessions.saturating_add(decoding.max(encoding));
            }
            true
        })
    }
}

fn action(info: Element<'_>) -> Option<Action> {
    let id = info.child("session-id")?.text();
    let session = Session {
        id: fits(id).then(|| id.to_owned())?,
        seq: info.child("seq")?.text().parse().ok()?,
    };
    match info.child("action")?.text() {
        "update" => Some(Action::Update(session)),
        "remove" => Some(Action::Remove(session)),
        _ => None,
    }
}

fn fits(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_MAX
}

/// The response to a request: the status, and the media server where there is one.
pub fn response(id: &str, status: Status, server: Option<&Server>) -> String {
    let mut xml = Xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".into());
    xml.open("mrbconsumer", &[("version", "1.0"), ("xmlns", NAMESPACE)]);
    xml.0.push('>');
    let (code, reason) = (status.code().to_string(), status.reason());
    let attributes = [("id", id), ("status", &*code), ("reason", reason)];
    xml.open("mediaResourceResponse", &attributes);
    xml.0.push('>');
    if let Some(server) = server {
        xml.0.push_str("<response-session-info>");
        xml.element("session-id", &server.session.id);
        xml.element("seq", &server.session.seq.to_string());
        xml.element("expires", &server.expires.to_string());
        if let Some(uri) = &server.uri {
            xml.open("media-server-address", &[("uri", uri)]);
            xml.0.push_str("><ivr-sessions>");
            let sessions = server.sessions.to_string();
            for codec in &server.codecs {
                xml.open("rtp-codec", &[("name", codec)]);
                xml.0.push('>');
                xml.element("decoding", &sessions);
                xml.element("encoding", &sessions);
                xml.0.push_str("</rtp-codec>");
            }
            xml.0.push_str("</ivr-sessions></media-server-address>");
        }
        xml.0.push_str("</response-session-info>");
    }
    xml.0.push_str("</mediaResourceResponse></mrbconsumer>\n");
    xml.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "<?xml version=\"1.0\"?>\n\
        <mrbconsumer version=\"1.0\" xmlns=\"urn:ietf:params:xml:ns:mrb-consumer\">\n\
        <mediaResourceRequest id=\"fr34asx1\">\
        <generalInfo><session-info><session-id>q79&amp;OYY0q5M6M</session-id><seq>3</seq>\
        <action>update</action></session-info>\
        <packages><package>msml/1.1</package></packages></generalInfo>\
        <ivrInfo><ivr-sessions><rtp-codec name=\"audio/basic\"><decoding> 10 </decoding>\
        <encoding>7</encoding></rtp-codec></ivr-sessions>\
        <file-formats><required-format name=\"audio/X-wav\"/></file-formats>\
        <dtmf-type><detect><dtmf-type name=\"RFC4733\"/></detect></dtmf-type></ivrInfo>\
        <mixerInfo><mixers><mix users=\"40\"><rtp-codec name=\"audio/opus\"/></mix></mixers>\
        <asr-tts/></mixerInfo></mediaResourceRequest></mrbconsumer>";

    #[test]
    fn all_that_is_needed_is_read() {
        let request = parse(WHOLE.as_bytes()).unwrap();
        let session = Session {
            id: "q79&OYY0q5M6M".into(),
            seq: 3,
        };
        assert_eq!(request.id, "fr34asx1");
        assert_eq!(request.action, Action::Update(session));
        assert_eq!(request.packages, ["msml/1.1"]);
        assert_eq!(request.codecs, ["audio/basic", "audio/opus"]);
        assert_eq!(request.formats, ["audio/x-wav"]);
        assert_eq!(request.unsupported, ["asr-tts"]);
        assert_eq!(request.sessions, 50);
    }

    #[test]
    fn what_is_no_request_has_the_status_that_says_so() {
        let inner = |inner: &str| {
            format!(
                "<mrbconsumer version=\"1.0\"><mediaResourceRequest id=\"a\">{inner}\
                 </mediaResourceRequest></mrbconsumer>"
            )
        };
        let session = |inner: &str| {
            format!("<generalInfo><session-info>{inner}</session-info></generalInfo>")
        };
        let codec = "<ivrInfo><ivr-sessions><rtp-codec name=\"a\"><decoding>x</decoding>\
                     </rtp-codec></ivr-sessions></ivrInfo>";
        for (text, id, status) in [
            (String::new(), "", Status::Syntax),
            ("<mrbpublish/>".into(), "", Status::Syntax),
            ("<mrbconsumer version=\"1.0\"/>".into(), "", Status::Syntax),
            (inner("").replace("1.0", "2.0"), "a", Status::Unsupported),
            (inner("<other/>"), "a", Status::Unsupported),
            (inner(codec), "a", Status::Syntax),
            (
                inner(&session("<session-id>b</session-id><seq>1</seq>")),
                "a",
                Status::Syntax,
            ),
            (
                inner(&session("<seq>1</seq><action>remove</action>")),
                "a",
                Status::Syntax,
            ),
        ] {
            let fault = parse(text.as_bytes()).expect_err(&text);
            assert_eq!((fault.id.as_str(), fault.status), (id, status), "{text}");
        }
        let least = parse(inner("").as_bytes()).unwrap();
        assert_eq!((least.action, least.sessions), (Action::Begin, 1));
    }

    #[test]
    fn a_response_has_all_of_the_server() {
        let server = Server {
            session: Session {
                id: "s<1".into(),
                seq: 2,
            },
            expires: 3600,
            uri: Some("sip:msml@192.0.2.1:5060".into()),
            codecs: vec!["audio/PCMA".into()],
            sessions: 10,
        };
        let text = response("a\"1", Status::Found, Some(&server));
        let tree = Tree::parse(text.as_bytes()).unwrap();
        let response = tree.root().and_then(|it| it.child("mediaResourceResponse"));
        let response = response.unwrap();
        assert_eq!(response.attribute("status"), Some("200"));
        assert_eq!(response.attribute("id"), Some("a\"1"));
        let info = response.child("response-session-info").unwrap();
        let value = |name: &str| info.child(name).map(Element::text);
        assert_eq!(value("session-id"), Some("s<1"));
        assert_eq!((value("seq"), value("expires")), (Some("2"), Some("3600")));
        let address = info.child("media-server-address").unwrap();
        assert_eq!(address.attribute("uri"), Some("sip:msml@192.0.2.1:5060"));
    }

    #[test]
    fn nothing_cut_or_changed_does_harm() {
        for end in 0..WHOLE.len() {
            assert!(parse(&WHOLE.as_bytes()[..end]).is_err(), "cut at {end}");
        }
        for bit in 0..WHOLE.len() * 8 {
            let mut changed = WHOLE.as_bytes().to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(request) = parse(&changed) {
                response(&request.id, Status::Found, None);
            }
        }
        let many = "<package>a</package>".repeat(65);
        let many = WHOLE.replace("<package>msml/1.1</package>", &many);
        assert_eq!(parse(many.as_bytes()).unwrap_err().status, Status::Syntax);
    }
}
