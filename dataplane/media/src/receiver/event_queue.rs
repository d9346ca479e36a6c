//! Telephone events that wait to be polled.

use std::time::Duration;

use rtp::EventReport;

use crate::dtmf::Detection;
use crate::event::{Carriage, TelephoneEvent};

/// Events that wait to be polled.
pub const EVENTS_MAX: usize = 16;

/// Events that wait to be polled.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    events: [Option<TelephoneEvent>; EVENTS_MAX],
    first: usize,
    len: usize,
    pub(super) lost: u64,
    /// Where the key within speech began.
    began: u64,
}

impl EventQueue {
    fn push(&mut self, event: TelephoneEvent) {
        if self.len == EVENTS_MAX {
            self.lost += 1;
            return;
        }
        self.events[(self.first + self.len) % EVENTS_MAX] = Some(event);
        self.len += 1;
    }

    /// Takes what came in packets of its own; what finds no room is lost, and nobody tells again.
    pub(super) fn push_report(&mut self, report: EventReport) -> bool {
        self.push(report.into());
        true
    }

    pub(super) fn push_in_band(&mut self, detection: Detection, sample_rate: u32) {
        let (code, lasted) = match detection {
            Detection::Began { code, at } => {
                self.began = at;
                (code, None)
            }
            Detection::Ended { code, at } => {
                let samples = at.saturating_sub(self.began);
                let ms = samples * 1000 / u64::from(sample_rate);
                (code, Some(Duration::from_millis(ms)))
            }
        };
        self.push(TelephoneEvent {
            code,
            lasted,
            carriage: Carriage::InBand,
        });
    }

    pub(super) fn pop(&mut self) -> Option<TelephoneEvent> {
        let event = self.events[self.first].take()?;
        self.first = (self.first + 1) % EVENTS_MAX;
        self.len -= 1;
        Some(event)
    }
}
