//! A Procfile, as foreman, honcho and their like run it: on this machine, in the foreground.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::image::quoted;
use super::rehearse::{Exported, rehearse};
use super::target::{Logs, Socket, Target};
use super::{Elsewhere, Written};
use crate::file::{Database, Hop, Listen, Topology};
use crate::probe::Address;

/// Everything below the folder that is written, but for the application.
struct Here<'a> {
    into: &'a Path,
    application: &'a Path,
    port: u16,
}

impl Target for Here<'_> {
    fn application(&self) -> PathBuf {
        self.application.to_owned()
    }
    fn environment(&self) -> PathBuf {
        self.into.join("venv")
    }
    fn data(&self) -> PathBuf {
        self.into.join("data")
    }
    fn config(&self, hop: &str) -> PathBuf {
        self.into.join(hop)
    }
    fn run(&self, hop: &str) -> PathBuf {
        self.into.join("run").join(hop)
    }
    fn logs(&self, _hop: &str) -> Logs {
        Logs::Streams
    }
    fn tls(&self) -> PathBuf {
        self.into.join("tls")
    }
    fn socket(&self, at: usize, name: &str, hop: &Hop, _elsewhere: &Elsewhere) -> Socket {
        let listen = match hop.listen {
            Listen::Unix => Address::Unix(self.into.join("run").join(format!("{name}.sock"))),
            Listen::Tcp => Address::Tcp(([127, 0, 0, 1], self.port + at as u16).into()),
        };
        Socket { listen, reached: None }
    }
}

pub(super) fn files(topology: &Topology, port: Option<u16>, into: &Path) -> Result<Vec<Written>> {
    super::one_machine(topology)?;
    ensure!(
        !into.to_string_lossy().contains(|c: char| c.is_whitespace() || "\"'\\;{}$".contains(c)),
        "\"{}\" can not stand in a Procfile: choose a folder without blanks and quotes",
        into.display()
    );
    let target =
        Here { into, application: &topology.application.folder, port: port.unwrap_or(8000) };
    let exported = rehearse(topology, &target)?;
    let python = target.environment().join("bin/python");
    // The application's side first, which is the order in which they are started.
    let lines: String = exported.iter().rev().map(line).collect();
    let mut files = vec![
        Written::new("Procfile", lines),
        Written::new(".env", dot_env(topology, &exported)),
        Written::new("prepare.sh", prepare(topology, &python)),
        Written::new("README.md", read_me(topology, &exported)),
    ];
    for hop in &exported {
        // Where it writes has to be there.
        files.push(Written::new(Path::new("run").join(&hop.name).join(".keep"), ""));
    }
    files.extend(super::placed(exported));
    Ok(files)
}

/// `exec`, so that signals reach the program and not a shell. What only this hop is told stands before it.
fn line(hop: &Exported<'_>) -> String {
    let own = hop.hop.env.iter().map(|(name, value)| quoted(&format!("{name}={value}")));
    let own: Vec<String> = own.collect();
    let env = if own.is_empty() { String::new() } else { format!("env {} ", own.join(" ")) };
    let words: Vec<String> = hop.command.iter().map(|word| quoted(word)).collect();
    format!("{}: exec {env}{}\n", hop.name, words.join(" "))
}

fn dot_env(topology: &Topology, exported: &[Exported<'_>]) -> String {
    let mut lines =
        String::from("# What the application finds in its environment; secrets go here as well.\n");
    if let Some(server) = exported.iter().find(|hop| hop.is_server()) {
        let shared = server.variables.iter().filter(|(name, _)| !server.hop.env.contains_key(name));
        lines.extend(shared.map(|(name, value)| format!("{name}={}\n", quoted(value))));
    }
    if topology.database == Database::Postgresql {
        lines.push_str("DATABASE_URL=postgres://USER:PASSWORD@127.0.0.1:5432/NAME\n");
    }
    lines
}

fn prepare(topology: &Topology, python: &Path) -> String {
    let mut text = String::from(
        "#!/bin/sh\n# Brings the database and the static files up to date: before the first start, and after each change.\nset -ea\ncd \"$(dirname \"$0\")\"\n. ./.env\nmkdir -p data\n",
    );
    let _ = writeln!(text, "cd {}", quoted(&topology.application.folder.to_string_lossy()));
    for arguments in topology.application.preparation() {
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        let _ = writeln!(text, "{} {}", quoted(&python.to_string_lossy()), words.join(" "));
    }
    text
}

fn read_me(topology: &Topology, exported: &[Exported<'_>]) -> String {
    let mut install: Vec<String> = topology
        .application
        .requirement_files(topology.database)
        .iter()
        .map(|file| format!("-r {}", topology.application.folder.join(file).display()))
        .collect();
    for hop in exported {
        let word = hop.elsewhere.requirement().map(str::to_owned);
        install.extend(word.filter(|word| !install.contains(word)));
    }
    let ports: String = exported
        .iter()
        .map(|hop| format!("- {} ({}) listens on {}\n", hop.name, hop.hop.kind.name(), hop.listen))
        .collect();
    format!(
        "# {name} from a Procfile

Made from the topology \"{topology}\": {about}

The files name this folder: to have them elsewhere, export again. Fill in first, in `.env`: what the
application is told, its secrets. In this folder:

```sh
python3 -m venv venv
venv/bin/pip install {install}
sh prepare.sh
venv/bin/pip install honcho && venv/bin/honcho start
```

{ports}",
        name = topology.application.name,
        topology = topology.name,
        about = topology.about,
        install = install.join(" "),
    )
}
