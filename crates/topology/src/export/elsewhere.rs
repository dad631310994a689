//! What a kind tells of its program that matters only on machines other than this one: how it gets there,
//! and what an init system may expect of it.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

/// A program on somebody's servers.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere {
    pub source: Source,
    /// It sends `READY=1`.
    pub notifies: bool,
    /// It takes listening sockets that systemd holds for it.
    pub takes_sockets: bool,
    /// Upon which it opens its logs anew.
    pub reopen: Option<Signal>,
    /// As what it names its standard output and its standard errors, where a log's name is asked for.
    pub streams: [&'static str; 2],
    /// Flags by which it believes the hop before it, which comes from another machine's address.
    pub trusting: &'static [&'static str],
}

/// Where it comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// From PyPI, into the application's environment.
    Environment { program: &'static str, requirement: &'static str },
    Package {
        program: &'static str,
        /// Debian's.
        package: &'static str,
        /// Of a registry; with `curl` in it, and the program in the same place.
        image: &'static str,
        /// Where the package's program and then the image's keeps bodies that are too long for memory.
        temporary: [&'static str; 2],
    },
}

impl Elsewhere {
    pub(super) fn program(&self, environment: &Path) -> PathBuf {
        match self.source {
            Source::Environment { program, .. } => environment.join("bin").join(program),
            Source::Package { program, .. } => program.into(),
        }
    }

    /// What pip is told; a file of requirements may have lines about it.
    pub(super) fn requirement(&self) -> Option<&'static str> {
        let Source::Environment { requirement, .. } = self.source else { return None };
        requirement.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty())
    }
}
