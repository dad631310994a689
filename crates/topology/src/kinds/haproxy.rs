//! HAProxy, as a master with a worker, so that it can be told to read its configuration again.

use std::fs;
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{
    Found, Kind, Launch, Places, Ready, Role, Setting, Sockets, bare, configuration, version,
};
use crate::file::Protocol;
use crate::place::Place;
use crate::words::Words;

#[derive(Debug)]
pub(super) struct Haproxy;

impl Kind for Haproxy {
    fn name(&self) -> &'static str {
        "haproxy"
    }

    fn role(&self) -> Role {
        Role::Proxy
    }

    fn sockets(&self) -> Sockets {
        Sockets::TcpOnly
    }

    fn forwards(&self, protocol: Protocol) -> bool {
        protocol == Protocol::Http
    }

    /// How much of the machine it uses is its own decision.
    fn knows(&self, setting: Setting) -> bool {
        matches!(setting, Setting::Config | Setting::Tls)
    }

    fn find(&self, places: &Places) -> Result<Found> {
        let program = places.debian(&["haproxy"], "haproxy")?;
        let version = version(&program, "-v")?;
        Ok(Found { program, version })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        let own = include_str!("haproxy/haproxy.cfg");
        let config = configuration::own_or_given(place, "haproxy.cfg", own, &words_of(place)?)?;
        let mut command = Command::new(&found.program);
        command.args(["-Ws", "-db", "-f"]).arg(config).args(&place.hop.flags);
        // It writes no files: both its logs come by its standard output. Before it says that it is ready, its
        // master loses signals.
        Ok(Launch { command, logs: Vec::new(), ready: Ready::Notify })
    }

    fn stop(&self) -> Signal {
        Signal::SIGUSR1
    }

    fn reload(&self) -> Option<Signal> {
        Some(Signal::SIGUSR2)
    }
}

/// What haproxy.cfg may name.
fn words_of(place: &Place<'_>) -> Result<Words> {
    let tls = match place.tls {
        None => String::new(),
        Some(tls) => {
            // It wants both in one.
            let both = place.folder.join("certificate-and-key.pem");
            fs::write(&both, [fs::read(&tls.certificate)?, fs::read(&tls.key)?].concat())?;
            format!("ssl crt {}", both.display())
        }
    };
    let servers = place
        .upstreams
        .iter()
        .enumerate()
        .map(|(number, address)| format!("server gateway-{} {}", number + 1, bare(address)));
    Ok(Words::from([
        ("run", place.folder.display().to_string()),
        ("listen", bare(&place.listen)),
        ("tls", tls),
        ("upstreams", servers.collect::<Vec<_>>().join("\n    ")),
    ]))
}
