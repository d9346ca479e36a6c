//! The orders that end the loop, and how far it has come with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use base::Instant;
use mio::Waker;
use tracing::info;

use crate::node::Node;

/// How long what is released may take: BYE is answered, or sent once more (T1 of Gm is 2 s).
const RELEASE_MAX: Duration = Duration::from_secs(5);
/// How long Diameter peers may take to answer that we leave (RFC 6733 5.4).
const LEAVE_MAX: Duration = Duration::from_secs(1);

/// What the loop is told; a later one outdoes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Order {
    /// Serve everybody.
    Serve,
    /// Begin nothing new.
    Drain,
    /// End what there is.
    Release,
    /// Begin nothing new, end what is left when the time for it is over, and then yourself.
    Leave,
    /// The same at once.
    Stop,
}

impl Order {
    const fn of(value: u8) -> Self {
        match value {
            0 => Order::Serve,
            1 => Order::Drain,
            2 => Order::Release,
            3 => Order::Leave,
            _ => Order::Stop,
        }
    }
}

/// A way to end the loop from another thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    order: Arc<AtomicU8>,
    waker: Arc<Waker>,
}

impl StopHandle {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            order: Arc::default(),
            waker,
        }
    }

    /// Asks the loop to refuse what is new and go on with what there is.
    pub fn drain(&self) {
        self.give(Order::Drain);
    }

    /// Asks the loop to end the calls that there are, and refuse new ones.
    pub fn release(&self) {
        self.give(Order::Release);
    }

    /// Asks the loop to let calls end for the configured time, to release those that are left, and
    /// to end.
    pub fn leave(&self) {
        self.give(Order::Leave);
    }

    /// Asks the loop to release the calls that there are, and to end.
    pub fn stop(&self) {
        self.give(Order::Stop);
    }

    fn give(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::AcqRel);
        // A failed wake means that the loop's poll is gone, and with it the loop.
        let _ = self.waker.wake();
    }

    fn order(&self) -> Order {
        Order::of(self.order.load(Ordering::Acquire))
    }
}

/// How far the loop has come with what it was told.
#[derive(Debug)]
pub(super) struct Ending {
    handle: StopHandle,
    /// How long calls may go on.
    drain: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Serving,
    /// Calls may go on until then.
    Draining(Instant),
    /// What was released may take until then.
    Releasing(Instant),
    /// Diameter peers may take until then.
    Leaving(Instant),
}

impl Ending {
    pub(super) fn new(handle: StopHandle, drain: Duration) -> Self {
        Self {
            handle,
            drain,
            stage: Stage::Serving,
        }
    }

    pub(super) fn handle(&self) -> StopHandle {
        self.handle.clone()
    }

    /// When the present stage ends at the latest.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match (self.stage, self.handle.order()) {
            (Stage::Draining(until), Order::Leave) => Some(until),
            (Stage::Releasing(until), Order::Leave | Order::Stop) | (Stage::Leaving(until), _) => {
                Some(until)
            }
            _ => None,
        }
    }

    /// Does what is due of ending; true when all is done. Call in every turn.
    pub(super) fn advance(&mut self, now: Instant, node: &mut Node) -> bool {
        let order = self.handle.order();
        if let Stage::Serving = self.stage
            && order > Order::Serve
        {
            node.drain();
            info!(calls = node.calls(), "control drains");
            self.stage = Stage::Draining(now + self.drain);
        }
        if let Stage::Draining(until) = self.stage {
            let is_over = match order {
                Order::Serve | Order::Drain => false,
                Order::Release | Order::Stop => true,
                Order::Leave => node.calls() == 0 || now >= until,
            };
            if is_over {
                node.release(now);
                self.stage = Stage::Releasing(now + RELEASE_MAX);
            }
        }
        if let Stage::Releasing(until) = self.stage
            && order >= Order::Leave
            && (node.is_released() || now >= until)
        {
            node.leave(now);
            self.stage = Stage::Leaving(now + LEAVE_MAX);
        }
        matches!(self.stage, Stage::Leaving(until) if node.has_left() || now >= until)
    }
}
