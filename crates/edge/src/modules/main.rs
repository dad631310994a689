//! What stands outside of `http`: processes, the pid file, the user, events.
//!
//! nginx has a process where the edge has a thread, so `worker_processes` is the number of threads.
//! What only tunes a mechanism that is not here stands in [`super::without_effect`].

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    conf::ConfError,
    defaults,
    engine::plan::Plan,
    load::{
        Args,
        Arity::{Between, Exactly},
        Block, Body, Directive, Module, Setting, Site, block, directive,
    },
    process::Identity,
};

#[derive(Clone, Default)]
pub struct Main {
    worker_processes: Setting<usize>,
    daemon: Setting<bool>,
    master_process: Setting<bool>,
    pid: Setting<PathBuf>,
    user: Setting<Option<Identity>>,
    worker_connections: Setting<usize>,
    worker_rlimit_nofile: Setting<u64>,
    worker_shutdown_timeout: Setting<Duration>,
}

const MAIN: &[Block] = &[Block::Main];
const EVENTS: &[Block] = &[Block::Events];

impl Module for Main {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        block("events", MAIN, Exactly(0), Body::Inside(Block::Events), |_, _| Ok(())),
        directive("worker_processes", MAIN, Exactly(1), |main, args| {
            let number = match args.word(0) {
                "auto" => std::thread::available_parallelism().map_or(1, usize::from),
                word => word.parse().unwrap_or(0),
            };
            if number == 0 {
                return Err(args.refuse("invalid value"));
            }
            main.worker_processes.set(number, args)
        }),
        directive("daemon", MAIN, Exactly(1), |main, args| main.daemon.set(args.flag()?, args)),
        directive("master_process", MAIN, Exactly(1), |main, args| {
            main.master_process.set(args.flag()?, args)
        }),
        directive("pid", MAIN, Exactly(1), |main, args| main.pid.set(args.path(0), args)),
        directive("user", MAIN, Between(1, 2), Main::set_user),
        directive("worker_rlimit_nofile", MAIN, Exactly(1), |main, args| {
            main.worker_rlimit_nofile.set(args.number(0)?, args)
        }),
        directive("worker_shutdown_timeout", MAIN, Exactly(1), |main, args| {
            main.worker_shutdown_timeout.set(args.time(0)?, args)
        }),
        directive("worker_connections", EVENTS, Exactly(1), |main, args| {
            main.worker_connections.set(args.number(0)?, args)
        }),
        directive("use", EVENTS, Exactly(1), |_, args| match args.word(0) {
            "epoll" => Ok(()),
            word => Err(args.complain(format!("invalid event type \"{word}\""))),
        }),
        // The environment is not cleared, so what `env NAME` keeps is there.
        directive("env", MAIN, Exactly(1), |_, args| {
            if args.word(0).contains('=') { refuse(args) } else { Ok(()) }
        }),
        directive("load_module", MAIN, Exactly(1), |_, args| {
            let message = format!(
                "\"load_module\" \"{}\": the edge does not load modules of nginx",
                args.word(0)
            );
            Err(args.complain(message))
        }),
    ];

    fn inherit(&mut self, _outer: &Self, _into: Block) {}

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

fn refuse(args: &mut Args<'_>) -> Result<(), ConfError> {
    let name = &args.node.name.text;
    Err(args.complain(format!("\"{name}\" directive: nginx has this; the edge does not yet")))
}

impl Main {
    fn set_user(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        if !nix::unistd::geteuid().is_root() {
            let message = "the \"user\" directive makes sense only if the master process runs \
                           with super-user privileges, ignored";
            args.loader.warnings.push(args.complain(message));
            return self.user.set(None, args);
        }
        let identity = Identity::find(args.word(0), args.get(1));
        let identity = identity.map_err(|message| args.complain(message))?;
        self.user.set(Some(identity), args)
    }

    /// Threads of the worker.
    pub fn worker_processes(&self) -> usize {
        self.worker_processes.or(1)
    }

    pub fn daemon(&self) -> bool {
        self.daemon.or(true)
    }

    pub fn master_process(&self) -> bool {
        self.master_process.or(true)
    }

    pub fn pid(&self) -> PathBuf {
        self.pid.said().cloned().unwrap_or_else(|| defaults::PID_PATH.into())
    }

    pub fn user(&self) -> Option<&Identity> {
        self.user.said().and_then(Option::as_ref)
    }

    /// Clients of one thread, at most.
    pub fn worker_connections(&self) -> usize {
        self.worker_connections.or(512)
    }

    pub fn worker_rlimit_nofile(&self) -> Option<u64> {
        self.worker_rlimit_nofile.said().copied()
    }

    pub fn worker_shutdown_timeout(&self) -> Option<Duration> {
        self.worker_shutdown_timeout.said().copied().filter(|timeout| !timeout.is_zero())
    }
}
