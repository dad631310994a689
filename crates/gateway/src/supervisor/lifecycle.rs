//! This process among others: who started it and with what, who it runs as, who is told how it is, and
//! which master comes before or after it. What of that has to be done when, in order; how, is in the
//! modules it calls.

use std::{
    cell::Cell,
    io,
    path::{Path, PathBuf},
    rc::Rc,
};

use tokio::process::Command;

use super::{
    census::Listening,
    listeners::{self, Listeners},
    reexec::{self, Inheritance, Origin},
};
use crate::{
    control_socket::{self, Answering, ControlSocket},
    daemon::{self, Side, Terminal},
    gateway::Gateway,
    listen::{Listener, Queue},
    log::Log,
    pid_file::{self, PidFile},
    privileges::Identity,
    settings::{Address, Destination, Settings, Source},
    systemd::Notifier,
};

pub(super) struct Lifecycle {
    origin: Origin,
    pub(super) inheritance: Inheritance,
    notifier: Option<Notifier>,
    /// Whom to become once everything is open.
    identity: Option<Identity>,
    pid_file: Option<PidFile>,
    control: Option<Control>,
    /// The master that USR2 started, as long as it lives.
    successor: Rc<Cell<Option<u32>>>,
    is_ready: Cell<bool>,
}

enum Control {
    Open(ControlSocket),
    /// Closed when it is dropped.
    Answering { _until_dropped: Answering },
}

impl Lifecycle {
    /// Before there is a thread, and before anything of ours is opened.
    pub(super) fn begin() -> Result<Lifecycle, String> {
        let (origin, inheritance) = reexec::remember()?;
        Ok(Lifecycle {
            origin,
            inheritance,
            notifier: Notifier::from_environment()?,
            identity: None,
            pid_file: None,
            control: None,
            successor: Rc::default(),
            is_ready: Cell::new(false),
        })
    }

    /// To the background, if that is wanted. A master that another one started is there already, and
    /// systemd watches the process it started.
    pub(super) fn settle(&mut self, settings: &Settings) -> Result<Side, String> {
        self.identity = Identity::wanted(settings)?;
        if settings.daemon && self.inheritance.parent.is_none() && self.notifier.is_none() {
            return daemon::detach().map_err(|error| format!("--daemon: {error}"));
        }
        Ok(Side::Daemon(Terminal::default()))
    }

    pub(super) fn write_pid_file(&mut self, settings: &Settings) -> Result<(), String> {
        let wanted = settings.pid.as_deref().map(|path| self.pid_path(path));
        self.pid_file = match wanted.as_deref().map(PidFile::create).transpose() {
            Ok(created) => created,
            // The folder is root's, who we were when the first one was written. It becomes ours when
            // the one before us leaves.
            Err(_) if self.inheritance.parent.is_some() && !nix::unistd::Uid::effective().is_root() => None,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    fn pid_path(&self, path: &Path) -> PathBuf {
        let mut path = path.as_os_str().to_owned();
        if self.inheritance.parent.is_some() {
            path.push(".2");
        }
        path.into()
    }

    /// What was made so far belongs to whom we become.
    pub(super) fn give_files(&self, settings: &Settings) -> Result<(), String> {
        let file = |destination: &Destination| match destination {
            Destination::File(path) => Some(path.clone()),
            Destination::Standard => None,
        };
        let access = settings.access_logfile.as_ref().and_then(file);
        let pid_file = self.pid_file.as_ref().map(|file| file.path().to_owned());
        for path in file(&settings.error_logfile).into_iter().chain(access).chain(pid_file) {
            self.give(&path)?;
        }
        Ok(())
    }

    fn give(&self, path: &Path) -> Result<(), String> {
        let Some(identity) = &self.identity else { return Ok(()) };
        let given = identity.give(path);
        given.map_err(|error| format!("\"{}\" can not be given away: {error}", path.display()))
    }

    /// Everything that root opens is open. From here on nothing of us is root.
    pub(super) fn opened(
        &mut self,
        gateway: &Gateway,
        listeners: &[(Address, Listener)],
    ) -> Result<(), String> {
        let (log, settings) = (&gateway.log, gateway.settings());
        let is_first = self.inheritance.parent.is_none();
        let typed = |name| {
            let chosen = gateway.census.chosen.borrow();
            chosen.iter().any(|chosen| chosen.name == name && chosen.source != Source::Default)
        };
        if self.inheritance.is_activated && is_first && typed("bind") {
            listeners::compare(listeners, &settings, log);
        }
        if settings.daemon && self.notifier.is_some() {
            log.warning("--daemon is ignored: systemd (NOTIFY_SOCKET) watches the process it started");
        }
        if is_first {
            self.open_control_socket(&settings, log);
        }
        for (_, listener) in listeners {
            if let Some(path) = &listener.path {
                self.give(path.path())?;
            }
        }
        if let Some(identity) = &self.identity {
            identity.assume().map_err(|error| format!("can not run as {identity}: {error}"))?;
            log.info(format_args!("Running as {identity}"));
        }
        Ok(())
    }

    fn open_control_socket(&mut self, settings: &Settings, log: &Log) {
        self.control = match control_socket::open(settings) {
            None => None,
            Some(Ok(socket)) => Some(Control::Open(socket)),
            Some(Err(error)) => {
                log.warning(format_args!("no control socket at {error}"));
                None
            }
        };
    }

    fn answer_control_socket(&mut self, gateway: &Rc<Gateway>) {
        let Some(Control::Open(socket)) = self.control.take() else { return };
        match socket.answer(gateway) {
            Ok(answering) => self.control = Some(Control::Answering { _until_dropped: answering }),
            Err(error) => gateway.log.warning(format_args!("no control socket: {error}")),
        }
    }

    /// Whoever connects is accepted.
    pub(super) fn listening(&mut self, gateway: &Rc<Gateway>, listeners: &Listeners) {
        publish(gateway, listeners);
        self.answer_control_socket(gateway);
        self.say_status(gateway, "No worker is ready yet");
        if let Some(each) = self.notifier.as_ref().and_then(Notifier::watchdog) {
            let notifier = Notifier::from_environment();
            tokio::task::spawn_local(async move {
                let Ok(Some(notifier)) = notifier else { return };
                let mut ticks = tokio::time::interval(each);
                loop {
                    ticks.tick().await;
                    // Should it be missed, that is what the watchdog is for.
                    let _ = notifier.alive();
                }
            });
        }
        if gateway.settings().workers == 0 {
            self.serving(gateway, listeners);
        }
    }

    /// Somebody can answer.
    pub(super) fn serving(&self, gateway: &Gateway, listeners: &Listeners) {
        if !self.is_ready.replace(true) {
            self.tell(gateway, Notifier::ready);
        }
        self.say_status(gateway, &format!("Serving at {}", listeners.shown()));
    }

    pub(super) fn say_status(&self, gateway: &Gateway, status: &str) {
        self.tell(gateway, |notifier| notifier.status(status));
    }

    fn tell(&self, gateway: &Gateway, what: impl FnOnce(&Notifier) -> io::Result<()>) {
        if let Some(Err(error)) = self.notifier.as_ref().map(what) {
            gateway.log.warning(format_args!("systemd could not be told: {error}"));
        }
    }

    /// USR2.
    pub(super) fn upgrade(&self, gateway: &Rc<Gateway>, listeners: &Listeners) {
        let log = &gateway.log;
        if self.successor.get().is_some() {
            return log.warning("USR2 signal ignored. Child exists.");
        }
        if self.inheritance.parent.is_some() {
            return log.warning("USR2 signal ignored. Parent exists.");
        }
        let spawned = listeners.descriptors().and_then(|sockets| {
            let command = self.origin.successor(sockets, self.inheritance.is_activated);
            Command::from(command).spawn()
        });
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                return log.error(format_args!(
                    "no new master can be started, this one serves on: {error}"
                ));
            }
        };
        self.successor.set(child.id());
        log.info(format_args!("New master with pid: {}", child.id().unwrap_or_default()));
        let (gateway, successor) = (Rc::clone(gateway), Rc::clone(&self.successor));
        tokio::task::spawn_local(async move {
            let ended = child.wait().await;
            let pid = successor.take().unwrap_or_default();
            match ended {
                Ok(status) if status.success() => {
                    gateway.log.info(format_args!("New master (pid:{pid}) has left"));
                }
                Ok(status) => gateway.log.error(format_args!(
                    "New master (pid:{pid}) ended with {status}, this one serves on; why, it has logged"
                )),
                Err(error) => gateway.log.error(format_args!("New master (pid:{pid}): {error}")),
            }
        });
    }

    /// Once the master before us has left, we are the one.
    pub(super) fn look_for_parent(&mut self, gateway: &Rc<Gateway>, listeners: &mut Listeners) {
        if !self.inheritance.parent_has_gone() {
            return;
        }
        self.inheritance.parent = None;
        gateway.log.info("Master has been promoted.");
        self.move_pid_file(gateway);
        if !self.inheritance.is_activated {
            listeners.claim();
        }
        self.open_control_socket(&gateway.settings(), &gateway.log);
        self.answer_control_socket(gateway);
        let pid = std::process::id();
        self.tell(gateway, |notifier| notifier.main_process(pid));
        if self.is_ready.get() {
            self.tell(gateway, Notifier::ready);
        }
    }

    /// Where the settings in force want it.
    pub(super) fn move_pid_file(&mut self, gateway: &Gateway) {
        let wanted = gateway.settings().pid.as_deref().map(|path| self.pid_path(path));
        if let Err(error) = pid_file::change(&mut self.pid_file, wanted.as_deref()) {
            gateway.log.error(error);
        }
    }

    /// We leave. Says who takes what waits in the sockets' queues.
    pub(super) fn stopping(&mut self, gateway: &Gateway) -> Queue {
        self.control = None;
        match (self.successor.get(), self.inheritance.parent) {
            (Some(successor), _) => {
                self.tell(gateway, |notifier| notifier.main_process(successor));
                Queue::Shared
            }
            (None, Some(_)) => Queue::Shared,
            (None, None) => {
                self.tell(gateway, Notifier::stopping);
                Queue::Ours
            }
        }
    }
}

/// For those who ask what is listened on.
pub(super) fn publish(gateway: &Gateway, listeners: &Listeners) {
    let facts = listeners.facts();
    let facts = facts.map(|(shown, kind, number)| Listening { shown: shown.to_owned(), kind, number });
    *gateway.census.listeners.borrow_mut() = facts.collect();
}
