//! The gateway and gunicorn: one command line, one gunicorn.conf.py.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{Found, Kind, Launch, OUR_WHEEL, Places, Ready, Role, configuration, version};
use crate::export::{Elsewhere, Source};
use crate::place::{Place, Purpose};
use crate::process::Process;
use crate::words::Words;

#[derive(Debug)]
pub(super) struct Gunicorn {
    whose: Whose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    Theirs,
}

pub(super) static GATEWAY: Gunicorn = Gunicorn { whose: Whose::Ours };
pub(super) static GUNICORN: Gunicorn = Gunicorn { whose: Whose::Theirs };

impl Kind for Gunicorn {
    fn name(&self) -> &'static str {
        match self.whose {
            Whose::Ours => "gateway",
            Whose::Theirs => "gunicorn",
        }
    }

    fn role(&self) -> Role {
        Role::Server
    }

    fn find(&self, places: &Places) -> Result<Found> {
        let program = match self.whose {
            Whose::Ours => places.ours("causeway-gateway")?,
            Whose::Theirs => places.python("gunicorn", include_str!("gunicorn.txt"))?,
        };
        let version = version(&program, "--version")?;
        Ok(Found { program, version })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        let mut command = Command::new(&found.program);
        match self.whose {
            Whose::Ours => {
                command.arg("--python").arg(place.subject.environment.python());
                // A chain that is broken says so and ends, rather than wait for somebody to mend it.
                command.arg("--exit-on-boot-failure");
                if place.purpose == Purpose::Run {
                    command.arg("--server-timing");
                }
            }
            // It lives in an environment of its own, and finds the application's packages by path.
            Whose::Theirs if found.program.starts_with(&place.subject.environment.folder) => {}
            Whose::Theirs => {
                command.arg("--pythonpath").arg(place.subject.environment.packages()?);
            }
        }
        // The default control socket is one for all servers of a user.
        command.arg("--no-control-socket");
        command.arg("--bind").arg(place.listen.to_string());
        command.args(["--workers", &place.hop.workers.to_string()]);
        if place.hop.threads > 1 {
            command.args(["--threads", &place.hop.threads.to_string()]);
        }
        command.arg("--chdir").arg(&place.subject.application.folder);
        let log = |name: &str| place.folder.join(name);
        command.arg("--pid").arg(log("gateway.pid"));
        command.arg("--error-logfile").arg(log("gateway.log"));
        command.arg("--access-logfile").arg(log("gateway-access.log"));
        if let Some(config) = &place.hop.config {
            command.arg("--config").arg(filled(place, config)?);
        }
        if let Some(tls) = place.tls {
            command.arg("--certfile").arg(&tls.certificate).arg("--keyfile").arg(&tls.key);
        }
        command.args(&place.hop.flags);
        command.arg(place.subject.application.callable());
        for variable in ["GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS"] {
            command.env_remove(variable);
        }
        let logs = vec![log("gateway.log"), log("gateway-access.log")];
        Ok(Launch { command, logs, ready: Ready::Http })
    }

    fn works(&self, child: Process) -> bool {
        self.whose == Whose::Theirs || child.name().as_deref() == Some("app-host")
    }

    fn reload(&self) -> Option<Signal> {
        Some(Signal::SIGHUP)
    }

    fn elsewhere(&self) -> Option<Elsewhere> {
        let (program, requirement) = match self.whose {
            Whose::Ours => ("causeway-gateway", OUR_WHEEL),
            Whose::Theirs => ("gunicorn", include_str!("gunicorn.txt")),
        };
        Some(Elsewhere {
            source: Source::Environment { program, requirement },
            notifies: true,
            takes_sockets: true,
            reopen: Some(Signal::SIGUSR1),
            // gunicorn can not open a pipe by name when it captures the application's output.
            streams: ["-", "-"],
            trusting: &["--forwarded-allow-ips", "*"],
        })
    }
}

/// The file itself, unless it has words to fill in.
fn filled(place: &Place<'_>, config: &Path) -> Result<PathBuf> {
    let text = configuration::read(config)?;
    if !text.contains("@{") && place.hop.replace.is_empty() {
        return Ok(config.to_owned());
    }
    let words = Words::from([
        ("run", place.folder.display().to_string()),
        ("listen", place.listen.to_string()),
        ("workers", place.hop.workers.to_string()),
        ("threads", place.hop.threads.to_string()),
    ]);
    configuration::write(place, "gunicorn.conf.py", &text, &words)
}
