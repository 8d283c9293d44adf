//! Media types by the ending of a name, and which of them a browser would run (trust T19).

/// Returns the media type of a file by its name; bytes of unknown kind are `application/octet-stream`.
pub(crate) fn of(name: &[u8]) -> &'static str {
    let ending = name.rsplit(|b| *b == b'.').next().filter(|ending| ending.len() < name.len()).unwrap_or_default();
    let Some(ending) = std::str::from_utf8(ending).ok().filter(|ending| ending.len() <= 8) else { return BYTES };
    let lower = ending.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == lower).map_or(BYTES, |(_, media)| media)
}

const BYTES: &str = "application/octet-stream";

/// Endings by how often they are asked for.
const TYPES: &[(&str, &str)] = &[
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("json", "application/json"),
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("svg", "image/svg+xml"),
    ("ico", "image/vnd.microsoft.icon"),
    ("bmp", "image/bmp"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("pdf", "application/pdf"),
    ("xml", "application/xml"),
    ("xhtml", "application/xhtml+xml"),
    ("mht", "multipart/related"),
    ("mhtml", "multipart/related"),
    ("wasm", "application/wasm"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("tar", "application/x-tar"),
    ("csv", "text/csv; charset=utf-8"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("toml", "application/toml"),
    ("rs", "text/plain; charset=utf-8"),
    ("py", "text/plain; charset=utf-8"),
    ("c", "text/plain; charset=utf-8"),
    ("h", "text/plain; charset=utf-8"),
    ("go", "text/plain; charset=utf-8"),
    ("java", "text/plain; charset=utf-8"),
    ("sh", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("epub", "application/epub+zip"),
];

/// Returns whether a browser would run or open what has this type: then it is sent as an attachment.
pub(crate) fn is_active(media: &str) -> bool {
    const ACTIVE: &[&str] = &["html", "svg", "xml", "javascript", "pdf", "wasm", "multipart/"];
    ACTIVE.iter().any(|word| media.contains(word))
}

/// Returns a `Content-Disposition` that names the file in the only form that cannot be abused (RFC 6266, trust T18).
pub(crate) fn attachment(name: &[u8]) -> String {
    let readable = String::from_utf8_lossy(name);
    format!("attachment; filename*=UTF-8''{}", crate::raw_path::escape(readable.as_bytes()).replace('/', "%2F"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_would_run_is_active() {
        for name in ["a.html", "A.HTM", "x.svg", "x.xml", "x.xhtml", "x.mhtml", "x.pdf", "x.js", "x.wasm"] {
            assert!(is_active(of(name.as_bytes())), "{name}");
        }
        for name in ["a.txt", "a.png", "a", ".html5", "a.json", "html"] {
            assert!(!is_active(of(name.as_bytes())), "{name}");
        }
    }

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        assert_eq!(
            attachment("a\"\r\nb; é.txt".as_bytes()),
            "attachment; filename*=UTF-8''a%22%0D%0Ab%3B%20%C3%A9.txt"
        );
    }
}
