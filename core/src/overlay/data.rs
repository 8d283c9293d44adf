//! Content from the layers that give nothing else, looked for when it is first needed (semantics Y04, Y05, Y10).

use crate::{
    Error, ErrorKind, Kind, Node, Result,
    overlay::{
        redirect::parts,
        resolve::{Place, Stack},
    },
};

impl Stack {
    /// Returns the layer that has the content of the metadata at `place`, and its file.
    ///
    /// Refuses what the kernel does, for the reason that the last layer has: no file there (`NotFound`), a
    /// non-directory on the way (`NotADirectory`), or a symbolic link, which is never followed (`Loop`).
    pub(super) fn data(&self, place: &Place) -> Result<(usize, Node)> {
        let missing =
            || Error::new(ErrorKind::Corrupt, "open").because("it holds metadata alone, and no lower has the content");
        let path = place.data.as_deref().filter(|_| self.shown < self.layers.len()).ok_or_else(missing)?;
        let mut last = missing();
        for layer in self.shown..self.layers.len() {
            match self.data_in(layer, path) {
                Ok(node) => return Ok((layer, node)),
                Err(error) => last = error,
            }
        }
        let sought = path.escape_ascii();
        Err(last.because(format!("it holds metadata alone, and no layer has the content at {sought}")))
    }

    fn data_in(&self, layer: usize, path: &[u8]) -> Result<Node> {
        let (tree, mut node) = (&self.layers[layer], self.layers[layer].root());
        let refused = |kind| Error::new(kind, "open").in_layer(&tree.caps().name);
        for part in parts(path) {
            let part = part?;
            match node.kind {
                Kind::Dir => {}
                Kind::Symlink => return Err(refused(ErrorKind::Loop)),
                _ => return Err(refused(ErrorKind::NotADirectory)),
            }
            node = tree.lookup(&node, part.name)?.ok_or_else(|| refused(ErrorKind::NotFound))?;
        }
        if node.kind == Kind::File { Ok(node) } else { Err(refused(ErrorKind::NotFound)) }
    }
}
