//! From what H.248 says is announced to what is played.

use std::time::Duration;

use audio::{Error, GAIN_MAX, GAIN_MIN, Item, PlayOptions, PlayRequest, Repeat};
use h248::error::ErrorCode;
use mg::{Announced, Announcement};

/// Parts of one announcement.
const ITEMS_MAX: usize = 64;

/// What the file server is to load, for samples at `rate`.
///
/// Announcements are files of the folder of prompts: `7.wav`, or `de/7.wav` for a variant. In
/// announcement syntax (H.248.9 6) parts are separated by commas and may stand in angle brackets: a
/// number, a URI, or `silence:` with milliseconds.
///
/// # Errors
/// An error code of H.248.8.
pub(crate) fn request(announcement: &Announcement, rate: u32) -> Result<PlayRequest, u16> {
    let items = match &announcement.what {
        Announced::Fixed { number, variant } => vec![numbered(*number, variant)],
        // A number in an announcement is spoken by its digits.
        Announced::Variable {
            number,
            variant,
            value,
            ..
        } => {
            let mut items = vec![numbered(*number, variant)];
            let digits = value.to_string();
            items.extend(digits.bytes().map(|digit| digit_of(digit, variant)));
            items
        }
        Announced::Syntax(syntax) => parse(syntax)?,
    };
    let gain = announcement.volume_db.saturating_mul(10);
    let gain = gain.clamp(i32::from(GAIN_MIN), i32::from(GAIN_MAX));
    Ok(PlayRequest {
        items,
        language: None,
        rate,
        options: PlayOptions {
            repeat: match announcement.cycles {
                Some(count) => Repeat::Times(count),
                None => Repeat::Forever,
            },
            interval: announcement.interval,
            duration_max: None,
            offset: announcement.offset,
            gain: gain as i16,
        },
    })
}

fn parse(syntax: &str) -> Result<Vec<Item>, u16> {
    let mut items = Vec::new();
    for part in syntax.split(',') {
        if items.len() >= ITEMS_MAX {
            return Err(ErrorCode::ANNOUNCEMENT_SYNTAX.0);
        }
        let part = part.trim();
        let bare = part
            .strip_prefix('<')
            .and_then(|part| part.strip_suffix('>'));
        items.push(item(bare.unwrap_or(part))?);
    }
    Ok(items)
}

fn item(part: &str) -> Result<Item, u16> {
    if let Ok(number) = part.parse() {
        return Ok(numbered(number, ""));
    }
    if let Some(ms) = part.strip_prefix("silence:") {
        let ms: u32 = ms.parse().map_err(|_| ErrorCode::ANNOUNCEMENT_SYNTAX.0)?;
        return Ok(Item::Silence(Duration::from_millis(ms.into())));
    }
    Item::from_uri(part).map_err(|_| ErrorCode::ANNOUNCEMENT_SYNTAX.0)
}

fn numbered(number: u32, variant: &str) -> Item {
    Item::File(match is_plain(variant) {
        true => format!("{variant}/{number}.wav"),
        false => format!("{number}.wav"),
    })
}

fn digit_of(digit: u8, variant: &str) -> Item {
    let digit = char::from(digit);
    Item::File(match is_plain(variant) {
        true => format!("{variant}/digits/{digit}.wav"),
        false => format!("digits/{digit}.wav"),
    })
}

/// A variant that names a folder: a language tag.
fn is_plain(variant: &str) -> bool {
    let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
    !variant.is_empty() && variant.bytes().all(is_letter)
}

/// The error code of H.248.8 for what the file server refuses.
pub(crate) fn error_code(error: &Error) -> u16 {
    let code = match error {
        Error::NotFound(_) => ErrorCode::UNKNOWN_SEGMENT,
        Error::Io(kind) if *kind == std::io::ErrorKind::NotFound => ErrorCode::UNKNOWN_SEGMENT,
        Error::Value(_) => ErrorCode::VARIABLE_OUT_OF_RANGE,
        Error::Misuse(_) => ErrorCode::ANNOUNCEMENT_SYNTAX,
        Error::Busy | Error::Limit(_) => ErrorCode::INSUFFICIENT_RESOURCES,
        _ => ErrorCode::PROVISIONING_ERROR,
    };
    code.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(what: Announced) -> Announcement {
        Announcement {
            what,
            cycles: Some(2),
            interval: Duration::from_millis(500),
            offset: Duration::ZERO,
            volume_db: -6,
        }
    }

    fn items(what: Announced) -> Result<Vec<Item>, u16> {
        request(&announcement(what), 8000).map(|request| request.items)
    }

    fn file(path: &str) -> Item {
        Item::File(path.into())
    }

    #[test]
    fn numbers_are_files_of_a_variant() {
        let fixed = |variant: &str| Announced::Fixed {
            number: 7,
            variant: variant.into(),
        };
        assert_eq!(items(fixed("")), Ok(vec![file("7.wav")]));
        assert_eq!(items(fixed("de-AT")), Ok(vec![file("de-AT/7.wav")]));
        // No variant leads elsewhere.
        assert_eq!(items(fixed("../x")), Ok(vec![file("7.wav")]));
        let variable = Announced::Variable {
            number: 8,
            variant: "en".into(),
            value: 40,
            interpretation: 0,
            specific: String::new(),
        };
        let expected = ["en/8.wav", "en/digits/4.wav", "en/digits/0.wav"].map(file);
        assert_eq!(items(variable), Ok(expected.into()));
    }

    #[test]
    fn syntax_has_numbers_uris_and_silence() {
        let of = |syntax: &str| items(Announced::Syntax(syntax.into()));
        let expected = vec![
            file("menu/main.wav"),
            file("3.wav"),
            Item::Silence(Duration::from_millis(250)),
        ];
        assert_eq!(of("<file:menu/main.wav>, 3,silence:250"), Ok(expected));
        for wrong in ["", "a b", "file:../../etc/passwd", "ftp://x/y", "silence:x"] {
            assert_eq!(of(wrong), Err(600), "{wrong:?}");
        }
        assert_eq!(of(&vec!["1"; ITEMS_MAX + 1].join(",")), Err(600));
    }

    #[test]
    fn options_are_passed_on() {
        let request = request(&announcement(Announced::Syntax("1".into())), 16_000).unwrap();
        assert_eq!((request.rate, request.options.gain), (16_000, -60));
        assert_eq!(request.options.repeat, Repeat::Times(2));
    }
}
