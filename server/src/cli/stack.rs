//! Opening the stack that the flags name: the only place that knows concrete layers.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ovl_core::{
    Blob, Error, ErrorKind, Layer, Overlay, VPath, WritableLayer,
    layers::{
        data_only::DataOnly,
        host::{self, Durability, Form, HostLower, HostUpper, LowerOptions, UpperOptions},
        memory::Memory,
        quota::{Quota, Usage},
        subtree::Subtree,
        zip::{self, Backslash, Names},
    },
    overlay::{Event, Policy},
};

use super::{
    exit::{Failure, code, of_kind},
    flags::{DurabilityArg, FormArg, StackArgs, Switch, ZipBackslash, ZipNames},
    spec::{LayerSpec, Medium},
};
use crate::mounts::Mount;

/// An opened stack, and what a person wants to know about it.
#[derive(Debug)]
pub struct Opened {
    /// The overlay.
    pub overlay: Arc<Overlay>,
    /// What limits the upper, if anything does.
    pub quota: Option<Arc<Quota>>,
    /// One line a layer, topmost first.
    pub layers: Vec<Sheet>,
    /// Where it is mounted as well, if it is.
    pub mount: Option<Arc<Mount>>,
}

/// A layer as a person named it.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Whether changes go there.
    pub upper: bool,
    /// Where it lies; `None` in memory.
    pub path: Option<PathBuf>,
    /// Which of its directories is shown as its root.
    pub root: VPath,
    /// The form of a directory upper, and why it is this one.
    pub form: Option<(String, String)>,
}

/// What hears of every change, in order.
pub type Observer = Box<dyn Fn(&Event) + Send + Sync>;

/// Opens the layers and stacks them.
///
/// # Errors
/// No layer at all, an upper that is a zip or lies inside a lower (2), a missing lower (3), an upper that cannot
/// be written (5), a damaged archive (6), an upper in use (8) or in another form (9).
pub fn open(args: &StackArgs, nonce: u64, observer: Option<Observer>) -> Result<Opened, Failure> {
    if args.lower.is_empty() && args.upper.is_none() {
        return Err(Failure::usage("no layers: name some with --lower PATH, and where changes go with --upper DIR"));
    }
    let lowers = lowers(args, nonce)?;
    let upper = args.upper.as_ref().map(|spec| upper(spec, args, nonce)).transpose()?;
    let mut layers: Vec<Sheet> = upper.iter().map(|(_, sheet)| sheet.clone()).collect();
    layers.extend(args.lower.iter().map(|spec| Sheet::of(spec, false)));
    let policy = Policy { redirect_dir: args.redirect_dir == Switch::On };
    let upper = upper.map(|(layer, _)| layer);
    let quota = upper.clone().and_then(|upper| limited(upper, args)).transpose()?;
    let upper = quota.clone().map(|quota| quota as Arc<dyn WritableLayer>).or(upper);
    let overlay = Overlay::new(upper, lowers, policy, observer)?;
    Ok(Opened { overlay, quota, layers, mount: None })
}

/// Opens the layers to look at them: nothing is made, locked or changed, and a server may use the upper meanwhile.
/// An upper that is not there yet is empty.
///
/// # Errors
/// As [`open`], but for an upper in use.
pub fn open_to_read(args: &StackArgs, nonce: u64) -> Result<Arc<Overlay>, Failure> {
    let Some(spec) = &args.upper else { return Ok(open(args, nonce, None)?.overlay) };
    let lowers = lowers(args, nonce)?;
    let upper: Arc<dyn Layer> = match directory_of(spec, args)? {
        Some(path) if path.exists() => {
            let opened = host::upper_to_read(path, &upper_options(spec, args));
            opened.map_err(|error| unreadable(path, &error))?
        }
        Some(path) if !holder(path).is_dir() => {
            return Err(upper_failure(path, &Error::new(ErrorKind::NotFound, "open upper")));
        }
        _ => Memory::new(&name(spec), nonce),
    };
    Ok(Overlay::to_read(upper, lowers)?)
}

/// Returns an upper with the limits that the flags name, `None` where they name none.
fn limited(upper: Arc<dyn WritableLayer>, args: &StackArgs) -> Option<ovl_core::Result<Arc<Quota>>> {
    args.quota.or(args.quota_entries)?;
    let (bytes, entries) = (args.quota.unwrap_or(u64::MAX), args.quota_entries.unwrap_or(u64::MAX));
    Some(Quota::new(upper, Usage { bytes, entries }))
}

impl Sheet {
    pub(crate) fn of(spec: &LayerSpec, upper: bool) -> Self {
        let path = (spec.medium != Some(Medium::Memory)).then(|| spec.path.clone());
        Self { upper, path, root: spec.root.clone(), form: None }
    }
}

/// Returns what to call a layer: never more than the last part of its path (trust T32).
fn name(spec: &LayerSpec) -> String {
    let last = || spec.path.file_name().map(|name| name.to_string_lossy().into_owned());
    spec.name
        .clone()
        .or_else(last)
        .unwrap_or_else(|| if spec.path.as_os_str().is_empty() { "mem" } else { "dir" }.into())
}

/// Opens the lowers, topmost first.
pub(crate) fn lowers(args: &StackArgs, nonce: u64) -> Result<Vec<Arc<dyn Layer>>, Failure> {
    refuse_order(args)?;
    args.lower.iter().map(|spec| lower(spec, args, nonce)).collect()
}

/// Refuses layers that give content alone anywhere but behind all others (semantics M09).
pub(crate) fn refuse_order(args: &StackArgs) -> Result<(), Failure> {
    let Some(at) = args.lower.iter().position(|spec| spec.data_only) else { return Ok(()) };
    let data = args.lower[at].path.display();
    if at == 0 {
        return Err(Failure::usage(format!(
            "the lower {data} is data-only and no lower is above it; name one that says which file has which content"
        )));
    }
    match args.lower[at..].iter().find(|spec| !spec.data_only) {
        None => Ok(()),
        Some(other) => {
            let other = other.path.display();
            Err(Failure::usage(format!("the lower {data} is data-only and above {other}; name data-only lowers last")))
        }
    }
}

fn lower(spec: &LayerSpec, args: &StackArgs, nonce: u64) -> Result<Arc<dyn Layer>, Failure> {
    let medium = medium(spec)?;
    let opened: ovl_core::Result<Arc<dyn Layer>> = match medium {
        Medium::Memory => Ok(Memory::new(&name(spec), nonce)),
        Medium::Dir => {
            let options = LowerOptions { name: name(spec), ..LowerOptions::default() };
            open_lower(&spec.path, options, args.quiet).map(|layer| layer as Arc<dyn Layer>)
        }
        Medium::Zip => host::file(&spec.path).and_then(|source| Ok(archive(source, spec, args)? as Arc<dyn Layer>)),
    };
    let layer = beneath(opened.map_err(|error| lower_failure(&spec.path, &error))?, spec)?;
    Ok(if spec.data_only { DataOnly::new(layer) } else { layer })
}

/// Opens a directory so that the kernel may read its files by itself, where that can be and is asked for.
#[cfg(all(target_os = "linux", feature = "fuse"))]
fn open_lower(path: &Path, options: LowerOptions, quiet: bool) -> ovl_core::Result<Arc<HostLower>> {
    use std::os::fd::AsRawFd;
    let dir = quiet.then(|| crate::mount::quiet::opened(path).ok()).flatten();
    match dir {
        Some(dir) => host::lower(Path::new(&format!("/proc/self/fd/{}", dir.as_raw_fd())), options),
        None => host::lower(path, options),
    }
}

#[cfg(not(all(target_os = "linux", feature = "fuse")))]
fn open_lower(path: &Path, options: LowerOptions, _quiet: bool) -> ovl_core::Result<Arc<HostLower>> {
    host::lower(path, options)
}

/// Shows only the directory that `root=` names.
fn beneath(layer: Arc<dyn Layer>, spec: &LayerSpec) -> Result<Arc<dyn Layer>, Failure> {
    if spec.root.is_root() {
        return Ok(layer);
    }
    Subtree::new(layer, &spec.root).map(|layer| layer as Arc<dyn Layer>).map_err(|error| root_failure(spec, &error))
}

/// Tells why a lower does not show the directory that `root=` names.
pub(crate) fn root_failure(spec: &LayerSpec, error: &Error) -> Failure {
    let (shown, root) = (spec.path.display(), &spec.root);
    match error.kind() {
        ErrorKind::NotFound => {
            let advice = "check root= (without it, `ovl ls -R` shows what there is)";
            Failure::new(code::NOT_FOUND, format!("the lower {shown} has no directory {root}; {advice}"))
        }
        ErrorKind::NotADirectory | ErrorKind::Loop => {
            Failure::usage(format!("{root} in the lower {shown} is no directory; root= takes none else"))
        }
        _ => lower_failure(&spec.path, error),
    }
}

/// Opens an archive as the flags say.
pub(crate) fn archive(source: Arc<dyn Blob>, spec: &LayerSpec, args: &StackArgs) -> ovl_core::Result<Arc<zip::Zip>> {
    let names = match args.zip_names {
        ZipNames::Cp437 => Names::Cp437,
        ZipNames::Windows1252 => Names::Windows1252,
        ZipNames::Bytes => Names::Bytes,
    };
    let backslash = match args.zip_backslash {
        ZipBackslash::Keep => Backslash::Keep,
        ZipBackslash::Separator => Backslash::Separator,
    };
    let options = zip::Options { name: name(spec), names, backslash, strict: args.strict, ..zip::Options::default() };
    zip::open(source, &options)
}

/// Returns what a layer is made of.
pub(crate) fn medium(spec: &LayerSpec) -> Result<Medium, Failure> {
    spec.medium.map_or_else(|| detect(&spec.path), Ok)
}

/// Tells a directory from a zip by what is there, not by the name.
fn detect(path: &Path) -> Result<Medium, Failure> {
    let failed = |error: Error| lower_failure(path, &error);
    let meta = std::fs::metadata(path).map_err(|error| failed(error.into()))?;
    if meta.is_dir() {
        return Ok(Medium::Dir);
    }
    let source = host::file(path).map_err(failed)?;
    if zip::sniff(&*source).map_err(failed)? {
        return Ok(Medium::Zip);
    }
    let shown = path.display();
    Err(Failure::new(code::CORRUPT, format!("{shown} is neither a directory nor a zip; is the download complete?")))
}

/// Tells why a lower cannot be opened.
pub(crate) fn lower_failure(path: &Path, error: &Error) -> Failure {
    let shown = path.display();
    let cause = error.cause().map(|cause| format!(" ({cause})")).unwrap_or_default();
    match error.kind() {
        ErrorKind::NotFound => Failure::new(code::NOT_FOUND, format!("no such lower: {shown}; check --lower")),
        ErrorKind::Corrupt => {
            let advice = "fetch it again, or look with `ovl inspect`";
            Failure::new(code::CORRUPT, format!("the archive {shown} is damaged{cause}; {advice}"))
        }
        kind => Failure::new(of_kind(kind), format!("cannot open the lower {shown}: {}{cause}", kind.reason())),
    }
}

fn upper(spec: &LayerSpec, args: &StackArgs, nonce: u64) -> Result<(Arc<dyn WritableLayer>, Sheet), Failure> {
    match directory_of(spec, args)? {
        None => Ok((Memory::new(&name(spec), nonce), Sheet::of(spec, true))),
        Some(_) => directory(spec, args),
    }
}

/// Returns the directory that an upper is, `None` for memory. Refuses a zip, and a directory that a lower overlaps.
pub(crate) fn directory_of<'a>(spec: &'a LayerSpec, args: &StackArgs) -> Result<Option<&'a Path>, Failure> {
    if !spec.root.is_root() {
        return Err(Failure::usage("root= is for a lower: changes go to the root of an upper; name that directory"));
    }
    if spec.data_only {
        return Err(Failure::usage("data-only is for a lower: an upper shows what is changed; leave it out"));
    }
    match spec.medium {
        Some(Medium::Memory) => return Ok(None),
        Some(Medium::Zip) => return Err(Failure::usage("a zip cannot take changes: --upper is a directory, or mem:")),
        Some(Medium::Dir) | None => {}
    }
    args.lower.iter().try_for_each(|lower| refuse_overlap(&spec.path, &lower.path))?;
    Ok(Some(&spec.path))
}

fn directory(spec: &LayerSpec, args: &StackArgs) -> Result<(Arc<dyn WritableLayer>, Sheet), Failure> {
    let options = upper_options(spec, args);
    let layer = host::upper(&spec.path, options).map_err(|error| upper_failure(&spec.path, &error))?;
    let form = Some((layer.form().to_string(), HostUpper::form_reason(&layer).to_owned()));
    Ok((layer, Sheet { form, ..Sheet::of(spec, true) }))
}

/// Returns how an upper is opened.
pub(crate) fn upper_options(spec: &LayerSpec, args: &StackArgs) -> UpperOptions {
    UpperOptions {
        name: name(spec),
        work: args.work.clone(),
        form: args.upper_form.map(form),
        durability: match args.durability {
            DurabilityArg::Full => Durability::Full,
            DurabilityArg::Ordered => Durability::Ordered,
            DurabilityArg::None => Durability::None,
        },
        privileged_metadata: args.privileged_metadata,
    }
}

/// Returns the engine's word for a form.
pub(crate) fn form(arg: FormArg) -> Form {
    match arg {
        FormArg::KernelTrusted => Form::KernelTrusted,
        FormArg::KernelUser => Form::KernelUser,
        FormArg::Portable => Form::Portable,
    }
}

/// Refuses an upper that is a lower, lies inside one or holds one: changes would show twice.
fn refuse_overlap(upper: &Path, lower: &Path) -> Result<(), Failure> {
    if !overlap(upper, lower)? {
        return Ok(());
    }
    let (upper, lower) = (upper.display(), lower.display());
    Err(Failure::usage(format!("the upper {upper} and the lower {lower} overlap; put the upper somewhere else")))
}

/// Returns whether one of two directories is the other, or lies inside it. The first may be missing yet.
pub(crate) fn overlap(one: &Path, other: &Path) -> Result<bool, Failure> {
    let stands = |path: &Path| if path.is_dir() { Some(path.to_owned()) } else { None };
    let Some(other) = stands(other) else { return Ok(false) };
    let Some(nearest) = stands(one).or_else(|| stands(holder(one))) else { return Ok(false) };
    let inside = host::is_same_or_within(&nearest, &other)?;
    let holds = one.is_dir() && host::is_same_or_within(&other, one)?;
    Ok(inside || holds)
}

/// Returns the directory in which a path stands.
fn holder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unreadable(path: &Path, error: &Error) -> Failure {
    let cause = error.cause().map(|cause| format!(" ({cause})")).unwrap_or_default();
    match error.kind() {
        ErrorKind::PermissionDenied => {
            Failure::new(code::PERMISSION, format!("the upper {} cannot be read{cause}", path.display()))
        }
        _ => upper_failure(path, error),
    }
}

/// Tells why an upper cannot be opened.
pub(crate) fn upper_failure(path: &Path, error: &Error) -> Failure {
    let shown = path.display();
    let cause = error.cause().map(|cause| format!(" ({cause})")).unwrap_or_default();
    match error.kind() {
        ErrorKind::NotFound => {
            Failure::new(code::NOT_FOUND, format!("the parent of the upper {shown} is missing; make it first{cause}"))
        }
        ErrorKind::Busy => {
            let advice = "stop the other server or unmount it, or take another --upper";
            Failure::new(code::UPPER_BUSY, format!("the upper {shown} is in use{cause}; {advice}"))
        }
        ErrorKind::WrongForm => {
            let advice = "leave out --upper-form to take the recorded one";
            Failure::new(code::WRONG_FORM, format!("the upper {shown} was written in another form{cause}; {advice}"))
        }
        ErrorKind::NotADirectory => {
            Failure::usage(format!("the upper {shown} is no directory; --upper takes a directory, or mem:"))
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnly => {
            let advice = "choose a directory that this user may write";
            Failure::new(code::PERMISSION, format!("the upper {shown} cannot be written{cause}; {advice}"))
        }
        kind => Failure::new(of_kind(kind), format!("cannot open the upper {shown}: {}{cause}", kind.reason())),
    }
}
