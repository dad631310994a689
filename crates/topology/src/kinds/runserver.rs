//! What an application brings along to be tried out with: `manage.py runserver`, or `flask run`. Neither
//! finishes what it has begun when it is told to end.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Found, Kind, Launch, Places, Ready, Role, Setting, Sockets};
use crate::place::Place;
use crate::probe::Address;
use crate::python::Python;

#[derive(Debug)]
pub(super) struct Runserver;

impl Kind for Runserver {
    fn name(&self) -> &'static str {
        "runserver"
    }

    fn role(&self) -> Role {
        Role::Server
    }

    fn sockets(&self) -> Sockets {
        Sockets::TcpOnly
    }

    /// It is one process with a thread for each connection.
    fn knows(&self, _setting: Setting) -> bool {
        false
    }

    fn calls_by_name(&self) -> bool {
        false
    }

    /// Which of the two it is, is the application's affair.
    fn find(&self, _places: &Places) -> Result<Found> {
        let python = Python::find()?;
        Ok(Found { program: python.path, version: format!("python {}", python.version) })
    }

    fn launch(&self, place: &Place<'_>, _found: &Found) -> Result<Launch> {
        let Address::Tcp(listen) = place.listen else { bail!("runserver listens on TCP") };
        let application = &place.subject.application;
        let environment = &place.subject.environment;
        let manage = application.folder.join("manage.py");
        let flask = environment.program("flask");
        let mut command = if manage.is_file() {
            let mut command = Command::new(environment.python());
            command.arg(&manage).args(["runserver", "--noreload"]);
            if serves_static_files(place, &manage)? {
                command.arg("--insecure");
            }
            command.args(&place.hop.flags).arg(listen.to_string());
            command
        } else if flask.is_file() {
            let mut command = Command::new(flask);
            command.args(["--app", application.callable(), "run", "--no-reload", "--no-debugger"]);
            command.args(["--host", &listen.ip().to_string()]);
            command.args(["--port", &listen.port().to_string()]).args(&place.hop.flags);
            command.env_remove("FLASK_DEBUG");
            command
        } else {
            bail!(
                "runserver is Django's or Flask's, and \"{}\" has no manage.py, nor its environment a flask",
                application.folder.display()
            );
        };
        command.current_dir(&application.folder);
        Ok(Launch { command, logs: Vec::new(), ready: Ready::Http })
    }
}

/// Django's does, when `django.contrib.staticfiles` is installed; told to, even without DEBUG.
fn serves_static_files(place: &Place<'_>, manage: &Path) -> Result<bool> {
    let mut question = Command::new(place.subject.environment.python());
    question.arg(manage).args(["runserver", "--help"]);
    question.current_dir(&place.subject.application.folder);
    question.envs(place.subject.variables.iter().map(|(name, value)| (name, value)));
    question.envs(&place.hop.env);
    let answer = question.output().with_context(|| format!("cannot start {question:?}"))?;
    Ok(String::from_utf8_lossy(&answer.stdout).contains("--insecure"))
}
