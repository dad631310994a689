//! A body that has come in whole: in memory while it is small, in a file when it is not, or when the
//! configuration wants one. It can be read again, for the next upstream or after an `error_page`.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;

use super::{BodyError, RequestBody, temporary::TempFolder};

pub enum Spool {
    Memory(Vec<Bytes>),
    File(SpoolFile),
}

pub struct SpoolFile {
    file: File,
    path: PathBuf,
    length: u64,
    keep: Keep,
}

/// Where a body is kept: `client_body_in_file_only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// In memory, or in a file that has no name any more.
    AsItFits,
    /// In a file that stays when the request is over.
    File,
    /// In a file that goes with the request.
    FileForNow,
}

/// How much is kept in memory, and where the rest goes.
pub struct SpoolRules<'a> {
    /// `client_body_buffer_size`.
    pub memory: u64,
    /// `client_body_temp_path`.
    pub folder: &'a TempFolder,
    /// `client_body_timeout`.
    pub timeout: Duration,
    pub keep: Keep,
    /// `client_body_in_single_buffer`: joined once, and not each time it is asked for.
    pub single_buffer: bool,
}

impl SpoolRules<'_> {
    /// Whether a file is wanted before the first byte is here. A body that is larger than the buffer
    /// by less than a quarter is not worth one.
    fn want_file(&self, length: Option<u64>) -> bool {
        let most = self.memory.saturating_add(self.memory / 4);
        self.keep != Keep::AsItFits || length.is_some_and(|length| length > 0 && length >= most)
    }
}

impl Spool {
    pub fn len(&self) -> u64 {
        match self {
            Spool::Memory(parts) => parts.iter().map(|part| part.len() as u64).sum(),
            Spool::File(file) => file.length,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole of it, if no file was needed: `$request_body`.
    pub fn in_memory(&self) -> Option<Bytes> {
        match self {
            Spool::Memory(parts) => match &parts[..] {
                [whole] => Some(whole.clone()),
                parts => Some(parts.concat().into()),
            },
            Spool::File(_) => None,
        }
    }

    /// `$request_body_file`: what the file is called, or was.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Spool::Memory(_) => None,
            Spool::File(file) => Some(&file.path),
        }
    }

    /// A stretch of the file; empty at its end.
    pub fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        match self {
            Spool::Memory(_) => Ok(Bytes::new()),
            Spool::File(SpoolFile { file, length: whole, .. }) => {
                let left = usize::try_from(whole - offset).unwrap_or(usize::MAX);
                read_at(file, offset, length.min(left))
            }
        }
    }
}

impl SpoolFile {
    fn create(rules: &SpoolRules<'_>) -> io::Result<SpoolFile> {
        let (file, path) = rules.folder.create()?;
        if rules.keep == Keep::AsItFits {
            std::fs::remove_file(&path)?;
        }
        Ok(SpoolFile { file, path, length: 0, keep: rules.keep })
    }

    fn append(&mut self, part: &[u8]) -> io::Result<()> {
        self.length += part.len() as u64;
        self.file.write_all(part)
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        if self.keep == Keep::FileForNow {
            // Whoever was told the name may have taken the file away.
            let _gone = std::fs::remove_file(&self.path);
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

impl RequestBody {
    /// The whole body, once somebody wanted it whole.
    pub fn spooled(&self) -> Option<&Rc<Spool>> {
        self.spooled.as_ref()
    }

    /// Reads the whole body, once; whoever asks again gets the same.
    pub async fn spool(&mut self, rules: &SpoolRules<'_>) -> Result<Rc<Spool>, BodyError> {
        if let Some(spool) = &self.spooled {
            return Ok(Rc::clone(spool));
        }
        self.client.take_whole();
        let spool = Rc::new(self.read_whole(rules).await?);
        self.spooled = Some(Rc::clone(&spool));
        Ok(spool)
    }

    /// Takes in what has come, without waiting for more. `true`: that was the whole body, and it can
    /// be read again although nobody has asked for that.
    pub async fn spool_what_is_here(&mut self, rules: &SpoolRules<'_>) -> Result<bool, BodyError> {
        if self.spooled.is_some() {
            return Ok(true);
        }
        let most = usize::try_from(rules.memory).unwrap_or(usize::MAX);
        // A client that waits to be told to go on has sent nothing yet.
        while !self.continue_pending {
            if self.take_in(most)? {
                self.begun = true;
                let whole = self.taken.take();
                self.spooled = Some(Rc::new(Spool::Memory(whole.into_iter().collect())));
                return Ok(true);
            }
            if self.taken.len() >= most || !self.client.fill_now(super::READ).await {
                break;
            }
        }
        Ok(false)
    }

    async fn read_whole(&mut self, rules: &SpoolRules<'_>) -> Result<Spool, BodyError> {
        let length = self.declared_length();
        let most = length.unwrap_or(rules.memory);
        let create = || SpoolFile::create(rules).map_err(BodyError::Spool);
        let mut file = if rules.want_file(length) { Some(create()?) } else { None };
        let (mut parts, mut held) = (Vec::new(), 0);
        while let Some(part) = self.chunk(rules.timeout).await? {
            held += part.len() as u64;
            if file.is_none() && held > most {
                file = Some(create()?);
            }
            parts.push(part);
            if let Some(file) = &mut file {
                for part in parts.drain(..) {
                    file.append(&part).map_err(BodyError::Spool)?;
                }
            }
        }
        Ok(match file {
            Some(file) => Spool::File(file),
            None if rules.single_buffer && parts.len() > 1 => {
                Spool::Memory(vec![parts.concat().into()])
            }
            None => Spool::Memory(parts),
        })
    }
}
