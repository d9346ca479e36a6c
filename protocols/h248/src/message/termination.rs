//! Termination identities, clause 6.2.2.

use std::fmt;

use smallvec::SmallVec;

use super::Name;

/// TerminationID, clause 6.2.2. Not case sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TerminationId {
    /// `ROOT`: the gateway itself, clause 6.2.3.
    Root,
    /// `*`: all terminations.
    All,
    /// `$`: the gateway is to choose.
    Choose,
    /// A name, hierarchical by `/`, perhaps with wildcards in it (`ip/2/$`, `tdm/3/*`).
    Name(Name),
}

impl TerminationId {
    /// The identity spelled `text`.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::from_ascii(text.as_ref().as_bytes())
    }

    pub(crate) fn from_ascii(text: &[u8]) -> Self {
        match text {
            b"*" => Self::All,
            b"$" => Self::Choose,
            _ if text.eq_ignore_ascii_case(b"ROOT") => Self::Root,
            _ => Self::Name(Name::from_ascii(text)),
        }
    }

    /// The spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Root => "ROOT",
            Self::All => "*",
            Self::Choose => "$",
            Self::Name(name) => name.as_str(),
        }
    }

    /// True when an ALL wildcard occurs in it: it may name several terminations.
    pub fn has_all(&self) -> bool {
        self.as_str().contains('*')
    }

    /// True when a CHOOSE wildcard occurs in it.
    pub fn has_choose(&self) -> bool {
        self.as_str().contains('$')
    }

    /// True when it names exactly one termination.
    pub fn is_specific(&self) -> bool {
        !self.has_all() && !self.has_choose()
    }

    /// True when `other`, a specific identity, is among those this one names: equal but for case,
    /// `*` and `$` matching any characters (Annex B.1). ROOT is matched by itself only.
    pub fn matches(&self, other: &TerminationId) -> bool {
        match (self, other) {
            (Self::Root, Self::Root) => true,
            (Self::Root, _) | (_, Self::Root) => false,
            (Self::All | Self::Choose, _) => true,
            (Self::Name(pattern), other) => glob(pattern.as_bytes(), other.as_str().as_bytes()),
        }
    }
}

impl fmt::Display for TerminationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for TerminationId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// The terminations of one command: one, or in version 3 a list (`[a, b]`). Never empty after
/// parsing.
pub type TerminationList = SmallVec<[TerminationId; 1]>;

/// Matches `text` against `pattern`; going back to the last wildcard only keeps it within pattern ×
/// text steps.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && matches!(pattern[p], b'*' | b'$') {
            retry = Some((p + 1, t));
            p += 1;
        } else if p < pattern.len() && pattern[p].eq_ignore_ascii_case(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((after, from)) = retry {
            retry = Some((after, from + 1));
            p = after;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..]
        .iter()
        .all(|octet| matches!(octet, b'*' | b'$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_any_characters_and_root_only_itself() {
        let id = TerminationId::new;
        assert!(id("ip/2/*").matches(&id("IP/2/17")));
        assert!(id("*").matches(&id("ip/2/17")));
        assert!(!id("*").matches(&id("ROOT")));
        assert!(id("root").matches(&TerminationId::Root));
        assert!(!id("ip/*/3").matches(&id("ip/2/17")));
        assert!(id("*a*b").matches(&id("xaab")));
    }

    #[test]
    fn identities_ignore_case() {
        assert_eq!(TerminationId::new("Tdm/1"), TerminationId::new("tdm/1"));
        assert_eq!(TerminationId::new("rOOt"), TerminationId::Root);
    }
}
