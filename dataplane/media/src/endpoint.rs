//! One stream of one termination, both ways.

use base::Instant;

use crate::error::ConfigError;
use crate::event::TelephoneEvent;
use crate::receiver::{Pulled, Received, Receiver, ReceiverConfig, Workspace};
use crate::sender::{Encoding, EncodingConfig, EventRefused, Sender, SenderConfig};

/// What an [`Endpoint`] is made for.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// What may come.
    pub receiver: ReceiverConfig,
    /// How what is sent is encoded; its rate is that of the receiver.
    pub encoding: EncodingConfig,
    /// Headers of what is sent.
    pub sender: SenderConfig,
}

/// One stream of one termination: what comes becomes ticks of samples, ticks of samples become
/// packets.
///
/// Allocates when it is made and never again.
#[derive(Debug)]
pub struct Endpoint {
    /// The receiving half.
    pub receiver: Receiver,
    /// The sending half.
    pub sender: Sender,
    /// What turns samples into payloads for this stream alone.
    pub encoding: Encoding,
    /// Ticks that were pushed.
    tick: u64,
}

impl Endpoint {
    /// Of a stream that has not begun.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn new(config: &EndpointConfig) -> Result<Self, ConfigError> {
        if config.encoding.sample_rate != config.receiver.sample_rate {
            return Err(ConfigError::SampleRate);
        }
        Ok(Self {
            receiver: Receiver::new(&config.receiver)?,
            sender: Sender::new(config.sender),
            encoding: Encoding::new(&config.encoding)?,
            tick: 0,
        })
    }

    /// A packet arrived. It is copied.
    pub fn receive(&mut self, now: Instant, packet: &[u8]) -> Received {
        self.receiver.receive(now, packet)
    }

    /// Takes the tick that is due, see [`Receiver::pull`].
    pub fn pull(&mut self, now: Instant, workspace: &mut Workspace, out: &mut [i16]) -> Pulled {
        let pulled = self.receiver.pull(now, workspace, out);
        if let Some(mode) = self.receiver.requested_mode() {
            self.encoding.request_mode(mode);
        }
        pulled
    }

    /// The next event that began or ended.
    pub fn poll_event(&mut self) -> Option<TelephoneEvent> {
        self.receiver.poll_event()
    }

    /// Sends a tick of samples; `emit` gets the packets.
    pub fn push(&mut self, samples: &[i16], mut emit: impl FnMut(&[u8])) {
        if let Some(packet) = self.sender.event_packet(self.tick) {
            emit(&packet);
        }
        self.tick += 1;
        self.encoding.push(samples);
        while let Some(mut outgoing) = self.encoding.next_packet() {
            if let Some(packet) = self.sender.stamp(&mut outgoing) {
                emit(packet);
            }
        }
    }

    /// Lets a tick pass in which nothing is sent.
    pub fn skip(&mut self) {
        self.tick += 1;
        self.encoding.skip();
        self.sender.pause();
    }

    /// Sends a key or another event, see [`Sender::send_event`].
    ///
    /// # Errors
    /// [`EventRefused`].
    pub fn send_event(&mut self, code: u8, duration_ms: Option<u32>) -> Result<(), EventRefused> {
        self.sender.send_event(code, duration_ms)
    }

    /// Goes on with another encoding of the same clock, for instance of another packet time, and
    /// gives the old one back to be dropped elsewhere.
    pub fn set_encoding(&mut self, mut encoding: Encoding, payload_type: u8) -> Encoding {
        encoding.begin_at(self.tick);
        self.sender.set_payload_type(payload_type);
        std::mem::replace(&mut self.encoding, encoding)
    }
}
