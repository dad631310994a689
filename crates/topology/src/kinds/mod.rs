//! What a hop can be. Each kind is a file that knows one program: where it lies, what installs it, which
//! files and flags it is started with, and by which signals it stops and reloads. Nothing outside of
//! these files knows a program by name.

mod configuration; // the file a program reads, made for one run

mod apache;
mod caddy;
mod haproxy;
mod nginx; // ours and nginx: one configuration
pub(crate) mod postgresql; // not on a request's way: the application's

mod gateway; // ours and gunicorn: one command line
mod granian;
mod runserver; // Django's and Flask's own
mod uwsgi;
mod waitress;

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use crate::export::Elsewhere;
use crate::file::Protocol;
use crate::place::Place;
use crate::probe::Address;
use crate::process::Process;
use crate::progress::Progress;
use crate::python::Python;
use crate::state;
use crate::subject::Subject;
use crate::sys::User;

/// A program that can take a hop's place.
pub trait Kind: fmt::Debug + Sync {
    /// As topologies name it.
    fn name(&self) -> &'static str;
    fn role(&self) -> Role;
    fn sockets(&self) -> Sockets {
        Sockets::TcpAndUnix
    }
    /// With the hop before it.
    fn speaks(&self, protocol: Protocol) -> bool {
        protocol == Protocol::Http
    }
    /// With the hop behind it.
    fn forwards(&self, _protocol: Protocol) -> bool {
        false
    }
    /// What a topology may say of it; the rest is refused rather than ignored.
    fn knows(&self, _setting: Setting) -> bool {
        true
    }
    /// Whether it is told which application to call; else it asks the application's own settings.
    fn calls_by_name(&self) -> bool {
        true
    }
    /// Where it is; an error names the command that installs it.
    fn find(&self, places: &Places) -> Result<Found>;
    /// Writes what it reads, and says how it is started.
    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch>;
    /// Upon which it finishes what it has begun, and ends.
    fn stop(&self) -> Signal {
        Signal::SIGTERM
    }
    /// Upon which it puts its things in order and ends, whatever it has begun.
    fn farewell(&self) -> Signal {
        Signal::SIGTERM
    }
    /// Whether its workers can be another user, whom a hop's `user` names.
    fn changes_user(&self) -> bool {
        false
    }
    /// Whether a child of its process answers requests.
    fn works(&self, _child: Process) -> bool {
        true
    }
    /// Who it is, when it refuses to be root and we are.
    fn user(&self) -> Result<Option<User>> {
        Ok(None)
    }
    /// Upon which it reads its configuration again.
    fn reload(&self) -> Option<Signal> {
        None
    }
    /// How it is had and kept on other machines; one that says nothing is not exported.
    fn elsewhere(&self) -> Option<Elsewhere> {
        None
    }
}

/// What a hop is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Passes requests on.
    Proxy,
    /// Runs the application.
    Server,
    /// Keeps the application's data: a topology's `database`, and no hop of a request.
    Database,
}

/// Where it can listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    TcpOnly,
    TcpAndUnix,
}

/// What not every program can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A file it is configured by.
    Config,
    Workers,
    Threads,
    Tls,
}

/// Where programs are looked for.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The folder with Causeway's own; beside this program, else on `PATH`, when nothing is said.
    pub ours: Option<PathBuf>,
    /// Whether the making of an environment is shown.
    pub progress: Progress,
}

/// A program that is there.
#[derive(Clone, Debug)]
pub struct Found {
    pub program: PathBuf,
    pub version: String,
}

/// How a hop is started.
#[derive(Debug)]
pub struct Launch {
    pub command: Command,
    /// What it writes beside its standard output.
    pub logs: Vec<PathBuf>,
    pub ready: Ready,
}

/// By what it is known that a hop can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It says so: `READY=1` on `$NOTIFY_SOCKET`.
    Notify,
    /// It accepts connections.
    Connect,
    /// These words are in its logs, as often as that.
    Says { words: &'static str, times: usize },
    /// It answers the first page with anything below 500.
    Http,
    /// It begins a session of PostgreSQL's protocol.
    Postgresql { user: &'static str, database: &'static str },
}

/// What pip installs Causeway's own programs from.
const OUR_WHEEL: &str = "causeway-gateway";

/// All there are.
pub const ALL: &[&dyn Kind] = &[
    &nginx::EDGE,
    &nginx::NGINX,
    &caddy::Caddy,
    &haproxy::Haproxy,
    &apache::Apache,
    &gateway::GATEWAY,
    &gateway::GUNICORN,
    &uwsgi::Uwsgi,
    &granian::Granian,
    &waitress::Waitress,
    &runserver::Runserver,
    &postgresql::POSTGRESQL,
];

pub fn named(name: &str) -> Result<&'static dyn Kind> {
    match ALL.iter().find(|kind| kind.name() == name) {
        Some(kind) => Ok(*kind),
        None => {
            let names: Vec<&str> = ALL.iter().map(|kind| kind.name()).collect();
            bail!("kind = \"{name}\" is not one of {}", names.join(", "))
        }
    }
}

impl Places {
    /// One of Causeway's own programs.
    fn ours(&self, name: &str) -> Result<PathBuf> {
        let beside = || Some(std::env::current_exe().ok()?.parent()?.to_owned());
        let folders =
            [self.ours.clone(), std::env::var_os("CAUSEWAY_PROGRAMS").map(PathBuf::from), beside()];
        // A test's executable lies one folder below the programs.
        let above = beside().and_then(|folder| Some(folder.parent()?.to_owned()));
        let folders = folders.into_iter().flatten().chain(above).chain(search_path());
        let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
        found.with_context(|| {
            format!("{name} is missing: cargo build -p {name}, or pip install {OUR_WHEEL}")
        })
    }

    /// One of a Debian package.
    pub(crate) fn debian(&self, names: &[&str], package: &str) -> Result<PathBuf> {
        let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let folders: Vec<PathBuf> = search_path().chain(usual).collect();
        let candidates =
            names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        let mut candidates = candidates.filter(|program| program.is_file());
        candidates
            .next()
            .with_context(|| format!("{} is missing: apt-get install {package}", names[0]))
    }

    /// One from PyPI, in an environment made when it is first asked for. The requirements pin its version.
    fn python(&self, name: &str, requirements: &str) -> Result<PathBuf> {
        let folder = state::made()?;
        let file = folder.join(format!("{name}.txt"));
        if std::fs::read_to_string(&file).ok().as_deref() != Some(requirements) {
            // At once, for others may read it just now.
            let mut whole = tempfile::NamedTempFile::new_in(&folder)?;
            whole.write_all(requirements.as_bytes())?;
            whole.persist(&file)?;
        }
        let environment =
            Python::find()?.environment(&format!("venv-{name}"), &[file], self.progress)?;
        Ok(environment.program(name))
    }
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// The first line in which a program tells its version with this flag, from its digits on.
fn version(program: &Path, flag: &str) -> Result<String> {
    let output = Command::new(program).arg(flag).output();
    let output = output.with_context(|| format!("cannot start \"{}\"", program.display()))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()));
    let line =
        line.with_context(|| format!("\"{} {flag}\" tells no version", program.display()))?;
    // The last: ours says first which nginx it follows.
    let word = line.rsplit([' ', '/']).find(|word| {
        let digits = word.strip_prefix('v').unwrap_or(word);
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.')
    });
    Ok(word.unwrap_or(line).trim_end_matches([',', ')']).to_owned())
}

/// The version that a file of requirements pins.
fn pinned(requirements: &str) -> String {
    let (_, version) = requirements.split_once("==").expect("requirements of ours pin a version");
    version.trim_end().to_owned()
}

/// An address in the words of those who tell a unix socket by its first slash.
fn bare(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(socket) => socket.display().to_string(),
    }
}

/// A server that lives in an environment of its own finds the application and its packages by path.
fn finds_application(command: &mut Command, subject: &Subject) -> Result<()> {
    let folder = &subject.application.folder;
    let paths = [folder.clone(), subject.environment.packages()?];
    command.env("PYTHONPATH", std::env::join_paths(paths)?).current_dir(folder);
    Ok(())
}

/// An application's callable; whether it is to be called for the application, as `()` after it says.
fn factory(callable: &str) -> (&str, bool) {
    callable.strip_suffix("()").map_or((callable, false), |callable| (callable, true))
}
