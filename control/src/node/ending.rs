//! How a process ends: first it begins nothing new, then it ends what there is, then it takes
//! leave.

use std::time::Duration;

use base::Instant;

use super::Node;
use crate::cx::DiameterSide;
use crate::entity::mrfc::Mrfc;
use crate::entity::pcscf::Pcscf;
use crate::mgc::Mgc;

impl Node {
    /// From now on new requests are refused; what there is goes on, registrations are refreshed.
    pub fn drain(&mut self) {
        self.stack.drain();
    }

    /// How long calls may go on when the process is to end.
    pub fn drain_time(&self) -> Duration {
        self.config.drain
    }

    /// Calls that there are: legs at the P-CSCF, and calls with the MRFC. No other entity knows of
    /// any.
    pub fn calls(&self) -> usize {
        self.pcscf.as_ref().map_or(0, Pcscf::dialogs) + self.mrfc.as_ref().map_or(0, Mrfc::calls)
    }

    /// Ends all calls.
    pub fn release(&mut self, now: Instant) {
        let calls = self.calls();
        if calls > 0 {
            tracing::warn!(calls, "calls are released: control ends");
        }
        let (entities, mut actions) = self.split(now);
        if let Some(pcscf) = entities.pcscf {
            pcscf.release_calls(&mut actions, "Out of service");
        }
        if let Some(mrfc) = entities.mrfc {
            mrfc.release_calls(&mut actions, "Out of service");
        }
        self.are_released = calls > 0;
        self.settle(now);
    }

    /// True when nothing of the calls is left: their requests are answered, their contexts
    /// subtracted.
    pub fn is_released(&self) -> bool {
        let requests = match self.are_released {
            true => self.stack.requests_pending(),
            false => 0,
        };
        let contexts = self.mgc.as_ref().map_or(0, Mgc::contexts);
        self.calls() + contexts + requests == 0
    }

    /// Takes leave of Diameter peers (RFC 6733 5.4).
    pub fn leave(&mut self, now: Instant) {
        if let Some(side) = &mut self.diameter {
            side.stop(now);
        }
        self.settle(now);
    }

    /// True when no Diameter peer is connected any more.
    pub fn has_left(&self) -> bool {
        self.diameter
            .as_ref()
            .is_none_or(DiameterSide::is_disconnected)
    }
}
