//! The application a topology serves: a folder with an `app.toml` of ours in it, or one without, told
//! of in the topology's own file. It says what the application needs, how it is prepared and what the
//! server is told. Preparing writes into a data folder and not into the application's own, so that
//! several chains can run the same application at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::file::Database;
use crate::progress::Progress;
use crate::python::{Environment, Python, run};

/// A WSGI application in a folder.
#[derive(Clone, Debug)]
pub struct Application {
    pub name: String,
    pub folder: PathBuf,
    manifest: Manifest,
}

/// `app.toml`, or a topology's `application`. In `static_root` and in the values of `env`, `{app}` is the
/// application's folder and `{data}` the data folder of one chain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `module:callable`.
    pub application: String,
    /// An interpreter that has its packages already, in place of `requirements`.
    #[serde(default)]
    pub python: Option<PathBuf>,
    /// Files of pip's, beside `app.toml`.
    #[serde(default)]
    pub requirements: Vec<PathBuf>,
    /// More of them, when the database is PostgreSQL.
    #[serde(default)]
    pub requirements_postgresql: Vec<PathBuf>,
    /// Command lines of the environment's python, in order, each safe to repeat.
    #[serde(default)]
    pub prepare: Vec<Vec<String>>,
    /// Command line of the environment's python that runs the application's own tests.
    #[serde(default)]
    pub test: Vec<String>,
    #[serde(default)]
    pub static_url: String,
    #[serde(default)]
    pub static_root: String,
    /// What a visitor opens first.
    #[serde(default = "root")]
    pub first_page: String,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

fn root() -> String {
    "/".to_owned()
}

impl Application {
    /// One with an `app.toml`.
    pub fn in_folder(name: &str, folder: &Path) -> Result<Application> {
        let file = folder.join("app.toml");
        let text = fs::read_to_string(&file)
            .with_context(|| format!("cannot read \"{}\"", file.display()))?;
        let manifest =
            toml::from_str(&text).with_context(|| format!("cannot read \"{}\"", file.display()))?;
        Ok(Application::described(name, folder, manifest))
    }

    /// One that a topology tells of.
    pub fn described(name: &str, folder: &Path, manifest: Manifest) -> Application {
        Application { name: name.to_owned(), folder: folder.to_owned(), manifest }
    }

    pub fn callable(&self) -> &str {
        &self.manifest.application
    }

    /// With another callable before it, which finds the real one by itself.
    pub(crate) fn call(&mut self, callable: &str) {
        callable.clone_into(&mut self.manifest.application);
    }

    pub fn first_page(&self) -> &str {
        &self.manifest.first_page
    }

    /// The location of its static files, without a slash at the end.
    pub fn static_url(&self) -> &str {
        self.manifest.static_url.trim_end_matches('/')
    }

    /// Where the edge finds them, without a slash at the end.
    pub fn static_folder(&self, data: &Path) -> PathBuf {
        self.fill(self.manifest.static_root.trim_end_matches('/'), data).into()
    }

    /// What its processes find in their environment.
    pub fn variables(&self, data: &Path) -> Vec<(String, String)> {
        self.manifest
            .env
            .iter()
            .map(|(name, value)| (name.clone(), self.fill(value, data)))
            .collect()
    }

    /// Files of pip's, named from its folder. One that brings an interpreter along has none to tell.
    pub fn requirement_files(&self, database: Database) -> Vec<PathBuf> {
        let mut files = self.manifest.requirements.clone();
        if database == Database::Postgresql {
            files.extend(self.manifest.requirements_postgresql.iter().cloned());
        }
        files
    }

    /// Command lines of its python that make its data ready, each safe to repeat.
    pub fn preparation(&self) -> &[Vec<String>] {
        &self.manifest.prepare
    }

    fn fill(&self, value: &str, data: &Path) -> String {
        value
            .replace("{app}", &self.folder.to_string_lossy())
            .replace("{data}", &data.to_string_lossy())
    }

    /// Its virtual environment, shared by everything that runs it.
    pub fn environment(&self, python: &Python, progress: Progress) -> Result<Environment> {
        if let Some(interpreter) = &self.manifest.python {
            return Environment::of(&self.folder.join(interpreter));
        }
        let requirements = self.requirements(&self.manifest.requirements);
        python.environment(&format!("venv-{}", self.name), &requirements, progress)
    }

    /// The same, with what it needs to speak to PostgreSQL; one that needs nothing more has no other.
    pub(crate) fn environment_for_postgresql(
        &self,
        python: &Python,
        progress: Progress,
    ) -> Result<Environment> {
        let more = &self.manifest.requirements_postgresql;
        if more.is_empty() || self.manifest.python.is_some() {
            return self.environment(python, progress);
        }
        let mut requirements = self.requirements(&self.manifest.requirements);
        requirements.extend(self.requirements(more));
        python.environment(&format!("venv-{}-postgresql", self.name), &requirements, progress)
    }

    fn requirements(&self, files: &[PathBuf]) -> Vec<PathBuf> {
        files.iter().map(|file| self.folder.join(file)).collect()
    }

    /// Database, collected files, whatever `app.toml` lists. Two at a time on one folder wait for each
    /// other.
    pub fn prepare(
        &self,
        environment: &Environment,
        data: &Path,
        progress: Progress,
    ) -> Result<()> {
        self.prepare_with(environment, data, &[], progress)
    }

    /// The same, with more variables.
    pub(crate) fn prepare_with(
        &self,
        environment: &Environment,
        data: &Path,
        variables: &[(String, String)],
        progress: Progress,
    ) -> Result<()> {
        fs::create_dir_all(data).with_context(|| format!("cannot make \"{}\"", data.display()))?;
        let lock = File::create(data.with_extension("lock"))?;
        lock.lock().context("cannot lock the application's data")?;
        for arguments in &self.manifest.prepare {
            let _step = progress.step(&format!("{}: {}", self.name, arguments.join(" ")));
            let failure = format!(
                "application \"{}\" cannot be prepared by {}",
                self.name,
                arguments.join(" ")
            );
            let mut command = self.command(environment, data, arguments);
            command.envs(variables.iter().map(|(name, value)| (name, value)));
            run(command, &failure)?;
        }
        Ok(())
    }

    /// Its own tests.
    pub fn test(&self, environment: &Environment, data: &Path) -> Command {
        self.command(environment, data, &self.manifest.test)
    }

    fn command(&self, environment: &Environment, data: &Path, arguments: &[String]) -> Command {
        let mut command = Command::new(environment.python());
        command.args(arguments).current_dir(&self.folder).envs(self.variables(data));
        command
    }

    /// What its preparation depends on: changes whenever one of its files does.
    pub fn sources(&self) -> Result<String> {
        let mut folders = vec![self.folder.clone()];
        let mut lines = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let about = entry.metadata()?;
                if entry.file_name() == "__pycache__" {
                    continue;
                }
                if about.is_dir() {
                    folders.push(entry.path());
                } else {
                    lines.push(format!(
                        "{} {} {:?}\n",
                        entry.path().display(),
                        about.len(),
                        about.modified()?
                    ));
                }
            }
        }
        lines.sort();
        Ok(lines.concat())
    }
}
