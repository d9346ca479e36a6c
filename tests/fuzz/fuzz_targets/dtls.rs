//! DTLS of a peer: anything in the place of its datagrams, at any point of a handshake.

#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use base::Instant;
use dtls::{Association, Identity, Role};
use libfuzzer_sys::fuzz_target;

static IDENTITY: OnceLock<Identity> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let identity = IDENTITY.get_or_init(|| {
        Identity::generate(std::time::Instant::now()).expect("a certificate can be made")
    });
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(fingerprint) = text.parse::<sdp::dtls::Fingerprint>()
    {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
    let mut now = Instant::from_secs(1);
    let mut client = Association::new(identity, Role::Client, now);
    let mut server = Association::new(identity, Role::Server, now);
    client.handle_timeout(now);
    // Each chunk begins with how far the handshake goes before it, and to whom it is said.
    for chunk in data.chunks(96) {
        let (&how, said) = chunk.split_first().expect("a chunk is never empty");
        for _ in 0..how & 7 {
            while let Some(datagram) = client.poll_output() {
                server.handle_datagram(now, &datagram);
            }
            while let Some(datagram) = server.poll_output() {
                client.handle_datagram(now, &datagram);
            }
        }
        now = now + Duration::from_millis(u64::from(how));
        let end = if how & 0x80 == 0 { &mut server } else { &mut client };
        end.handle_datagram(now, said);
        end.handle_timeout(now);
        let _ = (end.keys(), end.next_timeout(), end.is_with(&[identity.fingerprint()]));
    }
});
