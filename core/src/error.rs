//! The one error type: what was tried, where, in which layer, and why it failed.

use std::{fmt, io};

use crate::path::{VPath, printable};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a caller can act on. Each front end maps it in one table: HTTP status, errno, exit code.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A path or name that no tree can hold.
    InvalidPath,
    /// A name over 255 bytes or a path over the limits (ENAMETOOLONG).
    NameTooLong,
    /// A name that this upper cannot hold.
    UnsupportedName,
    /// An argument out of its range (EINVAL).
    InvalidInput,
    /// Nothing stands there (ENOENT).
    NotFound,
    /// Something stands there already (EEXIST).
    AlreadyExists,
    /// A directory is needed (ENOTDIR).
    NotADirectory,
    /// A directory cannot be used here (EISDIR).
    IsADirectory,
    /// The directory still shows entries (ENOTEMPTY).
    NotEmpty,
    /// A lower or merged directory cannot be moved here; copying works (EXDEV).
    CrossLayerRename,
    /// Too many symbolic links (ELOOP).
    Loop,
    /// The entry's kind or coding does not take this operation: an unreadable member, a fifo's content.
    UnsupportedEntry,
    /// The extended attribute is not there (ENODATA).
    NoAttribute,
    /// The overlay is read-only because there is no upper (EROFS).
    NoUpper,
    /// The upper takes no more changes (EROFS).
    ReadOnly,
    /// Not permitted (EPERM, EACCES).
    PermissionDenied,
    /// No space, quota or descriptors left; nothing was changed (ENOSPC, EDQUOT, EMFILE).
    NoSpace,
    /// More bytes or entries than allowed.
    TooLarge,
    /// The condition of the request does not hold.
    Precondition,
    /// A layer contradicts itself or is damaged (EIO).
    Corrupt,
    /// A redirect or another mark in a layer is not valid (EINVAL, semantics N13).
    BadMark,
    /// A lower changed underneath (ESTALE).
    LayerChanged,
    /// Another process or mount holds it, or it kept changing (EBUSY).
    Busy,
    /// The upper is recorded in another form, or in several at once.
    WrongForm,
    /// The layer cannot do this at all (EOPNOTSUPP).
    Unsupported,
    /// Reading or writing failed (EIO).
    Io,
}

impl ErrorKind {
    /// Every kind, in this order.
    pub const ALL: &[Self] = &[
        Self::InvalidPath,
        Self::NameTooLong,
        Self::UnsupportedName,
        Self::InvalidInput,
        Self::NotFound,
        Self::AlreadyExists,
        Self::NotADirectory,
        Self::IsADirectory,
        Self::NotEmpty,
        Self::CrossLayerRename,
        Self::Loop,
        Self::UnsupportedEntry,
        Self::NoAttribute,
        Self::NoUpper,
        Self::ReadOnly,
        Self::PermissionDenied,
        Self::NoSpace,
        Self::TooLarge,
        Self::Precondition,
        Self::Corrupt,
        Self::BadMark,
        Self::LayerChanged,
        Self::Busy,
        Self::WrongForm,
        Self::Unsupported,
        Self::Io,
    ];

    /// Returns the reason in plain words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::InvalidPath => "not a valid path",
            Self::NameTooLong => "name or path too long",
            Self::UnsupportedName => "the upper cannot hold this name",
            Self::InvalidInput => "invalid argument",
            Self::NotFound => "no such file or directory",
            Self::AlreadyExists => "already exists",
            Self::NotADirectory => "not a directory",
            Self::IsADirectory => "is a directory",
            Self::NotEmpty => "directory not empty",
            Self::CrossLayerRename => "a lower or merged directory cannot be renamed here; copy it instead",
            Self::Loop => "too many symbolic links",
            Self::UnsupportedEntry => "this kind of entry does not support the operation",
            Self::NoAttribute => "no such extended attribute",
            Self::NoUpper => "read-only: the overlay has no upper layer",
            Self::ReadOnly => "the upper layer is read-only",
            Self::PermissionDenied => "permission denied",
            Self::NoSpace => "no space left; nothing was changed",
            Self::TooLarge => "too large",
            Self::Precondition => "the entry is not what the condition names",
            Self::Corrupt => "the layer is damaged or contradicts itself",
            Self::BadMark => "the layer holds an invalid overlay mark",
            Self::LayerChanged => "the layer changed underneath",
            Self::Busy => "in use",
            Self::WrongForm => "the upper was written in another form",
            Self::Unsupported => "not supported by this layer",
            Self::Io => "input/output error",
        }
    }
}

/// A failure: operation, path, layer, kind and cause.
///
/// ```
/// use ovl_core::{Error, ErrorKind, VPath};
/// let error = Error::new(ErrorKind::NotEmpty, "remove").at(&VPath::parse(b"photos").unwrap());
/// assert_eq!(error.to_string(), "remove /photos: directory not empty");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    op: &'static str,
    path: Option<Vec<u8>>,
    layer: Option<String>,
    source: Option<BoxError>,
}

impl Error {
    /// Returns a failure of `op` (a verb, such as "remove").
    #[cold]
    pub fn new(kind: ErrorKind, op: &'static str) -> Self {
        Self(Box::new(Inner { kind, op, path: None, layer: None, source: None }))
    }

    /// Names the path, replacing one that was named before.
    pub fn at(self, path: &VPath) -> Self {
        self.at_bytes(path.as_bytes())
    }

    /// Names the place by bytes that are no path (yet).
    pub fn at_bytes(mut self, path: &[u8]) -> Self {
        self.0.path = Some(path.to_vec());
        self
    }

    /// Names the path unless one is named already.
    pub fn or_at(mut self, path: &VPath) -> Self {
        self.0.path.get_or_insert_with(|| path.as_bytes().to_vec());
        self
    }

    /// Names the layer unless one is named already.
    pub fn in_layer(mut self, layer: &str) -> Self {
        self.0.layer.get_or_insert_with(|| layer.to_owned());
        self
    }

    /// Adds the cause: an error, or a sentence.
    pub fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns what a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed.
    pub fn op(&self) -> &'static str {
        self.0.op
    }

    /// Returns the bytes of the path, without a leading slash, where it is known.
    pub fn path(&self) -> Option<&[u8]> {
        self.0.path.as_deref()
    }

    /// Returns the layer's name, where it is known.
    pub fn layer(&self) -> Option<&str> {
        self.0.layer.as_deref()
    }

    /// Returns the cause as printable text, where there is one: a system's message may hold names.
    pub fn cause(&self) -> Option<String> {
        self.0.source.as_ref().map(|source| printable(source.to_string().as_bytes()).into_owned())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.op)?;
        if let Some(path) = &self.0.path {
            write!(f, " /{}", printable(path))?;
        }
        if let Some(layer) = &self.0.layer {
            write!(f, " in layer {}", printable(layer.as_bytes()))?;
        }
        write!(f, ": {}", self.0.kind.reason())?;
        match self.cause() {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// Translates a failure of the standard library; front ends and host layers add the place.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as E;
        let kind = match error.kind() {
            E::NotFound => ErrorKind::NotFound,
            E::AlreadyExists => ErrorKind::AlreadyExists,
            E::PermissionDenied => ErrorKind::PermissionDenied,
            E::NotADirectory => ErrorKind::NotADirectory,
            E::IsADirectory => ErrorKind::IsADirectory,
            E::DirectoryNotEmpty => ErrorKind::NotEmpty,
            E::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            E::StorageFull | E::QuotaExceeded => ErrorKind::NoSpace,
            E::FileTooLarge => ErrorKind::TooLarge,
            E::InvalidFilename => ErrorKind::NameTooLong,
            E::ResourceBusy => ErrorKind::Busy,
            E::Unsupported => ErrorKind::Unsupported,
            E::InvalidInput => ErrorKind::InvalidInput,
            E::CrossesDevices => ErrorKind::CrossLayerRename,
            _ => ErrorKind::Io,
        };
        Self::new(kind, "access").because(error)
    }
}
