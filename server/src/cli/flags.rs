//! The flags that name a stack of layers, shared by every command.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint, builder::BoolishValueParser};

use super::spec::LayerSpec;

/// The layers, and how they are read and written.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Layers")]
pub struct StackArgs {
    /// A layer that is only read: a directory or a zip, told apart by content. May be repeated: the first is on top.
    ///
    /// `zip:`, `dir:` or `mem:` in front forces the type. The long form is `type=zip,path=a.zip,root=/sub,name=base`, of
    /// which only the path must be said: then the directory /sub of the archive is the root of the layer. A comma in a
    /// value is written twice there. `path=DIR,data-only`, behind all other lowers, gives content alone, as with the kernel's
    /// `::`: its files never show, but metadata above may lead there by a redirect.
    #[arg(long, visible_alias = "layer", value_name = "LAYER", env = "OVL_LOWER")]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub lower: Vec<LayerSpec>,
    /// Where changes are kept: a directory (made if its parent exists), or `mem:` to forget them at the end.
    ///
    /// Without it, nothing can be changed.
    #[arg(long, value_name = "LAYER", env = "OVL_UPPER", value_hint = ValueHint::AnyPath)]
    pub upper: Option<LayerSpec>,
    /// The directory for what is not finished yet, on the upper's file system [default: UPPER.ovl-work].
    #[arg(long, value_name = "DIR", env = "OVL_WORK", value_hint = ValueHint::DirPath)]
    pub work: Option<PathBuf>,
    /// How the upper keeps whiteouts and attributes [default: as recorded, else the best that works there].
    #[arg(long, value_enum, value_name = "FORM", env = "OVL_UPPER_FORM")]
    pub upper_form: Option<FormArg>,
    /// How long an acknowledged change has waited for the disk.
    #[arg(long, value_enum, value_name = "LEVEL", env = "OVL_DURABILITY", default_value = "full")]
    pub durability: DurabilityArg,
    /// The most bytes of content that the upper may hold: a number, or with K, M, G [default: what the disk has].
    #[arg(long, value_name = "BYTES", env = "OVL_QUOTA", value_parser = bytes)]
    pub quota: Option<u64>,
    /// The most files, directories and other entries that the upper may hold. Whiteouts do not count: what a lower shows
    /// can always be deleted.
    #[arg(long, value_name = "N", env = "OVL_QUOTA_ENTRIES")]
    pub quota_entries: Option<u64>,
    /// Whether directories of lower layers can be renamed, where the upper can record it.
    #[arg(long, value_enum, value_name = "on|off", env = "OVL_REDIRECT_DIR", default_value = "on")]
    pub redirect_dir: Switch,
    /// Lets archives and clients set owners, setuid bits, devices and privileged attributes on the host.
    #[arg(long, env = "OVL_PRIVILEGED_METADATA", value_parser = BoolishValueParser::new())]
    pub privileged_metadata: bool,
    /// How names in zips are read that are neither marked as UTF-8 nor valid as it.
    #[arg(long, value_enum, value_name = "CODING", env = "OVL_ZIP_NAMES", default_value = "cp437")]
    pub zip_names: ZipNames,
    /// What a backslash in a zip's name is.
    #[arg(long, value_enum, value_name = "MEANING", env = "OVL_ZIP_BACKSLASH", default_value = "keep")]
    pub zip_backslash: ZipBackslash,
    /// Refuses an archive of which something would have to be left out.
    #[arg(long, env = "OVL_STRICT", value_parser = BoolishValueParser::new())]
    pub strict: bool,
    /// The configuration file [default: ovl/config.toml in $XDG_CONFIG_HOME or ~/.config].
    #[arg(long, value_name = "FILE", env = "OVL_CONFIG", help_heading = "Configuration")]
    pub config: Option<PathBuf>,
    /// Whether lowers are opened so that the kernel may read their files by itself.
    #[arg(skip)]
    pub quiet: bool,
}

/// A form of an upper (semantics 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormArg {
    /// The kernel's, with `trusted.overlay.*`: needs root.
    KernelTrusted,
    /// The kernel's, with `user.overlay.*`.
    KernelUser,
    /// Plain files: works everywhere, only ovl reads it.
    Portable,
}

/// How durable an acknowledged change is (trust 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DurabilityArg {
    /// On the disk.
    Full,
    /// As the kernel's overlay: the latest changes may be lost, nothing is damaged.
    Ordered,
    /// Nothing is waited for.
    None,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// The coding of old names in zips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ZipNames {
    /// The first PC's characters.
    Cp437,
    /// Western European Windows.
    Windows1252,
    /// The bytes are the name.
    Bytes,
}

/// What a backslash in a zip's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ZipBackslash {
    /// A byte of the name.
    Keep,
    /// A separator.
    Separator,
}

/// Reads a number of bytes: `4096`, `64K`, `16G`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a number, or one with K, M or G".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned())
}
