//! Reading the manifest of an upper's zip.

use super::{corrupt, json::Json};
use crate::{
    Attrs, Device, Kind, Marks, Opaque, Result, Time, VPath, Xattr,
    export::manifest::{Line, Word, unstored_name},
    printable,
    sorted::Sorted,
};

/// The most bytes of a manifest that are read: a few hundred an object, for millions of objects.
const LARGEST: u64 = 1 << 30;

/// The fields of a line; the first two must be there.
const FIELDS: &[&str] =
    &["path", "kind", "mode", "uid", "gid", "mtime", "device", "opaque", "redirect", "xattrs", "link"];

/// What a manifest says, by path; a line is taken out when its object has been met.
#[derive(Debug)]
pub(super) struct Manifest(Sorted<VPath, Option<Line>>);

impl Manifest {
    /// Reads the text. Refuses another format or version, and a path that comes twice (`Corrupt`).
    pub(super) fn read(blob: &dyn crate::Blob) -> Result<Self> {
        let mut bytes = Vec::new();
        if blob.size()? > LARGEST {
            return Err(corrupt("the manifest is too long"));
        }
        let mut piece = vec![0; 128 * 1024];
        loop {
            match blob.read_at(&mut piece, bytes.len() as u64)? {
                0 => break,
                got => bytes.extend_from_slice(&piece[..got]),
            }
        }
        Self::index(objects(&mut Json::new(&bytes))?)
    }

    fn index(lines: Vec<Line>) -> Result<Self> {
        let pair = |line: Line| Ok((VPath::parse(&unescape(&line.path)?)?, Some(line)));
        let by_path = Sorted::of(lines.into_iter().map(pair).collect::<Result<_>>()?);
        Ok(Self(by_path.map_err(|path| corrupt("the manifest tells of it twice").at(&path))?))
    }

    /// Returns the path of a stored object and what the manifest says of it; `None` for the manifest itself.
    ///
    /// Refuses an object of which the manifest says nothing, or that it is of another kind (`Corrupt`).
    pub(super) fn take(&mut self, stored: &VPath, kind: Kind) -> Result<Option<(VPath, Line)>> {
        let Some(path) = unstored_name(stored)? else { return Ok(None) };
        let line = self
            .0
            .get_mut(&path)
            .and_then(Option::take)
            .ok_or_else(|| corrupt("the manifest does not tell of it").at(&path))?;
        if line.kind != Word::from(kind) {
            return Err(corrupt("the manifest tells of another kind").at(&path));
        }
        Ok(Some((path, line)))
    }

    /// Refuses a manifest that tells of objects which are not there (`Corrupt`).
    pub(super) fn must_be_spent(&self) -> Result<()> {
        match self.0.pairs().iter().find(|(_, line)| line.is_some()) {
            Some((path, _)) => Err(corrupt("the manifest tells of it, but it is not there").at(path)),
            None => Ok(()),
        }
    }
}

/// Reads the whole text.
fn objects(json: &mut Json<'_>) -> Result<Vec<Line>> {
    let (mut format, mut version, mut lines) = (String::new(), 0, Vec::new());
    json.object(&["format", "version", "objects"], 3, &mut |json, field| {
        match field {
            0 => format = json.string()?,
            1 => version = json.count()?,
            _ => json.list(&mut |json| {
                lines.push(line(json)?);
                Ok(())
            })?,
        }
        Ok(())
    })?;
    json.end()?;
    if (format.as_str(), version) != ("ovl-upper", 1) {
        return Err(corrupt(format!("the manifest is of format {format} {version}")));
    }
    Ok(lines)
}

fn line(json: &mut Json<'_>) -> Result<Line> {
    let mut line = Line::default();
    json.object(FIELDS, 2, &mut |json, field| {
        match field {
            0 => line.path = json.string()?,
            1 => line.kind = word(&json.string()?)?,
            2 => line.mode = json.count()?,
            3 => line.uid = json.count()?,
            4 => line.gid = json.count()?,
            5 => {
                let (secs, nanos) = json.pair(Json::number)?;
                line.mtime = (secs, u32::try_from(nanos).map_err(|_| corrupt("a time in the manifest is damaged"))?);
            }
            6 => line.device = Some(json.pair(Json::count)?),
            7 => line.opaque = Some(mark(&json.string()?)?),
            8 => line.redirect = Some(json.string()?),
            9 => json.list(&mut |json| {
                line.xattrs.push(json.pair(Json::string)?);
                Ok(())
            })?,
            _ => line.link = Some(json.string()?),
        }
        Ok(())
    })?;
    Ok(line)
}

fn word(text: &str) -> Result<Word> {
    let found = Word::ALL.iter().find(|word| word.as_str() == text);
    found.copied().ok_or_else(|| corrupt(format!("the manifest tells of a kind \"{}\"", printable(text.as_bytes()))))
}

fn mark(text: &str) -> Result<char> {
    let mut chars = text.chars();
    let mark = chars.next().filter(|_| chars.next().is_none());
    mark.ok_or_else(|| corrupt(format!("the manifest tells of a mark \"{}\"", printable(text.as_bytes()))))
}

/// Returns the attributes; the time of access is that of the content.
pub(super) fn attrs(line: &Line) -> Attrs {
    let mtime = Time { secs: line.mtime.0, nanos: line.mtime.1.min(999_999_999) };
    Attrs { mode: line.mode & 0o7777, uid: line.uid, gid: line.gid, atime: mtime, mtime }
}

pub(super) fn rdev(line: &Line) -> Device {
    let (major, minor) = line.device.unwrap_or_default();
    Device { major, minor }
}

pub(super) fn marks(line: &Line) -> Result<Marks> {
    let opaque = match line.opaque {
        Some('y') => Opaque::Yes,
        Some('x') => Opaque::Xwhiteouts,
        _ => Opaque::No,
    };
    let redirect = line.redirect.as_deref().map(unescape).transpose()?.map(Into::into);
    Ok(Marks { opaque, redirect, metacopy: false })
}

pub(super) fn xattrs(line: &Line) -> Result<Vec<Xattr>> {
    let xattr =
        |(name, value): &(String, String)| Ok(Xattr { name: unescape(name)?.into(), value: unescape(value)?.into() });
    line.xattrs.iter().map(xattr).collect()
}

pub(super) fn link(line: &Line) -> Result<Option<VPath>> {
    line.link.as_deref().map(|link| VPath::parse(&unescape(link)?)).transpose()
}

/// Reads escaped text back as bytes. Refuses a percent sign without two hexadecimal digits (`Corrupt`).
fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| {
            corrupt(format!("\"{}\" in the manifest is not escaped well", printable(text.as_bytes())))
        })?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Ok(bytes)
}
