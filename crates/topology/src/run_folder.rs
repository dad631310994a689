//! The folder of one run: configurations, logs, sockets, data. It goes with the run; what a run left that
//! was killed is cleared away by the next one, which knows it by a lock that nobody holds any more.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use nix::unistd::geteuid;
use tempfile::TempDir;

const PREFIX: &str = "causeway-run-";
const LOCK: &str = "lock";
const A_MOMENT: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct RunFolder {
    folder: TempDir,
    /// Held as long as we live.
    _lock: Option<File>,
}

impl RunFolder {
    pub(crate) fn make(keep: bool) -> io::Result<RunFolder> {
        clear_away_the_abandoned();
        let mut folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        folder.disable_cleanup(keep);
        if keep {
            return Ok(RunFolder { folder, _lock: None });
        }
        let lock = File::create(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(RunFolder { folder, _lock: Some(lock) })
    }

    /// To a folder in it whose name they know and which is theirs; what is here can not be listed, and
    /// what is secret has a mode of its own.
    pub(crate) fn let_others_through(&self) -> Result<()> {
        Ok(fs::set_permissions(self.path(), Permissions::from_mode(0o711))?)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// What can not be cleared away is somebody else's, or is gone already.
fn clear_away_the_abandoned() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Another user's could be anything, a pipe too, on which we would wait.
        let ours = entry.metadata().is_ok_and(|about| about.uid() == geteuid().as_raw());
        if !ours {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        let made = lock.metadata().and_then(|about| about.modified());
        let age = made.ok().and_then(|made| made.elapsed().ok());
        // One that is being made has its lock in a moment.
        if age.is_some_and(|age| age > A_MOMENT) && lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
