//! Opens a zip and lists its root, beside the `zip` crate: `cargo bench -p ovl-core --bench open_zip -- FILE [ROUNDS]`.
//!
//! Each measurement is a process of its own, all in turn; medians of wall and CPU time and of the resident size, at
//! its largest and with the index ready, are printed. The page cache is warm after the first round, which is not counted.
#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a benchmark has files, a clock and a voice")]

use std::{any::Any, env, fs, fs::File, ops::Range, os::unix::fs::FileExt, process::Command, sync::Arc, time::Instant};

use ovl_core::{
    Blob, Layer, Result, Stored,
    layers::zip::{self, Options},
};

/// A file of the host.
struct Source(File);

impl Blob for Source {
    fn size(&self) -> Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        Ok(self.0.read_at(buf, offset)?)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let size = self.size()?;
        Ok((offset < size).then_some(offset..size))
    }

    fn stored(&self) -> Option<Stored> {
        None
    }

    fn stamp(&self) -> Result<u128> {
        Ok(self.size()?.into())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match &args[..] {
        [] => println!("open_zip: name a zip file (see the head of the source)"),
        [mode, file] if mode == "ovl" => one(|| open_ovl(file)),
        [mode, file] if mode == "ovl-walk" => one(|| walk_ovl(file)),
        [mode, file] if mode == "zip" => one(|| open_zip(file)),
        [file, rest @ ..] => {
            compare(file, rest.first().map_or(5, |rounds| rounds.parse().expect("a number of rounds")))
        }
    }
}

fn open_ovl(file: &str) -> (Box<dyn Any>, usize) {
    let source = Arc::new(Source(File::open(file).expect("the file opens")));
    let layer = zip::open(source, &Options::default()).expect("a zip");
    let listed = layer.list(&layer.root(), None, usize::MAX, true).expect("a root").len();
    (Box::new(layer), listed)
}

/// Lists the whole tree with attributes.
fn walk_ovl(file: &str) -> (Box<dyn Any>, usize) {
    let source = Arc::new(Source(File::open(file).expect("the file opens")));
    let layer = zip::open(source, &Options::default()).expect("a zip");
    let (mut dirs, mut seen) = (vec![layer.root()], 0);
    while let Some(dir) = dirs.pop() {
        for entry in layer.list(&dir, None, usize::MAX, true).expect("a directory") {
            seen += 1;
            if entry.kind == ovl_core::Kind::Dir {
                dirs.extend(layer.lookup(&dir, entry.name.as_name()).expect("a lookup"));
            }
        }
    }
    (Box::new(layer), seen)
}

fn open_zip(file: &str) -> (Box<dyn Any>, usize) {
    let archive = ::zip::ZipArchive::new(File::open(file).expect("the file opens")).expect("a zip");
    let in_root = |name: &str| !name.trim_end_matches('/').contains('/');
    let names = archive.file_names().map(|name| name.expect("a name").into_owned());
    let listed = names.filter(|name| in_root(name)).count();
    (Box::new(archive), listed)
}

/// Runs one measurement and prints wall and CPU seconds, resident KiB (largest, now) and what was listed.
fn one(run: impl FnOnce() -> (Box<dyn Any>, usize)) {
    let start = Instant::now();
    let (kept, listed) = run();
    let wall = start.elapsed().as_secs_f64();
    println!("{wall} {} {} {} {listed}", cpu_seconds(), kib("VmHWM"), kib("VmRSS"));
    drop(kept);
}

fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/schedstat").expect("a Linux host");
    stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).map_or(0.0, |ns| ns / 1e9)
}

fn kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a Linux host");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a field of the kernel's");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

fn compare(file: &str, rounds: usize) {
    let modes = ["ovl", "ovl-walk", "zip"];
    let mut runs = [const { Vec::new() }; 3];
    for round in 0..=rounds {
        for (mode, runs) in modes.iter().zip(&mut runs) {
            let measured = child(mode, file);
            if round > 0 {
                runs.push(measured);
            }
        }
    }
    for (mode, runs) in modes.iter().zip(&runs) {
        let median = |at: usize| {
            let mut column: Vec<f64> = runs.iter().map(|run| run[at]).collect();
            column.sort_by(f64::total_cmp);
            column[column.len() / 2]
        };
        let (wall, cpu, peak, ready) = (median(0), median(1), median(2) / 1024.0, median(3) / 1024.0);
        let listed = median(4);
        println!(
            "{mode:9} wall {wall:.4} s  cpu {cpu:.4} s  peak {peak:.1} MiB  ready {ready:.1} MiB  listed {listed}"
        );
    }
}

fn child(mode: &str, file: &str) -> Vec<f64> {
    let program = env::current_exe().expect("a program");
    let output = Command::new(program).args([mode, file]).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}
