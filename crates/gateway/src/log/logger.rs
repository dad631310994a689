//! `--log-config`, `--log-config-json`, `logconfig_dict`: handlers and formatters of Python's logging,
//! in a process of their own that writes what the gateway says. (What workers say, they write
//! themselves, by the same configuration.)
//!
//! It is started only where one of the three is set, by the interpreter whose packages the operator
//! means, and reads lines of JSON from its standard input, whose end is its end. The gateway never
//! waits for it: a courier does. If it dies it is started anew; while there is none, lines go to
//! standard error.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{self, Child, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::unistd::{Gid, Uid};
use serde_json::{Value, json};

use super::{
    atoms::Atoms,
    courier::{Carry, Courier},
    outputs::from_chdir,
    syslog,
};
use crate::{
    clock::LogDate,
    settings::{Destination, Level, Settings},
};

/// Handlers may connect to something far away.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// For what it still has to write.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// Between two attempts to start it anew.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Logger {
    courier: Courier,
    /// What `gunicorn.error` lets through.
    pub(super) level: Level,
    /// Whether anybody handles `gunicorn.access`.
    pub(super) takes_requests: bool,
}

/// What the Python side has to know, in the logger process and in the workers (see the app-host's
/// `logger.py`). Paths are absolute: workers change their folder.
pub(crate) fn describe(settings: &Settings) -> Value {
    let absolute = |path: &Path| from_chdir(settings, path);
    let file = |destination: &Destination| match destination {
        Destination::Standard => "-".into(),
        Destination::File(path) => absolute(path),
    };
    let syslog = settings.syslog.then(|| {
        json!({
            "address": settings.syslog_addr,
            "facility": settings.syslog_facility,
            "tag": syslog::tag(settings),
            "takes_requests": !settings.disable_redirect_access_to_syslog,
        })
    });
    let statsd = settings.statsd_host.as_ref().map(|host| {
        json!({
            "host": host,
            "prefix": settings.statsd_prefix,
            "tags": settings.dogstatsd_tags,
        })
    });
    json!({
        "errorlog": file(&settings.error_logfile),
        "accesslog": settings.access_logfile.as_ref().map(file),
        "access_log_format": settings.access_logformat,
        "loglevel": settings.log_level.name(),
        "capture_output": settings.capture_output,
        "logconfig": settings.logconfig.as_deref().map(absolute),
        "logconfig_json": settings.logconfig_json.as_deref().map(absolute),
        "logconfig_dict": settings.logconfig_dict,
        "syslog": syslog,
        "statsd": statsd,
    })
}

/// The same settings, with no log anywhere else.
pub(crate) fn on_standard_error(settings: &Settings) -> Settings {
    Settings {
        error_logfile: Destination::Standard,
        access_logfile: None,
        capture_output: false,
        logconfig: None,
        logconfig_json: None,
        logconfig_dict: None,
        syslog: false,
        statsd_host: None,
        ..settings.clone()
    }
}

impl Logger {
    /// Returns once Python has taken the configuration, or has said what is wrong with it.
    pub(super) fn start(settings: &Settings, python: &Path) -> Result<Logger, String> {
        let library = causeway_app_host::library()
            .ok_or("libcauseway_app_host.so is neither beside this program nor in deps/ there")?;
        let folders = settings.chdir.iter().chain(&settings.pythonpath);
        let folders = folders.map(|folder| from_chdir(settings, folder));
        let configuration =
            json!({ "settings": describe(settings), "path": folders.collect::<Vec<_>>() });
        let mut launch = Launch {
            python: python.to_owned(),
            library,
            folder: settings.chdir.clone(),
            environment: settings.env.clone(),
            configuration: line(&configuration),
        };
        let (running, answer) = launch.start()?;
        let level = answer["level"].as_u64().unwrap_or(0);
        let level = match level {
            0..=10 => Level::Debug,
            11..=20 => Level::Info,
            21..=30 => Level::Warning,
            31..=40 => Level::Error,
            _ => Level::Critical,
        };
        let takes_requests = answer["takes_requests"].as_bool().unwrap_or(true);
        let carrier = Carrier { launch, running: Some(running), retry: Instant::now() };
        Ok(Logger { courier: Courier::new("logger", carrier), level, takes_requests })
    }

    pub(super) fn line(&self, level: Level, message: &str) {
        let level = level.name();
        let record =
            json!({ "level": level, "message": message, "pid": process::id(), "time": now() });
        self.send(line(&record));
    }

    pub(super) fn write_request(&self, atoms: &Atoms<'_>, out: &mut Vec<u8>) {
        // Writing to a Vec does not fail.
        let _ = write!(out, "{{\"pid\":{},\"time\":{},\"atoms\":", atoms.pid(), now());
        atoms.write_json(out);
        out.extend_from_slice(b"}\n");
    }

    pub(super) fn send(&self, lines: Vec<u8>) {
        self.courier.send(lines);
    }

    pub(super) fn reopen(&self) {
        self.send(line(&json!({ "reopen": true })));
    }

    pub(super) fn give_to(&self, user: Option<Uid>, group: Option<Gid>) {
        let (user, group) = (user.map(Uid::as_raw), group.map(Gid::as_raw));
        self.send(line(&json!({ "become": { "user": user, "group": group } })));
    }

    pub(super) fn troubles(&self) -> Vec<String> {
        self.courier.troubles()
    }
}

fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// How the process is started, each time.
struct Launch {
    python: PathBuf,
    library: PathBuf,
    folder: Option<PathBuf>,
    environment: Vec<(String, String)>,
    configuration: Vec<u8>,
}

struct Running {
    child: Child,
    socket: UnixStream,
}

impl Launch {
    fn start(&mut self) -> Result<(Running, Value), String> {
        let python = self.python.display();
        let failed = |error: io::Error| format!("logger process of \"{python}\": {error}");
        let (mut socket, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = causeway_app_host::logger_command(&self.python, &self.library);
        command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            // Ctrl-C in a terminal is for the gateway.
            .process_group(0)
            .current_dir(self.folder.as_deref().unwrap_or_else(|| Path::new(".")))
            .envs(self.environment.iter().map(|(key, value)| (key, value)));
        let child = command
            .spawn()
            .map_err(|error| format!("interpreter \"{python}\" can not be started: {error}"))?;
        drop(command);
        let answer = converse(&mut socket, &self.configuration);
        let running = Running { child, socket };
        match answer {
            Ok(answer) if answer["refused"].is_null() => Ok((running, answer)),
            Ok(answer) => {
                running.end();
                Err(answer["refused"].as_str().unwrap_or("it did not say why").to_owned())
            }
            Err(error) => {
                running.end();
                Err(failed(error))
            }
        }
    }
}

fn converse(socket: &mut UnixStream, configuration: &[u8]) -> io::Result<Value> {
    socket.set_read_timeout(Some(START_PATIENCE))?;
    socket.write_all(configuration)?;
    let mut answer = String::new();
    BufReader::new(&*socket).take(64 * 1024).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::other("it ended before logging was configured"));
    }
    Ok(serde_json::from_str(&answer)?)
}

impl Running {
    /// It has read everything when it closes its side.
    fn end(mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
        let _ = self.socket.set_read_timeout(Some(END_PATIENCE));
        if let Ok(0) = self.socket.read(&mut [0; 16]) {
            let _ = self.child.wait();
        }
    }
}

/// The courier's side.
struct Carrier {
    launch: Launch,
    running: Option<Running>,
    /// Not before this is it started anew.
    retry: Instant,
}

impl Carry for Carrier {
    fn carry(&mut self, batch: &[u8], tell: &dyn Fn(String)) {
        if let Some(running) = &mut self.running {
            if running.socket.write_all(batch).is_ok() {
                return;
            }
            let pid = running.child.id();
            // Somebody else may have waited for it.
            let end =
                running.child.wait().map_or_else(|_| "ended".to_owned(), |end| end.to_string());
            tell(format!("logger process (pid: {pid}) is gone ({end}) and is started anew"));
            self.running = None;
        }
        if Instant::now() >= self.retry {
            self.retry = Instant::now() + PAUSE;
            match self.launch.start() {
                Ok((mut running, _)) => {
                    if running.socket.write_all(batch).is_ok() {
                        self.running = Some(running);
                        return;
                    }
                }
                Err(error) => tell(format!("logger process not started: {error}")),
            }
        }
        // Nobody is left to tell that this can not be written.
        let _ = io::stderr().write_all(plain(batch).as_bytes());
    }

    fn finish(&mut self, _: &dyn Fn(String)) {
        if let Some(running) = self.running.take() {
            running.end();
        }
    }
}

/// Records as gunicorn's own lines.
fn plain(batch: &[u8]) -> String {
    let mut text = String::new();
    for line in batch.split(|byte| *byte == b'\n') {
        let Ok(record) = serde_json::from_slice::<Value>(line) else { continue };
        let part = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let atoms = &record["atoms"];
        // Writing to a String does not fail.
        let _ = if atoms.is_object() {
            let who = ["h", "l", "u", "t"].map(|name| part(&atoms[name])).join(" ");
            let what = ["r", "s", "b"].map(|name| part(&atoms[name]));
            writeln!(text, "{who} \"{}\" {} {}", what[0], what[1], what[2])
        } else if record["message"].is_string() {
            let [pid, level, message] = ["pid", "level", "message"].map(|name| part(&record[name]));
            writeln!(text, "[{LogDate}] [{pid}] [{level}] {message}")
        } else {
            Ok(())
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_lines_where_there_is_no_logger() {
        let mut batch = line(&json!({ "level": "INFO", "message": "said", "pid": 7, "time": 1.5 }));
        batch.extend(line(&json!({ "reopen": true })));
        batch.extend(line(&json!({ "atoms": {
            "h": "::1", "l": "-", "u": "-", "t": "[now]", "r": "GET / HTTP/1.1", "s": "200", "b": "2",
        } })));
        let text = plain(&batch);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].ends_with("] [7] [INFO] said"), "{text}");
        assert_eq!(lines[1], "::1 - - [now] \"GET / HTTP/1.1\" 200 2");
    }
}
