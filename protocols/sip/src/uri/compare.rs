//! Equivalence of URIs, and the canonical form of public identities.

use super::{Host, Scheme, Uri, is_visual};
use crate::scan::{hex_pair, is_unreserved};
use std::fmt::Write;

/// Parameters that must be on both sides or on neither (RFC 3261 19.1.4; for `transport` its
/// examples say so).
const PARAMS_BOTH: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

pub(super) fn equivalent(a: Uri<'_>, b: Uri<'_>) -> bool {
    if a.as_str() == b.as_str() {
        return true;
    }
    if a.scheme() != b.scheme() {
        return false;
    }
    match a.scheme() {
        Scheme::Sip | Scheme::Sips => sip(a, b),
        Scheme::Tel => tel(a, b),
        Scheme::Urn => canonical(a) == canonical(b),
        Scheme::Other => {
            a.scheme_str().eq_ignore_ascii_case(b.scheme_str()) && a.opaque() == b.opaque()
        }
    }
}

fn sip(a: Uri<'_>, b: Uri<'_>) -> bool {
    let user = a.user().map(normal) == b.user().map(normal)
        && a.password().map(normal) == b.password().map(normal);
    let host = match (a.host(), b.host()) {
        (Some(Host::Name(a)), Some(Host::Name(b))) => a.eq_ignore_ascii_case(b),
        (a, b) => a == b,
    };
    user && host && a.port() == b.port() && sip_params(a, b) && headers(a, b)
}

fn sip_params(a: Uri<'_>, b: Uri<'_>) -> bool {
    let agrees = |(name, value): (&str, &str), other: Uri<'_>| {
        let name = normal(name);
        let there = other
            .params()
            .find(|(key, _)| normal(key).eq_ignore_ascii_case(&name));
        match there {
            Some((_, there)) => normal(value).eq_ignore_ascii_case(&normal(there)),
            None => !PARAMS_BOTH
                .iter()
                .any(|both| name.eq_ignore_ascii_case(both)),
        }
    };
    a.params().all(|param| agrees(param, b)) && b.params().all(|param| agrees(param, a))
}

/// Headers are never ignored; their order does not matter.
fn headers(a: Uri<'_>, b: Uri<'_>) -> bool {
    let sorted = |uri: Uri<'_>| {
        let mut all: Vec<_> = uri
            .headers()
            .map(|(name, value)| (normal(name).to_ascii_lowercase(), normal(value)))
            .collect();
        all.sort();
        all
    };
    if a.headers_str().is_empty() && b.headers_str().is_empty() {
        return true;
    }
    sorted(a) == sorted(b)
}

/// RFC 3966 4: digits without separators, parameters in any order, all without case.
fn tel(a: Uri<'_>, b: Uri<'_>) -> bool {
    let params = |uri: Uri<'_>| {
        let mut all: Vec<_> = uri
            .params()
            .map(|(name, value)| {
                let name = normal(name).to_ascii_lowercase();
                let is_number =
                    name == "ext" || (name == "phone-context" && value.starts_with('+'));
                let value = normal(value).to_ascii_lowercase();
                (name, if is_number { digits(&value) } else { value })
            })
            .collect();
        all.sort();
        all
    };
    let number = |uri: Uri<'_>| uri.number().map(digits);
    number(a) == number(b) && params(a) == params(b)
}

fn digits(number: &str) -> String {
    number
        .bytes()
        .filter(|&byte| !is_visual(byte))
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect()
}

/// Escapes of unreserved octets removed, the others in upper case: equal exactly when the texts are
/// equivalent.
fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        at += c.len_utf8();
        if c != '%' {
            out.push(c);
            continue;
        }
        match hex_pair(&text.as_bytes()[at..]) {
            Some(byte) if is_unreserved(byte) => out.push(char::from(byte)),
            Some(byte) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
            None => {
                out.push('%');
                continue;
            }
        }
        at += 2;
    }
    out
}

pub(super) fn canonical(uri: Uri<'_>) -> String {
    let scheme = uri.scheme_str().to_ascii_lowercase();
    match uri.scheme() {
        Scheme::Sip | Scheme::Sips => {
            let host = match uri.host() {
                Some(Host::Name(name)) => {
                    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
                }
                Some(host) => host.to_string(),
                None => String::new(),
            };
            let user = uri.user().map(normal);
            let mut text = scheme;
            text.reserve(2 + user.as_ref().map_or(0, String::len) + host.len());
            text.push(':');
            if let Some(user) = user {
                text.push_str(&user);
                text.push('@');
            }
            text.push_str(&host);
            text
        }
        Scheme::Tel => {
            let number = digits(uri.number().unwrap_or_default());
            match uri.phone_context() {
                Some(context) if !uri.is_global_number() => {
                    let context = match context.starts_with('+') {
                        true => digits(context),
                        false => context.to_ascii_lowercase(),
                    };
                    format!("tel:{number};phone-context={context}")
                }
                _ => format!("tel:{number}"),
            }
        }
        Scheme::Urn => match uri.urn() {
            // A service URN is case-insensitive throughout (RFC 5031 3.2); other strings keep their
            // case.
            Some((nid, nss)) if nid.eq_ignore_ascii_case("service") => {
                format!("urn:service:{}", nss.to_ascii_lowercase())
            }
            Some((nid, nss)) => format!("urn:{}:{nss}", nid.to_ascii_lowercase()),
            None => uri.as_str().to_owned(),
        },
        Scheme::Other => format!("{scheme}:{}", uri.opaque()),
    }
}
