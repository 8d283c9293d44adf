//! Listings: a page of JSON, or a stream of lines.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use globset::{GlobBuilder, GlobMatcher};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ovl_core::{
    Kind, NameBuf, Result, VPath, digest,
    overlay::{Detail, Follow, Shown, WalkOptions},
    report::{EntryBody, View, cursor, read_cursor, readable_path},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{entries::EntriesQuery, run};
use crate::{
    body::lines,
    conditions::{self, Read},
    problem::{INVALID_QUERY, NOT_A_DIRECTORY, Problem},
};

const LIMIT: usize = 1000;
const LIMIT_MAX: usize = 10_000;
const GENERATION: HeaderName = HeaderName::from_static("ovl-generation");

/// A page of a listing.
#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    /// The directory.
    path: String,
    /// The exact bytes of its path, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    /// Its entries, in order of their names as bytes.
    #[schema(value_type = Vec<EntryBody>)]
    entries: Vec<Told>,
    /// What to send as `cursor` for the next page; missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// An entry as a listing tells it: in full, or the fields that were asked for.
#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    Whole(Box<EntryBody>),
    Picked(Value),
}

/// Answers with a directory's page or lines.
///
/// # Errors
/// 400 for a query that cannot be, 404, 409 for what is no directory.
pub(crate) async fn answer(
    view: View,
    path: VPath,
    query: EntriesQuery,
    generation: u64,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let order = Order::read(&query)?;
    let lines = run(move || Lines::open(view, path, order)).await?;
    let lines =
        lines.map_err(|path| Problem::new(&NOT_A_DIRECTORY, format!("{path} cannot be listed")).at(path.as_bytes()))?;
    let mut response = if lines::wanted(headers) {
        let told = std::iter::from_fn({
            let mut lines = lines;
            move || lines.next().map(|line| line.map(|(_, body)| lines.told(body)))
        });
        lines::answer(told, generation)
    } else {
        page(lines, headers).await?
    };
    response.headers_mut().insert(GENERATION, generation.into());
    Ok(response)
}

async fn page(lines: Lines, headers: &HeaderMap) -> Result<Response, Problem> {
    let (bytes, digest) = run(move || {
        let page = lines.page()?;
        let bytes = serde_json::to_vec(&page).expect("a page is plain JSON");
        let digest = digest::content(&bytes)?.to_string();
        Ok((bytes, digest))
    })
    .await?;
    let opaque = &digest[..32];
    let mut response = match conditions::read(headers, opaque)? {
        Read::Unchanged => StatusCode::NOT_MODIFIED.into_response(),
        Read::Go => Response::new(Body::from(bytes)),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ETAG, conditions::etag(opaque));
    Ok(response)
}

/// What to list, and how.
struct Order {
    limit: usize,
    /// The path from the directory after which to go on.
    after: Option<VPath>,
    depth: usize,
    glob: Option<GlobMatcher>,
    /// Whether the glob looks at paths rather than names.
    by_path: bool,
    fields: Option<String>,
    detail: Detail,
    shadowed: bool,
}

impl Order {
    fn read(query: &EntriesQuery) -> Result<Self, Problem> {
        let bad = |detail: &str| Problem::new(&INVALID_QUERY, detail);
        let limit = query.limit.unwrap_or(LIMIT);
        if limit == 0 || limit > LIMIT_MAX {
            return Err(bad("limit is from 1 to 10000"));
        }
        if query.depth == Some(0) || query.digest.is_some() {
            return Err(bad("depth is at least 1, and digest is for one entry"));
        }
        let mut detail = Detail { stats: needs_stats(query.fields.as_deref()), ..Detail::default() };
        let mut shadowed = false;
        for word in query.include.iter().flat_map(|include| include.split(',')) {
            match word {
                "whiteouts" => detail.whiteouts = true,
                "hidden" => detail.hidden = true,
                "shadowed" => shadowed = true,
                _ => return Err(bad("include takes whiteouts, hidden and shadowed")),
            }
        }
        let depth = query.depth.unwrap_or(if query.recursive { usize::MAX } else { 1 });
        let after = query.cursor.as_deref().map(|cursor| read_cursor(cursor).ok_or_else(|| bad("no such cursor")));
        let glob = query.glob.as_deref().map(|glob| {
            let built = GlobBuilder::new(glob).literal_separator(true).build();
            built.map(|glob| glob.compile_matcher()).map_err(|error| bad(&error.to_string()))
        });
        if detail.hidden && depth > 1 {
            return Err(bad("include=hidden goes with one directory"));
        }
        let by_path = query.glob.as_ref().is_some_and(|glob| glob.contains('/'));
        let (after, glob, fields) = (after.transpose()?, glob.transpose()?, query.fields.clone());
        Ok(Self { limit, after, depth, glob, by_path, fields, detail, shadowed })
    }
}

fn needs_stats(fields: Option<&str>) -> bool {
    const WITHOUT: &[&str] = &["path", "path_b64", "name", "name_b64", "kind", "layer", "shadowed", "hidden"];
    fields.is_none_or(|fields| fields.split(',').any(|field| !WITHOUT.contains(&field)))
}

/// The lines of a directory.
struct Lines {
    view: View,
    /// As the client named it.
    path: VPath,
    order: Order,
    source: Box<dyn Iterator<Item = Result<(VPath, Shown)>> + Send>,
}

impl Lines {
    /// Opens a directory; what is none is returned as the error. The last symbolic link is not followed.
    fn open(view: View, path: VPath, order: Order) -> Result<Result<Self, VPath>> {
        if view.tree.entry(&path, Follow::No)?.stat.kind != Kind::Dir {
            return Ok(Err(path));
        }
        let source: Box<dyn Iterator<Item = _> + Send> = match order.depth {
            1 => Box::new(Flat::new(&view, &path, &order)),
            depth => {
                let above = view.tree.entry(&path, Follow::No)?.path.names().count();
                let walk = view.tree.walk(&path, WalkOptions { depth, detail: order.detail })?;
                let lines = walk.map(move |line| line.map(|(path, shown)| (beneath(&path, above), shown)));
                let after = order.after.clone();
                Box::new(
                    lines.skip_while(move |line| line.as_ref().is_ok_and(|(path, _)| !is_past(path, after.as_ref()))),
                )
            }
        };
        Ok(Ok(Self { view, path, order, source }))
    }

    fn page(mut self) -> Result<Page> {
        let (mut entries, mut last, mut more) = (Vec::new(), None, false);
        while let Some(line) = self.next() {
            if entries.len() == self.order.limit {
                more = true;
                break;
            }
            let (relative, body) = line?;
            entries.push(self.told(body));
            last = Some(relative);
        }
        let next_cursor = last.filter(|_| more).map(|last| cursor(&last));
        let (path, path_b64) = readable_path(&self.path);
        Ok(Page { path, path_b64, entries, next_cursor })
    }

    /// Returns the next line that is wanted, with its path from the directory.
    fn next(&mut self) -> Option<Result<(VPath, EntryBody)>> {
        loop {
            let (relative, shown) = match self.source.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if self.order.matches(&relative) {
                let mut path = self.path.clone();
                relative.names().for_each(|name| path.push(name));
                return Some(Ok((relative, self.view.line(&path, &shown, self.order.shadowed))));
            }
        }
    }

    fn told(&self, body: EntryBody) -> Told {
        match &self.order.fields {
            Some(fields) => Told::Picked(pick(&body, fields)),
            None => Told::Whole(Box::new(body)),
        }
    }
}

/// Returns a path without its first `above` names.
fn beneath(path: &VPath, above: usize) -> VPath {
    let mut relative = VPath::root();
    path.names().skip(above).for_each(|name| relative.push(name));
    relative
}

/// Returns whether a walk meets `path` after the cursor.
fn is_past(path: &VPath, cursor: Option<&VPath>) -> bool {
    let bytes = |path: &VPath| path.names().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
    cursor.is_none_or(|cursor| bytes(path) > bytes(cursor))
}

impl Order {
    fn matches(&self, relative: &VPath) -> bool {
        let Some(glob) = &self.glob else { return true };
        let name = relative.names().next_back().map(|name| name.as_bytes()).unwrap_or_default();
        let text = if self.by_path { relative.as_bytes() } else { name };
        glob.is_match(&*String::from_utf8_lossy(text))
    }
}

/// Returns the wanted fields of an entry.
pub(crate) fn pick(body: &EntryBody, fields: &str) -> Value {
    let mut value = serde_json::to_value(body).expect("an entry is plain JSON");
    if let Value::Object(map) = &mut value {
        map.retain(|key, _| fields.split(',').any(|field| field == key));
    }
    value
}

/// One directory, page by page.
struct Flat {
    view: View,
    path: VPath,
    detail: Detail,
    after: Option<NameBuf>,
    page: std::vec::IntoIter<Shown>,
    ended: bool,
}

impl Flat {
    fn new(view: &View, path: &VPath, order: &Order) -> Self {
        let after = order.after.as_ref().and_then(|after| after.names().next()).map(|name| name.to_owned());
        let (page, ended) = (Vec::new().into_iter(), false);
        Self { view: view.clone(), path: path.clone(), detail: order.detail, after, page, ended }
    }

    fn turn(&mut self) -> Result<()> {
        let after = self.after.as_ref().map(NameBuf::as_name);
        let page = self.view.tree.list(&self.path, after, LIMIT_MAX, self.detail)?;
        self.ended = page.len() < LIMIT_MAX;
        self.after = page.last().map(|shown| shown.name.clone());
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Flat {
    type Item = Result<(VPath, Shown)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0
            && !self.ended
            && let Err(error) = self.turn()
        {
            self.ended = true;
            return Some(Err(error));
        }
        let shown = self.page.next()?;
        Some(Ok((VPath::root().join(shown.name.as_name()), shown)))
    }
}
