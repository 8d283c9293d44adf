//! Reading JSON of a known form, value by value.
//!
//! Every value is asked for by its type, and a field by its name: what is of another form is refused where it stands, and
//! nothing is nested deeper than the caller asks.

use super::corrupt;
use crate::{Error, Result};

/// A text of JSON, read up to a place.
pub(super) struct Json<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Json<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the refusal of what stands here.
    #[cold]
    fn wrong(&self, wanted: &str) -> Error {
        corrupt(format!("the manifest is damaged: {wanted} is missing at byte {}", self.at))
    }

    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(|byte| b" \t\r\n".contains(byte)) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.take(byte) { Ok(()) } else { Err(self.wrong(char::from(byte).encode_utf8(&mut [0; 4]))) }
    }

    /// Refuses what stands behind the last value.
    pub(super) fn end(&mut self) -> Result<()> {
        self.peek().map_or(Ok(()), |_| Err(self.wrong("the end")))
    }

    fn series(&mut self, ends: [u8; 2], each: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.expect(ends[0])?;
        if self.take(ends[1]) {
            return Ok(());
        }
        loop {
            each(self)?;
            if !self.take(b',') {
                return self.expect(ends[1]);
            }
        }
    }

    /// Reads a list; `each` reads a value of it.
    pub(super) fn list(&mut self, each: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.series(*b"[]", each)
    }

    /// Reads two values that stand in brackets.
    pub(super) fn pair<T>(&mut self, each: fn(&mut Self) -> Result<T>) -> Result<(T, T)> {
        self.expect(b'[')?;
        let first = each(self)?;
        self.expect(b',')?;
        let pair = (first, each(self)?);
        self.expect(b']')?;
        Ok(pair)
    }

    /// Reads an object; `each` reads the value of the field of which it gets the place in `names`. Refuses fields of other
    /// names, one that comes twice, and an object without the first `needed`.
    pub(super) fn object(
        &mut self,
        names: &[&str],
        needed: u32,
        each: &mut dyn FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<()> {
        let mut missing = u32::MAX;
        self.series(*b"{}", &mut |json| {
            let name = json.string()?;
            let place = names.iter().position(|known| *known == name);
            let place = place.filter(|place| missing & 1 << place != 0).ok_or_else(|| json.wrong("a new field"))?;
            missing &= !(1 << place);
            json.expect(b':')?;
            each(json, place)
        })?;
        if missing.trailing_zeros() < needed { Err(self.wrong("a field")) } else { Ok(()) }
    }

    /// Reads a whole number.
    pub(super) fn number(&mut self) -> Result<i64> {
        self.peek();
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        let digits = std::str::from_utf8(&rest[..length]).ok();
        let digits =
            digits.filter(|it| it.trim_start_matches('-') == "0" || !it.trim_start_matches('-').starts_with('0'));
        let number = digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| self.wrong("a number"))?;
        self.at += length;
        Ok(number)
    }

    /// Reads a whole number that is not negative.
    pub(super) fn count(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| self.wrong("a number up to 4294967295"))
    }

    /// Reads a text.
    pub(super) fn string(&mut self) -> Result<String> {
        self.expect(b'"')?;
        let mut bytes = Vec::new();
        loop {
            let byte = self.byte()?;
            match byte {
                b'"' => return String::from_utf8(bytes).map_err(|_| self.wrong("UTF-8")),
                b'\\' => {
                    let c = self.escaped()?;
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..0x20 => return Err(self.wrong("an escape")),
                byte => bytes.push(byte),
            }
        }
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = *self.text.get(self.at).ok_or_else(|| self.wrong("the end of a text"))?;
        self.at += 1;
        Ok(byte)
    }

    fn escaped(&mut self) -> Result<char> {
        let c = match self.byte()? {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\x08',
            b'f' => '\x0c',
            b'u' => return self.unicode(),
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            _ => return Err(self.wrong("an escape")),
        };
        Ok(c)
    }

    /// Reads a character of one or two units of UTF-16.
    fn unicode(&mut self) -> Result<char> {
        let mut units = vec![self.unit()?];
        if matches!(units[0], 0xd800..0xdc00) && self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            units.push(self.unit()?);
        }
        let mut read = char::decode_utf16(units);
        match (read.next(), read.next()) {
            (Some(Ok(c)), None) => Ok(c),
            _ => Err(self.wrong("a character")),
        }
    }

    fn unit(&mut self) -> Result<u16> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| self.wrong("four hexadecimal digits"))
    }
}
