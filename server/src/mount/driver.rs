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

/// Who mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Driver {
    /// The kernel where it can, else FUSE.
    Auto,
    /// The kernel's overlay.
    Kernel,
    /// A file system of ours.
    Fuse,
}

/// Returns why the kernel mounts this stack.
///
/// # Errors
/// What the kernel cannot mount, as long as there is no other driver: other layers than directories, and limits (1), a
/// process that may not mount (5), an upper that only ovl reads (9); and layers that cannot be looked at.
pub(crate) fn choose(wanted: Driver, stack: &StackArgs) -> Result<String, Failure> {
    if wanted == Driver::Fuse {
        return Err(Failure::new(code::FAILED, "this command does not mount by FUSE yet; take --driver kernel"));
    }
    let (reason, otherwise) = match wanted {
        Driver::Kernel => ("asked for", ""),
        _ => ("every layer is a directory that it can stack", "; and this command does not mount by FUSE yet"),
    };
    match obstacle(stack)? {
        None => Ok(reason.into()),
        Some(Failure { code, message }) => {
            Err(Failure::new(code, format!("the kernel cannot mount this: {message}{otherwise}")))
        }
    }
}

/// Returns what the kernel's overlay cannot do of what was asked for.
fn obstacle(args: &StackArgs) -> Result<Option<Failure>, Failure> {
    let failed = |why: String| Ok(Some(Failure::new(code::FAILED, why)));
    for lower in &args.lower {
        if let Some(what) = odd(lower)? {
            return failed(format!("the lower {} is {what}, and it stacks directories alone", lower.path.display()));
        }
    }
    let upper = args.upper.as_ref();
    if upper.is_some_and(|upper| upper.medium == Some(Medium::Memory)) {
        return failed("the upper is in memory, and it keeps changes in a directory".into());
    }
    if args.quota.is_some() || args.quota_entries.is_some() {
        return failed("it limits no upper (--quota, --quota-entries)".into());
    }
    Ok(upper.and_then(portable).or_else(kernel::unavailable))
}

fn odd(lower: &LayerSpec) -> Result<Option<&'static str>, Failure> {
    Ok(match lower.medium.map_or_else(|| stack::detect(&lower.path), Ok)? {
        Medium::Dir => None,
        Medium::Zip => Some("a zip"),
        Medium::Memory => Some("in memory"),
    })
}

/// Returns the obstacle of an upper that only ovl reads. What else is wrong with it is told when it is opened.
fn portable(upper: &LayerSpec) -> Option<Failure> {
    let is_portable = host::recorded_form(&upper.path).is_ok_and(|form| form == Some(Form::Portable));
    let why = || format!("the upper {} is portable: only ovl reads it", upper.path.display());
    is_portable.then(|| Failure::new(code::WRONG_FORM, why()))
}
