//! This process among others: who started it and with what, who it runs as, who is told how it is, and
//! which master comes before or after it. What of that has to be done when, in order; how, is in the
//! modules it calls.

use std::{
    cell::Cell,
    io,
    path::{Path, PathBuf},
    rc::Rc,
};

use super::{
    census::Listening,
    fleet::Ended,
    hook,
    listeners::{self, Listeners},
    nursery::Nursery,
    reexec::{self, Inheritance, Origin},
};
use crate::{
    control_socket::{self, Answering, ControlSocket},
    gateway::Gateway,
    listen::{Listener, Queue},
    log::Log,
    pid_file::{self, PidFile},
    privileges::Identity,
    settings::{Address, Settings},
    systemd::Notifier,
};

pub(super) struct Lifecycle {
    origin: Rc<Origin>,
    pub(super) inheritance: Inheritance,
    /// Where to listen was said, and is not the default.
    pub(super) bind_was_asked_for: bool,
    notifier: Option<Notifier>,
    /// Whom to become once everything is open.
    identity: Option<Identity>,
    pid_file: Option<PidFile>,
    control: Option<Control>,
    successor: Rc<Cell<Successor>>,
    is_ready: Cell<bool>,
}

/// The master that USR2 starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Successor {
    #[default]
    None,
    /// `pre_exec` runs first.
    Coming,
    Running(u32),
}

/// What becomes of this process before anything is opened.
pub(super) struct Plan {
    pub(super) detaches: bool,
    /// Whom to become once everything is open.
    pub(super) identity: Option<Identity>,
}

enum Control {
    Open(ControlSocket),
    /// Closed when it is dropped.
    Answering {
        _until_dropped: Answering,
    },
}

impl Lifecycle {
    /// Before there is a thread, and before anything of ours is opened.
    pub(super) fn begin() -> Result<Lifecycle, String> {
        let (origin, inheritance) = reexec::remember()?;
        Ok(Lifecycle {
            origin: Rc::new(origin),
            inheritance,
            bind_was_asked_for: false,
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
    pub(super) fn plan(&mut self, settings: &Settings) -> Result<Plan, String> {
        self.identity = Identity::wanted(settings)?;
        let is_first = self.inheritance.parent.is_none();
        let detaches = settings.daemon && is_first && self.notifier.is_none();
        Ok(Plan { detaches, identity: self.identity.clone() })
    }

    /// Whether HUP may bring these settings: for another user it is too late.
    pub(super) fn may_become(settings: &Settings) -> Result<(), String> {
        match Identity::wanted(settings)? {
            None => Ok(()),
            Some(identity) => Err(format!("running as {identity} takes a restart")),
        }
    }

    /// gunicorn's, for its log lines.
    pub(super) fn name(&self) -> &'static str {
        if self.inheritance.parent.is_some() { "Master.2" } else { "Master" }
    }

    pub(super) fn write_pid_file(&mut self, settings: &Settings, log: &Log) -> Result<(), String> {
        let wanted = settings.pid.as_deref().map(|path| self.pid_path(path));
        self.pid_file = match wanted.as_deref().map(PidFile::create).transpose() {
            Ok(created) => created,
            // The folder may be root's, who we were when the first one was written. That one is ours
            // as soon as the master before us leaves.
            Err(error)
                if self.inheritance.parent.is_some()
                    && !nix::unistd::Uid::effective().is_root() =>
            {
                log.warning(error);
                None
            }
            Err(error) => return Err(error),
        };
        self.pid_file.as_ref().map_or(Ok(()), |file| self.give(file.path()))
    }

    fn pid_path(&self, path: &Path) -> PathBuf {
        let mut path = path.as_os_str().to_owned();
        if self.inheritance.parent.is_some() {
            path.push(".2");
        }
        path.into()
    }

    /// Logs belong to whom we become, who opens them anew; and to the nursery, who is them already.
    pub(super) fn give_logs(&self, log: &Log) -> Result<(), String> {
        let Some(identity) = &self.identity else { return Ok(()) };
        let (user, group) = identity.owner();
        log.give_to(Some(user), Some(group))
            .map_err(|error| format!("logs can not be given away: {error}"))
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
        if self.inheritance.is_activated && is_first && self.bind_was_asked_for {
            listeners::compare(listeners, &settings, log);
        }
        if settings.daemon && self.notifier.is_some() {
            log.warning(
                "--daemon is ignored: systemd (NOTIFY_SOCKET) watches the process it started",
            );
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

    /// HUP was heard; `reloaded` says that it is over, whatever came of it.
    pub(super) fn reloading(&self, gateway: &Gateway) {
        if self.is_ready.get() {
            self.tell(gateway, Notifier::reloading);
        }
    }

    pub(super) fn reloaded(&self, gateway: &Gateway) {
        if self.is_ready.get() {
            self.tell(gateway, Notifier::ready);
        }
    }

    /// USR2.
    pub(super) fn upgrade(
        &self,
        gateway: &Rc<Gateway>,
        listeners: &Listeners,
        nursery: Option<Rc<Nursery>>,
    ) {
        let log = &gateway.log;
        if self.successor.get() != Successor::None {
            return log.warning("USR2 signal ignored. Child exists.");
        }
        if self.inheritance.parent.is_some() {
            return log.warning("USR2 signal ignored. Parent exists.");
        }
        let failed = |error: io::Error| format!("No new master, this one serves on: {error}");
        let sockets = match listeners.descriptors() {
            Ok(sockets) => sockets,
            Err(error) => return log.error(failed(error)),
        };
        self.successor.set(Successor::Coming);
        let (gateway, successor) = (Rc::clone(gateway), Rc::clone(&self.successor));
        let (origin, is_activated) = (Rc::clone(&self.origin), self.inheritance.is_activated);
        tokio::task::spawn_local(async move {
            if let Some(nursery) = nursery {
                // What it raises is in the log.
                let _ = nursery.ask(hook("pre_exec", &[])).await;
            }
            // Nobody waits for it here: it is reaped as every child is.
            match origin.successor(sockets, is_activated).spawn() {
                Ok(child) => {
                    gateway.log.info(format_args!("New master with pid: {}", child.id()));
                    successor.set(Successor::Running(child.id()));
                }
                Err(error) => {
                    gateway.log.error(failed(error));
                    successor.set(Successor::None);
                }
            }
        });
    }

    /// Whether it was our successor that has ended.
    pub(super) fn successor_ended(&self, gateway: &Gateway, pid: u32, end: Ended) -> bool {
        if self.successor.get() != Successor::Running(pid) {
            return false;
        }
        self.successor.set(Successor::None);
        match end {
            Ended::Code(0) => gateway.log.info(format_args!("New master (pid:{pid}) has left")),
            end => gateway.log.error(format_args!(
                "New master (pid:{pid}) {end}, this one serves on; its own lines say why"
            )),
        }
        true
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

    /// We leave, perhaps because of a failure. Says who takes what waits in the sockets' queues.
    pub(super) fn stopping(&mut self, gateway: &Gateway, failure: Option<&str>) -> Queue {
        self.control = None;
        if let Some(reason) = failure {
            self.say_status(gateway, reason);
        }
        match (self.successor.get(), self.inheritance.parent) {
            (Successor::Running(successor), _) => {
                self.tell(gateway, |notifier| notifier.main_process(successor));
                Queue::Shared
            }
            (Successor::None | Successor::Coming, Some(_)) => Queue::Shared,
            (Successor::None | Successor::Coming, None) => {
                self.tell(gateway, Notifier::stopping);
                Queue::Ours
            }
        }
    }
}

/// For those who ask what is listened on.
pub(super) fn publish(gateway: &Gateway, listeners: &Listeners) {
    let facts = listeners.facts();
    let facts =
        facts.map(|(shown, kind, number)| Listening { shown: shown.to_owned(), kind, number });
    *gateway.census.listeners.borrow_mut() = facts.collect();
}
