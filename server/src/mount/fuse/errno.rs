//! The one table from the engine's kinds of failure to what a system call returns.

use fuser::Errno;
use ovl_core::{Error, ErrorKind};

/// Returns what a system call answers for a failure of the engine.
pub(super) fn of(error: &Error) -> Errno {
    match error.kind() {
        ErrorKind::NotFound => Errno::ENOENT,
        ErrorKind::AlreadyExists => Errno::EEXIST,
        ErrorKind::NotADirectory => Errno::ENOTDIR,
        ErrorKind::IsADirectory => Errno::EISDIR,
        ErrorKind::NotEmpty => Errno::ENOTEMPTY,
        ErrorKind::CrossLayerRename => Errno::EXDEV,
        ErrorKind::Loop => Errno::ELOOP,
        ErrorKind::NameTooLong => Errno::ENAMETOOLONG,
        ErrorKind::NoAttribute => Errno::ENODATA,
        ErrorKind::PermissionDenied => Errno::EPERM,
        ErrorKind::NoUpper | ErrorKind::ReadOnly => Errno::EROFS,
        ErrorKind::NoSpace => Errno::ENOSPC,
        ErrorKind::TooLarge => Errno::EFBIG,
        ErrorKind::Busy => Errno::EBUSY,
        ErrorKind::LayerChanged => Errno::ESTALE,
        ErrorKind::Unsupported | ErrorKind::UnsupportedEntry => Errno::EOPNOTSUPP,
        ErrorKind::InvalidPath | ErrorKind::UnsupportedName | ErrorKind::InvalidInput | ErrorKind::BadMark => {
            Errno::EINVAL
        }
        _ => Errno::EIO,
    }
}
