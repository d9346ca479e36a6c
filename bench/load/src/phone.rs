//! A telephone: a user agent and the audio of its calls.
//!
//! The driver opens a socket for signalling, two for each [`Output::Open`], and passes datagrams
//! and time on; with that the telephone registers, calls, talks and tells how the other end was
//! heard.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use base::{Entropy, Instant};
use sip::Transport;

use crate::media::{self, Report, Stream};
use crate::ua::{self, CallId, Config, Event, UserAgent};

/// Calls that are over and can still be reported on: the oldest is forgotten first. Each keeps one
/// second of what was heard, since it takes long to compare that with what should have been.
pub const ENDED_MAX: usize = 1024;

/// What a telephone says, and what it expects to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voices {
    /// Seed of what it says.
    pub own: u32,
    /// Seed of what the other end says, where it is known.
    pub other: Option<u32>,
}

/// A user agent with audio; see the [module](self).
pub struct Phone {
    agent: UserAgent,
    voices: Voices,
    lines: BTreeMap<CallId, Line>,
    ended: BTreeMap<CallId, Stream>,
    outputs: VecDeque<Output>,
    entropy: Entropy,
}

/// The audio of one call.
struct Line {
    local: SocketAddr,
    stream: Option<Stream>,
    /// What came before the answer did: who offers is ready to receive (RFC 3264 5.1).
    early: Vec<(Instant, Vec<u8>)>,
}

/// Datagrams kept of a call that is not answered yet, 1 s of them.
const EARLY_MAX: usize = 50;

/// Something to do for the driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a SIP message.
    Signal {
        /// Over this.
        transport: Transport,
        /// To this address.
        to: SocketAddr,
        /// One message.
        bytes: Vec<u8>,
    },
    /// Receive RTP at this address and RTCP at the next port of it.
    Open {
        /// Address of RTP.
        rtp: SocketAddr,
    },
    /// Send a datagram.
    Media {
        /// From the socket of this address.
        from: SocketAddr,
        /// To this address.
        to: SocketAddr,
        /// RTP or RTCP.
        bytes: Vec<u8>,
    },
    /// Close what was opened at this address.
    Close {
        /// Address of RTP.
        rtp: SocketAddr,
    },
    /// Know this.
    Event(Event),
}

impl Phone {
    /// A telephone that does nothing yet.
    pub fn new(config: Config, voices: Voices, mut entropy: Entropy) -> Self {
        let agent = UserAgent::new(config, Entropy::from_seed(entropy.bytes()));
        Self {
            agent,
            voices,
            lines: BTreeMap::new(),
            ended: BTreeMap::new(),
            outputs: VecDeque::new(),
            entropy,
        }
    }

    /// Its user agent.
    pub fn agent(&self) -> &UserAgent {
        &self.agent
    }

    /// Has its user agent do something: register, call, answer, hang up.
    pub fn act<T>(&mut self, now: Instant, act: impl FnOnce(&mut UserAgent) -> T) -> T {
        let done = act(&mut self.agent);
        self.settle(now);
        done
    }

    /// Talks in a call or falls silent, with no word of it in signalling; false without such audio.
    pub fn set_talking(&mut self, now: Instant, call: CallId, talking: bool) -> bool {
        let stream = self.stream(call);
        stream
            .map(|stream| stream.set_sending(now, talking))
            .is_some()
    }

    /// Presses a key in a call; false when it cannot be told to the other end.
    pub fn press(&mut self, call: CallId, key: char) -> bool {
        self.stream(call).is_some_and(|stream| stream.press(key))
    }

    /// How the audio of a call fares, or fared. Compares some thousand alignments of a second of
    /// speech: not to be called between packets.
    pub fn report(&self, call: CallId) -> Option<Report> {
        let line = self.lines.get(&call);
        let live = line.and_then(|line| line.stream.as_ref());
        live.or_else(|| self.ended.get(&call)).map(Stream::report)
    }

    /// Takes a message of the signalling socket.
    pub fn handle_signal(
        &mut self,
        now: Instant,
        transport: Transport,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        self.agent.handle_input(now, transport, from, datagram);
        self.settle(now);
    }

    /// Takes a datagram of a media socket, which is at `local`.
    pub fn handle_media(&mut self, now: Instant, local: SocketAddr, datagram: &[u8]) {
        let even = SocketAddr::new(local.ip(), local.port() & !1);
        let line = self.lines.values_mut().find(|line| line.local == even);
        if let Some(line) = line {
            line.handle_input(now, datagram);
        }
        self.settle(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
        for line in self.lines.values_mut() {
            if let Some(stream) = &mut line.stream {
                stream.handle_timeout(now);
            }
        }
        self.settle(now);
    }

    /// When to call [`Phone::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        let streams = self.lines.values().filter_map(|line| line.stream.as_ref());
        let streams = streams.filter_map(Stream::next_timeout);
        streams.chain(self.agent.next_timeout()).min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn stream(&mut self, call: CallId) -> Option<&mut Stream> {
        self.lines.get_mut(&call)?.stream.as_mut()
    }

    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                ua::Output::Transmit {
                    transport,
                    to,
                    bytes,
                } => self.outputs.push_back(Output::Signal {
                    transport,
                    to,
                    bytes,
                }),
                ua::Output::Event(event) => {
                    self.follow(now, &event);
                    self.outputs.push_back(Output::Event(event));
                }
            }
        }
        for line in self.lines.values_mut() {
            line.drain(&mut self.outputs);
        }
    }

    /// Lets the audio follow what happens to its call.
    fn follow(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Port { call, local } => {
                let line = Line {
                    local: *local,
                    stream: None,
                    early: Vec::new(),
                };
                self.lines.insert(*call, line);
                self.outputs.push_back(Output::Open { rtp: *local });
            }
            Event::Media { call, agreed, .. } => {
                let config = media::Config::agreed(agreed, self.voices.own);
                let (Some(line), Some(mut config)) = (self.lines.get_mut(call), config) else {
                    return;
                };
                config.expected_voice = self.voices.other;
                match &mut line.stream {
                    Some(stream) => stream.update(now, config),
                    None => line.open(Stream::new(now, config, &mut self.entropy)),
                }
            }
            Event::Ended { call, .. } => self.close(now, *call),
            _ => {}
        }
    }

    fn close(&mut self, now: Instant, call: CallId) {
        let Some(mut line) = self.lines.remove(&call) else {
            return;
        };
        if let Some(stream) = &mut line.stream {
            stream.end(now);
        }
        line.drain(&mut self.outputs);
        self.outputs.push_back(Output::Close { rtp: line.local });
        if let Some(stream) = line.stream {
            self.ended.insert(call, stream);
            if self.ended.len() > ENDED_MAX {
                self.ended.pop_first();
            }
        }
    }
}

impl Line {
    fn open(&mut self, mut stream: Stream) {
        for (came, datagram) in self.early.drain(..) {
            stream.handle_input(came, &datagram);
        }
        self.stream = Some(stream);
    }

    fn handle_input(&mut self, now: Instant, datagram: &[u8]) {
        match &mut self.stream {
            Some(stream) => stream.handle_input(now, datagram),
            None if self.early.len() < EARLY_MAX => self.early.push((now, datagram.to_vec())),
            None => {}
        }
    }

    fn drain(&mut self, outputs: &mut VecDeque<Output>) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        while let Some(transmit) = stream.poll_output() {
            let port = self.local.port() + u16::from(transmit.is_rtcp);
            outputs.push_back(Output::Media {
                from: SocketAddr::new(self.local.ip(), port),
                to: transmit.to,
                bytes: transmit.bytes,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ua::{Cause, Secret, Step};
    use base::TimerQueue;
    use std::time::Duration;

    /// Two telephones that are each other's P-CSCF, 5 ms apart, on virtual time.
    struct Pair {
        now: Instant,
        phones: [Phone; 2],
        events: [Vec<Event>; 2],
        open: Vec<SocketAddr>,
        ever_open: Vec<SocketAddr>,
        wires: TimerQueue<(SocketAddr, SocketAddr, Vec<u8>)>,
    }

    fn address(index: usize, ip6: bool) -> SocketAddr {
        let text = match (ip6, index) {
            (false, 0) => "192.0.2.1:5060",
            (false, _) => "192.0.2.2:5060",
            (true, 0) => "[2001:db8::1]:5060",
            (true, _) => "[2001:db8::2]:5060",
        };
        text.parse().unwrap()
    }

    impl Pair {
        fn new(ip6: bool, incoming: Vec<Step>) -> Self {
            let phone = |index: usize, name: &str, own, other| {
                let secret = Secret::Password("secret".into());
                let (local, proxy) = (address(index, ip6), address(1 - index, ip6));
                let mut config = Config::new(name, secret, local, proxy);
                config.policy.incoming.clone_from(&incoming);
                let voices = Voices {
                    own,
                    other: Some(other),
                };
                Phone::new(config, voices, Entropy::from_u64(index as u64))
            };
            Self {
                now: Instant::from_secs(1_700_000_000),
                phones: [
                    phone(0, "alice@ims.test", 1, 2),
                    phone(1, "bob@ims.test", 2, 1),
                ],
                events: [vec![], vec![]],
                open: vec![],
                ever_open: vec![],
                wires: TimerQueue::new(),
            }
        }

        fn run(&mut self, duration: Duration) {
            let until = self.now + duration;
            loop {
                self.flush();
                let phones = self.phones.iter().filter_map(Phone::next_timeout).min();
                let next = [phones, self.wires.next_timeout()]
                    .into_iter()
                    .flatten()
                    .min();
                let Some(next) = next.filter(|&next| next <= until) else {
                    self.now = until;
                    return;
                };
                self.now = self.now.max(next);
                while let Some((from, to, bytes)) = self.wires.pop_due(self.now) {
                    let phone = self
                        .phones
                        .iter_mut()
                        .find(|p| p.agent().config().local.ip() == to.ip());
                    match to.port() {
                        5060 => {
                            phone
                                .unwrap()
                                .handle_signal(self.now, Transport::Udp, from, &bytes)
                        }
                        port => {
                            let even = SocketAddr::new(to.ip(), port & !1);
                            assert!(
                                self.ever_open.contains(&even),
                                "{to} was not opened in time"
                            );
                            phone.unwrap().handle_media(self.now, to, &bytes);
                        }
                    }
                }
                self.phones
                    .iter_mut()
                    .for_each(|phone| phone.handle_timeout(next));
            }
        }

        fn flush(&mut self) {
            for (index, phone) in self.phones.iter_mut().enumerate() {
                let local = phone.agent().config().local;
                while let Some(output) = phone.poll_output() {
                    let wire = match output {
                        Output::Signal { to, bytes, .. } => (local, to, bytes),
                        Output::Media { from, to, bytes } => (from, to, bytes),
                        Output::Open { rtp } => {
                            self.open.push(rtp);
                            self.ever_open.push(rtp);
                            continue;
                        }
                        Output::Close { rtp } => {
                            self.open.retain(|open| *open != rtp);
                            continue;
                        }
                        Output::Event(event) => {
                            self.events[index].push(event);
                            continue;
                        }
                    };
                    self.wires.set(self.now + Duration::from_millis(5), wire);
                }
            }
        }
    }

    #[test]
    fn a_call_is_heard_in_full_at_both_ends_over_either_family() {
        for ip6 in [false, true] {
            let mut pair = Pair::new(ip6, vec![Step::Ring, Step::Answer]);
            let now = pair.now;
            let call = pair.phones[0].act(now, |agent| agent.call(now, "sip:bob@ims.test"));
            let call = call.unwrap();
            pair.run(Duration::from_secs(12));
            let there = pair.phones[1].agent().calls().next().unwrap();
            let (now, calls) = (pair.now, [call, there]);
            for (phone, call) in pair.phones.iter_mut().zip(calls) {
                assert!(phone.set_talking(now, call, false));
            }
            pair.run(Duration::from_millis(200));
            let now = pair.now;
            pair.phones[0]
                .act(now, |agent| agent.hang_up(now, call))
                .unwrap();
            pair.run(Duration::from_secs(1));
            let reports = [0, 1].map(|index| pair.phones[index].report(calls[index]).unwrap());
            for (report, other) in [(reports[0], reports[1]), (reports[1], reports[0])] {
                assert!(
                    report.received > 590 && report.received == other.sent,
                    "{report:?}"
                );
                assert_eq!((report.lost, report.refused), (0, 0));
                assert!(
                    report.mos > 4.3 && report.likeness.unwrap() > 0.98,
                    "{report:?}"
                );
            }
            let ended = Event::Ended {
                call,
                cause: Cause::HungUp,
            };
            assert_eq!(pair.events[0].last(), Some(&ended));
            assert!(pair.open.is_empty(), "{:?}", pair.open);
        }
    }

    #[test]
    fn a_held_call_is_silent_and_is_heard_again() {
        let mut pair = Pair::new(false, vec![Step::Answer]);
        let now = pair.now;
        let call = pair.phones[0].act(now, |agent| agent.call(now, "sip:bob@ims.test"));
        let call = call.unwrap();
        pair.run(Duration::from_secs(2));
        let now = pair.now;
        pair.phones[1]
            .act(now, |agent| {
                let there = agent.calls().next().unwrap();
                agent.update(now, there, sdp::Direction::Inactive)
            })
            .unwrap();
        pair.run(Duration::from_secs(1));
        let held = pair.phones[0].report(call).unwrap();
        pair.run(Duration::from_secs(5));
        let still = pair.phones[0].report(call).unwrap();
        assert_eq!((still.sent, still.received), (held.sent, held.received));
        let now = pair.now;
        pair.phones[1]
            .act(now, |agent| {
                let there = agent.calls().next().unwrap();
                agent.resume(now, there)
            })
            .unwrap();
        pair.run(Duration::from_secs(2));
        let again = pair.phones[0].report(call).unwrap();
        assert!(again.sent > still.sent + 90 && again.received > still.received + 90);
        assert_eq!(again.lost, 0);
    }

    #[test]
    fn a_call_that_comes_to_nothing_closes_what_it_opened() {
        let mut pair = Pair::new(false, vec![Step::Reject(486)]);
        let now = pair.now;
        let call = pair.phones[0].act(now, |agent| agent.call(now, "sip:bob@ims.test"));
        pair.run(Duration::from_secs(1));
        assert!(pair.open.is_empty());
        assert_eq!(pair.phones[0].report(call.unwrap()), None);
    }
}
