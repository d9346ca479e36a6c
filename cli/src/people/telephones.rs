//! Built-in telephones that are called: they register, answer, speak in turn or only listen, and
//! leave when they are no longer wanted.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ::control::clock::Clock;
use base::{Entropy, Instant};
use load::phone::{Output, Phone, Voices};
use load::ua::{CallId, Config, Event};
use rtp::DatagramKind;

use crate::call::party::{Access, Added};
use crate::call::sockets::{self, Place, Socket, Telephones, Transmit};
use crate::call::{EXPIRES_S, seed};
use crate::failure::Failure;

/// How long one speaks before it is the next one's turn.
const TURN: Duration = Duration::from_secs(2);
/// All registrations together.
const REGISTER_LIMIT: Duration = Duration::from_secs(10);
/// For hanging up and de-registration.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);
/// How often it is looked what the telephones have done.
const POLL: Duration = Duration::from_millis(20);

/// Telephones on a thread of their own; they leave when this is dropped.
pub struct Household {
    /// Their URIs.
    pub uris: Vec<String>,
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), Failure>>>,
    // Dropped after the telephones have left.
    _added: Added,
}

/// What the telephones say of themselves.
#[derive(Default)]
struct Board {
    are_ready: AtomicBool,
    /// Packets of RTP that they have received.
    heard: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Household {
    /// Adds subscribers to the HSS, and registers a telephone for each at the P-CSCF. They speak in
    /// turn when they are called, or listen only.
    ///
    /// # Errors
    /// They cannot be added, or do not get registered.
    pub fn start(
        access: &Access<'_>,
        proxy: SocketAddr,
        count: usize,
        speak: bool,
    ) -> Result<Self, Failure> {
        let mut entropy = Entropy::from_seed(seed()?);
        let names: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (parties, added) = Added::new(access, "phone", &names, &mut entropy)?;
        let mut places = Vec::new();
        let mut configs = Vec::new();
        for party in &parties {
            let place = Place::open(None, proxy, true)?;
            let local = place.signal_address();
            let mut config = Config::new(&party.impi, party.secret.clone(), local, proxy);
            config.expires = EXPIRES_S;
            let port = place.media_port();
            config.media_ports = port..=port.saturating_add(1);
            configs.push(config);
            places.push(place);
        }
        let board = Arc::new(Board::default());
        let stop = Arc::new(AtomicBool::new(false));
        let clock = Clock::start();
        let mut group = Group::new(
            clock.now(),
            configs,
            speak,
            Arc::clone(&board),
            &mut entropy,
        );
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("telephones".into())
            .spawn(move || sockets::run(&mut group, &mut places, &clock, &told))
            .map_err(|fault| Failure::new("cannot start a thread").because(fault))?;
        let household = Self {
            uris: parties
                .iter()
                .map(|it| format!("sip:{}", it.impi))
                .collect(),
            board,
            stop,
            thread: Some(thread),
            _added: added,
        };
        household.wait_until_ready()?;
        Ok(household)
    }

    fn wait_until_ready(&self) -> Result<(), Failure> {
        // They give up by themselves, in bounded time.
        while !self.board.are_ready.load(Ordering::Acquire) {
            let is_over = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            let failure = self.board.failure.lock();
            let failure = failure.unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(why) = failure {
                return Err(Failure::new("the built-in telephones are not registered").because(why));
            }
            if is_over {
                return Err(Failure::new("the built-in telephones have failed"));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Packets of RTP that they have received.
    pub fn heard(&self) -> u64 {
        self.board.heard.load(Ordering::Relaxed)
    }
}

impl Drop for Household {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // What they could not do in order has been told, or nobody is left to tell.
            let _ = thread.join();
        }
    }
}

/// The telephones, without sockets and time.
struct Group {
    phones: Vec<Telephone>,
    speak: bool,
    stage: Stage,
    until: Instant,
    /// Whose turn it is, and till when.
    turn: usize,
    turn_ends: Instant,
    board: Arc<Board>,
    outputs: VecDeque<Transmit>,
}

struct Telephone {
    phone: Phone,
    call: Option<CallId>,
    is_registered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Registering,
    Ready,
    Leaving,
    Over,
}

impl Group {
    fn new(
        now: Instant,
        configs: Vec<Config>,
        speak: bool,
        board: Arc<Board>,
        entropy: &mut Entropy,
    ) -> Self {
        let mut phone = |(index, config): (usize, Config)| {
            let own = u32::try_from(index).unwrap_or(0) + 1;
            let voices = Voices { own, other: None };
            Telephone {
                phone: Phone::new(config, voices, Entropy::from_seed(entropy.bytes())),
                call: None,
                is_registered: false,
            }
        };
        let mut group = Self {
            phones: configs.into_iter().enumerate().map(&mut phone).collect(),
            speak,
            stage: Stage::Registering,
            until: now + REGISTER_LIMIT,
            turn: 0,
            turn_ends: now + TURN,
            board,
            outputs: VecDeque::new(),
        };
        for each in &mut group.phones {
            // What cannot even be asked for is missed at the end of the time.
            let _ = each.phone.act(now, |agent| agent.register(now));
        }
        group.settle(now);
        group
    }

    fn settle(&mut self, now: Instant) {
        for place in 0..self.phones.len() {
            while let Some(output) = self.phones[place].phone.poll_output() {
                let (from, to, bytes) = match output {
                    Output::Signal {
                        transport,
                        to,
                        bytes,
                    } => (Socket::Sip(transport), to, bytes),
                    Output::Media { from, to, bytes } if from.port() % 2 == 0 => {
                        (Socket::Rtp, to, bytes)
                    }
                    Output::Media { to, bytes, .. } => (Socket::Rtcp, to, bytes),
                    Output::Open { .. } | Output::Close { .. } => continue,
                    Output::Event(event) => {
                        self.follow(now, place, event);
                        continue;
                    }
                };
                self.outputs.push_back(Transmit {
                    place,
                    from,
                    to,
                    bytes,
                });
            }
        }
    }

    fn follow(&mut self, now: Instant, place: usize, event: Event) {
        match event {
            Event::Registered { .. } => {
                self.phones[place].is_registered = true;
                if self.phones.iter().all(|each| each.is_registered)
                    && self.stage == Stage::Registering
                {
                    self.stage = Stage::Ready;
                    self.board.are_ready.store(true, Ordering::Release);
                }
            }
            Event::RegistrationFailed { status, reason } if self.stage == Stage::Registering => {
                self.fail(now, format!("{status} {reason}"));
            }
            Event::RegistrationFailed { .. } | Event::Deregistered => {
                self.phones[place].is_registered = false;
                self.leave_when_alone();
            }
            Event::Established { call } => {
                self.phones[place].call = Some(call);
                self.let_speak(now, place);
            }
            Event::Ended { call, .. } if self.phones[place].call == Some(call) => {
                self.phones[place].call = None;
                self.leave_when_alone();
            }
            _ => {}
        }
    }

    fn let_speak(&mut self, now: Instant, place: usize) {
        let speaks = self.speak && place == self.turn;
        let each = &mut self.phones[place];
        if let Some(call) = each.call {
            each.phone.set_talking(now, call, speaks);
        }
    }

    fn fail(&mut self, now: Instant, why: String) {
        let failure = self.board.failure.lock();
        let mut failure = failure.unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(why);
        drop(failure);
        self.leave(now);
    }

    fn leave(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Leaving | Stage::Over) {
            return;
        }
        self.stage = Stage::Leaving;
        self.until = now + FAREWELL_LIMIT;
        for each in &mut self.phones {
            if let Some(call) = each.call {
                let _ = each.phone.act(now, |agent| agent.hang_up(now, call));
            }
            if each.is_registered {
                let _ = each.phone.act(now, |agent| agent.deregister(now));
            }
        }
        self.leave_when_alone();
    }

    fn leave_when_alone(&mut self) {
        let is_alone = |each: &Telephone| !each.is_registered && each.call.is_none();
        if self.stage == Stage::Leaving && self.phones.iter().all(is_alone) {
            self.stage = Stage::Over;
        }
    }
}

impl Telephones for Group {
    fn handle_input(
        &mut self,
        now: Instant,
        place: usize,
        at: Socket,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        let phone = &mut self.phones[place].phone;
        let config = phone.agent().config();
        if let Socket::Sip(transport) = at {
            phone.handle_signal(now, transport, from, datagram);
        } else {
            if rtp::datagram_kind(datagram) == DatagramKind::Rtp {
                self.board.heard.fetch_add(1, Ordering::Relaxed);
            }
            let rtp = *config.media_ports.start();
            let port = rtp.saturating_add(u16::from(at == Socket::Rtcp));
            let local = SocketAddr::new(config.media_ip, port);
            phone.handle_media(now, local, datagram);
        }
        self.settle(now);
    }

    fn handle_unreachable(&mut self, now: Instant, place: usize, peer: SocketAddr) {
        let phone = &mut self.phones[place].phone;
        if self.stage == Stage::Registering && peer == phone.agent().config().proxy {
            self.fail(now, format!("no P-CSCF at {peer}"));
        } else {
            phone.act(now, |agent| agent.handle_unreachable(now, peer));
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        for each in &mut self.phones {
            each.phone.handle_timeout(now);
        }
        self.settle(now);
        if now >= self.turn_ends {
            self.turn_ends = now + TURN;
            self.turn = (self.turn + 1) % self.phones.len().max(1);
            for place in 0..self.phones.len() {
                self.let_speak(now, place);
            }
            self.settle(now);
        }
        if now >= self.until {
            match self.stage {
                Stage::Registering => {
                    self.fail(
                        now,
                        format!("no answer within {} s", REGISTER_LIMIT.as_secs()),
                    );
                    self.settle(now);
                }
                Stage::Leaving => self.stage = Stage::Over,
                Stage::Ready | Stage::Over => {}
            }
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let limit = match self.stage {
            Stage::Over => return None,
            Stage::Ready => self.turn_ends,
            Stage::Registering | Stage::Leaving => self.until.min(self.turn_ends),
        };
        let phones = self.phones.iter();
        let phones = phones.filter_map(|each| each.phone.next_timeout());
        phones.chain([limit]).min()
    }

    fn poll_output(&mut self) -> Option<Transmit> {
        self.outputs.pop_front()
    }

    fn stop(&mut self, now: Instant, _why: Failure) {
        self.leave(now);
        self.settle(now);
    }

    fn blame(&mut self, _fault: String) {}
}
