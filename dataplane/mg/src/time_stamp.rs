//! TimeStamp, H.248.1 B.2: the date and time of an instant, in UTC.

use base::Instant;
use h248::message::TimeStamp;

/// `yyyymmdd` and `hhmmssss` of an instant of the process's clock, anchored to the Unix epoch.
pub(crate) fn time_stamp(at: Instant) -> TimeStamp {
    let (days, second) = (at.as_secs() / 86_400, at.as_secs() % 86_400);
    let hundredths = at.as_millis() / 10 % 100;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Years that begin in March put the leap day last: 400 of them have 146 097 days.
    let day = days + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    TimeStamp {
        date: (year * 10_000 + month * 100 + day_of_month) as u32,
        time: (((hour * 100 + minute) * 100 + second) * 100 + hundredths) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_the_calendar() {
        // Computed by `date -u -d @SECONDS +%Y%m%dT%H%M%S`.
        for (seconds, date, time) in [
            (0, 19_700_101, 0),
            (951_782_399, 20_000_228, 23_595_900),
            (951_782_400, 20_000_229, 0),
            (1_709_210_096, 20_240_229, 12_345_600),
            (1_798_761_599, 20_261_231, 23_595_900),
            (4_107_542_400, 21_000_301, 0),
        ] {
            let stamp = time_stamp(Instant::from_secs(seconds));
            assert_eq!((stamp.date, stamp.time), (date, time), "{seconds}");
        }
        let fraction = time_stamp(Instant::from_nanos(1_250_000_000));
        assert_eq!(fraction.time, 125);
    }
}
