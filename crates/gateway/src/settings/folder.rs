//! The folder this process was started in, by the name it was reached by.
//!
//! `current -> releases/7` is how many deploy. Looked up again at each reload, that name leads to the
//! new release; the folder itself, which is all the kernel remembers, is the old one for ever. So the
//! name counts, as it does for gunicorn, and it is asked for once, while it is still true.

use std::{
    env,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

pub(super) fn working_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let identity = |folder: &Path| {
            let facts = folder.metadata().ok()?;
            Some((facts.dev(), facts.ino()))
        };
        let here = identity(Path::new("."));
        let named = env::var_os("PWD").map(PathBuf::from).filter(|name| name.is_absolute());
        let named = named.filter(|name| here.is_some() && identity(name) == here);
        // A folder that was deleted has no name; what is relative to it fails where it is used.
        named.or_else(|| env::current_dir().ok()).unwrap_or_else(|| PathBuf::from("."))
    })
}

/// Absolute, and without `.` and `..`, whatever links are on the way.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let mut absolute = PathBuf::new();
    for component in working_folder().join(path).components() {
        match component {
            Component::ParentDir => drop(absolute.pop()),
            Component::CurDir => (),
            other => absolute.push(other),
        }
    }
    absolute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_absolute_by_its_words() {
        assert_eq!(absolute(Path::new("/srv/./app/../site/")), Path::new("/srv/site"));
        assert_eq!(absolute(Path::new("/../..")), Path::new("/"));
        assert_eq!(absolute(Path::new("x")), working_folder().join("x"));
    }
}
