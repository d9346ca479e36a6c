//! Calls at rtpengine, by its `ng` protocol: bencoded dictionaries in datagrams.

use crate::{FAR, KEY_OCTET, far, suite};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

const NG: &str = "127.0.0.1:2223";

/// Sets up a call for every two streams and prints the ports that rtpengine gave them, in their
/// order.
pub fn run(streams: u16, suite: Option<&str>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a port");
    socket.connect(NG).expect("it is an address");
    let patience = Some(Duration::from_secs(3));
    socket.set_read_timeout(patience).expect("it can");
    let mut ports = Vec::new();
    for call in 0..streams / 2 {
        let [a, b] = [2 * call, 2 * call + 1];
        // What rtpengine says to the one is the address at which it receives from that one.
        let offer = ask(
            &socket,
            call,
            "offer",
            &description(a, None),
            suite.is_some(),
        );
        let crypto = suite.map(|suite| crypto(&offer, suite));
        let answer = description(b, crypto.as_deref());
        let answer = ask(&socket, call, "answer", &answer, false);
        ports.extend([port(&answer), port(&offer)]);
    }
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    println!("{}", ports.join(" "));
}

fn description(stream: u16, crypto: Option<&str>) -> String {
    let profile = if crypto.is_some() {
        "RTP/SAVP"
    } else {
        "RTP/AVP"
    };
    let crypto = crypto.map_or(String::new(), |crypto| format!("a={crypto}\r\n"));
    let port = far(stream).port();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {FAR}\r\ns=-\r\nc=IN IP4 {FAR}\r\nt=0 0\r\n\
         m=audio {port} {profile} 8\r\na=rtpmap:8 PCMA/8000\r\n{crypto}"
    )
}

/// The answer to the suite that is wanted among those offered, with the speakers' key.
fn crypto(offer: &str, name: &str) -> String {
    let line = offer
        .lines()
        .find(|line| line.starts_with("a=crypto:") && line.contains(name));
    let line = line.unwrap_or_else(|| panic!("rtpengine does not offer {name}: {offer}"));
    let tag = line["a=crypto:".len()..].split(' ').next().unwrap_or("1");
    let octets = suite(name).key_bytes() + suite(name).salt_bytes();
    let key = base64(&vec![KEY_OCTET; octets]);
    format!("crypto:{tag} {name} inline:{key}")
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in octets.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            let is_padding = digit > group.len();
            text.push(if is_padding {
                '='
            } else {
                char::from(DIGITS[value as usize])
            });
        }
    }
    text
}

fn ask(socket: &UdpSocket, call: u16, command: &str, sdp: &str, protected: bool) -> String {
    let mut request = BTreeMap::from([
        ("call-id", text(&format!("call{call}"))),
        ("command", text(command)),
        ("from-tag", text("a")),
        ("ICE", text("remove")),
        ("DTLS", text("off")),
        ("sdp", text(sdp)),
    ]);
    if command == "answer" {
        request.insert("to-tag", text("b"));
        request.insert("transport-protocol", text("RTP/AVP"));
    } else {
        let profile = if protected { "RTP/SAVP" } else { "RTP/AVP" };
        request.insert("transport-protocol", text(profile));
    }
    let body: String = request
        .iter()
        .map(|(key, value)| text(key) + value)
        .collect();
    let datagram = format!("{call}{command} d{body}e");
    socket.send(datagram.as_bytes()).expect("rtpengine listens");
    let mut reply = vec![0; 65_535];
    let bytes = socket.recv(&mut reply).expect("rtpengine answers");
    let reply = String::from_utf8_lossy(&reply[..bytes]).into_owned();
    assert!(reply.contains("6:result2:ok"), "{reply}");
    reply
}

/// A text in bencoding.
fn text(text: &str) -> String {
    format!("{}:{text}", text.len())
}

fn port(reply: &str) -> u16 {
    let (_, rest) = reply.split_once("m=audio ").expect("it describes audio");
    let digits = rest.split(' ').next().unwrap_or_default();
    digits.parse().expect("a port")
}
