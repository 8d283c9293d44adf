//! Ranges of content (RFC 9110 section 14).

use std::ops::Range;

/// The most ranges of one request; with more the whole content is sent.
pub(crate) const MAX: usize = 16;

/// What a `Range` header comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: there is no valid range, there are too many, or together they are longer than the whole.
    Whole,
    /// These, in the order of the request.
    Parts(Vec<Range<u64>>),
    /// None of them lies within the content.
    Nothing,
}

/// Reads a `Range` header against content of `size` bytes.
pub(crate) fn parse(value: &str, size: u64) -> Wanted {
    let Some(list) = value.strip_prefix("bytes=") else { return Wanted::Whole };
    let mut parts = Vec::new();
    for (count, text) in list.split(',').map(str::trim).enumerate() {
        match one(text, size) {
            Some(part) if count < MAX => parts.extend(part),
            _ => return Wanted::Whole,
        }
    }
    match parts.iter().map(|part: &Range<u64>| part.end - part.start).sum::<u64>() {
        0 => Wanted::Nothing,
        sum if sum > size => Wanted::Whole,
        _ => Wanted::Parts(parts),
    }
}

/// Reads one range: `None` where it is none, `Some(None)` where it lies outside.
fn one(text: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = text.split_once('-')?;
    if first.is_empty() {
        let count = number(last)?.min(size);
        return Some((count > 0).then(|| size - count..size));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some((first < size).then(|| first..last.saturating_add(1).min(size)))
}

/// Reads digits alone: no sign, no space.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_against_the_size() {
        type Case = (&'static str, u64, &'static [(u64, u64)]);
        let cases: &[Case] = &[
            ("bytes=0-4", 10, &[(0, 5)]),
            ("bytes=5-", 10, &[(5, 10)]),
            ("bytes=-3", 10, &[(7, 10)]),
            ("bytes=-30", 10, &[(0, 10)]),
            ("bytes=8-99", 10, &[(8, 10)]),
            ("bytes=0-0, 9-9", 10, &[(0, 1), (9, 10)]),
            ("bytes=20-30,1-1", 10, &[(1, 2)]),
            ("bytes=0-99999999999999999999999", 10, &[(0, 10)]),
        ];
        for (value, size, expected) in cases {
            let expected = expected.iter().map(|(start, end)| *start..*end).collect();
            assert_eq!(parse(value, *size), Wanted::Parts(expected), "{value}");
        }
    }

    #[test]
    fn what_is_no_range_means_the_whole() {
        let many = format!("bytes={}", vec!["0-0"; MAX + 1].join(","));
        for value in ["bytes=4-2", "bytes=a-b", "bytes=", "bytes=-", "lines=1-2", "bytes=+1-2", "bytes=0-9,0-9", &many]
        {
            assert_eq!(parse(value, 10), Wanted::Whole, "{value}");
        }
    }

    #[test]
    fn a_range_behind_the_end_is_not_satisfiable() {
        for value in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
            assert_eq!(parse(value, 10), Wanted::Nothing, "{value}");
        }
        assert_eq!(parse("bytes=0-", 0), Wanted::Nothing);
    }
}
