//! The threads that answer: one runtime each, nothing shared but the configuration. The process's
//! first thread answers nothing; it hears signals and flushes logs.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    process::ExitCode,
    rc::Rc,
    sync::{Arc, mpsc},
    time::Duration,
};

use nix::{sched::sched_setaffinity, sys::signal::Signal, unistd::Pid};
use tokio::{
    io::unix::AsyncFd,
    runtime::LocalOptions,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    Drain, Waiting, identity,
    master::{Generation, remove_paths},
    pidfile,
    signals::Signals,
    sys::{self, wait_for},
};
use crate::{
    listen::{Acceptor, Desk, Socket},
    load::{Config, Http},
    log::Level,
};

/// nginx's: this worker can not be started, and trying again will not help.
pub(super) const FATAL: u8 = 2;

/// What the threads are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Answer what is here, accept no more.
    Draining,
    /// Let go of everything.
    Ending,
}

/// The worker process, from its first moment to its last.
pub(super) fn run(generation: Generation, master: Pid, ready: OwnedFd) -> ExitCode {
    let Generation { config, sockets, .. } = generation;
    let log = |level, message: &str| config.error_log.write(level, None, message);
    let tell = |message: &str| log(Level::Alert, message);
    if let Err(error) = sys::set_environment(config.main.environment()) {
        tell(&format!("setenv() failed ({})", error.desc()));
    }
    if let Err(error) = identity::become_worker(&config.main, master, &tell) {
        log(Level::Emerg, &error.to_string());
        return ExitCode::from(FATAL);
    }
    let announce = || {
        // A master that has gone is noticed by its signal.
        let _gone = File::from(ready).write_all(b"r");
    };
    match Signals::watch().and_then(|signals| serve(&config, sockets, signals, announce)) {
        Ok(()) => {
            log(Level::Notice, "exiting");
            log(Level::Notice, "exit");
            ExitCode::SUCCESS
        }
        Err(error) => {
            log(Level::Alert, &format!("worker failed: {error}"));
            ExitCode::from(FATAL)
        }
    }
}

/// `master_process off`: the one process there is answers, too.
pub fn alone(generation: Generation, waiting: Waiting) -> ExitCode {
    let Generation { config, sockets, .. } = generation;
    let addresses: Vec<_> = sockets.iter().map(|socket| socket.address.clone()).collect();
    let log = |level, message: &str| config.error_log.write(level, None, message);
    let (mut waiting, pid_file) = (waiting, config.main.pid());
    let announce = || {
        if let Err(error) = pidfile::write(&pid_file, Pid::this()) {
            log(Level::Emerg, &error.to_string());
        }
        waiting.ready();
    };
    log(Level::Notice, "using the \"epoll\" event method");
    log(Level::Notice, crate::SERVER_TOKEN);
    let served = Signals::watch().and_then(|signals| serve(&config, sockets, signals, announce));
    remove_paths(&addresses, &|error| log(Level::Alert, error));
    if let Err(error) = pidfile::remove(&pid_file) {
        log(Level::Alert, &error.to_string());
    }
    match served {
        Ok(()) => {
            log(Level::Notice, "exit");
            ExitCode::SUCCESS
        }
        Err(error) => {
            log(Level::Alert, &format!("worker failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Answers until a signal ends it. Only the threads keep the sockets: when they stop accepting,
/// nobody listens any more.
fn serve(
    config: &Arc<Config>,
    sockets: Vec<Socket>,
    signals: Signals,
    announce: impl FnOnce(),
) -> io::Result<()> {
    let http = config.http.clone().unwrap_or_else(|| Arc::new(Http::nothing()));
    let threads = config.main.worker_processes();
    let (desks, inboxes): (Vec<_>, Vec<_>) = (0..threads).map(|_| Desk::new()).unzip();
    let desks: Arc<[Desk]> = desks.into();
    let (phase, watched) = watch::channel(Phase::Serving);
    let (started, starts) = mpsc::sync_channel(threads);
    // Never sent to: it closes when the last thread has let go of its end.
    let (running, mut ended) = tokio::sync::mpsc::channel::<()>(1);
    std::thread::scope(|scope| {
        for (desk, inbox) in inboxes.into_iter().enumerate() {
            let (http, desks) = (Arc::clone(&http), Arc::clone(&desks));
            let limit = config.main.worker_connections();
            let (watched, started, running) = (watched.clone(), started.clone(), running.clone());
            let sockets = sockets.clone();
            let processors = config.main.worker_cpu_affinity(desk);
            let thread = std::thread::Builder::new().name(format!("edge-{desk}"));
            let spawned = thread.spawn_scoped(scope, move || {
                let _running = running;
                let this_thread = Pid::from_raw(0);
                if let Some(processors) = processors
                    && let Err(error) = sched_setaffinity(this_thread, &processors)
                {
                    let message = format!("sched_setaffinity() failed ({})", error.desc());
                    config.error_log.write(Level::Alert, None, &message);
                }
                let acceptor = Acceptor { http, desks, desk, drain: Drain::default(), limit };
                answer(acceptor, sockets, inbox, watched, &started);
            });
            if let Err(error) = spawned {
                let _ending = phase.send(Phase::Ending);
                return Err(error);
            }
        }
        drop((running, started, sockets));
        for _ in 0..threads {
            let start = starts.recv().unwrap_or_else(|_| Err(io::Error::other("a thread ended")));
            if let Err(error) = start {
                let _ending = phase.send(Phase::Ending);
                return Err(error);
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let signals = wait_for(signals)?;
            announce();
            watch_over(config, &signals, &phase, &mut ended).await
        })
    })?;
    config.files.flush();
    Ok(())
}

/// One thread, from start to end.
fn answer(
    acceptor: Acceptor,
    sockets: Vec<Socket>,
    inbox: tokio::sync::mpsc::Receiver<crate::listen::Accepted>,
    mut watched: watch::Receiver<Phase>,
    started: &mpsc::SyncSender<io::Result<()>>,
) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = match builder.enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => {
            let _nobody_waits = started.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let drain = acceptor.drain.clone();
        let start = Rc::new(acceptor).start(&sockets, inbox);
        drop(sockets);
        let failed = start.is_err();
        let _nobody_waits = started.send(start);
        if failed {
            return;
        }
        let phase = watched.wait_for(|phase| *phase != Phase::Serving).await;
        let phase = phase.map_or(Phase::Ending, |phase| *phase);
        drain.begin();
        if phase == Phase::Draining {
            tokio::select! {
                () = drain.finished() => (),
                _ = watched.wait_for(|phase| *phase == Phase::Ending) => (),
            }
        }
    });
}

/// The first thread: what signals say, until the others have ended.
async fn watch_over(
    config: &Config,
    signals: &AsyncFd<Signals>,
    phase: &watch::Sender<Phase>,
    ended: &mut tokio::sync::mpsc::Receiver<()>,
) -> io::Result<()> {
    let log = |level, message: &str| config.error_log.write(level, None, message);
    let flush_every = config.files.flush_every().unwrap_or(NEVER);
    let mut flush = tokio::time::interval_at(Instant::now() + flush_every, flush_every);
    let mut patience = Instant::now() + NEVER;
    loop {
        tokio::select! {
            biased;
            _ = ended.recv() => return Ok(()),
            ready = signals.readable() => {
                let mut ready = ready?;
                while let Some(received) = ready.get_inner().next() {
                    match received.signal {
                        Signal::SIGQUIT => {
                            log(Level::Notice, &received.line("shutting down"));
                            if *phase.borrow() == Phase::Serving {
                                log(Level::Notice, "gracefully shutting down");
                                let timeout = config.main.worker_shutdown_timeout();
                                patience = Instant::now() + timeout.unwrap_or(NEVER);
                                let _ended = phase.send(Phase::Draining);
                            }
                        }
                        Signal::SIGTERM | Signal::SIGINT => {
                            log(Level::Notice, &received.line("exiting"));
                            let _ended = phase.send(Phase::Ending);
                        }
                        Signal::SIGUSR1 => {
                            log(Level::Notice, &received.line("reopening logs"));
                            if let Err(error) = config.files.open(None) {
                                log(Level::Emerg, &error.to_string());
                            }
                        }
                        _ => log(Level::Notice, &received.line("")),
                    }
                }
                ready.clear_ready();
            }
            _ = flush.tick() => config.files.flush(),
            () = sleep_until(patience) => {
                log(Level::Notice, "worker_shutdown_timeout is over, closing what is left");
                patience = Instant::now() + NEVER;
                let _ended = phase.send(Phase::Ending);
            }
        }
    }
}

/// Longer than anything runs.
const NEVER: Duration = Duration::from_hours(24 * 365);
