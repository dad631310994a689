//! A topology as the files of an engine that goes on where one machine ends: systemd, compose, Kubernetes,
//! a Procfile. There is no second description of a hop: each is laid out by its own kind, as if it were to
//! be started, and what came of that, command line and configuration, is written down with the paths and
//! addresses of where it goes.
//!
//! In reading order: what a kind tells of itself, what an engine tells of its machines, how the one is
//! laid out for the other, and the engines.

mod elsewhere; // how a program is had and kept on other machines
mod target; // where things lie there

mod rehearse; // a hop laid out for a target

mod image; // the application in a container
mod yaml;

mod compose;
mod kubernetes;
mod procfile;
mod systemd;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;

pub use self::elsewhere::{Elsewhere, Source};
use self::rehearse::Exported;
use crate::file::Topology;

/// For whom it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Systemd,
    Compose,
    Kubernetes,
    Procfile,
}

/// One file, where it goes below the folder, and what is in it.
#[derive(Debug)]
struct Written {
    path: PathBuf,
    contents: Vec<u8>,
}

impl Written {
    fn new(path: impl Into<PathBuf>, contents: impl Into<Vec<u8>>) -> Written {
        Written { path: path.into(), contents: contents.into() }
    }
}

/// A file of a hop's, which may be called as another hop's is.
fn below(hop: &str, file: &Path) -> PathBuf {
    Path::new(hop).join(file)
}

/// What the hops read, each hop's in a folder of its own.
fn placed(exported: Vec<Exported<'_>>) -> impl Iterator<Item = Written> {
    exported.into_iter().flat_map(|hop| {
        let name = hop.name;
        let files = hop.files.into_iter();
        files.map(move |file| Written::new(below(&name, &file.path), file.contents))
    })
}

fn one_machine(topology: &Topology) -> Result<()> {
    match topology.hops.iter().find_map(|hop| hop.host.as_deref()) {
        None => Ok(()),
        Some(host) => bail!(
            "host = \"{host}\": this is for one machine; export compose or kubernetes instead"
        ),
    }
}

/// Writes the files, and says which. Visitors come to `port`; each engine has its usual one.
pub fn export(
    topology: &Topology,
    format: Format,
    port: Option<u16>,
    into: &Path,
) -> Result<Vec<PathBuf>> {
    let into = std::path::absolute(into)?;
    let name = &topology.application.name;
    ensure!(
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 30,
        "application \"{name}\": units and services are named after its folder, so that has to be at most 30 letters of a-z, digits and \"-\""
    );
    let written = match format {
        Format::Systemd => systemd::files(topology, port),
        Format::Compose => compose::files(topology, port),
        Format::Kubernetes => kubernetes::files(topology, port),
        Format::Procfile => procfile::files(topology, port, &into),
    }?;
    // Nothing is written before everything is known to be right.
    let mut paths = Vec::new();
    for file in written {
        let path = into.join(&file.path);
        let folder = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, &file.contents))
            .with_context(|| format!("cannot write \"{}\"", path.display()))?;
        paths.push(file.path);
    }
    Ok(paths)
}
