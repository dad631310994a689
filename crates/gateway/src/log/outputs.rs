//! Where lines, requests and figures go: what one set of settings says about it, opened. A reload opens
//! another and exchanges the two, so everything in here may be opened on another thread.

use std::{
    io,
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid};
use serde_json::Value;

use super::{
    format::Format,
    logger::Logger,
    sink::{Sink, Standard},
    statsd::Statsd,
    syslog::Syslog,
};
use crate::settings::{Destination, Level, Settings};

/// Opened logs.
pub(crate) struct Outputs {
    pub(super) level: Level,
    pub(super) lines: Lines,
    pub(super) statsd: Option<Statsd>,
    /// What could not be had, and is not worth refusing to start.
    pub(super) troubles: Vec<String>,
}

pub(super) enum Lines {
    Ours(Ours),
    /// Python's logging was configured: its handlers write everything.
    Python(Logger),
}

pub(super) struct Ours {
    pub(super) errors: Sink,
    pub(super) requests: Option<Sink>,
    pub(super) syslog: Option<Syslog>,
    pub(super) format: Format,
}

impl Outputs {
    /// Blocks for as long as Python takes to configure its logging, where it has to.
    pub(crate) fn open(settings: &Settings, python: &Path) -> Result<Outputs, String> {
        let readable = |error: io::Error| error.to_string();
        let mut troubles = Vec::new();
        let statsd = Statsd::open(settings).unwrap_or_else(|trouble| {
            troubles.push(trouble);
            None
        });
        if is_pythons(settings) {
            let logger = Logger::start(settings, python)?;
            let level = logger.level;
            return Ok(Outputs { level, lines: Lines::Python(logger), statsd, troubles });
        }
        let requests = settings.access_logfile.as_ref();
        let requests = requests.map(|file| Sink::open(&placed(settings, file), Standard::Output));
        let lines = Lines::Ours(Ours {
            errors: Sink::open(&placed(settings, &settings.error_logfile), Standard::Error)
                .map_err(readable)?,
            requests: requests.transpose().map_err(readable)?,
            syslog: Syslog::open(settings)?,
            format: Format::read(&settings.access_logformat)?,
        });
        Ok(Outputs { level: settings.log_level, lines, statsd, troubles })
    }

    /// Errors only, on standard error: for whoever serves nobody.
    pub(super) fn plain(level: Level) -> io::Result<Outputs> {
        let lines = Lines::Ours(Ours {
            errors: Sink::open(&Destination::Standard, Standard::Error)?,
            requests: None,
            syslog: None,
            format: Format::default(),
        });
        Ok(Outputs { level, lines, statsd: None, troubles: Vec::new() })
    }

    /// Whether anything is done with a request's line.
    pub(super) fn take_requests(&self) -> bool {
        match &self.lines {
            Lines::Ours(ours) => ours.takes_requests(),
            Lines::Python(logger) => logger.takes_requests,
        }
    }

    pub(super) fn need_response(&self) -> bool {
        match &self.lines {
            Lines::Ours(ours) => ours.takes_requests() && ours.format.needs_response,
            Lines::Python(logger) => logger.takes_requests,
        }
    }

    pub(super) fn take_troubles(&mut self) -> Vec<String> {
        let mut troubles = std::mem::take(&mut self.troubles);
        match &self.lines {
            Lines::Ours(ours) => troubles.extend(ours.syslog.iter().flat_map(Syslog::troubles)),
            Lines::Python(logger) => troubles.extend(logger.troubles()),
        }
        troubles
    }

    /// What could not be opened anew goes on being written to as it is.
    pub(super) fn reopen(&mut self) -> Vec<String> {
        match &mut self.lines {
            Lines::Python(logger) => {
                logger.reopen();
                Vec::new()
            }
            Lines::Ours(ours) => {
                let errors = ours.errors.reopen().err();
                let requests = ours.requests.as_mut().and_then(|sink| sink.reopen().err());
                let errors = errors.map(|error| format!("error log not reopened: {error}"));
                let requests = requests.map(|error| format!("access log not reopened: {error}"));
                errors.into_iter().chain(requests).collect()
            }
        }
    }

    pub(super) fn give_to(&self, user: Option<Uid>, group: Option<Gid>) -> io::Result<()> {
        match &self.lines {
            Lines::Python(logger) => {
                logger.give_to(user, group);
                Ok(())
            }
            Lines::Ours(ours) => {
                ours.errors.give_to(user, group)?;
                ours.requests.as_ref().map_or(Ok(()), |sink| sink.give_to(user, group))
            }
        }
    }
}

fn placed(settings: &Settings, destination: &Destination) -> Destination {
    match destination {
        Destination::Standard => Destination::Standard,
        Destination::File(path) => Destination::File(from_chdir(settings, path)),
    }
}

/// As this process will name it once these settings are in force.
pub(super) fn from_chdir(settings: &Settings, path: &Path) -> PathBuf {
    let path = settings.chdir.as_ref().map_or_else(|| path.to_owned(), |here| here.join(path));
    std::path::absolute(&path).unwrap_or(path)
}

/// An empty dictionary is none, as in Python.
pub(crate) fn is_pythons(settings: &Settings) -> bool {
    let dictionary = settings.logconfig_dict.as_ref().and_then(Value::as_object);
    settings.logconfig.is_some()
        || settings.logconfig_json.is_some()
        || dictionary.is_some_and(|it| !it.is_empty())
}

impl Ours {
    pub(super) fn syslog_for_requests(&self) -> Option<&Syslog> {
        self.syslog.as_ref().filter(|syslog| syslog.takes_requests)
    }

    fn takes_requests(&self) -> bool {
        self.requests.is_some() || self.syslog_for_requests().is_some()
    }
}
