//! What a kernel mount leaves in its work directory and only the kernel can keep true.

use std::io;

use super::{failed, sys::Handle};
use crate::{Error, ErrorKind, Result};

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
fn find(work: &Handle, names: &[&[u8]]) -> Result<Option<Handle>> {
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

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, "open upper").because(why.to_owned())
}
