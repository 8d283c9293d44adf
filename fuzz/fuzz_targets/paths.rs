//! Bytes as a path: what the parser takes holds no forbidden part and comes back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ovl_core::{DEPTH_MAX, NAME_MAX, PATH_MAX, VPath, printable};

fuzz_target!(|data: &[u8]| {
    assert!(!printable(data).chars().any(char::is_control));
    let Ok(path) = VPath::parse(data) else { return };
    assert_eq!(path.as_bytes(), data);
    assert!(data.len() <= PATH_MAX && path.names().count() <= DEPTH_MAX);
    for name in path.names() {
        let name = name.as_bytes();
        assert!(!matches!(name, b"" | b"." | b"..") && name.len() <= NAME_MAX);
        assert!(!name.contains(&0) && !name.contains(&b'/'));
    }
    let mut again = VPath::root();
    path.names().for_each(|name| again.push(name));
    assert_eq!(again, path);
    if let Some((parent, name)) = path.split() {
        assert_eq!(parent.join(name), path);
        assert!(path.is_within(&parent));
    }
});
