//! The application of one run: its environment, its own copy of its data, its own database.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::application::Application;
use crate::database;
use crate::file::Topology;
use crate::kinds::Found;
use crate::prepared::prepared;
use crate::probe::Address;
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

/// The server that keeps its data, before it runs.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) found: Found,
    pub(crate) address: Address,
    /// Of its place in this run.
    pub(crate) folder: PathBuf,
}

impl Subject {
    /// With its data in a folder of the run's, unless it has one already. It waits for programs, so it
    /// wants a thread of its own.
    pub(crate) fn of(
        topology: &Topology,
        server: Option<&Server>,
        options: &Options,
        run: &Path,
    ) -> Result<Subject> {
        let application = topology.application.clone();
        let progress = options.progress;
        let data = run.join("data");
        if let (Some(server), Some(hop)) = (server, &topology.database_hop) {
            let prepared = database::prepared(&application, hop, &server.found, progress)?;
            prepared.copy_data(&data)?;
            prepared.copy_cluster(&server.folder)?;
            let mut subject = Subject::with(application, prepared.environment, data, options);
            subject.variables.push(database::variable(&server.address));
            return Ok(subject);
        }
        let Some(data) = &options.data else {
            let prepared = prepared(application, progress)?;
            prepared.copy_data(&data)?;
            return Ok(Subject::with(prepared.application, prepared.environment, data, options));
        };
        let environment = application.environment(&Python::find()?, progress)?;
        application.prepare(&environment, data, progress)?;
        Ok(Subject::with(application, environment, data.clone(), options))
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
