//! What an app-host is started with, as arguments and back.
//!
//! Flags rather than one JSON text: they can be read in `ps` and typed by hand.

use std::ffi::OsString;
use std::path::PathBuf;

/// What one process serves, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostOptions {
    /// `module:callable`, `module:factory("argument")` or `module` (which means `module:application`).
    pub application: String,
    /// Requests served at the same time.
    pub threads: usize,
    /// How many app-hosts serve this application: the application sees `wsgi.multiprocess` by it.
    pub processes: usize,
    /// Changed to before anything is imported. First on `sys.path`, or the current folder is.
    pub chdir: Option<PathBuf>,
    /// Before `sys.path`, behind `chdir`.
    pub pythonpath: Vec<PathBuf>,
    /// Whether files given to `wsgi.file_wrapper` are read without Python, by their descriptors.
    pub sendfile: bool,
    /// `unix:PATH` or `HOST:PORT`, for a process that is not handed a listening socket.
    pub bind: Option<String>,
    /// What others may not do with the socket file of `bind`. As with gunicorn, nothing.
    pub umask: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    #[error("unknown option \"{0}\"")]
    Unknown(String),
    #[error("option \"{0}\" needs a value")]
    NoValue(String),
    #[error("invalid number \"{value}\" of option \"{option}\"")]
    Number { option: String, value: String },
    #[error("no application: \"module:callable\" is missing")]
    NoApplication,
    #[error("a second application \"{0}\"")]
    SecondApplication(String),
}

impl HostOptions {
    pub fn new(application: impl Into<String>) -> HostOptions {
        HostOptions {
            application: application.into(),
            threads: 1,
            processes: 1,
            chdir: None,
            pythonpath: Vec::new(),
            sendfile: true,
            bind: None,
            umask: 0,
        }
    }

    /// The arguments `from_arguments` reads.
    pub fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            vec!["--threads".into(), self.threads.to_string().into()];
        arguments.extend(["--processes".into(), self.processes.to_string().into()]);
        if let Some(chdir) = &self.chdir {
            arguments.extend(["--chdir".into(), chdir.into()]);
        }
        for path in &self.pythonpath {
            arguments.extend(["--pythonpath".into(), path.into()]);
        }
        if !self.sendfile {
            arguments.push("--no-sendfile".into());
        }
        if let Some(bind) = &self.bind {
            arguments.extend(["--bind".into(), bind.into()]);
            arguments.extend(["--umask".into(), format!("{:o}", self.umask).into()]);
        }
        arguments.push((&self.application).into());
        arguments
    }

    pub fn from_arguments(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<HostOptions, OptionsError> {
        let mut options = HostOptions::new("");
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy().into_owned();
            // `--name VALUE` or `--name=VALUE`.
            let (name, mut given) = match text.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.into())),
                _ => (text.as_str(), None),
            };
            let mut value = || {
                let value: Option<OsString> = given.take().or_else(|| arguments.next());
                value.ok_or_else(|| OptionsError::NoValue(name.to_owned()))
            };
            match name {
                "--threads" => options.threads = count(name, &value()?)?,
                "--processes" => options.processes = count(name, &value()?)?,
                "--chdir" => options.chdir = Some(value()?.into()),
                "--pythonpath" => options.pythonpath.push(value()?.into()),
                "--no-sendfile" => options.sendfile = false,
                "--bind" | "-b" => options.bind = Some(value()?.to_string_lossy().into_owned()),
                "--umask" => options.umask = mode(name, &value()?)?,
                _ if name.starts_with('-') => return Err(OptionsError::Unknown(text)),
                _ if options.application.is_empty() => options.application = text,
                _ => return Err(OptionsError::SecondApplication(text)),
            }
        }
        if options.application.is_empty() {
            return Err(OptionsError::NoApplication);
        }
        Ok(options)
    }
}

fn count(option: &str, value: &OsString) -> Result<usize, OptionsError> {
    let number = value.to_str().and_then(|value| value.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| not_a_number(option, value))
}

fn mode(option: &str, value: &OsString) -> Result<u32, OptionsError> {
    let mode = value.to_str().and_then(|value| u32::from_str_radix(value, 8).ok());
    mode.filter(|mode| *mode <= 0o777).ok_or_else(|| not_a_number(option, value))
}

fn not_a_number(option: &str, value: &OsString) -> OptionsError {
    let value = value.to_string_lossy().into_owned();
    OptionsError::Number { option: option.to_owned(), value }
}
