//! The P-CSCF with a test in the place of its UEs and of the network behind it.

mod media;
mod protection;
mod reach;
mod reg_event;
mod register;
mod restart;

use std::time::Duration;

use sip::Draft;

use super::*;
use crate::config::{ControlFile, MediaFile};
use crate::entity::testkit::{ICSCF, Kit, OWN, Sent, address, request};
use crate::node::StreamId;

/// The S-CSCF.
const SCSCF: &str = "192.0.2.3:5060";
const BOB: &str = "192.0.2.102:5060";
const SERVICE_ROUTE: &str = "<sip:scscf.orig@192.0.2.3:5060;lr>";

/// A P-CSCF that leaves media alone.
fn kit() -> Kit<Pcscf> {
    let change = |file: &mut ControlFile| {
        file.media = Some(MediaFile {
            anchor: Some(false),
            ..MediaFile::default()
        });
    };
    Kit::with(change, |_, _| Pcscf::new())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A UE and its registration.
struct Ue {
    at: &'static str,
    user: &'static str,
    call_id: String,
    cseq: u32,
    /// Path of its registration, as the P-CSCF wrote it.
    path: String,
}

impl Ue {
    fn new(user: &'static str, at: &'static str) -> Self {
        Self {
            at,
            user,
            call_id: format!("register-{at}"),
            cseq: 0,
            path: String::new(),
        }
    }

    fn identity(&self) -> String {
        format!("sip:{}@ims.test", self.user)
    }

    fn contact(&self) -> String {
        format!("sip:{}@{}", self.user, self.at)
    }

    /// The next REGISTER.
    fn draft(&mut self, expires: u32) -> Draft {
        self.cseq += 1;
        let identity = self.identity();
        let mut draft = request(&Method::Register, "sip:ims.test");
        draft
            .replace(HeaderName::From, &format!("<{identity}>;tag=ue"))
            .replace(HeaderName::To, &format!("<{identity}>"))
            .replace(HeaderName::CallId, &self.call_id)
            .replace(HeaderName::CSeq, &format!("{} REGISTER", self.cseq))
            .append(HeaderName::Contact, &format!("<{}>", self.contact()))
            .append(HeaderName::Expires, &expires.to_string());
        draft
    }

    /// Registers, or with no duration ends it; what the P-CSCF sends besides stays to be polled.
    fn register(&mut self, kit: &mut Kit<Pcscf>, expires: u32) {
        kit.receive(self.at, &mut self.draft(expires));
        let forwarded = kit.sent();
        assert_eq!(forwarded.to, address(ICSCF));
        let path = forwarded.message.header(HeaderName::Path).expect("a Path");
        self.path = path.to_owned();
        let contact = format!("<{}>;expires={expires}", self.contact());
        let identity = self.identity();
        kit.reply_with(&forwarded, 200, |draft| {
            if expires > 0 {
                draft
                    .append(HeaderName::Contact, &contact)
                    .append(HeaderName::ServiceRoute, SERVICE_ROUTE)
                    .append(HeaderName::PAssociatedUri, &format!("\"U\" <{identity}>"))
                    .append(HeaderName::PAssociatedUri, "<tel:+15550100>");
            }
        });
        // What else the P-CSCF sends may come before or after.
        let mut others = Vec::new();
        let mut status = None;
        while let Some(sent) = kit.poll_sent() {
            match sent.message.status() {
                Some(got) => status = Some(got),
                None => others.push(sent),
            }
        }
        assert_eq!(status, Some(200));
        others.into_iter().rev().for_each(|sent| kit.put_back(sent));
    }

    /// Registers over a connection of its own, and lets pass what the P-CSCF sends besides;
    /// returns REGISTER as it was forwarded.
    fn register_over(&mut self, kit: &mut Kit<Pcscf>, stream: StreamId, from: &str) -> Sent {
        let from = address(from);
        kit.accept(stream, from);
        let via = format!("SIP/2.0/TCP {};branch=z9hG4bK{}", self.at, from.port());
        let credentials = format!(
            "Digest username=\"{}@ims.test\",realm=\"ims.test\",nonce=\"n\",uri=\"sip:ims.test\",\
             response=\"0123456789abcdef0123456789abcdef\"",
            self.user
        );
        let mut draft = self.draft(3600);
        let register = draft
            .push_front(HeaderName::Via, &via)
            .append(HeaderName::Authorization, &credentials)
            .finish();
        kit.feed(from, Some(stream), &register.expect("a REGISTER"));
        let forwarded = kit.sent();
        let path = forwarded.message.header(HeaderName::Path).expect("Path");
        self.path = path.to_owned();
        let contact = format!("<{}>;expires=3600", self.contact());
        let identity = format!("<{}>", self.identity());
        kit.reply_with(&forwarded, 200, |draft| {
            draft
                .append(HeaderName::Contact, &contact)
                .append(HeaderName::ServiceRoute, SERVICE_ROUTE)
                .append(HeaderName::PAssociatedUri, &identity);
        });
        while kit.poll_sent().is_some() {}
        forwarded
    }

    /// A request of the UE outside a dialog.
    fn request(&self, method: &Method, uri: &str) -> Draft {
        let mut draft = request(method, uri);
        draft.replace(HeaderName::From, &format!("<{}>;tag=ue", self.identity()));
        draft
    }
}
