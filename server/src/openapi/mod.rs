//! The description of the API: OpenAPI 3.1 from the handlers, and a 3.0 copy for tools that know no newer.

mod vocabulary;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::handlers::{about, changes, edit, entries, events, export, files, health, imports, layers, mounts, why};

#[derive(OpenApi)]
#[openapi(
    paths(
        about::api, about::problem, about::openapi, about::openapi_3_0, health::alive, health::ready, health::metrics,
        files::get, files::put, files::patch, files::delete,
        entries::get, edit::put, edit::patch, edit::delete, edit::moves, edit::copies,
        layers::overlay, layers::list, layers::get, layers::file, layers::entry, why::get, why::many,
        changes::list, changes::get, changes::discard, changes::discard_all, export::get, imports::post, events::get,
        mounts::list, mounts::graphdriver,
    ),
    components(schemas(ovl_core::report::EntryKind, crate::problem::ProblemBody)),
    tags(
        (name = "files", description = "Content"),
        (name = "entries", description = "Metadata, directories, moves and copies"),
        (name = "layers", description = "The stack, and each layer as it is"),
        (name = "changes", description = "What the upper changes, discarding it, taking it home"),
        (name = "mounts", description = "The tree as a file system of the server's machine"),
        (name = "events", description = "What happens"),
        (name = "server", description = "The server itself"),
    ),
)]
struct Described;

static V3_1: LazyLock<Bytes> = LazyLock::new(|| pretty(&document()));
static V3_0: LazyLock<Bytes> = LazyLock::new(|| pretty(&lowered()));

fn pretty(value: &Value) -> Bytes {
    let mut text = serde_json::to_vec_pretty(value).expect("the description is plain JSON");
    text.push(b'\n');
    text.into()
}

/// Answers with the description in OpenAPI 3.1.
pub(crate) fn v3_1() -> Response {
    answer(&V3_1)
}

/// Answers with the description in OpenAPI 3.0.
pub(crate) fn v3_0() -> Response {
    answer(&V3_0)
}

fn answer(bytes: &Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes.clone()).into_response()
}

/// Returns the description in OpenAPI 3.1.
pub fn document() -> Value {
    let mut value = serde_json::to_value(Described::openapi()).expect("the description is plain JSON");
    value["info"] = json!({
        "title": "ovl",
        "version": "1",
        "description": "A writable layer over folders, archives and memory. Paths follow the name of a resource; a '/' in them may be escaped.",
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
    });
    value["servers"] = json!([{"url": "/"}]);
    value["components"]["securitySchemes"] = json!({"token": {"type": "http", "scheme": "bearer"}});
    value["components"]["responses"]["Problem"] = json!({
        "description": "A problem; nothing was changed",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    value["security"] = json!([{"token": []}, {}]);
    for (path, item) in value["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            operation["operationId"] = operation_id(method, path).into();
            for class in ["4XX", "5XX"] {
                operation["responses"][class] = json!({"$ref": "#/components/responses/Problem"});
            }
            operation.as_object_mut().into_iter().flatten().for_each(|(_, part)| binary(part));
        }
    }
    let xattrs = &mut value["components"]["schemas"]["EntryPatch"]["properties"]["xattrs"]["additionalProperties"];
    *xattrs = json!({"oneOf": [xattrs.clone(), {"type": "null"}]});
    vocabulary::add(&mut value);
    picked(&mut value["components"]["schemas"]);
    // A file may be put empty, and nothing may be written.
    for method in ["put", "patch"] {
        value["paths"]["/v1/files/{path}"][method]["requestBody"]["required"] = false.into();
    }
    value
}

/// Describes what is told when `fields` picks: the same, with no field that must be there.
fn picked(schemas: &mut Value) {
    let mut entry = schemas["Entry"].clone();
    entry.as_object_mut().into_iter().for_each(|entry| drop(entry.remove("required")));
    entry["description"] = "The fields of an entry that were asked for.".into();
    let mut page = schemas["Page"].clone();
    page["properties"]["entries"]["items"] = json!({"$ref": "#/components/schemas/PickedEntry"});
    page["description"] = "A page of a listing whose fields were picked.".into();
    schemas["PickedEntry"] = entry;
    schemas["PickedPage"] = page;
    let choices = ["Page", "Entry", "PickedPage", "PickedEntry"].map(|name| format!("#/components/schemas/{name}"));
    let choices = choices.map(|reference| json!({"$ref": reference}));
    schemas["EntryOrPage"] =
        json!({"anyOf": choices, "description": "A page or an entry, as `list` says, in full or as `fields` picks."});
}

/// Makes an operation's name from its address, since handlers of several resources have the same.
fn operation_id(method: &str, path: &str) -> String {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "v1"));
    let words = parts.map(|part| part.trim_matches(['{', '}']).replace(['.', '-'], "_"));
    std::iter::once(method.to_owned()).chain(words).collect::<Vec<_>>().join("_")
}

/// Declares bytes as a binary string: as a list of numbers, generated clients would send numbers.
fn binary(value: &mut Value) {
    const BYTES: [&str; 3] = ["application/octet-stream", "application/zip", "application/x-tar"];
    let Value::Object(map) = value else { return };
    for (key, inner) in map {
        if BYTES.contains(&key.as_str()) {
            inner["schema"] = json!({"type": "string", "format": "binary"});
        } else {
            binary(inner);
        }
    }
}

/// Returns the description in OpenAPI 3.0: the same, with nullable types and single examples.
pub fn lowered() -> Value {
    let mut value = document();
    value["openapi"] = "3.0.3".into();
    if let Some(license) = value["info"]["license"].as_object_mut() {
        license.remove("identifier");
    }
    lower(&mut value);
    value
}

fn lower(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(lower),
        Value::Object(map) => {
            lower_type(map);
            lower_choice(map);
            if let Some(only) = map.remove("const") {
                map.insert("enum".into(), json!([only]));
            }
            if let Some(Value::Array(examples)) = map.get("examples").cloned() {
                map.remove("examples");
                map.extend(examples.into_iter().next().map(|example| ("example".to_owned(), example)));
            }
            map.remove("propertyNames");
            map.values_mut().for_each(lower);
        }
        _ => (),
    }
}

/// Turns `type: [x, null]` into a nullable `x`.
fn lower_type(map: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = map.get("type") else { return };
    let real = types.iter().find(|kind| **kind != "null").cloned();
    map.extend(real.map(|real| ("type".to_owned(), real)));
    map.insert("nullable".into(), true.into());
}

/// Turns a choice between something and null into something nullable.
fn lower_choice(map: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = map.get_mut("oneOf") else { return };
    let before = choices.len();
    choices.retain(|choice| choice["type"] != "null");
    if choices.len() == before {
        return;
    }
    let left = std::mem::take(choices);
    map.remove("oneOf");
    map.insert(if left.len() == 1 { "allOf" } else { "oneOf" }.into(), left.into());
    map.insert("nullable".into(), true.into());
}
