//! Why the kernel did not mount an overlay: the one table from its numbers to causes (semantics M03 to M29).

use rustix::io::Errno;

use super::layers::{Place, overlapping};
use crate::cli::exit::{Failure, code};

/// What the kernel was asked when it refused.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// An overlay at all.
    Begin,
    /// To take a lower.
    Lower(&'a Place),
    /// To take the upper and its work directory.
    Upper,
    /// To take an option.
    Option(&'a str),
    /// To make the overlay of these lowers.
    Create(&'a [Place]),
    /// To show it at the mount point.
    Attach(&'a Place),
}

/// Explains a refusal; `said` is what the kernel wrote about it, if anything.
pub(super) fn step(step: &Step<'_>, errno: Errno, said: &str) -> Failure {
    let (code, cause) = cause(step, errno);
    let said = if said.is_empty() { String::new() } else { format!(" (the kernel: {said})") };
    Failure::new(code, format!("{}: {cause}{said}", what(step)))
}

fn what(step: &Step<'_>) -> String {
    match step {
        Step::Begin => "no overlay".into(),
        Step::Lower(lower) => format!("the kernel does not take the lower {}", lower.path.display()),
        Step::Upper => "the kernel does not take the upper".into(),
        Step::Option(name) => format!("the kernel does not take the option {name}"),
        Step::Create(_) => "the kernel refuses this stack".into(),
        Step::Attach(point) => format!("cannot mount at {}", point.path.display()),
    }
}

fn cause(step: &Step<'_>, errno: Errno) -> (u8, String) {
    let (code, cause) = match (step, errno) {
        (Step::Begin, Errno::PERM) => {
            (code::PERMISSION, "this user may not mount; root may, and `ovl run` mounts for one command without root")
        }
        (Step::Begin, Errno::NODEV) => (code::FAILED, "this kernel has no overlay (its module `overlay` is missing)"),
        (Step::Option(_), Errno::INVAL) => (code::USAGE, "this kernel does not know it, or was built without it"),
        (Step::Create(lowers), Errno::LOOP) => return (code::USAGE, why_loop(lowers)),
        (Step::Create(_), Errno::INVAL) => (
            code::FAILED,
            "a layer may be an overlay over overlays already, or lie where names ignore case; \
             or the upper and its work directory are not on one mount (`dmesg` may tell which)",
        ),
        (Step::Create(_), Errno::STALE) => {
            (code::CONFLICT, "the upper's index belongs to other lowers; mount it over the same ones as before")
        }
        (Step::Create(_), Errno::BUSY) => (
            code::UPPER_BUSY,
            "another mount uses the upper or its work directory, perhaps in another mount namespace; end that first",
        ),
        (Step::Create(_), Errno::ROFS) => {
            (code::PERMISSION, "the upper is on a read-only file system; choose another place for it")
        }
        (Step::Create(_), Errno::PERM | Errno::ACCESS) => {
            (code::PERMISSION, "a layer or the work directory may not be used by this user")
        }
        (Step::Attach(_), Errno::PERM | Errno::ACCESS) => (code::PERMISSION, "this user may not"),
        (Step::Attach(_), Errno::NOENT) => (code::NOT_FOUND, "the directory was removed meanwhile"),
        _ => return (code::FAILED, std::io::Error::from(errno).to_string()),
    };
    (code, cause.to_owned())
}

fn why_loop(lowers: &[Place]) -> String {
    match overlapping(lowers) {
        Some((inner, outer)) => {
            let (inner, outer) = (inner.path.display(), outer.path.display());
            format!("the lower {inner} is also the lower {outer}, or lies in it; leave one out")
        }
        None => "a layer is another one or lies in it, perhaps by a bind mount; leave one out".into(),
    }
}
