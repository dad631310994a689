//! Where things are in this checkout. Everything generated lives in two folders that git ignores:
//! cargo's target folder and `.causeway/`.

use std::path::{Path, PathBuf};

/// The folder of the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("xtask is a folder of the workspace").to_owned()
}

/// Virtual environments, prepared applications, running chains, results of benches.
pub fn state() -> PathBuf {
    topology::state::folder()
}

/// Cargo's output folder, wherever the user moved it.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// What `cargo build` makes of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Debug,
    Release,
}

impl Profile {
    pub fn folder(self) -> PathBuf {
        target().join(match self {
            Profile::Debug => "debug",
            Profile::Release => "release",
        })
    }
}
