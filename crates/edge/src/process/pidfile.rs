//! The pid file: there when the server is ready, gone when it has ended, never half written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::{sys::signal::Signal, unistd::Pid};

use crate::{conf::ConfError, log::Level};

/// Written beside its place and renamed into it: who sees the file sees a number in it.
pub(super) fn write(path: &Path, pid: Pid) -> Result<(), ConfError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let fail =
        |error: io::Error| ConfError::io("open()", &format!("\"{}\"", path.display()), &error);
    fs::write(&beside, format!("{pid}\n")).map_err(fail)?;
    fs::rename(&beside, path).map_err(fail)
}

/// What can not be removed is told, and does not matter further.
pub(super) fn remove(path: &Path) -> Result<(), ConfError> {
    fs::remove_file(path)
        .map_err(|error| ConfError::io("unlink()", &format!("\"{}\"", path.display()), &error))
}

/// `-s`: tells the server whose pid file this is. An error comes with nginx's level for it.
pub fn tell(path: &Path, signal: Signal) -> Result<(), (Level, ConfError)> {
    let name = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| (Level::Error, ConfError::io("open()", &format!("\"{name}\""), &error)))?;
    let number = text.trim_end();
    let pid: i32 = number.parse().ok().filter(|pid| *pid > 0).ok_or_else(|| {
        (Level::Error, ConfError::whole(format!("invalid PID number \"{number}\" in \"{name}\"")))
    })?;
    nix::sys::signal::kill(Pid::from_raw(pid), signal).map_err(|error| {
        let call = format!("kill({pid}, {})", signal as i32);
        let message = format!("{call} failed ({})", crate::conf::errno(&error.into()));
        (Level::Alert, ConfError::whole(message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_written_whole_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        write(&path, Pid::this()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        let (level, error) = tell(&path, Signal::SIGHUP).unwrap_err();
        let expected =
            format!("open() \"{}\" failed (2: No such file or directory)", path.display());
        assert_eq!((level, error.to_string()), (Level::Error, expected));
        fs::write(&path, "\n").unwrap();
        let (_, error) = tell(&path, Signal::SIGHUP).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid PID number \"\" in \"{}\"", path.display()));
    }
}
