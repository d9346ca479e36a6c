//! The media plane as a gateway sees it: addresses to receive at, and legs that reach each other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base::Instant;
use h248::message::StreamMode;
use sdp::Codec;
use sdp::crypto::Crypto;
use sdp::dtls::Fingerprint;

use crate::performance::{Performance, Performed};

/// What carries the media of a gateway's contexts.
///
/// A gateway decides and this executes: no method waits, and none but [`MediaPlane::open`] can be
/// refused. What the plane cannot do at once it does later, in the order it was told.
pub trait MediaPlane {
    /// Opens `local` for media, and the next port for its RTCP: both or none.
    ///
    /// # Errors
    /// Why it cannot be opened; nothing is open then.
    fn open(&mut self, now: Instant, local: SocketAddr) -> Result<(), OpenError>;

    /// Closes what was opened at `local`. [`MediaEvent::Closed`] tells the end of it.
    fn close(&mut self, local: SocketAddr);

    /// Connects the legs of one stream of a context, each with every other but for those that the
    /// topology isolates (H.248.1 7.1.18): of each pair of indices the first does not reach the
    /// second. Replaces what held for them before.
    fn connect(&mut self, stream: ContextStream, legs: &[Leg], isolated: &[(usize, usize)]);

    /// What passed at `local` since it was opened.
    fn statistics(&self, local: SocketAddr) -> Statistics;

    /// The fingerprint of the certificate that DTLS of its legs shows; `None` where it speaks none.
    fn fingerprint(&self) -> Option<Fingerprint> {
        None
    }

    /// Whether media of this codec can be processed. Asked of planes whose profile processes media.
    fn supports(&self, codec: &Codec) -> bool {
        let _ = codec;
        true
    }
}

/// One stream of a context, as its MGC knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextStream {
    /// The number of the context.
    pub context: u32,
    /// That of the stream.
    pub stream: u16,
}

/// Why an address cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The port is taken, by another process for one: another port may do.
    InUse,
    /// The plane is behind with its work: later it may do.
    Busy,
    /// The system has no more of what it takes.
    Exhausted,
}

/// What happened at an open address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// It latched to a source (H.248.37).
    Latched {
        /// Where.
        local: SocketAddr,
        /// The remote address from now on.
        source: SocketAddr,
    },
    /// A telephone event began; asked for by [`Leg::detects`].
    ToneStarted {
        /// Where.
        local: SocketAddr,
        /// Which, as in RFC 4733 3.2.
        code: u8,
    },
    /// A telephone event ended.
    ToneEnded {
        /// Where.
        local: SocketAddr,
        /// Which.
        code: u8,
        /// How long it lasted.
        duration: Duration,
    },
    /// What a leg performs has come to its end.
    Performed {
        /// Where.
        local: SocketAddr,
        /// The number of the performance.
        number: u64,
        /// How, and how long it lasted.
        performed: Performed,
    },
    /// Somebody begins to talk at a leg, or has ended; asked for by [`Leg::heeds_talk`].
    Talking {
        /// Where.
        local: SocketAddr,
        /// It begins.
        is_talking: bool,
        /// How loud, in dBov.
        level_dbov: i8,
    },
    /// Who talks at a leg is the dominant talker from now on; asked for by [`Leg::heeds_talk`].
    Dominant {
        /// Where.
        local: SocketAddr,
    },
    /// No packet was admitted for [`Leg::inactivity`]. Once per silence.
    Inactive {
        /// Where.
        local: SocketAddr,
    },
    /// It is closed, RTCP too.
    Closed {
        /// Where.
        local: SocketAddr,
        /// When the ports can be opened again.
        free_at: Instant,
    },
}

impl MediaEvent {
    /// The address that it is about.
    pub fn local(&self) -> SocketAddr {
        match self {
            Self::Latched { local, .. }
            | Self::ToneStarted { local, .. }
            | Self::ToneEnded { local, .. }
            | Self::Performed { local, .. }
            | Self::Talking { local, .. }
            | Self::Dominant { local }
            | Self::Inactive { local }
            | Self::Closed { local, .. } => *local,
        }
    }
}

/// One stream of one termination (H.248.1 7.1.6): how it receives and sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The address and port of its Local descriptor; RTCP is at the next port.
    pub local: SocketAddr,
    /// What it carries.
    pub media: LegMedia,
    /// The address and port of its Remote descriptor. Not used with latching.
    pub remote: Option<SocketAddr>,
    /// Where its RTCP goes.
    pub rtcp: LegRtcp,
    /// Its SRTP keys; `None` where packets pass as they are.
    pub srtp: Option<LegSrtp>,
    /// DTLS that ends here and tells the keys of its SRTP; `None` where none does.
    pub dtls: Option<LegDtls>,
    /// Mode of LocalControl.
    pub mode: StreamMode,
    /// Latching, for RTP and RTCP each on its own.
    pub latch: LegLatch,
    /// Which sources are admitted.
    pub filter: LegFilter,
    /// What rates it may receive; for RTCP at a port of its own the same once more.
    pub policing: LegPolicing,
    /// How packets sent are marked.
    pub marking: LegMarking,
    /// Report after this long without media.
    pub inactivity: Option<Duration>,
    /// Report telephone events received as these, whatever the mode (H.248.1 7.1.7).
    pub detects: Option<LegEvents>,
    /// How telephone events are sent to the remote side; `None` when it takes none.
    pub sends_events: Option<LegEvents>,
    /// The tone played to the remote side.
    pub plays_outward: Option<LegTone>,
    /// The tone played to the other legs, as if it had been received.
    pub plays_inward: Option<LegTone>,
    /// How its speech is coded, where the profile processes media and it is audio.
    pub audio: Option<Arc<LegAudio>>,
    /// Report digits however they come: as tones among what is said, if not as events.
    pub heeds_tones: bool,
    /// Report who talks.
    pub heeds_talk: bool,
    /// How loud it says and hears, where the profile processes media.
    pub volume: LegVolume,
    /// What is played and recorded there.
    pub performs: Vec<LegPerformance>,
}

/// How loud a leg is, beside what is played and recorded there, which it says nothing of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegVolume {
    /// Gain of what comes from the remote side, as the other legs hear it, in dB.
    pub inward_db: i8,
    /// Gain of what the other legs say, as the remote side hears it, in dB.
    pub outward_db: i8,
    /// The other legs hear nothing of the remote side.
    pub is_muted: bool,
    /// The remote side hears nothing of the other legs.
    pub is_deaf: bool,
}

/// How the speech of a leg is coded, by its descriptors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegAudio {
    /// What may come, by Local; the codecs in order of preference, and what goes with any.
    pub receives: Vec<Codec>,
    /// What may be sent, by Remote.
    pub sends: Vec<Codec>,
    /// Length of the packets that the remote side wants.
    pub ptime: Option<Duration>,
}

/// What is played or recorded at a leg, for as long as this is said or until it ends by itself,
/// which [`MediaEvent::Performed`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegPerformance {
    /// Another number is another performance.
    pub number: u64,
    /// What.
    pub what: Arc<Performance>,
    /// To the remote side; of recordings: what comes from there.
    pub outward: bool,
    /// To the other legs, as if it had been received; of recordings: what they say.
    pub inward: bool,
    /// It is to come to its end as if by itself.
    pub is_finishing: bool,
}

/// Telephone events (RFC 4733) as a session description has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegEvents {
    /// Their payload type.
    pub payload_type: u8,
    /// Units of their timestamps and durations per second.
    pub clock_hz: u32,
}

/// A DTMF tone that is to be played, for as long as this is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegTone {
    /// Another number is another tone.
    pub number: u64,
    /// The telephone event, 0 to 15 (RFC 4733 3.2).
    pub code: u8,
}

/// What a leg carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegMedia {
    /// RTP, with the clock of its payload in Hz; 0 when it has several or none known.
    Rtp {
        /// Timestamp units per second.
        clock_hz: u32,
        /// What codes its speech; `None` where it is none.
        speech: Option<LegSpeech>,
    },
    /// UDP of any content.
    Udp,
}

/// The codec of speech that a description names first, where loss is known to do to it what it does
/// to no other (G.113 appendix I).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegSpeech {
    /// G.711 of either law.
    G711,
    /// G.723.1.
    G723,
    /// G.729.
    G729,
    /// GSM-EFR.
    Efr,
    /// AMR, of which GSM-EFR is a mode.
    Amr,
    /// AMR-WB.
    AmrWb,
    /// G.722.
    G722,
    /// Another.
    Other,
}

impl LegSpeech {
    /// The codec of an RTP encoding name; `None` for what accompanies speech.
    pub fn of(encoding: &str) -> Option<Self> {
        const KNOWN: [(&str, LegSpeech); 8] = [
            ("PCMU", LegSpeech::G711),
            ("PCMA", LegSpeech::G711),
            ("G723", LegSpeech::G723),
            ("G729", LegSpeech::G729),
            ("GSM-EFR", LegSpeech::Efr),
            ("AMR", LegSpeech::Amr),
            ("AMR-WB", LegSpeech::AmrWb),
            ("G722", LegSpeech::G722),
        ];
        if sdp::Codec::names_auxiliary(encoding) {
            return None;
        }
        let found = KNOWN
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(encoding));
        Some(found.map_or(LegSpeech::Other, |(_, speech)| speech))
    }
}

/// RTCP of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegRtcp {
    /// None is passed.
    None,
    /// At the port after that of the media.
    Port {
        /// Where the remote side receives it; `None` while unknown. Not used with latching.
        remote: Option<SocketAddr>,
    },
    /// On the port of the media, RFC 5761.
    Muxed,
}

/// SRTP that ends at a leg (TS 33.328 5.4, TS 23.334 5.11), by the security descriptions of its
/// Local and Remote descriptors: each has the key of who sends (RFC 4568 5.1). The same keys told
/// again are no new ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegSrtp {
    /// Of the Local descriptor: what is sent to the remote side. Nothing is sent without.
    pub sends: Option<Crypto>,
    /// Of the Remote descriptor: what comes from there. Nothing is taken without.
    pub receives: Option<Crypto>,
}

/// DTLS-SRTP that ends at a leg (RFC 5764), by the `a=fingerprint` and `a=setup` of its Local and
/// Remote descriptors: one association for the media, and one for RTCP at a port of its own. The
/// same told again asks for no new one (RFC 8842 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegDtls {
    /// Who begins.
    pub role: LegDtlsRole,
    /// Of the Remote descriptor: the certificates that the other side may show. Nothing is sent or
    /// taken without.
    pub fingerprints: Vec<Fingerprint>,
    /// `a=tls-id` of both descriptors: another one asks for another association (RFC 8842 4).
    pub ids: [Option<Box<str>>; 2],
}

/// Who begins a DTLS association (RFC 5763 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegDtlsRole {
    /// This side is the client.
    Client,
    /// The other side is.
    Server,
    /// None is made (`holdconn`).
    Hold,
}

/// Latching of a leg (H.248.37). A demand has a number, so that it is not taken for a new one when
/// the leg is connected again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegLatch {
    /// Media go where the Remote descriptor says.
    Off,
    /// LATCH: to where the first packet came from.
    First(u32),
    /// RELATCH: to where the next packet comes from, and till then as before.
    Again(u32),
}

/// Source filter of a leg (H.248.43).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegFilter {
    /// Sources within this prefix.
    pub network: Option<(IpAddr, u8)>,
    /// Sources at these ports, both included; for the media.
    pub ports: Option<(u16, u16)>,
    /// The same for RTCP at a port of its own.
    pub rtcp_ports: Option<(u16, u16)>,
}

/// Traffic policing of a leg (H.248.53), by octets of IP packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegPolicing {
    /// Octets per second at most, and how much too early a packet may come.
    pub peak: Option<(u32, Duration)>,
    /// Octets per second in the long run, and how many may come at once.
    pub sustained: Option<(u32, u32)>,
}

/// Differentiated services of a leg (H.248.52).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegMarking {
    /// Packets have this code point.
    Dscp(u8),
    /// Packets keep the code point that they came with to the other leg.
    Keep,
}

/// What passed at an address (H.248.1 E.11, E.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Their octets of UDP payload, sent.
    pub octets_sent: u64,
    /// Received.
    pub octets_received: u64,
    /// Packets expected by their sequence numbers.
    pub packets_expected: u64,
    /// Packets expected and not received.
    pub packets_lost: u64,
    /// Interarrival jitter in timestamp units.
    pub jitter_ticks: u32,
    /// When the last packet was admitted.
    pub last_arrival: Option<Instant>,
    /// How the speech received is estimated to sound; `None` where there was none.
    pub score: Option<Score>,
}

/// Mean opinion scores in tenths, 10 to 50 (RFC 3611 4.7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Of who only listens.
    pub listening: u8,
    /// Of who speaks as well, whom delay disturbs.
    pub conversing: u8,
}

impl Score {
    /// The worse of two, in each respect.
    fn worse(self, other: Self) -> Self {
        Self {
            listening: self.listening.min(other.listening),
            conversing: self.conversing.min(other.conversing),
        }
    }
}

impl Statistics {
    /// Takes what passed elsewhere into account: sums, the worse jitter and the worse score.
    pub fn add(&mut self, other: &Statistics) {
        self.packets_sent += other.packets_sent;
        self.packets_received += other.packets_received;
        self.octets_sent += other.octets_sent;
        self.octets_received += other.octets_received;
        self.packets_expected += other.packets_expected;
        self.packets_lost += other.packets_lost;
        self.jitter_ticks = self.jitter_ticks.max(other.jitter_ticks);
        self.last_arrival = self.last_arrival.max(other.last_arrival);
        self.score = match (self.score, other.score) {
            (Some(one), Some(other)) => Some(one.worse(other)),
            (one, other) => one.or(other),
        };
    }
}
