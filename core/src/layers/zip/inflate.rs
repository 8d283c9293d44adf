//! Decoding a member's stored bytes from the front, or from a point on the way, a piece at a time.

#[cfg(feature = "seek")]
use std::sync::Arc;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use rawzip::CompressionMethod as Method;

use super::end::corrupt;
#[cfg(feature = "seek")]
use super::seek::{Point, Points, Seeker};
use crate::{Blob, Result};

/// Stored bytes are fetched in pieces of this many.
const PIECE: u64 = 32 * 1024;

/// Where a decoder finds its input, and what must come out.
pub(super) struct Task<'a> {
    pub(super) source: &'a dyn Blob,
    /// Where the stored bytes begin in the source.
    pub(super) data: u64,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) crc: u32,
}

/// A decoder somewhere in its stream: about 100 KiB for deflate, 200 KiB for deflate64.
pub(super) struct Decoder {
    coder: Coder,
    crc: Crc,
    /// See [`Decoder::is_whole`].
    whole: bool,
    /// How many bytes came out.
    pub(super) at: u64,
    /// How many stored bytes were fetched.
    fetched: u64,
    input: Vec<u8>,
    used: usize,
    ended: bool,
}

enum Coder {
    Deflate(Box<Decompress>),
    Deflate64(Box<deflate64::InflaterManaged>),
    #[cfg(feature = "seek")]
    Seeker(Seeker),
}

/// What one step took in and gave out, and whether the stream has ended, or a block of it.
pub(super) struct Step {
    pub(super) took: usize,
    pub(super) gave: usize,
    pub(super) ended: bool,
    pub(super) boundary: bool,
}

impl Decoder {
    /// Returns a decoder at the front of a member, or `None` for a method that it does not know.
    pub(super) fn new(method: u16) -> Option<Self> {
        let coder = match Method::new(method) {
            Method::DEFLATE => Coder::Deflate(Box::new(Decompress::new(false))),
            Method::DEFLATE64 => Coder::Deflate64(Box::new(deflate64::InflaterManaged::new())),
            _ => return None,
        };
        Some(Self::at_front(coder))
    }

    fn at_front(coder: Coder) -> Self {
        Self { coder, crc: Crc::new(), whole: true, at: 0, fetched: 0, input: Vec::new(), used: 0, ended: false }
    }

    /// Returns a decoder for deflate at a point, or at the front, that notes points on its way.
    #[cfg(feature = "seek")]
    pub(super) fn noting(points: &Arc<Points>, from: Option<&Point>) -> Self {
        let decoder = Self::at_front(Coder::Seeker(Seeker::new(points, from)));
        let Some(point) = from else { return decoder };
        Self { whole: false, at: point.at, fetched: point.packed, ..decoder }
    }

    /// Returns whether it began at the front, and so tells at the end whether the member is as declared.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Returns the same decoder at the front of another member, or `None` where one is made as fast as it is renewed.
    pub(super) fn renewed(mut self) -> Option<Self> {
        let Coder::Deflate(coder) = &mut self.coder else { return None };
        coder.reset(false);
        self.input.clear();
        Some(Self { crc: Crc::new(), at: 0, fetched: 0, used: 0, ended: false, ..self })
    }

    /// Fills `buf` with what comes next, as far as the declared size goes. Instead of the last bytes of a member
    /// that is not what it declares, returns `Corrupt` (trust 3.7).
    pub(super) fn read(&mut self, task: &Task<'_>, buf: &mut [u8]) -> Result<usize> {
        let left = task.size - self.at;
        let want = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let mut got = 0;
        while got < want {
            match self.step(task, &mut buf[got..want])? {
                0 => return Err(corrupt("a member holds less than it declares")),
                more => got += more,
            }
        }
        if self.whole {
            self.crc.update(&buf[..got]);
        }
        self.at += got as u64;
        if self.at == task.size {
            self.verify(task)?;
        }
        Ok(got)
    }

    /// Decodes up to `offset`, before the declared end, and lets it go.
    pub(super) fn skip(&mut self, task: &Task<'_>, offset: u64) -> Result<()> {
        if self.at == offset {
            return Ok(());
        }
        let mut waste = vec![0; PIECE as usize];
        while self.at < offset {
            let piece = (offset - self.at).min(PIECE);
            self.read(task, &mut waste[..piece as usize])?;
        }
        Ok(())
    }

    fn verify(&mut self, task: &Task<'_>) -> Result<()> {
        if self.step(task, &mut [0])? > 0 {
            return Err(corrupt("a member holds more than it declares"));
        }
        if self.whole && self.crc.sum() != task.crc {
            return Err(corrupt("the content of a member does not fit its CRC-32"));
        }
        Ok(())
    }

    /// Decodes until something comes out, and returns how much; 0 is the end of the stream.
    fn step(&mut self, task: &Task<'_>, buf: &mut [u8]) -> Result<usize> {
        while !self.ended {
            self.fetch(task)?;
            let input = &self.input[self.used..];
            let (had, last) = (input.len(), self.fetched == task.packed);
            let step = self.coder.step(input, buf)?;
            self.used += step.took;
            self.ended = step.ended;
            if step.boundary {
                self.note();
            }
            if step.gave > 0 {
                return Ok(step.gave);
            }
            if step.boundary {
                continue;
            }
            if !self.ended && last && step.took == had {
                return Err(corrupt("the stored bytes of a member are cut short"));
            }
            if !self.ended && step.took == 0 && had > 0 {
                return Err(corrupt("the stored bytes of a member lead nowhere"));
            }
        }
        Ok(0)
    }

    /// Notes that a block ends here.
    fn note(&self) {
        #[cfg(feature = "seek")]
        if let Coder::Seeker(seeker) = &self.coder {
            seeker.note(self.fetched - (self.input.len() - self.used) as u64);
        }
    }

    /// Fetches the next piece of input once the last one is used up.
    fn fetch(&mut self, task: &Task<'_>) -> Result<()> {
        if self.used < self.input.len() || self.fetched == task.packed {
            return Ok(());
        }
        let piece = (task.packed - self.fetched).min(PIECE);
        self.input.resize(piece as usize, 0);
        let got = task.source.read_at(&mut self.input, task.data + self.fetched)?;
        if got == 0 {
            return Err(corrupt("the archive is cut short"));
        }
        self.input.truncate(got);
        self.fetched += got as u64;
        self.used = 0;
        Ok(())
    }
}

impl Coder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        match self {
            Self::Deflate(coder) => deflate(coder, input, output),
            Self::Deflate64(coder) => deflate64(coder, input, output),
            #[cfg(feature = "seek")]
            Self::Seeker(seeker) => seeker.step(input, output),
        }
    }
}

fn deflate(coder: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<Step> {
    let (took, gave) = (coder.total_in(), coder.total_out());
    let status = coder.decompress(input, output, FlushDecompress::None);
    let status = status.map_err(|_| corrupt("the stored bytes of a member are no deflate stream"))?;
    Ok(Step {
        took: (coder.total_in() - took) as usize,
        gave: (coder.total_out() - gave) as usize,
        ended: status == Status::StreamEnd,
        boundary: false,
    })
}

fn deflate64(coder: &mut deflate64::InflaterManaged, input: &[u8], output: &mut [u8]) -> Result<Step> {
    let step = coder.inflate(input, output);
    if step.data_error {
        return Err(corrupt("the stored bytes of a member are no deflate64 stream"));
    }
    Ok(Step { took: step.bytes_consumed, gave: step.bytes_written, ended: coder.finished(), boundary: false })
}
