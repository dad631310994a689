//! The loop: what happens becomes an event, the fleet says what must be done, and it is done.
//!
//! It never reads a request and never waits for one. What there is to decide is decided in
//! `fleet.rs`; here are the processes, the listeners and the clock.

mod census; // what others may ask
mod child; // one worker process
pub(crate) mod fleet; // who should live
mod inbox; // what has to be heard of
mod listeners; // what connections come in by
mod lifecycle; // the process among others: systemd, a master before or after it, its files
mod reexec; // another master, with our sockets
mod signals; // gunicorn's, as events

use std::{
    cell::RefCell,
    collections::HashMap,
    env,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use causeway_app_host::HostOptions;
use nix::{
    sys::{
        prctl,
        signal::{self, Signal},
    },
    unistd::Pid,
};
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::watch,
    task::JoinHandle,
    time::MissedTickBehavior,
};

pub(crate) use census::Census;
use child::{Nursery, Started};
pub(crate) use fleet::{Ended, Event, WorkerId};
use fleet::{Fleet, Order};
pub(crate) use inbox::Inbox;
use lifecycle::Lifecycle;
use listeners::{Inherited, Listeners, Opened};

use crate::{
    access_log::{self, AccessLog},
    daemon::{Side, Terminal},
    front::Connections,
    gateway::{Budget, Gateway},
    listen::Doors,
    log::Log,
    pool::{Pool, Worker},
    reloader::{self, Reloader},
    settings::{Level, Mode, Settings, Settled, Sources},
};

/// How often deadlines are looked at. No request sets a timer of its own.
const TICK: Duration = Duration::from_millis(250);
/// Bodies of all requests and answers together, in memory.
const MEMORY: usize = 256 * 1024 * 1024;

/// gunicorn's codes: 0 after a stop, 1 for what is wrong with the settings, 3 and 4 for workers that
/// can not start.
pub fn run(sources: Sources) -> ExitCode {
    let terminal = &mut Terminal::default();
    match serve(sources, terminal) {
        Ok(code) => {
            terminal.tell(code, None);
            ExitCode::from(code)
        }
        Err(message) => {
            if !terminal.tell(1, Some(&message)) {
                use std::io::Write as _;
                let _ = writeln!(std::io::stderr(), "Error: {message}");
            }
            ExitCode::from(1)
        }
    }
}

fn serve(sources: Sources, terminal: &mut Terminal) -> Result<u8, String> {
    let mode = sources.mode();
    let mut lifecycle = Lifecycle::begin()?;
    let environment = |name: &str| env::var(name).ok();
    if sources.config().is_some() {
        return Err("gunicorn.conf.py is not read yet".to_owned());
    }
    let Settled { settings, chosen } =
        sources.settle(None, &environment).map_err(|error| error.to_string())?;
    if mode == Mode::Print {
        use std::io::Write as _;
        let _ = std::io::stdout().write_all(crate::settings::print(&chosen).as_bytes());
    }
    if mode == Mode::Serve {
        match lifecycle.settle(&settings)? {
            Side::Foreground(code) => return Ok(code),
            Side::Daemon(detached) => *terminal = detached,
        }
    }
    let readable = |error: std::io::Error| error.to_string();
    let log = Log::open(&settings.error_logfile, settings.log_level).map_err(readable)?;
    let access = match &settings.access_logfile {
        Some(file) if mode == Mode::Serve => {
            Some(AccessLog::open(file, &settings.access_logformat).map_err(readable)?)
        }
        _ => None,
    };
    terminal.silence().map_err(readable)?;
    let nursery = nursery(&settings)?;
    log.info(format_args!("Starting causeway-gateway {}", env!("CARGO_PKG_VERSION")));
    let mut inherited = None;
    if mode == Mode::Serve {
        lifecycle.write_pid_file(&settings)?;
        lifecycle.give_files(&settings)?;
        inherited = listeners::inherit(&settings, &mut lifecycle.inheritance, &log);
        if inherited.is_none() {
            return Ok(1);
        }
    }
    if let Some(name) = &settings.name {
        let name = std::ffi::CString::new(name.as_bytes()).map_err(|_| "--name has a NUL in it")?;
        prctl::set_name(&name).map_err(|error| format!("--name: {error}"))?;
    }
    let inbox = Rc::new(Inbox::default());
    let target = if mode == Mode::Serve { settings.workers } else { 1 };
    let fleet = Fleet::new(target, settings.graceful_timeout);
    let gateway = Rc::new(Gateway {
        log,
        access,
        pool: Pool::new(Rc::clone(&inbox)),
        inbox,
        connections: Connections::new(),
        memory: Rc::new(Budget::new(MEMORY)),
        census: Census::new(chosen),
        reloader: Reloader::default(),
        dropped_names: RefCell::default(),
        script_name: env::var("SCRIPT_NAME").unwrap_or_default().into_bytes(),
        settings: RefCell::new(Rc::new(settings)),
    });
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(readable)?;
    let code = runtime.block_on(async {
        let supervisor = Supervisor {
            gateway: Rc::clone(&gateway),
            fleet,
            nursery,
            mode,
            children: HashMap::new(),
            listeners: Listeners::default(),
            lifecycle,
        };
        supervisor.run(inherited, terminal).await
    });
    drop(runtime);
    if let Some(access) = &gateway.access {
        access.flush();
    }
    code
}

fn nursery(settings: &Settings) -> Result<Nursery, String> {
    let library = causeway_app_host::library()
        .ok_or("libcauseway_app_host.so is neither beside this program nor in deps/ there")?;
    let options = HostOptions {
        application: settings.application.clone(),
        threads: settings.threads,
        // None to begin with: TTIN may bring one.
        processes: settings.workers.max(1),
        chdir: settings.chdir.clone(),
        pythonpath: settings.pythonpath.clone(),
        bind: None,
    };
    Ok(Nursery { python: python(settings), library, options })
}

/// The interpreter whose packages the operator means.
fn python(settings: &Settings) -> PathBuf {
    let beside = |program: &Path| Some(program.parent()?.join("python3"));
    let environment =
        env::var_os("VIRTUAL_ENV").map(|folder| Path::new(&folder).join("bin/python"));
    let neighbour = env::current_exe().ok().and_then(|program| beside(&program));
    settings
        .python
        .clone()
        .or_else(|| environment.filter(|python| python.exists()))
        .or_else(|| neighbour.filter(|python| python.exists()))
        .unwrap_or_else(|| PathBuf::from("python3"))
}

struct Child {
    pid: u32,
    /// Held open for as long as this process lives.
    _lifeline: OwnedFd,
}

struct Supervisor {
    gateway: Rc<Gateway>,
    fleet: Fleet,
    nursery: Nursery,
    mode: Mode,
    children: HashMap<WorkerId, Child>,
    listeners: Listeners,
    lifecycle: Lifecycle,
}

impl Supervisor {
    async fn run(
        mut self,
        inherited: Option<Inherited>,
        terminal: &Terminal,
    ) -> Result<u8, String> {
        let gateway = Rc::clone(&self.gateway);
        signals::watch(&gateway, &gateway.inbox)
            .map_err(|error| format!("signals can not be watched: {error}"))?;
        let opened = match inherited {
            None => Opened::All(Vec::new()),
            Some(inherited) => {
                listeners::open(inherited, &gateway.settings(), &gateway.log, &gateway.inbox).await
            }
        };
        let listeners = match opened {
            Opened::All(listeners) => listeners,
            Opened::Failed => return Ok(1),
            Opened::Stopped => {
                gateway.log.info("Shutting down: Master");
                return Ok(0);
            }
        };
        if self.mode == Mode::Serve {
            let kind = if gateway.settings().threads > 1 { "gthread" } else { "sync" };
            gateway.log.info(format_args!("Using worker: {kind}"));
        }
        if self.mode == Mode::Serve {
            self.lifecycle.opened(&gateway, &listeners)?;
        }
        self.listeners
            .accept(&gateway, listeners)
            .map_err(|error| format!("sockets can not be kept: {error}"))?;
        if self.mode == Mode::Serve {
            self.lifecycle.listening(&gateway, &self.listeners);
            terminal.tell(0, None);
            // A daemon's streams lead nowhere from here on.
            gateway.log.reopen();
            tokio::task::spawn_local(reloader::watch(Rc::clone(&gateway)));
        }
        tokio::task::spawn_local(access_log::keep_writing(Rc::clone(&gateway)));
        gateway.inbox.put(Event::Start);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                biased;
                event = gateway.inbox.take() => event,
                () = gateway.connections.emptied() => Event::Quiet,
                _ = ticks.tick() => {
                    self.sweep();
                    self.lifecycle.look_for_parent(&gateway, &mut self.listeners);
                    Event::Tick
                }
            };
            if event == Event::Tick && !self.fleet.needs_ticks() {
                continue;
            }
            let mut events = vec![event];
            if self.mode != Mode::Serve && matches!(events[0], Event::Ready(_)) {
                // It can be imported. That was the question.
                events.extend([Event::Terminate, Event::Quiet]);
            }
            for event in events {
                self.see(&event);
                for order in self.fleet.on(event, Instant::now()) {
                    if let Order::Exit(code) = order {
                        let code = if self.mode == Mode::Serve { code } else { code.min(1) };
                        return Ok(code);
                    }
                    self.carry_out(order).await;
                }
                gateway.census.target.set(self.fleet.target());
            }
        }
    }

    fn sweep(&self) {
        let (gateway, now) = (&self.gateway, Instant::now());
        gateway.connections.sweep(now);
        let Some(timeout) = gateway.settings().timeout else { return };
        for (worker, requests) in gateway.pool.stuck(timeout, now) {
            let (pid, requests) = (worker.pid, requests.join(", "));
            let message = format!(
                "WORKER TIMEOUT (pid:{pid}) silent for {}s over {requests}",
                timeout.as_secs()
            );
            gateway.log.say(Level::Critical, message);
            gateway.inbox.put(Event::Stuck(worker.id));
        }
    }

    /// What an event means to the pool and to the log.
    fn see(&mut self, event: &Event) {
        let gateway = &self.gateway;
        match event {
            Event::Ready(worker) => {
                if let Some(child) = self.children.get(worker) {
                    gateway.log.debug(format_args!("Worker ready (pid: {})", child.pid));
                }
                gateway.pool.ready(*worker);
                self.lifecycle.serving(gateway, &self.listeners);
            }
            Event::Upgrade => self.lifecycle.upgrade(gateway, &self.listeners),
            Event::Hangup => census::count(&gateway.census.reloads),
            Event::Used(worker) => {
                if let Some(child) = self.children.get(worker) {
                    gateway.log.info(format_args!(
                        "Worker (pid:{}) has answered --max-requests and is replaced",
                        child.pid
                    ));
                }
            }
            Event::Exited { worker, end } => {
                let Some(child) = self.children.remove(worker) else { return };
                let held = gateway.pool.find(*worker).map(|it| it.in_hand()).unwrap_or_default();
                gateway.pool.remove(*worker, *end);
                let pid = child.pid;
                let held = match held.len() {
                    0 => String::new(),
                    _ => format!(" It held {}", held.join(", ")),
                };
                match end {
                    Ended::Code(0) => gateway.log.info(format_args!("Worker exiting (pid: {pid})")),
                    Ended::Code(code) => gateway
                        .log
                        .error(format_args!("Worker (pid:{pid}) exited with code {code}.{held}")),
                    Ended::Signal(number) => {
                        let name = Signal::try_from(*number)
                            .map_or_else(|_| number.to_string(), |signal| signal.to_string());
                        let message = format!("Worker (pid:{pid}) was sent {name}!{held}");
                        let level = match *number {
                            nix::libc::SIGTERM | nix::libc::SIGQUIT => Level::Info,
                            _ => Level::Error,
                        };
                        gateway.log.say(level, message);
                    }
                }
            }
            _ => (),
        }
    }

    async fn carry_out(&mut self, order: Order) {
        let gateway = &self.gateway;
        match order {
            Order::Spawn(worker) => self.spawn(worker),
            Order::Retire(worker) => gateway.pool.retire(worker),
            Order::Kill(worker, signal) => {
                if let Some(child) = self.children.get(&worker) {
                    if matches!(signal, Signal::SIGKILL | Signal::SIGABRT) {
                        census::count(&gateway.census.killed);
                    }
                    // It may have gone a moment ago.
                    let _ = signal::kill(Pid::from_raw(child.pid.cast_signed()), signal);
                }
            }
            Order::StopListening => {
                let queue = self.lifecycle.stopping(gateway);
                self.listeners.close(queue).await;
                gateway.connections.stop(Instant::now());
            }
            Order::SetDoors(doors) => {
                self.listeners.set_doors(doors);
                match doors {
                    Doors::Open => gateway.connections.resume(),
                    Doors::Shut | Doors::Closed(_) => gateway.connections.stop(Instant::now()),
                }
            }
            Order::Reopen => {
                gateway.log.reopen();
                if let Some(Err(error)) = gateway.access.as_ref().map(AccessLog::reopen) {
                    gateway.log.error(format_args!("access log not reopened: {error}"));
                }
                // Each writes to the error log by a descriptor of its own.
                for child in self.children.values() {
                    let _ = signal::kill(Pid::from_raw(child.pid.cast_signed()), Signal::SIGUSR1);
                }
            }
            Order::Unavailable(reason) => {
                if let Some(reason) = &reason {
                    self.lifecycle.say_status(gateway, reason);
                }
                gateway.pool.set_unavailable(reason);
            }
            Order::Say(level, message) => gateway.log.say(level, message),
            Order::Exit(_) => unreachable!("the loop ends with it"),
        }
    }

    fn spawn(&mut self, worker: WorkerId) {
        let gateway = &self.gateway;
        let settings = gateway.settings();
        match self.nursery.spawn(worker, &settings, &gateway.inbox) {
            Ok(Started { pid, socket, lifeline }) => {
                gateway.log.info(format_args!("Booting worker with pid: {pid}"));
                census::count(&gateway.census.spawned);
                let most = settings
                    .max_requests
                    .map(|most| most + fastrand::u64(0..=settings.max_requests_jitter));
                let worker_entry = Worker::new(worker, pid, socket, settings.threads, most);
                gateway.pool.add(Rc::new(worker_entry));
                self.children.insert(worker, Child { pid, _lifeline: lifeline });
            }
            Err(error) => {
                let reason = error.to_string();
                gateway.inbox.put(Event::Refused { worker, code: 3, reason });
                gateway.inbox.put(Event::Exited { worker, end: Ended::Code(3) });
            }
        }
    }
}
