//! Handshakes between two sides, on virtual time and over a network that loses, repeats and
//! reorders.

use super::*;
use base::Entropy;
use dataplane::Srtp;
use std::collections::BTreeMap;

const ALICE: &str = "203.0.113.1:4000";
const GATEWAY: &str = "192.0.2.1:10000";
const FLOW: FlowId = FlowId(2);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn identity() -> Identity {
    Identity::generate(std::time::Instant::now()).unwrap()
}

/// One end: its associations, of one flow, and what they said.
struct End {
    local: SocketAddr,
    associations: Associations,
    keys: Vec<Protection>,
}

impl End {
    fn new(local: &str) -> Self {
        Self {
            local: at(local),
            associations: Associations::new(identity()),
            keys: Vec::new(),
        }
    }

    fn want(&mut self, role: LegDtlsRole, remote: Option<&End>) -> Protection {
        let told = remote.map(|remote| remote.associations.fingerprint());
        let remote = remote.map(|remote| remote.local);
        self.associations.want(FLOW, wanted(role, told, remote))
    }
}

fn wanted(role: LegDtlsRole, told: Option<Fingerprint>, remote: Option<SocketAddr>) -> Wanted {
    Wanted {
        dtls: LegDtls {
            role,
            fingerprints: told.into_iter().collect(),
            ids: [None, None],
        },
        remote,
        worker: 0,
        marking: Marking::default(),
    }
}

/// From, to, octets.
type Datagram = (SocketAddr, SocketAddr, Box<[u8]>);

/// Ends, and datagrams on their way.
struct Network {
    now: Instant,
    ends: Vec<End>,
    /// By when they arrive.
    flying: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
    entropy: Entropy,
    /// Of a thousand.
    lost: u64,
    repeated: u64,
    delay_max: Duration,
    /// Everything sent, in order.
    seen: Vec<Box<[u8]>>,
}

impl Network {
    fn new(seed: u64, ends: Vec<End>) -> Self {
        Self {
            now: Instant::from_secs(1_800_000_000),
            ends,
            flying: BTreeMap::new(),
            sent: 0,
            entropy: Entropy::from_u64(seed),
            lost: 0,
            repeated: 0,
            delay_max: Duration::from_millis(1),
            seen: Vec::new(),
        }
    }

    fn rough(seed: u64, ends: Vec<End>) -> Self {
        Self {
            lost: 250,
            repeated: 250,
            delay_max: Duration::from_millis(200),
            ..Self::new(seed, ends)
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let copies = 1 + usize::from(self.entropy.below(1000) < self.repeated);
        for _ in 0..copies {
            if self.entropy.below(1000) < self.lost {
                continue;
            }
            let delay = self.entropy.below(self.delay_max.as_nanos() as u64);
            let arrives = self.now + Duration::from_nanos(delay);
            self.sent += 1;
            self.flying
                .insert((arrives, self.sent), (from, to, bytes.into()));
        }
    }

    fn drain(&mut self) {
        for index in 0..self.ends.len() {
            while let Some(output) = self.ends[index].associations.poll_output() {
                match output {
                    Output::Keys { flow, keys } => {
                        assert_eq!(flow, FLOW);
                        self.ends[index].keys.push(keys);
                    }
                    Output::Transmit { at, bytes, .. } => {
                        assert_eq!(at.flow, FLOW);
                        assert!(bytes.len() <= 1200, "{}", bytes.len());
                        let local = self.ends[index].local;
                        self.seen.push(bytes.clone());
                        self.send(local, at.remote, &bytes);
                    }
                }
            }
        }
    }

    fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        for _ in 0..100_000 {
            self.drain();
            let timeouts = self.ends.iter();
            let timeouts = timeouts.filter_map(|end| end.associations.next_timeout());
            let arrival = self.flying.keys().next().map(|(arrives, _)| *arrives);
            let next = timeouts.chain(arrival).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            if arrival.is_some_and(|arrival| arrival <= self.now) {
                let (_, (from, to, bytes)) = self.flying.pop_first().unwrap();
                self.deliver(from, to, &bytes);
            }
            for end in &mut self.ends {
                end.associations.handle_timeout(self.now);
            }
        }
        panic!("it never rests");
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        if let Some(end) = self.ends.iter_mut().find(|end| end.local == to) {
            let at = Address {
                flow: FLOW,
                worker: 0,
                remote: from,
            };
            end.associations.handle_datagram(now, at, bytes);
        }
    }

    fn counts(&self, end: usize) -> DtlsCounts {
        self.ends[end].associations.counts()
    }
}

/// The last keys of both ends fit each other.
fn assert_alike(one: &End, other: &End) {
    for (from, to) in [(one, other), (other, one)] {
        let (Some(from), Some(to)) = (from.keys.last(), to.keys.last()) else {
            panic!("no keys");
        };
        let (Srtp::On(sender), Srtp::On(receiver)) = (&from.sends, &to.receives) else {
            panic!("keys are keys");
        };
        let mut packet = [0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3].to_vec();
        packet.resize(172, 0x55);
        let clear = packet.clone();
        packet.resize(172 + 32, 0);
        let len = sender.protect(&mut packet, 172).unwrap();
        let len = receiver.unprotect(&mut packet[..len]).unwrap();
        assert_eq!(packet[..len], clear);
    }
}

fn pair() -> [End; 2] {
    let mut ends = [End::new(GATEWAY), End::new(ALICE)];
    let [server, client] = &mut ends;
    assert_eq!(
        server.want(LegDtlsRole::Server, Some(client)),
        Protection::NO_KEY
    );
    client.want(LegDtlsRole::Client, Some(server));
    ends
}

#[test]
fn both_sides_have_keys_that_fit() {
    let mut network = Network::new(1, pair().into());
    network.run_for(Duration::from_secs(1));
    assert_alike(&network.ends[0], &network.ends[1]);
    for end in [0, 1] {
        assert_eq!(network.ends[end].keys.len(), 1);
        let expected = DtlsCounts {
            agreed: 1,
            ..DtlsCounts::default()
        };
        assert_eq!(network.counts(end), expected);
        assert_eq!(network.ends[end].associations.handshakes(), 0);
    }
    // Told again, what is known stays, and the keys are told at once.
    let [server, client] = &mut network.ends[..] else {
        unreachable!()
    };
    let keys = server.want(LegDtlsRole::Server, Some(client));
    assert_eq!(Some(&keys), server.keys.last());
    network.run_for(Duration::from_secs(600));
    assert_eq!(network.ends[0].keys.len(), 1);
    for end in &mut network.ends {
        assert_eq!(end.associations.end(FLOW), Some(DtlsOutcome::Agreed));
        assert_eq!(end.associations.end(FLOW), None);
    }
}

#[test]
fn a_network_that_loses_repeats_and_reorders_only_delays_it() {
    for seed in 0..12 {
        let mut network = Network::rough(seed, pair().into());
        // What one side gave up the other may begin anew, some minutes long.
        network.run_for(Duration::from_secs(600));
        let [server, client] = &network.ends[..] else {
            unreachable!()
        };
        assert!(
            !server.keys.is_empty() && !client.keys.is_empty(),
            "seed {seed}"
        );
        // A handshake that one side gave up and the other did not is followed by another.
        if server.keys.len() == client.keys.len() {
            assert_alike(server, client);
        }
        assert_eq!(server.associations.handshakes(), 0, "seed {seed}");
    }
}

#[test]
fn another_certificate_than_was_told_of_gives_no_keys() {
    let mut ends = pair();
    let other = identity().fingerprint();
    let remote = Some(ends[1].local);
    let server = &mut ends[0].associations;
    server.want(FLOW, wanted(LegDtlsRole::Server, Some(other), remote));
    let mut network = Network::new(2, ends.into());
    network.run_for(Duration::from_secs(5));
    assert!(network.ends[0].keys.is_empty());
    assert_eq!(network.counts(0).wrong_certificate, 1);
    assert_eq!(network.counts(0).agreed, 0);
    let outcome = network.ends[0].associations.end(FLOW);
    assert_eq!(outcome, Some(DtlsOutcome::WrongCertificate));
    // Of the client likewise, which does not try again.
    let mut ends = pair();
    let client = &mut ends[1].associations;
    client.want(
        FLOW,
        wanted(LegDtlsRole::Client, Some(other), Some(at(GATEWAY))),
    );
    let mut network = Network::new(3, ends.into());
    network.run_for(Duration::from_secs(60));
    assert!(network.ends[1].keys.is_empty());
    assert_eq!(network.counts(1).wrong_certificate, 1);
}

#[test]
fn a_hello_before_the_answer_waits_for_its_fingerprint() {
    for is_right in [true, false] {
        let mut ends = pair();
        let told = ends[1].associations.fingerprint();
        let gateway = &mut ends[0].associations;
        gateway.want(FLOW, wanted(LegDtlsRole::Server, None, None));
        let mut network = Network::new(4, ends.into());
        network.run_for(Duration::from_secs(2));
        assert!(network.ends[0].keys.is_empty() && !network.ends[1].keys.is_empty());
        let told = if is_right {
            told
        } else {
            identity().fingerprint()
        };
        let server = &mut network.ends[0].associations;
        server.want(
            FLOW,
            wanted(LegDtlsRole::Server, Some(told), Some(at(ALICE))),
        );
        network.run_for(Duration::from_secs(1));
        assert_eq!(network.ends[0].keys.len(), usize::from(is_right));
        if is_right {
            assert_alike(&network.ends[0], &network.ends[1]);
        } else {
            assert_eq!(network.counts(0).wrong_certificate, 1);
        }
    }
}

#[test]
fn another_fingerprint_or_address_asks_for_another_association() {
    let mut network = Network::new(5, pair().into());
    network.run_for(Duration::from_secs(1));
    // The call goes on with somebody else, who is elsewhere.
    let mut carol = End::new("203.0.113.9:7000");
    carol.want(LegDtlsRole::Client, Some(&network.ends[0]));
    let kept = network.ends[0].want(LegDtlsRole::Server, Some(&carol));
    assert_eq!(Some(&kept), network.ends[0].keys.last());
    network.ends.push(carol);
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.ends[0].keys.len(), 2);
    assert_alike(&network.ends[0], &network.ends[2]);
    // Alice is not believed any more.
    network.ends[1].associations.end(FLOW);
    let [server, alice, _] = &mut network.ends[..] else {
        unreachable!()
    };
    alice.want(LegDtlsRole::Client, Some(server));
    network.run_for(Duration::from_secs(1));
    assert_eq!(network.ends[0].keys.len(), 2);
    assert_eq!(network.counts(0).wrong_certificate, 1);
    // A client whose other side has moved says hello there.
    network.ends[0].local = at("192.0.2.7:9");
    let [server, alice, _] = &mut network.ends[..] else {
        unreachable!()
    };
    server.want(LegDtlsRole::Server, Some(alice));
    alice.want(LegDtlsRole::Client, Some(server));
    network.run_for(Duration::from_secs(1));
    assert_alike(&network.ends[0], &network.ends[1]);
}

#[test]
fn who_starts_again_with_the_same_certificate_gets_new_keys() {
    let mut network = Network::new(6, pair().into());
    network.run_for(Duration::from_secs(1));
    for round in 2..4 {
        network.ends[1].associations.end(FLOW);
        let [server, alice] = &mut network.ends[..] else {
            unreachable!()
        };
        alice.want(LegDtlsRole::Client, Some(server));
        network.run_for(Duration::from_secs(1));
        assert_eq!(network.ends[0].keys.len(), round);
        assert_alike(&network.ends[0], &network.ends[1]);
    }
}

#[test]
fn a_flood_of_hellos_takes_no_more_than_its_places_and_the_peer_gets_through() {
    let mut network = Network::new(7, pair().into());
    // What Alice says first.
    network.ends[1].associations.handle_timeout(network.now);
    network.drain();
    let hello = network.seen[0].clone();
    assert!(is_client_hello(&hello));
    for port in 1..=200_u16 {
        let from = SocketAddr::new([198, 51, 100, 66].into(), port);
        network.deliver(from, at(GATEWAY), &hello);
    }
    assert_eq!(network.ends[0].associations.handshakes(), PEERS_MAX);
    assert_eq!(network.counts(0).refused, 200 - PEERS_MAX as u64);
    network.run_for(Duration::from_secs(10));
    assert_alike(&network.ends[0], &network.ends[1]);
    assert_eq!(network.ends[0].associations.handshakes(), 0);
}

#[test]
fn handshakes_of_all_flows_have_a_limit() {
    let mut gateway = Associations::new(identity());
    let mut alice = End::new(ALICE);
    alice.associations.want(
        FLOW,
        wanted(
            LegDtlsRole::Client,
            Some(gateway.fingerprint()),
            Some(at(GATEWAY)),
        ),
    );
    let now = Instant::from_secs(1);
    alice.associations.handle_timeout(now);
    let Some(Output::Transmit { bytes: hello, .. }) = alice.associations.poll_output() else {
        panic!("Alice begins");
    };
    // As if others had all but one.
    gateway.handshakes = HANDSHAKES_MAX - 1;
    for flow in [2, 4, 6] {
        let flow = FlowId(flow);
        gateway.want(flow, wanted(LegDtlsRole::Server, None, None));
        let at = Address {
            flow,
            worker: 0,
            remote: at(ALICE),
        };
        gateway.handle_datagram(now, at, &hello);
    }
    assert_eq!(gateway.handshakes, HANDSHAKES_MAX);
    assert_eq!(gateway.counts().refused, 2);
    gateway.end(FlowId(2));
    assert_eq!(gateway.handshakes, HANDSHAKES_MAX - 1);
}

#[test]
fn a_client_whose_peer_is_not_there_yet_tries_again() {
    let mut ends = pair();
    let [server, _] = &mut ends;
    let told = server.want(LegDtlsRole::Hold, None);
    assert_eq!(told, Protection::NO_KEY);
    let mut network = Network::new(8, ends.into());
    network.run_for(Duration::from_secs(70));
    assert!(network.counts(1).failed > 0 && network.counts(0).stray > 0);
    let [server, client] = &mut network.ends[..] else {
        unreachable!()
    };
    server.want(LegDtlsRole::Server, Some(client));
    network.run_for(Duration::from_secs(40));
    assert_alike(&network.ends[0], &network.ends[1]);
}

#[test]
fn damaged_datagrams_never_panic_and_the_peer_gets_through_them() {
    for seed in 0..30 {
        let mut network = Network::new(seed, pair().into());
        let mut entropy = Entropy::from_u64(seed);
        for _ in 0..300 {
            network.drain();
            let Some(bytes) = network.seen.get(entropy.below(12) as usize) else {
                network.run_for(Duration::from_millis(1));
                continue;
            };
            let mut damaged = bytes.to_vec();
            match entropy.below(4) {
                0 => damaged.truncate(entropy.below(damaged.len() as u64) as usize),
                1 => damaged.extend_from_slice(&[0xFE; 40]),
                _ => {
                    for _ in 0..=entropy.below(3) {
                        let place = entropy.below(damaged.len() as u64) as usize;
                        damaged[place] ^= 1 << entropy.below(8);
                    }
                }
            }
            let to = if entropy.below(2) == 0 {
                GATEWAY
            } else {
                ALICE
            };
            let from = if to == GATEWAY { ALICE } else { GATEWAY };
            network.deliver(at(from), at(to), &damaged);
            network.run_for(Duration::from_micros(entropy.below(2000)));
        }
        network.run_for(Duration::from_secs(120));
        let [server, client] = &network.ends[..] else {
            unreachable!()
        };
        assert!(
            !server.keys.is_empty() && !client.keys.is_empty(),
            "seed {seed}"
        );
    }
}

#[test]
fn what_is_no_hello_begins_nothing() {
    let mut network = Network::new(9, pair().into());
    for len in 0..60 {
        network.deliver(at(ALICE), at(GATEWAY), &vec![20; len]);
    }
    assert_eq!(network.counts(0).stray, 60);
    assert_eq!(network.ends[0].associations.handshakes(), 0);
}
