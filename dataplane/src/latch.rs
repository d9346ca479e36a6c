//! Latching to the source of received packets, H.248.37.

use crate::{DropReason, Latch};
use std::net::SocketAddr;

/// What a flow has latched to. Owned by the worker that has the flow.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct LatchState {
    request: u32,
    source: Option<SocketAddr>,
    relatching: bool,
}

/// What a packet did to the latch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// It comes from where it may.
    Known,
    /// It set the latch: media to this termination now go to its source.
    Latched,
}

impl LatchState {
    /// The demand that this answers.
    pub(crate) fn request(&self) -> u32 {
        self.request
    }

    /// Judges the source of a packet that is valid otherwise.
    pub(crate) fn admit(
        &mut self,
        latch: Latch,
        source: SocketAddr,
    ) -> Result<Admission, DropReason> {
        match latch {
            Latch::Off => return Ok(Admission::Known),
            Latch::First { request } if request != self.request => {
                *self = Self {
                    request,
                    source: None,
                    relatching: false,
                };
            }
            Latch::Again { request } if request != self.request => {
                self.request = request;
                self.relatching = true;
            }
            Latch::First { .. } | Latch::Again { .. } => {}
        }
        match self.source {
            Some(known) if known == source => Ok(Admission::Known),
            Some(_) if !self.relatching => Err(DropReason::SourceMismatch),
            _ => {
                self.source = Some(source);
                self.relatching = false;
                Ok(Admission::Latched)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(port: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 1], port))
    }

    #[test]
    fn without_latching_any_source_is_known() {
        let mut state = LatchState::default();
        assert_eq!(state.admit(Latch::Off, source(1)), Ok(Admission::Known));
        assert_eq!(state.admit(Latch::Off, source(2)), Ok(Admission::Known));
    }

    #[test]
    fn the_first_source_stays_and_others_are_refused() {
        let mut state = LatchState::default();
        let latch = Latch::First { request: 1 };
        assert_eq!(state.admit(latch, source(1)), Ok(Admission::Latched));
        assert_eq!(state.admit(latch, source(1)), Ok(Admission::Known));
        assert_eq!(
            state.admit(latch, source(2)),
            Err(DropReason::SourceMismatch)
        );
    }

    #[test]
    fn a_new_request_forgets_the_source() {
        let mut state = LatchState::default();
        assert_eq!(
            state.admit(Latch::First { request: 1 }, source(1)),
            Ok(Admission::Latched)
        );
        assert_eq!(
            state.admit(Latch::First { request: 2 }, source(2)),
            Ok(Admission::Latched)
        );
        assert_eq!(
            state.admit(Latch::First { request: 2 }, source(1)),
            Err(DropReason::SourceMismatch)
        );
    }

    #[test]
    fn relatching_keeps_the_old_source_until_a_new_one_speaks() {
        let mut state = LatchState::default();
        assert_eq!(
            state.admit(Latch::First { request: 1 }, source(1)),
            Ok(Admission::Latched)
        );
        let again = Latch::Again { request: 2 };
        assert_eq!(state.admit(again, source(1)), Ok(Admission::Known));
        assert_eq!(state.admit(again, source(2)), Ok(Admission::Latched));
        assert_eq!(
            state.admit(again, source(1)),
            Err(DropReason::SourceMismatch)
        );
        assert_eq!(state.admit(again, source(2)), Ok(Admission::Known));
    }

    #[test]
    fn relatching_without_a_latch_latches() {
        let mut state = LatchState::default();
        assert_eq!(
            state.admit(Latch::Again { request: 1 }, source(1)),
            Ok(Admission::Latched)
        );
        assert_eq!(
            state.admit(Latch::Again { request: 1 }, source(2)),
            Err(DropReason::SourceMismatch)
        );
    }
}
