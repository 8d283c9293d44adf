//! Columns of a line. The formatting of the standard library takes as long for one line as the system for its attributes.

/// Writes a text and a space, the text filled up to `width` from the right.
pub(super) fn left(out: &mut Vec<u8>, text: &str, width: usize) {
    out.extend_from_slice(text.as_bytes());
    fill(out, width.saturating_sub(text.chars().count()) + 1);
}

/// Writes a number and a space, the number filled up to `width` from the left.
pub(super) fn right(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    fill(out, width.saturating_sub(digits.len()));
    out.extend_from_slice(digits.as_bytes());
    out.push(b' ');
}

/// Writes permission bits as four octal digits, and a space.
pub(super) fn octal(out: &mut Vec<u8>, mode: u32) {
    let digit = |shift: u32| b'0' + (mode >> shift & 7) as u8;
    out.extend_from_slice(&[digit(9), digit(6), digit(3), digit(0), b' ']);
}

fn fill(out: &mut Vec<u8>, count: usize) {
    out.extend(std::iter::repeat_n(b' ', count));
}
