//! Every log the configuration names. The master opens them, as root if it is root; the worker
//! inherits them open. A reader-writer lock, because a line is written far more often than a file
//! is reopened.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use crate::conf::ConfError;

#[derive(Default)]
pub struct Files {
    known: Mutex<Vec<Arc<LogFile>>>,
}

pub struct LogFile {
    target: Target,
    file: RwLock<Option<File>>,
}

enum Target {
    Path(PathBuf),
    Stderr,
}

impl Files {
    /// The file at this path, not yet open.
    pub fn file(&self, path: &Path) -> Arc<LogFile> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |log: &&Arc<LogFile>| matches!(&log.target, Target::Path(p) if p == path);
        if let Some(file) = known.iter().find(same) {
            return Arc::clone(file);
        }
        let file = LogFile { target: Target::Path(path.to_owned()), file: RwLock::new(None) };
        let file = Arc::new(file);
        known.push(Arc::clone(&file));
        file
    }

    pub fn stderr(&self) -> Arc<LogFile> {
        Arc::new(LogFile { target: Target::Stderr, file: RwLock::new(None) })
    }

    /// Opens every file; on USR1, opens them again under their names, which rotation has moved.
    pub fn open(&self) -> Result<(), ConfError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().try_for_each(|file| file.open())
    }
}

impl LogFile {
    pub fn open(&self) -> Result<(), ConfError> {
        let Target::Path(path) = &self.target else { return Ok(()) };
        let file =
            OpenOptions::new().append(true).create(true).open(path).map_err(|error| {
                ConfError::io("open()", &format!("\"{}\"", path.display()), &error)
            })?;
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    pub fn is_stderr(&self) -> bool {
        matches!(self.target, Target::Stderr)
    }

    /// One write of one whole line, so that lines of several threads do not mix.
    pub fn write(&self, line: &[u8]) -> io::Result<()> {
        match &self.target {
            Target::Stderr => io::stderr().write_all(line),
            Target::Path(_) => {
                let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
                match &*file {
                    Some(file) => (&*file).write_all(line),
                    None => Ok(()),
                }
            }
        }
    }
}
