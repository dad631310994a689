//! Settings and a nursery that might follow those in force: made aside, while everything old serves.
//! Whatever is wrong with them costs a line in the log.

use std::{collections::BTreeMap, env, path::PathBuf, process, rc::Rc};

use serde_json::{Value, json};

use super::nursery::{Nursery, Refusal, Seedling};
use crate::{
    front::tls::Terms,
    log::{self, Outputs},
    privileges::Identity,
    settings::{self, Contents, Settings, Settled, Sources},
};

/// What has been proven to be readable; that its workers boot is still to be seen.
pub(crate) struct Candidate {
    pub(super) settings: Rc<Settings>,
    /// The same, for those who ask.
    pub(super) config: Value,
    pub(super) nursery: Rc<Nursery>,
}

/// Everything a nursery is made from, whenever one is needed.
#[derive(Clone)]
pub(super) struct Recipe {
    pub(super) sources: Rc<Sources>,
    pub(super) python: PathBuf,
    pub(super) library: PathBuf,
    /// Where this program was started: what `-c` names is named from here, always.
    here: PathBuf,
    /// Who runs the configuration and the application.
    pub(super) identity: Option<Identity>,
}

impl Recipe {
    pub(super) fn new(sources: Sources) -> Result<Recipe, String> {
        let library = causeway_app_host::library()
            .ok_or("libcauseway_app_host.so is neither beside this program nor in deps/ there")?;
        let here = env::current_dir().map_err(|error| format!("the current folder: {error}"))?;
        let asked_for = sources.python().map(|python| match python.components().count() {
            1 => python,
            // The nursery is started from another folder, perhaps.
            _ => here.join(python),
        });
        let python = causeway_app_host::interpreter(asked_for);
        Ok(Recipe { python, library, here, sources: Rc::new(sources), identity: None })
    }

    pub(super) fn sow(&self) -> Result<Seedling, String> {
        let config = self.sources.config(&self.here);
        let identity = self.identity.as_ref();
        Seedling::start(&self.python, &self.library, config.as_ref(), &self.here, identity)
    }

    pub(super) fn settle(
        &self,
        contents: Option<&Contents>,
    ) -> Result<Settled, settings::SettingsError> {
        let mut settled = self.sources.settle(contents, &|name| env::var(name).ok())?;
        if let Some(folder) = &mut settled.settings.chdir {
            *folder = self.here.join(&*folder);
            if !folder.is_dir() {
                let reason = format!("--chdir: can't chdir to \"{}\"", folder.display());
                return Err(settings::SettingsError::Value(reason));
            }
        }
        Ok(settled)
    }

    /// From the file to a nursery that could fork.
    pub(super) async fn prepare(&self) -> Result<Box<Candidate>, String> {
        let said = |refusal: Refusal| refusal.reason;
        let nursery = self.sow()?.grow().map_err(|error| error.to_string())?;
        let contents = nursery.read().await.map_err(said)?;
        let settled = self.settle(contents.as_ref()).map_err(|error| error.to_string())?;
        // They are read again when they are put in force.
        Terms::read(&settled.settings)?;
        nursery.ask(configure(&settled)).await.map_err(said)?;
        if settled.settings.preload_app {
            nursery.ask(json!({"do": "preload"})).await.map_err(said)?;
        }
        let config = settings::for_hooks(&settled);
        let (settings, nursery) = (Rc::new(settled.settings), Rc::new(nursery));
        Ok(Box::new(Candidate { settings, config, nursery }))
    }

    /// And logs, where a reload asks for other settings.
    pub(super) async fn prepare_with_logs(&self) -> Result<(Box<Candidate>, Box<Outputs>), String> {
        let candidate = self.prepare().await?;
        let (settings, python) = (candidate.settings.as_ref().clone(), self.python.clone());
        let opened = tokio::task::spawn_blocking(move || Outputs::open(&settings, &python)).await;
        Ok((candidate, Box::new(opened.map_err(|error| error.to_string())??)))
    }
}

/// What the nursery has to know of the settings.
pub(super) fn configure(settled: &Settled) -> Value {
    let settings = &settled.settings;
    let environment: BTreeMap<&str, &str> =
        settings.env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    json!({
        "do": "configure",
        "settings": settings::for_hooks(settled),
        "application": settings.application,
        "chdir": settings.chdir,
        "pythonpath": settings.pythonpath,
        "sendfile": settings.sendfile,
        "reload": settings.reload,
        "environment": environment,
        "logging": log::describe(settings),
        "threads": settings.threads,
        // None to begin with: TTIN may bring one.
        "processes": settings.workers.max(1),
        "pid": process::id(),
    })
}
