//! The typed form to its document, elements in the order of the schema (RFC 3680 5.4).

use super::{Contact, Reginfo, Registration, State};

impl Reginfo {
    /// The document in UTF-8.
    ///
    /// Characters XML cannot hold (controls) are left out.
    pub fn to_xml(&self) -> Vec<u8> {
        let mut xml = Xml(String::from("<?xml version=\"1.0\"?>\n<reginfo"));
        xml.attribute("xmlns", super::read::NAMESPACE);
        xml.attribute("version", &self.version.to_string());
        xml.attribute("state", if self.full { "full" } else { "partial" });
        xml.0.push('>');
        for each in &self.registrations {
            registration(&mut xml, each);
        }
        xml.0.push_str("\n</reginfo>\n");
        xml.0.into_bytes()
    }
}

fn registration(xml: &mut Xml, registration: &Registration) {
    xml.0.push_str("\n<registration");
    xml.attribute("aor", &registration.aor);
    xml.attribute("id", &registration.id);
    xml.attribute("state", registration.state.name());
    xml.0.push('>');
    for each in &registration.contacts {
        contact(xml, each);
    }
    xml.0.push_str("\n</registration>");
}

fn contact(xml: &mut Xml, contact: &Contact) {
    let state = if contact.event.is_active() {
        State::Active
    } else {
        State::Terminated
    };
    xml.0.push_str("\n<contact");
    xml.attribute("id", &contact.id);
    xml.attribute("state", state.name());
    xml.attribute("event", contact.event.name());
    xml.optional_attribute("expires", contact.expires.map(|number| number.to_string()));
    xml.optional_attribute("q", contact.q.map(qvalue));
    xml.optional_attribute("callid", contact.call_id.clone());
    xml.optional_attribute("cseq", contact.cseq.map(|number| number.to_string()));
    xml.0.push_str("><uri>");
    xml.escaped(&contact.uri);
    xml.0.push_str("</uri>");
    if let Some(name) = &contact.display_name {
        xml.0.push_str("<display-name>");
        xml.escaped(name);
        xml.0.push_str("</display-name>");
    }
    for (name, value) in &contact.unknown_params {
        xml.0.push_str("<unknown-param");
        xml.attribute("name", name);
        xml.0.push('>');
        xml.escaped(value);
        xml.0.push_str("</unknown-param>");
    }
    xml.0.push_str("</contact>");
}

/// `qvalue` of RFC 3261 25.1 for thousandths.
fn qvalue(thousandths: u16) -> String {
    match thousandths {
        1000.. => "1.0".into(),
        less => format!("0.{less:03}"),
    }
}

struct Xml(String);

impl Xml {
    fn attribute(&mut self, name: &str, value: &str) {
        self.0.push(' ');
        self.0.push_str(name);
        self.0.push_str("=\"");
        self.escaped(value);
        self.0.push('"');
    }

    fn optional_attribute(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.attribute(name, &value);
        }
    }

    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
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
