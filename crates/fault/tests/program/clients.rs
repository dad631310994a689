//! Toxiproxy's public clients against the program, unchanged as their registries have them. They are
//! installed for the test, so it needs the network, and a feature of its own:
//!
//! ```sh
//! cargo test -p causeway-fault --features clients --test program
//! ```

use std::{path::Path, process::Command};

use nix::sys::signal::Signal;

use crate::started::Started;

#[test]
fn the_python_client_drives_it() {
    let folder = tempfile::tempdir().unwrap();
    let venv = folder.path().join("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let python = venv.join("bin/python");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&python).args(pip).arg("toxiproxy-python==0.1.1"));
    drive(Command::new(&python), "drive.py");
}

#[test]
fn the_node_client_drives_it() {
    let folder = tempfile::tempdir().unwrap();
    let install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
    let mut npm = Command::new("npm");
    run(npm.args(install).arg(folder.path()).arg("toxiproxy-node-client@4.1.0"));
    let mut node = Command::new("node");
    node.env("NODE_PATH", folder.path().join("node_modules"));
    drive(node, "drive.js");
}

/// Runs a script of this folder with the API's host and port.
fn drive(mut interpreter: Command, script: &str) {
    let mut program = Started::new(&[]);
    let (host, port) = program.api.split_once(':').unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program").join(script);
    run(interpreter.arg(script).args([host, port]));
    assert!(program.end(Signal::SIGTERM).success());
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&said));
}
