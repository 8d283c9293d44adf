//! Bytes in Base64 (RFC 4648): with padding as values, for URLs without.

const VALUES: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = digits(bytes, VALUES);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

pub(super) fn encode_for_url(bytes: &[u8]) -> String {
    digits(bytes, URLS)
}

/// Reads what [`encode`] writes, `None` for anything else.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    let digits = &text.as_bytes()[..text.len() - padding];
    let fits = text.len().is_multiple_of(4) && padding < 3;
    fits.then(|| bytes(digits, VALUES)).flatten()
}

/// Reads what [`encode_for_url`] writes, `None` for anything else.
pub(super) fn decode_from_url(text: &str) -> Option<Vec<u8>> {
    bytes(text.as_bytes(), URLS)
}

/// Writes six bits a digit, the first byte in front.
fn digits(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (24 - 8 * three.len());
        for digit in 0..=three.len() {
            text.push(char::from(alphabet[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

/// Reads digits; `None` for other characters, for a lone one at the end, and for bits that are left over.
fn bytes(digits: &[u8], alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for four in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in four {
            bits = bits << 6 | alphabet.iter().position(|known| known == digit)? as u32;
        }
        let whole = four.len() * 6 / 8;
        let bits = bits << (24 - 6 * four.len());
        if whole == 0 || bits & (0x00ff_ffff >> (8 * whole)) != 0 {
            return None;
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=whole]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_standard_and_come_back() {
        let known =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (bytes, text) in known.into_iter().chain([("foobar", "Zm9vYmFy")]) {
            assert_eq!((encode(bytes.as_bytes()).as_str(), decode(text)), (text, Some(bytes.into())));
            let bare = text.trim_end_matches('=');
            assert_eq!((encode_for_url(bytes.as_bytes()).as_str(), decode_from_url(bare)), (bare, Some(bytes.into())));
        }
        let all: Vec<u8> = (0..=255).rev().collect();
        assert_eq!((decode(&encode(&all)), decode_from_url(&encode_for_url(&all))), (Some(all.clone()), Some(all)));
        assert_eq!((encode(&[0xfb, 0xff]), encode_for_url(&[0xfb, 0xff])), ("+/8=".into(), "-_8".into()));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["Z", "Zg", "Zg=", "Zg===", "====", "=", "Zh==", "Zm9=", "Zm 9", "Zg==Zg==", "-_8=", "Zm9v\n", "é==="]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
        for text in ["Z", "Zg==", "Zh", "+/8", "Zm9vZ"] {
            assert_eq!(decode_from_url(text), None, "{text:?}");
        }
    }
}
