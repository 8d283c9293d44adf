//! The kernel's mount that a killed server has left: it stands without any process, and holds the upper.
//!
//! The next server of the same layers at the same place takes it away. A record says that it was a server's, and is locked
//! as long as that server lives; the number of the mount in it is no other mount's.

use std::{io, path::Path};

use ovl_core::layers::host::{self, KernelUpper, OverlayMount};
use rustix::process::geteuid;

use super::{
    leave::{Leave, unmount},
    record::{Held, Record, Told, identity},
};
use crate::cli::{
    exit::{Failure, code},
    flags::StackArgs,
    spec::Medium,
    stack,
};

/// Writes the record of what this server has just let the kernel mount at `point`.
pub(super) fn record(stack: &StackArgs, point: &Path) -> Option<Held> {
    let device = topmost(point)?.device;
    Held::write(device, &told(stack, point))
}

/// Takes away what a killed server of this stack has left at `point`, and nothing else.
///
/// # Errors
/// A mount that is still used (4), and what else the kernel refuses.
pub(super) fn clear(stack: &StackArgs, point: &Path) -> Result<(), Failure> {
    let Some(mount) = topmost(point).filter(|mount| OverlayMount::of(mount).is_some()) else { return Ok(()) };
    let Some(record) = Record::of(mount.device, geteuid().as_raw()) else { return Ok(()) };
    let now = told(stack, point);
    if now.mount.is_none() || record.is_held() || (Told { pid: record.told.pid, ..now }) != record.told {
        return Ok(());
    }
    unmount(point, Leave::Whole).map_err(|error| failure(point, error))?;
    record.remove();
    tidy(stack);
    tracing::warn!(
        "took away what was mounted at {}: its server, process {}, is gone",
        point.display(),
        record.told.pid
    );
    Ok(())
}

/// Removes what the mount has left in the work directory.
fn tidy(args: &StackArgs) {
    let Some(spec) = args.upper.as_ref().filter(|spec| spec.medium != Some(Medium::Memory)) else { return };
    // Where the upper cannot be had, whoever opens it next tells why.
    let upper = host::upper_for_kernel(&spec.path, &stack::upper_options(spec, args), true);
    upper.iter().for_each(KernelUpper::tidy);
}

fn topmost(point: &Path) -> Option<host::Mount> {
    host::mounts().ok()?.into_iter().rfind(|mount| mount.point == point)
}

fn told(stack: &StackArgs, point: &Path) -> Told {
    let lowers = stack.lower.iter().filter(|spec| spec.medium != Some(Medium::Memory)).map(|spec| &*spec.path);
    let upper = stack.upper.as_ref().filter(|spec| spec.medium != Some(Medium::Memory)).map(|spec| &*spec.path);
    Told { mount: identity(point), ..Told::new(lowers, upper, stack.work.as_deref()) }
}

fn failure(point: &Path, error: io::Error) -> Failure {
    let shown = point.display();
    match error.kind() {
        io::ErrorKind::ResourceBusy => {
            let why = format!("at {shown} stands the mount of a server that was killed, and it is still used");
            let advice = format!("`fuser -vm {shown}` tells by whom; end them, and start again");
            Failure::new(code::CONFLICT, format!("{why}; {advice}"))
        }
        _ => Failure::io(
            &format!("cannot unmount {shown}, which a killed server has left"),
            error,
            "`ovl unmount` ends it",
        ),
    }
}
