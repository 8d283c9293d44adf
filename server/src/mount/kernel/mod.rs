//! The kernel's overlay, by the mount interface that takes each layer as a descriptor.
//!
//! No path is joined or escaped, so that any name works, and nothing can be swapped between a check and the mount. A kernel
//! before 6.8 gets one string (`string`).
//!
//! ```text
//! options   what is asked of the kernel, and the pairs that it refuses
//! layers    descriptors of the layers, and which of them lie in one another
//! context   the kernel's side of a mount that is being made
//! string    the same by mount(2), where the kernel takes no layers one by one
//! explain   why it did not work: the one table of errno
//! ```

mod context;
mod explain;
mod layers;
mod options;
mod string;

use std::{os::fd::AsFd, path::Path};

use ovl_core::{
    Error, ErrorKind,
    layers::host::{self, Form, KernelUpper},
};
use rustix::mount::MountAttrFlags;

use self::{context::Context, layers::Place, options::Setting};
pub(crate) use self::{layers::mount_point, options::KernelArgs};
use super::cache::Lease;
use crate::cli::{
    exit::{Failure, code},
    flags::{FormArg, StackArgs},
    spec::{LayerSpec, Medium},
    stack,
};

/// The most lowers that the kernel stacks (semantics M07).
const LOWERS_MAX: usize = 500;

/// Returns why this process cannot let the kernel mount an overlay.
pub(crate) fn unavailable() -> Option<Failure> {
    Context::open().err()
}

/// What the kernel is asked to mount, and where.
struct Request<'a> {
    lowers: &'a [Place],
    upper: Option<&'a KernelUpper>,
    settings: &'a [Setting],
    attributes: MountAttrFlags,
    point: &'a Place,
}

/// What nobody else may take before the mount is in the table that others read: keep it until then, or to the mount's end
/// where it never is.
#[derive(Debug)]
pub(crate) struct Mounted {
    pub(crate) upper: Option<KernelUpper>,
    _trees: Vec<Option<Lease>>,
}

/// Mounts a stack at `point`. The kernel stacks directories alone: `unpack` makes one of a zip.
///
/// # Errors
/// Options that contradict each other, too many or too few layers, layers that lie in one another (2), a missing layer
/// or mount point (3), an upper whose index belongs to other lowers or that needs `--metacopy` (4), no permission (5), an upper in use (8) or in a
/// form that the kernel does not read (9), and what else the kernel refuses (1).
pub(crate) fn mount(
    args: &StackArgs,
    kernel: &KernelArgs,
    point: &Path,
    unpack: &dyn Fn(&LayerSpec) -> Result<Lease, Failure>,
) -> Result<Mounted, Failure> {
    refuse_count(args)?;
    stack::refuse_order(args)?;
    kernel.refuse_pairs(args)?;
    let context = Context::open()?;
    let point = mount_point(point)?;
    let tree = |spec: &LayerSpec| (stack::medium(spec)? == Medium::Zip).then(|| unpack(spec)).transpose();
    let trees = args.lower.iter().map(tree).collect::<Result<Vec<Option<Lease>>, Failure>>()?;
    let stacked = args.lower.iter().zip(&trees);
    let lowers = stacked.map(|(spec, lease)| layers::lower(spec, lease.as_ref().map(|lease| lease.tree.as_fd())));
    let lowers = lowers.collect::<Result<Vec<Place>, _>>()?;
    let upper = args.upper.as_ref().map(|spec| claim(spec, args, kernel)).transpose()?;
    let is_user = upper.as_ref().map_or(kernel.userxattr, |upper| upper.form() == Form::KernelUser);
    let settings = kernel.settings(args, is_user)?;
    let attributes = kernel.attributes();
    let request = Request { lowers: &lowers, upper: upper.as_ref(), settings: &settings, attributes, point: &point };
    if !context.map_or(Ok(false), |context| context.mount(&request))? {
        string::mount(&request)?;
    }
    Ok(Mounted { upper, _trees: trees })
}

fn refuse_count(args: &StackArgs) -> Result<(), Failure> {
    match (args.lower.len(), &args.upper) {
        (0, _) => Err(Failure::usage("no lower: name the layers to stack with --lower DIR")),
        (1, None) => Err(Failure::usage(
            "one layer alone is no stack, and the kernel refuses it: name where changes go with --upper DIR, or a second --lower",
        )),
        (count, _) if count > LOWERS_MAX => {
            Err(Failure::usage(format!("{count} lowers are too many: the kernel stacks at most {LOWERS_MAX}")))
        }
        _ => Ok(()),
    }
}

/// Takes the upper for the kernel.
fn claim(spec: &LayerSpec, args: &StackArgs, kernel: &KernelArgs) -> Result<KernelUpper, Failure> {
    let path = stack::directory_of(spec, args)?
        .ok_or_else(|| Failure::usage("the kernel keeps changes in a directory: --upper DIR, not mem:"))?;
    let mut options = stack::upper_options(spec, args);
    if kernel.userxattr {
        options.form = Some(stack::form(FormArg::KernelUser));
    }
    let upper = host::upper_for_kernel(path, &options, kernel.index).map_err(|error| claim_failure(path, &error))?;
    if !kernel.metacopy {
        refuse_metadata_alone(path, &upper)?;
    }
    Ok(upper)
}

/// Refuses an upper with files that the kernel would not let be opened.
fn refuse_metadata_alone(path: &Path, upper: &KernelUpper) -> Result<(), Failure> {
    let Some(file) = upper.metadata_alone().map_err(|error| claim_failure(path, &error))? else { return Ok(()) };
    let (shown, file) = (path.display(), ovl_core::printable(file.as_bytes()));
    let why = format!("in the upper {shown} the attributes of /{file} came up without its content");
    let advice = "the kernel shows it with `ovl mount --metacopy` alone; or mount by FUSE (`--driver fuse`)";
    Err(Failure::new(code::CONFLICT, format!("{why}; {advice}")))
}

fn claim_failure(path: &Path, error: &Error) -> Failure {
    let (shown, cause) = (path.display(), error.cause().unwrap_or_else(|| error.kind().reason().to_owned()));
    match error.kind() {
        ErrorKind::WrongForm => {
            let advice =
                "take another --upper, and bring the changes there with `ovl export --what upper` and `ovl import`";
            Failure::new(code::WRONG_FORM, format!("the kernel cannot mount the upper {shown}: {cause}; {advice}"))
        }
        ErrorKind::Unsupported => Failure::new(code::CONFLICT, format!("the upper {shown} is not free: {cause}")),
        _ => stack::upper_failure(path, error),
    }
}
