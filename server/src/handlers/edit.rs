//! `/v1/entries`, writing, and moves and copies: everything that changes the tree but content.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use ovl_core::{
    Change, Device, Kind, VPath, XattrChange,
    overlay::{Done, Follow, Removal, RenameHow},
    report::{AttrValue, EntryBody},
};
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared, change,
    files::{instant, octal},
    run,
};
use crate::{
    json::{self, Json},
    problem::{INVALID_BODY, Problem},
    query::Query,
    raw_path::RawPath,
    state,
};

/// An entry to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum NewEntry {
    /// A directory.
    Dir {
        /// Permission bits in octal.
        #[serde(default)]
        #[schema(example = "0755")]
        mode: Option<String>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads: a text, or bytes in Base64.
        target: AttrValue,
    },
    /// One more name of a file.
    Hardlink {
        /// The path of the file.
        target: String,
    },
    /// A named pipe.
    Fifo {
        /// Permission bits in octal.
        #[serde(default)]
        mode: Option<String>,
    },
}

/// How an entry is created.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PutEntryQuery {
    /// Makes the directories above that are missing.
    parents: bool,
}

/// What is changed of an entry; what is missing stays as it is (RFC 7386).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EntryPatch {
    /// Permission bits in octal.
    #[schema(example = "0644")]
    mode: Option<String>,
    /// The owner's number.
    #[serde(deserialize_with = "json::whole")]
    uid: Option<u32>,
    /// The group's number.
    #[serde(deserialize_with = "json::whole")]
    gid: Option<u32>,
    /// The last change of the content.
    #[schema(format = DateTime)]
    mtime: Option<String>,
    /// The last access.
    #[schema(format = DateTime)]
    atime: Option<String>,
    /// Extended attributes: a value sets one, null removes it.
    #[schema(value_type = BTreeMap<String, AttrValue>)]
    xattrs: BTreeMap<String, Option<AttrValue>>,
}

/// How an entry is removed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// Removes a directory with everything beneath it.
    recursive: bool,
}

/// From where to where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    /// The path of what is moved or copied.
    #[schema(value_type = AttrValue)]
    from: PathText,
    /// The path that it gets.
    #[schema(value_type = AttrValue)]
    to: PathText,
    /// Replaces what stands there.
    #[serde(default)]
    overwrite: bool,
}

/// A path in JSON: a text, or bytes in Base64; one leading slash may be left out.
#[derive(Debug)]
pub(crate) struct PathText(pub(crate) VPath);

impl<'de> Deserialize<'de> for PathText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = AttrValue::deserialize(deserializer)?.bytes();
        let bytes = bytes.ok_or_else(|| serde::de::Error::custom("b64 is no Base64"))?;
        let path = VPath::parse(bytes.strip_prefix(b"/").unwrap_or(&bytes));
        path.map(Self).map_err(serde::de::Error::custom)
    }
}

/// Create a directory, a symbolic link, a hard link or a named pipe.
#[utoipa::path(put, path = "/v1/entries/{path}", tag = "entries",
    params(("path" = String, Path, description = "The path; '/' may be escaped"), PutEntryQuery),
    request_body = NewEntry,
    responses(
        (status = 201, description = "It was created"),
    ))]
pub(crate) async fn put(
    State(state): Shared,
    raw: RawPath,
    Query(query): Query<PutEntryQuery>,
    headers: HeaderMap,
    Json(new): Json<NewEntry>,
) -> Result<Response, Problem> {
    if !matches!(new, NewEntry::Dir { .. }) {
        raw.refuse_slash()?;
    }
    let ctx = change::ctx(&state, &headers)?;
    let (new, path) = (new.read()?, raw.path.clone());
    let done = change::make(&state, &raw.path, Follow::No, move |state| {
        if query.parents {
            super::make_parents(&state.overlay, &ctx, &path)?;
        }
        match &new {
            Made::Dir(mode) => state.overlay.mkdir(&ctx, &path, *mode),
            Made::Symlink(target) => state.overlay.symlink(&ctx, &path, target),
            Made::Hardlink(target) => state.overlay.link(&ctx, target, &path),
            Made::Fifo(mode) => state.overlay.mknod(&ctx, &path, Kind::Fifo, Device::default(), *mode),
        }
    });
    Ok(change::answer(&done.await?, "/v1/entries", &raw.path))
}

/// An entry to be created, in the engine's terms.
enum Made {
    Dir(Option<u32>),
    Symlink(Vec<u8>),
    Hardlink(VPath),
    Fifo(Option<u32>),
}

impl NewEntry {
    fn read(self) -> Result<Made, Problem> {
        Ok(match self {
            Self::Dir { mode } => Made::Dir(read(mode, octal)?),
            Self::Fifo { mode } => Made::Fifo(read(mode, octal)?),
            Self::Symlink { target } => Made::Symlink(target.bytes().ok_or_else(|| bad("b64 is no Base64"))?),
            Self::Hardlink { target } => {
                Made::Hardlink(VPath::parse(target.strip_prefix('/').unwrap_or(&target).as_bytes())?)
            }
        })
    }
}

/// Change mode, owner, times and extended attributes of an entry.
#[utoipa::path(patch, path = "/v1/entries/{path}", tag = "entries",
    params(("path" = String, Path, description = "The path; '/' may be escaped")),
    request_body(content((EntryPatch = "application/merge-patch+json"), (EntryPatch = "application/json"))),
    responses(
        (status = 200, description = "The entry as it is now", body = EntryBody),
    ))]
pub(crate) async fn patch(
    State(state): Shared,
    raw: RawPath,
    headers: HeaderMap,
    Json(patch): Json<EntryPatch>,
) -> Result<Response, Problem> {
    let ctx = change::ctx(&state, &headers)?;
    let (asked, path) = (patch.read()?, raw.path.clone());
    let done =
        change::make(&state, &raw.path, Follow::No, move |state| state.overlay.set(&ctx, &path, Follow::No, &asked))
            .await?;
    let (_, body) = run(move || state.merged.describe(&raw.path)).await?;
    let mut response = Json(body).into_response();
    change::report(response.headers_mut(), &done);
    Ok(response)
}

impl EntryPatch {
    fn read(self) -> Result<Change, Problem> {
        Ok(Change {
            mode: read(self.mode, octal)?,
            uid: self.uid,
            gid: self.gid,
            atime: read(self.atime, instant)?,
            mtime: read(self.mtime, instant)?,
            xattrs: self.xattrs.into_iter().map(xattr).collect::<Result<_, _>>()?,
            ..Change::default()
        })
    }
}

fn bad(detail: &str) -> Problem {
    Problem::new(&INVALID_BODY, detail)
}

/// Reads a text of the body, if it is there.
fn read<T>(text: Option<String>, reader: fn(&str) -> Result<T, &'static str>) -> Result<Option<T>, Problem> {
    text.as_deref().map(reader).transpose().map_err(bad)
}

fn xattr((name, value): (String, Option<AttrValue>)) -> Result<XattrChange, Problem> {
    let bad = || Problem::new(&INVALID_BODY, format!("the value of {name} is no Base64"));
    let value = value.map(|value| value.bytes().ok_or_else(bad)).transpose()?;
    Ok((name.into_bytes().into(), value.map(Vec::into_boxed_slice)))
}

/// Remove an entry; a directory that shows entries only with everything beneath it.
#[utoipa::path(delete, path = "/v1/entries/{path}", tag = "entries",
    params(("path" = String, Path, description = "The path; '/' may be escaped"), DeleteQuery),
    responses(
        (status = 204, description = "It was removed"),
    ))]
pub(crate) async fn delete(
    State(state): Shared,
    raw: RawPath,
    Query(query): Query<DeleteQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ctx = change::ctx(&state, &headers)?;
    let path = raw.path.clone();
    let done = change::make(&state, &raw.path, Follow::No, move |state| {
        // What is missing is left to the engine, which asks for the condition first.
        let is_dir = state.overlay.entry(&path, Follow::No).is_ok_and(|info| info.stat.kind == Kind::Dir);
        let removal = match (query.recursive, raw.dir || is_dir) {
            (true, _) => Removal::Tree,
            (false, true) => Removal::EmptyDir,
            (false, false) => Removal::File,
        };
        state.overlay.remove(&ctx, &path, removal)
    });
    Ok(change::answer(&done.await?, "/v1/entries", &raw.path))
}

/// Move an entry. Conditions concern the new place.
#[utoipa::path(post, path = "/v1/moves", tag = "entries", request_body = Transfer,
    responses(
        (status = 201, description = "It was moved"),
    ))]
pub(crate) async fn moves(
    State(state): Shared,
    headers: HeaderMap,
    Json(transfer): Json<Transfer>,
) -> Result<Response, Problem> {
    let ctx = change::ctx(&state, &headers)?;
    transferred(&state, transfer, move |state, from, to, how| state.overlay.rename(&ctx, from, to, how)).await
}

/// Copy an entry with everything beneath it. Conditions concern the new place.
#[utoipa::path(post, path = "/v1/copies", tag = "entries", request_body = Transfer,
    responses(
        (status = 201, description = "It was copied"),
    ))]
pub(crate) async fn copies(
    State(state): Shared,
    headers: HeaderMap,
    Json(transfer): Json<Transfer>,
) -> Result<Response, Problem> {
    let ctx = change::ctx(&state, &headers)?;
    transferred(&state, transfer, move |state, from, to, how| state.overlay.copy(&ctx, from, to, how)).await
}

async fn transferred<F>(state: &Arc<state::State>, transfer: Transfer, go: F) -> Result<Response, Problem>
where
    F: FnOnce(&state::State, &VPath, &VPath, RenameHow) -> ovl_core::Result<Done> + Send + 'static,
{
    let how = if transfer.overwrite { RenameHow::Replace } else { RenameHow::NoReplace };
    let (from, to) = (transfer.from.0, transfer.to.0);
    let place = change::location("/v1/entries", &to);
    let at = to.clone();
    let done = change::make(state, &at, Follow::No, move |state| go(state, &from, &to, how)).await?;
    let mut response = StatusCode::CREATED.into_response();
    response.headers_mut().insert(header::LOCATION, place);
    change::report(response.headers_mut(), &done);
    Ok(response)
}
