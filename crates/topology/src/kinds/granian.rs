//! Granian, by its WSGI interface.

use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{
    Found, Kind, Launch, Places, Ready, Role, Setting, factory, finds_application, pinned,
};
use crate::place::Place;
use crate::probe::Address;

#[derive(Debug)]
pub(super) struct Granian;

const REQUIREMENTS: &str = include_str!("granian.txt");

impl Kind for Granian {
    fn name(&self) -> &'static str {
        "granian"
    }

    fn role(&self) -> Role {
        Role::Server
    }

    /// It reads no file.
    fn knows(&self, setting: Setting) -> bool {
        setting != Setting::Config
    }

    fn find(&self, places: &Places) -> Result<Found> {
        let program = places.python("granian", REQUIREMENTS)?;
        Ok(Found { program, version: pinned(REQUIREMENTS) })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        let mut command = Command::new(&found.program);
        finds_application(&mut command, place.subject)?;
        command.args(["--interface", "wsgi", "--http", "1", "--no-ws", "--access-log"]);
        // As long as nginx and gunicorn wait for what is under way.
        command.args(["--workers-kill-timeout", "30"]);
        command.args(["--workers", &place.hop.workers.to_string()]);
        command.args(["--blocking-threads", &place.hop.threads.to_string()]);
        match &place.listen {
            Address::Tcp(address) => {
                command.args(["--host", &address.ip().to_string()]);
                command.args(["--port", &address.port().to_string()]);
            }
            Address::Unix(socket) => {
                command.arg("--uds").arg(socket);
            }
        }
        if let Some(tls) = place.tls {
            command.arg("--ssl-certificate").arg(&tls.certificate);
            command.arg("--ssl-keyfile").arg(&tls.key);
        }
        let (callable, is_factory) = factory(place.subject.application.callable());
        if is_factory {
            command.arg("--factory");
        }
        command.args(&place.hop.flags).arg(callable);
        // A worker that is told to end before this misses it, and its parent waits for it for ever.
        let ready = Ready::Says { words: "Started worker-", times: place.hop.workers };
        Ok(Launch { command, logs: Vec::new(), ready })
    }

    fn reload(&self) -> Option<Signal> {
        Some(Signal::SIGHUP)
    }
}
