//! The applications a chain can run. Environment and database are made once, by the recipe `up` uses,
//! and kept under `.causeway/`; each test gets a copy of its own to write in.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};
use xtask::application::Application;
use xtask::progress::Progress;
use xtask::python::{Environment, Python};
use xtask::workspace;

/// An application that is ready to be copied and run.
pub struct Prepared {
    pub application: Application,
    pub environment: Environment,
    data: std::path::PathBuf,
}

/// Makes it ready, or finds it ready. Test processes that come at the same time wait for each other.
pub fn prepared(name: &str) -> Result<Prepared> {
    let application = Application::named(name)?;
    let environment = application.environment(&Python::find()?, Progress::Quiet)?;
    let folder = workspace::state().join("prepared");
    fs::create_dir_all(&folder)?;
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
    application.prepare(&environment, &data, Progress::Quiet)?;
    fs::write(&stamp, sources)?;
    Ok(Prepared { application, environment, data })
}

impl Prepared {
    /// The data of one chain: the database with its questions, the collected files.
    pub fn copy_data(&self, into: &Path) -> Result<()> {
        copy(&self.data, into).with_context(|| format!("cannot copy \"{}\"", self.data.display()))
    }
}

fn copy(from: &Path, into: &Path) -> Result<()> {
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
