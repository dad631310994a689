//! The one library, in every CPython from 3.10 on that this machine has, and in a virtual
//! environment of each.

use std::path::PathBuf;
use std::process::Command;

use crate::host::{Setup, library, output, python};

/// Interpreters by what they say of themselves, so that two names of one are one.
fn interpreters() -> Vec<PathBuf> {
    let mut candidates = vec![python(), "/usr/bin/python3".into(), "/usr/local/bin/python3".into()];
    let home = std::env::home_dir().unwrap_or_default();
    if let Ok(versions) = home.join(".pyenv/versions").read_dir() {
        candidates.extend(versions.flatten().map(|version| version.path().join("bin/python3")));
    }
    let ask = "import sys; print(sys.implementation.name, sys.version_info >= (3, 10), \
               sys.executable)";
    let mut found: Vec<PathBuf> = candidates
        .iter()
        .filter_map(|candidate| Command::new(candidate).args(["-c", ask]).output().ok())
        .filter_map(|output| String::from_utf8(output.stdout).ok())
        .filter_map(|answer| Some(answer.trim().strip_prefix("cpython True ")?.into()))
        .collect();
    found.sort();
    found.dedup();
    assert!(!found.is_empty(), "no CPython of 3.10 or later");
    found
}

#[test]
fn every_interpreter_loads_it() {
    for interpreter in interpreters() {
        let scratch = tempfile::tempdir().unwrap();
        let venv = scratch.path().join("venv");
        let mut make = Command::new(&interpreter);
        let (status, text) = output(make.args(["-m", "venv", "--without-pip"]).arg(&venv));
        assert!(status.success(), "{}: {text}", interpreter.display());
        // A package only this environment has.
        let packages = venv.join("lib").read_dir().unwrap().next().unwrap().unwrap().path();
        let package = packages.join("site-packages/only_in_venv.py");
        std::fs::write(package, "from environ import application").unwrap();
        let mut setup = Setup::of("only_in_venv");
        setup.python = venv.join("bin/python");
        let host = setup.start();
        assert_eq!(host.get("/").status(), 200, "{}", interpreter.display());
    }
}

#[test]
fn nothing_of_ours_is_linked_to_a_libpython() {
    let (status, text) = output(Command::new("ldd").arg(library()));
    assert!(status.success() && text.contains("libc.so"), "{text}");
    assert!(!text.contains("libpython"), "{text}");
}
