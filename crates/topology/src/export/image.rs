//! The application in a container, for the engines that take one: its packages and its server in one
//! image, nothing of it writable, its static files collected. The same paths in each of them.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Elsewhere;
use super::Written;
use super::elsewhere::Source;
use super::rehearse::Exported;
use super::target::{Logs, Socket, Target};
use crate::file::{Hop, Topology};
use crate::probe::Address;

/// Who the processes are.
pub(super) const USER: u32 = 10_001;
/// Where the first hop listens: nobody here may have a port below 1024.
const FIRST_PORT: u16 = 8080;
const PORT: u16 = 8000;
/// Where the image has the collected files, for whoever mounts them elsewhere.
pub(super) const STATIC: &str = "/srv/static";
/// Where a volume for them is mounted to be filled.
pub(super) const SHARED: &str = "/srv/static-shared";
pub(super) const DATA: &str = "/srv/data";
pub(super) const RUN: &str = "/run/causeway";
pub(super) const TLS: &str = "/etc/causeway-tls";

/// A machine for each instance.
pub(super) struct Containers {
    /// One service of the hop's name, however many there are behind it.
    pub(super) multiplied_by_the_engine: bool,
    /// Of the services' names.
    pub(super) prefix: String,
}

impl Target for Containers {
    fn application(&self) -> PathBuf {
        "/srv/app".into()
    }
    fn environment(&self) -> PathBuf {
        "/usr/local".into()
    }
    fn data(&self) -> PathBuf {
        DATA.into()
    }
    fn config(&self, _hop: &str) -> PathBuf {
        "/etc/causeway".into()
    }
    fn run(&self, _hop: &str) -> PathBuf {
        RUN.into()
    }
    fn logs(&self, _hop: &str) -> Logs {
        Logs::Streams
    }
    fn tls(&self) -> PathBuf {
        TLS.into()
    }
    fn instances(&self, hop: &Hop) -> usize {
        if self.multiplied_by_the_engine { 1 } else { hop.count }
    }
    fn socket(&self, at: usize, name: &str, _hop: &Hop, _elsewhere: &Elsewhere) -> Socket {
        let port = if at == 0 { FIRST_PORT } else { PORT };
        let listen = Address::Tcp(([0, 0, 0, 0], port).into());
        let reached = (at > 0).then(|| format!("{}{name}:{port}", self.prefix));
        Socket { listen, reached }
    }
}

/// Where a proxy finds the static files: mounted at the place its configuration names.
pub(super) fn static_folder(topology: &Topology, target: &dyn Target) -> PathBuf {
    let mut application = topology.application.clone();
    application.folder = target.application();
    application.static_folder(&target.data())
}

/// Whether it is this hop that hands them out.
pub(super) fn serves_files(topology: &Topology, target: &dyn Target, hop: &Exported<'_>) -> bool {
    let folder = static_folder(topology, target).to_string_lossy().into_owned();
    let mut texts = hop.files.iter().map(|file| String::from_utf8_lossy(&file.contents));
    has_static_files(topology) && !hop.is_server() && texts.any(|text| text.contains(&folder))
}

/// Whether there are any.
pub(super) fn has_static_files(topology: &Topology) -> bool {
    !static_folder(topology, &CONTAINERS).as_os_str().is_empty()
}

const CONTAINERS: Containers =
    Containers { multiplied_by_the_engine: false, prefix: String::new() };

/// Which image a hop runs from; `None` is the one of the `Dockerfile`.
pub(super) fn foreign_image(exported: &Exported<'_>) -> Option<&'static str> {
    match exported.elsewhere.source {
        Source::Environment { .. } => None,
        Source::Package { image, .. } => Some(image),
    }
}

/// The folders a hop writes to, none of them kept.
pub(super) fn writable(exported: &Exported<'_>) -> Vec<String> {
    let mut folders = vec![RUN.to_owned(), "/tmp".to_owned()];
    if let Source::Package { temporary: [_, in_image], .. } = exported.elsewhere.source {
        folders.push(in_image.to_owned());
    }
    folders
}

/// A command that succeeds when the hop answers the first page, run beside it.
pub(super) fn health(topology: &Topology, exported: &Exported<'_>) -> Vec<String> {
    let scheme = if exported.hop.tls { "https" } else { "http" };
    let port = exported.port().unwrap_or(PORT);
    let url = format!("{scheme}://localhost:{port}{}", topology.application.first_page());
    let words: Vec<&str> = match exported.elsewhere.source {
        Source::Package { .. } => vec!["curl", "-fsSk", "-o", "/dev/null", &url],
        Source::Environment { .. } => vec![
            "/usr/local/bin/python",
            "-c",
            "import ssl, sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5, context=ssl._create_unverified_context())",
            &url,
        ],
    };
    words.into_iter().map(str::to_owned).collect()
}

/// What makes the data ready, as one shell command.
pub(super) fn preparation(topology: &Topology) -> String {
    let mut lines: Vec<String> = vec!["set -e".to_owned()];
    for arguments in topology.application.preparation() {
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        lines.push(format!("/usr/local/bin/python {}", words.join(" ")));
    }
    lines.join("; ")
}

/// What brings the collected files of the image into the volume that the first hop mounts.
pub(super) fn sharing() -> String {
    format!("cp -R {STATIC}/. {SHARED}/")
}

/// A sentence about the configurations that speak of their own machine, which the others are not on now.
pub(super) fn about_loopback(exported: &[Exported<'_>]) -> String {
    let mut named = Vec::new();
    for hop in exported {
        for file in &hop.files {
            let text = String::from_utf8_lossy(&file.contents);
            let mut said = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            if said.any(|line| line.contains("127.0.0.1")) {
                named.push(format!("`{}`", super::below(&hop.name, &file.path).display()));
            }
        }
    }
    if named.is_empty() {
        return String::new();
    }
    format!(
        "- what {} says of 127.0.0.1: each hop has an address of its own now, and only servers are told\n  to believe the hop before them\n",
        named.join(", ")
    )
}

/// For a shell.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The variables of the application that no secret is among.
pub(super) fn variables(exported: &Exported<'_>) -> Value {
    let pairs = exported.variables.iter().map(|(name, value)| (name.clone(), json!(value)));
    Value::Object(pairs.collect())
}

/// `Dockerfile` and what it leaves out.
pub(super) fn dockerfile(topology: &Topology, exported: &[Exported<'_>]) -> Result<Vec<Written>> {
    let application = &topology.application;
    let requirements = application.requirement_files(topology.database);
    ensure!(
        !requirements.is_empty(),
        "application \"{}\": it brings a python of its own along, so nothing tells what to install in an image: name its requirements",
        application.name
    );
    let files = requirements.iter().map(|file| format!("-r {}", quoted(&file.to_string_lossy())));
    let mut install: Vec<String> = files.collect();
    for hop in exported {
        let word = hop.elsewhere.requirement().map(quoted);
        install.extend(word.filter(|word| !install.contains(word)));
    }
    let folder = static_folder(topology, &CONTAINERS);
    let variables = exported.iter().rev().find(|hop| hop.is_server());
    let variables = variables.map_or(&[][..], |hop| &hop.variables);
    let variables: String =
        variables.iter().map(|(name, value)| format!("ENV {name}={}\n", json!(value))).collect();
    let (collect, copy) = if has_static_files(topology) {
        let collect = format!(
            "
# Collects the static files; what else comes of it, a database or a key, is left behind.
FROM application AS collected
RUN {}
RUN mkdir -p {STATIC} && cp -R {}/. {STATIC}/
",
            preparation(topology),
            quoted(&folder.to_string_lossy())
        );
        (collect, format!("COPY --from=collected {STATIC} {STATIC}\n"))
    } else {
        (String::new(), String::new())
    };
    let text = format!(
        "# {name}, with what serves it. The context is the application's folder.
FROM python:3.11-slim AS application
WORKDIR /srv/app
COPY . .
RUN pip install --no-cache-dir {install}
{variables}RUN mkdir -p {DATA} {SHARED}
{collect}
FROM application
{copy}# A volume that is mounted here for the first time takes the owner over.
RUN chown {USER}:{USER} {DATA} {SHARED}
USER {USER}:{USER}
",
        name = application.name,
        install = install.join(" "),
    );
    Ok(vec![
        Written::new("Dockerfile", text),
        Written::new(
            "Dockerfile.dockerignore",
            "# What of the application's folder is not the application.\n.git\n.env\n**/__pycache__\n.venv\nvenv\ndata\n",
        ),
    ])
}
