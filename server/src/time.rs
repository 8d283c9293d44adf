//! Points in time as text: RFC 3339 with nanoseconds in JSON, the HTTP form in headers, and the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use ovl_core::Time;

const SECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(0));

/// Adds a time as date and time of day in whole seconds; `None` outside the years -9999 to 9999.
pub(crate) fn seconds(out: &mut Vec<u8>, time: Time) -> Option<()> {
    SECONDS.print_timestamp(&Timestamp::from_second(time.secs).ok()?, &mut *out).ok()?;
    // The sign of UTC says nothing in a column.
    out.pop();
    Some(())
}

/// Reads RFC 3339, with or without a fraction.
pub(crate) fn parse(text: &str) -> Option<Time> {
    let stamp: Timestamp = text.parse().ok()?;
    let total = stamp.as_nanosecond();
    let secs = i64::try_from(total.div_euclid(1_000_000_000)).ok()?;
    let nanos = u32::try_from(total.rem_euclid(1_000_000_000)).ok()?;
    Some(Time { secs, nanos })
}

/// Writes a time as `Last-Modified` has it; `None` where that cannot: before 1970 and after 9999.
pub(crate) fn http_date(time: Time) -> Option<String> {
    let secs = u64::try_from(time.secs).ok().filter(|secs| *secs < 253_402_300_800)?;
    Some(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(secs)))
}

/// Returns the time of this moment.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
}

/// Returns a number that no earlier start had: nanoseconds since 1970.
pub(crate) fn nonce() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use ovl_core::report::rfc3339;

    use super::*;

    #[test]
    fn the_engine_writes_times_that_are_read_as_they_were() {
        for (secs, nanos) in [(0, 0), (-1, 999_999_999), (951_782_400, 5), (-377_705_000_000, 1), (253_402_200_000, 9)]
        {
            let time = Time { secs, nanos };
            assert_eq!(rfc3339(time).and_then(|text| parse(&text)), Some(time));
        }
    }

    #[test]
    fn a_time_that_text_cannot_hold_is_left_out() {
        assert_eq!(http_date(Time { secs: -1, nanos: 0 }), None);
    }
}
