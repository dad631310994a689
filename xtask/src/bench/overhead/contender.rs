//! One server of `bench overhead`: where its program comes from and with which flags it is started. All
//! have two workers on TCP with HTTP/1.1, no access log, and kept connections where they can keep them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use xtask::hop::Hop;
use xtask::peers;
use xtask::probe::Address;
use xtask::process::Process;
use xtask::progress::Progress;
use xtask::workspace;

use crate::bench::Subject;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    OursThreads,
    GunicornSync,
    GunicornThreads,
    Granian,
    Uwsgi,
}

pub(super) struct Contender {
    pub(super) kind: Kind,
    hop: Hop,
    address: SocketAddr,
}

impl Kind {
    pub(super) const ALL: [Kind; 6] = [
        Kind::Ours,
        Kind::OursThreads,
        Kind::GunicornSync,
        Kind::GunicornThreads,
        Kind::Granian,
        Kind::Uwsgi,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Ours => "causeway",
            Kind::OursThreads => "causeway, 4 threads",
            Kind::GunicornSync => "gunicorn sync",
            Kind::GunicornThreads => "gunicorn gthread, 4 threads",
            Kind::Granian => "granian, 4 threads",
            Kind::Uwsgi => "uWSGI with its HTTP router",
        }
    }

    /// Installed if it is not; the error says by what it would be.
    pub(super) fn program(self, ours: &Path) -> Result<PathBuf> {
        let installed = |name: &str, requirements: &str| {
            let program =
                peers::program(name, &format!("venv-{name}"), requirements, Progress::Shown);
            program.with_context(|| format!("it is installed by pip install -r {requirements}"))
        };
        match self {
            Kind::Ours | Kind::OursThreads => Ok(ours.to_owned()),
            Kind::GunicornSync | Kind::GunicornThreads => peers::gunicorn(Progress::Shown),
            Kind::Granian => installed("granian", "crates/topology/src/kinds/granian.txt"),
            Kind::Uwsgi => installed("uwsgi", "xtask/bench/uwsgi.txt"),
        }
    }

    fn arguments(self, at: SocketAddr, subject: &Subject) -> Vec<String> {
        let callable = subject.application.callable();
        let python = subject.environment.python();
        let (host, port) = (at.ip(), at.port());
        let line = match self {
            Kind::Ours => {
                format!("--no-control-socket --workers 2 --bind {at} --python {}", python.display())
            }
            Kind::OursThreads => {
                format!(
                    "--no-control-socket --workers 2 --threads 4 --bind {at} --python {}",
                    python.display()
                )
            }
            Kind::GunicornSync => format!("--no-control-socket --workers 2 --bind {at}"),
            Kind::GunicornThreads => format!(
                "--no-control-socket --workers 2 --worker-class gthread --threads 4 --keep-alive 130 --bind {at}"
            ),
            Kind::Granian => format!(
                "--interface wsgi --workers 2 --blocking-threads 4 --http 1 --no-ws --host {host} --port {port}"
            ),
            Kind::Uwsgi => format!(
                "--master --processes 2 --http {at} --http-keepalive=130 --so-keepalive --listen 128 \
                 --need-app --die-on-term --disable-logging --module"
            ),
        };
        line.split_whitespace().chain([callable]).map(str::to_owned).collect()
    }
}

impl Contender {
    /// Once it answers.
    pub(super) async fn start(kind: Kind, program: &Path, subject: &Subject) -> Result<Contender> {
        let at = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let mut command = Command::new(program);
        command.args(kind.arguments(at, subject)).current_dir(&subject.application.folder);
        command.envs(subject.application.variables(&subject.data));
        if !matches!(kind, Kind::Ours | Kind::OursThreads) {
            // They live in environments of their own, and find the application's packages by path.
            let paths = [subject.application.folder.clone(), subject.environment.packages()?];
            command.env("PYTHONPATH", std::env::join_paths(paths)?);
        }
        let folder = workspace::state().join("bench/overhead");
        fs::create_dir_all(&folder)?;
        let log = folder.join(format!("{kind:?}.log"));
        let mut hop = Hop::start(kind.name(), command, &log)?;
        hop.ready(&Address::Tcp(at), subject.application.first_page()).await?;
        Ok(Contender { kind, hop, address: at })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Of the process that was started, and of all others.
    pub(super) fn cpu_seconds(&self) -> [f64; 2] {
        let tree = self.hop.process.tree();
        [&tree[..1], &tree[1..]].map(|part| part.iter().copied().map(Process::cpu_seconds).sum())
    }

    pub(super) async fn stop(&mut self) {
        // What does not end is ended when this is dropped.
        let _ = self.hop.stop(Signal::SIGTERM).await;
    }
}
