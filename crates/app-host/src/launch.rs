//! Starting an app-host. Runs in the gateway, in tests, in a launcher: nothing here may touch Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::options::HostOptions;

const LIBRARY: &str = "libcauseway_app_host.so";
/// What the interpreter runs with `-c`: argv is the library, then the options.
const BOOT: &str = include_str!("boot.py");

/// The process that serves `options.application`. The caller adds what only it knows: the listening
/// socket as standard input, the pipes of `control.rs`, environment, process group.
pub fn command(python: &Path, library: &Path, options: &HostOptions) -> Command {
    let mut command = Command::new(python);
    command.arg("-c").arg(BOOT).arg(library).args(options.to_arguments());
    command
}

/// The library cargo built next to the running program: `target/PROFILE/` holds programs, its
/// `deps/` test programs and, when it was built as a dependency, the library.
pub fn library() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    let folders = [folder.to_path_buf(), folder.join("deps"), folder.parent()?.to_path_buf()];
    folders.into_iter().map(|folder| folder.join(LIBRARY)).find(|library| library.is_file())
}
