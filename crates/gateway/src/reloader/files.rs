//! What is watched, and what each file looked like when it was looked at last.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Of whatever a worker reports. No application has so many modules.
const MOST: usize = 100_000;

#[derive(Default)]
pub(super) struct Files {
    known: HashMap<PathBuf, Option<Look>>,
    /// Globs have been expanded once: what they find from now on is new.
    expanded: bool,
}

/// Another look, another content; or at least somebody wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    modified: (i64, i64),
    length: u64,
    inode: u64,
}

fn look(path: &Path) -> Option<Look> {
    let found = fs::metadata(path).ok()?;
    let modified = (found.mtime(), found.mtime_nsec());
    Some(Look { modified, length: found.len(), inode: found.ino() })
}

impl Files {
    /// Whether it is news. What is known already keeps the look it had: if it has changed since, that
    /// is a change.
    pub(super) fn add(&mut self, path: PathBuf) -> bool {
        if self.known.len() >= MOST || self.known.contains_key(&path) {
            return false;
        }
        let seen = look(&path);
        self.known.insert(path, seen);
        true
    }

    /// Adds what `--reload-extra-file` names now.
    pub(super) fn expand(&mut self, extra: &[String]) {
        for path in matches(extra) {
            // Not there before, so it has changed.
            if self.expanded && self.known.len() < MOST {
                self.known.entry(path).or_insert(None);
            } else {
                self.add(path);
            }
        }
        self.expanded = true;
    }

    /// The first that does not look as it did. One that has gone is not a change: the next worker
    /// would not find it either.
    pub(super) fn changed(&mut self, extra: &[String]) -> Option<PathBuf> {
        self.expand(extra);
        let mut changed = BTreeSet::new();
        for (path, before) in &mut self.known {
            let now = look(path);
            if now.is_some() && now != *before {
                changed.insert(path.clone());
            }
            *before = now;
        }
        changed.pop_first()
    }

    /// Where something has to happen for one of them to change: its folder, and its target's if it is
    /// a link.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        let parent = |path: &Path| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut folders = BTreeSet::new();
        for path in self.known.keys() {
            folders.insert(parent(path));
            if path.is_symlink()
                && let Ok(target) = path.canonicalize()
            {
                folders.insert(parent(&target));
            }
        }
        folders
    }
}

fn matches(extra: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in extra {
        if pattern.contains(['*', '?', '[']) {
            found.extend(glob::glob(pattern).into_iter().flatten().flatten());
        } else {
            found.push(PathBuf::from(pattern));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one.py"), folder.path().join("two.py"));
        fs::write(&one, "1").unwrap();
        let mut files = Files::default();
        assert!(files.add(one.clone()) && !files.add(one.clone()));
        assert!(files.add(two.clone()));
        assert_eq!(files.changed(&[]), None);
        fs::write(&one, "12").unwrap();
        assert_eq!(files.changed(&[]), Some(one.clone()));
        assert_eq!(files.changed(&[]), None);
        fs::remove_file(&one).unwrap();
        assert_eq!(files.changed(&[]), None);
        fs::write(&two, "2").unwrap();
        assert_eq!(files.changed(&[]), Some(two));
        assert_eq!(files.folders(), BTreeSet::from([folder.path().to_owned()]));
    }

    #[test]
    fn what_a_glob_finds_later_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep/a.html"), "a").unwrap();
        let extra = [folder.path().join("**/*.html").display().to_string()];
        let mut files = Files::default();
        files.expand(&extra);
        assert_eq!(files.changed(&extra), None);
        let new = folder.path().join("deep/b.html");
        fs::write(&new, "b").unwrap();
        assert_eq!(files.changed(&extra), Some(new));
        assert_eq!(files.changed(&extra), None);
    }
}
