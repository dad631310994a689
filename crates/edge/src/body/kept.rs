//! What a thread keeps of files: the content of small ones, and, with `open_file_cache`,
//! descriptors and failures.

use std::{
    cell::RefCell,
    collections::HashMap,
    os::unix::ffi::OsStrExt,
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use nix::sys::stat::stat;

use super::file::{Caching, OpenError, OpenFile, identity, open_now};

/// So many files, and of their bytes, a thread.
const KEPT: usize = 1024;
const KEPT_BYTES: usize = 8 << 20;
/// Lookups between two searches for entries that nobody asks for any more.
const SWEEP: u64 = 256;

/// Opens a file, or finds it among those that are kept.
pub(super) fn open(path: &Path, caching: Option<&Caching>) -> Result<Rc<OpenFile>, OpenError> {
    KNOWN.with_borrow_mut(|known| known.open(path, caching))
}

/// What `open_file_cache` says without asking the system.
pub(super) fn believed(path: &Path, caching: &Caching) -> Option<Result<Rc<OpenFile>, OpenError>> {
    KNOWN.with_borrow_mut(|known| known.believed(path, caching))
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

#[derive(Default)]
struct Known {
    /// By the path's bytes: a `Path` is compared and hashed by its parts, and that is not needed.
    entries: HashMap<Box<[u8]>, Entry>,
    bytes: usize,
    lookups: u64,
}

struct Entry {
    found: Result<Rc<OpenFile>, OpenError>,
    uses: u32,
    used: Instant,
    /// When the system was last asked.
    checked: Instant,
    inactive: Duration,
}

impl Known {
    fn open(&mut self, path: &Path, caching: Option<&Caching>) -> Result<Rc<OpenFile>, OpenError> {
        if let Some(caching) = caching
            && let Some(found) = self.believed(path, caching)
        {
            return found;
        }
        let mut uses = 1;
        if let Some(entry) = self.entries.get_mut(path.as_os_str().as_bytes()) {
            let now = Instant::now();
            let same = match (&entry.found, stat(path)) {
                (Ok(known), Ok(found)) => known.identity == identity(&found),
                _ => false,
            };
            if same {
                (entry.checked, entry.used) = (now, now);
                entry.uses = entry.uses.saturating_add(1);
                return entry.found.clone();
            }
            uses = entry.uses.saturating_add(1);
            self.forget(path);
        }
        let found = open_now(path).map(Rc::new);
        match caching {
            None => Ok(self.keep_small(path, found?)),
            Some(caching) => self.keep(path, found, uses, caching),
        }
    }

    /// What `open_file_cache` says without asking the system.
    fn believed(
        &mut self,
        path: &Path,
        caching: &Caching,
    ) -> Option<Result<Rc<OpenFile>, OpenError>> {
        self.lookups += 1;
        if self.lookups.is_multiple_of(SWEEP) {
            self.sweep();
        }
        let entry = self.entries.get_mut(path.as_os_str().as_bytes())?;
        let now = Instant::now();
        if now.duration_since(entry.checked) >= caching.valid {
            return None;
        }
        entry.used = now;
        entry.uses = entry.uses.saturating_add(1);
        Some(entry.found.clone())
    }

    fn keep_small(&mut self, path: &Path, file: Rc<OpenFile>) -> Rc<OpenFile> {
        if !file.is_small() || !file.is_settled() {
            return file;
        }
        let Some(loaded) = file.load() else { return file };
        let loaded = Rc::new(loaded);
        self.insert(path, Ok(Rc::clone(&loaded)), 1, KEPT, Duration::MAX);
        loaded
    }

    fn keep(
        &mut self,
        path: &Path,
        found: Result<Rc<OpenFile>, OpenError>,
        uses: u32,
        caching: &Caching,
    ) -> Result<Rc<OpenFile>, OpenError> {
        if found.is_err() {
            if caching.errors {
                self.insert(path, found.clone(), uses, caching.max, caching.inactive);
            }
            return found;
        }
        if uses < caching.min_uses {
            return found;
        }
        let file = found?;
        let loaded = if file.is_small() && file.is_settled() { file.load() } else { None };
        let file = loaded.map_or(file, Rc::new);
        self.insert(path, Ok(Rc::clone(&file)), uses, caching.max, caching.inactive);
        Ok(file)
    }

    fn insert(
        &mut self,
        path: &Path,
        found: Result<Rc<OpenFile>, OpenError>,
        uses: u32,
        max: usize,
        inactive: Duration,
    ) {
        let weight = found.as_ref().map_or(0, |file| file.weight());
        if self.entries.len() >= max || self.bytes + weight > KEPT_BYTES {
            self.make_room();
        }
        self.bytes += weight;
        let now = Instant::now();
        let entry = Entry { found, uses, used: now, checked: now, inactive };
        self.entries.insert(path.as_os_str().as_bytes().into(), entry);
    }

    fn forget(&mut self, path: &Path) {
        if let Some(Entry { found: Ok(file), .. }) =
            self.entries.remove(path.as_os_str().as_bytes())
        {
            self.bytes -= file.weight();
        }
    }

    /// Lets go of the half that was not asked for the longest: seldom, and so cheap on the whole.
    fn make_room(&mut self) {
        let mut times: Vec<Instant> = self.entries.values().map(|entry| entry.used).collect();
        times.sort_unstable();
        let Some(middle) = times.get(times.len() / 2).copied() else { return };
        self.retain(|entry| entry.used > middle);
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        self.retain(|entry| now.duration_since(entry.used) < entry.inactive);
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.entries.retain(|_, entry| keep(entry));
        let files = self.entries.values().filter_map(|entry| entry.found.as_ref().ok());
        self.bytes = files.map(|file| file.weight()).sum();
    }
}

#[cfg(test)]
pub(super) fn count() -> usize {
    KNOWN.with_borrow(|known| known.entries.len())
}
