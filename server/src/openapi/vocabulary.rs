//! What the types do not say: which words and patterns the texts of the API keep to.

use serde_json::{Value, json};

/// One name of a path.
macro_rules! name {
    () => {
        "(?:[^/\\u0000.][^/\\u0000]*|\\.[^/\\u0000.][^/\\u0000]*|\\.\\.[^/\\u0000]+)"
    };
}
/// A path: names joined by '/', none of them empty, `.` or `..`. A slash in front may be left out.
const PATH: &str = concat!("^/?(?:", name!(), "(?:/", name!(), ")*)?$");
/// The same in a query, where one slash behind may stand as well.
const DIRECTORY: &str = concat!("^/?(?:", name!(), "(?:/", name!(), ")*/?)?$");
/// Permission bits.
const OCTAL: &str = "^0*[0-7]{1,4}$";
/// The name of an extended attribute: one of the kernel's namespaces and something in it.
const ATTRIBUTE: &str = "^(?:user|trusted|security|system)\\.[^\\u0000]+$";
/// `*`, or a list of tags.
const TAGS: &str = "^(?:\\*|(?:W/)?\"[^\",]*\"(?: *, *(?:W/)?\"[^\",]*\")*)$";
/// Base64 as we write it, with padding and nothing in the bits that are left over.
const BASE64: &str = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

const IN_ADDRESS: &str =
    "The path; '/' may be escaped. As answers tell it, with an escaped '/' in front, it can be sent back.";

/// The words that a parameter takes, by its name.
const WORDS: &[(&str, &[&str])] = &[
    ("digest", &["blake3"]),
    ("format", &["zip", "tar"]),
    ("into", &["upper"]),
    ("on_conflict", &["error", "replace", "keep"]),
    ("whiteouts", &["oci", "kernel"]),
];

/// The pattern of a parameter, by its name.
const PATTERNS: &[(&str, &str)] = &[
    ("If-Match", TAGS),
    ("mode", OCTAL),
    ("path", DIRECTORY),
    ("include", "^(?:whiteouts|shadowed)(?:,(?:whiteouts|shadowed))*$"),
    ("what", "^(?:merged|upper|layer:.+)$"),
];

/// The words of an answer, by schema and field.
const ANSWERS: &[(&str, &str, &[&str])] = &[
    ("Change", "what", &["added", "modified", "metadata", "deleted", "opaque", "renamed", "type_changed"]),
    ("VerdictBody", "fate", &["absent", "shows", "merges", "gives_content", "hides", "hidden"]),
    ("VerdictBody", "reason", &["whiteout", "opaque", "covered"]),
    ("LayerBody", "role", &["upper", "lower"]),
    ("LayerBody", "kind", &["dir", "zip", "mem"]),
    (
        "EventBody",
        "kind",
        &[
            "created",
            "modified",
            "metadata",
            "removed",
            "copied_up",
            "whiteout",
            "opaque",
            "moved",
            "discarded",
            "restored",
            "overflow",
        ],
    ),
];

/// Adds them to the description.
pub(super) fn add(document: &mut Value) {
    for (_, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            parameters.into_iter().flatten().for_each(parameter);
        }
    }
    numbers(document);
    let schemas = &mut document["components"]["schemas"];
    for (schema, field, words) in ANSWERS {
        allow(&mut schemas[schema]["properties"][field], words);
    }
    texts(schemas);
}

fn parameter(parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    never_null(&mut parameter["schema"]);
    if parameter["in"] == "path" {
        if name == "path" {
            parameter["description"] = IN_ADDRESS.into();
        }
        return;
    }
    if let Some((_, words)) = WORDS.iter().find(|(one, _)| *one == name) {
        allow(&mut parameter["schema"], words);
    }
    if let Some((_, pattern)) = PATTERNS.iter().find(|(one, _)| *one == name) {
        parameter["schema"]["pattern"] = (*pattern).into();
    }
}

/// A parameter that may be missing is still never null.
fn never_null(schema: &mut Value) {
    if let Some(types) = schema["type"].as_array_mut() {
        types.retain(|kind| kind != "null");
        schema["type"] = types[0].clone();
    }
}

/// Lists the words of a text, and null where it may be missing.
fn allow(schema: &mut Value, words: &[&str]) {
    let null = schema["type"].as_array().is_some_and(|types| types.contains(&"null".into()));
    let words = words.iter().map(|word| Value::from(*word)).chain(null.then_some(Value::Null));
    schema["enum"] = words.collect();
}

/// Declares numbers of 32 bits without a sign as what they are.
fn numbers(value: &mut Value) {
    match value {
        Value::Object(map) if map.get("format") == Some(&"int32".into()) && map.get("minimum") == Some(&0.into()) => {
            map.insert("format".into(), "int64".into());
            map.entry("maximum").or_insert_with(|| u32::MAX.into());
        }
        Value::Object(map) => map.values_mut().for_each(numbers),
        Value::Array(items) => items.iter_mut().for_each(numbers),
        _ => (),
    }
}

/// Tells the texts of bodies that are paths, targets of links or Base64.
fn texts(schemas: &mut Value) {
    schemas["AttrValue"]["oneOf"][1]["properties"]["b64"]["pattern"] = BASE64.into();
    for (name, pattern, shortest, what) in [
        ("PathText", PATH, 0, "A path: a text, or bytes in Base64."),
        ("LinkTarget", "^[^\\u0000]+$", 4, "Where a symbolic link leads: a text, or bytes in Base64."),
    ] {
        let mut text = schemas["AttrValue"].clone();
        text["oneOf"][0]["pattern"] = pattern.into();
        text["oneOf"][1]["properties"]["b64"]["minLength"] = shortest.into();
        text["description"] = what.into();
        schemas[name] = text;
    }
    schemas["EntryPatch"]["properties"]["mode"]["pattern"] = OCTAL.into();
    schemas["EntryPatch"]["properties"]["xattrs"]["propertyNames"]["pattern"] = ATTRIBUTE.into();
    for end in ["from", "to"] {
        refer(&mut schemas["Transfer"]["properties"][end], "PathText");
    }
    schemas["WhyQuery"]["properties"]["paths"]["items"] = json!({"$ref": "#/components/schemas/PathText"});
    for kind in schemas["NewEntry"]["oneOf"].as_array_mut().into_iter().flatten() {
        kind["additionalProperties"] = false.into();
        if let Some(mode) = kind["properties"].get_mut("mode") {
            mode["pattern"] = OCTAL.into();
        }
        match kind["properties"].get_mut("target") {
            Some(path) if path["type"] == "string" => path["pattern"] = PATH.into(),
            Some(target) => refer(target, "LinkTarget"),
            None => {}
        }
    }
}

fn refer(schema: &mut Value, name: &str) {
    let description = schema["description"].take();
    *schema = json!({"$ref": format!("#/components/schemas/{name}"), "description": description});
}
