//! `/v1/entries`, moves and copies, through the router.

use serde_json::{Value, json};

use crate::support::{Answer, Site, WHEEL};

fn names(page: &Answer) -> Vec<String> {
    let entries = page.value()["entries"].as_array().expect("a page").clone();
    entries.iter().map(|entry| entry["path"].as_str().expect("a path").to_owned()).collect()
}

async fn site() -> Site {
    let site = Site::empty();
    for path in ["a/one.txt", "a/two.rs", "a/b/three.rs", "top"] {
        assert_eq!(site.put(&format!("/v1/files/{path}?parents=true"), path).await.status, 201);
    }
    site
}

#[tokio::test]
async fn pages_of_a_listing_join_into_the_whole() {
    let site = site().await;
    let all = names(&site.get("/v1/entries?list=true&recursive=true").await);
    assert_eq!(all, ["/a", "/a/b", "/a/b/three.rs", "/a/one.txt", "/a/two.rs", "/top"]);
    let (mut joined, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = site.get(&format!("/v1/entries?list=true&recursive=true&limit=2{cursor}")).await;
        joined.extend(names(&page));
        let Some(next) = page.value()["next_cursor"].as_str().map(str::to_owned) else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(joined, all);
    let first = site.get("/v1/entries/a?list=true&limit=1").await;
    let next = first.value()["next_cursor"].as_str().expect("there is more").to_owned();
    assert_eq!(names(&site.get(&format!("/v1/entries/a/?list=true&cursor={next}")).await), ["/a/one.txt", "/a/two.rs"]);
}

#[tokio::test]
async fn a_listing_is_narrowed_by_depth_glob_and_fields() {
    let site = site().await;
    let deep = "/v1/entries/a?list=true&recursive=true";
    assert_eq!(names(&site.get(&format!("{deep}&depth=1")).await), ["/a/b", "/a/one.txt", "/a/two.rs"]);
    assert_eq!(names(&site.get(&format!("{deep}&glob=*.rs")).await), ["/a/b/three.rs", "/a/two.rs"]);
    assert_eq!(names(&site.get(&format!("{deep}&glob=b/*")).await), ["/a/b/three.rs"]);
    let page = site.get("/v1/entries/a?list=true&fields=name,kind").await;
    assert_eq!(page.value()["entries"][0], json!({"name": "b", "kind": "dir"}));
}

#[tokio::test]
async fn a_stream_of_lines_ends_with_a_trailer() {
    let site = Site::open(&["--lower", WHEEL]);
    let lines = ["Accept: application/x-ndjson"];
    let answer = site.send("GET", "/v1/entries?list=true&recursive=true", &lines, "").await;
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (trailer, entries) = lines.split_last().expect("a trailer at least");
    assert_eq!(*trailer, json!({"trailer": true, "count": entries.len(), "generation": 0}));
    assert!(entries.iter().any(|entry| entry["path"] == "/click/core.py" && entry["layer"] == "lower-1"));
}

#[tokio::test]
async fn an_unchanged_listing_is_not_sent_again() {
    let site = site().await;
    let page = site.get("/v1/entries/a?list=true").await;
    let known = format!("If-None-Match: {}", page.header("etag"));
    assert_eq!(site.send("GET", "/v1/entries/a?list=true", &[&known], "").await.status, 304);
    site.put("/v1/files/a/four", "4").await;
    assert_eq!(site.send("GET", "/v1/entries/a?list=true", &[&known], "").await.status, 200);
}

#[tokio::test]
async fn entries_of_every_kind_are_created_described_and_removed() {
    let site = site().await;
    let cases = [
        ("/v1/entries/dir/", json!({"kind": "dir", "mode": "0700"})),
        ("/v1/entries/link", json!({"kind": "symlink", "target": "a/one.txt"})),
        ("/v1/entries/hard", json!({"kind": "hardlink", "target": "/a/one.txt"})),
        ("/v1/entries/pipe", json!({"kind": "fifo"})),
    ];
    for (uri, body) in cases {
        let created = site.json("PUT", uri, body).await;
        assert_eq!(created.status, 201, "{uri}: {created:?}");
        assert_eq!(site.json("PUT", uri, json!({"kind": "dir"})).await.slug(), "already-exists", "{uri}");
    }
    assert_eq!(site.get("/v1/entries/dir").await.value()["mode"], "0700");
    assert_eq!(site.get("/v1/entries/link").await.value()["target"], "a/one.txt");
    assert_eq!(site.get("/v1/files/link").await.text(), "a/one.txt");
    assert_eq!(site.get("/v1/entries/hard").await.value()["nlink"], 2);
    assert_eq!(site.get("/v1/files/pipe").await.slug(), "unsupported-entry");
    assert_eq!(site.send("DELETE", "/v1/entries/a", &[], "").await.slug(), "directory-not-empty");
    assert_eq!(site.send("DELETE", "/v1/entries/a?recursive=true", &[], "").await.status, 204);
    assert_eq!(site.get("/v1/entries/a").await.slug(), "not-found");
}

#[tokio::test]
async fn metadata_is_patched_and_shown() {
    let site = site().await;
    let patch = json!({"mode": "0640", "mtime": "2001-02-03T04:05:06.000000007Z", "xattrs": {"user.k": "v"}});
    let patched = site.json("PATCH", "/v1/entries/top", patch).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    let shown = site.get("/v1/entries/top").await.value();
    assert_eq!((&shown["mode"], &shown["mtime"]), (&json!("0640"), &json!("2001-02-03T04:05:06.000000007Z")));
    assert_eq!(shown["xattrs"], json!({"user.k": "v"}));
    site.json("PATCH", "/v1/entries/top", json!({"xattrs": {"user.k": null}})).await;
    assert_eq!(site.get("/v1/entries/top").await.value().get("xattrs"), None);
    assert_eq!(site.json("PATCH", "/v1/entries/top", json!({"mode": "99"})).await.slug(), "invalid-body");
    assert_eq!(site.json("PATCH", "/v1/entries/top", json!([null, null])).await.slug(), "invalid-body");
    assert_eq!(site.get("/v1/files/top?download=2").await.slug(), "invalid-query");
}

#[tokio::test]
async fn moves_and_copies_leave_what_stands_alone_unless_told() {
    let site = site().await;
    let transfer = json!({"from": "/a", "to": "/c"});
    assert_eq!(site.json("POST", "/v1/copies", transfer.clone()).await.header("location"), "/v1/entries/c");
    assert_eq!(site.json("POST", "/v1/moves", transfer).await.slug(), "already-exists");
    assert_eq!(site.json("POST", "/v1/moves", json!({"from": "top", "to": "bottom"})).await.status, 201);
    let over = json!({"from": "bottom", "to": "c/one.txt", "overwrite": true});
    assert_eq!(site.json("POST", "/v1/moves", over).await.status, 201);
    assert_eq!(site.get("/v1/files/c/one.txt").await.text(), "top");
    assert_eq!(site.get("/v1/files/top").await.slug(), "not-found");
}

#[tokio::test]
async fn a_name_that_is_no_text_travels_as_bytes() {
    let site = Site::empty();
    assert_eq!(site.put("/v1/files/caf%E9", "x").await.status, 201);
    let page = site.get("/v1/entries?list=true").await.value();
    assert_eq!(
        (&page["entries"][0]["name"], &page["entries"][0]["name_b64"]),
        (&json!("caf\u{fffd}"), &json!("Y2Fm6Q=="))
    );
    assert_eq!(site.get("/v1/files/caf%e9").await.text(), "x");
}

#[tokio::test]
async fn a_path_can_be_sent_back_as_it_was_told() {
    let site = Site::open(&["--lower", WHEEL, "--upper", "mem:"]);
    assert_eq!(site.put("/v1/files/a%20b/%C3%B6%25?parents=true", "x").await.status, 201);
    let all = site.get("/v1/entries?list=true&recursive=true").await.value();
    for entry in all["entries"].as_array().expect("a page") {
        let told = entry["path"].as_str().expect("a path");
        // As generated clients write it into an address.
        let escaped: String = told.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(site.get(&format!("/v1/entries/{escaped}")).await.value()["path"], told);
    }
    let root = site.get("/v1/entries").await.value()["path"].clone();
    assert_eq!((root.as_str(), site.get("/v1/entries/%2F").await.value()["path"].as_str()), (Some("/"), Some("/")));
}
