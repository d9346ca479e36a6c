//! Date, RFC 3261 20.17.

use crate::Why;
use crate::scan::trim;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Seconds since the Unix epoch of a date such as `Sat, 13 Nov 2010 23:29:00 GMT`.
///
/// # Errors
/// [`Why::Syntax`] for any other form or time zone; [`Why::Range`] for a day that does not exist.
pub(crate) fn parse(text: &str) -> Result<u64, Why> {
    let (weekday, rest) = trim(text).split_once(", ").ok_or(Why::Syntax)?;
    let mut words = rest.split(' ');
    let mut word = || words.next().ok_or(Why::Syntax);
    let day = number(word()?, 2)?;
    let month = word()?;
    let month = MONTHS
        .iter()
        .position(|name| *name == month)
        .ok_or(Why::Syntax)?;
    let year = number(word()?, 4)?;
    let time = word()?;
    if word()? != "GMT" || words.next().is_some() || !WEEKDAYS.contains(&weekday) {
        return Err(Why::Syntax);
    }
    let mut parts = time.split(':');
    let mut part = || number(parts.next().ok_or(Why::Syntax)?, 2);
    let (hour, minute, second) = (part()?, part()?, part()?);
    if parts.next().is_some() {
        return Err(Why::Syntax);
    }
    let in_range = (1..=days_of(month, year)).contains(&day)
        && (1970..=9999).contains(&year)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return Err(Why::Range);
    }
    let days = days_since_epoch(year, month, day);
    Ok(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Writes a time as [`parse`] reads it.
pub(crate) fn print(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let mut year = 1970;
    let mut left = days;
    while left >= year_days(year) && year < 9999 {
        left -= year_days(year);
        year += 1;
    }
    let mut month = 0;
    while month < 11 && left >= days_of(month, year) {
        left -= days_of(month, year);
        month += 1;
    }
    format!(
        "{}, {:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        WEEKDAYS[(days % 7) as usize],
        left + 1,
        MONTHS[month],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

fn number(text: &str, digits: usize) -> Result<u64, Why> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Why::Syntax);
    }
    text.parse().map_err(|_| Why::Syntax)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

fn year_days(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of(month: usize, year: u64) -> u64 {
    match month {
        1 if is_leap(year) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

fn days_since_epoch(year: u64, month: usize, day: u64) -> u64 {
    let years: u64 = (1970..year).map(year_days).sum();
    let months: u64 = (0..month).map(|month| days_of(month, year)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `date -u -d '...' +%s` of GNU coreutils.
    #[test]
    fn dates_agree_with_coreutils() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sat, 13 Nov 2010 23:29:00 GMT", 1_289_690_940),
            ("Thu, 29 Feb 2024 12:00:00 GMT", 1_709_208_000),
            ("Fri, 31 Dec 2100 23:59:59 GMT", 4_133_980_799),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
            assert_eq!(print(seconds), text);
        }
    }

    #[test]
    fn other_zones_and_impossible_days_are_refused() {
        assert_eq!(parse("Fri, 01 Jan 2010 16:00:00 EST"), Err(Why::Syntax));
        assert_eq!(parse("Fri, 1 Jan 2010 16:00:00 GMT"), Err(Why::Syntax));
        assert_eq!(parse("Mon, 29 Feb 2010 16:00:00 GMT"), Err(Why::Range));
        assert_eq!(parse(""), Err(Why::Syntax));
    }
}
