//! Logs whose names are made for each line, kept open between lines (`open_log_file_cache`).

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::files::open;

pub struct LogCache {
    rules: CacheRules,
    known: Mutex<HashMap<PathBuf, Known>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheRules {
    /// Names that are remembered, at most.
    pub max: usize,
    /// A name that was not used for so long is forgotten.
    pub inactive: Duration,
    /// So many uses make it worth keeping the file open.
    pub min_uses: usize,
    /// How long it is believed that the name still leads to the open file.
    pub valid: Duration,
}

struct Known {
    file: Option<Arc<File>>,
    uses: usize,
    used: Instant,
    checked: Instant,
}

impl LogCache {
    pub fn new(rules: CacheRules) -> LogCache {
        LogCache { rules, known: Mutex::default() }
    }

    pub fn append(&self, path: &Path, line: &[u8]) -> io::Result<()> {
        // Written outside of the lock: others may have other files.
        (&*self.file(path)?).write_all(line)
    }

    fn file(&self, path: &Path) -> io::Result<Arc<File>> {
        let rules = &self.rules;
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        all.retain(|_, known| now.duration_since(known.used) < rules.inactive);
        if let Some(known) = all.get_mut(path) {
            known.uses += 1;
            known.used = now;
            if let Some(file) = &known.file {
                if now.duration_since(known.checked) < rules.valid || leads_to(path, file) {
                    return Ok(Arc::clone(file));
                }
                known.file = None;
            }
        }
        let file = Arc::new(open(path)?);
        if !all.contains_key(path) && all.len() >= rules.max {
            let oldest =
                all.iter().min_by_key(|(_, known)| known.used).map(|(path, _)| path.clone());
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        let fresh = || Known { file: None, uses: 1, used: now, checked: now };
        let known = all.entry(path.to_owned()).or_insert_with(fresh);
        if known.uses >= rules.min_uses {
            known.file = Some(Arc::clone(&file));
            known.checked = now;
        }
        Ok(file)
    }
}

fn leads_to(path: &Path, file: &File) -> bool {
    let (Ok(there), Ok(here)) = (path.metadata(), file.metadata()) else { return false };
    (there.dev(), there.ino()) == (here.dev(), here.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: CacheRules) -> (tempfile::TempDir, LogCache) {
        (tempfile::tempdir().unwrap(), LogCache::new(rules))
    }

    const RULES: CacheRules = CacheRules {
        max: 2,
        inactive: Duration::from_mins(1),
        min_uses: 2,
        valid: Duration::from_mins(1),
    };

    #[test]
    fn a_name_used_often_stays_open_and_the_oldest_goes() {
        let (folder, cache) = check(RULES);
        let path = |name: &str| folder.path().join("logs").join(name);
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        for name in ["old", "old", "once", "often", "often"] {
            cache.append(&path(name), b"1").unwrap();
        }
        std::fs::rename(folder.path().join("logs"), folder.path().join("moved")).unwrap();
        let written = ["old", "once", "often"].map(|name| cache.append(&path(name), b"2").is_ok());
        assert_eq!(written, [false, false, true]);
    }

    #[test]
    fn a_file_that_was_moved_away_is_noticed() {
        let (folder, cache) = check(CacheRules { min_uses: 1, valid: Duration::ZERO, ..RULES });
        let path = folder.path().join("log");
        cache.append(&path, b"1").unwrap();
        std::fs::rename(&path, folder.path().join("log.1")).unwrap();
        cache.append(&path, b"2").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"2");
    }
}
