//! `--pid`: made before anything listens, removed at exit if it still is ours.

use std::{
    fs, io,
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
        // Written aside and renamed: whoever reads it reads a whole number.
        let aside = path.with_extension(format!("{}.tmp", process::id()));
        fs::write(&aside, format!("{}\n", process::id()))
            .and_then(|()| fs::rename(&aside, path))
            .map_err(|error| format!("pid file '{}' can not be written: {error}", path.display()))?;
        Ok(PidFile { path: path.to_owned() })
    }
}

fn running(path: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let answers = signal::kill(Pid::from_raw(pid.cast_signed()), None);
    let alive = !matches!(answers, Err(nix::errno::Errno::ESRCH));
    (alive && pid != process::id()).then_some(pid)
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = |text: String| text.trim() == process::id().to_string();
        let is_ours: io::Result<bool> = fs::read_to_string(&self.path).map(ours);
        if is_ours.unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
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
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        drop(file);
        assert!(!path.exists());
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
}
