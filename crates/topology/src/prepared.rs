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
    let folder = state::made()?.join("prepared");
    fs::create_dir_all(&folder)?;
    let name = &application.name;
    let lock = File::create(folder.join(format!("{name}.stamp-lock")))?;
    lock.lock().context("cannot lock the prepared application")?;
    let data = folder.join(name);
    let stamp = folder.join(format!("{name}.stamp"));
    let sources = application.sources()?;
    if fs::read_to_string(&stamp).is_ok_and(|known| known == sources) {
        return Ok(Prepared { application, environment, data });
    }
    let _ = fs::remove_file(&stamp);
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    application.prepare(&environment, &data, progress)?;
    fs::write(&stamp, sources)?;
    Ok(Prepared { application, environment, data })
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
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
