//! The interpreter, and virtual environments made from it. An environment is made once per list of
//! requirements and kept under `.causeway/`; several processes may ask for it at the same time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

pub use crate::step::run;

use crate::progress::Progress;
use crate::state;

/// The oldest version whose stable ABI the app-host is built for.
const OLDEST: (u32, u32) = (3, 10);

const HOW_TO_GET_IT: &str =
    "apt-get install python3 python3-venv, or see https://www.python.org/downloads/";

/// An interpreter that is new enough and can make virtual environments.
#[derive(Clone, Debug)]
pub struct Python {
    pub path: PathBuf,
    pub version: String,
}

impl Python {
    /// The first fitting one on `PATH`.
    pub fn find() -> Result<Python> {
        let mut unfit = Vec::new();
        for name in
            ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"]
        {
            match Python::ask(name) {
                Some(Ok(python)) => return Ok(python),
                Some(Err(reason)) => unfit.push(reason),
                None => {}
            }
        }
        match unfit.first() {
            Some(reason) => bail!("{reason}: {HOW_TO_GET_IT}"),
            None => bail!(
                "python 3.{} or later is needed and no python3 was found: {HOW_TO_GET_IT}",
                OLDEST.1
            ),
        }
    }

    /// `None` when there is no such program; the reason when it does not fit.
    fn ask(name: &str) -> Option<Result<Python, String>> {
        const QUESTION: &str = "import sys; print(*sys.version_info[:2]); print(sys.executable); import venv, ensurepip";
        let output = Command::new(name).args(["-c", QUESTION]).output().ok()?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let mut lines = answer.lines();
        let (major, minor) = lines.next()?.split_once(' ')?;
        let found = (major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?);
        let path = PathBuf::from(lines.next()?);
        Some(if found < OLDEST {
            Err(format!(
                "{} is python {major}.{minor}, and 3.{} or later is needed",
                path.display(),
                OLDEST.1
            ))
        } else if output.status.success() {
            Ok(Python { path, version: format!("{major}.{minor}") })
        } else {
            Err(format!(
                "{} cannot make virtual environments (no venv or ensurepip)",
                path.display()
            ))
        })
    }

    /// The environment `name` with these requirements installed: made when missing or when the
    /// requirements or the interpreter changed.
    pub fn environment(
        &self,
        name: &str,
        requirements: &[PathBuf],
        progress: Progress,
    ) -> Result<Environment> {
        let state = state::made()?;
        let folder = state.join(name);
        let lock = File::create(state.join(format!("{name}.lock")))?;
        lock.lock().context("cannot lock the virtual environment")?;

        let mut wanted = format!("{} {}\n", self.path.display(), self.version);
        for file in requirements {
            let text = fs::read_to_string(file)
                .with_context(|| format!("cannot read \"{}\"", file.display()))?;
            wanted.push_str(&text);
        }
        let stamp = folder.join("causeway-stamp");
        let environment = Environment { folder };
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(environment);
        }
        let step = progress.step(&format!("virtual environment {name}"));
        step.detail("python -m venv");
        let _ = fs::remove_file(&stamp);
        let mut make = Command::new(&self.path);
        make.args(["-m", "venv", "--clear"]).arg(&environment.folder);
        run(make, "cannot make the virtual environment")?;
        if !requirements.is_empty() {
            step.detail("pip install");
            let mut install = Command::new(environment.python());
            install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            for file in requirements {
                install.arg("-r").arg(file);
            }
            run(install, "cannot install the requirements")?;
        }
        fs::write(&stamp, wanted)?;
        Ok(environment)
    }
}

/// A virtual environment.
#[derive(Clone, Debug)]
pub struct Environment {
    pub folder: PathBuf,
}

impl Environment {
    /// The one whose interpreter this is: `ENV/bin/python`.
    pub fn of(interpreter: &Path) -> Result<Environment> {
        let folder = interpreter.parent().and_then(Path::parent);
        let folder = folder.filter(|folder| folder.join("pyvenv.cfg").is_file());
        let folder = folder.with_context(|| {
            format!("\"{}\" is not the interpreter of a virtual environment", interpreter.display())
        })?;
        Ok(Environment { folder: folder.to_owned() })
    }

    pub fn python(&self) -> PathBuf {
        self.program("python")
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// The interpreter's, and those of its packages.
    pub fn versions(&self) -> Result<Vec<String>> {
        const QUESTION: &str = "import platform\nfrom importlib import metadata\n\
            print(platform.python_implementation(), platform.python_version())\n\
            for package in metadata.distributions(): print(package.name, package.version)";
        let output = Command::new(self.python()).args(["-c", QUESTION]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim_end());
        let said = String::from_utf8_lossy(&output.stdout);
        let of_its_own =
            |line: &&str| !line.starts_with("pip ") && !line.starts_with("setuptools ");
        Ok(said.lines().filter(of_its_own).map(str::to_owned).collect())
    }

    /// Where its packages are, for an interpreter of another environment.
    pub fn packages(&self) -> Result<PathBuf> {
        let lib = self.folder.join("lib");
        let versions =
            fs::read_dir(&lib).with_context(|| format!("cannot read \"{}\"", lib.display()))?;
        let version = versions
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with("python3"));
        let version = version.with_context(|| format!("no packages in \"{}\"", lib.display()))?;
        Ok(version.path().join("site-packages"))
    }
}
