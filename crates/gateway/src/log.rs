//! The error log, in gunicorn's format: `[2026-11-22 17:00:00 +0000] [PID] [INFO] message`.
//!
//! Each line is one write, at once: what is said here is rare, and has to be there when the process
//! dies. Must not know who speaks.

use std::{
    cell::{Cell, RefCell},
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::fd::AsFd,
    process,
};

use crate::{
    clock::LogDate,
    settings::{Destination, Level, Settings},
};

/// An open log, which can be opened anew after it was moved away.
pub(crate) struct Sink {
    destination: Destination,
    standard: Standard,
    file: File,
}

/// Which stream `-` means.
#[derive(Clone, Copy)]
pub(crate) enum Standard {
    Output,
    Error,
}

impl Sink {
    pub(crate) fn open(destination: &Destination, standard: Standard) -> io::Result<Sink> {
        let file = match (destination, standard) {
            (Destination::File(path), _) => {
                OpenOptions::new().append(true).create(true).open(path).map_err(|error| {
                    io::Error::other(format!("'{}' isn't writable [{error}]", path.display()))
                })?
            }
            (Destination::Standard, Standard::Output) => {
                io::stdout().as_fd().try_clone_to_owned()?.into()
            }
            (Destination::Standard, Standard::Error) => {
                io::stderr().as_fd().try_clone_to_owned()?.into()
            }
        };
        Ok(Sink { destination: destination.clone(), standard, file })
    }

    /// Keeps the old file where the new one can not be had. A standard stream, too: a daemon's leads
    /// somewhere else after a while.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        *self = Sink::open(&self.destination, self.standard)?;
        Ok(())
    }

    pub(crate) fn write(&mut self, lines: &[u8]) {
        // A log that can not be written has nobody to be reported to.
        let _ = self.file.write_all(lines);
    }
}

pub(crate) struct Log {
    level: Cell<Level>,
    sink: RefCell<Sink>,
}

impl Log {
    pub(crate) fn open(destination: &Destination, level: Level) -> io::Result<Log> {
        Ok(Log {
            level: Cell::new(level),
            sink: RefCell::new(Sink::open(destination, Standard::Error)?),
        })
    }

    pub(crate) fn say(&self, level: Level, message: impl fmt::Display) {
        if level < self.level.get() {
            return;
        }
        let (pid, name) = (process::id(), level.name());
        let line = format!("[{LogDate}] [{pid}] [{name}] {message}\n");
        self.sink.borrow_mut().write(line.as_bytes());
    }

    pub(crate) fn debug(&self, message: impl fmt::Display) {
        self.say(Level::Debug, message);
    }

    pub(crate) fn info(&self, message: impl fmt::Display) {
        self.say(Level::Info, message);
    }

    pub(crate) fn warning(&self, message: impl fmt::Display) {
        self.say(Level::Warning, message);
    }

    pub(crate) fn error(&self, message: impl fmt::Display) {
        self.say(Level::Error, message);
    }

    /// The old file stays where the new one can not be had.
    pub(crate) fn reconfigure(&self, settings: &Settings) -> io::Result<()> {
        self.level.set(settings.log_level);
        let sink = Sink::open(&settings.error_logfile, Standard::Error)?;
        self.sink.replace(sink);
        Ok(())
    }

    pub(crate) fn reopen(&self) {
        let reopened = self.sink.borrow_mut().reopen();
        if let Err(error) = reopened {
            self.error(format_args!("error log not reopened: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_gunicorns_shape_and_survive_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("error.log");
        let log = Log::open(&Destination::File(path.clone()), Level::Info).unwrap();
        log.debug("not said");
        log.info("one");
        std::fs::rename(&path, folder.path().join("old.log")).unwrap();
        log.reopen();
        log.warning(format_args!("{}", "two"));
        let old = std::fs::read_to_string(folder.path().join("old.log")).unwrap();
        let new = std::fs::read_to_string(&path).unwrap();
        assert!(old.ends_with(&format!("] [{}] [INFO] one\n", process::id())), "{old}");
        assert_eq!(old.lines().count(), 1);
        assert!(new.ends_with("] [WARNING] two\n"), "{new}");
    }
}
