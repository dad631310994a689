//! What stands outside of `http`: processes, the pid file, the user, events.

use std::{path::PathBuf, sync::Arc};

use crate::{
    conf::ConfError,
    engine::plan::Plan,
    load::{
        Arity::{Between, Exactly},
        Block, Body, Directive, Module, Setting, Site, block, directive,
    },
};

#[derive(Clone, Default)]
pub struct Main {
    worker_processes: Setting<usize>,
    daemon: Setting<bool>,
    master_process: Setting<bool>,
    pid: Setting<PathBuf>,
    user: Setting<(String, Option<String>)>,
    worker_connections: Setting<usize>,
    worker_rlimit_nofile: Setting<u64>,
    multi_accept: Setting<bool>,
}

const MAIN: &[Block] = &[Block::Main];
const EVENTS: &[Block] = &[Block::Events];

impl Module for Main {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        block("events", MAIN, Exactly(0), Body::Inside(Block::Events), |_, _| Ok(())),
        directive("worker_processes", MAIN, Exactly(1), |main, args| {
            let number = match args.word(0) {
                "auto" => std::thread::available_parallelism().map_or(1, usize::from),
                _ => args.number(0)?,
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
        directive("user", MAIN, Between(1, 2), |main, args| {
            main.user.set((args.word(0).to_owned(), args.get(1).map(str::to_owned)), args)
        }),
        directive("worker_rlimit_nofile", MAIN, Exactly(1), |main, args| {
            main.worker_rlimit_nofile.set(args.number(0)?, args)
        }),
        directive("worker_connections", EVENTS, Exactly(1), |main, args| {
            main.worker_connections.set(args.number(0)?, args)
        }),
        directive("multi_accept", EVENTS, Exactly(1), |main, args| {
            main.multi_accept.set(args.flag()?, args)
        }),
    ];

    fn inherit(&mut self, _outer: &Self, _into: Block) {}

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl Main {
    pub fn worker_processes(&self) -> usize {
        self.worker_processes.or(1)
    }

    pub fn daemon(&self) -> bool {
        self.daemon.or(true)
    }

    pub fn master_process(&self) -> bool {
        self.master_process.or(true)
    }

    pub fn pid(&self) -> Option<&PathBuf> {
        self.pid.said()
    }

    pub fn user(&self) -> Option<&(String, Option<String>)> {
        self.user.said()
    }

    pub fn worker_connections(&self) -> usize {
        self.worker_connections.or(512)
    }

    pub fn worker_rlimit_nofile(&self) -> Option<u64> {
        self.worker_rlimit_nofile.said().copied()
    }
}
