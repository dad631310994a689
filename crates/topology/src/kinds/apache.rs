//! Apache httpd, with a ServerRoot of its own: nothing of the system's configuration is read.

use std::fs;
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{
    Found, Kind, Launch, Places, Ready, Role, Setting, Sockets, bare, configuration, version,
};
use crate::file::Protocol;
use crate::place::Place;
use crate::probe::Address;
use crate::words::Words;

#[derive(Debug)]
pub(super) struct Apache;

const MODULES: &str = "/usr/lib/apache2/modules";

/// The same endings have the same types behind nginx and behind it.
const TYPES: &str = include_str!("../../../../deploy/mime.types");

impl Kind for Apache {
    fn name(&self) -> &'static str {
        "apache"
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
        // Without the system service that the package "apache2" brings.
        let program = places.debian(&["apache2"], "apache2-bin")?;
        let version = version(&program, "-v")?;
        Ok(Found { program, version })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        // nginx's file of types without its braces and semicolons.
        let types = TYPES.lines().filter_map(|line| line.strip_suffix(';'));
        let types: String = types.map(|line| format!("{}\n", line.trim_start())).collect();
        fs::write(place.folder.join("mime.types"), types)?;
        let own = include_str!("apache/apache.conf");
        let config = configuration::own_or_given(place, "apache.conf", own, &words_of(place))?;

        let mut command = if nix::unistd::geteuid().is_root() {
            // It refuses to serve as root, and another user may not even read this folder: so it is
            // another user with the right to.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=www-data", "--regid=www-data", "--clear-groups"]);
            command.args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]);
            // What was settled before, and is lost with the user's change.
            command.args(["--pdeathsig=KILL", "--"]).arg(&found.program);
            command
        } else {
            Command::new(&found.program)
        };
        command.arg("-DFOREGROUND").arg("-f").arg(config).args(&place.hop.flags);
        let logs = ["apache.log", "apache-access.log"].map(|log| place.folder.join(log));
        Ok(Launch { command, logs: logs.into(), ready: Ready::Connect })
    }

    fn stop(&self) -> Signal {
        Signal::SIGWINCH
    }

    fn reload(&self) -> Option<Signal> {
        Some(Signal::SIGUSR1)
    }
}

/// What apache.conf may name.
fn words_of(place: &Place<'_>) -> Words {
    let member = |(number, address): (usize, &Address)| {
        let url = match address {
            Address::Tcp(address) => format!("http://{address}"),
            // The name only tells them apart: Host goes on as it came.
            Address::Unix(socket) => {
                format!("unix:{}|http://gateway-{}", socket.display(), number + 1)
            }
        };
        // One that failed is left alone as long as nginx does it.
        format!("BalancerMember \"{url}\" retry=10")
    };
    let members = place.upstreams.iter().enumerate().map(member);
    let tls = place.tls.map(|tls| {
        format!(
            "LoadModule ssl_module \"{MODULES}/mod_ssl.so\"\nSSLEngine on\nSSLCertificateFile \"{}\"\nSSLCertificateKeyFile \"{}\"",
            tls.certificate.display(),
            tls.key.display()
        )
    });
    let files = place.static_files().map(|(url, folder)| {
        let folder = folder.display();
        format!(
            "ProxyPass \"{url}/\" \"!\"\nAlias \"{url}/\" \"{folder}/\"\n<Directory \"{folder}\">\n    Require all granted\n</Directory>"
        )
    });
    Words::from([
        ("run", place.folder.display().to_string()),
        ("modules", MODULES.to_owned()),
        ("listen", bare(&place.listen)),
        ("tls", tls.unwrap_or_default()),
        ("static", files.unwrap_or_default()),
        ("upstreams", members.collect::<Vec<_>>().join("\n    ")),
    ])
}
