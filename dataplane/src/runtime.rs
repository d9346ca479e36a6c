//! Putting the parts together.

use crate::control::{Control, Error, WorkerHandle};
use crate::counters::{self, WorkerCounters};
use crate::flow::Claims;
use crate::handoff::{HANDOFF_MAX, PUNTS_MAX, Parcel};
use crate::worker::{Peers, Shared, Sleeper, Worker};
use crate::{Backend, Function};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use udp_batch::EventFd;

/// What the runtime can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a closed port rests before it can be opened again, so that packets of its former
    /// use are gone.
    pub rest: Duration,
    /// Commands that may wait for each worker; beyond, the [`Control`] answers [`Error::Busy`].
    pub commands_max: usize,
    /// What a worker does when there is nothing to do.
    pub idle: Idle,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rest: Duration::from_secs(5),
            commands_max: 4096,
            idle: Idle::Block { after_turns: 4 },
        }
    }
}

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idle {
    /// Polls on: the core is its own.
    Spin,
    /// Waits in the back-end after this many turns in a row without work.
    Block {
        /// Turns without work, from 0.
        after_turns: u32,
    },
}

/// Makes the mg thread's [`Control`] and a worker for each of the back-end's queues.
///
/// `function` makes a worker's media function; it is told the number of flows, every
/// [`crate::FlowId`] being below.
///
/// # Errors
/// `Misuse` for no worker or more than [`WORKERS_MAX`], `Io` when the system has no descriptor
/// left.
pub fn runtime(
    config: &Config,
    backend: Backend,
    mut function: impl FnMut(usize) -> Box<dyn Function>,
) -> Result<(Control, Vec<Worker>), Error> {
    let workers = backend.ios.len();
    if workers == 0 || workers > WORKERS_MAX {
        return Err(Error::Misuse);
    }
    let flows = backend.addresses.flows();
    let shared = Arc::new(Shared {
        claims: Claims::new(flows),
        received: counters::table(flows),
        refused: counters::table(flows),
        workers: (0..workers).map(|_| WorkerCounters::new(flows)).collect(),
        sleepers: backend
            .ios
            .iter()
            .map(|io| Sleeper::new(io.waker()))
            .collect(),
        addresses: backend.addresses,
        reported: EventFd::new().map_err(Error::Io)?,
        stopping: AtomicBool::new(false),
    });
    let commands_max = config.commands_max.max(COMMANDS_MIN);
    let mut handles = Vec::new();
    let mut threads = Vec::new();
    let pairs = backend.ios.into_iter().zip(peers(workers));
    for (index, (io, (peers, punts))) in pairs.enumerate() {
        let (commands, commands_in) = RingBuffer::new(commands_max);
        let (reports_out, reports) = RingBuffer::new(commands_max);
        handles.push(WorkerHandle::new(commands, reports, punts));
        let rings = (commands_in, reports_out);
        let shared = Arc::clone(&shared);
        let function = function(flows);
        threads.push(Worker::new(
            index as u16,
            shared,
            io,
            function,
            config.idle,
            rings,
            peers,
        ));
    }
    Ok((
        Control::new(shared, backend.endpoints, handles, config.rest),
        threads,
    ))
}

/// A ring from each worker to each other, and to the mg thread with its end.
fn peers(workers: usize) -> Vec<(Peers, Consumer<Parcel>)> {
    let mut to: Vec<Vec<Option<Producer<Parcel>>>> = Vec::new();
    let mut from: Vec<Vec<Option<Consumer<Parcel>>>> = Vec::new();
    to.resize_with(workers, || (0..workers).map(|_| None).collect());
    from.resize_with(workers, || (0..workers).map(|_| None).collect());
    for sender in 0..workers {
        for receiver in (0..workers).filter(|&receiver| receiver != sender) {
            let (producer, consumer) = RingBuffer::new(HANDOFF_MAX);
            to[sender][receiver] = Some(producer);
            from[receiver][sender] = Some(consumer);
        }
    }
    to.into_iter()
        .zip(from)
        .map(|(to, from)| {
            let (punts, punts_in) = RingBuffer::new(PUNTS_MAX);
            (Peers { to, from, punts }, punts_in)
        })
        .collect()
}

/// Workers of one process: the cores of a large server.
pub const WORKERS_MAX: usize = 64;

/// Fewest commands that may wait: those of a context with several streams.
const COMMANDS_MIN: usize = 16;
