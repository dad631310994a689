//! The folder of what is made once and kept: virtual environments, prepared applications, chains that
//! run detached. One for all topologies of a project, found from wherever a command is given.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const NAME: &str = ".causeway";

/// `$CAUSEWAY_STATE`; else `.causeway` in the nearest folder above that has one or is a repository's;
/// else in the current folder.
pub fn folder() -> PathBuf {
    if let Some(folder) = env::var_os("CAUSEWAY_STATE") {
        return std::path::absolute(&folder).unwrap_or_else(|_| folder.into());
    }
    let here = env::current_dir().unwrap_or_default();
    let is_root = |folder: &&Path| folder.join(NAME).is_dir() || folder.join(".git").exists();
    here.ancestors().find(is_root).unwrap_or(&here).join(NAME)
}

/// The same, made when it is missing, and hidden from git by a file of its own.
pub fn made() -> io::Result<PathBuf> {
    let folder = folder();
    fs::create_dir_all(&folder)?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        fs::write(ignore, "*\n")?;
    }
    Ok(folder)
}
