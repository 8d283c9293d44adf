//! Why a path looks as it does.

use serde::Serialize;

#[cfg(feature = "schema")]
use super::EntryKind;
use super::{kind_name, readable, readable_path};
use crate::overlay::{Fate, Reason, Verdict, Why};

/// The look-up of a path, layer by layer.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WhyBody {
    /// The path; no symbolic link is followed.
    pub path: String,
    /// The exact bytes of the path, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
    /// The layer that shows; missing when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// Content bytes in layers below that do not show.
    pub hidden_bytes: u64,
    /// What each layer says, topmost first.
    pub layers: Vec<VerdictBody>,
}

/// What one layer says.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VerdictBody {
    /// The layer.
    pub layer: String,
    /// What it holds there; missing for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<EntryKind>))]
    pub found: Option<&'static str>,
    /// Content bytes of a file there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// `absent`, `shows`, `merges`, `gives_content`, `hides` or `hidden`.
    pub fate: &'static str,
    /// The layer that hides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_by: Option<String>,
    /// Where what hides it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_at: Option<String>,
    /// What hides it: `whiteout`, `opaque` or `covered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Whether a directory there hides everything below.
    pub opaque: bool,
    /// Where the layers below are asked instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
}

impl WhyBody {
    /// Describes a look-up; `ids` are the names of the layers.
    pub fn of(why: &Why, ids: &[String]) -> Self {
        let (path, path_b64) = readable_path(&why.path);
        let hidden = why.layers.iter().filter(|verdict| matches!(verdict.fate, Fate::Hidden { .. }));
        Self {
            path,
            path_b64,
            shown: why.shown.map(|layer| ids[layer].clone()),
            hidden_bytes: hidden.filter_map(|verdict| verdict.size).sum(),
            layers: why.layers.iter().map(|verdict| VerdictBody::of(verdict, ids)).collect(),
        }
    }
}

impl VerdictBody {
    fn of(verdict: &Verdict, ids: &[String]) -> Self {
        let hidden = match &verdict.fate {
            Fate::Hidden { by, at, reason } => Some((ids[*by].clone(), readable_path(at).0, word(*reason))),
            _ => None,
        };
        let (hidden_by, hidden_at, reason) = match hidden {
            Some((by, at, reason)) => (Some(by), Some(at), Some(reason)),
            None => (None, None, None),
        };
        Self {
            layer: ids[verdict.layer].clone(),
            found: verdict.found.map(kind_name),
            size: verdict.size,
            fate: match verdict.fate {
                Fate::Absent => "absent",
                Fate::Shows => "shows",
                Fate::Merges => "merges",
                Fate::GivesContent => "gives_content",
                Fate::Hides => "hides",
                Fate::Hidden { .. } => "hidden",
            },
            hidden_by,
            hidden_at,
            reason,
            opaque: verdict.opaque,
            redirect: verdict.redirect.as_ref().map(|redirect| readable(redirect).0),
        }
    }
}

fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Whiteout => "whiteout",
        Reason::Opaque => "opaque",
        Reason::Covered => "covered",
    }
}
