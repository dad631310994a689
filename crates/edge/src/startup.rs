//! What is said before the server runs: to the terminal, as `nginx: [emerg] ...`, and to the log that
//! is known by then, so that a boot without a terminal leaves its reason somewhere.

use std::{path::Path, sync::Arc};

use crate::{
    defaults,
    load::{Config, Options},
    log::{Level, LogFile},
    modules::error_log::ErrorLog,
};

pub struct Startup {
    log: Arc<ErrorLog>,
}

impl Startup {
    /// Until a configuration is read: the log that `-e` names.
    pub fn begin(options: &Options) -> Startup {
        let name = options.error_log.as_deref().unwrap_or(defaults::ERROR_LOG);
        let mut log = ErrorLog::default();
        if name != "stderr" {
            let file = LogFile::at(&options.prefix.join(Path::new(name)));
            match file.open(None) {
                Ok(()) => log = ErrorLog::to(Arc::new(file), Level::Notice),
                Err(error) => eprintln!("nginx: [alert] could not open error log file: {error}"),
            }
        }
        Startup { log: Arc::new(log) }
    }

    /// From here on, the configuration's own log.
    pub fn continue_in(&mut self, config: &Config) {
        self.log = Arc::clone(&config.error_log);
    }

    pub fn tell(&self, level: Level, message: &str) {
        self.log.write(level, None, message);
        if level <= Level::Warn && !self.log.is_stderr() {
            eprintln!("nginx: [{level}] {message}");
        }
    }

    pub fn warn(&self, config: &Config) {
        config.warnings.iter().for_each(|warning| self.tell(Level::Warn, &warning.to_string()));
    }
}
