//! Malformed messages at every door while a call is in progress: it is not disturbed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use interop::garbage::{self, Transport};
use interop::network::{CONTROL, Family, Layout, MEDIA, Network, Ues};
use interop::sipp;

const SEED: u64 = 0x5eed_2026;
const LIMIT: Duration = Duration::from_secs(60);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

/// Files of the checkout, from its root.
fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

#[test]
fn a_call_survives_garbage_at_every_door() {
    let ues = Ues::new(Family::V4, Family::V4);
    let network = Network::whole(Layout::Together);
    network.import(&ues);
    let route = network.register(&ues.alice);
    network.register(&ues.dave);

    let folder = network.folder();
    let sip = [
        checkout("protocols/sip/testdata"),
        checkout("protocols/sip/testdata/torture"),
    ];
    let sip = garbage::prepare(folder, "sip", &sip, SEED);
    let h248 = [
        checkout("protocols/h248/testdata"),
        checkout("protocols/h248/testdata/otp"),
    ];
    let h248 = garbage::prepare(folder, "h248", &h248, SEED);
    let doors = [
        (&sip, Transport::Udp, "127.0.0.1:5060"),
        (&sip, Transport::Tcp, "127.0.0.1:5060"),
        (&h248, Transport::Udp, "127.0.0.1:2944"),
        (&h248, Transport::Udp, "127.0.0.2:2944"),
        // HTTP is no SIP, and neither is it RTP.
        (&sip, Transport::Tcp, CONTROL),
        (&sip, Transport::Tcp, MEDIA),
        (&sip, Transport::Udp, "127.0.0.2:20000"),
    ];
    thread::scope(|scope| {
        scope.spawn(|| network.call(&ues.alice, &route, &ues.dave));
        let senders = doors.map(|(place, transport, door)| {
            let to = address(door);
            garbage::start_sending(network.namespace(), folder, place, transport, to)
        });
        for sender in senders {
            sender.wait(LIMIT).expect_success("garbage");
        }
    });
    // Who was there before still is, and can call again.
    network.call(&ues.dave, &network.register(&ues.dave), &ues.alice);
    for ue in [&ues.alice, &ues.dave] {
        network.deregister(ue);
    }
    network.finish(|analysis| {
        let streams = analysis.rtp_streams();
        let whole = |stream: &&interop::RtpStream| stream.packets == sipp::PACKETS;
        assert_eq!(
            streams.iter().filter(whole).count(),
            2 * 2 * 2,
            "{streams:#?}"
        );
    });
}
