//! Opening a path one name at a time, so that no symbolic link on the way is followed
//! (`disable_symlinks on`), or none whose owner is not the owner of what it leads to
//! (`if_not_owner`). What stands before `from=` is taken as it is.

use std::{
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open as open_path, openat},
    sys::stat::{Mode, SFlag, fstat},
};

use super::file::OpenError;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    #[default]
    Followed,
    /// No link at all below `from`.
    Refused { from: Option<PathBuf> },
    /// Only links that belong to the owner of what they lead to.
    SameOwner { from: Option<PathBuf> },
}

/// Opens `path` with `access`, refusing links with ELOOP, as nginx reports them.
pub(super) fn open(path: &Path, symlinks: &Symlinks, access: OFlag) -> Result<OwnedFd, OpenError> {
    let failed = |call| move |errno| OpenError { call, errno };
    let (Symlinks::Refused { from } | Symlinks::SameOwner { from }) = symlinks else {
        let flags = access | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        return open_path(path, flags, Mode::empty()).map_err(failed("open()"));
    };
    let trusted = trusted_part(path, from.as_deref());
    let rest = path.strip_prefix(trusted).unwrap_or(path);
    let folder = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let start = if trusted.as_os_str().is_empty() { Path::new(".") } else { trusted };
    let mut at = open_path(start, folder, Mode::empty()).map_err(failed("open()"))?;
    let mut names = rest.components().peekable();
    if names.peek().is_none() {
        return open_path(path, access | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed("open()"));
    }
    while let Some(name) = names.next() {
        let name = match name {
            Component::Normal(name) => name,
            Component::ParentDir => OsStr::new(".."),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => continue,
        };
        let last = names.peek().is_none();
        let flags = if last { access | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK } else { folder };
        let step = |flags| openat(&at, name, flags, Mode::empty()).map_err(failed("openat()"));
        let owner_of_link = match symlinks {
            Symlinks::SameOwner { .. } => {
                let link = step(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)?;
                let found = fstat(&link).map_err(failed("fstat()"))?;
                is_link(found.st_mode).then_some(found.st_uid)
            }
            _ => None,
        };
        let next = step(if owner_of_link.is_some() { flags } else { flags | OFlag::O_NOFOLLOW })?;
        let found = fstat(&next).map_err(failed("fstat()"))?;
        // With O_PATH, a link is opened itself instead of being refused.
        if is_link(found.st_mode) || owner_of_link.is_some_and(|owner| owner != found.st_uid) {
            return Err(OpenError { call: "openat()", errno: Errno::ELOOP });
        }
        at = next;
    }
    Ok(at)
}

fn is_link(mode: u32) -> bool {
    mode & SFlag::S_IFMT.bits() == SFlag::S_IFLNK.bits()
}

/// `from`, where the path lies below it; otherwise the root, or nothing.
fn trusted_part<'a>(path: &'a Path, from: Option<&Path>) -> &'a Path {
    let whole = path.as_os_str().as_bytes();
    if let Some(from) = from
        && path.starts_with(from)
    {
        let names = from.components().count();
        let below = path.ancestors().find(|part| part.components().count() == names);
        return below.unwrap_or(path);
    }
    if whole.starts_with(b"/") { Path::new("/") } else { Path::new("") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(symlinks: &Symlinks, path: &Path, expected: Result<(), Errno>) {
        for access in [OFlag::O_RDONLY, OFlag::O_PATH] {
            let opened = open(path, symlinks, access).map(drop).map_err(|error| error.errno);
            assert_eq!(opened, expected, "{}", path.display());
        }
    }

    #[test]
    fn links_on_the_way_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::write(root.join("real/file"), "x").unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("folder")).unwrap();
        std::os::unix::fs::symlink(root.join("real/file"), root.join("link")).unwrap();
        let refused = Symlinks::Refused { from: None };
        check(&refused, &root.join("real/file"), Ok(()));
        check(&refused, &root.join("link"), Err(Errno::ELOOP));
        // As nginx has it: a link is not a folder.
        check(&refused, &root.join("folder/file"), Err(Errno::ENOTDIR));
        check(&refused, &root.join("none"), Err(Errno::ENOENT));
        let below = Symlinks::Refused { from: Some(root.join("folder")) };
        check(&below, &root.join("folder/file"), Ok(()));
        check(&below, &root.join("link"), Err(Errno::ELOOP));
        // All of it is ours.
        let same = Symlinks::SameOwner { from: None };
        check(&same, &root.join("folder/file"), Ok(()));
        check(&same, &root.join("link"), Ok(()));
        check(&refused, &root.join("real/../real/file"), Ok(()));
    }
}
