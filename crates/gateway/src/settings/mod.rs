//! What the operator decided, read once at start: one typed value per setting.
//!
//! A setting is one row in `rows.rs`; the command line, `--help`, `--print-config` and the reader of
//! each value come from that row, so that none of them can drift. `sources.rs` decides which of
//! several places speaks. Serving only reads this; nothing here opens a socket or a file.

mod address; // where to listen, in gunicorn's notations
mod command_line; // rows to clap, and what clap understood
mod described; // rows for those who write about them
mod file; // what a configuration file holds, as the nursery read it
mod folder; // where we are
mod in_python; // values as gunicorn would have them
mod print; // --print-config
mod readers; // text to values
mod rows; // the settings themselves: READ THIS FIRST
mod sources; // command line, GUNICORN_CMD_ARGS, file, environment, default

use std::{ffi::OsString, path::PathBuf, time::Duration};

pub use address::Address;
pub use command_line::command;
pub use described::{Described, described};
pub use file::{ConfigFile, Contents, Entry, EntryKind};
pub use readers::{
    Destination, HeaderMap, HttpProtocol, Level, ProxyProtocol, ReloadEngine, Trusted, WorkerClass,
};
pub use sources::{Chosen, Source, Sources};

/// gunicorn's names, in the order of its manual.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch an operator has")]
pub struct Settings {
    /// `module:callable`.
    pub application: String,

    pub bind: Vec<Address>,
    pub backlog: i32,
    pub reuse_port: bool,

    pub workers: usize,
    /// Only its name is left of it: `threads` decides.
    pub worker_class: WorkerClass,
    pub threads: usize,
    pub worker_connections: usize,
    /// Requests a worker answers before it is replaced; none: for ever.
    pub max_requests: Option<u64>,
    pub max_requests_jitter: u64,
    /// How long a worker may be silent over a request, from when it got it; none: for ever.
    pub timeout: Option<Duration>,
    pub graceful_timeout: Duration,
    /// None: as suits the listener, see `front::idle_limit`.
    pub keep_alive: Option<Duration>,

    /// None: as long as the reader can hold.
    pub limit_request_line: Option<usize>,
    pub limit_request_fields: usize,
    pub limit_request_field_size: usize,

    pub reload: bool,
    pub reload_engine: ReloadEngine,
    /// Globs too.
    pub reload_extra_files: Vec<String>,

    pub preload_app: bool,
    pub sendfile: bool,
    /// Always there once everything is settled.
    pub chdir: Option<PathBuf>,
    pub daemon: bool,
    pub env: Vec<(String, String)>,
    pub pid: Option<PathBuf>,
    /// A name or a number, as it was typed.
    pub user: Option<String>,
    pub group: Option<String>,
    pub umask: u32,
    pub initgroups: bool,
    pub pythonpath: Vec<PathBuf>,

    pub forwarded_allow_ips: Trusted,
    /// Names in upper case, with hyphens.
    pub secure_scheme_headers: Vec<(String, String)>,
    /// Names in upper case, with underscores.
    pub forwarder_headers: Vec<String>,
    pub header_map: HeaderMap,
    pub proxy_protocol: ProxyProtocol,
    pub proxy_allow_ips: Trusted,
    pub permit_obsolete_folding: bool,
    pub strip_header_spaces: bool,
    pub permit_unconventional_http_method: bool,
    pub permit_unconventional_http_version: bool,
    pub casefold_http_method: bool,

    pub access_logfile: Option<Destination>,
    pub access_logformat: String,
    pub error_logfile: Destination,
    pub log_level: Level,
    pub capture_output: bool,
    /// What a daemon prints goes where the shell's output went; nothing else asks.
    pub enable_stdio_inheritance: bool,
    pub logconfig: Option<PathBuf>,
    pub logconfig_dict: Option<serde_json::Value>,
    pub logconfig_json: Option<PathBuf>,
    pub syslog: bool,
    pub syslog_addr: String,
    pub syslog_prefix: Option<String>,
    pub syslog_facility: String,
    pub disable_redirect_access_to_syslog: bool,
    pub statsd_host: Option<String>,
    pub statsd_prefix: String,
    pub dogstatsd_tags: String,
    pub enable_backlog_metric: bool,
    pub name: Option<String>,

    pub keyfile: Option<PathBuf>,
    pub certfile: Option<PathBuf>,
    pub ca_certs: Option<PathBuf>,
    /// 0, 1 or 2, as Python's ssl has them.
    pub cert_reqs: u8,
    pub ciphers: Option<String>,
    pub http_protocols: Vec<HttpProtocol>,
    pub http2_max_concurrent_streams: u32,
    pub http2_initial_window_size: u32,
    pub http2_max_frame_size: u32,
    pub http2_max_header_list_size: Option<u32>,

    pub control_socket: Option<PathBuf>,
    pub control_socket_mode: u32,
    pub control_socket_disable: bool,

    /// Those the configuration file has.
    pub hooks: Vec<&'static str>,

    /// Of a request's body, in bytes; none: what the disk holds.
    pub limit_request_body: Option<u64>,
    /// Requests that may wait for a worker.
    pub queue: usize,
    pub queue_timeout: Duration,
    pub python: Option<PathBuf>,
    pub max_worker_memory: Option<u64>,
    pub exit_on_boot_failure: bool,
    pub server_timing: bool,

    /// The prefix the application is mounted under. gunicorn has no setting for it: it looks into the
    /// application's environment.
    pub script_name: String,

    pub mode: Mode,
}

impl Settled {
    /// What somebody asked for and will not notice.
    pub fn without_effect(&self) -> impl Iterator<Item = String> {
        let asked_for = |(row, chosen): &(&rows::Row, &Chosen)| {
            !row.idle.is_empty()
                && chosen.source != Source::Default
                && !row.is_default(&chosen.values)
        };
        rows::rows().zip(&self.chosen).filter(asked_for).map(|(row, chosen)| {
            format!("{} (from {}) has no effect: {}", row.name, chosen.source, row.idle)
        })
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Serve, or try whether one could.
    Run(Sources),
    /// Print this and be done: help, version.
    Print(String),
}

/// What every source together says.
#[derive(Debug)]
pub struct Settled {
    pub settings: Settings,
    /// In the order of the rows.
    pub chosen: Vec<Chosen>,
    /// As `-c` has it.
    file: Option<String>,
    /// The application, as the command line has it.
    typed_application: Option<String>,
    /// And as the file has it.
    named_in_file: Option<String>,
}

/// The later includes the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// What else keeps from starting has the same code.
impl From<String> for SettingsError {
    fn from(reason: String) -> SettingsError {
        SettingsError::Value(reason)
    }
}

impl SettingsError {
    pub fn code(&self) -> u8 {
        match self {
            SettingsError::Usage(_) => 2,
            SettingsError::Value(_) => 1,
        }
    }
}

/// The environment variables settings are read from, as the process has them.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads what can be read before there is an interpreter: the command line and `GUNICORN_CMD_ARGS`.
/// They say which configuration file there is, and `Sources::settle` is told what it holds.
pub fn read(
    arguments: Vec<OsString>,
    environment: Environment<'_>,
) -> Result<Request, SettingsError> {
    match command_line::parse(arguments)? {
        command_line::Parsed::Print(text) => Ok(Request::Print(text)),
        command_line::Parsed::Given(given) => Sources::new(given, environment).map(Request::Run),
    }
}

/// Every setting under its name, as hooks find it in `server.cfg`.
pub(crate) fn for_hooks(settled: &Settled) -> serde_json::Value {
    let settings = &settled.settings;
    let mut values: serde_json::Map<_, _> = rows::rows()
        .zip(&settled.chosen)
        .map(|(row, chosen)| (row.name.to_owned(), in_python::attribute(row, chosen, settings)))
        .collect();
    values.insert("hooks".to_owned(), settings.hooks.clone().into());
    values.insert("wsgi_app".to_owned(), settings.application.clone().into());
    values.into()
}
