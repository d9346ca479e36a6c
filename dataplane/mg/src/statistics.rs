//! Statistics of a termination: H.248.1 E.11 (`nt`) and E.12 (`rtp`), H.248.30 (`rtcpxr`).

use base::Instant;
use h248::message::{Statistic, StatisticsDescriptor, Value};
use h248::package::{Item, nt, rtcpxr, rtp};

use crate::plane::{MediaPlane, Statistics};
use crate::profile::{Kind, Profile};
use crate::termination::Termination;

/// The Statistics descriptor of a termination: what it keeps, over all its streams.
pub(crate) fn of(
    now: Instant,
    profile: &Profile,
    plane: &dyn MediaPlane,
    termination: &Termination,
) -> StatisticsDescriptor {
    let mut total = termination.passed;
    for local in termination.reservations() {
        total.add(&plane.statistics(local));
    }
    let duration = now.since(termination.added_at);
    let is_kept = |item: &Item| {
        let kept = termination.statistics.as_ref();
        kept.is_none_or(|kept| kept.iter().any(|name| *name == *item))
    };
    profile
        .items(Kind::Statistic)
        .filter(|item| is_kept(item))
        .map(|item| Statistic::new(*item, value(*item, &total, duration.as_millis())))
        .collect()
}

/// Sums two Statistics descriptors, for the union that answers `W-`. Of scores the worse one
/// counts, which none is better than.
pub(crate) fn sum(into: &mut StatisticsDescriptor, more: StatisticsDescriptor) {
    use h248::message::StatisticValue::Single;
    for statistic in more {
        let known = into.iter_mut().find(|known| known.name == statistic.name);
        match known {
            None => into.push(statistic),
            Some(known) => {
                if let (Single(a), Single(b)) = (&known.value, &statistic.value)
                    && let (Some(a), Some(b)) = (a.as_u64(), b.as_u64())
                {
                    let is_score =
                        known.name == rtcpxr::MOS_LISTENING || known.name == rtcpxr::MOS_CONVERSING;
                    let both = match is_score {
                        true => a.min(b),
                        false => a.saturating_add(b),
                    };
                    known.value = Single(Value::from(both));
                }
            }
        }
    }
}

fn value(item: Item, total: &Statistics, duration_ms: u128) -> Value {
    match item {
        nt::DURATION => Value::from(u64::try_from(duration_ms).unwrap_or(u64::MAX)),
        nt::OCTETS_SENT => Value::from(total.octets_sent),
        nt::OCTETS_RECEIVED => Value::from(total.octets_received),
        rtp::PACKETS_SENT => Value::from(total.packets_sent),
        rtp::PACKETS_RECEIVED => Value::from(total.packets_received),
        rtp::PACKET_LOSS => percent(total.packets_lost, total.packets_expected),
        rtp::JITTER => Value::from(total.jitter_ticks),
        rtcpxr::MOS_LISTENING => score(total.score.map(|score| score.listening)),
        rtcpxr::MOS_CONVERSING => score(total.score.map(|score| score.conversing)),
        _ => Value::from(0_u32),
    }
}

fn score(tenths: Option<u8>) -> Value {
    Value::from(u32::from(tenths.unwrap_or(rtcpxr::MOS_UNAVAILABLE)))
}

/// A share in percent with two decimals, and none when it is whole.
fn percent(part: u64, whole: u64) -> Value {
    let hundredths = (u128::from(part) * 10_000)
        .checked_div(u128::from(whole))
        .unwrap_or(0);
    match hundredths % 100 {
        0 => Value::symbol((hundredths / 100).to_string()),
        rest => Value::symbol(format!("{}.{rest:02}", hundredths / 100)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_in_percent_of_what_was_expected() {
        assert_eq!(percent(0, 0), Value::symbol("0"));
        assert_eq!(percent(1, 2), Value::symbol("50"));
        assert_eq!(percent(1, 300), Value::symbol("0.33"));
        assert_eq!(percent(1, 1250), Value::symbol("0.08"));
    }

    #[test]
    fn a_union_sums_what_are_whole_numbers() {
        let mut one = vec![Statistic::new(nt::OCTETS_SENT, 5_u32)];
        sum(&mut one, vec![Statistic::new(nt::OCTETS_SENT, 7_u32)]);
        assert_eq!(one, [Statistic::new(nt::OCTETS_SENT, 12_u32)]);
    }

    #[test]
    fn a_union_has_the_worst_score_that_there_is() {
        let scored = |score: u32| vec![Statistic::new(rtcpxr::MOS_LISTENING, score)];
        let mut all = scored(u32::from(rtcpxr::MOS_UNAVAILABLE));
        for score in [41, 32, 44] {
            sum(&mut all, scored(score));
        }
        assert_eq!(all, scored(32));
    }
}
