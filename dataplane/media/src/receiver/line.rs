//! Samples that were decoded and are still to be heard.

use crate::stretch;

/// Samples decoded and not pulled yet, and those pulled last.
#[derive(Debug)]
pub(super) struct Line {
    samples: Box<[i16]>,
    /// Where what is not pulled begins and ends.
    head: usize,
    tail: usize,
    pub(super) sample_rate: u32,
    pub(super) tick: usize,
    history: usize,
    /// What is last in it is a tick of nothing.
    is_silent: bool,
}

/// What is kept of what was pulled: enough to put in the longest period.
const HISTORY_MS: usize = 20;
const _: () = assert!(HISTORY_MS >= stretch::PERIOD_MS_MAX + stretch::BLEND_MS);
/// The longest packet, a tick, a period put in, and the history.
const LINE_MS: usize = 120 + 20 + stretch::PERIOD_MS_MAX + HISTORY_MS + 5;

impl Line {
    pub(super) fn new(sample_rate: u32) -> Self {
        let ms = sample_rate as usize / 1000;
        Self {
            samples: vec![0; LINE_MS * ms].into_boxed_slice(),
            head: HISTORY_MS * ms,
            tail: HISTORY_MS * ms,
            sample_rate,
            tick: 20 * ms,
            history: HISTORY_MS * ms,
            is_silent: true,
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.tail - self.head
    }

    pub(super) fn pending_us(&self) -> i64 {
        self.pending() as i64 * 1_000_000 / i64::from(self.sample_rate)
    }

    /// Nothing is in it, and nothing has been for a tick.
    pub(super) fn is_void(&self) -> bool {
        self.head == self.tail && self.is_silent
    }

    /// What does not fit is not there: that is more than any packet has.
    pub(super) fn append(&mut self, samples: &[i16], is_splice: bool) {
        let len = samples.len().min(self.samples.len() - self.tail);
        let from = self.tail;
        self.samples[from..from + len].copy_from_slice(&samples[..len]);
        self.tail += len;
        // Silence begins and ends softly.
        if is_splice || self.is_silent {
            self.splice(from, len);
        }
        self.is_silent = false;
    }

    pub(super) fn append_silence(&mut self) {
        let from = self.tail;
        self.tail = (from + self.tick).min(self.samples.len());
        self.samples[from..self.tail].fill(0);
        if !self.is_silent {
            self.splice(from, self.tail - from);
        }
        self.is_silent = true;
    }

    /// Blends what was before into `len` samples that have nothing to do with it: the past
    /// mirrored, which goes on from where it was.
    pub(super) fn splice(&mut self, from: usize, len: usize) {
        let blend = SPLICE_MS * self.sample_rate as usize / 1000;
        let blend = blend.min(len).min(from);
        for index in 0..blend {
            let past = i32::from(self.samples[from - 1 - index]);
            let next = i32::from(self.samples[from + index]);
            let (share, whole) = (index as i32 + 1, blend as i32 + 1);
            let sum = past * (whole - share) + next * share;
            self.samples[from + index] = (sum / whole) as i16;
        }
    }

    pub(super) fn pull(&mut self, out: &mut [i16]) {
        let len = out.len().min(self.pending());
        out[..len].copy_from_slice(&self.samples[self.head..self.head + len]);
        out[len..].fill(0);
        self.head += len;
        let from = self.head - self.history;
        self.samples.copy_within(from..self.tail, 0);
        self.head -= from;
        self.tail -= from;
    }

    pub(super) fn shorten(&mut self, likeness_min: f32) -> usize {
        let pending = &mut self.samples[self.head..self.tail];
        let cut = stretch::find_take_out(pending, self.sample_rate);
        let Some(cut) = cut.filter(|cut| cut.likeness >= likeness_min) else {
            return 0;
        };
        let len = stretch::take_out(pending, self.sample_rate, cut.samples);
        self.tail = self.head + len;
        cut.samples
    }

    pub(super) fn lengthen(&mut self, likeness_min: f32) -> usize {
        let room = self.samples.len() - self.tail;
        let line = &mut self.samples;
        let cut = stretch::find_put_in(&line[..self.tail], self.head, self.sample_rate);
        let Some(cut) = cut.filter(|cut| cut.likeness >= likeness_min && cut.samples <= room)
        else {
            return 0;
        };
        self.tail = stretch::put_in(line, self.tail, self.head, self.sample_rate, cut.samples);
        cut.samples
    }
}

/// What is left of another format is blended into the next for so long.
const SPLICE_MS: usize = 4;
