//! An overlay by mount(2), for kernels that do not take layers one by one: before 6.8, and before 6.13 for long paths.
//!
//! All names go into one string of at most a page. They are the real ones where they fit, since the table of mounts tells
//! them to everyone; lowers that do not fit are named by the numbers of their descriptors, as seen from the directory of
//! these. So 500 lowers fit whatever they are called, and the upper's names must fit beside them.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, AsRawFd},
    thread,
};

use rustix::{
    io::Errno,
    mount::{MountAttrFlags, MountFlags},
    process::chdir,
    thread::UnshareFlags,
};

use super::{
    Request,
    explain::{self, Step},
    layers::{escaped, known_as},
};
use crate::cli::exit::{Failure, code};

/// A page, and the NUL behind the string.
const STRING_MAX: usize = 4095;

/// Mounts the layers.
pub(super) fn mount(request: &Request<'_>) -> Result<(), Failure> {
    let told = options(request, true).and_then(|told| match told.len() {
        ..=STRING_MAX => Ok(told),
        _ => options(request, false),
    });
    let told = told.map_err(|error| Failure::io("cannot name the layers", error, "try again"))?;
    if told.len() > STRING_MAX {
        let why = format!("the names of the layers need {} bytes, and this kernel takes {STRING_MAX}", told.len());
        let advice = "give the upper and its work directory shorter paths, or mount with --driver fuse";
        return Err(Failure::new(code::FAILED, format!("{why}; {advice}")));
    }
    let told = CString::new(told).expect("no name holds a NUL");
    let point = format!("/proc/self/fd/{}", request.point.fd.as_raw_fd());
    let flags = flags(request.attributes);
    // A thread may have a current directory of its own.
    let mounted = thread::scope(|scope| {
        let mount = || {
            enter_descriptors()?;
            rustix::mount::mount("overlay", &*point, "overlay", flags, &*told)
        };
        scope.spawn(mount).join().expect("nothing in it panics")
    });
    mounted.map_err(|errno| {
        let begin = matches!(errno, Errno::PERM | Errno::NODEV);
        explain::step(&if begin { Step::Begin } else { Step::Create(request.lowers) }, errno, "")
    })
}

fn enter_descriptors() -> rustix::io::Result<()> {
    #[expect(deprecated, reason = "what is unsafe is to part with the table of descriptors, which this does not")]
    rustix::thread::unshare(UnshareFlags::FS)?;
    chdir("/proc/self/fd")
}

/// Returns all that is asked of the kernel, as one string.
fn options(request: &Request<'_>, by_name: bool) -> io::Result<Vec<u8>> {
    let lowers = request.lowers.iter().map(|lower| match by_name || lower.is_kept {
        true => name(&lower.fd),
        false => Ok(lower.fd.as_raw_fd().to_string().into_bytes()),
    });
    let mut told = b"lowerdir=".to_vec();
    for (at, (lower, name)) in request.lowers.iter().zip(lowers).enumerate() {
        told.extend_from_slice(match (at, lower.data_only) {
            (0, _) => b"",
            (_, false) => b":",
            (_, true) => b"::",
        });
        told.extend(name?);
    }
    if let Some(upper) = request.upper {
        told.extend(
            [b",upperdir=".to_vec(), name(upper.upper())?, b",workdir=".to_vec(), name(upper.work())?].concat(),
        );
    }
    for (name, value) in request.settings {
        let value = value.map(|value| format!("={value}")).unwrap_or_default();
        told.extend(format!(",{name}{value}").bytes());
    }
    Ok(told)
}

/// Returns the path of a directory for the string.
fn name(fd: impl AsFd) -> io::Result<Vec<u8>> {
    Ok(escaped(known_as(fd)?.as_os_str()))
}

fn flags(attributes: MountAttrFlags) -> MountFlags {
    let pairs = [
        (MountAttrFlags::MOUNT_ATTR_NOSUID, MountFlags::NOSUID),
        (MountAttrFlags::MOUNT_ATTR_NODEV, MountFlags::NODEV),
    ];
    pairs.into_iter().filter(|(attribute, _)| attributes.contains(*attribute)).map(|(_, flag)| flag).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use ovl_core::layers::host::{UpperOptions, upper_for_kernel};

    use super::{
        super::{
            context::tests::private,
            layers::{Place, lower, mount_point},
        },
        *,
    };

    /// Mounts lowers, and an upper where one is named, by one string.
    fn mount_all(lowers: &[Place], upper: Option<&Path>, point: &Path) -> Result<(), Failure> {
        let upper = upper.map(|upper| upper_for_kernel(upper, &UpperOptions::default(), false).unwrap());
        let (point, attributes) = (mount_point(point).unwrap(), MountAttrFlags::MOUNT_ATTR_NOSUID);
        let settings = [("metacopy", Some("off"))];
        mount(&Request { lowers, upper: upper.as_ref(), settings: &settings, attributes, point: &point })
    }

    fn opened(path: &Path) -> Place {
        fs::create_dir_all(path).unwrap();
        let spec = format!("path={}", path.to_str().unwrap().replace(',', ",,"));
        lower(&spec.parse().unwrap(), None).unwrap()
    }

    #[test]
    fn one_string_names_layers_of_any_name() {
        let place = tempfile::tempdir().unwrap();
        if let Err(error) = private(place.path()) {
            eprintln!("skipped: no mount namespace of its own: {error}");
            return;
        }
        for (number, odd) in
            ["a:b", "a,b", "a\\b", "a\\:b\\\\,c", "a b", "a\nb", "a=b", ",lowerdir=x", ":", "\\"].iter().enumerate()
        {
            let at = |name: &str| place.path().join(format!("{number}")).join(odd).join(name);
            let lowers = [opened(&at("l1")), opened(&at("l2"))];
            fs::write(at("l2/x"), "lower").unwrap();
            for name in ["m", "u"] {
                fs::create_dir_all(at(name)).unwrap();
            }
            mount_all(&lowers, Some(&at("u")), &at("m")).unwrap();
            fs::write(at("m/y"), "upper").unwrap();
            assert_eq!(fs::read(at("m/x")).unwrap(), b"lower", "{odd:?}");
            assert_eq!(fs::read(at("u/y")).unwrap(), b"upper", "{odd:?}");
            let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
            assert!(table.lines().last().unwrap().contains("nosuid"), "{table}");
        }
    }

    #[test]
    fn five_hundred_lowers_fit_whatever_they_are_called() {
        let place = tempfile::tempdir().unwrap();
        if let Err(error) = private(place.path()) {
            eprintln!("skipped: no mount namespace of its own: {error}");
            return;
        }
        let at = |number: usize| place.path().join("x:,".repeat(60)).join(number.to_string());
        let before = std::env::current_dir().unwrap();
        let mut lowers: Vec<Place> = (0..500).map(|number| opened(&at(number))).collect();
        (0..500).for_each(|number| fs::write(at(number).join(format!("f{number}")), "").unwrap());
        lowers[7].is_kept = true;
        let (point, long) = (place.path().join("m"), place.path().join("y".repeat(200)));
        fs::create_dir(&point).unwrap();
        fs::create_dir(&long).unwrap();
        mount_all(&lowers, Some(&long.join("u")), &point).unwrap();
        assert_eq!(fs::read_dir(&point).unwrap().count(), 500);
        assert_eq!(std::env::current_dir().unwrap(), before);
        let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        assert!(table.lines().last().unwrap().contains("/7:"), "what has to be told is told");

        let deep = (0..10).fold(place.path().to_owned(), |path, _| path.join("z".repeat(240)));
        fs::create_dir_all(&deep).unwrap();
        let why = mount_all(&lowers, Some(&deep.join("u")), &point).unwrap_err();
        assert!(why.message.contains("this kernel takes 4095"), "{}", why.message);
    }
}
