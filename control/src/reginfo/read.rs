//! A document to its typed form. No recursion, no document type, no entities but the five of XML
//! and character references; elements of other namespaces (RFC 5628 GRUUs) are passed over.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::{Contact, ContactEvent, DEPTH_MAX, ELEMENTS_MAX, Error, Reginfo, Registration, State};

/// Namespace of the schema, RFC 3680 7.2.
pub(super) const NAMESPACE: &str = "urn:ietf:params:xml:ns:reginfo";

impl Reginfo {
    /// Reads a document.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(document: &[u8]) -> Result<Reginfo, Error> {
        let text = std::str::from_utf8(document).map_err(|error| Error::Malformed {
            offset: error.valid_up_to(),
        })?;
        let mut reader = NsReader::from_str(text);
        let mut reading = Reading::default();
        loop {
            let malformed = Error::Malformed {
                offset: usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX),
            };
            let (namespace, event) = reader.read_resolved_event().map_err(|_| malformed)?;
            let ours = matches!(namespace, ResolveResult::Bound(Namespace(NAMESPACE)));
            match event {
                Event::Start(tag) => reading.start(&tag, ours, malformed)?,
                Event::Empty(tag) => {
                    reading.start(&tag, ours, malformed)?;
                    reading.end(malformed)?;
                }
                Event::End(_) => reading.end(malformed)?,
                Event::Text(text) => reading.text(&text.xml10_content()),
                Event::CData(text) => reading.text(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let character = resolve(&reference).ok_or(malformed)?;
                    reading.text(character.encode_utf8(&mut [0; 4]));
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::DocType(_) => return Err(malformed),
                Event::Eof => return reading.finish(malformed),
            }
        }
    }
}

/// Where in the document an element stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Reginfo,
    Registration,
    Contact,
    Uri,
    DisplayName,
    UnknownParam,
    /// Of no meaning here, and all inside it.
    Foreign,
}

#[derive(Default)]
struct Reading {
    document: Option<Reginfo>,
    open: Vec<Place>,
    elements: usize,
}

impl Reading {
    fn start(&mut self, tag: &BytesStart<'_>, ours: bool, malformed: Error) -> Result<(), Error> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(Error::Limit("ELEMENTS_MAX"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(Error::Limit("DEPTH_MAX"));
        }
        let name = tag.local_name();
        let place = match (self.open.last(), name.as_ref()) {
            (None, _) if self.document.is_some() => return Err(malformed),
            (None, "reginfo") if ours => Place::Reginfo,
            (None, _) => return Err(Error::NotReginfo),
            (Some(Place::Reginfo), "registration") if ours => Place::Registration,
            (Some(Place::Registration), "contact") if ours => Place::Contact,
            (Some(Place::Contact), "uri") if ours => Place::Uri,
            (Some(Place::Contact), "display-name") if ours => Place::DisplayName,
            (Some(Place::Contact), "unknown-param") if ours => Place::UnknownParam,
            _ => Place::Foreign,
        };
        self.open.push(place);
        match place {
            Place::Reginfo => self.document = Some(reginfo(tag, malformed)?),
            Place::Registration => {
                let registration = registration(tag, malformed)?;
                if let Some(document) = &mut self.document {
                    document.registrations.push(registration);
                }
            }
            Place::Contact => {
                let contact = contact(tag, malformed)?;
                if let Some(registration) = self.registration() {
                    registration.contacts.push(contact);
                }
            }
            Place::UnknownParam => {
                let name = required(tag, "name", malformed)?;
                if let Some(contact) = self.contact() {
                    contact.unknown_params.push((name, String::new()));
                }
            }
            Place::DisplayName => {
                if let Some(contact) = self.contact() {
                    contact.display_name.get_or_insert_default();
                }
            }
            Place::Uri | Place::Foreign => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let place = self.open.last().copied();
        let Some(contact) = self.contact() else {
            return;
        };
        match place {
            Some(Place::Uri) => contact.uri.push_str(text),
            Some(Place::DisplayName) => {
                if let Some(name) = &mut contact.display_name {
                    name.push_str(text);
                }
            }
            Some(Place::UnknownParam) => {
                if let Some((_, value)) = contact.unknown_params.last_mut() {
                    value.push_str(text);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, malformed: Error) -> Result<(), Error> {
        let place = self.open.pop().ok_or(malformed)?;
        if let (Place::Contact, Some(contact)) = (place, self.contact()) {
            contact.uri = contact.uri.trim().to_owned();
            if contact.uri.is_empty() {
                return Err(Error::Missing("uri"));
            }
        }
        Ok(())
    }

    fn finish(self, malformed: Error) -> Result<Reginfo, Error> {
        match self.document {
            Some(document) if self.open.is_empty() => Ok(document),
            _ => Err(malformed),
        }
    }

    fn registration(&mut self) -> Option<&mut Registration> {
        self.document.as_mut()?.registrations.last_mut()
    }

    fn contact(&mut self) -> Option<&mut Contact> {
        self.registration()?.contacts.last_mut()
    }
}

fn reginfo(tag: &BytesStart<'_>, malformed: Error) -> Result<Reginfo, Error> {
    let version = required(tag, "version", malformed)?;
    let full = match required(tag, "state", malformed)?.as_str() {
        "full" => true,
        "partial" => false,
        _ => return Err(Error::Value("state")),
    };
    Ok(Reginfo {
        version: version.parse().map_err(|_| Error::Value("version"))?,
        full,
        registrations: Vec::new(),
    })
}

fn registration(tag: &BytesStart<'_>, malformed: Error) -> Result<Registration, Error> {
    let state = required(tag, "state", malformed)?;
    Ok(Registration {
        aor: required(tag, "aor", malformed)?,
        id: required(tag, "id", malformed)?,
        state: State::parse(&state).ok_or(Error::Value("state"))?,
        contacts: Vec::new(),
    })
}

fn contact(tag: &BytesStart<'_>, malformed: Error) -> Result<Contact, Error> {
    let id = required(tag, "id", malformed)?;
    let state = required(tag, "state", malformed)?;
    let event = required(tag, "event", malformed)?;
    let event = ContactEvent::parse(&event).ok_or(Error::Value("event"))?;
    let active = match State::parse(&state) {
        Some(State::Active) => true,
        Some(State::Terminated) => false,
        _ => return Err(Error::Value("state")),
    };
    if active != event.is_active() {
        return Err(Error::Value("event"));
    }
    let number = |name| Ok(optional(tag, name, malformed)?.and_then(|text| text.parse().ok()));
    Ok(Contact {
        id,
        event,
        expires: number("expires")?,
        q: optional(tag, "q", malformed)?.and_then(|text| thousandths(&text)),
        call_id: optional(tag, "callid", malformed)?,
        cseq: number("cseq")?,
        ..Contact::default()
    })
}

/// `qvalue` of RFC 3261 25.1 in thousandths; `None` for anything else.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let less = format!("{fraction:0<3}").parse().ok()?;
    match (whole, less) {
        ("0", less) => Some(less),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

fn required(tag: &BytesStart<'_>, name: &'static str, malformed: Error) -> Result<String, Error> {
    optional(tag, name, malformed)?.ok_or(Error::Missing(name))
}

fn optional(tag: &BytesStart<'_>, name: &str, malformed: Error) -> Result<Option<String>, Error> {
    let attribute = tag.try_get_attribute(name).map_err(|_| malformed)?;
    let Some(attribute) = attribute else {
        return Ok(None);
    };
    let value = attribute.normalized_value(XmlVersion::Implicit1_0);
    Ok(Some(value.map_err(|_| malformed)?.into_owned()))
}

/// The character of a reference: by number, or one of the five of XML 1.0 4.6.
fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character);
    }
    match reference.xml10_content().as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}
