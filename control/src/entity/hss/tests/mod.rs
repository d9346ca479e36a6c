//! Each command against each state of the user that matters, over a real store.

mod administration;
mod assignment;
mod authentication;
mod authorization;
mod location;
mod random;
mod whole;

use std::collections::VecDeque;

use diameter::cx::user_data::ImsSubscription;
use diameter::cx::{
    AuthScheme, Lia, Lir, Maa, Mar, Ppa, Ppr, ReasonCode, RestorationInfo, Rtr, Saa, Sar,
    ScscfRestorationInfo, ServerAssignmentType, SipAuthDataItem, Uaa, Uar, UserAuthorizationType,
};

use super::*;
use crate::auth::usim::{CardAnswer, Usim};
use crate::auth::{DigestHash, Secret};
use crate::store::conformance::{TestFolder, subscriber};
use crate::store::{
    FilterCriteria, MemoryStore, PublicIdentity, PutMode, RedbStore, RegistrationState, Store,
    Subscriber,
};

const SCSCF: &str = "sip:scscf.ims.test:6060";
const OTHER_SCSCF: &str = "sip:other.ims.test:6060";
const AS: &str = "<InitialFilterCriteria><Priority>0</Priority><ApplicationServer>\
    <ServerName>sip:as.ims.test</ServerName></ApplicationServer></InitialFilterCriteria>";
const AS_REGISTERED: &str = "<InitialFilterCriteria><Priority>0</Priority><ApplicationServer>\
    <ServerName>sip:as.ims.test</ServerName></ApplicationServer>\
    <ProfilePartIndicator>0</ProfilePartIndicator></InitialFilterCriteria>";

/// An HSS with its store; events are worked off until nothing is left to do.
struct Home {
    hss: Hss,
    store: Box<dyn Store>,
    entropy: Entropy,
    sent: Vec<(Origin, Request)>,
}

impl Home {
    fn new() -> Self {
        Self::on(Box::new(MemoryStore::default()))
    }

    fn on(store: Box<dyn Store>) -> Self {
        let config = Config {
            home: "ims.test".to_owned(),
            vectors_max: VECTORS_MAX,
        };
        Self {
            hss: Hss::new(config),
            store,
            entropy: Entropy::from_u64(7),
            sent: Vec::new(),
        }
    }

    /// With alice, who has two implicit sets: 0 with a barred number first, and 1.
    fn with_alice() -> Self {
        let mut home = Self::new();
        home.put(alice());
        home
    }

    fn put(&mut self, subscriber: Subscriber) -> store::Outcome {
        self.administer(Operation::Put {
            subscriber: Box::new(subscriber),
            mode: PutMode::CreateOrReplace,
        })
    }

    /// Works an event off; gives what was answered.
    fn run(&mut self, event: Event) -> Vec<Action> {
        let mut events = VecDeque::from([event]);
        let mut answers = Vec::new();
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.hss.handle(event, &mut self.entropy, &mut actions);
            for action in actions {
                match action {
                    Action::Store { id, operation } => {
                        let outcome = self.store.execute(vec![operation]).remove(0);
                        events.push_back(Event::Stored { id, outcome });
                    }
                    Action::Request {
                        destination,
                        request,
                    } => self.sent.push((destination, request)),
                    answer => answers.push(answer),
                }
            }
        }
        assert_eq!(self.hss.jobs(), 0);
        answers
    }

    fn ask_from(&mut self, host: &str, request: Request) -> Answer {
        let mut answers = self.run(Event::Request {
            token: 42,
            origin: origin(host),
            request,
        });
        match (answers.pop(), answers.is_empty()) {
            (Some(Action::Answer { token: 42, answer }), true) => answer,
            other => panic!("not one answer: {other:?}"),
        }
    }

    fn ask(&mut self, request: Request) -> Answer {
        self.ask_from("scscf.ims.test", request)
    }

    fn uar(&mut self, uar: Uar) -> Uaa {
        match self.ask(Request::UserAuthorization(uar)) {
            Answer::UserAuthorization(uaa) => uaa,
            other => panic!("{other:?}"),
        }
    }

    fn sar(&mut self, sar: Sar) -> Saa {
        match self.ask(Request::ServerAssignment(sar)) {
            Answer::ServerAssignment(saa) => saa,
            other => panic!("{other:?}"),
        }
    }

    fn lir(&mut self, lir: Lir) -> Lia {
        match self.ask(Request::LocationInfo(lir)) {
            Answer::LocationInfo(lia) => lia,
            other => panic!("{other:?}"),
        }
    }

    fn mar(&mut self, mar: Mar) -> Maa {
        match self.ask(Request::MultimediaAuth(mar)) {
            Answer::MultimediaAuth(maa) => maa,
            other => panic!("{other:?}"),
        }
    }

    fn administer(&mut self, operation: Operation) -> store::Outcome {
        let mut answers = self.run(Event::Administer {
            token: 9,
            operation,
        });
        match answers.pop() {
            Some(Action::Administered { token: 9, outcome }) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn registrations(&mut self) -> Registrations {
        let get = Operation::Get(alice().impi);
        match self.store.execute(vec![get]).remove(0) {
            store::Outcome::Found(entry) => entry.registrations,
            other => panic!("{other:?}"),
        }
    }

    fn state(&mut self) -> RegistrationState {
        self.registrations().set(0).state
    }

    /// Brings set 0 of alice into a state, by the requests that do so.
    fn bring(&mut self, state: &str) {
        match state {
            "not registered" => {}
            "pending" => assert_eq!(self.mar(mar()).outcome, Outcome::SUCCESS),
            "registered" => {
                self.bring("pending");
                let saa = self.sar(sar(ServerAssignmentType::Registration));
                assert_eq!(saa.outcome, Outcome::SUCCESS);
            }
            "unregistered" => {
                let saa = self.sar(sar(ServerAssignmentType::UnregisteredUser));
                assert_eq!(saa.outcome, Outcome::SUCCESS);
            }
            other => panic!("no state {other}"),
        }
    }
}

fn origin(host: &str) -> Origin {
    Origin {
        host: host.to_owned(),
        realm: "ims.test".to_owned(),
    }
}

fn identity(uri: &str, set: u32, barred: bool) -> PublicIdentity {
    PublicIdentity {
        barred,
        implicit_set: set,
        ..PublicIdentity::from(Impu::parse(uri).expect("a URI"))
    }
}

fn alice() -> Subscriber {
    let mut alice = subscriber("alice");
    alice.impus = vec![
        identity("tel:+15550100", 0, true),
        identity("sip:alice@ims.test", 0, false),
        identity("sip:work@ims.test", 1, false),
        identity("sip:closed@ims.test", 2, true),
    ];
    alice.impus[1].display_name = Some("Alice <&>".to_owned());
    alice
}

/// Alice with a service for the registered and the unregistered state.
fn alice_with_services() -> Subscriber {
    let mut alice = alice();
    alice.profile.filter_criteria = vec![FilterCriteria::parse(AS).expect("criteria")];
    alice
}

fn uar() -> Uar {
    Uar {
        user_name: "alice@ims.test".to_owned(),
        public_identity: "sip:alice@ims.test".to_owned(),
        visited_network_identifier: "ims.test".to_owned(),
        ..Uar::default()
    }
}

fn uar_of(kind: UserAuthorizationType) -> Uar {
    Uar {
        user_authorization_type: kind,
        ..uar()
    }
}

fn lir() -> Lir {
    Lir {
        public_identity: "sip:alice@ims.test".to_owned(),
        ..Lir::default()
    }
}

fn mar() -> Mar {
    Mar {
        user_name: "alice@ims.test".to_owned(),
        public_identity: "sip:alice@ims.test".to_owned(),
        sip_auth_data_item: SipAuthDataItem {
            scheme: Some(AuthScheme::DigestAkaV1Md5),
            ..SipAuthDataItem::default()
        },
        sip_number_auth_items: 1,
        server_name: SCSCF.to_owned(),
        supported_features: Vec::new(),
    }
}

fn sar(kind: ServerAssignmentType) -> Sar {
    Sar {
        user_name: Some("alice@ims.test".to_owned()),
        public_identities: vec!["sip:alice@ims.test".to_owned()],
        wildcarded_public_identity: None,
        server_name: SCSCF.to_owned(),
        server_assignment_type: kind,
        user_data_already_available: false,
        scscf_restoration_info: None,
        multiple_registration: false,
        session_priority: None,
        pcscf_restoration: false,
        supported_features: Vec::new(),
    }
}

fn scheme(mut mar: Mar, scheme: AuthScheme) -> Mar {
    mar.sip_auth_data_item.scheme = Some(scheme);
    mar
}

fn profile(saa: &Saa) -> ImsSubscription {
    let xml = saa.user_data.as_deref().expect("User-Data");
    ImsSubscription::parse(xml).expect("a document of the schema")
}

fn challenge(maa: &Maa, index: usize) -> ([u8; 16], [u8; 16]) {
    let item = &maa.sip_auth_data_items[index];
    let token = item.authenticate.as_deref().expect("RAND and AUTN");
    let (rand, autn) = token.split_first_chunk().expect("16 bytes of RAND");
    (*rand, autn.try_into().expect("16 bytes of AUTN"))
}

fn card() -> Usim {
    Usim::new(&[1; 16], &[2; 16])
}

const STATES: [&str; 4] = ["not registered", "pending", "registered", "unregistered"];
