//! From the command line to the loop: the settings, with the nursery's help, then logs, then
//! everything that wants a runtime.

use std::{
    cell::RefCell,
    collections::HashMap,
    env,
    ffi::CString,
    io::{self, Write},
    process::ExitCode,
    rc::Rc,
    time::Instant,
};

use nix::sys::prctl;
use serde_json::json;
use tokio::runtime::{Builder, LocalOptions};

use super::{
    Census, Inbox, Supervisor,
    fate::OomKills,
    fleet::{BootFailure, Fleet},
    lifecycle::Lifecycle,
    listeners::{self, Listeners},
    memory::Memory,
    nursery::{Refusal, Seedling},
    overdue::Overdue,
    reap,
    reload::{Recipe, configure},
};
use crate::{
    daemon::{self, Side, Terminal},
    front::{Connections, tls},
    gateway::{Budget, Gateway},
    log::{self, Log},
    pool::Pool,
    settings::{self, Mode, Settings, SettingsError, Settled, Source, Sources},
};

/// Bodies of all requests and answers together, in memory.
const MEMORY: usize = 256 * 1024 * 1024;

/// gunicorn's codes: 0 after a stop, 1 for what is wrong with the settings, 2 for the command line, 3
/// and 4 for workers that can not start.
pub fn run(sources: Sources) -> ExitCode {
    let mut terminal = Terminal::default();
    let (code, message) = match serve(sources, &mut terminal) {
        Ok(code) => {
            terminal.tell(code, None);
            return ExitCode::from(code);
        }
        Err(Failure::Settings(error)) => (error.code(), error.to_string()),
        Err(Failure::Other(message)) => (1, format!("Error: {message}")),
    };
    if !terminal.tell(code, Some(message.trim_end())) {
        let _ = writeln!(io::stderr(), "{}", message.trim_end());
    }
    ExitCode::from(code)
}

enum Failure {
    Settings(SettingsError),
    Other(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure::Other(message)
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Failure {
        Failure::Settings(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Other(refusal.reason)
    }
}

fn serve(sources: Sources, terminal: &mut Terminal) -> Result<u8, Failure> {
    let lifecycle = Lifecycle::begin()?;
    reap::adopt_orphans()?;
    let recipe = Recipe::new(sources)?;
    let seedling = recipe.sow()?;
    let contents = seedling.read()?;
    let settled = recipe.settle(contents.as_ref())?;
    let terms = tls::Terms::read(&settled.settings)?;
    match settled.settings.mode {
        Mode::Serve => begin(recipe, seedling, settled, terms, lifecycle, terminal),
        Mode::Check => check(&seedling, &settled),
        Mode::Print => {
            let _ = io::stdout().write_all(settled.print().as_bytes());
            check(&seedling, &settled)
        }
    }
}

/// Whether one could serve: the application is imported, and that is all.
fn check(seedling: &Seedling, settled: &Settled) -> Result<u8, Failure> {
    let mut question = configure(settled);
    // Whoever checks may not write where the service does, and reads on the terminal.
    question["logging"] = log::describe(&log::on_standard_error(&settled.settings));
    seedling.ask(&question)?;
    match seedling.ask(&json!({"do": "preload"})) {
        Ok(_) => Ok(0),
        Err(refusal) => Err(refusal.in_words().into()),
    }
}

fn begin(
    mut recipe: Recipe,
    mut seedling: Seedling,
    mut settled: Settled,
    terms: tls::Terms,
    mut lifecycle: Lifecycle,
    terminal: &mut Terminal,
) -> Result<u8, Failure> {
    let readable = |error: io::Error| error.to_string();
    let plan = lifecycle.plan(&settled.settings)?;
    if plan.detaches {
        match daemon::detach().map_err(|error| format!("--daemon: {error}"))? {
            Side::Foreground(code) => return Ok(code),
            Side::Daemon(daemon) => *terminal = daemon,
        }
        reap::adopt_orphans()?;
    }
    let settings = &settled.settings;
    if let Some(folder) = &settings.chdir {
        // Logs, sockets and the pid file are named from there.
        let failed = |error| format!("can't chdir to \"{}\": {error}", folder.display());
        env::set_current_dir(folder).map_err(failed)?;
    }
    // The log's own stream to the terminal is closed once everything listens. A process that Python's
    // logging runs in could not be told to.
    if log::is_pythons(settings) {
        terminal.silence().map_err(readable)?;
    }
    let log = Log::open(settings, &recipe.python)?;
    lifecycle.give_logs(&log)?;
    terminal.silence().map_err(readable)?;
    if plan.detaches || plan.identity.is_some() {
        // The one there is was started by another process, or as another user.
        recipe.identity = plan.identity;
        seedling = recipe.sow()?;
        settled = recipe.settle(seedling.read()?.as_ref())?;
    }
    let settings = &settled.settings;
    if log.says_debug() {
        let all = settled.print();
        log.debug(format_args!("Current configuration:\n{}", all.trim_end()));
    }
    tls::complain(settings, &log);
    log.info(format_args!("Starting causeway-gateway {}", env!("CARGO_PKG_VERSION")));
    for line in settled.without_effect() {
        log.info(line);
    }
    // `on_starting` is called now, before there is a pid file or a socket.
    seedling.ask(&configure(&settled))?;
    seedling.ask(&super::hook("on_starting", &[]))?;
    lifecycle.write_pid_file(settings, &log)?;
    lifecycle.bind_was_asked_for =
        settled.chosen.iter().any(|it| it.name == "bind" && it.source != Source::Default);
    let Some(inherited) = listeners::inherit(settings, &mut lifecycle.inheritance, &log) else {
        return Ok(1);
    };
    name_process(settings)?;
    let inbox = Rc::new(Inbox::default());
    let boot_failure =
        if settings.exit_on_boot_failure { BootFailure::Ends } else { BootFailure::IsTriedAgain };
    let fleet = Fleet::new(settings.workers, settings.graceful_timeout, boot_failure);
    let census = Census::default();
    census.set_config(settings::for_hooks(&settled));
    let gateway = Rc::new(Gateway {
        log,
        pool: Pool::new(Rc::clone(&inbox)),
        inbox,
        connections: Connections::new(),
        tls: terms,
        memory: Rc::new(Budget::new(MEMORY)),
        census,
        reloader: Rc::default(),
        complaints: RefCell::default(),
        settings: RefCell::new(Rc::new(settled.settings)),
    });
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(readable)?;
    let code = runtime.block_on(async {
        let nursery = Rc::new(seedling.grow().map_err(readable)?);
        let supervisor = Supervisor {
            gateway: Rc::clone(&gateway),
            fleet,
            recipe,
            children: HashMap::new(),
            listeners: Listeners::default(),
            lifecycle,
            nurseries: HashMap::from([(0, nursery)]),
            trial: None,
            preparing: None,
            counted: None,
            next_backlog: Instant::now(),
            overdue: Overdue::default(),
            memory: Memory::new(),
            oom_kills: OomKills::watch(),
        };
        supervisor.run(inherited, terminal).await
    });
    drop(runtime);
    Ok(code?)
}

fn name_process(settings: &Settings) -> Result<(), String> {
    let Some(name) = &settings.name else { return Ok(()) };
    let name = CString::new(name.as_bytes()).map_err(|_| "--name has a NUL in it")?;
    prctl::set_name(&name).map_err(|error| format!("--name: {error}"))
}
