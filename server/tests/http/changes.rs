//! Why, changes, discarding, exports and imports, through the router.

use serde_json::{Value, json};

use crate::support::{Answer, Site, WHEEL};

async fn edited() -> Site {
    let site = Site::open(&["--upper", "mem:", "--lower", WHEEL]);
    assert_eq!(site.put("/v1/files/new/file?parents=true", "new").await.status, 201);
    assert_eq!(site.put("/v1/files/click/core.py", "changed").await.status, 204);
    assert_eq!(site.send("DELETE", "/v1/files/click/types.py", &[], "").await.status, 204);
    assert_eq!(site.json("PATCH", "/v1/entries/click/utils.py", json!({"mode": "0600"})).await.status, 200);
    site
}

fn told(page: &Answer) -> Vec<(String, String)> {
    let changes = page.value()["changes"].as_array().expect("a page").clone();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    changes.iter().map(|change| (text(&change["what"]), text(&change["path"]))).collect()
}

#[tokio::test]
async fn changes_tell_what_was_done_and_no_more() {
    let site = edited().await;
    let all = told(&site.get("/v1/changes").await);
    let expected = [
        ("modified", "/click/core.py"),
        ("deleted", "/click/types.py"),
        ("metadata", "/click/utils.py"),
        ("added", "/new"),
        ("added", "/new/file"),
    ];
    let expected: Vec<_> = expected.iter().map(|(what, path)| ((*what).to_owned(), (*path).to_owned())).collect();
    assert_eq!(all, expected);
    let first = site.get("/v1/changes?limit=2").await;
    let cursor = first.value()["next_cursor"].as_str().expect("there is more").to_owned();
    let second = site.get(&format!("/v1/changes?cursor={cursor}")).await;
    assert_eq!([told(&first), told(&second)].concat(), expected);
    assert_eq!(told(&site.get("/v1/changes?path=new").await), expected[4..]);
    assert_eq!(site.get("/v1/changes/click/types.py").await.value()["before"], "file");
    assert_eq!(site.get("/v1/changes/click/parser.py").await.slug(), "not-found");
    let lines = site.send("GET", "/v1/changes", &["Accept: application/x-ndjson"], "").await;
    assert_eq!(lines.text().lines().count(), expected.len() + 1);
}

#[tokio::test]
async fn why_tells_what_hides_what() {
    let site = edited().await;
    let gone = site.get("/v1/why/click/types.py").await;
    assert_eq!(gone.status, 404);
    let layers = gone.value()["layers"].clone();
    assert_eq!((&layers[0]["fate"], &layers[0]["found"]), (&json!("hides"), &json!("whiteout")));
    assert_eq!(
        (&layers[1]["fate"], &layers[1]["hidden_by"], &layers[1]["reason"]),
        (&json!("hidden"), &json!("upper"), &json!("whiteout"))
    );
    let shown = site.get("/v1/why/click/core.py").await;
    assert_eq!((shown.status.as_u16(), shown.value()["shown"].clone()), (200, json!("upper")));
    assert!(shown.value()["hidden_bytes"].as_u64().expect("a number") > 1000);
    assert_eq!(site.get("/v1/why").await.value()["layers"][1]["fate"], "merges");
}

#[tokio::test]
async fn why_is_told_of_many_paths_at_once_in_their_order() {
    let site = edited().await;
    let paths = ["/click/types.py", "nowhere", "click/core.py", "/"];
    let told = site.json("POST", "/v1/lookups", json!({ "paths": paths })).await;
    assert_eq!(told.status, 200);
    let rows = told.value()["rows"].clone();
    for (at, path) in paths.iter().enumerate() {
        assert_eq!(rows[at], site.get(&format!("/v1/why/{}", path.trim_start_matches('/'))).await.value());
    }
    assert_eq!(rows[4], Value::Null);
    let many = json!({ "paths": vec!["a"; 1001] });
    assert_eq!(site.json("POST", "/v1/lookups", many).await.slug(), "invalid-body");
    assert_eq!(site.json("POST", "/v1/lookups", json!({ "paths": ["../a"] })).await.slug(), "invalid-body");
    assert_eq!(site.json("POST", "/v1/why", json!({ "paths": [] })).await.slug(), "method-not-allowed");
}

#[tokio::test]
async fn a_discarded_change_shows_what_lies_below_again() {
    let site = edited().await;
    let before = site.get("/v1/layers/lower-1/files/click/core.py").await.body;
    assert_eq!(site.send("DELETE", "/v1/changes/click/core.py", &[], "").await.status, 204);
    assert_eq!(site.get("/v1/files/click/core.py").await.body, before);
    assert_eq!(site.send("DELETE", "/v1/changes/click/core.py", &[], "").await.slug(), "not-found");
    assert_eq!(site.send("DELETE", "/v1/changes", &[], "").await.slug(), "precondition-required");
    let stale = format!("If-Match: {}", site.get("/v1/changes").await.header("etag"));
    site.put("/v1/files/another", "x").await;
    let refused = site.send("DELETE", "/v1/changes", &[&stale], "").await;
    assert_eq!(refused.slug(), "precondition-failed");
    let known = format!("If-Match: {}", refused.value()["current_etag"].as_str().expect("a tag"));
    assert_eq!(site.send("DELETE", "/v1/changes", &[&known], "").await.status, 204);
    assert_eq!(told(&site.get("/v1/changes").await), []);
    assert_eq!(site.get("/v1/files/click/types.py").await.status, 200);
}

#[tokio::test]
async fn an_exported_upper_becomes_the_same_upper_elsewhere() {
    let site = edited().await;
    for format in ["zip", "tar&whiteouts=kernel", "tar&whiteouts=oci"] {
        let archive = site.get(&format!("/v1/export?what=upper&format={format}")).await;
        assert_eq!(archive.status, 200);
        let other = Site::open(&["--upper", "mem:", "--lower", WHEEL]);
        let imported = other.send("POST", "/v1/imports", &[], archive.body).await;
        assert_eq!((imported.status.as_u16(), imported.value()["is_upper"].clone()), (201, json!(true)), "{format}");
        assert_eq!(told(&other.get("/v1/changes").await), told(&site.get("/v1/changes").await), "{format}");
        assert_eq!(other.get("/v1/files/click/core.py").await.text(), "changed");
    }
}

#[tokio::test]
async fn an_export_is_the_same_each_time_and_what_cannot_be_made_is_refused() {
    let site = edited().await;
    let (one, two) = (site.get("/v1/export").await, site.get("/v1/export?reproducible=1").await);
    assert_eq!((one.header("content-type"), &one.body), ("application/zip", &two.body));
    assert_eq!(site.get("/v1/export?path=click/core.py").await.slug(), "not-a-directory");
    assert_eq!(site.get("/v1/export?what=layer:none").await.slug(), "not-found");
    assert_eq!(site.get("/v1/export?what=layer:lower-1&format=tar").await.header("content-type"), "application/x-tar");
}

#[tokio::test]
async fn what_is_no_archive_is_not_imported() {
    let site = Site::empty();
    assert_eq!(site.send("POST", "/v1/imports", &[], "hello").await.slug(), "unsupported-media");
    assert_eq!(site.send("POST", "/v1/imports?into=new-layer", &[], "").await.slug(), "invalid-query");
    let mut wheel = std::fs::read(WHEEL).expect("the example");
    let plain = site.send("POST", "/v1/imports?path=lib/click", &[], wheel.clone()).await;
    assert_eq!(plain.status, 201, "{plain:?}");
    assert_eq!(site.get("/v1/entries/lib/click/click/core.py").await.status, 200);
    wheel.truncate(wheel.len() - 100);
    assert_eq!(site.send("POST", "/v1/imports", &[], wheel).await.slug(), "unsupported-entry");
}

#[tokio::test]
async fn layers_are_shown_one_by_one() {
    let site = edited().await;
    let layers = site.get("/v1/layers").await.value();
    assert_eq!(
        (&layers[0]["id"], &layers[1]["id"], &layers[1]["kind"]),
        (&json!("upper"), &json!("lower-1"), &json!("zip"))
    );
    let raw = site.get("/v1/layers/upper/entries/click?list=true&include=whiteouts&fields=name,kind").await.value();
    let gone = json!({"name": "types.py", "kind": "whiteout"});
    assert!(raw["entries"].as_array().expect("a page").contains(&gone), "{raw}");
    let digest = site.get("/v1/layers/lower-1?digest=blake3").await.value()["blake3"].clone();
    assert_eq!(digest.as_str().map(str::len), Some(64));
    let whole = Site::open(&["--lower", WHEEL]).get("/v1/entries?digest=blake3").await.value();
    assert_eq!(whole["blake3"], digest);
}
