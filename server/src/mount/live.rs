//! The mount of a server: it stands as long as the server runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueHint, builder::BoolishValueParser};
use ovl_core::layers::host::{self, OverlayMount};

#[cfg(feature = "fuse")]
use super::fuse;
use super::{
    cache,
    driver::{self, Driver, DriverArg},
    kernel::{self, KernelArgs},
    left, point,
    standing::{How, Live},
};
use crate::{
    cli::{
        exit::Failure,
        flags::StackArgs,
        spec::{LayerSpec, Medium},
        stack::{self, Observer, Opened, Sheet},
        words,
    },
    mounts::{HostLayers, Mount},
};

/// Whether and how a server mounts what it serves.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Mount")]
pub struct MountArgs {
    /// Also mounts the tree, at this directory, as long as the server runs (Linux).
    #[arg(long, value_name = "MOUNTPOINT", env = "OVL_MOUNT", value_hint = ValueHint::DirPath)]
    mount: Option<PathBuf>,
    /// Who mounts. By FUSE, HTTP and the mount both change the tree. While the kernel has an upper mounted, changes are
    /// made through the mount alone, at the kernel's own speed. `auto` takes FUSE where there is an upper, and the kernel
    /// for directories that are only read.
    #[arg(long, value_enum, hide_possible_values = true, value_name = "auto|kernel|fuse", env = "OVL_DRIVER")]
    #[arg(default_value = "auto")]
    driver: DriverArg,
    /// Lets other users into a mount by FUSE. Off, since whoever mounts can show them what he likes, and keep them waiting.
    #[arg(long, env = "OVL_ALLOW_OTHER", value_parser = BoolishValueParser::new())]
    allow_other: bool,
    /// Tells clients the host's paths of the mount and its layers, at /v1/mounts and /v1/graphdriver.
    #[arg(long, env = "OVL_TELL_PATHS", value_parser = BoolishValueParser::new())]
    tell_paths: bool,
}

/// Opens a stack to be served, and mounts it where that is asked for, but not when this is a dry run.
///
/// # Errors
/// What [`stack::open`] refuses, a mount point that is no directory or lies in a layer (2), a missing one (3), and what
/// the driver refuses.
pub(crate) fn open(
    args: &MountArgs,
    stack: &StackArgs,
    nonce: u64,
    observer: Observer,
    is_dry: bool,
) -> Result<(Opened, Live), Failure> {
    let Some(point) = &args.mount else {
        if args.driver != DriverArg::Auto {
            return Err(Failure::usage("--driver is about a mount: name its place with --mount MOUNTPOINT"));
        }
        return Ok((stack::open(stack, nonce, Some(observer))?, Live::none()));
    };
    let point = point::whole(point)?;
    point::refuse_around(stack, &point)?;
    if !is_dry {
        left::clear(stack, &point)?;
    }
    let (mut driver, mut reason, mut detail) = choose(args.driver, stack)?;
    let (mut opened, live) = match driver {
        _ if is_dry => (stack::open(stack, nonce, Some(observer))?, Live::none()),
        Driver::Kernel => match by_kernel(stack, &point, nonce) {
            Err(failure) if args.driver == DriverArg::Auto => {
                (driver, reason, detail) = otherwise(failure);
                by_fuse(stack, args.allow_other, &point, nonce, observer)?
            }
            mounted => mounted?,
        },
        Driver::Fuse => by_fuse(stack, args.allow_other, &point, nonce, observer)?,
    };
    opened.mount = Some(Arc::new(Mount {
        driver,
        reason,
        detail,
        key: live.key(),
        command: command(driver, args, stack, &point),
        layers: layers(driver, stack, &point),
        owns_upper: driver == Driver::Kernel && stack.upper.is_some(),
        tell_paths: args.tell_paths,
        point,
    }));
    Ok((opened, live))
}

/// Who mounts, why, and more of the reason where there is more.
type Choice = (Driver, &'static str, Option<String>);

fn choose(wanted: DriverArg, stack: &StackArgs) -> Result<Choice, Failure> {
    match wanted {
        DriverArg::Kernel => driver::by_kernel(stack).map(|()| (Driver::Kernel, "asked for", None)),
        DriverArg::Fuse => Ok((Driver::Fuse, "asked for", None)),
        DriverArg::Auto if stack.upper.is_some() => {
            Ok((Driver::Fuse, "HTTP and the mount can both change the tree", None))
        }
        DriverArg::Auto => Ok(match driver::obstacle(stack)?.or(driver::zip(stack)?) {
            None => (Driver::Kernel, "every layer is a directory that is only read", None),
            Some(obstacle) => otherwise(obstacle),
        }),
    }
}

/// Returns the choice where the kernel does not mount.
fn otherwise(obstacle: Failure) -> Choice {
    (Driver::Fuse, "the kernel cannot mount this", Some(obstacle.message))
}

/// Lets the kernel mount the stack, and looks at its upper beside it.
fn by_kernel(stack: &StackArgs, point: &Path, nonce: u64) -> Result<(Opened, Live), Failure> {
    let unpack = |spec: &LayerSpec| cache::unpacked(spec, stack);
    let mounted = kernel::mount(stack, &KernelArgs::default(), point, &unpack)?;
    let form = mounted.upper.as_ref().map(|upper| (upper.form().to_string(), upper.form_reason().to_owned()));
    let record = left::record(stack, point);
    let live = Live::of(How::Kernel(mounted), point, record)?;
    let upper = stack.upper.iter().map(|spec| Sheet { form: form.clone(), ..Sheet::of(spec, true) });
    let layers = upper.chain(stack.lower.iter().map(|spec| Sheet::of(spec, false))).collect();
    let overlay = stack::open_to_read(stack, nonce)?;
    Ok((Opened { overlay, quota: None, layers, mount: None }, live))
}

#[cfg(feature = "fuse")]
fn by_fuse(
    stack: &StackArgs,
    others: bool,
    point: &Path,
    nonce: u64,
    observer: Observer,
) -> Result<(Opened, Live), Failure> {
    let stack = StackArgs { quiet: stack.upper.is_none(), ..stack.clone() };
    let opened = stack::open(&stack, nonce, Some(observer))?;
    let options = fuse::Options {
        layers: opened.layers.iter().filter_map(|layer| layer.path.clone()).collect(),
        room: opened.layers.first().filter(|layer| layer.upper).and_then(|layer| layer.path.clone()),
        others,
        ..fuse::Options::default()
    };
    let mounted = fuse::mount(opened.overlay.clone(), point, &options);
    let mounted = mounted.map_err(|error| point::fuse_failure(point, &error))?;
    Ok((opened, Live::of(How::Fuse(mounted), point, None)?))
}

#[cfg(not(feature = "fuse"))]
fn by_fuse(_: &StackArgs, _: bool, _: &Path, _: u64, _: Observer) -> Result<(Opened, Live), Failure> {
    Err(Failure::new(
        crate::cli::exit::code::FAILED,
        "this program was built without FUSE (its feature `fuse`); take --driver kernel",
    ))
}

fn command(driver: Driver, args: &MountArgs, stack: &StackArgs, point: &Path) -> String {
    let name = if driver == Driver::Kernel { "kernel" } else { "fuse" };
    let mut words = ["ovl", "mount", "--driver", name].map(str::to_owned).to_vec();
    words.extend((driver == Driver::Fuse && args.allow_other).then(|| "--allow-other".into()));
    words.extend(words::of(stack));
    words.push(point.to_string_lossy().into_owned());
    words::line(&words)
}

/// Returns the layers that lie on the host: what the kernel has mounted, or what the engine was given.
fn layers(driver: Driver, stack: &StackArgs, point: &Path) -> HostLayers {
    let overlays = if driver == Driver::Kernel { host::overlay_mounts().unwrap_or_default() } else { Vec::new() };
    if let Some(OverlayMount { lowers, upper, work, .. }) = overlays.into_iter().rfind(|mount| mount.point == point) {
        return HostLayers { lowers, upper, work };
    }
    let place = |spec: &LayerSpec| {
        let root = spec.root.to_string();
        (spec.medium != Some(Medium::Memory)).then(|| match root.trim_start_matches('/') {
            "" => words::whole(&spec.path),
            root => words::whole(&spec.path).join(root),
        })
    };
    let upper = stack.upper.as_ref().and_then(place);
    let beside = upper.as_ref().map(|upper| {
        let mut beside = upper.clone().into_os_string();
        beside.push(".ovl-work");
        beside.into()
    });
    let work = stack.work.as_deref().map(words::whole).filter(|_| upper.is_some()).or(beside);
    HostLayers { lowers: stack.lower.iter().filter_map(place).collect(), upper, work }
}
