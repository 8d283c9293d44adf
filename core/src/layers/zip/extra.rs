//! What the extra fields of a central record add: times, owner, device number, the name in Unicode.

use rawzip::extra_fields::{ExtraFieldId, ExtraFields};

use super::{
    le::{u16_at, u32_at, u64_at},
    times::{self, Ticks},
};
use crate::Device;

/// What the extra fields say, each `None` where they are silent.
#[derive(Default)]
pub(super) struct Extra<'a> {
    pub(super) mtime: Option<Ticks>,
    pub(super) atime: Option<Ticks>,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) device: Option<Device>,
    /// The content of the Info-ZIP Unicode path field, yet to be matched with the name.
    pub(super) unicode: Option<&'a [u8]>,
}

/// Where a time was found, the better source last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Old,
    Ntfs,
    Extended,
}

/// Reads the fields; one that is cut short or of an unknown kind says nothing.
pub(super) fn read<'a>(fields: ExtraFields<'a>) -> Extra<'a> {
    let mut extra = Extra::default();
    let mut rank = Rank::Old;
    for (id, body) in fields {
        match id {
            ExtraFieldId::EXTENDED_TIMESTAMP => extra.extended(body, &mut rank),
            ExtraFieldId::NTFS => extra.ntfs(body, &mut rank),
            ExtraFieldId::INFO_ZIP_UNIX_ORIGINAL | ExtraFieldId::UNIX => extra.old_unix(id, body, rank),
            ExtraFieldId::INFO_ZIP_UNIX_UID_GID => extra.owner = owner(body).or(extra.owner),
            ExtraFieldId::INFO_ZIP_UNICODE_PATH => extra.unicode = Some(body),
            _ => {}
        }
    }
    extra
}

impl Extra<'_> {
    /// Reads field 0x5455: flags, then those of mtime and atime that are there (central records often keep one).
    fn extended(&mut self, body: &[u8], rank: &mut Rank) {
        let flags = body.first().copied().unwrap_or(0);
        let mut times = (1..).step_by(4).map_while(|at| u32_at(body, at)).map(|secs| times::from_unix(secs as i32));
        let mtime = if flags & 1 != 0 { times.next() } else { None };
        let atime = if flags & 2 != 0 { times.next() } else { None };
        self.take(mtime, atime, Rank::Extended, rank);
    }

    /// Reads field 0x000a: a reserved word, then tagged parts, of which tag 1 holds three times.
    fn ntfs(&mut self, body: &[u8], rank: &mut Rank) {
        let parts = ExtraFields::new(body.get(4..).unwrap_or_default());
        let Some((_, times)) = parts.into_iter().find(|(tag, _)| tag.as_u16() == 1) else { return };
        let time = |at| u64_at(times, at).filter(|time| *time != 0).map(times::from_ntfs);
        self.take(time(0), time(8), Rank::Ntfs, rank);
    }

    /// Reads the two oldest Unix fields: atime, mtime, perhaps ids; 0x000d of a device ends with its number.
    fn old_unix(&mut self, id: ExtraFieldId, body: &[u8], rank: Rank) {
        let time = |at| u32_at(body, at).map(|secs| times::from_unix(secs as i32));
        if rank == Rank::Old {
            (self.atime, self.mtime) = (time(0), time(4));
        }
        if let (Some(uid), Some(gid)) = (u16_at(body, 8), u16_at(body, 10)) {
            self.owner.get_or_insert((uid.into(), gid.into()));
        }
        if id == ExtraFieldId::UNIX
            && let (Some(major), Some(minor)) = (u32_at(body, 12), u32_at(body, 16))
        {
            self.device = Some(Device { major, minor });
        }
    }

    fn take(&mut self, mtime: Option<Ticks>, atime: Option<Ticks>, from: Rank, rank: &mut Rank) {
        if mtime.is_some() && from >= *rank {
            (self.mtime, self.atime, *rank) = (mtime, atime.or(self.atime), from);
        }
    }
}

/// Reads field 0x7875: a version, then user and group, each with its own width.
fn owner(body: &[u8]) -> Option<(u32, u32)> {
    let (uid, rest) = id(body.strip_prefix(&[1])?)?;
    let (gid, _) = id(rest)?;
    Some((uid, gid))
}

fn id(body: &[u8]) -> Option<(u32, &[u8])> {
    let (width, rest) = body.split_first()?;
    let (bytes, rest) = rest.split_at_checked((*width).into())?;
    let wide = bytes.iter().rev().try_fold(0u64, |id, byte| id.checked_mul(256)?.checked_add((*byte).into()))?;
    Some((u32::try_from(wide).ok()?, rest))
}
