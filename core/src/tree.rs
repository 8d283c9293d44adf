//! One walk over a tree, be it the merged view, the upper or another layer as it is: for digests and exports.

use std::sync::Arc;

use crate::{
    Blob, Error, ErrorKind, Facts, Kind, Layer, Marks, Node, Result, VPath,
    descent::Descent,
    overlay::{Follow, Overlay, Place, Walk, WalkOptions},
};

/// Which tree of an overlay is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// What the overlay shows.
    Merged,
    /// The upper as it is, whiteouts and marks included.
    Upper,
    /// One layer as it is, 0 on top, whiteouts and marks included.
    Layer(usize),
}

/// An object of a tree.
pub(crate) struct Object {
    overlay: Arc<Overlay>,
    pub(crate) path: VPath,
    /// How many names below the start it stands.
    pub(crate) depth: usize,
    layer: usize,
    node: Node,
    /// What the overlay shows there, in the merged view.
    place: Option<Place>,
}

/// The objects beneath a directory: parents before children, names in order.
pub(crate) struct Objects {
    overlay: Arc<Overlay>,
    source: Source,
}

enum Source {
    Merged(Box<Walk>, usize),
    Layer(Descent, usize),
}

impl Object {
    /// Finds what stands at a path. In the merged view symbolic links on the way are followed, in a layer none is.
    ///
    /// Refuses a layer that there is not (`NoUpper`, `NotFound`).
    pub(crate) fn find(overlay: &Arc<Overlay>, tree: Tree, path: &VPath, op: &'static str) -> Result<Self> {
        match tree {
            Tree::Merged => Self::find_shown(overlay, path, op),
            Tree::Layer(layer) if layer < overlay.layers().len() => Self::find_in(overlay, layer, path, op),
            Tree::Upper if overlay.has_upper() => Self::find_in(overlay, 0, path, op),
            Tree::Upper => Err(Error::new(ErrorKind::NoUpper, op)),
            Tree::Layer(layer) => {
                Err(Error::new(ErrorKind::NotFound, op).because(format!("there is no layer {layer}")))
            }
        }
    }

    fn find_shown(overlay: &Arc<Overlay>, path: &VPath, op: &'static str) -> Result<Self> {
        let spot = overlay.resolve(path, Follow::No, op)?;
        let hit = spot.found(op)?;
        let (layer, node) = (hit.layer, hit.node.clone());
        Ok(Self { overlay: overlay.clone(), path: spot.path, depth: 0, layer, node, place: Some(spot.place) })
    }

    fn find_in(overlay: &Arc<Overlay>, layer: usize, path: &VPath, op: &'static str) -> Result<Self> {
        let tree = &overlay.layers()[layer];
        let missing = |kind| Error::new(kind, op).at(path).in_layer(&tree.caps().name);
        let mut node = tree.root();
        for name in path.names() {
            if node.kind != Kind::Dir {
                return Err(missing(ErrorKind::NotADirectory));
            }
            node = tree.lookup(&node, name)?.ok_or_else(|| missing(ErrorKind::NotFound))?;
        }
        Ok(Self { overlay: overlay.clone(), path: path.clone(), depth: 0, layer, node, place: None })
    }

    /// Returns what lies beneath it.
    pub(crate) fn beneath(&self) -> Objects {
        let (node, path) = (self.node.clone(), self.path.clone());
        let source = match &self.place {
            Some(place) => {
                let depth = path.names().count();
                let walk = Walk::new(self.overlay.clone(), place.clone(), path, WalkOptions::default());
                Source::Merged(Box::new(walk), depth)
            }
            None => Source::Layer(Descent::new(self.layer_arc().clone(), node, path, false), self.layer),
        };
        Objects { overlay: self.overlay.clone(), source }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.node.kind
    }

    fn layer_arc(&self) -> &Arc<dyn Layer> {
        &self.overlay.layers()[self.layer]
    }

    pub(crate) fn layer_index(&self) -> usize {
        self.layer
    }

    pub(crate) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Returns the layer that gives it.
    pub(crate) fn layer(&self) -> &dyn Layer {
        &**self.layer_arc()
    }

    /// Returns attributes, extended attributes and overlay marks; the merged view has no marks.
    pub(crate) fn facts(&self) -> Result<Facts> {
        let facts = self.layer().facts(&self.node).map_err(|e| e.or_at(&self.path))?;
        let marks = if self.place.is_some() { Marks::default() } else { facts.marks };
        Ok(Facts { marks, ..facts })
    }

    pub(crate) fn target(&self) -> Result<Vec<u8>> {
        self.layer().target(&self.node).map_err(|e| e.or_at(&self.path))
    }

    /// Opens a file's content; in the merged view behind metadata alone the next lower's.
    pub(crate) fn open(&self) -> Result<Arc<dyn Blob>> {
        let blob = match &self.place {
            Some(place) => self.overlay.stack.content(place),
            None => self.layer().open(&self.node),
        };
        blob.map_err(|e| self.explain(e))
    }

    /// Names the object in an error about it.
    pub(crate) fn explain(&self, error: Error) -> Error {
        error.or_at(&self.path).in_layer(&self.layer().caps().name)
    }
}

impl Objects {
    /// Returns the next object; what goes away meanwhile is passed over.
    pub(crate) fn advance(&mut self) -> Result<Option<Object>> {
        match self.source {
            Source::Merged(..) => self.advance_merged(),
            Source::Layer(..) => self.advance_layer(),
        }
    }

    fn advance_merged(&mut self) -> Result<Option<Object>> {
        let Source::Merged(walk, above) = &mut self.source else { return Ok(None) };
        while let Some((path, place)) = walk.advance_to_place()? {
            let Some(hit) = place.top() else { continue };
            let (layer, node, overlay) = (hit.layer, hit.node.clone(), self.overlay.clone());
            let depth = path.names().count() - *above;
            return Ok(Some(Object { overlay, path, depth, layer, node, place: Some(place) }));
        }
        Ok(None)
    }

    fn advance_layer(&mut self) -> Result<Option<Object>> {
        let Source::Layer(descent, layer) = &mut self.source else { return Ok(None) };
        let tree = &self.overlay.layers()[*layer];
        let _reading = self.overlay.reading();
        while let Some(found) = descent.advance()? {
            let Some(node) = found.node(&**tree)? else { continue };
            let overlay = self.overlay.clone();
            return Ok(Some(Object {
                overlay,
                path: found.path,
                depth: found.depth,
                layer: *layer,
                node,
                place: None,
            }));
        }
        Ok(None)
    }
}
