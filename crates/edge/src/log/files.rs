//! Every log the configuration names. The master opens them, as root if it is root; the worker
//! inherits them open. A reader-writer lock, because a line is written far more often than a file
//! is reopened.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use nix::unistd::{Gid, Uid};

use crate::{clock, conf::ConfError};

/// In seconds.
const TELL_EVERY: u64 = 60;

/// Weak, so that a log which no block uses in the end is not opened: the default one, for a start.
#[derive(Default)]
pub struct Files {
    known: Mutex<Vec<Weak<LogFile>>>,
}

pub struct LogFile {
    target: Target,
    file: RwLock<Option<File>>,
    buffering: OnceLock<Buffering>,
    /// Lines on their way to the file, where it is buffered.
    waiting: Mutex<Vec<u8>>,
    /// When it was last told that it can not be written: a full disk is told once a minute.
    told: AtomicU64,
}

/// `buffer=`, `flush=` and `gzip=` of `access_log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffering {
    pub size: usize,
    pub flush: Option<Duration>,
    /// How hard each buffer is compressed before it is written; together they are one gzip file.
    pub gzip: Option<u32>,
}

enum Target {
    Path(PathBuf),
    Stderr,
}

impl Files {
    /// The file at this path, not yet open.
    pub fn file(&self, path: &Path) -> Arc<LogFile> {
        let same = |log: &Arc<LogFile>| matches!(&log.target, Target::Path(p) if p == path);
        if let Some(file) = self.used().into_iter().find(same) {
            return file;
        }
        let file = Arc::new(LogFile::of(Target::Path(path.to_owned())));
        self.known().push(Arc::downgrade(&file));
        file
    }

    pub fn stderr(&self) -> Arc<LogFile> {
        Arc::new(LogFile::of(Target::Stderr))
    }

    /// Opens every file; on USR1, opens them again under their names, which rotation has moved.
    /// `owner`: whom the master gives them to, so that the worker can do the same.
    pub fn open(&self, owner: Option<(Uid, Gid)>) -> Result<(), ConfError> {
        self.used().iter().try_for_each(|file| file.open(owner))
    }

    /// Writes what waits in buffers.
    pub fn flush(&self) {
        // As any line that can not be written.
        self.used().iter().for_each(|file| drop(file.flush()));
    }

    /// How often [`Files::flush`] is asked for.
    pub fn flush_every(&self) -> Option<Duration> {
        let files = self.used();
        files.iter().filter_map(|file| file.buffering.get().and_then(|known| known.flush)).min()
    }

    fn used(&self) -> Vec<Arc<LogFile>> {
        self.known().iter().filter_map(Weak::upgrade).collect()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Weak<LogFile>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogFile {
    fn of(target: Target) -> LogFile {
        let (file, waiting) = (RwLock::new(None), Mutex::default());
        LogFile { target, file, buffering: OnceLock::new(), waiting, told: AtomicU64::new(0) }
    }

    /// A log outside of any configuration: what `-e` names.
    pub fn at(path: &Path) -> LogFile {
        LogFile::of(Target::Path(path.to_owned()))
    }

    /// `false`: it is buffered in another way already.
    pub fn buffer(&self, buffering: Buffering) -> bool {
        *self.buffering.get_or_init(|| buffering) == buffering
    }

    pub fn open(&self, owner: Option<(Uid, Gid)>) -> Result<(), ConfError> {
        let Target::Path(path) = &self.target else { return Ok(()) };
        let _lost_as_any_line = self.flush();
        let fail =
            |error: &io::Error| ConfError::io("open()", &format!("\"{}\"", path.display()), error);
        let file = open(path).map_err(|error| fail(&error))?;
        if let Some((user, group)) = owner {
            // A device, or a file of somebody else's: the worker finds out when it opens it again.
            let _refused = nix::unistd::fchown(&file, Some(user), Some(group));
        }
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    pub fn is_stderr(&self) -> bool {
        matches!(self.target, Target::Stderr)
    }

    /// Whether it is time to tell again that it can not be written.
    pub fn tells_failure(&self) -> bool {
        let (now, _) = clock::now();
        let told = self.told.load(Ordering::Relaxed);
        told + TELL_EVERY <= now
            && self.told.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// As it is named in the log that tells of it.
    pub fn name(&self) -> String {
        match &self.target {
            Target::Path(path) => path.display().to_string(),
            Target::Stderr => "stderr".to_owned(),
        }
    }

    /// The file itself, for a daemon's stderr.
    pub fn file(&self) -> Option<File> {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        file.as_ref().and_then(|file| file.try_clone().ok())
    }

    /// One write of one whole line, so that lines of several threads do not mix.
    pub fn write(&self, line: &[u8]) -> io::Result<()> {
        let Some(Buffering { size, .. }) = self.buffering.get() else { return self.send(line) };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() + line.len() > *size {
            let full = std::mem::take(&mut *waiting);
            self.send(&full)?;
        }
        if line.len() > *size {
            return self.send(line);
        }
        waiting.extend_from_slice(line);
        Ok(())
    }

    pub fn flush(&self) -> io::Result<()> {
        let full =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if full.is_empty() { Ok(()) } else { self.send(&full) }
    }

    /// One line to a file that nobody keeps open.
    pub fn append(path: &Path, line: &[u8]) -> io::Result<()> {
        open(path)?.write_all(line)
    }

    fn send(&self, lines: &[u8]) -> io::Result<()> {
        match self.buffering.get().and_then(|buffering| buffering.gzip) {
            None => self.send_plain(lines),
            Some(level) => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::new(level));
                gzip.write_all(lines)?;
                self.send_plain(&gzip.finish()?)
            }
        }
    }

    fn send_plain(&self, lines: &[u8]) -> io::Result<()> {
        match &self.target {
            Target::Stderr => io::stderr().write_all(lines),
            Target::Path(_) => {
                let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
                match &*file {
                    Some(file) => (&*file).write_all(lines),
                    None => Ok(()),
                }
            }
        }
    }
}

pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Buffering = Buffering { size: 8, flush: None, gzip: None };

    #[test]
    fn a_compressed_log_is_one_gzip_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.gz");
        let files = Files::default();
        let log = files.file(&path);
        assert!(log.buffer(Buffering { gzip: Some(1), ..SMALL }));
        files.open(None).unwrap();
        for line in [&b"one\n"[..], b"longer than it\n", b"end\n"] {
            log.write(line).unwrap();
        }
        files.flush();
        let mut text = String::new();
        let file = std::fs::File::open(&path).unwrap();
        io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(file), &mut text).unwrap();
        assert_eq!(text, "one\nlonger than it\nend\n");
    }

    #[test]
    fn a_buffer_waits_until_it_is_full_or_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (files, read) = (Files::default(), || std::fs::read_to_string(&path).unwrap());
        let log = files.file(&path);
        assert!(log.buffer(Buffering { size: 8, ..SMALL }));
        assert!(!log.buffer(Buffering { size: 9, ..SMALL }));
        files.open(None).unwrap();
        log.write(b"one\n").unwrap();
        log.write(b"two\n").unwrap();
        assert_eq!(read(), "");
        log.write(b"three\n").unwrap();
        assert_eq!(read(), "one\ntwo\n");
        log.write(b"longer than it\n").unwrap();
        assert_eq!(read(), "one\ntwo\nthree\nlonger than it\n");
        log.write(b"end\n").unwrap();
        files.flush();
        assert!(read().ends_with("end\n"));
    }

    #[test]
    fn a_log_that_nobody_uses_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (files, path) = (Files::default(), folder.path().join("log"));
        drop(files.file(&path));
        files.open(None).unwrap();
        assert!(!path.exists());
        let kept = files.file(&path);
        files.open(None).unwrap();
        assert!(path.exists() && Arc::ptr_eq(&kept, &files.file(&path)));
    }

    #[test]
    fn a_reopened_log_is_written_under_its_old_name() {
        let folder = tempfile::tempdir().unwrap();
        let (files, path) = (Files::default(), folder.path().join("log"));
        let log = files.file(&path);
        files.open(None).unwrap();
        log.write(b"old\n").unwrap();
        std::fs::rename(&path, folder.path().join("log.1")).unwrap();
        files.open(None).unwrap();
        log.write(b"new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
    }
}
