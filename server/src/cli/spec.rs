//! How a layer is named on the command line: `a.zip`, `zip:a.zip`, `mem:` or `type=zip,path=a.zip,name=base`.

use std::{path::PathBuf, str::FromStr};

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

/// A layer as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// What it is made of; `None` to look at the content.
    pub medium: Option<Medium>,
    /// Where it lies; empty in memory.
    pub path: PathBuf,
    /// What to call it; `None` for the last part of the path.
    pub name: Option<String>,
}

impl FromStr for LayerSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let spec = if text.starts_with("type=") || text.starts_with("path=") { long(text)? } else { short(text)? };
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
    Ok(LayerSpec { medium, path: path.into(), name: None })
}

fn long(text: &str) -> Result<LayerSpec, String> {
    let mut spec = LayerSpec { medium: None, path: PathBuf::new(), name: None };
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("type", value)) => spec.medium = Some(medium(value)?),
            Some(("path", value)) => spec.path = value.into(),
            Some(("name", value)) if !value.is_empty() => spec.name = Some(value.into()),
            _ => return Err(format!("{part:?} is none of type=, path=, name=")),
        }
    }
    Ok(spec)
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

    fn spec(medium: Option<Medium>, path: &str, name: Option<&str>) -> LayerSpec {
        LayerSpec { medium, path: path.into(), name: name.map(Into::into) }
    }

    #[test]
    fn a_layer_is_named_short_or_long() {
        let cases = [
            ("a.zip", spec(None, "a.zip", None)),
            ("./zip:odd", spec(None, "./zip:odd", None)),
            ("C:\\data", spec(None, "C:\\data", None)),
            ("zip:b", spec(Some(Medium::Zip), "b", None)),
            ("dir:/srv/x:y", spec(Some(Medium::Dir), "/srv/x:y", None)),
            ("mem:", spec(Some(Medium::Memory), "", None)),
            ("type=zip,path=a.zip,name=base", spec(Some(Medium::Zip), "a.zip", Some("base"))),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_layer_without_a_path_or_of_an_unknown_type_is_refused() {
        for text in ["", "zip:", "mem:x", "tar:a.tar", "type=zip", "path=a,colour=red"] {
            assert!(text.parse::<LayerSpec>().is_err(), "{text}");
        }
    }
}
