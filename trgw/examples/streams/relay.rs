//! The relay, over a back-end of ours.

use crate::{NEAR, NEAR_PORTS_FIRST, far, is_protected, key, near};
use dataplane::io::{af_xdp, udp};
use dataplane::{
    Backend, Clock, Config, Control, FlowId, Function, Latch, LocalAddress, LocalAddresses,
    Marking, Policing, SourceFilter, Srtp, runtime,
};
use h248::message::StreamMode;
use srtp::{Receiver, Sender, Suite};
use std::sync::Arc;
use std::time::Duration;
use trgw::{Leg, LegMedia, LegTones, Protection, Relay, Rtcp, compile};

pub fn run(kind: &str, streams: u16, lasts: Duration, suite: Option<Suite>) {
    let last = NEAR_PORTS_FIRST + 2 * streams - 1;
    let local = LocalAddress::new(NEAR.into(), NEAR_PORTS_FIRST..=last);
    let addresses = LocalAddresses::new(&[local]).expect("it is one address");
    let (kind, has_precedence) = match kind.strip_suffix('!') {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    let backend = backend(kind, &addresses);
    let function = |flows| Box::new(Relay::new(flows)) as Box<dyn Function>;
    let (mut control, workers) = runtime(&Config::default(), backend, function).expect("it starts");
    let clock = Clock::start();
    let threads: Vec<_> = workers
        .into_iter()
        .map(|worker| {
            std::thread::spawn(move || {
                if has_precedence {
                    udp_batch::take_precedence(1).expect("root asks");
                }
                worker.run(clock, None);
            })
        })
        .collect();
    for call in 0..streams / 2 {
        let legs = [2 * call, 2 * call + 1].map(|stream| {
            let flow = control.open_flow(clock.now(), near(stream));
            leg(flow.expect("the port is free"), stream, suite)
        });
        for (flow, path) in compile(&legs, &[]).expect("two legs") {
            control.set_path(flow, path).expect("there is room");
        }
        settle(&mut control, clock);
    }
    println!("ready");
    let end = clock.now() + lasts;
    while clock.now() < end {
        std::thread::sleep(Duration::from_millis(50));
        while control.poll_event(clock.now()).is_some() {}
    }
    let stats: Vec<_> = control.worker_stats().collect();
    println!("{:?}", stats[0]);
    drop(control);
    for thread in threads {
        thread.join().expect("a worker does not panic");
    }
}

/// Waits until the workers have done what they were told.
fn settle(control: &mut Control, clock: Clock) {
    while !control.is_settled() {
        while control.poll_event(clock.now()).is_some() {}
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn backend(kind: &str, addresses: &LocalAddresses) -> Backend {
    if kind == "udp" {
        udp::raise_descriptor_limit().expect("there are descriptors");
        let backend = udp::backend(addresses, &udp::UdpConfig::default());
        return backend.expect("the system has sockets");
    }
    let config = af_xdp::AfXdpConfig {
        interfaces: vec![af_xdp::InterfaceConfig {
            name: "near".into(),
            ..af_xdp::InterfaceConfig::default()
        }],
        // Workers need one more.
        drop_privileges: false,
        ..af_xdp::AfXdpConfig::default()
    };
    let opened = af_xdp::open(addresses, &config).expect("the interface is there, and root asks");
    opened.backend
}

fn leg(flow: FlowId, stream: u16, suite: Option<Suite>) -> Leg {
    let host = far(stream);
    let mut srtp = Protection::OFF;
    if let Some(suite) = suite.filter(|_| is_protected(stream)) {
        let receiver = Receiver::new(&[key(suite)]).expect("the key is right");
        let sender = Sender::new(&key(suite)).expect("the key is right");
        srtp = Protection {
            receives: Srtp::On(Arc::new(receiver)),
            sends: Srtp::On(Arc::new(sender)),
        };
    }
    Leg {
        flow,
        media: LegMedia::Rtp { clock_hz: 8000 },
        remote: Some(host),
        rtcp: Rtcp::None,
        rtcp_srtp: srtp.clone(),
        srtp,
        has_dtls: false,
        mode: StreamMode::SendReceive,
        latch: Latch::Off,
        filter: SourceFilter::ANY
            .network(host.ip(), 32)
            .ports(host.port()..=host.port()),
        rtcp_filter: SourceFilter::ANY,
        // Streams follow faster than speech does, and are judged all the same.
        policing: Policing::OFF
            .with_peak(u32::MAX, Duration::from_millis(100))
            .with_sustained(u32::MAX, 1 << 30),
        marking: Marking::default(),
        inactivity: Some(Duration::from_secs(10)),
        report_first_packet: false,
        tones: LegTones::default(),
        translations: None,
    }
}
