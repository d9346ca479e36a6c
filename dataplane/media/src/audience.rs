//! All who hear the same in the same way.

use crate::error::ConfigError;
use crate::sender::{Encoding, EncodingConfig, Sender};

/// Listeners that hear the same and are sent the same format: what they hear is encoded once.
///
/// A listener is known by a key of the caller's. It is in an audience as long as it hears what all
/// others hear; a talker, who hears them without itself, has an [`Encoding`] of its own meanwhile,
/// which [follows](Encoding::follow) that of the audience. Nothing is allocated as long as there
/// are no more listeners than there is room for.
#[derive(Debug)]
pub struct Audience {
    encoding: Encoding,
    listeners: Vec<(u32, Sender)>,
    tick: u64,
}

impl Audience {
    /// Of nobody yet, with room for so many.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn new(config: &EncodingConfig, listeners_max: usize) -> Result<Self, ConfigError> {
        Ok(Self {
            encoding: Encoding::new(config)?,
            listeners: Vec::with_capacity(listeners_max),
            tick: 0,
        })
    }

    /// What it hears is encoded by this.
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// How many listen.
    pub fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// One more listens from the next packet on.
    ///
    /// # Errors
    /// There is no room: the sender comes back.
    pub fn join(&mut self, key: u32, sender: Sender) -> Result<(), Sender> {
        if self.listeners.len() == self.listeners.capacity() {
            return Err(sender);
        }
        self.listeners.push((key, sender));
        Ok(())
    }

    /// One listens no more.
    pub fn leave(&mut self, key: u32) -> Option<Sender> {
        let at = self.listeners.iter().position(|(other, _)| *other == key)?;
        Some(self.listeners.swap_remove(at).1)
    }

    /// The sending half of a listener.
    pub fn sender(&mut self, key: u32) -> Option<&mut Sender> {
        let mut listeners = self.listeners.iter_mut();
        listeners
            .find(|(other, _)| *other == key)
            .map(|(_, sender)| sender)
    }

    /// Sends a tick of samples to all: `emit` gets a packet for each. One codec operation for each
    /// packet time, however many listen, and none if nobody does.
    pub fn push(&mut self, samples: &[i16], mut emit: impl FnMut(u32, &[u8])) {
        let tick = self.tick;
        self.tick += 1;
        if self.listeners.is_empty() {
            self.encoding.skip();
            return;
        }
        for (key, sender) in &mut self.listeners {
            if let Some(packet) = sender.event_packet(tick) {
                emit(*key, &packet);
            }
        }
        self.encoding.push(samples);
        while let Some(mut outgoing) = self.encoding.next_packet() {
            for (key, sender) in &mut self.listeners {
                if let Some(packet) = sender.stamp(&mut outgoing) {
                    emit(*key, packet);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::SenderConfig;
    use codecs::{Codec, EncoderConfig};
    use rtp::Packet;

    fn sender(ssrc: u32) -> Sender {
        Sender::new(SenderConfig {
            payload_type: 8,
            clock_hz: 8000,
            event_payload_type: Some(101),
            ssrc,
            sequence: ssrc as u16,
            timestamp: 1000 * ssrc,
        })
    }

    fn audience(listeners: u32) -> Audience {
        let config = EncodingConfig {
            codec: Codec::Pcma,
            encoder: EncoderConfig::default(),
            sample_rate: 8000,
        };
        let mut audience = Audience::new(&config, listeners as usize).unwrap();
        for key in 0..listeners {
            audience.join(key, sender(key)).unwrap();
        }
        audience
    }

    #[test]
    fn what_many_hear_is_encoded_once() {
        let mut audience = audience(100);
        let mut packets = Vec::new();
        for _ in 0..3 {
            audience.push(&[1000; 160], |key, packet| {
                packets.push((key, packet.to_vec()))
            });
        }
        assert_eq!((packets.len(), audience.encoding().encoded()), (300, 3));
        for (key, bytes) in packets {
            let packet = Packet::new(&bytes[..]).unwrap();
            assert_eq!(packet.ssrc(), key);
            assert!((1000 * key..1000 * key + 480).contains(&packet.timestamp()));
            assert_eq!(packet.payload(), [codecs::g711::encode_a(1000); 160]);
        }
    }

    #[test]
    fn one_may_be_sent_a_key_while_the_others_hear() {
        let mut audience = audience(3);
        audience.sender(1).unwrap().send_event(5, Some(40)).unwrap();
        let mut types = Vec::new();
        audience.push(&[0; 160], |key, packet| types.push((key, packet[1] & 0x7f)));
        assert_eq!(types, [(1, 101), (0, 8), (2, 8)]);
    }

    #[test]
    fn who_leaves_is_sent_nothing_and_nobody_costs_nothing() {
        let mut audience = audience(2);
        assert!(audience.join(7, sender(7)).is_err());
        assert_eq!(audience.leave(0).unwrap().config().ssrc, 0);
        assert!(audience.leave(0).is_none());
        audience.push(&[0; 160], |key, _| assert_eq!(key, 1));
        audience.leave(1).unwrap();
        assert!(audience.is_empty());
        audience.push(&[0; 160], |_, _| panic!("nobody listens"));
        assert_eq!(audience.encoding().encoded(), 1);
        // Time has passed all the same.
        audience.join(9, sender(0)).unwrap();
        let mut timestamp = None;
        audience.push(&[0; 160], |_, packet| {
            timestamp = Some(Packet::new(packet).unwrap().timestamp());
        });
        assert_eq!((audience.len(), timestamp), (1, Some(320)));
    }
}
