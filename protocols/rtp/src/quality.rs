//! Conversational quality by the E-model: G.107, and G.107.1 for wideband speech.
//!
//! Of its parameters those that a packet network changes are taken (delay, loss and its burstiness,
//! codec); the others have the default values of G.107 7.7, with which a perfect narrow-band call
//! has R = 93.2. On the wideband scale a perfect call has R = 129, and no echo is assumed. Scores
//! of the two are not to be compared: the same G.711 is worse to who knows wideband.

use std::time::Duration;

/// The band of the speech, which says on what scale it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// 300 to 3400 Hz, G.107.
    Narrow,
    /// 50 to 7000 Hz, G.107.1.
    Wide,
}

/// What a codec costs, G.113 appendices I and IV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Of its speech.
    pub band: Band,
    /// Equipment impairment factor without loss, Ie.
    pub ie: f64,
    /// Packet-loss robustness factor, Bpl.
    pub bpl: f64,
}

impl Impairment {
    /// G.711 whose receiver conceals losses (G.711 appendix I).
    pub const G711: Self = Self::narrow(0.0, 25.1);
    /// G.711 whose receiver plays silence for a lost packet.
    pub const G711_NO_CONCEALMENT: Self = Self::narrow(0.0, 4.3);
    /// G.729A with voice activity detection.
    pub const G729A: Self = Self::narrow(11.0, 19.0);
    /// G.723.1 at 6.3 kbit/s with voice activity detection.
    pub const G723_1: Self = Self::narrow(15.0, 16.1);
    /// GSM-EFR, and AMR at 12.2 kbit/s, which is the same.
    pub const AMR_12_2: Self = Self::narrow(5.0, 10.0);
    /// AMR-WB at 23.05 kbit/s, its best mode. Not confirmed: no text of G.113 appendix IV was at
    /// hand, and the robustness is that of AMR, which conceals losses in the same manner.
    pub const AMR_WB_23_05: Self = Self::wide(1.0, 10.0);
    /// G.722 at 64 kbit/s whose receiver conceals losses. Not confirmed, as above.
    pub const G722_64: Self = Self::wide(13.0, 10.0);

    const fn narrow(ie: f64, bpl: f64) -> Self {
        let band = Band::Narrow;
        Self { band, ie, bpl }
    }

    const fn wide(ie: f64, bpl: f64) -> Self {
        let band = Band::Wide;
        Self { band, ie, bpl }
    }
}

/// What a call met with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Of the codec.
    pub impairment: Impairment,
    /// From mouth to ear: packetisation, network and playout buffer.
    pub delay: Duration,
    /// Share of packets lost, late ones included, 0 to 1.
    pub loss: f64,
    /// Burst ratio, G.107 7.5: 1 for random loss, more when losses come together.
    pub burst_ratio: f64,
}

impl Conditions {
    /// No delay and no loss.
    pub fn clean(impairment: Impairment) -> Self {
        Self {
            impairment,
            delay: Duration::ZERO,
            loss: 0.0,
            burst_ratio: 1.0,
        }
    }

    /// Transmission rating factor R, G.107 7.1: 0 to 100; of wideband speech, G.107.1 7.1: 0 to
    /// 129.
    pub fn rating(&self) -> f64 {
        let delay_ms = (self.delay.as_secs_f64() * 1000.0).min(10_000.0);
        if self.impairment.band == Band::Wide {
            let rating = WIDEBAND_MAX - absolute_delay(delay_ms) - self.equipment();
            return rating.clamp(0.0, WIDEBAND_MAX);
        }
        let noise = noise_dbm0p();
        let ro = 15.0 - 1.5 * (SLR + noise);
        let rating = ro
            - simultaneous(ro, noise, delay_ms)
            - delay_impairment(ro, noise, delay_ms)
            - self.equipment();
        rating.clamp(0.0, 100.0)
    }

    /// Estimated mean opinion score, G.107 annex B, on the scale of the band: 1 to 4.5.
    pub fn mos(&self) -> f64 {
        match self.impairment.band {
            Band::Narrow => mos(self.rating()),
            // G.107.1 annex A.
            Band::Wide => mos(self.rating() * 100.0 / WIDEBAND_MAX),
        }
    }

    /// Effective equipment impairment Ie-eff, G.107 7.5 and G.107.1 7.5.
    fn equipment(&self) -> f64 {
        let Impairment { ie, bpl, .. } = self.impairment;
        let loss = self.loss.clamp(0.0, 1.0) * 100.0;
        if loss == 0.0 {
            return ie;
        }
        ie + (95.0 - ie) * loss / (loss / self.burst_ratio.max(1.0) + bpl)
    }
}

/// Mean opinion score of a rating, G.107 annex B.
pub fn mos(rating: f64) -> f64 {
    match rating {
        r if r <= 0.0 => 1.0,
        r if r >= 100.0 => 4.5,
        // The polynomial dips below 1 for the smallest ratings.
        r => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
    }
}

/// Ro of the wideband scale, G.107.1 7.2 with its default values.
const WIDEBAND_MAX: f64 = 129.0;

// G.107 7.7: send and receive loudness, sidetone, listener sidetone, room noises, D-values,
// circuit noise, noise floor, quantisation units, talker echo and weighted echo path loss.
const SLR: f64 = 8.0;
const RLR: f64 = 2.0;
const OLR: f64 = SLR + RLR;
const STMR: f64 = 15.0;
const LSTR: f64 = 18.0;
const ROOM_SEND: f64 = 35.0;
const ROOM_RECEIVE: f64 = 35.0;
const D_SEND: f64 = 3.0;
const CIRCUIT_NOISE: f64 = -70.0;
const NOISE_FLOOR: f64 = -64.0;
const TELR: f64 = 65.0;
const WEPL: f64 = 110.0;

fn decibels(power: f64) -> f64 {
    10.0 * power.log10()
}

fn power(decibels: f64) -> f64 {
    10.0_f64.powf(decibels / 10.0)
}

/// (1 + x^n)^(1/n)
fn norm(x: f64, n: i32) -> f64 {
    (1.0 + x.powi(n)).powf(1.0 / f64::from(n))
}

/// Sum of all noise No, of the basic signal-to-noise ratio, G.107 7.2.
fn noise_dbm0p() -> f64 {
    let send = ROOM_SEND - SLR - D_SEND - 100.0 + 0.004 * (ROOM_SEND - OLR - D_SEND - 14.0).powi(2);
    let effective = ROOM_RECEIVE + decibels(1.0 + power(10.0 - LSTR));
    let receive = RLR - 121.0 + effective + 0.008 * (effective - 35.0).powi(2);
    let floor = NOISE_FLOOR + RLR;
    decibels(power(CIRCUIT_NOISE) + power(send) + power(receive) + power(floor))
}

/// Simultaneous impairment Is, G.107 7.3: loudness, sidetone and quantisation.
fn simultaneous(ro: f64, noise: f64, delay_ms: f64) -> f64 {
    let x = OLR + 0.2 * (64.0 + noise - RLR);
    let loudness = 20.0 * (norm(x / 8.0, 8) - x / 8.0);
    let st = -decibels(power(-STMR) + (-delay_ms / 4.0).exp() * power(-TELR));
    let sidetone = 12.0 * norm((st - 13.0) / 6.0, 8)
        - 28.0 * norm((st + 1.0) / 19.4, 35)
        - 13.0 * norm((st - 3.0) / 33.0, 13)
        + 29.0;
    // Q of one quantisation unit.
    let q: f64 = 37.0;
    let g = 1.07 + 0.258 * q + 0.0602 * q.powi(2);
    let y = (ro - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0;
    let z = 46.0 / 30.0 - g / 40.0;
    let quantisation = 15.0 * (1.0 + 10.0_f64.powf(y) + 10.0_f64.powf(z)).log10();
    loudness + sidetone + quantisation
}

/// Delay impairment Id, G.107 7.4: talker echo, listener echo, and too long a delay without any
/// echo.
fn delay_impairment(ro: f64, noise: f64, delay_ms: f64) -> f64 {
    let t = delay_ms;
    let terv =
        TELR - 40.0 * ((1.0 + t / 10.0) / (1.0 + t / 150.0)).log10() + 6.0 * (-0.3 * t * t).exp();
    let half = (-1.5 * (noise - RLR) - (80.0 + 2.5 * (terv - 14.0))) / 2.0;
    let talker = (half + (half * half + 100.0).sqrt() - 1.0) * (1.0 - (-t).exp());
    let half = (ro - 10.5 * (WEPL + 7.0) * (2.0 * t + 1.0).powf(-0.25)) / 2.0;
    let listener = half + (half * half + 169.0).sqrt();
    talker + listener + absolute_delay(t)
}

/// Too long a delay without any echo Idd, G.107 7.4 and G.107.1 7.4.
fn absolute_delay(ms: f64) -> f64 {
    if ms <= 100.0 {
        return 0.0;
    }
    let x = (ms / 100.0).log2();
    25.0 * (norm(x, 6) - 3.0 * norm(x / 3.0, 6) + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean() -> Conditions {
        Conditions::clean(Impairment::G711)
    }

    fn close(a: f64, b: f64, by: f64) -> bool {
        (a - b).abs() <= by
    }

    #[test]
    fn all_defaults_rate_93_2() {
        // G.107 clause 7.7: R = 93.2 with all parameters at their default.
        let rating = clean().rating();
        assert!(close(rating, 93.2, 0.05), "{rating}");
        assert!(close(clean().mos(), 4.41, 0.005), "{}", clean().mos());
    }

    #[test]
    fn the_mos_of_a_rating_is_that_of_annex_b() {
        // G.107 table B.1.
        for (rating, expected) in [
            (90.0, 4.34),
            (80.0, 4.03),
            (70.0, 3.60),
            (60.0, 3.10),
            (50.0, 2.58),
        ] {
            assert!(
                close(mos(rating), expected, 0.01),
                "{rating}: {}",
                mos(rating)
            );
        }
        assert_eq!((mos(-1.0), mos(100.0), mos(3.0)), (1.0, 4.5, 1.0));
    }

    #[test]
    fn delay_costs_as_g_114_draws_it() {
        // Read from G.107's formula by its two-line approximation (Cole and Rosenbluth, 2001), to
        // within 3.5.
        for ms in [0, 20, 50, 100, 150, 200, 250, 300, 400] {
            let conditions = Conditions {
                delay: Duration::from_millis(ms),
                ..clean()
            };
            let d = ms as f64;
            let expected = 93.2 - 0.024 * d - 0.11 * (d - 177.3).max(0.0);
            let rating = conditions.rating();
            assert!(
                close(rating, expected, 3.5),
                "{ms} ms: {rating}, not {expected}"
            );
        }
    }

    #[test]
    fn a_clean_local_call_scores_above_4_3() {
        let conditions = Conditions {
            delay: Duration::from_millis(60),
            ..clean()
        };
        assert!(conditions.mos() > 4.3, "{}", conditions.mos());
    }

    #[test]
    fn wideband_speech_is_judged_on_a_scale_of_its_own() {
        let perfect = Impairment::wide(0.0, 10.0);
        let rate = |impairment, delay_ms, loss| Conditions {
            delay: Duration::from_millis(delay_ms),
            loss,
            ..Conditions::clean(impairment)
        };
        assert_eq!(rate(perfect, 0, 0.0).rating(), 129.0);
        assert_eq!(rate(perfect, 100, 0.0).mos(), 4.5);
        // 100 * (129 - 13) / 129 = 89.9 has the score of 90.
        let g722 = rate(Impairment::G722_64, 0, 0.0).mos();
        assert!(close(g722, 4.34, 0.01), "{g722}");
        // Ie-eff = 1 + 94 * 2 / (2 + 10).
        let lossy = rate(Impairment::AMR_WB_23_05, 0, 0.02).rating();
        assert!(close(lossy, 129.0 - 1.0 - 15.67, 0.01), "{lossy}");
        let delay = rate(perfect, 400, 0.0).rating();
        let narrow = Conditions {
            delay: Duration::from_millis(400),
            ..clean()
        }
        .rating();
        // The same delay costs the same, but for the echo that narrow-band terminals have.
        assert!(
            delay < 129.0 - 20.0 && 129.0 - delay < 93.2 - narrow,
            "{delay} {narrow}"
        );
        assert_eq!(rate(perfect, 9_000, 1.0).mos(), 1.0);
    }

    #[test]
    fn loss_costs_by_codec_and_burst() {
        let lossy = |impairment, burst_ratio| {
            Conditions {
                loss: 0.02,
                burst_ratio,
                ..Conditions::clean(impairment)
            }
            .rating()
        };
        // Ie-eff = 95 * 2 / (2 + 25.1) = 7.01 and 95 * 2 / (2 + 4.3) = 30.2 (G.107 7.5).
        assert!(close(
            clean().rating() - lossy(Impairment::G711, 1.0),
            7.01,
            0.01
        ));
        let plain = Conditions::clean(Impairment::G711_NO_CONCEALMENT).rating();
        assert!(close(
            plain - lossy(Impairment::G711_NO_CONCEALMENT, 1.0),
            30.16,
            0.01
        ));
        assert!(lossy(Impairment::G711, 4.0) < lossy(Impairment::G711, 1.0));
        let dead = Conditions {
            loss: 1.0,
            delay: Duration::from_secs(9),
            ..clean()
        };
        assert!(dead.mos() < 1.2);
    }
}
