//! What a world is made of, and running a flow in many of them.

use std::time::Duration;

use control::config::{ControlFile, TimersFile};
use sim::Link;

use crate::World;

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

/// Between telephones and their P-CSCF in a rough world: a tenth of all datagrams lost, a tenth out
/// of order, some doubled.
pub const ROUGH: Link = Link {
    delay: Duration::from_millis(10),
    jitter: Duration::from_millis(30),
    loss_per_mille: 100,
    duplicate_per_mille: 50,
    reorder_per_mille: 100,
};

/// Between the entities of a rough world: as bad, but for loss. 2xx and ACK go end to end, four
/// links that lose a tenth each would lose calls for good.
pub const ROUGH_CORE: Link = Link {
    loss_per_mille: 30,
    ..ROUGH
};

/// The timers of RFC 3261: those of Gm, four times as long, fit the radio but not the core's (TS
/// 24.229 7.7), which forgets a transaction before a UE has sent its 2xx often enough for such a
/// network.
const FAST: TimersFile = TimersFile {
    t1_ms: Some(500),
    t2_ms: Some(4000),
    t4_ms: Some(5000),
};

/// Rough networks that [`everywhere`] puts a flow through, for each layout.
pub const ROUGH_SEEDS: u64 = 4;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Of everything that is random.
    pub seed: u64,
    /// The processes.
    pub layout: Layout,
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
    /// Over [`ROUGH`] and [`ROUGH_CORE`] in place of [`GOOD`] links.
    pub rough: bool,
    /// Whether the network records what is sent, from the first datagram on.
    pub recorded: bool,
    /// Laid over the configuration of every control process.
    pub control: ControlFile,
}

impl Setup {
    /// One process, telephones that say nothing, and nothing goes wrong.
    pub fn new(users: &[User]) -> Self {
        Self {
            seed: 1,
            layout: Layout::OneProcess,
            media: Media::Direct,
            audible: false,
            compared: false,
            users: users.to_vec(),
            access: Vec::new(),
            rough: false,
            recorded: false,
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

    /// The same with telephones that talk.
    #[must_use]
    pub fn audible(mut self) -> Self {
        self.audible = true;
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

    /// The same in this layout.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The same over a rough network of this seed.
    #[must_use]
    pub fn rough(mut self, seed: u64) -> Self {
        self.seed = seed;
        self.rough = true;
        self.control.gm = Some(FAST);
        self
    }

    /// Makes the world.
    pub fn build(&self) -> World {
        World::new(self)
    }
}

/// Runs a flow in both layouts over a network without fault; nothing may be left of it at the end.
pub fn in_both(setup: &Setup, flow: impl Fn(&mut World)) {
    for layout in Layout::ALL {
        run(&setup.clone().layout(layout), &flow);
    }
}

/// Runs a flow in both layouts, over a network without fault and over [`ROUGH_SEEDS`] rough ones;
/// nothing may be left of it at the end. The seeds are printed.
pub fn everywhere(setup: &Setup, flow: impl Fn(&mut World)) {
    in_both(setup, &flow);
    for layout in Layout::ALL {
        for seed in sim::seeds(ROUGH_SEEDS) {
            run(&setup.clone().layout(layout).rough(seed), &flow);
        }
    }
}

fn run(setup: &Setup, flow: impl Fn(&mut World)) {
    let quality = if setup.rough { "rough" } else { "good" };
    eprintln!("{:?}, {quality} network, seed {}", setup.layout, setup.seed);
    let mut world = setup.build();
    flow(&mut world);
    world.assert_clean();
}
