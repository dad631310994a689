//! What is in a folder: everything that does not begin with a dot, folders first, by name.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::OFlag,
    sys::stat::{FileStat, Mode, SFlag, lstat, stat},
};

pub(super) struct Folder(Dir);

pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) modified: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    Other,
}

/// A call that failed, on what, and why.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) call: &'static str,
    pub(super) path: PathBuf,
    pub(super) errno: Errno,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder, Unreadable> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = Dir::open(path, flags, Mode::empty());
        opened.map(Folder).map_err(failed("opendir()", path))
    }

    /// Its entries, and those that could not be looked at.
    pub(super) fn read(self, path: &Path) -> Result<(Vec<Entry>, Vec<Unreadable>), Unreadable> {
        let (mut entries, mut passed_over) = (Vec::new(), Vec::new());
        for found in self.0 {
            let found = found.map_err(failed("readdir()", path))?;
            let name = found.file_name().to_bytes();
            if name.starts_with(b".") {
                continue;
            }
            match look(&path.join(OsStr::from_bytes(name))) {
                Ok(found) => entries.push(Entry::new(name, &found)),
                Err(error) if error.errno == Errno::EACCES => passed_over.push(error),
                // Between the two calls it was taken away.
                Err(error) if error.call == "lstat()" && error.errno == Errno::ENOENT => (),
                Err(error) => return Err(error),
            }
        }
        entries.sort_unstable_by(|one, other| {
            let is_file = |entry: &Entry| entry.kind != Kind::Folder;
            (is_file(one), &one.name).cmp(&(is_file(other), &other.name))
        });
        Ok((entries, passed_over))
    }
}

impl Entry {
    fn new(name: &[u8], found: &FileStat) -> Entry {
        let kind = match SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => Kind::Folder,
            SFlag::S_IFREG => Kind::File,
            _ => Kind::Other,
        };
        let size = u64::try_from(found.st_size).unwrap_or(0);
        Entry { name: name.to_vec(), kind, size, modified: found.st_mtime }
    }
}

/// What a name stands for; a link that leads nowhere stands for itself.
fn look(path: &Path) -> Result<FileStat, Unreadable> {
    match stat(path) {
        Err(Errno::ENOENT | Errno::ELOOP) => lstat(path).map_err(failed("lstat()", path)),
        found => found.map_err(failed("stat()", path)),
    }
}

fn failed(call: &'static str, path: &Path) -> impl Fn(Errno) -> Unreadable {
    move |errno| Unreadable { call, path: path.to_owned(), errno }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_broken_links_stand_for_themselves() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path();
        for name in ["b", "a", ".hidden"] {
            std::fs::write(path.join(name), "xyz").unwrap();
        }
        std::fs::create_dir(path.join("z")).unwrap();
        std::os::unix::fs::symlink("nowhere", path.join("link")).unwrap();
        std::os::unix::fs::symlink("loop", path.join("loop")).unwrap();
        let (entries, passed_over) = Folder::open(path).unwrap().read(path).unwrap();
        let found: Vec<_> = entries.iter().map(|entry| (&entry.name[..], entry.kind)).collect();
        let expected: [(&[u8], Kind); 5] = [
            (b"z", Kind::Folder),
            (b"a", Kind::File),
            (b"b", Kind::File),
            (b"link", Kind::Other),
            (b"loop", Kind::Other),
        ];
        assert_eq!(found, expected);
        assert_eq!(entries[1].size, 3);
        assert!(passed_over.is_empty());
        assert_eq!(Folder::open(&path.join("a")).err().unwrap().errno, Errno::ENOTDIR);
    }
}
