//! One hop that runs: its process, its keeper, its logs; how it becomes ready and how it ends.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::Signal;

use crate::faults::away;
use crate::hosts::Namespace;
use crate::keeper::{Keeper, Lifeline, When};
use crate::kinds::{Found, Kind, Ready};
use crate::place::Place;
use crate::probe::{Address, Probe};
use crate::process::Process;
use crate::sys;

/// An application that takes longer to import than this is broken for our purpose.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a hop may take to finish its requests before it is told to end at once.
const GRACE: Duration = Duration::from_secs(35);

/// A program in its place.
#[derive(Debug)]
pub struct Running {
    /// The hop's name; with its number when there are several.
    pub name: String,
    /// The hop's name in the topology.
    pub of: String,
    pub kind: &'static dyn Kind,
    pub version: String,
    pub process: Process,
    pub address: Address,
    /// What it writes; its standard output and errors last.
    pub logs: Vec<PathBuf>,
    recipe: Recipe,
    notify: Option<UnixDatagram>,
    keeper: Child,
    lifeline: Option<Lifeline>,
}

/// How it is started, and started again.
#[derive(Debug)]
struct Recipe {
    command: Command,
    output: PathBuf,
    ready: Ready,
    farewell: Signal,
    /// What its keeper unlinks.
    sockets: Vec<PathBuf>,
    user: Option<sys::User>,
    namespace: Option<OwnedFd>,
    disk: Option<sys::Disk>,
}

/// What a start gives.
struct Started {
    keeper: Child,
    lifeline: Lifeline,
    process: Option<Process>,
    notify: Option<UnixDatagram>,
}

impl Running {
    pub(crate) fn start(place: &Place<'_>, found: &Found) -> Result<Running> {
        let kind = place.hop.kind;
        let launch =
            kind.launch(place, found).with_context(|| format!("hop \"{}\"", place.name))?;
        let (mut command, mut logs) = (launch.command, launch.logs);
        let output = place.folder.join("output.log");
        logs.push(output.clone());
        for (name, value) in &place.subject.variables {
            set(&mut command, name, value);
        }
        command.envs(&place.hop.env);
        let mut sockets = place.also_unlinks.clone();
        if let Address::Unix(socket) = &place.listen {
            sockets.push(socket.clone());
            sockets.push(away(socket));
        }
        if launch.ready == Ready::Notify {
            let socket = place.folder.join("notify");
            command.env("NOTIFY_SOCKET", &socket);
            sockets.push(socket);
        } else {
            command.env_remove("NOTIFY_SOCKET");
        }
        let disk = match place.hop.disk {
            Some(bytes) => Some(sys::Disk::of(&place.folder.join("temp"), bytes)?),
            None => None,
        };
        let namespace = place.namespace.map(Namespace::descriptor).transpose()?;
        let (ready, farewell, user) = (launch.ready, kind.farewell(), kind.user()?);
        let recipe = Recipe { command, output, ready, farewell, sockets, user, namespace, disk };
        let Started { keeper, lifeline, process, notify } = recipe.start()?;
        let mut running = Running {
            name: place.name.clone(),
            of: place.hop.name.clone(),
            kind,
            version: found.version.clone(),
            // One that ended at once is found dead by who waits for it.
            process: process.unwrap_or(Process { pid: keeper.id() as i32, started: 0 }),
            address: place.listen.clone(),
            logs,
            recipe,
            notify,
            keeper,
            lifeline: Some(lifeline),
        };
        if process.is_none() {
            return Err(running.ended("ended at once"));
        }
        Ok(running)
    }

    /// Until it can be used; at once an error when it ends instead, with what it said.
    pub(crate) async fn until_ready(&mut self, place: &Place<'_>) -> Result<()> {
        let mut last = String::new();
        let first_page = place.subject.application.first_page().to_owned();
        let address = self.address.clone();
        let notify = self.notify.take();
        let authority = place.tls.map(|tls| tls.authority.as_path());
        let probe = Probe { address: &address, namespace: place.namespace, authority };
        let becoming = async {
            match (self.recipe.ready, notify) {
                (Ready::Notify, Some(notify)) => {
                    notified(notify).await;
                    // HAProxy says so before it would hear what it is told.
                    self.process.hears(self.kind.stop()).await;
                }
                (Ready::Postgresql { user, database }, _) => {
                    probe.until_postgresql_lets_in(user, database, &mut last).await;
                }
                (Ready::Says { words, times }, _) => self.until_it_says(words, times).await,
                (Ready::Http, _) => probe.until_it_answers(&first_page, &mut last).await,
                _ => probe.until_it_accepts(&mut last).await,
            }
        };
        let process = self.process;
        let became = tokio::select! {
            became = tokio::time::timeout(PATIENCE, becoming) => became,
            () = process.gone() => return Err(self.ended("ended while it was starting")),
        };
        became.map_err(|_| {
            let seconds = PATIENCE.as_secs();
            let what = format!("does not answer at {} within {seconds} s", self.address);
            self.failure(&what, &last)
        })
    }

    /// That it did so, and how.
    fn ended(&mut self, what: &str) -> anyhow::Error {
        // Its keeper ends like it, once everything else that came from it has ended, too.
        self.cut();
        let code = self.keeper.wait().ok().and_then(|status| status.code());
        let how = match code {
            Some(code) if code > 128 => {
                Signal::try_from(code - 128).map_or("signal", Signal::as_str).to_owned()
            }
            Some(code) => format!("exit code {code}"),
            None => "its keeper, too".to_owned(),
        };
        self.failure(&format!("{what} ({how})"), "")
    }

    async fn until_it_says(&self, words: &str, times: usize) {
        let mut tick = tokio::time::interval(Duration::from_millis(25));
        while self.log().matches(words).count() < times {
            tick.tick().await;
        }
    }

    /// What it said last, and the sentence in it that names the error.
    fn failure(&self, what: &str, last: &str) -> anyhow::Error {
        let lines = self.last_lines(20);
        // The last line of a traceback names the error.
        let error = lines.iter().rev().find(|line| line.contains("Error")).cloned();
        let error = error.unwrap_or_else(|| last.to_owned());
        let colon = if error.is_empty() { "" } else { ": " };
        let said: String = lines.iter().map(|line| format!("\n    {line}")).collect();
        anyhow!(
            "hop \"{}\" ({}) {what}{colon}{error}\n  its last lines:{said}",
            self.name,
            self.kind.name()
        )
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// The last lines of each of its logs.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        self.logs.iter().flat_map(|log| last_lines(log, count)).collect()
    }

    /// Everything it wrote.
    pub fn log(&self) -> String {
        let texts = self.logs.iter().map(|log| std::fs::read(log).unwrap_or_default());
        texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// Lets it finish what it has begun. What does not end is ended, and that is an error.
    pub async fn stop(&mut self) -> Result<()> {
        self.signal(self.kind.stop());
        let ended = self.process.gone_within(GRACE).await;
        self.end();
        if !ended {
            bail!(
                "hop \"{}\" did not end within {} s of {}",
                self.name,
                GRACE.as_secs(),
                self.kind.stop()
            );
        }
        Ok(())
    }

    /// Starts it once more in its place, whatever is left of it ended first. Nobody waits until it can be
    /// used.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.end();
        let Started { keeper, lifeline, process, notify } = self.recipe.start()?;
        (self.keeper, self.lifeline, self.notify) = (keeper, Some(lifeline), notify);
        self.process = process.unwrap_or(Process { pid: self.keeper.id() as i32, started: 0 });
        if process.is_none() {
            return Err(self.failure("ended at once", ""));
        }
        Ok(())
    }

    /// Its own: configuration, logs.
    pub fn folder(&self) -> &Path {
        self.recipe.output.parent().expect("its output lies in its folder")
    }

    /// Those of its processes that answer requests, the oldest first.
    pub fn workers(&self) -> Vec<Process> {
        let children = self.process.children().into_iter();
        children.filter(|child| self.kind.works(*child)).collect()
    }

    /// Ends it at once, with everything that came from it.
    pub fn end(&mut self) {
        self.cut();
        // The keeper waits for the last of them.
        let _ = self.keeper.wait();
    }

    /// The same, without waiting for its end.
    pub(crate) fn cut(&mut self) {
        drop(self.lifeline.take());
    }
}

impl Recipe {
    fn start(&self) -> Result<Started> {
        let mut command = copy(&self.command);
        let file = File::options().create(true).append(true).open(&self.output)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let named = command.get_envs().find(|(name, _)| *name == "NOTIFY_SOCKET");
        let notify = match named.and_then(|(_, socket)| socket) {
            Some(socket) => {
                let notify = UnixDatagram::bind(socket)?;
                notify.set_nonblocking(true)?;
                Some(notify)
            }
            None => None,
        };
        let (keeper, lifeline) = Keeper::new(When::TheLifelineEnds, self.farewell, &self.sockets)?;
        // Before the keeper, which then is in it as well.
        if let Some(namespace) = &self.namespace {
            sys::enter(&mut command, namespace.try_clone()?);
        }
        if let Some(disk) = &self.disk {
            sys::mount(&mut command, disk.clone());
        }
        sys::keep(&mut command, keeper, self.user);
        let program = Path::new(command.get_program()).display().to_string();
        let keeper = command.spawn().with_context(|| format!("cannot start \"{program}\""))?;
        let process =
            Process::of(keeper.id() as i32).and_then(|keeper| keeper.children().first().copied());
        Ok(Started { keeper, lifeline, process, notify })
    }
}

/// The same command, not yet started: one that was started has its keeper in it.
fn copy(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        copy.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Variables of the application's go before the server's own, but for where packages are: both need theirs.
fn set(command: &mut Command, name: &str, value: &str) {
    let theirs = command.get_envs().find(|(known, _)| *known == name);
    let mut value = OsString::from(value);
    if let (Some((_, Some(theirs))), "PYTHONPATH") = (theirs, name) {
        value.push(":");
        value.push(theirs);
    }
    command.env(name, value);
}

async fn notified(notify: UnixDatagram) {
    let Ok(notify) = tokio::net::UnixDatagram::from_std(notify) else { return };
    let mut message = [0; 4096];
    loop {
        let Ok(length) = notify.recv(&mut message).await else { return };
        if message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
            return;
        }
    }
}

pub fn last_lines(log: &Path, count: usize) -> Vec<String> {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}
