//! What one worker knows of the ways out.

use super::{HOPS_MAX, Hop, HopId};
use crate::FlowId;
use rtrb::{Consumer, Producer};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A worker wants to know the way of a flow's packets.
#[derive(Clone, Copy, Debug)]
pub(in crate::io) struct Request {
    pub(in crate::io) flow: FlowId,
    pub(in crate::io) source: IpAddr,
    pub(in crate::io) destination: SocketAddr,
    pub(in crate::io) version: u64,
}

/// What a worker is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::io) enum Answer {
    /// Packets of this flow to this destination go to this next hop.
    Way {
        flow: FlowId,
        destination: SocketAddr,
        version: u64,
        hop: HopId,
    },
    /// A next hop has changed.
    Hop { id: HopId, hop: Hop },
    /// Ways may have changed: each is to be asked for again, and holds until then.
    Changed { version: u64 },
    /// All ways and next hops are forgotten.
    Forgotten { version: u64 },
}

/// The ways of one worker's flows: found by the number of the flow, which nearly always sends to
/// one destination only.
pub(in crate::io) struct Egresses {
    ways: Box<[Way]>,
    hops: Box<[Hop]>,
    /// Of the tables of routes, as last told.
    version: u64,
    /// Ways found before this version are worth nothing.
    valid_from: u64,
    requests: Producer<Request>,
    answers: Consumer<Answer>,
    asked: bool,
}

/// Where one flow sends to, on a cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Way {
    destination: SocketAddr,
    hop: HopId,
    /// Of the tables by which the hop was found; 0: not found yet.
    found: u64,
    /// Of the tables by which it was asked for last.
    asked: u64,
}

const _: () = assert!(size_of::<Way>() == memory::LINE_BYTES);

impl Egresses {
    /// No way is known yet.
    pub(in crate::io) fn new(
        flows: usize,
        requests: Producer<Request>,
        answers: Consumer<Answer>,
    ) -> Self {
        let unknown = Way {
            destination: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            hop: HopId::SLOW,
            found: 0,
            asked: 0,
        };
        let mut hops = vec![Hop::Slow; HOPS_MAX];
        hops[usize::from(HopId::UNREACHABLE.0)] = Hop::Unreachable;
        let ways: Box<[Way]> = vec![unknown; flows].into();
        memory::use_huge_pages(&ways);
        Self {
            ways,
            hops: hops.into(),
            version: FIRST_VERSION,
            valid_from: FIRST_VERSION,
            requests,
            answers,
            asked: false,
        }
    }

    /// What to do with a flow's packets from `local` to `destination`, which are of one family;
    /// `None` for a flow that there is not. Asks for the way when it is not known; meanwhile they
    /// go the slow way.
    #[inline]
    pub(in crate::io) fn find(
        &mut self,
        flow: FlowId,
        local: &SocketAddr,
        destination: &SocketAddr,
    ) -> Option<&mut Hop> {
        let way = self.ways.get_mut(flow.index())?;
        let is_known = way.found == self.version && way.destination == *destination;
        let hop = if is_known {
            way.hop
        } else {
            self.find_anew(flow, local.ip(), *destination)
        };
        self.hops.get_mut(usize::from(hop.0))
    }

    #[cold]
    fn find_anew(&mut self, flow: FlowId, source: IpAddr, destination: SocketAddr) -> HopId {
        let Some(way) = self.ways.get_mut(flow.index()) else {
            return HopId::SLOW;
        };
        if way.destination != destination {
            *way = Way {
                destination,
                hop: HopId::SLOW,
                found: 0,
                asked: 0,
            };
        }
        if way.found != self.version && way.asked != self.version {
            let request = Request {
                flow,
                source,
                destination,
                version: self.version,
            };
            // A full ring is tried again with the next packet.
            if self.requests.push(request).is_ok() {
                way.asked = self.version;
                self.asked = true;
            }
        }
        match way.found >= self.valid_from {
            true => way.hop,
            false => HopId::SLOW,
        }
    }

    /// Has what is known of a flow's way read ahead.
    pub(in crate::io) fn prefetch(&self, flow: FlowId) {
        if let Some(way) = self.ways.get(flow.index()) {
            memory::prefetch(way);
        }
    }

    /// True once after something has been asked.
    pub(in crate::io) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.asked)
    }

    /// Takes what has been answered.
    pub(in crate::io) fn handle_answers(&mut self) {
        for _ in 0..ANSWERS_PER_TURN_MAX {
            let Ok(answer) = self.answers.pop() else {
                return;
            };
            self.handle(answer);
        }
    }

    fn handle(&mut self, answer: Answer) {
        match answer {
            Answer::Way {
                flow,
                destination,
                version,
                hop,
            } => {
                let Some(way) = self.ways.get_mut(flow.index()) else {
                    return;
                };
                // The flow may send elsewhere by now.
                if way.destination == destination {
                    (way.hop, way.found) = (hop, version);
                }
            }
            Answer::Hop { id, hop } => {
                if let Some(entry) = self.hops.get_mut(usize::from(id.0)) {
                    *entry = hop;
                }
            }
            Answer::Changed { version } => self.version = version,
            Answer::Forgotten { version } => {
                (self.version, self.valid_from) = (version, version);
                for hop in self.hops.iter_mut().skip(HopId::FIRST) {
                    *hop = Hop::Slow;
                }
            }
        }
    }
}

/// The version of the tables before anything is told.
pub(in crate::io) const FIRST_VERSION: u64 = 1;

/// Requests that may wait; beyond, packets go the slow way and it is asked again.
pub(in crate::io) const REQUESTS_MAX: usize = 1024;

/// Answers that may wait; beyond, the teller keeps them.
pub(in crate::io) const ANSWERS_MAX: usize = 4096;

/// Answers taken per turn.
const ANSWERS_PER_TURN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use inet::{Link, MacAddress};
    use rtrb::RingBuffer;

    const FLOW: FlowId = FlowId(1);

    struct Rig {
        egresses: Egresses,
        requests: Consumer<Request>,
        answers: Producer<Answer>,
    }

    fn rig() -> Rig {
        let (request, requests) = RingBuffer::new(2);
        let (answers, answer) = RingBuffer::new(8);
        Rig {
            egresses: Egresses::new(4, request, answer),
            requests,
            answers,
        }
    }

    fn local() -> SocketAddr {
        "192.0.2.1:10000".parse().unwrap()
    }

    fn host(last: u8) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, last], 4000))
    }

    fn direct(last: u8) -> Hop {
        Hop::Direct {
            interface: 0,
            mtu: 1500,
            link: Link::new(MacAddress([2, 0, 0, 0, 0, last]), MacAddress([2; 6]), None),
            confirm: false,
        }
    }

    impl Rig {
        fn find(&mut self, to: SocketAddr) -> Option<Hop> {
            self.egresses.find(FLOW, &local(), &to).copied()
        }

        fn tell(&mut self, answers: &[Answer]) {
            for answer in answers {
                self.answers.push(*answer).unwrap();
            }
            self.egresses.handle_answers();
        }

        fn answer(&mut self, hop: HopId) {
            let request = self.requests.pop().expect("the way was asked for");
            self.tell(&[Answer::Way {
                flow: request.flow,
                destination: request.destination,
                version: request.version,
                hop,
            }]);
        }
    }

    #[test]
    fn a_way_is_asked_for_once_and_packets_go_the_slow_way_meanwhile() {
        let mut rig = rig();
        assert_eq!(rig.find(host(1)), Some(Hop::Slow));
        assert!(rig.egresses.take_asked());
        assert_eq!(rig.find(host(1)), Some(Hop::Slow));
        assert!(!rig.egresses.take_asked());
        rig.tell(&[Answer::Hop {
            id: HopId(2),
            hop: direct(9),
        }]);
        rig.answer(HopId(2));
        assert_eq!(rig.find(host(1)), Some(direct(9)));
        assert!(rig.requests.is_empty());
    }

    #[test]
    fn another_destination_is_another_way() {
        let mut rig = rig();
        rig.tell(&[Answer::Hop {
            id: HopId(2),
            hop: direct(9),
        }]);
        rig.find(host(1));
        rig.find(host(2));
        // The answer for the first comes too late.
        rig.answer(HopId(2));
        assert_eq!(rig.find(host(2)), Some(Hop::Slow));
        rig.answer(HopId::UNREACHABLE);
        assert_eq!(rig.find(host(2)), Some(Hop::Unreachable));
    }

    #[test]
    fn changed_tables_are_asked_again_and_the_old_way_holds_until_then() {
        let mut rig = rig();
        rig.find(host(1));
        rig.tell(&[2, 3].map(|id| Answer::Hop {
            id: HopId(id),
            hop: direct(id as u8),
        }));
        rig.answer(HopId(2));
        rig.tell(&[Answer::Changed { version: 2 }]);
        assert_eq!(rig.find(host(1)), Some(direct(2)));
        rig.answer(HopId(3));
        assert_eq!(rig.find(host(1)), Some(direct(3)));
        assert!(rig.requests.is_empty());
    }

    #[test]
    fn forgotten_ways_are_slow() {
        let mut rig = rig();
        rig.find(host(1));
        rig.tell(&[Answer::Hop {
            id: HopId(2),
            hop: direct(9),
        }]);
        rig.answer(HopId(2));
        rig.tell(&[Answer::Forgotten { version: 2 }]);
        assert_eq!(rig.find(host(1)), Some(Hop::Slow));
        rig.answer(HopId::UNREACHABLE);
        assert_eq!(rig.find(host(1)), Some(Hop::Unreachable));
    }

    #[test]
    fn a_full_ring_is_tried_again() {
        let mut rig = rig();
        for last in 1..=3 {
            rig.find(host(last));
        }
        assert_eq!(rig.requests.slots(), 2);
        rig.answer(HopId::SLOW);
        rig.answer(HopId::SLOW);
        rig.find(host(3));
        rig.answer(HopId::UNREACHABLE);
        assert_eq!(rig.find(host(3)), Some(Hop::Unreachable));
    }
}
