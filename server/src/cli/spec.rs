//! How a layer is named on the command line: `a.zip`, `zip:a.zip`, `mem:` or `type=zip,path=a.zip,root=/sub,name=base`,
//! and `path=objects,data-only` for one that gives content alone.
//!
//! In the long form two commas stand for one that belongs to a value: no other sign is free on every system.

use std::{path::PathBuf, str::FromStr};

use ovl_core::VPath;

/// What a layer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A directory of this machine.
    Dir,
    /// A zip archive.
    Zip,
    /// Memory, forgotten at the end.
    Memory,
}

/// What the long form says, in any order.
const KEYS: &[&str] = &["type=", "path=", "root=", "name="];
/// The word of the long form that has no value.
pub(super) const DATA_ONLY: &str = "data-only";

/// A layer as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// What it is made of; `None` to look at the content.
    pub medium: Option<Medium>,
    /// Where it lies; empty in memory.
    pub path: PathBuf,
    /// Which of its directories is shown as its root.
    pub root: VPath,
    /// What to call it; `None` for the last part of the path.
    pub name: Option<String>,
    /// Whether its files only give content to metadata in the layers above (semantics Y04).
    pub data_only: bool,
}

impl LayerSpec {
    /// Returns an empty layer in memory.
    pub fn memory() -> Self {
        Self { medium: Some(Medium::Memory), path: PathBuf::new(), root: VPath::root(), name: None, data_only: false }
    }
}

impl FromStr for LayerSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_long = KEYS.iter().any(|key| text.starts_with(key)) || text.starts_with("data-only,");
        let spec = if is_long { long(text)? } else { short(text)? };
        if spec.path.as_os_str().is_empty() != (spec.medium == Some(Medium::Memory)) {
            return Err("a layer has a path, unless it is mem:".into());
        }
        Ok(spec)
    }
}

fn short(text: &str) -> Result<LayerSpec, String> {
    let (medium, path) = match text.split_once(':') {
        // One letter is a drive; a slash belongs to a path with a colon in it.
        Some((prefix, path)) if prefix.len() > 1 && !prefix.contains(['/', '\\', '.']) => (Some(medium(prefix)?), path),
        _ => (None, text),
    };
    Ok(LayerSpec { medium, path: path.into(), ..LayerSpec::memory() })
}

fn long(text: &str) -> Result<LayerSpec, String> {
    let mut spec = LayerSpec { medium: None, ..LayerSpec::memory() };
    for part in parts(text) {
        match part.split_once('=') {
            Some(("type", value)) => spec.medium = Some(medium(value)?),
            Some(("path", value)) => spec.path = value.into(),
            Some(("root", value)) => spec.root = root(value)?,
            Some(("name", value)) if !value.is_empty() => spec.name = Some(value.into()),
            None if part == DATA_ONLY => spec.data_only = true,
            _ => {
                let known = KEYS.join(", ");
                return Err(format!("{part:?} is none of {known}, {DATA_ONLY}; a comma in a value is written twice"));
            }
        }
    }
    Ok(spec)
}

/// Splits at single commas and makes one of two.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![];
    let mut part = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ',' if chars.next_if_eq(&',').is_none() => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts
}

fn root(text: &str) -> Result<VPath, String> {
    let inner = text.strip_prefix('/').unwrap_or(text);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    VPath::parse(inner.as_bytes()).map_err(|_| format!("root={text} is no path of a directory in the layer"))
}

fn medium(text: &str) -> Result<Medium, String> {
    match text {
        "dir" => Ok(Medium::Dir),
        "zip" => Ok(Medium::Zip),
        "mem" => Ok(Medium::Memory),
        other => Err(format!("{other:?} is none of dir, zip, mem; a path with a colon is written ./{other}:...")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(medium: Option<Medium>, path: &str) -> LayerSpec {
        LayerSpec { medium, path: path.into(), ..LayerSpec::memory() }
    }

    fn shown(path: &str, root: &str, name: Option<&str>) -> LayerSpec {
        let root = VPath::parse(root.as_bytes()).expect("a path");
        LayerSpec { root, name: name.map(Into::into), ..spec(Some(Medium::Zip), path) }
    }

    #[test]
    fn a_layer_is_named_short_or_long() {
        let cases = [
            ("a.zip", spec(None, "a.zip")),
            ("a,b.zip", spec(None, "a,b.zip")),
            ("./zip:odd", spec(None, "./zip:odd")),
            ("C:\\data", spec(None, "C:\\data")),
            ("zip:b", spec(Some(Medium::Zip), "b")),
            ("dir:/srv/x:y", spec(Some(Medium::Dir), "/srv/x:y")),
            ("mem:", LayerSpec::memory()),
            ("path=a.zip", spec(None, "a.zip")),
            ("type=zip,path=a.zip,name=base", shown("a.zip", "", Some("base"))),
            ("type=zip,path=a.zip,root=/sub/deep,name=base", shown("a.zip", "sub/deep", Some("base"))),
            ("root=sub/,path=a.zip,type=zip", shown("a.zip", "sub", None)),
            ("type=zip,path=a.zip,root=/", shown("a.zip", "", None)),
            ("type=zip,path=a,,b.zip,root=c,,,,d,name=e=f", shown("a,b.zip", "c,,d", Some("e=f"))),
            ("type=zip,path=a,,,name=b", shown("a,", "", Some("b"))),
            ("path=a,data-only", LayerSpec { data_only: true, ..spec(None, "a") }),
            ("data-only,type=dir,path=a", LayerSpec { data_only: true, ..spec(Some(Medium::Dir), "a") }),
            ("data-only", spec(None, "data-only")),
            ("path=data-only", spec(None, "data-only")),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_layer_that_is_not_said_well_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "a layer has a path"),
            ("zip:", "a layer has a path"),
            ("mem:x", "a layer has a path"),
            ("type=zip", "a layer has a path"),
            ("tar:a.tar", "none of dir, zip, mem"),
            ("path=a,colour=red", "none of type=, path=, root=, name=, data-only"),
            ("path=a,b.zip", "a comma in a value is written twice"),
            ("path=a,root=../up", "root=../up is no path"),
            ("path=a,root=/b//c", "root=/b//c is no path"),
        ] {
            let error = text.parse::<LayerSpec>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
