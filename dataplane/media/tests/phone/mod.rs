//! A phone: one stream both ways, as those who call us have it.
#![allow(dead_code, reason = "each test uses a part")]

use base::Instant;
use codecs::{Codec, EncoderConfig};
use media::{
    Encoding, EncodingConfig, Pulled, Receiver, ReceiverConfig, Sender, SenderConfig, Workspace,
};

pub struct Phone {
    pub receiver: Receiver,
    pub sender: Sender,
    pub encoding: Encoding,
    /// Ticks that were pushed.
    tick: u64,
}

impl Phone {
    /// Sends in `codec`, at the receiver's rate of samples.
    pub fn new(codec: &Codec, receiver: &ReceiverConfig, sender: SenderConfig) -> Self {
        let encoding = encoding(codec, receiver.sample_rate);
        Self {
            receiver: Receiver::new(receiver).expect("the codec is available"),
            sender: Sender::new(sender),
            encoding: Encoding::new(&encoding).expect("the codec is available"),
            tick: 0,
        }
    }

    pub fn receive(&mut self, now: Instant, packet: &[u8]) {
        self.receiver.receive(now, packet);
    }

    pub fn pull(&mut self, now: Instant, workspace: &mut Workspace, out: &mut [i16]) -> Pulled {
        self.receiver.pull(now, workspace, out)
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
}

pub fn encoding(codec: &Codec, sample_rate: u32) -> EncodingConfig {
    EncodingConfig {
        codec: codec.clone(),
        encoder: EncoderConfig::default(),
        sample_rate,
    }
}
