//! Who speaks and listens while SIPp signals: a tone of its own in any codec.

use std::f64::consts::TAU;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use codecs::{Codec, Decoder, Encoded, Encoder, EncoderConfig, PACKET_SAMPLES_MAX};
use media::spectrum::level_at_dbov;
use rtp::{HEADER_BYTES, Header, Packet};

use crate::Namespace;

/// What a packet lasts.
const PTIME: Duration = Duration::from_millis(20);
const PTIMES_PER_S: u32 = 50;
const AMPLITUDE: f64 = 6000.0;
/// Octets of a datagram.
const DATAGRAM_BYTES: usize = 2048;

/// How audio is sent, as SDP says it.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Payload type.
    pub payload_type: u8,
    /// Name, clock rate and channels.
    pub encoding: (&'static str, u32, u8),
    /// Parameters.
    pub fmtp: Option<&'static str>,
}

impl Format {
    /// The `m=` line and its attributes.
    pub fn describe(&self, port: u16) -> String {
        let Self {
            payload_type,
            encoding: (name, clock, channels),
            fmtp,
        } = self;
        let channels = match channels {
            1 => String::new(),
            count => format!("/{count}"),
        };
        let fmtp = fmtp.map_or_else(String::new, |it| format!("\r\na=fmtp:{payload_type} {it}"));
        format!(
            "m=audio {port} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} \
             {name}/{clock}{channels}{fmtp}\r\na=ptime:20"
        )
    }
}

/// One voice.
pub struct Voice {
    socket: UdpSocket,
    codec: Codec,
    encoder: Encoder,
    decoder: Decoder,
    header: Header,
    hz: f32,
    /// Samples said so far.
    said: u32,
    /// The last second.
    heard: Vec<i16>,
}

impl Voice {
    pub(crate) fn new(namespace: &Namespace, at: SocketAddr, format: &Format, hz: f32) -> Self {
        let socket = namespace.inside(|| UdpSocket::bind(at));
        let socket = socket.unwrap_or_else(|fault| panic!("cannot bind {at}: {fault}"));
        socket.set_nonblocking(true).expect("a socket has modes");
        let (name, clock, channels) = format.encoding;
        let codec = Codec::from_sdp(name, clock, channels, format.fmtp).expect("a known codec");
        let encoder = codec.encoder(EncoderConfig::default());
        Self {
            socket,
            encoder: encoder.expect("the codec is built in"),
            decoder: codec.decoder().expect("the codec is built in"),
            codec,
            header: Header {
                payload_type: format.payload_type,
                ssrc: u32::from(format.payload_type) + 1,
                ..Header::default()
            },
            hz,
            said: 0,
            heard: Vec::new(),
        }
    }

    /// Says its tone for one packet more.
    fn speak(&mut self, to: SocketAddr) {
        let rate = self.codec.sample_rate();
        let samples: Vec<i16> = (0..rate / PTIMES_PER_S)
            .map(|index| {
                let turns = f64::from(self.hz) * f64::from(self.said + index) / f64::from(rate);
                (AMPLITUDE * (TAU * turns).sin()) as i16
            })
            .collect();
        self.said += rate / PTIMES_PER_S;
        let mut packet = vec![0; HEADER_BYTES + self.encoder.payload_bytes_max()];
        let encoded = self.encoder.encode(&samples, &mut packet[HEADER_BYTES..]);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        let ticks = self.codec.rtp_clock_rate() / PTIMES_PER_S;
        self.header.timestamp = self.header.timestamp.wrapping_add(ticks);
        if let Encoded::Payload { len, .. } = encoded.expect("samples of a packet") {
            packet.truncate(HEADER_BYTES + len);
            self.header.write_to(&mut packet).expect("there is room");
            // A peer that has gone does not hear it.
            let _ = self.socket.send_to(&packet, to);
        }
    }

    /// Hears what has come.
    fn listen(&mut self) {
        let mut datagram = [0; DATAGRAM_BYTES];
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(count) => self.hear(&datagram[..count]),
                Err(fault) if fault.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    fn hear(&mut self, datagram: &[u8]) {
        let packet = Packet::new(datagram).expect("it is RTP");
        assert_eq!(packet.payload_type(), self.header.payload_type);
        let mut samples = vec![0; PACKET_SAMPLES_MAX];
        let decoded = self.decoder.decode(packet.payload(), &mut samples);
        let count = decoded.expect("it is a payload").samples;
        self.heard.extend(&samples[..count]);
        let excess = self.heard.len().saturating_sub(self.second());
        self.heard.drain(..excess);
    }

    fn second(&self) -> usize {
        self.codec.sample_rate() as usize
    }

    /// How loud a tone was in the last second, in dBov; nothing before it has heard a second.
    pub fn level_at(&self, hz: f32) -> Option<f32> {
        let is_whole = self.heard.len() == self.second();
        is_whole.then(|| level_at_dbov(&self.heard, self.codec.sample_rate(), hz))
    }
}

/// All speak, each to its peer, and listen until it is as it should be; false when it is not in
/// time.
pub fn talk(
    voices: &mut [(Voice, SocketAddr)],
    limit: Duration,
    is_well: impl Fn(&[(Voice, SocketAddr)]) -> bool,
) -> bool {
    let start = Instant::now();
    let mut due = start;
    while start.elapsed() < limit {
        for (voice, peer) in &mut *voices {
            voice.speak(*peer);
            voice.listen();
        }
        if is_well(voices) {
            return true;
        }
        due += PTIME;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    false
}
