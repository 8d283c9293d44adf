//! A layer that panics costs the requests that meet it, and no others (trust T32).

use std::sync::Arc;

use ovl_core::{
    Blob, Caps, Entry, Layer, Marks, Name, Node, Overlay, Result, Stat, VPath, Xattr, layers::memory::Memory,
    overlay::Policy,
};
use ovl_server::{
    app::App,
    cli::stack::{Opened, Sheet},
    events::Events,
    guard::Guard,
    settings::Settings,
    state::State,
};

use crate::support::Site;

/// An empty layer with a trap: one name, and every listing.
#[derive(Debug)]
struct Trap(Arc<Memory>);

impl Layer for Trap {
    fn caps(&self) -> &Caps {
        self.0.caps()
    }

    fn root(&self) -> Node {
        self.0.root()
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        assert_ne!(name.as_bytes(), b"trap", "the secret path /srv/hidden");
        self.0.lookup(dir, name)
    }

    fn list(&self, _: &Node, _: Option<Name<'_>>, _: usize, _: bool) -> Result<Vec<Entry>> {
        panic!("the secret path /srv/hidden")
    }

    fn stat(&self, node: &Node) -> Result<Stat> {
        self.0.stat(node)
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        self.0.marks(node)
    }

    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>> {
        self.0.xattrs(node)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        self.0.target(link)
    }

    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        self.0.open(file)
    }
}

fn site() -> Site {
    let lower = Arc::new(Trap(Memory::new("trap", 0)));
    let overlay = Overlay::new(None, vec![lower as Arc<dyn Layer>], Policy::default(), None).expect("a stack");
    let sheet = Sheet { upper: false, path: None, root: VPath::root(), form: None };
    let opened = Opened { overlay, quota: None, layers: vec![sheet], mount: None };
    let state = State::new(&opened, Settings::default(), Events::new(7, 10));
    Site { app: App::new(Guard::default(), state) }
}

#[tokio::test]
async fn a_panic_is_answered_and_counted_and_the_next_request_served() {
    let site = site();
    for uri in ["/v1/files/trap", "/v1/entries?list=true", "/v1/entries/trap"] {
        let answer = site.get(uri).await;
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (500, "internal"), "{uri}");
        assert!(!answer.text().contains("secret") && !answer.text().contains(".rs"), "{answer:?}");
        assert_eq!(site.get("/v1/files/other").await.slug(), "not-found");
    }
    let metrics = site.get("/metrics").await;
    assert!(metrics.text().contains("\novl_panics_total 3\n"), "{}", metrics.text());
    assert!(metrics.text().contains("ovl_requests_total{status=\"5xx\"} 3\n"), "{}", metrics.text());
}
