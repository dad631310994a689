//! `error_log`: where lines about what went wrong go, and from which level on.

use std::sync::Arc;

use crate::{
    clock,
    conf::ConfError,
    engine::plan::Plan,
    load::{Args, Arity::AtLeast, Block, Directive, List, Module, Site, directive},
    log::{Level, LogFile, Syslog},
};

#[derive(Clone, Default)]
pub struct ErrorLog {
    targets: List<Target>,
}

#[derive(Clone)]
struct Target {
    to: Destination,
    level: Level,
}

#[derive(Clone)]
enum Destination {
    File(Arc<LogFile>),
    Syslog(Arc<Syslog>),
}

const BLOCKS: &[Block] = &[Block::Main, Block::Http, Block::Server, Block::Location];

impl Module for ErrorLog {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[directive("error_log", BLOCKS, AtLeast(1), ErrorLog::add)];

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
        log.targets.push(Target { to: Destination::File(file), level });
        log
    }

    fn add(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let level = level(args)?;
        let to = match args.word(0) {
            "stderr" => Destination::File(args.loader.files.stderr()),
            word if word.starts_with("memory:") => {
                let message = format!("\"{word}\": nginx has this; the edge does not yet");
                return Err(args.complain(message));
            }
            word => match word.strip_prefix("syslog:") {
                Some(words) => {
                    let syslog = Syslog::read(words).map_err(|message| args.complain(message))?;
                    Destination::Syslog(Arc::new(syslog))
                }
                None => Destination::File(args.loader.files.file(&args.path(0))),
            },
        };
        self.targets.push(Target { to, level });
        Ok(())
    }

    fn files(&self) -> impl Iterator<Item = &Arc<LogFile>> {
        self.targets.iter().filter_map(|target| match &target.to {
            Destination::File(file) => Some(file),
            Destination::Syslog(_) => None,
        })
    }

    pub fn is_stderr(&self) -> bool {
        self.files().any(|file| file.is_stderr())
    }

    /// The first file, for what a daemon writes to stderr.
    pub fn file(&self) -> Option<std::fs::File> {
        self.files().find_map(|file| file.file())
    }

    pub fn wants(&self, level: Level) -> bool {
        self.targets.iter().any(|target| level <= target.level)
    }

    /// One line; `connection` is nginx's `*1`.
    pub fn write(&self, level: Level, connection: Option<u64>, message: &str) {
        if self.wants(level) {
            self.write_to(level, connection, message, |target| level <= target.level);
        }
    }

    /// One line in every log there is, about a connection of `debug_connection`.
    pub fn write_everywhere(&self, level: Level, connection: u64, message: &str) {
        self.write_to(level, Some(connection), message, |_| true);
    }

    fn write_to(
        &self,
        level: Level,
        connection: Option<u64>,
        message: &str,
        wants: impl Fn(&&Target) -> bool,
    ) {
        let time = clock::error_log_time();
        let time = String::from_utf8_lossy(&time);
        let process = std::process::id();
        let thread = nix::unistd::gettid();
        let connection = connection.map_or_else(String::new, |number| format!("*{number} "));
        let line = format!("{time} [{level}] {process}#{thread}: {connection}{message}\n");
        for target in self.targets.iter().filter(wants) {
            // A log that can not be written has nowhere to say so.
            let _lost = match &target.to {
                Destination::File(file) => file.write(line.as_bytes()),
                Destination::Syslog(syslog) => syslog.send_at(level, datagram(&line)),
            };
        }
    }
}

/// What of a line fits a datagram everywhere.
fn datagram(line: &str) -> &[u8] {
    const LONGEST: usize = 2048;
    let line = line.trim_end_matches('\n').as_bytes();
    &line[..line.len().min(LONGEST)]
}

/// One level; or of `debug_http` and its kind several, which are as `debug`.
fn level(args: &Args<'_>) -> Result<Level, ConfError> {
    const DEBUG: [&str; 7] = [
        "debug_core",
        "debug_alloc",
        "debug_mutex",
        "debug_event",
        "debug_http",
        "debug_mail",
        "debug_stream",
    ];
    let mut level = None;
    for word in &args.words()[1..] {
        let name = word.text.as_str();
        let invalid = || args.complain(format!("invalid log level \"{name}\""));
        match (Level::parse(name), level) {
            (Some(found), None) => level = Some((found, Several::No)),
            (Some(_), Some(_)) => {
                return Err(args.complain(format!("duplicate log level \"{name}\"")));
            }
            (None, None | Some((_, Several::Yes))) if DEBUG.contains(&name) => {
                level = Some((Level::Debug, Several::Yes));
            }
            (None, _) => return Err(invalid()),
        }
    }
    Ok(level.map_or(Level::Error, |(level, _)| level))
}

/// Whether more levels may follow.
#[derive(Clone, Copy)]
enum Several {
    Yes,
    No,
}
