//! The S-CSCF with a test in the place of its HSS, its P-CSCF and everybody else.

mod reg_event;
mod register;
mod restart;
mod restoration;
mod session;

use base::Entropy;
use diameter::cx::user_data::{PublicIdentity, ServiceProfile};
use diameter::cx::{
    Answer, AuthScheme, Maa, Request, Saa, Sar, ServerAssignmentType, SipDigestAuthenticate,
};
use sip::digest::{Algorithm, Challenge, Client, Secret};
use sip::{Draft, HeaderName};

use super::*;
use crate::entity::testkit::{Kit, request};

/// The P-CSCF by which UEs register.
const PCSCF: &str = "192.0.2.5:5060";
/// Its entry in Path.
const PATH: &str = "<sip:pcscf.r1@192.0.2.5:5060;lr>";
/// Anybody else in the network.
const OTHER: &str = "192.0.2.6:5060";

/// Alice's identities, the last one barred.
const ALICE: [&str; 3] = [
    "sip:alice@ims.test",
    "tel:+15550100",
    "sip:temporary@ims.test",
];

fn kit() -> Kit<Scscf> {
    Kit::new(|_, stack| Scscf::new(stack.addresses().uri(Role::Scscf, "", 0)))
}

/// An S-CSCF at which Alice is registered from one UE.
fn registered() -> (Kit<Scscf>, Ue) {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    ue.register(&mut kit, 3600);
    (kit, ue)
}

/// A UE as the S-CSCF knows it: behind the P-CSCF, with SIP Digest.
struct Ue {
    impi: String,
    impu: String,
    contact: String,
    /// Parameters of its Contact.
    params: &'static str,
    path: &'static str,
    call_id: String,
    cseq: u32,
    client: Option<Client>,
    entropy: Entropy,
}

impl Ue {
    fn new(user: &str, at: &str) -> Self {
        Self {
            impi: format!("{user}@ims.test"),
            impu: format!("sip:{user}@ims.test"),
            contact: format!("sip:{user}@{at}"),
            params: "",
            path: PATH,
            call_id: format!("register-{at}"),
            cseq: 0,
            client: None,
            entropy: Entropy::from_u64(3),
        }
    }

    /// The next REGISTER, with credentials once it was challenged.
    fn draft(&mut self, expires: u32) -> Draft {
        self.cseq += 1;
        let mut draft = request(&Method::Register, "sip:ims.test");
        let contact = format!("<{}>{};expires={expires}", self.contact, self.params);
        draft
            .replace(HeaderName::From, &format!("<{}>;tag=ue", self.impu))
            .replace(HeaderName::To, &format!("<{}>", self.impu))
            .replace(HeaderName::CallId, &self.call_id)
            .replace(HeaderName::CSeq, &format!("{} REGISTER", self.cseq))
            .append(HeaderName::Contact, &contact)
            .append(HeaderName::Path, self.path)
            .append(HeaderName::Require, "path");
        if let Some(client) = &mut self.client {
            let covered = sip::digest::Request {
                method: "REGISTER",
                uri: "sip:ims.test",
                body: b"",
            };
            let secret = Secret::Password(b"secret");
            let credentials = client.answer(secret, covered, &mut self.entropy);
            draft.append(HeaderName::Authorization, &credentials.to_string());
        }
        draft
    }

    /// Lets itself be challenged.
    fn challenge(&mut self, kit: &mut Kit<Scscf>, expires: u32) {
        kit.receive(PCSCF, &mut self.draft(expires));
        let (token, asked) = kit.cx().expect("a vector is asked for");
        assert!(matches!(asked, Request::MultimediaAuth(_)), "{asked:?}");
        kit.answer_cx(token, Answer::MultimediaAuth(vector(&self.impi)));
        let challenge = kit.response(401);
        let challenge = challenge.header(HeaderName::WwwAuthenticate);
        let challenge = challenge.and_then(|text| Challenge::parse(text.as_bytes()).ok());
        self.client = challenge.map(|challenge| Client::new(&self.impi, challenge));
    }

    /// Registers, or with no duration ends it; returns what the S-CSCF sends.
    fn register(&mut self, kit: &mut Kit<Scscf>, expires: u32) -> Message {
        if self.client.is_none() {
            self.challenge(kit, expires);
        }
        kit.receive(PCSCF, &mut self.draft(expires));
        let (token, _) = assignment(kit);
        let identities = match self.impu.as_str() {
            "sip:alice@ims.test" => ALICE.to_vec(),
            other => vec![other],
        };
        kit.answer_cx(token, assigned(&self.impi, &identities));
        let mut responses = Vec::new();
        let mut others = Vec::new();
        while let Some(sent) = kit.poll_sent() {
            match sent.message.status() {
                Some(_) => responses.push(sent.message),
                None => others.push(sent),
            }
        }
        for other in others.into_iter().rev() {
            kit.put_back(other);
        }
        let response = responses.pop().expect("an answer to REGISTER");
        assert_eq!(response.status(), Some(200), "{}", response.to_text());
        response
    }
}

/// The Server-Assignment-Request that was sent.
fn assignment(kit: &mut Kit<Scscf>) -> (u64, Sar) {
    match kit.cx().expect("the HSS was asked") {
        (token, Request::ServerAssignment(sar)) => (token, sar),
        other => panic!("{other:?}"),
    }
}

fn vector(impi: &str) -> Maa {
    let item = diameter::cx::SipAuthDataItem {
        scheme: Some(AuthScheme::SipDigest),
        digest_authenticate: Some(SipDigestAuthenticate {
            realm: "ims.test".into(),
            algorithm: Some("MD5".into()),
            qop: Some("auth".into()),
            ha1: Algorithm::Md5
                .ha1(impi, "ims.test", b"secret")
                .as_str()
                .into(),
            alternate_algorithm: None,
            alternate_ha1: None,
        }),
        ..Default::default()
    };
    Maa {
        sip_auth_data_items: vec![item],
        ..Maa::from(Outcome::SUCCESS)
    }
}

/// A profile with these identities; those called temporary are barred.
fn profile(impi: &str, identities: &[&str]) -> Vec<u8> {
    let identity = |uri: &&str| PublicIdentity {
        identity: (*uri).to_owned(),
        barred: uri.contains("temporary"),
        ..PublicIdentity::default()
    };
    let service = ServiceProfile {
        public_identities: identities.iter().map(identity).collect(),
        ..ServiceProfile::default()
    };
    ImsSubscription {
        private_id: impi.to_owned(),
        service_profiles: vec![service],
    }
    .to_xml()
}

fn assigned(impi: &str, identities: &[&str]) -> Answer {
    Answer::ServerAssignment(Saa {
        user_data: Some(profile(impi, identities)),
        ..Saa::from(Outcome::SUCCESS)
    })
}

/// The HSS knows nothing of the registration that it was asked for.
fn refuse_restoration(kit: &mut Kit<Scscf>) {
    let (token, sar) = assignment(kit);
    let kind = sar.server_assignment_type;
    assert_eq!(kind, ServerAssignmentType::NoAssignment);
    let refused = Outcome::UNABLE_TO_COMPLY;
    kit.answer_cx(token, Answer::ServerAssignment(Saa::from(refused)));
}

/// Asserts what the HSS was told last.
fn assert_told(kit: &mut Kit<Scscf>, kind: ServerAssignmentType) {
    let (_, sar) = assignment(kit);
    assert_eq!(sar.server_assignment_type, kind);
}
