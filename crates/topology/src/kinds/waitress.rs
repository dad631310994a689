//! Waitress: one process with threads. It has no access log.

use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{
    Found, Kind, Launch, Places, Ready, Role, Setting, factory, finds_application, pinned,
};
use crate::place::Place;
use crate::probe::Address;

#[derive(Debug)]
pub(super) struct Waitress;

const REQUIREMENTS: &str = include_str!("waitress.txt");

impl Kind for Waitress {
    fn name(&self) -> &'static str {
        "waitress"
    }

    fn role(&self) -> Role {
        Role::Server
    }

    /// It reads no file, and is one process.
    fn knows(&self, setting: Setting) -> bool {
        setting == Setting::Threads
    }

    fn find(&self, places: &Places) -> Result<Found> {
        let program = places.python("waitress-serve", REQUIREMENTS)?;
        Ok(Found { program, version: pinned(REQUIREMENTS) })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        let mut command = Command::new(&found.program);
        finds_application(&mut command, place.subject)?;
        match &place.listen {
            Address::Tcp(address) => command.arg(format!("--listen={address}")),
            Address::Unix(socket) => command.arg(format!("--unix-socket={}", socket.display())),
        };
        // Alone it has more than one thread, and needs them: it has no other way to do two things.
        if place.hop.threads > 1 {
            command.arg(format!("--threads={}", place.hop.threads));
        }
        // As gunicorn does it: the scheme is the browser's, and what else the edge said is passed on.
        command.args(["--trusted-proxy=*", "--trusted-proxy-headers=x-forwarded-proto"]);
        command.arg("--no-clear-untrusted-proxy-headers");
        let (callable, is_factory) = factory(place.subject.application.callable());
        if is_factory {
            command.arg("--call");
        }
        command.args(&place.hop.flags).arg(callable);
        Ok(Launch { command, logs: Vec::new(), ready: Ready::Http })
    }

    /// What it answers upon `SIGTERM` is nothing at all: it ends.
    fn stop(&self) -> Signal {
        Signal::SIGINT
    }
}
