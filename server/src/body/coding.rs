//! Which codings of content a client takes (RFC 9110 section 12.5.3).

use http::{HeaderMap, header};

/// Returns whether a client takes a coding.
pub(crate) fn accepted(headers: &HeaderMap, wanted: &str) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for item in values.flat_map(|value| value.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let refused =
            parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.trim_end_matches(['0', '.']).is_empty()));
        match coding {
            "*" => any = !refused,
            _ if coding.strip_prefix("x-").unwrap_or(coding) == wanted => return !refused,
            _ => (),
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_sent_to_those_who_take_it() {
        let cases = [
            ("gzip, deflate, br", true),
            ("x-gzip", true),
            ("br;q=1, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, *", false),
            ("*;q=0", false),
            ("identity", false),
            ("br", false),
            ("", false),
        ];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(accepted(&headers, "gzip"), expected, "{value}");
        }
    }
}
