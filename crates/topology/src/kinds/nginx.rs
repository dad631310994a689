//! The edge and nginx: one configuration, one command line.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{Found, Kind, Launch, OUR_WHEEL, Places, Ready, Role, Setting, configuration, version};
use crate::export::{Elsewhere, Source};
use crate::file::Protocol;
use crate::place::{Place, Purpose};
use crate::probe::Address;
use crate::words::Words;

#[derive(Debug)]
pub(super) struct Nginx {
    whose: Whose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    Theirs,
}

pub(super) static EDGE: Nginx = Nginx { whose: Whose::Ours };
pub(super) static NGINX: Nginx = Nginx { whose: Whose::Theirs };

/// What a hop without a configuration of its own is configured by.
const DEPLOY: [(&str, &str); 5] = [
    ("nginx.conf", include_str!("../../../../deploy/nginx.conf")),
    ("nginx-uwsgi.conf", include_str!("../../../../deploy/nginx-uwsgi.conf")),
    ("mime.types", include_str!("../../../../deploy/mime.types")),
    ("proxy_params", include_str!("../../../../deploy/proxy_params")),
    ("uwsgi_params", include_str!("../../../../deploy/uwsgi_params")),
];

impl Kind for Nginx {
    fn name(&self) -> &'static str {
        match self.whose {
            Whose::Ours => "edge",
            Whose::Theirs => "nginx",
        }
    }

    fn role(&self) -> Role {
        Role::Proxy
    }

    fn forwards(&self, _protocol: Protocol) -> bool {
        true
    }

    fn knows(&self, setting: Setting) -> bool {
        setting != Setting::Threads
    }

    fn find(&self, places: &Places) -> Result<Found> {
        let program = match self.whose {
            Whose::Ours => places.ours("causeway-edge")?,
            Whose::Theirs => places.debian(&["nginx"], "nginx-light")?,
        };
        let version = version(&program, "-v")?;
        Ok(Found { program, version })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        let config = match &place.hop.config {
            Some(config) => config.clone(),
            None => {
                let deploy = place.folder.join("deploy");
                fs::create_dir_all(&deploy)?;
                for (name, text) in DEPLOY {
                    fs::write(deploy.join(name), text)?;
                }
                deploy.join(match place.upstream_protocol {
                    Protocol::Http => "nginx.conf",
                    Protocol::Uwsgi => "nginx-uwsgi.conf",
                })
            }
        };
        let text = configuration::read(&config)?;
        let words = words_of(place, &config, self.whose);
        let filled = configuration::write(place, "nginx.conf", &text, &words)?;

        let log = place.folder.join("edge.log");
        let mut directives = String::from("daemon off;");
        if place.purpose == Purpose::Run && nix::unistd::geteuid().is_root() {
            // Else the workers would change to a user who may not even read this folder.
            let user = place.hop.user.as_deref().unwrap_or("root");
            directives.extend([" user ", user, ";"]);
        }
        if place.purpose == Purpose::Run && self.whose == Whose::Ours {
            directives.push_str(" otel_trace on; server_timing on;");
        }
        let mut command = Command::new(&found.program);
        command.arg("-p").arg(&place.folder).arg("-c").arg(&filled).arg("-e").arg(&log);
        command.args(["-g", &directives]).args(&place.hop.flags);
        let logs = vec![log, place.folder.join("edge-access.log")];
        Ok(Launch { command, logs, ready: Ready::Connect })
    }

    fn changes_user(&self) -> bool {
        true
    }

    fn stop(&self) -> Signal {
        Signal::SIGQUIT
    }

    fn reload(&self) -> Option<Signal> {
        Some(Signal::SIGHUP)
    }

    fn elsewhere(&self) -> Option<Elsewhere> {
        let source = match self.whose {
            Whose::Ours => Source::Environment { program: "causeway-edge", requirement: OUR_WHEEL },
            Whose::Theirs => Source::Package {
                program: "/usr/sbin/nginx",
                package: "nginx-light",
                image: "nginx:stable",
                temporary: ["/var/lib/nginx", "/var/cache/nginx"],
            },
        };
        Some(Elsewhere {
            source,
            notifies: false,
            takes_sockets: false,
            reopen: Some(Signal::SIGUSR1),
            streams: ["/dev/stdout", "/dev/stderr"],
            trusting: &[],
        })
    }
}

/// What nginx.conf may name.
fn words_of(place: &Place<'_>, config: &Path, whose: Whose) -> Words {
    let application = place.subject;
    let (listen, tls) = match (&place.listen, place.tls) {
        (listen, None) => (listen.to_string(), String::new()),
        (listen, Some(tls)) => {
            // nginx before 1.25 knows it as a parameter only; later ones still take that, with a warning.
            let (parameter, directive) = match whose {
                Whose::Ours => ("", " http2 on;"),
                Whose::Theirs => (" http2", ""),
            };
            let files = format!(
                "ssl_certificate {}; ssl_certificate_key {};",
                tls.certificate.display(),
                tls.key.display()
            );
            (format!("{listen} ssl{parameter}"), files + directive)
        }
    };
    let server = |address: &Address| format!("server {address};");
    let static_url = match application.application.static_url() {
        // One path that nobody asks for; everything else is the application's.
        "" => "= /.there-are-no-static-files",
        url => url,
    };
    let folder = config.parent().unwrap_or(Path::new("/"));
    Words::from([
        ("run", place.folder.display().to_string()),
        ("deploy", folder.display().to_string()),
        ("listen", listen),
        ("tls", tls),
        ("upstreams", place.upstreams.iter().map(server).collect::<Vec<_>>().join(" ")),
        ("upstream", place.upstreams.first().map(Address::to_string).unwrap_or_default()),
        ("static_url", static_url.to_owned()),
        (
            "static_folder",
            application.application.static_folder(&application.data).display().to_string(),
        ),
        ("workers", place.hop.workers.to_string()),
    ])
}
