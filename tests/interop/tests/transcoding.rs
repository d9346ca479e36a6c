//! Every codec heard in every other: pairs of terminations of one MRFP, commanded in H.248 by
//! `strowger h248`, with speech both ways; ffmpeg decodes what came out.
//!
//! TRANSCODING_MINUTES has them talk for so long, after which the delay may not have grown;
//! TRANSCODING_TABLE names a file for the figures, which `docs/transcoding.md` has.

use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use codecs::{Encoded, EncoderConfig};
use interop::quality::{Quality, RATE, compare};
use interop::voice::{self, Format, PTIME};
use interop::{Folder, Namespace, Process, reference, strowger};
use rtp::{HEADER_BYTES, Header, Packet};

const MGC: &str = "127.0.0.1:2944";
const MRFP: &str = "127.0.0.2";
const PARTY: &str = "127.0.0.3:0";
const LIMIT: Duration = Duration::from_secs(60);
const FORMATS: [Format; 7] = [
    Format::PCMU,
    Format::PCMA,
    Format::L16,
    Format::G722,
    Format::AMR,
    Format::AMR_WB,
    Format::OPUS,
];
/// What is said, over and over.
const LOOP: Duration = Duration::from_secs(5);
const PACKETS_PER_LOOP: usize = (LOOP.as_millis() / PTIME.as_millis()) as usize;
const SEED: u32 = 9;
/// What of it is looked for: where nothing is heard as it is to be, the next is.
const BEGINNINGS: [Duration; 3] = [
    Duration::from_millis(1500),
    Duration::from_millis(2300),
    Duration::from_millis(3000),
];
const PART: Duration = Duration::from_millis(1200);
/// Rounds in which pairs talk: what a busy gateway has no room for, or stammers, comes again.
const ROUNDS_MAX: u32 = 6;
/// The longest delay that is looked for.
const DELAY_MAX: Duration = Duration::from_millis(500);
/// What transcoding may add to the distances that both codecs have by themselves.
const MARGIN_DB: f32 = 0.8;
/// By how much the delay may have grown: what a jitter buffer on a busy machine adapts by.
const GROWTH_MS_MAX: f32 = 40.0;

fn octets(time: Duration) -> usize {
    (time.as_millis() as u32 * RATE / 1000) as usize
}

/// One end of a call: it says what was encoded before, and keeps what it receives.
struct Party {
    format: usize,
    socket: UdpSocket,
    peer: SocketAddr,
    /// When it came, what its timestamp was, and the payload; of the first and the last loop.
    first: Vec<(Duration, Vec<u8>)>,
    last: Vec<(Duration, Vec<u8>)>,
}

impl Party {
    fn new(namespace: &Namespace, format: usize) -> Self {
        let at: SocketAddr = PARTY.parse().expect("an address");
        let socket = namespace.inside(|| UdpSocket::bind(at)).expect("a port");
        socket.set_nonblocking(true).expect("a socket has modes");
        Self {
            format,
            socket,
            peer: at,
            first: Vec::new(),
            last: Vec::new(),
        }
    }

    /// The termination with what it sends and receives, as H.248 has it.
    fn add(&self) -> String {
        let port = self.socket.local_addr().expect("it is bound").port();
        let format = FORMATS[self.format].without_events();
        let describe = |address: &str, port: &str| {
            let lines = format
                .describe(0)
                .replacen("m=audio 0", &format!("m=audio {port}"), 1);
            format!("v=0\r\nc=IN IP4 {address}\r\n{lines}\r\n")
        };
        format!(
            "Add = $ {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = SendReceive }}, Local \
             {{\r\n{}}}, Remote {{\r\n{}}} }} }} }}",
            describe("$", "$"),
            describe("127.0.0.3", &port.to_string())
        )
    }

    fn speak(&self, number: u32, payloads: &[Vec<u8>]) {
        let format = &FORMATS[self.format];
        let payload = &payloads[number as usize % payloads.len()];
        let ticks = format.codec().rtp_clock_rate() / 50;
        let header = Header {
            payload_type: format.payload_type,
            marker: number == 0,
            sequence: number as u16,
            timestamp: number.wrapping_mul(ticks),
            ssrc: 1,
        };
        let mut packet = vec![0; HEADER_BYTES];
        header.write_to(&mut packet).expect("there is room");
        packet.extend_from_slice(payload);
        // What does not leave is lost, and is told by what is heard.
        let _ = self.socket.send_to(&packet, self.peer);
    }

    fn listen(&mut self, now: Duration, end: Duration) {
        let mut datagram = [0; 2048];
        loop {
            let count = match self.socket.recv(&mut datagram) {
                Ok(count) => count,
                Err(fault) if fault.kind() == ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            let packet = Packet::new(&datagram[..count]).expect("it is RTP");
            assert_eq!(packet.payload_type(), FORMATS[self.format].payload_type);
            let heard = (now, packet.payload().to_vec());
            if now < LOOP {
                self.first.push(heard);
            } else if now >= end - LOOP {
                self.last.push((now - (end - LOOP), heard.1));
            }
        }
    }
}

/// What is said, in packets of this format.
fn encode(format: &Format) -> Vec<Vec<u8>> {
    let codec = format.codec();
    let said = voice::speech(SEED, LOOP, codec.sample_rate());
    let encoder = codec.encoder(EncoderConfig::default());
    let mut encoder = encoder.expect("the codec is built in");
    let mut room = vec![0; encoder.payload_bytes_max()];
    let packets = said.chunks(encoder.packet_samples());
    let packet = |samples: &[i16]| {
        let mut samples = samples.to_vec();
        samples.resize(encoder.packet_samples(), 0);
        match encoder
            .encode(&samples, &mut room)
            .expect("samples of a packet")
        {
            Encoded::Payload { len, .. } => room[..len].to_vec(),
            Encoded::Nothing => panic!("nothing without DTX"),
        }
    };
    packets.map(packet).take(PACKETS_PER_LOOP).collect()
}

/// A pair of different codecs, in one context.
struct Pair {
    ends: [Party; 2],
}

impl Pair {
    fn new(namespace: &Namespace, (one, other): (usize, usize)) -> Self {
        Self {
            ends: [one, other].map(|format| Party::new(namespace, format)),
        }
    }

    /// The action that makes its context.
    fn action(&self) -> String {
        let [one, other] = self.ends.each_ref().map(Party::add);
        format!("Context = $ {{ {one},\n{other} }}\n")
    }

    /// Takes from the reply where both are to send; false when there was no room for them.
    fn take(&mut self, reply: &str) -> bool {
        let ports = reply.lines().filter_map(|line| {
            let (port, _) = line.trim().strip_prefix("m=audio ")?.split_once(' ')?;
            port.parse::<u16>().ok()
        });
        let ports: Vec<u16> = ports.collect();
        for (end, port) in self.ends.iter_mut().zip(&ports) {
            end.peer = format!("{MRFP}:{port}").parse().expect("an address");
        }
        assert!(ports.len() == 2 || reply.contains("Error = 510"), "{reply}");
        ports.len() == 2
    }
}

/// An MRFP and its controller, which stays for as long as it does: nobody else would answer what
/// the MRFP asks to see whether it is there.
struct Gateway {
    namespace: Namespace,
    controller: Process,
    mrfp: Process,
    /// With what they write, for as long as they run.
    _folder: Folder,
}

impl Gateway {
    fn new() -> Self {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        let line = format!("h248 --wait --mid {MGC} --h248 compact,udp --timeout 30");
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut command = strowger::command(&namespace, &arguments);
        let controller = Process::start_with_input("h248", &mut command, folder.path());
        let line = format!(
            "media --functions mrfp --mgc {MGC} --mid {MRFP}:2944 --h248 compact,udp --address \
             {MRFP} --ports 20000-20999 --io udp"
        );
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let admin = format!("{MRFP}:9081");
        Self {
            mrfp: strowger::start(&namespace, &folder, "media", &admin, &arguments),
            namespace,
            controller,
            _folder: folder,
        }
    }

    /// Says so many transactions and returns the reply to each.
    fn tell(&mut self, transactions: &str, count: usize) -> Vec<String> {
        // Each is written at once.
        let replies = |output: &str| -> Vec<String> {
            let replies = output.split("Reply = ").skip(1);
            replies.map(str::to_owned).collect()
        };
        let before = replies(&self.controller.output()).len();
        self.controller.write_input(transactions);
        strowger::wait_until(LIMIT, "all is answered", || {
            replies(&self.controller.output()).len() == before + count
        });
        replies(&self.controller.output()).split_off(before)
    }

    /// Makes the contexts of these pairs, besides which there are none; those for which there was
    /// room.
    fn connect(&mut self, pairs: &[(usize, usize)]) -> Vec<Pair> {
        let is_first = self.controller.output().is_empty();
        if !is_first {
            self.tell("Context = * { W-Subtract = * { Audit { } } }\n", 1);
        }
        let new = |pair: &(usize, usize)| Pair::new(&self.namespace, *pair);
        let pairs: Vec<Pair> = pairs.iter().map(new).collect();
        let actions: String = pairs.iter().map(Pair::action).collect();
        let replies = self.tell(&actions, pairs.len());
        let both = pairs.into_iter().zip(&replies);
        both.filter_map(|(mut pair, reply)| pair.take(reply).then_some(pair))
            .collect()
    }
}

/// What became of what was said, from what was heard in a loop: of the first part that is within
/// the limit, or of any.
fn judge(
    format: &Format,
    heard: &[(Duration, Vec<u8>)],
    said: &[i16],
    limit: f32,
) -> Option<Quality> {
    let (first, _) = heard.first()?;
    let payloads: Vec<Vec<u8>> = heard.iter().map(|(_, payload)| payload.clone()).collect();
    let samples = reference::decode(format, &payloads, RATE);
    let judge = |beginning: &Duration| {
        let (from, length) = (octets(*beginning), octets(PART));
        // What came first was on its way for no time at least.
        let at = octets(beginning.checked_sub(*first)?);
        let heard = samples.get(at..at + length + octets(DELAY_MAX))?;
        compare(&said[from..from + length], heard)
    };
    let all: Vec<Quality> = BEGINNINGS.iter().filter_map(judge).collect();
    let good = all.iter().find(|it| it.distance_db < limit);
    good.or(all.first()).copied()
}

/// What all pairs make of what is said.
struct Bench {
    minutes: u64,
    said: Vec<i16>,
    /// What is said in each format.
    payloads: Vec<Vec<Vec<u8>>>,
    /// The distance that each format has by itself, as ffmpeg hears it.
    alone: Vec<f32>,
    table: Vec<Vec<Option<Quality>>>,
}

impl Bench {
    fn new(minutes: u64) -> Self {
        let payloads: Vec<_> = FORMATS.iter().map(encode).collect();
        let said = voice::speech(SEED, LOOP, RATE);
        let alone = FORMATS.iter().zip(&payloads).map(|(format, payloads)| {
            let now = |payload: &Vec<u8>| (Duration::ZERO, payload.clone());
            let heard: Vec<_> = payloads.iter().map(now).collect();
            let quality = judge(format, &heard, &said, f32::MAX);
            quality.expect("it is heard").distance_db
        });
        Self {
            minutes,
            alone: alone.collect(),
            said,
            payloads,
            table: vec![vec![None; FORMATS.len()]; FORMATS.len()],
        }
    }

    /// All talk for as long as they are to.
    fn talk(&self, pairs: &mut [Pair]) {
        let least = LOOP.max(Duration::from_secs(60 * self.minutes));
        let loops = least.as_millis().div_ceil(LOOP.as_millis()) as u32;
        let start = Instant::now();
        for number in 0..loops * PACKETS_PER_LOOP as u32 {
            for party in pairs.iter_mut().flat_map(|pair| &mut pair.ends) {
                party.speak(number, &self.payloads[party.format]);
                party.listen(start.elapsed(), LOOP * loops);
            }
            let due = PTIME * (number + 1);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }

    /// What is wrong with what one end heard of the other.
    fn judge(&mut self, from: usize, to: &Party) -> Result<(), String> {
        let format = &FORMATS[to.format];
        let name = format!("{} in {}", FORMATS[from].encoding.0, format.encoding.0);
        let limit = self.alone[from] + self.alone[to.format] + MARGIN_DB;
        let quality = judge(format, &to.first, &self.said, limit);
        let count = to.first.len();
        let quality = quality.ok_or_else(|| format!("{name}: not heard in {count} packets"))?;
        println!("{name}: {quality:?}, to be less than {limit:.1} dB");
        if quality.distance_db > limit {
            return Err(format!("{name}: {quality:?} above {limit:.1} dB"));
        }
        if self.minutes == 0 {
            self.table[from][to.format] = Some(quality);
            return Ok(());
        }
        let last = judge(format, &to.last, &self.said, limit);
        let last = last.ok_or_else(|| format!("{name}: not heard at the end"))?;
        println!("{name}: {last:?} at the end");
        self.table[from][to.format] = Some(last);
        match last.delay_ms > quality.delay_ms + GROWTH_MS_MAX || last.distance_db > limit {
            true => Err(format!("{name}: {quality:?}, and at the end {last:?}")),
            false => Ok(()),
        }
    }
}

#[test]
fn every_codec_is_heard_in_every_other_and_does_not_drift() {
    let minutes = match std::env::var("TRANSCODING_MINUTES") {
        Ok(minutes) => minutes.parse().expect("a number of minutes"),
        Err(_) => 0,
    };
    let mut bench = Bench::new(minutes);
    let mut gateway = Gateway::new();
    let all = (0..FORMATS.len()).flat_map(|one| (one + 1..FORMATS.len()).map(move |it| (one, it)));
    let mut rest: Vec<(usize, usize)> = all.collect();
    let mut failures = Vec::new();
    for _ in 0..ROUNDS_MAX {
        failures.clear();
        let mut pairs = gateway.connect(&rest);
        println!("{} of {} pairs talk", pairs.len(), rest.len());
        bench.talk(&mut pairs);
        for Pair { ends: [one, other] } in &pairs {
            let judged = [
                bench.judge(one.format, other),
                bench.judge(other.format, one),
            ];
            let faults: Vec<String> = judged.into_iter().filter_map(Result::err).collect();
            if faults.is_empty() {
                rest.retain(|pair| *pair != (one.format, other.format));
            }
            failures.extend(faults);
        }
        if rest.is_empty() {
            break;
        }
    }
    assert!(rest.is_empty(), "{rest:?} {failures:#?}");
    let mrfp = &mut gateway.mrfp;
    assert!(mrfp.is_running(), "{}", mrfp.output());
    if let Ok(path) = std::env::var("TRANSCODING_TABLE") {
        let text = document(&bench.table, &bench.alone);
        std::fs::write(&path, text).expect("the file can be written");
    }
}

/// The figures, as `docs/transcoding.md` has them.
fn document(table: &[Vec<Option<Quality>>], alone: &[f32]) -> String {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.encoding.0).collect();
    let mut text = HEAD.to_owned();
    let mut section = |title: &str, note: &str, value: &dyn Fn(usize, usize) -> String| {
        writeln!(text, "\n## {title}\n\n{note}\n").expect("a String grows");
        writeln!(text, "| Said in | {} |", names.join(" | ")).expect("a String grows");
        writeln!(text, "|---|{}", "---|".repeat(names.len())).expect("a String grows");
        for (from, name) in names.iter().enumerate() {
            let row: Vec<String> = (0..names.len()).map(|to| value(from, to)).collect();
            writeln!(text, "| {name} | {} |", row.join(" | ")).expect("a String grows");
        }
    };
    let of =
        |from: usize, to: usize, value: fn(&Quality) -> f32| table[from][to].as_ref().map(value);
    section(
        "Distance of the spectrum",
        "In dB; on the diagonal, of the codec by itself, with nobody between.",
        &|from, to| {
            let value = of(from, to, |it| it.distance_db).unwrap_or(alone[from]);
            format!("{value:.1}")
        },
    );
    let or_dash =
        |value: Option<f32>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
    section("Signal to noise of the waveform", "In dB.", &|from, to| {
        or_dash(of(from, to, |it| it.snr_db))
    });
    section("Delay", "In ms.", &|from, to| {
        or_dash(of(from, to, |it| it.delay_ms))
    });
    text
}

const HEAD: &str = "\
# Quality of transcoding

How speech is heard that is said in one codec and heard in another, through the MRFP
of a process of its own on loopback: encoded by us, transcoded by the MRFP, decoded by ffmpeg, whose decoders
of G.722, AMR, AMR-WB and Opus are its own. AMR and AMR-WB in their highest mode, Opus with one channel.

The distance is the mean of the differences, in bands of the ear between 200 and 3300 Hz and frames of
32 ms, of what is not masked; below 1 dB is hard to tell, beyond 6 dB is another talker. Codecs that keep the
sound and not the waveform have a signal-to-noise ratio of a few dB at any quality. The delay is from before the encoder to
after the decoder, with the jitter buffer's margin and without the 20 ms that a packet waits to be full.

Every test run holds each pair to the sum of the distances of both codecs by themselves and 0.8 dB. The figures are
written by

```
TRANSCODING_MINUTES=1 TRANSCODING_TABLE=$PWD/docs/transcoding.md \\
    cargo test --package interop --test transcoding
```

after a minute of talk, and `scripts/soak transcoding 10` has all pairs talk for ten minutes; no delay may have grown by
more than 40 ms meanwhile. A call begins with about 100 ms more, which the jitter buffer gives up in its first minute.
";
