//! Plays clips that are in memory, a tick at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// A part of what is played.
#[derive(Clone)]
pub enum Piece {
    /// Samples at the player's rate.
    Clip(Arc<[i16]>),
    /// So many samples of silence.
    Silence(u64),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Piece::Clip(samples) => samples.len() as u64,
            Piece::Silence(samples) => *samples,
        }
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Piece::Clip(_) => "Clip",
            Piece::Silence(_) => "Silence",
        };
        write!(f, "{name}({} samples)", self.len())
    }
}

/// How often all of it is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// So many times in all.
    Times(u32),
    /// Until it is stopped.
    Forever,
}

/// How the pieces are played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlayOptions {
    /// How often.
    pub repeat: Repeat,
    /// Silence between one time and the next.
    pub interval: Duration,
    /// The end, wherever it is then.
    pub duration_max: Option<Duration>,
    /// Where it begins.
    pub offset: Duration,
    /// Amplification in tenths of a decibel, [`GAIN_MIN`] to [`GAIN_MAX`].
    pub gain: i16,
}

impl Default for PlayOptions {
    fn default() -> Self {
        Self {
            repeat: Repeat::Times(1),
            interval: Duration::ZERO,
            duration_max: None,
            offset: Duration::ZERO,
            gain: 0,
        }
    }
}

/// What a tick brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Samples of the tick that are played; the rest is silence.
    pub samples: usize,
    /// There will be no more.
    pub is_over: bool,
}

/// Samples of a sequence of pieces, repeated and bounded as [`PlayOptions`] say.
///
/// Made on a helper thread, played on a worker: [`Player::pull`] neither allocates nor blocks. To
/// be dropped elsewhere, since its clips may be the last of their kind.
#[derive(Clone, Debug)]
pub struct Player {
    pieces: Box<[Piece]>,
    rate: u32,
    /// Length of the pieces together, and with the interval.
    once: u64,
    cycle: u64,
    /// Where all of it ends; `u64::MAX` for never.
    end: u64,
    at: u64,
    /// Most that is still played, however the position moves.
    left: u64,
    played: u64,
    /// Piece at `at` and the place in it; the number of pieces in the interval.
    piece: usize,
    offset: u64,
    /// Factor in units of 1/4096.
    gain: i32,
    is_stopping: bool,
    is_paused: bool,
}

impl Player {
    /// A player of `pieces`, all of them at `rate`.
    ///
    /// # Errors
    /// `Limit` beyond [`PIECES_MAX`] pieces, `Misuse` for a gain out of range.
    pub fn new(pieces: Vec<Piece>, rate: u32, options: PlayOptions) -> Result<Self, Error> {
        if pieces.len() > PIECES_MAX {
            return Err(Error::Limit("pieces of one announcement"));
        }
        if !(GAIN_MIN..=GAIN_MAX).contains(&options.gain) {
            return Err(Error::Misuse("a gain out of range"));
        }
        let once: u64 = pieces.iter().map(Piece::len).sum();
        let cycle = once.saturating_add(samples_of(options.interval, rate));
        let end = match options.repeat {
            _ if once == 0 => 0,
            Repeat::Forever => u64::MAX,
            Repeat::Times(0) => 0,
            Repeat::Times(times) => cycle
                .saturating_mul(u64::from(times - 1))
                .saturating_add(once),
        };
        let left = options.duration_max;
        let mut player = Self {
            pieces: pieces.into(),
            rate,
            once,
            cycle,
            end,
            at: 0,
            left: left.map_or(u64::MAX, |duration| samples_of(duration, rate)),
            played: 0,
            piece: 0,
            offset: 0,
            gain: (4096.0 * 10f64.powf(f64::from(options.gain) / 200.0)).round() as i32,
            is_stopping: false,
            is_paused: false,
        };
        player.seek(samples_of(options.offset, rate));
        Ok(player)
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Fills one tick; all of `out` is written.
    pub fn pull(&mut self, out: &mut [i16]) -> Pulled {
        if self.is_paused && !self.is_stopping {
            out.fill(0);
            return Pulled {
                samples: 0,
                is_over: false,
            };
        }
        let mut filled = 0;
        while filled < out.len() {
            let room = (out.len() - filled) as u64;
            let room = room.min(self.left).min(self.end - self.at);
            if room == 0 {
                break;
            }
            filled += self.take(&mut out[filled..], room);
        }
        out[filled..].fill(0);
        if self.gain != UNITY {
            for sample in &mut out[..filled] {
                *sample = amplified(*sample, self.gain);
            }
        }
        if self.is_stopping {
            filled = fade_out(out, filled, self.rate);
            self.end = self.at;
        }
        self.played += filled as u64;
        Pulled {
            samples: filled,
            is_over: self.left == 0 || self.at >= self.end,
        }
    }

    /// Copies at most `room` samples from the piece in hand, at least one.
    fn take(&mut self, out: &mut [i16], room: u64) -> usize {
        // Pieces without a sample have been passed over: there is one ahead.
        let (length, source) = match self.pieces.get(self.piece) {
            Some(Piece::Clip(clip)) => (clip.len() as u64, Some(clip)),
            Some(Piece::Silence(length)) => (*length, None),
            None => (self.cycle - self.once, None),
        };
        let count = room.min(length - self.offset) as usize;
        let out = &mut out[..count];
        match source {
            Some(clip) => {
                let from = self.offset as usize;
                out.copy_from_slice(&clip[from..from + count]);
            }
            None => out.fill(0),
        }
        let count = count as u64;
        self.at += count;
        self.offset += count;
        if self.left != u64::MAX {
            self.left -= count;
        }
        self.pass_over();
        out.len()
    }

    /// Goes on to the next piece that has a sample left.
    fn pass_over(&mut self) {
        // Twice round at most: `cycle` is not zero where there is anything to come.
        for _ in 0..2 * (self.pieces.len() + 1) {
            let length = match self.pieces.get(self.piece) {
                Some(piece) => piece.len(),
                None => self.cycle - self.once,
            };
            if self.offset < length {
                return;
            }
            self.offset -= length;
            self.piece = (self.piece + 1) % (self.pieces.len() + 1);
        }
    }

    /// Moves forward, or backward when `forward` is false: not beyond beginning and end.
    pub fn skip(&mut self, by: Duration, forward: bool) {
        let by = samples_of(by, self.rate);
        let to = if forward {
            self.at.saturating_add(by)
        } else {
            self.at.saturating_sub(by)
        };
        self.seek(to);
    }

    fn seek(&mut self, to: u64) {
        self.at = to.min(self.end);
        self.piece = 0;
        self.offset = self.at % self.cycle.max(1);
        self.pass_over();
    }

    /// Ends it within the next tick, faded out in 5 ms.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Silence until [`Player::resume`].
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Goes on after [`Player::pause`].
    pub fn resume(&mut self) {
        self.is_paused = false;
    }

    /// How long it has played, intervals included and pauses not.
    pub fn played(&self) -> Duration {
        duration_of(self.played, self.rate)
    }

    /// Where it is: times played whole, and the place in the one under way.
    pub fn position(&self) -> (u64, Duration) {
        let cycle = self.cycle.max(1);
        let (times, place) = (self.at / cycle, self.at % cycle);
        (times, duration_of(place.min(self.once), self.rate))
    }

    /// Length of the pieces played once.
    pub fn length(&self) -> Duration {
        duration_of(self.once, self.rate)
    }
}

/// Samples of a time at a rate, to the nearest below.
pub(crate) fn samples_of(duration: Duration, rate: u32) -> u64 {
    let samples = duration.as_nanos().saturating_mul(u128::from(rate)) / 1_000_000_000;
    u64::try_from(samples).unwrap_or(u64::MAX)
}

/// The time of so many samples.
pub(crate) fn duration_of(samples: u64, rate: u32) -> Duration {
    let rate = u64::from(rate.max(1));
    Duration::new(
        samples / rate,
        (samples % rate * 1_000_000_000 / rate) as u32,
    )
}

fn amplified(sample: i16, gain: i32) -> i16 {
    let sample = (i64::from(sample) * i64::from(gain)) >> 12;
    sample.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// Ramps down to silence from the beginning of `out`.
fn fade_out(out: &mut [i16], filled: usize, rate: u32) -> usize {
    let ramp = (rate as usize / 200).min(filled);
    for (index, sample) in out[..ramp].iter_mut().enumerate() {
        let left = (ramp - index) as i32;
        *sample = (i32::from(*sample) * left / (ramp as i32 + 1)) as i16;
    }
    out[ramp..].fill(0);
    ramp
}

const UNITY: i32 = 4096;

/// Most pieces of one announcement.
pub const PIECES_MAX: usize = 1024;
/// Least gain, in tenths of a decibel.
pub const GAIN_MIN: i16 = -600;
/// Greatest gain, in tenths of a decibel.
pub const GAIN_MAX: i16 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(from: i16, length: i16) -> Piece {
        Piece::Clip((from..from + length).collect())
    }

    fn all(player: &mut Player, tick: usize) -> Vec<i16> {
        let mut heard = Vec::new();
        let mut out = vec![0; tick];
        for _ in 0..10_000 {
            let pulled = player.pull(&mut out);
            heard.extend_from_slice(&out[..pulled.samples]);
            if pulled.is_over {
                return heard;
            }
        }
        panic!("never over");
    }

    #[test]
    fn pieces_follow_each_other_whatever_the_tick() {
        let pieces = vec![
            Piece::Silence(0),
            clip(1, 100),
            Piece::Clip(Arc::new([])),
            Piece::Silence(7),
            clip(500, 33),
        ];
        let expected: Vec<i16> = (1..101).chain([0; 7]).chain(500..533).collect();
        for tick in [1, 3, 139, 140, 141, 160, 960] {
            let mut player = Player::new(pieces.clone(), 8000, PlayOptions::default()).unwrap();
            assert_eq!(all(&mut player, tick), expected, "tick {tick}");
            assert_eq!(player.played(), duration_of(140, 8000));
        }
    }

    #[test]
    fn repeats_stand_an_interval_apart_and_the_last_has_none_after_it() {
        let options = PlayOptions {
            repeat: Repeat::Times(3),
            interval: Duration::from_millis(1),
            ..PlayOptions::default()
        };
        let mut player = Player::new(vec![clip(1, 2)], 8000, options).unwrap();
        let once = [1, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        let expected = [&once[..], &once, &[1, 2]].concat();
        assert_eq!(all(&mut player, 5), expected);
    }

    #[test]
    fn a_duration_ends_what_would_go_on_for_ever() {
        let options = PlayOptions {
            repeat: Repeat::Forever,
            duration_max: Some(Duration::from_millis(100)),
            ..PlayOptions::default()
        };
        let mut player = Player::new(vec![clip(1, 3)], 8000, options).unwrap();
        assert_eq!(all(&mut player, 160).len(), 800);
    }

    #[test]
    fn nothing_to_play_is_over_at_once() {
        for pieces in [
            vec![],
            vec![Piece::Silence(0)],
            vec![Piece::Clip(Arc::new([]))],
        ] {
            let options = PlayOptions {
                repeat: Repeat::Forever,
                interval: Duration::from_secs(1),
                ..PlayOptions::default()
            };
            let mut player = Player::new(pieces, 8000, options).unwrap();
            assert!(player.pull(&mut [0; 160]).is_over);
        }
    }

    #[test]
    fn skipping_stays_between_beginning_and_end() {
        let mut player = Player::new(vec![clip(0, 1000)], 1000, PlayOptions::default()).unwrap();
        let mut out = [0; 10];
        player.skip(Duration::from_millis(500), true);
        player.pull(&mut out);
        assert_eq!(out[0], 500);
        player.skip(Duration::from_millis(110), false);
        player.pull(&mut out);
        assert_eq!(out[0], 400);
        player.skip(Duration::from_secs(9), false);
        player.pull(&mut out);
        assert_eq!(out[0], 0);
        assert_eq!(player.position(), (0, Duration::from_millis(10)));
        player.skip(Duration::from_secs(9), true);
        assert!(player.pull(&mut out).is_over);
    }

    #[test]
    fn an_offset_begins_within() {
        let options = PlayOptions {
            offset: Duration::from_millis(90),
            ..PlayOptions::default()
        };
        let mut player = Player::new(vec![clip(0, 50), clip(50, 50)], 1000, options).unwrap();
        assert_eq!(all(&mut player, 7), (90..100).collect::<Vec<i16>>());
    }

    #[test]
    fn stopping_fades_and_tells_how_long_it_played() {
        let pieces = vec![Piece::Clip(vec![8000; 8000].into())];
        let mut player = Player::new(pieces, 8000, PlayOptions::default()).unwrap();
        let mut out = [0; 160];
        player.pull(&mut out);
        player.stop();
        let pulled = player.pull(&mut out);
        assert!(pulled.is_over);
        assert_eq!(pulled.samples, 40);
        assert!(out[..40].is_sorted_by(|a, b| a > b) && out[39] > 0 && out[40..] == [0; 120]);
        assert_eq!(player.played(), Duration::from_millis(25));
    }

    #[test]
    fn a_pause_is_silent_and_takes_no_time() {
        let mut player = Player::new(vec![clip(1, 4)], 8000, PlayOptions::default()).unwrap();
        let mut out = [9; 2];
        player.pull(&mut out);
        player.pause();
        assert_eq!(player.pull(&mut out).samples, 0);
        assert_eq!(out, [0, 0]);
        player.resume();
        player.pull(&mut out);
        assert_eq!(out, [3, 4]);
    }

    #[test]
    fn gain_saturates_and_is_what_it_says() {
        let pieces = vec![Piece::Clip(vec![1000, -1000, 30_000, -30_000].into())];
        let options = PlayOptions {
            gain: 60,
            ..PlayOptions::default()
        };
        let mut player = Player::new(pieces.clone(), 8000, options).unwrap();
        assert_eq!(all(&mut player, 4), [1995, -1996, i16::MAX, i16::MIN]);
        let options = PlayOptions {
            gain: 301,
            ..PlayOptions::default()
        };
        assert!(Player::new(pieces, 8000, options).is_err());
    }

    #[test]
    fn a_tick_allocates_nothing() {
        let options = PlayOptions {
            repeat: Repeat::Forever,
            gain: -10,
            ..PlayOptions::default()
        };
        let pieces = vec![clip(1, 100), Piece::Silence(30), clip(3, 5)];
        let mut player = Player::new(pieces, 8000, options).unwrap();
        let mut out = [0; 160];
        let info = allocation_counter::measure(|| {
            for tick in 0..100 {
                player.pull(&mut out);
                if tick % 10 == 0 {
                    player.skip(Duration::from_millis(3), tick % 20 == 0);
                }
            }
        });
        assert_eq!(info.count_total, 0);
    }
}
