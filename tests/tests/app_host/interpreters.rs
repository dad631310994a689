//! The one library, in every CPython from 3.10 on that this machine has: in a virtual environment of
//! each, and all the other tests of this suite once more with each.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::{Setup, library, output, python};

/// Interpreters by what they say of themselves, so that two names of one are one.
fn interpreters() -> Vec<PathBuf> {
    let mut candidates = vec![python(), "/usr/bin/python3".into(), "/usr/local/bin/python3".into()];
    candidates.extend((10..=14).map(|minor| format!("python3.{minor}").into()));
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

/// `3.11`, of the implementation this is.
fn version(interpreter: &Path) -> String {
    let ask = "import sys; print('%d.%d' % sys.version_info[:2], end='')";
    output(Command::new(interpreter).args(["-c", ask])).1
}

/// Whoever runs this suite runs it with one of them already: here are the others, one of each
/// version, since patch levels share their stable ABI.
#[test]
#[expect(clippy::print_stdout, reason = "which versions a machine has is worth knowing")]
fn the_whole_suite_passes_on_every_version() {
    if std::env::var_os(ALREADY).is_some() {
        return;
    }
    let own = version(&python());
    let mut others: BTreeMap<String, PathBuf> =
        interpreters().into_iter().map(|python| (version(&python), python)).collect();
    others.remove(&own);
    for (version, interpreter) in &others {
        let mut suite = Command::new(std::env::current_exe().unwrap());
        suite.env("CAUSEWAY_PYTHON", interpreter).env(ALREADY, version);
        let (status, text) = output(&mut suite);
        assert!(status.success(), "CPython {version}:\n{text}");
        let passed = text.lines().find(|line| line.starts_with("test result: ok. ")).unwrap();
        println!("CPython {version} ({}): {passed}", interpreter.display());
    }
    let versions: Vec<&str> = others.keys().map(String::as_str).collect();
    println!("besides {own}: {versions:?}");
}

/// Set where this suite runs itself.
const ALREADY: &str = "TESTS_OF_PYTHON";

#[test]
fn an_interpreter_that_is_too_old_is_told_so() {
    let home = std::env::home_dir().unwrap_or_default();
    let versions = home.join(".pyenv/versions").read_dir();
    let old = versions.into_iter().flatten().flatten().map(|version| version.path());
    let old = old.filter(|path| path.file_name().is_some_and(is_old));
    for folder in old {
        let mut setup = Setup::of("hello");
        setup.python = folder.join("bin/python3");
        let (status, text) = output(&mut setup.command());
        assert_eq!(status.code(), Some(3), "{text}");
        let start = "Python 3.10 or later is needed; ";
        assert!(text.starts_with(start) && text.lines().count() == 1, "{text}");
    }
}

fn is_old(version: &OsStr) -> bool {
    let version = version.to_string_lossy();
    (6..10).any(|minor| version.starts_with(&format!("3.{minor}.")))
}

#[test]
fn nothing_of_ours_is_linked_to_a_libpython() {
    let (status, text) = output(Command::new("ldd").arg(library()));
    assert!(status.success() && text.contains("libc.so"), "{text}");
    assert!(!text.contains("libpython"), "{text}");
}
