//! Caddy, by a Caddyfile.

use std::process::Command;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use super::{Found, Kind, Launch, Places, Ready, Role, Setting, Sockets, configuration, version};
use crate::file::Protocol;
use crate::place::Place;
use crate::probe::Address;
use crate::words::Words;

#[derive(Debug)]
pub(super) struct Caddy;

impl Kind for Caddy {
    fn name(&self) -> &'static str {
        "caddy"
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
        let program = places.debian(&["caddy"], "caddy")?;
        let version = version(&program, "version")?;
        Ok(Found { program, version })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        let own = include_str!("caddy/Caddyfile");
        let config = configuration::own_or_given(place, "Caddyfile", own, &words_of(place)?)?;
        let mut command = Command::new(&found.program);
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
        command.args(&place.hop.flags).current_dir(&place.folder);
        // What it keeps for itself would be shared by all of a user.
        for folder in ["XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(folder, &place.folder);
        }
        let logs = ["caddy.log", "caddy-access.log"].map(|log| place.folder.join(log));
        Ok(Launch { command, logs: logs.into(), ready: Ready::Connect })
    }

    /// `SIGTERM` lets it finish; upon this it does not wait.
    fn farewell(&self) -> Signal {
        Signal::SIGQUIT
    }
}

/// What a Caddyfile may name.
fn words_of(place: &Place<'_>) -> Result<Words> {
    let Address::Tcp(listen) = place.listen else { bail!("caddy listens on TCP here") };
    let upstream = |address: &Address| match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(socket) => format!("unix/{}", socket.display()),
    };
    let tls = place
        .tls
        .map(|tls| format!("tls \"{}\" \"{}\"", tls.certificate.display(), tls.key.display()));
    let files = place.static_files().map(|(url, folder)| {
        format!(
            "handle_path {url}/* {{\n\t\troot * \"{}\"\n\t\tfile_server\n\t}}",
            folder.display()
        )
    });
    Ok(Words::from([
        ("run", place.folder.display().to_string()),
        ("address", listen.ip().to_string()),
        ("port", listen.port().to_string()),
        ("tls", tls.unwrap_or_default()),
        ("static", files.unwrap_or_default()),
        ("upstreams", place.upstreams.iter().map(upstream).collect::<Vec<_>>().join(" ")),
    ]))
}
