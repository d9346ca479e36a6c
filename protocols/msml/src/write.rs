//! Results and events to documents.

use super::read::{Fault, Object};

/// What became of a document's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The first fault; what follows it was not done.
    pub fault: Option<Fault>,
    /// The mark of the last request that was done and had one.
    pub mark: Option<String>,
    /// Conferences that were made and not named.
    pub conferences: Vec<Object>,
    /// Dialogs that were begun and not named.
    pub dialogs: Vec<Object>,
}

/// The result of a document (RFC 5707 7.2).
pub fn result(outcome: &Outcome) -> String {
    let code = outcome
        .fault
        .as_ref()
        .map_or(super::code::OK, |fault| fault.code);
    let mut xml = Xml::begin();
    xml.open("result", &[("response", &code.to_string())]);
    if let Some(mark) = &outcome.mark {
        xml.attribute("mark", mark);
    }
    xml.0.push('>');
    for (name, objects) in [
        ("confid", &outcome.conferences),
        ("dialogid", &outcome.dialogs),
    ] {
        for object in objects {
            xml.element(name, &object.to_string());
        }
    }
    if let Some(fault) = &outcome.fault {
        xml.element("description", &fault.description);
    }
    xml.0.push_str("</result>");
    xml.end()
}

/// An event (RFC 5707 7.3).
pub fn event(name: &str, id: &Object, values: &[(String, String)]) -> String {
    let mut xml = Xml::begin();
    xml.open("event", &[("name", name), ("id", &id.to_string())]);
    xml.0.push('>');
    for (name, value) in values {
        xml.element("name", name);
        xml.element("value", value);
    }
    xml.0.push_str("</event>");
    xml.end()
}

pub(super) struct Xml(pub(super) String);

impl Xml {
    fn begin() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<msml version=\"1.1\">".into())
    }

    fn end(mut self) -> String {
        self.0.push_str("</msml>\n");
        self.0
    }

    /// A tag up to its attributes.
    pub fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.attribute(name, value);
        }
    }

    /// A further attribute.
    pub fn attribute(&mut self, name: &str, value: &str) {
        self.0.push(' ');
        self.0.push_str(name);
        self.0.push_str("=\"");
        self.escaped(value);
        self.0.push('"');
    }

    /// An element of text.
    pub fn element(&mut self, name: &str, text: &str) {
        self.0.push_str(&format!("<{name}>"));
        self.escaped(text);
        self.0.push_str(&format!("</{name}>"));
    }

    fn escaped(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // XML 1.0 2.2 has no other controls.
                '\u{fffe}' | '\u{ffff}' => {}
                control if control.is_control() => {}
                other => self.0.push(other),
            }
        }
    }
}
