//! The page at `/`, built in or not.

use http::StatusCode;
use ovl_server::{guard::Guard, settings::Settings};

use crate::support::Site;

#[tokio::test]
async fn the_page_is_there_for_everyone_and_runs_nothing_of_others() {
    let site =
        Site::guarded(&["--upper", "mem:"], Guard::default().any_host().token(Some("secret")), Settings::default());
    let page = site.send("GET", "/", &[], "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    for rule in [
        "default-src 'none'",
        "connect-src 'self' blob:;",
        "script-src 'self' 'wasm-unsafe-eval';",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{rule} in {policy}");
    }
    assert_eq!(page.headers["cache-control"], "no-cache");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert_eq!(site.send("GET", "/v1/overlay", &[], "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_the_page_does_not_have_is_not_found() {
    let site = Site::empty();
    for address in ["/assets/none.js", "/assets/..%2findex.html", "/index.htm"] {
        assert_eq!(site.send("GET", address, &[], "").await.status, StatusCode::NOT_FOUND, "{address}");
    }
    assert_eq!(site.send("PUT", "/", &[], "x").await.status, StatusCode::METHOD_NOT_ALLOWED);
}
