//! Users with USIMs who register, refresh and leave all the while, and some who only call.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use base::Entropy;
use sip::transaction::Timers;

use crate::crowd::{Crowd, Side, Standing, Tally};
use crate::rig::Rig;

/// Users of each number, one on each side, who register once and then only call: that they can
/// shows that what was confirmed has not been lost.
const CALLING: usize = 4;
/// A call is made in that time, or it does not work.
const CALL_PATIENCE: Duration = Duration::from_secs(10);
/// Calls made before it is said that calls do not work: one may be refused for load.
const ATTEMPTS_MAX: u32 = 3;
/// Before the next attempt.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(500);
/// Within that time everybody knows whether he is registered.
const SETTLE_PATIENCE: Duration = Duration::from_secs(30);
/// Before a user tries once more who does not know.
const SETTLE_PAUSE: Duration = Duration::from_millis(500);
/// Of a thousand registered users who do something, so many leave; the others refresh.
const LEAVE_PER_MILLE: u64 = 250;

/// A call that worked.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// At which attempt.
    pub attempt: u32,
    /// From INVITE to the end.
    pub took: Duration,
}

/// What the residents know at rest.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Who is registered, with SQN of the last challenge.
    pub registered: Vec<(String, u64)>,
    /// Who is not.
    pub gone: Vec<String>,
    /// Who could not find out.
    pub unsure: Vec<String>,
    /// What happened so far.
    pub tally: Tally,
    /// Challenges seen.
    pub challenges: u64,
    /// Those whose SQN had not risen, and the first of them in words.
    pub gone_back: (u64, Vec<String>),
}

enum Order {
    Probe(Sender<Result<Probe, String>>),
    Settle(Sender<Census>),
    Resume,
}

/// The residents, on a thread of their own until they are dropped.
pub struct Residents {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Residents {
    /// Moves in and registers: `users` on each side, `rate` registrations a second from then on.
    ///
    /// # Errors
    /// A socket cannot be opened.
    pub fn start(rig: &Rig, users: usize, rate: u64, seed: u64, t1: Timers) -> io::Result<Self> {
        let proxy: SocketAddr = rig.proxy();
        // The sockets stay where they were opened.
        let crowd = rig
            .namespace()
            .inside(|| Crowd::open_with(proxy, users, t1))?;
        let (orders, told) = mpsc::channel();
        let mut town = Town {
            crowd,
            users,
            rate,
            entropy: Entropy::from_u64(seed),
            started: Instant::now(),
            begun: 0,
            is_at_rest: true,
            next_call: 0,
        };
        for (side, number) in town.everybody() {
            town.crowd.register(side, number);
        }
        let thread = thread::spawn(move || town.live(&told));
        Ok(Residents {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> T {
        let (answer, answered) = mpsc::channel();
        let orders = self.orders.as_ref().expect("taken by drop only");
        let sent = orders.send(order(answer));
        sent.expect("the residents live until they are dropped");
        answered.recv().expect("the residents answer")
    }

    /// Has one of them call another.
    ///
    /// # Errors
    /// No attempt worked, and how the last one ended.
    pub fn probe(&self) -> Result<Probe, String> {
        self.ask(Order::Probe)
    }

    /// Has them come to rest, and find out whether they are registered.
    pub fn settle(&self) -> Census {
        self.ask(Order::Settle)
    }

    /// Has them go on.
    pub fn resume(&self) {
        let orders = self.orders.as_ref().expect("taken by drop only");
        let sent = orders.send(Order::Resume);
        sent.expect("the residents live until they are dropped");
    }
}

impl Drop for Residents {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the residents have given up");
        }
    }
}

struct Town {
    crowd: Crowd,
    users: usize,
    /// Registrations a second.
    rate: u64,
    entropy: Entropy,
    /// Since when they register, and how often they have.
    started: Instant,
    begun: u64,
    is_at_rest: bool,
    next_call: usize,
}

impl Town {
    fn live(mut self, told: &Receiver<Order>) {
        loop {
            // Who asked and does not wait for the answer has ended.
            match told.try_recv() {
                Ok(Order::Probe(answer)) => drop(answer.send(self.probe())),
                Ok(Order::Settle(answer)) => drop(answer.send(self.settle())),
                Ok(Order::Resume) => {
                    self.is_at_rest = false;
                    self.started = Instant::now();
                    self.begun = 0;
                }
                Err(TryRecvError::Empty) => self.turn(),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    fn everybody(&self) -> impl Iterator<Item = (Side, usize)> + use<> {
        let users = self.users;
        [Side::Caller, Side::Called]
            .into_iter()
            .flat_map(move |side| (0..users).map(move |number| (side, number)))
    }

    /// Lets somebody register, refresh or leave when it is time, and the crowd do what is due.
    fn turn(&mut self) {
        let due = (self.started.elapsed().as_secs_f64() * self.rate as f64) as u64;
        if !self.is_at_rest && self.begun < due {
            self.begun += 1;
            let side = match self.entropy.chance(500) {
                true => Side::Caller,
                false => Side::Called,
            };
            let movers = (self.users - CALLING) as u64;
            let number = CALLING + self.entropy.below(movers) as usize;
            let leaves = self.entropy.chance(LEAVE_PER_MILLE);
            match self.crowd.is_registered(side, number) && leaves {
                true => self.crowd.deregister(side, number),
                false => self.crowd.register(side, number),
            }
        }
        self.crowd.turn();
    }

    fn turn_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn();
        }
    }

    fn probe(&mut self) -> Result<Probe, String> {
        let mut why = String::new();
        for attempt in 1..=ATTEMPTS_MAX {
            let number = self.next_call % CALLING;
            self.next_call += 1;
            let (began, before) = (Instant::now(), self.crowd.tally());
            self.crowd.call(number);
            let mut now = before;
            while (now.ended, now.failed) == (before.ended, before.failed) {
                if began.elapsed() > CALL_PATIENCE {
                    return Err(format!("no end of call {number} in {CALL_PATIENCE:?}"));
                }
                self.turn();
                now = self.crowd.tally();
            }
            if now.ended > before.ended {
                let took = began.elapsed();
                return Ok(Probe { attempt, took });
            }
            self.crowd.last_failure().clone_into(&mut why);
            self.turn_for(ATTEMPT_PAUSE);
        }
        Err(why)
    }

    fn settle(&mut self) -> Census {
        self.is_at_rest = true;
        let until = Instant::now() + SETTLE_PATIENCE;
        loop {
            let unsure: Vec<_> = self
                .everybody()
                .filter(|&(side, number)| self.crowd.standing(side, number) == Standing::Unsure)
                .collect();
            if unsure.is_empty() || Instant::now() > until {
                return self.census();
            }
            // One whose REGISTER is under way goes on with that.
            for (side, number) in unsure {
                self.crowd.register(side, number);
            }
            self.turn_for(SETTLE_PAUSE);
        }
    }

    fn census(&self) -> Census {
        let mut census = Census {
            tally: self.crowd.tally(),
            ..Census::default()
        };
        for (side, number) in self.everybody() {
            let name = crate::crowd::user(side, number);
            match self.crowd.standing(side, number) {
                Standing::Registered => {
                    let sqn = self.crowd.sqns(side).last(number);
                    census.registered.push((name, sqn.unwrap_or(0)));
                }
                Standing::Gone => census.gone.push(name),
                Standing::Unsure => census.unsure.push(name),
            }
        }
        for side in [Side::Caller, Side::Called] {
            let sqns = self.crowd.sqns(side);
            census.challenges += sqns.challenges();
            census.gone_back.0 += sqns.gone_back();
            census.gone_back.1.extend_from_slice(sqns.faults());
        }
        census
    }
}
