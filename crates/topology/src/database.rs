//! The database of a run, when it is a server: a cluster in which the application has been prepared is
//! made once and kept; each run has a copy of it, and a server of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::unistd::geteuid;

use crate::application::Application;
use crate::file::{Hop, Protocol};
use crate::hop::Running;
use crate::kinds::postgresql::{self, POSTGRESQL};
use crate::kinds::{Found, Kind as _};
use crate::place::{Place, Purpose};
use crate::prepared::{copy, once};
use crate::probe::Address;
use crate::progress::Progress;
use crate::python::{Environment, Python};
use crate::run_folder::RunFolder;
use crate::state;
use crate::step;
use crate::subject::Subject;

/// The variable in which twelve-factor applications look for it.
const VARIABLE: &str = "DATABASE_URL";

/// Where it listens on a host of its own.
pub(crate) use crate::kinds::postgresql::PORT;

/// An application's data together with the cluster that belongs to it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) environment: Environment,
    folder: PathBuf,
}

/// What tells the application where it is.
pub(crate) fn variable(address: &Address) -> (String, String) {
    (VARIABLE.to_owned(), postgresql::url(address))
}

/// Where it listens, when not on its host's address.
pub(crate) fn socket(folder: &Path) -> Address {
    Address::Unix(postgresql::socket(folder))
}

/// Makes it ready, or finds it ready. It waits for programs, so it wants a thread of its own.
pub(crate) fn prepared(
    application: &Application,
    hop: &Hop,
    found: &Found,
    progress: Progress,
) -> Result<Prepared> {
    let environment = application.environment_for_postgresql(&Python::find()?, progress)?;
    let name = format!("{}-postgresql", application.name);
    let folder = state::made()?.join("prepared").join(&name);
    let stamp = format!("PostgreSQL {}\n{}", found.version, application.sources()?);
    once(&name, &stamp, || {
        // Elsewhere first: whom PostgreSQL runs as may not be let into our folders.
        let scratch =
            Scratch { run: RunFolder::make(false)?, application, environment: &environment };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(scratch.prepare(hop, found, progress))?;
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        copy(&scratch.data(), &folder.join("data"))?;
        copy(&postgresql::cluster(&scratch.place()), &folder.join("cluster"))
    })?;
    Ok(Prepared { environment, folder })
}

impl Prepared {
    pub(crate) fn copy_data(&self, into: &Path) -> Result<()> {
        copy(&self.folder.join("data"), into)
    }

    /// Into the folder of the server's place in this run.
    pub(crate) fn copy_cluster(&self, place: &Path) -> Result<()> {
        copy(&self.folder.join("cluster"), &postgresql::cluster(place))
    }
}

/// Lets PostgreSQL through to its own folder, when it is not us.
pub(crate) fn admit(run: &RunFolder) -> Result<()> {
    if geteuid().is_root() { run.let_others_through() } else { Ok(()) }
}

/// Where a cluster is made.
struct Scratch<'a> {
    run: RunFolder,
    application: &'a Application,
    environment: &'a Environment,
}

impl Scratch<'_> {
    fn data(&self) -> PathBuf {
        self.run.path().join("data")
    }

    fn place(&self) -> PathBuf {
        self.run.path().join("database")
    }

    async fn prepare(&self, hop: &Hop, found: &Found, progress: Progress) -> Result<()> {
        let folder = self.place();
        fs::create_dir(&folder)?;
        admit(&self.run)?;
        let making = progress.step("PostgreSQL: initdb");
        let initdb = postgresql::make(found, &folder)?;
        step::run_as(initdb, POSTGRESQL.user()?, "PostgreSQL's cluster can not be made")?;
        drop(making);
        let address = socket(&folder);
        let subject = Subject {
            application: self.application.clone(),
            environment: self.environment.clone(),
            data: self.data(),
            variables: Vec::new(),
        };
        let place = Place {
            purpose: Purpose::Run,
            name: hop.name.clone(),
            hop,
            folder,
            listen: address.clone(),
            upstreams: Vec::new(),
            upstream_protocol: Protocol::Http,
            also_unlinks: Vec::new(),
            subject: &subject,
            tls: None,
            namespace: None,
        };
        let mut server = Running::start(&place, found)?;
        server.until_ready(&place).await?;
        let variables = [variable(&address)];
        self.application
            .prepare_with(self.environment, &self.data(), &variables, progress)
            .context("with database = \"postgresql\"")?;
        server.stop().await
    }
}
