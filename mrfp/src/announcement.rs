//! From what H.248 says is announced to what is played.

use std::time::Duration;

use audio::{
    AnnouncementId, Error, GAIN_MAX, GAIN_MIN, Item, PlayOptions, PlayRequest, Repeat, Variable,
};
use h248::error::ErrorCode;
use mg::{Announced, Announcement};

/// Parts of one announcement.
const ITEMS_MAX: usize = 64;

/// What the file server is to load, for samples at `rate`.
///
/// In announcement syntax (H.248.9 6) parts are separated by commas and may stand in angle
/// brackets, with commas in them as `%2c`: the number of an announcement, a URI
/// ([`Item::from_uri`]), `silence:` with milliseconds, or a value to be said as one of its type,
/// `var:TYPE;SUBTYPE;VALUE;LANGUAGE` of which the language may be left out. Values that follow an
/// announcement are the variables in it.
///
/// # Errors
/// An error code of H.248.8.
pub(crate) fn request(announcement: &Announcement, rate: u32) -> Result<PlayRequest, u16> {
    let mut language = None;
    let items = match &announcement.what {
        Announced::Fixed { number, variant } => {
            language = tag(variant);
            vec![numbered(*number, Vec::new())]
        }
        Announced::Variable {
            number,
            variant,
            value,
            ..
        } => {
            language = tag(variant);
            let number_in_it = Variable::Number {
                value: i64::from(*value),
                is_ordinal: false,
            };
            vec![numbered(*number, vec![number_in_it])]
        }
        Announced::Syntax(syntax) => parse(syntax, &mut language)?,
    };
    let gain = announcement.volume_db.saturating_mul(10);
    let gain = gain.clamp(i32::from(GAIN_MIN), i32::from(GAIN_MAX));
    Ok(PlayRequest {
        items,
        language,
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

fn parse(syntax: &str, language: &mut Option<String>) -> Result<Vec<Item>, u16> {
    let mut items = Vec::new();
    for part in syntax.split(',') {
        if items.len() >= ITEMS_MAX {
            return Err(ErrorCode::ANNOUNCEMENT_SYNTAX.0);
        }
        let part = part.trim();
        let bare = part
            .strip_prefix('<')
            .and_then(|part| part.strip_suffix('>'));
        let part = bare.unwrap_or(part).replace("%2c", ",").replace("%2C", ",");
        let Some(value) = part.strip_prefix("var:") else {
            items.push(item(&part)?);
            continue;
        };
        let variable = variable(value, language)?;
        match items.last_mut() {
            Some(Item::Announcement(_, variables)) => variables.push(variable),
            _ => items.push(Item::Variable(variable)),
        }
    }
    Ok(items)
}

fn variable(text: &str, language: &mut Option<String>) -> Result<Variable, u16> {
    let mut fields = text.split(';');
    let mut next = || fields.next().unwrap_or_default();
    let (kind, subtype, value) = (next(), next(), next());
    *language = tag(next()).or(language.take());
    Variable::parse(kind, subtype, value).map_err(|error| match error {
        Error::Unsupported(_) => ErrorCode::VARIABLE_TYPE_NOT_SUPPORTED.0,
        _ => ErrorCode::VARIABLE_OUT_OF_RANGE.0,
    })
}

fn item(part: &str) -> Result<Item, u16> {
    if let Ok(number) = part.parse() {
        return Ok(numbered(number, Vec::new()));
    }
    if let Some(ms) = part.strip_prefix("silence:") {
        let ms: u32 = ms.parse().map_err(|_| ErrorCode::ANNOUNCEMENT_SYNTAX.0)?;
        return Ok(Item::Silence(Duration::from_millis(ms.into())));
    }
    Item::from_uri(part).map_err(|_| ErrorCode::ANNOUNCEMENT_SYNTAX.0)
}

fn numbered(number: u32, variables: Vec<Variable>) -> Item {
    Item::Announcement(AnnouncementId::Number(number), variables)
}

/// A language; `None` for an empty one.
fn tag(language: &str) -> Option<String> {
    (!language.is_empty()).then(|| language.to_owned())
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

    fn said(what: Announced) -> Result<(Vec<Item>, Option<String>), u16> {
        request(&announcement(what), 8000).map(|request| (request.items, request.language))
    }

    #[test]
    fn numbers_are_announcements_of_the_manifest() {
        let what = Announced::Fixed {
            number: 7,
            variant: "de".into(),
        };
        let expected = (vec![numbered(7, Vec::new())], Some("de".into()));
        assert_eq!(said(what), Ok(expected));
        let what = Announced::Variable {
            number: 11,
            variant: String::new(),
            value: 40,
            interpretation: 0,
            specific: String::new(),
        };
        let forty = Variable::Number {
            value: 40,
            is_ordinal: false,
        };
        assert_eq!(said(what), Ok((vec![numbered(11, vec![forty])], None)));
    }

    #[test]
    fn syntax_has_numbers_uris_silence_and_values() {
        let of = |syntax: &str| said(Announced::Syntax(syntax.into()));
        let expected = vec![
            Item::File("menu/a,b.wav".into()),
            numbered(3, Vec::new()),
            Item::Silence(Duration::from_millis(250)),
        ];
        let syntax = "<file:menu/a%2cb.wav>, 3,silence:250";
        assert_eq!(of(syntax), Ok((expected, None)));
        let digits = Variable::Digits {
            digits: "40".into(),
            is_grouped: false,
        };
        let alone = (vec![Item::Variable(digits.clone())], Some("de".into()));
        assert_eq!(of("<var:digits;gen;40;de>"), Ok(alone));
        let within = (vec![numbered(3, vec![digits])], None);
        assert_eq!(of("<3>,<var:digits;gen;40>"), Ok(within));
        for (wrong, code) in [
            ("", 600),
            ("a b", 600),
            ("file:../../etc/passwd", 600),
            ("ftp://x/y", 600),
            ("silence:x", 600),
            ("var:smell;;rose", 601),
            ("var:month;;13", 602),
        ] {
            assert_eq!(of(wrong), Err(code), "{wrong:?}");
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
