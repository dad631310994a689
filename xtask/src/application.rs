//! The applications under `apps/`, each described by its own `app.toml`: what it needs, how it is
//! prepared, what the gateway is told. Preparing writes into a data folder and not into the
//! application's own, so that several chains can run the same application at once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::progress::Progress;
use crate::python::{Environment, Python, run};
use crate::workspace;

/// One folder of `apps/`.
#[derive(Clone, Debug)]
pub struct Application {
    pub name: String,
    pub folder: PathBuf,
    manifest: Manifest,
}

/// `app.toml`. In `static_root` and in the values of `env`, `{app}` is the application's folder and
/// `{data}` the data folder of one chain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// `module:callable`.
    application: String,
    /// Files of pip's, beside `app.toml`.
    requirements: Vec<PathBuf>,
    /// Command lines of the environment's python, in order, each safe to repeat.
    prepare: Vec<Vec<String>>,
    /// Command line of the environment's python that runs the application's own tests.
    test: Vec<String>,
    static_url: String,
    static_root: String,
    /// What a visitor opens first.
    first_page: String,
    env: BTreeMap<String, String>,
}

impl Application {
    /// One of `apps/`.
    pub fn named(name: &str) -> Result<Application> {
        let folder = workspace::root().join("apps").join(name);
        if !folder.join("app.toml").is_file() {
            bail!(
                "there is no application \"{name}\": there are {}",
                Application::names().join(", ")
            );
        }
        Application::in_folder(name, &folder)
    }

    /// One from elsewhere.
    pub fn in_folder(name: &str, folder: &Path) -> Result<Application> {
        let file = folder.join("app.toml");
        let text = fs::read_to_string(&file)
            .with_context(|| format!("cannot read \"{}\"", file.display()))?;
        let manifest =
            toml::from_str(&text).with_context(|| format!("cannot read \"{}\"", file.display()))?;
        Ok(Application { name: name.to_owned(), folder: folder.to_owned(), manifest })
    }

    pub fn names() -> Vec<String> {
        let entries = fs::read_dir(workspace::root().join("apps")).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| entry.path().join("app.toml").is_file());
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub fn callable(&self) -> &str {
        &self.manifest.application
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

    fn fill(&self, value: &str, data: &Path) -> String {
        value
            .replace("{app}", &self.folder.to_string_lossy())
            .replace("{data}", &data.to_string_lossy())
    }

    /// Its virtual environment, shared by everything that runs it.
    pub fn environment(&self, python: &Python, progress: Progress) -> Result<Environment> {
        let requirements: Vec<PathBuf> =
            self.manifest.requirements.iter().map(|file| self.folder.join(file)).collect();
        python.environment(&format!("venv-{}", self.name), &requirements, progress)
    }

    /// Database, collected files, whatever `app.toml` lists. Two at a time on one folder wait for each
    /// other.
    pub fn prepare(
        &self,
        environment: &Environment,
        data: &Path,
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
            run(self.command(environment, data, arguments), &failure)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_application_of_the_workspace_can_be_read() {
        let names = Application::names();
        assert!(
            names.contains(&"pybo".to_owned()) && names.contains(&"flaskr".to_owned()),
            "{names:?}"
        );
        for name in names {
            let application = Application::named(&name).unwrap();
            let (module, _) = application.callable().split_once(':').unwrap();
            assert!(
                application.folder.join(module.replace('.', "/")).with_extension("py").is_file()
            );
            let folder = application.static_folder(Path::new("/data"));
            assert!(
                folder.is_absolute() && !folder.to_string_lossy().contains('{'),
                "{}",
                folder.display()
            );
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = Application::named("blog").unwrap_err().to_string();
        assert!(error.starts_with("there is no application \"blog\": there are flaskr"), "{error}");
    }
}
