//! uWSGI, by an ini file: behind `uwsgi_pass`, or speaking HTTP by itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use super::{Found, Kind, Launch, Places, Ready, Role, Setting, bare, configuration, version};
use crate::file::Protocol;
use crate::place::Place;
use crate::words::Words;

#[derive(Debug)]
pub(super) struct Uwsgi;

const PYTHON: &str = "/usr/lib/uwsgi/plugins/python3_plugin.so";

impl Kind for Uwsgi {
    fn name(&self) -> &'static str {
        "uwsgi"
    }

    fn role(&self) -> Role {
        Role::Server
    }

    fn speaks(&self, _protocol: Protocol) -> bool {
        true
    }

    fn knows(&self, setting: Setting) -> bool {
        setting != Setting::Tls
    }

    fn find(&self, places: &Places) -> Result<Found> {
        const PACKAGES: &str = "uwsgi-core uwsgi-plugin-python3";
        // Debian's name for it: one from PyPI, which has no plugins, is called "uwsgi" only.
        let program = places.debian(&["uwsgi-core"], PACKAGES)?;
        ensure!(
            Path::new(PYTHON).is_file(),
            "uwsgi's plugin for Python is missing: apt-get install {PACKAGES}"
        );
        let version = version(&program, "--version")?;
        Ok(Found { program, version })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        let subject = place.subject;
        let (socket, ready) = match place.hop.protocol {
            Protocol::Http => ("http-socket", Ready::Http),
            // Its socket accepts before the application is there; this it says after that.
            Protocol::Uwsgi => ("socket", Ready::Notify),
        };
        let words = Words::from([
            ("run", place.folder.display().to_string()),
            ("socket", socket.to_owned()),
            ("listen", bare(&place.listen)),
            ("folder", subject.application.folder.display().to_string()),
            ("packages", subject.environment.packages()?.display().to_string()),
            ("application", subject.application.callable().to_owned()),
            ("workers", place.hop.workers.to_string()),
            ("threads", place.hop.threads.to_string()),
        ]);
        let own = include_str!("uwsgi/uwsgi.ini");
        let config = configuration::own_or_given(place, "uwsgi.ini", own, &words)?;
        let mut command = Command::new(&found.program);
        command.arg("--ini").arg(config).args(&place.hop.flags);
        // Accesses and errors come by its standard output.
        Ok(Launch { command, logs: Vec::new(), ready })
    }

    /// As its ini file hooks it.
    fn stop(&self) -> Signal {
        Signal::SIGTERM
    }

    fn farewell(&self) -> Signal {
        Signal::SIGINT
    }

    fn reload(&self) -> Option<Signal> {
        Some(Signal::SIGHUP)
    }
}
