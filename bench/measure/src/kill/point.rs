//! One kill point: what is killed, and when.

use std::fmt;
use std::time::Duration;

use base::Entropy;

/// The load has so long at most between a restart and the next kill.
const PAUSE_MS_MAX: u64 = 2_000;
/// What was killed is down for so long at most.
const DOWN_MS_MAX: u64 = 1_500;
/// What is killed again is killed so soon after its start at most: while it takes up what it has
/// kept, or just after.
const STARTING_MS_MAX: u64 = 400;

/// What is done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SIGKILL.
    Kill,
    /// It is started.
    Start,
}

/// One thing that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long after the one before.
    pub after: Duration,
    /// Name of the process.
    pub name: &'static str,
    /// What is done to it.
    pub act: Act,
}

/// Processes killed and started again, once or twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// How long all was well before.
    pub pause: Duration,
    /// What is done then. Everything that is killed is started after.
    pub steps: Vec<Step>,
}

impl Point {
    /// Draws one: of twenty, eight times one process is killed, five times one of them again while
    /// it starts, four times all at once, three times all one after the other.
    pub fn draw(entropy: &mut Entropy, names: &[&'static str]) -> Self {
        let pause = below(entropy, PAUSE_MS_MAX);
        let mut steps = Vec::new();
        let mut all = names.to_vec();
        // Fisher and Yates.
        for last in (1..all.len()).rev() {
            let other = entropy.below(last as u64 + 1) as usize;
            all.swap(last, other);
        }
        match entropy.below(20) {
            0..8 => Self::once(entropy, &mut steps, &all[..1], 0),
            8..13 => {
                Self::once(entropy, &mut steps, &all[..1], 0);
                let again = steps.len();
                Self::once(entropy, &mut steps, &all[..1], 0);
                steps[again].after = below(entropy, STARTING_MS_MAX);
            }
            13..17 => Self::once(entropy, &mut steps, &all, 0),
            _ => Self::once(entropy, &mut steps, &all, DOWN_MS_MAX),
        }
        Point { pause, steps }
    }

    /// Kills these, so long apart at most, and starts them again, in any order.
    fn once(entropy: &mut Entropy, steps: &mut Vec<Step>, names: &[&'static str], apart_ms: u64) {
        let mut step = |after, name, act| steps.push(Step { after, name, act });
        for name in names {
            step(below(entropy, apart_ms), name, Act::Kill);
        }
        // Half of the time at once, as a supervisor would whose first wait is over.
        let down = |entropy: &mut Entropy| match entropy.chance(500) {
            true => Duration::ZERO,
            false => below(entropy, DOWN_MS_MAX),
        };
        let is_reversed = entropy.chance(500);
        for at in 0..names.len() {
            let at = if is_reversed {
                names.len() - 1 - at
            } else {
                at
            };
            step(down(entropy), names[at], Act::Start);
        }
    }

    /// What is killed, in order.
    pub fn victims(&self) -> impl Iterator<Item = &'static str> + '_ {
        let kills = self.steps.iter().filter(|step| step.act == Act::Kill);
        kills.map(|step| step.name)
    }
}

fn below(entropy: &mut Entropy, milliseconds: u64) -> Duration {
    Duration::from_micros(entropy.below(milliseconds * 1_000 + 1))
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:4} ms", self.pause.as_millis())?;
        for step in &self.steps {
            let sign = match step.act {
                Act::Kill => '-',
                Act::Start => '+',
            };
            match step.after.as_millis() {
                0 => write!(f, " {sign}{}", step.name)?,
                ms => write!(f, " {ms} {sign}{}", step.name)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_killed_is_running_before_and_after() {
        let mut entropy = Entropy::from_u64(1);
        let names = ["control", "media", "hss"];
        let mut twice = 0;
        for _ in 0..1_000 {
            let point = Point::draw(&mut entropy, &names);
            let mut running = names.to_vec();
            for step in &point.steps {
                let is_running = running.contains(&step.name);
                assert_eq!(is_running, step.act == Act::Kill, "{point}");
                match step.act {
                    Act::Kill => running.retain(|name| *name != step.name),
                    Act::Start => running.push(step.name),
                }
            }
            assert_eq!(running.len(), names.len(), "{point}");
            let victims: Vec<_> = point.victims().collect();
            assert!(!victims.is_empty());
            twice += usize::from(victims.len() == 2 && victims[0] == victims[1]);
        }
        assert!((200..300).contains(&twice), "{twice}");
    }

    #[test]
    fn a_seed_draws_the_same_points() {
        let draw = |seed| {
            let mut entropy = Entropy::from_u64(seed);
            let points = (0..20).map(|_| Point::draw(&mut entropy, &["control", "media"]));
            points.collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
