//! What other programs wrote and read, against what the layer reads.
#![expect(clippy::disallowed_methods, reason = "the test hands archives to other programs as files")]

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read, Write},
    path::Path,
    process::Command,
};

use ovl_core::{Kind, Layer, VPath, layers::zip::Zip, testing::drawing::read_all};
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::{open, walk};

/// Reads every file through the layer.
fn files(layer: &Zip) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    walk(layer, &layer.root(), &VPath::root(), &mut |path, node| {
        if node.kind == Kind::File {
            let blob = layer.open(node).expect("open works");
            let name = String::from_utf8(path.as_bytes().to_vec()).expect("UTF-8 names");
            files.insert(name, read_all(&*blob).expect("read works"));
        }
    });
    files
}

/// Reads every file through the `zip` crate.
fn files_of_peer(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("the peer opens it");
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).expect("the peer finds it");
        if file.is_file() {
            let mut content = Vec::new();
            file.read_to_end(&mut content).expect("the peer reads it");
            files.insert(file.name().expect("the peer reads the name").into_owned(), content);
        }
    }
    files
}

#[test]
fn what_the_zip_crate_writes_reads_back_equal() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut expected = BTreeMap::new();
    for (at, method) in
        [CompressionMethod::Stored, CompressionMethod::Deflated].into_iter().cycle().take(60).enumerate()
    {
        let name = format!("d{}/grün {at}", at % 7);
        let content = vec![at as u8; at * 997];
        let options = SimpleFileOptions::default().compression_method(method).large_file(at % 3 == 0);
        writer.start_file(&*name, options).expect("the peer writes");
        writer.write_all(&content).expect("the peer writes");
        expected.insert(name, content);
    }
    let bytes = writer.finish().expect("the peer writes").into_inner();
    assert_eq!(files(&open(bytes).expect("sound")), expected);
}

#[test]
fn the_example_wheel_reads_as_the_zip_crate_reads_it() {
    let wheel = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")).expect("there are examples");
    let wheels =
        wheel.map(|entry| entry.expect("a listing").path()).filter(|path| path.extension().is_some_and(|e| e == "whl"));
    let mut seen = 0;
    for path in wheels {
        let bytes = fs::read(path).expect("an example");
        let expected = files_of_peer(&bytes);
        assert!(!expected.is_empty());
        assert_eq!(files(&open(bytes).expect("sound")), expected);
        seen += 1;
    }
    assert!(seen > 0, "there is an example");
}

/// Writes archives the ways Python's library can, and their content as names and hexadecimal bytes.
const PYTHON: &str = r#"
import io, sys, zipfile
class Pipe(io.RawIOBase):
    def __init__(self): self.bytes = b''
    def writable(self): return True
    def write(self, b): self.bytes += bytes(b); return len(b)
out = sys.argv[1]
content = {'plain': b'1', 'd/deep/file': b'two' * 5000, 'gr\u00fcn': b'', 'with space': bytes(range(256)) * 99}
for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
    for streamed in (False, True):
        for wide in (False, True):
            sink = Pipe() if streamed else io.BytesIO()
            with zipfile.ZipFile(sink, 'w', method) as z:
                z.comment = b'a comment'
                for name, data in content.items():
                    with z.open(name, 'w', force_zip64=wide) as f: f.write(data)
            data = sink.bytes if streamed else sink.getvalue()
            open(f'{out}/{method}-{streamed}-{wide}.zip', 'wb').write(b'#!prefix\n' * wide + data)
open(f'{out}/content', 'w', encoding='utf-8').write(''.join(f'{n}\t{d.hex()}\n' for n, d in content.items()))
"#;

/// Python is not part of the house: where it is missing, its half of the comparison is left to other machines.
#[test]
fn what_python_writes_reads_back_equal() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-zips");
    fs::create_dir_all(&dir).expect("a place for files");
    match Command::new("python3").args(["-c", PYTHON]).arg(&dir).status() {
        Ok(status) => assert!(status.success(), "python wrote its archives"),
        Err(_) => return,
    }
    let text = fs::read_to_string(dir.join("content")).expect("what python wrote");
    let hex = |text: &str| {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
    };
    let lines = text.lines().map(|line| line.split_once('\t').expect("a name and bytes"));
    let expected: BTreeMap<String, Vec<u8>> = lines.map(|(name, bytes)| (name.to_owned(), hex(bytes))).collect();
    assert_eq!(expected.len(), 4);
    for method in [0, 8] {
        for kind in ["False-False", "False-True", "True-False", "True-True"] {
            let bytes = fs::read(dir.join(format!("{method}-{kind}.zip"))).expect("python's archive");
            assert_eq!(files(&open(bytes).expect("sound")), expected, "{method}-{kind}");
        }
    }
}
