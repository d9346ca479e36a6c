//! DTLS-SRTP of a stream by its Local and Remote descriptors (RFC 5763, TS 23.334 5.20).
//!
//! It ends at the gateway where Local has an `a=fingerprint`, usually one to choose (`sha-256 $`).
//! Without, handshakes and media pass as they are.

use h248::error::ErrorCode;
use sdp::dtls::{Fingerprint, FingerprintFault, Setup};
use sdp::h248::Group;
use sdp::{Attribute, FINGERPRINTS_MAX, Lines};

use crate::error::{Result, about};
use crate::plane::{LegDtls, LegDtlsRole};

/// True when the first stream is RTP with the keys of DTLS, and tells of a certificate.
pub(crate) fn ends_here(group: &Group) -> bool {
    is_offered(group) && lines(group, FINGERPRINT).is_some()
}

/// The same, whether it tells of a certificate or not.
pub(crate) fn is_offered(group: &Group) -> bool {
    let media = group.media.first();
    media.is_some_and(|media| sdp::dtls::unprotected(&media.head.protocol).is_some())
}

/// The lines that have an attribute of the first stream: its own, else those of the description.
fn lines<'a>(group: &'a Group, name: &str) -> Option<&'a Lines> {
    let own = group.media.first().map(|media| &media.lines);
    own.into_iter()
        .chain([&group.lines])
        .find(|lines| lines.has(name))
}

/// Whether a Local description can be had by who shows this certificate.
///
/// # Errors
/// 501 where none is shown, 449 for another certificate or hash function, or no known `a=setup`.
pub(crate) fn check_local(group: &Group, own: Option<Fingerprint>) -> Result<()> {
    if !ends_here(group) {
        return Ok(());
    }
    let own = own.ok_or_else(|| about(ErrorCode::NOT_IMPLEMENTED, "a=fingerprint"))?;
    let values = lines(group, FINGERPRINT).into_iter();
    let mut values = values.flat_map(|lines| lines.values(FINGERPRINT));
    if !values.all(|value| is_choose(value, own) || value.parse() == Ok(own)) {
        return Err(about(ErrorCode::UNKNOWN_VALUE, "a=fingerprint"));
    }
    match setup_text(group) {
        Some(text) if text != CHOOSE && Setup::from_name(text).is_none() => {
            Err(about(ErrorCode::UNKNOWN_VALUE, "a=setup"))
        }
        _ => Ok(()),
    }
}

/// Whether a Remote description tells of a certificate that can be checked.
///
/// # Errors
/// 403 for fingerprints without sense, 449 for hash functions that are not provided.
pub(crate) fn check_remote(group: &Group) -> Result<()> {
    if !ends_here(group) || !fingerprints(group).is_empty() {
        return Ok(());
    }
    let values = lines(group, FINGERPRINT).into_iter();
    let mut values = values.flat_map(|lines| lines.values(FINGERPRINT));
    let is_unknown = |value: &str| value.parse::<Fingerprint>() == Err(FingerprintFault::Hash);
    Err(match values.any(is_unknown) {
        true => about(ErrorCode::UNKNOWN_VALUE, "a=fingerprint"),
        false => about(ErrorCode::INVALID_SDP, "a=fingerprint"),
    })
}

/// The certificates that a description tells of.
pub(crate) fn fingerprints(group: &Group) -> Vec<Fingerprint> {
    let lines = lines(group, FINGERPRINT).into_iter();
    let all = lines.flat_map(Lines::fingerprints);
    all.take(FINGERPRINTS_MAX).collect()
}

/// Puts the gateway's certificate, and who begins, in the place of wildcards; true when that
/// changes something.
pub(crate) fn fill_in(group: &mut Group, own: Fingerprint, remote: Option<&Group>) -> bool {
    if !ends_here(group) {
        return false;
    }
    let is_wild = lines(group, FINGERPRINT).is_some_and(|lines| {
        let mut values = lines.values(FINGERPRINT);
        values.any(|value| is_choose(value, own))
    });
    let is_setup_wild = setup_text(group) == Some(CHOOSE);
    if is_wild {
        replace(group, own.attribute());
    }
    if is_setup_wild {
        // Who may be behind a NAT begins, where it can.
        let setup = match remote.map(setup) {
            Some(Some(Setup::Passive)) => Setup::Active,
            Some(_) => Setup::Passive,
            None => Setup::ActPass,
        };
        replace(group, setup.attribute());
    }
    is_wild || is_setup_wild
}

fn replace(group: &mut Group, attribute: Attribute) {
    let media = group.media.first_mut().map(|media| &mut media.lines);
    match media.filter(|lines| lines.has(attribute.name())) {
        Some(lines) => lines.set_attribute(attribute),
        None => group.lines.set_attribute(attribute),
    }
}

/// What Local and Remote say together.
pub(crate) fn leg(local: &Group, remote: Option<&Group>) -> LegDtls {
    let far = remote.and_then(setup);
    let role = match (setup(local), far) {
        (Some(Setup::HoldConn), _) | (_, Some(Setup::HoldConn)) => LegDtlsRole::Hold,
        (Some(Setup::Active), _) | (Some(Setup::ActPass) | None, Some(Setup::Passive)) => {
            LegDtlsRole::Client
        }
        // Who offered either is ready for the other side to begin before its answer has come (RFC
        // 5763 5).
        _ => LegDtlsRole::Server,
    };
    let id = |group: &Group| {
        let id = lines(group, TLS_ID)?.attribute(TLS_ID)?;
        Some(id.into())
    };
    LegDtls {
        role,
        fingerprints: remote.map(fingerprints).unwrap_or_default(),
        ids: [id(local), remote.and_then(id)],
    }
}

fn setup_text(group: &Group) -> Option<&str> {
    lines(group, SETUP)?.attribute(SETUP).map(str::trim)
}

fn setup(group: &Group) -> Option<Setup> {
    setup_text(group).and_then(Setup::from_name)
}

/// `$`, or the name of the function and `$`.
fn is_choose(value: &str, own: Fingerprint) -> bool {
    let mut fields = value.split_ascii_whitespace();
    match (fields.next(), fields.next(), fields.next()) {
        (Some(CHOOSE), None, None) => true,
        (Some(name), Some(CHOOSE), None) => name.eq_ignore_ascii_case(own.hash().name()),
        _ => false,
    }
}

const CHOOSE: &str = "$";
const FINGERPRINT: &str = "fingerprint";
const SETUP: &str = "setup";
const TLS_ID: &str = "tls-id";

#[cfg(test)]
mod tests {
    use super::*;
    use sdp::dtls::HashFunction;
    use sdp::h248::Description;

    fn own() -> Fingerprint {
        Fingerprint::new(HashFunction::Sha256, &[0xAB; 32]).unwrap()
    }

    fn group(session: &str, media: &str) -> Group {
        let text = format!("v=0\nc=IN IP4 $\n{session}m=audio $ UDP/TLS/RTP/SAVPF 8\n{media}");
        let description = Description::parse(text.as_bytes()).unwrap();
        description.groups.into_iter().next().unwrap()
    }

    #[test]
    fn wildcards_become_the_certificate_and_the_role_of_the_gateway() {
        for wild in ["$", "sha-256 $", "SHA-256 $"] {
            let mut local = group("", &format!("a=fingerprint:{wild}\na=setup:$\n"));
            assert_eq!(check_local(&local, Some(own())), Ok(()));
            assert!(fill_in(&mut local, own(), None));
            assert_eq!(fingerprints(&local), [own()]);
            assert_eq!(setup(&local), Some(Setup::ActPass));
            assert!(!fill_in(&mut local, own(), None));
            // What was chosen can be said again.
            assert_eq!(check_local(&local, Some(own())), Ok(()));
        }
        for (far, near) in [
            ("a=setup:passive\n", Setup::Active),
            ("a=setup:actpass\n", Setup::Passive),
            ("a=setup:active\n", Setup::Passive),
            ("", Setup::Passive),
        ] {
            let mut local = group("a=fingerprint:sha-256 $\na=setup:$\n", "");
            let far = group("", far);
            assert!(fill_in(&mut local, own(), Some(&far)));
            assert_eq!(setup(&local), Some(near));
            assert_eq!(fingerprints(&local), [own()]);
        }
    }

    #[test]
    fn what_the_gateway_cannot_show_is_refused() {
        let other = Fingerprint::new(HashFunction::Sha256, &[1; 32]).unwrap();
        for odd in ["sha-384 $", "sha-256 * ", "x", &other.to_string()] {
            let local = group("", &format!("a=fingerprint:{odd}\n"));
            let refused = check_local(&local, Some(own())).unwrap_err();
            assert_eq!(refused.code, ErrorCode::UNKNOWN_VALUE, "{odd}");
        }
        let local = group("", "a=fingerprint:$\na=setup:maybe\n");
        assert!(check_local(&local, Some(own())).is_err());
        let local = group("", "a=fingerprint:$\n");
        let refused = check_local(&local, None).unwrap_err();
        assert_eq!(refused.code, ErrorCode::NOT_IMPLEMENTED);
        // What passes through needs no certificate.
        assert_eq!(check_local(&group("", ""), None), Ok(()));
    }

    #[test]
    fn a_remote_fingerprint_must_be_one_that_can_be_checked() {
        let remote = |value: &str| group("", &format!("a=fingerprint:{value}\n"));
        let code = |value: &str| check_remote(&remote(value)).map_err(|error| error.code);
        assert_eq!(code("sha-1 00:11"), Err(ErrorCode::UNKNOWN_VALUE));
        assert_eq!(code("sha-256 00:11"), Err(ErrorCode::INVALID_SDP));
        assert_eq!(code(&own().to_string()), Ok(()));
        assert_eq!(fingerprints(&remote(&own().to_string())), [own()]);
    }

    #[test]
    fn who_begins_follows_from_both_descriptions() {
        use LegDtlsRole::{Client, Hold, Server};
        let of = |text: &str| match text {
            "" => group("", ""),
            _ => group("", &format!("a=setup:{text}\n")),
        };
        for (near, far, role) in [
            ("actpass", None, Server),
            ("actpass", Some("active"), Server),
            ("actpass", Some("passive"), Client),
            ("active", None, Client),
            ("active", Some("actpass"), Client),
            ("passive", Some("actpass"), Server),
            ("", Some("passive"), Client),
            ("", Some("active"), Server),
            ("passive", Some("holdconn"), Hold),
            ("holdconn", None, Hold),
        ] {
            let remote = far.map(of);
            assert_eq!(leg(&of(near), remote.as_ref()).role, role, "{near} {far:?}");
        }
        let (near, far) = (group("", "a=tls-id:abc\n"), group("", ""));
        assert_eq!(leg(&near, Some(&far)).ids, [Some("abc".into()), None]);
    }
}
