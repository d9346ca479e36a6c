//! What a media function sends of its own accord.

use crate::control::Report;
use crate::worker::Core;
use crate::{
    BURST_MAX, Datagram, DetectedTone, FlowId, PAYLOAD_BYTES_MAX, PacketIo, Took, Verdict,
};
use base::Instant;
use std::any::Any;
use std::time::Duration;

/// Something that the mg thread and a media function pass to each other: made, and dropped, on the
/// mg thread.
pub type Mail = Box<dyn Any + Send>;

/// What a function may do while it works ([`crate::Function::work`]).
pub struct Outlet<'a> {
    pub(crate) now: Instant,
    pub(crate) clock: &'a dyn Fn() -> Instant,
    pub(crate) core: &'a mut Core,
    pub(crate) io: &'a mut dyn PacketIo,
    pub(crate) took: Took,
    /// How long the back-end has been busy with what was sent.
    pub(crate) sending: Duration,
}

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sends {
    /// Media.
    Rtp,
    /// RTCP, by the ways for it.
    Rtcp,
}

impl Outlet<'_> {
    /// When this work began.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How long it has lasted: reads the clock.
    pub fn lasted(&self) -> Duration {
        (self.clock)().since(self.now)
    }

    /// What the last turn took in which the function worked.
    pub fn took(&self) -> Took {
        self.took
    }

    /// Sends a datagram by each egress of a flow's path, as if it had come there: protected and
    /// marked as the path says. `write` gets [`PAYLOAD_BYTES_MAX`] octets and says how many it has
    /// used; with none, nothing is sent. False when it could not be sent.
    pub fn send(
        &mut self,
        flow: FlowId,
        what: Sends,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> bool {
        let verdict = match what {
            Sends::Rtp => Verdict::Forward,
            Sends::Rtcp => Verdict::ForwardRtcp,
        };
        let Some(local) = self.core.sends_from(flow) else {
            return false;
        };
        self.core.free_spare(self.io);
        let Some(mut frame) = self.core.take_frame(self.io) else {
            return false;
        };
        let bytes = write(&mut frame.space()[..PAYLOAD_BYTES_MAX]);
        if bytes == 0 || !frame.received(bytes) {
            self.core.give_back(frame);
            return false;
        }
        if self.core.outgoing() >= BURST_MAX {
            let began = (self.clock)();
            self.core.transmit(self.io);
            self.sending += (self.clock)().since(began);
        }
        let mut datagram = Datagram::new(frame, flow, local, self.now);
        self.core.execute(&mut datagram, verdict, self.io);
        true
    }

    /// Passes something to the mg thread ([`crate::Control::poll_mail`]).
    ///
    /// # Errors
    /// The thing itself, when there is no room: try again.
    pub fn post(&mut self, mail: Mail) -> Result<(), Mail> {
        self.core.post(mail)
    }

    /// Reports a telephone event on a flow; false when there is no room: try again.
    pub fn report_tone(&mut self, flow: FlowId, tone: DetectedTone) -> bool {
        let Some(generation) = self.core.generation(flow) else {
            return true;
        };
        self.core.report(Report::Tone {
            flow,
            generation,
            tone,
        })
    }
}
