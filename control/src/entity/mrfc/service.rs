//! Which service a Request-URI names: netann (RFC 4240), MSML (RFC 5707 16), and conferences
//! (RFC 4579, TS 24.147).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sip::Uri;

use crate::mgc::TaskSignal;

/// Times that an announcement may be repeated.
const REPEAT_MAX: u32 = 10_000;
/// Variables of an announcement (`param1` to `param9`).
const VARIABLES_MAX: usize = 9;

/// What a caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// To hear an announcement (RFC 4240 3).
    Announcement(Announcement),
    /// To be in the mix of this name (RFC 4240 5).
    Mix(String),
    /// To be told by MSML what is to happen.
    Msml,
    /// A conference of its own (RFC 4579 5.4).
    Factory,
    /// To be in this conference.
    Focus(String),
}

/// An announcement, as the parameters of its URI have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// What is played: a URL, or the number of one that is fixed in the MRFP.
    pub play: String,
    /// Before the call is answered.
    pub early: bool,
    /// How often; without end if `None`.
    pub repeat: Option<u32>,
    /// Between two times.
    pub delay: Duration,
    /// It ends after this in any case.
    pub duration: Option<Duration>,
    /// Language.
    pub locale: String,
    /// Values to be put into it.
    pub variables: Vec<String>,
    /// What the call then ends with, where it was not answered (RFC 4458 `cause`).
    pub cause: u16,
}

/// Why there is no such service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status.
    pub status: u16,
    /// Its reason.
    pub reason: &'static str,
}

const fn refuse<T>(status: u16, reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, reason })
}

/// The service that a Request-URI names. `factory` is the user part of the factory's URI, `token`
/// what follows our name where the URI is one of ours.
///
/// # Errors
/// 400, 404 or 488 (RFC 4240 2).
pub fn named(uri: Uri<'_>, factory: &str, token: Option<&str>) -> Result<Service, Refusal> {
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        return Ok(Service::Focus(token.to_owned()));
    }
    let user = uri.user().map(sip::uri::unescape).unwrap_or_default();
    if let Some(mix) = user.strip_prefix("conf=") {
        return match mix.is_empty() {
            true => refuse(404, "No conference named"),
            false => Ok(Service::Mix(mix.to_owned())),
        };
    }
    match &*user {
        "annc" => announcement(uri).map(Service::Announcement),
        "msml" | "mrb" => Ok(Service::Msml),
        "dialog" | "ivr" if uri.has_param("voicexml") => refuse(488, "No VoiceXML here"),
        "dialog" | "ivr" => Ok(Service::Msml),
        user if user == factory => Ok(Service::Factory),
        user if user.starts_with("msml=") => Ok(Service::Msml),
        _ => refuse(404, "No such service"),
    }
}

/// RFC 4240 3.1.
fn announcement(uri: Uri<'_>) -> Result<Announcement, Refusal> {
    let value = |name: &str| {
        uri.param(name)
            .map(|value| sip::uri::unescape(value).into_owned())
    };
    let Some(play) = value("play").filter(|play| !play.is_empty()) else {
        return refuse(400, "No play parameter");
    };
    let number = |name: &str| match value(name).map(|value| value.parse::<u32>()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => refuse(400, "Bad number in the announcement"),
    };
    let repeat = match value("repeat").as_deref() {
        Some("forever") => None,
        _ => Some(number("repeat")?.unwrap_or(1).clamp(1, REPEAT_MAX)),
    };
    let millis = |number: u32| Duration::from_millis(number.into());
    let duration = match value("duration").as_deref() {
        Some("infinite") => None,
        _ => number("duration")?.map(millis),
    };
    let early = match value("early").as_deref() {
        None | Some("no") => false,
        Some("yes") => true,
        Some(_) => return refuse(400, "Bad early parameter"),
    };
    let variables = (1..=VARIABLES_MAX).map_while(|index| value(&format!("param{index}")));
    let cause = number("cause")?.and_then(|cause| u16::try_from(cause).ok());
    Ok(Announcement {
        play,
        early,
        repeat,
        delay: number("delay")?.map_or(Duration::ZERO, millis),
        duration,
        locale: value("locale").unwrap_or_default(),
        variables: variables.collect(),
        cause: cause
            .filter(|cause| (400..700).contains(cause))
            .unwrap_or(487),
    })
}

impl Announcement {
    /// What the gateway is to play.
    pub fn signal(&self) -> TaskSignal {
        if let Ok(number) = self.play.parse() {
            return TaskSignal::Fixed {
                number,
                cycles: self.repeat,
                variant: self.locale.clone(),
            };
        }
        TaskSignal::Audio {
            announcement: super::prompt::announcement(&self.parts(), &self.locale),
            iterations: self.repeat,
            interval: self.delay,
            offset: Duration::ZERO,
            volume_db: 0,
            to_all: false,
        }
    }

    /// What is played, and behind it the values (RFC 4240 3.1 leaves their form open): of a type,
    /// as in `date;ymd;20261121`, or digits.
    fn parts(&self) -> Vec<String> {
        let value = |text: &String| {
            let mut fields = text.splitn(3, ';');
            match (fields.next(), fields.next(), fields.next()) {
                (Some(kind), Some(subtype), Some(value)) => {
                    super::prompt::variable(kind, subtype, value)
                }
                _ => super::prompt::variable("digits", "gen", text),
            }
        };
        let values = self.variables.iter().map(value);
        [self.play.clone()].into_iter().chain(values).collect()
    }
}

/// A value as a URI parameter may have it (RFC 3261 25.1 `paramchar`).
pub fn escape_parameter(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for octet in value.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(char::from(octet)),
            octet if b"-_.!~*'()[]/:&+$".contains(&octet) => escaped.push(char::from(octet)),
            octet => escaped.push_str(&format!("%{octet:02x}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> Result<Service, u16> {
        let uri = Uri::parse(uri).unwrap();
        named(uri, "conference", None).map_err(|refusal| refusal.status)
    }

    fn annc(parameters: &str) -> Announcement {
        match of(&format!("sip:annc@ms.test;{parameters}")) {
            Ok(Service::Announcement(announcement)) => announcement,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn services_are_told_by_their_user_parts() {
        assert_eq!(of("sip:conf=a%20b@ms.test"), Ok(Service::Mix("a b".into())));
        assert_eq!(of("sip:conf=@ms.test"), Err(404));
        assert_eq!(of("sip:msml@ms.test"), Ok(Service::Msml));
        assert_eq!(of("sip:mrb@ms.test"), Ok(Service::Msml));
        assert_eq!(of("sip:dialog@ms.test"), Ok(Service::Msml));
        let voicexml = "sip:dialog@ms.test;voicexml=http://a.test/x.vxml";
        assert_eq!(of(voicexml), Err(488));
        assert_eq!(of("sip:conference@ms.test"), Ok(Service::Factory));
        assert_eq!(of("sip:alice@ms.test"), Err(404));
        assert_eq!(of("sip:ms.test"), Err(404));
    }

    #[test]
    fn an_announcement_has_all_parameters_of_rfc_4240() {
        let heard = annc(
            "play=file:///prompts/a%3bb.wav;early=yes;repeat=3;delay=500;duration=9000;locale=de;\
             param1=date%3b20261121;param2=x;cause=404",
        );
        assert_eq!(heard.play, "file:///prompts/a;b.wav");
        assert!(heard.early);
        assert_eq!((heard.repeat, heard.cause), (Some(3), 404));
        assert_eq!(heard.delay, Duration::from_millis(500));
        assert_eq!(heard.duration, Some(Duration::from_secs(9)));
        assert_eq!(heard.locale, "de");
        assert_eq!(heard.variables, ["date;20261121", "x"]);
    }

    #[test]
    fn an_announcement_by_itself_is_played_once_after_the_answer() {
        let heard = annc("play=http://a.test/b.wav");
        assert_eq!(
            (heard.early, heard.repeat, heard.cause),
            (false, Some(1), 487)
        );
        assert_eq!((heard.delay, heard.duration), (Duration::ZERO, None));
        assert_eq!(annc("play=1;repeat=forever").repeat, None);
        assert_eq!(annc("play=1;repeat=0").repeat, Some(1));
    }

    #[test]
    fn a_value_is_escaped_for_its_place() {
        let url = "http://a.test/b?c=d;e@f \"g";
        let escaped = escape_parameter(url);
        assert_eq!(escaped, "http://a.test/b%3fc%3dd%3be%40f%20%22g");
        assert_eq!(annc(&format!("play={escaped}")).play, url);
    }

    #[test]
    fn bad_parameters_are_400() {
        for parameters in [
            "early=yes",
            "play=1;repeat=often",
            "play=1;delay=-1",
            "play=1;early=maybe",
            "play=1;duration=9999999999",
        ] {
            assert_eq!(
                of(&format!("sip:annc@ms.test;{parameters}")),
                Err(400),
                "{parameters}"
            );
        }
    }
}
