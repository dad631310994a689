//! Starting an app-host. Runs in the gateway, in tests, in a launcher: nothing here may touch Python.

use std::env;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::options::HostOptions;

/// What the library is asked for in place of an application.
pub(crate) const LOGGER: &str = "logger";

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

/// The process that writes a gateway's lines through Python's logging: see `logger.py`. The caller
/// adds a stream socket as standard input.
pub fn logger_command(python: &Path, library: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg("-c").arg(BOOT).arg(library).arg(LOGGER);
    command
}

/// What makes of an app-host a nursery.
pub(crate) const NURSERY: &str = "nursery";

/// The process that reads `config` (as `-c` names it) and forks workers. The caller adds the packet
/// socket to it as standard input; its end is the nursery's.
pub fn nursery_command(python: &Path, library: &Path, config: Option<&str>) -> Command {
    let mut command = Command::new(python);
    command.arg("-c").arg(BOOT).arg(library).arg(NURSERY).args(config);
    command
}

/// The interpreter whose packages the operator means.
pub fn interpreter(asked_for: Option<PathBuf>) -> PathBuf {
    let environment = || Some(PathBuf::from(env::var_os("VIRTUAL_ENV")?).join("bin/python"));
    let neighbour = || Some(env::current_exe().ok()?.parent()?.join("python3"));
    asked_for
        .or_else(|| environment().filter(|python| python.exists()))
        .or_else(|| neighbour().filter(|python| python.exists()))
        .unwrap_or_else(|| PathBuf::from("python3"))
}

/// The library of the running program: see `library_for`.
pub fn library() -> Option<PathBuf> {
    library_for(&env::current_exe().ok()?)
}

/// The library that belongs to `program`: the one cargo built, or else the one pip installed.
pub fn library_for(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?;
    built_beside(folder).or_else(|| installed_below(folder.parent()?))
}

/// The one cargo built: `target/PROFILE/` holds programs, its `deps/` test
/// programs (`examples/` examples) and, when it was built as a dependency, the library.
///
/// The newest of them: cargo refreshes the one in `PROFILE/` only where the app-host is asked for by
/// name, so it may be older than the program and lack what the program expects. Of equals (cargo
/// links one to the other) the nearest: beside the program, in `deps/` there, above, in `deps/` there.
fn built_beside(folder: &Path) -> Option<PathBuf> {
    let mut folders = vec![folder.to_path_buf(), folder.join("deps")];
    folders
        .extend(folder.parent().into_iter().flat_map(|above| [above.into(), above.join("deps")]));
    newest(folders.into_iter().map(|folder| folder.join(LIBRARY)))
}

/// A wheel puts programs into `PREFIX/bin` and the library among the packages of the Python it was
/// installed with. Any will do: it is built for every version's stable ABI. Of several the newest,
/// since that installation wrote the program too. A package of the system has it in `lib/causeway`.
fn installed_below(prefix: &Path) -> Option<PathBuf> {
    const PACKAGED: &str = "causeway_app_host/causeway_app_host.abi3.so";
    let libraries = ["lib", "lib64"].map(|lib| prefix.join(lib));
    let pythons = libraries.iter().filter_map(|lib| lib.read_dir().ok()).flatten().flatten();
    let pythons =
        pythons.filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"));
    let packaged = pythons.flat_map(|python| {
        ["site-packages", "dist-packages"]
            .map(|packages| python.path().join(packages).join(PACKAGED))
    });
    newest(libraries.iter().map(|lib| lib.join("causeway").join(LIBRARY)).chain(packaged))
}

/// Of equals the first.
fn newest(libraries: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let built = |library: &PathBuf| {
        let facts = library.metadata().ok().filter(Metadata::is_file)?;
        facts.modified().ok()
    };
    libraries
        .filter_map(|library| Some((built(&library)?, library)))
        .reduce(|nearest, other| if other.0 > nearest.0 { other } else { nearest })
        .map(|(_, library)| library)
}
