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
    is_first: bool,
}

impl List {
    /// Begins a list; in one JSON object it is the member `items`, behind the schema and `head`.
    pub(super) fn begin(format: Format, schema: &str, head: &[(&str, Value)], items: &str) -> Result<Self, Failure> {
        let mut list = Self { format, out: BufWriter::new(io::stdout().lock()), is_first: true };
        if format.json {
            let mut text = format!("{{\"schema\":{}", Value::from(schema));
            head.iter().for_each(|(key, value)| text.push_str(&format!(",{}:{value}", Value::from(*key))));
            list.put(format!("{text},{}:[", Value::from(items)).as_bytes())?;
        }
        Ok(list)
    }

    /// Prints one line: `text` for people, `name` for `-0`, `body` as JSON; only what is printed is made.
    pub(super) fn line<B: Serialize>(
        &mut self,
        text: impl FnOnce() -> String,
        name: &[u8],
        body: impl FnOnce() -> B,
    ) -> Result<(), Failure> {
        let json = || serde_json::to_string(&body()).expect("what is printed holds nothing that JSON cannot");
        let line = match self.format {
            Format { json: true, .. } if self.is_first => format!("\n{}", json()),
            Format { json: true, .. } => format!(",\n{}", json()),
            Format { ndjson: true, .. } => format!("{}\n", json()),
            Format { null: true, .. } => {
                self.put(name)?;
                "\0".to_owned()
            }
            _ => text() + "\n",
        };
        self.is_first = false;
        self.put(line.as_bytes())
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
