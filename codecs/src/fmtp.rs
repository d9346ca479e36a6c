//! Parameters of a format: the value of `a=fmtp` behind the payload type (RFC 8866 6.15).

use crate::FormatError;

/// Most parameters that are looked at.
const PARAMETERS_MAX: usize = 64;

/// `name=value` parameters between semicolons.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    pub(crate) fn new(fmtp: Option<&'a str>) -> Self {
        Self(fmtp.unwrap_or(""))
    }

    /// The value of the first parameter of this name, which is compared without regard to case; a
    /// parameter without a value has an empty one.
    pub(crate) fn value(&self, name: &str) -> Option<&'a str> {
        self.0.split(';').take(PARAMETERS_MAX).find_map(|each| {
            let (key, value) = each.split_once('=').unwrap_or((each, ""));
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The number of a parameter, if it is there.
    pub(crate) fn number(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, FormatError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let digits = !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_digit());
        let number = value.parse().ok().filter(|number| range.contains(number));
        number
            .filter(|_| digits)
            .map(Some)
            .ok_or(FormatError::Parameter(name))
    }

    /// A parameter that is 0 or 1, and 0 where it is missing.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, FormatError> {
        Ok(self.number(name, 0..=1)? == Some(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_name_in_any_case_and_order() {
        let parameters = Parameters::new(Some("mode-set=0,2 ; OCTET-ALIGN=1;cbr"));
        assert_eq!(parameters.value("octet-align"), Some("1"));
        assert_eq!(parameters.value("mode-set"), Some("0,2"));
        assert_eq!(parameters.value("cbr"), Some(""));
        assert_eq!(parameters.value("mode"), None);
        assert_eq!(parameters.flag("octet-align"), Ok(true));
        assert_eq!(parameters.flag("crc"), Ok(false));
    }

    #[test]
    fn numbers_are_digits_within_their_range() {
        let of = |text| Parameters::new(Some(text)).number("a", 1..=9);
        assert_eq!(of("a=7"), Ok(Some(7)));
        assert_eq!(of("b=7"), Ok(None));
        for text in ["a=0", "a=10", "a=+1", "a=", "a=x", "a=99999999999999"] {
            assert_eq!(of(text), Err(FormatError::Parameter("a")), "{text}");
        }
    }
}
