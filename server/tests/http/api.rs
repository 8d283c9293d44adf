//! The API as a whole: its description, its guard, its errors.

use ovl_server::{guard::Guard, openapi, problem, settings::Settings};
use serde_json::Value;

use crate::support::{Site, WHEEL};

const TOKEN: &str = "0123456789abcdef-token";
const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

fn locked() -> Site {
    let guard = Guard::default().any_host().token(Some(TOKEN));
    Site::guarded(&["--upper", "mem:", "--lower", WHEEL], guard, Settings::default())
}

/// Every operation of the description: method, address with its parameters filled in.
pub(crate) fn operations() -> Vec<(String, String)> {
    let document = openapi::document();
    let paths = document["paths"].as_object().expect("paths").clone();
    let each = |(path, item): (String, Value)| {
        let uri = path.replace("{path}", "a").replace("{id}", "upper").replace("{slug}", "not-found");
        let methods: Vec<_> = item.as_object().expect("methods").keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(move |method| (method, uri.clone()))
    };
    paths.into_iter().flat_map(each).collect()
}

#[test]
fn the_description_is_the_one_that_is_checked_in() {
    let text = serde_json::to_string_pretty(&openapi::document()).expect("JSON") + "\n";
    if std::env::var_os("OVL_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(SNAPSHOT, &text).expect("the snapshot can be written");
    }
    let known = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(text == known, "the API changed: run this test with OVL_UPDATE_SNAPSHOTS=1 and look at the difference");
}

#[test]
fn operations_have_names_of_their_own_and_everything_is_described() {
    let document = openapi::document();
    let mut names = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            names.push(operation["operationId"].as_str().expect("a name").to_owned());
            for (status, response) in operation["responses"].as_object().expect("responses") {
                let told = response["$ref"].is_string()
                    || response["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(told, "{method} {path} {status}");
            }
            let declared = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named = |name: &str| declared.iter().any(|one| one["name"] == name && one["in"] == "path");
            assert!(!path.contains("{path}") || named("path"), "{method} {path}");
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_older_description_has_nothing_of_the_newer() {
    let text = openapi::lowered().to_string();
    for newer in ["\"null\"", "\"const\"", "\"3.1.0\"", "\"identifier\"", "propertyNames"] {
        assert!(!text.contains(newer), "{newer}");
    }
}

#[tokio::test]
async fn every_operation_is_routed_and_wants_the_token() {
    let site = locked();
    for (method, uri) in operations() {
        let open = ["/healthz", "/readyz"].contains(&&*uri) || uri.starts_with("/problems/");
        let refused = site.send(&method, &uri, &[], "").await;
        assert_eq!(refused.status == 401, !open, "{method} {uri}");
        if !open {
            assert_eq!(
                (refused.slug().as_str(), refused.header("www-authenticate")),
                ("unauthorized", "Bearer realm=\"ovl\"")
            );
        }
        if uri == "/v1/events" {
            continue;
        }
        let auth = format!("Authorization: Bearer {TOKEN}");
        let answer = site.send(&method, &uri, &[&auth], "").await;
        let missing = String::from_utf8_lossy(&answer.body).contains("no such address");
        assert!(!missing && answer.status != 405 && answer.status != 401, "{method} {uri}: {answer:?}");
    }
}

#[tokio::test]
async fn without_the_token_nothing_else_is_told_either() {
    let site = locked();
    let others = ["/docs/", "/docs/swagger-ui.css", "/nowhere", "/v1/", "/v2", "/healthz/", "/healthz%2F", "//healthz"];
    for (method, uri) in ["GET", "HEAD", "OPTIONS", "PUT", "TRACE"].iter().flat_map(|m| others.map(|uri| (*m, uri))) {
        assert_eq!(site.send(method, uri, &[], "").await.status, 401, "{method} {uri}");
    }
    // What looks open leads to no other address.
    for uri in ["/problems/../v1", "/problems/%2e%2e/v1", "/problems/x/../../v1/overlay", "/problems//v1"] {
        assert_eq!(site.get(uri).await.slug(), "not-found", "{uri}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused_however_long_it_is() {
    let site = locked();
    for token in ["", "x", TOKEN.trim_end_matches('n'), &format!("{TOKEN}n"), &TOKEN.to_uppercase()] {
        let auth = format!("Authorization: Bearer {token}");
        assert_eq!(site.send("GET", "/v1", &[&auth], "").await.slug(), "unauthorized", "{token:?}");
    }
    let other = format!("Authorization: Basic {TOKEN}");
    assert_eq!(site.send("GET", "/v1", &[&other], "").await.slug(), "unauthorized");
    let auth = format!("authorization: bearer {TOKEN}");
    assert_eq!(site.send("GET", "/v1", &[&auth], "").await.status, 200);
}

#[tokio::test]
async fn foreign_hosts_and_pages_are_refused() {
    let bound = "127.0.0.1:8080".parse().expect("an address");
    let guard = Guard::default().hosts(bound, &["files.example".into()]).origins(vec!["https://app.example".into()]);
    let site = Site::guarded(&["--upper", "mem:"], guard, Settings::default());
    let hosts = [
        ("localhost:8080", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("files.example", 200),
        ("files.example:99", 200),
        ("localhost", 421),
        ("localhost.:8080", 421),
        ("localhost:8081", 421),
        ("localhost:08080x", 421),
        ("evil.example:8080", 421),
        ("127.0.0.1.evil.example:8080", 421),
        ("user@localhost:8080", 421),
        ("", 421),
    ];
    for (host, status) in hosts {
        let line = format!("Host: {host}");
        assert_eq!(site.send("GET", "/v1", &[&line], "").await.status, status, "{host:?}");
    }
    let writes: &[(&[&str], u16)] = &[
        (&[], 201),
        (&["Origin: http://localhost:8080"], 204),
        (&["Origin: https://app.example"], 204),
        (&["Sec-Fetch-Site: same-origin"], 204),
        (&["Origin: http://localhost:9999"], 403),
        (&["Origin: null"], 403),
        (&["Origin: https://evil.example"], 403),
        (&["Sec-Fetch-Site: cross-site"], 403),
        (&["Sec-Fetch-Site: same-site"], 403),
    ];
    for (head, status) in writes {
        let head = [&["Host: localhost:8080"], *head].concat();
        assert_eq!(site.send("PUT", "/v1/files/a", &head, "x").await.status, *status, "{head:?}");
    }
}

#[tokio::test]
async fn pages_of_named_origins_alone_may_read() {
    let guard = Guard::default().any_host().origins(vec!["https://app.example".into()]);
    let site = Site::guarded(&["--upper", "mem:"], guard, Settings::default());
    let named = site.send("GET", "/v1", &["Origin: https://app.example"], "").await;
    assert_eq!(named.header("access-control-allow-origin"), "https://app.example");
    let other = site.send("GET", "/v1", &["Origin: https://other.example"], "").await;
    assert_eq!(other.header("access-control-allow-origin"), "");
    let ask = [
        "Origin: https://app.example",
        "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Headers: if-match",
    ];
    let asked = site.send("OPTIONS", "/v1/files/a", &ask, "").await;
    assert_eq!((asked.status.as_u16(), asked.header("access-control-allow-headers")), (204, "if-match"));
    assert!(asked.header("access-control-allow-methods").contains("PUT"));
}

#[tokio::test]
async fn every_class_of_error_has_a_page() {
    let site = Site::empty();
    for class in problem::ALL {
        let page = site.get(&format!("/problems/{}", class.slug)).await;
        assert_eq!((page.status.as_u16(), page.text().contains(class.help)), (200, true), "{}", class.slug);
    }
    assert_eq!(site.get("/problems/none").await.slug(), "not-found");
}

#[tokio::test]
async fn errors_of_the_framework_are_problems_too() {
    let site = Site::empty();
    let json = ["Content-Type: application/json"];
    let cases: &[(&str, &str, &[&str], &str, &str)] = &[
        ("GET", "/nowhere", &[], "", "not-found"),
        ("POST", "/v1/files/a", &[], "", "method-not-allowed"),
        ("DELETE", "/v1", &[], "", "method-not-allowed"),
        ("GET", "/v1/files/a?colour=red", &[], "", "invalid-query"),
        ("GET", "/v1/entries?limit=many", &[], "", "invalid-query"),
        ("POST", "/v1/moves", &[], "{}", "unsupported-media"),
        ("POST", "/v1/moves", &json, "{", "invalid-body"),
        ("POST", "/v1/moves", &json, "{}", "invalid-body"),
        ("POST", "/v1/moves", &json, r#"{"from":"../a","to":"b"}"#, "invalid-body"),
        ("PUT", "/v1/files/a", &["Content-Encoding: gzip"], "x", "unsupported-media"),
        ("PUT", "/v1/files/a", &["Content-Digest: sha-256=:AAAA:"], "x", "digest-mismatch"),
        ("PUT", "/v1/files/a", &["If-Match: nothing"], "x", "invalid-body"),
        ("GET", "/v1/entries?include=whiteouts", &[], "", "invalid-query"),
        ("GET", "/v1/entries?list=true&recursive=true&include=hidden", &[], "", "invalid-query"),
        ("GET", "/v1/changes?path=//a", &[], "", "invalid-path"),
        ("PATCH", "/v1/entries/a", &json, r#"{"uid":7.5}"#, "invalid-body"),
        ("PATCH", "/v1/entries/a", &json, r#"{"uid":4294967296}"#, "invalid-body"),
        ("PATCH", "/v1/entries/a", &json, r#"{"uid":-1}"#, "invalid-body"),
        ("PATCH", "/v1/entries/a", &json, r#"{"uid":7.0,"gid":null}"#, "not-found"),
        ("GET", "/v1/export?format=rar", &[], "", "not-acceptable"),
        ("GET", "/v1/events?since=1-1", &[], "", "gone-cursor"),
        ("GET", "/v1/layers/none", &[], "", "not-found"),
    ];
    for (method, uri, head, body, slug) in cases {
        assert_eq!(site.send(method, uri, head, *body).await.slug(), *slug, "{method} {uri}");
    }
    let refused = site.send("POST", "/v1/files/a", &[], "").await;
    assert_eq!(refused.header("allow"), "GET,HEAD,PUT,PATCH,DELETE");
    let big = "x".repeat((1 << 20) + 1);
    assert_eq!(site.send("POST", "/v1/moves", &json, big).await.slug(), "too-large");
}

#[tokio::test]
async fn what_an_address_takes_is_listed() {
    let site = Site::empty();
    let options = site.send("OPTIONS", "/v1/files/a", &[], "").await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, "GET,HEAD,PUT,PATCH,DELETE,OPTIONS"));
    assert_eq!(
        (options.header("accept-patch"), options.header("accept-ranges")),
        ("application/octet-stream", "bytes")
    );
    assert_eq!(site.send("OPTIONS", "/nowhere", &[], "").await.slug(), "not-found");
}

#[tokio::test]
async fn without_an_upper_nothing_can_be_changed() {
    let site = Site::open(&["--lower", WHEEL]);
    assert_eq!(site.put("/v1/files/a", "x").await.slug(), "no-upper");
    assert_eq!(site.send("DELETE", "/v1/entries/click?recursive=true", &[], "").await.slug(), "no-upper");
    assert_eq!(site.get("/v1/overlay").await.value()["read_only"], true);
}

#[tokio::test]
async fn a_server_that_asks_for_conditions_refuses_writes_without() {
    let settings = Settings { require_preconditions: true, ..Settings::default() };
    let site = Site::guarded(&["--upper", "mem:"], Guard::default().any_host(), settings);
    assert_eq!(site.put("/v1/files/a", "x").await.slug(), "precondition-required");
    assert_eq!(site.send("PUT", "/v1/files/a", &["If-None-Match: *"], "x").await.status, 201);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let settings = Settings { max_body: 10, ..Settings::default() };
    let site = Site::guarded(&["--upper", "mem:"], Guard::default().any_host(), settings);
    assert_eq!(site.put("/v1/files/a", "0123456789").await.status, 201);
    assert_eq!(site.put("/v1/files/a", "0123456789x").await.slug(), "too-large");
    let declared = ["Content-Length: 11"];
    assert_eq!(site.send("PUT", "/v1/files/a", &declared, "0").await.slug(), "too-large");
}

#[tokio::test]
async fn a_full_quota_refuses_content_and_still_lets_things_go() {
    let site = Site::open(&["--upper", "mem:", "--quota", "1K"]);
    assert_eq!(site.put("/v1/files/a", vec![0; 1000]).await.status, 201);
    assert_eq!(site.put("/v1/files/b", vec![0; 1000]).await.slug(), "insufficient-storage");
    assert_eq!(site.get("/v1/files/b").await.slug(), "not-found");
    assert_eq!(site.send("DELETE", "/v1/files/a", &[], "").await.status, 204);
    assert_eq!(site.put("/v1/files/b", vec![0; 1000]).await.status, 201);
}

#[tokio::test]
async fn a_quota_of_entries_refuses_names_tells_its_state_and_lets_lower_files_go() {
    let site = Site::open(&["--upper", "mem:", "--quota-entries", "3", "--lower", WHEEL]);
    assert_eq!(site.put("/v1/files/a", "1").await.status, 201);
    assert_eq!(site.put("/v1/files/click/b", "2").await.status, 201);
    let full = site.put("/v1/files/c", "3").await;
    assert_eq!((full.status.as_u16(), full.slug().as_str()), (507, "insufficient-storage"));
    assert_eq!(site.get("/v1/files/c").await.slug(), "not-found");
    let archive = Site::open(&["--lower", WHEEL]).get("/v1/export").await.body;
    assert_eq!(site.send("POST", "/v1/imports?path=new", &[], archive).await.slug(), "insufficient-storage");
    assert_eq!(site.get("/v1/entries/new").await.slug(), "not-found");
    assert_eq!(site.put("/v1/files/a", "4").await.status, 204, "what is there can be written");
    assert_eq!(site.send("DELETE", "/v1/files/click/core.py", &[], "").await.status, 204);
    let usage = site.get("/v1/overlay").await.value()["usage"].clone();
    assert_eq!(usage, serde_json::json!({"bytes": 2, "entries": 3, "max_entries": 3}));
    assert_eq!(Site::empty().get("/v1/overlay").await.value().get("usage"), None);
}

#[tokio::test]
async fn listings_are_compressed_and_their_tags_tell() {
    let site = Site::open(&["--lower", WHEEL]);
    let uri = "/v1/entries?list=true&recursive=true";
    let plain = site.get(uri).await;
    for coding in ["gzip", "br", "zstd"] {
        let accept = format!("Accept-Encoding: {coding}");
        let coded = site.send("GET", uri, &[&accept], "").await;
        assert_eq!(coded.header("content-encoding"), coding);
        assert!(coded.body.len() * 3 < plain.body.len());
        let tag = plain.header("etag").trim_end_matches('"').to_owned() + &format!("-{coding}\"");
        assert_eq!(coded.header("etag"), tag);
        let known = format!("If-None-Match: {tag}");
        assert_eq!(site.send("GET", uri, &[&accept, &known], "").await.status, 304, "{coding}");
    }
}

#[cfg(feature = "docs")]
#[tokio::test]
async fn the_pages_of_the_api_load_nothing_from_elsewhere() {
    let site = Site::empty();
    let page = site.get("/docs/").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html"));
    for part in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
        assert!(!page.text().contains(part), "{part}");
    }
    let start = site.get("/docs/swagger-initializer.js").await;
    assert!(start.text().contains("/openapi.json"));
    assert_eq!(site.get("/docs/none").await.slug(), "not-found");
}
