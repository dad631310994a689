//! The file of names and passwords: `name:password`, and perhaps `:comment`, a line each. It is asked
//! for at each request, and read again when it has changed.

use std::{
    cell::RefCell,
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, SystemTime},
};

/// So many files a thread keeps, and of no larger ones.
const KEPT: usize = 16;
const LARGEST: u64 = 1 << 20;

/// A file that was changed later than this before it was read may be changed again within the same
/// tick of its clock.
const SETTLED: Duration = Duration::from_secs(2);

struct Known {
    path: PathBuf,
    identity: Identity,
    content: Rc<[u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    file: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

thread_local! {
    /// The file that was asked for last is the last.
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// What stands behind a name.
pub(super) fn password_of(path: &Path, user: &[u8]) -> io::Result<Option<Vec<u8>>> {
    Ok(find(&content(path)?, user).map(<[u8]>::to_vec))
}

fn content(path: &Path) -> io::Result<Rc<[u8]>> {
    let found = std::fs::metadata(path)?;
    let identity = Identity::of(&found);
    KNOWN.with_borrow_mut(|known| {
        if let Some(place) = known.iter().position(|known| known.path == path) {
            let file = known.remove(place);
            if file.identity == identity {
                let content = Rc::clone(&file.content);
                known.push(file);
                return Ok(content);
            }
        }
        let mut file = File::open(path)?;
        let identity = Identity::of(&file.metadata()?);
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let content: Rc<[u8]> = content.into();
        let age = found.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if identity.size <= LARGEST && age.is_some_and(|age| age >= SETTLED) {
            if known.len() == KEPT {
                known.remove(0);
            }
            known.push(Known { path: path.to_owned(), identity, content: Rc::clone(&content) });
        }
        Ok(content)
    })
}

impl Identity {
    fn of(found: &Metadata) -> Identity {
        Identity {
            file: (found.dev(), found.ino()),
            size: found.size(),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// The first line of a name decides.
fn find<'c>(content: &'c [u8], user: &[u8]) -> Option<&'c [u8]> {
    content.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#")).find_map(|line| {
        let rest = line.strip_prefix(user)?.strip_prefix(b":")?;
        let end = rest.iter().position(|byte| matches!(byte, b':' | b'\r'));
        Some(&rest[..end.unwrap_or(rest.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let content = b"# comment\n#hash:x\na:1\nab:2:comment\r\n\na:3\nlast:4";
        let check = |user: &str, expected: Option<&str>| {
            assert_eq!(find(content, user.as_bytes()), expected.map(str::as_bytes), "{user}");
        };
        check("a", Some("1"));
        check("ab", Some("2"));
        check("last", Some("4"));
        for none in ["", "b", "#hash", "# comment", "a:1\nab", "2"] {
            check(none, None);
        }
    }

    #[test]
    fn a_file_that_changed_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        assert_eq!(password_of(&path, b"a").unwrap_err().kind(), io::ErrorKind::NotFound);
        for password in ["one", "two"] {
            std::fs::write(&path, format!("a:{password}\n")).unwrap();
            assert_eq!(password_of(&path, b"a").unwrap().unwrap(), password.as_bytes());
        }
        let settled = File::options().append(true).open(&path).unwrap();
        settled.set_modified(SystemTime::now() - SETTLED * 2).unwrap();
        assert_eq!(password_of(&path, b"a").unwrap().unwrap(), b"two");
        assert!(KNOWN.with_borrow(|known| known.iter().any(|known| known.path == path)));
        std::fs::write(&path, "a:three\n").unwrap();
        assert_eq!(password_of(&path, b"a").unwrap().unwrap(), b"three");
    }
}
