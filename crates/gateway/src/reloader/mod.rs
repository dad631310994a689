//! `--reload`: new workers when a file of what they have imported changes. For development.
//!
//! Workers say what they imported, we look at the files, and a change is a HUP that nobody had to send:
//! new code that does not import leaves the old workers serving, and the next change is another try.
//! gunicorn's workers watch themselves, and one with a mistake in it watches nothing any more.
//! Whatever tells us that it may be worth looking (`inotify.rs`, or a second that has passed), what
//! has changed is found by looking at all of them (`files.rs`).

mod files; // what is watched, and what it looked like
mod inotify; // the kernel's word that something happened in a folder

use std::{cell::RefCell, path::PathBuf, rc::Rc, time::Duration};

use tokio::sync::Notify;

use self::{files::Files, inotify::Folders};
use crate::{
    gateway::Gateway,
    settings::{ReloadEngine, Settings},
    supervisor::Event,
};

const EACH: Duration = Duration::from_secs(1);
/// An editor writes several files at once; and a folder that is busy with other things is not worth
/// more than so many looks.
const TOGETHER: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(crate) struct Reloader {
    files: RefCell<Files>,
    reported: Notify,
}

impl Reloader {
    /// A worker has imported it. What it looks like now counts as what the worker has read.
    pub(crate) fn report(&self, file: PathBuf) {
        if self.files.borrow_mut().add(file) {
            self.reported.notify_one();
        }
    }
}

/// Runs as long as the gateway; costs nothing before something is reported.
pub(crate) async fn watch(gateway: Rc<Gateway>) {
    let reloader = &gateway.reloader;
    let mut folders = None;
    loop {
        let settings = gateway.settings();
        if !settings.reload {
            folders = None;
            reloader.reported.notified().await;
            continue;
        }
        if folders.is_none() {
            folders = Some(start(&gateway, &settings));
        }
        let folders = folders.as_mut().and_then(Option::as_mut);
        reloader.files.borrow_mut().expand(&settings.reload_extra_files);
        if let Some(folders) = &folders {
            folders.cover(&reloader.files.borrow(), &gateway.log);
        }
        let something_happened = async {
            match folders {
                Some(folders) => folders.something_happened().await,
                None => tokio::time::sleep(EACH).await,
            }
        };
        tokio::select! {
            () = reloader.reported.notified() => continue,
            () = something_happened => (),
        }
        tokio::time::sleep(TOGETHER).await;
        let changed = reloader.files.borrow_mut().changed(&settings.reload_extra_files);
        if let Some(file) = changed {
            gateway.log.info(format_args!("Worker reloading: {} modified", file.display()));
            gateway.inbox.put(Event::Hangup);
        }
    }
}

fn start(gateway: &Gateway, settings: &Settings) -> Option<Folders> {
    gateway.log.warning("Reloader is on. Use in development only!");
    if settings.reload_engine == ReloadEngine::Poll {
        return None;
    }
    let folders = Folders::new().map_err(|error| {
        gateway.log.warning(format_args!("inotify is not to be had, so files are polled: {error}"));
    });
    folders.ok()
}
