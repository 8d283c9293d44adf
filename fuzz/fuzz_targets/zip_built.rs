//! Archives as data, written as bytes, then changed in a few places.
#![no_main]

#[path = "../checks.rs"]
mod checks;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ovl_core::{
    VPath,
    testing::zip_builder::{Archive, Header, Member},
};

#[derive(Arbitrary, Debug)]
struct Input {
    members: Vec<Part>,
    prefix: Vec<u8>,
    comment: Vec<u8>,
    adjusted: bool,
    zip64: bool,
    backwards: bool,
    edits: Vec<(u32, u8)>,
}

#[derive(Arbitrary, Debug)]
struct Part {
    name: Vec<u8>,
    content: Vec<u8>,
    deflated: bool,
    streamed: bool,
    mode: u16,
    lies: Vec<Lie>,
}

/// One field that says something else.
#[derive(Arbitrary, Debug)]
struct Lie {
    local: bool,
    field: u8,
    value: u32,
    bytes: Vec<u8>,
}

impl Part {
    fn member(&self) -> Member {
        let made = if self.deflated { Member::deflated } else { Member::stored };
        let mut member = made(short(&self.name), &self.content).mode(self.mode);
        if self.streamed {
            member = member.streamed();
        }
        for lie in &self.lies {
            lie.tell(if lie.local { &mut member.local } else { &mut member.central });
        }
        member
    }

    /// Whether the layer must show it as a file with this content.
    fn is_plain(&self) -> bool {
        let file = matches!(self.mode & 0o170_000, 0 | 0o100_000);
        self.lies.is_empty()
            && file
            && !self.name.is_empty()
            && !self.name.contains(&b'\\')
            && VPath::parse(short(&self.name)).is_ok()
    }
}

impl Lie {
    fn tell(&self, header: &mut Header) {
        match self.field % 8 {
            0 => header.flags = self.value as u16,
            1 => header.method = self.value as u16,
            2 => header.crc = self.value,
            3 => header.packed = self.value,
            4 => header.size = self.value,
            5 => header.name = short(&self.bytes).to_vec(),
            6 => header.extra = short(&self.bytes).to_vec(),
            _ => header.time = self.value as u16,
        }
    }
}

/// Returns what fits a field of 65,535 bytes.
fn short(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(0xffff)]
}

fn is_sound(input: &Input) -> bool {
    let mut names: Vec<&[u8]> = input.members.iter().map(|part| &*part.name).collect();
    names.sort_unstable();
    let apart = names.windows(2).all(|pair| !pair[1].starts_with(pair[0]));
    let quiet = |bytes: &[u8]| !bytes.windows(2).any(|pair| pair == b"PK");
    let text = input.members.iter().all(|part| quiet(&part.content) && part.name.is_ascii() && part.is_plain());
    input.edits.is_empty() && apart && text && quiet(&input.prefix) && quiet(&input.comment)
}

fuzz_target!(|input: Input| {
    let members: Vec<Member> = input.members.iter().map(Part::member).collect();
    let order = input.backwards.then(|| (0..members.len()).rev().collect());
    let archive = Archive {
        prefix: input.prefix.clone(),
        adjusted: input.adjusted,
        members,
        order,
        zip64: input.zip64,
        comment: short(&input.comment).to_vec(),
    };
    let mut bytes = archive.build().bytes;
    for (at, value) in input.edits.iter().take(3) {
        let at = *at as usize % bytes.len();
        bytes[at] = *value;
    }
    let read = checks::serve(bytes);
    if is_sound(&input) {
        assert_eq!(read, Some(input.members.len()), "every member of a sound archive reads");
    }
});
