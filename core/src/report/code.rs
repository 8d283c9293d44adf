//! What a failure is called: the one table from [`ErrorKind`].

use crate::ErrorKind;

/// Returns the word for a kind of failure, as the API's problems have it, and the kernel's name where it has one.
pub fn code(kind: ErrorKind) -> (&'static str, Option<&'static str>) {
    match kind {
        ErrorKind::InvalidPath => ("invalid-path", Some("EINVAL")),
        ErrorKind::NameTooLong => ("name-too-long", Some("ENAMETOOLONG")),
        ErrorKind::UnsupportedName => ("unsupported-name", Some("EINVAL")),
        ErrorKind::InvalidInput => ("invalid-body", Some("EINVAL")),
        ErrorKind::NotFound => ("not-found", Some("ENOENT")),
        ErrorKind::AlreadyExists => ("already-exists", Some("EEXIST")),
        ErrorKind::NotADirectory => ("not-a-directory", Some("ENOTDIR")),
        ErrorKind::IsADirectory => ("is-a-directory", Some("EISDIR")),
        ErrorKind::NotEmpty => ("directory-not-empty", Some("ENOTEMPTY")),
        ErrorKind::CrossLayerRename => ("cross-layer-rename", Some("EXDEV")),
        ErrorKind::Loop => ("loop", Some("ELOOP")),
        ErrorKind::UnsupportedEntry => ("unsupported-entry", None),
        ErrorKind::NoAttribute => ("not-found", Some("ENODATA")),
        ErrorKind::NoUpper => ("no-upper", Some("EROFS")),
        ErrorKind::ReadOnly => ("read-only", Some("EROFS")),
        ErrorKind::PermissionDenied => ("permission-denied", Some("EPERM")),
        ErrorKind::NoSpace => ("insufficient-storage", Some("ENOSPC")),
        ErrorKind::TooLarge => ("too-large", Some("EFBIG")),
        ErrorKind::Precondition => ("precondition-failed", None),
        ErrorKind::Corrupt => ("corrupt-layer", Some("EIO")),
        ErrorKind::BadMark => ("corrupt-layer", Some("EINVAL")),
        ErrorKind::LayerChanged => ("layer-changed", Some("ESTALE")),
        ErrorKind::Busy => ("busy", Some("EBUSY")),
        ErrorKind::WrongForm => ("corrupt-layer", None),
        ErrorKind::Unsupported => ("not-implemented", Some("EOPNOTSUPP")),
        ErrorKind::Io => ("io-error", Some("EIO")),
    }
}
