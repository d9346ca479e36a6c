//! What a world is made of, and running a flow in many of them.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use control::config::{ControlFile, TimersFile};
use h248::transport::Carriage;
use sim::Link;

use crate::World;
use crate::world::GivenUp;

/// How the entities are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All in one process, passing values.
    OneProcess,
    /// P-CSCF, I- and S-CSCF, and HSS: SIP and Diameter on the wire.
    ThreeProcesses,
}

impl Layout {
    /// Both.
    pub const ALL: [Layout; 2] = [Layout::OneProcess, Layout::ThreeProcesses];
}

/// What carries the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// The telephones send to each other.
    Direct,
    /// A media gateway, through which the P-CSCF has it go.
    Anchored,
}

/// How a telephone reaches the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By IPv4.
    Ip4,
    /// By IPv6.
    Ip6,
    /// By IPv4, its media from behind a NAT that its session descriptions know nothing of.
    Nat,
}

/// How a user proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// AKAv1-MD5.
    Aka,
    /// SIP Digest with MD5.
    Digest,
    /// SIP Digest with SHA-256.
    Sha256,
}

/// A network without fault, 5 ms from anywhere to anywhere.
pub const GOOD: Link = Link {
    delay: Duration::from_millis(5),
    ..Link::PERFECT
};

/// A network on which, between any two nodes, a tenth of all datagrams is lost, a tenth comes twice
/// and a tenth out of order.
pub const ROUGH: Link = Link {
    delay: Duration::from_millis(10),
    jitter: Duration::from_millis(30),
    loss_per_mille: 100,
    duplicate_per_mille: 100,
    reorder_per_mille: 100,
};

/// The timers of RFC 3261: those of Gm, four times as long, fit the radio but not the core's (TS
/// 24.229 7.7), which forgets a transaction before a UE has sent its 2xx often enough for such a
/// network.
pub const FAST: TimersFile = TimersFile {
    t1_ms: Some(500),
    t2_ms: Some(4000),
    t4_ms: Some(5000),
};

/// Rough networks for each layout that most flows go through; those with audio take longer.
const ROUGH_SEEDS: u64 = 4;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Of everything that is random.
    pub seed: u64,
    /// The processes.
    pub layout: Layout,
    /// The layouts that [`everywhere`] runs a flow in.
    pub layouts: Vec<Layout>,
    /// Rough networks that [`everywhere`] puts a flow through, for each layout.
    pub seeds: u64,
    /// The media.
    pub media: Media,
    /// Whether telephones talk.
    pub audible: bool,
    /// Whether the first two compare what they hear with what the other says: it takes long.
    pub compared: bool,
    /// The n-th is `userN@ims.test`, with a telephone.
    pub users: Vec<User>,
    /// How the telephone of the n-th reaches the network; those not listed do by IPv4.
    pub access: Vec<Access>,
    /// Those whose telephones protect their media as far as the access edge.
    pub protected: Vec<usize>,
    /// Over [`ROUGH`] links in place of [`GOOD`] ones.
    pub rough: bool,
    /// Whether the network records what is sent, from the first datagram on.
    pub recorded: bool,
    /// How media gateways speak H.248.
    pub h248: Carriage,
    /// Laid over the configuration of every control process.
    pub control: ControlFile,
}

impl Setup {
    /// One process, telephones that say nothing, and nothing goes wrong.
    pub fn new(users: &[User]) -> Self {
        Self {
            seed: 1,
            layout: Layout::OneProcess,
            layouts: Layout::ALL.to_vec(),
            seeds: ROUGH_SEEDS,
            media: Media::Direct,
            audible: false,
            compared: false,
            users: users.to_vec(),
            access: Vec::new(),
            protected: Vec::new(),
            rough: false,
            recorded: false,
            h248: Carriage::default(),
            control: ControlFile::default(),
        }
    }

    /// The same with these settings in every control process.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut ControlFile)) -> Self {
        change(&mut self.control);
        self
    }

    /// The same with media through a gateway.
    #[must_use]
    pub fn anchored(mut self) -> Self {
        self.media = Media::Anchored;
        self
    }

    /// The same with gateways that speak H.248 so, as in `ber,tcp`.
    ///
    /// # Panics
    /// These words say nothing.
    #[must_use]
    pub fn h248(mut self, carriage: &str) -> Self {
        self.h248 = carriage.parse().expect("encoding and transport");
        self
    }

    /// The same with telephones that talk.
    #[must_use]
    pub fn audible(mut self) -> Self {
        self.audible = true;
        self.seeds = 2;
        self
    }

    /// The same with telephones that talk, of which the first two compare what they hear.
    #[must_use]
    pub fn compared(mut self) -> Self {
        self.compared = true;
        self.audible()
    }

    /// The same with a network that records what is sent.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// The same with telephones that reach the network in these ways.
    #[must_use]
    pub fn access(mut self, access: &[Access]) -> Self {
        self.access = access.to_vec();
        self
    }

    /// The same with telephones of these users that protect their media.
    #[must_use]
    pub fn protected(mut self, users: &[usize]) -> Self {
        self.protected = users.to_vec();
        self
    }

    /// The same, of which [`everywhere`] runs only the layout with a process for each.
    #[must_use]
    pub fn spread(mut self) -> Self {
        self.layouts = vec![Layout::ThreeProcesses];
        self
    }

    /// The same in this layout.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The same over a rough network of this seed; where it is even, with the timers of RFC 3261
    /// on Gm too.
    #[must_use]
    pub fn rough(mut self, seed: u64) -> Self {
        self.seed = seed;
        self.rough = true;
        // What is heard is not what was said.
        self.compared = false;
        if seed.is_multiple_of(2) {
            self.control.gm = Some(FAST);
        }
        self
    }

    /// Makes the world.
    pub fn build(&self) -> World {
        World::new(self)
    }
}

/// Runs a flow in its layouts, over a network without fault and over rough ones; nothing may be
/// left of it at the end. The seeds are printed.
///
/// # Panics
/// Where the flow does; and when more than half of its rough runs are given up because something
/// was lost as often as its timers let it be sent.
pub fn everywhere(setup: &Setup, flow: impl Fn(&mut World)) {
    for &layout in &setup.layouts {
        let setup = setup.clone().layout(layout);
        assert_eq!(run(&setup, &flow), Ok(()));
        let seeds: Vec<u64> = sim::seeds(setup.seeds).collect();
        let rough = seeds
            .iter()
            .map(|&seed| run(&setup.clone().rough(seed), &flow));
        let given_up = rough.filter(Result::is_err).count();
        assert!(
            given_up <= seeds.len().div_ceil(2),
            "given up {given_up} times"
        );
    }
}

/// Runs a flow in its layouts over a network without fault only: for flows that make many runs of
/// their own.
pub fn in_both(setup: &Setup, flow: impl Fn(&mut World)) {
    for &layout in &setup.layouts {
        assert_eq!(run(&setup.clone().layout(layout), &flow), Ok(()));
    }
}

/// Runs a flow once; an error says why it could not be run to its end.
fn run(setup: &Setup, flow: impl Fn(&mut World)) -> Result<(), String> {
    let quality = if setup.rough { "rough" } else { "good" };
    eprintln!("{:?}, {quality} network, seed {}", setup.layout, setup.seed);
    let mut world = setup.build();
    let flown = panic::catch_unwind(AssertUnwindSafe(|| flow(&mut world)));
    let result = flown.or_else(|payload| match payload.downcast::<GivenUp>() {
        Ok(given_up) => {
            eprintln!("given up, {}", given_up.0);
            world.clear();
            Err(given_up.0)
        }
        Err(payload) => panic::resume_unwind(payload),
    });
    world.assert_clean();
    result
}
