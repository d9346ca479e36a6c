//! What RTP carries, taken out by tshark and decoded by ffmpeg or sox: none of our code hears it.
//!
//! The decoders of ffmpeg for G.722, AMR, AMR-WB and Opus are its own.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};

use audio::ogg::PageWriter;

use crate::Analysis;
use crate::capture::octets;
use crate::voice::Format;

/// Octets of the fixed header of RTP; nobody here has sources or extensions.
const RTP_HEADER: usize = 12;
/// Opus counts samples of this rate (RFC 7845 4), 20 ms of which are in a packet here.
const GRANULE_RATE: u32 = 48_000;
const GRANULES_PER_PACKET: i64 = 960;

impl Analysis {
    /// The payloads of this format on the way from one to the other, in the order of arrival.
    pub fn payloads(&self, from: IpAddr, to: SocketAddr, format: &Format) -> Vec<Vec<u8>> {
        let filter = format!(
            "rtp.p_type == {} && ip.src == {from} && ip.dst == {} && udp.dstport == {}",
            format.payload_type,
            to.ip(),
            to.port()
        );
        let lines = self.fields(&filter, "udp.payload");
        let datagrams = lines.lines().map(octets);
        datagrams
            .map(|octets| octets.get(RTP_HEADER..).unwrap_or_default().to_vec())
            .collect()
    }
}

/// What these payloads sound like at a rate, as ffmpeg decodes them.
pub fn decode(format: &Format, payloads: &[Vec<u8>], rate: u32) -> Vec<i16> {
    let (name, clock, _) = format.encoding;
    let concatenated = || payloads.concat();
    let (input, octets) = match name {
        "PCMU" => (format!("-f mulaw -ar {clock}"), concatenated()),
        "PCMA" => (format!("-f alaw -ar {clock}"), concatenated()),
        "L16" => (format!("-f s16be -ar {clock}"), concatenated()),
        "G722" => ("-f g722".to_owned(), concatenated()),
        "AMR" => ("-f amr".to_owned(), amr_file("#!AMR\n", payloads)),
        "AMR-WB" => ("-f amr".to_owned(), amr_file("#!AMR-WB\n", payloads)),
        "opus" => ("-c:a opus -f ogg".to_owned(), opus_file(payloads)),
        other => panic!("no decoder for {other}"),
    };
    let arguments = format!("-v error {input} -i pipe:0 -f s16le -ac 1 -ar {rate} pipe:1");
    samples(&pipe("ffmpeg", &arguments, &octets))
}

/// What a file sounds like at a rate, as ffmpeg decodes it.
pub fn file_by_ffmpeg(path: &Path, rate: u32) -> Vec<i16> {
    let path = path.display();
    let arguments = format!("-v error -i {path} -f s16le -ac 1 -ar {rate} pipe:1");
    samples(&pipe("ffmpeg", &arguments, &[]))
}

/// The same as sox decodes it.
pub fn file_by_sox(path: &Path, rate: u32) -> Vec<i16> {
    let path = path.display();
    let arguments = format!("-D {path} -t s16 -c 1 -r {rate} -");
    samples(&pipe("sox", &arguments, &[]))
}

/// The storage format (RFC 4867 5) of octet-aligned payloads of one frame: behind the request for a
/// mode they are the same.
fn amr_file(magic: &str, payloads: &[Vec<u8>]) -> Vec<u8> {
    let frames = payloads
        .iter()
        .flat_map(|payload| payload.get(1..).unwrap_or_default());
    magic.bytes().chain(frames.copied()).collect()
}

/// A file of one logical stream (RFC 7845).
fn opus_file(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut head = b"OpusHead\x01\x01\0\0".to_vec();
    head.extend(GRANULE_RATE.to_le_bytes());
    head.extend([0; 3]);
    let mut tags = b"OpusTags".to_vec();
    tags.extend([0; 8]);
    let (mut file, mut writer) = (Vec::new(), PageWriter::new(7));
    let mut put = |packet: &[u8], granule: i64, ends_page: bool| {
        let put = writer.packet(packet, granule, &mut file);
        put.expect("it fits a page");
        if ends_page {
            writer.flush(false, &mut file);
        }
    };
    put(&head, 0, true);
    put(&tags, 0, true);
    for (payload, number) in payloads.iter().zip(1..) {
        put(payload, number * GRANULES_PER_PACKET, false);
    }
    writer.flush(true, &mut file);
    file
}

/// Runs a program over octets.
fn pipe(program: &str, arguments: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|fault| panic!("cannot run {program} (apt install {program}): {fault}"));
    let mut stdin = child.stdin.take().expect("it is a pipe");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output()
    });
    let output = output.expect("the child is ours");
    assert!(output.status.success(), "{program} {arguments}");
    output.stdout
}

fn samples(octets: &[u8]) -> Vec<i16> {
    let pairs = octets.as_chunks().0.iter();
    pairs.map(|&pair| i16::from_le_bytes(pair)).collect()
}
