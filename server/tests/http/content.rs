//! Content: ranges, conditions, digests, types, and members that are damaged.

use std::path::Path;

use http::Request;
use http_body_util::BodyExt;
use tempfile::TempDir;

use crate::support::{Site, WHEEL};

async fn digits() -> Site {
    let site = Site::empty();
    assert_eq!(site.put("/v1/files/d", "0123456789").await.status, 201);
    site
}

#[tokio::test]
async fn ranges_are_answered_one_by_one_and_together() {
    let site = digits().await;
    let rows: &[(&str, u16, &str, &str)] = &[
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=-2", 206, "bytes 8-9/10", "89"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=4-2", 200, "", "0123456789"),
        ("items=0-1", 200, "", "0123456789"),
        ("bytes=0-9,0-9", 200, "", "0123456789"),
    ];
    for (range, status, content_range, body) in rows {
        let answer = site.send("GET", "/v1/files/d", &[&format!("Range: {range}")], "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-range"), answer.text()),
            (*status, *content_range, *body),
            "{range}"
        );
        assert_eq!(answer.header("content-length"), body.len().to_string());
    }
    let behind = site.send("GET", "/v1/files/d", &["Range: bytes=10-"], "").await;
    assert_eq!((behind.slug().as_str(), behind.header("content-range")), ("range-not-satisfiable", "bytes */10"));
    let several = site.send("GET", "/v1/files/d", &["Range: bytes=0-1, 5-6"], "").await;
    let boundary = several.header("content-type").strip_prefix("multipart/byteranges; boundary=").expect("a boundary");
    let part = |range, body| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {range}/10\r\n\r\n{body}"
        )
    };
    let expected = part("0-1", "01") + &part("5-6", "56") + &format!("\r\n--{boundary}--\r\n");
    assert_eq!(several.text(), expected);
    assert_eq!(several.header("content-length"), expected.len().to_string());
}

#[tokio::test]
async fn a_range_of_other_content_is_not_answered() {
    let site = digits().await;
    let etag = site.get("/v1/files/d").await.header("etag").to_owned();
    let same = format!("If-Range: {etag}");
    assert_eq!(site.send("GET", "/v1/files/d", &["Range: bytes=0-1", &same], "").await.status, 206);
    for other in ["If-Range: \"other\"", "If-Range: Mon, 23 Nov 2026 00:00:00 GMT", &format!("If-Range: W/{etag}")] {
        assert_eq!(site.send("GET", "/v1/files/d", &["Range: bytes=0-1", other], "").await.status, 200, "{other}");
    }
    assert_eq!(site.send("GET", "/v1/files/d", &["If-Match: \"other\""], "").await.slug(), "precondition-failed");
    for known in
        [format!("If-None-Match: {etag}"), format!("If-None-Match: \"x\", W/{etag}"), "If-None-Match: *".into()]
    {
        let answer = site.send("GET", "/v1/files/d", &[&known], "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("etag"), answer.body.len()),
            (304, etag.as_str(), 0),
            "{known}"
        );
    }
}

#[tokio::test]
async fn digests_are_told_when_asked_for_and_checked_when_given() {
    let site = digits().await;
    let sum = "sha-256=:hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=:";
    let asked = site.send("GET", "/v1/files/d", &["Want-Repr-Digest: sha-256=5"], "").await;
    assert_eq!(asked.header("repr-digest"), sum);
    assert_eq!(site.send("HEAD", "/v1/files/d", &["Want-Repr-Digest: sha-256=5"], "").await.header("repr-digest"), sum);
    let part = site.send("GET", "/v1/files/d", &["Want-Repr-Digest: sha-256=5", "Range: bytes=0-1"], "").await;
    assert_eq!((part.text(), part.header("repr-digest")), ("01", sum));
    assert_eq!(site.send("GET", "/v1/files/d", &["Want-Repr-Digest: sha-256=0"], "").await.header("repr-digest"), "");
    let right = format!("Content-Digest: {sum}");
    assert_eq!(site.send("PUT", "/v1/files/e", &[&right], "0123456789").await.status, 201);
    assert_eq!(site.send("PUT", "/v1/files/e", &[&right], "012345678x").await.slug(), "digest-mismatch");
    assert_eq!(site.get("/v1/files/e").await.text(), "0123456789");
}

#[tokio::test]
async fn what_a_browser_would_run_is_sandboxed_and_saved() {
    let site = Site::empty();
    for (name, saved) in
        [("a.html", true), ("a.svg", true), ("a.js", true), ("a.pdf", true), ("a.txt", false), ("a.png", false)]
    {
        site.put(&format!("/v1/files/{name}"), "x").await;
        let answer = site.get(&format!("/v1/files/{name}")).await;
        assert_eq!(answer.header("content-security-policy"), "sandbox; default-src 'none'");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(!answer.header("content-disposition").is_empty(), saved, "{name}");
    }
    let saved = site.get("/v1/files/a.txt?download=1").await;
    assert_eq!(saved.header("content-disposition"), "attachment; filename*=UTF-8''a.txt");
    site.put("/v1/files/odd%0D%0AX:%20y.html", "x").await;
    let odd = site.get("/v1/files/odd%0D%0AX:%20y.html").await;
    assert_eq!(odd.header("content-disposition"), "attachment; filename*=UTF-8''odd%0D%0AX%3A%20y.html");
}

#[tokio::test]
async fn every_member_comes_out_as_the_archive_has_it_however_it_is_asked_for() {
    let site = Site::open(&["--lower", WHEEL]);
    let page = site.get("/v1/entries?list=true&recursive=true").await.value();
    let mut members = 0;
    for entry in page["entries"].as_array().expect("a page").iter().filter(|entry| entry["kind"] == "file") {
        let uri = format!("/v1/files{}", entry["path"].as_str().expect("a path"));
        let plain = site.get(&uri).await.body;
        let coded = site.send("GET", &uri, &["Accept-Encoding: gzip"], "").await;
        let whole = if coded.header("content-encoding") == "gzip" { gunzip(&coded.body) } else { coded.body };
        assert_eq!(whole, plain, "{uri}");
        members += 1;
    }
    assert!(members > 20, "{members}");
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).expect("whole gzip");
    plain
}

/// Writes a zip with one stored member of so many bytes, one of which is not what the CRC was made of.
fn damaged(folder: &TempDir, size: usize) -> String {
    let crc = {
        let mut crc = flate2::Crc::new();
        crc.update(&vec![b'a'; size]);
        crc.sum().to_le_bytes()
    };
    let length = u32::try_from(size).expect("small").to_le_bytes();
    let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x50], &crc[..], &length, &length, &[1, 0, 0, 0]].concat();
    let mut content = vec![b'a'; size];
    content[size / 2] = b'b';
    let local = [b"PK\x03\x04", &common[..], b"m", &content].concat();
    let central = [b"PK\x01\x02\x14\x00", &common[..], &[0; 14], b"m"].concat();
    let at = u32::try_from(local.len()).expect("small").to_le_bytes();
    let count = u32::try_from(central.len()).expect("small").to_le_bytes();
    let end = [&b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &count, &at, &[0, 0]].concat();
    let path = folder.path().join(format!("{size}.zip"));
    std::fs::write(&path, [local, central, end].concat()).expect("made");
    path.to_str().expect("readable").to_owned()
}

#[tokio::test]
async fn a_damaged_member_never_ends_as_a_whole_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    for size in [10, 100_000, 900_000] {
        let site = Site::open(&["--lower", &damaged(&folder, size)]);
        assert_eq!(site.get("/v1/files/m").await.slug(), "corrupt-layer", "{size}");
        assert_eq!(site.get("/v1/entries/m").await.value()["size"], size);
    }
    let site = Site::open(&["--lower", &damaged(&folder, 3_000_000)]);
    let request = Request::get("/v1/files/m").header("host", "localhost").body("".into()).expect("a request");
    let answer = site.app.answer(request).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.into_body().collect().await.is_err(), "the connection breaks off");
}

#[tokio::test]
async fn answers_do_not_tell_where_things_lie_on_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().to_str().expect("readable");
    let lower = folder.path().join("lower");
    std::fs::create_dir(&lower).expect("made");
    std::fs::write(lower.join("plain"), "x").expect("made");
    let archive = damaged(&folder, 10);
    let upper = folder.path().join("u");
    let flag = |path: &Path| path.to_str().expect("readable").to_owned();
    let site = Site::open(&["--upper", &flag(&upper), "--lower", &archive, "--lower", &flag(&lower)]);
    let big = "n".repeat(256);
    let requests = [
        ("GET", "/v1/files/m"),
        ("GET", "/v1/files/missing"),
        ("GET", "/v1/files/plain/x"),
        ("PUT", "/v1/files/plain/x"),
        ("PUT", &format!("/v1/files/{big}")),
        ("DELETE", "/v1/entries"),
        ("GET", "/v1/overlay"),
        ("GET", "/v1/layers/upper"),
        ("GET", "/v1/layers"),
        ("GET", "/v1/why/plain"),
        ("GET", "/v1/changes"),
        ("GET", "/metrics"),
        ("POST", "/v1/imports"),
    ];
    for (method, uri) in requests {
        let answer = site.send(method, uri, &[], "").await;
        assert!(
            !format!("{:?}{}", answer.headers, String::from_utf8_lossy(&answer.body)).contains(secret),
            "{uri}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn large_content_goes_up_and_comes_down_in_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let upper = folder.path().join("u");
    let site = Site::open(&["--upper", upper.to_str().expect("readable")]);
    let content: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(site.put("/v1/files/big", content.clone()).await.status, 201);
    let got = site.get("/v1/files/big").await;
    assert!(got.body == content && got.header("content-length") == "3000001");
    let part = site.send("GET", "/v1/files/big", &["Range: bytes=1000000-1999999"], "").await;
    assert!(part.body == content[1_000_000..2_000_000]);
    let patch = vec![9; 700_000];
    assert_eq!(site.send("PATCH", "/v1/files/big?offset=5", &[], patch.clone()).await.status, 204);
    let got = site.get("/v1/files/big").await.body;
    assert!(got[5..700_005] == patch[..] && got[700_005..] == content[700_005..]);
}
