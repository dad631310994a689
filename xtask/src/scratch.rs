//! A folder of one test's own, short enough for a unix socket's name (108 bytes), removed at its end.
//! When the test fails (or `CHAIN_KEEP` is set) it stays, and its path is printed: the logs in it are the first thing to read.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub struct Scratch {
    folder: Option<TempDir>,
}

impl Scratch {
    pub fn new() -> Scratch {
        let folder = tempfile::Builder::new().prefix("causeway-").tempdir();
        Scratch { folder: Some(folder.expect("the temporary folder is writable")) }
    }

    pub fn path(&self) -> &Path {
        self.folder.as_ref().expect("taken at the end only").path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Lets it stay, for somebody to look into.
    pub fn keep(mut self) -> PathBuf {
        self.folder.take().expect("taken at the end only").keep()
    }

    /// Everything in a file of the folder; nothing when it is not there yet.
    pub fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if (std::thread::panicking() || std::env::var_os("CHAIN_KEEP").is_some())
            && let Some(folder) = self.folder.take()
        {
            eprintln!("logs of the test: {}", folder.keep().display());
        }
    }
}
