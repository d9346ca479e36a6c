//! An MRFP on the simulated network, with parties that say a tone each and keep what they hear.
#![allow(dead_code, reason = "each test uses a part")]

pub mod c_allocator;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::{Entropy, Instant};
use codecs::{Codec, Decoder, Encoded, Encoder, EncoderConfig, PACKET_SAMPLES_MAX};
use dataplane::io::sim::{self, Network, Packet as Sent};
use dataplane::{Config, Function, LocalAddress, LocalAddresses, Turn, Worker, runtime};
use h248::message::StreamMode;
use media::dtmf;
use media::event::EventSender;
use media::spectrum::level_at_dbov;
use media::tone::ToneGenerator;
use mg::{
    Announced, Announcement, ContextStream, Leg, LegAudio, LegEvents, LegFilter, LegLatch,
    LegMarking, LegMedia, LegPerformance, LegPolicing, LegRtcp, LegVolume, MediaEvent, MediaPlane,
    Performance, Performed, Recording,
};
use mrfp::{Dsp, DspLoad, Mrfp, MrfpConfig};
use rtp::{EventReceiver, HEADER_BYTES, Header, Packet};
use trgw::{Relay, Trgw};

pub struct Rig {
    pub now: Instant,
    pub mrfp: Mrfp,
    workers: Vec<Worker>,
    network: Network,
    /// What was sent and nobody has heard yet.
    sent: Vec<Sent>,
    context: u32,
    next_port: u16,
    folder: Option<PathBuf>,
    events: Vec<MediaEvent>,
    /// At which worker a packet arrives: now at the one, now at the other.
    arrivals: Entropy,
    /// What was sent elsewhere than to the media of a party.
    pub others: Vec<Vec<u8>>,
    /// What a turn takes in which there is something to do.
    pub turn_time: Duration,
    /// Turns of workers must not ask the allocator for anything.
    pub is_frugal: bool,
    /// The most that a worker has done in one turn.
    pub most: TurnWork,
}

/// What a worker does in a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnWork {
    /// Packets' worth of speech encoded.
    pub encoded: u64,
    /// Packets sent.
    pub sent: usize,
}

/// Payload type of telephone events.
const EVENTS: u8 = 101;

/// A party: what it is at the MRFP, what it says, and what it has heard lately.
pub struct Party {
    pub leg: Leg,
    pub hz: f32,
    pub amplitude: i16,
    pub packets: usize,
    /// Octets of the payload that came last.
    pub payload_bytes: usize,
    /// Ends of keys that came as events: which, and how many milliseconds each.
    pub keys: Vec<(u8, u64)>,
    /// Keys to be sent as events.
    presses: EventSender,
    key: EventReceiver,
    codec: Codec,
    encoder: Encoder,
    decoder: Decoder,
    header: Header,
    phase: f64,
    digit: Option<ToneGenerator>,
    heard: Vec<i16>,
}

impl Rig {
    pub fn new(workers: usize) -> Self {
        Self::with(workers, None, MrfpConfig::default())
    }

    pub fn with_config(workers: usize, config: MrfpConfig) -> Self {
        Self::with(workers, None, config)
    }

    /// With a file server, in a folder of its own.
    pub fn with_files() -> Self {
        let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let unique = unique.expect("it is later than that").as_nanos();
        let name = format!("mrfp-{}-{unique}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("prompts")).expect("a folder");
        Self::with(2, Some(folder), MrfpConfig::default())
    }

    fn with(workers: usize, folder: Option<PathBuf>, config: MrfpConfig) -> Self {
        let local = LocalAddress::new([192, 0, 2, 1].into(), 10_000..=10_399);
        let addresses = LocalAddresses::new(&[local]).expect("they are good");
        let (backend, network) = sim::backend(&addresses, workers, 1024);
        let loads: Vec<Arc<DspLoad>> = (0..workers).map(|_| Arc::default()).collect();
        let mut next = loads.iter();
        let function = |flows| {
            let load = Arc::clone(next.next().expect("one for each"));
            Box::new(Dsp::new(Relay::new(flows), flows, load)) as Box<dyn Function>
        };
        let (control, workers) = runtime(&Config::default(), backend, function).expect("it runs");
        let files = folder.as_ref().map(|folder| {
            let config = audio::Config {
                library: audio::LibraryConfig::new(folder.join("prompts")),
                recordings: folder.join("recordings"),
            };
            audio::FileServer::start(config, || {}).expect("it starts")
        });
        let entropy = Entropy::from_u64(7);
        Self {
            now: Instant::from_secs(1_800_000_000),
            mrfp: Mrfp::new(Trgw::new(control), config, loads, files, entropy),
            workers,
            network,
            sent: Vec::new(),
            context: 1,
            next_port: 10_000,
            folder,
            events: Vec::new(),
            arrivals: Entropy::from_u64(9),
            others: Vec::new(),
            turn_time: Duration::ZERO,
            is_frugal: false,
            most: TurnWork::default(),
        }
    }

    /// A file of prompts with a tone.
    pub fn prompt(&self, name: &str, rate: u32, hz: f32, ms: u64) {
        let samples: Vec<i16> = (0..u64::from(rate) * ms / 1000)
            .map(|index| sine(hz, rate, index as f64))
            .collect();
        let writer = audio::wav::Writer::new(audio::wav::Coding::Linear16, rate, 1);
        let writer = writer.expect("it can be written");
        let mut data = Vec::new();
        writer.samples(&samples, &mut data);
        let mut octets = writer.header(data.len() as u32);
        octets.extend(data);
        let folder = self.folder.as_ref().expect("there are files");
        std::fs::write(folder.join("prompts").join(name), octets).expect("it is written");
    }

    /// The tracks of a recording, a WAVE file.
    pub fn recorded(&self, name: &str) -> Vec<Vec<i16>> {
        let folder = self.folder.as_ref().expect("there are files");
        let path = folder.join("recordings").join(format!("{name}.wav"));
        let octets = std::fs::read(path).expect("it is recorded");
        let tracks = usize::from(u16::from_le_bytes([octets[22], octets[23]]));
        let at = octets
            .windows(4)
            .position(|id| id == b"data")
            .expect("it has samples");
        let (samples, _) = octets[at + 8..].as_chunks();
        let of = |track: usize| {
            let samples = samples.iter().skip(track).step_by(tracks);
            samples.map(|&sample| i16::from_le_bytes(sample)).collect()
        };
        (0..tracks).map(of).collect()
    }

    pub fn party(&mut self, codec: Codec, hz: f32) -> Party {
        self.party_as(codec, None, hz)
    }

    /// With parameters of its format.
    pub fn party_as(&mut self, codec: Codec, fmtp: Option<&str>, hz: f32) -> Party {
        let local = SocketAddr::from(([192, 0, 2, 1], self.next_port));
        let remote = SocketAddr::from(([203, 0, 113, 9], self.next_port));
        self.next_port += 2;
        self.mrfp.open(self.now, local).expect("it opens");
        let mut format = sdp::Codec::new(96, codec.encoding(), codec.rtp_clock_rate());
        format.channels = codec.channels();
        format.fmtp = fmtp.map(Into::into);
        let audio = LegAudio {
            receives: vec![format.clone()],
            sends: vec![format],
            ptime: None,
        };
        let config = EncoderConfig::default();
        Party {
            hz,
            amplitude: 6000,
            packets: 0,
            payload_bytes: 0,
            keys: Vec::new(),
            presses: EventSender::default(),
            key: EventReceiver::default(),
            encoder: codec.encoder(config).expect("there is the codec"),
            decoder: codec.decoder().expect("there is the codec"),
            header: Header {
                payload_type: 96,
                ssrc: u32::from(local.port()),
                ..Header::default()
            },
            phase: 0.0,
            digit: None,
            heard: Vec::new(),
            leg: Leg {
                local,
                media: LegMedia::Rtp {
                    clock_hz: codec.rtp_clock_rate(),
                    speech: None,
                },
                remote: Some(remote),
                rtcp: LegRtcp::None,
                srtp: None,
                dtls: None,
                mode: StreamMode::SendReceive,
                latch: LegLatch::Off,
                filter: LegFilter::default(),
                policing: LegPolicing::default(),
                marking: LegMarking::Dscp(46),
                inactivity: None,
                detects: None,
                sends_events: None,
                plays_outward: None,
                plays_inward: None,
                audio: Some(Arc::new(audio)),
                heeds_tones: false,
                heeds_talk: false,
                volume: LegVolume::default(),
                performs: Vec::new(),
            },
            codec,
        }
    }

    /// With telephone events besides, if it takes any.
    pub fn party_with_keys(&mut self, codec: Codec, hz: f32, takes_events: bool) -> Party {
        let mut party = self.party(codec, hz);
        if takes_events {
            let clock_hz = party.codec.rtp_clock_rate();
            let mut audio = LegAudio::clone(party.leg.audio.as_ref().expect("it is audio"));
            let events = sdp::Codec::new(EVENTS, "telephone-event", clock_hz);
            audio.receives.push(events.clone());
            audio.sends.push(events);
            party.leg.audio = Some(Arc::new(audio));
            party.leg.sends_events = Some(LegEvents {
                payload_type: EVENTS,
                clock_hz,
            });
        }
        party
    }

    /// The context that is meant from now on.
    pub fn name(&mut self, context: u32) {
        self.context = context;
    }

    pub fn connect(&mut self, parties: &[Party], isolated: &[(usize, usize)]) {
        let legs: Vec<Leg> = parties.iter().map(|party| party.leg.clone()).collect();
        let name = ContextStream {
            context: self.context,
            stream: 1,
        };
        self.mrfp.connect(name, &legs, isolated);
        self.settle();
    }

    pub fn close(&mut self, party: &Party) {
        self.mrfp.close(party.leg.local);
        self.settle();
    }

    pub fn performance(&self, number: u64, what: Performance) -> LegPerformance {
        LegPerformance {
            number,
            what: Arc::new(what),
            outward: true,
            inward: false,
            is_finishing: false,
        }
    }

    /// Everybody talks and listens for a time; the last second of what is heard is kept.
    pub fn talk(&mut self, parties: &mut [Party], time: Duration) {
        let end = self.now + time;
        while self.now < end {
            for party in parties.iter_mut() {
                if let Some(packet) = party.says() {
                    let remote = party.leg.remote.expect("it has one");
                    let worker = self.arrivals.below(self.workers.len() as u64) as usize;
                    assert!(self.network.send(worker, remote, party.leg.local, &packet));
                }
            }
            for _ in 0..4 {
                self.now += Duration::from_millis(5);
                self.settle();
                for packet in std::mem::take(&mut self.sent) {
                    let mut all = parties.iter_mut();
                    let to = all.find(|party| party.leg.remote == Some(packet.destination));
                    match to {
                        Some(party) => party.hears(&packet.payload),
                        None => self.others.push(packet.payload),
                    }
                }
            }
        }
    }

    /// Turns of all workers until none has anything to do.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            let turns: Vec<Turn> = (0..self.workers.len()).map(|at| self.turn(at)).collect();
            while let Some(event) = self.mrfp.poll_event(self.now) {
                self.events.push(event);
            }
            if turns.iter().all(|turn| *turn == Turn::Idle) {
                return;
            }
        }
        panic!("the workers do not come to rest");
    }

    /// One turn of a worker.
    fn turn(&mut self, worker: usize) -> Turn {
        let encoded = |mrfp: &Mrfp| mrfp.loads()[worker].encoded;
        let before = encoded(&self.mrfp);
        let turn = turn(&mut self.workers[worker], self.now, self.is_frugal);
        let had = self.sent.len();
        self.sent
            .extend(std::iter::from_fn(|| self.network.receive()));
        let most = &mut self.most;
        most.encoded = most.encoded.max(encoded(&self.mrfp) - before);
        most.sent = most.sent.max(self.sent.len() - had);
        if turn == Turn::Busy {
            self.now += self.turn_time;
        }
        turn
    }

    pub fn events(&mut self) -> Vec<MediaEvent> {
        std::mem::take(&mut self.events)
    }

    /// Talks until a performance ends: its number and how. Files take real time.
    pub fn until_performed(&mut self, parties: &mut [Party]) -> (u64, Performed) {
        for _ in 0..5000 {
            self.talk(parties, Duration::from_millis(20));
            for event in self.events() {
                if let MediaEvent::Performed {
                    number, performed, ..
                } = event
                {
                    return (number, performed);
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("it does not end");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Party {
    /// Its packet of the next 20 ms.
    fn says(&mut self) -> Option<Vec<u8>> {
        let rate = self.codec.sample_rate();
        let ticks = self.codec.rtp_clock_rate() / 50;
        if let Some(event) = self.presses.tick(self.header.timestamp, ticks, 0) {
            self.header.sequence = self.header.sequence.wrapping_add(1);
            self.header.timestamp = self.header.timestamp.wrapping_add(ticks);
            let header = Header {
                marker: event.marker,
                payload_type: EVENTS,
                timestamp: event.timestamp,
                ..self.header
            };
            let mut packet = vec![0; HEADER_BYTES];
            header.write_to(&mut packet).expect("there is room");
            packet.extend(event.event.to_bytes());
            return Some(packet);
        }
        let mut samples = vec![0; (rate / 50) as usize];
        match &mut self.digit {
            Some(digit) => drop(digit.fill(&mut samples)),
            None => {
                for sample in &mut samples {
                    let value = f64::from(sine(self.hz, rate, self.phase));
                    *sample = (value * f64::from(self.amplitude) / 8000.0) as i16;
                    self.phase += 1.0;
                }
            }
        }
        let mut packet = vec![0; HEADER_BYTES + self.encoder.payload_bytes_max()];
        let encoded = self.encoder.encode(&samples, &mut packet[HEADER_BYTES..]);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(ticks);
        match encoded.expect("samples of a packet") {
            Encoded::Payload { len, .. } => {
                packet.truncate(HEADER_BYTES + len);
                self.header.write_to(&mut packet).expect("there is room");
                Some(packet)
            }
            Encoded::Nothing => None,
        }
    }

    fn hears(&mut self, packet: &[u8]) {
        let packet = Packet::new(packet).expect("it is RTP");
        if packet.payload_type() == EVENTS {
            let (header, keys) = (packet.header(), &mut self.keys);
            let clock_hz = self.codec.rtp_clock_rate();
            let now = Instant::from_secs(u64::from(header.sequence));
            let payload = packet.payload();
            self.key.receive(now, &header, payload, clock_hz, |event| {
                let ended = event.lasted.map(|lasted| lasted.as_millis() as u64);
                keys.extend(ended.map(|ms| (event.code, ms)));
                true
            });
            return;
        }
        assert_eq!(packet.payload_type(), 96);
        let mut samples = vec![0; PACKET_SAMPLES_MAX];
        let decoded = self.decoder.decode(packet.payload(), &mut samples);
        let decoded = decoded.expect("it is a payload");
        self.heard.extend(&samples[..decoded.samples]);
        self.packets += 1;
        self.payload_bytes = packet.payload().len();
        let second = self.codec.sample_rate() as usize;
        let excess = self.heard.len().saturating_sub(second);
        self.heard.drain(..excess);
    }

    /// How loud something is in the last second that it heard.
    pub fn level_at(&self, hz: f32) -> f32 {
        match self.heard.is_empty() {
            true => -127.0,
            false => level_at_dbov(&self.heard, self.codec.sample_rate(), hz),
        }
    }

    pub fn says_digit(&mut self, code: u8) {
        let tone = dtmf::tone(code, None).expect("a digit");
        let rate = self.codec.sample_rate();
        self.digit = Some(ToneGenerator::new(tone, rate, dtmf::LEVEL_DBM0));
    }

    /// Presses a key for 80 ms, as events.
    pub fn presses(&mut self, code: u8) {
        let ticks = self.codec.rtp_clock_rate() * 80 / 1000;
        self.presses
            .start(code, Some(ticks))
            .expect("there is room");
    }

    /// Asks for a speech mode, from the next packet on.
    pub fn asks_for_mode(&mut self, mode: u8) {
        self.encoder.ask_peer(Some(mode));
    }

    pub fn says_nothing(&mut self) {
        self.digit = None;
        self.amplitude = 0;
    }

    pub fn clear(&mut self) {
        self.heard.clear();
        self.packets = 0;
    }
}

fn turn(worker: &mut Worker, now: Instant, is_frugal: bool) -> Turn {
    let mut turn = Turn::Idle;
    let before = c_allocator::asked();
    let measured = allocation_counter::measure(|| turn = worker.turn(now));
    let after = c_allocator::asked();
    if is_frugal {
        assert_eq!(
            before, after,
            "allocations in a turn, libraries in C included"
        );
        assert_eq!(measured.count_total, 0, "allocations in a turn");
        assert_eq!(measured.count_current, 0, "frees in a turn");
    }
    turn
}

fn sine(hz: f32, rate: u32, index: f64) -> i16 {
    let angle = std::f64::consts::TAU * f64::from(hz) * index / f64::from(rate);
    (8000.0 * angle.sin()) as i16
}

/// Every codec there is, with the parameters of its format.
pub fn codecs() -> Vec<(Codec, Option<&'static str>)> {
    let formats = [
        ("PCMU", 8_000, 1, None),
        ("PCMA", 8_000, 1, None),
        ("G722", 8_000, 1, None),
        ("L16", 16_000, 1, None),
        ("AMR", 8_000, 1, None),
        ("AMR-WB", 16_000, 1, Some("octet-align=1")),
        ("opus", 48_000, 2, None),
    ];
    let codec = |(encoding, clock, channels, fmtp)| {
        let codec = Codec::from_sdp(encoding, clock, channels, fmtp);
        (codec.expect("it is known"), fmtp)
    };
    formats.into_iter().map(codec).collect()
}

pub fn announcement(syntax: &str) -> Performance {
    Performance::Announcement(Announcement {
        what: Announced::Syntax(syntax.into()),
        cycles: Some(1),
        interval: Duration::ZERO,
        offset: Duration::ZERO,
        volume_db: 0,
    })
}

pub fn recording(name: &str) -> Performance {
    Performance::Recording(Recording {
        name: name.into(),
        ..Recording::default()
    })
}
