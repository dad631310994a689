//! USR2: a second master from the same command line, with our sockets, so that a new version of
//! everything, this program too, can be tried while the old one serves.
//!
//! gunicorn's variables carry what the new one has to know: `GUNICORN_PID` is the master that started
//! it, `GUNICORN_FD` the numbers of the sockets. While its parent lives it is the second: its pid file
//! is NAME.2, and files are its parent's to remove. Must not know when the old one has to go: that is
//! the operator's to say, with WINCH, TERM or QUIT.

use std::{
    env,
    ffi::OsString,
    io,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::fs::MetadataExt,
    },
    path::PathBuf,
    process::{self, Command},
};

use crate::{sys, systemd};

const PARENT: &str = "GUNICORN_PID";
const SOCKETS: &str = "GUNICORN_FD";
/// Set if the sockets are systemd's: nobody of us removes their files, ever.
const ACTIVATED: &str = "CAUSEWAY_SOCKETS_ACTIVATED";

/// How this process was started.
pub(crate) struct Origin {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
}

/// What whoever started it handed over.
pub(crate) struct Inheritance {
    sockets: Vec<OwnedFd>,
    /// The master whose successor we are to be.
    pub(crate) parent: Option<u32>,
    pub(crate) is_activated: bool,
}

/// Both, and nothing of it is left in the environment for workers to find.
pub(crate) fn remember() -> Result<(Origin, Inheritance), String> {
    let origin = Origin {
        arguments: env::args_os().collect(),
        environment: env::vars_os().collect(),
        folder: folder().map_err(|error| format!("there is no current folder: {error}"))?,
    };
    let inheritance = inherit(|name| env::var(name).ok())?;
    sys::forget_variables(systemd::VARIABLES);
    sys::forget_variables(&[PARENT, SOCKETS, ACTIVATED]);
    Ok((origin, inheritance))
}

/// As the shell shows it, if that is true: `current` in it may mean another release next time.
fn folder() -> io::Result<PathBuf> {
    let here = env::current_dir()?;
    let same = |shown: &PathBuf| {
        let (shown, here) = (shown.metadata().ok()?, here.metadata().ok()?);
        Some((shown.dev(), shown.ino()) == (here.dev(), here.ino()))
    };
    let shown = env::var_os("PWD").map(PathBuf::from).filter(|path| path.is_absolute());
    Ok(shown.filter(|path| same(path) == Some(true)).unwrap_or(here))
}

fn inherit(variable: impl Fn(&str) -> Option<String>) -> Result<Inheritance, String> {
    let mut numbers = systemd::sockets(&variable)?;
    let mut is_activated = !numbers.is_empty();
    let parent = variable(PARENT).and_then(|pid| pid.parse().ok());
    if let (Some(_), Some(text)) = (parent, variable(SOCKETS)) {
        let not_a_number = |text| format!("{SOCKETS}: \"{text}\" is not a descriptor");
        let parts = text.split(',').filter(|part| !part.is_empty());
        numbers = parts
            .map(|part| part.parse::<RawFd>().map_err(|_| not_a_number(part)))
            .collect::<Result<_, _>>()?;
        is_activated = variable(ACTIVATED).is_some();
    }
    let take = |number| {
        let taken = if number > 2 { sys::take_descriptor(number) } else { None };
        taken.ok_or_else(|| format!("descriptor {number}, which was handed over, is not open"))
    };
    let sockets = numbers.into_iter().map(take).collect::<Result<_, _>>()?;
    Ok(Inheritance { sockets, parent, is_activated })
}

impl Inheritance {
    pub(crate) fn take_sockets(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.sockets)
    }

    /// Whether it has gone: whoever adopts orphans is our parent then.
    pub(crate) fn parent_has_gone(&self) -> bool {
        self.parent.is_some_and(|parent| parent != nix::unistd::getppid().as_raw().cast_unsigned())
    }
}

impl Origin {
    /// The same again, with these sockets.
    pub(crate) fn successor(&self, sockets: Vec<OwnedFd>, is_activated: bool) -> Command {
        let numbers: Vec<String> =
            sockets.iter().map(|socket| socket.as_raw_fd().to_string()).collect();
        let mut arguments = self.arguments.iter();
        let program = arguments.next().cloned().unwrap_or_else(|| "causeway-gateway".into());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env(PARENT, process::id().to_string())
            .env(SOCKETS, numbers.join(","));
        for variable in systemd::VARIABLES {
            command.env_remove(variable);
        }
        if is_activated {
            command.env(ACTIVATED, "1");
        } else {
            command.env_remove(ACTIVATED);
        }
        sys::hand_down(&mut command, sockets);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_handover_is_taken() {
        let given = |parent: &'static str, sockets: &'static str| {
            move |name: &str| match name {
                PARENT => Some(parent.to_owned()),
                SOCKETS => Some(sockets.to_owned()),
                _ => None,
            }
        };
        assert!(inherit(given("1", "x")).err().unwrap().contains("\"x\" is not a descriptor"));
        assert!(inherit(given("1", "0")).err().unwrap().contains("is not open"));
        assert!(inherit(given("1", "900")).err().unwrap().contains("is not open"));
        let nothing = inherit(|_| None).unwrap();
        assert!(nothing.sockets.is_empty() && !nothing.parent_has_gone());
        assert!(inherit(given("1", "")).unwrap().parent_has_gone());
    }

    #[test]
    fn the_sockets_arrive_under_their_numbers() {
        let socket: OwnedFd = std::net::TcpListener::bind("127.0.0.1:0").unwrap().into();
        let number = socket.as_raw_fd();
        let script = format!("echo $GUNICORN_PID $GUNICORN_FD; readlink /proc/self/fd/{number}");
        let origin = Origin {
            arguments: ["sh", "-c", &script].map(OsString::from).to_vec(),
            environment: env::vars_os().collect(),
            folder: PathBuf::from("/"),
        };
        let output = origin.successor(vec![socket], false).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let expected = format!("{} {number}\nsocket:[", process::id());
        assert!(text.starts_with(&expected), "{text:?}");
    }
}
