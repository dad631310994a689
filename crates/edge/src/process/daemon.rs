//! `daemon on`: into the background. The command returns when the server is ready, or has failed;
//! nginx's returns before that.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    process::ExitCode,
};

use nix::{
    fcntl::OFlag,
    sys::stat::{Mode, umask},
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setsid},
};

use super::sys::{Side, split};

/// Where the command waits that started the daemon.
pub struct Waiting(Option<OwnedFd>);

impl Waiting {
    /// Of a server in the foreground.
    pub fn nobody() -> Waiting {
        Waiting(None)
    }

    /// Lets the command return with success.
    pub(super) fn ready(&mut self) {
        if let Some(pipe) = self.0.take() {
            // A command that was interrupted need not know.
            let _gone = File::from(pipe).write_all(b"r");
        }
    }
}

pub enum Detached {
    /// The command, which is done.
    Command(ExitCode),
    /// The server, in a session of its own.
    Server(Waiting),
}

/// `log`: what the server writes to stderr from here on, if it is a file.
pub fn detach(log: Option<File>) -> io::Result<Detached> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    if let Side::Parent(_) = split()? {
        drop(write);
        let mut told = Vec::new();
        File::from(read).read_to_end(&mut told)?;
        let code = if told.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        return Ok(Detached::Command(code));
    }
    setsid()?;
    umask(Mode::empty());
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    if let Some(log) = log {
        dup2_stderr(&log)?;
    }
    Ok(Detached::Server(Waiting(Some(write))))
}
