//! The programs ours are compared with, from the registry into virtual environments of their own: the
//! pinned versions are in the requirement files, and an environment is made when it is first asked for.

use std::path::PathBuf;

use anyhow::Result;

use crate::progress::Progress;
use crate::python::Python;
use crate::workspace;

/// gunicorn's program.
pub fn gunicorn(progress: Progress) -> Result<PathBuf> {
    program("gunicorn", "venv-peers", "crates/topology/src/kinds/gunicorn.txt", progress)
}

/// A program of an environment made from a requirements file of this workspace.
pub fn program(
    name: &str,
    environment: &str,
    requirements: &str,
    progress: Progress,
) -> Result<PathBuf> {
    let requirements = workspace::root().join(requirements);
    Ok(Python::find()?.environment(environment, &[requirements], progress)?.program(name))
}
