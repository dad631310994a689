//! `--pid`: made before anything listens, removed at exit if it still is ours.
//!
//! The folder may be out of reach by then: it often is root's, who we are no more (`privileges.rs`).
//! The file itself was given to whom we became, so where it can not be removed it is emptied, which
//! says the same: nobody runs.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
};

use nix::{sys::signal, unistd::Pid};

pub(crate) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    pub(crate) fn create(path: &Path) -> Result<PidFile, String> {
        if let Some(other) = running(path) {
            return Err(format!(
                "Already running on PID {other} (or pid file '{}' is stale)",
                path.display()
            ));
        }
        write(path).map_err(|error| {
            format!("pid file '{}' can not be written: {error}", path.display())
        })?;
        Ok(PidFile { path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// What HUP may change: the new one is there before the old one goes, and stays away if it can not be
/// made. One that somebody removed is made anew.
pub(crate) fn change(current: &mut Option<PidFile>, wanted: Option<&Path>) -> Result<(), String> {
    let created = wanted.map(PidFile::create).transpose()?;
    let replaced = std::mem::replace(current, created);
    if let (Some(old), Some(new)) = (replaced, &current)
        && old.path == new.path
    {
        std::mem::forget(old);
    }
    Ok(())
}

fn running(path: &Path) -> Option<i32> {
    let pid: i32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    // 0 and below are not processes but groups of them.
    if pid <= 0 || pid.cast_unsigned() == process::id() {
        return None;
    }
    let answers = signal::kill(Pid::from_raw(pid), None);
    (!matches!(answers, Err(nix::errno::Errno::ESRCH))).then_some(pid)
}

/// Written aside and renamed: whoever reads it reads a whole number. Only where nothing can be made
/// in its folder is the file itself, should it be ours, written over.
fn write(path: &Path) -> io::Result<()> {
    match write_aside(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let mut file = OpenOptions::new().write(true).truncate(true).open(path);
            // That the folder is closed to us says more than that there is no such file.
            file.as_mut().map_err(|_| error)?.write_all(text().as_bytes())
        }
        other => other,
    }
}

fn write_aside(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.tmp", process::id()));
    let _ = fs::remove_file(&aside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&aside)?;
    let written = file
        .write_all(text().as_bytes())
        // Whatever the umask.
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(0o644)))
        .and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written
}

fn text() -> String {
    format!("{}\n", process::id())
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let is_ours = fs::read_to_string(&self.path).is_ok_and(|found| found == text());
        if is_ours && fs::remove_file(&self.path).is_err() {
            let _ = File::options().write(true).truncate(true).open(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        fs::write(&path, "999999999\n").unwrap();
        let file = PidFile::create(&path).expect("nobody has that number");
        assert_eq!(fs::read_to_string(&path).unwrap(), text());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_living_owner_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        fs::write(&path, format!("{}\n", nix::unistd::getppid())).unwrap();
        let refused = PidFile::create(&path).err().unwrap();
        assert!(refused.starts_with("Already running on PID "), "{refused}");
        assert!(path.exists());
    }

    #[test]
    fn another_ones_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let file = PidFile::create(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn it_moves_when_the_new_place_can_be_had() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let mut file = None;
        change(&mut file, Some(&one)).unwrap();
        change(&mut file, Some(&folder.path().join("no/such/folder"))).unwrap_err();
        assert!(one.exists());
        change(&mut file, Some(&two)).unwrap();
        assert!(!one.exists() && two.exists());
        fs::remove_file(&two).unwrap();
        change(&mut file, Some(&two)).unwrap();
        assert!(two.exists());
        change(&mut file, None).unwrap();
        assert!(!two.exists());
    }
}
