//! Functions that work of their own accord: mail, flows of one worker, what is sent, on the
//! simulated network and virtual time.

use base::Instant;
use dataplane::io::sim::{self, Network};
use dataplane::{
    BURST_MAX, Config, Context, Control, Datagram, Egress, Error, Event, FlowId, Function, Ingress,
    LocalAddress, LocalAddresses, Mail, Outlet, Path, Remote, Sends, Turn, Verdict, Worker,
    runtime,
};
use std::net::SocketAddr;
use std::time::Duration;

/// Sends `octets` so often from a flow at `at`, and is posted back then.
struct Order {
    flow: FlowId,
    at: Instant,
    times: usize,
    octets: usize,
    sent: usize,
}

/// Carries orders out; takes whatever comes.
#[derive(Default)]
struct Clerk {
    order: Option<Box<Order>>,
}

impl Function for Clerk {
    fn handle_burst(
        &mut self,
        context: &mut Context<'_>,
        burst: &mut [Datagram],
        verdicts: &mut [Verdict],
    ) {
        for (datagram, verdict) in burst.iter().zip(verdicts) {
            let flow = context.flow(datagram.flow);
            flow.expect("it has a path").count_received(datagram);
            *verdict = Verdict::Consumed;
        }
    }

    fn handle_mail(&mut self, _: Instant, mail: Mail) -> Option<Mail> {
        match mail.downcast::<Order>() {
            Ok(order) => self.order.replace(order).map(|before| before as Mail),
            Err(other) => Some(other),
        }
    }

    fn work(&mut self, outlet: &mut Outlet<'_>) -> bool {
        let now = outlet.now();
        let Some(mut order) = self.order.take_if(|order| order.at <= now) else {
            return false;
        };
        for _ in 0..order.times {
            let octets = order.octets;
            order.sent += usize::from(outlet.send(order.flow, Sends::Rtp, |buffer| {
                buffer[..octets].fill(7);
                octets
            }));
        }
        assert!(outlet.post(order).is_ok(), "nothing else is reported");
        true
    }

    fn next_work(&self) -> Option<Instant> {
        self.order.as_ref().map(|order| order.at)
    }
}

struct Rig {
    now: Instant,
    control: Control,
    workers: Vec<Worker>,
    network: Network,
}

impl Rig {
    fn new(workers: usize) -> Self {
        let local = LocalAddress::new([192, 0, 2, 1].into(), 10_000..=10_019);
        let addresses = LocalAddresses::new(&[local]).unwrap();
        let (backend, network) = sim::backend(&addresses, workers, 1024);
        let clerk = |_| Box::new(Clerk::default()) as Box<dyn Function>;
        let (control, workers) = runtime(&Config::default(), backend, clerk).unwrap();
        Self {
            now: Instant::from_secs(1_800_000_000),
            control,
            workers,
            network,
        }
    }

    /// A flow of one worker whose path leads from its own port to a remote address.
    fn open(&mut self, port: u16, worker: u16) -> FlowId {
        let flow = self.control.open_flow(self.now, at(port)).unwrap();
        let path = self.path(flow, worker);
        self.control.set_path(flow, path).unwrap();
        flow
    }

    fn path(&self, flow: FlowId, worker: u16) -> Path {
        let mut path = Path::new(Ingress::default()).at_worker(worker);
        assert!(path.push(Egress::new(flow, Remote::Fixed(remote()))));
        path
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            let turns = self.workers.iter_mut();
            let turns: Vec<Turn> = turns.map(|worker| worker.turn(self.now)).collect();
            if turns.iter().all(|turn| *turn == Turn::Idle) {
                return;
            }
        }
        panic!("the workers do not come to rest");
    }

    fn order(&mut self, worker: u16, flow: FlowId, times: usize, octets: usize) {
        let order = Order {
            flow,
            at: self.now + Duration::from_millis(20),
            times,
            octets,
            sent: 0,
        };
        assert!(self.control.send(worker, Box::new(order)).is_ok());
    }

    /// What came back, with the worker.
    fn returned(&mut self) -> Option<(u16, Box<Order>)> {
        assert_eq!(self.control.poll_event(self.now), None::<Event>);
        let (worker, mail) = self.control.poll_mail()?;
        Some((worker, mail.downcast().expect("an order")))
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn remote() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], 4000))
}

#[test]
fn what_is_due_is_sent_then_by_the_path_of_its_flow() {
    let mut rig = Rig::new(2);
    let flow = rig.open(10_000, 1);
    rig.order(1, flow, 1, 3);
    rig.settle();
    assert!(rig.network.receive().is_none());
    rig.now += Duration::from_millis(20);
    rig.settle();
    let sent = rig.network.receive().expect("it is due");
    assert_eq!((sent.source, sent.destination), (at(10_000), remote()));
    assert_eq!(sent.payload, [7; 3]);
    let (worker, order) = rig.returned().expect("it is posted");
    assert_eq!((worker, order.sent), (1, 1));
    assert_eq!(rig.control.stats(flow).packets_sent, 1);
}

#[test]
fn more_than_a_burst_goes_out_at_once() {
    let mut rig = Rig::new(1);
    let flow = rig.open(10_000, 0);
    let free = rig.network.frames_free(0);
    rig.order(0, flow, 5 * BURST_MAX, 160);
    rig.settle();
    rig.now += Duration::from_millis(20);
    rig.settle();
    assert_eq!(rig.network.discard(), 5 * BURST_MAX);
    assert_eq!(rig.returned().expect("posted").1.sent, 5 * BURST_MAX);
    rig.settle();
    assert_eq!(rig.network.frames_free(0), free);
}

#[test]
fn nothing_is_sent_of_no_octets_or_by_a_closed_flow() {
    let mut rig = Rig::new(1);
    let flow = rig.open(10_000, 0);
    rig.order(0, flow, 2, 0);
    rig.now += Duration::from_millis(20);
    rig.settle();
    assert_eq!(rig.returned().expect("posted").1.sent, 0);
    rig.order(0, flow, 2, 9);
    rig.control.close_flow(flow).unwrap();
    rig.now += Duration::from_millis(20);
    rig.settle();
    assert!(rig.network.receive().is_none());
}

#[test]
fn what_other_workers_receive_comes_to_the_one_that_has_the_flow() {
    let mut rig = Rig::new(3);
    let flow = rig.open(10_000, 2);
    rig.settle();
    for worker in 0..3 {
        assert!(rig.network.send(worker, remote(), at(10_000), b"speech"));
        rig.settle();
    }
    let stats: Vec<_> = rig.control.worker_stats().collect();
    let handed = stats.iter().map(|stats| stats.handed_over);
    assert_eq!(handed.collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(rig.control.stats(flow).packets_received, 3);

    // It moves while packets come.
    let path = rig.path(flow, 0);
    rig.control.set_path(flow, path).unwrap();
    for worker in 0..3 {
        assert!(rig.network.send(worker, remote(), at(10_000), b"speech"));
    }
    rig.settle();
    assert_eq!(rig.control.stats(flow).packets_received, 6);
    assert!(rig.network.send(0, remote(), at(10_000), b"speech"));
    rig.settle();
    let stats: Vec<_> = rig.control.worker_stats().collect();
    assert_eq!(stats[0].handed_over, 1);
    assert_eq!(rig.control.stats(flow).packets_received, 7);
}

#[test]
fn what_nobody_wants_comes_back() {
    let mut rig = Rig::new(1);
    assert!(rig.control.send(0, Box::new("a word")).is_ok());
    rig.settle();
    assert_eq!(rig.control.poll_event(rig.now), None);
    let (_, mail) = rig.control.poll_mail().expect("it comes back");
    assert_eq!(mail.downcast_ref(), Some(&"a word"));
    let mail = rig
        .control
        .send(1, mail)
        .expect_err("there is no such worker");
    assert!(mail.is::<&str>());
    let flow = rig.open(10_000, 0);
    let path = rig.path(flow, 1);
    assert!(matches!(
        rig.control.set_path(flow, path),
        Err(Error::Misuse)
    ));
}
