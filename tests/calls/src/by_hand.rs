//! A user whose messages the test writes itself.

use std::net::SocketAddr;

use base::Entropy;
use sip::digest::{Challenge, Client, Request, Secret};
use sip::{Draft, HeaderName, Message, Method};

use crate::world::password;
use crate::{REALM, World, identity};

/// A user with a password, at a port of a telephone: its own, where the user agent listens too, or
/// [`BY_HAND`](crate::BY_HAND).
pub struct ByHand {
    phone: usize,
    user: usize,
    address: SocketAddr,
    /// Call-ID of the next request.
    pub call_id: String,
    /// Number of the next request.
    pub cseq: u32,
    branches: u32,
    entropy: Entropy,
    client: Option<Client>,
}

impl ByHand {
    /// User `user` at a port of telephone `phone`.
    pub fn new(world: &World, phone: usize, port: u16, user: usize) -> Self {
        let own = world.phone(phone).phone().agent().config().local;
        Self {
            phone,
            user,
            address: SocketAddr::new(own.ip(), port),
            call_id: format!("by-hand-{user}"),
            cseq: 1,
            branches: 0,
            entropy: Entropy::from_u64(user as u64),
            client: None,
        }
    }

    /// Its contact address.
    pub fn contact(&self) -> String {
        format!("<sip:byhand{}@{}>", self.user, self.address)
    }

    /// A request outside of any dialog; its CSeq is one more each time.
    pub fn request(&mut self, method: &Method, uri: &str) -> Draft {
        self.branches += 1;
        let own = format!("<sip:{}>", identity(self.user));
        let via = format!(
            "SIP/2.0/UDP {0};branch=z9hG4bK-hand-{1}-{2}-{3};rport",
            self.address,
            self.user,
            self.address.port(),
            self.branches
        );
        let to = match method {
            Method::Register => own.clone(),
            _ => format!("<{uri}>"),
        };
        let mut draft = Draft::request(method, uri);
        draft
            .append(HeaderName::Via, &via)
            .append(HeaderName::MaxForwards, "70")
            .append(HeaderName::From, &format!("{own};tag=hand{}", self.user))
            .append(HeaderName::To, &to)
            .append(HeaderName::CallId, &self.call_id)
            .append(HeaderName::CSeq, &format!("{} {method}", self.cseq));
        self.cseq += 1;
        draft
    }

    /// REGISTER with these Contact values, and the credentials for the challenge answered last if
    /// there is one.
    pub fn register(&mut self, contacts: &[&str], expires: u32) -> Draft {
        let uri = format!("sip:{REALM}");
        let mut draft = self.request(&Method::Register, &uri);
        for contact in contacts {
            draft.append(HeaderName::Contact, contact);
        }
        draft.append(HeaderName::Expires, &expires.to_string());
        if let Some(credentials) = self.credentials() {
            draft.append(HeaderName::Authorization, &credentials);
        }
        draft
    }

    /// Sends a request and waits for its final response.
    pub fn ask(&self, world: &mut World, draft: &mut Draft) -> Message {
        let request = draft.finish().expect("a request that can be written");
        world.ask_by_hand(self.phone, &request)
    }

    /// Registers these contacts, answering the challenge if there is one; returns the last
    /// response.
    pub fn register_with(&mut self, world: &mut World, contacts: &[&str], expires: u32) -> Message {
        let mut draft = self.register(contacts, expires);
        let response = self.ask(world, &mut draft);
        if response.status() != Some(401) {
            return response;
        }
        self.take_challenge(&response);
        let mut draft = self.register(contacts, expires);
        self.ask(world, &mut draft)
    }

    /// Will answer the challenge of this response.
    pub fn take_challenge(&mut self, response: &Message) {
        let value = response.header(HeaderName::WwwAuthenticate);
        let challenge = Challenge::parse(value.expect("a challenge").as_bytes());
        let challenge = challenge.expect("a challenge that can be read");
        self.client = Some(Client::new(&identity(self.user), challenge));
    }

    /// Forgets the challenge it was answering.
    pub fn forget_challenge(&mut self) {
        self.client = None;
    }

    /// Authorization for one more REGISTER under the challenge taken last.
    pub fn credentials(&mut self) -> Option<String> {
        let password = password(self.user);
        let uri = format!("sip:{REALM}");
        let request = Request {
            method: "REGISTER",
            uri: &uri,
            body: b"",
        };
        let secret = Secret::Password(password.as_bytes());
        let credentials = self
            .client
            .as_mut()?
            .answer(secret, request, &mut self.entropy);
        Some(credentials.to_string())
    }
}
