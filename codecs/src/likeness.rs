//! Whether what was heard is what was said.

/// How alike two signals are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// By how many samples the heard signal is behind the said one.
    pub delay_samples: usize,
    /// Normalised correlation there: 1 for the same signal at any gain, near 0 for unrelated ones.
    pub correlation: f32,
}

/// Finds `heard` in `said`, allowing `heard` to be delayed by up to `delay_samples_max`.
///
/// `None` when either is silent over the whole overlap, or `heard` is shorter than the delays to be
/// tried. Costs `heard.len() * delay_samples_max` multiplications: a second at 8 kHz over 100 ms
/// takes 6 million.
pub fn likeness(said: &[i16], heard: &[i16], delay_samples_max: usize) -> Option<Likeness> {
    let length = said.len().min(heard.len().checked_sub(delay_samples_max)?);
    let said = &said[..length];
    let said_energy = energy(said);
    if said_energy == 0 {
        return None;
    }
    let mut heard_energy = energy(&heard[..length]);
    let mut best: Option<Likeness> = None;
    for delay_samples in 0..=delay_samples_max {
        if delay_samples > 0 {
            // The window slides by one sample.
            heard_energy += square(heard[delay_samples + length - 1]);
            heard_energy -= square(heard[delay_samples - 1]);
        }
        if heard_energy == 0 {
            continue;
        }
        let heard = &heard[delay_samples..delay_samples + length];
        let dot: i64 = said
            .iter()
            .zip(heard)
            .map(|(&a, &b)| i64::from(a) * i64::from(b))
            .sum();
        let correlation = (dot as f64 / (said_energy as f64 * heard_energy as f64).sqrt()) as f32;
        if best.is_none_or(|best| correlation > best.correlation) {
            best = Some(Likeness {
                delay_samples,
                correlation,
            });
        }
    }
    best
}

fn energy(samples: &[i16]) -> i64 {
    samples.iter().copied().map(square).sum()
}

fn square(sample: i16) -> i64 {
    i64::from(sample) * i64::from(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::Law;
    use crate::speech::Speech;

    fn say(seed: u32) -> Vec<i16> {
        let mut samples = vec![0; 16_000];
        Speech::new(seed).fill(&mut samples);
        samples
    }

    #[test]
    fn speech_is_found_again_behind_a_delay_and_a_codec() {
        for law in [Law::A, Law::Mu] {
            let said = say(1);
            let mut octets = vec![0; said.len()];
            law.encode(&said, &mut octets);
            let mut heard = vec![0; said.len()];
            law.decode(&octets, &mut heard[..]);
            heard.splice(0..0, std::iter::repeat_n(0, 333));
            let found = likeness(&said, &heard, 400).unwrap();
            assert_eq!(found.delay_samples, 333);
            assert!(found.correlation > 0.99, "{found:?}");
        }
    }

    #[test]
    fn another_talker_is_not_mistaken() {
        let found = likeness(&say(1), &say(2), 400).unwrap();
        assert!(found.correlation < 0.3, "{found:?}");
    }

    #[test]
    fn silence_is_like_nothing() {
        assert_eq!(likeness(&say(1), &[0; 16_000], 10), None);
        assert_eq!(likeness(&[0; 100], &say(1), 10), None);
        assert_eq!(likeness(&say(1), &[1; 5], 10), None);
    }
}
