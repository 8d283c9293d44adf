//! Objects beyond their names: what stood at a path stays usable when the path leads elsewhere or nowhere (semantics
//! D06).

use std::sync::Arc;

use crate::{
    Blob, Change, Error, ErrorKind, Marks, Node, Result, Stat, Step, VPath, Xattr,
    overlay::{Begin, Ctx, Follow, Hit, Overlay, Place, Spot, copy_up::needs_copy},
};

/// What stood at a path.
#[derive(Clone, Debug)]
pub struct Object {
    path: VPath,
    place: Place,
}

impl Object {
    pub(super) fn of(spot: Spot) -> Self {
        Self { path: spot.path, place: spot.place }
    }

    /// Returns an object of the upper that shows alone.
    pub(super) fn of_upper(path: VPath, node: Node) -> Self {
        let hit = Hit { layer: 0, node, marks: Marks::default(), hidden: None };
        Self { path, place: Place { hits: vec![hit], ..Place::default() } }
    }

    /// Returns the layer that gives the attributes, 0 on top.
    pub fn layer(&self) -> Option<usize> {
        self.place.top().map(|hit| hit.layer)
    }

    pub(super) fn spot(&self) -> Spot {
        Spot { path: self.path.clone(), dirs: Vec::new(), place: self.place.clone() }
    }

    fn top(&self) -> Result<&Hit> {
        self.place.top().ok_or_else(|| Error::new(ErrorKind::NotFound, "use object").at(&self.path))
    }
}

impl Overlay {
    /// Returns what stands at a path, to be used whatever becomes of the path. No symbolic link is followed at the end.
    pub fn object(&self, path: &VPath) -> Result<Object> {
        let spot = self.resolve(path, Follow::No, "open")?;
        spot.found("open")?;
        Ok(Object::of(spot))
    }

    /// Returns an object's attributes.
    pub fn stat_of(&self, object: &Object) -> Result<Stat> {
        Ok(self.info(&object.spot())?.stat)
    }

    /// Opens an object's content, or refuses it as [`Overlay::open`] does.
    pub fn content_of(&self, object: &Object) -> Result<Arc<dyn Blob>> {
        self.stack.content(&object.place).map_err(|e| e.or_at(&object.path))
    }

    /// Returns whether an object's content stays in its place when it is written: where nothing can be, too.
    pub fn stays(&self, object: &Object) -> bool {
        !self.has_upper() || !needs_copy(&self.stack, &object.place)
    }

    /// Returns an object's extended attributes, sorted by name.
    pub fn xattrs_of(&self, object: &Object) -> Result<Vec<Xattr>> {
        let hit = object.top()?;
        self.stack.layers[hit.layer].xattrs(&hit.node).map_err(|e| e.or_at(&object.path))
    }

    /// Makes an object of the upper durable, whatever the upper's own pace; what lies in a lower is.
    pub fn sync(&self, object: &Object) -> Result<()> {
        let hit = object.top()?;
        match &self.stack.upper {
            Some(upper) if self.stack.is_upper(hit.layer) => upper.sync(&hit.node).map_err(|e| e.or_at(&object.path)),
            _ => Ok(()),
        }
    }

    /// Changes the metadata of an object that has no name any more. Refuses what [`Overlay::set`] refuses.
    pub fn set_nameless(&self, ctx: &Ctx, object: &mut Object, change: &Change) -> Result<()> {
        self.allowed(&object.spot(), change, "set metadata")?;
        let node = self.nameless_up(object, Begin::Kept)?;
        self.commit(&[Step::Set { node: &node, change }], ctx.now).map_err(|e| e.or_at(&object.path))
    }

    /// Copies an object up that has no name, so that the copy has none either.
    pub(super) fn nameless_up(&self, object: &mut Object, begin: Begin) -> Result<Node> {
        if needs_copy(&self.stack, &object.place) {
            self.upper("open").map_err(|e| e.or_at(&object.path))?;
            let copy = self.stage_to_write(&object.spot(), begin)?;
            *object = Object::of_upper(object.path.clone(), copy.node);
        }
        Ok(object.top()?.node.clone())
    }
}
