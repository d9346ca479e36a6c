//! Initial filter criteria as the operator writes them.

use std::sync::Arc;

use diameter::cx::user_data::{Error, ImsSubscription, InitialFilterCriteria};
use serde::{Deserialize, Serialize};

/// One InitialFilterCriteria element, TS 29.228 Annex E, as it is written and what it says.
///
/// The text is kept, comments and all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilterCriteria {
    text: String,
    criteria: Arc<InitialFilterCriteria>,
}

impl FilterCriteria {
    /// Reads one element.
    ///
    /// # Errors
    /// Not well-formed, not exactly one `InitialFilterCriteria`, or a value out of range.
    pub fn parse(xml: &str) -> Result<Self, Error> {
        Ok(Self {
            criteria: Arc::new(read(xml)?),
            text: xml.to_owned(),
        })
    }

    /// The element as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it says.
    pub fn criteria(&self) -> &InitialFilterCriteria {
        &self.criteria
    }
}

impl PartialEq for FilterCriteria {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for FilterCriteria {}

/// Reads the element in the place where the schema has it.
fn read(xml: &str) -> Result<InitialFilterCriteria, Error> {
    let document = format!(
        "<IMSSubscription><PrivateID>a</PrivateID><ServiceProfile><PublicIdentity>\
         <Identity>sip:a@a</Identity></PublicIdentity>{xml}</ServiceProfile></IMSSubscription>"
    );
    let mut subscription = ImsSubscription::parse(document.as_bytes())?;
    let profile = subscription.service_profiles.pop();
    let alone = subscription.service_profiles.is_empty();
    let criteria = profile.map(|profile| profile.initial_filter_criteria);
    match criteria.as_deref() {
        Some([criteria]) if alone => Ok(criteria.clone()),
        _ => Err(Error::Missing("InitialFilterCriteria")),
    }
}

impl TryFrom<String> for FilterCriteria {
    type Error = Error;

    fn try_from(xml: String) -> Result<Self, Error> {
        Self::parse(&xml)
    }
}

impl From<FilterCriteria> for String {
    fn from(criteria: FilterCriteria) -> String {
        criteria.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRITERIA: &str = "<InitialFilterCriteria><Priority>3</Priority><ApplicationServer>\
        <ServerName>sip:as.ims.test</ServerName></ApplicationServer></InitialFilterCriteria>";

    #[test]
    fn one_element_is_kept_as_written() {
        let criteria = FilterCriteria::parse(CRITERIA).expect("an element of the schema");
        assert_eq!(criteria.as_str(), CRITERIA);
        assert_eq!(criteria.criteria().priority, 3);
        assert_eq!(
            criteria.criteria().application_server.server_name,
            "sip:as.ims.test"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let twice = [CRITERIA, CRITERIA].concat();
        let outside = format!(
            "{CRITERIA}</ServiceProfile><ServiceProfile><PublicIdentity><Identity>sip:x@x</Identity>\
             </PublicIdentity>"
        );
        for xml in [
            "",
            "text",
            "<InitialFilterCriteria>",
            &CRITERIA[1..],
            &twice,
            &outside,
        ] {
            assert!(FilterCriteria::parse(xml).is_err(), "{xml}");
        }
    }
}
