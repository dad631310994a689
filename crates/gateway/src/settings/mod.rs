//! What the operator decided, read once at start: one typed value per setting.
//!
//! A setting is one row in `rows.rs`; the command line, `--help`, `--print-config` and the reader of
//! each value come from that row, so that none of them can drift. `sources.rs` decides which of
//! several places speaks. Serving only reads this; nothing here opens a socket or a file.

mod address; // where to listen, in gunicorn's notations
mod command_line; // rows to clap, and what clap understood
mod foreign; // gunicorn's other flags, refused by name
mod readers; // text to values
mod rows; // the settings themselves: READ THIS FIRST
mod sources; // command line, GUNICORN_CMD_ARGS, environment, default

use std::{ffi::OsString, path::PathBuf, time::Duration};

pub use address::Address;
pub use readers::{Destination, Level, Trusted};
pub use sources::{Chosen, Source};

/// gunicorn's names, in the order of its manual.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `module:callable`.
    pub application: String,
    pub bind: Vec<Address>,
    pub backlog: i32,
    pub workers: usize,
    pub threads: usize,
    /// Requests a worker answers before it is replaced; none: for ever.
    pub max_requests: Option<u64>,
    pub max_requests_jitter: u64,
    /// How long a worker may be silent over a request; none: for ever.
    pub timeout: Option<Duration>,
    pub graceful_timeout: Duration,
    /// None: as suits the listener, see `front::idle_limit`.
    pub keep_alive: Option<Duration>,
    /// None: as long as the reader can hold.
    pub limit_request_line: Option<usize>,
    pub limit_request_fields: usize,
    pub limit_request_field_size: usize,
    /// Of a body, in bytes; none: what the disk holds.
    pub limit_request_body: Option<u64>,
    /// Requests that may wait for a worker.
    pub queue: usize,
    pub queue_timeout: Duration,
    pub chdir: Option<PathBuf>,
    pub pythonpath: Vec<PathBuf>,
    pub env: Vec<(String, String)>,
    pub python: Option<PathBuf>,
    pub pid: Option<PathBuf>,
    pub umask: u32,
    pub forwarded_allow_ips: Trusted,
    pub access_logfile: Option<Destination>,
    pub access_logformat: String,
    pub error_logfile: Destination,
    pub log_level: Level,
    pub name: Option<String>,
    pub server_timing: bool,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Serve, or try whether one could.
    Run { settings: Box<Settings>, mode: Mode, chosen: Vec<Chosen> },
    /// Print this and be done: help, version.
    Print(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Serve,
    /// Import the application once, then leave.
    Check,
    /// Print every setting, then do as `Check`.
    Print,
}

/// Why there is nothing to run. The exit codes are gunicorn's.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The command line itself: exit code 2, as argparse has it.
    #[error("{0}")]
    Usage(String),
    /// A value, wherever it came from: exit code 1.
    #[error("Error: {0}")]
    Value(String),
}

/// The environment variables settings are read from, as the process has them.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads everything that can speak. `directory_has_config` says whether gunicorn would find a
/// `./gunicorn.conf.py` here.
pub fn read(
    arguments: Vec<OsString>,
    environment: Environment<'_>,
    directory_has_config: bool,
) -> Result<Request, SettingsError> {
    let given = command_line::parse(arguments)?;
    let given = match given {
        command_line::Parsed::Print(text) => return Ok(Request::Print(text)),
        command_line::Parsed::Given(given) => given,
    };
    if directory_has_config {
        return Err(SettingsError::Value(
            "./gunicorn.conf.py is here, and causeway-gateway does not read it yet; \
             put its settings on the command line or in GUNICORN_CMD_ARGS and start elsewhere"
                .to_owned(),
        ));
    }
    let chosen = sources::choose(&given, environment)?;
    let mode = given.mode();
    let settings = sources::settle(&given, &chosen)?;
    Ok(Request::Run { settings: Box::new(settings), mode, chosen })
}

/// `--print-config`: gunicorn's `name = value`, sorted, and where a value came from if not by default.
pub fn print(chosen: &[Chosen]) -> String {
    let width = chosen.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = chosen
        .iter()
        .map(|row| {
            let origin = match row.source {
                Source::Default => String::new(),
                ref source => format!("  ({source})"),
            };
            format!("{:width$} = {}{origin}\n", row.name, row.values.join(", "))
        })
        .collect();
    lines.sort();
    lines.concat()
}
