//! Applications that are ready to run. Environment and database are made once and kept; each run gets a
//! copy of its own to write in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::application::Application;
use crate::progress::Progress;
use crate::python::{Environment, Python};
use crate::state;

/// An application that is ready to be copied and run.
#[derive(Debug)]
pub struct Prepared {
    pub application: Application,
    pub environment: Environment,
    data: PathBuf,
}

/// Makes it ready, or finds it ready. Processes that come at the same time wait for each other.
pub fn prepared(application: Application, progress: Progress) -> Result<Prepared> {
    let environment = application.environment(&Python::find()?, progress)?;
    let data = state::made()?.join("prepared").join(&application.name);
    once(&application.name, &application.sources()?, || {
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        application.prepare(&environment, &data, progress)
    })?;
    Ok(Prepared { application, environment, data })
}

/// Makes what is kept under this name, unless it has been made from the same. One at a time.
pub(crate) fn once(name: &str, made_from: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let folder = state::made()?.join("prepared");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join(format!("{name}.stamp-lock")))?;
    lock.lock().context("cannot lock the prepared application")?;
    let stamp = folder.join(format!("{name}.stamp"));
    if fs::read_to_string(&stamp).is_ok_and(|known| known == made_from) {
        return Ok(());
    }
    let _ = fs::remove_file(&stamp);
    make()?;
    fs::write(&stamp, made_from)?;
    Ok(())
}

impl Prepared {
    /// The data of one run: the database with what is in it, the collected files.
    pub fn copy_data(&self, into: &Path) -> Result<()> {
        copy(&self.data, into).with_context(|| format!("cannot copy \"{}\"", self.data.display()))
    }
}

/// A folder with all that is in it.
pub(crate) fn copy(from: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = into.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            // By which web servers make an ETag: two runs are to answer with the same.
            File::options()
                .write(true)
                .open(&target)?
                .set_modified(entry.metadata()?.modified()?)?;
        }
    }
    Ok(())
}
