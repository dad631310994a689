//! The application of one run: its environment, its own copy of its data, its own database.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::application::Application;
use crate::file::{Database, Topology};
use crate::prepared::prepared;
use crate::progress::Progress;
use crate::python::Environment;

/// What a server serves.
#[derive(Debug)]
pub struct Subject {
    pub application: Application,
    pub environment: Environment,
    pub data: PathBuf,
    /// What its processes find in their environment.
    pub variables: Vec<(String, String)>,
}

impl Subject {
    /// With its data in a folder of the run's.
    pub(crate) fn of(topology: &Topology, run: &Path, progress: Progress) -> Result<Subject> {
        let data = run.join("data");
        match topology.database {
            Database::Sqlite => {
                let prepared = prepared(topology.application.clone(), progress)?;
                prepared.copy_data(&data)?;
                let application = prepared.application;
                let mut variables = application.variables(&data);
                // The application's output is unbuffered, so that its lines come when they are written.
                variables.push(("PYTHONUNBUFFERED".to_owned(), "1".to_owned()));
                Ok(Subject { environment: prepared.environment, application, data, variables })
            }
            Database::Postgresql => bail!("database = \"postgresql\" is not there yet"),
        }
    }
}
