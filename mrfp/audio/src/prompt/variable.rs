//! Variables: values that are spoken, RFC 2897 1.1.3, RFC 5707 and H.248.9.

use std::time::Duration;

use crate::error::Error;

/// A value to be spoken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// A day of the calendar.
    Date {
        /// Years of the Christian era.
        year: u16,
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
        /// Which is said first; `None` as the language does.
        order: Option<DateOrder>,
    },
    /// Digits, one after the other.
    Digits {
        /// `0` to `9`, `*`, `#`.
        digits: String,
        /// In groups, as numbers of the North American dialling plan.
        is_grouped: bool,
    },
    /// Seconds.
    Duration(u32),
    /// An amount of money.
    Money {
        /// In the currency's smallest unit.
        amount: i64,
        /// ISO 4217, small letters.
        currency: String,
    },
    /// 1 to 12.
    Month(u8),
    /// A number.
    Number {
        /// Which one.
        value: i64,
        /// As first, second, third.
        is_ordinal: bool,
    },
    /// Nothing, for so long.
    Silence(Duration),
    /// Characters, one after the other.
    String(String),
    /// A time of day.
    Time {
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// By the clock of 12 hours; `None` as the language does.
        is_twelve: Option<bool>,
    },
    /// 1 is Sunday, 7 is Saturday.
    Weekday(u8),
}

/// Order of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DateOrder {
    /// Month, day, year.
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

impl DateOrder {
    pub(crate) fn name(self) -> &'static str {
        match self {
            DateOrder::Mdy => "mdy",
            DateOrder::Dmy => "dmy",
            DateOrder::Ymd => "ymd",
        }
    }
}

impl Variable {
    /// Takes type, subtype and value as they stand in RFC 2897 (`dat`, `dig`, …) and RFC 5707
    /// (`date`, `digit`, …). An empty subtype is none.
    ///
    /// # Errors
    /// `Unsupported` for types and subtypes that are not spoken, `Value` for values they cannot
    /// have.
    pub fn parse(kind: &str, subtype: &str, value: &str) -> Result<Self, Error> {
        const NO_SUBTYPE: Error = Error::Unsupported("a subtype that this variable has not");
        let kind = kind.to_ascii_lowercase();
        let subtype = subtype.to_ascii_lowercase();
        if value.len() > VALUE_OCTETS_MAX {
            return Err(Error::Limit("the length of a variable"));
        }
        let variable = match (kind.as_str(), subtype.as_str()) {
            ("date" | "dat", order) => {
                let order = match order {
                    "" => None,
                    "mdy" => Some(DateOrder::Mdy),
                    "dmy" => Some(DateOrder::Dmy),
                    "ymd" => Some(DateOrder::Ymd),
                    _ => return Err(NO_SUBTYPE),
                };
                Self::date(value, order)?
            }
            ("digit" | "digits" | "dig", subtype @ ("" | "gen" | "ndn")) => {
                let is_digit = |octet: u8| octet.is_ascii_digit() || b"*#".contains(&octet);
                if value.is_empty() || !value.bytes().all(is_digit) {
                    return Err(Error::Value("digits are 0 to 9, * and #"));
                }
                Variable::Digits {
                    digits: value.to_owned(),
                    is_grouped: subtype == "ndn",
                }
            }
            ("duration" | "dur", "") => {
                Variable::Duration(number(value, 0, i64::from(u32::MAX))? as u32)
            }
            ("money" | "mny", currency) => Self::money(value, currency)?,
            ("month" | "mth", "") => Variable::Month(number(value, 1, 12)? as u8),
            ("number" | "num", subtype @ ("" | "crd" | "ord")) => {
                let is_ordinal = subtype == "ord";
                let least = if is_ordinal { 0 } else { -NUMBER_MAX };
                Variable::Number {
                    value: number(value, least, NUMBER_MAX)?,
                    is_ordinal,
                }
            }
            ("silence" | "sil", "") => {
                let tenths = number(value, 0, SILENCE_TENTHS_MAX)? as u64;
                Variable::Silence(Duration::from_millis(100 * tenths))
            }
            ("string" | "str", "") => {
                let is_known = |octet: u8| octet.is_ascii_alphanumeric() || b"*#".contains(&octet);
                if value.is_empty() || !value.bytes().all(is_known) {
                    return Err(Error::Value("strings have letters, digits, * and #"));
                }
                Variable::String(value.to_ascii_lowercase())
            }
            ("time" | "tme", subtype @ ("" | "t12" | "t24")) => {
                let is_twelve = (!subtype.is_empty()).then_some(subtype == "t12");
                Self::time(value, is_twelve)?
            }
            ("weekday" | "wkd", "") => Variable::Weekday(number(value, 1, 7)? as u8),
            (
                "digit" | "digits" | "dig" | "duration" | "dur" | "month" | "mth" | "number"
                | "num" | "silence" | "sil" | "string" | "str" | "time" | "tme" | "weekday" | "wkd",
                _,
            ) => return Err(NO_SUBTYPE),
            _ => return Err(Error::Unsupported("a type of variable that is not spoken")),
        };
        Ok(variable)
    }

    /// YYYYMMDD.
    fn date(value: &str, order: Option<DateOrder>) -> Result<Self, Error> {
        const NO_DATE: Error = Error::Value("a date is YYYYMMDD of the calendar");
        if value.len() != 8 || !value.is_ascii() {
            return Err(NO_DATE);
        }
        let part = |range: std::ops::Range<usize>, least, greatest| {
            number(&value[range], least, greatest).map_err(|_| NO_DATE)
        };
        let year = part(0..4, 1, 9999)?;
        let month = part(4..6, 1, 12)?;
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + i64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        Ok(Variable::Date {
            year: year as u16,
            month: month as u8,
            day: part(6..8, 1, days)? as u8,
            order,
        })
    }

    /// HHMM, by the clock of 24 hours.
    fn time(value: &str, is_twelve: Option<bool>) -> Result<Self, Error> {
        const NO_TIME: Error = Error::Value("a time is HHMM, 0000 to 2359");
        if value.len() != 4 || !value.is_ascii() {
            return Err(NO_TIME);
        }
        let part = |range: std::ops::Range<usize>, greatest| {
            number(&value[range], 0, greatest).map_err(|_| NO_TIME)
        };
        Ok(Variable::Time {
            hour: part(0..2, 23)? as u8,
            minute: part(2..4, 59)? as u8,
            is_twelve,
        })
    }

    fn money(value: &str, currency: &str) -> Result<Self, Error> {
        if currency.len() != 3 || !currency.bytes().all(|octet| octet.is_ascii_lowercase()) {
            return Err(Error::Value("a currency has the three letters of ISO 4217"));
        }
        Ok(Variable::Money {
            amount: number(value, -NUMBER_MAX, NUMBER_MAX)?,
            currency: currency.to_owned(),
        })
    }
}

fn number(text: &str, least: i64, greatest: i64) -> Result<i64, Error> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Error::Value("not a number"));
    }
    let value = text.parse().ok();
    value
        .filter(|value| (least..=greatest).contains(value))
        .ok_or(Error::Value("a number out of range"))
}

/// The greatest number that languages have words for.
const NUMBER_MAX: i64 = 999_999_999_999_999;
/// An hour.
const SILENCE_TENTHS_MAX: i64 = 36_000;
const VALUE_OCTETS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_vocabularies_name_the_same() {
        for (long, short, subtype, value) in [
            ("date", "dat", "mdy", "20261122"),
            ("digit", "dig", "ndn", "2125551212"),
            ("duration", "dur", "", "3661"),
            ("month", "mth", "", "01"),
            ("money", "mny", "USD", "-199"),
            ("number", "num", "ord", "21"),
            ("silence", "sil", "", "5"),
            ("string", "str", "", "aB1#"),
            ("time", "tme", "t12", "0005"),
            ("weekday", "wkd", "", "7"),
        ] {
            let one = Variable::parse(long, subtype, value).unwrap();
            let other = Variable::parse(&short.to_uppercase(), subtype, value).unwrap();
            assert_eq!(one, other);
        }
    }

    #[test]
    fn impossible_values_are_refused() {
        for (kind, subtype, value) in [
            ("date", "", "20260229"),
            ("date", "", "20261301"),
            ("date", "", "2026112"),
            ("date", "", "２０２６"),
            ("date", "", "+0260101"),
            ("digit", "", ""),
            ("digit", "", "12a"),
            ("duration", "", "-1"),
            ("money", "", "1"),
            ("money", "dollar", "1"),
            ("month", "", "13"),
            ("number", "", "1000000000000000"),
            ("number", "", "--1"),
            ("number", "ord", "-1"),
            ("number", "", ""),
            ("string", "", "ä"),
            ("time", "", "2400"),
            ("time", "", "1260"),
            ("weekday", "", "0"),
        ] {
            let parsed = Variable::parse(kind, subtype, value);
            assert!(matches!(parsed, Err(Error::Value(_))), "{kind} {value}");
        }
        for (kind, subtype) in [
            ("date", "dym"),
            ("number", "hex"),
            ("text", ""),
            ("time", "t13"),
        ] {
            let parsed = Variable::parse(kind, subtype, "1");
            assert!(matches!(parsed, Err(Error::Unsupported(_))), "{kind}");
        }
        assert!(Variable::parse("digit", "", &"1".repeat(129)).is_err());
    }

    #[test]
    fn leap_years_are_those_of_the_calendar() {
        for (value, is_there) in [("20240229", true), ("19000229", false), ("20000229", true)] {
            assert_eq!(Variable::parse("date", "", value).is_ok(), is_there);
        }
    }
}
