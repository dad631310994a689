//! Files to be sent: opened, looked at, and, where they are small, kept.
//!
//! Each thread keeps the content of small files and asks the system, on every request, whether the
//! name still means the very same file (`stat`: device, inode, size, times). One system call then
//! takes the place of open, fstat, read and close, and a file that changed is never served from
//! memory. A file that changed less than two seconds ago is not kept at all: a second change could
//! still come within the clock's step and leave the same time behind.
//!
//! `open_file_cache` goes further, as it does in nginx: descriptors are kept, too, and for
//! `open_file_cache_valid` nothing is asked.

use std::{
    borrow::Cow,
    ffi::OsStr,
    fs::File,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use nix::{
    errno::Errno,
    fcntl::{OFlag, open as open_path},
    sys::stat::{FileStat, Mode, SFlag, fstat, stat},
};

use super::{
    kept,
    symlinks::{self, Symlinks},
};
use crate::{
    clock,
    exchange::Exchange,
    response::{Body, FilePart, Part},
    vars::Template,
};

/// How a location wants its files opened.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    pub symlinks: Symlinks,
    /// `from=` of `disable_symlinks`, where it is different for every request.
    pub from: Option<Template>,
    pub cache: Option<Caching>,
}

impl Opening {
    /// The same for one request, with what it makes of the variables.
    pub fn of(&self, exchange: &Exchange) -> Cow<'_, Opening> {
        let Some(from) = &self.from else { return Cow::Borrowed(self) };
        let from = from.render(exchange);
        let from = Some(PathBuf::from(OsStr::from_bytes(&from)));
        let symlinks = match self.symlinks {
            Symlinks::Followed => Symlinks::Followed,
            Symlinks::Refused { .. } => Symlinks::Refused { from },
            Symlinks::SameOwner { .. } => Symlinks::SameOwner { from },
        };
        Cow::Owned(Opening { symlinks, from: None, cache: self.cache })
    }
}

/// `open_file_cache` and what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Caching {
    pub max: usize,
    /// What nobody asked for this long is let go.
    pub inactive: Duration,
    /// How long an entry is believed without asking the system.
    pub valid: Duration,
    /// An entry asked for less often holds no descriptor.
    pub min_uses: u32,
    /// Whether "no such file" is remembered, too.
    pub errors: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Regular,
    Directory,
    Other,
}

/// Which call failed, for the log, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed ({errno})")]
pub struct OpenError {
    pub call: &'static str,
    pub errno: Errno,
}

#[derive(Debug)]
pub struct OpenFile {
    pub kind: Kind,
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    /// nginx's: time and size, in hexadecimal.
    pub etag: Bytes,
    pub(super) identity: Identity,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Memory(Bytes),
    Descriptor(Rc<File>),
}

/// What stays the same as long as a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: i64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file up to this size is kept in memory; above it, sendfile costs less than the copy.
const SMALL: u64 = 16 << 10;
/// Seconds after a change in which another could go unseen.
const UNSETTLED: i64 = 2;

impl OpenFile {
    /// The whole file, as a response's body.
    pub fn body(&self) -> Body {
        match &self.content {
            Content::Memory(bytes) => Body::Bytes(bytes.clone()),
            Content::Descriptor(file) => {
                let file = Rc::clone(file);
                Body::Parts(vec![Part::File(FilePart { file, offset: 0, length: self.size })])
            }
        }
    }

    fn new(file: File, found: &FileStat) -> OpenFile {
        let size = u64::try_from(found.st_size).unwrap_or(0);
        OpenFile {
            kind: kind(found),
            size,
            modified: found.st_mtime,
            etag: format!("\"{:x}-{size:x}\"", found.st_mtime).into(),
            identity: identity(found),
            content: Content::Descriptor(Rc::new(file)),
        }
    }

    /// Whether an unseen change could hide behind the same times.
    pub(super) fn is_settled(&self) -> bool {
        let (now, _) = clock::now();
        let newest = self.identity.changed.0.max(self.modified);
        newest + UNSETTLED < now as i64
    }

    pub(super) fn is_small(&self) -> bool {
        self.kind == Kind::Regular && self.size <= SMALL
    }

    /// The same file with its content in memory; `None` if it can not be read as it was announced.
    pub(super) fn load(&self) -> Option<OpenFile> {
        let Content::Descriptor(file) = &self.content else { return None };
        let mut content = vec![0; self.size as usize];
        let mut filled = 0;
        while filled < content.len() {
            let read = nix::sys::uio::pread(&**file, &mut content[filled..], filled as i64);
            match read {
                Ok(0) | Err(_) => return None,
                Ok(read) => filled += read,
            }
        }
        let still = fstat(&**file).ok().map(|found| identity(&found));
        (still == Some(self.identity)).then(|| OpenFile {
            kind: self.kind,
            size: self.size,
            modified: self.modified,
            etag: self.etag.clone(),
            identity: self.identity,
            content: Content::Memory(content.into()),
        })
    }

    pub(super) fn weight(&self) -> usize {
        match &self.content {
            Content::Memory(bytes) => bytes.len(),
            Content::Descriptor(_) => 0,
        }
    }
}

/// Opens a file to send it.
pub fn open(path: &Path, how: &Opening) -> Result<Rc<OpenFile>, OpenError> {
    if how.symlinks != Symlinks::Followed {
        let file = File::from(symlinks::open(path, &how.symlinks, OFlag::O_RDONLY)?);
        return examine(file).map(Rc::new);
    }
    kept::open(path, how.cache.as_ref())
}

/// What a name means, without opening it: what `index`, `try_files` and `if` ask.
pub fn look(path: &Path, how: &Opening) -> Result<Seen, OpenError> {
    if how.symlinks != Symlinks::Followed {
        let file = symlinks::open(path, &how.symlinks, OFlag::O_PATH)?;
        return fstat(&file).map(|found| Seen::new(&found)).map_err(failed("fstat()"));
    }
    if let Some(caching) = &how.cache
        && let Some(found) = kept::believed(path, caching)
    {
        return found.map(|file| Seen { kind: file.kind, mode: file.identity.mode });
    }
    stat(path).map(|found| Seen::new(&found)).map_err(failed("stat()"))
}

/// What is known of a file that was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub kind: Kind,
    mode: u32,
}

impl Seen {
    fn new(found: &FileStat) -> Seen {
        Seen { kind: kind(found), mode: found.st_mode }
    }

    /// Whether its owner may run it, which is what nginx asks.
    pub fn is_executable(&self) -> bool {
        self.mode & Mode::S_IXUSR.bits() != 0
    }
}

/// Whether an error says that there is no such file, which is no news for a log.
pub fn is_absent(error: &OpenError) -> bool {
    matches!(error.errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG)
}

fn failed(call: &'static str) -> impl Fn(Errno) -> OpenError {
    move |errno| OpenError { call, errno }
}

/// Without waiting: a pipe without a writer opens at once, and is refused by its kind.
pub(super) fn open_now(path: &Path) -> Result<OpenFile, OpenError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let file = open_path(path, flags, Mode::empty()).map_err(failed("open()"))?;
    examine(File::from(file))
}

fn examine(file: File) -> Result<OpenFile, OpenError> {
    let found = fstat(&file).map_err(failed("fstat()"))?;
    Ok(OpenFile::new(file, &found))
}

fn kind(found: &FileStat) -> Kind {
    match SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => Kind::Regular,
        SFlag::S_IFDIR => Kind::Directory,
        _ => Kind::Other,
    }
}

pub(super) fn identity(found: &FileStat) -> Identity {
    Identity {
        device: found.st_dev,
        inode: found.st_ino,
        size: found.st_size,
        mode: found.st_mode,
        modified: (found.st_mtime, found.st_mtime_nsec),
        changed: (found.st_ctime, found.st_ctime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const CACHING: Caching = Caching {
        max: 8,
        inactive: Duration::from_mins(1),
        valid: Duration::from_mins(1),
        min_uses: 1,
        errors: true,
    };

    fn content(file: &OpenFile) -> Vec<u8> {
        match &file.content {
            Content::Memory(bytes) => bytes.to_vec(),
            Content::Descriptor(file) => {
                let mut content = vec![0; 64];
                let read = nix::sys::uio::pread(&**file, &mut content, 0).unwrap();
                content.truncate(read);
                content
            }
        }
    }

    fn is_in_memory(file: &OpenFile) -> bool {
        matches!(file.content, Content::Memory(_))
    }

    #[test]
    fn a_file_that_changed_just_now_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let how = Opening::default();
        let first = open(&path, &how).unwrap();
        assert!(!is_in_memory(&first));
        assert_eq!(content(&first), b"one");
        // The same size, and, the clock's step being what it is, perhaps the same time.
        std::fs::write(&path, "two").unwrap();
        assert_eq!(content(&open(&path, &how).unwrap()), b"two");
    }

    #[test]
    fn what_is_kept_is_given_up_when_the_file_is_another() {
        // A file of the system that nobody has touched for a while.
        let old = Path::new("/etc/hostname");
        let Ok(found) = stat(old) else { return };
        if u64::try_from(found.st_ctime).unwrap() + 3 > clock::now().0 {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(old, &link).unwrap();
        let how = Opening::default();
        assert!(is_in_memory(&open(&link, &how).unwrap()));
        std::fs::remove_file(&link).unwrap();
        assert_eq!(open(&link, &how).unwrap_err().errno, Errno::ENOENT);
        std::fs::write(&link, "new").unwrap();
        assert_eq!(content(&open(&link, &how).unwrap()), b"new");
    }

    #[test]
    fn etags_are_time_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "0123456789abcdef").unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(0x6000_0000);
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert_eq!(open(&path, &Opening::default()).unwrap().etag, "\"60000000-10\"");
    }

    #[test]
    fn the_file_cache_believes_what_it_has_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let how = Opening { cache: Some(CACHING), ..Opening::default() };
        assert_eq!(open(&path, &how).unwrap_err().errno, Errno::ENOENT);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(open(&path, &how).unwrap_err().errno, Errno::ENOENT, "errors are kept");
        let stale = Caching { valid: Duration::ZERO, ..CACHING };
        let asking = Opening { cache: Some(stale), ..Opening::default() };
        assert_eq!(content(&open(&path, &asking).unwrap()), b"one");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(content(&open(&path, &how).unwrap()), b"one", "the descriptor is kept");
        assert_eq!(open(&path, &asking).unwrap_err().errno, Errno::ENOENT);
    }

    #[test]
    fn the_file_cache_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let how = Opening { cache: Some(CACHING), ..Opening::default() };
        for number in 0..100 {
            let path = folder.path().join(number.to_string());
            std::fs::write(&path, "x").unwrap();
            open(&path, &how).unwrap();
        }
        assert!(kept::count() <= CACHING.max);
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert_eq!(open(&path, &Opening::default()).unwrap().kind, Kind::Other);
        let seen = look(folder.path(), &Opening::default()).unwrap();
        assert_eq!((seen.kind, seen.is_executable()), (Kind::Directory, true));
    }
}
