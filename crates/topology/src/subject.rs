//! The application of one run: its environment, its own copy of its data, its own database.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::application::Application;
use crate::file::{Database, Topology};
use crate::prepared::prepared;
use crate::python::{Environment, Python};
use crate::stack::Options;

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
    /// With its data in a folder of the run's, unless it has one already.
    pub(crate) fn of(topology: &Topology, options: &Options, run: &Path) -> Result<Subject> {
        let application = topology.application.clone();
        let progress = options.progress;
        match (topology.database, &options.data) {
            (Database::Sqlite, None) => {
                let prepared = prepared(application, progress)?;
                let data = run.join("data");
                prepared.copy_data(&data)?;
                Ok(Subject::with(prepared.application, prepared.environment, data, options))
            }
            (Database::Sqlite, Some(data)) => {
                let environment = application.environment(&Python::find()?, progress)?;
                application.prepare(&environment, data, progress)?;
                Ok(Subject::with(application, environment, data.clone(), options))
            }
            (Database::Postgresql, _) => bail!("database = \"postgresql\" is not there yet"),
        }
    }

    fn with(
        application: Application,
        environment: Environment,
        data: PathBuf,
        options: &Options,
    ) -> Subject {
        let mut variables = application.variables(&data);
        // The application's output is unbuffered, so that its lines come when they are written.
        variables.push(("PYTHONUNBUFFERED".to_owned(), "1".to_owned()));
        variables.extend(options.variables.iter().cloned());
        Subject { application, environment, data, variables }
    }
}
