//! Selection of an S-CSCF (TS 23.228 5.1.2.3, TS 29.228 6.7).

use diameter::cx::ServerCapabilities;

/// The S-CSCFs among which to select, in order of preference.
#[derive(Debug)]
pub(super) struct Selection {
    names: Vec<String>,
}

impl Selection {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// The first S-CSCF not tried yet. The HSS may name some itself; those come first.
    pub(super) fn choose(
        &self,
        capabilities: Option<&ServerCapabilities>,
        tried: &[String],
    ) -> Option<String> {
        let named = capabilities
            .into_iter()
            .flat_map(|wanted| wanted.server_names.iter());
        named
            .chain(&self.names)
            .find(|name| !tried.contains(name))
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_hss_come_first_and_none_comes_twice() {
        let selection = Selection::new(vec!["sip:a".into(), "sip:b".into()]);
        let wanted = ServerCapabilities {
            server_names: vec!["sip:b".into()],
            ..Default::default()
        };
        assert_eq!(
            selection.choose(Some(&wanted), &[]).as_deref(),
            Some("sip:b")
        );
        let tried = ["sip:b".to_owned()];
        assert_eq!(
            selection.choose(Some(&wanted), &tried).as_deref(),
            Some("sip:a")
        );
        let tried = ["sip:b".to_owned(), "sip:a".to_owned()];
        assert_eq!(selection.choose(Some(&wanted), &tried), None);
    }
}
