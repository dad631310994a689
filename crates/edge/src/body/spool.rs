//! A body that has come in whole: in memory while it is small, in a file that has no name any more
//! when it is not. It can be read again, for the next upstream or after an `error_page`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;

use super::{BodyError, RequestBody};

pub enum Spool {
    Memory(Vec<Bytes>),
    File { file: File, length: u64 },
}

/// How much is kept in memory, and where the rest goes.
pub struct SpoolRules {
    /// `client_body_buffer_size`.
    pub memory: u64,
    /// `client_body_temp_path`.
    pub folder: PathBuf,
    /// `client_body_timeout`.
    pub timeout: Duration,
}

impl Spool {
    pub fn len(&self) -> u64 {
        match self {
            Spool::Memory(parts) => parts.iter().map(|part| part.len() as u64).sum(),
            Spool::File { length, .. } => *length,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A stretch of the file; empty at its end.
    pub fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        match self {
            Spool::Memory(_) => Ok(Bytes::new()),
            Spool::File { file, length: whole } => {
                let left = usize::try_from(whole - offset).unwrap_or(usize::MAX);
                read_at(file, offset, length.min(left))
            }
        }
    }
}

/// A stretch of a file; shorter only at its end.
pub fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut stretch = vec![0; length];
    let mut read = 0;
    while read < length {
        let at = (offset + read as u64) as i64;
        match nix::sys::uio::pread(file, &mut stretch[read..], at)? {
            0 => return Err(io::Error::other("the temporary file has become shorter")),
            more => read += more,
        }
    }
    Ok(stretch.into())
}

/// A file without a name: it is gone when it is closed, however that comes about.
pub fn unnamed_file(folder: &Path) -> io::Result<File> {
    loop {
        let path = folder.join(format!("{:016x}", fastrand::u64(..)));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        match options.open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_dir() => {
                std::fs::create_dir_all(folder)?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            Err(error) => return Err(error),
        }
    }
}

impl RequestBody {
    /// Reads the whole body, once; whoever asks again gets the same.
    pub async fn spool(&mut self, rules: &SpoolRules) -> Result<Rc<Spool>, BodyError> {
        if let Some(spool) = &self.spooled {
            return Ok(Rc::clone(spool));
        }
        let spool = Rc::new(self.read_whole(rules).await?);
        self.spooled = Some(Rc::clone(&spool));
        Ok(spool)
    }

    async fn read_whole(&mut self, rules: &SpoolRules) -> Result<Spool, BodyError> {
        let (mut parts, mut held) = (Vec::new(), 0);
        let known_large = self.declared_length().is_some_and(|length| length > rules.memory);
        let mut file: Option<File> = None;
        while let Some(part) = self.chunk(rules.timeout).await? {
            held += part.len() as u64;
            if let Some(file) = &mut file {
                file.write_all(&part).map_err(BodyError::Spool)?;
                continue;
            }
            parts.push(part);
            if held > rules.memory || known_large {
                let mut new = unnamed_file(&rules.folder).map_err(BodyError::Spool)?;
                for part in parts.drain(..) {
                    new.write_all(&part).map_err(BodyError::Spool)?;
                }
                file = Some(new);
            }
        }
        Ok(match file {
            Some(file) => Spool::File { file, length: held },
            None => Spool::Memory(parts),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_name_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("client_body_temp");
        let mut file = unnamed_file(&below).unwrap();
        file.write_all(b"hello, world").unwrap();
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 0);
        let spool = Spool::File { file, length: 12 };
        assert_eq!(spool.read_at(7, 100).unwrap(), "world");
        assert_eq!(spool.read_at(12, 100).unwrap(), "");
    }
}
