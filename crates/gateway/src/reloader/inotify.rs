//! inotify(7), on the folders of what is watched: editors replace a file rather than write it, and a
//! watch on the file itself would stay with the old one.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

use super::files::Files;
use crate::{log::Log, sys};

/// A file is complete, or another one has taken its name. Not each single write: what is half written
/// would be imported.
const COMPLETE: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_ONLYDIR);

pub(super) struct Folders {
    queue: Inotify,
    /// A second descriptor of it.
    readable: AsyncFd<OwnedFd>,
    covered: RefCell<BTreeSet<PathBuf>>,
}

impl Folders {
    pub(super) fn new() -> io::Result<Folders> {
        let queue = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let readable = sys::watched(queue.as_fd().try_clone_to_owned()?)?;
        Ok(Folders { queue, readable, covered: RefCell::default() })
    }

    /// Watches folders that are not watched yet.
    pub(super) fn cover(&self, files: &Files, log: &Log) {
        let mut covered = self.covered.borrow_mut();
        for folder in files.folders() {
            if covered.contains(&folder) {
                continue;
            }
            match self.queue.add_watch(&folder, COMPLETE) {
                // It may come yet: asked again when something happens.
                Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => continue,
                Err(error) => log.warning(format_args!(
                    "changes in {} are not seen: {}",
                    folder.display(),
                    error.desc()
                )),
                Ok(_) => (),
            }
            covered.insert(folder);
        }
    }

    /// Returns once it may be worth looking.
    pub(super) async fn something_happened(&mut self) {
        // Should it fail, looking each time is right, too.
        let Ok(mut ready) = self.readable.readable().await else { return };
        while let Ok(events) = self.queue.read_events() {
            if events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_IGNORED)) {
                // A folder has gone. Another may have its name now.
                self.covered.borrow_mut().clear();
            }
        }
        ready.clear_ready();
    }
}
