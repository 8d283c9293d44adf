//! Points in time as text: RFC 3339 in UTC, with nanoseconds.

use crate::Time;

const DAY: i64 = 86_400;

/// Writes a time; `None` outside the years -9999 to 9999. A year before 0 or after 9999 has six digits and a sign.
pub fn rfc3339(time: Time) -> Option<String> {
    let (day, second) = (time.secs.div_euclid(DAY), time.secs.rem_euclid(DAY));
    let (year, month, day) = date(day).filter(|(year, ..)| (-9999..=9999).contains(year))?;
    let sign = if year < 0 { "-00" } else { "" };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let year = year.abs();
    Some(format!("{sign}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", time.nanos))
}

/// Reads what [`rfc3339`] writes, with or without a fraction, and with an offset of hours and minutes instead of `Z`.
pub fn parse_time(text: &str) -> Option<Time> {
    let (date, clock) = text.split_once(['T', 't'])?;
    let at = clock.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = clock.split_at(at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let offset = match zone.as_bytes()[0] {
        b'Z' | b'z' if zone.len() == 1 => 0,
        sign @ (b'+' | b'-') => {
            let [hours, minutes] = numbers(&zone[1..], ':', [2, 2])?;
            let seconds = (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60)?;
            if sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let days = days(year, month, day)?;
    let in_day = (hour < 24 && minute < 60 && second < 60).then_some((hour * 60 + minute) * 60 + second)?;
    Some(Time { secs: days * DAY + in_day - offset, nanos: nanos(fraction)? })
}

fn numbers<const N: usize>(text: &str, by: char, lengths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(by);
    let mut numbers = [0; N];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        *number = digits(parts.next().filter(|part| part.len() == length)?)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Reads a fraction of a second; what is finer than nanoseconds is cut off.
fn nanos(fraction: &str) -> Option<u32> {
    let text = format!("{fraction:0<9}");
    digits(&text).filter(|_| !fraction.is_empty())?;
    digits(&text[..9]).and_then(|nanos| u32::try_from(nanos).ok())
}

/// Returns year, month and day of a day since 1970-01-01, by the proleptic Gregorian calendar: years are counted from
/// March, so that the leap day is the last.
fn date(day: i64) -> Option<(i64, i64, i64)> {
    let day = day.checked_add(719_468)?;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    Some((year + era * 400 + i64::from(month <= 2), month, day))
}

/// Returns the day since 1970-01-01 of a date; `None` for one that there is not.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let from_march = year - i64::from(month <= 2);
    let (era, in_era) = (from_march.div_euclid(400), from_march.rem_euclid(400));
    let months = (month + 9) % 12;
    let in_year = (153 * months + 2) / 5 + day - 1;
    let days = era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468;
    (date(days) == Some((year, month, day))).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_its_way_through_text() {
        let cases = [
            (0, 0, "1970-01-01T00:00:00.000000000Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400, 5, "2000-02-29T00:00:00.000000005Z"),
            (4_107_542_399, 0, "2100-02-28T23:59:59.000000000Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59.000000000Z"),
        ];
        for (secs, nanos, text) in cases {
            let time = Time { secs, nanos };
            assert_eq!(rfc3339(time).as_deref(), Some(text));
            assert_eq!(parse_time(text), Some(time));
        }
        for day in (-700_000..2_900_000).step_by(97) {
            let (year, month, in_month) = date(day).unwrap();
            assert_eq!(days(year, month, in_month), Some(day));
        }
    }

    #[test]
    fn a_time_may_come_with_an_offset_or_without_a_fraction() {
        let time = |text| parse_time(text).map(|time| (time.secs, time.nanos));
        assert_eq!(time("1970-01-01T01:30:00+01:30"), Some((0, 0)));
        assert_eq!(time("1970-01-01T00:00:00.5Z"), Some((0, 500_000_000)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "T",
            "1970-01-01",
            "1970-02-30T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00ZZ",
            "1970-01-01T00:00:00+99:00",
            "1970-1-01T00:00:00Z",
            "1970-01-01T00:00:00.xZ",
            "é970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.0000000000éZ",
        ] {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
        assert_eq!(rfc3339(Time { secs: i64::MAX, nanos: 0 }), None);
    }
}
