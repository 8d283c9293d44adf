//! The record that is kept under a name: one record, or two while one object takes another's place.
//!
//! A version byte (1), then for each record the object's number (8 bytes, little-endian), a length (4) and
//! that many bytes ([`Record`]). The record of the object that stands there counts; a single one counts
//! whatever the number, so that a copied upper keeps its attributes.

use super::record::Record;
use crate::{Error, ErrorKind, Result};

const VERSION: u8 = 1;

/// The records at one name, each bound to its object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot(pub(super) Vec<(u64, Record)>);

impl Slot {
    /// Returns the record of object `id`.
    pub(super) fn of(&self, id: u64) -> Record {
        let bound = self.0.iter().find(|(bound, _)| *bound == id);
        let chosen = bound.or(if let [single] = &self.0[..] { Some(single) } else { None });
        chosen.map(|(_, record)| record.clone()).unwrap_or_default()
    }

    /// Returns the stored bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for (id, record) in &self.0 {
            let record = record.encode();
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&(record.len() as u32).to_le_bytes());
            out.extend_from_slice(&record);
        }
        out
    }

    /// Reads stored bytes; `Corrupt` when they are not this version's.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let [VERSION, rest @ ..] = bytes else { return Err(corrupt()) };
        let (mut rest, mut slot) = (rest, Self::default());
        while !rest.is_empty() {
            let (id, after) = rest.split_first_chunk().ok_or_else(corrupt)?;
            let (len, after) = after.split_first_chunk().ok_or_else(corrupt)?;
            let record = after.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(corrupt)?;
            slot.0.push((u64::from_le_bytes(*id), Record::decode(record.0)?));
            rest = record.1;
        }
        Ok(slot)
    }
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "read attribute file").because("damaged, or written by a newer ovl")
}
