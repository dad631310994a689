//! Files for what is too large to be held in memory: numbered as nginx numbers them, below a folder
//! that is made when it is first needed.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use nix::unistd::{Gid, Uid, chown};

/// `client_body_temp_path`: a folder, with folders in it that take the last digits of a file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TempFolder {
    path: PathBuf,
    levels: Vec<usize>,
}

/// A name's digits: as many as the largest number has.
const DIGITS: usize = 10;

/// The next file's name. All threads count here; other processes may use the same folder, and a name
/// that is taken is skipped.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// After so many tries, the folder is at fault.
const TRIES: usize = 64;

impl TempFolder {
    /// `None`: a name has not as many digits as the levels want.
    pub fn new(path: PathBuf, levels: Vec<usize>) -> Option<TempFolder> {
        let digits = levels.iter().try_fold(0_usize, |sum, level| sum.checked_add(*level))?;
        (digits <= DIGITS).then_some(TempFolder { path, levels })
    }

    /// A new file, to be read and written by this user alone.
    pub fn create(&self) -> io::Result<(File, PathBuf)> {
        create(&self.path, &self.levels)
    }
}

/// Makes the folders that a configuration names, for a worker that may not: they are its own. What
/// can not be made is told to whoever needs it.
pub fn prepare(folders: &[PathBuf], owner: Option<(Uid, Gid)>) {
    for folder in folders {
        let _exists = DirBuilder::new().mode(0o700).create(folder);
        if let Some((user, group)) = owner {
            let _refused = chown(folder, Some(user), Some(group));
        }
    }
}

/// A file without a name: it is gone when it is closed, however that comes about.
pub fn unnamed_file(folder: &Path) -> io::Result<File> {
    let (file, path) = create(folder, &[])?;
    std::fs::remove_file(path)?;
    Ok(file)
}

fn create(folder: &Path, levels: &[usize]) -> io::Result<(File, PathBuf)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let mut number = NEXT.fetch_add(1, Relaxed);
    let mut error = None;
    for _ in 0..TRIES {
        let path = place(folder, levels, number);
        let failed = match options.open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(failed) => failed,
        };
        match failed.kind() {
            io::ErrorKind::NotFound => {
                let parent = path.parent().unwrap_or(folder);
                DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            // Files from before a restart: far away from them there is room.
            io::ErrorKind::AlreadyExists => {
                number = NEXT.fetch_add(fastrand::u32(1..100_000), Relaxed);
            }
            _ => return Err(failed),
        }
        error = Some(failed);
    }
    Err(error.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
}

/// `folder/7/45/0000123457` for the levels 1 and 2.
fn place(folder: &Path, levels: &[usize], number: u32) -> PathBuf {
    let name = format!("{number:0DIGITS$}");
    let mut path = folder.to_owned();
    let mut end = name.len();
    for level in levels {
        path.push(&name[end - level..end]);
        end -= level;
    }
    path.push(name);
    path
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn levels_take_the_last_digits() {
        let path = place(Path::new("/temp"), &[1, 2], 123_457);
        assert_eq!(path, Path::new("/temp/7/45/0000123457"));
        assert_eq!(TempFolder::new("/temp".into(), vec![5, 6]), None);
        assert_eq!(TempFolder::new("/temp".into(), vec![usize::MAX, 1]), None);
    }

    #[test]
    fn a_file_is_made_with_its_folders() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = TempFolder::new(scratch.path().join("a/b"), vec![2, 1]).unwrap();
        let (mut file, path) = folder.create().unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"x");
    }

    #[test]
    fn a_file_without_a_name_leaves_nothing_behind() {
        let scratch = tempfile::tempdir().unwrap();
        let mut file = unnamed_file(scratch.path()).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_can_not_be_made_is_an_error() {
        assert!(unnamed_file(Path::new("/dev/null/x")).is_err());
    }
}
