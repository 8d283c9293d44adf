//! What a kernel mount leaves in its work directory and only the kernel can keep true.

use std::io;

use super::{failed, stage, sys::Handle};
use crate::{Error, ErrorKind, Result};

/// What the kernel makes in its work directory.
const WORK: &[u8] = b"work";
/// The kernel's own directory in a work directory.
pub(super) const KERNEL: &[u8] = b"kernel";

/// Refuses (`Unsupported`) an upper whose last mount waited for no disk and was not ended as it should (semantics M17).
pub(super) fn refuse_volatile(work: &Handle) -> Result<()> {
    match find(work, &[KERNEL, b"work", b"incompat", b"volatile", b"dirty"])? {
        None => Ok(()),
        Some(_) => Err(refused(
            "it was mounted with --volatile, so a power cut may have damaged it; \
             remove kernel/work/incompat from its work directory if there was none",
        )),
    }
}

/// Refuses (`Unsupported`) an upper that has an index of hard links, which other writers make wrong (semantics H07).
pub(super) fn refuse_index(work: &Handle) -> Result<()> {
    let Some(index) = find(work, &[KERNEL, b"index"])? else { return Ok(()) };
    let mut is_empty = true;
    index.scan(&mut |_, _| is_empty = false).map_err(failed("read the kernel's index"))?;
    if is_empty {
        return Ok(());
    }
    Err(refused("it was mounted with --index, and only such a mount may write to it"))
}

/// Goes down by names; `None` where one is missing, or is closed to this process because another user mounted it.
pub(super) fn find(work: &Handle, names: &[&[u8]]) -> Result<Option<Handle>> {
    let mut found: Option<Handle> = None;
    for name in names {
        match found.as_ref().unwrap_or(work).child(name) {
            Ok(child) => found = Some(child),
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed("look at the kernel's work directory")(error)),
        }
    }
    Ok(found)
}

/// Removes what an ended mount leaves in the kernel's own directory: one that nobody may enter, and in it what was not
/// finished and the device of which whiteouts were links. The mark of a volatile mount stays.
pub(super) fn tidy(kernel: &Handle) {
    let mut names: Vec<Box<[u8]>> = Vec::new();
    let entered = kernel.child(WORK).and_then(|work| {
        work.scan(&mut |name, _| names.push(name.into()))?;
        names.iter().filter(|name| name.starts_with(b"#")).try_for_each(|name| stage::remove_all(&work, name))
    });
    // What stays is removed by the kernel at its next mount.
    let _stays = entered.and_then(|()| kernel.remove_dir(WORK));
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, "open upper").because(why.to_owned())
}
