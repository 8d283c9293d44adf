//! `/v1/files`, through the router.

use crate::support::{Site, WHEEL};

#[tokio::test]
async fn a_file_that_is_put_can_be_read_changed_and_removed() {
    let site = Site::empty();
    let created = site.put("/v1/files/a.txt", "hello").await;
    assert_eq!((created.status.as_u16(), created.header("location")), (201, "/v1/files/a.txt"));
    assert_eq!(site.get("/v1/files/a.txt").await.text(), "hello");
    assert_eq!(site.put("/v1/files/a.txt", "good day").await.status, 204);
    let patched = site.send("PATCH", "/v1/files/a.txt?offset=5", &[], "evening").await;
    assert_eq!(patched.status, 204, "{patched:?}");
    assert_eq!(site.get("/v1/files/a.txt").await.text(), "good evening");
    assert_eq!(site.send("PATCH", "/v1/files/a.txt?append=true", &[], "!").await.status, 204);
    let ranged = ["Content-Range: bytes 0-3/*"];
    assert_eq!(site.send("PATCH", "/v1/files/a.txt", &ranged, "Fine").await.status, 204);
    assert_eq!(site.get("/v1/files/a.txt").await.text(), "Fine evening!");
    assert_eq!(site.send("DELETE", "/v1/files/a.txt", &[], "").await.status, 204);
    assert_eq!(site.get("/v1/files/a.txt").await.slug(), "not-found");
}

#[tokio::test]
async fn a_conditional_write_changes_only_what_the_client_knows() {
    let site = Site::empty();
    let first = site.send("PUT", "/v1/files/a", &["If-None-Match: *"], "1").await;
    assert_eq!(first.status, 201);
    let again = site.send("PUT", "/v1/files/a", &["If-None-Match: *"], "2").await;
    assert_eq!(again.slug(), "precondition-failed");
    assert_eq!(again.value()["current_etag"], first.header("etag"));
    let known = format!("If-Match: {}", first.header("etag"));
    assert_eq!(site.send("PUT", "/v1/files/a", &[&known], "3").await.status, 204);
    assert_eq!(site.send("PUT", "/v1/files/a", &[&known], "4").await.slug(), "precondition-failed");
    assert_eq!(site.send("DELETE", "/v1/files/a", &[&known], "").await.slug(), "precondition-failed");
    assert_eq!(site.get("/v1/files/a").await.text(), "3");
    assert_eq!(site.send("PUT", "/v1/files/b", &["If-Match: *"], "5").await.slug(), "precondition-failed");
}

#[tokio::test]
async fn a_member_is_inflated_once_and_then_sent_as_it_lies_in_the_archive() {
    let site = Site::open(&["--lower", WHEEL]);
    let uri = "/v1/files/click/core.py";
    let gzip = ["Accept-Encoding: gzip"];
    let plain = site.send("GET", uri, &gzip, "").await;
    assert_eq!(plain.header("content-encoding"), "");
    let coded = site.send("GET", uri, &gzip, "").await;
    assert_eq!((coded.header("content-encoding"), coded.header("vary")), ("gzip", "Accept-Encoding"));
    assert_eq!(coded.header("content-length"), coded.body.len().to_string());
    assert_ne!(coded.header("etag"), plain.header("etag"));
    assert_eq!(coded.header("etag"), plain.header("etag").trim_end_matches('"').to_owned() + "-gzip\"");
    let head = site.send("HEAD", uri, &gzip, "").await;
    assert_eq!((head.header("content-length"), head.body.len()), (coded.header("content-length"), 0));
    let known = format!("If-None-Match: {}", coded.header("etag"));
    assert_eq!(site.send("GET", uri, &["Accept-Encoding: gzip", &known], "").await.status, 304);
    let part = site.send("GET", uri, &["Accept-Encoding: gzip", "Range: bytes=2-5"], "").await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &plain.body[2..6]));
    assert_eq!(part.header("content-encoding"), "");
}
