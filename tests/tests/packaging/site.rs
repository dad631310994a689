//! A virtual environment in which everything was installed by pip, and a copy of Pybo's data.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use e2e::apps;
use e2e::scratch::Scratch;
use xtask::progress::Progress;
use xtask::python::{Environment, Python, run};
use xtask::workspace;

/// Django and pytest from PyPI and the wheel from this checkout. Made anew by each run, once.
pub(crate) fn environment() -> Result<&'static Environment> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let made = ENVIRONMENT.get_or_init(|| install().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))
}

fn install() -> Result<Environment> {
    // gunicorn for what is exported of it; it is beside ours and not in its place.
    let requirements = ["apps/pybo/requirements.txt", "crates/topology/src/kinds/gunicorn.txt"];
    let requirements = requirements.map(|file| workspace::root().join(file));
    let name = "venv-packaging";
    // Nothing of an earlier run is in it.
    let _ = std::fs::remove_dir_all(workspace::state().join(name));
    let environment = Python::find()?.environment(name, &requirements, Progress::Quiet)?;
    let mut pip = Command::new(environment.python());
    pip.args(["-m", "pip", "install", "--disable-pip-version-check"])
        .arg(workspace::root())
        .arg("pytest>=8");
    // Where this test was built: what can be used again is there.
    pip.env("CARGO_TARGET_DIR", target()?);
    // What is installed is tried here, not how fast it is: optimising the whole of it takes minutes.
    pip.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    pip.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    run(pip, "pip does not install the gateway")?;
    Ok(environment)
}

fn target() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(3).context("a test lies in target/PROFILE/deps")?;
    Ok(target.to_owned())
}

/// Pybo, as it lies on a server.
pub(crate) struct Site {
    pub(crate) scratch: Scratch,
    environment: &'static Environment,
    folder: PathBuf,
}

impl Site {
    pub(crate) fn new() -> Result<Site> {
        let environment = environment()?;
        let pybo = apps::prepared("pybo")?;
        let scratch = Scratch::new();
        pybo.copy_data(&scratch.join("data"))?;
        Ok(Site { scratch, environment, folder: pybo.application.folder.clone() })
    }

    /// What a unit runs, in another folder and with another program's name; nothing else is changed.
    pub(crate) fn exec_start(&self, unit: &str) -> Result<Vec<String>> {
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart="));
        let mut words: Vec<String> = line
            .context("no ExecStart in the unit")?
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        ensure!(words[0].ends_with("/bin/gunicorn"), "{words:?} runs gunicorn");
        words[0] = self.environment.program("causeway-gateway").display().to_string();
        let run = self.scratch.path().display().to_string();
        for word in &mut words {
            *word = word.replace("/run/mysite", &run).replace("applicationname.", "config.");
        }
        Ok(words)
    }

    /// With what systemd gives to a service, and no more.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.folder);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.env("PYBO_DATA", self.scratch.join("data"));
        command
    }
}
