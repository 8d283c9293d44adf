//! Conditions on the whole overlay hold at the instant of the change: another change on its way is not lost.

use std::{
    pin::{Pin, pin},
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    task::Poll,
};

use ovl_core::overlay::{Deed, Event};
use ovl_server::{guard::Guard, settings::Settings};

use crate::support::{Answer, Site, WHEEL};

/// The other side of a site whose first copy-up waits, with the lock of all writers held.
struct Gate {
    reached: Receiver<()>,
    open: Sender<()>,
}

fn gated() -> (Site, Gate) {
    let ((tell, reached), (open, opened)) = (channel(), channel());
    let gate = Mutex::new(Some((tell, opened)));
    let wait = move |event: &Event| {
        let first = matches!(event.deed, Deed::CopiedUp(_)).then(|| gate.lock().expect("no panic").take()).flatten();
        if let Some((tell, opened)) = first {
            tell.send(()).expect("the test waits");
            opened.recv().expect("the test opens it");
        }
    };
    (Site::observed(&["--upper", "mem:", "--lower", WHEEL], wait), Gate { reached, open })
}

/// Goes as far as can be without waiting; it must have to wait.
async fn begin(mut request: Pin<&mut impl Future<Output = Answer>>) {
    let waits = std::future::poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx).is_pending())).await;
    assert!(waits, "it was answered at once");
}

/// Sends a request, on the condition that nothing has changed, while a put is about to change something.
async fn beside_a_put(method: &str, uri: &str, body: Vec<u8>) {
    let (site, gate) = gated();
    let mut put = pin!(site.put("/v1/files/click/new", "new"));
    begin(put.as_mut()).await;
    gate.reached.recv().expect("the put comes so far");
    let known = format!("If-Match: {}", site.get("/v1/overlay").await.header("etag"));
    let head = [known.as_str()];
    let mut other = pin!(site.send(method, uri, &head, body));
    begin(other.as_mut()).await;
    gate.open.send(()).expect("the put waits");
    assert_eq!(put.await.status, 201);
    let refused = other.await;
    assert_eq!(refused.slug(), "precondition-failed", "{method} {uri}");
    assert_eq!(refused.value()["current_etag"], site.get("/v1/overlay").await.header("etag"), "{method} {uri}");
    assert_eq!(site.get("/v1/files/click/new").await.text(), "new", "{method} {uri}");
    let changes = site.get("/v1/changes").await.value();
    assert_eq!(changes["changes"].as_array().map(Vec::len), Some(1), "{method} {uri}: {changes}");
}

#[tokio::test]
async fn discarding_everything_spares_a_change_that_the_client_has_not_seen() {
    beside_a_put("DELETE", "/v1/changes", Vec::new()).await;
    beside_a_put("DELETE", "/v1/changes/", Vec::new()).await;
}

#[tokio::test]
async fn an_import_onto_a_known_state_is_not_made_onto_another() {
    let other = Site::empty();
    assert_eq!(other.put("/v1/files/a", "1").await.status, 201);
    for what in ["upper", "merged"] {
        let archive = other.get(&format!("/v1/export?what={what}")).await.body;
        beside_a_put("POST", "/v1/imports", archive).await;
    }
}

#[tokio::test]
async fn a_server_that_asks_for_conditions_asks_for_them_on_imports_too() {
    let settings = Settings { require_preconditions: true, ..Settings::default() };
    let site = Site::guarded(&["--upper", "mem:"], Guard::default().any_host(), settings);
    let archive = Site::empty().get("/v1/export").await.body;
    assert_eq!(site.send("POST", "/v1/imports", &[], archive.clone()).await.slug(), "precondition-required");
    let known = format!("If-Match: {}", site.get("/v1/overlay").await.header("etag"));
    assert_eq!(site.send("POST", "/v1/imports", &[&known], archive.clone()).await.status, 201);
    assert_eq!(site.send("POST", "/v1/imports", &["If-Match: \"7-99\""], archive).await.slug(), "precondition-failed");
}
