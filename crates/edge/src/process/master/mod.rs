//! The master: starts the worker, watches it, and does what signals say.
//!
//! One thread and one loop, in which everything is an answer to something that was read. A new
//! configuration is a new [`Generation`]: it takes over when its worker answers, and until then, or
//! if that worker fails, the one before it stays in force.

mod workers; // started, greeted, missed
mod reload; // another configuration

use std::{
    ops::ControlFlow::{self, Break, Continue},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
    unistd::Pid,
};

use super::{
    Identity, Waiting, identity, pidfile,
    signals::{Received, Signals},
};
use crate::{
    conf::ConfError,
    listen::{ListenAddress, Socket},
    load::{Config, Options},
    log::Level,
};

pub struct Master {
    options: Options,
    signals: Signals,
    current: Generation,
    /// Read, opened, and waiting for its worker to answer.
    next: Option<Generation>,
    workers: Vec<Worker>,
    waiting: Waiting,
    /// Where this process's number was written, once it was.
    pid_file: Option<PathBuf>,
    stopping: Option<Stop>,
    respawn: Respawn,
}

/// A configuration with its sockets.
#[derive(Clone)]
pub struct Generation {
    number: u64,
    pub config: Arc<Config>,
    pub sockets: Vec<Socket>,
}

struct Worker {
    pid: Pid,
    generation: u64,
    born: Instant,
    /// Until it has said that it answers.
    starting: Option<OwnedFd>,
    /// It was told to end.
    leaving: bool,
}

struct Stop {
    /// When what is left is killed; a graceful stop waits for ever.
    kill_at: Option<Instant>,
}

/// When a worker that died is replaced: at once, and then later each time it dies at once.
#[derive(Default)]
struct Respawn {
    at: Option<Instant>,
    pause: Duration,
    /// WINCH has sent the worker away.
    never: bool,
}

/// A worker that lived shorter than this has died at once.
const AT_ONCE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a fast stop may take before it is made faster.
const PATIENCE: Duration = Duration::from_secs(2);

/// The end of this process, where a function may be the one to reach it.
type Flow = ControlFlow<ExitCode>;

impl Generation {
    pub fn first(config: Arc<Config>, sockets: Vec<Socket>) -> Generation {
        Generation { number: 1, config, sockets }
    }

    /// Removes the files of unix sockets, but for those that are kept.
    fn close_paths(&self, keep: impl Fn(&ListenAddress) -> bool, tell: &dyn Fn(&str)) {
        let addresses = self.sockets.iter().map(|socket| &socket.address);
        remove_paths(addresses.filter(|address| !keep(address)), tell);
    }
}

/// Removes the files of unix sockets.
pub(super) fn remove_paths<'a>(
    addresses: impl IntoIterator<Item = &'a ListenAddress>,
    tell: &dyn Fn(&str),
) {
    for address in addresses {
        if let ListenAddress::Unix(path) = address
            && let Err(error) = std::fs::remove_file(path)
        {
            let name = format!("\"{}\"", path.display());
            tell(&ConfError::io("unlink()", &name, &error).to_string());
        }
    }
}

impl Master {
    pub fn new(options: Options, first: Generation, waiting: Waiting) -> std::io::Result<Master> {
        Ok(Master {
            options,
            signals: Signals::watch()?,
            current: first,
            next: None,
            workers: Vec::new(),
            waiting,
            pid_file: None,
            stopping: None,
            respawn: Respawn::default(),
        })
    }

    /// Runs until the server has ended; in a worker, until that has.
    pub fn run(mut self) -> ExitCode {
        self.log_start();
        let (soft, hard) = identity::descriptors();
        self.log(Level::Notice, &format!("getrlimit(RLIMIT_NOFILE): {soft}:{hard}"));
        self.log(Level::Notice, "start worker processes");
        loop {
            match self.turn() {
                Continue(()) => (),
                Break(code) => return code,
            }
        }
    }

    fn turn(&mut self) -> Flow {
        if self.workers.is_empty() {
            if self.stopping.is_some() {
                return Break(self.end(ExitCode::SUCCESS));
            }
            if self.pid_file.is_none() && self.respawn.at.is_none() {
                self.spawn(self.current.clone())?;
            }
        }
        self.wait();
        while let Some(received) = self.signals.next() {
            self.obey(received)?;
        }
        self.greet()?;
        let now = Instant::now();
        if self.respawn.at.is_some_and(|at| at <= now) {
            self.respawn.at = None;
            self.spawn(self.current.clone())?;
        }
        if let Some(Stop { kill_at }) = &mut self.stopping
            && kill_at.is_some_and(|at| at <= now)
        {
            *kill_at = None;
            self.tell(Signal::SIGKILL, |_| true);
        }
        Continue(())
    }

    /// Until a signal comes, a worker says that it answers, or something is due.
    fn wait(&self) {
        let due = [self.respawn.at, self.stopping.as_ref().and_then(|stop| stop.kill_at)];
        let due = due.into_iter().flatten().min();
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let pipes = self.workers.iter().filter_map(|worker| worker.starting.as_ref());
        let mut watched: Vec<_> = std::iter::once(self.signals.as_fd())
            .chain(pipes.map(AsFd::as_fd))
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // Interrupted or not: the caller looks at everything.
        let _interrupted = poll(&mut watched, timeout);
    }

    fn obey(&mut self, received: Received) -> Flow {
        let say = |action: &str| received.line(action);
        match received.signal {
            Signal::SIGCHLD => {
                self.log(Level::Notice, &say(""));
                self.reap()?;
            }
            Signal::SIGTERM | Signal::SIGINT => {
                self.log(Level::Notice, &say("exiting"));
                self.stop(Signal::SIGTERM, Some(Instant::now() + PATIENCE));
            }
            Signal::SIGQUIT => {
                self.log(Level::Notice, &say("shutting down"));
                self.stop(Signal::SIGQUIT, None);
            }
            Signal::SIGHUP => {
                self.log(Level::Notice, &say("reconfiguring"));
                if self.stopping.is_none() {
                    self.reload()?;
                }
            }
            Signal::SIGUSR1 => {
                self.log(Level::Notice, &say("reopening logs"));
                let owner = Identity::of(&self.current.config.main).map(|user| user.owner());
                if let Err(error) = self.current.config.files.open(owner) {
                    self.log(Level::Emerg, &error.to_string());
                }
                self.tell(Signal::SIGUSR1, |_| true);
            }
            Signal::SIGWINCH => {
                // As nginx: only of a daemon, since a terminal sends this when its size changes.
                if self.current.config.main.daemon() {
                    self.log(Level::Notice, &say("gracefully shutting down the worker"));
                    self.respawn = Respawn { never: true, ..Respawn::default() };
                    self.dismiss(Signal::SIGQUIT, |_| true);
                } else {
                    self.log(Level::Notice, &say(""));
                }
            }
            Signal::SIGUSR2 => {
                self.log(Level::Notice, &say("changing binary"));
                let message = "changing the binary (SIGUSR2): nginx has this; the edge does not \
                               yet. Stop it with SIGQUIT and start the new one";
                self.log(Level::Error, message);
            }
            _ => self.log(Level::Notice, &say("")),
        }
        Continue(())
    }

    fn stop(&mut self, signal: Signal, kill_at: Option<Instant>) {
        self.respawn.at = None;
        self.give_up_next();
        self.stopping = Some(Stop { kill_at });
        // Before the worker hears of it: whoever connects once the worker has stopped accepting
        // would otherwise wait in a queue that nobody empties, and be reset at the end.
        self.close();
        self.dismiss(signal, |_| true);
    }

    /// Nobody can connect any more but through the worker.
    fn close(&mut self) {
        self.current.close_paths(|_| false, &|error| self.log(Level::Alert, error));
        self.current.sockets.clear();
    }

    /// Leaves nothing behind.
    fn end(&mut self, code: ExitCode) -> ExitCode {
        if let Some(path) = self.pid_file.take() {
            self.remove_pid_file(&path);
        }
        self.close();
        self.log(Level::Notice, "exit");
        code
    }

    fn remove_pid_file(&self, path: &std::path::Path) {
        if let Err(error) = pidfile::remove(path) {
            self.log(Level::Alert, &error.to_string());
        }
    }

    fn log_start(&self) {
        self.log(Level::Notice, EPOLL);
        let version = env!("CARGO_PKG_VERSION");
        self.log(Level::Notice, &format!("{} (Causeway {version})", crate::SERVER_TOKEN));
        if let Ok(system) = nix::sys::utsname::uname() {
            let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
            let (name, release) = (text(system.sysname()), text(system.release()));
            self.log(Level::Notice, &format!("OS: {name} {release}"));
        }
    }

    fn log(&self, level: Level, message: &str) {
        self.current.config.error_log.write(level, None, message);
    }
}

const EPOLL: &str = "using the \"epoll\" event method";
