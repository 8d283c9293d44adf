//! What must hold for every archive that is taken.

use std::sync::Arc;

use ovl_core::{
    Blob, Entry, Kind, Layer, Node, VPath,
    layers::zip::{self, Options, Zip},
    testing::source::Source,
};

/// A member is read no further than this.
const READ: u64 = 1 << 20;

/// Opens the bytes as an archive and reads all of it; returns how many files read to their end, or `None` when the
/// archive was refused.
pub fn serve(bytes: Vec<u8>) -> Option<usize> {
    let _ = zip::sniff(&*Source::new(bytes.clone()));
    let layer = zip::open(Source::new(bytes), &Options::default()).ok()?;
    let mut read = 0;
    walk(&layer, &layer.root(), &VPath::root(), &mut read);
    Some(read)
}

fn walk(layer: &Zip, dir: &Node, path: &VPath, read: &mut usize) {
    for Entry { name, kind, stat } in layer.list(dir, None, usize::MAX, true).expect("a directory lists") {
        let path = path.join(name.as_name());
        assert_eq!(VPath::parse(path.as_bytes()).expect("every shown path parses"), path);
        let node = layer.lookup(dir, name.as_name()).expect("a lookup answers").expect("what is listed is found");
        assert_eq!((node.kind, stat), (kind, Some(layer.stat(&node).expect("a stat answers"))));
        match kind {
            Kind::Dir => walk(layer, &node, &path, read),
            Kind::File => *read += usize::from(layer.open(&node).is_ok_and(is_whole)),
            Kind::Symlink => drop(layer.target(&node)),
            _ => {}
        }
    }
}

/// Reads a member from the front, and again from its middle.
fn is_whole(blob: Arc<dyn Blob>) -> bool {
    let size = blob.size().expect("a size is known");
    let stored = blob.stored().expect("a member is stored");
    let _ = stored.bytes.read_at(&mut [0; 64], 0);
    let mut content = Vec::new();
    let mut piece = vec![0; 7_000];
    while (content.len() as u64) < size.min(READ) {
        match blob.read_at(&mut piece, content.len() as u64) {
            Ok(0) => panic!("a member ended before its declared size"),
            Ok(got) => content.extend_from_slice(&piece[..got]),
            Err(_) => return false,
        }
    }
    assert!(content.len() as u64 <= size, "a member gave more than it declares");
    let middle = content.len() / 2;
    let got = blob.read_at(&mut piece, middle as u64).unwrap_or(0);
    let same = got.min(content.len() - middle);
    assert_eq!(piece[..same], content[middle..middle + same], "the middle reads as before");
    size == 0 && blob.read_at(&mut piece, 0).is_ok() || size > 0 && content.len() as u64 == size
}
