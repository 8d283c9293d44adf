//! What a person reads at the start: the stack top-down, where changes go, the address, a first command.

use std::fmt::Write;

use ovl_core::Caps;

use super::stack::{Opened, Sheet};
use crate::mounts::Mount;

/// Draws the stack, topmost first, and says where changes go.
pub fn stack(opened: &Opened) -> String {
    let mut text = String::from("Layers, topmost first:\n");
    for (index, (sheet, layer)) in opened.layers.iter().zip(opened.overlay.layers()).enumerate() {
        writeln!(text, "  {index}  {}", line(sheet, layer.caps())).expect("writing to a string");
    }
    writeln!(text, "{}", destination(&opened.layers[0])).expect("writing to a string");
    if let Some(mount) = &opened.mount {
        writeln!(text, "{}", mounted(mount)).expect("writing to a string");
    }
    text
}

fn mounted(mount: &Mount) -> String {
    let where_to = if mount.owns_upper { "; changes are made there, and not over HTTP" } else { "" };
    format!("Mount:   {} by {} ({}){where_to}", mount.point.display(), mount.driver, mount.whole_reason())
}

fn line(sheet: &Sheet, caps: &Caps) -> String {
    let role = match (sheet.upper, caps.data_only) {
        (true, _) => "upper",
        (_, true) => "data ",
        _ => "lower",
    };
    let place = sheet.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let root = if sheet.root.is_root() { String::new() } else { format!("  (from {} down)", sheet.root) };
    let omitted = caps.omitted.iter().filter(|omitted| !omitted.shown).count();
    let note =
        if omitted == 0 { String::new() } else { format!("  ({omitted} entries left out; ovl inspect says why)") };
    format!("{role}  {:<4} {place}{root}{note}", caps.kind).trim_end().to_owned()
}

fn destination(top: &Sheet) -> String {
    match (top.upper, &top.path, &top.form) {
        (false, ..) => "Changes: none, there is no upper (--upper DIR keeps them, --upper mem: forgets them)".into(),
        (true, Some(path), Some((form, reason))) => format!("Changes: {} as {form} ({reason})", path.display()),
        (true, ..) => "Changes: in memory, forgotten at the end".into(),
    }
}

/// Says where the server answers and what to try first. `url` ends without a slash.
pub fn address(url: &str, token: bool) -> String {
    let auth = if token { "-H \"Authorization: Bearer $OVL_TOKEN\" " } else { "" };
    let (curl, look) = match url.strip_prefix("unix:") {
        Some(path) => {
            (format!("curl {auth}--unix-socket {path} 'http://localhost/v1/entries?list=true'"), String::new())
        }
        None => (format!("curl {auth}'{url}/v1/entries?list=true'"), format!("Look     {url}/ in a browser\n")),
    };
    format!("Serving {url}\n{look}Try      {curl}\n")
}
