//! A file or a standard stream that lines are written to, and that can be opened anew after it was
//! moved away. Each write is at once: nothing of ours is lost with the process.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::fd::AsFd,
};

use nix::unistd::{Gid, Uid, fchown};

use crate::settings::Destination;

pub(super) struct Sink {
    destination: Destination,
    standard: Standard,
    file: File,
}

/// Which stream `-` means.
#[derive(Clone, Copy)]
pub(super) enum Standard {
    Output,
    Error,
}

impl Sink {
    pub(super) fn open(destination: &Destination, standard: Standard) -> io::Result<Sink> {
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
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = Sink::open(&self.destination, self.standard)?;
        Ok(())
    }

    pub(super) fn write(&mut self, lines: &[u8]) {
        // A log that can not be written has nobody to be reported to.
        let _ = self.file.write_all(lines);
    }

    /// So that whoever this process becomes can open it anew. A standard stream is not ours to give.
    pub(super) fn give_to(&self, user: Option<Uid>, group: Option<Gid>) -> io::Result<()> {
        match &self.destination {
            Destination::File(_) => Ok(fchown(&self.file, user, group)?),
            Destination::Standard => Ok(()),
        }
    }
}
