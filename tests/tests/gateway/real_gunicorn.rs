//! gunicorn itself, started as ours is, for those tests that send both of them the same.

use std::process::Command;

use xtask::{progress::Progress, python::Python, workspace};

use crate::stack::{Gateway, Listens, Setup, fixtures};

/// The pinned version, in an environment that is made once.
pub(crate) fn program() -> std::path::PathBuf {
    let requirements = workspace::root().join("crates/topology/src/kinds/gunicorn.txt");
    let python = Python::find().unwrap();
    let peers = python.environment("venv-peers", &[requirements], Progress::Quiet).unwrap();
    peers.program("gunicorn")
}

/// Ours alone, on TCP, with the tests' application `facts`.
pub(crate) fn alone(flags: &[&str]) -> Gateway {
    let flags = [&["--log-level", "debug"], flags].concat();
    let gateway = start(Program::Ours, "facts:application", Listens::Tcp, &flags, "");
    gateway.log.wait_for("Worker ready");
    gateway
}

/// Both of them with the tests' application `facts`, the same flags and, unless it is empty, the same
/// gunicorn.conf.py. Ours comes first.
pub(crate) fn both(listens: Listens, flags: &[&str], conf: &str) -> [Gateway; 2] {
    let flags = [&["--log-level", "debug"], flags].concat();
    let both = both_started("facts:application", listens, &flags, conf);
    both[0].log.wait_for("Worker ready");
    both[1].log.wait_for("Booting worker with pid");
    both
}

/// The same application on both, without waiting for anything.
pub(crate) fn both_started(
    application: &str,
    listens: Listens,
    flags: &[&str],
    conf: &str,
) -> [Gateway; 2] {
    BOTH.map(|program| start(program, application, listens, flags, conf))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Ours,
    Gunicorn,
}

pub(crate) const BOTH: [Program; 2] = [Program::Ours, Program::Gunicorn];

/// One of them, with an application of the fixtures.
pub(crate) fn start(
    program: Program,
    application: &str,
    listens: Listens,
    flags: &[&str],
    conf: &str,
) -> Gateway {
    let fixtures = fixtures();
    // gunicorn says where its own is each time it forks.
    let mut all = vec!["--no-control-socket"];
    all.extend(["--pythonpath", fixtures.to_str().unwrap(), application]);
    all.extend(flags);
    let mut setup = Setup::new(listens, &all);
    match program {
        // Each would say where it is.
        Program::Ours => drop(setup.command.arg("--no-control-socket")),
        Program::Gunicorn => setup.command = replaced(&setup.command),
    }
    if !conf.is_empty() {
        setup.write("gunicorn.conf.py", conf);
    }
    setup.launch()
}

/// The same start, of the other program. What follows `--python` is not for it.
fn replaced(ours: &Command) -> Command {
    let mut theirs = Command::new(program());
    theirs.args(ours.get_args().skip(2));
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => theirs.env(name, value),
            None => theirs.env_remove(name),
        };
    }
    theirs.current_dir(ours.get_current_dir().unwrap());
    theirs
}
