//! What became of the media of a leg.

use std::net::SocketAddr;
use std::time::Duration;

use dataplane::{FlowStats, Refusal};
use mg::{LegMedia, LegSpeech, Score};
use rtp::quality::{Band, Conditions, Impairment};

use crate::DtlsOutcome;

/// The media that a leg received, told when it has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LegReport {
    /// Where it received.
    pub local: SocketAddr,
    /// What was counted there.
    pub stats: FlowStats,
    /// What that was, as it was described last.
    pub carries: LegMedia,
    /// What became of the DTLS that was to tell its keys.
    pub dtls: Option<DtlsOutcome>,
}

/// Why the other side heard nothing of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Silence {
    /// Nothing came at all.
    NothingReceived,
    /// All came from elsewhere than it may (H.248.43, H.248.37).
    WrongSource,
    /// It was no RTP.
    NotMedia,
    /// SRTP let nothing pass: not authentic, replayed, or no key.
    Srtp,
    /// DTLS told no keys (RFC 5764).
    NoHandshake,
    /// In DTLS, another certificate was shown than signalling told of (RFC 8122).
    WrongCertificate,
    /// It exceeded the rates (H.248.53).
    Policed,
    /// The stream mode let nothing in (H.248.1 7.1.7).
    NotReceiving,
    /// There was nobody to send it to: no remote address, or a mode that does not send.
    NobodyToHear,
}

impl Silence {
    /// Each reason.
    pub const ALL: [Silence; 9] = [
        Silence::NothingReceived,
        Silence::WrongSource,
        Silence::NotMedia,
        Silence::Srtp,
        Silence::NoHandshake,
        Silence::WrongCertificate,
        Silence::Policed,
        Silence::NotReceiving,
        Silence::NobodyToHear,
    ];

    /// The name of its counter.
    pub fn name(self) -> &'static str {
        match self {
            Silence::NothingReceived => "nothing_received",
            Silence::WrongSource => "wrong_source",
            Silence::NotMedia => "not_media",
            Silence::Srtp => "srtp",
            Silence::NoHandshake => "no_handshake",
            Silence::WrongCertificate => "wrong_certificate",
            Silence::Policed => "policed",
            Silence::NotReceiving => "not_receiving",
            Silence::NobodyToHear => "nobody_to_hear",
        }
    }

    fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Source => Silence::WrongSource,
            Refusal::Format => Silence::NotMedia,
            Refusal::Srtp => Silence::Srtp,
            Refusal::Rate => Silence::Policed,
            Refusal::Mode => Silence::NotReceiving,
            Refusal::Egress => Silence::NobodyToHear,
        }
    }
}

impl LegReport {
    /// Why nothing of the leg was heard; `None` when something was.
    pub fn silence(&self) -> Option<Silence> {
        let unheard = self.stats.refused(Refusal::Egress);
        if self.stats.packets_received > unheard {
            return None;
        }
        match self.dtls {
            None | Some(DtlsOutcome::Agreed) => {}
            Some(DtlsOutcome::WrongCertificate) => return Some(Silence::WrongCertificate),
            Some(DtlsOutcome::Awaited | DtlsOutcome::Failed) => return Some(Silence::NoHandshake),
        }
        let refused = |refusal: &Refusal| self.stats.refused(*refusal);
        let most = Refusal::ALL.into_iter().max_by_key(refused);
        let most = most.filter(|most| refused(most) > 0);
        Some(most.map_or(Silence::NothingReceived, Silence::of))
    }

    /// Share of packets lost before they came here, 0 to 1.
    pub fn loss(&self) -> f64 {
        self.reception().loss()
    }

    /// Interarrival jitter (RFC 3550 6.4.1) when the last packet came.
    pub fn jitter(&self) -> Duration {
        let ticks = u64::from(self.stats.reception.jitter_ticks);
        let clock_hz = match self.carries {
            LegMedia::Rtp { clock_hz, .. } => clock_hz,
            LegMedia::Udp => 0,
        };
        let nanos = (ticks * 1_000_000_000).checked_div(clock_hz.into());
        Duration::from_nanos(nanos.unwrap_or(0))
    }

    /// Estimated mean opinion score (G.107 annex B) of what came here: by its codec, loss, the
    /// burstiness of that and the delay of a playout buffer for the jitter; on the wideband scale
    /// for codecs of such speech. One that has no values (G.113) is judged like G.711. `None` for
    /// what is no speech or has several clocks, or where nothing came.
    pub fn mos(&self) -> Option<f64> {
        self.conditions().map(|conditions| conditions.mos())
    }

    /// The same in tenths, and of who only listens: as H.248.30 has it.
    pub(crate) fn score(&self) -> Option<Score> {
        let conversing = self.conditions()?;
        let listening = Conditions {
            delay: Duration::ZERO,
            ..conversing
        };
        let tenths = |conditions: Conditions| (conditions.mos() * 10.0).round() as u8;
        Some(Score {
            listening: tenths(listening),
            conversing: tenths(conversing),
        })
    }

    /// The band on whose scale [`LegReport::mos`] is.
    pub fn band(&self) -> Option<Band> {
        self.conditions()
            .map(|conditions| conditions.impairment.band)
    }

    fn conditions(&self) -> Option<Conditions> {
        let LegMedia::Rtp {
            clock_hz: 1..,
            speech: Some(speech),
        } = self.carries
        else {
            return None;
        };
        if self.stats.reception.expected == 0 {
            return None;
        }
        let reception = self.reception();
        Some(Conditions {
            impairment: impairment(speech),
            delay: PACKETISATION + 2 * self.jitter(),
            loss: reception.loss(),
            burst_ratio: reception.burst_ratio(),
        })
    }

    fn reception(&self) -> rtp::Reception {
        let counted = self.stats.reception;
        rtp::Reception {
            expected: counted.expected,
            received: counted.expected - counted.lost.min(counted.expected),
            gaps: counted.gaps,
            ..rtp::Reception::default()
        }
    }
}

/// What a codec costs. It is not told in which mode it is: the best one of AMR and AMR-WB is taken.
fn impairment(speech: LegSpeech) -> Impairment {
    match speech {
        LegSpeech::G711 | LegSpeech::Other => Impairment::G711,
        LegSpeech::G723 => Impairment::G723_1,
        LegSpeech::G729 => Impairment::G729A,
        LegSpeech::Efr | LegSpeech::Amr => Impairment::AMR_12_2,
        LegSpeech::AmrWb => Impairment::AMR_WB_23_05,
        LegSpeech::G722 => Impairment::G722_64,
    }
}

/// Legs that have ended, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegCounts {
    /// All.
    pub ended: u64,
    /// Those of which nothing was heard, in the order of [`Silence::ALL`].
    pub silent: [u64; Silence::ALL.len()],
    /// Those with an estimated score below 3.6, with which many users are dissatisfied (G.107 annex
    /// B).
    pub poor: u64,
    /// Those that have a score, by the categories of G.109 in the order of [`Category::ALL`].
    pub categories: [u64; Category::ALL.len()],
    /// Packets that were expected in all of them.
    pub packets_expected: u64,
    /// Of these, packets that did not come.
    pub packets_lost: u64,
}

/// Speech transmission quality, G.109: what of its users an estimated score satisfies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// R from 90: all are very satisfied.
    Best,
    /// R from 80: they are satisfied.
    High,
    /// R from 70: some are dissatisfied.
    Medium,
    /// R from 60: many are.
    Low,
    /// Nearly all are.
    Poor,
}

impl Category {
    /// Each of them.
    pub const ALL: [Category; 5] = [
        Category::Best,
        Category::High,
        Category::Medium,
        Category::Low,
        Category::Poor,
    ];

    /// The name of its counter.
    pub fn name(self) -> &'static str {
        match self {
            Category::Best => "best",
            Category::High => "high",
            Category::Medium => "medium",
            Category::Low => "low",
            Category::Poor => "poor",
        }
    }

    /// That of a mean opinion score, by G.107 table B.1.
    pub fn of(mos: f64) -> Self {
        match mos {
            4.34.. => Category::Best,
            4.03.. => Category::High,
            MOS_DISSATISFIED.. => Category::Medium,
            3.1.. => Category::Low,
            _ => Category::Poor,
        }
    }
}

impl LegCounts {
    pub(crate) fn count(&mut self, report: &LegReport) {
        self.ended += 1;
        let silence = report.silence();
        for (count, each) in self.silent.iter_mut().zip(Silence::ALL) {
            *count += u64::from(silence == Some(each));
        }
        if let Some(mos) = report.mos() {
            self.poor += u64::from(mos < MOS_DISSATISFIED);
            self.categories[Category::of(mos) as usize] += 1;
        }
        let reception = report.stats.reception;
        self.packets_expected += reception.expected;
        self.packets_lost += reception.lost;
    }
}

/// What a packet of speech waits for until it is whole, as a rule.
const PACKETISATION: Duration = Duration::from_millis(20);

/// R = 70, G.107 annex B.
const MOS_DISSATISFIED: f64 = 3.6;

#[cfg(test)]
mod tests {
    use super::*;
    use dataplane::Reception;

    fn report(received: u64, refused: &[(Refusal, u64)]) -> LegReport {
        let mut stats = FlowStats {
            packets_received: received,
            ..FlowStats::default()
        };
        for (refusal, packets) in refused {
            stats.refused[*refusal as usize] = *packets;
        }
        LegReport {
            local: "192.0.2.1:10000".parse().unwrap(),
            stats,
            carries: LegMedia::Rtp {
                clock_hz: 8000,
                speech: Some(LegSpeech::G711),
            },
            dtls: None,
        }
    }

    #[test]
    fn a_silent_leg_has_the_reason_that_most_packets_had() {
        assert_eq!(report(1, &[(Refusal::Srtp, 5)]).silence(), None);
        let silent = |refused: &[_]| report(0, refused).silence();
        assert_eq!(silent(&[]), Some(Silence::NothingReceived));
        let both = [(Refusal::Source, 2), (Refusal::Srtp, 3)];
        assert_eq!(silent(&both), Some(Silence::Srtp));
        let of_dtls =
            |silence: &Silence| matches!(silence, Silence::NoHandshake | Silence::WrongCertificate);
        let reasons = Silence::ALL[1..].iter().filter(|silence| !of_dtls(silence));
        for (refusal, silence) in Refusal::ALL.into_iter().zip(reasons) {
            assert_eq!(silent(&[(refusal, 1)]), Some(*silence));
        }
        for (dtls, silence) in [
            (DtlsOutcome::Awaited, Silence::NoHandshake),
            (DtlsOutcome::Failed, Silence::NoHandshake),
            (DtlsOutcome::WrongCertificate, Silence::WrongCertificate),
            (DtlsOutcome::Agreed, Silence::Srtp),
        ] {
            let mut report = report(0, &both);
            report.dtls = Some(dtls);
            assert_eq!(report.silence(), Some(silence));
        }
        let unheard = report(9, &[(Refusal::Egress, 9)]);
        assert_eq!(unheard.silence(), Some(Silence::NobodyToHear));
    }

    #[test]
    fn the_score_falls_with_loss_and_more_so_when_it_comes_in_bursts() {
        let with = |lost, gaps, jitter_ticks| {
            let mut report = report(1000, &[]);
            report.stats.reception = Reception {
                expected: 1000,
                lost,
                gaps,
                jitter_ticks,
            };
            report
        };
        let clean = with(0, 0, 8);
        assert_eq!(clean.jitter(), Duration::from_millis(1));
        let scores = [&clean, &with(0, 0, 800), &with(50, 50, 8), &with(50, 5, 8)];
        let scores = scores.map(|report| report.mos().unwrap());
        assert!(scores[0] > 4.3, "{scores:?}");
        assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
        for (speech, most) in [
            (LegSpeech::Other, scores[0]),
            (LegSpeech::Amr, 4.3),
            (LegSpeech::G729, 4.15),
            (LegSpeech::G723, 4.05),
            (LegSpeech::AmrWb, 4.5),
            (LegSpeech::G722, 4.35),
        ] {
            let mut other = clean.clone();
            other.carries = LegMedia::Rtp {
                clock_hz: 8000,
                speech: Some(speech),
            };
            let mos = other.mos().unwrap();
            assert!(mos <= most && mos > 3.6, "{speech:?}: {mos}");
        }
        let mut video = clean.clone();
        video.carries = LegMedia::Rtp {
            clock_hz: 90_000,
            speech: None,
        };
        assert_eq!(video.mos(), None);
        let nothing = report(0, &[]);
        assert_eq!(nothing.mos(), None);
        let mut counts = LegCounts::default();
        for each in [&clean, &with(300, 10, 8), &nothing] {
            counts.count(each);
        }
        assert_eq!((counts.ended, counts.poor), (3, 1));
        assert_eq!(counts.categories, [1, 0, 0, 0, 1]);
        assert_eq!((counts.packets_expected, counts.packets_lost), (2000, 300));
        assert_eq!(Category::of(3.7), Category::Medium);
        assert_eq!(counts.silent, [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
