//! The times an archive tells, in ticks of 100 ns since 1970: eight bytes hold whatever a zip can say.
//!
//! A DOS time has no zone. It is taken as UTC, so that the same archive shows the same times everywhere.

use crate::Time;

/// Ticks of 100 ns since 1970-01-01 UTC.
pub(super) type Ticks = i64;

const PER_SECOND: i64 = 10_000_000;
/// From 1601, where Windows begins to count, to 1970.
const EPOCH_1601: i64 = 11_644_473_600 * PER_SECOND;

/// Returns the ticks of a count of seconds since 1970.
pub(super) fn from_unix(secs: i32) -> Ticks {
    i64::from(secs) * PER_SECOND
}

/// Returns the ticks of an NTFS time.
pub(super) fn from_ntfs(time: u64) -> Ticks {
    i64::try_from(time).unwrap_or(i64::MAX).saturating_sub(EPOCH_1601)
}

/// Returns the ticks of a DOS date and time, taken as UTC; fields out of range are drawn to the nearest in range.
pub(super) fn from_dos(date: u16, time: u16) -> Ticks {
    let (year, month, day) = (1980 + i64::from(date >> 9), i64::from(date >> 5 & 15), i64::from(date & 31));
    let days = days_before(year, month.clamp(1, 12)) + day.max(1) - 1;
    let (hour, minute) = (i64::from(time >> 11).min(23), i64::from(time >> 5 & 63).min(59));
    let second = (i64::from(time & 31) * 2).min(59);
    (((days * 24 + hour) * 60 + minute) * 60 + second) * PER_SECOND
}

/// Returns the point in time.
pub(super) fn to_time(ticks: Ticks) -> Time {
    let nanos = ticks.rem_euclid(PER_SECOND) * 100;
    Time { secs: ticks.div_euclid(PER_SECOND), nanos: nanos as u32 }
}

/// Counts the days from 1970-01-01 to the first of a month (1 to 12) of a year from 1980 to 2107.
fn days_before(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leaps_through = |year: i64| year / 4 - year / 100 + year / 400;
    let is_leap = leaps_through(year) > leaps_through(year - 1);
    let leap_day = i64::from(is_leap && month > 2);
    (year - 1970) * 365 + leaps_through(year - 1) - leaps_through(1969) + BEFORE[month as usize - 1] + leap_day
}
