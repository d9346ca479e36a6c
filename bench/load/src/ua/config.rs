//! What a user agent is, how it behaves, and what it tells.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use sdp::{Agreed, Codec};
use sip::Transport;
use sip::digest::Algorithm;
use sip::transaction::{Hop as SipHop, Timers};

use crate::usim::Usim;

/// Who a user agent is and where it stands.
#[derive(Clone)]
pub struct Config {
    /// Public user identity: `sip:alice@ims.test`.
    pub impu: String,
    /// Private user identity: `alice@ims.test`.
    pub impi: String,
    /// Domain of the home network: where it registers.
    pub realm: String,
    /// What proves who it is.
    pub secret: Secret,
    /// What it names in its first REGISTER where its secret is a password.
    pub algorithm: Algorithm,
    /// Its own address, in Via and Contact.
    pub local: SocketAddr,
    /// The P-CSCF.
    pub proxy: SocketAddr,
    /// How the P-CSCF is reached.
    pub transport: Transport,
    /// Of the transactions: those of Gm are four times as long as those of RFC 3261.
    pub timers: Timers,
    /// Registration expiry asked for, in seconds.
    pub expires: u32,
    /// `+sip.instance`, a URN, so that devices of one user are told apart (RFC 5626).
    pub instance: Option<String>,
    /// Preference among the devices of a user, in thousandths (RFC 3261 20.10).
    pub q: Option<u16>,
    /// P-Access-Network-Info (RFC 7315 4.4).
    pub access_network: Option<String>,
    /// Where media is received.
    pub media_ip: IpAddr,
    /// Ports of media; each call takes an even one and the next.
    pub media_ports: RangeInclusive<u16>,
    /// Codecs by preference.
    pub codecs: Vec<Codec>,
    /// Protects its media as far as the access edge, says so when it registers, and asks for it in
    /// its offers (`mediasec` and `a=3ge2ae`, TS 24.229 5.1.1.2.1, 6.1.2).
    pub protects_media: bool,
    /// What it does when called, and so on.
    pub policy: Policy,
}

impl Config {
    /// A user agent over UDP for G.711 with the timers of RFC 3261, which asks for 600 000 s (TS
    /// 24.229 5.1.1.2.1) and answers at once.
    ///
    /// `identity` is `alice@ims.test`: the private identity, and with `sip:` before it the public
    /// one.
    pub fn new(identity: &str, secret: Secret, local: SocketAddr, proxy: SocketAddr) -> Self {
        let realm = identity.split_once('@').map_or("", |(_, realm)| realm);
        Self {
            impu: format!("sip:{identity}"),
            impi: identity.to_owned(),
            realm: realm.to_owned(),
            secret,
            algorithm: Algorithm::Md5,
            local,
            proxy,
            transport: Transport::Udp,
            timers: Timers::CORE,
            expires: 600_000,
            instance: None,
            q: None,
            access_network: None,
            media_ip: local.ip(),
            media_ports: 40_000..=40_999,
            codecs: vec![
                Codec::pcmu(),
                Codec::pcma(),
                Codec::telephone_event(101, 8000),
            ],
            protects_media: false,
            policy: Policy::default(),
        }
    }
}

/// What proves a user.
#[derive(Clone)]
pub enum Secret {
    /// SIP Digest with MD5 or SHA-256.
    Password(String),
    /// AKAv1-MD5 with a USIM (RFC 3310).
    Aka(Box<Usim>),
}

/// How a user agent behaves where the RFCs leave it a choice, or where a test wants it bad.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What it does with each incoming call, step by step. Without a final step the call rings on.
    pub incoming: Vec<Step>,
    /// Reliable provisional responses (RFC 3262).
    pub reliable: Reliable,
    /// Session interval asked for, in seconds (RFC 4028).
    pub session_expires: Option<u32>,
    /// Shortest session interval taken, in seconds: at least 90 by RFC 4028.
    pub min_se: u32,
    /// Refreshes sessions by UPDATE where the other end allows it, else by re-INVITE.
    pub refresh_by_update: bool,
    /// Makes the offer in INVITE; otherwise leaves it to the answer (RFC 3261 14.1).
    pub early_offer: bool,
    /// Answers a re-INVITE or an UPDATE with an offer by this status in place of 200.
    pub refuse_changes: Option<u16>,
    /// Follows 3xx, one contact after the other.
    pub follow_redirects: bool,
    /// Names the public identity in P-Preferred-Identity (RFC 3325).
    pub preferred_identity: bool,
    /// Never acknowledges a 2xx.
    pub never_ack: bool,
    /// Hears nothing: as if its battery were empty.
    pub deaf: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            incoming: vec![Step::Ring, Step::Answer],
            reliable: Reliable::Supported,
            session_expires: None,
            min_se: 90,
            refresh_by_update: true,
            early_offer: true,
            refuse_changes: None,
            follow_redirects: false,
            preferred_identity: true,
            never_ack: false,
            deaf: false,
        }
    }
}

/// A step of what is done with an incoming call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Does nothing for so long.
    Wait(Duration),
    /// 180.
    Ring,
    /// 183 with a session description: early media.
    Progress,
    /// 200.
    Answer,
    /// A final response of this status.
    Reject(u16),
    /// 302 to these URIs.
    Redirect(Vec<String>),
}

/// Use of reliable provisional responses, RFC 3262.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliable {
    /// Not known: a call that requires them is refused with 420.
    Unsupported,
    /// Named in Supported, and used as callee when the caller does too.
    Supported,
    /// Named in Require.
    Required,
}

/// Names a call of one user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(super) u32);

/// What a user agent tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Registered, or registered again.
    Registered {
        /// For how long.
        expires: Duration,
        /// P-Associated-URI: the implicitly registered identities, the default one first.
        associated: Vec<String>,
    },
    /// A registration or de-registration came to nothing.
    RegistrationFailed {
        /// Status of the final response, 408 when there was none.
        status: u16,
        /// Its reason phrase.
        reason: String,
    },
    /// The network asked for a resynchronisation of SQN, and gets it (TS 33.102 6.3.5).
    Resynchronising,
    /// The registration was given up, or ran out.
    Deregistered,
    /// Somebody calls.
    Incoming {
        /// The call.
        call: CallId,
        /// URI of From.
        from: String,
        /// URI of P-Asserted-Identity, where there is one.
        asserted: Option<String>,
    },
    /// A provisional response other than 100.
    Progress {
        /// The call.
        call: CallId,
        /// 101 to 199.
        status: u16,
        /// Tag of the one that sent it: forked calls have several.
        tag: String,
    },
    /// Media of a call will be received here, RTCP at the next port: open the sockets before
    /// anything is sent.
    Port {
        /// The call.
        call: CallId,
        /// Address of RTP.
        local: SocketAddr,
    },
    /// An offer was answered: media can flow.
    Media {
        /// The call.
        call: CallId,
        /// The call is not established yet.
        early: bool,
        /// Where this end receives RTP.
        local: SocketAddr,
        /// What was agreed.
        agreed: Agreed,
    },
    /// The call is established: 2xx came, or ACK did.
    Established {
        /// The call.
        call: CallId,
    },
    /// The session timer was refreshed by either end.
    Refreshed {
        /// The call.
        call: CallId,
    },
    /// A re-INVITE or UPDATE of this end was refused; the call goes on as it was.
    ChangeRefused {
        /// The call.
        call: CallId,
        /// Status of the response.
        status: u16,
    },
    /// The call is over.
    Ended {
        /// The call.
        call: CallId,
        /// Why.
        cause: Cause,
    },
}

/// Why a call is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This end hung up.
    HungUp,
    /// The other end hung up.
    HungUpThere,
    /// The INVITE got this final response, whichever end sent it.
    Refused {
        /// Status, 408 when there was none.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// The caller gave up before an answer.
    Cancelled,
    /// No ACK came for the answer.
    NoAck,
    /// The other end did not acknowledge a reliable provisional response.
    NoPrack,
    /// No usable session description came.
    NoMedia,
    /// The session interval ran out (RFC 4028 10).
    SessionExpired,
    /// A request within the call got 408, 481 or nothing.
    Lost,
}

/// Something to do for the driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this message.
    Transmit {
        /// Over this.
        transport: Transport,
        /// To this address.
        to: SocketAddr,
        /// One message.
        bytes: Vec<u8>,
    },
    /// Know this.
    Event(Event),
}

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The call is over, or never was.
    NoCall,
    /// The call or registration is not in a state for this.
    Unexpected,
    /// Too many calls, or no media port left.
    Limit,
    /// The request cannot be written: the target is no URI.
    Target,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoCall => "no such call",
            Self::Unexpected => "not in a state for this",
            Self::Limit => "too many calls at once",
            Self::Target => "target cannot be called",
        })
    }
}

impl std::error::Error for Error {}

/// A peer, as the transaction layer keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub transport: Transport,
    pub peer: SocketAddr,
    pub timers: Timers,
}

impl SipHop for Hop {
    fn is_reliable(&self) -> bool {
        self.transport.is_reliable()
    }

    fn timers(&self) -> Timers {
        self.timers
    }
}
