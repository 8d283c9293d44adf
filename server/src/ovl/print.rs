//! The standard output: text for people, JSON and names with NUL for programs.

use std::io::{self, BufWriter, StdoutLock, Write};

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::exit::{Failure, code};

/// Stands for the end of a reader of our output: no failure of ours.
pub(super) const READER_GONE: u8 = u8::MAX;

/// How a list is printed.
#[derive(Args, Clone, Copy, Debug, Default)]
#[group(multiple = false)]
#[command(next_help_heading = "Output")]
pub(super) struct Format {
    /// One JSON object.
    #[arg(long)]
    pub(super) json: bool,
    /// One JSON object a line.
    #[arg(long)]
    pub(super) ndjson: bool,
    /// Paths alone, exactly as they are, each with a NUL behind it.
    #[arg(short = '0', long)]
    pub(super) null: bool,
}

/// A list on its way out.
pub(super) struct List {
    format: Format,
    out: BufWriter<StdoutLock<'static>>,
    /// The line that is being made.
    text: Vec<u8>,
    is_first: bool,
}

impl List {
    /// Begins a list; in one JSON object it is the member `items`, behind the schema and `head`.
    pub(super) fn begin(format: Format, schema: &str, head: &[(&str, Value)], items: &str) -> Result<Self, Failure> {
        let out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        let mut list = Self { format, out, text: Vec::new(), is_first: true };
        if format.json {
            let mut text = format!("{{\"schema\":{}", Value::from(schema));
            head.iter().for_each(|(key, value)| text.push_str(&format!(",{}:{value}", Value::from(*key))));
            list.put(format!("{text},{}:[", Value::from(items)).as_bytes())?;
        }
        Ok(list)
    }

    /// Prints one line: what `text` writes for people, `name` for `-0`, `body` as JSON; only what is printed is made.
    pub(super) fn line<B: Serialize>(
        &mut self,
        text: impl FnOnce(&mut Vec<u8>),
        name: &[u8],
        body: impl FnOnce() -> B,
    ) -> Result<(), Failure> {
        let line = &mut self.text;
        line.clear();
        let json = |line: &mut Vec<u8>| {
            serde_json::to_writer(line, &body()).expect("what is printed holds nothing that JSON cannot")
        };
        match self.format {
            Format { json: true, .. } => {
                line.extend_from_slice(if self.is_first { b"\n" } else { b",\n" });
                json(line);
            }
            Format { ndjson: true, .. } => {
                json(line);
                line.push(b'\n');
            }
            Format { null: true, .. } => {
                line.extend_from_slice(name);
                line.push(0);
            }
            _ => {
                text(line);
                line.push(b'\n');
            }
        }
        self.is_first = false;
        self.out.write_all(line).map_err(failed)
    }

    /// Ends the list, one JSON object with further members.
    pub(super) fn end(mut self, tail: Map<String, Value>) -> Result<(), Failure> {
        if self.format.json {
            let tail: String = tail.iter().map(|(key, value)| format!(",{}:{value}", Value::from(&**key))).collect();
            self.put(format!("\n]{tail}}}\n").as_bytes())?;
        }
        self.out.flush().map_err(failed)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(failed)
    }
}

/// Prints one JSON object with its schema, or a text.
pub(super) fn object(json: bool, schema: &str, body: &impl Serialize, text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if !json {
        return out.write_all(text.as_bytes()).map_err(failed);
    }
    writeln!(out, "{}", with_schema(schema, body)).map_err(failed)
}

/// Returns one JSON object that begins with its schema.
pub(super) fn with_schema(schema: &str, body: &impl Serialize) -> String {
    let body = serde_json::to_string(body).expect("what is printed holds nothing that JSON cannot");
    let members = body.strip_prefix('{').unwrap_or("}");
    format!("{{\"schema\":{},{members}", Value::from(schema))
}

/// Tells a failure to write the output.
pub(super) fn failed(error: io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::BrokenPipe { READER_GONE } else { code::IO };
    Failure::new(code, format!("cannot write the output: {error}; send it elsewhere"))
}

/// Returns a number of entries in words.
pub(super) fn entries(count: impl Into<u64>) -> String {
    match count.into() {
        1 => "1 entry".into(),
        count => format!("{count} entries"),
    }
}
