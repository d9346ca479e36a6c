//! Errors for people: what went wrong, why, and what to do about it.

use std::fmt;

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    what: String,
    why: Option<String>,
    remedy: Option<String>,
}

impl Failure {
    /// What went wrong, with the place where it did.
    pub fn new(what: impl Into<String>) -> Self {
        Failure {
            what: what.into(),
            why: None,
            remedy: None,
        }
    }

    /// The cause, as the system or the peer told it.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = Some(why.to_string());
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n       {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let failure = Failure::new("cannot read a.toml")
            .because("no such file")
            .remedy("Make it.");
        assert_eq!(
            failure.to_string(),
            "cannot read a.toml: no such file\n       Make it."
        );
    }
}
