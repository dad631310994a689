//! An app-host without a gateway, for a web server that speaks FastCGI itself: the command line.
//!
//! This process becomes the interpreter, with the library in it, so signals and exit codes are the
//! app-host's own. Nothing here may touch Python: there is none yet.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use causeway_app_host::{HostOptions, OptionsError, command, interpreter, library};

const HELP: &str = "\
Serves one WSGI application over FastCGI: one process, a request in each thread.

Usage: causeway-app-host [OPTIONS] MODULE[:CALLABLE]

Options:
  -b, --bind ADDRESS     unix:PATH or HOST:PORT [default: standard input is the
                         listening socket, as spawn-fcgi hands it over]
      --umask MODE       of the socket file, octal [default: 0, any local user
                         may connect]
      --threads NUMBER   requests served at the same time [default: 1]
      --processes NUMBER app-hosts that serve this application together, for
                         wsgi.multiprocess [default: 1]
      --chdir FOLDER     change to it before the application is imported
      --pythonpath FOLDER
                         put it on sys.path; may be repeated
      --no-sendfile      read the files of wsgi.file_wrapper by their read()
      --python PROGRAM   the interpreter [default: $VIRTUAL_ENV's, else python3
                         beside this program, else on PATH]
  -h, --help
  -V, --version

TERM finishes the requests in hand and ends; INT and QUIT end at once. In nginx.conf:
  include fastcgi_params; fastcgi_pass unix:PATH;
";

/// gunicorn's, and nearly everybody's, for a command line that can not be read.
const USAGE: u8 = 2;

#[derive(Debug, thiserror::Error)]
enum CommandLineError {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error("libcauseway_app_host.so is neither beside this program nor in deps/ there")]
    NoLibrary,
    #[error("interpreter \"{python}\" can not be started: {error}")]
    Interpreter { python: String, error: io::Error },
}

fn main() -> ExitCode {
    let (text, code) = match run(env::args_os().skip(1).collect()) {
        Ok(text) => return print(&mut io::stdout(), &text, 0),
        Err(error @ CommandLineError::Options(_)) => {
            (format!("causeway-app-host: {error}; --help lists the options\n"), USAGE)
        }
        Err(error) => (format!("causeway-app-host: {error}\n"), 1),
    };
    print(&mut io::stderr(), &text, code)
}

/// Returns only with something to print: otherwise the interpreter is what runs here.
fn run(arguments: Vec<OsString>) -> Result<String, CommandLineError> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return Ok(HELP.to_owned());
    }
    if arguments.iter().any(|argument| argument == "--version" || argument == "-V") {
        return Ok(format!("causeway-app-host {}\n", env!("CARGO_PKG_VERSION")));
    }
    let (python, arguments) = take_python(arguments)?;
    let options = HostOptions::from_arguments(arguments)?;
    let python = interpreter(python);
    let library = library().ok_or(CommandLineError::NoLibrary)?;
    let error = command(&python, &library, &options).exec();
    Err(CommandLineError::Interpreter { python: python.display().to_string(), error })
}

/// `--python`, which is for us, out of what is for the app-host.
fn take_python(
    arguments: Vec<OsString>,
) -> Result<(Option<PathBuf>, Vec<OsString>), CommandLineError> {
    let mut python = None;
    let mut rest = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--python" {
            let value = arguments.next().ok_or_else(|| OptionsError::NoValue(text.into_owned()))?;
            python = Some(value.into());
        } else if let Some(value) = text.strip_prefix("--python=") {
            python = Some(value.into());
        } else {
            rest.push(argument);
        }
    }
    Ok((python, rest))
}

fn print(target: &mut impl Write, text: &str, code: u8) -> ExitCode {
    // Whoever closed the pipe has read enough.
    let _ = target.write_all(text.as_bytes());
    ExitCode::from(code)
}
