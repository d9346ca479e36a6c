//! A telephone in the simulated network.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use base::{Entropy, Instant};
use load::media::Report;
use load::phone::{Output, Phone, Voices};
use load::ua::{CallId, Config, Event};
use sim::{StreamEvent, Transmit};
use sip::transaction::{
    Config as LayerConfig, Hop, Layer, Output as LayerOutput, Received, ServerId,
};
use sip::{HeaderName, Message, Method, Transport};

use crate::dtls_end::{DTLS_PORT, DtlsEnd};

/// Port of telephones at which only the test listens.
pub const BY_HAND: u16 = 5070;

/// What a telephone without audio would say.
const SILENCE: Voices = Voices {
    own: 0,
    other: None,
};

/// Between two addresses, by UDP.
#[derive(Clone, Debug)]
struct Way {
    local: SocketAddr,
    remote: SocketAddr,
}

impl Hop for Way {
    fn is_reliable(&self) -> bool {
        false
    }
}

/// A telephone and all it was told.
pub struct PhoneHost {
    phone: Phone,
    signalling: SocketAddr,
    /// Where it thinks it receives media: elsewhere than it does when behind a NAT.
    media_ip: IpAddr,
    /// Its calls are without audio, which tests of signalling are faster for.
    mute: bool,
    events: Vec<Event>,
    /// How far the test has read them.
    pub(crate) read: usize,
    heard: Vec<Message>,
    /// The octets of all that was heard.
    octets: HashSet<Vec<u8>>,
    /// Says again what the test sends, and answers again what comes again.
    by_hand: Layer<Way, ()>,
    /// Requests that the test has not answered.
    asked: Vec<(ServerId, Message)>,
    /// Its media at [`DTLS_PORT`].
    dtls: Option<Box<DtlsEnd>>,
    /// What it sent and heard, a line each.
    ladder: Vec<String>,
    transmits: VecDeque<Transmit>,
}

impl PhoneHost {
    /// A telephone that does nothing yet.
    pub fn new(config: Config, voices: Option<Voices>, entropy: Entropy) -> Self {
        let (signalling, media_ip) = (config.local, config.media_ip);
        let (mute, voices) = (voices.is_none(), voices.unwrap_or(SILENCE));
        let mut seed = Entropy::from_u64(u64::from(signalling.port()));
        Self {
            phone: Phone::new(config, voices, entropy),
            signalling,
            media_ip,
            mute,
            events: Vec::new(),
            read: 0,
            heard: Vec::new(),
            octets: HashSet::new(),
            by_hand: Layer::new(LayerConfig::default(), &mut seed),
            asked: Vec::new(),
            dtls: None,
            ladder: Vec::new(),
            transmits: VecDeque::new(),
        }
    }

    /// The telephone.
    pub fn phone(&self) -> &Phone {
        &self.phone
    }

    /// How the audio of a call fares, or fared.
    ///
    /// # Panics
    /// When there never was any.
    pub fn report(&self, call: CallId) -> Report {
        self.phone.report(call).expect("a call with audio")
    }

    /// What it was told so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The SIP messages that it sent and heard, a line each.
    pub fn ladder(&self) -> &[String] {
        &self.ladder
    }

    /// Every SIP message that came to it so far, each once.
    pub fn heard(&self) -> &[Message] {
        &self.heard
    }

    /// Its media at [`DTLS_PORT`].
    ///
    /// # Panics
    /// When it never had any.
    pub fn dtls(&self) -> &DtlsEnd {
        self.dtls.as_ref().expect("an end of DTLS")
    }

    /// Has its media at [`DTLS_PORT`] do something.
    pub fn act_dtls<T>(&mut self, act: impl FnOnce(&mut DtlsEnd) -> T) -> T {
        let done = act(self.dtls.get_or_insert_default());
        self.drain_dtls();
        done
    }

    fn drain_dtls(&mut self) {
        let Some(end) = &mut self.dtls else {
            return;
        };
        let local = SocketAddr::new(self.signalling.ip(), DTLS_PORT);
        while let Some((remote, bytes)) = end.poll_transmit() {
            self.transmits.push_back(Transmit::Datagram {
                local,
                remote,
                bytes,
            });
        }
    }

    /// Sends a message from a port of its, past its user agent: a request again and again until it
    /// is answered, a response for as long as its request comes.
    pub fn send_by_hand(&mut self, now: Instant, port: u16, remote: SocketAddr, message: &Message) {
        let local = SocketAddr::new(self.signalling.ip(), port);
        let way = Way { local, remote };
        if message.is_method(&Method::Ack) {
            self.by_hand.send_stateless(way, message.clone());
        } else if message.is_request() {
            let sent = self.by_hand.send_request(now, way, message.clone(), ());
            sent.expect("a request with a branch of its own");
        } else {
            let is_asked = |(_, request): &(ServerId, Message)| {
                request.header(HeaderName::Via) == message.header(HeaderName::Via)
            };
            let at = self.asked.iter().position(is_asked);
            let (server, _) = self.asked.remove(at.expect("an answer to a request"));
            let answered = self.by_hand.respond(now, server, message.clone());
            answered.expect("its first answer");
        }
        self.drain_by_hand();
    }

    fn hear_by_hand(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        // At the port of the user agent, requests are its own.
        if message.is_request() && local == self.signalling {
            return;
        }
        let way = Way { local, remote };
        if let Received::Request { server, message } =
            self.by_hand.handle_message(now, way, message)
        {
            self.asked.push((server, message));
        }
        self.drain_by_hand();
    }

    fn drain_by_hand(&mut self) {
        while let Some(output) = self.by_hand.poll_output() {
            if let LayerOutput::Transmit { hop, message, .. } = output {
                self.transmits.push_back(Transmit::Datagram {
                    local: hop.local,
                    remote: hop.remote,
                    bytes: message.as_bytes().to_vec(),
                });
            }
        }
    }

    /// Has it do something.
    pub fn act<T>(&mut self, now: Instant, act: impl FnOnce(&mut load::ua::UserAgent) -> T) -> T {
        let done = self.phone.act(now, act);
        self.drain(now);
        done
    }

    /// Talks or falls silent without a word of it in signalling.
    pub fn set_talking(&mut self, now: Instant, call: CallId, talking: bool) {
        self.phone.set_talking(now, call, talking);
        self.drain(now);
    }

    fn hear(&mut self, now: Instant, bytes: &[u8]) {
        self.note(now, "←", bytes);
        if self.octets.insert(bytes.to_vec()) {
            self.heard.extend(Message::parse(bytes));
        }
    }

    fn note(&mut self, now: Instant, way: &str, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            return self
                .ladder
                .push(format!("{now:?} {way} {} octets", bytes.len()));
        };
        let text = message.to_text();
        let start = text.lines().next().unwrap_or_default();
        let cseq = message.header(HeaderName::CSeq).unwrap_or_default();
        let session = sdp::Session::parse(message.body()).ok();
        let direction = session.map_or("", |session| session.direction(0).name());
        self.ladder
            .push(format!("{now:?} {way} {start} [{cseq}] {direction}"));
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.phone.poll_output() {
            match output {
                Output::Signal {
                    transport,
                    to,
                    bytes,
                } => {
                    assert_eq!(transport, Transport::Udp, "simulated telephones speak UDP");
                    let (local, remote) = (self.signalling, to);
                    self.note(now, "→", &bytes);
                    self.transmits.push_back(Transmit::Datagram {
                        local,
                        remote,
                        bytes,
                    });
                }
                Output::Media { from, to, bytes } => {
                    let local = SocketAddr::new(self.signalling.ip(), from.port());
                    let remote = to;
                    self.transmits.push_back(Transmit::Datagram {
                        local,
                        remote,
                        bytes,
                    });
                }
                Output::Open { .. } | Output::Close { .. } => {}
                Output::Event(event) => {
                    if let (true, Event::Media { call, .. }) = (self.mute, &event) {
                        self.phone.set_talking(now, *call, false);
                    }
                    self.events.push(event);
                }
            }
        }
    }
}

impl sim::Host for PhoneHost {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        if local == self.signalling {
            self.hear(now, bytes);
            self.hear_by_hand(now, local, remote, bytes);
            self.phone.handle_signal(now, Transport::Udp, remote, bytes);
        } else if local.port() == BY_HAND {
            self.hear(now, bytes);
            self.hear_by_hand(now, local, remote, bytes);
        } else if let (DTLS_PORT, Some(end)) = (local.port(), &mut self.dtls) {
            end.handle_datagram(now, remote, bytes);
            self.drain_dtls();
        } else {
            let local = SocketAddr::new(self.media_ip, local.port());
            self.phone.handle_media(now, local, bytes);
        }
        self.drain(now);
    }

    fn handle_stream(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, _: StreamEvent<'_>) {}

    fn handle_timeout(&mut self, now: Instant) {
        self.phone.handle_timeout(now);
        self.drain(now);
        self.by_hand.handle_timeout(now);
        self.drain_by_hand();
        if let Some(end) = &mut self.dtls {
            end.handle_timeout(now);
            self.drain_dtls();
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let dtls = self.dtls.as_ref().and_then(|end| end.next_timeout());
        let timeouts = [self.phone.next_timeout(), self.by_hand.next_timeout(), dtls];
        timeouts.into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn listens(&self, _: SocketAddr) -> bool {
        false
    }
}
