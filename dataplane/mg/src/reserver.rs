//! Addresses reserved and released by one command: kept when it succeeds, undone when it fails.

use std::net::SocketAddr;
use std::time::Duration;

use base::Instant;
use h248::error::ErrorCode;
use smallvec::SmallVec;

use crate::digit_maps::DigitMaps;
use crate::error::{Result, error};
use crate::plane::{MediaPlane, OpenError, Statistics};
use crate::port_pool::{PortPool, RealmIndex, Wanted};
use crate::profile::Profile;

/// Ports tried for one reservation when others hold them outside this process.
const TRIES_MAX: usize = 16;

/// How long a port that somebody else holds is not tried again.
const TAKEN_FOR: Duration = Duration::from_secs(60);

/// What a command changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Addresses that are open now.
    pub opened: SmallVec<[SocketAddr; 1]>,
    /// What passed at these.
    pub passed: Statistics,
}

/// What one command needs to change streams, and what it changed in the pool.
pub(crate) struct Reserver<'a> {
    pub now: Instant,
    pub profile: &'a Profile,
    pub pool: &'a mut PortPool,
    pub plane: &'a mut dyn MediaPlane,
    /// Digit maps of the gateway.
    pub digit_maps: &'a DigitMaps,
    /// The realm of streams that name none.
    pub realm: Option<RealmIndex>,
    opened: SmallVec<[SocketAddr; 1]>,
    released: SmallVec<[SocketAddr; 1]>,
}

impl<'a> Reserver<'a> {
    pub fn new(
        now: Instant,
        profile: &'a Profile,
        pool: &'a mut PortPool,
        plane: &'a mut dyn MediaPlane,
        digit_maps: &'a DigitMaps,
    ) -> Self {
        Self {
            now,
            profile,
            pool,
            plane,
            digit_maps,
            realm: None,
            opened: SmallVec::new(),
            released: SmallVec::new(),
        }
    }

    /// Reserves some pair of ports.
    ///
    /// # Errors
    /// 449 when no address suits, 510 when no port is left, 511 when the media plane is behind.
    pub fn reserve(&mut self, wanted: Wanted) -> Result<SocketAddr> {
        if !self.pool.can_suit(wanted) {
            return Err(error(ErrorCode::UNKNOWN_VALUE));
        }
        for _ in 0..TRIES_MAX {
            let Some(local) = self.pool.take(self.now, wanted) else {
                break;
            };
            if self.open(local)? {
                return Ok(local);
            }
        }
        Err(error(ErrorCode::INSUFFICIENT_RESOURCES))
    }

    /// Reserves this pair of ports.
    ///
    /// # Errors
    /// 449 when it is none of ours, else as [`Reserver::reserve`].
    pub fn reserve_exactly(&mut self, local: SocketAddr) -> Result<()> {
        if !self.pool.owns(local) {
            return Err(error(ErrorCode::UNKNOWN_VALUE));
        }
        if self.pool.take_exactly(self.now, local) && self.open(local)? {
            return Ok(());
        }
        Err(error(ErrorCode::INSUFFICIENT_RESOURCES))
    }

    /// Gives a reservation back, if the command succeeds.
    pub fn release(&mut self, local: SocketAddr) {
        self.released.push(local);
    }

    /// The command failed: what it opened is closed, what it released stays.
    pub fn undo(self) {
        for local in self.opened {
            self.pool.closing(local);
            self.plane.close(local);
        }
    }

    /// The command succeeded: what it released is closed.
    pub fn commit(self) -> Changes {
        let mut passed = Statistics::default();
        for &local in &self.released {
            passed.add(&self.plane.statistics(local));
            self.pool.closing(local);
            self.plane.close(local);
        }
        Changes {
            opened: self.opened,
            passed,
        }
    }

    /// Opens a pair taken from the pool; false when somebody else holds it.
    fn open(&mut self, local: SocketAddr) -> Result<bool> {
        let (free_at, code) = match self.plane.open(self.now, local) {
            Ok(()) => {
                self.opened.push(local);
                return Ok(true);
            }
            Err(OpenError::InUse) => {
                self.pool.put_back(local, self.now + TAKEN_FOR);
                return Ok(false);
            }
            Err(OpenError::Busy) => (self.now, ErrorCode::TEMPORARILY_BUSY),
            Err(OpenError::Exhausted) => (self.now, ErrorCode::INSUFFICIENT_RESOURCES),
        };
        self.pool.put_back(local, free_at);
        Err(error(code))
    }
}
