//! The command line, word for word as nginx takes it: letters may be joined (`-tq`), and a value may
//! stand at its letter (`-cFILE`) or after it.

use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::{
    SERVER_BUILD, defaults,
    load::Options,
    modules::{WITH, WITHOUT},
};

/// What was asked for.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a letter of its own")]
pub struct CommandLine {
    pub help: bool,
    pub version: bool,
    /// `-V`: how it was built, too.
    pub configure: bool,
    pub test: bool,
    /// `-T`: the files as they were read, too.
    pub dump: bool,
    pub quiet: bool,
    /// `-s`: what a running server is told.
    pub signal: Option<Signal>,
    pub prefix: Option<String>,
    pub file: Option<String>,
    pub error_log: Option<String>,
    pub globals: String,
}

impl CommandLine {
    /// The words after the program's name; an error is nginx's.
    pub fn read(words: impl IntoIterator<Item = String>) -> Result<CommandLine, String> {
        let mut line = CommandLine::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(letters) = word.strip_prefix('-') else {
                return Err(format!("invalid option: \"{word}\""));
            };
            for (place, letter) in letters.char_indices() {
                let mut value = |what: &str| {
                    let joined = &letters[place + letter.len_utf8()..];
                    let mut next = || words.next().filter(|next| !next.is_empty());
                    let value = if joined.is_empty() { next() } else { Some(joined.to_owned()) };
                    value.ok_or_else(|| format!("option \"-{letter}\" requires {what}"))
                };
                match letter {
                    '?' | 'h' => (line.version, line.help) = (true, true),
                    'v' => line.version = true,
                    'V' => (line.version, line.configure) = (true, true),
                    't' => line.test = true,
                    'T' => (line.test, line.dump) = (true, true),
                    'q' => line.quiet = true,
                    'p' => line.prefix = Some(value("directory name")?),
                    'e' => line.error_log = Some(value("file name")?),
                    'c' => line.file = Some(value("file name")?),
                    'g' => line.globals = value("parameter")?,
                    's' => line.signal = Some(signal(&value("parameter")?)?),
                    _ => return Err(format!("invalid option: \"{letter}\"")),
                }
                if matches!(letter, 'p' | 'e' | 'c' | 'g' | 's') {
                    break;
                }
            }
        }
        Ok(line)
    }

    /// For reading the configuration: names made whole, relative to the prefix.
    pub fn options(&self) -> Options {
        let prefix = PathBuf::from(self.prefix.as_deref().unwrap_or(defaults::PREFIX));
        let file = prefix.join(self.file.as_deref().unwrap_or(defaults::CONF_PATH));
        let error_log = self.error_log.clone();
        Options { prefix, file, globals: self.globals.clone(), error_log }
    }

    /// What `-v`, `-V` and `-h` say.
    pub fn about(&self) -> String {
        let mut text = format!("nginx version: {SERVER_BUILD}\n");
        if self.help {
            text += &help();
        }
        if self.configure {
            let paths = [
                ("prefix", defaults::PREFIX.trim_end_matches('/')),
                ("conf-path", defaults::CONF_PATH),
                ("http-log-path", defaults::ACCESS_LOG),
                ("error-log-path", defaults::ERROR_LOG),
                ("pid-path", defaults::PID_PATH),
                ("user", defaults::USER),
            ];
            let paths = paths.map(|(name, value)| format!(" --{name}={value}")).concat();
            let build = concat!(" --build='Causeway ", env!("CARGO_PKG_VERSION"), "' --with-debug");
            text += "built with rustls\nTLS SNI support enabled\n";
            text.extend(["configure arguments:", build, &paths]);
            text.extend(WITH.iter().flat_map(|name| [" --with-", name]));
            text.extend(WITHOUT.iter().flat_map(|name| [" --without-", name]));
            text.push('\n');
        }
        text
    }
}

fn signal(name: &str) -> Result<Signal, String> {
    Ok(match name {
        "stop" => Signal::SIGTERM,
        "quit" => Signal::SIGQUIT,
        "reopen" => Signal::SIGUSR1,
        "reload" => Signal::SIGHUP,
        _ => return Err(format!("invalid option: \"-s {name}\"")),
    })
}

fn help() -> String {
    format!(
        "Usage: nginx [-?hvVtTq] [-s signal] [-p prefix]
             [-e filename] [-c filename] [-g directives]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and configure options then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a master process: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: {})
  -e filename   : set error log file (default: {})
  -c filename   : set configuration file (default: {})
  -g directives : set global directives out of configuration file

",
        defaults::PREFIX,
        defaults::ERROR_LOG,
        defaults::CONF_PATH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<CommandLine, String> {
        CommandLine::read(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn letters_and_values_may_be_joined() {
        let line = read(&["-tqcx.conf", "-p", "/srv/", "-g", "daemon off;", "-e/log"]).unwrap();
        assert!(line.test && line.quiet && !line.dump);
        let options = line.options();
        assert_eq!(options.file, PathBuf::from("/srv/x.conf"));
        assert_eq!(options.globals, "daemon off;");
        assert_eq!(options.error_log.as_deref(), Some("/log"));
        assert_eq!(read(&["-sreload"]).unwrap().signal, Some(Signal::SIGHUP));
    }

    #[test]
    fn slips_are_told_as_nginx_tells_them() {
        let check = |words: &[&str], expected: &str| {
            assert_eq!(read(words).unwrap_err(), expected);
        };
        check(&["x"], "invalid option: \"x\"");
        check(&["-tx"], "invalid option: \"x\"");
        check(&["-c"], "option \"-c\" requires file name");
        check(&["-p"], "option \"-p\" requires directory name");
        check(&["-g"], "option \"-g\" requires parameter");
        check(&["-s", "go"], "invalid option: \"-s go\"");
    }
}
