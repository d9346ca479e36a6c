//! Waiting for many sockets.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// An `epoll` set: one thread adds, another may wait.
///
/// A member stays ready as long as datagrams wait on it, unless it was added by
/// [`Epoll::add_for_news`]. The kernel puts a member that it reported at the end of its list, so
/// that bounded reads from a bounded number of sockets serve all of them in turn.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// What the system answers: too many descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Adds what becomes readable; `token` names it in [`Events`].
    ///
    /// # Errors
    /// What the system answers: already a member, or too many watches.
    pub fn add(&self, member: &impl AsFd, token: u64) -> io::Result<()> {
        self.add_with(member, token, libc::EPOLLIN)
    }

    /// The same for a member that is reported once for what arrives, edge-triggered: who does not
    /// read until nothing waits has to remember that. It saves the system a look at each member
    /// that it reported before.
    ///
    /// # Errors
    /// As [`Epoll::add`].
    pub fn add_for_news(&self, member: &impl AsFd, token: u64) -> io::Result<()> {
        self.add_with(member, token, libc::EPOLLIN | libc::EPOLLET)
    }

    fn add_with(&self, member: &impl AsFd, token: u64, events: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: token,
        };
        self.control(libc::EPOLL_CTL_ADD, member, &mut event)
    }

    /// Removes a member; its tokens come no more from waits that begin later.
    ///
    /// # Errors
    /// What the system answers: not a member.
    pub fn remove(&self, member: &impl AsFd) -> io::Result<()> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        self.control(libc::EPOLL_CTL_DEL, member, &mut event)
    }

    /// Waits until a member is readable or `timeout` (`None`: for ever) has passed; a signal ends
    /// it early.
    ///
    /// # Errors
    /// What the system answers; none is known with a valid set.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        events.count = 0;
        let milliseconds = timeout.map_or(-1, milliseconds_up);
        // SAFETY: the descriptor is open, and the system writes at most as many events as there is
        // room for.
        let count = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.room.as_mut_ptr(),
                events.room.len() as libc::c_int,
                milliseconds,
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            let interrupted = error.kind() == io::ErrorKind::Interrupted;
            return if interrupted { Ok(0) } else { Err(error) };
        }
        events.count = (count as usize).min(events.room.len());
        Ok(events.count)
    }

    fn control(
        &self,
        what: libc::c_int,
        member: &impl AsFd,
        event: &mut libc::epoll_event,
    ) -> io::Result<()> {
        let member = member.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open, and the event lives as long as the call.
        let result = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), what, member, event) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// What a wait found ready.
#[derive(Debug)]
pub struct Events {
    room: Box<[libc::epoll_event]>,
    count: usize,
}

impl Events {
    /// Room for `members` at a time, at least one; more wait for the next turn.
    pub fn new(members: usize) -> Self {
        let members = members.clamp(1, EVENTS_MAX);
        Self {
            room: vec![libc::epoll_event { events: 0, u64: 0 }; members].into(),
            count: 0,
        }
    }

    /// The token of the `index`th ready member; `None` beyond the last.
    pub fn token(&self, index: usize) -> Option<u64> {
        self.room[..self.count].get(index).map(|event| event.u64)
    }

    /// The tokens of the ready members.
    pub fn tokens(&self) -> impl Iterator<Item = u64> + '_ {
        self.room[..self.count].iter().map(|event| event.u64)
    }
}

/// Most members one wait reports.
const EVENTS_MAX: usize = 4096;

/// Rounded up, so that a wait for a timer does not end just before it is due.
fn milliseconds_up(timeout: Duration) -> libc::c_int {
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    libc::c_int::try_from(milliseconds).unwrap_or(libc::c_int::MAX)
}
