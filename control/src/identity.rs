//! Identities in messages: which user a request is from or for, as the HSS knows it.

use sip::{HeaderName, Message, Scheme, Uri};

/// The public identity that a URI stands for (TS 23.003 13.4, TS 24.229 5.3.2.1): canonical, and a
/// `sip` URI of a global number with `user=phone` as `tel`.
pub fn public_identity(uri: Uri<'_>) -> String {
    if uri.scheme() == Scheme::Sip
        && uri
            .param("user")
            .is_some_and(|user| user.eq_ignore_ascii_case("phone"))
        && let Some(user) = uri.user()
        && user.starts_with('+')
    {
        let number = user.split(';').next().unwrap_or(user);
        let tel = format!("tel:{number}");
        if let Some(tel) = Uri::parse(&tel) {
            return tel.canonical();
        }
    }
    uri.canonical()
}

/// The public identity in To: the one that a REGISTER registers.
pub fn registered_identity(register: &Message) -> Option<String> {
    register.to().ok().map(|to| public_identity(to.uri))
}

/// The private identity of a REGISTER: the user name of its credentials, else what the public
/// identity gives without its scheme (TS 24.229 5.3.1.2, TS 23.003 13.3).
pub fn private_identity(register: &Message) -> Option<String> {
    let named = register
        .auth(HeaderName::Authorization)
        .filter_map(Result::ok)
        .filter(|params| params.is_digest())
        .find_map(|params| params.get("username").map(|name| name.into_owned()));
    if let Some(name) = named.filter(|name| !name.is_empty()) {
        return Some(name);
    }
    let public = registered_identity(register)?;
    public.split_once(':').map(|(_, rest)| rest.to_owned())
}

/// How long the UE wants one contact, or all: the contact's `expires`, else Expires (RFC 3261
/// 10.2.1.1).
pub fn is_deregistration(register: &Message) -> bool {
    let overall = register.expires().ok().flatten();
    let mut contacts = 0;
    let mut ending = 0;
    for contact in register.contacts().filter_map(Result::ok) {
        contacts += 1;
        let own = contact.addr().and_then(|address| address.expires());
        if own.or(overall) == Some(0) {
            ending += 1;
        }
    }
    contacts > 0 && contacts == ending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_number_in_a_sip_uri_is_the_tel_identity() {
        let uri = Uri::parse("sip:+1-234;phone-context=x@IMS.test;user=phone").expect("valid");
        assert_eq!(public_identity(uri), "tel:+1234");
        let uri = Uri::parse("sip:Alice@IMS.TEST:5060;transport=tcp").expect("valid");
        assert_eq!(public_identity(uri), "sip:Alice@ims.test");
    }
}
