//! What stands outside of `http`: processes, the pid file, the user, events.
//!
//! nginx has a process where the edge has a thread, so `worker_processes` is the number of threads.
//! What only tunes a mechanism that is not here stands in [`super::without_effect`].

mod affinity; // which processors

use std::{
    net::ToSocketAddrs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use affinity::Affinity;
use nix::sched::CpuSet;

use crate::{
    conf::ConfError,
    connection::Who,
    defaults,
    engine::plan::Plan,
    load::{
        Args,
        Arity::{AtLeast, Between, Exactly},
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
    worker_rlimit_core: Setting<u64>,
    worker_shutdown_timeout: Setting<Duration>,
    worker_priority: Setting<i32>,
    worker_cpu_affinity: Setting<Affinity>,
    working_directory: Setting<PathBuf>,
    environment: Vec<(String, String)>,
    debug_connection: Vec<Who>,
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
            // What nginx could use here; the runtime uses the first.
            "epoll" | "poll" | "select" => Ok(()),
            word => Err(args.complain(format!("invalid event type \"{word}\""))),
        }),
        directive("worker_rlimit_core", MAIN, Exactly(1), |main, args| {
            main.worker_rlimit_core.set(args.size(0)?, args)
        }),
        directive("worker_priority", MAIN, Exactly(1), |main, args| {
            let word = args.word(0);
            let number = word.strip_prefix('+').unwrap_or(word).parse();
            main.worker_priority.set(number.map_err(|_| args.refuse("invalid number"))?, args)
        }),
        directive("worker_cpu_affinity", MAIN, AtLeast(1), |main, args| {
            main.worker_cpu_affinity.set(Affinity::read(args)?, args)
        }),
        directive("working_directory", MAIN, Exactly(1), |main, args| {
            main.working_directory.set(args.word(0).into(), args)
        }),
        // The environment is not cleared, so what `env NAME` keeps is there.
        directive("env", MAIN, Exactly(1), |main, args| {
            if let Some((name, value)) = args.word(0).split_once('=') {
                if name.is_empty() || value.contains('\0') {
                    return Err(args.refuse("invalid value"));
                }
                main.environment.push((name.to_owned(), value.to_owned()));
            }
            Ok(())
        }),
        directive("debug_connection", EVENTS, Exactly(1), Main::add_debug_connection),
        directive("load_module", MAIN, Exactly(1), |_, args| {
            let module = args.word(0);
            let message =
                format!("\"load_module\" \"{module}\": a module of nginx's can not be loaded");
            Err(args.complain(message).noting(
                "(it is machine code for nginx's own insides; take the line out, and see which \
                 directives are then missing)",
            ))
        }),
    ];

    fn inherit(&mut self, _outer: &Self, _into: Block) {}

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl Main {
    fn add_debug_connection(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let word = args.word(0).to_owned();
        if let Some(who) = Who::parse(&word) {
            let (who, trimmed) = who.trimmed();
            if trimmed {
                let message = format!("low address bits of {word} are meaningless");
                args.loader.warnings.push(args.complain(message));
            }
            self.debug_connection.push(who);
            return Ok(());
        }
        let found = (word.as_str(), 0).to_socket_addrs().into_iter().flatten();
        let before = self.debug_connection.len();
        self.debug_connection.extend(found.map(|address| Who::Net(address.ip().into())));
        if self.debug_connection.len() == before {
            return Err(args.complain(format!("host not found in debug_connection \"{word}\"")));
        }
        Ok(())
    }

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

    pub fn worker_rlimit_core(&self) -> Option<u64> {
        self.worker_rlimit_core.said().copied()
    }

    pub fn worker_priority(&self) -> Option<i32> {
        self.worker_priority.said().copied()
    }

    /// The processors a thread may run on; `None`: any.
    pub fn worker_cpu_affinity(&self, thread: usize) -> Option<CpuSet> {
        self.worker_cpu_affinity.said().and_then(|affinity| affinity.of(thread))
    }

    pub fn working_directory(&self) -> Option<&Path> {
        self.working_directory.said().map(PathBuf::as_path)
    }

    pub fn debug_connection(&self) -> &[Who] {
        &self.debug_connection
    }

    /// `env NAME=value`.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    pub fn worker_shutdown_timeout(&self) -> Option<Duration> {
        self.worker_shutdown_timeout.said().copied().filter(|timeout| !timeout.is_zero())
    }
}
