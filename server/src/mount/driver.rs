//! Who mounts a stack: the kernel's overlay where it can, which is fastest, and FUSE where it cannot.

use clap::ValueEnum;
use ovl_core::layers::host::{self, Form};

use super::kernel;
use crate::cli::{
    exit::{Failure, code},
    flags::StackArgs,
    spec::{LayerSpec, Medium},
    stack,
};
pub(crate) use crate::mounts::Driver;

/// Who is asked to mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DriverArg {
    /// The kernel where it can, else FUSE.
    Auto,
    /// The kernel's overlay.
    Kernel,
    /// A file system of ours, for every stack; its process stays while it is mounted.
    Fuse,
}

/// Returns who mounts this stack, and why.
///
/// # Errors
/// A driver that is asked for and cannot do it ([`by_kernel`]), or is not there (1); layers that cannot be looked at.
pub(crate) fn choose(wanted: DriverArg, stack: &StackArgs) -> Result<(Driver, String), Failure> {
    let has_fuse = cfg!(feature = "fuse");
    match wanted {
        DriverArg::Kernel => by_kernel(stack).map(|()| (Driver::Kernel, "asked for".into())),
        DriverArg::Fuse if has_fuse => Ok((Driver::Fuse, "asked for".into())),
        DriverArg::Fuse => Err(Failure::new(code::FAILED, "this ovl was built without FUSE; take --driver kernel")),
        DriverArg::Auto => match zip(stack)?.or(obstacle(stack)?) {
            None => Ok((Driver::Kernel, "every layer is a directory that it can stack".into())),
            Some(why) if has_fuse => Ok((Driver::Fuse, format!("the kernel cannot: {}", why.message))),
            Some(why) => Err(refusal(why)),
        },
    }
}

/// Refuses a stack that the kernel's overlay cannot mount. Zips are unpacked for it.
///
/// # Errors
/// Layers and uppers in memory, one layer alone, and limits (1), a process that may not mount (5), an upper that only ovl
/// reads (9); and layers that cannot be looked at.
pub(crate) fn by_kernel(stack: &StackArgs) -> Result<(), Failure> {
    obstacle(stack)?.map_or(Ok(()), |why| Err(refusal(why)))
}

fn refusal(why: Failure) -> Failure {
    Failure::new(why.code, format!("the kernel cannot mount this: {}", why.message))
}

/// Returns what the kernel's overlay cannot do of what was asked for.
pub(super) fn obstacle(args: &StackArgs) -> Result<Option<Failure>, Failure> {
    let failed = |why: String| Ok(Some(Failure::new(code::FAILED, why)));
    for lower in &args.lower {
        if stack::medium(lower)? == Medium::Memory {
            return failed("a lower is in memory, and it stacks directories alone".into());
        }
    }
    let upper = args.upper.as_ref();
    if args.lower.len() == 1 && upper.is_none() {
        return failed("one layer alone is no stack for it: it takes a second --lower, or an --upper".into());
    }
    if upper.is_some_and(|upper| upper.medium == Some(Medium::Memory)) {
        return failed("the upper is in memory, and it keeps changes in a directory".into());
    }
    if args.quota.is_some() || args.quota_entries.is_some() {
        return failed("it limits no upper (--quota, --quota-entries)".into());
    }
    Ok(upper.and_then(portable).or_else(kernel::unavailable))
}

/// Returns that a lower is a zip. Where nobody has asked for the kernel, nothing is copied.
pub(super) fn zip(args: &StackArgs) -> Result<Option<Failure>, Failure> {
    for lower in &args.lower {
        if stack::medium(lower)? == Medium::Zip {
            let why = format!("the lower {} is a zip, and it stacks directories alone", lower.path.display());
            return Ok(Some(Failure::new(code::FAILED, why)));
        }
    }
    Ok(None)
}

/// Returns the obstacle of an upper that only ovl reads. What else is wrong with it is told when it is opened.
fn portable(upper: &LayerSpec) -> Option<Failure> {
    let is_portable = host::recorded_form(&upper.path).is_ok_and(|form| form == Some(Form::Portable));
    let why = || format!("the upper {} is portable: only ovl reads it", upper.path.display());
    is_portable.then(|| Failure::new(code::WRONG_FORM, why()))
}
