//! A request's target to the path that locations and files are found by.

use bytes::Bytes;
use causeway_edge::uri::{Slashes, escape_into, normalise};

pub(crate) fn run(data: &[u8]) {
    let target = Bytes::copy_from_slice(data);
    for slashes in [Slashes::Merge, Slashes::Keep] {
        let Ok(uri) = normalise(&target, slashes) else { continue };
        let path = &uri.path;
        assert_eq!(path.first(), Some(&b'/'), "a path begins at the root");
        assert!(!path.contains(&0), "a NUL would end a file's name");
        let mut segments = path[1..].split(|byte| *byte == b'/');
        assert!(segments.all(|segment| segment != b"." && segment != b".."), "{path:?}");
        assert!(slashes == Slashes::Keep || !path.windows(2).any(|two| two == b"//"), "{path:?}");

        let mut escaped = Vec::new();
        escape_into(path, &mut escaped);
        let again = normalise(&escaped.into(), slashes).expect("what is normal is not refused");
        assert_eq!(again.path, path, "what is normal stays as it is");
        assert_eq!(again.args, None, "an escaped path has no arguments");
    }
}
