//! `error_log`: where lines about what went wrong go, and from which level on.

use std::sync::Arc;

use crate::{
    clock,
    conf::ConfError,
    engine::plan::Plan,
    load::{Args, Arity::Between, Block, Directive, List, Module, Site, directive},
    log::{Level, LogFile},
};

#[derive(Clone, Default)]
pub struct ErrorLog {
    targets: List<Target>,
}

#[derive(Clone)]
struct Target {
    file: Arc<LogFile>,
    level: Level,
}

const BLOCKS: &[Block] = &[Block::Main, Block::Http, Block::Server, Block::Location];

impl Module for ErrorLog {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[directive("error_log", BLOCKS, Between(1, 2), ErrorLog::add)];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.targets.inherit(&outer.targets);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl ErrorLog {
    /// A log outside of any configuration: what `-e` and the defaults name.
    pub fn to(file: Arc<LogFile>, level: Level) -> ErrorLog {
        let mut log = ErrorLog::default();
        log.targets.push(Target { file, level });
        log
    }

    fn add(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let level = match args.get(1) {
            None => Level::Error,
            Some(name) => Level::parse(name)
                .ok_or_else(|| args.complain(format!("invalid log level \"{name}\"")))?,
        };
        let file = match args.word(0) {
            "stderr" => args.loader.files.stderr(),
            word if word.starts_with("syslog:") || word.starts_with("memory:") => {
                let message = format!("\"{word}\": the edge does not log there yet");
                return Err(args.complain(message));
            }
            _ => args.loader.files.file(&args.path(0)),
        };
        self.targets.push(Target { file, level });
        Ok(())
    }

    pub fn is_stderr(&self) -> bool {
        self.targets.iter().any(|target| target.file.is_stderr())
    }

    /// The first file, for what a daemon writes to stderr.
    pub fn file(&self) -> Option<std::fs::File> {
        self.targets.iter().find_map(|target| target.file.file())
    }

    pub fn wants(&self, level: Level) -> bool {
        self.targets.iter().any(|target| level <= target.level)
    }

    /// One line; `connection` is nginx's `*1`.
    pub fn write(&self, level: Level, connection: Option<u64>, message: &str) {
        if !self.wants(level) {
            return;
        }
        let time = clock::error_log_time();
        let time = String::from_utf8_lossy(&time);
        let process = std::process::id();
        let thread = nix::unistd::gettid();
        let connection = connection.map_or_else(String::new, |number| format!("*{number} "));
        let line = format!("{time} [{level}] {process}#{thread}: {connection}{message}\n");
        for target in self.targets.iter().filter(|target| level <= target.level) {
            // A log that can not be written has nowhere to say so.
            let _lost = target.file.write(line.as_bytes());
        }
    }
}
